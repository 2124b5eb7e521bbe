//! Columns that the platform composes from others.

use rusqlite::params;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::dataverse::engine::Engine;
use crate::dataverse::model::Table;
use crate::dataverse::refusal::Answer;
use crate::dataverse::storage::blob;
use crate::dataverse::value;

/// The columns that others are composed of.
const PARTS: [&str; 12] = [
    "firstname",
    "lastname",
    "address1_line1",
    "address1_line2",
    "address1_line3",
    "address1_city",
    "address1_stateorprovince",
    "address1_postalcode",
    "address1_country",
    "productid",
    "quantity",
    "priceperunit",
];

/// Whether [`derive`] has anything to do where these columns were submitted.
pub(super) fn is_derived_from(table: &Table, submitted: &[usize]) -> bool {
    PARTS.iter().any(|part| table.columns.get_index_of(*part).is_some_and(|index| submitted.contains(&index)))
}

/// Recomputes what the platform composes from other columns, when one of those was submitted.
pub(super) fn derive(engine: &Engine, table: &Table, id: Uuid, submitted: &[usize]) -> Answer<()> {
    let touched = |name: &str| table.columns.get_index_of(name).is_some_and(|index| submitted.contains(&index));
    let run = |sql: String| -> Answer<()> {
        engine.conn.prepare_cached(&sql)?.execute([blob(id)])?;
        Ok(())
    };
    let sql = table.sql();
    if table.columns.contains_key("fullname") && (touched("firstname") || touched("lastname")) {
        run(format!(
            "UPDATE {sql} SET c_fullname = nullif(trim(coalesce(c_firstname, '') || ' ' || coalesce(c_lastname, '')), '') WHERE id = ?1"
        ))?;
    }
    let parts = ["line1", "line2", "line3", "city", "stateorprovince", "postalcode", "country"];
    if parts.iter().any(|part| touched(&format!("address1_{part}"))) {
        let line = |part: &str| format!("coalesce(c_address1_{part} || char(13, 10), '')");
        let lines: Vec<String> = ["line1", "line2", "line3"].iter().map(|part| line(part)).collect();
        run(format!(
            "UPDATE {sql} SET c_address1_composite = trim({} || \
             coalesce(c_address1_city || ' ', '') || coalesce(c_address1_stateorprovince || ' ', '') || \
             coalesce(c_address1_postalcode, '') || coalesce(char(13, 10) || c_address1_country, ''), char(13, 10) || ' ') \
             WHERE id = ?1",
            lines.join(" || ")
        ))?;
    }
    if table.name == "productpricelevel" && touched("productid") {
        run(format!(
            "UPDATE {sql} SET c_productidname = (SELECT c_name FROM t_product p WHERE p.id = c_productid) WHERE id = ?1"
        ))?;
    }
    if table.name == "salesorderdetail" && (touched("quantity") || touched("priceperunit")) {
        order_amounts(engine, id)?;
    }
    Ok(())
}

/// The amount of a line is quantity times price, and the order's totals are the sums of its lines.
fn order_amounts(engine: &Engine, line: Uuid) -> Answer<()> {
    let sql = "SELECT c_quantity, c_priceperunit, c_salesorderid FROM t_salesorderdetail WHERE id = ?1";
    let (quantity, price, order): (Option<i64>, Option<i64>, Option<Vec<u8>>) =
        engine.conn.query_row(sql, [blob(line)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(quantity), Some(price)) = (quantity, price) else { return Ok(()) };
    let amount = Decimal::from_i128_with_scale(quantity.into(), 5)
        .checked_mul(Decimal::from_i128_with_scale(price.into(), 4))
        .and_then(|amount| value::scaled(amount.round_dp(2), 4));
    engine.conn.execute(
        "UPDATE t_salesorderdetail SET c_extendedamount = ?2, c_extendedamount_base = ?2 WHERE id = ?1",
        params![blob(line), amount],
    )?;
    engine.conn.execute(
        "UPDATE t_salesorder SET c_totallineitemamount = s, c_totallineitemamount_base = s, \
         c_totalamount = s + coalesce(c_freightamount, 0), c_totalamount_base = s + coalesce(c_freightamount, 0) \
         FROM (SELECT sum(c_extendedamount) AS s FROM t_salesorderdetail WHERE c_salesorderid = ?1) WHERE id = ?1",
        [order],
    )?;
    Ok(())
}
