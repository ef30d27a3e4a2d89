//! Debian's control data: stanzas of `Field: value`, as Debian policy's chapter on control files has them, and the
//! order of versions.

use std::cmp::Ordering;
use std::io::BufRead;

use anyhow::Context;

/// What stands between two empty lines.
#[derive(Default)]
pub(crate) struct Stanza(Vec<Field>);

/// A field with its folded lines joined by line ends, and the line it starts in.
pub(crate) struct Field {
    name: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

impl Stanza {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name)
    }

    /// Nothing, where there is no such field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.field(name).map_or("", |field| field.value.trim())
    }
}

/// Reads an index, stanza by stanza. The names of fields are given in lower case.
pub(crate) fn read_stanzas(mut input: impl BufRead, mut each: impl FnMut(&Stanza)) -> anyhow::Result<()> {
    let mut stanza = Stanza::default();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let end = input.read_until(b'\n', &mut bytes).context("the index cannot be read")? == 0;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            each(&stanza);
            stanza.0.clear();
            if end {
                break;
            }
        } else if text.starts_with([' ', '\t']) {
            let field = stanza.0.last_mut().with_context(|| format!("line {line} continues no field"))?;
            field.value.push('\n');
            field.value.push_str(text);
        } else if !text.starts_with('#') {
            let (name, value) = text
                .split_once(':')
                .with_context(|| format!("line {line} is no `Field: value`: `{text}`"))?;
            stanza.0.push(Field { name: name.to_ascii_lowercase(), value: value.to_owned(), line });
        }
    }
    Ok(())
}

/// The order of Debian versions, `[epoch:]upstream[-revision]`, as deb-version(7) has it.
pub(crate) fn compare_versions(left: &str, right: &str) -> Ordering {
    fn split(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (left, right) = (split(left), split(right));
    left.0
        .cmp(&right.0)
        .then_with(|| compare_version_parts(left.1, right.1))
        .then_with(|| compare_version_parts(left.2, right.2))
}

/// Compares by turns a stretch without digits and a number. `~` sorts before the end, letters come next.
fn compare_version_parts(mut left: &str, mut right: &str) -> Ordering {
    fn weight(byte: Option<&u8>) -> u16 {
        match byte {
            Some(b'~') => 0,
            None => 1,
            Some(byte) if byte.is_ascii_alphabetic() => 1 + u16::from(*byte),
            Some(byte) => 0x100 + u16::from(*byte),
        }
    }
    fn take<'a>(text: &mut &'a str, part: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = text.split_at(text.find(|c| !part(c)).unwrap_or(text.len()));
        *text = rest;
        taken
    }
    while !left.is_empty() || !right.is_empty() {
        let words = (take(&mut left, |c| !c.is_ascii_digit()), take(&mut right, |c| !c.is_ascii_digit()));
        let words = (words.0.as_bytes(), words.1.as_bytes());
        for at in 0..words.0.len().max(words.1.len()) {
            let order = weight(words.0.get(at)).cmp(&weight(words.1.get(at)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let numbers = (take(&mut left, |c| c.is_ascii_digit()), take(&mut right, |c| c.is_ascii_digit()));
        let numbers = (numbers.0.trim_start_matches('0'), numbers.1.trim_start_matches('0'));
        let order = numbers.0.len().cmp(&numbers.1.len()).then_with(|| numbers.0.cmp(numbers.1));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        for (less, more) in [
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("9.9", "1:0.1"),
            ("115.16.0esr-1~deb12u1", "140.12.0esr-1~deb12u1"),
            ("6.1.170-3", "6.1.176-1"),
        ] {
            assert_eq!(compare_versions(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare_versions(more, less), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(compare_versions("1.00-1", "1.0-1"), Ordering::Equal);
    }

    #[test]
    fn a_line_that_is_no_field_is_named() {
        let error = read_stanzas(&b"Package: a\nnonsense\n"[..], |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no `Field: value`: `nonsense`");
        let error = read_stanzas(&b" folded\n"[..], |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "line 1 continues no field");
    }
}
