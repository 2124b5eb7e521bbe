//! `ironbridge export --to sheets`: mapping sheets that the owner of an entity can read and sign.

use std::path::Path;

use anyhow::Context;
use definition::{Project, SheetLine};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::{say, wiring};

/// Writes `<entity>.csv` and `<entity>.md` for each entity into the folder.
pub fn sheets(cli: &Cli, into: &Path) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    std::fs::create_dir_all(into).with_context(|| format!("the folder {} cannot be made", into.display()))?;
    for entity in &project.entities {
        let lines = definition::sheet(&project, entity);
        for (end, text) in [("csv", csv(&lines)?), ("md", markdown(&project, &entity.name, &lines))] {
            let path = into.join(format!("{}.{end}", entity.name));
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            say!("{}", path.display());
        }
    }
    Ok(0)
}

fn csv(lines: &[SheetLine]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(SheetLine::HEADER)?;
    for line in lines {
        writer.write_record(line.cells().map(plain))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// A cell that a spreadsheet takes for a text, whatever it begins with.
fn plain(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t']) { format!("'{cell}") } else { cell.to_owned() }
}

fn markdown(project: &Project, entity: &str, lines: &[SheetLine]) -> String {
    let cell = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let row = |cells: [&str; 8]| format!("| {} |\n", cells.map(cell).join(" | "));
    let mut text = format!("# {entity}: what is mapped in {}\n\n", project.hub.name);
    text.push_str(&row(SheetLine::HEADER));
    text.push_str(&row(["---"; 8]));
    for line in lines {
        text.push_str(&row(line.cells()));
    }
    text.push_str("\nRead and agreed: ______________________ Date: ____________\n");
    text
}
