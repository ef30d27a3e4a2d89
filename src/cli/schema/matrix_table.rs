//! The forms of a matrix: text, Markdown, CSV, JSON and SVG; and reading back those that can be committed.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::analysis::{Table, TableRow};

/// The heading of the column that names the rows.
const ROW_HEADING: &str = "role";

/// For a terminal: columns as wide as what is in them.
pub(super) fn to_text(tables: &[Table]) -> String {
    let one = |table: &Table| {
        let lines = grid(table);
        let widths = widths(&lines);
        let lines = lines.iter().map(|line| {
            let cells = line.iter().zip(&widths).map(|(cell, width)| {
                let fill = " ".repeat(width - cell.chars().count());
                format!("{cell}{fill}")
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        });
        format!("{}\n{}", table.object_type, lines.collect::<String>())
    };
    tables.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The lines of a table with its headings.
fn grid(table: &Table) -> Vec<Vec<&str>> {
    let headings = std::iter::once(ROW_HEADING).chain(table.columns.iter().map(|it| &**it)).collect();
    let rows = table.rows.iter();
    let rows = rows.map(|row| std::iter::once(&*row.name).chain(row.cells.iter().map(|it| &**it)).collect());
    std::iter::once(headings).chain(rows).collect()
}

/// How many characters wide each column is.
fn widths(lines: &[Vec<&str>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |at: usize| lines.iter().map(|line| line.get(at).map_or(0, |cell| cell.chars().count())).max();
    (0..columns).map(|at| width(at).unwrap_or(0)).collect()
}

/// A heading for each type, and its table.
pub(super) fn to_markdown(tables: &[Table]) -> String {
    let mut text = "# Roles and permissions\n\n\
        Made by `stonetown schema matrix`, which also checks it. A row is a way to hold a role, by its path from the object;\n\
        a cell says whether the permission follows from the role alone, or what else it takes.\n"
        .to_owned();
    for table in tables {
        text.push_str(&format!("\n## {}\n\n", table.object_type));
        let lines = grid(table);
        for (at, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line.iter().map(|cell| escape_markdown(cell)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if at == 0 {
                text.push_str(&format!("|{}\n", "---|".repeat(line.len())));
            }
        }
    }
    text
}

/// What Markdown would take for its own; underlines within words are no emphasis.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if "\\|*`[]<>".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Reads what [`to_markdown`] wrote; other text around the tables is passed over.
pub(super) fn from_markdown(text: &str) -> anyhow::Result<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut heading: Option<String> = None;
    let mut is_within = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("## ") {
            heading = Some(name.trim().to_owned());
        }
        if !line.starts_with('|') {
            is_within = false;
            continue;
        }
        let cells = markdown_cells(line);
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|it| "-: ".contains(it)));
        match tables.last_mut().filter(|_| is_within) {
            None => {
                let object_type = heading.take().with_context(|| {
                    format!("line {number}: a table without a heading `## TYPE` of its own before it")
                })?;
                let columns = cells.into_iter().skip(1).collect();
                tables.push(Table { object_type, columns, rows: Vec::new() });
                is_within = true;
            }
            Some(_) if is_rule => {}
            Some(table) => add_row(table, cells).with_context(|| format!("line {number}"))?,
        }
    }
    Ok(tables)
}

fn add_row(table: &mut Table, cells: Vec<String>) -> anyhow::Result<()> {
    let mut cells = cells.into_iter();
    let row = TableRow { name: cells.next().unwrap_or_default(), cells: cells.collect() };
    if row.cells.len() != table.columns.len() {
        let (has, wanted) = (row.cells.len(), table.columns.len());
        bail!("the row `{}` has {has} cells, its table has {wanted} permissions", row.name);
    }
    if table.rows.iter().any(|known| known.name == row.name) {
        bail!("the row `{}` is there twice", row.name);
    }
    table.rows.push(row);
    Ok(())
}

fn markdown_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.strip_prefix('|').unwrap_or(line).chars();
    while let Some(character) = characters.next() {
        let last = cells.len() - 1;
        match character {
            '\\' => cells[last].extend(characters.next()),
            '|' => cells.push(String::new()),
            _ => cells[last].push(character),
        }
    }
    // What follows the last bar.
    cells.pop();
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// The columns of a CSV file.
const CSV_HEADING: [&str; 4] = ["type", "role", "permission", "cell"];

/// A line for each cell, so that a change of one is a change of one line.
pub(super) fn to_csv(tables: &[Table]) -> String {
    let mut text = CSV_HEADING.join(",") + "\n";
    for table in tables {
        for row in &table.rows {
            for (column, cell) in table.columns.iter().zip(&row.cells) {
                let fields = [&table.object_type, &row.name, column, cell].map(|field| csv_field(field));
                text.push_str(&(fields.join(",") + "\n"));
            }
        }
    }
    text
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Reads what [`to_csv`] wrote.
pub(super) fn from_csv(text: &str) -> anyhow::Result<Vec<Table>> {
    let mut lines = (1..).zip(text.lines());
    let heading = lines.next().map(|(_, line)| csv_fields(line)).unwrap_or_default();
    if heading != CSV_HEADING {
        bail!("line 1: the columns have to be `{}`", CSV_HEADING.join(","));
    }
    let mut tables: Vec<Table> = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let Ok([object_type, name, column, cell]) = <[String; 4]>::try_from(csv_fields(line)) else {
            bail!("line {number}: four fields are needed: `{}`", CSV_HEADING.join(","));
        };
        if tables.last().is_none_or(|table| table.object_type != object_type) {
            tables.push(Table { object_type, columns: Vec::new(), rows: Vec::new() });
        }
        let Some(table) = tables.last_mut() else { continue };
        if table.rows.last().is_none_or(|row| row.name != name) {
            table.rows.push(TableRow { name, cells: Vec::new() });
        }
        let is_first_row = table.rows.len() == 1;
        let Some(row) = table.rows.last_mut() else { continue };
        if is_first_row {
            table.columns.push(column);
        } else if table.columns.get(row.cells.len()) != Some(&column) {
            bail!(
                "line {number}: the permissions of `{}` are not those of the first row of its type",
                row.name
            );
        }
        row.cells.push(cell);
    }
    for table in &tables {
        if let Some(row) = table.rows.iter().find(|row| row.cells.len() != table.columns.len()) {
            bail!("the row `{}` of `{}` lacks permissions", row.name, table.object_type);
        }
    }
    Ok(tables)
}

fn csv_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => fields[last].extend(characters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => fields[last].push(character),
        }
    }
    fields
}

/// One value: the cells of a row are in the order of the permissions.
pub(super) fn to_json(tables: &[Table]) -> Value {
    let table = |table: &Table| {
        let rows = table.rows.iter().map(|row| json!({ "role": row.name, "cells": row.cells }));
        json!({
            "type": table.object_type,
            "permissions": table.columns,
            "rows": rows.collect::<Vec<_>>(),
        })
    };
    Value::Array(tables.iter().map(table).collect())
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json(text: &str) -> anyhow::Result<Vec<Table>> {
    let value: Value = serde_json::from_str(text).context("it is not JSON")?;
    let tables = value.as_array().context("it has to be a list of tables")?;
    let table = |(number, value): (usize, &Value)| {
        let place = || format!("table {number}: `type`, `permissions` and `rows` are needed");
        let mut table = Table {
            object_type: value["type"].as_str().with_context(place)?.to_owned(),
            columns: texts(&value["permissions"]).with_context(place)?,
            rows: Vec::new(),
        };
        for row in value["rows"].as_array().with_context(place)? {
            let name = row["role"].as_str().with_context(place)?.to_owned();
            let cells = texts(&row["cells"]).with_context(place)?;
            add_row(&mut table, std::iter::once(name).chain(cells).collect())
                .with_context(|| format!("table {number}"))?;
        }
        Ok(table)
    };
    (1..).zip(tables).map(table).collect()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(ToOwned::to_owned)).collect()
}

/// Of a character, a line, and what is around a text, in pixels.
const CHARACTER: usize = 8;
const LINE: usize = 24;
const MARGIN: usize = 8;

/// A picture: the tables below each other.
pub(super) fn to_svg(tables: &[Table]) -> String {
    let mut body = String::new();
    let (mut top, mut right) = (0, 0);
    for table in tables {
        top += LINE;
        body.push_str(&svg_text(MARGIN, top, &table.object_type, "heading"));
        top += MARGIN;
        let lines = grid(table);
        let widths: Vec<usize> = widths(&lines).iter().map(|width| width * CHARACTER + 2 * MARGIN).collect();
        for (number, line) in lines.iter().enumerate() {
            let mut left = MARGIN;
            for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let class = if number == 0 || at == 0 { "name" } else { class_of(cell) };
                body.push_str(&format!(
                    "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{LINE}\" class=\"{class}\"/>\n"
                ));
                body.push_str(&svg_text(left + MARGIN, top + LINE - MARGIN, cell, "cell"));
                left += width;
            }
            right = right.max(left);
            top += LINE;
        }
    }
    let (width, height) = (right + MARGIN, top + MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<style>\n\
         text {{ font: 13px monospace; fill: #1a1a1a }}\n\
         .heading {{ font: bold 15px sans-serif }}\n\
         rect {{ stroke: #999999; fill: #ffffff }}\n\
         rect.name {{ fill: #eeeeee }}\n\
         rect.yes {{ fill: #d5f0d5 }}\n\
         rect.some {{ fill: #fdf3cf }}\n\
         </style>\n<rect width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n"
    )
}

fn class_of(cell: &str) -> &'static str {
    match cell {
        "yes" => "yes",
        "no" => "no",
        _ => "some",
    }
}

fn svg_text(x: usize, y: usize, text: &str, class: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{escaped}</text>\n")
}
