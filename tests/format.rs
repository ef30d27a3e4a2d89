//! Data directories written by earlier versions open, hold what they held, and stay valid.
//!
//! `tests/format/v1` and `tests/format/v1-sealed` were made by version 0.1.0 on 2026-11-22, the second one with a seal and
//! with changes that stand in the log only:
//!
//! ```sh
//! stonetown store create --name old
//! stonetown schema write tests/format/old.fga
//! stonetown write 'voice:7#org@org:child' 'org:child#parent@org:acme' 'org:acme#admin@user:anne' \
//!   'voice:7#viewer@user:*' 'voice:7#viewer@org:acme#admin'
//! stonetown write --delete 'org:acme#admin@user:anne' 'org:acme#admin@user:bob until 2100-01-01T00:00:00Z'
//! ```
//!
//! and the files `LOG*`, `LOCK` and `OPTIONS*` taken out of their `rocksdb` folders.
//!
//! `tests/format/v1-all.zst` holds whatever a directory of format 1 can: see `format/all.rs`, which made it and knows what it
//! has to answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod format {
    /// A directory with a bit of everything.
    mod all;
    /// Directories of later formats.
    mod later;
    /// A directory as one file.
    mod packed;
}

use std::fs;
use std::path::Path;

use stonetown::engine::{At, CheckRequest, Engine, Given, Settings};
use stonetown::tuple::TupleRef;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Opens a copy of a directory; `token` is what the write before the last answered with.
fn opens_and_answers(name: &str, token: &str) {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format").join(name), dir.path());
    let engine = Engine::open(dir.path(), Settings::default()).unwrap();
    let stores = engine.list_stores();
    assert_eq!(stores.len(), 1);
    assert_eq!(stores[0].name.as_deref(), Some("old"));
    let check = |tuple: &str, at: At| {
        let tuple = TupleRef::parse(tuple).unwrap();
        let request = CheckRequest { store: stores[0].id, tuple, schema: None, given: Given::default(), at };
        engine.check(request).unwrap().allowed
    };
    let then = || At::Token(token.trim().to_owned());
    assert!(check("org:child#admin@user:bob", At::Head));
    assert!(!check("org:child#admin@user:anne", At::Head));
    assert!(check("org:child#admin@user:anne", then()));
    assert!(!check("org:child#admin@user:bob", then()));
    assert!(check("voice:7#can_view@user:anybody", At::Head));
    assert!(check("voice:7#can_view@org:acme#admin", At::Head));
    let validation = engine.validate(&mut |_| {}).unwrap();
    assert_eq!(validation.findings, []);
    assert_eq!(
        (validation.tuples, validation.history, validation.changes, validation.revisions),
        (5, 1, 7, 3)
    );
}

#[test]
fn format_1_opens_and_answers() {
    opens_and_answers("v1", include_str!("format/v1.token"));
}

#[test]
fn format_1_with_a_seal_opens_and_answers() {
    opens_and_answers("v1-sealed", include_str!("format/v1-sealed.token"));
}
