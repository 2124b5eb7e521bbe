//! What may be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

mod advise;
mod alerts;
mod at_work;
mod care;
mod demo;
mod outside;

pub use advise::{Advise, AdviseAction, Given};
pub use alerts::Alerts;
pub use at_work::{Approvals, Decision, Filled, Flow, Queue, State, Users, Window};
pub use care::{Audit, DeadLetters, Jobs, Mark, Retry};
pub use demo::{DEMO_DIR, Demo, DemoAction, UpOrDown};
pub use outside::{Dataverse, Emulate, Limits, Systems, Virtual};

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
        /// The new folder.
        #[arg(required_unless_present = "from_sample")]
        dir: Option<PathBuf>,
        /// Draft an entity and its mapping instead, from a CSV, Excel or JSON file, or from a live table (SYSTEM.TABLE).
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
    Show {
        name: String,
        /// Of a flow: its steps as a picture for a browser, with how many instances stand where.
        #[arg(long)]
        svg: bool,
    },
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
    /// Draft the event integration that does what a flow does, for a flow that has grown past the people who decide.
    Promote {
        #[arg(value_name = "FLOW")]
        flow: String,
    },
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
    /// What needs a person: who is told of it, and what would ring.
    #[command(subcommand)]
    Alerts(Alerts),
    /// One page on an integration: how it stands, how to stop, start and repeat it, what to do at each alert, whom to call.
    Runbook {
        integration: String,
        /// As a page for a browser, or to print; without it, Markdown.
        #[arg(long)]
        html: bool,
    },
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

impl Command {
    /// Whether it looks at what a hub does, or does something about that: nothing new is made of the files.
    pub fn is_about_a_hub(&self) -> bool {
        use Command as C;
        matches!(
            self,
            C::Status
                | C::Runs { .. }
                | C::Trace { .. }
                | C::Systems(_)
                | C::Runbook { .. }
                | C::Pause { .. }
                | C::Resume { .. }
                | C::State(_)
                | C::Queue(_)
                | C::DeadLetters(_)
                | C::Approvals(_)
                | C::Flow(_)
                | C::Alerts(_)
                | C::Users(_)
                | C::Audit(_)
                | C::Forget { .. }
                | C::SupportBundle { .. }
        )
    }
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
                // What the shell does with the answer is no business of ours.
                let words: Vec<_> = words(line).into_iter().take_while(|word| *word != ">").collect();
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

    #[test]
    fn every_command_of_a_runbook_can_be_typed() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut checked = 0;
        for example in ["customers", "orders", "everything"] {
            let dir = examples.join(example);
            let dir = if dir.exists() { dir } else { continue };
            let loaded = crate::wiring::load(&dir, None);
            let Some(project) = loaded.project else { panic!("{}", loaded.render(false, 110)) };
            for integration in &project.integrations {
                let page = hub::operations::runbook::page(&project, integration, None, None);
                for kind in hub::operations::Kind::ALL.into_iter().filter(|kind| kind.applies(&project, integration)) {
                    let heading = format!("### {} {{#{}}}", kind.heading(), kind.word());
                    assert!(page.contains(&heading), "{} has no section `{heading}`", integration.name);
                }
                for line in page.lines().map(str::trim).filter(|line| line.starts_with("ironbridge ")) {
                    let chosen = line.replace(" ID", " 1");
                    Cli::try_parse_from(words(&chosen)).unwrap_or_else(|error| panic!("{line}\n{error}"));
                    let acts =
                        ["ironbridge flow ", "ironbridge approvals "].iter().any(|begin| line.starts_with(begin));
                    assert!(!acts || !line.contains(" 1"), "{line} means one that nobody chose");
                    checked += 1;
                }
            }
        }
        assert!(checked > 60, "only {checked} commands were found");
        // What alerts name as the next command.
        for line in [
            "ironbridge runs customers",
            "ironbridge status",
            "ironbridge explain IB0502",
            "ironbridge systems check erp",
            "ironbridge queue peek events/orders/subscriptions/erp",
            "ironbridge dead-letters list orders",
            "ironbridge show credit-limit",
            "ironbridge approvals show 7",
            "ironbridge impact finance",
            "ironbridge alerts list",
            "ironbridge alerts test",
            "ironbridge alerts coverage",
        ] {
            Cli::try_parse_from(words(line)).unwrap_or_else(|error| panic!("{line}\n{error}"));
        }
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
