//! `POST /webhooks/<integration>`: an event is kept first, and answered then.
//!
//! The body goes into the topic of the integration byte for byte. Whatever the event means is found out later, from the
//! queue (`hub::events`): a sender that waits for us gives up soon, and Dataverse sends again only after 502, 503 or
//! 504, and then once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use definition::{Pattern, Project, Signed};
use hub::events::Ordered;
use hub::flows::Calls;
use record::Secret;
use serde_json::{Value, json};
use store::Store;
use store::queue::{ID_BYTES_MAX, Message, Op};
use subtle::ConstantTimeEq;

use super::signatures;
use crate::failure::Failure;
use crate::wiring;

/// The most that one event may hold. Dataverse shortens its own at 256 KB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A sender that needs longer for its body holds a connection that others want.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the events of one integration come in.
struct Intake {
    topic: String,
    entity: String,
    /// The columns of the entity's key in the source, where they are read as they are.
    key: Vec<String>,
    ordered_by: Ordered,
    header: String,
    keys: Vec<Secret>,
    signed: Option<Signed>,
    /// What a call has to say, where one may start a flow.
    called: Option<Calls>,
}

struct Webhooks {
    store: Store,
    intakes: HashMap<String, Intake>,
}

/// A body as the message that it would be if its source had posted it; nothing for what would be refused.
pub fn message(project: &Project, integration: &str, body: Vec<u8>) -> Option<Message> {
    let intake = Intake::of(project, project.integration(integration)?)?;
    let json = serde_json::from_slice::<Value>(&body).ok()?;
    Some(intake.message(integration.to_owned(), &HeaderMap::new(), &json, body.into()))
}

/// One way in for each event integration and each flow whose source has `webhooks:`.
pub async fn routes(project: &Project, store: &Store) -> Result<Router, Failure> {
    hub::events::prepare(project, store).await?;
    let mut intakes = HashMap::new();
    for integration in &project.integrations {
        let source = match &integration.pattern {
            Pattern::Event(event) => &event.from,
            Pattern::Flow(flow) => &flow.in_,
            _ => continue,
        };
        let source = project.system(source).expect("a checked project names systems that exist");
        let (Some(webhooks), Some(mut intake)) = (&source.webhooks, Intake::of(project, integration)) else { continue };
        if matches!(integration.pattern, Pattern::Flow(_)) {
            store.commit(vec![hub::flows::prepare(&integration.name)]).await?;
        }
        intake.keys = wiring::webhook_keys(project, source)?;
        intake.header.clone_from(&webhooks.header);
        intake.signed = webhooks.signed;
        intakes.insert(integration.name.clone(), intake);
    }
    let state = Arc::new(Webhooks { store: store.clone(), intakes });
    Ok(Router::new()
        .route("/webhooks/{integration}", post(receive))
        // By the name that the console has for the same place: what is shown there is asked for by another method.
        .route("/flows/{instance}", post(call))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state))
}

async fn receive(
    State(webhooks): State<Arc<Webhooks>>,
    Path(integration): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    // Without a good key nobody learns which integrations there are.
    let no_one = || {
        refusal(
            StatusCode::UNAUTHORIZED,
            "no webhook of this name takes this key or signature; a signature holds for five minutes",
        )
    };
    let known = webhooks.intakes.get(&integration);
    let Some(intake) = known.filter(|intake| intake.signed.is_some() || intake.admits(&headers, &query)) else {
        return no_one();
    };
    let body = match tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return refusal(rejection.status(), &rejection.body_text()),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 30 seconds"),
    };
    let now = jiff::Timestamp::now().as_second();
    if let Some(signed) = intake.signed
        && !signatures::is_good(signed, &intake.header, &intake.keys, &headers, &body, now)
    {
        return no_one();
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let message = intake.message(integration, &headers, &event, body);
    let send = Op::Send { queue: intake.topic.clone(), messages: vec![message.into()] };
    match webhooks.store.commit_one(send).await {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(error) => {
            let code = error.code().map_or_else(String::new, |code| code.to_string());
            tracing::error!(
                code,
                "an event of `{}` could not be kept, and its sender was told so: {error}",
                intake.topic
            );
            // Dataverse sends again after a 503.
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the event could not be kept; send it again")
        }
    }
}

/// A call that starts a flow: kept first, and answered then. The body says the key of the record, field by field,
/// and what the form has.
async fn call(
    State(webhooks): State<Arc<Webhooks>>,
    Path(flow): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let known = webhooks.intakes.get(&flow).filter(|intake| intake.admits(&headers, &query));
    let Some((intake, calls)) = known.and_then(|intake| Some((intake, intake.called.as_ref()?))) else {
        return refusal(StatusCode::UNAUTHORIZED, "no flow of this name takes this key");
    };
    if let Err(why) = calls.read(&body) {
        return refusal(StatusCode::BAD_REQUEST, &why);
    }
    let id = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if id.len() > ID_BYTES_MAX {
        return refusal(StatusCode::BAD_REQUEST, "the idempotency-key is too long");
    }
    let id = if id.is_empty() { uuid::Uuid::now_v7().to_string() } else { id.to_owned() };
    let message = Message {
        id: id.clone(),
        integration: Some(flow),
        entity: Some(intake.entity.clone()),
        op: Some(hub::flows::CALLED.to_owned()),
        session: Some(intake.entity.clone()),
        body: body.into(),
        ..Message::default()
    };
    let send = Op::Send { queue: intake.topic.clone(), messages: vec![message.into()] };
    match webhooks.store.commit_one(send).await {
        Ok(_) => (StatusCode::ACCEPTED, Json(json!({ "accepted": id }))).into_response(),
        Err(error) => {
            tracing::error!("a call of `{}` could not be kept: {error}", intake.topic);
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the call could not be kept; send it again")
        }
    }
}

fn refusal(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}

impl Intake {
    /// What takes the events of an integration; nothing where no event starts it.
    fn of(project: &Project, integration: &definition::Integration) -> Option<Intake> {
        let (from, entity, topic) = match &integration.pattern {
            Pattern::Event(event) => (&event.from, &event.entity, hub::events::topic(&integration.name)),
            Pattern::Flow(flow) => (&flow.in_, &flow.entity, hub::flows::queue(&integration.name)),
            _ => return None,
        };
        let source = project.system(from).expect("a checked project names systems that exist");
        let both = source.entity(entity).zip(project.entity(entity));
        let key = both.and_then(|(held, entity)| held.key_columns(entity));
        // Events of Dataverse only name their row.
        let signals = source.kind.name == "dataverse";
        let ordered_by = match (&integration.pattern, both) {
            (Pattern::Event(event), Some((held, entity))) => Ordered::of(event, entity, held, signals),
            _ => Ordered::ByRow,
        };
        Some(Intake {
            topic,
            entity: entity.clone(),
            key: key.unwrap_or_default(),
            ordered_by,
            header: String::new(),
            keys: Vec::new(),
            signed: None,
            called: match &integration.pattern {
                Pattern::Flow(flow) => Calls::of(project, flow),
                _ => None,
            },
        })
    }

    /// Whether one of the keys was sent: in the header, as `?code=`, or in the query under the header's name.
    fn admits(&self, headers: &HeaderMap, query: &[(String, String)]) -> bool {
        let header = headers.get(&self.header).map(|value| value.as_bytes());
        let queried = query.iter().filter(|(name, _)| name == "code" || name.eq_ignore_ascii_case(&self.header));
        let offered = header.into_iter().chain(queried.map(|(_, value)| value.as_bytes()));
        // Every key is compared, whole, so that the time says nothing about which one was nearly right.
        offered.fold(false, |good, offer| {
            self.keys.iter().fold(good, |good, key| good | bool::from(key.reveal().as_bytes().ct_eq(offer)))
        })
    }

    fn message(&self, integration: String, headers: &HeaderMap, event: &Value, body: Bytes) -> Message {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_cloud_event = event["specversion"].is_string();
        // What names an event, and not the row that it is about. A CloudEvent says it in the body, or in its headers.
        let of_cloud = match (is_cloud_event, headers.contains_key("ce-specversion")) {
            (true, _) => text("source").zip(text("id")),
            (false, true) => header("ce-source").zip(header("ce-id")),
            (false, false) => None,
        };
        let id = match of_cloud {
            Some((source, id)) => Some(format!("{source}|{id}")),
            None => text("OperationId").filter(|_| !is_cloud_event),
        };
        let id = id.or_else(|| match self.signed {
            Some(Signed::GitHub) => header("x-github-delivery"),
            Some(Signed::Stripe) => text("id"),
            _ => None,
        });
        let id = id.or_else(|| header("idempotency-key")).or_else(|| header("webhook-id"));
        let table_and_id = text("PrimaryEntityName").zip(text("PrimaryEntityId"));
        let session = table_and_id.map(|(table, id)| format!("{table}|{id}"));
        let row = if is_cloud_event { &event["data"] } else { event };
        Message {
            id: id.filter(|id| id.len() <= ID_BYTES_MAX).unwrap_or_default(),
            integration: Some(integration),
            entity: Some(self.entity.clone()),
            // Events of one row keep their order; what names no row keeps the order of all.
            session: match &self.ordered_by {
                Ordered::ByRow => session.or_else(|| self.row_of(row, &self.key)),
                Ordered::By(column) => self.row_of(row, std::slice::from_ref(column)),
                Ordered::All => None,
            }
            .or_else(|| Some(self.entity.clone())),
            correlation: text("CorrelationId"),
            content_type: header("content-type"),
            body: body.into(),
            ..Message::default()
        }
    }

    /// The row that plain JSON is about, by the columns of its key; or what else keeps its order, by that column.
    fn row_of(&self, row: &Value, columns: &[String]) -> Option<String> {
        let value = |column: &String| {
            let found = row.get(column).or_else(|| column.split('.').try_fold(row, |at, name| at.get(name)))?;
            (found.is_string() || found.is_number()).then(|| found.to_string())
        };
        let values: Option<Vec<String>> = columns.iter().map(value).collect();
        let values = values.filter(|values| !values.is_empty())?;
        Some(format!("{}|{}", self.entity, values.join("|"))).filter(|session| session.len() <= ID_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_key_opens_by_each_way_and_nothing_else_does() {
        let keys = vec![Secret::new("old key"), Secret::new("new key")];
        let (topic, entity, header) = ("t".into(), "order".into(), "x-key".into());
        let intake = Intake {
            topic,
            entity,
            key: Vec::new(),
            ordered_by: Ordered::ByRow,
            header,
            keys,
            signed: None,
            called: None,
        };
        let check = |header: Option<&str>, query: &[(&str, &str)], admitted: bool| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("x-key", header.parse().unwrap());
            }
            let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(intake.admits(&headers, &pairs), admitted, "{header:?} {query:?}");
        };
        check(Some("old key"), &[], true);
        check(Some("new key"), &[], true);
        check(None, &[("code", "new key")], true);
        check(None, &[("X-Key", "old key")], true);
        check(None, &[], false);
        check(Some(""), &[("code", "")], false);
        check(Some("old"), &[("code", "new key ")], false);
        check(None, &[("other", "new key")], false);
    }

    #[test]
    fn the_events_of_one_row_share_a_session() {
        let (topic, entity, header) = ("t".into(), "order".into(), "x".into());
        let (key, keys) = (vec!["number".into()], Vec::new());
        let mut intake =
            Intake { topic, entity, key, ordered_by: Ordered::ByRow, header, keys, signed: None, called: None };
        let check = |intake: &Intake, event: Value, id: &str, session: &str| {
            let body = Bytes::from(event.to_string());
            let message = intake.message("orders".into(), &HeaderMap::new(), &event, body.clone());
            assert_eq!((message.id.as_str(), message.session.as_deref()), (id, Some(session)), "{event}");
            assert_eq!(message.body, body);
        };
        let context = json!({ "OperationId": "o-1", "PrimaryEntityName": "salesorder", "PrimaryEntityId": "7" });
        check(&intake, context, "o-1", "salesorder|7");
        // An `id` of plain JSON is the row's, and no reason to drop its next event.
        check(&intake, json!({ "id": "C-1", "number": "C-1" }), "", "order|\"C-1\"");
        let cloud = json!({ "id": "e-1", "source": "/shop", "specversion": "1.0", "data": { "number": 7 } });
        check(&intake, cloud, "/shop|e-1", "order|7");
        // The same one with its attributes in headers, and the row alone in the body.
        let mut headers = HeaderMap::new();
        for (name, value) in [("ce-specversion", "1.0"), ("ce-id", "e-1"), ("ce-source", "/shop")] {
            headers.insert(name, value.parse().unwrap());
        }
        let binary = intake.message("orders".into(), &headers, &json!({ "number": 7, "id": "C-1" }), Bytes::new());
        assert_eq!((binary.id.as_str(), binary.session.as_deref()), ("/shop|e-1", Some("order|7")));
        check(&intake, json!([1, 2]), "", "order");
        intake.ordered_by = Ordered::By("customer.no".into());
        check(&intake, json!({ "number": 7, "customer": { "no": "C-1" } }), "", "order|\"C-1\"");
        intake.ordered_by = Ordered::All;
        check(&intake, json!({ "number": 7 }), "", "order");
    }
}
