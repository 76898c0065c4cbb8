//! What is done at once needs no task of its own.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Whether a future has come to its end, without waiting. One that has not is still to be polled by
/// somebody who waits for it.
pub(crate) fn is_done<F: Future>(future: Pin<&mut F>) -> bool {
    at_once(future).is_some()
}

/// What a future comes to without waiting, if it does.
pub(crate) fn at_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
