//! Keys as GUIDs and back, without a stored map: what a virtual table of Dataverse needs of every row.
//!
//! A key that is a GUID stays itself. Keys that fit are packed: whole numbers, dates, yes/no, and texts whose `pattern`
//! says how few there are. Everything else is hashed; then only the source can find the row again, by computing the same
//! hash. The same key gives the same GUID on every machine and for ever: what is here must not change.
//!
//! *Source*: RFC 9562 section 5.8 (version 8: 122 bits of our own).

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Entity, Key, Type, Value, ValueRef};

mod pattern;

use pattern::Pattern;

/// How columns of text hold a GUID: with its dashes, in braces, or as digits alone; all its letters small, or capital.
pub fn writings(guid: Uuid) -> [String; 6] {
    let small = [guid.hyphenated().to_string(), guid.braced().to_string(), guid.simple().to_string()];
    let [dashed, braced, plain] = small.clone().map(|text| text.to_uppercase());
    let [a, b, c] = small;
    [a, b, c, dashed, braced, plain]
}

/// How the keys of one entity become GUIDs.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheme {
    /// The key is a GUID.
    Own,
    Packed(Vec<Part>),
    Hashed,
}

/// One part of a packed key.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Whole numbers of so many bits, with their sign.
    Whole(u32),
    Date,
    YesNo,
    Text(Pattern),
}

/// What one GUID can hold beside its version and variant.
const ROOM_BITS: u32 = 122;
const ROOM: u128 = 1 << ROOM_BITS;
/// Whole numbers that get fewer bits than this are not packed.
const WHOLE_BITS_MIN: u32 = 40;
/// Days since year 1 that a date may have.
const DAYS: u128 = 1 << 22;

impl Scheme {
    /// The way of this entity, decided by the types and patterns of its key alone.
    pub fn of(entity: &Entity) -> Scheme {
        let fields: Vec<_> = entity.key.iter().filter_map(|name| entity.field(name)).collect();
        if let [field] = fields.as_slice()
            && field.ty == Type::Guid
        {
            return Scheme::Own;
        }
        let whole_numbers = fields.iter().filter(|field| field.ty == Type::WholeNumber).count() as u32;
        let mut parts = Vec::new();
        let mut rest: u128 = 1;
        for field in &fields {
            let part = match (&field.ty, &field.pattern) {
                (Type::WholeNumber, _) => Part::Whole(0),
                (Type::Date, _) => Part::Date,
                (Type::YesNo, _) => Part::YesNo,
                (Type::Text { .. }, Some(pattern)) => match Pattern::parse(pattern) {
                    Some(pattern) => Part::Text(pattern),
                    None => return Scheme::Hashed,
                },
                _ => return Scheme::Hashed,
            };
            rest = match rest.checked_mul(part.radix()) {
                Some(product) if product <= ROOM => product,
                _ => return Scheme::Hashed,
            };
            parts.push(part);
        }
        let taken = 128 - rest.saturating_sub(1).leading_zeros();
        if let Some(bits) = (ROOM_BITS - taken.min(ROOM_BITS)).checked_div(whole_numbers) {
            let bits = bits.min(64);
            if bits < WHOLE_BITS_MIN {
                return Scheme::Hashed;
            }
            for part in &mut parts {
                if let Part::Whole(of) = part {
                    *of = bits;
                }
            }
        }
        if parts.is_empty() { Scheme::Hashed } else { Scheme::Packed(parts) }
    }

    /// The GUID of a key. *Errors*: nothing, for a key that does not fit: a number beyond the bits that it got, a text
    /// that its pattern does not allow.
    pub fn guid(&self, key: &Key) -> Option<Uuid> {
        match self {
            Scheme::Hashed => Some(hashed(key)),
            _ => self.guid_of(key.parts().iter().map(Value::as_ref)),
        }
    }

    /// The same, of the parts of a key that is not hashed: nothing is copied for it.
    #[inline]
    pub fn guid_of<'v>(&self, values: impl IntoIterator<Item = ValueRef<'v>>) -> Option<Uuid> {
        let mut values = values.into_iter();
        let guid = match self {
            Scheme::Hashed => None,
            Scheme::Own => match values.next() {
                Some(ValueRef::Guid(guid)) => Some(guid),
                _ => None,
            },
            Scheme::Packed(parts) => {
                let mut packed: u128 = 0;
                for part in parts {
                    // Each number is less than its radix, and all of them together fit: that is how the scheme was chosen.
                    packed = packed * part.radix() + part.number(values.next()?)?;
                }
                Some(spread(packed))
            }
        };
        guid.filter(|_| values.next().is_none())
    }

    /// The key of a GUID, where it can be told from it alone. *Errors*: nothing, for a GUID that no key has, and for
    /// hashed keys.
    pub fn key(&self, guid: Uuid) -> Option<Key> {
        match self {
            Scheme::Hashed => None,
            Scheme::Own => Key::of(&[Value::Guid(guid)]).ok(),
            Scheme::Packed(parts) => {
                let mut packed = gathered(guid)?;
                let mut values = Vec::with_capacity(parts.len());
                for part in parts.iter().rev() {
                    let radix = part.radix();
                    values.push(part.value(packed % radix)?);
                    packed /= radix;
                }
                values.reverse();
                let key = Key::of(&values).ok()?;
                (packed == 0 && self.guid(&key) == Some(guid)).then_some(key)
            }
        }
    }

    /// Whether GUIDs sort as their keys do.
    pub fn keeps_order(&self) -> bool {
        match self {
            Scheme::Own => true,
            Scheme::Packed(parts) => parts.iter().all(|part| !matches!(part, Part::Text(_))),
            Scheme::Hashed => false,
        }
    }
}

/// The first 122 bits of SHA-256 over the canonical text of a key.
///
/// The text is that of its parts, with `\` and `|` escaped by a `\`, joined by `|`: a database can build it too.
pub fn hashed(key: &Key) -> Uuid {
    let mut text = String::new();
    for (at, part) in key.parts().iter().enumerate() {
        if at > 0 {
            text.push('|');
        }
        text.push_str(&part.to_string().replace('\\', "\\\\").replace('|', "\\|"));
    }
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

/// Whether a database can compute the hash of keys with a part of this type: it has one text there and here.
pub fn can_be_hashed(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Text { .. }
            | Type::Multiline { .. }
            | Type::WholeNumber
            | Type::Date
            | Type::Guid
            | Type::Reference { .. }
    )
}

impl Part {
    /// How many values it tells apart. Of a whole number without its bits: one, so that it takes no room yet.
    fn radix(&self) -> u128 {
        match self {
            Part::Whole(bits) => 1 << bits,
            Part::Date => DAYS,
            Part::YesNo => 2,
            Part::Text(pattern) => pattern.count(),
        }
    }

    fn number(&self, value: ValueRef<'_>) -> Option<u128> {
        match (self, value) {
            (Part::Whole(bits), ValueRef::Int(number)) => {
                let moved = i128::from(number) + (1i128 << (bits - 1));
                u128::try_from(moved).ok().filter(|moved| *moved < self.radix())
            }
            (Part::Date, ValueRef::Date(date)) => u128::try_from((date - first_day()).get_days()).ok(),
            (Part::YesNo, ValueRef::Bool(yes)) => Some(u128::from(yes)),
            (Part::Text(pattern), ValueRef::Text(text)) => pattern.number(text),
            _ => None,
        }
    }

    fn value(&self, number: u128) -> Option<Value> {
        Some(match self {
            Part::Whole(bits) => {
                let moved = i128::try_from(number).ok()? - (1i128 << (bits - 1));
                Value::Int(i64::try_from(moved).ok()?)
            }
            Part::Date => {
                let days = jiff::Span::new().try_days(i64::try_from(number).ok()?).ok()?;
                Value::Date(first_day().checked_add(days).ok()?)
            }
            Part::YesNo => Value::Bool(number == 1),
            Part::Text(pattern) => Value::Text(pattern.text(number)?),
        })
    }
}

fn first_day() -> jiff::civil::Date {
    jiff::civil::Date::constant(1, 1, 1)
}

/// 122 bits around the version and the variant, in their order.
fn spread(packed: u128) -> Uuid {
    let (high, middle, low) = (packed >> 74, (packed >> 62) & 0xFFF, packed & ((1 << 62) - 1));
    Uuid::from_u128(high << 80 | 8 << 76 | middle << 64 | 0b10 << 62 | low)
}

fn gathered(guid: Uuid) -> Option<u128> {
    let whole = guid.as_u128();
    if (whole >> 76) & 0xF != 8 || (whole >> 62) & 0b11 != 0b10 {
        return None;
    }
    Some((whole >> 80) << 74 | ((whole >> 64) & 0xFFF) << 62 | whole & ((1 << 62) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntityField;

    fn entity(key: &[(&str, Type, Option<&str>)]) -> Entity {
        let field = |(name, ty, pattern): &(&str, Type, Option<&str>)| EntityField {
            name: (*name).into(),
            ty: ty.clone(),
            required: false,
            personal: false,
            master: None,
            pattern: pattern.map(str::to_owned),
            currency: None,
        };
        Entity::new(
            "thing",
            key.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            None,
            key.iter().map(field).collect(),
        )
    }

    const TEXT: Type = Type::Text { max_length: None };

    fn check(key: &[(&str, Type, Option<&str>)], values: &[Value], expected: &str) {
        let scheme = Scheme::of(&entity(key));
        let made = Key::of(values).unwrap();
        let guid = scheme.guid(&made).unwrap();
        assert_eq!(guid.to_string(), expected, "{values:?} by {scheme:?}");
        if scheme != Scheme::Hashed {
            assert_eq!(scheme.key(guid), Some(made), "{guid}");
        }
    }

    /// These GUIDs are in other people's databases: a change of any of them is a change of every bookmark and lookup.
    #[test]
    fn a_key_has_its_guid_for_ever() {
        let number = Type::WholeNumber;
        check(&[("id", number.clone(), None)], &[Value::Int(1)], "00000000-0000-8002-8000-000000000001");
        check(&[("id", number.clone(), None)], &[Value::Int(i64::MIN)], "00000000-0000-8000-8000-000000000000");
        let two = [("order", number.clone(), None), ("line", number, None)];
        check(&two, &[Value::Int(4711), Value::Int(-3)], "80000000-0000-8933-afff-fffffffffffd");
        let consignment = [("consignment", TEXT, Some("[A-Z0-9]{8,22}"))];
        check(&consignment, &[Value::text("ABCD1234")], "00000000-0000-8000-8000-00bc3471cdd0");
        let own = [("id", Type::Guid, None)];
        let guid = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
        check(&own, &[Value::Guid(guid.parse().unwrap())], guid);
        let stock = [("sku", TEXT, None), ("warehouse", TEXT, None)];
        check(&stock, &["SKU-000777".into(), "Köln".into()], "32882b98-8a27-8249-98ef-891d30bb3a1b");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key =
            |parts: &[&str]| hashed(&Key::of(&parts.iter().map(|p| Value::text(*p)).collect::<Vec<_>>()).unwrap());
        assert_ne!(key(&["a|", "b"]), key(&["a", "|b"]));
        assert_ne!(key(&["a\\", "b"]), key(&["a", "\\b"]));
        assert_ne!(key(&["a|b"]), key(&["a", "b"]));
    }

    #[test]
    fn what_does_not_fit_is_hashed_or_refused() {
        let number = Type::WholeNumber;
        let of = |key: &[(&str, Type, Option<&str>)]| Scheme::of(&entity(key));
        assert_eq!(of(&[("a", TEXT, None)]), Scheme::Hashed);
        assert_eq!(of(&[("a", TEXT, Some("[A-Z]{1,40}"))]), Scheme::Hashed);
        assert_eq!(of(&[("a", Type::Money, None)]), Scheme::Hashed);
        let four = ["a", "b", "c", "d"].map(|name| (name, number.clone(), None));
        assert_eq!(of(&four), Scheme::Hashed);
        let two = of(&[("a", number.clone(), None), ("b", number, None)]);
        assert_eq!(two.guid(&Key::of(&[Value::Int(i64::MAX), Value::Int(1)]).unwrap()), None);
        let short = of(&[("a", TEXT, Some("[A-Z]{1,4}"))]);
        assert_eq!(short.guid(&Key::of(&["abc".into()]).unwrap()), None);
        for foreign in ["00000000-0000-4000-8000-000000000001", "ffffffff-ffff-8fff-bfff-ffffffffffff"] {
            assert_eq!(short.key(foreign.parse().unwrap()), None, "{foreign}");
        }
    }
}
