//! Patterns of Power Fx as patterns of the `regex` crate.

use regex::{Regex, RegexBuilder};

/// What one pattern may take when it is compiled.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// `options` are the letters behind `MatchOptions`.
///
/// Errors: a sentence that says what in the pattern is not possible.
pub(crate) fn compile(source: &str, options: &str) -> Result<Regex, String> {
    let numbered = options.contains('N');
    let (inline, body) = inline_options(source);
    let free = options.contains('x') || inline.contains('x');
    let body = Translator { chars: body.chars().collect(), at: 0, numbered, free, out: String::new() }.run()?;
    let whole = match (options.contains('^'), options.contains('$')) {
        (true, true) => format!("^(?:{body})$"),
        (true, false) => format!("^(?:{body})"),
        (false, true) => format!("(?:{body})$"),
        (false, false) => body,
    };
    let has = |c: char| options.contains(c) || inline.contains(c);
    RegexBuilder::new(&whole)
        .case_insensitive(has('i'))
        .multi_line(has('m'))
        .dot_matches_new_line(has('s'))
        .ignore_whitespace(free)
        .crlf(true)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(50)
        .build()
        .map_err(|e| format!("the pattern cannot be used: {}", e.to_string().lines().last().unwrap_or_default()))
}

/// `(?im)` at the start, and the rest.
fn inline_options(source: &str) -> (&str, &str) {
    let rest = source.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match rest {
        Some((letters, body)) if !letters.is_empty() && letters.chars().all(|c| "imsxn".contains(c)) => (letters, body),
        _ => ("", source),
    }
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    numbered: bool,
    free: bool,
    out: String,
}

impl Translator {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == c)
    }

    fn run(mut self) -> Result<String, String> {
        let mut quantified = false;
        while self.at < self.chars.len() {
            let c = self.peek(0);
            let mut quantifier = false;
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                '#' if self.free => {
                    while self.at < self.chars.len() && !matches!(self.peek(0), '\n' | '\r') {
                        self.at += 1;
                    }
                    continue;
                }
                '+' if quantified => return Err("a pattern has no possessive quantifiers such as `++`".to_owned()),
                '*' | '+' | '?' | '}' => {
                    quantifier = true;
                    self.out.push(c);
                    self.at += 1;
                }
                c => {
                    self.out.push(c);
                    self.at += 1;
                }
            }
            quantified = quantifier;
        }
        Ok(self.out)
    }

    fn group(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.peek(0) != '?' {
            self.out.push_str(if self.numbered { "(" } else { "(?:" });
            return Ok(());
        }
        if self.starts("?:") {
            self.out.push_str("(?:");
            self.at += 2;
        } else if self.starts("?#") {
            while self.at < self.chars.len() && self.peek(0) != ')' {
                self.at += 1;
            }
            self.at += 1;
        } else if self.starts("?=") || self.starts("?!") || self.starts("?<=") || self.starts("?<!") {
            return Err("look-ahead and look-behind are not possible here".to_owned());
        } else if self.starts("?<") {
            if self.numbered {
                return Err("a pattern has either named groups or MatchOptions.NumberedSubMatches".to_owned());
            }
            self.out.push_str("(?<");
            self.at += 2;
        } else {
            return Err(
                "options stand at the start of a pattern only, and groups are (…), (?:…) or (?<name>…)".to_owned()
            );
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.peek(1);
        match c {
            '\0' => return Err("the pattern ends in a backslash".to_owned()),
            'k' => return Err("back references are not possible here".to_owned()),
            '1'..='9' => return Err("back references are not possible here".to_owned()),
            '0' => return Err("octal codes are not possible; write \\x00".to_owned()),
            'v' => return Err("`\\v` means different things elsewhere; write \\x0b".to_owned()),
            'u' if self.peek(2) != '{' => {
                let first = self.hex(2)?;
                self.at += 6;
                let mut code = first;
                if (0xD800..0xDC00).contains(&first) && self.starts("\\u") {
                    let second = self.hex(2)?;
                    if (0xDC00..0xE000).contains(&second) {
                        code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                        self.at += 6;
                    }
                }
                let found = char::from_u32(code).ok_or("half of a surrogate pair is no character")?;
                self.out.push_str(&regex::escape(&found.to_string()));
            }
            'p' | 'P' | 'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'x' | 'u' | 'r' | 'n' | 't' | 'f' => {
                self.out.push('\\');
                self.out.push(c);
                self.at += 2;
                if matches!(c, 'p' | 'P' | 'x' | 'u') && self.peek(0) == '{' {
                    self.braces();
                }
            }
            'b' | 'B' if !in_class => {
                self.out.push('\\');
                self.out.push(c);
                self.at += 2;
            }
            c if c.is_alphanumeric() => return Err(format!("`\\{c}` means nothing in a pattern")),
            c => {
                self.out.push_str(&regex::escape(&c.to_string()));
                if c == ' ' || (!c.is_ascii_punctuation() && c.is_whitespace()) {
                    // A space that was escaped is meant, also in free spacing.
                    self.out.pop();
                    self.out.push_str(&format!("\\x{{{:X}}}", c as u32));
                }
                self.at += 2;
            }
        }
        Ok(())
    }

    /// What an escape has in braces is part of it.
    fn braces(&mut self) {
        while self.at < self.chars.len() {
            let c = self.peek(0);
            self.out.push(c);
            self.at += 1;
            if c == '}' {
                return;
            }
        }
    }

    fn hex(&self, from: usize) -> Result<u32, String> {
        let digits: String = (from..from + 4).map(|i| self.peek(i)).collect();
        u32::from_str_radix(&digits, 16).map_err(|_| "`\\u` needs four hexadecimal digits".to_owned())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        self.at += 1;
        if self.peek(0) == '^' {
            self.out.push('^');
            self.at += 1;
        }
        if self.peek(0) == ']' {
            return Err("a class of characters is empty; write `\\]` for a bracket in it".to_owned());
        }
        let mut first = true;
        loop {
            let c = self.peek(0);
            match c {
                '\0' if self.at >= self.chars.len() => return Err("the closing `]` is missing".to_owned()),
                ']' => {
                    self.out.push(']');
                    self.at += 1;
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' | '{' | '}' => return Err(format!("write `\\{c}` for a `{c}` inside of a class")),
                '^' => return Err("write `\\^` for a `^` inside of a class".to_owned()),
                '-' if first || self.peek(1) == ']' => {
                    return Err("write `\\-` for a `-` inside of a class".to_owned());
                }
                '&' | '~' | '-' if self.peek(1) == c => {
                    return Err(format!("`{c}{c}` has no meaning inside of a class"));
                }
                ' ' | '#' if self.free => {
                    self.out.push_str(&format!("\\x{:02X}", c as u32));
                    self.at += 1;
                }
                c => {
                    self.out.push(c);
                    self.at += 1;
                }
            }
            first = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, options: &str, text: &str, expected: bool| {
            let found = compile(pattern, options).map(|r| r.is_match(text));
            assert_eq!(found, Ok(expected), "{pattern} {options} {text}");
        };
        check("h.*i", "c", "oh my hi", true);
        check("h", "^c$", "hi", false);
        check("H", "i", "hi", true);
        check("(?i)H", "", "hi", true);
        check("\\ud83d\\udc7d", "", "👽", true);
        check("a b # comment", "x", "ab", true);
        check("a[ #]b", "x", "a b", true);
        check("^b$", "m", "a\r\nb\r\nc", true);
        check("^\\p{L}+[\\p{Nd}]$", "", "ab1", true);
        check("\\-\\#\\ ", "", "-# ", true);
    }

    #[test]
    fn what_is_refused() {
        for bad in
            ["(?=a)", "(?<!a)", "(?<a>b)\\k<a>", "(a)\\1", "\\v", "\\012", "[]", "[-a]", "[[a]", "a++", "[a", "(", "\\"]
        {
            assert!(compile(bad, "").is_err(), "{bad}");
        }
        assert!(compile("(?<a>b)", "N").is_err());
    }
}
