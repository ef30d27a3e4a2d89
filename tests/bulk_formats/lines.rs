use super::files::{read, reads};
use stonetown::bulk::Format::{Csv, JsonLines, Text};
use stonetown::bulk::LINE_BYTES_MAX;

#[test]
fn text() {
    reads(
        Text,
        "\u{feff}# A comment\r\n// another\n\n  voice:7#viewer@user:anne  \r\nvoice:7#viewer@org:a#admin\n\
         voice:8#viewer@user:* with c {\"a\":1} until 2030-01-01T00:00:00Z",
        &[
            "4 voice:7#viewer@user:anne",
            "5 voice:7#viewer@org:a#admin",
            "6 voice:8#viewer@user:* with c {\"a\":1} until 2030-01-01T00:00:00Z",
        ],
    );
    reads(Text, "", &[]);
    reads(Text, "\n\n# nothing\n", &[]);
    // White space that is not ASCII is a part of names.
    reads(Text, "\u{a0}a:b#c@d:e\u{2003}\n", &["1 \u{a0}a:b#c@d:e\u{2003}"]);
}

#[test]
fn bad_lines_of_text_do_not_end_the_reading() {
    reads(
        Text,
        b"voice:7#viewer\nvoice#viewer@user:anne\na:b#c@d:\xff\na:b#c@d:e\0\na:b#c@d:e until noon\na:b#c@d:e",
        &[
            "1 ! tuple has no `@` before its subject in `voice:7#viewer`",
            "2 ! object has no `:` in `voice#viewer@user:anne`",
            "3 ! is not UTF-8: save the file as UTF-8",
            "4 ! subject id contains a control character in `a:b#c@d:e␀`",
            "5 ! expiry is not a time",
            "6 a:b#c@d:e",
        ],
    );
    let utf16: Vec<u8> = "\u{feff}a:b#c@d:e\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(Text, utf16)[0].shown(), "1 ! is UTF-16: save the file as UTF-8");
}

#[test]
fn a_line_that_is_too_long_is_one_bad_line() {
    for format in [Text, JsonLines, Csv] {
        let (header, good) = match format {
            Csv => ("object,relation,subject\n", "a:b,c,d:e"),
            JsonLines => ("\n", r#"{"object":"a:b","relation":"c","user":"d:e"}"#),
            _ => ("\n", "a:b#c@d:e"),
        };
        let just = "x".repeat(LINE_BYTES_MAX);
        let far = "\"".repeat(5 * LINE_BYTES_MAX);
        let found = read(format, format!("{header}{good}\n{just}\n{far}\n{good}"));
        assert_eq!(found.len(), 4, "{format}");
        assert_eq!(found[3].shown(), "5 a:b#c@d:e");
        let reason = "is longer than 1,048,576 bytes: a tuple takes less";
        assert_eq!(found[2].tuple, Err(reason.to_owned()));
        assert_ne!(found[1].tuple, Err(reason.to_owned()));
        assert_eq!(found[1].text.len(), LINE_BYTES_MAX);
    }
}

#[test]
fn csv_in_both_sets_of_columns() {
    reads(
        Csv,
        "\u{feff}\nobject, relation ,subject,condition,context,expires_at\r\n\
         voice:7,viewer,user:anne,,,\r\n\
         \n voice:7 ,viewer, org:a#admin,c,\"{\"\"a\"\":[1,2]}\",2030-01-01T00:00:00Z\n\
         \"voice:8\" , \"viewer\", \"user:*\",c,,\n",
        &[
            "3 voice:7#viewer@user:anne",
            "5 voice:7#viewer@org:a#admin with c {\"a\":[1,2]} until 2030-01-01T00:00:00Z",
            "6 voice:8#viewer@user:* with c",
        ],
    );
    reads(
        Csv,
        "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
         user,anne,,viewer,voice,7,,\norg,a,admin,viewer,voice,7,,\nuser,*,,viewer,voice,7,c,{}\n\
         org,b#admin,,viewer,voice,7,,\n",
        &[
            "2 voice:7#viewer@user:anne",
            "3 voice:7#viewer@org:a#admin",
            "4 voice:7#viewer@user:* with c",
            // So the `fga` command line writes usersets.
            "5 voice:7#viewer@org:b#admin",
        ],
    );
    reads(
        Csv,
        "user,relation,object,user_relation\norg:a,viewer,voice:7,admin\n",
        &["2 voice:7#viewer@org:a#admin"],
    );
}

#[test]
fn csv_quotes() {
    let header = "object,relation,subject,condition,context\n";
    reads(
        Csv,
        format!(
            "{header}\"a:b,\"\"c\"\"\",r,s:t,,\na:q\"uote,r,s:t,,\na:b,r,s:t,c,\"{{\n  \"\"k\"\":\r\n 1\n}}\"\na:b,r,s:t,,"
        ),
        &["2 a:b,\"c\"#r@s:t", "3 a:q\"uote#r@s:t", "4 a:b#r@s:t with c {\"k\":1}", "8 a:b#r@s:t"],
    );
    // A quote that nobody closes costs its own line and no other.
    reads(
        Csv,
        format!(
            "{header}\"a:b,r,s:t,,\na:c,r,s:t,,\na:d,r,\"s:t,,\na:e,r,\"s:t\",,\na:f,\"r\"x,s:t,,\na:g,r,s:t,c,\"{{\n\
             a:h,r,s:t,,\n"
        ),
        &[
            "2 ! a quote is not closed: double the quotes within a quoted value",
            "3 a:c#r@s:t",
            "4 ! a quote is not closed",
            "5 a:e#r@s:t",
            "6 ! a closing quote is followed by text: double the quotes within a quoted value",
            "7 ! a quote is not closed",
            "8 a:h#r@s:t",
        ],
    );
}

#[test]
fn bad_lines_of_csv_do_not_derail_the_following_ones() {
    reads(
        Csv,
        b"user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
          user,anne,,viewer,voice,7,,,\nuser,anne\nuser,\xff,,viewer,voice,7,,\n,anne,,viewer,voice,7,,\n\
          user,an ne,,viewer,voice,7,,\nuser,*,r,viewer,voice,7,,\nuser,anne,,viewer,voice,*,,\n\
          user,anne,,viewer,voice,7,,{}\nuser,anne,,viewer,voice,7,c,[]\nuser,anne,,viewer,voice,7,,\n",
        &[
            "2 ! has 9 columns, the header has 8: quote a value that holds a comma",
            "3 ! has 2 columns, the header has 8",
            "4 ! is not UTF-8",
            "5 ! subject type is empty in `:anne`",
            "6 ! subject id contains a space in `user:an ne`",
            "7 ! subject mixes a userset and a wildcard in `user:*#r`",
            "8 ! object id is a wildcard in `voice:*`",
            "9 ! context `{}` is given without a condition: name the condition too",
            "10 ! condition context is not a JSON object in `[]`",
            "11 voice:7#viewer@user:anne",
        ],
    );
}

#[test]
fn a_header_that_tells_nothing_is_the_only_bad_line() {
    for (header, reason) in [
        ("", "1 ! the file is empty: begin the file with `object,relation,subject`"),
        ("object,role,subject\nx", "1 ! column `role` is unknown: begin the file with"),
        ("\n\nobject,subject\nx", "3 ! column `relation` is missing"),
        ("object,relation,subject,object\nx", "1 ! column `object` is there twice"),
        ("object,relation,subject,user_id\nx", "1 ! columns `subject` and `user_id` say the same"),
        ("a:b,c,d:e\nx", "1 ! column `a:b` is unknown"),
        ("\"object\nx", "1 ! a quote is not closed"),
    ] {
        reads(Csv, header, &[reason]);
    }
}

#[test]
fn json_lines() {
    reads(
        JsonLines,
        "\u{feff}{\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice:7\"}\r\n\n \
         {\"object\":\"voice:\\u0037\\\"\",\"relation\":\"viewer\",\"subject\":\"org:a#admin\",\
         \"condition\":{\"name\":\"c\",\"context\":{\"b\":1,\"a\":[]}},\"expires_at\":\"2030-01-01T00:00:00Z\"}\n\
         {\"key\":{\"user\":\"user:*\",\"relation\":\"viewer\",\"object\":\"voice:7\",\"condition\":null},\
         \"timestamp\":\"2026-01-01T00:00:00Z\"}\n\
         {\"user\":\"user:x\",\"relation\":\"viewer\",\"object\":\"voice:7\",\"condition\":{\"name\":\"\",\"context\":null}}",
        &[
            "1 voice:7#viewer@user:anne",
            "3 voice:7\"#viewer@org:a#admin with c {\"a\":[],\"b\":1} until 2030-01-01T00:00:00Z",
            "4 voice:7#viewer@user:*",
            "5 voice:7#viewer@user:x",
        ],
    );
    reads(
        JsonLines,
        b"nonsense\n{\"object\":\"a:b\"}\n{\"object\":\"a:b\",\"relation\":\"r\",\"user\":\"u:v\",\"more\":1}\n\
          {\"object\":\"a\",\"relation\":\"r\",\"user\":\"u:v\"}\n{\"object\":\"\xff\"}\n[]\n\
          {\"object\":\"a:b\",\"relation\":7,\"user\":\"u:v\"}\n\
          {\"object\":\"a:b\",\"relation\":\"r\",\"user\":\"u:v\",\"expires_at\":\"noon\"}\n\
          {\"object\":\"a:b\",\"relation\":\"r\",\"user\":\"u:v\"} x\n\
          {\"object\":\"a:b\",\"object\":\"a:c\",\"relation\":\"r\",\"user\":\"u:v\"}\n\
          {\"key\":{\"object\":\"a:b\",\"relation\":\"r\",\"user\":\"u:v\"},\"user\":\"u:w\"}\n",
        &[
            "1 ! expected ident at column 2: write {\"object\":\"voice:7\",",
            "2 ! missing field `user`: write",
            "3 ! unknown field `more`",
            "4 ! object has no `:` in `a`",
            "5 ! is not UTF-8",
            "6 ! ",
            "7 ! invalid type: integer `7`, expected a string",
            "8 ! `noon` is not a time",
            "9 ! trailing characters at column 46",
            "10 ! duplicate field `object`",
            "11 ! has `key` beside other fields of a tuple",
        ],
    );
}

/// A context may be nested as deep as the JSON reader follows; in an entry it stands deeper.
#[test]
fn a_context_of_any_depth_it_can_have() {
    let context = format!("{{\"a\":{}{}}}", "[".repeat(126), "]".repeat(126));
    let tuple = format!("a:b#c@d:e with f {context}");
    let text = format!(
        "{{\"object\":\"a:b\",\"relation\":\"c\",\"user\":\"d:e\",\"condition\":{{\"name\":\"f\",\"context\":{context}}}}}"
    );
    reads(Text, &tuple, &[&format!("1 {tuple}")]);
    reads(JsonLines, text, &[&format!("1 {tuple}")]);
    let deep = "{\"a\":".repeat(200_000);
    reads(
        JsonLines,
        format!("{{\"condition\":{{\"name\":\"f\",\"context\":{deep}"),
        &["1 ! recursion limit"],
    );
}

/// Lines are read where they are wanted, also by a thread of their own.
#[test]
fn a_reader_can_be_sent() {
    fn is_send<T: Send>() {}
    is_send::<stonetown::bulk::TupleLines>();
}
