//! Everything of a message that is not looked for, packed into one blob: a tag, a length, the bytes, and again.

use jiff::Timestamp;
use record::Key;

use super::message::{Message, Property};

const INTEGRATION: u8 = 1;
const ENTITY: u8 = 2;
const KEY: u8 = 3;
const OP: u8 = 4;
const SESSION: u8 = 5;
const CORRELATION: u8 = 6;
const CAUSATION: u8 = 7;
const SOURCE_VERSION: u8 = 8;
const DEFINITION_VERSION: u8 = 9;
const CONTENT_TYPE: u8 = 10;
/// A property's name; its value follows under one of the tags from here on.
const PROPERTY: u8 = 16;
const BOOL: u8 = 17;
const INT: u8 = 18;
const DOUBLE: u8 = 19;
const TEXT: u8 = 20;
const INSTANT: u8 = 21;
const GUID: u8 = 22;
const BYTES: u8 = 23;

/// `None` when there is nothing to pack.
pub(crate) fn pack(message: &Message) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (tag, text) in [
        (INTEGRATION, &message.integration),
        (ENTITY, &message.entity),
        (OP, &message.op),
        (SESSION, &message.session),
        (CORRELATION, &message.correlation),
        (CAUSATION, &message.causation),
        (SOURCE_VERSION, &message.source_version),
        (DEFINITION_VERSION, &message.definition_version),
        (CONTENT_TYPE, &message.content_type),
    ] {
        if let Some(text) = text {
            put(&mut out, tag, text.as_bytes());
        }
    }
    if let Some(key) = &message.key {
        put(&mut out, KEY, key.as_bytes());
    }
    for (name, value) in &message.properties {
        put(&mut out, PROPERTY, name.as_bytes());
        match value {
            Property::Bool(value) => put(&mut out, BOOL, &[*value as u8]),
            Property::Int(value) => put(&mut out, INT, &value.to_be_bytes()),
            Property::Double(value) => put(&mut out, DOUBLE, &value.to_bits().to_be_bytes()),
            Property::Text(value) => put(&mut out, TEXT, value.as_bytes()),
            Property::Instant(value) => put(&mut out, INSTANT, &value.as_nanosecond().to_be_bytes()),
            Property::Guid(value) => put(&mut out, GUID, value),
            Property::Bytes(value) => put(&mut out, BYTES, value),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Fills a message from what [`pack`] made. A tag from a newer version is passed over. `None`: not what we wrote.
pub(crate) fn unpack(mut bytes: &[u8], message: &mut Message) -> Option<()> {
    let mut name: Option<String> = None;
    while let Some((&tag, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        let text = || String::from_utf8(part.to_vec()).ok();
        let value = match tag {
            INTEGRATION => {
                message.integration = Some(text()?);
                continue;
            }
            ENTITY => {
                message.entity = Some(text()?);
                continue;
            }
            KEY => {
                message.key = Some(Key::from_bytes(part).ok()?);
                continue;
            }
            OP => {
                message.op = Some(text()?);
                continue;
            }
            SESSION => {
                message.session = Some(text()?);
                continue;
            }
            CORRELATION => {
                message.correlation = Some(text()?);
                continue;
            }
            CAUSATION => {
                message.causation = Some(text()?);
                continue;
            }
            SOURCE_VERSION => {
                message.source_version = Some(text()?);
                continue;
            }
            DEFINITION_VERSION => {
                message.definition_version = Some(text()?);
                continue;
            }
            CONTENT_TYPE => {
                message.content_type = Some(text()?);
                continue;
            }
            PROPERTY => {
                name = Some(text()?);
                continue;
            }
            BOOL => Property::Bool(*part.first()? == 1),
            INT => Property::Int(i64::from_be_bytes(part.try_into().ok()?)),
            DOUBLE => Property::Double(f64::from_bits(u64::from_be_bytes(part.try_into().ok()?))),
            TEXT => Property::Text(text()?),
            INSTANT => Property::Instant(Timestamp::from_nanosecond(i128::from_be_bytes(part.try_into().ok()?)).ok()?),
            GUID => Property::Guid(part.try_into().ok()?),
            BYTES => Property::Bytes(part.to_vec()),
            _ => continue,
        };
        message.properties.push((name.take()?, value));
    }
    Some(())
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let text = |text: &str| Some(text.to_owned());
        let full = Message {
            integration: text("customers"),
            entity: text("customer"),
            key: Some(Key::of(&["C-1".into()]).unwrap()),
            op: text("upsert"),
            session: text("account|1"),
            correlation: text("c"),
            causation: text(""),
            source_version: text("17"),
            definition_version: text("abc"),
            content_type: text("application/json"),
            properties: vec![
                ("yes".into(), Property::Bool(true)),
                ("n".into(), Property::Int(-7)),
                ("d".into(), Property::Double(0.1)),
                ("t".into(), Property::Text("Zoë".into())),
                ("at".into(), Property::Instant("2026-11-23T10:00:00.123456789Z".parse().unwrap())),
                ("g".into(), Property::Guid([7; 16])),
                ("b".into(), Property::Bytes(vec![0, 255])),
            ],
            ..Message::default()
        };
        for message in [full, Message::default()] {
            let packed = pack(&message).unwrap_or_default();
            let mut back = Message::default();
            unpack(&packed, &mut back).unwrap();
            assert_eq!(back, message);
            for cut in 1..packed.len() {
                // A cut between two parts is a shorter message; everything else is refused, and nothing panics.
                let _ = unpack(&packed[..cut], &mut Message::default());
            }
        }
        assert_eq!(unpack(&[INT, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], &mut Message::default()), None);
    }
}
