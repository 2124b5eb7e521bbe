//! Nested steps as a list with jumps.

use definition::{Assignment, FormField, Given, Project, Step, StepKind};
use mapping::{Condition, Expression, Problem};
use record::{Entity, Fault, Schema, Type};

use super::{Assign, Digits, Formula, Handler, Placed, Question, What};
use crate::codes;

pub(super) fn steps(
    project: &Project,
    entity: &Entity,
    sight: &Schema,
    steps: &[Step],
) -> Result<(Vec<Placed>, Vec<Handler>), Fault> {
    let mut compiler = Compiler { project, entity, sight, steps: Vec::new(), handlers: Vec::new() };
    compiler.all(steps)?;
    Ok((compiler.steps, compiler.handlers))
}

struct Compiler<'a> {
    project: &'a Project,
    /// Whose records the flow is about.
    entity: &'a Entity,
    sight: &'a Schema,
    steps: Vec<Placed>,
    handlers: Vec<Handler>,
}

impl Compiler<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<(), Fault> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), Fault> {
        let what = match &step.kind {
            StepKind::If { condition, then, otherwise } => return self.branch(step, condition, then, otherwise),
            StepKind::Switch { value, cases, otherwise } => return self.switch(step, value, cases, otherwise),
            StepKind::ForEach { field, at_most, body } => {
                let head = self.push(step, What::Each { field: field.clone(), at_most: *at_most, after: 0 });
                self.all(body)?;
                self.jump(step, head);
                let end = self.steps.len();
                if let What::Each { after, .. } = &mut self.steps[head].what {
                    *after = end;
                }
                return Ok(());
            }
            StepKind::Parallel(branches) => return self.fork(step, branches),
            StepKind::Scope { name, steps, if_failed } => return self.scope(step, name, steps, if_failed),
            StepKind::Child { flow, key, name } => {
                What::Child { flow: flow.clone(), key: self.formulas(step, key)?, name: name.clone() }
            }
            StepKind::WaitFor { condition, at_most, name } => What::WaitFor {
                text: condition.clone(),
                condition: Box::new(self.condition(step, condition)?),
                at_most: *at_most,
                name: name.clone(),
            },
            StepKind::DelayUntil(text) => What::Until(self.formula(step, text)?),
            StepKind::Terminate(why) => What::End(self.given(step, why)?),
            StepKind::Set(set) => What::Set(self.assigns(step, set, Some(self.entity))?),
            StepKind::Read { name, entity, from, key } => What::Read {
                name: name.clone(),
                entity: entity.clone(),
                from: from.clone(),
                key: self.formulas(step, key)?,
            },
            StepKind::Write { entity, to, key, set } => What::Write {
                entity: entity.clone(),
                to: to.clone(),
                key: self.formulas(step, key)?,
                set: self.assigns(step, set, self.project.entity(entity).map(|entity| &**entity))?,
            },
            StepKind::Notify { to, text } => What::Notify { to: self.given(step, to)?, text: self.given(step, text)? },
            StepKind::Wait(wait) => What::Wait(*wait),
            StepKind::Approve(approval) => {
                let not = approval.not.as_ref().map(|text| self.formula(step, text)).transpose()?;
                let ask = self.given(step, &approval.ask)?;
                let blank = Given::Fixed(record::Value::Blank);
                let default = |field: &FormField| self.given(step, field.default.as_ref().unwrap_or(&blank));
                let defaults = approval.form.iter().map(default).collect::<Result<_, Fault>>()?;
                let currency = |field: &FormField| self.given(step, field.currency.as_ref().unwrap_or(&blank));
                let currencies = approval.form.iter().map(currency).collect::<Result<_, Fault>>()?;
                What::Approve(Box::new(Question { defined: approval.clone(), ask, not, defaults, currencies }))
            }
        };
        self.push(step, what);
        Ok(())
    }

    fn push(&mut self, step: &Step, what: What) -> usize {
        self.place(step, step.path.clone(), what)
    }

    fn place(&mut self, step: &Step, path: String, what: What) -> usize {
        self.steps.push(Placed { path, origin: step.origin.clone(), what });
        self.steps.len() - 1
    }

    fn jump(&mut self, step: &Step, to: usize) -> usize {
        self.place(step, String::new(), What::Jump(to))
    }

    fn branch(&mut self, step: &Step, text: &str, then: &[Step], otherwise: &[Step]) -> Result<(), Fault> {
        let condition = Box::new(self.condition(step, text)?);
        let test = self.push(step, What::Test { text: text.to_owned(), condition, otherwise: 0 });
        self.all(then)?;
        let jump = (!otherwise.is_empty()).then(|| self.jump(step, 0));
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

    fn switch(
        &mut self,
        step: &Step,
        value: &str,
        cases: &[(String, Vec<Step>)],
        otherwise: &[Step],
    ) -> Result<(), Fault> {
        let value = self.formula(step, value)?;
        let choose = self.push(step, What::Choose { value, cases: Vec::new(), otherwise: 0 });
        let (mut starts, mut jumps) = (Vec::new(), Vec::new());
        for (name, steps) in cases {
            starts.push((name.clone(), self.steps.len()));
            self.all(steps)?;
            jumps.push(self.jump(step, 0));
        }
        let default = self.steps.len();
        self.all(otherwise)?;
        let end = self.steps.len();
        jumps.into_iter().for_each(|jump| self.steps[jump].what = What::Jump(end));
        if let What::Choose { cases, otherwise, .. } = &mut self.steps[choose].what {
            (*cases, *otherwise) = (starts, default);
        }
        Ok(())
    }

    fn fork(&mut self, step: &Step, branches: &[(String, Vec<Step>)]) -> Result<(), Fault> {
        let fork = self.push(step, What::Fork { branches: Vec::new(), after: 0 });
        let mut starts = Vec::new();
        for (name, steps) in branches {
            let path = format!("{}.parallel.{name}", step.path);
            starts.push((path.clone(), self.steps.len()));
            self.all(steps)?;
            self.place(step, format!("{path}.end"), What::Join);
        }
        let end = self.steps.len();
        if let What::Fork { branches, after } = &mut self.steps[fork].what {
            (*branches, *after) = (starts, end);
        }
        Ok(())
    }

    fn scope(&mut self, step: &Step, name: &str, steps: &[Step], if_failed: &[Step]) -> Result<(), Fault> {
        self.push(step, What::Enter);
        let begin = self.steps.len();
        self.all(steps)?;
        let leave = self.place(step, format!("{}.end", step.path), What::Leave { scope: name.to_owned(), after: 0 });
        let handler = self.steps.len();
        let range = begin..leave;
        self.handlers.push(Handler { steps: range, to: handler, scope: name.to_owned(), path: step.path.clone() });
        self.all(if_failed)?;
        let end = self.steps.len();
        if let What::Leave { after, .. } = &mut self.steps[leave].what {
            *after = end;
        }
        Ok(())
    }

    /// `of` is the entity whose fields are written.
    fn assigns(&self, step: &Step, set: &[Assignment], of: Option<&Entity>) -> Result<Vec<Assign>, Fault> {
        let one = |assignment: &Assignment| {
            let field = of.and_then(|of| of.field(&assignment.field));
            let personal = field.is_some_and(|field| field.personal);
            // Only of the record that the flow is about are all fields seen here.
            let mine = of.is_some_and(|of| *of.name == *self.entity.name);
            let digits = field.filter(|field| field.ty == Type::Money).map(|field| {
                match super::digits_of(field, "", self.sight) {
                    Digits::By(_) if !mine => Digits::Fixed(crate::money::USUAL),
                    digits => digits,
                }
            });
            let (field, value) = (assignment.field.clone(), self.given(step, &assignment.value)?);
            Ok(Assign { field, value, digits, personal })
        };
        set.iter().map(one).collect()
    }

    fn given(&self, step: &Step, given: &Given) -> Result<Formula, Fault> {
        match given {
            Given::Fixed(value) => Ok(Formula::Fixed(value.clone())),
            Given::Formula(text) => self.formula(step, text),
        }
    }

    fn formulas(&self, step: &Step, texts: &[String]) -> Result<Vec<Formula>, Fault> {
        texts.iter().map(|text| self.formula(step, text)).collect()
    }

    fn formula(&self, step: &Step, text: &str) -> Result<Formula, Fault> {
        let compiled = Expression::over(text, self.sight, None);
        let compiled = compiled.map_err(|problems| broken(&step.origin, text, &problems))?;
        Ok(Formula::Computed { text: text.to_owned(), compiled: Box::new(compiled) })
    }

    fn condition(&self, step: &Step, text: &str) -> Result<Condition, Fault> {
        Condition::over(text, self.sight).map_err(|problems| broken(&step.origin, text, &problems))
    }
}

pub(super) fn broken(origin: &str, text: &str, problems: &[Problem]) -> Fault {
    let all: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    Fault::ask_person(codes::FLOW_FORMULA, format!("`={text}` ({origin}) cannot be used: {}", all.join("; ")))
        .fix("correct the formula, then: ironbridge check")
}
