//! Schemas as text: a refusal that can be shown in every form, or a schema that is printed so that it reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stonetown::schema::{Problems, Tree, compare, read_modules, read_schema, to_dot};

fuzz_target!(|text: &str| {
    if let Some((manifest, files)) = text.split_once("\n---\n") {
        modules(manifest, files);
    }
    match read_schema("fuzz.fga", text) {
        Err(problems) => show(&problems),
        Ok((tree, schema)) => {
            let printed = tree.print().expect("a schema that was read is printed");
            let (again, _) = read_schema("printed.fga", &printed).unwrap_or_else(|problems| {
                panic!("`{text}` is printed as `{printed}`, and then: {}", problems.plain())
            });
            assert_eq!(again.print().expect("printed once"), printed, "printing settles");
            assert!(compare(&tree, &again).is_empty(), "`{text}` and `{printed}` differ");
            let json = tree.to_json();
            let of_json = Tree::from_json(&json).expect("our own JSON is read");
            assert_eq!(of_json.to_json(), json);
            let _ = to_dot(&schema);
        }
    }
});

/// Whatever is wrong has a place that can be shown.
fn show(problems: &Problems) {
    let _ = (problems.plain(), problems.render(true), problems.to_json(), problems.openfga_message());
}

/// A manifest, then its files, in its order.
fn modules(manifest: &str, files: &str) {
    let mut files = files.split("\n---\n");
    let mut read = |_: &str| files.next().map(str::to_owned).ok_or(std::io::ErrorKind::NotFound.into());
    match read_modules("fga.mod", manifest, &mut read) {
        Ok((tree, _)) => drop(tree.to_json()),
        Err(problems) => show(&problems),
    }
}
