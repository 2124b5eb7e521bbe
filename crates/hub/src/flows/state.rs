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
    /// Parallel branches that are under way, by the path of the branch; a branch that has ended is at nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, Branch>,
    /// Loops that are under way, by the path of their step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub loops: BTreeMap<String, Loop>,
    /// Tells its record from another one that is made under its key; nothing where that was not known when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// Fields that it has set so far: they count before what the system says.
    #[serde(default)]
    pub set: BTreeMap<String, Json>,
    /// The instance that waits for this one to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<i64>,
    /// Who started it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// What was filled in to start it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub form: BTreeMap<String, Json>,
    /// What came of approvals, scopes, child flows and waits, by name.
    #[serde(default)]
    pub decisions: BTreeMap<String, Decision>,
}

/// One of several ways at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    pub at: Option<String>,
    #[serde(default)]
    pub doing: Doing,
}

/// A loop over lines, which are those that the record had when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    pub items: Vec<Json>,
    /// Which one its steps are about now.
    pub index: usize,
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
    /// Its branches are under way.
    Joining,
    /// A child flow is under way, which is known by this cause.
    Child {
        flow: String,
        cause: String,
    },
}

/// A question that has been put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    /// The name of the decision.
    #[serde(default)]
    pub name: String,
    #[serde(with = "moment")]
    pub since: Timestamp,
    /// Whoever may answer: ids of people, and groups without members that anybody may answer for.
    pub of: Vec<String>,
    pub rule: Rule,
    /// Asked as well since nobody answered in time: the answer of one of them decides.
    #[serde(default)]
    pub escalated: Vec<String>,
    /// Who is named for it, as the definition has it: people, and groups as they are now. Nobody in questions from before
    /// this was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// Who answers instead of whom, by whoever is away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instead: BTreeMap<String, String>,
    /// The question as it was put; empty in those from before it was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Somebody who may not decide.
    #[serde(default)]
    pub not: Option<String>,
    #[serde(default)]
    pub votes: Vec<Vote>,
    /// When all of them are reminded, of questions from before people had hours of their own.
    #[serde(default, with = "moment::maybe", skip_serializing_if = "Option::is_none")]
    pub remind: Option<Timestamp>,
    /// When each of those who have not answered is reminded.
    #[serde(default, with = "moment::each", skip_serializing_if = "BTreeMap::is_empty")]
    pub reminds: BTreeMap<String, Timestamp>,
    #[serde(default, with = "moment::maybe")]
    pub escalate: Option<Timestamp>,
    #[serde(with = "moment")]
    pub deadline: Timestamp,
    /// How many of those who are asked in order have been told.
    #[serde(default)]
    pub told: usize,
    /// Whether an answer needs a comment.
    #[serde(default)]
    pub comment: Comment,
    /// What was shown of the fields under `if_changed`.
    #[serde(default)]
    pub shown: BTreeMap<String, Json>,
}

impl Asking {
    /// Whether somebody who is asked is asked as one of these, or for one of them who was away.
    pub fn is_for(&self, asked: &str, of: &[String]) -> bool {
        let stands_for = |who: &str| {
            let mut who = who;
            // Whoever stands in may go away as well.
            for _ in 0..=self.instead.len() {
                if who == asked {
                    return true;
                }
                let Some(next) = self.instead.get(who) else { return false };
                who = next;
            }
            false
        };
        of.iter().any(|who| stands_for(who))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    One,
    All,
    AtLeast(u32),
    /// All of them, one after the other.
    InOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comment {
    #[default]
    Optional,
    Required,
    /// Of whoever says no.
    RequiredToReject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    pub by: String,
    pub approve: bool,
    #[serde(with = "moment")]
    pub at: Timestamp,
    #[serde(default)]
    pub comment: Option<String>,
    /// What was filled in with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Json>,
}

/// What was decided, as later steps read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `approved` or `rejected`; of a scope `done` or `failed`, of a child `done` or `cancelled`, of a wait `happened`
    /// or `timed_out`.
    pub outcome: String,
    /// A person, or `deadline`; of a scope the code of the error.
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub comment: Option<String>,
    /// What was filled in with the answer that decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Json>,
    #[serde(with = "moment")]
    pub at: Timestamp,
}

impl State {
    /// Before the first step.
    pub fn begin(first: Option<String>) -> State {
        State {
            at: first,
            doing: Doing::Ready,
            branches: BTreeMap::new(),
            loops: BTreeMap::new(),
            own: None,
            set: BTreeMap::new(),
            parent: None,
            requester: None,
            form: BTreeMap::new(),
            decisions: BTreeMap::new(),
        }
    }

    /// Where each way is, and what it does there: the main one first, under no name.
    pub fn ways(&self) -> impl Iterator<Item = (&str, Option<&str>, &Doing)> {
        let main = std::iter::once(("", self.at.as_deref(), &self.doing));
        main.chain(self.branches.iter().map(|(name, branch)| (name.as_str(), branch.at.as_deref(), &branch.doing)))
    }

    /// One of them, to be changed.
    pub(super) fn way(&mut self, name: &str) -> Option<(&mut Option<String>, &mut Doing)> {
        match name {
            "" => Some((&mut self.at, &mut self.doing)),
            name => self.branches.get_mut(name).map(|branch| (&mut branch.at, &mut branch.doing)),
        }
    }

    /// The questions that stand, with the path of their step.
    pub fn asking(&self) -> impl Iterator<Item = (&str, &Asking)> {
        self.ways().filter_map(|(_, at, doing)| match doing {
            Doing::Asking(asking) => Some((at.unwrap_or_default(), &**asking)),
            _ => None,
        })
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

    pub mod each {
        use std::collections::BTreeMap;

        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub fn serialize<S: Serializer>(all: &BTreeMap<String, Timestamp>, to: S) -> Result<S::Ok, S::Error> {
            to.collect_map(all.iter().map(|(name, at)| (name, at.to_string())))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Timestamp>, D::Error> {
            let all = BTreeMap::<String, String>::deserialize(from)?;
            all.into_iter().map(|(name, at)| Ok((name, at.parse().map_err(D::Error::custom)?))).collect()
        }
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
