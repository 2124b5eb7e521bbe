//! The lines of documents: read with their rows, so that a row whose lines have changed is a row that has changed.

use std::sync::Arc;

use mapping::ReadMapping;
use record::catalog::Table;
use record::hash::RowHasher;
use record::{Batch, Column, Fault, Page, ReadSpec, RetryPolicy, Row, Source, System, Type, Value, ValueRef};

use crate::codes;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::watch::Watch;

/// What reads the lines of one field.
pub struct LineSource {
    /// The table of the lines: the name under which a row carries them.
    pub of: String,
    /// Its column that points to the row.
    pub parent: String,
    /// The column of the row that it points to.
    pub link: String,
    pub source: Arc<dyn Source>,
}

/// What reads the lines of a mapping; adds the columns that they need to those of the row.
///
/// *Errors*: nothing says which column of the row the lines point to.
pub(crate) fn sources(
    read: &ReadMapping,
    system: &dyn System,
    name: &str,
    table: Option<&Table>,
    spec: &mut ReadSpec,
) -> Result<Vec<LineSource>, Fault> {
    let mut found = Vec::new();
    for children in read.children() {
        let Some(parent) = &children.parent else { continue };
        let link = link(table, parent, &spec.key).ok_or_else(|| {
            let what = format!(
                "`{parent}` of `{}` points to rows of `{}`, and nothing says by which column",
                children.of, spec.table
            );
            Fault::ask_person(codes::LINES_WITHOUT_LINK, what)
                .at_system(name)
                .at_table(&children.of)
                .fix("give the table a primary key of one column, or a column of the same name")
        })?;
        if !spec.columns.contains(&link) {
            spec.columns.push(link.clone());
        }
        let spec = ReadSpec {
            table: children.of.clone(),
            columns: children.columns().to_vec(),
            declared: Vec::new(),
            watermark: None,
            key: vec![parent.clone()],
            fields: Vec::new(),
            options: Default::default(),
            ..spec.clone()
        };
        found.push(LineSource { of: children.of.clone(), parent: parent.clone(), link, source: system.source(spec)? });
    }
    Ok(found)
}

/// The column of the row that lines point to: the one of the same name, else the table's own primary key.
fn link(table: Option<&Table>, parent: &str, key: &[String]) -> Option<String> {
    match (table, key) {
        (Some(table), key) => table.pointed_to_by(parent, key),
        (None, [one]) => Some(one.clone()),
        (None, _) => None,
    }
}

/// A page whose rows carry their lines.
pub(crate) async fn of_page(retry: &RetryPolicy, watch: &dyn Watch, pair: &Pair, page: Page) -> Result<Page, Fault> {
    let mut page = page;
    for lines in &pair.lines {
        let schema = page.batch.schema().clone();
        let link = schema.index(&lines.link);
        let ids: Vec<Value> =
            page.batch.rows().map(|row| link.map_or(Value::Blank, |link| row.at(link).to_owned())).collect();
        let found = with_retries(retry, watch, || lines.source.children(&lines.parent, &ids)).await?;
        let column = Column { name: lines.of.as_str().into(), ty: Type::Unknown };
        let with_lines = record::Schema::new(schema.columns().iter().cloned().chain([column]).collect());
        let mut batch = Batch::builder(with_lines);
        let mut found = found.into_iter();
        for row in page.batch.rows() {
            row.values().for_each(|value| batch.push(value));
            batch.push(ValueRef::Rows(&sorted(found.next().unwrap_or_default())));
        }
        page.batch = batch.finish();
    }
    Ok(page)
}

/// A row with its lines, as they are now.
pub(crate) async fn of_row(pair: &Pair, mut row: Row) -> Result<Row, Fault> {
    for lines in &pair.lines {
        let id = row.get(&lines.link).cloned().unwrap_or(Value::Blank);
        let found = lines.source.children(&lines.parent, std::slice::from_ref(&id)).await?;
        let found = sorted(found.into_iter().next().unwrap_or_default());
        row = row.with(Column { name: lines.of.as_str().into(), ty: Type::Unknown }, Value::Rows(found));
    }
    Ok(row)
}

/// Whether some lines that are read with a row are none at all: it may have been deleted between the two reads.
pub(crate) fn lack(pair: &Pair, row: &Row) -> bool {
    let is_bare = |of: &str| !matches!(row.get(of), Some(Value::Rows(lines)) if !lines.is_empty());
    pair.lines.iter().any(|lines| is_bare(&lines.of))
}

/// In an order of their own, whatever order they came in: what is the same is to have the same hash.
fn sorted(mut lines: Vec<Row>) -> Vec<Row> {
    let mut hasher = RowHasher::default();
    lines.sort_by_cached_key(|line| hasher.hash(line.values().iter().map(Value::as_ref)));
    lines
}
