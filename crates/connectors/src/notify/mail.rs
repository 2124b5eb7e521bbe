//! Notices as mail: by SMTP, or as files in a folder for those who try things out.

use std::path::PathBuf;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use record::hash::RowHasher;
use record::{BoxFuture, Fault, Notice, NoticeKind, Notify, Secret, Severity, ValueRef, Why};

use super::NOT_SENT;

pub(super) struct Mail {
    transport: Transport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    /// A file for each mail, as mail programs open it.
    Folder(PathBuf),
}

const TIMEOUT: Duration = Duration::from_secs(30);

impl Mail {
    pub fn new(server: &Secret, from: &str, to: &[String]) -> Result<Mail, Fault> {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        if let Some(folder) = server.reveal().strip_prefix("file:") {
            let to = to.iter().map(|address| parse(address)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Mail { transport: Transport::Folder(folder.into()), from: parse(from)?, to });
        }
        let to = to.iter().map(|address| parse(address)).collect::<Result<Vec<_>, _>>()?;
        let transport = Transport::Smtp(connect(server)?);
        Ok(Mail { transport, from: parse(from)?, to })
    }

    /// Sends a mail to each of those whom it is for alone, after it was refused to all of them because of one.
    ///
    /// *Errors*: those to whom it is refused; the others have it.
    async fn one_by_one(&self, transport: &AsyncSmtpTransport<Tokio1Executor>, mail: &[u8]) -> Result<(), Fault> {
        let mut outcome = Ok(());
        for to in &self.to {
            let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])
                .expect("somebody is named, whom it is for");
            let Err(error) = transport.send_raw(&envelope, mail).await else { continue };
            let fault = refused(&format!("a notice to `{}`", to.email), &error);
            // What may go later is tried again, also where somebody hears it twice then.
            if outcome.as_ref().err().is_none_or(|before: &Fault| fault.is_transient() && !before.is_transient()) {
                outcome = Err(fault);
            }
        }
        outcome
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let builder = Message::builder().from(self.from.clone()).subject(notice.subject()).header(Automatic);
        // Those who are told see each other: they know who looks at it.
        let builder = self.to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        // One matter is one thread, and a notice that is sent again is the same mail.
        let (domain, about) = (self.from.email.domain(), thread(&notice.about));
        let first = format!("<{about}@{domain}>");
        let builder = match notice.kind {
            NoticeKind::Opened => builder.message_id(Some(first)),
            // Each is asked by a link of their own, and may share a mailbox with somebody else who is asked.
            NoticeKind::Question => {
                let whom: Vec<String> = self.to.iter().map(|to| thread(to.email.as_ref())).collect();
                let own = format!("<{about}.{}.{}@{domain}>", notice.at.as_millisecond(), whom.join("."));
                builder.message_id(Some(own)).in_reply_to(first.clone()).references(first)
            }
            _ => {
                let own = format!("<{about}.{}@{domain}>", notice.at.as_millisecond());
                builder.message_id(Some(own)).in_reply_to(first.clone()).references(first)
            }
        };
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(notice));
        let rich = SinglePart::builder().header(ContentType::TEXT_HTML).body(html(notice));
        builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(rich))
    }
}

/// *Errors*: an address that is none. Does no IO.
pub(super) fn connect(server: &Secret) -> Result<AsyncSmtpTransport<Tokio1Executor>, Fault> {
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(server.reveal()).map_err(|why| {
        let why = match server.reveal().contains("://") {
            true => why.to_string(),
            false => "it has no smtp:// before it".to_owned(),
        };
        Fault::ask_person(NOT_SENT, format!("the address of the mail server cannot be used: {why}")).fix(
            "write `mail: { server: \"smtp://user:password@host:587?tls=required\", … }`, with the password as ${env:…}",
        )
    })?;
    Ok(transport.timeout(Some(TIMEOUT)).build())
}

/// Whether the server refuses a mailbox or its mail for good, and not the hub as such.
fn is_about_a_mailbox(error: &smtp::Error) -> bool {
    error.is_permanent() && error.status().is_some_and(|code| code.category == Category::MailSystem)
}

fn refused(what: &str, error: &smtp::Error) -> Fault {
    let fault = if error.is_permanent() {
        Fault::ask_person(NOT_SENT, format!("the mail server refuses {what}"))
            .fix("look at `mail:` in ironbridge.yaml and the addresses in people.yaml, then: ironbridge alerts test")
    } else {
        Fault::retry(NOT_SENT, format!("the mail server did not take {what}"), None)
            .fix("nothing: it is tried again; meanwhile look at `mail:` and the network of this machine")
    };
    fault.why(Why { status: None, code: None, text: error.to_string(), request_id: None })
}

fn parse(address: &str) -> Result<Mailbox, Fault> {
    address.parse::<Mailbox>().map_err(|why| {
        Fault::ask_person(NOT_SENT, format!("`{address}` is no mail address: {why}")).fix("correct it in people.yaml")
    })
}

/// Writes a mail as a file of its own; the same notice is the same file.
async fn put(folder: &std::path::Path, notice: &Notice, to: &[Mailbox], mail: &Message) -> Result<(), Fault> {
    let first = to.first().map(|to| thread(to.email.as_ref())).unwrap_or_default();
    let subject: String = thread(&notice.subject()).chars().take(80).collect();
    // Two matters may have one subject in one second: requests of one customer, over one amount.
    let about = RowHasher::default().hash([ValueRef::Text(&notice.about)]) as u32;
    let name = format!("{}-{first}-{subject}-{about:08x}.eml", notice.at.strftime("%Y%m%dT%H%M%S"));
    let write = async {
        // A mail holds the link by which somebody answers.
        let mut builder = tokio::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder.create(folder).await?;
        tokio::fs::write(folder.join(name), mail.formatted()).await
    };
    write.await.map_err(|why: std::io::Error| {
        Fault::retry(NOT_SENT, format!("a mail could not be written into {}", folder.display()), None)
            .why(Why { text: why.to_string(), ..Why::default() })
            .fix("look at the folder that `mail:` in ironbridge.yaml names")
    })
}

/// Nobody's out-of-office should answer it.
#[derive(Clone)]
struct Automatic;

impl Header for Automatic {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Automatic)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The letters and digits of what a notice is about, for an id.
fn thread(about: &str) -> String {
    about.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect()
}

/// The notice for a reader of plain text.
pub fn text(notice: &Notice) -> String {
    let mut out = format!("{}\n", notice.subject());
    if let Some(body) = notice.body() {
        out.push_str(&format!("\n{body}\n"));
    }
    if !notice.facts.is_empty() {
        out.push('\n');
        let width = notice.facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, value) in &notice.facts {
            out.push_str(&format!("  {label:<width$}  {value}\n"));
        }
    }
    if let Some(command) = &notice.command {
        out.push_str(&format!("\nNext:\n  {command}\n"));
    }
    if let Some(link) = &notice.link {
        out.push_str(&format!("\n{}: {link}\n", notice.link_says()));
    }
    out
}

/// The notice for a reader with colours: one column, legible on a phone, no pictures.
pub fn html(notice: &Notice) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\n', "<br>")
    };
    let color = match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "#107c10",
        (NoticeKind::Message | NoticeKind::Question, _) => "#0f6cbd",
        (_, Severity::Critical) => "#a4262c",
        (_, Severity::Warning) => "#8a5300",
    };
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"></head>\
         <body style=\"margin:0;padding:16px;font:16px/1.5 'Segoe UI',system-ui,sans-serif;color:#242424;background:#ffffff\">\
         <div style=\"max-width:560px;border-left:4px solid {color};padding:0 16px\">\
         <h1 style=\"font-size:20px;line-height:1.3;margin:0 0 12px;color:{color}\">{}</h1>",
        escaped(&notice.subject())
    );
    for paragraph in notice.body().into_iter().flat_map(|body| body.split("\n\n")) {
        out.push_str(&format!("<p style=\"margin:0 0 12px\">{}</p>", escaped(paragraph)));
    }
    if !notice.facts.is_empty() {
        out.push_str("<table style=\"border-collapse:collapse;margin:0 0 16px\">");
        for (label, value) in &notice.facts {
            out.push_str(&format!(
                "<tr><th scope=\"row\" style=\"text-align:left;vertical-align:top;padding:2px 16px 2px 0;font-weight:600\">{}</th><td style=\"padding:2px 0;overflow-wrap:anywhere\">{}</td></tr>",
                // A short label stays on one line, beside however long a value.
                if label.len() <= 20 { escaped(label).replace(' ', "&nbsp;") } else { escaped(label) },
                escaped(value)
            ));
        }
        out.push_str("</table>");
    }
    if let Some(command) = &notice.command {
        out.push_str(&format!(
            "<p style=\"margin:0 0 4px;font-weight:600\">Next</p><pre style=\"margin:0 0 16px;padding:8px 12px;background:#f3f2f1;white-space:pre-wrap\">{}</pre>",
            escaped(command)
        ));
    }
    if let Some(link) = &notice.link {
        // A button that mail programs without rounded corners show as well.
        out.push_str(&format!(
            "<p style=\"margin:0\"><a href=\"{}\" style=\"display:inline-block;padding:8px 16px;border-radius:4px;background:#0f6cbd;color:#ffffff;text-decoration:none\">{}</a></p>",
            escaped(link),
            notice.link_says()
        ));
    }
    out.push_str("</div></body></html>");
    out
}

impl Notify for Mail {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let message = self.message(notice).map_err(|why| {
                Fault::reject(NOT_SENT, format!("a mail could not be written: {why}"))
                    .fix("look at the addresses in people.yaml")
            })?;
            let transport = match &self.transport {
                Transport::Smtp(transport) => transport,
                Transport::Folder(folder) => return put(folder, notice, &self.to, &message).await,
            };
            let (envelope, mail) = (message.envelope(), message.formatted());
            match transport.send_raw(envelope, &mail).await {
                Ok(_) => Ok(()),
                Err(error) if self.to.len() > 1 && is_about_a_mailbox(&error) => {
                    self.one_by_one(transport, &mail).await
                }
                Err(error) => Err(refused("a notice", &error)),
            }
        })
    }
}
