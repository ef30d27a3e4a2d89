use super::program::{Place, says, token};
use super::server::Server;

const TUPLE: &str = "org:film#admin@user:anne";

/// While a server has the directory open it makes the backup, where it was told that it may.
#[test]
fn a_server_makes_backups_below_the_directory_it_was_given() {
    let place = Place::demo(&[TUPLE]);
    let server = Server::start(&place, "");
    let (_, said) = place.run("backup backups").ended(3);
    says(&said, &["asking the server", "this server makes no backups for clients", "--backup-dir"]);
    server.stop();
    let server = Server::start(&place, "--backup-dir backups");
    let (out, _) = place.run("backup backups/nightly --keep 2").ended(0);
    says(&out, &["backup 1 of", "1 store", "copied, verified", "revision 2"]);
    let at = server.url();
    for (asked, id) in [("nightly", 2), ("./nightly", 3)] {
        let out = Place::empty().run(&format!("--format json backup {asked} --keep 2 --url {at}"));
        let (out, _) = out.ended(0);
        let made: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&made["backup"], &made["verified"]), (&id.into(), &true.into()));
    }
    std::os::unix::fs::symlink(place.path("data"), place.path("backups/link")).unwrap();
    for outside in ["../elsewhere", "nightly/../../elsewhere", "/tmp", "link", "link/below", "/"] {
        let said = place.run(&format!("backup {outside} --url {at}")).failed();
        says(&said, &["is not in the directory that this server makes backups in"]);
    }
    assert!(!place.path("elsewhere").exists());
    server.stop();
    let listed = place.run("backup list backups/nightly --format json").json();
    let ids: Vec<_> = listed.iter().map(|backup| backup["backup"].as_u64().unwrap()).collect();
    assert_eq!(ids, [2, 3]);
    place.run("restore backups/nightly --data restored").yes();
    says(&place.run(&format!("check {TUPLE} --data restored")).yes(), &["yes"]);
}

/// By the tokens and times that answers printed.
#[test]
fn a_restore_goes_back_to_a_token_or_a_time() {
    let place = Place::demo(&[TUPLE]);
    let then = token(&place.run(&format!("check {TUPLE}")).yes()).to_owned();
    place.run(&format!("write --delete {TUPLE}")).yes();
    place.run("backup backups").yes();
    let old = place.run(&format!("restore backups --at {then} --data one --format json")).json();
    assert_eq!((&old[0]["stores"][0]["revision"], &old[0]["stores"][0]["undone"]), (&2.into(), &1.into()));
    says(&place.run(&format!("check {TUPLE} --data one")).yes(), &["yes"]);
    let time = old[0]["stores"][0]["committed_at"].as_str().unwrap();
    place.run(&format!("restore backups --at {time} --store demo --data two")).yes();
    says(&place.run(&format!("check {TUPLE} --data two")).yes(), &["yes"]);
    let said = place.run(&format!("check {TUPLE} --at {then} --data two")).failed();
    says(&said, &["before this data directory was restored"]);
    let said = place.run("restore backups --at 2100-01-01T00:00:00Z --data three").failed();
    says(&said, &["backup 1 was made at", "does not hold the state of 2100-01-01T00:00:00Z"]);
    place.run("restore backups --at yesterday --data three").misunderstood();
    says(
        &place.run("restore backups --revision 9 --data three").failed(),
        &["revision 9 has not been reached"],
    );
    says(
        &place.run("restore backups --revision 1 --store x --data three").failed(),
        &["no store with id or name `x`"],
    );
}

#[test]
fn damage_in_a_backup_is_an_exit_code() {
    let place = Place::demo(&[TUPLE]);
    place.run("backup backups").yes();
    place.put("backups/rocksdb/private/1/CURRENT", "MANIFEST-999999\n");
    let (out, _) = place.run("backup verify backups").no();
    says(&out, &["private/1/CURRENT: ", "backup 1: 1 findings"]);
    says(&place.run("restore backups --data new").failed(), &["backup 1 is damaged", "CURRENT"]);
    place.put("backups/backup-1.json", "{}");
    let (out, _) = place.run("backup list backups").no();
    says(&out, &["backup 1 is damaged", "backup-1.json"]);
}
