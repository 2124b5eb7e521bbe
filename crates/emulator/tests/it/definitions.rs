//! Metadata: reading it, and defining tables, columns, keys and relationships.

use crate::{Env, env};

async fn post(env: &Env, path: &str, body: &str) -> crate::Answer {
    let answer = env.send(&format!("POST {path}"), &[], body).await;
    assert_eq!(answer.status, 204, "{path}: {}", answer.text);
    answer
}

#[tokio::test]
async fn metadata_is_selected_filtered_and_expanded() {
    let env = env().await;
    let query = "EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute&$filter=LogicalName eq 'account'&$expand=Keys($select=KeyAttributes,EntityKeyIndexStatus)";
    let found = env.get(query).await.json();
    let account = &found["value"][0];
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    assert_eq!(account["EntitySetName"], "accounts");
    assert!(account["MetadataId"].is_string() && account.get("SchemaName").is_none());
    assert_eq!(account["Keys"][0]["KeyAttributes"][0], "accountnumber");
    assert_eq!(account["Keys"][0]["EntityKeyIndexStatus"], "Active");

    for (path, property, expected) in [
        (
            "Attributes(LogicalName='name')?$select=SchemaName",
            "@odata.type",
            "\"#Microsoft.Dynamics.CRM.StringAttributeMetadata\"",
        ),
        (
            "Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=MaxLength",
            "MaxLength",
            "160",
        ),
        ("Attributes(LogicalName='creditlimit')/Microsoft.Dynamics.CRM.MoneyAttributeMetadata", "Precision", "2"),
        ("Attributes(LogicalName='creditlimit_base')", "IsValidForCreate", "false"),
        (
            "Attributes(LogicalName='parentaccountid')/Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "Targets",
            "[\"account\"]",
        ),
        ("?$select=ChangeTrackingEnabled", "ChangeTrackingEnabled", "true"),
    ] {
        let separator = if path.starts_with('?') { "" } else { "/" };
        let row = env.get(&format!("EntityDefinitions(LogicalName='account'){separator}{path}")).await.json();
        assert_eq!(row[property].to_string(), expected, "{path}: {row}");
    }
    let cast = "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)&$filter=LogicalName eq 'paymenttermscode'";
    let picklist = env.get(cast).await.json();
    let options = picklist["value"][0]["OptionSet"]["Options"].as_array().unwrap();
    assert_eq!((options.len(), options[4]["Value"].as_i64()), (5, Some(10)));
    assert_eq!(options[0]["Label"]["UserLocalizedLabel"]["Label"], "Net 30");
    let money = env.values("EntityDefinitions(LogicalName='account')/Attributes?$filter=AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Money'&$select=LogicalName", "LogicalName").await;
    assert_eq!(money, ["creditlimit", "creditlimit_base", "revenue", "revenue_base"]);
    let nav = env.get("EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$filter=ReferencingAttribute eq 'parentcustomerid' and ReferencedEntity eq 'account'").await.json();
    assert_eq!(nav["value"][0]["ReferencingEntityNavigationPropertyName"], "parentcustomerid_account");
    assert!(env.values("EntityDefinitions?$filter=CanCreateAttributes/Value eq true", "LogicalName").await.len() > 5);
    assert_eq!(env.get("EntityDefinitions(LogicalName='nosuch')").await.status, 404);
    assert!(env.values("EntityDefinitions?$filter=LogicalName eq 'nosuch'", "LogicalName").await.is_empty());
    assert_eq!(env.get("EntityDefinitions?$top=1").await.status, 400);
}

const TABLE: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"new_CreditRequest",
  "DisplayName":{"LocalizedLabels":[{"Label":"Credit request","LanguageCode":1033}]},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,
  "Attributes":[
    {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Name","IsPrimaryName":true,"MaxLength":100},
    {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Number","MaxLength":20},
    {"@odata.type":"Microsoft.Dynamics.CRM.MoneyAttributeMetadata","SchemaName":"new_Requested","Precision":2},
    {"@odata.type":"Microsoft.Dynamics.CRM.DecimalAttributeMetadata","SchemaName":"new_Rate","Precision":6},
    {"@odata.type":"Microsoft.Dynamics.CRM.DateTimeAttributeMetadata","SchemaName":"new_Due","Format":"DateOnly","DateTimeBehavior":{"Value":"DateOnly"}},
    {"@odata.type":"Microsoft.Dynamics.CRM.MultiSelectPicklistAttributeMetadata","SchemaName":"new_Tags","OptionSet":{"Options":[{"Value":1,"Label":{"LocalizedLabels":[{"Label":"One"}]}},{"Value":2}]}}
  ]}"#;

#[tokio::test]
async fn a_table_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let config = || emulator::dataverse::Config { dir: Some(dir.path().into()), ..Default::default() };
    let env = crate::env_with(config()).await;
    let table = post(&env, "EntityDefinitions", TABLE).await;
    assert!(table.header("odata-entityid").contains("EntityDefinitions("));
    let key = r#"{"SchemaName":"new_NumberKey","KeyAttributes":["new_number"],"DisplayName":{"LocalizedLabels":[{"Label":"Number"}]}}"#;
    let key = post(&env, "EntityDefinitions(LogicalName='new_creditrequest')/Keys", key).await;
    assert!(key.header("odata-entityid").contains("EntityDefinitions(LogicalName='new_creditrequest')/Keys("));
    let relation = r#"{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_account_creditrequest",
        "ReferencedEntity":"account","ReferencingEntity":"new_creditrequest","Lookup":{"SchemaName":"new_CustomerId"}}"#;
    post(&env, "RelationshipDefinitions", relation).await;
    post(
        &env,
        "EntityDefinitions(LogicalName='new_creditrequest')/Attributes",
        r#"{"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Outcome","MaxLength":20}"#,
    )
    .await;
    let put =
        r#"{"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Outcome","MaxLength":40}"#;
    let line = "PUT EntityDefinitions(LogicalName='new_creditrequest')/Attributes(LogicalName='new_outcome')";
    assert_eq!(env.send(line, &[("MSCRM.MergeLabels", "true")], put).await.status, 204);

    env.create("accounts", r#"{"name":"a","accountnumber":"A"}"#).await;
    let body = r#"{"new_name":"n","new_requested":12.345,"new_rate":0.1234564,"new_due":"2026-01-31","new_tags":"2, 1","new_outcome":"ok","new_CustomerId@odata.bind":"/accounts(accountnumber='A')"}"#;
    let row = "new_creditrequests(new_number='R-1')";
    assert_eq!(env.send(&format!("PATCH {row}"), &[], body).await.status, 204);
    // All of it is there again after a restart.
    env.handle.shutdown().await;
    let env = crate::env_with(config()).await;
    let got = env.get(&format!("{row}?$select=new_requested,new_rate,new_due,new_tags,_new_customerid_value&$expand=new_CustomerId($select=name)")).await;
    for part in [
        r#""new_requested":12.3400"#,
        r#""new_rate":0.123456"#,
        r#""new_due":"2026-01-31""#,
        r#""new_tags":"1,2""#,
        r#""name":"a""#,
    ] {
        assert!(got.text.contains(part), "{part} in {}", got.text);
    }
    assert_eq!(
        env.values("new_creditrequests?$filter=new_due lt 2026-02-01 and new_rate ge 0.123456", "new_number").await,
        ["R-1"]
    );
    env.check_errors(&[
        ("POST EntityDefinitions", TABLE, 400, "0x80040203", "already exists"),
        (
            "POST EntityDefinitions",
            r#"{"SchemaName":"bad name; DROP","Attributes":[]}"#,
            400,
            "0x80040203",
            "not a valid name",
        ),
        (
            "POST new_creditrequests",
            r#"{"new_customerid@odata.bind":"/accounts(accountnumber='A')"}"#,
            400,
            "0x80048d19",
            "undeclared property 'new_customerid'",
        ),
        ("DELETE EntityDefinitions(LogicalName='account')", "", 400, "0x80040203", "cannot be deleted"),
        ("POST GlobalOptionSetDefinitions", "{}", 501, "NotEmulated", "GlobalOptionSetDefinitions"),
    ])
    .await;
    assert_eq!(env.send("DELETE EntityDefinitions(LogicalName='new_creditrequest')", &[], "").await.status, 204);
    assert_eq!(env.get("new_creditrequests").await.status, 404);
}

#[tokio::test]
async fn a_key_over_rows_that_are_alike_fails_until_it_is_tried_again() {
    let env = env().await;
    for _ in 0..2 {
        env.create("accounts", r#"{"name":"a","telephone1":"5"}"#).await;
    }
    let keys = "EntityDefinitions(LogicalName='account')/Keys";
    post(&env, keys, r#"{"SchemaName":"new_Phone","KeyAttributes":["telephone1"]}"#).await;
    let status =
        async || env.get(&format!("{keys}(LogicalName='new_phone')")).await.json()["EntityKeyIndexStatus"].clone();
    assert_eq!(status().await, "Failed");
    assert_eq!(env.get("accounts(telephone1='5')").await.status, 400);
    let id = env.values("accounts?$top=1", "accountid").await.concat();
    env.send(&format!("DELETE accounts({id})"), &[], "").await;
    let body = r#"{"EntityLogicalName":"account","EntityKeyLogicalName":"new_phone"}"#;
    assert_eq!(env.send("POST ReactivateEntityKey", &[], body).await.status, 204);
    assert_eq!(status().await, "Active");
    assert_eq!(env.get("accounts(telephone1='5')").await.status, 200);
}

#[tokio::test]
async fn many_to_many() {
    let env = env().await;
    let body = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_account_product","Entity1LogicalName":"account","Entity2LogicalName":"product","IntersectEntityName":"new_account_product"}"#;
    post(&env, "RelationshipDefinitions", body).await;
    let account = env.create("accounts", r#"{"name":"a"}"#).await;
    let product = env.create("products", r#"{"name":"p","productnumber":"P"}"#).await;
    let nav = format!("accounts({account})/new_account_product");
    let link = format!(r#"{{"@odata.id":"products({product})"}}"#);
    assert_eq!(env.send(&format!("POST {nav}/$ref"), &[], &link).await.status, 204);
    assert_eq!(env.values(&format!("{nav}?$select=name"), "name").await, ["p"]);
    assert_eq!(env.values("products?$filter=new_account_product/any(a:a/name eq 'a')", "name").await, ["p"]);
    assert_eq!(env.send(&format!("DELETE {nav}({product})/$ref"), &[], "").await.status, 204);
    assert!(env.values(&nav, "name").await.is_empty());
}

#[tokio::test]
async fn cascades_end_even_in_a_circle() {
    let env = env().await;
    let table = TABLE.replace("new_CreditRequest", "new_Node");
    post(&env, "EntityDefinitions", &table).await;
    for (name, delete) in [("new_Next", "Cascade"), ("new_Guard", "Restrict")] {
        let body = format!(
            r#"{{"SchemaName":"new_node_{name}","ReferencedEntity":"new_node","ReferencingEntity":"new_node","Lookup":{{"SchemaName":"{name}"}},"CascadeConfiguration":{{"Delete":"{delete}"}}}}"#
        );
        post(&env, "RelationshipDefinitions", &body).await;
    }
    let first = env.create("new_nodes", r#"{"new_name":"0"}"#).await;
    let mut last = first.clone();
    for n in 1..200 {
        last = env
            .create("new_nodes", &format!(r#"{{"new_name":"{n}","new_Next@odata.bind":"/new_nodes({last})"}}"#))
            .await;
    }
    let close = format!(r#"{{"new_Next@odata.bind":"/new_nodes({last})"}}"#);
    assert_eq!(env.send(&format!("PATCH new_nodes({first})"), &[], &close).await.status, 204);
    let guard = env
        .create("new_nodes", &format!(r#"{{"new_name":"guard","new_Guard@odata.bind":"/new_nodes({last})"}}"#))
        .await;
    let refused = env.send(&format!("DELETE new_nodes({first})"), &[], "").await;
    assert_eq!((refused.status, refused.error().0), (405, "0x80047002".into()));
    assert_eq!(env.get("new_nodes/$count").await.text, "\u{feff}201", "nothing is deleted when one refuses");
    assert_eq!(env.send(&format!("DELETE new_nodes({guard})"), &[], "").await.status, 204);
    assert_eq!(env.send(&format!("DELETE new_nodes({first})"), &[], "").await.status, 204);
    assert_eq!(env.get("new_nodes/$count").await.text, "\u{feff}0");
}
