//! Text out of HTML.

use crate::eval::Env;
use crate::value::Value;
use regex::Regex;
use std::sync::LazyLock;

static COMMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<!--.*?-->"));
static HEADER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<\s*header\b[^>]*>.*?<\s*/\s*header\s*>"));
static SCRIPT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<\s*script\b[^>]*>.*?<\s*/\s*script\s*>"));
static STYLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<\s*style\b[^>]*>.*?<\s*/\s*style\s*>"));
static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)<\s*(?:br|li)(?:\s[^>]*)?\s*/?\s*>"));
static PARAGRAPH: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)<\s*(?:p|div|tr)(?:\s[^>]*)?\s*/?\s*>"));
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"<[^>]*>"));
static ENTITY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"&(#[xX][0-9a-fA-F]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]{1,8});"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that the tests compile")
}

/// Without comments, scripts, styles and tags, with line breaks for the tags that make them, entities as characters.
pub(crate) fn plain_text<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let mut text = crate::functions::text::text_of(&args[0]).to_owned();
    for (find, put) in [
        (&COMMENT, ""),
        (&HEADER, ""),
        (&SCRIPT, ""),
        (&STYLE, ""),
        (&LINE, "\r\n"),
        (&PARAGRAPH, "\r\n\r\n"),
        (&TAG, ""),
    ] {
        text = find.replace_all(&text, put).into_owned();
        if let Err(error) = env.text_room(text.len()) {
            return error;
        }
    }
    let out = ENTITY.replace_all(&text, |found: &regex::Captures<'_>| {
        entity(&found[1]).map_or_else(|| found[0].to_owned(), String::from)
    });
    let out = out.trim().to_owned();
    env.text(out)
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    ENTITIES.iter().find(|(n, _)| *n == name).map(|(_, c)| *c)
}

/// The named characters of HTML 4, from its own tables: markup, Latin-1 from 160 on, Greek, signs.
static ENTITIES: LazyLock<Vec<(&'static str, char)>> = LazyLock::new(|| {
    let latin = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 \
        acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
        AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times \
        Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave \
        eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute \
        ucirc uuml yacute thorn yuml";
    let greek = "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho . Sigma Tau \
        Upsilon Phi Chi Psi Omega";
    let small = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma tau \
        upsilon phi chi psi omega";
    let run = |names: &'static str, from: u32| {
        names.split_whitespace().zip(from..).filter_map(|(name, code)| Some((name, char::from_u32(code)?)))
    };
    let mut all: Vec<(&'static str, char)> = vec![
        ("lt", '<'),
        ("gt", '>'),
        ("amp", '&'),
        ("quot", '"'),
        ("apos", '\''),
        ("euro", '€'),
        ("OElig", 'Œ'),
        ("oelig", 'œ'),
        ("Scaron", 'Š'),
        ("scaron", 'š'),
        ("Yuml", 'Ÿ'),
        ("fnof", 'ƒ'),
        ("circ", 'ˆ'),
        ("tilde", '˜'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("sbquo", '‚'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("bdquo", '„'),
        ("dagger", '†'),
        ("Dagger", '‡'),
        ("bull", '•'),
        ("hellip", '…'),
        ("permil", '‰'),
        ("prime", '′'),
        ("Prime", '″'),
        ("lsaquo", '‹'),
        ("rsaquo", '›'),
        ("trade", '™'),
        ("larr", '←'),
        ("uarr", '↑'),
        ("rarr", '→'),
        ("darr", '↓'),
        ("harr", '↔'),
        ("minus", '−'),
        ("ne", '≠'),
        ("le", '≤'),
        ("ge", '≥'),
        ("infin", '∞'),
        ("ensp", '\u{2002}'),
        ("emsp", '\u{2003}'),
        ("thinsp", '\u{2009}'),
    ];
    all.extend(run(latin, 160));
    all.extend(run(greek, 0x391));
    all.extend(run(small, 0x3b1));
    all
});
