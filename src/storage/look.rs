//! Looks: single questions to a state, as they can be remembered and held against a change.

use super::filter::TupleFilter;
use crate::tuple::{Object, Relation, Subject, SubjectKind, TupleKey, TupleRef};

/// One question to a state. The answer depends on nothing but the tuples that [`Look::sees`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Look {
    /// [`TupleReader::get`](super::TupleReader::get).
    Tuple(TupleKey),
    /// [`TupleReader::subjects`](super::TupleReader::subjects).
    Subjects(Object, Relation, SubjectKind),
    /// [`TupleReader::objects`](super::TupleReader::objects): the subject, the type of the objects, the relation.
    Objects(Subject, Box<str>, Relation),
    /// [`TupleReader::scan`](super::TupleReader::scan).
    Scan(TupleFilter),
}

impl Look {
    /// Whether a tuple, when it comes or goes, may change the answer.
    pub fn sees(&self, tuple: TupleRef<'_>) -> bool {
        match self {
            Look::Tuple(key) => key.as_ref() == tuple,
            Look::Subjects(object, relation, kind) => {
                object.as_ref() == tuple.object
                    && relation.as_str() == tuple.relation
                    && *kind == tuple.subject.kind()
            }
            Look::Objects(subject, object_type, relation) => {
                subject.as_ref() == tuple.subject
                    && **object_type == *tuple.object.object_type()
                    && relation.as_str() == tuple.relation
            }
            Look::Scan(filter) => filter.matches(tuple),
        }
    }

    /// The three looks but for scans that see a tuple: whoever keeps looks finds those concerned by these.
    pub fn of(tuple: TupleRef<'_>) -> [Look; 3] {
        let TupleKey { object, relation, subject } = tuple.to_owned();
        let object_type = object.object_type().into();
        [
            Look::Tuple(tuple.to_owned()),
            Look::Subjects(object, relation.clone(), tuple.subject.kind()),
            Look::Objects(subject, object_type, relation),
        ]
    }
}
