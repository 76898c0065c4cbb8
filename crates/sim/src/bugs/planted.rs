//! Bugs that happened to somebody, each as the product would have it.

mod acceptor;
mod beginning;
mod campaign;
mod elections;
mod force;
mod handing;
mod leases;
mod machine;
mod reads;
mod reign;
mod services;
mod store;
mod transactions;
mod watches;

use super::row::Bug;

/// Every one of them.
pub(super) fn all() -> impl Iterator<Item = &'static Bug> {
    [
        acceptor::BUGS,
        store::BUGS,
        beginning::BUGS,
        campaign::BUGS,
        reign::BUGS,
        machine::BUGS,
        transactions::BUGS,
        leases::BUGS,
        watches::BUGS,
        force::BUGS,
        elections::BUGS,
        services::BUGS,
        reads::BUGS,
        handing::BUGS,
    ]
    .into_iter()
    .flatten()
}
