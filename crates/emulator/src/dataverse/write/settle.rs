//! What the platform adds to what was submitted: owner, state, money, and what it insists on.

use rusqlite::OptionalExtension;
use rusqlite::types::Value;
use rust_decimal::{Decimal, RoundingStrategy};
use uuid::Uuid;

use super::Caller;
use crate::dataverse::engine::Engine;
use crate::dataverse::model::{Kind, Required, Table};
use crate::dataverse::payload::{Cell, Payload};
use crate::dataverse::refusal::{self, Answer, Refusal};
use crate::dataverse::storage::{blob, is_stored};
use crate::dataverse::{builtin, value};

/// Fills in what a new row gets without being told.
pub(super) fn complete(engine: &Engine, caller: &Caller, table: &Table, payload: &mut Payload) -> Answer<()> {
    let now = Value::Integer(engine.clock.now());
    let user = Value::Blob(blob(caller.user));
    let created = payload.cell(table, "overriddencreatedon").map(|cell| cell.value.clone());
    payload.set(table, "createdon", created.filter(|value| *value != Value::Null).unwrap_or_else(|| now.clone()));
    payload.set(table, "modifiedon", now);
    payload.set(table, "createdby", user.clone());
    payload.set(table, "modifiedby", user.clone());
    if let Some(column) = table.columns.get_index_of("ownerid") {
        if payload.cell(table, "ownerid").is_none_or(|cell| cell.value == Value::Null) {
            payload.put(Cell { column, value: user, target: Some("systemuser".into()) });
        }
        payload.set(table, "owningbusinessunit", Value::Blob(blob(builtin::BUSINESS_UNIT)));
        settle_owner(table, payload);
    }
    if table.columns.contains_key("organizationid") && table.name != "organization" {
        payload.set(table, "organizationid", Value::Blob(blob(builtin::ORGANIZATION)));
    }
    settle_state(engine, table, None, payload)?;
    settle_money(engine, table, None, payload)
}

pub(super) fn settle_owner(table: &Table, payload: &mut Payload) {
    let Some(owner) = payload.cell(table, "ownerid").cloned() else { return };
    let is_team = owner.target.as_deref() == Some("team");
    let (user, team) = if is_team { (Value::Null, owner.value) } else { (owner.value, Value::Null) };
    payload.set(table, "owninguser", user);
    payload.set(table, "owningteam", team);
}

/// Keeps status reason and state together: each reason belongs to one state.
pub(super) fn settle_state(engine: &Engine, table: &Table, id: Option<Uuid>, payload: &mut Payload) -> Answer<()> {
    let Some(Kind::Status { options }) = table.column("statuscode").map(|column| &column.kind) else { return Ok(()) };
    let number = |name: &str| match payload.cell(table, name).map(|cell| &cell.value) {
        Some(Value::Integer(number)) => i32::try_from(*number).ok(),
        _ => None,
    };
    let (state, reason) = (number("statecode"), number("statuscode"));
    if id.is_some() && state.is_none() && reason.is_none() {
        return Ok(());
    }
    let state = match (state, id) {
        (Some(state), _) => state,
        (None, None) => 0,
        (None, Some(id)) => {
            let sql = format!("SELECT c_statecode FROM {} WHERE id = ?1", table.sql());
            let found = engine.conn.prepare_cached(&sql)?.query_row([blob(id)], |row| row.get(0)).optional()?;
            found.unwrap_or(0)
        }
    };
    let first = || options.iter().find(|choice| choice.state == Some(state)).map(|choice| choice.value);
    let reason = reason.or_else(first);
    let fits = options.iter().any(|choice| Some(choice.value) == reason && choice.state == Some(state));
    let Some(reason) = reason.filter(|_| fits) else {
        let label = table
            .column("statecode")
            .and_then(|column| column.kind.choices())
            .and_then(|states| states.iter().find(|choice| choice.value == state))
            .map_or_else(|| state.to_string(), |choice| choice.label.clone());
        let message = format!(
            "{} is not a valid status code for state code {}State.{label} on {} with Id {}.",
            reason.map_or_else(|| "(none)".to_owned(), |reason| reason.to_string()),
            table.schema_name,
            table.name,
            id.unwrap_or_default()
        );
        return Err(Refusal::new(400, refusal::INVALID_STATUS, message));
    };
    payload.set(table, "statecode", Value::Integer(state.into()));
    payload.set(table, "statuscode", Value::Integer(reason.into()));
    Ok(())
}

/// Money also exists in the organisation's own currency, and a row with money has a currency.
pub(super) fn settle_money(engine: &Engine, table: &Table, id: Option<Uuid>, payload: &mut Payload) -> Answer<()> {
    let is_money = |cell: &Cell| matches!(table.columns[cell.column].kind, Kind::Money { is_base: false, .. });
    let amounts: Vec<(String, Value)> = payload
        .cells
        .iter()
        .filter(|cell| is_money(cell))
        .map(|cell| (table.columns[cell.column].name.clone(), cell.value.clone()))
        .collect();
    if amounts.is_empty() || !table.columns.contains_key("transactioncurrencyid") {
        return Ok(());
    }
    let stored = match (payload.cell(table, "transactioncurrencyid"), id) {
        (Some(cell), _) => Some(cell.value.clone()),
        (None, Some(id)) => {
            let sql = format!("SELECT c_transactioncurrencyid FROM {} WHERE id = ?1", table.sql());
            engine.conn.prepare_cached(&sql)?.query_row([blob(id)], |row| row.get(0)).optional()?
        }
        (None, None) => None,
    };
    let (currency, rate) = match stored {
        Some(Value::Blob(currency)) if currency != blob(builtin::BASE_CURRENCY) => {
            let sql = "SELECT c_exchangerate FROM t_transactioncurrency WHERE id = ?1";
            let rate = engine.conn.prepare_cached(sql)?.query_row([&currency], |row| row.get::<_, Option<i64>>(0));
            let rate = rate.optional()?.flatten().unwrap_or(10_000_000_000);
            (currency, Decimal::from_i128_with_scale(rate.into(), 10))
        }
        _ => (blob(builtin::BASE_CURRENCY), Decimal::ONE),
    };
    round(engine, table, &currency, payload)?;
    let amounts: Vec<(String, Value)> = amounts
        .into_iter()
        .map(|(name, _)| {
            let rounded = payload.cell(table, &name).map_or(Value::Null, |cell| cell.value.clone());
            (name, rounded)
        })
        .collect();
    payload.set(table, "transactioncurrencyid", Value::Blob(currency));
    payload.set(table, "exchangerate", value::scaled(rate, 10).map_or(Value::Null, Value::Integer));
    for (name, amount) in amounts {
        let base = match amount {
            Value::Integer(amount) if rate == Decimal::ONE => Value::Integer(amount),
            Value::Integer(amount) => Decimal::from_i128_with_scale(amount.into(), 4)
                .checked_div(rate)
                .and_then(|base| value::scaled(base.round_dp(4), 4))
                .map_or(Value::Null, Value::Integer),
            other => other,
        };
        payload.set(table, &format!("{name}_base"), base);
    }
    Ok(())
}

/// Amounts whose precision is the organisation's or the currency's, cut to that without a word.
fn round(engine: &Engine, table: &Table, currency: &[u8], payload: &mut Payload) -> Answer<()> {
    for cell in &mut payload.cells {
        let (Kind::Money { is_base: false, source: source @ 1.., .. }, Value::Integer(amount)) =
            (&table.columns[cell.column].kind, &mut cell.value)
        else {
            continue;
        };
        let places: Option<i64> = match source {
            1 => engine
                .conn
                .prepare_cached("SELECT c_pricingdecimalprecision FROM t_organization")?
                .query_row([], |row| row.get(0)),
            _ => engine
                .conn
                .prepare_cached("SELECT c_currencyprecision FROM t_transactioncurrency WHERE id = ?1")?
                .query_row([currency], |row| row.get(0)),
        }
        .optional()?
        .flatten();
        let places = places.and_then(|places| u32::try_from(places).ok()).unwrap_or(2);
        let exact = Decimal::from_i128_with_scale((*amount).into(), 4);
        let rounded = exact.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven);
        *amount = value::scaled(rounded, 4).unwrap_or(*amount);
    }
    Ok(())
}

/// The platform insists only on what it needs itself; what an application requires is for its forms.
pub(super) fn require(table: &Table, payload: &Payload) -> Answer<()> {
    for (index, column) in table.columns.values().enumerate() {
        if column.required != Required::System || !is_stored(table, column) {
            continue;
        }
        if payload.cells.iter().all(|cell| cell.column != index || cell.value == Value::Null) {
            let message = format!("Attribute '{}' cannot be NULL", column.name);
            return Err(Refusal::new(400, "0x80040200", message));
        }
    }
    Ok(())
}
