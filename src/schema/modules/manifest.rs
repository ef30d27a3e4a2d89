//! `fga.mod`: YAML with the version of the language and the list of files.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::super::code::ProblemCode;
use super::super::limits::Limits;
use super::super::problem::Problem;
use super::super::source::{At, Span};
use super::super::suggest;
use super::super::tree::Name;
use super::add;

/// The version of the language that has modules.
const VERSION: &str = "1.2";

const FILES_HELP: &str = "list the files: `contents:`, then a line `  - core.fga` for each";
const VERSION_HELP: &str = "write `schema: '1.2'`";

/// What a manifest says, as far as it can be read.
pub(super) struct Manifest {
    pub(super) version: Name,
    /// The files, as their paths are kept: parts are joined by `/`.
    pub(super) files: Vec<Name>,
}

/// A field of a mapping.
type Field = (Spanned<String>, Spanned<Value>);

/// A value of the YAML document.
enum Value {
    Text(String),
    List(Vec<Spanned<Value>>),
    Mapping(Vec<Field>),
    /// Of a kind that a manifest has no use for.
    Other(&'static str),
}

impl Manifest {
    /// Reads a manifest, and says everything that is wrong with it.
    pub(super) fn read(text: &str, limits: &Limits) -> (Manifest, Vec<Problem>) {
        let version = Name::new(VERSION, At::from(Span::new(0, 0)));
        let manifest = Manifest { version, files: Vec::new() };
        let mut reader = Reader { text, limits, manifest, problems: Vec::new() };
        reader.document();
        (reader.manifest, reader.problems)
    }
}

struct Reader<'a> {
    text: &'a str,
    limits: &'a Limits,
    manifest: Manifest,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn document(&mut self) {
        let bytes = self.text.len();
        if bytes > self.limits.text_bytes_max {
            let most = self.limits.text_bytes_max;
            let message = format!("the manifest has {bytes} bytes; at most {most} are read");
            return self.report(ProblemCode::TextTooLarge, Span::new(0, 0), message, None);
        }
        // Repeated fields are reported here, with both places.
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
        let fields = match serde_saphyr::from_str_with_options::<Spanned<Value>>(self.text, options) {
            Ok(Spanned { value: Value::Mapping(fields), .. }) => fields,
            // An empty document.
            Ok(Spanned { value: Value::Other(NOTHING), .. }) => Vec::new(),
            Ok(found) => {
                let message = format!("a manifest is a mapping, found {}", found.value.kind());
                return self.report(
                    ProblemCode::InvalidManifest,
                    self.span(&found),
                    message,
                    Some(FILES_HELP),
                );
            }
            Err(error) => {
                let span = error.location().map_or(Span::new(0, 0), |at| self.span_of(at));
                // Its text ends with the place, which is told already.
                let text = error.without_snippet().to_string();
                let text = text.split(" at line ").next().unwrap_or_default();
                let message = format!("the manifest is not YAML: {text}");
                return self.report(ProblemCode::InvalidManifest, span, message, None);
            }
        };
        self.repeated(&fields);
        match field(&fields, "schema") {
            Some(version) => self.version(version),
            None => {
                let message = "the manifest does not say `schema`, the version of the language";
                self.missing(ProblemCode::MissingSchemaVersion, &fields, "schema", message, VERSION_HELP);
            }
        }
        match field(&fields, "contents") {
            Some(contents) => self.contents(contents),
            None => {
                let message = "the manifest does not say `contents`, the files of the schema";
                self.missing(ProblemCode::MissingContents, &fields, "contents", message, FILES_HELP);
            }
        }
    }

    fn repeated(&mut self, fields: &[Field]) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for (field, _) in fields {
            let span = self.span_of(field.referenced);
            if let Some(first) = seen.get(field.value.as_str()) {
                let message = format!("the manifest says `{}` twice", field.value);
                let problem = Problem::spanned(ProblemCode::InvalidManifest, span, message);
                let problem = problem.also(&At::from(*first), "first said here");
                add(problem, &mut self.problems, self.limits);
            } else {
                seen.insert(&field.value, span);
            }
        }
    }

    /// A field that is not there; perhaps one that is there was meant for it.
    fn missing(&mut self, code: ProblemCode, fields: &[Field], name: &str, message: &str, help: &str) {
        let others = fields.iter().map(|(other, _)| other);
        let meant = suggest::closest(name, others.clone().map(|other| other.value.as_str()))
            .and_then(|meant| others.clone().find(|other| other.value == meant));
        match meant {
            Some(other) => {
                let help = format!("did you mean `{name}`?");
                self.report(code, self.span_of(other.referenced), message, Some(&help));
            }
            None => self.report(code, Span::new(0, 0), message, Some(help)),
        }
    }

    /// `schema: '1.2'`
    fn version(&mut self, found: &Spanned<Value>) {
        let span = self.span(found);
        self.manifest.version.at = At::from(span);
        match &found.value {
            Value::Text(text) if text == VERSION => {}
            Value::Text(text) => {
                let message =
                    format!("modules belong to version `{VERSION}` of the schema language, found `{text}`");
                self.report(ProblemCode::UnsupportedSchemaVersion, span, message, Some(VERSION_HELP));
            }
            other => {
                let message = format!("the version of the language is a text, found {}", other.kind());
                self.report(ProblemCode::ManifestType, span, message, Some(VERSION_HELP));
            }
        }
    }

    /// `contents: [core.fga, …]`
    fn contents(&mut self, found: &Spanned<Value>) {
        let Value::List(list) = &found.value else {
            let message = format!("`contents` is a list of files, found {}", found.value.kind());
            return self.report(ProblemCode::ManifestType, self.span(found), message, Some(FILES_HELP));
        };
        if list.is_empty() {
            let message = "`contents` lists no files";
            return self.report(ProblemCode::MissingContents, self.span(found), message, Some(FILES_HELP));
        }
        let mut seen: HashMap<String, Span> = HashMap::new();
        for entry in list {
            if self.problems.len() > self.limits.problems_max {
                return;
            }
            let span = self.span(entry);
            let Value::Text(text) = &entry.value else {
                let message = format!("a file is named by a text, found {}", entry.value.kind());
                self.report(ProblemCode::ManifestType, span, message, None);
                continue;
            };
            let path = text.replace('\\', "/");
            if let Err((message, help)) = check_path(&path) {
                self.report(ProblemCode::InvalidModulePath, span, message, Some(help));
            } else if let Some(first) = seen.get(&path) {
                let message = format!("the file `{path}` is already listed");
                let problem = Problem::spanned(ProblemCode::DuplicateModulePath, span, message);
                let problem = problem.also(&At::from(*first), "first listed here");
                add(problem, &mut self.problems, self.limits);
            } else {
                self.manifest.files.push(Name::new(&path, At::from(span)));
                seen.insert(path, span);
            }
        }
    }

    fn report(&mut self, code: ProblemCode, span: Span, message: impl Into<String>, help: Option<&str>) {
        let problem = Problem::spanned(code, span, message).help_if_any(help.map(str::to_string));
        add(problem, &mut self.problems, self.limits);
    }

    fn span(&self, value: &Spanned<Value>) -> Span {
        self.span_of(value.referenced)
    }

    /// Where a node is, as far as its first line goes.
    fn span_of(&self, at: Location) -> Span {
        let bytes = |bytes: Option<u64>| usize::try_from(bytes?).ok();
        let start = bytes(at.span().byte_offset()).unwrap_or_else(|| self.offset(at)).min(self.text.len());
        let end = start.saturating_add(bytes(at.span().byte_len()).unwrap_or(0)).min(self.text.len());
        let node = self.text.get(start..end).unwrap_or_default();
        let line = node.lines().next().unwrap_or_default().trim_end();
        Span::new(start, start + line.len())
    }

    /// The byte at a line and a column: all that is known of some errors.
    fn offset(&self, at: Location) -> usize {
        let (line, column) = (at.line().saturating_sub(1), at.column().saturating_sub(1));
        let mut lines = self.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(line as usize).map(str::len).sum();
        let rest = lines.next().unwrap_or_default();
        before + rest.char_indices().nth(column as usize).map_or(rest.trim_end().len(), |(at, _)| at)
    }
}

fn field<'f>(fields: &'f [Field], name: &str) -> Option<&'f Spanned<Value>> {
    fields.iter().find(|(field, _)| field.value == name).map(|(_, value)| value)
}

/// Whether a manifest can list this file; else the message and the help.
fn check_path(path: &str) -> Result<(), (String, &'static str)> {
    if path.is_empty() {
        return Err(("a file without a name".to_string(), "name a file: `core.fga`"));
    }
    if !path.ends_with(".fga") {
        return Err((format!("`{path}` does not end with `.fga`"), "give the file that ending"));
    }
    if path.starts_with('/') || std::path::Path::new(path).is_absolute() {
        return Err((
            format!("`{path}` is an absolute path"),
            "give the path from the folder of the manifest",
        ));
    }
    if path.split('/').any(|part| part == "..") {
        let help = "put the manifest into a folder that holds all files, or below which they are";
        return Err((format!("`{path}` leads upwards"), help));
    }
    if path.chars().any(char::is_control) {
        return Err((format!("`{}` is no path", path.escape_debug()), "leave the control characters out"));
    }
    Ok(())
}

const NOTHING: &str = "nothing";

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other(NOTHING))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Other(NOTHING))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Value::Mapping(fields))
    }
}
