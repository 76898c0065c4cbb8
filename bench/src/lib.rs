//! Load and latency against the floor.
