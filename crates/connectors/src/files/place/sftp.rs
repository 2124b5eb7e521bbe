//! A folder on an SFTP server. *Source*: draft-ietf-secsh-filexfer-02 (version 3), RFC 4251 to 4254, sshd(8) for
//! `known_hosts`.
//!
//! *Limits*: keys of the kinds Ed25519 and ECDSA, for the server and for us; RSA is not spoken.

use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use record::{BoxFuture, Fault, Health, Options, Secret};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key, known_hosts};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xxhash_rust::xxh3::Xxh3Default;

use super::objects::no_room;
use super::{Entry, Fetched, Folder, is_plain};
use crate::files::fault;
use crate::files::sink::beside;

struct Server {
    system: String,
    host: String,
    port: u16,
    user: String,
    folder: String,
    login: Login,
    trust: Trust,
    timeout: Duration,
}

enum Login {
    Password(Secret),
    Key(Arc<PrivateKey>),
}

/// How the server is known.
#[derive(Clone)]
enum Trust {
    /// `SHA256:…`, or `ssh-ed25519 AAAA…`.
    Pinned(String),
    File(PathBuf),
}

/// `host:port/folder`.
pub(super) fn place(
    system: &str,
    rest: &str,
    options: &Options,
    timeout: Duration,
) -> Result<Arc<dyn super::Place>, Fault> {
    let wrong = |what: &str, fix: &str| Err(fault::settings(system, what, fix));
    let (at, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let (in_url, at) = at.rsplit_once('@').map_or((None, at), |(user, at)| (Some(user), at));
    let (host, port) = match at.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => return wrong("the port in `url:` is no number", "write `url: \"sftp://HOST:PORT/FOLDER\"`"),
        },
        _ => (at, 22),
    };
    let host = host.trim_matches(['[', ']']);
    let Some(user) = options.text("user").or(in_url).filter(|user| !user.contains(':') && !host.is_empty()) else {
        return wrong(
            "an SFTP server is asked by a user",
            "add `user:` under `connection:`, and `key: \"${file:…}\"` or `password: \"${env:…}\"`",
        );
    };
    let login = match (options.text("key"), options.secret("password")) {
        (Some(key), passphrase) => match decode_secret_key(key, passphrase.as_ref().map(|secret| secret.reveal())) {
            Ok(key) if key.algorithm().is_rsa() => {
                return wrong(
                    "its key is an RSA key, which is not spoken here",
                    "make one of another kind, and have its public part added on the server: ssh-keygen -t ed25519 -f sftp_key",
                );
            }
            Ok(key) => Login::Key(Arc::new(key)),
            Err(why) => {
                return wrong(
                    &format!("`key:` is no private key that can be read ({why})"),
                    "give the file that ssh-keygen made: `key: \"${file:sftp_key}\"`, with its passphrase as `password:`",
                );
            }
        },
        (None, Some(password)) => Login::Password(password),
        (None, None) => {
            return wrong("nothing proves who we are", "add `key: \"${file:…}\"` or `password: \"${env:…}\"`");
        }
    };
    let trust = match (options.text("host_key"), options.text("known_hosts")) {
        (Some(key), _) => Trust::Pinned(key.trim().to_owned()),
        (None, Some(file)) => Trust::File(PathBuf::from(file)),
        (None, None) => {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            Trust::File(home.join(".ssh").join("known_hosts"))
        }
    };
    Ok(Arc::new(Server {
        system: system.to_owned(),
        host: host.to_owned(),
        port,
        user: user.to_owned(),
        // An absolute path, as everybody writes it; `/~/in` is below the home of the user.
        folder: match folder.strip_prefix("~") {
            Some(home) => home.trim_matches('/').to_owned(),
            None => format!("/{}", folder.trim_matches('/')),
        },
        login,
        trust,
        timeout,
    }))
}

/// What the server showed, for the fault when it is not known.
struct Met {
    host: String,
    port: u16,
    trust: Trust,
    refused: Arc<Mutex<Option<(String, String)>>>,
}

impl client::Handler for Met {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let problem = match &self.trust {
            Trust::Pinned(pinned) if pinned.starts_with("SHA256:") => {
                (*pinned != fingerprint).then(|| "it is not the one of `host_key:`".to_owned())
            }
            Trust::Pinned(pinned) => match key.to_openssh() {
                Ok(ours) if same_key(&ours, pinned) => None,
                _ => Some("it is not the one of `host_key:`".to_owned()),
            },
            Trust::File(file) => match known_hosts::check_known_hosts_path(&self.host, self.port, key, file) {
                Ok(true) => None,
                Ok(false) => Some(format!("{} does not know this server", file.display())),
                Err(russh::keys::Error::KeyChanged { line }) => {
                    Some(format!("line {line} of {} has another one for it", file.display()))
                }
                Err(why) => Some(format!("{} cannot be read: {why}", file.display())),
            },
        };
        let Some(problem) = problem else { return Ok(true) };
        *self.refused.lock().expect("nothing panics while it holds this") = Some((fingerprint, problem));
        Ok(false)
    }
}

/// The kind and the key; a comment after them does not count.
fn same_key(a: &str, b: &str) -> bool {
    a.split_whitespace().take(2).eq(b.split_whitespace().take(2))
}

impl Server {
    async fn connect(&self) -> Result<Session, Fault> {
        match tokio::time::timeout(self.timeout, self.log_in()).await {
            Ok(session) => session,
            Err(_) => {
                let why = format!("no answer within {:?}", self.timeout);
                Err(fault::unreachable(&self.system, &super::Place::shown(self), why))
            }
        }
    }

    async fn log_in(&self) -> Result<Session, Fault> {
        let shown = super::Place::shown(self);
        let refused = Arc::new(Mutex::new(None));
        let config = Arc::new(client::Config {
            // A server that says nothing more is given up on; a question now and then keeps the line open.
            keepalive_interval: Some(Duration::from_secs(20)),
            keepalive_max: 3,
            ..client::Config::default()
        });
        let met = Met { host: self.host.clone(), port: self.port, trust: self.trust.clone(), refused: refused.clone() };
        let connected = client::connect(config, (self.host.as_str(), self.port), met).await;
        let mut handle = connected.map_err(|why| match refused.lock().ok().and_then(|mut refused| refused.take()) {
            Some((fingerprint, problem)) => fault::host_key(
                &self.system,
                format!("{shown} shows the host key {fingerprint}, and {problem}"),
                format!("ask the owner of the server whether that is its key; if so, write `host_key: \"{fingerprint}\"` under `connection:`"),
            ),
            None => fault::unreachable(&self.system, &shown, why),
        })?;
        let failed = |why: russh::Error| fault::unreachable(&self.system, &shown, why);
        let (answer, by) = match &self.login {
            Login::Password(password) => {
                (handle.authenticate_password(&self.user, password.reveal()).await.map_err(failed)?, "password")
            }
            Login::Key(key) => {
                let key = PrivateKeyWithHashAlg::new(key.clone(), None);
                (handle.authenticate_publickey(&self.user, key).await.map_err(failed)?, "key")
            }
        };
        if !answer.success() {
            // A network that was cut reads as a refusal that leaves no other way.
            tokio::time::sleep(Duration::from_millis(50)).await;
            if handle.is_closed()
                && matches!(&answer, AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty())
            {
                return Err(fault::unreachable(&self.system, &shown, "the connection ended while the hub logged in"));
            }
            let what = format!("logging in to {shown} as `{}` by its {by}", self.user);
            return Err(fault::not_permitted(&self.system, &what, "the server refuses it"));
        }
        let channel = handle.channel_open_session().await.map_err(failed)?;
        channel.request_subsystem(true, "sftp").await.map_err(failed)?;
        let sftp = SftpSession::new(channel.into_stream())
            .await
            .map_err(|why| fault::unreachable(&self.system, &shown, format!("it opens no SFTP session: {why}")))?;
        sftp.set_timeout(self.timeout.as_secs().max(1));
        Ok(Session {
            system: self.system.clone(),
            shown,
            user: self.user.clone(),
            folder: self.folder.clone(),
            sftp,
            _handle: handle,
        })
    }
}

impl super::Place for Server {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Folder>, Fault>> {
        Box::pin(async move { Ok(Box::new(self.connect().await?) as Box<dyn Folder>) })
    }

    fn shown(&self) -> String {
        format!("sftp://{}:{}/{}", self.host, self.port, self.folder.trim_start_matches('/'))
    }
}

struct Session {
    system: String,
    shown: String,
    user: String,
    folder: String,
    sftp: SftpSession,
    _handle: Handle<Met>,
}

impl Session {
    fn path(&self, folder: &str, name: &str) -> String {
        let parts = [self.folder.trim_end_matches('/'), folder, name];
        let path = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        match (path.is_empty(), self.folder.starts_with('/') && !path.starts_with('/')) {
            (true, _) if self.folder.starts_with('/') => "/".to_owned(),
            (true, _) => ".".to_owned(),
            (false, true) => format!("/{path}"),
            (false, false) => path,
        }
    }

    fn failed(&self, doing: &str, error: &Error) -> Fault {
        match error {
            Error::Status(status) if status.status_code == StatusCode::PermissionDenied => {
                fault::not_permitted(&self.system, &format!("{doing} {}", self.shown), error)
            }
            Error::Status(status) if status.status_code == StatusCode::NoSuchFile => {
                fault::no_folder(&self.system, &self.shown)
            }
            _ => fault::unreachable(&self.system, &self.shown, format!("{doing}: {error}")),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<(u64, i64)>, Fault> {
        match self.sftp.metadata(path).await {
            Ok(of) => Ok(Some((of.size.unwrap_or(0), i64::from(of.mtime.unwrap_or(0)) * 1000))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed("asking for a file of", &error)),
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

impl Folder for Session {
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, Fault>> {
        Box::pin(async move {
            let path = self.path(folder, "");
            let listed = match self.sftp.read_dir(&path).await {
                Err(error) if is_missing(&error) && !folder.is_empty() => return Ok(Vec::new()),
                listed => listed.map_err(|error| self.failed("listing", &error))?,
            };
            let mut found = Vec::new();
            for file in listed {
                let (name, of) = (file.file_name(), file.metadata());
                if !is_plain(&name) {
                    continue;
                }
                let (size, modified) = if of.is_symlink() {
                    match self.stat(&self.path(folder, &name)).await {
                        Ok(Some(found)) => found,
                        _ => continue,
                    }
                } else if of.is_dir() {
                    continue;
                } else {
                    (of.size.unwrap_or(0), i64::from(of.mtime.unwrap_or(0)) * 1000)
                };
                found.push(Entry { folder: folder.to_owned(), name, size, modified });
            }
            Ok(found)
        })
    }

    fn fetch<'a>(&'a self, listed: &'a Entry) -> BoxFuture<'a, Result<Option<Fetched>, Fault>> {
        Box::pin(async move {
            let path = self.path(&listed.folder, &listed.name);
            let mut from = match self.sftp.open(&path).await {
                Err(error) if is_missing(&error) => return Ok(None),
                from => from.map_err(|error| match self.failed("reading", &error) {
                    fault if fault.code.0 == "IB0604" => {
                        fault::not_permitted(&self.system, &format!("reading {}/{}", self.shown, listed.name), error)
                    }
                    fault => fault,
                })?,
            };
            let mut file = tempfile::tempfile().map_err(|error| no_room(&self.system, &error))?;
            let (mut hasher, mut size) = (Xxh3Default::new(), 0);
            let mut buffer = vec![0; 256 << 10];
            loop {
                let cut = |why: String| fault::unreachable(&self.system, &self.shown, why);
                let read =
                    from.read(&mut buffer).await.map_err(|why| cut(format!("reading {}: {why}", listed.name)))?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
                size += read as u64;
                file.write_all(&buffer[..read]).map_err(|error| no_room(&self.system, &error))?;
            }
            // Somebody went on writing while it came.
            if size != listed.size || self.stat(&path).await?.is_some_and(|now| now != (listed.size, listed.modified)) {
                return Err(fault::changed(&self.system, &listed.name));
            }
            file.rewind().map_err(|error| no_room(&self.system, &error))?;
            Ok(Some(Fetched { file, hash: Some(hasher.digest()), watched: false }))
        })
    }

    fn rename<'a>(&'a self, entry: &'a Entry, folder: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut made = String::new();
            for part in folder.split('/') {
                made = if made.is_empty() { part.to_owned() } else { format!("{made}/{part}") };
                let path = self.path(&made, "");
                if self.stat(&path).await?.is_none() {
                    self.sftp.create_dir(&path).await.map_err(|error| self.failed("making a folder in", &error))?;
                }
            }
            let (from, to) = (self.path(&entry.folder, &entry.name), self.path(folder, name));
            // Version 3 of the protocol does not replace.
            if self.stat(&to).await?.is_some() {
                self.sftp.remove_file(&to).await.map_err(|error| self.failed("replacing a file in", &error))?;
            }
            self.sftp.rename(&from, &to).await.map_err(|error| self.failed("moving a file in", &error))
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let to = self.path("", name);
            let (part, old) = (self.path("", &beside(name, "part")), self.path("", &beside(name, "old")));
            let cut =
                |why: std::io::Error| fault::unreachable(&self.system, &self.shown, format!("writing {name}: {why}"));
            let mut file = self.sftp.create(&part).await.map_err(|error| self.failed("writing into", &error))?;
            file.write_all(&bytes).await.map_err(cut)?;
            file.flush().await.map_err(cut)?;
            file.shutdown().await.map_err(cut)?;
            let size = self.stat(&part).await?.map(|(size, _)| size);
            if size != Some(bytes.len() as u64) {
                let why = format!("{name} has {} of {} bytes there", size.unwrap_or(0), bytes.len());
                return Err(fault::unreachable(&self.system, &self.shown, why));
            }
            // Version 3 of the protocol does not replace: what was there steps aside.
            let replaces = self.stat(&to).await?.is_some();
            if replaces {
                if self.stat(&old).await?.is_some() {
                    self.sftp.remove_file(&old).await.map_err(|error| self.failed("replacing a file in", &error))?;
                }
                self.sftp.rename(&to, &old).await.map_err(|error| self.failed("replacing a file in", &error))?;
            }
            self.sftp.rename(&part, &to).await.map_err(|error| self.failed("naming a file in", &error))?;
            if replaces {
                // It is nobody's any more; one that stays is replaced next time.
                self.sftp.remove_file(&old).await.ok();
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let path = self.path(&entry.folder, &entry.name);
            self.sftp.remove_file(&path).await.map_err(|error| self.failed("deleting a file in", &error))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            Ok(Health { version: "SFTP version 3".to_owned(), user: Some(self.user.clone()), ..Health::default() })
        })
    }
}
