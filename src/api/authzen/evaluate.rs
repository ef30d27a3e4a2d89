//! Evaluations: may a subject do something with a resource, one question or several.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::super::app::{Answer, App, Budget, SHORT_READS};
use super::super::error::{ApiError, Code};
use super::super::load::Class;
use super::super::routes::Body;
use super::wire::{Fields, Question};
use super::{error_json, open, read, refusal};
use crate::engine::View;
use crate::tuple::TupleKey;

/// Of a larger body the evaluations are asked one by one: what they have in common is there once for each.
const GROUPED_BYTES_MAX: usize = 64 << 10;

pub(in super::super) async fn evaluation(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    app.run_short(store, move |app, store, budget| {
        let asked = read(&headers, &body).and_then(|fields| Question::read(&mut Fields::of(fields)));
        let answer = asked.and_then(|question| one(app, store, &headers, &question, budget));
        answer.unwrap_or_else(|error| Some(refusal(&error))).map(Ok)
    })
    .await
}

/// None: it takes more than the budget.
fn one(
    app: &App,
    store: &str,
    headers: &HeaderMap,
    question: &Question,
    budget: Budget,
) -> Result<Option<Answer>, ApiError> {
    let asked = question.check()?;
    let Some(view) = open(app, store, headers, None, budget)? else { return Ok(None) };
    let (tuple, given) = (asked.tuple.as_ref(), &asked.given);
    let answer = match budget {
        Budget::Short => view.check_within(SHORT_READS, tuple, given),
        Budget::Whole => view.check(tuple, given).map(Some),
    };
    let decision = match answer {
        Ok(None) => return Ok(None),
        Ok(Some(answer)) => Ok(answer.allowed),
        Err(error) => Err(ApiError::from(error)),
    };
    match decision {
        Err(error) if error.code.is_internal() => Err(error.under(view.schema())),
        decision => {
            let mut reply = Answer::json(&decision_json(&decision));
            note(app, &mut reply.decided, &asked.tuple, &decision);
            Ok(Some(reply.of_view(app, &view)))
        }
    }
}

pub(in super::super) async fn evaluations(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    app.run(Class::Check, Some(store), move |app, store| {
        Ok(several(app, store, &headers, &body).unwrap_or_else(|error| refusal(&error)))
    })
    .await
}

fn several(app: &App, store: &str, headers: &HeaderMap, body: &Body) -> Result<Answer, ApiError> {
    let mut fields = Fields::of(read(headers, body)?);
    let semantic = Semantic::read(&mut fields)?;
    let items = fields.array("evaluations")?;
    let defaults = Question::read(&mut fields)?;
    if items.is_empty() {
        // Without any, it is a single evaluation.
        let answer = one(app, store, headers, &defaults, Budget::Whole)?;
        return answer.ok_or_else(ApiError::internal);
    }
    let (count, max) = (items.len(), app.limits.batch_checks_max);
    if count > max {
        let message = format!("`evaluations` has {count} items: this server takes at most {max}");
        return Err(ApiError::new(Code::ExceededEntityLimit, message));
    }
    let view = open(app, store, headers, None, Budget::Whole)?.ok_or_else(ApiError::internal)?;
    let is_grouped =
        semantic == Semantic::ExecuteAll && body.as_ref().is_ok_and(|body| body.len() <= GROUPED_BYTES_MAX);
    let (mut decisions, mut decided) = (Vec::new(), Vec::new());
    'items: for group in items.chunks(if is_grouped { count } else { 1 }) {
        for (tuple, decision) in decide(&view, group, &defaults) {
            tuple.inspect(|tuple| note(app, &mut decided, tuple, &decision));
            decisions.push(decision_json(&decision));
            if semantic.ends_with(decision.is_ok_and(|allowed| allowed)) {
                break 'items;
            }
        }
    }
    Ok(Answer { decided, ..Answer::json(&json!({ "evaluations": decisions })) }.of_view(app, &view))
}

/// Notes a decision down, if it is one of those that are to be in the audit log.
fn note(app: &App, decided: &mut Vec<(TupleKey, bool)>, tuple: &TupleKey, decision: &Result<bool, ApiError>) {
    if let Ok(allowed) = decision
        && app.observers.is_audited()
    {
        decided.push((tuple.clone(), *allowed));
    }
}

/// The decisions on some of the evaluations, in their order, with what was asked where that could be read.
fn decide(
    view: &View<'_>,
    items: &[Value],
    defaults: &Question,
) -> Vec<(Option<TupleKey>, Result<bool, ApiError>)> {
    let (mut errors, mut checks) = (Vec::new(), Vec::new());
    for item in items {
        match Question::read_item(item, defaults).and_then(|question| question.check()) {
            Ok(check) => {
                checks.push(check);
                errors.push(None);
            }
            Err(error) => errors.push(Some(error)),
        }
    }
    let answers = view.batch_check(&checks);
    let mut answers = checks.into_iter().zip(answers);
    let decision = |error: Option<ApiError>| match error {
        Some(error) => (None, Err(error)),
        None => match answers.next() {
            Some((check, answer)) => (Some(check.tuple), answer.map_err(ApiError::from)),
            None => (None, Err(ApiError::internal())),
        },
    };
    errors.into_iter().map(decision).collect()
}

/// A decision as it is answered: what cannot be decided is not allowed, and says why.
fn decision_json(decision: &Result<bool, ApiError>) -> Value {
    match decision {
        Ok(allowed) => json!({ "decision": allowed }),
        Err(error) => json!({ "decision": false, "context": { "error": error_json(error) } }),
    }
}

/// How many of several evaluations are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn read(fields: &mut Fields) -> Result<Semantic, ApiError> {
        let Some(mut options) = fields.fields("options")? else { return Ok(Semantic::ExecuteAll) };
        match options.text("evaluations_semantic")?.as_deref() {
            None | Some("execute_all") => Ok(Semantic::ExecuteAll),
            Some("deny_on_first_deny") => Ok(Semantic::DenyOnFirstDeny),
            Some("permit_on_first_permit") => Ok(Semantic::PermitOnFirstPermit),
            Some(other) => Err(ApiError::validation(format!(
                "`options.evaluations_semantic` is `{other}`: it has to be `execute_all`, `deny_on_first_deny` or \
                 `permit_on_first_permit`"
            ))),
        }
    }

    /// Whether this decision is the last one.
    fn ends_with(self, allowed: bool) -> bool {
        match self {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !allowed,
            Semantic::PermitOnFirstPermit => allowed,
        }
    }
}
