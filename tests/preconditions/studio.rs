//! Roles, permissions and keys of Studio.

use super::world::World;

/// "Each Studio user has an assigned role with a default set of permissions."
#[test]
fn studio_user_has_exactly_one_role() {
    let world = World::of(
        "studio",
        &[
            "role:ac_rw#read_call_flows@user:*",
            "role:ac_rw#write_call_flows@user:*",
            "role:ac_ro#read_call_flows@user:*",
            "account:acme#user_properties@user_properties:ben",
            "user_properties:ben#holder@user:ben",
        ],
    );
    world.accepts(&[
        "require at-most 0 user_properties:ben#role@*",
        "write user_properties:ben#role@role:ac_ro",
        "write user_properties:ben#by_role@user:ben",
    ]);
    world.yes(&["account:acme#can_read_call_flows@user:ben"]);
    world.no(&["account:acme#can_write_call_flows@user:ben"]);
    // A second role beside the first.
    world.refuses(
        &["require at-most 0 user_properties:ben#role@*", "write user_properties:ben#role@role:ac_rw"],
        "at-most 0 user_properties:ben#role@*",
    );
    world.no(&["account:acme#can_write_call_flows@user:ben"]);
    // Another role in its place.
    world.accepts(&[
        "require exists user_properties:ben#role@role:ac_ro",
        "require at-most 1 user_properties:ben#role@*",
        "delete user_properties:ben#role@role:ac_ro",
        "write user_properties:ben#role@role:ac_rw",
    ]);
    world.yes(&["account:acme#can_write_call_flows@user:ben"]);
    let only_role = ["user_properties:ben#role@role:ac_rw"];
    assert_eq!(world.tuples("user_properties:ben#role@*"), only_role);
    // A second administrator, from the screen loaded before that.
    world.refuses(
        &[
            "require exists user_properties:ben#role@role:ac_ro",
            "require at-most 1 user_properties:ben#role@*",
            "write user_properties:ben#role@role:ac_admin",
        ],
        "exists user_properties:ben#role@role:ac_ro",
    );
    assert_eq!(world.tuples("user_properties:ben#role@*"), only_role);
    // The role taken away and none given.
    world.refuses(
        &["require at-least 2 user_properties:ben#role@*", "delete user_properties:ben#role@role:ac_rw"],
        "at-least 2 user_properties:ben#role@*",
    );
    world.yes(&["account:acme#can_write_call_flows@user:ben"]);
}

/// Carl at the default of his role, as the administrator's screen shows him.
const CARL: &[&str] = &[
    "role:reporter#read_analytics@user:*",
    "role:reporter#read_call_flows@user:*",
    "account:acme#user_properties@user_properties:carl",
    "user_properties:carl#holder@user:carl",
    "user_properties:carl#role@role:reporter",
    "user_properties:carl#by_role@user:carl",
];

/// "When you customize the permissions the Studio user does not receive automatic updates to the role."
#[test]
fn studio_customising_ends_the_default_in_the_same_write() {
    let customise = |unchanged: &str| {
        [
            "require exists user_properties:carl#by_role@user:carl".to_owned(),
            format!("require {unchanged}"),
            "delete user_properties:carl#by_role@user:carl".to_owned(),
            "write user_properties:carl#kept_read_analytics@user:carl".to_owned(),
        ]
    };
    let unchanged = |world: &World| format!("unchanged user_properties:carl#role@* since {}", world.began);

    let world = World::of("studio", CARL);
    world.accepts(&customise(&unchanged(&world)).each_ref().map(String::as_str));
    world.yes(&["account:acme#can_read_analytics@user:carl"]);
    world.no(&["account:acme#can_read_call_flows@user:carl"]);
    // The role gains, Carl does not.
    world.accepts(&["write role:reporter#write_analytics@user:*"]);
    world.no(&["account:acme#can_write_analytics@user:carl"]);
    // Customised again as though still at the default.
    world.refuses(
        &[
            "require exists user_properties:carl#by_role@user:carl",
            "write user_properties:carl#kept_read_call_flows@user:carl",
        ],
        "exists user_properties:carl#by_role@user:carl",
    );
    world.no(&["account:acme#can_read_call_flows@user:carl"]);

    // The role is changed between loading the screen and saving it.
    let world = World::of("studio", CARL);
    world.accepts(&[
        "delete user_properties:carl#role@role:reporter",
        "write user_properties:carl#role@role:ac_ro",
    ]);
    let failing = unchanged(&world);
    world.refuses(&customise(&failing).each_ref().map(String::as_str), &failing);
    assert_eq!(world.tuples("user_properties:carl#by_role").len(), 1);
    assert!(world.tuples("user_properties:carl#kept_read_analytics").is_empty());

    // Something else of the same object changes meanwhile.
    let world = World::of("studio", CARL);
    world.accepts(&["write user_properties:carl#kept_read_profiles@user:carl"]);
    world.accepts(&customise(&unchanged(&world)).each_ref().map(String::as_str));
}

/// "When accessing Studio public APIs, the Studio user generates a key."
#[test]
fn studio_key_scope_is_frozen_when_generated() {
    let world = World::of(
        "studio",
        &["account:acme#user_properties@user_properties:pam", "user_properties:pam#holder@user:pam"],
    );
    world.accepts(&[
        "require at-most 0 api_key:pam-1#holder@*",
        "require exists user_properties:pam#holder@user:pam",
        "write api_key:pam-1#holder@user:pam",
        "write api_key:pam-1#as_account_user@user:pam",
    ]);
    world.yes(&["api_key:pam-1#can_call_ac@user:pam"]);
    world.no(&["api_key:pam-1#can_call_sp@user:pam"]);
    // Pam joins a service provider; her key stays what it was.
    world.accepts(&["write service_provider:north#staff@user:pam"]);
    world.no(&["api_key:pam-1#can_call_sp@user:pam"]);
    world.refuses(
        &[
            "require at-most 0 api_key:pam-1#holder@*",
            "require exists service_provider:north#staff@user:pam",
            "write api_key:pam-1#as_service_provider@user:pam",
        ],
        "at-most 0 api_key:pam-1#holder@*",
    );
    world.no(&["api_key:pam-1#can_call_sp@user:pam"]);
    // A second key has the other scope.
    world.accepts(&[
        "require at-most 0 api_key:pam-2#holder@*",
        "require exists service_provider:north#staff@user:pam",
        "write api_key:pam-2#holder@user:pam",
        "write api_key:pam-2#as_service_provider@user:pam",
    ]);
    world.yes(&["api_key:pam-2#can_call_sp@user:pam", "api_key:pam-1#can_call_ac@user:pam"]);
    world.no(&["api_key:pam-2#can_call_ac@user:pam"]);
}

/// "Access to APIs in the sp scope requires an API key generated by a service provider."
#[test]
fn studio_sp_key_is_generated_by_a_service_provider() {
    let before = [
        "service_provider:north#staff@user:nora",
        "account:acme#user_properties@user_properties:ada",
        "user_properties:ada#holder@user:ada",
    ];
    let world = World::of("studio", &before);
    world.accepts(&[
        "require at-most 0 api_key:n#holder@*",
        "require exists service_provider:north#staff@user:nora",
        "write api_key:n#holder@user:nora",
        "write api_key:n#as_service_provider@user:nora",
    ]);
    world.yes(&["api_key:n#can_call_sp@user:nora"]);
    world.no(&["api_key:n#can_call_ac@user:nora"]);
    // Ada, an account user.
    world.refuses(
        &[
            "require at-most 0 api_key:a#holder@*",
            "require exists service_provider:north#staff@user:ada",
            "write api_key:a#holder@user:ada",
            "write api_key:a#as_service_provider@user:ada",
        ],
        "exists service_provider:north#staff@user:ada",
    );
    world.no(&["api_key:a#can_call_sp@user:ada"]);

    // Nora leaves between starting and generating.
    let world = World::of("studio", &before);
    world.accepts(&["delete service_provider:north#staff@user:nora"]);
    let unchanged = format!("unchanged service_provider:north#staff@user:nora since {}", world.began);
    world.refuses(
        &[
            "require at-most 0 api_key:n#holder@*",
            &format!("require {unchanged}"),
            "write api_key:n#holder@user:nora",
            "write api_key:n#as_service_provider@user:nora",
        ],
        &unchanged,
    );
    world.no(&["api_key:n#can_call_sp@user:nora"]);
}
