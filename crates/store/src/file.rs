//! The state file: how it is opened, made, checked and brought up to date.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// Forward migrations, oldest first: the version of a file is how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_state.sql"),
    include_str!("../migrations/0002_deactivated.sql"),
    include_str!("../migrations/0003_pause.sql"),
    include_str!("../migrations/0004_outage.sql"),
    include_str!("../migrations/0005_agreement.sql"),
    include_str!("../migrations/0006_approval.sql"),
    include_str!("../migrations/0007_journal.sql"),
    include_str!("../migrations/0008_care.sql"),
    include_str!("../migrations/0009_flow.sql"),
    include_str!("../migrations/0010_console.sql"),
    include_str!("../migrations/0011_alert.sql"),
    include_str!("../migrations/0012_away.sql"),
    include_str!("../migrations/0013_filing.sql"),
    include_str!("../migrations/0014_tally.sql"),
    include_str!("../migrations/0015_look.sql"),
    include_str!("../migrations/0016_open_questions.sql"),
    include_str!("../migrations/0017_started.sql"),
    include_str!("../migrations/0018_unread.sql"),
    include_str!("../migrations/0019_letters_of_keys.sql"),
    include_str!("../migrations/0020_outage_at.sql"),
    include_str!("../migrations/0021_place.sql"),
    include_str!("../migrations/0022_unheard.sql"),
];

/// "IBst" in the file's header: the file is ours.
const APPLICATION_ID: u32 = 0x4942_7374;
pub(crate) const PAGE_BYTES: u32 = 16 * 1024;

/// What a connection is for; it decides how much memory it may keep.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Writer,
    Reader,
    Checkpointer,
}

/// The newest version of the file that this code knows.
pub(crate) fn known_version() -> u32 {
    MIGRATIONS.len() as u32
}

/// The state file of a folder, made and migrated if need be.
pub(crate) fn prepare(dir: &Path, busy: Duration) -> Result<PathBuf, Error> {
    let folder = |source| Error::Folder { path: dir.to_owned(), source };
    make(dir).map_err(folder)?;
    let path = dir.join("state.db");
    if version_in_header(&path)? == Some(known_version()) {
        return Ok(path);
    }
    // Whoever comes second waits here and finds the work done.
    let guard = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("migrate.lock"));
    let guard = guard.map_err(folder)?;
    guard.lock().map_err(folder)?;
    migrate(&path, busy).map_err(|error| match error {
        Failed::Newer(found) => Error::Newer { path: path.clone(), found, known: known_version() },
        Failed::NotOurs => Error::NotOurs { path: path.clone() },
        Failed::Sql(source) => Error::sqlite(&path, source),
    })?;
    Ok(path)
}

/// Makes the state folder where there is none, for its owner alone: dead letters and messages hold whatever people wrote.
fn make(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Opens one connection to a file that [`prepare`] has seen.
pub(crate) fn connect(path: &Path, role: Role, busy: Duration) -> Result<Connection, Error> {
    let wrap = |source| Error::sqlite(path, source);
    let conn = Connection::open_with_flags(path, flags()).map_err(wrap)?;
    configure(&conn, role, busy).map_err(wrap)?;
    Ok(conn)
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn configure(conn: &Connection, role: Role, busy: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(busy)?;
    // Otherwise every new value bound where a partial index might serve has the statement compiled again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints have a connection of their own, so that no commit waits for one.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What a burst made of the log is given back; below that it is overwritten, which is twice as fast as growing.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    if role == Role::Writer {
        // What is deleted is overwritten where its page is written anyway; `Store::scrub` gives the other pages back.
        conn.pragma_update_and_check(None, "secure_delete", "FAST", |_| Ok(()))?;
    }
    let cache_kib = match role {
        Role::Writer => 8 * 1024,
        Role::Reader => 2 * 1024,
        Role::Checkpointer => 256,
    };
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    // Pages that giving back space cuts off are dropped at its commit; spilled before, they would all go to the log.
    conn.pragma_update(None, "cache_spill", role != Role::Checkpointer)?;
    conn.pragma_update(None, "query_only", role == Role::Reader)?;
    conn.set_prepared_statement_cache_capacity(if role == Role::Writer { 160 } else { 32 });
    Ok(())
}

/// The version that the file's header names, read without SQLite so that nothing is touched. `None`: no file yet.
///
/// A file whose newest header is still in the write-ahead log is judged again by [`migrate`].
fn version_in_header(path: &Path) -> Result<Option<u32>, Error> {
    let io = |source| Error::Folder { path: path.to_owned(), source };
    let header = match header(path) {
        Ok(header) => header,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if header.is_empty() {
        return Ok(None);
    }
    let number = |at: usize| header.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    match (header.starts_with(b"SQLite format 3\0"), number(60), number(68)) {
        (true, Some(found), Some(APPLICATION_ID)) if found > known_version() => {
            Err(Error::Newer { path: path.to_owned(), found, known: known_version() })
        }
        (true, Some(found), Some(APPLICATION_ID)) => Ok(Some(found)),
        // A file that was just being made: its header may say nothing yet.
        (true, Some(0), Some(0)) => Ok(Some(0)),
        _ => Err(Error::NotOurs { path: path.to_owned() }),
    }
}

/// The beginning of the file. Where this process has it open, it is not closed again: that would give up SQLite's locks.
fn header(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    #[cfg(unix)]
    if let Some(file) = crate::room::open_already(path) {
        header.resize(100, 0);
        let read = std::os::unix::fs::FileExt::read_at(&*file, &mut header, 0)?;
        header.truncate(read);
        return Ok(header);
    }
    File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header)
}

enum Failed {
    Newer(u32),
    NotOurs,
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sql(error)
    }
}

fn migrate(path: &Path, busy: Duration) -> Result<(), Failed> {
    let mut conn = Connection::open_with_flags(path, flags() | OpenFlags::SQLITE_OPEN_CREATE)?;
    conn.busy_timeout(busy)?;
    let (found, owner) = (pragma(&conn, "user_version")?, pragma(&conn, "application_id")?);
    let empty = conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    match (found, owner) {
        (0, 0) if empty => {}
        (found, APPLICATION_ID) if found <= known_version() => {}
        (found, APPLICATION_ID) => return Err(Failed::Newer(found)),
        _ => return Err(Failed::NotOurs),
    }
    if empty {
        // These three only take while the file is empty.
        conn.pragma_update(None, "page_size", PAGE_BYTES)?;
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for migration in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known_version())?;
    transaction.commit()?;
    // Puts the new version into the header itself, where an older Ironbridge looks first.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<u32> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

/// All tables and indexes as SQLite keeps them, in the order they were made.
#[cfg(test)]
pub(crate) fn schema(conn: &Connection) -> String {
    let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").unwrap();
    let all = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    all.map(|sql| sql.unwrap() + ";\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Duration = Duration::from_secs(5);

    #[test]
    fn the_committed_schema_is_what_the_migrations_make() {
        let dir = tempfile::tempdir().unwrap();
        let path = prepare(dir.path(), BUSY).unwrap();
        let made = schema(&connect(&path, Role::Reader, BUSY).unwrap());
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.sql");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&committed, &made).unwrap();
        }
        assert_eq!(
            made,
            fs::read_to_string(committed).unwrap(),
            "run this test with UPDATE_SCHEMA=1 and look at the difference"
        );
    }

    #[test]
    fn a_new_file_has_the_measured_shape() {
        let dir = tempfile::tempdir().unwrap();
        let path = prepare(dir.path(), BUSY).unwrap();
        let conn = connect(&path, Role::Writer, BUSY).unwrap();
        assert_eq!(pragma(&conn, "page_size").unwrap(), PAGE_BYTES);
        assert_eq!(pragma(&conn, "auto_vacuum").unwrap(), 2);
        assert_eq!(pragma(&conn, "synchronous").unwrap(), 2);
        assert_eq!(conn.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(), "wal");
        assert_eq!(version_in_header(&path).unwrap(), Some(known_version()));
    }

    fn refused(bytes: &[u8]) -> Error {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        fs::write(&path, bytes).unwrap();
        let error = prepare(dir.path(), BUSY).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file was touched");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left beside the file");
        error
    }

    #[test]
    fn foreign_files_are_refused_untouched() {
        assert!(matches!(refused(b"dear diary"), Error::NotOurs { .. }));
        assert!(matches!(refused(&[0; 4096]), Error::NotOurs { .. }));

        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("PRAGMA user_version=1; CREATE TABLE t (a);").unwrap();
        assert!(matches!(refused(&fs::read(other).unwrap()), Error::NotOurs { .. }));
    }

    #[test]
    fn a_newer_file_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = prepare(dir.path(), BUSY).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[60..64].copy_from_slice(&(known_version() + 7).to_be_bytes());
        let error = refused(&bytes);
        assert!(
            matches!(error, Error::Newer { found, known, .. } if (found, known) == (known_version() + 7, known_version()))
        );
        assert!(error.to_string().contains(&format!("version {}", known_version() + 7)), "{error}");
    }

    #[test]
    fn a_damaged_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = prepare(dir.path(), BUSY).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[100..4000].fill(0xAB);
        fs::write(&path, &bytes).unwrap();
        let conn = connect(&path, Role::Writer, BUSY);
        let error = match conn {
            Err(error) => error,
            Ok(conn) => Error::sqlite(&path, conn.execute("DELETE FROM lease", []).unwrap_err()),
        };
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    }

    #[test]
    fn several_may_make_the_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let path = prepare(dir.path(), BUSY).unwrap();
                    connect(&path, Role::Writer, BUSY).unwrap().execute("DELETE FROM lease", []).unwrap();
                });
            }
        });
    }
}
