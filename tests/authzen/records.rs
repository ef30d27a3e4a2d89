//! People of departments and their records: who owns a record may view, edit and delete it; who is of its department may
//! view it; a manager may view every record, and edit those of the own department.

use serde_json::json;

use super::client::{Client, question};
use crate::support::Served;

const SCHEMA: &str = "
model
  schema 1.1
type user
type company
  relations
    define manager: [user]
type department
  relations
    define member: [user]
    define manager: [user]
type record
  relations
    define company: [company]
    define department: [department]
    define delete: [user]
    define edit: delete or manager from department
    define view: delete or member from department or manager from company
";

/// Name, whether a manager, department.
const USERS: [(&str, bool, &str); 6] = [
    ("alice", true, "Sales"),
    ("bob", false, "Legal"),
    ("carol", false, "Legal"),
    ("dan", true, "Finance"),
    ("erin", false, "Finance"),
    ("felix", false, "Accounting"),
];
/// The departments of the records from 101 on; their owners take turns.
const DEPARTMENTS: &str = "LLLALASLASALSAFLLALA";

/// Id, department, owner.
fn records() -> Vec<(String, &'static str, &'static str)> {
    let department = |letter: char| {
        ["Legal", "Accounting", "Sales", "Finance"].into_iter().find(|it| it.starts_with(letter)).unwrap()
    };
    let record = |(at, letter): (usize, char)| ((101 + at).to_string(), department(letter), USERS[at % 6].0);
    DEPARTMENTS.chars().enumerate().map(record).collect()
}

/// The rules, as they are told.
fn may(user: (&str, bool, &str), action: &str, record: &(String, &str, &str)) -> bool {
    let (name, is_manager, department) = user;
    let (owns, is_near) = (record.2 == name, record.1 == department);
    match action {
        "view" => owns || is_near || is_manager,
        "edit" => owns || is_manager && is_near,
        _ => owns,
    }
}

fn client(server: &Served) -> Client<'_> {
    let mut tuples = Vec::new();
    for (name, is_manager, department) in USERS {
        tuples.push(format!("department:{department}#member@user:{name}"));
        if is_manager {
            tuples.push(format!("department:{department}#manager@user:{name}"));
            tuples.push(format!("company:all#manager@user:{name}"));
        }
    }
    for (id, department, owner) in records() {
        tuples.push(format!("record:{id}#company@company:all"));
        tuples.push(format!("record:{id}#department@department:{department}"));
        tuples.push(format!("record:{id}#delete@user:{owner}"));
    }
    Client::new(server, SCHEMA, &tuples.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_hundred_and_ninety_eight_searches() {
    let server = Served::start();
    let client = client(&server);
    let (records, actions) = (records(), ["delete", "edit", "view"]);
    let mut asked = [0; 3];
    for record in &records {
        let resource = format!("record:{}", record.0);
        for action in actions {
            let expected: Vec<&str> =
                USERS.into_iter().filter(|user| may(*user, action, record)).map(|user| user.0).collect();
            assert_eq!(
                client.found("subject", &question("user", action, &resource)),
                expected,
                "{action} {record:?}"
            );
            asked[0] += 1;
        }
        for user in USERS {
            let expected: Vec<&str> =
                actions.into_iter().filter(|action| may(user, action, record)).collect();
            let subject = format!("user:{}", user.0);
            assert_eq!(
                client.found("action", &question(&subject, "", &resource)),
                expected,
                "{user:?} {record:?}"
            );
            asked[1] += 1;
            for action in actions {
                assert_eq!(
                    client.decision(&question(&subject, action, &resource)),
                    expected.contains(&action)
                );
            }
        }
    }
    for user in USERS {
        for action in actions {
            let expected: Vec<&str> =
                records.iter().filter(|record| may(user, action, record)).map(|record| &*record.0).collect();
            let subject = format!("user:{}", user.0);
            assert_eq!(
                client.found("resource", &question(&subject, action, "record")),
                expected,
                "{user:?} {action}"
            );
            asked[2] += 1;
        }
    }
    assert_eq!(asked, [60, 120, 18]);
    let answer = client.search("resource", &question("user:erin", "view", "record"));
    let found = |id: &str| json!({ "type": "record", "id": id });
    assert_eq!(answer["results"], json!([found("105"), found("111"), found("115"), found("117")]));
}
