"""Has a hub write to APIs of other people's frameworks and read from them.

check.py IRONBRIDGE FOLDER DJANGO JSON DATASETTE: the roots of three services; of Datasette, whose file is `shop.db` in FOLDER.
"""

import datetime
import decimal
import functools
import json
import pathlib
import sqlite3
import sys
import urllib.parse
import urllib.request

import project
from checks import check, equal, finish

ironbridge, work = sys.argv[1], pathlib.Path(sys.argv[2])
django, plain_json, datasette = sys.argv[3:6]
D = decimal.Decimal
TYPES = {
    "code": ("{ type: text, max_length: 20 }", "TEXT PRIMARY KEY NOT NULL", "text"),
    "name": ("{ type: text, max_length: 100 }", "TEXT", "text"),
    "credit": ("{ type: decimal, scale: 2 }", "DECIMAL(15,2)", "decimal"),
    "since": ("{ type: date }", "DATE", "date"),
    "seen": ("{ type: datetime }", "TIMESTAMPTZ", "datetime"),
    "active": ("{ type: yes_no }", "BOOLEAN", "yes_no"),
    "visits": ("{ type: whole_number }", "INTEGER", "whole_number"),
    "note": ("{ type: multiline, max_length: 5000 }", "TEXT", "text"),
}
FIELDS = list(TYPES)
# Keys that have to be escaped in an address.
ODD = ["a b", "a'b", "a/b", "a+b", "a%20b", "a&b", "a#b", "a?b", "ä", "日本", "a=b", "(a)", "a;b", "a\"b", "a\\b", "$a", "null", "1", "007"]
COUNT = 320


def row(at, code):
    return {
        "code": code,
        "name": f"Sample {at} \"ü\" 🙂",
        "credit": f"{at * 1000}.{at % 100:02}",
        "since": f"20{at % 30:02}-0{at % 9 + 1}-1{at % 10}",
        "seen": f"2026-07-0{at % 9 + 1}T12:00:{at % 60:02}.250Z",
        "active": at % 2,
        "visits": at - 100,
        "note": None if at % 3 else "one\ntwo",
    }


ROWS = [row(at, code) for at, code in enumerate([*ODD, *(f"C-{at:04}" for at in range(COUNT - len(ODD)))])]
pairs = ", ".join(f"{name}: {name}" for name in FIELDS)
declared = ", ".join(f"{name}: {ty}" for name, (_, _, ty) in TYPES.items())
TOKEN = 'api_key: { header: Authorization, value: "Token ${env:API_KEY}" }'


def system(name, url, body, key=TOKEN):
    return f"""\
system: {name}
kind: rest
owner: finance-it
connection: {{ url: "{url}", {key} }}
entities:
{body}"""


def listed(request, way, more=""):
    return f"""\
  customer:
    columns: {{ {declared} }}
    list: {{ request: "{request}", {way} }}
    read: {{ {pairs} }}
{more}"""


def batch(name, source, to, entities="entity: customer", more=""):
    return (
        f"integration: {name}\npattern: batch\n{entities}\nfrom: {source}\nto: {to}\nschedule: every 15 minutes\n"
        f"owner: finance-it\npurpose: Sample customers.\n{more}"
    )


# Each way from page to page, and what every page is longer than: the API has a limit of its own.
WAYS = {
    "number": ("/customers/", "rows: results, page: { parameter: page }, size: { parameter: page_size, rows: 100 }"),
    "link": ("/customers/", "rows: results, next: next, size: { parameter: page_size, rows: 100 }"),
    "offset": ("/by-offset/", "rows: results, offset: { parameter: offset }, size: { parameter: limit, rows: 100 }"),
    "cursor": ("/by-cursor/", "rows: results, next: next"),
    "exact": ("/customers/", "rows: results, page: { parameter: page }, size: { parameter: page_size, rows: 40 }"),
    "bare": ("/customers/", "rows: results, page: { parameter: page }"),
    "narrow": ("/narrow/", "rows: results, next: next, size: { parameter: page_size, rows: 40 }"),
}
FILES = {
    **project.basics(),
    "entities/customer.yaml": "entity: customer\nkey: code\nfields:\n"
    + "".join(f"  {name}: {ty}\n" for name, (ty, _, _) in TYPES.items()),
    "entities/order.yaml": "entity: order\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n"
    "  customer: { type: reference, entity: customer }\n  total: { type: decimal, scale: 2 }\n"
    "  lines: { type: lines, key: line_no, fields: { line_no: { type: whole_number }, product: { type: text, max_length: 20 }, quantity: { type: whole_number } } }\n",
    "systems/shop.yaml": f"""\
system: shop
kind: sqlite
owner: finance-it
connection: {{ file: shop.db }}
entities:
  customer: {{ table: customers, alternate_key: code, read: {{ {pairs} }} }}
  order:
    table: orders
    alternate_key: number
    read:
      number: number
      customer: customer
      total: total
      lines: {{ table: order_lines, parent: number, read: {{ line_no: line_no, product: product, quantity: quantity }} }}
""",
    "systems/few.yaml": f"""\
system: few
kind: sqlite
owner: finance-it
connection: {{ file: shop.db }}
entities:
  customer: {{ table: customers, alternate_key: code, where: '=visits < -80', read: {{ {pairs} }} }}
""",
    "systems/api.yaml": system(
        "api",
        django,
        f"""\
  customer:
    alternate_key: code
    create: POST /customers/
    update: PATCH /customers/{{code}}/
    delete: DELETE /customers/{{code}}/
    exists: GET /customers/{{code}}/
    write: {{ {pairs} }}
  order:
    alternate_key: number
    create: POST /orders/
    update: PUT /orders/{{api_id}}/
    delete: DELETE /orders/{{api_id}}/
    exists: "GET /orders/?number={{number}}"
    returns: {{ api_id: id }}
    write: {{ number: number, customer: customer, total: total, lines: {{ each: lines, write: {{ product: product, quantity: quantity }} }} }}
""",
    ),
    "systems/tight.yaml": system(
        "tight",
        django,
        f"""\
  customer:
    alternate_key: code
    create: POST /narrow/
    update: PUT /narrow/{{code}}/
    exists: GET /narrow/{{code}}/
    write: {{ {pairs} }}
""",
    ),
    "systems/store.yaml": system(
        "store",
        plain_json,
        f"""\
  customer:
    alternate_key: id
    create: POST /customers
    update: PUT /customers/{{code}}
    delete: DELETE /customers/{{code}}
    exists: GET /customers/{{code}}
    write: {{ {pairs.replace("code: code", "id: code")} }}
""",
        key="timeout: 20 seconds",
    ),
    "integrations/out.yaml": batch("out", "shop", "api", "entities: [customer, order]", "deletes: delete\nmax_deletes: 50%\n"),
    "integrations/out-tight.yaml": batch("out-tight", "few", "tight"),
    "integrations/out-store.yaml": batch("out-store", "shop", "store", more="deletes: delete\nmax_deletes: 50%\n"),
}
for name, (path, way) in WAYS.items():
    FILES[f"systems/by-{name}.yaml"] = system(f"by-{name}", django, listed(f"GET {path}", way))
FILES["systems/changes.yaml"] = system(
    "changes",
    django,
    listed(
        "GET /customers/",
        'rows: results, next: next, changes: "GET /customers/?changed_after={since}"',
        "    watermark: { column: changed, overlap: 0 seconds }\n",
    ).replace("columns: {", "columns: { changed: datetime,"),
)
# Express leaves a comma in a link as it is.
FILES["systems/links.yaml"] = system(
    "links",
    plain_json,
    listed("GET /customers?name_ne=a,b&_page=1", "size: { parameter: _limit, rows: 50 }").replace("code: code", "code: id").replace("{ code: text", "{ id: text"),
    key="timeout: 20 seconds",
)
FILES["systems/tables.yaml"] = system(
    "tables", datasette, listed("GET /shop/customers.json?_shape=objects", "rows: rows, next: next_url, size: { parameter: _size, rows: 50 }"), key="timeout: 20 seconds"
)
READS = [f"by-{name}" for name in WAYS] + ["changes", "links", "tables"]
for name in READS:
    FILES[f"systems/copy-{name}.yaml"] = (
        f"system: copy-{name}\nkind: sqlite\nowner: finance-it\nconnection: {{ file: copy.db }}\nentities:\n"
        f'  customer: {{ table: "{name}", alternate_key: code, write: {{ {pairs} }} }}\n'
    )
    FILES[f"integrations/from-{name}.yaml"] = batch(f"from-{name}", name, f"copy-{name}")
project.write(work, FILES)

shop, copy = sqlite3.connect(work / "shop.db"), sqlite3.connect(work / "copy.db")
columns = ", ".join(f"{name} {ty}" for name, (_, ty, _) in TYPES.items())
shop.execute("PRAGMA journal_mode = WAL")
shop.execute(f"CREATE TABLE customers ({columns})")
for name in READS:
    copy.execute(f'CREATE TABLE "{name}" ({columns})')
shop.execute("CREATE TABLE orders (number TEXT PRIMARY KEY, customer TEXT, total DECIMAL(15,2))")
shop.execute("CREATE TABLE order_lines (number TEXT REFERENCES orders, line_no INTEGER, product TEXT, quantity INTEGER, PRIMARY KEY (number, line_no))")
for one in ROWS:
    shop.execute(f"INSERT INTO customers VALUES ({', '.join('?' * len(FIELDS))})", [one[name] for name in FIELDS])
for at, one in enumerate(ROWS[:30]):
    shop.execute("INSERT INTO orders VALUES (?, ?, ?)", [f"O-{at}", one["code"], f"{at}.50"])
    for line in range(at % 4):
        shop.execute("INSERT INTO order_lines VALUES (?, ?, ?, ?)", [f"O-{at}", line + 1, f"P-{line}", at + line])
shop.commit()
copy.commit()
ran = functools.partial(project.ran, ironbridge, work, secrets={"API_KEY": "sample"})


def call(root, method, path, body=None):
    request = urllib.request.Request(
        path if path.startswith("http") else root + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Token sample", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text, parse_float=D) if text else None


def all_of(path):
    found = []
    while path:
        page = call(django, "GET", path)
        found += page["results"]
        path = page["next"]
    return found


def seen():
    return call(django, "POST", "/seen")


def plain(one):
    moment = one.get("seen") and datetime.datetime.fromisoformat(one["seen"])
    return {**{name: one.get(name) for name in FIELDS}, "credit": D(str(one["credit"])), "seen": moment, "active": bool(one["active"])}


def by_code(rows):
    return {one["code"]: plain(one) for one in rows}


def compare(got, expected):
    for code, one in expected.items():
        equal(got.get(code), one)
    equal(sorted(got), sorted(expected))


def orders():
    return {
        one["number"]: (one["customer"], D(one["total"]), [(line["product"], line["quantity"]) for line in one["lines"]])
        for one in all_of("/orders/?page_size=40")
    }


def expected_orders():
    lines = {}
    for number, product, quantity in shop.execute("SELECT number, product, quantity FROM order_lines ORDER BY number, line_no"):
        lines.setdefault(number, []).append((product, quantity))
    found = shop.execute("SELECT number, customer, CAST(total AS TEXT) FROM orders")
    return {number: (customer, D(total), lines.get(number, [])) for number, customer, total in found}


@check("Django REST framework: rows are created, whatever their keys are, and documents with their lines")
def _():
    ran("run", "out")
    compare(by_code(all_of("/customers/")), by_code(ROWS))
    equal(orders(), expected_orders())


@check("nothing is written a second time, though amounts come back as texts")
def _():
    seen()
    said = ran("run", "out")
    equal((seen()["writes"], f"{COUNT + 30} unchanged" in said), (0, True))


@check("only what is different is sent, lines are replaced, rows are removed")
def _():
    for at, one in enumerate(ROWS[:25]):
        one["name"], one["credit"], one["note"] = f"Changed {at}", "0.10", None
        shop.execute(
            "UPDATE customers SET name = ?, credit = ?, note = NULL WHERE code = ?", [one["name"], "0.10", one["code"]]
        )
    shop.execute("DELETE FROM order_lines WHERE number = 'O-3' AND line_no = 2")
    shop.execute("UPDATE order_lines SET quantity = 99 WHERE number = 'O-7' AND line_no = 1")
    shop.execute("DELETE FROM order_lines WHERE number = 'O-29'")
    shop.execute("DELETE FROM orders WHERE number = 'O-29'")
    shop.execute("DELETE FROM customers WHERE code IN ('C-0200', 'C-0201')")
    shop.commit()
    ROWS[:] = [one for one in ROWS if one["code"] not in ["C-0200", "C-0201"]]
    seen()
    ran("run", "out")
    compare(by_code(all_of("/customers/")), by_code(ROWS))
    equal(orders(), expected_orders())
    equal(seen()["writes"], 27)


@check("what the API refuses is a dead letter with its words, and the others go")
def _():
    shop.execute("UPDATE customers SET name = ? WHERE code = 'C-0100'", ["x" * 100 + "y"])
    shop.execute("UPDATE customers SET name = NULL WHERE code = 'C-0101'")
    shop.execute("UPDATE customers SET visits = 7 WHERE code = 'C-0102'")
    shop.commit()
    ran("run", "out")
    told = json.loads(ran("--format", "json", "dead-letters", "list"))
    said = {one["key"]: json.dumps(one) for one in told}
    equal(sorted(said), ["C-0100", "C-0101"])
    equal("may not be null" in said["C-0101"], True)
    equal(call(django, "GET", "/customers/C-0102/")["visits"], 7)
    shop.execute("UPDATE customers SET name = 'again' WHERE code IN ('C-0100', 'C-0101')")
    shop.commit()
    ran("run", "out")
    for one in ROWS:
        one["name"] = "again" if one["code"] in ["C-0100", "C-0101"] else one["name"]
        one["visits"] = 7 if one["code"] == "C-0102" else one["visits"]
    equal(json.loads(ran("--format", "json", "dead-letters", "list")), [])


@check("a limit of eight requests in two seconds is kept to")
def _():
    seen()
    for one in ["a%20b", "%E6%97%A5%E6%9C%AC", "$a"]:
        number = call(django, "GET", f"/orders/?number=O-{ODD.index(urllib.parse.unquote(one))}")["results"][0]["id"]
        call(django, "DELETE", f"/orders/{number}/")
        call(django, "DELETE", f"/customers/{one}/")
    ran("run", "out-tight")
    compare(by_code(all_of("/customers/")), by_code(ROWS))
    # Asked again once in a while, and not all the time.
    equal(seen()["throttled"] <= 4, True)


@check("json-server: rows are created, changed and removed under their own keys")
def _():
    ran("run", "out-store")

    def stored():
        return by_code({**one, "code": one["id"]} for one in call(plain_json, "GET", "/customers"))

    compare(stored(), by_code(ROWS))
    shop.execute("UPDATE customers SET visits = 1000 WHERE code IN ('a/b', '007')")
    shop.execute("DELETE FROM customers WHERE code = 'a?b'")
    shop.commit()
    ROWS[:] = [{**one, "visits": 1000 if one["code"] in ["a/b", "007"] else one["visits"]} for one in ROWS if one["code"] != "a?b"]
    ran("run", "out-store")
    compare(stored(), by_code(ROWS))
    shop.execute("DELETE FROM order_lines WHERE number IN (SELECT number FROM orders WHERE customer = 'a?b')")
    shop.execute("DELETE FROM orders WHERE customer = 'a?b'")
    shop.commit()
    ran("run", "out")


def copied(name):
    found = copy.execute(f"SELECT {', '.join(FIELDS)} FROM \"{name}\"")
    return by_code(dict(zip(FIELDS, one)) for one in found)


for name in READS:

    @check(f"every row is read: {name}")
    def _():
        ran("run", f"from-{name}")
        compare(copied(name), by_code(ROWS))


@check("what has changed since is read alone")
def _():
    call(django, "PATCH", "/customers/a%2Fb/", {"name": "by somebody"})
    said = ran("run", "from-changes")
    equal((copied("changes")["a/b"]["name"], "1 updated" in said), ("by somebody", True))


finish()
