//! Secrets in plain text, wherever in a file they stand: in a comment, a formula, a text that nobody meant as one.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::{File, FileId, Files, Span};

/// More than this in one project is no slip of a person, and one message says enough.
const FINDINGS_MAX: usize = 200;

/// Reports what looks like a secret, and answers the places, to be blotted out. `known` has been reported already.
pub(crate) fn check(files: &Files, known: &[Span], diagnostics: &mut Vec<Diagnostic>) -> Vec<Span> {
    let mut found = Vec::new();
    for (id, file) in files.iter() {
        for (span, what) in of_file(id, file) {
            let overlaps = |other: &&Span| other.file == id && other.start < span.end && span.start < other.end;
            if found.len() >= FINDINGS_MAX || known.iter().chain(&found).any(|other| overlaps(&other)) {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(codes::PLAIN_SECRET, format!("{what} stands here in plain text"))
                    .at(span, "everybody who reads this file reads it")
                    .note("a secret that was saved or committed is no longer one: replace it where it comes from")
                    .help("take it out, and refer to the new one as `${env:NAME}` or `${file:PATH}`"),
            );
            found.push(span);
        }
    }
    found
}

fn of_file(id: FileId, file: &File) -> Vec<(Span, &'static str)> {
    let text = &*file.text;
    let mut found = Vec::new();
    let mut push = |start: usize, end: usize, what| {
        found.push((Span { file: id, start: start as u32, end: end as u32 }, what));
    };
    for (at, _) in text.match_indices("-----BEGIN ") {
        let line = text[at..].lines().next().unwrap_or_default();
        if line.contains("PRIVATE KEY") {
            let end = text[at..].find("-----END").map_or(at + line.len(), |end| at + end);
            push(at, end, "a private key");
        }
    }
    let lower = text.to_ascii_lowercase();
    for name in ["accountkey=", "sharedaccesskey=", "password=", "pwd=", "sig="] {
        for (at, _) in lower.match_indices(name) {
            let whole = !text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
            let value = &text[at + name.len()..];
            let value = &value[..value.find([';', '&', '"', '\'', ',', ' ', '\n', '\r', '}']).unwrap_or(value.len())];
            // A signature is long; the others may be as short as people make them.
            let long_enough = value.len() >= if name == "sig=" { 20 } else { 6 };
            if whole && long_enough && !value.starts_with(['$', '{', '<', '=', '*']) {
                let start = at + name.len();
                push(start, start + value.len(), "the secret of a connection");
            }
        }
    }
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'`),".contains(c)).unwrap_or(rest.len());
        let Some((who, _)) = rest[..end].rsplit_once('@') else { continue };
        let Some((user, password)) = who.split_once(':') else { continue };
        if !is_placeholder(password) {
            let start = at + 3 + user.len() + 1;
            push(start, start + password.len(), "the password of an address");
        }
    }
    // Whoever has such an address can post there.
    for (name, least) in [("hooks.slack.com/services/", 20), (".webhook.office.com/webhookb2/", 30)] {
        for (at, _) in lower.match_indices(name) {
            let start = at + name.len();
            let rest = &text[start..];
            let len = rest.find(|c: char| c.is_whitespace() || "\"'`)},".contains(c)).unwrap_or(rest.len());
            if len >= least {
                push(start, start + len, "the secret of a webhook");
            }
        }
    }
    let public = public(text);
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let part = c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '=');
        match (part, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let known = public.iter().any(|public| public.contains(&from));
                if let Some(what) = token(&text[from..at]).filter(|_| !known) {
                    push(from, at, what);
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The host keys of SSH servers and their fingerprints: as random as they look, and for everybody to read.
fn public(text: &str) -> Vec<std::ops::Range<usize>> {
    const KEYS: &[&str] = &[
        "SHA256:",
        "ssh-ed25519 ",
        "ssh-rsa ",
        "ecdsa-sha2-nistp256 ",
        "ecdsa-sha2-nistp384 ",
        "ecdsa-sha2-nistp521 ",
    ];
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let found = |key: &'static str| {
        text.match_indices(key).map(move |(at, _)| {
            let start = at + key.len();
            let rest = &text[start..];
            start..start + rest.find(|c| !base64(c)).unwrap_or(rest.len())
        })
    };
    KEYS.iter().flat_map(|key| found(key)).collect()
}

/// What people write where they do not mean a password: a reference, a word for it, dots.
fn is_placeholder(password: &str) -> bool {
    const WORDS: &[&str] = &["password", "passwort", "pass", "pwd", "secret", "pw"];
    password.is_empty()
        || password.starts_with(['$', '{', '<', '[', '(', '%'])
        || WORDS.contains(&password.to_ascii_lowercase().as_str())
        || password.chars().all(|c| matches!(c, '.' | '…' | '*' | 'x' | 'X' | '-' | '_' | '•'))
}

/// What a word is, if it looks like a secret.
fn token(word: &str) -> Option<&'static str> {
    const PREFIXES: &[(&str, usize, &str)] = &[
        ("ghp_", 36, "a GitHub token"),
        ("github_pat_", 40, "a GitHub token"),
        ("glpat-", 26, "a GitLab token"),
        ("xoxb-", 24, "a Slack token"),
        ("xoxp-", 24, "a Slack token"),
        ("npm_", 40, "a token of a package registry"),
        ("pypi-", 60, "a token of a package registry"),
        ("AIza", 39, "a cloud access key"),
        ("SG.", 60, "a mail service's key"),
        ("sk_live_", 24, "a payment provider's key"),
        ("AKIA", 20, "a cloud access key"),
    ];
    if let Some((.., what)) = PREFIXES.iter().find(|(prefix, len, _)| word.starts_with(prefix) && word.len() >= *len) {
        return Some(what);
    }
    // Header, body and signature, of which the first two are JSON in base64.
    let mut parts = word.split('.');
    if word.starts_with("eyJ") && word.len() > 60 && parts.clone().count() == 3 && parts.all(|part| part.len() > 9) {
        return Some("a bearer token");
    }
    // The secrets of Entra ID have `Q~` behind three characters and a digit.
    if (34..=46).contains(&word.len()) && word.get(4..6) == Some("Q~") && word.as_bytes()[3].is_ascii_digit() {
        return Some("the client secret of an app registration");
    }
    let value = word.trim_end_matches('=').rsplit('=').next().unwrap_or(word);
    (value.len() >= 32 && is_random(value)).then_some("what looks like a random key")
}

/// Letters of both kinds and digits, mixed as no person mixes them.
fn is_random(word: &str) -> bool {
    if word.contains(['_', '-', '.']) || !word.is_ascii() {
        return false;
    }
    let bytes = word.as_bytes();
    let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let changes = bytes.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    // A name may end in a year; in a key digits stand everywhere.
    let digits = bytes.windows(2).filter(|pair| !pair[0].is_ascii_digit() && pair[1].is_ascii_digit()).count();
    let mut counts = [0_u32; 128];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let different = counts.iter().filter(|count| **count > 0).count();
    has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && digits >= 3
        && changes * 3 >= bytes.len()
        && different >= 18
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_from_a_name() {
        // Put together here, so that no file of ours holds what looks like a secret.
        let entra = format!("abc8Q~{}", "x1Y2".repeat(8));
        let github = format!("ghp_{}", "a1B2".repeat(9));
        let random = "Zk3vQ9x".to_owned() + "T1mB7cRw4LpY8sNd2HfJ6gK0a" + "E5u";
        for secret in [&entra, &github, &random] {
            assert!(token(secret).is_some(), "{secret}");
        }
        for name in [
            "customers-and-contacts-from-finance-to-dynamics-2026",
            "NewCustomerIntegrationForYear2024AndAllTheYearsAfter",
            "00000000-0000-4000-8000-000000000001",
            "transactioncurrencyid.isocurrencycode",
            "3f786850e387550fdab836ed7e6dc881de23001b",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        ] {
            assert_eq!(token(name), None, "{name}");
        }
    }

    #[test]
    fn a_host_key_is_no_secret() {
        let random = "Zk3vQ9x".to_owned() + "T1mB7cRw4LpY8sNd2HfJ6gK0a" + "E5u";
        let found = |text: &str| {
            let mut files = Files::default();
            files.add("systems/a.yaml", text.to_owned());
            files.iter().flat_map(|(id, file)| of_file(id, file)).count()
        };
        for key in ["SHA256:", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5/", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTI/"] {
            assert_eq!(found(&format!("host_key: \"{key}{random}\"\n")), 0, "{key}");
        }
        assert_eq!(found(&format!("host_key: \"SHA256:{random}\"\nkey: {random}\n")), 1);
    }

    #[test]
    fn a_connection_string_gives_its_secret_away() {
        let found = |text: &str| {
            let mut files = Files::default();
            files.add("systems/x.yaml", text.to_owned());
            check(&files, &[], &mut Vec::new()).iter().map(|span| files.slice(*span).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("# Server=x;User=hub;Password=correct horse\n"), ["correct"]);
        assert_eq!(found("url: \"Endpoint=x;SharedAccessKey=abcdefghij\"\n"), ["abcdefghij"]);
        assert!(found("url: \"Server=x;Password=${env:PASSWORD}\"\n").is_empty());
        assert!(found("purpose: say password= and nothing else\n").is_empty());
        assert_eq!(found("# psql postgres://hub:hunter2@db.contoso.example/x\n"), ["hunter2"]);
        assert_eq!(found("See `amqps://hub:a%2Fb@mq:5671`, not sftp://hub@files.example.\n"), ["a%2Fb"]);
        for fine in
            ["postgres://user:password@host/x", "postgres://hub:${env:PASSWORD}@db/x", "https://x.example/a:b@c"]
        {
            assert!(found(&format!("# {fine}\n")).is_empty(), "{fine}");
        }
        let hook = "T0AAAAAA1/B0BBBBBB2/".to_owned() + "cc33dd44";
        assert_eq!(found(&format!("slack: https://hooks.slack.com/services/{hook}\n")), [hook]);
        assert!(found("slack: https://hooks.slack.com/services/…\n").is_empty());
        assert_eq!(found("x: |\n  -----BEGIN RSA PRIVATE KEY-----\n  abc\n  -----END RSA PRIVATE KEY-----\n").len(), 1);
    }
}
