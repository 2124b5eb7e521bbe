//! Integrations: what fits together, and the designs that are refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use record::{Entity, Type};

use crate::codes;
use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::files::{Files, Span};
use crate::impact;
use crate::load::{Draft, LoadOptions};
use crate::model::{Project, System, SystemEntity};
use crate::rules::mappings;
use crate::suggest;

mod flow;
pub(crate) mod formulas;
mod shown;

pub(crate) fn check(
    draft: &Draft,
    project: &Project,
    files: &Files,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let whole = super::whole(draft);
    for group in &draft.integrations {
        let seen = Seen { draft, project, files, options, whole: &whole, group };
        match group.text("pattern") {
            Some("batch") => seen.batch(diagnostics),
            Some("event") => seen.event(diagnostics),
            Some("virtual") => seen.virtual_(diagnostics),
            Some("flow") => flow::check(&seen, diagnostics),
            _ => {}
        }
    }
}

/// One integration and what it may look at.
pub(super) struct Seen<'a> {
    pub draft: &'a Draft,
    pub project: &'a Project,
    pub files: &'a Files,
    options: &'a LoadOptions<'a>,
    whole: &'a BTreeSet<&'a str>,
    pub group: &'a Group,
}

impl<'a> Seen<'a> {
    /// An entity of which nothing is broken, nor of what it refers to.
    pub(super) fn entity(&self, name: &str) -> Option<&'a Arc<Entity>> {
        let entity = self.project.entity(name).filter(|_| self.whole.contains(name))?;
        let is_known = |name: &String| self.whole.contains(name.as_str());
        let knows = |ty: &Type| match ty {
            Type::Reference { to } => to.iter().all(is_known),
            _ => true,
        };
        entity.fields.iter().all(|field| knows(&field.ty)).then_some(entity)
    }

    fn batch(&self, diagnostics: &mut Vec<Diagnostic>) {
        let group = self.group;
        one_of(group, &["entity", "entities"], "what it moves", "entity: customer", diagnostics);
        let two_way = group.says("between");
        if two_way {
            for key in ["from", "to"] {
                if group.says(key) {
                    diagnostics.push(
                        Diagnostic::error(codes::KEYS_TOGETHER, format!("`{key}` and `between` do not go together"))
                            .at(group.key_at(key), "one way")
                            .also(group.key_at("between"), "both ways")
                            .help(format!("remove `{key}`, or use `from:` and `to:` without `between:`")),
                    );
                }
            }
        } else {
            for (key, other, example) in [("from", "to", "finance"), ("to", "from", "dynamics")] {
                if !group.says(key) {
                    diagnostics.push(
                        Diagnostic::error(codes::MISSING_KEY, format!("`{key}` is missing"))
                            .at(
                                if group.says(other) { group.key_at(other) } else { group.at },
                                "a batch goes from a system to a system",
                            )
                            .help(format!(
                                "add it, for example `{key}: {example}`; or both ways, `between: [finance, dynamics]`"
                            )),
                    );
                }
            }
            for key in ["creates_in", "conflict"] {
                if group.says(key) {
                    diagnostics.push(
                        Diagnostic::error(codes::KEYS_TOGETHER, format!("`{key}` belongs to a two-way integration"))
                            .at(group.key_at(key), "this one goes one way")
                            .help(format!("remove `{key}`, or write `between:` instead of `from:` and `to:`")),
                    );
                }
            }
        }
        if let Some(formula) = group.group("approve").and_then(|approve| approve.formula("when")) {
            formulas::check(formula, &formulas::changes(), powerfx::Type::Boolean, self, diagnostics);
        }
        let mut entities = group.texts("entities");
        entities.extend(group.texts("entity"));
        if two_way && (group.says("from") || group.says("to")) {
            return;
        }
        if two_way {
            self.two_way(&entities, diagnostics);
            return;
        }
        if !self.not_to_itself(diagnostics) {
            return;
        }
        for (entity, _) in &entities {
            for (from, at) in group.texts("from") {
                self.reads(from, entity, at, diagnostics);
            }
            for (to, at) in group.texts("to") {
                self.writes(to, entity, at, diagnostics);
                self.mastered(to, entity, at, diagnostics);
            }
        }
        self.deletes(diagnostics);
    }

    fn two_way(&self, entities: &[(&str, Span)], diagnostics: &mut Vec<Diagnostic>) {
        let group = self.group;
        if !matches!(group.get("between"), Some(Data::List(values)) if values.len() == 2 || group.is_broken()) {
            diagnostics.push(
                Diagnostic::error(codes::BAD_VALUE, "`between` names two systems")
                    .at(group.at("between"), "not two")
                    .help("write it like `between: [finance, dynamics]`"),
            );
            return;
        }
        let between = group.texts("between");
        for (name, at) in group.texts("creates_in") {
            if !between.iter().any(|(side, _)| *side == name) && self.draft.names.systems.contains(name) {
                diagnostics.push(
                    Diagnostic::error(codes::KEYS_TOGETHER, format!("`{name}` is no side of this integration"))
                        .at(at, "not in `between`")
                        .also(group.at("between"), "the two sides")
                        .help("name one or both of the two sides"),
                );
            }
        }
        for (entity, at) in entities {
            self.lines_both_ways(entity, *at, diagnostics);
            for (side, at) in &between {
                if self.reads(side, entity, *at, diagnostics) {
                    self.writes(side, entity, *at, diagnostics);
                }
            }
        }
    }

    /// Lines have no field by field: whoever adds one on the left and removes one on the right has said two things.
    fn lines_both_ways(&self, name: &str, at: Span, diagnostics: &mut Vec<Diagnostic>) {
        let Some(entity) = self.entity(name) else { return };
        let Some(field) = entity.fields.iter().find(|field| matches!(field.ty, Type::Lines(_))) else { return };
        diagnostics.push(
            Diagnostic::error(codes::LINES_BOTH_WAYS, format!("the lines of `{name}` cannot go both ways"))
                .at(at, format!("its `{}` is a list of lines", field.name))
                .note("two people who change the lines of one document in two systems leave nothing to merge: one list or the other would be lost")
                .help(format!(
                    "let one side own the documents: `from:` and `to:` for `{name}`; for what the other side adds to them, a second \
                     entity of the same tables without `{}`, with `between:`",
                    field.name
                )),
        );
    }

    fn event(&self, diagnostics: &mut Vec<Diagnostic>) {
        let group = self.group;
        if !group.is_broken() && !group.says("because") {
            diagnostics.push(
                Diagnostic::error(codes::NO_BECAUSE, "this event integration does not say why it cannot be a batch")
                    .at(group.at("pattern"), "`because:` is missing")
                    .note("a batch every few minutes needs no webhook, no order and no dead letters of its own, and runs again by itself")
                    .help("add `because:` with what goes wrong when this comes a quarter of an hour late, or write `pattern: batch`"),
            );
        }
        if group.says("sweep")
            && matches!(group.get("sweep"), Some(Data::Every(None)))
            && !group.says("without_sweep_because")
        {
            diagnostics.push(
                Diagnostic::error(codes::NO_SWEEP, "nothing looks for events that were dropped")
                    .at(group.at("sweep"), "a webhook that got lost would never be noticed")
                    .help("remove `sweep: off`, or add `without_sweep_because:` with the reason"),
            );
        }
        if let (Some(Data::Duration(retry)), Some(at)) =
            (group.group("retry").and_then(|retry| retry.get("for")), group.group("retry").map(|retry| retry.at("for")))
            && *retry > std::time::Duration::from_secs(7 * 86_400)
        {
            diagnostics.push(
                Diagnostic::error(codes::ENDLESS_RETRY, "a retry of more than a week is a retry without an end")
                    .at(at, "nobody would hear of it for so long")
                    .help("write at most `7 days`: a dead letter is not lost, it waits for a person"),
            );
        }
        if !self.not_to_itself(diagnostics) {
            return;
        }
        let Some(entity) = group.text("entity") else { return };
        if let (Some(trigger), Some(from)) = (group.group("trigger"), group.text("from")) {
            self.watched(trigger, from, entity, diagnostics);
        }
        for (from, at) in group.texts("from") {
            self.reads(from, entity, at, diagnostics);
            self.goes_home(from, entity, diagnostics);
        }
        self.is_returned(entity, diagnostics);
        for (to, at) in group.texts("to") {
            self.writes(to, entity, at, diagnostics);
            self.mastered(to, entity, at, diagnostics);
        }
        if let Some(entity) = self.entity(entity) {
            let mut fields = group.texts("order_by");
            fields.extend(group.texts("write_back"));
            for (field, at) in fields {
                field_exists(entity, field, at, diagnostics);
            }
            if let Some(formula) = group.group("trigger").and_then(|trigger| trigger.formula("if")) {
                let scope = formulas::scope_of(entity, self.project, &[]);
                formulas::check(formula, &scope, powerfx::Type::Boolean, self, diagnostics);
            }
        }
    }

    /// The columns that a trigger watches are there.
    fn watched(&self, trigger: &Group, system: &str, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(found) = self.project.system(system).filter(|_| !self.entity_is_broken(system, entity)) {
            if found.entity(entity).is_some_and(|held| held.virtual_table.is_some()) {
                shown::tells_nobody(self, trigger, system, entity, diagnostics);
                return;
            }
            let catalog = self.options.catalogs.get(system);
            mappings::watched(found, entity, &trigger.texts("columns"), catalog, diagnostics);
            self.told_of_nothing(trigger, found, entity, diagnostics);
        }
    }

    /// A system that sends nothing and cannot be asked what changed starts nothing; a flow may be started otherwise too.
    fn told_of_nothing(&self, trigger: &Group, system: &System, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
        let Some(held) = system.entity(entity) else { return };
        let can = system.kind.entity.iter().any(|field| field.name == "watermark");
        if !can || held.watermark.is_some() || system.webhooks.is_some() || trigger.texts("rows").is_empty() {
            return;
        }
        let name = &system.name;
        let title = format!("nothing says which rows of `{entity}` in `{name}` are new or changed");
        let otherwise = trigger.says("schedule") || trigger.yes_no("call") || trigger.says("form");
        let diagnostic = match self.group.text("pattern") {
            Some("flow") if !otherwise => Diagnostic::error,
            _ => Diagnostic::warning,
        };
        diagnostics.push(
            diagnostic(codes::MISSING_KEY, title)
                .at(trigger.at("rows"), "nobody would hear of them")
                .note(format!("`{name}` has no `webhooks:`, so it sends nothing; and `{entity}` has no `watermark:` there, so it cannot be asked what changed"))
                .help(format!("add `watermark: {{ column: changed_at }}` to `{entity}` in systems/{name}.yaml, with a column that grows with each change; a number that counts up finds new rows")),
        );
    }

    fn virtual_(&self, diagnostics: &mut Vec<Diagnostic>) {
        let group = self.group;
        if !self.not_to_itself(diagnostics) {
            return;
        }
        let Some(entity) = group.text("entity") else { return };
        for (from, at) in group.texts("from") {
            self.reads(from, entity, at, diagnostics);
        }
        for (to, at) in group.texts("to") {
            let Some((system, held)) = self.held(to, entity, at, diagnostics) else { continue };
            let known = system.kind.entity.iter().any(|field| field.name == "virtual_table");
            if held.virtual_table.is_none() && !self.entity_is_broken(to, entity) {
                let help = if known {
                    format!("add `virtual_table: new_{entity}` to `{entity}` in systems/{to}.yaml")
                } else {
                    "only Dataverse shows virtual tables: name a system of the kind dataverse".to_owned()
                };
                diagnostics.push(
                    Diagnostic::error(codes::NO_MAPPING, format!("`{to}` has no virtual table for `{entity}`"))
                        .at(at, "nothing would show it")
                        .help(help),
                );
            }
        }
        shown::own_name(self, diagnostics);
        shown::own_place(self, diagnostics);
        shown::exposed(self, entity, diagnostics);
        shown::key(self, entity, diagnostics);
        shown::beside(self, entity, diagnostics);
    }

    fn not_to_itself(&self, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let before = diagnostics.len();
        let Some(from) = self.group.text("from") else { return true };
        for (to, at) in self.group.texts("to") {
            if from == to {
                diagnostics.push(
                    Diagnostic::error(codes::SYSTEM_TO_SYSTEM, format!("`{from}` is mapped to itself"))
                        .at(at, "the destination")
                        .also(self.group.at("from"), "the source")
                        .help("name another system; where a person decides about it, make it a flow"),
                );
            }
        }
        diagnostics.len() == before
    }

    fn deletes(&self, diagnostics: &mut Vec<Diagnostic>) {
        let group = self.group;
        for key in ["max_deletes", "returns_active"] {
            if group.says(key) && group.text("deletes") == Some("ignore") {
                diagnostics.push(
                    Diagnostic::warning(codes::KEYS_TOGETHER, format!("`{key}` has no effect"))
                        .at(group.key_at(key), "`deletes` is `ignore` here")
                        .help(format!("write `deletes: deactivate`, or remove `{key}`")),
                );
            }
        }
    }

    pub(super) fn entity_is_broken(&self, system: &str, entity: &str) -> bool {
        let group = self.draft.systems.iter().find(|(group, _)| group.text("system") == Some(system));
        group.is_none_or(|(group, _)| {
            group.named("entities").iter().any(|entry| &*entry.name == entity && entry.value.is_broken())
        })
    }

    /// How a system holds an entity. *Errors*: reported, unless something about it is broken or unknown anyway.
    pub(super) fn held(
        &self,
        system: &str,
        entity: &str,
        at: Span,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(&'a System, &'a SystemEntity)> {
        let found = self.project.system(system)?;
        let (group, _) = self.draft.systems.iter().find(|(group, _)| group.text("system") == Some(system))?;
        if let Some(held) = found.entity(entity) {
            return Some((found, held));
        }
        // An entity that does not exist may be this one, misspelt.
        let known = |entry: &Entry| &*entry.name != entity && self.draft.names.entities.contains(&*entry.name);
        let readable = matches!(group.get("entities"), Some(Data::Named(entries)) if entries.iter().all(known));
        if readable && self.draft.names.entities.contains(entity) {
            diagnostics.push(
                Diagnostic::error(codes::NO_MAPPING, format!("`{system}` holds no `{entity}`"))
                    .at(at, format!("systems/{system}.yaml has no mapping for this entity"))
                    .help(format!(
                        "add `{entity}:` under `entities:` in systems/{system}.yaml, or name another system"
                    )),
            );
        }
        None
    }

    /// The source can give the entity.
    fn reads(&self, system: &str, entity: &str, at: Span, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let Some((found, held)) = self.held(system, entity, at, diagnostics) else { return false };
        let before = diagnostics.len();
        if held.virtual_table.is_some() && held.read.is_empty() {
            shown::only_shown(self, system, entity, at, "read here", diagnostics);
        } else if !found.kind.reads {
            diagnostics.push(
                Diagnostic::error(
                    codes::NO_MAPPING,
                    format!("a system of the kind {} cannot be read", found.kind.name),
                )
                .at(at, "read here")
                .help("name another system as the source"),
            );
        } else if held.read.is_empty() && !self.entity_is_broken(system, entity) {
            diagnostics.push(
                Diagnostic::error(codes::NO_MAPPING, format!("`{system}` does not say how `{entity}` is read"))
                    .at(at, format!("`{entity}` has no `read:` or `both:` in systems/{system}.yaml"))
                    .help(format!("add `read:` to `{entity}` in systems/{system}.yaml")),
            );
        }
        diagnostics.len() == before
    }

    /// The destination can take the entity, by a key, and a write that is repeated does no harm.
    fn writes(&self, system: &str, entity: &str, at: Span, diagnostics: &mut Vec<Diagnostic>) {
        let Some((found, held)) = self.held(system, entity, at, diagnostics) else { return };
        if self.entity_is_broken(system, entity) {
            return;
        }
        if held.virtual_table.is_some() {
            diagnostics.push(
                Diagnostic::error(codes::VIRTUAL_WRITE, format!("`{entity}` is a virtual table in `{system}`"))
                    .at(at, "written here")
                    .note("a virtual table shows what another system holds: it has no rows of its own")
                    .help(
                        "write to the system that holds the rows, or give `dynamics` a `table:` of its own for them"
                            .replace("dynamics", system),
                    ),
            );
            return;
        }
        if !found.kind.writes {
            diagnostics.push(
                Diagnostic::error(
                    codes::NO_MAPPING,
                    format!("a system of the kind {} cannot be written", found.kind.name),
                )
                .at(at, "written here")
                .help("name another system as the destination"),
            );
            return;
        }
        if held.write.is_empty() {
            diagnostics.push(
                Diagnostic::error(codes::NO_MAPPING, format!("`{system}` does not say how `{entity}` is written"))
                    .at(at, format!("`{entity}` has no `write:` or `both:` in systems/{system}.yaml"))
                    .help(format!("add `write:` to `{entity}` in systems/{system}.yaml")),
            );
            return;
        }
        let has_tables = found.kind.entity.iter().any(|field| field.name == "table");
        if has_tables && held.alternate_key.is_empty() && self.key_is_read(held, entity) {
            diagnostics.push(
                Diagnostic::error(
                    codes::NO_TARGET_KEY,
                    format!("rows of `{entity}` would be written to `{system}` without a key"),
                )
                .at(at, format!("`{entity}` has no `alternate_key:` in systems/{system}.yaml"))
                .note("without a key a second run would create every row again")
                .help(format!(
                    "add `alternate_key:` to `{entity}` in systems/{system}.yaml, with the column that names a row"
                )),
            );
        }
        let options = &held.options;
        if options.text("create").is_some()
            && options.text("exists").is_none()
            && options.text("idempotency_key").is_none()
        {
            let text = options.text("create").unwrap_or_default();
            if text.trim_start().starts_with("POST") {
                diagnostics.push(
                    Diagnostic::error(
                        codes::UNREPEATABLE,
                        format!("`{system}` could create an order twice")
                            .replace("an order", &format!("one `{entity}`")),
                    )
                    .at(at, "an answer that gets lost leaves the hub not knowing whether the row is there")
                    .help(format!(
                        "add `exists: GET …` (or `idempotency_key:`) to `{entity}` in systems/{system}.yaml"
                    )),
                );
            }
        }
    }

    /// Nothing about the key was reported in the system's own file.
    fn key_is_read(&self, held: &SystemEntity, entity: &str) -> bool {
        self.entity(entity).is_some_and(|entity| {
            held.read.is_empty() || entity.key.iter().all(|key| held.read.iter().any(|rule| rule.target == *key))
        })
    }

    /// A one-way sync does not write what its destination masters.
    fn mastered(&self, system: &str, entity: &str, at: Span, diagnostics: &mut Vec<Diagnostic>) {
        let Some(found) = self.entity(entity) else { return };
        let Some((group, _)) = self.draft.systems.iter().find(|(group, _)| group.text("system") == Some(system)) else {
            return;
        };
        let Some(held) =
            group.named("entities").iter().find(|entry| &*entry.name == entity).and_then(|entry| entry.value.group())
        else {
            return;
        };
        let Some(rules) = held.rules("write") else { return };
        for rule in &rules.write {
            let (mapping::Expr::Source(field) | mapping::Expr::Choice { source: field, .. }) = &rule.rule.expr else {
                continue;
            };
            if found.field(field).is_some_and(|field| field.master.as_deref() == Some(system)) {
                diagnostics.push(
                    Diagnostic::error(codes::MASTERED_FIELD, format!("a sync would write `{field}` into `{system}`, which masters it"))
                        .at(rule.target, "written here")
                        .also(at, "by this integration")
                        .note(format!("`master: {system}` in the entity `{entity}` says that the value comes from there"))
                        .help("remove the line, or move it to `both:` if it is read there; a flow may write it, since a person decided"),
                );
            }
        }
    }

    /// What is written back comes from somewhere.
    fn is_returned(&self, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
        let found = |(to, _): (&'a str, Span)| {
            let system = self.project.system(to).filter(|_| !self.entity_is_broken(to, entity))?;
            system.entity(entity).map(|held| (system, held))
        };
        let named = self.group.texts("to");
        let to: Vec<_> = named.iter().cloned().filter_map(found).collect();
        if to.is_empty() || to.len() < named.len() {
            return;
        }
        let is_field = |field: &str| self.entity(entity).is_some_and(|entity| entity.field(field).is_some());
        for (field, at) in self.group.texts("write_back").into_iter().filter(|(field, _)| is_field(field)) {
            if to.iter().any(|(_, held)| !held.returned(&[field.to_owned()]).is_empty()) {
                continue;
            }
            let can = |(system, _): &&(&System, &SystemEntity)| system.kind.entity.iter().any(|f| f.name == "returns");
            let help = match to.iter().find(can) {
                Some((system, _)) => format!(
                    "say in systems/{}.yaml where its answer has it, for example `returns: {{ {field}: id }}`",
                    system.name
                ),
                None => {
                    format!("remove `{field}` here: systems of this kind are asked for nothing that they give a row")
                }
            };
            diagnostics.push(
                Diagnostic::error(
                    codes::REQUIRED_NOT_MAPPED,
                    format!("`{field}` cannot be written back: no destination returns it"),
                )
                .at(
                    at,
                    format!("not under `returns:` of `{entity}` in {}", suggest::list(named.iter().map(|(to, _)| *to))),
                )
                .help(help),
            );
        }
    }

    /// What the destination returned can be written where the event came from.
    fn goes_home(&self, system: &str, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
        let back = self.group.texts("write_back");
        let (Some(found), Some(entity_found)) = (self.project.system(system), self.entity(entity)) else {
            return;
        };
        let Some(held) = found.entity(entity).filter(|_| !self.entity_is_broken(system, entity)) else { return };
        let strange = held
            .write
            .iter()
            .any(|rule| matches!(&rule.expr, mapping::Expr::Source(field) if entity_found.field(field).is_none()));
        for (field, at) in back.into_iter().filter(|_| !strange) {
            let written = held.write.iter().any(|rule| impact::uses(&rule.expr, field));
            if entity_found.field(field).is_some() && !written {
                diagnostics.push(
                    Diagnostic::error(
                        codes::REQUIRED_NOT_MAPPED,
                        format!("`{field}` cannot be written back: `{system}` has no column for it"),
                    )
                    .at(at, format!("no line under `write:` of `{entity}` in systems/{system}.yaml carries it"))
                    .help(format!("add a line there, for example `new_{field}: {field}`")),
                );
            }
        }
    }
}

pub(super) fn field_exists(entity: &Entity, field: &str, at: Span, diagnostics: &mut Vec<Diagnostic>) -> bool {
    if entity.field(field).is_some() {
        return true;
    }
    let fields = || entity.fields.iter().map(|field| &*field.name);
    diagnostics.push(
        Diagnostic::error(codes::NO_SUCH_FIELD, format!("the entity `{}` has no field `{field}`", entity.name))
            .at(at, format!("not a field of `{}`", entity.name))
            .note(format!("the fields are: {}", suggest::list(fields())))
            .maybe_help(suggest::did_you_mean(field, fields()))
            .or_help(format!("add it to entities/{}.yaml, or name another field", entity.name)),
    );
    false
}

/// Exactly one of some keys.
pub(super) fn one_of(group: &Group, keys: &[&str], what: &str, example: &str, diagnostics: &mut Vec<Diagnostic>) {
    if group.strange {
        return;
    }
    let said: Vec<&&str> = keys.iter().filter(|key| group.says(key)).collect();
    match said.as_slice() {
        [] => diagnostics.push(
            Diagnostic::error(
                codes::MISSING_KEY,
                format!(
                    "one of {} is missing",
                    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
                ),
            )
            .at(group.at, format!("{} says {what}", group.table))
            .help(format!("add one, for example `{example}`")),
        ),
        [_] => {}
        [first, second, ..] => diagnostics.push(
            Diagnostic::error(codes::KEYS_TOGETHER, format!("`{first}` and `{second}` do not go together"))
                .at(group.key_at(second), "the second one")
                .also(group.key_at(first), "the first one")
                .help("remove one of them"),
        ),
    }
}
