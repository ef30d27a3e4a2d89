//! Change safety: who gains and loses what by a change, why an answer is what it is, and who could do what.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::Instant;

use axum::body::Body as StreamBody;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Map, Value, json};

use super::super::analysis::{AuditForm, DiffDetail, ExplanationForm, access_diff};
use super::super::app::{Answer, App, Charge, at, ids, respond};
use super::super::error::ApiError;
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::query::Parameters;
use super::super::translate;
use super::super::tuples;
use super::super::wire::{self, OrEmpty};
use super::Body;
use super::past::store_id;
use super::pieces::{Pieces, streamed};
use super::write::{AskedTuples, look_at_tuples};
use crate::engine::{
    AccessDiffRequest, At, AuditQuestion, AuditTime, ChangeSet, Context, DiffLimits, DiffOf, ExplainRequest,
    OnMissing, Permission, SchemaInput,
};
use crate::tuple::{Object, ObjectRef, Relation, Timestamp, TupleRef};

/// Most proofs or near misses that may be asked for.
const FOUND_MAX: u64 = 100;

pub(super) async fn diff(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    charge: Charge,
    body: Body,
) -> Response<StreamBody> {
    let received = Instant::now();
    let read = || {
        let request: wire::AccessDiffRequest = wire::read(super::bytes(&body)?)?;
        asked(&app, &store, &headers, request)
    };
    let (asked, detail) = match read() {
        Ok(read) => read,
        Err(error) => return respond(Some(&store), Err(error), received),
    };
    let make = move |app: &App, out: &mut Pieces| write_diff(app, &asked, detail, out);
    let app = app.for_client(&headers);
    streamed(app, Class::Analysis, charge, &store, "application/x-ndjson", make).await
}

fn asked(
    app: &App,
    store: &str,
    headers: &HeaderMap,
    request: wire::AccessDiffRequest,
) -> Result<(AccessDiffRequest, DiffDetail), ApiError> {
    let mut fields = Fields::of("AccessDiffRequest");
    look_at_tuples(&mut fields, request.writes.as_ref(), request.deletes.as_ref());
    fields.finish()?;
    let store = store_id(app, store, "AccessDiffRequest")?;
    let detail = match request.detail.text() {
        "" | "lines" => DiffDetail::Lines,
        "counts" => DiffDetail::Counts,
        "summary" => DiffDetail::Summary,
        other => {
            let message = format!("`detail` is `{other}`: pass `lines`, `counts` or `summary`");
            return Err(ApiError::validation(message));
        }
    };
    let is_change = request.schema.is_some() || request.writes.is_some() || request.deletes.is_some();
    let of = match (request.from.text(), request.to.text()) {
        ("", "") if is_change => {
            let AskedTuples { writes, deletes, on_missing, .. } =
                AskedTuples::read(app, request.writes, request.deletes)?;
            if on_missing == OnMissing::Ignore {
                return Err(ApiError::validation(
                    "`on_missing` has to be `error`: a diff is of exact changes",
                ));
            }
            let schema = request.schema.map(|schema| SchemaInput::Json(Value::Object(schema)));
            let change = Box::new(ChangeSet { schema, writes, deletes });
            DiffOf::Change { at: at(headers)?, change }
        }
        ("", "") => {
            return Err(ApiError::validation("pass `schema`, `writes` or `deletes`, or `from` and `to`"));
        }
        (from, to) if !is_change && !from.is_empty() => {
            let state = |name: &str, text: &str| match text {
                "" => Ok(At::Head),
                text => {
                    text.parse::<At>().map_err(|error| ApiError::validation(format!("`{name}`: {error}")))
                }
            };
            let now = time("now", request.now.text())?;
            DiffOf::Times { from: state("from", from)?, to: state("to", to)?, now }
        }
        _ => return Err(ApiError::validation("pass either a change, or `from` with or without `to`")),
    };
    let only = permissions(request.only)?;
    let context = context(request.context);
    Ok((AccessDiffRequest { store, of, context, only, limits: DiffLimits::default() }, detail))
}

fn write_diff(
    app: &App,
    asked: &AccessDiffRequest,
    detail: DiffDetail,
    out: &mut Pieces,
) -> Result<(), ApiError> {
    let mut sent = Ok(());
    let summary = access_diff(&app.engine, asked, detail, &mut |event| {
        sent = line(out, event);
        if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    // Nobody takes it any longer, or the summary ends it.
    let sent = sent.and_then(|()| line(out, &json!({ "summary": summary })));
    sent.map_err(|error| ApiError::validation(error.to_string()))
}

fn line(out: &mut Pieces, form: &impl serde::Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(form)?;
    text.push(b'\n');
    out.write_all(&text)
}

pub(super) async fn explain(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<StreamBody> {
    let app = app.for_client(&headers);
    app.run(Class::Analysis, Some(store), move |app, store| {
        let request: wire::ExplainRequest = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("ExplainRequest");
        ids(&mut fields, store, request.authorization_model_id.text());
        let key = request.tuple_key.clone().unwrap_or_default();
        let (user, relation, object) = (key.user.text(), key.relation.text(), key.object.text());
        let message = Some("ExplainRequestTupleKey");
        fields.form_in(message, "User", user, Form::Word(512));
        fields.form_in(message, "Relation", relation, Form::RelationName);
        fields.form_in(message, "Object", object, Form::Word(256));
        let contextual = tuples::look_at_contextual(&mut fields, app, &request.contextual_tuples);
        let number = |fields: &mut Fields, name: &str, given: Option<u64>, usual: u64| {
            let number = given.unwrap_or(usual);
            if number > FOUND_MAX {
                fields.wrong(name, format!("value must be inside range [0, {FOUND_MAX}]"));
            }
            number.min(FOUND_MAX) as usize
        };
        let proofs_max = number(&mut fields, "Proofs", request.proofs, 1);
        let misses_max = number(&mut fields, "NearMisses", request.near_misses, 5);
        fields.finish()?;
        let view = app.view(store, request.authorization_model_id.text(), &at(&headers)?)?;
        let explain = || {
            let tuple = translate::tuple_key(user, relation, object)
                .map_err(|reason| ApiError::validation(format!("`tuple_key`: {reason}")))?;
            let given = tuples::given(contextual, request.context.as_ref())?;
            let asked = ExplainRequest { tuple: tuple.as_ref(), proofs_max, misses_max };
            Ok(view.explain(&asked, &given)?)
        };
        let explained = explain().map_err(|error: ApiError| error.under(view.schema()))?;
        Ok(Answer::json(&ExplanationForm::from(&explained)).of_view(app, &view))
    })
    .await
}

pub(super) async fn audit(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<StreamBody> {
    let app = app.for_client(&headers);
    app.run(Class::Analysis, Some(store), move |app, store| {
        let request: wire::AuditRequest = wire::read(super::bytes(&body)?)?;
        let store = store_id(app, store, "AuditRequest")?;
        let object = |name: &str, text: &str| -> Result<Object, ApiError> {
            let parsed = ObjectRef::parse(text).map(|object| object.to_owned());
            parsed.map_err(|error| ApiError::validation(format!("`{name}`: {error}")))
        };
        let question = match (request.object.text(), request.relation.text(), request.subject.text()) {
            (of, relation, "") if !of.is_empty() => {
                let relation = Relation::new(relation)
                    .map_err(|error| ApiError::validation(format!("`relation`: {error}")))?;
                AuditQuestion::Who { object: object("object", of)?, relation: relation.as_str().into() }
            }
            ("", "", who) if !who.is_empty() => {
                AuditQuestion::What { subject: object("subject", who)?, only: permissions(request.only)? }
            }
            _ => return Err(ApiError::validation("pass either `object` and `relation`, or `subject`")),
        };
        let between = (time("from", request.from.text())?, time("to", request.to.text())?);
        let time = match between {
            (None, None) => AuditTime::At(at(&headers)?),
            (Some(from), Some(to)) if from <= to => AuditTime::Between(from, to),
            _ => return Err(ApiError::validation("pass both `from` and `to`, the earlier one first")),
        };
        let answer = app.engine.audit(store, &question, &time, &context(request.context))?;
        let form = AuditForm::of(&app.engine, &answer);
        let token = form.token.clone();
        Ok(Answer::json(&form).under(answer.schema).with(super::super::app::TOKEN, &token))
    })
    .await
}

pub(super) async fn matrix(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response<StreamBody> {
    let app = app.for_client(&headers);
    app.run(Class::Analysis, Some(store), move |app, store| {
        let (schema, object_type) = (query.text("schema_id")?, query.text("type")?);
        let mut fields = Fields::of("MatrixRequest");
        ids(&mut fields, store, schema);
        fields.finish()?;
        let view = app.view(store, schema, &at(&headers)?)?;
        let tables = view.matrix(Some(object_type).filter(|name| !name.is_empty()));
        let tables = tables.map_err(|error| ApiError::from(error).under(view.schema()))?;
        let table = |table: &crate::engine::MatrixTable| {
            let rows = table.rows.iter().map(|row| json!({ "role": row.name, "cells": row.cells }));
            let rows: Vec<Value> = rows.collect();
            json!({ "type": table.object_type, "permissions": table.columns, "rows": rows })
        };
        let tables: Vec<Value> = tables.iter().map(table).collect();
        Ok(Answer::json(&json!({ "matrix": tables })).of_view(app, &view))
    })
    .await
}

fn context(given: Option<Map<String, Value>>) -> Context {
    given.map(Context::new).unwrap_or_default()
}

fn time(name: &str, text: &str) -> Result<Option<Timestamp>, ApiError> {
    match text {
        "" => Ok(None),
        text => {
            let parsed = text.parse().map(Some);
            parsed.map_err(|error| ApiError::validation(format!("`{name}`: {error}")))
        }
    }
}

/// Each as `TYPE#RELATION`.
fn permissions(texts: Option<Vec<String>>) -> Result<Vec<Permission>, ApiError> {
    let read = |text: &String| {
        let (of, relation) = text.split_once('#')?;
        // Any id does: it is the names that have to be right.
        TupleRef::from_parts(&format!("{of}:x"), relation, "x:x").ok().map(|_| (of.into(), relation.into()))
    };
    texts
        .unwrap_or_default()
        .iter()
        .map(|text| {
            let wrong = || ApiError::validation(format!("`only`: `{text}` is no `TYPE#RELATION`"));
            read(text).ok_or_else(wrong)
        })
        .collect()
}
