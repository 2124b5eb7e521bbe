use super::cursor::Cursor;
use super::{expression, options};
use crate::{Aggregate, Error, Method, Problem, Transformation};

/// Parses the value of `$apply`.
pub fn transformations(text: &str) -> Result<Vec<Transformation>, Error> {
    let mut cursor = Cursor::new(text);
    let steps = parse(&mut cursor)?;
    cursor.done()?;
    Ok(steps)
}

pub fn parse(cursor: &mut Cursor) -> Result<Vec<Transformation>, Error> {
    cursor.deeper()?;
    let mut steps = Vec::new();
    loop {
        cursor.skip_spaces();
        cursor.count_node()?;
        steps.push(step(cursor)?);
        if !cursor.take("/") {
            break;
        }
    }
    cursor.shallower();
    Ok(steps)
}

fn step(cursor: &mut Cursor) -> Result<Transformation, Error> {
    if cursor.take_word("identity") {
        return Ok(Transformation::Identity);
    }
    let at = cursor.at();
    let unknown = Problem::Expected("filter(…), aggregate(…), groupby(…) or identity");
    let Some(name) = cursor.name(false) else { return Err(cursor.error(unknown)) };
    let name = name.to_owned();
    cursor.expect("(")?;
    let step = match name.as_str() {
        "filter" => Transformation::Filter(expression::parse(cursor)?),
        "aggregate" => Transformation::Aggregate(cursor.list(aggregate)?),
        "groupby" => {
            cursor.skip_spaces();
            cursor.expect("(")?;
            let by = cursor.list(options::path)?;
            cursor.expect(")")?;
            cursor.skip_spaces();
            let then = if cursor.take(",") { parse(cursor)? } else { Vec::new() };
            Transformation::GroupBy { by, then }
        }
        _ => return Err(cursor.error_at(at, unknown)),
    };
    cursor.skip_spaces();
    cursor.expect(")")?;
    Ok(step)
}

fn aggregate(cursor: &mut Cursor) -> Result<Aggregate, Error> {
    let counted = cursor.take_word("$count");
    let of = if counted {
        None
    } else {
        let expr = expression::parse(cursor)?;
        cursor.skip_spaces();
        if !cursor.take_word("with") {
            return Err(cursor.error(Problem::Expected("with")));
        }
        cursor.skip_spaces();
        let method = match cursor.name(true) {
            Some("sum") => Method::Sum,
            Some("average") => Method::Average,
            Some("min") => Method::Min,
            Some("max") => Method::Max,
            Some("countdistinct") => Method::CountDistinct,
            Some(other) => Method::Custom(other.to_owned()),
            None => return Err(cursor.error(Problem::Expected("sum, average, min, max or countdistinct"))),
        };
        Some((expr, method))
    };
    cursor.skip_spaces();
    if !cursor.take_word("as") {
        return Err(cursor.error(Problem::Expected("as")));
    }
    cursor.skip_spaces();
    let alias = cursor.name(false).ok_or_else(|| cursor.error(Problem::Expected("a name")))?;
    Ok(Aggregate { of, alias: alias.to_owned() })
}
