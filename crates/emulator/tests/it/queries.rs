//! Reading lists: filters, order, pages, counts, related rows.

use crate::{Env, env};

async fn filled() -> Env {
    let env = env().await;
    let parent = env.create("accounts", r#"{"name":"Zulu","accountnumber":"Z","creditlimit":10.01}"#).await;
    for (name, number, more) in [
        ("Alpha Ltd", "A", r#""creditlimit":100,"paymenttermscode":1,"telephone1":"1""#.to_owned()),
        ("beta_x", "B", r#""creditlimit":99.99,"paymenttermscode":4,"donotemail":true"#.to_owned()),
        ("Gamma", "C", format!(r#""parentaccountid@odata.bind":"/accounts({parent})""#)),
        ("O'Brien & Co", "D", r#""creditlimit":0"#.to_owned()),
    ] {
        env.create("accounts", &format!(r#"{{"name":"{name}","accountnumber":"{number}",{more}}}"#)).await;
    }
    env.create(
        "contacts",
        r#"{"lastname":"Fox","parentcustomerid_account@odata.bind":"/accounts(accountnumber='A')"}"#,
    )
    .await;
    env.create("contacts", r#"{"lastname":"Ox","parentcustomerid_account@odata.bind":"/accounts(accountnumber='A')"}"#)
        .await;
    env
}

#[tokio::test]
async fn filters_keep_what_they_say() {
    let env = filled().await;
    for (filter, expected) in [
        ("name eq 'ALPHA LTD'", "A"),
        ("name ne 'gamma'", "ABDZ"),
        ("paymenttermscode ne 1", "BCDZ"),
        ("creditlimit gt 10.00999 and creditlimit lt 100", "BZ"),
        ("creditlimit eq 10.010", "Z"),
        ("creditlimit eq 10.01001", ""),
        ("creditlimit ge 99.99", "AB"),
        ("creditlimit eq null", "C"),
        ("not (creditlimit gt 50)", "CDZ"),
        ("contains(name,'MM')", "C"),
        ("startswith(name,'beta_')", "B"),
        ("contains(name,'[x-z]')", "BZ"),
        ("endswith(name,'ltd') or accountnumber eq 'd'", "AD"),
        ("name eq 'O''Brien %26 Co'", "D"),
        ("donotemail eq true", "B"),
        ("parentaccountid/name eq 'zulu'", "C"),
        ("_parentaccountid_value ne null", "C"),
        ("contact_customer_accounts/any(c:c/lastname eq 'fox')", "A"),
        ("contact_customer_accounts/all(c:endswith(c/lastname,'ox')) and contact_customer_accounts/any()", "A"),
        ("contact_customer_accounts/all(c:c/lastname eq 'fox')", "BCDZ"),
        ("Microsoft.Dynamics.CRM.In(PropertyName='accountnumber',PropertyValues=['a','b'])", "AB"),
        ("Microsoft.Dynamics.CRM.In(PropertyName='paymenttermscode',PropertyValues=['4','1'])", "AB"),
        ("Microsoft.Dynamics.CRM.Between(PropertyName='creditlimit',PropertyValues=['0','11'])", "DZ"),
        ("Microsoft.Dynamics.CRM.Today(PropertyName='createdon')", "ABCDZ"),
        ("Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=2)", "ABCDZ"),
        ("createdon gt 2020-01-01T00:00:00Z and createdon lt 2120-01-01", "ABCDZ"),
        ("accountnumber eq @p1&@p1='c'", "C"),
        ("telephone1 eq accountnumber", ""),
    ] {
        let numbers = env
            .values(&format!("accounts?$select=accountnumber&$orderby=accountnumber&$filter={filter}"), "accountnumber")
            .await;
        assert_eq!(numbers.concat(), expected, "{filter}");
    }
}

#[tokio::test]
async fn queries_that_are_refused() {
    let env = filled().await;
    env.check_errors(&[
        (
            "GET accounts?$filter=name eq 'O'Brien'",
            "",
            400,
            "0x80060888",
            "There is an unterminated literal at position 17 in 'name eq 'O'Brien''.",
        ),
        (
            "GET accounts?$filter=nosuch eq 1",
            "",
            400,
            "0x80060888",
            "Could not find a property named 'nosuch' on type 'Microsoft.Dynamics.CRM.account'.",
        ),
        (
            "GET accounts?$select=primarycontactid",
            "",
            400,
            "0x80060888",
            "Could not find a property named 'primarycontactid'",
        ),
        (
            "GET accounts?$filter=name eq 5",
            "",
            400,
            "0x80060888",
            "Found operand types 'Edm.String' and 'Edm.Int32' for operator kind 'Equal'",
        ),
        ("GET accounts?$filter=_parentaccountid_value eq 'x'", "", 400, "0x80060888", "Edm.Guid"),
        ("GET accounts?$skip=1", "", 400, "0x80060888", "Skip Clause is not supported"),
        ("GET accounts?$filtre=1", "", 400, "0x80060888", "$filtre"),
        (
            "GET accounts?$expand=contact_customer_accounts/$ref",
            "",
            400,
            "0x80060888",
            "Expand with $ref is only supported on lookup type navigation property.",
        ),
        ("GET accounts?$expand=primarycontactid($filter=fullname eq 'x')", "", 400, "0x80060888", "collection-valued"),
        ("GET accounts?$filter=accountnumber in ('a')", "", 501, "NotEmulated", "'in'"),
        ("GET accounts?$filter=year(createdon) eq 2026", "", 501, "NotEmulated", "'year'"),
        ("GET accounts?fetchXml=x", "", 501, "NotEmulated", "'fetchXml'"),
        ("GET accounts?sql=x", "", 501, "NotEmulated", "'sql'"),
    ])
    .await;
}

#[tokio::test]
async fn order_is_by_value_and_by_name_of_what_a_lookup_points_to() {
    let env = filled().await;
    for (order, expected) in [
        ("name desc", "ZDCBA"),
        ("paymenttermscode desc,name", "BACDZ"),
        ("creditlimit,name", "CDZBA"),
        ("_parentaccountid_value desc,name", "CABDZ"),
    ] {
        let numbers = env.values(&format!("accounts?$select=accountnumber&$orderby={order}"), "accountnumber").await;
        assert_eq!(numbers.concat(), expected, "{order}");
    }
    assert_eq!(env.values("accounts?$orderby=name&$top=2", "accountnumber").await.concat(), "AB");
}

#[tokio::test]
async fn pages_reach_everything_once() {
    let env = filled().await;
    for query in ["accounts?$select=accountnumber", "accounts?$select=accountnumber&$orderby=name desc&$top=1"] {
        let mut next = format!("{}{query}", env.root());
        let mut seen = Vec::new();
        let mut pages = 0;
        while !next.is_empty() {
            let page = env.send(&format!("GET {next}"), &[("Prefer", "odata.maxpagesize=2")], "").await;
            assert_eq!(page.header("preference-applied"), "odata.maxpagesize=2");
            let page = page.json();
            pages += 1;
            seen.extend(
                page["value"].as_array().unwrap().iter().map(|row| row["accountnumber"].as_str().unwrap().to_owned()),
            );
            next = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
            assert!(next.is_empty() || next.starts_with(&env.root()), "{next}");
            // A client that decodes and encodes again, or adds a slash, still gets on.
            if pages == 1 {
                assert!(
                    next.contains("$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253Ccookie"),
                    "{next}"
                );
                next.push('/');
            }
        }
        assert_eq!(pages, 3, "paging wins over $top");
        seen.sort();
        assert_eq!(seen.concat(), "ABCDZ");
    }
}

#[tokio::test]
async fn counts() {
    let env = filled().await;
    assert_eq!(env.get("accounts/$count").await.text, "\u{feff}5");
    assert_eq!(env.get("accounts/$count?$filter=creditlimit gt 50").await.text, "\u{feff}2");
    let prefer = [("Prefer", "odata.include-annotations=\"Microsoft.Dynamics.CRM.*\",odata.maxpagesize=2")];
    let page = env.send("GET accounts?$count=true&$select=name", &prefer, "").await.json();
    assert_eq!(page["@odata.count"], 5);
    assert_eq!(page["@Microsoft.Dynamics.CRM.totalrecordcount"], 5);
    assert_eq!(page["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"], false);
    let total = env.get("RetrieveTotalRecordCount(EntityNames=['account'])").await.json();
    assert_eq!(total["EntityRecordCountCollection"]["Values"][0], 5);
}

#[tokio::test]
async fn expand_and_annotations() {
    let env = filled().await;
    let prefer = [("Prefer", "odata.include-annotations=\"*\"")];
    let query = "GET accounts?$select=name,creditlimit,paymenttermscode&$filter=accountnumber eq 'A'&$expand=contact_customer_accounts($select=lastname;$filter=lastname eq 'ox'),parentaccountid($select=name)";
    let answer = env.send(query, &prefer, "").await.json();
    let row = &answer["value"][0];
    assert_eq!(row["paymenttermscode@OData.Community.Display.V1.FormattedValue"], "Net 30");
    assert_eq!(row["creditlimit@OData.Community.Display.V1.FormattedValue"], "\u{a3}100.00");
    assert_eq!(row["contact_customer_accounts"][0]["lastname"], "Ox");
    assert!(
        row["contact_customer_accounts@odata.nextLink"]
            .as_str()
            .unwrap()
            .contains("/contact_customer_accounts?$select=lastname")
    );
    assert!(row["parentaccountid"].is_null());
    let context = answer["@odata.context"].as_str().unwrap();
    assert!(
        context.ends_with(
            "#accounts(name,creditlimit,paymenttermscode,contact_customer_accounts(lastname),parentaccountid(name))"
        ),
        "{context}"
    );
    let child = env.get("accounts?$filter=accountnumber eq 'C'&$select=name&$expand=parentaccountid/$ref").await.json();
    assert!(child["value"][0]["parentaccountid"]["@odata.id"].as_str().unwrap().starts_with(&env.root()));
    // A polymorphic owner.
    let owner = env.get("accounts?$filter=accountnumber eq 'C'&$select=name&$expand=ownerid($select=ownerid)").await;
    assert_eq!(owner.status, 400, "{}", owner.text);
    let owner = env.get("accounts?$top=1&$select=name&$expand=owninguser($select=fullname)").await.json();
    assert_eq!(owner["value"][0]["owninguser"]["fullname"], "# Integration (sample)");
}

#[tokio::test]
async fn the_service_document_and_links_follow_the_client() {
    let env = filled().await;
    let headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "crm.example")];
    let document = env.send("GET /api/data/v9.1/", &headers, "").await.json();
    assert_eq!(document["@odata.context"], "https://crm.example/api/data/v9.1/$metadata");
    assert!(
        document["value"].as_array().unwrap().iter().any(|set| set["name"] == "accounts" && set["kind"] == "EntitySet")
    );
}

#[tokio::test]
async fn aggregates_are_exact() {
    let env = filled().await;
    for (apply, expected) in [
        (
            "aggregate(creditlimit with sum as s,$count as n,creditlimit with average as a,creditlimit with max as m)",
            r#"[{"s":210.0000,"n":5,"a":52.5000,"m":100.0000}]"#,
        ),
        (
            "filter(creditlimit gt 50)/groupby((paymenttermscode),aggregate($count as n))",
            r#"[{"paymenttermscode":1,"n":1},{"paymenttermscode":4,"n":1}]"#,
        ),
        (
            "groupby((parentaccountid/name),aggregate($count as n))",
            r#"[{"n":4},{"parentaccountid_name":"Zulu","n":1}]"#,
        ),
        ("groupby((statuscode),aggregate(accountnumber with countdistinct as d))", r#"[{"statuscode":1,"d":5}]"#),
    ] {
        let answer = env.get(&format!("accounts?$apply={apply}")).await;
        assert!(answer.text.ends_with(&format!("\"value\":{expected}}}")), "{apply}: {}", answer.text);
    }
    env.check_errors(&[
        ("GET accounts?$apply=groupby((createdon))", "", 400, "0x80060888", "date-time"),
        ("GET accounts?$apply=aggregate(name with sum as s)", "", 400, "0x80060888", "'sum'"),
        ("GET accounts?$apply=identity", "", 501, "NotEmulated", "$apply"),
    ])
    .await;
}

#[tokio::test]
async fn a_filter_as_long_as_a_url_may_be() {
    let env = filled().await;
    let chain = |count: usize| (0..count).map(|n| format!("telephone1+eq+'{n}'")).collect::<Vec<_>>().join("+or+");
    let numbers = env.values(&format!("accounts?$filter={}", chain(1200)), "accountnumber").await;
    assert_eq!(numbers, ["A"]);
    assert_eq!(env.get(&format!("accounts?$filter={}", chain(2000))).await.status, 414);
}

#[tokio::test]
async fn keys_of_several_columns_and_of_lookups() {
    let env = env().await;
    let product = env.create("products", r#"{"name":"p","productnumber":"P"}"#).await;
    let list = env.create("pricelevels", r#"{"name":"l"}"#).await;
    let unit = env.values("uoms?$filter=name eq 'EA'", "uomid").await.concat();
    let key = format!("productpricelevels(_productid_value={product},_pricelevelid_value={list},_uomid_value={unit})");
    for amount in ["1.5", "2.25"] {
        let answer = env.send(&format!("PATCH {key}"), &[], &format!(r#"{{"amount":{amount}}}"#)).await;
        assert_eq!((answer.status, answer.header("odata-entityid")), (204, format!("{}{key}", env.root()).as_str()));
    }
    let row = env.get(&format!("{key}?$select=amount,productidname")).await;
    assert!(row.text.contains("\"amount\":2.2500") && row.text.contains("\"productidname\":\"p\""), "{}", row.text);
    assert_eq!(env.stats().await["rows"]["productpricelevel"]["created"], 1);
}
