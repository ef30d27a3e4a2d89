//! Modular schemas from outside: merging, what is said of every definition, printing, limits. What is wrong with one is
//! in `tests/schema/problems/*.mod`.
//!
//! `UPDATE_GOLDEN=1` writes the expected files anew; read what changed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use stonetown::schema::tree::{Name, TypeDefinition};
use stonetown::schema::{
    Limits, MANIFEST_NAME, ProblemCode, Problems, RestrictionShape, Rewrite, Schema, Tree, module_file_name,
    read_manifest, read_modules, read_modules_within, read_schema,
};

const OFFICE: &str = "tests/schema/modules/office";

/// Four files, which use about everything that files of modules can have.
fn office() -> (Tree, Schema) {
    let manifest = fs::read_to_string(format!("{OFFICE}/fga.mod")).unwrap();
    let mut read = |name: &str| fs::read_to_string(Path::new(OFFICE).join(name));
    read_modules(MANIFEST_NAME, &manifest, &mut read)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

/// Reads files from memory, the manifest first.
fn read(files: &[(&str, &str)]) -> Result<(Tree, Schema), Problems> {
    read_within(files, &Limits::default())
}

fn read_within(files: &[(&str, &str)], limits: &Limits) -> Result<(Tree, Schema), Problems> {
    let texts: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut read = |name: &str| {
        texts.get(name).map(|text| text.to_string()).ok_or(io::Error::from(io::ErrorKind::NotFound))
    };
    read_modules_within(files[0].0, files[0].1, &mut read, limits)
}

fn codes(problems: &Problems) -> Vec<ProblemCode> {
    problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn merged_files_are_one_schema_that_says_where_each_definition_came_from() {
    let (tree, schema) = office();
    let merged = serde_json::to_string_pretty(&tree.to_json()).unwrap();
    golden(Path::new("tests/schema/modules/office.json"), &format!("{merged}\n"));
    let stored = Tree::from_json(&tree.to_json()).unwrap();
    assert_eq!(stored.to_json(), tree.to_json());
    let shown = stored.with_module_comments().print().unwrap();
    golden(Path::new("tests/schema/modules/office.shown.fga"), &shown);
    // What is shown can be read: as a schema of one file, without modules.
    let (again, resolved) = read_schema("shown.fga", &shown).unwrap();
    assert_eq!(describe(&resolved), describe(&schema));
    assert_eq!(without_modules(&again), without_modules(&tree));
    assert_eq!(again.print().unwrap(), shown);
}

#[test]
fn every_file_is_printed_as_it_is_laid_out() {
    let manifest = fs::read_to_string(format!("{OFFICE}/fga.mod")).unwrap();
    let files = read_manifest(MANIFEST_NAME, &manifest).unwrap();
    assert_eq!(files, ["teams/board.fga", "core.fga", "teams/wiki.fga", "teams/late.fga"]);
    for file in files {
        let file = module_file_name(&format!("{OFFICE}/fga.mod"), &file);
        let text = fs::read_to_string(&file).unwrap();
        let tree = Tree::parse(&file, &text).unwrap();
        assert_eq!(tree.print().unwrap(), text, "{file}");
        let crooked = text.replace("    define", "  define").replace(": ", " :  ").replace("\n\n", "\n\n\n");
        let printed = Tree::parse(&file, &crooked).unwrap().print().unwrap();
        assert_eq!(printed, text, "{file}");
    }
}

#[test]
fn a_schema_that_is_not_modular_is_shown_as_it_is() {
    let text = "model\n  schema 1.2\n\ntype zoo\n\ntype animal\n";
    let tree = Tree::parse("zoo.fga", text).unwrap();
    assert_eq!(tree.with_module_comments().print().unwrap(), text);
}

#[test]
fn names_in_a_stored_schema_stay_in_their_comment() {
    let source = json!({"file": "a.fga\ntype evil"});
    let model = json!({"schema_version": "1.2", "type_definitions": [
        {"type": "user", "metadata": {"module": "a\r\nb", "source_info": source}},
        {"type": "bot", "metadata": {"module": "a", "source_info": null}},
    ]});
    let shown = Tree::from_json(&model).unwrap().with_module_comments().print().unwrap();
    let expected =
        "model\n  schema 1.2\n\ntype bot # module: a\n\ntype user # module: a  b, file: a.fga type evil\n";
    assert_eq!(shown, expected);
}

#[test]
fn words_of_modules_are_names_elsewhere() {
    let files = [
        ("fga.mod", "schema: '1.2'\ncontents: [extend.fga, type.fga]\n"),
        (
            "extend.fga",
            "module module\n\ntype module\n  relations\n    define extend: [module]\n    define module: [extend] or extend from extend\n\nextend type type\n  relations\n    define type: [module]\n",
        ),
        (
            "type.fga",
            "module type\n\ntype extend\n\ntype type\n\nextend type module\n  relations\n    define type: module\n",
        ),
    ];
    let (tree, schema) = read(&files).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let module = schema.type_named("module").unwrap();
    assert_eq!(schema.types().len(), 3);
    assert!(schema.relation_named(module, "type").is_some());
    let of_relation = &tree.to_json()["type_definitions"][0]["metadata"]["relations"]["type"];
    assert_eq!(
        (&of_relation["module"], &of_relation["source_info"]["file"]),
        (&json!("type"), &json!("type.fga"))
    );
    // In a schema of one file they are names as ever.
    let text = "model\n  schema 1.1\n\ntype module\n  relations\n    define extend: [module]\n    define module: extend\n\ntype extend\n";
    assert_eq!(read_schema("one.fga", text).unwrap().0.print().unwrap(), text);
}

#[test]
fn a_place_is_in_its_file_also_for_machines() {
    let files = [
        ("models/fga.mod", "schema: '1.2'\ncontents:\n  - core.fga\n  - more.fga\n"),
        ("models/core.fga", "\u{feff}module core\r\ntype user"),
        (
            "models/more.fga",
            "\u{feff}module more\ntype org\n  relations\n    define member: [usr]\ntype user",
        ),
    ];
    let problems = read(&files).unwrap_err();
    let expected = json!([
        {"code": "unknown-type", "place": {"source": "models/more.fga", "line": 4, "column": 21, "end_line": 4, "end_column": 24, "start": 56, "end": 59}},
        {"code": "duplicate-type", "place": {"source": "models/more.fga", "line": 5, "column": 6, "end_line": 5, "end_column": 10, "start": 66, "end": 70},
         "others": [{"text": "first defined here", "place": {"source": "models/core.fga", "line": 2, "column": 6, "end_line": 2, "end_column": 10, "start": 21, "end": 25}}]},
    ]);
    let found = problems.to_json();
    for (found, expected) in found.as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&found[field], value, "{found}");
        }
    }
    assert_eq!(found.as_array().unwrap().len(), 2);
}

#[test]
fn limits_are_for_all_files_together() {
    let types = |module: &str, count: usize| {
        let names: String = (0..count).map(|number| format!("type {module}{number}\n")).collect();
        format!("module {module}\n{names}")
    };
    let (a, b) = (types("a", 60), types("b", 41));
    let files = [("fga.mod", "schema: '1.2'\ncontents: [a.fga, b.fga]\n"), ("a.fga", &*a), ("b.fga", &*b)];
    let problems = read(&files).unwrap_err();
    assert_eq!(codes(&problems), [ProblemCode::TooManyTypes]);
    assert!(problems.plain().starts_with("b.fga:42:6: "), "{problems}");

    let text = |most: usize| Limits { text_bytes_max: most, types_max: 200, ..Limits::default() };
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    assert!(read_within(&files, &text(bytes + 2)).is_ok());
    let problems = read_within(&files, &text(bytes - 1)).unwrap_err();
    assert_eq!(codes(&problems), [ProblemCode::TextTooLarge]);
    assert!(problems.plain().starts_with("fga.mod:2:19: "), "{problems}");
    assert_eq!(codes(&read_within(&files, &text(10)).unwrap_err()), [ProblemCode::TextTooLarge]);

    let limits = Limits { model_bytes_max: 500, types_max: 200, ..Limits::default() };
    let problems = read_within(&files, &limits).unwrap_err();
    assert!(problems.plain().starts_with("fga.mod:1:9: model-too-large: "), "{problems}");

    let broken: Vec<(String, String)> =
        (0..10).map(|at| (format!("{at}.fga"), "module m\n".to_string() + &"x\n".repeat(30))).collect();
    let list: Vec<&str> = broken.iter().map(|(name, _)| name.as_str()).collect();
    let manifest = format!("schema: '1.2'\ncontents: [{}]\n", list.join(", "));
    let mut files = vec![("fga.mod", &*manifest)];
    files.extend(broken.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    for most in [1, 29, 30, 31, 100, 299] {
        let problems = read_within(&files, &Limits { problems_max: most, ..Limits::default() }).unwrap_err();
        assert_eq!(problems.len(), most + 1);
        assert_eq!(codes(&problems)[most], ProblemCode::TooManyProblems);
    }
}

#[test]
fn hostile_manifests_are_refused_and_harm_nothing() {
    let list = |entry: &str, count: usize| format!("schema: '1.2'\ncontents:\n{}", entry.repeat(count));
    let hostile = [
        format!("schema: '1.2'\ncontents: {}", "[".repeat(100_000)),
        format!("schema: '1.2'\ncontents: {}{}", "[".repeat(900), "]".repeat(900)),
        format!("{}x", "- ".repeat(100_000)),
        "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: &d [*c,*c,*c]\ne: &e [*d,*d,*d]\nschema: *e\ncontents: *e\n".to_string(),
        list("  - 1\n", 50_000),
        list("  - ../x.fga\n", 50_000),
        list("  - x.fga\n", 50_000),
        (0..50_000).fold(list("", 0), |text, at| text + &format!("  - {at}.fga\n")),
        "a".repeat(2 * 1024 * 1024),
        "\u{0}".repeat(1000),
        "\u{feff}".to_string(),
        "schema: '1.2'\n---\ncontents: [a.fga]\n".to_string(),
        "schema: !!binary aGk=\ncontents: !x [a.fga]\n".to_string(),
        "? [a, b]\n: c\n".to_string(),
        "contents:\n  <<: [a]\n".to_string(),
        "schema: '1.2'\ncontents: [\"a\\nb.fga\", \"\\u0000.fga\"]\n".to_string(),
    ];
    for manifest in hostile {
        let asked = Cell::new(0);
        let mut read = |_: &str| {
            asked.set(asked.get() + 1);
            Err(io::Error::from(io::ErrorKind::NotFound))
        };
        let problems = read_modules("fga.mod", &manifest, &mut read).map(|_| ()).unwrap_err();
        assert!(problems.has_errors() && problems.len() <= Limits::default().problems_max + 1);
        assert!(!problems.render(false).is_empty() && !problems.plain().is_empty());
        assert!(asked.get() <= Limits::default().problems_max + 1, "{} files", asked.get());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_of_the_manifest() {
    let mut read = |_: &str| Err(io::Error::from(io::ErrorKind::PermissionDenied));
    let problems = read_modules("fga.mod", "schema: '1.2'\ncontents: [a.fga]\n", &mut read).unwrap_err();
    let expected = "fga.mod:2:12: unreadable-module: cannot read `a.fga`: permission denied; files are looked for beside the manifest";
    assert_eq!(problems.plain(), expected);
}

const SCHEMAS: [&str; 7] =
    ["audiostack", "artstash", "studio", "live-studio", "fastpix", "debian", "debian-tree"];

/// None of the schemas has conditions.
const CONDITIONS: &str = "\
model
  schema 1.1

type user

type doc
  relations
    define parent: [doc]
    define viewer: [user with late, user:* with named, doc#viewer] or viewer from parent
    define editor: [user with named] and viewer

condition late(hour: int) {
  hour > 20
}

condition named(name: string, names: list<string>) {
  name in names
}
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Types and relations go to one of three modules each, and the files stand in any order.
    #[test]
    fn a_schema_in_modules_is_the_schema_in_one_file(
        schema in prop::option::weighted(0.9, prop::sample::select(&SCHEMAS[..])),
        places in prop::collection::vec(0..3usize, 1..40),
        order in Just(vec![0, 1, 2]).prop_shuffle(),
    ) {
        let text = match schema {
            Some(name) => fs::read_to_string(format!("schema/{name}.fga")).unwrap(),
            None => CONDITIONS.to_string(),
        };
        let (whole, resolved) = read_schema("whole.fga", &text).unwrap();
        let files = split(&whole, &places);
        let names: Vec<String> = order.iter().map(|at| format!("  - m{at}.fga\n")).collect();
        let manifest = format!("schema: '1.2'\ncontents:\n{}", names.concat());
        let mut all = vec![("fga.mod", &*manifest)];
        all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let (tree, merged) = read(&all).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        prop_assert_eq!(describe(&merged), describe(&resolved));
        prop_assert_eq!(without_modules(&tree), without_modules(&whole));
        let stored = Tree::from_json(&tree.to_json()).unwrap();
        prop_assert_eq!(stored.to_json(), tree.to_json());
        let shown = stored.with_module_comments().print().unwrap();
        prop_assert_eq!(describe(&read_schema("shown.fga", &shown).unwrap().1), describe(&resolved));
    }
}

/// The files of three modules that make up a schema.
fn split(whole: &Tree, places: &[usize]) -> Vec<(String, String)> {
    let mut places = places.iter().copied().cycle();
    let mut place = || places.next().unwrap();
    let mut modules: Vec<Tree> = (0..3)
        .map(|at| {
            let mut tree = Tree::empty("1.2");
            tree.header.module = Some(Name::made(&format!("m{at}")));
            tree
        })
        .collect();
    for definition in &whole.types {
        let home = place();
        let mut parts: Vec<Vec<_>> = vec![Vec::new(); 3];
        for relation in &definition.relations {
            parts[place()].push(relation.clone());
        }
        for (at, relations) in parts.into_iter().enumerate() {
            if at == home || !relations.is_empty() {
                let extends = at != home;
                modules[at].types.push(TypeDefinition { extends, relations, ..definition.clone() });
            }
        }
    }
    for condition in &whole.conditions {
        modules[place()].conditions.push(condition.clone());
    }
    modules.iter().enumerate().map(|(at, tree)| (format!("m{at}.fga"), tree.print().unwrap())).collect()
}

/// The JSON form, its types by name, without version and modules.
fn without_modules(tree: &Tree) -> BTreeMap<String, Value> {
    let mut value = tree.to_json();
    let mut types: BTreeMap<String, Value> = BTreeMap::new();
    for mut definition in value["type_definitions"].take().as_array().unwrap().clone() {
        let metadata = definition["metadata"].take();
        let relations = metadata["relations"].as_object().cloned().unwrap_or_default();
        let restrictions =
            relations.into_iter().map(|(name, it)| (name, it["directly_related_user_types"].clone()));
        definition["metadata"] = Value::Object(restrictions.collect());
        types.insert(definition["type"].as_str().unwrap().to_string(), definition);
    }
    for condition in value["conditions"].as_object_mut().unwrap().values_mut() {
        condition["metadata"].take();
    }
    types.insert("conditions".to_string(), value["conditions"].take());
    types
}

/// Everything that a resolved schema says, by its names.
fn describe(schema: &Schema) -> BTreeMap<String, Vec<String>> {
    let type_name = |at: stonetown::schema::TypeIndex| schema.type_at(at).name.to_string();
    let mut all = BTreeMap::new();
    for (_, object_type) in schema.types() {
        all.insert(object_type.name.to_string(), Vec::new());
        for index in &object_type.relations {
            let relation = schema.relation_at(*index);
            let mut lines = vec![rewrite(schema, &relation.rewrite)];
            for restriction in &relation.restrictions {
                let mut line = match restriction.shape {
                    RestrictionShape::Object => type_name(restriction.subject_type),
                    RestrictionShape::Wildcard => format!("{}:*", type_name(restriction.subject_type)),
                    RestrictionShape::Userset(relation) => schema.relation_text(relation),
                };
                if let Some(condition) = restriction.condition {
                    line.push_str(&format!(" with {}", schema.condition_at(condition).name));
                }
                lines.push(line);
            }
            assert_eq!(type_name(relation.object_type), &*object_type.name);
            let affected = schema.graph().affected_by(*index);
            let mut affected: Vec<String> = affected.iter().map(|it| schema.relation_text(*it)).collect();
            affected.sort();
            lines.extend(affected);
            all.insert(schema.relation_text(*index), lines);
        }
    }
    all
}

fn rewrite(schema: &Schema, found: &Rewrite) -> String {
    let all = |list: &[Rewrite]| list.iter().map(|it| rewrite(schema, it)).collect::<Vec<_>>().join(", ");
    match found {
        Rewrite::Nil => "nil".to_string(),
        Rewrite::Direct => "direct".to_string(),
        Rewrite::Computed(relation) => schema.relation_text(*relation),
        Rewrite::Arrow(arrow) => {
            let targets: Vec<String> =
                arrow.targets.iter().map(|(_, it)| schema.relation_text(*it)).collect();
            format!("{} over {}", targets.join("|"), schema.relation_text(arrow.tupleset))
        }
        Rewrite::Union(list) => format!("any({})", all(list)),
        Rewrite::Intersection(list) => format!("all({})", all(list)),
        Rewrite::Exclusion(base, subtract) => {
            format!("({} without {})", rewrite(schema, base), rewrite(schema, subtract))
        }
    }
}

fn golden(file: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(found, expected, "{} (UPDATE_GOLDEN=1 writes it anew)", file.display());
}
