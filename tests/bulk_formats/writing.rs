use proptest::prelude::*;

use super::files::{FORMATS, Read, file, try_read, try_write, tuple, written};
use crate::{settings, strategies};
use stonetown::bulk::{Compression, Format, Position, TupleWriter, WriteError, WriterOptions};
use stonetown::tuple::{Timestamp, Tuple};

const THREE: [&str; 3] = [
    "voice:7#viewer@user:anne",
    "voice:a,b\"#viewer@org:a#admin with c {\"k\":[\"é\u{7f}\"]} until 2030-01-01T00:00:00.000001Z",
    "voice:7#viewer@user:* with c",
];

#[test]
fn what_is_written() {
    assert_eq!(written(Format::Text, &THREE), THREE.map(|text| format!("{text}\n")).concat());
    assert_eq!(
        written(Format::Csv, &THREE),
        "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context,expires_at\n\
         user,anne,,viewer,voice,7,,,\n\
         org,a,admin,viewer,voice,\"a,b\"\"\",c,\"{\"\"k\"\":[\"\"é\u{7f}\"\"]}\",2030-01-01T00:00:00.000001Z\n\
         user,*,,viewer,voice,7,c,,\n"
    );
    assert_eq!(
        written(Format::Csv, &THREE[..1]),
        "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
         user,anne,,viewer,voice,7,,\n"
    );
    let json = [
        r#"{"user":"user:anne","relation":"viewer","object":"voice:7"}"#,
        r##"{"user":"org:a#admin","relation":"viewer","object":"voice:a,b\"","condition":{"name":"c","context":{"k":["é\u007f"]}},"expires_at":"2030-01-01T00:00:00.000001Z"}"##,
        r#"{"user":"user:*","relation":"viewer","object":"voice:7","condition":{"name":"c","context":{}}}"#,
    ];
    assert_eq!(written(Format::JsonLines, &THREE), json.map(|line| format!("{line}\n")).concat());
    assert_eq!(written(Format::Json, &THREE), format!("[\n{}\n]\n", json.join(",\n")));
    assert_eq!(written(Format::Yaml, &THREE), json.map(|line| format!("- {line}\n")).concat());
}

#[test]
fn nothing_written_is_nothing_read() {
    for format in FORMATS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let file = file(try_write(format, compression, &[]).unwrap());
            assert_eq!(try_read(file.path(), format, Position::default()).unwrap(), [], "{format}");
        }
    }
}

#[test]
fn what_a_format_has_no_words_for_is_named() {
    let refused = |format, tuples: &[Tuple]| match try_write(format, Compression::None, tuples) {
        Err(error @ WriteError::Unspeakable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let comment = tuple("//voice:7#viewer@user:anne");
    assert_eq!(
        refused(Format::Text, &[comment]),
        "tuple `//voice:7#viewer@user:anne` cannot be written as text: a line that begins with `//` is a comment: use \
         jsonl or csv"
    );
    let mut never = tuple("voice:7#viewer@user:anne");
    never.expires_at = Some(Timestamp::from_micros(i64::MAX));
    for format in FORMATS {
        assert!(refused(format, &[never.clone()]).contains("its end is no time that RFC 3339 can name"));
    }
    let options = |format, has_expiry| WriterOptions { format, compression: Compression::None, has_expiry };
    let mut writer = TupleWriter::new(Vec::new(), options(Format::Csv, false)).unwrap();
    let error = writer.write(&tuple(THREE[1])).unwrap_err().to_string();
    assert!(error.contains("the file was begun without a column `expires_at`"), "{error}");
    assert!(matches!(
        TupleWriter::new(Vec::new(), options(Format::StoreTest, false)).map(|_| ()),
        Err(WriteError::OnlyRead(Format::StoreTest))
    ));
}

/// What is read, place by place: the tail behind each place is what is read from there on.
#[track_caller]
fn goes_on_everywhere(content: &[u8], format: Format) -> Vec<Read> {
    let file = file(content);
    let all = try_read(file.path(), format, Position::default()).unwrap();
    for (at, read) in all.iter().enumerate() {
        let tail = try_read(file.path(), format, read.after).unwrap();
        assert_eq!(tail, all[at + 1..], "{format} behind {:?}", read.after);
    }
    all
}

/// What is read at a time ends anywhere in a line, in a quoted value, in an entry.
#[test]
fn long_files_are_read_piece_by_piece() {
    let text = |n: u64| match n % 3 {
        0 => format!("voice:v{n}#viewer@user:{}", "x".repeat((n * 37 % 91) as usize + 1)),
        1 => format!(
            "voice:v{n}#viewer@org:{n}#member with in_time {{\"k\":\"{}\"}}",
            ",]}é\\n".repeat((n % 7) as usize)
        ),
        _ => format!("voice:v{n}#viewer@user:* until 2030-01-01T00:00:00.{:06}Z", n % 999 + 1),
    };
    let tuples: Vec<Tuple> = (0..20_000).map(|n| tuple(&text(n))).collect();
    for format in FORMATS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let file = file(try_write(format, compression, &tuples).unwrap());
            let all = try_read(file.path(), format, Position::default()).unwrap();
            assert!(
                all.iter().map(|read| read.tuple.as_ref().unwrap()).eq(&tuples),
                "{format}, {compression:?}"
            );
            assert!(all[all.len() - 1].after.bytes > 4 * (256 << 10));
            for at in [0, 1, 7_000, 13_333, 19_998, 19_999] {
                let tail = try_read(file.path(), format, all[at].after).unwrap();
                assert!(tail == all[at + 1..], "{format}, {compression:?} behind {:?}", all[at].after);
            }
        }
    }
}

/// Tuples that SpiceDB has words for.
fn spicedb_tuple() -> impl Strategy<Value = Tuple> {
    let path = || "([a-z][a-z0-9_]{1,3}[a-z0-9]/)?[a-z][a-z0-9_]{1,4}[a-z0-9]";
    let word = || "[a-z][a-z0-9_]{1,4}[a-z0-9]";
    let id = || "[a-zA-Z0-9/_|=+-]{1,8}";
    let subject = prop_oneof![
        (path(), id()).prop_map(|(name, id)| format!("{name}:{id}")),
        path().prop_map(|name| format!("{name}:*")),
        (path(), id(), word()).prop_map(|(name, id, relation)| format!("{name}:{id}#{relation}")),
    ];
    let limits =
        (prop::option::of((path(), strategies::context())), prop::option::of(0..4_102_444_800_000_000_i64));
    (path(), id(), word(), subject, limits).prop_map(|(name, id, relation, subject, (caveat, end))| {
        let mut text = format!("{name}:{id}#{relation}@{subject}");
        if let Some((caveat, context)) = caveat {
            text += &format!(" with {caveat} {context}");
        }
        let mut tuple = tuple(&text);
        tuple.expires_at = end.map(Timestamp::from_micros);
        tuple
    })
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(vec![Compression::None, Compression::Gzip, Compression::Zstd])
}

/// Whether the format has no words for a tuple, although it is one.
fn is_unspeakable(format: Format, tuple: &Tuple) -> bool {
    format == Format::Text && tuple.key.object.object_type().starts_with("//")
}

proptest! {
    #![proptest_config(settings::properties("tuple files"))]

    #[test]
    fn what_is_written_is_read_back(
        tuples in prop::collection::vec(strategies::tuple(), 0..12),
        compression in compression(),
    ) {
        for format in FORMATS.into_iter().filter(|format| *format != Format::Spicedb) {
            let tuples: Vec<Tuple> =
                tuples.iter().filter(|tuple| !is_unspeakable(format, tuple)).cloned().collect();
            let bytes = try_write(format, compression, &tuples).unwrap();
            let read = goes_on_everywhere(&bytes, format);
            let read: Vec<Tuple> = read.into_iter().map(|read| read.tuple.unwrap()).collect();
            prop_assert_eq!(&read, &tuples, "{}", format);
            // And so is what is written of that.
            prop_assert_eq!(try_write(format, compression, &read).unwrap(), bytes);
        }
    }

    #[test]
    fn what_spicedb_has_words_for_is_read_back(
        tuples in prop::collection::vec(spicedb_tuple(), 0..12),
        compression in compression(),
    ) {
        let bytes = try_write(Format::Spicedb, compression, &tuples).unwrap();
        let read = goes_on_everywhere(&bytes, Format::Spicedb);
        let read: Vec<Tuple> = read.into_iter().map(|read| read.tuple.unwrap()).collect();
        prop_assert_eq!(&read, &tuples);
    }

    /// Whatever the bytes are, reading ends, goes on from every place, and tells every line of a file only once.
    #[test]
    fn any_bytes_are_read_to_their_end(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "\n", "\r\n", ",", "\"", "{", "}", "[", "]", ":", "- ", "  ", "#", "@", "a:b", "//", "tuples:", "---\n",
                "relationships: |\n", "\"user\":", "\"tuples\":", "\\", "\u{feff}", "é", "a:b#c@d:e\n", "null",
                "{\"user\":\"d:e\",\"relation\":\"c\",\"object\":\"a:b\"}", "object,relation,subject\n", "a:b,c,d:e\n", "\0",
            ]),
            0..40,
        ),
        noise in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut content = parts.concat().into_bytes();
        content.extend(noise);
        for format in FORMATS {
            goes_on_everywhere(&content, format);
        }
        goes_on_everywhere(&content, Format::StoreTest);
    }
}
