//! A client of a store over HTTP.

use serde_json::{Value, json};
use stonetown::schema::read_schema;

/// An answer: its status, headers and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    /// A text where it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Itself, when it is that of a request that was granted.
    #[track_caller]
    pub(crate) fn granted(self) -> Answer {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self
    }

    /// Its code, when it is a refusal.
    #[track_caller]
    pub(crate) fn refused(&self) -> &str {
        assert!(self.status >= 400, "{}: {}", self.status, self.body);
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// Asks one store of one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    pub(crate) url: String,
    pub(crate) store: String,
}

impl Client {
    /// Of a store that is there.
    pub(crate) fn of(url: &str, store: &str) -> Client {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Client { agent, url: url.to_owned(), store: store.to_owned() }
    }

    /// Of a new store, with a schema in force.
    #[track_caller]
    pub(crate) fn new(url: &str, schema: &str) -> Client {
        let mut client = Client::of(url, "");
        let store = client.send("POST", "/stores", &json!({ "name": "a store" }), &[]).granted();
        client.store = store.body["id"].as_str().unwrap().to_owned();
        client.schema(schema);
        client
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send_text(method, path, text, headers)
    }

    pub(crate) fn send_text(
        &self,
        method: &str,
        path: &str,
        text: String,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(text).unwrap()).unwrap();
        let text = response.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    pub(crate) fn post(&self, verb: &str, body: &Value) -> Answer {
        self.post_with(verb, body, &[])
    }

    /// Comes again when there was no room, as OpenFGA's SDKs do.
    pub(crate) fn post_with(&self, verb: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        loop {
            let answer = self.send("POST", &format!("/stores/{}/{verb}", self.store), body, headers);
            if answer.status != 429 {
                return answer;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub(crate) fn get(&self, verb: &str) -> Answer {
        self.send("GET", &format!("/stores/{}/{verb}", self.store), &Value::Null, &[])
    }

    /// Puts a schema in force that is written in OpenFGA's language: its id.
    #[track_caller]
    pub(crate) fn schema(&self, text: &str) -> String {
        let answer = self.post("authorization-models", &schema_json(text)).granted();
        answer.body["authorization_model_id"].as_str().unwrap().to_owned()
    }

    /// Writes tuples, given as `object relation subject`.
    #[track_caller]
    pub(crate) fn write(&self, tuples: &[&str]) -> Answer {
        self.write_keys(tuples.iter().map(|tuple| key(tuple)).collect()).granted()
    }

    pub(crate) fn write_keys(&self, keys: Vec<Value>) -> Answer {
        self.post("write", &json!({ "writes": { "tuple_keys": keys } }))
    }

    #[track_caller]
    pub(crate) fn delete(&self, tuples: &[&str]) -> Answer {
        let keys: Vec<Value> = tuples.iter().map(|tuple| key(tuple)).collect();
        self.post("write", &json!({ "deletes": { "tuple_keys": keys } })).granted()
    }

    /// Whether a check says yes, which has to have an answer.
    #[track_caller]
    pub(crate) fn allows(&self, tuple: &str) -> bool {
        self.allows_given(tuple, json!({}))
    }

    /// The same, with more in the question, such as `context` and `contextual_tuples`.
    #[track_caller]
    pub(crate) fn allows_given(&self, tuple: &str, given: Value) -> bool {
        self.check(tuple, given).granted().body["allowed"].as_bool().unwrap()
    }

    pub(crate) fn check(&self, tuple: &str, given: Value) -> Answer {
        let mut body = json!({ "tuple_key": key(tuple) });
        extend(&mut body, given);
        self.post("check", &body)
    }

    /// The objects of a list, sorted.
    #[track_caller]
    pub(crate) fn objects(&self, object_type: &str, relation: &str, user: &str) -> Vec<String> {
        self.objects_given(object_type, relation, user, json!({}))
    }

    #[track_caller]
    pub(crate) fn objects_given(
        &self,
        object_type: &str,
        relation: &str,
        user: &str,
        given: Value,
    ) -> Vec<String> {
        let mut body = json!({ "type": object_type, "relation": relation, "user": user });
        extend(&mut body, given);
        let answer = self.post("list-objects", &body).granted();
        let objects = answer.body["objects"].as_array().unwrap().iter();
        let mut objects: Vec<String> = objects.map(|object| object.as_str().unwrap().to_owned()).collect();
        objects.sort();
        objects
    }

    /// The users of a list, as texts, sorted.
    #[track_caller]
    pub(crate) fn users(&self, object: &str, relation: &str, user_type: &str) -> Vec<String> {
        self.users_given(object, relation, user_type, json!({}))
    }

    #[track_caller]
    pub(crate) fn users_given(
        &self,
        object: &str,
        relation: &str,
        user_type: &str,
        given: Value,
    ) -> Vec<String> {
        self.users_and_excluded(object, relation, user_type, given).0
    }

    /// The same, with those who are not among everybody.
    #[track_caller]
    pub(crate) fn users_and_excluded(
        &self,
        object: &str,
        relation: &str,
        user_type: &str,
        given: Value,
    ) -> (Vec<String>, Vec<String>) {
        let (object_type, id) = object.split_once(':').unwrap();
        let mut filter = json!({ "type": user_type });
        if let Some((user_type, relation)) = user_type.split_once('#') {
            filter = json!({ "type": user_type, "relation": relation });
        }
        let mut body = json!({
            "object": { "type": object_type, "id": id }, "relation": relation, "user_filters": [filter]
        });
        extend(&mut body, given);
        let answer = self.post("list-users", &body).granted();
        let texts = |field: &str| {
            let users = answer.body[field].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut users: Vec<String> = users.iter().map(user_text).collect();
            users.sort();
            users
        };
        (texts("users"), texts("excluded_users"))
    }
}

/// A schema as the API has it, from OpenFGA's language.
pub(crate) fn schema_json(text: &str) -> Value {
    read_schema("test.fga", text).unwrap().0.to_json()
}

fn user_text(user: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(wildcard) = user.get("wildcard") {
        return format!("{}:*", text(&wildcard["type"]));
    }
    let object = user.get("object").or_else(|| user.get("userset")).unwrap();
    let relation = object.get("relation").map(|relation| format!("#{}", text(relation))).unwrap_or_default();
    format!("{}:{}{relation}", text(&object["type"]), text(&object["id"]))
}

/// `object relation subject` as the API has it.
pub(crate) fn key(tuple: &str) -> Value {
    let mut words = tuple.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    json!({ "object": word(), "relation": word(), "user": word() })
}

/// The same with a condition.
pub(crate) fn key_if(tuple: &str, condition: &str, context: Value) -> Value {
    let mut key = key(tuple);
    key["condition"] = json!({ "name": condition, "context": context });
    key
}

fn extend(body: &mut Value, given: Value) {
    let Value::Object(given) = given else { panic!("{given} is no object") };
    body.as_object_mut().unwrap().extend(given);
}
