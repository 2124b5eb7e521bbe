//! What may be typed about other systems, real ones and stand-ins.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum Systems {
    /// Asks each system and the mail server, or one, whether it answers, who we are there, and what is missing.
    Check {
        /// A system of the project, or `mail`.
        system: Option<String>,
    },
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
    /// Make the alternate keys by which the definition writes rows. Shows what is different, and asks; exits with 3 if
    /// something is and nobody said yes.
    Keys {
        /// The system; may be left out where there is one Dynamics.
        system: Option<String>,
        /// Make them without asking.
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
        /// How long it works on each row that is written, as the cloud does, such as `"3 milliseconds"`.
        #[arg(long, default_value = "0 milliseconds", value_name = "DURATION", value_parser = definition::duration)]
        row_time: Duration,
        /// How many requests at a time it asks for (`x-ms-dop-hint`).
        #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
        at_once: u16,
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
