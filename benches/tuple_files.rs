//! How fast tuple files are read and written, on one core.
//!
//! Run: `tools/cargo bench --bench tuple_files`. Criterion prints lines a second (`elem/s`) for each format, plain and packed
//! with zstd. Data: 500,000 tuples of voices, users and organisations, about 50 bytes of text each, every twentieth with a
//! userset; numbers scattered by a fixed factor.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::fs;
use std::hint::black_box;
use std::io;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stonetown::bulk::{Compression, Format, Input, Position, TupleLines, TupleWriter, WriterOptions};
use stonetown::tuple::Tuple;

const TUPLES: u64 = 500_000;

const FORMATS: [Format; 6] =
    [Format::Csv, Format::JsonLines, Format::Text, Format::Spicedb, Format::Json, Format::Yaml];

fn tuples() -> Vec<Tuple> {
    let scattered = |n: u64, factor: u64| n.wrapping_mul(factor) % 900_007;
    let text = |n: u64| match n % 20 {
        0 => format!(
            "voice:v{:06}#viewer@org:acme{:05}#member",
            scattered(n, 7_919),
            scattered(n, 104_729) % 99_991
        ),
        _ => format!("voice:v{:06}#viewer@user:person{:06}", scattered(n, 7_919), scattered(n, 104_729)),
    };
    (0..TUPLES).map(|n| text(n).parse().unwrap()).collect()
}

fn write(format: Format, compression: Compression, tuples: &[Tuple], out: impl io::Write) {
    let mut writer = TupleWriter::new(out, WriterOptions { format, compression, has_expiry: false }).unwrap();
    for tuple in tuples {
        writer.write(tuple).unwrap();
    }
    writer.finish().unwrap();
}

fn files(criterion: &mut Criterion) {
    let tuples = tuples();
    let directory = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Zstd, Compression::Gzip] {
        for format in FORMATS {
            let packed =
                if compression == Compression::None { String::new() } else { format!(", {compression:?}") };
            let path = directory.path().join("tuples");
            write(format, compression, &tuples, fs::File::create(&path).unwrap());
            let input = Input::new(&path, Some(format)).unwrap();
            let mut group = criterion.benchmark_group(format!("{format}{packed}"));
            group.throughput(Throughput::Elements(TUPLES)).sample_size(10);
            group.bench_function("read", |bencher| {
                bencher.iter(|| {
                    let mut lines = TupleLines::open(&input, Position::default()).unwrap();
                    let mut count = 0;
                    while let Some(line) = lines.next().unwrap() {
                        black_box(line.tuple.unwrap());
                        count += 1;
                    }
                    assert_eq!(count, TUPLES);
                });
            });
            group.bench_function("write", |bencher| {
                bencher.iter(|| write(format, compression, &tuples, io::sink()));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, files);
criterion_main!(benches);
