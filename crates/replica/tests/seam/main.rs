//! Three replicas in a small world of their own.

mod chaos;
mod leases;
mod serving;
mod sessions;
mod world;
