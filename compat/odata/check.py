"""Has a hub write to an OData service of SAP's CAP and read from it.

check.py IRONBRIDGE FOLDER URL: the root of the service, which is empty and gives 100 rows in a page.
"""

import base64
import datetime
import decimal
import functools
import json
import pathlib
import sqlite3
import sys
import urllib.request

import project
from checks import check, equal, finish

ironbridge, work, url = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
D = decimal.Decimal
TYPES = {
    "code": ("{ type: text, max_length: 20 }", "TEXT PRIMARY KEY"),
    "name": ("{ type: text, max_length: 100 }", "TEXT"),
    "credit": ("{ type: decimal, scale: 2 }", "DECIMAL(15,2)"),
    "since": ("{ type: date }", "DATE"),
    "seen": ("{ type: datetime }", "TIMESTAMPTZ"),
    "active": ("{ type: yes_no }", "BOOLEAN"),
    "visits": ("{ type: whole_number }", "INTEGER"),
    "big": ("{ type: whole_number }", "INTEGER"),
    "note": ("{ type: multiline, max_length: 5000 }", "TEXT"),
}
# Keys that have to be escaped in an address, in a `$filter`, or in both. One beyond Latin-1 ends this service.
ODD = ["a b", "a'b", "a''b", "a/b", "a+b", "a%20b", "a&b", "a#b", "a?b", "ä", "a=b", "a,b", "(a)", "a;b", "a\"b", "a\\b", "$a", "null", "1"]


def row(at, code):
    return {
        "code": code,
        "name": f"Sample {at} \"ü\" 🙂",
        "credit": f"{at * 1000}.{at % 100:02}",
        "since": f"20{at % 30:02}-0{at % 9 + 1}-1{at % 10}",
        "seen": f"2026-07-0{at % 9 + 1}T12:00:{at % 60:02}.250Z",
        "active": at % 2,
        "visits": at - 100,
        "big": 900719925474099 + at,
        "note": None if at % 3 else "one\ntwo",
    }


ROWS = [row(at, code) for at, code in enumerate([*ODD, *(f"C-{at:04}" for at in range(330))])]
FIELDS = list(TYPES)
pairs = ", ".join(f"{name}: {name}" for name in FIELDS)
BASIC = "Basic " + base64.b64encode(b"hub:sample").decode()
FILES = {
    **project.basics(),
    "entities/customer.yaml": "entity: customer\nkey: code\nfields:\n"
    + "".join(f"  {name}: {ty}\n" for name, (ty, _) in TYPES.items())
    + "  changed_at: { type: datetime }\n",
    "entities/order.yaml": "entity: order\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n"
    "  customer: { type: reference, entity: customer }\n  total: { type: decimal, scale: 2 }\n",
    "systems/sap.yaml": f"""\
system: sap
kind: odata
owner: finance-it
connection: {{ url: "{url}", basic: {{ user: hub, password: "${{env:SAP_PASSWORD}}" }} }}
entities:
  customer:
    table: Customers
    alternate_key: code
    watermark: {{ column: modifiedAt, overlap: 0 seconds }}
    read: {{ {pairs}, changed_at: modifiedAt }}
    write: {{ {pairs} }}
  order:
    table: Orders
    alternate_key: number
    write: {{ number: number, customer_code: customer, total: total }}
""",
    "systems/shop.yaml": f"""\
system: shop
kind: sqlite
owner: finance-it
connection: {{ file: shop.db }}
entities:
  customer: {{ table: customers, alternate_key: code, read: {{ {pairs} }} }}
  order: {{ table: orders, alternate_key: number, read: {{ number: number, customer: customer, total: total }} }}
""",
    "systems/copy.yaml": f"""\
system: copy
kind: sqlite
owner: finance-it
connection: {{ file: copy.db }}
entities:
  customer: {{ table: customers, alternate_key: code, write: {{ {pairs}, changed_at: changed_at }} }}
""",
    "integrations/out.yaml": "integration: out\npattern: batch\nentities: [customer, order]\nfrom: shop\nto: sap\nschedule: every 15 minutes\n"
    "owner: finance-it\npurpose: Customers are kept in the shop.\ndeletes: delete\nmax_deletes: 50%\n",
    "integrations/in.yaml": "integration: in\npattern: batch\nentity: customer\nfrom: sap\nto: copy\nschedule: every 15 minutes\n"
    "owner: finance-it\npurpose: A copy for the reports.\n",
}
project.write(work, FILES)
shop, copy = sqlite3.connect(work / "shop.db"), sqlite3.connect(work / "copy.db")
columns = ", ".join(f"{name} {ty}" for name, (_, ty) in TYPES.items())
shop.execute(f"CREATE TABLE customers ({columns})")
shop.execute("CREATE TABLE orders (number TEXT PRIMARY KEY, customer TEXT, total DECIMAL(15,2))")
copy.execute(f"CREATE TABLE customers ({columns}, changed_at TIMESTAMPTZ)")
for one in ROWS:
    shop.execute(f"INSERT INTO customers VALUES ({', '.join('?' * len(FIELDS))})", [one[name] for name in FIELDS])
for at, one in enumerate(ROWS[:30]):
    shop.execute("INSERT INTO orders VALUES (?, ?, ?)", [f"O-{at}", one["code"], f"{at}.50"])
shop.commit()
copy.commit()


ran = functools.partial(project.ran, ironbridge, work, secrets={"SAP_PASSWORD": "sample"})


def call(method, path, body=None, **headers):
    request = urllib.request.Request(
        f"{url}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": BASIC, "Content-Type": "application/json", "Accept": "application/json", **headers},
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text, parse_float=D) if text else None


def all_of(entity_set):
    found, path = [], entity_set
    while path:
        page = call("GET", path)
        found += page["value"]
        path = page.get("@odata.nextLink")
    return found


def moment(text):
    return text and datetime.datetime.fromisoformat(text)


def plain(one):
    return {
        **{name: one[name] for name in FIELDS},
        "credit": D(str(one["credit"])),
        "seen": moment(one["seen"]),
        "active": bool(one["active"]),
    }


def by_code(rows):
    return {one["code"]: plain(one) for one in rows}


def compare(got, expected):
    for code, one in expected.items():
        equal(got.get(code), one)
    equal(sorted(got), sorted(expected))


@check("`systems check` signs in and reads `$metadata`")
def _():
    said = ran("systems", "check", "sap")
    equal(["ready" in said, "OData 4.0" in said], [True, True])


@check("rows are created, whatever their keys are, with values of every type, and nothing is written a second time")
def _():
    ran("run", "out")
    compare(by_code(all_of("Customers")), by_code(ROWS))
    before = {one["code"]: one["modifiedAt"] for one in all_of("Customers")}
    ran("run", "out")
    equal({one["code"]: one["modifiedAt"] for one in all_of("Customers")}, before)


@check("references point to their rows")
def _():
    found = {one["number"]: (one["customer_code"], one["total"]) for one in all_of("Orders")}
    equal(found, {f"O-{at}": (one["code"], D(f"{at}.5")) for at, one in enumerate(ROWS[:30])})


@check("rows are updated with the ETag that the service asks for, and removed")
def _():
    for at, one in enumerate(ROWS[:25]):
        one["name"], one["credit"], one["note"] = f"Changed {at}", "0.10", None
        shop.execute(
            "UPDATE customers SET name = ?, credit = ?, note = NULL WHERE code = ?", [one["name"], "0.10", one["code"]]
        )
    shop.execute("DELETE FROM orders WHERE number = 'O-29'")
    shop.execute("DELETE FROM customers WHERE code IN ('C-0300', 'C-0301')")
    shop.commit()
    ROWS[:] = [one for one in ROWS if one["code"] not in ["C-0300", "C-0301"]]
    ran("run", "out")
    compare(by_code(all_of("Customers")), by_code(ROWS))
    equal(len(all_of("Orders")), 29)


@check("a row at which the service fails each time is a dead letter with its words, and the others go")
def _():
    shop.execute("UPDATE customers SET name = NULL WHERE code = 'C-0100'")
    shop.execute("UPDATE customers SET visits = 7 WHERE code = 'C-0101'")
    shop.commit()
    ran("run", "out")
    told = json.loads(ran("--format", "json", "dead-letters", "list"))
    equal([[one["key"], one["code"], "NOT NULL" in json.dumps(one)] for one in told], [["C-0100", "IB0508", True]])
    equal(call("GET", "Customers('C-0101')")["visits"], 7)
    shop.execute("UPDATE customers SET name = 'again' WHERE code = 'C-0100'")
    shop.commit()
    ran("run", "out")
    equal(call("GET", "Customers('C-0100')")["name"], "again")
    for one in ROWS:
        if one["code"] == "C-0100":
            one["name"] = "again"
        if one["code"] == "C-0101":
            one["visits"] = 7


@check("all rows are read over many pages, and then what has changed")
def _():
    ran("run", "in")

    def copied():
        found = copy.execute(f"SELECT {', '.join(FIELDS)} FROM customers")
        return by_code(dict(zip(FIELDS, one)) for one in found)

    compare(copied(), by_code(ROWS))
    etag = call("GET", "Customers('a%2Fb')")["@odata.etag"]
    call("PATCH", "Customers('a%2Fb')", {"name": "by somebody"}, **{"If-Match": etag})
    ran("run", "in")
    equal(copied()["a/b"]["name"], "by somebody")


@check("a number of more digits than a float holds is written as it is")
def _():
    shop.execute("INSERT INTO customers (code, name, credit, big) VALUES ('C-BIG', 'sample', '1234567890123.45', 9007199254740993)")
    shop.commit()
    ran("run", "out")
    # As it is stored: the service itself reads it as a float.
    stored = sqlite3.connect(work.parent / "service" / "sample.db")
    equal(stored.execute("SELECT big, credit FROM sample_Customers WHERE code = 'C-BIG'").fetchall(), [(9007199254740993, 1234567890123.45)])


finish()
