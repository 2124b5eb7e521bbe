//! What may be typed about alerts.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// Those that are open, critical ones first, and what is silenced.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        #[arg(long, default_value_t = 50, value_name = "N")]
        last: usize,
    },
    /// One fully: what, since when, what it means, who was told and whether it got through.
    Show { id: i64 },
    /// Say that somebody looks at it: nobody else is told of it any more, but that it is over.
    #[command(visible_alias = "ack")]
    Acknowledge {
        id: i64,
        /// Who looks at it; by default the user of this machine.
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
        /// For whoever looks later.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Nobody is told of a subject for a while. What opens meanwhile is kept, and told at the end if it is not over.
    Silence {
        /// An integration, a system, a kind of alert, the key of one, or `*`.
        subject: String,
        #[arg(long, value_name = "DURATION", value_parser = definition::duration)]
        r#for: std::time::Duration,
        /// Why, for whoever wonders.
        #[arg(long, value_name = "TEXT")]
        note: String,
        /// Who says so; by default the user of this machine.
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
    /// End a silence now.
    Unsilence {
        /// The number that `alerts list` shows.
        id: i64,
    },
    /// Send a notice that says that it is a test, by every way.
    Test {
        /// Only to this person or group.
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// What would ring for each integration, who would hear it, and what would not.
    Coverage,
}
