//! Questions about queues.

use super::entity::{self, Counts, Settings};
use crate::{Error, Store};

impl Store {
    /// How many messages a queue holds, by where they stand. `None`: there is no such queue.
    pub fn queue_counts(&self, queue: &str) -> Result<Option<Counts>, Error> {
        self.read(|conn| entity::counts(conn, queue))
    }

    /// How a queue behaves. `None`: there is no such queue.
    pub fn queue_settings(&self, queue: &str) -> Result<Option<Settings>, Error> {
        self.read(|conn| entity::settings(conn, queue))
    }

    /// The paths of all queues in order, without their dead-letter queues.
    pub fn queues(&self) -> Result<Vec<String>, Error> {
        self.read(|conn| {
            crate::tx::all(conn, "SELECT path FROM queue WHERE kind <> 3 ORDER BY path", [], |row| row.get(0))
        })
    }
}
