//! Virtual tables: what their definitions need, and what the data provider asks a service.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{Env, env};

const EDMX: &str = r#"<?xml version="1.0"?><edmx:Edmx Version="4.0"><edmx:DataServices><Schema Namespace="Depot">
  <EntityType Name="stock"><Key><PropertyRef Name="id"/></Key>
    <Property Name="id" Type="Edm.Guid" Nullable="false"/><Property Name="sku" Type="Edm.String" Nullable="false"/>
    <Property Name="quantity" Type="Edm.Int64"/><Property Name="price" Type="Edm.Decimal" Scale="2"/>
    <Property Name="counted" Type="Edm.DateTimeOffset"/><Property Name="active" Type="Edm.Boolean"/></EntityType>
  <EntityContainer Name="All"><EntitySet Name="stock" EntityType="Depot.stock"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

const ID: &str = "32882b98-8a27-8249-98ef-891d30bb3a1b";

/// Paths with the lines of their headers.
type Requests = Arc<Mutex<Vec<(String, Vec<String>)>>>;

/// A service that answers whatever it is told to, and remembers what it was asked.
struct Service {
    url: String,
    asked: Requests,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/odata/depot/", listener.local_addr().unwrap());
        let asked: Requests = Arc::default();
        let answer = Arc::new(Mutex::new((200, String::new())));
        let (seen, told) = (asked.clone(), answer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let first = lines.next().unwrap_or_default();
                let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = match path.contains("$metadata") {
                    true => (200, EDMX.to_owned()),
                    false => told.lock().unwrap().clone(),
                };
                seen.lock().unwrap().push((path, headers));
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Service { url, asked, answer }
    }

    fn answers(&self, status: u16, body: &Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    /// The last request below the root, as it came.
    fn last(&self) -> String {
        let asked = self.asked.lock().unwrap();
        asked.last().unwrap().0.trim_start_matches("/odata/depot/").to_owned()
    }
}

fn definition(provider: &str, source: &str) -> Value {
    let off = json!({ "Value": false, "CanBeChanged": false });
    json!({
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", "SchemaName": "new_Stock",
        "OwnershipType": "OrganizationOwned", "TableType": "Virtual", "DataProviderId": provider, "DataSourceId": source,
        "ExternalName": "stock", "ExternalCollectionName": "stock", "ChangeTrackingEnabled": false,
        "CanChangeTrackingBeEnabled": off, "IsAvailableOffline": false, "IsVisibleInMobileClient": off, "CanCreateCharts": off,
        "Attributes": [{ "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_sku",
            "MaxLength": 3, "IsPrimaryName": true, "ExternalName": "sku", "RequiredLevel": { "Value": "ApplicationRequired" } }],
    })
}

async fn provider(env: &Env) -> String {
    let path = "entitydataproviders?$select=entitydataproviderid&$filter=datasourcelogicalname eq 'msdyn_odatav4ds'";
    env.values(path, "entitydataproviderid").await.remove(0)
}

async fn source(env: &Env, url: &str) -> String {
    let body = json!({
        "msdyn_name": "depot", "msdyn_uri": url, "msdyn_timeout": 30, "msdyn_returninlinecount": true,
        "msdyn_paginationtype": 0, "msdyn_parameter1name": "x-key", "msdyn_parameter1value": "secret",
        "msdyn_isparameter1header": true, "msdyn_parameter2name": "tenant", "msdyn_parameter2value": "a b",
    });
    env.create("msdyn_odatav4ds", &body.to_string()).await
}

/// A virtual table with a column of each type.
async fn published(env: &Env, service: &Service) {
    let (provider, source) = (provider(env).await, source(env, &service.url).await);
    let made = env.send("POST EntityDefinitions", &[], &definition(&provider, &source).to_string()).await;
    assert_eq!(made.status, 204, "{}", made.text);
    let id = "EntityDefinitions(LogicalName='new_stock')/Attributes(LogicalName='new_stockid')";
    let key =
        json!({ "@odata.type": "Microsoft.Dynamics.CRM.UniqueIdentifierAttributeMetadata", "ExternalName": "id" });
    let put = env.send(&format!("PUT {id}"), &[("MSCRM.MergeLabels", "true")], &key.to_string()).await;
    assert_eq!(put.status, 204, "{}", put.text);
    for (kind, name) in [("Integer", "quantity"), ("Decimal", "price"), ("DateTime", "counted"), ("Boolean", "active")]
    {
        let kind = format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata");
        let body = json!({ "@odata.type": kind, "SchemaName": format!("new_{name}"), "ExternalName": name });
        let path = "POST EntityDefinitions(LogicalName='new_stock')/Attributes";
        let made = env.send(path, &[], &body.to_string()).await;
        assert_eq!(made.status, 204, "{}", made.text);
    }
}

fn row(sku: &str) -> Value {
    json!({ "id": ID, "sku": sku, "quantity": 5, "price": 1.5, "counted": "2026-01-02T03:04:05.0000000Z", "active": true })
}

#[tokio::test]
async fn a_virtual_table_has_its_id_its_name_and_what_it_is_given() {
    let (env, service) = (env().await, Service::start());
    published(&env, &service).await;
    let path = "EntityDefinitions(LogicalName='new_stock')?$expand=Attributes";
    let table = env.get(path).await.json();
    assert_eq!((&table["TableType"], &table["ExternalCollectionName"]), (&json!("Virtual"), &json!("stock")));
    assert_eq!(table["ChangeTrackingEnabled"], false);
    let columns = table["Attributes"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["ExternalName"].as_str().unwrap()).collect();
    assert_eq!(names, ["id", "sku", "quantity", "price", "counted", "active"]);
    assert_eq!(env.get("EntityDefinitions(LogicalName='account')").await.json()["TableType"], "Standard");
}

#[tokio::test]
async fn what_a_virtual_table_cannot_be_is_refused() {
    let env = env().await;
    let (provider, source) = (provider(&env).await, source(&env, "http://127.0.0.1:1/").await);
    let check = async |name: &str, value: Value, said: &str| {
        let mut body = definition(&provider, &source);
        body[name] = value;
        let answer = env.send("POST EntityDefinitions", &[], &body.to_string()).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        assert!(answer.error().1.contains(said), "{name}: {}", answer.text);
    };
    check("ExternalCollectionName", Value::Null, "External Collection Name").await;
    check("CanChangeTrackingBeEnabled", Value::Null, "CanChangeTrackingBeEnabled can not be active").await;
    check("CanCreateCharts", Value::Null, "Cannot create charts").await;
    check("OwnershipType", json!("UserOwned"), "OrganizationOwned").await;
    check("HasNotes", json!(true), "HasNotes").await;
    check("DataSourceId", json!(ID), "no data source").await;
    check("DataProviderId", json!(ID), "no data provider").await;

    let made = env.send("POST EntityDefinitions", &[], &definition(&provider, &source).to_string()).await;
    assert_eq!(made.status, 204, "{}", made.text);
    let money = r#"{"@odata.type": "Microsoft.Dynamics.CRM.MoneyAttributeMetadata", "SchemaName": "new_value"}"#;
    let key = r#"{"SchemaName": "new_key", "KeyAttributes": ["new_sku"]}"#;
    let convert = r#"{"SchemaName": "Account", "TableType": "Virtual"}"#;
    env.check_errors(&[
        ("POST EntityDefinitions(LogicalName='new_stock')/Attributes", money, 400, "0x80040203", "money is not valid"),
        ("POST EntityDefinitions(LogicalName='new_stock')/Keys", key, 400, "0x80040203", "Keys are not supported"),
        ("PUT EntityDefinitions(LogicalName='account')", convert, 400, "0x80040203", "cannot be converted"),
        ("POST new_stocks", "{}", 501, "NotEmulated", "writing the virtual table"),
        ("GET new_stocks?$apply=aggregate($count as n)", "", 400, "0x80060888", "Aggregates"),
        ("GET new_stocks?$filter=new_sku/x eq 1", "", 400, "0x80060888", "cannot join"),
    ])
    .await;
}

#[tokio::test]
async fn a_query_becomes_the_request_that_services_see() {
    let (env, service) = (env().await, Service::start());
    published(&env, &service).await;
    service.answers(200, &json!({ "@odata.count": 1, "value": [row("A")] }));
    let all = "$select=sku,quantity,id";
    let check = async |asked: &str, sent: &str| {
        let answer = env.get(&format!("new_stocks{asked}")).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text);
        assert_eq!(service.last(), format!("{sent}&tenant=a%20b"), "{asked}");
    };
    check("?$select=new_sku,new_quantity&$top=50", &format!("stock?$top=50&{all}&$count=true")).await;
    let filtered = async |filter: &str, sent: &str| {
        let asked = format!("?$select=new_sku&$top=50&$filter={}", odata::encode(filter));
        check(&asked, &format!("stock?$top=50&$select=sku,id&$filter={sent}&$count=true")).await;
    };
    filtered("startswith(new_sku,'abc')", "startswith(sku,'abc')").await;
    filtered(
        "contains(new_sku,'O''Hare & Co') or endswith(new_sku,'ü')",
        "contains(sku,'O''Hare%20%26%20Co')%20or%20endswith(sku,'%C3%BC')",
    )
    .await;
    filtered("new_quantity gt 5 and not (new_sku eq null)", "quantity%20gt%205%20and%20not%20(sku%20eq%20null)").await;
    filtered(&format!("new_stockid eq {ID}"), &format!("id%20eq%20{ID}")).await;
    filtered("new_active", "active%20eq%20true").await;
    filtered("new_counted ge 2026-01-02", "counted%20ge%202026-01-02T00:00:00Z").await;
    filtered(
        "Microsoft.Dynamics.CRM.In(PropertyName='new_sku',PropertyValues=['A','B'])",
        "sku%20eq%20'A'%20or%20sku%20eq%20'B'",
    )
    .await;
    filtered(
        "Microsoft.Dynamics.CRM.Between(PropertyName='new_quantity',PropertyValues=['1','9'])",
        "quantity%20ge%201%20and%20quantity%20le%209",
    )
    .await;
    filtered(
        "Microsoft.Dynamics.CRM.On(PropertyName='new_counted',PropertyValue='2026-01-02')",
        "counted%20ge%202026-01-02T00:00:00Z%20and%20counted%20lt%202026-01-03T00:00:00Z",
    )
    .await;
    let ordered = "?$select=new_sku&$top=5&$orderby=new_quantity desc,new_sku";
    check(ordered, "stock?$top=5&$select=sku,id&$orderby=quantity%20desc,sku&$count=true").await;
    let metadata = service.asked.lock().unwrap().iter().filter(|(path, _)| path.contains("$metadata")).count();
    assert_eq!(metadata, 1, "it is read once and kept");
    let headers = service.asked.lock().unwrap().last().unwrap().1.join("\n").to_lowercase();
    assert!(headers.contains("x-key: secret") && headers.contains("odata-version: 4.0"), "{headers}");
}

#[tokio::test]
async fn rows_are_shown_by_the_types_of_their_columns_page_after_page() {
    let (env, service) = (env().await, Service::start());
    published(&env, &service).await;
    // Longer than its column may be: what the source sends is shown.
    service.answers(200, &row("A LONG ONE"));
    let one = env.get(&format!("new_stocks({ID})")).await;
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(service.last(), format!("stock({ID})?$select=id,sku,quantity,price,counted,active&tenant=a%20b"));
    let one = one.json();
    assert_eq!((&one["new_sku"], &one["new_quantity"]), (&json!("A LONG ONE"), &json!(5)));
    assert_eq!(
        (&one["new_price"].to_string(), &one["new_counted"]),
        (&"1.50".to_owned(), &json!("2026-01-02T03:04:05Z"))
    );
    assert_eq!((&one["new_stockid"], &one["new_active"]), (&json!(ID), &json!(true)));

    service.answers(200, &json!({ "@odata.count": 5, "value": [row("A"), row("B")] }));
    let prefer = [("Prefer", "odata.maxpagesize=2,odata.include-annotations=\"*\"")];
    let first = env.send("GET new_stocks?$select=new_sku,new_active&$count=true", &prefer, "").await.json();
    assert_eq!(first["@odata.count"], 5);
    assert_eq!(first["value"][0]["new_active@OData.Community.Display.V1.FormattedValue"], "Yes");
    let next = first["@odata.nextLink"].as_str().unwrap().to_owned();
    let second = env.send(&format!("GET {next}"), &prefer, "").await.json();
    assert!(service.last().starts_with("stock?$skip=2&$top=2&$select=sku,active,id&$count=true"), "{}", service.last());
    let next = second["@odata.nextLink"].as_str().unwrap().to_owned();
    service.answers(200, &json!({ "@odata.count": 5, "value": [row("E")] }));
    let third = env.send(&format!("GET {next}"), &prefer, "").await.json();
    assert!(service.last().starts_with("stock?$skip=4&$top=2"), "{}", service.last());
    assert!(third["@odata.nextLink"].is_null(), "{third}");
    assert_eq!(env.get("new_stocks/$count").await.text.trim_start_matches('\u{feff}'), "5");
}

#[tokio::test]
async fn a_failure_of_the_service_is_one_sentence_for_users_and_a_trace_for_administrators() {
    let (env, service) = (env().await, Service::start());
    published(&env, &service).await;
    let traces = async || {
        let path = "plugintracelogs?$select=exceptiondetails&$orderby=createdon desc&$top=100";
        env.values(path, "exceptiondetails").await
    };
    let check = async |status: u16, trace: &str| {
        service.answers(status, &json!({ "error": { "code": "x", "message": "no" } }));
        let answer = env.get("new_stocks?$top=1").await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.error().1.starts_with("Entity could not be retrieved from data source."), "{}", answer.text);
        assert!(traces().await.iter().any(|known| known.contains(trace)), "{trace}: {:?}", traces().await);
    };
    check(401, "AuthenticationException: The remote server returned an error: (401) Unauthorized.").await;
    check(501, "InvalidQueryException: The remote server returned an error: (501) Not Implemented.").await;
    check(504, "TimeoutException: The remote server returned an error: (504) Gateway Timeout.").await;
    check(503, "GenericDataAccessException: The remote server returned an error: (503) Service Unavailable.").await;
    service.answers(200, &json!({ "value": [{ "id": ID, "sku": "A", "quantity": 3_000_000_000_u64 }] }));
    assert_eq!(env.get("new_stocks").await.status, 400);
    assert!(
        traces().await.iter().any(|trace| trace.contains("3000000000 cannot be converted")),
        "{:?}",
        traces().await
    );

    service.answers(404, &json!({}));
    env.check_errors(&[(&format!("GET new_stocks({ID})"), "", 404, "0x80040217", "Does Not Exist")]).await;

    // A column that the service does not have yet: seen once the metadata is read again.
    let late = r#"{"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_late", "ExternalName": "late"}"#;
    env.send("POST EntityDefinitions(LogicalName='new_stock')/Attributes", &[], late).await;
    assert_eq!(env.get("new_stocks").await.status, 400);
    assert!(
        traces().await.iter().any(|trace| trace.contains("InvalidMetadataException: 'stock' has no property 'late'"))
    );
    let metadata = || service.asked.lock().unwrap().iter().filter(|(path, _)| path.contains("$metadata")).count();
    assert_eq!(metadata(), 1);
    env.send("POST /emulator/clock", &[], r#"{"advance_seconds": 28801}"#).await;
    env.get("new_stocks").await;
    assert_eq!(metadata(), 2, "after eight hours");
    env.send("POST PublishAllXml", &[], "").await;
    env.get("new_stocks").await;
    assert_eq!(metadata(), 3, "after publishing");
}

#[tokio::test]
async fn a_batch_reads_a_virtual_table_too() {
    let (env, service) = (env().await, Service::start());
    published(&env, &service).await;
    service.answers(200, &json!({ "@odata.count": 1, "value": [row("A")] }));
    let body = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET new_stocks?$select=new_sku HTTP/1.1\r\n\r\n\r\n--b--\r\n";
    let answer = env.send("POST $batch", &[("Content-Type", "multipart/mixed; boundary=b")], body).await;
    assert!(answer.text.contains("200 OK") && answer.text.contains("\"new_sku\":\"A\""), "{}", answer.text);
}
