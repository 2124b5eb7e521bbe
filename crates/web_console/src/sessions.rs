//! The cookie that a session lives in, and the tokens of forms.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use store::users::TokenHash;
use subtle::ConstantTimeEq;

/// A session that nobody uses for so long is over.
pub const IDLE: Duration = Duration::from_secs(2 * 3600);
/// A session is over after so long, however busy: a working day.
pub const LENGTH: Duration = Duration::from_secs(12 * 3600);

/// What a browser keeps and nobody else knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    pub fn random() -> Token {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the machine gives random bytes");
        Token(bytes)
    }

    /// *Shape*: 64 hexadecimal digits; anything else is no token.
    pub fn parse(text: &str) -> Option<Token> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Token(bytes))
    }

    pub fn text(&self) -> String {
        hex(&self.0)
    }

    /// What the store keeps.
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0).into()
    }
}

/// The token that each form of a session carries. A page of somebody else's does not know it.
///
/// `session` is nothing where nobody signs in: then the secret of the folder alone tells our pages from others'.
pub fn form_token(secret: &[u8; 32], session: Option<&Token>) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(b"form of the console\0");
    mac.update(session.map_or(&[], |token| &token.0[..]));
    hex(&mac.finalize().into_bytes())
}

/// Compared whole, so that the time says nothing.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// With TLS the browser itself makes sure that no neighbour sets it, and that it is sent under TLS only.
fn cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-ironbridge" } else { "ironbridge" }
}

/// The session's token of a `Cookie` header.
pub fn of_cookies(cookies: &str, tls: bool) -> Option<Token> {
    let mine = cookies.split(';').filter_map(|part| part.trim().split_once('='));
    mine.filter(|(name, _)| *name == cookie_name(tls)).find_map(|(_, value)| Token::parse(value))
}

/// The `Set-Cookie` header that begins a session, or ends it. Lax: a link in a mail leads to a page of somebody who is
/// signed in, and only a form of ours posts.
pub fn set_cookie(token: Option<&Token>, tls: bool) -> String {
    let (value, age) = token.map_or((String::new(), 0), |token| (token.text(), LENGTH.as_secs()));
    let secure = if tls { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}", cookie_name(tls))
}

/// Where to go on after signing in: one of our own pages.
pub fn next_page(wanted: Option<&str>) -> String {
    let ours = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.starts_with("/sign-")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    wanted.filter(ours).unwrap_or("/").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_comes_back_from_its_cookie() {
        for tls in [false, true] {
            let token = Token::random();
            let set = set_cookie(Some(&token), tls);
            assert!(set.contains("; HttpOnly; SameSite=Lax") && set.contains("; Secure") == tls, "{set}");
            let sent = format!("other=1; {}; more=2", set.split(';').next().unwrap());
            assert!(of_cookies(&sent, tls) == Some(token));
            assert!(of_cookies(&sent, !tls).is_none());
        }
        assert!(set_cookie(None, false).contains("ironbridge=; Path=/; Max-Age=0"));
    }

    #[test]
    fn a_form_token_belongs_to_its_session_and_folder() {
        let (one, other) = (Token::random(), Token::random());
        let tokens = [
            form_token(&[1; 32], None),
            form_token(&[2; 32], None),
            form_token(&[1; 32], Some(&one)),
            form_token(&[1; 32], Some(&other)),
            form_token(&[2; 32], Some(&one)),
        ];
        for (at, token) in tokens.iter().enumerate() {
            assert!(tokens.iter().skip(at + 1).all(|later| !same(token, later)), "{tokens:?}");
            assert!(token != &one.text());
        }
        assert!(same(&form_token(&[1; 32], Some(&one)), &tokens[2]));
    }

    #[test]
    fn one_goes_on_to_our_own_pages_only() {
        let pages = [
            Some("/runs?state=failed"),
            Some("//evil.example/"),
            Some("https://evil.example/"),
            Some("/\\evil.example"),
            Some("/sign-out"),
            Some("/a b"),
            None,
        ];
        let next = pages.map(next_page);
        assert_eq!(next, ["/runs?state=failed", "/", "/", "/", "/", "/", "/"]);
    }

    proptest! {
        #[test]
        fn cookies_are_read_whatever_they_are(cookies in ".{0,200}") {
            let _ = of_cookies(&cookies, false);
        }
    }
}
