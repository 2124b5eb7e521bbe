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
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl From<String> for Pieces {
    fn from(text: String) -> Pieces {
        text.into_bytes().into()
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(text: Vec<u8>) -> Pieces {
        Pieces { full: Vec::new(), last: text }
    }
}

impl Pieces {
    /// Nothing yet. `bytes`: how many may come.
    pub fn for_bytes(bytes: usize) -> Pieces {
        Pieces::from(Vec::with_capacity(bytes.clamp(FIRST_BYTES, ROOM_BYTES)))
    }

    /// Where to go on writing. A piece that is full is put aside first.
    pub fn text(&mut self) -> &mut Vec<u8> {
        if self.last.len() >= PIECE_BYTES {
            self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(ROOM_BYTES)));
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
        self.full.iter().map(Vec::len).sum::<usize>() + self.last.len()
    }

    /// In one piece.
    pub fn whole(&self) -> Vec<u8> {
        self.full.iter().chain([&self.last]).flatten().copied().collect()
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
    pieces: std::vec::IntoIter<Vec<u8>>,
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
    use odata::payload::Out;

    use super::*;

    #[tokio::test]
    async fn what_is_written_leaves_in_its_order_and_in_pieces_of_one_size() {
        let (mut pieces, mut expected) = (Pieces::for_bytes(1 << 30), Vec::new());
        for row in 0..40_000 {
            pieces.text().put(&format!("row {row},"));
            expected.put(&format!("row {row},"));
        }
        assert!(pieces.full.len() > 4);
        assert!(pieces.full.iter().all(|piece| piece.len() < ROOM_BYTES && piece.capacity() <= 2 * ROOM_BYTES));
        assert_eq!((pieces.len(), pieces.whole()), (expected.len(), expected.clone()));
        let mut both = Pieces::from("before ".to_owned());
        both.append(pieces);
        let sent = axum::body::to_bytes(both.into_body(), usize::MAX).await.unwrap();
        assert_eq!(sent, [b"before ", expected.as_slice()].concat());
    }
}
