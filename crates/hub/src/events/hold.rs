//! What a session remembers of its row between two deliveries.

use record::Key;
use record::hash::RowHasher;
use serde_json::{Value as Json, json};

/// So many rows that could not be delivered are remembered in a session that several share, the newest.
const REFUSED_MAX: usize = 64;

/// What a session remembers: the dead letter that holds its row, and how long its first message has waited for what it
/// points to. What waits for the dead letter is deferred in the session.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hold {
    /// The number of its message.
    pub by: Option<i64>,
    /// The hashes of rows that a dead letter could not deliver, where it read them, also where later events pass it: a row
    /// that looks otherwise has changed since. Each with what tells its key from others; 0 where that is not known.
    refused: Vec<(u64, u128)>,
    /// The message that waits for what it points to, by its number, and how often that was looked for.
    pub looked: Option<(i64, u32)>,
}

/// What tells a key from others.
fn told(key: Option<&Key>) -> u64 {
    let hash = |key: &Key| RowHasher::default().hash(key.parts().iter().map(record::Value::as_ref));
    key.map_or(0, |key| hash(key) as u64)
}

impl Hold {
    pub fn read(state: Option<&[u8]>) -> Hold {
        let state: Json = state.and_then(|s| serde_json::from_slice(s).ok()).unwrap_or_default();
        let hash = |json: &Json| json.as_str().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let pair = |json: &Json| Some((json[0].as_u64()?, hash(&json[1])?));
        let refused = state["refused"].as_array().into_iter().flatten().filter_map(pair);
        // An earlier version knew one, and not whose it was.
        let refused = refused.chain(hash(&state["row"]).map(|row| (0, row))).collect();
        let looked = state["looked"][0].as_i64().zip(state["looked"][1].as_u64());
        Hold { by: state["by"].as_i64(), refused, looked: looked.map(|(seq, looks)| (seq, looks as u32)) }
    }

    /// The same, held by nothing.
    pub fn free(&self) -> Hold {
        Hold { refused: self.refused.clone(), ..Hold::default() }
    }

    /// A dead letter could not deliver the row with this key, which looks like this where it was read. `shared`: other rows
    /// have the session too.
    pub fn refuse(&mut self, key: Option<&Key>, row: Option<u128>, shared: bool) {
        self.settle(key, shared);
        if let Some(row) = row.filter(|row| !self.has_refused(*row)) {
            self.refused.push((told(key), row));
        }
        let old = self.refused.len().saturating_sub(REFUSED_MAX);
        self.refused.drain(..old);
    }

    /// Nothing is remembered of the row with this key any more. Answers whether something was.
    pub fn settle(&mut self, key: Option<&Key>, shared: bool) -> bool {
        let before = self.refused.len();
        self.refused.retain(|(of, _)| shared && (*of == 0 || *of != told(key)));
        self.refused.len() < before
    }

    /// Whether a row that looks like this could not be delivered.
    pub fn has_refused(&self, row: u128) -> bool {
        self.refused.iter().any(|(_, refused)| *refused == row)
    }

    /// How often was looked for what this message points to.
    pub fn looks(&self, seq: i64) -> u32 {
        self.looked.filter(|(of, _)| *of == seq).map_or(0, |(_, looks)| looks)
    }

    pub fn write(&self) -> Option<Vec<u8>> {
        let refused: Vec<Json> = self.refused.iter().map(|(of, row)| json!([of, format!("{row:x}")])).collect();
        let all = || json!({ "by": self.by, "refused": refused, "looked": self.looked }).to_string().into_bytes();
        (*self != Hold::default()).then(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_comes_back_as_it_was_noted() {
        let hold = Hold { by: Some(7), refused: vec![(u64::MAX, 1 << 100)], looked: None };
        assert_eq!(Hold::read(hold.write().as_deref()), hold);
        let hold = Hold { looked: Some((9, 3)), ..Hold::default() };
        assert_eq!(Hold::read(hold.write().as_deref()), hold);
        assert_eq!((hold.looks(9), hold.looks(10)), (3, 0));
        assert_eq!(Hold::default().write(), None);
        assert_eq!(Hold::read(None), Hold::default());
        let earlier = Hold::read(Some(br#"{"by":7,"row":"ff","looked":null}"#));
        assert!(earlier.by == Some(7) && earlier.has_refused(255), "{earlier:?}");
    }

    #[test]
    fn each_row_of_a_session_that_several_share_is_remembered_for_itself() {
        let [one, other] = ["O-1", "O-2"].map(|key| Key::of(&[record::Value::text(key)]).unwrap());
        let mut hold = Hold::default();
        hold.refuse(Some(&one), Some(1), true);
        hold.refuse(Some(&other), Some(2), true);
        hold.refuse(None, Some(3), true);
        assert!([1, 2, 3].iter().all(|row| hold.has_refused(*row)), "{hold:?}");
        hold.refuse(Some(&one), Some(4), true);
        assert!(!hold.has_refused(1) && hold.has_refused(4), "it has changed since");
        assert!(hold.settle(Some(&other), true) && !hold.settle(Some(&other), true));
        assert_eq!([2, 3, 4].map(|row| hold.has_refused(row)), [false, true, true]);
        for row in 10..200 {
            hold.refuse(None, Some(row), true);
        }
        assert!(hold.refused.len() == REFUSED_MAX && hold.has_refused(199) && !hold.has_refused(4));
        // Where a row has the session to itself, its key may have changed.
        hold.refuse(Some(&one), Some(5), false);
        assert_eq!(hold.refused.len(), 1);
        assert!(hold.settle(None, false) && hold == Hold::default());
    }
}
