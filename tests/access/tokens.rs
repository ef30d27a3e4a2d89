use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::guarded::{Guarded, check};
use super::issuer::{Provider, SigningKey, now};

const ADMIN: &str = "admin-0123456789abcdef";
const ADMIN_KEY: &str =
    "[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n";

fn issuer(provider: &Provider, grants: &str) -> String {
    format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = [\"stonetown\", \"also\"]\nrefresh_every = \"1h\"\nrefresh_pause = \"500ms\"\n{grants}",
        provider.url
    )
}

const CHECKERS: &str = "[[issuers.grants]]\nclaim = \"scope\"\nvalue = \"check\"\nstores = [\"*\"]\nrights = [\"check\"]\n\
                        [[issuers.grants]]\nclaim = \"realm.roles\"\nvalue = \"access-admin\"\nstores = [\"*\"]\nrights = [\"all\"]\n";

struct World {
    guarded: Guarded,
    path: String,
}

impl World {
    fn start(settings: &str) -> World {
        let guarded = Guarded::start(&format!("{ADMIN_KEY}{settings}"), &[("boss", ADMIN)]);
        let path = format!("/stores/{}/check", guarded.store(ADMIN));
        World { guarded, path }
    }

    /// Status and code of a check that is asked with a token.
    fn ask(&self, token: &str) -> (u16, String) {
        let answer = self.guarded.send(Some(token), "POST", &self.path, &check());
        (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
    }

    #[track_caller]
    fn is_refused(&self, token: &str, status: u16, code: &str) {
        assert_eq!(self.ask(token), (status, code.to_owned()));
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[test]
fn rights_go_by_claims() {
    let (one, two) = (SigningKey::elliptic("one"), SigningKey::of_384_bits("two"));
    let (provider, other) = (Provider::start(&[&one, &two]), Provider::start(&[&two]));
    let world = World::start(
        &(issuer(&provider, CHECKERS)
            + &issuer(&other, "[[issuers.grants]]\nstores = [\"*\"]\nrights = [\"read\"]\n")),
    );
    let checker = with(provider.claims("anne"), "scope", json!("openid check"));
    assert_eq!(world.ask(&one.sign(&checker)).0, 200);
    assert_eq!(world.ask(&two.sign(&checker)).0, 200, "by whichever of its keys");
    // Only one of its keys is of this kind.
    assert_eq!(world.ask(&one.sign_nameless(&checker)).0, 200);
    let list = with(checker.clone(), "aud", json!(["somebody", "also"]));
    assert_eq!(world.ask(&one.sign(&list)).0, 200, "one of several audiences");
    let admin = one.sign(&with(provider.claims("boss"), "realm", json!({ "roles": ["a", "access-admin"] })));
    assert_eq!(world.guarded.send(Some(&admin), "POST", "/stores", &json!({ "name": "made" })).status, 201);
    // Known, and may nothing.
    world.is_refused(&one.sign(&provider.claims("nobody")), 403, "forbidden");
    // The right is that of the issuer that signed it.
    let reader = with(other.claims("anne"), "scope", json!("check"));
    world.is_refused(&two.sign(&reader), 403, "forbidden");
    let read = world.path.replace("/check", "/read");
    assert_eq!(world.guarded.send(Some(&two.sign(&reader)), "POST", &read, &json!({})).status, 200);
    assert_eq!(world.guarded.send(None, "GET", "/readyz", &Value::Null).status, 200);
}

#[test]
fn tokens_that_do_not_hold_are_refused() {
    let (key, strange) = (SigningKey::elliptic("one"), SigningKey::elliptic("one"));
    let provider = Provider::start(&[&key]);
    let world = World::start(&issuer(&provider, CHECKERS));
    let right = with(provider.claims("anne"), "scope", json!("check"));
    assert_eq!(world.ask(&key.sign(&right)).0, 200);
    let invalid = "auth_failed_invalid_bearer_token";
    // Another key under the same name; a changed claim; no signature; a signature of another kind.
    world.is_refused(&strange.sign(&right), 401, invalid);
    let token = key.sign(&right);
    let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let changed = with(right.clone(), "realm", json!({ "roles": ["access-admin"] }));
    let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
    world.is_refused(&format!("{head}.{changed}.{signature}"), 401, invalid);
    for unsigned in ["none", "None", "nOnE"] {
        let none = URL_SAFE_NO_PAD.encode(json!({ "alg": unsigned, "kid": "one" }).to_string());
        for signature in ["", signature] {
            world.is_refused(&format!("{none}.{changed}.{signature}"), 401, invalid);
        }
    }
    // The public key is no secret: nothing may be signed with it.
    let public = serde_json::to_vec(&key.public()).unwrap();
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
    let symmetric = encode(&header, &right, &EncodingKey::from_secret(&public)).unwrap();
    world.is_refused(&symmetric, 401, invalid);
    world.is_refused(&key.sign_critical(&right), 401, invalid);
    for (claims, code) in [
        (with(right.clone(), "exp", json!(now() - 120)), "invalid_claims"),
        (with(right.clone(), "nbf", json!(now() + 120)), "invalid_claims"),
        (with(right.clone(), "aud", json!("somebody-else")), "auth_failed_invalid_audience"),
        (with(right.clone(), "aud", json!([])), "auth_failed_invalid_audience"),
        (with(right.clone(), "iss", json!("https://elsewhere.example.com")), "auth_failed_invalid_issuer"),
        (with(right.clone(), "iss", json!(format!("{}/", provider.url))), "auth_failed_invalid_issuer"),
        (with(right.clone(), "sub", json!("")), "auth_failed_invalid_subject"),
        (with(right.clone(), "sub", json!(7)), "auth_failed_invalid_subject"),
    ] {
        world.is_refused(&key.sign(&claims), 401, code);
    }
    for missing in ["exp", "aud", "iss", "sub"] {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(world.ask(&key.sign(&claims)).0, 401, "without {missing}");
    }
    for nonsense in ["a.b.c", "..", "e30.e30.", &"a".repeat(20_000), "%00", "\u{7f}"] {
        if nonsense.bytes().all(|byte| byte.is_ascii_graphic()) {
            assert_eq!(world.ask(nonsense).0, 401, "{}", &nonsense[..nonsense.len().min(20)]);
        }
    }
    // A token that is known is not known for longer than it holds.
    let short = key.sign(&with(right, "exp", json!(now() - 27)));
    assert_eq!(world.ask(&short).0, 200, "within what clocks may be off by");
    std::thread::sleep(Duration::from_secs(5));
    world.is_refused(&short, 401, "invalid_claims");
}

#[test]
fn keys_come_and_go() {
    let (one, two) = (SigningKey::elliptic("one"), SigningKey::elliptic("two"));
    let provider = Provider::start(&[&one]);
    let world = World::start(&issuer(&provider, CHECKERS).replace("1h", "2s"));
    let claims = with(provider.claims("anne"), "scope", json!("check"));
    assert_eq!(world.ask(&one.sign(&claims)).0, 200);
    std::thread::sleep(Duration::from_millis(600));
    provider.publish(&[&one, &two]);
    assert_eq!(world.ask(&two.sign(&claims)).0, 200, "a new key is fetched when a token names it");
    // Whoever makes keys up does not have them fetched again and again.
    let fetched = provider.fetched();
    for number in 0..50 {
        let strange = SigningKey::elliptic(&format!("strange-{number}"));
        world.is_refused(&strange.sign(&claims), 401, "auth_failed_invalid_bearer_token");
    }
    assert!(provider.fetched() <= fetched + 4, "{} times", provider.fetched() - fetched);
    // A key that is taken back does not hold for long, also for tokens that are known.
    let kept = one.sign(&claims);
    assert_eq!(world.ask(&kept).0, 200);
    provider.publish(&[&two]);
    let mut last = world.ask(&kept);
    for _ in 0..40 {
        if last.0 == 401 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
        last = world.ask(&kept);
    }
    assert_eq!(last, (401, "auth_failed_invalid_bearer_token".to_owned()));
    assert_eq!(world.ask(&two.sign(&claims)).0, 200);
    // While the issuer cannot be asked, its keys go on holding.
    provider.set_broken(true);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(world.ask(&two.sign(&claims)).0, 200);
    assert_eq!(world.ask(&two.sign(&claims)).0, 200);
}

#[test]
fn an_issuer_that_cannot_be_asked_holds_up_nobody_else() {
    let key = SigningKey::elliptic("one");
    let provider = Provider::start(&[&key]);
    provider.set_broken(true);
    let world = World::start(&issuer(&provider, CHECKERS));
    let claims = with(provider.claims("anne"), "scope", json!("check"));
    world.is_refused(&key.sign(&claims), 500, "unavailable");
    assert_eq!(world.ask(ADMIN).0, 200, "keys need no issuer");
    let ready = || world.guarded.send(None, "GET", "/readyz", &Value::Null);
    assert_eq!((ready().status, &ready().body["status"]), (503, &json!("NOT_READY")));
    provider.set_broken(false);
    // It is asked again although nobody comes with a token: none would, where traffic waits for readiness.
    for _ in 0..40 {
        if ready().status == 200 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(ready().status, 200);
    assert_eq!(world.ask(&key.sign(&claims)).0, 200);
}

#[test]
fn an_issuer_that_says_to_be_another_is_not_believed() {
    let key = SigningKey::elliptic("one");
    let provider = Provider::start(&[&key]);
    for (issuer_name, keys_at) in [
        (Some("https://login.example.com".to_owned()), None),
        (Some(format!("{}/", provider.url)), None),
        (None, Some(format!("http://example.com:{}/keys", provider.port()))),
    ] {
        provider.lie(issuer_name.as_deref(), keys_at.as_deref());
        let world = World::start(&issuer(&provider, CHECKERS));
        let claims = with(provider.claims("anne"), "scope", json!("check"));
        world.is_refused(&key.sign(&claims), 500, "unavailable");
    }
}
