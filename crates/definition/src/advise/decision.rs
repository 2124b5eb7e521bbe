//! A decision as it stands beside its integration: questions, answers, reason, date, who.

use std::fmt::Write;

use jiff::civil::Date;

use super::answers::Answers;
use super::outcome::Outcome;
use crate::decoded::{Data, Group, quote};

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub name: String,
    pub date: Date,
    pub who: String,
    pub answers: Answers,
    pub recommended: Outcome,
    pub chosen: Outcome,
    pub reason: String,
    pub against_advice_because: Option<String>,
    /// What was built.
    pub integration: Option<String>,
}

impl Decision {
    pub(crate) fn of(group: &Group) -> Decision {
        let text = |key: &str| group.text(key).unwrap_or_default().to_owned();
        let outcome = |key: &str| group.text(key).and_then(Outcome::of).unwrap_or(Outcome::Nothing);
        let empty = Group { table: "", at: group.at, entries: Vec::new(), strange: false };
        Decision {
            name: text("decision"),
            date: match group.get("date") {
                Some(Data::Date(date)) => *date,
                _ => Date::ZERO,
            },
            who: text("who"),
            answers: Answers::of(group.group("answers").unwrap_or(&empty)),
            recommended: outcome("recommended"),
            chosen: outcome("chosen"),
            reason: text("reason"),
            against_advice_because: group.text("against_advice_because").map(str::to_owned),
            integration: group.text("integration").map(str::to_owned),
        }
    }

    /// The file `decisions/<name>.yaml`.
    pub fn to_yaml(&self) -> String {
        let mut text = format!(
            "decision: {}\ndate: {}\nwho: {}\nrecommended: {}\nchosen: {}\nreason: {}\n",
            self.name,
            self.date,
            quote(&self.who),
            self.recommended.word(),
            self.chosen.word(),
            quote(&self.reason)
        );
        if let Some(because) = &self.against_advice_because {
            let _ = writeln!(text, "against_advice_because: {}", quote(because));
        }
        if let Some(integration) = &self.integration {
            let _ = writeln!(text, "integration: {integration}");
        }
        text.push_str("answers:\n");
        for (key, value) in self.answers.lines() {
            let _ = writeln!(text, "  {key}: {value}");
        }
        text
    }
}
