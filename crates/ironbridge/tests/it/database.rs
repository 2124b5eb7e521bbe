//! A database of a drill: SQLite, PostgreSQL or MariaDB, and the network before it, which can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::{mysql, postgres};

/// A database of a drill.
pub enum Database {
    Lite(PathBuf),
    Postgres(postgres::Database, Wire),
    Maria(mysql::Database, Wire),
}

impl Database {
    /// `None` without a server.
    pub fn new(kind: &str, name: &str, dir: &Path) -> Option<Database> {
        Some(match kind {
            "sqlite" => Database::Lite(dir.join(format!("data/{name}.db"))),
            "postgres" => {
                let database = postgres::Database::new(name)?;
                let wire = Wire::to(&database.url);
                Database::Postgres(database, wire)
            }
            _ => {
                let database = mysql::Database::new(name)?;
                let wire = Wire::to(&database.url);
                Database::Maria(database, wire)
            }
        })
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Database::Lite(_) => "sqlite",
            Database::Postgres(..) => "postgres",
            Database::Maria(..) => "mysql",
        }
    }

    pub fn connection(&self, name: &str) -> String {
        match self {
            Database::Lite(file) => format!("{{ file: \"{}\" }}", file.display()),
            Database::Postgres(..) | Database::Maria(..) => format!("{{ url: \"${{file:{name}.url}}\" }}"),
        }
    }

    pub fn wire(&self) -> Option<&Wire> {
        match self {
            Database::Lite(_) => None,
            Database::Postgres(_, wire) | Database::Maria(_, wire) => Some(wire),
        }
    }

    pub fn sql(&self, sql: &str) {
        match self {
            Database::Lite(file) => connect(file).execute_batch(sql).unwrap_or_else(|why| panic!("{why}: {sql}")),
            Database::Postgres(database, ..) => database.sql(sql),
            Database::Maria(database, ..) => {
                database.sql(&sql.split(";;").filter(|sql| !sql.trim().is_empty()).collect::<Vec<_>>())
            }
        }
    }

    /// The first column of each row.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Database::Lite(file) => {
                let conn = connect(file);
                let mut statement = conn.prepare(sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            }
            Database::Postgres(database, ..) => database.texts(sql),
            Database::Maria(database, ..) => database.values(sql),
        }
    }

    pub fn text(&self, text: &str) -> String {
        let text = text.replace('\'', "''");
        let text = if matches!(self, Database::Maria(..)) { text.replace('\\', "\\\\") } else { text };
        format!("'{text}'")
    }

    pub fn yes_no(&self, yes: bool) -> &'static str {
        match (self, yes) {
            (Database::Postgres(..), true) => "true",
            (Database::Postgres(..), false) => "false",
            (_, true) => "1",
            (_, false) => "0",
        }
    }

    pub fn instant(&self, at: i64) -> String {
        let at = Timestamp::from_millisecond(at).unwrap().strftime("%Y-%m-%d %H:%M:%S%.3f");
        let zone = if matches!(self, Database::Postgres(..)) { "+00" } else { "" };
        format!("'{at}{zone}'")
    }

    pub fn cut_after(&self, bytes: Option<u64>) {
        if let Some(wire) = self.wire() {
            wire.left.store(bytes.map_or(i64::MAX, |bytes| bytes as i64), Ordering::SeqCst);
        }
    }

    pub fn remove(&self) {
        match self {
            Database::Lite(_) => {}
            Database::Postgres(database, _) => database.remove(),
            Database::Maria(database, _) => database.remove(),
        }
    }
}

fn connect(file: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    conn
}

/// The network between the hub and a server, which can be cut: once so many bytes have passed, the connection ends.
pub struct Wire {
    pub url: String,
    left: Arc<AtomicI64>,
}

impl Wire {
    fn to(url: &str) -> Wire {
        let (before, after) = url.rsplit_once('@').unwrap();
        let (server, database) = after.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let (server, counted) = (server.to_owned(), left.clone());
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(&server) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to, left) = (from.try_clone().unwrap(), to.try_clone().unwrap(), counted.clone());
                    std::thread::spawn(move || pass(from, to, &left));
                }
            }
        });
        Wire { url, left }
    }
}

/// Passes on what comes, until the end or the cut.
fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut some = [0; 4096];
    while let Ok(length) = from.read(&mut some) {
        let before = left.fetch_sub(length as i64, Ordering::SeqCst);
        // The part before the cut has left.
        let passed = usize::try_from(before.max(0)).unwrap_or(usize::MAX).min(length);
        if passed < length {
            left.store(i64::MAX, Ordering::SeqCst);
        }
        if to.write_all(&some[..passed]).is_err() || length == 0 || passed < length {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
