//! Exporting from a server: the bytes as they come.

use std::io::{Read as _, Write};

use anyhow::Context as _;

use super::Client;
use crate::bulk::Compression;
use crate::cli::export::Exported;

impl Client {
    /// Writes what the server sends. A connection that breaks is an error.
    pub(in crate::cli) fn export<W: Write>(
        &self,
        what: &Exported,
        mut out: W,
    ) -> anyhow::Result<(String, W)> {
        let compression = match what.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        };
        let call = self
            .post_lines(format!("/stores/{}/export", what.store), Vec::new())
            .query("format", what.format.to_string())
            .query("compression", compression)
            .query("filter", what.filter.to_string())
            .at(&what.at);
        let (answer, mut body) = call.stream()?;
        let token = answer.text("stonetown-token")?.to_owned();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = body.read(&mut buffer).with_context(|| {
                format!("the server at {} broke the export off: what came is not complete", self.url())
            })?;
            if read == 0 {
                return Ok((token, out));
            }
            out.write_all(&buffer[..read])?;
        }
    }
}
