//! The rows: every way to be written somewhere on an object, or on what a path of parents leads to.

use super::super::explain::possible_tuple;
use super::cells;
use super::facts::{fresh, is_given, suffix};
use crate::eval::Program;
use crate::schema::{RelationIndex, Restriction, RestrictionShape, Rewrite, Schema, TypeIndex};
use crate::tuple::{Object, Relation, Subject, Tuple, TupleKey};

/// Steps of a path.
const STEPS_MAX: usize = 4;

/// A row before its cells are known.
pub(super) struct Row {
    pub(super) name: String,
    /// The path, beginning with the object asked about.
    pub(super) places: Vec<Place>,
    pub(super) subject: Object,
    /// The object whose userset the leaf names, and its name.
    pub(super) group: Option<Place>,
    pub(super) leaf: Tuple,
    /// With the leaf and what is given.
    pub(super) world: Vec<Tuple>,
    /// The links of places to given parents: there are no others.
    pub(super) chosen: Vec<Tuple>,
    /// What the leaf is called, seen from the object asked about.
    pub(super) leaf_name: String,
    /// The leaf leads to a parent, who is asked about.
    pub(super) is_link: bool,
    /// A document's no has to be seen; that a link is no role goes without saying.
    pub(super) is_kept_without_a_yes: bool,
}

/// An object and what it is called, seen from the object asked about: nothing, or the path there.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) object: Object,
    pub(super) name: String,
}

/// A path of parents, and the tuples of it.
#[derive(Clone)]
struct Path {
    places: Vec<Place>,
    types: Vec<TypeIndex>,
    steps: Vec<RelationIndex>,
    tuples: Vec<Tuple>,
}

/// Given parents that places of a path have, and what they are called.
struct Choice {
    links: Vec<Tuple>,
    names: Vec<String>,
}

impl Choice {
    /// With one link more.
    fn and(&self, link: &Tuple) -> Choice {
        let links = self.links.iter().chain([link]).cloned().collect();
        let names = self.names.iter().cloned().chain([link.key.subject.to_string()]).collect();
        Choice { links, names }
    }
}

/// All rows of a type: short paths first, then in the order of the schema.
pub(super) fn rows(program: &Program, object_type: TypeIndex, given: &[Tuple]) -> Vec<Row> {
    let maker = Maker { program, schema: program.schema(), given };
    let mut found = Vec::new();
    for path in maker.paths(object_type) {
        for choice in maker.choices(&path) {
            maker.rows_of(&path, &choice, &mut found);
        }
    }
    found
}

struct Maker<'m> {
    program: &'m Program,
    schema: &'m Schema,
    given: &'m [Tuple],
}

impl Maker<'_> {
    fn paths(&self, object_type: TypeIndex) -> Vec<Path> {
        let object = fresh(&self.schema.type_at(object_type).name, "_x");
        let place = Place { object, name: String::new() };
        let mut found = vec![Path {
            places: vec![place],
            types: vec![object_type],
            steps: Vec::new(),
            tuples: Vec::new(),
        }];
        let mut at = 0;
        while at < found.len() {
            if found[at].steps.len() < STEPS_MAX {
                let further = self.steps_from(&found[at]);
                found.extend(further);
            }
            at += 1;
        }
        found
    }

    /// The path with one step more, in each way there is.
    fn steps_from(&self, path: &Path) -> Vec<Path> {
        let Some((&at, here)) = path.types.last().zip(path.places.last()) else { return Vec::new() };
        let mut found = Vec::new();
        for (tupleset, parents) in self.tuplesets(at) {
            // Another round leads to nothing that the first one does not lead to.
            if path.steps.contains(&tupleset) {
                continue;
            }
            for &parent in &parents {
                let type_name = &self.schema.type_at(parent).name;
                if is_given(self.given, type_name) {
                    continue;
                }
                let object = fresh(type_name, &format!("_p{}", path.steps.len() + 1));
                let step = &self.schema.relation_at(tupleset).name;
                let of = if parents.len() > 1 { format!("({type_name})") } else { String::new() };
                let name = join(&here.name, &format!("{step}{of}"));
                let restriction = self.restriction(tupleset, parent);
                let subject = Subject::Object(object.clone());
                let mut longer = path.clone();
                longer.tuples.push(self.tuple(&here.object, tupleset, subject, restriction));
                longer.places.push(Place { object, name });
                longer.types.push(parent);
                longer.steps.push(tupleset);
                found.push(longer);
            }
        }
        found
    }

    /// The relations of a type that arrows go over, and the types of parents that they lead to.
    fn tuplesets(&self, object_type: TypeIndex) -> Vec<(RelationIndex, Vec<TypeIndex>)> {
        let relations = &self.schema.type_at(object_type).relations;
        let mut led_to: Vec<(RelationIndex, TypeIndex)> = Vec::new();
        for relation in relations {
            let mut rewrites = vec![&self.schema.relation_at(*relation).rewrite];
            while let Some(rewrite) = rewrites.pop() {
                match rewrite {
                    Rewrite::Nil | Rewrite::Direct | Rewrite::Computed(_) => {}
                    Rewrite::Arrow(arrow) => {
                        led_to.extend(arrow.targets.iter().map(|(parent, _)| (arrow.tupleset, *parent)));
                    }
                    Rewrite::Union(parts) | Rewrite::Intersection(parts) => rewrites.extend(parts),
                    Rewrite::Exclusion(base, taken) => rewrites.extend([&**base, &**taken]),
                }
            }
        }
        let parents = |tupleset: RelationIndex| {
            let types = self.schema.types().map(|(index, _)| index);
            let is_led_to = |parent: &TypeIndex| {
                led_to.contains(&(tupleset, *parent)) && self.restriction(tupleset, *parent).is_some()
            };
            types.filter(is_led_to).collect::<Vec<_>>()
        };
        let tuplesets = relations.iter().map(|relation| (*relation, parents(*relation)));
        tuplesets.filter(|(_, parents)| !parents.is_empty()).collect()
    }

    /// How an object of a type may be written on a relation; without a condition, where that is allowed.
    fn restriction(&self, relation: RelationIndex, subject_type: TypeIndex) -> Option<&Restriction> {
        let restrictions = self.schema.relation_at(relation).restrictions.iter();
        restrictions
            .filter(|it| it.subject_type == subject_type && it.shape == RestrictionShape::Object)
            .min_by_key(|it| it.condition.is_some())
    }

    /// Each choice of given parents for the places of a path; one choice of none when there is nothing to choose.
    fn choices(&self, path: &Path) -> Vec<Choice> {
        let mut choices = vec![Choice { links: Vec::new(), names: Vec::new() }];
        for (place, object_type) in path.places.iter().zip(&path.types) {
            for (tupleset, parents) in self.tuplesets(*object_type) {
                let links = self.given_links(place, tupleset, &parents);
                if !links.is_empty() {
                    choices =
                        choices.iter().flat_map(|choice| links.iter().map(|it| choice.and(it))).collect();
                }
            }
        }
        choices
    }

    /// The links of a place to what is given.
    fn given_links(&self, place: &Place, tupleset: RelationIndex, parents: &[TypeIndex]) -> Vec<Tuple> {
        let mut links = Vec::new();
        for &parent in parents {
            for object in given_objects(self.given, &self.schema.type_at(parent).name) {
                let restriction = self.restriction(tupleset, parent);
                links.push(self.tuple(&place.object, tupleset, Subject::Object(object), restriction));
            }
        }
        links
    }

    fn rows_of(&self, path: &Path, choice: &Choice, found: &mut Vec<Row>) {
        let Some(&at) = path.types.last() else { return };
        let tuplesets = self.tuplesets(at);
        for &relation in &self.schema.type_at(at).relations {
            let is_link = tuplesets.iter().any(|(tupleset, _)| *tupleset == relation);
            for restriction in &self.schema.relation_at(relation).restrictions {
                let is_inherited_flag =
                    !path.steps.is_empty() && restriction.shape != RestrictionShape::Object;
                let is_kept_without_a_yes = !is_link && !is_inherited_flag;
                self.row(path, choice, (relation, restriction), (is_link, is_kept_without_a_yes), found);
            }
        }
    }

    fn row(
        &self,
        path: &Path,
        choice: &Choice,
        (relation, restriction): (RelationIndex, &Restriction),
        (is_link, is_kept_without_a_yes): (bool, bool),
        found: &mut Vec<Row>,
    ) {
        let Some((first, last)) = path.places.first().zip(path.places.last()) else { return };
        let type_name = &*self.schema.type_at(restriction.subject_type).name;
        let plain = suffix(self.schema, relation, restriction);
        let leaf_name = join(&last.name, &format!("{}{plain}", self.schema.relation_at(relation).name));
        let mut world: Vec<Tuple> = self.given.to_vec();
        world.extend(path.tuples.iter().chain(&choice.links).cloned());
        let groups = match restriction.shape {
            RestrictionShape::Object | RestrictionShape::Wildcard => vec![None],
            RestrictionShape::Userset(asked) => self.groups(asked).into_iter().map(Some).collect(),
        };
        for group in groups {
            let mut names = choice.names.clone();
            let mut world = world.clone();
            let (leaf_subject, subject, group) = match (restriction.shape, group) {
                (RestrictionShape::Userset(asked), Some(group)) => {
                    let relation = Relation::from_checked(&self.schema.relation_at(asked).name);
                    world.extend(group.membership);
                    names.extend(group.is_given.then(|| group.object.to_string()));
                    let place = Place { object: group.object.clone(), name: leaf_name.clone() };
                    (Subject::Userset(group.object, relation), group.subject, Some(place))
                }
                (RestrictionShape::Wildcard, _) => {
                    (Subject::Wildcard(type_name.into()), fresh(type_name, "_u"), None)
                }
                _ => {
                    let subject = fresh(type_name, "_u");
                    (Subject::Object(subject.clone()), subject, None)
                }
            };
            let leaf = self.tuple(&last.object, relation, leaf_subject, Some(restriction));
            world.push(leaf.clone());
            let mut name = format!("{}.{leaf_name}", first.object.object_type());
            if !names.is_empty() {
                name.push_str(&format!(" [{}]", names.join(", ")));
            }
            let places = path.places.clone();
            let chosen = choice.links.clone();
            let leaf_name = leaf_name.clone();
            found.push(Row {
                name,
                places,
                subject,
                group,
                leaf,
                world,
                chosen,
                leaf_name,
                is_link,
                is_kept_without_a_yes,
            });
        }
    }

    /// The objects whose userset a leaf may name, each with somebody who is in it.
    fn groups(&self, asked: RelationIndex) -> Vec<Group> {
        let type_name = &self.schema.type_at(self.schema.relation_at(asked).object_type).name;
        let given = given_objects(self.given, type_name);
        if given.is_empty() {
            let object = fresh(type_name, "_g");
            return self.group(object, asked, false).into_iter().collect();
        }
        given.into_iter().filter_map(|object| self.group(object, asked, true)).collect()
    }

    fn group(&self, object: Object, asked: RelationIndex, is_given: bool) -> Option<Group> {
        let types = self.schema.types();
        types.filter(|(index, _)| !self.schema.graph().entries(*index, asked).is_empty()).find_map(
            |(_, kind)| {
                let subject = fresh(&kind.name, "_u");
                let membership = cells::membership(self.program, &object, asked, &subject, self.given)?;
                Some(Group { object: object.clone(), subject, membership, is_given })
            },
        )
    }

    fn tuple(
        &self,
        object: &Object,
        relation: RelationIndex,
        subject: Subject,
        restriction: Option<&Restriction>,
    ) -> Tuple {
        let relation = Relation::from_checked(&self.schema.relation_at(relation).name);
        let condition = restriction.and_then(|it| it.condition);
        let condition = condition.map(|index| &*self.schema.condition_at(index).name);
        possible_tuple(&TupleKey { object: object.clone(), relation, subject }, condition)
    }
}

/// An object with somebody who is in a userset of it.
struct Group {
    object: Object,
    subject: Object,
    membership: Vec<Tuple>,
    is_given: bool,
}

/// The objects of a type that given tuples say something of, in their order.
pub(super) fn given_objects(given: &[Tuple], type_name: &str) -> Vec<Object> {
    let mut found: Vec<Object> = Vec::new();
    for tuple in given.iter().filter(|tuple| tuple.key.object.object_type() == type_name) {
        if !found.contains(&tuple.key.object) {
            found.push(tuple.key.object.clone());
        }
    }
    found
}

/// A path with one step more.
pub(super) fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}
