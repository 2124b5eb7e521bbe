//! What people do about alerts: what is typed in a terminal and clicked in the console ends here, with its entry in the
//! audit log.

use definition::Project;
use jiff::Timestamp;
use serde_json::json;
use store::alerts::{Alert, AlertId, Op, Silence};
use store::audit::Actor;
use store::{Error, OpResult, Store};

use super::kind::Kind;

/// How an alert stands with people, in a word or two; `None` where it is open and nobody has done anything.
pub fn stands(alert: &Alert, silences: &[Silence]) -> Option<String> {
    let names = [&*alert.integration, &*alert.system, &*alert.key, &*alert.kind];
    Some(match alert {
        Alert { resolved: Some(_), .. } => "over".to_owned(),
        Alert { acked_by: Some(by), .. } => format!("{by} looks at it"),
        Alert { cause: Some(cause), .. } => format!("follows from {cause}"),
        _ if silences.iter().any(|silence| silence.covers(names)) => "silenced".to_owned(),
        Alert { gone: Some(_), .. } => "over, unless it comes back".to_owned(),
        _ => return None,
    })
}

/// Says that somebody looks at an alert: nobody else is told of it any more, but that it is over.
///
/// *Errors*: [`store::Refusal::NoAlert`], [`store::Refusal::AlertOver`].
pub async fn acknowledge(store: &Store, alert: &Alert, by: &Actor, note: Option<&str>) -> Result<(), Error> {
    let ack = Op::Ack { id: alert.id, by: by.name.clone(), note: note.map(str::to_owned) };
    let did = by.did("alerts acknowledge", subject(alert)).because(note).with(detail(alert));
    store.commit(vec![ack.into(), did.op()]).await?;
    Ok(())
}

/// Tells nobody of a subject until a moment. What opens meanwhile is kept, and told at the end if it is not over.
///
/// There is one silence of a subject: where one holds already, this is its author and reason from now on, and it lasts
/// until the later end of the two. Answers until when.
pub async fn silence(
    store: &Store,
    subject: &str,
    until: Timestamp,
    by: &Actor,
    note: &str,
) -> Result<Timestamp, Error> {
    let silence = Op::Silence { subject: subject.to_owned(), by: by.name.clone(), note: note.to_owned(), until };
    let did = by.did("alerts silence", subject).because(Some(note)).with(json!({ "until": until.to_string() }));
    store.commit(vec![silence.into(), did.op()]).await?;
    let holds = store.silences()?.into_iter().find(|silence| silence.subject == subject);
    Ok(holds.map_or(until, |silence| silence.until))
}

/// Ends a silence now. Answers how many that were: none where it has ended already.
pub async fn end_silence(store: &Store, silence: &Silence, by: &Actor) -> Result<u64, Error> {
    let end = Op::EndSilence { id: silence.id };
    let did = by.did("alerts unsilence", &*silence.subject).with(json!({ "silence": silence.id }));
    match store.commit(vec![end.into(), did.op()]).await?.first() {
        Some(OpResult::Count(ended)) => Ok(*ended),
        _ => Ok(0),
    }
}

/// What can be silenced by this name: everything, an integration, a system, a kind of alert, or one alert by its key.
pub fn can_be_silenced(project: &Project, subject: &str) -> bool {
    subject == "*"
        || project.integration(subject).is_some()
        || project.system(subject).is_some()
        || Kind::of(subject.split('/').next().unwrap_or_default()).is_some()
}

/// What an alert is about, for the audit log.
fn subject(alert: &Alert) -> &str {
    [&alert.integration, &alert.system, &alert.kind].into_iter().find(|name| !name.is_empty()).map_or("", |name| name)
}

fn detail(alert: &Alert) -> serde_json::Value {
    let AlertId(id) = alert.id;
    json!({ "alert": id, "key": alert.key })
}
