//! Runs an emulated environment by hand: `cargo run -p emulator --example dataverse -- [ADDRESS] [DIR]`.

use emulator::dataverse::{Config, start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8802".into()).parse()?;
    let dir = arguments.next().map(Into::into);
    let environment = start(Config { listen, dir, ..Config::default() }).await?;
    tracing::info!("{}/api/data/v9.2/", environment.url);
    tokio::signal::ctrl_c().await?;
    environment.shutdown().await;
    Ok(())
}
