//! What flows say to people, by the same ways and through the same queue as alerts.

use definition::{Project, Way};
use jiff::Timestamp;
use record::{Notice, NoticeKind, Severity};
use store::flows::Instance;

use super::routes::{Route, routes_of};
use super::send::{prepare, queue_as};

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
/// Each is told by every way that people.yaml has for
/// them, but not by a pager, which rings for what is critical only. All messages of one instance are one conversation
/// in a mail program. *Shape*: `nth` tells several messages of one commit apart; the same instance, revision and `nth`
/// are one message, however often they are queued within a day.
pub fn tell(project: &Project, instance: &Instance, says: &Says<'_>, nth: usize, now: Timestamp) -> Told {
    let Says { to, why, text, link } = *says;
    let mut told = Told::default();
    let mut routes: Vec<Route> = Vec::new();
    for who in to {
        let mut ways = routes_of(project, who);
        ways.retain(|route| route.way != Way::PagerDuty);
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
    let notice = notice(project, instance, why, text, now);
    let id = format!("{}.{}.{nth}", notice.about, instance.revision);
    told.ops.push(prepare());
    for route in &routes {
        let id = format!("{id}/{}", route.name());
        // A mailbox of one person: a link with which that person answers. A channel is read by others too.
        let own = project.people.iter().any(|person| person.id == route.who) && route.way == Way::Email;
        let answers = project.hub.address.as_ref().filter(|_| own && why != Why::Notify);
        let link = answers.and_then(|address| Some(format!("{address}/answer/{}", link(&route.who)?)));
        let mine = link.map(|link| Notice { link: Some(link), ..notice.clone() });
        told.ops.push(queue_as(id, route, mine.as_ref().unwrap_or(&notice)));
    }
    told
}

fn notice(project: &Project, instance: &Instance, why: Why, text: &str, now: Timestamp) -> Notice {
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
    if asks && let Some(integration) = project.integration(name) {
        facts.push(("what it is for".to_owned(), integration.purpose.clone()));
    }
    let page = |address: &String| if asks { format!("{address}/approvals") } else { address.clone() };
    Notice {
        about: format!("flow/{name}/{id}"),
        kind: NoticeKind::Message,
        severity: Severity::Warning,
        title: format!("{}: {before}{}", project.hub.name, shortened(first)),
        text: text.to_owned(),
        facts,
        command: Some(if asks { "ironbridge approvals list".to_owned() } else { format!("ironbridge flow show {id}") }),
        link: project.hub.address.as_ref().map(page),
        at: now,
    }
}

/// A subject is a line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}
