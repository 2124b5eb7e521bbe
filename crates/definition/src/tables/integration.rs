//! `integrations/*.yaml`: what all have, and what each pattern has.

use super::accept::ACCEPT;
use crate::table::{DURATION, Field, PERCENTAGE, Shape, TEXT, Table, Thing, YES_NO, one_of, whole};

pub(crate) const PATTERNS: &[&str] = &["batch", "event", "virtual", "flow"];

const COMMON: &[Field] = &[
    Field::new("integration", Shape::Name, "The name of the integration.", "customers").required(),
    Field::new(
        "pattern",
        one_of(PATTERNS),
        "How it moves things: on a schedule, when something happens, when somebody looks, or with a person in it.",
        "batch",
    )
    .required(),
    Field::new("owner", Shape::Ref(Thing::Owner), "Who answers for it and hears when it is late.", "finance-it")
        .required(),
    Field::new(
        "purpose",
        TEXT,
        "One sentence that the business would recognise.",
        "Sales see a new finance customer within half an hour.",
    )
    .required(),
    ACCEPT,
    Field::new(
        "dead_letters",
        Shape::Group(&DEAD_LETTERS),
        "What is expected of people about its dead letters.",
        "{ reviewed_within: 1 day }",
    )
    .default("{}"),
];

const DEAD_LETTERS: Table = Table {
    name: "the dead letters",
    doc: "What is expected of people about what the hub gave up on.",
    parts: &[&[
        Field::new(
            "reviewed_within",
            DURATION,
            "One that nobody has looked at for longer is an alert.",
            "1 day",
        )
        .default("2 days"),
        Field::new(
            "edit_and_retry",
            YES_NO,
            "Whether a person may send a changed copy: of events whose message is the record (`payload: as_sent`). Its key and personal fields cannot be changed.",
            "true",
        )
        .default("false"),
        Field::new(
            "discarded_for",
            DURATION,
            "For how long a discarded one can be restored; then it goes for good.",
            "90 days",
        )
        .default("30 days"),
    ]],
};

const FROM: Field = Field::new("from", Shape::Ref(Thing::System), "The system that is read.", "finance");
const TO: Field = Field::new("to", Shape::Ref(Thing::System), "The system that is written.", "dynamics");
const ENTITY: Field = Field::new("entity", Shape::Ref(Thing::Entity), "The entity that it moves.", "customer");

pub(crate) const BATCH: Table = Table {
    name: "a batch integration",
    doc: "Reads what changed since the last run and writes what is different, on a schedule. The default.",
    parts: &[
        COMMON,
        &[
            ENTITY,
            Field::new(
                "entities",
                Shape::Many(&Shape::Ref(Thing::Entity)),
                "Several entities of one snapshot; they are written in the order of their references.",
                "[customer, contact]",
            ),
            FROM,
            TO,
            Field::new(
                "between",
                Shape::Many(&Shape::Ref(Thing::System)),
                "Both ways between two systems, instead of `from` and `to`; `master` decides by field.",
                "[finance, dynamics]",
            ),
            Field::new(
                "creates_in",
                Shape::Many(&Shape::Ref(Thing::System)),
                "Of a two-way integration: where rows that only the other side has are created; by default in both.",
                "[finance, dynamics]",
            ),
            Field::new(
                "conflict",
                one_of(&["newest", "ask"]),
                "Of a two-way integration: what happens to a field with no master that changed on both sides.",
                "ask",
            ),
            Field::new("schedule", Shape::Schedule, "When it runs.", "every 15 minutes").required(),
            Field::new(
                "missed",
                one_of(&["run_once", "run_all", "skip"]),
                "What happens to runs that were due while the hub was down.",
                "run_once",
            )
            .default("run_once"),
            Field::new(
                "overlap",
                one_of(&["skip", "queue_one"]),
                "What happens when a run is due while one is under way.",
                "skip",
            )
            .default("skip"),
            Field::new(
                "retry_run",
                Shape::Every { off: true },
                "How often a failed run tries again by itself.",
                "every 10 minutes",
            )
            .default("every 10 minutes"),
            Field::new(
                "needed_by",
                Shape::NeededBy,
                "When the result is needed: people hear of it when this is missed. A time since the last good run, or a time of the day.",
                "1 hour",
            ),
            Field::new(
                "deletes",
                one_of(&["ignore", "deactivate", "delete"]),
                "What happens to rows that are gone from the source; only to rows that this hub made or adopted.",
                "deactivate",
            )
            .default("ignore"),
            Field::new(
                "max_deletes",
                PERCENTAGE,
                "A run that would delete or deactivate more than this stops and asks.",
                "5 %",
            )
            .default("5 %"),
            Field::new("returns_active", YES_NO, "A deactivated row that comes back becomes active again.", "true")
                .default("true"),
            Field::new(
                "min_rows",
                Shape::MinRows,
                "A source that gives fewer rows stops the run before anything is deleted.",
                "80 % of usual",
            ),
            Field::new(
                "stop_after",
                Shape::Group(&STOP_AFTER),
                "How many rejected rows end a run.",
                "{ rejected: 200, or: 10 % }",
            )
            .default("{}"),
            Field::new(
                "first_load",
                Shape::Group(&FIRST_LOAD),
                "Who approves the first load.",
                "{ approve: finance-it }",
            ),
            Field::new(
                "approve",
                Shape::Group(&APPROVE_RUN),
                "Runs that wait until somebody has looked at their plan.",
                "{ when: =changes.count > 200, by: finance-it }",
            ),
            Field::new(
                "compare_live",
                Shape::Cadence,
                "How often the destination is compared with what was written, to find edits made behind our back.",
                "weekly",
            )
            .default("off"),
            Field::new(
                "drift",
                one_of(&["report", "overwrite"]),
                "What happens to what the comparison finds.",
                "report",
            )
            .default("report"),
        ],
    ],
};

const STOP_AFTER: Table = Table {
    name: "an end of a run",
    doc: "How many rejected rows end a run.",
    parts: &[&[
        Field::new("rejected", whole(1, 1_000_000), "So many rejected rows.", "200").default("1000"),
        Field::new("or", PERCENTAGE, "So many of all rows.", "10 %").default("10 %"),
        Field::new(
            "first_rows_alike",
            whole(1, 100_000),
            "So many rows from the start, all rejected for one reason.",
            "50",
        )
        .default("50"),
    ]],
};

const FIRST_LOAD: Table = Table {
    name: "a first load",
    doc: "The first time that rows are written.",
    parts: &[&[Field::new("approve", Shape::Ref(Thing::Who), "Who looks at the plan first.", "finance-it").required()]],
};

const APPROVE_RUN: Table = Table {
    name: "an approval of a run",
    doc: "Runs that wait until somebody has looked at their plan.",
    parts: &[&[
        Field::new(
            "when",
            Shape::Formula,
            "Over `changes`: count, created, updated, deleted, and percent of the rows that the hub has written.",
            "=changes.count > 200",
        )
        .required(),
        Field::new("by", Shape::Ref(Thing::Who), "Who looks.", "finance-it").required(),
    ]],
};

pub(crate) const EVENT: Table = Table {
    name: "an event integration",
    doc: "Something happens in one system, and the others hear of it within seconds.",
    parts: &[
        COMMON,
        &[
            ENTITY.required(),
            FROM.required(),
            Field::new(
                "to",
                Shape::OneOrMany(&Shape::Ref(Thing::System)),
                "The destinations: each has its own progress and its own dead letters.",
                "[erp]",
            )
            .required(),
            Field::new("trigger", Shape::Group(&TRIGGER), "What counts as an event.", "{ rows: [created, updated] }")
                .required(),
            Field::new(
                "because",
                TEXT,
                "Why a batch every few minutes would not do.",
                "Stock is allocated at the moment the order is placed.",
            ),
            Field::new(
                "payload",
                one_of(&["fetch", "as_sent"]),
                "Whether the row is fetched when the event is processed, or taken as the event carried it.",
                "fetch",
            )
            .default("fetch"),
            Field::new(
                "order_by",
                Shape::FieldName,
                "Events of one value of this field stay in order; by default of one key.",
                "number",
            ),
            Field::new(
                "write_back",
                Shape::Many(&Shape::FieldName),
                "Fields that the destination returned and that go home.",
                "[erp_number]",
            )
            .default("[]"),
            Field::new(
                "after_dead_letter",
                one_of(&["hold_key", "continue"]),
                "Whether later events of that key wait (documents) or pass (snapshots).",
                "hold_key",
            )
            .default("hold_key"),
            Field::new(
                "retry",
                Shape::Group(&RETRY),
                "How long a failing message tries again.",
                "{ for: 30 minutes, then: dead_letter }",
            )
            .default("{}"),
            Field::new(
                "sweep",
                Shape::Every { off: true },
                "How often change tracking is asked for what an event dropped.",
                "every 15 minutes",
            )
            .default("every 15 minutes"),
            Field::new(
                "without_sweep_because",
                TEXT,
                "Why nothing asks for dropped events: only with `sweep: off`.",
                "The source sends every event again until it is acknowledged.",
            ),
            Field::new(
                "needed_by",
                Shape::NeededBy,
                "When the result of an event is needed: people hear of it when this is missed.",
                "10 minutes",
            ),
        ],
    ],
};

pub(crate) const TRIGGER: Table = Table {
    name: "a trigger",
    doc: "What counts as an event.",
    parts: &[&[
        Field::new(
            "rows",
            Shape::Many(&one_of(&["created", "updated", "deleted"])),
            "What happened to the row.",
            "[created, updated]",
        )
        .required(),
        Field::new("columns", Shape::Many(&TEXT), "Only when one of these columns changed.", "[statuscode]")
            .default("[]"),
        Field::new("if", Shape::Formula, "Only when this is true of the entity.", "'=status = \"submitted\"'"),
    ]],
};

const RETRY: Table = Table {
    name: "a retry",
    doc: "How long a failing message tries again.",
    parts: &[&[
        Field::new("for", DURATION, "For how long.", "30 minutes").default("30 minutes"),
        Field::new("then", one_of(&["dead_letter"]), "What happens then.", "dead_letter").default("dead_letter"),
    ]],
};

pub(crate) const VIRTUAL: Table = Table {
    name: "a virtual integration",
    doc: "Somebody looks at a virtual table, and the source answers live. Nothing is copied.",
    parts: &[
        COMMON,
        &[
            ENTITY.required(),
            FROM.required(),
            TO.required(),
            Field::new(
                "without_filter",
                one_of(&["empty", "refuse"]),
                "What a query without a filter gets, where the source cannot list.",
                "empty",
            )
            .default("empty"),
            Field::new("timeout", DURATION, "How long the source may take.", "5 seconds").default("5 seconds"),
            Field::new("cache", DURATION, "How long an answer may be given again.", "30 seconds").default("0 seconds"),
            Field::new(
                "max_rows",
                whole(1, 50_000),
                "The most rows that the hub looks through where the source cannot decide a query itself.",
                "5000",
            )
            .default("5000"),
            Field::new(
                "expose",
                Shape::Many(&Shape::FieldName),
                "The fields that are shown; by default every field that is not personal.",
                "[sku, warehouse, quantity]",
            )
            .default("[]"),
        ],
    ],
};
