//! Libraries in C that are preloaded into a server, so that what it asks the operating system is answered otherwise.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// Compiles a source below `tests/`.
pub(crate) fn compile(source: &str, output: &Path) -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    for compiler in ["cc", "clang", "gcc"] {
        let run = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([output, &source])
            .args(["-ldl", "-lpthread"])
            .output();
        match run {
            Ok(run) => {
                ensure!(run.status.success(), "{compiler}: {}", String::from_utf8_lossy(&run.stderr));
                return Ok(());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(compiler),
        }
    }
    bail!("this is simulated by a library in C: install a C compiler (`cc`, `clang` or `gcc`)")
}
