//! The response body of the layer: the inner service's, or that of a rejection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::settlement::Ending;

pin_project! {
    /// Either the body of the inner service, passed on untouched, or that of a rejection.
    ///
    /// Any body will do, as long as its data can be made from [`Bytes`], which is what the bodies
    /// of axum, hyper and tonic consist of.
    #[derive(Debug)]
    pub struct RateLimitBody<B> {
        #[pin]
        body: Either<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = EitherProjection]
    enum Either<B> {
        Inner {
            #[pin]
            body: B,
            // Boxed, because hardly any response has one.
            end: Option<Box<End>>,
        },
        Rejection { data: Option<Bytes> },
    }
}

/// What a body yields next.
type Next<B> = Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>;

/// What happens at the end of the inner service's body.
#[derive(Debug)]
struct End {
    ending: Ending,
    /// Trailers that are held back until then.
    trailers: Option<HeaderMap>,
    /// Whether the inner service's body has ended.
    is_reached: bool,
}

impl<B> RateLimitBody<B> {
    pub(crate) fn inner(body: B, ending: Option<Ending>) -> Self {
        let end = ending.map(|ending| Box::new(End { ending, trailers: None, is_reached: false }));
        Self { body: Either::Inner { body, end } }
    }

    pub(crate) fn rejection(data: Bytes) -> Self {
        // An empty body has no frames, so that a gRPC response can end with its head.
        Self { body: Either::Rejection { data: Some(data).filter(|data| !data.is_empty()) } }
    }
}

/// The default of the inner service's body, as layers around this one make it for their own
/// responses.
impl<B: Default> Default for RateLimitBody<B> {
    fn default() -> Self {
        Self::inner(B::default(), None)
    }
}

impl<B> Body for RateLimitBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.project() {
            EitherProjection::Inner { body, end } => match end {
                None => body.poll_frame(cx),
                Some(reaching) => {
                    let frame = ready!(reaching.poll_frame(body, cx));
                    if frame.is_none() {
                        *end = None;
                    }
                    Poll::Ready(frame)
                }
            },
            EitherProjection::Rejection { data } => {
                Poll::Ready(data.take().map(|data| Ok(Frame::data(data.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            // Whoever asks shall also ask for what is held back.
            Either::Inner { body, end } => end.is_none() && body.is_end_stream(),
            Either::Rejection { data } => data.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Either::Inner { body, .. } => body.size_hint(),
            Either::Rejection { data } => {
                let length = data.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}

impl End {
    /// The next frame of the body. Its end, or the trailers that announce it, comes after the
    /// correction of the charge.
    fn poll_frame<B>(&mut self, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Next<B>>
    where
        B: Body,
        B::Data: From<Bytes>,
    {
        if !self.is_reached {
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_trailers() {
                    Ok(trailers) => self.trailers = Some(trailers),
                    Err(data) => {
                        let data = data.map_data(|data| self.ending.read_along(data));
                        if body.is_end_stream() {
                            // Servers that know the length may not ask again, so the correction
                            // begins now. Data cannot be held back for it.
                            self.is_reached = true;
                            let _ = self.ending.poll(None, cx);
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                },
                // The charge stands: nobody knows what the response would have been.
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
            self.is_reached = true;
        }
        ready!(self.ending.poll(self.trailers.as_ref(), cx));
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
