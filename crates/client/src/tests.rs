//! The client against a scripted cluster whose nodes share the real machine.

mod dropping;
mod honesty;
mod leases;
mod requests;
mod routes;
mod sessions;
mod tables;
mod transactions;
