//! Cells as they usually are, of columns of the usual types: put into a page at once, with nothing made of them before.

use record::{Type, UnreadBuilder};
use rusqlite::types::ValueRef;

use super::value::{places, short};
use crate::sql::moment;

/// What the cells of a column usually are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Usual {
    Text,
    Whole,
    /// Written as `2026-11-23`.
    Day,
    /// A float that was written with no more than so many places.
    Number(u32),
    /// Each has to be read by [`super::value::read`].
    Nothing,
}

impl Usual {
    pub fn of(ty: &Type) -> Usual {
        match ty {
            Type::Text { .. } => Usual::Text,
            Type::WholeNumber => Usual::Whole,
            Type::Date => Usual::Day,
            Type::Decimal { .. } | Type::Money => Usual::Number(places(ty)),
            _ => Usual::Nothing,
        }
    }

    /// Puts the cell, as [`super::value::read`] reads it, or says that it is not as usual. Whether a text is UTF-8 is seen
    /// at the end of the page.
    #[inline(always)]
    pub fn put(self, cell: ValueRef<'_>, page: &mut UnreadBuilder) -> bool {
        match (cell, self) {
            (ValueRef::Null, _) => page.push_blank(),
            (ValueRef::Text(bytes), Usual::Text) => page.push_unread(bytes),
            (ValueRef::Integer(number), Usual::Whole) => page.push_int(number),
            (ValueRef::Text(bytes), Usual::Day) => match moment::day(bytes) {
                Some(day) => page.push_date(day),
                None => return false,
            },
            (ValueRef::Real(number), Usual::Number(places)) => match short(number, places) {
                Some(number) => page.push_decimal(number),
                None => return false,
            },
            (ValueRef::Integer(number), Usual::Number(_)) => page.push_decimal(number.into()),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use record::{Column, Schema, Value};

    use super::*;
    use crate::sql::moment::Dst;
    use crate::sql::text::Times;
    use crate::sqlite::value::{declared, read};

    const DECLARED: [&str; 14] = [
        "VARCHAR(10)",
        "TEXT",
        "INTEGER",
        "DATE",
        "DECIMAL(12,2)",
        "NUMERIC(10,0)",
        "DECIMAL(20,9)",
        "REAL",
        "MONEY",
        "BOOLEAN",
        "DATETIME",
        "TIME",
        "UUID",
        "BLOB",
    ];

    /// However much of it is left out at the beginning.
    const NO_TEXT: &[u8] = &[b'a', 0xff, 0xc3];

    /// What the usual way puts is what the other way reads, whatever stands in whatever column.
    #[test]
    fn both_ways_read_the_same() {
        let times = Times { zone: None, dst: Dst::Reject };
        let mut seed = 8u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        let days = [
            "2026-11-23",
            "0000-01-01",
            "9999-12-31",
            "2026-02-30",
            "2026-11-2",
            " 2026-11-23",
            "2026/11/23",
            "٢٠٢٦-١١",
        ];
        let texts = ["", " ", "SKU-000123", "Zoë", "12.50", "1", "a\"b", "true", "10:05:00", "2026-11-23 10:05:00"];
        let odd = [
            f64::MAX,
            f64::MIN_POSITIVE,
            1e15,
            -1e15,
            0.1 + 0.2,
            -0.0,
            0.5,
            1.005,
            2.675,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let mut put = 0;
        for _ in 0..20_000 {
            let ty = declared(Some(DECLARED[random() as usize % DECLARED.len()]));
            let text = |of: &[&'static str], at: u64| of[at as usize % of.len()].as_bytes();
            let cell = match random() % 9 {
                0 => ValueRef::Null,
                1 => ValueRef::Integer(random() as i64 - (1 << 30)),
                2 => ValueRef::Integer([i64::MIN, i64::MAX, 0, 1][random() as usize % 4]),
                3 => ValueRef::Real((random() as f64 - 1e9) / [1.0, 10.0, 100.0, 1e4, 1e9][random() as usize % 5]),
                4 => ValueRef::Real(odd[random() as usize % odd.len()]),
                5 => ValueRef::Text(text(&days, random())),
                6 => ValueRef::Text(text(&texts, random())),
                7 => ValueRef::Text(&NO_TEXT[random() as usize % 3..]),
                _ => ValueRef::Blob(text(&texts, random())),
            };
            let mut page = UnreadBuilder::new(Schema::new(vec![Column { name: "x".into(), ty: ty.clone() }]));
            if !Usual::of(&ty).put(cell, &mut page) {
                assert_eq!(page.cells(), 0, "{cell:?} as {ty:?}");
                continue;
            }
            put += 1;
            let found: Result<Value, usize> = page.finish().map(|page| page.get(0, 0).to_owned());
            assert_eq!(found.ok(), read(cell, &ty, &times).ok(), "{cell:?} as {ty:?}");
        }
        assert!(put > 5_000, "{put}");
    }

    #[test]
    fn a_float_has_its_few_digits_again() {
        for places in 0..=6u32 {
            for number in (0..200_000i64).step_by(7).chain([999_999_999_999_999, 123_456_789_012_345]) {
                for number in [number, -number] {
                    let written = rust_decimal::Decimal::new(number, places);
                    let float: f64 = written.to_string().parse().unwrap();
                    assert_eq!(short(float, places).map(|found| found == written), Some(true), "{written}");
                }
            }
        }
        for none in [0.1 + 0.2, 1e15, f64::NAN, f64::INFINITY, 1.23456, 0.499_999_999_999_999_94] {
            assert_eq!(short(none, 4), None, "{none}");
        }
    }
}
