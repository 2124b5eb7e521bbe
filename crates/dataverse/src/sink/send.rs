//! Rows in batches, and the outcome of each.

use futures_util::{StreamExt, stream};
use record::{BoxFuture, Change, Code, Effected, Fault, Op, Outcome, Scope, Value, Written};

use super::{Rows, Sending, written};
use crate::address;
use crate::client::parse_retry_after;
use crate::refusal::{self, NO_ROW, NO_ROW_BY_KEY, WRITE};
use crate::rows::Found;
use crate::table::Table;
use odata::batch::{Part, PartAnswer};

impl Rows {
    /// Sends rows in batches, some at a time. *Shape*: one outcome for each row sent.
    ///
    /// *Errors*: where nothing at all went through.
    pub(super) async fn send(
        &self,
        table: &Table,
        changes: &[Change],
        sending: Vec<Sending>,
    ) -> Result<Vec<(usize, Outcome)>, Fault> {
        let config = self.client.config();
        let batches: Vec<&[Sending]> = sending.chunks(config.rows_per_batch.clamp(1, 400)).collect();
        let mut calls: Vec<BoxFuture<'_, Result<Vec<PartAnswer>, Fault>>> = Vec::with_capacity(batches.len());
        for batch in &batches {
            let parts: Vec<Part> = batch.iter().flat_map(|one| one.parts.iter().cloned()).collect();
            calls.push(Box::pin(async move { self.client.batch(&parts, WRITE).await }));
        }
        let results: Vec<Result<Vec<PartAnswer>, Fault>> =
            stream::iter(calls).buffered(self.client.at_once()).collect().await;
        if results.iter().all(Result::is_err)
            && let Some(Err(fault)) = results.first()
        {
            return Err(fault.clone().at_table(&table.name));
        }
        let mut outcomes = Vec::with_capacity(sending.len());
        for (batch, result) in batches.into_iter().zip(results) {
            match result {
                Err(fault) => outcomes.extend(batch.iter().map(|one| (one.at, Err(fault.clone())))),
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    for one in batch {
                        let own: Vec<PartAnswer> = answers.by_ref().take(one.parts.len()).collect();
                        outcomes.push((one.at, self.outcome(table, &changes[one.at], one, &own)));
                    }
                }
            }
        }
        Ok(outcomes)
    }

    fn outcome(&self, table: &Table, change: &Change, sent: &Sending, answers: &[PartAnswer]) -> Outcome {
        let mut done: Option<Written> = None;
        for answer in answers {
            if !(200..300).contains(&answer.status) {
                let wait = answer.header("retry-after").and_then(parse_retry_after);
                let id =
                    answer.header("x-ms-service-request-id").or_else(|| answer.header("req_id")).map(str::to_owned);
                let why = refusal::words(answer.status, &answer.body, id);
                let code = why.code.as_deref().unwrap_or("");
                if change.op == Op::Delete && answer.status == 404 && matches!(code, NO_ROW | NO_ROW_BY_KEY) {
                    return Ok(written(Effected::Unchanged));
                }
                // What a lookup points to is named by its key where it is not there; then it may be that row, too.
                let points = change.columns.values().iter().any(|value| matches!(value, Value::Reference(_)));
                if change.op == Op::Update && answer.status == 404 && code == NO_ROW_BY_KEY && !points {
                    return Err(record::gone_meanwhile().why(why));
                }
                let mut fault = refusal::of(why, wait, WRITE);
                // One row's server error is that row's, as long as others go through.
                if fault.scope == Scope::Destination && answer.status >= 500 {
                    fault.scope = Scope::Row;
                }
                return Err(fault);
            }
            let effect = match (change.op, answer.status) {
                (Op::Delete, _) => Effected::Deleted,
                (_, 201) => Effected::Created,
                (_, 200) => Effected::Updated,
                _ => Effected::Upserted,
            };
            let row = serde_json::from_slice::<&serde_json::value::RawValue>(&answer.body)
                .ok()
                .and_then(Found::of)
                .unwrap_or_default();
            let remote_id = row.id(table).or_else(|| {
                let id = answer.header("odata-entityid").and_then(address::id_of)?;
                Some(id.to_string().into())
            });
            let first = done.take();
            done = Some(Written {
                effect: first.as_ref().map_or(effect, |first| first.effect),
                remote_id: remote_id.or_else(|| first.and_then(|first| first.remote_id)),
                version: row.version(),
                returned: None,
            });
        }
        match done {
            Some(written) if answers.len() == sent.parts.len() => Ok(written),
            _ => Err(Fault::retry(Code(WRITE.lost), "the answer was cut before it told of this row", None)
                .scope(Scope::Row)
                .effect_unknown()
                .fix("nothing: the row is written again, and that is safe")),
        }
    }
}
