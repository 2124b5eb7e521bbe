//! The words that every other crate of Ironbridge speaks.
//!
//! It holds plain data (values, keys, rows, batches, changes, faults), the tables that describe what a connector can be
//! told ([`options`]), and the traits through which the hub sees the outside world ([`outside`]).
//!
//! It is not an engine: nothing here does IO, reads a clock, or knows a database, HTTP or a file format. `serde` stays
//! out of its public shape on purpose, so that no wire format can leak into the core.
//!
//! ```
//! use record::{Key, Row, Schema, Type, Value};
//!
//! let schema = Schema::of([("number", Type::Text { max_length: Some(20) }), ("credit_limit", Type::Money)]);
//! let row = Row::new(schema, vec![Value::text("C-1042"), Value::Decimal("5000.00".parse().unwrap())]);
//! let key = Key::of([row.get("number").unwrap()]).unwrap();
//! assert_eq!(key.to_string(), "C-1042");
//! ```

pub mod batch;
pub mod catalog;
pub mod change;
pub mod code;
pub mod entity;
pub mod fault;
pub mod guid;
pub mod hash;
pub mod key;
pub mod notice;
pub mod options;
pub mod outside;
pub mod query;
pub mod registration;
pub mod retry;
pub mod row;
pub mod schema;
pub mod secret;
pub mod value;
pub mod virtual_table;

pub use batch::{Batch, BatchBuilder, Kinds, RowRef, UnreadBuilder};
pub use catalog::Catalog;
pub use change::{Attempt, Change, Current, Effected, Op, Outcome, Written, gone_meanwhile};
pub use code::Code;
pub use entity::{Entity, EntityField};
pub use fault::{Effect, Fault, Now, Place, Scope, Why};
pub use jiff::tz::TimeZone;
pub use key::{Key, KeyError, KeyHasher, KeyRules};
pub use notice::{Notice, NoticeKind, Severity};
pub use options::{Field, FieldType, Keeps, Kind, OptionValue, Options};
pub use outside::{
    Automation, BoxFuture, Happened, Health, Moment, Notify, Page, ReadKind, ReadSpec, Reader, Right, Signal, Sink,
    Source, System, TableUse, Unreadable, Watermark, WriteLines, WriteSpec,
};
pub use query::{Query, Queryable};
pub use registration::{Difference, How, Registration, WantedKey};
pub use retry::RetryPolicy;
pub use row::Row;
pub use rust_decimal::Decimal;
pub use schema::{Column, Schema, Type};
pub use secret::{Secret, Secrets};
pub use value::{Reference, Value, ValueRef};
pub use virtual_table::{Published, VirtualColumn, VirtualTable};
