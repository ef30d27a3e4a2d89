use std::collections::BTreeMap;
use std::fs;

use super::files::file;
use stonetown::bulk::{BadLines, BadLinesPolicy, Format, Input, Next, Position, TupleLines};

/// Mistakes, each of another kind, with a part of what is told.
const MISTAKES: [(&str, &str); 10] = [
    ("voice:~,viewer", "has 2 columns, the header has 6"),
    ("voice ~,viewer,user:anne,,,", "object has no `:` in `voice ~`"),
    ("voice:~,vie wer,user:anne,,,", "relation contains a space"),
    ("voice:~,viewer,anne,,,", "subject has no `:`"),
    ("voice:~,viewer,org:*#admin,,,", "subject mixes a userset and a wildcard"),
    ("voice:~,viewer,user:anne,c,{,", "condition context is not JSON"),
    ("voice:~,viewer,user:anne,,{},", "is given without a condition"),
    ("voice:~,viewer,user:anne,,,soon", "`soon` is not a time"),
    ("\"voice:~,viewer,user:anne,,,", "a quote is not closed"),
    ("voice:~,viewer,user:\u{1},,,", "subject id contains a control character"),
];

#[test]
fn a_thousand_bad_lines_of_ten_kinds_are_each_reported() {
    let mut content = "object,relation,subject,condition,context,expires_at\n".to_owned();
    let mut expected = BTreeMap::new();
    for n in 0..100_000_u64 {
        if n % 100 == 37 {
            let (mistake, reason) = MISTAKES[(n / 100 % 10) as usize];
            let line = mistake.replace('~', &n.to_string());
            expected.insert(n + 2, (reason.replace('~', &n.to_string()), line.clone()));
            content += &line;
            content.push('\n');
        } else {
            content += &format!("voice:{n},viewer,user:u{n},,,\n");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("bad.jsonl");
    let mut bad = BadLines::new(BadLinesPolicy::Report(report.clone()));
    bad.begin(false).unwrap();
    let file = file(content);
    let mut lines =
        TupleLines::open(&Input::new(file.path(), Some(Format::Csv)).unwrap(), Position::default()).unwrap();
    let mut good = 0;
    while let Some(line) = lines.next().unwrap() {
        match &line.tuple {
            Ok(_) => good += 1,
            Err(reason) => assert_eq!(bad.take("t.csv", line.line, reason, line.text).unwrap(), Next::GoOn),
        }
    }
    bad.flush().unwrap();
    assert_eq!((good, bad.total()), (99_000, 1_000));
    let reported = fs::read_to_string(&report).unwrap();
    assert_eq!(reported.lines().count(), 1_000);
    for (found, (line, (reason, text))) in reported.lines().zip(&expected) {
        let found: serde_json::Value = serde_json::from_str(found).unwrap();
        assert_eq!((found["file"].as_str(), found["line"].as_u64()), (Some("t.csv"), Some(*line)));
        assert!(found["reason"].as_str().unwrap().contains(reason.as_str()), "{found}: {reason}");
        assert_eq!(found["text"].as_str(), Some(&**text));
    }
    assert_eq!(bad.shown().len(), 20);
    assert!(bad.shown()[0].starts_with("t.csv: line 39: has 2 columns"));
    assert_eq!(bad.kinds().len(), 10, "{:?}", bad.kinds());
    assert!(bad.kinds().iter().all(|(_, count)| *count == 100));
    assert!(bad.kinds().iter().any(|(kind, _)| *kind == "relation contains a space"));
}

#[test]
fn a_report_is_begun_anew_or_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("bad.jsonl");
    let long = "x".repeat(70_000);
    for (go_on, lines) in [(false, 3), (true, 6), (false, 3)] {
        let mut bad = BadLines::new(BadLinesPolicy::Report(report.clone()));
        bad.begin(go_on).unwrap();
        let file = file(format!("{long}\n\nnonsense"));
        let input = Input::new(file.path(), Some(Format::Text)).unwrap();
        let mut read = TupleLines::open(&input, Position::default()).unwrap();
        while let Some(line) = read.next().unwrap() {
            let Err(reason) = &line.tuple else { panic!("a tuple") };
            let _ = bad.take("a", line.line, reason, line.text).unwrap();
        }
        let reason = super::files::read(Format::Text, b"\xff")[0].tuple.clone().unwrap_err();
        assert!(reason.contains("UTF-8"));
        let binary = TupleLines::open(
            &Input::new(super::files::file(b"\xff").path(), Some(Format::Text)).unwrap(),
            Position::default(),
        );
        let mut binary = binary.unwrap();
        let line = binary.next().unwrap().unwrap();
        let _ = bad.take("b", line.line, &line.tuple.unwrap_err(), line.text).unwrap();
        bad.flush().unwrap();
        let written = fs::read_to_string(&report).unwrap();
        assert_eq!(written.lines().count(), lines);
        // What is long or is no text is not repeated.
        let texts: Vec<bool> = written.lines().map(|line| line.contains("\"text\"")).collect();
        assert_eq!(texts[texts.len() - 3..], [false, true, false]);
    }
}

#[test]
fn other_policies() {
    let reason = |content: &str| {
        let file = file(content);
        let input = Input::new(file.path(), Some(Format::Text)).unwrap();
        let mut lines = TupleLines::open(&input, Position::default()).unwrap();
        lines.next().unwrap().unwrap().tuple.unwrap_err()
    };
    let reason = reason("nonsense");
    for (policy, next) in [(BadLinesPolicy::Stop, Next::Stop), (BadLinesPolicy::Skip, Next::GoOn)] {
        let mut bad = BadLines::new(policy);
        bad.begin(false).unwrap();
        assert_eq!(bad.take("f", 1, &reason, b"nonsense").unwrap(), next);
        assert_eq!(bad.kinds(), [("tuple has no `#` before its relation", 1)]);
    }
    assert!(BadLines::new(BadLinesPolicy::Report("/nowhere/bad".into())).begin(false).is_err());
}
