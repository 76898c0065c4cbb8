//! Each verb answers whether every property held, or why it cannot do what it is asked.

mod flags;
pub(crate) mod planted;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod search;
