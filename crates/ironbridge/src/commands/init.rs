//! `ironbridge init DIR`: a project that works, to be changed into one's own.

use std::io::Write;
use std::path::Path;

use emulator::samples::finance::{self, Finance};

use crate::failure::{FOLDER_NOT_EMPTY, Failure, USAGE};
use crate::{say, talk, wiring};

/// The files of a new project: the example in the repository.
const FILES: &[(&str, &str)] = &[
    ("ironbridge.yaml", include_str!("../../../../examples/customers/ironbridge.yaml")),
    ("people.yaml", include_str!("../../../../examples/customers/people.yaml")),
    ("entities/customer.yaml", include_str!("../../../../examples/customers/entities/customer.yaml")),
    ("systems/finance.yaml", include_str!("../../../../examples/customers/systems/finance.yaml")),
    ("systems/dynamics.yaml", include_str!("../../../../examples/customers/systems/dynamics.yaml")),
    ("integrations/customers.yaml", include_str!("../../../../examples/customers/integrations/customers.yaml")),
    ("tests/customers.yaml", include_str!("../../../../examples/customers/tests/customers.yaml")),
    (".gitignore", "# State, secrets and sample data stay on this machine.\n.ironbridge/\n*.token\ndata/\nmails/\n"),
];

/// The token of a local Dynamics. Not a secret: it opens nothing but an emulator.
pub const LOCAL_TOKEN: &str = "local";
const SEED: u64 = 42;
/// What editors complete and check the files by: `ironbridge schema`.
const SCHEMA: &str = "schema.json";

pub fn init(dir: &Path) -> Result<u8, Failure> {
    write_project(dir)?;
    let shown = dir.display();
    for (file, _) in FILES {
        say!("{shown}/{file}");
    }
    talk!("\nA project in {shown}: customers from a finance system (SQLite, sample data) to Dynamics.");
    talk!("\nTry it in two terminals:");
    talk!("  1  ironbridge emulate dataverse --token {LOCAL_TOKEN} --dir {shown}/.ironbridge/dynamics");
    talk!("  2  cd {shown}");
    talk!("     ironbridge check --online        does everything fit?");
    talk!("     ironbridge plan customers        what would be written, with old and new values");
    talk!("     ironbridge run customers         write it");
    talk!("     ironbridge run customers         again: nothing is written");
    Ok(0)
}

/// Writes the project and its sample finance database into an empty folder.
pub fn write_project(dir: &Path) -> Result<Finance, Failure> {
    let occupied = dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file();
    if occupied {
        let what = format!("{} is not empty", dir.display());
        return Err(Failure::new(USAGE, FOLDER_NOT_EMPTY, what, "choose a new folder; nothing was written"));
    }
    for (file, text) in FILES {
        let up = "../".repeat(file.matches('/').count());
        let header = format!("# yaml-language-server: $schema={up}{SCHEMA}\n");
        let header = if file.ends_with(".yaml") { header } else { String::new() };
        write(&dir.join(file), &(header + text))?;
    }
    write(&dir.join(SCHEMA), &format!("{:#}\n", wiring::load(dir, None).schema()))?;
    crate::output::private(&dir.join("dynamics.token"))?.write_all(LOCAL_TOKEN.as_bytes())?;
    std::fs::create_dir_all(dir.join("data"))?;
    Ok(finance::create(&dir.join("data/finance.db"), finance::CUSTOMERS, SEED).map_err(anyhow::Error::from)?)
}

pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text)
        .map_err(|why| anyhow::Error::from(why).context(format!("{} cannot be written", path.display())).into())
}
