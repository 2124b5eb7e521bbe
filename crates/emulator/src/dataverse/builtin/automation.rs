//! The tables that tell what an environment starts by itself: classic workflows, and the registrations of cloud flows.
//! They can be filled and asked; nothing here runs them.

use crate::dataverse::columns::{boolean, choice, memo, states, table, text};
use crate::dataverse::model::{Ownership, Required, Table};

use super::names;

pub fn tables() -> Vec<Table> {
    let workflow = table(
        names("workflow", "Workflow", "workflows", "Process", "name", "workflowid"),
        4703,
        Ownership::UserOwned,
        [
            text("name", "Process Name", 100).required(Required::System),
            text("primaryentity", "Primary Entity", 128),
            choice("type", "Type", &[(1, "Definition"), (2, "Activation"), (3, "Template")]),
            choice(
                "category",
                "Category",
                &[
                    (0, "Workflow"),
                    (1, "Dialog"),
                    (2, "Business Rule"),
                    (3, "Action"),
                    (4, "Business Process Flow"),
                    (5, "Modern Flow"),
                    (6, "Desktop Flow"),
                ],
            ),
            choice("mode", "Mode", &[(0, "Background"), (1, "Real-time")]),
            boolean("triggeroncreate", "Trigger On Create"),
            boolean("triggerondelete", "Trigger On Delete"),
            memo("triggeronupdateattributelist", "Trigger On Update Attribute List", 100_000),
        ]
        .into_iter()
        .chain(states(&[(0, "Draft"), (1, "Activated"), (2, "Suspended")], &[(1, "Draft", 0), (2, "Activated", 1)]))
        .collect(),
    );
    let callback = table(
        names(
            "callbackregistration",
            "CallbackRegistration",
            "callbackregistrations",
            "Callback Registration",
            "name",
            "callbackregistrationid",
        ),
        301,
        Ownership::UserOwned,
        vec![
            text("name", "Name", 850),
            text("entityname", "Entity Name", 250),
            choice(
                "message",
                "Message",
                &[
                    (1, "Added"),
                    (2, "Deleted"),
                    (3, "Modified"),
                    (4, "Added or Modified"),
                    (5, "Added or Deleted"),
                    (6, "Modified or Deleted"),
                    (7, "Added, Modified or Deleted"),
                ],
            ),
            memo("filteringattributes", "Filtering Attributes", 100_000),
        ],
    );
    vec![workflow, callback]
}
