use std::ops::ControlFlow;

use record::{Options, Type};

use super::*;
use crate::files::value;

/// Rows as texts with `|` between their values; what cannot be read with its line and why.
#[derive(Default)]
struct Seen(Vec<String>);

impl Taker for Seen {
    fn row(&mut self, line: u64, cells: &dyn Cells) -> ControlFlow<()> {
        let text = |at| match cells.cell(at) {
            Cell::Blank => String::new(),
            Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Cell::Text(text) => text.into_owned(),
            Cell::Plain(text) => text.to_owned(),
            other => format!("{other:?}"),
        };
        self.0.push(format!("{line}: {}|{}", text(0), text(1)));
        ControlFlow::Continue(())
    }

    fn unreadable(&mut self, line: u64, why: &str, _: u64) -> ControlFlow<()> {
        self.0.push(format!("{line}! {why}"));
        ControlFlow::Continue(())
    }
}

fn spec(options: &[(&str, record::OptionValue)]) -> ReadSpec {
    let mut map = Options::default();
    map.0.insert("file".into(), record::OptionValue::Text("x.csv".into()));
    map.0.insert("contains".into(), record::OptionValue::Text("everything".into()));
    let format = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    map.0.insert("format".into(), record::OptionValue::Map(format));
    ReadSpec {
        table: String::new(),
        columns: vec!["a".into(), "b".into()],
        declared: vec![("a".into(), Type::Unknown), ("b".into(), Type::Unknown)],
        watermark: None,
        key: Vec::new(),
        rows_per_batch: 10,
        time_zone: None,
        fields: Vec::new(),
        options: map,
    }
}

fn seen(text: &[u8], options: &[(&str, record::OptionValue)]) -> Vec<String> {
    let spec = spec(options);
    let settings = Settings::of("supplier", &spec).unwrap();
    /// As many bytes at a time as make every cut happen.
    struct Bits<'a>(&'a [u8], usize);
    impl Read for Bits<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let some = self.0.len().min(self.1).min(into.len());
            into[..some].copy_from_slice(&self.0[..some]);
            self.0 = &self.0[some..];
            Ok(some)
        }
    }
    let mut all = Vec::new();
    for bytes in [1, 2, 3, 7, 1 << 20] {
        let window = Window::open(Bits(text, bytes), settings.format.encoding).unwrap();
        let mut seen = Seen::default();
        match rows(window, &spec, &settings, &mut seen) {
            Ok(()) => {}
            Err(broken) => seen.0.push(format!("{broken:?}")),
        }
        all.push(seen.0);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "it depends on how the bytes come: {all:?}");
    all.pop().unwrap()
}

#[test]
fn what_programs_write() {
    for (text, expected) in [
        ("a,b\n1,2\n", &["2: 1|2"][..]),
        // Rows that were cleared in a spreadsheet, also before the names, and the end of a file of DOS.
        (",\n \na,b\n1,2\n,\n \t\n  ,\" \"\n3,\n\x1a", &["4: 1|2", "8: 3|"]),
        ("a,b\r\n1,2\r\n3,4", &["2: 1|2", "3: 3|4"]),
        ("a,b\r1,2\r", &["2: 1|2"]),
        ("b, a ,c\n1,2,3\n", &["2: 2|1"]),
        ("a,b\n\n1,2\n\n", &["3: 1|2"]),
        ("a,b\n\"x, y\",\"\"\n", &["2: x, y|"]),
        ("a,b\n\"two\nlines\",2\n3,4\n", &["2: two\nlines|2", "4: 3|4"]),
        ("a,b\n\"say \"\"hi\"\"\",2\n", &["2: say \"hi\"|2"]),
        ("a,b\n5\" nail,2\n", &["2: 5\" nail|2"]),
        ("a,b\n1,2,\n", &["2: 1|2"]),
        ("\u{feff}a,b\n1,2\n", &["2: 1|2"]),
        ("a,b\n", &[]),
    ] {
        assert_eq!(seen(text.as_bytes(), &[]), expected, "{text:?}");
    }
}

#[test]
fn a_bad_line_costs_one_line() {
    let values = |n: usize| super::ragged(n, 2);
    for (text, expected) in [
        ("a,b\n1\n3,4\n", vec![format!("2! {}", values(1)), "3: 3|4".into()]),
        ("a,b\n1,2,3\n3,4\n", vec![format!("2! {}", values(3)), "3: 3|4".into()]),
        // Never closed: the line is lost, and only that.
        ("a,b\n\"1,2\n3,4\n5,6\n", vec![format!("2! {NOT_CLOSED}"), "3: 3|4".into(), "4: 5|6".into()]),
        // Closed by a quote much later, which opens a value there.
        ("a,b\n\"1,2\n3,4\n\"5\",6\n", vec![format!("2! {AFTER_QUOTE}"), "3: 3|4".into(), "4: 5|6".into()]),
        ("a,b\n\"1\"x,2\n3,4\n", vec![format!("2! {AFTER_QUOTE}"), "3: 3|4".into()]),
        // It closes right before a delimiter, and the row does not fit.
        ("a,b\n\"1,2\n3,\",4,5\n6,7\n", vec![format!("2! {}", values(3)), format!("3! {NOT_CLOSED}"), "4: 6|7".into()]),
    ] {
        assert_eq!(seen(text.as_bytes(), &[]), expected, "{text:?}");
    }
}

#[test]
fn a_quote_that_takes_the_whole_file_takes_one_line() {
    let mut text = "a,b\n\"x,1\n".to_owned();
    while text.len() < ROW_BYTES_MAX + (1 << 20) {
        text.push_str("some,row\n");
    }
    let spec = spec(&[]);
    let settings = Settings::of("supplier", &spec).unwrap();
    let mut taken = Seen::default();
    rows(Window::open(text.as_bytes(), encoding_rs::UTF_8).unwrap(), &spec, &settings, &mut taken).unwrap();
    assert_eq!(taken.0[0], format!("2! {NOT_CLOSED}"));
    assert_eq!(taken.0.len(), text.lines().count() - 1);
}

#[test]
fn how_it_is_written() {
    use record::OptionValue::{Number, Text, YesNo};
    let text = |text: &str| Text(text.to_owned());
    for (bytes, options, expected) in [
        (&b"a;b\n1,5;2\n"[..], vec![("delimiter", text(";"))], vec!["2: 1,5|2"]),
        (b"a\tb\n1\t2\n", vec![("delimiter", text("tab"))], vec!["2: 1|2"]),
        (b"a,b\n'x,y',2\n", vec![("quote", text("'"))], vec!["2: x,y|2"]),
        (b"a,b\n\"x,2\n", vec![("quote", text("none"))], vec!["2: \"x|2"]),
        (b"1,2\n3,4\n", vec![("header", YesNo(false))], vec!["1: 1|2", "2: 3|4"]),
        (b"Prices of May\n\na,b\n1,2\n", vec![("skip_lines", Number(2.into()))], vec!["4: 1|2"]),
        (
            b"a;b\nZo\xeb;\x80\n",
            vec![("delimiter", text(";")), ("encoding", text("windows-1252"))],
            vec!["2: Zo\u{eb}|\u{20ac}"],
        ),
    ] {
        assert_eq!(seen(bytes, &options), expected);
    }
}

#[test]
fn a_file_that_is_not_one() {
    assert!(seen(b"", &[])[0].contains("it is empty"));
    assert!(seen(b"a;b\n1;2\n", &[])[0].contains("NoColumn { missing: \"a\", there: [\"a;b\"], is_header: false }"));
    assert!(seen(b"\"a,b\n1,2\n", &[])[0].contains(NOT_CLOSED));
}

#[test]
fn a_value_that_is_no_text_is_wrong_by_itself() {
    let cell = Cell::Bytes(b"Zo\xeb");
    let spec = spec(&[]);
    let settings = Settings::of("supplier", &spec).unwrap();
    assert!(value::read(&cell, &Type::Unknown, &settings.format).is_err());
}
