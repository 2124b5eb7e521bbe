//! `decisions/*.yaml`: what was asked before something was built, what was answered, and what came of it.

use crate::table::{Field, Shape, TEXT, Table, Thing, YES_NO, one_of, whole};

/// What can be recommended, the simplest first.
pub(crate) const OUTCOMES: &[&str] = &[
    "nothing",
    "report",
    "platform_virtual",
    "power_automate",
    "dual_write",
    "batch",
    "virtual",
    "flow",
    "event",
    "plug_in",
];

pub(crate) const ABOUT: &[&str] =
    &["records", "documents", "stock", "credit_status", "payment", "check", "figures", "files", "messages"];
pub(crate) const PLACES: &[&str] = &[
    "dynamics",
    "finance_and_operations",
    "microsoft_365",
    "sharepoint_or_excel",
    "sql_in_the_cloud",
    "sql",
    "api",
    "files",
    "nowhere",
];
pub(crate) const LATE: &[&str] = &["nothing", "annoying", "costly", "stops"];
pub(crate) const LOOKS: &[&str] = &["nobody", "a_few", "many", "a_program"];
pub(crate) const DECIDES: &[&str] = &["nobody", "a_person", "several"];
pub(crate) const STORED: &[&str] = &["stored", "seen", "neither"];

pub(crate) const DECISION: Table = Table {
    name: "a decision",
    doc: "What was asked before something was built, what was answered, and what came of it. `ironbridge advise` writes it, and `check` warns when reality has moved away from it.",
    parts: &[&[
        Field::new("decision", Shape::Name, "Its name, the same as that of the integration.", "customers").required(),
        Field::new("date", Shape::Date, "When it was decided.", "2026-11-26").required(),
        Field::new("who", TEXT, "Who decided.", "finance-it").required(),
        Field::new(
            "answers",
            Shape::Group(&ANSWERS),
            "The questions with their answers.",
            "{ wish: Sales see new customers., late: annoying, looks: many, a_day: 50, stored: stored }",
        )
        .required(),
        Field::new("recommended", one_of(OUTCOMES), "What was recommended.", "batch").required(),
        Field::new("chosen", one_of(OUTCOMES), "What was chosen.", "batch").required(),
        Field::new("reason", TEXT, "Why, in words.", "Half an hour late costs nothing.").required(),
        Field::new(
            "against_advice_because",
            TEXT,
            "Why something else was chosen than what was recommended.",
            "The warehouse is told by telephone until spring.",
        ),
        Field::new("integration", Shape::Ref(Thing::Integration), "What was built.", "customers"),
        super::accept::ACCEPT,
    ]],
};

pub(crate) const ANSWERS: Table = Table {
    name: "answers",
    doc: "What `ironbridge advise` asks. The same keys stand in a file for `--answers`.",
    parts: &[&[
        Field::new(
            "wish",
            TEXT,
            "What should be there, for whom, in one sentence?",
            "Sales see new customers of finance.",
        )
        .required(),
        Field::new("about", one_of(ABOUT), "What is it about?", "records").default("records"),
        Field::new("from_is", one_of(PLACES), "Where is it now?", "sql").default("sql"),
        Field::new("to_is", one_of(PLACES), "Where should it be?", "dynamics").default("dynamics"),
        Field::new("late", one_of(LATE), "What goes wrong if this is 30 minutes late?", "annoying").required(),
        Field::new("looks", one_of(LOOKS), "Who looks at it?", "many").required(),
        Field::new("a_day", whole(0, 1_000_000_000), "How many change in a day, now?", "50").required(),
        Field::new(
            "in_three_years",
            whole(0, 1_000_000_000),
            "And how many a day in three years? By default as many.",
            "200",
        ),
        Field::new("may_be_lost", YES_NO, "May one be lost without anybody missing it?", "false").default("false"),
        Field::new("decides", one_of(DECIDES), "Does anyone decide about each of them?", "nobody").default("nobody"),
        Field::new("stored", one_of(STORED), "Must it be stored in Dynamics, or only seen there?", "stored").required(),
        Field::new("worked_with", YES_NO, "Does Dynamics search, chart, audit or start anything with it?", "true")
            .default("false"),
        Field::new("both_ways", YES_NO, "Is it changed on both sides?", "false").default("false"),
        Field::new(
            "by_hand",
            whole(0, 100_000),
            "How many minutes a month does it take by hand? Leave it out where nobody could.",
            "20",
        ),
        Field::new("rate", whole(0, 100_000), "What does a day of your people cost?", "650").default("600"),
        Field::new("currency", TEXT, "In which currency?", "GBP").default("EUR"),
        Field::new("licences", whole(0, 1_000_000), "How many paid Dynamics 365 users are there?", "120").default("20"),
        Field::new("from", TEXT, "The system of the project that has it.", "finance"),
        Field::new("to", TEXT, "The system of the project that should get it.", "dynamics"),
        Field::new("entity", TEXT, "The entity of the project that it is.", "customer"),
    ]],
};
