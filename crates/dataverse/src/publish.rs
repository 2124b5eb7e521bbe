//! Virtual tables: what is there, what should be, and how the one becomes the other.
//!
//! A virtual table of the OData v4 data provider is a row of `msdyn_odatav4ds` (where the service is, and its key), a
//! table whose definition names that row, and columns that name the properties of the service. All of it is found by
//! name and left alone where it is right, so that a run that was cut is finished by the next one. Columns that have no
//! external name are somebody else's and are not looked at.
//!
//! *Source*: "API considerations of virtual tables", the reference of `msdyn_odatav4ds`, and a public walkthrough that
//! makes a virtual table by the Web API alone. The id of the provider is documented nowhere; it is looked up.

mod column;
mod refused;
mod source;

use record::{Code, Difference, Fault, How, Published, VirtualTable};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::{Call, Client};
use crate::refusal::WRITE;
use crate::register::{one, text, write};

/// A virtual table cannot be like this.
const CANNOT: Code = Code("IB0914");
/// Nothing fetches the rows of virtual tables there.
const NO_PROVIDER: Code = Code("IB0915");
/// Something else stands where the virtual table should.
const IN_THE_WAY: Code = Code("IB0916");

/// Compares, and with `apply` writes; answers what was different.
pub(crate) async fn publish(client: &Client, wanted: &VirtualTable, apply: bool) -> Result<Published, Fault> {
    refused::check(client.system(), wanted)?;
    let provider = provider(client).await?;
    let mut found = Published::default();
    let (source, difference) = source::settle(client, wanted, apply).await?;
    found.differences.push(difference);
    let there = table(client, &wanted.table).await?;
    if let Some(there) = &there
        && text(there, "TableType") != "Virtual"
    {
        return Err(in_the_way(
            client,
            wanted,
            format!("`{}` is a standard table there, and cannot become a virtual one", wanted.table),
            "give the virtual table another name: `virtual_table:` in the system's file",
        ));
    }
    let name = wanted.columns.iter().find(|column| column.is_name).map(|column| column.column.to_lowercase());
    if let (Some(there), Some(name)) = (&there, &name)
        && text(there, "PrimaryNameAttribute") != *name
    {
        let is_called = text(there, "PrimaryNameAttribute");
        return Err(in_the_way(
            client,
            wanted,
            format!("rows of `{}` are called by `{is_called}` there, and should be by `{name}`", wanted.table),
            "what rows are called by cannot be changed: take back `primary_name:`, or delete the table in Dynamics and publish again",
        ));
    }
    let how = settle_table(client, wanted, there.as_ref(), (&provider, source.as_deref()), apply).await?;
    let what = format!("virtual table `{}` (\"{}\"), rows of `{}`", wanted.table, wanted.label, wanted.set);
    found.differences.push(Difference { how, what });
    // A table that was made just now has a key and a name, which the rest is added to.
    let there = if there.is_none() && apply { table(client, &wanted.table).await? } else { there };
    column::settle(client, wanted, there.as_ref(), apply, &mut found).await?;
    if apply && found.differences.iter().any(|difference| difference.how != How::Same) {
        let entity =
            format!("<importexportxml><entities><entity>{}</entity></entities></importexportxml>", wanted.table);
        // The next run finds everything as it should be, and does not come here.
        let unseen = |fault: Fault| {
            fault.fix("everything is written, and not seen before it is published: publish all customizations there")
        };
        write(client, Method::POST, "PublishXml", &json!({ "ParameterXml": entity })).await.map_err(unseen)?;
    }
    Ok(found)
}

/// The id of the data provider.
async fn provider(client: &Client) -> Result<String, Fault> {
    let filter = "datasourcelogicalname eq 'msdyn_odatav4ds'";
    let found = one(client, "entitydataproviders", "entitydataproviderid,name", filter).await?;
    found.map(|row| text(&row, "entitydataproviderid")).ok_or_else(|| {
        let what =
            format!("`{}` has no OData v4 data provider, which fetches the rows of virtual tables", client.system());
        Fault::ask_person(NO_PROVIDER, what)
            .at_system(client.system())
            .fix("have an administrator install it there: the solution `ODatav4DataProvider`")
    })
}

/// The definition of a table with its columns, if there is one.
async fn table(client: &Client, name: &str) -> Result<Option<Json>, Fault> {
    // Without `$select` inside, each column comes with what only its type has.
    let select = "LogicalName,TableType,DataProviderId,DataSourceId,ExternalName,ExternalCollectionName,PrimaryIdAttribute,\
                  PrimaryNameAttribute,DisplayName,DisplayCollectionName";
    let url = format!("EntityDefinitions(LogicalName='{name}')?$select={select}&$expand=Attributes");
    let answer = client.send(&Call::get(url, WRITE)).await?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| {
            Fault::retry(Code(WRITE.rubbish), format!("the definition of `{name}` cannot be read: {error}"), None)
                .at_system(client.system())
        }),
        404 => Ok(None),
        _ => Err(crate::refusal::of_answer(&answer, WRITE).at_system(client.system()).at_table(name)),
    }
}

async fn settle_table(
    client: &Client,
    wanted: &VirtualTable,
    there: Option<&Json>,
    (provider, source): (&str, Option<&str>),
    apply: bool,
) -> Result<How, Fault> {
    let external = json!({
        "DataProviderId": provider, "DataSourceId": source,
        "ExternalName": wanted.set, "ExternalCollectionName": wanted.set,
    });
    let Some(there) = there else {
        if apply {
            let mut body = json!({
                "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
                "SchemaName": wanted.table,
                "DisplayName": label(&wanted.label),
                "DisplayCollectionName": label(&wanted.label),
                "OwnershipType": "OrganizationOwned",
                "TableType": "Virtual",
                "IsActivity": false, "HasActivities": false, "HasNotes": false,
                // What the Web API insists on being told of a virtual table.
                "ChangeTrackingEnabled": false,
                "CanChangeTrackingBeEnabled": fixed_off("canchangetrackingbeenabled"),
                "IsAvailableOffline": false,
                "IsVisibleInMobileClient": fixed_off("canmodifymobileclientvisibility"),
                "CanCreateCharts": fixed_off("cancreatecharts"),
            });
            merge(&mut body, external);
            let name = wanted.columns.iter().find(|column| column.is_name).map(column::body);
            let mut name = name.unwrap_or_default();
            name["IsPrimaryName"] = true.into();
            body["Attributes"] = json!([name]);
            write(client, Method::POST, "EntityDefinitions", &body).await?;
        }
        return Ok(How::Add);
    };
    let is_same = ["DataProviderId", "DataSourceId", "ExternalName", "ExternalCollectionName"]
        .into_iter()
        .all(|name| there[name] == external[name]);
    if is_same {
        return Ok(How::Same);
    }
    if apply {
        // What somebody has called it since stays.
        let mut body = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", "SchemaName": wanted.table,
            "DisplayName": there["DisplayName"], "DisplayCollectionName": there["DisplayCollectionName"],
        });
        merge(&mut body, external);
        put(client, &format!("EntityDefinitions(LogicalName='{}')", wanted.table), body).await?;
    }
    Ok(How::Change)
}

/// Definitions are replaced as a whole; labels of other languages stay.
async fn put(client: &Client, path: &str, body: Json) -> Result<(), Fault> {
    let call = Call {
        method: Method::PUT,
        url: path.to_owned(),
        headers: vec![("MSCRM.MergeLabels", "true".to_owned())],
        body: Some(("application/json".to_owned(), body.to_string().into())),
        codes: WRITE,
    };
    client.ask(&call, path.split('(').next().unwrap_or(path)).await.map(drop)
}

fn merge(body: &mut Json, more: Json) {
    if let (Json::Object(body), Json::Object(more)) = (body, more) {
        body.extend(more);
    }
}

fn fixed_off(name: &str) -> Json {
    json!({ "Value": false, "CanBeChanged": false, "ManagedPropertyLogicalName": name })
}

fn label(text: &str) -> Json {
    let localized = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": 1033,
    });
    json!({ "@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [localized] })
}

fn in_the_way(client: &Client, wanted: &VirtualTable, what: String, fix: &str) -> Fault {
    Fault::ask_person(IN_THE_WAY, what).at_system(client.system()).at_table(&wanted.table).fix(fix)
}
