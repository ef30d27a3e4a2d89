//! A world: a schema, tuples, and what is asked about them; as JSON for servers, as text for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use stonetown::schema::Tree;

/// A schema with tuples.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// The types, with their relations.
    pub(crate) types: Vec<Type>,
    /// The conditions.
    pub(crate) conditions: Vec<Condition>,
    /// What is stored; some of it may not count under the schema.
    pub(crate) tuples: Vec<Tuple>,
}

/// A type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    /// Its name.
    pub(crate) name: String,
    /// Its relations, in order.
    pub(crate) relations: Vec<Relation>,
}

/// A relation.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Its name.
    pub(crate) name: String,
    /// Who may be written on it.
    pub(crate) restrictions: Vec<Restriction>,
    /// How it is computed.
    pub(crate) rewrite: Rewrite,
}

/// A form of subject that may be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Restriction {
    /// The subject's type.
    pub(crate) of: String,
    /// Its shape.
    pub(crate) shape: Shape,
    /// The condition it must carry.
    pub(crate) condition: Option<String>,
    /// Whether its tuples end. Only SpiceDB's schemas say so.
    pub(crate) ends: bool,
}

/// The shape of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// `user`
    Object,
    /// `user:*`
    Wildcard,
    /// `team#member`
    Userset(String),
}

/// How a relation is computed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rewrite {
    /// `[user]`
    Direct,
    /// `editor`
    Computed(String),
    /// `viewer from parent`
    Arrow {
        /// `viewer`
        target: String,
        /// `parent`
        tupleset: String,
    },
    /// `a or b`
    Union(Vec<Rewrite>),
    /// `a and b`
    Intersection(Vec<Rewrite>),
    /// `a but not b`
    Exclusion(Box<Rewrite>, Box<Rewrite>),
}

/// A condition.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// Its name.
    pub(crate) name: String,
    /// Its parameters, by name, with their types: `int`, `list<string>`.
    pub(crate) parameters: Vec<(String, &'static str)>,
    /// In CEL.
    pub(crate) expression: String,
}

/// Types with relations.
#[allow(dead_code, reason = "of OpenFGA")]
type Places = BTreeSet<(String, String)>;

/// A tuple.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tuple {
    /// `doc:1`
    pub(crate) object: String,
    /// `viewer`
    pub(crate) relation: String,
    /// `user:anne`, `user:*`, `team:1#member`
    pub(crate) user: String,
    /// The name of a condition, and its context.
    pub(crate) condition: Option<(String, Map<String, Value>)>,
    /// The second since 1970 from which on it does not count.
    pub(crate) ends: Option<i64>,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) ask: Ask,
    /// The context of the request.
    pub(crate) context: Option<Map<String, Value>>,
    /// Its contextual tuples.
    pub(crate) contextual: Vec<Tuple>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    /// Whether somebody holds a relation.
    Check {
        /// `doc:1`
        object: String,
        /// `viewer`
        relation: String,
        /// `user:anne`
        user: String,
    },
    /// On what somebody holds it.
    Objects {
        /// `doc`
        of: String,
        /// `viewer`
        relation: String,
        /// `user:anne`
        user: String,
    },
    /// Who holds it.
    Users {
        /// `doc:1`
        object: String,
        /// `viewer`
        relation: String,
        /// `user`, or `team#member`
        filter: String,
    },
}

impl Ask {
    /// Its name.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Ask::Check { .. } => "check",
            Ask::Objects { .. } => "list-objects",
            Ask::Users { .. } => "list-users",
        }
    }
}

/// The type of `user:anne`, `user:*`, `team:1#member`.
pub(crate) fn type_of(subject: &str) -> &str {
    subject.split_once(':').map_or(subject, |(name, _)| name)
}

/// The object and the relation of a userset.
pub(crate) fn userset(subject: &str) -> Option<(&str, &str)> {
    subject.split_once('#')
}

/// Whether it is `user:*`.
pub(crate) fn is_wildcard(subject: &str) -> bool {
    subject.ends_with(":*")
}

impl World {
    /// A relation by type and name.
    pub(crate) fn relation(&self, of: &str, name: &str) -> Option<&Relation> {
        self.types.iter().find(|it| it.name == of)?.relations.iter().find(|it| it.name == name)
    }

    /// Whether every relation can be held by somebody, and none hangs on itself on the same object, whatever the tuples.
    #[allow(dead_code, reason = "of OpenFGA")]
    pub(crate) fn is_sound(&self) -> bool {
        let all = || self.types.iter().flat_map(|of| of.relations.iter().map(|it| (&*of.name, it)));
        // By going round until nothing more is found.
        let round = |holds: &dyn Fn(&str, &Relation, &Places) -> bool| {
            let mut found = BTreeSet::new();
            loop {
                let next: Places = all()
                    .filter(|(of, it)| holds(of, it, &found))
                    .map(|(of, it)| (of.to_owned(), it.name.clone()))
                    .collect();
                if next == found {
                    return found.len() == all().count();
                }
                found = next;
            }
        };
        let can_be_held = |of: &str, relation: &Relation, found: &Places| {
            self.can_be_held(of, relation, &relation.rewrite, found)
        };
        let is_grounded = |of: &str, relation: &Relation, found: &Places| {
            !relation.rewrite.has(|it| match it {
                Rewrite::Computed(name) => !found.contains(&(of.to_owned(), name.clone())),
                _ => false,
            })
        };
        round(&can_be_held) && round(&is_grounded)
    }

    fn can_be_held(&self, of: &str, relation: &Relation, rewrite: &Rewrite, found: &Places) -> bool {
        let has = |of: &str, name: &str| found.contains(&(of.to_owned(), name.to_owned()));
        let part = |it: &Rewrite| self.can_be_held(of, relation, it, found);
        match rewrite {
            Rewrite::Direct => relation.restrictions.iter().any(|it| match &it.shape {
                Shape::Userset(name) => has(&it.of, name),
                Shape::Object | Shape::Wildcard => true,
            }),
            Rewrite::Computed(name) => has(of, name),
            Rewrite::Arrow { target, tupleset } => {
                let parents = self.relation(of, tupleset).map(|it| &it.restrictions);
                parents.into_iter().flatten().any(|it| has(&it.of, target))
            }
            Rewrite::Union(parts) => parts.iter().any(part),
            Rewrite::Intersection(parts) => parts.iter().all(part),
            Rewrite::Exclusion(base, _) => part(base),
        }
    }

    /// Whether a tuple counts under the schema.
    pub(crate) fn counts(&self, tuple: &Tuple) -> bool {
        let Some(relation) = self.relation(type_of(&tuple.object), &tuple.relation) else { return false };
        relation.restrictions.iter().any(|it| {
            it.of == type_of(&tuple.user)
                && it.shape == shape_of(&tuple.user)
                && it.condition.as_ref() == tuple.condition.as_ref().map(|(name, _)| name)
        })
    }

    /// Everything that is named: by tuples, by contextual ones, by a question.
    pub(crate) fn objects(&self, question: &Question) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut add = |subject: &str| {
            let object = userset(subject).map_or(subject, |(object, _)| object);
            if !is_wildcard(object) {
                found.insert(object.to_owned());
            }
        };
        for tuple in self.tuples.iter().chain(&question.contextual) {
            add(&tuple.object);
            add(&tuple.user);
        }
        match &question.ask {
            Ask::Check { object, user, .. } => [object, user].into_iter().for_each(|it| add(it)),
            Ask::Objects { user, .. } => add(user),
            Ask::Users { object, .. } => add(object),
        }
        found
    }

    /// OpenFGA's JSON form of the schema.
    pub(crate) fn schema(&self) -> Value {
        let types = self.types.iter().map(|it| {
            let rewrites: BTreeMap<_, _> =
                it.relations.iter().map(|it| (&it.name, it.rewrite.to_json())).collect();
            let metadata: BTreeMap<_, _> = it
                .relations
                .iter()
                .map(|it| {
                    let mut allowed: Vec<Value> = it.restrictions.iter().map(Restriction::to_json).collect();
                    // Those whose tuples end are no others here.
                    allowed.dedup();
                    (&it.name, json!({ "directly_related_user_types": allowed }))
                })
                .collect();
            json!({ "type": it.name, "relations": rewrites, "metadata": { "relations": metadata } })
        });
        self.with_types(types.collect())
    }

    /// A schema under which all these tuples may be written.
    pub(crate) fn permissive(&self) -> Value {
        let types = self.types.iter().map(|it| {
            let mut rewrites = BTreeMap::new();
            let mut metadata = BTreeMap::new();
            for relation in &it.relations {
                let on_it =
                    |tuple: &&Tuple| type_of(&tuple.object) == it.name && tuple.relation == relation.name;
                let mut allowed: BTreeSet<Restriction> =
                    self.tuples.iter().filter(on_it).map(Restriction::of).collect();
                let first = self.types.first().map(|it| it.name.clone()).unwrap_or_default();
                allowed.insert(Restriction { of: first, shape: Shape::Object, condition: None, ends: false });
                let mut allowed: Vec<Value> = allowed.iter().map(Restriction::to_json).collect();
                allowed.dedup();
                rewrites.insert(&relation.name, json!({ "this": {} }));
                metadata.insert(&relation.name, json!({ "directly_related_user_types": allowed }));
            }
            json!({ "type": it.name, "relations": rewrites, "metadata": { "relations": metadata } })
        });
        self.with_types(types.collect())
    }

    fn with_types(&self, types: Vec<Value>) -> Value {
        let conditions: BTreeMap<_, _> = self.conditions.iter().map(|it| (&it.name, it.to_json())).collect();
        json!({ "schema_version": "1.1", "type_definitions": types, "conditions": conditions })
    }

    /// The schema as text; as JSON, if the language cannot say it.
    pub(crate) fn text(&self) -> String {
        let json = self.schema();
        let printed = Tree::from_json(&json).ok().and_then(|tree| tree.print().ok());
        printed.unwrap_or_else(|| json.to_string())
    }
}

fn shape_of(subject: &str) -> Shape {
    match userset(subject) {
        Some((_, relation)) => Shape::Userset(relation.to_owned()),
        None if is_wildcard(subject) => Shape::Wildcard,
        None => Shape::Object,
    }
}

impl Restriction {
    /// The one that a tuple needs.
    pub(crate) fn of(tuple: &Tuple) -> Restriction {
        Restriction {
            of: type_of(&tuple.user).to_owned(),
            shape: shape_of(&tuple.user),
            condition: tuple.condition.as_ref().map(|(name, _)| name.clone()),
            ends: tuple.ends.is_some(),
        }
    }

    fn to_json(&self) -> Value {
        let mut json = json!({ "type": self.of, "condition": self.condition.clone().unwrap_or_default() });
        match &self.shape {
            Shape::Object => {}
            Shape::Wildcard => json["wildcard"] = json!({}),
            Shape::Userset(relation) => json["relation"] = json!(relation),
        }
        json
    }
}

impl Rewrite {
    fn to_json(&self) -> Value {
        let list = |parts: &[Rewrite]| parts.iter().map(Rewrite::to_json).collect::<Vec<_>>();
        match self {
            Rewrite::Direct => json!({ "this": {} }),
            Rewrite::Computed(name) => json!({ "computedUserset": { "relation": name } }),
            Rewrite::Arrow { target, tupleset } => json!({ "tupleToUserset": {
                "tupleset": { "relation": tupleset }, "computedUserset": { "relation": target } } }),
            Rewrite::Union(parts) => json!({ "union": { "child": list(parts) } }),
            Rewrite::Intersection(parts) => json!({ "intersection": { "child": list(parts) } }),
            Rewrite::Exclusion(base, subtract) => {
                json!({ "difference": { "base": base.to_json(), "subtract": subtract.to_json() } })
            }
        }
    }

    /// Calls for this one and all below it.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&Rewrite)) {
        visit(self);
        match self {
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
                parts.iter().for_each(|part| part.each(visit));
            }
            Rewrite::Exclusion(base, subtract) => {
                base.each(visit);
                subtract.each(visit);
            }
            Rewrite::Direct | Rewrite::Computed(_) | Rewrite::Arrow { .. } => {}
        }
    }

    /// Whether one of them is somewhere in it.
    pub(crate) fn has(&self, wanted: impl Fn(&Rewrite) -> bool) -> bool {
        let mut found = false;
        self.each(&mut |it| found |= wanted(it));
        found
    }

    /// The same with one operator less.
    pub(crate) fn simpler(&self) -> Vec<Rewrite> {
        let parts: Vec<Rewrite> = match self {
            Rewrite::Direct | Rewrite::Computed(_) | Rewrite::Arrow { .. } => return Vec::new(),
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => parts.clone(),
            Rewrite::Exclusion(base, subtract) => vec![(**base).clone(), (**subtract).clone()],
        };
        let mut found = parts.clone();
        if let (Rewrite::Union(_) | Rewrite::Intersection(_), true) = (self, parts.len() > 2) {
            for gone in 0..parts.len() {
                let mut fewer = parts.clone();
                fewer.remove(gone);
                found.push(self.with(fewer));
            }
        }
        for (number, part) in parts.iter().enumerate() {
            for simpler in part.simpler() {
                let mut changed = parts.clone();
                changed[number] = simpler;
                found.push(self.with(changed));
            }
        }
        found
    }

    fn with(&self, mut parts: Vec<Rewrite>) -> Rewrite {
        match self {
            Rewrite::Union(_) => Rewrite::Union(parts),
            Rewrite::Intersection(_) => Rewrite::Intersection(parts),
            _ => Rewrite::Exclusion(Box::new(parts.remove(0)), Box::new(parts.remove(0))),
        }
    }
}

impl Condition {
    fn to_json(&self) -> Value {
        let parameters: BTreeMap<_, _> =
            self.parameters.iter().map(|(name, kind)| (name, kind_json(kind))).collect();
        json!({ "name": self.name, "expression": self.expression, "parameters": parameters })
    }
}

fn kind_json(kind: &str) -> Value {
    let (outer, inner) = match kind.split_once('<') {
        Some((outer, inner)) => (outer, Some(inner.trim_end_matches('>'))),
        None => (kind, None),
    };
    let generic: Vec<Value> = inner.into_iter().map(kind_json).collect();
    json!({ "type_name": format!("TYPE_NAME_{}", outer.to_uppercase()), "generic_types": generic })
}

impl Tuple {
    /// For a request.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = json!({ "object": self.object, "relation": self.relation, "user": self.user });
        if let Some((name, context)) = &self.condition {
            json["condition"] = json!({ "name": name, "context": context });
        }
        if let Some(end) = self.end() {
            json["expires_at"] = json!(end.to_string());
        }
        json
    }

    fn end(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.ends?).ok()
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.end().is_some_and(|it| it <= Timestamp::now())
    }

    /// Whether both say the same but for the condition.
    pub(crate) fn same_key(&self, other: &Tuple) -> bool {
        (&self.object, &self.relation, &self.user) == (&other.object, &other.relation, &other.user)
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.object, self.relation, self.user)?;
        if let Some((name, context)) = &self.condition {
            write!(f, " with {name} {}", Value::Object(context.clone()))?;
        }
        match self.end() {
            Some(end) => write!(f, " until {end}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ask {
            Ask::Check { object, relation, user } => write!(f, "check {object}#{relation}@{user}")?,
            Ask::Objects { of, relation, user } => write!(f, "list-objects {of} {relation} {user}")?,
            Ask::Users { object, relation, filter } => write!(f, "list-users {object} {relation} {filter}")?,
        }
        if let Some(context) = &self.context {
            write!(f, " context {}", Value::Object(context.clone()))?;
        }
        for tuple in &self.contextual {
            write!(f, " contextual {tuple}")?;
        }
        Ok(())
    }
}
