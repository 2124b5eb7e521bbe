//! A network that fails on purpose: a proxy on loopback that cuts connections after so many bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What nothing is cut after.
const NEVER: u64 = u64::MAX;

/// Stands between a connector and its server.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on loopback and passes everything on to `server`, until the runtime ends.
    ///
    /// *Errors*: those of the operating system.
    pub async fn start(server: SocketAddr) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy { address: listener.local_addr()?, bytes: Arc::new(AtomicU64::new(NEVER)) };
        let bytes = proxy.bytes.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let left = bytes.load(Ordering::Relaxed);
                tokio::spawn(pass(client, server, left));
            }
        });
        Ok(proxy)
    }

    /// Connections from now on are cut once the server has sent so many bytes through them.
    pub fn cut_after(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Connections from now on hold.
    pub fn mend(&self) {
        self.cut_after(NEVER);
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mut left: u64) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let there = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 16 << 10];
    while left > 0 {
        let read = from_server.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        let some = left.min(read as u64);
        to_client.write_all(&buffer[..some as usize]).await?;
        left -= some;
    }
    // Both halves go at once: what was sent may have arrived, and no answer comes.
    there.abort();
    Ok(())
}
