use serde_json::{Value, json};

use super::servers::{each_server, each_way, expect};
use crate::support::Served;
use crate::support::client::{Answer, Client, key};

/// What a check took: look-ups, scans, rows.
#[track_caller]
fn work(client: &Client, tuple: &str) -> (bool, u64) {
    let answer =
        client.post_with("check", &json!({ "tuple_key": key(tuple) }), &[("stonetown-work", "1")]).granted();
    let numbers = answer.header("stonetown-work").expect("what it took").split(' ');
    (answer.body["allowed"].as_bool().unwrap(), numbers.map(|number| number.parse::<u64>().unwrap()).sum())
}

#[track_caller]
fn takes_at_most(client: &Client, tuple: &str, expected: bool, most: u64) {
    let (allowed, taken) = work(client, tuple);
    assert_eq!(allowed, expected, "{tuple}");
    assert!(taken <= most, "{tuple}: {taken} reads, at most {most} expected");
}

fn direct(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "directly_related_user_types": [{ "type": "user" }] })))
        .collect()
}

fn model(relations: Value, direct: Value) -> Value {
    json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "doc", "relations": relations, "metadata": { "relations": direct } },
    ] })
}

fn computed(name: &str) -> Value {
    json!({ "computedUserset": { "relation": name } })
}

#[test]
fn cve_2023_35933_relations_that_are_defined_by_each_other() {
    each_server(|url| {
        let client = Client::new(url, "model\n  schema 1.1\ntype user\n");
        let or = |children: Value| json!({ "union": { "child": children } });
        let this = json!({ "this": {} });
        for (relations, names) in [
            (json!({ "a": computed("a") }), &[][..]),
            (json!({ "a": or(json!([this, computed("a")])) }), &["a"]),
            (json!({ "a": computed("b"), "b": computed("a") }), &[]),
            (
                json!({ "a": or(json!([this, computed("b")])), "b": or(json!([this, computed("c")])),
                        "c": or(json!([this, computed("a")])) }),
                &["a", "b", "c"],
            ),
            (
                json!({ "a": { "difference": { "base": this, "subtract": computed("b") } },
                        "b": { "difference": { "base": this, "subtract": computed("a") } } }),
                &["a", "b"],
            ),
            (
                json!({ "a": { "intersection": { "child": [this, computed("b")] } },
                        "b": or(json!([this, computed("a")])) }),
                &["a", "b"],
            ),
        ] {
            let answer = client.post("authorization-models", &model(relations.clone(), direct(names)));
            assert_eq!(answer.status, 400, "{relations}: {}", answer.body);
        }
        // A chain without a circle is taken, whatever its length.
        let mut chain = json!({ "r0": { "this": {} } });
        for n in 1..200 {
            chain[format!("r{n}")] = computed(&format!("r{}", n - 1));
        }
        client.post("authorization-models", &model(chain, direct(&["r0"]))).granted();
        client.write(&["doc:1 r0 user:anne"]);
        takes_at_most(&client, "doc:1 r199 user:anne", true, 10);
        takes_at_most(&client, "doc:1 r199 user:bob", false, 10);
    });
}

#[test]
fn cve_2023_43645_rewrites_that_double_at_every_step() {
    let text = |step: &dyn Fn(usize) -> String| {
        let mut text = "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define member: [user]\n\
                        type doc\n  relations\n    define r0: [user, group#member]\n    define other: [user]\n"
            .to_owned();
        (1..=40).for_each(|n| text.push_str(&format!("    define r{n}: {}\n", step(n - 1))));
        text
    };
    let schemas = [
        text(&|n| format!("(r{n} or other) and (r{n} or other)")),
        text(&|n| format!("(r{n} but not other) or (r{n} but not other)")),
        text(&|n| format!("r{n} or (r{n} and r{n})")),
        text(&|n| format!("r{n} or r{n}")),
    ];
    for schema in schemas {
        each_way(&schema, |client| {
            client.write(&["doc:1 r0 user:anne", "doc:2 r0 group:1#member", "group:1 member user:bob"]);
            // 2^40 ways, one look each: 40 subproblems.
            takes_at_most(client, "doc:1 r40 user:anne", true, 500);
            takes_at_most(client, "doc:1 r40 user:bob", false, 500);
            takes_at_most(client, "doc:2 r40 user:bob", true, 500);
            takes_at_most(client, "doc:2 r40 user:anne", false, 500);
            assert_eq!(client.objects("doc", "r40", "user:bob"), ["doc:2"]);
            assert_eq!(client.users("doc:2", "r40", "user"), ["user:bob"]);
        });
    }
}

#[test]
fn cve_2023_43645_usersets_that_lead_to_each_other_in_every_way() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define banned: [user]
    define member: [user, group#member, group#owner]
    define owner: [user, group#member, group#owner]
    define active: member but not banned
";
    each_way(SCHEMA, |client| {
        // Each of twelve groups in each: more than 12! ways, 2 * 12 * 12 * 2 tuples.
        for one in 0..12 {
            let mut tuples = Vec::new();
            for other in 0..12 {
                for relation in ["member", "owner"] {
                    tuples.push(format!("group:{one} member group:{other}#{relation}"));
                    tuples.push(format!("group:{one} owner group:{other}#{relation}"));
                }
            }
            // A group does not hold itself: that is implicit.
            tuples.retain(|tuple| {
                let words: Vec<&str> = tuple.split(' ').collect();
                words[2] != format!("{}#{}", words[0], words[1])
            });
            client.write(&tuples.iter().map(String::as_str).collect::<Vec<_>>());
        }
        takes_at_most(client, "group:0 member user:anne", false, 5_000);
        client.write(&["group:11 owner user:anne"]);
        for relation in ["member", "owner", "active"] {
            takes_at_most(client, &format!("group:0 {relation} user:anne"), true, 5_000);
            takes_at_most(client, &format!("group:0 {relation} user:bob"), false, 5_000);
            assert_eq!(client.objects("group", relation, "user:anne").len(), 12);
            assert_eq!(client.users("group:3", relation, "user"), ["user:anne"]);
        }
    });
}

#[test]
fn cve_2023_45810_a_list_that_is_asked_for_by_many_at_once() {
    each_way(LISTS, |client| {
        fill(client);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let client = client.clone();
                    for _ in 0..3 {
                        assert_eq!(client.objects("doc", "reader", "user:anne").len(), 2_000);
                    }
                });
            }
            // Meanwhile others are answered.
            for _ in 0..50 {
                expect(client, "doc:0007 reader user:anne", true);
            }
        });
    });
}

const LISTS: &str = "model
  schema 1.1
type user
type folder
  relations
    define viewer: [user]
type doc
  relations
    define parent: [folder]
    define blocked: [user]
    define reader: viewer from parent but not blocked
";

fn fill(client: &Client) {
    client.write(&["folder:1 viewer user:anne"]);
    for part in 0..20 {
        let tuples: Vec<String> =
            (0..100).map(|n| format!("doc:{:04} parent folder:1", part * 100 + n)).collect();
        client.write(&tuples.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn cve_2024_23820_a_list_that_reaches_its_deadline_leaves_nothing_behind() {
    for arguments in [&[][..], &["--decision-cache-mib", "64"]] {
        let server = Served::on(tempfile::tempdir().unwrap(), arguments);
        let client = Client::new(&server.url, LISTS);
        fill(&client);
        let list = json!({ "type": "doc", "relation": "reader", "user": "user:anne" });
        let cut = |answer: &Answer| answer.header("stonetown-incomplete").map(str::to_owned);
        let mut incomplete = 0;
        // More than enough for what each might leave to be seen: bytes of 400 lists of 2,000 are some 30 MiB of texts alone.
        let mut ask = || {
            for _ in 0..200 {
                let answer =
                    client.post_with("list-objects", &list, &[("stonetown-deadline-ms", "1")]).granted();
                let objects = answer.body["objects"].as_array().unwrap().len();
                match cut(&answer) {
                    Some(why) => {
                        assert_eq!(why, "deadline");
                        // Before the first object there is no place to go on from but the beginning.
                        assert_eq!(answer.header("stonetown-continuation").is_some(), objects > 0);
                        incomplete += 1;
                    }
                    None => assert_eq!(objects, 2_000),
                }
            }
        };
        ask();
        let before = memory_mib(&server);
        ask();
        let after = memory_mib(&server);
        println!("{incomplete} of 400 were cut; {before} MiB resident before, {after} after");
        assert!(after < before + 24, "{before} MiB before, {after} after");
        let whole = client.post("list-objects", &list).granted();
        assert_eq!((whole.body["objects"].as_array().unwrap().len(), cut(&whole)), (2_000, None));
    }
}

/// Resident memory of a server.
fn memory_mib(server: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
