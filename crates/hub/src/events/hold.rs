//! What a session remembers of its row between two deliveries.

use serde_json::json;

/// What a session remembers: the dead letter that holds its row, and how long its first message has waited for what it
/// points to. What waits for the dead letter is deferred in the session.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hold {
    /// The number of its message.
    pub by: Option<i64>,
    /// The hash of the row that a dead letter could not deliver, where it read it, also where later events pass it: a row
    /// that looks otherwise has changed since.
    pub row: Option<u128>,
    /// The message that waits for what it points to, by its number, and how often that was looked for.
    pub looked: Option<(i64, u32)>,
}

impl Hold {
    pub fn read(state: Option<&[u8]>) -> Hold {
        let state: serde_json::Value = state.and_then(|s| serde_json::from_slice(s).ok()).unwrap_or_default();
        let row = state["row"].as_str().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let looked = state["looked"][0].as_i64().zip(state["looked"][1].as_u64());
        Hold { by: state["by"].as_i64(), row, looked: looked.map(|(seq, looks)| (seq, looks as u32)) }
    }

    /// How often was looked for what this message points to.
    pub fn looks(&self, seq: i64) -> u32 {
        self.looked.filter(|(of, _)| *of == seq).map_or(0, |(_, looks)| looks)
    }

    pub fn write(&self) -> Option<Vec<u8>> {
        let row = self.row.map(|row| format!("{row:x}"));
        let all = || json!({ "by": self.by, "row": row, "looked": self.looked }).to_string().into_bytes();
        (*self != Hold::default()).then(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_comes_back_as_it_was_noted() {
        let hold = Hold { by: Some(7), row: Some(1 << 100), looked: None };
        assert_eq!(Hold::read(hold.write().as_deref()), hold);
        let hold = Hold { looked: Some((9, 3)), ..Hold::default() };
        assert_eq!(Hold::read(hold.write().as_deref()), hold);
        assert_eq!((hold.looks(9), hold.looks(10)), (3, 0));
        assert_eq!(Hold::default().write(), None);
        assert_eq!(Hold::read(None), Hold::default());
    }
}
