//! Once a week, what waits as dead letters, and who has not looked: for those who answer for it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use definition::{Calendar, Project, Way};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use record::{Notice, NoticeKind, Severity};

use super::conditions::moment;
use super::routes::{Route, routes_of};
use crate::calendar;
use crate::upkeep::Overdue;

/// Whether somebody works now, and it is the first day of the week on which somebody does.
pub(crate) fn is_due(now: Timestamp, calendar: &Calendar, zone: &TimeZone) -> bool {
    let today = now.to_zoned(zone.clone());
    let before = (1..=i32::from(today.weekday().to_monday_zero_offset()))
        .filter_map(|days| today.checked_sub(days.days()).ok())
        .any(|earlier| calendar::is_working(earlier.timestamp(), calendar, zone));
    calendar::is_working(now, calendar, zone) && !before
}

/// What is told, and to whom: an owner hears of what is theirs, those of the hub's `alerts:` of everything.
///
/// *Shape*: nothing where no dead letter waits.
pub(crate) fn notices(
    project: &Project,
    waiting: &BTreeMap<String, u64>,
    eyes: &[Overdue],
    now: Timestamp,
) -> Vec<(Route, Notice)> {
    let mut hears: BTreeMap<Route, BTreeSet<&str>> = BTreeMap::new();
    for integration in project.integrations.iter().filter(|i| waiting.get(&i.name).is_some_and(|count| *count > 0)) {
        let hub = project.hub.alerts.iter().flat_map(|route| route.to.iter().map(String::as_str));
        for route in hub.chain([integration.owner.as_str()]).flat_map(|who| routes_of(project, who)) {
            if route.way != Way::PagerDuty {
                hears.entry(route).or_default().insert(&integration.name);
            }
        }
    }
    let told = hears.into_iter().map(|(route, names)| (route, notice(project, &names, waiting, eyes, now)));
    told.collect()
}

fn notice(
    project: &Project,
    names: &BTreeSet<&str>,
    waiting: &BTreeMap<String, u64>,
    eyes: &[Overdue],
    now: Timestamp,
) -> Notice {
    let zone = &project.hub.time_zone;
    let (mut all, mut unseen, mut facts) = (0, 0, Vec::new());
    for name in names {
        let count = waiting.get(*name).copied().unwrap_or(0);
        all += count;
        let looked = match eyes.iter().find(|eyes| eyes.integration == *name) {
            None => "all of them have been looked at".to_owned(),
            Some(eyes) => {
                unseen += eyes.letters;
                let (owner, letters) = (&eyes.owner, eyes.letters);
                match eyes.due <= now {
                    true => format!(
                        "{owner} has not looked at {letters} since {}, and should have by {}",
                        moment(eyes.since, zone),
                        moment(eyes.due, zone)
                    ),
                    false => format!("{owner} has until {} to look at {letters}", moment(eyes.due, zone)),
                }
            }
        };
        facts.push(((*name).to_owned(), format!("{count} waiting; {looked}")));
    }
    let title = match unseen {
        0 => format!("{}: this week {all} dead letters wait", project.hub.name),
        unseen => format!("{}: this week {all} dead letters wait, and nobody has looked at {unseen}", project.hub.name),
    };
    let date = now.to_zoned(zone.clone()).date();
    Notice {
        about: format!("weekly/{date}"),
        kind: NoticeKind::Message,
        severity: Severity::Warning,
        title,
        text: "What the hub gave up on waits for a person: to be mended and tried again, or to be discarded."
            .to_owned(),
        facts,
        command: Some("ironbridge dead-letters weekly".to_owned()),
        link: project.hub.address.as_ref().map(|address| format!("{address}/dead-letters")),
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::{LoadOptions, load_files};

    fn project() -> Project {
        let files = [
            (
                "ironbridge.yaml",
                "hub: contoso\ntime_zone: Europe/London\ncalendar: { working_hours: \"09:00-17:30\", working_days: [mon, tue, wed, thu, fri], holidays: england-and-wales }\nmail: { server: \"smtp://127.0.0.1:25\", from: hub@contoso.example }\nalerts: [ { to: boss, severity: critical } ]\n",
            ),
            (
                "people.yaml",
                "groups:\n  it: { email: it@contoso.example, pagerduty: \"${env:PD}\" }\n  boss: { email: boss@contoso.example }\n",
            ),
            ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
            (
                "systems/a.yaml",
                "system: a\nkind: sqlite\nconnection: { file: a.db }\nentities: { thing: { table: t, read: { number: n } } }\n",
            ),
            (
                "systems/b.yaml",
                "system: b\nkind: sqlite\nconnection: { file: b.db }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n",
            ),
            (
                "integrations/things.yaml",
                "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nowner: it\npurpose: A test.\n",
            ),
            (
                "integrations/more.yaml",
                "integration: more\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nowner: boss\npurpose: A test.\n",
            ),
        ];
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let loaded = load_files(files, &LoadOptions { kinds: &kinds, ..LoadOptions::default() });
        loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)))
    }

    #[test]
    fn on_the_first_working_day_of_a_week() {
        let project = project();
        for (at, expected) in [
            ("2026-11-23T08:59:00Z", false),
            ("2026-11-23T09:00:00Z", true),
            ("2026-11-23T17:29:00Z", true),
            ("2026-11-24T09:00:00Z", false),
            ("2026-11-28T12:00:00Z", false),
            // 28 December 2026 is a holiday, since Boxing Day is a Saturday.
            ("2026-12-28T12:00:00Z", false),
            ("2026-12-29T12:00:00Z", true),
        ] {
            let hub = &project.hub;
            assert_eq!(is_due(at.parse().unwrap(), &hub.calendar, &hub.time_zone), expected, "{at}");
        }
    }

    #[test]
    fn an_owner_hears_of_what_is_theirs() {
        let project = project();
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let since = "2026-11-19T09:00:00Z".parse().unwrap();
        let due = "2026-11-21T09:00:00Z".parse().unwrap();
        let eyes = [Overdue { integration: "things".into(), owner: "it".into(), letters: 3, since, due }];
        let waiting = BTreeMap::from([("things".to_owned(), 7), ("more".to_owned(), 2), ("gone".to_owned(), 1)]);
        let told: Vec<String> = notices(&project, &waiting, &eyes, now)
            .into_iter()
            .map(|(route, notice)| format!("{}: {} {:?}", route.name(), notice.title, notice.facts))
            .collect();
        let things = "(\"things\", \"7 waiting; it has not looked at 3 since 09:00 GMT on Thu 19 Nov, and should have by 09:00 GMT on Sat 21 Nov\")";
        let more = "(\"more\", \"2 waiting; all of them have been looked at\")";
        let title = |n: u64| format!("contoso: this week {n} dead letters wait, and nobody has looked at 3");
        let expected =
            [format!("boss/email: {} [{more}, {things}]", title(9)), format!("it/email: {} [{things}]", title(7))];
        assert_eq!(told, expected);
        assert_eq!(notices(&project, &BTreeMap::new(), &[], now), []);
    }
}
