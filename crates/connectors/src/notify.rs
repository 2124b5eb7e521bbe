//! Ways to tell people: mail, Teams, Slack, PagerDuty, and any webhook.
//!
//! Each takes a [`Notice`] and says it in its own form. None retries: whoever sends has a queue for that.

mod beat;
mod cards;
mod greet;
mod mail;
mod post;

use std::sync::Arc;

use record::{Code, Fault, Notify, Secret};

pub use beat::beat;
pub use cards::{pagerduty, slack, teams, webhook};
pub use greet::greet;
pub use mail::{html, text};

/// A notice that did not get through.
pub(crate) const NOT_SENT: Code = Code("IB1001");

/// One way to tell somebody, with its secrets resolved.
#[derive(Debug, Clone)]
pub enum Channel {
    Mail {
        /// Also `file:` and a folder, which gets a file for each mail.
        /// `smtp://user:password@mail.contoso.example:587?tls=required`, `smtps://…`.
        server: Secret,
        from: String,
        to: Vec<String>,
    },
    /// The address that a Teams workflow gave ("when a Teams webhook request is received").
    Teams(Secret),
    /// The address of an incoming webhook.
    Slack(Secret),
    /// The key of an Events API v2 integration, and the address of the service (theirs, unless a test says otherwise).
    PagerDuty {
        key: Secret,
        url: String,
    },
    Webhook(Secret),
}

/// Where PagerDuty takes events.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Opens a channel. Does no IO.
///
/// *Errors*: an address that is none.
pub fn open(channel: Channel) -> Result<Arc<dyn Notify>, Fault> {
    let post =
        |what, url: &Secret, body| post::Post::new(what, url.reveal(), body).map(|post| Arc::new(post) as Arc<_>);
    match channel {
        Channel::Mail { server, from, to } => Ok(Arc::new(mail::Mail::new(&server, &from, &to)?)),
        Channel::Teams(url) => post("Teams", &url, Box::new(cards::teams)),
        Channel::Slack(url) => post("Slack", &url, Box::new(cards::slack)),
        Channel::Webhook(url) => post("the webhook", &url, Box::new(cards::webhook)),
        Channel::PagerDuty { key, url } => {
            let body = Box::new(move |notice: &_| cards::pagerduty(notice, key.reveal()));
            post("PagerDuty", &Secret::new(url), body)
        }
    }
}
