//! What a destination returned, such as its own number of a row, on its way home.

use std::sync::Arc;

use definition::{Event, Project};
use mapping::WriteMapping;
use record::{Change, Entity, Fault, Op, RetryPolicy, Row, Sink, Value};

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
    /// *Errors*: a mapping that does not fit what the source has.
    pub async fn compile(
        project: &Project,
        from: &Side<'_>,
        to: &str,
        event: &Event,
        entity: &Arc<Entity>,
        retry: &RetryPolicy,
    ) -> Result<Home, Fault> {
        let goes_home = |rule: &mapping::Rule| matches!(&rule.expr, mapping::Expr::Source(field) if event.write_back.contains(field));
        let (write, sink) = compile::part(project, from, entity, goes_home, retry).await?;
        Ok(Home {
            sink,
            write,
            key: from.held(&event.entity).alternate_key.clone(),
            fields: event.write_back.clone(),
            from: from.defined.name.clone(),
            to: to.to_owned(),
        })
    }

    /// Writes what the destination returned into the source, unless it is there already.
    ///
    /// *Errors*: the source does not take it, or the destination did not return it.
    pub async fn write(&self, record: &Row, returned: Option<&Row>) -> Result<Option<AtHome>, Fault> {
        let mut values = record.values().to_vec();
        for field in &self.fields {
            let at = record.schema().index(field).expect("a checked definition names fields that exist");
            let Some(value) = returned.and_then(|row| row.get(field)).filter(|value| !value.is_blank()) else {
                let what = format!("`{}` took the row and did not return `{field}`", self.to);
                return Err(Fault::reject(codes::NOT_RETURNED, what)
                    .at_system(&self.to)
                    .fix("say in `returns:` where its answer has the field; then send the dead letter again"));
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
        let current = self.sink.current(std::slice::from_ref(&wanted.key), &columns).await?;
        let Some(Some(current)) = current.first() else {
            // Deleted meanwhile: nothing misses the number.
            return Ok(None);
        };
        let same = |(name, value): (&str, &Value)| self.write.holds(&current.columns, name, value);
        if wanted.columns.iter().all(same) {
            return Ok(None);
        }
        let told = |field: &String| Some(format!("{field} = {}", record.get(field)?));
        let told: Vec<String> = self.fields.iter().filter_map(told).collect();
        let change = Change {
            op: Op::Upsert,
            key: wanted.key,
            columns: wanted.columns,
            remote_id: current.remote_id.clone(),
            if_version: None,
        };
        self.sink.apply(&[change]).await?.into_iter().next().unwrap_or_else(|| Err(unanswered(&self.from)))?;
        Ok(Some(AtHome { system: self.from.clone(), told: told.join(", ") }))
    }
}
