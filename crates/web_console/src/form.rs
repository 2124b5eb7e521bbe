//! Forms of flows: the fields that people fill in, with what is wrong with them. Complete without script.
//!
//! The console shows them, and the page that a link in a mail opens.

use definition::{FormField, With};
use hub::flows::form::{Wrong, currency, example, zone_name};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use record::Type;

/// What the names of the inputs begin with, so that a field may have any name.
const PREFIX: &str = "f.";

/// What was filled in: texts by field.
pub fn given(sent: &[(String, String)]) -> Vec<(String, String)> {
    let field = |(name, text): &(String, String)| Some((name.strip_prefix(PREFIX)?.to_owned(), text.clone()));
    sent.iter().filter_map(field).collect()
}

/// The fields of a form, each with what stands in it at first, or what was typed the last time.
///
/// *Shape*: `answer` leaves out what is asked for with the other answer; nothing shows all of them, and says so.
pub fn fields(
    form: &[(FormField, String)],
    typed: &[(String, String)],
    wrong: &[Wrong],
    answer: Option<bool>,
    zone: &TimeZone,
) -> Markup {
    html! { @for (field, default) in form {
        @if answer.is_none() || field.with.goes(answer) {
            @let last = typed.iter().rev().find(|(name, _)| *name == field.name).map(|(_, text)| text.as_str());
            @let bad = wrong.iter().find(|wrong| wrong.field == field.name).map(|wrong| wrong.why.as_str());
            (one(field, last.unwrap_or(default), bad, answer, zone))
        }
    } }
}

/// What is wrong that belongs to no field of the form.
pub fn others(form: &[(FormField, String)], wrong: &[Wrong]) -> Vec<String> {
    let known = |wrong: &&Wrong| form.iter().any(|(field, _)| field.name == wrong.field);
    wrong.iter().filter(|wrong| !known(wrong)).map(|wrong| format!("{}: {}", wrong.label, wrong.why)).collect()
}

fn one(field: &FormField, value: &str, wrong: Option<&str>, answer: Option<bool>, zone: &TimeZone) -> Markup {
    let name = format!("{PREFIX}{}", field.name);
    let about = format!("wrong-{}", field.name);
    let described = wrong.map(|_| about.as_str());
    let invalid = wrong.map(|_| "true");
    // A page with both answers on it cannot ask the browser for what belongs to one of them.
    let required = field.required && (answer.is_some() || field.with == With::Either);
    html! {
        label {
            (label(field, answer, zone))
            @match &field.ty {
                Type::Multiline { max_length } => {
                    textarea name=(name) rows="4" maxlength=(max_length.unwrap_or(10_000)) required[required] aria-invalid=[invalid] aria-describedby=[described] { (value) }
                },
                Type::YesNo => (choice(&name, &["yes".to_owned(), "no".to_owned()], value, required, invalid, described)),
                Type::Choice { values } => (choice(&name, values, value, required, invalid, described)),
                ty => {
                    @let (kind, mode, max) = input(ty);
                    input type=(kind) name=(name) value=(value) inputmode=[mode] maxlength=[max] autocomplete="off" required[required] aria-invalid=[invalid] aria-describedby=[described];
                },
            }
            @if let Some(wrong) = wrong { span.wrong id=(about) role="alert" { (wrong) } }
        }
    }
}

fn label(field: &FormField, answer: Option<bool>, zone: &TimeZone) -> Markup {
    let with = match (answer, field.with) {
        (None, With::Approved) => " (with a yes)",
        (None, With::Rejected) => " (with a no)",
        _ => "",
    };
    let what = match &field.ty {
        Type::Reference { to } => to.first().map_or(String::new(), |entity| format!(", the key of a {entity}")),
        Type::Money => match currency(field) {
            Some(code) => format!(" in {code}, such as {}", example(field)),
            None => format!(", such as {}", example(field)),
        },
        Type::DateTime => format!(", by the clocks of {}", zone_name(zone)),
        _ => String::new(),
    };
    html! { (field.label) (what) (with) @if !field.required { " (may stay empty)" } }
}

/// The type of an input, its keyboard on a phone, and how much it takes.
fn input(ty: &Type) -> (&'static str, Option<&'static str>, Option<u32>) {
    match ty {
        Type::Date => ("date", None, None),
        Type::DateTime => ("datetime-local", None, None),
        // An input of the type `number` changes what was typed; amounts stay as they are written.
        Type::WholeNumber => ("text", Some("numeric"), Some(20)),
        Type::Money | Type::Decimal { .. } => ("text", Some("decimal"), Some(40)),
        Type::Text { max_length } => ("text", None, Some(max_length.unwrap_or(500))),
        _ => ("text", None, Some(500)),
    }
}

fn choice(
    name: &str,
    values: &[String],
    value: &str,
    required: bool,
    invalid: Option<&str>,
    described: Option<&str>,
) -> Markup {
    html! {
        select name=(name) required[required] aria-invalid=[invalid] aria-describedby=[described] {
            option value="" { "–" }
            @for one in values { option value=(one) selected[one == value] { (one) } }
        }
    }
}
