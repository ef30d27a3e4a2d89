use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Map, Value};

use super::description::{Description, Operation};
use super::server::Store;
use super::wire::Request;

const USERS: [&str; 9] = [
    "user:anne",
    "user:bob",
    "user:carl",
    "user:dora",
    "user:*",
    "group:fga#member",
    "group:core#member",
    "folder:root",
    "user:nobody@example.org",
];
const OBJECTS: [&str; 7] =
    ["doc:plan", "doc:news", "doc:new-1", "group:fga", "group:core", "folder:root", "folder:leaf"];
const RELATIONS: [&str; 7] = ["viewer", "editor", "allowed", "both", "blocked", "parent", "member"];
const TYPES: [&str; 4] = ["user", "group", "folder", "doc"];

/// What requests are about.
#[derive(Clone)]
pub(super) struct Pool {
    /// Written to, and asked.
    pub(super) play: Store,
    /// Gets new models all the time.
    pub(super) models: Store,
    /// To be deleted.
    pub(super) victims: Vec<String>,
    /// Continuations of all kinds.
    pub(super) places: Vec<String>,
}

/// A request as it was made from the description.
pub(super) struct Made<'d> {
    pub(super) operation: &'d Operation,
    pub(super) request: Request,
    pub(super) body: Option<Value>,
    pub(super) query: Vec<(String, String)>,
}

pub(super) struct Generator<'d> {
    pub(super) description: &'d Description,
    pub(super) pool: Pool,
}

pub(super) fn one_of<'t, T>(choices: &mut SmallRng, from: &'t [T]) -> &'t T {
    &from[choices.random_range(0..from.len())]
}

impl<'d> Generator<'d> {
    /// A request that is as described; whether it makes sense is another question.
    pub(super) fn request(&self, choices: &mut SmallRng, operations: &[&'d Operation]) -> Made<'d> {
        let operation = *one_of(choices, operations);
        let store = match (operation.method.as_str(), operation.path.as_str()) {
            ("delete", _) => one_of(choices, &self.pool.victims),
            ("post", path) if path.ends_with("/authorization-models") || path.ends_with("/apply") => {
                &self.pool.models.id
            }
            _ if choices.random_bool(0.03) => one_of(choices, &self.pool.victims),
            _ => &self.pool.play.id,
        };
        let model = &self.pool.play.model;
        let path = operation.path.replace("{store_id}", store).replace("{authorization_model_id}", model);
        let mut query = Vec::new();
        let mut headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        for parameter in operation.parameters.iter().filter(|it| it.place != "path") {
            if choices.random_bool(0.8) {
                continue;
            }
            let text = match parameter.name.as_str() {
                "Stonetown-At" if choices.random() => self.pool.play.token.clone(),
                "continuation_token" | "Stonetown-Continuation" => one_of(choices, &self.pool.places).clone(),
                _ => match self.value(choices, &parameter.schema, &parameter.name, 0) {
                    Value::String(text) => text,
                    value => value.to_string(),
                },
            };
            match parameter.place.as_str() {
                "query" => query.push((parameter.name.clone(), text)),
                _ => headers.push((parameter.name.to_lowercase(), text.into_bytes())),
            }
        }
        let body = operation.body.as_ref().map(|schema| {
            if !operation.examples.is_empty() && choices.random_bool(0.25) {
                return one_of(choices, &operation.examples).clone();
            }
            self.value(choices, schema, "", 0)
        });
        let request = Request {
            method: operation.method.to_uppercase(),
            target: target(&path, &query),
            headers,
            body: body.as_ref().map_or(Vec::new(), |body| body.to_string().into_bytes()),
            chunk: choices.random_bool(0.1).then(|| choices.random_range(1..2000)),
        };
        Made { operation, request, body, query }
    }

    /// A value of a schema. `name` is the field that it is for.
    fn value(&self, choices: &mut SmallRng, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(component) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
            let text = match component {
                "User" => *one_of(choices, &USERS),
                "Object" => *one_of(choices, &OBJECTS),
                "RelationName" => *one_of(choices, &RELATIONS),
                "TypeName" => *one_of(choices, &TYPES),
                "Id" | "ModelIdOrEmpty" => *one_of(choices, &["", &self.pool.play.model]),
                _ => return self.value(choices, self.description.resolve(schema), name, depth),
            };
            return text.into();
        }
        if let Some(parts) = schema["anyOf"].as_array().or(schema["allOf"].as_array()) {
            let part = one_of(choices, parts);
            return self.value(choices, part, name, depth);
        }
        if let Some(values) = schema["enum"].as_array() {
            return one_of(choices, values).clone();
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => vec!["null"],
        };
        // Half of what may be null is not.
        match *one_of(choices, &types) {
            "string" => self.text(choices, schema, name).into(),
            "integer" => {
                let least = schema["minimum"].as_i64().unwrap_or(0);
                let most = schema["maximum"].as_i64().unwrap_or(least + 1000);
                choices.random_range(least..=most).into()
            }
            "boolean" => choices.random::<bool>().into(),
            "array" => {
                let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
                let most = schema["maxItems"].as_u64().unwrap_or(100).min(least as u64 + 3) as usize;
                let most = if depth > 8 { least } else { most };
                let count = choices.random_range(least..=most);
                (0..count).map(|_| self.value(choices, &schema["items"], name, depth + 1)).collect()
            }
            "object" => self.object(choices, schema, depth),
            _ => Value::Null,
        }
    }

    fn object(&self, choices: &mut SmallRng, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let chance = if depth > 6 { 0.0 } else { 0.5 };
            if required.contains(&name.as_str()) || choices.random_bool(chance) {
                object.insert(name.clone(), self.value(choices, schema, name, depth + 1));
            }
        }
        if schema["additionalProperties"].is_object() && depth < 8 {
            let name = *one_of(choices, &RELATIONS);
            object.insert(name.into(), self.value(choices, &schema["additionalProperties"], name, depth + 1));
        }
        object.into()
    }

    fn text(&self, choices: &mut SmallRng, schema: &Value, name: &str) -> String {
        match name {
            "user" => return (*one_of(choices, &USERS)).to_owned(),
            "object" => return (*one_of(choices, &["doc:plan", "doc:", "doc:news", ""])).to_owned(),
            "relation" => return (*one_of(choices, &["", "viewer", "editor", "member"])).to_owned(),
            "correlation_id" => return format!("id-{}", choices.random_range(0..100_000)),
            "continuation_token" => return one_of(choices, &self.pool.places).clone(),
            _ => {}
        }
        match schema["examples"].as_array().map(Vec::as_slice) {
            Some([_, ..]) => {
                let examples = schema["examples"].as_array().unwrap();
                one_of(choices, examples).as_str().unwrap_or_default().to_owned()
            }
            _ => "word".to_owned(),
        }
    }
}

/// A path with a query.
pub(super) fn target(path: &str, query: &[(String, String)]) -> Vec<u8> {
    let mut target = path.to_owned();
    for (number, (name, value)) in query.iter().enumerate() {
        target.push(if number == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => target.push(byte.into()),
                _ => target.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    target.into_bytes()
}
