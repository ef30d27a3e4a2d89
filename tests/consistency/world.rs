use std::collections::BTreeSet;

pub(super) const MODEL: &str = r#"{"schema_version":"1.1","type_definitions":[
    {"type":"user"},
    {"type":"group","relations":{"member":{"this":{}}},
     "metadata":{"relations":{"member":{"directly_related_user_types":[{"type":"user"}]}}}},
    {"type":"folder","relations":{"viewer":{"this":{}}},
     "metadata":{"relations":{"viewer":{"directly_related_user_types":[{"type":"user"},{"type":"group","relation":"member"}]}}}},
    {"type":"doc","relations":{"folder":{"this":{}},"owner":{"this":{}},"blocked":{"this":{}},
       "can_read":{"difference":{"base":{"union":{"child":[{"computedUserset":{"relation":"owner"}},
           {"tupleToUserset":{"tupleset":{"relation":"folder"},"computedUserset":{"relation":"viewer"}}}]}},
         "subtract":{"computedUserset":{"relation":"blocked"}}}}},
     "metadata":{"relations":{"folder":{"directly_related_user_types":[{"type":"folder"}]},
       "owner":{"directly_related_user_types":[{"type":"user"}]},
       "blocked":{"directly_related_user_types":[{"type":"user"},{"type":"user","wildcard":{}}]}}}}]}"#;

/// Of each type there are so many objects: few, so that the same answers change again and again.
pub(super) const USERS: usize = 3;
pub(super) const DOCS: usize = 4;
const GROUPS: usize = 2;
const FOLDERS: usize = 2;

/// A tuple as object, relation, user.
pub(super) type Fact = (String, &'static str, String);

/// All that may be written.
pub(super) fn facts() -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let users = || (0..USERS).map(|user| format!("user:{user}"));
    for group in 0..GROUPS {
        facts.extend(users().map(|user| (format!("group:{group}"), "member", user)));
    }
    for folder in 0..FOLDERS {
        let of = format!("folder:{folder}");
        facts.extend((0..GROUPS).map(|group| (of.clone(), "viewer", format!("group:{group}#member"))));
        facts.push((of, "viewer", format!("user:{folder}")));
    }
    for doc in 0..DOCS {
        let of = format!("doc:{doc}");
        facts.extend((0..FOLDERS).map(|folder| (of.clone(), "folder", format!("folder:{folder}"))));
        facts.extend(users().map(|user| (of.clone(), "owner", user)));
        facts.extend(users().map(|user| (of.clone(), "blocked", user)));
        facts.push((of, "blocked", "user:*".to_owned()));
    }
    facts
}

/// A state: what is written in it.
pub(super) type State = BTreeSet<Fact>;

/// Whether a user can read a document in a state, word for word as the schema says it.
pub(super) fn can_read(state: &State, doc: usize, user: usize) -> bool {
    let (doc, user) = (format!("doc:{doc}"), format!("user:{user}"));
    let is =
        |object: &str, relation, user: &str| state.contains(&(object.to_owned(), relation, user.to_owned()));
    let sees = |folder: &str| {
        let is_member = |group| is(&format!("group:{group}"), "member", &user);
        is(folder, "viewer", &user)
            || (0..GROUPS)
                .any(|group| is(folder, "viewer", &format!("group:{group}#member")) && is_member(group))
    };
    let in_folder =
        |folder| is(&doc, "folder", &format!("folder:{folder}")) && sees(&format!("folder:{folder}"));
    let is_blocked = is(&doc, "blocked", &user) || is(&doc, "blocked", "user:*");
    (is(&doc, "owner", &user) || (0..FOLDERS).any(in_folder)) && !is_blocked
}
