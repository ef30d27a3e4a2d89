//! A world in SpiceDB's language.
//!
//! SpiceDB's relations are written, its permissions are computed, and names have three characters at least. A relation `v`
//! that is only written is a relation `r_v` there, one that is only computed a permission `r_v`. One that is both is a
//! relation `d_v` for what is written and a permission `r_v` over it; who speaks of it, in usersets too, speaks of `r_v`. So is
//! one that everybody may be written on: SpiceDB takes usersets of such a relation by way of a permission only.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::world::{Relation, Restriction, Rewrite, Shape, Tuple, World, is_wildcard, type_of, userset};

/// What objects' ids may not have there, and what stands for it.
const SWAPPED: (char, char) = ('@', '|');

/// The schema.
pub(crate) fn schema(world: &World) -> String {
    let mut text = String::new();
    if all_restrictions(world).any(|it| it.ends) {
        text.push_str("use expiration\n\n");
    }
    for it in &world.conditions {
        let parameters: Vec<String> =
            it.parameters.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let _ = writeln!(text, "caveat {}({}) {{\n  {}\n}}\n", it.name, parameters.join(", "), it.expression);
    }
    for of in &world.types {
        let _ = writeln!(text, "definition {} {{", of.name);
        for relation in &of.relations {
            if relation.rewrite.has(|it| *it == Rewrite::Direct) {
                let allowed: Vec<String> = relation.restrictions.iter().map(restriction).collect();
                let _ = writeln!(text, "  relation {}: {}", written(relation), allowed.join(" | "));
            }
            if has_permission(relation) {
                let expression = rewrite(relation, &relation.rewrite);
                let _ = writeln!(text, "  permission {} = {expression}", name(&relation.name));
            }
        }
        text.push_str("}\n\n");
    }
    text
}

fn all_restrictions(world: &World) -> impl Iterator<Item = &Restriction> {
    world.types.iter().flat_map(|it| &it.relations).flat_map(|it| &it.restrictions)
}

/// What a relation is called.
pub(crate) fn name(relation: &str) -> String {
    format!("r_{relation}")
}

/// The relation that its tuples are written on.
fn written(relation: &Relation) -> String {
    match has_permission(relation) {
        false => name(&relation.name),
        true => format!("d_{}", relation.name),
    }
}

fn has_permission(relation: &Relation) -> bool {
    relation.rewrite != Rewrite::Direct || relation.restrictions.iter().any(|it| it.shape == Shape::Wildcard)
}

fn restriction(it: &Restriction) -> String {
    let subject = match &it.shape {
        Shape::Object => it.of.clone(),
        Shape::Wildcard => format!("{}:*", it.of),
        Shape::Userset(relation) => format!("{}#{}", it.of, name(relation)),
    };
    match (&it.condition, it.ends) {
        (None, false) => subject,
        (None, true) => format!("{subject} with expiration"),
        (Some(condition), false) => format!("{subject} with {condition}"),
        (Some(condition), true) => format!("{subject} with {condition} and expiration"),
    }
}

fn rewrite(of: &Relation, it: &Rewrite) -> String {
    let joined = |parts: &[Rewrite], by: &str| {
        let parts: Vec<String> = parts.iter().map(|it| rewrite(of, it)).collect();
        format!("({})", parts.join(by))
    };
    match it {
        Rewrite::Direct => written(of),
        Rewrite::Computed(other) => name(other),
        Rewrite::Arrow { target, tupleset } => format!("{}->{}", name(tupleset), name(target)),
        Rewrite::Union(parts) => joined(parts, " + "),
        Rewrite::Intersection(parts) => joined(parts, " & "),
        Rewrite::Exclusion(base, taken) => format!("({} - {})", rewrite(of, base), rewrite(of, taken)),
    }
}

/// A tuple, as the peer takes it.
pub(crate) fn relationship(world: &World, tuple: &Tuple) -> Value {
    let relation = world.relation(type_of(&tuple.object), &tuple.relation);
    let mut json = json!({
        "resource": encoded(&tuple.object),
        "relation": relation.map_or_else(|| name(&tuple.relation), written),
        "subject": subject(&tuple.user),
        "expires": tuple.ends,
    });
    if let Some((name, context)) = &tuple.condition {
        json["caveat"] = json!({ "name": name, "context": context });
    }
    json
}

/// A check, as the peer takes it.
pub(crate) fn check(object: &str, relation: &str, user: &str, context: Option<&Map<String, Value>>) -> Value {
    json!({
        "resource": encoded(object), "permission": name(relation), "subject": subject(user), "context": context
    })
}

/// `user:1`, `user:*` or `doc:1#r_v`.
pub(crate) fn subject(user: &str) -> String {
    match userset(user) {
        Some((object, relation)) => format!("{}#{}", encoded(object), name(relation)),
        None if is_wildcard(user) => user.to_owned(),
        None => encoded(user),
    }
}

/// An object with an id that may be had there.
pub(crate) fn encoded(object: &str) -> String {
    object.replace(SWAPPED.0, &SWAPPED.1.to_string())
}

/// An id as it is here.
pub(crate) fn decoded(id: &str) -> String {
    id.replace(SWAPPED.1, &SWAPPED.0.to_string())
}
