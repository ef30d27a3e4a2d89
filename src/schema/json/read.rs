//! JSON to tree. Fields may be missing or null, unknown ones are ignored; everything else that is wrong is reported
//! by its path.

use serde_json::{Map, Value};

use super::super::code::ProblemCode;
use super::super::limits::Limits;
use super::super::problem::{Problem, Problems};
use super::super::source::{At, Source};
use super::super::tree::{
    ConditionDefinition, Expression, ExpressionKind, Metadata, Name, Parameter, ParameterType,
    ParameterTypeName, RelationDefinition, Tree, TypeDefinition, TypeRestriction, TypeRestrictionShape,
};

impl Tree {
    /// Reads a schema in OpenFGA's JSON form, or says everything that is wrong with its form. What it says is not
    /// looked at: for that, see [`read_json`](super::super::read_json) and
    /// [`Schema::resolve`](super::super::Schema::resolve).
    pub fn from_json(value: &Value) -> Result<Tree, Problems> {
        let (tree, problems) = read("model", value, &Limits::default());
        match problems.is_empty() {
            true => Ok(tree),
            false => Err(Problems::new(tree.source, problems)),
        }
    }
}

/// Reads what can be read of a document. The tree is whole only when there are no problems.
pub(in super::super) fn read(source_name: &str, value: &Value, limits: &Limits) -> (Tree, Vec<Problem>) {
    let mut reader = Reader { path: String::new(), problems: Vec::new(), limits };
    let mut tree = reader.tree(value);
    tree.source = std::sync::Arc::new(Source::new(source_name, ""));
    (tree, reader.problems)
}

struct Reader<'a> {
    /// The path of the value at hand.
    path: String,
    problems: Vec<Problem>,
    limits: &'a Limits,
}

static NOTHING: Value = Value::Null;

/// The members of a rewrite, in both spellings.
const REWRITES: [(&str, &str); 6] = [
    ("this", "this"),
    ("computedUserset", "computed_userset"),
    ("tupleToUserset", "tuple_to_userset"),
    ("union", "union"),
    ("intersection", "intersection"),
    ("difference", "difference"),
];

impl Reader<'_> {
    fn tree(&mut self, value: &Value) -> Tree {
        let mut tree = Tree::empty("");
        let Some(object) = self.object(value) else { return tree };
        tree.header.version = self.within_key(object, "schema_version", Self::name);
        if let Some(types) = self.within_key(object, "type_definitions", Self::array) {
            tree.types = self.each(types, "type_definitions", Self::typedef);
        }
        let conditions = self.within_key(object, "conditions", Self::object);
        for (key, value) in conditions.into_iter().flatten() {
            tree.conditions.push(self.within(&["conditions", key], |reader| reader.condition(key, value)));
        }
        tree
    }

    fn typedef(&mut self, value: &Value) -> TypeDefinition {
        let mut definition = TypeDefinition::new(Name::new("", self.at()), Vec::new());
        let Some(object) = self.object(value) else { return definition };
        definition.name = self.within_key(object, "type", Self::name);
        let relations = self.within_key(object, "relations", Self::object);
        for (key, value) in relations.into_iter().flatten() {
            let problems_before = self.problems.len();
            let (name, expression) = self.within(&["relations", key], |reader| {
                (Name::new(key, reader.at()), reader.expression(value, 0))
            });
            let mut relation = RelationDefinition::new(name, expression, Vec::new());
            relation.metadata = None;
            relation.broken = self.problems.len() > problems_before;
            definition.relations.push(relation);
        }
        let metadata = self.within_key(object, "metadata", |reader, value| {
            let metadata = reader.metadata(value)?;
            let object = reader.object(value)?;
            let entries = reader.within_key(object, "relations", Self::object);
            for relation in &mut definition.relations {
                let Some(entry) = entries.and_then(|entries| entries.get(&*relation.name.text)) else {
                    continue;
                };
                let path = ["relations", &relation.name.text];
                reader.within(&path, |reader| {
                    relation.metadata = reader.metadata(entry);
                    relation.restrictions = reader.restrictions(entry);
                });
            }
            Some(metadata)
        });
        definition.metadata = metadata;
        definition
    }

    /// `module` and `source_info.file`; none when there is no object.
    fn metadata(&mut self, value: &Value) -> Option<Metadata> {
        let object = self.object(value)?;
        let module = self.within_key(object, "module", Self::text).into();
        let file = self.within_key(object, "source_info", |reader, value| {
            let object = reader.object(value)?;
            Some(reader.within_key(object, "file", Self::text).into())
        });
        Some(Metadata { module, file })
    }

    fn restrictions(&mut self, metadata: &Value) -> Vec<TypeRestriction> {
        let field = "directly_related_user_types";
        let Some(list) = metadata.get(field) else { return Vec::new() };
        let list = self.within(&[field], |reader| reader.array(list));
        list.map(|list| self.each(list, field, Self::restriction)).unwrap_or_default()
    }

    fn restriction(&mut self, value: &Value) -> TypeRestriction {
        let at = self.at();
        let unnamed = Name::new("", at.clone());
        let Some(object) = self.object(value) else {
            return TypeRestriction::new(at, unnamed, TypeRestrictionShape::Object, None);
        };
        let subject_type = self.within_key(object, "type", Self::name);
        let given = |name: Name| (!name.text.is_empty()).then_some(name);
        let relation = given(self.within_key(object, "relation", Self::name));
        let condition = given(self.within_key(object, "condition", Self::name));
        let wildcard = self.within_key(object, "wildcard", Self::object).is_some();
        let shape = match (relation, wildcard) {
            (Some(_), true) => {
                let message = "both `relation` and `wildcard` are given";
                self.report(ProblemCode::AmbiguousRestriction, message, "give one of them, or neither");
                TypeRestrictionShape::Wildcard
            }
            (Some(relation), false) => TypeRestrictionShape::Userset(relation),
            (None, true) => TypeRestrictionShape::Wildcard,
            (None, false) => TypeRestrictionShape::Object,
        };
        TypeRestriction::new(at, subject_type, shape, condition)
    }

    fn expression(&mut self, value: &Value, depth: usize) -> Expression {
        let at = self.at();
        let kind = self.expression_kind(value, depth).unwrap_or(ExpressionKind::Missing);
        Expression::new(kind, at)
    }

    fn expression_kind(&mut self, value: &Value, depth: usize) -> Option<ExpressionKind> {
        let object = self.object(value)?;
        let is_given = |field: &str| object.get(field).is_some_and(|value| !value.is_null());
        let given: Vec<&str> = REWRITES
            .iter()
            .flat_map(|(camel, snake)| if camel == snake { vec![*camel] } else { vec![*camel, *snake] })
            .filter(|field| is_given(field))
            .collect();
        let field = match given[..] {
            [] => return None,
            [field] => field,
            [first, second, ..] => {
                let message = format!("both `{first}` and `{second}` are given");
                self.report(ProblemCode::AmbiguousRewrite, &message, "give one rewrite");
                return None;
            }
        };
        if depth >= self.limits.nesting_max {
            let message = format!("more than {} rewrites within each other", self.limits.nesting_max);
            self.report(ProblemCode::NestingTooDeep, &message, "give the inner parts names of their own");
            return None;
        }
        self.within_key(object, field, |reader, value| reader.rewrite(field, value, depth + 1))
    }

    fn rewrite(&mut self, field: &str, value: &Value, depth: usize) -> Option<ExpressionKind> {
        let object = self.object(value)?;
        let kind = match field {
            "this" => ExpressionKind::Direct,
            "computedUserset" | "computed_userset" => ExpressionKind::Computed(self.relation_of(object)),
            "union" => ExpressionKind::Union(self.children(object, depth)),
            "intersection" => ExpressionKind::Intersection(self.children(object, depth)),
            "difference" => {
                let base = self.within_key(object, "base", |reader, value| reader.expression(value, depth));
                let subtract =
                    self.within_key(object, "subtract", |reader, value| reader.expression(value, depth));
                ExpressionKind::Exclusion(base.into(), subtract.into())
            }
            _ => ExpressionKind::Arrow {
                target: self.object_relation(object, "computedUserset", "computed_userset"),
                tupleset: self.object_relation(object, "tupleset", "tupleset"),
            },
        };
        Some(kind)
    }

    fn children(&mut self, object: &Map<String, Value>, depth: usize) -> Vec<Expression> {
        let list = self.within_key(object, "child", Self::array);
        list.map(|list| self.each(list, "child", |reader, value| reader.expression(value, depth)))
            .unwrap_or_default()
    }

    fn object_relation(&mut self, object: &Map<String, Value>, camel: &str, snake: &str) -> Name {
        let field = if object.contains_key(camel) { camel } else { snake };
        self.within_key(object, field, |reader, value| match reader.object(value) {
            Some(object) => reader.relation_of(object),
            None => Name::new("", reader.at()),
        })
    }

    fn relation_of(&mut self, object: &Map<String, Value>) -> Name {
        self.within_key(object, "relation", Self::name)
    }

    fn condition(&mut self, key: &str, value: &Value) -> ConditionDefinition {
        let key = Name::new(key, self.at());
        let mut condition = ConditionDefinition::new(key.clone(), Vec::new(), "", self.at());
        let Some(object) = self.object(value) else { return condition };
        let name = self.within_key(object, "name", Self::name);
        if name.text != key.text {
            condition.name = name;
            condition.key = Some(key);
        }
        condition.expression_at = self.within_key(object, "expression", |reader, _| reader.at());
        condition.expression = self.within_key(object, "expression", Self::text).into();
        let parameters = self.within_key(object, "parameters", Self::object);
        for (key, value) in parameters.into_iter().flatten() {
            self.within(&["parameters", key], |reader| {
                let name = Name::new(key, reader.at());
                if let Some(kind) = reader.parameter_type(value, 0) {
                    condition.parameters.push(Parameter { name, kind });
                }
            });
        }
        condition.metadata = self.within_key(object, "metadata", Self::metadata);
        condition
    }

    fn parameter_type(&mut self, value: &Value, depth: usize) -> Option<ParameterType> {
        if depth >= self.limits.nesting_max {
            self.report(
                ProblemCode::NestingTooDeep,
                "types nested too deep",
                "use `TYPE_NAME_ANY` for what is within",
            );
            return None;
        }
        let object = self.object(value)?;
        let name = self.within_key(object, "type_name", Self::parameter_type_name)?;
        let generics = self.within_key(object, "generic_types", Self::array).unwrap_or(&[]);
        let generics =
            self.each(generics, "generic_types", |reader, value| reader.parameter_type(value, depth + 1));
        let holds = if name.is_container() { "holds exactly one type" } else { "holds no other types" };
        if generics.len() != usize::from(name.is_container()) {
            let message = format!("`{}` {holds}, found {}", name.as_str(), generics.len());
            let help = "say in `generic_types` what a map or a list holds";
            self.report(ProblemCode::InvalidParameters, &message, help);
            return None;
        }
        Some(ParameterType { name, generics: generics.into_iter().collect::<Option<_>>()? })
    }

    fn parameter_type_name(&mut self, value: &Value) -> Option<ParameterTypeName> {
        let known = match value {
            Value::String(text) => ParameterTypeName::ALL.into_iter().find(|name| {
                text.strip_prefix("TYPE_NAME_").is_some_and(|rest| rest.to_lowercase() == name.as_str())
            }),
            Value::Number(number) => {
                let index = number.as_u64().and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
                index.and_then(|index| ParameterTypeName::ALL.get(index).copied())
            }
            _ => None,
        };
        if known.is_none() {
            let message = format!("`{value}` is not the type of a parameter");
            self.report(ProblemCode::UnknownParameterType, &message, "`TYPE_NAME_STRING` for example");
        }
        known
    }

    /// A value that is an object; none for null and, with a problem, for anything else.
    fn object<'v>(&mut self, value: &'v Value) -> Option<&'v Map<String, Value>> {
        match value {
            Value::Object(object) => Some(object),
            other => self.wrong_type(other, "an object"),
        }
    }

    fn array<'v>(&mut self, value: &'v Value) -> Option<&'v [Value]> {
        match value {
            Value::Array(array) => Some(array),
            other => self.wrong_type(other, "an array"),
        }
    }

    fn text<'v>(&mut self, value: &'v Value) -> &'v str {
        match value {
            Value::String(text) => text,
            other => self.wrong_type(other, "a string").unwrap_or_default(),
        }
    }

    fn name(&mut self, value: &Value) -> Name {
        Name::new(self.text(value), self.at())
    }

    fn wrong_type<T>(&mut self, value: &Value, expected: &str) -> Option<T> {
        let found = match value {
            Value::Null => return None,
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        self.problems.push(Problem::new(
            ProblemCode::JsonType,
            &self.at(),
            format!("expected {expected}, found {found}"),
        ));
        None
    }

    fn report(&mut self, code: ProblemCode, message: &str, help: &str) {
        self.problems.push(Problem::new(code, &self.at(), message).help(help));
    }

    fn at(&self) -> At {
        At::path(&self.path)
    }

    /// Reads a field; a missing one is read as null.
    fn within_key<'v, T>(
        &mut self,
        object: &'v Map<String, Value>,
        field: &str,
        read: impl FnOnce(&mut Self, &'v Value) -> T,
    ) -> T {
        let value = object.get(field).unwrap_or(&NOTHING);
        self.within(&[field], |reader| read(reader, value))
    }

    fn within<T>(&mut self, fields: &[&str], read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        for field in fields {
            push_field(&mut self.path, field);
        }
        let result = read(self);
        self.path.truncate(length);
        result
    }

    fn each<T>(
        &mut self,
        list: &[Value],
        field: &str,
        mut read: impl FnMut(&mut Self, &Value) -> T,
    ) -> Vec<T> {
        let entry = |(number, value): (usize, &Value)| {
            let length = self.path.len();
            push_field(&mut self.path, field);
            self.path.push_str(&format!("[{number}]"));
            let result = read(self, value);
            self.path.truncate(length);
            result
        };
        list.iter().enumerate().map(entry).collect()
    }
}

/// Adds `.field`, or `["field"]` when it is not a plain word.
fn push_field(path: &mut String, field: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if field.is_empty() || !field.chars().all(plain) {
        path.push_str(&format!("[{}]", Value::from(field)));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(field);
}
