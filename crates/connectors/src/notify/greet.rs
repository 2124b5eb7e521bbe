//! Whether the mail server answers, speaks TLS as we were told to, and lets us in: asked without sending a mail.

use std::error::Error;
use std::path::Path;

use lettre::transport::smtp;
use record::{Fault, Health, Secret, Why};

use super::{NOT_SENT, mail};

/// Connects, begins TLS and signs in, as for a mail; says nothing more than `NOOP`.
///
/// *Errors*: `IB1001`, transient where the server may answer later.
pub async fn greet(server: &Secret) -> Result<Health, Fault> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    if let Some(folder) = server.reveal().strip_prefix("file:") {
        return folder_of(Path::new(folder));
    }
    let transport = mail::connect(server)?;
    let url = reqwest::Url::parse(server.reveal()).ok();
    let user = url.as_ref().map(reqwest::Url::username).filter(|user| !user.is_empty());
    let user = user.and_then(crate::sql::decoded);
    let version = url.as_ref().map_or("SMTP", encryption).to_owned();
    match transport.test_connection().await {
        Ok(true) => Ok(Health { version, user, ..Health::default() }),
        Ok(false) => Err(Fault::retry(NOT_SENT, "the mail server greets us, and then answers no more", None)
            .fix("look at the log of the mail server, then: ironbridge systems check")),
        Err(error) => Err(refused(&error, user.as_deref())),
    }
}

/// Mails as files, for those who try things out; the folder is made with the first of them.
fn folder_of(folder: &Path) -> Result<Health, Fault> {
    if folder.exists() && !folder.is_dir() {
        let what = format!("mails cannot be written into {}: it is a file", folder.display());
        return Err(Fault::ask_person(NOT_SENT, what).fix("name a folder as `mail: { server: file:… }`"));
    }
    Ok(Health { version: "a folder".to_owned(), ..Health::default() })
}

fn encryption(url: &reqwest::Url) -> &'static str {
    let mode = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, mode)| mode.into_owned());
    match (url.scheme(), mode.as_deref()) {
        ("smtps", _) => "SMTP, TLS from the start",
        (_, Some("required")) => "SMTP, STARTTLS",
        (_, Some("opportunistic")) => "SMTP, STARTTLS where the server has it",
        _ => "SMTP in the clear",
    }
}

fn refused(error: &smtp::Error, user: Option<&str>) -> Fault {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    let status = error.status().map(u16::from);
    let user = user.map_or_else(|| "us".to_owned(), |user| format!("`{user}`"));
    let fault = match status {
        Some(530 | 534 | 535 | 538) => Fault::ask_person(NOT_SENT, format!("the mail server does not let {user} in"))
            .fix("correct user and password in `mail: server:` of ironbridge.yaml, then: ironbridge alerts test"),
        Some(500..) => Fault::ask_person(NOT_SENT, "the mail server does not speak with us")
            .fix("ask its owner whether this machine may hand mails to it"),
        Some(_) => Fault::retry(NOT_SENT, "the mail server takes nothing at the moment", None)
            .fix("nothing: notices wait, and are sent when it does"),
        // What is in the clear is no message of TLS.
        None if ["STARTTLS", "certificate", "corrupt message"].iter().any(|word| text.contains(word))
            || error.is_tls() =>
        {
            Fault::ask_person(NOT_SENT, "the mail server and the hub agree on no encryption").fix(
                "write smtps:// where the server speaks TLS from the start (port 465), `?tls=required` where it has STARTTLS (587); this machine must trust its certificate",
            )
        }
        None if error.is_client() => Fault::ask_person(NOT_SENT, format!("the mail server has no way for {user} to sign in"))
            .fix("write `?tls=required` behind the address: most servers take a password only under TLS"),
        None if error.is_response() => Fault::ask_person(NOT_SENT, "what answers there is no mail server")
            .fix("correct host and port in `mail: server:` of ironbridge.yaml"),
        None => Fault::retry(NOT_SENT, "the mail server cannot be reached", None).fix(
            "compare host and port in `mail: server:` of ironbridge.yaml, and try them from the machine that runs the hub",
        ),
    };
    fault.why(Why { status, code: None, text: text.trim().to_owned(), request_id: None })
}
