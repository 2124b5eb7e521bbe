use crate::{Error, Problem};

/// Decodes `%XX` escapes; with `plus_is_space`, as in a query string, also `+`.
///
/// *Errors*: an escape that is cut short, or bytes that are not UTF-8.
pub fn decode(text: &str, plus_is_space: bool) -> Result<String, Error> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let bad = |at| Error { problem: Problem::BadEscape, at, text: text.to_owned() };
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3).ok_or_else(|| bad(at))?;
                let (high, low) = (hex(digits[0]), hex(digits[1]));
                let (Some(high), Some(low)) = (high, low) else { return Err(bad(at)) };
                out.push(high << 4 | low);
                at += 3;
                continue;
            }
            b'+' if plus_is_space => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).map_err(|error| bad(error.utf8_error().valid_up_to()))
}

/// Encodes everything but the characters that RFC 3986 calls unreserved.
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + 16);
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Splits a raw query string into decoded names and values, in order; a part without `=` has an empty value.
///
/// A semicolon does not separate: it belongs to nested `$expand` options.
pub fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_go_both_ways() {
        let text = "O'Brien & Söhne 100%+";
        assert_eq!(decode(&encode(text), true).unwrap(), text);
        assert_eq!(decode("a+b%20c", true).unwrap(), "a b c");
        assert_eq!(decode("a+b", false).unwrap(), "a+b");
    }

    #[test]
    fn bad_escapes_say_where() {
        for (text, at) in [("ab%", 2), ("%4", 0), ("x%zz", 1), ("%FF", 0)] {
            let error = decode(text, false).unwrap_err();
            assert_eq!((error.problem, error.at), (Problem::BadEscape, at), "{text}");
        }
    }
}
