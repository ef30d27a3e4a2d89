//! Tuples that a schema does not let in, as text.

use crate::api::TupleGroupsForm;

/// A line for each group, with its sample below where that is wanted.
pub(super) fn groups_text(form: &TupleGroupsForm, with_sample: bool) -> String {
    let mut lines = Vec::new();
    for group in &form.groups {
        let (relation, subject) = (&group.relation, &group.subject);
        lines.push(format!("  {} {relation}@{subject}, {}: {}", group.tuples, group.code, group.reason));
        if with_sample {
            lines.extend(group.sample.iter().map(|tuple| format!("    {tuple}")));
            let more = group.tuples.saturating_sub(group.sample.len() as u64);
            lines.extend((more > 0).then(|| format!("    and {more} more")));
        }
    }
    lines.join("\n")
}

/// `1 tuple`, `2 tuples`.
pub(super) fn tuples_text(number: u64) -> String {
    format!("{number} tuple{}", if number == 1 { "" } else { "s" })
}
