//! Expand: who stands behind a relation of an object, one level, or as many hops as asked for.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::super::app::{Answer, App, at, ids};
use super::super::error::{ApiError, Code};
use super::super::expansion::expansion_json;
use super::super::fields::{Fields, Form};
use super::super::translate;
use super::super::tuples;
use super::super::wire::{self, OrEmpty};
use super::Body;
use crate::engine::{ExpandNode, Expansion, Follow, UsersetNode};

/// Most hops that may be asked for, as on the command line.
const DEPTH_MAX: u32 = 100;

pub(super) async fn expand(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Some(store), move |app, store| {
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
        let contextual = tuples::keys(&request.contextual_tuples);
        let max = app.limits.contextual_tuples_max;
        tuples::look_at_all(&mut fields, Some("ContextualTupleKeys"), "TupleKeys", contextual, max);
        if request.depth.is_some_and(|depth| depth > DEPTH_MAX) {
            fields.wrong("Depth", format!("value must be inside range [0, {DEPTH_MAX}]"));
        }
        if !request.consistency.is_known() {
            fields.wrong("Consistency", "value must be one of the defined enum values");
        }
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
        let mut body = json!({ "tree": { "root": root_json(&tree) } });
        if request.depth.is_some() {
            body["expansion"] = expansion_json(&tree);
        }
        Ok(Answer::json(&body).of_view(app, &view))
    })
    .await
}

fn root_json(root: &UsersetNode) -> Value {
    let name = userset(root);
    match &root.expansion {
        Expansion::Expanded(node) => node_json(&name, node),
        Expansion::NotFollowed | Expansion::Cycle | Expansion::NoRelation => {
            leaf(&name, json!({ "users": { "users": [] } }))
        }
    }
}

fn userset(node: &UsersetNode) -> String {
    format!("{}#{}", node.object, node.relation.as_str())
}

fn leaf(name: &str, leaf: Value) -> Value {
    json!({ "name": name, "leaf": leaf })
}

fn node_json(name: &str, node: &ExpandNode) -> Value {
    let all = |nodes: &[ExpandNode]| nodes.iter().map(|node| node_json(name, node)).collect::<Vec<_>>();
    match node {
        ExpandNode::Nobody => leaf(name, json!({ "users": { "users": [] } })),
        ExpandNode::Subjects { subjects, usersets } => {
            let mut users: Vec<String> =
                subjects.iter().map(ToString::to_string).chain(usersets.iter().map(userset)).collect();
            users.sort();
            leaf(name, json!({ "users": { "users": users } }))
        }
        ExpandNode::Computed(other) => leaf(name, json!({ "computed": { "userset": userset(other) } })),
        ExpandNode::Arrow { tupleset, parents } => {
            let object = name.split_once('#').map_or(name, |(object, _)| object);
            let computed: Vec<Value> =
                parents.iter().map(|parent| json!({ "userset": userset(parent) })).collect();
            let tupleset = format!("{object}#{}", tupleset.as_str());
            leaf(name, json!({ "tupleToUserset": { "tupleset": tupleset, "computed": computed } }))
        }
        ExpandNode::Union(nodes) => json!({ "name": name, "union": { "nodes": all(nodes) } }),
        ExpandNode::Intersection(nodes) => {
            json!({ "name": name, "intersection": { "nodes": all(nodes) } })
        }
        ExpandNode::Exclusion(base, subtract) => json!({
            "name": name,
            "difference": { "base": node_json(name, base), "subtract": node_json(name, subtract) }
        }),
    }
}
