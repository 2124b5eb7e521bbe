//! The hub as a picture: systems, and the integrations between them.

use std::fmt::Write;

use crate::model::{Direction, Integration, Pattern, Project};

/// One arrow. *Shape*: `both` for a two-way integration.
struct Arrow<'p> {
    from: &'p str,
    to: &'p str,
    both: bool,
    label: String,
    /// Live answers are drawn dashed.
    live: bool,
}

fn arrows(integration: &Integration) -> Vec<Arrow<'_>> {
    let label = format!("{} ({})", integration.name, integration.pattern.word());
    let arrow = |from, to, both, live| Arrow { from, to, both, label: label.clone(), live };
    match &integration.pattern {
        Pattern::Batch(batch) => match &batch.direction {
            Direction::OneWay { from, to } => vec![arrow(from, to, false, false)],
            Direction::TwoWay { between: [one, other], .. } => vec![arrow(one, other, true, false)],
        },
        Pattern::Event(event) => event.to.iter().map(|to| arrow(&event.from, to, false, false)).collect(),
        Pattern::Virtual(shown) => vec![arrow(&shown.from, &shown.to, false, true)],
        Pattern::Flow(flow) => {
            let systems = integration.systems();
            let others: Vec<_> = systems.into_iter().filter(|system| *system != flow.in_).collect();
            if others.is_empty() {
                return vec![arrow(&flow.in_, &flow.in_, false, false)];
            }
            others.into_iter().map(|to| arrow(&flow.in_, to, false, false)).collect()
        }
    }
}

/// As Mermaid, which GitHub and Azure DevOps draw. *Shape*: the same project gives the same text.
pub fn mermaid(project: &Project) -> String {
    let mut text = String::from("flowchart LR\n");
    for (at, system) in project.systems.iter().enumerate() {
        let _ = writeln!(text, "  s{at}[\"{}<br/>{}\"]", escaped(&system.name), system.kind.name);
    }
    let node = |name: &str| project.systems.iter().position(|system| system.name == name).unwrap_or_default();
    for arrow in project.integrations.iter().flat_map(arrows) {
        let line = match (arrow.both, arrow.live) {
            (true, _) => "<-->",
            (false, true) => "-.->",
            (false, false) => "-->",
        };
        let _ = writeln!(text, "  s{} {line}|\"{}\"| s{}", node(arrow.from), escaped(&arrow.label), node(arrow.to));
    }
    text
}

/// As SVG: systems in two columns, by whether they give or take more, one arrow for each integration.
pub fn svg(project: &Project) -> String {
    const BOX: (i32, i32) = (170, 48);
    const ROW: i32 = 34;
    let arrows: Vec<Arrow<'_>> = project.integrations.iter().flat_map(arrows).collect();
    let gives = |name: &str| {
        let out = arrows.iter().filter(|arrow| arrow.from == name).count();
        let into = arrows.iter().filter(|arrow| arrow.to == name && arrow.from != name).count();
        out >= into && project.system(name).is_none_or(|system| system.kind.name != "dataverse")
    };
    let (left, right): (Vec<&str>, Vec<&str>) =
        project.systems.iter().map(|system| system.name.as_str()).partition(|name| gives(name));
    // Between the columns each arrow has a row of its own, so that no two labels lie on each other.
    let height = 40 + ROW * arrows.len() as i32 + 80 * left.len().max(right.len()) as i32;
    let width = 1_000;
    let place = |name: &str| {
        let (column, x) = if left.contains(&name) { (&left, 20) } else { (&right, width - 20 - BOX.0) };
        let at = column.iter().position(|known| *known == name).unwrap_or_default() as i32;
        let step = height / (column.len().max(1) as i32);
        (x, step * at + step / 2 - BOX.1 / 2)
    };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>{}</title>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#345\"/></marker></defs>\n",
        escaped(&project.hub.name)
    );
    for (row, arrow) in arrows.iter().enumerate() {
        let ((x1, y1), (x2, y2)) = (place(arrow.from), place(arrow.to));
        let middle = 30 + ROW * row as i32 + (height - ROW * arrows.len() as i32) / 2;
        let side = |x: i32| if x < width / 2 { x + BOX.0 } else { x };
        let (start, end) = (side(x1), side(x2));
        let (y1, y2) = (y1 + BOX.1 / 2, y2 + BOX.1 / 2);
        let dash = if arrow.live { " stroke-dasharray=\"5 4\"" } else { "" };
        let back = if arrow.both { " marker-start=\"url(#tip)\"" } else { "" };
        let half = width / 2;
        let _ = writeln!(
            text,
            "<path d=\"M{start},{y1} Q{},{middle} {half},{middle} Q{},{middle} {end},{y2}\" fill=\"none\" stroke=\"#345\" \
             marker-end=\"url(#tip)\"{dash}{back}/>\n<text x=\"{half}\" y=\"{}\" text-anchor=\"middle\" paint-order=\"stroke\" \
             stroke=\"#fff\" stroke-width=\"5\">{}</text>",
            (start + half) / 2,
            (end + half) / 2,
            middle - 5,
            escaped(&arrow.label)
        );
    }
    for system in &project.systems {
        let (x, y) = place(&system.name);
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#eef3f8\" stroke=\"#345\"/>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{cx}\" y=\"{}\" text-anchor=\"middle\" fill=\"#567\">{}</text>",
            BOX.0,
            BOX.1,
            y + 20,
            escaped(&system.name),
            y + 37,
            escaped(system.kind.name),
            cx = x + BOX.0 / 2,
        );
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
