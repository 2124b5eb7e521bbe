//! What every page has around it: the bar with the search, the list of pages, the commands of the page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::access::Needs;
use crate::ask::Ask;
use crate::assets;

/// A page in the list at the side.
struct Place {
    path: &'static str,
    name: &'static str,
    icon: &'static str,
    needs: Needs,
}

const PLACES: &[Place] = &[
    Place { path: "/", name: "Overview", icon: "M3 10 10 4l7 6v7h-5v-4H8v4H3z", needs: Needs::Look },
    Place { path: "/integrations", name: "Integrations", icon: "M3 6h11l-3-3M17 14H6l3 3", needs: Needs::Look },
    Place { path: "/runs", name: "Runs", icon: "M6 4l10 6-10 6z", needs: Needs::Look },
    Place {
        path: "/alerts",
        name: "Alerts",
        icon: "M10 3a5 5 0 0 0-5 5v4l-2 2h14l-2-2V8a5 5 0 0 0-5-5zM8 17h4",
        needs: Needs::Look,
    },
    Place { path: "/dead-letters", name: "Dead letters", icon: "M3 5h14v10H3zM3 5l7 6 7-6", needs: Needs::Look },
    Place { path: "/approvals", name: "Approvals", icon: "M4 10l4 4 8-9", needs: Needs::Look },
    Place { path: "/flows", name: "Flows", icon: "M4 4h5v5H4zM11 11h5v5h-5zM9 6.500h4.500V11", needs: Needs::Look },
    Place { path: "/systems", name: "Systems", icon: "M4 4h12v4H4zM4 12h12v4H4zM7 6h.01M7 14h.01", needs: Needs::Look },
    Place { path: "/trace", name: "Trace", icon: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM13 13l4 4", needs: Needs::Look },
    Place { path: "/audit", name: "Audit log", icon: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2", needs: Needs::Look },
    Place {
        path: "/users",
        name: "Users",
        icon: "M10 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM4 17c0-7 12-7 12 0",
        needs: Needs::Administer,
    },
];

/// Something in the command bar. *Shape*: a page to go to; what changes something asks there first.
pub struct Command {
    pub name: &'static str,
    pub href: String,
    pub icon: &'static str,
    pub primary: bool,
}

impl Command {
    pub fn new(name: &'static str, href: String, icon: &'static str) -> Command {
        Command { name, href, icon, primary: false }
    }

    pub fn primary(self) -> Command {
        Command { primary: true, ..self }
    }
}

pub const RUN: &str = "M6 4l10 6-10 6z";
pub const PAUSE: &str = "M6 4v12M14 4v12";
pub const CHECK: &str = "M4 10l4 4 8-9";
pub const CROSS: &str = "M5 5l10 10M15 5L5 15";
pub const AGAIN: &str = "M15 5v4h-4M15 9a6 6 0 1 0 0 4";
pub const DOWN: &str = "M10 3v10m-4-4 4 4 4-4M4 17h12";
pub const BOOK: &str = "M4 4h5l1 1 1-1h5v12h-5l-1 1-1-1H4zM10 5v11";
pub const LIST: &str = "M4 5h12M4 10h12M4 15h12";
pub const PEN: &str = "M4 16l1-4 8-8 3 3-8 8zM11 6l3 3";
pub const PLUS: &str = "M10 4v12M4 10h12";

pub fn icon(path: &str) -> Markup {
    html! { svg.icon viewBox="0 0 20 20" aria-hidden="true" { path d=(path) {} } }
}

/// A whole page. `title` is its heading; its content is kept fresh.
pub fn page(ask: &Ask, title: &str, commands: &[Command], body: &Markup) -> Markup {
    page_with(ask, title, commands, body, true)
}

/// A page with a form in it, which nothing may take away while somebody types.
pub fn still_page(ask: &Ask, title: &str, commands: &[Command], body: &Markup) -> Markup {
    page_with(ask, title, commands, body, false)
}

fn page_with(ask: &Ask, title: &str, commands: &[Command], body: &Markup, live: bool) -> Markup {
    let hub = &ask.console.project.hub.name;
    let environment = ask.console.project.environment.as_ref().map(|environment| environment.name.as_str());
    html! {
        (head(&format!("{title} - {hub} - Ironbridge"), true))
        body {
            a.skip href="#main" { "Skip to the content" }
            header.bar {
                a.brand href="/" { (mark()) span { "Ironbridge" } }
                span.hub { (hub) @if let Some(environment) = environment { " " span.environment { (environment) } } }
                (search(ask))
                @if ask.who.token.is_some() {
                    form.who method="post" action="/sign-out" {
                        (crate::parts::token(ask))
                        a href="/account" { (ask.who.name) span.role { (ask.who.role) } }
                        button type="submit" { "Sign out" }
                    }
                } @else {
                    span.who { (ask.who.name) span.role { "this machine" } }
                }
            }
            div.frame {
                nav.places aria-label="Pages" {
                    ul { @for place in PLACES.iter().filter(|place| ask.who.may(place.needs)) {
                        li { a href=(place.path) aria-current=[is_here(place.path, &ask.path)] { (icon(place.icon)) span { (place.name) } } }
                    } }
                }
                main #main tabindex="-1" {
                    div.heading {
                        h1 { (title) }
                        @if !commands.is_empty() {
                            div.commands role="group" aria-label="Commands" { @for command in commands {
                                a.command.primary[command.primary] href=(command.href) { (icon(command.icon)) span { (command.name) } }
                            } }
                        }
                    }
                    (said(ask))
                    @if live { div #live data-seen=(ask.version) { (body) } } @else { (body) }
                    p.zone { "Times are those of " (hub::flows::form::zone_name(ask.zone())) "." }
                }
            }
        }
    }
}

/// A page for somebody who is not in yet, or does not get in.
pub fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (head(title, false))
        body.bare { main #main { div.brand { (mark()) span { "Ironbridge" } } (body) } }
    }
}

fn head(title: &str, script: bool) -> Markup {
    html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="stylesheet" href=(assets::style_path());
            link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
            @if script { script src=(assets::script_path()) defer {} }
        }
    }
}

/// A bridge.
fn mark() -> Markup {
    html! { svg.mark viewBox="0 0 24 24" aria-hidden="true" { path d="M2 17h20M4 17V8m16 9V8M4 8c4 7 12 7 16 0M8 17v-4.6m4 4.6v-3.8m4 3.8v-4.6" {} } }
}

fn is_here(place: &str, path: &str) -> Option<&'static str> {
    let is_below = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let here = match place {
        "/" => path == "/",
        "/dead-letters" => is_below(place) || is_below("/retries"),
        _ => is_below(place),
    };
    here.then_some("page")
}

/// Where is my order? One record across all integrations.
fn search(ask: &Ask) -> Markup {
    let entities = &ask.console.project.entities;
    let chosen = ask.query("entity").filter(|_| ask.path == "/trace");
    html! {
        form.search role="search" method="get" action="/trace" {
            label.unseen for="search-entity" { "What to trace" }
            select #search-entity name="entity" {
                @for entity in entities { option value=(entity.name) selected[chosen == Some(&*entity.name)] { (entity.name) } }
            }
            label.unseen for="search-key" { "Its key" }
            input #search-key name="key" type="search" placeholder="Trace a record by its key" autocomplete="off" required;
            button type="submit" aria-label="Trace" { (icon("M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM13 13l4 4")) }
        }
    }
}

/// What was just done. *Shape*: the address names one of our sentences, never brings its own.
fn said(ask: &Ask) -> Markup {
    let sentence = match ask.query("said") {
        Some("run") => "Asked for: the run starts within a second, unless one goes on already.",
        Some("paused") => "Paused. A run that is under way ends; nothing new starts by itself.",
        Some("resumed") => "It works again.",
        Some("retried") => "Sent again. What became of it stands here in a moment.",
        Some("discarded") => "Discarded. It can be taken back until the day that stands below.",
        Some("restored") => "Taken back. It waits for somebody again.",
        Some("copied") => "The copy is sent. What became of it stands here in a moment.",
        Some("acked") => "Everybody sees that you look at it.",
        Some("silenced") => "Nobody is told of it until then; what opens meanwhile is kept.",
        Some("unsilenced") => "Ended. People are told again.",
        Some("flow-retried") => "It tries its step again, within a second while the hub is up.",
        Some("flow-started") => "Started. What it does stands below in a moment.",
        Some("flow-skipped") => "Left out. It goes on with the next step, within a second while the hub is up.",
        Some("flow-migrated") => "Moved. It goes on with the other version.",
        Some("flow-approved") => "Approved. The flow goes on at once.",
        Some("flow-rejected") => "Rejected. The flow goes on at once with what follows a no.",
        Some("flow-cancelled") => "Cancelled. What it has written stays.",
        Some("marked") => "Saved, and looked at.",
        Some("retrying") => "Begun. What becomes of each stands below.",
        Some("going-on") => "It goes on.",
        Some("job-paused") => "Paused. It sends nothing more until somebody lets it go on.",
        Some("job-ended") => "Ended. What was not sent waits as before.",
        Some("decided") => "Decided. The next run writes the version that you chose.",
        Some("window-approved") => "Approved. It is written once the window is run again.",
        Some("approved") => "Approved. A run starts at once and writes exactly this.",
        Some("rejected") => "Rejected. Nothing of it is written.",
        Some("checked") => "Asked. What the system said stands below.",
        Some("user") => "The user can sign in now.",
        Some("user-changed") => "Changed. It holds from the next request on.",
        Some("user-removed") => "Removed, and signed out everywhere.",
        Some("password") => "The password is changed.",
        _ => return html! {},
    };
    html! { p.said role="status" { (icon(CHECK)) (sentence) } }
}
