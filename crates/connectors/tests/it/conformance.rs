//! Every connector of the registry through the one suite.

pub mod waivers;

use mysql_async::prelude::Queryable;

use connectors::conformance::{Check, Stand, Trouble, option_names, run};
use record::{OptionValue, Options};
use rusqlite::Connection;

/// A `timeout` is in milliseconds.
pub fn options(pairs: &[(&str, &str)]) -> Options {
    let value = |name: &str, text: &str| match name {
        "timeout" => OptionValue::Duration(std::time::Duration::from_millis(text.parse().unwrap())),
        _ => OptionValue::Text(text.to_owned()),
    };
    Options(pairs.iter().map(|(name, text)| ((*name).to_owned(), value(name, text))).collect())
}

fn open(kind: &str, pairs: &[(&str, &str)]) -> std::sync::Arc<dyn record::System> {
    (connectors::registry::find(kind).unwrap().open)("tested", options(pairs)).unwrap()
}

/// A service at an address, with a token, and one more option or another token.
fn with_bearer(kind: &str, url: &str, token: &str, more: Option<(&str, &str)>) -> std::sync::Arc<dyn record::System> {
    let token = [("bearer", token)].into_iter().filter(|_| !matches!(more, Some(("bearer", _))));
    open(kind, &[("url", url)].into_iter().chain(token).chain(more).collect::<Vec<_>>())
}

/// Hands everything on but what a known stranger asks, who has no right to anything.
fn refusing_strangers(url: &str) -> crate::web::Server {
    let to = url.to_owned();
    crate::web::Server::start(move |request| match request.header("authorization") {
        Some("Bearer stranger") => {
            crate::web::Response(403, String::new(), "{\"error\":{\"message\":\"not yours\"}}".to_owned())
        }
        _ => crate::web::forward(&to, request),
    })
}

async fn passes(stand: Stand) {
    let failures = run(&stand).await;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tested.db");
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "CREATE TABLE things (number TEXT PRIMARY KEY, name VARCHAR(160), note TEXT, amount DECIMAL(14,2), due DATE,
               changed TIMESTAMPTZ, CHECK (typeof(amount) <> 'text'));",
        )
        .unwrap();
    passes(Stand {
        kind: "sqlite",
        filled: false,
        system: open("sqlite", &[("file", file.to_str().unwrap())]),
        wrong_password: None,
        table: "things",
        key: "number",
        text: "name",
        long_text: "note",
        number: "amount",
        date: Some("due"),
        time: "changed",
        options: Options::default(),
        trouble: crate::ground::sqlite(file.to_str().unwrap()),
        waivers: waivers::of("sqlite"),
    })
    .await;
}

/// The address of a real server that the tests may use, from this variable; `None` where there is none and none is
/// required.
#[expect(clippy::print_stderr, reason = "who runs the tests should see what was left out")]
pub fn server(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        let required = std::env::var_os("IRONBRIDGE_TEST_SERVERS").is_some();
        assert!(!required, "the servers are required, and this one is not there: {variable}");
        eprintln!("skipped: needs {variable} (scripts/servers start DIR)");
    }
    address
}

/// A PostgreSQL of its own for each test: a new database on the server that `scripts/servers` started.
pub async fn postgres_database(name: &str) -> Option<String> {
    let server = server("IRONBRIDGE_TEST_POSTGRES")?;
    let admin = postgres_client(&server).await;
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    Some(format!("{}/{name}", server.rsplit_once('/').unwrap().0))
}

pub async fn postgres_client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("conformance").await else { return };
    let client = postgres_client(&url).await;
    client
        .batch_execute(
            "CREATE TABLE things (number VARCHAR(20) PRIMARY KEY, name VARCHAR(160), note TEXT, amount NUMERIC(14,2),
               due DATE, changed TIMESTAMPTZ)",
        )
        .await
        .unwrap();
    passes(Stand {
        kind: "postgres",
        filled: false,
        system: open("postgres", &[("url", &url)]),
        wrong_password: Some(open("postgres", &[("url", &url.replace(":sample@", ":wrong@"))])),
        table: "things",
        key: "number",
        text: "name",
        long_text: "note",
        number: "amount",
        date: Some("due"),
        time: "changed",
        options: Options::default(),
        trouble: crate::ground::postgres(&url).await,
        waivers: waivers::of("postgres"),
    })
    .await;
}

/// A MariaDB database of its own for each test, on the server that `scripts/servers` started.
pub async fn mysql_database(name: &str) -> Option<String> {
    let server = server("IRONBRIDGE_TEST_MARIADB")?;
    let address = server.rsplit_once('/').unwrap().0;
    let mut admin = mysql_client(address).await;
    admin.query_drop(format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    admin.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
    Some(format!("{address}/{name}"))
}

pub async fn mysql_client(url: &str) -> mysql_async::Conn {
    let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url).unwrap()).prefer_socket(false);
    mysql_async::Conn::new(opts).await.unwrap()
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("conformance").await else { return };
    mysql_client(&url)
        .await
        .query_drop(
            "CREATE TABLE things (number VARCHAR(20) PRIMARY KEY, name VARCHAR(160), note TEXT, amount DECIMAL(14,2),
               due DATE, changed TIMESTAMP NULL)",
        )
        .await
        .unwrap();
    passes(Stand {
        kind: "mysql",
        filled: false,
        system: open("mysql", &[("url", &url)]),
        wrong_password: Some(open("mysql", &[("url", &url.replace(":sample@", ":wrong@"))])),
        table: "things",
        key: "number",
        text: "name",
        long_text: "note",
        number: "amount",
        date: Some("due"),
        time: "changed",
        options: Options::default(),
        trouble: crate::ground::mysql(&url).await,
        waivers: waivers::of("mysql"),
    })
    .await;
}

/// No SQL Server can be started from a package: this runs where somebody names one.
#[tokio::test]
async fn sqlserver() {
    let Ok(url) = std::env::var("IRONBRIDGE_TEST_SQLSERVER") else {
        eprintln!("skipped: needs IRONBRIDGE_TEST_SQLSERVER (the address of an empty SQL Server database)");
        return;
    };
    sqlserver_table(&url).await;
    let (start, rest) = url.split_once("//").unwrap();
    let (user, rest) = rest.split_once(':').unwrap();
    let wrong = format!("{start}//{user}:wrong@{}", rest.split_once('@').unwrap().1);
    passes(Stand {
        kind: "sqlserver",
        filled: false,
        system: open("sqlserver", &[("url", &url)]),
        wrong_password: Some(open("sqlserver", &[("url", &wrong)])),
        table: "things",
        key: "number",
        text: "name",
        long_text: "note",
        number: "amount",
        date: Some("due"),
        time: "changed",
        options: Options::default(),
        trouble: Trouble {
            silent: Some(open(
                "sqlserver",
                &[("url", &format!("{start}//{user}:wrong@{}/x", crate::ground::silent())), ("timeout", "500")],
            )),
            ..Trouble::default()
        },
        waivers: waivers::of("sqlserver"),
    })
    .await;
}

/// What needs no SQL Server: one that takes connections and says nothing is not waited for.
#[tokio::test]
async fn sqlserver_that_never_answers() {
    let url = format!("sqlserver://hub:sample@{}/finance", crate::ground::silent());
    let system = open("sqlserver", &[("url", &url), ("timeout", "500")]);
    let begun = std::time::Instant::now();
    let fault = system.check().await.unwrap_err();
    assert!(fault.code.0 == "IB0601" && matches!(fault.now, record::Now::RetryAfter(_)), "{fault:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Makes the table of the suite anew.
async fn sqlserver_table(url: &str) {
    use tokio_util::compat::TokioAsyncWriteCompatExt;
    let url = reqwest::Url::parse(url).unwrap();
    let mut config = tiberius::Config::new();
    config.host(url.host_str().unwrap());
    config.port(url.port().unwrap_or(1433));
    config.database(url.path().trim_start_matches('/'));
    config.authentication(tiberius::AuthMethod::sql_server(url.username(), url.password().unwrap_or_default()));
    config.trust_cert();
    let tcp = tokio::net::TcpStream::connect(config.get_addr()).await.unwrap();
    let mut client = tiberius::Client::connect(config, tcp.compat_write()).await.unwrap();
    let make = "DROP TABLE IF EXISTS things; CREATE TABLE things (number NVARCHAR(20) PRIMARY KEY, name NVARCHAR(160),
        note NVARCHAR(MAX), amount DECIMAL(14,2), due DATE, changed DATETIMEOFFSET)";
    client.simple_query(make).await.unwrap().into_results().await.unwrap();
}

#[tokio::test]
async fn dataverse() {
    use emulator::dataverse::{Config, start};
    let handle = start(Config { token: Some("local".into()), ..Config::default() }).await.unwrap();
    let front = refusing_strangers(&handle.url);
    let url = front.url.as_str();
    let at = |url: &str, more: Option<(&str, &str)>| {
        let mut pairs = vec![("url", url)];
        match more {
            Some(("bearer", token)) => pairs.push(("token", token)),
            more => pairs.extend([("token", "local")].into_iter().chain(more)),
        }
        open("dataverse", &pairs)
    };
    passes(Stand {
        kind: "dataverse",
        filled: false,
        system: open("dataverse", &[("url", url), ("token", "local")]),
        wrong_password: Some(open("dataverse", &[("url", url), ("token", "wrong")])),
        table: "account",
        key: "accountnumber",
        text: "name",
        long_text: "description",
        number: "creditlimit",
        date: None,
        time: "lastusedincampaign",
        options: Options::default(),
        trouble: crate::ground::service(url, at).await,
        waivers: waivers::of("dataverse"),
    })
    .await;
    handle.shutdown().await;
}

/// The local Dataverse speaks OData v4; only its `$metadata` comes from here.
#[tokio::test(flavor = "multi_thread")]
async fn odata() {
    use emulator::dataverse::{Config, start};
    let handle = start(Config { token: Some("local".into()), ..Config::default() }).await.unwrap();
    let server = crate::odata::in_front_of(&handle.url);
    let url = format!("{}/api/data/v9.2", server.url);
    let at = |url: &str, more: Option<(&str, &str)>| with_bearer("odata", url, "local", more);
    passes(Stand {
        kind: "odata",
        filled: false,
        system: open("odata", &[("url", &url), ("bearer", "local")]),
        wrong_password: Some(open("odata", &[("url", &url), ("bearer", "wrong")])),
        table: "accounts",
        key: "accountnumber",
        text: "name",
        long_text: "description",
        number: "creditlimit",
        date: None,
        time: "lastusedincampaign",
        options: Options::default(),
        trouble: crate::ground::service(&url, at).await,
        waivers: waivers::of("odata"),
    })
    .await;
    handle.shutdown().await;
}

#[tokio::test]
async fn files() {
    let dir = tempfile::tempdir().unwrap();
    crate::files::conformance_file(dir.path());
    passes(crate::files::stand(open("files", &[("folder", dir.path().to_str().unwrap())]), None, Trouble::default()))
        .await;
}

/// Each kind of the registry has its test above, under its own name.
#[tokio::test]
async fn rest() {
    let dir = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let erp = emulator::samples::erp::start(&dir.path().join("erp.db"), any, "right").await.unwrap();
    let list = [("request", "GET /things?limit=3"), ("rows", "items"), ("next", "next")];
    let mut entity =
        options(&[("create", "POST /things"), ("update", "PUT /things/{id}"), ("exists", "GET /things?ref={ref}")]);
    entity.0.insert("list".into(), OptionValue::Map(options(&list).0));
    entity.0.insert("returns".into(), OptionValue::Map(options(&[("id", "id")]).0));
    let front = refusing_strangers(&erp.url);
    let at = |url: &str, more: Option<(&str, &str)>| with_bearer("rest", url, "right", more);
    passes(Stand {
        kind: "rest",
        filled: false,
        system: at(&front.url, None),
        wrong_password: Some(at(&front.url, Some(("bearer", "wrong")))),
        table: "",
        key: "ref",
        text: "title",
        long_text: "note",
        number: "amount",
        date: None,
        time: "changed",
        options: entity,
        trouble: crate::ground::service(&front.url, at).await,
        waivers: waivers::of("rest"),
    })
    .await;
}

/// What each kind of system was put through, as a page. `UPDATE_DOCS=1` writes it.
#[test]
fn the_page_of_the_suite() {
    let mut page = String::from(
        "# What each connector is put through\n\n\
         One suite runs over every connector, against the real thing where a package has it: PostgreSQL, MariaDB, an OpenSSH server, SQLite, the local Dynamics, web servers.\n\
         A check that does not apply is left out for a reason that is named here; where the reason has gone, the suite fails.\n\
         Mail, Teams, Slack, PagerDuty and webhooks are no systems: what they send is checked by `compat/notices/run`.\n\n",
    );
    let names: Vec<&str> = waivers::ALL.iter().map(|(name, _)| *name).collect();
    page += &format!("| | {} |\n|---|{}\n", names.join(" | "), ":-:|".repeat(names.len()));
    let mut reasons: Vec<&str> = Vec::new();
    for check in Check::ALL {
        let cells = waivers::ALL.iter().map(|(_, waived)| match waived.iter().find(|(waived, _)| *waived == check) {
            None => "✓".to_owned(),
            Some((_, reason)) => {
                let at = reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                format!("[{}](#left-out)", at + 1)
            }
        });
        page += &format!("| {} | {} |\n", check.says(), cells.collect::<Vec<_>>().join(" | "));
    }
    page += "\n## Left out\n\n";
    for (at, reason) in reasons.iter().enumerate() {
        page += &format!("{}. {}{}.\n", at + 1, reason[..1].to_uppercase(), &reason[1..]);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors/conformance.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        page,
        "run: UPDATE_DOCS=1 cargo test -p connectors the_page"
    );
}

#[test]
fn every_kind_is_enrolled() {
    let here = include_str!("conformance.rs");
    for kind in connectors::registry::kinds() {
        assert!(here.contains(&format!("async fn {}()", kind.name)), "`{}` has no conformance test", kind.name);
    }
}

#[test]
fn option_names_agree() {
    let mistakes = option_names();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// The page of each kind has the option table that its fields make. `UPDATE_DOCS=1` writes it.
#[test]
fn every_kind_has_its_page() {
    const START: &str = "<!-- options: generated from the field tables -->\n\n";
    const END: &str = "\n\n<!-- end of options -->";
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors");
    for kind in connectors::registry::kinds() {
        let path = docs.join(format!("{}.md", kind.name));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let (head, rest) =
            page.split_once(START).unwrap_or_else(|| panic!("{} has no place for options", path.display()));
        let (found, tail) = rest.split_once(END).unwrap();
        let options = connectors::reference::options(kind);
        if found != options && std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{head}{START}{options}{END}{tail}")).unwrap();
            continue;
        }
        assert_eq!(found, options, "run: UPDATE_DOCS=1 cargo test -p connectors every_kind_has_its_page");
    }
}
