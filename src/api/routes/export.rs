//! Export as a stream: all tuples of one state, in any format. What ends without an error is complete.

use std::time::Instant;

use axum::body::Body as StreamBody;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response};

use super::super::app::{App, Charge, at, respond};
use super::super::error::ApiError;
use super::super::load::Class;
use super::super::query::Parameters;
use super::past::store_id;
use super::pieces::{Pieces, streamed};
use crate::bulk::{self, Compression, ExportError, Format};
use crate::engine::{At, TupleFilter};
use crate::tuple::StoreId;

/// What is asked for.
struct Asked {
    store: StoreId,
    filter: TupleFilter,
    format: Format,
    compression: Compression,
    at: At,
}

impl Asked {
    fn read(app: &App, store: &str, query: &Parameters, headers: &HeaderMap) -> Result<Asked, ApiError> {
        let id = store_id(app, store, "ExportRequest")?;
        let filter = query.text("filter")?;
        let filter = filter
            .parse()
            .map_err(|error| ApiError::validation(format!("parsing field \"filter\": {error}")))?;
        let format = match query.text("format")? {
            "" => Format::JsonLines,
            text => text.parse().map_err(ApiError::validation)?,
        };
        if format == Format::StoreTest {
            return Err(ApiError::validation("a store test is more than tuples: choose another format"));
        }
        let compression = match query.text("compression")? {
            "" => Compression::None,
            text => text.parse().map_err(ApiError::validation)?,
        };
        Ok(Asked { store: id, filter, format, compression, at: at(headers)? })
    }

    fn content_type(&self) -> &'static str {
        match (self.compression, self.format) {
            (Compression::Gzip, _) => "application/gzip",
            (Compression::Zstd, _) => "application/zstd",
            (_, Format::Csv) => "text/csv; charset=utf-8",
            (_, Format::JsonLines) => "application/x-ndjson",
            (_, Format::Json) => "application/json",
            (_, Format::Yaml) => "application/yaml",
            _ => "text/plain; charset=utf-8",
        }
    }
}

pub(super) async fn export(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
    charge: Charge,
) -> Response<StreamBody> {
    let received = Instant::now();
    let asked = match Asked::read(&app, &store, &query, &headers) {
        Ok(asked) => asked,
        Err(error) => return respond(Some(&store), Err(error), received),
    };
    let content_type = asked.content_type();
    let make = move |app: &App, out: &mut Pieces| write(app, &asked, out);
    streamed(app, Class::Bulk, charge, &store, content_type, make).await
}

fn write(app: &App, asked: &Asked, out: &mut Pieces) -> Result<(), ApiError> {
    let state = app.engine.export(asked.store, asked.filter.clone(), &asked.at)?;
    out.of_state(app.engine.seal(&state.token()));
    match bulk::export(&state, out, asked.format, asked.compression, &mut |_| ()) {
        Ok(_) => Ok(()),
        Err(ExportError::Engine(error)) => Err(error.into()),
        Err(ExportError::Write(error)) => Err(ApiError::validation(error.to_string())),
    }
}
