use super::files::{reads, try_write, tuple, written};
use stonetown::bulk::Compression;
use stonetown::bulk::Format::{Spicedb, Yaml};

#[test]
fn relationships() {
    reads(
        Spicedb,
        "// A comment\n\ndocument:readme#viewer@user:anne\n  doc/file:a/b|c=+_-#viewer@group:eng#member\r\n\
         document:readme#viewer@user:anne#...\ndocument:readme#viewer@user:*\ndocument:readme#viewer@user:*#...\n\
         document:readme#viewer@user:anne[on_tuesday]\ndocument:readme#viewer@user:anne[on/tuesday:{\"b\":\"]\",\"a\":{\"c\":1}}]\n\
         document:readme#viewer@user:anne[expiration:2027-01-01T00:00:00.5Z]\n\
         document:readme#viewer@user:anne[cav:{\"k\":1}][expiration:2027-01-01T00:00:00Z]\n\
         document:readme#viewer@user:anne[expiration:2027-01-01T00:00:00Z][cav]\n\
         document:readme#viewer@user:anne[expiration:{\"k\":1}]\ndocument:readme#viewer@user:anne[cav:{}]",
        &[
            "3 document:readme#viewer@user:anne",
            "4 doc/file:a/b|c=+_-#viewer@group:eng#member",
            "5 document:readme#viewer@user:anne",
            "6 document:readme#viewer@user:*",
            "7 document:readme#viewer@user:*",
            "8 document:readme#viewer@user:anne with on_tuesday",
            "9 document:readme#viewer@user:anne with on/tuesday {\"a\":{\"c\":1},\"b\":\"]\"}",
            "10 document:readme#viewer@user:anne until 2027-01-01T00:00:00.5Z",
            "11 document:readme#viewer@user:anne with cav {\"k\":1} until 2027-01-01T00:00:00Z",
            "12 document:readme#viewer@user:anne with cav until 2027-01-01T00:00:00Z",
            "13 document:readme#viewer@user:anne with expiration {\"k\":1}",
            "14 document:readme#viewer@user:anne with cav",
        ],
    );
}

#[test]
fn what_cannot_be_taken_is_told() {
    let long = format!("document:{}#viewer@user:anne", "x".repeat(300));
    let relation = format!("document:readme#{}@user:anne", "r".repeat(60));
    let content = [
        "document:readme@user:anne",
        "document:readme#viewer",
        "document:readme#...@user:anne",
        "document:readme#viewer@user:anne[cav",
        "document:readme#viewer@user:anne[]",
        "document:readme#viewer@user:anne[cav:{\"k\":1]",
        "document:readme#viewer@user:anne[cav:[1]]",
        "document:readme#viewer@user:anne[a][b]",
        "document:readme#viewer@user:anne[expiration:tomorrow]",
        "document:readme#viewer@user:anne[cav] until 2027-01-01T00:00:00Z",
        "document:readme#viewer@user:anne something",
        &long,
        &relation,
    ];
    reads(
        Spicedb,
        content.join("\n"),
        &[
            "1 ! has no `#` between object and relation: write `document:readme#viewer@user:anne`",
            "2 ! has no `@` between relation and subject",
            "3 ! has `...` as its relation, which only a subject can have",
            "4 ! has no `]` behind its caveat",
            "5 ! condition is empty",
            "6 ! has a caveat whose context is not JSON",
            "7 ! condition context is not a JSON object in `[1]`",
            "8 ! has two caveats, and a relationship can have one",
            "9 ! `tomorrow` is not a time",
            "10 ! is followed by something else",
            "11 ! subject id contains a space",
            "12 ! object is too long",
            "13 ! relation is too long",
        ],
    );
}

#[test]
fn the_relationships_of_a_validation_file() {
    let schema =
        "---\nschema: |-\n  definition user {}\n\n  definition document {\n    relation viewer: user\n  }\n";
    let assertions = "assertions:\n  assertTrue:\n    - \"document:readme#viewer@user:anne\"\n";
    let block = |style: &str| {
        format!(
            "{schema}relationships: {style}\n  // A comment\n\n  document:readme#viewer@user:anne\n\n  \
             document:readme#viewer@user:bob[cav:{{\"k\": 1}}]\n  nonsense\n{assertions}"
        )
    };
    for style in ["|-", "|", ">-"] {
        reads(
            Yaml,
            block(style),
            &[
                "11 document:readme#viewer@user:anne",
                "13 document:readme#viewer@user:bob with cav {\"k\":1}",
                "14 ! has no `#` between object and relation",
            ],
        );
    }
    let quoted = "\"document:readme#viewer@user:anne\\ndocument:readme#viewer@user:bob\"";
    reads(
        Yaml,
        format!("{schema}relationships: {quoted}\n{assertions}"),
        &["8 document:readme#viewer@user:anne", "8 document:readme#viewer@user:bob"],
    );
}

#[test]
fn what_is_written_is_within_its_grammar() {
    let tuples = [
        "tenant/document:a/b|c=+_-#viewer@user:*",
        "document:readme#viewer@group:eng#member with tenant/cav {\"k\":1} until 2027-01-01T00:00:00.000001Z",
        "document:readme#viewer@user:anne with expiration",
    ];
    let text = "tenant/document:a/b|c=+_-#viewer@user:*\n\
        document:readme#viewer@group:eng#member[tenant/cav:{\"k\":1}][expiration:2027-01-01T00:00:00.000001Z]\n\
        document:readme#viewer@user:anne[expiration]\n";
    assert_eq!(written(Spicedb, &tuples), text);
    for (refused, problem) in [
        ("do:readme#viewer@user:anne", "its type `do` is not 3 to 64"),
        ("Document:readme#viewer@user:anne", "its type `Document` is not"),
        ("document_:readme#viewer@user:anne", "its type `document_` is not"),
        ("a/document:readme#viewer@user:anne", "its type `a/document` is not"),
        ("document:readme#viewer@us-er:anne", "its type `us-er` is not"),
        ("document:readme#viewer@user:anne with In", "its caveat `In` is not"),
        ("document:readme#is@user:anne", "its relation `is` is not 3 to 64"),
        ("document:readme#viewer@group:eng#m", "its relation `m` is not"),
        ("document:read.me#viewer@user:anne", "its id `read.me` has other characters"),
        ("document:readme#viewer@user:anne@example", "its id `anne@example` has other characters"),
        ("document:readme#viewer@group:é#member", "its id `é` has other characters"),
    ] {
        let error = try_write(Spicedb, Compression::None, &[tuple(refused)]).unwrap_err().to_string();
        let expected = format!("tuple `{refused}` cannot be written as spicedb: {problem}");
        assert!(error.starts_with(&expected), "{error}");
    }
}
