//! Rows of one read that are one row to the destination: they have one key, or keys that differ only in what it does not
//! look at, such as capitals.
//!
//! Every row that is not as it was written is remembered until the read has ended, so a first load of a million of them is
//! what decides the memory of a run. The keys lie one after another, and a table of places of eight bytes finds them.

use record::{Key, KeyHasher, KeyRules};

use crate::slots;

/// Keys of rows that a read has met, and that were not as they were written.
#[derive(Default)]
pub(crate) struct Twins {
    /// Each row comes once: one of the same key is another row. A read of changes may give one twice, as it was and as it is.
    once: bool,
    /// For each key four bytes of its row's hash, its length in four bytes, and its bytes.
    keys: Vec<u8>,
    count: usize,
    /// Open addressing by the hash, at most two thirds full: 24 bits of the hash above a place in `keys`, counted from one.
    /// A free slot is 0.
    slots: Vec<u64>,
    hasher: KeyHasher,
    /// The keys of the destination, where they are made of less than what tells rows apart.
    there: Option<Box<Twins>>,
}

const SLOTS_MIN: usize = 1 << 10;
const PLACE_BITS: u32 = 40;
const ROW_BYTES: usize = size_of::<u32>();
const LENGTH_BYTES: usize = size_of::<u32>();

impl Twins {
    /// `once`: each row comes once.
    pub fn new(once: bool) -> Twins {
        Twins { once, ..Twins::default() }
    }

    /// Remembers the key that a row has in the destination; answers whether another row of the source has it too.
    pub fn meet_there(&mut self, there: &Key, key: &Key, rules: KeyRules) -> bool {
        let row = self.hasher.hash(key, KeyRules::default());
        self.there.get_or_insert_with(|| Box::new(Twins::new(true))).meet(there, row, rules).is_some()
    }

    /// Remembers the key of a row; answers with that of an earlier row that is another one.
    pub fn meet(&mut self, key: &Key, row: u128, rules: KeyRules) -> Option<Key> {
        // Who looks at everything knows no other spelling, but for that of an accent.
        if !self.once && rules == KeyRules::default() && !self.hasher.has_other_forms(key) {
            return None;
        }
        let row = row as u32;
        if (self.count + 1) * 3 > self.slots.len() * 2 {
            self.grow(rules);
        }
        let hash = self.hasher.hash(key, rules);
        let mut slot = slots::first(hash, self.slots.len());
        while self.slots[slot] != 0 {
            if self.slots[slot] >> PLACE_BITS == tag(hash) {
                let at = place(self.slots[slot]);
                let met = self.at(at);
                if self.hasher.hash(&met, rules) == hash {
                    return (met != *key || self.once && self.row(at) != row).then_some(met);
                }
            }
            slot = slots::after(slot, self.slots.len());
        }
        self.slots[slot] = tag(hash) << PLACE_BITS | (self.keys.len() as u64 + 1);
        let bytes = key.as_bytes();
        let length = u32::try_from(bytes.len()).expect("a key is far shorter than 4 GB");
        self.keys.extend(row.to_le_bytes());
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
            begin += ROW_BYTES + LENGTH_BYTES + self.length(begin);
        }
    }

    fn row(&self, begin: usize) -> u32 {
        let bytes = self.keys[begin..begin + ROW_BYTES].try_into().expect("a part of a hash has four bytes");
        u32::from_le_bytes(bytes)
    }

    fn length(&self, begin: usize) -> usize {
        let bytes = self.keys[begin + ROW_BYTES..][..LENGTH_BYTES].try_into().expect("a length has four bytes");
        u32::from_le_bytes(bytes) as usize
    }

    fn at(&self, begin: usize) -> Key {
        let bytes = &self.keys[begin + ROW_BYTES + LENGTH_BYTES..][..self.length(begin)];
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
    fn another_row_is_met_and_the_same_one_is_not() {
        let rules = KeyRules { ignore_case: true, ignore_trailing_spaces: true, ..KeyRules::default() };
        let (mut twins, mut model) = (Twins::new(true), HashMap::new());
        let key = |text: &str| Key::of(&[Value::text(text)]).unwrap();
        let (mut spellings, mut rows) = (0, 0);
        for n in 0..20_000_u32 {
            // Every seventh number comes again later, now and then in other letters, with a space, or as it was; the row
            // with it, or another one.
            let number = if n % 7 == 0 { n / 2 } else { n };
            let row = u128::from(number) << 40 | u128::from(n % 49 == 0);
            let text = match n % 3 {
                0 => format!("äb-{number}"),
                1 => format!("ÄB-{number}"),
                _ => format!("äb-{number} "),
            };
            let one = key(&text);
            let (first, its) = model.entry(one.folded(rules)).or_insert_with(|| (one.clone(), row as u32));
            let expected = (*first != one || *its != row as u32).then(|| first.clone());
            spellings += usize::from(*first != one);
            rows += usize::from(*first == one && expected.is_some());
            assert_eq!(twins.meet(&one, row, rules), expected, "{text}");
        }
        assert!(spellings > 500 && rows > 10 && twins.count == model.len(), "{spellings}, {rows}, {}", twins.count);
        assert!(twins.slots.len() > SLOTS_MIN);
    }

    #[test]
    fn a_read_of_changes_may_give_a_row_twice() {
        let key = |text: &str| Key::of(&[Value::text(text)]).unwrap();
        let (rules, mut twins) = (KeyRules { ignore_case: true, ..KeyRules::default() }, Twins::new(false));
        let mut met = |text: &str, row| twins.meet(&key(text), row, rules);
        assert_eq!([met("A", 1), met("A", 2), met("a", 3)], [None, None, Some(key("A"))]);
        let mut nothing = Twins::new(false);
        assert_eq!([1, 2].map(|row| nothing.meet(&key("A"), row, KeyRules::default())), [None, None]);
        assert!(nothing.keys.is_empty() && nothing.slots.is_empty());
    }
}
