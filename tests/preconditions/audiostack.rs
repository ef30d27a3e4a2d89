//! Accounts, organisations, keys and sharing of AudioStack.

use super::world::World;

/// "When you create an AudioStack account, you are also assigned to an organisation. This could either be a new
/// organisation that you create on sign up, or an existing one that you are invited to."
#[test]
fn audiostack_signing_up_assigns_an_organisation() {
    let world = World::of("audiostack", &[]);
    // Nina, with a new organisation.
    world.accepts(&[
        "require at-most 0 account:nina#holder@*",
        "require at-most 0 org:new-co#owner@*",
        "write account:nina#holder@user:nina",
        "write account:nina#created@org:new-co",
        "write org:new-co#owner@user:nina",
    ]);
    world.yes(&["org:new-co#can_use_audiostack@user:nina", "org:new-co#owner@user:nina"]);
    // Ivo, invited to it.
    world.accepts(&[
        "require at-most 0 account:ivo#holder@*",
        "require at-least 1 org:new-co#owner@*",
        "write account:ivo#holder@user:ivo",
        "write org:new-co#user@user:ivo",
    ]);
    world.yes(&["org:new-co#user@user:ivo", "org:new-co#can_use_audiostack@user:ivo"]);
    world.no(&["org:new-co#admin@user:ivo"]);
    // Nina's account once more.
    world.refuses(
        &[
            "require at-most 0 account:nina#holder@*",
            "require at-most 0 org:other-co#owner@*",
            "write account:nina#holder@user:mallory",
            "write account:nina#created@org:other-co",
            "write org:other-co#owner@user:mallory",
        ],
        "at-most 0 account:nina#holder@*",
    );
    world.no(&["org:other-co#owner@user:mallory"]);
    // Zoe, invited to an organisation that does not exist.
    world.refuses(
        &[
            "require at-most 0 account:zoe#holder@*",
            "require at-least 1 org:nowhere#owner@*",
            "write account:zoe#holder@user:zoe",
            "write org:nowhere#user@user:zoe",
        ],
        "at-least 1 org:nowhere#owner@*",
    );
    assert!(world.tuples("account:zoe").is_empty(), "the account is left without an organisation");
    // Zoe takes an existing organisation for her new one.
    world.refuses(
        &[
            "require at-most 0 account:zoe#holder@*",
            "require at-most 0 org:new-co#owner@*",
            "write account:zoe#holder@user:zoe",
            "write account:zoe#created@org:new-co",
            "write org:new-co#owner@user:zoe",
        ],
        "at-most 0 org:new-co#owner@*",
    );
    world.no(&["org:new-co#owner@user:zoe"]);
}

/// "Unless you are in the Enterprise plan, you can only create one single organisation."
#[test]
fn audiostack_second_organisation_needs_enterprise() {
    let world = World::of("audiostack", &["account:sam#holder@user:sam"]);
    world.accepts(&[
        "require at-most 0 account:sam#created@*",
        "write account:sam#created@org:solo",
        "write org:solo#owner@user:sam",
    ]);
    world.yes(&["org:solo#owner@user:sam"]);
    world.no(&["org:solo#can_create_org@user:sam", "account:sam#can_create_another_org@user:sam"]);
    // A second one the same way.
    world.refuses(
        &[
            "require at-most 0 account:sam#created@*",
            "write account:sam#created@org:duo",
            "write org:duo#owner@user:sam",
        ],
        "at-most 0 account:sam#created@*",
    );
    world.no(&["org:duo#owner@user:sam"]);
    // A second one the Enterprise way: first without the plan, then with it.
    let second = [
        "require exists org:solo#owner@user:sam",
        "require exists org:solo#enterprise@user:*",
        "write account:sam#created@org:duo",
        "write org:duo#owner@user:sam",
    ];
    world.refuses(&second, "exists org:solo#enterprise@user:*");
    world.no(&["org:duo#owner@user:sam"]);
    world.accepts(&["write org:solo#enterprise@user:*"]);
    world.yes(&["org:solo#can_create_org@user:sam", "account:sam#can_create_another_org@user:sam"]);
    world.accepts(&second);
    world.yes(&["org:duo#owner@user:sam"]);
}

/// "This will enable you to create any number of organisations …"
#[test]
fn audiostack_enterprise_creates_any_number_of_organisations() {
    let world = World::of(
        "audiostack",
        &[
            "account:ann#holder@user:ann",
            "account:ann#created@org:acme",
            "org:acme#owner@user:ann",
            "org:acme#admin@user:adam",
            "org:acme#enterprise@user:*",
        ],
    );
    for n in 1..=5 {
        world.accepts(&[
            "require exists org:acme#owner@user:ann",
            "require exists org:acme#enterprise@user:*",
            &format!("require at-most 0 org:child-{n}#owner@*"),
            &format!("write account:ann#created@org:child-{n}"),
            &format!("write org:child-{n}#owner@user:ann"),
            &format!("write org:child-{n}#parent@org:acme"),
            &format!("write org:child-{n}#enterprise@user:*"),
        ]);
        world.yes(&[&format!("org:child-{n}#payer@org:acme")]);
    }
    assert_eq!(world.tuples("account:ann#created@*").len(), 6);
    // Adam, an admin and no owner.
    world.refuses(
        &[
            "require exists org:acme#owner@user:adam",
            "require exists org:acme#enterprise@user:*",
            "require at-most 0 org:adams#owner@*",
            "write org:adams#owner@user:adam",
            "write org:adams#parent@org:acme",
        ],
        "exists org:acme#owner@user:adam",
    );
    world.no(&["org:adams#owner@user:adam"]);
    // The plan ends, and with it the making of organisations.
    world.accepts(&["delete org:acme#enterprise@user:*"]);
    world.refuses(
        &[
            "require exists org:acme#owner@user:ann",
            "require exists org:acme#enterprise@user:*",
            "require at-most 0 org:child-6#owner@*",
            "write account:ann#created@org:child-6",
            "write org:child-6#owner@user:ann",
            "write org:child-6#parent@org:acme",
        ],
        "exists org:acme#enterprise@user:*",
    );
}

/// "You receive a unique API key …"; "Your API Key is Unique to You".
#[test]
fn audiostack_api_key_is_unique_to_its_holder() {
    let world = World::of("audiostack", &["org:acme#user@user:uma", "org:acme#user@user:ugo"]);
    world.accepts(&[
        "require at-most 0 api_key:k1#holder@*",
        "require exists org:acme#user@user:uma",
        "write api_key:k1#holder@user:uma",
        "write api_key:k1#org@org:acme",
    ]);
    world.yes(&["api_key:k1#can_use@user:uma"]);
    world.no(&["api_key:k1#can_use@user:ugo"]);
    // The same key for Ugo, then one of his own.
    world.refuses(
        &[
            "require at-most 0 api_key:k1#holder@*",
            "require exists org:acme#user@user:ugo",
            "write api_key:k1#holder@user:ugo",
        ],
        "at-most 0 api_key:k1#holder@*",
    );
    world.no(&["api_key:k1#can_use@user:ugo"]);
    world.yes(&["api_key:k1#can_use@user:uma"]);
    world.accepts(&[
        "require at-most 0 api_key:k2#holder@*",
        "require exists org:acme#user@user:ugo",
        "write api_key:k2#holder@user:ugo",
        "write api_key:k2#org@org:acme",
    ]);
    world.yes(&["api_key:k2#can_use@user:ugo"]);
    world.no(&["api_key:k2#can_use@user:uma"]);
    // Somebody who is not in the organisation.
    world.refuses(
        &[
            "require at-most 0 api_key:k3#holder@*",
            "require exists org:acme#user@user:stranger",
            "write api_key:k3#holder@user:stranger",
            "write api_key:k3#org@org:acme",
        ],
        "exists org:acme#user@user:stranger",
    );
}

/// "If you regenerate your API key, this will update the key for you only. You cannot reset API keys for other users
/// in your organisation".
#[test]
fn audiostack_regenerating_replaces_your_key_only() {
    let world = World::of(
        "audiostack",
        &[
            "org:acme#owner@user:olga",
            "org:acme#user@user:uma",
            "api_key:k-uma#holder@user:uma",
            "api_key:k-uma#org@org:acme",
            "api_key:k-olga#holder@user:olga",
            "api_key:k-olga#org@org:acme",
        ],
    );
    // The old key dies and the new one lives in one write.
    world.accepts(&[
        "require exists api_key:k-uma#holder@user:uma",
        "require at-most 0 api_key:k-uma-2#holder@*",
        "delete api_key:k-uma#holder@user:uma",
        "write api_key:k-uma-2#holder@user:uma",
        "write api_key:k-uma-2#org@org:acme",
    ]);
    world.no(&["api_key:k-uma#can_use@user:uma"]);
    world.yes(&["api_key:k-uma-2#can_use@user:uma", "api_key:k-olga#can_use@user:olga"]);
    // Olga, the owner, acts as holder, which she is not.
    world.refuses(
        &[
            "require exists api_key:k-uma-2#holder@user:olga",
            "require at-most 0 api_key:k-uma-3#holder@*",
            "delete api_key:k-uma-2#holder@user:uma",
            "write api_key:k-uma-3#holder@user:uma",
            "write api_key:k-uma-3#org@org:acme",
        ],
        "exists api_key:k-uma-2#holder@user:olga",
    );
    world.yes(&["api_key:k-uma-2#can_use@user:uma"]);
    // Two clicks on the same button.
    world.refuses(
        &[
            "require exists api_key:k-uma#holder@user:uma",
            "require at-most 0 api_key:k-uma-4#holder@*",
            "write api_key:k-uma-4#holder@user:uma",
            "write api_key:k-uma-4#org@org:acme",
        ],
        "exists api_key:k-uma#holder@user:uma",
    );
    world.no(&["api_key:k-uma-4#can_use@user:uma"]);
}

/// "Unless you are in the Enterprise plan, you … can not share any information outside that organisation."
#[test]
fn audiostack_sharing_outside_needs_enterprise() {
    let world = World::of(
        "audiostack",
        &[
            "org:acme#admin@user:adam",
            "org:acme#enterprise@user:*",
            "org:partner#user@user:pia",
            "org:solo#admin@user:sara",
            "voice:hero#org@org:acme",
            "voice:song#org@org:solo",
        ],
    );
    world.accepts(&[
        "require exists voice:hero#org@org:acme",
        "require exists org:acme#enterprise@user:*",
        "write voice:hero#shared_with@org:partner#user",
    ]);
    world.yes(&["voice:hero#can_access@user:pia"]);
    // Without the plan.
    world.refuses(
        &[
            "require exists voice:song#org@org:solo",
            "require exists org:solo#enterprise@user:*",
            "write voice:song#shared_with@org:partner#user",
        ],
        "exists org:solo#enterprise@user:*",
    );
    world.no(&["voice:song#can_access@user:pia"]);
    // With the plan, a voice of somebody else.
    world.refuses(
        &[
            "require exists voice:song#org@org:acme",
            "require exists org:acme#enterprise@user:*",
            "write voice:song#shared_with@org:partner#user",
        ],
        "exists voice:song#org@org:acme",
    );
    // The plan ends: the tuple stays, and opens nothing.
    world.accepts(&["delete org:acme#enterprise@user:*"]);
    world.no(&["voice:hero#can_access@user:pia"]);
    assert_eq!(world.tuples("voice:hero#shared_with").len(), 1);
}
