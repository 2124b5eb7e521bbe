//! Who gets in: by which address, with which name, with which session, with which form.

use std::time::Duration;

use axum::body::Body;
use http::header;
use store::audit::Actor;
use store::users::{Op, Role};
use web_console::sessions::Token;
use web_console::{accounts, passwords};

use crate::support::{Bench, request};

const PASSWORD: &str = "a few words in a row";

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_see_nothing_without_tls_and_users() {
    for (tls, users, shown) in [(false, false, false), (false, true, false), (true, false, false), (true, true, true)] {
        let bench = Bench::at("192.0.2.7:7700", tls).await;
        if users {
            bench.user("mia", Role::Admin).await;
        }
        let answer = bench.get("/", None).await;
        match shown {
            true => assert_eq!((answer.status.as_u16(), answer.place()), (303, "/sign-in?next=%2F")),
            false => answer.fails(403, "IB1050"),
        }
        assert_eq!(web_console::refused_at(&bench.console).unwrap().is_none(), shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine_one_name_leads_here_and_others_do_not() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/", None).await.status, 200);
    let other = http::Request::get("/").header(header::HOST, "evil.example:7700").body(Body::empty()).unwrap();
    bench.send(other).await.fails(403, "IB1052");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_signs_in_nobody_comes_through_a_tunnel() {
    let bench = Bench::new().await;
    let through = |name: &str, value: &str| {
        // A tunnel may say that it came to this machine by name.
        bench.send(request("GET", "/", None).header(name, value).body(Body::empty()).unwrap())
    };
    for (name, value) in [("x-forwarded-for", "192.0.2.7"), ("X-Forwarded-Host", "hub.example"), ("via", "1.1 proxy")] {
        through(name, value).await.fails(403, "IB1052");
    }
    assert_eq!(through("x-request-id", "1").await.status, 200);
    bench.user("mia", Role::Admin).await;
    assert_eq!(through("x-forwarded-for", "192.0.2.7").await.place(), "/sign-in?next=%2F");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_forms_do_something() {
    let bench = Bench::new().await;
    let path = "/integrations/things/pause";
    let send = |headers: &[(&str, &str)], body: &str| {
        let mut request = request("POST", path, None).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        bench.send(request.body(Body::from(body.to_owned())).unwrap())
    };
    let token = web_console::sessions::form_token(&bench.store.secret("console").await.unwrap(), None);
    let good = format!("form-token={token}&note=why");
    send(&[], "note=why").await.fails(403, "IB1054");
    send(&[], "form-token=&note=why").await.fails(403, "IB1054");
    send(&[("origin", "http://evil.example")], &good).await.fails(403, "IB1054");
    send(&[("sec-fetch-site", "cross-site")], &good).await.fails(403, "IB1054");
    send(&[("origin", "null")], &good).await.fails(403, "IB1054");
    assert!(bench.store.pauses().unwrap().is_empty());
    let ours = [("origin", "http://127.0.0.1:7700"), ("sec-fetch-site", "same-origin")];
    assert_eq!(send(&ours, &good).await.place(), "/integrations/things?said=paused");
    assert_eq!(bench.store.pauses().unwrap()[0].by, "mia");
    // The form of one session is none of another's.
    let (one, other) = (bench.user("one", Role::Admin).await, bench.user("other", Role::Admin).await);
    let token = web_console::sessions::form_token(&bench.store.secret("console").await.unwrap(), Some(&one));
    let stolen = request("POST", path, Some(&other))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("form-token={token}&note=why")));
    bench.send(stolen.unwrap()).await.fails(403, "IB1054");
    let large = bench.post(path, Some(&one), &format!("note={}", "x".repeat(100_000))).await;
    assert_eq!(large.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signs_in_goes_on_and_signs_out() {
    let by = Actor::new("test", "test");
    let bench = Bench::new().await;
    let project = &bench.console.project;
    let weak = accounts::add(project, &bench.store, &by, "mia", Role::Admin, None, "short").await.unwrap_err();
    assert_eq!(weak.code.unwrap().0, "IB1056");
    let first = accounts::add(project, &bench.store, &by, "mia", Role::Viewer, None, PASSWORD).await.unwrap_err();
    assert_eq!(first.code.unwrap().0, "IB1055");
    accounts::add(project, &bench.store, &by, "mia", Role::Admin, Some("controller"), PASSWORD).await.unwrap();
    assert!(accounts::add(project, &bench.store, &by, "MIA", Role::Admin, None, PASSWORD).await.is_err());

    let sign_in = |password: &str, who: Option<Token>| {
        let body = format!("name=Mia&password={}", password.replace(' ', "+"));
        let request = request("POST", "/sign-in?next=%2Fruns", who.as_ref());
        bench.send(request.header("content-type", "application/x-www-form-urlencoded").body(Body::from(body)).unwrap())
    };
    let wrong = sign_in("another few words", None).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.header("set-cookie").is_empty() && wrong.text.contains("do not fit"));
    // A token that was known before is worth nothing afterwards.
    let known = bench.user("ola", Role::Viewer).await;
    let right = sign_in(PASSWORD, Some(known.clone())).await;
    assert_eq!((right.status.as_u16(), right.place()), (303, "/runs"));
    let cookie = right.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let token = web_console::sessions::of_cookies(cookie.split(';').next().unwrap(), false).unwrap();
    assert_eq!(bench.get("/runs", Some(&known)).await.status, 303);
    let page = bench.get("/runs", Some(&token)).await;
    assert!(page.status == 200 && page.text.contains("mia") && page.text.contains("Sign out"));

    assert_eq!(bench.post("/sign-out", Some(&token), "").await.place(), "/sign-in");
    assert_eq!(bench.get("/runs", Some(&token)).await.status, 303);
    for _ in 0..3 {
        sign_in("another few words", None).await;
    }
    let held = sign_in(PASSWORD, None).await;
    assert_eq!(held.status, 429);
    assert!(!held.header("retry-after").is_empty());
    assert!(passwords::is_right(PASSWORD, &bench.store.user("mia").unwrap().unwrap().password));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end() {
    let (bench, by) = (Bench::new().await, Actor::new("test", "test"));
    let mia = bench.user("mia", Role::Admin).await;
    let hours = |n: u64| Duration::from_secs(n * 3600);
    // It is used every hour and is over after twelve all the same.
    for _ in 0..11 {
        bench.wait(hours(1));
        assert_eq!(bench.get("/", Some(&mia)).await.status, 200);
    }
    bench.wait(hours(1));
    assert_eq!(bench.get("/", Some(&mia)).await.status, 303);
    let ola = bench.user("ola", Role::Viewer).await;
    bench.wait(hours(2));
    assert_eq!(bench.get("/", Some(&ola)).await.status, 303);

    let kim = bench.user("kim", Role::Viewer).await;
    bench.post("/integrations/things/run", Some(&kim), "").await.fails(403, "IB1053");
    accounts::set_role(&bench.store, &by, "kim", Role::Operator).await.unwrap();
    assert_eq!(bench.post("/integrations/things/run", Some(&kim), "").await.status, 303);
    bench.store.commit_one(Op::Password { name: "KIM".into(), password: "none".into() }).await.unwrap();
    assert_eq!(bench.get("/", Some(&kim)).await.status, 303);
    let last = accounts::set_role(&bench.store, &by, "mia", Role::Viewer).await.unwrap_err();
    assert!(last.what.contains("last admin"), "{last:?}");
    accounts::remove(&bench.store, &by, "kim").await.unwrap();
    assert!(accounts::remove(&bench.store, &by, "mia").await.is_err());
    assert_eq!(bench.get("/", Some(&Token::random())).await.status, 303);
}
