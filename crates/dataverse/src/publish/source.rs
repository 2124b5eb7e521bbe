//! The row that says where the service is and which key opens it.

use record::{Difference, Fault, How, VirtualTable};
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::CANNOT;
use crate::client::Client;
use crate::register::{one, text, write};

/// The table of data sources; the platform gives its set the same name.
const SET: &str = "msdyn_odatav4ds";
const CLIENT_SIDE_PAGING: i64 = 0;

/// Makes the row as it should be, or only says what is different. Answers its id, where it has one by now.
pub(super) async fn settle(
    client: &Client,
    wanted: &VirtualTable,
    apply: bool,
) -> Result<(Option<String>, Difference), Fault> {
    let filter = format!("msdyn_name eq '{}'", wanted.source.replace('\'', "''"));
    let select = "msdyn_odatav4dsid,msdyn_name,msdyn_uri,msdyn_timeout,msdyn_returninlinecount,msdyn_paginationtype,\
                  msdyn_parameter1name,msdyn_parameter1value,msdyn_isparameter1header";
    let there = one(client, SET, select, &filter).await?;
    let url = match &there {
        Some(there) if wanted.url.is_empty() => text(there, "msdyn_uri"),
        None if wanted.url.is_empty() => {
            let what = format!("nobody said where Dynamics reaches the hub, for the data source `{}`", wanted.source);
            return Err(Fault::ask_person(CANNOT, what)
                .at_system(client.system())
                .fix("say it: --url https://hub.contoso.example"));
        }
        _ => wanted.url.clone(),
    };
    let body = body(wanted, &url);
    let what = |more: &str| format!("data source `{}` at {url}{more}", wanted.source);
    let Some(there) = there else {
        let mut id = None;
        if apply {
            write(client, Method::POST, SET, &body).await?;
            id = one(client, SET, "msdyn_odatav4dsid", &filter).await?.map(|row| text(&row, "msdyn_odatav4dsid"));
        }
        let with = if wanted.key.is_some() { ", with its key" } else { ", without a key" };
        return Ok((id, Difference { how: How::Add, what: what(with) }));
    };
    let id = text(&there, "msdyn_odatav4dsid");
    let changed = changed(&there, &body);
    if changed.is_empty() {
        return Ok((Some(id), Difference { how: How::Same, what: what("") }));
    }
    if apply {
        write(client, Method::PATCH, &format!("{SET}({id})"), &body).await?;
    }
    let difference = Difference { how: How::Change, what: what(&format!(": {}", changed.join(", "))) };
    Ok((Some(id), difference))
}

fn body(wanted: &VirtualTable, url: &str) -> Json {
    let (header, key) = wanted.key.as_ref().map(|(header, key)| (header.as_str(), key.reveal())).unzip();
    json!({
        "msdyn_name": wanted.source,
        "msdyn_uri": url,
        "msdyn_timeout": wanted.timeout_seconds.clamp(1, 120),
        // Grids have a next page only where the count says so.
        "msdyn_returninlinecount": true,
        "msdyn_paginationtype": CLIENT_SIDE_PAGING,
        "msdyn_parameter1name": header,
        "msdyn_parameter1value": key,
        "msdyn_isparameter1header": key.is_some(),
    })
}

/// What is different, in words; never the key itself.
fn changed(there: &Json, wanted: &Json) -> Vec<String> {
    let mut changed = Vec::new();
    for (name, shown) in [("msdyn_uri", "the address was"), ("msdyn_timeout", "the time-out in seconds was")] {
        if there[name] != wanted[name] {
            changed.push(format!("{shown} {}", there[name].to_string().trim_matches('"')));
        }
    }
    if there["msdyn_returninlinecount"] != true || there["msdyn_paginationtype"] != CLIENT_SIDE_PAGING {
        changed.push("it did not count rows, or paged by links".to_owned());
    }
    let is_header = |row: &Json| row["msdyn_isparameter1header"] == true;
    let same_key =
        ["msdyn_parameter1name", "msdyn_parameter1value"].into_iter().all(|name| there[name] == wanted[name])
            && is_header(there) == is_header(wanted);
    if !same_key {
        changed.push("the key, or its header, was another".to_owned());
    }
    changed
}
