//! Files on a real SSH server, which `scripts/servers` starts.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use connectors::conformance::Proxy;

use super::*;

struct Server {
    /// `sftp://user@127.0.0.1:2222`
    url: String,
    dir: PathBuf,
    key: String,
    /// The fingerprint of its host key.
    host_key: String,
}

fn server() -> Option<Server> {
    let url = crate::conformance::server("IRONBRIDGE_TEST_SFTP")?;
    let dir = crate::conformance::server("IRONBRIDGE_TEST_SFTP_DIR")?;
    let dir = PathBuf::from(dir);
    // As `${file:…}` gives it: without the line end behind it.
    let key = std::fs::read_to_string(dir.join("client_key")).unwrap().trim_end().to_owned();
    let host_key = std::fs::read_to_string(dir.join("host_key.pub")).unwrap().trim().to_owned();
    Some(Server { url, dir, key, host_key })
}

impl Server {
    /// A new folder that everybody may write to.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.join("home").join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        folder
    }

    fn system(&self, folder: &Path, more: &[(&str, &str)]) -> Arc<dyn System> {
        let url = format!("{}{}", self.url, folder.display());
        open(&[&[("url", &*url)], more].concat())
    }

    fn with_key(&self, folder: &Path) -> Arc<dyn System> {
        self.system(folder, &[("key", &self.key), ("host_key", &self.host_key)])
    }
}

#[tokio::test]
async fn the_suite_over_sftp() {
    let Some(server) = server() else { return };
    let folder = server.folder("suite");
    conformance_file(&folder);
    let wrong = server.system(&folder, &[("password", "wrong"), ("host_key", &server.host_key)]);
    let login = [("key", &*server.key), ("host_key", &*server.host_key)];
    let proxy = Proxy::start(server.url.split_once('@').unwrap().1.parse().unwrap()).await.unwrap();
    let through = |address: &str| format!("{}@{address}{}", server.url.split_once('@').unwrap().0, folder.display());
    let (away, silent) = (through(&proxy.address.to_string()), through(&crate::ground::silent()));
    let trouble = Trouble {
        through: Some((open(&[&[("url", &*away)], &login[..]].concat()), proxy)),
        silent: Some(open(&[&[("url", &*silent), ("timeout", "1000")], &login[..]].concat())),
        ..Trouble::default()
    };
    let failures = connectors::conformance::run(&stand(server.with_key(&folder), Some(wrong), trouble)).await;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn files_are_fetched_resumed_and_moved() {
    let Some(server) = server() else { return };
    let folder = server.folder("moved");
    let rows: String = (0..3_000).map(|row| format!("{row},{row}.25\n")).collect();
    put(&folder, "p_1.csv", format!("number,amount\n{rows}"), 30);
    put(&folder, "p_2.csv", "number,amount\nlast,1\n", 20);
    put(&folder, "p_3.csv", "number,amount\nhalf", 0);
    let mut spec = spec(CHANGES);
    spec.rows_per_batch = 1_000;
    let source = server.with_key(&folder).source(spec).unwrap();
    let whole = read(&*source, None).await.unwrap();
    assert_eq!((whole.rows.len(), &*whole.rows[2_999], &*whole.rows[3_000]), (3_001, "2999=2999.25", "last=1"));
    let rest = read(&*source, whole.pages[1].cursor.as_deref()).await.unwrap();
    assert_eq!(rest.rows, whole.rows[2_000..]);
    source.committed(whole.cursor.as_deref().unwrap()).await.unwrap();
    source.committed(whole.cursor.as_deref().unwrap()).await.unwrap();
    let done = folder.join("done");
    assert!(done.join("p_1.csv").exists() && done.join("p_2.csv").exists());
    assert!(folder.join("p_3.csv").exists() && !folder.join("p_1.csv").exists());
    let again = read(&*source, None).await.unwrap();
    assert_eq!(again.rows.len(), 3_001, "what was put away is still there to be read");
    let newest = spec_of(EVERYTHING, &[("afterwards", "delete")]);
    put(&folder, "p_4.csv", "number,amount\n1,1\n", 10);
    let source = server.with_key(&folder).source(newest).unwrap();
    let seen = read(&*source, None).await.unwrap();
    source.committed(seen.cursor.as_deref().unwrap()).await.unwrap();
    assert!(!folder.join("p_4.csv").exists());
}

fn spec_of(options: &[(&str, &str)], more: &[(&str, &str)]) -> ReadSpec {
    spec(&[options, more].concat())
}

#[tokio::test]
async fn nobody_is_told_a_secret_before_the_host_key_is_right() {
    let Some(server) = server() else { return };
    let folder = server.folder("trust");
    let hosts = server.dir.join("home").join("known_hosts_of_test");
    let port = server.url.rsplit_once(':').unwrap().1;
    let with_hosts = |text: String| {
        std::fs::write(&hosts, text).unwrap();
        server.system(&folder, &[("key", &server.key), ("known_hosts", hosts.to_str().unwrap())])
    };
    let fault = with_hosts(String::new()).check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0625", record::Now::AskPerson), "{fault}");
    assert!(fault.what.contains("does not know this server"), "{fault}");
    let fingerprint = fault.fix.split('"').nth(1).unwrap().to_owned();
    assert!(fingerprint.starts_with("SHA256:"), "{}", fault.fix);
    let health = with_hosts(format!("[127.0.0.1]:{port} {}\n", server.host_key)).check().await.unwrap();
    assert!(health.user.is_some());
    let other = std::fs::read_to_string(server.dir.join("client_key.pub")).unwrap();
    let fault = with_hosts(format!("[127.0.0.1]:{port} {other}")).check().await.unwrap_err();
    assert!(fault.code.0 == "IB0625" && fault.what.contains("has another one for it"), "{fault}");
    // What the fault says to write works.
    server.system(&folder, &[("key", &server.key), ("host_key", &fingerprint)]).check().await.unwrap();
    let fault =
        server.system(&folder, &[("key", &server.key), ("host_key", "SHA256:other")]).check().await.unwrap_err();
    assert!(fault.code.0 == "IB0625" && fault.what.contains("not the one of `host_key:`"), "{fault}");
}

#[tokio::test]
async fn who_is_refused_and_what_is_not_there() {
    let Some(server) = server() else { return };
    let folder = server.folder("refused");
    put(&folder, "p_1.csv", "number,amount\n1,1\n", 30);
    let trusted = ("host_key", &*server.host_key);
    if server.dir.join("user").exists() {
        let health = server.system(&folder, &[("password", "sample"), trusted]).check().await.unwrap();
        assert_eq!(health.version, "SFTP version 3, 1 file in it");
    }
    let fault = server.system(&folder, &[("password", "wrong-secret"), trusted]).check().await.unwrap_err();
    assert_eq!(fault.code.0, "IB0604");
    assert!(!format!("{fault:?}").contains("wrong-secret"), "a password is shown");
    let fault = server.with_key(&folder.join("nowhere")).check().await.unwrap_err();
    assert!(fault.code.0 == "IB0602" && fault.what.contains("nowhere"), "{fault}");
    let fault = open(&[("url", "sftp://hub@127.0.0.1:9/x"), ("password", "x")]).check().await.unwrap_err();
    assert!(fault.code.0 == "IB0601" && fault.is_transient(), "{fault}");
    // A folder that others may not write to: the rows are read, the file stays, and the fault says why.
    if server.dir.join("user").exists() {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let source = server.with_key(&folder).source(spec(CHANGES)).unwrap();
        let seen = read(&*source, None).await.unwrap();
        let fault = source.committed(seen.cursor.as_deref().unwrap()).await.unwrap_err();
        assert_eq!(fault.code.0, "IB0626", "{fault}");
        assert!(fault.what.contains("`p_1.csv` was read to its end, and could not be moved to done/"), "{fault}");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let fault = server.with_key(&folder).check().await.unwrap_err();
        assert_eq!(fault.code.0, "IB0604", "{fault}");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
}

#[tokio::test]
async fn a_file_is_replaced_and_what_was_cut_off_is_mended() {
    let Some(server) = server() else { return };
    let folder = server.folder("written");
    let system = server.with_key(&folder);
    super::writing::replaces(&*system, || std::fs::read_to_string(folder.join("stock.csv")).ok()).await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    // The connection ended between the two steps: the file stepped aside, and the new one is not there yet.
    std::fs::rename(folder.join("stock.csv"), folder.join(".stock.csv.old")).unwrap();
    let part = folder.join(".stock.csv.part");
    std::fs::write(&part, "sku,am").unwrap();
    std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o666)).unwrap();
    let sink = super::writing::sink(&*system, "stock.csv", &[]);
    let key = record::Key::of(&[record::Value::text("B")]).unwrap();
    let found = sink.current(&[key], &["amount".to_owned()]).await.unwrap();
    assert!(found[0].is_some(), "what was there is there again");
    super::writing::apply(&*sink, &[super::writing::row("C", "7")]).await;
    let text = std::fs::read_to_string(folder.join("stock.csv")).unwrap();
    assert!(text.contains("B,") && text.contains("C,7"), "{text}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    if server.dir.join("user").exists() {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let fault = sink.apply(&[super::writing::row("D", "1")]).await.unwrap_err();
        assert!(fault.code.0 == "IB0503" && fault.fix.contains("to write into it"), "{fault}");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
}
