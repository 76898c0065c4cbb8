//! The owner's half of atomic commit, as a value: whom it asked, who voted, and when it may decide.
