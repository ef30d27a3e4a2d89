use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::generate::{Made, one_of, target};
use super::server::BODY_BYTES_MAX;

/// What is known of a request after it was spoilt.
#[derive(Debug, Default)]
pub(super) struct Spoilt {
    /// What was done.
    pub(super) done: Vec<&'static str>,
    /// It is not the operation any more that it was made for.
    pub(super) is_elsewhere: bool,
    /// The server need not take it for HTTP.
    pub(super) is_not_http: bool,
    /// Whether it fits the description cannot be told from its body and query alone.
    pub(super) is_beyond_schema: bool,
}

/// Stands for what JSON values cannot be, until the body is bytes.
const RAW: &str = "\u{1}raw\u{1}";

/// Spoils a request in a few ways.
pub(super) fn spoil(made: &mut Made<'_>, choices: &mut SmallRng) -> Spoilt {
    let mut spoilt = Spoilt::default();
    for _ in 0..choices.random_range(1..=2) {
        let has_body = made.body.is_some();
        match choices.random_range(0..100) {
            0..55 if has_body => value(made, choices, &mut spoilt),
            0..65 if has_body => bytes(made, choices, &mut spoilt),
            0..40 if !made.query.is_empty() || made.operation.method == "get" => {
                query(made, choices, &mut spoilt);
            }
            0..75 => path(made, choices, &mut spoilt),
            75..80 => method(made, choices, &mut spoilt),
            _ => header(made, choices, &mut spoilt),
        }
    }
    spoilt
}

/// Texts that are odd, but texts.
fn odd_text(choices: &mut SmallRng) -> String {
    let texts = [
        "",
        " ",
        "*",
        ":",
        "#",
        "@",
        "user:",
        ":anne",
        "user:anne#",
        "user:*#member",
        "user:a:b",
        "doc:*",
        "doc:plan#viewer#viewer",
        "doc:plan#viewer@user:anne",
        "user:anne ",
        "user:an\0ne",
        "user:\n",
        "\u{0}",
        "\u{feff}user:anne",
        "user:\u{202e}enna",
        "user:\u{0301}",
        "user:🧑‍🤝‍🧑",
        "ＵＳＥＲ:anne",
        "user:\u{a0}",
        "user:\u{85}",
        "../../etc/passwd",
        "%00",
        "'; drop table tuples; --",
        "{\"$ref\":\"#\"}",
        "null",
        "true",
        "1e400",
        "01KAMZ3S8T4N2Q6V9XB7CDEFGH",
        "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01kamz3s8t4n2q6v9xb7cdefgh",
        "9223372036854775808",
        "2026-11-22T14:30:00Z",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00Z",
        "99999-01-01T00:00:00Z",
        "exists ",
        "unchanged  since x",
        "at-least 99999999999999999999 doc:",
        "at-most 0 ",
        "absent doc:plan#viewer@user:*",
        "doc:#viewer@user:",
        "@user:",
        "#",
        "@@",
        "\u{10ffff}",
        "\u{d7ff}\u{e000}",
    ];
    match choices.random_range(0..12) {
        0 => "x".repeat(choices.random_range(1..200_000)),
        1 => "é".repeat(*one_of(choices, &[25, 26, 50, 51, 127, 128, 250, 256, 257, 512])),
        2 => format!("user:{}", "é".repeat(*one_of(choices, &[250, 253, 254, 507, 600]))),
        3 => format!("doc:{}", "x".repeat(*one_of(choices, &[251, 252, 253, 508]))),
        4 => (0..choices.random_range(1..40)).map(|_| choices.random::<char>()).collect(),
        _ => (*one_of(choices, &texts)).to_owned(),
    }
}

/// JSON that cannot be had from a value, or is not JSON.
fn raw(choices: &mut SmallRng) -> Vec<u8> {
    let deep = *one_of(choices, &[100, 127, 128, 129, 200, 1000, 10_000]);
    let nested = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(deep), close.repeat(deep)).into_bytes()
    };
    let texts: [&[u8]; 26] = [
        b"1e400",
        b"-1e400",
        b"1e-400",
        b"-0",
        b"-0.0",
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551616",
        b"-9223372036854775809",
        b"100.0",
        b"1.5",
        b"0x10",
        b"01",
        b"+1",
        b"NaN",
        b"Infinity",
        b"tru",
        b"'x'",
        b"\"\\ud800\"",
        b"\"\\udc00\\ud800\"",
        b"\"\\u0000\"",
        b"\"\xff\xfe\"",
        b"\"\xed\xa0\x80\"",
        b"\"a\nb\"",
        b"/*c*/1",
        b"\"\\x41\"",
    ];
    match choices.random_range(0..7) {
        0 => nested("[", "", "]"),
        1 => nested("{\"a\":", "1", "}"),
        2 => nested("{\"union\":{\"child\":[", "", "]}}"),
        3 => "[".repeat(10_000).into_bytes(),
        _ => one_of(choices, &texts).to_vec(),
    }
}

/// Changes one value within the body.
fn value(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    let Some(body) = &mut made.body else { return };
    let mut places = Vec::new();
    collect(body, String::new(), &mut places);
    let place = one_of(choices, &places).clone();
    let kind = choices.random_range(0..10);
    spoilt
        .done
        .push(["null", "type", "text", "text", "text", "raw", "missing", "unknown", "number", "twice"][kind]);
    if kind == 6 || kind == 7 {
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", ""));
        let parent = if kind == 6 { parent } else { &place };
        match body.pointer_mut(parent) {
            Some(Value::Object(object)) if kind == 6 => drop(object.remove(&name.replace("~1", "/"))),
            Some(Value::Object(object)) => {
                let value = if choices.random() { json!(RAW) } else { json!({ "x": [null] }) };
                object.insert(odd_text(choices), value);
            }
            Some(Value::Array(array)) if kind == 6 && !array.is_empty() => drop(array.pop()),
            Some(Value::Array(array)) => array.push(json!(odd_text(choices))),
            _ => {}
        }
    } else if let Some(value) = body.pointer_mut(&place) {
        let others = [
            json!(true),
            json!(0),
            json!(-1),
            json!(3.5),
            json!([]),
            json!({}),
            json!("x"),
            json!([[]]),
            json!([null]),
            json!({ "": {} }),
            json!([{ "user": "user:anne" }]),
            json!(["user:anne", "viewer", "doc:plan"]),
        ];
        *value = match kind {
            0 => Value::Null,
            1 => one_of(choices, &others).clone(),
            2..5 => odd_text(choices).into(),
            5 => RAW.into(),
            8 => {
                let numbers = [0, 1, -1, 100, 101, 200, i64::MAX, i64::MIN, i64::from(u32::MAX)];
                (*one_of(choices, &numbers)).into()
            }
            _ => match value.clone() {
                Value::Array(array) => {
                    let often = *one_of(choices, &[2, 3, 60, 101, 120]);
                    array.iter().cycle().take(array.len() * often).cloned().collect()
                }
                other => json!([other, other]),
            },
        };
    }
    let text = body.to_string();
    let quoted = json!(RAW).to_string();
    let mut bytes = Vec::new();
    for (number, part) in text.split(&quoted).enumerate() {
        if number > 0 {
            bytes.extend(raw(choices));
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    made.request.body = bytes;
}

/// Pointers to all values within a value.
fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                collect(value, format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(array) => {
            for (number, value) in array.iter().enumerate() {
                collect(value, format!("{place}/{number}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

/// Changes the bytes of the body.
fn bytes(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    spoilt.is_beyond_schema = true;
    let body = &mut made.request.body;
    match choices.random_range(0..8) {
        0 => {
            spoilt.done.push("truncated");
            body.truncate(choices.random_range(0..=body.len()));
        }
        1 => {
            spoilt.done.push("byte");
            for _ in 0..choices.random_range(1..4) {
                if !body.is_empty() {
                    let at = choices.random_range(0..body.len());
                    body[at] = choices.random();
                }
            }
        }
        2 => {
            spoilt.done.push("twice the keys");
            let text = String::from_utf8_lossy(body).into_owned();
            if let Some((_, inner)) = text.split_once('{') {
                *body = format!("{{{},{inner}", inner.trim_end_matches('}')).into_bytes();
            }
        }
        3 => {
            spoilt.done.push("something behind it");
            let behind: [&[u8]; 6] = [b" {}", b"}", b"\0", b"\xff", b" x", b"[]"];
            body.extend_from_slice(one_of::<&[u8]>(choices, &behind));
        }
        4 => {
            spoilt.done.push("something before it");
            let before =
                *one_of(choices, &[&b"\xef\xbb\xbf"[..], b"[", b"\0", b"\n\n \t", b"1 ", b"\xff\xfe", b"{}"]);
            body.splice(0..0, before.iter().copied());
        }
        5 => {
            spoilt.done.push("empty");
            body.clear();
        }
        6 => {
            spoilt.done.push("too large");
            let size = BODY_BYTES_MAX + choices.random_range(1..1_000_000);
            body.resize(size, b' ');
        }
        _ => {
            spoilt.done.push("something else");
            *body = match choices.random_range(0..3) {
                0 => raw(choices),
                1 => (0..choices.random_range(0..200)).map(|_| choices.random::<u8>()).collect(),
                _ => format!("[{}] x", String::from_utf8_lossy(body)).into_bytes(),
            };
        }
    }
}

fn query(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    let names: Vec<&str> =
        made.operation.parameters.iter().filter(|it| it.place == "query").map(|it| &*it.name).collect();
    let name = if names.is_empty() { "other" } else { one_of(choices, &names) };
    let path = String::from_utf8_lossy(&made.request.target).split('?').next().unwrap().to_owned();
    match choices.random_range(0..5) {
        0..3 => {
            spoilt.done.push("parameter");
            let numbers = ["0", "101", "-1", "1e2", "100000000000000000000", "", "+5", " 5", "0x10", "５"];
            let text =
                if choices.random() { odd_text(choices) } else { (*one_of(choices, &numbers)).to_owned() };
            made.query.push((name.to_owned(), text.chars().take(8000).collect()));
            made.request.target = target(&path, &made.query);
        }
        _ => {
            spoilt.done.push("query");
            spoilt.is_beyond_schema = true;
            let queries = [
                "?",
                "?&&=&",
                "?%",
                "?%zz=%f",
                "?page_size=%FF",
                "?name=%00%ff",
                "?a=b=c",
                "?page_size",
                "?;",
                "?[]=1",
            ];
            made.request.target = format!("{path}{}", one_of(choices, &queries)).into_bytes();
        }
    }
}

fn path(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    spoilt.done.push("path");
    spoilt.is_elsewhere = true;
    let text = String::from_utf8_lossy(&made.request.target).into_owned();
    let mut parts: Vec<String> = text.split('/').map(str::to_owned).collect();
    let at = choices.random_range(1..parts.len().max(2)).min(parts.len() - 1);
    let odd = [
        "%FF",
        "%00",
        "%2F",
        "%2e%2e",
        "..",
        ".",
        "%",
        "%zz",
        "%C3%A9",
        "%F0%9F%98%80",
        "%0d%0a",
        "a%20b",
        "*",
        "{store}",
        "~",
        ";x=1",
        "01KAMZ3S8T4N2Q6V9XB7CDEFGI",
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "check",
        "stores",
    ];
    match choices.random_range(0..8) {
        0..4 => parts[at] = (*one_of(choices, &odd)).to_owned(),
        4 => parts[at].insert_str(0, "%41"),
        5 => parts.insert(at, String::new()),
        6 => parts.push(String::new()),
        _ => parts[at] = "x".repeat(*one_of(choices, &[27, 5000, 60_000])),
    }
    made.request.target = parts.join("/").into_bytes();
    if choices.random_bool(0.1) {
        spoilt.is_not_http = true;
        let targets: [&[u8]; 7] =
            [b"", b"*", b"stores", b"http://x/stores", b"/stores/\xff\xfe", b"/sto res", b"//"];
        made.request.target = one_of(choices, &targets).to_vec();
    }
    if choices.random_bool(0.03) {
        spoilt.is_not_http = true;
        made.request.target = format!("/stores?name={}", "x".repeat(70_000)).into_bytes();
    }
}

fn method(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    spoilt.done.push("method");
    spoilt.is_elsewhere = true;
    let methods = ["GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "CONNECT"];
    made.request.method = (*one_of(choices, &methods)).to_owned();
    // The target of CONNECT has another form.
    spoilt.is_not_http |= made.request.method == "CONNECT";
}

fn header(made: &mut Made<'_>, choices: &mut SmallRng, spoilt: &mut Spoilt) {
    spoilt.done.push("header");
    spoilt.is_beyond_schema = true;
    let ours = [
        "stonetown-at",
        "stonetown-limit",
        "stonetown-deadline-ms",
        "stonetown-continuation",
        "stonetown-work",
    ];
    let headers = &mut made.request.headers;
    match choices.random_range(0..10) {
        0..5 => {
            let values: [&[u8]; 17] = [
                b"",
                b"0",
                b"1",
                b"-1",
                b"18446744073709551615",
                b"18446744073709551616",
                b"1e9",
                b"\xff\xfe",
                b"\xc3\xa9",
                b"2026-11-22T14:30:00Z",
                b"1970-01-01T00:00:00Z",
                b"-009999-01-02T01:59:59Z",
                b"9999-12-30T22:00:00Z",
                b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                b"*",
                b"=",
                b"a b\tc",
            ];
            let value = match choices.random_range(0..6) {
                0 => odd_text(choices)
                    .replace(|c: char| c.is_control(), "")
                    .chars()
                    .take(20_000)
                    .collect::<String>()
                    .into_bytes(),
                _ => one_of(choices, &values).to_vec(),
            };
            headers.push(((*one_of(choices, &ours)).to_owned(), value));
        }
        5 => {
            let types = [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "",
                ";",
                "application/json; charset=utf-16",
            ];
            headers[0].1 = one_of(choices, &types).as_bytes().to_vec();
        }
        6 => headers.push((
            (*one_of(
                choices,
                &[
                    "expect",
                    "connection",
                    "upgrade",
                    "te",
                    "accept",
                    "accept-encoding",
                    "origin",
                    "range",
                    "if-none-match",
                    "cookie",
                    "x-http-method-override",
                ],
            ))
            .to_owned(),
            one_of(
                choices,
                &[
                    &b"100-continue"[..],
                    b"keep-alive",
                    b"h2c",
                    b"trailers",
                    b"gzip",
                    b"null",
                    b"bytes=0-1",
                    b"DELETE",
                ],
            )
            .to_vec(),
        )),
        7 => {
            headers.push(("access-control-request-headers".to_owned(), b"x-a, x-b".to_vec()));
            headers.push(("access-control-request-method".to_owned(), b"POST".to_vec()));
        }
        8 => {
            spoilt.is_not_http = true;
            let many = *one_of(choices, &[1, 2]);
            if many == 1 {
                headers.extend((0..150).map(|number| (format!("x-{number}"), b"1".to_vec())));
            } else {
                headers.push(("x-large".to_owned(), vec![b'x'; 500_000]));
            }
        }
        _ => {
            spoilt.is_not_http = true;
            let wrong: [(&str, &[u8]); 7] = [
                ("content-length", b"99999999999999999999"),
                ("content-length", b"x"),
                ("content-length", b"-1"),
                ("transfer-encoding", b"gzip"),
                ("x y", b"1"),
                ("x", b"a\0b"),
                ("x", b"a\nb"),
            ];
            let (name, value) = one_of(choices, &wrong);
            headers.push(((*name).to_owned(), value.to_vec()));
        }
    }
}
