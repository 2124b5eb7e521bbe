use super::apply;
use super::cursor::Cursor;
use super::expression::{self, expression};
use crate::{Direction, Error, Expand, Options, OrderItem, Path, Problem, query_pairs};

impl Options {
    /// Parses a raw (still percent-encoded) query string, without its `?`.
    ///
    /// *Errors*: the first option that is not OData; an unknown `$option`; one given twice.
    pub fn parse(query: &str) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in query_pairs(query)? {
            if !name.starts_with(['$', '@']) {
                options.custom.push((name, value));
                continue;
            }
            let fail = |problem| Error { problem, at: 0, text: value.clone() };
            if seen.contains(&name) {
                return Err(fail(Problem::DuplicateOption(name)));
            }
            if name.starts_with('@') {
                let value = expression(&value)?;
                options.aliases.push((name.clone(), value));
            } else {
                let mut cursor = Cursor::new(&value);
                if !options.read(&name, &mut cursor)? {
                    return Err(fail(Problem::UnknownOption(name)));
                }
                cursor.done()?;
            }
            seen.push(name);
        }
        Ok(options)
    }

    /// Reads the value of one `$option`; `false` if there is none of that name.
    fn read(&mut self, name: &str, cursor: &mut Cursor) -> Result<bool, Error> {
        match name {
            "$select" => self.select = Some(cursor.list(path)?),
            "$filter" => self.filter = Some(expression::parse(cursor)?),
            "$orderby" => self.orderby = cursor.list(order_item)?,
            "$expand" => self.expand = cursor.list(expand_item)?,
            "$top" => self.top = Some(whole_number(cursor)?),
            "$skip" => self.skip = Some(whole_number(cursor)?),
            "$count" => self.count = Some(yes_or_no(cursor)?),
            "$apply" => self.apply = Some(apply::parse(cursor)?),
            "$levels" => self.levels = Some(raw(cursor)),
            "$search" => self.search = Some(raw(cursor)),
            "$skiptoken" => self.skiptoken = Some(raw(cursor)),
            "$deltatoken" => self.deltatoken = Some(raw(cursor)),
            "$format" => self.format = Some(raw(cursor)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Parses the value of `$select`.
pub fn select_items(text: &str) -> Result<Vec<Path>, Error> {
    whole(text, |cursor| cursor.list(path))
}

/// Parses the value of `$orderby`.
pub fn order_items(text: &str) -> Result<Vec<OrderItem>, Error> {
    whole(text, |cursor| cursor.list(order_item))
}

/// Parses the value of `$expand`.
pub fn expand_items(text: &str) -> Result<Vec<Expand>, Error> {
    whole(text, |cursor| cursor.list(expand_item))
}

fn whole<T>(text: &str, parse: impl Fn(&mut Cursor) -> Result<T, Error>) -> Result<T, Error> {
    let mut cursor = Cursor::new(text);
    let value = parse(&mut cursor)?;
    cursor.done()?;
    Ok(value)
}

pub fn path(cursor: &mut Cursor) -> Result<Path, Error> {
    let mut steps = Vec::new();
    loop {
        cursor.count_node()?;
        if cursor.take("*") {
            steps.push("*".to_owned());
        } else {
            let name = cursor.name(true).ok_or_else(|| cursor.error(Problem::Expected("a name")))?;
            // `Namespace.*` selects the operations of a namespace.
            steps.push(if cursor.take(".*") { format!("{name}.*") } else { name.to_owned() });
        }
        if !cursor.take("/") {
            return Ok(Path(steps));
        }
    }
}

fn order_item(cursor: &mut Cursor) -> Result<OrderItem, Error> {
    let by = expression::parse(cursor)?;
    cursor.skip_spaces();
    let descending = cursor.take_word("desc");
    if !descending {
        cursor.take_word("asc");
    }
    Ok(OrderItem { by, direction: if descending { Direction::Descending } else { Direction::Ascending } })
}

fn expand_item(cursor: &mut Cursor) -> Result<Expand, Error> {
    let path = path(cursor)?;
    let mut options = Options::default();
    if cursor.take("(") {
        cursor.deeper()?;
        let mut seen: Vec<&str> = Vec::new();
        loop {
            cursor.skip_spaces();
            let at = cursor.at();
            let name = cursor.name(false).ok_or_else(|| cursor.error(Problem::Expected("a query option")))?;
            if seen.contains(&name) {
                return Err(cursor.error_at(at, Problem::DuplicateOption(name.to_owned())));
            }
            cursor.skip_spaces();
            cursor.expect("=")?;
            cursor.skip_spaces();
            if !options.read(name, cursor)? {
                return Err(cursor.error_at(at, Problem::UnknownOption(name.to_owned())));
            }
            seen.push(name);
            cursor.skip_spaces();
            if !cursor.take(";") {
                break;
            }
        }
        cursor.expect(")")?;
        cursor.shallower();
    }
    Ok(Expand { path, options })
}

fn whole_number(cursor: &mut Cursor) -> Result<u64, Error> {
    cursor.skip_spaces();
    let rest = cursor.rest();
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
    let number = digits.parse().map_err(|_| cursor.error(Problem::Expected("a whole number")))?;
    cursor.set(cursor.at() + digits.len());
    Ok(number)
}

fn yes_or_no(cursor: &mut Cursor) -> Result<bool, Error> {
    cursor.skip_spaces();
    if cursor.take_word("true") {
        Ok(true)
    } else if cursor.take_word("false") {
        Ok(false)
    } else {
        Err(cursor.error(Problem::Expected("true or false")))
    }
}

/// Everything up to the end of this option.
fn raw(cursor: &mut Cursor) -> String {
    let rest = cursor.rest();
    // At the top level nothing closes an option but its end; a token may well hold `;` or `)`.
    let nested = cursor.depth() > 0;
    let end = if nested { rest.find([';', ')']).unwrap_or(rest.len()) } else { rest.len() };
    cursor.set(cursor.at() + end);
    rest[..end].to_owned()
}
