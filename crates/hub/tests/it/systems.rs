//! The fault drill: systems that do not answer, or take nothing, and what they hold up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hub::operations::{Facts, Kind, Known, Rules, conditions};
use store::queue::{Message, Op as Queue};
use store::{OpResult, outages};

use crate::drill::sorted;
use crate::world::World;

/// A night in November, by the clocks of London.
const NIGHT: &str = "2026-11-24T02:30:00Z";

#[test]
fn the_source_is_down_from_three_to_half_past_four_and_nobody_is_paged() {
    let world = World::new(NIGHT);
    world.work("2026-11-24T06:30:00Z", |world, at| match at {
        "03:00" => world.faults.finance_down.store(true, Relaxed),
        "04:30" => world.faults.finance_down.store(false, Relaxed),
        "05:59" => {
            let runs = world.store.runs(Some("prices"), None, 100).unwrap();
            assert!(runs.iter().any(|run| run.error.is_some()), "it did fail");
            assert!(runs[0].state.is_good(), "{:?}", runs[0]);
            assert_eq!((world.count("crm.db", "prices"), world.count("crm.db", "customers")), (40, 40));
        }
        _ => {}
    });
    assert_eq!(world.told(), [""; 0], "nobody was told of anything");
    // It was seen all the same, and would have been told when work begins.
    let past = world.store.past_alerts(10).unwrap();
    let seen: Vec<&str> = past.iter().map(|alert| alert.key.as_str()).collect();
    assert_eq!(seen, ["system-down/finance"]);
}

#[test]
fn the_source_stays_down_and_each_is_told_once() {
    let world = World::new(NIGHT);
    world.work("2026-11-24T10:00:00Z", |world, at| match at {
        "03:00" => world.faults.finance_down.store(true, Relaxed),
        "09:30" => world.faults.finance_down.store(false, Relaxed),
        _ => {}
    });
    // Customers are late at five; at six the prices are, too, and it is the same system that holds them up. Orders only
    // wait: whoever answers for them hears of that when they work, once, and of the same matter.
    let expected = [
        "05:00 finance-it/email [critical] contoso: finance does not answer, and holds up customers",
        "05:00 on-call/pagerduty [critical] contoso: finance does not answer, and holds up customers",
        "09:00 erp-team/email [warning] contoso: finance does not answer, and holds up 2 integrations",
        "09:35 erp-team/email [over] contoso: finance does not answer, and holds up 2 integrations",
        "09:35 finance-it/email [over] contoso: finance does not answer, and holds up 2 integrations",
        "09:35 on-call/pagerduty [over] contoso: finance does not answer, and holds up 2 integrations",
    ];
    assert_eq!(sorted(world.told()), expected);
    let mail = world.mail("erp-team/email", "finance does not answer");
    for part in [
        "Nothing is late yet of what else needs finance, and it waits too. limits: A new customer gets a limit.",
        "of yours      limits, orders",
        "held up       customers, prices",
        "waits for it  limits, orders",
        "runbook       ironbridge runbook limits, section \u{201c}A system does not answer\u{201d}",
        "ironbridge systems check finance",
    ] {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
    let mail = world.mail("finance-it/email", "finance does not answer");
    for part in [
        "What does not happen meanwhile: customers: Sales see a new customer within two hours.",
        "of yours      customers, prices",
        "since         03:00 GMT on Tue 24 Nov",
        "IB0601: the finance server cannot be reached (connection refused)",
        "last answer   02:55 GMT on Tue 24 Nov",
        "ironbridge systems check finance",
    ] {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
}

#[test]
fn a_system_is_down_and_nothing_has_to_go_there() {
    let world = World::new("2026-11-24T09:50:00Z");
    // Nothing runs at all: nobody would find out but by asking.
    world.faults.scheduler_stopped.store(true, Relaxed);
    world.commit(pause("customers"));
    world.commit(pause("prices"));
    world.work("2026-11-24T11:00:00Z", |world, at| match at {
        "10:00" => world.faults.crm_down.store(true, Relaxed),
        "10:07" => assert_eq!(silent(world), ["crm"], "who looks sees it at once"),
        "10:40" => world.faults.crm_down.store(false, Relaxed),
        _ => {}
    });
    let expected = [
        "10:10 erp-team/email [warning] contoso: crm does not answer",
        "10:10 finance-it/email [warning] contoso: crm does not answer",
        "10:45 erp-team/email [over] contoso: crm does not answer",
        "10:45 finance-it/email [over] contoso: crm does not answer",
    ];
    assert_eq!(sorted(world.told()), expected);
    assert_eq!(silent(&world), [""; 0]);
    let mail = world.mail("erp-team/email", "crm does not answer");
    for part in [
        "Nothing is late because of it yet, and nothing is lost.",
        "orders: Orders reach the warehouse.",
        "IB0501: the crm server cannot be reached (connection refused)",
        "last answer   09:55 GMT on Tue 24 Nov",
    ] {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
    // What a person has paused is not asked: it is meant to be away.
    let world = World::new("2026-11-24T09:50:00Z");
    ["customers", "prices", "orders", "limits"].into_iter().for_each(|name| drop(world.commit(pause(name))));
    world.faults.crm_down.store(true, Relaxed);
    world.work("2026-11-24T10:30:00Z", |_, _| {});
    assert_eq!((world.told(), world.store.looks().unwrap().len()), (Vec::new(), 0));
}

fn pause(integration: &str) -> store::pauses::Op {
    let (by, note) = ("(sample) controller".to_owned(), "the year is closed".to_owned());
    store::pauses::Op::Set { integration: integration.to_owned(), by, note, until: None }
}

fn silent(world: &World) -> Vec<String> {
    let looks = hub::looks::silent_ones(&world.project, &world.store).unwrap();
    looks.into_iter().map(|look| look.system).collect()
}

#[test]
fn a_run_that_tries_again_for_long_has_its_systems_asked() {
    let world = World::new("2026-11-24T10:01:00Z");
    world.work("2026-11-24T10:04:00Z", |world, at| match at {
        "10:02" => {
            world.faults.crm_down.store(true, Relaxed);
            let integration = "customers".to_owned();
            let (trigger, slot) = (store::runs::Trigger::Schedule, None);
            world.commit(store::runs::Op::Start { integration, trigger, slot, retry_of: None });
        }
        // They were asked at 10:01, and are every five minutes.
        "10:04" => assert_eq!(silent(world), ["crm"]),
        _ => {}
    });
}

#[test]
fn the_destination_is_down_for_a_batch_and_for_events() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T14:00:00Z", |world, at| match at {
        "10:20" => world.faults.crm_down.store(true, Relaxed),
        "10:21" => {
            let note = |what: &str| outages::Op::Note {
                integration: "orders".into(),
                system: "crm".into(),
                at: "crm".into(),
                code: "IB0501".into(),
                what: what.into(),
                fix: "nothing: it is tried again".into(),
                failures: 3,
            };
            world.commit(note("the crm server cannot be reached"));
            let message =
                Message { id: "1".into(), session: Some("C-1".into()), body: b"{}".to_vec(), ..Message::default() };
            world.commit(Queue::Send { queue: "events/orders".into(), messages: vec![message.into()] });
        }
        "13:00" => {
            world.faults.crm_down.store(false, Relaxed);
            world.commit(outages::Op::End { integration: "orders".into(), system: "crm".into() });
            let queue = "events/orders/subscriptions/crm".to_owned();
            let OpResult::Count(1) = world.commit(Queue::Purge { queue, max: 10 }) else { panic!("one waited") };
        }
        _ => {}
    });
    let expected = [
        "10:30 erp-team/email [warning] contoso: crm does not answer",
        "10:30 finance-it/email [warning] contoso: crm does not answer",
        // Customers are late too, and that is the same matter.
        "12:30 erp-team/email [critical] contoso: crm does not answer, and holds up 2 integrations",
        "12:30 finance-it/email [critical] contoso: crm does not answer, and holds up 2 integrations",
        "13:05 erp-team/email [over] contoso: crm does not answer, and holds up 2 integrations",
        "13:05 finance-it/email [over] contoso: crm does not answer, and holds up 2 integrations",
    ];
    assert_eq!(sorted(world.told()), expected, "the backlog behind it is silent");
    let mail = world.mail("erp-team/email", "holds up 2 integrations");
    assert!(mail.contains("Orders reach the warehouse.") && mail.contains("Sales see a new customer"), "{mail}");
}

#[test]
fn a_destination_that_answers_and_takes_nothing() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T11:00:00Z", |world, at| match at {
        "10:20" => {
            let note = outages::Op::Note {
                integration: "orders".into(),
                system: "crm".into(),
                at: "crm".into(),
                code: "IB0501".into(),
                what: "the table is locked".into(),
                fix: "nothing: it is tried again".into(),
                failures: 3,
            };
            world.commit(note);
        }
        "10:40" => drop(world.commit(outages::Op::End { integration: "orders".into(), system: "crm".into() })),
        _ => {}
    });
    let expected = [
        "10:30 erp-team/email [warning] contoso: orders: crm takes nothing",
        "10:30 finance-it/email [warning] contoso: orders: crm takes nothing",
        "10:45 erp-team/email [over] contoso: orders: crm takes nothing",
        "10:45 finance-it/email [over] contoso: orders: crm takes nothing",
    ];
    assert_eq!(sorted(world.told()), expected);
    let mail = world.mail("erp-team/email", "crm takes nothing");
    assert!(mail.contains("Events wait, none is lost") && mail.contains("Orders reach the warehouse."), "{mail}");
}

#[test]
fn an_expired_secret_is_told_before_it_is_late() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T11:10:00Z", |world, at| match at {
        "10:14" => world.faults.secret_expired.store(true, Relaxed),
        "11:00" => world.faults.secret_expired.store(false, Relaxed),
        _ => {}
    });
    let expected = [
        "10:16 erp-team/email [warning] contoso: crm needs a person: the secret has expired",
        "10:16 finance-it/email [warning] contoso: crm needs a person: the secret has expired",
        "11:05 erp-team/email [over] contoso: crm needs a person: the secret has expired",
        "11:05 finance-it/email [over] contoso: crm needs a person: the secret has expired",
    ];
    assert_eq!(sorted(world.told()), expected);
    let mail = world.mail("finance-it/email", "needs a person");
    assert!(mail.contains("make a new one") && mail.contains("ironbridge explain IB0502"), "{mail}");
}

#[test]
fn a_system_that_is_back_and_refuses_us_is_another_matter() {
    let world = World::new("2026-11-24T09:50:00Z");
    world.work("2026-11-24T11:30:00Z", |world, at| match at {
        "10:00" => world.faults.crm_down.store(true, Relaxed),
        "10:30" => {
            world.faults.crm_down.store(false, Relaxed);
            world.faults.secret_expired.store(true, Relaxed);
        }
        "11:00" => world.faults.secret_expired.store(false, Relaxed),
        _ => {}
    });
    let told: Vec<String> = world.told().into_iter().filter(|told| told.contains("finance-it/email")).collect();
    let told: Vec<&str> = told.iter().filter_map(|told| told.split_once("contoso: ")).map(|(_, what)| what).collect();
    let (down, refused) = ("crm does not answer", "crm needs a person: the secret has expired");
    assert_eq!(told.iter().filter(|what| what.starts_with(down)).count(), 2, "begun and over: {told:?}");
    assert_eq!(told.iter().filter(|what| **what == refused).count(), 2, "begun and over: {told:?}");
}

#[test]
fn a_run_of_every_few_seconds_that_needs_a_person_is_told_too() {
    let world = World::new("2026-11-24T10:00:00Z");
    let mut project = (*world.project).clone();
    let customers = project.integrations.iter_mut().find(|integration| integration.name == "customers").unwrap();
    let definition::Pattern::Batch(batch) = &mut customers.pattern else { panic!("customers are a batch") };
    batch.schedule = definition::Schedule::Every(std::time::Duration::from_secs(10));
    let at = |seconds: i64| jiff::Timestamp::from_second(1_795_000_000 + seconds).unwrap();
    // Each run fails, and the last of them two seconds ago.
    let told = |good: Option<i64>, now: i64| {
        let error = store::runs::RunError {
            code: "IB0703".into(),
            text: "the mapping does not fit".into(),
            detail: r#"{"now": "ask_person"}"#.into(),
        };
        let ended = store::runs::Run {
            id: store::runs::RunId(7),
            integration: "customers".into(),
            trigger: store::runs::Trigger::Schedule,
            slot: None,
            retry_of: None,
            state: store::runs::State::Failed,
            started: at(now - 2),
            finished: Some(at(now - 2)),
            counts: store::runs::Counts::default(),
            error: Some(error),
        };
        let known = Known {
            name: "customers".into(),
            last: Some(ended.clone()),
            ended: Some(ended),
            good: good.map(at),
            ..Known::default()
        };
        let facts = Facts {
            now: at(now),
            started: at(0),
            integrations: vec![known],
            approvals: Arc::default(),
            silent: Vec::new(),
            expiring: Vec::new(),
            disk: None,
            routes: Vec::new(),
        };
        let all = conditions(&project, &facts, &Rules::default(), &BTreeSet::new());
        all.iter().any(|condition| condition.kind == Kind::NeedsPerson)
    };
    assert!(!told(None, 39) && told(None, 40));
    assert!(!told(Some(60), 90) && told(Some(60), 100));
}
