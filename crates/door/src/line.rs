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

/// hyper reads what RFC 9112 lets a server be lenient about, and waits for ever for a reader.
pub(crate) struct Line<S> {
    stream: S,
    heading: Heading,
    /// Whether what came last is the beginning of a header.
    midway: Arc<AtomicBool>,
    /// Runs while the other side takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    write_within: Duration,
    tally: Arc<dyn Tally>,
}

impl<S> Line<S> {
    pub(crate) fn new(stream: S, write_within: Duration, tally: Arc<dyn Tally>) -> Line<S> {
        let (heading, midway) = (Heading::default(), Arc::default());
        Line { stream, heading, midway, stall: None, write_within, tally }
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
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
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}
