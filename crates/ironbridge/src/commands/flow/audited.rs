//! What people do with instances, in the audit log.

use serde_json::json;
use store::Store;
use store::audit::Actor;
use store::flows::InstanceId;

use crate::cli::Flow as Command;
use crate::failure::Failure;
use crate::wiring;

/// Notes what somebody has done. The history of the instance has it already, by the same name.
pub async fn audited(store: &Store, command: &Command) -> Result<(), Failure> {
    let (action, id, by, why) = match command {
        Command::Start { by, .. } => ("flow start", None, by, None),
        Command::Cancel { id, why, by } => ("flow cancel", Some(*id), by, Some(why.as_str())),
        Command::Retry { id, by } => ("flow retry", Some(*id), by, None),
        Command::Skip { id, why, by } => ("flow skip", Some(*id), by, Some(why.as_str())),
        Command::Migrate { id, by, .. } => ("flow migrate", Some(*id), by, None),
        Command::List { .. } | Command::Show { .. } | Command::Versions { .. } => return Ok(()),
    };
    let instance = id.map(|id| store.flow_instance(InstanceId(id))).transpose()?.flatten();
    let subject = match (command, instance) {
        (Command::Start { flow, .. }, _) => flow.clone(),
        (_, instance) => instance.map(|instance| instance.integration).unwrap_or_default(),
    };
    let here = wiring::actor();
    let actor = by.as_deref().map_or(here.clone(), |by| Actor::new(by, here.via));
    let mut detail = json!({});
    if let Some(id) = id {
        detail["instance"] = json!(id);
    }
    if let Command::Migrate { to, .. } = command {
        detail["version"] = json!(to);
    }
    store.commit(vec![actor.did(action, subject).because(why).with(detail).op()]).await?;
    Ok(())
}
