//! Admins and members of a FastPix organisation: nobody leaves it without an admin.

use super::world::{World, failed, refusal};

/// Anna makes the member Max an admin: he moves, and both get their co-admin.
const PROMOTE_MAX: &[&str] = &[
    "require exists organization:small#admin@user:anna",
    "require exists organization:small#member@user:max",
    "require absent organization:small#admin@user:max",
    "delete organization:small#member@user:max",
    "write organization:small#admin@user:max",
    "write organization:small#has_co_admin@user:anna",
    "write organization:small#has_co_admin@user:max",
];

/// One of two admins leaves: the one who stays loses the co-admin in the same write.
fn leave(who: &str) -> [String; 6] {
    [
        format!("require exists organization:small#admin@user:{who}"),
        "require at-least 2 organization:small#admin@*".to_owned(),
        "require at-most 2 organization:small#admin@*".to_owned(),
        format!("delete organization:small#admin@user:{who}"),
        "delete organization:small#has_co_admin@user:anna".to_owned(),
        "delete organization:small#has_co_admin@user:max".to_owned(),
    ]
}

/// "There are two levels of user roles, admin and member."; "Can leave organization by making another admin".
#[test]
fn fastpix_promotion_moves_the_member() {
    let before = ["organization:small#admin@user:anna", "organization:small#member@user:max"];
    let world = World::of("fastpix", &before);
    world.accepts(PROMOTE_MAX);
    world.yes(&[
        "organization:small#admin@user:max",
        "organization:small#can_leave@user:anna",
        "organization:small#can_leave@user:max",
    ]);
    world.no(&["organization:small#member@user:max"]);
    // The same once more.
    world.refuses(
        &[
            "require exists organization:small#member@user:max",
            "require absent organization:small#admin@user:max",
            "write organization:small#has_co_admin@user:ghost",
        ],
        "exists organization:small#member@user:max",
    );
    assert!(world.tuples("@user:ghost").is_empty());

    // A stranger who is no member.
    let world = World::of("fastpix", &before);
    world.refuses(
        &[
            "require exists organization:small#member@user:stranger",
            "write organization:small#admin@user:stranger",
            "write organization:small#has_co_admin@user:anna",
        ],
        "exists organization:small#member@user:stranger",
    );
    world.no(&["organization:small#admin@user:stranger", "organization:small#can_leave@user:anna"]);
}

/// "Can leave organization by making another admin".
#[test]
fn fastpix_admin_leaves_only_with_another_admin() {
    let before = [
        "organization:small#admin@user:anna",
        "organization:small#member@user:max",
        "organization:small#member@user:mia",
    ];
    let world = World::of("fastpix", &before);
    // Anna, the only admin.
    let alone = [
        "require exists organization:small#admin@user:anna",
        "require at-least 2 organization:small#admin@*",
        "delete organization:small#admin@user:anna",
    ];
    world.refuses(&alone, "at-least 2 organization:small#admin@*");
    world.yes(&["organization:small#can_invite_member@user:anna"]);
    world.no(&["organization:small#can_leave@user:anna"]);
    world.accepts(PROMOTE_MAX);
    world.yes(&["organization:small#can_leave@user:anna"]);
    world.accepts(&leave("anna").each_ref().map(String::as_str));
    world.no(&["organization:small#can_view@user:anna", "organization:small#can_leave@user:max"]);
    world.yes(&["organization:small#admin@user:max"]);
    // Max, now the only admin.
    world.refuses(
        &[
            "require exists organization:small#admin@user:max",
            "require at-least 2 organization:small#admin@*",
            "delete organization:small#admin@user:max",
        ],
        "at-least 2 organization:small#admin@*",
    );
    world.yes(&["organization:small#can_invite_member@user:max"]);
    // Mia, a plain member, needs nobody.
    world.accepts(&[
        "require exists organization:small#member@user:mia",
        "delete organization:small#member@user:mia",
    ]);
    world.no(&["organization:small#can_view@user:mia"]);

    // Two at once.
    let world = World::of("fastpix", &before);
    world.accepts(PROMOTE_MAX);
    let requests = ["anna", "max"].map(|who| world.request(&leave(who).each_ref().map(String::as_str)));
    let (won, lost): (Vec<_>, Vec<_>) = world.race(requests.into()).into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    for precondition in lost.into_iter().map(|result| failed(refusal(result))) {
        let expected = precondition.starts_with("at-least 2 ") || precondition.starts_with("exists ");
        assert!(expected, "{precondition}");
    }
    assert_eq!(world.tuples("organization:small#admin@*").len(), 1);

    // Three admins: the two who stay keep each other.
    let world = World::of(
        "fastpix",
        &[
            "organization:small#admin@user:anna",
            "organization:small#admin@user:max",
            "organization:small#admin@user:tia",
            "organization:small#has_co_admin@user:anna",
            "organization:small#has_co_admin@user:max",
            "organization:small#has_co_admin@user:tia",
            "organization:small#member@user:mia",
        ],
    );
    let refused = leave("anna");
    world.refuses(&refused.each_ref().map(String::as_str), "at-most 2 organization:small#admin@*");
    world.accepts(&[
        "require exists organization:small#admin@user:anna",
        "require at-least 3 organization:small#admin@*",
        "delete organization:small#admin@user:anna",
        "delete organization:small#has_co_admin@user:anna",
    ]);
    world.yes(&["organization:small#can_leave@user:max", "organization:small#can_leave@user:tia"]);
}

/// "Remove other member from the Organization" (other: whoever removes stays).
#[test]
fn fastpix_removing_another_admin_needs_a_second_admin() {
    let world = World::of(
        "fastpix",
        &[
            "organization:small#admin@user:anna",
            "organization:small#admin@user:max",
            "organization:small#has_co_admin@user:anna",
            "organization:small#has_co_admin@user:max",
            "organization:small#member@user:mia",
        ],
    );
    // A member.
    world.accepts(&[
        "require exists organization:small#admin@user:anna",
        "delete organization:small#member@user:mia",
    ]);
    world.no(&["organization:small#can_view@user:mia"]);
    // The other admin.
    world.accepts(&[
        "require exists organization:small#admin@user:anna",
        "require at-least 2 organization:small#admin@*",
        "require at-most 2 organization:small#admin@*",
        "delete organization:small#admin@user:max",
        "delete organization:small#has_co_admin@user:max",
        "delete organization:small#has_co_admin@user:anna",
    ]);
    world.no(&["organization:small#can_view@user:max", "organization:small#can_leave@user:anna"]);
    world.yes(&["organization:small#admin@user:anna"]);
    // Herself, the last admin.
    world.refuses(
        &[
            "require exists organization:small#admin@user:anna",
            "require at-least 2 organization:small#admin@*",
            "delete organization:small#admin@user:anna",
        ],
        "at-least 2 organization:small#admin@*",
    );
    world.yes(&["organization:small#can_invite_member@user:anna"]);
}
