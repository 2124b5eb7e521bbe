//! The codes of what a run can meet.

use record::Code;

/// Something is read and checked, and nothing runs it yet.
pub const NOT_YET_RUNNABLE: Code = Code("IB0007");
/// Two rows of the source have one key, as the destination compares keys.
pub const KEY_TWICE: Code = Code("IB0402");
/// A row was changed or deleted between a look and a write.
pub const CHANGED_MEANWHILE: Code = Code("IB0511");
/// A row points to a row that the destination does not have.
pub const REFERENCE_MISSING: Code = Code("IB0515");
/// A system has no request for what is asked of it.
pub const NO_REQUEST: Code = Code("IB0510");
/// A system lacks a table that the definition names.
pub const TABLE_MISSING: Code = Code("IB0504");
/// The alternate key that rows are written by is missing, or not active.
pub const ALTERNATE_KEY: Code = Code("IB0506");
/// A source lacks a column that the mapping reads.
pub const COLUMN_MISSING: Code = Code("IB0603");
/// A column of a source holds something else than when the integration last ran, and the mapping does not allow for it.
pub const RETYPED: Code = Code("IB0635");
/// More rows were rejected than `stop_after` allows.
pub const TOO_MANY_REJECTED: Code = Code("IB0701");
/// The counts of a run do not add up.
pub const DOES_NOT_ADD_UP: Code = Code("IB0702");
/// More rows are gone from the source than `max_deletes` allows.
pub const TOO_MANY_GONE: Code = Code("IB0704");
/// A source gave no row, or fewer than `min_rows`.
pub const TOO_FEW_ROWS: Code = Code("IB0705");
/// Rows that are gone cannot be treated as `deletes:` says.
pub const CANNOT_REMOVE: Code = Code("IB0706");
/// A row that is gone from the source is in the destination, and nothing says that the hub wrote it.
pub const NOT_KNOWN_AS_OURS: Code = Code("IB0707");
/// A row of the destination is not as the hub wrote it, and nobody has changed the source.
pub const DRIFTED: Code = Code("IB0708");
/// A row is to be created, and several rows that were there before match it.
pub const SEVERAL_MATCH: Code = Code("IB0709");
/// A row that is gone from the source has another key in the destination now.
pub const GONE_AND_MOVED: Code = Code("IB0750");
/// Both sides of a two-way integration changed a field that neither masters.
pub const BOTH_CHANGED: Code = Code("IB0720");
/// An entity cannot go both ways between two systems.
pub const NOT_BOTH_WAYS: Code = Code("IB0721");
/// A system does not keep a field as it is given.
pub const NOT_KEPT: Code = Code("IB0722");
/// A row is gone from one side of a two-way integration, and was changed on the other.
pub const GONE_AND_CHANGED: Code = Code("IB0723");
/// Lines point to a row, and nothing says by which of its columns.
pub const LINES_WITHOUT_LINK: Code = Code("IB0751");
/// Lines become rows of a table, and nothing tells those of one document apart.
pub const LINES_WITHOUT_KEY: Code = Code("IB0752");
/// An event cannot be read: it is not JSON, or not what its system sends.
pub const EVENT_UNREADABLE: Code = Code("IB0801");
/// A destination did not return a field that goes home.
pub const NOT_RETURNED: Code = Code("IB0802");
/// A row was deleted in the source, and nothing says which one it was.
pub const DELETED_WITHOUT_KEY: Code = Code("IB0803");
/// A message was delivered as often as may be, and never to an end: the hub ended each time.
pub const NEVER_SETTLED: Code = Code("IB0806");
/// A mapping does not fit the live system.
pub const MAPPING_DOES_NOT_FIT: Code = Code("IB0703");
/// A saved plan does not fit the world any more.
pub const WORLD_MOVED: Code = Code("IB0730");
/// A row is not as it was when the plan was looked at.
pub const NOT_AS_PLANNED: Code = Code("IB0731");
/// A run would write more than it may without an approval.
pub const MORE_THAN_PLANNED: Code = Code("IB0732");
/// Somebody said no to the plan of a run.
pub const NOT_APPROVED: Code = Code("IB0733");
/// A source cannot be read by a window of time.
pub const NO_WINDOW: Code = Code("IB0736");
/// The condition of an approval cannot be told.
pub const APPROVE_WHEN: Code = Code("IB0737");
/// Nobody has looked at dead letters in time.
pub const NOT_REVIEWED: Code = Code("IB1036");
/// The result of an integration was needed by now, and is not there.
pub const LATE: Code = Code("IB0739");
/// A formula of a flow has no value.
pub const FLOW_FORMULA: Code = Code("IB1201");
/// An approval has nobody who may decide.
pub const NOBODY_DECIDES: Code = Code("IB1202");
/// An instance of a flow follows a version of its definition that cannot be read, or has not its step.
pub const FLOW_VERSION: Code = Code("IB1203");
/// A look at an instance of a flow ended with a panic.
pub const FLOW_PANIC: Code = Code("IB1218");
/// A loop of a flow has more lines than it takes.
pub const TOO_MANY_LINES: Code = Code("IB1212");
/// A flow is about a record, or writes one, that is not there.
pub const FLOW_RECORD: Code = Code("IB1204");
/// A form was not filled in as it has to be.
pub const FORM_WRONG: Code = Code("IB1215");
/// Somebody may not start this flow.
pub const NOT_A_STARTER: Code = Code("IB1216");
