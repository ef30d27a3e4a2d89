//! Names that may be given, and given once.

use std::collections::HashMap;

use super::super::code::ProblemCode;
use super::super::problem::Problem;
use super::super::tree::Name;
use super::Rules;
use crate::tuple::{TupleError, check_condition_name, check_relation_name, check_type_name};

/// Words that OpenFGA keeps for itself.
const RESERVED: [&str; 2] = ["self", "this"];

impl Rules<'_, '_> {
    pub(super) fn names(&mut self) {
        let tree = self.tree;
        let mut types: HashMap<&str, &Name> = HashMap::new();
        for definition in &tree.types {
            self.name("type", &definition.name, check_type_name);
            self.once(&mut types, &definition.name, |name| {
                (ProblemCode::DuplicateType, format!("the type `{name}` is already defined"))
            });
            let mut relations: HashMap<&str, &Name> = HashMap::new();
            for relation in &definition.relations {
                self.name("relation", &relation.name, check_relation_name);
                self.once(&mut relations, &relation.name, |name| {
                    let object_type = &definition.name.text;
                    let message = format!("the relation `{name}` is already defined on `{object_type}`");
                    (ProblemCode::DuplicateRelation, message)
                });
            }
        }
        let mut conditions: HashMap<&str, &Name> = HashMap::new();
        for condition in &tree.conditions {
            self.name("condition", &condition.name, check_condition_name);
            self.once(&mut conditions, &condition.name, |name| {
                (ProblemCode::DuplicateCondition, format!("the condition `{name}` is already defined"))
            });
        }
    }

    fn name(&mut self, what: &str, name: &Name, check: fn(&str) -> Result<(), TupleError>) {
        let text = &*name.text;
        if text.is_empty() {
            let message = format!("the name of the {what} is missing");
            self.report(Problem::new(ProblemCode::MissingName, &name.at, message));
        } else if let Err(error) = check(text) {
            let message = format!("the name of the {what} {}: `{}`", error.problem, error.text);
            self.report(Problem::new(ProblemCode::InvalidName, &name.at, message).help(error.help));
        } else if what != "condition" && RESERVED.contains(&text) {
            let message = format!("`{text}` is reserved and cannot be the name of a {what}");
            self.report(Problem::new(ProblemCode::ReservedWord, &name.at, message).help("use another name"));
        }
    }

    fn once<'n>(
        &mut self,
        seen: &mut HashMap<&'n str, &'n Name>,
        name: &'n Name,
        problem: impl FnOnce(&str) -> (ProblemCode, String),
    ) {
        if let Some(first) = seen.get(&*name.text) {
            let (code, message) = problem(&name.text);
            self.report(Problem::new(code, &name.at, message).also(&first.at, "first defined here"));
        } else {
            seen.insert(&name.text, name);
        }
    }
}
