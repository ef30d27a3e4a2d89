use std::fs;
use std::path::{Path, PathBuf};

use stonetown::bulk::{Compression, Format, Input};

fn place(names: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    directory
}

fn find(place: &Path, names: &[&str], format: Option<Format>) -> Result<Vec<String>, String> {
    let paths: Vec<PathBuf> =
        names.iter().map(|name| if *name == "-" { name.into() } else { place.join(name) }).collect();
    let shown = |input: Input| {
        let path = input.path.strip_prefix(place).unwrap_or(&input.path).display().to_string();
        format!("{path} {} {}", input.format, input.bytes.map_or("?".to_owned(), |bytes| bytes.to_string()))
    };
    let found = Input::find(&paths, format).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(shown).collect())
}

#[test]
fn the_format_is_told_by_the_name() {
    for (name, format, compression) in [
        ("a.csv", Some(Format::Csv), Compression::None),
        ("a.csv.gz", Some(Format::Csv), Compression::Gzip),
        ("a.b.jsonl.zst", Some(Format::JsonLines), Compression::Zstd),
        ("a.ndjson", Some(Format::JsonLines), Compression::None),
        ("a.json", Some(Format::Json), Compression::None),
        ("a.yaml", Some(Format::Yaml), Compression::None),
        ("a.yml.gzip", Some(Format::Yaml), Compression::Gzip),
        ("a.fga.yaml", Some(Format::StoreTest), Compression::None),
        ("a.txt.zstd", Some(Format::Text), Compression::Zstd),
        ("a.zanzibar", Some(Format::Text), Compression::None),
        ("a.tuples", Some(Format::Text), Compression::None),
        ("a.spicedb", Some(Format::Spicedb), Compression::None),
        ("a.relationships.gz", Some(Format::Spicedb), Compression::Gzip),
        ("a", None, Compression::None),
        ("csv", None, Compression::None),
        ("a.gz", None, Compression::Gzip),
        // A schema of SpiceDB's, no relationships.
        ("a.zed", None, Compression::None),
    ] {
        let path = Path::new("some").join(name);
        assert_eq!((Format::of_path(&path), Compression::of_path(&path)), (format, compression), "{name}");
    }
    for (format, name) in Format::NAMES {
        assert_eq!((name.parse(), format.to_string().as_str()), (Ok(format), name));
    }
}

#[test]
fn files_and_directories_are_found_in_their_order() {
    let place = place(&["b/z.csv", "b/a.jsonl.gz", "b/c/y.txt", "b/.hidden", "a.fga.yaml", "b/c.csv"]);
    let found = find(place.path(), &["b", "-", "a.fga.yaml"], Some(Format::Csv)).unwrap();
    assert_eq!(
        found,
        [
            "b/a.jsonl.gz csv 12",
            "b/c/y.txt csv 9",
            "b/c.csv csv 7",
            "b/z.csv csv 7",
            "- csv ?",
            "a.fga.yaml csv 10"
        ]
    );
    let found = find(place.path(), &["b"], None).unwrap();
    assert_eq!(found, ["b/a.jsonl.gz jsonl 12", "b/c/y.txt text 9", "b/c.csv csv 7", "b/z.csv csv 7"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let place = place(&["b/z.csv", "b/README.md", "b/c/LICENSE", "c/x.csv", "x.foo"]);
    fs::create_dir(place.path().join("empty")).unwrap();
    let told = |names: &[&str]| find(place.path(), names, None).unwrap_err();
    let message = told(&["b"]);
    let position = |text: &str| message.find(text).unwrap_or_else(|| panic!("{message}"));
    assert!(position("b/README.md`") < position("b/c/LICENSE`"));
    assert!(message.contains("--input-format"));
    assert!(told(&["x.foo"]).contains("x.foo` from its name: say `--input-format text`"));
    assert!(told(&["-"]).contains("`-`"));
    assert!(told(&["none.csv"]).contains("none.csv`: No such file"));
    assert!(told(&["empty"]).contains("empty` holds no files"));
    assert!(told(&["c/x.csv", "c"]).contains("c/x.csv` is named twice"));
    assert!(find(place.path(), &["-", "-"], Some(Format::Csv)).unwrap_err().contains("`-` is named twice"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../c", place.path().join("c/again")).unwrap();
        assert!(told(&["c"]).contains("c/again` leads back to a directory that it is in"));
    }
}
