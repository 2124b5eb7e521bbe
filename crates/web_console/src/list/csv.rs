//! A list as a file that a spreadsheet opens.

use super::{Column, Plain};

/// With a heading; times in UTC.
pub fn text<T>(columns: &[Column<T>], rows: &[T]) -> String {
    let mut out = String::new();
    line(&mut out, columns.iter().map(|column| column.key.to_owned()));
    for row in rows {
        line(&mut out, columns.iter().map(|column| plain((column.plain)(row))));
    }
    out
}

/// A line that is no row: what whoever reads the file has to know.
pub fn sentence(out: &mut String, text: String) {
    line(out, [text].into_iter());
}

fn plain(value: Plain) -> String {
    match value {
        Plain::Number(n) => n.to_string(),
        Plain::Time(at) => at.map(|at| at.to_string()).unwrap_or_default(),
        Plain::Text(text) => harmless(text),
    }
}

/// A spreadsheet takes a text that begins like this for a formula, and what the text says may come from anybody.
fn harmless(text: String) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text,
    }
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_file_or_a_spreadsheet_loses_it() {
        let columns = vec![
            Column::text("key", "Key", |row: &(&str, u64)| row.0.to_owned()),
            Column::number("count", "Count", |row: &(&str, u64)| row.1),
        ];
        let rows = [("a", 1), ("b,\"c\"", 2), ("=1+1", 3), ("two\nlines", 4)];
        assert_eq!(text(&columns, &rows), "key,count\r\na,1\r\n\"b,\"\"c\"\"\",2\r\n'=1+1,3\r\n\"two\nlines\",4\r\n");
    }
}
