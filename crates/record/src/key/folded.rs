//! Keys as a destination compares them, as hashes: each row of a run is asked for one.

use xxhash_rust::xxh3::xxh3_128;

use super::{BOOL, CHOICE, DATE, GUID, INSTANT, INT, Key, KeyRules, TEXT};

/// Hashes keys, reusing one buffer.
///
/// *Shape*: two keys have one hash exactly where [`Key::folded`] makes them one key.
#[derive(Debug, Default)]
pub struct KeyHasher {
    scratch: Vec<u8>,
}

impl KeyHasher {
    /// The hash of a key under these rules.
    pub fn hash(&mut self, key: &Key, rules: KeyRules) -> u128 {
        self.scratch.clear();
        match fold(key.as_bytes(), rules, &mut self.scratch) {
            Some(()) => xxh3_128(&self.scratch),
            None => xxh3_128(key.folded(rules).as_bytes()),
        }
    }

    /// Whether a destination that compares exactly may know this key by other bytes as well.
    pub fn has_other_forms(&mut self, key: &Key) -> bool {
        self.scratch.clear();
        fold(key.as_bytes(), KeyRules::default(), &mut self.scratch).is_none()
    }
}

/// What [`Key::folded`] would give. `None`: a text that is not plain ASCII, or a part whose end is not known here.
fn fold(key: &[u8], rules: KeyRules, out: &mut Vec<u8>) -> Option<()> {
    let (version, mut rest) = key.split_first()?;
    out.push(*version);
    while let Some((&tag, after)) = rest.split_first() {
        out.push(tag);
        rest = match tag {
            TEXT | CHOICE => {
                let end = after.iter().position(|byte| *byte == 0 || !byte.is_ascii())?;
                let (text, behind) = (&after[..end], after[end..].strip_prefix(&[0, 0])?);
                fold_text(text, if tag == TEXT { rules } else { KeyRules::default() }, out);
                out.extend_from_slice(&[0, 0]);
                behind
            }
            BOOL => fixed(after, 1, out)?,
            INT | DATE => fixed(after, 8, out)?,
            INSTANT | GUID => fixed(after, 16, out)?,
            _ => return None,
        };
    }
    Some(())
}

fn fold_text(text: &[u8], rules: KeyRules, out: &mut Vec<u8>) {
    let filled = text.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    let text = if rules.ignore_trailing_spaces { &text[..filled] } else { text };
    let from = out.len();
    out.extend_from_slice(text);
    if rules.ignore_case {
        out[from..].make_ascii_lowercase();
    }
}

fn fixed<'a>(bytes: &'a [u8], len: usize, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (part, rest) = bytes.split_at_checked(len)?;
    out.extend_from_slice(part);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn one_hash_for_what_the_destination_takes_for_one_key() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let keys: Vec<Key> = [
            vec!["C-1".into()],
            vec!["c-1".into()],
            vec!["C-1 ".into()],
            vec!["C-1  ".into()],
            vec!["Zoë".into()],
            vec!["ZOË ".into()],
            vec!["Zoe\u{308}".into()],
            vec!["zoe".into()],
            vec!["a\0b".into()],
            vec!["A\0b ".into()],
            vec!["a".into(), "b ".into()],
            vec!["A".into(), "b".into()],
            vec![Value::Choice("Red".into()), "x".into()],
            vec![Value::Choice("red".into()), "X".into()],
            vec![Value::Int(5), "X ".into()],
            vec![Value::Int(5), "x".into()],
            vec![decimal("-1.5"), "X".into()],
            vec![decimal("-1.5"), "x ".into()],
            vec![Value::Guid(uuid::Uuid::from_u128(3)), Value::Bool(true)],
            vec![Value::Date(jiff::civil::date(2026, 1, 1)), Value::Instant(jiff::Timestamp::UNIX_EPOCH), "A".into()],
        ]
        .iter()
        .map(|parts: &Vec<Value>| Key::of(parts).unwrap())
        .collect();
        let mut hasher = KeyHasher::default();
        for ignore_case in [false, true] {
            for ignore_trailing_spaces in [false, true] {
                for ignore_accents in [false, true] {
                    let rules = KeyRules { ignore_case, ignore_trailing_spaces, ignore_accents, as_kept: false };
                    for a in &keys {
                        for b in &keys {
                            let one = a.folded(rules) == b.folded(rules);
                            assert_eq!(hasher.hash(a, rules) == hasher.hash(b, rules), one, "{a} and {b}, {rules:?}");
                        }
                    }
                }
            }
        }
    }
}
