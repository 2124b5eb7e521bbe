//! Let chosen instances of a flow go on with another version.

use axum::response::Response;
use definition::{Integration, Pattern};
use maud::{Markup, html};
use store::flows::{Filter, Instance, InstanceId, State, Version};

use super::{Question, flows::refused, mistakes};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::integration::found;
use crate::words::{counted, escaped};

/// Instances that are shown at most; the newest.
const SHOWN: usize = 200;

fn flow(ask: &Ask) -> Result<&Integration, Problem> {
    let integration = found(ask)?;
    match integration.pattern {
        Pattern::Flow(_) => Ok(integration),
        _ => Err(Problem::not_done(format!("{} is no flow", integration.name), "nothing was changed")),
    }
}

fn under_way(ask: &Ask, flow: &str) -> Result<Vec<Instance>, Problem> {
    let states = vec![State::Held, State::Running, State::Failed];
    let filter = Filter { integration: Some(flow.to_owned()), states, key: None };
    Ok(ask.console.store.flow_instances(&filter, SHOWN)?)
}

fn question<'q>(ask: &'q Ask, wrong: &[String]) -> Result<Question<'q>, Problem> {
    let name = &flow(ask)?.name;
    let versions = ask.console.store.flow_versions(name)?;
    let instances = under_way(ask, name)?;
    let Some(newest) = versions.first().filter(|_| !instances.is_empty()) else {
        let what = format!("no instance of {name} is under way");
        return Err(Problem::not_done(what, "there is nothing to move: new ones take the newest version"));
    };
    let newest = newest.version;
    Ok(Question {
        title: format!("Move instances of {name} to another version"),
        consequences: vec![
            "Each that is chosen goes on with that version, where it has the step at which the instance stands."
                .to_owned(),
            "A question that stands is put again in the words of that version: answers so far do not count.".to_owned(),
            "What an instance has done stays done.".to_owned(),
        ],
        command: format!("ironbridge flow migrate INSTANCE --to {newest}"),
        button: "Move them",
        danger: false,
        back: format!("/integrations/{}", escaped(name)),
        fields: html! { (mistakes(wrong)) (to(&versions)) (which(ask, &instances, newest)) },
        below: None,
        ask,
    })
}

fn to(versions: &[Version]) -> Markup {
    html! { label { "To version" select name="to" {
        @for version in versions {
            option value=(version.version) { (version.version) ", of " (version.since.strftime("%Y-%m-%d")) ", " (counted(version.running, "instance", "instances")) }
        }
    } } }
}

fn which(ask: &Ask, instances: &[Instance], newest: u32) -> Markup {
    let chosen: Vec<&str> = ask.each("instance").collect();
    let begun = ask.form("to").is_some();
    html! {
        fieldset { legend { "Which of them" }
            @for instance in instances {
                @let id = instance.id.to_string();
                label.check {
                    input type="checkbox" name="instance" value=(id) checked[if begun { chosen.contains(&id.as_str()) } else { instance.version != newest }];
                    "instance " (id) " of version " (instance.version) ": " (instance.entity) " " (instance.key) ", " (instance.state)
                    @if let Some(at) = &instance.at { " at " (at) }
                }
            }
        }
    }
}

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    Ok(question(ask, &[])?.put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let (name, console) = (&flow(ask)?.name, &ask.console);
    let to: Option<u32> = ask.form("to").and_then(|to| to.parse().ok());
    let Some(to) = to.filter(|to| console.store.flow_version(name, *to).is_ok_and(|found| found.is_some())) else {
        return Ok(question(ask, &["this version is not kept".to_owned()])?.put_again());
    };
    let chosen: Vec<i64> = ask.each("instance").filter_map(|id| id.parse().ok()).collect();
    if chosen.is_empty() {
        return Ok(question(ask, &["none is chosen".to_owned()])?.put_again());
    }
    let mut wrong = Vec::new();
    for id in chosen {
        let found = console.store.flow_instance(InstanceId(id))?;
        let Some(instance) = found.filter(|instance| instance.integration == *name) else {
            wrong.push(format!("there is no instance {id} of {name}"));
            continue;
        };
        if instance.version == to {
            continue;
        }
        match ask.wait(hub::flows::migrate(&console.flows, instance.id, to, &actor(&ask.who.name))) {
            Ok(()) => {}
            Err(why) => {
                let problem = refused(&instance, why);
                wrong.push(format!("{}; {}", problem.what, problem.fix));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(see(&format!("/integrations/{}?said=flow-migrated", escaped(name)))),
        false => Ok(question(ask, &wrong)?.put_again()),
    }
}
