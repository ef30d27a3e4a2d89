//! Which module and file each definition of a stored schema came from, as comments.

use super::super::layout;
use super::super::tree::{Metadata, Name, Tree};

impl Tree {
    /// The same schema in the order of its modules, each definition with a comment that names its module and file, as
    /// OpenFGA's tools print a stored schema. One that is not modular stays as it is.
    pub fn with_module_comments(mut self) -> Tree {
        let of_module = |metadata: &Option<Metadata>| {
            metadata.as_ref().is_some_and(|metadata| !metadata.module.is_empty())
        };
        let mut types = self.types.iter();
        if !types.any(|definition| of_module(&definition.metadata)) {
            return self;
        }
        self.types.sort_by(|a, b| order(&a.metadata, &a.name).cmp(&order(&b.metadata, &b.name)));
        for definition in &mut self.types {
            definition.trivia.blank_before = true;
            definition.trivia.trailing = comment("", &definition.metadata);
            let relations = &mut definition.relations;
            relations.sort_by(|a, b| order(&a.metadata, &a.name).cmp(&order(&b.metadata, &b.name)));
            for relation in relations {
                relation.trivia.trailing = comment("extended by: ", &relation.metadata);
            }
        }
        self.conditions.sort_by(|a, b| order(&a.metadata, &a.name).cmp(&order(&b.metadata, &b.name)));
        for condition in &mut self.conditions {
            condition.closing_comment = comment("", &condition.metadata);
        }
        layout::normalise(&mut self);
        self
    }
}

/// What a module defines itself comes before what others add.
fn order<'t>(metadata: &'t Option<Metadata>, name: &'t Name) -> (&'t str, &'t str, &'t str) {
    let module = metadata.as_ref().map_or("", |metadata| &metadata.module);
    let file = metadata.as_ref().and_then(|metadata| metadata.file.as_deref()).unwrap_or_default();
    (module, file, &name.text)
}

/// `# module: core, file: core.fga`. Whoever stored the schema chose the names: they stay on their line.
fn comment(begin: &str, metadata: &Option<Metadata>) -> Option<String> {
    let Metadata { module, file } = metadata.as_ref()?;
    let module = (!module.is_empty()).then(|| format!("module: {module}"));
    let file = file.as_ref().filter(|file| !file.is_empty()).map(|file| format!("file: {file}"));
    let parts: Vec<String> = module.into_iter().chain(file).collect();
    let text = parts.join(", ").replace(char::is_control, " ");
    (!parts.is_empty()).then(|| format!("# {begin}{}", text.trim_end()))
}
