//! A connection that ends where what comes can be read in two ways, or what goes is not taken.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{Cut, Tally, heading::Heading};

/// What a caller still sends of what was refused is taken off its hands for so long, and no longer:
/// else its system would throw the answer away with the connection (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
/// As much of it is looked at in one turn.
const LINGER_BYTES: usize = 16 << 10;

/// hyper reads what RFC 9112 lets a server be lenient about, and waits for ever for a reader.
pub(crate) struct Line<S> {
    stream: S,
    heading: Heading,
    /// Whether what came last is the beginning of a header.
    midway: Arc<AtomicBool>,
    /// Runs while the other side takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    /// Runs while all is said and the other side has not ended.
    linger: Option<Pin<Box<Sleep>>>,
    write_within: Duration,
    tally: Arc<dyn Tally>,
}

impl<S> Line<S> {
    pub(crate) fn new(stream: S, write_within: Duration, tally: Arc<dyn Tally>) -> Line<S> {
        let (heading, midway) = (Heading::default(), Arc::default());
        Line { stream, heading, midway, stall: None, linger: None, write_within, tally }
    }

    /// Tells, when the connection is over, whether it ended within a header.
    pub(crate) fn midway(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.midway)
    }

    /// Gives up on a reader that takes nothing for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let within = self.write_within;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(within)));
        ready!(stall.as_mut().poll(context));
        self.tally.refused(Cut::Stalled);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> Line<S> {
    /// Reads and forgets until the other side ends, or its time is up.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if linger.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; LINGER_BYTES];
        let mut buffer = ReadBuf::new(&mut scratch);
        match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                // There may be more: others have their turn first.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(()) | Err(_) => Poll::Ready(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Err(why) = self.heading.follow(&buffer.filled()[before..]) {
            // Counted here: to hyper it is a connection that ended.
            self.tally.refused(Cut::Malformed);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        self.midway.store(self.heading.is_midway(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.watch(context, polled))?;
        }
        self.poll_rest(context).map(Ok)
    }
}
