//! Which messages a subscription takes.

use super::envelope;
use super::message::{Message, Property};
use super::sql::Condition;

/// A condition on a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every message.
    All,
    /// No message.
    None,
    /// All of these are there and exactly equal; texts with regard to case. An empty list is every message.
    ///
    /// A name is a property of the message, with or without `user.` before it; or, after `sys.`, one of `MessageId`,
    /// `CorrelationId`, `SessionId`, `Label`, `ContentType`, `Integration`, `Entity`, `Key`.
    Equal(Vec<(String, Property)>),
    /// An SQL condition over the same names.
    Sql(Condition),
}

const ALL: u8 = 0;
const NONE: u8 = 1;
const EQUAL: u8 = 2;
const SQL: u8 = 3;

impl Filter {
    pub fn matches(&self, message: &Message) -> bool {
        match self {
            Filter::All => true,
            Filter::None => false,
            Filter::Sql(condition) => condition.matches(message),
            Filter::Equal(wanted) => wanted.iter().all(|(name, value)| property(message, name).as_ref() == Some(value)),
        }
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        match self {
            Filter::All => vec![ALL],
            Filter::None => vec![NONE],
            Filter::Sql(condition) => [&[SQL], condition.text().as_bytes()].concat(),
            Filter::Equal(wanted) => {
                let message = Message { properties: wanted.clone(), ..Message::default() };
                [vec![EQUAL], envelope::pack(&message).unwrap_or_default()].concat()
            }
        }
    }

    pub(crate) fn unpack(bytes: &[u8]) -> Option<Filter> {
        match bytes.split_first()? {
            (&ALL, []) => Some(Filter::All),
            (&NONE, []) => Some(Filter::None),
            (&EQUAL, packed) => {
                let mut message = Message::default();
                envelope::unpack(packed, &mut message)?;
                Some(Filter::Equal(message.properties))
            }
            (&SQL, text) => Condition::parse(std::str::from_utf8(text).ok()?).ok().map(Filter::Sql),
            _ => None,
        }
    }
}

/// What a message says under a name. Names are compared without regard to case.
pub(crate) fn property(message: &Message, name: &str) -> Option<Property> {
    let text = |value: &Option<String>| value.clone().map(Property::Text);
    match name.split_once('.') {
        Some((scope, name)) if scope.eq_ignore_ascii_case("sys") => match name.to_ascii_lowercase().as_str() {
            "messageid" => Some(Property::Text(message.id.clone())),
            "correlationid" => text(&message.correlation),
            "sessionid" => text(&message.session),
            "label" => text(&message.op),
            "contenttype" => text(&message.content_type),
            "integration" => text(&message.integration),
            "entity" => text(&message.entity),
            "key" => message.key.as_ref().map(|key| Property::Text(key.to_string())),
            _ => None,
        },
        Some((scope, name)) if scope.eq_ignore_ascii_case("user") => own(message, name),
        _ => own(message, name),
    }
}

fn own(message: &Message, name: &str) -> Option<Property> {
    message.properties.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_exactly() {
        let text = |text: &str| Property::Text(text.into());
        let message = Message {
            id: "m".into(),
            op: Some("OrderPlaced".into()),
            properties: vec![("Region".into(), text("EU")), ("amount".into(), Property::Int(7))],
            ..Message::default()
        };
        for (wanted, expected) in [
            (vec![], true),
            (vec![("region", text("EU"))], true),
            (vec![("user.REGION", text("EU"))], true),
            (vec![("region", text("eu"))], false),
            (vec![("region", text("EU")), ("amount", Property::Int(8))], false),
            (vec![("sys.Label", text("OrderPlaced")), ("amount", Property::Int(7))], true),
            (vec![("amount", text("7"))], false),
            (vec![("sys.CorrelationId", text(""))], false),
            (vec![("other", text(""))], false),
        ] {
            let filter =
                Filter::Equal(wanted.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
            assert_eq!(filter.matches(&message), expected, "{filter:?}");
            assert_eq!(Filter::unpack(&filter.pack()), Some(filter));
        }
        let sql = |text| Filter::Sql(Condition::parse(text).unwrap());
        for (filter, expected) in
            [(Filter::All, true), (Filter::None, false), (sql("amount = 7"), true), (sql("amount = 8"), false)]
        {
            assert_eq!(filter.matches(&message), expected);
            assert_eq!(Filter::unpack(&filter.pack()), Some(filter));
        }
    }
}
