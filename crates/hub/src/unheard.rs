//! Webhooks that do not come: what a sweep found that had none, and calls that were refused, as people are told of them.

use definition::{Integration, Pattern, Project, System};
use store::unheard::{Op, Unheard};
use store::{Error, Store};

use crate::operations::moment;
use crate::operations::runbook::counted;

/// So many calls with a wrong key, and none with a good one between them, are no accident.
pub const REFUSED: u64 = 3;
/// So many sweeps found changes of which no webhook had told. After one it may have been the hub that was away.
const SWEEPS: u64 = 2;

/// Whether it is more than what a hub that was away finds when it is back.
pub fn lasts(unheard: &Unheard) -> bool {
    unheard.sweeps >= SWEEPS || unheard.refused >= REFUSED
}

/// The system whose webhooks start an integration; nothing where none does.
pub fn sender<'p>(project: &'p Project, integration: &Integration) -> Option<&'p System> {
    let from = match &integration.pattern {
        Pattern::Event(event) => &event.from,
        Pattern::Flow(flow) => &flow.in_,
        _ => return None,
    };
    project.system(from).filter(|system| system.webhooks.is_some())
}

/// What is told of an integration whose webhooks do not come.
pub struct Told {
    pub title: String,
    pub text: String,
    /// The command that shows more.
    pub command: String,
}

/// Nothing where no webhook is expected.
pub fn told(project: &Project, integration: &Integration, unheard: &Unheard) -> Option<Told> {
    let sender = sender(project, integration)?;
    let (name, from) = (&integration.name, &sender.name);
    let since = moment(unheard.since, &project.hub.time_zone);
    let is_dataverse = sender.kind.name == "dataverse";
    let mut text = Vec::new();
    if unheard.changes > 0 {
        let changes = counted(unheard.changes, "change", "changes");
        text.push(format!(
            "{changes} in {from} had no webhook since {since}, and none has come since. What the sweep finds is delivered: nothing is lost, and all of it is late."
        ));
    }
    if unheard.refused >= REFUSED {
        text.push(format!(
            "{} calls were refused since {since}, because their key or signature is none of ours, and no good one has come.",
            unheard.refused
        ));
        let is_signed = sender.webhooks.as_ref().is_some_and(|webhooks| webhooks.signed.is_some());
        if is_signed {
            text.push("A signature holds for five minutes: are the clocks right?".to_owned());
        }
        text.push(match is_dataverse {
            true => format!("`dataverse register {name} --yes` writes the last one of `keys:` into {from} anew."),
            false => format!(
                "Compare the key of the sender with `webhooks:` of {from}; what it does not send again is not here."
            ),
        });
    } else if let (true, Pattern::Event(event)) = (is_dataverse, &integration.pattern) {
        text.push("Are the steps there and active, and does their address lead here?".to_owned());
        if !event.trigger.columns.is_empty() {
            text.push("Or was it a column that the trigger does not watch?".to_owned());
        }
    }
    Some(Told {
        title: match unheard.refused >= REFUSED {
            true => format!("{name}: webhooks of {from} are refused"),
            false => format!("{name}: no webhooks of {from} come"),
        },
        text: text.join(" "),
        command: match is_dataverse {
            true => format!("ironbridge dataverse register {name}"),
            false => format!("ironbridge runbook {name}"),
        },
    })
}

/// Forgets what is remembered of integrations that expect no webhooks any more.
///
/// *Errors*: of our own state.
pub(crate) fn outdated(project: &Project, store: &Store) -> Result<Vec<store::Op>, Error> {
    let expected = |name: &str| project.integration(name).is_some_and(|one| sender(project, one).is_some());
    let all = store.unheard()?.into_iter().filter(|unheard| !expected(&unheard.integration));
    Ok(all.map(|unheard| Op::Heard { integration: unheard.integration }.into()).collect())
}
