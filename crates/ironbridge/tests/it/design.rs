//! Design time as its users meet it: the hook before a commit, the pipeline, advice, impact, diff, sheets. What
//! stands in the documents is what runs here.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Said, World, binary, root, said};

pub fn git(dir: &Path, args: &[&str]) -> Said {
    let mut command = Command::new("git");
    // Nothing of this machine's own settings, and no hook but ours.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env("PATH", path());
    for (name, value) in [("NAME", "sample"), ("EMAIL", "sample@contoso.example")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    said(command.arg("-C").arg(dir).args(args).output().unwrap())
}

/// Where a shell finds this `ironbridge` first.
fn path() -> String {
    let own = Path::new(env!("CARGO_BIN_EXE_ironbridge")).parent().unwrap().display().to_string();
    format!("{own}:{}", std::env::var("PATH").unwrap_or_default())
}

/// A block of a document by the words behind its fence.
pub fn block(document: &str, fence: &str) -> String {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let (_, rest) = text.split_once(&format!("```{fence}\n")).unwrap_or_else(|| panic!("{document} has no {fence}"));
    rest.split_once("```").unwrap().0.to_owned()
}

pub fn committed(world: &World) {
    git(&world.dir, &["init", "--quiet", "--initial-branch", "main"]).ok();
    git(&world.dir, &["add", "--all"]).ok();
    git(&world.dir, &["commit", "--quiet", "--message", "The project"]).ok();
}

#[test]
fn the_hook_of_the_guide_refuses_a_commit_with_an_error_in_it() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(3);
    committed(&world);
    let hook = world.dir.join(".git/hooks/pre-commit");
    std::fs::write(&hook, block("docs/guides/check.md", "sh hook")).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();

    world.edit("integrations/customers.yaml", "every 15 minutes", "every 20 minutes");
    git(&world.dir, &["commit", "--quiet", "--all", "--message", "Less often"]).ok();

    world.edit("integrations/customers.yaml", "every 20 minutes", "every 20 minits");
    let refused = git(&world.dir, &["commit", "--quiet", "--all", "--message", "A slip"]);
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(refused.err.contains("IB0123"), "{refused:#?}");
    let log = git(&world.dir, &["log", "--format=%s"]).ok().out;
    assert_eq!(log, "Less often\nThe project\n");

    // What is not added does not count: the commit is checked, and not what lies beside it.
    git(&world.dir, &["reset", "--quiet"]).ok();
    std::fs::write(world.dir.join("notes.txt"), "nothing").unwrap();
    git(&world.dir, &["add", "notes.txt"]).ok();
    git(&world.dir, &["commit", "--quiet", "--message", "Notes"]).ok();
}

/// The lines of each `run: |` or `script: |` of a pipeline.
fn steps(pipeline: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut within: Option<usize> = None;
    for line in pipeline.lines() {
        let indent = line.len() - line.trim_start().len();
        match within {
            Some(own) if line.trim().is_empty() || indent > own => {
                found.last_mut().unwrap().push_str(&format!("{}\n", line.trim_start()));
                continue;
            }
            _ => within = None,
        }
        if line.trim_end().ends_with(": |") {
            found.push(String::new());
            within = Some(indent + if line.trim_start().starts_with("- ") { 2 } else { 0 });
        }
    }
    found
}

#[test]
fn the_steps_of_the_pipelines_run_and_fail_where_they_should() {
    let world = World::new(3);
    committed(&world);
    git(&world.dir, &["update-ref", "refs/remotes/origin/main", "HEAD"]).ok();
    let run = |step: &str| {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", step]).current_dir(&world.dir).env("PATH", path());
        command.env("GITHUB_BASE_REF", "main").env("GITHUB_STEP_SUMMARY", world.dir.join("summary.md"));
        command.env("BUILD_ARTIFACTSTAGINGDIRECTORY", world.dir.join("staging"));
        said(command.output().unwrap())
    };
    // A project in a folder of its repository names its files from the top of the repository.
    let inside = world.dir.join("hub/contoso");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("ironbridge.yaml"), "hub: 7\n").unwrap();
    for (at, project) in [(&world.dir, "hub/contoso"), (&inside, ".")] {
        let said = said(binary().current_dir(at).args(["-C", project, "--format", "sarif", "check"]).output().unwrap());
        let uri = &said.json()["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(uri, "hub/contoso/ironbridge.yaml");
    }
    std::fs::remove_dir_all(world.dir.join("hub")).unwrap();
    for (fence, sarif) in [("yaml github", "check.sarif"), ("yaml azure", "staging/CodeAnalysisLogs/check.sarif")] {
        let steps = steps(&block("docs/guides/check.md", fence));
        assert_eq!(steps.len(), 2, "{steps:?}");
        run(&steps[0]).ok();
        run(&steps[1]).ok();
        let read =
            || -> Json { serde_json::from_str(&std::fs::read_to_string(world.dir.join(sarif)).unwrap()).unwrap() };
        assert_eq!(read()["runs"][0]["results"], serde_json::json!([]));

        world.edit("systems/finance.yaml", "kind: sqlite", "kind: sqlight");
        let refused = run(&steps[0]);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        let results = &read()["runs"][0]["results"];
        assert_eq!(results[0]["ruleId"], "IB0122", "{results}");
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "systems/finance.yaml");
        let help = read()["runs"][0]["tool"]["driver"]["rules"][0]["help"]["markdown"].to_string();
        assert!(help.contains("What to do"), "the page stands beside the finding: {help}");
        world.edit("systems/finance.yaml", "kind: sqlight", "kind: sqlite");
    }
}

#[test]
fn diff_takes_revisions_and_says_when_there_is_none() {
    let world = World::new(0);
    world.ironbridge(&["diff", "HEAD"]).fails(2, "IB1102");
    committed(&world);
    assert_eq!(world.ironbridge(&["diff", "HEAD"]).ok().out, "nothing changes\n");
    world.edit("integrations/customers.yaml", "every 15 minutes", "every 30 minutes");
    git(&world.dir, &["commit", "--quiet", "--all", "--message", "Less often"]).ok();
    let text = world.ironbridge(&["diff", "HEAD~1", "main"]).ok().out;
    assert!(text.starts_with("safe (1)\n  customers: schedule: every 15 minutes -> every 30 minutes\n"), "{text}");
    world.ironbridge(&["diff", "nowhere"]).fails(2, "IB1102");
    world.ironbridge(&["diff", "--", "--output=x"]).fails(2, "IB1102");
    assert!(!world.dir.join("x").exists());
}

const WISH: &str = "wish: Sales sees machines.\nlate: annoying\nlooks: many\na_day: 50\nstored: stored\n";

#[test]
fn advice_is_given_kept_and_drafted() {
    let world = World::new(0);
    // Nothing but answers is needed for an advice.
    let empty = tempfile::tempdir().unwrap();
    let answers = empty.path().join("wish.yaml");
    std::fs::write(&answers, WISH).unwrap();
    let dir = empty.path().to_str().unwrap();
    let file = answers.to_str().unwrap();
    let advice = said(binary().args(["-C", dir, "advise", "--answers", file]).output().unwrap()).ok();
    assert!(advice.out.starts_with("Recommended: a batch integration.\n"), "{}", advice.out);
    let json = said(
        binary()
            .args(["-C", dir, "--format", "json", "advise", "--answers", file, "--late", "costly", "--from-is", "api"])
            .output()
            .unwrap(),
    );
    assert_eq!(json.ok().json()["recommended"], "event");
    let nothing = said(binary().args(["-C", dir, "advise"]).stdin(std::process::Stdio::null()).output().unwrap());
    nothing.fails(2, "IB1100");
    let wrong = said(binary().args(["-C", dir, "advise", "--answers", file, "--late", "soon"]).output().unwrap());
    wrong.fails(2, "IB0115");

    let keep = [
        "advise",
        "--name",
        "machines",
        "--answers",
        file,
        "--from",
        "plant",
        "--to",
        "dynamics",
        "--entity",
        "machine",
        "--owner",
        "finance-it",
        "--who",
        "finance-it",
    ];
    let before = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
    let said = world.ironbridge(&keep).ok();
    let written: Vec<&str> = said.out.lines().filter_map(|line| line.strip_prefix("written: ")).collect();
    assert_eq!(
        written,
        ["decisions/machines.yaml", "integrations/machines.yaml", "entities/machine.yaml", "systems/plant.yaml"]
    );
    // The mapping that was missing stands in the file that was there, and nothing else of it is changed.
    let mapping = "machine: { table: machine, alternate_key: number, write: { number: number, name: name } }";
    assert!(said.out.contains(&format!("added to systems/dynamics.yaml: {mapping}\n")), "{said:#?}");
    let changed = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
    assert_eq!(changed.replacen(&format!("  {mapping}\n"), "", 1), before);
    world.ironbridge(&["check"]).ok();

    // Another time nothing that is there is changed, and what was answered before holds.
    world.edit("integrations/machines.yaml", "every 15 minutes", "every 30 minutes");
    let again = world.ironbridge(&["--format", "json", "advise", "--name", "machines", "--a-day", "60"]).ok().json();
    assert_eq!(again["written"], serde_json::json!(["decisions/machines.yaml"]));
    let decision = std::fs::read_to_string(world.dir.join("decisions/machines.yaml")).unwrap();
    assert!(decision.contains("a_day: 60") && decision.contains("integration: machines"), "{decision}");
    let kept = std::fs::read_to_string(world.dir.join("integrations/machines.yaml")).unwrap();
    assert!(kept.contains("every 30 minutes"), "{kept}");

    world
        .ironbridge(&["advise", "--name", "machines", "--choose", "pigeons", "--because", "They fly."])
        .fails(2, "IB1101");
    let review = world.ironbridge(&["advise", "review"]).ok().out;
    assert!(review.contains("nobody wrote down why it is like this"), "{review}");
}

/// What was measured is compared with what was said, where the hub ran.
#[test]
fn check_knows_what_was_measured() {
    let world = World::new(400);
    world.ironbridge(&["run", "customers"]).ok();
    let file = world.dir.join("wish.yaml");
    std::fs::write(&file, WISH.replace("a_day: 50", "a_day: 2")).unwrap();
    world
        .ironbridge(&["advise", "--name", "customers", "--answers", file.to_str().unwrap(), "--who", "finance-it"])
        .ok();
    let loaded = world.ironbridge(&["check"]).ok();
    assert!(!loaded.err.contains("IB0223"), "the first load is no usual day: {loaded:#?}");
    world.sql(
        "UPDATE customers SET credit_limit = '77', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
         WHERE customer_no LIKE 'C-11%'",
    );
    world.ironbridge(&["run", "customers"]).ok();
    let checked = world.ironbridge(&["check"]).ok();
    assert!(
        checked.err.contains("warning[IB0223]: `customers` was decided for 2 a day, and 100 a day came"),
        "{checked:#?}"
    );
    let review = world.ironbridge(&["--format", "json", "advise", "review"]).ok().json();
    assert!(review.is_array(), "{review}");
    // An acceptance is listed each time, and counted.
    world.edit(
        "decisions/customers.yaml",
        "who: finance-it",
        "who: finance-it\naccept: { IB0223: { because: The first load is over in a week., until: 2099-01-01 } }",
    );
    let accepted = world.ironbridge(&["check"]).ok();
    assert!(accepted.err.contains("IB0223 accepted until 2099-01-01"), "{accepted:#?}");
    assert!(accepted.out.contains("1 accepted"), "{accepted:#?}");
}

#[test]
fn sheets_tell_formulas_in_words_and_mask_what_is_personal() {
    let world = World::new(5);
    let into = world.dir.join("sheets");
    world.ironbridge(&["export", "--to", "sheets", "--into", into.to_str().unwrap(), "--live"]).ok();
    let page = std::fs::read_to_string(into.join("customer.md")).unwrap();
    let name = page.lines().find(|line| line.contains("| company_name |")).unwrap();
    assert!(name.contains("company_name without spaces around it"), "{page}");
    let mail = page.lines().find(|line| line.contains("| contact_email |")).unwrap();
    assert!(mail.ends_with("| personal | ••• |"), "{page}");
    assert!(!page.contains("@"), "no address stands on a sheet: {page}");
    assert!(page.contains("Read and agreed:"), "{page}");
}

#[test]
fn pictures_have_the_hub_in_the_middle() {
    let world = World::new(0);
    let svg = world.ironbridge(&["graph", "--svg"]).ok().out;
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"hub\""), "{svg}");
    let text = world.ironbridge(&["graph"]).ok().out;
    assert!(text.contains("subgraph hub["), "{text}");
    let marked = world.ironbridge(&["impact", "finance", "--mermaid"]).ok().out;
    assert!(marked.contains(" touched\n"), "{marked}");
}

/// Runs a command on a terminal of its own, with these lines typed into it. What is shown and what is typed is one text.
fn on_a_terminal(dir: &Path, args: &str, lines: &[&str]) -> Said {
    use std::io::Write;
    let command = format!("{} -C {} {args}", env!("CARGO_BIN_EXE_ironbridge"), dir.display());
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"])
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = terminal.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    let mut said = said(terminal.wait_with_output().unwrap());
    drop(stdin);
    said.out = said.out.replace("\r\n", "\n");
    said
}

#[test]
fn questions_are_asked_on_a_terminal_until_they_are_answered() {
    let world = World::new(0);
    let said = on_a_terminal(
        &world.dir,
        "advise --name machines --owner finance-it",
        &[
            "",
            "Sales see the machines of a customer.",
            "soon",
            "2",
            "many",
            "about fifty",
            "1,200",
            "",
            "",
            "1",
            "stored",
            "2",
            "1",
            "6",
            "1",
            "2",
            "240",
            "650 GBP",
            "plant",
            "1",
            "machine",
        ],
    );
    assert_eq!(said.code, Some(0), "{said:#?}");
    for part in [
        "What should be there, for whom? One sentence.",
        "  4  somebody waits in front of a screen and cannot go on",
        "One of the numbers, please.",
        "A whole number, please.",
        "Recommended: a batch integration.",
        "GBP a year at 650 GBP a day",
        "Which system has it?",
        "written: decisions/machines.yaml",
        "added to systems/dynamics.yaml: machine:",
        &format!("{} passes", world.typed("check")),
    ] {
        assert!(said.out.contains(part), "no {part}\n{}", said.out);
    }
    world.ironbridge(&["check"]).ok();
    let decision = std::fs::read_to_string(world.dir.join("decisions/machines.yaml")).unwrap();
    for line in
        ["wish: Sales see the machines of a customer.", "a_day: 1200", "by_hand: 240", "rate: 650", "currency: GBP"]
    {
        assert!(decision.contains(&format!("  {line}\n")), "{decision}");
    }

    // Whoever leaves in the middle has changed nothing.
    let left = on_a_terminal(&world.dir, "advise --name others", &["Sales see others.", "\u{4}"]);
    assert_eq!(left.code, Some(2), "{left:#?}");
    assert!(left.out.contains("IB1100") && left.out.contains("nothing was written"), "{left:#?}");
    assert!(!world.dir.join("decisions/others.yaml").exists());
}
