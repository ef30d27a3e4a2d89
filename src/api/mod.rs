//! HTTP: OpenFGA's API, and what we add beside it.

mod app;
mod error;
mod expansion;
mod fields;
mod forms;
mod page;
mod percent;
mod query;
mod routes;
mod server;
mod translate;
mod tuples;
mod watchers;
mod wire;

pub use app::ApiLimits;
pub use expansion::{expansion_json, read_expansion};
pub use forms::{FamilyForm, FindingForm, SchemaForm, SchemaInfoForm, StatsForm, StoreForm, ValidationForm};
pub use percent::decode as percent_decode;
pub use server::{Server, ServerError, URL_FILE};

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");
