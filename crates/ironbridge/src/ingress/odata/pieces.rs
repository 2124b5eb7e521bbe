//! The body of an answer in pieces: each is freed as soon as it has left.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// When a piece is full. *Shape*: one is longer by what is written at once, which is a row.
const PIECE_BYTES: usize = 64 * 1024;
/// What is taken at once for the first piece and for every other one: what a row may need more is there already.
const FIRST_BYTES: usize = 4 * 1024;
const ROOM_BYTES: usize = PIECE_BYTES + 4 * 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    full: Vec<String>,
    last: String,
}

impl From<String> for Pieces {
    fn from(text: String) -> Pieces {
        Pieces { full: Vec::new(), last: text }
    }
}

impl Pieces {
    /// Nothing yet. `bytes`: how many may come.
    pub fn for_bytes(bytes: usize) -> Pieces {
        Pieces::from(String::with_capacity(bytes.clamp(FIRST_BYTES, ROOM_BYTES)))
    }

    /// Where to go on writing. A piece that is full is put aside first.
    pub fn text(&mut self) -> &mut String {
        if self.last.len() >= PIECE_BYTES {
            self.full.push(std::mem::replace(&mut self.last, String::with_capacity(ROOM_BYTES)));
        }
        &mut self.last
    }

    /// Everything of another body behind this one: nothing of it is copied.
    pub fn append(&mut self, other: Pieces) {
        if !self.last.is_empty() {
            self.full.push(std::mem::take(&mut self.last));
        }
        self.full.extend(other.full);
        self.last = other.last;
    }

    pub fn len(&self) -> usize {
        self.full.iter().map(String::len).sum::<usize>() + self.last.len()
    }

    /// In one piece.
    pub fn whole(&self) -> String {
        self.full.iter().map(String::as_str).chain([self.last.as_str()]).collect()
    }

    pub fn into_body(self) -> Body {
        if self.full.is_empty() {
            return Body::from(self.last);
        }
        let length = self.len() as u64;
        let mut pieces = self.full;
        pieces.push(self.last);
        Body::new(Sent { pieces: pieces.into_iter(), left: length })
    }
}

/// Pieces on their way. *Shape*: its length is known before the first has left.
struct Sent {
    pieces: std::vec::IntoIter<String>,
    left: u64,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.pieces.next().map(Bytes::from);
        this.left -= piece.as_ref().map_or(0, Bytes::len) as u64;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_leaves_in_its_order_and_in_pieces_of_one_size() {
        let (mut pieces, mut expected) = (Pieces::for_bytes(1 << 30), String::new());
        for row in 0..40_000 {
            pieces.text().push_str(&format!("row {row},"));
            expected.push_str(&format!("row {row},"));
        }
        assert!(pieces.full.len() > 4);
        assert!(pieces.full.iter().all(|piece| piece.len() < ROOM_BYTES && piece.capacity() <= 2 * ROOM_BYTES));
        assert_eq!((pieces.len(), pieces.whole()), (expected.len(), expected.clone()));
        let mut both = Pieces::from("before ".to_owned());
        both.append(pieces);
        let sent = axum::body::to_bytes(both.into_body(), usize::MAX).await.unwrap();
        assert_eq!(sent, format!("before {expected}"));
    }
}
