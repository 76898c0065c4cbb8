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

use super::Site;

/// hyper takes a lone line feed for the end of a line, as RFC 9112 §2.2 allows it to; somebody on
/// the way may not, and see another request than this node does. These pages take no body, so every
/// byte that comes is part of a line.
pub(super) struct Strict<S> {
    stream: TcpStream,
    site: S,
    after_return: bool,
}

impl<S> Strict<S> {
    pub(super) fn new(stream: TcpStream, site: S) -> Strict<S> {
        Strict { stream, site, after_return: false }
    }
}

impl<S: Site> AsyncRead for Strict<S> {
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
                self.site.refused("malformed");
                let why = "a line ends in a line feed alone";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            self.after_return = *byte == b'\r';
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Unpin> AsyncWrite for Strict<S> {
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
