//! The definition as a hub began with it, kept beside its state: for commands that look at what it does, or stop it, while
//! there is a mistake in the files.

use std::io::{Error, ErrorKind};

use definition::Project;

use crate::cli::Cli;
use crate::{edited, wiring};

const FOLDER: &str = "definition";

/// Keeps the files of a hub that starts. It works without that too.
pub fn keep(project: &Project) {
    if let Err(why) = copy(project) {
        tracing::warn!("the definition cannot be kept beside the state: {why}");
    }
}

fn copy(project: &Project) -> Result<(), Error> {
    let kept = wiring::state_of(project).join(FOLDER);
    match std::fs::remove_dir_all(&kept) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    for file in edited::at_work(&project.dir) {
        let Ok(name) = file.strip_prefix(&project.dir) else { continue };
        let to = kept.join(name);
        std::fs::create_dir_all(to.parent().unwrap_or(&kept))?;
        std::fs::copy(&file, to)?;
    }
    Ok(())
}

/// The project of the command line as its hub began with it last; nothing where none ever did.
pub fn project(cli: &Cli) -> Option<Project> {
    let kept = wiring::state_dir(&cli.project, cli.env.as_deref()).join(FOLDER);
    let loaded = wiring::load_kept(&kept, &cli.project, cli.env.as_deref());
    let mut project = loaded.project.clone().filter(|_| !loaded.has_errors())?;
    project.dir = cli.project.clone();
    Some(project)
}
