//! One seed, one universe.
