//! Schemas as JSON, as the API takes them and as they are stored: a refusal, or a schema whose JSON and whose text say the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stonetown::schema::{Tree, compare, read_json, read_schema};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else { return };
    match read_json("fuzz.json", &json) {
        Err(problems) => {
            let _ = (problems.plain(), problems.openfga_error(), problems.openfga_message());
        }
        Ok((tree, _)) => {
            let written = tree.to_json();
            let again = Tree::from_json(&written).expect("our own JSON is read");
            assert_eq!(again.to_json(), written);
            // Some schemas have no text: the language has no words for all that JSON can say.
            let Ok(text) = tree.print() else { return };
            let (of_text, _) = read_schema("printed.fga", &text)
                .unwrap_or_else(|problems| panic!("{json} is printed as `{text}`: {}", problems.plain()));
            assert!(compare(&tree, &of_text).is_empty(), "{json} and `{text}` differ");
        }
    }
});
