//! Real QUIC on loopback.

mod ask;
mod dialler_refuses;
mod frames;
mod limits;
mod listener_refuses;
mod mesh;
mod together;
mod world;
