//! Changes: the log, oldest first. Its tokens never end: the one of the last page shows what comes later.

use std::ops::ControlFlow;

use axum::body::Body as ResponseBody;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::super::app::{Answer, App};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::page::{Kind, Pages, invalid_token};
use super::super::query::Parameters;
use super::super::wire::{time, tuple_json};
use super::read::page_size;
use crate::engine::{ChangeKind, ChangeRecord, ChangesFrom, ChangesRequest, EngineError, StorageError};
use crate::tuple::{Revision, Timestamp};

const WRITE: &str = "TUPLE_OPERATION_WRITE";
const DELETE: &str = "TUPLE_OPERATION_DELETE";

pub(super) async fn changes(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response<ResponseBody> {
    app.run(Class::List, Some(store), move |app, store| {
        let mut fields = Fields::of("ReadChangesRequest");
        fields.form("StoreId", store, Form::Id);
        let (size, start) = (query.number("page_size")?, query.time("start_time")?);
        let size = match size {
            // Told in other words than for any other list.
            Some(..=0) => {
                fields.wrong("PageSize", "value must be greater than or equal to 1");
                0
            }
            size => page_size(&mut fields, size, &headers)?,
        };
        let (object_type, token) = (query.text("type")?, query.text("continuation_token")?);
        let after = query.text("after")?;
        fields.form("Type", object_type, Form::ChangesType);
        fields.continuation_token(token);
        fields.form("After", after, Form::ContinuationToken);
        fields.finish()?;
        // Their clients know no change that is not one of a tuple.
        let with_purges = match query.text("purges")? {
            "" | "false" => false,
            "true" => true,
            _ => return Err(ApiError::validation("`purges` is `true` or `false`")),
        };
        let pages = Pages::of(Kind::Changes, &[&app.life(store), object_type]);
        let from = match place(&pages, token)? {
            Some((revision, ordinal)) => ChangesFrom::Behind(revision, ordinal),
            None if !after.is_empty() && start.is_some() => {
                return Err(ApiError::validation("give `after` or `start_time`, not both"));
            }
            None if !after.is_empty() => ChangesFrom::After(after.to_owned()),
            None => match start {
                Some(time) if time < Timestamp::default() => {
                    return Err(ApiError::new(Code::InvalidStartTime, "Invalid start time"));
                }
                Some(time) => ChangesFrom::Time(time),
                None => ChangesFrom::Oldest,
            },
        };
        let Some(id) = app.store(store) else {
            return Ok(Answer::json(&json!({ "changes": [], "continuation_token": token })));
        };
        // Everything up to here is seen by what is read below.
        let newest = app.engine.newest(id)?.revision;
        if matches!(from, ChangesFrom::Behind(revision, _) if revision > newest) {
            return Err(invalid_token());
        }
        let object_type = (!object_type.is_empty()).then(|| object_type.to_owned());
        let mut found = Vec::new();
        let mut last = None;
        let request = ChangesRequest { store: id, from, object_type };
        let visited = app.engine.changes(&request, &mut |change, revision| {
            if change.tuple.is_some() || with_purges {
                found.push(change_json(change, revision.time));
            }
            last = Some((change.revision, change.ordinal));
            if found.len() < size { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match visited {
            Err(EngineError::Storage(StorageError::FutureTime { .. })) => {
                let message = "invalid ReadChangesRequest.StartTime: value must be less than now";
                return Err(ApiError::validation(message));
            }
            other => other?,
        }
        if found.len() < size && (last.is_some() || !token.is_empty()) {
            // There is no more up to the newest: who comes back later must not depend on what was seen last, which may be
            // long collected by then.
            last = last.max(Some((newest, u32::MAX)));
        }
        let token = match last {
            Some((revision, ordinal)) => pages.token(&format!("{revision}.{ordinal}")),
            None => token.to_owned(),
        };
        Ok(Answer::json(&json!({ "changes": found, "continuation_token": token })))
    })
    .await
}

/// A change, as it is answered. Its kind and its revision are ours.
pub(in crate::api) fn change_json(change: &ChangeRecord, committed_at: Timestamp) -> Value {
    let (kind, operation) = match change.kind {
        ChangeKind::Written => ("written", WRITE),
        ChangeKind::Replaced => ("replaced", WRITE),
        ChangeKind::Deleted => ("deleted", DELETE),
        ChangeKind::Expired => ("expired", DELETE),
        ChangeKind::Purged => ("purged", ""),
    };
    let Some(tuple) = &change.tuple else {
        return json!({ "timestamp": time(committed_at), "kind": kind, "revision": change.revision.0 });
    };
    let tuple = match operation {
        WRITE => tuple_json(tuple),
        _ => tuple_json(&tuple.key.clone().into()),
    };
    json!({
        "tuple_key": tuple,
        "operation": operation,
        "timestamp": time(committed_at),
        "kind": kind,
        "revision": change.revision.0,
    })
}

/// The place of a continuation token: behind which change of which revision.
pub(super) fn read_place(place: &str) -> Option<(Revision, u32)> {
    let (revision, ordinal) = place.split_once('.')?;
    Some((Revision(revision.parse().ok()?), ordinal.parse().ok()?))
}

fn place(pages: &Pages, token: &str) -> Result<Option<(Revision, u32)>, ApiError> {
    let place = match pages.place(token) {
        Err(_) if pages.is_of_kind(token) => {
            let message = "The type in the querystring and the continuation token don't match";
            return Err(ApiError::new(Code::ContinuationTypeMismatch, message));
        }
        other => other?,
    };
    let Some(place) = place else { return Ok(None) };
    read_place(&place).map(Some).ok_or_else(invalid_token)
}
