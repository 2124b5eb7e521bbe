//! The fault drill: each thing is broken in turn. Which alert came, when, with which text, and that it was over.

use std::sync::atomic::Ordering::Relaxed;

use jiff::SignedDuration;
use record::{Key, Value};
use store::queue::{Message, Op as Queue};
use store::{OpResult, approvals, dead_letters, flows, outages, unheard};

use crate::world::World;

#[test]
fn a_warning_waits_until_morning_and_so_does_its_end() {
    let world = World::new("2026-11-27T02:00:00Z");
    let rename = |no: &str, name: &str| {
        world.sql("finance.db", &format!("UPDATE customers SET name = '{name}' WHERE no = '{no}'"));
    };
    // What happens at the beginning of each time, which is otherwise quiet.
    let fri_night = || rename("C-3", "far too long a name");
    let fri_evening = || rename("C-3", "short");
    // What nobody was told of, nobody is told the end of.
    let sat_night = || rename("C-7", "far too long a name");
    let sat_morning = || rename("C-7", "short");
    // What is critical does not wait.
    let sun_night = || world.faults.disk_low.store(true, Relaxed);
    let sun_later = || world.faults.disk_low.store(false, Relaxed);
    let times: [(&str, &str, &dyn Fn()); 8] = [
        ("2026-11-27T02:00:00Z", "2026-11-27T02:20:00Z", &fri_night),
        ("2026-11-27T08:55:00Z", "2026-11-27T09:05:00Z", &|| {}),
        ("2026-11-27T21:00:00Z", "2026-11-27T21:20:00Z", &fri_evening),
        ("2026-11-28T02:00:00Z", "2026-11-28T02:20:00Z", &sat_night),
        ("2026-11-28T10:00:00Z", "2026-11-28T10:20:00Z", &sat_morning),
        ("2026-11-29T03:00:00Z", "2026-11-29T03:05:00Z", &sun_night),
        ("2026-11-29T03:06:00Z", "2026-11-29T03:20:00Z", &sun_later),
        ("2026-11-30T08:55:00Z", "2026-11-30T09:05:00Z", &|| {}),
    ];
    for (from, until, begin) in times {
        world.set(from);
        begin();
        world.work(until, |_, _| {});
    }
    let told: Vec<String> = world.told_with_days().into_iter().filter(|line| line.contains("email")).collect();
    let expected = [
        "Fri 09:00 finance-it/email [warning] contoso: customers: 1 dead letter waits",
        "Sun 03:00 finance-it/email [critical] contoso: the disk of the state folder has 90 MB left",
        "Sun 03:11 finance-it/email [over] contoso: the disk of the state folder has 90 MB left",
        "Mon 09:00 finance-it/email [over] contoso: customers: 1 dead letter waits",
    ];
    assert_eq!(told, expected);
}

#[test]
fn bad_rows_are_one_notice_however_many_and_nobody_looking_is_another() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-25T12:00:00Z", |world, at| match at {
        "10:10" => {
            world.sql("finance.db", "UPDATE customers SET name = 'far too long a name' WHERE no IN ('C-3', 'C-7')")
        }
        "10:40" if world.told().len() == 1 => {
            world.sql("finance.db", "UPDATE customers SET name = 'another long name' WHERE no = 'C-9'");
        }
        "11:00" if world.told().len() == 2 => world.sql("finance.db", "UPDATE customers SET name = 'short'"),
        _ => {}
    });
    let expected = [
        "10:17 finance-it/email [warning] contoso: customers: 2 dead letters wait",
        "10:15 finance-it/email [warning] contoso: nobody has looked at the dead letters of customers",
        "11:00 finance-it/email [over] contoso: nobody has looked at the dead letters of customers",
        "11:01 finance-it/email [over] contoso: customers: 3 dead letters wait",
    ];
    assert_eq!(world.told(), expected, "on the first day, and on the second");
    let mail = world.mail("finance-it/email", "dead letters wait");
    assert!(mail.contains("IB04") && mail.contains("ironbridge dead-letters list customers"), "{mail}");
    let waiting = world.store.dead_letters(&dead_letters::Filter::default(), 10).unwrap();
    assert!(waiting.iter().all(|letter| !letter.state.is_waiting()), "{waiting:?}");
}

#[test]
fn a_run_that_did_not_happen() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T13:00:00Z", |world, at| match at {
        "10:10" => world.faults.scheduler_stopped.store(true, Relaxed),
        "12:40" => world.faults.scheduler_stopped.store(false, Relaxed),
        _ => {}
    });
    // It becomes late of it, and who gave a time is told that too.
    let expected = [
        "10:20 finance-it/email [warning] contoso: customers did not run",
        "12:15 finance-it/email [critical] contoso: customers is late",
        "12:40 finance-it/email [over] contoso: customers is late",
        "12:40 finance-it/email [over] contoso: customers did not run",
    ];
    assert_eq!(world.told(), expected);
    let mail = world.mail("finance-it/email", "did not run");
    assert!(mail.contains("A run was due at 10:15 GMT on Tue 24 Nov, and none has begun"), "{mail}");
    let mail = world.mail("finance-it/email", "customers is late");
    for part in [
        "Its result was needed by 12:15 GMT on Tue 24 Nov, and it is not there",
        "What it is for: Sales see a new customer within two hours.",
        "ironbridge runs customers",
        "ironbridge runbook customers, section \u{201c}The result is late\u{201d}",
    ] {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
}

#[test]
fn a_hub_that_was_down_does_what_was_missed_and_tells_nobody_that_it_was() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T10:20:00Z", |_, _| {});
    // An hour later it is started again; the first run begins a moment after the first look.
    world.set("2026-11-24T11:20:00Z");
    world.faults.scheduler_stopped.store(true, Relaxed);
    world.work("2026-11-24T11:40:00Z", |world, at| {
        if at == "11:21" {
            world.faults.scheduler_stopped.store(false, Relaxed);
        }
    });
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_slow_trickle_is_noticed_by_the_weeks_before() {
    let world = World::new("2026-10-20T11:00:00Z");
    let send = |count: usize| {
        let (topic, queue) = ("events/orders".to_owned(), "events/orders/subscriptions/crm".to_owned());
        let message = |n| Message {
            id: format!("{n}@{}", world.store.clock().now()),
            session: Some("C-1".into()),
            ..Message::default()
        };
        let messages = (0..count).map(|n| message(n).into()).collect();
        world.commit(Queue::Send { queue: topic, messages });
        let OpResult::Session(Some(session)) =
            world.commit(Queue::AcceptSession { queue: queue.clone(), session: None })
        else {
            panic!("it waits")
        };
        let receive = Queue::ReceiveInSession { queue: queue.clone(), session: session.token, max: count };
        let OpResult::Messages(messages) = world.commit(receive) else { panic!("they wait") };
        let tokens = messages.iter().map(|message| message.token).collect();
        world.commit(Queue::Complete { queue: queue.clone(), tokens });
        world.commit(Queue::ReleaseSession { queue, session: session.token });
    };
    for day in ["2026-10-27", "2026-11-03", "2026-11-10", "2026-11-17"] {
        world.set(&format!("{day}T11:10:00Z"));
        send(40);
    }
    world.set("2026-11-24T11:10:00Z");
    send(3);
    world.set("2026-11-24T11:50:00Z");
    world.faults.scheduler_stopped.store(true, Relaxed);
    world.work("2026-11-24T13:05:00Z", |_, _| {});
    let told: Vec<String> = world.told().into_iter().filter(|line| line.contains("erp-team")).collect();
    let expected = ["12:00 erp-team/email [warning] contoso: orders: less than usual goes through to crm"];
    assert_eq!(told, expected, "the hour after it is always quiet: that tells nothing");
    let mail = world.mail("erp-team/email", "less than usual");
    assert!(
        mail.contains(
            "In the hour from 11:00 GMT on Tue 24 Nov it was 3; in the same hour of other weeks it is about 40."
        ),
        "{mail}"
    );
}

#[test]
fn a_source_that_stops_at_a_weekend_is_told_on_monday() {
    let world = World::new("2026-11-22T02:50:00Z");
    for day in 22..31 {
        world.set(&format!("2026-11-{day}T02:58:00Z"));
        if day == 28 {
            world.sql("finance.db", "DELETE FROM prices WHERE product <> 'P-1'");
        }
        world.work(&format!("2026-11-{day}T03:03:00Z"), |_, _| {});
    }
    world.set("2026-11-30T08:58:00Z");
    world.faults.scheduler_stopped.store(true, Relaxed);
    world.work("2026-11-30T09:03:00Z", |_, _| {});
    let told: Vec<String> = world.told_with_days().into_iter().filter(|line| line.contains("prices read")).collect();
    assert_eq!(told, ["Mon 09:00 finance-it/email [warning] contoso: prices read 1 rows where 40 are usual"]);
}

#[test]
fn a_source_that_gives_nothing_is_noticed_by_the_runs_before() {
    let world = World::new("2026-11-18T02:50:00Z");
    for day in 18..25 {
        world.set(&format!("2026-11-{day}T02:58:00Z"));
        if day == 24 {
            world.sql("finance.db", "DELETE FROM prices WHERE product <> 'P-1'");
        }
        world.work(&format!("2026-11-{day}T03:03:00Z"), |_, _| {});
    }
    world.set("2026-11-24T08:58:00Z");
    world.faults.scheduler_stopped.store(true, Relaxed);
    world.work("2026-11-24T09:03:00Z", |_, _| {});
    let told: Vec<String> = world.told().into_iter().filter(|line| line.contains("prices read")).collect();
    assert_eq!(
        told,
        ["09:00 finance-it/email [warning] contoso: prices read 1 rows where 40 are usual"],
        "{:#?}",
        world.told()
    );
}

#[test]
fn a_disk_that_fills_and_what_ends_soon() {
    let world = World::new("2026-11-24T10:00:00Z");
    world.work("2026-11-24T10:30:00Z", |world, at| match at {
        "10:05" => world.faults.disk_low.store(true, Relaxed),
        "10:10" => world.faults.disk_low.store(false, Relaxed),
        _ => {}
    });
    let expected = [
        "10:05 finance-it/email [critical] contoso: the disk of the state folder has 90 MB left",
        "10:15 finance-it/email [over] contoso: the disk of the state folder has 90 MB left",
    ];
    assert_eq!(world.told(), expected);
    // A secret ends on 20 March, the hub's own certificate on 16 March, and the vendor's support on 1 August: a month, and
    // half a year before.
    let world = World::new("2027-03-15T12:00:00Z");
    world.work("2027-03-15T12:01:00Z", |_, _| {});
    let told = sorted(world.told());
    assert!(
        told.contains(
            &"12:00 finance-it/email [critical] contoso: finance: client_secret ends on 2027-03-20, in 5 days"
                .to_owned()
        ),
        "{told:#?}"
    );
    assert!(
        told.contains(
            &"12:00 finance-it/email [critical] contoso: the certificate of `up --tls-certificate` ends tomorrow"
                .to_owned()
        ),
        "{told:#?}"
    );
    assert!(told.contains(&"12:00 finance-it/email [warning] contoso: finance: the support of Contoso Ledger (sample) ends on 2027-08-01, in 139 days".to_owned()), "{told:#?}");
}

#[test]
fn webhooks_that_do_not_come_are_one_notice_until_one_comes() {
    let world = World::new("2026-11-24T10:00:00Z");
    let orders = || "orders".to_owned();
    let missed = |world: &World, changes: u64| {
        let since = world.store.clock().now().checked_sub(SignedDuration::from_mins(15)).unwrap();
        world.commit(unheard::Op::Missed { integration: orders(), changes, since });
    };
    let refused = |world: &World, calls: u64| world.commit(unheard::Op::Refused { integration: orders(), calls });
    let heard = |world: &World| world.commit(unheard::Op::Heard { integration: orders() });
    world.work("2026-11-24T13:00:00Z", |world, at| match at {
        // The hub was away.
        "10:05" => missed(world, 20),
        "10:10" => drop(heard(world)),
        // The step is gone.
        "10:30" | "10:45" | "11:00" => missed(world, 1),
        "11:10" => drop(heard(world)),
        // The key is another one.
        "11:30" => drop(refused(world, 2)),
        "11:31" | "11:32" | "11:33" | "11:50" => drop(refused(world, 100)),
        "12:10" => drop(heard(world)),
        _ => {}
    });
    let told: Vec<String> = world.told().into_iter().filter(|told| told.contains(" erp-team/")).collect();
    let expected = [
        "10:45 erp-team/email [warning] contoso: orders: no webhooks of finance come",
        "11:10 erp-team/email [over] contoso: orders: no webhooks of finance come",
        "11:40 erp-team/email [warning] contoso: orders: webhooks of finance are refused",
        "12:10 erp-team/email [over] contoso: orders: webhooks of finance are refused",
    ];
    assert_eq!(told, expected);
    let mail = world.mail("erp-team/email", "are refused");
    assert!(mail.contains("302 calls were refused since 11:30 GMT on Tue 24 Nov"), "{mail}");
    assert!(mail.contains("ironbridge runbook orders"), "{mail}");
}

#[test]
fn what_starts_a_flow_and_nobody_can_be_asked_about_is_told() {
    let world = World::new("2026-11-24T10:00:00Z");
    let (integration, system) = ("limits".to_owned(), "limits".to_owned());
    let end = outages::Op::End { integration: integration.clone(), system: system.clone() };
    let (code, what) = ("IB0603".to_owned(), "a column is gone".to_owned());
    let at = "finance".to_owned();
    let note = outages::Op::Note { integration, system, at, code, what, fix: String::new(), failures: 1 };
    world.work("2026-11-24T10:40:00Z", |world, at| match at {
        "10:05" => drop(world.commit(note.clone())),
        "10:25" => drop(world.commit(end.clone())),
        _ => {}
    });
    let told: Vec<String> = world.told().into_iter().filter(|told| told.contains(" erp-team/")).collect();
    let expected = [
        "10:15 erp-team/email [warning] contoso: limits: finance gives nothing for what starts it",
        "10:30 erp-team/email [over] contoso: limits: finance gives nothing for what starts it",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_way_that_takes_nothing_is_told_another_way() {
    let world = World::new("2026-11-24T03:30:00Z");
    world.work("2026-11-24T04:10:00Z", |world, at| match at {
        "03:35" => world.faults.mail_broken.store(true, Relaxed),
        "03:40" => world.faults.disk_low.store(true, Relaxed),
        "03:50" => world.faults.disk_low.store(false, Relaxed),
        _ => {}
    });
    let told = world.told();
    let expected = [
        "03:40 on-call/pagerduty [critical] contoso: the disk of the state folder has 90 MB left",
        "03:45 on-call/pagerduty [critical] contoso: notices to finance-it/email do not get through",
        "03:55 on-call/pagerduty [over] contoso: the disk of the state folder has 90 MB left",
    ];
    assert_eq!(told, expected);
    let letters = world.store.dead_letters(&dead_letters::Filter::default(), 10).unwrap();
    assert_eq!(letters.len(), 2, "what was not told is kept: {letters:#?}");
    let alerts = world.store.open_alerts().unwrap();
    assert_eq!(alerts[0].key, "notifier-failing/finance-it/email");
    assert_eq!(world.opened_and_over(), (2, 1));
}

#[test]
fn flows_that_cannot_go_on_and_questions_that_nobody_can_answer() {
    let world = World::new("2026-11-24T10:00:00Z");
    let start = |n: usize| {
        let start = flows::Start {
            integration: "limits".into(),
            version: 1,
            entity: "customer".into(),
            key: Key::of(&[Value::Text(format!("C-{n}"))]).unwrap(),
            cause: format!("created C-{n}"),
            state_of: None,
            heard: true,
            ceiling: 3,
            since: jiff::Timestamp::UNIX_EPOCH,
            at: Some("steps.0".into()),
            data: "{}".into(),
            steps: Vec::new(),
        };
        let OpResult::Instance(Some(id)) = world.commit(flows::Op::Start(Box::new(start))) else { panic!("it is new") };
        world.store.flow_instance(id).unwrap().unwrap()
    };
    let fails = |instance: flows::Instance, state: flows::State| {
        let problem = r#"{"code":"IB0502","what":"the secret has expired","do":"make a new one"}"#.to_owned();
        let to = flows::Move { state, problem: Some(problem), ..flows::Move::of(&instance) };
        world.commit(flows::Op::Move(Box::new(to)));
    };
    world.work("2026-11-24T11:20:00Z", |world, at| match at {
        // Nobody hears of a step that fails for a while, and once of those that are stuck.
        "10:05" => fails(start(1), flows::State::Running),
        "10:10" => fails(start(2), flows::State::Failed),
        "10:20" => fails(start(3), flows::State::Failed),
        "10:30" => {
            let states = vec![flows::State::Failed];
            for instance in world.store.flow_instances(&flows::Filter { states, ..Default::default() }, 9).unwrap() {
                world.commit(flows::Op::Move(Box::new(flows::Move {
                    state: flows::State::Running,
                    ..flows::Move::of(&instance)
                })));
            }
        }
        "10:40" => drop(start(4)),
        "10:50" => drop(world.commit(flows::Op::Release { integration: "limits".into(), max: 9 })),
        "11:00" => {
            let question = approvals::Question {
                integration: "limits".into(),
                kind: approvals::Kind::Flow,
                subject: "1/decision".into(),
                question: "Raise the limit of Name 1?".into(),
                digest: "a".into(),
                details: "{}".into(),
                proofs: Vec::new(),
                asked_of: "somebody-who-left".into(),
                expires: None,
            };
            world.commit(approvals::Op::Ask(Box::new(question)));
        }
        "11:10" => {
            let (integration, subject) = ("limits".into(), "1/decision".into());
            world.commit(approvals::Op::Withdraw { integration, kind: approvals::Kind::Flow, subject });
        }
        _ => {}
    });
    let told: Vec<String> = world.told().into_iter().filter(|line| line.contains("erp-team")).collect();
    let expected = [
        "10:10 erp-team/email [warning] contoso: limits: an instance cannot go on",
        "10:30 erp-team/email [over] contoso: limits: 2 instances cannot go on",
        "10:40 erp-team/email [critical] contoso: limits has started 3 times in a day, and its ceiling is 5",
        "11:00 erp-team/email [warning] contoso: limits: question 1 waits for an answer that nobody can give",
        "11:10 erp-team/email [over] contoso: limits: question 1 waits for an answer that nobody can give",
    ];
    assert_eq!(told, expected, "four of five is near the ceiling still");
    let mail = world.mail("erp-team/email", "an instance cannot go on");
    for part in
        ["IB0502: the secret has expired", "make a new one", "ironbridge flow show 2", "A new customer gets a limit."]
    {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
    let mail = world.mail("erp-team/email", "nobody can give");
    assert!(mail.contains("is not in people.yaml, or is a group without members"), "{mail}");
}

pub fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}

/// The clock was an hour ahead, and is put right: what waits still waits, and nobody hears that it is over.
#[test]
fn a_clock_that_is_put_back_ends_no_alert() {
    let world = World::new("2026-11-24T10:00:00Z");
    let all_day = |world: &World, at: &str| {
        if at == "10:10" {
            world.sql("finance.db", "UPDATE customers SET name = 'far too long a name' WHERE no = 'C-3'");
        }
    };
    world.work("2026-11-24T10:30:00Z", all_day);
    let expected = ["10:17 finance-it/email [warning] contoso: customers: 1 dead letter waits"];
    assert_eq!(world.told(), expected);
    world.set("2026-11-24T09:20:00Z");
    world.work("2026-11-24T10:40:00Z", |_, _| {});
    assert_eq!(world.told(), expected);
}
