//! From JSON to values of the declared types, by OpenFGA's rules.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelString, CelTimestamp, CelUInt,
};
use cel::common::value::Val;
use chrono::{DateTime, FixedOffset, TimeDelta, Timelike, Utc};
use serde_json::{Number, Value};

use super::kind::Kind;
use super::library::Ip;

type Boxed = Box<dyn Val>;
/// Exact as a double.
const TWO_TO_63: f64 = (1_u64 << 63) as f64;

/// The value of a type that JSON stands for.
///
/// # Errors
/// What is wrong with it.
pub(super) fn convert(kind: &Kind, json: &Value) -> Result<Boxed, String> {
    Ok(match (kind, json) {
        (Kind::Any | Kind::Nothing, json) => any(json),
        (Kind::Bool, Value::Bool(value)) => Box::new(CelBool::from(*value)),
        (Kind::String, Value::String(text)) => Box::new(CelString::from(text.clone())),
        (Kind::Int, Value::Number(number)) => Box::new(CelInt::from(int(number)?)),
        (Kind::Int, Value::String(text)) => Box::new(CelInt::from(int(&number(text)?)?)),
        (Kind::Uint, Value::Number(number)) => Box::new(CelUInt::from(uint(number)?)),
        (Kind::Uint, Value::String(text)) => Box::new(CelUInt::from(uint(&number(text)?)?)),
        (Kind::Double, Value::Number(number)) => Box::new(CelDouble::from(double(number))),
        (Kind::Double, Value::String(text)) => Box::new(CelDouble::from(double(&number(text)?))),
        (Kind::Duration, Value::String(text)) => Box::new(CelDuration::from(duration(text)?)),
        (Kind::Timestamp, Value::String(text)) => Box::new(CelTimestamp::from(timestamp(text)?)),
        (Kind::Ip, Value::String(text)) => {
            Box::new(Ip::parse(text).ok_or_else(|| format!("`{text}` is not an IP address"))?)
        }
        (Kind::List(of), Value::Array(items)) => {
            let items = items.iter().enumerate().map(|(at, item)| {
                convert(of, item).map_err(|problem| format!("item {at} has to be of type {of}: {problem}"))
            });
            Box::new(CelList::from(items.collect::<Result<Vec<Boxed>, String>>()?))
        }
        (Kind::Map(_, of), Value::Object(entries)) => {
            let mut map = HashMap::with_capacity(entries.len());
            for (key, entry) in entries {
                let value = convert(of, entry)
                    .map_err(|problem| format!("entry `{key}` has to be of type {of}: {problem}"))?;
                map.insert(key.clone().into(), value);
            }
            Box::new(CelMap::from(map))
        }
        (_, json) => return Err(format!("{} was given", name_of(json))),
    })
}

/// Anything: all numbers are floating, as in protobuf's JSON values.
fn any(json: &Value) -> Boxed {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => Box::new(CelDouble::from(double(number))),
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(any).collect::<Vec<Boxed>>())),
        Value::Object(entries) => {
            let map = entries.iter().map(|(key, value)| (key.clone().into(), any(value)));
            Box::new(CelMap::from(map.collect::<HashMap<_, _>>()))
        }
    }
}

fn name_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A number that is given as a text.
fn number(text: &str) -> Result<Number, String> {
    let wrong = || format!("`{text}` is not a number");
    match text.parse::<Number>() {
        Ok(number) => Ok(number),
        // Forms that JSON does not know.
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(wrong),
    }
}

fn int(number: &Number) -> Result<i64, String> {
    let from_double = || {
        let value = number.as_f64()?;
        (value.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&value)).then_some(value as i64)
    };
    number.as_i64().or_else(from_double).ok_or_else(|| format!("`{number}` is not a whole number of 64 bits"))
}

fn uint(number: &Number) -> Result<u64, String> {
    let from_double = || {
        let value = number.as_f64()?;
        (value.fract() == 0.0 && (0.0..2.0 * TWO_TO_63).contains(&value)).then_some(value as u64)
    };
    let wrong = || format!("`{number}` is not a whole number of 64 bits without a sign");
    number.as_u64().or_else(from_double).ok_or_else(wrong)
}

fn double(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A time in Go's form, which has neither small letters nor leap seconds; in UTC, so that `getHours()` tells UTC's.
fn timestamp(text: &str) -> Result<DateTime<FixedOffset>, String> {
    let wrong = || format!("`{text}` is not an RFC 3339 time such as `2026-11-22T14:30:00Z`");
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    if text.as_bytes().get(10) != Some(&b'T') || text.ends_with('z') || time.nanosecond() >= 1_000_000_000 {
        return Err(wrong());
    }
    Ok(time.with_timezone(&Utc).fixed_offset())
}

/// A duration in Go's form, such as `1h30m` or `-1.5s`.
fn duration(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("`{text}` is not a duration such as `1h30m` or `250ms`");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Ok(TimeDelta::zero());
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let scale: i128 = match &unit[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !is_number(part) || whole.len() > 18 {
            return Err(wrong());
        }
        nanos += scale * whole.parse::<i128>().unwrap_or(0);
        // More than eighteen digits say nothing in nanoseconds.
        let part = &part[..part.len().min(18)];
        nanos += scale * part.parse::<i128>().unwrap_or(0) / 10_i128.pow(part.len() as u32);
        rest = &unit[end..];
    }
    let nanos = i64::try_from(sign * nanos).map_err(|_| wrong())?;
    Ok(TimeDelta::nanoseconds(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let nanos = |text| duration(text).map(|it| it.num_nanoseconds().unwrap());
        assert_eq!(nanos("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(nanos("-1.5s"), Ok(-1_500_000_000));
        assert_eq!(nanos("+.5ms"), Ok(500_000));
        assert_eq!(nanos("2us3ns"), Ok(2_003));
        assert_eq!(nanos("0"), Ok(0));
        for wrong in ["", "-", "1", "h", "1d", "1h ", " 1h", "1.2.3s", ".s", "9999999999999999h"] {
            assert!(nanos(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_those_of_go_and_in_utc() {
        let time = |text| timestamp(text).map(|it| it.to_rfc3339());
        assert_eq!(time("2024-01-01T01:00:00+02:00"), Ok("2023-12-31T23:00:00+00:00".to_owned()));
        for wrong in [
            "2024-01-01",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:60Z",
        ] {
            assert!(timestamp(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_are_whole_whatever_they_are_written_as() {
        let is = |kind: Kind, json: Value| convert(&kind, &json).is_ok();
        for fits in
            [serde_json::json!(3), serde_json::json!(3.0), serde_json::json!("3"), serde_json::json!("3.0")]
        {
            assert!(is(Kind::Int, fits.clone()) && is(Kind::Uint, fits.clone()), "{fits}");
        }
        for wrong in [
            serde_json::json!(3.5),
            serde_json::json!("3.5"),
            serde_json::json!("x"),
            serde_json::json!(true),
        ] {
            assert!(!is(Kind::Int, wrong.clone()) && !is(Kind::Uint, wrong.clone()), "{wrong}");
        }
        assert!(is(Kind::Int, serde_json::json!(-1)) && !is(Kind::Uint, serde_json::json!(-1)));
        assert!(!is(Kind::Int, serde_json::json!(1e300)));
        assert!(is(Kind::Uint, serde_json::json!(u64::MAX)) && !is(Kind::Int, serde_json::json!(u64::MAX)));
    }
}
