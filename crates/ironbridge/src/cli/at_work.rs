//! What may be typed about integrations and people at work: positions, approvals, flows, queues, users.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Read what the source changed in a time, wherever the position is.
#[derive(Debug, Args)]
pub struct Window {
    /// Only what the source changed from this time on, such as 2026-11-01 or "2026-11-01 06:00"; the position stays.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Up to this time; by default up to now.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum State {
    /// Print it as JSON, in the shape that `set` and `merge` take.
    Show { integration: String },
    /// Replace it by that of a file, or of stdin (`-`).
    Set { integration: String, file: PathBuf },
    /// Replace the entities that the file names, and leave the others.
    Merge { integration: String, file: PathBuf },
    /// Forget it, of one entity or of all: the next run reads everything.
    Reset { integration: String, entity: Option<String> },
}

#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// Those that wait for an answer, newest first.
    List {
        /// Also those that are decided.
        #[arg(long)]
        all: bool,
    },
    /// One fully: the question, what would change, and what the destination would start because of it.
    Show { id: i64 },
    /// Say yes: the next run writes exactly this, and `up` starts one at once.
    Approve {
        id: i64,
        #[command(flatten)]
        decision: Decision,
    },
    /// Say no: nothing of it is written, until the changes are others.
    Reject {
        id: i64,
        #[command(flatten)]
        decision: Decision,
    },
    /// Somebody is not there for a while: who answers instead. Without a person, who is away.
    Away {
        /// As in people.yaml.
        person: Option<String>,
        /// Until when, such as 2026-12-24 or "2026-12-24 12:00".
        #[arg(long, value_name = "TIME", requires = "person")]
        until: Option<String>,
        /// From when on; by default from now.
        #[arg(long, value_name = "TIME", requires = "person")]
        from: Option<String>,
        /// Who answers instead; never whoever asked.
        #[arg(long, value_name = "PERSON", requires = "person")]
        stand_in: Option<String>,
        #[arg(long, default_value = "", value_name = "TEXT", requires = "person")]
        note: String,
    },
    /// Somebody is there again.
    Back { person: String },
}

#[derive(Debug, Subcommand)]
pub enum Flow {
    /// Start one for a record that is there, whatever its trigger says.
    Start {
        flow: String,
        /// The values of the record's key, in the order of the entity's `key:`.
        #[arg(required = true)]
        key: Vec<String>,
        /// Who starts it, as in people.yaml; by default the user of this machine.
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
        #[command(flatten)]
        filled: Filled,
    },
    /// Instances that are under way, newest first.
    List {
        flow: Option<String>,
        /// Also those that have ended.
        #[arg(long)]
        all: bool,
    },
    /// One fully: every step, what it did, who decided, and when.
    Show {
        id: i64,
        /// The steps as a picture for a browser, with where it stands.
        #[arg(long, conflicts_with = "verify")]
        svg: bool,
        /// Only whether what people were shown is what is kept; answers 1 where it is not.
        #[arg(long)]
        verify: bool,
    },
    /// End one. What it has written stays, and nobody is asked any more.
    Cancel {
        id: i64,
        /// Why, for whoever looks later.
        #[arg(long, value_name = "REASON")]
        why: String,
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
    /// Let one that failed try its step again.
    Retry {
        id: i64,
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
    /// Leave out the step at which one has failed, and go on with the next. An approval cannot be left out.
    Skip {
        id: i64,
        /// Why, for whoever looks later.
        #[arg(long, value_name = "REASON")]
        why: String,
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
    /// The versions of a flow, and how many instances of each are under way.
    Versions { flow: String },
    /// Let an instance go on with another version, where that has the step at which it stands.
    Migrate {
        id: i64,
        #[arg(long, value_name = "VERSION")]
        to: u32,
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
}

/// What is filled in with a form.
#[derive(Debug, Args)]
pub struct Filled {
    /// A field of the form, such as amount=1250.50. May be given several times.
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub fields: Vec<String>,
    /// The fields as a JSON object; `-` reads it from stdin.
    #[arg(long, value_name = "JSON")]
    pub json: Option<String>,
}

#[derive(Debug, Args)]
pub struct Decision {
    /// Who decides, as in people.yaml; by default the user of this machine.
    #[arg(long, value_name = "PERSON")]
    pub by: Option<String>,
    /// Why, for whoever looks later.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    #[command(flatten)]
    pub filled: Filled,
}

#[derive(Debug, Subcommand)]
pub enum Queue {
    /// Every queue, topic and subscription, with how many messages it holds.
    List,
    /// Look at messages without taking them.
    Peek {
        /// Its path, or the name of an integration with one destination.
        queue: String,
        /// From this number on.
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        from: i64,
        #[arg(long, default_value_t = 10, value_name = "N")]
        last: usize,
    },
    /// Send a message to an integration, as if its source had: the body is a JSON file, or `-` for stdin.
    Send { integration: String, file: PathBuf },
    /// Drop messages that nobody holds, oldest first. They are gone.
    Purge {
        /// Its path, or the name of an integration with one destination.
        queue: String,
        #[arg(long, default_value_t = 1000, value_name = "N")]
        max: usize,
        /// That you mean it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Add one. The password is asked for, or read from stdin.
    Add {
        name: String,
        /// viewer looks; operator also runs, pauses, retries and discards; approver also approves; admin does everything.
        #[arg(long, value_parser = role)]
        role: store::users::Role,
        /// Who that is in people.yaml: what they approve is decided by that person.
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
    },
    /// Everybody who may sign in.
    List,
    /// Give one another role; it holds from their next request on.
    Role {
        name: String,
        #[arg(long, value_parser = role)]
        role: store::users::Role,
    },
    /// Give one another password. The password is asked for, or read from stdin; they are signed out everywhere.
    Password { name: String },
    /// Remove one. They are signed out everywhere.
    Remove { name: String },
}

fn role(text: &str) -> Result<store::users::Role, String> {
    let known = || store::users::Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    store::users::Role::of(text).ok_or_else(|| format!("there are: {}", known()))
}
