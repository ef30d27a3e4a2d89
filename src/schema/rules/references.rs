//! Names that are used: each has to lead to something of the right kind.

use std::collections::HashSet;

use super::super::code::ProblemCode;
use super::super::problem::Problem;
use super::super::tree::{
    Expression, ExpressionKind, Name, RelationDefinition, TypeRestriction, TypeRestrictionShape,
};
use super::Rules;

impl<'t> Rules<'t, '_> {
    pub(super) fn references(&mut self) {
        let tree = self.tree;
        for definition in &tree.types {
            let Some(object_type) = self.index.type_named(&definition.name.text) else { continue };
            let mut tuplesets: HashSet<&str> = HashSet::new();
            for relation in &definition.relations {
                self.restrictions(object_type, relation);
                relation.expression.walk(&mut |expression| {
                    self.expression(object_type, relation, expression);
                    if let ExpressionKind::Arrow { tupleset, .. } = &expression.kind
                        && tuplesets.insert(&tupleset.text)
                    {
                        self.tupleset_restrictions(object_type, tupleset);
                    }
                });
            }
        }
    }

    fn restrictions(&mut self, object_type: usize, relation: &'t RelationDefinition) {
        let direct = relation.expression.has_direct();
        let text = format!("{}#{}", self.index.type_name(object_type), relation.name.text);
        if direct && relation.restrictions.is_empty() && !relation.broken && !relation.name.text.is_empty() {
            let message = format!("`{text}` is directly assignable, but lists no types");
            let problem = Problem::new(ProblemCode::MissingRestrictions, &relation.at(), message);
            self.report(problem.help("list them in `directly_related_user_types` of its metadata"));
        }
        if let Some(first) = relation.restrictions.first()
            && !direct
            && !relation.broken
        {
            let message = format!("`{text}` is not directly assignable, but lists types");
            let problem = Problem::new(ProblemCode::NeedlessRestrictions, &first.at, message);
            self.report(problem.help("leave them out, or add `this` to its definition"));
        }
        let mut seen: HashSet<String> = HashSet::new();
        for restriction in &relation.restrictions {
            self.restriction(restriction);
            if !seen.insert(restriction.text()) {
                let message = format!("`{}` is listed twice", restriction.text());
                self.report(Problem::new(ProblemCode::DuplicateRestriction, &restriction.at, message));
            }
        }
    }

    fn restriction(&mut self, restriction: &TypeRestriction) {
        let name = &restriction.subject_type;
        match self.index.type_named(&name.text) {
            None => self.unknown_type(name),
            Some(subject_type) => {
                if let TypeRestrictionShape::Userset(relation) = &restriction.shape {
                    self.relation(subject_type, relation);
                }
            }
        }
        if let Some(condition) = &restriction.condition
            && self.index.condition_named(&condition.text).is_none()
            && !self.reading.unread.contains(&condition.text)
        {
            let names = self.tree.conditions.iter().map(|condition| &*condition.name.text);
            let message = format!("there is no condition `{}`", condition.text);
            let help = self.did_you_mean(&condition.text, names);
            let problem = Problem::new(ProblemCode::UnknownCondition, &condition.at, message);
            self.report(problem.help_if_any(help));
        }
    }

    fn unknown_type(&mut self, name: &Name) {
        if self.reading.unread.contains(&name.text) {
            return;
        }
        if name.text.is_empty() {
            self.report(Problem::new(ProblemCode::MissingName, &name.at, "the name of the type is missing"));
            return;
        }
        let message = format!("there is no type `{}`", name.text);
        let help = self
            .did_you_mean(&name.text, self.index.type_names())
            .unwrap_or_else(|| format!("define it: `type {}`", name.text));
        self.report(Problem::new(ProblemCode::UnknownType, &name.at, message).help(help));
    }

    /// Looks up a relation of a type, and reports it when there is none.
    fn relation(&mut self, object_type: usize, name: &Name) -> Option<usize> {
        let found = self.index.relation_named(object_type, &name.text);
        if found.is_some() || self.reading.unread.contains(&name.text) {
            return found;
        }
        if name.text.is_empty() {
            self.report(Problem::new(
                ProblemCode::MissingName,
                &name.at,
                "the name of the relation is missing",
            ));
            return None;
        }
        let message = format!("`{}` has no relation `{}`", self.index.type_name(object_type), name.text);
        let help = self.did_you_mean(&name.text, self.index.relation_names(object_type)).or_else(|| {
            let is_type = self.index.type_named(&name.text).is_some();
            is_type.then(|| format!("`{0}` is a type; write `[{0}]` to assign it", name.text))
        });
        self.report(Problem::new(ProblemCode::UnknownRelation, &name.at, message).help_if_any(help));
        None
    }

    fn expression(
        &mut self,
        object_type: usize,
        relation: &'t RelationDefinition,
        expression: &'t Expression,
    ) {
        match &expression.kind {
            ExpressionKind::Missing if !relation.broken => {
                let problem =
                    Problem::new(ProblemCode::MissingRewrite, &expression.at, "no rewrite is given");
                self.report(problem.help("give `this`, `computedUserset`, `tupleToUserset`, `union`, `intersection` or `difference`"));
            }
            ExpressionKind::Missing | ExpressionKind::Direct => {}
            ExpressionKind::Computed(name) if name.text == relation.name.text => {
                let message = format!("`{}` is defined by itself", name.text);
                let problem = Problem::new(ProblemCode::SelfReference, &name.at, message);
                self.report(problem.help("leave it out"));
            }
            ExpressionKind::Computed(name) => {
                self.relation(object_type, name);
            }
            ExpressionKind::Arrow { target, tupleset } => self.arrow(object_type, target, tupleset),
            ExpressionKind::Union(operands) => self.operands("a union", relation, expression, operands),
            ExpressionKind::Intersection(operands) => {
                self.operands("an intersection", relation, expression, operands)
            }
            ExpressionKind::Exclusion(base, subtract) => self.repeated(relation, [&**base, &**subtract]),
        }
    }

    fn operands(
        &mut self,
        what: &str,
        relation: &RelationDefinition,
        expression: &Expression,
        operands: &'t [Expression],
    ) {
        if operands.len() < 2 && !relation.broken {
            let message = format!("{what} needs two operands or more, found {}", operands.len());
            self.report(Problem::new(ProblemCode::TooFewOperands, &expression.at, message));
        }
        self.repeated(relation, operands);
    }

    /// The same operand twice does nothing, or everything: surely a mistake.
    fn repeated(
        &mut self,
        relation: &RelationDefinition,
        operands: impl IntoIterator<Item = &'t Expression>,
    ) {
        if relation.broken {
            return;
        }
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        for operand in operands {
            let (text, is_new) = match &operand.kind {
                ExpressionKind::Computed(name) => (name.text.to_string(), seen.insert((&name.text, ""))),
                ExpressionKind::Arrow { target, tupleset } => {
                    let text = format!("{} from {}", target.text, tupleset.text);
                    (text, seen.insert((&target.text, &tupleset.text)))
                }
                _ => continue,
            };
            if !is_new {
                let message = format!("`{text}` stands twice on one level");
                self.report(Problem::new(ProblemCode::DuplicateOperand, &operand.at, message));
            }
        }
    }

    /// `target from tupleset`.
    fn arrow(&mut self, object_type: usize, target: &Name, tupleset: &Name) {
        let Some(found) = self.relation(object_type, tupleset) else { return };
        let definition = self.index.relations[found].definition;
        if definition.broken {
            return;
        }
        if definition.expression.kind != ExpressionKind::Direct {
            let message = format!(
                "`{}` can only be used after `from` when it lists types and nothing else",
                tupleset.text
            );
            let problem = Problem::new(ProblemCode::TuplesetNotDirect, &tupleset.at, message)
                .also(&definition.name.at, "it is defined here")
                .help("move the list of types to a relation of its own, and use that after `from`");
            self.report(problem);
            return;
        }
        let types = self.index.subject_types(definition);
        let has_target = |parent: &usize| self.index.relation_named(*parent, &target.text).is_some();
        let all_known = definition
            .restrictions
            .iter()
            .all(|restriction| self.index.type_named(&restriction.subject_type.text).is_some());
        if types.iter().any(has_target)
            || !all_known
            || types.is_empty()
            || self.reading.unread.contains(&target.text)
        {
            return;
        }
        let names = types.iter().flat_map(|parent| self.index.relation_names(*parent));
        let help = self.did_you_mean(&target.text, names);
        let listed: Vec<String> =
            types.iter().map(|parent| format!("`{}`", self.index.type_name(*parent))).collect();
        let message = match target.text.is_empty() {
            true => "the name of the relation is missing".to_string(),
            false => format!("no type that `{}` leads to has a relation `{}`", tupleset.text, target.text),
        };
        let problem = Problem::new(ProblemCode::UnknownArrowTarget, &target.at, message)
            .also(&definition.name.at, format!("it leads to {}", listed.join(", ")))
            .help_if_any(help);
        self.report(problem);
    }

    /// A relation used after `from` leads to single objects: no usersets, no wildcards.
    fn tupleset_restrictions(&mut self, object_type: usize, tupleset: &Name) {
        let Some(found) = self.index.relation_named(object_type, &tupleset.text) else { return };
        let definition = self.index.relations[found].definition;
        if definition.expression.kind != ExpressionKind::Direct {
            return;
        }
        for restriction in &definition.restrictions {
            if restriction.shape == TypeRestrictionShape::Object {
                continue;
            }
            let message = format!(
                "`{}` cannot be assigned to `{}`, which is used after `from`",
                restriction.text(),
                tupleset.text
            );
            let problem = Problem::new(ProblemCode::TuplesetRestriction, &restriction.at, message)
                .also(&tupleset.at, "it is used here")
                .help(format!("list only types: `{}`", restriction.subject_type.text));
            self.report(problem);
        }
    }
}
