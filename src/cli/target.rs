//! Where a command asks: a data directory that it opens itself, or a server that has one open.
//!
//! Each verb has one form for both, so that every command asks, prints and fails in one way.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::output::{Misunderstood, tell};
use super::remote::{Client, Identity, ServerUrl};
use crate::api::{
    ApplyForm, BackupDoneForm, CollectForm, CompactedForm, DeletedForm, OrphanForm, PeriodForm, PurgeForm,
    RemovedForm, RetentionForm, SchemaForm, SchemaInfoForm, StatsForm, StoreForm, TupleGroupsForm, URL_FILE,
    ValidationForm, parse_retention,
};
use crate::api::{AuditForm, DiffDetail, DiffEvent, DiffSummaryForm, ExplanationForm, access_diff};
use crate::engine::{AccessDiffRequest, AuditQuestion, AuditTime, Context, ExplainRequest, Given};
use crate::engine::{
    ApplyRefusal, ApplyRequest, At, BackupStep, ChangesRequest, CheckRequest, CollectAnswer, DeleteRequest,
    Engine, EngineError, ExpandRequest, OrphansUnder, ReadRequest, Settings, StorageError, UsersetNode,
    WriteRequest,
};
use crate::eval::Work;
use crate::schema::Tree;
use crate::storage::ChangeKind;
use crate::tuple::{Object, SchemaId, StoreId, Timestamp, Tuple};

/// Where a command is told to ask.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Data(PathBuf),
    Server(ServerUrl),
}

/// Where a command asks.
pub(super) enum Target {
    Local(Box<Engine>),
    Remote(Client),
}

/// A schema that was written.
pub(super) struct SchemaWritten {
    pub(super) schema: String,
    pub(super) revision: u64,
    pub(super) token: String,
}

/// A write that was accepted.
pub(super) struct Written {
    pub(super) changed: usize,
    pub(super) revision: u64,
    pub(super) token: String,
}

/// A check that was answered.
pub(super) struct Checked {
    pub(super) allowed: bool,
    pub(super) schema: String,
    pub(super) token: String,
    pub(super) work: Work,
    pub(super) period: Option<PeriodForm>,
}

/// An expansion.
pub(super) struct Expanded {
    pub(super) root: UsersetNode,
    pub(super) token: String,
}

/// One entry of the change log.
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) time: Timestamp,
    pub(super) kind: ChangeKind,
    /// None: of a purge.
    pub(super) tuple: Option<Tuple>,
}

/// A part of the answer about orphans: first how many there are, then one after the other.
pub(super) enum OrphanPart {
    Groups(TupleGroupsForm),
    Orphan(OrphanForm),
}

/// Opens a data directory for this process alone.
pub(super) fn open_engine(dir: &Path, create: bool) -> Result<Engine, StorageError> {
    let mut settings = Settings::default();
    settings.database.create = create;
    Engine::open(dir, settings)
}

impl Target {
    /// Opens a data directory, or asks the server that has it open; `create`: it is made when it is not there.
    pub(super) fn open(place: &Place, identity: &Identity, create: bool) -> anyhow::Result<Target> {
        let dir = match place {
            Place::Server(url) => return Ok(Target::Remote(Client::new(url.clone(), identity)?)),
            Place::Data(dir) => dir,
        };
        match open_engine(dir, create) {
            Ok(engine) => {
                // Whoever has the directory knows that no server has it: what a killed one left would mislead others.
                let _ = std::fs::remove_file(dir.join(URL_FILE));
                Ok(Target::Local(Box::new(engine)))
            }
            Err(error @ StorageError::Locked(_)) => {
                let client = match Client::of_directory(dir, identity) {
                    Ok(Some(client)) => client,
                    Ok(None) => return Err(error.into()),
                    Err((url, why)) => {
                        let told = format!(
                            "its server is to be found at {url}, but cannot be asked there ({why:#}): name it with `--url`"
                        );
                        return Err(anyhow::Error::from(error).context(told));
                    }
                };
                let (dir, url) = (dir.display(), client.url());
                tell(format_args!("stonetown: {dir} is served at {url}: asking the server"));
                Ok(Target::Remote(client))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn create_store(&self, name: Option<String>) -> anyhow::Result<StoreForm> {
        match self {
            Target::Local(engine) => Ok(StoreForm::from(&engine.create_store(name)?)),
            Target::Remote(client) => client.create_store(name),
        }
    }

    /// All stores, in the order in which they were made.
    pub(super) fn list_stores(&self) -> anyhow::Result<Vec<StoreForm>> {
        match self {
            Target::Local(engine) => Ok(engine.list_stores().iter().map(StoreForm::from).collect()),
            Target::Remote(client) => client.list_stores(),
        }
    }

    pub(super) fn has_store(&self, store: StoreId) -> anyhow::Result<bool> {
        match self {
            Target::Local(engine) => Ok(engine.find_store(store).is_some()),
            Target::Remote(client) => client.has_store(store),
        }
    }

    pub(super) fn delete_store(&self, store: StoreId) -> anyhow::Result<()> {
        match self {
            Target::Local(engine) if engine.delete_store(store)? => Ok(()),
            Target::Local(_) => bail!(StorageError::NoStore(store)),
            Target::Remote(client) => client.delete_store(store),
        }
    }

    pub(super) fn store_stats(&self, store: StoreId) -> anyhow::Result<StatsForm> {
        match self {
            Target::Local(engine) => Ok(StatsForm::from(&engine.store_stats(store)?)),
            Target::Remote(client) => client.store_stats(store),
        }
    }

    pub(super) fn retention(&self, store: StoreId) -> anyhow::Result<RetentionForm> {
        match self {
            Target::Local(engine) => Ok(RetentionForm::of(engine, store)?),
            Target::Remote(client) => client.retention(store),
        }
    }

    /// `retention` has been looked at.
    pub(super) fn set_retention(&self, store: StoreId, retention: &str) -> anyhow::Result<RetentionForm> {
        match self {
            Target::Local(engine) => {
                engine.set_retention(store, parse_retention(retention).map_err(Misunderstood::new)?)?;
                Ok(RetentionForm::of(engine, store)?)
            }
            Target::Remote(client) => client.set_retention(store, retention),
        }
    }

    /// `progress` is told what was done so far, as far as that is known here.
    pub(super) fn collect(
        &self,
        store: StoreId,
        before: Option<Timestamp>,
        progress: &mut dyn FnMut(&CollectAnswer),
    ) -> anyhow::Result<CollectForm> {
        match self {
            Target::Local(engine) => {
                let collected = engine.collect(store, before, &mut |answer| {
                    progress(answer);
                    ControlFlow::Continue(())
                })?;
                Ok(CollectForm::from(&collected))
            }
            Target::Remote(client) => client.collect(store, before),
        }
    }

    pub(super) fn purge(&self, store: StoreId, object: &Object, compact: bool) -> anyhow::Result<PurgeForm> {
        match self {
            Target::Local(engine) => Ok(PurgeForm::from(&engine.purge(store, object.clone(), compact)?)),
            Target::Remote(client) => client.purge(store, object, compact),
        }
    }

    pub(super) fn compact(&self) -> anyhow::Result<CompactedForm> {
        match self {
            Target::Local(engine) => {
                engine.compact()?;
                let file_bytes = engine.family_sizes()?.iter().map(|family| family.file_bytes).sum();
                Ok(CompactedForm { file_bytes })
            }
            Target::Remote(client) => client.compact(),
        }
    }

    pub(super) fn delete_tuples(&self, request: &DeleteRequest) -> anyhow::Result<(DeletedForm, String)> {
        match self {
            Target::Local(engine) => {
                let answer = engine.delete_tuples(request)?;
                Ok((DeletedForm::from(&answer), engine.seal(&answer.token)))
            }
            Target::Remote(client) => client.delete_tuples(request),
        }
    }

    pub(super) fn write_schema(&self, store: StoreId, tree: &Tree) -> anyhow::Result<SchemaWritten> {
        match self {
            Target::Local(engine) => {
                let written = engine.write_schema(store, tree)?;
                Ok(SchemaWritten {
                    schema: written.id.to_string(),
                    revision: written.token.revision.0,
                    token: engine.seal(&written.token),
                })
            }
            Target::Remote(client) => client.write_schema(store, tree),
        }
    }

    /// A change that silences tuples although it may not is answered like one that was only tried.
    pub(super) fn apply(&self, request: ApplyRequest) -> anyhow::Result<ApplyForm> {
        match self {
            Target::Local(engine) => match engine.apply(request) {
                Ok(answer) => Ok(ApplyForm::of(engine, &answer)),
                Err(EngineError::NotApplied(ApplyRefusal::Silences(report))) => Ok(ApplyForm::from(&*report)),
                Err(error) => Err(error.into()),
            },
            Target::Remote(client) => client.apply(&request),
        }
    }

    /// Visits what a schema does not let in: how many tuples, then at most `limit` of them.
    pub(super) fn orphans(
        &self,
        store: StoreId,
        under: &OrphansUnder,
        limit: u64,
        visit: &mut dyn FnMut(OrphanPart) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let engine = match self {
            Target::Local(engine) => engine,
            Target::Remote(client) => return client.orphans(store, under, limit, visit),
        };
        let orphans = engine.orphans(store, under)?;
        let groups = TupleGroupsForm::from(&orphans.groups()?);
        let mut left = limit.min(groups.tuples);
        if visit(OrphanPart::Groups(groups)).is_continue() && left > 0 {
            orphans.visit(&mut |tuple, reason| {
                left -= 1;
                let flow = visit(OrphanPart::Orphan(OrphanForm::new(&tuple, reason)));
                if left == 0 { ControlFlow::Break(()) } else { flow }
            })?;
        }
        Ok(())
    }

    /// `progress` is told how many were removed so far, as far as that is known here.
    pub(super) fn remove_orphans(
        &self,
        store: StoreId,
        progress: &mut dyn FnMut(u64),
    ) -> anyhow::Result<(RemovedForm, String)> {
        match self {
            Target::Local(engine) => {
                let answer = engine.remove_orphans(store, &mut |removed| {
                    progress(removed);
                    ControlFlow::Continue(())
                })?;
                Ok((RemovedForm::from(&answer), engine.seal(&answer.token)))
            }
            Target::Remote(client) => client.remove_orphans(store),
        }
    }

    /// One schema of a store; none named: the one in force in a state.
    pub(super) fn read_schema(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
    ) -> anyhow::Result<SchemaForm> {
        match self {
            Target::Local(engine) => {
                let found = engine.read_schema(store, schema, at)?;
                SchemaForm::read(&found).with_context(|| format!("schema {} is damaged", found.id))
            }
            Target::Remote(client) => client.read_schema(store, schema, at),
        }
    }

    /// All schemas of a store, newest first.
    pub(super) fn list_schemas(&self, store: StoreId) -> anyhow::Result<Vec<SchemaInfoForm>> {
        match self {
            Target::Local(engine) => {
                Ok(engine.list_schemas(store)?.iter().map(SchemaInfoForm::from).collect())
            }
            Target::Remote(client) => client.list_schemas(store),
        }
    }

    /// Under an idempotency key, if there is one.
    pub(super) fn write(&self, request: WriteRequest, key: Option<&str>) -> anyhow::Result<Written> {
        match self {
            Target::Local(engine) => {
                let written = engine.write_once(request, key)?;
                Ok(Written {
                    changed: written.changed,
                    revision: written.token.revision.0,
                    token: engine.seal(&written.token),
                })
            }
            Target::Remote(client) => client.write(request, key),
        }
    }

    /// Visits the matching tuples of one state.
    pub(super) fn read(
        &self,
        request: ReadRequest,
        visit: &mut dyn FnMut(&Tuple) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        match self {
            Target::Local(engine) => {
                engine.read(&request, &mut |read| visit(&read.tuple))?;
                Ok(())
            }
            Target::Remote(client) => client.read(&request, visit),
        }
    }

    /// Visits the change log.
    pub(super) fn changes(
        &self,
        request: ChangesRequest,
        visit: &mut dyn FnMut(&Change) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        match self {
            Target::Local(engine) => Ok(engine.changes(&request, &mut |change, revision| {
                visit(&Change {
                    revision: change.revision.0,
                    time: revision.time,
                    kind: change.kind,
                    tuple: change.tuple.clone(),
                })
            })?),
            Target::Remote(client) => client.changes(&request, visit),
        }
    }

    /// With the time during which the answer is the same, if that is wanted.
    pub(super) fn check(&self, request: &CheckRequest<'_>, with_period: bool) -> anyhow::Result<Checked> {
        match self {
            Target::Local(engine) => {
                let view = engine.view(request.store, request.schema, &request.at)?;
                let answer = view.check(request.tuple, &request.given)?;
                let period = with_period.then(|| view.period(request.tuple, &request.given)).transpose()?;
                Ok(Checked {
                    allowed: answer.allowed,
                    schema: view.schema().to_string(),
                    token: engine.seal(&view.token()),
                    work: answer.work,
                    period: period.as_ref().map(PeriodForm::from),
                })
            }
            Target::Remote(client) => client.check(request, with_period),
        }
    }

    /// Visits what a diff finds, and gives its summary.
    pub(super) fn access_diff(
        &self,
        request: &AccessDiffRequest,
        detail: DiffDetail,
        visit: &mut dyn FnMut(&DiffEvent) -> ControlFlow<()>,
    ) -> anyhow::Result<DiffSummaryForm> {
        match self {
            Target::Local(engine) => Ok(access_diff(engine, request, detail, visit)?),
            Target::Remote(client) => client.access_diff(request, detail, visit),
        }
    }

    /// Why an answer is what it is, and the token of the state.
    pub(super) fn explain(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
        request: &ExplainRequest<'_>,
        given: &Given,
    ) -> anyhow::Result<(ExplanationForm, String)> {
        match self {
            Target::Local(engine) => {
                let view = engine.view(store, schema, at)?;
                let explained = view.explain(request, given)?;
                Ok((ExplanationForm::from(&explained), engine.seal(&view.token())))
            }
            Target::Remote(client) => client.explain(store, schema, at, request, given),
        }
    }

    pub(super) fn audit(
        &self,
        store: StoreId,
        question: &AuditQuestion,
        time: &AuditTime,
        context: &Context,
    ) -> anyhow::Result<AuditForm> {
        match self {
            Target::Local(engine) => {
                Ok(AuditForm::of(engine, &engine.audit(store, question, time, context)?))
            }
            Target::Remote(client) => client.audit(store, question, time, context),
        }
    }

    pub(super) fn expand(&self, request: ExpandRequest<'_>) -> anyhow::Result<Expanded> {
        match self {
            Target::Local(engine) => {
                let answer = engine.expand(request)?;
                Ok(Expanded { root: answer.root, token: engine.seal(&answer.token) })
            }
            Target::Remote(client) => client.expand(request),
        }
    }

    /// Makes a backup at a place, on the server if one is asked; `progress` is told what is being done, as far as that is known here.
    pub(super) fn backup(
        &self,
        place: &Path,
        keep: Option<NonZero<usize>>,
        progress: &mut dyn FnMut(BackupStep),
    ) -> anyhow::Result<BackupDoneForm> {
        match self {
            Target::Local(engine) => Ok(BackupDoneForm::of(engine, &engine.backup(place, keep, progress)?)),
            Target::Remote(client) => client.backup(place, keep),
        }
    }

    /// Validates the whole data directory; `progress` is told what is being read, as far as that is known here.
    pub(super) fn validate(&self, progress: &mut dyn FnMut(&str)) -> anyhow::Result<ValidationForm> {
        match self {
            Target::Local(engine) => Ok(ValidationForm::from(&engine.validate(progress)?)),
            Target::Remote(client) => {
                progress("on the server");
                client.validate()
            }
        }
    }
}
