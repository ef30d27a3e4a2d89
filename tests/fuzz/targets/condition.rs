//! Conditions: parameters, an expression, what is stored with a tuple, what comes with a question, with NULs between them. An
//! expression is refused with a place, or evaluated within its bound of work; the same question has the same answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use stonetown::condition::{Compiled, Context, Kind, Parameter};
use stonetown::tuple::ConditionContext;

/// A parameter's type by the letters of its text; the last one says what is in a list or map.
fn kind(text: &str) -> Kind {
    let (first, rest) = match text.chars().next() {
        Some(first) => (first, &text[first.len_utf8()..]),
        None => return Kind::Any,
    };
    match first {
        'b' => Kind::Bool,
        'i' => Kind::Int,
        'u' => Kind::Uint,
        'd' => Kind::Double,
        's' => Kind::String,
        'p' => Kind::Duration,
        't' => Kind::Timestamp,
        'a' => Kind::Ip,
        // As in the language, lists and maps do not nest.
        'l' => Kind::List(Box::new(kind(rest.trim_start_matches(['l', 'm'])))),
        'm' => Kind::Map(Box::new(Kind::String), Box::new(kind(rest.trim_start_matches(['l', 'm'])))),
        _ => Kind::Any,
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\0');
    let parameters = parts.next().unwrap_or("").split(',').filter_map(|one| one.split_once(':'));
    let parameters = parameters.map(|(name, of)| Parameter { name: name.into(), kind: kind(of) }).collect();
    let Ok(compiled) = Compiled::new(parameters, parts.next().unwrap_or("true")) else { return };
    let stored = ConditionContext::from_json(parts.next().unwrap_or("{}"));
    let stored = stored.unwrap_or_else(|_| ConditionContext::empty());
    if compiled.admit(&stored).is_err() {
        return;
    }
    let request = Context::new(object(parts.next().unwrap_or("{}")).unwrap_or_default());
    let answer = compiled.holds(&stored, &request);
    assert_eq!(compiled.holds(&stored, &request), answer);
    let _ = compiled.definition();
});
