//! A file as UTF-8 text that passes through a window: whatever its encoding, and never more of it than one row needs.

use std::io::Read;

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::files::passing::read_some;

/// Bytes that are asked for at a time.
const STEP: usize = 256 << 10;

/// One row holds no more than this; a quote that is never closed would otherwise take the rest of the file with it.
pub(super) const ROW_BYTES_MAX: usize = 4 << 20;

pub(super) struct Window<R> {
    reader: R,
    /// `None` where the file is UTF-8 as it is.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    ended: bool,
}

impl<R: Read> Window<R> {
    /// Opens a window at the start of a text. A mark at the start of the file says more than `encoding`.
    pub fn open(mut reader: R, encoding: &'static Encoding) -> std::io::Result<Window<R>> {
        let mut start = Vec::with_capacity(4);
        reader.by_ref().take(3).read_to_end(&mut start)?;
        let (encoding, mark) = match start.as_slice() {
            [0xEF, 0xBB, 0xBF] => (UTF_8, 3),
            [0xFF, 0xFE, ..] => (UTF_16LE, 2),
            [0xFE, 0xFF, ..] => (UTF_16BE, 2),
            _ => (encoding, 0),
        };
        let mut window = Window {
            reader,
            decoder: (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling()),
            raw: Vec::new(),
            buffer: Vec::new(),
            at: 0,
            filled: 0,
            ended: false,
        };
        window.put(&start[mark..], false);
        Ok(window)
    }

    /// What is in the window and not yet taken.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.at..self.filled]
    }

    /// Takes bytes out of the window; they can be looked at until the next [`Window::fill`].
    pub fn take(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The bytes that were taken last.
    pub fn taken(&self, bytes: usize) -> &[u8] {
        &self.buffer[self.at - bytes..self.at]
    }

    /// Puts the bytes that were taken last back.
    pub fn give_back(&mut self, bytes: usize) {
        self.at -= bytes;
    }

    /// Whether the window reaches the end of the file.
    pub fn is_last(&self) -> bool {
        self.ended
    }

    /// Reads on. What was taken is gone after this.
    pub fn fill(&mut self) -> std::io::Result<()> {
        if self.ended {
            return Ok(());
        }
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
        }
        let Some(_) = &self.decoder else {
            // As it is: straight into the window.
            if self.buffer.len() < self.filled + STEP {
                self.buffer.resize(self.filled + STEP, 0);
            }
            let read = read_some(&mut self.reader, &mut self.buffer[self.filled..])?;
            self.filled += read;
            self.ended = read == 0;
            return Ok(());
        };
        let mut raw = std::mem::take(&mut self.raw);
        raw.resize(STEP, 0);
        let read = read_some(&mut self.reader, &mut raw)?;
        self.ended = read == 0;
        self.put(&raw[..read], read == 0);
        self.raw = raw;
        Ok(())
    }

    fn put(&mut self, mut raw: &[u8], last: bool) {
        let Some(decoder) = &mut self.decoder else {
            self.buffer.truncate(self.filled);
            self.buffer.extend_from_slice(raw);
            self.filled = self.buffer.len();
            return;
        };
        let most = decoder.max_utf8_buffer_length(raw.len()).unwrap_or(raw.len() * 3 + 16);
        if self.buffer.len() < self.filled + most {
            self.buffer.resize(self.filled + most, 0);
        }
        loop {
            let (result, read, written, _) = decoder.decode_to_utf8(raw, &mut self.buffer[self.filled..], last);
            self.filled += written;
            raw = &raw[read..];
            match result {
                encoding_rs::CoderResult::InputEmpty => return,
                encoding_rs::CoderResult::OutputFull => self.buffer.resize(self.buffer.len() + STEP, 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, as slow networks do.
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn whole(bytes: &[u8], encoding: &'static Encoding) -> String {
        let mut window = Window::open(Slow(bytes), encoding).unwrap();
        while !window.is_last() {
            window.fill().unwrap();
        }
        String::from_utf8_lossy(window.rest()).into_owned()
    }

    #[test]
    fn every_encoding_is_text_in_the_end() {
        let utf16 = |text: &str, big: bool, mark: bool| -> Vec<u8> {
            let mark = mark.then_some(0xFEFF_u16);
            let units = mark.into_iter().chain(text.encode_utf16());
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        let text = "Größe 🙂";
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), UTF_8),
            ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), UTF_8),
            ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), encoding_rs::WINDOWS_1252),
            (utf16(text, false, true), UTF_8),
            (utf16(text, true, true), UTF_16LE),
            (utf16(text, false, false), UTF_16LE),
        ] {
            assert_eq!(whole(&bytes, encoding), text);
        }
        assert_eq!(whole(b"Gr\xf6\xdfe \x80", encoding_rs::WINDOWS_1252), "Größe €");
        assert_eq!(whole(b"", UTF_8), "");
        assert_eq!(whole(b"\xff", UTF_8), "\u{FFFD}");
    }
}
