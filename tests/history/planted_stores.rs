//! Planted among stores, heads and schemas, and rows that belong to no store.

use crate::planted::{ANNE, Case, NOBODY, STORE, hold, schema_key};
use crate::raw::{self, Raw, backward, ended, forward, of_store, row_value};

#[test]
fn validation_names_damaged_stores_and_heads() {
    hold(&[
        Case {
            name: "head too low",
            plant: |raw| alter_head(raw, |value| value[1] = 8),
            place: "revisions of store number 2",
            problem: "the last revision is 9, the head says 8",
        },
        Case {
            name: "head too high",
            plant: |raw| alter_head(raw, |value| value[1] = 10),
            place: "revisions of store number 2",
            problem: "the last revision is 9, the head says 10",
        },
        Case {
            name: "head with another schema",
            plant: |raw| {
                alter_head(raw, |value| {
                    let at = value.len() - 16;
                    value[at..].fill(1);
                });
            },
            place: "meta head/2",
            problem: "says schema `01040G2081040G2081040G2081`",
        },
        Case {
            name: "head with another time",
            plant: |raw| alter_head(raw, |value| value[3] ^= 2),
            place: "meta head/2",
            problem: "says time",
        },
        Case {
            name: "head that cannot be read",
            plant: |raw| raw.put("meta", &of_store("head", STORE), &[1, 9]),
            place: "opening",
            problem: "damaged: meta row head/\\x00\\x00\\x00\\x02: value cannot be read",
        },
        Case {
            name: "head gone",
            plant: |raw| raw.delete("meta", &of_store("head", STORE)),
            place: "opening",
            problem: "damaged: meta: store number 2 has no head",
        },
        Case {
            name: "head of nobody",
            plant: |raw| {
                let value = raw.get("meta", &of_store("head", STORE)).unwrap();
                raw.put("meta", &of_store("head", NOBODY), &value);
            },
            place: "meta head/77",
            problem: "belongs to no store",
        },
        Case {
            name: "mapping gone",
            plant: |raw| raw.delete("stores", &[STORE as u8; 16]),
            place: "tuples of store number 2",
            problem: "belongs to no store",
        },
        Case {
            name: "two stores with one number",
            plant: |raw| {
                let value = raw.get("stores", &[STORE as u8; 16]).unwrap();
                raw.put("stores", &[9; 16], &value);
            },
            place: "stores row",
            problem: "has the number 2 of store `",
        },
        Case {
            name: "number that will be given out again",
            plant: |raw| raw.put("meta", b"next_store", &raw::number_value(3)),
            place: "meta next_store",
            problem: "is 3, store number 3 is in use",
        },
        Case {
            name: "store under a short key",
            plant: |raw| {
                let value = raw.get("stores", &[STORE as u8; 16]).unwrap();
                raw.put("stores", b"x", &value);
            },
            place: "opening",
            problem: "damaged: stores row x: key is not a store id",
        },
        Case {
            name: "store that cannot be read",
            plant: |raw| raw.put("stores", &[STORE as u8; 16], &[1]),
            place: "opening",
            problem: "damaged: stores row \\x02\\x02",
        },
        Case {
            name: "schema that cannot be read",
            plant: |raw| raw.put("schemas", &schema_key(STORE, 1), &[1, 1, 9]),
            place: "schemas row",
            problem: "value cannot be read",
        },
        Case {
            name: "schema of another revision",
            plant: |raw| raw.put("schemas", &schema_key(STORE, 1), &[1, 2, 2, b'{', b'}']),
            place: "revisions row",
            problem: "the schema in force changes to `01040G2081040G2081040G2081`, which revision 2 wrote",
        },
        Case {
            name: "schema that no revision wrote",
            plant: |raw| raw.put("schemas", &schema_key(STORE, 3), &[1, 3, 2, b'{', b'}']),
            place: "schemas row",
            problem: "was written at 3, that revision has no schema of its own",
        },
        Case {
            name: "schema under a short key",
            plant: |raw| raw.put("schemas", b"\0\0\0\x02x", &[1, 3, 2, b'{', b'}']),
            place: "schemas row \\x00\\x00\\x00\\x02x",
            problem: "key",
        },
    ]);
}

/// Alters the value of the head: version, revision, time, schema.
fn alter_head(raw: &Raw, alter: fn(&mut Vec<u8>)) {
    let key = of_store("head", STORE);
    let mut value = raw.get("meta", &key).unwrap();
    alter(&mut value);
    raw.put("meta", &key, &value);
}

/// One row of a store that does not exist, in every family there is.
#[test]
fn validation_names_orphans() {
    hold(&[
        Case {
            name: "tuples",
            plant: |raw| raw.put("tuples", &forward(NOBODY, ANNE), &row_value(2)),
            place: "tuples of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "by_subject",
            plant: |raw| raw.put("by_subject", &backward(NOBODY, ANNE), &row_value(2)),
            place: "by_subject of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "history",
            plant: |raw| raw.put("history", &ended(forward(NOBODY, ANNE), 2), &row_value(1)),
            place: "history of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "history_by_subject",
            plant: |raw| raw.put("history_by_subject", &ended(backward(0, ANNE), 2), &row_value(1)),
            place: "history_by_subject of store number 0",
            problem: "belongs to no store",
        },
        Case {
            name: "changes",
            plant: |raw| {
                let value = raw.get("changes", &raw::change(STORE, 3, 0)).unwrap();
                raw.put("changes", &raw::change(NOBODY, 3, 0), &value);
            },
            place: "changes of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "revisions",
            plant: |raw| {
                let value = raw.get("revisions", &raw::revision(STORE, 9)).unwrap();
                raw.put("revisions", &raw::revision(NOBODY, 9), &value);
            },
            place: "revisions of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "schemas",
            plant: |raw| raw.put("schemas", &schema_key(NOBODY, 1), &[1, 1, 2, b'{', b'}']),
            place: "schemas of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "assertions",
            plant: |raw| raw.put("assertions", &schema_key(NOBODY, 1), &[1, 0]),
            place: "assertions of store number 77",
            problem: "belongs to no store",
        },
        Case {
            name: "horizon",
            plant: |raw| raw.put("meta", &of_store("horizon", NOBODY), &raw::number_value(1)),
            place: "meta horizon/77",
            problem: "belongs to no store",
        },
        Case {
            name: "garbage in a family of stores",
            plant: |raw| raw.put("revisions", b"x", b"y"),
            place: "revisions row x",
            problem: "key is short",
        },
    ]);
}
