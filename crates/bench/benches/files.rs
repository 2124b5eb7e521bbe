//! A million lines of CSV: into pages of typed rows, beside counting the lines and parsing them with the csv crate alone.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use record::{OptionValue, Options, ReadSpec, Type};

const LINES: usize = 1_000_000;
const ROUNDS: usize = 5;

fn main() {
    let dir = tempfile::tempdir().expect("there is a folder for scratch files");
    let path = dir.path().join("prices_1.csv");
    write(&path);
    let size = std::fs::metadata(&path).expect("it was written").len();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    println!("{LINES} lines, {} MB, the best of {ROUNDS} rounds", size >> 20);
    let count = best("wc -l", size, || {
        let output = Command::new("wc").arg("-l").arg(&path).output().expect("wc is there");
        assert!(output.status.success());
        LINES
    });
    let parse = best("csv crate alone", size, || parse(&path));
    let ours = best("pages of typed rows", size, || runtime.block_on(read(dir.path())));
    let share = (count + parse).as_secs_f64() / ours.as_secs_f64();
    println!("speed beside both together: {:.0} %", share * 100.0);
}

fn write(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).expect("the folder can be written"));
    file.write_all(b"Artikel;Liste;ME;Preis;Gueltig;Text\n").expect("there is room");
    for line in 0..LINES {
        let (list, unit) = (["Retail", "Trade"][line % 2], ["EA", "BOX", "KG"][line % 3]);
        writeln!(
            file,
            "A-{line:08};{list};{unit};{},{:02};{:02}/{:02}/2026;\"Article {line}, sample; in a box\"",
            line % 10_000,
            line % 100,
            1 + line % 28,
            1 + line % 12
        )
        .expect("there is room");
    }
    file.flush().expect("there is room");
    let file = file.into_inner().expect("it was flushed");
    file.set_modified(SystemTime::now() - Duration::from_secs(600)).expect("a file of our own has a time");
}

fn best(name: &str, size: u64, mut work: impl FnMut() -> usize) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        assert_eq!(work(), LINES);
        start.elapsed()
    });
    let best = times.min().expect("there are rounds");
    let seconds = best.as_secs_f64();
    println!(
        "{name:>20}: {:>4} ms, {:>4.0} MB/s, {:.2} million lines/s",
        best.as_millis(),
        size as f64 / seconds / 1e6,
        LINES as f64 / seconds / 1e6
    );
    best
}

fn parse(path: &Path) -> usize {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_path(path).expect("it was written");
    let (mut record, mut lines) = (csv::StringRecord::new(), 0);
    while reader.read_record(&mut record).expect("it is CSV") {
        black_box(&record);
        lines += 1;
    }
    lines
}

async fn read(dir: &Path) -> usize {
    let text = |text: &str| OptionValue::Text(text.to_owned());
    let system = connectors::files::open(
        "supplier",
        Options([("folder".to_owned(), text(dir.to_str().expect("it is Unicode")))].into()),
    );
    let format = [("delimiter", ";"), ("decimal", ","), ("date", "dd/mm/yyyy")];
    let format = format.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let options = [
        ("file".to_owned(), text("prices_*.csv")),
        ("contains".to_owned(), text("everything")),
        ("format".to_owned(), OptionValue::Map(format)),
    ];
    let word = || Type::Text { max_length: None };
    let declared = [
        ("Artikel", word()),
        ("Liste", word()),
        ("ME", word()),
        ("Preis", Type::Decimal { scale: None }),
        ("Gueltig", Type::Date),
        ("Text", word()),
    ];
    let spec = ReadSpec {
        table: String::new(),
        columns: declared.iter().map(|(name, _)| (*name).to_owned()).collect(),
        declared: declared.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
        watermark: None,
        key: ["Artikel", "Liste", "ME"].map(str::to_owned).to_vec(),
        rows_per_batch: 5_000,
        time_zone: None,
        fields: Vec::new(),
        options: Options(options.into()),
    };
    let source = system.and_then(|system| system.source(spec)).expect("the options make sense");
    let mut reader = source.read(None).await.expect("the file is there");
    let mut rows = 0;
    while let Some(page) = reader.next().await.expect("it can be read") {
        assert!(page.unreadable.is_empty());
        rows += page.batch.len();
        black_box(&page);
    }
    rows
}
