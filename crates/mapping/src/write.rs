//! The hub's entity into columns of a system.

use std::sync::Arc;

use jiff::tz::TimeZone;
use record::{Column, Entity, Fault, Keeps, Key, Reference, Row, Schema, Type, Value, ValueRef};

use crate::columns::Columns;
use crate::columns::nearest;
use crate::content;
use crate::fit::{self, Misfit, fit};
use crate::formula;
use crate::problem::{self, At, Problem};
use crate::read::{FORMULA_FAILED, KEY_BLANK, slot};
use crate::rule::{Expr, Rule};
use crate::{Entities, Explained, LookupKeys, fingerprint, masked};

mod part;

/// How records of one entity become rows of one table.
#[derive(Debug)]
pub struct WriteMapping {
    entity: Arc<Entity>,
    /// The fields that formulas read, as places in the entity's schema.
    inputs: Vec<usize>,
    key: Vec<usize>,
    columns: Vec<Target>,
    schema: Arc<Schema>,
    create_schema: Arc<Schema>,
    keeps: Keeps,
    zone: Option<TimeZone>,
    fingerprint: u64,
}

/// Everything that compiling a write mapping needs.
pub struct WritePlan<'a> {
    pub entity: &'a Arc<Entity>,
    pub rules: &'a [Rule],
    /// The columns of the alternate key, in its order.
    pub alternate_key: &'a [String],
    pub columns: &'a Columns,
    pub keeps: Keeps,
    pub entities: &'a Entities,
    /// Where each entity of this system is found by its alternate key.
    pub lookups: &'a LookupKeys,
    /// The zone of times that the system keeps without one.
    pub zone: Option<&'a TimeZone>,
}

/// Lines that become rows of a table of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct LineTable {
    pub table: String,
    /// The column that points to the document.
    pub parent: String,
    /// The column that tells the lines of a document apart; `None` where the mapping writes none.
    pub key: Option<String>,
    /// What to ask of lines that are there.
    pub compared: Vec<String>,
}

/// One row for the destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub key: Key,
    /// The columns that are compared and written, without the key's.
    pub columns: Row,
    /// The columns that are written only when the row is created.
    pub on_create: Row,
}

#[derive(Debug)]
struct Target {
    name: String,
    ty: Type,
    expr: Compiled,
    /// Of a lookup: the columns behind it by which its row is named, as paths (`pricelevelid.name`).
    behind: Vec<String>,
    only_on_create: bool,
    personal: bool,
    text: String,
    origin: String,
}

#[derive(Debug)]
enum Compiled {
    /// Index into `inputs`.
    Field(usize),
    Constant(Value),
    Formula(formula::Compiled),
    Choice {
        field: usize,
        names: Vec<(String, Value)>,
    },
    /// A reference field as a lookup: the table, and the columns for the fields of the key.
    Lookup {
        field: usize,
        table: Arc<str>,
        columns: Vec<(Arc<str>, Arc<str>)>,
    },
    /// Lines, each through a mapping of its own.
    Lines {
        field: usize,
        each: Box<WriteMapping>,
        /// The column of their table that points to the document, where they have a table.
        parent: Option<String>,
        /// What the field that tells lines apart is written to.
        key: Option<String>,
    },
}

impl WriteMapping {
    /// Compiles and checks a mapping.
    ///
    /// *Errors*: every problem at once.
    pub fn compile(plan: &WritePlan<'_>) -> Result<WriteMapping, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut columns = Vec::new();
        for (index, rule) in plan.rules.iter().enumerate() {
            match compile_rule(plan, index, rule, &mut names) {
                Ok(target) => columns.push(target),
                Err(found) => problems.extend(found),
            }
        }
        for name in plan.alternate_key {
            if !plan.rules.iter().any(|rule| rule.target == *name) {
                problems.push(Problem {
                    at: At::Mapping,
                    code: problem::KEY_NOT_MAPPED,
                    message: format!("the alternate key's column `{name}` is not written"),
                    help: Some(match nearest(name, plan.rules.iter().map(|rule| rule.target.as_str())) {
                        Some(written) => {
                            format!("did you mean `{written}`? or add `{name}: <field>` under `write:` or `both:`")
                        }
                        None => format!("add `{name}: <field>` under `write:` or `both:`"),
                    }),
                });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let place = |name: &String| columns.iter().position(|c: &Target| c.name == *name);
        let key: Vec<usize> = plan.alternate_key.iter().filter_map(place).collect();
        let schema_of = |on_create: bool| {
            let chosen =
                columns.iter().enumerate().filter(|(at, c)| !key.contains(at) && c.only_on_create == on_create);
            Schema::new(chosen.map(|(_, c)| Column { name: c.name.as_str().into(), ty: c.ty.clone() }).collect())
        };
        let (schema, create_schema) = (schema_of(false), schema_of(true));
        let inputs = names.iter().map(|n| plan.entity.schema.index(n).expect("names were checked")).collect();
        let fingerprint = fingerprint(plan.entity, plan.rules, None);
        let entity = plan.entity.clone();
        let (keeps, zone) = (plan.keeps, plan.zone.cloned());
        Ok(WriteMapping { entity, inputs, key, columns, schema, create_schema, keeps, zone, fingerprint })
    }

    /// All columns that this mapping writes, without the key's; those that are written at creation come last.
    pub fn columns(&self) -> Vec<String> {
        self.schema.columns().iter().chain(self.create_schema.columns()).map(|c| c.name.to_string()).collect()
    }

    /// What is to be asked of the destination, so that [`WriteMapping::holds`] can tell: the columns, and behind each
    /// lookup the columns by which its row is named.
    pub fn compared(&self) -> Vec<String> {
        let own = self.schema.columns().iter().map(|c| c.name.to_string());
        let lookups = self.columns.iter().filter(|target| self.schema.index(&target.name).is_some());
        let mut all: Vec<String> = own.chain(lookups.flat_map(|target| target.behind.iter().cloned())).collect();
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(name.clone()));
        all
    }

    /// Whether the destination, which has `current` in the columns of [`WriteMapping::compared`], would change nothing by
    /// writing this value.
    pub fn holds(&self, current: &Row, column: &str, wanted: &Value) -> bool {
        let Some(now) = current.get(column) else { return false };
        if let (Value::Rows(wanted), Value::Rows(now)) = (wanted, now) {
            return self.holds_lines(column, wanted, now);
        }
        if content::same(wanted, now, self.keeps) {
            return true;
        }
        // A column without a zone is read by the zone of its system.
        if let (Value::LocalDateTime(_), Value::Instant(at), Some(zone)) = (wanted, now, &self.zone) {
            return content::same(wanted, &Value::LocalDateTime(zone.to_datetime(*at)), self.keeps);
        }
        // It names its row by other columns than we do.
        let (Value::Reference(wanted), Value::Reference(now)) = (wanted, now) else { return false };
        wanted.of == now.of
            && wanted.key.iter().all(|(name, value)| {
                let there = current.get(&format!("{column}.{name}"));
                there.is_some_and(|there| content::same_in_key(value, there, self.keeps))
            })
    }

    fn holds_lines(&self, column: &str, wanted: &[Row], now: &[Row]) -> bool {
        let target = self.columns.iter().find(|target| target.name == column);
        let Some(Compiled::Lines { each, key: Some(key), .. }) = target.map(|target| &target.expr) else {
            return false;
        };
        let there = |line: &Row| {
            let own = line.get(key)?;
            now.iter().find(|now| now.get(key).is_some_and(|now| content::same(own, now, self.keeps)))
        };
        let held =
            |line: &Row| there(line).is_some_and(|now| line.iter().all(|(name, value)| each.holds(now, name, value)));
        wanted.len() == now.len() && wanted.iter().all(held)
    }

    /// The lines that become rows of other tables.
    pub fn line_tables(&self) -> Vec<LineTable> {
        let of = |target: &Target| match &target.expr {
            Compiled::Lines { each, parent: Some(parent), key, .. } => Some(LineTable {
                table: target.name.clone(),
                parent: parent.clone(),
                key: key.clone(),
                compared: each.compared(),
            }),
            _ => None,
        };
        self.columns.iter().filter_map(of).collect()
    }

    /// Whether any lines are written.
    pub fn writes_lines(&self) -> bool {
        self.columns.iter().any(|target| matches!(target.expr, Compiled::Lines { .. }))
    }

    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether two rows with different keys always have different keys in the destination: each field of the entity's key
    /// is in that one as it is, and not only what a formula makes of it.
    pub fn tells_rows_apart(&self) -> bool {
        let kept = |at: &usize| match &self.columns[*at].expr {
            Compiled::Field(slot) | Compiled::Lookup { field: slot, .. } => {
                let field = &self.entity.fields[self.inputs[*slot]];
                let is_time = matches!(field.ty, Type::DateTime | Type::LocalDateTime);
                Some(&*field.name).filter(|_| !(is_time && self.keeps.whole_seconds))
            }
            _ => None,
        };
        let kept: Vec<&str> = self.key.iter().filter_map(kept).collect();
        self.entity.key.iter().all(|name| kept.contains(&&**name))
    }

    /// Whether a column holds a personal field: not to be shown to people.
    pub fn is_personal(&self, column: &str) -> bool {
        self.columns.iter().any(|target| target.name == column && target.personal)
    }

    /// The destination's key of the record with this key of its entity: what a row that is gone was written by.
    ///
    /// `None` where the destination's key is made of more than the entity's key.
    pub fn key_of(&self, key: &Key) -> Option<Key> {
        let fields = self.entity.key.iter().zip(key.parts());
        let mut record = vec![None; self.entity.schema.len()];
        for (field, part) in fields {
            record[self.entity.schema.index(field)?] = Some(part);
        }
        if !self.is_keyed_by_key() {
            return None;
        }
        let inputs = |slot: usize| record[self.inputs[slot]].as_ref().map_or(ValueRef::Blank, Value::as_ref);
        let parts: Option<Vec<Value>> = self
            .key
            .iter()
            .map(|at| self.value(&self.columns[*at], &inputs).ok().map(|value| content::normal(value, self.keeps)))
            .collect();
        Key::of(&parts?).ok()
    }

    /// Whether the destination's key is made of nothing but the entity's key.
    pub fn is_keyed_by_key(&self) -> bool {
        let fields: Vec<Option<usize>> = self.entity.key.iter().map(|field| self.entity.schema.index(field)).collect();
        let of_key = |target: &usize| self.reads(&self.columns[*target].expr).all(|slot| fields.contains(&Some(slot)));
        self.key.iter().all(of_key)
    }

    /// The places in the entity's schema that an expression may read.
    fn reads<'a>(&'a self, expr: &'a Compiled) -> Box<dyn Iterator<Item = usize> + 'a> {
        match expr {
            Compiled::Field(field)
            | Compiled::Choice { field, .. }
            | Compiled::Lookup { field, .. }
            | Compiled::Lines { field, .. } => Box::new(std::iter::once(self.inputs[*field])),
            Compiled::Formula(formula) => Box::new(formula.inputs().map(|place| self.inputs[place])),
            Compiled::Constant(_) => Box::new(std::iter::empty()),
        }
    }

    pub fn keeps(&self) -> Keeps {
        self.keeps
    }

    /// Turns one record into the row that the destination should have.
    ///
    /// *Errors*: all faults of the row at once.
    pub fn apply(&self, record: &Row) -> Result<Wanted, Vec<Fault>> {
        let values = self.values(record)?;
        self.wanted(values)
    }

    /// What is left of a row for the destination where nobody knows these fields: columns that are made of them are
    /// absent, and so left alone.
    pub fn without(&self, wanted: Wanted, unknown: &[&str]) -> Wanted {
        if unknown.is_empty() {
            return wanted;
        }
        let unknown: Vec<usize> = unknown.iter().filter_map(|field| self.entity.schema.index(field)).collect();
        let is_known = |name: &str| {
            let target = self.columns.iter().find(|target| target.name == name);
            target.is_some_and(|target| self.reads(&target.expr).all(|field| !unknown.contains(&field)))
        };
        let part = |row: &Row| {
            let known = row.schema().columns().iter().zip(row.values()).filter(|(column, _)| is_known(&column.name));
            let (columns, values) = known.map(|(column, value)| (column.clone(), value.clone())).unzip();
            Row::new(Schema::new(columns), values)
        };
        Wanted { columns: part(&wanted.columns), on_create: part(&wanted.on_create), key: wanted.key }
    }

    /// The value of every column.
    fn values(&self, record: &Row) -> Result<Vec<Value>, Vec<Fault>> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        let mut faults = Vec::new();
        let mut values: Vec<Value> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            match self.value(column, &inputs) {
                Ok(value) => values.push(content::normal(value, self.keeps)),
                Err(misfit) => {
                    values.push(Value::Blank);
                    faults.push(fault(column, misfit));
                }
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    fn wanted(&self, values: Vec<Value>) -> Result<Wanted, Vec<Fault>> {
        let key = Key::of(self.key.iter().map(|at| &values[*at])).map_err(|why| {
            vec![
                Fault::reject(KEY_BLANK, format!("the row has no key for `{}`: {why}", self.entity.name))
                    .fix("give the row its key in the source"),
            ]
        })?;
        let mut columns = Vec::with_capacity(self.schema.len());
        let mut on_create = Vec::with_capacity(self.create_schema.len());
        for (at, (value, column)) in values.into_iter().zip(&self.columns).enumerate() {
            if self.key.contains(&at) {
                continue;
            }
            if column.only_on_create { on_create.push(value) } else { columns.push(value) }
        }
        Ok(Wanted {
            key,
            columns: Row::new(self.schema.clone(), columns),
            on_create: Row::new(self.create_schema.clone(), on_create),
        })
    }

    /// What each column gets from this record, and from which formula.
    pub fn explain(&self, record: &Row) -> Vec<Explained> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        self.columns
            .iter()
            .map(|column| Explained {
                target: column.name.clone(),
                formula: column.text.clone(),
                origin: column.origin.clone(),
                value: self.value(column, &inputs).map_err(|misfit| why(column, misfit)),
            })
            .collect()
    }

    /// A line of a document in the destination's columns.
    fn line(&self, record: &Row) -> Result<Row, Misfit> {
        let values = self.values(record).map_err(|mut faults| {
            let fault = faults.remove(0);
            Misfit {
                code: fault.code,
                why: format!("has a line that cannot be written: {}", fault.what),
                fix: fault.fix,
            }
        })?;
        let kept = values.into_iter().zip(&self.columns).filter(|(_, column)| !column.only_on_create);
        Ok(Row::new(self.schema.clone(), kept.map(|(value, _)| value).collect()))
    }

    fn value<'a>(&'a self, column: &'a Target, inputs: &'a formula::Inputs<'a>) -> Result<Value, Misfit> {
        let zone = self.zone.as_ref();
        match &column.expr {
            Compiled::Field(field) => fit(plain(inputs(*field)), &column.ty, zone),
            Compiled::Constant(value) => fit(value.as_ref(), &column.ty, zone),
            Compiled::Formula(formula) => {
                let value = formula.eval(inputs, None).map_err(|why| Misfit {
                    code: FORMULA_FAILED,
                    why: format!("cannot be computed: {why}"),
                    fix: "correct the value in the source, or guard the formula with IfError(…)".to_owned(),
                })?;
                fit(value.as_ref(), &column.ty, zone)
            }
            Compiled::Choice { field, names } => match inputs(*field) {
                ValueRef::Blank => Ok(Value::Blank),
                value => {
                    let name = fit::text(value).unwrap_or_default();
                    let found = names.iter().find(|(known, _)| *known == name);
                    let (_, system) = found.ok_or_else(|| {
                        fit::unknown_choice(&name, &names.iter().map(|(known, _)| known.clone()).collect::<Vec<_>>())
                    })?;
                    fit(system.as_ref(), &column.ty, None)
                }
            },
            Compiled::Lookup { field, table, columns } => match inputs(*field) {
                ValueRef::Reference(reference) => Ok(Value::Reference(Box::new(Reference {
                    of: table.clone(),
                    key: columns
                        .iter()
                        .map(|(name, column)| {
                            let part = reference.key.iter().find(|(known, _)| known == name);
                            (column.clone(), part.map_or(Value::Blank, |(_, value)| value.clone()))
                        })
                        .collect(),
                }))),
                _ => Ok(Value::Blank),
            },
            Compiled::Lines { field, each, parent, .. } => match inputs(*field) {
                ValueRef::Rows(rows) => {
                    let lines: Result<Vec<Row>, Misfit> = rows.iter().map(|row| each.line(row)).collect();
                    Ok(Value::Rows(lines?))
                }
                // A table has no rows of a document that says nothing of lines.
                _ if parent.is_some() => Ok(Value::Rows(Vec::new())),
                _ => Ok(Value::Blank),
            },
        }
    }
}

/// A reference as the plain key that a column holds where the system has no lookups.
fn plain(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Reference(reference) => match reference.key.as_slice() {
            [(_, key)] => key.as_ref(),
            _ => value,
        },
        other => other,
    }
}

fn fault(column: &Target, misfit: Misfit) -> Fault {
    let (code, fix) = (misfit.code, misfit.fix.clone());
    let mut fault =
        Fault::reject(code, format!("column `{}` {}", column.name, why(column, misfit))).at_column(&column.name);
    fault.place.formula = Some(format!("{}: {}  ({})", column.name, column.text, column.origin));
    fault.fix(fix)
}

/// What is wrong with a value, without it where it is personal.
fn why(column: &Target, misfit: Misfit) -> String {
    if column.personal { masked(&misfit.code) } else { misfit.why }
}

fn compile_rule(
    plan: &WritePlan<'_>,
    index: usize,
    rule: &Rule,
    names: &mut Vec<String>,
) -> Result<Target, Vec<Problem>> {
    let one = |at, code, message, help| vec![Problem { at, code, message, help }];
    let own_table = matches!(&rule.expr, Expr::Lines(lines) if lines.parent.is_some());
    let ty = if own_table { Some(Type::Unknown) } else { plan.columns.type_of(&rule.target) };
    let Some(ty) = ty else {
        let mut help = plan.columns.nearest(&rule.target).map(|near| format!("did you mean `{near}`?"));
        if matches!(rule.expr, Expr::Lines(_)) {
            let lookup = "name its lookup to the document beside it: `parent: <lookup>`";
            help = Some(format!("if `{}` is the table of the lines, {lookup}", rule.target));
        }
        let message = format!("there is no column `{}`", rule.target);
        return Err(one(At::Target(index), problem::NO_SUCH_COLUMN, message, help));
    };
    let fields = Columns::of_entity(plan.entity);
    let field = |name: &str| {
        plan.entity.field(name).ok_or_else(|| {
            let help = fields.nearest(name).map(|near| format!("did you mean `{near}`?"));
            let message = format!("the entity `{}` has no field `{name}`", plan.entity.name);
            one(At::Source(index, None), problem::NO_SUCH_FIELD, message, help)
        })
    };
    let mut personal = false;
    let expr = match &rule.expr {
        Expr::Source(name) => {
            let spec = field(name)?;
            personal = spec.personal;
            match &spec.ty {
                Type::Reference { to }
                    if plan.keeps.lookups && matches!(ty, Type::Reference { .. } | Type::Unknown) =>
                {
                    let entity = to.first().map(String::as_str).unwrap_or_default();
                    let Some(lookup) = plan.lookups.get(entity) else {
                        let message = format!(
                            "`{name}` points to `{entity}`, which this system does not map by an alternate key"
                        );
                        let help = Some(format!("map `{entity}` in this system, with `table:` and `alternate_key:`"));
                        return Err(one(At::Source(index, None), problem::REFERENCE_NOT_MAPPED, message, help));
                    };
                    Compiled::Lookup {
                        field: slot(names, name),
                        table: lookup.table.clone(),
                        columns: lookup.columns.clone(),
                    }
                }
                field_ty => {
                    if let Some(message) = length_problem(name, field_ty, &rule.target, &ty) {
                        let help = Some(format!(
                            "cut it on purpose: `{}: =Left({name}, …)`, or lower the field's max_length",
                            rule.target
                        ));
                        return Err(one(At::Source(index, None), problem::TYPE, message, help));
                    }
                    Compiled::Field(slot(names, name))
                }
            }
        }
        Expr::Constant(value) => Compiled::Constant(value.clone()),
        Expr::Formula(text) => {
            let before = names.len();
            let compiled = formula::compile(text, &fields, Some(&ty), names)
                .map_err(|found| formula::problems(found, |span| At::Source(index, Some(span))))?;
            if compiled.is_volatile() {
                let message =
                    "the formula depends on the time of day, so that every run would write every row".to_owned();
                let help = Some("take the time from the record, for example its `changed_at`".to_owned());
                return Err(one(At::Source(index, Some(0..text.len())), problem::VOLATILE, message, help));
            }
            personal = names[before..].iter().any(|n| plan.entity.field(n).is_some_and(|f| f.personal));
            Compiled::Formula(compiled)
        }
        Expr::Choice { source, names: choices } => {
            let spec = field(source)?;
            let problems = crate::choice_problems(index, spec, choices);
            if !problems.is_empty() {
                return Err(problems);
            }
            Compiled::Choice { field: slot(names, source), names: choices.clone() }
        }
        Expr::Lines(lines) => {
            field(&lines.of)?;
            let Some(entity) = crate::lines_entity(plan.entity, &lines.of) else {
                let message = format!("`{}` of `{}` is no field of lines", lines.of, plan.entity.name);
                return Err(one(At::Source(index, None), problem::TYPE, message, None));
            };
            let each = WriteMapping::compile(&WritePlan {
                entity: &entity,
                rules: &lines.rules,
                alternate_key: &[],
                columns: &Columns::open(),
                ..*plan
            })
            .map_err(|found| {
                let of_rule = |problem: Problem| Problem { at: At::Lines(index), ..problem };
                found.into_iter().map(of_rule).collect::<Vec<_>>()
            })?;
            let line_key = entity.fields.first().map(|field| field.name.clone());
            let is_key =
                |rule: &&Rule| matches!((&rule.expr, &line_key), (Expr::Source(field), Some(key)) if **field == **key);
            let key = lines.rules.iter().find(is_key).map(|rule| rule.target.clone());
            let parent = lines.parent.clone();
            Compiled::Lines { field: slot(names, &lines.of), each: Box::new(each), parent, key }
        }
    };
    let behind: Vec<String> = match (&expr, &ty) {
        _ if !plan.keeps.lookups => Vec::new(),
        (Compiled::Lookup { columns, .. }, _) => {
            columns.iter().map(|(_, column)| format!("{}.{column}", rule.target)).collect()
        }
        (Compiled::Formula(formula), Type::Reference { .. } | Type::Unknown) => {
            formula.names_rows_by().map(|column| format!("{}.{column}", rule.target)).collect()
        }
        _ => Vec::new(),
    };
    Ok(Target {
        name: rule.target.clone(),
        ty,
        expr,
        behind,
        only_on_create: rule.only_on_create,
        personal,
        text: rule.expr.text(),
        origin: rule.origin.clone(),
    })
}

/// A field that may be longer than its column loses rows one day: said at `check`, where both lengths are known.
fn length_problem(field: &str, from: &Type, column: &str, to: &Type) -> Option<String> {
    let length = |ty: &Type| match ty {
        Type::Text { max_length } | Type::Multiline { max_length } => *max_length,
        _ => None,
    };
    let (from, to) = (length(from)?, length(to)?);
    (from > to).then(|| format!("`{field}` may have {from} characters, and the column `{column}` holds {to}"))
}
