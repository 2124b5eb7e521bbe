//! A run over a window of time: what the source changed then, whatever the position is.

use jiff::Timestamp;
use record::{Fault, Reader};

use crate::batch::Job;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::watch::Watch;

/// From its beginning, up to and without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// *Errors*: the fault of a source that cannot be read by time.
    pub(crate) async fn open(&self, job: &Job, pair: &Pair, watch: &dyn Watch) -> Result<Box<dyn Reader>, Fault> {
        let opened = with_retries(&job.retry, watch, || pair.source.window(self.from, self.to)).await;
        opened.map_err(|fault| match fault.place.system {
            Some(_) => fault,
            None => fault.at_system(&pair.from).at_table(&*pair.entity.name),
        })
    }
}
