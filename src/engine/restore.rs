//! Restore: a backup becomes a data directory of its own, as it was or as it had been before.

use std::path::PathBuf;

use super::Engine;
use super::error::EngineError;
use super::settings::Settings;
use crate::storage::{Backup, BackupStep, Restored, Rewound, StorageError, StoreRecord};
use crate::tuple::{Revision, StoreId, Timestamp, Token};

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Where the backups are.
    pub place: PathBuf,
    /// Which one; none: the newest.
    pub backup: Option<u32>,
    /// The data directory that it becomes: not there, or empty.
    pub dir: PathBuf,
    /// Back to where.
    pub to: RestoreTo,
}

/// How far back in the past of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RestoreTo {
    /// All that is in it.
    #[default]
    Newest,
    /// The last revision at or before a time: of one store, or of all. Stores that were made later are left out.
    Time(Timestamp, Option<StoreId>),
    /// The revision of a token, and of all other stores, unless its store alone is named, the last one at or before its time.
    Token(String, Option<StoreId>),
    /// A revision of one store.
    Revision(Revision, StoreId),
}

/// What was restored.
#[derive(Debug, Clone)]
pub struct RestoreAnswer {
    /// From what.
    pub backup: Backup,
    /// The stores of the new directory.
    pub stores: Vec<RestoredStore>,
    /// Stores that were made after the time that was asked for.
    pub left_out: Vec<StoreId>,
}

/// A store of a restored directory.
#[derive(Debug, Clone)]
pub struct RestoredStore {
    /// It.
    pub record: StoreRecord,
    /// When its newest revision was committed.
    pub committed_at: Timestamp,
    /// Its newest state.
    pub token: Token,
    /// What was undone, when it was taken back.
    pub rewound: Option<Rewound>,
}

impl Engine {
    /// Restores a backup into a new directory and opens it. The files are held against their checksums before; the directory has an
    /// incarnation of its own, so tokens from before are told apart. Refused, or failed, it leaves nothing.
    pub fn restore(
        request: &RestoreRequest,
        settings: Settings,
        progress: &mut dyn FnMut(BackupStep),
    ) -> Result<(Engine, RestoreAnswer), EngineError> {
        let RestoreRequest { place, backup, dir, .. } = request;
        let restored = Restored::begin(place, *backup, dir, &settings.database, progress)?;
        let (rewound, left_out) = match rewind(&restored, &request.to, progress) {
            Ok(done) => done,
            Err(error) => {
                restored.give_up()?;
                return Err(error);
            }
        };
        let backup = restored.backup().clone();
        let engine = Engine::serve(restored.finish()?, settings)?;
        let stores = engine.list_stores().into_iter().map(|record| {
            let token = engine.newest(record.id)?;
            let committed_at = engine.database().head(record.number)?.committed_at()?;
            let rewound = rewound.iter().find(|(id, _)| *id == record.id).map(|(_, rewound)| *rewound);
            Ok(RestoredStore { record, committed_at, token, rewound })
        });
        let stores = stores.collect::<Result<_, EngineError>>()?;
        Ok((engine, RestoreAnswer { backup, stores, left_out }))
    }
}

/// What was undone in each store, and which stores were made later.
type Undone = (Vec<(StoreId, Rewound)>, Vec<StoreId>);

/// Takes the stores back.
fn rewind(
    restored: &Restored,
    to: &RestoreTo,
    progress: &mut dyn FnMut(BackupStep),
) -> Result<Undone, EngineError> {
    let database = restored.database();
    let find = |id: StoreId| database.store(id).ok_or(StorageError::NoStore(id));
    let (time, named, own) = match to {
        RestoreTo::Newest => return Ok((Vec::new(), Vec::new())),
        RestoreTo::Revision(revision, store) => {
            return Ok((vec![(*store, restored.rewind(*store, *revision, progress)?)], Vec::new()));
        }
        RestoreTo::Time(time, named) => (*time, *named, None),
        RestoreTo::Token(text, named) => {
            let token = read_token(restored, text, *named)?;
            (token.time, *named, Some((token.store, token.revision)))
        }
    };
    let backup = restored.backup();
    if time > backup.made_at && !(own.is_some() && named.is_some()) {
        return Err(StorageError::AfterBackup { id: backup.id, made_at: backup.made_at, asked: time }.into());
    }
    let stores = match named {
        Some(id) => vec![find(id)?],
        None => database.stores(),
    };
    let (mut rewound, mut left_out) = (Vec::new(), Vec::new());
    for store in stores {
        let revision = match own {
            Some((id, revision)) if id == store.id => revision,
            _ if store.created_at > time => {
                if named.is_some() {
                    let (store, created_at) = (store.id, store.created_at);
                    return Err(StorageError::MadeLater { store, created_at, asked: time }.into());
                }
                restored.leave_out(store.id)?;
                left_out.push(store.id);
                continue;
            }
            _ => database.head(store.number)?.revision_at(time)?,
        };
        rewound.push((store.id, restored.rewind(store.id, revision, progress)?));
    }
    Ok((rewound, left_out))
}

/// A token of the life that the backup is of.
fn read_token(restored: &Restored, text: &str, named: Option<StoreId>) -> Result<Token, EngineError> {
    let token = Token::open(text, restored.database().token_key())?;
    if let Some(asked) = named.filter(|&asked| asked != token.store) {
        return Err(EngineError::ForeignToken { asked, found: token.store });
    }
    let store = restored.database().store(token.store).ok_or(StorageError::NoStore(token.store))?;
    if token.revision > Revision::ZERO && token.time < store.created_at {
        return Err(EngineError::EarlierStore(store.id));
    }
    if token.incarnation != restored.backup().incarnation {
        return Err(EngineError::OtherIncarnation);
    }
    Ok(token)
}
