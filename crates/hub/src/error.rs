use record::Fault;

/// Why a run could not even be recorded. Everything else is a [`crate::Report`] of a run that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// Whether another process works on this integration right now, and until when its lease holds.
    pub fn busy(&self) -> Option<(&str, jiff::Timestamp)> {
        let Error::Store(error) = self;
        match error.refusal()? {
            store::Refusal::LeaseHeld { holder, until, .. } => Some((holder, *until)),
            _ => None,
        }
    }
}

/// Why work does not go on: the other side, or our own state.
pub(crate) enum Stopped {
    Fault(Box<Fault>),
    Store(store::Error),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped::Fault(Box::new(fault))
    }
}

impl From<store::Error> for Stopped {
    fn from(error: store::Error) -> Stopped {
        Stopped::Store(error)
    }
}
