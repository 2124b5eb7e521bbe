//! Links with which one person answers one question: they open a page, and only what is sent from there decides.
//!
//! A link says whose it is and what it is about, under a seal that only this folder can make. Nothing is kept for it:
//! it ends with its question, and with the deadline of that.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use store::Store;
use store::approvals::{Approval, Kind};
use store::flows::InstanceId;

use super::work::subject;

/// The name of the key in the state file.
const SECRET: &str = "links of approvals";
const SEAL_BYTES: usize = 20;

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub flow: String,
    pub instance: InstanceId,
    /// The name of the decision.
    pub decision: String,
    /// Who answers with it, as in people.yaml.
    pub person: String,
    pub until: Timestamp,
}

/// Makes and reads links.
#[derive(Clone)]
pub struct Links([u8; 32]);

impl Links {
    /// *Errors*: of our own state.
    pub async fn of(store: &Store) -> Result<Links, store::Error> {
        store.secret(SECRET).await.map(Links)
    }

    /// The last part of an address. *Shape*: letters, digits and a dot.
    pub fn token(&self, link: &Link) -> String {
        let said =
            serde_json::json!([link.flow, link.instance.0, link.decision, link.person, link.until.as_millisecond()]);
        let said = said.to_string();
        format!("{}.{}", hex(said.as_bytes()), hex(&self.seal(said.as_bytes())))
    }

    /// What a link says; nothing where it was not made here. Whether it is too late is for whoever asks.
    pub fn read(&self, token: &str) -> Option<Link> {
        let (said, seal) = token.split_once('.')?;
        let said = bytes(said)?;
        let mut mac = self.mac();
        mac.update(&said);
        mac.verify_truncated_left(&bytes(seal).filter(|seal| seal.len() == SEAL_BYTES)?).ok()?;
        let (flow, instance, decision, person, until): (String, i64, String, String, i64) =
            serde_json::from_slice(&said).ok()?;
        let until = Timestamp::from_millisecond(until).ok()?;
        Some(Link { flow, instance: InstanceId(instance), decision, person, until })
    }

    fn seal(&self, said: &[u8]) -> Vec<u8> {
        let mut mac = self.mac();
        mac.update(said);
        mac.finalize().into_bytes()[..SEAL_BYTES].to_vec()
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key")
    }
}

impl Link {
    /// The question that it is about, however that stands now.
    ///
    /// *Errors*: of our own state.
    pub fn question(&self, store: &Store) -> Result<Option<Approval>, store::Error> {
        store.approval_of(&self.flow, Kind::Flow, &subject(self.instance, &self.decision))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_made_and_nothing_else_is() {
        let links = Links([7; 32]);
        let until = "2026-12-03T09:00:00Z".parse().unwrap();
        let link =
            Link { flow: "f".into(), instance: InstanceId(12), decision: "d".into(), person: "ann".into(), until };
        let token = links.token(&link);
        assert_eq!(links.read(&token), Some(link.clone()));
        assert_eq!(Links([8; 32]).read(&token), None);
        let other = links.token(&Link { person: "bob".into(), ..link });
        let (said, seal) = (other.split_once('.').unwrap().0, token.split_once('.').unwrap().1);
        for wrong in [format!("{said}.{seal}"), format!("{said}."), said.to_owned(), "é.é".to_owned(), String::new()]
        {
            assert_eq!(links.read(&wrong), None, "{wrong}");
        }
    }
}
