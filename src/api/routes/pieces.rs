//! A body that is sent while it is made, in pieces. What ends without an error is complete.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body as StreamBody, Bytes};
use axum::http::{HeaderValue, Response, header};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::super::app::{App, Charge, TOKEN, head, respond};
use super::super::error::ApiError;
use super::super::load::Class;
use super::list_objects::STALLED_MAX;
use crate::engine::within;

/// Bytes that are sent together.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES_WAITING: usize = 4;

/// Runs what makes a body where it may block, when there is room for it, and sends what it writes. An error before the first piece is answered as of
/// any request; a later one breaks the body off.
pub(super) async fn streamed(
    app: App,
    class: Class,
    charge: Charge,
    store: &str,
    content_type: &'static str,
    make: impl FnOnce(&App, &mut Pieces) -> Result<(), ApiError> + Send + 'static,
) -> Response<StreamBody> {
    let received = Instant::now();
    let place = match app.load.enter(class).await {
        Ok(place) => place,
        Err(busy) => return respond(Some(store), Err(busy), received),
    };
    let deadline = app.deadline(class, received);
    let (send, pieces) = mpsc::channel(PIECES_WAITING);
    let (begin, begun) = oneshot::channel();
    let load = Arc::clone(&app.load);
    load.begin(class, move || {
        let piece = Vec::with_capacity(PIECE_BYTES);
        let runtime = Handle::current();
        let mut out = Pieces { send, piece, begin: Some(begin), token: String::new(), runtime };
        let (made, reads) = within(deadline, || make(&app, &mut out));
        charge.take(reads);
        out.end(made);
        drop(place);
    });
    let token = match begun.await {
        Ok(Ok(token)) => token,
        Ok(Err(error)) => return respond(Some(store), Err(error), received),
        Err(_) => return respond(Some(store), Err(ApiError::internal()), received),
    };
    let mut response = Response::new(StreamBody::new(Received(pieces)));
    head(&mut response, Some(store));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(token) = HeaderValue::from_str(&token) {
        headers.insert(TOKEN, token);
    }
    response
}

/// The way of the bytes to the client.
pub(super) struct Pieces {
    send: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
    /// Told before the first of it is sent.
    begin: Option<oneshot::Sender<Result<String, ApiError>>>,
    token: String,
    runtime: Handle,
}

impl Pieces {
    /// The state that the body is of.
    pub(super) fn of_state(&mut self, token: String) {
        self.token = token;
    }

    fn begun(&mut self, out: Result<(), ApiError>) {
        if let Some(begin) = self.begin.take() {
            drop(begin.send(out.map(|()| self.token.clone())));
        }
    }

    fn end(&mut self, made: Result<(), ApiError>) {
        let failed = match made {
            Ok(()) => self.flush().err(),
            Err(error) => {
                let failed = io::Error::other(error.message.clone());
                self.begun(Err(error));
                Some(failed)
            }
        };
        // A body of nothing has begun too.
        self.begun(Ok(()));
        if let Some(error) = failed {
            // The client sees a body that breaks off.
            drop(self.send.blocking_send(Err(error)));
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.begun(Ok(()));
        let piece = Bytes::from(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES)));
        // A client that takes nothing for long is left: what it is sent could not be collected meanwhile.
        let sent = async { tokio::time::timeout(STALLED_MAX, self.send.send(Ok(piece))).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The bytes as a body.
struct Received(mpsc::Receiver<io::Result<Bytes>>);

impl axum::body::HttpBody for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
