//! Faults on demand: one run-time switch for the places where a crash must not lose anything.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Named points at which a test makes the process abort or a call fail. Off by default, and then one branch.
///
/// The store knows `commit.before` (nothing is on disk yet) and `commit.after` (it is on disk and the answer is lost);
/// other crates may name their own and ask with [`Failpoints::hit`].
///
/// *Shape* of a specification: `point[@N]=abort|error`, several joined by `;`. With `@N` only the Nth hit of the point
/// acts, counted from one over the life of this value and its clones; without it every hit does.
///
/// ```
/// let failpoints: store::Failpoints = "commit.before@3=abort;sink.after@1=error".parse().unwrap();
/// assert!(failpoints.hit("sink.after").is_err());
/// assert!(failpoints.hit("sink.after").is_ok());
/// ```
#[derive(Clone, Default)]
pub struct Failpoints(Option<Arc<[Failpoint]>>);

struct Failpoint {
    point: Box<str>,
    at: Option<u64>,
    action: Action,
    hits: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Abort,
    Error,
}

/// A failpoint said that this call fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failpoint `{point}` was set to fail here")]
pub struct Injected {
    pub point: String,
}

/// A specification of failpoints that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is not a failpoint; write it as `point[@N]=abort` or `point[@N]=error`")]
pub struct NotAFailpoint {
    pub part: String,
}

impl Failpoints {
    /// No failpoint at all.
    pub fn off() -> Failpoints {
        Failpoints::default()
    }

    /// Passes, fails, or aborts the process, as the specification says for this hit of `point`.
    pub fn hit(&self, point: &str) -> Result<(), Injected> {
        let Some(all) = &self.0 else { return Ok(()) };
        for failpoint in all.iter().filter(|failpoint| &*failpoint.point == point) {
            let hit = failpoint.hits.fetch_add(1, Ordering::Relaxed) + 1;
            if failpoint.at.is_some_and(|at| at != hit) {
                continue;
            }
            match failpoint.action {
                Action::Abort => std::process::abort(),
                Action::Error => return Err(Injected { point: point.to_owned() }),
            }
        }
        Ok(())
    }
}

impl FromStr for Failpoints {
    type Err = NotAFailpoint;

    fn from_str(text: &str) -> Result<Failpoints, NotAFailpoint> {
        let all = text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| parse(part).ok_or_else(|| NotAFailpoint { part: part.to_owned() }))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Failpoints((!all.is_empty()).then(|| all.into())))
    }
}

fn parse(part: &str) -> Option<Failpoint> {
    let (place, action) = part.split_once('=')?;
    let action = match action.trim() {
        "abort" => Action::Abort,
        "error" => Action::Error,
        _ => return None,
    };
    let (point, at) = match place.split_once('@') {
        Some((point, at)) => (point, Some(at.trim().parse().ok().filter(|&at| at > 0)?)),
        None => (place, None),
    };
    let point = point.trim();
    (!point.is_empty()).then(|| Failpoint { point: point.into(), at, action, hits: AtomicU64::new(0) })
}

impl fmt::Debug for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = self.0.iter().flat_map(|all| all.iter());
        f.debug_set().entries(points.map(|p| format!("{}@{:?}={:?}", p.point, p.at, p.action))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_hit_fails() {
        let failpoints: Failpoints = "a@2=error; b=error;".parse().unwrap();
        let hits: Vec<bool> = (0..4).map(|_| failpoints.clone().hit("a").is_ok()).collect();
        assert_eq!(hits, [true, false, true, true]);
        assert_eq!(failpoints.hit("b"), Err(Injected { point: "b".into() }));
        assert!(failpoints.hit("c").is_ok());
    }

    #[test]
    fn rubbish_is_named() {
        for part in ["a", "a@0=error", "a@x=abort", "=error", "a=explode"] {
            let error = format!("ok=error;{part}").parse::<Failpoints>().unwrap_err();
            assert_eq!(error.part, part);
        }
        assert!("".parse::<Failpoints>().unwrap().hit("a").is_ok());
    }
}
