use serde_json::{Value, json};
use stonetown::schema::Tree;

use crate::support::Served;

/// An answer: its status, headers and body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: ureq::http::HeaderMap,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.to_str().unwrap()
    }

    /// The message of a refusal: a text, as AuthZEN has it.
    pub(super) fn refusal(&self) -> &str {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        self.body.as_str().unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// A store of a server.
pub(super) struct Client<'s> {
    pub(super) server: &'s Served,
    pub(super) store: String,
}

impl<'s> Client<'s> {
    /// In a new store, with a schema and tuples, each `object#relation@subject`, perhaps ` with CONDITION {CONTEXT}`.
    pub(super) fn new(server: &'s Served, schema: &str, tuples: &[&str]) -> Client<'s> {
        let mut client = Client { server, store: String::new() };
        let created = client.send("POST", "/stores", &json!({ "name": "a store" }).to_string(), &[]);
        client.store = created.body["id"].as_str().unwrap().to_owned();
        client.write_schema(schema);
        for part in tuples.chunks(100) {
            client.write(part);
        }
        client
    }

    pub(super) fn write_schema(&self, schema: &str) {
        let model = Tree::parse("test", schema).unwrap_or_else(|problems| panic!("{}", problems.plain()));
        let written = self.post("authorization-models", &model.to_json());
        assert_eq!(written.status, 201, "{}", written.text);
    }

    /// The token of the state afterwards.
    pub(super) fn write(&self, tuples: &[&str]) -> String {
        let key = |tuple: &&str| {
            let (key, condition) = tuple.split_once(" with ").unwrap_or((tuple, ""));
            let (object, rest) = key.split_once('#').unwrap();
            let (relation, user) = rest.split_once('@').unwrap();
            let mut json = json!({ "object": object, "relation": relation, "user": user });
            if !condition.is_empty() {
                let (name, context) = condition.split_once(' ').unwrap_or((condition, "{}"));
                let context: Value = serde_json::from_str(context).unwrap();
                json["condition"] = json!({ "name": name, "context": context });
            }
            json
        };
        let keys: Vec<Value> = tuples.iter().map(key).collect();
        let written = self.post("write", &json!({ "writes": { "tuple_keys": keys } }));
        assert_eq!(written.status, 200, "{}", written.text);
        written.header("stonetown-token").to_owned()
    }

    pub(super) fn send(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, body }
    }

    /// A body as it is, to a verb of the store.
    pub(super) fn post_text(&self, verb: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("POST", &format!("/stores/{}/{verb}", self.store), body, headers)
    }

    pub(super) fn post_with(&self, verb: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.post_text(verb, &body.to_string(), &all)
    }

    pub(super) fn post(&self, verb: &str, body: &Value) -> Answer {
        self.post_with(verb, body, &[])
    }

    /// The answer to a single evaluation.
    pub(super) fn evaluate(&self, body: &Value) -> Value {
        let answer = self.post("access/v1/evaluation", body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.body["decision"].is_boolean(), "{}", answer.text);
        answer.body
    }

    pub(super) fn decision(&self, body: &Value) -> bool {
        self.evaluate(body)["decision"].as_bool().unwrap()
    }

    /// The answers to several evaluations.
    pub(super) fn evaluations(&self, body: &Value) -> Vec<Value> {
        let answer = self.post("access/v1/evaluations", body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        assert!(answer.body.get("decision").is_none(), "{}", answer.text);
        let answers = answer.body["evaluations"].as_array().unwrap().clone();
        assert!(answers.iter().all(|answer| answer["decision"].is_boolean()), "{}", answer.text);
        answers
    }

    pub(super) fn decisions(&self, body: &Value) -> Vec<bool> {
        self.evaluations(body).iter().map(|answer| answer["decision"].as_bool().unwrap()).collect()
    }

    /// The answer to a search, looked at: its form, its order.
    pub(super) fn search(&self, what: &str, body: &Value) -> Value {
        let answer = self.post(&format!("access/v1/search/{what}"), body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        let results = answer.body["results"].as_array().unwrap();
        let names = names(&answer.body);
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(answer.body["page"]["count"], json!(results.len()));
        assert!(answer.body["page"]["next_token"].is_string());
        if what != "action" {
            assert!(results.iter().all(|one| one["type"] == body[what]["type"]), "{}", answer.text);
        }
        // So that a client can show its progress before it has read everything.
        assert!(answer.text.starts_with("{\"page\":"), "{}", answer.text);
        answer.body
    }

    /// The ids or names that a search finds.
    pub(super) fn found(&self, what: &str, body: &Value) -> Vec<String> {
        let answer = self.search(what, body);
        assert_eq!(answer["page"]["next_token"], json!(""), "everything, unless a limit is asked for");
        names(&answer)
    }
}

/// The ids or names in the answer to a search.
pub(super) fn names(answer: &Value) -> Vec<String> {
    let name = |one: &Value| one.get("id").or(one.get("name")).unwrap().as_str().unwrap().to_owned();
    answer["results"].as_array().unwrap().iter().map(name).collect()
}

/// A question by three words: subject, action, resource, each entity as `type:id` or `type`.
pub(super) fn question(subject: &str, action: &str, resource: &str) -> Value {
    let mut question = json!({ "subject": entity(subject), "resource": entity(resource) });
    if !action.is_empty() {
        question["action"] = json!({ "name": action });
    }
    question
}

pub(super) fn entity(text: &str) -> Value {
    match text.split_once(':') {
        Some((kind, id)) => json!({ "type": kind, "id": id }),
        None => json!({ "type": text }),
    }
}

/// A question with properties, given as `part.name`.
pub(super) fn with(mut question: Value, properties: &[(&str, Value)]) -> Value {
    for (path, value) in properties {
        let (part, name) = path.split_once('.').unwrap();
        question[part]["properties"][name] = value.clone();
    }
    question
}
