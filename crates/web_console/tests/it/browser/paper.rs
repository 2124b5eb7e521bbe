//! On paper: everything that is to be read, and nothing that can only be clicked.

use serde_json::json;

use super::window::Window;
use super::{DESK, Looks, Walk};

/// What has no place on paper, as far as it is to be seen.
const CLICKED: &str =
    "[...document.querySelectorAll('header.bar, nav, .commands, .filters, .skip, button, input, select')]
    .filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 90))";

/// Texts that are not dark on white. A colour is `rgb(r, g, b)`.
const FAINT: &str = "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => { const c = getComputedStyle(e); const shade = c.color.match(/\\d+/g).slice(0, 3).map(Number);
        return Math.max(...shade) > 100 && !e.closest('svg'); }).map(e => e.outerHTML.slice(0, 90))";

/// Headings that may stand alone at the foot of a page.
const ALONE: &str = "[...document.querySelectorAll('h1, h2, h3, h4')].filter(e => e.checkVisibility() && getComputedStyle(e).breakAfter !== 'avoid').map(e => e.outerHTML)";

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_printed_to_be_read() {
    let Some(walk) = Walk::begin().await else { return };
    let group = format!("/dead-letters/groups/{}", walk.stage.rows);
    let letter = format!("/dead-letters/{}", walk.stage.row);
    let purpose = "Sales see a new finance customer within half an hour.";
    tokio::task::block_in_place(|| {
        let looks = Looks::begin();
        let window = Window::new(&walk.chromium, DESK);
        window.paper();
        for (name, path, said) in [
            (
                "runbook",
                "/integrations/customers/runbook",
                &[purpose, "ironbridge pause customers", "Dead letters wait"][..],
            ),
            ("runbook-event", "/integrations/orders/runbook", &["A destination takes nothing", "crm-team"]),
            ("group", &group, &["One group because", "ironbridge dead-letters"]),
            ("letter", &letter, &["terms_code", "=Trim(company_name)"]),
            ("audit", "/audit", &["ola"]),
            ("explain", "/explain/IB0412", &["Text."]),
        ] {
            window.open(&walk.at(path));
            for said in said {
                window.until(said);
            }
            for (what, expression) in [("can be clicked", CLICKED), ("is faint", FAINT), ("stands alone", ALONE)] {
                assert_eq!(window.read(expression), Some(json!([])), "{name}: it {what}");
            }
            let back = window.read("getComputedStyle(document.body).backgroundColor");
            assert_eq!(back, Some(json!("rgb(255, 255, 255)")), "{name}");
            let printed = window.print();
            assert!(printed.starts_with(b"%PDF-"), "{name}");
            let pages = pages(&printed);
            assert!((1..=12).contains(&pages), "{name}: {pages} pages");
            if let Some(folder) = &looks.shots {
                std::fs::write(folder.join(format!("{name}.pdf")), printed).unwrap();
            }
        }
        // A link that leads out of the hub says where.
        let shown = "(() => { const a = document.createElement('a'); a.href = 'https://contoso.example/'; document.querySelector('main').append(a);
            return getComputedStyle(a, '::after').content; })()";
        let shown = window.read(shown).unwrap_or_default();
        assert!(shown.as_str().is_some_and(|shown| shown.contains("href") || shown.contains("contoso")), "{shown}");
        looks.end("paper");
    });
}

/// How many pages a PDF has: Chromium writes each as an object of its own.
fn pages(pdf: &[u8]) -> usize {
    let text = String::from_utf8_lossy(pdf);
    text.matches("/Type /Page").count() - text.matches("/Type /Pages").count()
}
