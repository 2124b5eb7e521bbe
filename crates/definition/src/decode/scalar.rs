//! One value on its own: texts, numbers, units, names, formulas.

use record::{Decimal, FieldType};

use super::{Decoder, NameAt, SecretAt};
use crate::codes;
use crate::decoded::{Data, Formula};
use crate::diagnostic::Diagnostic;
use crate::files::Span;
use crate::suggest;
use crate::table::{Field, Shape};
use crate::units;
use crate::yaml::{self, Node, Scalar};

impl Decoder<'_> {
    pub(super) fn scalar(&mut self, node: &Node, field: &Field, shape: Shape) -> Data {
        let wanted = wanted(shape);
        let Some(scalar) = node.scalar() else { return self.wrong_shape(node, field, wanted) };
        let text = &*scalar.text;
        if !formula_may_stand(shape) && scalar.plain() && text.starts_with('=') {
            return self.wrong_shape(node, field, wanted);
        }
        match shape {
            Shape::Plain(FieldType::YesNo) => self.yes_no(node, scalar, field),
            Shape::Plain(FieldType::WholeNumber { min, max }) => self.whole(node, scalar, field, min, max),
            Shape::Plain(FieldType::OneOf(words)) | Shape::TypeWord(words) => self.one_of(node, text, field, words),
            Shape::Plain(FieldType::Secret) => self.secret(node, text, field),
            Shape::Plain(FieldType::Duration)
                if matches!(text, "forever" | "always" | "unlimited" | "infinite" | "never") =>
            {
                self.diagnostics.push(
                    Diagnostic::error(codes::ENDLESS_RETRY, format!("`{}` has no end", self.word(field)))
                        .at(node.span, "nothing here goes on for ever")
                        .note("what still fails after this time waits as a dead letter for a person, and is not lost")
                        .help(format!("write a duration, for example `{}: {}`", self.word(field), field.example)),
                );
                Data::Broken
            }
            Shape::Plain(FieldType::Duration) => self.unit(node, text, field, wanted, units::duration, Data::Duration),
            Shape::Plain(FieldType::Size) => self.unit(node, text, field, wanted, units::size, Data::Size),
            Shape::Plain(FieldType::Percentage) => {
                self.unit(node, text, field, wanted, units::percentage, Data::Percentage)
            }
            Shape::Plain(FieldType::Formula)
                if text.starts_with('=') && scalar.plain()
                    || matches!(shape, Shape::Plain(FieldType::Formula)) && text.starts_with('=') =>
            {
                self.formula(node, scalar)
            }
            Shape::Plain(FieldType::Url) => {
                let data = self.text(node, scalar, field);
                self.password_in_url(node, text, field);
                data
            }
            Shape::Every { off } => {
                if off && text == "off" {
                    return Data::Every(None);
                }
                self.unit(node, text, field, wanted, units::every, |wait| Data::Every(Some(wait)))
            }
            Shape::Cadence if text == "off" => Data::Cadence(None),
            Shape::Cadence => {
                self.unit(node, text, field, wanted, units::cadence, |duration| Data::Cadence(Some(duration)))
            }
            Shape::Wait => self.unit(node, text, field, wanted, units::wait, Data::Wait),
            Shape::Rate => self.unit(node, text, field, wanted, units::rate, Data::Rate),
            Shape::MinRows => self.unit(node, text, field, wanted, units::min_rows, Data::MinRows),
            Shape::Date => self.unit(node, text, field, wanted, units::date, Data::Date),
            Shape::Hours => self.unit(node, text, field, wanted, units::hours, Data::Hours),
            Shape::NeededBy => match self.quoted_time(node, scalar) {
                true => self.unit(node, text, field, wanted, units::needed_by, Data::NeededBy),
                false => Data::Broken,
            },
            Shape::Schedule => match units::schedule(text) {
                Ok(schedule) => Data::Schedule(schedule),
                Err(why) => {
                    let (why, fix) = self.why_and_fix(why, field);
                    self.diagnostics.push(
                        Diagnostic::error(codes::BAD_SCHEDULE, format!("`{}` must be a schedule", self.word(field)))
                            .at(node.span, why)
                            .note("allowed: every 15 minutes, daily at 02:00, weekdays at 06:30, mondays at 05:00, { cron: \"0 2 * * *\" }")
                            .help(fix),
                    );
                    Data::Broken
                }
            },
            Shape::Name => match self.text(node, scalar, field) {
                Data::Text(name) if !self.name_is_usable(&name, node.span, field.name) => Data::Broken,
                data => data,
            },
            Shape::Ref(thing) => {
                let data = self.text(node, scalar, field);
                if let Data::Text(name) = &data {
                    self.names.push(NameAt { at: node.span, thing, name: name.clone() });
                }
                data
            }
            Shape::Zone => self.zone(node, scalar, field),
            Shape::Email => self.email(node, scalar, field),
            Shape::Pattern => match regex::Regex::new(text) {
                Ok(_) => self.text(node, scalar, field),
                Err(why) => {
                    let why = why.to_string();
                    let why = why
                        .lines()
                        .last()
                        .unwrap_or("it is no regular expression")
                        .trim_start_matches("error: ")
                        .to_owned();
                    self.bad(node, field, wanted, why)
                }
            },
            Shape::Holidays => self.one_of(node, text, field, crate::tables::hub::HOLIDAYS),
            Shape::Formula => match text.starts_with('=') {
                true => self.formula(node, scalar),
                false => {
                    self.diagnostics.push(
                        Diagnostic::error(codes::BAD_VALUE, format!("`{}` must be a formula", self.word(field)))
                            .at(node.span, "a formula starts with `=`")
                            .help(format!("write `={text}`, if this is meant as a formula")),
                    );
                    Data::Broken
                }
            },
            Shape::TextOrFormula if text.starts_with('=') => self.formula(node, scalar),
            _ => self.text(node, scalar, field),
        }
    }

    fn bad(&mut self, node: &Node, field: &Field, wanted: &str, why: impl Into<String>) -> Data {
        let (why, fix) = self.why_and_fix(why.into(), field);
        self.diagnostics.push(
            Diagnostic::error(codes::BAD_VALUE, format!("`{}` must be {wanted}", self.word(field)))
                .at(node.span, why)
                .help(fix),
        );
        Data::Broken
    }

    /// A reader of units says what is wrong and, behind a semicolon, what to write instead.
    fn why_and_fix(&self, why: String, field: &Field) -> (String, String) {
        match why.split_once("; ") {
            Some((why, fix)) => (why.to_owned(), fix.to_owned()),
            None => (why, format!("write it like `{}: {}`", self.word(field), field.example)),
        }
    }

    fn unit<T>(
        &mut self,
        node: &Node,
        text: &str,
        field: &Field,
        wanted: &str,
        read: impl Fn(&str) -> Result<T, String>,
        data: impl Fn(T) -> Data,
    ) -> Data {
        match read(text) {
            Ok(value) => data(value),
            Err(why) => self.bad(node, field, wanted, why),
        }
    }

    /// A text; plain numbers and yes/no words are asked for in quotes, because other readers of YAML take them for
    /// something else.
    fn text(&mut self, node: &Node, scalar: &Scalar, field: &Field) -> Data {
        let text = &*scalar.text;
        if scalar.is_number() || (scalar.plain() && matches!(text, "true" | "false")) {
            self.diagnostics.push(
                Diagnostic::error(
                    codes::YAML_TRAP,
                    format!("`{}` must be a text, and this is {} in YAML", self.word(field), node.what()),
                )
                .at(
                    node.span,
                    if text.starts_with('0') && text.len() > 1 {
                        "the zero in front would be lost"
                    } else {
                        "a text of digits stands in quotes"
                    },
                )
                .help(format!("write `\"{text}\"`")),
            );
            return Data::Broken;
        }
        if text.trim().is_empty() {
            return self.bad(node, field, "a text with something in it", "it is empty");
        }
        self.references(node, scalar);
        Data::Text(text.to_owned())
    }

    /// Notes every `${provider:name}` of a text.
    fn references(&mut self, node: &Node, scalar: &Scalar) {
        let text = &*scalar.text;
        let mut from = 0;
        while let Some(start) = text[from..].find("${").map(|at| from + at) {
            let end = text[start..].find('}').map(|at| start + at);
            let inner = end.map(|end| &text[start + 2..end]);
            let at = self.within(node, scalar, start, end.map_or(text.len(), |end| end + 1));
            match inner.map(|inner| (inner, inner.split_once(':'))) {
                None => self.diagnostics.push(
                    Diagnostic::error(codes::BAD_VALUE, "a `${` is not closed")
                        .at(at, "it opens here")
                        .help("close it with `}`"),
                ),
                Some((_, Some((provider @ ("env" | "file" | "keyvault"), name)))) if !name.trim().is_empty() => {
                    self.secrets.push(SecretAt { at, provider: provider.to_owned(), name: name.to_owned() });
                }
                Some((inner, Some((provider, name)))) => {
                    let meant = suggest::nearest(provider, ["env", "file", "keyvault"]).unwrap_or("env");
                    let _ = inner;
                    self.diagnostics.push(
                        Diagnostic::error(codes::BAD_VALUE, format!("`{provider}` keeps no secrets"))
                            .at(at, "where a secret is kept stands before the colon")
                            .note("allowed: ${env:NAME}, ${file:PATH}, ${keyvault:NAME}")
                            .help(format!("write `${{{meant}:{}}}`", if name.is_empty() { "NAME" } else { name })),
                    );
                }
                Some((inner, None)) => self.diagnostics.push(
                    Diagnostic::error(
                        codes::BAD_VALUE,
                        format!("`${{{inner}}}` does not say where the secret is kept"),
                    )
                    .at(at, "where it is kept stands before a colon")
                    .note("allowed: ${env:NAME}, ${file:PATH}, ${keyvault:NAME}")
                    .help(format!("write `${{env:{inner}}}`")),
                ),
            }
            from = end.map_or(text.len(), |end| end + 1);
        }
    }

    fn secret(&mut self, node: &Node, text: &str, field: &Field) -> Data {
        let scalar = node.scalar().expect("the caller has seen a scalar");
        if text.contains("${") {
            self.references(node, scalar);
            return Data::Text(text.to_owned());
        }
        self.hidden.push(node.span);
        let variable = field.name.to_ascii_uppercase();
        self.diagnostics.push(
            Diagnostic::error(codes::PLAIN_SECRET, format!("`{}` is a secret in plain text", self.word(field)))
                .at(node.span, "everybody who reads this file reads it")
                .note("a secret that was saved or committed is no longer one: replace it where it comes from")
                .help(format!("write `{}: \"${{env:{variable}}}\"` and put the new secret into the environment variable {variable}", self.word(field))),
        );
        Data::Broken
    }

    fn password_in_url(&mut self, node: &Node, text: &str, field: &Field) {
        let Some((_, rest)) = text.split_once("://") else { return };
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let Some((user_info, _)) = authority.rsplit_once('@') else { return };
        let Some((_, password)) = user_info.split_once(':') else { return };
        if password.is_empty() || password.contains("${") {
            return;
        }
        self.hidden.push(node.span);
        self.diagnostics.push(
            Diagnostic::error(codes::PLAIN_SECRET, format!("`{}` holds a password in plain text", self.word(field)))
                .at(node.span, "between `:` and `@`")
                .note("a secret that was saved or committed is no longer one: replace it where it comes from")
                .help("write `${env:PASSWORD}` in its place, and the URL in quotes"),
        );
    }

    fn yes_no(&mut self, node: &Node, scalar: &Scalar, field: &Field) -> Data {
        match (&*scalar.text, scalar.plain()) {
            ("true", true) => return Data::YesNo(true),
            ("false", true) => return Data::YesNo(false),
            _ => {}
        }
        let meant = match scalar.text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" | "1" => Some("true"),
            "no" | "off" | "n" | "false" | "0" => Some("false"),
            _ => None,
        };
        match meant {
            Some(meant) => {
                let why = if scalar.plain() {
                    "YAML programs disagree on what this word is"
                } else {
                    "in quotes it is a text"
                };
                self.diagnostics.push(
                    Diagnostic::error(codes::YAML_TRAP, format!("`{}` must be true or false", self.word(field)))
                        .at(node.span, why)
                        .help(format!("write `{}: {meant}`", self.word(field))),
                );
                Data::Broken
            }
            None => self.bad(node, field, "true or false", format!("this is {}", node.what())),
        }
    }

    fn whole(&mut self, node: &Node, scalar: &Scalar, field: &Field, min: i64, max: i64) -> Data {
        let text = &*scalar.text;
        if !scalar.plain() {
            return self.bad(node, field, "a whole number", "in quotes it is a text");
        }
        if scalar.is_number() && text.len() > 1 && text.starts_with('0') && !text.contains('.') {
            let digits = text.trim_start_matches('0');
            self.diagnostics.push(
                Diagnostic::error(codes::YAML_TRAP, format!("`{}` starts with a zero", self.word(field)))
                    .at(node.span, "some YAML programs read this as an octal number")
                    .help(format!("write `{}: {}`", self.word(field), if digits.is_empty() { "0" } else { digits })),
            );
            return Data::Broken;
        }
        let Ok(number) = text.parse::<i64>() else {
            let why =
                if scalar.is_number() { "it is not whole, or too large" } else { "digits only, without separators" };
            return self.bad(node, field, "a whole number", why);
        };
        if number < min || number > max {
            self.diagnostics.push(
                Diagnostic::error(codes::OUT_OF_RANGE, format!("`{}` is outside its range", self.word(field)))
                    .at(node.span, format!("it must be between {min} and {max}"))
                    .help(format!("write it like `{}: {}`", self.word(field), field.example)),
            );
            return Data::Broken;
        }
        Data::Number(Decimal::from(number))
    }

    fn one_of(&mut self, node: &Node, text: &str, field: &Field, words: &[&'static str]) -> Data {
        if words.contains(&text) {
            return Data::Text(text.to_owned());
        }
        let meant = synonym(text, words).or_else(|| suggest::nearest(text, words.iter().copied()));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write it like `{}: {}`", self.word(field), field.example),
        };
        self.diagnostics.push(
            Diagnostic::error(codes::NOT_ALLOWED, format!("`{}` cannot be `{text}`", self.word(field)))
                .at(node.span, "not one of the allowed words")
                .note(format!("allowed: {}", suggest::list(words.iter().copied())))
                .help(help),
        );
        Data::Broken
    }

    /// A time that is not in quotes is a number of minutes to some YAML programs.
    fn quoted_time(&mut self, node: &Node, scalar: &Scalar) -> bool {
        if scalar.plain() && units::time(&scalar.text).is_ok() {
            self.diagnostics.push(
                Diagnostic::error(codes::YAML_TRAP, "a time stands in quotes")
                    .at(node.span, "some YAML programs read this as a number to the base of 60")
                    .help(format!("write `\"{}\"`", scalar.text)),
            );
            return false;
        }
        true
    }

    fn zone(&mut self, node: &Node, scalar: &Scalar, field: &Field) -> Data {
        if scalar.text == "UTC".into() || jiff::tz::TimeZone::get(&scalar.text).is_ok() {
            return self.text(node, scalar, field);
        }
        // Names without a region are other names of some of these; the signs of those of `Etc/` are turned round.
        let names: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.as_str().to_owned())
            .filter(|name| name.contains('/') && !name.starts_with("Etc/"))
            .collect();
        let text = &*scalar.text;
        let meant = suggest::nearest(text, names.iter().map(String::as_str)).or_else(|| {
            names
                .iter()
                .map(String::as_str)
                .find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text)))
        });
        let help = meant
            .map(|meant| format!("did you mean `{meant}`?"))
            .unwrap_or_else(|| format!("write it like `{}: {}`", self.word(field), field.example));
        self.diagnostics.push(
            Diagnostic::error(codes::BAD_VALUE, format!("there is no time zone `{text}`"))
                .at(node.span, "a zone is named by its region and city")
                .help(help),
        );
        Data::Broken
    }

    fn email(&mut self, node: &Node, scalar: &Scalar, field: &Field) -> Data {
        let usable = scalar.text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && host.contains('.')
                && !host.contains('@')
                && !scalar.text.contains(char::is_whitespace)
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
        if usable || scalar.text.contains("${") {
            self.text(node, scalar, field)
        } else {
            self.bad(node, field, "an e-mail address", "it is no name, `@` and domain")
        }
    }

    pub(super) fn formula(&mut self, node: &Node, scalar: &Scalar) -> Data {
        let text = scalar.text.strip_prefix('=').unwrap_or(&scalar.text);
        if text.trim().is_empty() {
            self.diagnostics.push(
                Diagnostic::error(codes::FORMULA, "a formula is empty")
                    .at(node.span, "nothing follows the `=`")
                    .help("write the formula, or remove the key"),
            );
            return Data::Broken;
        }
        Data::Formula(Formula { text: text.to_owned(), at: node.span, scalar: scalar.clone() })
    }

    /// A plain number, true or false.
    pub(super) fn constant(&mut self, node: &Node) -> Option<Data> {
        let scalar = node.scalar()?;
        match &*scalar.text {
            "true" if scalar.plain() => return Some(Data::YesNo(true)),
            "false" if scalar.plain() => return Some(Data::YesNo(false)),
            _ => {}
        }
        if !scalar.is_number() {
            return None;
        }
        let digits = scalar.text.trim_start_matches(['-', '+']);
        if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
            self.diagnostics.push(
                Diagnostic::error(codes::YAML_TRAP, "a number starts with a zero")
                    .at(node.span, "the zero would be lost, or read as octal")
                    .help(format!("write `\"{}\"` for a text, or the number without the zero", scalar.text)),
            );
            return Some(Data::Broken);
        }
        match Decimal::from_str_exact(scalar.text.trim_start_matches('+')) {
            Ok(number) => Some(Data::Number(number)),
            Err(_) => {
                self.diagnostics.push(
                    Diagnostic::error(codes::OUT_OF_RANGE, "this number has more digits than can be kept exactly")
                        .at(node.span, "28 digits are the most")
                        .help("write it in quotes, if it is a text"),
                );
                Some(Data::Broken)
            }
        }
    }

    /// A piece of a scalar's text as a piece of the file.
    pub(super) fn within(&self, node: &Node, scalar: &Scalar, start: usize, end: usize) -> Span {
        if node.span.is_default() {
            return node.span;
        }
        yaml::locate(self.files.slice(node.span), node.span, scalar, start, end)
    }
}

fn formula_may_stand(shape: Shape) -> bool {
    matches!(shape, Shape::Formula | Shape::TextOrFormula | Shape::Plain(FieldType::Formula))
}

/// Words of other tools for ours.
fn synonym(text: &str, words: &[&'static str]) -> Option<&'static str> {
    const SAME: &[(&str, &str)] = &[
        ("string", "text"),
        ("str", "text"),
        ("varchar", "text"),
        ("int", "whole_number"),
        ("integer", "whole_number"),
        ("number", "decimal"),
        ("float", "decimal"),
        ("currency", "money"),
        ("bool", "yes_no"),
        ("boolean", "yes_no"),
        ("timestamp", "datetime"),
        ("enum", "choice"),
        ("optionset", "choice"),
        ("picklist", "choice"),
        ("lookup", "reference"),
        ("uuid", "guid"),
        ("uniqueidentifier", "guid"),
        ("list", "lines"),
        ("memo", "multiline"),
        ("monday", "mon"),
        ("tuesday", "tue"),
        ("wednesday", "wed"),
        ("thursday", "thu"),
        ("friday", "fri"),
        ("saturday", "sat"),
        ("sunday", "sun"),
        ("create", "created"),
        ("insert", "created"),
        ("update", "updated"),
        ("remove", "delete"),
        ("sync", "batch"),
        ("realtime", "event"),
    ];
    let lower = text.to_ascii_lowercase();
    SAME.iter()
        .find(|(theirs, ours)| *theirs == lower && words.contains(ours))
        .and_then(|(_, ours)| words.iter().copied().find(|word| word == ours))
}

/// What a shape is, with its article, for messages.
pub(crate) fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Plain(ty) => match ty {
            FieldType::Text | FieldType::Path => "a text",
            FieldType::Secret => "a secret such as `${env:NAME}`",
            FieldType::Url => "a URL",
            FieldType::YesNo => "true or false",
            FieldType::WholeNumber { .. } => "a whole number",
            FieldType::Duration => "a duration such as `15 minutes`",
            FieldType::Size => "a size such as `256 KB`",
            FieldType::Percentage => "a percentage such as `5 %`",
            FieldType::OneOf(_) => "a word",
            FieldType::Column => "the name of a column",
            FieldType::Formula => "a value or a formula",
            FieldType::OneOrMany(_) | FieldType::List(_) => "a list",
            FieldType::Map(_) | FieldType::Group(_) => "a group of keys",
        },
        Shape::Name => "a name",
        Shape::TextOrFormula => "a text or a formula",
        Shape::Ref(thing) => match thing {
            crate::table::Thing::Entity => "the name of an entity",
            crate::table::Thing::System => "the name of a system",
            crate::table::Thing::Integration => "the name of an integration",
            crate::table::Thing::Person => "the name of a person",
            crate::table::Thing::Who | crate::table::Thing::Owner => "the name of a person or group",
        },
        Shape::FieldName => "the name of a field",
        Shape::TypeWord(_) => "a type",
        Shape::Pattern => "a regular expression",
        Shape::Email => "an e-mail address",
        Shape::Hours => "hours such as `\"09:00-17:30\"`",
        Shape::Date => "a date such as `2029-06-30`",
        Shape::Zone => "a time zone such as `Europe/London`",
        Shape::Holidays => "the name of a calendar, or a list of dates",
        Shape::Schedule => "a schedule such as `every 15 minutes`",
        Shape::Every { off: true } => "an interval such as `every 15 minutes`, or `off`",
        Shape::Every { off: false } => "an interval such as `every 15 minutes`",
        Shape::Cadence => "an interval such as `weekly`, or `off`",
        Shape::Wait => "a time to wait such as `2 working days`",
        Shape::NeededBy => "a duration such as `1 hour`, or a time such as `\"06:00\"`",
        Shape::MinRows => "a number of rows, or `80 % of usual`",
        Shape::Rate => "a volume such as `30 a day`",
        Shape::Formula => "a formula after `=`",
        Shape::Read | Shape::Write | Shape::Both => "a mapping",
        Shape::Many(_) | Shape::OneOrMany(_) => "a list",
        Shape::Steps => "a list of steps",
        Shape::Group(_) | Shape::Named(..) | Shape::Assignments | Shape::Connection | Shape::SystemEntities => {
            "a group of keys"
        }
        Shape::Choice => "names with the system's values",
        Shape::Anything | Shape::OneValue => "a value",
    }
}
