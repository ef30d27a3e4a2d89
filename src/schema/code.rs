//! One code per mistake: stable names that tools and tests may rely on.

use std::fmt;

use super::problem::Severity;

macro_rules! problem_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// What is wrong with a schema; one variant per mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ProblemCode {
            /// Every code there is.
            pub const ALL: &[ProblemCode] = &[$(ProblemCode::$variant,)+];

            /// The stable name: words joined by `-`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ProblemCode::$variant => $name,)+
                }
            }
        }
    };
}

problem_codes! {
    /// The text is longer than the limit.
    TextTooLarge => "text-too-large",
    /// More problems than the limit; the rest is not shown.
    TooManyProblems => "too-many-problems",
    /// The text does not begin with `model`.
    MissingHeader => "missing-header",
    /// No `schema` with a version.
    MissingSchemaVersion => "missing-schema-version",
    /// A version of the language that is not 1.1 or 1.2.
    UnsupportedSchemaVersion => "unsupported-schema-version",
    /// A line begins with a word that begins no line.
    UnknownKeyword => "unknown-keyword",
    /// A line that cannot stand here.
    MisplacedLine => "misplaced-line",
    /// `define` without `relations` before it.
    MissingRelations => "missing-relations",
    /// `relations` without `define` after it.
    EmptyRelations => "empty-relations",
    /// A name is missing.
    MissingName => "missing-name",
    /// A name that is too long or has characters which names cannot have.
    InvalidName => "invalid-name",
    /// A word of the language, or `self` or `this`, used as a name.
    ReservedWord => "reserved-word",
    /// No `:` between a relation and its definition.
    MissingColon => "missing-colon",
    /// Nothing where a relation, a list or a parenthesis should be.
    MissingOperand => "missing-operand",
    /// `or`, `and` and `but not` mixed on one level.
    MixedOperators => "mixed-operators",
    /// `but not` twice on one level.
    ChainedExclusion => "chained-exclusion",
    /// A list of types that is not the first operand.
    MisplacedRestrictions => "misplaced-restrictions",
    /// `[]`.
    EmptyRestrictions => "empty-restrictions",
    /// A type restriction of a form that does not exist.
    InvalidRestriction => "invalid-restriction",
    /// No `,` between two entries of a list.
    MissingComma => "missing-comma",
    /// A `[` that is not closed.
    UnclosedBracket => "unclosed-bracket",
    /// A `(` that is not closed.
    UnclosedParenthesis => "unclosed-parenthesis",
    /// A `)` that nothing opens.
    UnopenedParenthesis => "unopened-parenthesis",
    /// A space that is missing, or is one too many.
    WrongSpacing => "wrong-spacing",
    /// Text after a line that is already complete.
    UnexpectedText => "unexpected-text",
    /// Parentheses, or rewrites in JSON, nested deeper than the limit.
    NestingTooDeep => "nesting-too-deep",
    /// The parameter list of a condition is not one.
    InvalidParameters => "invalid-parameters",
    /// A parameter of a type that does not exist.
    UnknownParameterType => "unknown-parameter-type",
    /// A condition without its `{ … }`.
    MissingBody => "missing-body",
    /// A `{` that is not closed.
    UnclosedBody => "unclosed-body",
    /// A file of a modular schema, where a whole schema is wanted.
    ModuleAlone => "module-alone",
    /// A file of a modular schema that does not begin with `module`.
    NotAModule => "not-a-module",
    /// `extend` in a schema that is not modular.
    ExtendOutsideModule => "extend-outside-module",
    /// `extend` for a type that no file defines.
    UnknownExtendedType => "unknown-extended-type",
    /// `extend` for a type that the same file defines.
    ExtendOfOwnType => "extend-of-own-type",
    /// A type extended twice in one file.
    DuplicateExtension => "duplicate-extension",
    /// The manifest of a modular schema is no YAML, or no mapping.
    InvalidManifest => "invalid-manifest",
    /// The manifest lists no files.
    MissingContents => "missing-contents",
    /// Something in the manifest is not of the right kind.
    ManifestType => "manifest-type",
    /// The manifest lists a file that it cannot list.
    InvalidModulePath => "invalid-module-path",
    /// The manifest lists a file twice.
    DuplicateModulePath => "duplicate-module-path",
    /// The manifest lists a file that cannot be read.
    UnreadableModule => "unreadable-module",
    /// An expression that is no CEL, or of which types do not fit.
    InvalidExpression => "invalid-expression",
    /// More conditions, or more parameters of one, than the limit.
    TooManyConditions => "too-many-conditions",
    /// JSON of the wrong type.
    JsonType => "json-type",
    /// Several rewrites where one is expected, in JSON.
    AmbiguousRewrite => "ambiguous-rewrite",
    /// No rewrite where one is expected, in JSON.
    MissingRewrite => "missing-rewrite",
    /// A type restriction with both a relation and a wildcard, in JSON.
    AmbiguousRestriction => "ambiguous-restriction",
    /// A condition under a key that is not its name, in JSON.
    ConditionNameMismatch => "condition-name-mismatch",
    /// A schema without types.
    NoTypes => "no-types",
    /// More types than the limit.
    TooManyTypes => "too-many-types",
    /// Larger, in OpenFGA's serialized form, than the limit.
    ModelTooLarge => "model-too-large",
    /// A type defined twice.
    DuplicateType => "duplicate-type",
    /// A relation defined twice on a type.
    DuplicateRelation => "duplicate-relation",
    /// A condition defined twice.
    DuplicateCondition => "duplicate-condition",
    /// A parameter defined twice in a condition.
    DuplicateParameter => "duplicate-parameter",
    /// A type that is not defined.
    UnknownType => "unknown-type",
    /// A relation that is not defined on its type.
    UnknownRelation => "unknown-relation",
    /// `X from Y` where no type that Y allows defines X.
    UnknownArrowTarget => "unknown-arrow-target",
    /// A condition that is not defined.
    UnknownCondition => "unknown-condition",
    /// A relation defined as itself.
    SelfReference => "self-reference",
    /// `X from Y` where Y is not purely a list of types.
    TuplesetNotDirect => "tupleset-not-direct",
    /// `X from Y` where Y allows usersets or wildcards.
    TuplesetRestriction => "tupleset-restriction",
    /// Directly assignable without saying to which types, in JSON.
    MissingRestrictions => "missing-restrictions",
    /// Types listed for a relation that is not directly assignable, in JSON.
    NeedlessRestrictions => "needless-restrictions",
    /// A union or an intersection of less than two, in JSON.
    TooFewOperands => "too-few-operands",
    /// Nobody can ever hold the relation.
    NoEntryPoint => "no-entry-point",
    /// Relations defined by each other in a circle.
    RewriteCycle => "rewrite-cycle",
    /// A type restriction listed twice (warning).
    DuplicateRestriction => "duplicate-restriction",
    /// An operand listed twice (warning).
    DuplicateOperand => "duplicate-operand",
    /// A condition that no restriction uses (warning).
    UnusedCondition => "unused-condition",
}

impl ProblemCode {
    /// Whether a schema with this mistake is refused.
    pub fn severity(self) -> Severity {
        match self {
            ProblemCode::DuplicateRestriction
            | ProblemCode::DuplicateOperand
            | ProblemCode::UnusedCondition => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
