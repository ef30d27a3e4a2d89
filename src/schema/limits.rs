//! How large a schema may be: a hostile one must be refused before it costs anything.

/// The limits on one schema. The defaults are OpenFGA's where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of schema text.
    pub text_bytes_max: usize,
    /// Most bytes of the schema in OpenFGA's serialized form.
    pub model_bytes_max: usize,
    /// Most types.
    pub types_max: usize,
    /// Deepest nesting of parentheses, or of rewrites in JSON.
    pub nesting_max: usize,
    /// Most problems that one run reports before it stops looking.
    pub problems_max: usize,
}

/// Most bytes of schema text.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of a schema in OpenFGA's serialized form (its default).
pub const MODEL_BYTES_MAX: usize = 262_144;
/// Most types in a schema (OpenFGA's default).
pub const TYPES_MAX: usize = 100;
/// Deepest nesting of parentheses, or of rewrites in JSON.
pub const NESTING_MAX: usize = 100;
/// Most conditions of a schema, as in OpenFGA.
pub const CONDITIONS_MAX: usize = 25;
/// Most parameters of a condition, as in OpenFGA.
pub const PARAMETERS_MAX: usize = 25;
/// Most problems that one run reports.
pub const PROBLEMS_MAX: usize = 1000;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            text_bytes_max: TEXT_BYTES_MAX,
            model_bytes_max: MODEL_BYTES_MAX,
            types_max: TYPES_MAX,
            nesting_max: NESTING_MAX,
            problems_max: PROBLEMS_MAX,
        }
    }
}
