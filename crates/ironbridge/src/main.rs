//! The command line of Ironbridge: it wires the crates together, and is the only place (with the emulator) that listens.

mod addressed;
mod alerting;
mod cli;
mod commands;
mod edited;
mod expiry;
mod failure;
mod in_use;
mod ingress;
mod keys;
mod measured;
mod memory;
mod output;
mod shown;
mod ways;
mod wiring;

use cli::Cli;

/// Rows are made on one thread and dropped on another, which the C library's own allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = Cli::read();
    addressed::choose(&cli);
    output::start_logs(&cli);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs threads, and the machine gives none");
    let result = runtime.block_on(commands::dispatch(&cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.print(cli.format);
            failure.exit.into()
        }
    }
}
