//! `ironbridge export --to sheets`: mapping sheets that the owner of an entity can read and sign.

use std::path::Path;

use anyhow::Context;
use definition::{Examples, Project, SheetLine};
use record::Entity;
use serde_json::{Map, Value as Json};

use crate::cli::Cli;
use crate::commands::sample;
use crate::failure::Failure;
use crate::{say, talk, wiring};

/// Writes `<entity>.csv` and `<entity>.md` for each entity into the folder.
pub async fn sheets(cli: &Cli, into: &Path, live: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    std::fs::create_dir_all(into).with_context(|| format!("the folder {} cannot be made", into.display()))?;
    let mut examples = definition::examples(&project);
    if live {
        ask(cli, &project, &mut examples).await;
    }
    for entity in &project.entities {
        let lines = definition::sheet(&project, entity, &examples);
        for (end, text) in [("csv", csv(&lines)?), ("md", markdown(&project, entity, &lines))] {
            let path = into.join(format!("{}.{end}", entity.name));
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            say!("{}", path.display());
        }
    }
    Ok(0)
}

/// The first rows of each live table, in place of those of the tests. A system that does not answer is left out.
async fn ask(cli: &Cli, project: &Project, examples: &mut Examples) {
    for system in project.systems.iter().filter(|system| system.kind.reads) {
        for table in system.entities.iter().filter_map(|held| held.table.as_deref()) {
            match sample::of_table(cli, &system.name, table).await {
                Ok(sample) => {
                    let row = |cells: &Vec<Option<String>>| {
                        let named = sample.columns.iter().zip(cells);
                        let cells = named.filter_map(|(name, cell)| Some((name.clone(), Json::from(cell.clone()?))));
                        Json::Object(cells.collect::<Map<String, Json>>())
                    };
                    let rows = sample.rows.iter().map(row).collect();
                    examples.insert((system.name.clone(), table.to_owned()), rows);
                }
                Err(why) => {
                    talk!("no examples of {}.{table}:", system.name);
                    why.print(cli.format);
                }
            }
        }
    }
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

fn markdown(project: &Project, entity: &Entity, lines: &[SheetLine]) -> String {
    let cell = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let row = |cells: [&str; 9]| format!("| {} |\n", cells.map(cell).join(" | "));
    let mut text = format!("# {}: what is mapped in {}\n\n", entity.name, project.hub.name);
    text.push_str(&row(SheetLine::HEADER));
    text.push_str(&row(["---"; 9]));
    for line in lines {
        text.push_str(&row(line.cells()));
    }
    let remarks = definition::remarks(project, entity);
    if !remarks.is_empty() {
        text.push('\n');
        remarks.iter().for_each(|remark| text.push_str(&format!("- {}\n", cell(remark))));
    }
    text.push_str("\nRead and agreed: ______________________ Date: ____________\n");
    text
}
