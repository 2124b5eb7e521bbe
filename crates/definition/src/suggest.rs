//! "Did you mean": the nearest of some names.

/// The name that was probably meant, or none that is near enough.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = wrong.to_lowercase().replace('-', "_");
    // A third of the letters may be wrong; of a short name one.
    let budget = (wrong.chars().count() / 3).clamp(1, 4);
    names
        .into_iter()
        .filter_map(|name| {
            let other = name.to_lowercase().replace('-', "_");
            let distance = strsim::damerau_levenshtein(&lower, &other);
            let near = distance <= budget
                || (lower.len() >= 4 && other.starts_with(&lower))
                || (other.len() >= 4 && lower.starts_with(&other));
            near.then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean `x`?`, where something is near enough.
pub(crate) fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(wrong, names).map(|name| format!("did you mean `{name}`?"))
}

/// `a, b, c`, with an end where there are very many.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 30;
    let names: Vec<&str> = names.into_iter().collect();
    if names.len() <= SHOWN {
        return names.join(", ");
    }
    format!("{}, … ({} in all)", names[..SHOWN].join(", "), names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_stranger_is_not() {
        let names = ["schedule", "owner", "purpose", "needed_by"];
        for (wrong, right) in [
            ("shedule", Some("schedule")),
            ("Owner", Some("owner")),
            ("needed-by", Some("needed_by")),
            ("purpos", Some("purpose")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wrong, names), right, "{wrong}");
        }
    }
}
