//! Planted into the families of current tuples.

use crate::planted::{ALL, ANNE, Case, EVE, PARENT, STORE, hold, put_both};
use crate::raw::{backward, forward, row_value};

#[test]
fn validation_names_damaged_current_rows() {
    hold(&[
        Case {
            name: "row gone from tuples",
            plant: |raw| raw.delete("tuples", &forward(STORE, ANNE)),
            place: "by_subject row voice:1#viewer@user:anne",
            problem: "is missing in tuples",
        },
        Case {
            name: "row gone from by_subject",
            plant: |raw| raw.delete("by_subject", &backward(STORE, PARENT)),
            place: "tuples row org:o#parent@org:p#member",
            problem: "is missing in by_subject",
        },
        Case {
            name: "row too many in by_subject",
            plant: |raw| raw.put("by_subject", &backward(STORE, EVE), &row_value(2)),
            place: "by_subject row voice:1#viewer@user:eve",
            problem: "is missing in tuples",
        },
        Case {
            name: "directions differ in their created revision",
            plant: |raw| raw.put("by_subject", &backward(STORE, ALL), &row_value(2)),
            place: "tuples row voice:2#viewer@user:*",
            problem: "differs from its row in by_subject",
        },
        Case {
            name: "directions differ in their condition",
            plant: |raw| raw.put("tuples", &forward(STORE, ALL), &[1, 3, 1, 1, b'c', 2, b'{', b'}', 0]),
            place: "tuples row voice:2#viewer@user:*",
            problem: "differs from its row in by_subject",
        },
        Case {
            name: "row gone from both directions",
            plant: |raw| {
                raw.delete("tuples", &forward(STORE, ALL));
                raw.delete("by_subject", &backward(STORE, ALL));
            },
            place: "changes row 3/0 voice:2#viewer@user:*",
            problem: "no row begins there",
        },
        Case {
            name: "row that the log does not know",
            plant: |raw| put_both(raw, EVE, &row_value(3)),
            place: "tuples row voice:1#viewer@user:eve",
            problem: "begins at 3, the change log does not say so",
        },
        Case {
            name: "row with another condition than was written",
            plant: |raw| put_both(raw, ALL, &[1, 3, 1, 1, b'c', 2, b'{', b'}', 0]),
            place: "tuples row voice:2#viewer@user:*",
            problem: "begins at 3, the change log does not say so",
        },
        Case {
            name: "row with another expiry than was written",
            plant: |raw| put_both(raw, ALL, &[1, 3, 0, 1, 2]),
            place: "tuples row voice:2#viewer@user:*",
            problem: "begins at 3, the change log does not say so",
        },
        Case {
            name: "row of the future",
            plant: |raw| put_both(raw, ALL, &row_value(10)),
            place: "tuples row voice:2#viewer@user:*",
            problem: "is of revision 10, the store is at 9",
        },
        Case {
            name: "row of no revision",
            plant: |raw| put_both(raw, ALL, &row_value(0)),
            place: "tuples row voice:2#viewer@user:*",
            problem: "is of revision 0",
        },
        Case {
            name: "short key",
            plant: |raw| raw.put("tuples", b"\0\0", &row_value(2)),
            place: "tuples row \\x00\\x00",
            problem: "key",
        },
        Case {
            name: "key without an end",
            plant: |raw| raw.put("by_subject", b"\0\0\0\x02\x01user\0anne", &row_value(2)),
            place: "by_subject row \\x00\\x00\\x00\\x02\\x01user\\x00anne",
            problem: "key is not one of a tuple",
        },
        Case {
            name: "key with bytes after its end",
            plant: |raw| raw.put("tuples", &[&forward(STORE, ANNE)[..], b"x"].concat(), &row_value(9)),
            place: "user\\x00anne\\x00x",
            problem: "key is not one of a tuple",
        },
        Case {
            name: "key that is no text",
            plant: |raw| raw.put("tuples", b"\0\0\0\x02voice\0\xff\0viewer\0\x01user\0anne\0", &row_value(2)),
            place: "tuples row \\x00\\x00\\x00\\x02voice\\x00\\xff",
            problem: "key is not one of a tuple",
        },
        Case {
            name: "key of an unknown kind of subject",
            plant: |raw| raw.put("tuples", b"\0\0\0\x02voice\x001\0viewer\0\x04user\0anne\0", &row_value(2)),
            place: "\\x04user",
            problem: "key is not one of a tuple",
        },
        Case {
            name: "name that no parser passes",
            plant: |raw| raw.put("tuples", b"\0\0\0\x02voice\x001\0vie wer\0\x01user\0anne\0", &row_value(2)),
            place: "tuples row",
            problem: "`voice:1#vie wer@user:anne` breaks the rules for names",
        },
        Case {
            name: "object that is a wildcard",
            plant: |raw| raw.put("tuples", b"\0\0\0\x02voice\x00*\0viewer\0\x01user\0anne\0", &row_value(2)),
            place: "tuples row",
            problem: "`voice:*#viewer@user:anne` breaks the rules for names",
        },
        Case {
            name: "wildcard stored as an object",
            plant: |raw| raw.put("tuples", b"\0\0\0\x02voice\x002\0viewer\0\x01user\0*\0", &row_value(3)),
            place: "tuples row",
            problem: "`voice:2#viewer@user:*` breaks the rules for names",
        },
        Case {
            name: "value of an unknown version",
            plant: |raw| raw.put("tuples", &forward(STORE, ANNE), &[2, 9, 0, 0]),
            place: "tuples row",
            problem: "unknown version 2",
        },
        Case {
            name: "cut value",
            plant: |raw| raw.put("by_subject", &backward(STORE, ANNE), &[1, 9, 0]),
            place: "by_subject row",
            problem: "value cannot be read",
        },
    ]);
}
