//! Requests that this process answered, by route and status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::Page;

/// The upper bounds of the buckets, in seconds.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Default)]
pub struct Requests(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    answered: BTreeMap<(String, u16), u64>,
    took: BTreeMap<String, Took>,
}

#[derive(Default)]
struct Took {
    /// How many took no longer than each bound.
    within: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// The same routes, counted.
pub fn watched(routes: Router, requests: Arc<Requests>) -> Router {
    routes.layer(from_fn_with_state(requests, count))
}

async fn count(State(requests): State<Arc<Requests>>, request: Request, next: Next) -> Response {
    // The route as it was written, never what was asked for: its number is bounded.
    let route = request.extensions().get::<MatchedPath>().map_or("other", |path| path.as_str()).to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    requests.add(route, response.status().as_u16(), begun.elapsed().as_secs_f64());
    response
}

impl Requests {
    fn add(&self, route: String, status: u16, seconds: f64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.answered.entry((route.clone(), status)).or_default() += 1;
        let took = counted.took.entry(route).or_default();
        took.count += 1;
        took.seconds += seconds;
        for (within, bound) in took.within.iter_mut().zip(BUCKETS) {
            *within += u64::from(seconds <= bound);
        }
    }

    pub(super) fn put(&self, page: &mut Page) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), count) in &counted.answered {
            let labels = [("route", &**route), ("status", &*status.to_string())];
            page.put("ironbridge_http_requests_total", &labels, *count as f64);
        }
        let name = "ironbridge_http_request_duration_seconds";
        for (route, took) in &counted.took {
            let mut bucket = |bound: &str, count: u64| {
                page.put_as(name, "_bucket", &[("route", route), ("le", bound)], count as f64);
            };
            for (within, bound) in took.within.iter().zip(BUCKETS) {
                bucket(&bound.to_string(), *within);
            }
            bucket("+Inf", took.count);
            page.put_as(name, "_sum", &[("route", route)], took.seconds);
            page.put_as(name, "_count", &[("route", route)], took.count as f64);
        }
    }
}
