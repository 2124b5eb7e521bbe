//! Remote ids in the file: a GUID in its usual form takes 16 bytes, anything else stays text.

use rusqlite::types::{FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

pub(crate) enum Packed<'a> {
    Guid([u8; 16]),
    Text(&'a str),
}

/// Lossless: only what [`unpack`] writes in exactly the same way is packed.
pub(crate) fn pack(text: &str) -> Packed<'_> {
    match parse(text) {
        Some(bytes) if format(bytes) == text => Packed::Guid(bytes),
        _ => Packed::Text(text),
    }
}

pub(crate) fn unpack(value: ValueRef<'_>) -> FromSqlResult<Option<String>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => {
            let bytes = bytes.try_into().map_err(|_| FromSqlError::InvalidType)?;
            Ok(Some(format(bytes)))
        }
        text => text.as_str().map(|text| Some(text.to_owned())),
    }
}

fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 || !text.is_ascii() {
        return None;
    }
    let hex: String = text.split('-').collect();
    Some(u128::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 32)?.to_be_bytes())
}

fn format(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl ToSql for Packed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Packed::Guid(bytes) => ValueRef::Blob(bytes),
            Packed::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for (text, packed) in [
            ("8e0b7f3a-0c1d-4a52-9c7e-000000000042", true),
            ("8E0B7F3A-0C1D-4A52-9C7E-000000000042", false),
            ("8e0b7f3a0c1d-4a52-9c7e-0000-00000042", false),
            ("+e0b7f3a-0c1d-4a52-9c7e-000000000042", false),
            ("", false),
            ("ERP-4711", false),
        ] {
            let value = pack(text);
            assert_eq!(matches!(value, Packed::Guid(_)), packed, "{text}");
            let stored = match &value {
                Packed::Guid(bytes) => ValueRef::Blob(bytes),
                Packed::Text(text) => ValueRef::Text(text.as_bytes()),
            };
            assert_eq!(unpack(stored).unwrap().unwrap(), text);
        }
    }
}
