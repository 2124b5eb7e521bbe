//! Creating, changing and deleting rows.

use emulator::dataverse::{Client, Config};

use crate::{env, env_with};

const NO_ID: &str = "00000000-0000-0000-0000-00000000000f";

#[tokio::test]
async fn a_row_from_creation_to_deletion() {
    let env = env().await;
    let body =
        r#"{"name":"Contoso","accountnumber":"C-1","creditlimit":5000.5,"numberofemployees":3,"donotemail":true}"#;
    let created = env.send("POST accounts", &[], body).await;
    assert_eq!(created.status, 204);
    let id = created.id();
    assert_eq!(created.header("odata-entityid"), format!("{}accounts({id})", env.root()));
    assert_eq!(created.header("location"), created.header("odata-entityid"));

    let row = env.get(&format!("accounts({id})?$select=name,creditlimit,createdon")).await;
    assert!(row.text.contains("\"creditlimit\":5000.5000,"), "{}", row.text);
    let json = row.json();
    assert_eq!(json["@odata.context"], format!("{}$metadata#accounts(name,creditlimit,createdon)/$entity", env.root()));
    assert_eq!(json["accountid"], id.as_str());
    assert_eq!(json["_transactioncurrencyid_value"].as_str().map(str::len), Some(36));
    assert_eq!(row.header("etag"), json["@odata.etag"].as_str().unwrap());
    assert!(json["createdon"].as_str().unwrap().ends_with('Z'));

    let whole = env.get(&format!("accounts({id})")).await.json();
    assert_eq!(whole["creditlimit_base"].to_string(), "5000.5000", "a base amount has four places");
    assert_eq!(whole["statecode"], 0);
    assert_eq!(whole["statuscode"], 1);
    assert_eq!(whole["_owninguser_value"], whole["_ownerid_value"]);

    assert_eq!(
        env.send(&format!("PATCH accounts({id})"), &[], r#"{"name":"Fabrikam","creditlimit":null}"#).await.status,
        204
    );
    let changed = env.get(&format!("accounts({id})?$select=name,creditlimit")).await.json();
    assert_eq!((changed["name"].as_str(), changed["creditlimit"].is_null()), (Some("Fabrikam"), true));
    assert_ne!(changed["@odata.etag"], json["@odata.etag"]);

    assert_eq!(env.send(&format!("PUT accounts({id})/name"), &[], r#"{"value":"Three"}"#).await.status, 204);
    assert_eq!(env.get(&format!("accounts({id})/name")).await.json()["value"], "Three");
    assert_eq!(env.get(&format!("accounts({id})/name/$value")).await.text, "Three");
    assert_eq!(env.send(&format!("DELETE accounts({id})/name"), &[], "").await.status, 204);
    assert_eq!(env.get(&format!("accounts({id})/name")).await.status, 204);

    assert_eq!(env.send(&format!("DELETE accounts({id})"), &[], "").await.status, 204);
    let gone = env.get(&format!("accounts({id})")).await;
    assert_eq!(gone.status, 404);
    assert_eq!(gone.error(), ("0x80040217".into(), format!("account With Id = {id} Does Not Exist")));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_in_the_words_of_the_platform() {
    let env = env().await;
    env.create("accounts", r#"{"name":"A","accountnumber":"taken"}"#).await;
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(161));
    let no_row = format!("DELETE accounts({NO_ID})");
    env.check_errors(&[
        (
            "POST accounts",
            &long,
            400,
            "0x80044331",
            "A validation error occurred.  The length of the 'name' attribute of the 'account' entity exceeded the maximum allowed length of '160'.",
        ),
        ("POST accounts", r#"{"accountnumber":"TAKEN"}"#, 412, "0x80060892", "Entity Key Account Number violated. A record with the same value for Account Number already exists."),
        ("POST accounts", r#"{"paymenttermscode":7}"#, 400, "0x8004431a", "The value 7 of 'paymenttermscode' on record of type 'account' is outside the valid range. Accepted Values: 1,2,3,4,10"),
        ("POST accounts", r#"{"creditlimit":-1}"#, 400, "0x80044330", "outside the valid range"),
        ("POST accounts", r#"{"numberofemployees":-1}"#, 400, "0x8004432f", "outside the valid range"),
        ("POST accounts", r#"{"numberofemployees":"3"}"#, 400, "0x80048d19", "Cannot convert the literal '3' to the expected type 'Edm.Int32'"),
        ("POST accounts", r#"{"name":5}"#, 400, "0x80048d19", "Edm.String"),
        ("POST accounts", r#"{"nosuch":1}"#, 400, "0x80048d19", "The property 'nosuch' does not exist on type 'Microsoft.Dynamics.CRM.account'"),
        ("POST accounts", r#"{"PrimaryContactId@odata.bind":"/contacts(1)"}"#, 400, "0x80048d19", "An undeclared property 'PrimaryContactId'"),
        ("POST accounts", r#"{"primarycontactid":"x"}"#, 400, "0x80060888", "CRM do not support direct update of Entity Reference properties"),
        ("POST accounts", r#"{"name":"#, 400, "0x80048d19", "not valid JSON"),
        ("POST accounts", r#"{"statecode":0,"statuscode":2}"#, 400, "0x80048408", "2 is not a valid status code for state code AccountState.Active"),
        ("POST accounts", r#"{"lastusedincampaign":"1700-01-01T00:00:00Z"}"#, 400, "0x80040239", "DateTime is less than minumum value"),
        ("POST contacts", r#"{"birthdate":"1752-12-31"}"#, 400, "0x80040239", "DateTime is less than minumum value"),
        ("POST salesorderdetails", r#"{"quantity":1}"#, 400, "0x80040200", "salesorderid"),
        ("PATCH accounts(name='x')", r#"{}"#, 400, "0x80060888", "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.account'."),
        ("GET accounts(accountnumber='none')", "", 404, "0x80060891", "A record with the specified key values does not exist in account entity"),
        (&no_row, "", 404, "0x80040217", "Does Not Exist"),
        ("GET accounts(accountnumber='a%26b')", "", 400, "0x0", "A potentially dangerous Request.Path value was detected from the client (&)."),
        ("GET foos", "", 404, "0x8006088a", "Resource not found for the segment 'foos'."),
        ("GET Account", "", 404, "0x8006088a", "Resource not found for the segment 'Account'."),
        ("POST Merge", "{}", 501, "NotEmulated", "'Merge'"),
        ("GET $metadata", "", 501, "NotEmulated", "'$metadata'"),
        ("PUT accounts", "{}", 405, "0x0", "PUT"),
    ])
    .await;
    let strict = [("MSCRM.SuppressDuplicateDetection", "false")];
    assert_eq!(env.send("POST accounts", &strict, r#"{"name":"x"}"#).await.status, 501);
    // Nothing of all that was written.
    assert_eq!(env.stats().await["rows"]["account"]["created"], 1);
}

#[tokio::test]
async fn upsert_by_alternate_key() {
    let env = env().await;
    let key = "accounts(accountnumber='C-7')";
    let first = env.send(&format!("PATCH {key}"), &[], r#"{"name":"one"}"#).await;
    assert_eq!(first.status, 204);
    assert_eq!(first.header("odata-entityid"), format!("{}{key}", env.root()), "the key's form, without a guid");
    assert_eq!(
        env.send("PATCH accounts(accountnumber='c-7')", &[], r#"{"name":"two","accountnumber":"x"}"#).await.status,
        204
    );
    let rows = env.get("accounts?$select=name,accountnumber").await.json();
    assert_eq!(rows["value"].as_array().unwrap().len(), 1, "keys ignore case");
    assert_eq!(rows["value"][0]["accountnumber"], "C-7", "a key in the URL is not changed by the body");
    assert_eq!(rows["value"][0]["name"], "two");

    let prefer = [("Prefer", "return=representation")];
    let created = env.send("PATCH accounts(accountnumber='C-8')?$select=name", &prefer, r#"{"name":"n"}"#).await;
    assert_eq!((created.status, created.header("preference-applied")), (201, "return=representation"));
    assert_eq!(created.header("odata-entityid"), "");
    let updated = env.send("PATCH accounts(accountnumber='C-8')?$select=name", &prefer, r#"{"name":"m"}"#).await;
    assert_eq!((updated.status, updated.json()["name"].as_str()), (200, Some("m")));
    assert_eq!(env.send("POST accounts", &prefer, r#"{"name":"p"}"#).await.status, 201);

    let own = "01a00000-0000-7000-8000-000000000001";
    assert_eq!(env.send(&format!("PATCH accounts({own})"), &[], r#"{"name":"own id"}"#).await.status, 204);
    assert_eq!(env.get(&format!("accounts({})?$select=name", own.to_uppercase())).await.json()["accountid"], own);

    // Blank keys are not compared.
    env.create("accounts", r#"{"name":"a","accountnumber":""}"#).await;
    env.create("accounts", r#"{"name":"b","accountnumber":null}"#).await;
}

#[tokio::test]
async fn conditions() {
    let env = env().await;
    let id = env.create("accounts", r#"{"name":"a","accountnumber":"1"}"#).await;
    let row = format!("accounts({id})");
    let etag = env.get(&row).await.header("etag").to_owned();
    let old = "W/\"1\"";
    for (line, header, value, body, status, code) in [
        (format!("GET {row}"), "If-None-Match", etag.as_str(), "", 304, ""),
        (format!("GET {row}?$expand=primarycontactid"), "If-None-Match", &etag, "", 200, ""),
        (format!("GET {row}"), "If-None-Match", "null", "", 200, ""),
        (format!("PATCH {row}"), "If-Match", old, "{}", 412, "0x80060882"),
        (format!("DELETE {row}"), "If-Match", old, "", 412, "0x80060882"),
        (format!("PATCH {row}"), "If-Match", &etag, r#"{"name":"b"}"#, 204, ""),
        (format!("PATCH {row}"), "If-None-Match", "*", r#"{"name":"c"}"#, 412, "0x80040237"),
        (format!("PATCH {row}"), "If-None-Match", "null", r#"{"name":"d"}"#, 204, ""),
        ("PATCH accounts(00000000-0000-0000-0000-00000000000f)".into(), "If-Match", "*", "{}", 404, "0x80040217"),
        ("PATCH accounts(accountnumber='2')".into(), "If-Match", "*", "{}", 404, "0x80060891"),
        ("PATCH accounts(00000000-0000-0000-0000-00000000000f)".into(), "If-None-Match", "*", "{}", 204, ""),
        (format!("DELETE {row}"), "If-Match", "*", "", 204, ""),
    ] {
        let answer = env.send(&line, &[(header, value)], body).await;
        assert_eq!(answer.status, status, "{line} {header}: {value}: {}", answer.text);
        if !code.is_empty() {
            assert_eq!(answer.error().0, code, "{line}");
        }
    }
}

#[tokio::test]
async fn lookups_are_bound_cleared_and_followed() {
    let env = env().await;
    let parent = env.create("accounts", r#"{"name":"Parent","accountnumber":"P"}"#).await;
    let binds = [
        format!("/accounts({parent})"),
        format!("accounts({parent})"),
        "/accounts(accountnumber='p')".to_owned(),
        format!("{}accounts({parent})", env.root()),
        format!("https:/other.example/api/data/v9.1/accounts({})", parent.to_uppercase()),
    ];
    let mut child = String::new();
    for bind in &binds {
        child = env.create("accounts", &format!(r#"{{"name":"c","parentaccountid@odata.bind":"{bind}"}}"#)).await;
        let row = env.get(&format!("accounts({child})?$select=_parentaccountid_value")).await.json();
        assert_eq!(row["_parentaccountid_value"], parent.as_str(), "{bind}");
    }
    let line = format!("accounts({child})");
    let pointed = async || {
        env.get(&format!("{line}?$select=_parentaccountid_value")).await.json()["_parentaccountid_value"].clone()
    };
    let set = async || {
        let body = format!(r#"{{"@odata.id":"{}accounts({parent})"}}"#, env.root());
        env.send(&format!("PUT {line}/parentaccountid/$ref"), &[], &body).await.status
    };
    for body in [r#"{"parentaccountid@odata.bind":null}"#, r#"{"parentaccountid":null}"#] {
        assert_eq!(env.send(&format!("PATCH {line}"), &[], body).await.status, 204);
        assert!(pointed().await.is_null(), "{body}");
        assert_eq!(set().await, 204);
        assert_eq!(pointed().await, parent.as_str());
    }
    assert_eq!(env.get(&format!("{line}/parentaccountid?$select=name")).await.json()["name"], "Parent");
    let reference = env.get(&format!("{line}/parentaccountid/$ref")).await.json();
    assert_eq!(reference["@odata.id"], format!("{}accounts({parent})", env.root()));
    assert_eq!(env.send(&format!("DELETE {line}/parentaccountid/$ref"), &[], "").await.status, 204);
    assert!(pointed().await.is_null());

    // Polymorphic, from both sides.
    let contact = env
        .create(
            "contacts",
            &format!(r#"{{"lastname":"x","parentcustomerid_account@odata.bind":"/accounts({parent})"}}"#),
        )
        .await;
    let nav = format!("accounts({parent})/contact_customer_accounts");
    assert_eq!(env.values(&format!("{nav}?$select=fullname"), "contactid").await, [contact.as_str()]);
    assert_eq!(env.get(&format!("{nav}/$count")).await.text, "\u{feff}1");
    assert_eq!(env.send(&format!("DELETE {nav}({contact})/$ref"), &[], "").await.status, 204);
    let body = format!(r#"{{"@odata.id":"{}contacts({contact})"}}"#, env.root());
    assert_eq!(env.send(&format!("POST {nav}/$ref"), &[], &body).await.status, 204);
    assert_eq!(env.get(&format!("{nav}/$ref")).await.json()["value"].as_array().unwrap().len(), 1);
    let link = format!("DELETE {nav}/$ref?$id={}contacts({contact})", env.root());
    assert_eq!(env.send(&link, &[], "").await.status, 204);

    env.check_errors(&[
        (
            "POST accounts",
            r#"{"parentaccountid@odata.bind":"/accounts(accountnumber='no')"}"#,
            404,
            "0x80060891",
            "account",
        ),
        (
            "POST accounts",
            r#"{"parentaccountid@odata.bind":"/accounts(00000000-0000-0000-0000-00000000000f)"}"#,
            404,
            "0x80040217",
            "account With Id",
        ),
    ])
    .await;

    // Deleting the parent leaves the children without one.
    set().await;
    assert_eq!(env.send(&format!("DELETE accounts({parent})"), &[], "").await.status, 204);
    assert!(pointed().await.is_null());
}

#[tokio::test]
async fn owners_are_users_or_teams() {
    let env = env().await;
    let team = env.values("teams?$select=name&$filter=name eq 'sales uk'", "teamid").await.concat();
    let id = env.create("accounts", &format!(r#"{{"name":"a","ownerid@odata.bind":"/teams({team})"}}"#)).await;
    let prefer = [("Prefer", "odata.include-annotations=\"*\"")];
    let row = env
        .send(&format!("GET accounts({id})?$select=_ownerid_value,_owningteam_value,_owninguser_value"), &prefer, "")
        .await
        .json();
    assert_eq!(row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"], "team");
    assert_eq!(row["_ownerid_value@OData.Community.Display.V1.FormattedValue"], "Sales UK");
    assert_eq!((row["_owningteam_value"].as_str(), row["_owninguser_value"].is_null()), (Some(team.as_str()), true));
}

#[tokio::test]
async fn deep_insert_is_one_transaction() {
    let env = env().await;
    let body = r#"{"name":"a","primarycontactid":{"lastname":"main"},"contact_customer_accounts":[{"lastname":"x"},{"lastname":"y"}]}"#;
    let id = env.create("accounts", body).await;
    let row = env.get(&format!("accounts({id})?$select=name&$expand=primarycontactid($select=fullname),contact_customer_accounts($select=lastname;$orderby=lastname desc)")).await.json();
    assert_eq!(row["primarycontactid"]["fullname"], "main");
    assert_eq!(row["contact_customer_accounts"][0]["lastname"], "y");
    let bad =
        r#"{"name":"b","primarycontactid":{"lastname":"orphan"},"contact_customer_accounts":[{"creditlimit":-1}]}"#;
    assert_eq!(env.send("POST accounts", &[], bad).await.status, 400);
    assert!(env.values("contacts?$filter=lastname eq 'orphan'", "lastname").await.is_empty());
}

#[tokio::test]
async fn states_and_their_reasons_go_together() {
    let env = env().await;
    let id = env.create("accounts", r#"{"name":"a"}"#).await;
    let row = format!("accounts({id})");
    assert_eq!(env.send(&format!("PATCH {row}"), &[], r#"{"statecode":1}"#).await.status, 204);
    assert_eq!(env.get(&row).await.json()["statuscode"], 2);
    assert_eq!(env.send(&format!("PATCH {row}"), &[], r#"{"statuscode":1}"#).await.error().0, "0x80048408");
    assert_eq!(env.send(&format!("PATCH {row}"), &[], r#"{"statecode":0,"statuscode":1}"#).await.status, 204);
}

#[tokio::test]
async fn bulk_messages_are_all_or_nothing() {
    let env = env().await;
    let target = |body: &str| format!(r#"{{"@odata.type":"Microsoft.Dynamics.CRM.account",{body}}}"#);
    let call = async |message: &str, targets: &[String]| {
        let body = format!(r#"{{"Targets":[{}]}}"#, targets.join(","));
        env.send(&format!("POST accounts/Microsoft.Dynamics.CRM.{message}"), &[], &body).await
    };
    let created = call("CreateMultiple", &[target(r#""name":"a""#), target(r#""name":"b""#)]).await;
    assert_eq!(created.status, 200, "{}", created.text);
    let ids = created.json()["Ids"].clone();
    assert_eq!(ids.as_array().unwrap().len(), 2);

    let update = |id: &serde_json::Value, rest: &str| target(&format!(r#""accountid":{id},{rest}"#));
    assert_eq!(call("UpdateMultiple", &[update(&ids[0], r#""name":"a2""#)]).await.status, 204);
    let half = [update(&ids[0], r#""name":"a3""#), update(&ids[1], r#""creditlimit":-1"#)];
    assert_eq!(call("UpdateMultiple", &half).await.status, 400);
    assert_eq!(env.values("accounts?$select=name&$orderby=name", "name").await, ["a2", "b"]);

    let upsert = |key: &str, rest: &str| target(&format!(r#""@odata.id":"accounts(accountnumber='{key}')",{rest}"#));
    assert_eq!(
        call("UpsertMultiple", &[upsert("K1", r#""name":"k1""#), upsert("K2", r#""name":"k2""#)]).await.status,
        204
    );
    assert_eq!(
        call("UpsertMultiple", &[upsert("k1", r#""name":"k1b""#), upsert("K&3", r#""name":"k3""#)]).await.status,
        204
    );
    assert_eq!(
        env.values("accounts?$select=name&$filter=accountnumber ne null&$orderby=name", "name").await,
        ["k1b", "k2", "k3"]
    );

    let twice = call("UpsertMultiple", &[upsert("K9", r#""name":"k","accountnumber":"K9""#)]).await;
    assert_eq!((twice.status, twice.error().0), (400, "0x80040216".into()));
    let other = call("CreateMultiple", &[r#"{"@odata.type":"Microsoft.Dynamics.CRM.contact"}"#.into()]).await;
    assert_eq!(other.status, 400);
    let deleted = call("DeleteMultiple", &[]).await;
    assert_eq!(deleted.error().1, "DeleteMultiple has not yet been implemented.");
    let counts = env.stats().await["rows"]["account"].clone();
    assert_eq!((counts["created"].as_u64(), counts["updated"].as_u64()), (Some(5), Some(2)));
}

#[tokio::test]
async fn orders_add_up() {
    let env = env().await;
    let customer = env.create("accounts", r#"{"name":"a"}"#).await;
    let order = env
        .create(
            "salesorders",
            &format!(r#"{{"name":"o","ordernumber":"O-1","customerid_account@odata.bind":"/accounts({customer})"}}"#),
        )
        .await;
    for (quantity, price) in [("2.5", "10.10"), ("1", "0.05")] {
        let body = format!(
            r#"{{"salesorderid@odata.bind":"/salesorders({order})","quantity":{quantity},"priceperunit":{price}}}"#
        );
        env.create("salesorderdetails", &body).await;
    }
    let row = env.get("salesorders(ordernumber='O-1')?$select=totalamount,_customerid_value&$expand=order_details($select=extendedamount;$orderby=extendedamount)").await;
    assert!(row.text.contains("\"totalamount\":25.3000"), "{}", row.text);
    assert_eq!(row.json()["order_details"].as_array().unwrap().len(), 2);
    assert_eq!(env.send(&format!("DELETE salesorders({order})"), &[], "").await.status, 204);
    assert_eq!(env.get("salesorderdetails/$count").await.text, "\u{feff}0", "lines go with their order");
}

#[tokio::test]
async fn tokens_let_in_and_keep_out() {
    let clients = vec![Client { id: "app".into(), secret: "s3".into() }];
    let env = env_with(Config { token: Some("fixed".into()), clients, token_seconds: 100, ..Config::default() }).await;
    let with = async |token: &str| env.send("GET WhoAmI", &[("Authorization", token)], "").await;
    let refused = with("Bearer other").await;
    assert_eq!(refused.status, 401);
    assert!(
        refused.header("www-authenticate").starts_with("Bearer authorization_uri=http://"),
        "{:?}",
        refused.headers
    );
    assert_eq!(with("").await.status, 401);
    assert_eq!(with("Bearer fixed").await.status, 200);

    let form = |secret: &str| {
        format!("grant_type=client_credentials&client_id=app&client_secret={secret}&scope=https%3A%2F%2Fx%2F.default")
    };
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let line = "POST /tenant/oauth2/v2.0/token";
    assert_eq!(env.send(line, &kind, &form("wrong")).await.status, 401);
    let issued = env.send(line, &kind, &form("s3")).await.json();
    assert_eq!((issued["token_type"].as_str(), issued["expires_in"].as_i64()), (Some("Bearer"), Some(100)));
    let bearer = format!("Bearer {}", issued["access_token"].as_str().unwrap());
    assert_eq!(with(&bearer).await.status, 200);
    env.send("POST /emulator/clock", &[], r#"{"advance_seconds":101}"#).await;
    assert_eq!(with(&bearer).await.status, 401);
}

#[tokio::test]
async fn rows_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { dir: Some(dir.path().into()), ..Config::default() };
    let env = env_with(config()).await;
    let id = env.create("accounts", r#"{"name":"kept","accountnumber":"K"}"#).await;
    let version = env.get(&format!("accounts({id})")).await.json()["versionnumber"].as_i64().unwrap();
    // The file is opened a second time while the first is still open, which is what is left after a kill.
    let again = env_with(config()).await;
    assert_eq!(again.get("accounts(accountnumber='k')?$select=name").await.json()["name"], "kept");
    again.create("accounts", r#"{"name":"next"}"#).await;
    let next = again.get("accounts?$select=versionnumber&$filter=name eq 'next'").await.json();
    assert!(next["value"][0]["versionnumber"].as_i64().unwrap() > version);
    env.handle.shutdown().await;
    again.handle.shutdown().await;
}

#[tokio::test]
async fn https_under_an_authority_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        || Config { dir: Some(dir.path().into()), https: Some(([127, 0, 0, 1], 0).into()), ..Config::default() };
    let env = env_with(config()).await;
    let authority = std::fs::read(env.handle.ca_path.as_ref().unwrap()).unwrap();
    // The same authority again after a restart.
    env.handle.shutdown().await;
    let env = env_with(config()).await;
    let url = env.handle.https_url.clone().unwrap();
    let trusting = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
        .build()
        .unwrap();
    let answer = trusting.get(format!("{url}/api/data/v9.2/WhoAmI")).bearer_auth("x").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.contains(&format!("{url}/api/data/v9.2/$metadata")), "{text}");
}

#[tokio::test]
async fn a_bulk_delete_job() {
    let env = env().await;
    let id = env.create("accounts", r#"{"name":"a"}"#).await;
    env.create("accounts", r#"{"name":"b"}"#).await;
    let job = |operator: &str| {
        format!(
            r#"{{"JobName":"j","QuerySet":[{{"EntityName":"account","Criteria":{{"FilterOperator":"And","Conditions":[
                {{"AttributeName":"accountid","Operator":"{operator}","Values":[{{"Value":"{id}","Type":"System.Guid"}}]}}]}}}}]}}"#
        )
    };
    let done = env.send("POST BulkDelete", &[], &job("In")).await.json();
    assert_eq!(env.values("accounts?$select=name", "name").await, ["b"]);
    let job_id = done["JobId"].as_str().unwrap();
    assert_eq!(env.get(&format!("asyncoperations({job_id})")).await.json()["statuscode"], 30);
    env.check_errors(&[("POST BulkDelete", &job("NotIn"), 501, "NotEmulated", "'NotIn'")]).await;
}
