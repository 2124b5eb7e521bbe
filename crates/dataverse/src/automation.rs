//! What an environment starts by itself when rows are written: registered steps, classic workflows, cloud flows.
//!
//! *Source*: the tables `sdkmessageprocessingstep`, `workflow` and `callbackregistration` of the Web API. A cloud flow
//! with the trigger "when a row is added, modified or deleted" leaves a callback registration.

use record::{Automation, Fault, Happened};

use crate::client::{Call, Client};
use crate::json;
use crate::refusal::{self, WRITE};
use crate::rows::{Found, LOOKUP_TABLES};

/// Pages that are looked at of each of the three: an environment with more has other problems.
const PAGES_MAX: usize = 20;

pub(crate) async fn starts(client: &Client, tables: &[&str]) -> Result<Vec<Automation>, Fault> {
    let mut found = Vec::new();
    for table in tables {
        found.extend(steps(client, table).await?);
        found.extend(workflows(client, table).await?);
        found.extend(flows(client, table).await?);
    }
    Ok(found)
}

async fn steps(client: &Client, table: &str) -> Result<Vec<Automation>, Fault> {
    // The main operation itself is stage 30; what is registered around it are the others.
    let filter = format!("statecode eq 0 and stage ne 30 and sdkmessagefilterid/primaryobjecttypecode eq '{table}'");
    let select = "name,mode,filteringattributes,_eventhandler_value&$expand=sdkmessageid($select=name)";
    let rows = rows(client, "sdkmessageprocessingsteps", select, &filter).await?;
    Ok(rows.iter().filter_map(|row| step(row, table)).collect())
}

fn step(row: &Found, table: &str) -> Option<Automation> {
    let message = Found::of(row.raw("sdkmessageid")?)?.text("name")?;
    let on = match message.as_str() {
        "Create" | "CreateMultiple" => vec![Happened::Created],
        "Update" | "UpdateMultiple" | "SetState" | "SetStateDynamicEntity" | "Assign" => vec![Happened::Updated],
        "Upsert" | "UpsertMultiple" => vec![Happened::Created, Happened::Updated],
        "Delete" | "DeleteMultiple" => vec![Happened::Deleted],
        _ => return None,
    };
    let handler = row.text("_eventhandler_value@Microsoft.Dynamics.CRM.lookuplogicalname");
    Some(Automation {
        table: table.to_owned(),
        kind: if handler.as_deref() == Some("serviceendpoint") { "webhook" } else { "plug-in step" },
        name: row.text("name").unwrap_or_default(),
        columns: if on.contains(&Happened::Updated) { columns(row, "filteringattributes") } else { Vec::new() },
        on,
        in_the_write: row.raw("mode").is_some_and(|mode| mode.get() == "0"),
    })
}

async fn workflows(client: &Client, table: &str) -> Result<Vec<Automation>, Fault> {
    // Type 1 is the definition, category 0 a classic workflow.
    let filter = format!("statecode eq 1 and type eq 1 and category eq 0 and primaryentity eq '{table}'");
    let select = "name,mode,triggeroncreate,triggerondelete,triggeronupdateattributelist";
    let workflow = |row: &Found| {
        let is = |name: &str| row.raw(name).is_some_and(|raw| raw.get() == "true");
        let columns = columns(row, "triggeronupdateattributelist");
        let on = [
            (is("triggeroncreate"), Happened::Created),
            (!columns.is_empty(), Happened::Updated),
            (is("triggerondelete"), Happened::Deleted),
        ];
        let on: Vec<Happened> = on.into_iter().filter(|(is, _)| *is).map(|(_, on)| on).collect();
        (!on.is_empty()).then(|| Automation {
            table: table.to_owned(),
            kind: "workflow",
            name: row.text("name").unwrap_or_default(),
            on,
            columns,
            in_the_write: row.raw("mode").is_some_and(|mode| mode.get() == "1"),
        })
    };
    Ok(rows(client, "workflows", select, &filter).await?.iter().filter_map(workflow).collect())
}

async fn flows(client: &Client, table: &str) -> Result<Vec<Automation>, Fault> {
    use Happened::{Created, Deleted, Updated};
    let filter = format!("entityname eq '{table}'");
    let flow = |row: &Found| {
        let on = match row.raw("message")?.get() {
            "1" => vec![Created],
            "2" => vec![Deleted],
            "3" => vec![Updated],
            "4" => vec![Created, Updated],
            "5" => vec![Created, Deleted],
            "6" => vec![Updated, Deleted],
            "7" => vec![Created, Updated, Deleted],
            _ => return None,
        };
        Some(Automation {
            table: table.to_owned(),
            kind: "flow",
            name: row.text("name").unwrap_or_default(),
            on,
            columns: columns(row, "filteringattributes"),
            in_the_write: false,
        })
    };
    let rows = rows(client, "callbackregistrations", "name,message,filteringattributes", &filter).await?;
    Ok(rows.iter().filter_map(flow).collect())
}

/// A list of columns, as the service writes it: `name,creditlimit`.
fn columns(row: &Found, name: &str) -> Vec<String> {
    let list = row.text(name).unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// *Errors*: not where an environment lacks the table, or hides it from us: then it starts nothing of that kind that we
/// could know of.
async fn rows(client: &Client, set: &str, select: &str, filter: &str) -> Result<Vec<Found>, Fault> {
    let mut url = Some(format!("{set}?$select={select}&$filter={}", odata::encode(filter)));
    let mut rows = Vec::new();
    for _ in 0..PAGES_MAX {
        let Some(next) = url.take() else { break };
        let mut call = Call::get(next, WRITE);
        call.headers.push(("Prefer", LOOKUP_TABLES.to_owned()));
        let answer = client.send(&call).await?;
        if matches!(answer.status, 403 | 404) {
            break;
        }
        if answer.status != 200 {
            return Err(refusal::of_answer(&answer, WRITE).at_system(client.system()).at_table(set));
        }
        let Some(body) = json::object(&answer.body) else { break };
        let list = body.get("value").and_then(|list| json::rows(list)).unwrap_or_default();
        rows.extend(list.into_iter().filter_map(Found::of));
        url = json::member(&body, "@odata.nextLink");
    }
    Ok(rows)
}
