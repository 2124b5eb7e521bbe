//! `$filter` and `$orderby` to SQL with bound values.

use std::sync::Arc;

use odata::{Argument, Binary, Direction, Expr, Literal, OrderItem, Path, Quantifier};
use rusqlite::types::Value;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::model::{Behaviour, Catalog, Kind, Nav, Table};
use super::refusal::{Answer, Refusal};
use super::storage::{blob, sql_column};
use super::value;

/// Turns expressions over one table into SQL, gathering the values to bind.
pub struct Translator<'a> {
    catalog: &'a Catalog,
    aliases: &'a [(String, Expr)],
    now: i64,
    user: Uuid,
    /// Innermost last: the name that a lambda gives it, the table, the SQL alias.
    scopes: Vec<(Option<String>, Arc<Table>, String)>,
    pub params: Vec<Value>,
}

/// One side of a comparison.
enum Side {
    Column { sql: String, kind: Kind },
    Literal(Literal),
}

impl<'a> Translator<'a> {
    pub fn new(
        catalog: &'a Catalog,
        table: &Arc<Table>,
        alias: &str,
        aliases: &'a [(String, Expr)],
        now: i64,
        user: Uuid,
    ) -> Self {
        let scopes = vec![(None, table.clone(), alias.to_owned())];
        Translator { catalog, aliases, now, user, scopes, params: Vec::new() }
    }

    /// SQL that is true for the rows to keep.
    pub fn predicate(&mut self, expr: &Expr) -> Answer<String> {
        match expr {
            Expr::And(parts) => self.joined(parts, " AND "),
            Expr::Or(parts) => self.joined(parts, " OR "),
            Expr::Not(inner) => Ok(format!("(({}) IS NOT 1)", self.predicate(inner)?)),
            Expr::Binary(op, left, right) => self.comparison(*op, left, right),
            Expr::Call(name, arguments) => self.call(name, arguments),
            Expr::Lambda { path, quantifier, body } => self.lambda(path, *quantifier, body.as_ref()),
            Expr::In(..) => Err(Refusal::not_emulated("the 'in' operator; use Microsoft.Dynamics.CRM.In")),
            Expr::Path(path) => match self.column(path)? {
                (sql, Kind::Boolean { .. }) => Ok(format!("({sql} = 1)")),
                _ => Err(Refusal::query("The $filter expression must evaluate to a single boolean value.")),
            },
            Expr::Literal(Literal::Bool(yes)) => Ok(if *yes { "1".into() } else { "0".into() }),
            _ => Err(Refusal::query("The $filter expression must evaluate to a single boolean value.")),
        }
    }

    fn joined(&mut self, parts: &[Expr], word: &str) -> Answer<String> {
        // Halves of halves: SQLite bounds how deep an expression may be, and a flat chain is as deep as it is long.
        match parts {
            [one] => self.predicate(one),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                Ok(format!("({}{word}{})", self.joined(left, word)?, self.joined(right, word)?))
            }
        }
    }

    fn comparison(&mut self, op: Binary, left: &Expr, right: &Expr) -> Answer<String> {
        let word = match op {
            Binary::Eq => "=",
            Binary::Ne => "<>",
            Binary::Gt => ">",
            Binary::Ge => ">=",
            Binary::Lt => "<",
            Binary::Le => "<=",
            Binary::Has => return Err(Refusal::not_emulated("the 'has' operator")),
            _ => return Err(Refusal::query("A binary arithmetic operator is not supported in $filter.")),
        };
        match (self.side(left)?, self.side(right)?) {
            (Side::Column { sql, kind }, Side::Literal(literal)) => self.against(&sql, &kind, word, &literal),
            (Side::Literal(literal), Side::Column { sql, kind }) => {
                let flipped = match word {
                    ">" => "<",
                    ">=" => "<=",
                    "<" => ">",
                    "<=" => ">=",
                    same => same,
                };
                self.against(&sql, &kind, flipped, &literal)
            }
            (Side::Column { sql: a, kind: x }, Side::Column { sql: b, kind: y }) => {
                if x.edm() != y.edm() || x.scale() != y.scale() {
                    return Err(incompatible(x.edm(), y.edm(), word));
                }
                Ok(match word {
                    "=" => format!("({a} IS {b})"),
                    "<>" => format!("({a} IS NOT {b})"),
                    _ => format!("({a} {word} {b})"),
                })
            }
            (Side::Literal(_), Side::Literal(_)) => {
                Err(Refusal::query("A comparison in $filter must name a column on at least one side."))
            }
        }
    }

    fn against(&mut self, sql: &str, kind: &Kind, word: &str, literal: &Literal) -> Answer<String> {
        if *literal == Literal::Null {
            return match word {
                "=" => Ok(format!("({sql} IS NULL)")),
                "<>" => Ok(format!("({sql} IS NOT NULL)")),
                _ => Ok("0".into()),
            };
        }
        let (bound, exact) = bind(kind, literal).ok_or_else(|| incompatible(kind.edm(), edm(literal), word))?;
        // A value between two that can be stored was rounded down to the lower of them.
        let word = match (exact, word) {
            (true, word) => word,
            (false, "=") => return Ok("0".into()),
            (false, "<>") => return Ok("1".into()),
            (false, ">" | ">=") => ">",
            (false, _) => "<=",
        };
        self.params.push(bound);
        Ok(match word {
            "<>" => format!("({sql} IS NULL OR {sql} <> ?)"),
            _ => format!("({sql} {word} ?)"),
        })
    }

    fn side(&mut self, expr: &Expr) -> Answer<Side> {
        match expr {
            Expr::Path(path) => {
                let (sql, kind) = self.column(path)?;
                Ok(Side::Column { sql, kind })
            }
            Expr::Literal(literal) => Ok(Side::Literal(literal.clone())),
            Expr::Alias(name) => match self.aliases.iter().find(|(alias, _)| alias == name) {
                None => Ok(Side::Literal(Literal::Null)),
                Some((_, Expr::Alias(_))) => Err(Refusal::query("A parameter alias cannot name another one.")),
                Some((_, value)) => {
                    let value = value.clone();
                    self.side(&value)
                }
            },
            Expr::Call(name, _) => Err(Refusal::not_emulated(format!("the filter function '{name}'"))),
            other => Err(Refusal::query(format!("'{other}' cannot be one side of a comparison."))),
        }
    }

    /// A column, perhaps through single-valued navigation, as an SQL expression.
    pub fn column(&mut self, path: &Path) -> Answer<(String, Kind)> {
        let mut steps = path.0.as_slice();
        let named = self.scopes.iter().rev().find(|(name, ..)| name.as_deref() == Some(steps[0].as_str()));
        let scope = match named {
            Some(scope) => {
                steps = &steps[1..];
                scope
            }
            None => &self.scopes[0],
        };
        let (table, alias) = (scope.1.clone(), scope.2.clone());
        self.walk(&table, &alias, steps, &path.0)
    }

    fn walk(&self, table: &Arc<Table>, alias: &str, steps: &[String], whole: &[String]) -> Answer<(String, Kind)> {
        match steps {
            [name] => {
                let column = table.column_of_property(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
                Ok((sql_column(table, column, alias), column.kind.clone()))
            }
            [nav, rest @ ..] => match self.catalog.nav(&table.name, nav) {
                Some(Nav::One { column, targets }) => {
                    let target = targets.first().and_then(|target| self.catalog.table(target));
                    let (Some(target), Some(column)) = (target, table.column(column)) else {
                        return Err(Refusal::no_property(nav, &table.name));
                    };
                    refuse_virtual(target)?;
                    let inner = format!("{alias}x");
                    let (value, kind) = self.walk(target, &inner, rest, whole)?;
                    let here = sql_column(table, column, alias);
                    let value = format!("(SELECT {value} FROM {} {inner} WHERE {inner}.id = {here})", target.sql());
                    Ok((collated(value, &kind), kind))
                }
                Some(_) => Err(Refusal::query(format!(
                    "The parent value for a property access of a property '{}' is not a single value.",
                    rest.first().map_or("", String::as_str)
                ))),
                None => Err(Refusal::no_property(nav, &table.name)),
            },
            [] => Err(Refusal::query(format!("'{}' names no column.", whole.join("/")))),
        }
    }

    fn lambda(&mut self, path: &Path, quantifier: Quantifier, body: Option<&(String, Box<Expr>)>) -> Answer<String> {
        let Some(nav) = path.single() else {
            return Err(Refusal::not_emulated("any/all after more than one navigation step"));
        };
        let (_, table, alias) = self.scopes.last().cloned().expect("the outermost scope is never removed");
        let inner = format!("{alias}n");
        let (target, from) = match self.catalog.nav(&table.name, nav) {
            Some(Nav::Many { table: many, column }) => {
                let many = self.catalog.table(many).ok_or_else(|| Refusal::no_property(nav, &table.name))?;
                refuse_virtual(many)?;
                (many.clone(), format!("{} {inner} WHERE {inner}.c_{column} = {alias}.id", many.sql()))
            }
            Some(Nav::Linked { link, here }) => {
                let (mine, theirs) = if *here == 0 { ("a", "b") } else { ("b", "a") };
                let other = self.catalog.table(&link.tables[1 - here]);
                let other = other.ok_or_else(|| Refusal::no_property(nav, &table.name))?;
                let from = format!(
                    "{} {inner} JOIN {} {inner}l ON {inner}l.{theirs} = {inner}.id WHERE {inner}l.{mine} = {alias}.id",
                    other.sql(),
                    link.sql()
                );
                (other.clone(), from)
            }
            _ => return Err(Refusal::no_property(nav, &table.name)),
        };
        let Some((variable, predicate)) = body else {
            return Ok(format!("EXISTS (SELECT 1 FROM {from})"));
        };
        self.scopes.push((Some(variable.clone()), target, inner));
        let predicate = self.predicate(predicate);
        self.scopes.pop();
        let predicate = predicate?;
        Ok(match quantifier {
            Quantifier::Any => format!("EXISTS (SELECT 1 FROM {from} AND ({predicate}))"),
            Quantifier::All => format!("NOT EXISTS (SELECT 1 FROM {from} AND (({predicate}) IS NOT 1))"),
        })
    }

    fn call(&mut self, name: &str, arguments: &[Argument]) -> Answer<String> {
        if let Some(function) = name.strip_prefix("Microsoft.Dynamics.CRM.") {
            return self.query_function(function, arguments);
        }
        let (before, after) = match name {
            "contains" => ("%", "%"),
            "startswith" => ("", "%"),
            "endswith" => ("%", ""),
            _ => return Err(Refusal::not_emulated(format!("the filter function '{name}'"))),
        };
        let [text, part] = arguments else {
            return Err(Refusal::query(format!(
                "No function signature for the function with name '{name}' matches the specified arguments."
            )));
        };
        match (self.side(&text.value)?, self.side(&part.value)?) {
            (
                Side::Column { sql, kind: Kind::Text { .. } | Kind::Memo { .. } },
                Side::Literal(Literal::String(part)),
            ) => {
                self.params.push(Value::Text(format!("{before}{part}{after}")));
                Ok(format!("matches({sql}, ?)"))
            }
            (_, Side::Literal(Literal::Null)) => Ok("0".into()),
            _ => Err(Refusal::query(format!(
                "No function signature for the function with name '{name}' matches the specified arguments."
            ))),
        }
    }

    /// The platform's own functions: `Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['a'])` and so on.
    fn query_function(&mut self, function: &str, arguments: &[Argument]) -> Answer<String> {
        const DAY: i64 = 86_400;
        let named = |name: &str| {
            arguments.iter().find(|argument| argument.name.as_deref() == Some(name)).map(|argument| &argument.value)
        };
        let wrong = || Refusal::query(format!("The arguments of 'Microsoft.Dynamics.CRM.{function}' are not valid."));
        let Some(Expr::Literal(Literal::String(property))) = named("PropertyName") else { return Err(wrong()) };
        let path = Path(property.split('/').map(str::to_owned).collect());
        // Here a lookup may also go by its plain name.
        let (sql, kind) = match self.column(&path) {
            Ok(found) => found,
            Err(refusal) if path.single().is_some() => {
                self.column(&Path::of(&format!("_{property}_value"))).map_err(|_| refusal)?
            }
            Err(refusal) => return Err(refusal),
        };
        let today = self.now.div_euclid(DAY) * DAY;
        let number = || match named("PropertyValue") {
            Some(Expr::Literal(Literal::Int(number))) => Ok(*number),
            Some(Expr::Literal(Literal::String(text))) => text.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        match function {
            "In" | "NotIn" | "Between" | "NotBetween" => {
                let Some(Expr::List(items)) = named("PropertyValues") else { return Err(wrong()) };
                let values =
                    items.iter().map(|item| listed(&kind, item).ok_or_else(wrong)).collect::<Answer<Vec<_>>>()?;
                let count = values.len();
                self.params.extend(values);
                match function {
                    "In" => Ok(format!("({sql} IN ({}))", vec!["?"; count].join(","))),
                    "NotIn" => Ok(format!("({sql} NOT IN ({}))", vec!["?"; count].join(","))),
                    _ if count != 2 => Err(wrong()),
                    "Between" => Ok(format!("({sql} BETWEEN ? AND ?)")),
                    _ => Ok(format!("({sql} NOT BETWEEN ? AND ?)")),
                }
            }
            "On" | "OnOrAfter" | "OnOrBefore" => {
                let Some(value) = named("PropertyValue") else { return Err(wrong()) };
                let Some(Value::Integer(at)) = listed(&kind, value) else { return Err(wrong()) };
                let day = at.div_euclid(DAY) * DAY;
                match function {
                    "On" => Ok(self.between(&sql, day, day + DAY)),
                    "OnOrAfter" => Ok(format!("({sql} >= {day})")),
                    _ => Ok(format!("({sql} < {})", day + DAY)),
                }
            }
            "Today" => Ok(self.between(&sql, today, today + DAY)),
            "Yesterday" => Ok(self.between(&sql, today - DAY, today)),
            "Tomorrow" => Ok(self.between(&sql, today + DAY, today + 2 * DAY)),
            "LastXHours" => Ok(self.between(&sql, self.now - number()? * 3600, self.now + 1)),
            "NextXHours" => Ok(self.between(&sql, self.now, self.now + number()? * 3600)),
            "LastXDays" => Ok(self.between(&sql, today - number()? * DAY, self.now + 1)),
            "NextXDays" => Ok(self.between(&sql, self.now, today + (number()? + 1) * DAY)),
            "Last7Days" => Ok(self.between(&sql, today - 7 * DAY, self.now + 1)),
            "EqualUserId" | "NotEqualUserId" => {
                self.params.push(Value::Blob(blob(self.user)));
                Ok(format!("({sql} {} ?)", if function == "EqualUserId" { "=" } else { "<>" }))
            }
            _ => Err(Refusal::not_emulated(format!("the query function 'Microsoft.Dynamics.CRM.{function}'"))),
        }
    }

    fn between(&self, sql: &str, from: i64, until: i64) -> String {
        format!("({sql} >= {from} AND {sql} < {until})")
    }

    /// The SQL of `$orderby`, without the primary key that always comes last.
    pub fn order(&mut self, items: &[OrderItem]) -> Answer<Vec<String>> {
        items.iter().map(|item| self.order_item(item)).collect()
    }

    fn order_item(&mut self, item: &OrderItem) -> Answer<String> {
        let Expr::Path(path) = &item.by else {
            return Err(Refusal::not_emulated("$orderby with an expression"));
        };
        let (sql, kind) = self.column(path)?;
        let by = match (&kind, path.single()) {
            // Lookups sort by the name of the row that they point to.
            (Kind::Lookup { targets, .. }, Some(_)) => {
                let names: Vec<String> = targets
                    .iter()
                    .filter_map(|target| {
                        let target = self.catalog.table(target)?;
                        let name = sql_column(target, target.column(&target.primary_name)?, "o");
                        Some(format!("(SELECT {name} FROM {} o WHERE o.id = {sql})", target.sql()))
                    })
                    .collect();
                match names.len() {
                    0 => sql,
                    1 => names.concat(),
                    _ => format!("coalesce({})", names.join(", ")),
                }
            }
            _ => sql,
        };
        let by = if matches!(kind, Kind::Lookup { .. }) { format!("{by} COLLATE dataverse") } else { by };
        Ok(if item.direction == Direction::Descending { format!("{by} DESC") } else { by })
    }
}

/// The rows of a virtual table are elsewhere: no query joins them.
pub fn refuse_virtual(table: &Table) -> Answer<()> {
    match table.external {
        None => Ok(()),
        Some(_) => Err(Refusal::query(format!("A query cannot join the virtual entity '{}'.", table.name))),
    }
}

/// Says how texts compare, which a value loses on its way out of a subquery.
fn collated(sql: String, kind: &Kind) -> String {
    match kind {
        Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } if sql.starts_with('(') => {
            format!("{sql} COLLATE dataverse")
        }
        _ => sql,
    }
}

/// The value to bind for a comparison with a column, and whether it is the literal exactly; an inexact one is rounded
/// down.
fn bind(kind: &Kind, literal: &Literal) -> Option<(Value, bool)> {
    let exact = |value| Some((value, true));
    match (kind, literal) {
        (Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. }, Literal::String(text)) => {
            exact(Value::Text(text.clone()))
        }
        (Kind::Boolean { .. }, Literal::Bool(yes)) => exact(Value::Integer((*yes).into())),
        (Kind::Uniqueidentifier | Kind::Lookup { .. }, Literal::Guid(id)) => exact(Value::Blob(blob(*id))),
        (Kind::Double { .. }, literal) => match literal {
            // A double column compares as a double.
            Literal::Int(number) => exact(Value::Real(*number as f64)),
            Literal::Decimal(number) => exact(Value::Real(number.to_string().parse().ok()?)),
            Literal::Double(text) => exact(Value::Real(text.parse().ok()?)),
            _ => None,
        },
        (Kind::DateTime { behaviour: Behaviour::DateOnly, .. }, literal) => match literal {
            Literal::Date(date) => exact(Value::Text(date.to_string())),
            Literal::Instant(at) => {
                let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
                exact(Value::Text(date.to_string()))
            }
            _ => None,
        },
        (Kind::DateTime { .. }, literal) => match literal {
            Literal::Instant(at) => {
                let seconds = at.as_nanosecond().div_euclid(1_000_000_000);
                let whole = at.as_nanosecond().rem_euclid(1_000_000_000) == 0;
                Some((Value::Integer(i64::try_from(seconds).ok()?), whole))
            }
            Literal::Date(date) => exact(Value::Integer(value::instant(&date.to_string())?)),
            _ => None,
        },
        (Kind::Boolean { .. } | Kind::Uniqueidentifier | Kind::Lookup { .. }, _) => None,
        (Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. }, _) => None,
        (kind, literal) => {
            let number = match literal {
                Literal::Int(number) => Decimal::from(*number),
                Literal::Decimal(number) => *number,
                Literal::Double(text) => value::decimal(text)?,
                _ => return None,
            };
            let places = kind.scale().unwrap_or(0);
            let floor = number.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::ToNegativeInfinity);
            // Beyond what can be stored every stored value is on the same side.
            let beyond = if number.is_sign_negative() { i64::MIN } else { i64::MAX };
            let stored = value::scaled(floor, places);
            Some((Value::Integer(stored.unwrap_or(beyond)), floor == number && stored.is_some()))
        }
    }
}

/// An item of `PropertyValues`, which may be written as text whatever the column's type.
fn listed(kind: &Kind, item: &Expr) -> Option<Value> {
    let Expr::Literal(literal) = item else { return None };
    let literal = match (kind, literal) {
        (Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. }, _) => literal.clone(),
        (_, Literal::String(text)) => match odata::expression(text).ok()? {
            Expr::Literal(literal) => literal,
            _ => return None,
        },
        _ => literal.clone(),
    };
    bind(kind, &literal).map(|(value, _)| value)
}

fn edm(literal: &Literal) -> &'static str {
    match literal {
        Literal::Null => "<null>",
        Literal::Bool(_) => "Edm.Boolean",
        Literal::Int(number) if i32::try_from(*number).is_ok() => "Edm.Int32",
        Literal::Int(_) => "Edm.Int64",
        Literal::Decimal(_) => "Edm.Decimal",
        Literal::Double(_) => "Edm.Double",
        Literal::String(_) => "Edm.String",
        Literal::Guid(_) => "Edm.Guid",
        Literal::Date(_) => "Edm.Date",
        Literal::Time(_) => "Edm.TimeOfDay",
        Literal::Instant(_) | Literal::Late(_) => "Edm.DateTimeOffset",
        Literal::Duration(_) => "Edm.Duration",
        Literal::Binary(_) => "Edm.Binary",
        Literal::Enum { .. } => "Edm.Enum",
    }
}

fn incompatible(left: &str, right: &str, word: &str) -> Refusal {
    let operator = match word {
        "=" => "Equal",
        "<>" => "NotEqual",
        ">" => "GreaterThan",
        ">=" => "GreaterThanOrEqual",
        "<" => "LessThan",
        _ => "LessThanOrEqual",
    };
    Refusal::query(format!(
        "A binary operator with incompatible types was detected. Found operand types '{left}' and '{right}' for \
         operator kind '{operator}'."
    ))
}
