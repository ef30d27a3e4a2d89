//! In which order a list of objects comes.

use super::error::EvalError;
use super::program::{Program, find_relation, find_type};

/// Whether [`super::list_objects()`] visits the objects in the order of their ids: the listed relation leads to no further
/// object. Otherwise they come in the order of the walk.
///
/// # Errors
/// Names that the schema does not have.
pub fn lists_sorted(program: &Program, object_type: &str, relation: &str) -> Result<bool, EvalError> {
    let object_type = find_type(program.schema(), object_type)?;
    let relation = find_relation(program.schema(), object_type, relation)?;
    Ok(program.backward(relation).end(relation).is_some())
}
