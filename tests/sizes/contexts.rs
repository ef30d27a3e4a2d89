use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::support::Served;
use crate::support::client::{Client, key, key_if};

const SCHEMA: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user with same]
    define reader: viewer
condition same(stored: string, asked: string) {
  stored == asked
}
";
/// Bytes of JSON that a tuple's context may have.
const STORED_MAX: usize = 32_768;
/// Bytes of a request, unless the server is told otherwise.
const BODY_MAX: usize = 4 << 20;

/// A context of exactly so many bytes of JSON.
fn context(bytes: usize, fill: char) -> Value {
    let frame = json!({ "stored": "" }).to_string().len();
    let count = (bytes - frame) / fill.len_utf8();
    let rest = (bytes - frame) % fill.len_utf8();
    let context = json!({ "stored": format!("{}{}", fill.to_string().repeat(count), "x".repeat(rest)) });
    assert_eq!(context.to_string().len(), bytes);
    context
}

#[test]
fn a_stored_context_at_its_limit_and_one_byte_beyond() -> Result<()> {
    let server = Served::start();
    let client = Client::new(&server.url, SCHEMA);
    for (number, fill) in ['a', 'é', '☃', '𐍈'].into_iter().enumerate() {
        let tuple = format!("doc:{number} viewer user:anne");
        let most = context(STORED_MAX, fill);
        client.write_keys(vec![key_if(&tuple, "same", most.clone())]).granted();
        let read = client.post("read", &json!({ "tuple_key": key(&tuple) })).granted();
        ensure!(read.body["tuples"][0]["key"]["condition"]["context"] == most, "another one is read");
        let asked = json!({ "context": { "asked": most["stored"] } });
        ensure!(client.allows_given(&format!("doc:{number} reader user:anne"), asked.clone()));
        ensure!(client.objects_given("doc", "reader", "user:anne", asked) == [format!("doc:{number}")]);
        let other = json!({ "context": { "asked": format!("{}!", most["stored"].as_str().unwrap()) } });
        ensure!(!client.allows_given(&format!("doc:{number} reader user:anne"), other));

        let tuple = format!("doc:more-{number} viewer user:anne");
        let more = context(STORED_MAX + 1, fill);
        let refused = client.write_keys(vec![key_if(&tuple, "same", more.clone())]);
        ensure!(refused.status == 400, "{} {}", refused.status, refused.body);
        let text = refused.body.to_string();
        ensure!(text.contains("32768") || text.contains("32,768"), "the limit is not named: {text}");
        ensure!(text.len() < 4_000, "the refusal repeats all of it: {} bytes", text.len());
        // As a contextual tuple it is refused in the same way.
        let given = json!({ "contextual_tuples": { "tuple_keys": [key_if(&tuple, "same", more)] } });
        let refused = client.check(&format!("doc:more-{number} reader user:anne"), given);
        ensure!(refused.status == 400, "{refused:?}");
        client.delete(&[&format!("doc:{number} viewer user:anne")]);
    }
    Ok(())
}

#[test]
fn a_request_at_the_limit_of_bytes_and_one_byte_beyond() -> Result<()> {
    let server = Served::start();
    let client = Client::new(&server.url, SCHEMA);
    client.write_keys(vec![key_if("doc:1 viewer user:anne", "same", json!({ "stored": "yes" }))]).granted();
    let path = format!("/stores/{}/check", client.store);
    let body = |fill: usize| {
        let key = key("doc:1 reader user:anne");
        json!({ "tuple_key": key, "context": { "asked": "yes", "more": "m".repeat(fill) } }).to_string()
    };
    let fill = BODY_MAX - body(0).len();
    let most = body(fill);
    ensure!(most.len() == BODY_MAX);
    for _ in 0..2 {
        let answer = client.send_text("POST", &path, most.clone(), &[]).granted();
        ensure!(answer.body["allowed"] == true, "{}", answer.body);
    }
    let refused = client.send_text("POST", &path, body(fill + 1), &[]);
    println!("one byte more: {} {}", refused.status, refused.body);
    ensure!(refused.status >= 400 && refused.body["code"].is_string(), "{refused:?}");
    // It goes on, and with its limit set otherwise it takes as much.
    ensure!(client.allows_given("doc:1 reader user:anne", json!({ "context": { "asked": "yes" } })));
    let larger = Served::on(tempfile::tempdir()?, &["--body-bytes-max", &(BODY_MAX + 1).to_string()]);
    let other = Client::new(&larger.url, SCHEMA);
    other.write_keys(vec![key_if("doc:1 viewer user:anne", "same", json!({ "stored": "yes" }))]).granted();
    let path = format!("/stores/{}/check", other.store);
    other.send_text("POST", &path, body(fill + 1), &[]).granted();
    Ok(())
}

#[test]
fn a_context_that_nests_deeply_or_has_many_keys() -> Result<()> {
    let server = Served::start();
    let client = Client::new(&server.url, SCHEMA);
    client.write_keys(vec![key_if("doc:1 viewer user:anne", "same", json!({ "stored": "yes" }))]).granted();
    let path = format!("/stores/{}/check", client.store);
    let ask = |more: &str| {
        let key = key("doc:1 reader user:anne");
        let body = format!(r#"{{"tuple_key":{key},"context":{{"asked":"yes","more":{more}}}}}"#);
        client.send_text("POST", &path, body, &[])
    };
    for depth in [10, 100, 1_000, 10_000, 500_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let answer = ask(&format!("{}1{}", open.repeat(depth), close.repeat(depth)));
            // An answer or a refusal, never the end of the server.
            println!("{depth} of `{open}`: {}", answer.status);
            ensure!(
                answer.status == 200 || answer.status == 400 && answer.body["code"].is_string(),
                "{answer:?}"
            );
            ensure!(depth > 10 || answer.status == 200, "{answer:?}");
        }
    }
    let keys: Vec<String> = (0..100_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let answer = ask(&format!("{{{}}}", keys.join(",")));
    ensure!(answer.granted().body["allowed"] == true);
    Ok(())
}
