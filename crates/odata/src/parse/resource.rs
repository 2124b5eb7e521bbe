use super::cursor::Cursor;
use super::expression::arguments;
use crate::{Argument, Error, Problem, decode};

/// One step of a URL's path: a name, and the key predicate or the arguments in its parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub name: String,
    pub arguments: Option<Vec<Argument>>,
}

/// Parses a raw (still percent-encoded) path below the service root.
///
/// *Shape*: empty for the root itself. A slash inside a quoted key value does not separate.
pub fn resource_path(path: &str) -> Result<Vec<Segment>, Error> {
    split(path).into_iter().filter(|part| !part.is_empty()).map(segment).collect()
}

fn segment(raw: &str) -> Result<Segment, Error> {
    let text = decode(raw, false)?;
    let mut cursor = Cursor::new(&text);
    let name = cursor.name(true).ok_or_else(|| cursor.error(Problem::Expected("a name")))?.to_owned();
    let arguments = if cursor.peek() == Some(b'(') { Some(arguments(&mut cursor)?) } else { None };
    cursor.done()?;
    Ok(Segment { name, arguments })
}

fn split(path: &str) -> Vec<&str> {
    let bytes = path.as_bytes();
    let (mut parts, mut start, mut at, mut quoted) = (Vec::new(), 0, 0, false);
    while at < bytes.len() {
        let escaped_quote = bytes[at] == b'%' && bytes.get(at + 1..at + 3) == Some(b"27");
        if bytes[at] == b'\'' || escaped_quote {
            quoted = !quoted;
        } else if bytes[at] == b'/' && !quoted {
            parts.push(&path[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts.push(&path[start..]);
    parts
}
