//! Three replicas in a small world of their own.

mod serving;
mod world;
