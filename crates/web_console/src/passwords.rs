//! Passwords, kept as Argon2id hashes in the PHC string format.
//!
//! *Source*: OWASP Password Storage Cheat Sheet, November 2026: 19 MiB, two passes, one lane.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use subtle::ConstantTimeEq;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
/// A shorter password is guessed.
pub const CHARS_MIN: usize = 12;
/// A longer one only costs time.
pub const BYTES_MAX: usize = 1024;

/// Why a password is none. The sentence says what to do.
pub fn problem(password: &str, name: &str) -> Option<String> {
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Some(format!(
            "it has {chars} characters, and {CHARS_MIN} are the least; a few words in a row are good"
        ));
    }
    if password.len() > BYTES_MAX {
        return Some(format!("it is longer than {BYTES_MAX} bytes"));
    }
    if password.to_lowercase().contains(&name.to_lowercase()) {
        return Some("it contains the name of the user".to_owned());
    }
    let first = password.chars().next();
    password.chars().all(|c| Some(c) == first).then(|| "it is one character many times".to_owned())
}

/// The hash of a password under a salt of its own.
pub fn hash(password: &str) -> String {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("the machine gives random bytes");
    let params = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
    let hash = derive(password, &salt, (MEMORY_KIB, PASSES, LANES)).expect("the parameters are in their bounds");
    format!("$argon2id$v=19${params}${}${}", BASE64.encode(salt), BASE64.encode(hash))
}

/// Whether this is the password of a hash. Takes the same time whatever is wrong with it.
pub fn is_right(password: &str, hash: &str) -> bool {
    match parse(hash) {
        Some((cost, salt, expected)) => {
            derive(password, &salt, cost).is_some_and(|found| bool::from(found[..].ct_eq(&expected)))
        }
        None => false,
    }
}

/// As much work as [`is_right`], for a user that there is not: nobody learns names from the time.
pub fn waste(password: &str) {
    let _ = derive(password, &[0; 16], (MEMORY_KIB, PASSES, LANES));
}

type Cost = (u32, u32, u32);

fn derive(password: &str, salt: &[u8], (memory, passes, lanes): Cost) -> Option<[u8; HASH_BYTES]> {
    if password.len() > BYTES_MAX {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()?;
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

fn parse(hash: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "argon2id", "v=19", params, salt, hash] = parts[..] else { return None };
    let mut cost = [0; 3];
    for (at, (name, part)) in ["m=", "t=", "p="].into_iter().zip(params.split(',')).enumerate() {
        cost[at] = part.strip_prefix(name)?.parse().ok()?;
    }
    Some((cost.into(), BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_nothing_else_is() {
        let kept = hash("a few words in a row");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_right("a few words in a row", &kept));
        assert!(!is_right("a few words in a roW", &kept));
        let wrong = ["", "$argon2i$v=19$m=19456,t=2,p=1$AA$AA", "$argon2id$v=19$m=1,t=0,p=0$AAAAAAAAAAAAAAAAAAAAAA$AA"];
        assert_eq!(wrong.map(|kept| is_right("a few words in a row", kept)), [false; 3]);
    }

    /// The first test vector of RFC 9106 for Argon2id has a secret and data, which we do not use; this one is of the
    /// reference program: `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32`.
    #[test]
    fn it_is_the_argon2id_of_everybody() {
        let kept = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(is_right("password", kept));
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        let says = |password: &str| problem(password, "Mia").unwrap_or_default();
        assert!(says("short").contains("5 characters"), "{}", says("short"));
        assert!(says("miamiamiamiami").contains("name"));
        assert!(says("aaaaaaaaaaaaaaa").contains("one character"));
        assert_eq!(says("a few words in a row"), "");
        assert!(says(&"ab".repeat(600)).contains("longer"));
    }
}
