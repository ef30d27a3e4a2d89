//! Random cases: two schemas, the tuples before, and what is written and deleted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use stonetown::engine::admit_stored;
use stonetown::eval::Program;
use stonetown::schema::{Schema, read_json};
use stonetown::storage::Change;
use stonetown::tuple::{ConditionContext, Tuple, TupleCondition, TupleKey};

use super::generator;
use super::random::Random;
use super::tuples;

/// Two sides.
pub(crate) struct Case {
    /// The schemas of both sides.
    pub(crate) programs: [Program; 2],
    /// The same as JSON.
    pub(crate) documents: [Value; 2],
    /// The tuples before.
    pub(crate) before: Vec<Tuple>,
    pub(crate) writes: Vec<Tuple>,
    pub(crate) deletes: Vec<TupleKey>,
    /// Whether the schemas are meant to differ.
    pub(crate) is_schema_change: bool,
}

impl Case {
    /// The tuples after.
    pub(crate) fn after(&self) -> Vec<Tuple> {
        let mut tuples: BTreeMap<String, Tuple> =
            self.before.iter().map(|tuple| (tuple.key.to_string(), tuple.clone())).collect();
        self.deletes.iter().for_each(|key| drop(tuples.remove(&key.to_string())));
        tuples.extend(self.writes.iter().map(|tuple| (tuple.key.to_string(), tuple.clone())));
        tuples.into_values().collect()
    }

    /// The same with those tuples alone that can be stored.
    pub(crate) fn storable(mut self) -> Case {
        let [before, after] = [&self.programs[0], &self.programs[1]].map(Program::schema);
        self.before.retain(|tuple| admit_stored(before, tuple).is_ok());
        self.writes.retain(|tuple| admit_stored(after, tuple).is_ok());
        let stored: Vec<&TupleKey> = self.before.iter().map(|tuple| &tuple.key).collect();
        self.deletes.retain(|key| stored.contains(&key));
        self
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        let deletes = self.deletes.iter().cloned().map(Change::Delete);
        deletes.chain(self.writes.iter().cloned().map(Change::Write)).collect()
    }

    pub(crate) fn touched(&self) -> Vec<TupleKey> {
        self.deletes.iter().cloned().chain(self.writes.iter().map(|tuple| tuple.key.clone())).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for document in &self.documents {
            let text = stonetown::schema::Tree::from_json(document).unwrap().print().unwrap();
            writeln!(f, "{text}")?;
        }
        let all = |tuples: &[Tuple]| tuples.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
        let keys: Vec<String> = self.deletes.iter().map(ToString::to_string).collect();
        writeln!(f, "before\n  {}\nwrites\n  {}\ndeletes {keys:?}", all(&self.before), all(&self.writes))
    }
}

/// A random case. Of worlds that are large for the judge, another one is taken.
pub(crate) fn case(random: &mut Random) -> Case {
    loop {
        let (world, _) = generator::world(random.below(1 << 30) as u64);
        if world.tuples.len() > 70 {
            continue;
        }
        let mut first = world.sketch.to_json();
        let is_schema_change = random.chance(45);
        let mut second = first.clone();
        if is_schema_change && random.chance(75) {
            let simpler = world.sketch.simpler();
            let simpler: Vec<_> = simpler.into_iter().filter(|it| it.resolve().is_some()).collect();
            if simpler.is_empty() {
                continue;
            }
            second = random.pick(&simpler).to_json();
        }
        let percent = random.weighted(&[(50, 0), (30, 15), (20, 50)]);
        let names = add_conditions(random, &mut first, percent);
        copy_conditions(&first, &mut second);
        if is_schema_change && random.chance(25) {
            second["conditions"]["c1"]["expression"] = json!("!x");
        }
        if names && is_schema_change && random.chance(20) {
            add_conditions(random, &mut second, 20);
        }
        if random.chance(50) {
            std::mem::swap(&mut first, &mut second);
        }
        let (Ok((_, before)), Ok((_, after))) = (read_json("first", &first), read_json("second", &second))
        else {
            continue;
        };
        if after.relations().all(|(_, relation)| relation.restrictions.is_empty()) {
            continue;
        }
        let pool = {
            let mut random = random.clone();
            tuples::lay(&mut random, &after, 3).tuples
        };
        let mut tuples = world.tuples;
        tuples.iter_mut().for_each(|tuple| fit(random, &before, tuple));
        let (mut writes, mut deletes) = (Vec::new(), Vec::new());
        if !is_schema_change || random.chance(30) {
            let most = random.weighted(&[(50, 1), (30, 3), (20, 8)]);
            for _ in 0..random.between(0, most) {
                if !tuples.is_empty() {
                    deletes.push(random.pick(&tuples).key.clone());
                }
            }
            for _ in 0..random.between(usize::from(deletes.is_empty()), most) {
                let from = if random.chance(25) && !tuples.is_empty() { &tuples } else { &pool };
                if !from.is_empty() {
                    let mut tuple = random.pick(from).clone();
                    tuple.condition = None;
                    fit(random, &after, &mut tuple);
                    writes.push(tuple);
                }
            }
        }
        deletes.sort_by_key(ToString::to_string);
        deletes.dedup();
        writes.sort_by_key(|tuple| tuple.key.to_string());
        writes.dedup_by_key(|tuple| tuple.key.to_string());
        deletes.retain(|key| writes.iter().all(|tuple| tuple.key != *key));
        let programs = [Program::new(before), Program::new(after)];
        return Case {
            programs,
            documents: [first, second],
            before: tuples,
            writes,
            deletes,
            is_schema_change,
        };
    }
}

/// Gives some restrictions a condition; whether any has one.
fn add_conditions(random: &mut Random, document: &mut Value, percent: usize) -> bool {
    let mut any = false;
    for kind in document["type_definitions"].as_array_mut().unwrap() {
        let Some(relations) = kind["metadata"]["relations"].as_object_mut() else { continue };
        for relation in relations.values_mut() {
            // A tupleset takes conditions too.
            for restriction in relation["directly_related_user_types"].as_array_mut().unwrap() {
                if random.chance(percent) {
                    restriction["condition"] = json!(if random.chance(70) { "c1" } else { "c2" });
                    any = true;
                }
            }
        }
    }
    let condition = |name: &str| {
        let parameter = |kind: &str| json!({ "type_name": kind });
        json!({
            "name": name,
            "expression": "x",
            "parameters": { "x": parameter("TYPE_NAME_BOOL"), "n": parameter("TYPE_NAME_INT") },
        })
    };
    document["schema_version"] = json!("1.1");
    document["conditions"] = json!({ "c1": condition("c1"), "c2": condition("c2") });
    any
}

/// The same conditions on the restrictions that another document has too.
fn copy_conditions(from: &Value, to: &mut Value) {
    to["conditions"] = from["conditions"].clone();
    for kind in to["type_definitions"].as_array_mut().unwrap() {
        let name = kind["type"].clone();
        let of = from["type_definitions"].as_array().unwrap().iter().find(|it| it["type"] == name);
        let Some(relations) = kind["metadata"]["relations"].as_object_mut() else { continue };
        for (relation, metadata) in relations {
            for restriction in metadata["directly_related_user_types"].as_array_mut().unwrap() {
                let same = of.and_then(|of| {
                    let all =
                        of["metadata"]["relations"][relation]["directly_related_user_types"].as_array()?;
                    all.iter().find(|it| {
                        let plain = |it: &Value| {
                            let mut it = it.clone();
                            it.as_object_mut().unwrap().remove("condition");
                            it
                        };
                        plain(it) == plain(restriction)
                    })
                });
                if let Some(condition) = same.and_then(|same| same.get("condition")) {
                    restriction["condition"] = condition.clone();
                }
            }
        }
    }
}

/// Gives a tuple the condition that a restriction asks for, most often.
fn fit(random: &mut Random, schema: &Schema, tuple: &mut Tuple) {
    if tuple.condition.is_some() || random.chance(5) {
        return;
    }
    for name in ["c1", "c2"] {
        let context = match random.below(8) {
            0 | 1 => json!({ "x": true, "n": 1 }),
            2 => json!({ "x": false, "n": 1 }),
            3 | 4 => json!({ "n": 1 }),
            _ => json!({}),
        };
        let context: ConditionContext = ConditionContext::from_value(&context).unwrap();
        let with = Tuple { condition: Some(TupleCondition::new(name, context).unwrap()), ..tuple.clone() };
        if super::model::valid(schema, &with).is_some() {
            *tuple = with;
            return;
        }
    }
}
