//! What the errors of SQL Server and its driver are about.
//!
//! *Source*: <https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors> and
//! <https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues>.

use record::Why;
use tiberius::error::Error;

use crate::sql::failure::{About, Failure};

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let said = |text: String| Why { status: None, code: None, text, request_id: None };
        match &error {
            Error::Server(token) => server(token.code(), token.message()),
            Error::Tls(text) => {
                Failure::Server { about: About::Tls, why: said(text.clone()), column: None, ends: true }
            }
            Error::Io { message, .. } => {
                Failure::Server { about: About::Unreachable, why: said(message.clone()), column: None, ends: true }
            }
            // A value that the driver cannot take or give: the statement was not sent, or its answer is unread.
            Error::Conversion(text) | Error::Encoding(text) => {
                Failure::Server { about: About::Other, why: said(text.to_string()), column: None, ends: true }
            }
            _ => Failure::Server { about: About::Unreachable, why: said(error.to_string()), column: None, ends: true },
        }
    }
}

/// An error with the server's number.
pub(super) fn server(code: u32, message: &str) -> Failure {
    let about = about(code);
    let why =
        Why { status: None, code: Some(format!("SQL Server {code}")), text: message.to_owned(), request_id: None };
    let ends = matches!(about, About::Unreachable | About::Login | About::Crowded | About::NoDatabase);
    Failure::Server { about, why, column: column(message), ends }
}

fn about(code: u32) -> About {
    match code {
        18452 | 18456 | 18470 | 18486 | 18487 | 18488 | 40615 | 40532 => About::Login,
        4060 | 911 | 916 => About::NoDatabase,
        208 | 4902 => About::NoTable,
        207 | 1911 => About::NoColumn,
        229 | 230 | 262 | 297 | 300 => About::NoRight,
        3906 | 3908 | 976 | 978 => About::ReadOnly,
        1205 | 1222 | 3960 => About::Locked,
        1101 | 1105 | 9002 | 40544 | 701 | 802 => About::Full,
        10928 | 10929 | 40501 | 49918..=49920 | 17809 => About::Crowded,
        21 | 64 | 121 | 233 | 596 | 6001 | 6005 | 10053 | 10054 | 10060 | 40197 | 40613 | 4221 | 42108 | 42109 => {
            About::Unreachable
        }
        2601 | 2627 => About::Duplicate,
        220 | 232 | 235 | 241 | 242 | 244 | 245 | 248 | 271 | 273 | 295 | 335 | 515 | 544 | 547 | 550 | 1007 | 2628
        | 3609 | 3930 | 8114 | 8115 | 8134 | 8152 | 8169 | 9420 => About::Row,
        // What a trigger or a procedure raises by itself.
        50_000.. => About::Row,
        _ => About::Other,
    }
}

/// The name in `Invalid column name 'x'.`, `… into column 'x', table …` and `… table 'db.dbo.t', column 'x'. …`.
fn column(message: &str) -> Option<String> {
    let at = ["column name '", "into column '", "column '"]
        .iter()
        .find_map(|before| message.find(before).map(|at| at + before.len()))?;
    let name = message[at..].split('\'').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_it_is_about() {
        let check = |code, message: &str, expected: About, of: Option<&str>| {
            let failure = server(code, message);
            assert_eq!(failure.about(), expected, "{code} {message}");
            assert_eq!(column(message).as_deref(), of, "{message}");
        };
        check(18456, "Login failed for user 'hub'.", About::Login, None);
        check(40615, "Client with IP address '10.0.0.1' is not allowed to access the server.", About::Login, None);
        check(4060, "Cannot open database \"Sales\" requested by the login.", About::NoDatabase, None);
        check(208, "Invalid object name 'dbo.customers'.", About::NoTable, None);
        check(207, "Invalid column name 'updated_at'.", About::NoColumn, Some("updated_at"));
        check(229, "The SELECT permission was denied on the object 'customers'.", About::NoRight, None);
        check(3906, "Failed to update database \"Sales\" because the database is read-only.", About::ReadOnly, None);
        check(1205, "Transaction (Process ID 52) was deadlocked on lock resources.", About::Locked, None);
        check(1222, "Lock request time out period exceeded.", About::Locked, None);
        check(9002, "The transaction log for database 'Sales' is full.", About::Full, None);
        check(40501, "The service is currently busy. Retry the request after 10 seconds.", About::Crowded, None);
        check(40613, "Database 'Sales' on server 'x' is not currently available.", About::Unreachable, None);
        check(596, "Cannot continue the execution because the session is in the kill state.", About::Unreachable, None);
        check(2627, "Violation of PRIMARY KEY constraint 'PK_customers'.", About::Duplicate, None);
        check(
            515,
            "Cannot insert the value NULL into column 'name', table 'Sales.dbo.customers'; column does not allow nulls.",
            About::Row,
            Some("name"),
        );
        check(
            2628,
            "String or binary data would be truncated in table 'Sales.dbo.customers', column 'name'. Truncated value: 'a'.",
            About::Row,
            Some("name"),
        );
        check(547, "The INSERT statement conflicted with the CHECK constraint \"positive\".", About::Row, None);
        check(51_000, "the trigger says no", About::Row, None);
        check(102, "Incorrect syntax near 'x'.", About::Other, None);
    }
}
