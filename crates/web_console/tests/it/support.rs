//! A console over an empty project, with a clock that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use definition::{LoadOptions, load_files};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use store::users::{Op, Role};
use store::{Clock, Options, Store};
use tower::ServiceExt;
use web_console::sessions::{Token, form_token};
use web_console::{Console, Setup};

use crate::kinds;
use crate::systems::Systems;

const PROJECT: &[(&str, &str)] = &[
    ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\n"),
    (
        "people.yaml",
        "people: { controller: { name: Controller (sample), email: controller@contoso.example } }\n\
         groups: { it: { email: it@contoso.example }, finance: { members: [controller] } }\n",
    ),
    ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
    (
        "systems/a.yaml",
        "system: a\nkind: postgres\nowner: it\nconnection: { url: \"${env:A}\" }\nentities: { thing: { table: t, read: { number: n } } }\n",
    ),
    (
        "systems/b.yaml",
        "system: b\nkind: postgres\nowner: it\nconnection: { url: \"${env:B}\" }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n",
    ),
    (
        "integrations/things.yaml",
        "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nretry_run: every 2 minutes\nowner: it\npurpose: Things <b>move</b>.\n",
    ),
];

pub struct Bench {
    pub console: Arc<Console>,
    pub store: Store,
    router: Router,
    now: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn place(&self) -> &str {
        self.header("location")
    }

    /// The answer is a problem with this code.
    pub fn fails(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.text.contains(code), "no {code} in {}", self.text);
    }
}

impl Bench {
    pub async fn new() -> Bench {
        Bench::at("127.0.0.1:7700", false).await
    }

    /// The console of a project that a browser reaches, and where.
    pub async fn listening(project: &[(&str, &str)]) -> (Bench, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let bench = Bench::with(project.iter().copied(), &address, false).await;
        let router = bench.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (bench, format!("http://{address}"))
    }

    pub async fn at(address: &str, tls: bool) -> Bench {
        Bench::with(PROJECT.iter().copied(), address, tls).await
    }

    /// The console of another project.
    pub async fn with<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>, address: &str, tls: bool) -> Bench {
        let loaded = load_files(files, &LoadOptions { kinds: kinds::ALL, ..LoadOptions::default() });
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)));
        let dir = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(1_764_150_000));
        let clock = {
            let now = now.clone();
            Clock::of(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap())
        };
        let store = Store::open(dir.path(), Options { clock, timers: false, ..Options::default() }).unwrap();
        let setup = Setup {
            project: Arc::new(project),
            store: store.clone(),
            systems: Arc::new(Systems),
            kinds: kinds::ALL.to_vec(),
            address: address.parse().unwrap(),
            tls,
            person: "mia".to_owned(),
            explain: |code| (code == "IB0412").then(|| format!("# {code}: A page\n\nText.\n")),
        };
        let console = Console::new(setup).await.unwrap();
        let answers = web_console::answers(&console.project, &store, Arc::new(Systems)).await.unwrap();
        Bench { router: web_console::router(&console).merge(answers), console, store, now, _dir: dir }
    }

    pub fn wait(&self, length: Duration) {
        self.now.fetch_add(length.as_secs() as i64, Ordering::SeqCst);
    }

    /// One look at a retry of many, as the hub takes one each second.
    pub async fn step(&self, job: store::retries::JobId) {
        let job = self.store.retry_job(job).unwrap().unwrap();
        hub::retries::step(&self.console.project, &self.store, &job).await.unwrap();
    }

    /// A user, and a browser in which they are signed in.
    pub async fn user(&self, name: &str, role: Role) -> Token {
        let add = Op::Add { name: name.to_owned(), role, person: None, password: "none".to_owned() };
        let token = Token::random();
        let length = web_console::sessions::LENGTH;
        let sign_in = Op::SignIn { user: name.to_owned(), token: token.hash(), instead_of: None, length };
        self.store.commit(vec![add.into(), sign_in.into()]).await.unwrap();
        token
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = match parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
            true => String::new(),
            false => String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        };
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&self, path: &str, who: Option<&Token>) -> Answer {
        self.send(request("GET", path, who).body(Body::empty()).unwrap()).await
    }

    /// Posts a form as our own pages do.
    pub async fn post(&self, path: &str, who: Option<&Token>, form: &str) -> Answer {
        let token = form_token(&self.store.secret("console").await.unwrap(), who);
        let body = format!("form-token={token}&{form}");
        let request = request("POST", path, who).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body)).unwrap()).await
    }
}

pub fn request(method: &str, path: &str, who: Option<&Token>) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:7700");
    match who {
        Some(token) => request.header(header::COOKIE, format!("ironbridge={}", token.text())),
        None => request,
    }
}
