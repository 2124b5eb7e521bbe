//! A checked definition and open systems into a job that can run.

use std::sync::Arc;
use std::time::Duration;

use definition::{ApproveRun, Batch, Deletes, Direction, Integration, Pattern, Project, SystemEntity, WHAT_IS_READ};
use mapping::{Columns, Entities, Problem, ReadMapping, ReadPlan, WriteMapping, WritePlan};
use record::catalog::Table;
use record::hash::RowHasher;
use record::{Fault, ReadSpec, RetryPolicy, System, ValueRef, WriteLines, WriteSpec};
use sha2::{Digest, Sha256};

use crate::batch::{Job, StopAfter};
use crate::codes;
use crate::consent::{Asks, Consent, When};
use crate::gone::{self, Gone, Limits, STATE};
use crate::lines;
use crate::mask;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::schedule;
use crate::two_way;
use crate::watch::Log;

/// Rows that a source hands out at a time.
pub(crate) const ROWS_PER_BATCH: usize = 5_000;

/// Rows that wait for a parent in one run.
const WAITING_MAX: usize = 50_000;

/// The systems of a project, opened when they are needed.
pub trait Systems: Sync {
    /// *Errors*: a secret without a value, an option that makes no sense.
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault>;
}

/// Compiles a batch integration against the live catalogues of its systems.
///
/// *Errors*: a system that does not answer, a table or column that is not there, a mapping that does not fit, and what
/// cannot run yet.
pub async fn compile(
    project: &Project,
    integration: &Integration,
    systems: &dyn Systems,
    retry: RetryPolicy,
) -> Result<Job, Fault> {
    let batch = match &integration.pattern {
        Pattern::Batch(batch) => batch,
        Pattern::Event(_) => {
            let what = format!("`{}` is an event integration: it has no runs", integration.name);
            return Err(Fault::ask_person(codes::NOT_YET_RUNNABLE, what)
                .fix("start `ironbridge up`, which delivers each event as it comes"));
        }
        Pattern::Flow(_) => {
            let what = format!("`{}` is a flow: it has no runs", integration.name);
            return Err(Fault::ask_person(codes::NOT_YET_RUNNABLE, what).fix(
                "start `ironbridge up`, which starts an instance for each record; by hand: ironbridge flow start",
            ));
        }
        Pattern::Virtual(_) => {
            let what = format!("`{}` is a virtual table: it has no runs", integration.name);
            return Err(Fault::ask_person(codes::NOT_YET_RUNNABLE, what)
                .fix("start `ironbridge up`, which answers each query as it comes"));
        }
    };
    let names = [vec![integration.name.as_str()], integration.systems(), integration.entities()].concat();
    let definition = behaviour(project, &names);
    let limits = Limits { max_deletes: batch.max_deletes, min_rows: batch.min_rows };
    let stop_after = StopAfter {
        rejected: Some(batch.stop_after.rejected),
        percent: Some(batch.stop_after.or),
        first_rows_alike: Some(batch.stop_after.first_rows_alike),
    };
    if let Direction::TwoWay { between: [_, to], .. } = &batch.direction {
        let two_way = two_way::joints(project, integration, batch, systems, &retry).await?;
        return Ok(Job {
            integration: integration.name.clone(),
            pairs: Vec::new(),
            two_way,
            stop_after,
            stopped_before: false,
            waiting_max: WAITING_MAX,
            limits,
            compare_live: batch.compare_live,
            drift: batch.drift,
            retry,
            consent: consent(batch)?,
            window: None,
            origin: None,
            destination: systems.open(to)?,
            definition,
            environment: project.environment.as_ref().map(|environment| environment.name.clone()),
        });
    }
    let (from, to) = one_way(batch);
    let (from, to) = (Side::open(project, systems, from)?, Side::open(project, systems, to)?);
    let entities = project.entities_by_name();
    let mut pairs = Vec::new();
    for name in &batch.entities {
        let gone = match batch.deletes {
            Deletes::Ignore => Gone::Ignore,
            Deletes::Deactivate => Gone::Deactivate { returns_active: batch.returns_active },
            Deletes::Delete => Gone::Delete,
        };
        let has_lines = |rules: &[mapping::Rule]| rules.iter().any(|rule| matches!(rule.expr, mapping::Expr::Lines(_)));
        let in_the_row =
            |rule: &mapping::Rule| matches!(&rule.expr, mapping::Expr::Lines(lines) if lines.parent.is_none());
        let has_catalog = from.defined.kind.has_catalog;
        if has_catalog && has_lines(&to.held(name).write) && from.held(name).read.iter().any(in_the_row) {
            return Err(not_yet(name, "reading lines from a list within a column (`each:`), in a batch,"));
        }
        if gone != Gone::Ignore {
            alone(project, integration, name, &from, &to)?;
        }
        pairs.push(pair(project, name, &from, &to, &entities, gone, &retry).await?.pair);
    }
    let several = pairs.len() > 1;
    Ok(Job {
        integration: integration.name.clone(),
        pairs,
        two_way: Vec::new(),
        stop_after,
        stopped_before: false,
        waiting_max: WAITING_MAX,
        limits,
        compare_live: batch.compare_live,
        drift: batch.drift,
        retry,
        consent: consent(batch)?,
        window: None,
        origin: several.then(|| from.system.clone()),
        destination: to.system.clone(),
        definition,
        environment: project.environment.as_ref().map(|environment| environment.name.clone()),
    })
}

/// Who is asked before a run writes, and when.
fn consent(batch: &Batch) -> Result<Consent, Fault> {
    if batch.first_load.is_none() && batch.approve.is_none() {
        return Ok(Consent::default());
    }
    let when = |approve: &ApproveRun| Ok::<_, Fault>((When::compile(&approve.when)?, approve.by.clone()));
    let when = batch.approve.as_ref().map(when).transpose()?;
    Ok(Consent { plan: None, asks: Some(Asks { first_load: batch.first_load.clone(), when }) })
}

/// A short, one-way name of what the definition says of things with these names.
pub(crate) fn behaviour(project: &Project, names: &[&str]) -> String {
    let mut hash = Sha256::new();
    for line in names.iter().flat_map(|name| definition::show(project, name)) {
        hash.update(format!("{} {}: {}\n", line.depth, line.key, line.value.unwrap_or_default()));
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One of the two systems of a job.
pub(crate) struct Side<'a> {
    pub defined: &'a definition::System,
    pub system: Arc<dyn System>,
}

impl<'a> Side<'a> {
    pub fn open(project: &'a Project, systems: &dyn Systems, name: &str) -> Result<Side<'a>, Fault> {
        let defined = project.system(name).expect("a checked project names systems that exist");
        Ok(Side { defined, system: systems.open(name)? })
    }

    pub fn held(&self, entity: &str) -> &'a SystemEntity {
        self.defined.entity(entity).expect("a checked project maps each entity in both systems")
    }

    /// The live table, and the columns that formulas may use. A query's columns are known only when it runs.
    pub async fn table(&self, held: &SystemEntity, retry: &RetryPolicy) -> Result<(Option<Table>, Columns), Fault> {
        if !self.defined.kind.has_catalog || held.query.is_some() {
            let known = held.columns.iter().map(|(name, ty)| (name.as_str(), ty.clone()));
            let known = record::Schema::of(known);
            return Ok((None, if known.is_empty() { Columns::open() } else { Columns::closed(&known) }));
        }
        let name = held.table.as_deref().unwrap_or(&held.entity);
        let names = [name];
        let catalog = with_retries(retry, &Log(None), || self.system.catalog(&names)).await?;
        match catalog.table(name) {
            Some(table) => Ok((Some(table.clone()), Columns::of_table(table))),
            None => {
                Err(Fault::ask_person(codes::TABLE_MISSING, format!("`{}` has no table `{name}`", self.defined.name))
                    .at_system(&self.defined.name)
                    .at_table(name)
                    .fix("correct `table:` in the system's file, or create the table"))
            }
        }
    }
}

fn one_way(batch: &Batch) -> (&str, &str) {
    match &batch.direction {
        Direction::OneWay { from, to } => (from, to),
        Direction::TwoWay { .. } => unreachable!("two ways are compiled by `two_way`"),
    }
}

pub(crate) fn not_yet(integration: &str, what: &str) -> Fault {
    Fault::ask_person(codes::NOT_YET_RUNNABLE, format!("{what} of `{integration}` is checked, and not yet runnable"))
        .fix("leave it out for now, or wait for the release that runs it; nothing was read or written")
}

/// The compiled path of one entity, and how its source was asked.
pub(crate) struct Compiled {
    pub pair: Pair,
    pub reads: ReadSpec,
    /// The columns of the source table's primary key; empty where it has no catalogue.
    pub primary: Vec<String>,
}

pub(crate) async fn pair(
    project: &Project,
    name: &str,
    from: &Side<'_>,
    to: &Side<'_>,
    entities: &Entities,
    gone: Gone,
    retry: &RetryPolicy,
) -> Result<Compiled, Fault> {
    let entity = project.entity(name).expect("a checked project names entities that exist");
    let (source, target) = (from.held(name), to.held(name));
    let (source_table, source_columns) = from.table(source, retry).await?;
    let (target_table, target_columns) = to.table(target, retry).await?;
    let zone = from.defined.time_zone.clone();

    let from_lookups = from.defined.lookup_keys(entities);
    let read = ReadMapping::compile(&ReadPlan {
        entity,
        rules: &source.read,
        filter: source.where_.as_deref(),
        columns: &source_columns,
        entities,
        lookups: from.defined.kind.keeps.lookups.then_some(&from_lookups),
        zone: zone.clone(),
    })
    .map_err(|problems| does_not_fit(&from.defined.name, &source.read, problems))?;
    let rules = to.defined.sync_rules(target, entity);
    let write = WriteMapping::compile(&WritePlan {
        entity,
        rules: &rules,
        alternate_key: &target.alternate_key,
        columns: &target_columns,
        keeps: to.defined.kind.keeps,
        entities,
        lookups: &to.defined.lookup_keys(entities),
        zone: to.defined.time_zone.as_ref(),
    })
    .map_err(|problems| does_not_fit(&to.defined.name, &rules, problems))?;
    if let Some(table) = &target_table {
        usable_key(&to.defined.name, table, &target.alternate_key)?;
    }

    let deactivates = matches!(gone, Gone::Deactivate { .. });
    if deactivates && target_table.as_ref().is_none_or(|table| table.column(STATE).is_none()) {
        let what = format!("rows of `{name}` in `{}` cannot be deactivated: they have no `{STATE}`", to.defined.name);
        return Err(Fault::ask_person(codes::CANNOT_REMOVE, what)
            .at_system(&to.defined.name)
            .fix("write `deletes: delete`, or `deletes: ignore`"));
    }
    let mut columns = read.columns().to_vec();
    let key = row_key(source, source_table.as_ref(), entity);
    let more = source.watermark.iter().map(|w| &w.column).chain(&key);
    for column in more {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    // Lines that a row itself carries: the source has to know what to read of each.
    let mut declared = source.columns.clone();
    if !from.defined.kind.has_catalog {
        for children in read.children().iter().filter(|children| children.parent.is_none()) {
            let of = &children.of;
            let declares = |name: &String| source.columns.iter().find(|(column, _)| *column == format!("{of}.{name}"));
            let ty = |name| declares(name).map_or(record::Type::Unknown, |(_, ty)| ty.clone());
            let lines = record::Schema::of(children.columns().iter().map(|name| (name.as_str(), ty(name))));
            declared.retain(|(name, _)| *name != children.of);
            declared.push((children.of.clone(), record::Type::Lines(lines)));
            columns.push(children.of.clone());
        }
    }
    let mut reads = ReadSpec {
        table: source.table.clone().unwrap_or_default(),
        columns,
        declared,
        watermark: source.watermark.clone(),
        key,
        rows_per_batch: ROWS_PER_BATCH,
        time_zone: zone,
        fields: plain(&source.read, |rule, column| (rule.to_owned(), column.to_owned())),
        options: source.options.clone(),
    };
    let lines = match write.writes_lines() {
        true => lines::sources(&read, &*from.system, &from.defined.name, source_table.as_ref(), &mut reads)?,
        false => Vec::new(),
    };
    let sink_spec = WriteSpec {
        lines: written_lines(to, target, &write)?,
        table: target.table.clone().unwrap_or_default(),
        key: target.alternate_key.clone(),
        columns: write.columns().into_iter().chain(deactivates.then(|| STATE.to_owned())).collect(),
        time_zone: to.defined.time_zone.clone(),
        fields: plain(&rules, |column, field| (field.to_owned(), column.to_owned())),
        options: target.options.clone(),
    };
    let personal = write.columns().into_iter().filter(|column| write.is_personal(column)).collect();
    let reads_all = gone != Gone::Ignore && source.watermark.is_some();
    let pair = Pair {
        entity: entity.clone(),
        from: from.defined.name.clone(),
        to: to.defined.name.clone(),
        source: from.system.source(reads.clone())?,
        sink: mask::masking(to.system.sink(sink_spec)?, personal),
        read,
        write,
        from_table: source.table.clone().unwrap_or_else(|| name.to_owned()),
        table: target.table.clone().unwrap_or_default(),
        key_columns: target.alternate_key.clone(),
        patience: patience(project, entity, &to.defined.name),
        match_existing: target.match_existing.clone(),
        lines,
        source_by_key: source.key_columns(entity).is_some(),
        gone,
        reads_all,
        origin: origin(from.defined, source),
        place: place(to.defined, target),
    };
    if gone != Gone::Ignore && !pair.write.is_keyed_by_key() {
        return Err(gone::cannot_remove(&pair));
    }
    let primary = source_table.as_ref().and_then(|table| table.keys.iter().find(|key| key.primary));
    let primary = primary.map(|key| key.columns.clone()).unwrap_or_default();
    Ok(Compiled { pair, reads, primary })
}

/// A one-way name of what is read of an entity beside its mapping.
fn origin(from: &definition::System, held: &SystemEntity) -> u64 {
    let options = WHAT_IS_READ.map(|name| held.options.get(name));
    let text = format!("{} {} {:?} {:?} {options:?}", from.name, from.kind.name, zone(from), held.columns);
    RowHasher::default().hash([ValueRef::Text(&text)]) as u64
}

/// Where a system has the rows of an entity, and by whose clocks.
fn place(to: &definition::System, held: &SystemEntity) -> String {
    let table = held.table.as_deref().or(held.options.text("file")).unwrap_or_default();
    format!("{} {table} by {} {}", to.kind.name, held.alternate_key.join(", "), zone(to).unwrap_or_default())
}

fn zone(system: &definition::System) -> Option<&str> {
    system.time_zone.as_ref()?.iana_name()
}

/// What writes a part of an entity into a system: its key, and the rules that are wanted.
///
/// *Errors*: a mapping that does not fit what the system has.
pub(crate) async fn part(
    project: &Project,
    to: &Side<'_>,
    entity: &Arc<record::Entity>,
    wanted: impl Fn(&mapping::Rule) -> bool,
    retry: &RetryPolicy,
) -> Result<(WriteMapping, Arc<dyn record::Sink>), Fault> {
    let held = to.held(&entity.name);
    let is_key = |rule: &mapping::Rule| held.alternate_key.contains(&rule.target);
    let rules: Vec<mapping::Rule> = held.write.iter().filter(|rule| is_key(rule) || wanted(rule)).cloned().collect();
    let (_, columns) = to.table(held, retry).await?;
    let entities = project.entities_by_name();
    let write = WriteMapping::compile(&WritePlan {
        entity,
        rules: &rules,
        alternate_key: &held.alternate_key,
        columns: &columns,
        keeps: to.defined.kind.keeps,
        entities: &entities,
        lookups: &to.defined.lookup_keys(&entities),
        zone: to.defined.time_zone.as_ref(),
    })
    .map_err(|problems| does_not_fit(&to.defined.name, &rules, problems))?;
    let spec = WriteSpec {
        table: held.table.clone().unwrap_or_default(),
        key: held.alternate_key.clone(),
        columns: write.columns(),
        time_zone: to.defined.time_zone.clone(),
        fields: plain(&rules, |column, field| (field.to_owned(), column.to_owned())),
        lines: Vec::new(),
        options: held.options.clone(),
    };
    let personal = write.columns().into_iter().filter(|column| write.is_personal(column)).collect();
    let sink = mask::masking(to.system.sink(spec)?, personal);
    Ok((write, sink))
}

/// The lines that become rows of other tables.
///
/// *Errors*: lines that nothing tells apart, or that this kind of system does not take.
fn written_lines(to: &Side<'_>, target: &SystemEntity, write: &WriteMapping) -> Result<Vec<WriteLines>, Fault> {
    let tables = write.line_tables();
    let nested = tables.is_empty() && write.writes_lines();
    let kind = to.defined.kind;
    if nested && kind.line_tables {
        let what = format!("the lines of `{}` become rows of a table, and `parent:` is missing", target.entity);
        return Err(Fault::ask_person(codes::LINES_WITHOUT_KEY, what).at_system(&to.defined.name).fix(
            "name the table and its column that points to the document: `salesorderdetail: { each: lines, parent: salesorderid, write: { … } }`",
        ));
    }
    if write.writes_lines() && kind.has_catalog && !kind.line_tables {
        return Err(not_yet(&target.entity, "writing lines into a table of this kind of system"));
    }
    let of = |lines: mapping::LineTable| match lines.key {
        Some(key) => Ok(WriteLines { table: lines.table, parent: lines.parent, key, columns: lines.compared }),
        None => {
            let what = format!("nothing tells the rows of `{}` of one document apart", lines.table);
            Err(Fault::ask_person(codes::LINES_WITHOUT_KEY, what)
                .at_system(&to.defined.name)
                .at_table(&lines.table)
                .fix("write the key of the lines into a column as it is, for example `lineitemnumber: line_no`"))
        }
    };
    tables.into_iter().map(of).collect()
}

/// The rules that carry a value as it is, by their target and source.
pub(crate) fn plain(rules: &[mapping::Rule], pair: impl Fn(&str, &str) -> (String, String)) -> Vec<(String, String)> {
    let one = |rule: &mapping::Rule| match &rule.expr {
        mapping::Expr::Source(source) => Some(pair(&rule.target, source)),
        _ => None,
    };
    rules.iter().filter_map(one).collect()
}

/// How long a row waits for those that it points to: twice the longest schedule of what brings them. Not at all for what
/// no integration brings.
fn patience(project: &Project, entity: &record::Entity, to: &str) -> Duration {
    let pointed_to = entity.fields.iter().flat_map(|field| points_to(&field.ty));
    let brought = pointed_to.filter_map(|parent| {
        let brings = project.integrations.iter().filter_map(|integration| match &integration.pattern {
            Pattern::Batch(batch) if batch.entities.contains(parent) => match &batch.direction {
                Direction::OneWay { to: target, .. } if target != to => None,
                Direction::TwoWay { between, .. } if !between.iter().any(|system| system == to) => None,
                _ => schedule::period(&batch.schedule, &project.hub.time_zone),
            },
            // An event comes at any time; it has had its retries by then.
            Pattern::Event(event) if event.entity == *parent && event.to.iter().any(|system| system == to) => {
                Some(event.retry_for)
            }
            _ => None,
        });
        brings.max()
    });
    brought.max().map_or(Duration::ZERO, |longest| longest * 2)
}

/// The entities that values of a type point to, those of lines among them.
fn points_to(ty: &record::Type) -> Vec<&String> {
    match ty {
        record::Type::Reference { to } => to.iter().collect(),
        record::Type::Lines(lines) => lines.columns().iter().flat_map(|column| points_to(&column.ty)).collect(),
        _ => Vec::new(),
    }
}

/// What is gone from one source may be in another: two integrations that write one entity into one system cannot tell.
fn alone(
    project: &Project,
    integration: &Integration,
    entity: &str,
    from: &Side<'_>,
    to: &Side<'_>,
) -> Result<(), Fault> {
    let writes = |other: &&Integration| match &other.pattern {
        Pattern::Batch(batch) => {
            batch.entities.iter().any(|name| name == entity)
                && match &batch.direction {
                    Direction::OneWay { to: target, .. } => *target == to.defined.name,
                    Direction::TwoWay { between, .. } => between.contains(&to.defined.name),
                }
        }
        // What events bring from the same source is in it.
        Pattern::Event(event) => {
            event.entity == entity && event.from != from.defined.name && event.to.contains(&to.defined.name)
        }
        _ => false,
    };
    let mut others = project.integrations.iter().filter(|other| other.name != integration.name);
    let Some(other) = others.find(writes) else { return Ok(()) };
    let what = format!(
        "`{}` and `{}` both write `{entity}` into `{}`: a row that is gone from one source may be in the other",
        integration.name, other.name, to.defined.name
    );
    Err(Fault::ask_person(codes::CANNOT_REMOVE, what)
        .at_system(&to.defined.name)
        .fix("write `deletes: ignore` in both, or bring the two sources together in one integration"))
}

/// The columns that make the order of a read total: those of the entity's key where they are plain columns, else the
/// table's own.
fn row_key(held: &SystemEntity, table: Option<&Table>, entity: &record::Entity) -> Vec<String> {
    let own = || table.and_then(|t| t.keys.iter().find(|k| k.primary)).map(|k| k.columns.clone());
    held.key_columns(entity).or_else(own).unwrap_or_default()
}

fn usable_key(system: &str, table: &Table, wanted: &[String]) -> Result<(), Fault> {
    let same = |columns: &[String]| columns.len() == wanted.len() && wanted.iter().all(|c| columns.contains(c));
    let problem = match table.keys.iter().find(|key| same(&key.columns)) {
        Some(key) if key.active => return Ok(()),
        Some(_) => "is there and not active yet: the system still builds its index, or failed to",
        None => "does not exist",
    };
    let columns = wanted.join(", ");
    Err(Fault::ask_person(
        codes::ALTERNATE_KEY,
        format!("the alternate key ({columns}) of `{}` in `{system}` {problem}", table.name),
    )
    .at_system(system)
    .at_table(&table.name)
    .fix(format!("make the key on {columns}, wait until it is active, and run again; of Dynamics: ironbridge dataverse keys {system}")))
}

/// What a mapping says of columns that are not there, or not of the type that it needs.
pub(crate) fn does_not_fit(system: &str, rules: &[mapping::Rule], problems: Vec<Problem>) -> Fault {
    let place = |problem: &Problem| match problem.at {
        mapping::At::Target(rule) | mapping::At::Source(rule, _) | mapping::At::Lines(rule) => {
            rules.get(rule).map(|rule| rule.origin.as_str())
        }
        _ => None,
    };
    let all: Vec<String> = problems
        .iter()
        .map(|problem| match place(problem) {
            Some(origin) => format!("{} ({origin})", problem.message),
            None => problem.message.clone(),
        })
        .collect();
    let fix = problems.iter().find_map(|problem| problem.help.clone());
    Fault::ask_person(
        codes::MAPPING_DOES_NOT_FIT,
        format!("the mapping does not fit what `{system}` has now: {}", all.join("; ")),
    )
    .at_system(system)
    .fix(fix.unwrap_or_else(|| "correct the mapping, then: ironbridge check --online".to_owned()))
}
