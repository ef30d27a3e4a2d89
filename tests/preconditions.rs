//! Preconditions of writes: counts, sequences and uniqueness that the documents of the five systems state and that no
//! relation can express. The tests named in `schema/NAME.md` are here under those names; besides them each form of
//! precondition by itself, writers that race, and everything else for which a write is refused.
//!
//! All on a real data directory; preconditions are read from the text that `--require` takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod preconditions {
    /// A store with a schema, writes given as text, and what is asserted of them.
    mod world;

    mod audiostack;
    mod fastpix;
    mod live_studio;
    mod studio;

    /// Each form by itself.
    mod forms;
    /// Many writers at once.
    mod races;
    /// What else a write is refused for, duplicates and missing tuples.
    mod refusals;
    /// What the change log since a token has.
    mod untouched;
}

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every file of a folder of the crate whose name ends so, as one text.
fn texts(folder: &str, ending: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.to_string_lossy().ends_with(ending));
    wanted.map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_precondition_named_beside_the_schemas_is_a_test() {
    let pages = texts("schema", ".md");
    let sources = texts("tests/preconditions", ".rs");
    let lines = pages.lines().filter(|line| line.contains("precondition"));
    let quoted = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    let systems = ["audiostack_", "fastpix_", "live_studio_", "studio_"];
    let named: BTreeSet<&str> =
        quoted.filter(|name| systems.iter().any(|system| name.starts_with(system))).collect();
    assert_eq!(named.len(), 16, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("#[test]\nfn {name}()")), "no test `{name}`");
    }
}
