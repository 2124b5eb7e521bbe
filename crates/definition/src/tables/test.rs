//! `tests/*.yaml`: cases of given, when and then.

use crate::table::{Field, Shape, TEXT, Table, Thing};

pub(crate) const TEST: Table = Table {
    name: "a test",
    doc: "What the systems hold, what happens, and what must be true then.",
    parts: &[&[
        Field::new("test", TEXT, "One sentence: what is shown.", "a customer with an unknown term is set aside")
            .required(),
        Field::new(
            "given",
            Shape::Named("system", &Shape::Anything),
            "The rows of each system, by table.",
            "{ finance: { customers: [{ customer_no: C-1 }] } }",
        ),
        Field::new("when", Shape::Group(&WHEN), "What happens.", "{ run: customers }").required(),
        Field::new("then", Shape::Many(&Shape::Anything), "What must be true.", "[{ dynamics.account: none }]")
            .required(),
    ]],
};

const WHEN: Table = Table {
    name: "what happens in a test",
    doc: "A run, an event, or an answer.",
    parts: &[&[
        Field::new("run", Shape::Ref(Thing::Integration), "A batch integration runs once.", "customers"),
        Field::new(
            "event",
            Shape::Ref(Thing::Integration),
            "An event integration receives what changed in its source.",
            "orders",
        ),
        Field::new("start", Shape::Ref(Thing::Integration), "A flow starts.", "credit-limit"),
        Field::new("query", Shape::Ref(Thing::Integration), "Somebody looks at a virtual table.", "tracking"),
        Field::new(
            "change",
            Shape::Named("system", &Shape::Anything),
            "Rows that change in a system just before.",
            "{ finance: { customers: [{ customer_no: C-1, name: New }] } }",
        ),
        Field::new(
            "answer",
            Shape::Named("decision", &Shape::Anything),
            "What people answer to the approvals of a flow.",
            "{ decision: approved }",
        ),
        Field::new("at", TEXT, "The time on the clock of the test.", "\"2026-03-02T09:00\""),
    ]],
};
