//! Real processes, real QUIC, real disks.
