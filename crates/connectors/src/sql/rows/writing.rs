//! The statements of a chunk.

use record::{Change, Effected, Op, Outcome, Value, Written};

use super::{Line, Table, groups};
use crate::sql::engine::{Binder, Cell, Described, Dialect, Session, SqlColumn};
use crate::sql::failure::{self, About, Failure};
use crate::sql::lookup::{self, Wanted};

/// Rows of one `INSERT`, and the bytes that close it.
const ROWS_MAX: usize = 200;
const BYTES_MAX: usize = 1 << 20;

/// Rows of one chunk that carry the same columns.
struct Group<'d> {
    deletes: bool,
    key: Vec<&'d SqlColumn>,
    others: Vec<&'d SqlColumn>,
}

impl Group<'_> {
    fn names(&self) -> impl Iterator<Item = &SqlColumn> {
        self.key.iter().chain(&self.others).copied()
    }
}

impl Table {
    /// Writes rows in the transaction that is open, where the product has one around several statements.
    pub(super) async fn write(
        &self,
        session: &mut dyn Session,
        described: &Described,
        changes: &[Change],
    ) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|_| None).collect();
        for ((deletes, names), places) in groups(changes, &self.spec.key) {
            let mut lines = Vec::new();
            for at in places {
                match self.line(described, at, &changes[at], &names) {
                    Ok(line) => lines.push(line),
                    Err(refused) => outcomes[at] = Some(Err(refused)),
                }
            }
            let column = |name: &str| described.column(name);
            let key = self.spec.key.iter().filter_map(|name| column(name)).collect();
            // A column that is not there has refused its rows already.
            let others = names.iter().filter_map(|name| column(name)).collect();
            let group = Group { deletes, key, others };
            self.group(session, described, &group, &lines, &mut outcomes, changes).await?;
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.expect("each change is in one group, or was refused")).collect())
    }

    async fn group(
        &self,
        session: &mut dyn Session,
        described: &Described,
        group: &Group<'_>,
        lines: &[Line],
        outcomes: &mut [Option<Outcome>],
        changes: &[Change],
    ) -> Result<(), Failure> {
        let there = self.there(session, group, lines).await?;
        let mut new = Vec::new();
        for (line, there) in lines.iter().zip(there) {
            let effect = match (there, group.deletes) {
                (false, true) => Ok(Effected::Unchanged),
                (true, true) => self.delete(session, group, line).await,
                (true, false) => self.update(session, group, line).await,
                (false, false) if line.adopts.is_some() => self.adopt(session, described, group, line).await,
                (false, false) if changes[line.at].op == Op::Update => {
                    let fault = self.place(record::gone_meanwhile()).at_key(changes[line.at].key.to_string());
                    outcomes[line.at] = Some(Err(fault));
                    continue;
                }
                (false, false) => {
                    new.push(line);
                    continue;
                }
            };
            self.settle(line, effect, outcomes, changes)?;
        }
        let mut rest = &new[..];
        while !rest.is_empty() {
            let (some, after) = rest.split_at(self.together(group, rest));
            rest = after;
            match self.insert(session, described, group, some).await {
                Ok(()) => {
                    some.iter().try_for_each(|line| self.settle(line, Ok(Effected::Created), outcomes, changes))?;
                }
                Err(failure) if failure.is_of_a_row() && !failure.ends_session() => {
                    for line in some {
                        let effect = self.alone(session, described, group, line).await;
                        self.settle(line, effect, outcomes, changes)?;
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Puts down what became of a row. *Errors*: what concerns more than the row.
    fn settle(
        &self,
        line: &Line,
        effect: Result<Effected, Failure>,
        outcomes: &mut [Option<Outcome>],
        changes: &[Change],
    ) -> Result<(), Failure> {
        outcomes[line.at] = Some(match effect {
            Ok(effect) => Ok(Written { effect, remote_id: None, version: None, returned: None }),
            Err(failure) if failure.is_of_a_row() && !failure.ends_session() => {
                let key = changes[line.at].key.to_string();
                Err(failure::row(&self.engine.words(), &self.spec.table, key, &failure))
            }
            Err(failure) => return Err(failure),
        });
        Ok(())
    }

    /// How many of these rows go in one statement.
    fn together(&self, group: &Group<'_>, lines: &[&Line]) -> usize {
        let most = (self.engine.dialect().bound_max() / group.names().count().max(1)).clamp(1, ROWS_MAX);
        let mut bytes = 0;
        let size = |cell: &Cell| match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        let fits = lines.iter().take(most).take_while(|line| {
            bytes += line.cells.iter().map(size).sum::<usize>();
            bytes <= BYTES_MAX
        });
        fits.count().max(1)
    }

    /// Whether each of these rows is there. They stay locked until the transaction ends.
    async fn there(&self, session: &mut dyn Session, group: &Group<'_>, lines: &[Line]) -> Result<Vec<bool>, Failure> {
        let dialect = self.engine.dialect();
        let by: Vec<SqlColumn> = group.key.iter().map(|column| (*column).clone()).collect();
        let from = format!("{} AS t", dialect.table(&self.spec.table));
        let zone = self.spec.time_zone.as_ref();
        let asked = Wanted { from: &from, by: &by, columns: &[], zone, locks: !dialect.writing().is_empty() };
        let values: Vec<Vec<Value>> = lines.iter().map(|line| line.key.clone()).collect();
        let found = lookup::rows(dialect, session, &asked, &values).await?;
        Ok(found.iter().map(|rows| !rows.is_empty()).collect())
    }

    async fn delete(&self, session: &mut dyn Session, group: &Group<'_>, line: &Line) -> Result<Effected, Failure> {
        let mut binder = Binder::new(self.engine.dialect());
        let by = self.by_key(group, line, &mut binder);
        let sql = format!("DELETE FROM {} WHERE {by}", self.engine.dialect().table(&self.spec.table));
        let deleted = session.run(&sql, &binder.cells).await?;
        Ok(if deleted == 0 { Effected::Unchanged } else { Effected::Deleted })
    }

    async fn update(&self, session: &mut dyn Session, group: &Group<'_>, line: &Line) -> Result<Effected, Failure> {
        if group.others.is_empty() {
            return Ok(Effected::Unchanged);
        }
        let mut binder = Binder::new(self.engine.dialect());
        let cells = &line.cells[group.key.len()..];
        let set = set(self.engine.dialect(), group.others.iter().copied().zip(cells), &mut binder);
        let by = self.by_key(group, line, &mut binder);
        let sql = format!("UPDATE {} SET {set} WHERE {by}", self.engine.dialect().table(&self.spec.table));
        let updated = session.run(&sql, &binder.cells).await?;
        Ok(if updated == 0 { Effected::Unchanged } else { Effected::Updated })
    }

    /// Gives a row that was there before its key, and the other columns.
    async fn adopt(
        &self,
        session: &mut dyn Session,
        described: &Described,
        group: &Group<'_>,
        line: &Line,
    ) -> Result<Effected, Failure> {
        let dialect = self.engine.dialect();
        let id = self.id(described).zip(line.adopts.as_deref());
        let Some((column, id)) = id else { return self.alone(session, described, group, line).await };
        let mut binder = Binder::new(dialect);
        let set = set(dialect, group.names().zip(&line.cells), &mut binder);
        let id = dialect.write(&Value::text(id), column, None);
        let id = binder.compared(id.unwrap_or(Cell::Null), column);
        let sql = format!(
            "UPDATE {} SET {set} WHERE {} = {id}",
            dialect.table(&self.spec.table),
            dialect.quote(&column.name)
        );
        session.run(&sql, &binder.cells).await?;
        Ok(Effected::Updated)
    }

    async fn insert(
        &self,
        session: &mut dyn Session,
        described: &Described,
        group: &Group<'_>,
        lines: &[&Line],
    ) -> Result<(), Failure> {
        let dialect = self.engine.dialect();
        let mut binder = Binder::new(dialect);
        let mut rows = Vec::with_capacity(lines.len());
        for line in lines {
            let row = group.names().zip(&line.cells).map(|(column, cell)| binder.assigned(cell.clone(), column));
            rows.push(format!("({})", row.collect::<Vec<_>>().join(", ")));
        }
        let columns: Vec<String> = group.names().map(|column| dialect.quote(&column.name)).collect();
        let mut sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            dialect.table(&self.spec.table),
            columns.join(", "),
            rows.join(", ")
        );
        if only_key(described, group) {
            let names: Vec<String> = group.others.iter().chain(&group.key).map(|c| c.name.clone()).collect();
            let names = if group.others.is_empty() { &names[..1] } else { &names[..group.others.len()] };
            sql.push_str(&dialect.on_duplicate(names).unwrap_or_default());
        }
        session.run(&sql, &binder.cells).await?;
        Ok(())
    }

    /// A row that is not there, alone. Where another program has put it there meanwhile, it is updated.
    async fn alone(
        &self,
        session: &mut dyn Session,
        described: &Described,
        group: &Group<'_>,
        line: &Line,
    ) -> Result<Effected, Failure> {
        match self.insert(session, described, group, &[line]).await {
            Ok(()) => Ok(Effected::Created),
            Err(failure) if failure.about() == About::Duplicate && !failure.ends_session() => {
                let there = self.there(session, group, std::slice::from_ref(line)).await?;
                if there == [true] { self.update(session, group, line).await } else { Err(failure) }
            }
            Err(failure) => Err(failure),
        }
    }

    fn by_key(&self, group: &Group<'_>, line: &Line, binder: &mut Binder) -> String {
        let dialect = self.engine.dialect();
        let equal = group.key.iter().zip(&line.cells).map(|(column, cell)| {
            format!("{} = {}", dialect.quote(&column.name), binder.compared(cell.clone(), column))
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }
}

fn set<'c>(
    dialect: &dyn Dialect,
    cells: impl Iterator<Item = (&'c SqlColumn, &'c Cell)>,
    binder: &mut Binder,
) -> String {
    let set = cells
        .map(|(column, cell)| format!("{} = {}", dialect.quote(&column.name), binder.assigned(cell.clone(), column)));
    set.collect::<Vec<_>>().join(", ")
}

/// Whether a new row can only meet a row with the same key: another unique index would make the database update a row
/// that is not the one that was meant.
fn only_key(described: &Described, group: &Group<'_>) -> bool {
    let carried = |name: &String| group.names().any(|column| column.name == *name);
    let of_the_key = |name: &String| group.key.iter().any(|column| column.name == *name);
    let counts = |name: &String| described.column(name).is_some_and(|column| column.counted) && !carried(name);
    let harmless = |columns: &[String]| columns.iter().all(of_the_key) || columns.iter().any(counts);
    described.table.keys.iter().all(|key| harmless(&key.columns))
}
