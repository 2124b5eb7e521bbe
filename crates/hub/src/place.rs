//! Where in its system a destination has its rows. Where that is another place than before, the ledger knows nothing of it.

use store::{Op, Store, ledger};

use crate::pair::Pair;

/// Whether the ledger is about rows that are somewhere else.
pub(crate) fn is_another(store: &Store, pair: &Pair) -> Result<bool, store::Error> {
    let known = store.ledger_place(&pair.to, &pair.entity.name)?;
    Ok(known.is_some_and(|place| place != pair.place))
}

/// Tells the ledger where the rows are; `fence` goes first in that commit.
pub(crate) async fn note(store: &Store, pair: &Pair, fence: Option<Op>) -> Result<(), store::Error> {
    let (system, entity, place) = (pair.to.clone(), pair.entity.name.to_string(), pair.place.clone());
    if store.ledger_place(&system, &entity)?.as_ref() != Some(&place) {
        let place = ledger::Op::Place { system, entity, place };
        store.commit(fence.into_iter().chain([place.into()]).collect()).await?;
    }
    Ok(())
}
