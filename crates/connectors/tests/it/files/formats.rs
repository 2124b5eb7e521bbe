//! What files hold: CSV as programs write it, Excel, JSON, and what is wrong with them.

use std::collections::BTreeMap;
use std::io::Write;

use super::*;

fn with_format(options: &[(&str, &str)], format: &[(&str, OptionValue)]) -> ReadSpec {
    let mut spec = spec(options);
    let format: BTreeMap<String, OptionValue> =
        format.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    spec.options.0.insert("format".into(), OptionValue::Map(format));
    spec
}

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.to_owned())
}

async fn seen(dir: &Path, spec: ReadSpec) -> Result<Seen, Fault> {
    read(&*open(&[("folder", dir.to_str().unwrap())]).source(spec)?, None).await
}

/// The file of the definition's `systems/supplier.yaml`: a German price list.
#[tokio::test]
async fn a_price_list_as_a_supplier_sends_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = encoding_rs::WINDOWS_1252
        .encode("Artikel;Liste;ME;Preis;Gültig ab\r\nSch-1;Händler;Stück;1.234,50;01/02/2026\r\n\"A;2\";;\"Kart. 5\"\"\";-0,5;31/12/2026\r\n")
        .0
        .into_owned();
    put(dir.path(), "prices_1.csv", bytes, 10);
    let mut spec = with_format(
        &[("file", "prices_*.csv"), ("contains", "everything")],
        &[
            ("delimiter", text(";")),
            ("encoding", text("windows-1252")),
            ("decimal", text(",")),
            ("thousands", text(".")),
            ("date", text("dd/mm/yyyy")),
        ],
    );
    spec.columns = ["Artikel", "Liste", "ME", "Preis", "Gültig ab"].map(str::to_owned).to_vec();
    let word = Type::Text { max_length: None };
    spec.declared = vec![
        ("Artikel".into(), word.clone()),
        ("Liste".into(), word.clone()),
        ("ME".into(), word),
        ("Preis".into(), Type::Decimal { scale: None }),
        ("Gültig ab".into(), Type::Date),
    ];
    let seen = seen(dir.path(), spec).await.unwrap();
    let rows: Vec<String> = seen.pages[0]
        .batch
        .rows()
        .map(|row| row.values().map(|value| format!("{:?}", value.to_owned())).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "Text(\"Sch-1\") Text(\"Händler\") Text(\"Stück\") Decimal(1234.50) Date(2026-02-01)",
            "Text(\"A;2\") Blank Text(\"Kart. 5\\\"\") Decimal(-0.5) Date(2026-12-31)",
        ]
    );
}

#[tokio::test]
async fn a_bad_row_is_told_by_file_line_and_column_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = "number,amount\nA,1\nB,not a number\nC\nD,2\nE,\"3\nF,4\nG,\u{0}5\n";
    put(dir.path(), "p_1.csv", file, 10);
    let mut bytes = std::fs::read(dir.path().join("p_1.csv")).unwrap();
    bytes.extend(b"H\xeb,6\nI,7\n");
    put(dir.path(), "p_1.csv", bytes, 10);
    let seen = seen(dir.path(), spec(CHANGES)).await.unwrap();
    assert_eq!(seen.rows, ["A=1", "D=2", "F=4", "I=7"]);
    let told: Vec<_> = seen
        .unreadable
        .iter()
        .map(|fault| {
            (fault.code.0, fault.place.formula.as_deref().unwrap(), fault.place.column.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("IB0606", "p_1.csv line 3", "amount"),
            ("IB0628", "p_1.csv line 4", "-"),
            ("IB0628", "p_1.csv line 6", "-"),
            ("IB0606", "p_1.csv line 8", "amount"),
            ("IB0606", "p_1.csv line 9", "number"),
        ]
    );
    let fault = &seen.unreadable[0];
    assert_eq!((fault.place.key.as_deref(), fault.place.value.as_deref()), (Some("B"), Some("not a number")));
    assert!(fault.what.starts_with("p_1.csv line 3, column `amount`: the column is declared as decimal"), "{fault}");
    let rows: Vec<_> =
        seen.pages.iter().flat_map(|page| &page.unreadable).map(|row| row.row.values().to_vec()).collect();
    assert_ne!(rows[1], rows[2], "two broken lines are two dead letters");
    assert!(rows[1][0].is_blank(), "and have no key");
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut json = spec(&[("file", "p_*"), ("contains", "everything")]);
    json.columns = vec!["number".into()];
    for (name, bytes, code, what) in [
        (
            "p_1.csv",
            &b"nummer;amount\n1;2\n"[..],
            "IB0603",
            "has no column `number`: its first line is one column, and none that is read",
        ),
        ("p_2.csv", b"", "IB0627", "it is empty"),
        ("p_3.xlsx", b"not a zip", "IB0627", "no Excel workbook"),
        ("p_4.json", b"{\"number\": 1}", "IB0627", "no list of rows"),
        ("p_5.json", b"[{\"number\": 1}", "IB0627", "ends in the middle"),
    ] {
        for file in std::fs::read_dir(dir.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        put(dir.path(), name, bytes, 10);
        let fault = seen(dir.path(), json.clone()).await.unwrap_err();
        assert_eq!(fault.code.0, code, "{name}: {fault}");
        assert!(fault.what.contains(what) && fault.what.contains(name) && !fault.fix.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn json_and_json_lines() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "p_1.json",
        r#"{"data": {"items": [{"id": {"number": "A"}, "amount": 0.10}, {"amount": "x"}]}}"#,
        10,
    );
    put(
        dir.path(),
        "q_1.jsonl",
        "{\"id\": {\"number\": \"A\"}, \"amount\": 12345678901234567890.12}\nno json\n{\"id\": null}\n",
        10,
    );
    let mut of_json = spec(&[("file", "p_*"), ("contains", "everything"), ("rows", "data.items")]);
    of_json.columns = vec!["id.number".into(), "amount".into()];
    of_json.declared = vec![("id.number".into(), Type::Unknown), ("amount".into(), Type::Decimal { scale: None })];
    let lines = ReadSpec { options: entity(&[("file", "q_*")]), ..of_json.clone() };
    let json = seen(dir.path(), of_json).await.unwrap();
    assert_eq!(json.rows, ["A=0.10"]);
    assert_eq!(json.unreadable[0].place.formula.as_deref(), Some("p_1.json item 2"));
    let lines = seen(dir.path(), lines).await.unwrap();
    assert_eq!(lines.rows, ["A=12345678901234567890.12", "(blank)=(blank)"]);
    assert_eq!(lines.unreadable[0].place.formula.as_deref(), Some("q_1.jsonl line 2"));
}

/// A workbook with these rows of XML in its only sheet.
fn workbook(path: &Path, rows: &str) {
    let file = std::fs::File::create(path).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let xml = |text: &str| format!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n{text}");
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    for (name, text) in [
        (
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"{package}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r1\" Type=\"{rel}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{rel}\"><sheets><sheet name=\"Prices\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r1\" Type=\"{rel}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"{rel}/styles\" Target=\"styles.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{main}\"><cellXfs count=\"3\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/></cellXfs></styleSheet>"
            ),
        ),
        ("xl/worksheets/sheet1.xml", format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>")),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(xml(&text).as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn inline(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

#[tokio::test]
async fn excel_has_dates_and_numbers_without_garbage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p_1.xlsx");
    let head = [inline("A1", "number"), inline("B1", "amount"), inline("C1", "from"), inline("D1", "seen")].concat();
    let rows = [
        format!("<row r=\"1\">{head}</row>"),
        format!("<row r=\"2\">{}<c r=\"B2\"><v>0.30000000000000004</v></c><c r=\"C2\" s=\"1\"><v>46054</v></c><c r=\"D2\" s=\"2\"><v>46054.416666666664</v></c></row>", inline("A2", "A")),
        // A number as the key, a text that is a number, nothing, and an empty row before it.
        format!("<row r=\"4\"><c r=\"A4\"><v>42</v></c>{}</row>", inline("B4", "12.50")),
        format!("<row r=\"5\">{}<c r=\"B5\" t=\"e\"><v>#N/A</v></c></row>", inline("A5", "C")),
        format!("<row r=\"6\">{}<c r=\"C6\" s=\"2\"><v>46054.5</v></c></row>", inline("A6", "D")),
        // What Excel shows as #####, and a time of day alone.
        format!("<row r=\"7\">{}<c r=\"C7\" s=\"1\"><v>-5</v></c></row>", inline("A7", "E")),
        format!("<row r=\"8\">{}<c r=\"C8\" s=\"1\"><v>2958466</v></c></row>", inline("A8", "F")),
        format!("<row r=\"9\">{}<c r=\"D9\" s=\"2\"><v>0.5</v></c></row>", inline("A9", "G")),
        format!("<row r=\"10\">{}<c r=\"C10\" s=\"1\"><v>2958465</v></c></row>", inline("A10", "H")),
        // Formulas: with what they gave, with the empty text that one gave, and as a program writes it that computes none.
        format!("<row r=\"11\">{}<c r=\"B11\"><f>1+1</f><v>2</v></c></row>", inline("A11", "I")),
        format!("<row r=\"12\">{}<c r=\"B12\" t=\"str\"><f>IF(1,\"\")</f><v></v></c></row>", inline("A12", "J")),
        format!("<row r=\"13\">{}<c r=\"B13\"><f>1+1</f><v></v></c></row>", inline("A13", "K")),
        format!("<row r=\"14\">{}<c r=\"B14\"><f>1+1</f></c></row>", inline("A14", "L")),
        "<row r=\"15\"><c r=\"A15\" t=\"str\"><f>IF(1,\"\")</f><v/></c></row>".to_owned(),
    ]
    .concat();
    workbook(&path, &rows);
    touch(&path, 10);
    let mut spec = spec(&[("file", "p_*.xlsx"), ("contains", "everything"), ("sheet", "Prices")]);
    spec.columns.extend(["from".to_owned(), "seen".to_owned()]);
    spec.declared.extend([("from".to_owned(), Type::Date), ("seen".to_owned(), Type::DateTime)]);
    spec.time_zone = Some(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let found = seen(dir.path(), spec.clone()).await.unwrap();
    let row = |row: record::RowRef<'_>| row.values().map(|v| v.to_string()).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> =
        found.pages.iter().flat_map(|page| page.batch.rows().map(row).collect::<Vec<_>>()).collect();
    assert_eq!(
        rows,
        [
            "A 0.3 2026-02-01 2026-02-01T10:00:00Z",
            "42 12.50 (blank) (blank)",
            "H (blank) 9999-12-31 (blank)",
            "I 2 (blank) (blank)",
            "J (blank) (blank) (blank)"
        ]
    );
    let told: Vec<_> = found.unreadable.iter().map(|fault| fault.what.clone()).collect();
    assert_eq!(told[0], "p_1.xlsx row 5, column `amount`: the cell holds the error #N/A");
    assert!(
        told[1].starts_with(
            "p_1.xlsx row 6, column `from`: the column is declared as date, and this row holds a date with a time"
        ),
        "{told:?}"
    );
    for (told, why) in told[2..].iter().zip([
        "a date that is none",
        "a date that is none",
        "a time without its day",
        "whose result was never saved",
        "whose result was never saved",
    ]) {
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(told.len(), 7);
    spec.options.0.insert("sheet".into(), text("Preise"));
    let fault = seen(dir.path(), spec).await.unwrap_err();
    assert!(fault.what.contains("there is no sheet `Preise`; it has Prices"), "{fault}");
    let sample = connectors::files::excel_sample(&path, 2).unwrap();
    assert_eq!(sample[0].iter().flatten().collect::<Vec<_>>(), ["number", "amount", "from", "seen"]);
    assert_eq!(sample[1][2].as_deref(), Some("2026-02-01"));
}

#[tokio::test]
async fn a_workbook_that_unpacks_to_more_than_memory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p_1.xlsx");
    let file = std::fs::File::create(&path).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    zip.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
    let part = vec![b' '; 1 << 20];
    for _ in 0..257 {
        zip.write_all(&part).unwrap();
    }
    zip.finish().unwrap();
    touch(&path, 10);
    let fault = seen(dir.path(), spec(&[("file", "p_*"), ("contains", "everything")])).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0629", "{fault}");
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
}
