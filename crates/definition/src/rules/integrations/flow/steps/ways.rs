//! Steps that hold others: which ways lead through them, and what has an outcome on each.

use super::*;

/// The lists of steps within a step.
fn lists(step: &Group) -> Vec<&[Value]> {
    let mut lists: Vec<&[Value]> =
        ["then", "else", "default", "do", "steps", "if_failed"].iter().map(|key| step.list(key)).collect();
    for entry in step.named("cases").iter().chain(step.named("parallel")) {
        if let Data::List(steps) = &entry.value.data {
            lists.push(steps);
        }
    }
    lists
}

fn each_step<'g>(steps: &'g [Value], found: &mut Vec<&'g Group>) {
    for step in steps.iter().filter_map(Value::group) {
        found.push(step);
        lists(step).into_iter().for_each(|list| each_step(list, found));
    }
}

/// A step could not be read, or an approval has no name.
pub(super) fn lost(steps: &[Value]) -> bool {
    steps.iter().any(|step| match step.group() {
        None => true,
        Some(group) => {
            let nameless = (group.says("of") || group.says("ask")) && group.text("approve").is_none();
            nameless || lists(group).into_iter().any(lost)
        }
    })
}

/// A flow does not come back to itself through its children.
pub(super) fn no_recursion(seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let children = |name: &str| -> Vec<(&str, Span)> {
        let Some(flow) = seen.draft.integrations.iter().find(|group| group.text("integration") == Some(name)) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        each_step(flow.list("steps"), &mut steps);
        steps.into_iter().filter_map(|step| Some((step.text("child_flow")?, step.at("child_flow")))).collect()
    };
    let Some(own) = seen.group.text("integration") else { return };
    for (child, at) in children(own) {
        let (mut known, mut next) = (BTreeSet::new(), vec![child]);
        while let Some(name) = next.pop() {
            if name == own {
                diagnostics.push(
                    Diagnostic::error(codes::CHILD_FLOW, format!("`{own}` would start itself"))
                        .at(at, format!("by way of `{child}`"))
                        .help("a flow and its children come to an end: leave one of these steps out"),
                );
                return;
            }
            if known.insert(name) {
                next.extend(children(name).into_iter().map(|(name, _)| name));
            }
        }
    }
}

impl Steps<'_> {
    /// One list after what is known now. Answers what is known after it; nothing where no way leads past it.
    fn way(&mut self, steps: &[Value], diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
        let before = self.sure.clone();
        let ended = self.all(steps, diagnostics);
        let after = std::mem::replace(&mut self.sure, before);
        (!ended).then_some(after)
    }

    /// What is known where any of these ways may have been gone. True where none of them leads on.
    fn joined(&mut self, ways: Vec<Option<Vec<String>>>) -> bool {
        let mut on = ways.into_iter().flatten();
        let Some(mut sure) = on.next() else { return true };
        for other in on {
            sure.retain(|name| other.contains(name));
        }
        self.sure = sure;
        false
    }

    pub(super) fn branch(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) -> bool {
        self.one(step, "if", &Expect::Type(Fx::Boolean), diagnostics);
        let text = step.formula("if").map(|formula| formula.text.trim().to_ascii_lowercase());
        let never = match text.as_deref() {
            Some("true") => Some("else"),
            Some("false") => Some("then"),
            _ => None,
        };
        if let Some(never) = never.filter(|key| !step.list(key).is_empty()) {
            diagnostics.push(
                Diagnostic::error(codes::FLOW_UNREACHABLE, format!("the steps under `{never}` are never done"))
                    .at(step.at("if"), "this is always the same")
                    .help("write a condition, or leave the `if` out"),
            );
        }
        let then = self.way(step.list("then"), diagnostics);
        let otherwise = self.way(step.list("else"), diagnostics);
        self.joined(vec![then, otherwise])
    }

    pub(super) fn switch(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) -> bool {
        self.one(step, "switch", &Expect::Any, diagnostics);
        let value = step.formula("switch").map(|formula| formula.text.trim().to_owned()).unwrap_or_default();
        let values = self.values_of(&value);
        let mut ways = Vec::new();
        for entry in step.named("cases") {
            if let Some(values) = values.as_ref().filter(|values| !values.iter().any(|value| *value == *entry.name)) {
                diagnostics.push(
                    Diagnostic::error(codes::FLOW_OUTCOME, format!("`{value}` is never `{}`", entry.name))
                        .at(entry.key, "the steps of this case are never done")
                        .note(format!("it is one of: {}", values.join(", ")))
                        .help("correct the case, or remove it"),
                );
            }
            let steps = if let Data::List(steps) = &entry.value.data { steps.as_slice() } else { &[] };
            ways.push(self.way(steps, diagnostics));
        }
        let has = |value: &String| step.named("cases").iter().any(|entry| *entry.name == **value);
        let missing: Vec<String> = values.iter().flatten().filter(|value| !has(value)).cloned().collect();
        let whole = values.is_some() && missing.is_empty();
        if step.says("default") {
            if whole {
                diagnostics.push(
                    Diagnostic::error(codes::FLOW_UNREACHABLE, "the steps under `default` are never done")
                        .at(step.key_at("default"), "each value has a case")
                        .help("remove `default`"),
                );
            }
            ways.push(self.way(step.list("default"), diagnostics));
        } else if !whole {
            let outcome = value.split_once(".outcome").filter(|(_, rest)| rest.is_empty());
            if outcome.is_some_and(|(name, _)| self.sure.iter().any(|sure| sure == name)) {
                diagnostics.push(
                    Diagnostic::error(
                        codes::FLOW_OUTCOME,
                        format!("nothing says what happens when it is {}", missing.join(" or ")),
                    )
                    .at(step.key_at("cases"), format!("there is no case for {}", missing.join(", ")))
                    .help(format!("add `{}: [ … ]` under `cases:`, or a `default:`", missing.join(": [ … ]`, `"))),
                );
            }
            ways.push(Some(self.sure.clone()));
        }
        self.joined(ways)
    }

    /// The values that a formula can have, where it is a field with a choice, or the outcome of something.
    fn values_of(&self, formula: &str) -> Option<Vec<String>> {
        if let Some(name) = formula.strip_suffix(".outcome")
            && let Some(answer) = self.answers.iter().find(|answer| answer.name == name)
        {
            return Some(answer.kind.outcomes().map(str::to_owned).into());
        }
        let of = |entity: &Entity, field: &str| match &entity.field(field)?.ty {
            Type::Choice { values, .. } => Some(values.iter().map(ToString::to_string).collect()),
            _ => None,
        };
        match formula.split_once('.') {
            None => of(self.entity, formula),
            Some((field, inner)) => match &self.entity.field(field)?.ty {
                Type::Reference { to } => of(self.seen.entity(to.first()?)?, inner),
                _ => None,
            },
        }
    }

    pub(super) fn each(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        if self.item.is_some() {
            self.not_in_a_loop(step, "apply_to_each", "`item` could be a line of either", diagnostics);
        }
        let Some(name) = step.text("apply_to_each") else { return };
        if !field_exists(self.entity, name, step.at("apply_to_each"), diagnostics) {
            return;
        }
        let Some(Type::Lines(lines)) = self.entity.field(name).map(|field| field.ty.clone()) else {
            diagnostics.push(
                Diagnostic::error(codes::FLOW_LOOP, format!("`{name}` holds no lines"))
                    .at(step.at("apply_to_each"), "this is one value")
                    .help("name a field of the type `lines`"),
            );
            return;
        };
        let outer = self.item.replace(lines);
        // There may be no line: what its steps decide is not known after it.
        self.way(step.list("do"), diagnostics);
        self.item = outer;
    }

    pub(super) fn not_in_a_loop(&self, step: &Group, key: &str, why: &str, diagnostics: &mut Vec<Diagnostic>) {
        diagnostics.push(
            Diagnostic::error(codes::FLOW_LOOP, format!("`{key}` cannot stand within `apply_to_each`"))
                .at(step.key_at(key), why)
                .help("put it before or after the loop, or into a child flow"),
        );
    }

    pub(super) fn parallel(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        if self.item.is_some() {
            self.not_in_a_loop(step, "parallel", "the branches of one line would meet those of the next", diagnostics);
        }
        let mut after = self.sure.clone();
        for entry in step.named("parallel") {
            let steps = if let Data::List(steps) = &entry.value.data { steps.as_slice() } else { &[] };
            after.extend(self.way(steps, diagnostics).unwrap_or_default());
        }
        after.sort();
        after.dedup();
        self.sure = after;
    }

    pub(super) fn scope(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let before = self.sure.clone();
        let good = self.way(step.list("steps"), diagnostics);
        self.named(step, "scope", Kind::Scope, diagnostics);
        let failed = self.way(step.list("if_failed"), diagnostics);
        let name = step.text("scope").map(str::to_owned);
        let good = good.map(|mut sure| {
            sure.extend(name);
            sure
        });
        self.sure = before;
        self.joined(vec![good, failed])
    }

    pub(super) fn child(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        let parts = self.key_parts(step, diagnostics);
        self.named(step, "as", Kind::Child, diagnostics);
        let Some(name) = step.text("child_flow") else { return };
        let Some(child) = self.seen.draft.integrations.iter().find(|group| group.text("integration") == Some(name))
        else {
            return;
        };
        if child.text("pattern") != Some("flow") {
            diagnostics.push(
                Diagnostic::error(codes::CHILD_FLOW, format!("`{name}` is no flow"))
                    .at(step.at("child_flow"), "only a flow can be a child")
                    .help("name an integration with `pattern: flow`"),
            );
            return;
        }
        let about = child.group("trigger").and_then(|trigger| trigger.text("entity"));
        let Some(entity) = about.and_then(|name| self.seen.entity(name)) else { return };
        let of = format!("`{name}` is about `{}`, by {}", entity.name, entity.key.join(", "));
        self.key_fits(step, parts, entity, of, diagnostics);
    }

    /// Something with an outcome that later steps read by name.
    pub(super) fn named(&mut self, step: &Group, key: &str, kind: Kind, diagnostics: &mut Vec<Diagnostic>) {
        let Some(name) = step.text(key) else { return };
        let at = step.at(key);
        if self.answers.iter().any(|known| known.name == name) {
            let what = if kind == Kind::Approval { "decisions" } else { "steps" };
            diagnostics.push(
                Diagnostic::error(codes::DEFINED_TWICE, format!("two {what} have the name `{name}`"))
                    .at(at, "here again")
                    .help("give this one another name: later steps read its outcome by it"),
            );
        } else if self.entity.field(name).is_some() || name == "item" || name == "form" {
            let what = if kind == Kind::Approval { "a decision" } else { "a step" };
            diagnostics.push(
                Diagnostic::error(codes::DEFINED_TWICE, format!("{what} has the name of the field `{name}`"))
                    .at(at, "formulas could not tell them apart")
                    .help(format!("give {} another name", what.replacen("a ", "the ", 1))),
            );
            return;
        }
        let fields = match kind {
            Kind::Approval => {
                crate::build::form(step).iter().map(|field| (field.name.clone(), form::fx(field))).collect()
            }
            Kind::Read => self.read_there(step),
            Kind::Scope | Kind::Child | Kind::Wait => Vec::new(),
        };
        let fields = fields.into_iter().map(|(field, ty)| (format!("{name}.{field}"), ty)).collect();
        self.answers.push(Answer { name: name.to_owned(), kind, at, fields });
        self.sure.push(name.to_owned());
    }

    /// The fields of a record that a step reads, as far as its system gives them.
    fn read_there(&self, step: &Group) -> Vec<(String, Fx)> {
        let Some(entity) = step.text("entity").and_then(|name| self.seen.entity(name)) else { return Vec::new() };
        let system = step.text("from").and_then(|name| self.seen.project.system(name));
        let Some(held) = system.and_then(|system| system.entity(&entity.name)) else { return Vec::new() };
        let is_read = |field: &&record::EntityField| held.read.iter().any(|rule| rule.target == *field.name);
        let plain = entity.fields.iter().filter(|field| crate::model::read_by_a_step(&field.ty)).filter(is_read);
        plain.map(|field| (field.name.to_string(), mapping::formula_type(&field.name, &field.ty))).collect()
    }

    /// What the outcome of something is compared with is one of its outcomes.
    pub(super) fn compared(&self, formula: &crate::decoded::Formula, diagnostics: &mut Vec<Diagnostic>) {
        for answer in &self.answers {
            let outcome = format!("{}.outcome", answer.name);
            let Some((_, rest)) = formula.text.split_once(&outcome) else { continue };
            let rest = rest.trim_start().trim_start_matches("<>").trim_start_matches('=').trim_start();
            let Some(text) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
            let outcomes = answer.kind.outcomes();
            if !outcomes.contains(&text) {
                diagnostics.push(
                    Diagnostic::error(codes::FLOW_OUTCOME, format!("`{outcome}` is never `{text}`"))
                        .at(formula.at, "compared here")
                        .help(format!("it is `{}` or `{}`", outcomes[0], outcomes[1])),
                );
            }
        }
    }

    /// The outcome of each approval is read by a step: else the flow would pass it whatever people say.
    pub(super) fn changes_something(&self, steps: &[Value], diagnostics: &mut Vec<Diagnostic>) {
        if !self.answers_known {
            return;
        }
        let mut all = Vec::new();
        each_step(steps, &mut all);
        for answer in self.answers.iter().filter(|answer| answer.kind == Kind::Approval) {
            let outcome = format!("{}.outcome", answer.name);
            if all.iter().any(|step| formulas_of(step).iter().any(|text| text.contains(&outcome))) {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(codes::FLOW_UNDECIDED, format!("the answer to `{}` changes nothing", answer.name))
                    .at(answer.at, "no step reads its outcome: the flow goes on whatever people say")
                    .help(format!("ask for it: `- if: ={outcome} = \"approved\"`, or keep it: `- {{ set: {{ outcome: ={outcome} }} }}`")),
            );
        }
    }
}

/// Every formula of a step itself.
fn formulas_of(step: &Group) -> Vec<&str> {
    fn of<'d>(data: &'d Data, found: &mut Vec<&'d str>) {
        match data {
            Data::Formula(formula) => found.push(&formula.text),
            Data::Group(group) => group.entries.iter().for_each(|entry| of(&entry.value.data, found)),
            Data::Named(entries) => entries.iter().for_each(|entry| of(&entry.value.data, found)),
            // Lists of steps are looked at by themselves.
            Data::List(values) => {
                values.iter().filter(|value| value.group().is_none()).for_each(|value| of(&value.data, found))
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    step.entries.iter().for_each(|entry| of(&entry.value.data, &mut found));
    found
}
