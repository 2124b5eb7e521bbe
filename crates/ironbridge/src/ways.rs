//! The ways to tell people, opened with their secrets.

use std::sync::Arc;

use connectors::notify::{self, Channel};
use definition::{Project, Way};
use hub::operations::tell::is_address;
use hub::operations::{Route, Ways};
use record::{Code, Fault, Notify, OptionValue, Options, Secret};

use crate::addressed::Telling;
use crate::wiring::MachineSecrets;

const SECRET_MISSING: Code = Code("IB0006");
/// A way that people.yaml or ironbridge.yaml does not have any more.
const NO_WAY: Code = Code("IB1001");
/// Where PagerDuty is taken to be, for drills.
const PAGERDUTY: &str = "IRONBRIDGE_PAGERDUTY";

/// Opens each way anew: a secret that was replaced is used with the next notice.
pub struct ProjectWays(pub Arc<Project>);

impl Ways for ProjectWays {
    fn open(&self, route: &Route) -> Result<Arc<dyn Notify>, Fault> {
        let project = &self.0;
        let none = || {
            Fault::ask_person(NO_WAY, format!("there is no way `{}` any more", route.name()))
                .fix("nothing, if it was taken away on purpose: see `ironbridge alerts coverage`")
        };
        let group = project.groups.iter().find(|group| group.id == route.who);
        let address = || {
            let address = group.and_then(|group| group.address(route.way)).ok_or_else(none)?;
            secret(project, address)
        };
        let way = notify::open(match route.way {
            Way::Email => {
                let from = project.hub.mail.as_ref().ok_or_else(none)?.from.clone();
                let mut to = project.addresses(&route.who);
                if to.is_empty() && is_address(&route.who) {
                    to.push(route.who.clone());
                }
                if to.is_empty() {
                    return Err(none());
                }
                Channel::Mail { server: mail_server(project)?, from, to }
            }
            Way::Teams => Channel::Teams(address()?),
            Way::Slack => Channel::Slack(address()?),
            Way::Webhook => Channel::Webhook(address()?),
            Way::PagerDuty => {
                let url = std::env::var(PAGERDUTY).unwrap_or_else(|_| notify::PAGERDUTY.to_owned());
                Channel::PagerDuty { key: address()?, url }
            }
        })?;
        Ok(Arc::new(Telling(way)))
    }
}

/// Where mails are handed to, with its secrets.
///
/// *Errors*: the project has no `mail:`, or it lacks a secret.
pub fn mail_server(project: &Project) -> Result<Secret, Fault> {
    let mail = project.hub.mail.as_ref().ok_or_else(|| {
        Fault::ask_person(NO_WAY, "the hub has no `mail:` in ironbridge.yaml")
            .fix("write one: `mail: { server: …, from: … }`")
    })?;
    let server = secret(project, &mail.server)?;
    Ok(match server.reveal().strip_prefix("file:") {
        Some(folder) => Secret::new(format!("file:{}", project.dir.join(folder).display())),
        None => server,
    })
}

/// A text with each `${…}` replaced.
pub fn secret(project: &Project, text: &str) -> Result<Secret, Fault> {
    let options = Options([("it".to_owned(), OptionValue::Text(text.to_owned()))].into());
    let resolved = options.resolve(&MachineSecrets::new(&project.dir)).map_err(|missing| {
        Fault::ask_person(SECRET_MISSING, format!("a way to tell people lacks a secret: {}", missing.join("; ")))
            .fix("give it its value, and start again")
    })?;
    Ok(Secret::new(resolved.text("it").unwrap_or_default()))
}
