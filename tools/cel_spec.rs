//! Holds our conditions against the test data of the CEL specification (google/cel-spec, tests/simple/testdata), as far as it
//! is about what OpenFGA's conditions offer. The data is not part of this project: name its files.
//!
//! ```text
//! cel-spec FILE.textproto… [--verbose]
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool that prints")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;
use serde_json::{Map, Value, json};
use stonetown::condition::{Compiled, ConditionError, Context, EXPRESSION_BYTES_MAX, Kind, Parameter};
use stonetown::tuple::ConditionContext;

/// Run the CEL specification's test data against our conditions.
#[derive(Debug, Parser)]
#[command(after_help = "\
Example:
  cel-spec cel-spec/tests/simple/testdata/*.textproto

Exit code 0: everything that is offered passes; 1: something does not; 3: a file cannot be read.")]
struct Cli {
    /// Files of the specification
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Also print what is not offered
    #[arg(long)]
    verbose: bool,
}

/// A message of protobuf's text format: its fields in order.
type Message = Vec<(String, Node)>;

#[derive(Debug, Clone)]
enum Node {
    /// A text or bytes, without escapes.
    Text(Vec<u8>),
    /// A number or a name.
    Word(String),
    Message(Message),
}

/// What became of a test.
enum Outcome {
    Passed,
    NotOffered(&'static str),
    Failed(String),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("cel-spec: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    let mut not_offered: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &cli.files {
        let place = || file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(place)?;
        let mut reader = Reader { rest: &text };
        let message = reader.message(false).with_context(place)?;
        for section in messages(&message, "section") {
            for test in messages(section, "test") {
                let name = format!("{}/{}/{}", place(), word(section, "name"), word(test, "name"));
                match outcome(test) {
                    Outcome::Passed => passed += 1,
                    Outcome::NotOffered(reason) => {
                        *not_offered.entry(reason).or_default() += 1;
                        if cli.verbose {
                            println!("not offered ({reason}): {name}: {}", word(test, "expr"));
                        }
                    }
                    Outcome::Failed(problem) => {
                        failed += 1;
                        println!("FAILED {name}: `{}`: {problem}", word(test, "expr"));
                    }
                }
            }
        }
    }
    for (reason, count) in &not_offered {
        println!("{count:>6} not offered: {reason}");
    }
    println!("{passed:>6} passed\n{failed:>6} failed");
    Ok(failed == 0)
}

fn outcome(test: &Message) -> Outcome {
    let expression = word(test, "expr");
    let has = |name: &str| test.iter().any(|(field, _)| field == name);
    if has("container")
        || ["TestAllTypes", "google.", "cel.", "proto"].iter().any(|it| expression.contains(it))
    {
        return Outcome::NotOffered("protobuf messages and containers");
    }
    if expression.contains('`') {
        return Outcome::NotOffered("quoted names of fields");
    }
    if has("check_only") || has("typed_result") {
        return Outcome::NotOffered("the type that a checker gives");
    }
    if has("unknown") || has("any_unknowns") {
        return Outcome::NotOffered("unknown values");
    }
    let parameters = match parameters(test) {
        Ok(parameters) => parameters,
        Err(reason) => return Outcome::NotOffered(reason),
    };
    let context =
        parameters.iter().map(|(name, _, value)| (name.clone(), value.clone())).collect::<Map<_, _>>();
    let parameters: Vec<Parameter> =
        parameters.into_iter().map(|(name, kind, _)| Parameter { name: name.into(), kind }).collect();
    let compared = match expected(test) {
        Ok(Some(Expected::Literal(literal))) => format!("({expression}) == {literal}"),
        Ok(Some(Expected::NotANumber)) => format!("({expression}) != ({expression})"),
        // An error: whatever the type.
        Ok(None) => format!("dyn({expression}) == dyn(0)"),
        Err(reason) => return Outcome::NotOffered(reason),
    };
    if compared.len() > EXPRESSION_BYTES_MAX {
        return Outcome::NotOffered("longer than an expression may be");
    }
    let wants_error = has("eval_error");
    let compiled = match Compiled::new(parameters, &compared) {
        Ok(compiled) => compiled,
        Err(_) if wants_error => return Outcome::Passed,
        Err(_) if has("disable_check") => return Outcome::NotOffered("expressions that are not checked"),
        Err(mistakes) => {
            let text: Vec<String> = mistakes.into_iter().map(|it| it.message).collect();
            return Outcome::Failed(format!("refused: {}", text.join("; ")));
        }
    };
    match compiled.holds(&ConditionContext::empty(), &Context::new(context)) {
        Ok(true) if !wants_error => Outcome::Passed,
        Err(ConditionError::Failed(_)) if wants_error => Outcome::Passed,
        other => Outcome::Failed(format!("`{compared}` is {other:?}")),
    }
}

/// The bindings of a test, with the types of their values.
fn parameters(test: &Message) -> Result<Vec<(String, Kind, Value)>, &'static str> {
    let declared =
        messages(test, "type_env").filter(|it| it.iter().any(|(field, _)| field == "ident")).count();
    let bindings: Vec<&Message> = messages(test, "bindings").collect();
    if declared != messages(test, "type_env").count() {
        return Err("functions of the test's own");
    }
    if declared > bindings.len() {
        return Err("parameters without a value");
    }
    if bindings.iter().any(|binding| word(binding, "key").contains('.')) {
        return Err("names with dots");
    }
    bindings
        .into_iter()
        .map(|binding| {
            let outer = messages(binding, "value").next().ok_or("bindings of other kinds")?;
            let value = messages(outer, "value").next().ok_or("bindings of other kinds")?;
            let (kind, value) = json_of(value)?;
            Ok((word(binding, "key"), kind, value))
        })
        .collect()
}

/// A value as JSON, and the type of a parameter that takes it.
fn json_of(value: &Message) -> Result<(Kind, Value), &'static str> {
    let Some((field, node)) = value.first() else { return Err("bindings of other kinds") };
    let number = |text: &str| text.parse::<serde_json::Number>().map(Value::Number).unwrap_or(json!(text));
    Ok(match (field.as_str(), node) {
        ("bool_value", Node::Word(word)) => (Kind::Bool, json!(word == "true")),
        ("int64_value", Node::Word(word)) => (Kind::Int, number(word)),
        ("uint64_value", Node::Word(word)) => (Kind::Uint, number(word)),
        ("double_value", Node::Word(word)) => (Kind::Double, number(word)),
        ("string_value", Node::Text(text)) => (Kind::String, json!(String::from_utf8_lossy(text))),
        ("null_value", _) => (Kind::Any, Value::Null),
        ("list_value", Node::Message(list)) => {
            let items: Vec<(Kind, Value)> =
                messages(list, "values").map(json_of).collect::<Result<_, _>>()?;
            let kind = items.first().map_or(Kind::Any, |(kind, _)| kind.clone());
            let all_same = items.iter().all(|(of, _)| *of == kind);
            let kind = if all_same { kind } else { return Err("lists of several types") };
            (Kind::List(Box::new(kind)), items.into_iter().map(|(_, value)| value).collect())
        }
        ("map_value", Node::Message(map)) => {
            let mut found = Map::new();
            let mut kind = Kind::Any;
            for entry in messages(map, "entries") {
                let key = messages(entry, "key").next().map(|key| json_of(key)).transpose()?;
                let Some((Kind::String, Value::String(key))) = key else {
                    return Err("maps with other keys");
                };
                let value = messages(entry, "value").next().ok_or("bindings of other kinds")?;
                let (of, value) = json_of(value)?;
                kind = of;
                found.insert(key, value);
            }
            (Kind::Map(Box::new(Kind::String), Box::new(kind)), Value::Object(found))
        }
        _ => return Err("bindings of other kinds"),
    })
}

enum Expected {
    Literal(String),
    NotANumber,
}

/// What a test wants as an expression; none: an error.
fn expected(test: &Message) -> Result<Option<Expected>, &'static str> {
    if test.iter().any(|(field, _)| field == "eval_error") {
        return Ok(None);
    }
    match messages(test, "value").next() {
        Some(value) => match literal(value)? {
            text if text == "nan" => Ok(Some(Expected::NotANumber)),
            text => Ok(Some(Expected::Literal(text))),
        },
        // The default.
        None => Ok(Some(Expected::Literal("true".to_owned()))),
    }
}

fn literal(value: &Message) -> Result<String, &'static str> {
    let Some((field, node)) = value.first() else { return Err("results of other kinds") };
    Ok(match (field.as_str(), node) {
        ("bool_value", Node::Word(word)) => word.clone(),
        ("int64_value", Node::Word(word)) if word == "-9223372036854775808" => format!("({word})"),
        ("int64_value", Node::Word(word)) => word.clone(),
        ("uint64_value", Node::Word(word)) => format!("{word}u"),
        ("double_value", Node::Word(word)) => match word.to_lowercase().as_str() {
            "nan" => "nan".to_owned(),
            "inf" | "infinity" => "double('Infinity')".to_owned(),
            "-inf" | "-infinity" => "double('-Infinity')".to_owned(),
            word => format!("double('{word}')"),
        },
        ("string_value", Node::Text(text)) => {
            let text = std::str::from_utf8(text).map_err(|_| "results of other kinds")?;
            let escaped: Vec<String> =
                text.chars()
                    .map(|c| {
                        if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\U{:08x}", c as u32) }
                    })
                    .collect();
            format!("'{}'", escaped.concat())
        }
        ("bytes_value", Node::Text(bytes)) => {
            format!("b'{}'", bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>())
        }
        ("null_value", _) => "null".to_owned(),
        ("type_value", Node::Text(name)) => match std::str::from_utf8(name) {
            Ok(name) if !name.contains('.') => name.to_owned(),
            _ => return Err("protobuf messages and containers"),
        },
        ("list_value", Node::Message(list)) => {
            let items: Vec<String> = messages(list, "values").map(literal).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        ("map_value", Node::Message(map)) => {
            let entries = messages(map, "entries").map(|entry| {
                let part =
                    |name: &str| messages(entry, name).next().map_or(Err("results of other kinds"), literal);
                Ok(format!("{}: {}", part("key")?, part("value")?))
            });
            format!("{{{}}}", entries.collect::<Result<Vec<String>, &'static str>>()?.join(", "))
        }
        _ => return Err("protobuf messages and containers"),
    })
}

/// The messages of a field.
fn messages<'m>(message: &'m Message, name: &str) -> impl Iterator<Item = &'m Message> {
    message.iter().filter_map(move |(field, node)| match node {
        Node::Message(inner) if field == name => Some(inner),
        _ => None,
    })
}

/// A text or word of a field; empty when there is none.
fn word(message: &Message, name: &str) -> String {
    let found = message.iter().find(|(field, _)| field == name).map(|(_, node)| node);
    match found {
        Some(Node::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Some(Node::Word(word)) => word.clone(),
        _ => String::new(),
    }
}

/// Protobuf's text format, as far as the test data uses it.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn take(&mut self, token: char) -> bool {
        self.skip();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn name(&mut self) -> String {
        self.skip();
        if self.take('[') {
            let (name, rest) = self.rest.split_once(']').unwrap_or((self.rest, ""));
            self.rest = rest;
            return name.to_owned();
        }
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "_.+-".contains(c)));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        name.to_owned()
    }

    fn message(&mut self, is_inner: bool) -> anyhow::Result<Message> {
        let mut fields = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() && !is_inner {
                return Ok(fields);
            }
            if is_inner && (self.take('}') || self.take('>')) {
                return Ok(fields);
            }
            let name = self.name();
            if name.is_empty() {
                bail!("a field is expected at `{}`", self.rest.chars().take(40).collect::<String>());
            }
            self.take(':');
            if self.take('[') {
                while !self.take(']') {
                    let value = self.value()?;
                    fields.push((name.clone(), value));
                }
            } else {
                let value = self.value()?;
                fields.push((name, value));
            }
        }
    }

    fn value(&mut self) -> anyhow::Result<Node> {
        self.skip();
        if self.take('{') || self.take('<') {
            return Ok(Node::Message(self.message(true)?));
        }
        if self.rest.starts_with(['"', '\'']) {
            let mut text = Vec::new();
            while self.rest.starts_with(['"', '\'']) {
                self.text(&mut text)?;
                self.skip();
            }
            return Ok(Node::Text(text));
        }
        Ok(Node::Word(self.name()))
    }

    fn text(&mut self, into: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut chars = self.rest.chars();
        let quote = chars.next();
        while let Some(c) = chars.next() {
            if Some(c) == quote {
                self.rest = chars.as_str();
                return Ok(());
            }
            if c != '\\' {
                into.extend(c.to_string().as_bytes());
                continue;
            }
            if chars.as_str().starts_with(|c: char| c.is_digit(8)) {
                let mut value = 0;
                for _ in 0..3 {
                    let Some(digit) = chars.as_str().chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    value = value * 8 + digit;
                    chars.next();
                }
                into.push(value as u8);
                continue;
            }
            match chars.next() {
                Some('n') => into.push(b'\n'),
                Some('r') => into.push(b'\r'),
                Some('t') => into.push(b'\t'),
                Some('a') => into.push(7),
                Some('b') => into.push(8),
                Some('f') => into.push(12),
                Some('v') => into.push(11),
                Some('x') => {
                    let value = u8::from_str_radix(&chars.as_str()[..2], 16)?;
                    chars.next();
                    chars.next();
                    into.push(value);
                }
                Some(kind @ ('u' | 'U')) => {
                    let length = if kind == 'u' { 4 } else { 8 };
                    let value = u32::from_str_radix(&chars.as_str()[..length], 16)?;
                    chars.by_ref().take(length).for_each(drop);
                    into.extend(char::from_u32(value).unwrap_or('?').to_string().as_bytes());
                }
                Some(other) => into.extend(other.to_string().as_bytes()),
                None => break,
            }
        }
        bail!("a text does not end")
    }
}
