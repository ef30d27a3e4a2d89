//! What must hold of the fast evaluator beside single answers.

use std::collections::BTreeSet;

use stonetown::eval::{EvalError, ExpandNode, Expansion, Follow, UsersetNode, expand};
use stonetown::schema::resolved::{RelationIndex, RestrictionShape, Rewrite, Schema};
use stonetown::tuple::{Object, Subject, Tuple, TupleKey};

use super::generator::World;
use super::model::Verdict;
use super::shares::only_unions;
use super::ways::{ask, contextual, limits};

/// The depth limits that answers are held against each other at.
const LIMITS: [u32; 8] = [0, 1, 2, 3, 4, 6, 8, 25];

/// A smaller limit on depth gives the same answer or none: yes and no never change places.
pub(crate) fn depth_only_hides(world: &World, questions: &[TupleKey]) {
    let state = contextual(&world.tuples);
    for question in questions {
        let found = LIMITS.map(|limit| ask(world, &state, question, limit).unwrap());
        let is_kept = found.windows(2).all(|pair| pair[0] == Verdict::TooDeep || pair[0] == pair[1]);
        assert!(is_kept, "{question}: {found:?} at limits {LIMITS:?}\n{}\n{:#?}", world.sketch, world.tuples);
    }
}

/// Where only unions are on the way, an expansion names exactly the people for whom a check says yes. Wildcards are left
/// out: an expansion names them as such. False when there was nothing to hold against each other.
pub(crate) fn expansion_names_who_passes(world: &World, question: &TupleKey) -> bool {
    let schema = world.program.schema();
    let object_type = schema.type_named(question.object.object_type()).unwrap();
    let relation = schema.relation_named(object_type, question.relation.as_str()).unwrap();
    if !reached(schema, relation).into_iter().all(|at| only_unions(&schema.relation_at(at).rewrite)) {
        return false;
    }
    let is_wildcard = |tuple: &&Tuple| matches!(tuple.key.subject, Subject::Wildcard(_));
    let tuples: Vec<Tuple> = world.tuples.iter().filter(|tuple| !is_wildcard(tuple)).cloned().collect();
    let state = contextual(&tuples);
    let limits = limits(world.depth_max);
    let follow = Follow::Hops(world.depth_max);
    let at = question.object.as_ref();
    let root = match expand(&world.program, &state, at, question.relation.as_str(), follow, &limits) {
        Ok(root) => root,
        // A tree repeats what several ways lead to: it may grow too large where a check is quick.
        Err(EvalError::TooManyNodes(_)) => return false,
        Err(error) => panic!("expanding {question}: {error}\n{}\n{tuples:#?}", world.sketch),
    };
    let mut named = BTreeSet::new();
    people(&root, &mut named);
    let mut candidates: BTreeSet<Object> = BTreeSet::from([question.object.clone()]);
    for tuple in &tuples {
        candidates.insert(tuple.key.object.clone());
        if let Subject::Object(object) | Subject::Userset(object, _) = &tuple.key.subject {
            candidates.insert(object.clone());
        }
    }
    candidates.retain(|object| {
        let subject = Subject::Object(object.clone());
        let question = TupleKey { subject, ..question.clone() };
        schema.type_named(object.object_type()).is_some()
            && ask(world, &state, &question, world.depth_max) == Ok(Verdict::Yes)
    });
    assert_eq!(named, candidates, "expansion and checks of {question}\n{}\n{tuples:#?}", world.sketch);
    true
}

/// The relations that a relation hangs on, itself included.
fn reached(schema: &Schema, relation: RelationIndex) -> Vec<RelationIndex> {
    let mut found = vec![relation];
    let mut at = 0;
    while at < found.len() {
        let of = schema.relation_at(found[at]);
        let mut next = Vec::new();
        named(&of.rewrite, &mut next);
        for restriction in &of.restrictions {
            if let RestrictionShape::Userset(asked) = restriction.shape {
                next.push(asked);
            }
        }
        for other in next {
            if !found.contains(&other) {
                found.push(other);
            }
        }
        at += 1;
    }
    found
}

fn named(rewrite: &Rewrite, found: &mut Vec<RelationIndex>) {
    match rewrite {
        Rewrite::Nil | Rewrite::Direct => {}
        Rewrite::Computed(other) => found.push(*other),
        Rewrite::Arrow(arrow) => found.extend(arrow.targets.iter().map(|(_, target)| *target)),
        Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
            parts.iter().for_each(|part| named(part, found))
        }
        Rewrite::Exclusion(base, subtract) => {
            named(base, found);
            named(subtract, found);
        }
    }
}

/// The objects that an expansion names as subjects.
fn people(node: &UsersetNode, found: &mut BTreeSet<Object>) {
    if let Expansion::Expanded(node) = &node.expansion {
        people_of(node, found);
    }
}

fn people_of(node: &ExpandNode, found: &mut BTreeSet<Object>) {
    match node {
        ExpandNode::Nobody => {}
        ExpandNode::Subjects { subjects, usersets } => {
            for subject in subjects {
                if let Subject::Object(object) = subject {
                    found.insert(object.clone());
                }
            }
            usersets.iter().for_each(|userset| people(userset, found));
        }
        ExpandNode::Computed(userset) => people(userset, found),
        ExpandNode::Arrow { parents, .. } => parents.iter().for_each(|parent| people(parent, found)),
        ExpandNode::Union(parts) => parts.iter().for_each(|part| people_of(part, found)),
        ExpandNode::Intersection(_) | ExpandNode::Exclusion(..) => unreachable!("only unions are on the way"),
    }
}
