//! Functions beyond their examples: edges, blanks, tables where single values are expected.

use crate::{check_all, refused};

#[test]
fn text() {
    check_all(&[
        ("Left(\"abc\", -1)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Left([\"ab\", \"cd\"], 1)", "Table({Value:\"a\"},{Value:\"c\"})"),
        ("Left([\"ab\", \"cd\"], [1])", "Table({Value:\"a\"},{Value:Error({Kind:ErrorKind.NotApplicable})})"),
        ("Right(\"abc\", 5)", "\"abc\""),
        ("Mid(\"abc\", 0)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Mid(\"abc\", 9)", "\"\""),
        ("Len(\"😀\")", "2"),
        ("Left(\"é😀x\", 3)", "\"é😀\""),
        ("Trim(\"  a   b  \")", "\"a b\""),
        ("Upper(\"straße\")", "\"STRASSE\""),
        ("Proper(\"o'neil smith-jones\")", "\"O'neil Smith-Jones\""),
        ("Substitute(\"aaa\", \"a\", \"b\", 2)", "\"aba\""),
        ("Substitute(\"abc\", \"\", \"x\")", "\"abc\""),
        ("Replace(\"abc\", 9, 1, \"x\")", "\"abcx\""),
        ("Find(\"\", \"abc\", 4)", "4"),
        ("Find(\"a\", \"abc\", 5)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("StartsWith(\"É\", \"é\")", "true"),
        ("Split(\"\", \",\")", "Table({Value:\"\"})"),
        ("Char(0)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("UniChar(55296)", "Error({Kind:ErrorKind.NotApplicable})"),
        ("EncodeUrl(\"é ~\")", "\"%C3%A9%20~\""),
        ("PlainText(\"a<br>b<script>x</script>&euro;&#65;\")", "\"a\r\nb€A\""),
        ("Concat([{a: 1}, {a: 2}], $\"<{a}>\")", "\"<1><2>\""),
    ]);
}

#[test]
fn conversions() {
    check_all(&[
        ("Value(\"\")", "Blank()"),
        ("Value(\"$1,000.50\")", "1000.5"),
        ("Value(\"1.000,5\", \"de-DE\")", "1000.5"),
        ("Value(\"1\", \"no tag\")", "Error({Kind:ErrorKind.BadLanguageCode})"),
        ("Value(Date(1900, 1, 1))", "2"),
        ("Boolean(\"maybe\")", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Text(1234567.891, \"#,##0.0\")", "\"1,234,567.9\""),
        ("Text(-5, \"0;(0)\")", "\"(5)\""),
        ("Text(DateTime(2026, 1, 5, 13, 7, 9, 50), \"hh:mm:ss.fff\")", "\"13:07:09.050\""),
        ("Text(DateTime(2026, 1, 5, 13, 7, 9, 50), \"hh:mm:ss.0\")", "\"13:07:09.0\""),
        ("Text(0.000123, \"0.00E+0\")", "\"1.23E-4\""),
        ("Text(Date(2026, 1, 5), \"d mmm yy\")", "\"5 Jan 26\""),
        ("Text(Time(14, 5, 0), \"h:mm AM/PM\")", "\"2:05 PM\""),
        ("Text(Blank(), \"0.0\")", "\"\""),
        ("Text(0, \"0.0\")", "\"0.0\""),
        ("Text(1.5, \"0.0\", \"de\")", "\"1,5\""),
        ("IsNumeric(\"1e3\")", "true"),
        ("GUID(\"x\")", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Decimal(Float(\"1e100\"))", "Error({Kind:ErrorKind.InvalidArgument})"),
    ]);
    refused("Text(1, \"0 yyyy\")");
    refused("Text(\"1\", \"0\")");
}

#[test]
fn numbers() {
    check_all(&[
        ("Round(2.5, 0)", "3"),
        ("Round(-2.5, 0)", "-3"),
        ("Round(Float(1.005), 2)", "1.01"),
        ("RoundUp(1e28, -30)", "Error({Kind:ErrorKind.Numeric})"),
        ("Mod(7, -3)", "-2"),
        ("Mod(1, 0)", "Error({Kind:ErrorKind.Div0})"),
        ("Power(0, -1)", "Error({Kind:ErrorKind.Div0})"),
        ("Power(-8, 1/3)", "Error({Kind:ErrorKind.Numeric})"),
        ("Sum([1, Blank(), 2], Value)", "3"),
        ("Sum([], 1)", "Blank()"),
        ("Average([], 1)", "Error({Kind:ErrorKind.Div0})"),
        ("Max(Time(1, 0, 0), Time(2, 0, 0))", "Time(2,0,0,0)"),
        ("Min(\"3\", 2)", "2"),
        ("Sequence(3, 1, 0.5)", "Table({Value:1},{Value:1.5},{Value:2})"),
        ("Sequence(-1)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Hex2Dec(\"FFFFFFFFFF\")", "-1"),
    ]);
}

#[test]
fn dates() {
    check_all(&[
        ("Now()", "DateTime(2026,7,31,12,0,0,0)"),
        ("UTCNow()", "DateTime(2026,7,31,11,0,0,0)"),
        ("Today()", "Date(2026,7,31)"),
        ("TimeZoneOffset()", "-60"),
        ("TimeZoneOffset(Date(2026, 1, 1))", "0"),
        ("Date(2026, 13, 32)", "Date(2027,2,1)"),
        ("Date(0, 1, 1)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("DateAdd(Date(2024, 2, 29), 1, TimeUnit.Years)", "Date(2025,2,28)"),
        // The clocks go forward at one in the morning of March 29.
        ("DateAdd(DateTime(2026, 3, 29, 0, 30, 0), 1, TimeUnit.Hours)", "DateTime(2026,3,29,2,30,0,0)"),
        ("DateAdd(DateTime(2026, 3, 28, 12, 0, 0), 1)", "DateTime(2026,3,29,12,0,0,0)"),
        ("DateDiff(DateTime(2026, 3, 29, 0, 0, 0), DateTime(2026, 3, 30, 0, 0, 0), TimeUnit.Hours)", "23"),
        ("DateDiff(Date(2026, 1, 31), Date(2026, 2, 1), TimeUnit.Months)", "1"),
        ("DateValue(\"3/4/2026\")", "Date(2026,3,4)"),
        ("DateValue(\"3/4/2026\", \"en-GB\")", "Date(2026,4,3)"),
        ("DateValue(\"2026-02-30\")", "Error({Kind:ErrorKind.InvalidArgument})"),
        // A text with an offset is an instant, shown on the clock in London.
        ("DateTimeValue(\"2026-07-01T23:30:00Z\")", "DateTime(2026,7,2,0,30,0,0)"),
        ("DateTimeValue(\"2026-07-01 12:00:00 +03:00\")", "DateTime(2026,7,1,10,0,0,0)"),
        ("DateValue(ParseJSON(\"\"\"2026-07-01T23:30:00Z\"\"\"))", "Date(2026,7,2)"),
        ("TimeValue(\"12 AM\")", "Time(0,0,0,0)"),
        ("Weekday(Date(2026, 7, 31))", "6"),
        ("WeekNum(Date(2026, 1, 1), StartOfWeek.Monday)", "1"),
        ("ISOWeekNum(Date(2021, 1, 3))", "53"),
        ("EOMonth(\"2024-01-15\", 1)", "Date(2024,2,29)"),
        ("Value(Time(30, 0, 0))", "1.25"),
    ]);
    refused("DateAdd(Date(2026, 1, 1), 1, \"days\")");
    refused("Year(true)");
}

#[test]
fn tables() {
    check_all(&[
        ("First([])", "Blank()"),
        ("FirstN([1, 2], 5)", "Table({Value:1},{Value:2})"),
        ("LastN([1, 2], 0)", "Table()"),
        ("Index([1], 2)", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Sort([\"b\", Blank(), \"A\"], Value)", "Table({Value:\"A\"},{Value:\"b\"},{Value:Blank()})"),
        ("Sort([1, 0], 1 / Value)", "Error({Kind:ErrorKind.Div0})"),
        ("SortByColumns([{a: 1, b: 2}, {a: 1, b: 1}], a, SortOrder.Ascending, b)", "Table({a:1,b:1},{a:1,b:2})"),
        ("Distinct([1.0, 1, 2], Value)", "Table({Value:1},{Value:2})"),
        ("AddColumns({a: 1}, b, a + 1)", "{a:1,b:2}"),
        ("RenameColumns([{a: 1}], a, b)", "Table({b:1})"),
        ("LookUp([{k: 1, v: \"x\"}], k = 1).v", "\"x\""),
        ("CountIf([1, 2, 3], Value > 1, Value < 3)", "1"),
        ("CountRows(Filter([1, 0], 1 / Value > 0))", "Error({Kind:ErrorKind.Div0})"),
        ("Row(\"uom\", {name: Blank()})", "Blank()"),
        ("Row(\"uom\", {name: 1/0})", "Error({Kind:ErrorKind.Div0})"),
    ]);
    refused("AddColumns([{a: 1}], a, 2)");
    refused("DropColumns([{a: 1}], b)");
    refused("Row(1, {a: 1})");
    refused("Row(\"team\", {})");
}

#[test]
fn patterns_and_json() {
    check_all(&[
        ("IsMatch(\"AB-12\", \"[A-Z]{2}-\\d+\", MatchOptions.Complete)", "true"),
        ("Match(\"x12\", \"(?<n>\\d+)\")", "{FullMatch:\"12\",StartMatch:2,n:\"12\"}"),
        ("Match(\"x\", \"\\d\")", "Blank()"),
        ("CountRows(MatchAll(\"a1b22\", \"\\d+\"))", "2"),
        (
            "Match(\"ab\", \"(a)(b)?(c)?\", MatchOptions.NumberedSubMatches).SubMatches",
            "Table({Value:\"a\"},{Value:\"b\"},{Value:Blank()})",
        ),
        ("IsMatch(\"jo@example.com\", Match.Email)", "true"),
        ("Value(ParseJSON(\"[1, 2.50]\"))", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("Text(ParseJSON(\"1.2345678901234567890123456789\"))", "\"1.2345678901234567890123456789\""),
        ("ParseJSON(\"{\")", "Error({Kind:ErrorKind.InvalidJSON})"),
        ("ForAll(ParseJSON(\"[{\"\"a\"\":1}]\"), Value(ThisRecord.a))", "Table({Value:1})"),
        (
            "JSON({d: Date(2026, 1, 1), t: [1]}, JSONFormat.FlattenValueTables)",
            "\"{\"\"d\"\":\"\"2026-01-01\"\",\"\"t\"\":[1]}\"",
        ),
        ("JSON(DateTime(2026, 7, 1, 12, 0, 0))", "\"\"\"2026-07-01T11:00:00.000Z\"\"\""),
    ]);
    refused("IsMatch(\"a\", \"(?=a)\")");
    refused("IsMatch(\"a\", Left(\"ab\", 1))");
    refused("IsMatch(\"a\", \"(\")");
}
