//! Clocks of people who work at other hours, elsewhere, or not now.

use definition::{Holidays, Hours};
use jiff::civil::{Weekday, time};

use super::steps::Flow;
use super::*;

const ASKS: &str = "  - approve: decision
    ask: =\"Well?\"
    of: { all_of: [ann, bob] }
    remind: every 1 working day
    escalate: { after: 2 working days, to: [director] }
    deadline: { after: 5 working days, outcome: rejected }
  - notify: { to: ann, text: =decision.outcome }
";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(from: i8, until: i8, days: &[Weekday]) -> Calendar {
    Calendar {
        working_hours: Hours { from: time(from, 0, 0, 0), until: time(until, 0, 0, 0) },
        working_days: days.to_vec(),
        holidays: Holidays::Named("none".into()),
    }
}

use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};

/// `ann` as the hub, from nine to five in UTC; `bob` in New York, on three days of the week.
fn flow(of: &str) -> Flow {
    let mut flow = Flow::started(of, "{ entity: request, in: a, call: true }", ASKS);
    flow.calendar = hours(9, 17, &[Monday, Tuesday, Wednesday, Thursday, Friday]);
    let zone = TimeZone::get("America/New_York").unwrap();
    flow.people.hours.insert("bob".to_owned(), (hours(9, 17, &[Monday, Tuesday, Wednesday]), zone));
    flow
}

fn asking(state: &State) -> Asking {
    state.asking().next().unwrap().1.clone()
}

#[test]
fn each_is_reminded_in_their_own_hours_and_everybody_has_the_whole_time() {
    let flow = flow("");
    let record = flow.record(&[]);
    // Wednesday, 25 November 2026.
    let asked = flow.run(flow.begin(), &record, at("2026-11-25T10:00:00Z")).0;
    let question = asking(&asked);
    assert_eq!(question.reminds["ann"], at("2026-11-26T10:00:00Z"));
    // In New York it is five in the morning: the day begins at nine, and the next working day is Monday.
    assert_eq!(question.reminds["bob"], at("2026-11-30T14:00:00Z"));
    assert_eq!(question.escalate, Some(at("2026-12-01T14:00:00Z")));
    assert_eq!(question.deadline, at("2026-12-08T14:00:00Z"));
    let (later, told) = flow.run(asked, &record, at("2026-11-26T10:00:00Z"));
    assert_eq!(told, ["tell ann: Well?"]);
    let (later, told) = flow.run(later, &record, at("2026-11-30T14:00:00Z"));
    assert_eq!(told, ["tell ann bob: Well?"]);
    assert_eq!(asking(&later).reminds["bob"], at("2026-12-01T14:00:00Z"));
}

#[test]
fn clocks_of_people_go_by_their_summer_time() {
    let flow = flow("{ one_of: [bob] }");
    let record = flow.record(&[]);
    // Clocks go back in New York on 1 November 2026: the same hour there is another one here.
    let asked = flow.run(flow.begin(), &record, at("2026-10-28T15:00:00Z")).0;
    let question = asking(&asked);
    assert_eq!(question.reminds["bob"], at("2026-11-02T16:00:00Z"), "eleven before and after");
    // The hub's own clocks have nothing to do with it.
    assert_eq!(question.deadline, at("2026-11-10T16:00:00Z"));
}

#[test]
fn nobody_is_reminded_who_is_away_and_a_stand_in_has_hours_too() {
    let mut flow = flow("");
    let record = flow.record(&[]);
    let begun = at("2026-11-25T10:00:00Z");
    let asked = flow.run(flow.begin(), &record, begun).0;
    let away = |person: &str, stand_in: Option<&str>| Away {
        person: person.to_owned(),
        from: begun,
        until: at("2026-11-27T00:00:00Z"),
        stand_in: stand_in.map(str::to_owned),
    };
    flow.people.away = vec![away("ann", None)];
    let (later, told) = flow.run(asked.clone(), &record, at("2026-11-26T10:00:00Z"));
    assert_eq!(told, [""; 0], "ann is away");
    assert_eq!(flow.run(later, &record, at("2026-11-27T10:00:00Z")).1, ["tell ann: Well?"], "and back");
    // Somebody with other hours answers instead: asked at once, reminded in time of their own.
    flow.people.away = vec![away("ann", Some("eve"))];
    flow.people.hours.insert("eve".to_owned(), (hours(9, 17, &[Friday]), TimeZone::UTC));
    let (later, told) = flow.run(asked, &record, at("2026-11-26T10:00:00Z"));
    assert_eq!(told, ["tell eve: Well?", "pass decision to eve bob"]);
    let question = asking(&later);
    assert_eq!(question.reminds.keys().collect::<Vec<_>>(), ["bob", "eve"]);
    assert_eq!(question.reminds["eve"], at("2026-12-04T09:00:00Z"), "asked on a Thursday: Friday, and a week later");
}

#[test]
fn a_question_from_before_is_reminded_of_as_it_was_to_be() {
    let flow = flow("");
    let record = flow.record(&[]);
    let mut asked = flow.run(flow.begin(), &record, at("2026-11-25T10:00:00Z")).0;
    if let Doing::Asking(asking) = &mut asked.doing {
        asking.reminds.clear();
        asking.remind = Some(at("2026-11-26T08:00:00Z"));
    }
    let text = serde_json::to_string(&asked).unwrap();
    let asked: State = serde_json::from_str(&text).unwrap();
    let (later, told) = flow.run(asked, &record, at("2026-11-26T08:00:00Z"));
    assert_eq!(told, ["tell ann bob: Well?"]);
    assert_eq!(asking(&later).reminds["ann"], at("2026-11-27T09:00:00Z"));
}
