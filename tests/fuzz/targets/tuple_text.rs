//! The text forms of tuples, objects, subjects, filters, preconditions and times: whatever is read is printed so that it reads
//! back as the same, and obeys the rules that keys rest on.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use stonetown::engine::{Precondition, TupleFilter};
use stonetown::tuple::{
    Object, SchemaId, StoreId, Subject, SubjectRef, Timestamp, Tuple, TupleKey, TupleRef,
};

fn read_back<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let read = text.parse::<T>().ok()?;
    let printed = read.to_string();
    assert_eq!(printed.parse::<T>().ok().as_ref(), Some(&read), "`{text}` is printed as `{printed}`");
    Some(read)
}

fuzz_target!(|text: &str| {
    if let Some(Tuple { key, .. }) = read_back::<Tuple>(text) {
        let names = [key.object.object_type(), key.object.id(), key.relation.as_str()];
        // Keys end names with it.
        assert!(names.iter().all(|name| !name.is_empty() && !name.contains('\0')), "{names:?}");
    }
    if let Some(key) = read_back::<TupleKey>(text) {
        let (object, subject) = (key.object.to_string(), key.subject.to_string());
        let again = TupleKey::from_parts(&object, key.relation.as_str(), &subject);
        assert_eq!(again.as_ref(), Ok(&key));
    }
    if let Ok(tuple) = TupleRef::parse(text) {
        assert_eq!(text.parse(), Ok(tuple.to_owned()));
    }
    if let Ok(subject) = SubjectRef::parse(text) {
        assert_eq!(text.parse(), Ok(subject.to_owned()));
    }
    read_back::<Object>(text);
    read_back::<Subject>(text);
    read_back::<Timestamp>(text);
    read_back::<StoreId>(text);
    read_back::<SchemaId>(text);
    read_back::<TupleFilter>(text);
    let _ = text.parse::<Precondition>();
});
