//! Every route of the console, with what it needs of whoever asks.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::Method;

use crate::access::Needs;
use crate::ask::Ask;
use crate::console::Console;
use crate::guard;
use crate::pages::{
    account, advise, alerts, approvals, audit, dead_letters, explain, flows, integration, integrations, overview,
    runbook, runs, signing, systems, trace, users,
};
use crate::{act, assets, problem::Problem};

/// One route.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub needs: Needs,
    pub does: Does,
}

/// What a route does.
#[derive(Clone, Copy)]
pub enum Does {
    /// Makes a page, on a thread that may block.
    Page(fn(&Ask) -> Result<Response, Problem>),
    /// Tells of changes.
    Live,
    /// A file of ours, for everybody.
    Asset(fn(&str) -> Response),
}

const fn get(path: &'static str, needs: Needs, page: fn(&Ask) -> Result<Response, Problem>) -> Route {
    Route { method: Method::GET, path, needs, does: Does::Page(page) }
}

const fn post(path: &'static str, needs: Needs, page: fn(&Ask) -> Result<Response, Problem>) -> Route {
    Route { method: Method::POST, path, needs, does: Does::Page(page) }
}

use Needs::{Administer, Decide, Look, Nothing, Operate};

pub const ROUTES: &[Route] = &[
    get("/", Look, overview::page),
    get("/integrations", Look, integrations::page),
    get("/integrations/{integration}", Look, integration::page),
    get("/integrations/{integration}/run", Operate, act::run::ask),
    post("/integrations/{integration}/run", Operate, act::run::act),
    get("/integrations/{integration}/pause", Operate, act::pause::ask),
    post("/integrations/{integration}/pause", Operate, act::pause::act),
    get("/integrations/{integration}/resume", Operate, act::pause::ask_resume),
    post("/integrations/{integration}/resume", Operate, act::pause::resume),
    // Whom the flow names may start it, whatever their role: the page looks.
    get("/integrations/{integration}/start", Look, act::start::ask),
    post("/integrations/{integration}/start", Look, act::start::act),
    get("/integrations/{integration}/migrate", Operate, act::migrate::ask),
    post("/integrations/{integration}/migrate", Operate, act::migrate::act),
    get("/integrations/{integration}/runbook", Look, runbook::page),
    get("/runs", Look, runs::list),
    get("/runs/{run}", Look, runs::one),
    get("/dead-letters", Look, dead_letters::groups::list),
    get("/dead-letters/list", Look, dead_letters::list),
    get("/dead-letters/groups/{group}", Look, dead_letters::groups::page),
    get("/dead-letters/groups/{group}/mark", Operate, act::groups::ask_mark),
    post("/dead-letters/groups/{group}/mark", Operate, act::groups::mark),
    get("/dead-letters/groups/{group}/retry", Operate, act::groups::ask_retry),
    post("/dead-letters/groups/{group}/retry", Operate, act::groups::retry),
    get("/dead-letters/{letter}", Look, dead_letters::one::page),
    get("/dead-letters/{letter}/retry", Operate, act::letters::ask_retry),
    post("/dead-letters/{letter}/retry", Operate, act::letters::retry),
    get("/dead-letters/{letter}/discard", Operate, act::letters::ask_discard),
    post("/dead-letters/{letter}/discard", Operate, act::letters::discard),
    get("/dead-letters/{letter}/decide", Operate, act::letters::ask_decide),
    post("/dead-letters/{letter}/decide", Operate, act::letters::decide),
    get("/dead-letters/{letter}/restore", Operate, act::letters::ask_restore),
    post("/dead-letters/{letter}/restore", Operate, act::letters::restore),
    get("/dead-letters/{letter}/edit", Operate, act::edit::ask),
    post("/dead-letters/{letter}/edit", Operate, act::edit::act),
    get("/retries", Look, dead_letters::jobs::list),
    get("/retries/{job}", Look, dead_letters::jobs::one),
    get("/retries/{job}/resume", Operate, act::jobs::ask_resume),
    post("/retries/{job}/resume", Operate, act::jobs::resume),
    get("/retries/{job}/pause", Operate, act::jobs::ask_pause),
    post("/retries/{job}/pause", Operate, act::jobs::pause),
    get("/retries/{job}/cancel", Operate, act::jobs::ask_cancel),
    post("/retries/{job}/cancel", Operate, act::jobs::cancel),
    get("/alerts", Look, alerts::list),
    get("/alerts/coverage", Look, alerts::coverage::page),
    get("/alerts/silence", Operate, act::alerts::ask_silence),
    post("/alerts/silence", Operate, act::alerts::silence),
    get("/alerts/silences/{silence}/end", Operate, act::alerts::ask_end),
    post("/alerts/silences/{silence}/end", Operate, act::alerts::end),
    get("/alerts/{alert}", Look, alerts::one),
    get("/alerts/{alert}/ack", Operate, act::alerts::ask_ack),
    post("/alerts/{alert}/ack", Operate, act::alerts::ack),
    get("/flows", Look, flows::list),
    get("/flows/{instance}", Look, flows::one),
    get("/flows/{instance}/asks/{decision}", Look, flows::asks),
    get("/flows/{instance}/retry", Operate, act::flows::ask_retry),
    post("/flows/{instance}/retry", Operate, act::flows::retry),
    get("/flows/{instance}/skip", Operate, act::flows::ask_skip),
    post("/flows/{instance}/skip", Operate, act::flows::skip),
    get("/flows/{instance}/cancel", Operate, act::flows::ask_cancel),
    post("/flows/{instance}/cancel", Operate, act::flows::cancel),
    get("/approvals", Look, approvals::list),
    get("/approvals/{approval}", Look, approvals::one),
    get("/approvals/{approval}/approve", Decide, act::approvals::ask_approve),
    post("/approvals/{approval}/approve", Decide, act::approvals::approve),
    get("/approvals/{approval}/reject", Decide, act::approvals::ask_reject),
    post("/approvals/{approval}/reject", Decide, act::approvals::reject),
    get("/systems", Look, systems::list),
    get("/systems/{system}", Look, systems::one),
    get("/systems/{system}/check", Operate, act::check::ask),
    post("/systems/{system}/check", Operate, act::check::act),
    get("/trace", Look, trace::page),
    get("/audit", Look, audit::page),
    get("/advise", Look, advise::page),
    get("/explain/{code}", Look, explain::page),
    get("/users", Administer, users::list),
    get("/users/add", Administer, users::ask_add),
    post("/users/add", Administer, users::add),
    get("/users/{user}", Administer, users::one),
    post("/users/{user}/role", Administer, users::role),
    post("/users/{user}/password", Administer, users::password),
    post("/users/{user}/remove", Administer, users::remove),
    get("/account", Look, account::page),
    post("/account", Look, account::change),
    get("/sign-in", Nothing, signing::page),
    post("/sign-in", Nothing, signing::sign_in),
    post("/sign-out", Look, signing::sign_out),
    Route { method: Method::GET, path: "/live", needs: Look, does: Does::Live },
    Route { method: Method::GET, path: "/assets/{file}", needs: Nothing, does: Does::Asset(assets::file) },
];

static NOT_THERE: Route = get("", Look, |ask| Err(Problem::not_there("page", &ask.path)));

/// The routes of a console, ready to be served.
pub fn router(console: &Arc<Console>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let console = console.clone();
        let filter = if route.method == Method::POST { MethodFilter::POST } else { MethodFilter::GET };
        let serve = move |names: RawPathParams, request: Request| {
            let names = names.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            guard::serve(console.clone(), route, names, request)
        };
        router = router.route(route.path, on(filter, serve));
    }
    let console = console.clone();
    router
        .fallback(move |request: Request| {
            let console = console.clone();
            async move {
                // What posts to a page that is not there is a program.
                match *request.method() == Method::GET {
                    true => guard::serve(console, &NOT_THERE, Vec::new(), request).await,
                    false => axum::response::IntoResponse::into_response(http::StatusCode::NOT_FOUND),
                }
            }
        })
        .layer(guard::body_limit())
}
