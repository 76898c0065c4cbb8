use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a directory is on: it has room or has none, a call of it may fail, and its power may go.
/// Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Device(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    full: bool,
    /// After so many more calls one fails.
    fails_after: Option<u64>,
    /// When the power goes.
    goes: Option<Goes>,
}

/// The last call that a device does not take any more, and from which on it takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// The one after so many.
    After(u64),
    /// The next that makes names durable.
    BeforeNamesAreDurable,
}

impl Device {
    /// Whether there is room for more.
    pub(super) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// One call fails, after so many more.
    pub(super) fn fail_after(&self, calls: u64) {
        self.lock().fails_after = Some(calls);
    }

    /// Whatever was to go wrong does not any more.
    pub(super) fn heal(&self) {
        *self.lock() = State::default();
    }

    /// The power goes at this call.
    pub(super) fn cut(&self, goes: Goes) {
        self.lock().goes = Some(goes);
    }

    /// The power is back.
    pub(super) fn restore_power(&self) {
        let mut state = self.lock();
        (state.goes, state.fails_after) = (None, None);
    }

    /// It is called.
    pub(super) fn called(&self) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(Goes::After(left)) = &mut state.goes {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the power is gone"))?;
        }
        let Some(left) = state.fails_after else { return Ok(()) };
        state.fails_after = left.checked_sub(1);
        match left {
            0 => Err(io::Error::other("the device failed")),
            _ => Ok(()),
        }
    }

    /// It is called to make names durable.
    pub(super) fn named(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.goes == Some(Goes::BeforeNamesAreDurable) {
            state.goes = Some(Goes::After(0));
        }
        drop(state);
        self.called()
    }

    /// A file is to grow.
    pub(super) fn takes_more(&self) -> io::Result<()> {
        match self.lock().full {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
