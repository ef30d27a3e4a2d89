//! Backup: of the whole data directory, on the server's own file system, where whoever started the server allowed it.

use std::num::NonZero;
use std::path::{Component, Path, PathBuf};

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::Response;

use super::super::app::{Answer, App};
use super::super::error::ApiError;
use super::super::forms::BackupDoneForm;
use super::super::load::Class;
use super::super::wire::{self, BackupRequest, OrEmpty};
use super::Body;

/// Bytes of a path, and of each name in it, that every file system takes.
const PATH_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 255;

pub(super) async fn backup(State(app): State<App>, body: Body) -> Response<ResponseBody> {
    app.run(Class::Bulk, None, move |app, _| {
        let request: BackupRequest = wire::read(super::bytes(&body)?)?;
        let place = allowed(app.limits.backup_dir.as_deref(), request.directory.text())?;
        let wrong = || ApiError::validation("`keep` has to be at least 1");
        let keep = request.keep.map(|keep| NonZero::new(keep).ok_or_else(wrong)).transpose()?;
        let answer = app.engine.backup(&place, keep, &mut |_| {})?;
        Ok(Answer::json(&BackupDoneForm::of(&app.engine, &answer)))
    })
    .await
}

/// The place of a request: in the directory that the server allows, also behind links.
fn allowed(backup_dir: Option<&Path>, asked: &str) -> Result<PathBuf, ApiError> {
    let Some(allowed) = backup_dir else {
        return Err(ApiError::validation(
            "this server makes no backups for clients: start it with `serve --backup-dir DIR`",
        ));
    };
    let outside = || {
        ApiError::validation(format!(
            "`{asked}` is not in the directory that this server makes backups in: `{}`",
            allowed.display()
        ))
    };
    let mut names = Path::new(asked).components();
    let has_parents = names.clone().any(|name| name == Component::ParentDir);
    if asked.len() > PATH_BYTES_MAX || names.any(|name| name.as_os_str().len() > NAME_BYTES_MAX) {
        return Err(ApiError::validation(format!(
            "`directory` has at most {PATH_BYTES_MAX} bytes, and each name in it {NAME_BYTES_MAX}"
        )));
    }
    let whole = std::path::absolute(allowed).map_err(|_| outside())?.join(asked);
    if has_parents || asked.contains('\0') {
        return Err(outside());
    }
    // The place itself need not be there yet, nor the directory.
    let real = |path: &Path| {
        path.ancestors()
            .find_map(|there| Some(there.canonicalize().ok()?.join(path.strip_prefix(there).ok()?)))
    };
    match (real(&whole), std::path::absolute(allowed).ok().and_then(|allowed| real(&allowed))) {
        (Some(place), Some(allowed)) if place.starts_with(&allowed) => Ok(place),
        _ => Err(outside()),
    }
}
