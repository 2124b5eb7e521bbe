//! Users, as the command line and the console change them, each with its entry in the audit log.

use definition::Project;
use http::StatusCode;
use record::Code;
use serde_json::json;
use store::audit::Actor;
use store::users::{Op, Role, User};
use store::{Refusal, Store};

use crate::passwords;
use crate::problem::Problem;

/// Something about a user cannot be as it was asked.
pub const NO_USER: Code = Code("IB1055");
/// A password that would be guessed.
pub const WEAK_PASSWORD: Code = Code("IB1056");

const NAME_CHARS_MAX: usize = 60;

fn refused(what: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, NO_USER, what, fix)
}

/// The user of a name.
///
/// *Errors*: there is none.
pub fn find(store: &Store, name: &str) -> Result<User, Problem> {
    store
        .user(name)?
        .ok_or_else(|| refused(format!("there is no user `{name}`"), "see who there is: ironbridge users list"))
}

/// Adds a user.
///
/// *Errors*: a name that is taken or none, a person that people.yaml does not have, a weak password, a first user who is
/// no admin.
pub async fn add(
    project: &Project,
    store: &Store,
    by: &Actor,
    name: &str,
    role: Role,
    person: Option<&str>,
    password: &str,
) -> Result<(), Problem> {
    let fits = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(fits) {
        let fix = "use letters, digits and . _ - @, at most 60 of them";
        return Err(refused(format!("`{name}` cannot be the name of a user"), fix));
    }
    if let Some(person) = person.filter(|id| project.people.iter().all(|person| person.id != *id)) {
        let known: Vec<&str> = project.people.iter().map(|person| person.id.as_str()).collect();
        let fix = format!("people.yaml has: {}", if known.is_empty() { "nobody".to_owned() } else { known.join(", ") });
        return Err(refused(format!("people.yaml has no person `{person}`"), fix));
    }
    if role != Role::Admin && !store.has_users()? {
        let fix = format!("begin with an admin: ironbridge users add {name} --role admin");
        return Err(refused("the first user has to be an admin: from then on everybody signs in", fix));
    }
    let hash = hashed(name, password).await?;
    let person = person.map(str::to_owned);
    let did = by.did("users add", name).with(json!({ "role": role.as_str(), "person": person }));
    let added = store.commit(vec![Op::Add { name: name.to_owned(), role, person, password: hash }.into(), did.op()]);
    match added.await {
        Err(error) => match error.refusal() {
            Some(refusal @ Refusal::UserTaken { .. }) => Err(refused(refusal.to_string(), "choose another name")),
            _ => Err(error.into()),
        },
        Ok(_) => Ok(()),
    }
}

/// Gives a user another password and signs them out everywhere.
///
/// *Errors*: no such user, a weak password.
pub async fn set_password(store: &Store, by: &Actor, name: &str, password: &str) -> Result<(), Problem> {
    let user = find(store, name)?;
    let hash = hashed(&user.name, password).await?;
    let did = by.did("users password", &*user.name);
    store.commit(vec![Op::Password { name: user.name, password: hash }.into(), did.op()]).await?;
    Ok(())
}

/// Gives a user another role.
///
/// *Errors*: no such user, the last admin.
pub async fn set_role(store: &Store, by: &Actor, name: &str, role: Role) -> Result<(), Problem> {
    let user = find(store, name)?;
    if role != Role::Admin && is_last_admin(store, &user)? {
        return Err(refused(format!("`{name}` is the last admin"), "make somebody else an admin first"));
    }
    let did = by.did("users role", &*user.name).with(json!({ "role": role.as_str(), "before": user.role.as_str() }));
    store.commit(vec![Op::Role { name: user.name, role }.into(), did.op()]).await?;
    Ok(())
}

/// Removes a user and signs them out everywhere. The very last user may go: then nobody signs in any more, and the
/// console is shown on this machine only.
///
/// *Errors*: no such user, the last admin while there are others.
pub async fn remove(store: &Store, by: &Actor, name: &str) -> Result<(), Problem> {
    let user = find(store, name)?;
    if is_last_admin(store, &user)? && store.users()?.len() > 1 {
        return Err(refused(format!("`{name}` is the last admin"), "make somebody else an admin first"));
    }
    let did = by.did("users remove", &*user.name).with(json!({ "role": user.role.as_str() }));
    store.commit(vec![Op::Remove { name: user.name }.into(), did.op()]).await?;
    Ok(())
}

fn is_last_admin(store: &Store, user: &User) -> Result<bool, Problem> {
    let others = store.users()?.into_iter().filter(|other| other.role == Role::Admin && other.name != user.name);
    Ok(user.role == Role::Admin && others.count() == 0)
}

/// On a thread of its own: it takes the machine a while, on purpose.
async fn hashed(name: &str, password: &str) -> Result<String, Problem> {
    if let Some(why) = passwords::problem(password, name) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            WEAK_PASSWORD,
            format!("this password is too weak: {why}"),
            "choose another one",
        ));
    }
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || passwords::hash(&password)).await;
    Ok(hash.expect("hashing does not panic"))
}
