use serde_json::json;

use crate::support::Served;
use crate::support::client::Client;

/// Whether somebody who has these three, or not, has something made of them.
pub(super) type Holds = fn(bool, bool, bool) -> bool;

/// Asks the same of a server that keeps no decisions, and of one that does.
#[track_caller]
pub(super) fn each_way(schema: &str, test: impl Fn(&Client)) {
    each_server(|url| test(&Client::new(url, schema)));
}

#[track_caller]
pub(super) fn each_server(test: impl Fn(&str)) {
    for arguments in [&[][..], &["--decision-cache-mib", "64"]] {
        let server = Served::on(tempfile::tempdir().unwrap(), arguments);
        println!("serve {}", arguments.join(" "));
        test(&server.url);
    }
}

/// Asks twice: the second answer may be a kept one.
#[track_caller]
pub(super) fn expect(client: &Client, tuple: &str, expected: bool) {
    for turn in ["first", "again"] {
        assert_eq!(client.allows(tuple), expected, "{tuple}, {turn}");
    }
}

/// Holds a check, a list of objects and a list of users against each other.
#[track_caller]
pub(super) fn everywhere(client: &Client, object: &str, relation: &str, user: &str, expected: bool) {
    expect(client, &format!("{object} {relation} {user}"), expected);
    let object_type = object.split(':').next().unwrap();
    let objects = client.objects(object_type, relation, user);
    assert_eq!(objects.iter().any(|found| found == object), expected, "{user}: {objects:?}");
    let user_type = user.split(':').next().unwrap();
    let user_type = match user.split_once('#') {
        Some((_, relation)) => format!("{user_type}#{relation}"),
        None => user_type.to_owned(),
    };
    let (users, excluded) = client.users_and_excluded(object, relation, &user_type, json!({}));
    let is_named = |list: &[String], name: &str| list.iter().any(|found| found == name);
    let is_there =
        is_named(&users, user) || is_named(&users, &format!("{user_type}:*")) && !is_named(&excluded, user);
    assert_eq!(is_there, expected, "{object} {relation}: {users:?} but {excluded:?}");
}
