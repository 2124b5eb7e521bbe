//! What a row was when it was planned, as a number that tells nothing about it.

use std::fmt;

use mapping::content;
use record::hash::RowHasher;
use record::{Change, Current, Key, Op, Row, Value};
use sha2::{Digest, Sha256};
use store::Store;

use super::PlannedEffect;
use crate::pair::Pair;

/// Equal where a row would get the same columns from the same old values. *Shape*: 16 bytes, made with a key that stays
/// in the state folder: nobody can find out a personal value by trying.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Proof(pub [u8; 16]);

impl Proof {
    /// From the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Proof> {
        u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(|number| Proof(number.to_be_bytes()))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes proofs.
pub(crate) struct Proofs {
    secret: [u8; 32],
    hasher: RowHasher,
}

impl Proofs {
    pub async fn of(store: &Store) -> Result<Proofs, store::Error> {
        Ok(Proofs { secret: store.secret("plan").await?, hasher: RowHasher::default() })
    }

    /// Of a row that would be written. Only what changes counts, on both sides.
    pub fn of_write(&mut self, pair: &Pair, key: &Key, change: &Change, current: Option<&Current>) -> Proof {
        let keeps = pair.write.keeps();
        let new = content::hash(&change.columns, keeps, &mut self.hasher);
        let old = current.map_or(0, |current| {
            let old = |name: &str| current.columns.get(name).cloned().unwrap_or(Value::Blank);
            let old = change.columns.iter().map(|(name, _)| old(name)).collect();
            content::hash(&Row::new(change.columns.schema().clone(), old), keeps, &mut self.hasher)
        });
        let effect = match (current.is_some(), change.op) {
            (_, Op::Adopt) => "adopt",
            (true, _) => "update",
            (false, _) => "create",
        };
        // Which row is adopted matters; of others the key says it.
        let id = change.remote_id.as_deref().filter(|_| change.op == Op::Adopt).unwrap_or_default();
        self.proof(pair, key, &[effect.as_bytes(), id.as_bytes(), &new.to_le_bytes(), &old.to_le_bytes()])
    }

    /// Of a row that is gone from the source.
    pub fn of_gone(&self, pair: &Pair, key: &Key, effect: PlannedEffect, current: Option<&Current>) -> Proof {
        let id = current.and_then(|current| current.remote_id.as_deref()).unwrap_or_default();
        self.proof(pair, key, &[effect.word().as_bytes(), id.as_bytes()])
    }

    pub fn of_reject(&self, pair: &Pair, key: &Key, code: &str, source_hash: u128) -> Proof {
        self.proof(pair, key, &[b"reject", code.as_bytes(), &source_hash.to_le_bytes()])
    }

    fn proof(&self, pair: &Pair, key: &Key, parts: &[&[u8]]) -> Proof {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        for part in [pair.to.as_bytes(), pair.entity.name.as_bytes(), key.as_bytes()].iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let whole: [u8; 32] = hash.finalize().into();
        Proof(whole[..16].try_into().expect("16 of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::Proof;

    #[test]
    fn a_proof_comes_back_as_it_was_written() {
        let proof = Proof([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(Proof::parse(&proof.to_string()), Some(proof));
        for text in ["", "12", "zz000000000000000000000000000000", "+0000000000000000000000000000000f"] {
            assert_eq!(Proof::parse(text), None, "{text}");
        }
    }
}
