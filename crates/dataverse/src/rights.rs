//! What the application user may do with tables: the privileges of its security roles beside those that a table has.
//!
//! *Source*: Web API reference, "RetrieveUserPrivileges Function" (bound to `systemuser`; what the user has by roles and
//! teams) and "SecurityPrivilegeMetadata" (a table's privileges with their type and id; several tables may share one, as
//! activities do).

use std::collections::HashMap;

use record::{Fault, Right, TableUse};
use serde_json::Value as Json;

use crate::client::{Call, Client};
use crate::refusal::WRITE;
use crate::source;

/// The depth at which the rows of everybody are meant.
const EVERYBODY: &str = "Global";

/// What the roles of the user lack for these uses. *Shape*: empty too where the environment does not tell it.
pub(crate) async fn lacks(client: &Client, uses: &[TableUse]) -> Result<Vec<String>, Fault> {
    let who = client.ask(&Call::get("WhoAmI", WRITE), "").await?;
    let Some(user) = source::text_of(&who, "UserId") else { return Ok(Vec::new()) };
    let privileges = format!("systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
    let Some(held) = json(client, privileges).await? else { return Ok(Vec::new()) };
    let held = held_of(&held);
    let mut missing = Vec::new();
    for of in uses.iter().filter(|of| of.rights().next().is_some()) {
        let name = odata::encode(&of.table.replace('\'', "''"));
        let definition = format!("EntityDefinitions(LogicalName='{name}')?$select=LogicalName,Privileges");
        // A table that is not there is told by the catalogue.
        let Some(definition) = json(client, definition).await? else { continue };
        let Some(privileges) = definition["Privileges"].as_array() else { continue };
        missing.extend(of_table(of, privileges, &held));
    }
    Ok(missing)
}

/// The answer to a question that need not be answered. *Errors*: what another try may heal.
async fn json(client: &Client, url: String) -> Result<Option<Json>, Fault> {
    match client.ask(&Call::get(url, WRITE), "").await {
        Ok(answer) => Ok(serde_json::from_slice(&answer.body).ok()),
        Err(fault) if fault.is_transient() => Err(fault),
        Err(_) => Ok(None),
    }
}

/// The ids of the privileges, and whether each is for the rows of everybody.
fn held_of(answer: &Json) -> HashMap<&str, bool> {
    let mut held = HashMap::new();
    for one in answer["RolePrivileges"].as_array().into_iter().flatten() {
        if let Some(id) = one["PrivilegeId"].as_str() {
            *held.entry(id).or_default() |= one["Depth"].as_str() == Some(EVERYBODY);
        }
    }
    held
}

fn word(right: Right) -> &'static str {
    match right {
        Right::Select => "Read",
        Right::Insert => "Create",
        Right::Update => "Write",
        Right::Delete => "Delete",
    }
}

fn of_table(of: &TableUse, privileges: &[Json], held: &HashMap<&str, bool>) -> Vec<String> {
    let table = &of.table;
    let privilege = |right: Right| privileges.iter().find(|one| one["PrivilegeType"].as_str() == Some(word(right)));
    let has = |one: &Json| one["PrivilegeId"].as_str().and_then(|id| held.get(id)).copied();
    let mut missing = Vec::new();
    let lacks: Vec<&str> = of
        .rights()
        .filter_map(privilege)
        .filter(|one| has(one).is_none())
        .filter_map(|one| one["Name"].as_str())
        .collect();
    if !lacks.is_empty() {
        missing.push(format!(
            "the hub's user lacks {} for `{table}`; give it to its security role: Power Platform admin centre, the environment, Settings, Security roles",
            lacks.join(", ")
        ));
    }
    let read = privilege(Right::Select).filter(|_| of.reads);
    if let Some(read) = read.filter(|read| has(read) == Some(false) && read["CanBeGlobal"] != false) {
        let name = read["Name"].as_str().unwrap_or_default();
        missing.push(format!(
            "the hub's user sees only a part of the rows of `{table}`, and what it does not see is never read; give its security role {name} for the whole organisation"
        ));
    }
    missing
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_role_lacks_is_said_by_the_names_of_its_privileges() {
        let types = ["Create", "Read", "Write", "Delete"];
        let privileges =
            types.map(|ty| json!({ "PrivilegeType": ty, "PrivilegeId": ty, "Name": format!("prv{ty}Account") }));
        let check = |reads, writes, deletes, roles: &[(&str, &str)], expected: &[&str]| {
            let roles: Vec<Json> =
                roles.iter().map(|(id, depth)| json!({ "PrivilegeId": id, "Depth": depth })).collect();
            let roles = json!({ "RolePrivileges": roles });
            let of = TableUse { table: "account".into(), reads, writes, deletes };
            let missing = of_table(&of, &privileges, &held_of(&roles));
            assert_eq!(missing.len(), expected.len(), "{missing:?}");
            for (sentence, part) in missing.iter().zip(expected) {
                assert!(sentence.contains(part), "{sentence}");
            }
        };
        let all = [("Read", "Global"), ("Create", "Global"), ("Write", "Basic"), ("Delete", "Deep")];
        check(true, true, true, &all, &[]);
        check(true, true, false, &all[..1], &["lacks prvCreateAccount, prvWriteAccount for"]);
        check(false, true, true, &all[..3], &["lacks prvDeleteAccount for"]);
        check(true, false, false, &[("Read", "Local")], &["sees only a part"]);
        check(true, false, false, &[("Read", "Local"), ("Read", "Global")], &[]);
        check(false, true, false, &[("Read", "Basic"), all[1], all[2]], &[]);
        check(true, false, false, &[], &["lacks prvReadAccount for"]);
    }
}
