//! Short ways to write down columns, tables and relationships; used for what is built in and for what clients define.

use indexmap::IndexMap;
use uuid::Uuid;

use super::model::{Behaviour, Choice, Column, Flavour, Kind, OnDelete, OneToMany, Ownership, Required, Table};

pub fn column(name: &str, label: &str, kind: Kind) -> Column {
    Column {
        name: name.to_lowercase(),
        schema_name: name.to_owned(),
        id: Uuid::new_v4(),
        label: label.to_owned(),
        kind,
        required: Required::None,
        create: true,
        update: true,
        custom: false,
        external_name: None,
    }
}

impl Column {
    pub fn required(mut self, required: Required) -> Column {
        self.required = required;
        self
    }

    /// Set by the platform alone; what a client sends for it is passed over.
    pub fn read_only(mut self) -> Column {
        self.create = false;
        self.update = false;
        self
    }

    pub fn custom(mut self) -> Column {
        self.custom = true;
        self
    }
}

pub fn text(name: &str, label: &str, max_length: usize) -> Column {
    column(name, label, Kind::Text { max_length, format: "Text".into() })
}

pub fn formatted_text(name: &str, label: &str, max_length: usize, format: &str) -> Column {
    column(name, label, Kind::Text { max_length, format: format.into() })
}

pub fn memo(name: &str, label: &str, max_length: usize) -> Column {
    column(name, label, Kind::Memo { max_length })
}

pub fn integer(name: &str, label: &str, min: i32, max: i32) -> Column {
    column(name, label, Kind::Integer { min, max })
}

pub fn boolean(name: &str, label: &str) -> Column {
    column(name, label, Kind::Boolean { labels: ["No".into(), "Yes".into()] })
}

pub fn decimal(name: &str, label: &str, precision: u32) -> Column {
    // What fits a stored integer of that many places, or the platform's own bound where that is smaller.
    let most = rust_decimal::Decimal::from_i128_with_scale(i64::MAX.into(), precision).trunc();
    let bound = most.min(rust_decimal::Decimal::from(100_000_000_000_i64));
    column(name, label, Kind::Decimal { precision, min: format!("-{bound}"), max: bound.to_string() })
}

pub const MONEY_MAX: &str = "922337203685477";

pub fn money(name: &str, label: &str, precision: u32) -> Column {
    money_between(name, label, precision, "-922337203685477", MONEY_MAX)
}

pub fn money_between(name: &str, label: &str, precision: u32, min: &str, max: &str) -> Column {
    column(name, label, Kind::Money { precision, min: min.into(), max: max.into(), is_base: false, source: 0 })
}

/// The column that carries `money` in the organisation's own currency.
pub fn base_of(money: &Column) -> Column {
    let kind = match &money.kind {
        Kind::Money { precision, source, .. } => Kind::Money {
            precision: *precision,
            min: "-922337203685477".into(),
            max: MONEY_MAX.into(),
            is_base: true,
            source: *source,
        },
        other => other.clone(),
    };
    let name = format!("{}_Base", money.schema_name);
    let mut base = column(&name, &format!("{} (Base)", money.label), kind).read_only();
    base.custom = money.custom;
    base
}

pub fn choice(name: &str, label: &str, options: &[(i32, &str)]) -> Column {
    column(name, label, Kind::Choice { options: choices(options) })
}

pub fn choices(options: &[(i32, &str)]) -> Vec<Choice> {
    options.iter().map(|(value, label)| Choice { value: *value, label: (*label).into(), state: None }).collect()
}

pub fn lookup(name: &str, label: &str, targets: &[&str]) -> Column {
    flavoured(name, label, targets, Flavour::Lookup)
}

pub fn customer(name: &str, label: &str) -> Column {
    flavoured(name, label, &["account", "contact"], Flavour::Customer)
}

fn flavoured(name: &str, label: &str, targets: &[&str], flavour: Flavour) -> Column {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    column(name, label, Kind::Lookup { targets, flavour })
}

pub fn datetime(name: &str, label: &str) -> Column {
    column(name, label, Kind::DateTime { behaviour: Behaviour::UserLocal, date_format: false })
}

pub fn date(name: &str, label: &str) -> Column {
    column(name, label, Kind::DateTime { behaviour: Behaviour::DateOnly, date_format: true })
}

/// States 0 and 1 with one reason each, as a new table has them.
pub fn active_inactive() -> [Column; 2] {
    states(&[(0, "Active"), (1, "Inactive")], &[(1, "Active", 0), (2, "Inactive", 1)])
}

pub fn states(states: &[(i32, &str)], reasons: &[(i32, &str, i32)]) -> [Column; 2] {
    let reasons = reasons
        .iter()
        .map(|(value, label, state)| Choice { value: *value, label: (*label).into(), state: Some(*state) })
        .collect();
    let state = column("statecode", "Status", Kind::State { options: choices(states) });
    let status = column("statuscode", "Status Reason", Kind::Status { options: reasons });
    [state.required(Required::System), status]
}

/// What the platform keeps on every table of its kind.
pub fn system_columns(ownership: Ownership) -> Vec<Column> {
    let mut columns = vec![
        datetime("createdon", "Created On").read_only(),
        datetime("modifiedon", "Modified On").read_only(),
        lookup("createdby", "Created By", &["systemuser"]).read_only(),
        lookup("modifiedby", "Modified By", &["systemuser"]).read_only(),
        datetime("overriddencreatedon", "Record Created On"),
        integer("importsequencenumber", "Import Sequence Number", i32::MIN, i32::MAX),
        column("versionnumber", "Version Number", Kind::BigInt).read_only(),
    ];
    match ownership {
        Ownership::UserOwned => columns.extend([
            flavoured("ownerid", "Owner", &["systemuser", "team"], Flavour::Owner).required(Required::System),
            lookup("owninguser", "Owning User", &["systemuser"]).read_only(),
            lookup("owningteam", "Owning Team", &["team"]).read_only(),
            lookup("owningbusinessunit", "Owning Business Unit", &["businessunit"]).read_only(),
        ]),
        Ownership::OrganizationOwned => {
            columns.push(lookup("organizationid", "Organization", &["organization"]).read_only());
        }
        Ownership::None => {}
    }
    columns
}

/// The pair that money columns need.
pub fn currency_columns() -> [Column; 2] {
    [
        lookup("transactioncurrencyid", "Currency", &["transactioncurrency"]),
        decimal("exchangerate", "Exchange Rate", 10).read_only(),
    ]
}

pub struct TableNames<'a> {
    pub name: &'a str,
    pub schema_name: &'a str,
    pub set: &'a str,
    pub label: &'a str,
    pub plural: &'a str,
    pub primary_id: &'a str,
    pub primary_name: &'a str,
}

pub fn table(names: TableNames, type_code: i32, ownership: Ownership, columns: Vec<Column>) -> Table {
    let primary = column(names.primary_id, names.label, Kind::Uniqueidentifier).required(Required::System);
    let mut all: IndexMap<String, Column> = IndexMap::new();
    for column in std::iter::once(primary).chain(columns).chain(system_columns(ownership)) {
        // The base column stands beside its money column.
        let base = match &column.kind {
            Kind::Money { is_base: false, .. } => Some(base_of(&column)),
            _ => None,
        };
        all.insert(column.name.clone(), column);
        if let Some(base) = base {
            all.insert(base.name.clone(), base);
        }
    }
    Table {
        name: names.name.into(),
        schema_name: names.schema_name.into(),
        set: names.set.into(),
        id: Uuid::new_v4(),
        type_code,
        label: names.label.into(),
        plural: names.plural.into(),
        description: String::new(),
        primary_id: names.primary_id.into(),
        primary_name: names.primary_name.into(),
        ownership,
        custom: false,
        change_tracking: false,
        columns: all,
        keys: Vec::new(),
        external: None,
    }
}

/// The relationships that `table`'s lookups are, under the names that the platform gives them by default.
pub fn relationships(table: &Table) -> Vec<OneToMany> {
    let mut relations = Vec::new();
    for column in table.columns.values() {
        let Kind::Lookup { targets, flavour } = &column.kind else { continue };
        for target in targets {
            let nav_many = match (flavour, targets.len()) {
                // A column of ours is bound by its schema name, one of the platform's by its plain name.
                (Flavour::Owner, _) | (_, 1) if !column.custom => column.name.clone(),
                (_, 1) => column.schema_name.clone(),
                _ => format!("{}_{target}", if column.custom { &column.schema_name } else { &column.name }),
            };
            let schema_name = match flavour {
                Flavour::Owner => format!("{target}_{}_owner", table.name),
                _ => format!("{target}_{}_{}", table.name, column.name),
            };
            relations.push(OneToMany {
                nav_one: schema_name.clone(),
                schema_name,
                id: Uuid::new_v4(),
                one: target.clone(),
                many: table.name.clone(),
                column: column.name.clone(),
                nav_many,
                on_delete: OnDelete::RemoveLink,
                custom: column.custom,
            });
        }
    }
    relations
}
