//! Bodies are read to their end before anything else, also those that no route asks for and those that are too large:
//! a connection with the rest of a body on it is closed, and clients would see that in place of the answer.
//!
//! A body has to be there in time, and the larger ones have to fit into memory together.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::request::Parts;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::{ConnectionLimits, refuse, respond};
use super::error::{ApiError, Code};

/// Of a body that is too large so much is read all the same. Who sends more is cut off.
pub(super) const PASSED_OVER_BYTES_MAX: usize = 64 << 20;
/// Bodies up to this size take no room; as many as there are connections may be in memory at once.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// How long the body of a request that is refused is waited for.
const PASSED_OVER_TIME: Duration = Duration::from_secs(1);
/// What room is counted in.
const ROOM_BYTES: usize = 1 << 10;

/// Takes the bodies of requests.
#[derive(Clone)]
pub(super) struct Bodies {
    /// Most bytes of one.
    limit: usize,
    time_max: Duration,
    /// Room for large ones.
    room: Arc<Semaphore>,
}

/// Room in memory, to be held as long as the body is.
pub(super) type Held = Option<OwnedSemaphorePermit>;

impl Bodies {
    pub(super) fn new(limit: usize, limits: &ConnectionLimits) -> Bodies {
        let room = (limits.bodies_bytes_max.max(limit) / ROOM_BYTES).min(Semaphore::MAX_PERMITS);
        Bodies { limit, time_max: limits.body_time_max, room: Arc::new(Semaphore::new(room)) }
    }

    /// Most bytes of a body.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Hands on the body as a whole. What is too large stays too large, if not as large as it was. That of an import is read
    /// as it comes.
    pub(super) async fn take(
        &self,
        request: Request<Body>,
        is_streamed_in: bool,
    ) -> Result<(Taken, Held), Box<Response<Body>>> {
        if is_streamed_in {
            return Ok((Taken::Stream(request), None));
        }
        let (parts, body) = request.into_parts();
        let held = self.hold(&body)?;
        match tokio::time::timeout(self.time_max, read(body, self.limit)).await {
            Ok(Some(whole)) => Ok((Taken::Whole(parts, whole), held)),
            Ok(None) => Err(Box::new(refuse(Code::ValidationError, "the body ends before its end"))),
            Err(_) => {
                let message = format!("the body did not come within {:?}", self.time_max);
                Err(Box::new(refuse(Code::ValidationError, &message)))
            }
        }
    }

    /// Room for a body, if it may be a large one.
    fn hold(&self, body: &Body) -> Result<Held, Box<Response<Body>>> {
        let hint = body.size_hint();
        let bytes = hint.upper().unwrap_or(u64::MAX).min(self.limit as u64) as usize;
        if bytes <= SMALL_BYTES_MAX {
            return Ok(None);
        }
        let wanted = u32::try_from(bytes.div_ceil(ROOM_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(wanted).map(Some).map_err(|_| {
            let busy =
                ApiError::new(Code::Busy, "the server holds as many large bodies as it may: try again later");
            Box::new(respond(None, Err(busy.retry_after(Duration::from_secs(1))), Instant::now()))
        })
    }
}
/// Reads on to the end of a body that nobody wants, as long as it is a small one that comes at once; whether that was so. Otherwise the
/// connection cannot be used again.
pub(super) async fn pass_over(body: Incoming) -> bool {
    let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES_MAX as u64);
    let mut body = Body::new(body);
    let to_its_end = async {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    is_small && tokio::time::timeout(PASSED_OVER_TIME, to_its_end).await.unwrap_or(false)
}

/// A request whose body has been seen to.
pub(super) enum Taken {
    /// With all of its body.
    Whole(Parts, Bytes),
    /// One whose body is read as it comes.
    Stream(Request<Body>),
}

impl Taken {
    pub(super) fn into_request(self) -> Request<Body> {
        match self {
            Taken::Whole(parts, body) => Request::from_parts(parts, Body::from(body)),
            Taken::Stream(request) => request,
        }
    }
}

/// The body, or more than `limit` bytes of it; none: it broke off.
async fn read(mut body: Body, limit: usize) -> Option<Bytes> {
    let mut first = Bytes::new();
    let mut whole: Vec<u8> = Vec::new();
    let mut passed_over = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        // Trailers say nothing that is asked for.
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if first.is_empty() {
            // Mostly there is only one part, which need not be copied.
            first = data;
        } else if first.len().max(whole.len()) <= limit {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&data);
        } else {
            passed_over += data.len();
            if passed_over > PASSED_OVER_BYTES_MAX {
                break;
            }
        }
    }
    Some(if whole.is_empty() { first } else { whole.into() })
}
