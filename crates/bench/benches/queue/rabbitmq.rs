//! RabbitMQ doing the same: a durable queue, messages kept on disk, each confirmed before its sender sends the next.

mod amqp;
mod node;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::amqp::{Connection, Frame};
use self::node::Node;
use crate::through::Through;
use crate::{BODY_BYTES, at_share};

/// Senders are channels; so many of them share a connection, and with it a thread of ours.
const SENDERS_PER_CONNECTION: u64 = 64;
const CONSUMERS: u64 = 2;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Starts a node of its own, sends messages through it, and ends it.
///
/// *Errors*: a sentence, where RabbitMQ is not installed or does not start.
pub fn through(dir: &Path, messages: u64, senders: u64) -> std::result::Result<Through, String> {
    let node = Node::start(dir).map_err(|why| why.to_string())?;
    declare(node.address).map_err(|why| why.to_string())?;
    let each = messages / senders;
    let (total, done) = (each * senders, AtomicU64::new(0));
    let connections = senders.div_ceil(SENDERS_PER_CONNECTION);
    let began = Instant::now();
    let mut sends = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS).map(|_| scope.spawn(|| consume(node.address, total, &done))).collect();
        let publishers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| publish(node.address, senders / connections, each))).collect();
        let mut sends = Vec::new();
        for publisher in publishers {
            sends.extend(publisher.join().expect("a publisher does not panic")?);
        }
        for consumer in consumers {
            consumer.join().expect("a consumer does not panic")?;
        }
        Result::Ok(sends)
    })
    .map_err(|why| why.to_string())?;
    let rate = total as f64 / began.elapsed().as_secs_f64();
    sends.sort_by(f64::total_cmp);
    assert!(at_share(&sends, 0.0) > 0.0, "every message was confirmed");
    Ok(Through { rate, sends, cpu: None })
}

fn declare(address: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.channel(1)?;
    connection.declare_durable(1, "q")
}

/// Each channel sends its next message when the one before is confirmed.
fn publish(address: SocketAddr, channels: u64, each: u64) -> Result<Vec<f64>> {
    let mut connection = Connection::open(address)?;
    let body = [b'x'; BODY_BYTES];
    for channel in 1..=channels as u16 {
        connection.channel(channel)?;
        connection.confirm(channel)?;
    }
    let mut sent = vec![Instant::now(); channels as usize + 1];
    let mut left = vec![each; channels as usize + 1];
    let mut times = Vec::with_capacity((channels * each) as usize);
    for channel in 1..=channels as u16 {
        sent[usize::from(channel)] = Instant::now();
        connection.publish(channel, "q", &body)?;
    }
    while times.len() < (channels * each) as usize {
        let Some(Frame::Ack { channel }) = connection.next()? else { continue };
        let at = usize::from(channel);
        times.push(sent[at].elapsed().as_secs_f64() * 1e3);
        left[at] -= 1;
        if left[at] > 0 {
            sent[at] = Instant::now();
            connection.publish(channel, "q", &body)?;
        }
    }
    Ok(times)
}

/// Takes and acknowledges messages until all were taken.
fn consume(address: SocketAddr, total: u64, done: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.channel(1)?;
    connection.consume(1, "q", 256)?;
    while done.load(Ordering::Relaxed) < total {
        let Some(Frame::Delivery { tag }) = connection.next()? else { continue };
        connection.ack(1, tag)?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
