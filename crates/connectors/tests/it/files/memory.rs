//! A million lines, and no more memory than for a thousand.

use std::io::{BufWriter, Write};
use std::process::Command;

use super::*;

const HERE: &str = "files::memory::a_million_lines_take_no_more_memory_than_a_thousand";
const LINES: &str = "IRONBRIDGE_TEST_LINES";

/// Reads so many lines and prints how many came and the most memory that the process ever had, in KB.
#[expect(clippy::print_stdout, reason = "it answers the process that started it")]
async fn child(lines: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p_1.csv");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(b"number,amount,name\n").unwrap();
    for line in 0..lines {
        writeln!(file, "C-{line:07},{}.{:02},Customer {line} (sample)", line % 10_000, line % 100).unwrap();
    }
    file.flush().unwrap();
    drop(file);
    touch(&path, 10);
    let mut spec = spec(CHANGES);
    spec.rows_per_batch = 5_000;
    let source = open(&[("folder", dir.path().to_str().unwrap())]).source(spec).unwrap();
    let mut reader = source.read(None).await.unwrap();
    let mut rows = 0;
    while let Some(page) = reader.next().await.unwrap() {
        rows += page.batch.len();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("rows {rows} peak {}", peak.trim().trim_end_matches("kB").trim());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_million_lines_take_no_more_memory_than_a_thousand() {
    if let Ok(lines) = std::env::var(LINES) {
        return child(lines.parse().unwrap()).await;
    }
    let peak = |lines: usize| -> u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args([HERE, "--exact", "--nocapture"]).env(LINES, lines.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, rest) = said.split_once(&format!("rows {lines} peak ")).unwrap_or_else(|| panic!("{said}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (few, many) = (peak(1_000), peak(1_000_000));
    // Some pages of 5,000 rows are on their way at a time.
    assert!(many < few + 24 * 1024, "a thousand lines take {few} KB, a million {many} KB");
}
