//! Random valid tuples and filters.

use proptest::prelude::*;
use proptest::strategy::Union;
use stonetown::storage::{ObjectFilter, SubjectFilter, TupleFilter};
use stonetown::tuple::{
    ConditionContext, Object, Relation, Subject, Timestamp, Tuple, TupleCondition, TupleKey,
};

/// Characters of names: anything but white space, control characters and the three that have a meaning. Those that
/// have a meaning elsewhere come often: they are what parsers stumble over.
fn name_char() -> Union<BoxedStrategy<char>> {
    let allowed = |c: &char| !c.is_ascii_whitespace() && !c.is_control() && !":#@".contains(*c);
    Union::new([
        prop::char::range('a', 'c').boxed(),
        prop::sample::select("*{}\"'\\,.-_/|[]()=&!~\u{a0}\u{2003}é\u{10ffff}".chars().collect::<Vec<_>>())
            .boxed(),
        any::<char>().prop_filter("not allowed in a name", allowed).boxed(),
    ])
}

fn name() -> BoxedStrategy<String> {
    let word = prop::sample::select(vec!["until", "with", "a", "doc"]).prop_map(str::to_owned);
    let chars = prop::collection::vec(name_char(), 1..=12).prop_map(String::from_iter);
    let longest = name_char().prop_map(|c| c.to_string().repeat(50));
    prop_oneof![1 => word, 6 => chars, 1 => longest].boxed()
}

/// Ids hold `@` too.
fn id() -> BoxedStrategy<String> {
    let char = prop_oneof![5 => name_char(), 1 => Just('@')];
    let chars = prop::collection::vec(char, 1..=12).prop_map(String::from_iter);
    chars.prop_filter("a wildcard is no id", |id| id != "*").boxed()
}

/// A type that leaves room for an id.
fn type_name() -> BoxedStrategy<String> {
    prop_oneof![9 => name(), 1 => name_char().prop_map(|c| c.to_string().repeat(200))].boxed()
}

fn object() -> impl Strategy<Value = Object> {
    (type_name(), id()).prop_map(|(object_type, id)| Object::new(&object_type, &id).unwrap())
}

fn relation() -> impl Strategy<Value = Relation> {
    name().prop_map(|name| Relation::new(&name).unwrap())
}

/// A subject has 512 bytes at most, whatever its characters.
fn subject() -> impl Strategy<Value = Subject> {
    let object = || (name(), id());
    let userset = (object(), name()).prop_map(|((object_type, id), relation)| {
        let (id, relation) = (id.replace('*', "+"), relation.replace('*', "+"));
        format!("{object_type}:{id}#{relation}")
    });
    prop_oneof![
        3 => object().prop_map(|(object_type, id)| format!("{object_type}:{id}")),
        1 => name().prop_map(|name| format!("{name}:*")),
        2 => userset,
    ]
    .prop_map(|text| text.parse().unwrap())
}

/// The identity of a tuple.
pub(crate) fn key() -> impl Strategy<Value = TupleKey> {
    (object(), relation(), subject()).prop_map(|(object, relation, subject)| TupleKey {
        object,
        relation,
        subject,
    })
}

/// JSON of every kind, nested.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let text = || prop_oneof![any::<String>(), Just("} until 2030-01-01T00:00:00Z".to_owned())];
    let number = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        number,
        text().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((text(), inner), 0..5).prop_map(serde_json::Value::from_iter),
        ]
    })
}

/// The stored context of a condition.
pub(crate) fn context() -> impl Strategy<Value = serde_json::Value> {
    prop::collection::vec((any::<String>(), json()), 0..4).prop_map(serde_json::Value::from_iter)
}

fn condition() -> impl Strategy<Value = TupleCondition> {
    (name(), context()).prop_map(|(name, context)| {
        TupleCondition::new(&name, ConditionContext::from_value(&context).unwrap()).unwrap()
    })
}

/// Every time that RFC 3339 can name, and some more often.
pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    const FIRST: i64 = -62_135_596_800_000_000; // 0001-01-01
    const LAST: i64 = 253_402_207_200_000_000; // the last that jiff holds
    prop_oneof![
        FIRST..LAST,
        Just(0),
        Just(-1),
        Just(FIRST),
        (0..4_000_000_000_i64).prop_map(|seconds| seconds * 1_000_000),
    ]
    .prop_map(Timestamp::from_micros)
}

/// A tuple with all that can limit it.
pub(crate) fn tuple() -> impl Strategy<Value = Tuple> {
    (key(), prop::option::of(condition()), prop::option::of(time()))
        .prop_map(|(key, condition, expires_at)| Tuple { key, condition, expires_at })
}

/// A filter of any form.
pub(crate) fn filter() -> impl Strategy<Value = TupleFilter> {
    let named = object();
    let object = prop_oneof![
        type_name().prop_map(|name| ObjectFilter::Type(name.into())),
        object().prop_map(ObjectFilter::Object),
    ];
    let subject = prop_oneof![
        type_name().prop_map(|name| SubjectFilter::Type(name.into())),
        subject().prop_map(SubjectFilter::Subject),
        named.prop_map(SubjectFilter::Naming),
    ];
    (prop::option::of(object), prop::option::of(relation()), prop::option::of(subject))
        .prop_map(|(object, relation, subject)| TupleFilter { object, relation, subject })
}
