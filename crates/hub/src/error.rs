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
