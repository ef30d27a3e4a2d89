//! Texts in headers, which take nothing but ASCII: everything else is written as `%` and two hexadecimal digits.

/// Bytes of a text that go into a header; what is longer is cut: clients take headers of a few kilobytes.
const BYTES_MAX: usize = 2 << 10;

pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if at >= BYTES_MAX {
            encoded.push_str("%E2%80%A6");
            break;
        }
        match c {
            ' '..='~' if c != '%' => encoded.push(c),
            c => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| encoded.push_str(&format!("%{byte:02X}")))
            }
        }
    }
    encoded
}

/// The text of a header such as `Stonetown-Reason`; whatever is not encoded well stays as it is.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn every_text_comes_back() {
        for text in ["", "tuple `a:b#c@d:e`", "100 % of %41", "zwei\nZeilen …", "\u{7f}ü%"] {
            let encoded = encode(text);
            assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{encoded}");
            assert_eq!(decode(&encoded), text);
        }
        assert_eq!(decode(&encode(&"ü".repeat(9_999))), "ü".repeat(1_024) + "…");
        assert_eq!(decode("100%, %+1, %4"), "100%, %+1, %4");
    }
}
