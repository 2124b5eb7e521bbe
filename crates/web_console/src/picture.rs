//! The hub in the middle, its systems around it, and how each gets on with it.

use std::collections::BTreeMap;

use definition::{Direction, Pattern, Project};
use maud::{Markup, html};

use crate::facts::{Facts, Level};
use crate::words::{counted, cut, escaped};

/// More systems than this are told in a line.
const SYSTEMS_MAX: usize = 24;

/// One system, as the picture shows it.
struct Node<'p> {
    name: &'p str,
    kind: &'static str,
    level: Level,
    gives: u64,
    takes: u64,
    integrations: u64,
}

/// Sizes of one of the two shapes of the picture.
struct Shape {
    class: &'static str,
    width: f32,
    /// Of a box, and the room that each has.
    size: (f32, f32),
    room: f32,
    height_min: f32,
    /// How far the boxes in the middle of a side stand out.
    bend: f32,
    hub: (f32, f32),
    chars: usize,
}

const WIDE: Shape = Shape {
    class: "wide",
    width: 960.0,
    size: (190.0, 52.0),
    room: 70.0,
    height_min: 260.0,
    bend: 110.0,
    hub: (150.0, 84.0),
    chars: 22,
};
const NARROW: Shape = Shape {
    class: "narrow",
    width: 360.0,
    size: (118.0, 52.0),
    room: 66.0,
    height_min: 200.0,
    bend: 0.0,
    hub: (64.0, 72.0),
    chars: 14,
};

/// The picture, once for wide and once for narrow screens; a style sheet shows one of them.
pub fn picture(project: &Project, facts: &Facts) -> Markup {
    let mut nodes = nodes(project, facts);
    let more = nodes.len().saturating_sub(SYSTEMS_MAX);
    nodes.sort_by_key(|node| node.level);
    nodes.truncate(SYSTEMS_MAX);
    nodes.sort_by_key(|node| node.name);
    let (left, right) = sides(nodes);
    html! {
        div.picture {
            (drawn(&WIDE, &project.hub.name, &left, &right))
            (drawn(&NARROW, &project.hub.name, &left, &right))
            @if more > 0 { p { a href="/systems" { "and " (counted(more as u64, "more system", "more systems")) } } }
        }
    }
}

fn nodes<'p>(project: &'p Project, facts: &Facts) -> Vec<Node<'p>> {
    let mut nodes: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for system in &project.systems {
        let (kind, level) = (system.kind.name, Level::Quiet);
        nodes.insert(&system.name, Node { name: &system.name, kind, level, gives: 0, takes: 0, integrations: 0 });
    }
    for (integration, standing) in project.integrations.iter().zip(&facts.standings) {
        let (from, to): (Vec<&str>, Vec<&str>) = match &integration.pattern {
            Pattern::Batch(batch) => match &batch.direction {
                Direction::OneWay { from, to } => (vec![from], vec![to]),
                Direction::TwoWay { between, .. } => {
                    let both: Vec<&str> = between.iter().map(String::as_str).collect();
                    (both.clone(), both)
                }
            },
            Pattern::Event(event) => (vec![&event.from], event.to.iter().map(String::as_str).collect()),
            Pattern::Virtual(shown) => (vec![&shown.from], vec![&shown.to]),
            Pattern::Flow(_) => (integration.systems(), Vec::new()),
        };
        for name in integration.systems() {
            let Some(node) = nodes.get_mut(name) else { continue };
            node.integrations += 1;
            node.gives += u64::from(from.contains(&name));
            node.takes += u64::from(to.contains(&name));
            // What is down is known by name; other trouble is shown where the rows come from.
            let level = match &standing.outage {
                Some(outage) if outage.at == name => Level::Bad,
                Some(_) => Level::Good,
                None if standing.level == Level::Bad && !from.contains(&name) => Level::Good,
                None if matches!(standing.level, Level::Warn | Level::Paused) => Level::Good,
                // An instance that cannot go on says itself which system refused it.
                None if matches!(integration.pattern, Pattern::Flow(_)) => Level::Good,
                None => standing.level,
            };
            node.level = node.level.min(level);
        }
    }
    for look in &facts.silent {
        if let Some(node) = nodes.get_mut(&*look.system) {
            node.level = Level::Bad;
        }
    }
    nodes.into_values().collect()
}

/// Those that mostly give on the left, those that mostly take on the right, about as many on each side.
fn sides(nodes: Vec<Node<'_>>) -> (Vec<Node<'_>>, Vec<Node<'_>>) {
    let mut nodes = nodes;
    nodes.sort_by_key(|node| node.takes as i64 - node.gives as i64);
    let half = nodes.len().div_ceil(2);
    let right = nodes.split_off(half);
    (nodes, right)
}

fn drawn(shape: &Shape, hub: &str, left: &[Node<'_>], right: &[Node<'_>]) -> Markup {
    let rows = left.len().max(right.len()) as f32;
    let height = (rows * shape.room + 20.0).max(shape.height_min);
    let (cx, cy) = (shape.width / 2.0, height / 2.0);
    let title = format!("{hub} and its systems");
    html! {
        svg class=(shape.class) viewBox={ "0 0 " (shape.width) " " (height) } role="group" aria-label=(title) {
            @for (nodes, is_left) in [(left, true), (right, false)] {
                @for (at, node) in nodes.iter().enumerate() {
                    (node_drawn(shape, node, place(shape, height, nodes.len(), at, is_left), (cx, cy), is_left))
                }
            }
            g.hub {
                rect x=(cx - shape.hub.0 / 2.0) y=(cy - shape.hub.1 / 2.0) width=(shape.hub.0) height=(shape.hub.1) rx="8" {}
                text x=(cx) y=(cy - 4.0) text-anchor="middle" { (cut(hub, if shape.bend > 0.0 { 18 } else { 8 })) }
                text.small x=(cx) y=(cy + 14.0) text-anchor="middle" { "hub" }
            }
        }
    }
}

/// The corner of the box with this number on its side.
fn place(shape: &Shape, height: f32, of: usize, at: usize, is_left: bool) -> (f32, f32) {
    let y = height * (at as f32 + 0.5) / of as f32;
    // Around the hub, not in a row: boxes near the middle stand further out.
    let off = (y - height / 2.0) / (height / 2.0);
    let bend = shape.bend * (1.0 - (1.0 - off * off).max(0.0).sqrt());
    let x = if is_left { bend + 1.0 } else { shape.width - shape.size.0 - bend - 1.0 };
    (x, y - shape.size.1 / 2.0)
}

fn node_drawn(shape: &Shape, node: &Node<'_>, (x, y): (f32, f32), (cx, cy): (f32, f32), is_left: bool) -> Markup {
    let (width, height) = shape.size;
    let from = (if is_left { x + width } else { x }, y + height / 2.0);
    let half = shape.hub.0 / 2.0;
    // Towards the edge of the hub, spread over its height.
    let reach = ((from.1 - cy) * 0.25).clamp(-shape.hub.1 / 2.0 + 8.0, shape.hub.1 / 2.0 - 8.0);
    let to = (if is_left { cx - half } else { cx + half }, cy + reach);
    let state = if node.integrations == 0 { "used by nothing" } else { node.level.words() };
    let (name, kind) =
        (cut(node.name, shape.chars - 2), cut(&format!("{} · {}", node.kind, node.integrations), shape.chars + 2));
    // Heard after what is seen, and not drawn.
    let said = format!(": {state}, {}", counted(node.integrations, "integration", "integrations"));
    html! {
        g.link.(node.level.class()) {
            path d={ "M" (from.0) " " (from.1) "L" (to.0) " " (to.1) } {}
            @if node.gives > 0 { (arrow(from, to, 0.62)) }
            @if node.takes > 0 { (arrow(to, from, 0.62)) }
        }
        a.node.(node.level.class()) href={ "/systems/" (escaped(node.name)) } {
            rect x=(x) y=(y) width=(width) height=(height) rx="6" {}
            rect.edge x=(x) y=(y) width="5" height=(height) rx="2" {}
            text x=(x + 14.0) y=(y + 22.0) { (name) }
            text.small x=(x + 14.0) y=(y + 40.0) { (kind) }
            text.said x=(x + 14.0) y=(y + 48.0) { (said) }
        }
    }
}

/// The head of an arrow that lies on a line, so far along it.
fn arrow(from: (f32, f32), to: (f32, f32), along: f32) -> Markup {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let (x, y) = (from.0 + dx * along, from.1 + dy * along);
    let point =
        |ahead: f32, aside: f32| format!("{:.1} {:.1}", x + ux * ahead - uy * aside, y + uy * ahead + ux * aside);
    html! { path.head d={ "M" (point(5.0, 0.0)) "L" (point(-5.0, 5.0)) "L" (point(-5.0, -5.0)) "Z" } {} }
}
