//! A virtual integration becomes a virtual table of a Dynamics, which shows the rows of the source and has none.

use std::path::Path;

use emulator::dataverse::{Config, Handle};
use serde_json::Value as Json;

use super::stock::{Served, query};
use crate::support::{Said, TOKEN, binary, http, said};

/// A hub that serves the warehouse, and a Dynamics that is to show it.
struct Shown {
    served: Served,
    url: String,
    _dynamics: Handle,
    runtime: tokio::runtime::Runtime,
}

impl Shown {
    fn new() -> Shown {
        let keys = "odata: { keys: [\"${file:old.token}\", \"${file:new.token}\"] }\n";
        Shown::of(Served::new("timeout: 15 seconds\n", keys))
    }

    fn of(served: Served) -> Shown {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = Config { token: Some(TOKEN.to_owned()), ..Config::default() };
        let dynamics = runtime.block_on(emulator::dataverse::start(config)).unwrap();
        let shown = Shown { url: dynamics.url.clone(), served, _dynamics: dynamics, runtime };
        std::fs::write(shown.dir().join("dynamics.token"), TOKEN).unwrap();
        shown.edit(
            "systems/dynamics.yaml",
            "{ url: \"http://127.0.0.1:1\" }",
            &format!("{{ url: \"{}\", token: \"${{file:dynamics.token}}\" }}", shown.url),
        );
        shown
    }

    fn dir(&self) -> &Path {
        self.served.dir.path()
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir().join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file} has no `{from}`:\n{before}");
        std::fs::write(path, before.replace(from, to)).unwrap();
    }

    fn ironbridge(&self, args: &[&str]) -> Said {
        said(binary().args(["-C", self.dir().to_str().unwrap()]).args(args).output().unwrap())
    }

    fn publish(&self, integration: &str, more: &[&str]) -> Said {
        let url = format!("http://{}", self.served.address);
        let args = ["dataverse", "publish", integration, "--url", &url];
        self.ironbridge(&[args.as_slice(), more].concat())
    }

    /// The answer of Dynamics to a query of its own table.
    fn asked(&self, set: &str, options: &[(&str, &str)]) -> Json {
        let path = format!("/api/data/v9.2/{set}?{}", query(options));
        serde_json::from_str(&http(&self.url, "GET", &path, "")).unwrap()
    }

    fn traced(&self, what: &str) -> bool {
        let options = [("$select", "exceptiondetails"), ("$top", "100")];
        self.asked("plugintracelogs", &options)["value"].to_string().contains(what)
    }
}

fn texts(json: &Json, names: [&str; 2]) -> Vec<(String, String)> {
    let text = |row: &Json, name: &str| row[name].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
    json["value"]
        .as_array()
        .unwrap_or_else(|| panic!("{json}"))
        .iter()
        .map(|row| (text(row, names[0]), text(row, names[1])))
        .collect()
}

#[test]
fn what_is_published_is_shown_live_and_published_again_changes_nothing() {
    let shown = Shown::new();
    let first = shown.publish("stock", &[]);
    assert_eq!(first.code, Some(3), "{first:#?}");
    for line in [
        "+ data source `ironbridge warehouse` at http://",
        "+ virtual table `new_stock` (\"Stock\"), rows of `stock`",
        "+ key `new_stockid` is `stockid`",
        "+ column `new_sku` is `sku`: a text of one line, always there",
        "+ column `new_price` is `price`: a decimal of 2 places",
        "+ column `new_due` is `due`: a date",
        "! column `new_item` waits until `new_item` is published",
    ] {
        assert!(first.out.contains(line), "no `{line}` in {first:#?}");
    }
    assert!(!first.out.contains("keeper"), "personal fields are not shown: {first:#?}");
    assert!(first.err.contains("Nothing is written") && first.err.contains("2,147,483,647"), "{first:#?}");
    assert!(shown.asked("msdyn_odatav4ds", &[])["value"].as_array().unwrap().is_empty(), "nothing was written");

    shown.publish("items", &["--yes"]).ok();
    shown.publish("stock", &["--yes"]).ok();
    assert!(
        shown.publish("items", &[]).ok().out.lines().all(|line| line.starts_with("= ")),
        "they share a data source"
    );
    let again = shown.publish("stock", &[]).ok();
    assert!(again.out.lines().all(|line| line.starts_with("= ")), "{again:#?}");
    assert!(again.out.contains("= column `new_item` is `item_id`: a row of `new_item`"), "{again:#?}");
    let json = shown.ironbridge(&["--format", "json", "dataverse", "publish", "stock", "--yes"]).ok().json();
    assert_eq!(json["written"], false, "the address is what it was: {json}");

    // Through Dynamics, the hub and its SQL, and beside it.
    let database = shown.served.database();
    let options = [
        ("$select", "new_sku,new_warehouse"),
        ("$filter", "startswith(new_sku,'SKU-0001') and new_quantity gt 400 and new_active eq true"),
        ("$orderby", "new_price desc"),
        ("$top", "20"),
    ];
    let sql =
        "WHERE sku LIKE 'SKU-0001%' AND quantity > 400 AND active = 1 ORDER BY price DESC, sku, warehouse LIMIT 20";
    let rows = texts(&shown.asked("new_stocks", &options), ["new_sku", "new_warehouse"]);
    assert!(!rows.is_empty());
    assert_eq!(rows, super::stock::sql_keys(&database, sql));

    let one = shown.asked("new_stocks", &[("$filter", "new_sku eq 'SKU-000777' and new_warehouse eq 'Köln'")]);
    let (id, before) = (one["value"][0]["new_stockid"].as_str().unwrap(), &one["value"][0]["new_quantity"]);
    let changed = before.as_i64().unwrap_or(1) + 7;
    let sql = "UPDATE stock SET quantity = ?1 WHERE sku = 'SKU-000777' AND warehouse = 'Köln'";
    database.execute(sql, [changed]).unwrap();
    let now = shown.asked(&format!("new_stocks({id})"), &[("$select", "new_quantity,new_item")]);
    assert!(now["error"].is_object(), "a lookup is selected by the name of its value: {now}");
    let now = shown.asked(&format!("new_stocks({id})"), &[("$select", "new_quantity,_new_item_value")]);
    assert_eq!(now["new_quantity"].as_i64(), Some(changed), "{now}");
    let item = now["_new_item_value"].as_str().unwrap();
    let item = shown.asked(&format!("new_items({item})"), &[]);
    assert!(item["new_name"].as_str().unwrap().starts_with("Item "), "{item}");

    let page = shown.asked("new_stocks", &[("$select", "new_sku"), ("$count", "true")]);
    assert_eq!(page["value"].as_array().unwrap().len(), 1_000, "the most that one query gets");
    assert_eq!(page["@odata.count"], 5_000, "10,000, and the platform counts to 5,000");
}

#[test]
fn rows_of_every_database_are_shown_in_dynamics() {
    for (kind, served) in Served::each("ironbridge_shown") {
        let shown = Shown::of(served);
        let published = shown.publish("stock", &["--yes"]).ok();
        // The key is hashed: who publishes hears what a look-up costs, and what can be done about it where something can.
        let advice = match kind {
            "postgres" => "CREATE INDEX CONCURRENTLY \"ironbridge_key_stock_",
            "mysql" => "ALTER TABLE `stock` ADD COLUMN `ironbridge_key_",
            _ => "a `pattern:`",
        };
        assert!(
            published.err.contains("computes the hash of every row") && published.err.contains(advice),
            "{published:#?}"
        );
        let options = [
            ("$select", "new_sku,new_warehouse"),
            ("$filter", "startswith(new_sku,'SKU-0001') and new_quantity gt 400 and contains(new_note,'%')"),
            ("$orderby", "new_quantity"),
        ];
        let mut rows = texts(&shown.asked("new_stocks", &options), ["new_sku", "new_warehouse"]);
        let sql = "WHERE sku LIKE 'SKU-0001%' AND quantity > 400 AND instr(note, '%') > 0";
        let mut expected = super::stock::sql_keys(&shown.served.database(), sql);
        // Databases order texts each in its own way.
        rows.sort();
        expected.sort();
        assert!(!rows.is_empty());
        assert_eq!(rows, expected, "{kind}");
        let one = shown.asked("new_stocks", &[("$filter", "new_sku eq 'SKU-000777' and new_warehouse eq 'O''Hare'")]);
        let id = one["value"][0]["new_stockid"].as_str().unwrap_or_else(|| panic!("{kind}: {one}")).to_owned();
        let again = shown.asked(&format!("new_stocks({id})"), &[]);
        assert_eq!(again["new_warehouse"], "O'Hare", "{kind}: {again}");
    }
}

#[test]
fn a_change_is_shown_before_it_is_written_and_the_old_metadata_is_warned_about() {
    let shown = Shown::new();
    shown.edit("integrations/stock.yaml", "purpose:", "expose: [sku, warehouse, quantity]\npurpose:");
    shown.publish("stock", &["--yes"]).ok();
    shown.edit("integrations/stock.yaml", "[sku, warehouse, quantity]", "[sku, warehouse, price]");
    std::fs::write(shown.dir().join("new.token"), "the next key").unwrap();
    let change = shown.publish("stock", &[]);
    assert_eq!(change.code, Some(3), "{change:#?}");
    for line in [
        "- column `new_quantity`: `quantity` is shown no more",
        "+ column `new_price`",
        "~ data source",
        "the key, or its header",
    ] {
        assert!(change.out.contains(line), "no `{line}` in {change:#?}");
    }
    assert!(!change.out.contains("the next key") && change.err.contains("8 hours"), "{change:#?}");
    shown.publish("stock", &["--yes"]).ok();
    assert!(shown.publish("stock", &[]).ok().out.lines().all(|line| line.starts_with("= ")));
}

/// What can be changed is; what cannot is told at once and whole; what people have named themselves keeps its name.
#[test]
fn published_again_after_a_definition_has_changed() {
    let shown = Shown::new();
    shown.publish("items", &["--yes"]).ok();
    shown.publish("stock", &["--yes"]).ok();
    let labelled = |what: &str| {
        let path = format!("/api/data/v9.2/EntityDefinitions(LogicalName='new_stock'){what}");
        let answer: Json = serde_json::from_str(&http(&shown.url, "GET", &path, "")).unwrap();
        answer["DisplayName"]["LocalizedLabels"][0]["Label"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let call = |name: &str, kind: &str| {
        let path =
            format!("/api/data/v9.2/EntityDefinitions(LogicalName='new_stock')/Attributes(LogicalName='{name}')");
        let body = format!(
            r#"{{"@odata.type": "Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "DisplayName": {{"LocalizedLabels": [{{"Label": "On hand", "LanguageCode": 1033}}]}}}}"#
        );
        http(&shown.url, "PUT", &path, &body);
    };
    call("new_quantity", "Integer");
    // A reference and a number that are always there now, and a price of more places.
    shown.edit(
        "entities/all.yaml",
        "quantity:  { type: whole_number }",
        "quantity:  { type: whole_number, required: true }",
    );
    shown.edit(
        "entities/all.yaml",
        "{ type: reference, entity: item }",
        "{ type: reference, entity: item, required: true }",
    );
    shown.edit("entities/all.yaml", "{ type: decimal, scale: 2 }", "{ type: decimal, scale: 4 }");
    let change = shown.publish("stock", &["--yes"]).ok();
    for line in [
        "~ column `new_item` is `item_id`: a row of `new_item`, always there",
        "~ column `new_quantity`",
        "it had 2 places",
    ] {
        assert!(change.out.contains(line), "no `{line}` in {change:#?}");
    }
    assert!(shown.publish("stock", &[]).ok().out.lines().all(|line| line.starts_with("= ")));
    assert_eq!(labelled("/Attributes(LogicalName='new_quantity')"), "On hand");
    // Another name of the set is other metadata too.
    shown.edit("integrations/stock.yaml", "integration: stock", "integration: shelves");
    std::fs::rename(shown.dir().join("integrations/stock.yaml"), shown.dir().join("integrations/shelves.yaml"))
        .unwrap();
    let renamed = shown.publish("shelves", &["--yes"]).ok();
    assert!(renamed.out.contains("~ virtual table") && renamed.err.contains("8 hours"), "{renamed:#?}");
    assert_eq!(labelled(""), "Stock");
    // Two columns of another type, and a day that becomes a moment.
    shown.edit("entities/all.yaml", "note:      { type: text, max_length: 200 }", "note:      { type: whole_number }");
    shown.edit("entities/all.yaml", "title:     { type: text, max_length: 100 }", "title:     { type: yes_no }");
    shown.edit("entities/all.yaml", "due:       { type: date }", "due:       { type: datetime }");
    let refused = shown.publish("shelves", &["--yes"]).fails(1, "IB0916");
    for part in [
        "`new_note` is of the type String",
        "`new_title` is of the type String",
        "`new_due` is a time of the kind DateOnly",
    ] {
        assert!(refused.err.contains(part), "no `{part}` in {refused:#?}");
    }
}

#[test]
fn a_hub_that_does_not_answer_is_a_sentence_for_users_and_a_trace() {
    let mut shown = Shown::new();
    shown.publish("items", &["--yes"]).ok();
    assert!(shown.asked("new_items", &[("$top", "1")])["value"].is_array());
    // Another key than the hub has: as after a rotation that Dynamics was not told of.
    let source = shown.asked("msdyn_odatav4ds", &[])["value"][0]["msdyn_odatav4dsid"].as_str().unwrap().to_owned();
    let path = format!("/api/data/v9.2/msdyn_odatav4ds({source})");
    http(&shown.url, "PATCH", &path, r#"{"msdyn_parameter1value": "wrong"}"#);
    let refused = shown.asked("new_items", &[("$top", "1")]);
    let said = refused["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(said.starts_with("Entity could not be retrieved from data source."), "{said}");
    assert!(shown.traced("AuthenticationException"));

    // The older of the two keys still opens.
    http(&shown.url, "PATCH", &path, r#"{"msdyn_parameter1value": "old key"}"#);
    assert!(shown.asked("new_items", &[("$top", "1")])["value"].is_array());

    shown.served.stop();
    assert!(shown.asked("new_items", &[("$top", "1")])["error"].is_object());
    assert!(shown.traced("EndpointException"));
    drop(shown.runtime);
}

#[test]
fn what_cannot_be_published_says_why_and_what_to_do() {
    let shown = Shown::new();
    let check = |said: Said, exit: i32, code: &str, part: &str| {
        let said = said.fails(exit, code);
        assert!(said.err.contains(part), "no `{part}` in {said:#?}");
    };
    check(
        shown.ironbridge(&["dataverse", "publish", "stock"]),
        1,
        "IB0914",
        "nobody said where Dynamics reaches the hub",
    );
    let url = ["dataverse", "publish", "stock", "--url", "http://hub.contoso.example"];
    check(shown.ironbridge(&url), 1, "IB0914", "not https");
    let table = r#"{"SchemaName": "new_stock", "Attributes": [{"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_sku", "IsPrimaryName": true}]}"#;
    http(&shown.url, "POST", "/api/data/v9.2/EntityDefinitions", table);
    check(shown.publish("stock", &["--yes"]), 1, "IB0916", "is a standard table there");
    shown.edit(
        "systems/dynamics.yaml",
        "virtual_table: new_item, primary_name: name",
        "virtual_table: new_item, primary_name: number",
    );
    check(shown.publish("items", &[]), 1, "IB0914", "which is no text");
}

/// What rows are called by is a matter of the table, and no column that can be changed.
#[test]
fn another_name_of_rows_is_refused_and_not_passed_over() {
    let shown = Shown::new();
    shown.publish("stock", &["--yes"]).ok();
    shown.edit("systems/dynamics.yaml", "primary_name: sku", "primary_name: warehouse");
    let said = shown.publish("stock", &["--yes"]).fails(1, "IB0916");
    assert!(said.err.contains("called by `new_sku`"), "{said:#?}");
}

#[test]
fn check_online_compiles_virtual_integrations() {
    let shown = Shown::new();
    let good = shown.ironbridge(&["check", "--online"]).ok();
    assert!(good.out.contains("stock: fits its systems") && good.out.contains("items: fits its systems"), "{good:#?}");
    let of_hashes = good.err.lines().filter(|line| line.contains("computes the hash of every row"));
    assert_eq!(of_hashes.count(), 1, "the key of an item is a number, which needs none: {good:#?}");
    shown.edit("systems/warehouse.yaml", "number: item_no", "number: =item_no + 0");
    let made = shown.ironbridge(&["check", "--online"]).ok();
    assert!(made.err.contains("items: `warehouse` does not have the key as it is shown"), "{made:#?}");
    shown.served.database().execute_batch("ALTER TABLE items RENAME TO articles").unwrap();
    let bad = shown.ironbridge(&["check", "--online"]);
    assert_ne!(bad.code, Some(0), "{bad:#?}");
    assert!(bad.err.contains("items"), "{bad:#?}");
}

/// The last request, which makes what was written seen, is refused: the next run finds nothing to do.
#[test]
fn what_is_written_and_not_seen_says_so() {
    let whole = Shown::new();
    whole.publish("items", &["--yes"]).ok();
    let stats: Json = serde_json::from_str(&http(&whole.url, "GET", "/emulator/stats", "")).unwrap();
    let answers = stats["answers"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    let last = answers.sum::<u64>() - 1;

    let shown = Shown::new();
    http(&shown.url, "POST", "/emulator/fault", &format!("400@after:{last}"));
    let refused = shown.publish("items", &["--yes"]);
    assert!(refused.err.contains("publish all customizations there"), "{refused:#?}");
    http(&shown.url, "POST", "/emulator/fault", "");
    assert!(shown.publish("items", &[]).ok().out.lines().all(|line| line.starts_with("= ")));
}
