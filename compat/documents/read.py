"""Has a hub write documents, and reads them with openpyxl and with Python's own json and csv.

read.py IRONBRIDGE FOLDER: makes a project in the folder, runs it, and looks at what lies there.
"""

import csv
import datetime
import decimal
import functools
import json
import pathlib
import sqlite3
import sys

import openpyxl

import project
from checks import check, equal, finish
from item import COLUMNS, ENTITY, PAIRS

ironbridge, work = sys.argv[1], pathlib.Path(sys.argv[2])
D = decimal.Decimal

# What a source holds: a number of 15 digits, text that looks like something else, a day and a moment in summer and winter.
ROWS = [
    ("0001", "Nail, 40 mm; \"flat\"", 12, "0.10", 1, "2026-01-31", "2026-01-31T08:30:00.250Z", "a\nb"),
    ("0002", "=1+1", -3, "1234567890123.45", 0, "1999-12-31", "2026-07-01T22:00:00Z", None),
    ("0003", "Größe 🙂 漢字", 0, "-0.000001", 1, "2026-02-28", "2026-10-25T00:30:00Z", "  two  spaces "),
    ("1E5", "2026-01-01", 9007199254740, "7", None, None, None, "'quoted'"),
]
# As the clocks in London show it.
LOCAL = ["2026-01-31T08:30:00.250", "2026-07-01T23:00:00", "2026-10-25T01:30:00", None]

FILES = {
    **project.basics(),
    "entities/item.yaml": ENTITY,
    "systems/shop.yaml": "system: shop\nkind: sqlite\nowner: finance-it\nconnection: { file: shop.db }\nentities:\n  item:\n    table: items\n    alternate_key: number\n    read: { %s }\n"
    % PAIRS,
}
WAYS = {
    "workbook": ("items.xlsx", "    sheet: Stock\n"),
    "json": ("items.json", ""),
    "lines": ("items.jsonl", ""),
    "csv": ("items.csv", "    format: { delimiter: \";\", decimal: \",\", date: dd/mm/yyyy }\n"),
}
for name, (file, more) in WAYS.items():
    FILES[f"systems/{name}.yaml"] = (
        f"system: {name}\nkind: files\nowner: finance-it\ntime_zone: Europe/London\nconnection: {{ folder: out }}\nentities:\n  item:\n"
        f"    file: {file}\n{more}    alternate_key: number\n    write: {{ {PAIRS} }}\n"
    )
    FILES[f"integrations/to-{name}.yaml"] = (
        f"integration: to-{name}\npattern: batch\nentity: item\nfrom: shop\nto: {name}\nschedule: every 15 minutes\n"
        "owner: finance-it\npurpose: The warehouse counts by this list.\n"
    )
project.write(work, FILES)
(work / "out").mkdir(parents=True)
ran = functools.partial(project.ran, ironbridge, work)

connection = sqlite3.connect(work / "shop.db")
connection.execute(
    "CREATE TABLE items (number TEXT PRIMARY KEY, name TEXT, qty INTEGER, price DECIMAL(20,6), sold BOOLEAN, day DATE, at TIMESTAMPTZ, note TEXT)"
)
# A number of many digits stays exact in SQLite as a text.
connection.executemany("INSERT INTO items VALUES (?,?,?,?,?,?,?,?)", ROWS)
connection.commit()
ran("check")
for name in WAYS:
    ran("run", f"to-{name}")


def moment(text):
    return text and datetime.datetime.fromisoformat(text)


def day(text):
    return text and datetime.date.fromisoformat(text)


def sheet():
    book = openpyxl.load_workbook(work / "out/items.xlsx")
    equal(book.sheetnames, ["Stock"])
    return book["Stock"]


@check("openpyxl finds the sheet, its header, a row for each row, and a filter over all of them")
def _():
    rows = list(sheet().iter_rows(values_only=True))
    equal(list(rows[0]), COLUMNS)
    equal(len(rows), 1 + len(ROWS))
    equal(sheet().auto_filter.ref, "A1:H5")
    equal(sheet().freeze_panes, "A2")


@check("openpyxl reads each value in its own type: texts, whole and exact numbers, yes and no, days, moments, blanks")
def _():
    cells = list(sheet().iter_rows(min_row=2))
    for row, given, local in zip(cells, ROWS, LOCAL):
        number, name, qty, price, sold, on, at, note = row
        equal([number.value, number.data_type], [given[0], "s"])
        equal([name.value, name.data_type], [given[1], "s"])
        equal([qty.value, qty.data_type], [given[2], "n"])
        equal([D(repr(price.value)), price.data_type], [D(given[3]), "n"])
        equal(sold.value, None if given[4] is None else bool(given[4]))
        equal(on.value and on.value.date(), day(given[5]))
        equal(at.value, moment(local))
        equal(note.value, given[7])
        if given[5]:
            equal([on.is_date, at.is_date], [True, True])


@check("a workbook that was written again has what has changed, and each row once")
def _():
    connection.execute("UPDATE items SET price = '0.3' WHERE number = '0001'")
    connection.execute("INSERT INTO items (number, name) VALUES ('0005', 'new')")
    connection.commit()
    ran("run", "to-workbook")
    found = {row[0]: row for row in sheet().iter_rows(min_row=2, values_only=True)}
    equal([D(repr(found["0001"][3])), found["0005"][1], len(found), sheet().max_row], [D("0.3"), "new", 5, 6])


def exact(row, given):
    equal([row["number"], row["name"], row["note"]], [given[0], given[1], given[7]])
    equal([row["qty"], row["price"]], [given[2], D(given[3])])
    equal(row["sold"], None if given[4] is None else bool(given[4]))
    equal(day(row["day"]), day(given[5]))
    equal(moment(row["at"]), moment(given[6]))


def loads(text):
    return json.loads(text, parse_float=D, parse_constant=lambda word: sys.exit(f"{word} is no JSON"))


@check("json reads the document: an array of objects, numbers with all their digits")
def _():
    rows = loads((work / "out/items.json").read_text(encoding="utf-8"))
    equal([list(row) for row in rows], [COLUMNS] * len(ROWS))
    for row, given in zip(rows, ROWS):
        exact(row, given)


@check("json reads each line of JSON lines by itself")
def _():
    lines = (work / "out/items.jsonl").read_text(encoding="utf-8").splitlines()
    equal(len(lines), len(ROWS))
    for line, given in zip(lines, ROWS):
        exact(loads(line), given)


@check("csv reads the same values by the signs of the file")
def _():
    with open(work / "out/items.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";", strict=True))
    equal(len(rows), len(ROWS))
    for row, given in zip(rows, ROWS):
        on = row["day"] and datetime.datetime.strptime(row["day"], "%d/%m/%Y").date().isoformat()
        # The day of a moment is written like any other.
        at = row["at"] and datetime.datetime.strptime(row["at"][:10], "%d/%m/%Y").date().isoformat() + row["at"][10:]
        typed = {**row, "qty": int(row["qty"]), "price": D(row["price"].replace(",", ".")), "day": on, "at": at}
        typed["sold"] = {"": None, "true": True, "false": False}[row["sold"]]
        exact({name: value if value != "" else None for name, value in typed.items()}, given)


finish()
