//! Table files of one family, written in key order by RocksDB's own writer.

use std::path::Path;

use rocksdb::{Options, SstFileWriter};
use serde::{Deserialize, Serialize};

use crate::storage::error::StorageError;
use crate::storage::rocks::families::Family;
use crate::storage::rocks::open::from_rocks;

/// Bytes after which a file is finished and the next one begun.
const FILE_BYTES: u64 = 64 << 20;

/// A finished file, durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) rows: u64,
}

/// Told of all finished files of a family.
pub(super) type Finished<'f> = &'f (dyn Fn(Family, &[Table]) -> Result<(), StorageError> + Sync);

/// Writes the rows of a family, which come in ascending order of their keys.
pub(super) struct Tables<'o> {
    options: &'o Options,
    dir: &'o Path,
    family: Family,
    finished: Finished<'o>,
    tables: Vec<Table>,
    writer: Option<SstFileWriter<'o>>,
    /// Rows of the file that is being written.
    rows: u64,
    /// Rows that are in finished files already.
    to_skip: u64,
}

impl<'o> Tables<'o> {
    /// Goes on behind the files that are finished already: as many rows are passed over.
    pub(super) fn new(
        options: &'o Options,
        dir: &'o Path,
        family: Family,
        tables: Vec<Table>,
        finished: Finished<'o>,
    ) -> Tables<'o> {
        let to_skip = tables.iter().map(|table| table.rows).sum();
        Tables { options, dir, family, finished, tables, writer: None, rows: 0, to_skip }
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let writer = SstFileWriter::create(self.options);
                let name = name(self.family, self.tables.len());
                writer.open(self.dir.join(name)).map_err(from_rocks)?;
                none.insert(writer)
            }
        };
        writer.put(key, value).map_err(from_rocks)?;
        self.rows += 1;
        // Asked for now and then: it is a call into RocksDB.
        if self.rows.is_multiple_of(1024) && writer.file_size() >= FILE_BYTES {
            self.finish_file()?;
        }
        Ok(())
    }

    fn finish_file(&mut self) -> Result<(), StorageError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        writer.finish().map_err(from_rocks)?;
        let name = name(self.family, self.tables.len());
        self.tables.push(Table { name, rows: std::mem::take(&mut self.rows) });
        (self.finished)(self.family, &self.tables)
    }

    /// All files, durable.
    pub(super) fn finish(mut self) -> Result<Vec<Table>, StorageError> {
        self.finish_file()?;
        Ok(self.tables)
    }
}

fn name(family: Family, number: usize) -> String {
    format!("{}-{number:05}.sst", family.name())
}
