//! Import by files against RocksDB's own file writer (DESIGN.md §8): the same rows of all families, their keys already
//! sorted in memory, written by as many threads with the same options, ingested and synced. The two take turns.
//!
//! ```text
//! cargo bench --bench import                                   # a generated tree of 1,000,000 tuples
//! cargo bench --bench import -- tuples.csv --schema tuples.fga --rounds 3
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use rocksdb::{
    BlockBasedOptions, ColumnFamilyDescriptor, DB, DBCompressionType, IngestExternalFileOptions,
    IteratorMode, Options, SliceTransform, SstFileWriter, WriteBatch, WriteOptions,
};
use stonetown::bulk::{BadLines, BadLinesPolicy, ImportOptions, Input, Way, import_inputs};
use stonetown::engine::{Engine, OnDuplicate, Settings};
use stonetown::schema::read_schema;

const FAMILIES: [&str; 3] = ["tuples", "by_subject", "changes"];
const SST_BYTES: u64 = 64 << 20;

#[derive(Parser)]
#[command(about = "Import by files against RocksDB's own file writer")]
struct Arguments {
    /// Tuples; without it, a generated tree
    input: Option<PathBuf>,
    /// The schema that lets them in
    #[arg(long, requires = "input")]
    schema: Option<PathBuf>,
    /// Tuples of the generated tree
    #[arg(long, default_value_t = 1_000_000)]
    tuples: u64,
    /// How often each is done, in turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Megabytes for sorting
    #[arg(long, default_value_t = 256)]
    memory: usize,
    /// Where the data directories are made
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let parent = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new().prefix("import-bench").tempdir_in(parent)?;
    let out = &mut std::io::stdout().lock();
    let (input, schema) = match &arguments.input {
        Some(input) => {
            let schema = arguments.schema.as_ref().context("--schema FILE says what lets the tuples in")?;
            (input.clone(), std::fs::read_to_string(schema)?)
        }
        None => (generated_tree(scratch.path(), arguments.tuples)?, TREE_SCHEMA.to_owned()),
    };
    let data = scratch.path().join("data");
    let mut rates = Vec::new();
    for round in 1..=arguments.rounds {
        let _ = std::fs::remove_dir_all(&data);
        let (tuples, ours) = import(&data, &input, &schema, arguments.memory << 20)?;
        let rows = read_rows(&data)?;
        let all: usize = rows.iter().map(Vec::len).sum();
        if all as u64 != tuples * FAMILIES.len() as u64 {
            bail!("{tuples} tuples made {all} rows");
        }
        let floor = write_raw(&scratch.path().join("raw"), &rows)?;
        let ratio = floor.as_secs_f64() / ours.as_secs_f64();
        let rate = |time: Duration| tuples as f64 / time.as_secs_f64();
        writeln!(
            out,
            "round {round}: {tuples} tuples; import {:.2} s, {:.0}/s; raw writer {:.2} s, {:.0}/s; ratio {ratio:.3}",
            ours.as_secs_f64(),
            rate(ours),
            floor.as_secs_f64(),
            rate(floor),
        )?;
        rates.push(ratio);
    }
    rates.sort_by(f64::total_cmp);
    writeln!(
        out,
        "RATIO import by files: {:.3} of the raw writer (median of {})",
        rates[rates.len() / 2],
        rates.len()
    )?;
    Ok(())
}

/// From opening the file to the revision visible and synced.
fn import(data: &Path, input: &Path, schema: &str, memory_bytes: usize) -> anyhow::Result<(u64, Duration)> {
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(data, settings)?;
    let store = engine.create_store(None)?.id;
    let (tree, _) = read_schema("schema.fga", schema)?;
    engine.write_schema(store, &tree)?;
    let start = Instant::now();
    let options = ImportOptions {
        store,
        schema: None,
        way: Way::Files,
        on_duplicate: OnDuplicate::Error,
        is_strict: true,
        is_trial: false,
        identity: [1; 16],
        about: "a benchmark".to_owned(),
        restart: true,
        memory_bytes,
        part_tuples: 1,
        is_gentle: false,
    };
    let inputs = [Input::new(input, None)?];
    let mut bad = BadLines::new(BadLinesPolicy::Stop);
    let ran = import_inputs(&engine, options, &inputs, &mut bad, &|_| ())?;
    let time = start.elapsed();
    let answer = ran.answer.with_context(|| format!("a bad line: {:?}", bad.shown()))?;
    Ok((answer.counts.written, time))
}

type Rows = Vec<(Box<[u8]>, Box<[u8]>)>;

/// All rows of the families that an import writes, in order.
fn read_rows(data: &Path) -> anyhow::Result<Vec<Rows>> {
    let files = data.join("rocksdb");
    let names = DB::list_cf(&Options::default(), &files)?;
    let db = DB::open_cf_for_read_only(&Options::default(), &files, names, false)?;
    FAMILIES
        .iter()
        .map(|family| {
            let handle = db.cf_handle(family).with_context(|| format!("family {family}"))?;
            db.iterator_cf(handle, IteratorMode::Start).map(|row| Ok(row?)).collect()
        })
        .collect()
}

/// Writes rows with two threads, ingests and syncs them.
fn write_raw(data: &Path, rows: &[Rows]) -> anyhow::Result<Duration> {
    let _ = std::fs::remove_dir_all(data);
    std::fs::create_dir_all(data)?;
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let families = FAMILIES.map(|family| ColumnFamilyDescriptor::new(family, table_options(family)));
    let db = DB::open_cf_descriptors(&options, data.join("db"), families)?;
    let start = Instant::now();
    let [tuples, by_subject, changes] = rows else { bail!("three families") };
    let write = |family: &str, rows: &Rows| write_tables(data, family, rows);
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| write("by_subject", by_subject));
        let one = write("tuples", tuples).and_then(|mut files| {
            files.extend(write("changes", changes)?);
            Ok(files)
        });
        (one, other.join())
    });
    let files = [one?, two.map_err(|_| anyhow::anyhow!("a writing thread failed"))??].concat();
    for family in FAMILIES {
        let of_family = files.iter().filter(|(of, _)| of == family).map(|(_, path)| path).collect::<Vec<_>>();
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        let handle = db.cf_handle(family).with_context(|| format!("family {family}"))?;
        db.ingest_external_file_cf_opts(handle, &ingest, of_family)?;
    }
    let mut sync = WriteOptions::default();
    sync.set_sync(true);
    let mut batch = WriteBatch::default();
    batch.put(b"head", b"1");
    db.write_opt(batch, &sync)?;
    Ok(start.elapsed())
}

fn write_tables(data: &Path, family: &str, rows: &Rows) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let options = table_options(family);
    let mut files = Vec::new();
    let mut writer: Option<SstFileWriter<'_>> = None;
    for (at, (key, value)) in rows.iter().enumerate() {
        let current = match &mut writer {
            Some(writer) => writer,
            none => {
                let made = SstFileWriter::create(&options);
                let path = data.join(format!("{family}-{}.sst", files.len()));
                made.open(&path)?;
                files.push((family.to_owned(), path));
                none.insert(made)
            }
        };
        current.put(key, value)?;
        if at % 1024 == 0 && current.file_size() >= SST_BYTES {
            current.finish()?;
            writer = None;
        }
    }
    if let Some(mut writer) = writer {
        writer.finish()?;
    }
    Ok(files)
}

/// The same as in `src/storage/rocks/open.rs`.
fn table_options(family: &str) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_format_version(7);
    table.set_block_size(if family == "changes" { 32 << 10 } else { 16 << 10 });
    table.set_index_block_restart_interval(8);
    let mut options = Options::default();
    // The filters know whole keys and beginnings of `tuples`, beginnings alone of `by_subject` (src/storage/FORMAT.md).
    if family == "tuples" {
        table.set_block_restart_interval(8);
        table.set_bloom_filter(10.0, false);
        let part = |key: &'static [u8]| -> &'static [u8] { &key[..behind_texts(key, 4, 3) + 1] };
        options.set_prefix_extractor(SliceTransform::create("subjects", part, None));
    }
    if family == "by_subject" {
        table.set_bloom_filter(10.0, false);
        table.set_whole_key_filtering(false);
        let part = |key: &'static [u8]| -> &'static [u8] {
            let texts = [4, 3, 5][usize::from(key[4]) - 1];
            &key[..behind_texts(key, 5, texts)]
        };
        options.set_prefix_extractor(SliceTransform::create("objects", part, None));
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

/// The place behind so many texts, each of which ends with a NUL.
fn behind_texts(key: &[u8], start: usize, texts: usize) -> usize {
    let ends = memchr::memchr_iter(0, &key[start..]);
    start + ends.take(texts).last().unwrap_or(0) + 1
}

const TREE_SCHEMA: &str = "\
model
  schema 1.1
type dir
  relations
    define parent: [dir]
type file
  relations
    define parent: [dir]
";

/// Files in folders, in no order.
fn generated_tree(dir: &Path, tuples: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join("tuples.txt");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    for at in 0..tuples {
        // A multiplicative walk visits every number below the bound once.
        let at = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (1 << 40);
        let (folder, name) = (at % 65_536, at);
        let folder = format!("usr/share/{}/{:03}", folder / 256, folder % 256);
        writeln!(file, "file:{folder}/{name}.html#parent@dir:{folder}")?;
    }
    file.flush()?;
    Ok(path)
}
