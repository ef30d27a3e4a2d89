//! What must not happen: `gain:voice#viewer`, `lose:voice#*`, `change:*`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::api::DiffSummaryForm;

/// A kind of change of a permission that is forbidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden {
    kind: Kind,
    /// None: of all types.
    object_type: Option<String>,
    /// None: all of the type.
    permission: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gain,
    Lose,
    Change,
}

impl FromStr for Forbidden {
    type Err = String;

    fn from_str(text: &str) -> Result<Forbidden, String> {
        let wrong = || {
            format!(
                "`{text}`: write gain, lose or change, `:`, and TYPE#PERMISSION, TYPE#* or *; such as `gain:voice#viewer`"
            )
        };
        let (kind, of) = text.split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "gain" => Kind::Gain,
            "lose" => Kind::Lose,
            "change" => Kind::Change,
            _ => return Err(wrong()),
        };
        let part = |part: &str| match part {
            "" => Err(wrong()),
            "*" => Ok(None),
            name => Ok(Some(name.to_owned())),
        };
        let (object_type, permission) = match of.split_once('#') {
            Some((of, permission)) => (part(of)?, part(permission)?),
            None if of == "*" => (None, None),
            None => return Err(wrong()),
        };
        Ok(Forbidden { kind, object_type, permission })
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Gain => "gain",
            Kind::Lose => "lose",
            Kind::Change => "change",
        };
        match (&self.object_type, &self.permission) {
            (None, None) => write!(f, "{kind}:*"),
            (of, permission) => {
                let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "*".to_owned());
                write!(f, "{kind}:{}#{}", name(of), name(permission))
            }
        }
    }
}

impl Forbidden {
    /// Whether one of these schemas, in OpenFGA's JSON form, has such a permission.
    pub(super) fn is_known(&self, schemas: &[Value]) -> bool {
        let types = schemas.iter().filter_map(|schema| schema["type_definitions"].as_array()).flatten();
        let mut of_type =
            types.filter(|kind| self.object_type.as_deref().is_none_or(|name| kind["type"] == name));
        of_type.any(|kind| self.permission.as_ref().is_none_or(|name| kind["relations"].get(name).is_some()))
    }

    /// What a diff has of it, in words.
    pub(super) fn found(&self, summary: &DiffSummaryForm) -> Vec<String> {
        let mut found = Vec::new();
        for row in &summary.rows {
            let (object_type, permission) = row.permission.split_once('#').unwrap_or_default();
            let is_of = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|it| it == name);
            if !is_of(&self.object_type, object_type) || !is_of(&self.permission, permission) {
                continue;
            }
            let (count, word) = match self.kind {
                Kind::Gain => (row.counts.gained, "gained"),
                Kind::Lose => (row.counts.lost, "lost"),
                Kind::Change => (row.counts.changed, "changed"),
            };
            if count > 0 {
                found.push(format!("{} is {word} {count} times, on {} objects", row.permission, row.objects));
            }
        }
        found
    }
}
