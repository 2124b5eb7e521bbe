//! Columns of a system into the hub's entity.

use std::sync::Arc;

use jiff::tz::TimeZone;
use record::{Code, Entity, EntityField, Fault, Key, Reference, Row, RowRef, Schema, Type, Value, ValueRef};

use crate::columns::Columns;
use crate::fit::{self, Misfit, fit};
use crate::formula::{self, Inputs};
use crate::problem::{self, At, Problem};
use crate::rule::{Expr, Rule};
use crate::{Entities, Explained, LookupKeys, fingerprint, masked};

mod uses;

pub use uses::Use;

pub const KEY_BLANK: Code = Code("IB0401");
pub const FORMULA_FAILED: Code = Code("IB0403");
pub const REQUIRED_BLANK: Code = Code("IB0413");

/// How rows of one table become records of one entity.
#[derive(Debug)]
pub struct ReadMapping {
    entity: Arc<Entity>,
    columns: Vec<String>,
    /// Of each column what the system said that it holds.
    types: Vec<Type>,
    fields: Vec<Field>,
    /// The places of the key's fields in `fields`, in the order of the key.
    key: Vec<usize>,
    filter: Option<formula::Compiled>,
    /// The filter reads a column of which personal fields are made.
    filter_is_personal: bool,
    children: Vec<Children>,
    zone: Option<TimeZone>,
    fingerprint: u64,
}

/// How the lines of a document are read.
#[derive(Debug)]
pub struct Children {
    /// The place of the field in the entity.
    at: usize,
    /// The table of the children, or the JSON path of the array: the name under which a row carries its children.
    pub of: String,
    /// The column of the table that points to the parent; `None` where the row itself has them.
    pub parent: Option<String>,
    mapping: Box<ReadMapping>,
}

impl Children {
    /// The columns of a child that the mapping reads.
    pub fn columns(&self) -> &[String] {
        self.mapping.columns()
    }

    /// *Errors*: the faults of every line.
    fn read(&self, value: ValueRef<'_>) -> Result<Value, Vec<Fault>> {
        let rows = match value {
            ValueRef::Rows(rows) => rows,
            ValueRef::Blank => return Ok(Value::Blank),
            other => {
                let what = format!("`{}` is {}, and no list of lines", self.of, other.kind());
                return Err(vec![
                    Fault::reject(fit::NOT_OF_THE_TYPE, what).fix("correct it at its source, or the mapping"),
                ]);
            }
        };
        let (mut lines, mut faults) = (Vec::new(), Vec::new());
        for row in rows {
            let batch = record::Batch::from_rows(row.schema().clone(), [row]);
            let binding = self.mapping.bind(row.schema()).map_err(|missing| {
                let what =
                    format!("a line of `{}` has no `{}`, which the mapping reads", self.of, missing.join("`, `"));
                vec![Fault::reject(FORMULA_FAILED, what).fix("correct the mapping, or what the source sends")]
            })?;
            match self.mapping.apply(batch.row(0), &binding) {
                Ok(Read::Row(line)) => lines.push(line),
                Ok(Read::LeftOut) => {}
                Err(rejected) => faults.extend(rejected.faults),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // Whoever gives the lines gives them in any order; what is the same is to look the same.
        lines.sort_by_cached_key(|line| line.values().first().and_then(|first| Key::of([first]).ok()));
        Ok(Value::Rows(lines))
    }
}

/// Everything that compiling a read mapping needs.
pub struct ReadPlan<'a> {
    pub entity: &'a Arc<Entity>,
    pub rules: &'a [Rule],
    /// The `where:` of the mapping, without the `=`.
    pub filter: Option<&'a str>,
    pub columns: &'a Columns,
    /// For references: the other entities, and (where the system has lookups) the columns of their alternate keys.
    pub entities: &'a Entities,
    pub lookups: Option<&'a LookupKeys>,
    pub zone: Option<TimeZone>,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// A record of the entity.
    Row(Row),
    /// The row is not of this entity: `where:` says no.
    LeftOut,
}

/// A row that cannot become a record: every fault of it, and the fields that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    pub faults: Vec<Fault>,
    pub partial: Row,
}

#[derive(Debug)]
struct Field {
    at: usize,
    expr: Compiled,
    /// For a reference: the entity that it points to.
    refers_to: Option<Arc<Entity>>,
    pattern: Option<regex::Regex>,
    text: String,
    origin: String,
}

#[derive(Debug)]
enum Compiled {
    Column(usize),
    Constant(Value),
    Formula(formula::Compiled),
    Choice {
        column: usize,
        names: Vec<(String, Value)>,
    },
    /// Children are read by the patterns that carry documents.
    Lines,
}

impl Field {
    /// The columns that the field is made of, as places in the mapping's list.
    fn inputs(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.expr {
            Compiled::Column(column) | Compiled::Choice { column, .. } => Box::new(std::iter::once(*column)),
            Compiled::Formula(formula) => Box::new(formula.inputs()),
            Compiled::Constant(_) | Compiled::Lines => Box::new(std::iter::empty()),
        }
    }
}

impl ReadMapping {
    /// Compiles and checks a mapping.
    ///
    /// *Errors*: every problem at once.
    pub fn compile(plan: &ReadPlan<'_>) -> Result<ReadMapping, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        let mut fields = Vec::new();
        let mut children = Vec::new();
        for (index, rule) in plan.rules.iter().enumerate() {
            let compiled = compile_rule(plan, index, rule, &mut columns).and_then(|field| {
                if let Expr::Lines(lines) = &rule.expr {
                    children.push(compile_children(plan, index, field.at, lines)?);
                }
                Ok(field)
            });
            match compiled {
                Ok(field) => fields.push(field),
                Err(found) => problems.extend(found),
            }
        }
        let filter = plan.filter.and_then(|text| {
            let compiled = formula::compile(text, plan.columns, Some(&Type::YesNo), &mut columns);
            match compiled {
                Ok(filter) if filter.is_volatile() => problems.push(volatile(At::Where(0..text.len()))),
                Ok(filter) => return Some(filter),
                Err(found) => problems.extend(formula::problems(found, At::Where)),
            }
            None
        });
        for name in &plan.entity.key {
            if !plan.rules.iter().any(|rule| rule.target == *name) {
                problems.push(Problem {
                    at: At::Mapping,
                    code: problem::KEY_NOT_MAPPED,
                    message: format!("the key field `{name}` of `{}` is not mapped", plan.entity.name),
                    help: Some(format!("add `{name}: <column>` under `read:`")),
                });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let fingerprint = fingerprint(plan.entity, plan.rules, plan.filter);
        let (entity, zone) = (plan.entity.clone(), plan.zone.clone());
        let place = |name: &String| fields.iter().rposition(|field: &Field| *entity.fields[field.at].name == **name);
        let key = entity.key.iter().filter_map(place).collect();
        let types = columns.iter().map(|name| plan.columns.type_of(name).unwrap_or(Type::Unknown)).collect();
        let filter_is_personal = false;
        let mapping = ReadMapping {
            entity,
            columns,
            types,
            fields,
            key,
            filter,
            filter_is_personal,
            children,
            zone,
            fingerprint,
        };
        let filter_is_personal = {
            let personal = mapping.personal_columns();
            let mut asked = mapping.filter.iter().flat_map(formula::Compiled::inputs);
            asked.any(|column| personal.contains(&mapping.columns[column].as_str()))
        };
        Ok(mapping.with_personal_filter(filter_is_personal))
    }

    pub fn entity(&self) -> &Arc<Entity> {
        &self.entity
    }

    /// Each field's place in the entity, its column's place in the columns, and its pattern; nothing where one is more
    /// than a column.
    pub(crate) fn as_columns(&self) -> Option<Vec<(usize, usize, Option<&regex::Regex>)>> {
        let column = |field: &Field| match (&field.expr, &field.refers_to) {
            (Compiled::Column(column), None) => Some((field.at, *column)),
            _ => None,
        };
        let all =
            self.fields.iter().map(|field| column(field).map(|(at, column)| (at, column, field.pattern.as_ref())));
        all.collect()
    }

    /// For each field of the entity, whether the mapping fills it.
    pub fn reads(&self) -> Vec<bool> {
        (0..self.entity.fields.len()).map(|at| self.fields.iter().any(|field| field.at == at)).collect()
    }

    /// The columns that the mapping reads. *Shape*: without repeats; a lookup is a path (`parentaccountid.accountnumber`).
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What the source says that a column holds. Nothing for one that the mapping does not read.
    pub fn type_of(&self, column: &str) -> Option<&Type> {
        self.columns.iter().position(|name| name == column).map(|at| &self.types[at])
    }

    /// The lines that the mapping reads beside the columns: a row carries them under the name [`Children::of`].
    pub fn children(&self) -> &[Children] {
        &self.children
    }

    /// Changes when the mapping does: what was read by another fingerprint must be read again.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The columns that personal fields are made of: not to be shown to people.
    pub fn personal_columns(&self) -> Vec<&str> {
        let personal = self.fields.iter().filter(|field| self.entity.fields[field.at].personal);
        let mut columns: Vec<&str> =
            personal.flat_map(Field::inputs).map(|column| self.columns[column].as_str()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// What a source says of a row that it cannot read, without the value of a column that personal fields are made of.
    pub fn hide(&self, fault: Fault) -> Fault {
        let column = fault.place.column.as_deref().filter(|column| self.personal_columns().contains(column));
        let Some(what) = column.map(|column| format!("column `{column}` {}", masked(&fault.code))) else {
            return fault;
        };
        let mut hidden = Fault { what, why: None, ..fault };
        hidden.place.value = None;
        hidden
    }

    /// The key of a row, without evaluating anything but the key's fields; `None` where the row has no valid key.
    pub fn key(&self, row: RowRef<'_>, binding: &[usize]) -> Option<Key> {
        let inputs = |slot: usize| row.at(binding[slot]);
        let part = |field: &usize| self.value(&self.fields[*field], &inputs).ok();
        let parts: Vec<Value> = self.key.iter().map(part).collect::<Option<_>>()?;
        Entity::key_of_parts(&parts).ok()
    }

    /// Whether what `where:` says of a row may tell what personal fields are made of.
    pub fn filter_is_personal(&self) -> bool {
        self.filter_is_personal
    }

    /// The same for a part of a larger mapping: it has the `where:` of that, and not its personal fields.
    pub fn with_personal_filter(self, filter_is_personal: bool) -> ReadMapping {
        ReadMapping { filter_is_personal, ..self }
    }

    /// The places of the mapping's columns in rows of this schema.
    ///
    /// *Errors*: the names of columns that the schema lacks.
    pub fn bind(&self, schema: &Schema) -> Result<Vec<usize>, Vec<String>> {
        let found: Vec<Option<usize>> = self.columns.iter().map(|name| schema.index(name)).collect();
        let missing: Vec<String> =
            self.columns.iter().zip(&found).filter(|(_, at)| at.is_none()).map(|(name, _)| name.clone()).collect();
        if missing.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(missing) }
    }

    /// The columns that every row must have: those of the key, and those that `where:` reads.
    pub fn needed(&self) -> Vec<&str> {
        let of_key = |field: &&Field| self.entity.key.iter().any(|key| **key == *self.entity.fields[field.at].name);
        let key = self.fields.iter().filter(of_key).flat_map(|field| field.inputs());
        let filter = self.filter.iter().flat_map(formula::Compiled::inputs);
        key.chain(filter).map(|column| self.columns[column].as_str()).collect()
    }

    /// The fields of the entity that nobody knows where these columns are absent.
    pub fn unknown(&self, absent: &[String]) -> Vec<&str> {
        let lacks = |column: usize| absent.contains(&self.columns[column]);
        let unknown = self.fields.iter().filter(|field| field.inputs().any(lacks));
        unknown.map(|field| &*self.entity.fields[field.at].name).collect()
    }

    /// Turns one row into a record.
    ///
    /// *Errors*: all faults of the row at once, each with its field, formula and (unless personal) value.
    pub fn apply(&self, row: RowRef<'_>, binding: &[usize]) -> Result<Read, Box<Rejected>> {
        self.apply_part(row, binding, &[])
    }

    /// As [`ReadMapping::apply`], of a row that lacks some columns: the fields that are made of them stay blank, and
    /// are not missed.
    pub fn apply_part(&self, row: RowRef<'_>, binding: &[usize], absent: &[String]) -> Result<Read, Box<Rejected>> {
        let unknown = if absent.is_empty() { Vec::new() } else { self.unknown(absent) };
        let is_unknown = |field: &EntityField| unknown.contains(&&*field.name);
        let inputs = |slot: usize| row.at(binding[slot]);
        let mut faults = Vec::new();
        if let Some(filter) = &self.filter {
            match filter.eval(&inputs, self.zone.as_ref()) {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return Ok(Read::LeftOut),
                Err(why) => {
                    let hidden = "it reads what a personal field is made of, which is not shown";
                    let why = if self.filter_is_personal { hidden } else { &why };
                    faults.push(
                        Fault::reject(FORMULA_FAILED, format!("the `where:` of the mapping failed: {why}"))
                            .fix("correct the value in the source, or guard the formula with IfError(…)"),
                    );
                }
            }
        }
        let mut values = vec![Value::Blank; self.entity.fields.len()];
        for field in self.fields.iter().filter(|field| !is_unknown(&self.entity.fields[field.at])) {
            match self.value(field, &inputs) {
                Ok(value) => values[field.at] = value,
                Err(misfit) => faults.push(self.fault(field, misfit, &inputs)),
            }
        }
        for children in &self.children {
            match children.read(row.get(&children.of).unwrap_or(ValueRef::Blank)) {
                Ok(lines) => values[children.at] = lines,
                Err(bad) => faults.extend(bad),
            }
        }
        for (at, field) in self.entity.fields.iter().enumerate() {
            let is_key = self.key.iter().any(|key| self.fields[*key].at == at);
            if faults.iter().any(|f| f.place.column.as_deref() == Some(&*field.name)) {
                continue;
            }
            if is_key && !Key::takes(&values[at]) && !matches!(values[at], Value::Reference(_)) {
                faults.push(key_blank(&self.entity, field));
            } else if values[at].is_blank() && field.required && !is_unknown(field) {
                faults.push(
                    Fault::reject(REQUIRED_BLANK, format!("`{}` is required and is blank", field.name))
                        .at_column(&*field.name)
                        .fix("fill it in the source, or give it a value in the mapping with =Coalesce(…, …)"),
                );
            }
        }
        let read = Row::new(self.entity.schema.clone(), values);
        if faults.is_empty() { Ok(Read::Row(read)) } else { Err(Box::new(Rejected { faults, partial: read })) }
    }

    /// What each field gets from this row, and from which formula.
    pub fn explain(&self, row: RowRef<'_>, binding: &[usize]) -> Vec<Explained> {
        let inputs = |slot: usize| row.at(binding[slot]);
        let why = |field: &Field, misfit: Misfit| match self.is_hidden(field) {
            true => masked(&misfit.code),
            false => misfit.why,
        };
        self.fields
            .iter()
            .map(|field| Explained {
                target: self.entity.fields[field.at].name.to_string(),
                formula: field.text.clone(),
                origin: field.origin.clone(),
                value: self.value(field, &inputs).map_err(|misfit| why(field, misfit)),
            })
            .collect()
    }

    /// Whether what is wrong with a field is told without its value: it is personal, or made of the column of one that is.
    fn is_hidden(&self, field: &Field) -> bool {
        let columns = self.personal_columns();
        self.entity.fields[field.at].personal
            || field.inputs().any(|column| columns.contains(&self.columns[column].as_str()))
    }

    fn value<'a>(&'a self, field: &'a Field, inputs: &'a Inputs<'a>) -> Result<Value, Misfit> {
        let spec = &self.entity.fields[field.at];
        let zone = self.zone.as_ref();
        let fitted = match &field.expr {
            Compiled::Column(column) => self.fit_field(field, spec, inputs(*column))?,
            Compiled::Constant(value) => self.fit_field(field, spec, value.as_ref())?,
            Compiled::Formula(formula) => {
                let value = formula.eval(inputs, zone).map_err(|why| Misfit {
                    code: FORMULA_FAILED,
                    why: format!("cannot be computed: {why}"),
                    fix: "correct the value in the source, or guard the formula with IfError(…)".to_owned(),
                })?;
                self.fit_field(field, spec, value.as_ref())?
            }
            Compiled::Choice { column, names } => choice(inputs(*column), names)?,
            Compiled::Lines => Value::Blank,
        };
        if let (Some(pattern), Value::Text(text)) = (&field.pattern, &fitted)
            && !pattern.is_match(text)
        {
            return Err(Misfit {
                code: fit::NOT_OF_THE_TYPE,
                why: format!(
                    "is `{text}`, which does not match the pattern {}",
                    spec.pattern.as_deref().unwrap_or_default()
                ),
                fix: "correct the value in the source, or the pattern in the entity".to_owned(),
            });
        }
        Ok(fitted)
    }

    fn fit_field(&self, field: &Field, spec: &EntityField, value: ValueRef<'_>) -> Result<Value, Misfit> {
        let (Some(target), false) = (&field.refers_to, matches!(value, ValueRef::Reference(_))) else {
            return fit(value, &spec.ty, self.zone.as_ref());
        };
        let [key] = target.key.as_slice() else {
            return fit(value, &spec.ty, self.zone.as_ref());
        };
        let ty = target.field(key).map_or(Type::Unknown, |f| f.ty.clone());
        Ok(match fit(value, &ty, self.zone.as_ref())? {
            Value::Blank => Value::Blank,
            Value::Text(text) if text.trim().is_empty() => Value::Blank,
            value => Value::Reference(Box::new(Reference {
                of: target.name.clone(),
                key: vec![(key.as_str().into(), value)],
            })),
        })
    }

    fn fault(&self, field: &Field, misfit: Misfit, inputs: &Inputs<'_>) -> Fault {
        let spec = &self.entity.fields[field.at];
        let column = match &field.expr {
            Compiled::Column(c) | Compiled::Choice { column: c, .. } => Some(*c),
            _ => None,
        };
        let personal = self.is_hidden(field);
        let why = if personal { masked(&misfit.code) } else { misfit.why };
        let mut fault =
            Fault::reject(misfit.code, format!("`{}` {why}", spec.name)).at_column(&*spec.name).fix(misfit.fix);
        if let Some(column) = column.filter(|_| !personal) {
            fault = fault.at_value(shortened(inputs(column)));
        }
        fault.place.formula = Some(format!("{}: {}  ({})", spec.name, field.text, field.origin));
        fault
    }
}

fn key_blank(entity: &Entity, field: &EntityField) -> Fault {
    Fault::reject(KEY_BLANK, format!("the row has no key: `{}` of `{}` is blank", field.name, entity.name))
        .at_column(&*field.name)
        .fix("give the row its key in the source, or leave such rows out with `where:` in the mapping")
}

fn shortened(value: ValueRef<'_>) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

/// The name of the choice for a system's value. *Errors*: `IB0412`; a blank is a blank, never a guess.
fn choice(value: ValueRef<'_>, names: &[(String, Value)]) -> Result<Value, Misfit> {
    let Some(text) = fit::text(value).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()) else {
        return if value.is_blank() || matches!(value, ValueRef::Text(_)) {
            Ok(Value::Blank)
        } else {
            Err(fit::unknown_choice(&value.to_string(), &system_values(names)))
        };
    };
    names
        .iter()
        .find(|(_, system)| fit::text(system.as_ref()).is_some_and(|s| s == text))
        .map(|(name, _)| Value::Choice(name.clone()))
        .ok_or_else(|| fit::unknown_choice(&text, &system_values(names)))
}

fn system_values(names: &[(String, Value)]) -> Vec<String> {
    names.iter().map(|(name, value)| format!("{value} for {name}")).collect()
}

fn compile_rule(
    plan: &ReadPlan<'_>,
    index: usize,
    rule: &Rule,
    columns: &mut Vec<String>,
) -> Result<Field, Vec<Problem>> {
    let one = |at, code, message, help| vec![Problem { at, code, message, help }];
    let Some(at) = plan.entity.fields.iter().position(|f| *f.name == *rule.target) else {
        let known = Columns::of_entity(plan.entity);
        let help = known.nearest(&rule.target).map(|near| format!("did you mean `{near}`?"));
        let message = format!("the entity `{}` has no field `{}`", plan.entity.name, rule.target);
        return Err(one(At::Target(index), problem::NO_SUCH_FIELD, message, help));
    };
    let spec = &plan.entity.fields[at];
    let refers_to = match &spec.ty {
        Type::Reference { to } => to.first().and_then(|name| plan.entities.get(name.as_str())).cloned(),
        _ => None,
    };
    let column = |name: &str, columns: &mut Vec<String>| -> Result<usize, Vec<Problem>> {
        if plan.columns.type_of(name).is_none() {
            let help = plan.columns.nearest(name).map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no column `{name}`");
            return Err(one(At::Source(index, None), problem::NO_SUCH_COLUMN, message, help));
        }
        Ok(slot(columns, name))
    };
    let expr = match &rule.expr {
        Expr::Source(name) => {
            // A lookup comes as the key of the row that it points to, not as its id.
            let lookup = refers_to.as_ref().zip(plan.lookups).and_then(|(target, keys)| keys.get(&*target.name));
            match lookup.map(|key| key.columns.as_slice()) {
                Some([(_, key)]) => {
                    column(name, &mut Vec::new())?;
                    Compiled::Column(slot(columns, &format!("{name}.{key}")))
                }
                _ => Compiled::Column(column(name, columns)?),
            }
        }
        Expr::Constant(value) => Compiled::Constant(value.clone()),
        Expr::Formula(text) => {
            let wanted = (refers_to.is_none()).then_some(&spec.ty);
            let compiled = formula::compile(text, plan.columns, wanted, columns)
                .map_err(|found| formula::problems(found, |span| At::Source(index, Some(span))))?;
            if compiled.is_volatile() {
                return Err(vec![volatile(At::Source(index, Some(0..text.len())))]);
            }
            Compiled::Formula(compiled)
        }
        Expr::Choice { source, names } => {
            let problems = crate::choice_problems(index, spec, names);
            if !problems.is_empty() {
                return Err(problems);
            }
            Compiled::Choice { column: column(source, columns)?, names: names.clone() }
        }
        Expr::Lines(_) => Compiled::Lines,
    };
    let pattern = match spec.pattern.as_ref().map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$"))) {
        Some(Err(why)) => {
            let message = format!("the pattern of `{}` is no regular expression: {why}", spec.name);
            return Err(one(At::Target(index), problem::TYPE, message, None));
        }
        Some(Ok(regex)) => Some(regex),
        None => None,
    };
    Ok(Field { at, expr, refers_to, pattern, text: rule.expr.text(), origin: rule.origin.clone() })
}

/// A formula whose value changes while its row does not.
fn volatile(at: At) -> Problem {
    let message = "the formula depends on the time of day, and a row that has not changed is not looked at again";
    let help = "read from a `query:` that compares with the clock of the database, or take the time from the row";
    Problem { at, code: problem::VOLATILE, message: message.to_owned(), help: Some(help.to_owned()) }
}

fn compile_children(
    plan: &ReadPlan<'_>,
    index: usize,
    at: usize,
    lines: &crate::rule::Lines,
) -> Result<Children, Vec<Problem>> {
    let entity = crate::lines_entity(plan.entity, &plan.entity.fields[at].name).ok_or_else(|| {
        let message = format!("`{}` of `{}` is no field of lines", plan.entity.fields[at].name, plan.entity.name);
        vec![Problem { at: At::Target(index), code: problem::TYPE, message, help: None }]
    })?;
    let child = ReadPlan {
        entity: &entity,
        rules: &lines.rules,
        filter: None,
        columns: &Columns::open(),
        entities: plan.entities,
        lookups: plan.lookups,
        zone: plan.zone.clone(),
    };
    let of_rule = |problem: Problem| Problem { at: At::Lines(index), ..problem };
    let mapping = ReadMapping::compile(&child).map_err(|found| found.into_iter().map(of_rule).collect::<Vec<_>>())?;
    Ok(Children { at, of: lines.of.clone(), parent: lines.parent.clone(), mapping: Box::new(mapping) })
}

/// The place of a column among the columns that are read; it is added where it is new.
pub(crate) fn slot(columns: &mut Vec<String>, name: &str) -> usize {
    columns.iter().position(|known| known == name).unwrap_or_else(|| {
        columns.push(name.to_owned());
        columns.len() - 1
    })
}
