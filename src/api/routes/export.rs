//! Export as a stream: all tuples of one state, in any format. What ends without an error is complete.

use std::cell::RefCell;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body as StreamBody, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::super::app::{App, TOKEN, at, head, respond};
use super::super::error::ApiError;
use super::super::query::Parameters;
use super::list_objects::STALLED_MAX;
use super::past::store_id;
use crate::bulk::{self, Compression, ExportError, Format};
use crate::engine::{At, TupleFilter};
use crate::tuple::StoreId;

/// Bytes that are sent together.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES_WAITING: usize = 4;

/// What is asked for.
struct Asked {
    store: StoreId,
    filter: TupleFilter,
    format: Format,
    compression: Compression,
    at: At,
}

impl Asked {
    fn read(app: &App, store: &str, query: &Parameters, headers: &HeaderMap) -> Result<Asked, ApiError> {
        let id = store_id(app, store, "ExportRequest")?;
        let filter = query.text("filter")?;
        let filter = filter
            .parse()
            .map_err(|error| ApiError::validation(format!("parsing field \"filter\": {error}")))?;
        let format = match query.text("format")? {
            "" => Format::JsonLines,
            text => text.parse().map_err(ApiError::validation)?,
        };
        if format == Format::StoreTest {
            return Err(ApiError::validation("a store test is more than tuples: choose another format"));
        }
        let compression = match query.text("compression")? {
            "" => Compression::None,
            text => text.parse().map_err(ApiError::validation)?,
        };
        Ok(Asked { store: id, filter, format, compression, at: at(headers)? })
    }

    fn content_type(&self) -> &'static str {
        match (self.compression, self.format) {
            (Compression::Gzip, _) => "application/gzip",
            (Compression::Zstd, _) => "application/zstd",
            (_, Format::Csv) => "text/csv; charset=utf-8",
            (_, Format::JsonLines) => "application/x-ndjson",
            (_, Format::Json) => "application/json",
            (_, Format::Yaml) => "application/yaml",
            _ => "text/plain; charset=utf-8",
        }
    }
}

pub(super) async fn export(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response<StreamBody> {
    let received = Instant::now();
    let asked = match Asked::read(&app, &store, &query, &headers) {
        Ok(asked) => asked,
        Err(error) => return respond(Some(&store), Err(error), received),
    };
    let content_type = asked.content_type();
    let (send, pieces) = mpsc::channel(PIECES_WAITING);
    let (begin, begun) = oneshot::channel();
    tokio::task::spawn_blocking(move || run(&app, &asked, begin, send));
    let token = match begun.await {
        Ok(Ok(token)) => token,
        Ok(Err(error)) => return respond(Some(&store), Err(error), received),
        Err(_) => return respond(Some(&store), Err(ApiError::internal()), received),
    };
    let mut response = Response::new(StreamBody::new(Pieces(pieces)));
    head(&mut response, Some(&store));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(token) = HeaderValue::from_str(&token) {
        headers.insert(TOKEN, token);
    }
    response
}

fn run(
    app: &App,
    asked: &Asked,
    begin: oneshot::Sender<Result<String, ApiError>>,
    send: mpsc::Sender<io::Result<Bytes>>,
) {
    let state = match app.engine.export(asked.store, asked.filter.clone(), &asked.at) {
        Ok(state) => state,
        Err(error) => {
            drop(begin.send(Err(error.into())));
            return;
        }
    };
    let begin = RefCell::new(Some((begin, app.engine.seal(&state.token()))));
    let begun = |out: Result<(), ApiError>| {
        if let Some((begin, token)) = begin.take() {
            drop(begin.send(out.map(|()| token)));
        }
    };
    let out = Out {
        send: send.clone(),
        piece: Vec::with_capacity(PIECE_BYTES),
        begun: &begun,
        runtime: Handle::current(),
    };
    let done = bulk::export(&state, out, asked.format, asked.compression, &mut |_| ());
    // The state need not be held while the last of it is on its way.
    drop(state);
    let failed = match done {
        Ok((_, mut out)) => out.flush().err(),
        Err(error) => {
            let failed = io::Error::other(error.to_string());
            // Nothing has been sent: the error is one of any request.
            begun(Err(match error {
                ExportError::Engine(error) => error.into(),
                ExportError::Write(error) => ApiError::validation(error.to_string()),
            }));
            Some(failed)
        }
    };
    // An export of nothing has begun too.
    begun(Ok(()));
    if let Some(error) = failed {
        // The client sees a body that breaks off.
        drop(send.blocking_send(Err(error)));
    }
}

/// The way of the bytes to the client.
struct Out<'b> {
    send: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
    /// Told before the first of it is sent.
    begun: &'b dyn Fn(Result<(), ApiError>),
    runtime: Handle,
}

impl Write for Out<'_> {
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
        (self.begun)(Ok(()));
        let piece = Bytes::from(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES)));
        // A client that takes nothing for long is left: what it is sent could not be collected meanwhile.
        let sent = tokio::time::timeout(STALLED_MAX, self.send.send(Ok(piece)));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The bytes as a body.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl axum::body::HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
