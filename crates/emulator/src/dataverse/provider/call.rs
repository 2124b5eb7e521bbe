//! One request to the service behind a data source.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{DataSource, Trouble};

/// The most that the provider takes as one answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What the trace log has of an answer that is none: its status line and nothing else.
pub fn remote_said(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    format!("The remote server returned an error: ({status}) {reason}.")
}

/// `GET {uri}/{path}` with the parameters of the data source.
///
/// *Errors*: no connection, an answer that breaks off, an address that is not http: this emulator knows no other.
pub async fn get(source: &DataSource, path: &str, accept: &str) -> Result<Reply, Trouble> {
    let endpoint = |why: String| Trouble { class: "EndpointException", trace: why };
    let mut url = format!("{}/{path}", source.uri.trim_end_matches('/'));
    for (name, value) in &source.parameters {
        let separator = if url.contains('?') { '&' } else { '?' };
        url.push_str(&format!("{separator}{}={}", odata::encode(name), odata::encode(value)));
    }
    let url: http::Uri = url.parse().map_err(|error| endpoint(format!("Invalid URI: {error}")))?;
    if url.scheme_str() != Some("http") {
        return Err(endpoint(format!("{}: this emulator calls data sources over http only", source.uri)));
    }
    let host = url.host().ok_or_else(|| endpoint("Invalid URI: The hostname could not be parsed.".to_owned()))?;
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let unreachable = |why: &dyn std::fmt::Display| endpoint(format!("Unable to connect to the remote server: {why}"));
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(&error))?;
    let driving = tokio::spawn(connection);
    let mut request = http::Request::get(url.path_and_query().map_or("/", |path| path.as_str()))
        .header("Host", url.authority().map_or(host, |authority| authority.as_str()))
        .header("Accept", accept)
        .header("Accept-Charset", "UTF-8")
        .header("OData-Version", "4.0")
        .header("OData-MaxVersion", "4.0");
    for (name, value) in &source.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::new())).map_err(|error| endpoint(error.to_string()))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Trouble::data(format!("The answer broke off: {error}")))?;
        Ok(Reply { status, body: body.to_bytes().to_vec() })
    };
    let answered = answered.await;
    driving.abort();
    answered
}
