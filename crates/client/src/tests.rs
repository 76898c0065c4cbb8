//! The client against a scripted cluster whose nodes share the real machine.

mod crowds;
mod dropping;
mod elections;
mod hands;
mod honesty;
mod journals;
mod leases;
mod locks;
mod requests;
mod routes;
mod sessions;
mod standby;
mod tables;
mod transactions;
mod watches;
