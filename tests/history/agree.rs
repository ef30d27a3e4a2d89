//! Holding a reader against the rows that it has to show, question by question.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use stonetown::storage::{ObjectFilter, Row, SubjectFilter, TupleFilter, TupleReader};
use stonetown::tuple::{Object, Subject, SubjectRef, TupleKey};

use crate::model::Rows;
use crate::universe::{KINDS, Universe};

/// What a scan calls with everything that it finds.
type Visit<'v, T> = &'v mut dyn FnMut(T, &Row) -> ControlFlow<()>;

/// What a reader has to show.
pub(crate) struct Expected {
    /// To point look-ups.
    pub(crate) points: Rows,
    /// To scans, in the order of `tuples`.
    forward: Vec<(TupleKey, Row)>,
    /// To scans, in the order of `by_subject`.
    backward: Vec<(TupleKey, Row)>,
    /// Whether the order counts: it does for stored states.
    ordered: bool,
}

impl Expected {
    /// A stored state.
    pub(crate) fn stored(rows: Rows) -> Expected {
        let scanned = rows.iter().map(|(key, row)| (key.clone(), row.clone())).collect();
        Expected { ordered: true, ..Expected::overlaid(rows, scanned) }
    }

    /// An overlay, of which scans may see more than point look-ups, in any order.
    pub(crate) fn overlaid(points: Rows, mut forward: Vec<(TupleKey, Row)>) -> Expected {
        let mut backward = forward.clone();
        forward.sort_by(|(a, _), (b, _)| in_tuples(a, b));
        backward.sort_by(|(a, _), (b, _)| in_by_subject(a, b));
        Expected { points, forward, backward, ordered: false }
    }

    /// Asks everything there is to ask.
    pub(crate) fn hold(&self, reader: &dyn TupleReader, universe: &Universe, what: &str) {
        self.hold_points(reader, universe, what);
        for object in &universe.objects {
            for relation in &universe.relations {
                self.hold_subjects(reader, object, relation.as_str(), what);
            }
        }
        for subject in &universe.subjects {
            for object_type in &universe.object_types {
                for relation in &universe.relations {
                    self.hold_objects(reader, subject, object_type, relation.as_str(), what);
                }
            }
        }
        for filter in &universe.filters {
            self.hold_scan(reader, filter, what);
        }
        self.hold_scan(reader, &TupleFilter::default(), what);
    }

    /// Asks for every tuple.
    pub(crate) fn hold_points(&self, reader: &dyn TupleReader, universe: &Universe, what: &str) {
        for key in &universe.tuples {
            let found = reader.get(key.as_ref()).unwrap();
            assert_eq!(found.as_ref(), self.points.get(key), "{what}: get {key}");
        }
    }

    /// Asks for the subjects of every shape on one object.
    fn hold_subjects(&self, reader: &dyn TupleReader, object: &Object, relation: &str, what: &str) {
        for kind in KINDS {
            let fits = |key: &TupleKey| {
                key.object == *object
                    && key.relation.as_str() == relation
                    && key.subject.as_ref().kind() == kind
            };
            let expected = only(&self.forward, fits, |key| key.subject.clone());
            let what = format!("{what}: subjects of {object}#{relation}, {kind:?}");
            self.hold_visits(&expected, &what, &mut |visit| {
                reader
                    .subjects(object.as_ref(), relation, kind, &mut |subject, row| {
                        visit(subject.to_owned(), row)
                    })
                    .unwrap();
            });
        }
    }

    /// Asks for the objects of one subject.
    fn hold_objects(
        &self,
        reader: &dyn TupleReader,
        subject: &Subject,
        of_type: &str,
        relation: &str,
        what: &str,
    ) {
        let fits = |key: &TupleKey| {
            key.subject == *subject
                && key.relation.as_str() == relation
                && key.object.object_type() == of_type
        };
        let expected = only(&self.backward, fits, |key| key.object.clone());
        let what = format!("{what}: objects of {subject}, {of_type}:#{relation}");
        self.hold_visits(&expected, &what, &mut |visit| {
            reader
                .objects(subject.as_ref(), of_type, relation, None, &mut |object, row| {
                    visit(object.to_owned(), row)
                })
                .unwrap();
        });
    }

    /// Scans with one filter.
    pub(crate) fn hold_scan(&self, reader: &dyn TupleReader, filter: &TupleFilter, what: &str) {
        let rows = if is_by_object(filter) { &self.forward } else { &self.backward };
        let expected = only(rows, |key| fits(filter, key), TupleKey::clone);
        let what = format!("{what}: scan `{filter}`");
        self.hold_visits(&expected, &what, &mut |visit| {
            reader.scan(filter, &mut |tuple, row| visit(tuple.to_owned(), row)).unwrap();
        });
    }

    /// Runs a scan to its end and up to a break half-way: what is visited, in which order, and that it stops.
    fn hold_visits<T: Clone + std::fmt::Debug + Ord>(
        &self,
        expected: &[(T, Row)],
        what: &str,
        run: &mut dyn FnMut(Visit<'_, T>),
    ) {
        let mut found = Vec::new();
        run(&mut |item, row| {
            found.push((item, row.clone()));
            ControlFlow::Continue(())
        });
        let whole = found.clone();
        if self.ordered {
            assert_eq!(found, expected, "{what}");
        } else {
            assert_eq!(sorted(found), sorted(expected.to_vec()), "{what}");
        }
        if expected.is_empty() {
            return;
        }
        let stop = expected.len().div_ceil(2);
        let mut broken = Vec::new();
        run(&mut |item, row| {
            broken.push((item, row.clone()));
            if broken.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(broken, whole[..stop], "{what}, stopped after {stop}");
    }
}

/// All rows that a reader shows to a scan, in its order.
pub(crate) fn scan_all(reader: &dyn TupleReader) -> Vec<(TupleKey, Row)> {
    let mut rows = Vec::new();
    reader
        .scan(&TupleFilter::default(), &mut |tuple, row| {
            rows.push((tuple.to_owned(), row.clone()));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

fn only<T>(
    rows: &[(TupleKey, Row)],
    fits: impl Fn(&TupleKey) -> bool,
    part: impl Fn(&TupleKey) -> T,
) -> Vec<(T, Row)> {
    rows.iter().filter(|(key, _)| fits(key)).map(|(key, row)| (part(key), row.clone())).collect()
}

fn sorted<T: Ord>(mut rows: Vec<(T, Row)>) -> Vec<(T, Row)> {
    let rank = |row: &Row| (row.created, row.expires_at, row.condition.as_ref().map(ToString::to_string));
    rows.sort_by(|(a, a_row), (b, b_row)| a.cmp(b).then_with(|| rank(a_row).cmp(&rank(b_row))));
    rows
}

/// The meaning of a filter, said again without help from the one under test.
fn fits(filter: &TupleFilter, key: &TupleKey) -> bool {
    let text = key.to_string();
    let object =
        filter.object.as_ref().map(|_| TupleFilter { object: filter.object.clone(), ..none() }.to_string());
    let object_fits = object.is_none_or(|part| {
        if part.ends_with(':') { text.starts_with(&part) } else { text.starts_with(&format!("{part}#")) }
    });
    let relation_fits = filter.relation.as_ref().is_none_or(|relation| *relation == key.relation);
    let subject_fits = match &filter.subject {
        None => true,
        Some(SubjectFilter::Type(name)) => key.subject.to_string().starts_with(&format!("{name}:")),
        Some(SubjectFilter::Subject(subject)) => key.subject == *subject,
        Some(SubjectFilter::Naming(object)) => {
            let (subject, object) = (key.subject.to_string(), object.to_string());
            subject == object || subject.starts_with(&format!("{object}#"))
        }
    };
    object_fits && relation_fits && subject_fits
}

fn none() -> TupleFilter {
    TupleFilter::default()
}

/// Whether a scan goes through `tuples`: it does when the object is named, or nothing is known of the subject but
/// its type while the object's is known too, or nothing at all.
fn is_by_object(filter: &TupleFilter) -> bool {
    match (&filter.object, &filter.subject) {
        (Some(ObjectFilter::Object(_)), _) | (_, None) => true,
        (_, Some(SubjectFilter::Subject(_) | SubjectFilter::Naming(_))) => false,
        (object, Some(SubjectFilter::Type(_))) => object.is_some(),
    }
}

/// The order of `tuples`: object type, object id, relation, subject. Comparing strings part by part is what the
/// NUL after each of them comes to.
fn in_tuples(a: &TupleKey, b: &TupleKey) -> Ordering {
    (object_parts(&a.object), a.relation.as_str(), subject_parts(&a.subject)).cmp(&(
        object_parts(&b.object),
        b.relation.as_str(),
        subject_parts(&b.subject),
    ))
}

/// The order of `by_subject`: subject, object type, relation, object id.
fn in_by_subject(a: &TupleKey, b: &TupleKey) -> Ordering {
    (subject_parts(&a.subject), a.object.object_type(), a.relation.as_str(), a.object.id()).cmp(&(
        subject_parts(&b.subject),
        b.object.object_type(),
        b.relation.as_str(),
        b.object.id(),
    ))
}

fn object_parts(object: &Object) -> (&str, &str) {
    (object.object_type(), object.id())
}

/// Kind, type, id, relation.
fn subject_parts(subject: &Subject) -> (u8, &str, &str, &str) {
    match subject.as_ref() {
        SubjectRef::Object(object) => (1, object.object_type(), object.id(), ""),
        SubjectRef::Wildcard(subject_type) => (2, subject_type, "", ""),
        SubjectRef::Userset(object, relation) => (3, object.object_type(), object.id(), relation),
    }
}
