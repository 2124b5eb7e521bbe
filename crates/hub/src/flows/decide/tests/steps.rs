//! Steps that hold others, and approvals in order, with comments and with people who are away.

use std::collections::BTreeMap;

use definition::{Calendar, Pattern, load_files};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use record::{Row, Schema, Value};

use super::*;

const ORDER: &str = "entity: request
key: number
fields: { number: { type: text, max_length: 20 }, requested: { type: money, currency: GBP }, requested_by: { type: person }, outcome: { type: text, max_length: 20 }, due: { type: date }, terms: { type: choice, values: [net30, prepaid] }, lines: { type: lines, key: line_no, fields: { line_no: { type: whole_number }, product: { type: text, max_length: 40 } } } }
";
const TABLES: &str = "system: a
kind: postgres
owner: it
connection: { url: \"${env:A}\" }
entities:
  request: { table: t, alternate_key: n, both: { n: number, r: requested, b: requested_by, o: outcome, d: due, t: { field: terms, choice: { net30: N, prepaid: P } } }, read: { lines: { table: l, parent: p, read: { line_no: no, product: sku } } } }
";

pub struct Flow {
    pub program: Program,
    pub people: People,
    pub calendar: Calendar,
    children: BTreeMap<String, &'static str>,
    /// The steps whose systems do not answer.
    pub silent: Vec<String>,
}

impl Flow {
    pub fn new(steps: &str) -> Flow {
        Flow::started("", "{ entity: request, in: a, call: true }", steps)
    }

    /// With another trigger, and with other people where it says `all_of: [ann, bob]`.
    pub fn started(of: &str, trigger: &str, steps: &str) -> Flow {
        let steps = if of.is_empty() { steps.to_owned() } else { steps.replace("{ all_of: [ann, bob] }", of) };
        let flow =
            format!("integration: f\npattern: flow\ntrigger: {trigger}\nsteps:\n{steps}owner: it\npurpose: A test.\n");
        let child = "integration: other\npattern: flow\ntrigger: { entity: request, in: a, call: true }\nsteps: [ { notify: { to: ann, text: =\"child\" } } ]\nowner: it\npurpose: A test.\n";
        let files = [
            ("ironbridge.yaml", HUB),
            ("people.yaml", PEOPLE),
            ("entities/request.yaml", ORDER),
            ("systems/a.yaml", TABLES),
            ("integrations/f.yaml", &flow),
            ("integrations/other.yaml", child),
        ];
        let loaded = load_files(files, &options());
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 120)));
        let integration = project.integration("f").unwrap();
        let Pattern::Flow(flow) = &integration.pattern else { panic!("it is a flow") };
        let program = Program::compile(&project, integration, flow).unwrap();
        let calendar = project.hub.calendar.clone();
        Flow { program, people: People::of(&project), calendar, children: NO_CHILDREN.clone(), silent: Vec::new() }
    }

    pub fn record(&self, fields: &[(&str, Value)]) -> Row {
        let schema: &std::sync::Arc<Schema> = &self.program.sight;
        let mut row = Row::new(schema.clone(), vec![Value::Blank; schema.columns().len()]);
        *row.at_mut(schema.index("number").unwrap()) = "R-1".into();
        *row.at_mut(schema.index("requested_by").unwrap()) = "eve".into();
        for (name, value) in fields {
            *row.at_mut(schema.index(name).unwrap()) = value.clone();
        }
        row
    }

    pub fn look(&self, state: &State, event: Event, record: &Row, now: Timestamp) -> Result<Decided, Box<Stuck>> {
        let (people, calendar, children, zone) = (&self.people, &self.calendar, &self.children, TimeZone::UTC);
        let sight = Sight {
            program: &self.program,
            people,
            record,
            children,
            found: None,
            silent: &self.silent,
            now,
            calendar,
            zone: &zone,
        };
        decide(state, event, &sight)
    }

    /// Looks until it waits or has ended, as the hub does; answers the state, and what was wanted outside, in order.
    pub fn run(&self, mut state: State, record: &Row, now: Timestamp) -> (State, Vec<String>) {
        let mut wanted = Vec::new();
        for _ in 0..1_000 {
            let before = self.look(&state, Event::Go, record, now).unwrap();
            wanted.extend(before.effects.iter().filter(|effect| !effect.is_outside()).map(short));
            let Some(outside) = before.effects.iter().find(|effect| effect.is_outside()) else {
                return (before.state, wanted);
            };
            wanted.push(short(outside));
            let after = self.look(&before.state, Event::Done, record, now).unwrap();
            let inside: Vec<&Effect> = after.effects.iter().filter(|effect| !effect.is_outside()).collect();
            wanted.extend(inside.into_iter().map(short));
            state = after.state;
        }
        panic!("it does not come to rest: {state:?}")
    }

    pub fn begin(&self) -> State {
        State::begin(self.program.first())
    }
}

fn short(effect: &Effect) -> String {
    match effect {
        Effect::Ask { name, .. } => format!("ask {name}"),
        Effect::Pass { name, of } => format!("pass {name} to {}", of.join(" ")),
        Effect::Close { name, .. } => format!("close {name}"),
        Effect::Tell { to, text, .. } => format!("tell {}: {text}", to.join(" ")),
        Effect::Stop { flow, cause } => format!("stop {flow} {cause}"),
        Effect::Begin { flow, cause, .. } => format!("begin {flow} {cause}"),
        Effect::Set(set) => format!("set {}", set[0].1),
        Effect::Read { from, .. } => format!("read {from}"),
        Effect::Write { to, .. } => format!("write {to}"),
    }
}

fn lines(flow: &Flow, products: &[&str]) -> Value {
    let schema = flow.program.entity.field("lines").map(|field| field.ty.clone());
    let Some(record::Type::Lines(schema)) = schema else { panic!("they are lines") };
    let row = |(n, product): (usize, &&str)| {
        let values = schema.columns().iter().map(|column| match &*column.name {
            "product" => Value::text(*product),
            _ => Value::Int(n as i64),
        });
        Row::new(schema.clone(), values.collect())
    };
    Value::Rows(products.iter().enumerate().map(row).collect())
}

#[test]
fn a_switch_goes_one_way_of_several() {
    let flow = Flow::new(
        "  - switch: =terms
    cases:
      net30: [ { set: { outcome: =\"later\" } } ]
      prepaid: [ { set: { outcome: =\"now\" } } ]
  - notify: { to: ann, text: =outcome }
",
    );
    for (terms, expected) in [("net30", ["set later", "tell ann: later"]), ("prepaid", ["set now", "tell ann: now"])] {
        let record = flow.record(&[("terms", Value::Choice(terms.into()))]);
        assert_eq!(flow.run(flow.begin(), &record, day(0)).1, expected);
    }
    let (end, wanted) = flow.run(flow.begin(), &flow.record(&[]), day(0));
    assert_eq!((end.at, wanted), (None, vec!["tell ann: ".to_owned()]));
}

#[test]
fn a_loop_takes_each_line_once_and_no_more_than_it_may() {
    let flow = Flow::new(
        "  - apply_to_each: lines
    at_most: 3
    do:
      - if: =item.product = \"P-2\"
        then: [ { set: { outcome: =item.product } } ]
      - notify: { to: ann, text: =item.product }
  - notify: { to: bob, text: =\"end\" }
",
    );
    let of = |products: &[&str]| flow.record(&[("lines", lines(&flow, products))]);
    let (end, wanted) = flow.run(flow.begin(), &of(&["P-1", "P-2", "P-3"]), day(0));
    assert_eq!(wanted, ["tell ann: P-1", "set P-2", "tell ann: P-2", "tell ann: P-3", "tell bob: end"]);
    assert!(end.at.is_none() && end.loops.is_empty());
    assert_eq!(flow.run(flow.begin(), &of(&[]), day(0)).1, ["tell bob: end"]);
    let stuck = flow.look(&flow.begin(), Event::Go, &of(&["a", "b", "c", "d"]), day(0)).unwrap_err();
    assert_eq!((stuck.fault.code, stuck.at.as_str()), (codes::TOO_MANY_LINES, "steps[0]"));
    // Whoever skips it goes past the whole loop.
    let next = skipped(&flow.begin(), &flow.program, "steps[0]").unwrap();
    assert_eq!(next.at.as_deref(), Some("steps[1]"));
}

#[test]
fn a_scope_goes_on_where_a_step_has_failed() {
    let flow = Flow::new(
        "  - scope: try_it
    steps:
      - parallel:
          one: [ { set: { outcome: =\"x\" } } ]
          two:
            - approve: decision
              ask: =\"Well?\"
              of: { one_of: [ann] }
              deadline: { after: 1 day, outcome: rejected }
            - notify: { to: ann, text: =decision.outcome }
    if_failed: [ { notify: { to: bob, text: =try_it.comment } } ]
  - notify: { to: eve, text: =try_it.outcome }
",
    );
    let record = flow.record(&[]);
    let first = flow.look(&flow.begin(), Event::Go, &record, day(0)).unwrap();
    assert_eq!(outside(&first.state, &flow.program, &[]), Some("steps[0].steps[0].parallel.one[0]"));
    assert_eq!(first.effects.iter().map(short).collect::<Vec<_>>(), ["ask decision", "tell ann: Well?", "set x"]);
    let second = flow.look(&first.state, Event::Done, &record, day(0)).unwrap();
    assert_eq!(second.effects, []);
    let fault = Fault::reject(codes::FLOW_RECORD, "it is not there");
    let rescued = rescued(&second.state, &flow.program, "steps[0].steps[0].parallel.two[0]", &fault, day(0)).unwrap();
    assert_eq!(rescued.effects.iter().map(short).collect::<Vec<_>>(), ["close decision"]);
    let (end, wanted) = flow.run(rescued.state, &record, day(0));
    assert_eq!(wanted, ["tell bob: it is not there", "tell eve: failed"]);
    assert_eq!(end.at, None);
    assert!(super::super::rescued(&second.state, &flow.program, "steps[1]", &fault, day(0)).is_none());
}

#[test]
fn it_waits_for_a_day_for_something_and_for_a_child() {
    let mut flow = Flow::new(
        "  - delay_until: =DateAdd(due, -3)
  - wait_for: =outcome = \"paid\"
    at_most: 10 days
    as: payment
  - child_flow: other
    key: =number
    as: checked
  - switch: =payment.outcome
    cases:
      happened: [ { terminate: '=\"paid, \" & checked.outcome' } ]
      timed_out: [ { notify: { to: ann, text: =\"Ask again.\" } } ]
",
    );
    let due = jiff::civil::date(2026, 11, 30);
    let of = |outcome: &str| flow.record(&[("due", Value::Date(due)), ("outcome", Value::text(outcome))]);
    let (unpaid, paid) = (of(""), of("paid"));
    let first = flow.look(&flow.begin(), Event::Go, &unpaid, day(0)).unwrap();
    assert_eq!(first.wake, Some("2026-11-27T00:00:00Z".parse().unwrap()));
    let second = flow.look(&first.state, Event::Go, &unpaid, day(4)).unwrap();
    assert_eq!(second.wake, Some(day(4) + jiff::SignedDuration::from_hours(1)));
    for (record, now, last) in [(&paid, day(5), Vec::new()), (&unpaid, day(14), vec!["tell ann: Ask again."])] {
        flow.children.clear();
        let (asked, wanted) = flow.run(second.state.clone(), record, now);
        assert_eq!(wanted, ["begin other steps[2]"]);
        assert_eq!(flow.run(asked.clone(), record, now).1, Vec::<String>::new(), "it begins one child");
        flow.children.insert("steps[2]".to_owned(), "done");
        let (end, wanted) = flow.run(asked, record, now);
        assert_eq!((end.at, wanted), (None, last.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    }
}

const ORDERED: &str = "  - approve: decision
    ask: =\"Well?\"
    of: { in_order: [ann, bob] }
    comment: required_to_reject
    deadline: { after: 5 days, outcome: rejected }
  - notify: { to: eve, text: =decision.outcome }
";

#[test]
fn people_answer_one_after_the_other_and_say_why() {
    let flow = Flow::new(ORDERED);
    let record = flow.record(&[]);
    let (asked, wanted) = flow.run(flow.begin(), &record, day(0));
    assert_eq!(wanted, ["ask decision", "tell ann: Well?"]);
    let answer = |state: &State, by: &str, yes: bool, why: Option<&str>| {
        let said = Said { comment: why, ..Said::default() };
        vote(state, "decision", by, yes, said, &flow.people, day(0))
    };
    assert_eq!(answer(&asked, "bob", true, None), Err(NotTaken::NotYet { first: "ann".into() }));
    assert_eq!(answer(&asked, "ann", false, Some(" ")), Err(NotTaken::NoComment));
    let first = answer(&asked, "ann", true, None).unwrap();
    assert_eq!(first.outcome, None);
    let (second, wanted) = flow.run(first.state, &record, day(0));
    assert_eq!(wanted, ["tell bob: Well?"]);
    assert_eq!(answer(&second, "ann", true, None), Err(NotTaken::AlreadyAnswered));
    for (yes, expected) in [(true, "tell eve: approved"), (false, "tell eve: rejected")] {
        let voted = answer(&second, "bob", yes, Some("so")).unwrap();
        assert_eq!(voted.outcome, Some(yes));
        let (end, wanted) = flow.run(voted.state, &record, day(0));
        assert_eq!(wanted, ["close decision", expected]);
        let late = answer(&end, "bob", true, None);
        assert_eq!(late, Err(NotTaken::Decided { by: "bob".into(), at: day(0) }));
    }
}

#[test]
fn somebody_answers_for_whoever_is_away_and_never_whoever_asked() {
    let mut flow = Flow::new(
        "  - approve: decision
    ask: =\"Well?\"
    of: { all_of: [ann, bob], not: =requested_by }
    deadline: { after: 5 days, outcome: rejected }
  - notify: { to: eve, text: =decision.outcome }
",
    );
    let away = |person: &str, instead: &str, from: i64| Away {
        person: person.into(),
        from: day(from),
        until: day(from + 2),
        stand_in: Some(instead.into()),
    };
    let record = flow.record(&[]);
    let asked_of = |flow: &Flow, now| {
        let asked = flow.look(&flow.begin(), Event::Go, &record, now).unwrap();
        let asking: Vec<Asking> = asked.state.asking().map(|(_, asking)| asking.clone()).collect();
        (asked.state, asking[0].of.join(" "))
    };
    flow.people.away = vec![away("ann", "director", 0)];
    assert_eq!(asked_of(&flow, day(1)).1, "director bob");
    assert_eq!(asked_of(&flow, day(2)).1, "ann bob");
    // Eve asked for it; bob is away himself, and then nobody stands in.
    flow.people.away = vec![away("ann", "eve", 0)];
    assert_eq!(asked_of(&flow, day(1)).1, "ann bob");
    flow.people.away = vec![away("ann", "bob", 0), away("bob", "ann", 0)];
    assert_eq!(asked_of(&flow, day(1)).1, "ann bob");
    // Who goes away while the question stands is replaced at the next look.
    flow.people.away = vec![away("bob", "director", 2)];
    let (state, of) = asked_of(&flow, day(1));
    assert_eq!(of, "ann bob");
    let (_, wanted) = flow.run(state, &record, day(2));
    assert!(wanted.contains(&"tell director: Well?".to_owned()), "{wanted:?}");
}

#[test]
fn where_so_many_have_to_agree_nobody_counts_for_two() {
    let mut flow = Flow::new(
        "  - approve: decision
    ask: =\"Well?\"
    of: { some_of: [ann, bob], at_least: 2 }
    deadline: { after: 5 days, outcome: rejected }
  - notify: { to: eve, text: =decision.outcome }
",
    );
    let record = flow.record(&[]);
    let away = Away { person: "bob".into(), from: day(1), until: day(2), stand_in: Some("ann".into()) };
    flow.people.away = vec![away];
    // Bob is away when it is asked, or goes when ann has answered: both are needed all the same.
    for asked in [day(0), day(1)] {
        let state = flow.run(flow.begin(), &record, asked).0;
        let yes = |state: &State, by: &str, now| {
            vote(state, "decision", by, true, Said::default(), &flow.people, now).unwrap()
        };
        let one = yes(&state, "ann", day(1));
        assert_eq!(one.outcome, None);
        let (state, _) = flow.run(one.state, &record, day(1));
        assert_eq!(state.decisions.get("decision"), None);
        assert_eq!(yes(&state, "bob", day(2)).outcome, Some(true));
    }
}

/// A flow of everything that holds steps: each step is one letter, so that an order can be told.
const NESTED: &str = "  - scope: all
    steps:
      - parallel:
          left:
            - approve: one
              ask: =\"One?\"
              of: { one_of: [ann] }
              deadline: { after: 3 days, outcome: rejected }
            - if: =one.outcome = \"approved\"
              then: [ { set: { outcome: =\"L\" } } ]
          right:
            - apply_to_each: lines
              do: [ { set: { outcome: =item.product } } ]
            - wait: 1 day
            - approve: two
              ask: =\"Two?\"
              of: { all_of: [ann, bob] }
              deadline: { after: 3 days, outcome: approved }
            - if: =two.outcome = \"approved\"
              then: [ { set: { outcome: =\"R\" } } ]
    if_failed: [ { set: { outcome: =\"F\" } } ]
  - { set: { outcome: =\"E\" } }
";

#[derive(Debug, Clone)]
enum Act {
    Look,
    /// A process dies after the effect, before the commit.
    Crash,
    Vote(bool, usize, bool),
    Wait(i64),
    Fail,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Look),
        2 => Just(Act::Crash),
        3 => (any::<bool>(), 0..2_usize, any::<bool>()).prop_map(|(one, who, yes)| Act::Vote(one, who, yes)),
        1 => (1..3_i64).prop_map(Act::Wait),
        1 => Just(Act::Fail),
    ];
    prop::collection::vec(act, 0..60)
}

proptest! {
    /// In any order of looks, crashes, answers, clocks and failures: what follows an approval is done only if that says
    /// so, each step is finished once, and every flow comes to its end.
    #[test]
    fn nested_ways_pass_no_approval_undecided_and_finish_each_step_once(acts in acts()) {
        let flow = Flow::new(NESTED);
        let record = flow.record(&[("lines", lines(&flow, &["a", "b"]))]);
        let (mut state, mut today) = (flow.begin(), 0);
        let mut finished: Vec<String> = Vec::new();
        let mut failed = false;
        let mut step = |state: &mut State, today: i64, crash: bool, fail: bool| -> Result<bool, TestCaseError> {
            let before = flow.look(state, Event::Go, &record, day(today)).unwrap();
            let Some(effect) = before.effects.iter().find(|effect| effect.is_outside()) else {
                let moved = before.state != *state;
                *state = before.state;
                return Ok(moved);
            };
            let at = outside(&before.state, &flow.program, &[]).unwrap().to_owned();
            if fail && let Some(rescued) = rescued(state, &flow.program, &at, &Fault::reject(codes::FLOW_RECORD, "no"), day(today)) {
                prop_assert!(!failed, "a scope fails once");
                failed = true;
                prop_assert!(rescued.state.asking().next().is_none());
                *state = rescued.state;
                return Ok(true);
            }
            if crash {
                return Ok(false);
            }
            let letter = short(effect);
            for (letter_of, name) in [("set L", "one"), ("set R", "two")] {
                if letter == letter_of {
                    prop_assert_eq!(&before.state.decisions[name].outcome, APPROVED);
                }
            }
            finished.push(letter);
            *state = flow.look(&before.state, Event::Done, &record, day(today)).unwrap().state;
            Ok(true)
        };
        for act in acts {
            match act {
                Act::Look => drop(step(&mut state, today, false, false)?),
                Act::Crash => drop(step(&mut state, today, true, false)?),
                Act::Fail => drop(step(&mut state, today, false, true)?),
                Act::Wait(days) => today += days,
                Act::Vote(one, who, yes) => {
                    let name = if one { "one" } else { "two" };
                    let decided = state.decisions.contains_key(name);
                    if let Ok(voted) = vote(&state, name, ["ann", "bob"][who], yes, Said::default(), &flow.people, day(today)) {
                        prop_assert!(!decided, "{name} is decided twice");
                        prop_assert!(!(one && who == 1), "bob was not asked");
                        state = voted.state;
                    }
                }
            }
        }
        // Left alone, it ends.
        for _ in 0..200 {
            if !step(&mut state, today, false, false)? {
                today += 1;
            }
        }
        prop_assert_eq!(&state.at, &None);
        prop_assert!(state.branches.is_empty() && state.loops.is_empty());
        let mut once = finished.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), finished.len(), "twice: {:?}", finished);
        prop_assert!(finished.contains(&"set E".to_owned()));
        prop_assert_eq!(finished.contains(&"set F".to_owned()), failed);
        if !failed {
            prop_assert!(finished.contains(&"set a".to_owned()) && finished.contains(&"set b".to_owned()));
            for (name, letter) in [("one", "set L"), ("two", "set R")] {
                prop_assert_eq!(finished.contains(&letter.to_owned()), state.decisions[name].outcome == APPROVED);
            }
        }
    }
}

/// A branch whose system is down holds up no other: questions are put and answered, and other writes are done.
#[test]
fn a_branch_that_waits_for_its_system_holds_up_no_other() {
    let mut flow = Flow::new(
        "  - parallel:
      down: [ { set: { outcome: =\"x\" } } ]
      person:
        - approve: decision
          ask: =\"Well?\"
          of: { one_of: [ann] }
          remind: every 1 day
          deadline: { after: 5 days, outcome: rejected }
        - { set: { outcome: =decision.outcome } }
",
    );
    let record = flow.record(&[]);
    let first = flow.look(&flow.begin(), Event::Go, &record, day(0)).unwrap();
    let wanted: Vec<String> = first.effects.iter().map(short).collect();
    assert_eq!(wanted, ["ask decision", "tell ann: Well?", "set x"]);
    let later = flow.look(&first.state, Event::Go, &record, day(5)).unwrap();
    let wanted: Vec<String> = later.effects.iter().map(short).collect();
    assert_eq!(wanted, ["close decision", "set x"], "its deadline has come all the same");
    flow.silent = vec!["steps[0].parallel.down[0]".to_owned()];
    let other = flow.look(&later.state, Event::Go, &record, day(5)).unwrap();
    assert_eq!(other.effects.iter().map(short).collect::<Vec<_>>(), ["set rejected"]);
    let done = flow.look(&other.state, Event::Done, &record, day(5)).unwrap();
    assert_eq!(outside(&done.state, &flow.program, &flow.silent), None);
    assert_eq!(outside(&done.state, &flow.program, &[]), Some("steps[0].parallel.down[0]"));
}
