//! People share a list of things to do. Viewers see it; editors also add to it, and change and delete what is theirs;
//! admins delete anything, evil geniuses change anything. Whose a thing is comes with the request, by mail address.

use serde_json::{Value, json};

use super::client::{Client, question, with};
use crate::support::Served;

const SCHEMA: &str = "
model
  schema 1.1
type user
  relations
    define can_read_user: [user:*]
type list
  relations
    define viewer: [user]
    define editor: [user]
    define owning_editor: [user with owns]
    define admin: [user]
    define evil_genius: [user]
type todo
  relations
    define list: [list]
    define can_read_todos: viewer from list or can_create_todo
    define can_create_todo: editor from list
    define can_update_todo: owning_editor from list or evil_genius from list
    define can_delete_todo: owning_editor from list or admin from list
condition owns(mail: string, resource_ownerID: string) { mail == resource_ownerID }
";

struct Person {
    /// As a token names them.
    id: &'static str,
    mail: &'static str,
    roles: &'static [&'static str],
}

const PEOPLE: [Person; 5] = [
    Person { id: "sub-7d1f-rick", mail: "rick@citadel.example", roles: &["admin", "evil_genius"] },
    Person { id: "sub-22c0-morty", mail: "morty@citadel.example", roles: &["editor"] },
    Person { id: "sub-9be4-summer", mail: "summer@smiths.example", roles: &["editor"] },
    Person { id: "sub-51aa-beth", mail: "beth@smiths.example", roles: &["viewer"] },
    Person { id: "sub-c3d8-jerry", mail: "jerry@smiths.example", roles: &["viewer"] },
];

impl Person {
    fn has(&self, role: &str) -> bool {
        self.roles.contains(&role)
    }

    fn edits(&self) -> bool {
        self.has("editor") || self.has("admin") || self.has("evil_genius")
    }

    /// The rules, as they are told.
    fn may(&self, action: &str, owner: &str) -> bool {
        match action {
            "can_read_user" | "can_read_todos" => true,
            "can_create_todo" => self.edits(),
            "can_update_todo" => self.has("evil_genius") || self.edits() && self.mail == owner,
            "can_delete_todo" => self.has("admin") || self.edits() && self.mail == owner,
            other => panic!("{other}"),
        }
    }
}

fn client(server: &Served) -> Client<'_> {
    let mut tuples: Vec<String> = Vec::new();
    for (number, person) in PEOPLE.iter().enumerate() {
        let Person { id, mail, .. } = person;
        tuples.push(format!("user:{mail}#can_read_user@user:*"));
        tuples.push(format!("todo:todo-{}#list@list:shared", number + 1));
        tuples.extend(person.roles.iter().map(|role| format!("list:shared#{role}@user:{id}")));
        if person.edits() {
            let own = json!({ "mail": mail });
            tuples.push(format!("list:shared#owning_editor@user:{id} with owns {own}"));
            if !person.has("editor") {
                tuples.push(format!("list:shared#editor@user:{id}"));
            }
        }
    }
    Client::new(server, SCHEMA, &tuples.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The thing of the person of this number.
fn todo(person: &Person, action: &str, owner: usize) -> Value {
    let asked = question(&format!("user:{}", person.id), action, &format!("todo:todo-{}", owner + 1));
    with(asked, &[("resource.ownerID", json!(PEOPLE[owner].mail))])
}

#[test]
fn forty_evaluations() {
    let server = Served::start();
    let client = client(&server);
    let mut seen = [0, 0];
    let mut ask = |person: &Person, asked: Value, owner: &str| {
        let expected = person.may(asked["action"]["name"].as_str().unwrap(), owner);
        assert_eq!(client.evaluate(&asked), json!({ "decision": expected }), "{asked}");
        seen[usize::from(expected)] += 1;
    };
    for (number, person) in PEOPLE.iter().enumerate() {
        let who = format!("user:{}", person.id);
        for mail in [PEOPLE[3].mail, person.mail] {
            ask(person, question(&who, "can_read_user", &format!("user:{mail}")), "");
        }
        for action in ["can_read_todos", "can_create_todo"] {
            ask(person, question(&who, action, "todo:todo-1"), "");
        }
        // Their own, and somebody else's.
        let other = usize::from(number == 0);
        for action in ["can_update_todo", "can_delete_todo"] {
            for owner in [other, number] {
                ask(person, todo(person, action, owner), PEOPLE[owner].mail);
            }
        }
    }
    assert_eq!(seen, [14, 26]);
}

#[test]
fn three_times_several_evaluations() {
    let server = Served::start();
    let client = client(&server);
    for (person, owners, expected) in
        [(0, [0, 4], [true, true]), (1, [0, 1], [false, true]), (4, [0, 4], [false, false])]
    {
        let who = &PEOPLE[person];
        let item = |owner: usize| json!({ "resource": todo(who, "can_update_todo", owner)["resource"] });
        let asked = json!({
            "subject": { "type": "user", "id": who.id },
            "action": { "name": "can_update_todo" },
            "resource": {},
            "context": {},
            "evaluations": owners.map(item),
        });
        assert_eq!(client.decisions(&asked), expected);
        assert_eq!(owners.map(|owner| who.may("can_update_todo", PEOPLE[owner].mail)), expected);
    }
}
