use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::packed::pack;
use crate::support::Served;
use crate::support::client::Client;

/// Refused by every verb, in words that name the directory, both formats, and what to do; and left as it is.
#[test]
fn a_directory_of_a_later_format_is_refused() -> Result<()> {
    let server = Served::start();
    Client::new(&server.url, "model\n  schema 1.1\ntype user\n");
    let (ended_well, dir) = server.stop();
    ensure!(ended_well);
    let file = dir.path().join("stonetown.format");
    let now: u32 = fs::read_to_string(&file)?.trim().parse()?;
    for later in [now + 1, now + 41, u32::MAX] {
        fs::write(&file, format!("{later}\n"))?;
        let before = pack(dir.path())?;
        for verb in
            [&["serve", "--listen", "127.0.0.1:0"][..], &["store", "list"], &["validate"], &["export"]]
        {
            let told = refusal(verb, dir.path())?;
            for part in [
                dir.path().to_str().context("a path")?,
                &format!("has format {later}"),
                &format!("reads up to {now}"),
                "use a newer Stonetown",
            ] {
                ensure!(told.contains(part), "{verb:?}: {told}");
            }
        }
        ensure!(pack(dir.path())? == before, "it was changed");
    }
    for wrong in ["0\n", "", "1", "one\n", "1\n2\n", "99999999999999999999\n"] {
        fs::write(&file, wrong)?;
        let told = refusal(&["store", "list"], dir.path())?;
        ensure!(told.contains("stonetown.format"), "{wrong:?}: {told}");
    }
    fs::write(&file, format!("{now}\n"))?;
    drop(Served::on(dir, &[]));
    Ok(())
}

fn refusal(verb: &[&str], dir: &Path) -> Result<String> {
    let run = Command::new(env!("CARGO_BIN_EXE_stonetown")).args(verb).arg("--data").arg(dir).output()?;
    let told = String::from_utf8(run.stderr)?;
    ensure!(run.status.code() == Some(3), "{verb:?}: {}: {told}", run.status);
    Ok(told)
}
