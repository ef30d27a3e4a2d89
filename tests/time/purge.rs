//! Purge: gone from the present, the past and the log; the past says where it cannot be told any longer, and only there.

use std::ops::ControlFlow;

use stonetown::engine::{
    At, ChangeKind, ChangesFrom, ChangesRequest, Engine, EngineError, EvalError, Given, OnDuplicate,
    OnMissing, ReadRequest, Settings, StorageError, WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::tuple::{Object, StoreId, Token};
use tempfile::TempDir;

const SCHEMA: &str = "
model
  schema 1.1
type user
type org
  relations
    define admin: [user]
type voice
  relations
    define org: [org]
    define viewer: [user, org#admin]
    define can_view: viewer or admin from org
";

fn refused<T>(asked: Token, until: Token) -> Result<T, StorageError> {
    Err(StorageError::Purged { asked: asked.revision, until: until.revision })
}

struct Place {
    dir: TempDir,
    engine: Engine,
    store: StoreId,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.database.create = true;
        let engine = Engine::open(dir.path(), settings).unwrap();
        let store = engine.create_store(None).unwrap().id;
        engine.write_schema(store, &Tree::parse("purge", SCHEMA).unwrap()).unwrap();
        Place { dir, engine, store }
    }

    fn write(&self, writes: &[&str], deletes: &[&str]) -> Token {
        let request = WriteRequest {
            store: self.store,
            writes: writes.iter().map(|text| text.parse().unwrap()).collect(),
            deletes: deletes.iter().map(|text| text.parse().unwrap()).collect(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Error,
            on_missing: OnMissing::Error,
            schema: None,
        };
        self.engine.write(request).unwrap().token
    }

    fn purge(&self, object: &str) -> Token {
        self.engine.purge(self.store, object.parse().unwrap(), true).unwrap().token
    }

    fn check(&self, text: &str, at: &Token) -> Result<bool, StorageError> {
        let view = self.engine.view(self.store, None, &At::Token(self.engine.seal(at))).unwrap();
        match view.check(text.parse::<stonetown::tuple::TupleKey>().unwrap().as_ref(), &Given::default()) {
            Ok(answer) => Ok(answer.allowed),
            Err(EngineError::Eval(EvalError::Storage(error))) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    fn read(&self, filter: &str, at: &Token) -> Result<Vec<String>, StorageError> {
        let mut found = Vec::new();
        let at = At::Token(self.engine.seal(at));
        let request = ReadRequest { store: self.store, filter: filter.parse().unwrap(), after: None, at };
        let read = self.engine.read(&request, &mut |read| {
            found.push(read.tuple.to_string());
            ControlFlow::Continue(())
        });
        match read {
            Ok(_) => Ok(found),
            Err(EngineError::Storage(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_past_of_others_is_still_told() {
    let place = Place::new();
    let first = place.write(
        &[
            "voice:7#viewer@user:anne",
            "voice:7#viewer@user:bob",
            "org:a#admin@user:anne",
            "voice:7#org@org:a",
        ],
        &[],
    );
    let gone = place.write(&[], &["voice:7#viewer@user:anne"]);
    let purged = place.purge("user:anne");
    assert_eq!(purged.revision, gone.revision.next());
    // Of her, and where everybody is listed who was there.
    assert_eq!(place.check("voice:7#viewer@user:anne", &first), refused(first, gone));
    assert_eq!(place.check("org:a#admin@user:anne", &first), refused(first, purged));
    assert_eq!(place.check("voice:7#can_view@user:anne", &first), refused(first, gone));
    assert_eq!(place.read("voice:7", &first), refused(first, gone));
    assert_eq!(place.read("@user:anne", &first), refused(first, purged));
    assert_eq!(place.read("", &first), refused(first, purged));
    // She was no viewer any longer, but still an admin.
    assert_eq!(place.check("voice:7#viewer@user:anne", &gone), Ok(false));
    assert_eq!(place.check("org:a#admin@user:anne", &gone), refused(gone, purged));
    // Of others, and of other voices.
    assert_eq!(place.check("voice:7#viewer@user:bob", &first), Ok(true));
    assert_eq!(place.check("voice:7#can_view@user:bob", &first), Ok(true));
    assert_eq!(place.check("voice:7#can_view@user:carl", &first), Ok(false));
    assert_eq!(place.read("@user:bob", &first), Ok(vec!["voice:7#viewer@user:bob".to_owned()]));
    assert_eq!(place.read("voice:8", &first), Ok(vec![]));
    // Now.
    assert_eq!(place.check("org:a#admin@user:anne", &purged), Ok(false));
    assert_eq!(
        place.read("", &purged),
        Ok(vec!["voice:7#org@org:a".to_owned(), "voice:7#viewer@user:bob".to_owned()])
    );
    assert_eq!(place.engine.validate(&mut |_| ()).unwrap().findings, []);
}

#[test]
fn what_names_an_object_in_any_place_goes() {
    let place = Place::new();
    let first = place.write(
        &[
            "org:a#admin@user:anne",
            "voice:7#org@org:a",
            "voice:8#viewer@org:a#admin",
            "voice:8#viewer@user:bob",
        ],
        &[],
    );
    let purged = place.purge("org:a");
    assert_eq!(place.read("", &purged), Ok(vec!["voice:8#viewer@user:bob".to_owned()]));
    for question in ["voice:7#can_view@user:anne", "voice:8#can_view@user:anne"] {
        assert!(matches!(place.check(question, &first), Err(StorageError::Purged { .. })), "{question}");
    }
    // Found before anything of the organization has to be looked at.
    assert_eq!(place.check("voice:8#can_view@user:bob", &first), Ok(true));
    // Nobody's admin, so not of what was purged either.
    assert_eq!(place.check("voice:7#can_view@user:bob", &first), Ok(false));
}

#[test]
fn the_log_keeps_its_places_but_no_name() {
    let place = Place::new();
    let first = place.write(&["voice:7#viewer@user:anne", "voice:7#viewer@user:bob"], &[]);
    place.write(&[], &["voice:7#viewer@user:anne"]);
    let purged = place.purge("user:anne");
    let mut found = Vec::new();
    let request =
        ChangesRequest { store: place.store, from: ChangesFrom::Oldest, object_type: Some("voice".into()) };
    let visited = place.engine.changes(&request, &mut |change, _| {
        let tuple = change.tuple.as_ref().map(ToString::to_string);
        found.push((change.revision, change.ordinal, change.kind, tuple));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    let bob = Some("voice:7#viewer@user:bob".to_owned());
    let expected =
        [(first.revision, 1, ChangeKind::Written, bob), (purged.revision, 0, ChangeKind::Purged, None)];
    assert_eq!(found, expected);
}

/// After a purge that merges files, and the next opening, which lists the files anew, the name is nowhere in the data
/// directory.
#[test]
fn the_name_is_gone_from_the_files() {
    let name = "anne-with-a-name-that-nothing-else-has";
    let place = Place::new();
    let tuple = format!("voice:7#viewer@user:{name}");
    place.write(&[&tuple, "voice:7#viewer@user:bob"], &[]);
    place.engine.compact().unwrap();
    place.write(&[], &[&tuple]);
    place.write(&[&tuple], &[]);
    let answer = place.engine.purge(place.store, Object::new("user", name).unwrap(), true).unwrap();
    assert_eq!((answer.purged.tuples, answer.purged.history, answer.purged.changes), (1, 1, 3));
    let nobody = place.engine.purge(place.store, Object::new("user", name).unwrap(), false).unwrap();
    assert_eq!(nobody.token.revision, answer.token.revision, "nothing names it: no revision is taken");
    let Place { dir, engine, .. } = place;
    drop(engine);
    drop(Engine::open(dir.path(), Settings::default()).unwrap());
    for entry in std::fs::read_dir(dir.path().join("rocksdb")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let is_in = bytes.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(!is_in, "{} names it still", path.display());
    }
}
