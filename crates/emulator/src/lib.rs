//! A local Dataverse that unmodified clients work against, and sample systems for the demo.
//!
//! What the emulator does, it does as the platform is documented and observed to do; what it does not do answers 501
//! with its name. It shares no code with our own client: the two can agree only over the wire.
//!
//! It is not a sandbox for load tests, and knows no security roles: every token may do everything.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use emulator::dataverse::{Config, start};
//!
//! let environment = start(Config { token: Some("dev".into()), ..Config::default() }).await.unwrap();
//! assert!(environment.url.starts_with("http://127.0.0.1:"));
//! environment.shutdown().await;
//! # });
//! ```

pub mod dataverse;
pub mod samples;
