//! What a destination returned, such as its own number of a row, on its way home.

use std::sync::Arc;

use definition::{Event, Project};
use mapping::WriteMapping;
use record::{Change, Current, Entity, Fault, Key, Op, RetryPolicy, Row, Sink, Value};

use super::deliver::AtHome;
use crate::codes;
use crate::compile::{self, Side};
use crate::outage::unanswered;

/// Where what the destination returned goes back to.
pub(crate) struct Home {
    write: WriteMapping,
    sink: Arc<dyn Sink>,
    key: Vec<String>,
    /// The fields that the destination returns.
    fields: Vec<String>,
    from: String,
    to: String,
}

impl Home {
    /// Nothing where the destination returns nothing that goes home.
    ///
    /// *Errors*: a mapping that does not fit what the source has.
    pub async fn compile(
        project: &Project,
        from: &Side<'_>,
        to: &Side<'_>,
        event: &Event,
        entity: &Arc<Entity>,
        retry: &RetryPolicy,
    ) -> Result<Option<Home>, Fault> {
        let fields = to.held(&event.entity).returned(&event.write_back);
        if fields.is_empty() {
            return Ok(None);
        }
        let goes_home = |rule: &mapping::Rule| fields.iter().any(|field| definition::uses(&rule.expr, field));
        let (write, sink) = compile::part(project, from, entity, goes_home, retry).await?;
        Ok(Some(Home {
            sink,
            write,
            key: from.held(&event.entity).alternate_key.clone(),
            fields,
            from: from.defined.name.clone(),
            to: to.defined.name.clone(),
        }))
    }

    /// Changes when something else goes home, or somewhere else.
    pub fn fingerprint(&self) -> u64 {
        self.write.fingerprint()
    }

    /// Writes what the destination returned into the source, unless it is there already. What it returned when the row was
    /// made, and not again, is there since.
    ///
    /// *Errors*: the source does not take it, or has nothing and the destination returned nothing.
    pub async fn write(&self, record: &Row, returned: Option<&Row>) -> Result<Option<AtHome>, Fault> {
        let mut values = record.values().to_vec();
        let mut silent: Vec<&str> = Vec::new();
        for field in &self.fields {
            let at = record.schema().index(field).expect("a checked definition names fields that exist");
            let Some(value) = returned.and_then(|row| row.get(field)).filter(|value| !value.is_blank()) else {
                values[at] = Value::Blank;
                silent.push(field);
                continue;
            };
            let ty = &record.schema().columns()[at].ty;
            values[at] = mapping::fit::fit(value.as_ref(), ty, None).map_err(|misfit| {
                Fault::reject(misfit.code, format!("`{field}` as `{}` returned it {}", self.to, misfit.why))
                    .at_system(&self.to)
                    .fix(misfit.fix)
            })?;
        }
        let record = Row::new(record.schema().clone(), values);
        let wanted = self.write.apply(&record).map_err(|mut faults| faults.remove(0))?;
        let columns: Vec<String> = self.key.iter().cloned().chain(self.write.compared()).collect();
        let Some(current) = self.current(&wanted.key, &columns).await? else {
            // Deleted meanwhile: nothing misses the number.
            return Ok(None);
        };
        let has = |column: &str| current.columns.get(column).is_some_and(|value| !value.is_blank());
        let all = wanted.columns.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let wanted = self.write.without(wanted, &silent);
        if all.iter().any(|name| wanted.columns.get(name).is_none() && !has(name)) {
            let what = format!("`{}` took the row and did not return `{}`", self.to, silent.join("`, `"));
            return Err(Fault::reject(codes::NOT_RETURNED, what)
                .at_system(&self.to)
                .fix("say in `returns:` where its answer has the field; then send the dead letter again"));
        }
        let same = |(name, value): (&str, &Value)| self.write.holds(&current.columns, name, value);
        if wanted.columns.iter().all(same) {
            return Ok(None);
        }
        let told = |field: &String| Some(format!("{field} = {}", record.get(field)?));
        let told: Vec<String> =
            self.fields.iter().filter(|field| !silent.contains(&field.as_str())).filter_map(told).collect();
        let change = Change {
            op: Op::Update,
            key: wanted.key,
            columns: wanted.columns,
            remote_id: current.remote_id.clone(),
            if_version: None,
        };
        let outcome = self.sink.apply(std::slice::from_ref(&change)).await;
        let outcome = outcome.and_then(|all| all.into_iter().next().unwrap_or_else(|| Err(unanswered(&self.from))));
        match outcome {
            // In this moment, too; unless it only says so.
            Err(fault)
                if fault.code == codes::CHANGED_MEANWHILE && self.current(&change.key, &columns).await?.is_none() =>
            {
                return Ok(None);
            }
            outcome => outcome.map_err(|fault| self.not_home(fault))?,
        };
        Ok(Some(AtHome { system: self.from.clone(), told: told.join(", ") }))
    }

    /// What home has of the row now.
    async fn current(&self, key: &Key, columns: &[String]) -> Result<Option<Current>, Fault> {
        let current = self.sink.current(std::slice::from_ref(key), columns).await;
        Ok(current.map_err(|fault| self.not_home(fault))?.into_iter().next().flatten())
    }

    /// A fault of home, told by what has been done by then.
    fn not_home(&self, fault: Fault) -> Fault {
        Fault { what: format!("`{}` has the row, and its number did not come home: {}", self.to, fault.what), ..fault }
    }
}
