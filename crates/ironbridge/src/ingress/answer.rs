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
use hub::decide::NotDecided;
use hub::flows::links::{Link, Links};
use store::Store;
use store::approvals::{Approval, State as Stands};
use store::audit::Actor;

use crate::failure::Failure;
use crate::output::moment;

/// A sentence or two; the page says so too.
const COMMENT_MAX: usize = 2_000;

struct Answers {
    project: Arc<Project>,
    store: Store,
    links: Links,
}

pub async fn routes(project: &Arc<Project>, store: &Store) -> Result<Router, Failure> {
    let links = Links::of(store).await?;
    let answers = Arc::new(Answers { project: project.clone(), store: store.clone(), links });
    Ok(Router::new().route("/answer/{token}", get(open).post(decide)).with_state(answers))
}

/// What was sent from the page.
#[derive(serde::Deserialize)]
struct Sent {
    answer: String,
    #[serde(default)]
    comment: String,
}

async fn open(State(answers): State<Arc<Answers>>, Path(token): Path<String>) -> Response {
    match answers.asked(&token) {
        Ok((link, approval)) => page(StatusCode::OK, &approval.question, &answers.form(&link, &approval)),
        Err(refused) => *refused,
    }
}

async fn decide(State(answers): State<Arc<Answers>>, Path(token): Path<String>, Form(sent): Form<Sent>) -> Response {
    let (link, approval) = match answers.asked(&token) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let approve = match sent.answer.as_str() {
        "yes" => true,
        "no" => false,
        _ => return page(StatusCode::BAD_REQUEST, "Nothing was decided", "<p>Press one of the two buttons.</p>"),
    };
    let comment: String = sent.comment.trim().chars().take(COMMENT_MAX).collect();
    let comment = Some(comment.as_str()).filter(|comment| !comment.is_empty());
    let action = if approve { "approvals approve" } else { "approvals reject" };
    let detail = serde_json::json!({ "approval": approval.id.0, "digest": approval.digest });
    let did = Actor::new(link.person.clone(), "link").did(action, &*approval.integration);
    let did = did.because(comment).with(detail).op();
    let (project, store) = (&answers.project, &answers.store);
    let decided = hub::decide::decide(project, store, &approval, approve, &link.person, comment, vec![did]).await;
    let (status, title, text) = match decided {
        Ok(Ok(())) => {
            let word = if approve { "You said yes" } else { "You said no" };
            (StatusCode::OK, word.to_owned(), "It goes on by itself. You can close this page.".to_owned())
        }
        Ok(Err(why)) => (StatusCode::CONFLICT, "Nothing was decided".to_owned(), answers.because(why)),
        Err(error) => {
            tracing::error!("an answer by a link could not be kept: {error}");
            let text = "Your answer could not be kept. Try again in a minute.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "Nothing was decided".to_owned(), text)
        }
    };
    page(status, &title, &format!("<p>{}</p>", escaped(&text)))
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
            let text = match (&approval.decided_by, approval.decided) {
                (Some(by), Some(at)) => {
                    format!("It was already decided by {by} on {}.", moment(at, &self.project.hub.time_zone))
                }
                _ => "Nobody has to answer this any more.".to_owned(),
            };
            return Err(gone(StatusCode::GONE, &text));
        }
        if self.store.clock().now() >= link.until {
            return Err(gone(StatusCode::GONE, "The time to answer is over."));
        }
        Ok((link, approval))
    }

    fn form(&self, link: &Link, approval: &Approval) -> String {
        let details: serde_json::Value = serde_json::from_str(&approval.details).unwrap_or_default();
        let mut body = String::from("<dl>");
        for (field, value) in details["record"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
        {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(body, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(field), escaped(&value));
        }
        let until = moment(link.until, &self.project.hub.time_zone);
        let _ = write!(
            body,
            "</dl><form method=\"post\"><label for=\"comment\">Why (for whoever looks later)</label>\
             <textarea id=\"comment\" name=\"comment\" rows=\"3\" maxlength=\"{COMMENT_MAX}\"></textarea>\
             <div class=\"buttons\"><button name=\"answer\" value=\"yes\" class=\"yes\">Yes</button>\
             <button name=\"answer\" value=\"no\">No</button></div></form>\
             <p class=\"small\">You answer as {}, until {}. Nothing is decided before you press a button.</p>",
            escaped(&link.person),
            escaped(&until)
        );
        body
    }

    fn because(&self, why: NotDecided) -> String {
        match why {
            NotDecided::NotAsked { asked } => format!("This is for {}.", asked.join(", ")),
            NotDecided::NotYet { first } => format!("They answer in order, and it is the turn of {first}."),
            NotDecided::NoComment => "This answer has to say why. Go back and write a sentence.".to_owned(),
            NotDecided::Expired { .. } => "The time to answer is over.".to_owned(),
            NotDecided::Closed { by: Some(by), at: Some(at), .. } => {
                format!("It was already decided by {by} on {}.", moment(at, &self.project.hub.time_zone))
            }
            NotDecided::Closed { .. } => "Nobody has to answer this any more.".to_owned(),
        }
    }
}

const STYLE: &str = "body{font:18px/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.2rem;color:#1b2733;background:#fff}\
h1{font-size:1.4rem}dl div{display:flex;gap:1rem;border-bottom:1px solid #dde3ea;padding:.35rem 0}dt{flex:0 0 40%;color:#51606f;overflow-wrap:anywhere}dd{margin:0;overflow-wrap:anywhere}\
label{display:block;margin-top:1rem}textarea{width:100%;box-sizing:border-box;font:inherit;padding:.5rem}\
.buttons{display:flex;gap:.8rem;margin:1rem 0}button{flex:1;font:inherit;padding:.9rem;border:1px solid #24527a;border-radius:.5rem;background:#fff;color:#24527a}\
button.yes{background:#24527a;color:#fff}.small{font-size:.9rem;color:#51606f}";

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
