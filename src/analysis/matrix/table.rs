//! A matrix as plain text, and how two of them differ.

use super::Matrix;

/// A matrix as it is printed and committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The type.
    pub object_type: String,
    /// The permissions.
    pub columns: Vec<String>,
    /// The ways to hold a role.
    pub rows: Vec<TableRow>,
}

/// A row as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// What it is called.
    pub name: String,
    /// One for each column.
    pub cells: Vec<String>,
}

/// A difference between two tables. Without a column it is about a whole row, without a row about a whole column, without both about
/// a whole table: what came or went is then said by its number of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// The type.
    pub object_type: String,
    /// The row.
    pub row: Option<String>,
    /// The permission.
    pub column: Option<String>,
    /// Before; none: it was not there.
    pub before: Option<String>,
    /// After; none: it is not there.
    pub after: Option<String>,
}

impl Matrix {
    /// As plain text.
    pub fn table(&self) -> Table {
        let rows = self.rows.iter().map(|row| TableRow {
            name: row.name.clone(),
            cells: row.cells.iter().map(ToString::to_string).collect(),
        });
        Table {
            object_type: self.object_type.to_string(),
            columns: self.columns.iter().map(ToString::to_string).collect(),
            rows: rows.collect(),
        }
    }
}

impl Table {
    fn cell(&self, row: &str, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|it| it == column)?;
        let row = self.rows.iter().find(|it| it.name == row)?;
        row.cells.get(at).map(|cell| &**cell)
    }
}

/// How matrices differ: in the order of the new ones, what went after it.
pub fn matrix_changes(old: &[Matrix], new: &[Matrix]) -> Vec<CellChange> {
    let tables = |all: &[Matrix]| all.iter().map(Matrix::table).collect::<Vec<_>>();
    table_changes(&tables(old), &tables(new))
}

/// The same of tables.
pub fn table_changes(old: &[Table], new: &[Table]) -> Vec<CellChange> {
    let mut changes = Vec::new();
    let find = |all: &'_ [Table], name: &str| all.iter().position(|table| table.object_type == name);
    for table in new {
        match find(old, &table.object_type) {
            Some(at) => changes_of(&old[at], table, &mut changes),
            None => changes.push(whole(table, None, None, true)),
        }
    }
    let gone = old.iter().filter(|table| find(new, &table.object_type).is_none());
    changes.extend(gone.map(|table| whole(table, None, None, false)));
    changes
}

/// Something that came or went.
fn whole(of: &Table, row: Option<&str>, column: Option<&str>, is_new: bool) -> CellChange {
    let cells = match (row, column) {
        (None, None) => of.rows.len() * of.columns.len(),
        (None, Some(_)) => of.rows.len(),
        (Some(_), _) => of.columns.len(),
    };
    let said = Some(format!("{cells} cells"));
    let (before, after) = if is_new { (None, said) } else { (said, None) };
    CellChange {
        object_type: of.object_type.clone(),
        row: row.map(ToOwned::to_owned),
        column: column.map(ToOwned::to_owned),
        before,
        after,
    }
}

fn changes_of(old: &Table, new: &Table, changes: &mut Vec<CellChange>) {
    let has_row = |table: &Table, name: &str| table.rows.iter().any(|row| row.name == name);
    for column in new.columns.iter().filter(|column| !old.columns.contains(column)) {
        changes.push(whole(new, None, Some(column), true));
    }
    for row in &new.rows {
        if !has_row(old, &row.name) {
            changes.push(whole(new, Some(&row.name), None, true));
            continue;
        }
        for (column, after) in new.columns.iter().zip(&row.cells) {
            let Some(before) = old.cell(&row.name, column).filter(|before| before != after) else { continue };
            changes.push(CellChange {
                object_type: new.object_type.clone(),
                row: Some(row.name.clone()),
                column: Some(column.clone()),
                before: Some(before.to_owned()),
                after: Some(after.clone()),
            });
        }
    }
    for row in old.rows.iter().filter(|row| !has_row(new, &row.name)) {
        changes.push(whole(old, Some(&row.name), None, false));
    }
    for column in old.columns.iter().filter(|column| !new.columns.contains(column)) {
        changes.push(whole(old, None, Some(column), false));
    }
}
