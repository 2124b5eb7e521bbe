"""Has a hub read workbooks that others wrote.

workbooks.py IRONBRIDGE FOLDER: openpyxl, XlsxWriter, PyExcelerate, SheetJS and ExcelJS each write the same rows, in each
of the forms that they have for them; what the hub makes of them in a database is the same.
"""

import datetime
import decimal
import json
import pathlib
import re
import sqlite3
import subprocess
import sys

import openpyxl
import pyexcelerate
import xlsxwriter

import project
from checks import check, equal, finish
from item import COLUMNS, ENTITY, PAIRS

ironbridge, work = sys.argv[1], pathlib.Path(sys.argv[2])
here = pathlib.Path(__file__).parent
D = decimal.Decimal

ROWS = [
    ["0001", "Nail, 40 mm; \"flat\" <&>", 12, 0.1, True, "2026-01-31", "2026-01-31T08:30:00.250", "a\nb"],
    ["0002", "=1+1", -3, 1234567890123.45, False, "1999-12-31", "2026-07-01T23:00:00", None],
    # What a sheet computes has noise beyond the 15 digits that Excel shows.
    ["0003", "Größe 🙂 漢字", 0, 0.1 + 0.2, True, "1901-03-01", "2026-10-25T01:30:00", "  two  spaces "],
    ["1E5", "2026-01-01", 9007199254740, -0.000001, None, None, None, "'quoted'"],
    ["_x0041_", "tab\tand _x000D_", 1, 7, False, "2099-12-31", "1987-06-05T23:59:59.999", "TRUE"],
]


def shown(text):
    """What Excel shows of a text that a program put down as it is: `_x0041_` is its way to write an `A`."""
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text)


def expected(book):
    # XlsxWriter alone writes such a text so that Excel shows it.
    text = (lambda text: text) if book in ["xlsxwriter", "xlsxwriter-inline", "xlsxwriter-1904"] else shown
    first = "1904" if "1904" in book else ""
    if book == "pyexcelerate":
        text = lambda text: shown(text).replace("=", "'")
    rows = [
        [text(row[0]), text(row[1]), row[2], D(f"{row[3]:.15g}"), row[4], row[5], moment(row[6]), row[7]] for row in ROWS
    ]
    # A workbook that counts from 1904 has no days before.
    return [row for row in rows if row[5] is None or row[5] >= first]


FILES = {**project.basics("UTC"), "entities/item.yaml": ENTITY}
TYPES = ["text", "text", "whole_number", "decimal", "yes_no", "date", "datetime", "text"]


def day(text):
    return text and datetime.date.fromisoformat(text)


def moment(text):
    return text and datetime.datetime.fromisoformat(text)


def typed():
    return [[*row[:5], day(row[5]), moment(row[6]), row[7]] for row in ROWS]


def of_openpyxl(path, since=None):
    book = openpyxl.Workbook()
    if since:
        book.epoch = since
    sheet = book.active
    sheet.append(COLUMNS)
    for row in typed():
        sheet.append(row)
    # A text is no formula because it begins like one.
    for cell in sheet["B"]:
        cell.data_type = "s"
    book.save(path)


def of_xlsxwriter(path, **options):
    book = xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_numbers": False, **options})
    sheet = book.add_worksheet("Stock")
    days, moments = book.add_format({"num_format": "d mmm yy"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
    sheet.write_row(0, 0, COLUMNS)
    for at, row in enumerate(typed(), 1):
        for column, value in enumerate(row):
            if value is None:
                continue
            if column == 5:
                sheet.write_datetime(at, column, value, days)
            elif column == 6:
                sheet.write_datetime(at, column, value, moments)
            else:
                sheet.write(at, column, value)
    book.close()


def of_formulas(path):
    book = xlsxwriter.Workbook(path, {"strings_to_formulas": False})
    sheet = book.add_worksheet("Stock")
    days, moments = book.add_format({"num_format": "d mmm yy"}), book.add_format({"num_format": "[$-409]m/d/yy h:mm AM/PM;@"})
    sheet.write_row(0, 0, COLUMNS)
    zero = datetime.datetime(1899, 12, 30)
    for at, row in enumerate(typed(), 1):
        for column, value in enumerate(row):
            if value is None:
                continue
            if column >= 5 and column <= 6:
                value = (datetime.datetime.combine(value, datetime.time()) if column == 5 else value) - zero
                value = value / datetime.timedelta(days=1)
            form = {5: days, 6: moments}.get(column)
            if isinstance(value, bool):
                value = str(value).upper()
            sheet.write_formula(at, column, "=A1", form, value)
    book.close()


def of_pyexcelerate(path):
    book = pyexcelerate.Workbook()
    # It writes whatever begins with `=` as a formula, without a result.
    rows = [[row[0], row[1].replace("=", "'"), *row[2:]] for row in typed()]
    sheet = book.new_sheet("Stock", data=[COLUMNS, *rows])
    for column, form in {6: "yyyy-mm-dd", 7: "yyyy-mm-dd hh:mm:ss.000"}.items():
        sheet.set_col_style(column, pyexcelerate.Style(format=pyexcelerate.Format(form)))
    book.save(str(path))


books = work / "books"
books.mkdir(parents=True)
(work / "rows.json").write_text(json.dumps([COLUMNS, *ROWS]), encoding="utf-8")
of_openpyxl(books / "openpyxl.xlsx")
of_openpyxl(books / "openpyxl-1904.xlsx", openpyxl.utils.datetime.CALENDAR_MAC_1904)
of_xlsxwriter(books / "xlsxwriter.xlsx")
of_xlsxwriter(books / "xlsxwriter-inline.xlsx", constant_memory=True)
of_xlsxwriter(books / "xlsxwriter-1904.xlsx", date_1904=True)
of_formulas(books / "xlsxwriter-formulas.xlsx")
of_pyexcelerate(books / "pyexcelerate.xlsx")
node = subprocess.run(["node", here / "write.cjs", work / "rows.json", books], capture_output=True, text=True)
if node.returncode:
    sys.exit(node.stdout + node.stderr)

names = sorted(path.stem for path in books.iterdir())
for name in names:
    columns = ", ".join(f"{column}: {ty}" for column, ty in zip(COLUMNS, TYPES))
    FILES[f"systems/{name}.yaml"] = (
        f"system: {name}\nkind: files\nowner: finance-it\ntime_zone: UTC\nconnection: {{ folder: books }}\nentities:\n  item:\n"
        f"    file: {name}.xlsx\n    ready_when: unchanged for 0 seconds\n    contains: everything\n    columns: {{ {columns} }}\n    read: {{ {PAIRS} }}\n"
    )
    FILES[f"systems/shop-{name}.yaml"] = (
        f"system: shop-{name}\nkind: sqlite\nowner: finance-it\nconnection: {{ file: shop.db }}\nentities:\n  item:\n    table: \"{name}\"\n"
        f"    alternate_key: number\n    write: {{ {PAIRS} }}\n"
    )
    FILES[f"integrations/{name}.yaml"] = (
        f"integration: {name}\npattern: batch\nentity: item\nfrom: {name}\nto: shop-{name}\nschedule: every 15 minutes\n"
        "owner: finance-it\npurpose: The list of the warehouse.\n"
    )
project.write(work, FILES)

shop = sqlite3.connect(work / "shop.db")
for name in names:
    shop.execute(
        f'CREATE TABLE "{name}" (number TEXT PRIMARY KEY, name TEXT, qty INTEGER, price TEXT, sold BOOLEAN, day DATE, at TIMESTAMPTZ, note TEXT)'
    )
shop.commit()

for name in names:

    @check(f"a workbook of {name} is read as it was meant")
    def _():
        project.ran(ironbridge, work, "run", name)
        found = shop.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall()
        got = [
            [n, t, q, D(str(p)), None if s is None else bool(s), d, a and moment(a).replace(tzinfo=None), o]
            for n, t, q, p, s, d, a, o in found
        ]
        for row, meant in zip(got, expected(name)):
            equal(row, meant)
        equal(len(got), len(expected(name)))


@check("a formula whose result was never saved sets its row aside, with what to do")
def _():
    book = openpyxl.load_workbook(books / "openpyxl.xlsx")
    book.active["D3"] = "=1+1"
    book.save(books / "openpyxl.xlsx")
    said = project.ran(ironbridge, work, "run", "openpyxl")
    told = project.ran(ironbridge, work, "dead-letters", "list")
    equal(["1 rejected" in said, "IB0606" in told], [True, True])
    price = shop.execute("SELECT price FROM openpyxl WHERE number = '0002'").fetchone()
    equal(D(str(price[0])), D("1234567890123.45"))


finish()
