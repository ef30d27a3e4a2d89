//! Names with addresses, as maintainers write them.

use std::fmt;

/// `Name <address>`; the address is lower-case and can be an id.
#[derive(Debug, PartialEq)]
pub(crate) struct Mailbox {
    pub(crate) name: String,
    pub(crate) address: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct BadMailbox {
    line: usize,
    text: String,
    problem: &'static str,
}

impl fmt::Display for BadMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: skipped `{}`: {}", self.line, self.text, self.problem)
    }
}

/// Reads a list of mailboxes as maintainers write them: `>` ends a mailbox whether or not a comma follows, a
/// name may hold commas, quoted or not (`Adam Powell, IV <…>`), a bare address is one by itself, and empty
/// entries mean nothing.
pub(crate) fn mailboxes(list: &str, first_line: usize) -> (Vec<Mailbox>, Vec<BadMailbox>) {
    // A mark that is left open is taken as a letter.
    let quotes = list.matches('"').count().is_multiple_of(2);
    let comments = list.matches('(').count() == list.matches(')').count();
    let (mut quoted, mut depth) = (false, 0_usize);
    let (mut start, mut opened) = (0, None);
    let mut found = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '"' if quotes && depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' if comments => depth += 1,
            ')' if comments => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '<' if opened.is_none() => opened = Some(at),
            '>' => {
                found.push((start, at + 1));
                (start, opened) = (at + 1, None);
            }
            // A comma ends an address that was not closed, or a bare one; else it belongs to a name.
            ',' if opened.is_some() || is_bare(&list[start..at]) => {
                found.push((start, at));
                (start, opened) = (at + 1, None);
            }
            _ => {}
        }
    }
    found.push((start, list.len()));

    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (start, end) in found {
        let text = list[start..end].trim_matches(|c: char| c == ',' || c.is_whitespace());
        if text.is_empty() {
            continue;
        }
        match mailbox(text) {
            Ok(mailbox) => good.push(mailbox),
            Err(problem) => {
                let line = first_line + list[..end].trim_end().matches('\n').count();
                bad.push(BadMailbox { line, text: one_line(text), problem });
            }
        }
    }
    (good, bad)
}

/// Whether the text before a comma is an address without a name, or nothing.
fn is_bare(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c == ',' || c.is_whitespace());
    text.is_empty() || (text.contains('@') && !text.contains(char::is_whitespace))
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    let (name, address) = match text.rsplit_once('<') {
        Some((name, address)) => (name, address.strip_suffix('>').ok_or("the address has no `>`")?),
        None => ("", text),
    };
    let address = address.trim().to_lowercase();
    check_address(&address)?;
    let name = one_line(name);
    Ok(Mailbox { name: name.trim_matches('"').to_owned(), address })
}

/// What an address needs so as to be one, and so as to be an id.
fn check_address(address: &str) -> Result<(), &'static str> {
    const CHARS_MAX: usize = 200;
    let (local, domain) = address.split_once('@').ok_or("there is no address")?;
    if address.contains(|c: char| c.is_whitespace() || c.is_control() || "<>(),:;#\"".contains(c)) {
        return Err("the address has a character that it may not have");
    }
    if local.is_empty() || domain.contains('@') || domain.split('.').any(str::is_empty) {
        return Err("the address is not NAME@DOMAIN");
    }
    if address.chars().count() > CHARS_MAX {
        return Err("the address is too long");
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Vec<String> {
        let (good, bad) = mailboxes(list, 1);
        assert_eq!(bad, []);
        good.into_iter().map(|mailbox| mailbox.address).collect()
    }

    #[test]
    fn mailbox_lists_as_people_write_them() {
        for (list, expected) in [
            ("Ann A <Ann@Example.org>", vec!["ann@example.org"]),
            (" A <a@x.org>, B <b@x.org>,", vec!["a@x.org", "b@x.org"]),
            (" A <a@x.org>,\n B <b@x.org>\n , C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            // No comma between two.
            (" A <a@x.org> B <b@x.org>\n C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            // Commas inside names.
            ("\"Doe, Ann\" <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("Adam C. Powell, IV <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("A (x, <y@z.org>) <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            // Marks left open.
            ("A \"the A <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("A (the A <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("a@x.org, b@x.org, C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            ("", vec![]),
            (" , ,", vec![]),
        ] {
            assert_eq!(addresses(list), expected, "{list:?}");
        }
    }

    #[test]
    fn a_bad_address_is_reported_with_its_line_and_the_others_are_kept() {
        let (good, bad) =
            mailboxes(" A <a@x.org>,\n Bob <bob at x.org>,\n C <c@x.org, D <d@x.org>,\n Eve", 7);
        assert_eq!(good.iter().map(|mailbox| &*mailbox.address).collect::<Vec<_>>(), ["a@x.org", "d@x.org"]);
        assert_eq!(
            bad.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "line 8: skipped `Bob <bob at x.org>`: there is no address",
                "line 9: skipped `C <c@x.org`: the address has no `>`",
                "line 10: skipped `Eve`: there is no address",
            ]
        );
    }

    #[test]
    fn an_address_has_to_be_able_to_be_an_id() {
        for address in ["a", "@x.org", "a@", "a@x..org", "a@b@c.org", "a:b@x.org", "a#b@x.org", "a b@x.org"] {
            assert!(check_address(address).is_err(), "{address}");
        }
        for address in ["a@x.org", "team+python@tracker.debian.org", "o'neil@x.org", "root@localhost"] {
            assert_eq!(check_address(address), Ok(()), "{address}");
        }
    }
}
