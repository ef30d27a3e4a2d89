//! Expressions by the sections of the CEL specification, and OpenFGA's additions.

use serde_json::{Map, Value, json};
use stonetown::condition::{Compiled, ConditionError, Context, Kind, Parameter};
use stonetown::tuple::ConditionContext;

/// A type by its name in the language.
pub(crate) fn kind(text: &str) -> Kind {
    let inner = |text: &str| Box::new(kind(text.split_once('<').unwrap().1.strip_suffix('>').unwrap()));
    match text {
        "any" => Kind::Any,
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        "double" => Kind::Double,
        "string" => Kind::String,
        "duration" => Kind::Duration,
        "timestamp" => Kind::Timestamp,
        "ipaddress" => Kind::Ip,
        list if list.starts_with("list<") => Kind::List(inner(list)),
        map if map.starts_with("map<") => Kind::Map(Box::new(Kind::String), inner(map)),
        other => panic!("no type `{other}`"),
    }
}

/// Parameters from `a: int, b: list<string>`.
pub(crate) fn compile(parameters: &str, expression: &str) -> Result<Compiled, String> {
    let parameters = parameters.split(", ").filter(|text| !text.is_empty()).map(|text| {
        let (name, of) = text.split_once(": ").unwrap();
        Parameter { name: name.into(), kind: kind(of) }
    });
    Compiled::new(parameters.collect(), expression)
        .map_err(|mistakes| mistakes.into_iter().map(|it| it.message).collect::<Vec<_>>().join("; "))
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

pub(crate) fn holds(parameters: &str, expression: &str, context: Value) -> Result<bool, ConditionError> {
    let compiled =
        compile(parameters, expression).unwrap_or_else(|problem| panic!("`{expression}`: {problem}"));
    compiled.holds(&ConditionContext::empty(), &Context::new(object(context)))
}

#[test]
fn expressions_without_parameters_are_true() {
    for expression in [
        // Literals and operators.
        "true",
        "!false",
        "1 + 2 * 3 == 7",
        "(1 + 2) * 3 == 9",
        "7 / 2 == 3",
        "-7 / 2 == -3",
        "7 % 3 == 1",
        "-7 % 3 == -1",
        "2u + 3u == 5u",
        "7u / 2u == 3u",
        "7u % 4u == 3u",
        "1.5 + 1.5 == 3.0",
        "1.0 / 4.0 == 0.25",
        "0xff == 255",
        "1e3 == 1000.0",
        "-(3) == -3",
        "- -3 == 3",
        "'a' + \"b\" == 'ab'",
        "b'a' + b'b' == b'ab'",
        "'\\n' == \"\\n\"",
        "r'\\n' != '\\n'",
        "'\\u00e9' == 'é'",
        "'''a'b''' == \"a'b\"",
        "null == null",
        // Comparison.
        "1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 != 2",
        "1u < 2u",
        "1.5 < 2.5",
        "'a' < 'b' && 'a' < 'aa'",
        "false < true",
        "b'a' < b'b'",
        "timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-01T00:00:01Z')",
        "duration('1s') < duration('1m')",
        "[1, 2] == [1, 2]",
        "[1, 2] != [2, 1]",
        "{'a': 1} == {'a': 1}",
        "{'a': 1, 'b': 2} == {'b': 2, 'a': 1}",
        "1 < 1.5 && 2 > 1.5 && 1u <= 1.0 && 2.5 >= 2u && 1 < 2u && -1 < 0u && 3u > 2",
        // Logic decides early, whichever side errs.
        "true || 1 / 0 == 1",
        "1 / 0 == 1 || true",
        "!(false && 1 / 0 == 1)",
        "!(1 / 0 == 1 && false)",
        "true ? true : 1 / 0 == 1",
        "false ? 1 / 0 == 1 : true",
        // Lists and maps.
        "2 in [1, 2, 3]",
        "!(4 in [1, 2, 3])",
        "'a' in {'a': 1}",
        "[1, 2, 3][1] == 2",
        "{'a': 7}['a'] == 7",
        "{'a': 7}.a == 7",
        "[1] + [2] == [1, 2]",
        "size([1, 2]) == 2",
        "[1, 2].size() == 2",
        "size({'a': 1}) == 1",
        "size('hé') == 2",
        "'hé'.size() == 2",
        "size(b'abc') == 3",
        "[[1], [2]][1][0] == 2",
        "{1: 'a', 2: 'b'}[2] == 'b'",
        "{true: 1}[true] == 1",
        // Macros.
        "has({'a': 1}.a)",
        "!has({'a': 1}.b)",
        "[1, 2, 3].all(x, x > 0)",
        "[1, 2, 3].exists(x, x == 2)",
        "[1, 2, 3].exists_one(x, x > 2)",
        "!([1, 2, 3].exists_one(x, x > 1))",
        "[1, 2].map(x, x * 2) == [2, 4]",
        "[1, 2, 3].filter(x, x > 1) == [2, 3]",
        "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]",
        "{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])",
        "[].all(x, x > 0)",
        "!([].exists(x, x > 0))",
        "[[1, 2], [3]].all(l, l.exists(x, x > 1))",
        "[1, 2].exists(x, [3, 4].exists(y, x + y == 6))",
        "[1, 0].exists(x, x == 1 || 1 / x == 9)",
        // Strings.
        "'hello'.contains('ell')",
        "'hello'.startsWith('he')",
        "'hello'.endsWith('lo')",
        "'hello'.matches('^h.*o$')",
        "matches('hello', 'l{2}')",
        "!'hello'.matches('^l')",
        // Conversions.
        "int('7') == 7",
        "int(7u) == 7",
        "int(7.9) == 7",
        "uint(7) == 7u",
        "uint('7') == 7u",
        "double(7) == 7.0",
        "double('1.5') == 1.5",
        "string(7) == '7'",
        "string(true) == 'true'",
        "string(1.5) == '1.5'",
        "string(b'a') == 'a'",
        "bytes('a') == b'a'",
        "bool('true')",
        "string(duration('90s')) == '90s'",
        "int(timestamp('1970-01-01T00:00:07Z')) == 7",
        "timestamp(7) == timestamp('1970-01-01T00:00:07Z')",
        "type(1) == int",
        "type('a') == string",
        "type([]) == list",
        "dyn(1) == 1",
        "dyn([1, 'a'])[1] == 'a'",
        // Time.
        "timestamp('2026-11-22T14:30:05Z').getFullYear() == 2026",
        "timestamp('2026-11-22T14:30:05Z').getMonth() == 10",
        "timestamp('2026-11-22T14:30:05Z').getDate() == 22",
        "timestamp('2026-11-22T14:30:05Z').getDayOfMonth() == 21",
        "timestamp('2026-11-22T14:30:05Z').getDayOfWeek() == 0",
        "timestamp('2026-11-22T14:30:05Z').getDayOfYear() == 325",
        "timestamp('2026-11-22T14:30:05Z').getHours() == 14",
        "timestamp('2026-11-22T14:30:05Z').getMinutes() == 30",
        "timestamp('2026-11-22T14:30:05Z').getSeconds() == 5",
        "timestamp('2026-11-22T14:30:05.250Z').getMilliseconds() == 250",
        "timestamp('2026-11-22T23:30:00Z').getHours('Europe/Berlin') == 0",
        "timestamp('2026-11-22T23:30:00Z').getHours('+02:00') == 1",
        "duration('90m').getHours() == 1",
        "duration('90m').getMinutes() == 90",
        "duration('90s').getSeconds() == 90",
        "timestamp('2026-01-01T00:00:00Z') + duration('1h') == timestamp('2026-01-01T01:00:00Z')",
        "timestamp('2026-01-01T01:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('1h')",
        "timestamp('2026-01-01T01:00:00Z') - duration('1h') == timestamp('2026-01-01T00:00:00Z')",
        "duration('1h') + duration('30m') == duration('90m')",
        "duration('1h30m') - duration('30m') == duration('1h')",
        // OpenFGA's.
        "ipaddress('10.1.2.3').in_cidr('10.0.0.0/8')",
        "!ipaddress('11.1.2.3').in_cidr('10.0.0.0/8')",
        "ipaddress('2001:db8::1').in_cidr('2001:db8::/32')",
        "ipaddress('10.0.0.1') == ipaddress('10.0.0.1')",
        "ipaddress('10.0.0.1') != ipaddress('10.0.0.2')",
        "ipaddress('::ffff:10.0.0.1').in_cidr('10.0.0.0/8')",
    ] {
        let result =
            compile("", expression).map(|it| it.holds(&ConditionContext::empty(), &Context::default()));
        assert_eq!(result, Ok(Ok(true)), "{expression}");
    }
}

#[test]
fn values_have_the_types_of_their_parameters() {
    for (parameters, expression, context) in [
        ("x: int", "x == 7", json!({ "x": 7 })),
        ("x: int", "x == 7", json!({ "x": "7" })),
        ("x: int", "x == 7", json!({ "x": 7.0 })),
        ("x: uint", "x == 7u", json!({ "x": 7 })),
        ("x: double", "x == 7.0", json!({ "x": 7 })),
        ("x: double", "x == 7.5", json!({ "x": "7.5" })),
        ("x: bool", "x", json!({ "x": true })),
        ("x: string", "x == 'a'", json!({ "x": "a" })),
        ("x: duration", "x > duration('1h')", json!({ "x": "1h1s" })),
        (
            "x: timestamp, y: timestamp",
            "x < y",
            json!({ "x": "2026-01-01T00:00:00Z", "y": "2026-01-01T01:00:00+00:00" }),
        ),
        ("x: ipaddress", "x.in_cidr('192.168.0.0/16')", json!({ "x": "192.168.3.4" })),
        ("x: list<string>", "'b' in x", json!({ "x": ["a", "b"] })),
        ("x: list<int>", "x.all(n, n > 0)", json!({ "x": [1, "2"] })),
        (
            "x: list<ipaddress>",
            "x.exists(ip, ip.in_cidr('10.0.0.0/8'))",
            json!({ "x": ["1.1.1.1", "10.1.1.1"] }),
        ),
        ("x: map<int>", "x.a + x['b'] == 3", json!({ "x": { "a": 1, "b": 2 } })),
        ("x: map<string>", "!has(x.c) && x.a == 'y'", json!({ "x": { "a": "y" } })),
        ("x: map<list<string>>", "'b' in x.a", json!({ "x": { "a": ["b"] } })),
        ("x: any", "x == 7.0 && type(x) == double", json!({ "x": 7 })),
        ("x: any", "x.a[1] == 'b'", json!({ "x": { "a": [1, "b"] } })),
        ("x: any", "x == null", json!({ "x": null })),
        ("x: int, y: int", "x > 0 || y > 0", json!({ "x": 1, "y": 0, "unknown": "passed over" })),
    ] {
        assert_eq!(holds(parameters, expression, context.clone()), Ok(true), "{expression} of {context}");
    }
    for (parameters, wrong) in [
        ("x: int", json!(7.5)),
        ("x: int", json!("a")),
        ("x: int", json!(true)),
        ("x: int", json!(null)),
        ("x: uint", json!(-1)),
        ("x: bool", json!("true")),
        ("x: string", json!(7)),
        ("x: duration", json!("1 hour")),
        ("x: duration", json!(60)),
        ("x: timestamp", json!("yesterday")),
        ("x: timestamp", json!(0)),
        ("x: ipaddress", json!("10.0.0")),
        ("x: list<string>", json!("a")),
        ("x: list<string>", json!(["a", 1])),
        ("x: map<int>", json!({ "a": "b" })),
        ("x: map<int>", json!([1])),
    ] {
        let error = holds(parameters, "true", json!({ "x": wrong })).unwrap_err();
        assert!(
            matches!(&error, ConditionError::WrongType { parameter, .. } if &**parameter == "x"),
            "{wrong}: {error}"
        );
    }
}

/// OpenFGA takes such expressions; the first of them were refused here.
#[test]
fn durations_timestamps_and_addresses_can_be_compared_with_null() {
    for (kind, value) in
        [("duration", "1s"), ("timestamp", "2026-01-01T00:00:00Z"), ("ipaddress", "10.0.0.1")]
    {
        for expression in [
            "x != null",
            "null != x",
            "!(x == null)",
            "[x, null].size() == 2",
            "[null, x][1] == x",
            "!(null in [x])",
            "null in [x, null]",
            "[x] != [null]",
            "x != (true ? null : x)",
            "(true ? x : null) == x",
        ] {
            let result = holds(&format!("x: {kind}"), expression, json!({ "x": value }));
            assert_eq!(result, Ok(true), "{expression} of a {kind}");
        }
        // A value that is given is never null.
        let given = holds(&format!("x: {kind}"), "x == null", json!({ "x": null }));
        assert!(matches!(given, Err(ConditionError::WrongType { .. })), "{kind}: {given:?}");
    }
    let compared = holds("x: timestamp", "null < x", json!({ "x": "2026-01-01T00:00:00Z" }));
    assert!(matches!(compared, Err(ConditionError::Failed(_))), "{compared:?}");
    for kind in ["bool", "int", "uint", "double", "string", "list<timestamp>", "map<ipaddress>"] {
        let refused = compile(&format!("x: {kind}"), "x != null").map(drop);
        assert_eq!(refused, Err(format!("`!=` does not take {kind}, null")));
    }
}

#[test]
fn every_parameter_is_needed_and_those_of_the_tuple_count_first() {
    let compiled = compile("a: int, b: int, c: string", "a == 1 || b == 2 || c == 'x'").unwrap();
    let tuple = |text: &str| ConditionContext::from_json(text).unwrap();
    let request = |value: Value| Context::new(object(value));
    let missing =
        |names: &[&str]| Err(ConditionError::Missing(names.iter().map(|&name| name.into()).collect()));
    assert_eq!(compiled.holds(&tuple("{}"), &request(json!({}))), missing(&["a", "b", "c"]));
    // Even where the others decide.
    assert_eq!(compiled.holds(&tuple(r#"{"a":1}"#), &request(json!({ "c": "y" }))), missing(&["b"]));
    assert_eq!(compiled.holds(&tuple(r#"{"a":1,"b":0}"#), &request(json!({ "c": "y" }))), Ok(true));
    assert_eq!(compiled.holds(&tuple(r#"{"a":0,"b":0}"#), &request(json!({ "a": 1, "c": "y" }))), Ok(false));
    // What is written with a tuple has to be of its condition.
    assert_eq!(compiled.admit(&tuple(r#"{"a":1}"#)), Ok(()));
    assert!(compiled.admit(&tuple(r#"{"d":1}"#)).unwrap_err().contains("`d` is not one of its parameters"));
    assert!(compiled.admit(&tuple(r#"{"a":"x"}"#)).unwrap_err().contains("`a` has to be of type int"));
}

#[test]
fn what_fails_is_an_error_and_never_false() {
    for expression in [
        "1 / 0 == 1",
        "1 % 0 == 1",
        "[1][1] == 1",
        "{'a': 1}['b'] == 1",
        "{'a': 1}.b == 1",
        "9223372036854775807 + 1 > 0",
        "int('x') == 1",
        "uint(-1) == 1u",
        "timestamp('x') == timestamp('x')",
        "ipaddress('x') == ipaddress('x')",
        "ipaddress('10.0.0.1').in_cidr('x')",
        "'a'.matches('(')",
        "dyn(1) + dyn('a') == dyn(1)",
        "dyn('a')",
        "5u - 6u == 0u",
    ] {
        let result = compile("", expression).unwrap().holds(&ConditionContext::empty(), &Context::default());
        assert!(matches!(result, Err(ConditionError::Failed(_))), "{expression}: {result:?}");
    }
}

#[test]
fn expressions_of_which_the_types_do_not_fit_are_refused() {
    for (parameters, expression, problem) in [
        ("", "1", "of type int, it has to be a bool"),
        ("", "'a'", "of type string"),
        ("", "x == 1", "`x` is not one of the parameters"),
        ("x: int", "x == 1.0", "`==` does not take int, double"),
        ("x: int", "x == 'a'", "`==` does not take int, string"),
        ("x: int", "x == 1u", "`==` does not take int, uint"),
        ("x: int", "x < 'a'", "`<` does not take int, string"),
        ("x: int", "x && true", "`&&` does not take int, bool"),
        ("x: string", "!x", "`!` does not take string"),
        ("x: string", "x + 1 == 'a1'", "`+` does not take string, int"),
        ("x: timestamp", "x + x == x", "`+` does not take timestamp, timestamp"),
        ("x: string", "x.size == 1", "`.size` is asked of a string"),
        ("x: string", "x.startsWith(1)", "`startsWith` does not take string, int"),
        ("x: list<int>", "'a' in x", "`in` does not take string, list<int>"),
        ("x: list<int>", "x['a'] == 1", "`[]` does not take list<int>, string"),
        ("x: map<int>", "x[1] == 1", "does not take map<int>, int"),
        ("x: map<int>", "x.a == 'b'", "`==` does not take int, string"),
        ("x: int", "x.all(y, true)", "a int cannot be gone through"),
        ("x: list<int>", "x.all(y, y == 'a')", "`==` does not take int, string"),
        ("x: list<int>", "x.map(y, y + 1) == ['a']", "`==` does not take list<int>, list<string>"),
        ("x: ipaddress", "x == '10.0.0.1'", "`==` does not take ipaddress, string"),
        ("x: ipaddress", "in_cidr(x, 'a')", "is called on a value"),
        ("", "true ? 1 : 'a'", "`?_:` does not take"),
        ("", "foo(1)", "there is no function `foo`"),
        ("", "'a'.lowerAscii() == 'a'", "there is no function `lowerAscii`"),
        ("", "optional.of(1).hasValue()", "there is no function"),
        ("", "Message{a: 1} == null", "messages cannot be made"),
        ("", "1 +", "the expression is not complete"),
        ("", "1 == == 1", "unexpected `==`"),
        ("", "a b", "unexpected `b`"),
        ("", "'a", "unexpected"),
        ("x: map<int>", "x.?a.hasValue()", "unsupported syntax"),
    ] {
        let found = compile(parameters, expression).map(drop);
        let found = found.expect_err(expression);
        assert!(found.to_lowercase().contains(&problem.to_lowercase()), "`{expression}`: {found}");
    }
}
