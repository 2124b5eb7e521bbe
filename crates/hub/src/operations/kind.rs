//! The kinds of alert, in one list: what each is called, and where it can ring.

use std::time::Duration;

use definition::{Integration, Pattern, Project};

use crate::unheard;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Late,
    NotRun,
    NeedsPerson,
    SystemDown,
    Paused,
    NotShown,
    Backlog,
    NoWebhooks,
    DeadLetters,
    NotReviewed,
    FewRows,
    Slow,
    Volume,
    FlowFailed,
    Approval,
    Expiring,
    Disk,
    Notifier,
}

impl Kind {
    pub const ALL: [Kind; 18] = [
        Kind::Late,
        Kind::NotRun,
        Kind::NeedsPerson,
        Kind::SystemDown,
        Kind::Paused,
        Kind::NotShown,
        Kind::Backlog,
        Kind::NoWebhooks,
        Kind::DeadLetters,
        Kind::NotReviewed,
        Kind::FewRows,
        Kind::Slow,
        Kind::Volume,
        Kind::FlowFailed,
        Kind::Approval,
        Kind::Expiring,
        Kind::Disk,
        Kind::Notifier,
    ];

    /// The word in keys, in links and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Late => "late",
            Kind::NotRun => "not-run",
            Kind::NeedsPerson => "needs-person",
            Kind::SystemDown => "system-down",
            Kind::Paused => "destination-paused",
            Kind::NotShown => "not-shown",
            Kind::Backlog => "backlog",
            Kind::NoWebhooks => "no-webhooks",
            Kind::DeadLetters => "dead-letters",
            Kind::NotReviewed => "not-reviewed",
            Kind::FewRows => "few-rows",
            Kind::Slow => "slow",
            Kind::Volume => "volume",
            Kind::FlowFailed => "flow-failed",
            Kind::Approval => "approval",
            Kind::Expiring => "expiring",
            Kind::Disk => "disk-low",
            Kind::Notifier => "notifier-failing",
        }
    }

    pub fn of(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The heading of its section in a runbook.
    pub fn heading(self) -> &'static str {
        match self {
            Kind::Late => "The result is late",
            Kind::NotRun => "A run did not happen",
            Kind::NeedsPerson => "A run needs a person",
            Kind::SystemDown => "A system does not answer",
            Kind::Paused => "A destination takes nothing",
            Kind::NotShown => "A virtual table shows nothing",
            Kind::Backlog => "Events wait too long",
            Kind::NoWebhooks => "Webhooks do not come",
            Kind::DeadLetters => "Dead letters wait",
            Kind::NotReviewed => "Nobody has looked at the dead letters",
            Kind::FewRows => "Fewer rows than usual",
            Kind::Slow => "Less goes through than usual",
            Kind::Volume => "Volume near its ceiling",
            Kind::FlowFailed => "A flow cannot go on",
            Kind::Approval => "An approval is overdue",
            Kind::Expiring => "A secret, certificate or support ends",
            Kind::Disk => "The disk is nearly full",
            Kind::Notifier => "Notices do not get through",
        }
    }

    /// When it rings, as a sentence.
    pub fn when(self) -> &'static str {
        match self {
            Kind::Late => {
                "The result is not there by `needed_by`; without one, two periods of the schedule after the run was due (one hour at least, four at most)."
            }
            Kind::NotRun => {
                "A run was due five minutes ago and none has begun, or one is under way for four periods (two hours at least)."
            }
            Kind::NeedsPerson => {
                "The last run ended with an error that goes away only when somebody changes something: a password, a right, a column."
            }
            Kind::SystemDown => {
                "A system has not answered for ten minutes, or has refused us for two; or it holds up two integrations or more. What it holds up is silent meanwhile."
            }
            Kind::Paused => {
                "A destination has taken nothing for ten minutes; or nobody could be asked for ten minutes what the events are about that start a flow."
            }
            Kind::NotShown => {
                "For two minutes a virtual table has not fitted what its source has now: a table, a column or a right is gone."
            }
            Kind::Backlog => "The oldest event waits for longer than `needed_by`; without one, fifteen minutes.",
            Kind::NoWebhooks => {
                "Two sweeps found changes that had no webhook, or three calls were refused for a wrong key or signature; for ten minutes, and no good one came between them."
            }
            Kind::DeadLetters => {
                "Rows or messages were given up on two minutes ago and wait. However many, it is one alert."
            }
            Kind::NotReviewed => {
                "The oldest dead letter waits for longer than `dead_letters: { reviewed_within: … }` says, and nobody has done or noted anything."
            }
            Kind::FewRows => {
                "What a slot of a schedule of six hours or more brings is less than a fifth of what is usual, after five slots that show what that is. Until one brings more, or after five such ones, which are what is usual then."
            }
            Kind::Slow => {
                "In a whole hour less than a quarter of what is usual in this hour of the week went through, after three weeks that show what that is. Until an hour that usually has something has enough again, three days at most."
            }
            Kind::Volume => "A flow has started at four fifths of its ceiling within a day, or starts of it are held.",
            Kind::FlowFailed => {
                "A step of an instance failed in a way that goes away only when somebody changes something, or for a day. However many, it is one alert."
            }
            Kind::Approval => {
                "A question has waited for a working day, or the time for its answer is nearly over, or nobody is left who could answer."
            }
            Kind::Expiring => {
                "A month before a secret or certificate ends, and half a year before a vendor's support does; a week before, it is critical."
            }
            Kind::Disk => {
                "The disk of the state folder has less room than a gigabyte, or than the state takes. Below 200 MB it is critical."
            }
            Kind::Notifier => {
                "A way to tell people has taken nothing for five minutes. Those who are reached by another way are told."
            }
        }
    }

    /// How long a condition must be gone before it is over: what comes and goes is one matter.
    pub fn calm(self) -> Duration {
        match self {
            Kind::SystemDown | Kind::Paused | Kind::Backlog | Kind::Disk => Duration::from_secs(5 * 60),
            Kind::DeadLetters | Kind::Notifier => Duration::from_secs(60),
            _ => Duration::ZERO,
        }
    }

    /// Whether it can be about this integration.
    pub fn applies(self, project: &Project, integration: &Integration) -> bool {
        match (self, &integration.pattern) {
            (Kind::SystemDown | Kind::Expiring, _) => true,
            (Kind::Disk | Kind::Notifier, _) => true,
            (Kind::DeadLetters | Kind::NotReviewed, Pattern::Batch(_) | Pattern::Event(_) | Pattern::Flow(_)) => true,
            (Kind::Late | Kind::NotRun | Kind::NeedsPerson, Pattern::Batch(_)) => true,
            (Kind::FewRows, Pattern::Batch(_)) => true,
            (Kind::Slow, Pattern::Batch(_) | Pattern::Event(_)) => true,
            (Kind::Paused | Kind::Backlog, Pattern::Event(_)) | (Kind::Paused, Pattern::Flow(_)) => true,
            (Kind::NoWebhooks, _) => unheard::sender(project, integration).is_some(),
            (Kind::NotShown, Pattern::Virtual(_)) => true,
            (Kind::Approval, Pattern::Batch(batch)) => batch.approve.is_some() || batch.first_load.is_some(),
            (Kind::Approval | Kind::Volume | Kind::FlowFailed, Pattern::Flow(_)) => true,
            _ => false,
        }
    }

    /// Whether it is about one integration, and not about a system or the hub.
    pub fn is_of_integration(self) -> bool {
        !matches!(self, Kind::SystemDown | Kind::Expiring | Kind::Disk | Kind::Notifier)
    }
}
