//! The hub as a picture: it stands in the middle with its integrations, and the systems around it.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::impact::{Subject, Touched};
use crate::model::{Direction, Integration, Pattern, Project};

/// What a change touches, to be drawn strongly while the rest is faint.
#[derive(Debug, Clone, Default)]
pub struct Marked {
    /// Above the picture.
    pub title: String,
    systems: BTreeSet<String>,
    integrations: BTreeSet<String>,
    /// What has no place in the picture: runbooks, tests, virtual tables.
    beside: Vec<String>,
}

impl Marked {
    /// Everything that these changes touch.
    pub fn of(found: &[(Subject, Vec<Touched>)]) -> Marked {
        let mut marked = Marked::default();
        let names: Vec<String> = found.iter().map(|(subject, _)| subject.to_string()).collect();
        marked.title = format!("A change of {}", names.join(", "));
        for (subject, touched) in found {
            if let Subject::System(name) | Subject::Column { system: name, .. } = subject {
                marked.systems.insert(name.clone());
            }
            for one in touched {
                match one.what {
                    "integration" | "flow" => drop(marked.integrations.insert(one.name.clone())),
                    "mapping" => {
                        let system = one.name.split_once('.').map_or(one.name.as_str(), |(system, _)| system);
                        marked.systems.insert(system.to_owned());
                    }
                    what => {
                        // A name may be a text of several lines.
                        let name = one.name.split_whitespace().collect::<Vec<_>>().join(" ");
                        let line = format!("{what} {name} ({})", one.place);
                        if !marked.beside.contains(&line) {
                            marked.beside.push(line);
                        }
                    }
                }
            }
        }
        marked
    }

    fn has_system(marked: Option<&Marked>, name: &str) -> bool {
        marked.is_none_or(|marked| marked.systems.contains(name))
    }

    fn has_integration(marked: Option<&Marked>, name: &str) -> bool {
        marked.is_none_or(|marked| marked.integrations.contains(name))
    }
}

/// Which way things go between a system and the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Gives,
    Takes,
    Both,
}

fn ends(integration: &Integration) -> Vec<(&str, Way)> {
    match &integration.pattern {
        Pattern::Batch(batch) => match &batch.direction {
            Direction::OneWay { from, to } => vec![(from, Way::Gives), (to, Way::Takes)],
            Direction::TwoWay { between: [one, other], .. } => vec![(one, Way::Both), (other, Way::Both)],
        },
        Pattern::Event(event) => {
            let home = if event.write_back.is_empty() { Way::Gives } else { Way::Both };
            let to = event.to.iter().map(|to| (to.as_str(), Way::Takes));
            std::iter::once((event.from.as_str(), home)).chain(to).collect()
        }
        Pattern::Virtual(shown) => vec![(&shown.from, Way::Gives), (&shown.to, Way::Takes)],
        Pattern::Flow(flow) => {
            let others = integration.systems().into_iter().filter(|system| *system != flow.in_);
            std::iter::once((flow.in_.as_str(), Way::Both)).chain(others.map(|to| (to, Way::Takes))).collect()
        }
    }
}

/// As Mermaid, which GitHub and Azure DevOps draw. *Shape*: the same project gives the same text.
pub fn mermaid(project: &Project, marked: Option<&Marked>) -> String {
    let mut text = String::from("flowchart LR\n");
    let (left, right) = sides(project);
    let node = |name: &str| project.systems.iter().position(|system| system.name == name).unwrap_or_default();
    for name in left.iter().chain(&right) {
        let kind = project.system(name).map_or("", |system| system.kind.name);
        let _ = writeln!(text, "  s{}[\"{}<br/>{kind}\"]", node(name), escaped(name));
    }
    let _ = writeln!(text, "  subgraph hub[\"{}\"]", escaped(&project.hub.name));
    for (at, integration) in project.integrations.iter().enumerate() {
        let word = integration.pattern.word();
        let entities = integration.entities().join(", ");
        let _ = writeln!(text, "    i{at}([\"{}<br/>{word}: {}\"])", escaped(&integration.name), escaped(&entities));
    }
    text.push_str("  end\n");
    for (at, integration) in project.integrations.iter().enumerate() {
        let live = matches!(integration.pattern, Pattern::Virtual(_));
        for (system, way) in ends(integration) {
            let (s, line) = (node(system), if live { "-.->" } else { "-->" });
            // A system on the right stands behind the hub, whichever way things go.
            let behind = right.contains(&system);
            let _ = match (way, behind) {
                (Way::Gives, _) => writeln!(text, "  s{s} {line} i{at}"),
                (Way::Takes, _) => writeln!(text, "  i{at} {line} s{s}"),
                (Way::Both, false) => writeln!(text, "  s{s} <--> i{at}"),
                (Way::Both, true) => writeln!(text, "  i{at} <--> s{s}"),
            };
        }
    }
    if let Some(marked) = marked {
        text.push_str("  classDef touched fill:#fde7c3,stroke:#a60,stroke-width:2px\n");
        let systems =
            marked.systems.iter().filter(|name| project.system(name).is_some()).map(|name| format!("s{}", node(name)));
        let integrations = project.integrations.iter().enumerate();
        let integrations =
            integrations.filter(|(_, one)| marked.integrations.contains(&one.name)).map(|(at, _)| format!("i{at}"));
        let nodes: Vec<String> = systems.chain(integrations).collect();
        if !nodes.is_empty() {
            let _ = writeln!(text, "  class {} touched", nodes.join(","));
        }
        for line in &marked.beside {
            let _ = writeln!(text, "  %% {line}");
        }
    }
    text
}

/// Those that give more stand on the left; Dynamics, and those that take, on the right.
fn sides(project: &Project) -> (Vec<&str>, Vec<&str>) {
    let all: Vec<(&str, Way)> = project.integrations.iter().flat_map(ends).collect();
    project.systems.iter().map(|system| system.name.as_str()).partition(|name| {
        let gives = all.iter().filter(|(of, way)| of == name && *way != Way::Takes).count();
        let takes = all.iter().filter(|(of, way)| of == name && *way != Way::Gives).count();
        let is_dynamics = project.system(name).is_some_and(|system| system.kind.name == "dataverse");
        gives >= takes && gives > 0 && !is_dynamics
    })
}

const WIDTH: i32 = 1_080;
/// The box of a system, at least so high.
const BOX: (i32, i32) = (190, 52);
/// The hub: its left edge, its width, the height of its head and of one integration.
const HUB: (i32, i32) = (360, 360);
const HEAD: i32 = 44;
const ROW: i32 = 46;
const TOP: i32 = 20;
/// What a tip needs beside another one, and a box beside another one.
const TIP: i32 = 15;
const GAP: i32 = 28;

/// As SVG, for a browser or a page. *Shape*: the same project gives the same text.
pub fn svg(project: &Project, marked: Option<&Marked>) -> String {
    let (left, right) = sides(project);
    let count = project.integrations.len() as i32;
    let beside = marked.map_or(0, |marked| marked.beside.len() as i32);
    let top = if marked.is_some() { TOP + 34 } else { TOP };
    // A box is as high as the lines at it need to keep apart.
    let high = |name: &str| {
        let all = project.integrations.iter().flat_map(ends);
        BOX.1.max(TIP * (all.filter(|(of, _)| *of == name).count() as i32 + 1))
    };
    let column = |names: &[&str]| names.iter().map(|name| high(name)).sum::<i32>() + GAP * names.len() as i32;
    let inner = (HEAD + ROW * count.max(1)).max(column(&left)).max(column(&right));
    let legend = legend(project);
    let height =
        top + inner + 20 + if legend.is_empty() { 0 } else { 24 } + if beside > 0 { 24 + 20 * beside } else { 0 };
    let place = |name: &str| {
        let (names, x) = if left.contains(&name) { (&left, 20) } else { (&right, WIDTH - 20 - BOX.0) };
        // What is left over is shared out above, between and below.
        let free = inner - names.iter().map(|name| high(name)).sum::<i32>();
        let at = names.iter().position(|known| *known == name).unwrap_or_default();
        let above: i32 = names[..at].iter().map(|name| high(name)).sum();
        (x, top + above + free * (2 * at as i32 + 1) / (2 * names.len().max(1) as i32))
    };
    let row = |at: usize| top + HEAD + ROW * at as i32 + (ROW - 8) / 2;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"Segoe UI, Helvetica, Arial, sans-serif\" font-size=\"13\">\n\
         <title>{}</title>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto-start-reverse\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"context-stroke\"/></marker></defs>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n",
        escaped(&project.hub.name)
    );
    if let Some(marked) = marked {
        let _ = writeln!(
            text,
            "<text x=\"20\" y=\"32\" font-size=\"17\" font-weight=\"600\">{}</text>",
            escaped(&cut(&marked.title, 110))
        );
    }
    let _ = writeln!(
        text,
        "<rect class=\"hub\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"10\" fill=\"#f4f7fb\" stroke=\"#234\" stroke-width=\"2\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"17\" font-weight=\"600\">{}</text>",
        HUB.0,
        HUB.1,
        HEAD + ROW * count.max(1),
        HUB.0 + HUB.1 / 2,
        top + 28,
        escaped(&project.hub.name)
    );
    for (at, integration) in project.integrations.iter().enumerate() {
        let strong = Marked::has_integration(marked, &integration.name);
        for (system, way) in ends(integration) {
            let (x, y) = place(system);
            let is_left = x < WIDTH / 2;
            let (start, end) = if is_left { (x + BOX.0, HUB.0 + 10) } else { (x, HUB.0 + HUB.1 - 10) };
            // Several lines at one box keep apart.
            let mut own: Vec<(usize, i32)> = Vec::new();
            for (other, one) in project.integrations.iter().enumerate() {
                own.extend(ends(one).iter().filter(|(name, _)| *name == system).map(|_| (other, row(other))));
            }
            let place_of = own.iter().position(|(other, _)| *other == at).unwrap_or_default() as i32;
            let from = y + high(system) * (place_of + 1) / (own.len() as i32 + 1);
            let to = row(at);
            let middle = (start + end) / 2;
            let tips = match way {
                Way::Gives => " marker-end=\"url(#tip)\"",
                Way::Takes => " marker-start=\"url(#tip)\"",
                Way::Both => " marker-start=\"url(#tip)\" marker-end=\"url(#tip)\"",
            };
            let dash =
                if matches!(integration.pattern, Pattern::Virtual(_)) { " stroke-dasharray=\"6 4\"" } else { "" };
            let faint = if strong { "" } else { " opacity=\"0.18\"" };
            let _ = writeln!(
                text,
                "<path d=\"M{start},{from} C{middle},{from} {middle},{to} {end},{to}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{tips}{dash}{faint}/>",
                colour(integration)
            );
        }
    }
    for (at, integration) in project.integrations.iter().enumerate() {
        let y = top + HEAD + ROW * at as i32;
        let strong = Marked::has_integration(marked, &integration.name);
        let (fill, faint) = match (marked, strong) {
            (Some(_), true) => ("#fde7c3", ""),
            (_, true) => ("#fff", ""),
            (_, false) => ("#fff", " opacity=\"0.35\""),
        };
        let _ = writeln!(
            text,
            "<g{faint}><title>{}</title><rect class=\"integration\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{fill}\" stroke=\"{colour}\"/>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"600\">{}</text>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\" fill=\"{colour}\">{}: {}</text></g>",
            escaped(&integration.name),
            HUB.0 + 10,
            HUB.1 - 20,
            ROW - 8,
            y + 16,
            escaped(&cut(&integration.name, 38)),
            y + 31,
            integration.pattern.word(),
            escaped(&cut(&integration.entities().join(", "), 48)),
            cx = HUB.0 + HUB.1 / 2,
            colour = colour(integration),
        );
    }
    for system in &project.systems {
        let (x, y) = place(&system.name);
        let middle = y + high(&system.name) / 2;
        let strong = Marked::has_system(marked, &system.name);
        let (fill, faint) = match (marked, strong) {
            (Some(_), true) => ("#fde7c3", ""),
            (_, true) => ("#e8eef6", ""),
            (_, false) => ("#e8eef6", " opacity=\"0.35\""),
        };
        let _ = writeln!(
            text,
            "<g{faint}><title>{}</title><rect class=\"system\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{fill}\" stroke=\"#345\"/>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"600\">{}</text>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#567\">{}</text></g>",
            escaped(&system.name),
            BOX.0,
            high(&system.name),
            middle - 4,
            escaped(&cut(&system.name, 20)),
            middle + 13,
            escaped(system.kind.name),
            cx = x + BOX.0 / 2,
        );
    }
    let mut y = top + inner + 34;
    if !legend.is_empty() {
        let x = HUB.0 + HUB.1 / 2;
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#567\">{legend}</text>"
        );
        y += 24;
    }
    for line in marked.iter().flat_map(|marked| &marked.beside) {
        let _ = writeln!(text, "<text x=\"20\" y=\"{y}\" fill=\"#345\">{}</text>", escaped(&cut(line, 150)));
        y += 20;
    }
    text.push_str("</svg>\n");
    text
}

/// What the lines mean, where there are others than plain ones.
fn legend(project: &Project) -> String {
    let live = project.integrations.iter().any(|one| matches!(one.pattern, Pattern::Virtual(_)));
    let both = project.integrations.iter().flat_map(ends).any(|(_, way)| way == Way::Both);
    let parts = [(live, "dashed: asked live, nothing is stored"), (both, "two tips: both ways")];
    parts.into_iter().filter(|(is, _)| *is).map(|(_, words)| words).collect::<Vec<_>>().join("; ")
}

fn colour(integration: &Integration) -> &'static str {
    match integration.pattern {
        Pattern::Batch(_) => "#24527a",
        Pattern::Event(_) => "#8a3d1a",
        Pattern::Virtual(_) => "#3f6b35",
        Pattern::Flow(_) => "#6a3b7d",
    }
}

/// At most so many characters; what is left out of a longer text is its middle, since names often differ at their ends.
fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end = most / 3;
    text.chars().take(most - end - 1).chain(['…']).chain(text.chars().skip(count - end)).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
