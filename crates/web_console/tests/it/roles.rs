//! Each role at each route.

use http::Method;
use store::users::Role;
use web_console::access::{Needs, allows};
use web_console::routes::{Does, ROUTES, Route};

use crate::support::{Bench, request};

/// A route with names in it that may be there.
fn path(route: &Route) -> String {
    let names = [
        ("{integration}", "things"),
        ("{run}", "1"),
        ("{letter}", "00"),
        ("{approval}", "1"),
        ("{system}", "a"),
        ("{code}", "IB0412"),
        ("{user}", "nobody"),
        ("{group}", "g00"),
        ("{job}", "1"),
        ("{alert}", "1"),
        ("{silence}", "1"),
        ("{instance}", "1"),
        ("{decision}", "decision"),
        ("{file}", "icon.svg"),
    ];
    let path = names.iter().fold(route.path.to_owned(), |path, (mark, name)| path.replace(mark, name));
    assert!(!path.contains('{'), "{path}");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_gets_what_it_may_and_nothing_else() {
    let bench = Bench::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((*role, bench.user(role.as_str(), *role).await));
    }
    for route in ROUTES {
        let path = path(route);
        let posts = route.method == Method::POST;
        for (role, token) in &tokens {
            // These end the session, or begin another.
            if path == "/sign-out" || posts && ["/account", "/sign-in"].contains(&path.as_str()) {
                continue;
            }
            let answer = match posts {
                true => bench.post(&path, Some(token), "name=x&role=viewer&note=n").await,
                false => bench.get(&path, Some(token)).await,
            };
            let status = answer.status.as_u16();
            match allows(*role, route.needs) {
                true => assert!(
                    status != 403 && status != 401 && !answer.place().starts_with("/sign-in"),
                    "{role} at {} {path}: {status} {}",
                    route.method,
                    answer.text
                ),
                false => answer.fails(403, "IB1053"),
            }
        }
        if route.needs == Needs::Nothing || matches!(route.does, Does::Asset(_)) {
            continue;
        }
        match posts {
            true => bench.post(&path, None, "").await.fails(401, "IB1057"),
            false => {
                let answer = bench.get(&path, None).await;
                assert_eq!(answer.status.as_u16(), 303, "{path}");
                assert!(answer.place().starts_with("/sign-in?next="), "{path}: {}", answer.place());
            }
        }
    }
    // What nobody wrote into the table does not exist.
    bench.get("/nothing", Some(&tokens[0].1)).await.fails(404, "IB1058");
}

/// Whatever a route does, it is done for a form of ours and a session that goes on, and for nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn each_route_asks_for_a_form_of_ours_and_a_session_that_goes_on() {
    let bench = Bench::new().await;
    let admin = bench.user("ada", Role::Admin).await;
    let guarded =
        || ROUTES.iter().filter(|route| route.needs != Needs::Nothing && !matches!(route.does, Does::Asset(_)));
    for route in guarded().filter(|route| route.method == Method::POST) {
        let path = path(route);
        for body in ["name=x", "form-token=", "form-token=00&name=x"] {
            let request = request("POST", &path, Some(&admin))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(axum::body::Body::from(body));
            bench.send(request.unwrap()).await.fails(403, "IB1054");
        }
        let foreign =
            request("POST", &path, Some(&admin)).header("sec-fetch-site", "cross-site").body(axum::body::Body::empty());
        bench.send(foreign.unwrap()).await.fails(403, "IB1054");
    }
    // Nothing was done by all of that.
    assert!(bench.store.audit(&store::audit::Filter::default(), 10).unwrap().is_empty());
    bench.wait(web_console::sessions::IDLE);
    for route in guarded() {
        let path = path(route);
        match route.method == Method::POST {
            true => bench.post(&path, Some(&admin), "name=x").await.fails(401, "IB1057"),
            false => assert!(bench.get(&path, Some(&admin)).await.place().starts_with("/sign-in?next="), "{path}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_nothing_that_runs_or_styles_inline_and_texts_are_escaped() {
    let bench = Bench::new().await;
    for route in ROUTES.iter().filter(|route| route.method == Method::GET && matches!(route.does, Does::Page(_))) {
        let path = path(route);
        let answer = bench.get(&path, None).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cache-control"), "no-store");
        for (at, _) in answer.text.match_indices("<script") {
            assert!(answer.text[at..].starts_with("<script src=\"/assets/"), "{path}: {}", answer.text);
        }
        for inline in [" style=", "<style", " onclick=", "javascript:", "<b>move</b>"] {
            assert!(!answer.text.contains(inline), "{path} has {inline}: {}", answer.text);
        }
        // Every form that changes something proves that it is ours.
        for (at, _) in answer.text.match_indices("method=\"post\"") {
            let form = &answer.text[at..at + answer.text[at..].find("</form>").unwrap()];
            assert!(form.contains("name=\"form-token\""), "{path}: {form}");
        }
    }
    assert!(bench.get("/integrations/things", None).await.text.contains("Things &lt;b&gt;move&lt;/b&gt;."));
}
