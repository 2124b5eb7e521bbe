//! What a session remembers of its row between two deliveries.

use serde_json::json;

/// What a session remembers: the dead letter that holds its row, and the messages that wait for it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hold {
    /// The number of its message.
    pub by: Option<i64>,
    pub waiting: Vec<i64>,
    /// The hash of the row that it could not deliver, where it read it: a row that looks otherwise has changed since.
    pub row: Option<u128>,
}

impl Hold {
    pub fn read(state: Option<&[u8]>) -> Hold {
        let state: serde_json::Value = state.and_then(|s| serde_json::from_slice(s).ok()).unwrap_or_default();
        let waiting = state["waiting"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64);
        let row = state["row"].as_str().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        Hold { by: state["by"].as_i64(), waiting: waiting.collect(), row }
    }

    pub fn write(&self) -> Option<Vec<u8>> {
        let row = self.row.map(|row| format!("{row:x}"));
        let all = || json!({ "by": self.by, "waiting": self.waiting, "row": row }).to_string().into_bytes();
        (*self != Hold::default()).then(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_comes_back_as_it_was_noted() {
        let hold = Hold { by: Some(7), waiting: vec![8, 12], row: Some(1 << 100) };
        assert_eq!(Hold::read(hold.write().as_deref()), hold);
        assert_eq!(Hold::default().write(), None);
        assert_eq!(Hold::read(None), Hold::default());
    }
}
