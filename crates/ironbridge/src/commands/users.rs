//! `ironbridge users`: who may use the web console.

use std::io::{BufRead, IsTerminal};

use serde_json::{Value as Json, json};
use store::users::User;
use web_console::accounts;

use crate::cli::{Cli, Format, Users as Command};
use crate::failure::Failure;
use crate::output::{moment, table};
use crate::{say, talk, wiring};

pub async fn users(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let by = wiring::actor();
    match command {
        Command::Add { name, role, person } => {
            let password = password(&format!("Password of {name}"))?;
            accounts::add(&project, &store, &by, name, *role, person.as_deref(), &password).await?;
            talk!("{name} is {role} and can sign in to the console now.");
        }
        Command::List => return list(cli, &store.users()?, &project.hub.time_zone),
        Command::Role { name, role } => {
            accounts::set_role(&store, &by, name, *role).await?;
            talk!("{name} is {role} from the next request on.");
        }
        Command::Password { name } => {
            accounts::find(&store, name)?;
            let password = password(&format!("New password of {name}"))?;
            accounts::set_password(&store, &by, name, &password).await?;
            talk!("{name} has another password, and is signed out everywhere.");
        }
        Command::Remove { name } => {
            accounts::remove(&store, &by, name).await?;
            talk!("{name} is removed, and signed out everywhere.");
            if !store.has_users()? {
                talk!("Nobody is left: the console is shown on this machine only, to whoever sits at it.");
            }
        }
    }
    Ok(0)
}

fn list(cli: &Cli, users: &[User], zone: &jiff::tz::TimeZone) -> Result<u8, Failure> {
    if cli.format == Format::Json {
        let items = users.iter().map(|user| {
            json!({
                "name": user.name, "role": user.role.to_string(), "person": user.person,
                "created": user.created.to_string(), "changed": user.changed.to_string(),
            })
        });
        say!("{:#}", Json::from_iter(items));
        return Ok(0);
    }
    if users.is_empty() {
        talk!("Nobody signs in: the console is shown on this machine only, to whoever sits at it.");
        talk!("From the first user on, everybody signs in: ironbridge users add NAME --role admin");
        return Ok(0);
    }
    let rows = users.iter().map(|user| {
        let person = user.person.clone().unwrap_or_default();
        vec![user.name.clone(), user.role.to_string(), person, moment(user.created, zone)]
    });
    say!("{}", table(&["name", "role", "decides as", "added"], rows.collect()));
    Ok(0)
}

/// Typed twice and not shown at a terminal, else the first line of stdin.
fn password(of: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let terminal = console::Term::stderr();
    loop {
        terminal.write_str(&format!("{of}: "))?;
        let first = terminal.read_secure_line()?;
        terminal.write_str("Once more: ")?;
        if terminal.read_secure_line()? == first {
            return Ok(first);
        }
        talk!("These are two different ones.");
    }
}
