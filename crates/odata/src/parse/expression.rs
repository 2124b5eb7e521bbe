use super::cursor::Cursor;
use super::literal::literal;
use crate::{Argument, Binary, Error, Expr, Path, Problem, Quantifier};

/// Parses a whole `$filter` (or any other) expression from decoded text.
pub fn expression(text: &str) -> Result<Expr, Error> {
    let mut cursor = Cursor::new(text);
    let expr = parse(&mut cursor)?;
    cursor.done()?;
    Ok(expr)
}

pub fn parse(cursor: &mut Cursor) -> Result<Expr, Error> {
    cursor.deeper()?;
    let expr = any_of(cursor)?;
    cursor.shallower();
    Ok(expr)
}

fn any_of(cursor: &mut Cursor) -> Result<Expr, Error> {
    chain(cursor, "or", all_of, Expr::Or)
}

fn all_of(cursor: &mut Cursor) -> Result<Expr, Error> {
    chain(cursor, "and", |cursor| binary(cursor, 0), Expr::And)
}

fn chain(
    cursor: &mut Cursor,
    word: &str,
    part: impl Fn(&mut Cursor) -> Result<Expr, Error>,
    of: fn(Vec<Expr>) -> Expr,
) -> Result<Expr, Error> {
    let first = part(cursor)?;
    let mut parts = vec![first];
    while operator(cursor, word) {
        parts.push(part(cursor)?);
    }
    Ok(match parts.len() {
        1 => parts.swap_remove(0),
        _ => of(parts),
    })
}

/// Operators by how loosely they bind, loosest first.
const LEVELS: [&[(&str, Binary)]; 4] = [
    &[("eq", Binary::Eq), ("ne", Binary::Ne)],
    &[("gt", Binary::Gt), ("ge", Binary::Ge), ("lt", Binary::Lt), ("le", Binary::Le), ("has", Binary::Has)],
    &[("add", Binary::Add), ("sub", Binary::Sub)],
    &[("mul", Binary::Mul), ("div", Binary::Div), ("divby", Binary::DivBy), ("mod", Binary::Mod)],
];

fn binary(cursor: &mut Cursor, level: usize) -> Result<Expr, Error> {
    let Some(operators) = LEVELS.get(level) else { return unary(cursor) };
    let mut left = binary(cursor, level + 1)?;
    // Each turn makes the tree one deeper on its left side, so it is paid for like nesting.
    let mut turns = 0;
    loop {
        let start = cursor.at();
        // `not in` is none of the standard's words, and is sent all the same.
        let negated = level == 1 && operator(cursor, "not");
        if level == 1 && operator(cursor, "in") {
            cursor.skip_spaces();
            let right = if matches!(cursor.peek(), Some(b'(' | b'[')) { list(cursor)? } else { unary(cursor)? };
            let one_of = Expr::In(Box::new(left), Box::new(right));
            left = if negated { Expr::Not(Box::new(one_of)) } else { one_of };
        } else {
            cursor.set(start);
            let Some((_, op)) = operators.iter().find(|(word, _)| operator(cursor, word)) else { break };
            let right = binary(cursor, level + 1)?;
            left = Expr::Binary(*op, Box::new(left), Box::new(right));
        }
        cursor.deeper()?;
        turns += 1;
    }
    (0..turns).for_each(|_| cursor.shallower());
    Ok(left)
}

fn operator(cursor: &mut Cursor, word: &str) -> bool {
    let start = cursor.at();
    cursor.skip_spaces();
    let found =
        cursor.take_word(word) && matches!(cursor.peek(), None | Some(b' ' | b'\t' | b'(' | b'\'' | b'-' | b'['));
    if !found {
        cursor.set(start);
    }
    found
}

fn unary(cursor: &mut Cursor) -> Result<Expr, Error> {
    cursor.skip_spaces();
    cursor.count_node()?;
    let start = cursor.at();
    if cursor.take_word("not") && matches!(cursor.peek(), Some(b' ' | b'(' | b'\t')) && !compares(cursor) {
        cursor.deeper()?;
        let inner = unary(cursor)?;
        cursor.shallower();
        return Ok(Expr::Not(Box::new(inner)));
    }
    cursor.set(start);
    primary(cursor)
}

/// Whether a comparison comes next, as behind a column that is called `not`; and not the column of such a name that is
/// compared.
fn compares(cursor: &mut Cursor) -> bool {
    let start = cursor.at();
    let mut next =
        || LEVELS[..2].iter().copied().flatten().any(|(word, _)| operator(cursor, word)) || operator(cursor, "in");
    let compares = next() && !next();
    cursor.set(start);
    compares
}

fn primary(cursor: &mut Cursor) -> Result<Expr, Error> {
    match cursor.peek() {
        Some(b'(') => {
            cursor.set(cursor.at() + 1);
            let inner = parse(cursor)?;
            cursor.skip_spaces();
            cursor.expect(")")?;
            return Ok(inner);
        }
        Some(b'[') => return list(cursor),
        Some(b'@') => {
            cursor.set(cursor.at() + 1);
            let name = cursor.name(false).ok_or_else(|| cursor.error(Problem::Expected("a parameter name")))?;
            return Ok(Expr::Alias(format!("@{name}")));
        }
        _ => {}
    }
    if let Some(literal) = literal(cursor)? {
        return Ok(Expr::Literal(literal));
    }
    if cursor.take("-") {
        cursor.deeper()?;
        let inner = unary(cursor)?;
        cursor.shallower();
        return Ok(Expr::Negate(Box::new(inner)));
    }
    path_or_call(cursor)
}

fn path_or_call(cursor: &mut Cursor) -> Result<Expr, Error> {
    let mut steps: Vec<String> = Vec::new();
    loop {
        cursor.count_node()?;
        let name =
            cursor.name(true).ok_or_else(|| cursor.error(Problem::Expected("a column, a function or a value")))?;
        if cursor.peek() == Some(b'(') {
            let quantifier = match name {
                "any" => Some(Quantifier::Any),
                "all" => Some(Quantifier::All),
                _ => None,
            };
            return match quantifier {
                Some(quantifier) if !steps.is_empty() => lambda(cursor, Path(steps), quantifier),
                _ if steps.is_empty() => Ok(Expr::Call(name.to_owned(), arguments(cursor)?)),
                _ => Err(cursor.error(Problem::Expected("any(…) or all(…) after a path"))),
            };
        }
        steps.push(name.to_owned());
        if !cursor.take("/") {
            return Ok(Expr::Path(Path(steps)));
        }
    }
}

fn lambda(cursor: &mut Cursor, path: Path, quantifier: Quantifier) -> Result<Expr, Error> {
    cursor.expect("(")?;
    cursor.skip_spaces();
    let mut body = None;
    if cursor.peek() != Some(b')') {
        let variable = cursor.name(false).ok_or_else(|| cursor.error(Problem::Expected("a variable name")))?;
        cursor.skip_spaces();
        cursor.expect(":")?;
        body = Some((variable.to_owned(), Box::new(parse(cursor)?)));
        cursor.skip_spaces();
    } else if quantifier == Quantifier::All {
        return Err(cursor.error(Problem::Expected("a variable name")));
    }
    cursor.expect(")")?;
    Ok(Expr::Lambda { path, quantifier, body })
}

/// `( … )` with named or positional arguments; also a key predicate.
pub fn arguments(cursor: &mut Cursor) -> Result<Vec<Argument>, Error> {
    cursor.expect("(")?;
    cursor.skip_spaces();
    if cursor.take(")") {
        return Ok(Vec::new());
    }
    let arguments = cursor.list(|cursor| {
        let start = cursor.at();
        let name = cursor.name(false).filter(|_| cursor.peek() == Some(b'='));
        match name {
            Some(_) => cursor.set(cursor.at() + 1),
            None => cursor.set(start),
        }
        Ok(Argument { name: name.map(str::to_owned), value: parse(cursor)? })
    })?;
    cursor.expect(")")?;
    Ok(arguments)
}

fn list(cursor: &mut Cursor) -> Result<Expr, Error> {
    let close = if cursor.take("[") { "]" } else { cursor.expect("(").map(|()| ")")? };
    cursor.skip_spaces();
    if cursor.take(close) {
        return Ok(Expr::List(Vec::new()));
    }
    let items = cursor.list(parse)?;
    cursor.expect(close)?;
    Ok(Expr::List(items))
}
