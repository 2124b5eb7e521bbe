//! Connections, and what stands before the environment: tokens, limits, faults, counters.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::engine::{Clock, Engine};
use super::faults::{Faults, What};
use super::limits::{Left, Limits, Meter};
use super::refusal::Refusal;
use super::tokens::Tokens;
use super::webhooks::Post;
use super::wire::{Request, Response};
use super::{Config, Error, admin, batch, builtin, post, provider, service, tls};

/// The platform's bound on a message.
const BODY_BYTES_MAX: usize = 116 * 1024 * 1024;

/// The longest URL outside a batch.
const URL_BYTES_MAX: usize = 32_768;

const HANDSHAKE: Duration = Duration::from_secs(10);

const CONNECTIONS_MAX: usize = 1024;

/// A running environment. Dropping it ends it without waiting.
pub struct Handle {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub url: String,
    /// The same over https, if that was asked for.
    pub https_url: Option<String>,
    /// The certificate that a client has to trust for it.
    pub ca_path: Option<PathBuf>,
    stop: watch::Sender<bool>,
    accepting: Vec<JoinHandle<()>>,
    posting: JoinHandle<()>,
}

impl Handle {
    /// Stops taking connections, lets running requests end, and closes the database.
    pub async fn shutdown(self) {
        let Handle { stop, accepting, posting, .. } = self;
        let _ = stop.send(true);
        for accepting in accepting {
            let _ = accepting.await;
        }
        let _ = posting.await;
    }
}

/// Everything that requests share.
pub struct Server {
    pub engine: Mutex<Engine>,
    pub clock: Arc<Clock>,
    pub tokens: Mutex<Tokens>,
    pub faults: Mutex<Faults>,
    pub counters: Mutex<Counters>,
    pub seed: u64,
    pub webhook_timeout: Duration,
    limits: Option<Limits>,
    row_time: Duration,
    /// What `x-ms-dop-hint` says.
    at_once: String,
    meter: Mutex<Meter>,
    posts: mpsc::Sender<Post>,
    /// The engine does one thing at a time; more than the next in line need no thread yet.
    turns: Semaphore,
    /// Requests that have come and are not answered.
    pub under_way: AtomicUsize,
}

/// Counts a request while it is under way, however it ends.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn of(server: &'a Server) -> UnderWay<'a> {
        server.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(&server.under_way)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What was asked and answered since the start or the last reset.
#[derive(Default)]
pub struct Counters {
    pub requests: IndexMap<String, u64>,
    pub answers: IndexMap<u16, u64>,
    pub faults: IndexMap<String, u64>,
}

/// Opens the environment and listens.
///
/// *Errors*: a folder or database that cannot be used, an address that is taken, a fault that is none.
pub async fn start(config: Config) -> Result<Handle, Error> {
    let faults = Faults::parse(&config.faults, config.seed)?;
    let clock = Arc::new(Clock::default());
    let engine = Engine::open(config.dir.as_deref(), clock.clone())?;
    let listen = |source| Error::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (posts, waiting) = mpsc::channel(post::WAITING_MAX);
    let server = Arc::new(Server {
        engine: Mutex::new(engine),
        clock,
        tokens: Mutex::new(Tokens::new(config.token, config.clients, config.token_seconds)),
        faults: Mutex::new(faults),
        counters: Mutex::new(Counters::default()),
        seed: config.seed,
        webhook_timeout: config.webhook_timeout,
        limits: config.limits,
        row_time: config.row_time,
        at_once: config.at_once.to_string(),
        meter: Mutex::new(Meter::default()),
        posts,
        turns: Semaphore::new(2),
        under_way: AtomicUsize::new(0),
    });
    let (stop, stopped) = watch::channel(false);
    let posting = tokio::spawn(post::run(server.clone(), waiting, stopped.clone()));
    let mut accepting = vec![tokio::spawn(accept(listener, server.clone(), None, stopped.clone()))];
    let (mut https_url, mut ca_path) = (None, None);
    if let Some(config_https) = config.https {
        let tls = tls::prepare(config.dir.as_deref())?;
        let listen = |source| Error::Listen { address: config_https, source };
        let listener = TcpListener::bind(config_https).await.map_err(listen)?;
        // The certificate is for names, and clients like this one best.
        https_url = Some(format!("https://localhost:{}", listener.local_addr().map_err(listen)?.port()));
        ca_path = Some(tls.ca_path);
        accepting.push(tokio::spawn(accept(listener, server, Some(tls.acceptor), stopped)));
    }
    Ok(Handle { url: format!("http://{address}"), https_url, ca_path, stop, accepting, posting })
}

async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match stream {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let (server, stopped, tls) = (server.clone(), stopped.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, server, "http", stopped).await,
                        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                            Ok(Ok(stream)) => serve(stream, server, "https", stopped).await,
                            Ok(Err(error)) => tracing::info!(%error, "a TLS handshake failed"),
                            Err(_) => {}
                        },
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // All places free again means that every connection has ended.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(Duration::from_secs(10), places.acquire_many(all)).await;
}

async fn serve<S>(stream: S, server: Arc<Server>, scheme: &'static str, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| {
        let server = server.clone();
        async move { handle(server, scheme, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60))
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut on purpose")]
pub struct Cut;

async fn handle(
    server: Arc<Server>,
    scheme: &str,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Cut> {
    let _under_way = UnderWay::of(&server);
    let (parts, body) = request.into_parts();
    let response = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => answer(&server, scheme, parts, collected.to_bytes()).await?,
        Err(_) => Refusal::new(413, "0x0", "The request body is too large or broke off.").response(&Default::default()),
    };
    *server.counters.lock().answers.entry(response.status).or_default() += 1;
    Ok(finish(response, &server.at_once))
}

async fn answer(server: &Arc<Server>, scheme: &str, parts: http::request::Parts, body: Bytes) -> Result<Response, Cut> {
    let path = parts.uri.path();
    let origin = origin(scheme, &parts.headers);
    if let Some(route) = path.strip_prefix("/emulator/") {
        return Ok(admin::answer(server, &parts.method, route, &body));
    }
    let is_token = path.contains("/oauth2/") && path.ends_with("/token");
    let Some((version, below)) = web_api(path) else {
        if is_token && parts.method == http::Method::POST && !is_down(server) {
            server.count("token");
            let form = String::from_utf8_lossy(&body);
            return Ok(server.tokens.lock().issue(&form, server.clock.now()));
        }
        if path.ends_with("/.well-known/openid-configuration") {
            return Ok(discovery(&origin, path));
        }
        let refusal = if path.starts_with("/XRMServices/") || path.starts_with("/api/") || is_token {
            Refusal::not_emulated(format!("{} {path}", parts.method))
        } else {
            Refusal::new(404, "0x0", "There is nothing here; the Web API begins at /api/data/v9.2/.")
        };
        return Ok(refusal.response(&Default::default()));
    };

    let is_batch = below == "$batch";
    let happening = server.faults.lock().next(is_batch);
    let mut dropped = false;
    let mut half = false;
    for what in happening {
        server.count_fault(what);
        match what {
            What::Slow(wait) => tokio::time::sleep(wait).await,
            What::Cut => return Err(Cut),
            What::Drop => dropped = true,
            What::HalfBatch => half = true,
            What::Status { status, retry_after } => return Ok(unwell(status, retry_after, &origin)),
        }
    }

    let now = server.clock.now();
    let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(bearer) = server.tokens.lock().bearer(authorization, now) else {
        return Ok(unauthorized(&origin));
    };
    let query = parts.uri.query().unwrap_or_default();
    if path.len() + query.len() > URL_BYTES_MAX {
        return Ok(
            Refusal::new(414, "0x0", "The request URL is longer than 32,768 bytes.").response(&Default::default())
        );
    }
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: below.to_owned(),
        query: query.to_owned(),
        root: format!("{origin}/api/data/{version}/"),
        body: body.into(),
        headers: parts.headers,
        user: builtin::APPLICATION_USER,
    };
    let response = within_limits(server, &bearer, request, half).await;
    if dropped { Err(Cut) } else { Ok(response) }
}

/// Carries a request out if the user's limits allow it.
async fn within_limits(server: &Arc<Server>, bearer: &str, request: Request, half: bool) -> Response {
    server.count(kind(&request));
    let began = Instant::now();
    let Some(limits) = &server.limits else {
        let real = Limits::real();
        let left = Left { requests: real.requests, execution: real.execution };
        return informed(carry_out(server, request, half).await, left);
    };
    let left = match server.meter.lock().enter(limits, bearer, began) {
        Ok(left) => left,
        Err(too_much) => {
            let refusal = Refusal::new(429, too_much.code, too_much.message);
            let response = refusal.response(&Default::default());
            return response.with("Retry-After", too_much.retry_after.to_string());
        }
    };
    let response = carry_out(server, request, half).await;
    server.meter.lock().leave(bearer, began, began.elapsed());
    informed(response, left)
}

async fn carry_out(server: &Arc<Server>, mut request: Request, half: bool) -> Response {
    let turn = server.turns.acquire().await;
    let shared = server.clone();
    let work = tokio::task::spawn_blocking(move || {
        let mut engine = shared.engine.lock();
        if let Err(refusal) = impersonate(&engine, &mut request) {
            return Work::done(refusal.response(&Default::default()));
        }
        match provider::asked(&engine, &request) {
            Some(Ok(asked)) => return Work::Ask(Box::new(asked)),
            Some(Err(refusal)) => return Work::done(refusal.response(&request.prefer())),
            None => {}
        }
        let before = engine.rows_written();
        let response = match (request.path.as_str(), request.method.as_str()) {
            ("$batch", "POST") => batch::run(&mut engine, &request, half),
            ("$batch", other) => Refusal::method(other).response(&Default::default()),
            _ => service::answer(&mut engine, &request),
        };
        for post in engine.outbox.drain(..) {
            if shared.posts.try_send(post).is_err() {
                tracing::warn!("too many webhook notices are waiting; one was lost");
            }
        }
        Work::Done { response, rows: engine.rows_written() - before }
    });
    let done = work.await;
    drop(turn);
    match done {
        Ok(Work::Done { response, rows }) => {
            tokio::time::sleep(server.row_time.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX))).await;
            response
        }
        Ok(Work::Ask(asked)) => from_outside(server, *asked).await,
        Err(error) => {
            tracing::error!(%error, "a request ended in a defect of the emulator");
            Refusal::new(500, "0x80040216", "An unexpected error occurred in the emulator.")
                .response(&Default::default())
        }
    }
}

/// What became of a request while it had the environment.
enum Work {
    /// So many rows were written.
    Done { response: Response, rows: u64 },
    /// It is for a virtual table, whose rows are elsewhere.
    Ask(Box<provider::Asked>),
}

impl Work {
    /// Nothing was written.
    fn done(response: Response) -> Work {
        Work::Done { response, rows: 0 }
    }
}

/// Has the data provider answer, and leaves in the trace log why it could not.
async fn from_outside(server: &Arc<Server>, asked: provider::Asked) -> Response {
    let trouble = match asked.ask().await {
        Ok(response) => return response,
        Err(trouble) => trouble,
    };
    let refusal = asked.refusal(&trouble);
    let shared = server.clone();
    let traced = tokio::task::spawn_blocking(move || asked.trace(&mut shared.engine.lock(), &trouble));
    if let Ok(Err(refusal)) = traced.await {
        tracing::warn!(message = refusal.message, "the trace of a data provider could not be written");
    }
    refusal.response(&Default::default())
}

/// `MSCRMCallerID` or `CallerObjectId` says on whose behalf the application acts.
fn impersonate(engine: &Engine, request: &mut Request) -> Result<(), Refusal> {
    let named = |name: &str| request.header(name).map(|id| Uuid::try_parse(id.trim().trim_matches(['{', '}'])));
    let unknown = |id: &str| Refusal::new(403, "0x80040204", format!("The user with id {id} was not found."));
    let (sql, id) = match (named("callerobjectid"), named("mscrmcallerid")) {
        (Some(id), _) => ("SELECT id FROM t_systemuser WHERE c_azureactivedirectoryobjectid = ?1", id),
        (None, Some(id)) => ("SELECT id FROM t_systemuser WHERE id = ?1", id),
        (None, None) => return Ok(()),
    };
    let id = id.map_err(|_| unknown("(not a guid)"))?;
    let found = engine.conn.query_row(sql, [super::storage::blob(id)], |row| row.get::<_, [u8; 16]>(0));
    request.user = found.map(Uuid::from_bytes).map_err(|_| unknown(&id.to_string()))?;
    Ok(())
}

fn informed(response: Response, left: Left) -> Response {
    response
        .with("x-ms-ratelimit-burst-remaining-xrm-requests", left.requests.to_string())
        .with("x-ms-ratelimit-time-remaining-xrm-requests", left.execution_text())
}

impl Server {
    fn count(&self, kind: impl Into<String>) {
        *self.counters.lock().requests.entry(kind.into()).or_default() += 1;
    }

    fn count_fault(&self, what: What) {
        let name = match what {
            What::Status { status, .. } => status.to_string(),
            What::Drop => "drop".into(),
            What::Cut => "cut".into(),
            What::Slow(_) => "slow".into(),
            What::HalfBatch => "half-batch".into(),
        };
        *self.counters.lock().faults.entry(name).or_default() += 1;
    }
}

/// What a request counts as: a batch, a bulk message, metadata, or its method.
fn kind(request: &Request) -> String {
    let last = request.path.rsplit('/').next().unwrap_or_default();
    if request.path == "$batch" {
        "$batch".into()
    } else if let Some(message) = last.strip_prefix("Microsoft.Dynamics.CRM.").filter(|_| request.method == "POST") {
        message.into()
    } else if request.path.starts_with("EntityDefinitions") || request.path.starts_with("RelationshipDefinitions") {
        format!("{} metadata", request.method)
    } else {
        request.method.clone()
    }
}

/// `down` takes the token endpoint along.
fn is_down(server: &Server) -> bool {
    server.faults.lock().spec().split(',').any(|rule| rule == "down")
}

fn unwell(status: u16, retry_after: u64, origin: &str) -> Response {
    let refusal = match status {
        401 => return unauthorized(origin),
        429 => Refusal::new(
            429,
            "0x80072322",
            "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
        ),
        503 => Refusal::new(503, "0x80044171", "The service is unavailable."),
        other => Refusal::new(other, "0x80040216", "An unexpected error occurred."),
    };
    let response = refusal.response(&Default::default());
    if matches!(status, 429 | 503) { response.with("Retry-After", retry_after.to_string()) } else { response }
}

fn unauthorized(origin: &str) -> Response {
    let challenge = format!("Bearer authorization_uri={origin}/common/oauth2/authorize, resource_id={origin}/");
    Response { status: 401, headers: vec![("WWW-Authenticate", challenge)], body: Vec::new() }
}

fn discovery(origin: &str, path: &str) -> Response {
    let tenant = path.trim_start_matches('/').split('/').next().unwrap_or("common");
    let body = serde_json::json!({
        "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
        "issuer": format!("{origin}/{tenant}/v2.0"),
    });
    Response::json(200, body.to_string())
}

/// `v9.2` and what is below it, if the path is the Web API's.
fn web_api(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/api/data/")?;
    let (version, below) = rest.split_once('/').unwrap_or((rest, ""));
    let number = version.strip_prefix('v')?;
    number.starts_with("9.").then_some((version, below.trim_end_matches('/')))
}

/// Scheme and host as the client sees them, also through a proxy.
fn origin(scheme: &str, headers: &HeaderMap) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = header("x-forwarded-proto").unwrap_or(scheme);
    let host = header("x-forwarded-host").or_else(|| header("host")).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

fn finish(response: Response, at_once: &str) -> http::Response<Full<Bytes>> {
    let mut out = http::Response::new(Full::new(Bytes::from(response.body)));
    *out.status_mut() = http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = out.headers_mut();
    for (name, value) in response.headers {
        // A value that is no header text (a key with a line break) is left out rather than failing a write that is done.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    let id = Uuid::new_v4().to_string();
    for (name, value) in
        [("odata-version", "4.0"), ("req_id", &id), ("x-ms-service-request-id", &id), ("x-ms-dop-hint", at_once)]
    {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert("set-cookie", HeaderValue::from_static("ARRAffinity=emulator;Path=/;HttpOnly"));
    out
}
