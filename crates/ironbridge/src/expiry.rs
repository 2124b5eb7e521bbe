//! Certificates in files and tokens that say themselves when they end.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use definition::Project;
use hub::operations::Expiring;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use record::{OptionValue, Secrets};

use crate::wiring::MachineSecrets;

/// What the connections of a project hold that says when it ends: a certificate in a file or a secret, or a token.
/// Reads files, and shows nothing of them.
pub fn expiring(project: &Project) -> Vec<Expiring> {
    let secrets = MachineSecrets::new(&project.dir);
    let mut all = Vec::new();
    for system in &project.systems {
        for (name, value) in &system.connection.0 {
            look(project, &secrets, &system.name, name, value, &mut all);
        }
    }
    all
}

/// The certificate with which the hub speaks https. Reads the file.
pub fn of_the_hub(project: &Project, certificate: &Path) -> Option<Expiring> {
    let at = end(&std::fs::read_to_string(certificate).ok()?)?;
    let what = "the certificate of `up --tls-certificate`".to_owned();
    Some(Expiring { system: String::new(), what, on: at.to_zoned(project.hub.time_zone.clone()).date(), long: false })
}

fn look(
    project: &Project,
    secrets: &dyn Secrets,
    system: &str,
    name: &str,
    value: &OptionValue,
    all: &mut Vec<Expiring>,
) {
    match value {
        OptionValue::Text(text) => {
            let end = match reference(text) {
                Some((provider, of)) => secrets.resolve(provider, of).ok().and_then(|secret| end(secret.reveal())),
                // A file that is named, of the size of a few certificates.
                None => {
                    let path = project.dir.join(text);
                    let small = std::fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() < 1 << 20);
                    if small { std::fs::read_to_string(path).ok().and_then(|text| end(&text)) } else { None }
                }
            };
            let zone = project.hub.time_zone.clone();
            all.extend(end.map(|at| Expiring {
                system: system.to_owned(),
                what: format!("`{name}`"),
                on: at.to_zoned(zone).date(),
                long: false,
            }));
        }
        OptionValue::Map(map) => {
            for (inner, value) in map {
                look(project, secrets, system, &format!("{name}.{inner}"), value, all);
            }
        }
        OptionValue::List(list) => {
            for value in list {
                look(project, secrets, system, name, value, all);
            }
        }
        _ => {}
    }
}

/// A text that is a reference and nothing else.
fn reference(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')
}

/// When a certificate or token ends; of several certificates the first that does.
fn end(text: &str) -> Option<Timestamp> {
    if let Some(rest) = text.split_once("-----BEGIN CERTIFICATE-----").map(|(_, rest)| rest) {
        let blocks = std::iter::once(rest).chain(rest.split("-----BEGIN CERTIFICATE-----").skip(1));
        return blocks
            .filter_map(|block| {
                let body: String = block.split("-----END").next()?.split_whitespace().collect();
                not_after(&STANDARD.decode(body).ok()?)
            })
            .min();
    }
    let mut parts = text.trim().split('.');
    let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !head.starts_with("ey") || signature.is_empty() {
        return None;
    }
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Timestamp::from_second(claims["exp"].as_i64()?).ok()
}

/// The end of a certificate's validity.
///
/// *Source*: RFC 5280, 4.1: Certificate { TBSCertificate { [0] version, serial, signature, issuer, validity { notBefore,
/// notAfter } } }.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (_, mut tbs, _) = element(certificate)?;
    if tbs.first() == Some(&0xa0) {
        tbs = element(tbs)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        tbs = element(tbs)?.2;
    }
    let (_, validity, _) = element(tbs)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    // UTCTime has two digits of the year, by which it is between 1950 and 2049.
    let (year, at) = match tag {
        0x17 => (number(0..2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        0x18 => (number(0..4)?, 4),
        _ => return None,
    };
    let part = |n: usize| number(at + 2 * n..at + 2 * n + 2).map(|part| part as i8);
    let day: Date = Date::new(year, part(0)?, part(1)?).ok().or_else(|| Some(date(year, 12, 31)))?;
    let time = jiff::civil::Time::new(part(2)?, part(3)?, part(4)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(DateTime::from_parts(day, time)).ok()
}

/// The first element of DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        _ => {
            let bytes = usize::from(short & 0x7f);
            let digits = rest.get(..bytes).filter(|_| bytes <= 4)?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest.get(bytes..)?)
        }
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of no use (sample), made by `openssl req -x509` for the years from 2026 on.
    const SAMPLE: &str = "-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUQrcs3qsW5ql7OKX4wZ3URhLAF6gwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIKHNhbXBsZSkwHhcNMjYxMTI2MDM1NjE5WhcNMjcxMjMxMDM1
NjE5WjATMREwDwYDVQQDDAgoc2FtcGxlKTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABM7rYgv/FnhUrAbpzEADbsaDtZZnj8a5nMLOJSwMb0SpGmcnKCBYGx3Zz1S8
o8buxvmwZlpLgvMyeH5w4L49bOOjUzBRMB0GA1UdDgQWBBRY+xiGgfTCU5+sugPH
eVKws+gcwjAfBgNVHSMEGDAWgBRY+xiGgfTCU5+sugPHeVKws+gcwjAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDjSxpG2ZIuSCopYzJ7+zCaabB5
yUsEQAOJ5FaLNcPUZwIgYsmMgYtdn4ypR0h1wa5CoCpvu1pi8JvwQssCnrTeaEI=
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_and_a_token_say_when_they_end() {
        let shown = |text: &str| end(text).map(|at| at.to_string());
        assert_eq!(shown(SAMPLE).as_deref(), Some("2027-12-31T03:56:19Z"));
        let token = format!(
            "{}.{}.x",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            URL_SAFE_NO_PAD.encode(r#"{"exp":1800000000}"#)
        );
        assert_eq!(shown(&token).as_deref(), Some("2027-01-15T08:00:00Z"));
        for none in
            ["", "local", "a.b.c", "ey.x.y", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", "ab.cd"]
        {
            assert_eq!(shown(none), None, "{none}");
        }
        let der = STANDARD.decode(SAMPLE.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        for cut in 0..der.len() {
            // Anything may be in a file; nothing panics.
            not_after(&der[..cut]);
        }
    }
}
