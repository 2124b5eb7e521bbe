//! What flows say to people, by the same ways and through the same queue as alerts.

use definition::{Group, Project, Way};
use jiff::Timestamp;
use record::{Notice, NoticeKind, Severity};
use store::flows::Instance;

use super::routes::{Route, routes_of};
use super::send::{Asks, prepare, queue_as};
use crate::flows::decide::is_channel;
use crate::flows::form::clock;

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A step of the flow says so.
    Notify,
    /// They may decide.
    Asked,
    /// They have not decided yet.
    Reminder,
    /// Others have not decided, and now they may.
    Escalated,
}

impl Why {
    /// The word of an effect of a flow.
    pub fn of(word: &str) -> Option<Why> {
        Some(match word {
            "notify" => Why::Notify,
            "asked" => Why::Asked,
            "reminder" => Why::Reminder,
            "escalated" => Why::Escalated,
            _ => return None,
        })
    }
}

/// What is said to whom.
pub struct Says<'a> {
    /// Ids of people or groups (`group:finance` or `finance`).
    pub to: &'a [String],
    pub why: Why,
    pub text: &'a str,
    /// The name of the decision that they are asked for.
    pub decision: Option<&'a str>,
    /// Until when it is to be answered.
    pub until: Option<Timestamp>,
    /// Makes the last part of the address with which a person answers.
    pub link: &'a dyn Fn(&str) -> Option<String>,
}

/// What comes of telling somebody.
#[derive(Debug, Default)]
pub struct Told {
    /// Belongs into the commit that moves the instance, so that it is told once whatever happens.
    pub ops: Vec<store::Op>,
    /// Those to whom no way leads.
    pub unheard: Vec<String>,
}

/// Tells people what an instance of a flow has to say: a text, a question, a reminder.
///
/// Each is told by every way that people.yaml has for them, but not by a pager, which rings for what is critical only; a
/// message, and never a question, also goes to a mail address that people.yaml does not have. A group is asked in its
/// channel only, where its members are asked themselves. All messages of one instance are one conversation in a mail
/// program. *Shape*: `nth` tells several messages of one commit apart; the same instance, revision and `nth`
/// are one message, however often they are queued within a day.
pub fn tell(project: &Project, instance: &Instance, says: &Says<'_>, nth: usize, now: Timestamp) -> Told {
    let Says { to, why, text, decision, until, link } = *says;
    let mut told = Told::default();
    let mut routes: Vec<Route> = Vec::new();
    for who in to {
        let mut ways = routes_of(project, who);
        ways.retain(|route| route.way != Way::PagerDuty);
        // Its members are asked one by one; here is the channel that they share.
        let shared = |group: &Group| Some(&*group.id) == who.strip_prefix("group:") && !group.members.is_empty();
        if why != Why::Notify && project.groups.iter().any(shared) {
            ways.retain(|route| is_channel(route.way));
        }
        // Whoever asked for something may be anybody of the company, by the address that the record has.
        if ways.is_empty() && why == Why::Notify && project.hub.mail.is_some() && is_address(who) {
            ways.push(Route { who: who.clone(), way: Way::Email });
        }
        if ways.is_empty() {
            told.unheard.push(who.strip_prefix("group:").unwrap_or(who).to_owned());
        }
        routes.extend(ways);
    }
    routes.sort();
    routes.dedup();
    if routes.is_empty() {
        return told;
    }
    let notice = notice(project, instance, why, text, decision, now);
    let id = format!("{}.{}.{nth}", notice.about, instance.revision);
    told.ops.push(prepare());
    let asks = decision.filter(|_| why != Why::Notify).map(|decision| Asks {
        integration: instance.integration.clone(),
        subject: crate::flows::subject(instance.id, decision),
    });
    for route in &routes {
        let id = format!("{id}/{}", route.name());
        // A mailbox of one person: a link with which that person answers. A channel is read by others too.
        let own = project.people.iter().any(|person| person.id == route.who) && route.way == Way::Email;
        let answers = project.hub.address.as_ref().filter(|_| own && why != Why::Notify);
        let link = answers.and_then(|address| Some(format!("{address}/answer/{}", link(&route.who)?)));
        let mut mine = notice.clone();
        mine.link = link.or(mine.link);
        // By the clocks of whoever reads it.
        if let Some(until) = until.filter(|_| why != Why::Notify) {
            mine.facts.push(("answer until".to_owned(), clock(until, &project.hours(&route.who).1)));
        }
        told.ops.push(queue_as(id, route, &mine, asks.as_ref()));
    }
    told
}

fn notice(
    project: &Project,
    instance: &Instance,
    why: Why,
    text: &str,
    decision: Option<&str>,
    now: Timestamp,
) -> Notice {
    let (name, id) = (&instance.integration, instance.id);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("a message").trim();
    let before = match why {
        Why::Notify => "",
        Why::Asked => "please decide: ",
        Why::Reminder => "reminder, please decide: ",
        Why::Escalated => "nobody has decided yet, please do: ",
    };
    let asks = why != Why::Notify;
    let mut facts = vec![("flow".to_owned(), format!("{name}, instance {id}"))];
    facts.extend(about(project, instance));
    if asks && let Some(integration) = project.integration(name) {
        facts.push(("what it is for".to_owned(), integration.purpose.clone()));
    }
    // A page that asks who somebody is: whoever reads a channel may have it.
    let page = |address: &String| match decision.filter(|_| asks) {
        Some(decision) => format!("{address}/flows/{id}/asks/{decision}"),
        None if asks => format!("{address}/approvals"),
        None => address.clone(),
    };
    Notice {
        about: format!("flow/{name}/{id}"),
        kind: if asks { NoticeKind::Question } else { NoticeKind::Message },
        severity: Severity::Warning,
        title: format!("{}: {before}{}", project.hub.name, shortened(first)),
        text: text.to_owned(),
        facts,
        command: Some(if asks { "ironbridge approvals list".to_owned() } else { format!("ironbridge flow show {id}") }),
        link: project.hub.address.as_ref().map(page),
        at: now,
    }
}

/// The record, unless its key is personal.
fn about(project: &Project, instance: &Instance) -> Option<(String, String)> {
    let entity = project.entities.iter().find(|entity| *entity.name == *instance.entity)?;
    let personal =
        entity.fields.iter().any(|field| field.personal && entity.key.iter().any(|key| **key == *field.name));
    (!personal).then(|| ("about".to_owned(), format!("{} {}", instance.entity, instance.key)))
}

/// Whether a text is a mail address, so far as one can tell from it: what is none is refused by the mail server.
pub fn is_address(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\"()[]\\/".contains(c);
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.contains('@') && !text.contains(odd) && text.len() <= 254
    })
}

/// A subject is a line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::{LoadOptions, load_files};
    use record::Key;
    use store::flows::{InstanceId, State};

    fn project(personal: bool) -> Project {
        let entity = format!(
            "entity: request\nkey: number\nfields: {{ number: {{ type: text, max_length: 20, personal: {personal} }} }}\n"
        );
        let files = [
            ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\nmail: { server: \"smtp://127.0.0.1:25\", from: hub@contoso.example }\naddress: https://hub.contoso.example\n".to_owned()),
            ("people.yaml", "people:\n  ann: { name: (sample) ann, email: ann@contoso.example }\ngroups:\n  desk: { members: [ann], pagerduty: \"${env:PD}\", slack: \"${env:S}\" }\n".to_owned()),
            ("entities/request.yaml", entity),
        ];
        let loaded = load_files(files.iter().map(|(name, text)| (*name, text.as_str())), &LoadOptions::default());
        loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)))
    }

    fn instance() -> Instance {
        Instance {
            id: InstanceId(7),
            integration: "limits".into(),
            version: 1,
            entity: "request".into(),
            key: Key::of(&[record::Value::text("R-1")]).unwrap(),
            state: State::Running,
            revision: 3,
            at: None,
            data: String::new(),
            wake: None,
            attempts: 0,
            problem: None,
            started: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            ended: None,
        }
    }

    #[test]
    fn people_are_told_by_every_way_but_a_pager_and_who_is_not_is_named() {
        let project = project(false);
        let to = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let sent = |names: &[&str], why| {
            let (to, link) = (to(names), |_: &str| None);
            let until = Some(Timestamp::UNIX_EPOCH);
            let says = Says { to: &to, why, text: "Raise it?", decision: None, until, link: &link };
            let told = tell(&project, &instance(), &says, 2, Timestamp::UNIX_EPOCH);
            // A question says until when, by the clocks of whoever reads it.
            for op in &told.ops {
                if let store::Op::Queue(store::queue::Op::Send { messages, .. }) = op {
                    let says_when =
                        String::from_utf8_lossy(&messages[0].message.body).contains("1970-01-01 01:00 (Europe/London)");
                    assert_eq!(says_when, why != Why::Notify, "{names:?}");
                }
            }
            let ids = told.ops.iter().filter_map(|op| match op {
                store::Op::Queue(store::queue::Op::Send { messages, .. }) => Some(messages[0].message.id.clone()),
                _ => None,
            });
            (ids.collect::<Vec<_>>().join(" "), told.unheard.join(" "))
        };
        let one = |route: &str| format!("flow/limits/7.3.2/{route}");
        for (names, ids, unheard) in [
            (&["ann"][..], one("ann/email"), ""),
            // A group is asked in its channel, its members one by one.
            (&["ann", "group:desk"], format!("{} {}", one("ann/email"), one("desk/slack")), ""),
            (&["desk", "group:desk"], format!("{} {}", one("desk/email"), one("desk/slack")), ""),
            (&["nobody", "group:quiet", "ann"], one("ann/email"), "nobody quiet"),
            (&["nobody"], String::new(), "nobody"),
        ] {
            assert_eq!(sent(names, Why::Asked), (ids, unheard.to_owned()), "{names:?}");
        }
        // News goes to whoever the record names; who decides stands in people.yaml.
        let (address, both) = (&["sales@contoso.example"][..], format!("{} {}", one("desk/email"), one("desk/slack")));
        assert_eq!(sent(address, Why::Notify), (one("sales@contoso.example/email"), String::new()));
        assert_eq!(sent(address, Why::Asked), (String::new(), "sales@contoso.example".to_owned()));
        assert_eq!(sent(&["group:desk"], Why::Notify), (both, String::new()));
    }

    /// A way that keeps what it is given.
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

    impl record::Notify for Kept {
        fn notify<'a>(&'a self, notice: &'a Notice) -> record::BoxFuture<'a, Result<(), record::Fault>> {
            self.0.lock().unwrap().push(notice.title.clone());
            Box::pin(std::future::ready(Ok(())))
        }
    }

    impl crate::operations::Ways for Kept {
        fn open(&self, _: &Route) -> Result<std::sync::Arc<dyn record::Notify>, record::Fault> {
            Ok(std::sync::Arc::new(Kept(self.0.clone())))
        }
    }

    #[tokio::test]
    async fn what_was_decided_before_the_mail_went_is_not_asked() {
        use store::approvals::{Kind, Op, Question};
        let (project, dir) = (project(false), tempfile::tempdir().unwrap());
        let store = store::Store::open(dir.path(), store::Options::default()).unwrap();
        let subject = crate::flows::subject(InstanceId(7), "limit");
        let question = Question {
            integration: "limits".into(),
            kind: Kind::Flow,
            subject: subject.clone(),
            question: "Raise it?".into(),
            digest: "a".into(),
            details: "{}".into(),
            proofs: Vec::new(),
            asked_of: "ann".into(),
            expires: None,
        };
        let kept = Kept(std::sync::Arc::default());
        // Nobody sends while it is asked and decided: the hub is down, or the mail server was.
        let (to, link) = (["ann".to_owned()], |_: &str| None);
        for (nth, (why, decision)) in
            [(Why::Asked, Some("limit")), (Why::Reminder, Some("limit")), (Why::Notify, None)].into_iter().enumerate()
        {
            let says = Says { to: &to, why, text: "Raise it?", decision, until: None, link: &link };
            let mut ops = tell(&project, &instance(), &says, nth, store.clock().now()).ops;
            ops.push(Op::Ask(Box::new(question.clone())).into());
            store.commit(ops).await.unwrap();
        }
        let id = store.approval_of("limits", Kind::Flow, &subject).unwrap().unwrap().id;
        store.commit(vec![Op::Decide { id, approve: true, by: "ann".into(), comment: None }.into()]).await.unwrap();
        crate::operations::deliver_all(&store, &kept).await.unwrap();
        assert_eq!(*kept.0.lock().unwrap(), ["contoso: Raise it?"], "news is told all the same");
        assert_eq!(store.queue_counts(super::super::NOTICES).unwrap().unwrap().ready, 0);
        // One that stands is asked.
        let says =
            Says { to: &to, why: Why::Asked, text: "And now?", decision: Some("limit"), until: None, link: &link };
        let mut ops = tell(&project, &instance(), &says, 9, store.clock().now()).ops;
        ops.push(Op::Ask(Box::new(Question { digest: "b".into(), ..question })).into());
        store.commit(ops).await.unwrap();
        crate::operations::deliver_all(&store, &kept).await.unwrap();
        assert_eq!(kept.0.lock().unwrap().last().unwrap(), "contoso: please decide: And now?");
    }

    #[tokio::test]
    async fn notices_are_sent_where_the_first_commit_failed() {
        for fails in ["commit.before@1=error", "commit.after@1=error"] {
            let (project, dir) = (project(false), tempfile::tempdir().unwrap());
            let failpoints = fails.parse().unwrap();
            let store = store::Store::open(dir.path(), store::Options { failpoints, ..Default::default() }).unwrap();
            let (kept, (stop, stopping)) = (Kept(std::sync::Arc::default()), tokio::sync::watch::channel(false));
            let (_urgent, from_watcher) = tokio::sync::mpsc::channel(1);
            let ways = std::sync::Arc::new(Kept(kept.0.clone()));
            let sending = tokio::spawn(crate::operations::send(store.clone(), ways, from_watcher, stopping));
            while store.queue_counts(super::super::NOTICES).unwrap().is_none() {
                assert!(!sending.is_finished(), "{fails}: nobody sends");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            let (to, link) = (["ann".to_owned()], |_: &str| None);
            let says = Says { to: &to, why: Why::Notify, text: "Raised.", decision: None, until: None, link: &link };
            store.commit(tell(&project, &instance(), &says, 1, store.clock().now()).ops).await.unwrap();
            while kept.0.lock().unwrap().is_empty() {
                assert!(!sending.is_finished(), "{fails}: nobody sends any more");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            stop.send(true).unwrap();
            sending.await.unwrap().unwrap();
        }
    }

    #[test]
    fn a_question_says_what_is_asked_and_a_personal_key_is_not_in_it() {
        let said = |personal, why, text: &str| {
            notice(&project(personal), &instance(), why, text, Some("limit"), Timestamp::UNIX_EPOCH)
        };
        let asked = said(false, Why::Asked, "\nRaise it?\nIt is for the fair.");
        assert_eq!(asked.subject(), "contoso: please decide: Raise it?");
        assert_eq!(asked.link.as_deref(), Some("https://hub.contoso.example/flows/7/asks/limit"));
        assert!(asked.facts.contains(&("about".into(), "request R-1".into())), "{:?}", asked.facts);
        let news = said(true, Why::Notify, "Not approved.");
        assert_eq!(
            (news.subject().as_str(), news.command.as_deref()),
            ("contoso: Not approved.", Some("ironbridge flow show 7"))
        );
        assert!(!format!("{news:?}").contains("R-1"), "{news:?}");
    }
}
