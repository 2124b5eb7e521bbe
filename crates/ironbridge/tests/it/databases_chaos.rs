//! A drill by seeds: rows go from one database to another, each SQLite, PostgreSQL or MariaDB, while people change them,
//! the network is cut, commits fail and the process is killed. In the end the one holds what the other does, and nothing
//! is written twice that was right.
//!
//! Seeds as in `chaos`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::chaos::{Chance, effects, stories, told};
use crate::database::Database;
use crate::support::{Said, World};

#[test]
fn one_database_follows_the_other() {
    stories(3, 2, one_story);
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let world = World::new(1);
    let kinds = ["sqlite", "postgres", "mysql"];
    let mut place = |name: &str| Database::new(chance.one_of(&kinds), &format!("drill_{seed}_{name}"), &world.dir);
    let (Some(shop), Some(store)) = (place("shop"), place("store")) else { return };
    let deletes = chance.one_of(&["ignore", "delete", "delete"]);
    let watermark = chance.one_of(&["", "watermark: { column: changed, overlap: 5 minutes }, "]);
    let which = format!("seed {seed}, {} to {}, deletes: {deletes}, {watermark}", shop.kind(), store.kind());
    project(&world, &shop, &store, deletes, watermark);
    shop.sql(&table(&shop, "parts", ""));
    store.sql(&table(&store, "copies", ", CHECK (price >= 0)"));
    store.sql(&watched(&store));
    let mut story = Story { shop, rows: BTreeMap::new(), chance, deletes };
    for key in 0..6 {
        story.put(key);
    }
    let mut killed = false;
    for round in 0..8 {
        let which = format!("{which}, round {round}");
        for _ in 0..story.chance.below(8) {
            story.somebody_works();
        }
        let chance = &mut story.chance;
        let failpoint = match chance.below(3) {
            0 => String::new(),
            _ => {
                let point = chance.one_of(&["commit.before", "commit.after", "sink.before", "sink.after"]);
                format!("{point}@{}={}", 1 + chance.below(5), chance.one_of(&["abort", "abort", "error"]))
            }
        };
        let cuts = [chance.below(4), chance.below(3)].map(|often| (often == 0).then(|| chance.below(20_000)));
        story.shop.cut_after(cuts[0]);
        store.cut_after(cuts[1]);
        let meanwhile = story.chance.below(3) == 0;
        store.sql("DELETE FROM written");
        let said = story.run(&world, &failpoint, meanwhile);
        story.shop.cut_after(None);
        store.cut_after(None);
        let Some(run) = told(&said, &which) else {
            killed = true;
            continue;
        };
        // What a killed run had sent may still come.
        let after_a_kill = std::mem::replace(&mut killed, false);
        if !after_a_kill && cuts == [None, None] && failpoint.is_empty() && run["error"].is_null() {
            assert_eq!(store.texts("SELECT what FROM written").len() as u64, effects(&run), "{which}: {run:#}");
        }
    }
    // A read that was cut goes on where it was; a row before that place which changed since comes with the next one.
    for _ in 0..2 {
        let said = story.run(&world, "", false);
        assert!(said.code == Some(0) && said.json()["error"].is_null(), "{which}: {said:#?}");
    }
    story.compare(&rows(&store), &which);
    store.sql("DELETE FROM written");
    let again = story.run(&world, "", false).json();
    let written = store.texts("SELECT what FROM written");
    assert!(again["error"].is_null() && effects(&again) == 0, "{which}: {again:#}");
    assert_eq!(written, Vec::<String>::new(), "{which}: what was right is written again: {again:#}");
    story.shop.remove();
    store.remove();
}

fn project(world: &World, shop: &Database, store: &Database, deletes: &str, watermark: &str) {
    for file in [
        "integrations/customers.yaml",
        "entities/customer.yaml",
        "systems/finance.yaml",
        "systems/dynamics.yaml",
        "tests/customers.yaml",
    ] {
        std::fs::remove_file(world.dir.join(file)).unwrap();
    }
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    let same = "title: title, price: price, made: made, counted: counted, active: active";
    let reads = format!("{{ table: parts, {watermark}read: {{ number: part_no, {same} }} }}");
    let writes = format!("{{ table: copies, alternate_key: part_no, write: {{ part_no: number, {same} }} }}");
    for (name, place, part) in [("shop", shop, reads), ("store", store, writes)] {
        let (kind, connection) = (place.kind(), place.connection(name));
        write(
            &format!("systems/{name}.yaml"),
            &format!(
                "system: {name}\nkind: {kind}\nowner: finance-it\ntime_zone: UTC\nconnection: {connection}\nentities: {{ part: {part} }}\n"
            ),
        );
        if let Some(wire) = place.wire() {
            write(&format!("{name}.url"), &wire.url);
        }
    }
    write(
        "entities/part.yaml",
        "entity: part\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n  title: { type: text, max_length: 200 }\n  price: { type: decimal, scale: 2 }\n  made: { type: date }\n  counted: { type: datetime }\n  active: { type: yes_no }\n",
    );
    let deletes = match deletes {
        "ignore" => String::new(),
        other => format!("deletes: {other}\nmax_deletes: 100 %\n"),
    };
    write(
        "integrations/parts.yaml",
        &format!(
            "integration: parts\npattern: batch\nentity: part\nfrom: shop\nto: store\n{deletes}stop_after: {{ rejected: 10000, or: 100 %, first_rows_alike: 10000 }}\nschedule: every 15 minutes\nowner: finance-it\npurpose: A test.\n"
        ),
    );
}

/// A row of the shop.
#[derive(Debug, Clone)]
struct Part {
    title: Option<&'static str>,
    /// In pennies. The store takes none below zero.
    price: Option<i64>,
    made: Option<&'static str>,
    /// Milliseconds since 1970.
    counted: Option<i64>,
    active: Option<bool>,
}

const TITLES: [Option<&str>; 7] = [
    None,
    Some("Bolt"),
    Some("O'Ring \"M8\" \\ 100%"),
    Some("Schraubenschlüssel für Ümläute"),
    Some("箱 📦"),
    Some("NULL"),
    Some(""),
];
const DAYS: [Option<&str>; 5] = [None, Some("1000-01-01"), Some("1999-12-31"), Some("2024-02-29"), Some("9999-12-31")];

impl Part {
    fn any(chance: &mut Chance) -> Part {
        Part {
            title: chance.one_of(&TITLES),
            price: chance.one_of(&[None, Some(-1), Some(0), Some(1_250), Some(999_999_999_999)]),
            made: chance.one_of(&DAYS),
            counted: chance.one_of(&[
                None,
                Some(0),
                Some(1_711_846_800_000),
                Some(1_795_754_653_123),
                Some(32_503_680_000_999),
            ]),
            active: chance.one_of(&[None, Some(true), Some(false)]),
        }
    }

    /// As [`rows`] tells it. An empty text is a blank.
    fn told(&self) -> String {
        let Part { title, price, made, counted, active } = self;
        let price = price.map(amount);
        let counted = counted.map(|at| at.to_string());
        let active = active.map(|yes| u8::from(yes).to_string());
        let title = title.filter(|title| !title.is_empty()).map(str::to_owned);
        [price, made.map(str::to_owned), counted, active, title].map(|part| part.unwrap_or("~".into())).join("|")
    }
}

fn amount(pennies: i64) -> String {
    format!("{}{}.{:02}", if pennies < 0 { "-" } else { "" }, pennies.abs() / 100, pennies.abs() % 100)
}

struct Story {
    shop: Database,
    rows: BTreeMap<u64, Part>,
    chance: Chance,
    deletes: &'static str,
}

impl Story {
    fn run(&mut self, world: &World, failpoint: &str, meanwhile: bool) -> Said {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| world.with_failpoints(&["--format", "json", "run", "parts"], failpoint));
            while meanwhile && !running.is_finished() {
                self.somebody_works();
                std::thread::sleep(Duration::from_millis(3 + self.chance.below(30)));
            }
            running.join().unwrap()
        })
    }

    fn somebody_works(&mut self) {
        let key = self.chance.below(12);
        match self.chance.below(4) {
            // The first one stays: an empty source deletes nothing.
            0 if key > 0 && self.deletes != "ignore" => {
                self.shop.sql(&format!("DELETE FROM parts WHERE part_no = 'P-{key}'"));
                self.rows.remove(&key);
            }
            // Few values, so that rows change back to what they were.
            1 if self.rows.contains_key(&key) => {
                let price = self.chance.one_of(&[-1, 5, 1_250]);
                let (shown, changed) = (amount(price), self.changed());
                let set = format!("price = {shown}, changed = {changed}");
                self.shop.sql(&format!("UPDATE parts SET {set} WHERE part_no = 'P-{key}'"));
                self.rows.get_mut(&key).unwrap().price = Some(price);
            }
            _ => self.put(key),
        }
    }

    fn put(&mut self, key: u64) {
        let part = Part::any(&mut self.chance);
        let Part { title, price, made, counted, active } = part.clone();
        let or_null = |text: Option<String>| text.unwrap_or("NULL".to_owned());
        let values = [
            or_null(title.map(|text| self.shop.text(text))),
            or_null(price.map(amount)),
            or_null(made.map(|day| format!("'{day}'"))),
            or_null(counted.map(|at| self.shop.instant(at))),
            or_null(active.map(|yes| self.shop.yes_no(yes).to_owned())),
            self.changed(),
        ];
        let sql = match self.rows.insert(key, part) {
            None => format!("INSERT INTO parts VALUES ('P-{key}', {})", values.join(", ")),
            Some(_) => {
                let names = ["title", "price", "made", "counted", "active", "changed"];
                let set: Vec<String> =
                    names.iter().zip(values).map(|(name, value)| format!("{name} = {value}")).collect();
                format!("UPDATE parts SET {} WHERE part_no = 'P-{key}'", set.join(", "))
            }
        };
        self.shop.sql(&sql);
    }

    /// The stamp of a change: now, or that of a transaction which commits late, or none, or that of a machine a year ahead.
    fn changed(&mut self) -> String {
        let now = Timestamp::now().as_millisecond();
        match self.chance.one_of(&[Some(0), Some(0), Some(-180_000), Some(31_536_000_000), None]) {
            Some(off) => self.shop.instant(now + off),
            None => "NULL".to_owned(),
        }
    }

    fn compare(&self, found: &BTreeMap<String, String>, which: &str) {
        for (key, part) in &self.rows {
            let key = format!("P-{key}");
            match part.price.is_some_and(|price| price < 0) {
                // It is refused: what was there before stays.
                true => assert!(found.get(&key).is_none_or(|row| !row.starts_with('-')), "{which}: {found:#?}"),
                false => assert_eq!(found.get(&key), Some(&part.told()), "{which}: {key}"),
            }
        }
        let gone: Vec<_> = found.keys().filter(|key| !self.rows.contains_key(&key[2..].parse().unwrap())).collect();
        assert!(
            self.deletes == "ignore" || gone.is_empty(),
            "{which}: {gone:?} are gone from the source and still there"
        );
    }
}

fn table(place: &Database, name: &str, more: &str) -> String {
    let (text, instant, end) = match place {
        Database::Lite(_) => ("TEXT", "DATETIME", ""),
        Database::Postgres(..) => ("TEXT", "TIMESTAMPTZ", ""),
        Database::Maria(..) => ("TEXT", "DATETIME(3)", " COLLATE utf8mb4_bin"),
    };
    format!(
        "CREATE TABLE {name} (part_no VARCHAR(20) NOT NULL PRIMARY KEY, title {text}, price DECIMAL(14,2), made DATE,
           counted {instant}, active BOOLEAN, changed {instant}{more}){end}"
    )
}

/// What notes each row that is written into the copies.
fn watched(place: &Database) -> String {
    let table = "CREATE TABLE written (what VARCHAR(10) NOT NULL)";
    let each = |one: &dyn Fn(&str) -> String| ["INSERT", "UPDATE", "DELETE"].map(one).concat();
    match place {
        Database::Lite(_) => {
            let trigger = |what: &str| {
                format!(
                    "CREATE TRIGGER on_{what} AFTER {what} ON copies BEGIN INSERT INTO written VALUES ('{what}'); END;"
                )
            };
            format!("{table}; {}", each(&trigger))
        }
        Database::Postgres(..) => {
            let function = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO written VALUES (TG_OP); RETURN NULL; END $$;";
            let trigger = |what: &str| {
                format!("CREATE TRIGGER on_{what} AFTER {what} ON copies FOR EACH ROW EXECUTE FUNCTION note();")
            };
            format!("{table}; {function} {}", each(&trigger))
        }
        Database::Maria(..) => {
            let trigger = |what: &str| {
                format!(
                    ";;CREATE TRIGGER on_{what} AFTER {what} ON copies FOR EACH ROW INSERT INTO written VALUES ('{what}')"
                )
            };
            format!("{table}{}", each(&trigger))
        }
    }
}

/// The copies by their keys, as [`Part::told`] tells them.
fn rows(place: &Database) -> BTreeMap<String, String> {
    let (price, counted, active) = match place {
        Database::Lite(_) => ("printf('%.2f', price)", "counted", "active"),
        Database::Postgres(..) => {
            ("price::text", "to_char(counted AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')", "active::int::text")
        }
        Database::Maria(..) => ("price", "counted", "active"),
    };
    let price = format!("CASE WHEN price IS NULL THEN '~' ELSE {price} END");
    let or_blank = |part: &str| match place {
        Database::Postgres(..) => format!("coalesce({part}::text, '~')"),
        _ => format!("coalesce({part}, '~')"),
    };
    let parts =
        ["part_no", &price, &or_blank("made"), &or_blank(counted), &or_blank(active), &or_blank("nullif(title, '')")];
    let rows = place.texts(&format!("SELECT concat_ws('|', {}) FROM copies", parts.join(", ")));
    let read = |row: String| {
        let mut parts: Vec<String> = row.split('|').map(str::to_owned).collect();
        if parts[3] != "~" {
            let at = parts[3].replace(' ', "T");
            let at: Timestamp =
                format!("{}Z", at.trim_end_matches('Z')).parse().unwrap_or_else(|why| panic!("{why}: {row}"));
            parts[3] = at.as_millisecond().to_string();
        }
        (parts[0].clone(), parts[1..].join("|"))
    };
    rows.into_iter().map(read).collect()
}
