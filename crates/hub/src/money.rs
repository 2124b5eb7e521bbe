//! Amounts as people read them: `8500.50` pounds, `8500` yen. The number stays the same, and nothing is rounded.

use record::{Decimal, Row, Type, Value};

/// Digits after the point of an amount whose currency is not known.
pub const USUAL: u32 = 2;

/// How many digits after the point a currency has. *Source*: ISO 4217, list one, as of 2026-01.
pub fn digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => USUAL,
    }
}

/// An amount with at least so many digits after the point; more of them stay, unless they are zeros.
pub fn with_digits(amount: Decimal, digits: u32) -> Decimal {
    let mut shown = amount.normalize();
    if shown.scale() < digits {
        shown.rescale(digits);
    }
    shown
}

/// A value with these digits, where it is a number; in lines every amount has the usual ones.
pub fn put(value: &mut Value, digits: u32) {
    match value {
        Value::Decimal(amount) => *amount = with_digits(*amount, digits),
        Value::Int(amount) => *value = Value::Decimal(with_digits(Decimal::from(*amount), digits)),
        Value::Rows(rows) => rows.iter_mut().for_each(put_in_line),
        _ => {}
    }
}

fn put_in_line(row: &mut Row) {
    let schema = row.schema().clone();
    for (at, column) in schema.columns().iter().enumerate() {
        if matches!(column.ty, Type::Money | Type::Lines(_)) {
            put(row.at_mut(at), USUAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_digits_of_its_currency_and_loses_none() {
        for (amount, currency, shown) in [
            ("8500.5", "GBP", "8500.50"),
            ("25000", "GBP", "25000.00"),
            ("25000.000", "JPY", "25000"),
            ("1.2345", "EUR", "1.2345"),
            ("-0.1", "KWD", "-0.100"),
            ("0", "EUR", "0.00"),
        ] {
            let amount: Decimal = amount.parse().unwrap();
            assert_eq!(with_digits(amount, digits(currency)).to_string(), shown, "{amount} {currency}");
        }
    }
}
