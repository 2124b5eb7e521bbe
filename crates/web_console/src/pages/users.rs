//! The users of the console, for admins.

use axum::response::Response;
use maud::html;
use store::audit::Actor;
use store::users::{Role, User};

use crate::ask::{self, Ask, see};
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{Command, PLUS};
use crate::parts::{clock, command, facts, token};
use crate::words::escaped;
use crate::{Problem, accounts, page, passwords};

const ROLES: [(Role, &str); 4] = [
    (Role::Viewer, "looks at everything, changes nothing"),
    (Role::Operator, "also runs, pauses, resumes, retries and discards"),
    (Role::Approver, "also approves and rejects, and does not operate"),
    (Role::Admin, "everything, and the users"),
];

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let mut list = List {
        name: "users",
        columns: vec![
            Column::text("name", "Name", |user: &User| user.name.clone())
                .shown(|_, user| html! { a href={ "/users/" (escaped(&user.name)) } { (user.name) } }),
            Column::text("role", "Role", |user: &User| user.role.to_string()),
            Column::text("person", "Decides as", |user: &User| user.person.clone().unwrap_or_default()),
            Column::time("created", "Added", |user: &User| Some(user.created)),
            Column::time("changed", "Changed", |user: &User| Some(user.changed)),
        ],
        choices: vec![Choice::of("role", "Role", Role::ALL.iter().map(|role| role.as_str()))],
        order: ("name", false),
        nothing: "Nobody signs in: the console is shown on this machine only, to whoever sits at it.",
        rows: Rows::Here(ask.console.store.users()?, keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let commands = [Command::new("Add a user", "/users/add".to_owned(), PLUS).primary()];
    let body = html! { (list.part(ask)?) p.do { (command("ironbridge users list")) } };
    Ok(ask::html(page::page(ask, "Users", &commands, &body)))
}

fn keeps(view: &View, user: &User) -> bool {
    view.chosen("role").is_none_or(|role| role == user.role.as_str())
}

fn role_choice(chosen: Option<Role>) -> maud::Markup {
    html! {
        label { "Role" select name="role" {
            @for (role, words) in ROLES { option value=(role) selected[chosen == Some(role)] { (role) ": " (words) } }
        } }
    }
}

pub fn ask_add(ask: &Ask) -> Result<Response, Problem> {
    let first = !ask.console.store.has_users()?;
    let body = html! {
        form.card.confirm method="post" action="/users/add" {
            @if first { p { "From the first user on, everybody has to sign in, also on this machine. The first one is an admin." } }
            (token(ask))
            label { "Name" input name="name" autocomplete="off" maxlength="60" required; }
            (role_choice(first.then_some(Role::Admin)))
            label { "Who that is in people.yaml (what they approve is decided by that person)"
                select name="person" { option value="" { "nobody there" } @for person in &ask.console.project.people { option value=(person.id) { (person.id) " (" (person.name) ")" } } } }
            label { "Password, at least " (passwords::CHARS_MIN) " characters" input type="password" name="password" autocomplete="new-password" minlength=(passwords::CHARS_MIN) required; }
            button.primary type="submit" { "Add" } " " a.button href="/users" { "Cancel" }
            p.do { (command("ironbridge users add NAME --role viewer")) }
        }
    };
    Ok(ask::html(page::still_page(ask, "Add a user", &[], &body)))
}

fn role_of(ask: &Ask) -> Result<Role, Problem> {
    let word = ask.form("role").unwrap_or_default();
    Role::of(word).ok_or_else(|| Problem::not_there("role", word))
}

fn password_of(ask: &Ask) -> &str {
    ask.form.iter().find(|(field, _)| field == "password").map_or("", |(_, value)| value)
}

fn by(ask: &Ask) -> Actor {
    crate::audit::actor(&ask.who.name)
}

pub fn add(ask: &Ask) -> Result<Response, Problem> {
    let (name, role) = (ask.form("name").unwrap_or_default(), role_of(ask)?);
    let console = &ask.console;
    ask.wait(accounts::add(
        &console.project,
        &console.store,
        &by(ask),
        name,
        role,
        ask.form("person"),
        password_of(ask),
    ))?;
    Ok(see("/users?said=user"))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let user = accounts::find(&ask.console.store, ask.name("user"))?;
    let to = |what: &str| format!("/users/{}/{what}", escaped(&user.name));
    let body = html! {
        section.card {
            (facts([
                ("Role", html! { (user.role) }),
                ("Decides as", html! { (user.person.as_deref().unwrap_or(&user.name)) }),
                ("Added", clock(ask, user.created)),
                ("Changed", clock(ask, user.changed)),
            ]))
        }
        form.card.confirm method="post" action=(to("role")) {
            h2 { "Another role" } p { "It holds from their next request on." }
            (token(ask)) (role_choice(Some(user.role)))
            button type="submit" { "Change the role" }
            p.do { (command(&format!("ironbridge users role {} --role viewer", user.name))) }
        }
        form.card.confirm method="post" action=(to("password")) {
            h2 { "Another password" } p { "They are signed out everywhere." }
            (token(ask))
            label { "The new password" input type="password" name="password" autocomplete="new-password" minlength=(passwords::CHARS_MIN) required; }
            button type="submit" { "Change the password" }
            p.do { (command(&format!("ironbridge users password {}", user.name))) }
        }
        form.card.confirm method="post" action=(to("remove")) {
            h2 { "Remove" } p { "They are signed out everywhere, and what they did stays in the audit log. If nobody is left, nobody signs in any more." }
            (token(ask))
            label.check { input type="checkbox" name="sure" value="yes" required; "Yes, remove " (user.name) }
            button.danger type="submit" { "Remove" }
            p.do { (command(&format!("ironbridge users remove {}", user.name))) }
        }
    };
    Ok(ask::html(page::still_page(ask, &user.name, &[], &body)))
}

pub fn role(ask: &Ask) -> Result<Response, Problem> {
    let (name, role) = (ask.name("user"), role_of(ask)?);
    ask.wait(accounts::set_role(&ask.console.store, &by(ask), name, role))?;
    Ok(see("/users?said=user-changed"))
}

pub fn password(ask: &Ask) -> Result<Response, Problem> {
    let name = ask.name("user");
    ask.wait(accounts::set_password(&ask.console.store, &by(ask), name, password_of(ask)))?;
    Ok(see("/users?said=password"))
}

pub fn remove(ask: &Ask) -> Result<Response, Problem> {
    let name = ask.name("user");
    if ask.form("sure") != Some("yes") {
        return Err(Problem::not_done("nobody said that it is meant", "tick the box, and try again; nothing was done"));
    }
    ask.wait(accounts::remove(&ask.console.store, &by(ask), name))?;
    Ok(see("/users?said=user-removed"))
}
