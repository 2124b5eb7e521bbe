//! The mail server of the hub, which stands beside the systems.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::{TABLE, Walk, nobody, silent};

/// A mail server that says hello, has STARTTLS or not, and takes one password. It takes no mail.
fn mail_server(starttls: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let say = |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes()).ok();
            say("220 mail.contoso.example ESMTP");
            while let Some(Ok(line)) = lines.next() {
                match line.split(' ').next().unwrap_or_default() {
                    "EHLO" if starttls => say("250-mail.contoso.example\r\n250 STARTTLS"),
                    "EHLO" => say("250-mail.contoso.example\r\n250 AUTH PLAIN"),
                    "STARTTLS" => say("454 TLS not available at the moment"),
                    // `hub`, `right`.
                    "AUTH" if line.ends_with("AGh1YgByaWdodA==") => say("235 go on"),
                    "AUTH" => say("535 5.7.8 authentication credentials invalid"),
                    _ => say("250 ok"),
                };
            }
        }
    });
    address
}

#[test]
fn what_the_mail_server_says() {
    let mut walk = Walk::new("mail", TABLE, true);
    let (dir, plain, starttls) = (walk.world.dir.clone(), mail_server(false), mail_server(true));
    std::fs::write(dir.join("a-file"), "").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_mail_server = other.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").ok();
        }
    });
    walk.world.edit("ironbridge.yaml", "file:mails", "${file:mail.secret}");
    let silent = silent();
    for (what, server, exit) in [
        ("all is well", format!("smtp://hub:right@{plain}"), 0),
        ("the password is wrong", format!("smtp://hub:wrong@{plain}"), 1),
        ("the server has no STARTTLS", format!("smtp://hub:right@{plain}?tls=required"), 1),
        ("its STARTTLS is ill", format!("smtp://hub:right@{starttls}?tls=required"), 1),
        ("it wants TLS before a password", format!("smtp://hub:right@{starttls}"), 1),
        ("the server is down", format!("smtp://hub:right@{}", nobody()), 1),
        ("the server never answers", format!("smtp://hub:right@{silent}"), 1),
        ("it is no mail server", format!("smtp://{no_mail_server}"), 1),
        ("the address is none", "mail.contoso.example".to_owned(), 1),
        ("mails are files", "file:mails".to_owned(), 0),
        ("mails are files in a file", "file:a-file".to_owned(), 1),
    ] {
        std::fs::write(dir.join("mail.secret"), server).unwrap();
        walk.look(what, "{ file: shop.db }", exit, |world| world.ironbridge(&["systems", "check", "mail"]));
    }
    let both = walk.world.ironbridge(&["systems", "check"]);
    assert!(both.out.contains("smtp") && both.out.contains("tested"), "{both:?}");
    walk.end();
}
