use record::{OptionValue, Options, ReadSpec};

use super::*;

const MINUTE: i64 = 60_000;

/// Settings from `name: value` lines.
fn settings(options: &[(&str, &str)]) -> Settings {
    let mut map = Options::default();
    for (name, value) in [("file", "p_*.csv")].iter().chain(options) {
        map.0.insert((*name).to_owned(), OptionValue::Text((*value).to_owned()));
    }
    let spec = ReadSpec {
        table: String::new(),
        columns: Vec::new(),
        declared: Vec::new(),
        watermark: None,
        key: Vec::new(),
        rows_per_batch: 10,
        time_zone: None,
        fields: Vec::new(),
        options: map,
    };
    Settings::of("supplier", &spec).unwrap()
}

fn entry(name: &str, minute: i64) -> Entry {
    Entry { folder: String::new(), name: name.to_owned(), size: 1, modified: minute * MINUTE }
}

fn known(name: &str, minute: i64) -> Known {
    Known::of(&entry(name, minute), 7)
}

/// The names that are chosen at minute 100, or the code of the fault.
fn chosen(settings: &Settings, cursor: Option<&Cursor>, here: &[Entry], done: &[Entry]) -> Vec<String> {
    let listed = Listed { system: "supplier", place: "here", here, done, now: 100 * MINUTE };
    match choose(settings, cursor, &listed) {
        Ok(steps) => steps.into_iter().map(|step| step.entry.name).collect(),
        Err(fault) => vec![fault.code.0.to_owned()],
    }
}

fn midway(name: &str, minute: i64, rows: u64) -> Midway {
    Midway { known: known(name, minute), bytes: 1, rows }
}

fn read(files: &[Known]) -> Cursor {
    Cursor { read: files.to_vec(), at: None }
}

#[test]
fn of_files_with_everything_one_counts() {
    let newest = settings(&[("contains", "everything"), ("several", "newest")]);
    let in_order = settings(&[("contains", "everything")]);
    let here = [entry("p_3.csv", 30), entry("p_1.csv", 10), entry("other.csv", 50), entry("p_2.csv", 20)];
    assert_eq!(chosen(&newest, None, &here, &[]), ["p_3.csv"]);
    assert_eq!(chosen(&in_order, None, &here, &[]), ["p_3.csv"], "the first read has no use for older ones");
    let first = read(&[known("p_1.csv", 10)]);
    assert_eq!(chosen(&newest, Some(&first), &here, &[]), ["p_3.csv"]);
    assert_eq!(chosen(&in_order, Some(&first), &here, &[]), ["p_2.csv"]);
    let last = read(&[known("p_3.csv", 30)]);
    assert!(chosen(&newest, Some(&last), &here, &[]).is_empty());
    assert!(chosen(&newest, Some(&last), &[], &[]).is_empty());
    // Sent again under its name.
    assert_eq!(chosen(&newest, Some(&last), &[entry("p_3.csv", 31)], &[]), ["p_3.csv"]);
}

#[test]
fn an_absent_file_is_no_empty_source() {
    let kept = settings(&[("contains", "everything")]);
    assert_eq!(chosen(&kept, None, &[entry("x.csv", 1)], &[]), ["IB0620"]);
    assert_eq!(chosen(&kept, None, &[entry("p_1.csv", 99)], &[]), ["IB0622"]);
    let moved = settings(&[("contains", "everything"), ("afterwards", "move to done")]);
    assert_eq!(chosen(&moved, None, &[], &[entry("p_1.csv", 1), entry("p_2.csv", 2)]), ["p_2.csv"]);
    let deleted = settings(&[("contains", "everything"), ("afterwards", "delete")]);
    assert!(chosen(&deleted, None, &[], &[]).is_empty());
    assert!(chosen(&settings(&[]), None, &[], &[]).is_empty(), "nothing has changed");
}

#[test]
fn every_file_of_changes_is_read_in_its_order() {
    let changes = settings(&[("afterwards", "move to done")]);
    let here = [entry("p_b.csv", 20), entry("p_c.csv", 20), entry("p_a.csv", 30), entry("p_new.csv", 99)];
    assert_eq!(chosen(&changes, None, &here, &[entry("p_old.csv", 5)]), ["p_old.csv", "p_b.csv", "p_c.csv", "p_a.csv"]);
    // A file that came late is not lost, although a later one was read.
    let cursor = read(&[known("p_c.csv", 20), known("p_a.csv", 30)]);
    assert_eq!(chosen(&changes, Some(&cursor), &here, &[entry("p_old.csv", 5)]), ["p_b.csv"]);
}

#[test]
fn a_cut_read_goes_on_with_its_file() {
    let changes = settings(&[("afterwards", "move to done")]);
    let cursor = Cursor { read: vec![known("p_1.csv", 1)], at: Some(midway("p_2.csv", 2, 500)) };
    let listed = Listed {
        system: "supplier",
        place: "here",
        here: &[entry("p_3.csv", 3), entry("p_2.csv", 2)],
        done: &[],
        now: 100 * MINUTE,
    };
    let steps = choose(&changes, Some(&cursor), &listed).unwrap();
    assert_eq!(steps[0].resume, Some(midway("p_2.csv", 2, 500)));
    assert_eq!(steps.iter().map(|step| &*step.entry.name).collect::<Vec<_>>(), ["p_2.csv", "p_3.csv"]);
    assert_eq!(chosen(&changes, Some(&cursor), &[entry("p_3.csv", 3)], &[]), ["IB0624"]);
    assert_eq!(chosen(&changes, Some(&cursor), &[], &[entry("p_2.csv", 9)]), ["p_2.csv"]);
    assert_eq!(chosen(&changes, Some(&cursor), &[entry("p_2.csv", 4)], &[]), ["p_2.csv"], "it was sent anew");
    let whole = settings(&[("contains", "everything"), ("several", "newest")]);
    assert_eq!(chosen(&whole, Some(&cursor), &[entry("p_3.csv", 3)], &[]), ["p_3.csv"]);
}

#[test]
fn a_file_is_ready_when_its_sender_says_so() {
    let marked = settings(&[("ready_when", "exists p_*.done"), ("file", "p_*")]);
    let here = [entry("p_1", 99), entry("p_1.done", 99), entry("p_2", 99), entry("p_3", 99), entry("p_3.done", 99)];
    assert_eq!(chosen(&marked, None, &here, &[]), ["p_1"], "what follows p_2 waits for it");
    assert_eq!(marker(&marked, "p_1").as_deref(), Some("p_1.done"));
    let flag = settings(&[("ready_when", "exists all.done")]);
    assert_eq!(chosen(&flag, None, &[entry("p_1.csv", 99), entry("all.done", 99)], &[]), ["p_1.csv"]);
    assert!(chosen(&flag, None, &[entry("p_1.csv", 99)], &[]).is_empty());
    assert_eq!(marker(&flag, "p_1.csv"), None);
    let why = |cursor: Option<&Cursor>, here: &[Entry]| {
        left(&flag, cursor, &Listed { system: "supplier", place: "here", here, done: &[], now: 100 * MINUTE })
    };
    let waits = "`p_1.csv` is not whole yet: `all.done` is not there; a later run reads it (`ready_when:`)";
    assert_eq!(why(None, &[entry("p_1.csv", 99)]).as_deref(), Some(waits));
    assert_eq!(why(None, &[entry("p_1.csv", 99), entry("all.done", 99)]), None);
    assert_eq!(why(Some(&read(&[known("p_1.csv", 99)])), &[entry("p_1.csv", 99)]), None);
    let misnamed = "no file in here has a name like `p_*.csv`, and 1 other is there (`file:`)";
    assert_eq!(why(None, &[entry("q_1.csv", 99)]).as_deref(), Some(misnamed));
    assert_eq!(why(None, &[]), None, "where nothing is, nothing is misnamed");
    assert_eq!(why(Some(&read(&[known("p_1.csv", 99)])), &[entry("q_1.csv", 99)]), None, "the last one was put away");
    // A clock that is ahead makes nobody read half a file.
    assert!(chosen(&settings(&[]), None, &[entry("p_1.csv", 105)], &[]).is_empty());
}

#[test]
fn what_is_put_away() {
    let here = [entry("p_1.csv", 1), entry("p_2.csv", 2), entry("p_3.csv", 3), entry("x", 1)];
    let names = |settings: &Settings, cursor: &Cursor| -> Vec<String> {
        settled(settings, cursor, &here).into_iter().map(|entry| entry.name.clone()).collect()
    };
    let whole = settings(&[("contains", "everything"), ("several", "newest")]);
    assert_eq!(names(&whole, &read(&[known("p_2.csv", 2)])), ["p_1.csv", "p_2.csv"]);
    let changes = settings(&[]);
    let cursor = Cursor { read: vec![known("p_1.csv", 1), known("p_3.csv", 4)], at: Some(midway("p_2.csv", 2, 1)) };
    assert_eq!(names(&changes, &cursor), ["p_1.csv"], "p_3 is another one by now");
    assert!(names(&whole, &Cursor::default()).is_empty());
    assert_eq!(free_name(&here[0], &[]), "p_1.csv");
    assert_eq!(free_name(&here[0], &here), "p_1.19700101-000100.csv");
    assert!(was_wanted(&settings(&[("file", "p.csv")]), "p.19700101-000100.csv"));
}
