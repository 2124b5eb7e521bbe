//! `ironbridge advise review`: the whole project and what was measured of it.

use definition::advise;
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::output::table;
use crate::{measured, say, wiring};

pub fn review(cli: &Cli) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let measured = measured::measured(&wiring::state_of(&project));
    let findings = advise::review(&project, &measured);
    if cli.format == Format::Json {
        let one = |finding: &advise::Finding| {
            json!({
                "integration": finding.integration, "place": finding.place, "seen": finding.seen, "advice": finding.advice,
            })
        };
        say!("{:#}", json!(findings.iter().map(one).collect::<Vec<_>>()));
        return Ok(0);
    }
    let rows = project.integrations.iter().map(|integration| {
        let history = measured.of(&integration.name);
        let days = history.map_or(String::new(), |history| history.days.to_string());
        let a_day = history.map_or(String::new(), |history| crate::output::number(history.a_day()));
        let usual = history.and_then(|history| history.usual_run);
        let usual = usual.map_or(String::new(), |usual| format!("{:.1} s", usual.as_secs_f64()));
        vec![integration.name.clone(), integration.pattern.word().to_owned(), days, a_day, usual]
    });
    say!("{}", table(&["integration", "pattern", "days measured", "a day", "usual run"], rows.collect()));
    if findings.is_empty() {
        say!("\nNothing to say against any of it.");
    }
    let mut last = None;
    for finding in &findings {
        let name = if finding.integration.is_empty() { "the project" } else { &finding.integration };
        if last != Some(name) {
            say!("\n{name}");
        }
        last = Some(name);
        say!("  - {} ({})\n    {}", finding.seen, finding.place, finding.advice);
    }
    Ok(0)
}
