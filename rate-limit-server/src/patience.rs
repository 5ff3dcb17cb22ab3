//! How long a connection may take with the head of a request, and with an answer that it is sent.
//!
//! A head has less time than a connection may be idle, and hyper has one deadline for both. So this
//! watches the time from the first byte of a head on. What is idle is ended elsewhere, with a word of
//! goodbye: see [`crate::connection`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::activity::Activity;

/// With this a client says that it speaks HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that ends with an error if a head takes too long, or if nobody takes what is written.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    activity: Activity,
    /// How much of [`PREFACE`] has arrived; `None` once that is decided.
    preface: Option<usize>,
    head: Deadline,
    /// Also a client that never reads holds the place of somebody else.
    taking: Deadline,
}

/// A wait that is begun anew whenever one is necessary.
#[derive(Debug)]
struct Deadline {
    after: Duration,
    wait: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// `taking` is how long the client may take nothing of what it is sent.
    pub(crate) const fn new(
        stream: S,
        activity: Activity,
        head: Duration,
        taking: Duration,
    ) -> Self {
        let head = Deadline::new(head);
        Self { stream, activity, preface: Some(0), head, taking: Deadline::new(taking) }
    }

    /// Looks at what has arrived.
    fn received(&mut self, bytes: &[u8]) {
        if self.activity.receives() {
            self.head.lift();
        }
        let Some(before) = self.preface else { return };
        let wanted = PREFACE.get(before..).unwrap_or_default();
        let length = wanted.len().min(bytes.len());
        self.preface = (wanted.get(..length) == bytes.get(..length)).then_some(before + length);
        if self.preface == Some(PREFACE.len()) {
            self.preface = None;
            self.activity.is_shared();
        }
    }

    /// What came of writing, or the end of patience.
    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.taking.lift();
            self.activity.sends();
            return written;
        }
        ready!(self.taking.poll(cx));
        Poll::Ready(Err(late("nothing of the answers was taken for too long")))
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
            match buffer.filled().get(before..) {
                None | Some([]) => {}
                Some(bytes) => this.received(bytes),
            }
            return read;
        }
        if !this.activity.is_in_head() {
            this.head.lift();
            return Poll::Pending;
        }
        ready!(this.head.poll(cx));
        Poll::Ready(Err(late("the head of a request took too long")))
    }
}

/// Only writing waits for the client; flushing and closing a socket do not.
impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(written, cx)
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Deadline {
    const fn new(after: Duration) -> Self {
        Self { after, wait: None }
    }

    /// What was waited for has come.
    fn lift(&mut self) {
        self.wait = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let after = self.after;
        self.wait.get_or_insert_with(|| Box::pin(crate::clock::sleep(after))).as_mut().poll(cx)
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
