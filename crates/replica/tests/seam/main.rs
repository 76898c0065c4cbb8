//! Three replicas in a small world of their own.

mod chaos;
mod serving;
mod sessions;
mod world;
