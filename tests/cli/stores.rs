use super::program::{Place, says};
use serde_json::json;

#[test]
fn stores_are_made_listed_and_deleted() {
    let place = Place::empty();
    let first = place.run("store create --name first").yes();
    let second = place.run("store create --name second --format json").json().remove(0);
    let third = place.run("store create").yes();
    assert_eq!(second["name"], "second");
    let ids = [first.trim_end(), second["id"].as_str().unwrap(), third.trim_end()];
    assert!(ids.iter().all(|id| id.len() == 26), "{ids:?}");

    let list = place.run("store list").yes();
    says(&list, &[ids[0], "  first\n", ids[1], "  second\n", ids[2]]);
    let list = place.run("store list --format json").json();
    let listed: Vec<_> = list.iter().map(|store| (store["id"].as_str().unwrap(), &store["name"])).collect();
    assert_eq!(listed, [(ids[0], &json!("first")), (ids[1], &json!("second")), (ids[2], &json!(null))]);

    assert_eq!(place.run("store delete second").yes(), format!("deleted {}\n", ids[1]));
    let deleted = place.run(&format!("store delete {} --format json", ids[2])).json();
    assert_eq!(deleted, [json!({ "deleted": ids[2] })]);
    says(&place.run("store delete second").failed(), &["no store", "`second`", "stonetown store list"]);
    says(&place.run(&format!("store delete {}", ids[2])).failed(), &["store", ids[2], "does not exist"]);
    place.run("store delete first").yes();
    let (out, err) = place.run("store list").ended(0);
    assert_eq!((&*out, &*err), ("", "no stores: create one with `stonetown store create`\n"));
}

#[test]
fn stats_count_by_relation() {
    let place = Place::demo(&["org:a#owner@user:x", "org:b#owner@user:x", "org:a#admin@user:y"]);
    let text = place.run("store stats").yes();
    says(&text, &["`demo`", "revision 2 of ", " of 1\n", "  org#admin\n", "  org#owner\n", " 3  tuples\n"]);
    let stats = place.run("store stats --format json").json().remove(0);
    assert_eq!(stats["tuples"], json!({ "org#admin": 1, "org#owner": 2 }));
    assert_eq!((&stats["revision"], &stats["schemas"]), (&json!(2), &json!(1)));
    assert!(stats["families"]["tuples"]["file_bytes"].is_u64(), "{stats}");
}

#[test]
fn one_of_several_stores_is_named_by_id_or_name() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let id = place.run("store list").yes()[..26].to_owned();
    place.run("store create --name other").yes();
    says(&place.run("read").failed(), &["2 stores", "`--store`"]);
    assert_eq!(place.run("read --store demo").yes(), "org:a#owner@user:x\n");
    assert_eq!(place.run(&format!("read --store {id}")).yes(), "org:a#owner@user:x\n");
    let from_environment = place.command("read").env("STONETOWN_STORE", "demo").output().unwrap();
    assert_eq!(from_environment.stdout, b"org:a#owner@user:x\n");
    assert_eq!(place.run("read --store other").yes(), "");

    place.run("store create --name other").yes();
    says(&place.run("read --store other").failed(), &["2 stores are named `other`", "id"]);
    says(&place.run("read --store demos").failed(), &["`demos`", "`stonetown store list`"]);
    says(&place.run("read --store 01KAMZ3S8T4N2Q6V9XB7CDEFGH").failed(), &["does not exist"]);
}

#[test]
fn a_directory_without_stores_says_how_to_make_one() {
    let place = Place::demo(&[]);
    place.run("store delete demo").yes();
    for line in ["read", "store stats", "check org:a#owner@user:x", "changes", "schema list"] {
        says(&place.run(line).failed(), &["no store", "`stonetown store create`"]);
    }
    // The whole directory is validated, whatever is in it.
    place.run("validate").yes();
}
