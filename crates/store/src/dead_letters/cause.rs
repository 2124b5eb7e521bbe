//! Why dead letters belong together: the same integration, step, code and message, once what differs from row to row is
//! taken out. Pure.

use crate::queue::Problem;

/// What stands in a message for what was taken out.
pub const TAKEN_OUT: &str = "…";
/// Longer messages are cut before they are compared: what differs only after that is one cause.
const MESSAGE_CHARS_MAX: usize = 300;
/// Quoted texts that are longer are no quotes.
const QUOTE_CHARS_MAX: usize = 120;

/// What dead letters of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub integration: String,
    /// Where it happened: system, table, column, formula or line, without numbers.
    pub step: String,
    pub code: String,
    /// What happened and the other side's words, with ids, numbers, dates and quoted values taken out.
    pub message: String,
}

impl Cause {
    /// The cause of a problem with the record that has this key.
    pub fn of(integration: &str, problem: &Problem, key: &str) -> Cause {
        let mut message = general(&problem.what, key);
        if !problem.why.is_empty() {
            let (head, rest) = head(&problem.why);
            message = format!("{message} ({head}{})", general(rest, key));
        }
        Cause {
            integration: integration.to_owned(),
            step: general(&problem.place, key),
            code: problem.code.clone(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    }

    /// The name of the group. *Shape*: 16 hexadecimal digits, the same on every machine.
    pub fn id(&self) -> String {
        // FNV-1a, with a byte between the parts that none of them holds.
        let parts = [&self.integration, &self.step, &self.code, &self.message];
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("{hash:016x}")
    }
}

/// The other side's status and code, which name the cause, and the rest of its words.
fn head(why: &str) -> (&str, &str) {
    let status = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(at) = why.find(": ") {
        let words: Vec<&str> = why[..at].split(' ').collect();
        if words.len() == 1 || words.len() == 2 && status(words[0]) {
            return why.split_at(at + 2);
        }
    }
    match why.find(' ') {
        Some(at) if status(&why[..at]) => why.split_at(at + 1),
        _ => ("", why),
    }
}

/// A text without what differs from row to row.
fn general(text: &str, key: &str) -> String {
    let text = if key.chars().count() > 1 { text.replace(key, TAKEN_OUT) } else { text.to_owned() };
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < chars.len() {
        let opens = matches!(chars[at], '\'' | '"') && (at == 0 || !chars[at - 1].is_alphanumeric());
        if opens && let Some(length) = closes(&chars[at + 1..], chars[at]) {
            let quoted: String = chars[at + 1..at + 1 + length].iter().collect();
            let kept = is_name(&quoted) && !says_value(&out);
            put(&mut out, if kept { &quoted } else { TAKEN_OUT });
            at += length + 2;
        } else if chars[at] == '`'
            && is_value_of_ours(&out)
            && let Some(length) = closes(&chars[at + 1..], '`')
        {
            put(&mut out, TAKEN_OUT);
            at += length + 2;
        } else if is_word(chars[at]) {
            let length = chars[at..].iter().take_while(|c| is_word(**c)).count();
            let word: String = chars[at..at + length].iter().collect();
            put_word(&mut out, &word);
            at += length;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

fn closes(rest: &[char], quote: char) -> Option<usize> {
    rest.iter().take(QUOTE_CHARS_MAX).position(|c| *c == quote)
}

/// A quoted name of a column or table says what is wrong; a quoted value only says whose row it is.
fn is_name(quoted: &str) -> bool {
    !quoted.is_empty() && quoted.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Whether the other side's words say that a value is quoted next: `Incorrect integer value: 'abc'`, `Duplicate entry 'a'`.
fn says_value(before: &str) -> bool {
    let before = before.trim_end();
    let bare = before.trim_end_matches([':', '=']);
    let word = bare.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    let names =
        ["column", "table", "field", "property", "attribute", "entity", "relation", "constraint", "key", "name"];
    matches!(word.as_str(), "value" | "values" | "entry") || bare.len() < before.len() && !names.contains(&&*word)
}

/// Whether a value is quoted next in our own words: `` `terms` is `later` ``, `` `limit` is the text `much` ``. Names of
/// systems, tables and columns are quoted alike.
fn is_value_of_ours(before: &str) -> bool {
    let said = before.rsplit('`').next().unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().collect();
    before.contains('`')
        && matches!(words[..], ["is"] | ["is", "a" | "an" | "the", _] | ["is", "a" | "an" | "the", _, _])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '@' | '+' | '%' | '…' | '|')
}

fn put_word(out: &mut String, word: &str) {
    let bare = word.trim_end_matches(['.', ':', '-', '/']);
    let tail = &word[bare.len()..];
    // A name with a digit in it is still taken for a value: better one group too few than one for each row.
    let differs = bare.contains('@') || bare.contains('…') || bare.chars().any(|c| c.is_ascii_digit());
    put(out, if differs && !is_code(bare) { TAKEN_OUT } else { bare });
    out.push_str(tail);
}

/// Two of what was taken out in a row are one.
fn put(out: &mut String, part: &str) {
    if part == TAKEN_OUT && out.trim_end().ends_with(TAKEN_OUT) {
        out.truncate(out.trim_end().len());
        return;
    }
    out.push_str(part);
}

/// `IB0412`, `0x80040265`, `ORA-00001`: it names a cause and not a row.
fn is_code(word: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    word.strip_prefix("IB").is_some_and(|rest| digits(rest, 4))
        || word.strip_prefix("ORA-").is_some_and(|rest| digits(rest, 5))
        || word.strip_prefix("0x").is_some_and(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(what: &str, why: &str, key: &str) -> Cause {
        let problem = Problem { code: "IB0512".into(), what: what.into(), why: why.into(), ..Problem::default() };
        Cause::of("customers", &problem, key)
    }

    #[test]
    fn what_differs_from_row_to_row_is_taken_out() {
        let check = |what: &str, why: &str, key: &str, expected: &str| {
            assert_eq!(of(what, why, key).message, expected, "{what} | {why}");
        };
        check("`name` of C-1001 has 170 characters", "", "C-1001", "`name` of … has … characters");
        check("the row Miller is gone", "", "Miller", "the row … is gone");
        check("due 2026-11-01 06:30:00 passed.", "", "", "due … passed.");
        check(
            "`dynamics` refused the row",
            "400 0x80040237: A record with the values 'Contoso, Ltd' for 'accountnumber' exists",
            "",
            "`dynamics` refused the row (400 0x80040237: A record with the values … for accountnumber exists)",
        );
        check("it failed", "503 busy until 12:00", "", "it failed (503 busy until …)");
        check("it failed", "23505: duplicate key (code)=(K-7)", "", "it failed (23505: duplicate key (code)=(…))");
        check("mail a.b@contoso.example bounced", "", "", "mail … bounced");
        check("id 6f9619ff-8b86-d011-b42d-00c04fc964ff: IB0412", "", "", "id …: IB0412");
        check("`terms` is `later`, which it knows not", "", "", "`terms` is …, which it knows not");
        check("`limit` is a text `much`, and not a number", "", "", "`limit` is a text …, and not a number");
        check(
            "`mail` of `customer` is written nowhere in `crm`",
            "",
            "",
            "`mail` of `customer` is written nowhere in `crm`",
        );
        check(
            "no",
            "1366: Incorrect integer value: 'abc' for column 'terms'",
            "",
            "no (1366: Incorrect integer value: … for column terms)",
        );
        check(
            "no",
            "22P02: invalid input syntax for type numeric: \"abc\"",
            "",
            "no (22P02: invalid input syntax for type numeric: …)",
        );
        check("no", "1062: Duplicate entry 'abc' for key 'code'", "", "no (1062: Duplicate entry … for key code)");
        check("no", "no column: 'abc'", "", "no (no column: abc)");
        check("it doesn't fit, it can't", "", "", "it doesn't fit, it can't");
    }

    #[test]
    fn one_cause_has_one_name_and_another_has_another() {
        let one = of("`name` of C-1 is too long", "", "C-1");
        assert_eq!(one.id(), of("`name` of D-22 is too long", "", "D-22").id());
        assert_eq!(one.id().len(), 16);
        let others = [
            of("`mail` of C-1 is too long", "", "C-1"),
            of("`name` of C-1 is too long", "400 0x80040237: no", "C-1"),
            Cause { integration: "orders".into(), ..one.clone() },
            Cause { step: "dynamics".into(), ..one.clone() },
            Cause { code: "IB0513".into(), ..one.clone() },
        ];
        assert!(others.iter().all(|other| other.id() != one.id()));
        let whys = ["400 0x80040237: no", "400 0x80040238: no", "429 0x80040237: no"];
        let ids: std::collections::BTreeSet<String> = whys.iter().map(|why| of("refused", why, "").id()).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(of(&"é ".repeat(1000), "", "").message.chars().count(), MESSAGE_CHARS_MAX);
    }
}
