//! The rules for names and ids (those of OpenFGA, and no control characters: keys are NUL-terminated).

use super::error::{Part, TupleError};

/// Longest type name, in characters.
pub const TYPE_CHARS_MAX: usize = 254;
/// Longest relation, condition, parameter or module name, in characters.
pub const RELATION_CHARS_MAX: usize = 50;
/// Longest `type:id`, in characters.
pub const OBJECT_CHARS_MAX: usize = 256;
/// Longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 512;

const NAME_HELP: &str = "use a name without spaces, control characters, `:`, `#` or `@`";
const ID_HELP: &str = "use an id without spaces, control characters, `:` or `#`";

/// Checks a type name: 1 to 254 characters, no whitespace, control character, `:`, `#` or `@`.
pub fn check_type_name(name: &str) -> Result<(), TupleError> {
    check_name(Part::ObjectType, name, TYPE_CHARS_MAX, "use at most 254 characters")
}

/// Checks a relation name: 1 to 50 characters, no whitespace, control character, `:`, `#` or `@`.
pub fn check_relation_name(name: &str) -> Result<(), TupleError> {
    check_name(Part::Relation, name, RELATION_CHARS_MAX, "use at most 50 characters")
}

/// Checks a condition name: 1 to 50 characters, no whitespace, control character, `:`, `#` or `@`.
pub fn check_condition_name(name: &str) -> Result<(), TupleError> {
    check_name(Part::Condition, name, RELATION_CHARS_MAX, "use at most 50 characters")
}

/// Checks the id of an object: not empty, no whitespace, control character, `:` or `#`, and not `*`.
pub fn check_object_id(id: &str) -> Result<(), TupleError> {
    check_id(Part::ObjectId, id)?;
    if id == "*" {
        let help = "name one object; `TYPE:*` stands for everybody and only a subject can be that";
        return Err(TupleError::new(Part::ObjectId, "is a wildcard", id, help));
    }
    Ok(())
}

pub(super) fn check_name(
    part: Part,
    name: &str,
    chars_max: usize,
    length_help: &'static str,
) -> Result<(), TupleError> {
    if name.is_empty() {
        return Err(TupleError::new(part, "is empty", name, NAME_HELP));
    }
    check_chars(part, name, &[':', '#', '@'], NAME_HELP)?;
    if name.len() > chars_max && name.chars().count() > chars_max {
        return Err(TupleError::new(part, "is too long", name, length_help));
    }
    Ok(())
}

pub(super) fn check_id(part: Part, id: &str) -> Result<(), TupleError> {
    if id.is_empty() {
        return Err(TupleError::new(part, "is empty", id, "write `TYPE:ID`"));
    }
    check_chars(part, id, &[':', '#'], ID_HELP)
}

/// Whether a byte can be part of a forbidden character, or of one that is forbidden in some names: ASCII white space
/// and control characters, `:`, `#`, `@`, and the first byte of the control characters above ASCII.
const SUSPICIOUS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte <= 0x20 || matches!(byte as u8, b':' | b'#' | b'@' | 0x7f | 0xc2);
        byte += 1;
    }
    table
};

fn check_chars(part: Part, text: &str, forbidden: &[char], help: &'static str) -> Result<(), TupleError> {
    // Nearly every name passes here; files hold millions of them.
    if !text.bytes().any(|byte| SUSPICIOUS[byte as usize]) {
        return Ok(());
    }
    for c in text.chars() {
        let problem = match c {
            c if forbidden.contains(&c) => match c {
                ':' => "contains a `:`",
                '#' => "contains a `#`",
                _ => "contains an `@`",
            },
            c if c.is_ascii_whitespace() => "contains a space",
            c if c.is_control() => "contains a control character",
            _ => continue,
        };
        return Err(TupleError::new(part, problem, text, help));
    }
    Ok(())
}
