//! SpiceDB's relationships as text: `document:readme#viewer@user:anne[caveat:{"k":1}][expiration:2027-01-01T00:00:00Z]`.
//!
//! Reading takes whatever our own rules for names take. Writing holds to SpiceDB's narrower ones, so that SpiceDB can
//! read it.

use serde_json::Value;

use super::{BulkTuple, Reason};
use crate::tuple::{
    ConditionContext, ObjectRef, SubjectRef, Timestamp, TupleCondition, TupleRef, check_relation_name,
};

/// What stands for the object itself where a relation could stand.
const ELLIPSIS: &str = "...";

const HELP: &str = "write `document:readme#viewer@user:anne`, then nothing, `[caveat]`, `[caveat:{\"k\":1}]` or \
    `[expiration:2027-01-01T00:00:00Z]`";

/// Whether a line holds nothing: it is blank, or a comment.
pub(super) fn is_blank(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"//")
}

pub(super) fn parse(line: &str) -> Result<BulkTuple<'_>, Reason> {
    let line = line.trim_ascii();
    let unlike = |problem: &'static str| Reason::new(problem, format!("{problem}: {HELP}"));
    let (object, rest) =
        line.split_once('#').ok_or_else(|| unlike("has no `#` between object and relation"))?;
    let (relation, rest) =
        rest.split_once('@').ok_or_else(|| unlike("has no `@` between relation and subject"))?;
    if relation == ELLIPSIS {
        return Err(unlike("has `...` as its relation, which only a subject can have"));
    }
    // No id of SpiceDB's holds a bracket.
    let (subject, brackets) = rest.split_at(rest.find('[').unwrap_or(rest.len()));
    let subject = subject.strip_suffix(ELLIPSIS).and_then(|whole| whole.strip_suffix('#')).unwrap_or(subject);
    let object = ObjectRef::parse(object)?;
    check_relation_name(relation)?;
    let subject = SubjectRef::parse(subject)?;
    let mut tuple = BulkTuple::plain(TupleRef { object, relation, subject });
    limits(brackets, &mut tuple)?;
    Ok(tuple)
}

/// Reads what stands in brackets behind a relationship.
fn limits(mut rest: &str, tuple: &mut BulkTuple<'_>) -> Result<(), Reason> {
    let unlike = |problem: &'static str| Reason::new(problem, format!("{problem}: {HELP}"));
    while let Some(inner) = rest.strip_prefix('[') {
        // A caveat may have the name `expiration` too.
        let time = inner.strip_prefix("expiration:").filter(|time| !time.starts_with('{'));
        if let Some(time) = time {
            let (time, behind) =
                time.split_once(']').ok_or_else(|| unlike("has no `]` behind its expiration"))?;
            if tuple.expires_at.replace(time.parse::<Timestamp>()?).is_some() {
                return Err(unlike("has two expirations"));
            }
            rest = behind;
            continue;
        }
        let end = inner.find([':', ']']).ok_or_else(|| unlike("has no `]` behind its caveat"))?;
        let (name, mut behind) = inner.split_at(end);
        let mut context = ConditionContext::empty();
        if let Some(json) = behind.strip_prefix(':') {
            let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => context = ConditionContext::from_value(&value)?,
                _ => return Err(unlike("has a caveat whose context is not JSON")),
            }
            behind = &json[values.byte_offset()..];
        }
        rest = behind.strip_prefix(']').ok_or_else(|| unlike("has no `]` behind its caveat"))?;
        if tuple.condition.replace(TupleCondition::new(name, context)?).is_some() {
            return Err(unlike("has two caveats, and a relationship can have one"));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(unlike("is followed by something else")) }
}

/// What SpiceDB could not read of a tuple.
pub(super) fn unspeakable(
    key: &TupleRef<'_>,
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
) -> Option<String> {
    let (subject_type, subject, userset) = match &key.subject {
        SubjectRef::Wildcard(subject_type) => (*subject_type, None, None),
        SubjectRef::Object(object) => (object.object_type(), Some(object), None),
        SubjectRef::Userset(object, relation) => (object.object_type(), Some(object), Some(*relation)),
    };
    let types = [("type", key.object.object_type()), ("type", subject_type)];
    let caveat = condition.map(|condition| ("caveat", condition.name()));
    if let Some((what, name)) = types.into_iter().chain(caveat).find(|(_, name)| !is_path(name)) {
        return Some(format!(
            "its {what} `{name}` is not 3 to 64 of a to z, 0 to 9 and `_`, a letter first and no `_` last, with at most \
             prefixes of that form before a `/`, 128 bytes in all"
        ));
    }
    let mut relations = std::iter::once(key.relation).chain(userset);
    if let Some(name) = relations.find(|name| !is_word(name, 64)) {
        return Some(format!(
            "its relation `{name}` is not 3 to 64 of a to z, 0 to 9 and `_`, a letter first and no `_` last"
        ));
    }
    let mut objects = std::iter::once(&key.object).chain(subject);
    if let Some(object) = objects.find(|object| !is_id(object.id())) {
        let id = object.id();
        return Some(format!("its id `{id}` has other characters than a to z, A to Z, 0 to 9 and `/_|-=+`"));
    }
    let year_is_negative = expires_at.is_some_and(|time| time.to_string().starts_with('-'));
    year_is_negative.then(|| "its end is before the year 0".to_owned())
}

/// `document`, or `tenant/document`.
fn is_path(name: &str) -> bool {
    let (prefixes, last) = name.rsplit_once('/').map_or((None, name), |(before, last)| (Some(before), last));
    let mut prefixes = prefixes.into_iter().flat_map(|prefixes| prefixes.split('/'));
    name.len() <= 128 && is_word(last, 64) && prefixes.all(|prefix| is_word(prefix, 63))
}

fn is_word(word: &str, bytes_max: usize) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    match word.as_bytes() {
        [first, inner @ .., last] => {
            (3..=bytes_max).contains(&word.len())
                && first.is_ascii_lowercase()
                && inner.iter().all(is_inner)
                && is_inner(last)
                && *last != b'_'
        }
        _ => false,
    }
}

fn is_id(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_|-=+".contains(&byte))
}
