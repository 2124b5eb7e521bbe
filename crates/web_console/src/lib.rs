//! The web console: how everything stands, what needs a person first, and what that person can do about it.
//!
//! Every page is HTML made here and complete without script; a script of our own only keeps it fresh. A page is a plain
//! function from what was asked ([`Ask`]) to an answer, and every route stands in one table ([`routes::ROUTES`]) with the
//! least that somebody must be allowed to do: what is not in the table does not exist, and nothing is open by omission.
//!
//! | module | is |
//! |---|---|
//! | [`routes`] | the table of routes, and the router made of it |
//! | [`guard`] | what every request passes: host, session, role, form token; the headers of every answer |
//! | [`access`], [`passwords`], [`sessions`], [`tries`] | who gets in, decided in pure functions where that is possible |
//! | [`facts`], [`history`] | what the store says, put together for a page |
//! | `page`, `parts`, `list`, `picture`, `chart` | how things look |
//! | `pages`, `act` | the pages, and what can be done |
//! | `answer` | the page that a link in a mail opens, for whoever has the link |
//! | [`form`] | what people fill in |
//!
//! It is not an API, listens nowhere, has no SQL and calls nobody outside but through [`hub::Systems`].

pub mod access;
pub mod accounts;
mod act;
mod answer;
mod ask;
mod assets;
mod audit;
mod chart;
mod console;
pub mod facts;
pub mod form;
mod guard;
pub mod history;
mod list;
mod live;
mod markdown;
mod page;
mod pages;
mod parts;
pub mod passwords;
mod picture;
mod problem;
pub mod routes;
pub mod sessions;
pub mod tries;
pub mod words;

pub use answer::answers;
pub use ask::Ask;
pub use console::{Console, Setup};
pub use guard::refused_at;
pub use problem::Problem;
pub use routes::router;
