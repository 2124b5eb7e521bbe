//! Every code of this crate, with a line each. The page is `docs/runbooks/<code>.md`.

use record::Code;

macro_rules! codes {
    ($($(#[$group:meta])* $name:ident $code:literal $title:literal;)*) => {
        $($(#[$group])* #[doc = $title] pub const $name: Code = Code($code);)*

        /// Each code with its title, in order.
        pub const ALL: &[(Code, &str)] = &[$(($name, $title)),*];
    };
}

codes! {
    NO_PROJECT "IB0101" "There is no project in this folder";
    UNREADABLE "IB0102" "A file or folder cannot be read";
    NOT_UTF8 "IB0103" "A file is not UTF-8";
    TOO_LARGE "IB0104" "A file, or the project, is larger than it may be";
    NOT_YAML "IB0105" "A file is not YAML";
    YAML_FEATURE "IB0106" "A feature of YAML that has no meaning here";
    STRAY_FILE "IB0107" "A file that nothing reads";
    UNKNOWN_KEY "IB0110" "A key that does not exist";
    DUPLICATE_KEY "IB0111" "A key stands twice";
    MISSING_KEY "IB0112" "A key is missing";
    WRONG_SHAPE "IB0113" "A value of the wrong kind";
    BAD_VALUE "IB0114" "A value that cannot be read";
    NOT_ALLOWED "IB0115" "A word that is not one of the allowed ones";
    YAML_TRAP "IB0116" "A value that YAML programs read in different ways";
    BAD_NAME "IB0117" "A name that cannot be used";
    KEYS_TOGETHER "IB0118" "Keys that do not go together";
    OUT_OF_RANGE "IB0119" "A number outside its range";
    UNKNOWN_NAME "IB0120" "A name of something that does not exist";
    DEFINED_TWICE "IB0121" "Two definitions have one name";
    UNKNOWN_KIND "IB0122" "A kind of system that does not exist";
    BAD_SCHEDULE "IB0123" "A schedule that cannot be read, or never comes";
    BAD_CALENDAR "IB0124" "A calendar that has no working time";
    ENVIRONMENT "IB0125" "An environment that does not exist, or changes what does not exist";
    NO_SECRET "IB0126" "A secret has no value";
    CIRCLE "IB0127" "A circle";
    SQL_TO_DATAVERSE "IB0201" "SQL directly to Dataverse";
    SYSTEM_TO_SYSTEM "IB0202" "A system mapped to another system";
    NO_BECAUSE "IB0203" "An event integration without `because:`";
    ENDLESS_RETRY "IB0204" "Something that would never end";
    FLOW_VOLUME "IB0205" "A flow above its volume";
    CRITICAL_FLOW "IB0206" "A flow for something business-critical";
    MASTERED_FIELD "IB0207" "A sync writes a field into the system that masters it";
    UNREPEATABLE "IB0208" "A REST destination that can neither be asked nor repeat safely";
    NO_TARGET_KEY "IB0209" "Rows are written without a key";
    NOBODY "IB0210" "Nobody would hear of a failure";
    SAYS_NOTHING "IB0211" "A purpose or a reason that says nothing";
    VIRTUAL_WRITE "IB0212" "A write to a virtual table";
    VIRTUAL_CANNOT "IB0213" "Something that a virtual table cannot do";
    NO_HELP "IB0214" "A runbook that helps nobody";
    PLAIN_SECRET "IB0215" "A secret in plain text";
    NO_SWEEP "IB0216" "No safety net behind an event";
    DISGUISED "IB0217" "A Dataverse behind another kind of system";
    VERBATIM "IB0218" "An entity that is another system's table";
    BY_ADDRESS "IB0219" "A system called by its address";
    TIGHT_SCHEDULE "IB0220" "A schedule tighter than its runs";
    PERSONAL "IB0221" "A personal field for a system that has no reason for it";
    NOT_ACCEPTABLE "IB0222" "An acceptance that does not hold";
    MOVED_AWAY "IB0223" "Reality has moved away from a decision";
    AGAINST_DECISION "IB0224" "Something else was built than was decided";
    LINES_BOTH_WAYS "IB0225" "Lines that would go both ways";
    UNHEARD "IB1002" "Alerts would reach nobody";
    STRANGE_SECTION "IB1003" "A runbook has notes for an alert that there is none";
    NO_SUCH_FIELD "IB0301" "A field that the entity does not have";
    NO_SUCH_COLUMN "IB0302" "A column that does not exist";
    FORMULA "IB0303" "A formula that cannot be used";
    TYPE "IB0304" "A type that does not fit";
    CHOICE "IB0305" "A choice that does not cover";
    KEY_NOT_MAPPED "IB0306" "A key that is not mapped";
    REQUIRED_NOT_MAPPED "IB0307" "A required field or column that nothing fills";
    VOLATILE "IB0308" "A formula that gives something else each time";
    REFERENCE_NOT_MAPPED "IB0309" "A reference that cannot be followed";
    ONE_WAY "IB0310" "A two-way mapping that cannot be turned round";
    NO_MAPPING "IB0311" "A system that does not hold what is asked of it";
    FLOW_UNDECIDED "IB1207" "A path that passes an approval undecided";
    FLOW_UNREACHABLE "IB1208" "A step of a flow that is never done";
    FLOW_OUTCOME "IB1209" "An outcome that is missing, or never comes";
    CHILD_FLOW "IB1210" "A child flow that cannot be one";
    FLOW_LOOP "IB1211" "A loop that cannot be one";
    FORM "IB1214" "A form that cannot be one";
    KEY_LOST "IB0913" "A key that cannot be found again by its GUID";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_a_mapping_are_its_own() {
        use mapping::problem;
        for (ours, theirs) in [
            (NO_SUCH_FIELD, problem::NO_SUCH_FIELD),
            (NO_SUCH_COLUMN, problem::NO_SUCH_COLUMN),
            (FORMULA, problem::FORMULA),
            (TYPE, problem::TYPE),
            (CHOICE, problem::CHOICE_DOES_NOT_COVER),
            (KEY_NOT_MAPPED, problem::KEY_NOT_MAPPED),
            (REQUIRED_NOT_MAPPED, problem::REQUIRED_NOT_MAPPED),
            (VOLATILE, problem::VOLATILE),
            (REFERENCE_NOT_MAPPED, problem::REFERENCE_NOT_MAPPED),
        ] {
            assert_eq!(ours, theirs);
        }
    }
}
