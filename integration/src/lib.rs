//! A real cluster for tests: processes of the real binary, real certificates, real disks, loopback.
//!
//! Every process is held by its standard input: when the test ends, however it ends, the pipe
//! closes and the process ends by itself.

mod binary;
mod cluster;
mod http;
mod lacking;
mod process;

pub use binary::synod;
pub use cluster::{Cluster, Options};
pub use http::{Answered, Http};
pub use lacking::lacking;
#[cfg(target_os = "linux")]
pub use process::limit_files;
pub use process::{Finished, Process, Run, run};
