//! `ironbridge advise`: what to build, if anything.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use definition::advise::{self, Advice, Answers, Decision, Outcome, QUESTIONS};
use definition::{Project, Severity};
use serde_json::json;

mod ask;
mod review;

use crate::cli::{Advise, AdviseAction, Cli, Format, Given};
use crate::failure::{BAD_CHOICE, Failure, NO_ANSWERS, USAGE};
use crate::{say, talk, wiring};

pub fn advise(cli: &Cli, wanted: &Advise) -> Result<u8, Failure> {
    if let Some(AdviseAction::Review) = wanted.action {
        return review::review(cli);
    }
    let project = match &wanted.name {
        Some(_) => Some(wiring::project(cli)?),
        None => None,
    };
    let before = wanted
        .name
        .as_ref()
        .zip(project.as_ref())
        .and_then(|(name, project)| project.decisions.iter().find(|decision| decision.name == *name));
    let answers = match answers(cli, wanted, project.as_deref(), before)? {
        Ok(answers) => answers,
        Err(loaded) => {
            wiring::print_diagnostics(&loaded, cli.format);
            return Err(Failure::said(USAGE));
        }
    };
    let advice = advise::recommend(&answers);
    let chosen = chosen(wanted, &advice)?;
    if cli.format == Format::Human {
        say!("{}", advise::text(&advice, &answers, wiring::terminal_width()).trim_end());
    }
    let mut written = Vec::new();
    if let (Some(name), Some(project)) = (&wanted.name, &project) {
        written = keep(cli, wanted, project, name, &answers, &advice, chosen)?;
    } else if cli.format == Format::Human {
        talk!("\nKeep it beside the integration: ironbridge advise --name NAME …");
    }
    if cli.format == Format::Json {
        let mut json = advise::json(&advice, &answers);
        json["written"] = json!(written);
        say!("{json:#}");
    }
    Ok(0)
}

/// What was chosen, where that is not what is recommended.
fn chosen(wanted: &Advise, advice: &Advice) -> Result<Outcome, Failure> {
    let Some(word) = &wanted.choose else { return Ok(advice.outcome) };
    Outcome::of(word).ok_or_else(|| {
        let words: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.word()).collect();
        let what = format!("`{word}` cannot be chosen");
        Failure::new(USAGE, BAD_CHOICE, what, format!("choose one of: {}", words.join(", ")))
    })
}

type Answered = Result<Answers, Box<definition::Loaded>>;

/// From the file, what was answered before, the flags and, on a terminal, from whoever sits there.
fn answers(
    cli: &Cli,
    wanted: &Advise,
    project: Option<&Project>,
    before: Option<&Decision>,
) -> Result<Answered, Failure> {
    let (mut label, mut lines) = ("the answers".to_owned(), Vec::new());
    if let Some(path) = &wanted.answers {
        let text = std::fs::read_to_string(path).map_err(|why| {
            let what = format!("the answers in {} cannot be read", path.display());
            Failure::new(USAGE, NO_ANSWERS, what, "name a YAML file with a key and a value on each line").because(why)
        })?;
        label = path.display().to_string();
        lines = text.lines().map(str::to_owned).collect();
    } else if let Some(before) = before {
        label = format!("decisions/{}.yaml and the flags", before.name);
        let yaml = before.to_yaml();
        let answers = yaml.split_once("answers:\n").map_or("", |(_, answers)| answers);
        lines = answers.lines().map(|line| line.trim_start().to_owned()).collect();
    }
    for (key, value) in given(&wanted.given) {
        lines.retain(|line| !line.starts_with(&format!("{key}:")));
        lines.push(format!("{key}: {}", quoted(value)));
    }
    let has = |lines: &[String], key: &str| lines.iter().any(|line| line.starts_with(&format!("{key}:")));
    let asks = cli.format == Format::Human && std::io::stdin().is_terminal() && wanted.answers.is_none();
    if asks && before.is_none() {
        for question in QUESTIONS {
            if !has(&lines, question.key)
                && let Some(answer) = ask::ask(question)?
            {
                // What a day costs comes with its currency.
                let (answer, currency) = match answer.split_once(' ') {
                    Some((number, currency)) if question.key == "rate" => {
                        (number.to_owned(), Some(currency.to_owned()))
                    }
                    _ => (answer, None),
                };
                lines.push(format!("{}: {}", question.key, quoted(&answer)));
                lines.extend(currency.filter(|_| !has(&lines, "currency")).map(|code| format!("currency: {code}")));
            }
        }
        // Names are asked for where something of ours comes of it.
        let ours = advise::read(&label, &(lines.join("\n") + "\n"))
            .is_ok_and(|answers| advise::recommend(&answers).outcome.is_ours());
        if let Some(project) = project.filter(|_| ours) {
            let systems: Vec<&str> = project.systems.iter().map(|system| system.name.as_str()).collect();
            let entities: Vec<&str> = project.entities.iter().map(|entity| &*entity.name).collect();
            for (key, question, known) in [
                ("from", "Which system has it?", &systems),
                ("to", "Which system should get it?", &systems),
                ("entity", "Which entity is it?", &entities),
            ] {
                if has(&lines, key) {
                    continue;
                }
                let Some(name) = ask::name(question, known)? else { break };
                lines.push(format!("{key}: {}", quoted(&name)));
            }
        }
        talk!("");
    }
    if lines.is_empty() {
        let of = |needed: bool| {
            let asked = QUESTIONS.iter().filter(move |question| question.default.is_none() == needed);
            asked.map(|question| question.key).collect::<Vec<_>>().join(", ")
        };
        return Err(Failure::new(
            USAGE,
            NO_ANSWERS,
            "nothing was answered, and there is no terminal to ask on",
            format!(
                "give the answers as flags or in a file (--answers FILE), at least {}; the others are {}",
                of(true),
                of(false)
            ),
        ));
    }
    Ok(advise::read(&label, &(lines.join("\n") + "\n")))
}

/// A value as YAML takes it: words and numbers as they are, a sentence in quotes.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn given(given: &Given) -> Vec<(&'static str, &str)> {
    let all = [
        ("wish", &given.wish),
        ("late", &given.late),
        ("looks", &given.looks),
        ("a_day", &given.a_day),
        ("in_three_years", &given.in_three_years),
        ("may_be_lost", &given.may_be_lost),
        ("decides", &given.decides),
        ("stored", &given.stored),
        ("worked_with", &given.worked_with),
        ("about", &given.about),
        ("from_is", &given.from_is),
        ("to_is", &given.to_is),
        ("both_ways", &given.both_ways),
        ("by_hand", &given.by_hand),
        ("rate", &given.rate),
        ("currency", &given.currency),
        ("licences", &given.licences),
        ("from", &given.from),
        ("to", &given.to),
        ("entity", &given.entity),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
}

/// Writes the decision, and the drafts that go with it. Answers the paths.
fn keep(
    cli: &Cli,
    wanted: &Advise,
    project: &Project,
    name: &str,
    answers: &Answers,
    advice: &Advice,
    chosen: Outcome,
) -> Result<Vec<String>, Failure> {
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') || name.is_empty() {
        let what = format!("`{name}` cannot be the name of an integration");
        return Err(Failure::new(USAGE, BAD_CHOICE, what, "use letters, digits, `_` and `-`"));
    }
    let who = wanted.who.clone().unwrap_or_else(wiring::person);
    let owner = wanted.owner.clone().unwrap_or_else(|| who.clone());
    let mut told = advice.clone();
    told.outcome = chosen;
    let drafts = match wanted.no_draft {
        true => advise::Drafts::default(),
        false => advise::scaffold(project, &told, answers, name, &owner),
    };
    let path = format!("integrations/{name}.yaml");
    let there = project.integration(name).is_some();
    let drafted = drafts.files.iter().any(|(file, _)| *file == path);
    let decision = Decision {
        name: name.to_owned(),
        date: jiff::Zoned::now().with_time_zone(project.hub.time_zone.clone()).date(),
        who,
        answers: answers.clone(),
        recommended: advice.outcome,
        chosen,
        reason: advice.why.join(" "),
        against_advice_because: wanted.because.clone().filter(|_| chosen != advice.outcome),
        integration: (there || drafted).then(|| name.to_owned()),
    };
    let mut written = vec![format!("decisions/{name}.yaml")];
    write(&project.dir, &written[0], &decision.to_yaml(), true)?;
    for (path, text) in &drafts.files {
        write(&project.dir, path, text, false)?;
        written.push(path.clone());
    }
    let (mut changed, mut by_hand) = (Vec::new(), Vec::new());
    for (path, mapping) in &drafts.add {
        let text = std::fs::read_to_string(project.dir.join(path)).ok();
        match text.and_then(|text| advise::added(&text, mapping)) {
            Some(text) => {
                write(&project.dir, path, &text, true)?;
                changed.push((path, mapping));
            }
            None => by_hand.push((path, mapping)),
        }
    }
    if cli.format == Format::Human {
        talk!("");
        written.iter().for_each(|path| say!("written: {path}"));
        changed.iter().for_each(|(path, mapping)| say!("added to {path}: {mapping}"));
        for (path, mapping) in &by_hand {
            talk!("\nAdd to {path}, under `entities:`\n  {mapping}");
        }
        if chosen.is_ours() && !there && !drafted && !wanted.no_draft {
            talk!("\nTo have it drafted, name the systems and the entity: --from SYSTEM --to SYSTEM --entity ENTITY");
        }
        let loaded = wiring::load(&cli.project, cli.env.as_deref());
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        if errors > 0 {
            talk!("\nThe draft is not whole yet; ironbridge check shows what is left ({errors}).");
        } else if !drafts.files.is_empty() || !changed.is_empty() {
            talk!(
                "\nThe columns have the names of the entity until you write the right ones; ironbridge check passes."
            );
        }
    }
    written.extend(changed.into_iter().map(|(path, _)| path.clone()));
    Ok(written)
}

/// Writes a file as a whole or not at all. A decision takes the place of an older one, a file with a mapping more that of
/// the one without; nothing else is replaced.
fn write(dir: &Path, name: &str, text: &str, replaces: bool) -> Result<(), Failure> {
    let path = dir.join(name);
    let folder = path.parent().unwrap_or(dir);
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    let kept = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
    let kept =
        kept.map_err(|refused| refused.error).with_context(|| format!("{} cannot be written", path.display()))?;
    // A temporary file is for its owner alone; a definition is read by the team.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = kept.set_permissions(std::fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = kept;
    Ok(())
}
