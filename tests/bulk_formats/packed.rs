use std::fs;
use std::io::Write as _;

use super::files::{file, try_read, try_write, tuple};
use stonetown::bulk::{Compression, Format, Input, Position, ReadError, TupleLines};
use stonetown::tuple::Tuple;

fn many() -> Vec<Tuple> {
    (0..5_000).map(|n| tuple(&format!("voice:{n}#viewer@user:{}", n * 7919 % 5_003))).collect()
}

fn packed(compression: Compression, tuples: &[Tuple]) -> Vec<u8> {
    try_write(Format::Text, compression, tuples).unwrap()
}

fn tuples(bytes: &[u8]) -> Vec<Tuple> {
    let found = try_read(file(bytes).path(), Format::Text, Position::default()).unwrap();
    found.into_iter().map(|read| read.tuple.unwrap()).collect()
}

#[test]
fn packing_is_told_by_the_first_bytes_and_parts_are_joined() {
    let many = many();
    let (first, second) = many.split_at(1_234);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = packed(compression, &many);
        assert!(whole.len() < packed(Compression::None, &many).len() / 2);
        assert_eq!(tuples(&whole), many);
        let joined = [packed(compression, first), packed(compression, second)].concat();
        assert_eq!(tuples(&joined), many);
    }
    let skippable =
        [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &packed(Compression::Zstd, first)].concat();
    assert_eq!(tuples(&skippable), first);
}

#[test]
fn a_packed_file_that_is_cut_off_or_damaged_is_told_as_that() {
    let many = many();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = packed(compression, &many);
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle..middle + 50].fill(0x55);
        let trailed = [&whole[..], b"and more"].concat();
        for bytes in [&whole[..whole.len() - 5], &whole[..middle], &whole[..20], &damaged, &trailed] {
            let file = file(bytes);
            match try_read(file.path(), Format::Text, Position::default()) {
                Err(error @ ReadError::Packed { .. }) => {
                    let message = error.to_string();
                    assert!(message.contains(file.path().to_str().unwrap()), "{message}");
                    assert!(message.ends_with("the file is damaged or cut off"), "{message}");
                }
                other => panic!("{compression:?}, {} bytes: {:?}", bytes.len(), other.map(|read| read.len())),
            }
        }
    }
}

#[test]
fn progress_is_counted_in_the_bytes_of_the_file() {
    let many = many();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let file = file(packed(compression, &many));
        let input = Input::new(file.path(), Some(Format::Text)).unwrap();
        let mut lines = TupleLines::open(&input, Position::default()).unwrap();
        while lines.next().unwrap().is_some() {
            assert!(Some(lines.bytes_read()) <= input.bytes);
        }
        assert_eq!(Some(lines.bytes_read()), input.bytes);
    }
}

#[test]
fn a_file_that_is_shorter_than_where_reading_was_is_told() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for format in super::files::FORMATS {
            let tuples = [tuple("voice:abc#viewer@user:anne")];
            let file = file(try_write(format, compression, &tuples).unwrap());
            let from = Position { bytes: 1_000, line: 17 };
            match try_read(file.path(), format, from) {
                Err(ReadError::Shorter { path, bytes: 1_000 }) => assert_eq!(path, file.path()),
                other => panic!("{format}, {compression:?}: {other:?}"),
            }
        }
    }
}

/// A pipe cannot be sought: it is read up to the place.
#[cfg(unix)]
#[test]
fn a_pipe_is_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe.txt");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for compression in [Compression::None, Compression::Zstd] {
        let many = many();
        let bytes = packed(compression, &many);
        let writer = std::thread::spawn({
            let path = path.clone();
            move || fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes)
        });
        let line = many[0].to_string().len() as u64 + 1;
        let found = try_read(&path, Format::Text, Position { bytes: line, line: 1 }).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(found.len(), many.len() - 1);
        assert_eq!((found[0].line, found[0].tuple.clone()), (2, Ok(many[1].clone())));
    }
}
