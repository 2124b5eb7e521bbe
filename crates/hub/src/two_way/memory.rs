//! What the hub remembers of one row of a two-way integration: hashes of what its two sides were, never their values.

use record::{Entity, Key, ValueRef};
use store::agreements::{Agreement, State};

use super::merge::{Agreed, Both, Mark, Which};

/// How the row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is to be done until a side changes.
    Agreed,
    /// It could not be written, and is a dead letter until a side changes.
    Rejected,
    /// Both sides were changed, and a person is to decide.
    Disputed,
    /// It is looked at again by the next run.
    Waiting,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The fingerprint of both mappings and of what the integration says.
    pub mapping: u64,
    pub stage: Stage,
    pub agreed: Agreed,
    /// The hash of each side's row when it was last looked at; `None` where it was not there, or was written since.
    pub rows: Both<Option<u128>>,
    /// The key as each side spells it.
    pub keys: Both<Option<Key>>,
    /// The side that a person took for what is in dispute.
    pub decided: Option<Which>,
    /// When it began to wait, in milliseconds.
    pub since: Option<i64>,
    /// There is a dead letter of it.
    pub told: bool,
    /// One side has lost it, and the hub has made it inactive on the other.
    pub asleep: bool,
    /// The hub was about to do that, and nobody knows whether it did.
    pub leaving: bool,
}

const VERSION: u8 = 1;

impl Memory {
    pub fn new(mapping: u64) -> Memory {
        Memory {
            mapping,
            stage: Stage::Agreed,
            agreed: Agreed::default(),
            rows: Both::default(),
            keys: Both::default(),
            decided: None,
            since: None,
            told: false,
            asleep: false,
            leaving: false,
        }
    }

    pub fn into_agreement(self, key: Key, entity: &Entity) -> Agreement {
        let waits = self.stage == Stage::Waiting || self.decided.is_some();
        let state = if waits { State::Pending } else { State::Settled };
        Agreement { key, state, content: self.encode(entity) }
    }

    fn encode(&self, entity: &Entity) -> Vec<u8> {
        let mut out = vec![VERSION, self.stage as u8];
        out.push(match self.decided {
            None => 0,
            Some(Which::Left) => 1,
            Some(Which::Right) => 2,
        });
        let flags = [self.agreed.joined, self.told, self.since.is_some(), self.asleep, self.leaving];
        out.push(flags.iter().enumerate().map(|(bit, flag)| u8::from(*flag) << bit).sum());
        out.extend_from_slice(&self.mapping.to_le_bytes());
        out.extend(self.since.iter().flat_map(|since| since.to_le_bytes()));
        for side in Which::BOTH {
            out.push(u8::from(self.rows[side].is_some()));
            out.extend(self.rows[side].iter().flat_map(|hash| hash.to_le_bytes()));
            let key = self.keys[side].as_ref().map_or(&[][..], Key::as_bytes);
            out.extend_from_slice(&(key.len() as u16).to_le_bytes());
            out.extend_from_slice(key);
        }
        for (marks, field) in self.agreed.fields.iter().zip(&entity.fields) {
            let Some(marks) = marks else { continue };
            out.extend_from_slice(&name(&field.name).to_le_bytes());
            out.push(u8::from(marks.left.sent.is_some()) | u8::from(marks.right.sent.is_some()) << 1);
            for side in Which::BOTH {
                out.extend_from_slice(&marks[side].read.to_le_bytes());
                if let Some(sent) = marks[side].sent {
                    out.extend_from_slice(&sent.to_le_bytes());
                    out.push(marks[side].tries);
                }
            }
        }
        out
    }

    /// `None` for what this version does not understand: then the row is looked at as if for the first time.
    pub fn decode(content: &[u8], entity: &Entity) -> Option<Memory> {
        let mut rest = Bytes(content);
        if rest.byte()? != VERSION {
            return None;
        }
        let stage = match rest.byte()? {
            0 => Stage::Agreed,
            1 => Stage::Rejected,
            2 => Stage::Disputed,
            3 => Stage::Waiting,
            _ => return None,
        };
        let decided = match rest.byte()? {
            0 => None,
            1 => Some(Which::Left),
            2 => Some(Which::Right),
            _ => return None,
        };
        let flags = rest.byte()?;
        let mut memory = Memory::new(rest.word()?);
        (memory.stage, memory.decided) = (stage, decided);
        (memory.told, memory.asleep, memory.leaving) = (flags & 2 != 0, flags & 8 != 0, flags & 16 != 0);
        if flags & 4 != 0 {
            memory.since = Some(rest.word()? as i64);
        }
        for side in Which::BOTH {
            if rest.byte()? == 1 {
                memory.rows[side] = Some(u128::from_le_bytes(rest.take()?));
            }
            let length = u16::from_le_bytes(rest.take()?);
            let key = rest.slice(length.into())?;
            memory.keys[side] = Key::from_bytes(key).ok().filter(|_| !key.is_empty());
        }
        memory.agreed = Agreed { joined: flags & 1 != 0, fields: vec![None; entity.fields.len()] };
        let names: Vec<u32> = entity.fields.iter().map(|field| name(&field.name)).collect();
        while !rest.0.is_empty() {
            let of = u32::from_le_bytes(rest.take()?);
            let sent = rest.byte()?;
            let mut marks = Both::<Mark>::default();
            for (bit, side) in Which::BOTH.into_iter().enumerate() {
                marks[side].read = rest.word()?;
                if sent >> bit & 1 == 1 {
                    marks[side].sent = Some(rest.word()?);
                    marks[side].tries = rest.byte()?;
                }
            }
            if let Some(at) = names.iter().position(|known| *known == of) {
                memory.agreed.fields[at] = Some(marks);
            }
        }
        Some(memory)
    }
}

/// A field is known again by its name, wherever it stands in the file.
fn name(name: &str) -> u32 {
    record::hash::RowHasher::default().hash([ValueRef::Text(name)]) as u32
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{EntityField, Type, Value};

    fn entity(names: &[&str]) -> Entity {
        let field = |name: &&str| EntityField {
            name: (*name).into(),
            ty: Type::Unknown,
            required: false,
            personal: false,
            master: None,
            pattern: None,
            currency: None,
        };
        Entity::new("thing", vec!["number".into()], None, names.iter().map(field).collect())
    }

    #[test]
    fn what_is_remembered_comes_back() {
        let entity_then = entity(&["number", "name", "mail"]);
        let marks = Both {
            left: Mark { read: 1, sent: None, tries: 0 },
            right: Mark { read: u64::MAX, sent: Some(7), tries: 3 },
        };
        let memory = Memory {
            stage: Stage::Disputed,
            agreed: Agreed { joined: true, fields: vec![None, Some(marks), Some(Both::default())] },
            rows: Both { left: Some(u128::MAX - 1), right: None },
            keys: Both { left: Key::of(&[Value::text("C-1")]).ok(), right: None },
            decided: Some(Which::Right),
            since: Some(-5),
            told: true,
            asleep: true,
            leaving: true,
            ..Memory::new(42)
        };
        let kept = memory.clone().into_agreement(Key::of(&[Value::text("c-1")]).unwrap(), &entity_then);
        assert_eq!(kept.state, State::Pending);
        assert_eq!(Memory::decode(&kept.content, &entity_then), Some(memory));
        // A field that was added in front moves the others, and none is mistaken for another.
        let now = Memory::decode(&kept.content, &entity(&["new", "number", "mail", "name"])).unwrap();
        assert_eq!(now.agreed.fields, [None, None, Some(Both::default()), Some(marks)]);
    }

    #[test]
    fn foreign_bytes_are_not_understood() {
        for bytes in [&b""[..], b"\x09", b"\x01\x09\x00\x00", b"\x01\x00\x00\x00\x01"] {
            assert_eq!(Memory::decode(bytes, &entity(&["number"])), None, "{bytes:?}");
        }
    }
}
