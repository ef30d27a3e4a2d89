//! The owner and the roles of a live studio.

use super::world::{World, failed, refusal};

/// "The owner is typically the person who created the studio or linked the agent."
#[test]
fn live_studio_creator_becomes_the_one_owner() {
    let world = World::of("live-studio", &[]);
    world.accepts(&["require at-most 0 studio:main#owner@*", "write studio:main#owner@user:olga"]);
    world.yes(&["studio:main#can_transfer_ownership@user:olga"]);
    world.refuses(
        &["require at-most 0 studio:main#owner@*", "write studio:main#owner@user:mallory"],
        "at-most 0 studio:main#owner@*",
    );
    world.no(&["studio:main#owner@user:mallory"]);
    world.yes(&["studio:main#owner@user:olga"]);
}

/// "Yes, an owner can transfer their ownership rights to another user, effectively changing the studio's owner."
#[test]
fn live_studio_transfer_needs_exactly_this_owner() {
    let before =
        ["studio:main#owner@user:odd", "studio:main#admin@user:ada", "studio:main#producer@user:eve"];
    let to_eve = [
        "require exists studio:main#owner@user:odd",
        "require at-most 1 studio:main#owner@*",
        "delete studio:main#owner@user:odd",
        "write studio:main#owner@user:eve",
    ];
    let to_ada = [to_eve[0], to_eve[1], to_eve[2], "write studio:main#owner@user:ada"];

    let world = World::of("live-studio", &before);
    // Ada, an admin, acts as owner, which she is not.
    world.refuses(
        &[
            "require exists studio:main#owner@user:ada",
            "require at-most 1 studio:main#owner@*",
            "write studio:main#owner@user:ada",
        ],
        "exists studio:main#owner@user:ada",
    );
    world.no(&["studio:main#owner@user:ada"]);
    world.accepts(&to_eve);
    world.yes(&[
        "studio:main#owner@user:eve",
        "studio:main#can_transfer_ownership@user:eve",
        "studio:main#can_appoint_admin@user:eve",
    ]);
    world.no(&[
        "studio:main#owner@user:odd",
        "studio:main#can_transfer_ownership@user:odd",
        "studio:main#can_view_sources@user:odd",
    ]);
    assert_eq!(world.tuples("studio:main#owner@*"), ["studio:main#owner@user:eve"]);
    // Odd again, from a page loaded before. Nothing is deleted, so that it is not a missing tuple that refuses.
    world.refuses(&[to_ada[0], to_ada[1], to_ada[3]], "exists studio:main#owner@user:odd");
    world.yes(&["studio:main#owner@user:eve"]);
    world.no(&["studio:main#owner@user:ada"]);

    // Two at once.
    let world = World::of("live-studio", &before);
    let outcomes = world.race(vec![world.request(&to_eve), world.request(&to_ada)]);
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let exists = "exists studio:main#owner@user:odd";
    assert!(lost.into_iter().all(|result| failed(refusal(result)) == exists));
    assert_eq!(world.tuples("studio:main#owner@*").len(), 1);

    // A stray second owner.
    let world = World::of("live-studio", &before);
    world.accepts(&["write studio:main#owner@user:stray"]);
    world.refuses(&to_eve, "at-most 1 studio:main#owner@*");
}

/// "There are four distinct roles …"; "Changing a user's role involves accessing the studio settings … where you can
/// adjust roles".
#[test]
fn live_studio_role_change_replaces_the_role() {
    let world = World::of("live-studio", &["studio:main#owner@user:olga", "studio:main#viewer@user:vic"]);
    world.accepts(&[
        "require exists studio:main#viewer@user:vic",
        "delete studio:main#viewer@user:vic",
        "write studio:main#producer@user:vic",
    ]);
    world.yes(&["studio:main#can_control_production@user:vic"]);
    world.no(&["studio:main#can_add_source@user:vic"]);
    assert!(world.tuples("studio:main#viewer@user:vic").is_empty());
    // Another admin, from a page loaded before.
    world.refuses(
        &["require exists studio:main#viewer@user:vic", "write studio:main#admin@user:vic"],
        "exists studio:main#viewer@user:vic",
    );
    world.no(&["studio:main#can_add_source@user:vic"]);
    // A role beside the other instead of in its place.
    world.refuses(
        &["require absent studio:main#producer@user:vic", "write studio:main#viewer@user:vic"],
        "absent studio:main#producer@user:vic",
    );
}
