//! A stream that ends where a line ends in a line feed alone.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::metrics::Metrics;

/// hyper takes a lone line feed for the end of a line, as RFC 9112 §2.2 allows it to; somebody on
/// the way may not, and see another request than this node does. These pages take no body, so every
/// byte that comes is part of a line.
pub(super) struct Strict {
    stream: TcpStream,
    counters: Metrics,
    after_return: bool,
}

impl Strict {
    pub(super) fn new(stream: TcpStream, counters: Metrics) -> Strict {
        Strict { stream, counters, after_return: false }
    }
}

impl AsyncRead for Strict {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        for byte in &buffer.filled()[before..] {
            if *byte == b'\n' && !self.after_return {
                // Counted here: to hyper it is a connection that ended.
                self.counters.http_refused("malformed");
                let why = "a line ends in a line feed alone";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            self.after_return = *byte == b'\r';
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Strict {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
