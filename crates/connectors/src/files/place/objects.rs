//! Buckets: S3, what speaks like it, and Azure Blob Storage.
//!
//! An object is there as a whole or not at all. It is moved by copying and then deleting it: what ends between the two
//! is repeated. *Source*: Amazon S3 API Reference (ListObjectsV2, GetObject, CopyObject, DeleteObject); Azure Blob
//! Storage REST API (List Blobs, Get Blob, Copy Blob, Delete Blob).

use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use record::{BoxFuture, Fault, Health, Options, Why};
use xxhash_rust::xxh3::Xxh3Default;

use super::{Entry, Fetched, Folder, is_plain};
use crate::files::fault;

#[derive(Clone)]
struct Bucket {
    system: String,
    store: Arc<dyn ObjectStore>,
    prefix: String,
    shown: String,
    product: &'static str,
}

/// `s3://bucket/folder`.
pub(super) fn s3(
    system: &str,
    rest: &str,
    options: &Options,
    timeout: Duration,
) -> Result<Arc<dyn super::Place>, Fault> {
    let (bucket, prefix) = split(rest);
    let (Some(id), Some(key)) = (options.text("access_key"), options.text("secret_key")) else {
        return Err(fault::settings(
            system,
            "an S3 bucket is read with a key",
            "add `access_key:` and `secret_key: \"${env:…}\"` under `connection:`",
        ));
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(options.text("region").unwrap_or("us-east-1"))
        .with_access_key_id(id)
        .with_secret_access_key(key)
        .with_client_options(client(options, timeout))
        // Not all that speaks like S3 knows the request for many.
        .with_disable_bulk_delete(true)
        .with_retry(once());
    if let Some(service) = options.text("service") {
        builder = builder.with_endpoint(service).with_allow_http(service.starts_with("http://"));
    }
    let store = builder.build().map_err(|why| no_sense(system, &why))?;
    Ok(Arc::new(Bucket {
        system: system.to_owned(),
        store: Arc::new(store),
        prefix,
        shown: format!("s3://{rest}"),
        product: "S3",
    }))
}

/// `azure://account/container/folder`.
pub(super) fn azure(
    system: &str,
    rest: &str,
    options: &Options,
    timeout: Duration,
) -> Result<Arc<dyn super::Place>, Fault> {
    let (account, inner) = rest.split_once('/').unwrap_or((rest, ""));
    let (container, prefix) = split(inner);
    if account.is_empty() || container.is_empty() {
        return Err(fault::settings(
            system,
            "an address in Azure names an account and a container",
            "write `url: azure://ACCOUNT/CONTAINER/FOLDER`",
        ));
    }
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_client_options(client(options, timeout))
        .with_retry(once());
    builder = match (options.text("secret_key"), options.text("sas")) {
        (Some(key), None) => builder.with_access_key(key),
        (None, Some(sas)) => {
            let pairs = sas.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
            builder
                .with_sas_authorization(pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect::<Vec<_>>())
        }
        _ => {
            return Err(fault::settings(
                system,
                "a container of Azure is read with the key of its account, or with a SAS token",
                "add `secret_key: \"${env:…}\"` or `sas: \"${env:…}\"` under `connection:`",
            ));
        }
    };
    if let Some(service) = options.text("service") {
        builder = builder.with_endpoint(service.to_owned()).with_allow_http(service.starts_with("http://"));
    }
    let store = builder.build().map_err(|why| no_sense(system, &why))?;
    Ok(Arc::new(Bucket {
        system: system.to_owned(),
        store: Arc::new(store),
        prefix,
        shown: format!("azure://{rest}"),
        product: "Azure Blob Storage",
    }))
}

/// `%2B` as `+`: a SAS token is handed out as it stands in an address.
fn plain(value: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let hex = (byte == b'%').then(|| {
            let two: Vec<u8> = bytes.clone().take(2).collect();
            std::str::from_utf8(&two).ok().and_then(|two| u8::from_str_radix(two, 16).ok())
        });
        match hex.flatten() {
            Some(decoded) => {
                out.push(decoded);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn split(rest: &str) -> (&str, String) {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (bucket, prefix.trim_matches('/').to_owned())
}

fn client(options: &Options, timeout: Duration) -> ClientOptions {
    // A large object may take longer than one answer: what counts is that bytes keep coming.
    let client = ClientOptions::new().with_connect_timeout(timeout).with_read_timeout(timeout).with_timeout_disabled();
    client.with_allow_http(options.text("service").is_some_and(|service| service.starts_with("http://")))
}

/// The hub has one policy of its own for what is tried again.
fn once() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::from_secs(60) }
}

fn no_sense(system: &str, why: &object_store::Error) -> Fault {
    fault::settings(system, &format!("the address or its key makes no sense: {why}"), "correct `connection:`")
}

impl Bucket {
    /// Names as they are: what an address needs is written there by the library.
    fn path(&self, folder: &str, name: &str) -> Path {
        let parts = [self.prefix.as_str(), folder, name].into_iter().flat_map(|part| part.split('/'));
        let path = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        // A part such as `..` is not taken as it is.
        Path::parse(&path).unwrap_or_else(|_| Path::from(path))
    }

    fn failed(&self, doing: &str, error: object_store::Error) -> Fault {
        use object_store::Error as E;
        let (status, words) = words(&error);
        let denied = matches!(error, E::Unauthenticated { .. } | E::PermissionDenied { .. });
        let mut fault = match status {
            Some(401 | 403) => fault::not_permitted(&self.system, &format!("{doing} {}", self.shown), &words),
            _ if denied => fault::not_permitted(&self.system, &format!("{doing} {}", self.shown), &words),
            Some(404) => fault::no_folder(&self.system, &self.shown),
            _ if matches!(error, E::NotFound { .. }) => fault::no_folder(&self.system, &self.shown),
            _ => fault::unreachable(&self.system, &self.shown, &words),
        };
        fault.why = Some(Box::new(Why { status, text: words, ..Why::default() }));
        fault
    }
}

/// The status and the words of the other side: the innermost cause. What is around it repeats the address.
fn words(error: &object_store::Error) -> (Option<u16>, String) {
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
        text = cause.to_string();
    }
    let short: String = text.chars().take(300).collect();
    let short = short.replace(['\n', '\r'], " ");
    let Some((_, answer)) = short.split_once("status code: ") else { return (None, short) };
    let status = answer.get(..3).and_then(|status| status.parse().ok());
    let answer = answer.get(4..).unwrap_or_default();
    let element =
        |name: &str| answer.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>")).map(|it| it.0);
    // An answer of these services is XML with a code and a sentence.
    let said = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => answer.to_owned(),
    };
    (status, said)
}

impl super::Place for Bucket {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Folder>, Fault>> {
        Box::pin(async move { Ok(Box::new(self.clone()) as Box<dyn Folder>) })
    }

    fn shown(&self) -> String {
        self.shown.clone()
    }
}

impl Folder for Bucket {
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, Fault>> {
        Box::pin(async move {
            let prefix = self.path(folder, "");
            let prefix = (!prefix.as_ref().is_empty()).then_some(&prefix);
            let listed = self.store.list_with_delimiter(prefix).await.map_err(|error| self.failed("listing", error))?;
            let entry = |object: object_store::ObjectMeta| {
                let name = object.location.filename().filter(|name| is_plain(name))?.to_owned();
                let modified = object.last_modified.timestamp_millis();
                Some(Entry { folder: folder.to_owned(), name, size: object.size, modified })
            };
            Ok(listed.objects.into_iter().filter_map(entry).collect())
        })
    }

    fn fetch<'a>(&'a self, listed: &'a Entry) -> BoxFuture<'a, Result<Option<Fetched>, Fault>> {
        Box::pin(async move {
            let path = self.path(&listed.folder, &listed.name);
            let answer = match self.store.get(&path).await {
                Ok(answer) => answer,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(self.failed("reading", error)),
            };
            // Another object of this name has come since the list was made.
            if (answer.meta.size, answer.meta.last_modified.timestamp() * 1000)
                != (listed.size, listed.modified - listed.modified.rem_euclid(1000))
            {
                return Err(fault::changed(&self.system, &listed.name));
            }
            let mut file = tempfile::tempfile().map_err(|error| no_room(&self.system, &error))?;
            let (mut hasher, mut size) = (Xxh3Default::new(), 0);
            let mut parts = answer.into_stream();
            while let Some(part) = futures_util::StreamExt::next(&mut parts).await {
                let part = part.map_err(|error| self.failed("reading", error))?;
                hasher.update(&part);
                size += part.len() as u64;
                file.write_all(&part).map_err(|error| no_room(&self.system, &error))?;
            }
            if size != listed.size {
                return Err(fault::changed(&self.system, &listed.name));
            }
            file.rewind().map_err(|error| no_room(&self.system, &error))?;
            Ok(Some(Fetched { file, hash: Some(hasher.digest()), watched: false }))
        })
    }

    fn rename<'a>(&'a self, entry: &'a Entry, folder: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (from, to) = (self.path(&entry.folder, &entry.name), self.path(folder, name));
            self.store.copy(&from, &to).await.map_err(|error| self.failed("copying in", error))?;
            // A copy may still be under way when it is answered.
            let copy = self.store.head(&to).await.map_err(|error| self.failed("copying in", error))?;
            if copy.size != entry.size {
                let why = format!("the copy of {} has {} of {} bytes so far", entry.name, copy.size, entry.size);
                return Err(fault::unreachable(&self.system, &self.shown, why));
            }
            self.store.delete(&from).await.map_err(|error| self.failed("deleting in", error))
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let put = self.store.put(&self.path("", name), bytes.into()).await;
            put.map(|_| ()).map_err(|error| self.failed("writing into", error))
        })
    }

    fn delete<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let path = self.path(&entry.folder, &entry.name);
            self.store.delete(&path).await.map_err(|error| self.failed("deleting in", error))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move { Ok(Health { version: self.product.to_owned(), ..Health::default() }) })
    }
}

/// The file that comes from elsewhere lies on this machine while it is read.
pub(super) fn no_room(system: &str, error: &std::io::Error) -> Fault {
    let folder = std::env::temp_dir();
    Fault::retry(record::Code("IB0514"), format!("the file cannot be laid down in {}", folder.display()), None)
        .at_system(system)
        .why(fault::words(error))
        .fix("free space there, or name another folder in the environment variable TMPDIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_name_that_it_has() {
        let (bucket, prefix) = split("sample/in ~x/");
        assert_eq!((bucket, prefix.as_str()), ("sample", "in ~x"));
        let store = AmazonS3Builder::new().with_bucket_name(bucket).build().unwrap();
        let bucket =
            Bucket { system: "supplier".into(), store: Arc::new(store), prefix, shown: String::new(), product: "S3" };
        for name in ["a#b", "a%20b", "a?b", "a*b", "~a", "a|b", "{a}", "ä"] {
            assert_eq!(bucket.path("done", name).as_ref(), format!("in ~x/done/{name}"));
        }
        assert_eq!(bucket.path("..", "a").as_ref(), "in %7Ex/%2E%2E/a");
    }
}
