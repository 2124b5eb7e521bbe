//! A finance database in SQLite: one table of customers, most of them good and a few bad on purpose.
//!
//! Companies are put together from invented words, mail goes to `.example`, and nobody in it is a person.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

/// How many customers a demo has.
pub const CUSTOMERS: usize = 2_500;

/// What was made, and where its bad rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finance {
    pub path: PathBuf,
    /// All rows, the bad ones included.
    pub rows: usize,
    /// The key of the customer whose name is longer than an account's name may be.
    pub over_long_name: String,
    /// The key of the customer with payment terms that nobody defined.
    pub unknown_terms: String,
    /// How many rows have no key at all, or only spaces.
    pub without_key: usize,
    /// Two keys that differ in case only.
    pub same_but_for_case: [String; 2],
    /// The key of a good customer, for people to try a change on.
    pub to_try: String,
}

/// Why the sample could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the sample finance database {} cannot be written: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("the sample finance database {} exists already; remove it or choose another folder", path.display())]
    Exists { path: PathBuf },
    #[error("there is no customer '{customer_no}' in {}", path.display())]
    NoCustomer { path: PathBuf, customer_no: String },
}

const SCHEMA: &str = "
CREATE TABLE _about (text TEXT NOT NULL);
INSERT INTO _about VALUES
  ('SAMPLE DATA. The companies do not exist; their names are put together from invented words, and every e-mail address ends in .example.'),
  ('customers.updated_at is UTC. terms_code is 30, 60 or PP (prepaid). A few rows are bad on purpose.');
CREATE TABLE customers (   -- sample data, see _about
  customer_no   TEXT,
  company_name  TEXT,
  contact_name  TEXT,
  contact_email TEXT,
  credit_limit  TEXT,      -- an exact decimal in pounds
  terms_code    TEXT,
  parent_no     TEXT,
  updated_at    TEXT NOT NULL
);
CREATE INDEX customers_by_no ON customers (customer_no);
CREATE INDEX customers_by_change ON customers (updated_at);
";

/// Makes the database: the same rows for the same number and seed.
///
/// *Shape*: at least ten rows, so that the bad ones do not outweigh the good.
/// *Errors*: a file that is there already; one that cannot be written.
pub fn create(path: &Path, customers: usize, seed: u64) -> Result<Finance, Error> {
    if path.exists() {
        return Err(Error::Exists { path: path.into() });
    }
    let rows = customers.max(10);
    let finance = plan(path, rows);
    let failed = |source| Error::Database { path: path.into(), source };
    let mut conn = Connection::open(path).map_err(failed)?;
    // A reader beside a writer must not wait.
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;").map_err(failed)?;
    let transaction = conn.transaction().map_err(failed)?;
    transaction.execute_batch(SCHEMA).map_err(failed)?;
    {
        let sql = "INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = transaction.prepare(sql).map_err(failed)?;
        let mut dice = Dice(seed);
        for index in 0..rows {
            let row = customer(index, rows, &mut dice, &finance);
            let (no, parent) = (row.no, row.parent);
            insert
                .execute(params![
                    no,
                    row.name,
                    row.contact,
                    row.email,
                    row.credit_limit,
                    row.terms,
                    parent,
                    row.updated_at
                ])
                .map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(finance)
}

/// Changes one customer's credit limit and its `updated_at`, as the finance system would.
pub fn change_credit_limit(path: &Path, customer_no: &str, credit_limit: &str, now: Timestamp) -> Result<(), Error> {
    let failed = |source| Error::Database { path: path.into(), source };
    let conn = Connection::open(path).map_err(failed)?;
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    let sql = "UPDATE customers SET credit_limit = ?2, updated_at = ?3 WHERE customer_no = ?1";
    match conn.execute(sql, params![customer_no, credit_limit, utc(now)]).map_err(failed)? {
        0 => Err(Error::NoCustomer { path: path.into(), customer_no: customer_no.into() }),
        _ => Ok(()),
    }
}

/// Lets others write customers: one row for each number, and `updated_at` follows a change that does not say it.
pub fn open_to_writers(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Database { path: path.into(), source };
    let conn = Connection::open(path).map_err(failed)?;
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    conn.execute_batch(WRITABLE).map_err(failed)
}

const WRITABLE: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS customers_once ON customers (customer_no);
CREATE TRIGGER IF NOT EXISTS customers_touched AFTER UPDATE ON customers WHEN new.updated_at IS old.updated_at
BEGIN
  UPDATE customers SET updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE rowid = new.rowid;
END;
";

/// The credit limit of one customer, as finance has it.
pub fn credit_limit(path: &Path, customer_no: &str) -> Result<Option<String>, Error> {
    let failed = |source| Error::Database { path: path.into(), source };
    let conn = Connection::open(path).map_err(failed)?;
    let sql = "SELECT CAST(credit_limit AS TEXT) FROM customers WHERE customer_no = ?1";
    let mut found = conn.prepare(sql).map_err(failed)?;
    let mut rows = found.query_map([customer_no], |row| row.get(0)).map_err(failed)?;
    rows.next().transpose().map(Option::flatten).map_err(failed)
}

/// The same change as one line for a shell that has `sqlite3`.
pub fn change_command(path: &Path, customer_no: &str, credit_limit: &str) -> String {
    format!(
        "sqlite3 {} \"UPDATE customers SET credit_limit = '{credit_limit}', updated_at = \
         strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE customer_no = '{customer_no}'\"",
        path.display()
    )
}

fn plan(path: &Path, rows: usize) -> Finance {
    Finance {
        path: path.into(),
        rows,
        over_long_name: number(rows - 6),
        unknown_terms: number(rows - 5),
        without_key: 2,
        same_but_for_case: [number(rows - 2), number(rows - 2).to_lowercase()],
        to_try: number(0),
    }
}

struct Customer {
    no: Option<String>,
    name: String,
    contact: Option<String>,
    email: String,
    credit_limit: String,
    terms: &'static str,
    parent: Option<String>,
    updated_at: String,
}

fn number(index: usize) -> String {
    format!("C-{}", 1000 + index)
}

/// One customer; the last six are the bad ones.
fn customer(index: usize, rows: usize, dice: &mut Dice, finance: &Finance) -> Customer {
    let first = dice.pick(&FIRST);
    let second = dice.pick(&SECOND);
    let trade = dice.pick(&TRADES);
    let form = dice.pick(&FORMS);
    let name = format!("{first}{second} {trade} {form}");
    let host = format!("{first}{second}-{}", trade.to_lowercase().replace(' ', "-"));
    let desk = dice.pick(&DESKS);
    let email = format!("{}@{}.example", desk.1, host.to_lowercase());
    let changed = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(BEGIN + 97 * i64::try_from(index).unwrap_or(0));
    let mut customer = Customer {
        no: Some(number(index)),
        name: match dice.below(12) {
            0 => format!("  {name}"),
            1 => format!("{name}   "),
            _ => name,
        },
        contact: (dice.below(5) > 0).then(|| format!("{} (sample)", desk.0)),
        email: if dice.below(6) == 0 { mixed_case(&email) } else { email },
        credit_limit: format!("{}.{:02}", 500 * (1 + dice.below(200)), dice.below(4) * 25),
        terms: match dice.below(10) {
            0 => "PP",
            1 | 2 => "60",
            _ => "30",
        },
        // A parent comes before its children in the table, as it did in life.
        parent: (index > 20 && dice.below(8) == 0).then(|| number(dice.below(20))),
        updated_at: utc(changed),
    };
    match rows - index {
        6 => {
            customer.name = format!("{} formerly trading as {}", customer.name.trim(), "Sample Name ".repeat(15).trim())
        }
        5 => customer.terms = "99",
        4 => customer.no = None,
        3 => customer.no = Some("   ".into()),
        1 => customer.no = Some(finance.same_but_for_case[1].clone()),
        _ => {}
    }
    customer
}

/// 2026-01-05T08:00:00Z, when the first customer was last changed.
const BEGIN: i64 = 1_767_600_000;

fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn mixed_case(text: &str) -> String {
    text.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bounded = (z ^ (z >> 31)) % u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(bounded).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const FIRST: [&str; 40] = [
    "Bramble", "Quill", "Thistle", "Harrow", "Copper", "Larks", "Fennel", "Otter", "Willow", "Marl", "Hazel", "Tarn",
    "Sorrel", "Plover", "Cinder", "Alder", "Gorse", "Linnet", "Merle", "Rowan", "Saffron", "Teasel", "Umber", "Vetch",
    "Wren", "Yarrow", "Bracken", "Clover", "Dapple", "Elder", "Flint", "Garnet", "Heron", "Iron", "Juniper", "Kestrel",
    "Lichen", "Moss", "Nettle", "Osier",
];

const SECOND: [&str; 24] = [
    "mere", "wick", "ford", "dale", "holt", "combe", "thwaite", "stead", "leigh", "marsh", "ridge", "burn", "cliffe",
    "garth", "haven", "moor", "shaw", "worth", "by", "field", "gate", "brook", "mouth", "tor",
];

const TRADES: [&str; 28] = [
    "Bakery",
    "Joinery",
    "Logistics",
    "Ceramics",
    "Textiles",
    "Brewing",
    "Packaging",
    "Nurseries",
    "Engineering",
    "Lighting",
    "Stationery",
    "Foods",
    "Printing",
    "Castings",
    "Glassworks",
    "Chandlery",
    "Cabinets",
    "Instruments",
    "Fasteners",
    "Coatings",
    "Dairy",
    "Upholstery",
    "Tools",
    "Pumps",
    "Roofing",
    "Timber",
    "Optics",
    "Catering",
];

const FORMS: [&str; 6] = ["Ltd", "Limited", "LLP", "Group", "Holdings", "Trading"];

/// What a contact is, and its mailbox: desks, not people.
const DESKS: [(&str, &str); 6] = [
    ("Accounts payable", "accounts"),
    ("Purchasing desk", "purchasing"),
    ("Front office", "office"),
    ("Credit control", "credit"),
    ("Works manager's office", "works"),
    ("Finance team", "finance"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &Path, condition: &str) -> i64 {
        let conn = Connection::open(path).unwrap();
        conn.query_row(&format!("SELECT count(*) FROM customers WHERE {condition}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn good_and_bad_rows_are_where_they_are_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("finance.db");
        let finance = create(&path, 500, 7).unwrap();
        assert_eq!(count(&path, "true"), 500);
        assert_eq!(count(&path, "length(trim(company_name)) > 160"), 1);
        assert_eq!(
            count(&path, &format!("customer_no = '{}' AND length(company_name) > 160", finance.over_long_name)),
            1
        );
        assert_eq!(count(&path, "terms_code NOT IN ('30', '60', 'PP')"), 1);
        assert_eq!(count(&path, &format!("customer_no = '{}' AND terms_code = '99'", finance.unknown_terms)), 1);
        assert_eq!(count(&path, "customer_no IS NULL OR trim(customer_no) = ''"), 2);
        assert_eq!(count(&path, &format!("lower(customer_no) = '{}'", finance.same_but_for_case[1])), 2);
        assert_eq!(count(&path, "contact_email NOT LIKE '%.example'"), 0);
        assert!(count(&path, "company_name <> trim(company_name)") > 20);
        assert!(count(&path, "contact_email <> lower(contact_email)") > 20);
        assert!(count(&path, "parent_no IS NOT NULL") > 20);
        let orphans = "parent_no IS NOT NULL AND parent_no NOT IN (SELECT customer_no FROM customers WHERE customer_no IS NOT NULL)";
        assert_eq!(count(&path, orphans), 0);
        assert!(matches!(create(&path, 500, 7), Err(Error::Exists { .. })));
    }

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let all = |name: &str, seed| {
            let path = dir.path().join(name);
            create(&path, 50, seed).unwrap();
            let conn = Connection::open(path).unwrap();
            let sql = "SELECT group_concat(coalesce(customer_no, '') || company_name || credit_limit || updated_at) FROM customers";
            conn.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(all("a", 1), all("b", 1));
        assert_ne!(all("c", 1), all("d", 2));
    }

    #[test]
    fn a_change_of_others_is_seen_by_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("finance.db");
        let finance = create(&path, 50, 1).unwrap();
        open_to_writers(&path).unwrap();
        open_to_writers(&path).unwrap();
        let conn = Connection::open(&path).unwrap();
        let before = count(&path, "updated_at > '2026-10'");
        conn.execute("UPDATE customers SET credit_limit = '1.00' WHERE customer_no = ?1", [&finance.to_try]).unwrap();
        assert_eq!(count(&path, "updated_at > '2026-10'"), before + 1);
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        change_credit_limit(&path, &finance.to_try, "2.00", now).unwrap();
        assert_eq!(count(&path, "updated_at = '2026-11-23T10:00:00Z'"), 1);
    }

    #[test]
    fn one_row_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("finance.db");
        let finance = create(&path, 50, 1).unwrap();
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        change_credit_limit(&path, &finance.to_try, "9000.50", now).unwrap();
        assert_eq!(count(&path, "credit_limit = '9000.50' AND updated_at = '2026-11-23T10:00:00Z'"), 1);
        assert!(matches!(change_credit_limit(&path, "C-0", "1", now), Err(Error::NoCustomer { .. })));
        assert_eq!(credit_limit(&path, &finance.to_try).unwrap().as_deref(), Some("9000.50"));
        assert_eq!(credit_limit(&path, "C-0").unwrap(), None);
        assert!(change_command(&path, "C-1000", "9000.50").contains("WHERE customer_no = 'C-1000'"));
    }
}
