//! `/answer/<token>`: the page that a link in a mail opens. Programs that look at mails open links too, so that opening
//! decides nothing: only what is sent from the page does, and whether this person may is asked again then.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use definition::Project;
use hub::Systems;
use hub::decide::{Answer, NotDecided};
use hub::flows::decider;
use hub::flows::form::{Wrong, clock, spoken_in};
use hub::flows::links::{Link, Links};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::Store;
use store::approvals::{Approval, State as Stands};
use store::audit::Actor;

use crate::form;

/// A sentence or two; the page says so too.
const COMMENT_MAX: usize = 2_000;

/// What somebody reads who comes too late.
const DECIDED: &str = "Already decided";

struct Answers {
    project: Arc<Project>,
    store: Store,
    systems: Arc<dyn Systems + Send + Sync>,
    links: Links,
}

/// The page, for everybody who has a link; it has no part in the console's signing in.
///
/// *Errors*: of our own state.
pub async fn answers(
    project: &Arc<Project>,
    store: &Store,
    systems: Arc<dyn Systems + Send + Sync>,
) -> Result<Router, store::Error> {
    let links = Links::of(store).await?;
    let answers = Arc::new(Answers { project: project.clone(), store: store.clone(), systems, links });
    Ok(Router::new().route("/answer/{token}", get(open).post(decide)).with_state(answers))
}

/// What was sent from the page: the answer, the comment, and the fields of a form.
type Sent = Vec<(String, String)>;

fn of<'s>(sent: &'s Sent, name: &str) -> &'s str {
    sent.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
}

async fn open(State(answers): State<Arc<Answers>>, Path(token): Path<String>) -> Response {
    match answers.asked(&token) {
        Ok((link, approval)) => {
            page(StatusCode::OK, &approval.question, &answers.form(&link, &approval, &Sent::new(), &[]))
        }
        Err(refused) => *refused,
    }
}

async fn decide(State(answers): State<Arc<Answers>>, Path(token): Path<String>, Form(sent): Form<Sent>) -> Response {
    let (link, approval) = match answers.asked(&token) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    if of(&sent, "asked") != approval.id.to_string() {
        let note = "<p class=\"wrong\" role=\"alert\">Nothing was decided: this is asked by now. Look at it again.</p>";
        let body = note.to_owned() + &answers.form(&link, &approval, &Sent::new(), &[]);
        return page(StatusCode::CONFLICT, &approval.question, &body);
    }
    let approve = match of(&sent, "answer") {
        "yes" => true,
        "no" => false,
        _ => return page(StatusCode::BAD_REQUEST, "Nothing was decided", "<p>Press one of the two buttons.</p>"),
    };
    let comment: String = of(&sent, "comment").trim().chars().take(COMMENT_MAX).collect();
    let comment = Some(comment.as_str()).filter(|comment| !comment.is_empty());
    let action = if approve { "approvals approve" } else { "approvals reject" };
    let detail = serde_json::json!({ "approval": approval.id.0, "digest": approval.digest });
    let did = Actor::new(link.person.clone(), "link").did(action, &*approval.integration);
    let did = did.because(comment).with(detail).op();
    let (project, store) = (&answers.project, &answers.store);
    let fields = form::given(&sent);
    // What belongs to the other answer is on the page as well, and does not count.
    let form = hub::flows::form_of(&approval);
    let goes = |name: &str| form.iter().all(|(field, _)| field.name != name || field.with.goes(Some(approve)));
    let fields: Sent = fields.into_iter().filter(|(name, _)| goes(name)).collect();
    let answer = Answer { by: &link.person, approve, comment, fields: &fields };
    let decided = hub::decide::decide(project, &*answers.systems, store, &approval, &answer, vec![did]).await;
    let (status, title, text) = match decided {
        Ok(Ok(())) => {
            let word = if approve { "You said yes" } else { "You said no" };
            (StatusCode::OK, word.to_owned(), "It goes on by itself. You can close this page.".to_owned())
        }
        Ok(Err(NotDecided::Form(wrong))) => {
            let body = answers.form(&link, &approval, &sent, &wrong);
            return page(StatusCode::UNPROCESSABLE_ENTITY, &approval.question, &body);
        }
        Ok(Err(why)) => {
            let title =
                if matches!(why, NotDecided::Closed { by: Some(_), .. }) { DECIDED } else { "Nothing was decided" };
            (StatusCode::CONFLICT, title.to_owned(), answers.because(&link, why))
        }
        Err(error) => {
            tracing::error!("an answer by a link could not be kept: {error}");
            let text = "Your answer could not be kept. Try again in a minute.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "Nothing was decided".to_owned(), text)
        }
    };
    page(status, &title, &format!("<p>{}</p><p>{}</p>", escaped(&approval.question), escaped(&text)))
}

impl Answers {
    /// The question of a link, while it stands. *Errors*: the page that says why there is none.
    fn asked(&self, token: &str) -> Result<(Link, Approval), Box<Response>> {
        let gone = |status, text: &str| {
            Box::new(page(status, "This link answers nothing", &format!("<p>{}</p>", escaped(text))))
        };
        let Some(link) = self.links.read(token) else {
            return Err(gone(StatusCode::NOT_FOUND, "It was not made here, or not copied whole."));
        };
        let approval = match link.question(&self.store) {
            Ok(Some(approval)) => approval,
            Ok(None) => return Err(gone(StatusCode::GONE, "The question is not kept any more.")),
            Err(error) => {
                tracing::error!("a link could not be looked up: {error}");
                return Err(gone(StatusCode::SERVICE_UNAVAILABLE, "Try again in a minute."));
            }
        };
        if approval.state != Stands::Open {
            let (Some(by), Some(at)) = (&approval.decided_by, approval.decided) else {
                return Err(gone(StatusCode::GONE, "Nobody has to answer this any more."));
            };
            let text = self.too_late(&link, by, at);
            let text = format!("<p>{}</p><p>{}</p>", escaped(&approval.question), escaped(&text));
            return Err(Box::new(page(StatusCode::GONE, DECIDED, &text)));
        }
        if self.store.clock().now() >= link.until {
            return Err(gone(StatusCode::GONE, "The time to answer is over."));
        }
        Ok((link, approval))
    }

    fn form(&self, link: &Link, approval: &Approval, sent: &Sent, wrong: &[Wrong]) -> String {
        let form = hub::flows::form_of(approval);
        let details: serde_json::Value = serde_json::from_str(&approval.details).unwrap_or_default();
        let zone = self.zone(link);
        let mut body = String::new();
        if !wrong.is_empty() {
            body.push_str("<p class=\"wrong\" role=\"alert\">Nothing was decided: something is not filled in yet.</p>");
            for wrong in form::others(&form, wrong) {
                let _ = write!(body, "<p class=\"wrong\">{}</p>", escaped(&wrong));
            }
        }
        body.push_str("<dl>");
        for (field, value) in details["record"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
        {
            let value = spoken_in(value, &zone);
            let _ = write!(body, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(field), escaped(&value));
        }
        let until = clock(link.until, &zone);
        let _ = write!(
            body,
            "</dl><form method=\"post\"><input type=\"hidden\" name=\"asked\" value=\"{}\">{}<label for=\"comment\">Why (for whoever looks later)</label>\
             <textarea id=\"comment\" name=\"comment\" rows=\"3\" maxlength=\"{COMMENT_MAX}\">{}</textarea>\
             <div class=\"buttons\"><button name=\"answer\" value=\"yes\" class=\"yes\">Yes</button>\
             <button name=\"answer\" value=\"no\">No</button></div></form>\
             <p class=\"small\">You answer as {}, until {}. Nothing is decided before you press a button.</p>",
            approval.id,
            form::fields(&form, &form::given(sent), wrong, None, &self.project.hub.time_zone).into_string(),
            escaped(of(sent, "comment")),
            escaped(&link.person),
            escaped(&until)
        );
        body
    }

    /// The clocks that whoever answers goes by.
    fn zone(&self, link: &Link) -> TimeZone {
        self.project.hours(&link.person).1
    }

    fn too_late(&self, link: &Link, by: &str, at: Timestamp) -> String {
        format!("It was already decided by {} on {}.", decider(by), clock(at, &self.zone(link)))
    }

    fn because(&self, link: &Link, why: NotDecided) -> String {
        match why {
            NotDecided::NotAsked { asked } if asked.is_empty() => "You are not asked any more.".to_owned(),
            NotDecided::NotAsked { asked } => format!("This is for {}.", asked.join(", ")),
            NotDecided::NotYet { first } => format!("They answer in order, and it is the turn of {first}."),
            NotDecided::Form(_) => "Something is not filled in yet. Go back and do so.".to_owned(),
            NotDecided::Unanswered(fault) => {
                tracing::warn!(code = %fault.code, "what was filled in with an answer cannot be looked up: {fault}");
                "What you filled in cannot be looked up now. Try again in a few minutes.".to_owned()
            }
            NotDecided::NoComment => "This answer has to say why. Go back and write a sentence.".to_owned(),
            NotDecided::Expired { .. } => "The time to answer is over.".to_owned(),
            NotDecided::Closed { by: Some(by), at: Some(at), .. } => self.too_late(link, &by, at),
            NotDecided::Closed { .. } => "Nobody has to answer this any more.".to_owned(),
        }
    }
}

/// Small, since it stands in the page; the colours of both themes are variables, as in the console's.
const STYLE: &str = ":root{color-scheme:light dark;--text:#1b2733;--back:#fff;--soft:#51606f;--line:#dde3ea;--edge:#8795a5;--accent:#24527a;--on:#fff;--bad:#b10e1c}\
@media (prefers-color-scheme:dark){:root{--text:#f3f2f1;--back:#1b1a19;--soft:#bebbb8;--line:#3b3a39;--edge:#8a8886;--accent:#62abf5;--on:#06192b;--bad:#ff9c9c}}\
body{font:18px/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.2rem;color:var(--text);background:var(--back)}\
h1{font-size:1.4rem}dl div{display:flex;gap:1rem;border-bottom:1px solid var(--line);padding:.35rem 0}dt{flex:0 0 40%;color:var(--soft);overflow-wrap:anywhere}dd{margin:0;overflow-wrap:anywhere}\
label{display:block;margin-top:1rem}textarea,input,select{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.6rem;margin-top:.2rem;border:1px solid var(--edge);border-radius:.3rem;background:var(--back);color:inherit}.wrong{display:block;color:var(--bad);font-weight:600}[aria-invalid]{border-color:var(--bad)}\
.buttons{display:flex;gap:.8rem;margin:1rem 0}button{flex:1;font:inherit;padding:.9rem;border:1px solid var(--accent);border-radius:.5rem;background:var(--back);color:var(--accent)}\
button.yes{background:var(--accent);color:var(--on)}.small{font-size:.9rem;color:var(--soft)}";

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, html).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
