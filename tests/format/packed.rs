//! A directory as one file: for each of its files a line `PATH BYTES`, and its bytes; packed by zstd as a whole.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Files that are written anew on every opening, and say nothing.
const LEFT_OUT: [&str; 4] = ["LOG", "LOCK", "OPTIONS", "stonetown.url"];

pub(super) fn pack(dir: &Path) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    add(dir, "", &mut packed)?;
    Ok(zstd::encode_all(&*packed, 19)?)
}

fn add(dir: &Path, prefix: &str, packed: &mut Vec<u8>) -> Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().ok().context("a name")?;
        if LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            add(&entry.path(), &format!("{path}/"), packed)?;
        } else {
            let bytes = fs::read(entry.path())?;
            packed.extend(format!("{path} {}\n", bytes.len()).bytes());
            packed.extend(bytes);
        }
    }
    Ok(())
}

pub(super) fn unpack(packed: &[u8], dir: &Path) -> Result<()> {
    let bytes = zstd::decode_all(packed)?;
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').context("a line")?;
        let (path, count) =
            std::str::from_utf8(&rest[..end])?.split_once(' ').context("a name and a number")?;
        let (contents, after) = rest[end + 1..].split_at_checked(count.parse()?).context("its bytes")?;
        let path = dir.join(path);
        fs::create_dir_all(path.parent().context("a directory")?)?;
        fs::write(path, contents)?;
        rest = after;
    }
    Ok(())
}
