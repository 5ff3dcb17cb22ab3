//! How long a connection may take with the head of a request, which is shorter than it may be idle.
//!
//! hyper has one deadline for both: from the end of a request to the end of the next head. So that is
//! the longer one, and this watches the time from the first byte of a head on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Between two requests.
const IDLE: u8 = 0;
/// A head has begun.
const HEAD: u8 = 1;
/// A request is being answered. Its body has a deadline of its own.
const BUSY: u8 = 2;
/// Many requests are under way at once, so there is no time between them; the protocol asks by
/// itself whether anybody is still there.
const SHARED: u8 = 3;

/// What a connection is doing, as far as its requests tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// The head of a request has arrived.
    pub(crate) fn begins(&self, version: http::Version) {
        let phase = if version >= http::Version::HTTP_2 { SHARED } else { BUSY };
        self.set(phase);
    }

    /// A request was answered.
    pub(crate) fn ends(&self) {
        if self.get() == BUSY {
            self.set(IDLE);
        }
    }

    // Relaxed, because one task drives the connection and its requests, and the number guards no
    // memory.
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// A stream that ends with an error if a head takes too long.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    phase: Phase,
    head_timeout: Duration,
    /// Made anew for each head that does not arrive in one piece.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) const fn new(stream: S, phase: Phase, head_timeout: Duration) -> Self {
        Self { stream, phase, head_timeout, deadline: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            if buffer.filled().len() > before && this.phase.get() == IDLE {
                this.phase.set(HEAD);
            }
            return read;
        }
        if this.phase.get() != HEAD {
            this.deadline = None;
            return Poll::Pending;
        }
        let timeout = this.head_timeout;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(crate::clock::sleep(timeout)));
        if deadline.as_mut().poll(cx).is_ready() {
            let late = "the head of a request took too long";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, late)));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
