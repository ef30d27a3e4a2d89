//! What is printed is read as the same again, and what is read is printed as it was.

use proptest::prelude::*;
use stonetown::storage::TupleFilter;
use stonetown::tuple::{
    ConditionContext, Object, ObjectRef, Subject, SubjectRef, Timestamp, Tuple, TupleKey, TupleRef,
};

use crate::settings::properties;
use crate::strategies::{context, filter, key, time, tuple};

proptest! {
    #![proptest_config(properties("tuple text"))]

    #[test]
    fn a_printed_tuple_is_read_as_the_same(tuple in tuple()) {
        let text = tuple.to_string();
        let again = text.parse::<Tuple>();
        prop_assert_eq!(again.as_ref(), Ok(&tuple), "{}", text);
        prop_assert_eq!(again.unwrap().to_string(), text);
    }

    #[test]
    fn a_printed_key_and_its_parts_are_read_as_the_same(key in key()) {
        let text = key.to_string();
        prop_assert_eq!(text.parse::<TupleKey>(), Ok(key.clone()));
        prop_assert_eq!(TupleRef::parse(&text), Ok(key.as_ref()));
        let (object, relation, subject) = (key.object.to_string(), key.relation.as_str(), key.subject.to_string());
        prop_assert_eq!(TupleKey::from_parts(&object, relation, &subject), Ok(key.clone()));
        prop_assert_eq!(object.parse::<Object>(), Ok(key.object.clone()));
        prop_assert_eq!(subject.parse::<Subject>(), Ok(key.subject.clone()));
        prop_assert_eq!(key.as_ref().to_owned(), key);
    }

    #[test]
    fn a_printed_filter_is_read_as_the_same(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(text.parse::<TupleFilter>(), Ok(filter), "{}", text);
    }

    #[test]
    fn a_printed_time_is_read_as_the_same(time in time()) {
        prop_assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
    }

    /// Equal contexts are equal bytes, whatever the order of keys and the white space they came with.
    #[test]
    fn a_context_has_one_text(context in context()) {
        let canonical = ConditionContext::from_value(&context).unwrap();
        let again = ConditionContext::from_json(canonical.as_str()).unwrap();
        prop_assert_eq!(&again, &canonical);
        let spread = serde_json::to_string_pretty(&context).unwrap();
        prop_assert_eq!(ConditionContext::from_json(&spread).unwrap(), canonical);
    }

    /// No text makes a parser panic, and what it takes it prints as it was.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:#@* {}\"\\PC]{0,24}") {
        if let Ok(object) = ObjectRef::parse(&text) {
            prop_assert_eq!(object.to_string(), &text[..]);
        }
        if let Ok(subject) = SubjectRef::parse(&text) {
            prop_assert_eq!(subject.to_string(), &text[..]);
        }
        if let Ok(key) = TupleRef::parse(&text) {
            prop_assert_eq!(key.to_string(), &text[..]);
        }
        if let Ok(filter) = text.parse::<TupleFilter>() {
            prop_assert_eq!(filter.to_string().parse::<TupleFilter>(), Ok(filter));
        }
        if let Ok(tuple) = text.parse::<Tuple>() {
            prop_assert_eq!(tuple.to_string().parse::<Tuple>(), Ok(tuple));
        }
    }
}

#[test]
fn keys_of_a_context_are_sorted_and_written_once() {
    let text = r#" { "b" : [1, {"z":null, "y":0.5}], "a" : "\u00e9\n", "B":true , "b2":{} , "a":2 } "#;
    let context = ConditionContext::from_json(text).unwrap();
    assert_eq!(context.as_str(), r#"{"B":true,"a":2,"b":[1,{"y":0.5,"z":null}],"b2":{}}"#);
}

#[test]
fn golden_tuple_texts() {
    // Left: as it may be written. Right: as it is printed.
    let texts = [
        ("voice:7#viewer@user:anne", "voice:7#viewer@user:anne"),
        ("voice:a@b#viewer@user:x@y", "voice:a@b#viewer@user:x@y"),
        ("voice:7#viewer@org:acme#admin", "voice:7#viewer@org:acme#admin"),
        ("voice:7#viewer@user:*", "voice:7#viewer@user:*"),
        ("voice:7#viewer@user:anne with c", "voice:7#viewer@user:anne with c"),
        ("voice:7#viewer@user:anne with c {}", "voice:7#viewer@user:anne with c"),
        (
            r#"voice:7#viewer@user:anne with c { "b": 1, "a": " } until " }"#,
            r#"voice:7#viewer@user:anne with c {"a":" } until ","b":1}"#,
        ),
        (
            "voice:7#viewer@user:anne until 2027-01-01T00:00:00Z",
            "voice:7#viewer@user:anne until 2027-01-01T00:00:00Z",
        ),
        (
            "voice:7#viewer@user:anne until 2027-01-01T02:00:00.5+02:00",
            "voice:7#viewer@user:anne until 2027-01-01T00:00:00.5Z",
        ),
        (
            r#"voice:7#viewer@user:anne with until {"until":{}} until 2027-01-01T00:00:00Z"#,
            r#"voice:7#viewer@user:anne with until {"until":{}} until 2027-01-01T00:00:00Z"#,
        ),
    ];
    for (written, printed) in texts {
        let tuple: Tuple = written.parse().unwrap();
        assert_eq!(tuple.to_string(), printed);
    }
}
