//! The places of a table with open addressing: by the highest bits of a hash, and then one after the other.

/// Where the search for a hash begins.
pub(crate) fn first(hash: u128, slots: usize) -> usize {
    (((hash >> 64) * slots as u128) >> 64) as usize
}

/// Where it goes on.
pub(crate) fn after(slot: usize, slots: usize) -> usize {
    if slot + 1 == slots { 0 } else { slot + 1 }
}
