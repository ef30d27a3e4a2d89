use std::collections::BTreeSet;

use serde_json::json;

use super::servers::{Holds, each_way, everywhere, expect};
use crate::support::client::key;

#[test]
fn cve_2024_31452_exclusions_and_intersections_in_each_other() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define a: [user, group#member]
    define b: [user, user:*]
    define c: [user, group#member]
    define and: a and b
    define but_not: a but not b
    define and_but_not: (a and b) but not c
    define and_of_but_not: a and (b but not c)
    define or_but_not: (a or b) but not c
    define but_not_and: a but not (b and c)
    define twice: (a but not b) but not c
";
    each_way(&SCHEMA.replace("define and:", "define both:"), |client| {
        client.write(&["group:1 member user:anne"]);
        for world in 0..8_u8 {
            let has = |bit: u8| world & (1 << bit) != 0;
            let doc = format!("doc:{world}");
            let tuples = [
                (has(0), format!("{doc} a group:1#member")),
                (has(1), format!("{doc} b user:*")),
                (has(2), format!("{doc} c user:anne")),
            ];
            for (is_there, tuple) in &tuples {
                if *is_there {
                    client.write(&[tuple]);
                }
            }
        }
        let expected: [(&str, Holds); 7] = [
            ("both", |a, b, _| a && b),
            ("but_not", |a, b, _| a && !b),
            ("and_but_not", |a, b, c| a && b && !c),
            ("and_of_but_not", |a, b, c| a && b && !c),
            ("or_but_not", |a, b, c| (a || b) && !c),
            ("but_not_and", |a, b, c| a && !(b && c)),
            ("twice", |a, b, c| a && !b && !c),
        ];
        for (relation, holds) in expected {
            for world in 0..8_u8 {
                let has = |bit: u8| world & (1 << bit) != 0;
                let is = holds(has(0), has(1), has(2));
                everywhere(client, &format!("doc:{world}"), relation, "user:anne", is);
            }
        }
    });
}

#[test]
fn cve_2024_42473_but_not_with_from_and_a_userset() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type folder
  relations
    define viewer: [user, group#member]
    define blocked: [user, group#member]
    define reader: viewer but not blocked
type doc
  relations
    define parent: [folder]
    define viewer: viewer from parent but not blocked from parent
    define reader: [group#member] but not blocked from parent
    define of_reader: reader from parent
";
    each_way(SCHEMA, |client| {
        client.write(&[
            "group:all member group:staff#member",
            "group:staff member user:anne",
            "group:staff member user:bob",
            "group:bad member group:worse#member",
            "group:worse member user:bob",
            "folder:1 viewer group:all#member",
            "folder:1 blocked group:bad#member",
            "doc:1 parent folder:1",
            "doc:1 reader group:all#member",
            // Blocked in one parent, viewer in another.
            "folder:2 viewer group:all#member",
            "doc:2 parent folder:1",
            "doc:2 parent folder:2",
        ]);
        for relation in ["viewer", "reader", "of_reader"] {
            everywhere(client, "doc:1", relation, "user:anne", true);
            everywhere(client, "doc:1", relation, "user:bob", false);
        }
        everywhere(client, "doc:2", "viewer", "user:bob", false);
        everywhere(client, "doc:2", "of_reader", "user:bob", true);
        // The userset itself is not blocked, the one in it is.
        expect(client, "folder:1 reader group:all#member", true);
        expect(client, "folder:1 reader group:worse#member", false);
    });
}

#[test]
fn cve_2025_46331_a_no_that_only_a_cycle_made() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define blocked: [user]
    define member: [user, group#member]
    define active: member but not blocked
type doc
  relations
    define viewer: [group#member, group#active]
";
    each_way(SCHEMA, |client| {
        // Rings of five groups, each asked in another order; one group has the member.
        for ring in 0..5 {
            let group = |n: usize| format!("group:{ring}-{}", n % 5);
            for n in 0..5 {
                client.write(&[
                    &format!("{} member {}#member", group(n), group(n + 1)),
                    &format!("{} member {}#member", group(n), group(n + 3)),
                ]);
            }
            client.write(&[&format!("doc:{ring} viewer {}#member", group(2))]);
            for n in 0..5 {
                expect(client, &format!("{} member user:anne", group(ring + n)), false);
            }
            client.write(&[&format!("{} member user:anne", group(ring))]);
            for n in 0..5 {
                everywhere(client, &group(ring + n), "member", "user:anne", true);
                everywhere(client, &group(ring + n), "active", "user:anne", true);
            }
            everywhere(client, &format!("doc:{ring}"), "viewer", "user:anne", true);
            client.delete(&[&format!("{} member user:anne", group(ring))]);
            for n in 0..5 {
                everywhere(client, &group(ring + n), "member", "user:anne", false);
            }
        }
    });
}

#[test]
fn cve_2025_55213_several_usersets_of_one_type() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
    define owner: [user]
    define guest: [user:*]
type doc
  relations
    define viewer: [group#member, group#owner, group#guest]
    define editor: [group#owner, group#member]
    define both: viewer and editor
";
    each_way(SCHEMA, |client| {
        client.write(&[
            "group:1 member user:anne",
            "group:1 owner user:bob",
            "group:2 owner user:anne",
            "group:3 guest user:*",
        ]);
        for (doc, userset, anne, bob) in [
            ("doc:m1", "group:1#member", true, false),
            ("doc:o1", "group:1#owner", false, true),
            ("doc:m2", "group:2#member", false, false),
            ("doc:o2", "group:2#owner", true, false),
            ("doc:g3", "group:3#guest", true, true),
        ] {
            client.write(&[&format!("{doc} viewer {userset}")]);
            everywhere(client, doc, "viewer", "user:anne", anne);
            everywhere(client, doc, "viewer", "user:bob", bob);
        }
        client.write(&[
            "doc:all viewer group:1#owner",
            "doc:all viewer group:2#member",
            "doc:all editor group:2#owner",
        ]);
        everywhere(client, "doc:all", "viewer", "user:anne", false);
        everywhere(client, "doc:all", "editor", "user:anne", true);
        everywhere(client, "doc:all", "both", "user:anne", false);
        client.write(&["doc:all viewer group:1#member"]);
        everywhere(client, "doc:all", "both", "user:anne", true);
    });
}

const WILDCARDS: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, user:*]
type doc
  relations
    define viewer: [user, user:*, group#member]
    define blocked: [user, user:*]
    define approved: [user, user:*]
    define reader: viewer but not blocked
    define both: viewer and approved
";

/// Ids whose order as texts, as numbers and by length differ, some of them as long as they may be.
fn ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "1",
        "2",
        "9",
        "10",
        "11",
        "099",
        "99",
        "100",
        "1000000000000000000000000",
        "A",
        "a",
        "aa",
        "~",
        "é",
        "𝕫",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.extend(["a", "z", "0"].map(|c| c.repeat(250)));
    ids.push("𐍈".repeat(250));
    ids
}

#[test]
fn cve_2026_24851_wildcards_and_direct_tuples_over_ids_of_all_lengths() {
    each_way(WILDCARDS, |client| {
        let ids = ids();
        let mut expected: [BTreeSet<String>; 3] = Default::default();
        for (number, id) in ids.iter().enumerate() {
            let doc = format!("doc:{id}");
            let mut tuples = Vec::new();
            let (view, block, approve) = (number % 4, number / 4 % 3, number % 3);
            match view {
                0 => tuples.push(format!("{doc} viewer user:anne")),
                1 => tuples.push(format!("{doc} viewer user:*")),
                2 => tuples.extend([format!("{doc} viewer user:anne"), format!("{doc} viewer user:*")]),
                _ => {}
            }
            match block {
                1 => tuples.push(format!("{doc} blocked user:bob")),
                2 => tuples.push(format!("{doc} blocked user:*")),
                _ => {}
            }
            match approve {
                1 => tuples.push(format!("{doc} approved user:*")),
                2 => tuples.extend([format!("{doc} approved user:*"), format!("{doc} approved user:anne")]),
                _ => {}
            }
            for tuple in &tuples {
                client.write(&[tuple]);
            }
            let is_viewer = view < 3;
            for (set, holds) in
                expected.iter_mut().zip([is_viewer, is_viewer && block != 2, is_viewer && approve > 0])
            {
                if holds {
                    set.insert(doc.clone());
                }
            }
        }
        for (relation, expected) in ["viewer", "reader", "both"].into_iter().zip(&expected) {
            let listed: BTreeSet<String> = client.objects("doc", relation, "user:anne").into_iter().collect();
            assert_eq!(&listed, expected, "{relation}");
            for id in &ids {
                let doc = format!("doc:{id}");
                everywhere(client, &doc, relation, "user:anne", expected.contains(&doc));
            }
        }
    });
}

#[test]
fn cve_2026_61709_public_but_not_blocked_and_something_else() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define public: [user:*]
    define blocked: [user, group#member]
    define x: [user, user:*]
    define viewer: (public but not blocked) and x
    define swapped: x and (public but not blocked)
    define nested: ((public but not blocked) and x) or (x and (public but not blocked))
";
    each_way(SCHEMA, |client| {
        client.write(&[
            "group:bad member user:carl",
            "doc:1 public user:*",
            "doc:1 blocked user:bob",
            "doc:1 blocked group:bad#member",
            "doc:1 x user:anne",
            "doc:1 x user:bob",
            "doc:1 x user:carl",
            "doc:2 public user:*",
            "doc:2 blocked user:bob",
            "doc:2 x user:*",
            "doc:2 x user:bob",
        ]);
        for relation in ["viewer", "swapped", "nested"] {
            everywhere(client, "doc:1", relation, "user:anne", true);
            for user in ["user:bob", "user:carl", "user:dora"] {
                everywhere(client, "doc:1", relation, user, false);
            }
            assert_eq!(client.users("doc:1", relation, "user"), ["user:anne"], "{relation}");
            expect(client, &format!("doc:2 {relation} user:bob"), false);
            expect(client, &format!("doc:2 {relation} user:dora"), true);
            let users = client.users("doc:2", relation, "user");
            assert!(
                users.contains(&"user:*".to_owned()) && !users.contains(&"user:bob".to_owned()),
                "{users:?}"
            );
        }
    });
}

#[test]
fn pr_3125_a_kept_no_does_not_end_the_rest_of_a_union() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define a: [user, group#member]
    define b: [user, group#member]
    define none: [user]
    define viewer: a or none or b
    define both: (a or none) and (b or none)
";
    each_way(SCHEMA, |client| {
        client.write(&[
            "group:1 member group:2#member",
            "group:2 member user:anne",
            "doc:1 b group:1#member",
        ]);
        for question in ["a", "none", "viewer", "a", "both", "none", "viewer", "b", "viewer"] {
            let expected = ["viewer", "b"].contains(&question);
            expect(client, &format!("doc:1 {question} user:anne"), expected);
        }
        client.write(&["doc:1 a user:anne"]);
        for question in ["both", "viewer", "a"] {
            expect(client, &format!("doc:1 {question} user:anne"), true);
        }
    });
}

#[test]
fn pr_3145_a_contextual_tuple_among_stored_ones() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, user:*]
type doc
  relations
    define viewer: [user, group#member]
    define blocked: [group#member]
    define reader: viewer but not blocked
";
    each_way(SCHEMA, |client| {
        // Stored are the even groups; what comes with the question falls before, between and behind.
        let stored: Vec<String> =
            (2..60).step_by(2).map(|n| format!("doc:1 viewer group:{n:02}#member")).collect();
        client.write(&stored.iter().map(String::as_str).collect::<Vec<_>>());
        let members: Vec<String> = (0..62).map(|n| format!("group:{n:02} member user:u{n:02}")).collect();
        client.write(&members.iter().map(String::as_str).collect::<Vec<_>>());
        for n in 0..62 {
            let (user, tuple) = (format!("user:u{n:02}"), format!("doc:1 viewer group:{n:02}#member"));
            let is_stored = n % 2 == 0 && (2..60).contains(&n);
            everywhere(client, "doc:1", "reader", &user, is_stored);
            let given =
                json!({ "contextual_tuples": { "tuple_keys": [key(&tuple), key("doc:0 viewer user:x")] } });
            let question = format!("doc:1 reader {user}");
            assert!(client.allows_given(&question, given.clone()), "{question}");
            assert_eq!(client.objects_given("doc", "reader", &user, given.clone()), ["doc:1"]);
            let given_users = json!({ "contextual_tuples": given["contextual_tuples"]["tuple_keys"] });
            let users = client.users_given("doc:1", "reader", "user", given_users);
            assert!(users.contains(&user), "{user}: {users:?}");
            assert_eq!(users.len(), 29 + usize::from(!is_stored));
        }
    });
}
