//! Commands that must have ended before something is another's.
//!
//! Whoever holds it runs the command in a process group of its own ([`Group`]), which is led by a
//! second process (`warden`): that one ends the group when nobody else is there to do so in time.
//! [`Vigil`] ends it as long as somebody is.

mod group;
mod signals;
mod vigil;
pub(crate) mod warden;

pub(crate) use group::{FOR_EVER, Group, Inside};
pub(crate) use signals::Signals;
pub(crate) use vigil::{Ended, Tenure, Vigil, code};
