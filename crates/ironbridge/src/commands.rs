//! One module for each command.

use crate::cli::{Cli, Command, Emulate};
use crate::failure::Failure;

mod check;
mod dead_letters;
mod demo;
mod emulate;
mod explain;
mod formula;
mod init;
mod plan;
mod run;
mod runs;
mod show;
mod status;
mod up;

/// Does what was typed; answers the exit code.
pub async fn dispatch(cli: &Cli) -> Result<u8, Failure> {
    match &cli.command {
        Command::Demo(demo) => demo::demo(cli, demo).await,
        Command::Init { dir } => init::init(dir),
        Command::Check { online } => check::check(cli, *online).await,
        Command::Show { name } => show::show(cli, name),
        Command::Plan { integration, detailed } => plan::plan(cli, integration, *detailed).await,
        Command::Run { integration, confirm } => run::run(cli, integration, confirm.as_deref()).await,
        Command::Up { listen } => up::up(cli, *listen).await,
        Command::Status => status::status(cli),
        Command::Runs { integration, last } => runs::runs(cli, integration.as_deref(), *last),
        Command::DeadLetters(command) => dead_letters::dead_letters(cli, command),
        Command::Explain { code } => explain::explain(cli, code.as_deref()),
        Command::Formula { formula, batch } => formula::formula(formula.as_deref(), *batch),
        Command::Emulate(Emulate::Dataverse { listen, dir, token, limits, fault }) => {
            emulate::dataverse(*listen, dir.clone(), token.clone(), *limits, fault).await
        }
    }
}
