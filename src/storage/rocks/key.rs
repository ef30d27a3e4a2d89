//! Keys, laid out by hand so that every prefix scan answers one question and never runs into a neighbour.
//!
//! ```text
//! tuples      store u32 | object type 0 | object id 0 | relation 0 | subject
//! by_subject  store u32 | subject | object type 0 | relation 0 | object id 0
//! subject     1 | type 0 | id 0                an object
//!             2 | type 0                       a wildcard
//!             3 | type 0 | id 0 | relation 0   a userset
//! history*    the same keys | deleted revision u64
//! changes     store u32 | revision u64 | ordinal u32
//! revisions   store u32 | revision u64
//! schemas     store u32 | schema id, 16 bytes
//! assertions  store u32 | schema id, 16 bytes
//! stores      store id, 16 bytes
//! ```
//!
//! Numbers are big-endian. Strings end with a NUL, which no name or id holds, so no tuple's key is a prefix of
//! another's, and the revision after it cannot be mistaken for more of the name.

use crate::storage::filter::{ObjectFilter, SubjectFilter, TupleFilter};
use crate::tuple::{ObjectRef, Revision, SubjectKind, SubjectRef, TupleRef};

/// Which of the two orders tuples are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Direction {
    /// Object first: `tuples`.
    Forward,
    /// Subject first: `by_subject`.
    Backward,
}

pub(in crate::storage) const REVISION_BYTES: usize = 8;
pub(super) const STORE_BYTES: usize = 4;

const KIND_OBJECT: u8 = 1;
const KIND_WILDCARD: u8 = 2;
const KIND_USERSET: u8 = 3;

fn kind_byte(kind: SubjectKind) -> u8 {
    match kind {
        SubjectKind::Object => KIND_OBJECT,
        SubjectKind::Wildcard => KIND_WILDCARD,
        SubjectKind::Userset => KIND_USERSET,
    }
}

/// A key under construction.
struct Builder(Vec<u8>);

impl Builder {
    /// A key behind what is there already.
    fn behind(bytes: Vec<u8>) -> Builder {
        Builder(bytes)
    }

    fn new(store: u32) -> Builder {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(&store.to_be_bytes());
        Builder(bytes)
    }

    fn text(mut self, text: &str) -> Builder {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    fn object(self, object: ObjectRef<'_>) -> Builder {
        self.text(object.object_type()).text(object.id())
    }

    fn kind(mut self, kind: SubjectKind) -> Builder {
        self.0.push(kind_byte(kind));
        self
    }

    fn tuple(self, direction: Direction, tuple: TupleRef<'_>) -> Builder {
        let TupleRef { object, relation, subject } = tuple;
        match direction {
            Direction::Forward => self.object(object).text(relation).subject(subject),
            Direction::Backward => {
                self.subject(subject).text(object.object_type()).text(relation).text(object.id())
            }
        }
    }

    fn subject(self, subject: SubjectRef<'_>) -> Builder {
        let builder = self.kind(subject.kind());
        match subject {
            SubjectRef::Object(object) => builder.object(object),
            SubjectRef::Wildcard(subject_type) => builder.text(subject_type),
            SubjectRef::Userset(object, relation) => builder.object(object).text(relation),
        }
    }
}

/// The key of a tuple in `tuples`.
pub(in crate::storage) fn forward(store: u32, tuple: TupleRef<'_>) -> Vec<u8> {
    Builder::new(store).tuple(Direction::Forward, tuple).0
}

/// Appends the key of a tuple without its store number.
pub(super) fn append(bytes: Vec<u8>, direction: Direction, tuple: TupleRef<'_>) -> Vec<u8> {
    Builder::behind(bytes).tuple(direction, tuple).0
}

/// The key of a tuple in `by_subject`.
pub(in crate::storage) fn backward(store: u32, tuple: TupleRef<'_>) -> Vec<u8> {
    Builder::new(store).tuple(Direction::Backward, tuple).0
}

/// The key of a tuple in one direction.
pub(in crate::storage) fn tuple(direction: Direction, store: u32, tuple: TupleRef<'_>) -> Vec<u8> {
    match direction {
        Direction::Forward => forward(store, tuple),
        Direction::Backward => backward(store, tuple),
    }
}

/// All subjects of one shape on `object#relation`, in `tuples`.
pub(super) fn subjects_prefix(
    store: u32,
    object: ObjectRef<'_>,
    relation: &str,
    kind: SubjectKind,
) -> Vec<u8> {
    Builder::new(store).object(object).text(relation).kind(kind).0
}

/// The part of a key of `tuples` that [`subjects_prefix`] makes: what the filters of table files know beside whole keys.
pub(super) fn subjects_part(key: &[u8]) -> &[u8] {
    &key[..subjects_end(key).unwrap_or(key.len())]
}

/// Whether a key, or the beginning of one, has that part.
pub(super) fn has_subjects_part(key: &[u8]) -> bool {
    subjects_end(key).is_some()
}

/// The same of a key of `by_subject`, and [`objects_prefix`].
pub(super) fn objects_part(key: &[u8]) -> &[u8] {
    &key[..objects_end(key).unwrap_or(key.len())]
}

/// Whether a key, or the beginning of one, has that part.
pub(super) fn has_objects_part(key: &[u8]) -> bool {
    objects_end(key).is_some()
}

/// Behind the relation: after the texts of the subject, as many as its kind has, and the object's type.
fn objects_end(key: &[u8]) -> Option<usize> {
    let texts = match *key.get(STORE_BYTES)? {
        KIND_OBJECT => 4,
        KIND_WILDCARD => 3,
        KIND_USERSET => 5,
        _ => return None,
    };
    let start = STORE_BYTES + 1;
    Some(start + memchr::memchr_iter(0, &key[start..]).nth(texts - 1)? + 1)
}

/// Behind the kind of the subject: after the object's type and id, the relation, and one byte.
fn subjects_end(key: &[u8]) -> Option<usize> {
    let mut ends = memchr::memchr_iter(0, key.get(STORE_BYTES..)?);
    let end = STORE_BYTES + ends.nth(2)? + 2;
    (end <= key.len()).then_some(end)
}

/// All tuples of an object, in `tuples`.
pub(super) fn object_prefix(store: u32, object: ObjectRef<'_>) -> Vec<u8> {
    Builder::new(store).object(object).0
}

/// All tuples of a subject, in `by_subject`.
pub(super) fn subject_prefix(store: u32, subject: SubjectRef<'_>) -> Vec<u8> {
    Builder::new(store).subject(subject).0
}

/// All tuples whose subject is an object itself, and all whose subject is a userset of it, in `by_subject`.
pub(super) fn subject_prefixes(store: u32, object: ObjectRef<'_>) -> [Vec<u8>; 2] {
    [SubjectKind::Object, SubjectKind::Userset].map(|kind| Builder::new(store).kind(kind).object(object).0)
}

/// All objects of a type on which a subject is written with a relation, in `by_subject`.
pub(super) fn objects_prefix(
    store: u32,
    subject: SubjectRef<'_>,
    object_type: &str,
    relation: &str,
) -> Vec<u8> {
    Builder::new(store).subject(subject).text(object_type).text(relation).0
}

/// The first key behind all of an object, under the prefix of [`objects_prefix`]; in the history too.
pub(super) fn behind_object(prefix: &[u8], id: &str) -> Vec<u8> {
    // An id ends with a NUL; nothing but more of a longer id can follow instead.
    [prefix, id.as_bytes(), &[1]].concat()
}

/// The first key behind all of a tuple, given its key; in the history too.
pub(super) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    // A key ends with a NUL.
    key.pop();
    key.push(1);
    key
}

/// The prefixes that together hold every tuple a filter matches (and others: they are to be filtered), in the
/// direction that has the fewest rows to walk.
pub(super) fn filter_prefixes(store: u32, filter: &TupleFilter) -> (Direction, Vec<Vec<u8>>) {
    let relation = filter.relation.as_ref().map(|relation| relation.as_str());
    match (&filter.object, &filter.subject) {
        (Some(ObjectFilter::Object(object)), subject) => {
            let object = object.as_ref();
            let key = match (relation, subject) {
                (Some(relation), Some(SubjectFilter::Subject(subject))) => {
                    forward(store, TupleRef { object, relation, subject: subject.as_ref() })
                }
                (Some(relation), _) => Builder::new(store).object(object).text(relation).0,
                (None, _) => Builder::new(store).object(object).0,
            };
            (Direction::Forward, vec![key])
        }
        (object, Some(SubjectFilter::Subject(subject))) => {
            let mut builder = Builder::new(store).subject(subject.as_ref());
            if let Some(ObjectFilter::Type(object_type)) = object {
                builder = builder.text(object_type);
                if let Some(relation) = relation {
                    builder = builder.text(relation);
                }
            }
            (Direction::Backward, vec![builder.0])
        }
        (_, Some(SubjectFilter::Naming(object))) => {
            (Direction::Backward, subject_prefixes(store, object.as_ref()).to_vec())
        }
        (Some(ObjectFilter::Type(object_type)), _) => {
            (Direction::Forward, vec![Builder::new(store).text(object_type).0])
        }
        (None, Some(SubjectFilter::Type(subject_type))) => {
            let kinds = [SubjectKind::Object, SubjectKind::Wildcard, SubjectKind::Userset];
            let prefix = |kind| Builder::new(store).kind(kind).text(subject_type).0;
            (Direction::Backward, kinds.into_iter().map(prefix).collect())
        }
        (None, None) => (Direction::Forward, vec![Builder::new(store).0]),
    }
}

/// Everything of a store, in any family whose keys begin with the store number.
pub(super) fn store_prefix(store: u32) -> Vec<u8> {
    store.to_be_bytes().to_vec()
}

/// The first key that is greater than every key with this prefix; none when there is no such key.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

pub(super) fn with_revision(mut key: Vec<u8>, revision: Revision) -> Vec<u8> {
    key.extend_from_slice(&revision.0.to_be_bytes());
    key
}

pub(super) fn revision(store: u32, revision: Revision) -> Vec<u8> {
    with_revision(store_prefix(store), revision)
}

pub(super) fn change(store: u32, at: Revision, ordinal: u32) -> Vec<u8> {
    let mut key = revision(store, at);
    key.extend_from_slice(&ordinal.to_be_bytes());
    key
}

pub(super) fn schema(store: u32, id: [u8; 16]) -> Vec<u8> {
    let mut key = store_prefix(store);
    key.extend_from_slice(&id);
    key
}

/// Reads the parts of a key one after the other; none at the first that is not there.
pub(in crate::storage) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(in crate::storage) fn new(key: &'a [u8]) -> Parts<'a> {
        Parts(key)
    }

    pub(in crate::storage) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(in crate::storage) fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = memchr::memchr(0, self.0)?;
        let text = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn object(&mut self) -> Option<ObjectRef<'a>> {
        Some(ObjectRef::from_checked(self.text()?, self.text()?))
    }

    fn subject(&mut self) -> Option<SubjectRef<'a>> {
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        match kind {
            KIND_OBJECT => Some(SubjectRef::Object(self.object()?)),
            KIND_WILDCARD => Some(SubjectRef::Wildcard(self.text()?)),
            KIND_USERSET => Some(SubjectRef::Userset(self.object()?, self.text()?)),
            _ => None,
        }
    }

    /// The tuple of a key whose store number has been read.
    pub(in crate::storage) fn tuple(&mut self, direction: Direction) -> Option<TupleRef<'a>> {
        match direction {
            Direction::Forward => {
                let object = self.object()?;
                Some(TupleRef { object, relation: self.text()?, subject: self.subject()? })
            }
            Direction::Backward => {
                let subject = self.subject()?;
                let (object_type, relation, id) = (self.text()?, self.text()?, self.text()?);
                Some(TupleRef { object: ObjectRef::from_checked(object_type, id), relation, subject })
            }
        }
    }

    pub(in crate::storage) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The tuple of a whole key of `tuples` or `by_subject`.
pub(in crate::storage) fn parse(direction: Direction, key: &[u8]) -> Option<TupleRef<'_>> {
    let mut parts = Parts::new(key);
    parts.u32()?;
    let tuple = parts.tuple(direction)?;
    parts.is_empty().then_some(tuple)
}

/// The subject at the end of a key of `tuples`, behind the `prefix` of [`subjects_prefix`].
pub(super) fn parse_subject<'k>(prefix: &[u8], key: &'k [u8]) -> Option<SubjectRef<'k>> {
    // The kind is the last byte of the prefix.
    let mut parts = Parts::new(key.get(prefix.len().checked_sub(1)?..)?);
    let subject = parts.subject()?;
    parts.is_empty().then_some(subject)
}

/// The id of the object at the end of a key of `by_subject`, behind the `prefix` of [`objects_prefix`].
pub(super) fn parse_id<'k>(prefix: &[u8], key: &'k [u8]) -> Option<&'k str> {
    let mut parts = Parts::new(key.get(prefix.len()..)?);
    let id = parts.text()?;
    parts.is_empty().then_some(id)
}

/// A key for messages: text as it is, everything else as `\xNN`.
pub(in crate::storage) fn show(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::TupleKey;

    fn key(text: &str) -> TupleKey {
        text.parse().unwrap()
    }

    #[test]
    fn golden_keys() {
        let tuple = key("voice:7#viewer@user:anne");
        assert_eq!(forward(258, tuple.as_ref()), b"\0\0\x01\x02voice\x007\0viewer\0\x01user\0anne\0");
        assert_eq!(backward(258, tuple.as_ref()), b"\0\0\x01\x02\x01user\0anne\0voice\0viewer\x007\0");
        let tuple = key("voice:7#viewer@user:*");
        assert_eq!(forward(1, tuple.as_ref()), b"\0\0\0\x01voice\x007\0viewer\0\x02user\0");
        let tuple = key("voice:7#viewer@org:a#admin");
        assert_eq!(backward(1, tuple.as_ref()), b"\0\0\0\x01\x03org\0a\0admin\0voice\0viewer\x007\0");
        assert_eq!(change(1, Revision(2), 3), b"\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x03");
    }

    #[test]
    fn keys_parse_back() {
        for text in ["a:b#c@d:e", "a:b@x#c@d:*", "a:ü#c@d:e@f#g"] {
            let tuple = key(text);
            for direction in [Direction::Forward, Direction::Backward] {
                let bytes = super::tuple(direction, 9, tuple.as_ref());
                assert_eq!(parse(direction, &bytes), Some(tuple.as_ref()));
                for cut in 0..bytes.len() {
                    assert_eq!(parse(direction, &bytes[..cut]), None, "{text} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn the_part_of_a_key_that_filters_know_is_the_prefix_of_its_scan() {
        for text in ["a:b#c@d:e", "a:b@x#c@d:*", "a:ü#c@d:e@f#g"] {
            let tuple = key(text);
            let tuple = tuple.as_ref();
            let whole = forward(9, tuple);
            let prefix = subjects_prefix(9, tuple.object, tuple.relation, tuple.subject.kind());
            assert_eq!(subjects_part(&whole), prefix);
            assert_eq!(subjects_part(&prefix), prefix);
            assert_eq!(parse_subject(&prefix, &whole), Some(tuple.subject));
            for cut in 0..whole.len() {
                assert_eq!(has_subjects_part(&whole[..cut]), cut >= prefix.len(), "{text} cut at {cut}");
            }
            let whole = backward(9, tuple);
            let prefix = objects_prefix(9, tuple.subject, tuple.object.object_type(), tuple.relation);
            assert_eq!(objects_part(&whole), prefix);
            assert_eq!(objects_part(&prefix), prefix);
            assert_eq!(parse_id(&prefix, &whole), Some(tuple.object.id()));
            for cut in 0..whole.len() {
                assert_eq!(has_objects_part(&whole[..cut]), cut >= prefix.len(), "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn successors() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xff"), None);
    }
}
