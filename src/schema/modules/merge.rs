//! Files of modules to one tree.

use std::collections::{HashMap, HashSet};

use super::super::code::ProblemCode;
use super::super::layout;
use super::super::problem::Problem;
use super::super::suggest;
use super::super::tree::{Metadata, Name, RelationDefinition, Tree, TypeDefinition};
use crate::tuple::check_condition_name;

/// A file of a modular schema.
pub(super) struct Module {
    /// As its manifest lists it.
    pub(super) file: Box<str>,
    pub(super) tree: Tree,
}

/// Joins files in their order: types and conditions one after the other, the relations that extend a type behind its
/// own. Whatever is defined twice stays there twice, for the rules to find. Names that extend nothing are added to the
/// unread ones.
pub(super) fn merge(modules: Vec<Module>, unread: &mut HashSet<Box<str>>) -> (Tree, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut tree = Tree::empty("1.2");
    let mut extensions = Vec::new();
    for (number, module) in modules.into_iter().enumerate() {
        let header = module.tree.header;
        problems.extend(header.module.as_ref().and_then(name_problem));
        let module_name = header.module.map(|name| name.text).unwrap_or_default();
        let metadata = Metadata { module: module_name, file: Some(module.file) };
        for mut definition in module.tree.types {
            if definition.extends {
                extensions.push(Extension { module: number, metadata: metadata.clone(), definition });
                continue;
            }
            definition.metadata = Some(metadata.clone());
            tree.types.push(definition);
        }
        for mut condition in module.tree.conditions {
            condition.metadata = Some(metadata.clone());
            tree.conditions.push(condition);
        }
    }
    let mut extended = Extended::of(&mut tree.types, &mut problems, unread);
    for extension in extensions {
        extended.extend(extension);
    }
    layout::normalise(&mut tree);
    (tree, problems)
}

/// `extend type document`, with its relations.
struct Extension {
    /// The number of its file.
    module: usize,
    metadata: Metadata,
    definition: TypeDefinition,
}

/// The types that can be extended, and what is found on the way.
struct Extended<'t> {
    types: &'t mut [TypeDefinition],
    problems: &'t mut Vec<Problem>,
    unread: &'t mut HashSet<Box<str>>,
    /// Of two with the same name the first counts, as everywhere.
    by_name: HashMap<Box<str>, usize>,
    /// Where each file has extended a type.
    seen: HashMap<(usize, Box<str>), Name>,
}

impl<'t> Extended<'t> {
    fn of(
        types: &'t mut [TypeDefinition],
        problems: &'t mut Vec<Problem>,
        unread: &'t mut HashSet<Box<str>>,
    ) -> Extended<'t> {
        let mut by_name = HashMap::new();
        for (at, definition) in types.iter().enumerate() {
            by_name.entry(definition.name.text.clone()).or_insert(at);
        }
        Extended { types, problems, unread, by_name, seen: HashMap::new() }
    }

    /// Adds the relations to their type.
    fn extend(&mut self, extension: Extension) {
        let Extension { module, metadata, definition } = extension;
        let name = definition.name;
        let Some(at) = self.by_name.get(&name.text) else {
            self.problems.push(self.unknown(&name));
            self.unread.extend(definition.relations.into_iter().map(|relation| relation.name.text));
            self.unread.insert(name.text);
            return;
        };
        let extended = &mut self.types[*at];
        if extended.metadata.as_ref().is_some_and(|own| own.file == metadata.file) {
            let message = format!("the type `{}` is defined in the same file", name.text);
            let problem = Problem::new(ProblemCode::ExtendOfOwnType, &name.at, message)
                .also(&extended.name.at, "defined here")
                .help("write the relations there; `extend` is for types of other files");
            self.problems.push(problem);
        } else if let Some(first) = self.seen.get(&(module, name.text.clone())) {
            let message = format!("the type `{}` is already extended in this file", name.text);
            let problem = Problem::new(ProblemCode::DuplicateExtension, &name.at, message)
                .also(&first.at, "first extended here")
                .help("write all relations there");
            self.problems.push(problem);
        }
        let with_metadata = |relation| RelationDefinition { metadata: Some(metadata.clone()), ..relation };
        extended.relations.extend(definition.relations.into_iter().map(with_metadata));
        self.seen.entry((module, name.text.clone())).or_insert(name);
    }

    fn unknown(&self, name: &Name) -> Problem {
        let message = format!("there is no type `{}` to extend", name.text);
        let names = self.types.iter().map(|definition| &*definition.name.text);
        let help = suggest::did_you_mean(&name.text, names)
            .unwrap_or_else(|| format!("define it in one of the files: `type {}`", name.text));
        Problem::new(ProblemCode::UnknownExtendedType, &name.at, message).help(help)
    }
}

/// The name of a module keeps the rules of names of relations and conditions, so that every server takes it.
fn name_problem(name: &Name) -> Option<Problem> {
    let error = (!name.text.is_empty()).then(|| check_condition_name(&name.text).err()).flatten()?;
    let message = format!("the name of the module {}: `{}`", error.problem, error.text);
    Some(Problem::new(ProblemCode::InvalidName, &name.at, message).help(error.help))
}
