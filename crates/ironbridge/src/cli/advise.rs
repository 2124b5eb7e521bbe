//! What may be typed to be advised.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Every answer can be given as a flag; what is left is asked on a terminal.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Advise {
    #[command(subcommand)]
    pub action: Option<AdviseAction>,
    /// Keep the decision in decisions/NAME.yaml and draft the integration NAME. What was answered before holds.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A YAML file with the answers.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Who decides; by default the user of this machine.
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// Who will answer for it; by default who decides.
    #[arg(long, value_name = "WHO", requires = "name")]
    pub owner: Option<String>,
    /// Choose something else than what is recommended.
    #[arg(long, value_name = "OUTCOME", requires_all = ["because", "name"])]
    pub choose: Option<String>,
    /// Why it is chosen against the advice.
    #[arg(long, value_name = "TEXT", requires = "choose")]
    pub because: Option<String>,
    /// Keep the decision alone: draft no files.
    #[arg(long, requires = "name")]
    pub no_draft: bool,
    #[command(flatten)]
    pub given: Given,
}

/// The answers, as in a file.
#[derive(Debug, Args)]
pub struct Given {
    /// What should be there, for whom, in one sentence?
    #[arg(long, value_name = "TEXT")]
    pub wish: Option<String>,
    /// What goes wrong if this is 30 minutes late: nothing, annoying, costly, stops.
    #[arg(long, value_name = "WORD")]
    pub late: Option<String>,
    /// Who looks at it: nobody, a_few, many, a_program.
    #[arg(long, value_name = "WORD")]
    pub looks: Option<String>,
    /// How many in a day, now?
    #[arg(long, value_name = "N")]
    pub a_day: Option<String>,
    /// And in three years?
    #[arg(long, value_name = "N")]
    pub in_three_years: Option<String>,
    /// May one be lost: true, false.
    #[arg(long, value_name = "BOOL")]
    pub may_be_lost: Option<String>,
    /// Who decides about each of them: nobody, a_person, several.
    #[arg(long, value_name = "WORD")]
    pub decides: Option<String>,
    /// In Dynamics: stored, seen, neither.
    #[arg(long, value_name = "WORD")]
    pub stored: Option<String>,
    /// Dynamics searches, charts, audits or starts something with it: true, false.
    #[arg(long, value_name = "BOOL")]
    pub worked_with: Option<String>,
    /// What it is about: records, documents, stock, credit_status, payment, check, figures, files, messages.
    #[arg(long, value_name = "WORD")]
    pub about: Option<String>,
    /// Where it is now: dynamics, finance_and_operations, microsoft_365, sharepoint_or_excel, sql_in_the_cloud, sql, api, files, nowhere.
    #[arg(long, value_name = "WORD")]
    pub from_is: Option<String>,
    /// Where it should be, in the same words.
    #[arg(long, value_name = "WORD")]
    pub to_is: Option<String>,
    /// Changed on both sides: true, false.
    #[arg(long, value_name = "BOOL")]
    pub both_ways: Option<String>,
    /// Minutes a month that it takes by hand.
    #[arg(long, value_name = "N")]
    pub by_hand: Option<String>,
    /// What a day of your people costs.
    #[arg(long, value_name = "N")]
    pub rate: Option<String>,
    /// In which currency.
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// Paid Dynamics 365 users.
    #[arg(long, value_name = "N")]
    pub licences: Option<String>,
    /// The system of the project that has it.
    #[arg(long, value_name = "SYSTEM")]
    pub from: Option<String>,
    /// The system that should get it.
    #[arg(long, value_name = "SYSTEM")]
    pub to: Option<String>,
    /// The entity that it is.
    #[arg(long, value_name = "ENTITY")]
    pub entity: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AdviseAction {
    /// Look at the whole project and at what was measured: what could be simpler, and what outgrew what it is.
    Review,
}
