//! How far an instance of a flow has come: plain data, kept as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The path of the step that is next or under way; nothing once it has ended.
    pub at: Option<String>,
    #[serde(default)]
    pub doing: Doing,
    /// Fields that it has set so far: they count before what the system says.
    #[serde(default)]
    pub set: BTreeMap<String, Json>,
    #[serde(default)]
    pub decisions: BTreeMap<String, Decision>,
}

/// What it does at its step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// The step is about to be done.
    #[default]
    Ready,
    Waiting {
        #[serde(with = "moment")]
        until: Timestamp,
    },
    Asking(Box<Asking>),
}

/// A question that has been put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    #[serde(with = "moment")]
    pub since: Timestamp,
    /// Whoever may answer: ids of people, and groups without members that anybody may answer for.
    pub of: Vec<String>,
    pub rule: Rule,
    /// Asked as well since nobody answered in time: the answer of one of them decides.
    #[serde(default)]
    pub escalated: Vec<String>,
    /// Somebody who may not decide.
    #[serde(default)]
    pub not: Option<String>,
    #[serde(default)]
    pub votes: Vec<Vote>,
    #[serde(default, with = "moment::maybe")]
    pub remind: Option<Timestamp>,
    #[serde(default, with = "moment::maybe")]
    pub escalate: Option<Timestamp>,
    #[serde(with = "moment")]
    pub deadline: Timestamp,
    /// What was shown of the fields under `if_changed`.
    #[serde(default)]
    pub shown: BTreeMap<String, Json>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    One,
    All,
    AtLeast(u32),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    pub by: String,
    pub approve: bool,
    #[serde(with = "moment")]
    pub at: Timestamp,
    #[serde(default)]
    pub comment: Option<String>,
}

/// What was decided, as later steps read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `approved` or `rejected`.
    pub outcome: String,
    /// A person, or `deadline`.
    pub by: String,
    #[serde(default)]
    pub comment: Option<String>,
    #[serde(with = "moment")]
    pub at: Timestamp,
}

impl State {
    /// Before the first step.
    pub fn begin(first: Option<String>) -> State {
        State { at: first, doing: Doing::Ready, set: BTreeMap::new(), decisions: BTreeMap::new() }
    }
}

/// Moments as text.
mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }

    pub mod maybe {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
            at.map(|at| at.to_string()).serialize(to)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
            Option::<String>::deserialize(from)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}
