//! Properties back to columns: what a filter over a formula's result means for the columns that it reads.
//!
//! A text of nothing is a blank in the hub, so a column that may hold one is read as [`Function::Filled`] wherever that
//! makes a difference.

use definition::SystemEntity;
use mapping::{Columns, Rule};
use powerfx::Shape;
use record::guid::{Scheme, can_be_hashed, writings};
use record::query::{Comparison, Expr, Function, Order};
use record::{EntityField, Key, Schema, Type, Value};

use crate::exposed::{Exposed, Of};

/// How the value of a field is found in the columns of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Inverse {
    /// The column as it is.
    Column(String, Type),
    /// The text of a column of whole numbers, GUIDs or dates, which have one text each.
    AsText(String, Type),
    /// A function of one column of text.
    Text(Function, String),
    /// A choice of a column, by its names.
    Choice {
        column: String,
        names: Vec<(String, Value)>,
    },
    /// A GUID that a column of text holds.
    Guid(String),
    /// A GUID that a column of bytes holds.
    Bytes(String),
    Constant(Value),
    /// Nobody can say: the row has to be read first.
    Unknown,
}

/// How a field of an entity is read.
pub(crate) fn inverse(field: &EntityField, rules: &[Rule], schema: &Schema) -> Inverse {
    let Some(rule) = rules.iter().find(|rule| rule.target == *field.name) else {
        return Inverse::Constant(Value::Blank);
    };
    let type_of = |name: &str| schema.index(name).map(|at| schema.columns()[at].ty.clone());
    let is_text = |name: &str| matches!(type_of(name), Some(Type::Text { .. } | Type::Multiline { .. }));
    match &rule.expr {
        mapping::Expr::Source(name) => match (type_of(name), &field.ty) {
            (Some(ty), _) if same_kind(&field.ty, &ty) => Inverse::Column(name.clone(), ty),
            (Some(_), Type::Guid) if is_text(name) => Inverse::Guid(name.clone()),
            (Some(Type::Bytes), Type::Guid) => Inverse::Bytes(name.clone()),
            (Some(ty), Type::Text { .. } | Type::Multiline { .. }) if has_one_text(&ty) => {
                Inverse::AsText(name.clone(), ty)
            }
            (Some(Type::WholeNumber), Type::Choice { values }) => match numbers(values) {
                Some(names) => Inverse::Choice { column: name.clone(), names },
                None => Inverse::Unknown,
            },
            _ => Inverse::Unknown,
        },
        mapping::Expr::Constant(value) if same_kind_of_value(&field.ty, value) => Inverse::Constant(value.clone()),
        mapping::Expr::Choice { source, names } => {
            let of_column = |value: &Value| fit_choice(value, &type_of(source)?);
            let names: Option<Vec<(String, Value)>> =
                names.iter().map(|(name, value)| Some((name.clone(), of_column(value)?))).collect();
            match names {
                Some(names) => Inverse::Choice { column: source.clone(), names },
                None => Inverse::Unknown,
            }
        }
        mapping::Expr::Formula(text) if matches!(field.ty, Type::Text { .. } | Type::Multiline { .. }) => {
            match shape(text, schema) {
                Some((Shape::Slot(_), name)) if is_text(&name) => {
                    Inverse::Column(name, Type::Text { max_length: None })
                }
                Some((Shape::Trim(_), name)) if is_text(&name) => Inverse::Text(Function::TrimWords, name),
                Some((Shape::Lower(_), name)) if is_text(&name) => Inverse::Text(Function::ToLower, name),
                Some((Shape::Upper(_), name)) if is_text(&name) => Inverse::Text(Function::ToUpper, name),
                _ => Inverse::Unknown,
            }
        }
        _ => Inverse::Unknown,
    }
}

/// Whether a database and the hub write each value of the column as one and the same text.
fn has_one_text(column: &Type) -> bool {
    matches!(column, Type::WholeNumber | Type::Decimal { scale: Some(0) } | Type::Guid | Type::Date)
}

/// The value of such a column that has this text; nothing where none has.
fn of_text(text: &str, column: &Type) -> Option<Value> {
    let value = match column {
        Type::Guid => Value::Guid(text.parse().ok()?),
        Type::Date => Value::Date(text.parse().ok()?),
        // SQLite keeps a fraction in a column of whole numbers.
        _ => match text.parse() {
            Ok(whole) => Value::Int(whole),
            Err(_) => Value::Decimal(text.parse::<record::Decimal>().ok()?.normalize()),
        },
    };
    (value.to_string() == text).then_some(value)
}

/// The names of a choice that are numbers, with those; nothing where not all are, or any number is one.
fn numbers(values: &[String]) -> Option<Vec<(String, Value)>> {
    let number = |name: &String| Some((name.clone(), Value::Int(name.parse().ok()?)));
    values.iter().map(number).collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
}

/// What a formula does, and the one column that it reads.
fn shape(text: &str, schema: &Schema) -> Option<(Shape, String)> {
    let mut scope = powerfx::Scope::new();
    for (name, ty) in Columns::closed(schema).iter() {
        scope.add(name, mapping::formula_type(name, ty));
    }
    let formula = powerfx::compile(text, &scope, &powerfx::Expect::Any).ok()?;
    match formula.slots() {
        [one] => Some((formula.shape(), one.name.to_string())),
        _ => None,
    }
}

/// Whether values of the column are those of the field, so that they compare alike.
fn same_kind(field: &Type, column: &Type) -> bool {
    use Type::{
        Choice, Date, DateTime, Decimal, Float, Guid, Money, Multiline, Person, Reference, Text, WholeNumber, YesNo,
    };
    match (field, column) {
        // A choice that is read from a column without names for its values has those of the column.
        (Text { .. } | Multiline { .. } | Person | Choice { .. }, Text { .. } | Multiline { .. }) => true,
        (WholeNumber | Decimal { .. } | Money | Float, WholeNumber | Decimal { .. } | Money | Float) => true,
        (YesNo, YesNo) | (Date, Date) | (DateTime, DateTime) | (Guid, Guid) | (Type::Time, Type::Time) => true,
        // A reference is the other row's key.
        (Reference { .. }, Text { .. } | WholeNumber | Guid) => true,
        _ => false,
    }
}

fn same_kind_of_value(field: &Type, value: &Value) -> bool {
    match value {
        Value::Bool(_) => *field == Type::YesNo,
        Value::Int(_) | Value::Decimal(_) => {
            matches!(field, Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::Float)
        }
        Value::Text(_) => matches!(field, Type::Text { .. } | Type::Multiline { .. }),
        _ => false,
    }
}

/// The system's value of a choice as its column holds it.
fn fit_choice(value: &Value, column: &Type) -> Option<Value> {
    let text = mapping::fit::text(value.as_ref())?;
    match column {
        Type::Text { .. } => Some(Value::Text(text)),
        Type::WholeNumber => text.parse().ok().map(Value::Int),
        Type::Decimal { .. } => text.parse().ok().map(Value::Decimal),
        _ => None,
    }
}

/// What the values of a field are: of a reference, the keys that it points to.
fn value_type(field: &EntityField, entities: &mapping::Entities) -> Type {
    let Type::Reference { to } = &field.ty else { return field.ty.clone() };
    let target = to.first().and_then(|name| entities.get(name.as_str()));
    let key = target.and_then(|target| match target.key.as_slice() {
        [key] => target.field(key),
        _ => None,
    });
    key.map_or_else(|| field.ty.clone(), |key| key.ty.clone())
}

/// Everything that turning a question around needs.
pub(crate) struct Inversion<'a> {
    pub exposed: &'a Exposed,
    pub entities: &'a mapping::Entities,
    /// By the place of a field in the entity.
    pub fields: &'a [Inverse],
    /// Whether the source computes hashes of keys.
    pub hashes: bool,
    /// The key of a GUID, where it was seen before.
    pub known: &'a dyn Fn(uuid::Uuid) -> Option<Key>,
}

impl Inversion<'_> {
    /// A question about properties as one about columns; nothing where the rows have to be read first.
    pub fn expr(&self, expr: &Expr) -> Option<Expr> {
        Some(match expr {
            Expr::Value(value) => Expr::Value(value.clone()),
            Expr::And(all) => Expr::And(all.iter().map(|expr| self.expr(expr)).collect::<Option<_>>()?),
            Expr::Or(all) => either(all.iter().map(|expr| self.expr(expr)).collect::<Option<_>>()?),
            Expr::Not(inner) => Expr::Not(Box::new(self.expr(inner)?)),
            Expr::Call(function, arguments) => {
                Expr::Call(*function, arguments.iter().map(|argument| self.operand(argument)).collect::<Option<_>>()?)
            }
            Expr::Compare(op, left, right) => self.compared(*op, left, right)?,
            Expr::In(inner, list) => self.one_of(inner, list)?,
            Expr::Column(_) => self.operand(expr)?,
        })
    }

    /// What rows are ordered by. The names of a choice are known here alone: the rows of each come in turn.
    pub fn order(&self, order: &Order) -> Option<Vec<Order>> {
        let Some(names) = self.names(&order.by) else {
            let by = self.bytes(&order.by).or_else(|| self.operand(&order.by))?;
            return Some(vec![Order { by, descending: order.descending }]);
        };
        let is_first = |at: &usize| !names[..*at].iter().any(|(_, value)| *value == names[*at].1);
        let mut sorted: Vec<&String> = (0..names.len()).filter(is_first).map(|at| &names[at].0).collect();
        sorted.sort_unstable();
        let mut all: Vec<Value> = sorted.into_iter().map(Value::text).collect();
        all.insert(0, Value::Blank);
        if order.descending {
            all.reverse();
        }
        let those_of = |value: Value| {
            let by = self.compared(Comparison::Equal, &order.by, &Expr::Value(value))?;
            Some(Order { by, descending: true })
        };
        all.into_iter().map(those_of).collect()
    }

    /// The names of a choice and the source's values of them, where an expression is one.
    fn names(&self, expr: &Expr) -> Option<&[(String, Value)]> {
        let Expr::Column(name) = expr else { return None };
        match self.exposed.properties[self.exposed.property(name)?].of {
            Of::Field(at) => match &self.fields[at] {
                Inverse::Choice { names, .. } => Some(names),
                _ => None,
            },
            _ => None,
        }
    }

    /// The column of bytes, where an expression is the GUID that it holds: both have one order.
    fn bytes(&self, expr: &Expr) -> Option<Expr> {
        let Expr::Column(name) = expr else { return None };
        let at = match &self.exposed.properties[self.exposed.property(name)?].of {
            Of::Field(at) if self.is_shown_as_it_is(*at) => *at,
            Of::Other { field, scheme: Scheme::Own, .. } => *field,
            _ => return None,
        };
        match &self.fields[at] {
            Inverse::Bytes(column) => Some(Expr::column(column)),
            _ => None,
        }
    }

    /// An expression as an operand: blank where the field is.
    pub fn operand(&self, expr: &Expr) -> Option<Expr> {
        let Expr::Column(name) = expr else { return self.expr(expr) };
        let property = &self.exposed.properties[self.exposed.property(name)?];
        match &property.of {
            Of::Key => self.key_guid(),
            Of::Field(at) if self.is_shown_as_it_is(*at) => self.field(*at),
            // A reference leaves as the text of its key.
            Of::Field(at) => match &self.fields[*at] {
                Inverse::Column(name, ty) if has_one_text(ty) => {
                    Some(Expr::Call(Function::AsText, vec![Expr::column(name)]))
                }
                _ => None,
            },
            Of::Other { field, entity, scheme } => match (&self.fields[*field], scheme) {
                (Inverse::Column(_, Type::Guid), Scheme::Own) => self.field(*field),
                (Inverse::Column(_, ty), Scheme::Hashed)
                    if self.hashes && can_be_hashed(ty) && entity.key.len() == 1 =>
                {
                    Some(Expr::Call(Function::KeyGuid, vec![self.field(*field)?]))
                }
                (Inverse::AsText(name, _), Scheme::Hashed) if self.hashes && entity.key.len() == 1 => {
                    Some(Expr::Call(Function::KeyGuid, vec![Expr::column(name)]))
                }
                _ => None,
            },
        }
    }

    /// The GUID of a row as the source computes it.
    pub fn key_guid(&self) -> Option<Expr> {
        let key = &self.exposed.entity.key;
        let hashable = |at: usize| match &self.fields[at] {
            Inverse::Column(name, ty) if same_text(&self.value_type(at), ty) => Some(Expr::column(name)),
            Inverse::AsText(name, _) => Some(Expr::column(name)),
            _ => None,
        };
        match self.exposed.scheme {
            Scheme::Hashed if self.hashes => {
                let parts = key.iter().map(|name| hashable(self.place(name)?)).collect::<Option<_>>()?;
                Some(Expr::Call(Function::KeyGuid, parts))
            }
            _ => None,
        }
    }

    /// Whether the value of a field is what is shown: a reference leaves as the text of its key.
    fn is_shown_as_it_is(&self, at: usize) -> bool {
        let is_reference = matches!(self.exposed.entity.fields[at].ty, Type::Reference { .. });
        !is_reference || matches!(self.value_type(at), Type::Text { .. } | Type::Multiline { .. })
    }

    fn value_type(&self, at: usize) -> Type {
        value_type(&self.exposed.entity.fields[at], self.entities)
    }

    fn place(&self, field: &str) -> Option<usize> {
        self.exposed.entity.schema.index(field)
    }

    /// A field where a blank has to be one.
    fn field(&self, at: usize) -> Option<Expr> {
        let is_key = self.exposed.entity.key.iter().any(|name| self.place(name) == Some(at));
        match &self.fields[at] {
            // The key of a row is never empty.
            Inverse::Column(name, Type::Text { .. } | Type::Multiline { .. }) if !is_key => {
                Some(Expr::Call(Function::Filled, vec![Expr::column(name)]))
            }
            Inverse::Column(name, _) => Some(Expr::column(name)),
            Inverse::Text(function, name) => {
                let text = Expr::Call(*function, vec![Expr::column(name)]);
                Some(Expr::Call(Function::Filled, vec![text]))
            }
            Inverse::Constant(value) => Some(Expr::Value(value.clone())),
            Inverse::AsText(name, _) => Some(Expr::Call(Function::AsText, vec![Expr::column(name)])),
            Inverse::Choice { .. } | Inverse::Guid(_) | Inverse::Bytes(_) | Inverse::Unknown => None,
        }
    }

    fn compared(&self, op: Comparison, left: &Expr, right: &Expr) -> Option<Expr> {
        if let (Expr::Value(_), Expr::Column(_)) = (left, right) {
            return self.compared(op.mirrored(), right, left);
        }
        let plain = |left, right| Expr::Compare(op, Box::new(left), Box::new(right));
        let (Expr::Column(name), Expr::Value(value)) = (left, right) else {
            return Some(plain(self.operand(left)?, self.operand(right)?));
        };
        let property = &self.exposed.properties[self.exposed.property(name)?];
        let is_equality = matches!(op, Comparison::Equal | Comparison::NotEqual);
        let wanted = |test: Expr| if op == Comparison::Equal { test } else { Expr::Not(Box::new(test)) };
        match &property.of {
            Of::Key if is_equality => Some(wanted(self.is_row(value)?)),
            Of::Other { field, scheme, .. } if is_equality && !value.is_blank() => {
                Some(wanted(self.refers_to(*field, scheme, value)?))
            }
            Of::Other { field, .. } if is_equality => self.field_compared(*field, op, &Value::Blank),
            Of::Field(at) if self.is_shown_as_it_is(*at) => self.field_compared(*at, op, value),
            Of::Field(at) if is_equality => match value {
                Value::Text(text) => Some(wanted(match of_text(text, &self.value_type(*at)) {
                    Some(value) => self.field_compared(*at, Comparison::Equal, &value)?,
                    None => Expr::Or(Vec::new()),
                })),
                value => self.field_compared(*at, op, value),
            },
            Of::Field(_) => Some(plain(self.operand(left)?, Expr::Value(value.clone()))),
            _ => Some(plain(self.operand(left)?, Expr::Value(value.clone()))),
        }
    }

    fn field_compared(&self, at: usize, op: Comparison, value: &Value) -> Option<Expr> {
        let test = |left: Expr, value: Value| Expr::Compare(op, Box::new(left), Box::new(Expr::Value(value)));
        match &self.fields[at] {
            // `''` differs from no text that is looked for, so that the column alone serves, and its index.
            Inverse::Column(name, Type::Text { .. } | Type::Multiline { .. })
                if matches!(value, Value::Text(text) if !text.is_empty())
                    && !matches!(op, Comparison::Less | Comparison::LessOrEqual) =>
            {
                Some(test(Expr::column(name), value.clone()))
            }
            Inverse::Choice { column, names } => {
                let is = |value: &Value| match value {
                    // The mapping trims what it looks up.
                    Value::Text(_) => {
                        Expr::equal(Expr::Call(Function::Trim, vec![Expr::column(column)]), value.clone())
                    }
                    _ => Expr::equal(Expr::column(column), value.clone()),
                };
                let found = match value {
                    Value::Blank => match names.first() {
                        Some((_, Value::Text(_))) => {
                            let trimmed = Expr::Call(Function::Trim, vec![Expr::column(column)]);
                            Expr::equal(Expr::Call(Function::Filled, vec![trimmed]), Value::Blank)
                        }
                        _ => Expr::equal(Expr::column(column), Value::Blank),
                    },
                    Value::Text(name) | Value::Choice(name) => {
                        // A row whose value is no name of the choice is an error, and no row of any name.
                        match names.iter().find(|(known, _)| known == name) {
                            Some((_, value)) => is(value),
                            None => Expr::Or(Vec::new()),
                        }
                    }
                    _ => return None,
                };
                match op {
                    Comparison::Equal => Some(found),
                    Comparison::NotEqual => Some(Expr::Not(Box::new(found))),
                    _ => None,
                }
            }
            // The value itself serves, and its index.
            Inverse::AsText(column, ty) if matches!(op, Comparison::Equal | Comparison::NotEqual) => {
                let found = match value {
                    Value::Text(text) => match of_text(text, ty) {
                        Some(value) => Expr::equal(Expr::column(column), value),
                        None => Expr::Or(Vec::new()),
                    },
                    Value::Blank => Expr::equal(Expr::column(column), Value::Blank),
                    _ => return None,
                };
                Some(if op == Comparison::Equal { found } else { Expr::Not(Box::new(found)) })
            }
            Inverse::Guid(column) => {
                let found = match value {
                    Value::Guid(guid) => written(column, *guid),
                    Value::Blank => Expr::equal(Expr::Call(Function::Filled, vec![Expr::column(column)]), Value::Blank),
                    _ => return None,
                };
                match op {
                    Comparison::Equal => Some(found),
                    Comparison::NotEqual => Some(Expr::Not(Box::new(found))),
                    _ => None,
                }
            }
            Inverse::Bytes(column) => {
                let value = match value {
                    Value::Guid(guid) => Value::Bytes(guid.as_bytes().to_vec()),
                    Value::Blank => Value::Blank,
                    _ => return None,
                };
                Some(test(Expr::column(column), value))
            }
            _ => Some(test(self.field(at)?, value.clone())),
        }
    }

    fn one_of(&self, inner: &Expr, list: &[Value]) -> Option<Expr> {
        let Expr::Column(name) = inner else {
            return Some(Expr::In(Box::new(self.operand(inner)?), list.to_vec()));
        };
        let property = &self.exposed.properties[self.exposed.property(name)?];
        match &property.of {
            Of::Field(at)
                if self.is_shown_as_it_is(*at)
                    && !matches!(
                        self.fields[*at],
                        Inverse::AsText(..) | Inverse::Choice { .. } | Inverse::Guid(_) | Inverse::Bytes(_)
                    ) =>
            {
                let column = match &self.fields[*at] {
                    Inverse::Column(name, _) => Expr::column(name),
                    _ => self.field(*at)?,
                };
                // An empty text is no value of a field.
                let list = list.iter().filter(|value| **value != Value::text("")).cloned().collect();
                Some(Expr::In(Box::new(column), list))
            }
            _ => {
                let each =
                    list.iter().map(|value| self.compared(Comparison::Equal, inner, &Expr::Value(value.clone())));
                Some(either(each.collect::<Option<_>>()?))
            }
        }
    }

    /// The row with this GUID.
    fn is_row(&self, value: &Value) -> Option<Expr> {
        let guid = match value {
            Value::Guid(guid) => *guid,
            Value::Blank => return Some(Expr::Or(Vec::new())),
            _ => return None,
        };
        let key = match self.exposed.scheme {
            Scheme::Hashed => match (self.known)(guid) {
                Some(key) => key,
                None => return Some(Expr::equal(self.key_guid()?, value.clone())),
            },
            _ => match self.exposed.scheme.key(guid) {
                Some(key) => key,
                // No row has such a GUID.
                None => return Some(Expr::Or(Vec::new())),
            },
        };
        let parts = self.exposed.entity.key.iter().zip(key.parts());
        let equal = parts.map(|(name, part)| self.field_compared(self.place(name)?, Comparison::Equal, &part));
        let mut all = equal.collect::<Option<Vec<_>>>()?;
        Some(if all.len() == 1 { all.swap_remove(0) } else { Expr::And(all) })
    }

    /// The rows whose field points to the row with this GUID.
    fn refers_to(&self, field: usize, scheme: &Scheme, value: &Value) -> Option<Expr> {
        let Value::Guid(guid) = value else { return None };
        match scheme {
            Scheme::Hashed => {
                let name = match &self.fields[field] {
                    Inverse::Column(name, ty) if can_be_hashed(ty) => name,
                    Inverse::AsText(name, _) => name,
                    _ => return None,
                };
                let hashed = Expr::Call(Function::KeyGuid, vec![Expr::column(name)]);
                self.hashes.then(|| Expr::equal(hashed, value.clone()))
            }
            _ => match scheme.key(*guid).map(|key| key.parts()) {
                None => Some(Expr::Or(Vec::new())),
                Some(parts) => match (parts.as_slice(), &self.fields[field]) {
                    ([part], Inverse::Column(_, ty)) if holds(ty, part) => {
                        self.field_compared(field, Comparison::Equal, part)
                    }
                    ([part], Inverse::AsText(..) | Inverse::Guid(_) | Inverse::Bytes(_)) => {
                        self.field_compared(field, Comparison::Equal, part)
                    }
                    _ => None,
                },
            },
        }
    }
}

/// A column of text that holds a GUID, however it is written.
fn written(column: &str, guid: uuid::Uuid) -> Expr {
    Expr::In(Box::new(Expr::column(column)), writings(guid).map(Value::Text).into())
}

/// Whether a column of this type may hold such a value.
pub(crate) fn holds(ty: &Type, value: &Value) -> bool {
    let is_number = || matches!(ty, Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::Float);
    match value {
        Value::Text(text) => matches!(ty, Type::Text { .. } | Type::Multiline { .. }) && !text.contains('\0'),
        Value::Int(_) | Value::Decimal(_) => is_number(),
        Value::Float(number) => is_number() && number.is_finite(),
        Value::Bool(_) => *ty == Type::YesNo,
        Value::Date(_) => *ty == Type::Date,
        Value::Time(_) => *ty == Type::Time,
        // An end that never comes has no place on the time line.
        Value::Instant(_) | Value::LocalDateTime(_) => *ty == Type::DateTime,
        Value::Guid(_) => *ty == Type::Guid,
        Value::Bytes(_) => *ty == Type::Bytes,
        _ => false,
    }
}

/// Whether the text of a value, which is hashed, is the same in the field and in the column.
fn same_text(field: &Type, column: &Type) -> bool {
    match (field, column) {
        (Type::WholeNumber, column) if has_one_text(column) => true,
        (_, column) if !can_be_hashed(column) => false,
        (Type::Text { .. } | Type::Multiline { .. }, Type::Text { .. } | Type::Multiline { .. }) => true,
        (Type::Reference { .. }, Type::Text { .. } | Type::WholeNumber | Type::Guid) => true,
        (field, column) => field == column,
    }
}

/// One of these. Tests for values of one thing become one list: a database computes it once for a row, and an API can be
/// asked for it.
fn either(tests: Vec<Expr>) -> Expr {
    let mut lists: Vec<(Expr, Vec<Value>)> = Vec::new();
    let mut all = Vec::new();
    for test in tests {
        let (of, values) = match test {
            Expr::Or(none) if none.is_empty() => continue,
            Expr::In(of, values) if is_of_columns(&of) => (*of, values),
            Expr::Compare(Comparison::Equal, of, value) if is_of_columns(&of) => match *value {
                Expr::Value(value) if !value.is_blank() => (*of, vec![value]),
                other => {
                    all.push(Expr::Compare(Comparison::Equal, of, Box::new(other)));
                    continue;
                }
            },
            other => {
                all.push(other);
                continue;
            }
        };
        match lists.iter_mut().find(|(known, _)| *known == of) {
            Some((_, known)) => known.extend(values),
            None => lists.push((of, values)),
        }
    }
    all.extend(lists.into_iter().map(|(of, mut values)| match values.len() {
        1 => Expr::equal(of, values.remove(0)),
        _ => Expr::In(Box::new(of), values),
    }));
    if all.len() == 1 { all.remove(0) } else { Expr::Or(all) }
}

/// Whether it is a column, or a function of nothing but columns: of those a table has only so many.
fn is_of_columns(of: &Expr) -> bool {
    match of {
        Expr::Column(_) => true,
        Expr::Call(_, arguments) => arguments.iter().all(|argument| matches!(argument, Expr::Column(_))),
        _ => false,
    }
}

/// The inverses of all fields of an entity.
pub(crate) fn inverses(
    exposed: &Exposed,
    held: &SystemEntity,
    entities: &mapping::Entities,
    schema: &Schema,
) -> Vec<Inverse> {
    let of = |field: &EntityField| {
        let field = EntityField { ty: value_type(field, entities), ..field.clone() };
        inverse(&field, &held.read, schema)
    };
    exposed.entity.fields.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(column: &str) -> Expr {
        Expr::Call(Function::KeyGuid, vec![Expr::column(column)])
    }

    /// Rows of which some were seen before are found by their keys, the others by a hash that is computed once.
    #[test]
    fn tests_of_one_thing_become_one_list() {
        let equal = |of: Expr, value: i64| Expr::equal(of, Value::Int(value));
        let list =
            |of: Expr, values: &[i64]| Expr::In(Box::new(of), values.iter().map(|value| Value::Int(*value)).collect());
        let (a, b) = (|| Expr::column("a"), || hash_of("a"));
        let blank = Expr::equal(a(), Value::Blank);
        let added = Expr::Call(Function::Add, vec![a(), Expr::Value(Value::Int(1))]);
        let check = |tests: Vec<Expr>, expected: Expr| assert_eq!(either(tests), expected);
        check(
            vec![equal(a(), 1), equal(b(), 2), list(a(), &[3, 4]), equal(b(), 5)],
            Expr::Or(vec![list(a(), &[1, 3, 4]), list(b(), &[2, 5])]),
        );
        check(vec![equal(a(), 1), equal(a(), 2)], list(a(), &[1, 2]));
        check(vec![equal(a(), 1), Expr::Or(Vec::new())], equal(a(), 1));
        check(vec![blank.clone(), equal(a(), 1)], Expr::Or(vec![blank, equal(a(), 1)]));
        check(
            vec![equal(added.clone(), 1), equal(added.clone(), 2)],
            Expr::Or(vec![equal(added.clone(), 1), equal(added, 2)]),
        );
        check(vec![Expr::Or(Vec::new())], Expr::Or(Vec::new()));
        check(vec![list(a(), &[])], list(a(), &[]));
    }

    /// A choice that names no values of its own is asked of the source as the text that it is.
    #[test]
    fn a_choice_is_the_text_of_its_column() {
        let text = Type::Text { max_length: None };
        let field = EntityField {
            name: "status".into(),
            ty: Type::Choice { values: ["open".to_owned()].into() },
            required: false,
            personal: false,
            master: None,
            pattern: None,
            currency: None,
        };
        let rule = Rule {
            target: "status".to_owned(),
            expr: mapping::Expr::Source("state".to_owned()),
            only_on_create: false,
            origin: String::new(),
        };
        let of = |ty: Type| inverse(&field, std::slice::from_ref(&rule), &Schema::of([("state", ty)]));
        assert_eq!(of(text.clone()), Inverse::Column("state".to_owned(), text));
        assert_eq!(of(Type::WholeNumber), Inverse::Unknown);
    }
}
