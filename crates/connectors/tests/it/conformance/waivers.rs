//! What the suite leaves out, of whom, and why. One that is no longer needed fails its stand.

use connectors::conformance::Check::{self, *};

/// A stand, and the checks that do not apply to it, each with its reason.
pub type Waived = (&'static str, &'static [(Check, &'static str)]);

const HTTP_LOCKS: &str = "a request over HTTP holds no lock";
const HTTP_SESSIONS: &str = "a request over HTTP is no session: that a kept connection was closed is in the cuts";
const HTTP_ROOM: &str = "the room of a service is its own: it refuses, and says so";
const NO_STATEMENTS: &str = "there are no statements; that an answer does not come is in the silence";
const SERVICE_MESSAGES: &str =
    "a service has no place for a note: keys, `exists:` and idempotency keys make a message safe that comes again";
const SERVICE_LINES: &str = "its lines are in the body of their document";
const FILE_COLUMNS: &str = "a column of a file takes any text";
const FILE_TYPES: &str = "what stands in a file is a text; what the declared types make of it is in files/writing.rs";
const FILE_ROWS: &str = "a row of a file is written with all of its columns, and is never a part of one";
const FILE_LINES: &str = "a file is no table, and a row of it has no lines";
const FILE_MESSAGES: &str =
    "a file has no place for a note; a chunk that comes again is its own file (files/writing.rs)";
const FILE_LOCKS: &str = "a file is put in its place as a whole, and nobody waits for a lock";
const FILE_RIGHTS: &str =
    "no right of a folder stops an administrator: ironbridge/tests/it/rights.rs is run as somebody else";
const FILE_ROOM: &str = "a disk that is really full is in full_disk.rs";
const FILE_TABLES: &str = "files have names, not tables";
const FILE_CATALOG: &str = "files have no catalogue";
const NO_NETWORK: &str = "there is no network";

pub const ALL: &[Waived] = &[
    (
        "dataverse",
        &[
            (NoRoom, HTTP_ROOM),
            (Restart, HTTP_SESSIONS),
            (StatementTimeout, NO_STATEMENTS),
            (LockTimeout, HTTP_LOCKS),
            (CancelledWrite, HTTP_LOCKS),
            (WritesLines, "lines of Dynamics are rows of a table of their own, and are written as such"),
            (NotesMessages, SERVICE_MESSAGES),
        ],
    ),
    (
        "files",
        &[
            (MakesNoneOfAChange, FILE_ROWS),
            (RoundTrips, FILE_TYPES),
            (RefusesOneRow, FILE_COLUMNS),
            (WrongPassword, "a folder of this machine has none"),
            (WrongTable, FILE_TABLES),
            (Describes, FILE_CATALOG),
            (FindsChildren, FILE_LINES),
            (RevokedRight, FILE_RIGHTS),
            (NoRoom, FILE_ROOM),
            (CutWhileReading, NO_NETWORK),
            (CutWhileWriting, NO_NETWORK),
            (Restart, NO_NETWORK),
            (StatementTimeout, NO_STATEMENTS),
            (LockTimeout, FILE_LOCKS),
            (CancelledWrite, FILE_LOCKS),
            (WritesLines, FILE_LINES),
            (NotesMessages, FILE_MESSAGES),
            (Silence, NO_NETWORK),
        ],
    ),
    (
        "files over SFTP",
        &[
            (MakesNoneOfAChange, FILE_ROWS),
            (RoundTrips, FILE_TYPES),
            (RefusesOneRow, FILE_COLUMNS),
            (WrongTable, FILE_TABLES),
            (Describes, FILE_CATALOG),
            (FindsChildren, FILE_LINES),
            (RevokedRight, FILE_RIGHTS),
            (NoRoom, FILE_ROOM),
            (Restart, "each read and write logs in anew"),
            (StatementTimeout, NO_STATEMENTS),
            (LockTimeout, FILE_LOCKS),
            (CancelledWrite, FILE_LOCKS),
            (WritesLines, FILE_LINES),
            (NotesMessages, FILE_MESSAGES),
        ],
    ),
    ("mysql", &[]),
    (
        "odata",
        &[
            (FindsChildren, SERVICE_LINES),
            (NoRoom, HTTP_ROOM),
            (Restart, HTTP_SESSIONS),
            (StatementTimeout, NO_STATEMENTS),
            (LockTimeout, HTTP_LOCKS),
            (CancelledWrite, HTTP_LOCKS),
            (WritesLines, SERVICE_LINES),
            (NotesMessages, SERVICE_MESSAGES),
        ],
    ),
    ("postgres", &[]),
    (
        "rest",
        &[
            (MakesNoneOfAChange, "the API of the suite deletes nothing: it is in ironbridge/tests/it/home.rs"),
            (RoundTrips, "JSON has no times and no replaced columns: the mapping reads texts"),
            (WrongTable, "an API has no tables"),
            (WrongColumn, "an API has no catalogue: what it does not know, it ignores"),
            (Describes, "an API has no catalogue"),
            (
                GetsByKey,
                "one row is a request of its own (`get:`), by fields of the entity: it is in rest.rs and in virtual tables",
            ),
            (FindsChildren, SERVICE_LINES),
            (NoRoom, HTTP_ROOM),
            (Restart, HTTP_SESSIONS),
            (StatementTimeout, NO_STATEMENTS),
            (LockTimeout, HTTP_LOCKS),
            (CancelledWrite, HTTP_LOCKS),
            (WritesLines, SERVICE_LINES),
            (NotesMessages, SERVICE_MESSAGES),
        ],
    ),
    (
        "sqlite",
        &[
            (WrongPassword, "a SQLite file has none"),
            (RevokedRight, "the rights are those of the file, and are in ironbridge/tests/it/rights.rs"),
            (NoRoom, "a limit of pages belongs to one connection: a disk that is really full is in full_disk.rs"),
            (CutWhileReading, NO_NETWORK),
            (CutWhileWriting, NO_NETWORK),
            (Silence, NO_NETWORK),
        ],
    ),
    (
        "sqlserver",
        &[
            (RevokedRight, "a server that can be named for the tests has one user"),
            (NoRoom, "a server that can be named for the tests has room"),
            (CutWhileReading, "the server is somebody's own: its network is not cut"),
            (CutWhileWriting, "the server is somebody's own: its network is not cut"),
            (Restart, "the server is somebody's own: its sessions are not ended"),
            (StatementTimeout, "the server is somebody's own: nothing of it is kept busy"),
            (LockTimeout, "the server is somebody's own: nothing of it is kept busy"),
            (CancelledWrite, "the server is somebody's own: nothing of it is kept busy"),
            (WritesLines, "the server is somebody's own: it has one table of the suite"),
        ],
    ),
];

pub fn of(stand: &str) -> &'static [(Check, &'static str)] {
    ALL.iter().find(|(name, _)| *name == stand).unwrap_or_else(|| panic!("no line for `{stand}`")).1
}
