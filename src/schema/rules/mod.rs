//! The rules that a schema has to keep beyond its form: OpenFGA's for a model that is written to its server.
//!
//! Every breach is reported at its place. A breach that only follows from another one is left out: what names
//! something unknown, or could not be read, is taken for right in all further questions.

mod entry;
mod names;
mod references;

use std::collections::HashSet;

use super::code::ProblemCode;
use super::expressions;
use super::graph;
use super::index::Index;
use super::limits::Limits;
use super::problem::Problem;
use super::source::At;
use super::suggest;
use super::tree::{ExpressionKind, Tree};
use super::wire_size;

/// Looks at everything that a tree says.
pub(super) fn check<'t>(
    tree: &'t Tree,
    index: &Index<'t>,
    reading: &Reading,
    limits: &Limits,
) -> Vec<Problem> {
    let mut rules =
        Rules { tree, index, reading, limits, problems: Vec::new(), comparisons_left: COMPARISONS_MAX };
    if !rules.is_whole() {
        return rules.problems;
    }
    rules.header();
    rules.size();
    rules.names();
    rules.references();
    rules.conditions();
    rules.cycles();
    rules.problems
}

/// How a tree was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How many problems there were with reading it; it is not whole when there were any.
    pub(super) problems: usize,
    /// Words of lines that could not be read: they may have defined something.
    pub(super) unread: HashSet<Box<str>>,
}

struct Rules<'t, 'r> {
    tree: &'t Tree,
    index: &'r Index<'t>,
    reading: &'r Reading,
    limits: &'r Limits,
    problems: Vec<Problem>,
    /// How many more names may be compared with unknown ones.
    comparisons_left: usize,
}

/// Names compared with unknown ones, in one run: more would cost more than the suggestions are worth.
const COMPARISONS_MAX: usize = 200_000;
/// Relations named in one problem about many of them.
const NAMED_MAX: usize = 6;

/// The versions of the language that are understood.
pub(super) const VERSIONS: [&str; 2] = ["1.1", "1.2"];

impl<'t> Rules<'t, '_> {
    fn report(&mut self, problem: Problem) {
        let most = self.limits.problems_max.saturating_sub(self.reading.problems);
        if self.problems.len() < most {
            self.problems.push(problem);
        } else if self.problems.len() == most && most > 0 {
            self.problems.push(problem.too_many(self.limits.problems_max));
        }
    }

    /// The known name that an unknown one may have meant.
    fn did_you_mean<'n>(&mut self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
        let most = self.comparisons_left;
        let left = &mut self.comparisons_left;
        let compared = known.into_iter().take(most).inspect(|_| *left -= 1);
        suggest::did_you_mean(name, compared)
    }

    /// A file of a modular schema says nothing without the others.
    fn is_whole(&mut self) -> bool {
        let Some(module) = &self.tree.header.module else { return true };
        if !module.text.is_empty() {
            let message = format!("a file of the module `{}` is no schema by itself", module.text);
            let problem = Problem::new(ProblemCode::ModuleAlone, &module.at, message);
            self.report(problem.help("name the `fga.mod` that lists it, which stands for all its files"));
        }
        false
    }

    fn header(&mut self) {
        let version = &self.tree.header.version;
        if version.text.is_empty() {
            let problem = Problem::new(
                ProblemCode::MissingSchemaVersion,
                &version.at,
                "the version of the schema language is missing",
            );
            self.report(problem.help("give `schema_version` the value `1.1`"));
        } else if !VERSIONS.contains(&&*version.text) {
            let message = format!("version `{}` of the schema language is not supported", version.text);
            let problem = Problem::new(ProblemCode::UnsupportedSchemaVersion, &version.at, message);
            self.report(problem.help("use `1.1`"));
        }
    }

    fn size(&mut self) {
        let types = self.tree.types.len();
        if types == 0 && self.reading.problems == 0 {
            let at = &self.tree.header.version.at;
            self.report(
                Problem::new(ProblemCode::NoTypes, at, "the schema defines no types")
                    .help("write `type user`"),
            );
        }
        if let Some(first_over) = self.tree.types.get(self.limits.types_max) {
            let message =
                format!("the schema defines {types} types; at most {} are allowed", self.limits.types_max);
            let problem = Problem::new(ProblemCode::TooManyTypes, &first_over.name.at, message);
            self.report(problem.label("the first one too many"));
        }
        let bytes = wire_size::of(self.tree);
        if bytes > self.limits.model_bytes_max {
            let most = self.limits.model_bytes_max;
            let message =
                format!("the schema takes {bytes} bytes in its stored form; at most {most} are allowed");
            let at = &self.tree.header.version.at;
            self.report(
                Problem::new(ProblemCode::ModelTooLarge, at, message)
                    .help("shorten names, or divide the schema"),
            );
        }
    }

    /// Conditions: declared once, used only when declared, each a sound expression.
    fn conditions(&mut self) {
        expressions::problems(self.tree).into_iter().for_each(|problem| self.report(problem));
        let mut used: HashSet<&str> = HashSet::new();
        for entry in &self.index.relations {
            for condition in entry.definition.restrictions.iter().filter_map(|with| with.condition.as_ref()) {
                used.insert(&condition.text);
            }
        }
        for condition in &self.tree.conditions {
            if let Some(key) = &condition.key {
                let message = format!("the condition `{}` has the name `{}`", key.text, condition.name.text);
                let problem = Problem::new(ProblemCode::ConditionNameMismatch, &condition.name.at, message);
                self.report(problem.help("give it the same name as its key"));
            }
            let name = &*condition.key.as_ref().unwrap_or(&condition.name).text;
            if !used.contains(name) && self.reading.problems == 0 {
                let message = format!("no type restriction uses the condition `{name}`");
                self.report(Problem::new(ProblemCode::UnusedCondition, &condition.name.at, message));
            }
        }
    }

    /// Relations defined by each other in a circle; those without any entry point.
    fn cycles(&mut self) {
        let mut edges = Vec::new();
        for (relation, entry) in self.index.relations.iter().enumerate() {
            entry.definition.expression.walk(&mut |expression| {
                if let ExpressionKind::Computed(name) = &expression.kind
                    && let Some(target) = self.index.relation_named(entry.object_type, &name.text)
                    && target != relation
                {
                    edges.push((relation, target));
                }
            });
        }
        let cycles = graph::cycles(self.index.relations.len(), &edges);
        for cycle in &cycles {
            let problem = self.cycle_problem(cycle);
            self.report(problem);
        }
        let cyclic: HashSet<usize> = cycles.into_iter().flatten().collect();
        self.entry_points(&cyclic);
    }

    fn cycle_problem(&self, cycle: &[usize]) -> Problem {
        let named =
            cycle.iter().take(NAMED_MAX).map(|relation| format!("`{}`", self.relation_name(*relation)));
        let mut names: Vec<String> = named.collect();
        if cycle.len() > NAMED_MAX {
            names.push(format!("{} more", cycle.len() - NAMED_MAX));
        }
        let message = match &names[..] {
            [names @ .., last] => format!("{} and {last} are defined by each other", names.join(", ")),
            [] => String::new(),
        };
        let mut problem = Problem::new(ProblemCode::RewriteCycle, self.name_at(cycle[0]), message);
        for other in cycle.iter().take(NAMED_MAX).skip(1) {
            problem = problem.also(self.name_at(*other), "which leads back");
        }
        problem.help("let at least one of them stand without the others")
    }

    fn relation_name(&self, relation: usize) -> &'t str {
        &self.index.relations[relation].definition.name.text
    }

    fn name_at(&self, relation: usize) -> &'t At {
        &self.index.relations[relation].definition.name.at
    }
}
