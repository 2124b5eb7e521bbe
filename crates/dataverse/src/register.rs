//! Webhooks and their steps: what is registered, what should be, and how the one becomes the other.
//!
//! A webhook is a `serviceendpoint` (contract 8) whose header carries our key; for each message of a table there is a
//! `sdkmessageprocessingstep` that names it: asynchronous, after the operation, so that nobody's work waits for us.
//! Everything is found by its name and is left alone where it is right. The key cannot be read back, so that a new one is
//! only noticed by the header's name and by whoever changes it; registering again writes it anew.
//!
//! *Source*: facts of the tables `serviceendpoint`, `sdkmessageprocessingstep` and `sdkmessageprocessingstepimage` in the
//! Dataverse reference; the names of the navigation properties are those that registration tools send.

use bytes::Bytes;
use record::{Code, Difference, Fault, How, Registration};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::{Call, Client};
use crate::refusal::WRITE;

const CONTRACT_WEBHOOK: i64 = 8;
const AUTH_HEADER: i64 = 5;
const ASYNCHRONOUS: i64 = 1;
const AFTER_THE_OPERATION: i64 = 40;
const PRE_IMAGE: i64 = 0;
const POST_IMAGE: i64 = 1;
/// A message or table that nothing can be registered for.
const CANNOT_REGISTER: Code = Code("IB0804");

/// A step as it should be.
struct Step {
    message: &'static str,
    name: String,
    /// Sorted, of an update.
    columns: Vec<String>,
    image: Option<Image>,
}

struct Image {
    kind: i64,
    /// Sorted.
    columns: Vec<String>,
}

/// Compares, and with `apply` writes; answers what was different.
pub(crate) async fn register(client: &Client, wanted: &Registration, apply: bool) -> Result<Vec<Difference>, Fault> {
    let mut found = Vec::new();
    let mut tell = |how, what: String| found.push(Difference { how, what });
    let name = format!("ironbridge {}", wanted.name);
    let endpoint =
        one(client, "serviceendpoints", "serviceendpointid,name,url,contract,authtype", &named(&name)).await?;
    let what = |url: &str| format!("webhook `{name}` to {url}, with its key in the header {}", wanted.header);
    let endpoint_id = match &endpoint {
        Some(there) => {
            let id = text(there, "serviceendpointid");
            let url = if wanted.url.is_empty() { text(there, "url") } else { wanted.url.clone() };
            let same =
                text(there, "url") == url && there["authtype"] == AUTH_HEADER && there["contract"] == CONTRACT_WEBHOOK;
            tell(if same { How::Same } else { How::Change }, what(&url));
            if apply {
                let body = json!({ "url": url, "authtype": AUTH_HEADER, "authvalue": settings(wanted) });
                write(client, Method::PATCH, &format!("serviceendpoints({id})"), &body).await?;
            }
            Some(id)
        }
        None if wanted.url.is_empty() => {
            let what =
                format!("no webhook is registered for `{}`, and nobody said where the hub is reached", wanted.name);
            return Err(Fault::ask_person(CANNOT_REGISTER, what).at_system(client.system()).fix(format!(
                "say it: ironbridge dataverse register {} --url https://hub.contoso.example",
                wanted.name
            )));
        }
        None => {
            tell(How::Add, what(&wanted.url));
            if apply {
                let body = json!({
                    "name": name, "contract": CONTRACT_WEBHOOK, "authtype": AUTH_HEADER, "url": wanted.url,
                    "authvalue": settings(wanted),
                });
                write(client, Method::POST, "serviceendpoints", &body).await?;
                one(client, "serviceendpoints", "serviceendpointid", &named(&name))
                    .await?
                    .map(|row| text(&row, "serviceendpointid"))
            } else {
                None
            }
        }
    };
    let there = match &endpoint_id {
        Some(id) if endpoint.is_some() => {
            let select = "sdkmessageprocessingstepid,name,filteringattributes,mode,stage,statecode";
            all(client, "sdkmessageprocessingsteps", select, &format!("_eventhandler_value eq {id}")).await?
        }
        _ => Vec::new(),
    };
    let steps = steps(&name, wanted);
    for step in &steps {
        let known = there.iter().find(|row| text(row, "name") == step.name);
        let (how, what) = settle_step(client, wanted, endpoint_id.as_deref(), step, known, apply).await?;
        tell(how, what);
    }
    for row in there.iter().filter(|row| steps.iter().all(|step| step.name != text(row, "name"))) {
        tell(How::Remove, format!("step `{}`", text(row, "name")));
        if apply {
            let path = format!("sdkmessageprocessingsteps({})", text(row, "sdkmessageprocessingstepid"));
            write(client, Method::DELETE, &path, &Json::Null).await?;
        }
    }
    Ok(found)
}

fn steps(name: &str, wanted: &Registration) -> Vec<Step> {
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns.dedup();
        columns
    };
    let sent = || {
        let columns = sorted(&[wanted.key_columns.as_slice(), wanted.sent.as_slice()].concat());
        (!wanted.sent.is_empty()).then_some(Image { kind: POST_IMAGE, columns })
    };
    let mut steps = Vec::new();
    let mut add = |is_wanted: bool, message, columns, image| {
        if is_wanted {
            steps.push(Step { message, name: format!("{name}: {message} of {}", wanted.table), columns, image });
        }
    };
    add(wanted.created, "Create", Vec::new(), sent());
    add(wanted.updated, "Update", sorted(&wanted.columns), sent());
    let key = Image { kind: PRE_IMAGE, columns: sorted(&wanted.key_columns) };
    add(wanted.deleted, "Delete", Vec::new(), Some(key));
    steps
}

/// Makes one step as it should be, or only says what is different.
async fn settle_step(
    client: &Client,
    wanted: &Registration,
    endpoint: Option<&str>,
    step: &Step,
    known: Option<&Json>,
    apply: bool,
) -> Result<(How, String), Fault> {
    let columns = step.columns.join(",");
    let mut what = format!("step `{}`", step.name);
    if !columns.is_empty() {
        what += &format!(", when one of {columns} is written");
    }
    if let Some(image) = &step.image {
        what += &format!(", with {}", image.columns.join(","));
    }
    let (how, id) = match known {
        Some(row) => {
            let id = text(row, "sdkmessageprocessingstepid");
            let same = list(&text(row, "filteringattributes")) == step.columns
                && row["mode"] == ASYNCHRONOUS
                && row["stage"] == AFTER_THE_OPERATION
                && row["statecode"] == 0;
            if !same {
                let was = match row["statecode"] == 0 {
                    true => format!("; it was: when one of {} is written", text(row, "filteringattributes")),
                    false => "; it was switched off".to_owned(),
                };
                what += &was;
                if apply {
                    let body = json!({
                        "filteringattributes": columns, "mode": ASYNCHRONOUS, "stage": AFTER_THE_OPERATION,
                        "statecode": 0, "statuscode": 1,
                    });
                    write(client, Method::PATCH, &format!("sdkmessageprocessingsteps({id})"), &body).await?;
                }
            }
            (if same { How::Same } else { How::Change }, Some(id))
        }
        None => {
            let endpoint = endpoint.unwrap_or_default();
            let id = if apply { add_step(client, wanted, endpoint, step, &columns).await? } else { None };
            (How::Add, id)
        }
    };
    let image_differs = settle_image(client, step, id.as_deref(), apply).await?;
    let how = if how == How::Same && image_differs { How::Change } else { how };
    Ok((how, what))
}

async fn add_step(
    client: &Client,
    wanted: &Registration,
    endpoint: &str,
    step: &Step,
    columns: &str,
) -> Result<Option<String>, Fault> {
    let none = |what: String| {
        Fault::ask_person(CANNOT_REGISTER, what)
            .at_system(client.system())
            .at_table(&wanted.table)
            .fix("check the name of the table, and that it raises events")
    };
    let message = one(client, "sdkmessages", "sdkmessageid", &named(step.message)).await?;
    let message = message.ok_or_else(|| none(format!("there is no message `{}`", step.message)))?;
    let message = text(&message, "sdkmessageid");
    let filter = format!("primaryobjecttypecode eq '{}' and _sdkmessageid_value eq {message}", wanted.table);
    let filter = one(client, "sdkmessagefilters", "sdkmessagefilterid", &filter).await?;
    let filter = filter.ok_or_else(|| none(format!("`{}` has no message `{}`", wanted.table, step.message)))?;
    let mut body = json!({
        "name": step.name, "mode": ASYNCHRONOUS, "stage": AFTER_THE_OPERATION, "rank": 1, "supporteddeployment": 0,
        // A job that failed stays, for people to see; one that succeeded leaves no trace.
        "asyncautodelete": true,
        "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
        "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({})", text(&filter, "sdkmessagefilterid")),
        "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
    });
    if !columns.is_empty() {
        body["filteringattributes"] = columns.into();
    }
    write(client, Method::POST, "sdkmessageprocessingsteps", &body).await?;
    let made = one(client, "sdkmessageprocessingsteps", "sdkmessageprocessingstepid", &named(&step.name)).await?;
    Ok(made.map(|row| text(&row, "sdkmessageprocessingstepid")))
}

/// Answers whether the image of a step that is there was not as it should be.
async fn settle_image(client: &Client, step: &Step, id: Option<&str>, apply: bool) -> Result<bool, Fault> {
    let Some(id) = id else { return Ok(false) };
    let select = "sdkmessageprocessingstepimageid,attributes,imagetype";
    let filter = format!("_sdkmessageprocessingstepid_value eq {id}");
    let known = one(client, "sdkmessageprocessingstepimages", select, &filter).await?;
    let Some(image) = &step.image else { return Ok(false) };
    if let Some(known) = &known {
        if known["imagetype"] == image.kind && list(&text(known, "attributes")) == image.columns {
            return Ok(false);
        }
        if apply {
            let path = format!("sdkmessageprocessingstepimages({})", text(known, "sdkmessageprocessingstepimageid"));
            write(client, Method::DELETE, &path, &Json::Null).await?;
        }
    }
    if apply {
        let body = json!({
            "name": "ironbridge", "entityalias": "ironbridge", "imagetype": image.kind,
            // What the platform calls the row depends on the message.
            "messagepropertyname": if step.message == "Create" { "Id" } else { "Target" },
            "attributes": image.columns.join(","),
            "sdkmessageprocessingstepid@odata.bind": format!("/sdkmessageprocessingsteps({id})"),
        });
        write(client, Method::POST, "sdkmessageprocessingstepimages", &body).await?;
    }
    Ok(true)
}

fn settings(wanted: &Registration) -> String {
    let escaped =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let (header, key) = (escaped(&wanted.header), escaped(wanted.key.reveal()));
    format!("<settings><setting name=\"{header}\" value=\"{key}\" /></settings>")
}

fn list(columns: &str) -> Vec<String> {
    let mut columns: Vec<String> =
        columns.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    columns.sort();
    columns
}

fn named(name: &str) -> String {
    format!("name eq '{}'", name.replace('\'', "''"))
}

pub(crate) fn text(row: &Json, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

pub(crate) async fn one(client: &Client, set: &str, select: &str, filter: &str) -> Result<Option<Json>, Fault> {
    Ok(all(client, set, select, filter).await?.into_iter().next())
}

async fn all(client: &Client, set: &str, select: &str, filter: &str) -> Result<Vec<Json>, Fault> {
    let call = Call::get(format!("{set}?$select={select}&$filter={}", odata::encode(filter)), WRITE);
    let answer = client.ask(&call, set).await?;
    let answer: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(answer["value"].as_array().cloned().unwrap_or_default())
}

pub(crate) async fn write(client: &Client, method: Method, path: &str, body: &Json) -> Result<(), Fault> {
    let body = (!body.is_null()).then(|| ("application/json".to_owned(), Bytes::from(body.to_string())));
    let call = Call { method, url: path.to_owned(), headers: Vec::new(), body, codes: WRITE };
    client.ask(&call, path.split('(').next().unwrap_or(path)).await.map(drop)
}
