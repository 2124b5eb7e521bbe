//! What can go wrong, in terms that a caller can act on.

use std::path::PathBuf;

use record::Code;

use crate::Injected;
use crate::alerts::AlertId;
use crate::approvals::ApprovalId;
use crate::leases::Epoch;
use crate::runs::RunId;

/// Why the store did not do what it was asked. Unless [`Error::effect_is_unknown`] says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made, read or written.
    #[error("the state folder cannot be used: {}: {source}; type it as the user of the hub (sudo -u USER), or give this one the right to read and write there", .path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// The file there is not a state file of Ironbridge.
    #[error("{} is not a state file of Ironbridge; move it away or choose another folder", .path.display())]
    NotOurs { path: PathBuf },
    /// The file is damaged.
    #[error("the state file {} is damaged: {source}; stop everything that uses it, keep a copy, and restore the last backup", .path.display())]
    Damaged { path: PathBuf, source: rusqlite::Error },
    /// The file was written by a newer Ironbridge. Nothing was touched.
    #[error("the state file {} has version {found}, this Ironbridge knows versions up to {known}; use the newer Ironbridge", .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// Another process is this folder's `up`.
    #[error("`ironbridge up` already runs on {}{}; stop it first, or use another folder", .dir.display(), .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    UpIsRunning { dir: PathBuf, pid: Option<u32> },
    /// Another process held the file for longer than the busy time-out.
    #[error("the state file {} was locked by another process for too long; try again", .path.display())]
    Busy { path: PathBuf },
    /// The disk is full.
    #[error("the disk that holds {} is full; free some space, nothing was lost", .path.display())]
    DiskFull { path: PathBuf },
    /// Any other failure of the database.
    #[error("the state file {} could not be used: {source}; try again, and look whether its disk is well", .path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    /// A precondition of an operation did not hold; the whole commit was refused.
    #[error("{refusal}")]
    Refused {
        /// Which operation of the commit, from zero.
        op: usize,
        refusal: Refusal,
    },
    /// More commits wait than the store takes in.
    #[error("{waiting} commits wait for the disk already; slow down and try again")]
    Overloaded { waiting: usize },
    /// The store was closed before the commit was written.
    #[error("the store is closed")]
    Closed,
    /// A failpoint asked for this failure.
    #[error(transparent)]
    Injected(#[from] Injected),
}

/// Which precondition did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{name}` is held by {holder} until {until}")]
    LeaseHeld { name: String, holder: String, until: jiff::Timestamp },
    #[error("the lease `{name}` with epoch {epoch} was lost; somebody else goes on with it")]
    LeaseLost { name: String, epoch: Epoch },
    #[error("run {run} is not running")]
    NotRunning { run: RunId },
    #[error("the position of `{stream}` of `{integration}` was changed by somebody else")]
    CursorMoved { integration: String, stream: String },
    #[error("there is no dead letter `{id}`")]
    NoDeadLetter { id: String },
    #[error("the dead letter `{id}` is {state}")]
    DeadLetterState { id: String, state: crate::dead_letters::State },
    #[error("retry job {job} is not as you saw it; somebody else has dealt with it")]
    RetryMoved { job: crate::retries::JobId },
    #[error("there is no approval {id}")]
    NoApproval { id: ApprovalId },
    #[error("approval {id} is {state}")]
    ApprovalState { id: ApprovalId, state: crate::approvals::State },
    #[error("instance {id} was moved by somebody else meanwhile")]
    FlowMoved { id: crate::flows::InstanceId },
    #[error("there is no alert {id}")]
    NoAlert { id: AlertId },
    #[error("alert {id} is over")]
    AlertOver { id: AlertId },
    #[error("there is a user `{name}` already")]
    UserTaken { name: String },
    #[error("there is no user `{name}`")]
    NoUser { name: String },
    #[error("there is no queue `{path}`")]
    NoQueue { path: String },
    #[error("`{path}` is {reason}")]
    QueueUse { path: String, reason: &'static str },
    #[error("the lock of message {seq} in `{path}` was lost; it may be delivered again")]
    LockLost { path: String, seq: i64 },
    #[error("session `{session}` of `{path}` is held until {until}")]
    SessionHeld { path: String, session: String, until: jiff::Timestamp },
    #[error("the lock of the session in `{path}` was lost; what was locked in it may be delivered again")]
    SessionLost { path: String },
    #[error("there is no message {seq} in that state in `{path}`")]
    NoMessage { path: String, seq: i64 },
    #[error("{what} has {size} bytes, the limit is {limit}")]
    TooLarge { what: &'static str, size: usize, limit: usize },
}

impl Error {
    /// The code whose page explains this to an operator. `None` for what only a programmer meets.
    pub fn code(&self) -> Option<Code> {
        Some(Code(match self {
            Error::Folder { .. } => "IB0010",
            Error::NotOurs { .. } => "IB0011",
            Error::Damaged { .. } => "IB0012",
            Error::Newer { .. } => "IB0013",
            Error::UpIsRunning { .. } => "IB0014",
            Error::Busy { .. } => "IB0015",
            Error::DiskFull { .. } => "IB0016",
            Error::Sqlite { .. } => "IB0017",
            Error::Refused { refusal: Refusal::LeaseHeld { .. } | Refusal::LeaseLost { .. }, .. } => "IB0018",
            Error::Refused { .. } | Error::Overloaded { .. } | Error::Closed | Error::Injected(_) => return None,
        }))
    }

    /// Whether the commit may be on disk although it was answered with this error. Ask before repeating it, or
    /// repeat only what is safe to repeat.
    pub fn effect_is_unknown(&self) -> bool {
        match self {
            Error::Injected(injected) => injected.point == "commit.after",
            Error::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure))
            }
            _ => false,
        }
    }

    /// Whether the same commit may succeed later without anybody changing it: there is no room, or no turn, at the moment.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::DiskFull { .. } | Error::Busy { .. } | Error::Overloaded { .. } | Error::Injected(_) => true,
            Error::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure))
            }
            _ => false,
        }
    }

    /// The refused precondition, if that is what happened.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn sqlite(path: &std::path::Path, source: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode::*;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(NotADatabase) => Error::NotOurs { path },
            Some(DatabaseCorrupt) => Error::Damaged { path, source },
            Some(DatabaseBusy | DatabaseLocked) => Error::Busy { path },
            Some(DiskFull) => Error::DiskFull { path },
            // No room for the file that readers and writers share, which is beside it only while somebody uses it.
            Some(SystemIoFailure)
                if source.sqlite_error().map(|error| error.extended_code)
                    == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
            {
                Error::DiskFull { path }
            }
            Some(PermissionDenied | CannotOpen | ReadOnly) => {
                Error::Folder { path, source: std::io::Error::new(std::io::ErrorKind::PermissionDenied, source) }
            }
            _ => Error::Sqlite { path, source },
        }
    }
}

/// How an operation ends inside a transaction: its precondition did not hold, or the database failed.
#[derive(Debug)]
pub(crate) enum Fail {
    Refused(Refusal),
    Sql(rusqlite::Error),
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Fail {
        Fail::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Fail {
        Fail::Sql(error)
    }
}
