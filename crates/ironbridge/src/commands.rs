//! One module for each command.

use emulator::dataverse::Config;

use crate::cli::{Cli, Command, Emulate, Export, Limits, Picture};
use crate::failure::Failure;

mod advise;
mod alerts;
mod approvals;
mod audit;
mod check;
mod dataverse;
mod dead_letters;
mod demo;
mod diff;
mod emulate;
pub mod explain;
mod export;
mod flow;
mod forget;
mod formula;
mod graph;
mod impact;
mod init;
mod pause;
mod plan;
mod promote;
mod queue;
mod run;
mod runbook;
mod runs;
mod sample;
mod schema;
mod show;
mod state;
mod status;
mod support_bundle;
mod systems;
mod test;
mod trace;
mod up;
mod users;
mod virtual_tables;

/// Does what was typed; answers the exit code.
pub async fn dispatch(cli: &Cli) -> Result<u8, Failure> {
    match &cli.command {
        Command::Demo(demo) => demo::demo(cli, demo).await,
        Command::Init { from_sample: Some(sample), entity, .. } => sample::draft(cli, sample, entity.as_deref()).await,
        Command::Init { dir, .. } => init::init(dir.as_deref().unwrap_or(&cli.project)),
        Command::Check { online, watch: false } => check::check(cli, *online).await,
        Command::Check { online, watch: true } => check::watch(cli, *online).await,
        Command::Show { name, svg } => show::show(cli, name, *svg),
        Command::Impact { name, mermaid, svg } => impact::impact(cli, name, *mermaid, *svg),
        Command::Export { to: Export::Sheets, into, live } => export::sheets(cli, into, *live).await,
        Command::Diff { old, new } => diff::diff(cli, old, new.as_deref()),
        Command::Graph { svg: true, .. } => graph::graph(cli, Picture::Svg),
        Command::Graph { picture, .. } => graph::graph(cli, *picture),
        Command::Advise(given) => advise::advise(cli, given),
        Command::Plan { integration, detailed, save, window } => {
            plan::plan(cli, integration, *detailed, save.as_deref(), window).await
        }
        Command::Run { integration, confirm, max_deletes, plan, window } => {
            let wanted = run::Wanted { max_deletes: *max_deletes, plan: plan.as_deref(), window };
            run::run(cli, integration, confirm.as_deref(), &wanted).await
        }
        Command::Up { listen, tls_certificate, tls_key } => {
            up::up(cli, *listen, tls_certificate.as_deref().zip(tls_key.as_deref())).await
        }
        Command::Users(command) => users::users(cli, command).await,
        Command::Virtual(command) => virtual_tables::virtual_tables(cli, command).await,
        Command::Pause { integration, note, r#for } => pause::pause(cli, integration, note, *r#for).await,
        Command::Resume { integration } => pause::resume(cli, integration).await,
        Command::Systems(command) => systems::systems(cli, command).await,
        Command::State(command) => state::state(cli, command).await,
        Command::Trace { entity, key, last } => trace::trace(cli, entity, key, *last),
        Command::Status => status::status(cli),
        Command::Test { names, update } => test::test(cli, names, *update).await,
        Command::Runs { integration, last } => runs::runs(cli, integration.as_deref(), *last),
        Command::Alerts(command) => alerts::alerts(cli, command).await,
        Command::Runbook { integration, html } => runbook::runbook(cli, integration, *html),
        Command::Approvals(command) => approvals::approvals(cli, command).await,
        Command::Flow(command) => flow::flow(cli, command).await,
        Command::Promote { flow } => promote::promote(cli, flow),
        Command::Forget { entity, key, yes, note } => forget::forget(cli, entity, key, *yes, note.as_deref()).await,
        Command::SupportBundle { file } => support_bundle::support_bundle(cli, file),
        Command::Audit(command) => audit::audit(cli, command),
        Command::DeadLetters(command) => dead_letters::dead_letters(cli, command).await,
        Command::Queue(command) => queue::queue(cli, command).await,
        Command::Dataverse(command) => dataverse::dataverse(cli, command).await,
        Command::Explain { code } => explain::explain(cli, code.as_deref()),
        Command::Formula { mapping: Some(mapping), row: Some(row), .. } => formula::row(cli, mapping, row),
        Command::Formula { formula, batch, .. } => formula::formula(formula.as_deref(), *batch),
        Command::Schema => schema::schema(cli),
        Command::Emulate(Emulate::Dataverse { listen, https, dir, token, limits, row_time, at_once, fault }) => {
            let limits = (*limits == Limits::Real).then(emulator::dataverse::Limits::real);
            let (listen, https, dir, token) = (*listen, *https, dir.clone(), token.clone());
            let faults = fault.clone();
            let (row_time, at_once) = (*row_time, *at_once);
            let config = Config { listen, https, dir, token, limits, row_time, at_once, faults, ..Config::default() };
            emulate::dataverse(config).await
        }
    }
}
