//! Planning what becomes of rows that are gone from the source.

use super::{PlannedEffect, PlannedRow, Planner};
use crate::error::Stopped;
use crate::gone::{self, Gone, Seen};
use crate::pair::Pair;

impl Planner<'_> {
    /// The rows that a run would deactivate or delete, each with what the destination has of it.
    ///
    /// More than `max_deletes` are planned all the same: looking at them is what the run asks for.
    pub(super) async fn gone(&mut self, pair: &Pair, seen: &Seen) -> Result<(), Stopped> {
        let effect = match pair.gone {
            Gone::Ignore => return Ok(()),
            Gone::Deactivate { .. } => PlannedEffect::Deactivate,
            Gone::Delete => PlannedEffect::Delete,
        };
        let rows_per_chunk = pair.sink.rows_per_chunk().max(1);
        let mut missing = seen.missing(self.store, pair)?;
        // Their rows go on under other keys.
        missing.written.retain(|entry| !self.renumbered.contains(&(pair.entity.name.clone(), entry.key.clone())));
        for entries in missing.never_written.chunks(rows_per_chunk) {
            let (_, currents) = gone::current(&self.job.retry, self.watch, pair, entries).await?;
            for (entry, _) in entries.iter().zip(currents).filter(|(_, current)| current.is_some()) {
                self.plan.read += 1;
                self.reject(pair, &entry.key, entry.source_hash, vec![gone::not_known_as_ours(pair)]);
            }
        }
        for entries in missing.written.chunks(rows_per_chunk) {
            let (keys, currents) = gone::current(&self.job.retry, self.watch, pair, entries).await?;
            let moved = gone::moved(self.store, &self.job.retry, self.watch, pair, entries, &currents).await??;
            for (at, (entry, (key, current))) in entries.iter().zip(keys.iter().zip(&currents)).enumerate() {
                self.plan.read += 1;
                if moved[at] {
                    match gone::is_kept(entry) {
                        true => self.plan.skipped += 1,
                        false => {
                            self.reject(pair, &entry.key, entry.source_hash, vec![gone::gone_and_moved(pair, entry)]);
                        }
                    }
                    continue;
                }
                if gone::is_another(entry, current.as_ref()) {
                    self.reject(pair, &entry.key, entry.source_hash, vec![gone::not_known_as_ours(pair)]);
                    continue;
                }
                if gone::change(pair, key, entry.remote_id.as_deref(), current.as_ref()).is_none() {
                    self.plan.unchanged += 1;
                    continue;
                }
                self.plan.deleted += 1;
                let proof = self.proofs.of_gone(pair, &entry.key, effect, current.as_ref());
                (self.each)(PlannedRow {
                    entity: pair.entity.name.to_string(),
                    system: pair.to.clone(),
                    table: pair.table.clone(),
                    key: entry.key.to_string(),
                    effect,
                    columns: Vec::new(),
                    faults: Vec::new(),
                    proof,
                });
            }
        }
        if let Err(fault) = seen.believe(pair, &missing, self.job) {
            self.plan.refused.get_or_insert(Box::new(fault));
        }
        Ok(())
    }
}
