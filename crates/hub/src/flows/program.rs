//! A flow as a list of steps that can be walked: nesting becomes jumps, formulas are compiled once.

mod compile;

use std::ops::Range;
use std::sync::Arc;

use definition::{Approval, Flow, FormField, Given, Integration, Project, StepKind, Wait, read_by_a_step};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mapping::{Condition, Expression};
use record::{Column, Entity, EntityField, Fault, Row, Schema, Type, Value};

use crate::money;

/// A compiled flow.
#[derive(Debug)]
pub struct Program {
    pub flow: String,
    /// Who sees to it: a person or a group.
    pub owner: String,
    pub entity: Arc<Entity>,
    /// What formulas see: the fields of the record, those of what it refers to (`customer.name`), those of the line that
    /// a loop is about (`item.product`), and what came of earlier steps (`decision.outcome`).
    pub sight: Arc<Schema>,
    /// Columns of it that are masked wherever people look.
    pub personal: Vec<String>,
    /// Columns of it that hold money, and how many digits people are shown of each.
    amounts: Vec<(usize, Digits)>,
    /// Fields that refer to other records, with the entity of those.
    pub references: Vec<(String, String)>,
    pub trigger: Option<Condition>,
    pub steps: Vec<Placed>,
    pub handlers: Vec<Handler>,
}

/// How many digits after the point people are shown of an amount.
#[derive(Debug, Clone, Copy)]
pub enum Digits {
    Fixed(u32),
    /// Those of the currency in this column of what the flow sees.
    By(usize),
}

impl Digits {
    /// For a record in the columns of [`Program::sight`].
    pub fn of(self, record: &Row) -> u32 {
        match self {
            Digits::Fixed(digits) => digits,
            Digits::By(column) => match record.values().get(column) {
                Some(Value::Text(currency) | Value::Choice(currency)) => money::digits(currency),
                _ => money::USUAL,
            },
        }
    }
}

/// A step and its place in the definition.
#[derive(Debug)]
pub struct Placed {
    /// As in [`definition::Step::path`]; empty for what only jumps.
    pub path: String,
    pub origin: String,
    pub what: What,
}

/// Where it goes on when one of these steps has failed for good.
#[derive(Debug)]
pub struct Handler {
    pub steps: Range<usize>,
    pub to: usize,
    /// The name of the scope, and the path of its step.
    pub scope: String,
    pub path: String,
}

#[derive(Debug)]
pub enum What {
    /// Goes on with the next step, or there.
    Test {
        text: String,
        condition: Box<Condition>,
        otherwise: usize,
    },
    /// Goes on at the case that has this text, or there.
    Choose {
        value: Formula,
        cases: Vec<(String, usize)>,
        otherwise: usize,
    },
    Jump(usize),
    /// The head of a loop, to which its steps come back.
    Each {
        field: String,
        at_most: u32,
        after: usize,
    },
    /// Begins branches, and goes on there when all of them have ended. *Shape*: the name of a branch is its path.
    Fork {
        branches: Vec<(String, usize)>,
        after: usize,
    },
    /// The end of a branch.
    Join,
    /// The beginning of a scope.
    Enter,
    /// The end of the steps of a scope: past those for a failure.
    Leave {
        scope: String,
        after: usize,
    },
    Set(Vec<Assign>),
    Read {
        name: String,
        entity: String,
        from: String,
        key: Vec<Formula>,
    },
    Write {
        entity: String,
        to: String,
        key: Vec<Formula>,
        set: Vec<Assign>,
    },
    Notify {
        to: Formula,
        text: Formula,
    },
    Wait(Wait),
    WaitFor {
        text: String,
        condition: Box<Condition>,
        at_most: Wait,
        name: Option<String>,
    },
    Until(Formula),
    Child {
        flow: String,
        key: Vec<Formula>,
        name: Option<String>,
    },
    End(Formula),
    Approve(Box<Question>),
}

#[derive(Debug)]
pub struct Assign {
    pub field: String,
    pub value: Formula,
    /// Where the field holds money.
    pub digits: Option<Digits>,
    /// Masked wherever people look.
    pub personal: bool,
}

/// What an approval asks, and of whom.
#[derive(Debug)]
pub struct Question {
    pub defined: Approval,
    pub ask: Formula,
    pub not: Option<Formula>,
    /// What stands at first in each field of its form.
    pub defaults: Vec<Formula>,
    /// The currency of each field of its form; blank where nobody says it.
    pub currencies: Vec<Formula>,
}

/// A fixed value, or a formula over what the flow sees.
#[derive(Debug)]
pub enum Formula {
    Fixed(Value),
    Computed { text: String, compiled: Box<Expression> },
}

impl Formula {
    /// *Errors*: one sentence of why there is no value.
    pub fn eval(&self, record: &Row, now: Timestamp, zone: &TimeZone) -> Result<Value, String> {
        match self {
            Formula::Fixed(value) => Ok(value.clone()),
            Formula::Computed { text, compiled } => {
                compiled.eval(record, now, zone).map_err(|why| format!("`={text}` has no value: {why}"))
            }
        }
    }

    /// The value as a text that people read: amounts of the record keep their digits. *Shape*: empty for a blank.
    ///
    /// *Errors*: as of [`Formula::eval`].
    pub fn text(&self, record: &Row, now: Timestamp, zone: &TimeZone) -> Result<String, String> {
        let value = match self {
            Formula::Fixed(value) => value.clone(),
            Formula::Computed { text, compiled } => {
                compiled.eval_for_people(record, now, zone).map_err(|why| format!("`={text}` has no value: {why}"))?
            }
        };
        Ok(if value.is_blank() { String::new() } else { value.to_string() })
    }
}

impl Program {
    /// *Errors*: a formula that does not fit the entities of the project; a checked definition has none.
    pub fn compile(project: &Project, integration: &Integration, flow: &Flow) -> Result<Program, Fault> {
        let entity = project.entity(&flow.entity).expect("a checked project names entities that exist").clone();
        let (sight, references) = sight(project, &entity, flow);
        let trigger = flow.trigger.if_.as_deref().map(|text| {
            Condition::compile(text, &entity).map_err(|problems| compile::broken(&integration.origin, text, &problems))
        });
        let trigger = trigger.transpose()?;
        let (steps, handlers) = compile::steps(project, &entity, &sight, &flow.steps)?;
        let personal = personal(project, &entity, flow);
        let amounts = amounts(project, &entity, flow, &sight);
        Ok(Program {
            personal,
            amounts,
            flow: integration.name.clone(),
            owner: integration.owner.clone(),
            entity,
            references,
            trigger,
            steps,
            handlers,
            sight,
        })
    }

    /// Gives every amount of a record as many digits as its currency has.
    pub fn show_amounts(&self, record: &mut Row) {
        for (column, digits) in &self.amounts {
            let digits = digits.of(record);
            money::put(record.at_mut(*column), digits);
        }
    }

    /// Where a step stands in the list; nothing where this version has no such step.
    pub fn index(&self, path: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.path == path)
    }

    /// The step at a place, past what only jumps; nothing at the end.
    pub fn resolve(&self, mut at: usize) -> Option<usize> {
        while let What::Jump(to) = &self.steps.get(at)?.what {
            at = *to;
        }
        Some(at)
    }

    /// The first step; nothing for a flow without any.
    pub fn first(&self) -> Option<String> {
        self.path(0)
    }

    /// The path of the step at a place, past what only jumps.
    pub fn path(&self, at: usize) -> Option<String> {
        self.resolve(at).map(|at| self.steps[at].path.clone())
    }

    /// The innermost scope that a step belongs to.
    pub fn handler(&self, at: usize) -> Option<&Handler> {
        self.handlers.iter().filter(|handler| handler.steps.contains(&at)).min_by_key(|handler| handler.steps.len())
    }
}

/// The columns that hold money, or lines that may.
fn amounts(project: &Project, entity: &Entity, flow: &Flow, sight: &Schema) -> Vec<(usize, Digits)> {
    let one = |(at, column): (usize, &Column)| {
        if !matches!(column.ty, Type::Money | Type::Lines(_)) {
            return None;
        }
        let (of, field) = match column.name.split_once('.') {
            None => ("", entity.field(&column.name)),
            Some((of, inner)) => match entity.field(of).map(|field| &field.ty) {
                Some(Type::Reference { to }) => {
                    (of, to.first().and_then(|name| project.entity(name)).and_then(|other| other.field(inner)))
                }
                // Of a form, an answer, or a line.
                _ => return Some((at, digits_filled_in(flow, of, inner, sight))),
            },
        };
        Some((at, field.map_or(Digits::Fixed(money::USUAL), |field| digits_of(field, of, sight))))
    };
    sight.columns().iter().enumerate().filter_map(one).collect()
}

/// The digits of what somebody fills in: in the form that starts the flow, or with the answer that has the name `of`.
fn digits_filled_in(flow: &Flow, of: &str, name: &str, sight: &Schema) -> Digits {
    let mut forms = forms(flow).filter(|(form, _)| *form == of).flat_map(|(_, fields)| fields);
    match forms.find(|field| field.name == name).and_then(|field| field.currency.as_ref()) {
        Some(Given::Fixed(code)) => Digits::Fixed(money::digits(&code.to_string())),
        Some(Given::Formula(text)) => sight.index(text.trim()).map_or(Digits::Fixed(money::USUAL), Digits::By),
        None => Digits::Fixed(money::USUAL),
    }
}

/// The forms of a flow, by what formulas call them.
fn forms(flow: &Flow) -> impl Iterator<Item = (&str, &[FormField])> {
    let answers = flow.all_steps().into_iter().filter_map(|step| match &step.kind {
        StepKind::Approve(approval) => Some((approval.name.as_str(), approval.form.as_slice())),
        _ => None,
    });
    answers.chain(flow.form.as_deref().map(|form| ("form", form)))
}

/// The digits of a money field of the record, or of the record that `of` refers to.
fn digits_of(field: &EntityField, of: &str, sight: &Schema) -> Digits {
    let currency = field.currency.as_deref().unwrap_or_default();
    let Some(formula) = currency.strip_prefix('=') else { return Digits::Fixed(money::digits(currency)) };
    let name = if of.is_empty() { formula.trim().to_owned() } else { format!("{of}.{}", formula.trim()) };
    sight.index(&name).map_or(Digits::Fixed(money::USUAL), Digits::By)
}

/// The personal fields of the record, of what it refers to, and of forms.
pub(super) fn personal(project: &Project, entity: &Entity, flow: &Flow) -> Vec<String> {
    let mut found = Vec::new();
    for field in &entity.fields {
        if field.personal {
            found.push(field.name.to_string());
        }
        let Type::Reference { to } = &field.ty else { continue };
        let Some(other) = to.first().and_then(|name| project.entity(name)) else { continue };
        let inner = other.fields.iter().filter(|inner| inner.personal);
        found.extend(inner.map(|inner| format!("{}.{}", field.name, inner.name)));
    }
    for step in flow.all_steps() {
        let StepKind::Read { name, entity, .. } = &step.kind else { continue };
        let Some(other) = project.entity(entity) else { continue };
        found.extend(other.fields.iter().filter(|field| field.personal).map(|field| format!("{name}.{}", field.name)));
    }
    for (of, fields) in forms(flow) {
        let fields = fields.iter().filter(|field| field.personal);
        found.extend(fields.map(|field| format!("{of}.{}", field.name)));
    }
    found
}

fn sight(project: &Project, entity: &Entity, flow: &Flow) -> (Arc<Schema>, Vec<(String, String)>) {
    let mut columns: Vec<Column> = entity.schema.columns().to_vec();
    let mut references = Vec::new();
    for field in &entity.fields {
        let Type::Reference { to } = &field.ty else { continue };
        let Some(other) = to.first().and_then(|name| project.entity(name)) else { continue };
        references.push((field.name.to_string(), other.name.to_string()));
        columns.extend(
            other
                .fields
                .iter()
                .map(|inner| Column { name: format!("{}.{}", field.name, inner.name).into(), ty: inner.ty.clone() }),
        );
    }
    let filled = |of: &str, fields: &[FormField]| -> Vec<Column> {
        let one = |field: &FormField| {
            // Of a reference its key was filled in.
            let ty = match &field.ty {
                Type::Reference { .. } => Type::Text { max_length: None },
                ty => ty.clone(),
            };
            Column { name: format!("{of}.{}", field.name).into(), ty }
        };
        fields.iter().map(one).collect()
    };
    if let Some(form) = &flow.form {
        columns.extend(filled("form", form));
        columns.push(Column { name: "form.by".into(), ty: Type::Text { max_length: None } });
    }
    for step in flow.all_steps() {
        if let StepKind::Approve(approval) = &step.kind {
            columns.extend(filled(&approval.name, &approval.form));
        }
        if let StepKind::Read { name, entity, .. } = &step.kind
            && let Some(other) = project.entity(entity)
        {
            let fields = other.fields.iter().filter(|field| read_by_a_step(&field.ty));
            columns.extend(
                fields.map(|field| Column { name: format!("{name}.{}", field.name).into(), ty: field.ty.clone() }),
            );
        }
        if let Some(name) = step.kind.answer() {
            let text = || Type::Text { max_length: None };
            columns.extend(
                ["outcome", "by", "comment"].map(|part| Column { name: format!("{name}.{part}").into(), ty: text() }),
            );
        }
        if let StepKind::ForEach { field, .. } = &step.kind
            && let Some(Type::Lines(lines)) = entity.field(field).map(|field| &field.ty)
        {
            for column in lines.columns() {
                let name = format!("item.{}", column.name);
                if !columns.iter().any(|known| *known.name == *name) {
                    columns.push(Column { name: name.into(), ty: column.ty.clone() });
                }
            }
        }
    }
    (Schema::new(columns), references)
}
