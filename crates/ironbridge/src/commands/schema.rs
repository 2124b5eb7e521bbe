//! `ironbridge schema`: for completion in an editor.

use crate::cli::Cli;
use crate::failure::Failure;
use crate::{say, wiring};

pub fn schema(cli: &Cli) -> Result<u8, Failure> {
    let loaded = wiring::load(&cli.project, cli.env.as_deref());
    say!("{:#}", loaded.schema());
    Ok(0)
}
