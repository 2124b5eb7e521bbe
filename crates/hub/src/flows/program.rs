//! A flow as a list of steps that can be walked: nesting becomes jumps, formulas are compiled once.

use std::sync::Arc;

use definition::{Approval, Assignment, Flow, Given, Integration, Project, Step, StepKind, Wait};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mapping::{Condition, Expression, Problem};
use record::{Column, Entity, Fault, Row, Schema, Type, Value};

use crate::codes;

/// A compiled flow.
#[derive(Debug)]
pub struct Program {
    pub flow: String,
    pub entity: Arc<Entity>,
    /// What formulas see: the fields of the record, those of what it refers to (`customer.name`), and the decisions
    /// (`decision.outcome`).
    pub sight: Arc<Schema>,
    /// Fields that refer to other records, with the entity of those.
    pub references: Vec<(String, String)>,
    pub trigger: Option<Condition>,
    pub steps: Vec<Placed>,
}

/// A step and its place in the definition.
#[derive(Debug)]
pub struct Placed {
    /// As in [`Step::path`]; empty for what only jumps.
    pub path: String,
    pub origin: String,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// Goes on with the next step, or there.
    Test {
        text: String,
        condition: Box<Condition>,
        otherwise: usize,
    },
    Jump(usize),
    Set(Vec<Assign>),
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
    Approve(Box<Question>),
}

#[derive(Debug)]
pub struct Assign {
    pub field: String,
    pub value: Formula,
}

/// What an approval asks, and of whom.
#[derive(Debug)]
pub struct Question {
    pub defined: Approval,
    pub ask: Formula,
    pub not: Option<Formula>,
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
}

impl Program {
    /// *Errors*: a formula that does not fit the entities of the project; a checked definition has none.
    pub fn compile(project: &Project, integration: &Integration, flow: &Flow) -> Result<Program, Fault> {
        let entity = project.entity(&flow.entity).expect("a checked project names entities that exist").clone();
        let mut decisions = Vec::new();
        names(&flow.steps, &mut decisions);
        let (sight, references) = sight(project, &entity, &decisions);
        let trigger = flow.trigger.if_.as_deref().map(|text| {
            Condition::compile(text, &entity).map_err(|problems| broken(&integration.origin, text, &problems))
        });
        let trigger = trigger.transpose()?;
        let mut compiler = Compiler { sight: &sight, steps: Vec::new() };
        compiler.all(&flow.steps)?;
        let steps = compiler.steps;
        Ok(Program { flow: integration.name.clone(), entity, references, trigger, steps, sight })
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
        self.resolve(0).map(|at| self.steps[at].path.clone())
    }
}

fn names(steps: &[Step], found: &mut Vec<String>) {
    for step in steps {
        match &step.kind {
            StepKind::Approve(approval) => found.push(approval.name.clone()),
            StepKind::If { then, otherwise, .. } => {
                names(then, found);
                names(otherwise, found);
            }
            _ => {}
        }
    }
}

fn sight(project: &Project, entity: &Entity, decisions: &[String]) -> (Arc<Schema>, Vec<(String, String)>) {
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
    for name in decisions {
        let text = || Type::Text { max_length: None };
        columns.extend(
            ["outcome", "by", "comment"].map(|part| Column { name: format!("{name}.{part}").into(), ty: text() }),
        );
    }
    (Schema::new(columns), references)
}

struct Compiler<'a> {
    sight: &'a Schema,
    steps: Vec<Placed>,
}

impl Compiler<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<(), Fault> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), Fault> {
        let what = match &step.kind {
            StepKind::If { condition, then, otherwise } => return self.branch(step, condition, then, otherwise),
            StepKind::Set(set) => What::Set(self.assigns(step, set)?),
            StepKind::Write { entity, to, key, set } => What::Write {
                entity: entity.clone(),
                to: to.clone(),
                key: key.iter().map(|text| self.formula(step, text)).collect::<Result<_, _>>()?,
                set: self.assigns(step, set)?,
            },
            StepKind::Notify { to, text } => What::Notify { to: self.given(step, to)?, text: self.given(step, text)? },
            StepKind::Wait(wait) => What::Wait(*wait),
            StepKind::Approve(approval) => {
                let not = approval.not.as_ref().map(|text| self.formula(step, text)).transpose()?;
                let ask = self.given(step, &approval.ask)?;
                What::Approve(Box::new(Question { defined: approval.clone(), ask, not }))
            }
        };
        self.push(step, what);
        Ok(())
    }

    fn push(&mut self, step: &Step, what: What) -> usize {
        self.steps.push(Placed { path: step.path.clone(), origin: step.origin.clone(), what });
        self.steps.len() - 1
    }

    fn branch(&mut self, step: &Step, text: &str, then: &[Step], otherwise: &[Step]) -> Result<(), Fault> {
        let condition = Condition::over(text, self.sight).map_err(|problems| broken(&step.origin, text, &problems))?;
        let test = self.push(step, What::Test { text: text.to_owned(), condition: Box::new(condition), otherwise: 0 });
        self.all(then)?;
        let jump = (!otherwise.is_empty()).then(|| {
            self.steps.push(Placed { path: String::new(), origin: step.origin.clone(), what: What::Jump(0) });
            self.steps.len() - 1
        });
        let after_then = self.steps.len();
        if let What::Test { otherwise, .. } = &mut self.steps[test].what {
            *otherwise = after_then;
        }
        self.all(otherwise)?;
        if let Some(jump) = jump {
            self.steps[jump].what = What::Jump(self.steps.len());
        }
        Ok(())
    }

    fn assigns(&self, step: &Step, set: &[Assignment]) -> Result<Vec<Assign>, Fault> {
        let one = |assignment: &Assignment| {
            Ok(Assign { field: assignment.field.clone(), value: self.given(step, &assignment.value)? })
        };
        set.iter().map(one).collect()
    }

    fn given(&self, step: &Step, given: &Given) -> Result<Formula, Fault> {
        match given {
            Given::Fixed(value) => Ok(Formula::Fixed(value.clone())),
            Given::Formula(text) => self.formula(step, text),
        }
    }

    fn formula(&self, step: &Step, text: &str) -> Result<Formula, Fault> {
        let compiled = Expression::over(text, self.sight, None);
        let compiled = compiled.map_err(|problems| broken(&step.origin, text, &problems))?;
        Ok(Formula::Computed { text: text.to_owned(), compiled: Box::new(compiled) })
    }
}

fn broken(origin: &str, text: &str, problems: &[Problem]) -> Fault {
    let all: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    Fault::ask_person(codes::FLOW_FORMULA, format!("`={text}` ({origin}) cannot be used: {}", all.join("; ")))
        .fix("correct the formula, then: ironbridge check")
}
