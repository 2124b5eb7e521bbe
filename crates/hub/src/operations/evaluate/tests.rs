use store::alerts::Saying;

use super::*;
use proptest::prelude::*;

/// The store, as far as evaluation sees it, and every notice that was sent.
#[derive(Default)]
struct Hub {
    standing: Vec<Standing>,
    sent: Vec<(Timestamp, Tell)>,
    next: i64,
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + minute * 60).unwrap()
}

fn condition(key: &str, severity: Severity, since: Timestamp) -> Condition {
    let kind = key.split('/').next().and_then(Kind::of).unwrap();
    Condition {
        key: key.to_owned(),
        kind,
        integration: key.split('/').nth(1).unwrap_or_default().to_owned(),
        system: String::new(),
        saying: Saying {
            severity,
            title: key.to_owned(),
            text: String::new(),
            facts: Vec::new(),
            command: String::new(),
            since,
        },
        cause: None,
    }
}

fn email(who: &str) -> Route {
    Route { who: who.to_owned(), way: Way::Email }
}

impl Hub {
    /// What the store does with changes.
    fn look(
        &mut self,
        conditions: &[Condition],
        silences: &[Silence],
        wanted: &dyn Fn(&Opening) -> Vec<(Route, Severity)>,
        now: Timestamp,
    ) {
        for change in evaluate(conditions, &self.standing, silences, wanted, now) {
            match change {
                Change::Write(Op::Open(opening)) => {
                    self.next += 1;
                    assert!(
                        self.standing.iter().all(|(alert, _)| alert.key != opening.key),
                        "open twice: {}",
                        opening.key
                    );
                    let opening = *opening;
                    let alert = Alert {
                        id: store::alerts::AlertId(self.next),
                        key: opening.key,
                        kind: opening.kind,
                        integration: opening.integration,
                        system: opening.system,
                        saying: opening.saying,
                        opened: now,
                        gone: None,
                        resolved: None,
                        cause: opening.cause,
                        quiet_until: None,
                        acked: None,
                        acked_by: None,
                        note: None,
                    };
                    self.standing.push((alert, Vec::new()));
                }
                Change::Write(Op::Update { key, saying }) => self.of(&key).0.saying = *saying,
                Change::Write(Op::Cause { key, cause, quiet_until }) => {
                    let alert = &mut self.of(&key).0;
                    (alert.cause, alert.quiet_until) = (cause, quiet_until);
                }
                Change::Write(Op::Gone { key, gone }) => self.of(&key).0.gone = gone.then_some(now),
                Change::Tell(tell) => {
                    for key in &tell.keys {
                        let id = self.of(key).0.id;
                        let notice = Notified {
                            alert: id,
                            route: tell.route.name(),
                            kind: tell.kind,
                            severity: tell.severity,
                            about: tell.about.clone(),
                            queued: now,
                            delivered: None,
                            failed: None,
                            error: None,
                        };
                        self.of(key).1.push(notice);
                    }
                    self.sent.push((now, tell));
                }
                Change::Write(Op::Resolve { key }) => self.standing.retain(|(alert, _)| alert.key != key),
                Change::Write(other) => panic!("nobody looks for {other:?}"),
            }
        }
    }

    fn of(&mut self, key: &str) -> &mut Standing {
        self.standing.iter_mut().find(|(alert, _)| alert.key == key).unwrap_or_else(|| panic!("{key} is not open"))
    }

    fn count(&self, key: &str, kind: NoticeKind) -> usize {
        self.sent.iter().filter(|(_, tell)| tell.kind == kind && tell.keys.iter().any(|other| other == key)).count()
    }
}

fn always(opening: &Opening) -> Vec<(Route, Severity)> {
    vec![(email("it"), opening.saying.severity)]
}

#[test]
fn a_thousand_failures_are_one_notice_and_so_is_their_end() {
    let mut hub = Hub::default();
    for minute in 0..1_000 {
        let mut dead = condition("dead-letters/orders", Severity::Warning, at(0));
        dead.saying.title = format!("{} dead letters wait", minute + 1);
        hub.look(&[dead], &[], &always, at(minute));
    }
    assert_eq!(hub.sent.len(), 1);
    assert_eq!(hub.standing[0].0.saying.title, "1000 dead letters wait");
    for minute in 1_000..1_005 {
        hub.look(&[], &[], &always, at(minute));
    }
    let kinds: Vec<NoticeKind> = hub.sent.iter().map(|(_, tell)| tell.kind).collect();
    assert_eq!(kinds, [NoticeKind::Opened, NoticeKind::Resolved]);
}

#[test]
fn what_comes_and_goes_is_one_matter() {
    let mut hub = Hub::default();
    let flapping = condition("destination-paused/orders/erp", Severity::Warning, at(0));
    for minute in 0..60 {
        let on = minute % 3 == 0;
        hub.look(if on { std::slice::from_ref(&flapping) } else { &[] }, &[], &always, at(minute));
    }
    assert_eq!(hub.sent.len(), 1, "it was never away for five minutes: {:?}", hub.sent);
    for minute in 60..70 {
        hub.look(&[], &[], &always, at(minute));
    }
    assert_eq!(hub.count("destination-paused/orders/erp", NoticeKind::Resolved), 1);
}

#[test]
fn what_follows_from_something_else_is_silent() {
    let mut hub = Hub::default();
    let root = condition("destination-paused/orders/erp", Severity::Warning, at(0));
    let mut follows = condition("backlog/orders/erp", Severity::Warning, at(0));
    follows.cause = Some(root.key.clone());
    for minute in 0..10 {
        hub.look(&[root.clone(), follows.clone()], &[], &always, at(minute));
    }
    assert_eq!(hub.sent.iter().map(|(_, tell)| tell.keys[0].as_str()).collect::<Vec<_>>(), [root.key.as_str()]);
    // The destination is back, and what waited is on its way: nobody hears of it, unless that takes too long.
    for minute in 10..25 {
        hub.look(std::slice::from_ref(&follows), &[], &always, at(minute));
    }
    assert_eq!(hub.count(&follows.key, NoticeKind::Opened), 0);
    for minute in 25..40 {
        hub.look(std::slice::from_ref(&follows), &[], &always, at(minute));
    }
    assert_eq!(hub.count(&follows.key, NoticeKind::Opened), 1);
}

#[test]
fn many_at_once_are_one_notice_and_one_end() {
    let mut hub = Hub::default();
    let all: Vec<Condition> =
        (0..50).map(|n| condition(&format!("late/thing-{n:02}"), Severity::Critical, at(0))).collect();
    hub.look(&all, &[], &always, at(0));
    assert_eq!((hub.sent.len(), hub.sent[0].1.keys.len()), (1, 50));
    hub.look(&all[..10], &[], &always, at(1));
    assert_eq!(hub.sent.len(), 1, "ten are late still");
    hub.look(&[], &[], &always, at(2));
    assert_eq!((hub.sent.len(), hub.sent[1].1.kind), (2, NoticeKind::Resolved));
}

#[test]
fn silence_ends_and_a_change_of_hour_or_severity_is_told() {
    let mut hub = Hub::default();
    let late = condition("late/prices", Severity::Warning, at(0));
    let silence =
        Silence { id: 1, subject: "prices".into(), by: "it".into(), note: String::new(), since: at(0), until: at(10) };
    for minute in 0..10 {
        hub.look(std::slice::from_ref(&late), std::slice::from_ref(&silence), &always, at(minute));
    }
    assert_eq!(hub.sent, []);
    hub.look(std::slice::from_ref(&late), &[], &always, at(11));
    assert_eq!(hub.count("late/prices", NoticeKind::Opened), 1, "it is late still");
    // At night somebody else is there as well.
    let to =
        |names: &[&str], o: &Opening| names.iter().map(|name| (email(name), o.saying.severity)).collect::<Vec<_>>();
    let night = |o: &Opening| to(&["it", "on-call"], o);
    hub.look(std::slice::from_ref(&late), &[], &night, at(12));
    assert_eq!(hub.count("late/prices", NoticeKind::Opened), 2);
    let worse = condition("late/prices", Severity::Critical, at(0));
    hub.look(std::slice::from_ref(&worse), &[], &night, at(13));
    hub.look(std::slice::from_ref(&late), &[], &night, at(14));
    assert_eq!(hub.count("late/prices", NoticeKind::Opened), 4, "each is told once that it got worse");
    hub.of("late/prices").0.acked = Some(at(14));
    let more = |o: &Opening| to(&["it", "on-call", "boss"], o);
    hub.look(std::slice::from_ref(&worse), &[], &more, at(15));
    assert_eq!(hub.count("late/prices", NoticeKind::Opened), 4, "somebody looks at it");
    hub.look(&[], &[], &more, at(16));
    assert_eq!(hub.count("late/prices", NoticeKind::Resolved), 2, "each who was told");
}

#[test]
fn whoever_only_waits_is_told_once_though_it_gets_worse_for_others() {
    let mut hub = Hub::default();
    let wanted = |o: &Opening| vec![(email("late"), o.saying.severity), (email("waits"), Severity::Warning)];
    for (minute, severity) in [(0, Severity::Warning), (1, Severity::Critical)] {
        let down = condition("system-down/crm", severity, at(0));
        hub.look(&[down], &[], &wanted, at(minute));
    }
    let told = |hub: &Hub, who: &str, kind: NoticeKind| {
        let mine = hub.sent.iter().filter(|(_, tell)| tell.route.who == who && tell.kind == kind);
        mine.map(|(_, tell)| tell.severity).collect::<Vec<_>>()
    };
    assert_eq!(told(&hub, "late", NoticeKind::Opened), [Severity::Warning, Severity::Critical]);
    assert_eq!(told(&hub, "waits", NoticeKind::Opened), [Severity::Warning]);
    for minute in 2..9 {
        hub.look(&[], &[], &wanted, at(minute));
    }
    assert_eq!(told(&hub, "late", NoticeKind::Resolved).len(), 1);
    assert_eq!(told(&hub, "waits", NoticeKind::Resolved), [Severity::Warning], "and its end wakes nobody");
}

proptest! {
    /// Conditions that come and go as they like: each stretch of one (with its pauses that are shorter than its calm) is
    /// told once to everybody who listens, and its end once to the same.
    #[test]
    fn every_condition_ends_in_exactly_one_notice(
        timelines in proptest::collection::vec(proptest::collection::vec((1i64..40, 1i64..40), 0..8), 1..9),
        listeners in 1usize..4,
        critical in proptest::collection::vec(any::<bool>(), 9),
    ) {
        let kinds = [Kind::Late, Kind::NotRun, Kind::Paused, Kind::DeadLetters, Kind::Disk];
        let keys: Vec<String> = (0..timelines.len()).map(|n| format!("{}/thing-{n}", kinds[n % kinds.len()].word())).collect();
        let names: Vec<String> = (0..listeners).map(|n| format!("group-{n}")).collect();
        let wanted = |o: &Opening| names.iter().map(|name| (email(name), o.saying.severity)).collect::<Vec<_>>();
        // On and off by the minute, and quiet at the end.
        let on: Vec<Vec<bool>> = timelines.iter().map(|timeline| {
            timeline.iter().flat_map(|(on, off)| [vec![true; *on as usize], vec![false; *off as usize]].concat()).collect()
        }).collect();
        let end = on.iter().map(Vec::len).max().unwrap_or(0) as i64 + 20;
        let mut hub = Hub::default();
        for minute in 0..end {
            let holds = |n: &usize| on[*n].get(minute as usize).copied().unwrap_or(false);
            let conditions: Vec<Condition> = (0..keys.len()).filter(holds).map(|n| {
                condition(&keys[n], if critical[n] { Severity::Critical } else { Severity::Warning }, at(minute))
            }).collect();
            hub.look(&conditions, &[], &wanted, at(minute));
        }
        prop_assert!(hub.standing.is_empty(), "open at the end: {:?}", hub.standing);
        for (n, key) in keys.iter().enumerate() {
            let calm = (Kind::of(key.split('/').next().unwrap()).unwrap().calm().as_secs() / 60) as usize;
            // A stretch ends where it is off for longer than its calm.
            let (mut stretches, mut off) = (0, usize::MAX);
            for on in &on[n] {
                match on {
                    true => {
                        stretches += usize::from(off > calm);
                        off = 0;
                    }
                    false => off = off.saturating_add(1),
                }
            }
            for name in &names {
                let to = |kind: NoticeKind| hub.sent.iter()
                    .filter(|(_, tell)| tell.route.who == *name && tell.kind == kind && tell.keys.contains(key))
                    .count();
                prop_assert_eq!(to(NoticeKind::Opened), stretches, "{} of {}", key, name);
                prop_assert!(to(NoticeKind::Resolved) <= stretches);
            }
        }
        // Each notice that something began has one that it is over.
        for name in &names {
            let abouts = |kind: NoticeKind| {
                let mut all: Vec<&str> = hub.sent.iter().filter(|(_, tell)| tell.route.who == *name && tell.kind == kind)
                    .map(|(_, tell)| tell.about.as_str()).collect();
                all.sort_unstable();
                all
            };
            prop_assert_eq!(abouts(NoticeKind::Opened), abouts(NoticeKind::Resolved));
        }
    }

    /// Silences, hours at which nobody listens, and causes decide who hears of something, and when. Whoever heard that it
    /// began hears that it is over, once; whoever did not, does not.
    #[test]
    fn whoever_hears_that_it_began_hears_once_that_it_is_over(
        timelines in proptest::collection::vec(proptest::collection::vec((1i64..40, 1i64..40), 0..6), 1..7),
        follows in proptest::collection::vec(any::<bool>(), 7),
        quiet in proptest::collection::vec((0i64..200, 1i64..60), 0..4),
        away in proptest::collection::vec(proptest::collection::vec((1i64..60, 1i64..60), 1..6), 1..4),
        acked in proptest::collection::vec((0usize..7, 0i64..200), 0..3),
    ) {
        let kinds = [Kind::Paused, Kind::Backlog, Kind::Late, Kind::DeadLetters];
        let key = |n: usize| format!("{}/thing-{n}", kinds[n % kinds.len()].word());
        let spread = |stretches: &[(i64, i64)]| -> Vec<bool> {
            stretches.iter().flat_map(|(on, off)| [vec![true; *on as usize], vec![false; *off as usize]].concat()).collect()
        };
        let on: Vec<Vec<bool>> = timelines.iter().map(|timeline| spread(timeline)).collect();
        let listens: Vec<Vec<bool>> = away.iter().map(|hours| spread(hours)).collect();
        let end = on.iter().map(Vec::len).max().unwrap_or(0) as i64 + 40;
        let mut hub = Hub::default();
        for minute in 0..end {
            let holds = |n: &usize| on[*n].get(minute as usize).copied().unwrap_or(false);
            let conditions: Vec<Condition> = (0..on.len()).filter(holds).map(|n| {
                let cause = (n > 0 && follows[n]).then(|| key(n - 1));
                Condition { cause, ..condition(&key(n), Severity::Warning, at(minute)) }
            }).collect();
            let silences: Vec<Silence> = quiet.iter().enumerate().map(|(n, (from, length))| Silence {
                id: n as i64, subject: format!("thing-{n}"), by: String::new(), note: String::new(),
                since: at(*from), until: at(from + length),
            }).filter(|silence| silence.since <= at(minute)).collect();
            let there = |n: &usize| listens[*n].get(minute as usize).copied().unwrap_or(true);
            let told = |n| (email(&format!("group-{n}")), Severity::Warning);
            let wanted = |_: &Opening| (0..listens.len()).filter(there).map(told).collect();
            for (n, when) in &acked {
                if *when == minute && let Some(standing) = hub.standing.iter_mut().find(|(alert, _)| alert.key == key(*n)) {
                    standing.0.acked = Some(at(minute));
                }
            }
            hub.look(&conditions, &silences, &wanted, at(minute));
        }
        prop_assert!(hub.standing.is_empty(), "open at the end: {:?}", hub.standing);
        for n in 0..listens.len() {
            let name = format!("group-{n}");
            let told = |kind: NoticeKind| {
                let mine = hub.sent.iter().filter(|(_, tell)| tell.route.who == name && tell.kind == kind);
                let mut all: Vec<&str> = mine.map(|(_, tell)| tell.about.as_str()).collect();
                all.sort_unstable();
                all
            };
            prop_assert_eq!(told(NoticeKind::Opened), told(NoticeKind::Resolved));
            let mut once = told(NoticeKind::Opened);
            once.dedup();
            prop_assert_eq!(once, told(NoticeKind::Opened), "told twice that it began");
        }
    }
}
