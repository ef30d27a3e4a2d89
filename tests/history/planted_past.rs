//! Planted into the families of the past.

use crate::planted::{ANNE, BOB, Case, EVE, STORE, hold, put_both_ended};
use crate::raw::{self, backward, ended, forward, of_store, row_value};

#[test]
fn validation_names_damaged_history() {
    hold(&[
        Case {
            name: "row gone from history",
            plant: |raw| raw.delete("history", &ended(forward(STORE, ANNE), 5)),
            place: "history_by_subject row voice:1#viewer@user:anne",
            problem: "is missing in history",
        },
        Case {
            name: "row gone from history_by_subject",
            plant: |raw| raw.delete("history_by_subject", &ended(backward(STORE, ANNE), 8)),
            place: "history row voice:1#viewer@user:anne",
            problem: "is missing in history_by_subject",
        },
        Case {
            name: "directions differ",
            plant: |raw| raw.put("history_by_subject", &ended(backward(STORE, BOB), 4), &row_value(2)),
            place: "history row voice:1#viewer@user:bob",
            problem: "differs from its row in history_by_subject",
        },
        Case {
            name: "rows gone from both directions",
            plant: |raw| {
                raw.delete("history", &ended(forward(STORE, BOB), 4));
                raw.delete("history_by_subject", &ended(backward(STORE, BOB), 4));
            },
            place: "changes row 4/0 voice:1#viewer@user:bob",
            problem: "no row ends there",
        },
        Case {
            name: "interval that the log does not know",
            plant: |raw| put_both_ended(raw, EVE, 6, &row_value(3)),
            place: "history row voice:1#viewer@user:eve",
            problem: "ends at 6, the change log does not say so",
        },
        Case {
            name: "overlapping intervals",
            plant: |raw| put_both_ended(raw, ANNE, 8, &row_value(4)),
            place: "history row voice:1#viewer@user:anne",
            problem: "begins at 4 before the one that ends at 5",
        },
        Case {
            name: "interval that reaches into the current row",
            plant: |raw| put_both_ended(raw, BOB, 6, &row_value(2)),
            place: "history row voice:1#viewer@user:bob",
            problem: "ends at 6, after its current row began at 4",
        },
        Case {
            name: "interval without length",
            plant: |raw| put_both_ended(raw, ANNE, 8, &row_value(8)),
            place: "history row voice:1#viewer@user:anne",
            problem: "begins at 8 and ends at 8",
        },
        Case {
            name: "interval that ends in the future",
            plant: |raw| put_both_ended(raw, EVE, 12, &row_value(3)),
            place: "history row voice:1#viewer@user:eve",
            problem: "ends at 12, the change log does not say so",
        },
        Case {
            name: "interval below the horizon that collection cannot find",
            plant: |raw| {
                raw.put("meta", &of_store("horizon", STORE), &raw::number_value(5));
                let prefix = [STORE.to_be_bytes().as_slice(), &5_u64.to_be_bytes()].concat();
                raw.rows("changes", &prefix).iter().for_each(|(key, _)| raw.delete("changes", key));
            },
            place: "history row voice:1#viewer@user:anne",
            problem: "ends at 5, the change log does not say so",
        },
        Case {
            name: "key without its revision",
            plant: |raw| raw.put("history", &forward(STORE, ANNE), &row_value(2)),
            place: "history row",
            problem: "key is not one of a tuple",
        },
        Case {
            name: "short key",
            plant: |raw| raw.put("history_by_subject", b"\0\0\0\x02", &row_value(2)),
            place: "history_by_subject row \\x00\\x00\\x00\\x02",
            problem: "key is short",
        },
        Case {
            name: "empty value",
            plant: |raw| raw.put("history", &ended(forward(STORE, ANNE), 5), &[]),
            place: "history row",
            problem: "value is empty",
        },
    ]);
}
