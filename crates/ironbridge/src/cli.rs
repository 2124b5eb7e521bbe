//! What may be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

mod care;

pub use care::{Audit, DeadLetters, Jobs, Mark, Retry};

/// The integration hub for Microsoft Dynamics 365 (Dataverse).
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// The project's folder.
    #[arg(long, short = 'C', global = true, default_value = ".", value_name = "DIR")]
    pub project: PathBuf,
    /// Which file of `environments/` holds here.
    #[arg(long, global = true, value_name = "NAME")]
    pub env: Option<String>,
    #[arg(long, global = true, default_value = "human")]
    pub format: Format,
    /// How logs are written on stderr: for people, or one JSON object a line with the fields of the error. By default as
    /// `--format`.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Say more on stderr: -v what the hub does, -vv what every part does.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

fn percent(text: &str) -> Result<record::Decimal, String> {
    definition::percentage(text)
}

impl Cli {
    /// What was typed; ends the process where it cannot be meant.
    pub fn read() -> Cli {
        let cli = Cli::parse();
        if cli.format == Format::Sarif && !matches!(cli.command, Command::Check { .. }) {
            let what = "only `check` answers as SARIF; use `--format json`";
            Cli::command().error(ErrorKind::ArgumentConflict, what).exit();
        }
        if cli.format == Format::Csv && !matches!(cli.command, Command::DeadLetters(_) | Command::Audit(_)) {
            let what = "only `dead-letters` and `audit` answer as CSV; use `--format json`";
            Cli::command().error(ErrorKind::ArgumentConflict, what).exit();
        }
        cli
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
    /// For spreadsheets: lists of dead letters, retries and the audit log.
    Csv,
    /// For code reviews: `check` alone answers it.
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on embedded defaults: a local Dynamics, a sample finance system, the hub between them.
    Demo(Demo),
    /// Make a project: finance in SQLite, customers, Dynamics.
    Init {
        #[arg(required_unless_present = "from_sample")]
        dir: Option<PathBuf>,
        /// Draft an entity and its mapping instead, from a CSV or JSON file, or from a live table (SYSTEM.TABLE).
        #[arg(long, value_name = "FILE", conflicts_with = "dir")]
        from_sample: Option<String>,
        /// The name of the drafted entity; by default that of the file or table.
        #[arg(long, value_name = "NAME", requires = "from_sample")]
        entity: Option<String>,
    },
    /// Find every mistake of the project, where it is, and what to write instead.
    Check {
        /// Ask the live systems too: reachable, permitted, tables, columns, alternate keys.
        #[arg(long)]
        online: bool,
        /// Check again whenever a file changes, until stopped.
        #[arg(long)]
        watch: bool,
    },
    /// Print an integration, system or entity with every default written out, and where each value came from.
    Show { name: String },
    /// What a change of a system, entity, field or column would touch: mappings, integrations, flows, runbooks, tests.
    Impact {
        /// Such as finance, customer, customer.credit_limit, credit_limit or finance.terms_code.
        #[arg(value_name = "SYSTEM|ENTITY|FIELD|COLUMN")]
        name: String,
        /// As a picture for a page of text, which GitHub and Azure DevOps draw.
        #[arg(long, conflicts_with = "svg")]
        mermaid: bool,
        /// As a picture for a browser.
        #[arg(long)]
        svg: bool,
    },
    /// What a change of the files changes in behaviour, in words: safe, reads everything again, rewrites rows, breaks running flows.
    Diff {
        /// A folder, or a revision of git such as main or HEAD~3.
        #[arg(value_name = "OLD")]
        old: String,
        /// The same; by default the project as it is.
        #[arg(value_name = "NEW")]
        new: Option<String>,
    },
    /// What to build, if anything: a few plain questions, a recommendation, why, and what each way would cost.
    Advise(Box<Advise>),
    /// Write the project out in open formats.
    Export {
        /// Sheets: what is mapped, one CSV and one Markdown file for each entity, for its owner to read and sign.
        #[arg(long, value_name = "FORMAT")]
        to: Export,
        /// The folder that the files are written to; files of an earlier export are replaced.
        #[arg(long, default_value = "sheets", value_name = "DIR")]
        into: PathBuf,
        /// Ask the source systems for a few rows as examples; without it they come from the project's tests.
        #[arg(long)]
        live: bool,
    },
    /// Draw the systems and the integrations between them.
    Graph {
        /// Mermaid for a page of text, SVG for a browser.
        #[arg(long = "as", default_value = "mermaid", value_name = "PICTURE")]
        picture: Picture,
        /// The same as `--as svg`.
        #[arg(long, conflicts_with = "picture")]
        svg: bool,
        /// The same as `--as mermaid`.
        #[arg(long, conflicts_with_all = ["picture", "svg"])]
        mermaid: bool,
    },
    /// Show what a run would write, with old and new values from the live target. Writes nothing; exits with 3 if there are changes.
    Plan {
        integration: String,
        /// Every row, instead of the first ones.
        #[arg(long)]
        detailed: bool,
        /// Keep the plan, to apply exactly this: `run --plan FILE`.
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        #[command(flatten)]
        window: Window,
    },
    /// Run an integration once, now.
    Run {
        integration: String,
        /// The name of a protected environment, typed to confirm that it is meant.
        #[arg(long, value_name = "ENVIRONMENT")]
        confirm: Option<String>,
        /// For this run only: how many of the written rows may be deleted or deactivated, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        max_deletes: Option<record::Decimal>,
        /// Write exactly what this saved plan says, or nothing where the world has moved since.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["max_deletes", "from"])]
        plan: Option<PathBuf>,
        #[command(flatten)]
        window: Window,
    },
    /// Run everything that is due, until stopped.
    Up {
        #[arg(long, default_value = "127.0.0.1:7700", value_name = "ADDR")]
        listen: SocketAddr,
        /// Speak https, with this certificate and those between it and its authority, in PEM.
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_certificate: Option<PathBuf>,
        /// The certificate's key, in PEM.
        #[arg(long, value_name = "FILE", requires = "tls_certificate")]
        tls_key: Option<PathBuf>,
    },
    /// Who may use the web console. From the first user on, everybody signs in there.
    #[command(subcommand)]
    Users(Users),
    /// Virtual tables: live rows of other systems, shown in Dynamics.
    #[command(subcommand)]
    Virtual(Virtual),
    /// Run the cases in `tests/`, each in a world of its own: no live system is asked or changed.
    Test {
        /// Part of what a case shows, its file, or its integration; without one, all cases.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Write what happened into the files of failing cases, as what is expected from now on.
        #[arg(long)]
        update: bool,
    },
    /// How each integration stands.
    Status,
    /// The last runs, newest first.
    Runs {
        integration: Option<String>,
        #[arg(long, default_value_t = 20, value_name = "N")]
        last: usize,
    },
    /// The story of one record through every integration: messages, tries, effects, dead letters, runs.
    Trace {
        entity: String,
        /// The values of its key, in the order of the entity's `key:`.
        #[arg(required = true)]
        key: Vec<String>,
        #[arg(long, default_value_t = 100, value_name = "N")]
        last: usize,
    },
    /// The systems of the project: whether they answer, and what is missing there.
    #[command(subcommand)]
    Systems(Systems),
    /// An integration starts no run by itself, until it is resumed or the time is over.
    Pause {
        integration: String,
        /// Why, for whoever wonders later.
        #[arg(long)]
        note: String,
        /// For how long, such as "2 hours"; without it, until `resume`.
        #[arg(long, value_name = "DURATION", value_parser = definition::duration)]
        r#for: Option<std::time::Duration>,
    },
    /// A paused integration runs by its schedule again.
    Resume { integration: String },
    /// How far each entity of an integration has been read: to look at, to move, to start over.
    #[command(subcommand)]
    State(State),
    /// Questions that wait for a person: what a run would write, before it does.
    #[command(subcommand)]
    Approvals(Approvals),
    /// Flows: their instances, how far each has come, and their versions.
    #[command(subcommand)]
    Flow(Flow),
    /// Rows and messages that the hub gave up on, waiting for a person.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Remove what the hub keeps of one record: journal, dead letters, messages, ledger. Without --yes only says what.
    Forget {
        entity: String,
        /// The values of its key, in the order of the entity's `key:`.
        #[arg(required = true)]
        key: Vec<String>,
        /// That you mean it. It cannot be taken back.
        #[arg(long)]
        yes: bool,
        /// Why, for whoever looks later; no personal data.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Put what somebody who helps needs to see into one file, without secrets and personal data.
    SupportBundle {
        /// Such as bundle.zip.
        file: PathBuf,
    },
    /// What people did, when and why: a log that is only added to, and proves itself.
    #[command(subcommand)]
    Audit(Audit),
    /// The durable queue: what waits where.
    #[command(subcommand)]
    Queue(Queue),
    /// What Dynamics is told by its own API.
    #[command(subcommand)]
    Dataverse(Dataverse),
    /// What a code means, what is safe, and what to do.
    Explain {
        /// Such as IB0412; without one, all codes.
        code: Option<String>,
    },
    /// Evaluate a Power Fx formula.
    Formula {
        #[arg(required_unless_present_any = ["batch", "mapping"])]
        formula: Option<String>,
        /// One JSON object a line on stdin, one answer a line on stdout.
        #[arg(long, conflicts_with = "formula")]
        batch: bool,
        /// Put one row through a mapping of the project and show what each field gets, such as `finance.customer`.
        #[arg(long, value_name = "SYSTEM.ENTITY", requires = "row", conflicts_with_all = ["formula", "batch"])]
        mapping: Option<String>,
        /// The row, as a file with one JSON object.
        #[arg(long, value_name = "FILE", requires = "mapping")]
        row: Option<PathBuf>,
    },
    /// Write the JSON Schema of the definition files, with this project's own names, for completion in an editor.
    Schema,
    /// A local stand-in for a service, for development and tests.
    #[command(subcommand)]
    Emulate(Emulate),
}

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

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Demo {
    /// One full round, a summary, and an exit code.
    #[arg(long)]
    pub once: bool,
    /// Where the demo keeps its project and its data.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    pub action: Option<DemoAction>,
}

#[derive(Debug, Subcommand)]
pub enum DemoAction {
    /// Change one customer in the demo's finance system.
    Change {
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Submit an order in the demo's Dynamics.
    Order {
        /// With a product that the ERP sells no more.
        #[arg(long)]
        discontinued: bool,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Show the stock of a product as Dynamics does, after changing it in the demo's warehouse if a quantity is given.
    Stock {
        #[arg(default_value = "P-100")]
        sku: String,
        #[arg(value_name = "QTY")]
        quantity: Option<i64>,
        /// Which warehouse is changed: LON, CGN, SAO or YVR.
        #[arg(long, default_value = "LON")]
        warehouse: String,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take the demo's ERP down, or bring it back.
    Erp {
        state: UpOrDown,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take the demo's Dynamics down, or bring it back.
    Dynamics {
        state: UpOrDown,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// The demo's folder, where nobody says another.
pub const DEMO_DIR: &str = "ironbridge-demo";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UpOrDown {
    Up,
    Down,
}

#[derive(Debug, Subcommand)]
pub enum Dataverse {
    /// Have Dynamics send the events of an integration: its webhook and a step for each message. Shows what is
    /// different; exits with 3 if something is.
    Register {
        integration: String,
        /// Where Dynamics reaches the hub; as registered already, where there is a webhook.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Write it.
        #[arg(long)]
        yes: bool,
    },
    /// Have Dynamics show the rows of a virtual integration: its data source, its table, its columns. Shows what is
    /// different, and asks; exits with 3 if something is and nobody said yes.
    Publish {
        integration: String,
        /// Where Dynamics reaches the hub; as published already, where it was.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Write it without asking.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Virtual {
    /// Answer queries of virtual tables, and do nothing else.
    Serve {
        /// The project's folder, where it is not this one.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        #[arg(long, default_value = "127.0.0.1:7703", value_name = "ADDR")]
        listen: SocketAddr,
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

#[derive(Debug, Subcommand)]
pub enum Systems {
    /// Asks each system, or one, whether it answers, who we are there, and what is missing.
    Check { system: Option<String> },
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
}

#[derive(Debug, Subcommand)]
pub enum Flow {
    /// Start one for a record that is there, whatever its trigger says.
    Start {
        flow: String,
        /// The values of the record's key, in the order of the entity's `key:`.
        #[arg(required = true)]
        key: Vec<String>,
        /// Who starts it; by default the user of this machine.
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
    },
    /// Instances that are under way, newest first.
    List {
        flow: Option<String>,
        /// Also those that have ended.
        #[arg(long)]
        all: bool,
    },
    /// One fully: every step, what it did, who decided, and when.
    Show { id: i64 },
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

#[derive(Debug, Args)]
pub struct Decision {
    /// Who decides, as in people.yaml; by default the user of this machine.
    #[arg(long, value_name = "PERSON")]
    pub by: Option<String>,
    /// Why, for whoever looks later.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
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
    Send { integration: String, file: std::path::PathBuf },
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Export {
    Sheets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    Mermaid,
    Svg,
}

#[derive(Debug, Subcommand)]
pub enum Emulate {
    /// A local Dataverse that unmodified clients work against.
    Dataverse {
        #[arg(long, default_value = "127.0.0.1:7702", value_name = "ADDR")]
        listen: SocketAddr,
        /// Speak https here as well, under a certificate authority of its own, whose file is printed.
        #[arg(long, value_name = "ADDR")]
        https: Option<SocketAddr>,
        /// Keep its rows here; without it they are gone at the end.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// A bearer token that is always good; without it every token is.
        #[arg(long)]
        token: Option<String>,
        /// Service protection limits.
        #[arg(long, default_value = "none")]
        limits: Limits,
        /// Faults on purpose, such as `429@10%,drop@1%`.
        #[arg(long, default_value = "", value_name = "SPEC")]
        fault: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Limits {
    Real,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_command_in_the_documents_can_be_typed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut documents = vec![root.join("README.md")];
        for folder in ["docs/guides", "docs/tutorial", "docs/runbooks", "docs/connectors"] {
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            documents.extend(
                entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md")),
            );
        }
        let mut checked = 0;
        for document in documents {
            let text = std::fs::read_to_string(&document).unwrap();
            for line in text.lines().map(str::trim).filter(|line| line.starts_with("ironbridge ")) {
                let words = words(line);
                if let Err(error) = Cli::try_parse_from(&words) {
                    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
                    let fine = matches!(error.kind(), DisplayHelp | DisplayVersion);
                    assert!(fine, "{}: {line}\n{error}", document.display());
                }
                checked += 1;
            }
        }
        assert!(checked > 20, "only {checked} commands were found");
    }

    /// A command line as a shell splits it, without its comment.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars() {
            match (quote, c) {
                (None, '#') if word.is_empty() => break,
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None, ' ') if word.is_empty() => {}
                (None, ' ') => words.push(std::mem::take(&mut word)),
                (_, c) => word.push(c),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }
}
