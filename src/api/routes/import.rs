//! Import as a stream: JSON lines come in, and are answered as they are taken, a JSON line each time.
//!
//! `{"taken":{"line":N,…}}` now and then, `{"bad":{"line":N,"reason":"…"}}` for a line that cannot be taken, and at the end
//! `{"done":{…}}`, `{"more":{…}}` when the client goes on in a further request, `{"ended":{…}}` when a bad line ended it, or
//! `{"error":{…}}`.

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::body::{Body as StreamBody, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Response, header};
use http_body::{Body as _, Frame};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::super::app::{Answer, App, head, respond};
use super::super::body::PASSED_OVER_BYTES_MAX;
use super::super::error::{ApiError, Code};
use super::super::forms::ImportedForm;
use super::super::load::Class;
use super::super::query::Parameters;
use super::list_objects::{Chunks, STALLED_MAX};
use super::past::store_id;
use crate::bulk::{Format, GENTLE_PART_TUPLES, Import, ImportOptions, MEMORY_BYTES, TupleLines, Way};
use crate::engine::{OnDuplicate, Place, digest};
use crate::tuple::SchemaId;

/// Pieces of a body that wait to be read.
const PIECES_WAITING: usize = 8;
/// Answers that wait for the client, which may send everything before it reads: what is told on the way is left out beyond.
const ANSWERS_WAITING: usize = 16_384;
/// Bad lines that are told one by one.
const BAD_TOLD_MAX: u64 = 10_000;
/// How often is told how far an import has come.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Characters of an import's name.
const NAME_CHARS_MAX: usize = 200;

/// How far an import has come.
pub(super) async fn find(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
) -> Response<StreamBody> {
    app.run(Class::Bulk, Some(store), move |app, store| {
        let asked = Asked::read(app, store, &query)?;
        if !asked.is_named {
            return Err(ApiError::validation("pass `import`, the name that it was begun with"));
        }
        let import = Import::begin(&app.engine, asked.options)?;
        let line = import.resumed().map(read_line).transpose()?;
        Ok(Answer::json(&json!({ "line": line.unwrap_or(0), "begun": line.is_some() })))
    })
    .await
}

pub(super) async fn import(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    body: StreamBody,
) -> Response<StreamBody> {
    let received = Instant::now();
    let asked = match Asked::read(&app, &store, &query) {
        Ok(asked) => asked,
        Err(error) => return respond(Some(&store), Err(error), received),
    };
    let place = match app.load.enter(Class::Bulk).await {
        Ok(place) => place,
        Err(busy) => return respond(Some(&store), Err(busy), received),
    };
    let (to_reader, pieces) = mpsc::channel(PIECES_WAITING);
    tokio::spawn(forward(body, to_reader));
    let (send, chunks) = mpsc::channel(ANSWERS_WAITING);
    let (begin, begun) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        run(&app, asked, pieces, begin, &Told { send });
        drop(place);
    });
    match begun.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return respond(Some(&store), Err(error), received),
        Err(_) => return respond(Some(&store), Err(ApiError::internal()), received),
    }
    let mut response = Response::new(StreamBody::new(Chunks(chunks)));
    head(&mut response, Some(&store));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// What is asked for.
struct Asked {
    options: ImportOptions,
    /// The line that the body begins behind.
    from: u64,
    /// Whether the client goes on in a further request.
    has_more: bool,
    is_named: bool,
}

impl Asked {
    fn read(app: &App, store: &str, query: &Parameters) -> Result<Asked, ApiError> {
        let id = store_id(app, store, "ImportRequest")?;
        let name = query.text("import")?;
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(ApiError::validation(format!("`import` has more than {NAME_CHARS_MAX} characters")));
        }
        let is_named = !name.is_empty();
        let unique = if is_named { name.to_owned() } else { ulid::Ulid::generate().to_string() };
        let flag = |name: &str| match query.text(name)? {
            "" | "false" => Ok(false),
            "true" => Ok(true),
            other => Err(ApiError::validation(format!("`{name}` is `{other}`: pass `true` or `false`"))),
        };
        let way = match query.text("way")? {
            "" | "live" => Way::Live,
            "files" => Way::Files,
            other => return Err(ApiError::validation(format!("`way` is `{other}`: pass `live` or `files`"))),
        };
        let on_duplicate = match query.text("on_duplicate")? {
            "" | "error" => OnDuplicate::Error,
            "ignore" => OnDuplicate::Ignore,
            "replace" => OnDuplicate::Replace,
            other => {
                let message = format!("`on_duplicate` is `{other}`: pass `error`, `ignore` or `replace`");
                return Err(ApiError::validation(message));
            }
        };
        let is_strict = match query.text("on_error")? {
            "" | "stop" => true,
            "skip" => false,
            other => {
                return Err(ApiError::validation(format!("`on_error` is `{other}`: pass `stop` or `skip`")));
            }
        };
        let schema = match query.text("schema")? {
            "" => None,
            text => Some(text.parse::<SchemaId>().map_err(|error| ApiError::validation(error.to_string()))?),
        };
        let from = query.text("from")?;
        let from = if from.is_empty() { Ok(0) } else { from.parse::<u64>() };
        let from = from.map_err(|_| ApiError::validation("`from` is no whole number"))?;
        let parts = [id.to_string(), format!("{way:?}"), unique.clone()];
        Ok(Asked {
            options: ImportOptions {
                store: id,
                schema,
                way,
                on_duplicate,
                is_strict,
                is_trial: flag("dry_run")?,
                identity: digest(&parts),
                about: if is_named { unique } else { "a stream without a name".to_owned() },
                restart: flag("restart")?,
                memory_bytes: MEMORY_BYTES,
                part_tuples: GENTLE_PART_TUPLES,
                is_gentle: true,
            },
            from,
            has_more: flag("more")?,
            is_named,
        })
    }
}

fn read_line(position: &str) -> Result<u64, ApiError> {
    position.parse().map_err(|_| {
        let message =
            "this import was begun by `stonetown import` on the data directory: go on with it there";
        ApiError::new(Code::Conflict, message)
    })
}

/// Hands the pieces of a body on to the thread that reads it. When that has ended, the rest is passed over: a client that sends
/// everything before it reads would see a closed connection in place of the answer.
async fn forward(mut body: StreamBody, to: mpsc::Sender<io::Result<Bytes>>) {
    let mut passed_over = 0;
    while passed_over <= PASSED_OVER_BYTES_MAX {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let piece = match tokio::time::timeout(STALLED_MAX, frame).await {
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came for five minutes")),
            Ok(None) => return,
            Ok(Some(Err(error))) => Err(io::Error::other(error)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(piece) => Ok(piece),
                // Trailers.
                Err(_) => continue,
            },
        };
        let is_last = piece.is_err();
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        if to.send(piece).await.is_err() {
            passed_over += bytes;
        }
        if is_last {
            return;
        }
    }
}

/// A body as it comes.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
        }
        let taken = self.current.split_to(self.current.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// The way to the client.
struct Told {
    send: mpsc::Sender<Frame<Bytes>>,
}

impl Told {
    /// On the way: left out when too much waits already.
    fn tell(&self, event: &Value) {
        drop(self.send.try_send(Told::frame(event)));
    }

    fn tell_last(&self, event: &Value) {
        drop(self.send.blocking_send(Told::frame(event)));
    }

    fn frame(event: &Value) -> Frame<Bytes> {
        Frame::data(format!("{event}\n").into())
    }
}

fn run(
    app: &App,
    asked: Asked,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    begin: oneshot::Sender<Result<(), ApiError>>,
    told: &Told,
) {
    let begun = Import::begin(&app.engine, asked.options.clone()).map_err(ApiError::from).and_then(|import| {
        let line = import.resumed().map(read_line).transpose()?.unwrap_or(0);
        // Of a live trial nothing is kept between requests.
        let is_kept = !(asked.options.is_trial && asked.options.way == Way::Live);
        if line != asked.from && is_kept {
            let message = format!(
                "this import has taken {line} lines, the request begins behind line {}: send what comes behind line \
                 {line}, with `from={line}`, or begin anew with `restart=true`",
                asked.from
            );
            return Err(ApiError::new(Code::Conflict, message));
        }
        Ok(import)
    });
    let import = match begun {
        Ok(import) => import,
        Err(error) => {
            drop(begin.send(Err(error)));
            return;
        }
    };
    if begin.send(Ok(())).is_err() {
        return;
    }
    match take(app, import, &asked, pieces, told) {
        Ok(last) => told.tell_last(&last),
        Err(error) => {
            told.tell_last(&json!({ "error": { "code": error.code.name(), "message": error.message } }))
        }
    }
}

/// Takes every line; the answer is the last event.
fn take(
    app: &App,
    mut import: Import<'_>,
    asked: &Asked,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    told: &Told,
) -> Result<Value, ApiError> {
    let body = Pieces { pieces, current: Bytes::new() };
    let mut lines = TupleLines::over(Box::new(body), "the body", Format::JsonLines)
        .map_err(|error| ApiError::validation(error.to_string()))?;
    let is_strict = asked.options.is_strict;
    let mut bad = 0;
    let mut report = |place: Place, reason: crate::bulk::Reason| {
        bad += 1;
        if bad <= BAD_TOLD_MAX {
            let kind = reason.kind().to_string();
            told.tell(&json!({ "bad": { "line": place.line, "reason": reason.as_str(), "kind": kind } }));
        }
        if is_strict { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut last_told = Instant::now();
    let mut line_after = asked.from;
    while let Some(line) = lines.next().map_err(|error| ApiError::validation(error.to_string()))? {
        let place = Place { input: 0, line: asked.from + line.line };
        line_after = asked.from + line.after.line;
        let flow = match line.tuple {
            Ok(tuple) => import.take(place, &tuple, &|| line_after.to_string(), &mut report)?,
            Err(reason) => report(place, reason),
        };
        if flow.is_break() {
            let so_far = import.so_far().map(|(token, counts)| ImportedForm::of(token, counts, &app.engine));
            import.end()?;
            return Ok(json!({ "ended": { "line": place.line, "so_far": so_far } }));
        }
        if last_told.elapsed() >= TOLD_EVERY {
            last_told = Instant::now();
            let so_far = import.so_far().map(|(token, counts)| ImportedForm::of(token, counts, &app.engine));
            told.tell(&json!({ "taken": { "line": line_after, "so_far": so_far } }));
        }
    }
    if asked.has_more {
        let flow = import.flush(line_after.to_string(), &mut report)?;
        let so_far = import.so_far().map(|(token, counts)| ImportedForm::of(token, counts, &app.engine));
        let name = if flow.is_break() { "ended" } else { "more" };
        return Ok(json!({ name: { "line": line_after, "so_far": so_far } }));
    }
    let done = import.finish(&line_after.to_string(), &mut report, &|_| ())?;
    Ok(match done {
        Some(answer) => {
            let form = ImportedForm::of(answer.token, answer.counts, &app.engine);
            json!({ "done": { "line": line_after, "bad": bad, "did": form } })
        }
        None => json!({ "ended": { "line": line_after } }),
    })
}
