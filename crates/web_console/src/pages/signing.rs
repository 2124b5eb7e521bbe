//! Signing in and out.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use store::users::Op;

use crate::access::Access;
use crate::ask::{Ask, see, with_status};
use crate::problem::{NOT_SIGNED_IN, Problem};
use crate::sessions::{LENGTH, Token, next_page, set_cookie};
use crate::words::{counted, escaped};
use crate::{page, passwords};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    if ask.console.access()? == Access::LocalPerson || ask.who.token.is_some() {
        return Ok(see(&next_page(ask.query("next"))));
    }
    Ok(with_status(StatusCode::OK, page::bare("Sign in - Ironbridge", &form(ask, ask.query("next"), None))))
}

fn form(ask: &Ask, next: Option<&str>, wrong: Option<&str>) -> Markup {
    html! {
        form.card.sign-in method="post" action={ "/sign-in?next=" (escaped(&next_page(next))) } {
            h1 { "Sign in to " (ask.console.project.hub.name) }
            @if let Some(wrong) = wrong { p.problem role="alert" #wrong { (wrong) } }
            label { "Name" input name="name" autocomplete="username" required autofocus aria-describedby=[wrong.map(|_| "wrong")]; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button.primary type="submit" { "Sign in" }
            p.small { "No user yet? Who runs the hub adds one: " code { "ironbridge users add NAME --role viewer" } }
        }
    }
}

pub fn sign_in(ask: &Ask) -> Result<Response, Problem> {
    let (console, next) = (&ask.console, ask.query("next"));
    if console.access()? == Access::LocalPerson {
        return Ok(see("/"));
    }
    let name = ask.form("name").unwrap_or_default().to_owned();
    // Not trimmed, as `form` does: a password is what was typed.
    let password = ask.form.iter().find(|(field, _)| field == "password").map_or("", |(_, value)| value);
    let again = |status, wrong: String| {
        let body = form(ask, next, Some(&wrong));
        let mut response = with_status(status, page::bare("Sign in - Ironbridge", &body));
        response.headers_mut().insert("x-ironbridge-code", HeaderValue::from_static(NOT_SIGNED_IN.0));
        response
    };
    let may = console.tries.lock().may(&name, ask.now);
    if let Err(wait) = may {
        let seconds = counted(wait.as_secs().unsigned_abs() + 1, "second", "seconds");
        let mut response =
            again(StatusCode::TOO_MANY_REQUESTS, format!("Too many tries. Wait {seconds}, then try again."));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().unsigned_abs() + 1));
        return Ok(response);
    }
    let user = console.store.user(&name)?;
    let right = match &user {
        Some(user) => passwords::is_right(password, &user.password),
        None => {
            passwords::waste(password);
            false
        }
    };
    let Some(user) = user.filter(|_| right) else {
        console.tries.lock().failed(&name, ask.now);
        tracing::warn!("somebody tried to sign in to the console as {name:?}, and name and password do not fit");
        return Ok(again(StatusCode::UNAUTHORIZED, "Name and password do not fit.".to_owned()));
    };
    console.tries.lock().succeeded(&name);
    let token = Token::random();
    let instead_of = ask.who.token.as_ref().map(Token::hash);
    let op = Op::SignIn { user: user.name.clone(), token: token.hash(), instead_of, length: LENGTH };
    let did = crate::audit::actor(&user.name).did("sign in", "console").op();
    ask.wait(console.store.commit(vec![op.into(), did]))?;
    let mut response = see(&next_page(next));
    put_cookie(&mut response, Some(&token), console.tls);
    Ok(response)
}

pub fn sign_out(ask: &Ask) -> Result<Response, Problem> {
    if let Some(token) = &ask.who.token {
        ask.wait(ask.console.store.commit_one(Op::SignOut { token: token.hash() }))?;
    }
    let mut response = see("/sign-in");
    put_cookie(&mut response, None, ask.console.tls);
    Ok(response)
}

fn put_cookie(response: &mut Response, token: Option<&Token>, tls: bool) {
    let cookie = HeaderValue::from_str(&set_cookie(token, tls)).expect("a cookie of ours is plain text");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
}
