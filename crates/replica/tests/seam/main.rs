//! Three replicas in a small world of their own.

mod chaos;
mod handing;
mod leased;
mod leases;
mod nearby;
mod serving;
mod sessions;
mod world;
