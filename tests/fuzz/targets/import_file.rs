//! Tuple files in every format, packed or not: each line is a tuple or told why it is none; reading goes on from any place as it
//! would have gone on, and what was read is written so that it reads back as the same.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use stonetown::bulk::{Compression, Format, TupleLines, TupleWriter, WriterOptions};
use stonetown::tuple::Tuple;

/// Lines of a packed input that are looked at: a few bytes can be unpacked to very many.
const LINES_MAX: usize = 20_000;

fn read(bytes: &[u8], format: Format) -> Option<(Vec<Tuple>, usize)> {
    let source = Box::new(Cursor::new(bytes.to_vec()));
    let mut lines = TupleLines::over(source, "fuzz", format).ok()?;
    let (mut tuples, mut bad, mut line) = (Vec::new(), 0, 0);
    for _ in 0..LINES_MAX {
        let Some(found) = lines.next().ok()? else { return Some((tuples, bad)) };
        assert!(found.line >= line, "line {} comes after line {line}", found.line);
        line = found.line;
        match found.tuple {
            Ok(tuple) => tuples.push(tuple.into_owned()),
            Err(reason) => {
                assert!(!reason.to_string().is_empty());
                bad += 1;
            }
        }
    }
    None
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&format, bytes)) = bytes.split_first() else { return };
    let (format, _) = Format::NAMES[usize::from(format) % Format::NAMES.len()];
    let Some((tuples, bad)) = read(bytes, format) else { return };
    assert_eq!(read(bytes, format), Some((tuples.clone(), bad)), "read again");
    for (format, name) in Format::NAMES {
        let mut out = Vec::new();
        let options = WriterOptions { format, compression: Compression::None, has_expiry: true };
        let Ok(mut writer) = TupleWriter::new(&mut out, options) else { continue };
        // Not every format can say everything.
        if tuples.iter().any(|tuple| writer.write(tuple).is_err()) || writer.finish().is_err() {
            continue;
        }
        let again = read(&out, format);
        assert_eq!(again, Some((tuples.clone(), 0)), "as {name}: {}", String::from_utf8_lossy(&out));
    }
});
