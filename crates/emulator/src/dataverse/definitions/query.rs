//! `$select`, `$filter` and `$expand` over metadata, which has no paging and no limit.

use odata::{Binary, Expr, Literal, Options, Path};
use serde_json::Value;

use crate::dataverse::refusal::{Answer, Refusal};
use crate::dataverse::storage;
use crate::dataverse::wire::Request;

/// What is asked of metadata rows.
#[derive(Debug, Clone)]
pub struct Ask {
    select: Option<Vec<Path>>,
    filter: Option<Expr>,
    expand: Vec<(String, Ask)>,
}

/// Properties that only `$expand` brings.
const NAVIGATION: [&str; 7] = [
    "Attributes",
    "Keys",
    "OneToManyRelationships",
    "ManyToOneRelationships",
    "ManyToManyRelationships",
    "OptionSet",
    "GlobalOptionSet",
];

impl Ask {
    pub fn of(request: &Request) -> Answer<Ask> {
        let options = Options::parse(&request.query)?;
        if options.skip.is_some() || options.top.is_some() || !options.orderby.is_empty() || options.count.is_some() {
            return Err(Refusal::query(
                "The query parameters $top, $skip, $orderby and $count are not supported for metadata.",
            ));
        }
        Ask::from_options(&options)
    }

    fn from_options(options: &Options) -> Answer<Ask> {
        let mut expand = Vec::new();
        for item in &options.expand {
            let Some(name) = item.path.single().filter(|name| NAVIGATION.contains(name)) else {
                return Err(Refusal::query(format!("Could not find a property named '{}' to expand.", item.path)));
            };
            expand.push((name.to_owned(), Ask::from_options(&item.options)?));
        }
        Ok(Ask { select: options.select.clone(), filter: options.filter.clone(), expand })
    }

    pub fn context(&self) -> String {
        match &self.select {
            None => String::new(),
            Some(paths) => format!("({})", paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        }
    }

    pub fn keeps(&self, row: &Value) -> Answer<bool> {
        self.filter.as_ref().map_or(Ok(true), |filter| holds(filter, row))
    }

    /// The row with what was selected and expanded; `MetadataId` is always there.
    pub fn shape(&self, row: Value) -> Answer<Value> {
        let Value::Object(members) = row else { return Ok(row) };
        if let Some(paths) = &self.select {
            for path in paths {
                let name = path.single().unwrap_or_default();
                if !members.contains_key(name) && name != "*" {
                    let kind = members
                        .get("@odata.type")
                        .and_then(Value::as_str)
                        .unwrap_or("#Microsoft.Dynamics.CRM.EntityMetadata");
                    let kind = kind.trim_start_matches("#Microsoft.Dynamics.CRM.");
                    return Err(Refusal::no_property(name, kind));
                }
            }
        }
        let selected = |name: &str| {
            self.select
                .as_ref()
                .is_none_or(|paths| paths.iter().any(|path| matches!(path.single(), Some(p) if p == name || p == "*")))
        };
        let mut kept = serde_json::Map::new();
        for (name, value) in members {
            if let Some((_, ask)) = self.expand.iter().find(|(expanded, _)| *expanded == name) {
                kept.insert(name, shape_inner(ask, value)?);
            } else if NAVIGATION.contains(&name.as_str()) {
                continue;
            } else if name == "MetadataId" || name.starts_with('@') || selected(&name) {
                kept.insert(name, value);
            }
        }
        Ok(Value::Object(kept))
    }
}

fn shape_inner(ask: &Ask, value: Value) -> Answer<Value> {
    match value {
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items {
                if ask.keeps(&item)? {
                    kept.push(ask.shape(item)?);
                }
            }
            Ok(Value::Array(kept))
        }
        other => ask.shape(other),
    }
}

fn holds(expr: &Expr, row: &Value) -> Answer<bool> {
    match expr {
        Expr::And(parts) => parts.iter().try_fold(true, |all, part| Ok(all && holds(part, row)?)),
        Expr::Or(parts) => parts.iter().try_fold(false, |any, part| Ok(any || holds(part, row)?)),
        Expr::Not(inner) => Ok(!holds(inner, row)?),
        Expr::Binary(op, left, right) => compare(*op, &side(left, row)?, &side(right, row)?),
        Expr::Path(_) => Ok(side(expr, row)? == Value::Bool(true)),
        Expr::Call(name, arguments) => {
            let [text, part] = arguments.as_slice() else { return Err(unsupported(expr)) };
            let (Value::String(text), Value::String(part)) = (side(&text.value, row)?, side(&part.value, row)?) else {
                return Ok(false);
            };
            let (text, part) = (text.to_lowercase(), part.to_lowercase());
            match name.as_str() {
                "contains" => Ok(text.contains(&part)),
                "startswith" => Ok(text.starts_with(&part)),
                "endswith" => Ok(text.ends_with(&part)),
                _ => Err(unsupported(expr)),
            }
        }
        _ => Err(unsupported(expr)),
    }
}

fn side(expr: &Expr, row: &Value) -> Answer<Value> {
    Ok(match expr {
        Expr::Literal(Literal::Null) => Value::Null,
        Expr::Literal(Literal::Bool(yes)) => Value::Bool(*yes),
        Expr::Literal(Literal::Int(number)) => (*number).into(),
        Expr::Literal(Literal::String(text)) => text.clone().into(),
        Expr::Literal(Literal::Guid(id)) => id.to_string().into(),
        // Enumerations are written with their type's name and kept by their member's.
        Expr::Literal(Literal::Enum { value, .. }) => value.clone().into(),
        Expr::Path(path) => {
            let mut value = row;
            for (depth, step) in path.0.iter().enumerate() {
                value = match value.get(step) {
                    Some(value) => value,
                    None if value.is_null() && depth > 0 => return Ok(Value::Null),
                    None => return Err(Refusal::no_property(step, "EntityMetadata")),
                };
            }
            value.clone()
        }
        other => return Err(unsupported(other)),
    })
}

fn compare(op: Binary, left: &Value, right: &Value) -> Answer<bool> {
    let equal = match (left, right) {
        (Value::String(a), Value::String(b)) => storage::compare(a, b).is_eq(),
        (a, b) => a == b,
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::String(a), Value::String(b)) => storage::compare(a, b),
        _ => std::cmp::Ordering::Equal,
    };
    match op {
        Binary::Eq => Ok(equal),
        Binary::Ne => Ok(!equal),
        Binary::Gt => Ok(order.is_gt()),
        Binary::Ge => Ok(equal || order.is_gt()),
        Binary::Lt => Ok(order.is_lt()),
        Binary::Le => Ok(equal || order.is_lt()),
        _ => Err(Refusal::query("This operator is not supported in a metadata filter.")),
    }
}

fn unsupported(expr: &Expr) -> Refusal {
    Refusal::query(format!("'{expr}' is not supported in a metadata filter."))
}
