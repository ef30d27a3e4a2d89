//! HTTP: OpenFGA's API, and what we add beside it.

mod access;
mod analysis;
mod app;
mod audit_log;
mod authzen;
mod body;
mod change_forms;
mod cors;
mod error;
mod evaluators;
mod expansion;
mod fields;
mod forms;
mod front;
mod held;
mod load;
mod metrics;
mod observers;
mod outbound;
mod page;
mod query;
mod quota;
mod routes;
mod server;
mod tls;
mod traces;
mod translate;
mod tuples;
mod verb;
mod watchers;
mod wire;

pub use access::{
    AccessSettings, ClaimGrant, Grant, IssuerSettings, KeySettings, Reread, Right, Rights, Stores,
    is_safe_url,
};
pub use analysis::{
    AccessForm, AuditForm, BlockForm, DiffCountsForm, DiffDetail, DiffEvent, DiffLineForm, DiffLinesForm,
    DiffRowForm, DiffSummaryForm, DiffUsersetForm, DiffWorkForm, ExplanationForm, MissForm, ProofForm,
    WhyForm, WrittenForm, access_diff,
};
pub use app::{ApiLimits, ApiSettings, ConnectionLimits};
pub use change_forms::{ApplyForm, OrphanForm, RemovedForm, TupleGroupForm, TupleGroupsForm};
pub use cors::Origins;
pub use expansion::{expansion_json, read_expansion};
pub use forms::{
    BackupDoneForm, BackupForm, BackupStoreForm, CollectForm, CompactedForm, DecisionsForm, DeletedForm,
    FamilyForm, FindingForm, ImportedForm, MomentForm, PeriodForm, PurgeForm, RestoreForm, RestoredStoreForm,
    RetentionForm, SchemaForm, SchemaInfoForm, StatsForm, StoreForm, ValidationForm, WriterForm,
    parse_retention,
};
pub use front::Api;
pub use load::AtOnce;
pub use observers::{ObserveError, ObserveSettings};
pub use quota::QuotaRates;
pub use server::{Server, ServerError, URL_FILE};
pub use tls::{TlsError, TlsSettings};
pub use traces::TraceSettings;

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");
