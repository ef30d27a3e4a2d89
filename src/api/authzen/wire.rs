//! What AuthZEN's requests say, and the question of ours that it becomes. Unknown fields are passed over; null is as good
//! as missing.

use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::strict::kind;
use crate::engine::{BatchItem, Context, Given};
use crate::tuple::{
    Object, ObjectRef, Subject, SubjectRef, TupleError, TupleRef, check_object_id, check_relation_name,
    check_type_name,
};

/// The fields of a JSON object, to be taken out one by one.
pub(super) struct Fields {
    /// Where the object stands, for messages; empty: it is the body.
    place: &'static str,
    fields: Map<String, Value>,
}

impl Fields {
    /// Of a body.
    pub(super) fn of(fields: Map<String, Value>) -> Fields {
        Fields { place: "", fields }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Value) -> ApiError {
        let path = self.path(name);
        ApiError::validation(format!("`{path}` has to be {wanted}, not {}", kind(value)))
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// A whole number from 0 on.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let wrong = || {
            let path = self.path(name);
            ApiError::validation(format!("`{path}` has to be a whole number from 0 on, not `{value}`"))
        };
        value.as_u64().ok_or_else(wrong).map(Some)
    }

    /// A list of whatever.
    pub(super) fn array(&mut self, name: &str) -> Result<Vec<Value>, ApiError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values),
            Some(other) => Err(self.wrong(name, "an array", &other)),
        }
    }

    fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(other) => Err(self.wrong(name, "an object", &other)),
        }
    }

    /// The fields of an object within.
    pub(super) fn fields(&mut self, name: &'static str) -> Result<Option<Fields>, ApiError> {
        Ok(self.object(name)?.map(|fields| Fields { place: name, fields }))
    }
}

/// A subject or a resource; which of its fields have to be there depends on the question.
#[derive(Debug, Clone, Default)]
struct Entity {
    type_name: Option<String>,
    id: Option<String>,
    properties: Map<String, Value>,
}

impl Entity {
    fn read(mut fields: Fields) -> Result<Entity, ApiError> {
        Ok(Entity {
            type_name: fields.text("type")?,
            id: fields.text("id")?,
            properties: fields.object("properties")?.unwrap_or_default(),
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Action {
    name: Option<String>,
    properties: Map<String, Value>,
}

/// Who wants to do what with what, and what else is known. Any part may be missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Question {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    context: Option<Map<String, Value>>,
}

impl Question {
    /// Reads the four parts.
    pub(super) fn read(fields: &mut Fields) -> Result<Question, ApiError> {
        let action = |mut fields: Fields| {
            let properties = fields.object("properties")?.unwrap_or_default();
            Ok::<_, ApiError>(Action { name: fields.text("name")?, properties })
        };
        Ok(Question {
            subject: fields.fields("subject")?.map(Entity::read).transpose()?,
            action: fields.fields("action")?.map(action).transpose()?,
            resource: fields.fields("resource")?.map(Entity::read).transpose()?,
            context: fields.object("context")?,
        })
    }

    /// One of several evaluations: a part that it lacks is that of the defaults, as a whole.
    pub(super) fn read_item(item: &Value, defaults: &Question) -> Result<Question, ApiError> {
        let Value::Object(fields) = item else {
            let kind = kind(item);
            return Err(ApiError::validation(format!("an evaluation has to be an object, not {kind}")));
        };
        let own = Question::read(&mut Fields::of(fields.clone()))?;
        Ok(Question {
            subject: own.subject.or_else(|| defaults.subject.clone()),
            action: own.action.or_else(|| defaults.action.clone()),
            resource: own.resource.or_else(|| defaults.resource.clone()),
            context: own.context.or_else(|| defaults.context.clone()),
        })
    }

    /// The check that it asks for.
    pub(super) fn check(&self) -> Result<BatchItem, ApiError> {
        let (subject, relation, object) = (self.subject()?, self.relation()?, self.object()?);
        let tuple = TupleRef { object: object.as_ref(), relation, subject: subject.as_ref() }.to_owned();
        Ok(BatchItem { tuple, given: self.given() })
    }

    /// The type of the subjects that are searched; their id is passed over.
    pub(super) fn subject_type(&self) -> Result<&str, ApiError> {
        type_name("subject", self.subject.as_ref())
    }

    /// The type of the resources that are searched; their id is passed over.
    pub(super) fn object_type(&self) -> Result<&str, ApiError> {
        type_name("resource", self.resource.as_ref())
    }

    /// Who.
    pub(super) fn subject(&self) -> Result<Subject, ApiError> {
        let type_name = self.subject_type()?;
        let id = id("subject", self.subject.as_ref())?;
        // A subject may be longer than an object. It is one object: no userset, and not everybody.
        check_object_id(id).map_err(|error| wrong("subject.id", &error))?;
        let text = format!("{type_name}:{id}");
        let subject = SubjectRef::parse(&text).map_err(|error| wrong("subject", &error))?;
        Ok(subject.to_owned())
    }

    /// To what.
    pub(super) fn object(&self) -> Result<Object, ApiError> {
        let type_name = self.object_type()?;
        let id = id("resource", self.resource.as_ref())?;
        check_object_id(id).map_err(|error| wrong("resource.id", &error))?;
        let object = ObjectRef::new(type_name, id).map_err(|error| wrong("resource", &error))?;
        Ok(object.to_owned())
    }

    /// Does what.
    pub(super) fn relation(&self) -> Result<&str, ApiError> {
        let action = self.action.as_ref().ok_or_else(|| missing("action"))?;
        let name = action.name.as_deref().ok_or_else(|| missing("action.name"))?;
        check_relation_name(name).map_err(|error| wrong("action.name", &error))?;
        Ok(name)
    }

    /// The context of conditions. Of two values of one name the later one counts: all properties of a part as a map, its
    /// properties one by one, the context. The maps are always there, so that a condition can ask for a property that may
    /// be missing.
    pub(super) fn given(&self) -> Given {
        let mut values = Map::new();
        let of = |part: Option<&Entity>| part.map(|it| it.properties.clone()).unwrap_or_default();
        let action = self.action.as_ref().map(|it| it.properties.clone()).unwrap_or_default();
        let parts = [
            ("subject", of(self.subject.as_ref())),
            ("action", action),
            ("resource", of(self.resource.as_ref())),
        ];
        for (part, properties) in &parts {
            values.insert(format!("{part}_properties"), Value::Object(texts(properties)));
        }
        for (part, properties) in parts {
            values.extend(properties.into_iter().map(|(name, value)| (format!("{part}_{name}"), value)));
        }
        values.extend(self.context.clone().unwrap_or_default());
        Given { tuples: Vec::new(), context: Context::new(values) }
    }

    /// Everything that a search depends on, of what it has; `is_searched` passes over what is not asked about.
    pub(super) fn text(&self, is_searched: [bool; 3]) -> String {
        let entity = |part: &Option<Entity>, is_searched: bool| {
            let part = part.clone().unwrap_or_default();
            json!([part.type_name, part.id.filter(|_| !is_searched), part.properties])
        };
        let [subject, action, resource] = is_searched;
        let asked = self.action.clone().filter(|_| !action).unwrap_or_default();
        json!([
            entity(&self.subject, subject),
            [json!(asked.name), json!(asked.properties)],
            entity(&self.resource, resource),
            self.context,
        ])
        .to_string()
    }

    /// A search for actions has none: one that is there all the same is passed over.
    pub(super) fn without_action(self) -> Question {
        Question { action: None, ..self }
    }
}

/// Texts as they are, numbers and booleans as they are written: all of one type, so that a `map<string>` takes them,
/// whatever else there is.
fn texts(properties: &Map<String, Value>) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(Value::from(text.as_str())),
        Value::Number(_) | Value::Bool(_) => Some(Value::from(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    properties.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn missing(path: &str) -> ApiError {
    ApiError::validation(format!("`{path}` is missing"))
}

fn wrong(path: &str, error: &TupleError) -> ApiError {
    ApiError::validation(format!("`{path}`: {error}"))
}

fn type_name<'e>(part: &'static str, entity: Option<&'e Entity>) -> Result<&'e str, ApiError> {
    let entity = entity.ok_or_else(|| missing(part))?;
    let path = format!("{part}.type");
    let name = entity.type_name.as_deref().ok_or_else(|| missing(&path))?;
    check_type_name(name).map_err(|error| wrong(&path, &error))?;
    Ok(name)
}

fn id<'e>(part: &'static str, entity: Option<&'e Entity>) -> Result<&'e str, ApiError> {
    let id = entity.and_then(|entity| entity.id.as_deref());
    id.ok_or_else(|| missing(&format!("{part}.id")))
}
