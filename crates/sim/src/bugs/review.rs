//! Lines of the product that a safety argument names, each taken away by itself.

mod acceptor;
mod campaign;
mod participants;
mod peer;
mod reads;
mod records;

use super::row::Bug;

/// Rows of one file: the rule, the line, and what stands there without it.
macro_rules! lines {
    (
        $file:literal:
        $($rule:literal: $line:literal => $without:literal,)+
    ) => {
        &[$(
            $crate::bugs::row::Bug {
                name: $rule,
                does: "",
                source: "",
                edits: &[$crate::bugs::row::edit($file, $line, $without)],
            },
        )+]
    };
}
use lines;

/// Every one of them.
pub(super) fn all() -> impl Iterator<Item = &'static Bug> {
    let paxos = [acceptor::LINES, campaign::LINES, peer::LINES];
    let machine = [records::LINES, participants::LINES];
    (paxos.into_iter().chain(machine).chain([reads::LINES])).flatten().copied().flatten()
}
