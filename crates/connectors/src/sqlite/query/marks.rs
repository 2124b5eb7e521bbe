//! Where rows stand in a table, known from pages that were asked for before, for as long as nobody writes.
//!
//! SQLite finds the row behind so many others by counting them. Whoever scrolls asks for one page after the other, and
//! every page would count all rows before it again.
//!
//! *Source*: `PRAGMA data_version` gives one connection another number as soon as another connection has changed the
//! database. It is asked in the moment that the page is read in, which is over when what [`version`] returns is dropped.

use std::collections::{BTreeMap, HashMap};

use rusqlite::types::Value;
use rusqlite::{Row, Rows, Statement};

/// Rows that are kept in mind.
const KNOWN: usize = 1_024;
/// How much more a row takes that is passed on the way from one that is known: it is found in the table, and not only
/// counted in the index.
const DEARER: u64 = 3;

/// Rows of one connection by their places.
#[derive(Default)]
pub(super) struct Marks {
    version: i64,
    /// By what the rows are ordered by: the key of the row that has so many before it.
    known: HashMap<String, BTreeMap<u64, Vec<Value>>>,
}

impl Marks {
    /// Forgets everything where somebody has written since.
    pub fn are_of(&mut self, version: i64) {
        if self.version != version {
            self.known.clear();
            self.version = version;
        }
    }

    /// The nearest known row at this place or before it, and how many rows it is further from there; nothing where
    /// counting from the start is not dearer.
    pub fn before(&self, order: &str, place: u64) -> Option<(Vec<Value>, u64)> {
        let (at, key) = self.known.get(order)?.range(..=place).next_back()?;
        let further = place - at;
        (further.saturating_mul(DEARER) <= place).then(|| (key.clone(), further))
    }

    pub fn note(&mut self, order: &str, place: u64, key: Vec<Value>) {
        if self.known.values().map(BTreeMap::len).sum::<usize>() >= KNOWN {
            self.known.clear();
        }
        match self.known.get_mut(order) {
            Some(known) => _ = known.insert(place, key),
            None => _ = self.known.insert(order.to_owned(), BTreeMap::from([(place, key)])),
        }
    }
}

/// The values of a row in these columns, as they are stored.
pub(super) fn key(row: &Row<'_>, columns: &[usize]) -> rusqlite::Result<Vec<Value>> {
    columns.iter().map(|column| row.get(*column)).collect()
}

/// Asks in which state the database is. The moment is held open until what is returned is dropped.
pub(super) fn version<'s>(statement: &'s mut Statement<'_>) -> rusqlite::Result<(i64, Rows<'s>)> {
    let mut rows = statement.query([])?;
    let version = match rows.next()? {
        Some(row) => row.get(0)?,
        None => return Err(rusqlite::Error::QueryReturnedNoRows),
    };
    Ok((version, rows))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn key(of: i64) -> Vec<Value> {
        vec![Value::Integer(of)]
    }

    #[test]
    fn the_nearest_row_before_a_place_is_known_until_somebody_writes() {
        let mut marks = Marks::default();
        marks.are_of(7);
        marks.note("a", 1_000, key(1));
        marks.note("a", 1_499, key(2));
        marks.note("b", 900, key(3));
        let check = |marks: &Marks, order: &str, place: u64, expected: Option<(i64, u64)>| {
            let expected = expected.map(|(of, further)| (key(of), further));
            assert_eq!(marks.before(order, place), expected, "{order} {place}");
        };
        check(&marks, "a", 1_500, Some((2, 1)));
        check(&marks, "a", 1_499, Some((2, 0)));
        check(&marks, "a", 1_200, Some((1, 200)));
        check(&marks, "a", 999, None);
        check(&marks, "b", 1_499, None);
        check(&marks, "c", 1_499, None);
        marks.are_of(7);
        check(&marks, "b", 900, Some((3, 0)));
        marks.are_of(8);
        check(&marks, "b", 900, None);
    }

    #[test]
    fn no_more_rows_are_kept_than_there_is_room_for() {
        let mut marks = Marks::default();
        for place in 0..5 * KNOWN as u64 {
            marks.note(if place % 2 == 0 { "a" } else { "b" }, place, key(0));
            assert!(marks.known.values().map(BTreeMap::len).sum::<usize>() <= KNOWN);
        }
    }

    #[test]
    fn a_moment_is_held_open_and_the_next_one_knows_of_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.db");
        let writer = Connection::open(&file).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE item (no INTEGER PRIMARY KEY)").unwrap();
        let reader = Connection::open(&file).unwrap();
        let count = || reader.query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0)).unwrap();
        let mut statement = reader.prepare("PRAGMA data_version").unwrap();
        let (before, moment) = version(&mut statement).unwrap();
        writer.execute_batch("INSERT INTO item VALUES (1)").unwrap();
        assert_eq!(count(), 0);
        drop(moment);
        assert_eq!(count(), 1);
        let (after, _) = version(&mut statement).unwrap();
        assert_ne!(before, after);
    }
}
