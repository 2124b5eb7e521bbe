//! What may be typed about what went wrong, and about what people did.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, newest first.
    List {
        integration: Option<String>,
        #[arg(long)]
        code: Option<String>,
        /// Only those of one group, such as g1a2b3c4.
        #[arg(long)]
        group: Option<String>,
        /// Also those that are closed.
        #[arg(long)]
        all: bool,
        #[arg(long, default_value_t = 50, value_name = "N")]
        last: usize,
    },
    /// By cause: those with the same integration, step, code and message are one group.
    Groups {
        integration: Option<String>,
        /// Also groups that nothing waits in.
        #[arg(long)]
        all: bool,
        #[arg(long, default_value_t = 50, value_name = "N")]
        last: usize,
    },
    /// Show one fully, or a group with one of its dead letters: the error, the record, every mapped field with its formula.
    Show {
        /// The id, or a unique beginning of it; of a group, with its g.
        id: String,
    },
    /// Say of a group who sees to it, why it waits, until when nobody is to be troubled. Whoever says something has looked.
    Mark(Mark),
    /// Send one again, or a group: what it is about is read anew. Of a batch, its rows are read by the next run.
    Retry(Retry),
    /// Retries of groups: how far they are, and what became of each dead letter.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Say which version of a row holds, where the two sides of a two-way integration were both changed.
    Decide {
        /// The id, or a unique beginning of it.
        id: String,
        /// The system whose version holds; the next run writes it to the other one.
        #[arg(long, value_name = "SYSTEM")]
        take: String,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
    /// Send a changed copy instead: where the definition allows it, of events whose message is the record.
    Edit {
        /// The id, or a unique beginning of it.
        id: String,
        /// A column of what was sent with its new value; more than once for several. Not the key, nothing personal.
        #[arg(long, value_name = "COLUMN=VALUE", required = true, value_parser = set)]
        set: Vec<(String, String)>,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: String,
    },
    /// What the week brought, and who has not looked: for a mail on Monday.
    Weekly,
    /// Put one that nobody needs into the archive. What it holds back goes on.
    Discard {
        /// The id, or a unique beginning of it.
        id: String,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
    /// Take one back from the archive: it waits for somebody again.
    Restore {
        /// The id, or a unique beginning of it.
        id: String,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
}

fn set(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(column, _)| !column.is_empty());
    parts
        .map(|(column, value)| (column.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as COLUMN=VALUE".to_owned())
}

#[derive(Debug, Args)]
pub struct Retry {
    /// The id of a dead letter or of a group, or a unique beginning of it.
    pub id: String,
    /// Why, for whoever looks later.
    #[arg(long)]
    pub note: Option<String>,
    /// Of a group: only say what would run again, what took effect already, and whether the definition has changed.
    #[arg(long)]
    pub preview: bool,
    /// Of a group: so many first; then the job pauses until somebody has looked.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub first: Option<u64>,
    /// Of a group: at most so many a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Of a group: only what was there then, as the preview says it.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
}

#[derive(Debug, Args)]
pub struct Mark {
    /// Such as g1a2b3c4.
    pub group: String,
    /// Who sees to it; "" takes it away.
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// What is known of it.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Where more is told, such as a ticket.
    #[arg(long, value_name = "URL")]
    pub link: Option<String>,
    /// Put it aside for so long, such as "3 days": nobody is alerted until then.
    #[arg(long, value_name = "DURATION", value_parser = definition::duration)]
    pub hold: Option<std::time::Duration>,
    /// It is not put aside any more.
    #[arg(long, conflicts_with = "hold")]
    pub no_hold: bool,
}

#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Those that are on their way.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// One, with what became of each of its dead letters.
    Show { id: i64 },
    /// Go on with the rest.
    Resume {
        id: i64,
        /// At most so many a minute.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// Pause again after so many.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        first: Option<u64>,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
    /// Start nothing more for now.
    Pause {
        id: i64,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
    /// End it; what was not sent again waits as before.
    Cancel {
        id: i64,
        /// Why, for whoever looks later.
        #[arg(long)]
        note: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// The newest entries.
    List {
        /// Only of this person.
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
        /// Only what begins like this, such as "dead-letters".
        #[arg(long, value_name = "ACTION")]
        action: Option<String>,
        /// Only what was done to this, such as an integration.
        #[arg(long, value_name = "SUBJECT")]
        about: Option<String>,
        #[arg(long, default_value_t = 50, value_name = "N")]
        last: usize,
    },
    /// Write the whole log, one JSON object a line, the oldest first.
    Export {
        /// A file, or `-` for stdout.
        file: PathBuf,
    },
    /// Work every hash out again: whether nothing was changed, removed or put in.
    Verify {
        /// A hash that you kept earlier; the log must hold it.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}
