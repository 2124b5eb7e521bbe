//! `BulkDelete`: a job that deletes what its queries find. Here it is done before the answer is sent.

use std::sync::Arc;

use rusqlite::params_from_iter;
use serde_json::Value as Json;
use uuid::Uuid;

use super::engine::Engine;
use super::model::Table;
use super::payload::not_json;
use super::refusal::{self, Answer, Refusal};
use super::service::caller;
use super::storage::sql_column;
use super::wire::{Request, Response};
use super::{value, write};

pub fn run(engine: &mut Engine, request: &Request) -> Answer<Response> {
    let body: Json = serde_json::from_slice(&request.body).map_err(|error| not_json("BulkDelete", &error))?;
    let queries = body["QuerySet"].as_array().ok_or_else(|| invalid("The parameter 'QuerySet' is missing."))?;
    let caller = caller(request);
    for query in queries {
        let name = query["EntityName"].as_str().unwrap_or_default();
        let table = engine.catalog.table(name).ok_or_else(|| invalid(format!("'{name}' is not a table.")))?.clone();
        for id in found(engine, &table, query)? {
            write::delete(engine, &caller, &table, id)?;
        }
    }
    let job = Uuid::now_v7();
    let name = serde_json::json!(body["JobName"].as_str().unwrap_or("Bulk delete")).to_string();
    let columns = [
        ("name", name),
        ("operationtype", "13".to_owned()),
        ("statecode", "3".to_owned()),
        ("statuscode", "30".to_owned()),
    ];
    write::seed(engine, "asyncoperation", job, &columns)?;
    let context = request.link("$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse");
    Ok(Response::json(200, serde_json::json!({ "@odata.context": context, "JobId": job }).to_string()))
}

/// The rows that a query of `In` and `Equal` conditions finds.
fn found(engine: &Engine, table: &Arc<Table>, query: &Json) -> Answer<Vec<Uuid>> {
    let criteria = &query["Criteria"];
    if criteria["FilterOperator"].as_str().unwrap_or("And") != "And"
        || criteria["Filters"].as_array().is_some_and(|filters| !filters.is_empty())
    {
        return Err(Refusal::not_emulated("BulkDelete with 'Or' or nested filters"));
    }
    let conditions = criteria["Conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut wanted, mut params) = (Vec::new(), Vec::new());
    for condition in conditions {
        let name = condition["AttributeName"].as_str().unwrap_or_default();
        let column = table.column(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
        let operator = condition["Operator"].as_str().unwrap_or_default();
        if !matches!(operator, "In" | "Equal") {
            return Err(Refusal::not_emulated(format!("BulkDelete with the operator '{operator}'")));
        }
        let values = condition["Values"].as_array().map(Vec::as_slice).unwrap_or_default();
        for value in values {
            let raw = value.get("Value").unwrap_or(value);
            params.push(value::from_json(table, column, &raw.to_string())?);
        }
        let marks = vec!["?"; values.len()].join(",");
        wanted.push(format!("{} IN ({marks})", sql_column(table, column, "t")));
    }
    let filter = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    let mut statement = engine.conn.prepare(&format!("SELECT t.id FROM {} t{filter}", table.sql()))?;
    let rows = statement.query_map(params_from_iter(params), |row| row.get::<_, [u8; 16]>(0))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().map(Uuid::from_bytes).collect())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, refusal::INVALID_ARGUMENT, message)
}
