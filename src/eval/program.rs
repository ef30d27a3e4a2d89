//! What is worked out once per schema, and a question with its names resolved.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::backward::Backward;
use super::error::EvalError;
use crate::schema::resolved::{
    Arrow, ArrowOver, RelationIndex, RestrictionShape, Rewrite, Schema, TypeIndex,
};
use crate::storage::Row;
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// A schema made ready for evaluation. What a relation needs is worked out when it is first asked about.
#[derive(Debug)]
pub struct Program {
    schema: Schema,
    flat: Vec<OnceLock<Option<Flat>>>,
    ends_at_names: Vec<OnceLock<bool>>,
    backward: Vec<OnceLock<Backward>>,
    behind: Vec<OnceLock<Box<[RelationIndex]>>>,
}

/// A relation that is a union all the way through its computed relations: what is to be looked at on one object,
/// in the order of cost.
#[derive(Debug, Default)]
pub(super) struct Flat {
    /// The relation itself and every one it takes over by computing.
    pub(super) members: Vec<RelationIndex>,
    /// Those of them that tuples are written on.
    pub(super) direct: Vec<RelationIndex>,
    /// The walks to other objects.
    pub(super) arrows: Vec<Arrow>,
}

impl Program {
    /// Makes a schema ready.
    pub fn new(schema: Schema) -> Program {
        let count = schema.relations().len();
        Program {
            schema,
            flat: (0..count).map(|_| OnceLock::new()).collect(),
            ends_at_names: (0..count).map(|_| OnceLock::new()).collect(),
            backward: (0..count).map(|_| OnceLock::new()).collect(),
            behind: (0..count).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The way back from subjects to a relation.
    pub(super) fn backward(&self, relation: RelationIndex) -> &Backward {
        self.backward[relation.0 as usize].get_or_init(|| Backward::to(self, relation))
    }

    /// The relations that tuples are written on and that at least one hop leads to from a relation, also to be taken away.
    pub(super) fn behind_hops(&self, relation: RelationIndex) -> &[RelationIndex] {
        self.behind[relation.0 as usize].get_or_init(|| self.find_behind_hops(relation))
    }

    fn find_behind_hops(&self, relation: RelationIndex) -> Box<[RelationIndex]> {
        let mut seen = HashSet::from([(relation, false)]);
        let mut found = vec![(relation, false)];
        let mut written = Vec::new();
        while let Some((relation, is_behind)) = found.pop() {
            let mut lead = |to: RelationIndex, is_behind: bool| {
                if seen.insert((to, is_behind)) {
                    found.push((to, is_behind));
                }
            };
            let mut rewrites = vec![&self.schema.relation_at(relation).rewrite];
            while let Some(rewrite) = rewrites.pop() {
                match rewrite {
                    Rewrite::Nil => {}
                    Rewrite::Direct => {
                        if is_behind && !written.contains(&relation) {
                            written.push(relation);
                        }
                        self.usersets_of(relation).for_each(|userset| lead(userset, true));
                    }
                    Rewrite::Computed(other) => lead(*other, is_behind),
                    Rewrite::Arrow(arrow) => arrow.targets.iter().for_each(|&(_, to)| lead(to, true)),
                    Rewrite::Union(children) | Rewrite::Intersection(children) => rewrites.extend(children),
                    Rewrite::Exclusion(base, subtract) => rewrites.extend([&**base, &**subtract]),
                }
            }
        }
        written.into()
    }

    /// Whether every userset that may be written on a relation asks for one that only names subjects: there is no
    /// further hop behind it.
    pub(super) fn ends_at_names(&self, relation: RelationIndex) -> bool {
        *self.ends_at_names[relation.0 as usize].get_or_init(|| self.all_usersets_name_subjects(relation))
    }

    fn all_usersets_name_subjects(&self, relation: RelationIndex) -> bool {
        let names_subjects = |userset| {
            self.flat(userset).is_some_and(|flat| {
                let names_more = |&member: &_| self.may_hold_usersets(member) || self.has_conditions(member);
                flat.arrows.is_empty() && !flat.direct.iter().any(names_more)
            })
        };
        self.may_hold_usersets(relation)
            && !self.has_conditions(relation)
            && self.usersets_of(relation).all(names_subjects)
    }

    /// The relations that usersets written on a relation may ask for.
    pub(crate) fn usersets_of(&self, relation: RelationIndex) -> impl Iterator<Item = RelationIndex> + '_ {
        self.schema.relation_at(relation).restrictions.iter().filter_map(|restriction| {
            match restriction.shape {
                RestrictionShape::Userset(userset) => Some(userset),
                RestrictionShape::Object | RestrictionShape::Wildcard => None,
            }
        })
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn flat(&self, relation: RelationIndex) -> Option<&Flat> {
        self.flat[relation.0 as usize].get_or_init(|| Flat::of(&self.schema, relation)).as_ref()
    }

    pub(crate) fn type_name(&self, relation: RelationIndex) -> &str {
        &self.schema.type_at(self.schema.relation_at(relation).object_type).name
    }

    pub(crate) fn relation_name(&self, relation: RelationIndex) -> &str {
        &self.schema.relation_at(relation).name
    }

    /// The relation that a stored userset asks for, when the schema still allows this tuple on `relation`.
    pub(crate) fn valid_userset(
        &self,
        relation: RelationIndex,
        subject: SubjectRef<'_>,
        row: &Row,
    ) -> Option<RelationIndex> {
        let SubjectRef::Userset(object, name) = subject else { return None };
        let subject_type = self.schema.type_named(object.object_type())?;
        let asked = self.schema.relation_named(subject_type, name)?;
        self.allows(relation, subject_type, RestrictionShape::Userset(asked), row).then_some(asked)
    }

    /// The type of a stored parent, when the schema still allows this tuple on `tupleset`.
    pub(crate) fn valid_parent(
        &self,
        tupleset: RelationIndex,
        subject: SubjectRef<'_>,
        row: &Row,
    ) -> Option<TypeIndex> {
        let SubjectRef::Object(object) = subject else { return None };
        let subject_type = self.schema.type_named(object.object_type())?;
        self.allows(tupleset, subject_type, RestrictionShape::Object, row).then_some(subject_type)
    }

    /// The type of a tuple's subject, when the schema still allows the tuple on `relation`; none: it does not.
    pub(crate) fn subject_type_of_valid(
        &self,
        relation: RelationIndex,
        subject: SubjectRef<'_>,
        row: &Row,
    ) -> Option<TypeIndex> {
        let (subject_type, shape) = subject_shape(&self.schema, subject).ok()?;
        self.allows(relation, subject_type, shape, row).then_some(subject_type)
    }

    /// The shapes of subjects that may be written on a relation, each once.
    pub(crate) fn kinds_on(&self, relation: RelationIndex) -> impl Iterator<Item = SubjectKind> + use<> {
        let restrictions = &self.schema.relation_at(relation).restrictions;
        let kind_of = |shape: &RestrictionShape| match shape {
            RestrictionShape::Object => SubjectKind::Object,
            RestrictionShape::Wildcard => SubjectKind::Wildcard,
            RestrictionShape::Userset(_) => SubjectKind::Userset,
        };
        let has = |kind| restrictions.iter().any(|it| kind_of(&it.shape) == kind);
        [SubjectKind::Object, SubjectKind::Wildcard, SubjectKind::Userset]
            .map(|kind| (kind, has(kind)))
            .into_iter()
            .filter_map(|(kind, has)| has.then_some(kind))
    }

    /// Whether a tuple is valid: this shape of subject may be written on the relation with this condition.
    pub(crate) fn allows(
        &self,
        relation: RelationIndex,
        subject_type: TypeIndex,
        shape: RestrictionShape,
        row: &Row,
    ) -> bool {
        self.schema.relation_at(relation).restrictions.iter().any(|restriction| {
            restriction.subject_type == subject_type && restriction.shape == shape && {
                let condition = restriction.condition.map(|index| &*self.schema.condition_at(index).name);
                condition == row.condition.as_ref().map(|condition| condition.name())
            }
        })
    }

    /// Whether tuples on the relation may carry a condition.
    fn has_conditions(&self, relation: RelationIndex) -> bool {
        self.schema.relation_at(relation).restrictions.iter().any(|it| it.condition.is_some())
    }

    /// Whether any tuple with this shape of subject can be valid on the relation.
    pub(super) fn may_hold(
        &self,
        relation: RelationIndex,
        subject_type: TypeIndex,
        shape: RestrictionShape,
    ) -> bool {
        let restrictions = &self.schema.relation_at(relation).restrictions;
        restrictions.iter().any(|it| it.subject_type == subject_type && it.shape == shape)
    }

    /// Whether any tuple with a userset can be valid on the relation.
    pub(crate) fn may_hold_usersets(&self, relation: RelationIndex) -> bool {
        self.usersets_of(relation).next().is_some()
    }
}

impl Flat {
    /// None when the relation is more than unions.
    fn of(schema: &Schema, relation: RelationIndex) -> Option<Flat> {
        let mut flat = Flat { members: vec![relation], ..Flat::default() };
        let mut seen = HashSet::from([relation]);
        let mut at = 0;
        // One after the other: a chain of computed relations may be as long as a schema.
        while let Some(&member) = flat.members.get(at) {
            at += 1;
            let mut rewrites = vec![&schema.relation_at(member).rewrite];
            while let Some(rewrite) = rewrites.pop() {
                match rewrite {
                    Rewrite::Nil => {}
                    Rewrite::Direct => flat.direct.push(member),
                    Rewrite::Computed(other) => {
                        if seen.insert(*other) {
                            flat.members.push(*other);
                        }
                    }
                    Rewrite::Arrow(arrow) if arrow.over == ArrowOver::Any => {
                        if !flat.arrows.contains(arrow) {
                            flat.arrows.push(arrow.clone());
                        }
                    }
                    Rewrite::Union(children) => rewrites.extend(children.iter().rev()),
                    Rewrite::Arrow(_) | Rewrite::Intersection(_) | Rewrite::Exclusion(..) => return None,
                }
            }
        }
        flat.direct.dedup();
        Some(flat)
    }
}

/// A check with its names resolved.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// On what.
    pub object: ObjectRef<'q>,
    /// What is asked.
    pub relation: RelationIndex,
    /// About whom.
    pub subject: SubjectRef<'q>,
    /// The type of the subject.
    pub(crate) subject_type: TypeIndex,
    /// The shape of a restriction that admits exactly this subject.
    pub(super) subject_shape: RestrictionShape,
}

impl<'q> Question<'q> {
    /// Looks the names up.
    ///
    /// # Errors
    /// [`EvalError::UnknownType`] and [`EvalError::UnknownRelation`], for object and subject.
    pub fn resolve(schema: &Schema, tuple: TupleRef<'q>) -> Result<Question<'q>, EvalError> {
        let object_type = find_type(schema, tuple.object.object_type())?;
        let relation = find_relation(schema, object_type, tuple.relation)?;
        let (subject_type, subject_shape) = subject_shape(schema, tuple.subject)?;
        Ok(Question { object: tuple.object, relation, subject: tuple.subject, subject_type, subject_shape })
    }

    /// The subjects whose tuples decide: the one asked about, and for an object everybody of its type. Everybody means
    /// the objects of a type, never its usersets.
    pub(crate) fn as_written(&self) -> impl Iterator<Item = (SubjectRef<'q>, RestrictionShape)> + use<'q> {
        let everybody = match self.subject {
            SubjectRef::Object(object) => {
                Some((SubjectRef::Wildcard(object.object_type()), RestrictionShape::Wildcard))
            }
            SubjectRef::Wildcard(_) | SubjectRef::Userset(..) => None,
        };
        std::iter::once((self.subject, self.subject_shape)).chain(everybody)
    }

    /// Whether the subject is the userset `id#relation` itself: whoever asks about it means exactly those people.
    pub(crate) fn is_userset(&self, relation: RelationIndex, id: &str) -> bool {
        match (self.subject, self.subject_shape) {
            (SubjectRef::Userset(object, _), RestrictionShape::Userset(asked)) => {
                asked == relation && object.id() == id
            }
            _ => false,
        }
    }
}

/// The type of a subject, and the shape of a restriction that admits exactly it.
pub(super) fn subject_shape(
    schema: &Schema,
    subject: SubjectRef<'_>,
) -> Result<(TypeIndex, RestrictionShape), EvalError> {
    let subject_type = find_type(schema, subject.subject_type())?;
    let shape = match subject {
        SubjectRef::Object(_) => RestrictionShape::Object,
        SubjectRef::Wildcard(_) => RestrictionShape::Wildcard,
        SubjectRef::Userset(_, name) => RestrictionShape::Userset(find_relation(schema, subject_type, name)?),
    };
    Ok((subject_type, shape))
}

pub(super) fn find_type(schema: &Schema, name: &str) -> Result<TypeIndex, EvalError> {
    schema
        .type_named(name)
        .ok_or_else(|| EvalError::UnknownType { name: name.to_owned(), help: schema.instead_of_type(name) })
}

pub(super) fn find_relation(
    schema: &Schema,
    object_type: TypeIndex,
    name: &str,
) -> Result<RelationIndex, EvalError> {
    schema.relation_named(object_type, name).ok_or_else(|| EvalError::UnknownRelation {
        object_type: schema.type_at(object_type).name.to_string(),
        relation: name.to_owned(),
        help: schema.instead_of_relation(object_type, name),
    })
}
