use definition::{LoadOptions, Pattern, load_files};
use proptest::prelude::*;
use record::{Field, FieldType, Keeps, Kind, Schema, Value};

use super::*;
use crate::codes;
use crate::flows::state::Asking;

mod forms;
mod hours;
mod steps;

const HUB: &str = "hub: contoso\ntime_zone: Europe/London\n";
const PEOPLE: &str = "people:
  ann: { name: (sample) first of the group, email: ann@contoso.example }
  bob: { name: (sample) second of the group, email: bob@contoso.example }
  eve: { name: (sample) third of the group, email: eve@contoso.example }
  director: { name: (sample) director, email: director@contoso.example }
groups:
  credit: { members: [ann, bob, eve] }
  it: { email: it@contoso.example }
";
const ENTITY: &str = "entity: request
key: number
fields: { number: { type: text, max_length: 20 }, requested: { type: money, currency: GBP }, requested_by: { type: person }, outcome: { type: text, max_length: 20 } }
";
const SYSTEM: &str = "system: a
kind: postgres
owner: it
connection: { url: \"${env:A}\" }
entities:
  request: { table: t, alternate_key: n, both: { n: number, r: requested, b: requested_by, o: outcome } }
";

/// The kind of a system with tables; this crate brings none.
static KIND: Kind = Kind {
    name: "postgres",
    doc: "A database.",
    connection: &[Field::new("url", FieldType::Secret, "Where it is.", "\"${env:A}\"").required()],
    entity: &[
        Field::new("table", FieldType::Text, "The table.", "t"),
        Field::new("alternate_key", FieldType::OneOrMany(&FieldType::Column), "The key.", "n"),
    ],
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps::EXACTLY,
};

/// No child has ended.
const NO_CHILDREN: &BTreeMap<String, &str> = &BTreeMap::new();
static KINDS: &[&Kind] = &[&KIND];

fn options<'a>() -> LoadOptions<'a> {
    LoadOptions { kinds: KINDS, ..LoadOptions::default() }
}

/// A flow with one approval, of which `of` says who decides; what follows it sets the outcome.
struct Case {
    program: Program,
    people: People,
    calendar: Calendar,
}

impl Case {
    fn new(of: &str) -> Case {
        let flow = format!(
            "integration: f
pattern: flow
trigger: {{ entity: request, in: a, rows: [created] }}
steps:
  - if: =requested <= 5000
    then: [ {{ set: {{ outcome: =\"approved\" }} }} ]
    else:
      - approve: decision
        ask: =$\"Raise to {{requested}}?\"
        of: {of}
        remind: every 1 day
        escalate: {{ after: 2 days, to: [director] }}
        deadline: {{ after: 5 days, outcome: rejected }}
        if_changed: [requested]
      - {{ set: {{ outcome: =decision.outcome }} }}
  - notify: {{ to: =requested_by, text: =\"It is \" & outcome }}
owner: it
purpose: A test.
"
        );
        let files = [
            ("ironbridge.yaml", HUB),
            ("people.yaml", PEOPLE),
            ("entities/request.yaml", ENTITY),
            ("systems/a.yaml", SYSTEM),
            ("integrations/f.yaml", &flow),
        ];
        let loaded = load_files(files, &options());
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)));
        let integration = &project.integrations[0];
        let Pattern::Flow(flow) = &integration.pattern else { panic!("it is a flow") };
        let program = Program::compile(&project, integration, flow).unwrap();
        Case { program, people: People::of(&project), calendar: project.hub.calendar.clone() }
    }

    fn record(&self, requested: i64, by: &str) -> Row {
        let schema: &std::sync::Arc<Schema> = &self.program.sight;
        let mut row = Row::new(schema.clone(), vec![Value::Blank; schema.columns().len()]);
        *row.at_mut(schema.index("number").unwrap()) = "R-1".into();
        *row.at_mut(schema.index("requested").unwrap()) = Value::Decimal(requested.into());
        *row.at_mut(schema.index("requested_by").unwrap()) = by.into();
        row
    }

    fn decide(&self, state: &State, event: Event, record: &Row, now: Timestamp) -> Result<Decided, Box<Stuck>> {
        let zone = TimeZone::UTC;
        let (people, calendar, children) = (&self.people, &self.calendar, NO_CHILDREN);
        let sight = Sight {
            program: &self.program,
            people,
            record,
            children,
            found: None,
            silent: &[],
            now,
            calendar,
            zone: &zone,
        };
        decide(state, event, &sight)
    }

    fn begin(&self) -> State {
        State::begin(self.program.first())
    }
}

fn day(n: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    begin + jiff::SignedDuration::from_hours(24 * n)
}

fn told(decided: &Decided) -> Vec<String> {
    decided.notes.iter().map(|note| note.what.clone()).collect()
}

#[test]
fn small_requests_ask_nobody() {
    let case = Case::new("{ one_of: [group:credit] }");
    let record = case.record(5000, "ann@contoso.example");
    let first = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    assert_eq!(first.effects, [Effect::Set(vec![("outcome".into(), "approved".into())])]);
    let end = case.decide(&first.state, Event::Done, &record, day(0)).unwrap();
    assert_eq!(end.state.at, None);
    let told = Effect::Tell { to: vec!["ann".into()], text: "It is approved".into(), why: "notify", decision: None };
    assert_eq!(end.effects, [told]);
}

#[test]
fn one_answer_decides_and_nobody_decides_about_themselves() {
    let case = Case::new("{ one_of: [group:credit], not: =requested_by }");
    let record = case.record(9000, "ann@contoso.example");
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let [Effect::Ask { text, of, deadline, .. }, Effect::Tell { .. }] = &asked.effects[..] else {
        panic!("{:?}", asked.effects)
    };
    assert_eq!((text.as_str(), of.join(" "), *deadline), ("Raise to 9000.00?", "bob eve".to_owned(), day(5)));
    assert_eq!(asked.wake, Some(day(1)));
    let answer = |state: &State, by: &str, approve: bool| {
        vote(state, "decision", by, approve, Said::default(), &case.people, day(0))
    };
    assert_eq!(answer(&asked.state, "ann", true), Err(NotTaken::Excluded));
    assert!(matches!(answer(&asked.state, "director", true), Err(NotTaken::NotAsked { .. })));
    let voted = answer(&asked.state, "bob@contoso.example", true).unwrap();
    assert_eq!(voted.outcome, Some(true));
    let late = answer(&voted.state, "eve", false);
    assert_eq!(late, Err(NotTaken::Decided { by: "bob".into(), at: day(0) }));
    let next = case.decide(&voted.state, Event::Go, &record, day(0)).unwrap();
    assert_eq!(next.state.decisions["decision"].outcome, APPROVED);
    assert!(
        matches!(&next.effects[..], [Effect::Close { approved: Some(true), .. }, Effect::Set(set)] if set[0].1 == Value::text(APPROVED))
    );
}

#[test]
fn an_answer_to_what_has_changed_unseen_decides_nothing() {
    let case = Case::new("{ one_of: [group:credit] }");
    let asked = case.decide(&case.begin(), Event::Go, &case.record(9000, "ann"), day(0)).unwrap();
    let voted = vote(&asked.state, "decision", "bob", true, Said::default(), &case.people, day(1)).unwrap();
    let again = case.decide(&voted.state, Event::Go, &case.record(90_000, "ann"), day(1)).unwrap();
    assert_eq!(again.state.decisions.get("decision"), None);
    let [Effect::Close { approved: None, .. }, Effect::Ask { text, .. }, Effect::Tell { .. }] = &again.effects[..]
    else {
        panic!("{:?}", again.effects)
    };
    assert_eq!(text, "Raise to 90000.00?");
}

#[test]
fn clocks_remind_escalate_and_end() {
    let case = Case::new("{ all_of: [ann, bob] }");
    let record = case.record(9000, "eve");
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let reminded = case.decide(&asked.state, Event::Go, &record, day(1)).unwrap();
    assert_eq!(told(&reminded), ["reminded ann, bob"]);
    let escalated = case.decide(&reminded.state, Event::Go, &record, day(2)).unwrap();
    assert_eq!(told(&escalated), ["escalated to director", "reminded ann, bob"]);
    // Whoever is asked because nobody answered decides alone.
    let voted = vote(
        &escalated.state,
        "decision",
        "director",
        true,
        Said { comment: Some("go on"), ..Said::default() },
        &case.people,
        day(3),
    )
    .unwrap();
    assert_eq!(voted.outcome, Some(true));
    // Without an answer the deadline decides, also where nobody has looked for long.
    let ended = case.decide(&asked.state, Event::Go, &record, day(9)).unwrap();
    let decision = &ended.state.decisions["decision"];
    assert_eq!((decision.outcome.as_str(), decision.by.as_str()), (REJECTED, DEADLINE));
    let late = vote(&asked.state, "decision", "ann", true, Said::default(), &case.people, day(5));
    assert_eq!(late, Err(NotTaken::Decided { by: DEADLINE.into(), at: day(5) }));
}

/// Whoever asked does not decide because others did not answer: the owner hears that nobody is left.
#[test]
fn an_escalation_to_whoever_asked_is_told_to_the_owner() {
    let case = Case::new("{ one_of: [ann], not: =requested_by }");
    let record = case.record(9000, "director");
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let escalated = case.decide(&asked.state, Event::Go, &record, day(2)).unwrap();
    assert_eq!(told(&escalated)[0], "escalated, and there is nobody else who may decide");
    let Some(Effect::Tell { to, text, why: "notify", decision: None }) = escalated.effects.first() else {
        panic!("{:?}", escalated.effects)
    };
    assert_eq!(to, &["it"]);
    assert!(text.contains("Raise to 9000.00?") && text.ends_with("its deadline decides: rejected."), "{text}");
    let answer = |by: &str| {
        vote(&escalated.state, "decision", by, true, Said::default(), &case.people, day(3)).map(|v| v.outcome)
    };
    assert_eq!(answer("director"), Err(NotTaken::Excluded));
    assert_eq!(answer("ann"), Ok(Some(true)));
}

#[test]
fn a_changed_record_is_asked_again() {
    let case = Case::new("{ all_of: [ann, bob] }");
    let before = case.record(9000, "eve");
    let asked = case.decide(&case.begin(), Event::Go, &before, day(0)).unwrap();
    let voted = vote(&asked.state, "decision", "ann", true, Said::default(), &case.people, day(0)).unwrap();
    let again = case.decide(&voted.state, Event::Go, &case.record(90000, "eve"), day(1)).unwrap();
    assert!(matches!(&again.effects[0], Effect::Close { approved: None, .. }), "{:?}", again.effects);
    assert!(
        matches!(&again.effects[1], Effect::Ask { text, .. } if text == "Raise to 90000.00?"),
        "{:?}",
        again.effects
    );
    // What was said of the other amount does not count.
    let Doing::Asking(asking) = &again.state.doing else { panic!("it asks") };
    assert!(asking.votes.is_empty());
}

#[test]
fn nobody_to_ask_is_a_fault() {
    let case = Case::new("{ one_of: [ann], not: =requested_by }");
    let fault = case.decide(&case.begin(), Event::Go, &case.record(9000, "ann"), day(0)).unwrap_err();
    assert_eq!(fault.fault.code, codes::NOBODY_DECIDES);
    let case = Case::new("{ some_of: [group:credit], at_least: 3, not: =requested_by }");
    let fault = case.decide(&case.begin(), Event::Go, &case.record(9000, "ann"), day(0)).unwrap_err();
    assert_eq!(fault.fault.code, codes::NOBODY_DECIDES);
}

/// What may happen to an instance that asks.
#[derive(Debug, Clone)]
enum Act {
    Look,
    Vote(usize, bool),
    Change(i64),
    Wait(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Look),
        (0..5_usize, any::<bool>()).prop_map(|(who, yes)| Act::Vote(who, yes)),
        (6000..6003_i64).prop_map(Act::Change),
        (1..4_i64).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..30)
}

proptest! {
    /// In any order of answers, clocks, changes and looks: an approval is passed by enough answers of people who were
    /// asked, or by its deadline; by one outcome only; and the answer that made it is the last that was taken.
    #[test]
    fn no_path_passes_an_approval_undecided(acts in acts(), rule in 0..4_usize) {
        let of = ["{ one_of: [group:credit], not: =requested_by }", "{ all_of: [ann, bob] }",
            "{ some_of: [group:credit, director], at_least: 2 }", "{ all_of: [group:credit], not: =requested_by }"][rule];
        let case = Case::new(of);
        let who = ["ann", "bob", "eve", "director", "stranger"];
        let (mut today, mut requested) = (0, 6000);
        let mut state = case.decide(&case.begin(), Event::Go, &case.record(requested, "eve"), day(0)).unwrap().state;
        let mut decided: Option<bool> = None;
        let mut yes: Vec<&str> = Vec::new();
        let mut no: Vec<&str> = Vec::new();
        for act in acts {
            let before = state.clone();
            match act {
                Act::Wait(days) => today += days,
                Act::Change(to) => requested = to,
                Act::Vote(person, approve) => {
                    if let Ok(voted) = vote(&state, "decision", who[person], approve, Said::default(), &case.people, day(today)) {
                        prop_assert!(decided.is_none(), "{} answered after it was decided", who[person]);
                        prop_assert!(who[person] != "stranger");
                        prop_assert!(!(of.contains("not:") && who[person] == "eve"));
                        if approve { yes.push(who[person]) } else { no.push(who[person]) }
                        decided = voted.outcome;
                        state = voted.state;
                    }
                    continue;
                }
                Act::Look => {}
            }
            let looked = case.decide(&state, Event::Go, &case.record(requested, "eve"), day(today)).unwrap();
            if looked.effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })) {
                // What was answered of what was shown before counts no more, also where it had decided.
                (yes, no, decided) = (Vec::new(), Vec::new(), None);
            }
            state = looked.state;
            let Some(decision) = state.decisions.get("decision") else {
                prop_assert_eq!(&state.at, &before.at);
                prop_assert!(decided.is_none());
                continue;
            };
            let approved = decision.outcome == APPROVED;
            if decision.by == DEADLINE {
                prop_assert!(!approved && decided.is_none());
            } else {
                prop_assert_eq!(decided, Some(approved));
                let escalated = decision.by == "director" && !of.contains("director");
                let enough = match rule {
                    _ if escalated => true,
                    0 => if approved { yes.len() == 1 } else { no.len() == 1 },
                    2 => if approved { yes.len() == 2 } else { no.len() == 3 },
                    _ => if approved { yes.len() == 2 } else { no.len() == 1 },
                };
                prop_assert!(enough, "{of}: {yes:?} against {no:?} is {}", decision.outcome);
            }
            // It is decided once: more looks change nothing.
            let again = case.decide(&state, Event::Go, &case.record(requested, "eve"), day(today + 9)).unwrap();
            prop_assert_eq!(&again.state.decisions, &state.decisions);
            break;
        }
    }
}

/// Who is taken out of people.yaml, or out of the group, decides no more; who is new is asked too.
#[test]
fn a_question_goes_with_people_yaml() {
    let mut case = Case::new("{ one_of: [group:credit] }");
    let record = case.record(9000, "eve");
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let answer = |case: &Case, state: &State, by: &str| {
        vote(state, "decision", by, true, Said::default(), &case.people, day(0)).map(|voted| voted.outcome)
    };
    case.people.people.remove("ann");
    case.people.people.insert("new".into(), "new@contoso.example".into());
    case.people.groups.insert("credit".into(), vec!["eve".into(), "new".into()]);
    // Before anybody has looked, too. Bob is a person still, and not of the group.
    for gone in ["ann", "bob"] {
        assert_eq!(answer(&case, &asked.state, gone), Err(NotTaken::NotAsked { of: vec!["eve".into()] }));
    }
    let looked = case.decide(&asked.state, Event::Go, &record, day(0)).unwrap();
    let notes =
        ["by people.yaml as it is now, no longer asked: ann, bob", "by people.yaml as it is now, asked too: new"];
    assert_eq!(told(&looked), notes);
    let tell = Effect::Tell {
        to: vec!["new".into()],
        text: "Raise to 9000.00?".into(),
        why: "asked",
        decision: Some("decision".into()),
    };
    let pass = Effect::Pass { name: "decision".into(), of: vec!["eve".into(), "new".into()] };
    assert_eq!(looked.effects, [tell, pass]);
    assert_eq!(answer(&case, &looked.state, "new"), Ok(Some(true)));
    let again = case.decide(&looked.state, Event::Go, &record, day(0)).unwrap();
    assert_eq!((again.effects.len(), again.notes.len()), (0, 0), "it is told once");
    // Nobody is left: the owner hears of it, and the deadline decides.
    case.people.groups.insert("credit".into(), vec!["director".into()]);
    case.people.people.remove("director");
    let nobody = case.decide(&looked.state, Event::Go, &record, day(0)).unwrap();
    assert!(
        matches!(&nobody.effects[0], Effect::Tell { to, text, .. } if to == &["it"] && text.contains("Not enough people")),
        "{:?}",
        nobody.effects
    );
    let end = case.decide(&nobody.state, Event::Go, &record, day(9)).unwrap();
    assert_eq!(end.state.decisions["decision"].by, DEADLINE);
}

/// What was answered stays, whoever goes; and nobody's yes is taken for a no because others went.
#[test]
fn answers_stay_when_people_go() {
    for (of, left) in [("{ all_of: [ann, bob] }", Some(APPROVED)), ("{ some_of: [group:credit], at_least: 2 }", None)] {
        let mut case = Case::new(of);
        let record = case.record(9000, "eve");
        let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
        let voted = vote(&asked.state, "decision", "ann", true, Said::default(), &case.people, day(0)).unwrap();
        case.people.people.retain(|id, _| id == "director");
        case.people.groups.insert("credit".into(), Vec::new());
        case.people.groups.remove("credit");
        let looked = case.decide(&voted.state, Event::Go, &record, day(0)).unwrap();
        let decision = looked.state.decisions.get("decision").map(|decision| decision.outcome.as_str());
        assert_eq!(decision, left, "{of}: {:?}", looked.notes);
    }
}

/// A stand-in answers for somebody, also after that one is back; and goes with whom it is for.
#[test]
fn a_stand_in_goes_with_whoever_was_away() {
    let mut case = Case::new("{ all_of: [ann, bob] }");
    let record = case.record(9000, "eve");
    case.people.away =
        vec![Away { person: "ann".into(), from: day(0), until: day(1), stand_in: Some("director".into()) }];
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let of = |state: &State| state.asking().next().unwrap().1.of.join(" ");
    assert_eq!(of(&asked.state), "director bob");
    let back = case.decide(&asked.state, Event::Go, &record, day(1)).unwrap();
    assert_eq!(of(&back.state), "director bob");
    assert_eq!(told(&back), ["reminded director, bob"]);
    case.people.people.remove("ann");
    let gone = case.decide(&back.state, Event::Go, &record, day(1)).unwrap();
    assert_eq!(of(&gone.state), "bob");
}

/// Who is asked as well is in the list of who may answer, which people choose from.
#[test]
fn whoever_is_asked_later_is_in_the_list() {
    let case = Case::new("{ one_of: [ann] }");
    let record = case.record(9000, "eve");
    let asked = case.decide(&case.begin(), Event::Go, &record, day(0)).unwrap();
    let escalated = case.decide(&asked.state, Event::Go, &record, day(2)).unwrap();
    let pass = Effect::Pass { name: "decision".into(), of: vec!["ann".into(), "director".into()] };
    assert!(escalated.effects.contains(&pass), "{:?}", escalated.effects);
}

/// A reminder is about what was asked, and says where the record is another one by now.
#[test]
fn a_reminder_says_what_was_asked_and_what_it_is_by_now() {
    let mut case = Case::new("{ one_of: [ann] }");
    for step in &mut case.program.steps {
        if let What::Approve(question) = &mut step.what {
            question.defined.if_changed.clear();
        }
    }
    let asked = case.decide(&case.begin(), Event::Go, &case.record(9000, "eve"), day(0)).unwrap();
    let reminded = case.decide(&asked.state, Event::Go, &case.record(12000, "eve"), day(1)).unwrap();
    let Effect::Tell { text, why: "reminder", .. } = &reminded.effects[0] else { panic!("{:?}", reminded.effects) };
    assert_eq!(text, "Raise to 9000.00?\n\nThe record has changed since; by now it says: Raise to 12000.00?");
}
