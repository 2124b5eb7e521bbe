//! How many digits after the point an amount may have where its column leaves that to the currency of the row.
//!
//! The service rounds what has more, without a word; then what is there is not what was sent, and never will be.
//!
//! *Source*: `MoneyAttributeMetadata.PrecisionSource`: 0, the column's own precision; 1, the organisation's for prices;
//! 2, which is the default, `currencyprecision` of the row's currency.

use std::collections::HashMap;

use record::{Change, Code, Decimal, Fault, Op, Value};
use uuid::Uuid;

use crate::client::{Call, Client};
use crate::json;
use crate::refusal::{self, WRITE};
use crate::rows::{self, Ids};
use crate::table::{Kind, Table};

/// The lookup that says which currency the amounts of a row are in.
const CURRENCY: &str = "transactioncurrencyid";

/// The currencies of an environment.
#[derive(Debug, Default)]
pub(crate) struct Currencies {
    known: HashMap<Uuid, Currency>,
    /// The organisation's own: what a new row has that names none.
    base: Option<Uuid>,
    /// No currency keeps fewer digits.
    least: u32,
}

#[derive(Debug)]
struct Currency {
    code: String,
    digits: u32,
}

impl Currencies {
    /// `None` where the user may not see them: then amounts are sent as they are.
    pub async fn fetch(client: &Client) -> Result<Option<Currencies>, Fault> {
        let currencies = "transactioncurrencies?$select=transactioncurrencyid,isocurrencycode,currencyprecision";
        let (Some(all), Some(own)) =
            (rows_of(client, currencies).await?, rows_of(client, "organizations?$select=_basecurrencyid_value").await?)
        else {
            return Ok(None);
        };
        let mut known = HashMap::new();
        for row in &all {
            let digits = row.get("currencyprecision").and_then(|digits| digits.parse().ok());
            let id = row.get(CURRENCY).and_then(|id| id.parse().ok());
            if let (Some(id), Some(digits)) = (id, digits) {
                let code = row.get("isocurrencycode").cloned().unwrap_or_default();
                known.insert(id, Currency { code, digits });
            }
        }
        let base = own.first().and_then(|own| own.get("_basecurrencyid_value")?.parse().ok());
        let least = known.values().map(|currency| currency.digits).min().unwrap_or(u32::MAX);
        Ok(Some(Currencies { known, base, least }))
    }

    /// For each change the fault of an amount that has more digits than its currency keeps.
    pub async fn too_fine(
        &self,
        client: &Client,
        ids: &Ids,
        table: &Table,
        key: &[String],
        changes: &[Change],
    ) -> Result<Vec<Option<Fault>>, Fault> {
        let finest: Vec<Option<(&str, Decimal)>> = changes.iter().map(|change| finest(table, change)).collect();
        let mut faults: Vec<Option<Fault>> = changes.iter().map(|_| None).collect();
        let suspects: Vec<usize> = (0..changes.len())
            .filter(|at| finest[*at].is_some_and(|(_, amount)| amount.scale() > self.least))
            .collect();
        if suspects.is_empty() {
            return Ok(faults);
        }
        // Of a row that is there and is not given another currency, only the service knows which one it has.
        let unsaid: Vec<usize> =
            suspects.iter().copied().filter(|at| changes[*at].columns.get(CURRENCY).is_none()).collect();
        let keys: Vec<Vec<Value>> = unsaid.iter().map(|at| changes[*at].key.parts()).collect();
        let property = [format!("_{CURRENCY}_value")];
        let found = rows::by_key(client, table, key, &keys, &property, WRITE).await?;
        let there: HashMap<usize, Option<Uuid>> = unsaid
            .into_iter()
            .zip(found)
            .map(|(at, rows)| match rows.first() {
                Some(row) => (at, row.text(&property[0]).and_then(|id| id.parse().ok())),
                None => (at, self.base),
            })
            .collect();
        for at in suspects {
            let id = match changes[at].columns.get(CURRENCY) {
                Some(Value::Reference(to)) => match to.key.as_slice() {
                    [(name, Value::Text(code))] if **name == *"isocurrencycode" => self.by_code(code),
                    _ => client.known_table(&to.of).and_then(|far| ids.id(&far, to).ok()),
                },
                Some(_) => self.base,
                None => there.get(&at).copied().flatten(),
            };
            let currency = id.and_then(|id| self.known.get(&id));
            if let (Some(Currency { code, digits }), Some((column, amount))) = (currency, finest[at])
                && amount.scale() > *digits
            {
                let what = format!(
                    "`{column}` is {amount}, which has more than the {digits} digits after the point that {code} has"
                );
                let fault = Fault::reject(Code("IB0414"), what).at_column(column);
                faults[at] = Some(fault.fix("round it in the mapping, for example =Round(amount, 2)"));
            }
        }
        Ok(faults)
    }

    fn by_code(&self, code: &str) -> Option<Uuid> {
        self.known.iter().find(|(_, currency)| currency.code.eq_ignore_ascii_case(code)).map(|(id, _)| *id)
    }
}

/// The amount with the most digits among those whose currency says how many it may have.
fn finest<'a>(table: &Table, change: &'a Change) -> Option<(&'a str, Decimal)> {
    let amounts = change.columns.iter().filter(|_| change.op != Op::Delete).filter_map(|(name, value)| {
        let by_currency = matches!(table.column(name)?.kind, Kind::Money { scale: None });
        match value {
            Value::Decimal(amount) if by_currency => Some((name, amount.normalize())),
            _ => None,
        }
    });
    amounts.max_by_key(|(_, amount)| amount.scale())
}

/// The rows of a small table as plain texts. `None` where they cannot be seen.
async fn rows_of(client: &Client, url: &str) -> Result<Option<Vec<HashMap<String, String>>>, Fault> {
    let answer = client.send(&Call::get(url, WRITE)).await?;
    match answer.status {
        200 => {}
        400 | 403 | 404 => return Ok(None),
        _ => return Err(refusal::of_answer(&answer, WRITE).at_system(client.system())),
    }
    let rows = json::object(&answer.body).and_then(|object| json::rows(object.get("value")?));
    let text = |raw: &serde_json::value::RawValue| json::string(raw).unwrap_or_else(|| raw.get().to_owned());
    let row = |raw: &serde_json::value::RawValue| {
        let members = json::object(raw.get().as_bytes()).unwrap_or_default();
        members.into_iter().map(|(name, value)| (name.into_owned(), text(value))).collect()
    };
    Ok(rows.map(|rows| rows.into_iter().map(row).collect()))
}

/// The digits that the organisation's prices have, where anybody may see them.
pub(crate) async fn of_prices(client: &Client) -> Result<Option<u32>, Fault> {
    let rows = rows_of(client, "organizations?$select=pricingdecimalprecision").await?;
    Ok(rows.and_then(|rows| rows.first()?.get("pricingdecimalprecision")?.parse().ok()))
}
