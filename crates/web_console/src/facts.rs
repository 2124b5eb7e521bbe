//! How everything stands, read from the store in a few questions, whatever the number of integrations.

mod attention;
mod standing;

pub use attention::{Attention, attention};
pub use standing::{Level, Standing, standings};

use store::alerts::Alert;
use store::approvals::{Approval, State as Answer};
use store::looks::Look;
use store::outages::Outage;

use crate::Console;

/// What most pages need.
pub struct Facts {
    /// In the order of the project.
    pub standings: Vec<Standing>,
    pub outages: Vec<Outage>,
    /// Systems in use that did not answer when they were asked last.
    pub silent: Vec<Look>,
    /// Questions without an answer, newest first.
    pub questions: Vec<Approval>,
    /// The alerts that are open, the worst first.
    pub alerts: Vec<Alert>,
}

impl Facts {
    /// *Errors*: of our own state.
    pub fn of(console: &Console, now: jiff::Timestamp) -> Result<Facts, store::Error> {
        let outages = console.store.outages()?;
        let mut questions = console.store.approvals(false, 1_000)?;
        questions.retain(|a| a.state == Answer::Open && a.expires.is_none_or(|expires| expires > now));
        let mut standings = standings(&console.project, &console.store, &outages, &questions, now)?;
        let alerts = console.store.open_alerts()?;
        let silent = hub::looks::silent_ones(&console.project, &console.store)?;
        for (integration, standing) in console.project.integrations.iter().zip(&mut standings) {
            let systems = integration.systems();
            standing.follows(silent.iter().find(|look| systems.contains(&look.system.as_str())));
        }
        Ok(Facts { standings, outages, silent, questions, alerts })
    }

    pub fn dead_letters(&self) -> u64 {
        self.standings.iter().map(|standing| standing.dead_letters).sum()
    }

    pub fn standing(&self, name: &str) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.name == name)
    }
}
