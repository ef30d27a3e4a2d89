//! The schema language: OpenFGA's modelling language, read, checked, printed and resolved.
//!
//! Three types for three stages, so that a schema that was only half looked at cannot be evaluated: the text, the
//! [`Tree`] (as written, every node with its place, comments kept), the [`Schema`] (names are numbers, every rule
//! holds). Whatever is wrong on the way is a [`Problem`]: which mistake, where, what would be right; one run
//! reports all of them.
//!
//! ```
//! use stonetown::schema::{Tree, read_schema};
//!
//! let text = "model\n  schema 1.1\n\ntype user\n\ntype doc\n  relations\n    define viewer: [user]\n";
//! let (tree, schema) = read_schema("doc.fga", text)?;
//! assert_eq!(schema.types().len(), 2);
//! assert_eq!(tree.print().unwrap(), text);
//! assert_eq!(Tree::from_json(&tree.to_json())?, tree);
//!
//! let problems = read_schema("doc.fga", &text.replace("[user]", "[usr]")).unwrap_err();
//! assert_eq!(problems.plain(), "doc.fga:8:21: unknown-type: there is no type `usr`; did you mean `user`?");
//! # Ok::<(), stonetown::schema::Problems>(())
//! ```

pub mod resolved;
pub mod tree;

mod code;
mod compare;
mod expressions;
mod graph;
mod index;
mod json;
mod layout;
mod lex;
mod limits;
mod modules;
mod openfga;
mod parse;
mod print;
mod problem;
mod render;
mod resolve;
#[cfg(test)]
mod round_trip;
mod rules;
mod source;
mod suggest;
mod wire_size;

pub use code::ProblemCode;
pub use compare::{Defined, Difference, DifferenceKind, compare};
pub use graph::{Edge, EdgeKind, Entry, Reach, RelationGraph, to_dot};
pub use limits::{
    CONDITIONS_MAX, Limits, MODEL_BYTES_MAX, NESTING_MAX, PARAMETERS_MAX, PROBLEMS_MAX, TEXT_BYTES_MAX,
    TYPES_MAX,
};
pub use modules::{MANIFEST_NAME, module_file_name, read_manifest, read_modules, read_modules_within};
pub use print::PrintError;
pub use problem::{Label, Problem, Problems, Severity, WireError};
pub use resolve::{read_json, read_json_within, read_schema, read_schema_within};
pub use resolved::{
    Arrow, ArrowOver, Condition, ConditionIndex, Relation, RelationIndex, Restriction, RestrictionShape,
    Rewrite, Schema, Type, TypeIndex,
};
pub use source::{At, Place, Position, Source, Span};
pub(crate) use suggest::instead;
pub use tree::Tree;
