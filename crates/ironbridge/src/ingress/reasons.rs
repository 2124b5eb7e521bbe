//! What is no request of HTTP gets a reason too.
//!
//! The server under us refuses such bytes before any route sees them (an address longer than 64 KB, headers beyond its
//! bound, a byte that no address may have), with a status and nothing else, and closes the connection. Whoever reads
//! that answer deserves to know why: on its way out it is replaced by one with a body and a request id.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use virtual_tables::codes;

/// Connections of another listener, with reasons.
pub struct Reasons<L>(pub L);

impl<L: Listener> Listener for Reasons<L> {
    type Io = Reasoned<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, from) = self.0.accept().await;
        (Reasoned { io, instead: Vec::new(), sent: 0 }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

pub struct Reasoned<Io> {
    io: Io,
    /// What leaves instead of a bare refusal, while it does.
    instead: Vec<u8>,
    sent: usize,
}

/// What is written for a bare refusal; nothing for anything else. *Source*: hyper 1, `proto/h1/role.rs`: what cannot be
/// parsed is answered by a head alone.
fn instead(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(bytes.strip_prefix(b"HTTP/1.1 4")?.strip_suffix(b"\r\n\r\n")?).ok()?;
    let message = match head.get(..2)? {
        "00" => {
            "this is no request of HTTP: a byte stands there that no address and no header may have; send others as %XX"
        }
        "14" => "the address is longer than 64 KB; ask by a `$batch`, or with a shorter filter",
        "31" => "the headers are longer than 64 KB",
        _ => return None,
    };
    let lines = || head.split("\r\n").skip(1);
    let is_bare =
        lines().all(|line| ["connection:", "content-length: 0", "date:"].iter().any(|own| line.starts_with(own)));
    if !is_bare || !lines().any(|line| line == "content-length: 0") {
        return None;
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    let body = odata::payload::error(codes::MALFORMED.0, message, &id);
    tracing::debug!(request = id, code = codes::MALFORMED.0, "refused before it was a request: {message}");
    let status = head.split("\r\n").next().unwrap_or_default();
    let kept = lines().filter(|line| !line.starts_with("content-length:")).map(|line| format!("{line}\r\n"));
    Some(
        format!(
            "HTTP/1.1 4{status}\r\n{}content-type: application/json;charset=utf-8\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
            kept.collect::<String>(),
            body.len()
        )
        .into_bytes(),
    )
}

impl<Io: AsyncWrite + Unpin> Reasoned<Io> {
    /// Writes the other answer to its end, then says that all of `bytes` is written; nothing where there is none.
    fn poll_instead(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_empty() {
            self.instead = instead(bytes)?;
        }
        while self.sent < self.instead.len() {
            match Pin::new(&mut self.io).poll_write(context, &self.instead[self.sent..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => self.sent += written,
                Poll::Ready(Err(why)) => return Some(Poll::Ready(Err(why))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        (self.instead, self.sent) = (Vec::new(), 0);
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Reasoned<Io> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.poll_instead(context, bytes) {
            Some(written) => written,
            None => Pin::new(&mut this.io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let [only] = pieces
            && let Some(written) = this.poll_instead(context, only)
        {
            return written;
        }
        Pin::new(&mut this.io).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Reasoned<Io> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_without_a_reason_gets_one() {
        for bare in [
            "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 26 Nov 2026 10:00:00 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        ] {
            let answer = String::from_utf8(instead(bare.as_bytes()).unwrap()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&bare[..20]) && head.contains(&format!("content-length: {}", body.len())),
                "{head}"
            );
            assert!(body.contains("IB0901") && body.contains("request_id"), "{body}");
        }
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "",
        ] {
            assert_eq!(instead(other.as_bytes()), None, "{other}");
        }
    }
}
