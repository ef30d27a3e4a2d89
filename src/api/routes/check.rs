//! Check, one or several.

use std::collections::HashSet;
use std::time::Instant;

use axum::body::{Body as ResponseBody, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response};
use serde_json::{Map, Value, json};

use super::super::access::{Caller, Right};
use super::super::app::{Answer, App, Budget, SHORT_READS, WORK, at, ids};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::forms::PeriodForm;
use super::super::load::Class;
use super::super::translate;
use super::super::tuples;
use super::super::wire::{self, OrEmpty};
use super::Body;
use crate::engine::{BatchItem, EngineError, EvalError, Given, within};
use crate::tuple::TupleKey;

pub(super) async fn check(
    State(app): State<App>,
    Path(store): Path<String>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    let caller = caller.map(|Extension(caller)| caller);
    app.run_short(store, move |app, store, budget| {
        let asked = super::bytes(&body);
        asked.and_then(|body| one(app, store, caller.as_ref(), &headers, body, budget)).transpose()
    })
    .await
}

/// Whether a request asks for a check, in the form that every client has it in.
pub(in crate::api) fn is_check(parts: &Parts) -> bool {
    parts.method == Method::POST && store_of(parts.uri.path()).is_some()
}

/// The same as the route, which it need not be searched by.
pub(in crate::api) async fn check_at_once(app: App, mut parts: Parts, body: Bytes) -> Response<ResponseBody> {
    let store = store_of(parts.uri.path()).unwrap_or_default().to_owned();
    let caller = parts.extensions.remove::<Caller>();
    let headers = parts.headers;
    let app = app.for_client(&headers);
    app.run_short(store, move |app, store, budget| {
        one(app, store, caller.as_ref(), &headers, &body, budget).transpose()
    })
    .await
}

fn store_of(path: &str) -> Option<&str> {
    let store = path.strip_prefix("/stores/")?.strip_suffix("/check")?;
    store.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(store)
}

/// None: it takes more than the budget.
fn one(
    app: &App,
    store: &str,
    caller: Option<&Caller>,
    headers: &HeaderMap,
    body: &[u8],
    budget: Budget,
) -> Result<Option<Answer>, ApiError> {
    let request: wire::CheckRequest = wire::read(body)?;
    let mut fields = Fields::of("CheckRequest");
    ids(&mut fields, store, request.authorization_model_id.text());
    look_at(&mut fields, None, request.tuple_key.as_ref());
    let contextual = tuples::look_at_contextual(&mut fields, app, &request.contextual_tuples);
    fields.consistency(&request.consistency);
    fields.finish()?;
    let (schema, at) = (request.authorization_model_id.text(), at(headers)?);
    let with_period = request.period.unwrap_or(false);
    // A period names the tuples that it begins and ends with.
    if with_period && caller.is_some_and(|caller| !caller.may(Right::Explain, store)) {
        return Err(ApiError::new(Code::Forbidden, "`period` needs the right `explain` of this store"));
    }
    let view = match budget {
        // That takes a while.
        Budget::Short if with_period => return Ok(None),
        Budget::Short => match app.view_at_hand(store, schema, &at)? {
            Some(view) => view,
            None => return Ok(None),
        },
        Budget::Whole => app.view(store, schema, &at)?,
    };
    let answer = || {
        let (key, given) = question(request.tuple_key.as_ref(), contextual, request.context.as_ref())?;
        let answer = match budget {
            Budget::Short => view.check_within(SHORT_READS, key.as_ref(), &given),
            Budget::Whole => view.check(key.as_ref(), &given).map(Some),
        };
        let Some(answer) = answer.map_err(check_error)? else { return Ok(None) };
        // It has a limit of its own, which is longer than that of a check.
        let deadline = app.deadline(Class::List, Instant::now());
        let (period, _) =
            within(deadline, || with_period.then(|| view.period(key.as_ref(), &given)).transpose());
        let period = period?;
        Ok(Some((answer, period, key)))
    };
    let answer = answer().map_err(|error: ApiError| error.under(view.schema()))?;
    Ok(answer.map(|(answer, period, key)| {
        let mut reply = match period {
            None => Answer::of(plain(answer.allowed).to_vec()),
            Some(period) => {
                let period = PeriodForm::from(&period);
                Answer::json(&json!({ "allowed": answer.allowed, "resolution": "", "period": period }))
            }
        };
        if app.observers.is_audited() {
            reply.decided.push((key, answer.allowed));
        }
        let reply = reply.of_view(app, &view);
        if !headers.contains_key(WORK) {
            return reply;
        }
        let work = answer.work;
        reply.with(WORK, &format!("{} {} {}", work.gets, work.scans, work.rows))
    }))
}

/// The answer to most checks.
fn plain(allowed: bool) -> &'static [u8] {
    if allowed { br#"{"allowed":true,"resolution":""}"# } else { br#"{"allowed":false,"resolution":""}"# }
}

pub(super) async fn batch(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    app.run(Class::Check, Some(store), move |app, store| {
        let request: wire::BatchCheckRequest = wire::read(super::bytes(&body)?)?;
        let checks = request.checks.unwrap_or_default();
        let mut fields = Fields::of("BatchCheckRequest");
        ids(&mut fields, store, request.authorization_model_id.text());
        if checks.is_empty() {
            fields.wrong("Checks", "value must contain at least 1 item(s)");
        }
        for check in &checks {
            let message = "BatchCheckItem";
            look_at(&mut fields, Some(message), check.tuple_key.as_ref());
            tuples::look_at_contextual(&mut fields, app, &check.contextual_tuples);
            fields.form_in(Some(message), "CorrelationId", check.correlation_id.text(), Form::CorrelationId);
        }
        fields.consistency(&request.consistency);
        fields.finish()?;
        let view = app.view(store, request.authorization_model_id.text(), &at(&headers)?)?;
        let refuse = |message: String| Err(ApiError::validation(message).under(view.schema()));
        let max = app.limits.batch_checks_max;
        if checks.len() > max {
            let count = checks.len();
            return refuse(format!("batchCheck received {count} checks, the maximum allowed is {max}"));
        }
        let mut ids = HashSet::new();
        for check in &checks {
            if !ids.insert(check.correlation_id.text()) {
                return refuse(format!("received duplicate correlation id: {}", check.correlation_id.text()));
            }
        }
        let mut result = Map::new();
        let (mut asked, mut items) = (Vec::new(), Vec::new());
        for check in &checks {
            let contextual = tuples::keys(&check.contextual_tuples);
            match question(check.tuple_key.as_ref(), contextual, check.context.as_ref()) {
                Ok((tuple, given)) => {
                    asked.push(check.correlation_id.text());
                    items.push(BatchItem { tuple, given });
                }
                Err(error) => drop(result.insert(check.correlation_id.text().to_owned(), failed(&error))),
            }
        }
        let mut decided = Vec::new();
        for ((id, item), answer) in asked.into_iter().zip(&items).zip(view.batch_check(&items)) {
            if let Ok(allowed) = answer
                && app.observers.is_audited()
            {
                decided.push((item.tuple.clone(), allowed));
            }
            let json = match answer {
                Ok(allowed) => json!({ "allowed": allowed }),
                Err(error) => failed(&check_error(error)),
            };
            result.insert(id.to_owned(), json);
        }
        Ok(Answer { decided, ..Answer::json(&json!({ "result": result })) }.of_view(app, &view))
    })
    .await
}

fn failed(error: &ApiError) -> Value {
    let kind = if error.code.is_internal() { "internal_error" } else { "input_error" };
    json!({ "error": { kind: error.code.name(), "message": error.message } })
}

fn look_at(fields: &mut Fields, of: Option<&'static str>, key: Option<&wire::TupleKey>) {
    let Some(key) = key else {
        return fields.wrong_in(of, "TupleKey", "value is required");
    };
    let message = Some("CheckRequestTupleKey");
    fields.form_in(message, "User", key.user.text(), Form::Word(512));
    fields.form_in(message, "Relation", key.relation.text(), Form::RelationName);
    fields.form_in(message, "Object", key.object.text(), Form::Word(256));
}

fn question(
    key: Option<&wire::TupleKey>,
    contextual: Option<&[wire::TupleKey]>,
    context: Option<&Map<String, Value>>,
) -> Result<(TupleKey, Given), ApiError> {
    let key = key.cloned().unwrap_or_default();
    let tuple = translate::tuple_key(key.user.text(), key.relation.text(), key.object.text());
    let tuple = tuple.map_err(|reason| ApiError::validation(format!("invalid relation: {reason}")))?;
    Ok((tuple, tuples::given(contextual, context)?))
}

/// OpenFGA says of every unknown name that it is an invalid relation.
fn check_error(error: EngineError) -> ApiError {
    let is_name = matches!(
        &error,
        EngineError::Eval(EvalError::UnknownType { .. } | EvalError::UnknownRelation { .. })
    );
    let mut error = ApiError::from(error);
    if is_name {
        error.code = Code::ValidationError;
        error.message = format!("invalid relation: {}", error.message);
    }
    error
}
