//! Expand: who stands behind a relation of an object (Zanzibar §2.4.5), one level or down to people.

use std::ops::ControlFlow;

use super::conditions::Conditions;
use super::error::EvalError;
use super::meter::{Limits, Meter};
use super::program::{Program, find_relation, find_type};
use crate::condition::Context;
use crate::schema::resolved::{Arrow, RelationIndex, RestrictionShape, Rewrite};
use crate::storage::{Row, TupleReader};
use crate::tuple::{Object, ObjectRef, Relation, Subject, SubjectKind, SubjectRef};

/// How far an expansion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The rewrite of the relation asked for, and the tuples it looks at: what OpenFGA answers.
    OneLevel,
    /// Usersets, computed relations and parents too, over at most this many hops.
    Hops(u32),
}

/// The subjects of one relation of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersetNode {
    /// On what.
    pub object: Object,
    /// What is held.
    pub relation: Relation,
    /// Who stands behind it.
    pub expansion: Expansion,
}

/// Whether and how a userset was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// This is what its relation says.
    Expanded(Box<ExpandNode>),
    /// It was not followed: so far, and no farther, was asked for.
    NotFollowed,
    /// It is being expanded further up: a cycle.
    Cycle,
    /// The type of the object does not have the relation: nobody.
    NoRelation,
}

/// What a relation, or a part of its rewrite, says for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandNode {
    /// Nobody.
    Nobody,
    /// The subjects written on it, in order; usersets among them may have been followed.
    Subjects {
        /// Objects and wildcards.
        subjects: Vec<Subject>,
        /// Usersets.
        usersets: Vec<UsersetNode>,
    },
    /// Another relation of the same object.
    Computed(UsersetNode),
    /// A relation of the objects found over a tupleset.
    Arrow {
        /// The relation walked over.
        tupleset: Relation,
        /// One for each object found, in order.
        parents: Vec<UsersetNode>,
    },
    /// Any of them.
    Union(Vec<ExpandNode>),
    /// All of them.
    Intersection(Vec<ExpandNode>),
    /// The first, without the second.
    Exclusion(Box<ExpandNode>, Box<ExpandNode>),
}

/// Expands a relation of an object in one state.
///
/// Tuples that are not valid under the schema are left out; conditions are not evaluated.
///
/// # Errors
/// Names that the schema does not have, more nodes or reads than the limits allow, or storage.
pub fn expand(
    program: &Program,
    state: &dyn TupleReader,
    object: ObjectRef<'_>,
    relation: &str,
    follow: Follow,
    limits: &Limits,
) -> Result<UsersetNode, EvalError> {
    let object_type = find_type(program.schema(), object.object_type())?;
    let relation = find_relation(program.schema(), object_type, relation)?;
    // None is evaluated: everybody who is written is shown.
    let context = Context::default();
    let conditions = Conditions::new(&context);
    let mut run = Run {
        program,
        meter: Meter::new(state, limits, &conditions),
        limits,
        nodes: 0,
        nesting: 0,
        path: Vec::new(),
    };
    let hops = match follow {
        Follow::OneLevel => None,
        Follow::Hops(hops) => Some(hops),
    };
    run.userset(object.to_owned(), relation, hops, true)
}

/// Levels of a tree: deeper ones could not be made, printed or dropped on the stack of a thread.
const NESTING_MAX: usize = 400;

struct Run<'a> {
    program: &'a Program,
    meter: Meter<'a>,
    limits: &'a Limits,
    nodes: usize,
    /// How deep the tree is here: computed relations nest without a hop.
    nesting: usize,
    /// What is being expanded, from the top down.
    path: Vec<(RelationIndex, Object)>,
}

impl Run<'_> {
    /// `hops`: how many more may be taken; none: only what is asked for is expanded.
    fn userset(
        &mut self,
        object: Object,
        relation: RelationIndex,
        hops: Option<u32>,
        is_followed: bool,
    ) -> Result<UsersetNode, EvalError> {
        self.count()?;
        let program = self.program;
        let expansion = self.nested(|run| {
            if !is_followed {
                return Ok(Expansion::NotFollowed);
            }
            if run.path.iter().any(|(on_path, at)| *on_path == relation && *at == object) {
                return Ok(Expansion::Cycle);
            }
            run.path.push((relation, object.clone()));
            let node =
                run.rewrite(&object, relation, &program.schema().relation_at(relation).rewrite, hops)?;
            run.path.pop();
            Ok(Expansion::Expanded(Box::new(node)))
        })?;
        let relation = Relation::from_checked(program.relation_name(relation));
        Ok(UsersetNode { object, relation, expansion })
    }

    fn rewrite(
        &mut self,
        object: &Object,
        relation: RelationIndex,
        rewrite: &Rewrite,
        hops: Option<u32>,
    ) -> Result<ExpandNode, EvalError> {
        self.count()?;
        self.nested(|run| match rewrite {
            Rewrite::Nil => Ok(ExpandNode::Nobody),
            Rewrite::Direct => run.direct(object, relation, hops),
            Rewrite::Computed(other) => {
                Ok(ExpandNode::Computed(run.userset(object.clone(), *other, hops, hops.is_some())?))
            }
            Rewrite::Arrow(arrow) => run.arrow(object, arrow, hops),
            Rewrite::Union(children) => Ok(ExpandNode::Union(run.all(object, relation, children, hops)?)),
            Rewrite::Intersection(children) => {
                Ok(ExpandNode::Intersection(run.all(object, relation, children, hops)?))
            }
            Rewrite::Exclusion(base, subtract) => {
                let base = run.rewrite(object, relation, base, hops)?;
                let subtract = run.rewrite(object, relation, subtract, hops)?;
                Ok(ExpandNode::Exclusion(Box::new(base), Box::new(subtract)))
            }
        })
    }

    fn all(
        &mut self,
        object: &Object,
        relation: RelationIndex,
        children: &[Rewrite],
        hops: Option<u32>,
    ) -> Result<Vec<ExpandNode>, EvalError> {
        children.iter().map(|child| self.rewrite(object, relation, child, hops)).collect()
    }

    fn direct(
        &mut self,
        object: &Object,
        relation: RelationIndex,
        hops: Option<u32>,
    ) -> Result<ExpandNode, EvalError> {
        let program = self.program;
        let is_valid = |subject: SubjectRef<'_>, row: &Row| match subject {
            SubjectRef::Userset(..) => program.valid_userset(relation, subject, row).is_some(),
            SubjectRef::Object(_) => program.valid_parent(relation, subject, row).is_some(),
            SubjectRef::Wildcard(name) => program
                .schema()
                .type_named(name)
                .is_some_and(|it| program.allows(relation, it, RestrictionShape::Wildcard, row)),
        };
        let mut found = Vec::new();
        for kind in [SubjectKind::Object, SubjectKind::Wildcard, SubjectKind::Userset] {
            self.meter.subjects(object.as_ref(), program.relation_name(relation), kind, |subject, row| {
                if is_valid(subject, row) {
                    found.push(subject.to_owned());
                }
                ControlFlow::Continue(())
            })?;
        }
        found.sort_by_cached_key(ToString::to_string);
        found.dedup();
        let mut node = (Vec::new(), Vec::new());
        for subject in found {
            match subject {
                Subject::Userset(at, name) => {
                    let at_type = find_type(program.schema(), at.object_type())?;
                    let asked = find_relation(program.schema(), at_type, name.as_str())?;
                    node.1.push(self.hop(at, asked, hops)?);
                }
                other => {
                    self.count()?;
                    node.0.push(other);
                }
            }
        }
        Ok(ExpandNode::Subjects { subjects: node.0, usersets: node.1 })
    }

    fn arrow(&mut self, object: &Object, arrow: &Arrow, hops: Option<u32>) -> Result<ExpandNode, EvalError> {
        let program = self.program;
        let tupleset = program.relation_name(arrow.tupleset);
        let mut found = Vec::new();
        self.meter.subjects(object.as_ref(), tupleset, SubjectKind::Object, |subject, row| {
            if let (Some(parent_type), SubjectRef::Object(parent)) =
                (program.valid_parent(arrow.tupleset, subject, row), subject)
            {
                found.push((parent_type, parent.to_owned()));
            }
            ControlFlow::Continue(())
        })?;
        found.sort_by(|(_, a), (_, b)| a.cmp(b));
        found.dedup();
        let mut parents = Vec::with_capacity(found.len());
        for (parent_type, parent) in found {
            let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
            parents.push(match target {
                Some(&(_, asked)) => self.hop(parent, asked, hops)?,
                None => {
                    self.count()?;
                    let relation = Relation::from_checked(&arrow.target_name);
                    UsersetNode { object: parent, relation, expansion: Expansion::NoRelation }
                }
            });
        }
        Ok(ExpandNode::Arrow { tupleset: Relation::from_checked(tupleset), parents })
    }

    /// A userset one hop away, followed as long as hops are left.
    fn hop(
        &mut self,
        object: Object,
        relation: RelationIndex,
        hops: Option<u32>,
    ) -> Result<UsersetNode, EvalError> {
        let left = hops.and_then(|hops| hops.checked_sub(1));
        self.userset(object, relation, left, left.is_some())
    }

    /// One level deeper. After an error nothing is expanded any more, so the level need not be taken back.
    fn nested<T>(&mut self, expand: impl FnOnce(&mut Self) -> Result<T, EvalError>) -> Result<T, EvalError> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(EvalError::TooNested(NESTING_MAX));
        }
        let expanded = expand(self)?;
        self.nesting -= 1;
        Ok(expanded)
    }

    fn count(&mut self) -> Result<(), EvalError> {
        self.nodes += 1;
        if self.nodes > self.limits.expand_nodes_max {
            return Err(EvalError::TooManyNodes(self.limits.expand_nodes_max));
        }
        Ok(())
    }
}
