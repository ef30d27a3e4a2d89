//! The command: its forms, what it holds against a schema, and what it refuses.

use std::fs;

use super::{SYSTEMS, run, run_system, schema};

#[test]
fn the_committed_matrices_agree_with_their_schemas() {
    for (name, _) in SYSTEMS {
        let table = schema(&format!("{name}.matrix.md"));
        let (code, out, err) = run_system(name, &["--check", table.to_str().unwrap()]);
        assert_eq!((code, &*err), (Some(0), ""), "{name}: {out}");
        assert!(out.ends_with(" cells agree\n"), "{name}: {out}");
        let (_, made, _) = run_system(name, &["--as", "markdown"]);
        let committed = fs::read_to_string(&table).unwrap();
        assert_eq!(made, committed, "{name}.matrix.md is not as it is printed");
        assert!(!committed.contains("more…"), "{name}: a cell is not finished");
    }
}

#[test]
fn every_form_that_can_be_committed_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    for (form, extension) in [("markdown", "md"), ("csv", "csv"), ("json", "json")] {
        for (name, _) in SYSTEMS {
            let file = directory.path().join(format!("{name}.{extension}"));
            fs::write(&file, run_system(name, &["--as", form]).1).unwrap();
            let (code, out, err) = run_system(name, &["--check", file.to_str().unwrap()]);
            assert_eq!((code, &*err), (Some(0), ""), "{name} as {form}: {out}");
        }
    }
    for extension in ["svg", "txt"] {
        let file = directory.path().join(format!("table.{extension}"));
        fs::write(&file, "").unwrap();
        let (code, _, err) = run_system("fastpix", &["--check", file.to_str().unwrap()]);
        assert_eq!(code, Some(2));
        assert!(err.contains("ends in .md, .csv or .json"), "{err}");
    }
}

#[test]
fn a_picture_is_well_formed() {
    let (_, svg, _) = run_system("audiostack", &["--as", "svg"]);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
    let texts = svg.split('>').filter(|part| part.ends_with("</text"));
    let texts: Vec<&str> = texts.map(|part| part.trim_end_matches("</text")).collect();
    assert!(texts.contains(&"voice.org.parent.admin") && texts.contains(&"with org.user"), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains('<')));
}

/// One `or` turned into `and`, in a copy: every cell that changes is named, and no other.
#[test]
fn a_turned_operator_is_named_by_the_cells_that_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let turns = [
        ("live-studio", "define producer: [user] or admin", "define producer: [user] and admin"),
        ("fastpix", "define anyone: admin or member", "define anyone: admin and member"),
        ("artstash", "define user: regular or admin", "define user: regular and admin"),
        (
            "audiostack",
            "define can_access_all_content: admin or overseer",
            "define can_access_all_content: admin and overseer",
        ),
        ("studio", "define operator: staff or superuser", "define operator: staff and superuser"),
    ];
    for (name, right, wrong) in turns {
        let text = fs::read_to_string(schema(&format!("{name}.fga"))).unwrap();
        assert_eq!(text.matches(right).count(), 1, "{name}");
        let file = directory.path().join(format!("{name}.fga"));
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let given = SYSTEMS.iter().find(|(known, _)| *known == name).unwrap().1.map(schema);
        let table = schema(&format!("{name}.matrix.md"));
        let (code, out, err) = run(&file, given.as_deref(), &["--check", table.to_str().unwrap()]);
        assert_eq!((code, &*err), (Some(1), ""), "{name}");
        let cells =
            |csv: String| csv.lines().map(ToOwned::to_owned).collect::<std::collections::BTreeSet<_>>();
        let before = cells(run_system(name, &["--as", "csv"]).1);
        let after = cells(run(&file, given.as_deref(), &["--as", "csv"]).1);
        let changed = before.difference(&after).count();
        assert!(changed > 0 && before.len() == after.len(), "{name}");
        assert_eq!(out.lines().count(), changed, "{name}: {out}");
        if name == "live-studio" {
            let line = "studio studio.admin can_control_production: committed `yes`, now `with producer`";
            assert!(out.lines().any(|it| it == line), "{out}");
            assert!(!out.contains("can_manage_billing"), "{out}");
        }
    }
}

#[test]
fn rows_and_columns_that_come_and_go_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(schema("live-studio.fga")).unwrap();
    let file = directory.path().join("model.fga");
    let changed = text
        .replace("define can_transfer_ownership: owner", "define can_give_away: owner")
        .replace("define viewer_chat: [user:*]", "define viewer_chat: [user:*]\n    define guest: [user]");
    fs::write(&file, changed).unwrap();
    let (code, out, _) = run(&file, None, &["--check", schema("live-studio.matrix.md").to_str().unwrap()]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "studio can_give_away (column): committed nothing, now `6 cells`",
            "studio studio.guest (row): committed nothing, now `15 cells`",
            "studio can_transfer_ownership (column): committed `5 cells`, now nothing",
        ]
    );
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, err) = run_system("fastpix", &["--type", "workspac"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("there is no type `workspac`") && err.contains("`workspace`"), "{err}");
    let cases = [
        ("a.md", "| role | can_view |\n|---|---|\n", "line 1: a table without a heading"),
        (
            "b.md",
            "## media\n\n| role | can_view |\n|---|---|\n| media.x |\n",
            "line 5: the row `media.x` has 0 cells",
        ),
        ("c.md", "nothing\n", "has no table"),
        ("d.csv", "a,b\n", "line 1: the columns have to be `type,role,permission,cell`"),
        ("e.json", "{}", "a list of tables"),
    ];
    for (name, text, problem) in cases {
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();
        let (code, _, err) = run_system("fastpix", &["--check", file.to_str().unwrap()]);
        assert_eq!(code, Some(3), "{name}: {err}");
        assert!(err.contains(name) && err.contains(problem), "{err}");
    }
}
