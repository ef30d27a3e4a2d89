//! Full listings by the judge, and their difference.

use std::collections::{BTreeMap, BTreeSet};

use stonetown::analysis::Change;
use stonetown::schema::Schema;
use stonetown::tuple::{Object, Relation, Subject, Tuple, TupleKey};

use super::change::Case;
use super::model::{Facts, valid};

/// By object, permission, type of subject, and subject or everybody: the change, and 0, 1 or 2 for no, conditional and yes.
pub(crate) type Lines = BTreeMap<(String, String, String, Option<String>), (Change, u8, u8)>;

/// A condition whose value is unknown: its name, its definition, what the tuple gives.
type Unknown = (String, String, String);

/// Who holds what, as the set of those ways in which the unknown conditions can turn out under which they do.
type Listing = BTreeMap<(Object, String, Subject), u64>;

/// The id of whoever is not named.
const FRESH: &str = "__fresh__";

pub(crate) fn difference(case: &Case) -> Lines {
    let sides = [(case.programs[0].schema(), case.before.clone()), (case.programs[1].schema(), case.after())];
    let mut unknowns: BTreeSet<Unknown> = BTreeSet::new();
    let (mut objects, mut subjects) = (BTreeSet::new(), BTreeSet::new());
    let mut types = BTreeSet::new();
    for (schema, tuples) in &sides {
        types.extend(schema.types().map(|(_, kind)| kind.name.to_string()));
        for tuple in tuples.iter().filter(|tuple| valid(schema, tuple).is_some()) {
            objects.insert(tuple.key.object.clone());
            match &tuple.key.subject {
                Subject::Object(object) => {
                    objects.insert(object.clone());
                    subjects.insert(object.clone());
                }
                Subject::Userset(object, _) => drop(objects.insert(object.clone())),
                Subject::Wildcard(_) => {}
            }
            unknowns.extend(unknown(schema, tuple));
        }
    }
    subjects.extend(types.iter().map(|of| Object::new(of, FRESH).unwrap()));
    let unknowns: Vec<Unknown> = unknowns.into_iter().collect();
    assert!(unknowns.len() <= 6, "{unknowns:?}");
    let [before, after] = sides.map(|(schema, tuples)| listing(schema, &tuples, &subjects, &unknowns));
    let always = u64::MAX >> (64 - (1_u32 << unknowns.len()));
    let class = |truth: u64| if truth == 0 { 0 } else { 1 + u8::from(truth == always) };
    let mut lines = Lines::new();
    let mut places: BTreeSet<(Object, String)> = BTreeSet::new();
    places.extend(
        before.keys().chain(after.keys()).map(|(object, relation, _)| (object.clone(), relation.clone())),
    );
    for (object, relation) in places.into_iter().filter(|(object, _)| objects.contains(object)) {
        let truths = |subject: &Object| {
            let key = (object.clone(), relation.clone(), Subject::Object(subject.clone()));
            let of = |listing: &Listing| listing.get(&key).copied().unwrap_or(0);
            (of(&before), of(&after))
        };
        for subject in &subjects {
            let everybody = truths(&Object::new(subject.object_type(), FRESH).unwrap());
            let (first, second) = truths(subject);
            let is_fresh = subject.id() == FRESH;
            let is_told = match everybody.0 == everybody.1 || is_fresh {
                true => first != second,
                false => (first, second) != everybody,
            };
            if is_told {
                let change = match (class(first), class(second)) {
                    _ if first == second => Change::Kept,
                    (1, 1) => Change::Changed,
                    (a, b) if a < b => Change::Gained,
                    _ => Change::Lost,
                };
                let id = (!is_fresh).then(|| subject.id().to_owned());
                let key = (object.to_string(), relation.clone(), subject.object_type().to_owned(), id);
                lines.insert(key, (change, class(first), class(second)));
            }
        }
    }
    lines
}

/// What a valid tuple's condition is, when its value is unknown.
fn unknown(schema: &Schema, tuple: &Tuple) -> Option<Unknown> {
    let condition = tuple.condition.as_ref()?;
    let context = condition.context().as_str();
    let is_known = context.contains("\"x\"") && context.contains("\"n\"");
    let definition = schema.condition_at(schema.condition_named(condition.name())?).compiled.definition();
    (!is_known).then(|| (condition.name().to_owned(), definition, context.to_owned()))
}

fn listing(schema: &Schema, tuples: &[Tuple], subjects: &BTreeSet<Object>, unknowns: &[Unknown]) -> Listing {
    let mut listing = Listing::new();
    let own: Vec<bool> = unknowns
        .iter()
        .map(|it| {
            tuples
                .iter()
                .any(|tuple| valid(schema, tuple).is_some() && unknown(schema, tuple).as_ref() == Some(it))
        })
        .collect();
    for way in 0..1_u64 << unknowns.len() {
        // What this side does not know of makes no difference to it.
        let reduced = (0..unknowns.len()).filter(|at| own[*at]).fold(0, |all, at| all | (way & (1 << at)));
        if reduced != way {
            for truth in listing.values_mut() {
                *truth |= ((*truth >> reduced) & 1) << way;
            }
            continue;
        }
        let counts = |tuple: &&Tuple| {
            let Some(condition) = &tuple.condition else { return true };
            if valid(schema, tuple).is_none() {
                return true;
            }
            match unknown(schema, tuple) {
                Some(it) => way >> unknowns.iter().position(|known| *known == it).unwrap() & 1 == 1,
                None => {
                    let negated = schema
                        .condition_at(schema.condition_named(condition.name()).unwrap())
                        .compiled
                        .definition()
                        .contains("!x");
                    condition.context().as_str().contains("true") != negated
                }
            }
        };
        let tuples: Vec<Tuple> = tuples.iter().filter(counts).cloned().collect();
        for subject in subjects {
            let Some(of) = schema.type_named(subject.object_type()) else { continue };
            let Some((asked, relation)) = schema.relations().map(|(_, it)| (it.object_type, &it.name)).next()
            else {
                continue;
            };
            let _ = of;
            let object = Object::new(&schema.type_at(asked).name, "nowhere").unwrap();
            let subject = Subject::Object(subject.clone());
            let question =
                TupleKey { object, relation: Relation::new(relation).unwrap(), subject: subject.clone() };
            let facts = Facts::ground_where(schema, &tuples, &question, true);
            let model = facts.model(&vec![true; facts.formulas.len()]);
            for (place, value) in facts.places.iter().zip(model) {
                if let (Some((object, relation)), Some(true)) = (place, value) {
                    let name = schema.relation_at(*relation).name.to_string();
                    *listing.entry((object.clone(), name, subject.clone())).or_default() |= 1 << way;
                }
            }
        }
    }
    listing
}
