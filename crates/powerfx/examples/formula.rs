//! `formula --batch`: answers each line of standard input, `{"expr": …, "context": {…}}`, with one line.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let context = powerfx::Context::new(jiff::Timestamp::now(), jiff::tz::TimeZone::UTC);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", powerfx::answer_line(&line?, &context))?;
    }
    out.flush()
}
