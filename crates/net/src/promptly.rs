//! What is done at once needs no task of its own.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

/// Whether a future has come to its end, without waiting. One that has not is still to be polled by
/// somebody who waits for it.
pub(crate) fn is_done<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
