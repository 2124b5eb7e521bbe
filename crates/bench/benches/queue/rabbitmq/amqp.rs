//! As much of AMQP 0-9-1 as sending, confirming, taking and acknowledging need.
//!
//! *Source*: the AMQP 0-9-1 specification, sections 2.3.5 (frames) and 4.2 (grammar); confirms as RabbitMQ documents them.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Result;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;

pub struct Connection {
    read: BufReader<TcpStream>,
    write: BufWriter<TcpStream>,
    payload: Vec<u8>,
}

/// What the other side says, as far as it matters here.
pub enum Frame {
    /// The message that a channel sent last is on disk.
    Ack { channel: u16 },
    /// A message for the consumer.
    Delivery { tag: u64 },
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (read, write) =
            (BufReader::with_capacity(256 << 10, stream.try_clone()?), BufWriter::with_capacity(256 << 10, stream));
        let mut connection = Connection { read, write, payload: Vec::new() };
        connection.write.write_all(b"AMQP\0\0\x09\x01")?;
        connection.expect(0, (10, 10))?;
        let mut start_ok = vec![0; 4];
        short_text(&mut start_ok, "PLAIN");
        long_text(&mut start_ok, b"\0guest\0guest");
        short_text(&mut start_ok, "en_US");
        connection.method(0, (10, 11), &start_ok)?;
        connection.expect(0, (10, 30))?;
        let tune = connection.payload[4..12].to_vec();
        // The same limits, and no heartbeats.
        connection.method(0, (10, 31), &[&tune[..6], &[0, 0]].concat())?;
        connection.method(0, (10, 40), &[1, b'/', 0, 0])?;
        connection.expect(0, (10, 41))?;
        connection.read.get_ref().set_read_timeout(Some(Duration::from_millis(200)))?;
        Ok(connection)
    }

    pub fn channel(&mut self, channel: u16) -> Result<()> {
        self.method(channel, (20, 10), &[0])?;
        self.expect(channel, (20, 11))
    }

    pub fn declare_durable(&mut self, channel: u16, queue: &str) -> Result<()> {
        let mut arguments = vec![0, 0];
        short_text(&mut arguments, queue);
        arguments.extend_from_slice(&[0b10, 0, 0, 0, 0]);
        self.method(channel, (50, 10), &arguments)?;
        self.expect(channel, (50, 11))
    }

    pub fn confirm(&mut self, channel: u16) -> Result<()> {
        self.method(channel, (85, 10), &[0])?;
        self.expect(channel, (85, 11))
    }

    /// Sends a message that is to be kept on disk.
    pub fn publish(&mut self, channel: u16, queue: &str, body: &[u8]) -> Result<()> {
        let mut arguments = vec![0, 0, 0];
        short_text(&mut arguments, queue);
        arguments.push(0);
        self.method(channel, (60, 40), &arguments)?;
        let mut header = vec![0, 60, 0, 0];
        header.extend_from_slice(&(body.len() as u64).to_be_bytes());
        // Only the delivery mode is given: persistent.
        header.extend_from_slice(&[0x10, 0, 2]);
        self.frame(HEADER, channel, &header)?;
        self.frame(BODY, channel, body)
    }

    pub fn consume(&mut self, channel: u16, queue: &str, prefetch: u16) -> Result<()> {
        let [high, low] = prefetch.to_be_bytes();
        self.method(channel, (60, 10), &[0, 0, 0, 0, high, low, 0])?;
        self.expect(channel, (60, 11))?;
        let mut arguments = vec![0, 0];
        short_text(&mut arguments, queue);
        arguments.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        self.method(channel, (60, 20), &arguments)?;
        self.expect(channel, (60, 21))
    }

    pub fn ack(&mut self, channel: u16, tag: u64) -> Result<()> {
        self.method(channel, (60, 80), &[&tag.to_be_bytes()[..], &[0]].concat())
    }

    /// The next thing that matters; `None` when nothing came for a while. What was written goes out before waiting.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if self.read.buffer().is_empty() {
                self.write.flush()?;
                match self.read.fill_buf() {
                    Ok([]) => return Err("the node closed the connection".into()),
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let (kind, channel) = self.receive()?;
            match (kind, method_of(&self.payload)) {
                (METHOD, Some((60, 80))) => return Ok(Some(Frame::Ack { channel })),
                (METHOD, Some((60, 60))) => {
                    let tag_at = 5 + usize::from(self.payload[4]);
                    let tag = self.payload[tag_at..tag_at + 8].try_into()?;
                    return Ok(Some(Frame::Delivery { tag: u64::from_be_bytes(tag) }));
                }
                (METHOD, Some((10 | 20, 50 | 40))) => return Err("the node refuses something".into()),
                _ => {}
            }
        }
    }

    fn expect(&mut self, channel: u16, method: (u16, u16)) -> Result<()> {
        self.write.flush()?;
        loop {
            let (kind, on) = self.receive()?;
            if kind == METHOD && on == channel && method_of(&self.payload) == Some(method) {
                return Ok(());
            }
            if kind == METHOD && matches!(method_of(&self.payload), Some((10, 50) | (20, 40))) {
                return Err(format!("the node refuses {method:?}: {}", String::from_utf8_lossy(&self.payload)).into());
            }
        }
    }

    /// Receives a frame, whose payload is kept; answers with its kind and channel.
    fn receive(&mut self) -> Result<(u8, u16)> {
        let mut head = [0; 7];
        self.whole(&mut head)?;
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize, 0);
        self.whole(&mut payload)?;
        self.payload = payload;
        let mut end = [0];
        self.whole(&mut end)?;
        if end != [FRAME_END] {
            return Err("a frame does not end where it should".into());
        }
        Ok((head[0], u16::from_be_bytes([head[1], head[2]])))
    }

    /// Reads all of it, over time-outs within a frame.
    fn whole(&mut self, mut out: &mut [u8]) -> Result<()> {
        while !out.is_empty() {
            match self.read.read(out) {
                Ok(0) => return Err("the node closed the connection".into()),
                Ok(read) => out = &mut out[read..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) -> Result<()> {
        self.frame(METHOD, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat())
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        self.write.write_all(&[kind])?;
        self.write.write_all(&channel.to_be_bytes())?;
        self.write.write_all(&(payload.len() as u32).to_be_bytes())?;
        self.write.write_all(payload)?;
        self.write.write_all(&[FRAME_END])?;
        Ok(())
    }
}

fn method_of(payload: &[u8]) -> Option<(u16, u16)> {
    let head = payload.first_chunk::<4>()?;
    Some((u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]])))
}

fn short_text(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn long_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text);
}
