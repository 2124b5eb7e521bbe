//! Who may do what, and where somebody has to sign in. Pure.

use http::HeaderMap;
use store::users::Role;

/// How the console is reached at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody signs in: whoever sits at this machine is meant.
    LocalPerson,
    SignIn,
    /// Nobody gets in: others could read along, or anybody could come.
    Refused,
}

/// How the console is reached: from other machines only where nobody can read along and everybody has a name.
pub fn access(loopback: bool, tls: bool, users: bool) -> Access {
    match (loopback, tls, users) {
        (true, _, false) => Access::LocalPerson,
        (true, _, true) | (false, true, true) => Access::SignIn,
        (false, _, _) => Access::Refused,
    }
}

/// What a route needs of whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To be signed in is not needed.
    Nothing,
    Look,
    /// Run, pause, resume, retry, discard.
    Operate,
    /// Answer a question that the hub put.
    Decide,
    /// The users of the console.
    Administer,
}

impl Needs {
    /// What a person is not allowed to do, in words.
    pub fn words(self) -> &'static str {
        match self {
            Needs::Nothing | Needs::Look => "look at this",
            Needs::Operate => "run, pause, retry or discard",
            Needs::Decide => "approve or reject",
            Needs::Administer => "manage users",
        }
    }
}

/// Whether a role is enough.
pub fn allows(role: Role, needs: Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::Look => true,
        Needs::Operate => matches!(role, Role::Operator | Role::Admin),
        Needs::Decide => matches!(role, Role::Approver | Role::Admin),
        Needs::Administer => role == Role::Admin,
    }
}

/// Whether a request that came to this machine itself was meant for it. A page of somebody else's can have its own name
/// lead here (DNS rebinding); then the browser sends that name.
pub fn is_our_host(host: Option<&str>, port: u16) -> bool {
    let Some(host) = host else { return false };
    let (name, given) = match host.rsplit_once(':') {
        Some((name, given)) if !given.ends_with(']') => (name, given.parse::<u16>().ok()),
        _ => (host, Some(80)),
    };
    let local = ["localhost", "127.0.0.1", "[::1]"];
    given == Some(port) && local.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Whether somebody passed the request on: then its sender is not who the connection says. A proxy or tunnel that says
/// nothing of itself cannot be told from a program on this machine.
pub fn was_passed_on(headers: &HeaderMap) -> bool {
    const SAY_SO: [&str; 6] =
        ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    SAY_SO.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_other_machines_only_with_tls_and_users() {
        let all = [true, false].map(|a| [true, false].map(|b| [true, false].map(|c| access(a, b, c))));
        use Access::{LocalPerson as P, Refused as R, SignIn as S};
        assert_eq!(all, [[[S, P], [S, P]], [[S, R], [R, R]]]);
    }

    #[test]
    fn each_role_may_do_what_its_name_says() {
        let needs = [Needs::Look, Needs::Operate, Needs::Decide, Needs::Administer];
        let table = Role::ALL.iter().map(|role| (*role, needs.map(|needs| allows(*role, needs)))).collect::<Vec<_>>();
        assert_eq!(
            table,
            [
                (Role::Viewer, [true, false, false, false]),
                (Role::Operator, [true, true, false, false]),
                (Role::Approver, [true, false, true, false]),
                (Role::Admin, [true, true, true, true]),
            ]
        );
    }

    #[test]
    fn names_of_others_do_not_lead_here() {
        let ours = ["localhost:7700", "LOCALHOST:7700", "127.0.0.1:7700", "[::1]:7700"];
        assert_eq!(ours.map(|host| is_our_host(Some(host), 7700)), [true; 4]);
        let others = [
            "evil.example:7700",
            "127.0.0.1",
            "127.0.0.1:7701",
            "localhost.evil.example:7700",
            "[::1]",
            "",
            "::1:7700",
        ];
        assert_eq!(others.map(|host| is_our_host(Some(host), 7700)), [false; 7]);
        assert!(!is_our_host(None, 7700) && is_our_host(Some("localhost"), 80));
    }
}
