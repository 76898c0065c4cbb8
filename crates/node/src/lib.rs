//! Runs a replica: one owner, one select loop, one disk thread.
