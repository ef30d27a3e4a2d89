//! "Did you mean": the known name nearest to an unknown one.

/// Names at most this far apart are taken for each other.
const DISTANCE_MAX: usize = 2;

/// The candidate nearest to a name: at most two letters away, and never all of its letters; the first of equals.
pub(super) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = name.chars().collect();
    let furthest = DISTANCE_MAX.min(letters.len().saturating_sub(1));
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let further = best.map_or(furthest, |(distance, _)| distance.saturating_sub(1));
        if let Some(distance) = distance_within(&letters, candidate, further)
            && distance > 0
            && best.is_none_or(|(nearest, _)| distance < nearest)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, when there is one to mean.
pub(super) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// How a message about an unknown name ends: the name that was meant, else the names there are.
pub(crate) fn instead<'a>(name: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    const SHOWN_MAX: usize = 8;
    if let Some(meant) = did_you_mean(name, candidates.clone()) {
        return format!("; {meant}");
    }
    let shown: Vec<String> = candidates.clone().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    match (shown.len(), candidates.count()) {
        (0, _) => "; there are none".to_owned(),
        (shown_count, count) if shown_count < count => format!("; there are {}, …", shown.join(", ")),
        _ => format!("; there are {}", shown.join(", ")),
    }
}

/// The number of letters to insert, drop, change or swap with the next, when it is no more than `max`.
fn distance_within(a: &[char], b: &str, max: usize) -> Option<usize> {
    if b.len() > (a.len() + max) * 4 {
        return None;
    }
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let same_start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - same_end], &b[..b.len() - same_end]);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let changed = last[j] + usize::from(from != to);
            let mut best = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        assert_eq!(closest("veiwer", ["editor", "viewer"]), Some("viewer"));
        assert_eq!(closest("viewr", ["viewers", "viewer"]), Some("viewer"));
        assert_eq!(closest("owner", ["viewer"]), None);
        assert_eq!(closest("a", ["b"]), None);
        assert_eq!(closest("ab", ["ac", "xy"]), Some("ac"));
        assert_eq!(closest("user", ["user"]), None);
        assert_eq!(closest("", ["a"]), None);
    }
}
