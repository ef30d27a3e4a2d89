use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::servers::{Holds, each_server, each_way, expect};
use crate::support::client::{Client, key, key_if, schema_json};

const CONDITIONS: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user with same, user with other, user]
    define reader: viewer
condition same(a: string, b: string) {
  a == \"x\" && b == \"y\"
}
condition other(a: string, b: string) {
  a == \"y\" && b == \"x\"
}
";

/// Contexts of two texts; where delimiters are no part of what is compared, many of them are the same.
fn contexts() -> Vec<Value> {
    let texts = [
        "x",
        "y",
        "xy",
        "",
        "x\",\"b\":\"y",
        "x','b:'y",
        "x,b:y",
        "x|y",
        "x/y",
        "'x'",
        "\"x\"",
        "x\u{0}y",
        "x\\",
        "\\x",
        "x;",
        "x b y",
        "x\ny",
        "1",
        "true",
        "null",
    ];
    let mut contexts = Vec::new();
    for a in texts {
        for b in ["y", "x", "", "\",\"b\":\"y", "y|"] {
            contexts.push(json!({ "a": a, "b": b }));
        }
    }
    contexts
}

fn is_same(context: &Value) -> bool {
    context["a"] == "x" && context["b"] == "y"
}

#[test]
fn cve_2026_33729_and_cve_2026_41131_contexts_that_are_alike_as_texts() {
    each_way(CONDITIONS, |client| {
        client.write_keys(vec![key_if("doc:1 viewer user:anne", "same", json!({}))]).granted();
        for context in contexts() {
            let given = json!({ "context": context });
            for _ in 0..2 {
                let allowed = client.allows_given("doc:1 reader user:anne", given.clone());
                assert_eq!(allowed, is_same(&context), "{context}");
            }
            let objects = client.objects_given("doc", "reader", "user:anne", given);
            assert_eq!(objects.len(), usize::from(is_same(&context)), "{context}");
        }
        // The order of keys is no difference, what is nested and the kind of a value are.
        assert!(client.allows_given("doc:1 reader user:anne", json!({ "context": { "b": "y", "a": "x" } })));
        let more = json!({ "context": { "b": "y", "a": "x", "c": { "a": "z" } } });
        assert!(client.allows_given("doc:1 reader user:anne", more));
        let number = client.check("doc:1 reader user:anne", json!({ "context": { "a": 1, "b": "y" } }));
        assert_eq!(number.status, 400, "{}", number.body);
    });
}

#[test]
fn cve_2026_34972_one_tuple_with_several_contexts_in_one_batch() {
    each_way(CONDITIONS, |client| {
        client.write_keys(vec![key_if("doc:1 viewer user:anne", "same", json!({}))]).granted();
        for (part, contexts) in contexts().chunks(20).enumerate() {
            let mut expected = Vec::new();
            let mut checks = Vec::new();
            for (number, context) in contexts.iter().enumerate() {
                let id = format!("c-{part}-{number}");
                expected.push((id.clone(), is_same(context)));
                checks.push(json!({
                    "tuple_key": key("doc:1 reader user:anne"), "context": context, "correlation_id": id
                }));
                // The same with a tuple of its own, which decides.
                let id = format!("t-{part}-{number}");
                expected.push((id.clone(), number % 2 == 0 || is_same(context)));
                let tuple = if number % 2 == 0 { "doc:1 viewer user:anne" } else { "doc:2 viewer user:anne" };
                checks.push(json!({
                    "tuple_key": key("doc:1 reader user:anne"), "context": context, "correlation_id": id,
                    "contextual_tuples": { "tuple_keys": [key(tuple)] },
                }));
            }
            for _ in 0..2 {
                let answer = client.post("batch-check", &json!({ "checks": checks })).granted();
                for (id, expected) in &expected {
                    assert_eq!(
                        answer.body["result"][id]["allowed"],
                        json!(expected),
                        "{id}: {}",
                        answer.body
                    );
                }
            }
        }
    });
}

#[test]
fn cve_2024_56323_contextual_tuples_that_differ_in_their_conditions() {
    each_way(CONDITIONS, |client| {
        let context = json!({ "a": "x", "b": "y" });
        let ask = |tuple: Option<Value>| {
            let tuples: Vec<Value> = tuple.into_iter().collect();
            let given = json!({ "context": context, "contextual_tuples": { "tuple_keys": tuples } });
            client.allows_given("doc:1 reader user:anne", given)
        };
        for _ in 0..2 {
            assert!(ask(Some(key_if("doc:1 viewer user:anne", "same", json!({})))));
            assert!(!ask(Some(key_if("doc:1 viewer user:anne", "other", json!({})))));
            assert!(!ask(Some(key_if("doc:1 viewer user:anne", "same", json!({ "a": "y" })))));
            assert!(ask(Some(key_if("doc:1 viewer user:anne", "other", json!({ "a": "y", "b": "x" })))));
            assert!(ask(Some(key("doc:1 viewer user:anne"))));
            assert!(!ask(Some(key("doc:2 viewer user:anne"))));
            assert!(!ask(None));
        }
    });
}

#[test]
fn cve_2026_48096_delimiters_in_names_and_ids() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user, docXa#viewer]
    define viewerXa: [user]
    define reader: viewer or viewerXa
type docXa
  relations
    define viewer: [user]
";
    let parts = [
        "a", "a|b", "b", "a/b", "a,b", "a;b", "a@b", "a\"b", "a\\b", "a'b", "a%00b", "a&b", "a=b", "|", "||",
        "-", "a.b", "a~b",
    ];
    for delimiter in ["|", "/", "-", ".", "~", "'", ","] {
        let schema: Value = {
            let text = schema_json(SCHEMA).to_string().replace("Xa", &format!("{delimiter}a"));
            serde_json::from_str(&text).unwrap()
        };
        each_server(|url| {
            let client = Client::new(url, "model\n  schema 1.1\ntype user\n");
            client.post("authorization-models", &schema).granted();
            let relations = ["viewer".to_owned(), format!("viewer{delimiter}a")];
            let mut written = BTreeSet::new();
            for (number, id) in parts.iter().enumerate() {
                let user = parts[(number * 7 + 3) % parts.len()];
                let tuple = format!("doc:{id} {} user:{user}", relations[number % 2]);
                client.write(&[&tuple]);
                written.insert(tuple);
            }
            let pairs: Vec<(&str, &str)> =
                parts.iter().flat_map(|id| parts.iter().map(move |user| (*id, *user))).collect();
            let questions = |object_type: &str, relation: &str| -> Vec<String> {
                pairs.iter().map(|(id, user)| format!("{object_type}:{id} {relation} user:{user}")).collect()
            };
            for relation in &relations {
                for question in questions("doc", relation) {
                    assert_eq!(client.allows(&question), written.contains(&question), "{question}");
                }
            }
            // A type that is another one's beginning.
            for question in questions(&format!("doc{delimiter}a"), "viewer").iter().step_by(11) {
                assert!(!client.allows(question), "{question}");
            }
            for (number, id) in parts.iter().enumerate() {
                let user = parts[(number * 7 + 3) % parts.len()];
                assert_eq!(client.objects("doc", "reader", &format!("user:{user}")), [format!("doc:{id}")]);
                assert_eq!(client.users(&format!("doc:{id}"), "reader", "user"), [format!("user:{user}")]);
            }
        });
    }
}

#[test]
fn cve_2026_55170_capitals_make_a_difference() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type User
type doc
  relations
    define viewer: [user, User]
    define Viewer: [user, User]
type Doc
  relations
    define viewer: [user, User]
";
    each_way(SCHEMA, |client| {
        client.write(&["doc:A viewer user:Anne"]);
        for question in [
            "doc:a viewer user:Anne",
            "doc:A Viewer user:Anne",
            "doc:A viewer user:anne",
            "doc:A viewer User:Anne",
            "doc:A viewer user:ANNE",
            "Doc:A viewer user:Anne",
        ] {
            expect(client, question, false);
        }
        expect(client, "doc:A viewer user:Anne", true);
        // Pairs that some comparison takes for equal: by case, by width, by accent, by form, by what is not seen.
        let pairs = [
            ("ß", "ss"),
            ("ß", "ẞ"),
            ("İ", "i"),
            ("ı", "i"),
            ("\u{212a}", "K"),
            ("ſ", "s"),
            ("é", "e"),
            ("\u{e9}", "e\u{301}"),
            ("\u{212b}", "\u{c5}"),
            ("\u{ff41}", "a"),
            ("\u{fb01}", "fi"),
            ("\u{2126}", "\u{3a9}"),
            ("a\u{200b}", "a"),
            ("a\u{200d}", "a"),
            ("\u{202e}a", "a"),
            ("\u{430}", "a"),
            ("1", "\u{661}"),
            ("1", "01"),
            ("1", "1.0"),
            ("½", "1\u{2044}2"),
        ];
        for (one, other) in pairs {
            let (one, other) = (format!("p-{one}"), format!("p-{other}"));
            assert_ne!(one, other);
            client.write(&[&format!("doc:{one} viewer user:pair")]);
            assert!(!client.allows(&format!("doc:{other} viewer user:pair")), "{one} {other}");
            client.write(&[&format!("doc:{other} viewer user:pair")]);
            let docs = client.objects("doc", "viewer", "user:pair");
            assert_eq!(docs.len(), 2, "{docs:?}");
            client.delete(&[&format!("doc:{one} viewer user:pair")]);
            assert!(client.allows(&format!("doc:{other} viewer user:pair")), "{one} {other}");
            client.delete(&[&format!("doc:{other} viewer user:pair")]);
        }
    });
}

#[test]
fn pr_3097_and_pr_3117_unions_that_share_operands() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define a: [user, group#member]
    define b: [user, group#member]
    define c: [user, group#member]
    define ab: a or b
    define ba: b or a
    define bc: b or c
    define abc: ab or bc
    define ab_and_bc: ab and bc
    define ab_but_not_bc: ab but not bc
";
    each_way(SCHEMA, |client| {
        client.write(&["group:1 member user:anne"]);
        let relations: [(&str, Holds); 9] = [
            ("a", |a, _, _| a),
            ("b", |_, b, _| b),
            ("c", |_, _, c| c),
            ("ab", |a, b, _| a || b),
            ("ba", |a, b, _| a || b),
            ("bc", |_, b, c| b || c),
            ("abc", |a, b, c| a || b || c),
            ("ab_and_bc", |a, b, c| (a || b) && (b || c)),
            ("ab_but_not_bc", |a, b, c| (a || b) && !(b || c)),
        ];
        for world in 0..8_u8 {
            let has = |bit: u8| world & (1 << bit) != 0;
            for (bit, relation) in ["a", "b", "c"].into_iter().enumerate() {
                if has(bit as u8) {
                    client.write(&[&format!("doc:{world} {relation} group:1#member")]);
                }
            }
        }
        // Forwards and backwards, so that each is asked before and after each other.
        for turn in 0..2 {
            for world in 0..8_u8 {
                let has = |bit: u8| world & (1 << bit) != 0;
                let mut asked = relations.to_vec();
                if turn == 1 {
                    asked.reverse();
                }
                for (relation, holds) in asked {
                    let expected = holds(has(0), has(1), has(2));
                    expect(client, &format!("doc:{world} {relation} user:anne"), expected);
                }
            }
        }
    });
}

#[test]
fn pr_3155_an_answer_kept_beside_a_write_does_not_outlive_it() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define blocked: [user]
    define viewer: [user, group#member]
    define reader: viewer but not blocked
";
    each_way(SCHEMA, |client| {
        client.write(&["doc:1 viewer group:1#member"]);
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Others ask all the time, so that an answer is being kept at every moment of a write.
            for _ in 0..3 {
                scope.spawn(|| {
                    let client = client.clone();
                    while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                        client.allows("doc:1 reader user:anne");
                    }
                });
            }
            for turn in 0..150 {
                let (tuple, is_allowed) = match turn % 4 {
                    0 => ("group:1 member user:anne", [true, false]),
                    1 => ("doc:1 blocked user:anne", [false, true]),
                    2 => ("doc:1 viewer user:anne", [true, true]),
                    _ => ("group:1 member user:anne", [true, false]),
                };
                // What blocks is met by somebody who otherwise may.
                if turn % 4 == 1 {
                    client.write(&["doc:1 viewer user:anne"]);
                }
                client.write(&[tuple]);
                assert_eq!(client.allows("doc:1 reader user:anne"), is_allowed[0], "turn {turn}: written");
                client.delete(&[tuple]);
                let expected = if turn % 4 == 2 { false } else { is_allowed[1] };
                assert_eq!(client.allows("doc:1 reader user:anne"), expected, "turn {turn}: deleted");
                if turn % 4 == 1 {
                    client.delete(&["doc:1 viewer user:anne"]);
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Release);
        });
    });
}
