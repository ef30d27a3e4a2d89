use serde_json::json;

use super::super::support::Served;
use super::connection::{Connection, import, line, post, serve};

/// A store in which questions take long: groups in which every group of a layer is a member of every group of the next, with an exclusion at
/// each step, and a person at the end.
fn layers(server: &Served, layers: usize, width: usize) -> String {
    let mut connection = Connection::open(server);
    let made = connection.ask(&post("/stores", "", "{\"name\":\"layers\"}"));
    let path = format!("/stores/{}", made.json()["id"].as_str().unwrap());
    let model = json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "group", "relations": {
            "member": { "this": {} },
            "banned": { "this": {} },
            "is": { "difference": { "base": { "computedUserset": { "relation": "member" } },
                "subtract": { "computedUserset": { "relation": "banned" } } } } },
          "metadata": { "relations": {
            "member": { "directly_related_user_types": [{ "type": "user" }, { "type": "group", "relation": "is" }] },
            "banned": { "directly_related_user_types": [{ "type": "user" }, { "type": "group", "relation": "is" }] } } } } ] });
    assert_eq!(
        connection.ask(&post(&format!("{path}/authorization-models"), "", &model.to_string())).status,
        201
    );
    let mut lines = String::new();
    let group = |layer: usize, at: usize| format!("group:{layer}-{at}");
    for layer in 0..layers {
        for (from, to) in (0..width).flat_map(|from| (0..width).map(move |to| (from, to))) {
            lines += &line(&group(layer, from), "member", &format!("{}#is", group(layer + 1, to)));
            lines += &line(&group(layer, from), "banned", &format!("{}#is", group(layer + 2, to)));
        }
    }
    (0..width).for_each(|at| lines += &line(&group(layers, at), "member", "user:anne"));
    import(server, &path, &lines);
    path
}

#[test]
fn every_question_ends_with_its_time() {
    let (server, _) = serve(&["--body-bytes-max", "67108864"]);
    let path = layers(&server, 12, 60);
    let mut connection = Connection::open(&server);
    let key = json!({ "user": "user:anne", "relation": "is", "object": "group:0-0" });
    let questions = [
        ("check", json!({ "tuple_key": key })),
        ("expand", json!({ "tuple_key": { "relation": "member", "object": "group:0-0" } })),
        ("explain", json!({ "tuple_key": key })),
        ("audit", json!({ "object": "group:0-0", "relation": "is" })),
        ("list-objects", json!({ "type": "group", "relation": "is", "user": "user:anne" })),
        (
            "list-users",
            json!({ "object": { "type": "group", "id": "0-0" }, "relation": "is", "user_filters": [{ "type": "user" }] }),
        ),
    ];
    for (verb, body) in questions {
        let request = post(&format!("{path}/{verb}"), "stonetown-deadline-ms: 1\r\n", &body.to_string());
        let answer = connection.ask(&request);
        match verb {
            // One level of it is read at once.
            "expand" => assert_eq!(answer.status, 200, "{answer:?}"),
            // What was found so far, and that there may be more.
            "list-objects" | "list-users" => {
                assert_eq!(answer.status, 200, "{verb}: {answer:?}");
                assert!(answer.head.contains("stonetown-incomplete: deadline"), "{verb}: {answer:?}");
            }
            _ => {
                let code = &answer.json()["code"];
                assert_eq!((answer.status, code), (500, &"deadline_exceeded".into()), "{verb}: {answer:?}");
            }
        }
    }
    // A batch has one time for all of it.
    let check =
        |id: usize| json!({ "tuple_key": key, "correlation_id": id.to_string(), "context": { "x": id } });
    let body = json!({ "checks": (0..50).map(check).collect::<Vec<_>>() });
    let request = post(&format!("{path}/batch-check"), "stonetown-deadline-ms: 1\r\n", &body.to_string());
    let answer = connection.ask(&request);
    let result = answer.json();
    assert_eq!(result["result"]["49"]["error"]["internal_error"], "deadline_exceeded", "{answer:?}");
    let diff = json!({ "deletes": { "tuple_keys": [{ "user": "user:anne", "relation": "member", "object": "group:12-0" }] } });
    let mut streaming = Connection::open(&server);
    let headers = "connection: close\r\nstonetown-deadline-ms: 1\r\n";
    streaming.send(&post(&format!("{path}/access-diff"), headers, &diff.to_string()));
    let told = streaming.rest();
    assert!(told.contains("deadline_exceeded") || !told.contains("\"summary\""), "{told}");
    let answer = connection.ask(&post(
        &format!("{path}/check"),
        "stonetown-deadline-ms: soon\r\n",
        &json!({ "tuple_key": key }).to_string(),
    ));
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn the_servers_own_limits_hold_without_the_client_asking() {
    let (server, _) = serve(&["--time-max", "1ms", "--list-time-max", "1ms", "--body-bytes-max", "67108864"]);
    let path = layers(&server, 12, 60);
    let mut connection = Connection::open(&server);
    for (verb, body) in [
        ("check", json!({ "tuple_key": { "user": "user:anne", "relation": "is", "object": "group:0-0" } })),
        ("list-objects", json!({ "type": "group", "relation": "is", "user": "user:anne" })),
    ] {
        let answer = connection.ask(&post(&format!("{path}/{verb}"), "", &body.to_string()));
        let code = &answer.json()["code"];
        assert_eq!((answer.status, code), (500, &"deadline_exceeded".into()), "{verb}: {answer:?}");
    }
    let (server, _) = serve(&["--reads-max", "1000", "--body-bytes-max", "67108864"]);
    let path = layers(&server, 12, 60);
    let body =
        json!({ "tuple_key": { "user": "user:anne", "relation": "is", "object": "group:0-0" } }).to_string();
    let answer = Connection::open(&server).ask(&post(&format!("{path}/check"), "", &body));
    assert_eq!(answer.json()["code"], "authorization_model_resolution_too_complex", "{answer:?}");
    let (server, _) = serve(&["--depth-max", "3"]);
    let path = layers(&server, 12, 2);
    let body =
        json!({ "tuple_key": { "user": "user:anne", "relation": "is", "object": "group:0-0" } }).to_string();
    let answer = Connection::open(&server).ask(&post(&format!("{path}/check"), "", &body));
    assert_eq!(answer.json()["code"], "authorization_model_resolution_too_complex", "{answer:?}");
}
