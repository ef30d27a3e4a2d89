//! Planted into the change log and the records of revisions.

use crate::planted::{Case, STORE, hold, schema_key};
use crate::raw::{self, Raw};

#[test]
fn validation_names_damaged_log_and_revisions() {
    hold(&[
        Case {
            name: "change gone",
            plant: |raw| raw.delete("changes", &raw::change(STORE, 9, 1)),
            place: "revisions row \\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\t",
            problem: "has 1 changes, its record says 2",
        },
        Case {
            name: "change gone, its tuple named",
            plant: |raw| raw.delete("changes", &raw::change(STORE, 9, 1)),
            place: "tuples row org:o#parent@org:p#member",
            problem: "begins at 9, the change log does not say so",
        },
        Case {
            name: "end gone, its tuple named",
            plant: |raw| raw.delete("changes", &raw::change(STORE, 5, 0)),
            place: "history row voice:1#viewer@user:anne",
            problem: "ends at 5, the change log does not say so",
        },
        Case {
            name: "change too many",
            plant: |raw| {
                let value = raw.get("changes", &raw::change(STORE, 3, 0)).unwrap();
                raw.put("changes", &raw::change(STORE, 3, 1), &value);
            },
            place: "revisions row",
            problem: "has 2 changes, its record says 1",
        },
        Case {
            name: "change of another kind",
            plant: |raw| alter_change(raw, 3, 0, |value| value[1] = 3),
            place: "changes row 3/0 voice:2#viewer@user:*",
            problem: "no row ends there",
        },
        Case {
            name: "replacement told as a first writing",
            plant: |raw| alter_change(raw, 4, 0, |value| value[1] = 1),
            place: "history row voice:1#viewer@user:bob",
            problem: "ends at 4, the change log does not say so",
        },
        Case {
            name: "change of an unknown kind",
            plant: |raw| alter_change(raw, 3, 0, |value| value[1] = 9),
            place: "changes row",
            problem: "unknown kind of change 9",
        },
        Case {
            name: "change with another expiry",
            plant: |raw| {
                alter_change(raw, 3, 0, |value| *value = [&value[..value.len() - 1], &[1, 2]].concat())
            },
            place: "changes row 3/0 voice:2#viewer@user:*",
            problem: "no row begins there",
        },
        Case {
            name: "change of another tuple",
            plant: |raw| {
                let value = raw.get("changes", &raw::change(STORE, 9, 0)).unwrap();
                raw.put("changes", &raw::change(STORE, 3, 0), &value);
            },
            place: "changes row 3/0 voice:1#viewer@user:anne",
            problem: "no row begins there",
        },
        Case {
            name: "change that cannot be read",
            plant: |raw| raw.put("changes", &raw::change(STORE, 3, 0), &[1, 1, 1, b'x', 0, 0]),
            place: "changes row",
            problem: "tuple cannot be read",
        },
        Case {
            name: "change under a long key",
            plant: |raw| raw.put("changes", &[&raw::change(STORE, 3, 0)[..], b"x"].concat(), &[1]),
            place: "changes row",
            problem: "key is not one of the change log",
        },
        Case {
            name: "change under a short key",
            plant: |raw| raw.put("changes", b"\0\0\0\x02", &[1]),
            place: "changes row \\x00\\x00\\x00\\x02",
            problem: "key is not one of the change log",
        },
        Case {
            name: "change above the head",
            plant: |raw| {
                let value = raw.get("changes", &raw::change(STORE, 3, 0)).unwrap();
                raw.put("changes", &raw::change(STORE, 12, 0), &value);
            },
            place: "changes row 12/0 voice:2#viewer@user:*",
            problem: "no row begins there",
        },
        Case {
            name: "revision gone",
            plant: |raw| raw.delete("revisions", &raw::revision(STORE, 5)),
            place: "revisions row \\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x06",
            problem: "is revision 6, 5 should follow",
        },
        Case {
            name: "first revision gone",
            plant: |raw| raw.delete("revisions", &raw::revision(STORE, 1)),
            place: "revisions row",
            problem: "is revision 2, 1 should follow",
        },
        Case {
            name: "last revision gone",
            plant: |raw| raw.delete("revisions", &raw::revision(STORE, 9)),
            place: "revisions of store number 2",
            problem: "the last revision is 8, the head says 9",
        },
        Case {
            name: "all revisions gone",
            plant: |raw| (1..10).for_each(|n| raw.delete("revisions", &raw::revision(STORE, n))),
            place: "revisions of store number 2",
            problem: "the last revision is 0, the head says 9",
        },
        Case {
            name: "revision above the head",
            plant: |raw| {
                let value = raw.get("revisions", &raw::revision(STORE, 9)).unwrap();
                raw.put("revisions", &raw::revision(STORE, 10), &value);
            },
            place: "revisions of store number 2",
            problem: "the last revision is 10, the head says 9",
        },
        Case {
            name: "time that goes back",
            plant: |raw| {
                let (before, after) = (raw::revision(STORE, 2), raw::revision(STORE, 8));
                // The same two revisions, committed in the other order: both have a change each then.
                let value = raw.get("revisions", &before).unwrap();
                raw.put("revisions", &after, &value);
            },
            place: "revisions row",
            problem: "was committed before the one before it",
        },
        Case {
            name: "revision that cannot be read",
            plant: |raw| raw.put("revisions", &raw::revision(STORE, 4), &[1]),
            place: "revisions row",
            problem: "cannot be read",
        },
        Case {
            name: "revision under a short key",
            plant: |raw| raw.put("revisions", b"\0\0\0\x02\0", &[1]),
            place: "revisions row \\x00\\x00\\x00\\x02\\x00",
            problem: "cannot be read",
        },
        Case {
            name: "revision under a long key",
            plant: |raw| {
                let value = raw.get("revisions", &raw::revision(STORE, 9)).unwrap();
                raw.put("revisions", &[&raw::revision(STORE, 9)[..], b"x"].concat(), &value);
            },
            place: "revisions row",
            problem: "cannot be read",
        },
        Case {
            name: "schema of a revision gone",
            plant: |raw| raw.delete("schemas", &schema_key(STORE, 1)),
            place: "revisions row",
            problem: "its schema `01040G2081040G2081040G2081` is missing",
        },
        Case {
            name: "another schema in force than was written last",
            plant: |raw| {
                let value = raw.get("revisions", &raw::revision(STORE, 1)).unwrap();
                let record = raw.get("revisions", &raw::revision(STORE, 7)).unwrap();
                // 16 bytes of schema id before kind and number of changes.
                let of_first = &value[value.len() - 18..value.len() - 2];
                let time = record.len() - 18;
                let altered = [&record[..time], of_first, &record[record.len() - 2..]].concat();
                raw.put("revisions", &raw::revision(STORE, 7), &altered);
            },
            place: "revisions row",
            problem: "the schema in force changes",
        },
    ]);
}

/// Alters the value of a change.
fn alter_change(raw: &Raw, revision: u64, ordinal: u32, alter: fn(&mut Vec<u8>)) {
    let key = raw::change(STORE, revision, ordinal);
    let mut value = raw.get("changes", &key).unwrap();
    alter(&mut value);
    raw.put("changes", &key, &value);
}
