//! How systems hold entities: the rules of each mapping, compiled as a run would compile them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mapping::{At, Columns, Entities, LookupKeys, Problem, ReadMapping, ReadPlan, WriteMapping, WritePlan};
use record::{Catalog, Code, Entity, Schema, Type};

use crate::codes;
use crate::decoded::{Entry, Formula, Group, RuleAt, Rules};
use crate::diagnostic::Diagnostic;
use crate::files::{Files, Span};
use crate::load::{Draft, LoadOptions};
use crate::model::{Pattern, Project, System, SystemEntity};
use crate::rules::systems;
use crate::suggest;
use crate::yaml;

mod options;
mod values;

pub(crate) fn check(
    draft: &Draft,
    project: &Project,
    files: &Files,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let entities = project.entities_by_name();
    let whole = super::whole(draft);
    for ((group, kind), system) in draft.systems.iter().zip(&project.systems) {
        systems::dataverse_by_another_way(group, kind, draft, options, diagnostics);
        let lookups = system.lookup_keys(&entities);
        let mut found = Vec::new();
        for entry in group.named("entities") {
            let Some(held) = entry.value.group() else { continue };
            let Some(model) = system.entity(&entry.name) else { continue };
            systems::columns_are_declared(entry, held, kind, model, diagnostics);
            if !whole.contains(&*entry.name) {
                continue;
            }
            let Some(entity) = entities.get(&*entry.name) else { continue };
            let table =
                Table { entry, held, model, system, entity, project, entities: &entities, lookups: &lookups, files };
            systems::system_to_system(held, model, entity, draft, diagnostics);
            found.push((&*entry.name, entry.value.is_broken(), table.check(&options.catalogs, diagnostics)));
        }
        // Where a table's own key is not mapped, what refers to it cannot be followed: one mistake, not two.
        let keyless: BTreeSet<&str> = found
            .iter()
            .filter(|(_, broken, found)| {
                *broken || found.iter().any(|(code, _)| matches!(*code, codes::KEY_NOT_MAPPED | codes::NO_SUCH_FIELD))
            })
            .map(|(name, ..)| *name)
            .collect();
        let unread: BTreeSet<&str> = group
            .named("entities")
            .iter()
            .map(|entry| &*entry.name)
            .filter(|name| !found.iter().any(|(known, ..)| known == name))
            .collect();
        for (code, (refers_to, diagnostic)) in found.into_iter().flat_map(|(_, _, found)| found) {
            let follows = refers_to.as_deref().is_some_and(|name| {
                keyless.contains(name) || unread.contains(name) || !draft.names.entities.contains(name)
            });
            if code != codes::REFERENCE_NOT_MAPPED || !follows {
                diagnostics.push(diagnostic);
            }
        }
    }
}

/// The columns that a trigger watches, in the system where it happens.
pub(super) fn watched(
    system: &System,
    entity: &str,
    columns: &[(&str, Span)],
    catalog: Option<&Catalog>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(held) = system.entity(entity) else { return };
    let table = catalog.zip(held.table.as_ref()).and_then(|(catalog, name)| catalog.table(name));
    let known = match table {
        Some(table) => Columns::of_table(table),
        None if held.columns.is_empty() || held.columns.iter().any(|(_, ty)| *ty == Type::Unknown) => return,
        None => Columns::closed(&Schema::of(held.columns.iter().map(|(name, ty)| (name.as_str(), ty.clone())))),
    };
    for (name, at) in columns.iter().filter(|(name, _)| known.type_of(name).is_none()) {
        let field = held.read.iter().find(|rule| rule.target == *name).and_then(|rule| match &rule.expr {
            mapping::Expr::Source(column) | mapping::Expr::Choice { source: column, .. } => Some(column),
            _ => None,
        });
        diagnostics.push(
            Diagnostic::error(codes::NO_SUCH_COLUMN, format!("there is no column `{name}` to watch"))
                .at(*at, format!("not a column of `{}`", held.table.as_deref().unwrap_or(entity)))
                .note(format!("the columns are: {}", suggest::list(known.iter().map(|(name, _)| &**name))))
                .maybe_help(known.nearest(name).map(|near| format!("did you mean `{near}`?")))
                .maybe_help(field.map(|column| format!("`{name}` is the field: write its column, `{column}`")))
                .or_help("name columns of the system, not fields of the entity"),
        );
    }
}

/// Whether integrations write into rows that are there and make none: what an event brings home.
fn is_only_written_back(project: &Project, system: &str, entity: &str) -> bool {
    let mut comes_home = false;
    for integration in &project.integrations {
        match &integration.pattern {
            Pattern::Event(event) if event.entity == entity && event.from == system && !event.write_back.is_empty() => {
                comes_home = true;
            }
            Pattern::Virtual(_) => {}
            _ if integration.entities().contains(&entity) && integration.systems().contains(&system) => return false,
            _ => {}
        }
    }
    comes_home
}

/// One entity of one system.
struct Table<'a> {
    entry: &'a Entry,
    held: &'a Group,
    model: &'a SystemEntity,
    system: &'a System,
    entity: &'a Arc<Entity>,
    project: &'a Project,
    entities: &'a Entities,
    lookups: &'a LookupKeys,
    files: &'a Files,
}

impl Table<'_> {
    /// Reports what is wrong here, and gives back what may follow from another entity's mistake: by code, with the
    /// entity that it refers to.
    fn check(
        &self,
        catalogs: &BTreeMap<String, Catalog>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(Code, (Option<String>, Diagnostic))> {
        let catalog = catalogs.get(&self.system.name);
        let mut held_back = Vec::new();
        let rules = self.held.all_rules();
        let virtual_ = self.system.kind.entity.iter().any(|field| field.name == "virtual_table");
        if rules.read.is_empty()
            && rules.write.is_empty()
            && !self.held.is_broken()
            && self.model.virtual_table.is_none()
        {
            diagnostics.push(
                Diagnostic::error(codes::NO_MAPPING, format!("`{}` has no mapping here", self.entry.name))
                    .at(
                        self.entry.key,
                        if virtual_ {
                            "neither `read:`, `write:`, `both:` nor `virtual_table:`"
                        } else {
                            "neither `read:`, `write:` nor `both:`"
                        },
                    )
                    .help("add at least one of them, for example `read: { number: customer_no }`"),
            );
            return held_back;
        }
        if self.system.kind.has_catalog
            && self.model.table.is_none()
            && self.model.query.is_none()
            && self.model.virtual_table.is_none()
            && !self.held.is_broken()
        {
            let knows_queries = self.system.kind.entity.iter().any(|field| field.name == "query");
            let label = if knows_queries { "neither `table:` nor `query:`" } else { "no `table:`" };
            diagnostics.push(
                Diagnostic::error(codes::MISSING_KEY, format!("nobody said in which table `{}` is", self.entry.name))
                    .at(self.entry.key, label)
                    .help("name it, for example `table: customers`"),
            );
        }
        repeated(&rules.read, "field", diagnostics);
        repeated(&rules.write, "column", diagnostics);
        let Some(columns) = self.columns(catalog, diagnostics) else { return held_back };
        self.constants(&rules, &columns, diagnostics);
        self.choices(&rules.read, true, diagnostics);
        self.choices(&rules.write, false, diagnostics);
        self.copies(&rules, &columns, diagnostics);
        self.digits(&rules, &columns, catalogs, diagnostics);
        let mut found: Vec<(Problem, &[RuleAt], &'static str)> = Vec::new();
        if !rules.read.is_empty() {
            let plan = ReadPlan {
                entity: self.entity,
                rules: &self.model.read,
                filter: self.model.where_.as_deref(),
                columns: &columns,
                entities: self.entities,
                lookups: self.system.kind.keeps.lookups.then_some(self.lookups),
                zone: self.system.time_zone.clone(),
            };
            let problems = ReadMapping::compile(&plan).err().unwrap_or_default();
            found.extend(problems.into_iter().map(|problem| (problem, rules.read.as_slice(), "read")));
        }
        if !rules.write.is_empty() {
            let plan = WritePlan {
                entity: self.entity,
                rules: &self.model.write,
                alternate_key: &self.model.alternate_key,
                columns: &columns,
                keeps: self.system.kind.keeps,
                entities: self.entities,
                lookups: self.lookups,
                zone: self.system.time_zone.as_ref(),
            };
            let problems = WriteMapping::compile(&plan).err().unwrap_or_default();
            found.extend(problems.into_iter().map(|problem| (problem, rules.write.as_slice(), "write")));
        }
        let mut seen: BTreeSet<(Span, Code)> = BTreeSet::new();
        for (problem, at, way) in found {
            let of_a_choice = match &problem.at {
                At::Source(index, _) => at.get(*index).is_some_and(|at| !at.names.is_empty()),
                _ => false,
            };
            // A choice is checked name by name, and lines one by one, with the place of each.
            if matches!(problem.at, At::Lines(_))
                || (problem.at == At::Mapping && rules.broken)
                || (problem.code == codes::CHOICE && of_a_choice)
            {
                continue;
            }
            // The key's column is read, but into a field that does not exist: that is reported there.
            let misread = |rule: &RuleAt| {
                let column = matches!(&rule.rule.expr, mapping::Expr::Source(column) if self.model.alternate_key.contains(column));
                column && self.entity.field(&rule.rule.target).is_none()
            };
            let misspelt = |rule: &RuleAt| self.entity.field(&rule.rule.target).is_none();
            let follows = if way == "write" { rules.read.iter().any(misread) } else { rules.read.iter().any(misspelt) };
            if problem.code == codes::KEY_NOT_MAPPED && follows {
                continue;
            }
            let refers_to = self.refers_to(&problem, at);
            let diagnostic = self.place(problem, at, way, &columns);
            let repeats = matches!(diagnostic.code, codes::KEY_NOT_MAPPED | codes::REQUIRED_NOT_MAPPED);
            if let Some(span) = diagnostic.span
                && (seen.insert((span, diagnostic.code)) || repeats)
            {
                held_back.push((diagnostic.code, (refers_to, diagnostic)));
            }
        }
        self.required(&rules, diagnostics);
        if let Some(table) = catalog.zip(self.model.table.as_ref()).and_then(|(catalog, name)| catalog.table(name)) {
            self.live(table, &rules, diagnostics);
            self.unwritable(table, &rules, diagnostics);
            self.clock(table, diagnostics);
            self.says_when(table, diagnostics);
            self.options(table, &rules, diagnostics);
        }
        self.lines(&rules.read, catalog, diagnostics);
        self.written_lines(&rules.write, diagnostics);
        self.named_columns(&columns, diagnostics);
        held_back
    }

    /// The entity that the rule's field points to.
    fn refers_to(&self, problem: &Problem, rules: &[RuleAt]) -> Option<String> {
        let (At::Source(index, _) | At::Target(index)) = &problem.at else { return None };
        let rule = &rules.get(*index)?.rule;
        let field = self.entity.field(&rule.target).or_else(|| match &rule.expr {
            mapping::Expr::Source(source) => self.entity.field(source),
            _ => None,
        })?;
        match &field.ty {
            Type::Reference { to } => to.first().cloned(),
            _ => None,
        }
    }

    /// A record without a required field is rejected, so a mapping that never fills it rejects all of them.
    fn required(&self, rules: &Rules, diagnostics: &mut Vec<Diagnostic>) {
        if rules.read.is_empty() || rules.broken {
            return;
        }
        let strange = rules.read.iter().any(|at| self.entity.field(&at.rule.target).is_none());
        for field in self
            .entity
            .fields
            .iter()
            .filter(|field| field.required && !self.entity.key.contains(&field.name.to_string()))
        {
            if strange || rules.read.iter().any(|at| at.rule.target == *field.name) {
                continue;
            }
            let at = if self.held.says("read") { self.held.key_at("read") } else { self.held.key_at("both") };
            diagnostics.push(
                Diagnostic::error(
                    codes::REQUIRED_NOT_MAPPED,
                    format!("nothing fills `{}`, which is required", field.name),
                )
                .at(at, "not in here")
                .note("a record without a required field is rejected: every row would be")
                .help(format!("add `{}:` with a column or a formula, or take `required` from the field", field.name)),
            );
        }
    }

    /// What to do about a key, with the command where there is one for this kind.
    fn or_make_it(&self, what: &str, how: &str) -> String {
        match self.system.kind.name {
            "dataverse" => format!("{what}; {how}: ironbridge dataverse keys {}", self.system.name),
            _ => what.to_owned(),
        }
    }

    /// A watermark that a clock on the wall shows says when only together with the zone of that clock.
    fn clock(&self, table: &record::catalog::Table, diagnostics: &mut Vec<Diagnostic>) {
        let Some(watermark) = self.model.watermark.as_ref().filter(|_| self.system.time_zone.is_none()) else { return };
        let (column, system) = (&watermark.column, &self.system.name);
        let title = format!("`{column}` is a time without a zone, and `{system}` does not say which one is meant");
        let is_told = diagnostics.iter().any(|found| found.title == title);
        if is_told || table.type_of(column) != Some(&Type::LocalDateTime) {
            return;
        }
        let at = self.held.group("watermark").map_or(self.entry.key, |group| group.at("column"));
        diagnostics.push(
            Diagnostic::warning(codes::TYPE, title)
                .at(at, "taken for a time in UTC")
                .note("where it is none, what changes in the hour that clocks repeat in autumn may never be read")
                .help(format!("add `time_zone:` to systems/{system}.yaml, for example `time_zone: Europe/London`")),
        );
    }

    /// By a text that is no time nobody can tell what changed: what sorts before the last one is never read. SQLite keeps
    /// times as texts.
    fn says_when(&self, table: &record::catalog::Table, diagnostics: &mut Vec<Diagnostic>) {
        let Some(watermark) = self.model.watermark.as_ref().filter(|_| self.system.kind.name != "sqlite") else {
            return;
        };
        let column = &watermark.column;
        let title = format!("the watermark `{column}` is a text");
        let is_text = matches!(table.type_of(column), Some(Type::Text { .. } | Type::Multiline { .. }));
        if !is_text || diagnostics.iter().any(|found| found.title == title) {
            return;
        }
        let at = self.held.group("watermark").map_or(self.entry.key, |group| group.at("column"));
        diagnostics.push(
            Diagnostic::warning(codes::TYPE, title)
                .at(at, "rows that sort before the last one are never read")
                .help("name a column with the time of the last change, or a number that grows with each change; a text does only where it is such a time, written so that it sorts"),
        );
    }

    /// Columns that the system fills by itself: what is sent there is refused, or dropped without a word. By those of the key
    /// rows may still be found; of a view the system does not always know.
    fn unwritable(&self, table: &record::catalog::Table, rules: &Rules, diagnostics: &mut Vec<Diagnostic>) {
        if !table.columns.iter().any(|column| column.writable) {
            return;
        }
        for at in rules.write.iter().filter(|at| !self.model.alternate_key.contains(&at.rule.target)) {
            let column = &at.rule.target;
            if table.column(column).is_none_or(|column| column.writable) {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(codes::TYPE, format!("nothing can be written into `{column}` of `{}`", table.name))
                    .at(at.target, "the system fills it by itself")
                    .note("it is computed, counted up, or kept by the system")
                    .help("remove the line, or write the columns that it is made of"),
            );
        }
    }

    /// What the live table needs so that rows can be written: its key, and its required columns.
    fn live(&self, table: &record::catalog::Table, rules: &Rules, diagnostics: &mut Vec<Diagnostic>) {
        let key = &self.model.alternate_key;
        if rules.write.is_empty() || key.is_empty() {
            return;
        }
        let same = |columns: &[String]| columns.len() == key.len() && key.iter().all(|column| columns.contains(column));
        let at = self.held.at("alternate_key");
        let has_columns = key.iter().all(|column| table.column(column).is_some());
        match table.keys.iter().find(|found| same(&found.columns)) {
            Some(found) if found.active => {}
            Some(_) => diagnostics.push(
                Diagnostic::error(codes::NO_TARGET_KEY, format!("the alternate key of `{}` is not active", table.name))
                    .at(at, "the live system has it and cannot use it yet")
                    .note("a key is built in the background, and fails where two rows have one value")
                    .help(
                        self.or_make_it("wait until it is active, or remove the rows that repeat a value", "try again"),
                    ),
            ),
            None if has_columns => diagnostics.push(
                Diagnostic::error(
                    codes::NO_TARGET_KEY,
                    format!("`{}` has no alternate key on {}", table.name, key.join(", ")),
                )
                .at(at, "the live system has no such key")
                .help(self.or_make_it("create the key in the system, or name one that it has", "make it")),
            ),
            None => {}
        }
        let required = table.columns.iter().filter(|column| column.required && column.writable);
        for column in required {
            let name = &*column.column.name;
            if rules.broken
                || rules.write.iter().any(|at| at.rule.target == name)
                || key.iter().any(|part| part == name)
                || is_only_written_back(self.project, &self.system.name, &self.entry.name)
            {
                continue;
            }
            let at = if self.held.says("write") { self.held.key_at("write") } else { self.held.key_at("both") };
            diagnostics.push(
                Diagnostic::error(
                    codes::REQUIRED_NOT_MAPPED,
                    format!("nothing fills the column `{name}`, which `{}` requires", table.name),
                )
                .at(at, "not in here")
                .help(format!("add `{name}:` with a field or a formula")),
            );
        }
    }

    /// What is known of the columns: the live catalogue, else what is declared, else nothing.
    fn columns(&self, catalog: Option<&Catalog>, diagnostics: &mut Vec<Diagnostic>) -> Option<Columns> {
        if let (Some(catalog), Some(table)) = (catalog, &self.model.table) {
            let Some(found) = catalog.table(table) else {
                let tables = || catalog.tables.iter().map(|table| table.name.as_str());
                diagnostics.push(
                    Diagnostic::error(codes::NO_SUCH_COLUMN, format!("`{}` has no table `{table}`", self.system.name))
                        .at(self.held.at("table"), "the live system does not have it, or hides it from this user")
                        .maybe_help(suggest::did_you_mean(table, tables()))
                        .or_help("correct the name, or let the user that the hub has there see the table"),
                );
                return None;
            };
            return Some(Columns::of_table(found));
        }
        let broken = self.held.entry("columns").is_some_and(|entry| entry.value.is_broken());
        if broken || self.model.columns.is_empty() || self.model.columns.iter().any(|(_, ty)| *ty == Type::Unknown) {
            return Some(Columns::open());
        }
        let declared = self.model.columns.iter().map(|(name, ty)| (name.as_str(), ty.clone()));
        Some(Columns::closed(&Schema::of(declared)))
    }

    fn place(&self, problem: Problem, rules: &[RuleAt], way: &str, columns: &Columns) -> Diagnostic {
        let span = match &problem.at {
            At::Target(index) | At::Lines(index) => rules.get(*index).map(|at| at.target),
            At::Source(index, range) => rules.get(*index).map(|at| match (range, &at.scalar) {
                // The text of a formula starts behind its `=`.
                (Some(range), Some(scalar)) => {
                    yaml::locate(self.files.slice(at.source), at.source, scalar, range.start + 1, range.end + 1)
                }
                _ => at.source,
            }),
            At::Where(range) => {
                self.held.formula("where").map(|formula| within(self.files, formula, range.start, range.end))
            }
            At::Mapping => Some(if self.held.says(way) { self.held.key_at(way) } else { self.held.key_at("both") }),
        };
        let label = match problem.code {
            codes::NO_SUCH_FIELD => format!("not a field of `{}`", self.entity.name),
            codes::NO_SUCH_COLUMN => match &self.model.table {
                Some(table) => format!("not a column of `{table}`"),
                None => "not one of the declared columns".to_owned(),
            },
            codes::FORMULA => "here".to_owned(),
            codes::CHOICE => "this choice".to_owned(),
            codes::KEY_NOT_MAPPED | codes::REQUIRED_NOT_MAPPED => "not in here".to_owned(),
            codes::VOLATILE => "this changes with every run".to_owned(),
            _ => "does not fit".to_owned(),
        };
        let mut diagnostic = Diagnostic::error(problem.code, problem.message).at(span.unwrap_or(self.entry.key), label);
        diagnostic.help = problem.help;
        let known: Vec<&str> = match problem.code {
            codes::NO_SUCH_FIELD => self.entity.fields.iter().map(|field| &*field.name).collect(),
            codes::NO_SUCH_COLUMN => columns.iter().map(|(name, _)| &**name).collect(),
            _ => Vec::new(),
        };
        if !known.is_empty() {
            let what = if problem.code == codes::NO_SUCH_FIELD { "fields" } else { "columns" };
            diagnostic = diagnostic.note(format!("the {what} are: {}", suggest::list(known)));
        }
        diagnostic
    }

    /// The rules of lines, as if the lines were an entity of their own.
    fn lines(&self, rules: &[RuleAt], catalog: Option<&Catalog>, diagnostics: &mut Vec<Diagnostic>) {
        for at in rules.iter().filter(|at| !at.lines.is_empty()) {
            let Some(entity) = mapping::lines_entity(self.entity, &at.rule.target) else { continue };
            let inner: Vec<_> = at.lines.iter().map(|at| at.rule.clone()).collect();
            let of = match &at.rule.expr {
                mapping::Expr::Lines(lines) => Some(lines.of.as_str()),
                _ => None,
            };
            let table = catalog.zip(of).and_then(|(catalog, of)| catalog.table(of));
            let columns = table.map_or_else(Columns::open, Columns::of_table);
            let plan = ReadPlan {
                entity: &entity,
                rules: &inner,
                filter: None,
                columns: &columns,
                entities: self.entities,
                lookups: self.system.kind.keeps.lookups.then_some(self.lookups),
                zone: self.system.time_zone.clone(),
            };
            let table = Table { entity: &entity, ..*self };
            for problem in ReadMapping::compile(&plan).err().unwrap_or_default() {
                diagnostics.push(table.place(problem, &at.lines, "read", &columns));
            }
        }
    }

    fn written_lines(&self, rules: &[RuleAt], diagnostics: &mut Vec<Diagnostic>) {
        for at in rules.iter().filter(|at| !at.lines.is_empty()) {
            let mapping::Expr::Lines(lines) = &at.rule.expr else { continue };
            let Some(entity) = mapping::lines_entity(self.entity, &lines.of) else { continue };
            repeated(&at.lines, "column", diagnostics);
            self.choices(&at.lines, false, diagnostics);
            let inner: Vec<_> = at.lines.iter().map(|at| at.rule.clone()).collect();
            let columns = Columns::open();
            let plan = WritePlan {
                entity: &entity,
                rules: &inner,
                alternate_key: &[],
                columns: &columns,
                keeps: self.system.kind.keeps,
                entities: self.entities,
                lookups: self.lookups,
                zone: self.system.time_zone.as_ref(),
            };
            let table = Table { entity: &entity, ..*self };
            for problem in WriteMapping::compile(&plan).err().unwrap_or_default() {
                // Lines are written with their parent, not by a key of their own.
                if problem.at != At::Mapping {
                    diagnostics.push(table.place(problem, &at.lines, "write", &columns));
                }
            }
        }
    }

    /// The columns that stand outside of rules: the alternate key, the watermark, what is matched at go-live.
    fn named_columns(&self, columns: &Columns, diagnostics: &mut Vec<Diagnostic>) {
        let mut used = self.held.texts("alternate_key");
        used.extend(self.held.texts("match_existing"));
        if let Some(watermark) = self.held.group("watermark") {
            used.extend(watermark.texts("column"));
        }
        for (name, at) in used {
            if columns.type_of(name).is_some() {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(codes::NO_SUCH_COLUMN, format!("there is no column `{name}`"))
                    .at(at, "not a column that is known")
                    .maybe_help(columns.nearest(name).map(|near| format!("did you mean `{near}`?")))
                    .or_help("correct the name, or declare it under `columns:`"),
            );
        }
    }
}

/// A piece of a formula as a piece of its file.
pub(super) fn within(files: &Files, formula: &Formula, start: usize, end: usize) -> Span {
    yaml::locate(files.slice(formula.at), formula.at, &formula.scalar, start + 1, end + 1)
}

/// One target is filled once.
fn repeated(rules: &[RuleAt], what: &str, diagnostics: &mut Vec<Diagnostic>) {
    for (index, at) in rules.iter().enumerate() {
        if let Some(first) = rules[..index].iter().find(|first| first.rule.target == at.rule.target) {
            diagnostics.push(
                Diagnostic::error(codes::DUPLICATE_KEY, format!("the {what} `{}` is filled twice", at.rule.target))
                    .at(at.target, "here again")
                    .also(first.target, "the first time")
                    .help("remove one of the two lines"),
            );
        }
    }
}
