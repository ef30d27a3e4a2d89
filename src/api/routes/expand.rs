//! Expand: who stands behind a relation of an object, one level, or as many hops as asked for.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::super::app::{Answer, App, at, ids};
use super::super::error::{ApiError, Code};
use super::super::expansion::{expansion_json, one_level_json};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::translate;
use super::super::tuples;
use super::super::wire::{self, OrEmpty};
use super::Body;
use crate::engine::Follow;

/// Most hops that may be asked for, as on the command line.
const DEPTH_MAX: u32 = 100;

pub(super) async fn expand(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    let app = app.for_client(&headers);
    app.run(Class::List, Some(store), move |app, store| {
        let request: wire::ExpandRequest = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("ExpandRequest");
        ids(&mut fields, store, request.authorization_model_id.text());
        let key = request.tuple_key.clone().unwrap_or_default();
        let (relation, object) = (key.relation.text(), key.object.text());
        if request.tuple_key.is_none() {
            fields.wrong("TupleKey", "value is required");
        } else {
            let message = Some("ExpandRequestTupleKey");
            fields.form_in(message, "Relation", relation, Form::RelationNameOrEmpty);
            fields.form_in(message, "Object", object, Form::WordOrEmpty(256));
        }
        let contextual = tuples::look_at_contextual(&mut fields, app, &request.contextual_tuples);
        if request.depth.is_some_and(|depth| depth > DEPTH_MAX) {
            fields.wrong("Depth", format!("value must be inside range [0, {DEPTH_MAX}]"));
        }
        fields.consistency(&request.consistency);
        fields.finish()?;
        let view = app.view(store, request.authorization_model_id.text(), &at(&headers)?)?;
        let tree = || {
            if relation.is_empty() || object.is_empty() {
                let message = "Invalid input. Make sure you provide an object and a relation";
                return Err(ApiError::new(Code::InvalidExpandInput, message));
            }
            let contextual = tuples::contextual(contextual)?;
            let object = translate::object(object).map_err(ApiError::validation)?;
            let follow = match request.depth {
                None | Some(0) => Follow::OneLevel,
                Some(hops) => Follow::Hops(hops),
            };
            Ok(view.expand(object, relation, follow, &contextual)?)
        };
        let tree = tree().map_err(|error: ApiError| error.under(view.schema()))?;
        let mut body = json!({ "tree": { "root": one_level_json(&tree) } });
        if request.depth.is_some() {
            body["expansion"] = expansion_json(&tree);
        }
        Ok(Answer::json(&body).of_view(app, &view))
    })
    .await
}
