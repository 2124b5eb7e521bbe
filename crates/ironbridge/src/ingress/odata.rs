//! `/odata/<system>/…`: virtual tables, answered live as an OData 4.0 service that is only read.
//!
//! A root shows the virtual integrations that read from the system of its name, or that show their rows there; `/odata/`
//! itself answers too where that is one system. It touches neither the queue nor the store.

mod answer;
mod batch;
mod entity;
mod pieces;
mod reply;
mod request;
mod roots;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::any;
use definition::Project;
use virtual_tables::{OpenSystem, Refused, codes};
use web_console::access::was_passed_on;

use crate::failure::Failure;
use crate::keys::Keys;
use reply::Reply;
use roots::Roots;

/// The most that a batch may hold.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest query: beyond it nothing is parsed.
const QUERY_BYTES_MAX: usize = 128 * 1024;
/// A sender that needs longer for its body holds a connection that others want.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that a request needs.
struct Service {
    roots: Roots,
    /// By the system that asks: the name of its header, and its keys. *Shape*: no keys where nobody gave any.
    callers: Vec<Caller>,
    listens: Listens,
}

/// Where requests come from.
#[derive(Debug, Clone, Copy)]
pub struct Listens {
    /// Only this machine can reach the address.
    pub local: bool,
    /// We speak https ourselves.
    pub tls: bool,
}

struct Caller {
    system: String,
    header: String,
    keys: Keys,
}

/// The routes of all virtual tables; nothing where there are none.
///
/// *Errors*: a key has no value.
pub fn routes(project: &Arc<Project>, open: OpenSystem, listens: Listens) -> Result<Option<Router>, Failure> {
    let roots = Roots::new(project, &open);
    if roots.is_empty() {
        return Ok(None);
    }
    let mut callers = Vec::new();
    for system in project.systems.iter().filter(|system| roots.shows_in(&system.name)) {
        let header = system.odata.as_ref().map(|odata| odata.header.clone()).unwrap_or_default();
        callers.push(Caller { system: system.name.clone(), header, keys: Keys::of_virtual_tables(project, system)? });
    }
    for caller in callers.iter().filter(|caller| caller.keys.is_empty()) {
        let shown = match listens.local {
            true => {
                "are shown to every program on this machine, and through a proxy that hides where a request comes from to everybody"
            }
            false => "are shown to nobody",
        };
        tracing::warn!(
            system = caller.system,
            "virtual tables of `{}` have no key and {shown}: add `odata: {{ keys: [\"${{env:ODATA_KEY}}\"] }}` to systems/{}.yaml",
            caller.system,
            caller.system
        );
    }
    let service = Arc::new(Service { roots, callers, listens });
    Ok(Some(
        Router::new()
            .route("/odata", any(serve))
            .route("/odata/", any(serve))
            .route("/odata/{*path}", any(serve))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(service),
    ))
}

/// The addresses of the roots, for people.
pub fn addresses(project: &Project) -> Vec<String> {
    Roots::names(project).into_iter().map(|name| format!("/odata/{name}/")).collect()
}

async fn serve(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (method, uri, mut headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    with_host(&uri, &mut headers);
    let path = uri.path().strip_prefix("/odata").unwrap_or_default().trim_start_matches('/').to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    let base = request::base(&headers, service.listens.tls);
    let head = request::Head::new(method.as_str(), &path, &query, &headers, &base);
    let replied = async {
        let admitted = service.admitted(&headers, &query)?;
        if head.is_batch() {
            let body = body(request).await?;
            return batch::batch(&service, &admitted, &head, &headers, &body).await;
        }
        answer::answer(&service, &admitted, &head).await
    };
    let allowed = if request::is_batch(&path) { "POST" } else { reply::READS };
    let replied = replied.await.unwrap_or_else(|refused: Refused| Reply::refused(&refused, &id, allowed));
    replied.log(&id, method.as_str(), uri.path());
    replied.into_response(&id)
}

async fn body(request: Request) -> Result<Bytes, Refused> {
    match tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(Refused::new(rejection.status().as_u16(), codes::FORM, rejection.body_text())),
        Err(_) => Err(Refused::new(408, codes::FORM, "the body did not arrive within 10 seconds")),
    }
}

impl Service {
    /// The systems as which this request may ask. *Errors*: none.
    fn admitted(&self, headers: &HeaderMap, query: &str) -> Result<Vec<&str>, Refused> {
        // A query that cannot be read says so later; it carries no key.
        let may_carry = query.len() <= QUERY_BYTES_MAX && self.callers.iter().any(|caller| !caller.keys.is_empty());
        let pairs = if may_carry { odata::query_pairs(query).unwrap_or_default() } else { Vec::new() };
        let admitted = self.callers.iter().filter(|caller| caller.admits(headers, &pairs, self.listens.local));
        let admitted: Vec<&str> = admitted.map(|caller| caller.system.as_str()).collect();
        if !admitted.is_empty() {
            return Ok(admitted);
        }
        let named = self.callers.iter().find(|caller| !caller.keys.is_empty());
        let message = match named {
            Some(caller) => format!("send a key in the header or the parameter `{}`", caller.header),
            None => "no key was ever given for this service; only the machine that it runs on may ask".to_owned(),
        };
        Err(Refused::new(401, codes::NO_KEY, message))
    }
}

impl Caller {
    fn admits(&self, headers: &HeaderMap, query: &[(String, String)], local: bool) -> bool {
        if self.keys.is_empty() {
            return local && !came_from_elsewhere(headers);
        }
        let queried = query.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&self.header));
        self.keys.admit(headers.get(&self.header), queried.map(|(_, value)| value.as_str()))
    }
}

/// HTTP/2 says in its address which name a request was sent to.
fn with_host(uri: &Uri, headers: &mut HeaderMap) {
    if let Some(Ok(host)) = uri.authority().map(|authority| HeaderValue::from_str(authority.as_str())) {
        headers.entry(HOST).or_insert(host);
    }
}

/// Whether somebody passed the request on, or it was sent to a name that is not this machine's: then its sender is not
/// who the connection says.
fn came_from_elsewhere(headers: &HeaderMap) -> bool {
    let host = headers.get("host").map(|host| host.to_str().unwrap_or_default());
    let is_here = |host: &str| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    was_passed_on(headers) || host.is_some_and(|host| !is_here(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_key_opens_by_each_way_and_nothing_else_does() {
        let check = |keys: &[&str], local: bool, header: Option<&str>, query: &str, admitted: bool| {
            let keys: Vec<_> = keys.iter().map(|key| record::Secret::new(*key)).collect();
            let caller = Caller { system: "dynamics".into(), header: "x-key".into(), keys: keys.into() };
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("x-key", header.parse().unwrap());
            }
            let pairs = odata::query_pairs(query).unwrap();
            assert_eq!(caller.admits(&headers, &pairs, local), admitted, "{header:?} {query}");
        };
        let two = &["old key", "new key"];
        check(two, true, Some("old key"), "", true);
        check(two, true, None, "$top=1&X-Key=new%20key", true);
        check(two, true, None, "", false);
        check(two, true, Some(""), "x-key=", false);
        check(two, true, Some("old"), "x-key=new%20key%20", false);
        check(&["a+b/c=="], true, None, "x-key=a+b/c==", true);
        check(&["a+b/c=="], true, None, "x-key=a%2Bb%2Fc%3D%3D", true);
        check(&["a+b/c=="], true, None, "x-key=a-b/c==", false);
        check(&[], true, None, "", true);
        check(&[], false, None, "", false);
    }

    #[test]
    fn without_a_key_only_this_machine_is_answered_and_no_proxy_on_it() {
        let caller = Caller { system: "dynamics".into(), header: "x-key".into(), keys: Keys::default() };
        let check = |name: &'static str, value: &str, admitted: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(caller.admits(&headers, &[], true), admitted, "{name}: {value}");
        };
        for here in ["localhost:7703", "LOCALHOST", "127.0.0.1", "127.0.0.1:7703", "[::1]:7703", "[::1]"] {
            check("host", here, true);
        }
        for elsewhere in
            ["hub.contoso.example", "hub.contoso.example:443", "10.0.0.7:80", "localhost.contoso.example", ""]
        {
            check("host", elsewhere, false);
        }
        for (address, admitted) in
            [("http://localhost:7703/odata/", true), ("http://hub.contoso.example/odata/", false)]
        {
            let mut headers = HeaderMap::new();
            with_host(&address.parse().unwrap(), &mut headers);
            assert_eq!(caller.admits(&headers, &[], true), admitted, "{address}");
        }
        for passed_on in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
            check(passed_on, "10.0.0.7", false);
        }
    }
}
