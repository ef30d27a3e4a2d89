//! The schema language from outside: problems as people see them, the layout, the schemas of the project, OpenFGA's
//! messages, hostile input.
//!
//! `UPDATE_GOLDEN=1` writes the expected files anew; read what changed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stonetown::schema::{
    Limits, MANIFEST_NAME, ProblemCode, Problems, RelationIndex, RestrictionShape, Rewrite, Schema, Severity,
    Tree, read_json, read_json_within, read_modules_within, read_schema, read_schema_within,
};

#[test]
fn every_problem_is_shown_at_its_place() {
    let mut missing: BTreeSet<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    let files = inputs("tests/schema/problems", &["fga", "json", "mod"]);
    assert!(files.len() > 60, "{} files", files.len());
    for file in files {
        let problems = problems_of(&file);
        for problem in &problems {
            missing.remove(problem.code.as_str());
            check_wording(&file, &problem.message);
            check_wording(&file, problem.help.as_deref().unwrap_or_default());
        }
        let wire = problems.openfga_message().unwrap_or("nothing");
        let text = format!("{}\n\n{problems}\n\nOpenFGA says: {wire}\n", problems.render(false));
        golden(&file.with_extension("txt"), &text);
    }
    assert!(missing.is_empty(), "no example of {missing:?}");
}

/// The problems of an example, or, when it has only warnings, those.
fn problems_of(file: &Path) -> Problems {
    let text = |file: &Path| fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let limits = limits_of(file.file_stem().unwrap().to_str().unwrap());
    let read = match file.extension().unwrap().to_str().unwrap() {
        "json" => read_json_within(name, &serde_json::from_str(&text(file)).unwrap(), &limits),
        // A folder with a manifest.
        "mod" => {
            let mut read = |name: &str| fs::read_to_string(file.join(name));
            read_modules_within(MANIFEST_NAME, &text(&file.join(MANIFEST_NAME)), &mut read, &limits)
        }
        _ => read_schema_within(name, &text(file), &limits),
    };
    match read {
        Ok((tree, _)) => {
            let problems = tree.check();
            assert!(!problems.has_errors() && !problems.is_empty(), "{name} is right");
            problems
        }
        Err(problems) => {
            assert!(problems.has_errors(), "{name} has only warnings");
            problems
        }
    }
}

/// Some mistakes are about limits: their examples have low ones.
fn limits_of(example: &str) -> Limits {
    let limits = Limits::default();
    match example {
        "text-too-large" => Limits { text_bytes_max: 400, ..limits },
        "model-too-large" => Limits { model_bytes_max: 60, ..limits },
        "too-many-types" => Limits { types_max: 2, ..limits },
        "too-many-problems" => Limits { problems_max: 5, ..limits },
        "nesting-too-deep" | "json-nesting" => Limits { nesting_max: 2, ..limits },
        _ => limits,
    }
}

fn check_wording(file: &Path, text: &str) {
    let first = text.trim_start_matches('`').chars().next();
    let begins_lower = text.starts_with('`') || first.is_none_or(|c| !c.is_uppercase());
    assert!(begins_lower && !text.ends_with('.'), "{}: {text}", file.display());
}

#[test]
fn one_run_reports_all_mistakes_of_form_and_of_meaning() {
    let text = fs::read_to_string("tests/schema/problems/five-mistakes.fga").unwrap();
    let problems = read_schema("five.fga", &text).unwrap_err();
    let found: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
    let expected =
        ["unknown-type", "missing-colon", "mixed-operators", "unknown-relation", "unknown-arrow-target"];
    assert_eq!(found, expected);
}

#[test]
fn layouts() {
    for file in inputs("tests/schema/layout", &["fga"]) {
        let text = fs::read_to_string(&file).unwrap();
        let tree = Tree::parse("in.fga", &text).unwrap();
        let printed = tree.print().unwrap();
        golden(&file.with_extension("out"), &printed);
        let again = Tree::parse("out.fga", &printed).unwrap();
        assert_eq!(again, tree, "{}", file.display());
        assert_eq!(again.print().unwrap(), printed, "{}", file.display());
        assert_eq!(comments(&printed), comments(&text), "{}", file.display());
    }
}

/// The comments of a text, in order.
fn comments(text: &str) -> Vec<String> {
    let comment = |line: &str| match line.trim_start().starts_with('#') {
        true => Some(line.trim().to_string()),
        false => line.find(" #").map(|at| line[at..].trim().to_string()),
    };
    text.lines().filter_map(comment).collect()
}

#[test]
fn the_schemas_of_the_project_are_right_and_laid_out() {
    let files = inputs("schema", &["fga"]);
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let name = file.display().to_string();
        let (tree, schema) =
            read_schema(&name, &text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        assert!(tree.check().is_empty(), "{}", tree.check().render(false));
        assert!(schema.types().len() > 0, "{name}");
        let printed = tree.print().unwrap();
        assert_eq!(Tree::parse(&name, &printed).unwrap(), tree, "{name}");
        assert_eq!(Tree::parse(&name, &printed).unwrap().print().unwrap(), printed, "{name}");
        let (from_json, _) = read_json(&name, &tree.to_json()).unwrap();
        assert_eq!(from_json.to_json(), tree.to_json(), "{name}");
    }
}

#[test]
fn json_has_every_default_written_out() {
    let text = "model\n  schema 1.1\n\ntype user\n\ntype group\n  relations\n    define member: [user]\n\ntype doc\n  relations\n    define parent: [doc]\n    define editor: [user]\n    define viewer: [user:*, group#member] or editor or viewer from parent\n    define reader: viewer but not editor\n";
    let tree = Tree::parse("doc.fga", text).unwrap();
    let entry = |restrictions: Value| json!({"directly_related_user_types": restrictions, "module": "", "source_info": null});
    let computed = |relation: &str| json!({"computedUserset": {"object": "", "relation": relation}});
    let user = json!([{"type": "user", "condition": ""}]);
    let expected = json!({
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "user", "relations": {}, "metadata": null},
            {
                "type": "group",
                "relations": {"member": {"this": {}}},
                "metadata": {"relations": {"member": entry(user.clone())}, "module": "", "source_info": null},
            },
            {
                "type": "doc",
                "relations": {
                    "parent": {"this": {}},
                    "editor": {"this": {}},
                    "viewer": {"union": {"child": [{"this": {}}, computed("editor"), {"tupleToUserset": {
                        "tupleset": {"object": "", "relation": "parent"},
                        "computedUserset": {"object": "", "relation": "viewer"},
                    }}]}},
                    "reader": {"difference": {"base": computed("viewer"), "subtract": computed("editor")}},
                },
                "metadata": {
                    "relations": {
                        "parent": entry(json!([{"type": "doc", "condition": ""}])),
                        "editor": entry(user),
                        "viewer": entry(json!([
                            {"type": "user", "wildcard": {}, "condition": ""},
                            {"type": "group", "relation": "member", "condition": ""},
                        ])),
                        "reader": entry(json!([])),
                    },
                    "module": "",
                    "source_info": null,
                },
            },
        ],
        "conditions": {},
    });
    assert_eq!(tree.to_json(), expected);
}

#[test]
fn json_may_leave_out_and_may_spell_in_two_ways() {
    let short = json!({
        "schema_version": "1.1",
        "unknown": 1,
        "type_definitions": [
            {"type": "user"},
            {"type": "group", "relations": {"member": {"this": {}}}, "metadata": {"relations": {
                "member": {"directly_related_user_types": [{"type": "user", "relation": "", "wildcard": null, "condition": null}]},
                "gone": {"directly_related_user_types": [{"type": "nothing"}]},
            }}},
            {
                "type": "doc",
                "relations": {
                    "parent": {"this": {}, "union": null},
                    "viewer": {"tuple_to_userset": {"tupleset": {"relation": "parent"}, "computed_userset": {"object": "", "relation": "member"}}},
                    "reader": {"computed_userset": {"relation": "viewer"}},
                },
                "metadata": {"relations": {"parent": {"directly_related_user_types": [{"type": "group"}]}}, "source_info": {"file": "core.fga"}, "module": "core"},
            },
        ],
        "conditions": null,
    });
    let (tree, schema) = read_json("short", &short).unwrap();
    assert_eq!(relation(&schema, "doc", "reader").1, Rewrite::Computed(relation(&schema, "doc", "viewer").0));
    assert!(matches!(relation(&schema, "doc", "viewer").1, Rewrite::Arrow(_)));
    let long = tree.to_json();
    assert_eq!(long["type_definitions"][2]["metadata"]["module"], "core");
    assert_eq!(long["type_definitions"][2]["metadata"]["source_info"], json!({"file": "core.fga"}));
    assert_eq!(long["type_definitions"][2]["metadata"]["relations"].as_object().unwrap().len(), 1);
    assert_eq!(Tree::from_json(&long).unwrap(), tree);
}

#[test]
fn what_only_json_can_say_is_resolved_and_not_printed() {
    let value = json!({"schema_version": "1.1", "type_definitions": [{"type": "user"}, {
        "type": "doc",
        "relations": {
            "blocked": {"this": {}},
            "late": {"union": {"child": [{"computedUserset": {"relation": "blocked"}}, {"this": {}}]}},
            "viewer": {"difference": {"base": {"computedUserset": {"relation": "blocked"}}, "subtract": {"this": {}}}},
        },
        "metadata": {"relations": {
            "blocked": {"directly_related_user_types": [{"type": "user"}]},
            "late": {"directly_related_user_types": [{"type": "user"}]},
            "viewer": {"directly_related_user_types": [{"type": "user"}]},
        }},
    }]});
    let (tree, schema) = read_json("model", &value).unwrap();
    let blocked = Rewrite::Computed(relation(&schema, "doc", "blocked").0);
    assert_eq!(
        relation(&schema, "doc", "viewer").1,
        Rewrite::Exclusion(blocked.into(), Rewrite::Direct.into())
    );
    let error = tree.print().unwrap_err();
    assert_eq!(error.to_string(), "the definition of `doc#viewer` cannot be written in the schema language");
    let mut printable = value;
    printable["type_definitions"][1]["relations"]["viewer"] = json!({"this": {}});
    let printed = Tree::from_json(&printable).unwrap().print().unwrap();
    assert!(printed.contains("define late: [user] or blocked\n"), "{printed}");
}

fn relation(schema: &Schema, object_type: &str, name: &str) -> (RelationIndex, Rewrite) {
    let object_type = schema.type_named(object_type).unwrap();
    let index = schema.relation_named(object_type, name).unwrap();
    (index, schema.relation_at(index).rewrite.clone())
}

#[test]
fn a_schema_is_resolved_to_numbers() {
    let text = "model\n  schema 1.2\n\ntype user\n\ntype folder\n  relations\n    define viewer: [user, user]\n\ntype doc\n  relations\n    define parent: [folder, doc, user]\n    define viewer: [user, user:*, folder#viewer] or viewer from parent\n";
    let (tree, schema) = read_schema("doc.fga", text).unwrap();
    assert_eq!(tree.check().iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Warning]);
    let (folder, doc) = (schema.type_named("folder").unwrap(), schema.type_named("doc").unwrap());
    let (folder_viewer, _) = relation(&schema, "folder", "viewer");
    let (viewer, rewrite) = relation(&schema, "doc", "viewer");
    assert_eq!(schema.relation_at(folder_viewer).restrictions.len(), 1);
    assert_eq!(schema.relation_text(viewer), "doc#viewer");
    assert_eq!(schema.relation_at(viewer).restrictions[2].shape, RestrictionShape::Userset(folder_viewer));
    let Rewrite::Union(operands) = rewrite else { panic!("no union") };
    let Rewrite::Arrow(arrow) = &operands[1] else { panic!("no arrow") };
    assert_eq!(arrow.tupleset, relation(&schema, "doc", "parent").0);
    assert_eq!(&*arrow.target_name, "viewer");
    assert_eq!(arrow.targets, [(folder, folder_viewer), (doc, viewer)]);
}

/// OpenFGA refuses this one for a loop that is none: its walk takes what one branch has visited for a way back.
#[test]
fn a_relation_reached_over_two_branches_is_no_loop() {
    let text = "model\n  schema 1.1\n\ntype user\n\ntype doc\n  relations\n    define owner: [user]\n    define editor: owner\n    define viewer: editor\n    define both: viewer and editor\n    define alias: both\n";
    read_schema("doc.fga", text).unwrap();
}

#[test]
fn problems_can_be_read_by_machines() {
    let problems = read_schema("doc.fga", "model\n  schema 1.1\ntype user\ntype user\n").unwrap_err();
    let expected = json!([{
        "code": "duplicate-type",
        "severity": "error",
        "message": "the type `user` is already defined",
        "place": {"source": "doc.fga", "line": 4, "column": 6, "end_line": 4, "end_column": 10, "start": 34, "end": 38},
        "label": null,
        "others": [{"text": "first defined here", "place": {"source": "doc.fga", "line": 3, "column": 6, "end_line": 3, "end_column": 10, "start": 24, "end": 28}}],
        "help": null,
    }]);
    assert_eq!(problems.to_json(), expected);
    let problems =
        read_json("body", &json!({"schema_version": "1.1", "type_definitions": [{"type": 1}]})).unwrap_err();
    assert_eq!(problems.to_json()[0]["place"], json!({"source": "body", "path": "type_definitions[0].type"}));
    assert_eq!(
        problems.plain().lines().next().unwrap(),
        "body: type_definitions[0].type: json-type: expected a string, found a number"
    );
}

#[test]
fn openfga_messages() {
    let table = fs::read_to_string("tests/schema/openfga_messages.json").unwrap();
    let table: Value = serde_json::from_str(&table).unwrap();
    for case in table.as_array().unwrap() {
        let mut model = json!({"schema_version": "1.1", "type_definitions": case["types"]});
        for field in ["schema_version", "conditions"] {
            if let Some(value) = case.get(field) {
                model[field] = value.clone();
            }
        }
        let problems = read_json("model", &model).map(|_| ()).unwrap_err();
        let found =
            problems.openfga_error().unwrap_or_else(|| panic!("{}: nothing for {problems}", case["name"]));
        assert_eq!(found.message, case["message"].as_str().unwrap(), "{}", case["name"]);
        let code = case.get("code").and_then(Value::as_str).unwrap_or("invalid_authorization_model");
        assert_eq!(found.code, code, "{}", case["name"]);
    }
}

#[test]
fn openfga_limits() {
    let types: Vec<Value> = (0..101).map(|number| json!({"type": format!("t{number}")})).collect();
    let model = json!({"schema_version": "1.1", "type_definitions": types});
    let problems = read_json("model", &model).map(|_| ()).unwrap_err();
    let error = problems.openfga_error().unwrap();
    assert_eq!(error.code, "exceeded_entity_limit");
    assert_eq!(
        error.message,
        "The number of type definitions in an authorization model exceeds the allowed limit of 100"
    );
    let limits = Limits { model_bytes_max: 100, types_max: 200, ..Limits::default() };
    let problems = read_json_within("model", &model, &limits).map(|_| ()).unwrap_err();
    let error = problems.openfga_error().unwrap();
    // 26 for the id and 3 for the version, both with their heads, and a head for each type and for its name.
    let bytes = 28 + 5 + (10 * 2 + 90 * 3 + 4) + 101 * 4;
    assert_eq!(error.message, format!("model exceeds size limit: {bytes} bytes vs 100 bytes"));
}

#[test]
fn hostile_texts_are_refused_and_harm_nothing() {
    let relation =
        |definition: &str| format!("model\n  schema 1.1\ntype user\n  relations\n    define a: {definition}");
    let hostile = [
        relation(&"(".repeat(100_000)),
        relation(&format!("[user] or {}a{}", "(".repeat(100_000), ")".repeat(100_000))),
        relation(&"[".repeat(100_000)),
        relation(&format!("[{}", "user,\n".repeat(50_000))),
        relation(&"or ".repeat(100_000)),
        relation(&"\u{0}".repeat(10_000)),
        relation(&"# ".repeat(100_000)),
        "x\n".repeat(100_000),
        "condition c(x: int) {\n".repeat(10_000),
        format!("model\n  schema 1.1\ncondition c(x: int) {{\n{}", "\"\"\"\n".repeat(50_001)),
        "é".repeat(100_000),
        "\r".repeat(100_000),
        "\u{feff}".to_string(),
        "a".repeat(2 * 1024 * 1024),
    ];
    for text in hostile {
        let problems = read_schema("hostile.fga", &text).map(|_| ()).unwrap_err();
        assert!(problems.len() <= Limits::default().problems_max + 1);
        assert!(!problems.render(false).is_empty());
        assert!(!problems.plain().is_empty());
    }
}

#[test]
fn parentheses_up_to_the_limit_are_read() {
    let most = Limits::default().nesting_max;
    let text = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        format!("model\n  schema 1.1\n\ntype user\n  relations\n    define a: {open}[user]{close}\n")
    };
    let (tree, _) = read_schema("deep.fga", &text(most)).unwrap();
    assert!(tree.print().unwrap().contains("define a: [user]\n"));
    let problems = read_schema("deep.fga", &text(most + 1)).map(|_| ()).unwrap_err();
    assert_eq!(
        problems.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        [ProblemCode::NestingTooDeep]
    );
}

#[test]
fn rewrites_nested_too_deep_in_json_are_refused() {
    let mut rewrite = json!({"this": {}});
    for _ in 0..500 {
        rewrite = json!({"union": {"child": [{"this": {}}, rewrite]}});
    }
    let model =
        json!({"schema_version": "1.1", "type_definitions": [{"type": "user", "relations": {"a": rewrite}}]});
    let problems = read_json("model", &model).map(|_| ()).unwrap_err();
    assert_eq!(problems.iter().next().unwrap().code, ProblemCode::NestingTooDeep);
}

#[test]
fn long_chains_of_relations_are_walked_without_recursion() {
    let mut text = "model\n  schema 1.1\n\ntype user\n  relations\n    define a0: [user]\n".to_string();
    for number in 1..4000 {
        text.push_str(&format!("    define a{number}: a{}\n", number - 1));
    }
    let (_, schema) = read_schema("chain.fga", &text).unwrap();
    let (last, _) = relation(&schema, "user", "a3999");
    let (first, _) = relation(&schema, "user", "a0");
    assert_eq!(schema.graph().affected_by(first).len(), 4000);
    assert_eq!(schema.graph().entries(schema.type_named("user").unwrap(), last).len(), 1);
    let broken = text.replace("define a0: [user]", "define a0: a3999");
    let problems = read_schema("chain.fga", &broken).map(|_| ()).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [ProblemCode::RewriteCycle]);
}

/// The files of a folder with one of the extensions, in order.
fn inputs(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension().and_then(|found| found.to_str()).is_some_and(|found| extensions.contains(&found))
    });
    files.sort();
    files
}

fn golden(file: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(found, expected, "{} (UPDATE_GOLDEN=1 writes it anew)", file.display());
}
