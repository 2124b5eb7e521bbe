//! Small requests to the demo's own servers, all on this machine.

use std::io::{Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a request and answers the JSON of what came back.
///
/// *Errors*: nobody there, and every status above 299, in the other side's words.
pub fn request(address: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> std::io::Result<Json> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (path, length) = (path.replace(' ', "%20"), body.len());
    // HTTP/1.0: the answer comes in one piece, and the connection ends with it.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    if !(200..300).contains(&status) {
        return Err(Error::other(format!("{method} {path} was answered with {status}: {body}")));
    }
    Ok(serde_json::from_str(body).unwrap_or_default())
}
