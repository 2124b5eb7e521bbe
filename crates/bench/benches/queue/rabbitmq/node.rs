//! A node of RabbitMQ from Debian's package `rabbitmq-server`, on loopback, with folders of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Result;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const STARTS_WITHIN: Duration = Duration::from_secs(120);

pub struct Node {
    pub address: SocketAddr,
    /// The port mapper of Erlang, which a node needs, and the node. They end with this.
    mapper: Child,
    server: Child,
    dir: PathBuf,
}

impl Node {
    pub fn start(dir: &Path) -> Result<Node> {
        if !Path::new(SERVER).exists() {
            return Err("it is not installed (apt-get install rabbitmq-server)".into());
        }
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir)?;
        let [port, distribution, mapper_port] = free_ports()?;
        let mapper = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &mapper_port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let said = File::create(dir.join("said"))?;
        let server = Command::new(SERVER)
            .env("HOME", dir)
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("bench{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", dir.join("log"))
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", dir.join("rabbitmq-env.conf"))
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut node = Node { address, mapper, server, dir: dir.to_owned() };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if node.server.try_wait()?.is_some() || began.elapsed() > STARTS_WITHIN {
                let said = fs::read_to_string(dir.join("said"))?;
                return Err(format!("it does not start: {}", said.trim()).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The node names its own process, which ends in order when it is asked to.
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
        if !pid.trim().is_empty() {
            let _ = Command::new("kill").arg(pid.trim()).status();
            let began = Instant::now();
            while self.server.try_wait().is_ok_and(|ended| ended.is_none()) && began.elapsed() < Duration::from_secs(20)
            {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        for child in [&mut self.server, &mut self.mapper] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_ports() -> Result<[u16; 3]> {
    let bound: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&bound) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
