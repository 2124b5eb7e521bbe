//! S3 and Azure, as far as two small servers of our own go: they list in pages, hand out, copy and delete objects, and
//! turn away whoever brings no signature.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;

#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    S3,
    Azure,
}

/// Objects by their names in the bucket.
type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

struct Bucket {
    url: String,
    objects: Objects,
    /// Methods and paths of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

/// All objects were last changed at this time.
const MODIFIED: &str = "Wed, 01 Jul 2026 11:00:00 GMT";
const MODIFIED_ISO: &str = "2026-07-01T11:00:00.000Z";
const PER_PAGE: usize = 2;

/// Serves until the test ends: the thread goes with the process.
fn bucket(speaks: Speaks, objects: &[(&str, &str)]) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let objects = objects.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let bucket = Bucket { url, objects: Arc::new(Mutex::new(objects)), asked: Arc::default() };
    let (objects, asked) = (bucket.objects.clone(), bucket.asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, speaks, &objects, &asked);
        }
    });
    bucket
}

fn answer(mut stream: TcpStream, speaks: Speaks, objects: &Objects, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    asked.lock().unwrap().push(format!("{method} {target}"));
    let (status, more, body) = respond(speaks, &method, &target, &headers, &body, objects);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n", body.len());
    // A HEAD is answered with the length of what a GET would bring, and nothing more.
    let body = if method == "HEAD" { Vec::new() } else { body };
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).ok();
}

type Response = (&'static str, String, Vec<u8>);

fn respond(
    speaks: Speaks,
    method: &str,
    target: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    objects: &Objects,
) -> Response {
    let signed = match speaks {
        Speaks::S3 => "AWS4-HMAC-SHA256 Credential=right/",
        Speaks::Azure => "SharedKey account:",
    };
    if !headers.get("authorization").is_some_and(|value| value.starts_with(signed)) {
        return (
            "403 Forbidden",
            String::new(),
            b"<Error><Code>AccessDenied</Code><Message>who are you?</Message></Error>".to_vec(),
        );
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%2F", "/")))
        .collect();
    let mut objects = objects.lock().unwrap();
    let Some(inner) = path.strip_prefix("/bucket") else {
        return ("404 Not Found", String::new(), b"<Error><Code>NoSuchBucket</Code></Error>".to_vec());
    };
    let name = inner.trim_start_matches('/').to_owned();
    if method == "GET" && name.is_empty() {
        return list(speaks, &query, &objects);
    }
    if method == "POST" && query.get("comp").is_some_and(|comp| comp == "batch") {
        return delete_in_a_batch(headers, body, &mut objects);
    }
    let source = headers.get(if speaks == Speaks::S3 { "x-amz-copy-source" } else { "x-ms-copy-source" });
    match (method, source) {
        ("GET" | "HEAD", _) => match objects.get(&name) {
            Some(body) => (
                "200 OK",
                format!("last-modified: {MODIFIED}\r\netag: \"{}\"\r\nx-ms-blob-type: BlockBlob\r\n", body.len()),
                body.clone(),
            ),
            None => ("404 Not Found", String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        },
        ("PUT", Some(source)) => {
            let from = source.split_once("bucket/").unwrap().1.to_owned();
            let content = objects[&from].clone();
            objects.insert(name, content);
            let copied = format!(
                "<CopyObjectResult><ETag>\"1\"</ETag><LastModified>{MODIFIED_ISO}</LastModified></CopyObjectResult>"
            );
            ("200 OK", "etag: \"1\"\r\n".to_owned(), copied.into_bytes())
        }
        ("PUT", None) => {
            objects.insert(name, body.to_vec());
            ("201 Created", format!("etag: \"1\"\r\nlast-modified: {MODIFIED}\r\n"), Vec::new())
        }
        ("DELETE", _) => {
            objects.remove(&name);
            ("204 No Content", String::new(), Vec::new())
        }
        _ => ("400 Bad Request", String::new(), Vec::new()),
    }
}

/// The objects of a folder, two at a time.
fn list(speaks: Speaks, query: &BTreeMap<String, String>, objects: &BTreeMap<String, Vec<u8>>) -> Response {
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let after = query.get("continuation-token").or_else(|| query.get("marker")).map(String::as_str).unwrap_or_default();
    let found: Vec<(&String, usize)> = objects
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && !name[prefix.len()..].contains('/') && name.as_str() > after)
        .map(|(name, content)| (name, content.len()))
        .collect();
    let page = &found[..found.len().min(PER_PAGE)];
    let next = (found.len() > PER_PAGE).then(|| page.last().unwrap().0.clone());
    let xml = match speaks {
        Speaks::S3 => {
            let rows: String = page
                .iter()
                .map(|(name, size)| format!("<Contents><Key>{name}</Key><LastModified>{MODIFIED_ISO}</LastModified><ETag>\"{size}\"</ETag><Size>{size}</Size></Contents>"))
                .collect();
            let more =
                next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>")).unwrap_or_default();
            format!("<ListBucketResult>{rows}{more}</ListBucketResult>")
        }
        Speaks::Azure => {
            let rows: String = page
                .iter()
                .map(|(name, size)| format!("<Blob><Name>{name}</Name><Properties><Last-Modified>{MODIFIED}</Last-Modified><Etag>{size}</Etag><Content-Length>{size}</Content-Length><Content-Type>text/csv</Content-Type></Properties></Blob>"))
                .collect();
            format!(
                "<EnumerationResults><Blobs>{rows}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
                next.unwrap_or_default()
            )
        }
    };
    ("200 OK", "content-type: application/xml\r\n".to_owned(), xml.into_bytes())
}

/// Azure's request that holds requests: one part for each object.
fn delete_in_a_batch(
    headers: &BTreeMap<String, String>,
    body: &[u8],
    objects: &mut BTreeMap<String, Vec<u8>>,
) -> Response {
    assert!(headers["content-type"].starts_with("multipart/mixed"));
    let text = String::from_utf8_lossy(body);
    let mut answer = String::new();
    for (at, line) in text.lines().filter(|line| line.starts_with("DELETE ")).enumerate() {
        let path = line.split_whitespace().nth(1).unwrap();
        objects.remove(path.strip_prefix("/bucket/").unwrap_or_else(|| panic!("{path}")));
        answer += &format!(
            "--part\r\nContent-Type: application/http\r\nContent-ID: {at}\r\n\r\nHTTP/1.1 202 Accepted\r\nx-ms-request-id: 1\r\n\r\n\r\n"
        );
    }
    answer += "--part--\r\n";
    ("202 Accepted", "content-type: multipart/mixed; boundary=part\r\n".to_owned(), answer.into_bytes())
}

const FILES: &[(&str, &str)] = &[
    ("in/p_1.csv", "number,amount\n1,1\n2,1\n3,1\n"),
    ("in/p_2.csv", "number,amount\n4,1\n"),
    ("in/p_3.csv", "number,amount\n5,1\n"),
    ("in/other.txt", "x"),
    ("in/old/p_0.csv", "number,amount\n0,1\n"),
    ("elsewhere/p_9.csv", "number,amount\n9,1\n"),
];

async fn reads_and_moves(bucket: &Bucket, system: &dyn System) {
    let health = system.check().await.unwrap();
    assert!(health.version.ends_with("4 files in it") && health.missing.is_empty(), "{health:?}");
    let source = system.source(spec(CHANGES)).unwrap();
    let whole = read(&*source, None).await.unwrap();
    assert_eq!(whole.rows, ["1=1", "2=1", "3=1", "4=1", "5=1"]);
    let rest = read(&*source, whole.pages[0].cursor.as_deref()).await.unwrap();
    assert_eq!(rest.rows, whole.rows[2..]);
    source.committed(whole.cursor.as_deref().unwrap()).await.unwrap();
    let names: Vec<String> = bucket.objects.lock().unwrap().keys().cloned().collect();
    let expected = [
        "elsewhere/p_9.csv",
        "in/done/p_1.csv",
        "in/done/p_2.csv",
        "in/done/p_3.csv",
        "in/old/p_0.csv",
        "in/other.txt",
    ];
    assert_eq!(names, expected);
    assert_eq!(read(&*source, None).await.unwrap().rows, whole.rows);
    bucket.objects.lock().unwrap().insert("in/p_4.csv".into(), b"number,amount\n7,7\n".to_vec());
    let newest = system.source(spec(&[EVERYTHING, &[("afterwards", "delete")]].concat())).unwrap();
    let seen = read(&*newest, None).await.unwrap();
    assert_eq!(seen.rows, ["7=7"]);
    newest.committed(seen.cursor.as_deref().unwrap()).await.unwrap();
    assert!(!bucket.objects.lock().unwrap().contains_key("in/p_4.csv"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    let bucket = bucket(Speaks::S3, FILES);
    let system = |key: &str, url: &str| {
        open(&[
            ("url", url),
            ("service", &bucket.url),
            ("access_key", key),
            ("secret_key", "sample"),
            ("region", "eu-west-2"),
        ])
    };
    reads_and_moves(&bucket, &*system("right", "s3://bucket/in")).await;
    assert!(bucket.asked.lock().unwrap().iter().any(|line| line.contains("list-type=2")), "{:?}", bucket.asked);
    let fault = system("wrong", "s3://bucket/in").check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0604", record::Now::AskPerson), "{fault}");
    assert!(!format!("{fault:?}").contains("sample"), "a key is shown");
    let fault = system("right", "s3://nobody/in").check().await.unwrap_err();
    assert_eq!(fault.code.0, "IB0602", "{fault}");
    let nowhere =
        [("url", "s3://bucket/in"), ("service", "http://127.0.0.1:9"), ("access_key", "a"), ("secret_key", "b")];
    let fault = open(&nowhere).check().await.unwrap_err();
    assert!(fault.code.0 == "IB0601" && fault.is_transient(), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azure() {
    let bucket = bucket(Speaks::Azure, FILES);
    // The key of the account, as Azure hands it out: base64.
    let system = |account: &str| {
        let url = format!("azure://{account}/bucket/in");
        open(&[("url", &url), ("service", &bucket.url), ("secret_key", "c2FtcGxl")])
    };
    reads_and_moves(&bucket, &*system("account")).await;
    let fault = system("stranger").check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0604", record::Now::AskPerson), "{fault}");
}

#[tokio::test]
async fn one_request_replaces_an_object() {
    for speaks in [Speaks::S3, Speaks::Azure] {
        let bucket = bucket(speaks, &[("out/other.csv", "x")]);
        let system = match speaks {
            Speaks::S3 => open(&[
                ("url", "s3://bucket/out"),
                ("service", &bucket.url),
                ("access_key", "right"),
                ("secret_key", "c2VjcmV0"),
            ]),
            Speaks::Azure => {
                open(&[("url", "azure://account/bucket/out"), ("service", &bucket.url), ("secret_key", "c2VjcmV0")])
            }
        };
        super::writing::replaces(&*system, || {
            let objects = bucket.objects.lock().unwrap();
            objects.get("out/stock.csv").map(|content| String::from_utf8(content.clone()).unwrap())
        })
        .await;
        let asked = bucket.asked.lock().unwrap();
        let written = asked.iter().filter(|request| request.starts_with("PUT ")).count();
        assert_eq!(written, 3, "one request for each change of the file: {asked:?}");
        assert_eq!(bucket.objects.lock().unwrap().len(), 2, "nothing else lies there");
    }
}
