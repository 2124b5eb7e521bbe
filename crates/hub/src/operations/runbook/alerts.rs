//! One section for each alert: when it rings, what it means, and what to do, in order.

use definition::{Integration, Pattern, Project};

use super::super::kind::Kind;
use super::Live;
use crate::events::subscription;
use crate::unheard;

/// What to do: a sentence, and the commands of it.
type Steps = Vec<(String, Vec<String>)>;

pub(super) fn write(out: &mut String, project: &Project, integration: &Integration, kind: Kind, live: Option<&Live>) {
    *out += &format!("### {} {{#{}}}\n\n**Rings:** {}\n\n", kind.heading(), kind.word(), kind.when());
    *out += &format!("**Means:** {}\n\n", means(integration, kind));
    for (at, (what, commands)) in steps(project, integration, kind, live).into_iter().enumerate() {
        *out += &format!("{}. {what}\n", at + 1);
        if !commands.is_empty() {
            let commands: Vec<String> = commands.iter().map(|command| format!("   {command}")).collect();
            *out += &format!("\n   ```\n{}\n   ```\n\n", commands.join("\n"));
        }
    }
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
}

/// What it means for the business, and whether something is lost.
fn means(integration: &Integration, kind: Kind) -> String {
    let purpose = &integration.purpose;
    match kind {
        Kind::Late | Kind::NotRun | Kind::SystemDown | Kind::Paused | Kind::Backlog | Kind::NeedsPerson => {
            format!("\u{201c}{purpose}\u{201d} is not so at the moment. Nothing is lost: what waits is done once the cause is gone.")
        }
        Kind::NotShown => {
            format!("\u{201c}{purpose}\u{201d} is not so at the moment: whoever looks gets an error. Nothing is stored here, so nothing is lost.")
        }
        Kind::NoWebhooks => {
            "What changes is found by the sweep, later than it could be, and none of it is lost; of a sender that no sweep can ask, what it does not send again is not here.".to_owned()
        }
        Kind::DeadLetters | Kind::NotReviewed => {
            format!("\u{201c}{purpose}\u{201d} holds, but not for these records.")
        }
        Kind::FewRows | Kind::Slow => {
            "It works, and has less to do than usual. A quiet day looks like that; so does a source that stopped giving.".to_owned()
        }
        Kind::Volume => "A flow is made for few; above its ceiling new ones wait.".to_owned(),
        Kind::FlowFailed => {
            format!("\u{201c}{purpose}\u{201d} holds, but not for these records. What they have written stays, and nothing goes on by itself.")
        }
        Kind::Approval => "Somebody waits for this answer, and nothing is written before it comes.".to_owned(),
        Kind::Expiring => "Nothing has happened yet. On that day this integration stands still, or is without help.".to_owned(),
        Kind::Disk | Kind::Notifier => "It is about the hub as a whole, and so about this integration too.".to_owned(),
    }
}

fn steps(project: &Project, integration: &Integration, kind: Kind, live: Option<&Live>) -> Steps {
    let name = &integration.name;
    // The one that rings; where none does, nothing that a command would change.
    let one = |id: Option<i64>| id.map_or("ID".to_owned(), |id| id.to_string());
    let stuck = one(live.and_then(|live| live.known.stuck.as_ref()).map(|stuck| stuck.first.0));
    let failed = live.and_then(|live| live.known.ended.as_ref()?.error.as_ref()).map(|error| error.code.as_str());
    let asked = one(live.and_then(|live| live.approvals.first()).map(|approval| approval.id.0));
    let step = |what: &str, commands: &[String]| (what.to_owned(), commands.to_vec());
    let systems: Vec<String> =
        integration.systems().iter().map(|system| format!("ironbridge systems check {system}")).collect();
    let queues: Vec<String> = match &integration.pattern {
        Pattern::Event(event) => {
            event.to.iter().map(|to| format!("ironbridge queue peek {}", subscription(name, to))).collect()
        }
        Pattern::Flow(_) => vec![format!("ironbridge queue peek {}", crate::flows::queue(name))],
        _ => Vec::new(),
    };
    let run = match project.environment.as_ref().filter(|environment| environment.protected) {
        Some(environment) => format!("ironbridge run {name} --confirm {}", environment.name),
        None => format!("ironbridge run {name}"),
    };
    let owner = &integration.owner;
    match kind {
        Kind::Late => vec![
            step(
                "See the attempts and the error of the last one, and whether it waits for an approval.",
                &[format!("ironbridge runs {name}"), "ironbridge status".into()],
            ),
            step("Follow the code of that error.", &[format!("ironbridge explain {}", failed.unwrap_or("CODE"))]),
            step("See whether its systems answer.", &systems),
            step("Once the cause is gone, the schedule brings the next run; at once:", &[run]),
            step(&format!("Tell {owner} when it will be there."), &[]),
        ],
        Kind::NotRun => vec![
            step(
                "See whether a run is under way, or somebody has paused it.",
                &["ironbridge status".into(), format!("ironbridge runs {name}")],
            ),
            step(
                "See that `ironbridge up` runs and is not stuck; its log says what it does. Starting it again is safe: what was under way goes on after its last commit.",
                &[],
            ),
            step("Run it by hand meanwhile.", &[run]),
        ],
        Kind::NeedsPerson => vec![
            step(
                "Read what the error asks for. Mostly it is a password, a right or a column that changed.",
                &[format!("ironbridge runs {name} --last 1")],
            ),
            step("See which system it is, and what it says.", &systems),
            step(
                "Mend it there. Where that was a file of the project, or a secret that the hub has from its environment, stop `ironbridge up` and start it again. Then:",
                &[run],
            ),
        ],
        Kind::SystemDown => vec![
            step("See whether the system answers, and what it says.", &systems),
            step(
                "Where it does not answer, call its owner (below). Nothing has to be done here: everything goes on by itself when it is back.",
                &[],
            ),
            step(
                "Where it refuses us, a key or a right is wrong. Its page says which; a secret that the hub has from its environment is read when `ironbridge up` starts.",
                &[format!("ironbridge explain {}", failed.unwrap_or("CODE"))],
            ),
            step(
                "Keep it quiet where it is known.",
                &integration
                    .systems()
                    .iter()
                    .map(|system| format!("ironbridge alerts silence {system} --for \"2 hours\" --note \"WHY\""))
                    .collect::<Vec<_>>(),
            ),
        ],
        Kind::Paused => vec![
            step("See whether it answers, and what it says.", &systems),
            step("See what waits.", &queues),
            step("Call its owner (below). Events go on by themselves when it is back, slowly at first.", &[]),
        ],
        Kind::NotShown => vec![
            step("See what does not fit, and which line of the files it is.", &["ironbridge check --online".into()]),
            step(
                "Have the source get back what is gone; or correct the mapping, and start `ironbridge up` again.",
                &[],
            ),
            step("See that it is over, within a minute.", &["ironbridge status".into()]),
        ],
        Kind::Backlog => vec![
            step("See what waits, and since when.", &queues),
            step("See whether the destination is slow.", &systems),
            step("See whether somebody has paused it.", &["ironbridge status".into()]),
        ],
        Kind::NoWebhooks => {
            let sender = unheard::sender(project, integration);
            let at = sender.map_or_else(String::new, |sender| format!("systems/{}.yaml", sender.name));
            let mut steps = vec![step(
                "See whether changes had no webhook, or calls were refused for their key, and since when.",
                &["ironbridge status".into()],
            )];
            if sender.is_some_and(|sender| sender.kind.name == "dataverse") {
                steps.push(step(
                    "See what is different there: a step that is gone or switched off, another address. What shows no difference may be refused for its key, which cannot be read back.",
                    &[format!("ironbridge dataverse register {name}")],
                ));
                steps.push(step(
                    &format!("Make it so; this also writes the last one of `keys:` in {at} anew."),
                    &[format!("ironbridge dataverse register {name} --yes")],
                ));
            } else {
                steps.push(step(
                    &format!("Compare the key or signature of the sender with `webhooks:` in {at}, and have it send again what was refused."),
                    &[],
                ));
            }
            steps.push(step(
                "See that the hub is reached from there: the address, the certificate, what stands between them. It is over with the first webhook that comes.",
                &[],
            ));
            steps
        }
        Kind::DeadLetters | Kind::NotReviewed => vec![
            step(
                "Look at them: most have one cause.",
                &[format!("ironbridge dead-letters list {name}"), "ironbridge dead-letters show ID".into()],
            ),
            step(
                "Mend the cause: the row at its source, the mapping, or the destination. Of a batch, a mended row goes by itself with the next run.",
                &[],
            ),
            step(
                "Try one again, then the others; give up those that nobody needs, with a note.",
                &[
                    "ironbridge dead-letters retry ID".into(),
                    "ironbridge dead-letters discard ID --note \"WHY\"".into(),
                ],
            ),
        ],
        Kind::FewRows => vec![
            step("Compare with the runs before.", &[format!("ironbridge runs {name}")]),
            step(
                "See whether the source gives what it should: ask its owner (below), and look whether something before it in the chain is late.",
                &["ironbridge status".into()],
            ),
            step(
                "Where rows would be deleted because of it, `min_rows` and `max_deletes` have stopped that.",
                &[format!("ironbridge show {name}")],
            ),
        ],
        Kind::Slow => {
            let mut still = systems;
            // Whether its steps are there, Dynamics tells to this command alone.
            if let Pattern::Event(event) = &integration.pattern
                && project.system(&event.from).is_some_and(|system| system.kind.name == "dataverse")
            {
                still.push(format!("ironbridge dataverse register {name}"));
            }
            let look = if queues.is_empty() { vec![format!("ironbridge runs {name}")] } else { queues };
            vec![
                step("See what went through lately.", &look),
                step(
                    "See whether the source still sends or gives: a webhook that was switched off looks like a quiet day.",
                    &still,
                ),
                step(
                    "Where it is quiet for a reason, say so.",
                    &[format!("ironbridge alerts silence {name} --for \"8 hours\" --note \"WHY\"")],
                ),
            ]
        }
        Kind::Volume => vec![
            step(
                "See what starts it so often.",
                &[format!("ironbridge flow list {name} --all"), format!("ironbridge show {name}")],
            ),
            step("Raise `ceiling:` if people can decide so many, or make it an event integration.", &[]),
        ],
        Kind::FlowFailed => vec![
            step(
                "See which, and the error of one fully.",
                &[format!("ironbridge flow list {name}"), format!("ironbridge flow show {stuck}")],
            ),
            step("See whether its systems answer.", &systems),
            step(
                "Once the cause is gone, let it try its step again; or end it, with a reason.",
                &[format!("ironbridge flow retry {stuck}"), format!("ironbridge flow cancel {stuck} --why \"WHY\"")],
            ),
        ],
        Kind::Approval => vec![
            step(
                "See the question, and what would change.",
                &["ironbridge approvals list".into(), format!("ironbridge approvals show {asked}")],
            ),
            step(
                "Remind whoever was asked; or decide, if you were.",
                &[
                    format!("ironbridge approvals approve {asked} --by WHO"),
                    format!("ironbridge approvals reject {asked} --by WHO --comment \"WHY\""),
                ],
            ),
        ],
        Kind::Expiring => {
            let touched: Vec<String> =
                integration.systems().iter().map(|system| format!("ironbridge impact {system}")).collect();
            vec![
                step("See what depends on it.", &touched),
                step(
                    "Make a new secret or certificate there, put it where `${…}` takes it from, write its end into `expires:`, and start `ironbridge up` again.",
                    &[],
                ),
                step("See that it works.", &systems),
            ]
        }
        Kind::Disk => vec![
            step(
                "See what takes the room on that machine, and give it more. Nothing in the state folder is to be deleted by hand.",
                &["ironbridge explain IB0016".into()],
            ),
            step("See what waits in the queues.", &["ironbridge queue list".into()]),
        ],
        Kind::Notifier => vec![
            step(
                "See which way it is, and what it says.",
                &["ironbridge alerts coverage".into(), "ironbridge explain IB1001".into()],
            ),
            step(
                "Mend the address or key in people.yaml or `mail:`, start `ironbridge up` again, and see that it arrives.",
                &["ironbridge alerts test".into()],
            ),
            step("Look at what was not told meanwhile.", &["ironbridge alerts list --all".into()]),
        ],
    }
}
