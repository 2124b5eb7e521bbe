//! What is advised: the forty cases of the guide, the words, the drafts, and the review of a project.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use definition::advise::{self, Answers, Outcome};
use definition::{History, LoadOptions, Loaded, Measured, load_files};

fn options<'a>() -> LoadOptions<'a> {
    LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() }
}

#[track_caller]
fn answers(text: &str) -> Answers {
    advise::read("answers.yaml", text).unwrap_or_else(|loaded| panic!("{text}\n{}", loaded.render(false, 120)))
}

/// Number and title of each case of the guide, its answers, and what it argues for.
fn cases() -> Vec<(String, String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/advise.md");
    let text = std::fs::read_to_string(guide).unwrap();
    let cases = text.split("\n### ").skip(1).map(|case| {
        let title = case.lines().next().unwrap_or_default().to_owned();
        let (_, rest) = case.split_once("```yaml\n").unwrap_or_else(|| panic!("{title} has no answers"));
        let (given, rest) = rest.split_once("```").unwrap();
        let (_, outcome) = rest.split_once("** (`").unwrap_or_else(|| panic!("{title} has no outcome"));
        (title, given.to_owned(), outcome.split_once('`').unwrap().0.to_owned())
    });
    cases.collect()
}

#[test]
fn the_forty_cases_of_the_guide_are_advised_as_they_are_argued() {
    let cases = cases();
    assert_eq!(cases.len(), 40);
    let mut wrong = Vec::new();
    let mut counted: BTreeMap<Outcome, usize> = BTreeMap::new();
    for (title, given, argued) in &cases {
        let advice = advise::recommend(&answers(given));
        *counted.entry(advice.outcome).or_default() += 1;
        if advice.outcome.word() != argued {
            wrong.push(format!("{title}: {} instead of {argued}: {:?}", advice.outcome.word(), advice.why));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let without: usize =
        counted.iter().filter(|(outcome, _)| outcome.is_no_integration()).map(|(_, count)| count).sum();
    assert_eq!(without, 10);
    assert_eq!(counted.len(), Outcome::ALL.len(), "each way is right somewhere");
}

/// Every combination of words, at several volumes: there is always one recommendation with reasons, and a reason against
/// each other way.
#[test]
fn whatever_is_answered_something_is_advised() {
    use advise::{About, Decides, Late, Looks, Place, Stored};
    let base = answers("wish: Somebody sees it.\nlate: nothing\nlooks: many\na_day: 1\nstored: stored\n");
    let mut count = 0;
    for about in About::ALL {
        for late in Late::ALL {
            for looks in Looks::ALL {
                for decides in Decides::ALL {
                    for stored in Stored::ALL {
                        for from_is in Place::ALL {
                            for (to_is, a_day) in
                                [(Place::Dynamics, 40), (Place::Api, 5_000), (Place::Dynamics, 400_000)]
                            {
                                let given = Answers {
                                    about: *about,
                                    late: *late,
                                    looks: *looks,
                                    decides: *decides,
                                    stored: *stored,
                                    from_is: *from_is,
                                    to_is,
                                    a_day,
                                    in_three_years: a_day,
                                    ..base.clone()
                                };
                                let advice = advise::recommend(&given);
                                count += 1;
                                assert!(!advice.why.is_empty() && advice.others.len() == Outcome::ALL.len() - 1);
                                for sentence in
                                    advice.why.iter().chain(&advice.how).chain(advice.others.iter().map(|(_, why)| why))
                                {
                                    assert!(sentence.ends_with('.') && sentence.len() > 20, "{sentence}");
                                }
                                assert_eq!(advice.schedule.is_some(), advice.outcome == Outcome::Batch);
                                let cost = advise::cost(advice.outcome, &given, advice.schedule);
                                assert!(cost.allowance >= 40_000 && cost.requests_later >= cost.requests);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(count > 30_000, "{count}");
}

#[test]
fn the_fixed_answers_do_not_bend() {
    let check = |about: &str, late: &str, expected: Outcome| {
        let text = format!("wish: People know.\nabout: {about}\nlate: {late}\nlooks: many\na_day: 90\nstored: seen\n");
        let advice = advise::recommend(&answers(&text));
        assert_eq!((advice.outcome, advice.fixed), (expected, true), "{about} {late}");
    };
    for late in ["annoying", "costly", "stops"] {
        check("stock", late, Outcome::Virtual);
        check("credit_status", late, Outcome::Virtual);
    }
    check("payment", "stops", Outcome::PlugIn);
    check("check", "stops", Outcome::PlugIn);
}

#[test]
fn an_advice_reads_well_aloud() {
    let given = answers(
        "wish: Orders reach the warehouse.\nabout: documents\nfrom_is: dynamics\nto_is: api\nlate: costly\nlooks: a_program\na_day: 800\nin_three_years: 2000\nstored: stored\nrate: 650\ncurrency: GBP\nlicences: 120\nby_hand: 4800\n",
    );
    let text = advise::text(&advise::recommend(&given), &given, 100);
    let (told, others) = text.split_once("\nWhy not the others\n").unwrap();
    assert_eq!(
        told,
        "\
Recommended: an event integration.
  Something happens, and the others hear of it within seconds: in order, exactly as often as it
  happened.

Why
  - Half an hour late costs something, none may be lost, and the source can say when it happens.
  - A queue keeps each of them until its effect is there, in order, however long the destination is
    away.

What it costs
  - about 5 days to build and 4 days a year to run: 3,250 GBP, then 2,600 GBP a year at 650 GBP a
    day (an estimate of ours; yours may be better)
  - 1,696 Dataverse requests a day now, 4,096 in three years: less than 1 % of the 1,100,000 that
    the users without a licence together may use in a day
  - about 69 requests in the busiest five minutes, of 6,000 for one user and web server
  - 6 parts to operate: the webhook and its registration, an address that the sender reaches, with
    key and certificate, the queue, the consumer of each destination, the dead letters, the sweep
    behind it
  - by hand it costs 78,000 GBP a year

What can go wrong at night
  - A destination is down: messages pile up and are delivered when it is back.
  - One message cannot be delivered: it holds the later ones of its key until somebody looks.
  - The sender dropped an event: the sweep finds it a quarter of an hour later.
"
    );
    assert!(others.contains("  - a batch integration: 3,250 GBP in three years, 97 requests a day, 2 parts.\n    It would be minutes late, and that costs something here.\n"), "{others}");
    let json = advise::json(&advise::recommend(&given), &given);
    assert_eq!(json["cost"]["three_years"], "11050");
    assert_eq!(json["others"].as_array().unwrap().len(), 9);
}

fn with(files: &[(String, String)]) -> Loaded {
    let mut all: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    all.extend(files.iter().cloned());
    load_files(all.iter().map(|(path, text)| (path.as_str(), text.as_str())), &options())
}

/// What is drafted for a way is taken by the checks, with the entity and systems that were missing.
#[test]
fn a_draft_is_taken_by_check() {
    let project = super::examples::contoso(None).project.unwrap();
    let check = |given: &str, outcome: Outcome, expected: &[&str]| {
        let given = answers(given);
        let advice = advise::recommend(&given);
        assert_eq!(advice.outcome, outcome);
        let drafts = advise::scaffold(&project, &advice, &given, "new-one", "finance-it");
        let paths: Vec<&str> = drafts.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, expected);
        let loaded = with(&drafts.files);
        if drafts.add.is_empty() {
            assert!(loaded.diagnostics.is_empty(), "{}\n{:#?}", loaded.render(false, 120), drafts.files);
        } else {
            // What is missing is the mapping that is to be added to a file, and nothing else.
            assert!(
                loaded.diagnostics.iter().all(|diagnostic| diagnostic.code.0 == "IB0311"),
                "{}",
                loaded.render(false, 120)
            );
            let all: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
            let mut files = drafts.files.clone();
            for (path, mapping) in &drafts.add {
                files.push((path.clone(), advise::added(&all[path], mapping).unwrap()));
            }
            let loaded = with(&files);
            assert!(loaded.diagnostics.is_empty(), "{}\n{:#?}", loaded.render(false, 120), drafts.add);
        }
    };
    check(
        "wish: Sales sees machines.\nlate: annoying\nlooks: many\na_day: 50\nstored: stored\nfrom: plant\nto: crm\nentity: machine\n",
        Outcome::Batch,
        &["integrations/new-one.yaml", "entities/machine.yaml", "systems/plant.yaml", "systems/crm.yaml"],
    );
    check(
        "wish: \"Orders: at once\"\nabout: documents\nfrom_is: dynamics\nto_is: api\nlate: costly\nlooks: a_program\na_day: 50\nstored: stored\nfrom: crm\nto: plant\nentity: machine\n",
        Outcome::Event,
        &["integrations/new-one.yaml", "entities/machine.yaml", "systems/crm.yaml", "systems/plant.yaml"],
    );
    check(
        "wish: Service sees machines.\nfrom_is: api\nlate: annoying\nlooks: many\na_day: 50\nstored: seen\nfrom: plant\nto: crm\nentity: machine\n",
        Outcome::Virtual,
        &["integrations/new-one.yaml", "entities/machine.yaml", "systems/plant.yaml", "systems/crm.yaml"],
    );
    check(
        "wish: People decide about machines.\nfrom_is: dynamics\nto_is: sql\nlate: annoying\nlooks: a_few\na_day: 5\ndecides: a_person\nstored: stored\nfrom: crm\nto: plant\nentity: machine\n",
        Outcome::Flow,
        &["integrations/new-one.yaml", "entities/machine.yaml", "systems/crm.yaml", "systems/plant.yaml"],
    );
    // What is there already stays as it is.
    check(
        "wish: Sales sees prices.\nlate: annoying\nlooks: many\na_day: 50\nstored: stored\nfrom: finance\nto: dynamics\nentity: price\n",
        Outcome::Batch,
        &["integrations/new-one.yaml"],
    );
}

#[test]
fn a_decision_is_kept_as_it_was_made() {
    let project = super::examples::contoso(None).project.unwrap();
    let decision = project.decisions[0].clone();
    assert_eq!((decision.answers.a_day, decision.answers.in_three_years, decision.chosen), (50, 200, Outcome::Batch));
    let yaml = decision.to_yaml();
    let loaded = with(&[("decisions/customers-and-contacts.yaml".to_owned(), yaml.clone())]);
    assert!(loaded.diagnostics.is_empty(), "{yaml}\n{}", loaded.render(false, 120));
    assert_eq!(loaded.project.unwrap().decisions[0], decision);
}

#[test]
fn reality_that_moved_away_is_told_with_what_would_be_right_now() {
    let of = |written| {
        let history =
            History { days: 10, runs: 90, usual_run: Some(Duration::from_secs(9)), written, ..History::default() };
        Measured([("customers-and-contacts".to_owned(), history)].into())
    };
    let check = |measured: &Measured| {
        let files = super::mutation::fixture();
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        load_files(given, &LoadOptions { measured: Some(measured), ..options() }).render(false, 120)
    };
    assert_eq!(check(&of(5_000)), "");
    let text = check(&of(40_000));
    assert!(
        text.contains(
            "warning[IB0223]: `customers-and-contacts` was decided for 200 a day in three years, and 4,000 a day came"
        ),
        "{text}"
    );
    assert!(text.contains("`ironbridge advise --name customers-and-contacts --a-day 4000`"), "{text}");
}

#[test]
fn a_review_finds_what_could_be_simpler() {
    let project = super::examples::contoso(None).project.unwrap();
    let history =
        |written, runs, idle_runs| History { days: 10, runs, idle_runs, read: written, written, ..History::default() };
    let measured = Measured(
        [
            ("prices".to_owned(), history(0, 30, 30)),
            ("credit-limit".to_owned(), history(1_900, 0, 0)),
            ("customers-and-contacts".to_owned(), history(90_000, 900, 0)),
            ("orders".to_owned(), history(40, 0, 0)),
        ]
        .into(),
    );
    let found: Vec<String> = advise::review(&project, &measured)
        .iter()
        .filter(|finding| !finding.seen.starts_with("nobody wrote down"))
        .map(|finding| format!("{}: {}", finding.integration, finding.seen))
        .collect();
    assert_eq!(
        found,
        ["credit-limit: 190 a day start, and the ceiling is 200", "prices: 30 runs in 10 days had nothing to write"]
    );
    // Without what goes home, the same event could wait.
    let mut files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    super::messages::apply(&mut files, "integrations/orders.yaml: write_back: [erp_number] => needed_by: 10 minutes #");
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let project = load_files(given, &options()).project.unwrap();
    let findings = advise::review(&project, &measured);
    let orders = findings.iter().find(|finding| finding.integration == "orders").unwrap();
    assert_eq!(orders.seen, "4 a day came in 10 days");
}
