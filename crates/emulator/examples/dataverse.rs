//! Runs an emulated environment by hand: `cargo run -p emulator --example dataverse -- [ADDRESS] [HTTPS_ADDRESS] [DIR]`.

use emulator::dataverse::{Config, start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8802".into()).parse()?;
    let https = arguments.next().map(|address| address.parse()).transpose()?;
    let dir = arguments.next().map(Into::into);
    let environment = start(Config { listen, https, dir, ..Config::default() }).await?;
    tracing::info!("{}/api/data/v9.2/", environment.url);
    if let (Some(url), Some(ca)) = (&environment.https_url, &environment.ca_path) {
        tracing::info!("{url}/api/data/v9.2/, trusting {}", ca.display());
    }
    tokio::signal::ctrl_c().await?;
    environment.shutdown().await;
    Ok(())
}
