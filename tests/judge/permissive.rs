//! A schema that lets given tuples in: what they were written under before the schema that is judged.

use std::collections::{BTreeMap, BTreeSet};

use stonetown::schema::Tree;
use stonetown::tuple::{Subject, Tuple};

use super::sketch::{Expression, RelationSketch, RestrictionSketch, ShapeSketch, Sketch};

/// The least schema under which all of these tuples may be written; none of them carries a condition.
pub(crate) fn permissive(tuples: &[Tuple]) -> Tree {
    let mut types: BTreeMap<String, BTreeMap<String, BTreeSet<RestrictionSketch>>> = BTreeMap::new();
    // A schema has at least one type.
    types.entry("user".to_owned()).or_default();
    for tuple in tuples {
        let key = &tuple.key;
        let subject_type = key.subject.subject_type().to_owned();
        types.entry(subject_type.clone()).or_default();
        let shape = match &key.subject {
            Subject::Object(_) => ShapeSketch::Object,
            Subject::Wildcard(_) => ShapeSketch::Wildcard,
            Subject::Userset(object, relation) => {
                let asked = types.entry(object.object_type().to_owned()).or_default();
                // The relation has to be there; that objects of its own type may be written on it is beside the point.
                asked.entry(relation.to_string()).or_default().insert(RestrictionSketch {
                    subject_type: subject_type.clone(),
                    shape: ShapeSketch::Object,
                });
                ShapeSketch::Userset(relation.to_string())
            }
        };
        let restriction = RestrictionSketch { subject_type, shape };
        let relations = types.entry(key.object.object_type().to_owned()).or_default();
        relations.entry(key.relation.to_string()).or_default().insert(restriction);
    }
    let types =
        types.into_iter().map(|(name, relations)| (name, relations.into_iter().map(relation).collect()));
    let sketch = Sketch { types: types.collect() };
    sketch.resolve().unwrap_or_else(|| panic!("a permissive schema breaks a rule:\n{sketch}")).0
}

fn relation((name, restrictions): (String, BTreeSet<RestrictionSketch>)) -> RelationSketch {
    RelationSketch { name, restrictions: restrictions.into_iter().collect(), expression: Expression::Direct }
}
