//! What every request passes before a page is made, and what every answer carries.

use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{DefaultBodyLimit, Form, Query, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use store::users::{self, Role};

use crate::access::{self, Access, Needs};
use crate::ask::{Ask, Pairs, Who, see};
use crate::console::Console;
use crate::problem::{NOT_ALLOWED, NOT_HERE, NOT_SIGNED_IN, Problem, STALE_FORM, WRONG_HOST};
use crate::routes::{Does, Route};
use crate::sessions::{self, IDLE, Token};
use crate::words::escaped;

/// Nothing may be loaded but from us, nothing runs but our file, nobody puts us into a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// So much a form may hold. Ours have a name and a note.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Answers a request.
pub async fn serve(console: Arc<Console>, route: &'static Route, names: Pairs, request: Request) -> Response {
    let tls = console.tls;
    let mut response = match pass(console, route, names, request).await {
        Ok(response) | Err(response) => response,
    };
    dress(response.headers_mut(), tls);
    response
}

/// The headers of every answer.
fn dress(headers: &mut HeaderMap, tls: bool) {
    let mut put = |name: header::HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "same-origin");
    put(header::CACHE_CONTROL, "no-store");
    put(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(header::HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if tls {
        put(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

async fn pass(
    console: Arc<Console>,
    route: &'static Route,
    names: Pairs,
    request: Request,
) -> Result<Response, Response> {
    if let Does::Asset(asset) = route.does {
        return Ok(asset(request.uri().path()));
    }
    let access = console.access().map_err(|error| Problem::from(error).bare_page())?;
    if access == Access::Refused {
        return Err(not_here(&console).bare_page());
    }
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    if console.address.ip().is_loopback() && !access::is_our_host(host, console.address.port()) {
        return Err(wrong_host(&console).bare_page());
    }
    if access == Access::LocalPerson && access::was_passed_on(headers) {
        return Err(passed_on().bare_page());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD && !comes_from_us(headers, host) {
        return Err(stale_form().bare_page());
    }
    let (who, token) = identify(&console, access, headers).await.map_err(|problem| problem.bare_page())?;
    let path = request.uri().path().to_owned();
    let who = match who {
        Some(who) => who,
        None if route.needs == Needs::Nothing => nobody(),
        None if request.method() == Method::GET => {
            let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
            return Err(see(&format!("/sign-in?next={}", escaped(next))));
        }
        None => return Err(not_signed_in().bare_page()),
    };
    let form_token = sessions::form_token(&console.secret, token.as_ref());
    let Ok(Query(query)) = Query::<Pairs>::try_from_uri(request.uri()) else {
        return Err(Problem::not_there("page", &path).bare_page());
    };
    let (now, version) = (console.store.clock().now(), console.store.data_version().unwrap_or(0));
    let mut ask = Ask { now, version, console, who, path, names, query, form: Vec::new(), form_token };
    if !ask.who.may(route.needs) {
        return Err(not_allowed(&ask, route.needs).page(&ask));
    }
    if let Does::Live = route.does {
        return Ok(crate::live::changes(&ask));
    }
    if request.method() == Method::POST {
        let request = request.with_limited_body().map(axum::body::Body::new);
        match tokio::time::timeout(READ_TIMEOUT, request.extract::<Form<Pairs>, _>()).await {
            Ok(Ok(Form(form))) => ask.form = form,
            Ok(Err(rejection)) => return Err(rejection.into_response()),
            Err(_) => return Err(StatusCode::REQUEST_TIMEOUT.into_response()),
        }
        // Whoever signs in has no session whose token the form could carry.
        let given = ask.form("form-token").unwrap_or_default();
        if route.needs != Needs::Nothing && !sessions::same(given, &ask.form_token) {
            return Err(stale_form().page(&ask));
        }
    }
    answer(route, ask).await
}

const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Makes the page on a thread that may block.
async fn answer(route: &'static Route, ask: Ask) -> Result<Response, Response> {
    let Does::Page(page) = route.does else { return Err(StatusCode::NOT_FOUND.into_response()) };
    let made = tokio::task::spawn_blocking(move || match page(&ask) {
        Ok(response) => response,
        Err(problem) => problem.page(&ask),
    });
    made.await.map_err(|panicked| {
        tracing::error!("a page of the console could not be made: {panicked}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// Who it is, with the token of their session.
async fn identify(
    console: &Console,
    access: Access,
    headers: &HeaderMap,
) -> Result<(Option<Who>, Option<Token>), Problem> {
    if access == Access::LocalPerson {
        let name = console.person.clone();
        return Ok((Some(Who { person: name.clone(), name, role: Role::Admin, token: None }), None));
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let Some(token) = cookies.filter_map(|cookies| sessions::of_cookies(cookies, console.tls)).next() else {
        return Ok((None, None));
    };
    let Some(session) = console.store.session(&token.hash(), IDLE)? else { return Ok((None, None)) };
    let now = console.store.clock().now();
    if now.duration_since(session.seen).as_secs() >= 60 {
        console.store.commit_one(users::Op::Seen { token: token.hash() }).await?;
    }
    let user = session.user;
    let person = user.person.unwrap_or_else(|| user.name.clone());
    Ok((Some(Who { name: user.name, role: user.role, person, token: Some(token.clone()) }), Some(token)))
}

fn nobody() -> Who {
    Who { name: String::new(), role: Role::Viewer, person: String::new(), token: None }
}

/// Whether a browser says that one of our pages posts. Old browsers say nothing; the token of the form decides then.
fn comes_from_us(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    match (text("origin"), host) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// Why the console is not shown where the hub listens, as the users stand now; nothing where it is.
///
/// *Errors*: of our own state.
pub fn refused_at(console: &Console) -> Result<Option<Problem>, store::Error> {
    Ok((console.access()? == Access::Refused).then(|| not_here(console)))
}

fn not_here(console: &Console) -> Problem {
    let what = format!("the console is not shown at {}: other machines reach it", console.address);
    let missing = match (console.tls, console.store.has_users().unwrap_or(false)) {
        (false, false) => {
            "add a user (ironbridge users add NAME --role admin) and start with --tls-certificate FILE --tls-key FILE"
        }
        (false, true) => "start with --tls-certificate FILE --tls-key FILE",
        (true, _) => "add a user: ironbridge users add NAME --role admin",
    };
    let fix = format!("{missing}; or listen on this machine only: ironbridge up --listen 127.0.0.1:7700");
    Problem::new(StatusCode::FORBIDDEN, NOT_HERE, what, fix)
}

fn wrong_host(console: &Console) -> Problem {
    let what = "this address belongs to the hub on this machine, and was reached under another name";
    let fix = format!("open http://localhost:{}", console.address.port());
    Problem::new(StatusCode::FORBIDDEN, WRONG_HOST, what, fix)
}

fn passed_on() -> Problem {
    let what = "a proxy or a tunnel passed this request on, and nobody signs in here: whoever reaches it would be you";
    let fix = "open the console on the hub's machine itself; for others, add a user (ironbridge users add NAME --role \
               admin) and listen with --tls-certificate FILE --tls-key FILE";
    Problem::new(StatusCode::FORBIDDEN, WRONG_HOST, what, fix)
}

fn stale_form() -> Problem {
    let what = "this form is not of your session: it is too old, or another page sent it";
    Problem::new(StatusCode::FORBIDDEN, STALE_FORM, what, "go back, reload the page, and try again; nothing was done")
}

fn not_signed_in() -> Problem {
    let what = "your session is over";
    Problem::new(StatusCode::UNAUTHORIZED, NOT_SIGNED_IN, what, "sign in again, and repeat it; nothing was done")
}

fn not_allowed(ask: &Ask, needs: Needs) -> Problem {
    let what = format!("{} is {}, and may not {}", ask.who.name, ask.who.role, needs.words());
    let fix = format!("ask an admin for another role: ironbridge users role {} --role ROLE", ask.who.name);
    Problem::new(StatusCode::FORBIDDEN, NOT_ALLOWED, what, fix)
}

/// The limit that a router puts on the bodies of all routes.
pub fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(FORM_BYTES_MAX)
}
