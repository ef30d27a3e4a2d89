//! Bodies are read to their end before anything else, also those that no route asks for and those that are too large:
//! a connection with the rest of a body on it is closed, and clients would see that in place of the answer.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response};

use super::app::refuse;
use super::error::Code;

/// Of a body that is too large so much is read all the same. Who sends more is cut off.
pub(super) const PASSED_OVER_BYTES_MAX: usize = 64 << 20;

/// Hands on the body as a whole. What is too large stays too large, if not as large as it was. That of an import is read as it
/// comes.
pub(super) async fn take_whole(request: Request<Body>, limit: usize) -> Result<Taken, Response<Body>> {
    if is_stream(&request) {
        return Ok(Taken::Stream(request));
    }
    let (parts, body) = request.into_parts();
    match read(body, limit).await {
        Some(whole) => Ok(Taken::Whole(parts, whole)),
        None => Err(refuse(Code::ValidationError, "the body ends before its end")),
    }
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

fn is_stream(request: &Request<Body>) -> bool {
    let path = request.uri().path().strip_prefix("/stores/");
    let of_store = path.and_then(|path| path.split_once('/'));
    request.method() == Method::POST && of_store.is_some_and(|(_, verb)| verb == "import")
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
