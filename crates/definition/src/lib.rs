//! Reads a project's folder of YAML and checks it: every problem at once, where it is, and what to write instead.
//!
//! What comes out is plain data with every default filled in ([`Project`]), or diagnostics ([`Diagnostic`]), or both when
//! there are only warnings. What may stand in a file is written down once, in field tables, which drive decoding,
//! messages, `show`, the JSON Schema and the reference page.
//!
//! It is not a place for IO beyond reading the project's files: connectors' options ([`record::Kind`]), live columns
//! ([`record::Catalog`]) and secrets come in as values. It runs nothing.
//!
//! ```
//! use definition::{LoadOptions, load_files};
//!
//! let loaded = load_files([("ironbridge.yaml", "hub: contoso\ntimezone: Europe/London\n")], &LoadOptions::default());
//! assert!(loaded.project.is_none());
//! assert_eq!(
//!     loaded.render(false, 100),
//!     "\
//! error[IB0110]: unknown key `timezone`
//!  --> ironbridge.yaml:2:1
//!   |
//! 2 | timezone: Europe/London
//!   | ^^^^^^^^ the hub has no such key
//!   |
//!   = note: allowed: hub, time_zone, calendar, alerts, mail, heartbeat, address, retention, accept
//!   = help: did you mean `time_zone`?"
//! );
//! ```

pub mod advise;
mod build;
pub mod codes;
mod compare;
mod decode;
mod decoded;
mod diagnostic;
mod documents;
mod draft;
mod expect;
mod files;
mod flow_picture;
mod graph;
mod impact;
mod load;
mod measured;
mod model;
mod promote;
mod reference;
mod rules;
mod sarif;
mod schema;
mod sheet;
mod show;
mod suggest;
mod table;
mod tables;
mod units;
mod yaml;

pub use record::Code;

pub use compare::{Changed, Effect, Written, compare};
pub use decode::is_reserved;
pub use diagnostic::{Diagnostic, Place, Secondary, Severity};
pub use draft::{Drafted, LiveTable, Sample, draft};
pub use expect::{Expectation, Rows, differences, exact_number};
pub use files::{File, FileId, Files, Span};
pub use flow_picture::{Standing, flow_svg};
pub use graph::{Marked, mermaid, svg};
pub use impact::{Subject, Touched, impact, subjects, uses};
pub use load::{LoadOptions, Loaded, load, load_files};
pub use measured::{History, Measured};
pub use model::*;
pub use promote::{Promoted, promote};
pub use reference::reference;
pub use rules::accept::{ACCEPTABLE, Accepted};
pub use sarif::Report;
pub use sheet::{Examples, SheetLine, examples, remarks, sheet};
pub use show::{Line, Origin, show};
pub use units::{Hours, MinRows, NeededBy, Schedule, Wait, duration, percentage};
