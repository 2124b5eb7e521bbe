//! Questions on a terminal.

use std::io::{BufRead, Write};

use anyhow::Context;
use definition::advise::Question;

use crate::failure::{Failure, NO_ANSWERS, USAGE};
use crate::talk;

/// Puts one question until it is answered. Nothing where it was left empty and may be.
pub fn ask(question: &Question) -> Result<Option<String>, Failure> {
    loop {
        talk!("\n{}", question.ask);
        for (at, (_, meaning)) in question.choices.iter().enumerate() {
            talk!("  {}  {meaning}", at + 1);
        }
        let usual = question.default.filter(|default| !default.is_empty()).map_or(String::new(), |default| {
            let at = question.choices.iter().position(|(word, _)| *word == default);
            at.map_or(format!(" [{default}]"), |at| format!(" [{}]", at + 1))
        });
        let line = line(&usual)?;
        let line = line.as_str();
        if line.is_empty() {
            match question.default {
                Some(default) => return Ok((!default.is_empty()).then(|| default.to_owned())),
                None => continue,
            }
        }
        if question.key == "rate" {
            match rate(line) {
                Some(answer) => return Ok(Some(answer)),
                None => talk!("A whole number and a currency, such as 650 GBP, please."),
            }
            continue;
        }
        if question.key == "wish" {
            return Ok(Some(line.to_owned()));
        }
        if question.choices.is_empty() {
            match whole(line) {
                Some(number) => return Ok(Some(number)),
                None => talk!("A whole number, please."),
            }
            continue;
        }
        let by_number = line.parse::<usize>().ok().and_then(|at| question.choices.get(at.checked_sub(1)?));
        let by_word = || question.choices.iter().find(|(word, meaning)| *word == line || *meaning == line);
        match by_number.or_else(by_word) {
            Some((word, _)) => return Ok(Some((*word).to_owned())),
            None => talk!("One of the numbers, please."),
        }
    }
}

/// Asks for a name, one of those that are there or a new one. Nothing where the line was left empty.
pub fn name(question: &str, known: &[&str]) -> Result<Option<String>, Failure> {
    loop {
        talk!("\n{question} (empty: draft no files)");
        known.iter().enumerate().for_each(|(at, name)| talk!("  {}  {name}", at + 1));
        talk!("  or a new name");
        let line = line("")?;
        if line.is_empty() {
            return Ok(None);
        }
        if let Ok(at) = line.parse::<usize>() {
            match at.checked_sub(1).and_then(|at| known.get(at)) {
                Some(name) => return Ok(Some((*name).to_owned())),
                None => talk!("One of the numbers, please."),
            }
            continue;
        }
        let is_name = line.starts_with(|c: char| c.is_ascii_lowercase())
            && line.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if is_name {
            return Ok(Some(line));
        }
        talk!("A name is made of letters from a to z, digits, `_` and `-`.");
    }
}

/// A whole number as people write it, without what stands between its thousands.
fn whole(line: &str) -> Option<String> {
    let parts: Vec<&str> = line.split([',', '.', ' ', '\'']).collect();
    let grouped = parts.len() == 1 || (parts[0].len() <= 3 && parts[1..].iter().all(|part| part.len() == 3));
    let digits = parts.concat();
    let is_number = !parts[0].is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (grouped && is_number).then_some(digits)
}

/// What a day costs: a whole number, and its currency where one was given.
fn rate(line: &str) -> Option<String> {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    let (number, currency) = match (line.find(is_letter), line.starts_with(is_letter)) {
        (None, _) => return whole(line),
        (Some(_), true) => {
            let end = line.find(|c: char| !is_letter(c))?;
            (&line[end..], &line[..end])
        }
        (Some(at), false) => (&line[..at], &line[at..]),
    };
    let is_code = currency.len() == 3 && currency.chars().all(is_letter);
    let number = whole(number.trim())?;
    is_code.then(|| format!("{number} {}", currency.to_ascii_uppercase()))
}

fn line(usual: &str) -> Result<String, Failure> {
    anstream::eprint!(">{usual} ");
    std::io::stderr().flush().context("the terminal takes no more")?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line).context("the terminal gives no answer")? == 0 {
        return Err(Failure::new(USAGE, NO_ANSWERS, "the questions were left", "start again; nothing was written"));
    }
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_people_write_them_and_never_guessed() {
        for (line, number) in [("50", Some("50")), ("4,000", Some("4000")), ("1 200 000", Some("1200000"))] {
            assert_eq!(whole(line).as_deref(), number, "{line}");
        }
        for line in ["2.5", "about 50", "", "-3", ",500", "1,00"] {
            assert_eq!(whole(line), None, "{line}");
        }
        let rates =
            [("650", Some("650")), ("650 gbp", Some("650 GBP")), ("EUR 1.200", Some("1200 EUR")), ("7,5 EUR", None)];
        for (line, answer) in rates.into_iter().chain([("650 pounds", None), ("GBP", None), ("£650", None)]) {
            assert_eq!(rate(line).as_deref(), answer, "{line}");
        }
    }
}
