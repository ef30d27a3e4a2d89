//! Random conditions, and values for their parameters.

use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::world::Condition;

/// The types of parameters.
const KINDS: [&str; 16] = [
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "duration",
    "timestamp",
    "ipaddress",
    "any",
    "list<string>",
    "list<int>",
    "map<string>",
    "map<int>",
    "list<double>",
    "map<bool>",
    "list<timestamp>",
];
/// Those of them that a simple condition has: SpiceDB's `uint` is CEL's `int`.
const SIMPLE: [&str; 8] =
    ["string", "int", "double", "bool", "duration", "timestamp", "list<string>", "map<int>"];
/// Terms that not every reading of CEL takes: they compare numbers of different types, or something with null.
const UNCOMMON: [&str; 4] = ["X < 2.5", "X > 3", "X > 2", "X != null"];
/// All conditions draw from the same names, so that a value may fit one and not the other.
const NAMES: [&str; 4] = ["x", "y", "z", "when"];

/// A random condition; a simple one has types and terms that every reading of CEL takes.
pub(crate) fn condition(random: &mut Random, name: &str, simple: bool) -> Condition {
    let mut names = NAMES.to_vec();
    random.shuffle(&mut names);
    names.truncate(random.weighted(&[(55, 1), (35, 2), (10, 3)]));
    let parameters: Vec<(String, &'static str)> = names
        .into_iter()
        .map(|name| {
            let kind = kind(random, simple);
            // A simple one has no value that fits another.
            let of = kind.replace(|it: char| !it.is_ascii_alphanumeric(), "");
            (if simple { format!("{name}_{of}") } else { name.to_owned() }, kind)
        })
        .collect();
    let mut terms: Vec<String> =
        parameters.iter().map(|(name, kind)| term(random, name, kind, simple)).collect();
    if random.chance(15) {
        let (name, kind) = random.pick(&parameters);
        terms.push(term(random, name, kind, simple));
    }
    if !simple && random.chance(5) {
        // A parameter that is declared only.
        terms.truncate(1);
    }
    let mut expression = String::new();
    for term in terms {
        if expression.is_empty() {
            expression = term;
            continue;
        }
        expression = match random.below(8) {
            0..4 => format!("{expression} && {term}"),
            4..6 => format!("({expression}) || {term}"),
            6 => format!("({expression}) ? {term} : !({term})"),
            _ => format!("!({expression}) && {term}"),
        };
    }
    Condition { name: name.to_owned(), parameters, expression }
}

fn kind(random: &mut Random, simple: bool) -> &'static str {
    if simple {
        return if random.chance(60) { SIMPLE[random.below(4)] } else { SIMPLE[random.below(SIMPLE.len())] };
    }
    // The plain ones more often.
    if random.chance(60) { KINDS[random.below(8)] } else { KINDS[random.below(KINDS.len())] }
}

/// An expression about a parameter.
fn term(random: &mut Random, x: &str, kind: &str, simple: bool) -> String {
    let of: &[&str] = match kind {
        "string" => &[
            "X == \"a\"",
            "X.startsWith(\"a\")",
            "X in [\"a\", \"ab\"]",
            "X.contains(\"b\")",
            "size(X) < 3",
            "X.matches(\"^a.*$\")",
            "X != \"\"",
            "X < \"b\"",
            "X.endsWith(\"b\")",
            "X + \"b\" == \"ab\"",
            "int(X) > 3",
            "size(X) == 1",
        ],
        "int" => &[
            "X > 5",
            "X + 1 < 10",
            "X % 3 == 1",
            "-X < 0",
            "10 / X > 2",
            "X * 2 >= 6",
            "X in [1, 3, 7]",
            "X != 0",
            "X - 9223372036854775807 < 0",
            "double(X) < 4.5",
            "X < 2.5",
            "string(X) == \"3\"",
        ],
        "uint" => &["X > 3u", "X - 1u < 5u", "X == 7u", "X % 2u == 0u", "int(X) < 5", "X > 3"],
        "double" => {
            &["X < 2.5", "X * 2.0 > 1.0", "X == 0.1", "-X < 0.0", "1.0 / X > 0.0", "int(X) == 3", "X > 2"]
        }
        "bool" => &["X", "!X", "X == true", "X != false", "X ? true : false"],
        "duration" => &[
            "X < duration(\"1h\")",
            "X + duration(\"30m\") > duration(\"1h\")",
            "X.getSeconds() > 60",
            "X == duration(\"90s\")",
            "X != duration(\"0s\")",
            "X.getHours() < 2",
            "timestamp(\"2024-06-01T00:00:00Z\") + X > timestamp(\"2024-06-01T00:30:00Z\")",
            "X != null",
        ],
        "timestamp" => &[
            "X < timestamp(\"2024-06-01T00:00:00Z\")",
            "X + duration(\"24h\") > timestamp(\"2024-01-01T12:00:00Z\")",
            "X.getFullYear() == 2024",
            "X.getHours() < 12",
            "X - timestamp(\"2024-01-01T00:00:00Z\") < duration(\"48h\")",
            "X.getDayOfWeek() > 2",
            "X.getMonth() == 0",
            "X == timestamp(\"2024-01-01T00:00:00Z\")",
            "X != null",
        ],
        "ipaddress" => &[
            "X.in_cidr(\"10.0.0.0/8\")",
            "!X.in_cidr(\"192.168.0.0/16\")",
            "X == ipaddress(\"10.1.2.3\")",
            "X.in_cidr(\"2001:db8::/32\")",
            "X != ipaddress(\"192.168.1.1\")",
            "X != null",
        ],
        "any" => {
            &["X == \"a\"", "X == 3", "X > 2", "X.k == \"a\"", "X[0] == \"a\"", "X == true", "X != null"]
        }
        "list<string>" => &[
            "\"a\" in X",
            "X.exists(i, i == \"a\")",
            "X.all(i, i.startsWith(\"a\"))",
            "size(X) > 1",
            "X[0] == \"a\"",
            "X.exists_one(i, i == \"b\")",
            "X.filter(i, i != \"a\").size() > 0",
            "X.map(i, i + \"b\")[0] == \"ab\"",
            "X == [\"a\"]",
        ],
        "list<int>" => {
            &["X.exists(i, i > 5)", "3 in X", "X.all(i, i > 0)", "X[0] < 5", "size(X) < 3", "X == [1, 3]"]
        }
        "list<double>" => &["X.exists(i, i > 2.5)", "X[0] < 2.0", "0.5 in X"],
        "list<timestamp>" => &["X.exists(i, i < timestamp(\"2024-06-01T00:00:00Z\"))", "size(X) == 1"],
        "map<string>" => &[
            "X[\"k\"] == \"a\"",
            "\"k\" in X",
            "X.k == \"a\"",
            "X.exists(i, X[i] == \"a\")",
            "has(X.k)",
            "size(X) > 1",
            "X.all(i, i != \"j\")",
            "X == {\"k\": \"a\"}",
        ],
        "map<int>" => &["X[\"k\"] > 2", "\"k\" in X && X.k < 5", "X.exists(i, X[i] == 3)", "has(X.j)"],
        _ => &["X[\"k\"]", "\"j\" in X", "has(X.k) && X.k"],
    };
    loop {
        let term = random.pick(of);
        if !simple || !UNCOMMON.contains(term) {
            // Whole words only: none of the templates has another X.
            return term.replace('X', x);
        }
    }
}

/// Whether it is a number in a form that not everybody reads.
fn is_uncommon(kind: &str, value: &Value) -> bool {
    match kind {
        "int" | "uint" => !value.is_i64() || value.as_i64().is_some_and(|it| it > 1 << 53),
        "double" => value.is_string(),
        _ => false,
    }
}

/// A value that fits.
pub(crate) fn value(random: &mut Random, kind: &str) -> Value {
    match kind {
        "string" => {
            (*random.pick(&[json!("a"), json!("ab"), json!("b"), json!(""), json!("7"), json!("ü")])).clone()
        }
        "int" => random
            .pick(&[
                json!(0),
                json!(1),
                json!(3),
                json!(7),
                json!(-2),
                json!("3"),
                json!(6.0),
                json!("7.0"),
                json!(9_007_199_254_740_993_i64),
            ])
            .clone(),
        "uint" => random.pick(&[json!(0), json!(1), json!(3), json!(7), json!("4"), json!(6.0)]).clone(),
        "double" => random
            .pick(&[json!(0), json!(0.1), json!(2.5), json!(3), json!(-1.5), json!("0.5"), json!("3")])
            .clone(),
        "bool" => json!(random.chance(50)),
        "duration" => random
            .pick(&[
                json!("30m"),
                json!("1h"),
                json!("90s"),
                json!("1h30m"),
                json!("-5m"),
                json!("0"),
                json!("250ms"),
            ])
            .clone(),
        "timestamp" => random
            .pick(&[
                json!("2024-01-01T00:00:00Z"),
                json!("2024-03-05T13:00:00Z"),
                json!("2025-01-02T03:04:05Z"),
                json!("2024-01-01T01:00:00+02:00"),
                json!("2023-12-31T23:59:59.999Z"),
            ])
            .clone(),
        "ipaddress" => random
            .pick(&[
                json!("10.1.2.3"),
                json!("192.168.1.1"),
                json!("2001:db8::1"),
                json!("::ffff:10.1.2.3"),
                json!("8.8.8.8"),
            ])
            .clone(),
        "any" => random
            .pick(&[
                json!("a"),
                json!(3),
                json!(true),
                json!({ "k": "a" }),
                json!(["a"]),
                json!(2.5),
                json!(null),
            ])
            .clone(),
        _ => {
            let (outer, inner) = kind.trim_end_matches('>').split_once('<').unwrap_or(("list", "string"));
            if outer == "map" {
                let mut map = Map::new();
                for key in ["k", "j", "l"] {
                    if random.chance(55) {
                        map.insert(key.to_owned(), value(random, inner));
                    }
                }
                return Value::Object(map);
            }
            let count = random.weighted(&[(15, 0), (30, 1), (30, 2), (20, 4), (5, 60)]);
            Value::Array((0..count).map(|_| value(random, inner)).collect())
        }
    }
}

/// A value that does not fit, or only just.
pub(crate) fn odd(random: &mut Random, kind: &str) -> Value {
    let of: Vec<Value> = match kind {
        "int" => vec![json!(1.5), json!("x"), json!("1e3"), json!("99999999999999999999"), json!(1e19)],
        "uint" => vec![json!(-1), json!("-3"), json!(1.5), json!(1.5e19), json!("18446744073709551615")],
        "double" => vec![json!("0.1"), json!("x"), json!("1e400"), json!(true), json!("Inf"), json!("0x10")],
        "duration" => vec![json!("1d"), json!(5), json!("1h "), json!("")],
        "timestamp" => vec![
            json!("2024-01-01"),
            json!("2024-01-01 00:00:00Z"),
            json!("2024-01-01t00:00:00z"),
            json!("2024-02-30T00:00:00Z"),
            json!(1_700_000_000),
            json!("2024-01-01T00:00:60Z"),
        ],
        "ipaddress" => vec![json!("10.1.2"), json!("fe80::1%eth0"), json!("010.1.2.3"), json!(7)],
        _ => vec![
            json!(1),
            json!("a"),
            json!(null),
            json!({}),
            json!([null]),
            json!([1, "a"]),
            json!({ "k": [] }),
        ],
    };
    if random.chance(15) { json!(null) } else { random.pick(&of).clone() }
}

/// A context for these conditions: all parameters, some, some of the wrong type; of numbers, a simple one has what everybody
/// reads.
pub(crate) fn context(
    random: &mut Random,
    of: &[&Condition],
    full: usize,
    wrong: usize,
    simple: bool,
) -> Map<String, Value> {
    let mut context = Map::new();
    let is_full = random.chance(full);
    let mut of = of.to_vec();
    random.shuffle(&mut of);
    for (name, kind) in of.iter().flat_map(|it| &it.parameters) {
        if is_full || random.chance(50) {
            let mut fits = if random.chance(wrong) { odd(random, kind) } else { value(random, kind) };
            while simple && is_uncommon(kind, &fits) {
                fits = value(random, kind);
            }
            context.insert(name.clone(), fits);
        }
    }
    context
}

/// Whether a context has a whole number of more than 63 bits: OpenFGA takes the greatest of 63 bits for it.
pub(crate) fn is_beyond_63_bits(context: &Map<String, Value>) -> bool {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    context.values().any(|value| {
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        number.is_some_and(|it| it.is_finite() && it.abs() >= LIMIT)
    })
}
