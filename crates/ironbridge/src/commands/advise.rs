//! `ironbridge advise`: what to build, if anything.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use definition::advise::{self, Advice, Answers, Decision, Outcome, QUESTIONS, Question};
use definition::{Project, Severity};
use serde_json::json;

use crate::cli::{Advise, AdviseAction, Cli, Format, Given};
use crate::failure::{BAD_CHOICE, Failure, NO_ANSWERS, USAGE};
use crate::output::table;
use crate::{measured, say, talk, wiring};

pub fn advise(cli: &Cli, wanted: &Advise) -> Result<u8, Failure> {
    if let Some(AdviseAction::Review) = wanted.action {
        return review(cli);
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
    let answers = match answers(cli, wanted, before)? {
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
fn answers(cli: &Cli, wanted: &Advise, before: Option<&Decision>) -> Result<Answered, Failure> {
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
                && let Some(answer) = ask(question)?
            {
                lines.push(format!("{}: {}", question.key, quoted(&answer)));
            }
        }
        talk!("");
    }
    if lines.is_empty() {
        let words: Vec<&str> = QUESTIONS.iter().map(|question| question.key).collect();
        return Err(Failure::new(
            USAGE,
            NO_ANSWERS,
            "nothing was answered, and there is no terminal to ask on",
            format!("give the answers as flags or in a file (--answers FILE): {}", words.join(", ")),
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

/// Puts one question until it is answered. Nothing where it was left empty and may be.
fn ask(question: &Question) -> Result<Option<String>, Failure> {
    let stdin = std::io::stdin();
    loop {
        talk!("\n{}", question.ask);
        for (at, (_, meaning)) in question.choices.iter().enumerate() {
            talk!("  {}  {meaning}", at + 1);
        }
        let usual = question.default.filter(|default| !default.is_empty()).map_or(String::new(), |default| {
            let at = question.choices.iter().position(|(word, _)| *word == default);
            at.map_or(format!(" [{default}]"), |at| format!(" [{}]", at + 1))
        });
        anstream::eprint!(">{usual} ");
        std::io::stderr().flush().context("the terminal takes no more")?;
        let mut line = String::new();
        if stdin.lock().read_line(&mut line).context("the terminal gives no answer")? == 0 {
            return Err(Failure::new(USAGE, NO_ANSWERS, "the questions were left", "start again; nothing was written"));
        }
        let line = line.trim();
        if line.is_empty() {
            match question.default {
                Some(default) => return Ok((!default.is_empty()).then(|| default.to_owned())),
                None => continue,
            }
        }
        if question.choices.is_empty() {
            let digits = line.replace([',', '.', ' '], "");
            let is_number = question.key != "wish";
            if !is_number || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) {
                return Ok(Some(if is_number { digits } else { line.to_owned() }));
            }
            talk!("A whole number, please.");
            continue;
        }
        let by_number = line.parse::<usize>().ok().and_then(|at| question.choices.get(at.checked_sub(1)?));
        let by_word = || question.choices.iter().find(|(word, meaning)| *word == line || *meaning == line);
        match by_number.or_else(by_word) {
            Some((word, _)) => return Ok(Some((*word).to_owned())),
            None => talk!("One of the numbers, please."),
        }
    }
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
    if cli.format == Format::Human {
        talk!("");
        written.iter().for_each(|path| say!("written: {path}"));
        for (path, lines) in &drafts.add {
            talk!("\nAdd to {path}, {lines}");
        }
        if chosen.is_ours() && !there && !drafted && !wanted.no_draft {
            talk!("\nTo have it drafted, name the systems and the entity: --from SYSTEM --to SYSTEM --entity ENTITY");
        }
        let loaded = wiring::load(&cli.project, cli.env.as_deref());
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        if errors > 0 {
            talk!("\nThe draft is not whole yet; ironbridge check shows what is left ({errors}).");
        }
    }
    Ok(written)
}

/// Writes a file as a whole or not at all. Only a decision takes the place of an older one.
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

fn review(cli: &Cli) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let measured = measured::measured(&project.dir);
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
