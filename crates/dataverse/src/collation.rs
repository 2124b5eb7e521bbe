//! How an environment compares texts, which its language decides for good.
//!
//! *Source*: "Microsoft Dataverse language collations" (learn.microsoft.com/power-platform/admin/language-collations):
//! capitals never count, accents only in some languages.

use record::KeyRules;
use serde_json::Value as Json;

/// The languages (LCID) in which `cafe` and `café` are two words.
const WITH_ACCENTS: [u64; 23] = [
    1035, 1048, 1050, 1051, 1053, 1054, 1057, 1058, 1060, 1061, 1062, 1063, 1066, 1069, 1081, 1086, 1087, 1110, 2055,
    2064, 2074, 3079, 3081,
];

/// The question for the language of an environment.
pub(crate) const LANGUAGE: &str = "organizations?$select=languagecode";

/// The rules of an environment, from the answer to [`LANGUAGE`]. Where it says nothing, those of most languages: two rows
/// that might be one are not written over each other.
pub(crate) fn rules(answer: &Json) -> KeyRules {
    let language = answer.pointer("/value/0/languagecode").and_then(Json::as_u64);
    let ignore_accents = !language.is_some_and(|language| WITH_ACCENTS.contains(&language));
    KeyRules { ignore_case: true, ignore_trailing_spaces: true, ignore_accents, ..KeyRules::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_language_says_whether_accents_count() {
        let of = |language: u64| rules(&json!({ "value": [{ "languagecode": language }] })).ignore_accents;
        assert_eq!([1033, 1031, 1036, 1053, 1035, 3079].map(of), [true, true, true, false, false, false]);
        assert!(rules(&json!({})).ignore_accents && rules(&json!({})).ignore_case);
    }
}
