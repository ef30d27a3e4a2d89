//! Are names in keys worth interning, and with which RocksDB options are tuples small and fast to read?
//!
//! Measured, for every layout × option set:
//! - bytes on disk per tuple and family, from the sizes of the live SST files after a full compaction, and
//!   the seconds to sort, to write and ingest, and to compact;
//! - nanoseconds of a raw get (key ready, value read), of a direct check that is a yes (three strings given,
//!   key built, value decoded), of one that is a no, and of a scan of one relation's subjects. Each question
//!   takes a fresh snapshot. Questions are drawn uniformly from the stored tuples, anew in every round; the
//!   databases take turns within a round, in rotating order; the figures are medians of the rounds, which are
//!   short so that other work on the machine spoils few of them. The block cache is larger than the data and
//!   filled by a full scan first.
//!
//! Layouts of the keys of `tuples` and `by_subject` (`changes` holds the key of `tuples`):
//! - `strings`: every name as text, NUL-terminated;
//! - `interned`: ids as 5-byte numbers out of the families `names` (name → number) and `numbers` (back),
//!   which checks and scans have to ask; types and relations as 2-byte numbers out of a map in memory;
//! - `short`: ids as text, types and relations as 2-byte numbers out of a map in memory.
//!
//! An option set is a word list such as `16k/r8/ir8/bloom/zstd3`; `--help` lists the words.
//!
//! Data: a text file with one tuple a line, `file:etc/passwd#parent@dir:etc`, each taken once. The figures in
//! `src/ARCHITECTURE.md` come from Debian's Contents and package indexes (8.3 M tuples). Without a file, a
//! seeded tree of 200,000 tuples: enough to see that the program runs, too little to compare options by.
//!
//! ```text
//! cargo bench --bench key_layout
//! cargo bench --bench key_layout -- tuples.txt --layouts strings,interned --options 16k/r8/ir8/bloom/zstd3
//! ```

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor,
    CompactOptions, DB, DBCompressionType, DataBlockIndexType, IngestExternalFileOptions, IteratorMode,
    Options, ReadOptions, SstFileWriter,
};

/// The store number every key begins with.
const STORE: u32 = 1;
const SST_BYTES: u64 = 64 << 20;
const CACHE_BYTES: usize = 16 << 30;
/// Commit time of the first revision, in µs; later ones follow 1 ms apart.
const FIRST_COMMIT_US: u64 = 1_800_000_000_000_000;

const OPTION_WORDS: &str = "\
Words of an option set, joined by `/`:
  4k 8k 16k 32k          data block size
  rN                     keys per restart point in the data blocks of `tuples` and `names` (default 16)
  irN                    keys per restart point in index blocks (default 1)
  bloom ribbon nofilter  filter of 10 bits a key on `tuples` and `names` (default bloom)
  lz4 zstdN plain        compression, zstd with its level (default lz4)
  dictN                  compression dictionary of N KiB for each file
  hash                   hash index inside the data blocks of `tuples` and `names`
  split                  keys and values apart inside data blocks
  interpolate            interpolation search in index blocks
  cached                 index and filter blocks in the block cache
  lru                    LRU instead of the hyper clock cache";

#[derive(Parser)]
#[command(about = "Compares key layouts and RocksDB options", after_help = OPTION_WORDS)]
struct Settings {
    /// One tuple a line; without it, a generated tree
    tuples: Option<PathBuf>,
    /// Which layouts
    #[arg(long, value_enum, value_delimiter = ',', default_value = "strings,interned,short")]
    layouts: Vec<Layout>,
    /// Which option sets
    #[arg(long, value_delimiter = ',', default_value = "4k/r16/bloom/lz4,16k/r8/ir8/bloom/zstd3")]
    options: Vec<String>,
    /// One revision for all tuples, as an import has, or one for each
    #[arg(long, value_enum, default_value = "import")]
    revisions: Revisions,
    /// Rounds of reads
    #[arg(long, default_value_t = 501)]
    rounds: usize,
    /// Questions of each kind in a round
    #[arg(long, default_value_t = 200)]
    questions: usize,
    /// Where the databases are written; removed afterwards
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Layout {
    Strings,
    Interned,
    Short,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Revisions {
    Import,
    Each,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Tuples,
    BySubject,
    Names,
    Numbers,
    Changes,
    Revisions,
}

const FAMILIES: [Family; 6] =
    [Family::Tuples, Family::BySubject, Family::Names, Family::Numbers, Family::Changes, Family::Revisions];

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let text = match &settings.tuples {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => generated_tree(200_000),
    };
    let tuples = TupleText::new(&text)?;
    let sets =
        settings.options.iter().map(|words| words.parse()).collect::<anyhow::Result<Vec<OptionSet>>>()?;
    let parent = settings.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new().prefix("key_layout").tempdir_in(parent)?;
    let out = &mut std::io::stdout().lock();
    writeln!(out, "{} tuples, {:.1} bytes of text each\n", tuples.len(), tuples.bytes_each())?;

    let mut databases = Vec::new();
    for &layout in &settings.layouts {
        let numbering = Numbering::of(&tuples, layout)?;
        let mut opened = Vec::new();
        for set in &sets {
            let path = directory.path().join(format!("{layout:?}-{}", opened.len()));
            opened.push(Database::create(&path, set, &numbering)?);
        }
        for family in FAMILIES {
            let start = Instant::now();
            let rows = Rows::of(family, &tuples, &numbering, settings.revisions)?;
            let sorted = start.elapsed().as_secs_f64();
            for database in &mut opened {
                database.load(family, &rows)?;
                database.seconds_sort += sorted;
            }
        }
        databases.append(&mut opened);
    }
    print_sizes(out, &databases, tuples.len())?;
    print_reads(out, &mut databases, &tuples, &settings)?;
    Ok(())
}

// --- tuples as text ----------------------------------------------------------------------------------------

struct TupleText<'a> {
    lines: Vec<&'a str>,
}

#[derive(Clone, Copy)]
struct TupleParts<'a> {
    object_type: &'a str,
    object_id: &'a str,
    relation: &'a str,
    subject: Subject<'a>,
}

#[derive(Clone, Copy)]
struct Subject<'a> {
    kind: u8,
    subject_type: &'a str,
    /// Empty for `type:*`.
    id: &'a str,
    /// Empty unless the subject is a userset.
    relation: &'a str,
}

const KIND_OBJECT: u8 = 0;
const KIND_WILDCARD: u8 = 1;
const KIND_USERSET: u8 = 2;

impl<'a> TupleText<'a> {
    fn new(text: &'a str) -> anyhow::Result<TupleText<'a>> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        for (number, line) in lines.iter().enumerate() {
            TupleParts::parse(line)
                .with_context(|| format!("tuple {} is malformed: `{line}`", number + 1))?;
        }
        if lines.is_empty() {
            bail!("the file has no tuple");
        }
        Ok(TupleText { lines })
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn bytes_each(&self) -> f64 {
        self.lines.iter().map(|line| line.len()).sum::<usize>() as f64 / self.len() as f64
    }

    fn parts(&self) -> impl Iterator<Item = TupleParts<'a>> {
        self.lines.iter().filter_map(|line| TupleParts::parse(line))
    }
}

impl<'a> TupleParts<'a> {
    fn parse(line: &'a str) -> Option<TupleParts<'a>> {
        let (object, rest) = line.split_once('#')?;
        let (relation, subject) = rest.split_once('@')?;
        TupleParts::of_question(object, relation, subject)
    }

    fn of_question(object: &'a str, relation: &'a str, subject: &'a str) -> Option<TupleParts<'a>> {
        let (object_type, object_id) = object.split_once(':')?;
        let (subject_type, id) = subject.split_once(':')?;
        let (kind, id, subject_relation) = match id.split_once('#') {
            Some((id, relation)) => (KIND_USERSET, id, relation),
            None if id == "*" => (KIND_WILDCARD, "", ""),
            None => (KIND_OBJECT, id, ""),
        };
        let subject = Subject { kind, subject_type, id, relation: subject_relation };
        Some(TupleParts { object_type, object_id, relation, subject })
    }
}

/// A tree of directories with a file-like spread of names; half of the tuples name a package.
fn generated_tree(tuples: usize) -> String {
    const WORDS: [&str; 12] = [
        "share", "doc", "lib", "python3", "icons", "locale", "include", "java", "man", "fonts", "src",
        "media",
    ];
    let mut random = Random(1);
    let mut directories = vec!["usr".to_owned()];
    let mut text = String::new();
    for number in 0..tuples / 2 {
        let parent = &directories[random.below(directories.len())];
        let word = WORDS[random.below(WORDS.len())];
        let child = format!("{parent}/{word}-{number}");
        if number % 12 == 0 && child.len() < 150 {
            let package = random.below(60_000);
            text.push_str(&format!(
                "dir:{child}#parent@dir:{parent}\ndir:{child}#package@package:p{package}\n"
            ));
            directories.push(child);
        } else {
            let package = parent.len() * 31 + parent.bytes().map(usize::from).sum::<usize>();
            text.push_str(&format!("file:{child}#parent@dir:{parent}\n"));
            text.push_str(&format!("file:{child}#package@package:p{package}\n"));
        }
    }
    text
}

/// SplitMix64: the same numbers on every machine and with every version of every crate.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

// --- keys --------------------------------------------------------------------------------------------------

/// How the names of one layout become bytes of a key. `None`: the name has no number, so no tuple has it.
trait Names {
    fn put_word(&self, key: &mut Vec<u8>, word: &str) -> Option<()>;
    fn put_id(&self, key: &mut Vec<u8>, id: &str) -> Option<()>;
}

/// Types and relations: few, so their numbers stay in memory.
#[derive(Clone)]
struct Words<'a> {
    layout: Layout,
    numbers: HashMap<&'a str, u16>,
}

impl Words<'_> {
    fn put(&self, key: &mut Vec<u8>, word: &str) -> Option<()> {
        match self.layout {
            Layout::Strings => put_text(key, word),
            Layout::Interned | Layout::Short => extend(key, &[&self.numbers.get(word)?.to_be_bytes()]),
        }
    }
}

/// The names of a layout during the load: the numbers of ids are kept in memory here, besides in RocksDB.
struct Numbering<'a> {
    words: Words<'a>,
    ids: HashMap<&'a str, u64>,
}

impl<'a> Numbering<'a> {
    fn of(tuples: &TupleText<'a>, layout: Layout) -> anyhow::Result<Numbering<'a>> {
        let (mut words, mut ids) = (HashMap::new(), HashMap::new());
        for parts in tuples.parts() {
            let subject = parts.subject;
            for word in [parts.object_type, parts.relation, subject.subject_type, subject.relation] {
                let next = u16::try_from(words.len()).context("too many types and relations")?;
                words.entry(word).or_insert(next);
            }
            if layout == Layout::Interned {
                for id in [parts.object_id, subject.id] {
                    let next = ids.len() as u64;
                    ids.entry(id).or_insert(next);
                }
            }
        }
        Ok(Numbering { words: Words { layout, numbers: words }, ids })
    }
}

impl Names for Numbering<'_> {
    fn put_word(&self, key: &mut Vec<u8>, word: &str) -> Option<()> {
        self.words.put(key, word)
    }

    fn put_id(&self, key: &mut Vec<u8>, id: &str) -> Option<()> {
        match self.words.layout {
            Layout::Interned => extend(key, &[&number_bytes(*self.ids.get(id)?)]),
            Layout::Strings | Layout::Short => put_text(key, id),
        }
    }
}

fn put_text(key: &mut Vec<u8>, text: &str) -> Option<()> {
    extend(key, &[text.as_bytes(), &[0]])
}

fn number_bytes(number: u64) -> [u8; 5] {
    let [_, _, _, bytes @ ..] = number.to_be_bytes();
    bytes
}

/// The start of a `tuples` key that all subjects of one relation of one object share.
fn put_relation_prefix(key: &mut Vec<u8>, parts: &TupleParts<'_>, names: &impl Names) -> Option<()> {
    key.extend_from_slice(&STORE.to_be_bytes());
    names.put_word(key, parts.object_type)?;
    names.put_id(key, parts.object_id)?;
    names.put_word(key, parts.relation)
}

fn put_subject(key: &mut Vec<u8>, subject: &Subject<'_>, names: &impl Names) -> Option<()> {
    key.push(subject.kind);
    names.put_word(key, subject.subject_type)?;
    names.put_id(key, subject.id)?;
    if subject.kind == KIND_USERSET {
        names.put_word(key, subject.relation)?;
    }
    Some(())
}

fn put_tuples_key(key: &mut Vec<u8>, parts: &TupleParts<'_>, names: &impl Names) -> Option<()> {
    put_relation_prefix(key, parts, names)?;
    put_subject(key, &parts.subject, names)
}

fn put_by_subject_key(key: &mut Vec<u8>, parts: &TupleParts<'_>, names: &impl Names) -> Option<()> {
    key.extend_from_slice(&STORE.to_be_bytes());
    put_subject(key, &parts.subject, names)?;
    names.put_word(key, parts.object_type)?;
    names.put_word(key, parts.relation)?;
    names.put_id(key, parts.object_id)
}

fn name_key(name: &str) -> Vec<u8> {
    [&STORE.to_be_bytes(), name.as_bytes()].concat()
}

fn number_key(number: &[u8]) -> Vec<u8> {
    [&STORE.to_be_bytes(), number].concat()
}

/// Version, created revision, and two zero bytes: no condition, no expiry.
fn put_value(value: &mut Vec<u8>, mut revision: u64) -> Option<()> {
    value.push(1);
    while revision >= 0x80 {
        value.push(revision as u8 | 0x80);
        revision >>= 7;
    }
    extend(value, &[&[revision as u8, 0, 0]])
}

fn created_revision(value: &[u8]) -> Option<u64> {
    let (&version, rest) = value.split_first()?;
    let end = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let revision = rest[..=end].iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    (version == 1 && rest[end + 1..] == [0, 0]).then_some(revision)
}

// --- rows --------------------------------------------------------------------------------------------------

/// The rows of one family, sorted by key.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    start: usize,
    key_bytes: u16,
    value_bytes: u16,
}

impl Rows {
    fn of(
        family: Family,
        tuples: &TupleText<'_>,
        numbering: &Numbering<'_>,
        revisions: Revisions,
    ) -> anyhow::Result<Rows> {
        let mut rows = Rows::default();
        match family {
            Family::Tuples | Family::BySubject => {
                for (number, parts) in tuples.parts().enumerate() {
                    let revision = if revisions == Revisions::Each { number as u64 + 1 } else { 1 };
                    rows.add(
                        |key| match family {
                            Family::Tuples => put_tuples_key(key, &parts, numbering),
                            _ => put_by_subject_key(key, &parts, numbering),
                        },
                        |value| put_value(value, revision),
                    )?;
                }
            }
            Family::Names | Family::Numbers => {
                for (name, &number) in &numbering.ids {
                    let (name, number) = (name.as_bytes(), number_bytes(number));
                    let (key, value) =
                        if family == Family::Names { (name, &number[..]) } else { (&number[..], name) };
                    rows.add(
                        |bytes| extend(bytes, &[&STORE.to_be_bytes(), key]),
                        |bytes| extend(bytes, &[value]),
                    )?;
                }
            }
            Family::Changes if revisions == Revisions::Each => {
                for (number, parts) in tuples.parts().enumerate() {
                    rows.add(
                        |key| put_change_key(key, number as u64 + 1, 0),
                        |value| put_change(value, |key| put_tuples_key(key, &parts, numbering)),
                    )?;
                }
            }
            // An import orders its changes by the key of `tuples`.
            Family::Changes => {
                let sorted = Rows::of(Family::Tuples, tuples, numbering, revisions)?;
                for (ordinal, row) in sorted.rows.iter().enumerate() {
                    rows.add(
                        |key| put_change_key(key, 1, ordinal as u32),
                        |value| put_change(value, |key| extend(key, &[sorted.key(row)])),
                    )?;
                }
            }
            Family::Revisions => {
                let count = if revisions == Revisions::Each { tuples.len() as u64 } else { 1 };
                for revision in 1..=count {
                    let time = FIRST_COMMIT_US + revision * 1000;
                    let store = STORE.to_be_bytes();
                    rows.add(
                        |key| extend(key, &[&store, &revision.to_be_bytes()]),
                        // Time, schema in force, kind, number of changes.
                        |value| extend(value, &[&[1], &time.to_be_bytes(), &store, &[0, 1]]),
                    )?;
                }
            }
        }
        let Rows { bytes, rows: index } = &mut rows;
        index.sort_unstable_by_key(|row| &bytes[row.start..row.start + usize::from(row.key_bytes)]);
        index.dedup_by_key(|row| &bytes[row.start..row.start + usize::from(row.key_bytes)]);
        Ok(rows)
    }

    fn add(
        &mut self,
        put_key: impl FnOnce(&mut Vec<u8>) -> Option<()>,
        put_value: impl FnOnce(&mut Vec<u8>) -> Option<()>,
    ) -> anyhow::Result<()> {
        let start = self.bytes.len();
        put_key(&mut self.bytes).context("a name has no number")?;
        let key_bytes = u16::try_from(self.bytes.len() - start)?;
        let value_start = self.bytes.len();
        put_value(&mut self.bytes).context("a name has no number")?;
        let value_bytes = u16::try_from(self.bytes.len() - value_start)?;
        self.rows.push(Row { start, key_bytes, value_bytes });
        Ok(())
    }

    fn key(&self, row: &Row) -> &[u8] {
        &self.bytes[row.start..][..usize::from(row.key_bytes)]
    }

    fn value(&self, row: &Row) -> &[u8] {
        &self.bytes[row.start + usize::from(row.key_bytes)..][..usize::from(row.value_bytes)]
    }
}

fn extend(bytes: &mut Vec<u8>, parts: &[&[u8]]) -> Option<()> {
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Some(())
}

fn put_change_key(key: &mut Vec<u8>, revision: u64, ordinal: u32) -> Option<()> {
    extend(key, &[&STORE.to_be_bytes(), &revision.to_be_bytes(), &ordinal.to_be_bytes()])
}

/// Two header bytes and the key of `tuples` without its store number.
fn put_change(value: &mut Vec<u8>, put_key: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let mut key = Vec::new();
    put_key(&mut key)?;
    extend(value, &[&[1, 0], &key[STORE.to_be_bytes().len()..]])
}

// --- options -----------------------------------------------------------------------------------------------

#[derive(Clone)]
struct OptionSet {
    words: String,
    block_bytes: usize,
    restart: i32,
    index_restart: i32,
    filter: Filter,
    compression: DBCompressionType,
    level: i32,
    dictionary_kib: i32,
    hash: bool,
    split: bool,
    interpolate: bool,
    cached: bool,
    lru: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    Bloom,
    Ribbon,
    Without,
}

const FILTER_BITS: f64 = 10.0;

impl std::str::FromStr for OptionSet {
    type Err = anyhow::Error;

    fn from_str(words: &str) -> anyhow::Result<OptionSet> {
        let mut set = OptionSet {
            words: words.to_owned(),
            block_bytes: 4 << 10,
            restart: 16,
            index_restart: 1,
            filter: Filter::Bloom,
            compression: DBCompressionType::Lz4,
            level: 0,
            dictionary_kib: 0,
            hash: false,
            split: false,
            interpolate: false,
            cached: false,
            lru: false,
        };
        for word in words.split('/') {
            let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
            let number = word[digits..].parse();
            match (&word[..digits], number) {
                ("bloom", _) => set.filter = Filter::Bloom,
                ("ribbon", _) => set.filter = Filter::Ribbon,
                ("nofilter", _) => set.filter = Filter::Without,
                ("lz", Ok(4)) => set.compression = DBCompressionType::Lz4,
                ("plain", _) => set.compression = DBCompressionType::None,
                ("zstd", Ok(level)) => (set.compression, set.level) = (DBCompressionType::Zstd, level),
                ("dict", Ok(kib)) => set.dictionary_kib = kib,
                ("r", Ok(keys)) => set.restart = keys,
                ("ir", Ok(keys)) => set.index_restart = keys,
                ("hash", _) => set.hash = true,
                ("split", _) => set.split = true,
                ("interpolate", _) => set.interpolate = true,
                ("cached", _) => set.cached = true,
                ("lru", _) => set.lru = true,
                _ => {
                    let size = word.strip_suffix('k').and_then(|kib| kib.parse::<usize>().ok());
                    set.block_bytes =
                        size.with_context(|| format!("unknown word `{word}` in `{words}`"))? << 10;
                }
            }
        }
        Ok(set)
    }
}

impl OptionSet {
    fn cache(&self) -> Cache {
        if self.lru {
            Cache::new_lru_cache(CACHE_BYTES)
        } else {
            Cache::new_hyper_clock_cache(CACHE_BYTES, 0)
        }
    }

    fn family_options(&self, family: Family, cache: &Cache) -> anyhow::Result<Options> {
        let mut table = BlockBasedOptions::default();
        table.set_format_version(7);
        table.set_block_cache(cache);
        table.set_block_size(self.block_bytes);
        table.set_index_block_restart_interval(self.index_restart);
        table.set_cache_index_and_filter_blocks(self.cached);
        // Only these two are asked for single keys; the others are scanned.
        if matches!(family, Family::Tuples | Family::Names) {
            table.set_block_restart_interval(self.restart);
            if self.hash {
                table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            }
            match self.filter {
                Filter::Bloom => table.set_bloom_filter(FILTER_BITS, false),
                Filter::Ribbon => table.set_ribbon_filter(FILTER_BITS),
                Filter::Without => {}
            }
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_target_file_size_base(SST_BYTES);
        options.set_compression_type(self.compression);
        options.set_bottommost_compression_type(self.compression);
        let dictionary_bytes = self.dictionary_kib << 10;
        options.set_bottommost_compression_options(-14, self.level, 0, dictionary_bytes, true);
        options.set_bottommost_zstd_max_train_bytes(dictionary_bytes * 100, true);
        // The binding has no setters for these.
        let mut more = String::new();
        if self.split {
            more.push_str("separate_key_value_in_data_block=true;");
        }
        if self.interpolate {
            more.push_str("index_block_search_type=kInterpolation;");
        }
        if !more.is_empty() {
            options = options.get_options_from_string(format!("block_based_table_factory={{{more}}}"))?;
        }
        Ok(options)
    }
}

// --- databases ---------------------------------------------------------------------------------------------

struct Database<'a> {
    path: PathBuf,
    set: OptionSet,
    words: Words<'a>,
    cache: Cache,
    db: DB,
    seconds_sort: f64,
    seconds_write: f64,
    seconds_compact: f64,
}

impl<'a> Database<'a> {
    fn create(path: &Path, set: &OptionSet, numbering: &Numbering<'a>) -> anyhow::Result<Database<'a>> {
        let cache = set.cache();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.increase_parallelism(2);
        let families = FAMILIES
            .iter()
            .map(|family| {
                Ok(ColumnFamilyDescriptor::new(family.to_string(), set.family_options(*family, &cache)?))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Database {
            path: path.to_owned(),
            set: set.clone(),
            words: numbering.words.clone(),
            cache,
            db: DB::open_cf_descriptors(&options, path, families)?,
            seconds_sort: 0.0,
            seconds_write: 0.0,
            seconds_compact: 0.0,
        })
    }

    fn family(&self, family: Family) -> anyhow::Result<&ColumnFamily> {
        self.db.cf_handle(&family.to_string()).context("a family is missing")
    }

    fn load(&mut self, family: Family, rows: &Rows) -> anyhow::Result<()> {
        if rows.rows.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let files = self.write_files(family, rows)?;
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        self.db.ingest_external_file_cf_opts(&self.family(family)?, &ingest, files)?;
        let written = start.elapsed().as_secs_f64();
        let mut compact = CompactOptions::default();
        compact.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(&self.family(family)?, None::<&[u8]>, None::<&[u8]>, &compact);
        self.seconds_compact += start.elapsed().as_secs_f64() - written;
        self.seconds_write += written;
        Ok(())
    }

    fn write_files(&self, family: Family, rows: &Rows) -> anyhow::Result<Vec<PathBuf>> {
        let options = self.set.family_options(family, &self.cache)?;
        let mut paths = Vec::new();
        let mut rows_left = rows.rows.iter().peekable();
        while rows_left.peek().is_some() {
            let path = self.path.join(format!("{family}-{}.import", paths.len()));
            let mut file = SstFileWriter::create(&options);
            file.open(&path)?;
            while file.file_size() < SST_BYTES
                && let Some(row) = rows_left.next()
            {
                file.put(rows.key(row), rows.value(row))?;
            }
            file.finish()?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn family_bytes(&self, family: Family) -> anyhow::Result<u64> {
        let bytes = self.db.property_int_value_cf(&self.family(family)?, "rocksdb.live-sst-files-size")?;
        bytes.context("RocksDB does not tell the size")
    }

    /// Bytes of index and filter blocks that are held outside the block cache.
    fn table_bytes(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for family in FAMILIES {
            let property = "rocksdb.estimate-table-readers-mem";
            bytes += self.db.property_int_value_cf(&self.family(family)?, property)?.unwrap_or(0);
        }
        Ok(bytes)
    }

    /// Reads what the questions will read into the block cache, and tells how large that is.
    fn warm(&self) -> anyhow::Result<usize> {
        for family in [Family::Tuples, Family::Names, Family::Numbers] {
            for row in self.db.iterator_cf(&self.family(family)?, IteratorMode::Start) {
                black_box(row?);
            }
        }
        Ok(self.cache.get_usage())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Tuples => "tuples",
            Family::BySubject => "by_subject",
            Family::Names => "names",
            Family::Numbers => "numbers",
            Family::Changes => "changes",
            Family::Revisions => "revisions",
        })
    }
}

// --- reads -------------------------------------------------------------------------------------------------

/// A check as a caller gives it.
struct Question {
    object: String,
    relation: String,
    subject: String,
}

/// What a round asks. Each kind of read has its own questions, or the first would bring the rows of the next
/// into the processor's caches; the unmeasured ones only bring in what all reads of one database share.
struct Round {
    unmeasured: Vec<Question>,
    got: Vec<Question>,
    stored: Vec<Question>,
    absent: Vec<Question>,
    scanned: Vec<Question>,
}

struct Reader<'a> {
    database: &'a Database<'a>,
    tuples: &'a ColumnFamily,
    names: &'a ColumnFamily,
    numbers: &'a ColumnFamily,
}

/// The names of one database as of one snapshot.
struct StoredNames<'a, 'b> {
    reader: &'a Reader<'b>,
    snapshot: &'a rocksdb::Snapshot<'b>,
}

impl Names for StoredNames<'_, '_> {
    fn put_word(&self, key: &mut Vec<u8>, word: &str) -> Option<()> {
        self.reader.database.words.put(key, word)
    }

    fn put_id(&self, key: &mut Vec<u8>, id: &str) -> Option<()> {
        match self.reader.database.words.layout {
            Layout::Interned => {
                let number = self.snapshot.get_pinned_cf(&self.reader.names, name_key(id)).ok()??;
                extend(key, &[&number])
            }
            Layout::Strings | Layout::Short => put_text(key, id),
        }
    }
}

impl<'a> Reader<'a> {
    fn new(database: &'a Database<'a>) -> anyhow::Result<Reader<'a>> {
        Ok(Reader {
            database,
            tuples: database.family(Family::Tuples)?,
            names: database.family(Family::Names)?,
            numbers: database.family(Family::Numbers)?,
        })
    }

    fn get(&self, key: &[u8]) -> anyhow::Result<bool> {
        let snapshot = self.database.db.snapshot();
        let value = snapshot.get_pinned_cf(&self.tuples, key)?;
        Ok(value.is_some_and(|value| black_box(value.len()) > 0))
    }

    fn check(&self, question: &Question, key: &mut Vec<u8>) -> anyhow::Result<bool> {
        let snapshot = self.database.db.snapshot();
        let names = StoredNames { reader: self, snapshot: &snapshot };
        key.clear();
        if put_tuples_key(key, &question.parts()?, &names).is_none() {
            return Ok(false);
        }
        let Some(value) = snapshot.get_pinned_cf(&self.tuples, &key)? else { return Ok(false) };
        Ok(created_revision(&value).context("the value does not decode")? > 0)
    }

    /// Reads all subjects of the question's relation; an interned one is turned back into its name.
    fn scan(&self, question: &Question, key: &mut Vec<u8>) -> anyhow::Result<usize> {
        let snapshot = self.database.db.snapshot();
        let names = StoredNames { reader: self, snapshot: &snapshot };
        key.clear();
        if put_relation_prefix(key, &question.parts()?, &names).is_none() {
            return Ok(0);
        }
        let mut rows = snapshot.raw_iterator_cf_opt(&self.tuples, ReadOptions::default());
        rows.seek(&key);
        let mut count = 0;
        while let Some((row, value)) = rows.item()
            && row.starts_with(key)
        {
            if self.database.words.layout == Layout::Interned {
                // Behind the prefix: the kind, the type, the id.
                let number = row.get(key.len() + 3..key.len() + 8).context("a key is too short")?;
                black_box(snapshot.get_pinned_cf(&self.numbers, number_key(number))?);
            }
            black_box((row, created_revision(value)));
            count += 1;
            rows.next();
        }
        rows.status()?;
        Ok(count)
    }

    /// The keys of stored questions, ready for raw gets.
    fn keys(&self, questions: &[Question]) -> anyhow::Result<Vec<Vec<u8>>> {
        let snapshot = self.database.db.snapshot();
        let names = StoredNames { reader: self, snapshot: &snapshot };
        let key = |question: &Question| {
            let mut key = Vec::new();
            put_tuples_key(&mut key, &question.parts()?, &names).context("a stored name has no number")?;
            Ok(key)
        };
        questions.iter().map(key).collect()
    }
}

impl Question {
    fn parse(line: &str) -> Option<Question> {
        let (object, rest) = line.split_once('#')?;
        let (relation, subject) = rest.split_once('@')?;
        Some(Question {
            object: object.to_owned(),
            relation: relation.to_owned(),
            subject: subject.to_owned(),
        })
    }

    fn parts(&self) -> anyhow::Result<TupleParts<'_>> {
        TupleParts::of_question(&self.object, &self.relation, &self.subject)
            .context("a question is malformed")
    }
}

impl Round {
    /// Draws stored tuples, and pairs of an object and another tuple's subject that are not stored.
    fn draw(
        random: &mut Random,
        tuples: &TupleText<'_>,
        judge: &Reader<'_>,
        count: usize,
    ) -> anyhow::Result<Round> {
        let mut draw = || {
            let line = tuples.lines[random.below(tuples.len())];
            Question::parse(line).context("a question is malformed")
        };
        let mut stored = || (0..count).map(|_| draw()).collect::<anyhow::Result<Vec<_>>>();
        let (unmeasured, got, stored, scanned) = (stored()?, stored()?, stored()?, stored()?);
        let mut absent = Vec::with_capacity(count);
        let mut key = Vec::new();
        while absent.len() < count {
            let question = Question { subject: draw()?.subject, ..draw()? };
            if !judge.check(&question, &mut key)? {
                absent.push(question);
            }
        }
        Ok(Round { unmeasured, got, stored, absent, scanned })
    }
}

/// Nanoseconds of each kind of read, one entry a round.
#[derive(Default)]
struct Times {
    get: Vec<f64>,
    yes: Vec<f64>,
    no: Vec<f64>,
    scan: Vec<f64>,
}

impl Times {
    fn measure(&mut self, reader: &Reader<'_>, round: &Round) -> anyhow::Result<()> {
        let keys = reader.keys(&round.got)?;
        let mut key = Vec::new();
        for question in &round.unmeasured {
            black_box(reader.check(question, &mut key)?);
        }
        let count = round.stored.len();
        time(&mut self.get, &keys, count, |key| Ok(usize::from(reader.get(key)?)))?;
        time(&mut self.yes, &round.stored, count, |question| {
            Ok(usize::from(reader.check(question, &mut key)?))
        })?;
        time(&mut self.no, &round.absent, 0, |question| Ok(usize::from(reader.check(question, &mut key)?)))?;
        time(&mut self.scan, &round.scanned, count, |question| {
            Ok(usize::from(reader.scan(question, &mut key)? > 0))
        })
    }
}

/// Asks every question and adds the mean nanoseconds; refuses a round with wrong answers.
fn time<T>(
    times: &mut Vec<f64>,
    questions: &[T],
    expected: usize,
    mut ask: impl FnMut(&T) -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut found = 0;
    for question in questions {
        found += ask(question)?;
    }
    times.push(start.elapsed().as_nanos() as f64 / questions.len() as f64);
    if found != expected {
        bail!("{found} of {} questions found, {expected} expected", questions.len());
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

// --- tables ------------------------------------------------------------------------------------------------

fn print_sizes(out: &mut impl Write, databases: &[Database<'_>], tuples: usize) -> anyhow::Result<()> {
    writeln!(out, "Bytes on disk per tuple after full compaction; seconds.\n")?;
    writeln!(
        out,
        "{:9} {:44} {:>7} {:>10} {:>6} {:>7} {:>8} {:>9} {:>7} {:>6} | {:>6} {:>6} {:>7}",
        "layout",
        "options",
        "tuples",
        "by_subject",
        "names",
        "numbers",
        "changes",
        "revisions",
        "indexes",
        "all",
        "sort",
        "write",
        "compact"
    )?;
    for database in databases {
        let mut sizes = [0.0; FAMILIES.len()];
        for (size, family) in sizes.iter_mut().zip(FAMILIES) {
            *size = database.family_bytes(family)? as f64 / tuples as f64;
        }
        let [by_object, by_subject, names, numbers, changes, revisions] = sizes;
        writeln!(
            out,
            "{:9} {:44} {by_object:7.2} {by_subject:10.2} {names:6.2} {numbers:7.2} {changes:8.2} \
             {revisions:9.2} {:7.2} {:6.2} | {:6.1} {:6.1} {:7.1}",
            format!("{:?}", database.words.layout).to_lowercase(),
            database.set.words,
            by_object + by_subject + names + numbers,
            sizes.iter().sum::<f64>(),
            database.seconds_sort,
            database.seconds_write,
            database.seconds_compact,
        )?;
    }
    Ok(())
}

fn print_reads(
    out: &mut impl Write,
    databases: &mut [Database<'_>],
    tuples: &TupleText<'_>,
    settings: &Settings,
) -> anyhow::Result<()> {
    let cached = databases.iter().map(Database::warm).collect::<anyhow::Result<Vec<_>>>()?;
    let readers = databases.iter().map(Reader::new).collect::<anyhow::Result<Vec<_>>>()?;
    let judge = readers.first().context("no layout or no option set is given")?;
    let mut times: Vec<Times> = readers.iter().map(|_| Times::default()).collect();
    let mut random = Random(2);
    for number in 0..settings.rounds.max(1) {
        let round = Round::draw(&mut random, tuples, judge, settings.questions.max(1))?;
        for turn in 0..readers.len() {
            let at = (number + turn) % readers.len();
            times[at].measure(&readers[at], &round)?;
        }
    }
    writeln!(
        out,
        "\nNanoseconds, median of {} rounds of {} questions.",
        settings.rounds, settings.questions
    )?;
    writeln!(out, "MiB: blocks read by the questions in the cache, index and filter blocks beside it.\n")?;
    writeln!(
        out,
        "{:9} {:44} {:>6} {:>6} {:>5} {:>6} {:>6} {:>10} {:>10}",
        "layout", "options", "get", "yes", "ratio", "no", "scan", "cache MiB", "tables MiB"
    )?;
    for ((database, times), cached) in databases.iter().zip(&mut times).zip(cached) {
        let (get, yes) = (median(&mut times.get), median(&mut times.yes));
        writeln!(
            out,
            "{:9} {:44} {get:6.0} {yes:6.0} {:5.2} {:6.0} {:6.0} {:10} {:10.1}",
            format!("{:?}", database.words.layout).to_lowercase(),
            database.set.words,
            yes / get,
            median(&mut times.no),
            median(&mut times.scan),
            cached >> 20,
            database.table_bytes()? as f64 / f64::from(1 << 20),
        )?;
    }
    Ok(())
}
