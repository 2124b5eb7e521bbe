//! What a virtual table cannot be, said before anything is asked.
//!
//! *Source*: "OData v4 data provider configuration, requirements and best practices" (types, port), "Create and edit
//! virtual tables" (column types), and the reference of the metadata (places of a decimal, length of a name).

use std::collections::BTreeMap;
use std::net::IpAddr;

use record::{Fault, Type, VirtualTable, Why};

use super::CANNOT;

const PLACES_MAX: u32 = 10;

/// *Errors*: everything that is in the way, together.
pub(super) fn check(system: &str, wanted: &VirtualTable) -> Result<(), Fault> {
    let reasons = reasons(wanted);
    let (Some((first, fix)), more) = (reasons.first(), reasons.len().saturating_sub(1)) else { return Ok(()) };
    let what = match more {
        0 => format!("`{}` cannot be a virtual table: {first}", wanted.table),
        more => format!("`{}` cannot be a virtual table, for {} reasons: {first}", wanted.table, more + 1),
    };
    let mut fault = Fault::ask_person(CANNOT, what).at_system(system).at_table(&wanted.table).fix(fix.clone());
    if more > 0 {
        let rest: Vec<&str> = reasons.iter().skip(1).map(|(reason, _)| reason.as_str()).collect();
        let text = format!("also: {}", rest.join("; "));
        fault = fault.why(Why { text, ..Why::default() });
    }
    Err(fault)
}

/// Each reason, and what to do about it.
fn reasons(wanted: &VirtualTable) -> Vec<(String, String)> {
    let mut reasons: Vec<(String, String)> = Vec::new();
    let mut add = |reason: String, fix: &str| reasons.push((reason, fix.to_owned()));
    if !is_name(&wanted.table) {
        let reason = format!("its name `{}` does not begin with a publisher's prefix", wanted.table);
        add(reason, "name it as Dynamics names tables of its own customers: `virtual_table: new_stock`");
    }
    if let Some(reason) = unreachable(&wanted.url) {
        add(reason, "say an address that Dynamics reaches: --url https://hub.contoso.example");
    }
    match wanted.columns.iter().find(|column| column.is_name) {
        None => add(
            "none of its columns is the name of a row".to_owned(),
            "say which field it is, a text that is shown: `primary_name: sku` beside `virtual_table:`",
        ),
        Some(name) if !is_text(&name.ty) || name.refers_to.is_some() => add(
            format!("its rows are called by `{}`, which is no text but {}", name.property, name.ty.word()),
            "name a text field as `primary_name:`, or make one by a formula of the mapping",
        ),
        Some(_) => {}
    }
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let id = format!("{}id", wanted.table);
    for column in &wanted.columns {
        let leave_out = "leave the field out: `expose:` of the integration names those that are shown";
        let name = column.column.to_lowercase();
        if !is_name(&name) {
            add(format!("`{}` gives the column `{name}`, which is no name there", column.property), leave_out);
        }
        if let Some(other) = seen.insert(name.clone(), &column.property) {
            add(format!("`{other}` and `{}` would both be the column `{name}`", column.property), leave_out);
        }
        if name == id.to_lowercase() {
            add(format!("`{}` would be the column `{name}`, which is the table's own key", column.property), leave_out);
        }
        match &column.ty {
            Type::Guid if column.refers_to.is_none() => add(
                format!("`{}` is a GUID that is not the key, and the Web API makes no such columns", column.property),
                leave_out,
            ),
            Type::Decimal { scale: Some(scale) } if *scale > PLACES_MAX => add(
                format!("`{}` has {scale} places, and a column has at most {PLACES_MAX}", column.property),
                "give the field a smaller `scale:`, or leave it out of `expose:`",
            ),
            _ => {}
        }
    }
    reasons
}

fn is_text(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::WholeNumber
            | Type::Decimal { .. }
            | Type::Money
            | Type::Float
            | Type::YesNo
            | Type::Date
            | Type::DateTime
            | Type::LocalDateTime
            | Type::Guid
    )
}

/// Letters, digits and underscores, with a prefix of two to eight of them in front.
fn is_name(name: &str) -> bool {
    let plain = name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let prefix = name.split_once('_').filter(|(_, rest)| !rest.is_empty()).map(|(prefix, _)| prefix);
    plain
        && prefix
            .is_some_and(|prefix| (2..=8).contains(&prefix.len()) && !prefix.starts_with(|c: char| c.is_ascii_digit()))
}

/// Why Dynamics could not ask there. What is on this machine is for a Dynamics on this machine.
fn unreachable(url: &str) -> Option<String> {
    if url.is_empty() {
        return None;
    }
    let Ok(parsed) = reqwest::Url::parse(url) else { return Some(format!("`{url}` is no address")) };
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return None;
    }
    match (parsed.scheme(), parsed.port_or_known_default()) {
        ("https", Some(443)) => None,
        ("https", _) => Some(format!("Dynamics calls out on port 443 only, and `{url}` has another")),
        _ => Some(format!(
            "`{url}` is not https: its key would be sent in the clear, and Dynamics calls out on port 443 only"
        )),
    }
}

#[cfg(test)]
mod tests {
    use record::VirtualColumn;

    use super::*;

    fn table() -> VirtualTable {
        let column = |property: &str, ty: Type, is_name: bool| VirtualColumn {
            property: property.into(),
            column: format!("new_{property}"),
            label: property.into(),
            ty,
            required: false,
            is_name,
            refers_to: None,
        };
        VirtualTable {
            table: "new_stock".into(),
            label: "Stock".into(),
            prefix: "new_".into(),
            set: "stock".into(),
            url: "https://hub.contoso.example/odata/warehouse/".into(),
            source: "ironbridge warehouse".into(),
            timeout_seconds: 30,
            key: None,
            id: "stockid".into(),
            columns: vec![
                column("sku", Type::Text { max_length: Some(10) }, true),
                column("price", Type::Decimal { scale: Some(2) }, false),
            ],
        }
    }

    #[test]
    fn each_thing_that_a_virtual_table_cannot_be_is_said() {
        let check = |change: &dyn Fn(&mut VirtualTable), said: &str| {
            let mut wanted = table();
            change(&mut wanted);
            let reasons = reasons(&wanted);
            assert_eq!(reasons.len(), usize::from(!said.is_empty()), "{reasons:?}");
            assert!(reasons.iter().all(|(reason, _)| reason.contains(said)), "{reasons:?}");
        };
        check(&|_| {}, "");
        check(&|wanted| wanted.url = "http://127.0.0.1:7700/odata/warehouse/".into(), "");
        check(&|wanted| wanted.url = "http://hub.contoso.example/odata/".into(), "not https");
        check(&|wanted| wanted.url = "https://hub.contoso.example:8443/odata/".into(), "port 443");
        check(&|wanted| wanted.table = "stock".into(), "prefix");
        check(&|wanted| wanted.columns[0].is_name = false, "name of a row");
        check(&|wanted| wanted.columns[0].ty = Type::WholeNumber, "no text");
        check(&|wanted| wanted.columns[1].ty = Type::Guid, "not the key");
        check(&|wanted| wanted.columns[1].ty = Type::Decimal { scale: Some(12) }, "12 places");
        check(&|wanted| wanted.columns[1].column = "new_SKU".into(), "both be");
        check(&|wanted| wanted.columns[1].column = "new_stockid".into(), "own key");
        check(&|wanted| wanted.columns[1].column = "new_größe".into(), "no name there");
    }
}
