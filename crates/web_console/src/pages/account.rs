//! One's own account: who one is, and another password.

use axum::response::Response;
use maud::html;

use crate::ask::{self, Ask, see};
use crate::parts::{command, facts, token};
use crate::{Problem, accounts, page, passwords};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    if ask.who.token.is_none() {
        let body = html! { section.card { p { "Nobody signs in here: the console is shown on this machine only, and you are " b { (ask.who.name) } "." }
        p { "From the first user on, everybody signs in:" } p.do { (command("ironbridge users add NAME --role admin")) } } };
        return Ok(ask::html(page::page(ask, "Your account", &[], &body)));
    }
    let body = html! {
        section.card {
            (facts([("Name", html! { (ask.who.name) }), ("Role", html! { (ask.who.role) }), ("Decides as", html! { (ask.who.person) })]))
        }
        form.card.confirm method="post" action="/account" {
            h2 { "Another password" }
            p { "You are signed out everywhere, also here." }
            (token(ask))
            label { "The password now" input type="password" name="old" autocomplete="current-password" required; }
            label { "The new one" input type="password" name="new" autocomplete="new-password" minlength=(passwords::CHARS_MIN) required; }
            button.primary type="submit" { "Change it" }
            p.do { (command(&format!("ironbridge users password {}", ask.who.name))) }
        }
    };
    Ok(ask::html(page::still_page(ask, "Your account", &[], &body)))
}

pub fn change(ask: &Ask) -> Result<Response, Problem> {
    let name = &ask.who.name;
    let user = accounts::find(&ask.console.store, name)?;
    let typed = |field: &str| ask.form.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value.as_str());
    if ask.console.tries.lock().may(name, ask.now).is_err() || !passwords::is_right(typed("old"), &user.password) {
        ask.console.tries.lock().failed(name, ask.now);
        return Err(Problem::not_done("the password now is not what you typed", "type it again; nothing was changed"));
    }
    ask.wait(accounts::set_password(&ask.console.store, &crate::audit::actor(name), name, typed("new")))?;
    Ok(see("/sign-in"))
}
