//! What virtual tables need: the OData v4 data provider, its data sources, and the log that its errors go to.

use uuid::Uuid;

use crate::dataverse::columns::{boolean, choice, formatted_text, integer, memo, table, text};
use crate::dataverse::model::{Ownership, Required, Table};

use super::names;

/// Clients have to look it up by the name of its data source table; this one is our own.
pub const ODATA_PROVIDER: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0006);

pub fn tables() -> Vec<Table> {
    let provider = table(
        names(
            "entitydataprovider",
            "EntityDataProvider",
            "entitydataproviders",
            "Data Provider",
            "name",
            "entitydataproviderid",
        ),
        78,
        Ownership::OrganizationOwned,
        vec![text("name", "Name", 160).required(Required::System), text("datasourcelogicalname", "Data Source", 128)],
    );
    let mut columns = vec![
        text("msdyn_name", "Name", 100).required(Required::Application),
        formatted_text("msdyn_uri", "URL", 1024, "Url").required(Required::Application),
        integer("msdyn_timeout", "Timeout in seconds", 0, 120),
        boolean("msdyn_returninlinecount", "Return Inline Count"),
        choice("msdyn_paginationtype", "Pagination Type", &[(0, "Client-side Paging"), (1, "Server-side Paging")]),
        boolean("msdyn_paginationmode", "Pagination Mode"),
        text("msdyn_description", "Description", 1024),
    ];
    for n in 1..=10 {
        columns.push(text(&format!("msdyn_parameter{n}name"), &format!("Parameter {n} Name"), 1024));
        columns.push(text(&format!("msdyn_parameter{n}value"), &format!("Parameter {n} Value"), 1024));
        columns.push(boolean(&format!("msdyn_isparameter{n}header"), &format!("Parameter {n} Type")));
    }
    let source = table(
        names(
            "msdyn_odatav4ds",
            "msdyn_odatav4ds",
            "msdyn_odatav4ds",
            "OData v4 Data Source",
            "msdyn_name",
            "msdyn_odatav4dsid",
        ),
        10_000 - 3,
        Ownership::OrganizationOwned,
        columns,
    );
    let trace = table(
        names(
            "plugintracelog",
            "PluginTraceLog",
            "plugintracelogs",
            "Plug-in Trace Log",
            "typename",
            "plugintracelogid",
        ),
        4619,
        Ownership::None,
        vec![
            text("typename", "Type Name", 1024),
            text("messagename", "Message Name", 1024),
            text("primaryentity", "Primary Entity", 1000),
            memo("messageblock", "Message Block", 10_240),
            memo("exceptiondetails", "Exception Details", 10_240),
        ],
    );
    vec![provider, source, trace]
}
