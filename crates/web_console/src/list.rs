//! Lists: each filters, sorts, goes page by page and can be taken along as CSV, all by its address.

mod csv;
mod view;

pub use view::View;

use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use store::lists::{Page, Slice, TOTAL_MAX};

use crate::Problem;
use crate::ask::Ask;
use crate::page::{DOWN, icon};
use crate::words::number;

/// Rows that a CSV file holds at most; where there are more, its last line says where, and the page beside the link.
const CSV_ROWS_MAX: usize = 10_000;
/// So many are asked for at a time.
const CSV_STEP: usize = 1_000;

/// A value as it is sorted, searched and exported.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    Text(String),
    Number(u64),
    Time(Option<Timestamp>),
}

type Cell<T> = Box<dyn Fn(&Ask, &T) -> Markup>;

/// One column of a list.
pub struct Column<T> {
    /// In addresses and in CSV.
    key: &'static str,
    title: &'static str,
    plain: Box<dyn Fn(&T) -> Plain>,
    cell: Option<Cell<T>>,
    sorts: bool,
    /// Stands at the right, with its heading.
    numeric: bool,
    /// In CSV only.
    hidden: bool,
}

impl<T> Column<T> {
    pub fn new(key: &'static str, title: &'static str, plain: impl Fn(&T) -> Plain + 'static) -> Column<T> {
        Column { key, title, plain: Box::new(plain), cell: None, sorts: true, numeric: false, hidden: false }
    }

    pub fn text(key: &'static str, title: &'static str, text: impl Fn(&T) -> String + 'static) -> Column<T> {
        Column::new(key, title, move |row| Plain::Text(text(row)))
    }

    pub fn number(key: &'static str, title: &'static str, number: impl Fn(&T) -> u64 + 'static) -> Column<T> {
        Column { numeric: true, ..Column::new(key, title, move |row| Plain::Number(number(row))) }
    }

    pub fn time(key: &'static str, title: &'static str, at: impl Fn(&T) -> Option<Timestamp> + 'static) -> Column<T> {
        Column::new(key, title, move |row| Plain::Time(at(row)))
    }

    /// How a page shows it.
    pub fn shown(mut self, cell: impl Fn(&Ask, &T) -> Markup + 'static) -> Column<T> {
        self.cell = Some(Box::new(cell));
        self
    }

    pub fn unsorted(self) -> Column<T> {
        Column { sorts: false, ..self }
    }

    /// A number that is a name, or shown as words: it stands at the left.
    pub fn at_left(self) -> Column<T> {
        Column { numeric: false, ..self }
    }

    pub fn in_csv_only(self) -> Column<T> {
        Column { hidden: true, sorts: false, ..self }
    }
}

/// Something that a list can be narrowed by.
pub struct Choice {
    pub name: &'static str,
    pub label: &'static str,
    /// The word for no choice.
    pub blank: &'static str,
    /// Values with their words.
    pub options: Vec<(String, String)>,
}

impl Choice {
    /// Of words, shown as they are spoken.
    pub fn of<'w>(name: &'static str, label: &'static str, words: impl IntoIterator<Item = &'w str>) -> Choice {
        let options = words.into_iter().map(|word| (word.to_owned(), crate::words::spoken(word))).collect();
        Choice { name, label, blank: "All", options }
    }
}

type Fetch<'l, T> = Box<dyn Fn(&View, Slice) -> Result<Page<T>, Problem> + 'l>;

/// A list, wherever its rows are.
pub struct List<'l, T> {
    /// The name of the CSV file.
    pub name: &'static str,
    pub columns: Vec<Column<T>>,
    pub choices: Vec<Choice>,
    /// The key of the column that it is sorted by where nobody chose, and whether backwards.
    pub order: (&'static str, bool),
    /// What stands there instead of no rows.
    pub nothing: &'static str,
    pub rows: Rows<'l, T>,
}

pub enum Rows<'l, T> {
    /// All of them, to be searched and sorted here; with what a choice lets through.
    Here(Vec<T>, fn(&View, &T) -> bool),
    /// The store searches and sorts.
    Store(Fetch<'l, T>),
}

impl<T> List<'_, T> {
    /// The list as a file where that was asked for, else nothing: it is part of a page then.
    pub fn as_file(&mut self, ask: &Ask) -> Option<Result<Response, Problem>> {
        (ask.query("as") == Some("csv")).then(|| {
            let (view, part) = (self.view(ask), part(ask));
            let first = (part - 1) * CSV_ROWS_MAX;
            let mut rows = Vec::new();
            // What is here already comes in one piece.
            let step = if matches!(self.rows, Rows::Here(..)) { CSV_ROWS_MAX + 1 } else { CSV_STEP };
            // One more than a file holds, to know whether there are more.
            while rows.len() <= CSV_ROWS_MAX {
                let limit = step.min(CSV_ROWS_MAX + 1 - rows.len());
                let page = self.fetch(&view, Slice { skip: first + rows.len(), limit })?;
                let last = page.rows.len() < limit;
                rows.extend(page.rows);
                if last {
                    break;
                }
            }
            let more = rows.len() > CSV_ROWS_MAX;
            rows.truncate(CSV_ROWS_MAX);
            let mut text = csv::text(&self.columns, &rows);
            if more {
                let (from, until) = (number(first as u64 + 1), number((first + CSV_ROWS_MAX) as u64));
                let address = ask.console.project.hub.address.as_deref().unwrap_or_default();
                let next = format!("{address}{}{}", ask.path, view.as_csv(part + 1));
                csv::sentence(
                    &mut text,
                    format!("There are more: this file holds rows {from} to {until}. The next ones: {next}"),
                );
            }
            let name = if part == 1 { self.name.to_owned() } else { format!("{}-{part}", self.name) };
            Ok(crate::ask::csv(&name, text))
        })
    }

    /// The list as part of a page.
    pub fn part(&mut self, ask: &Ask) -> Result<Markup, Problem> {
        let view = self.view(ask);
        let page = self.fetch(&view, Slice { skip: (view.page - 1) * view.size, limit: view.size })?;
        let shown: Vec<&Column<T>> = self.columns.iter().filter(|column| !column.hidden).collect();
        Ok(html! {
            (self.form(&view))
            @if page.rows.is_empty() {
                p.nothing { @if view.is_narrowed() { "Nothing fits what you filter by." } @else { (self.nothing) } }
            } @else {
                div.scroll tabindex="0" role="region" aria-label=(self.name) {
                    table.list role="table" {
                        thead role="rowgroup" { tr role="row" { @for column in &shown { (heading(column, &view)) } } }
                        tbody role="rowgroup" { @for row in &page.rows {
                            tr role="row" { @for column in &shown { (cell(column, ask, row)) } }
                        } }
                    }
                }
            }
            (self.foot(&view, &page))
        })
    }

    fn view(&self, ask: &Ask) -> View {
        let names: Vec<&'static str> = self.choices.iter().map(|choice| choice.name).collect();
        let sorts: Vec<&'static str> = self.columns.iter().filter(|c| c.sorts).map(|c| c.key).collect();
        View::of(ask, &names, &sorts, self.order)
    }

    fn fetch(&mut self, view: &View, slice: Slice) -> Result<Page<T>, Problem> {
        match &mut self.rows {
            Rows::Store(fetch) => fetch(view, slice),
            Rows::Here(rows, keeps) => {
                let mut rows = std::mem::take(rows);
                rows.retain(|row| keeps(view, row) && view.finds(self.columns.iter().map(|c| (c.plain)(row))));
                if let Some(column) = self.columns.iter().find(|column| column.key == view.sort) {
                    view.order(&mut rows, |row| (column.plain)(row));
                }
                let total = rows.len() as u64;
                Ok(Page { rows: rows.into_iter().skip(slice.skip).take(slice.limit).collect(), total })
            }
        }
    }

    fn form(&self, view: &View) -> Markup {
        html! {
            form.filters method="get" role="search" aria-label="Filter" {
                label { span { "Contains" } input type="search" name="q" value=(view.text.as_deref().unwrap_or_default()); }
                @for choice in self.choices.iter().filter(|choice| !choice.options.is_empty()) {
                    label { span { (choice.label) }
                        select name=(choice.name) data-submit="" {
                            option value="" { (choice.blank) }
                            @for (value, word) in &choice.options {
                                option value=(value) selected[view.chosen(choice.name) == Some(value)] { (word) }
                            }
                        }
                    }
                }
                // A phone shows no headings to click.
                label.sort { span { "Sorted by" }
                    select name="sort" data-submit="" { @for column in self.columns.iter().filter(|column| column.sorts) {
                        @for descending in [false, true] {
                            option value={ (if descending { "-" } else { "" }) (column.key) } selected[view.sort == column.key && view.descending == descending] {
                                (column.title) ", " (if descending { "down" } else { "up" })
                            }
                        }
                    } }
                }
                button type="submit" { "Filter" }
                @if view.is_narrowed() { a href="?" { "Show all" } }
            }
        }
    }

    fn foot(&self, view: &View, page: &Page<T>) -> Markup {
        let first = (view.page - 1) * view.size;
        let last = first + page.rows.len();
        let more = (last as u64) < page.total;
        html! {
            nav.foot aria-label="Pages of the list" {
                @if !page.rows.is_empty() {
                    span { (number(first as u64 + 1)) " to " (number(last as u64)) " of "
                        @if page.total > TOTAL_MAX { "more than " (number(TOTAL_MAX)) } @else { (number(page.total)) } }
                }
                @if view.page > 1 { a rel="prev" href=(view.with_page(view.page - 1)) { "Previous" } }
                @if more { a rel="next" href=(view.with_page(view.page + 1)) { "Next" } }
                @if page.total > CSV_ROWS_MAX as u64 {
                    span.csv {
                        a href=(view.as_csv(1)) { (icon(DOWN)) "CSV of the first " (number(CSV_ROWS_MAX as u64)) }
                        a href=(view.as_csv(2)) { "of the next" }
                    }
                    span.small { "A file holds " (number(CSV_ROWS_MAX as u64)) " rows; its last line says where the next ones are. Fewer rows: filter the list." }
                } @else {
                    a.csv href=(view.as_csv(1)) { (icon(DOWN)) "CSV" }
                }
            }
        }
    }
}

/// Which file of a list that does not fit into one, counted from one.
fn part(ask: &Ask) -> usize {
    ask.query("part").and_then(|part| part.parse().ok()).filter(|n| (1..=100_000).contains(n)).unwrap_or(1)
}

fn heading<T>(column: &Column<T>, view: &View) -> Markup {
    let sorted = (column.key == view.sort).then_some(if view.descending { "descending" } else { "ascending" });
    html! {
        th.number[column.numeric] role="columnheader" scope="col" aria-sort=[sorted] {
            @if column.sorts { a href=(view.with_sort(column.key)) { (column.title) } } @else { (column.title) }
        }
    }
}

fn cell<T>(column: &Column<T>, ask: &Ask, row: &T) -> Markup {
    let plain = (column.plain)(row);
    // On a phone a sentence takes the whole width.
    let long = matches!(&plain, Plain::Text(text) if text.chars().count() > 24);
    html! {
        td.number[column.numeric].long[long] role="cell" data-label=(column.title) {
            @match (&column.cell, plain) {
                (Some(shown), _) => (shown(ask, row)),
                (None, Plain::Text(text)) => (text),
                (None, Plain::Number(n)) => (crate::parts::amount(n)),
                (None, Plain::Time(Some(at))) => (crate::parts::time(ask, at)),
                (None, Plain::Time(None)) => "",
            }
        }
    }
}
