//! `ironbridge impact NAME`: what a change would touch.

use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::output::table;
use crate::{say, wiring};

pub fn impact(cli: &Cli, name: &str, mermaid: bool, svg: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let subjects = definition::subjects(&project, name);
    if subjects.is_empty() {
        let what = format!("no system, entity, field or column of this project is called `{name}`");
        let systems = project.systems.iter().map(|system| system.name.as_str());
        let names: Vec<&str> = systems.chain(project.entities.iter().map(|entity| &*entity.name)).collect();
        let fix = format!("name one of {}, or one of their fields or columns", names.join(", "));
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    }
    if mermaid || svg {
        let touched = |subject: &definition::Subject| (subject.clone(), definition::impact(&project, subject));
        let marked = definition::Marked::of(&subjects.iter().map(touched).collect::<Vec<_>>());
        let draw = if svg { definition::svg } else { definition::mermaid };
        say!("{}", draw(&project, Some(&marked)).trim_end());
        return Ok(0);
    }
    if cli.format == Format::Json {
        let one = |subject: &definition::Subject| {
            let touched = definition::impact(&project, subject);
            json!({
                "subject": subject.to_string(),
                "touches": touched.iter().map(definition::Touched::to_json).collect::<Vec<_>>(),
            })
        };
        say!("{:#}", json!(subjects.iter().map(one).collect::<Vec<_>>()));
        return Ok(0);
    }
    for (at, subject) in subjects.iter().enumerate() {
        let touched = definition::impact(&project, subject);
        let count = match touched.len() {
            0 => "touches nothing".to_owned(),
            1 => "touches 1 thing".to_owned(),
            count => format!("touches {count} things"),
        };
        say!("{}a change of {subject} {count}", if at > 0 { "\n" } else { "" });
        let row = |one: definition::Touched| vec![one.what.to_owned(), one.name, one.why, one.place];
        if !touched.is_empty() {
            say!("{}", table(&["what", "name", "why", "where"], touched.into_iter().map(row).collect()));
        }
    }
    Ok(0)
}
