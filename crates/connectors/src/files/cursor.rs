//! Where the reading of files stands: which were read to their ends, and how far into one.

use serde_json::{Value as Json, json};

use super::place::Entry;

/// Files that are gone from the folder are remembered up to this many, so that one that is sent again is known.
const REMEMBERED: usize = 200;

/// A place in the files. *Shape*: JSON with a version.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Cursor {
    /// Files that were read to their ends, in the order in which they were read.
    pub read: Vec<Known>,
    pub at: Option<Midway>,
}

/// How far into a file reading has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Midway {
    /// The file; its hash is that of its first bytes.
    pub known: Known,
    /// So many of them.
    pub bytes: u64,
    /// Rows that are done.
    pub rows: u64,
}

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub name: String,
    pub size: u64,
    pub modified: i64,
    pub hash: u64,
}

impl Known {
    pub fn of(entry: &Entry, hash: u64) -> Known {
        Known { name: entry.name.clone(), size: entry.size, modified: entry.modified, hash }
    }

    /// Whether the listed file is the one that was read.
    pub fn is(&self, entry: &Entry) -> bool {
        (self.name.as_str(), self.size, self.modified) == (entry.name.as_str(), entry.size, entry.modified)
    }

    /// What files are ordered by: the time of their last change, then their names.
    pub fn order(&self) -> (i64, &str) {
        (self.modified, &self.name)
    }

    fn to_json(&self) -> Json {
        json!([self.name, self.size, self.modified, format!("{:016x}", self.hash)])
    }

    fn parse(json: &Json) -> Option<Known> {
        let [name, size, modified, hash, ..] = json.as_array()?.as_slice() else { return None };
        Some(Known {
            name: name.as_str()?.to_owned(),
            size: size.as_u64()?,
            modified: modified.as_i64()?,
            hash: u64::from_str_radix(hash.as_str()?, 16).ok()?,
        })
    }
}

impl Midway {
    fn to_json(&self) -> Json {
        let mut json = self.known.to_json();
        if let Some(parts) = json.as_array_mut() {
            parts.extend([json!(self.rows), json!(self.bytes)]);
        }
        json
    }

    fn parse(json: &Json) -> Option<Midway> {
        let known = Known::parse(json)?;
        // Before files were hashed as they are read, it was the hash of all their bytes.
        let bytes = json.get(5).map_or(Some(known.size), Json::as_u64)?;
        Some(Midway { known, bytes, rows: json.get(4)?.as_u64()? })
    }
}

impl Cursor {
    /// `None` for a text that is not of this kind of system.
    pub fn parse(text: &str) -> Option<Cursor> {
        let json: Json = serde_json::from_str(text).ok()?;
        if json.get("files")?.as_i64()? != 1 {
            return None;
        }
        let at = match json.get("at") {
            None | Some(Json::Null) => None,
            Some(at) => Some(Midway::parse(at)?),
        };
        let read = json.get("read")?.as_array()?.iter().map(Known::parse).collect::<Option<_>>()?;
        Some(Cursor { read, at })
    }

    pub fn to_text(&self) -> String {
        let read: Vec<Json> = self.read.iter().map(Known::to_json).collect();
        let mut json = json!({ "files": 1, "read": read });
        if let Some(at) = &self.at {
            json["at"] = at.to_json();
        }
        json.to_string()
    }

    /// A file was read to its end. Where each file has everything, only the last one counts.
    pub fn done(&mut self, known: Known, whole: bool) {
        self.at = None;
        if whole {
            self.read.clear();
        }
        self.read.retain(|other| other.name != known.name || other.hash != known.hash);
        self.read.push(known);
    }

    /// Forgets what is not listed any more, but for the last ones.
    pub fn forget(&mut self, listed: &[Entry]) {
        let beyond = self.read.len().saturating_sub(REMEMBERED);
        let mut at = 0;
        self.read.retain(|known| {
            at += 1;
            at > beyond || listed.iter().any(|entry| known.is(entry))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, hash: u64) -> Known {
        Known { name: name.into(), size: 5, modified: 1_700_000_000_000, hash }
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_out() {
        let at = Midway { known: known("b.csv", u64::MAX), bytes: 4, rows: 5_000 };
        let mut cursor = Cursor { read: vec![known("a \"1\".csv", 7)], at: Some(at) };
        assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor.clone()));
        let older = Cursor::parse(&cursor.to_text().replace(",5000,4]", ",5000]")).unwrap();
        assert_eq!(older.at.map(|at| (at.rows, at.bytes)), Some((5_000, 5)));
        cursor.done(known("b.csv", 8), false);
        assert_eq!(
            cursor.to_text(),
            r#"{"files":1,"read":[["a \"1\".csv",5,1700000000000,"0000000000000007"],["b.csv",5,1700000000000,"0000000000000008"]]}"#
        );
        cursor.done(known("c.csv", 9), true);
        assert_eq!(cursor.read, [known("c.csv", 9)]);
        for text in
            ["", "{}", "[]", r#"{"v":1}"#, r#"{"files":1}"#, r#"{"files":2,"read":[]}"#, r#"{"files":1,"read":[[1]]}"#]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_gone_is_forgotten_in_the_end() {
        let mut cursor = Cursor::default();
        for number in 0..300 {
            cursor.done(known(&format!("{number}.csv"), number), false);
        }
        let listed = Entry { folder: String::new(), name: "0.csv".into(), size: 5, modified: 1_700_000_000_000 };
        cursor.forget(&[listed]);
        assert_eq!(cursor.read.len(), REMEMBERED + 1);
        assert_eq!(cursor.read[0].name, "0.csv");
    }
}
