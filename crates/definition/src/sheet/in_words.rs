//! A formula in words, for people who sign mapping sheets and write none.
//!
//! It is told as it is built: functions by what they do, names as they are. What has no words of its own is told as
//! `F of a, b`; what cannot be taken apart stays the formula that it is.

/// *Shape*: one line; the formula itself, in quotes, where it cannot be told.
pub(super) fn in_words(formula: &str) -> String {
    let mut reader = Reader { text: formula, at: 0 };
    match reader.whole() {
        Some(words) if reader.rest().is_empty() => words,
        _ => format!("as the formula says: `{}`", formula.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// From the loosest to the tightest.
const LEVELS: &[&[(&str, &str)]] = &[
    &[("||", " or ")],
    &[("&&", " and ")],
    &[
        ("<>", " is not "),
        ("<=", " is at most "),
        (">=", " is at least "),
        ("<", " is less than "),
        (">", " is more than "),
        ("=", " is "),
    ],
    &[("&", " followed by ")],
    &[("+", " plus "), ("-", " minus ")],
    &[("*", " times "), ("/", " divided by ")],
];

impl<'t> Reader<'t> {
    fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        self.at += if is_there { token.len() } else { 0 };
        is_there
    }

    fn whole(&mut self) -> Option<String> {
        self.level(0)
    }

    fn level(&mut self, level: usize) -> Option<String> {
        let Some(operators) = LEVELS.get(level) else { return self.term() };
        let mut words = self.level(level + 1)?;
        loop {
            let rest = self.rest();
            // `&` is not the first half of `&&`.
            let found =
                operators.iter().find(|(sign, _)| rest.starts_with(sign) && !(*sign == "&" && rest.starts_with("&&")));
            let Some((sign, told)) = found else { return Some(words) };
            self.at += sign.len();
            let right = self.level(level + 1)?;
            words = format!("{words}{told}{right}");
        }
    }

    fn term(&mut self) -> Option<String> {
        let rest = self.rest();
        match rest.chars().next()? {
            '"' => self.text_literal().map(|text| format!("\"{text}\"")),
            '$' => self.interpolated(),
            '(' => {
                self.at += 1;
                let inner = self.whole()?;
                self.take(")").then(|| format!("({inner})"))
            }
            '!' => {
                self.at += 1;
                let inner = self.term()?;
                Some(match inner.strip_suffix(" is empty") {
                    Some(what) => format!("{what} is not empty"),
                    None => format!("not {inner}"),
                })
            }
            '-' => {
                self.at += 1;
                self.term().map(|inner| format!("minus {inner}"))
            }
            '{' => self.record(),
            '\'' => {
                let end = rest[1..].find('\'')? + 1;
                self.at += end + 1;
                Some(rest[1..end].to_owned())
            }
            c if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
                self.at += end;
                Some(rest[..end].to_owned())
            }
            c if c.is_alphabetic() || c == '_' => self.name(),
            _ => None,
        }
    }

    fn text_literal(&mut self) -> Option<String> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find('"')?;
            text.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.text[self.at..].starts_with('"') {
                return Some(text);
            }
            // Two quotes are one.
            text.push('"');
            self.at += 1;
        }
    }

    /// `$"Dear {name}"`.
    fn interpolated(&mut self) -> Option<String> {
        self.at += 1;
        let text = self.text_literal()?;
        let names: Vec<&str> =
            text.split('{').skip(1).filter_map(|piece| piece.split_once('}').map(|(name, _)| name)).collect();
        Some(if names.is_empty() {
            format!("\"{text}\"")
        } else {
            format!("the text \"{text}\", with {} filled in", names.join(", "))
        })
    }

    /// `{isocurrencycode: currency}`.
    fn record(&mut self) -> Option<String> {
        self.at += 1;
        let mut parts = Vec::new();
        while !self.take("}") {
            let rest = self.rest();
            let end = rest.find(':')?;
            self.at += end + 1;
            let value = self.whole()?;
            parts.push(format!("{} is {value}", rest[..end].trim()));
            if !self.take(",") && !self.rest().starts_with('}') {
                return None;
            }
        }
        Some(parts.join(" and "))
    }

    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let name = &rest[..end];
        self.at += end;
        if !self.take("(") {
            return Some(name.to_owned());
        }
        let mut given = Vec::new();
        while !self.take(")") {
            given.push(self.whole()?);
            if !self.take(",") && !self.rest().starts_with(')') {
                return None;
            }
        }
        Some(call(name, &given))
    }
}

fn call(name: &str, given: &[String]) -> String {
    let [one, two, three] = [0, 1, 2].map(|at| given.get(at).map_or("", String::as_str));
    let lower = name.to_ascii_lowercase();
    match (lower.as_str(), given.len()) {
        ("trim" | "trimends", 1) => format!("{one} without spaces around it"),
        ("lower", 1) => format!("{one} in small letters"),
        ("upper", 1) => format!("{one} in capital letters"),
        ("proper", 1) => format!("{one} with capital initials"),
        ("left", 2) => format!("the first {two} characters of {one}"),
        ("right", 2) => format!("the last {two} characters of {one}"),
        ("mid", 3) => format!("{three} characters of {one} from number {two} on"),
        ("len", 1) => format!("the length of {one}"),
        ("isblank", 1) => format!("{one} is empty"),
        ("blank", 0) => "nothing".to_owned(),
        ("coalesce", 2..) => given.join(", or where that is empty "),
        ("substitute", 3) => format!("{one} with {two} replaced by {three}"),
        ("concatenate", 1..) => given.join(" followed by "),
        ("text", 1) => format!("{one} as text"),
        ("text", 2) => format!("{one} written like {two}"),
        ("value" | "decimal", 1) => format!("{one} as a number"),
        ("datevalue", 1) => format!("{one} as a date"),
        ("datetimevalue", 1) => format!("{one} as a date and time"),
        ("round", 2) => format!("{one} rounded to {two} digits after the point"),
        ("not", 1) => format!("not {one}"),
        ("and", 2..) => given.join(" and "),
        ("or", 2..) => given.join(" or "),
        ("row", 2) => format!("the row of {} whose {two}", one.trim_matches('"')),
        ("if", 2..) => {
            let mut words = Vec::new();
            let mut parts = given.chunks_exact(2);
            for pair in parts.by_ref() {
                words.push(format!("{} if {}", pair[1], pair[0]));
            }
            words.extend(parts.remainder().iter().map(|otherwise| format!("else {otherwise}")));
            words.join(", ")
        }
        ("switch", 3..) => {
            let mut words = Vec::new();
            let mut parts = given[1..].chunks_exact(2);
            for pair in parts.by_ref() {
                words.push(format!("{} if {one} is {}", pair[1], pair[0]));
            }
            words.extend(parts.remainder().iter().map(|otherwise| format!("else {otherwise}")));
            words.join(", ")
        }
        (_, 0) => name.to_owned(),
        _ => format!("{name} of {}", given.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_told() {
        for (formula, words) in [
            ("Trim(company_name)", "company_name without spaces around it"),
            ("Lower(Trim(contact_email))", "contact_email without spaces around it in small letters"),
            ("customer_no & \"-1\"", "customer_no followed by \"-1\""),
            ("!IsBlank(contact_name)", "contact_name is not empty"),
            (
                "If(total > 5000 && status = \"open\", \"large\", \"small\")",
                "\"large\" if total is more than 5000 and status is \"open\", else \"small\"",
            ),
            ("Row(\"product\", {productnumber: product})", "the row of product whose productnumber is product"),
            ("Row(\"uom\", {name: unit, 'group': \"x\"})", "the row of uom whose name is unit and 'group' is \"x\""),
            ("Coalesce(mobile, phone)", "mobile, or where that is empty phone"),
            ("$\"Dear {name}\"", "the text \"Dear {name}\", with name filled in"),
            (
                "Left(Substitute(a.b, \"\"\"\", \"\"), 10) ",
                "the first 10 characters of a.b with \"\"\" replaced by \"\"",
            ),
            ("(price - discount) * 1.2", "(price minus discount) times 1.2"),
            ("DateAdd(due, 14)", "DateAdd of due, 14"),
            ("ForAll(lines, ThisRecord.[x])", "as the formula says: `ForAll(lines, ThisRecord.[x])`"),
        ] {
            assert_eq!(in_words(formula), words);
        }
    }
}
