//! Tuples whose keys are neighbours byte by byte, and the filters over them.

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};
use stonetown::storage::{ObjectFilter, SubjectFilter, TupleFilter};
use stonetown::tuple::{Object, Relation, Subject, SubjectKind, TupleKey};

/// Names that are prefixes of each other, or stand next to each other in byte order.
const TYPES: [&str; 8] = ["a", "ab", "a-", "b", "r", "ä", "a\u{10ffff}", "LONG"];
const IDS: [&str; 16] = [
    "1",
    "11",
    "1@",
    "1@2",
    "@",
    "@b",
    "*x",
    "x",
    "xy",
    "!",
    "~",
    "é",
    "e\u{301}",
    "\u{10ffff}",
    "\u{a0}",
    "LONG",
];
const RELATIONS: [&str; 7] = ["r", "rs", "r-", "a", "ü", "\u{10ffff}", "LONG"];

/// All that a history talks about.
pub(crate) struct Universe {
    /// What tuples are about.
    pub(crate) objects: Vec<Object>,
    /// By what they are held.
    pub(crate) relations: Vec<Relation>,
    /// Who holds them.
    pub(crate) subjects: Vec<Subject>,
    /// The types of the objects, and one that has none.
    pub(crate) object_types: Vec<String>,
    /// The tuples that may come to be.
    pub(crate) tuples: Vec<TupleKey>,
    /// Filters of every form, some of which fit nothing.
    pub(crate) filters: Vec<TupleFilter>,
}

/// The three shapes of subject.
pub(crate) const KINDS: [SubjectKind; 3] = [SubjectKind::Object, SubjectKind::Wildcard, SubjectKind::Userset];

impl Universe {
    /// About a hundred tuples over a few objects, relations and subjects.
    pub(crate) fn random(chance: &mut impl Rng) -> Universe {
        let types: Vec<String> = TYPES.sample(chance, 4).map(|name| long(name, 254)).collect();
        let short: Vec<&String> = types.iter().filter(|name| name.len() < 200).collect();
        let mut objects: Vec<Object> = (0..6).map(|_| object(chance, &types)).collect();
        let mut relations: Vec<Relation> =
            RELATIONS.sample(chance, 3).map(|name| Relation::new(&long(name, 50)).unwrap()).collect();
        let mut subjects: Vec<Subject> = (0..9)
            .map(|_| match chance.random_range(0..5) {
                0 => Subject::Wildcard(types.choose(chance).unwrap().as_str().into()),
                1 | 2 => {
                    let object_type = short.choose(chance).unwrap();
                    userset(chance, object_type)
                }
                _ => Subject::Object(object(chance, &types)),
            })
            .collect();
        objects.sort();
        objects.dedup();
        relations.sort();
        subjects.sort();
        subjects.dedup();
        let mut tuples = Vec::new();
        for object in &objects {
            for relation in &relations {
                for subject in &subjects {
                    let (object, relation, subject) = (object.clone(), relation.clone(), subject.clone());
                    tuples.push(TupleKey { object, relation, subject });
                }
            }
        }
        tuples.shuffle(chance);
        tuples.truncate(90);
        let mut object_types = types;
        object_types.push("absent".to_owned());
        let filters = filters(chance, &objects, &relations, &subjects, &object_types);
        Universe { objects, relations, subjects, object_types, tuples, filters }
    }
}

/// A name that stands for the longest one of its kind.
fn long(name: &str, chars: usize) -> String {
    if name == "LONG" { "l".repeat(chars) } else { name.to_owned() }
}

fn object(chance: &mut impl Rng, types: &[String]) -> Object {
    let object_type = types.choose(chance).unwrap();
    let room = 255 - object_type.chars().count();
    let id = long(IDS.choose(chance).unwrap(), room);
    let id: String = id.chars().take(room).collect();
    Object::new(object_type, if id == "*" { "x" } else { &id }).unwrap()
}

fn userset(chance: &mut impl Rng, object_type: &str) -> Subject {
    let id = long(IDS.choose(chance).unwrap(), 200).replace('*', "+");
    let relation = long(RELATIONS.choose(chance).unwrap(), 50);
    format!("{object_type}:{id}#{relation}").parse().unwrap()
}

/// Two filters of each of the eighteen forms.
fn filters(
    chance: &mut impl Rng,
    objects: &[Object],
    relations: &[Relation],
    subjects: &[Subject],
    types: &[String],
) -> Vec<TupleFilter> {
    let mut filters = Vec::new();
    for form in 0..24 {
        for _ in 0..2 {
            let any_type = |chance: &mut _| types.choose(chance).unwrap().as_str().into();
            let object = match form % 3 {
                0 => None,
                1 => Some(ObjectFilter::Type(any_type(chance))),
                _ => Some(ObjectFilter::Object(objects.choose(chance).unwrap().clone())),
            };
            let subject = match form / 3 % 4 {
                0 => None,
                2 => Some(SubjectFilter::Naming(objects.choose(chance).unwrap().clone())),
                1 => Some(SubjectFilter::Type(any_type(chance))),
                _ => Some(SubjectFilter::Subject(subjects.choose(chance).unwrap().clone())),
            };
            let relation = (form / 12 == 1).then(|| relations.choose(chance).unwrap().clone());
            filters.push(TupleFilter { object, relation, subject });
        }
    }
    filters.dedup();
    filters
}
