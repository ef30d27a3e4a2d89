//! Watch: every change, once and in order, as it is made: server-sent events.
//!
//! An event's `id` is the place behind its change. A client that comes back with the last id it has seen (as
//! `Last-Event-ID`, or `after`) misses nothing and sees nothing twice. Heartbeats carry an id too, so that a filter that
//! matches little does not lead far back.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use axum::body::{Body as ResponseBody, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use http_body::Frame;
use tokio::sync::mpsc;

use super::super::app::{App, head, respond};
use super::super::error::ApiError;
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::page::{Kind, Pages, invalid_token};
use super::super::query::Parameters;
use super::super::translate::no_store;
use super::super::verb::verb;
use super::changes::change_json;
use super::list_objects::{Chunks, STALLED_MAX};
use crate::engine::{ChangesFrom, ChangesRequest, Pin};
use crate::tuple::{Revision, StoreId};

/// Changes that are read, and sent, together.
const CHANGES: usize = 500;
/// Chunks that wait for the client.
const CHUNKS_WAITING: usize = 2;
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often, at least, it is looked whether the client still may.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) async fn watch(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<ResponseBody> {
    let begun = Instant::now();
    let watching = match app.load.enter(Class::Watch).await {
        Ok(place) => place,
        Err(busy) => return respond(Some(&store), Err(busy), begun),
    };
    let asked = {
        let (app, store) = (app.clone(), store.clone());
        tokio::task::spawn_blocking(move || Watch::read(app, &store, &query, uri, headers)).await
    };
    let watch = match asked {
        Ok(Ok(watch)) => watch,
        Ok(Err(error)) => return respond(Some(&store), Err(error), begun),
        Err(_) => {
            let error = ApiError::internal();
            return respond(Some(&store), Err(error), begun);
        }
    };
    let (send, chunks) = mpsc::channel(CHUNKS_WAITING);
    tokio::spawn(async move {
        watch.run(send).await;
        drop(watching);
    });
    let mut response = Response::new(ResponseBody::new(Chunks(chunks)));
    head(&mut response, Some(&store));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The place behind a change: its revision, and its number in it.
type Place = (Revision, u32);

struct Watch {
    app: App,
    store: StoreId,
    /// One that is begun again under the same id is another one.
    life: String,
    object_type: Option<String>,
    pages: Pages,
    place: Place,
    /// Holds the log behind the place.
    held: Pin,
    heartbeat: Duration,
    /// What the client asked, and what it showed for that.
    uri: Uri,
    headers: HeaderMap,
}

/// Some changes as events, and where they end.
struct Read {
    events: Vec<u8>,
    place: Place,
    held: Pin,
    /// There may be more at once.
    is_full: bool,
}

/// Whether the client took it, before long.
async fn sent(send: &mpsc::Sender<Frame<Bytes>>, events: Vec<u8>) -> bool {
    matches!(tokio::time::timeout(STALLED_MAX, send.send(Frame::data(events.into()))).await, Ok(Ok(())))
}

/// Tells why there is no more.
async fn end(send: &mpsc::Sender<Frame<Bytes>>, error: ApiError) {
    let event = format!("event: error\ndata: {}\n\n", serde_json::Value::String(error.message));
    sent(send, event.into_bytes()).await;
}

impl Watch {
    fn read(
        app: App,
        store: &str,
        query: &Parameters,
        uri: Uri,
        headers: HeaderMap,
    ) -> Result<Watch, ApiError> {
        let mut fields = Fields::of("WatchRequest");
        fields.form("StoreId", store, Form::Id);
        let object_type = query.text("type")?;
        fields.form("Type", object_type, Form::ChangesType);
        let heartbeat = match query.number("heartbeat_ms")? {
            None => HEARTBEAT,
            Some(millis @ 10..=3_600_000) => Duration::from_millis(millis as u64),
            Some(_) => {
                fields.wrong("HeartbeatMs", "value must be inside range [10, 3600000]");
                HEARTBEAT
            }
        };
        fields.finish()?;
        let id = app.store(store).ok_or_else(no_store)?;
        let pages = Pages::of(Kind::Watch, &[&app.life(store), object_type]);
        let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).unwrap_or("");
        let after = if last.is_empty() { query.text("after")? } else { last };
        let place = match after {
            "" => (app.engine.newest(id)?.revision, u32::MAX),
            "oldest" => (app.engine.oldest(id)?.0, u32::MAX),
            // An event's id, or the token of a state.
            after => match pages.place(after) {
                Ok(Some(place)) => {
                    let place = super::changes::read_place(&place).ok_or_else(invalid_token)?;
                    if place.0 > app.engine.newest(id)?.revision {
                        return Err(invalid_token());
                    }
                    place
                }
                _ => (app.engine.revision_of_token(id, after)?, u32::MAX),
            },
        };
        let object_type = (!object_type.is_empty()).then(|| object_type.to_owned());
        let held = app.engine.hold_log(id, place)?;
        let life = app.life(store);
        Ok(Watch { app, store: id, life, object_type, pages, place, held, heartbeat, uri, headers })
    }

    /// Whether the client still may: keys are taken away, and tokens end.
    async fn permit(&self) -> Result<(), ApiError> {
        match &self.app.access {
            None => Ok(()),
            Some(access) => {
                access.identify(&self.headers).await?.permit(&verb(&Method::GET, self.uri.path()))
            }
        }
    }

    /// Until the client goes away, or may no longer, or the server ends. Before anything is sent it is looked whether the client still may, and
    /// from time to time where nothing is.
    async fn run(mut self, send: mpsc::Sender<Frame<Bytes>>) {
        let mut newest = self.app.watchers.subscribe(self.store);
        let mut stopping = self.app.watchers.stopping();
        let begin = format!("retry: 1000\n{}", self.heartbeat());
        if send.send(Frame::data(begin.into())).await.is_err() {
            return;
        }
        let mut beat_at = Instant::now() + self.heartbeat;
        let mut look_at = Instant::now() + LOOK_EVERY;
        while !*stopping.borrow() {
            // What is written from here on wakes.
            newest.mark_unchanged();
            let (watch, read) = match tokio::task::spawn_blocking(move || {
                let read = self.changes();
                (self, read)
            })
            .await
            {
                Ok((watch, Ok(read))) => (watch, read),
                // Nothing is held while the client is waited for.
                Ok((watch, Err(error))) => {
                    drop(watch);
                    return end(&send, error).await;
                }
                Err(_) => return,
            };
            self = watch;
            self.place = read.place;
            self.held = read.held;
            let mut events = read.events;
            if events.is_empty() && Instant::now() >= beat_at {
                events = self.heartbeat().into_bytes();
            }
            if !events.is_empty() || Instant::now() >= look_at {
                if let Err(refusal) = self.permit().await {
                    drop(self);
                    return end(&send, refusal).await;
                }
                look_at = Instant::now() + LOOK_EVERY;
            }
            if !events.is_empty() {
                if !sent(&send, events).await {
                    return;
                }
                beat_at = Instant::now() + self.heartbeat;
            }
            if read.is_full {
                continue;
            }
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                // Nobody is woken by the end of a store: it is found by the next look.
                () = tokio::time::sleep_until(beat_at.min(look_at).into()) => {}
                () = send.closed() => return,
                _ = stopping.changed() => return,
            }
        }
    }

    fn heartbeat(&self) -> String {
        format!("event: heartbeat\nid: {}\ndata: {{}}\n\n", self.id(self.place))
    }

    fn id(&self, (revision, ordinal): Place) -> String {
        self.pages.token(&format!("{revision}.{ordinal}"))
    }

    /// The next changes.
    fn changes(&self) -> Result<Read, ApiError> {
        if self.app.life(&self.store.to_string()) != self.life {
            return Err(no_store());
        }
        // Everything up to here is seen by what is read below.
        let newest = self.app.engine.newest(self.store)?.revision;
        let (mut events, mut place, mut is_full) = (Vec::new(), self.place, false);
        let request = ChangesRequest {
            store: self.store,
            from: ChangesFrom::Behind(self.place.0, self.place.1),
            object_type: self.object_type.clone(),
        };
        let mut count = 0;
        self.app.engine.changes(&request, &mut |change, revision| {
            place = (change.revision, change.ordinal);
            let id = self.id(place);
            let event = change_json(change, revision.time);
            let kind = if change.tuple.is_some() { "change" } else { "purge" };
            events.extend_from_slice(format!("event: {kind}\nid: {id}\ndata: {event}\n\n").as_bytes());
            count += 1;
            is_full = count == CHANGES;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if !is_full {
            place = place.max((newest, u32::MAX));
        }
        // What is held so far holds it until now.
        let held = self.app.engine.hold_log(self.store, place)?;
        Ok(Read { events, place, held, is_full })
    }
}
