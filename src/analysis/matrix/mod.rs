//! The matrix: which way of holding a role gives which permission, worked out by asking the evaluator in minimal worlds.
//!
//! **Rows.** A type has one object, `x`. A *place* is `x` itself or an object that a path of parents leads to from it. A row is a
//! minimal world: the tuples of the path, and one more, its *leaf*, that names somebody, everybody or a userset on a relation
//! there. What follows is about whom the leaf gives the relation to.
//!
//! **Cells.** *Yes*: the permission holds in the row's world. *With* facts: it holds with these tuples too, with no part of them, and
//! not without the leaf. *Unless* a fact: with that tuple it does not hold; single tuples are looked for, not pairs of them. *If* a
//! condition: it hangs on the condition of a tuple. *No*: in whatever larger world in which nothing but the path names the
//! places, the leaf makes no difference. *More*: neither facts nor a proof that there are none were found.
//!
//! **Given.** Tuples that hold in every world. Nothing further is said of an object that they say something of; where a place could
//! have such a parent, there is a row for each of them, and there it has no other.

mod cells;
mod facts;
mod matter;
mod rows;
mod table;

use std::convert::Infallible;
use std::fmt;

use crate::eval::Program;
use crate::schema::TypeIndex;
use crate::tuple::{Object, Subject, Tuple};

pub use table::{CellChange, Table, TableRow, matrix_changes, table_changes};

/// The permissions of a type, and the ways to hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The type.
    pub object_type: Box<str>,
    /// Its relations that nobody can be written on, in the order of the schema.
    pub columns: Vec<Box<str>>,
    /// The shortest paths first, then in the order of the schema.
    pub rows: Vec<MatrixRow>,
}

/// A way to hold a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// What it is called: the type, the path, the relation.
    pub name: String,
    /// The objects of the path, beginning with the one that is asked about. Nothing but the path names them.
    pub places: Vec<Object>,
    /// Who is asked about.
    pub subject: Subject,
    /// The tuple that gives the role.
    pub leaf: Tuple,
    /// All tuples of the minimal world, the leaf and what is given among them.
    pub world: Vec<Tuple>,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// What a role gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The permission does not hang on the role.
    No,
    /// Perhaps it takes more facts than were tried.
    More,
    /// The permission, in one of these ways.
    Holds {
        /// All of them take equally many further facts.
        ways: Vec<Way>,
        /// There are others that take as many facts.
        has_more: bool,
    },
}

/// How a permission is held by a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What has to be written besides: all of it.
    pub with: Vec<Tuple>,
    /// Each of these takes the permission away, or makes it hang on a condition.
    pub unless: Vec<Tuple>,
    /// Conditions that have to be true.
    pub conditions: Vec<Box<str>>,
    with_text: String,
    unless_text: String,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ways, has_more) = match self {
            Cell::No => return f.write_str("no"),
            Cell::More => return f.write_str("more…"),
            Cell::Holds { ways, has_more } => (ways, has_more),
        };
        let mut parts: Vec<String> = Vec::new();
        // What several ways have in common is said once.
        let is_shared = ways.windows(2).all(|two| two[0].tail() == two[1].tail());
        for way in ways {
            let tail = if is_shared { String::new() } else { way.tail() };
            parts.push(join(&way.with_text, &tail));
        }
        // Where facts stand together, it has to be seen where an alternative begins.
        if parts.len() > 1 && parts.iter().any(|part| part.contains(", ")) {
            parts = parts.iter().map(|part| format!("({part})")).collect();
        }
        let mut head = parts.join(" or ");
        if *has_more {
            head.push_str(" or …");
        }
        let head = if head.is_empty() { head } else { format!("with {head}") };
        let tail = match ways.first() {
            Some(way) if is_shared => way.tail(),
            _ => String::new(),
        };
        let text = join(&head, &tail);
        f.write_str(if text.is_empty() { "yes" } else { &text })
    }
}

impl Way {
    /// What may still stand in the way.
    fn tail(&self) -> String {
        let conditions = match &self.conditions[..] {
            [] => String::new(),
            conditions => format!("if {}", conditions.join(" and ")),
        };
        let unless = match self.unless_text.is_empty() {
            true => String::new(),
            false => format!("unless {}", self.unless_text),
        };
        join(&conditions, &unless)
    }
}

fn join(one: &str, other: &str) -> String {
    let both = [one, other].into_iter().filter(|part| !part.is_empty());
    both.collect::<Vec<_>>().join(" ")
}

/// The matrix of a type, or of every type that has permissions.
pub fn matrix(program: &Program, object_type: Option<TypeIndex>, given: &[Tuple]) -> Vec<Matrix> {
    let Ok(all) = matrix_while(program, object_type, given, &|| Ok::<(), Infallible>(()));
    all
}

/// The same; `go_on` is asked before every cell.
///
/// # Errors
/// Those of `go_on`.
pub fn matrix_while<E>(
    program: &Program,
    object_type: Option<TypeIndex>,
    given: &[Tuple],
    go_on: &dyn Fn() -> Result<(), E>,
) -> Result<Vec<Matrix>, E> {
    let schema = program.schema();
    let types = schema.types().map(|(index, _)| index);
    let wanted = types.filter(|index| object_type.is_none_or(|wanted| wanted == *index));
    wanted.filter_map(|index| matrix_of(program, index, given, go_on).transpose()).collect()
}

fn matrix_of<E>(
    program: &Program,
    object_type: TypeIndex,
    given: &[Tuple],
    go_on: &dyn Fn() -> Result<(), E>,
) -> Result<Option<Matrix>, E> {
    let schema = program.schema();
    let kind = schema.type_at(object_type);
    let is_permission = |index: &&_| schema.relation_at(**index).restrictions.is_empty();
    let columns: Vec<_> = kind.relations.iter().filter(is_permission).copied().collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for row in rows::rows(program, object_type, given) {
        let mut cells = Vec::with_capacity(columns.len());
        for column in &columns {
            go_on()?;
            cells.push(cells::cell(program, &row, *column, given));
        }
        if row.is_kept_without_a_yes || cells.iter().any(|cell| *cell != Cell::No) {
            let rows::Row { name, places, subject, leaf, world, .. } = row;
            let places = places.into_iter().map(|place| place.object).collect();
            let subject = Subject::Object(subject);
            rows.push(MatrixRow { name, places, subject, leaf, world, cells });
        }
    }
    let columns = columns.iter().map(|column| schema.relation_at(*column).name.clone()).collect();
    Ok(Some(Matrix { object_type: kind.name.clone(), columns, rows }))
}
