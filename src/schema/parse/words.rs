//! Which words may be names, and which words begin a line.

use super::super::code::ProblemCode;
use super::super::suggest;

/// What a name is a name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum NameKind {
    Type,
    Relation,
    Condition,
    Parameter,
    Module,
}

/// Words that can never be a name.
const RESERVED: [&str; 11] =
    ["relations", "define", "with", "from", "and", "or", "condition", "in", "true", "false", "null"];
/// Words that begin a line, but may be names of types and relations.
const KEYWORDS: [&str; 6] = ["module", "model", "schema", "extend", "type", "relation"];
/// Words that name the type of a parameter.
const PARAMETER_TYPES: [&str; 10] =
    ["bool", "string", "int", "uint", "double", "duration", "timestamp", "ipaddress", "map", "list"];

const NAME_HELP: &str = "a name begins with a letter or `_` and goes on with letters, digits, `_` and `-`, or with parts joined by one `/`, `.` or `-`";
const SHORT_NAME_HELP: &str =
    "this name begins with a letter or `_` and goes on with letters, digits, `_` and `-`";

impl NameKind {
    /// For a message: what was expected.
    pub(super) fn expected(self) -> &'static str {
        match self {
            NameKind::Type => "the name of a type",
            NameKind::Relation => "the name of a relation",
            NameKind::Condition => "the name of a condition",
            NameKind::Parameter => "the name of a parameter",
            NameKind::Module => "the name of a module",
        }
    }
}

/// Whether the language can say this name; else which mistake it is, the message and the help.
pub(in super::super) fn check(kind: NameKind, text: &str) -> Result<(), (ProblemCode, String, String)> {
    let reserved = match kind {
        NameKind::Type | NameKind::Relation | NameKind::Module => RESERVED.contains(&text),
        NameKind::Condition => {
            RESERVED.contains(&text) || KEYWORDS.contains(&text) || PARAMETER_TYPES.contains(&text)
        }
        NameKind::Parameter => PARAMETER_TYPES.contains(&text),
    };
    if reserved {
        let message = format!("`{text}` is a word of the language and cannot be {}", kind.expected());
        return Err((ProblemCode::ReservedWord, message, format!("use another name, `{text}_` for example")));
    }
    let (valid, help) = match kind {
        NameKind::Type | NameKind::Relation => (is_identifier(text) || is_extended(text), NAME_HELP),
        NameKind::Condition | NameKind::Parameter | NameKind::Module => {
            (is_identifier(text), SHORT_NAME_HELP)
        }
    };
    if !valid {
        let message = format!("`{text}` cannot be {}", kind.expected());
        return Err((ProblemCode::InvalidName, message, help.to_string()));
    }
    Ok(())
}

/// Whether a parameter can be of this type.
pub(in super::super) fn is_parameter_type(text: &str) -> bool {
    PARAMETER_TYPES.contains(&text)
}

/// A letter or `_`, then letters, digits, `_` and `-`.
fn is_identifier(text: &str) -> bool {
    text.starts_with(is_first) && text.chars().all(|c| is_further(c) || c == '-')
}

/// Parts of letters, digits and `_`, joined by one `/`, `.` or `-` each.
fn is_extended(text: &str) -> bool {
    text.starts_with(is_first)
        && text.split(['/', '.', '-']).all(|part| !part.is_empty() && part.chars().all(is_further))
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_further(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Model,
    Module,
    Schema,
    Type,
    Extend,
    Relations,
    Define,
    Condition,
    /// No keyword, but close to this one.
    Almost(&'static str),
    Unknown,
}

const OPENINGS: [(&str, Opening); 8] = [
    ("model", Opening::Model),
    ("module", Opening::Module),
    ("schema", Opening::Schema),
    ("type", Opening::Type),
    ("extend", Opening::Extend),
    ("relations", Opening::Relations),
    ("define", Opening::Define),
    ("condition", Opening::Condition),
];

impl Opening {
    pub(super) fn of(word: &str) -> Opening {
        if let Some((_, opening)) = OPENINGS.iter().find(|(keyword, _)| *keyword == word) {
            return *opening;
        }
        let keywords = ["type", "relations", "define", "condition", "model", "schema", "extend", "module"];
        let lowercase = word.to_lowercase();
        let same = keywords.into_iter().find(|keyword| *keyword == lowercase);
        match same.or_else(|| suggest::closest(&lowercase, keywords)) {
            Some(keyword) => Opening::Almost(keyword),
            None => Opening::Unknown,
        }
    }

    /// What was meant, when it is almost a keyword.
    pub(super) fn meant(self) -> Opening {
        match self {
            Opening::Almost(keyword) => Opening::of(keyword),
            opening => opening,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_language() {
        for name in ["a", "_a", "a-", "a--b", "a1", "type", "but", "not", "as", "self", "map"] {
            assert_eq!(check(NameKind::Type, name), Ok(()), "{name}");
        }
        for name in ["a/b", "_.a_/_b._", "a.bc/def", "a.b.c"] {
            assert_eq!(check(NameKind::Relation, name), Ok(()), "{name}");
            assert!(check(NameKind::Condition, name).is_err(), "{name}");
        }
        for name in ["", "1a", "a.", "a..b", "a/-b", "é", "in", "define", "a b"] {
            assert!(check(NameKind::Type, name).is_err(), "{name}");
        }
        assert!(check(NameKind::Condition, "type").is_err());
        assert_eq!(check(NameKind::Parameter, "type"), Ok(()));
        assert!(check(NameKind::Parameter, "string").is_err());
        for name in ["core", "a-b", "module", "type", "self", "string", "_"] {
            assert_eq!(check(NameKind::Module, name), Ok(()), "{name}");
        }
        for name in ["", "a.b", "a/b", "1a", "in", "condition", "é"] {
            assert!(check(NameKind::Module, name).is_err(), "{name}");
        }
    }

    #[test]
    fn keywords_and_near_misses() {
        assert_eq!(Opening::of("define"), Opening::Define);
        assert_eq!(Opening::of("defne"), Opening::Almost("define"));
        assert_eq!(Opening::of("Type").meant(), Opening::Type);
        assert_eq!(Opening::of("viewer"), Opening::Unknown);
    }
}
