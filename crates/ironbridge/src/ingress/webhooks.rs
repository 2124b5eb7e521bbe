//! `POST /webhooks/<integration>`: an event is kept first, and answered then.
//!
//! The body goes into the topic of the integration byte for byte. Whatever the event means is found out later, from the
//! queue (`hub::events`): a sender that waits for us gives up soon, and Dataverse sends again only after 502, 503 or
//! 504, and then once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use definition::{Pattern, Project, Signed};
use hub::events::{MadeKey, Ordered, at, row_in};
use hub::flows::Calls;
use hub::unheard::REFUSED;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::Store;
use store::queue::{ID_BYTES_MAX, Message, Op};
use store::unheard;

use super::signatures;
use crate::failure::Failure;
use crate::keys::Keys;

/// The most that one event may hold. Dataverse shortens its own at 256 KB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The most events of one list: they are kept together, and others wait meanwhile.
const EVENTS_MAX: usize = 1_000;
/// A sender that needs longer for its body holds a connection that others want.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

const NOT_JSON: &str = "the body is not JSON in UTF-8";

/// Where the events of one integration come in.
struct Intake {
    topic: String,
    entity: String,
    /// The columns of the entity's key in the source, where they are read as they are.
    key: Vec<String>,
    /// What makes it otherwise.
    made_key: Option<MadeKey>,
    /// Events are contexts of Dataverse, which name their row.
    contexts: bool,
    ordered_by: Ordered,
    header: String,
    keys: Keys,
    signed: Option<Signed>,
    /// What a call has to say, where one may start a flow.
    called: Option<Calls>,
    /// The second in which the log was last told of a call with a wrong key, and our state.
    told: AtomicI64,
    noted: AtomicI64,
    /// Calls with a wrong key since the last good one that our state does not know of.
    refused: AtomicU64,
    /// The second in which a good one last looked whether none is said to come.
    looked: AtomicI64,
}

/// How many seconds the log and our state hear no more of calls with a wrong key.
const TOLD_AGAIN: i64 = 60;

/// Whether so many seconds have passed; if so, they begin anew.
fn is_time(last: &AtomicI64, seconds: i64) -> bool {
    let (now, then) = (jiff::Timestamp::now().as_second(), last.load(Ordering::Relaxed));
    (now - then).abs() >= seconds && last.compare_exchange(then, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

struct Webhooks {
    store: Store,
    intakes: HashMap<String, Intake>,
}

/// What sends a body as if its source had posted it; nothing for an integration that takes no events.
///
/// *Errors*: what its sender would have to send instead.
pub fn send(project: &Project, integration: &str, body: Vec<u8>) -> Option<Result<Op, &'static str>> {
    let intake = Intake::of(project, project.integration(integration)?)?;
    let messages = intake.messages(integration, &HeaderMap::new(), body.into());
    Some(messages.map(|messages| intake.send(messages)))
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
        intake.keys = Keys::of_webhooks(project, source)?;
        intake.header.clone_from(&webhooks.header);
        intake.signed = webhooks.signed;
        intakes.insert(integration.name.clone(), intake);
    }
    let state = Arc::new(Webhooks { store: store.clone(), intakes });
    Ok(Router::new()
        .route("/webhooks/{integration}", post(receive).options(may_send))
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
    let known = webhooks.intakes.get(&integration);
    let Some(intake) = known else { return no_one() };
    if intake.signed.is_none() && !intake.admits(&headers, &query) {
        return intake.refuse(&webhooks.store, &integration).await;
    }
    if let Some(coding) =
        headers.get("content-encoding").filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        return refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &format!("the body is packed by `{coding}`; send it as it is"),
        );
    }
    let body = match tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return refusal(rejection.status(), &rejection.body_text()),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 30 seconds"),
    };
    let now = jiff::Timestamp::now().as_second();
    if let Some(signed) = intake.signed
        && !signatures::is_good(signed, &intake.header, &intake.keys.now(), &headers, &body, now)
    {
        return intake.refuse(&webhooks.store, &integration).await;
    }
    let messages = match intake.messages(&integration, &headers, body) {
        Ok(messages) => messages,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, why),
    };
    match webhooks.store.commit_one(intake.send(messages)).await {
        Ok(_) => {
            intake.heard(&webhooks.store, &integration).await;
            StatusCode::ACCEPTED.into_response()
        }
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

/// What a sender of CloudEvents asks before its first event, as Event Grid does: whether it may send here, and how fast.
///
/// *Source*: HTTP 1.1 Web Hooks for Event Delivery of CloudEvents, section 4.
async fn may_send(
    State(webhooks): State<Arc<Webhooks>>,
    Path(integration): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let known = webhooks.intakes.get(&integration);
    // Nobody signs this question.
    if known.is_none_or(|intake| intake.signed.is_some() || !intake.admits(&headers, &query)) {
        return no_one();
    }
    match headers.get("webhook-request-origin") {
        Some(origin) => {
            let rate = HeaderValue::from_static("*");
            [("webhook-allowed-origin", origin.clone()), ("webhook-allowed-rate", rate)].into_response()
        }
        None => refusal(StatusCode::BAD_REQUEST, "who asks to send says so in the header `WebHook-Request-Origin`"),
    }
}

/// Without a good key nobody learns which integrations there are.
fn no_one() -> Response {
    refusal(
        StatusCode::UNAUTHORIZED,
        "no webhook of this name takes this key or signature; a signature holds for five minutes",
    )
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
    match webhooks.store.commit_one(intake.send(vec![message])).await {
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

/// The value of a header of a CloudEvent. *Source*: HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1.3.2.
fn unescaped(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    odata::decode(&text, false).unwrap_or_else(|_| text.into_owned())
}

impl Intake {
    /// Answers a call with a wrong key. The log and our state hear of it once in a while, however often it comes: somebody
    /// may have changed the key on one side.
    async fn refuse(&self, store: &Store, integration: &str) -> Response {
        if is_time(&self.told, TOLD_AGAIN) {
            tracing::warn!(
                integration,
                "a webhook of {integration} was refused: its key or signature is none of ours; compare the key of its sender with `webhooks:` in the system's file"
            );
        }
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused >= REFUSED && is_time(&self.noted, TOLD_AGAIN) {
            let (integration, calls) = (integration.to_owned(), self.refused.swap(0, Ordering::Relaxed));
            if let Err(error) = store.commit_one(unheard::Op::Refused { integration, calls }).await {
                tracing::debug!("refused webhooks could not be noted: {error}");
            }
        }
        no_one()
    }

    /// A good one came: nobody is told any more that none does.
    async fn heard(&self, store: &Store, integration: &str) {
        if self.refused.load(Ordering::Relaxed) > 0 {
            self.refused.store(0, Ordering::Relaxed);
        }
        let is_missed = || store.unheard().is_ok_and(|all| all.iter().any(|one| one.integration == integration));
        if is_time(&self.looked, 1) && is_missed() {
            let heard = unheard::Op::Heard { integration: integration.to_owned() };
            if let Err(error) = store.commit_one(heard).await {
                tracing::debug!("that webhooks come again could not be noted: {error}");
            }
        }
    }

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
        let contexts = source.kind.name == "dataverse";
        let ordered_by = match (&integration.pattern, both) {
            (Pattern::Event(event), Some((held, entity))) => Ordered::of(event, entity, held, contexts),
            _ => Ordered::ByRow,
        };
        let made_key = both.filter(|_| key.is_none() && !contexts);
        Some(Intake {
            topic,
            entity: entity.clone(),
            made_key: made_key.and_then(|(held, entity)| MadeKey::of(project, source, held, entity)),
            key: key.unwrap_or_default(),
            contexts,
            ordered_by,
            header: String::new(),
            keys: Keys::default(),
            signed: None,
            told: AtomicI64::new(0),
            noted: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            looked: AtomicI64::new(0),
            called: match &integration.pattern {
                Pattern::Flow(flow) => Calls::of(project, flow),
                _ => None,
            },
        })
    }

    fn send(&self, messages: Vec<Message>) -> Op {
        Op::Send { queue: self.topic.clone(), messages: messages.into_iter().map(Into::into).collect() }
    }

    /// Whether one of the keys was sent: in the header, as `?code=`, or in the query under the header's name.
    fn admits(&self, headers: &HeaderMap, query: &[(String, String)]) -> bool {
        let queried = query.iter().filter(|(name, _)| name == "code" || name.eq_ignore_ascii_case(&self.header));
        self.keys.admit(headers.get(&self.header), queried.map(|(_, value)| value.as_str()))
    }

    /// The events of a body: one object, or a list of them, of which each is an event of its own. *Shape*: bodies byte for
    /// byte as they came.
    ///
    /// *Errors*: what the sender has to send instead.
    fn messages(&self, integration: &str, headers: &HeaderMap, body: Bytes) -> Result<Vec<Message>, &'static str> {
        // Some begin with a byte order mark.
        let body = body.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
        let Ok(event) = serde_json::from_slice::<Value>(&body) else { return Err(NOT_JSON) };
        let rowless = |event: &Value| event["specversion"].is_string() && !row_in(event).is_object();
        match event {
            Value::Object(_) if rowless(&event) => Err("a CloudEvent has its row in `data`, as a JSON object"),
            Value::Object(_) => Ok(vec![self.message(integration.to_owned(), headers, &event, None, body)]),
            Value::Array(events) if events.len() > EVENTS_MAX => Err("a list holds at most 1,000 events"),
            Value::Array(events) if !events.iter().all(Value::is_object) => {
                Err("a list of events has a JSON object for each of them")
            }
            Value::Array(events) if events.iter().any(rowless) => {
                Err("each CloudEvent of a list has its row in `data`, as a JSON object")
            }
            Value::Array(events) => {
                let each = serde_json::from_slice::<Vec<&RawValue>>(&body).map_err(|_| NOT_JSON)?;
                let one = |(at, (event, raw)): (usize, (&Value, &RawValue))| {
                    self.message(integration.to_owned(), headers, event, Some(at), body.slice_ref(raw.get().as_bytes()))
                };
                Ok(events.iter().zip(each).enumerate().map(one).collect())
            }
            _ => Err("an event is a JSON object, or a list of them"),
        }
    }

    /// What names an event, and not the row that it is about; nothing where nobody says it. What only the request says, the
    /// events of a list have in common: there it goes with the place in the list.
    fn id(&self, headers: &HeaderMap, event: &Value, place: Option<usize>) -> String {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let said = match (event["specversion"].is_string(), self.signed) {
            (true, _) => text("source").zip(text("id")).map(|(source, id)| format!("{source}|{id}")),
            (false, Some(Signed::Stripe)) => text("id"),
            // The system job of an asynchronous step. A synchronous one has none, and says so by zeros.
            (false, _) if self.contexts => {
                text("OperationId").filter(|id| !id.bytes().all(|b| matches!(b, b'0' | b'-')))
            }
            (false, _) => None,
        };
        let of_request = || {
            // A CloudEvent with its attributes in headers, where what is not plain is escaped.
            let attribute = |name: &str| headers.get(name).map(|value| unescaped(value.as_bytes()));
            let of_cloud = attribute("ce-specversion").and_then(|_| attribute("ce-source").zip(attribute("ce-id")));
            // What is signed with the body comes before what anybody on the way may add.
            let signed = || header(&signatures::beside(&self.header, "id"));
            let id = (self.signed == Some(Signed::Standard))
                .then(signed)
                .flatten()
                .or_else(|| of_cloud.map(|(source, id)| format!("{source}|{id}")))
                .or_else(|| header("x-github-delivery").filter(|_| self.signed == Some(Signed::GitHub)))
                .or_else(|| header("idempotency-key"))
                .or_else(|| header("webhook-id"))?;
            Some(place.map_or_else(|| id.clone(), |place| format!("{id}#{place}")))
        };
        said.or_else(of_request).filter(|id| id.len() <= ID_BYTES_MAX).unwrap_or_default()
    }

    fn message(
        &self,
        integration: String,
        headers: &HeaderMap,
        event: &Value,
        place: Option<usize>,
        body: Bytes,
    ) -> Message {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let table_and_id = text("PrimaryEntityName").zip(text("PrimaryEntityId")).filter(|_| self.contexts);
        let session = table_and_id.map(|(table, id)| format!("{table}|{id}"));
        let session = session.filter(|session| session.len() <= ID_BYTES_MAX);
        let row = row_in(event);
        Message {
            id: self.id(headers, event, place),
            integration: Some(integration),
            entity: Some(self.entity.clone()),
            // Events of one row keep their order; what names no row keeps the order of all.
            session: match &self.ordered_by {
                Ordered::ByRow => {
                    session.or_else(|| self.row_of(row, &self.key)).or_else(|| self.made_key.as_ref()?.session(row))
                }
                Ordered::By(column) => self.row_of(row, std::slice::from_ref(column)),
                Ordered::All => None,
            }
            .or_else(|| Some(self.entity.clone())),
            correlation: text("CorrelationId"),
            content_type: headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: body.into(),
            ..Message::default()
        }
    }

    /// The row that plain JSON is about, by the columns of its key; or what else keeps its order, by that column.
    fn row_of(&self, row: &Value, columns: &[String]) -> Option<String> {
        let value = |column: &String| at(row, column).filter(|value| value.is_string() || value.is_number());
        let values: Option<Vec<&Value>> = columns.iter().map(value).collect();
        Some(hub::events::session(&self.entity, &values.filter(|values| !values.is_empty())?))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    /// Plain JSON about orders, which have a number.
    fn of_orders() -> Intake {
        Intake {
            topic: "t".into(),
            entity: "order".into(),
            key: vec!["number".into()],
            made_key: None,
            contexts: false,
            ordered_by: Ordered::ByRow,
            header: "x".into(),
            keys: Keys::default(),
            signed: None,
            called: None,
            told: AtomicI64::new(0),
            noted: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            looked: AtomicI64::new(0),
        }
    }

    #[test]
    fn either_key_opens_by_each_way_and_nothing_else_does() {
        let keys = ["old key", "new key", "a+b/c=="].map(record::Secret::new).to_vec();
        let intake = Intake { header: "x-key".into(), keys: keys.into(), ..of_orders() };
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
        check(None, &[("code", "a b/c==")], true);
        check(None, &[], false);
        check(Some(""), &[("code", "")], false);
        check(Some("old"), &[("code", "new key ")], false);
        check(None, &[("other", "new key")], false);
    }

    #[test]
    fn the_events_of_one_row_share_a_session() {
        let mut intake = of_orders();
        let check = |intake: &Intake, event: Value, id: &str, session: &str| {
            let body = Bytes::from(event.to_string());
            let message = intake.message("orders".into(), &HeaderMap::new(), &event, None, body.clone());
            assert_eq!((message.id.as_str(), message.session.as_deref()), (id, Some(session)), "{event}");
            assert_eq!(message.body, body);
        };
        let context = |operation: &str| json!({ "OperationId": operation, "PrimaryEntityName": "salesorder", "PrimaryEntityId": "7" });
        let of_dataverse = Intake { contexts: true, ..intake };
        check(&of_dataverse, context("o-1"), "o-1", "salesorder|7");
        check(&of_dataverse, context("00000000-0000-0000-0000-000000000000"), "", "salesorder|7");
        intake = Intake { contexts: false, ..of_dataverse };
        // The operation of a shop floor is a row's, as an `id` is.
        check(&intake, json!({ "OperationId": "o-1", "number": 7 }), "", "order|7");
        // An `id` of plain JSON is the row's, and no reason to drop its next event.
        check(&intake, json!({ "id": "C-1", "number": "C-1" }), "", "order|\"C-1\"");
        let cloud = json!({ "id": "e-1", "source": "/shop", "specversion": "1.0", "data": { "number": 7 } });
        check(&intake, cloud, "/shop|e-1", "order|7");
        // The same one with its attributes in headers, and the row alone in the body.
        let mut headers = HeaderMap::new();
        for (name, value) in [("ce-specversion", "1.0"), ("ce-id", "e-1"), ("ce-source", "/shop")] {
            headers.insert(name, value.parse().unwrap());
        }
        let binary =
            intake.message("orders".into(), &headers, &json!({ "number": 7, "id": "C-1" }), None, Bytes::new());
        assert_eq!((binary.id.as_str(), binary.session.as_deref()), ("/shop|e-1", Some("order|7")));
        // Escaped or not, it is the one that says the same in its body.
        let escaped =
            [("ce-specversion", "1.0".into()), ("ce-id", "e%201%25".into()), ("ce-source", "/l%C3%A4den".into())];
        let bare = [("ce-specversion", "1.0".into()), ("ce-id", "e 1%".into()), ("ce-source", "/läden".to_owned())];
        for said in [escaped, bare] {
            let value = |value: &String| HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let headers: HeaderMap =
                said.iter().map(|(name, said)| (HeaderName::from_static(name), value(said))).collect();
            assert_eq!(intake.id(&headers, &json!({ "number": 7 }), None), "/läden|e 1%");
        }
        // What the signature is over names it, whatever else the request says.
        let header = Signed::Standard.header().to_owned();
        let standard = Intake { signed: Some(Signed::Standard), header, ..of_orders() };
        for (name, value) in [("idempotency-key", "of a proxy"), ("webhook-id", "msg_1")] {
            headers.insert(name, value.parse().unwrap());
        }
        assert_eq!(
            standard.message("orders".into(), &headers, &json!({ "number": 7 }), None, Bytes::new()).id,
            "msg_1"
        );
        intake.ordered_by = Ordered::By("customer.no".into());
        check(&intake, json!({ "number": 7, "customer": { "no": "C-1" } }), "", "order|\"C-1\"");
        intake.ordered_by = Ordered::All;
        check(&intake, json!({ "number": 7 }), "", "order");
    }

    #[test]
    fn a_list_is_as_many_events_and_none_of_them_is_taken_for_another() {
        let intake = of_orders();
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", "k".parse().unwrap());
        let read = |body: &str| intake.messages("orders", &headers, Bytes::from(body.to_owned()));
        let list =
            r#" [ {"number": 7,  "net": 1.50}, {"specversion":"1.0","source":"/s","id":"e","data":{"number":8}} ] "#;
        let seen: Vec<_> = read(list).unwrap().into_iter().map(|m| (m.id, m.session.unwrap(), m.body)).collect();
        assert_eq!(seen[0], ("k#0".into(), "order|7".into(), br#"{"number": 7,  "net": 1.50}"#.to_vec()));
        assert_eq!((seen[1].0.as_str(), seen[1].1.as_str(), seen.len()), ("/s|e", "order|8", 2));
        assert_eq!(read(r#"{"number":7}"#).unwrap()[0].id, "k");
        assert_eq!(read("\u{feff}{}").unwrap()[0].body, b"{}".to_vec());
        assert!(read("[]").unwrap().is_empty());
        for (body, why) in [
            ("7", "an event is a JSON object, or a list of them"),
            ("[{}, 7]", "a list of events has a JSON object for each of them"),
            ("[{}", "the body is not JSON in UTF-8"),
            (r#"{"specversion":"1.0","data":"{}"}"#, "a CloudEvent has its row in `data`, as a JSON object"),
            (r#"{"specversion":"1.0","data_base64":"e30="}"#, "a CloudEvent has its row in `data`, as a JSON object"),
            (r#"[{}, {"specversion":"1.0"}]"#, "each CloudEvent of a list has its row in `data`, as a JSON object"),
            (&format!("[{{}}{}]", ",{}".repeat(EVENTS_MAX)), "a list holds at most 1,000 events"),
        ] {
            assert_eq!(read(body).err(), Some(why), "{body:.20}");
        }
    }
}
