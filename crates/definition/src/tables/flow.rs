//! The pattern `flow`: its fields and its steps.

use crate::table::{Field, Shape, TEXT, Table, Thing, YES_NO, one_of, whole};

use super::form::{ANSWER_FIELD, FORM_FIELD};

pub(crate) const FLOW: Table = Table {
    name: "a flow",
    doc: "Low-volume work with a person in it.",
    parts: &[&[
        Field::new("integration", Shape::Name, "The name of the flow.", "credit-limit").required(),
        Field::new("pattern", one_of(super::integration::PATTERNS), "`flow`.", "flow").required(),
        Field::new(
            "owner",
            Shape::Ref(Thing::Owner),
            "Who answers for it and hears when it is stuck.",
            "credit-control",
        )
        .required(),
        Field::new(
            "purpose",
            TEXT,
            "One sentence that the business would recognise.",
            "Credit limits are raised by people, not by code.",
        )
        .required(),
        super::accept::ACCEPT,
        Field::new(
            "criticality",
            one_of(&["low", "normal", "business_critical"]),
            "What stops when it stops. A business-critical flow is refused.",
            "normal",
        )
        .default("normal"),
        Field::new(
            "trigger",
            Shape::Group(&TRIGGER),
            "What starts it.",
            "{ entity: credit_request, in: dynamics, rows: [created] }",
        )
        .required(),
        Field::new(
            "volume",
            Shape::Group(&VOLUME),
            "How many start in a day.",
            "{ expected: 30 a day, ceiling: 200 a day }",
        )
        .default("{}"),
        Field::new("steps", Shape::Steps, "What it does, in order.", "[{ set: { outcome: =\"approved\" } }]")
            .required(),
    ]],
};

const TRIGGER: Table = Table {
    name: "the trigger of a flow",
    doc: "What starts it.",
    parts: &[
        &[
            Field::new("entity", Shape::Ref(Thing::Entity), "The entity that it is about.", "credit_request")
                .required(),
            Field::new("in", Shape::Ref(Thing::System), "The system in which something happens.", "dynamics")
                .required(),
        ],
        &[
            Field::new(
                "rows",
                Shape::Many(&one_of(&["created", "updated", "deleted"])),
                "What happened to the record.",
                "[created]",
            )
            .default("[]"),
            Field::new("columns", Shape::Many(&TEXT), "Only when one of these columns changed.", "[statuscode]")
                .default("[]"),
            Field::new(
                "schedule",
                Shape::Schedule,
                "At these times it starts for each record for which `if` is true.",
                "weekdays at 08:00",
            ),
            Field::new(
                "call",
                YES_NO,
                "Whether `POST /flows/NAME` starts it, with a key of the `webhooks:` of the system.",
                "true",
            )
            .default("false"),
            Field::new(
                "form",
                Shape::Named("field of the form", &Shape::Group(&FORM_FIELD)),
                "A form in the console starts it, for a record that is there. Formulas read `form.NAME`, and `form.by` for whoever filled it in.",
                "{ reason: { type: multiline, required: true } }",
            ),
            Field::new(
                "started_by",
                Shape::OneOrMany(&Shape::Ref(Thing::Who)),
                "Who may start one with the form; by default whoever may operate the hub.",
                "[group:sales]",
            ),
            Field::new("if", Shape::Formula, "Only when this is true of the record.", "=requested > 0"),
        ],
    ],
};

const VOLUME: Table = Table {
    name: "the volume of a flow",
    doc: "How many start in a day: warned at 80 % of the ceiling, held above it, refused at ten times.",
    parts: &[&[
        Field::new("expected", Shape::Rate, "What is usual.", "30 a day"),
        Field::new("ceiling", Shape::Rate, "Above it new starts are held.", "200 a day").default("500 a day"),
    ]],
};

/// The steps by the key that says which one it is.
pub(crate) const STEPS: &[(&str, &Table)] = &[
    ("if", &IF),
    ("switch", &SWITCH),
    ("apply_to_each", &APPLY_TO_EACH),
    ("parallel", &PARALLEL),
    ("scope", &SCOPE),
    ("approve", &APPROVE),
    ("set", &SET),
    ("read", &READ),
    ("write", &WRITE),
    ("notify", &NOTIFY),
    ("child_flow", &CHILD_FLOW),
    ("wait_for", &WAIT_FOR),
    ("delay_until", &DELAY_UNTIL),
    ("delay", &DELAY),
    ("wait", &WAIT),
    ("terminate", &TERMINATE),
];

const IF: Table = Table {
    name: "a condition",
    doc: "One way or the other.",
    parts: &[&[
        Field::new("if", Shape::Formula, "True or false.", "=requested <= 5000").required(),
        Field::new("then", Shape::Steps, "The steps when it is true.", "[{ set: { outcome: =\"approved\" } }]")
            .required(),
        Field::new("else", Shape::Steps, "The steps when it is not.", "[{ set: { outcome: =\"rejected\" } }]"),
    ]],
};

const SWITCH: Table = Table {
    name: "a switch",
    doc: "One way of several, by the text of a value.",
    parts: &[&[
        Field::new("switch", Shape::Formula, "What decides.", "=customer.terms").required(),
        Field::new(
            "cases",
            Shape::Named("a case", &Shape::Steps),
            "The steps for each value.",
            "{ net30: [{ set: { outcome: =\"approved\" } }] }",
        )
        .required(),
        Field::new("default", Shape::Steps, "The steps for any other value.", "[{ set: { outcome: =\"rejected\" } }]"),
    ]],
};

const APPLY_TO_EACH: Table = Table {
    name: "a loop",
    doc: "The same steps for each line of the record, which they read as `item`.",
    parts: &[&[
        Field::new("apply_to_each", Shape::FieldName, "The field that holds the lines.", "lines").required(),
        Field::new("at_most", whole(1, 1_000), "With more lines than this it stops before the first.", "50")
            .default("100"),
        Field::new(
            "do",
            Shape::Steps,
            "The steps for one of them.",
            "[{ notify: { to: controller, text: =item.product } }]",
        )
        .required(),
    ]],
};

const PARALLEL: Table = Table {
    name: "parallel branches",
    doc: "Several ways at once; it goes on when all of them have ended.",
    parts: &[&[Field::new(
        "parallel",
        Shape::Named("a branch", &Shape::Steps),
        "The steps of each branch.",
        "{ legal: [{ wait: 1 day }], credit: [{ wait: 2 days }] }",
    )
    .required()]],
};

const SCOPE: Table = Table {
    name: "a scope",
    doc: "Steps that belong together. Later steps read its `.outcome`, `done` or `failed`, and its `.comment`.",
    parts: &[&[
        Field::new("scope", Shape::Name, "Its name.", "tell_finance").required(),
        Field::new("steps", Shape::Steps, "The steps.", "[{ set: { outcome: =\"approved\" } }]").required(),
        Field::new(
            "if_failed",
            Shape::Steps,
            "The steps instead of the rest, once one of them has failed for good.",
            "[{ notify: { to: controller, text: =\"It could not be written.\" } }]",
        )
        .required(),
    ]],
};

const CHILD_FLOW: Table = Table {
    name: "a child flow",
    doc: "Starts another flow for a record, and goes on when that has ended.",
    parts: &[&[
        Field::new("child_flow", Shape::Ref(Thing::Integration), "The other flow.", "check-supplier").required(),
        Field::new(
            "key",
            Shape::OneOrMany(&Shape::Formula),
            "The key of the record that it is about.",
            "=supplier.number",
        )
        .required(),
        Field::new("as", Shape::Name, "Later steps read `NAME.outcome`: `done` or `cancelled`.", "supplier_check"),
    ]],
};

const WAIT_FOR: Table = Table {
    name: "a step that waits for something",
    doc: "Goes on as soon as something is true of the record, or when it took too long.",
    parts: &[&[
        Field::new("wait_for", Shape::Formula, "What has to be true.", "=status = \"paid\"").required(),
        Field::new("at_most", Shape::Wait, "Then it goes on all the same.", "10 working days").required(),
        Field::new("as", Shape::Name, "Later steps read `NAME.outcome`: `happened` or `timed_out`.", "payment"),
    ]],
};

const DELAY_UNTIL: Table = Table {
    name: "a delay until",
    doc: "Goes on at a time, at once where that has passed.",
    parts: &[&[Field::new("delay_until", Shape::Formula, "A date or a time.", "=DateAdd(due_on, -3)").required()]],
};

const DELAY: Table = Table {
    name: "a delay",
    doc: "Goes on later.",
    parts: &[&[Field::new("delay", Shape::Wait, "For how long.", "2 working days").required()]],
};

const TERMINATE: Table = Table {
    name: "a step that ends the flow",
    doc: "Ends the instance here.",
    parts: &[&[Field::new(
        "terminate",
        Shape::TextOrFormula,
        "Why, for whoever looks later.",
        "=\"Nothing is owed.\"",
    )
    .required()]],
};

const APPROVE: Table = Table {
    name: "an approval",
    doc: "A question to people. Later steps read its `.outcome`, `.by` and `.comment`.",
    parts: &[&[
        Field::new("approve", Shape::Name, "The name of the decision.", "decision").required(),
        Field::new("ask", Shape::TextOrFormula, "The question.", "=$\"Raise {customer.name} to {requested}?\"")
            .required(),
        Field::new("of", Shape::Group(&OF), "Who decides.", "{ one_of: [group:credit-control], not: =requested_by }")
            .required(),
        Field::new(
            "comment",
            one_of(&["optional", "required", "required_to_reject"]),
            "Whether an answer has to say why.",
            "required_to_reject",
        )
        .default("optional"),
        Field::new(
            "form",
            Shape::Named("field of the form", &Shape::Group(&ANSWER_FIELD)),
            "What is filled in with the answer. Later steps read it as `NAME.field`.",
            "{ granted: { type: money, required: true, default: =requested, with: approved } }",
        ),
        Field::new("remind", Shape::Every { off: true }, "How often they are reminded.", "every 1 working day")
            .default("every 1 working day"),
        Field::new(
            "escalate",
            Shape::Group(&ESCALATE),
            "Who is asked as well, and when.",
            "{ after: 2 working days, to: [group:finance-directors] }",
        ),
        Field::new(
            "deadline",
            Shape::Group(&DEADLINE),
            "When nobody answered, and what that means.",
            "{ after: 5 working days, outcome: rejected }",
        )
        .required(),
        Field::new(
            "if_changed",
            Shape::Many(&TEXT),
            "A change of these asks again.",
            "[requested, customer.credit_limit]",
        )
        .default("[]"),
    ]],
};

const OF: Table = Table {
    name: "the people who decide",
    doc: "One of them, all of them, or some of them.",
    parts: &[&[
        Field::new(
            "one_of",
            Shape::Many(&Shape::Ref(Thing::Who)),
            "The first answer decides.",
            "[group:credit-control]",
        ),
        Field::new(
            "all_of",
            Shape::Many(&Shape::Ref(Thing::Who)),
            "Everybody agrees, or it is rejected.",
            "[controller, director]",
        ),
        Field::new(
            "in_order",
            Shape::Many(&Shape::Ref(Thing::Who)),
            "Everybody agrees, one after the other.",
            "[controller, director]",
        ),
        Field::new(
            "some_of",
            Shape::Many(&Shape::Ref(Thing::Who)),
            "So many of them as `at_least` says.",
            "[group:credit-control]",
        ),
        Field::new("at_least", whole(1, 100), "With `some_of`: how many agree.", "2"),
        Field::new("not", Shape::Formula, "A person who may not decide.", "=requested_by"),
    ]],
};

const ESCALATE: Table = Table {
    name: "an escalation",
    doc: "Who is asked as well, and when.",
    parts: &[&[
        Field::new("after", Shape::Wait, "So long after the question.", "2 working days").required(),
        Field::new("to", Shape::OneOrMany(&Shape::Ref(Thing::Who)), "Who is asked.", "[group:finance-directors]")
            .required(),
    ]],
};

const DEADLINE: Table = Table {
    name: "a deadline",
    doc: "When nobody answered, and what that means.",
    parts: &[&[
        Field::new("after", Shape::Wait, "So long after the question.", "5 working days").required(),
        Field::new("outcome", one_of(&["approved", "rejected"]), "What counts then.", "rejected").required(),
    ]],
};

const SET: Table = Table {
    name: "a step that sets fields",
    doc: "Writes fields of the record that the flow is about, where it came from.",
    parts: &[&[
        Field::new("set", Shape::Assignments, "Each field with its value.", "{ outcome: =\"approved\" }").required()
    ]],
};

const READ: Table = Table {
    name: "a step that reads",
    doc: "Reads another record; later formulas read its fields as `NAME.field`, and `NAME.outcome` is `found` or `missing`.",
    parts: &[&[
        Field::new("read", Shape::Name, "By which name later formulas read it.", "account").required(),
        Field::new("entity", Shape::Ref(Thing::Entity), "The entity.", "customer").required(),
        Field::new("from", Shape::Ref(Thing::System), "The system.", "finance").required(),
        Field::new("key", Shape::OneOrMany(&Shape::Formula), "The key of the record.", "=customer.number").required(),
    ]],
};

const WRITE: Table = Table {
    name: "a step that writes",
    doc: "Writes fields of another record.",
    parts: &[&[Field::new(
        "write",
        Shape::Group(&WRITE_TO),
        "What, where, and which fields.",
        "{ entity: customer, to: finance, key: =customer.number, set: { credit_limit: =requested } }",
    )
    .required()]],
};

const WRITE_TO: Table = Table {
    name: "a write",
    doc: "Which record of which system, and which fields.",
    parts: &[&[
        Field::new("entity", Shape::Ref(Thing::Entity), "The entity.", "customer").required(),
        Field::new("to", Shape::Ref(Thing::System), "The system.", "finance").required(),
        Field::new("key", Shape::OneOrMany(&Shape::Formula), "The key of the record.", "=customer.number").required(),
        Field::new("set", Shape::Assignments, "Each field with its value.", "{ credit_limit: =requested }").required(),
    ]],
};

const NOTIFY: Table = Table {
    name: "a step that tells somebody",
    doc: "Sends a message to people.",
    parts: &[&[Field::new(
        "notify",
        Shape::Group(&NOTICE),
        "Whom, and what.",
        "{ to: =requested_by, text: =\"Done.\" }",
    )
    .required()]],
};

const NOTICE: Table = Table {
    name: "a notice",
    doc: "Whom, and what.",
    parts: &[&[
        Field::new("to", Shape::TextOrFormula, "A person, a group, or a formula that gives one.", "=requested_by")
            .required(),
        Field::new("text", Shape::TextOrFormula, "What they read.", "=\"Your request was not approved.\"").required(),
    ]],
};

const WAIT: Table = Table {
    name: "a step that waits",
    doc: "Goes on later.",
    parts: &[&[Field::new("wait", Shape::Wait, "For how long.", "2 working days").required()]],
};
