//! Every cell, held against the judge: in the minimal world, in its parts, and in random larger worlds.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use stonetown::analysis::{Cell, Matrix, MatrixRow, matrix};
use stonetown::eval::Program;
use stonetown::schema::{RestrictionShape, Schema, read_schema};
use stonetown::tuple::{Object, Relation, Subject, Tuple, TupleKey};

use super::generator::world;
use super::model::{Verdict, judge, valid};
use super::random::Random;
use super::sketch::Expression;
use super::{SYSTEMS, schema};

const CASES: u64 = 400;
/// Larger worlds for each row.
const WORLDS: usize = 20;
const DEPTH: u32 = 25;
/// Matrices with more rows are left to others.
const ROWS_MAX: usize = 40;

type Counts = BTreeMap<&'static str, usize>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn the_cells_of_the_five_systems_are_what_the_judge_says() {
    for (name, given) in SYSTEMS {
        let text = fs::read_to_string(schema(&format!("{name}.fga"))).unwrap();
        let program = Program::new(read_schema(name, &text).unwrap().1);
        let given = given.map_or_else(Vec::new, |file| tuples_of(&fs::read_to_string(schema(file)).unwrap()));
        let mut counts = Counts::new();
        for table in matrix(&program, None, &given) {
            verify(program.schema(), &table, &given, &mut Random::new(1), &mut counts, name);
        }
        println!("{name}: {counts:?}");
        assert!(!counts.contains_key("more"), "{name}: {counts:?}");
        assert!(counts["yes"] > 0 && counts["with"] > 0 && counts["no"] > 0, "{name}: {counts:?}");
    }
}

/// `- { user: "user:*", relation: r, object: o }`, a line each.
fn tuples_of(yaml: &str) -> Vec<Tuple> {
    let line = |line: &str| {
        let inner = line.trim().strip_prefix("- {")?.strip_suffix('}')?;
        let field = |name: &str| {
            let found = inner.split(", ").find_map(|field| field.trim().strip_prefix(&format!("{name}: ")));
            found.unwrap().trim().trim_matches('"').to_owned()
        };
        let key = TupleKey::from_parts(&field("object"), &field("relation"), &field("user")).unwrap();
        Some(Tuple::plain(key))
    };
    yaml.lines().filter_map(line).collect()
}

#[test]
fn the_cells_of_random_schemas_are_what_the_judge_says() {
    let (cases, seed) = (setting("STONETOWN_CASES", CASES), setting("STONETOWN_SEED", 20_261_122));
    let (next, counts) = (AtomicU64::new(0), Mutex::new(Counts::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    let seed = seed.wrapping_add(number);
                    let (mut world, _) = world(seed);
                    // Random exclusions mostly deny themselves: of three schemas, two have intersections instead.
                    if !seed.is_multiple_of(3) {
                        let mut sketch = world.sketch.clone();
                        let relations = sketch.types.iter_mut().flat_map(|(_, relations)| relations);
                        relations.for_each(|relation| relation.expression = milder(&relation.expression));
                        if let Some(mild) = world.under(sketch) {
                            world = mild;
                        }
                    }
                    let mut found = Counts::new();
                    for table in matrix(&world.program, None, &[]) {
                        if table.rows.len() > ROWS_MAX {
                            *found.entry("large").or_default() += 1;
                            continue;
                        }
                        let context = format!("seed {seed}\n{}", world.sketch);
                        let random = &mut Random::new(seed);
                        verify(world.program.schema(), &table, &[], random, &mut found, &context);
                    }
                    *found.entry("schemas").or_default() += 1;
                    let mut counts = counts.lock().unwrap();
                    found.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{counts:?}");
    if cases >= CASES {
        for name in ["yes", "with", "unless", "no", "larger worlds", "of these, yes either way"] {
            assert!(counts.get(name).is_some_and(|count| *count >= 20), "{name}: too few: {counts:?}");
        }
        // Hardly any cell is left open where nothing is taken away.
        let cells = counts["yes"] + counts["with"] + counts["no"];
        assert!(counts.get("more, nothing taken away").copied().unwrap_or(0) * 100 < cells, "{counts:?}");
    }
}

/// The same with `and` for `but not`.
fn milder(expression: &Expression) -> Expression {
    let all = |parts: &[Expression]| parts.iter().map(milder).collect();
    match expression {
        Expression::Union(parts) => Expression::Union(all(parts)),
        Expression::Intersection(parts) => Expression::Intersection(all(parts)),
        Expression::Exclusion(base, taken) => Expression::Intersection(vec![milder(base), milder(taken)]),
        other => other.clone(),
    }
}

fn verify(
    schema: &Schema,
    table: &Matrix,
    given: &[Tuple],
    random: &mut Random,
    counts: &mut Counts,
    context: &str,
) {
    let names: HashSet<&str> = table.rows.iter().map(|row| &*row.name).collect();
    assert_eq!(names.len(), table.rows.len(), "two rows of one name\n{context}");
    for row in &table.rows {
        assert!(row.world.iter().all(|tuple| valid(schema, tuple).is_some()), "{}\n{context}", row.name);
        let pool = Pool::new(schema, row, given);
        let larger: Vec<Vec<Tuple>> = (0..WORLDS).map(|_| pool.larger(random)).collect();
        for (column, cell) in table.columns.iter().zip(&row.cells) {
            let question = TupleKey {
                object: row.places[0].clone(),
                relation: Relation::new(column).unwrap(),
                subject: row.subject.clone(),
            };
            let place = || format!("{} × {column}: {cell}\n{:?}\n{context}", row.name, row.world);
            let asked = Asked { schema, row, question, pool: &pool };
            match cell {
                Cell::Holds { ways, .. } => {
                    let kind = if ways[0].with.is_empty() { "yes" } else { "with" };
                    *counts.entry(kind).or_default() += 1;
                    ways.iter().for_each(|way| asked.holds(&way.with, &way.unless, counts, &place));
                }
                Cell::No => {
                    *counts.entry("no").or_default() += 1;
                    asked.makes_no_difference(&larger, counts, &place);
                }
                Cell::More => {
                    if std::env::var_os("STONETOWN_SHOW_MORE").is_some() {
                        println!("open: {}", place());
                    }
                    let of = schema.type_named(&table.object_type).unwrap();
                    let takes = schema.graph().reach(schema.relation_named(of, column).unwrap()).exclusion;
                    *counts.entry(if takes { "more" } else { "more, nothing taken away" }).or_default() += 1;
                }
            }
        }
    }
}

struct Asked<'a> {
    schema: &'a Schema,
    row: &'a MatrixRow,
    question: TupleKey,
    pool: &'a Pool<'a>,
}

impl Asked<'_> {
    fn is_yes(&self, tuples: &[Tuple]) -> bool {
        judge(self.schema, tuples, &self.question, DEPTH) == Verdict::Yes
    }

    fn holds(&self, with: &[Tuple], unless: &[Tuple], counts: &mut Counts, place: &dyn Fn() -> String) {
        let row = self.row;
        let all: Vec<Tuple> = row.world.iter().chain(with).cloned().collect();
        assert!(self.is_yes(&all), "not enough: {}", place());
        let without: Vec<Tuple> = all.iter().filter(|tuple| **tuple != row.leaf).cloned().collect();
        assert!(!self.is_yes(&without), "the role is not needed: {}", place());
        for parts in 0..(1_u32 << with.len()) - 1 {
            let chosen =
                with.iter().enumerate().filter(|(at, _)| parts >> at & 1 == 1).map(|(_, tuple)| tuple);
            let fewer: Vec<Tuple> = row.world.iter().chain(chosen).cloned().collect();
            assert!(!self.is_yes(&fewer), "a part is enough: {}", place());
        }
        assert!(with.iter().all(|tuple| self.pool.is_about_no_place(tuple)), "{}", place());
        *counts.entry("unless").or_default() += unless.len();
        for fact in unless {
            let more: Vec<Tuple> = all.iter().chain([fact]).cloned().collect();
            assert!(!self.is_yes(&more), "does not break it: {fact}: {}", place());
        }
        // No single fact about the person is overlooked.
        for fact in self.pool.facts.iter().filter(|fact| !all.contains(fact)) {
            let more: Vec<Tuple> = all.iter().chain([fact]).cloned().collect();
            assert!(self.is_yes(&more) || unless.contains(fact), "overlooked: {fact}: {}", place());
        }
    }

    /// In whatever larger world: the leaf never turns a no into a yes.
    fn makes_no_difference(&self, larger: &[Vec<Tuple>], counts: &mut Counts, place: &dyn Fn() -> String) {
        for more in larger {
            let world = self.row.world.iter().chain(more).filter(|tuple| **tuple != self.row.leaf);
            let mut world: Vec<Tuple> = world.cloned().collect();
            *counts.entry("larger worlds").or_default() += 1;
            if self.is_yes(&world) {
                *counts.entry("of these, yes either way").or_default() += 1;
                continue;
            }
            world.push(self.row.leaf.clone());
            assert!(!self.is_yes(&world), "it matters, with {more:?}: {}", place());
        }
    }
}

/// What could be written besides a row.
struct Pool<'p> {
    row: &'p MatrixRow,
    given: &'p [Tuple],
    /// Everything over the row's objects and two more of each type.
    all: Vec<Tuple>,
    /// Of these, those about places.
    near: Vec<Tuple>,
    /// Those that name the person, or everybody, on the places.
    facts: Vec<Tuple>,
}

impl<'p> Pool<'p> {
    fn new(schema: &Schema, row: &'p MatrixRow, given: &'p [Tuple]) -> Pool<'p> {
        let mut pool = Pool { row, given, all: Vec::new(), near: Vec::new(), facts: Vec::new() };
        let mut objects: BTreeMap<&str, Vec<Object>> = BTreeMap::new();
        for (_, kind) in schema.types() {
            let known = row.world.iter().flat_map(|tuple| {
                let linked = match &tuple.key.subject {
                    Subject::Object(object) | Subject::Userset(object, _) => Some(object.clone()),
                    Subject::Wildcard(_) => None,
                };
                linked.into_iter().chain([tuple.key.object.clone()])
            });
            let mut of: Vec<Object> = known.filter(|object| object.object_type() == &*kind.name).collect();
            of.extend(["r1", "r2"].map(|id| Object::new(&kind.name, id).unwrap()));
            of.sort_by_key(ToString::to_string);
            of.dedup();
            objects.insert(&kind.name, of);
        }
        for (_, relation) in schema.relations() {
            for object in &objects[&*schema.type_at(relation.object_type).name] {
                for restriction in &relation.restrictions {
                    let type_name = &*schema.type_at(restriction.subject_type).name;
                    let named = objects[type_name].iter().cloned();
                    let subjects: Vec<Subject> = match restriction.shape {
                        RestrictionShape::Object => named.map(Subject::Object).collect(),
                        RestrictionShape::Wildcard => vec![Subject::Wildcard(type_name.into())],
                        RestrictionShape::Userset(asked) => {
                            let asked = Relation::new(&schema.relation_at(asked).name).unwrap();
                            named.map(|object| Subject::Userset(object, asked.clone())).collect()
                        }
                    };
                    for subject in subjects {
                        pool.add(TupleKey {
                            object: object.clone(),
                            relation: Relation::new(&relation.name).unwrap(),
                            subject,
                        });
                    }
                }
            }
        }
        pool
    }

    fn add(&mut self, key: TupleKey) {
        let tuple = Tuple::plain(key);
        if !self.is_about_no_place(&tuple) || self.row.world.iter().any(|known| known.key == tuple.key) {
            return;
        }
        let is_at_place = self.row.places.contains(&tuple.key.object);
        let everybody = Subject::Wildcard(self.row.subject.as_ref().subject_type().into());
        if is_at_place && (tuple.key.subject == self.row.subject || tuple.key.subject == everybody) {
            self.facts.push(tuple.clone());
        }
        if is_at_place || tuple.key.subject == self.row.subject {
            self.near.push(tuple.clone());
        }
        self.all.push(tuple);
    }

    /// Nothing but the row's path names a place; nothing more is said of what is given, nor does a place that has a given parent
    /// have another.
    fn is_about_no_place(&self, tuple: &Tuple) -> bool {
        let names_place = match &tuple.key.subject {
            Subject::Object(object) | Subject::Userset(object, _) => self.row.places.contains(object),
            Subject::Wildcard(_) => false,
        };
        let is_given = |object: &Object| self.given.iter().any(|tuple| tuple.key.object == *object);
        let has_given_parent = self.row.world.iter().any(|known| {
            known.key.object == tuple.key.object
                && known.key.relation == tuple.key.relation
                && matches!(&known.key.subject, Subject::Object(object) if is_given(object))
        });
        !names_place && !is_given(&tuple.key.object) && !has_given_parent
    }

    fn larger(&self, random: &mut Random) -> Vec<Tuple> {
        let mut found: Vec<Tuple> = Vec::new();
        for _ in 0..random.between(1, 16) {
            let from = if random.chance(60) && !self.near.is_empty() { &self.near } else { &self.all };
            if from.is_empty() {
                break;
            }
            let tuple = random.pick(from).clone();
            if !found.contains(&tuple) {
                found.push(tuple);
            }
        }
        found
    }
}

/// What the cells of a small schema say.
fn cells(relations: &str) -> Vec<(String, String)> {
    let text = format!(
        "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define member: [user]\n\
         type doc\n  relations\n{relations}\n\
         condition in_office(ip: string) {{\n  ip == \"here\"\n}}\n"
    );
    let schema =
        read_schema("small", &text).unwrap_or_else(|problems| panic!("{}", problems.render(false))).1;
    let program = Program::new(schema);
    let doc = program.schema().type_named("doc");
    let tables = matrix(&program, doc, &[]);
    let [table] = &tables[..] else { panic!("one table") };
    assert_eq!(matrix(&program, doc, &[]), tables, "it is not the same twice");
    let cell = |row: &MatrixRow| {
        (row.name.clone(), row.cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
    };
    table.rows.iter().map(cell).collect()
}

#[test]
fn cells_say_what_stands_in_the_way_and_what_is_missing() {
    let pair = |row: &str, cell: &str| (row.to_owned(), cell.to_owned());
    let found = cells(
        "    define viewer: [user, user with in_office]\n    define member: [user]\n    define banned: [user, user:*]\n    \
         define can_view: (viewer and member) but not banned\n    define can_list: member but not banned",
    );
    let expected = [
        pair("doc.viewer", "with member unless banned or banned:* | no"),
        pair("doc.viewer with in_office", "with member if in_office unless banned or banned:* | no"),
        pair("doc.member", "with viewer unless banned or banned:* | unless banned or banned:*"),
        pair("doc.banned", "no | no"),
        pair("doc.banned:*", "no | no"),
    ];
    assert_eq!(found, expected);
    // A parent who is asked about may hold something of itself.
    let found = cells(
        "    define parent: [doc]\n    define reader: [user, doc]\n    define can_read: reader from parent",
    );
    assert_eq!(found[0], pair("doc.parent", "with parent.reader"));
    let found = cells(
        "    define parent: [doc]\n    define reader: [user with in_office, group#member]\n    \
         define can_read: reader or can_read from parent",
    );
    let expected = [
        pair("doc.reader with in_office", "if in_office"),
        pair("doc.reader(group#member)", "yes"),
        pair("doc.parent.reader with in_office", "if in_office"),
        pair("doc.parent.reader(group#member)", "yes"),
    ];
    assert_eq!(found, expected);
}
