//! The enumerations of the language.

use crate::error::ErrorKind;
use crate::types::{ChoiceSet, ChoiceValue, Fields, Type};
use crate::value::Value;
use std::sync::{Arc, LazyLock};

static ALL: LazyLock<Vec<Arc<ChoiceSet>>> = LazyLock::new(|| {
    vec![
        numbers("ErrorKind", ErrorKind::ALL, true),
        texts(
            "TimeUnit",
            &[
                ("Milliseconds", "milliseconds"),
                ("Seconds", "seconds"),
                ("Minutes", "minutes"),
                ("Hours", "hours"),
                ("Days", "days"),
                ("Months", "months"),
                ("Quarters", "quarters"),
                ("Years", "years"),
            ],
            Flags { from: false, to: false, concatenates: false },
        ),
        texts(
            "SortOrder",
            &[("Ascending", "ascending"), ("Descending", "descending")],
            Flags { from: false, to: false, concatenates: false },
        ),
        numbers(
            "StartOfWeek",
            &[
                ("Sunday", 1),
                ("Monday", 2),
                ("MondayZero", 3),
                ("Tuesday", 12),
                ("Wednesday", 13),
                ("Thursday", 14),
                ("Friday", 15),
                ("Saturday", 16),
            ],
            false,
        ),
        texts(
            "DateTimeFormat",
            &[
                ("LongDate", "\u{1}longdate"),
                ("ShortDate", "\u{1}shortdate"),
                ("LongTime", "\u{1}longtime"),
                ("ShortTime", "\u{1}shorttime"),
                ("LongTime24", "\u{1}longtime24"),
                ("ShortTime24", "\u{1}shorttime24"),
                ("LongDateTime", "\u{1}longdatetime"),
                ("ShortDateTime", "\u{1}shortdatetime"),
                ("LongDateTime24", "\u{1}longdatetime24"),
                ("ShortDateTime24", "\u{1}shortdatetime24"),
                ("UTC", "\u{1}utc"),
            ],
            Flags { from: true, to: true, concatenates: false },
        ),
        texts(
            "MatchOptions",
            &[
                ("BeginsWith", "^c"),
                ("Complete", "^c$"),
                ("Contains", "c"),
                ("EndsWith", "c$"),
                ("IgnoreCase", "i"),
                ("Multiline", "m"),
                ("NumberedSubMatches", "N"),
                ("FreeSpacing", "x"),
                ("DotAll", "s"),
            ],
            Flags { from: false, to: false, concatenates: true },
        ),
        texts(
            "Match",
            &[
                ("Any", "."),
                ("Comma", ","),
                ("Digit", "\\d"),
                ("Email", EMAIL),
                ("Hyphen", "-"),
                ("LeftParen", "\\("),
                ("Letter", "\\p{L}"),
                ("MultipleDigits", "\\d+"),
                ("MultipleLetters", "\\p{L}+"),
                ("MultipleNonSpaces", "\\S+"),
                ("MultipleSpaces", "\\s+"),
                ("NonSpace", "\\S"),
                ("OptionalDigits", "\\d*"),
                ("OptionalLetters", "\\p{L}*"),
                ("OptionalNonSpaces", "\\S*"),
                ("OptionalSpaces", "\\s*"),
                ("Period", "\\."),
                ("RightParen", "\\)"),
                ("Space", "\\s"),
                ("Tab", "\\t"),
            ],
            Flags { from: true, to: true, concatenates: true },
        ),
        texts(
            "JSONFormat",
            &[
                ("Compact", ""),
                ("IndentFour", "4"),
                ("IncludeBinaryData", "B"),
                ("IgnoreBinaryData", "G"),
                ("IgnoreUnsupportedTypes", "I"),
                ("FlattenValueTables", "_"),
            ],
            Flags { from: false, to: false, concatenates: true },
        ),
    ]
});

/// A simple address: anything but spaces, brackets and separators before the `@`, letters and digits in dotted parts
/// after it, in any script.
const EMAIL: &str = "(?:[^\\s@<>,;:\"\\p{Ps}\\p{Pe}\\p{Pi}\\p{Pf}]+@(?:[\\p{L}\\p{M}\\p{N}\\p{So}_\\-]+\\.)+[\\p{L}\\p{M}\\p{N}\\p{So}_\\-]+)";

struct Flags {
    from: bool,
    to: bool,
    concatenates: bool,
}

fn texts(name: &str, members: &[(&str, &str)], flags: Flags) -> Arc<ChoiceSet> {
    Arc::new(ChoiceSet {
        name: name.into(),
        members: members.iter().map(|(n, v)| (Arc::from(*n), ChoiceValue::Text(Arc::from(*v)))).collect(),
        from_backing: flags.from,
        to_backing: flags.to,
        concatenates: flags.concatenates,
    })
}

fn numbers(name: &str, members: &[(&str, i64)], to_backing: bool) -> Arc<ChoiceSet> {
    Arc::new(ChoiceSet {
        name: name.into(),
        members: members.iter().map(|(n, v)| (Arc::from(*n), ChoiceValue::Number(*v))).collect(),
        from_backing: false,
        to_backing,
        concatenates: false,
    })
}

pub(crate) fn find(name: &str) -> Option<Arc<ChoiceSet>> {
    ALL.iter().find(|set| *set.name == *name).cloned()
}

pub(crate) fn all() -> impl Iterator<Item = &'static Arc<ChoiceSet>> {
    ALL.iter()
}

/// The type of an enumeration of the language.
pub(crate) fn ty(name: &str) -> Type {
    find(name).map_or(Type::Text, Type::Choice)
}

pub(crate) fn member(set: &ChoiceSet, name: &str) -> Option<Value<'static>> {
    set.members.iter().find(|(n, _)| **n == *name).map(|(_, value)| match value {
        ChoiceValue::Text(t) => Value::owned(t.to_string()),
        ChoiceValue::Number(n) => Value::number(*n),
    })
}

pub(crate) fn has_value(set: &ChoiceSet, text: &str) -> bool {
    set.members.iter().any(|(_, value)| matches!(value, ChoiceValue::Text(t) if **t == *text))
}

/// The record that describes one error.
pub(crate) fn error_record() -> Fields {
    Fields::new([
        (Arc::from("Kind"), ty("ErrorKind")),
        (Arc::from("Message"), Type::Text),
        (Arc::from("Source"), Type::Text),
        (Arc::from("Observed"), Type::Text),
        (Arc::from("Details"), Type::Unknown),
    ])
}

/// What a fallback of `IfError` sees.
pub(crate) fn error_frame() -> Type {
    Type::Record(Fields::new([
        (Arc::from("FirstError"), Type::Record(error_record())),
        (Arc::from("AllErrors"), Type::Table(error_record())),
    ]))
}
