//! HTTP: OpenFGA's API, and what we add beside it.

mod app;
mod body;
mod error;
mod fields;
mod page;
mod query;
mod routes;
mod server;
mod translate;
mod tuples;
mod wire;

pub use app::ApiLimits;
pub use server::{Server, ServerError};

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");
