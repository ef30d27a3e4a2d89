use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Client, names, question};
use crate::support::Served;

const SCHEMA: &str = "
model
  schema 1.1
type user
type group
  relations
    define member: [user]
type folder
  relations
    define parent: [folder]
    define viewer: [user] or viewer from parent
type doc
  relations
    define viewer: [user, group#member]
    define banned: [user]
    define reader: viewer but not banned
";

fn client<'s>(server: &'s Served, tuples: &[String]) -> Client<'s> {
    Client::new(server, SCHEMA, &tuples.iter().map(String::as_str).collect::<Vec<_>>())
}

/// All pages of a search; `between` is done after each.
fn pages(
    client: &Client<'_>,
    what: &str,
    asked: &Value,
    limit: u64,
    between: &mut dyn FnMut(usize),
) -> Vec<Vec<String>> {
    let mut asked = asked.clone();
    asked["page"] = json!({ "limit": limit });
    let mut pages = Vec::new();
    loop {
        let answer = client.search(what, &asked);
        pages.push(names(&answer));
        let token = answer["page"]["next_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            return pages;
        }
        between(pages.len());
        // Said again or not, the limit is the same.
        asked["page"] = if pages.len() % 2 == 0 {
            json!({ "token": token })
        } else {
            json!({ "token": token, "limit": limit })
        };
    }
}

/// Pages of a search are its whole in order, whatever is written meanwhile.
fn hold(client: &Client<'_>, what: &str, asked: &Value, between: &mut dyn FnMut(usize)) {
    let whole = client.found(what, asked);
    let distinct: BTreeSet<&String> = whole.iter().collect();
    assert_eq!(distinct.len(), whole.len());
    for limit in [7, whole.len() as u64 - 1, whole.len() as u64, 10_000] {
        let now = client.found(what, asked);
        let pages = pages(client, what, asked, limit, between);
        assert_eq!(pages.concat(), now, "{what} by {limit}");
        assert!(pages[..pages.len() - 1].iter().all(|page| page.len() as u64 == limit));
        assert!(pages.last().is_some_and(|page| !page.is_empty()), "no page is sent for nothing");
    }
}

#[test]
fn hundreds_of_resources_in_order_across_writes() {
    let server = Served::start();
    let mut tuples = vec!["group:g#member@user:anne".to_owned()];
    for number in 0..400 {
        let who = if number % 3 == 0 { "group:g#member" } else { "user:anne" };
        tuples.push(format!("doc:{number}#viewer@{who}"));
        if number % 5 == 0 {
            tuples.push(format!("doc:{number}#banned@user:anne"));
        }
    }
    let client = client(&server, &tuples);
    let asked = question("user:anne", "reader", "doc");
    assert_eq!(client.found("resource", &asked).len(), 320);
    let mut number = 1000;
    hold(&client, "resource", &asked, &mut |_| {
        number += 1;
        client
            .write(&[&format!("doc:{number}#viewer@user:anne"), &format!("doc:0{number}#viewer@user:anne")]);
    });
}

#[test]
fn resources_that_lead_to_each_other_come_in_order_too() {
    let server = Served::start();
    // Deep ones have small ids: the walk finds them last.
    let mut tuples = vec!["folder:f999#viewer@user:anne".to_owned()];
    tuples.extend((0..300).map(|number| {
        format!(
            "folder:f{number:03}#parent@folder:f{}",
            if number % 20 == 0 { 999 } else { 1000 + number % 20 }
        )
    }));
    tuples.extend((1..20).map(|number| format!("folder:f{}#parent@folder:f999", 1000 + number)));
    let client = client(&server, &tuples);
    let asked = question("user:anne", "viewer", "folder");
    assert_eq!(client.found("resource", &asked).len(), 320);
    let mut number = 0;
    hold(&client, "resource", &asked, &mut |_| {
        number += 1;
        client.write(&[&format!("folder:a{number}#viewer@user:anne")]);
    });
}

#[test]
fn hundreds_of_subjects_in_order_across_writes() {
    let server = Served::start();
    let mut tuples = vec!["doc:1#viewer@group:g#member".to_owned(), "doc:1#banned@user:u7".to_owned()];
    for number in 0..300 {
        tuples.push(if number % 2 == 0 {
            format!("doc:1#viewer@user:u{number}")
        } else {
            format!("group:g#member@user:u{number}")
        });
    }
    let client = client(&server, &tuples);
    let asked = question("user", "reader", "doc:1");
    assert_eq!(client.found("subject", &asked).len(), 299);
    let mut number = 1000;
    hold(&client, "subject", &asked, &mut |_| {
        number += 1;
        client.write(&[&format!("doc:1#viewer@user:u{number}"), &format!("group:g#member@user:a{number}")]);
    });
}

#[test]
fn more_actions_than_a_batch_has_checks() {
    let server = Served::start();
    let relations: String = (0..120).map(|number| format!("    define r{number}: [user]\n")).collect();
    let schema = format!("model\n  schema 1.1\ntype user\ntype doc\n  relations\n{relations}");
    let tuples: Vec<String> =
        (0..120).filter(|it| it % 4 != 0).map(|it| format!("doc:1#r{it}@user:anne")).collect();
    let client = Client::new(&server, &schema, &tuples.iter().map(String::as_str).collect::<Vec<_>>());
    let asked = question("user:anne", "", "doc:1");
    assert_eq!(client.found("action", &asked).len(), 90);
    let mut number = 0;
    hold(&client, "action", &asked, &mut |_| {
        if number < 120 {
            client.write(&[&format!("doc:1#r{number}@user:anne")]);
            number += 4;
        }
    });
}

#[test]
fn a_token_is_good_for_its_own_search_and_state() {
    let server = Served::start();
    let tuples: Vec<String> = (0..9)
        .flat_map(|it| [format!("doc:{it}#viewer@user:anne"), format!("doc:1#viewer@user:u{it}")])
        .collect();
    let client = client(&server, &tuples);
    let other = Client::new(&server, SCHEMA, &["doc:1#viewer@user:anne"]);
    let first = |what: &str, mut asked: Value| {
        asked["page"] = json!({ "limit": 2 });
        let answer = client.post(&format!("access/v1/search/{what}"), &asked);
        (
            answer.body["page"]["next_token"].as_str().unwrap().to_owned(),
            answer.header("stonetown-token").to_owned(),
        )
    };
    let asked = question("user:anne", "viewer", "doc");
    let (token, state) = first("resource", asked.clone());
    let (subjects, _) = first("subject", question("user", "viewer", "doc:1"));
    client.write(&["doc:x#viewer@user:anne"]);
    let send = |client: &Client<'_>, what: &str, mut asked: Value, page: Value| {
        asked["page"] = page;
        client.post(&format!("access/v1/search/{what}"), &asked)
    };
    let next = send(&client, "resource", asked.clone(), json!({ "token": token }));
    assert_eq!((next.status, next.header("stonetown-token")), (200, &*state));
    // What is passed over does not count.
    let mut same = asked.clone();
    same["resource"]["id"] = json!("7");
    same["unknown"] = json!(true);
    let again = send(&client, "resource", same, json!({ "token": token, "limit": 2, "properties": {} }));
    assert_eq!(again.body["results"], next.body["results"]);

    let changed = |change: &dyn Fn(&mut Value)| {
        let mut asked = asked.clone();
        change(&mut asked);
        send(&client, "resource", asked, json!({ "token": token }))
    };
    for refused in [
        send(&client, "resource", asked.clone(), json!({ "token": token, "limit": 3 })),
        send(&client, "resource", asked.clone(), json!({ "token": subjects })),
        send(&client, "subject", question("user", "viewer", "doc:1"), json!({ "token": token })),
        send(&client, "action", question("user:anne", "", "doc:1"), json!({ "token": token })),
        send(&other, "resource", asked.clone(), json!({ "token": token })),
        send(&client, "resource", asked.clone(), json!({ "token": state })),
        changed(&|asked| asked["subject"]["id"] = json!("bob")),
        changed(&|asked| asked["subject"]["properties"] = json!({ "role": "admin" })),
        changed(&|asked| asked["action"]["name"] = json!("reader")),
        changed(&|asked| asked["action"]["properties"] = json!({ "soft": true })),
        changed(&|asked| asked["resource"]["type"] = json!("folder")),
        changed(&|asked| asked["resource"]["properties"] = json!({ "status": 1 })),
        changed(&|asked| asked["context"] = json!({})),
    ] {
        assert_eq!(refused.status, 400, "{}", refused.text);
        refused.refusal();
    }
    let mut of_objects = client.post_with(
        "list-objects",
        &json!({ "type": "doc", "relation": "viewer", "user": "user:anne" }),
        &[("stonetown-limit", "2")],
    );
    let foreign = of_objects.header("stonetown-continuation").to_owned();
    of_objects = send(&client, "resource", asked, json!({ "token": foreign }));
    assert_eq!(of_objects.status, 400);
}

#[test]
fn tokens_survive_a_restart() {
    let server = Served::start();
    let tuples: Vec<String> = (0..9).map(|it| format!("doc:{it}#viewer@user:anne")).collect();
    let client = client(&server, &tuples);
    let mut asked = question("user:anne", "viewer", "doc");
    asked["page"] = json!({ "limit": 4 });
    let token = client.search("resource", &asked)["page"]["next_token"].clone();
    client.write(&["doc:55#viewer@user:anne"]);
    let store = client.store.clone();
    let server = server.restart();
    let client = Client { server: &server, store };
    asked["page"] = json!({ "token": token });
    assert_eq!(names(&client.search("resource", &asked)), ["4", "5", "6", "7"]);
}

#[test]
fn a_limit_of_none_says_whether_there_are_any() {
    let server = Served::start();
    let client = client(&server, &["doc:1#viewer@user:anne".to_owned()]);
    for (what, some, none) in [
        ("subject", question("user", "viewer", "doc:1"), question("user", "viewer", "doc:2")),
        ("resource", question("user:anne", "viewer", "doc"), question("user:bob", "viewer", "doc")),
        ("action", question("user:anne", "", "doc:1"), question("user:bob", "", "doc:1")),
    ] {
        let page = |mut asked: Value, token: &str| {
            asked["page"] = json!({ "limit": 0, "token": token });
            let answer = client.search(what, &asked);
            assert_eq!(answer["results"], json!([]));
            answer["page"]["next_token"].as_str().unwrap().to_owned()
        };
        let token = page(some.clone(), "");
        assert!(!token.is_empty());
        assert_eq!(page(some, &token), token, "at the same place");
        assert_eq!(page(none, ""), "");
    }
}
