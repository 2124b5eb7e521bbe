//! `ironbridge export --to sheets`: mapping sheets that the owner of an entity can read and sign.

use std::path::Path;

use anyhow::Context;
use definition::{Examples, Project, SheetLine};
use record::{Decimal, Entity};
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
                Ok(mut sample) => {
                    (0..sample.columns.len()).for_each(|at| shortened(&mut sample.rows, at));
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

/// Numbers of a column that all have as many digits after the point, as its type has, without the zeros that say nothing.
fn shortened(rows: &mut [Vec<Option<String>>], column: usize) {
    let digits = |text: &str| text.parse::<Decimal>().ok().and(text.split_once('.')).map(|(_, digits)| digits.len());
    let all: Vec<Option<usize>> = rows.iter().filter_map(|row| row.get(column)?.as_deref()).map(digits).collect();
    let Some(Some(scale @ 3..)) = all.first().copied().filter(|first| all.iter().all(|one| one == first)) else {
        return;
    };
    for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)?.as_mut()) {
        let zeros = cell.len() - cell.trim_end_matches('0').len();
        cell.truncate(cell.len() - zeros.min(scale - 2));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_that_a_type_adds_are_left_out() {
        let check = |given: &[&str], expected: &[&str]| {
            let mut rows: Vec<Vec<Option<String>>> = given.iter().map(|cell| vec![Some((*cell).to_owned())]).collect();
            rows.push(vec![None]);
            shortened(&mut rows, 0);
            let got: Vec<&str> = rows.iter().filter_map(|row| row[0].as_deref()).collect();
            assert_eq!(got, expected);
        };
        check(&["3000.5000", "4500.0000", "0.1234"], &["3000.50", "4500.00", "0.1234"]);
        check(&["1.50", "2.00"], &["1.50", "2.00"]);
        check(&["1.1000", "1.10"], &["1.1000", "1.10"]);
        check(&["A.0000", "1.0000"], &["A.0000", "1.0000"]);
    }
}
