//! A diff as a comment on a pull request.

use super::Section;
use crate::api::DiffSummaryForm;

pub(super) fn page(summary: &DiffSummaryForm, sections: &[Section]) -> String {
    let mut lines = vec!["### Access changes".to_owned(), String::new()];
    if summary.rows.is_empty() {
        lines.push("Nobody gains or loses anything.".to_owned());
        return lines.join("\n");
    }
    lines.push("| permission | objects | gained | lost | changed |".to_owned());
    lines.push("|---|--:|--:|--:|--:|".to_owned());
    for row in &summary.rows {
        let counts = row.counts;
        lines.push(format!(
            "| `{}` | {} | {} | {} | {} |",
            row.permission, row.objects, counts.gained, counts.lost, counts.changed
        ));
    }
    for section in sections {
        lines.push(String::new());
        lines.push(format!("<details><summary>{}</summary>", escape(&section.permission)));
        lines.push(String::new());
        lines.extend(section.texts.iter().map(|text| format!("- {}", escape(text))));
        let shown = section
            .texts
            .iter()
            .map(|text| text.split("  ").next())
            .collect::<std::collections::HashSet<_>>();
        let more = section.found.saturating_sub(shown.len() as u64);
        if more > 0 {
            lines.push(format!("- … and {more} more objects"));
        }
        lines.push(String::new());
        lines.push("</details>".to_owned());
    }
    let incomplete: u64 = summary.rows.iter().map(|row| row.incomplete).sum();
    if incomplete > 0 {
        lines.push(String::new());
        lines
            .push(format!("**Incomplete:** of {incomplete} relations of objects it could not be found out."));
    }
    lines.push(String::new());
    lines.push(format!(
        "Compared with revision {}, {} objects examined.",
        summary.revision, summary.work.objects
    ));
    lines.join("\n")
}

/// Nothing of a name is markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
