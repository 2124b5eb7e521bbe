//! What a commit may ask for, as plain data, and what it answers.

use crate::{
    agreements, alerts, approvals, audit, away, cursors, dead_letters, deadlines, definitions, flows, forget, leases,
    ledger, looks, outages, pauses, queue, retries, runs, secrets, unheard, users,
};

/// One operation of a commit. Every domain has its own list; all of them convert with `into()`.
#[derive(Debug, Clone)]
pub enum Op {
    Lease(leases::Op),
    Run(runs::Op),
    Cursor(cursors::Op),
    Ledger(ledger::Op),
    Agreement(agreements::Op),
    DeadLetter(dead_letters::Op),
    Queue(queue::Op),
    Pause(pauses::Op),
    Outage(outages::Op),
    Approval(approvals::Op),
    Alert(alerts::Op),
    Deadline(deadlines::Op),
    Secret(secrets::Op),
    Journal(crate::journal::Op),
    Audit(audit::Op),
    Retry(retries::Op),
    Definition(definitions::Op),
    Forget(forget::Op),
    Flow(flows::Op),
    User(users::Op),
    Away(away::Op),
    Look(looks::Op),
    Unheard(unheard::Op),
}

/// What one operation answers, in the place of the operation.
#[derive(Debug, Clone, PartialEq)]
pub enum OpResult {
    /// Done, and there is nothing more to say.
    Done,
    /// How many rows or messages were concerned.
    Count(u64),
    /// The lease that is now held.
    Lease(leases::Lease),
    /// The run that was started.
    Run(runs::RunId),
    /// The runs that were closed.
    Runs(Vec<runs::RunId>),
    /// The dead letter that was opened or updated.
    DeadLetter(dead_letters::DeadLetterId),
    /// What was removed of a record, or would be.
    Forgotten(forget::Forgotten),
    /// The job that was made.
    Job(retries::JobId),
    /// The question that stands now.
    Approval(approvals::ApprovalId),
    /// The instance that began; nothing where what started it is known.
    Instance(Option<flows::InstanceId>),
    /// One answer for each message of a send, in order.
    Sent(Vec<queue::Sent>),
    /// The messages that are now locked, in the order of delivery.
    Messages(Vec<queue::Delivery>),
    /// The session that is now held; `None` when no session has a message to give.
    Session(Option<queue::Session>),
    /// Until when a lock holds now.
    LockedUntil(jiff::Timestamp),
}

macro_rules! converts {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Op {
            fn from(op: $from) -> Op {
                Op::$variant(op)
            }
        })*
    };
}

converts! {
    leases::Op => Lease,
    runs::Op => Run,
    cursors::Op => Cursor,
    ledger::Op => Ledger,
    agreements::Op => Agreement,
    dead_letters::Op => DeadLetter,
    queue::Op => Queue,
    pauses::Op => Pause,
    outages::Op => Outage,
    approvals::Op => Approval,
    alerts::Op => Alert,
    deadlines::Op => Deadline,
    secrets::Op => Secret,
    crate::journal::Op => Journal,
    audit::Op => Audit,
    retries::Op => Retry,
    definitions::Op => Definition,
    forget::Op => Forget,
    flows::Op => Flow,
    users::Op => User,
    away::Op => Away,
    looks::Op => Look,
    unheard::Op => Unheard,
}
