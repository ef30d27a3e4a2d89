//! Every rule: what is just allowed, what is just not, and what the refusal says.

use stonetown::storage::{ObjectFilter, SubjectFilter, TupleFilter};
use stonetown::tuple::{
    ConditionContext, Object, Part, Relation, Subject, Tuple, TupleCondition, TupleError, TupleKey,
    check_condition_name, check_object_id, check_relation_name, check_type_name,
};

/// A text that is refused: the part named, what is wrong with it, what would be right.
type Refusal = (String, Part, &'static str, &'static str);

/// Holds a parser against a table.
#[track_caller]
fn hold(parse: fn(&str) -> Result<String, TupleError>, accepted: &[String], refused: &[Refusal]) {
    for text in accepted {
        assert_eq!(parse(text).as_ref(), Ok(text), "`{text}` is allowed");
    }
    for (text, part, problem, help) in refused {
        let error = parse(text).expect_err(&format!("`{}` is not allowed", text.escape_debug()));
        assert_eq!((error.part, error.problem), (*part, *problem), "`{}`: {error}", text.escape_debug());
        assert!(error.help.contains(help), "`{}`: {error}", text.escape_debug());
        let message = error.to_string();
        assert!(message.starts_with(&format!("{part} {problem} in `")), "{message}");
        assert!(message.ends_with(&format!("`: {}", error.help)), "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(message.chars().count() < 260, "{message}");
    }
}

fn object(text: &str) -> Result<String, TupleError> {
    text.parse::<Object>().map(|object| object.to_string())
}

fn subject(text: &str) -> Result<String, TupleError> {
    text.parse::<Subject>().map(|subject| subject.to_string())
}

fn relation(text: &str) -> Result<String, TupleError> {
    check_relation_name(text)?;
    Relation::new(text).map(|relation| relation.to_string())
}

fn type_name(text: &str) -> Result<String, TupleError> {
    check_type_name(text).map(|()| text.to_owned())
}

fn object_id(text: &str) -> Result<String, TupleError> {
    check_object_id(text).map(|()| text.to_owned())
}

fn condition(text: &str) -> Result<String, TupleError> {
    check_condition_name(text)?;
    TupleCondition::new(text, ConditionContext::empty()).map(|condition| condition.to_string())
}

fn key(text: &str) -> Result<String, TupleError> {
    text.parse::<TupleKey>().map(|key| key.to_string())
}

fn tuple(text: &str) -> Result<String, TupleError> {
    text.parse::<Tuple>().map(|tuple| tuple.to_string())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// White space and control characters, each with what is said of it.
const BLANKS: [(char, &str); 11] = [
    (' ', "contains a space"),
    ('\t', "contains a space"),
    ('\n', "contains a space"),
    ('\r', "contains a space"),
    ('\u{c}', "contains a space"),
    ('\0', "contains a control character"),
    ('\u{b}', "contains a control character"),
    ('\u{1b}', "contains a control character"),
    ('\u{7f}', "contains a control character"),
    ('\u{85}', "contains a control character"),
    ('\u{9f}', "contains a control character"),
];

/// Characters that look special and are not: only what the rules name is refused.
const ALLOWED: &str = "*.-_/|=+,;!?$%&'\"()[]{}<>^`~\\\u{a0}\u{ad}\u{2003}\u{200b}\u{feff}é字😀\u{10ffff}";

/// The rules that types, relations and conditions share: `^[^:#@\s]{1,N}$`.
fn hold_names(part: Part, longest: usize, parse: fn(&str) -> Result<String, TupleError>) {
    let mut accepted = texts(&["a", "*", ALLOWED]);
    accepted.extend(["l", "é", "😀"].map(|c| c.repeat(longest)));
    let names = "use a name without spaces, control characters, `:`, `#` or `@`";
    let mut refused = vec![
        (String::new(), part, "is empty", names),
        ("a:b".to_owned(), part, "contains a `:`", names),
        (":".to_owned(), part, "contains a `:`", names),
        ("a#b".to_owned(), part, "contains a `#`", names),
        ("a@b".to_owned(), part, "contains an `@`", names),
    ];
    for (blank, problem) in BLANKS {
        refused.extend(
            [format!("{blank}a"), format!("a{blank}b"), format!("a{blank}")]
                .map(|text| (text, part, problem, names)),
        );
    }
    for c in ["l", "é", "😀"] {
        let help = if longest == 254 { "use at most 254 characters" } else { "use at most 50 characters" };
        refused.push((c.repeat(longest + 1), part, "is too long", help));
    }
    hold(parse, &accepted, &refused);
}

#[test]
fn type_names() {
    hold_names(Part::ObjectType, 254, type_name);
}

#[test]
fn relation_names() {
    hold_names(Part::Relation, 50, relation);
}

#[test]
fn condition_names() {
    hold_names(Part::Condition, 50, condition);
}

#[test]
fn object_ids() {
    let ids = "use an id without spaces, control characters, `:` or `#`";
    let mut refused = vec![
        (String::new(), Part::ObjectId, "is empty", "write `TYPE:ID`"),
        ("a:b".to_owned(), Part::ObjectId, "contains a `:`", ids),
        ("a#b".to_owned(), Part::ObjectId, "contains a `#`", ids),
        ("*".to_owned(), Part::ObjectId, "is a wildcard", "name one object"),
    ];
    refused.extend(BLANKS.map(|(blank, problem)| (format!("a{blank}b"), Part::ObjectId, problem, ids)));
    hold(object_id, &texts(&["a", "@", "**", "a*", "*a", "a@b@", ALLOWED]), &refused);
}

/// Exactly one `:`, both sides there, no `#`, no space, no control character, 256 characters; `@` and `*` are legal in
/// ids, but an object is never a wildcard.
#[test]
fn objects() {
    let names = "use a name without";
    let ids = "use an id without";
    let mut accepted = texts(&["a:b", "voice:7", "user:anne@example.com", "a:*b", "a:**", "a:@", "*:a"]);
    accepted.push(format!("{ALLOWED}:{ALLOWED}"));
    accepted.push(format!("t:{}", "l".repeat(254)));
    accepted.push(format!("t:{}", "😀".repeat(254)));
    accepted.push(format!("{}:i", "t".repeat(254)));
    let mut refused: Vec<Refusal> = [
        ("", Part::Object, "has no `:`", "write `TYPE:ID`, for example `voice:7`"),
        ("a", Part::Object, "has no `:`", "write `TYPE:ID`"),
        ("*", Part::Object, "has no `:`", "write `TYPE:ID`"),
        (":", Part::ObjectType, "is empty", names),
        (":b", Part::ObjectType, "is empty", names),
        ("a:", Part::ObjectId, "is empty", "write `TYPE:ID`"),
        ("a:b:c", Part::ObjectId, "contains a `:`", ids),
        ("a::b", Part::ObjectId, "contains a `:`", ids),
        ("a#b:c", Part::ObjectType, "contains a `#`", names),
        ("a@b:c", Part::ObjectType, "contains an `@`", names),
        ("a:b#c", Part::ObjectId, "contains a `#`", ids),
        ("user:*", Part::ObjectId, "is a wildcard", "name one object; `TYPE:*` stands for everybody"),
    ]
    .map(|(text, part, problem, help)| (text.to_owned(), part, problem, help))
    .to_vec();
    for (blank, problem) in BLANKS {
        refused.push((format!("a{blank}:b"), Part::ObjectType, problem, names));
        refused.push((format!("a:{blank}b"), Part::ObjectId, problem, ids));
        refused.push((format!("a:b{blank}"), Part::ObjectId, problem, ids));
    }
    let help = "use at most 256 characters for `TYPE:ID`";
    refused.push((format!("t:{}", "l".repeat(255)), Part::Object, "is too long", help));
    refused.push((format!("t:{}", "😀".repeat(255)), Part::Object, "is too long", help));
    refused.push((format!("{}:ii", "t".repeat(254)), Part::Object, "is too long", help));
    refused.push((
        format!("{}:i", "t".repeat(255)),
        Part::ObjectType,
        "is too long",
        "use at most 254 characters",
    ));
    hold(object, &accepted, &refused);
}

/// An object, or `type:id#relation` without any `*` after the colon, or `type:*`; 512 bytes.
#[test]
fn subjects() {
    let names = "use a name without";
    let ids = "use an id without";
    let mut accepted = texts(&[
        "user:anne",
        "user:anne@example.com",
        "user:*",
        "user:**",
        "user:a*b",
        "*:a",
        "*:*",
        "org:acme#admin",
        "org:a@b#admin",
        "*:acme#admin",
        "org:acme#\u{a0}",
    ]);
    accepted.push(format!("user:{}", "l".repeat(507)));
    accepted.push(format!("user:{}lll", "😀".repeat(126)));
    accepted.push(format!("org:{}#admin", "l".repeat(502)));
    accepted.push(format!("org:acme#{}", "é".repeat(50)));
    accepted.push(format!("{}:*", "t".repeat(254)));
    let mut refused: Vec<Refusal> = [
        (
            "",
            Part::Subject,
            "has no `:`",
            "write `TYPE:ID`, `TYPE:ID#RELATION` or `TYPE:*`, for example `user:anne`",
        ),
        ("*", Part::Subject, "has no `:`", "`TYPE:*`"),
        ("anne", Part::Subject, "has no `:`", "`TYPE:ID`"),
        ("anne#admin", Part::Subject, "has no `:`", "`TYPE:ID#RELATION`"),
        (":", Part::SubjectType, "is empty", names),
        (":anne", Part::SubjectType, "is empty", names),
        (":*", Part::SubjectType, "is empty", names),
        ("user:", Part::SubjectId, "is empty", "write `TYPE:ID`"),
        ("user:#admin", Part::SubjectId, "is empty", "write `TYPE:ID`"),
        ("org:acme#", Part::SubjectRelation, "is empty", names),
        ("user:a:b", Part::SubjectId, "contains a `:`", ids),
        ("org:a:b#admin", Part::SubjectId, "contains a `:`", ids),
        ("org:acme#a:b", Part::SubjectRelation, "contains a `:`", names),
        ("org:acme#a#b", Part::SubjectRelation, "contains a `#`", names),
        ("org:acme#a@b", Part::SubjectRelation, "contains an `@`", names),
        ("a@b:c", Part::SubjectType, "contains an `@`", names),
        ("a#b:c", Part::SubjectType, "contains a `#`", names),
        ("a#b:*", Part::SubjectType, "contains a `#`", names),
        ("org:*#admin", Part::Subject, "mixes a userset and a wildcard", "a userset names one object"),
        ("org:a*#admin", Part::Subject, "mixes a userset and a wildcard", "without `*`"),
        ("org:acme#ad*", Part::Subject, "mixes a userset and a wildcard", "without `*`"),
        ("org:acme#*", Part::Subject, "mixes a userset and a wildcard", "without `*`"),
    ]
    .map(|(text, part, problem, help)| (text.to_owned(), part, problem, help))
    .to_vec();
    for (blank, problem) in BLANKS {
        refused.push((format!("us{blank}er:a"), Part::SubjectType, problem, names));
        refused.push((format!("us{blank}er:*"), Part::SubjectType, problem, names));
        refused.push((format!("user:a{blank}b"), Part::SubjectId, problem, ids));
        refused.push((format!("user:*{blank}"), Part::SubjectId, problem, ids));
        refused.push((format!("org:a{blank}#admin"), Part::SubjectId, problem, ids));
        refused.push((format!("org:acme#{blank}admin"), Part::SubjectRelation, problem, names));
    }
    for long in [format!("user:{}", "l".repeat(508)), format!("user:{}", "😀".repeat(127)), "l".repeat(513)]
    {
        refused.push((long, Part::Subject, "is too long", "use at most 512 bytes"));
    }
    refused.push((
        format!("{}:a", "t".repeat(255)),
        Part::SubjectType,
        "is too long",
        "use at most 254 characters",
    ));
    refused.push((
        format!("{}:*", "t".repeat(255)),
        Part::SubjectType,
        "is too long",
        "use at most 254 characters",
    ));
    refused.push((
        format!("org:a#{}", "r".repeat(51)),
        Part::SubjectRelation,
        "is too long",
        "use at most 50 characters",
    ));
    hold(subject, &accepted, &refused);
}

/// The first `#` ends the object, the first `@` after it the relation, whatever ids hold.
#[test]
fn tuple_keys() {
    let whole = "write `OBJECT#RELATION@SUBJECT`, for example `voice:7#viewer@user:anne`";
    let refused: Vec<Refusal> = [
        ("", Part::Tuple, "has no `#` before its relation", whole),
        ("voice:7", Part::Tuple, "has no `#` before its relation", whole),
        ("voice:7@user:anne", Part::Tuple, "has no `#` before its relation", whole),
        ("voice:7#viewer", Part::Tuple, "has no `@` before its subject", whole),
        ("voice:7#", Part::Tuple, "has no `@` before its subject", whole),
        ("voice:7@org:a#admin", Part::Tuple, "has no `@` before its subject", whole),
        ("#viewer@user:anne", Part::Object, "has no `:`", "write `TYPE:ID`"),
        ("voice#viewer@user:anne", Part::Object, "has no `:`", "write `TYPE:ID`"),
        ("voice:*#viewer@user:anne", Part::ObjectId, "is a wildcard", "name one object"),
        ("voice:7#@user:anne", Part::Relation, "is empty", "use a name"),
        ("voice:7#vie wer@user:anne", Part::Relation, "contains a space", "use a name"),
        ("voice:7#a:b@user:anne", Part::Relation, "contains a `:`", "use a name"),
        ("voice:7#a#b@user:anne", Part::Relation, "contains a `#`", "use a name"),
        ("voice:7#viewer@", Part::Subject, "has no `:`", "`TYPE:ID#RELATION`"),
        ("voice:7#viewer@@user:anne", Part::SubjectType, "contains an `@`", "use a name"),
        ("voice:7#viewer@user:anne ", Part::SubjectId, "contains a space", "use an id"),
        (" voice:7#viewer@user:anne", Part::ObjectType, "contains a space", "use a name"),
    ]
    .map(|(text, part, problem, help)| (text.to_owned(), part, problem, help))
    .to_vec();
    let accepted =
        texts(&["a:b#c@d:e", "a:@b@#c@d:@", "a:b#c@d:*", "a:b#c@d:e#f", "a:{\"#c@d:}", "*:**#*@*:*"]);
    hold(key, &accepted, &refused);
}

/// What follows the key: nothing, a condition with or without a context, an end.
#[test]
fn tuples_with_limits() {
    let rest = "after the tuple comes nothing, ` with CONDITION {CONTEXT}` or ` until TIME`";
    let json = "write a JSON object such as {\"region\":\"eu\"}";
    let time = "write an RFC 3339 time such as `2027-01-01T00:00:00Z`";
    let refused: Vec<Refusal> = [
        ("x", Part::Tuple, "is followed by something else", rest),
        ("with", Part::Tuple, "is followed by something else", rest),
        ("until", Part::Tuple, "is followed by something else", rest),
        ("With c", Part::Tuple, "is followed by something else", rest),
        ("with c x", Part::Tuple, "is followed by something else", rest),
        ("with c {} x", Part::Tuple, "is followed by something else", rest),
        ("with c {} {}", Part::Tuple, "is followed by something else", rest),
        ("with c [1]", Part::Tuple, "is followed by something else", rest),
        ("until 2027-01-01T00:00:00Z with c", Part::Expiry, "is not a time", time),
        ("with ", Part::Condition, "is empty", "use a name"),
        ("with a:b", Part::Condition, "contains a `:`", "use a name"),
        ("with {\"a\":1}", Part::Condition, "contains a `:`", "use a name"),
        ("with c {", Part::Context, "is not JSON", json),
        ("with c {a:1}", Part::Context, "is not JSON", json),
        ("with c {\"a\":1", Part::Context, "is not JSON", json),
        ("with c {\"a\":1}}", Part::Tuple, "is followed by something else", rest),
        ("until ", Part::Expiry, "is not a time", time),
        ("until tomorrow", Part::Expiry, "is not a time", time),
        ("until 2027-01-01", Part::Expiry, "is not a time", time),
        ("until 2027-01-01T00:00:00", Part::Expiry, "is not a time", time),
        ("until 2027-13-01T00:00:00Z", Part::Expiry, "is not a time", time),
        ("with c {} until then", Part::Expiry, "is not a time", time),
    ]
    .map(|(text, part, problem, help)| (format!("voice:7#viewer@user:anne {text}"), part, problem, help))
    .to_vec();
    let accepted =
        ["with c", "with {c}", "until 2027-01-01T00:00:00Z", "with c {\"a\":{}} until 2027-01-01T00:00:00Z"]
            .map(|text| format!("voice:7#viewer@user:anne {text}"));
    hold(tuple, &accepted, &refused);
}

/// A JSON object, of at most 32,768 bytes as it is kept.
#[test]
fn contexts() {
    let context = |text: &str| ConditionContext::from_json(text).map(|context| context.as_str().to_owned());
    let filled = |bytes: usize| format!("{{\"k\":\"{}\"}}", "x".repeat(bytes - 8));
    for text in ["{}", "{\"a\":null}", "{\"a\":{\"b\":[1,\"2\"]}}", &filled(32_768)] {
        assert_eq!(context(text).as_deref(), Ok(text));
    }
    let spread = format!("{}{}", " ".repeat(40_000), filled(32_768));
    assert_eq!(context(&spread), Ok(filled(32_768)), "only what is kept counts");
    let object = "write a JSON object such as {\"region\":\"eu\"}";
    for (text, problem, help) in [
        ("", "is not JSON", object),
        ("{", "is not JSON", object),
        ("{}x", "is not JSON", object),
        ("{'a':1}", "is not JSON", object),
        ("null", "is not a JSON object", object),
        ("[]", "is not a JSON object", object),
        ("\"{}\"", "is not a JSON object", object),
        ("1", "is not a JSON object", object),
        (&filled(32_769), "is too long", "use at most 32,768 bytes"),
    ] {
        let error = context(text).expect_err("not a context");
        assert_eq!((error.part, error.problem, error.help), (Part::Context, problem, help));
        assert!(error.to_string().starts_with("condition context is "), "{error}");
    }
}

/// What a filter asks for, part by part.
fn parts(filter: &TupleFilter) -> [String; 3] {
    let object = match &filter.object {
        None => String::new(),
        Some(ObjectFilter::Type(name)) => format!("type {name}"),
        Some(ObjectFilter::Object(object)) => format!("object {object}"),
    };
    let subject = match &filter.subject {
        None => String::new(),
        Some(SubjectFilter::Type(name)) => format!("type {name}"),
        Some(SubjectFilter::Subject(subject)) => format!("subject {subject}"),
        Some(SubjectFilter::Naming(object)) => format!("naming {object}"),
    };
    [object, filter.relation.as_ref().map(ToString::to_string).unwrap_or_default(), subject]
}

/// `[TYPE:[ID]][#RELATION][@SUBJECT]`: what each form means, and what is none.
#[test]
fn filters() {
    for (text, form) in [
        ("", ["", "", ""]),
        ("voice:", ["type voice", "", ""]),
        ("voice:7", ["object voice:7", "", ""]),
        ("#viewer", ["", "viewer", ""]),
        ("@user:anne", ["", "", "subject user:anne"]),
        ("@user:", ["", "", "type user"]),
        ("@user:*", ["", "", "subject user:*"]),
        ("@org:a#admin", ["", "", "subject org:a#admin"]),
        ("voice:#viewer@user:", ["type voice", "viewer", "type user"]),
        ("voice:7#viewer@a:b", ["object voice:7", "viewer", "subject a:b"]),
        ("voice:a@b#viewer", ["object voice:a@b", "viewer", ""]),
        ("voice:7@user:anne", ["object voice:7", "", "subject user:anne"]),
        ("#viewer@org:a#admin", ["", "viewer", "subject org:a#admin"]),
    ] {
        let filter: TupleFilter = text.parse().unwrap();
        assert_eq!(parts(&filter), form, "`{text}`");
        assert_eq!(filter.to_string(), text);
    }
    for (text, part, problem) in [
        ("voice", "object", "has no `:`"),
        ("voice#viewer", "object", "has no `:`"),
        ("*", "object", "has no `:`"),
        (":", "object type", "is empty"),
        ("voice:*", "object id", "is a wildcard"),
        ("#", "relation", "is empty"),
        ("voice:7#", "relation", "is empty"),
        ("#a b", "relation", "contains a space"),
        ("#a#b", "relation", "contains a `#`"),
        ("@", "subject", "has no `:`"),
        ("@user", "subject", "has no `:`"),
        ("@user:a:b", "subject id", "contains a `:`"),
        ("@org:*#admin", "subject", "mixes a userset and a wildcard"),
        ("voice:7#viewer@", "subject", "has no `:`"),
    ] {
        let message = text.parse::<TupleFilter>().expect_err(text).to_string();
        assert!(message.starts_with(&format!("filter `{text}`: {part} {problem} in `")), "{message}");
        let help = "; write `[TYPE:[ID]][#RELATION][@SUBJECT]`, for example `voice:7#viewer` or `@user:anne`";
        assert!(message.ends_with(help), "{message}");
    }
}

/// Without a relation between them, an `@` that stands before a type name begins the subject; every other one belongs
/// to an id.
#[test]
fn filters_without_relation() {
    for (text, form) in [
        ("voice:a@b", ["object voice:a@b", "", ""]),
        ("voice:@", ["object voice:@", "", ""]),
        ("voice:7@org:a#admin", ["object voice:7", "", "subject org:a#admin"]),
        ("voice:@org:a#admin", ["type voice", "", "subject org:a#admin"]),
        ("voice:a@b@user:c@d", ["object voice:a@b", "", "subject user:c@d"]),
        ("voice:a@b@user:", ["object voice:a@b", "", "type user"]),
        ("voice:a@b#r@org:c@d#e", ["object voice:a@b", "r", "subject org:c@d#e"]),
    ] {
        let filter = text.parse::<TupleFilter>();
        assert_eq!(filter.as_ref().map(parts), Ok(form.map(str::to_owned)), "`{text}`");
        assert_eq!(filter.unwrap().to_string(), text);
    }
}
