//! The participant's half of atomic commit, as a value: what is prepared, what is locked, and what
//! must be durable before a vote is spoken.
