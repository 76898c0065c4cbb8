//! Real QUIC on loopback.

mod ask;
mod dialler_refuses;
mod listener_refuses;
mod mesh;
mod world;
