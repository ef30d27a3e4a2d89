//! Objects: `voice:7`.

use std::fmt;
use std::str::FromStr;

use super::error::{Part, TupleError};
use super::name::{OBJECT_CHARS_MAX, TYPE_CHARS_MAX, check_id, check_name, check_object_id};

/// A typed thing: `voice:7`. Owned; [`ObjectRef`] is the borrowed form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// `type:id` as one string, so that an object is one allocation and prints for nothing.
    text: Box<str>,
    colon: usize,
}

/// A borrowed [`Object`]. Its names have passed the parser, or come from a stored key that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef<'a> {
    object_type: &'a str,
    id: &'a str,
}

impl Object {
    /// An object from its two parts, checked.
    pub fn new(object_type: &str, id: &str) -> Result<Object, TupleError> {
        Ok(ObjectRef::new(object_type, id)?.to_owned())
    }

    /// The type before the colon.
    pub fn object_type(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The id after the colon.
    pub fn id(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// The borrowed form.
    pub fn as_ref(&self) -> ObjectRef<'_> {
        ObjectRef { object_type: self.object_type(), id: self.id() }
    }
}

impl<'a> ObjectRef<'a> {
    /// An object from its two parts, checked.
    pub fn new(object_type: &'a str, id: &'a str) -> Result<ObjectRef<'a>, TupleError> {
        ObjectRef::checked(object_type, id, Part::ObjectType, Part::ObjectId, Part::Object)
    }

    /// An object from its text form `type:id`, checked.
    pub fn parse(text: &'a str) -> Result<ObjectRef<'a>, TupleError> {
        let (object_type, id) = split(text, Part::Object)?;
        ObjectRef::new(object_type, id).map_err(|error| error.within(text))
    }

    /// An object whose parts are known to have been checked, as those of a stored key are.
    pub(crate) fn from_checked(object_type: &'a str, id: &'a str) -> ObjectRef<'a> {
        ObjectRef { object_type, id }
    }

    pub(super) fn checked(
        object_type: &'a str,
        id: &'a str,
        type_part: Part,
        id_part: Part,
        whole: Part,
    ) -> Result<ObjectRef<'a>, TupleError> {
        check_name(type_part, object_type, TYPE_CHARS_MAX, "use at most 254 characters")?;
        match id_part {
            Part::ObjectId => check_object_id(id)?,
            part => check_id(part, id)?,
        }
        let bytes = object_type.len() + 1 + id.len();
        if whole == Part::Object
            && bytes > OBJECT_CHARS_MAX
            && object_type.chars().count() + 1 + id.chars().count() > OBJECT_CHARS_MAX
        {
            let help = "use at most 256 characters for `TYPE:ID`";
            return Err(TupleError::new(Part::Object, "is too long", id, help));
        }
        Ok(ObjectRef { object_type, id })
    }

    /// The type before the colon.
    pub fn object_type(&self) -> &'a str {
        self.object_type
    }

    /// The id after the colon.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Object {
        let mut text = String::with_capacity(self.object_type.len() + 1 + self.id.len());
        text.push_str(self.object_type);
        text.push(':');
        text.push_str(self.id);
        Object { text: text.into_boxed_str(), colon: self.object_type.len() }
    }
}

/// Splits `type:id` at its colon.
pub(super) fn split(text: &str, part: Part) -> Result<(&str, &str), TupleError> {
    text.split_once(':')
        .ok_or_else(|| TupleError::new(part, "has no `:`", text, "write `TYPE:ID`, for example `voice:7`"))
}

impl FromStr for Object {
    type Err = TupleError;

    fn from_str(text: &str) -> Result<Object, TupleError> {
        Ok(ObjectRef::parse(text)?.to_owned())
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for ObjectRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.object_type, self.id)
    }
}
