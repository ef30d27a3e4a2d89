//! List users: who of a type holds a relation on an object.

use std::ops::ControlFlow;

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::super::app::{Answer, App, ids};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::held::Held;
use super::super::load::Class;
use super::super::page::{Kind, Pages};
use super::super::translate::{unknown_relation, unknown_type};
use super::super::tuples;
use super::super::wire::{self, ListUsersRequest, OrEmpty};
use super::Body;
use super::lists::{FOR_PARTS, Part, digest_of, rest};
use crate::engine::{EngineError, EvalError, Holding, ListSubjects};
use crate::tuple::{ObjectRef, SubjectRef};

pub(super) async fn list(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::List, Some(store), move |app, store| {
        let request: ListUsersRequest = wire::read(super::bytes(&body)?)?;
        let schema = request.authorization_model_id.text();
        let mut fields = Fields::of("ListUsersRequest");
        look_at(app, &mut fields, store, &request);
        fields.finish()?;
        let (object_type, id) = match &request.object {
            Some(object) => (object.object_type.text(), object.id.text()),
            None => ("", ""),
        };
        let relation = request.relation.text();
        let filter = request.user_filters.as_deref().unwrap_or_default().first();
        let (user_type, user_relation) =
            filter.map_or(("", ""), |filter| (filter.user_type.text(), filter.relation.text()));
        let keys = request.contextual_tuples.as_deref();
        let digest = digest_of(keys);
        let context = request.context.as_ref().map(|context| json!(context).to_string());
        let life = app.life(store);
        let parts =
            [&life, schema, object_type, id, relation, user_type, user_relation, &digest, context.text()];
        let pages = Pages::of(Kind::Subjects, &parts);
        let part = Part::of(&headers, &pages)?;
        let view = app.view(store, schema, &part.at)?;
        let under = |error: ApiError| error.under(view.schema());
        let given = tuples::given(keys, request.context.as_ref()).map_err(under)?;
        let Ok(object) = ObjectRef::new(object_type, id) else {
            // Nothing can be written on such an object.
            return Ok(Answer::json(&json!({ "users": [] })).of_view(app, &view));
        };
        let (mut users, mut excluded) = (Vec::new(), Vec::new());
        let mut held = Held::new(app.limits.answer_bytes_max);
        let mut left = part.limit;
        let asked = ListSubjects {
            object,
            relation,
            subject_type: user_type,
            subject_relation: (!user_relation.is_empty()).then_some(user_relation),
            after: part.after.as_ref(),
            time_max: part.time_max,
        };
        let listed = view.list_subjects(&asked, &given, &mut |subject, holding| {
            let to = match holding {
                Holding::Holds => &mut users,
                Holding::Covered => return ControlFlow::Continue(()),
                Holding::Excluded => &mut excluded,
            };
            let before = to.len();
            push_user(to, subject);
            held.take(to.len() - before)?;
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let listed = listed.map_err(name_error).map_err(under)?;
        held.finish(FOR_PARTS).map_err(under)?;
        let mut body = [b"{\"users\":[", users.as_slice(), b"]"].concat();
        if !excluded.is_empty() {
            // Ours: OpenFGA leaves it to the reader to find out who of everybody is meant.
            body.extend([b",\"excluded_users\":[", excluded.as_slice(), b"]"].concat());
        }
        body.push(b'}');
        let mut answer = Answer::of(body).of_view(app, &view);
        for (name, value) in rest(app, &view, &pages, &listed) {
            answer = answer.with(name, &value);
        }
        Ok(answer)
    })
    .await
}

fn look_at(app: &App, fields: &mut Fields, store: &str, request: &ListUsersRequest) {
    ids(fields, store, request.authorization_model_id.text());
    match &request.object {
        None => fields.wrong("Object", "value is required"),
        Some(object) => {
            fields.form_in(Some("Object"), "Type", object.object_type.text(), Form::TypeName);
            fields.form_in(Some("Object"), "Id", object.id.text(), Form::ObjectId);
        }
    }
    fields.form("Relation", request.relation.text(), Form::RelationName);
    let filters = request.user_filters.as_deref().unwrap_or_default();
    if filters.len() != 1 {
        fields.wrong("UserFilters", "value must contain exactly 1 item(s)");
    }
    for filter in filters {
        let message = Some("UserTypeFilter");
        fields.form_in(message, "Type", filter.user_type.text(), Form::TypeName);
        fields.form_in(message, "Relation", filter.relation.text(), Form::RelationNameOrEmpty);
    }
    let max = app.limits.contextual_tuples_max;
    let keys = request.contextual_tuples.as_deref();
    tuples::look_at_all(fields, None, "ContextualTuples", keys, max);
    fields.consistency(&request.consistency);
}

/// A user as JSON, behind the others.
fn push_user(users: &mut Vec<u8>, subject: SubjectRef<'_>) {
    if !users.is_empty() {
        users.push(b',');
    }
    // It can always be written, and into memory.
    let _ = serde_json::to_writer(users, &user_json(subject));
}

fn user_json(subject: SubjectRef<'_>) -> Value {
    match subject {
        SubjectRef::Object(object) => {
            json!({ "object": { "type": object.object_type(), "id": object.id() } })
        }
        SubjectRef::Wildcard(name) => json!({ "wildcard": { "type": name } }),
        SubjectRef::Userset(object, relation) => json!({
            "userset": { "type": object.object_type(), "id": object.id(), "relation": relation }
        }),
    }
}

fn name_error(error: EngineError) -> ApiError {
    match error {
        EngineError::Eval(EvalError::UnknownType { name, .. }) => {
            ApiError::new(Code::TypeNotFound, unknown_type(&name))
        }
        EngineError::Eval(EvalError::UnknownRelation { object_type, relation, .. }) => {
            ApiError::new(Code::RelationNotFound, unknown_relation(&object_type, &relation))
        }
        error => error.into(),
    }
}
