//! What the errors of MariaDB, MySQL and their driver are about.
//!
//! *Source*: <https://mariadb.com/kb/en/mariadb-error-code-reference/> and
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.

use mysql_async::{DriverError, Error, IoError, ServerError};
use record::Why;

use crate::sql::failure::{About, Failure};

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let said = |text: String| Why { status: None, code: None, text, request_id: None };
        match error {
            Error::Server(error) => server(&error),
            Error::Io(IoError::Tls(error)) => {
                Failure::Server { about: About::Tls, why: said(error.to_string()), column: None, ends: true }
            }
            Error::Io(IoError::Io(error)) if is_certificate(&error) => {
                Failure::Server { about: About::Tls, why: said(error.to_string()), column: None, ends: true }
            }
            Error::Driver(error @ DriverError::NoClientSslFlagFromServer) => {
                Failure::Server { about: About::Tls, why: said(error.to_string()), column: None, ends: true }
            }
            Error::Io(IoError::Io(error)) => {
                Failure::Server { about: About::Unreachable, why: said(error.to_string()), column: None, ends: true }
            }
            // Nothing of it was sent.
            Error::Driver(error @ DriverError::PacketTooLarge) => {
                Failure::Server { about: About::Row, why: said(error.to_string()), column: None, ends: false }
            }
            other => {
                Failure::Server { about: About::Unreachable, why: said(with_causes(&other)), column: None, ends: true }
            }
        }
    }
}

fn server(error: &ServerError) -> Failure {
    let about = about(error.code, &error.state, &error.message);
    let why = Why {
        status: None,
        code: Some(format!("error {} ({})", error.code, error.state)),
        text: error.message.clone(),
        request_id: None,
    };
    let ends = matches!(about, About::Unreachable | About::Login | About::Crowded | About::NoDatabase);
    Failure::Server { about, why, column: column(&error.message), ends }
}

/// *Shape*: the code decides; where servers use one code for many things, the words do.
fn about(code: u16, state: &str, message: &str) -> About {
    match code {
        1045 | 1698 | 1130 | 1251 | 1862 | 1275 => About::Login,
        1049 => About::NoDatabase,
        1146 | 1051 | 1109 => About::NoTable,
        1054 => About::NoColumn,
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 3879 => About::NoRight,
        1290 | 1792 | 1836 => About::ReadOnly,
        1317 | 1969 | 3024 | 1907 => About::Slow,
        1205 | 1213 | 1206 | 3572 | 1015 => About::Locked,
        1021 | 1114 | 1041 | 1037 | 1038 => About::Full,
        1030 | 1026 | 3 if message.contains("28") || message.contains("No space left") => About::Full,
        1040 | 1203 | 1226 => About::Crowded,
        1053 | 1077 | 1152 | 1153 | 1158..=1161 | 1184 | 1927 | 2002..=2013 | 3169 | 4031 => About::Unreachable,
        1062 | 1169 | 1586 => About::Duplicate,
        1048 | 1264 | 1265 | 1292 | 1364 | 1366 | 1367 | 1406 | 1411 | 1416 | 1451 | 1452 | 1216 | 1217 | 1526
        | 1644 | 1690 | 1906 | 3105 | 3140 | 3819 | 4025 => About::Row,
        // Texts in two character sets that cannot be compared.
        1267 | 1270 | 1271 => About::Row,
        _ if state.starts_with("22") || state.starts_with("23") || state == "45000" => About::Row,
        _ if state.starts_with("08") => About::Unreachable,
        _ => About::Other,
    }
}

/// The name in `Unknown column 't.x' in …`, `Data too long for column 'x'`, `Field 'x' doesn't …` and
/// ``… for column `db`.`t`.`x` at row 1``.
fn column(message: &str) -> Option<String> {
    let from = ["olumn ", "Field "].iter().find_map(|word| message.find(word).map(|at| &message[at + word.len()..]))?;
    let quote = from.chars().next().filter(|c| matches!(c, '\'' | '`'))?;
    let name = match quote {
        '`' => from.split(' ').next()?.rsplit('`').nth(1)?,
        _ => from[1..].split('\'').next()?.rsplit('.').next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_certificate(error: &std::io::Error) -> bool {
    let text = error.to_string();
    text.contains("certificate") || text.contains("invalid peer") || text.contains("HandshakeFailure")
}

/// An error with what is behind it: the driver's own sentence says little.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(&format!(": {more}"));
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_it_is_about() {
        let check = |code, state: &str, message: &str, expected: About, of: Option<&str>| {
            assert_eq!(about(code, state, message), expected, "{code} {message}");
            assert_eq!(column(message).as_deref(), of, "{message}");
        };
        check(1045, "28000", "Access denied for user 'hub'@'localhost' (using password: YES)", About::Login, None);
        check(1049, "42000", "Unknown database 'shop'", About::NoDatabase, None);
        check(1146, "42S02", "Table 'shop.t' doesn't exist", About::NoTable, None);
        check(1054, "42S22", "Unknown column 't.foo' in 'field list'", About::NoColumn, Some("foo"));
        check(1142, "42000", "SELECT command denied to user 'hub'@'%' for table 't'", About::NoRight, None);
        check(1290, "HY000", "The MariaDB server is running with the --read-only option", About::ReadOnly, None);
        check(1792, "25006", "Cannot execute statement in a READ ONLY transaction", About::ReadOnly, None);
        check(1969, "70100", "Query execution was interrupted (max_statement_time exceeded)", About::Slow, None);
        check(
            3024,
            "HY000",
            "Query execution was interrupted, maximum statement execution time exceeded",
            About::Slow,
            None,
        );
        check(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction", About::Locked, None);
        check(1213, "40001", "Deadlock found when trying to get lock", About::Locked, None);
        check(1114, "HY000", "The table 't' is full", About::Full, None);
        check(1030, "HY000", "Got error 28 \"No space left on device\" from storage engine", About::Full, None);
        check(1040, "08004", "Too many connections", About::Crowded, None);
        check(1927, "70100", "Connection was killed", About::Unreachable, None);
        check(1062, "23000", "Duplicate entry 'a' for key 'PRIMARY'", About::Duplicate, None);
        check(1406, "22001", "Data too long for column 'name' at row 1", About::Row, Some("name"));
        check(1364, "HY000", "Field 'name' doesn't have a default value", About::Row, Some("name"));
        check(
            1366,
            "22007",
            "Incorrect decimal value: 'x' for column `shop`.`t`.`amount` at row 1",
            About::Row,
            Some("amount"),
        );
        check(4025, "23000", "CONSTRAINT `positive` failed for `shop`.`t`", About::Row, None);
        check(1644, "45000", "the trigger says no", About::Row, None);
        check(1267, "HY000", "Illegal mix of collations (latin1_swedish_ci,IMPLICIT) and …", About::Row, None);
        check(1064, "42000", "You have an error in your SQL syntax", About::Other, None);
    }
}
