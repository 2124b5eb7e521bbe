//! Rows of one run that are one row to the destination: their keys differ only in what it does not look at, such as
//! capitals.
//!
//! Every new row of a run is remembered until the read has ended, so a first load of a million of them is what decides the
//! memory of a run. The keys lie one after another, and a table of places of eight bytes finds them.

use record::{Key, KeyHasher, KeyRules};

use crate::slots;

/// Keys of a run that were not in the ledger.
#[derive(Default)]
pub(crate) struct Twins {
    /// For each key its length in four bytes, and its bytes.
    keys: Vec<u8>,
    count: usize,
    /// Open addressing by the hash, at most two thirds full: 24 bits of the hash above a place in `keys`, counted from one.
    /// A free slot is 0.
    slots: Vec<u64>,
    hasher: KeyHasher,
}

const SLOTS_MIN: usize = 1 << 10;
const PLACE_BITS: u32 = 40;
const LENGTH_BYTES: usize = size_of::<u32>();

impl Twins {
    /// Remembers a key; answers with an earlier one of another spelling.
    pub fn meet(&mut self, key: &Key, rules: KeyRules) -> Option<Key> {
        // Who looks at everything knows no other spelling.
        if rules == KeyRules::default() {
            return None;
        }
        if (self.count + 1) * 3 > self.slots.len() * 2 {
            self.grow(rules);
        }
        let hash = self.hasher.hash(key, rules);
        let mut slot = slots::first(hash, self.slots.len());
        while self.slots[slot] != 0 {
            if self.slots[slot] >> PLACE_BITS == tag(hash) {
                let met = self.at(place(self.slots[slot]));
                if self.hasher.hash(&met, rules) == hash {
                    return (met != *key).then_some(met);
                }
            }
            slot = slots::after(slot, self.slots.len());
        }
        self.slots[slot] = tag(hash) << PLACE_BITS | (self.keys.len() as u64 + 1);
        let bytes = key.as_bytes();
        let length = u32::try_from(bytes.len()).expect("a key is far shorter than 4 GB");
        self.keys.extend(length.to_le_bytes());
        self.keys.extend(bytes);
        self.count += 1;
        None
    }

    fn grow(&mut self, rules: KeyRules) {
        let slots = (self.slots.len() * 2).max(SLOTS_MIN);
        // The old ones go before the new ones are there: the keys themselves say where they belong.
        self.slots = Vec::new();
        self.slots.resize(slots, 0);
        let mut begin = 0;
        while begin < self.keys.len() {
            let hash = self.hasher.hash(&self.at(begin), rules);
            let mut slot = slots::first(hash, self.slots.len());
            while self.slots[slot] != 0 {
                slot = slots::after(slot, self.slots.len());
            }
            self.slots[slot] = tag(hash) << PLACE_BITS | (begin as u64 + 1);
            begin += LENGTH_BYTES + self.length(begin);
        }
    }

    fn length(&self, begin: usize) -> usize {
        let bytes = self.keys[begin..begin + LENGTH_BYTES].try_into().expect("a length has four bytes");
        u32::from_le_bytes(bytes) as usize
    }

    fn at(&self, begin: usize) -> Key {
        let bytes = &self.keys[begin + LENGTH_BYTES..][..self.length(begin)];
        Key::from_bytes(bytes).expect("it was a key before it was put here")
    }
}

/// The lowest bits, which do not say where the slot is.
fn tag(hash: u128) -> u64 {
    hash as u64 & ((1 << (64 - PLACE_BITS)) - 1)
}

fn place(slot: u64) -> usize {
    (slot & ((1 << PLACE_BITS) - 1)) as usize - 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use record::Value;

    use super::*;

    #[test]
    fn another_spelling_is_met_and_the_same_one_is_not() {
        let rules = KeyRules { ignore_case: true, ignore_trailing_spaces: true };
        let (mut twins, mut model) = (Twins::default(), HashMap::new());
        let key = |text: &str| Key::of(&[Value::text(text)]).unwrap();
        let mut spellings = 0;
        for n in 0..20_000_u32 {
            // Every seventh number comes again later, now and then in other letters, with a space, or as it was.
            let number = if n % 7 == 0 { n / 2 } else { n };
            let text = match n % 3 {
                0 => format!("äb-{number}"),
                1 => format!("ÄB-{number}"),
                _ => format!("äb-{number} "),
            };
            let one = key(&text);
            let first = model.entry(one.folded(rules)).or_insert_with(|| one.clone());
            let expected = (*first != one).then(|| first.clone());
            spellings += usize::from(expected.is_some());
            assert_eq!(twins.meet(&one, rules), expected, "{text}");
        }
        assert!(spellings > 500 && twins.count == model.len(), "{spellings}, {} keys", twins.count);
        assert!(twins.slots.len() > SLOTS_MIN);
    }

    #[test]
    fn who_looks_at_everything_needs_no_memory() {
        let mut twins = Twins::default();
        for text in ["A", "a", "a "] {
            assert_eq!(twins.meet(&Key::of(&[Value::text(text)]).unwrap(), KeyRules::default()), None);
        }
        assert!(twins.keys.is_empty() && twins.slots.is_empty());
    }
}
