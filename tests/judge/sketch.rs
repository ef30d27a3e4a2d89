//! A schema as the generator writes it down: quickly made, printed for people, read by the schema room as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use stonetown::schema::{Schema, Tree, read_json};

/// A schema: for each type, in order, its relations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch {
    /// The types, by name.
    pub(crate) types: Vec<(String, Vec<RelationSketch>)>,
}

/// One relation.
#[derive(Debug, Clone)]
pub(crate) struct RelationSketch {
    /// Its name.
    pub(crate) name: String,
    /// Who may be written on it.
    pub(crate) restrictions: Vec<RestrictionSketch>,
    /// How it is computed.
    pub(crate) expression: Expression,
}

/// A form of subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RestrictionSketch {
    /// The type of the subject.
    pub(crate) subject_type: String,
    /// Its shape.
    pub(crate) shape: ShapeSketch,
}

/// The shape of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShapeSketch {
    /// `user`
    Object,
    /// `user:*`
    Wildcard,
    /// `team#member`
    Userset(String),
}

/// How a relation is computed.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
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
    Union(Vec<Expression>),
    /// `a and b`
    Intersection(Vec<Expression>),
    /// `a but not b`
    Exclusion(Box<Expression>, Box<Expression>),
}

impl Sketch {
    /// What the schema room makes of it; none when it breaks a rule.
    pub(crate) fn resolve(&self) -> Option<(Tree, Schema)> {
        read_json("sketch", &self.to_json()).ok()
    }

    /// The schemas that are one step simpler: a type, a relation, a restriction or an operator less. Most of them break
    /// a rule.
    pub(crate) fn simpler(&self) -> Vec<Sketch> {
        let mut found = Vec::new();
        for number in 0..self.types.len() {
            let mut fewer = self.clone();
            fewer.types.remove(number);
            found.push(fewer);
            for at in 0..self.types[number].1.len() {
                let relation = &self.types[number].1[at];
                let mut with = |changed: Option<RelationSketch>| {
                    let mut simpler = self.clone();
                    simpler.types[number].1.splice(at..=at, changed);
                    found.push(simpler);
                };
                with(None);
                for gone in 0..relation.restrictions.len() {
                    let mut fewer = relation.clone();
                    fewer.restrictions.remove(gone);
                    with(Some(fewer));
                }
                for expression in relation.expression.simpler() {
                    let is_written = expression.has_direct();
                    let restrictions = if is_written { relation.restrictions.clone() } else { Vec::new() };
                    with(Some(RelationSketch { name: relation.name.clone(), restrictions, expression }));
                }
            }
        }
        found
    }

    /// OpenFGA's JSON form.
    pub(crate) fn to_json(&self) -> Value {
        let types: Vec<Value> = self
            .types
            .iter()
            .map(|(name, relations)| {
                let rewrites: BTreeMap<_, _> = relations
                    .iter()
                    .map(|relation| (&relation.name, relation.expression.to_json()))
                    .collect();
                let metadata: BTreeMap<_, _> = relations
                    .iter()
                    .map(|relation| {
                        let allowed: Vec<_> = relation.restrictions.iter().map(|it| it.to_json()).collect();
                        (&relation.name, json!({"directly_related_user_types": allowed}))
                    })
                    .collect();
                json!({"type": name, "relations": rewrites, "metadata": {"relations": metadata}})
            })
            .collect();
        json!({"schema_version": "1.1", "type_definitions": types})
    }
}

impl RestrictionSketch {
    fn to_json(&self) -> Value {
        let mut json = json!({"type": self.subject_type});
        match &self.shape {
            ShapeSketch::Object => {}
            ShapeSketch::Wildcard => json["wildcard"] = json!({}),
            ShapeSketch::Userset(relation) => json["relation"] = json!(relation),
        }
        json
    }
}

impl Expression {
    fn to_json(&self) -> Value {
        let list = |parts: &[Expression]| parts.iter().map(Expression::to_json).collect::<Vec<_>>();
        match self {
            Expression::Direct => json!({"this": {}}),
            Expression::Computed(name) => json!({"computedUserset": {"relation": name}}),
            Expression::Arrow { target, tupleset } => json!({"tupleToUserset": {
                "tupleset": {"relation": tupleset}, "computedUserset": {"relation": target}}}),
            Expression::Union(parts) => json!({"union": {"child": list(parts)}}),
            Expression::Intersection(parts) => json!({"intersection": {"child": list(parts)}}),
            Expression::Exclusion(base, subtract) => {
                json!({"difference": {"base": base.to_json(), "subtract": subtract.to_json()}})
            }
        }
    }

    /// The same with one operator less.
    fn simpler(&self) -> Vec<Expression> {
        let parts: Vec<&Expression> = match self {
            Expression::Direct | Expression::Computed(_) | Expression::Arrow { .. } => return Vec::new(),
            Expression::Union(parts) | Expression::Intersection(parts) => parts.iter().collect(),
            Expression::Exclusion(base, subtract) => vec![base, subtract],
        };
        let mut found: Vec<Expression> = parts.iter().map(|part| (*part).clone()).collect();
        for (number, part) in parts.iter().enumerate() {
            for simpler in part.simpler() {
                let mut parts: Vec<Expression> = parts.iter().map(|part| (*part).clone()).collect();
                parts[number] = simpler;
                found.push(match self {
                    Expression::Union(_) => Expression::Union(parts),
                    Expression::Intersection(_) => Expression::Intersection(parts),
                    _ => Expression::Exclusion(Box::new(parts.remove(0)), Box::new(parts.remove(0))),
                });
            }
        }
        found
    }

    /// Whether tuples may be written on the relation.
    pub(crate) fn has_direct(&self) -> bool {
        match self {
            Expression::Direct => true,
            Expression::Computed(_) | Expression::Arrow { .. } => false,
            Expression::Union(parts) | Expression::Intersection(parts) => {
                parts.iter().any(Expression::has_direct)
            }
            Expression::Exclusion(base, subtract) => base.has_direct() || subtract.has_direct(),
        }
    }

    fn show(&self, restrictions: &str, is_nested: bool) -> String {
        let list = |parts: &[Expression], word: &str| {
            parts.iter().map(|part| part.show(restrictions, true)).collect::<Vec<_>>().join(word)
        };
        let text = match self {
            Expression::Direct => return format!("[{restrictions}]"),
            Expression::Computed(name) => return name.clone(),
            Expression::Arrow { target, tupleset } => return format!("{target} from {tupleset}"),
            Expression::Union(parts) => list(parts, " or "),
            Expression::Intersection(parts) => list(parts, " and "),
            Expression::Exclusion(base, subtract) => {
                format!("{} but not {}", base.show(restrictions, true), subtract.show(restrictions, true))
            }
        };
        if is_nested { format!("({text})") } else { text }
    }
}

impl fmt::Display for RestrictionSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject_type)?;
        match &self.shape {
            ShapeSketch::Object => Ok(()),
            ShapeSketch::Wildcard => f.write_str(":*"),
            ShapeSketch::Userset(relation) => write!(f, "#{relation}"),
        }
    }
}

/// As a schema text; one that has `[…]` elsewhere than first can be said in JSON only.
impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model\n  schema 1.1")?;
        for (name, relations) in &self.types {
            writeln!(f, "type {name}")?;
            if !relations.is_empty() {
                writeln!(f, "  relations")?;
            }
            for relation in relations {
                let allowed: Vec<String> = relation.restrictions.iter().map(ToString::to_string).collect();
                let text = relation.expression.show(&allowed.join(", "), false);
                writeln!(f, "    define {}: {text}", relation.name)?;
            }
        }
        Ok(())
    }
}
