use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The text as it is compiled into the server.
pub(super) const TEXT: &str = include_str!("../../src/api/openapi.json");

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// The description with everything that is needed to hold requests and answers against it.
pub(super) struct Description {
    pub(super) json: Value,
    pub(super) operations: Vec<Operation>,
    schemas: HashMap<String, Validator>,
}

/// A method of a path.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) parameters: Vec<Parameter>,
    /// The schema of its body.
    pub(super) body: Option<Value>,
    pub(super) examples: Vec<Value>,
    pub(super) responses: HashMap<u16, Reply>,
    /// It answers with events that do not end.
    pub(super) is_endless: bool,
    body_validator: Option<Validator>,
}

pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query` or `header`.
    pub(super) place: String,
    pub(super) schema: Value,
    validator: Validator,
}

/// A described answer.
pub(super) struct Reply {
    /// None: it has no body.
    body: Option<Validator>,
    headers: Vec<Header>,
    /// Content types.
    kinds: Vec<String>,
}

struct Header {
    name: String,
    required: bool,
    validator: Validator,
}

/// An answer of the server.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The body, when it is JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(400).collect()
    }
}

impl Description {
    pub(super) fn read() -> Description {
        let json: Value = serde_json::from_str(TEXT).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in json["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(METHODS.contains(&method.as_str()), "{method} {path}");
                operations.push(Operation::read(&json, method, path, operation));
            }
        }
        let names = json["components"]["schemas"].as_object().unwrap().keys();
        let schemas = names.map(|name| (name.clone(), named(&json, name))).collect();
        Description { json, operations, schemas }
    }

    /// The operation of a method and a path without its query.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        self.operations.iter().find(|it| it.method == method && fits(&it.path, path))
    }

    /// Holds a value against a schema among the components.
    pub(super) fn check(&self, schema: &str, value: &Value) -> Result<(), String> {
        held(&self.schemas[schema], value)
    }

    /// Follows a reference.
    pub(super) fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        resolve(&self.json, value)
    }
}

impl Operation {
    fn read(json: &Value, method: &str, path: &str, operation: &Value) -> Operation {
        for field in ["summary", "description", "operationId", "x-codeSamples"] {
            assert!(!operation[field].is_null(), "{method} {path} has no {field}");
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let parameter = resolve(json, parameter);
            let schema = parameter["schema"].clone();
            Parameter {
                name: parameter["name"].as_str().unwrap().to_owned(),
                place: parameter["in"].as_str().unwrap().to_owned(),
                validator: validator(json, schema.clone()),
                schema,
            }
        });
        let content = &operation["requestBody"]["content"]["application/json"];
        let examples = content["examples"].as_object().into_iter().flatten();
        let body = content.get("schema").cloned();
        assert!(body.is_none() || content["examples"].is_object(), "{method} {path} has no example");
        let responses = operation["responses"].as_object().unwrap().iter();
        Operation {
            is_endless: operation["responses"]["200"]["content"]["text/event-stream"].is_object(),
            method: method.to_owned(),
            path: path.to_owned(),
            parameters: parameters.collect(),
            examples: examples.map(|(_, example)| example["value"].clone()).collect(),
            responses: responses
                .map(|(status, reply)| (status.parse().unwrap(), Reply::read(json, resolve(json, reply))))
                .collect(),
            body_validator: body.clone().map(|schema| validator(json, schema)),
            body,
        }
    }

    /// Holds a body against the description.
    pub(super) fn check_body(&self, body: &Value) -> Result<(), String> {
        self.body_validator.as_ref().map_or(Ok(()), |validator| held(validator, body))
    }

    /// Whether the answer is one of those described.
    pub(super) fn check_answer(&self, answer: &Answer) -> Result<(), String> {
        let Some(reply) = self.responses.get(&answer.status) else {
            return Err(format!("status {} is not described", answer.status));
        };
        for header in &reply.headers {
            match answer.header(&header.name) {
                None if header.required => return Err(format!("header {} is missing", header.name)),
                None => {}
                Some(text) => header.check(text)?,
            }
        }
        let Some(body) = &reply.body else {
            if answer.header("content-type").is_some_and(|kind| reply.kinds.iter().any(|other| other == kind))
            {
                return Ok(());
            }
            let is_empty = answer.body.is_empty();
            return if is_empty { Ok(()) } else { Err("there is a body".to_owned()) };
        };
        let kind = answer.header("content-type").unwrap_or_default();
        if kind != "application/json" && reply.kinds.iter().any(|other| other == kind) {
            // An import's or an export's own lines.
            return Ok(());
        }
        if kind != "application/json" {
            return Err(format!("content type {:?}", answer.header("content-type")));
        }
        let is_stream = self.path.ends_with("/streamed-list-objects");
        let values: Vec<&[u8]> = match is_stream {
            true => answer.body.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect(),
            false => vec![&answer.body],
        };
        for value in values {
            let value: Value = serde_json::from_slice(value).map_err(|error| format!("no JSON: {error}"))?;
            held(body, &value)?;
        }
        Ok(())
    }
}

impl Parameter {
    /// Holds its text against the description.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        held(&self.validator, &typed(&self.schema, text))
    }
}

impl Reply {
    fn read(json: &Value, reply: &Value) -> Reply {
        assert!(reply["description"].is_string());
        let headers = reply["headers"].as_object().into_iter().flatten().map(|(name, header)| {
            let header = resolve(json, header);
            let required = header["required"] == true;
            Header { name: name.clone(), required, validator: validator(json, header["schema"].clone()) }
        });
        let content = &reply["content"]["application/json"];
        let body = content.get("schema").map(|schema| validator(json, schema.clone()));
        if let (Some(body), Some(example)) = (&body, content.get("example")) {
            held(body, example).unwrap();
        }
        let kinds =
            reply["content"].as_object().into_iter().flatten().map(|(kind, _)| kind.clone()).collect();
        Reply { body, headers: headers.collect(), kinds }
    }
}

impl Header {
    fn check(&self, text: &str) -> Result<(), String> {
        let number = text.parse::<u64>().map(Value::from);
        let is_fitting = self.validator.is_valid(&Value::from(text))
            || number.is_ok_and(|number| self.validator.is_valid(&number));
        if is_fitting { Ok(()) } else { Err(format!("header {}: {text}", self.name)) }
    }
}

/// A text of a query as its schema has it.
fn typed(schema: &Value, text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) if schema["type"] == "integer" => number.into(),
        (_, Ok(truth)) if schema["type"] == "boolean" => truth.into(),
        _ => text.into(),
    }
}

/// Whether a path is one of a template such as `/stores/{store_id}`.
fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || wanted.starts_with('{') && !part.is_empty() => {}
            _ => return false,
        }
    }
}

fn resolve<'v>(json: &'v Value, value: &'v Value) -> &'v Value {
    match value["$ref"].as_str() {
        Some(place) => json.pointer(place.trim_start_matches('#')).unwrap_or_else(|| panic!("no {place}")),
        None => value,
    }
}

fn named(json: &Value, name: &str) -> Validator {
    validator(json, json!({ "$ref": format!("#/components/schemas/{name}") }))
}

fn validator(json: &Value, schema: Value) -> Validator {
    let mut root = Map::new();
    root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("allOf".to_owned(), json!([schema]));
    root.insert("components".to_owned(), json["components"].clone());
    jsonschema::validator_for(&Value::Object(root)).unwrap()
}

fn held(validator: &Validator, value: &Value) -> Result<(), String> {
    validator.validate(value).map_err(|error| {
        let place = error.instance_path().to_string();
        let told: String = error.to_string().chars().take(300).collect();
        format!("at `{place}`: {told}")
    })
}
