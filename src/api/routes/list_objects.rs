//! List objects, as a whole or as a stream.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body as ResponseBody, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::super::app::{Answer, App, Charge, SCHEMA_ID, TOKEN, head, ids, respond};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::held::Held;
use super::super::load::Class;
use super::super::page::{Kind, Pages};
use super::super::translate::{self, unknown_relation, unknown_type};
use super::super::tuples;
use super::super::wire::{self, ListObjectsRequest, OrEmpty};
use super::Body;
use super::lists::{FOR_PARTS, Part, digest_of, rest};
use crate::engine::{EngineError, EvalError, Given, ListEnd, ListObjects, Listed, View, within};
use crate::tuple::{ObjectRef, Subject};

/// After so long a client that takes nothing is left: what it is sent could not be collected meanwhile.
pub(super) const STALLED_MAX: Duration = Duration::from_secs(300);
/// Bytes of lines that are sent together.
const CHUNK_BYTES: usize = 32 << 10;
/// How long a line waits for others.
const CHUNK_TIME: Duration = Duration::from_millis(10);
/// Chunks that wait for the client.
const CHUNKS_WAITING: usize = 4;

pub(super) async fn list(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::List, Some(store), move |app, store| {
        let request = wire::read(super::bytes(&body)?)?;
        let (asked, view) = Asked::read(app, store, &headers, request, "ListObjectsRequest")?;
        let mut body = b"{\"objects\":[".to_vec();
        let begin = body.len();
        let mut held = Held::new(app.limits.answer_bytes_max);
        let listed = asked.list(&view, &mut |object| {
            let before = body.len();
            if before > begin {
                body.push(b',');
            }
            push_text(&mut body, object);
            held.take(body.len() - before)
        });
        let under = |error: ApiError| error.under(view.schema());
        let listed = listed.map_err(under)?;
        held.finish(&format!("ask streamed-list-objects, or {FOR_PARTS}")).map_err(under)?;
        body.extend_from_slice(b"]}");
        let mut answer = Answer::of(body).of_view(app, &view);
        for (name, value) in rest(app, &view, &asked.pages, &listed) {
            answer = answer.with(name, &value);
        }
        Ok(answer)
    })
    .await
}

/// An object as a JSON text.
fn push_text(body: &mut Vec<u8>, object: ObjectRef<'_>) {
    // A text can always be written, and into memory.
    let _ = serde_json::to_writer(body, &object.to_string());
}

/// What is asked.
struct Asked {
    object_type: String,
    relation: String,
    subject: Subject,
    given: Given,
    part: Part,
    pages: Pages,
}

impl Asked {
    /// With the view that it is asked of.
    fn read<'a>(
        app: &'a App,
        store: &str,
        headers: &HeaderMap,
        request: ListObjectsRequest,
        name: &'static str,
    ) -> Result<(Asked, View<'a>), ApiError> {
        let mut fields = Fields::of(name);
        let schema = request.authorization_model_id.text();
        ids(&mut fields, store, schema);
        fields.form("Type", request.object_type.text(), Form::TypeName);
        fields.form("Relation", request.relation.text(), Form::RelationName);
        let user = request.user.text();
        if user.is_empty() || user.len() > 512 {
            fields.wrong("User", "value length must be between 1 and 512 bytes, inclusive");
        }
        let keys = tuples::look_at_contextual(&mut fields, app, &request.contextual_tuples);
        fields.consistency(&request.consistency);
        fields.finish()?;
        let (object_type, relation) = (request.object_type.text(), request.relation.text());
        let digest = digest_of(keys);
        let context = request.context.as_ref().map(|context| json!(context).to_string());
        let life = app.life(store);
        let parts = [&life, schema, object_type, relation, user, &digest, context.text()];
        let pages = Pages::of(Kind::Objects, &parts);
        let part = Part::of(headers, &pages)?;
        let view = app.view(store, schema, &part.at)?;
        let under = |error: ApiError| error.under(view.schema());
        let subject = translate::subject(user)
            .map_err(|reason| under(ApiError::validation(format!("invalid 'user' value: {reason}"))))?;
        let asked = Asked {
            object_type: object_type.to_owned(),
            relation: relation.to_owned(),
            subject: subject.to_owned(),
            given: tuples::given(keys, request.context.as_ref()).map_err(under)?,
            part,
            pages,
        };
        Ok((asked, view))
    }

    /// Visits the objects, as many as are wanted.
    fn list(
        &self,
        view: &View<'_>,
        visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
    ) -> Result<Listed, ApiError> {
        let mut left = self.part.limit;
        self.list_while(view, &mut |object| {
            visit(object)?;
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn list_while(
        &self,
        view: &View<'_>,
        visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
    ) -> Result<Listed, ApiError> {
        let request = ListObjects {
            object_type: &self.object_type,
            relation: &self.relation,
            subject: self.subject.as_ref(),
            after: self.part.after.as_ref(),
            time_max: self.part.time_max,
        };
        view.list_objects(&request, &self.given, visit).map_err(|error| self.name_error(error))
    }

    /// Names of what is listed are told apart from those of the user.
    fn name_error(&self, error: EngineError) -> ApiError {
        let invalid_user = |message: String| ApiError::validation(format!("invalid 'user' value: {message}"));
        match error {
            EngineError::Eval(EvalError::UnknownType { name, .. }) => {
                let message = unknown_type(&name);
                if name == self.object_type {
                    ApiError::new(Code::TypeNotFound, message)
                } else {
                    invalid_user(message)
                }
            }
            EngineError::Eval(EvalError::UnknownRelation { object_type, relation, .. }) => {
                let message = unknown_relation(&object_type, &relation);
                if object_type == self.object_type && relation == self.relation {
                    ApiError::new(Code::RelationNotFound, message)
                } else {
                    invalid_user(message)
                }
            }
            error => error.into(),
        }
    }
}

/// How a stream begins.
struct Begun {
    schema: String,
    token: String,
}

/// The lines as they are found. The first goes out at once, so that the client need not wait for the list to end.
pub(super) async fn stream(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    charge: Charge,
    body: Body,
) -> Response<ResponseBody> {
    let received = Instant::now();
    let request = match super::bytes(&body).and_then(|body| wire::read(body)) {
        Ok(request) => request,
        // Nothing of a stream has begun: the error is one of any request.
        Err(error) => return respond(Some(&store), Err(error), received),
    };
    let place = match app.load.enter(Class::Stream).await {
        Ok(place) => place,
        Err(busy) => return respond(Some(&store), Err(busy), received),
    };
    let deadline = app.deadline(Class::Stream, received);
    let (begin, begun) = oneshot::channel();
    let (send, chunks) = mpsc::channel(CHUNKS_WAITING);
    let of = store.clone();
    let load = Arc::clone(&app.load);
    load.begin(Class::Stream, move || {
        let mut lines = Lines { begin: Some(begin), send, buffer: Vec::new(), sent: None, is_gone: false };
        let (made, reads) = within(deadline, || produce(&app, &of, &headers, request, &mut lines));
        charge.take(reads);
        if let Err(error) = made {
            lines.fail(error);
        }
        drop(place);
    });
    let mut response = match begun.await {
        Ok(Ok(Begun { schema, token })) => {
            let mut response = Response::new(ResponseBody::new(Chunks(chunks)));
            let trailers = HeaderValue::from_static("stonetown-incomplete, stonetown-continuation");
            let values = [(SCHEMA_ID, schema), (TOKEN, token)];
            for (name, value) in values {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response.headers_mut().insert(header::TRAILER, trailers);
            response
        }
        Ok(Err(error)) => refused(&error),
        Err(_) => refused(&ApiError::internal()),
    };
    head(&mut response, Some(&store));
    response
}

fn refused(error: &ApiError) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(error.streamed()));
    *response.status_mut() = error.code.status();
    if let Some(value) = error.schema.and_then(|schema| HeaderValue::from_str(&schema.to_string()).ok()) {
        response.headers_mut().insert(SCHEMA_ID, value);
    }
    response
}

fn produce(
    app: &App,
    store: &str,
    headers: &HeaderMap,
    request: ListObjectsRequest,
    lines: &mut Lines,
) -> Result<(), ApiError> {
    let (asked, view) = Asked::read(app, store, headers, request, "StreamedListObjectsRequest")?;
    let begun = || Begun { schema: view.schema().to_string(), token: app.engine.seal(&view.token()) };
    let mut left = asked.part.limit;
    let listed = asked.list_while(&view, &mut |object| {
        lines.begin(begun);
        lines.push(object);
        left -= 1;
        if left == 0 || lines.is_gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let listed = listed.map_err(|error| error.under(view.schema()))?;
    lines.begin(begun);
    lines.flush();
    if listed.end != ListEnd::Complete && !lines.is_gone {
        let mut trailers = HeaderMap::new();
        for (name, value) in rest(app, &view, &asked.pages, &listed) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                trailers.insert(name, value);
            }
        }
        // A client that went away need not be told.
        send_in_time(&lines.send, Frame::trailers(trailers));
    }
    Ok(())
}

/// Sends, from where it may block, to a client that is not gone and takes something before long: what a list reads is held
/// until it ends.
fn send_in_time(send: &mpsc::Sender<Frame<Bytes>>, frame: Frame<Bytes>) -> bool {
    let sending = tokio::time::timeout(STALLED_MAX, send.send(frame));
    matches!(tokio::runtime::Handle::current().block_on(sending), Ok(Ok(())))
}

/// The lines of a stream on their way to the client, who sets the pace.
struct Lines {
    begin: Option<oneshot::Sender<Result<Begun, ApiError>>>,
    send: mpsc::Sender<Frame<Bytes>>,
    buffer: Vec<u8>,
    /// None: nothing has been sent yet.
    sent: Option<Instant>,
    is_gone: bool,
}

impl Lines {
    /// Answers with success, unless that was done before.
    fn begin(&mut self, begun: impl FnOnce() -> Begun) {
        if let Some(begin) = self.begin.take() {
            self.is_gone |= begin.send(Ok(begun())).is_err();
        }
    }

    fn push(&mut self, object: ObjectRef<'_>) {
        self.buffer.extend_from_slice(b"{\"result\":{\"object\":");
        push_text(&mut self.buffer, object);
        self.buffer.extend_from_slice(b"}}\n");
        let is_due = || self.sent.is_none_or(|sent| sent.elapsed() >= CHUNK_TIME);
        if self.buffer.len() >= CHUNK_BYTES || is_due() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.sent = Some(Instant::now());
        if self.buffer.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES + 512));
        self.is_gone |= !send_in_time(&self.send, Frame::data(chunk.into()));
    }

    /// An error: the answer, if there is none yet, else the last line.
    fn fail(&mut self, error: ApiError) {
        match self.begin.take() {
            Some(begin) => drop(begin.send(Err(error))),
            None => {
                self.buffer.extend_from_slice(&error.streamed());
                self.flush();
            }
        }
    }
}

/// The body of a stream.
pub(super) struct Chunks(pub(super) mpsc::Receiver<Frame<Bytes>>);

impl axum::body::HttpBody for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}
