//! The environment at work: one connection, the catalog, and what a transaction has done so far.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use indexmap::IndexMap;
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::model::Catalog;
use super::refusal::Answer;
use super::webhooks::Post;
use super::{Error, builtin, storage, write};

/// Wall time, which a test may move forward.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_seconds: AtomicI64,
}

impl Clock {
    /// Seconds since the epoch.
    pub fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead_seconds.load(Ordering::Relaxed)
    }

    pub fn advance(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Created,
    Updated,
    Deleted,
}

/// Rows created, updated and deleted in one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// Everything behind the protocol. One request at a time.
pub struct Engine {
    pub conn: Connection,
    pub catalog: Arc<Catalog>,
    pub clock: Arc<Clock>,
    /// What was done in the open transaction, oldest first.
    pub deeds: Vec<(String, Deed)>,
    /// Notices to send once the open transaction is committed.
    pub posts: Vec<Post>,
    /// What was done in committed transactions, by table.
    pub tallies: IndexMap<String, Tally>,
    /// Committed notices, waiting to be taken away.
    pub outbox: Vec<Post>,
    /// Rows that earlier parts of the change set made, by their Content-ID.
    pub references: std::collections::HashMap<String, String>,
    /// Registered steps; forgotten when one of their tables changes.
    pub steps: Option<Arc<Vec<super::webhooks::Step>>>,
    /// Delta tokens of an earlier row version count as expired; moved by a test.
    pub delta_expired_before: i64,
    /// What the data provider knows of the services that it calls.
    pub provider: Arc<super::provider::Known>,
    version: i64,
    /// How many ids were given out, from a start by chance.
    ids: u64,
    salt: [u8; 3],
}

impl Engine {
    pub fn open(dir: Option<&Path>, clock: Arc<Clock>) -> Result<Engine, Error> {
        let (conn, catalog) = storage::open(dir)?;
        let version = storage::last_version(&conn, &catalog)?;
        let chance = Uuid::new_v4();
        let chance = (chance.as_u64_pair().0, *chance.as_bytes());
        let mut engine = Engine {
            conn,
            catalog: Arc::new(catalog),
            clock,
            deeds: Vec::new(),
            posts: Vec::new(),
            tallies: IndexMap::new(),
            outbox: Vec::new(),
            references: std::collections::HashMap::new(),
            steps: None,
            delta_expired_before: 0,
            provider: Arc::default(),
            version,
            ids: chance.0,
            salt: [chance.1[0], chance.1[1], chance.1[2]],
        };
        engine.seed()?;
        engine.seed_provider()?;
        Ok(engine)
    }

    /// A row version higher than all before.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    /// An id for a new row: of this moment and no other row's, without asking the kernel for chance each time.
    pub fn new_id(&mut self) -> Uuid {
        self.ids = self.ids.wrapping_add(1);
        let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        // Odd, so that no two numbers become one within the seven bytes that are kept.
        let mixed = self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        let mut rest = [0; 10];
        rest[..3].copy_from_slice(&self.salt);
        rest[3..].copy_from_slice(&mixed[..7]);
        uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    /// Runs `work` in one transaction: all of it is kept, or nothing.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Engine) -> Answer<T>) -> Answer<T> {
        // A request that ended in a defect may have left its transaction behind.
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        let catalog = self.catalog.clone();
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let result = work(self);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.conn.prepare_cached(end)?.execute([]);
        if let Err(error) = ended {
            // A commit that fails (a full disk) must not leave the transaction open.
            let _ = self.conn.execute_batch("ROLLBACK");
            self.forget(0, 0, catalog);
            return Err(error.into());
        }
        match result {
            Ok(value) => {
                self.settle();
                Ok(value)
            }
            Err(refusal) => {
                self.forget(0, 0, catalog);
                Err(refusal)
            }
        }
    }

    /// Runs `work` inside the open transaction: if it refuses, what it did is undone and the rest stays.
    pub fn nested<T>(&mut self, work: impl FnOnce(&mut Engine) -> Answer<T>) -> Answer<T> {
        let (deeds, posts, catalog) = (self.deeds.len(), self.posts.len(), self.catalog.clone());
        self.conn.prepare_cached("SAVEPOINT part")?.execute([])?;
        let result = work(self);
        if result.is_err() {
            self.conn.prepare_cached("ROLLBACK TO part")?.execute([])?;
            self.forget(deeds, posts, catalog);
        }
        self.conn.prepare_cached("RELEASE part")?.execute([])?;
        result
    }

    fn forget(&mut self, deeds: usize, posts: usize, catalog: Arc<Catalog>) {
        self.deeds.truncate(deeds);
        self.posts.truncate(posts);
        self.catalog = catalog;
        self.steps = None;
    }

    /// How many were ever created, updated or deleted here.
    pub fn rows_written(&self) -> u64 {
        self.tallies.values().map(|tally| tally.created + tally.updated + tally.deleted).sum()
    }

    fn settle(&mut self) {
        for (table, deed) in self.deeds.drain(..) {
            let tally = self.tallies.entry(table).or_default();
            match deed {
                Deed::Created => tally.created += 1,
                Deed::Updated => tally.updated += 1,
                Deed::Deleted => tally.deleted += 1,
            }
        }
        self.outbox.append(&mut self.posts);
    }

    /// The data provider of virtual tables, also in a folder that is older than they are.
    fn seed_provider(&mut self) -> Result<(), Error> {
        let providers = self.catalog.table("entitydataprovider").expect("entitydataprovider is built in").clone();
        if storage::exists(&self.conn, &providers, builtin::ODATA_PROVIDER)? {
            return Ok(());
        }
        let columns = [
            ("name", "\"OData v4 Data Provider\"".to_owned()),
            ("datasourcelogicalname", "\"msdyn_odatav4ds\"".to_owned()),
        ];
        self.transaction(|engine| write::seed(engine, "entitydataprovider", builtin::ODATA_PROVIDER, &columns))
            .map_err(|refusal| Error::Seed(refusal.message))?;
        self.tallies.clear();
        self.outbox.clear();
        Ok(())
    }

    /// Puts in the rows that every environment has, once.
    fn seed(&mut self) -> Result<(), Error> {
        let organization = self.catalog.table("organization").expect("organization is built in").clone();
        if storage::exists(&self.conn, &organization, builtin::ORGANIZATION)? {
            return Ok(());
        }
        let seeded = self.transaction(|engine| {
            for seed in builtin::rows() {
                write::seed(engine, seed.table, seed.id, &seed.columns)?;
            }
            for name in builtin::MESSAGES {
                let id = Uuid::now_v7();
                write::seed(engine, "sdkmessage", id, &[("name", format!("\"{name}\""))])?;
            }
            let tables: Vec<String> = engine.catalog.tables.keys().cloned().collect();
            tables.iter().try_for_each(|table| super::webhooks::add_filters(engine, table))
        });
        seeded.map_err(|refusal| Error::Seed(refusal.message))?;
        self.tallies.clear();
        self.outbox.clear();
        Ok(())
    }
}
