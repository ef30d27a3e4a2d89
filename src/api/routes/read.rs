//! Read: the tuples as they are stored, page by page.

use std::ops::ControlFlow;

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::super::app::{Answer, App, LIMIT, TOKEN, at, number};
use super::super::error::ApiError;
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::page::{Kind, Pages, invalid_token};
use super::super::wire::{self, OrEmpty, time, tuple_json};
use super::Body;
use crate::engine::{FilterError, ObjectFilter, ReadRequest, ReadTuple, SubjectFilter, TupleFilter};
use crate::tuple::{ObjectRef, Relation, SubjectRef, TupleKey, check_type_name};

const INCOMPLETE: &str = "the 'tuple_key' field was provided but the object type field is required and both the object \
                          id and user cannot be empty";

/// Most entries of a page, whatever is asked for.
const PAGE_MAX: usize = 1_000;

pub(super) async fn read(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    app.run(Class::List, Some(store), move |app, store| {
        let request: wire::ReadRequest = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("ReadRequest");
        fields.form("StoreId", store, Form::Id);
        let size = page_size(&mut fields, request.page_size, &headers)?;
        let token = request.continuation_token.text();
        fields.continuation_token(token);
        fields.consistency(&request.consistency);
        if let Some(key) = &request.tuple_key {
            let message = Some("ReadRequestTupleKey");
            fields.form_in(message, "User", key.user.text(), Form::ReadUser);
            fields.form_in(message, "Relation", key.relation.text(), Form::RelationNameOrEmpty);
            fields.form_in(message, "Object", key.object.text(), Form::WordOrEmpty(256));
        }
        fields.finish()?;
        let has_key = request.tuple_key.is_some();
        let key = request.tuple_key.unwrap_or_default();
        let parts = [key.user.text(), key.relation.text(), key.object.text()];
        let pages = match &request.filter {
            None => Pages::of(Kind::Tuples, &[&app.life(store), parts[0], parts[1], parts[2]]),
            Some(filter) => Pages::of(Kind::Tuples, &[&app.life(store), filter]),
        };
        let after: Option<TupleKey> = match pages.place(token)? {
            Some(place) => Some(place.parse().map_err(|_| invalid_token())?),
            None => None,
        };
        let filter = match (&request.filter, parts) {
            (Some(_), _) if has_key => {
                return Err(ApiError::validation("give `filter` or `tuple_key`, not both"));
            }
            (Some(text), _) => {
                Some(text.parse().map_err(|error: FilterError| ApiError::validation(error.to_string()))?)
            }
            (None, ["", "", ""]) if !has_key => Some(TupleFilter::default()),
            (None, [user, relation, object]) => filter(user, relation, object)?,
        };
        let nothing = || Ok(Answer::json(&json!({ "tuples": [], "continuation_token": "" })));
        let (Some(filter), Some(id)) = (filter, app.store(store)) else { return nothing() };
        let mut found: Vec<ReadTuple> = Vec::new();
        let request = ReadRequest { store: id, filter, after, at: at(&headers)? };
        let answer = app.engine.read(&request, &mut |tuple| {
            found.push(tuple);
            // One more than the page, to know whether there is a next one.
            if found.len() <= size { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let is_more = found.len() > size;
        found.truncate(size);
        let token = match found.last() {
            Some(last) if is_more => pages.token(&last.tuple.key.to_string()),
            _ => String::new(),
        };
        let tuples: Result<Vec<Value>, ApiError> = found
            .iter()
            .map(|found| {
                let written = app.engine.committed_at(id, found.created)?.unwrap_or_default();
                Ok(json!({ "key": tuple_json(&found.tuple), "timestamp": time(written) }))
            })
            .collect();
        let body = json!({ "tuples": tuples?, "continuation_token": token });
        Ok(Answer::json(&body).with(TOKEN, &app.engine.seal(&answer.token)))
    })
    .await
}

/// How much a page holds: as much as the body says, or the header `Stonetown-Limit`, which may be more.
pub(super) fn page_size(
    fields: &mut Fields,
    asked: Option<i64>,
    headers: &HeaderMap,
) -> Result<usize, ApiError> {
    let asked = fields.page_size(asked);
    match number(headers, LIMIT)? {
        Some(limit) => Ok(usize::try_from(limit).unwrap_or(PAGE_MAX).min(PAGE_MAX)),
        None => Ok(asked),
    }
}

/// What a tuple key asks for; none: nothing can match it.
fn filter(user: &str, relation: &str, object: &str) -> Result<Option<TupleFilter>, ApiError> {
    let (object_type, id) = object.split_once(':').unwrap_or(("", ""));
    if object_type.is_empty() || (id.is_empty() && user.is_empty()) {
        return Err(ApiError::validation(INCOMPLETE));
    }
    let object = if id.is_empty() {
        check_type_name(object_type).ok().map(|()| ObjectFilter::Type(object_type.into()))
    } else {
        ObjectRef::parse(object).ok().map(|object| ObjectFilter::Object(object.to_owned()))
    };
    let Some(object) = object else { return Ok(None) };
    let subject = match user {
        "" => None,
        user => match SubjectRef::parse(user) {
            Ok(subject) => Some(SubjectFilter::Subject(subject.to_owned())),
            Err(_) => return Ok(None),
        },
    };
    let relation = match relation {
        "" => None,
        relation => match Relation::new(relation) {
            Ok(relation) => Some(relation),
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(TupleFilter { object: Some(object), relation, subject }))
}
