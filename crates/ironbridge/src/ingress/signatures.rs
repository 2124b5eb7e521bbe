//! How a sender proves with a signature over the body that an event comes from it and is as it was sent.
//!
//! - `github`: `X-Hub-Signature-256: sha256=<hex>` over the body.
//!   Source: GitHub's documentation, "Validating webhook deliveries".
//! - `stripe`: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]` over `<seconds>.<body>`.
//!   Source: Stripe's documentation, "Verify webhook signatures manually".
//! - `standard`: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64> [v1,<base64>]` over
//!   `<id>.<timestamp>.<body>`, with a secret that is base64 after `whsec_`. Source: the Standard Webhooks specification.
//!   Some name their headers alike with a word of their own, such as `svix-signature`.
//!
//! All are HMAC-SHA256. Where a time is signed, an event that was signed more than five minutes ago, or ahead, is refused:
//! whoever has overheard one cannot send it again later.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use definition::Signed;
use hmac::{Hmac, KeyInit, Mac};
use record::Secret;
use sha2::Sha256;

/// How far the sender's clock and ours may be apart.
const TOLERANCE_SECONDS: i64 = 300;

/// Whether one of the secrets has signed this body, and lately.
pub fn is_good(signed: Signed, header: &str, secrets: &[Secret], headers: &HeaderMap, body: &[u8], now: i64) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(offered) = text(header) else { return false };
    match signed {
        Signed::GitHub => {
            let offered = offered.strip_prefix("sha256=").and_then(hex);
            offered.is_some_and(|offered| any(secrets, plain, &[body], &[offered]))
        }
        Signed::Stripe => {
            let part = |wanted| {
                offered.split(',').filter_map(|part| part.trim().split_once('=')).filter(move |p| p.0 == wanted)
            };
            let Some(time) = part("t").map(|(_, time)| time).next().filter(|time| is_recent(time, now)) else {
                return false;
            };
            let offered: Vec<Vec<u8>> = part("v1").filter_map(|(_, value)| hex(value)).collect();
            any(secrets, plain, &[time.as_bytes(), b".", body], &offered)
        }
        Signed::Standard => {
            let (id, time) = (text(&beside(header, "id")), text(&beside(header, "timestamp")));
            let (Some(id), Some(time)) = (id, time) else { return false };
            if !is_recent(time, now) {
                return false;
            }
            let offered = offered.split(' ').filter_map(|part| part.strip_prefix("v1,"));
            let offered: Vec<Vec<u8>> = offered.filter_map(|value| STANDARD.decode(value).ok()).collect();
            any(secrets, packed, &[id.as_bytes(), b".", time.as_bytes(), b".", body], &offered)
        }
    }
}

/// The header of the same sender for its `id` or `timestamp`.
pub fn beside(header: &str, what: &str) -> String {
    let header = header.to_ascii_lowercase();
    format!("{}{what}", header.strip_suffix("signature").unwrap_or("webhook-"))
}

fn plain(secret: &Secret) -> Vec<u8> {
    secret.reveal().as_bytes().to_vec()
}

/// A secret that is written as base64; one that is not is taken as it is.
fn packed(secret: &Secret) -> Vec<u8> {
    let text = secret.reveal();
    STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).unwrap_or_else(|_| plain(secret))
}

/// Every secret is tried with every signature, each in constant time.
fn any(secrets: &[Secret], bytes: fn(&Secret) -> Vec<u8>, parts: &[&[u8]], offered: &[Vec<u8>]) -> bool {
    let mut good = false;
    for secret in secrets {
        let mac = Hmac::<Sha256>::new_from_slice(&bytes(secret)).expect("a key of this code may have any length");
        let mac = parts.iter().fold(mac, |mac, part| mac.chain_update(part));
        for offered in offered {
            good |= mac.clone().verify_slice(offered).is_ok();
        }
    }
    good
}

fn is_recent(time: &str, now: i64) -> bool {
    time.parse::<i64>().is_ok_and(|time| time.abs_diff(now) <= TOLERANCE_SECONDS as u64)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.is_ascii() && text.len().is_multiple_of(2);
    digits.then(|| (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signed: Signed, headers: &[(&'static str, &str)], secret: &str, body: &[u8], now: i64, good: bool) {
        check_in(signed.header(), signed, headers, secret, body, now, good);
    }

    fn check_in(
        header: &str,
        signed: Signed,
        headers: &[(&'static str, &str)],
        secret: &str,
        body: &[u8],
        now: i64,
        good: bool,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let secrets = [Secret::new("an older one"), Secret::new(secret)];
        assert_eq!(is_good(signed, header, &secrets, &map, body, now), good, "{headers:?} at {now}");
    }

    #[test]
    fn what_github_signs() {
        // The example of GitHub's own page.
        let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!".as_slice());
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        check(Signed::GitHub, &[("x-hub-signature-256", good)], secret, body, 0, true);
        check(Signed::GitHub, &[("x-hub-signature-256", good)], secret, b"Hello, World?", 0, false);
        check(Signed::GitHub, &[("x-hub-signature-256", good)], "another", body, 0, false);
        check(Signed::GitHub, &[("x-hub-signature-256", &good[7..])], secret, body, 0, false);
        check(Signed::GitHub, &[("x-hub-signature-256", "sha256=")], secret, body, 0, false);
        check(Signed::GitHub, &[("x-hub-signature-256", "sha256=75é")], secret, body, 0, false);
        check(Signed::GitHub, &[], secret, body, 0, false);
    }

    #[test]
    fn what_stripe_signs_and_when() {
        let body = br#"{"id":"evt_1"}"#.as_slice();
        let mac = Hmac::<Sha256>::new_from_slice(b"whsec_test").unwrap();
        let mac = mac.chain_update(b"1492774577.").chain_update(body).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let header = format!("t=1492774577,v1=00ff,v1={hex},v0=6ffb");
        let headers = [("stripe-signature", &*header)];
        check(Signed::Stripe, &headers, "whsec_test", body, 1_492_774_577 + 300, true);
        check(Signed::Stripe, &headers, "whsec_test", body, 1_492_774_577 + 301, false);
        check(Signed::Stripe, &headers, "whsec_test", body, 1_492_774_577 - 301, false);
        check(Signed::Stripe, &headers, "whsec_other", body, 1_492_774_577, false);
        let moved = header.replace("t=1492774577", "t=1492774578");
        check(Signed::Stripe, &[("stripe-signature", &*moved)], "whsec_test", body, 1_492_774_577, false);
    }

    #[test]
    fn what_the_standard_signs() {
        // The example of the specification's reference libraries.
        let body = br#"{"test": 2432232314}"#.as_slice();
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        check(Signed::Standard, &headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, 1_614_265_330, true);
        check(Signed::Standard, &headers, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, 1_614_265_330, true);
        check(Signed::Standard, &headers, "whsec_AAAA", body, 1_614_265_330, false);
        check(Signed::Standard, &headers[1..], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, 1_614_265_330, false);
        check(Signed::Standard, &headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, 1_614_266_330, false);
        // By the names of one who sends such.
        let named = [("svix-id", headers[0].1), ("svix-timestamp", headers[1].1), ("svix-signature", headers[2].1)];
        for (header, good) in [("Svix-Signature", true), ("webhook-signature", false)] {
            let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            check_in(header, Signed::Standard, &named, secret, body, 1_614_265_330, good);
        }
    }
}
