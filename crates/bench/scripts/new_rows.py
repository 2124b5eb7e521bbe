#!/usr/bin/env python3
"""New rows into the local Dynamics, beside Microsoft's Python SDK making the same rows by bulk creates.

    cargo build --release && crates/bench/scripts/new_rows.py [ROWS]

Needs powerplatform-dataverse-client from PyPI; it is installed where compat/run installs it. Both sides write the same
columns of the same rows over TLS into an empty Dynamics of their own. The SDK gets them in lists of 1,000 (`CreateMultiple`);
other lengths were not tried. The goal: at least 5 times the SDK.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile

from common import BINARY, TOKEN, Emulator, cost, project

SDK = "powerplatform-dataverse-client==1.1.0"
CACHE = os.environ.get("COMPAT_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ironbridge-compat")

FINANCE = """
system: finance
kind: sqlite
owner: finance-it
connection: { file: data/finance.db }
entities:
  customer:
    table: customers
    read:
      number: customer_no
      name: =Trim(company_name)
      email: =Lower(Trim(contact_email))
      credit_limit: credit_limit
      terms: { column: terms_code, choice: { net30: "30", net60: "60", prepaid: PP } }
      parent: parent_no
      changed_at: updated_at
"""

SENDER = """
import json, os, sys, time
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient

class Static:
    def get_token(self, *scopes, **kwargs):
        return AccessToken(os.environ["BENCH_TOKEN"], 2**31)

rows = json.load(open(sys.argv[1]))
client = DataverseClient(os.environ["BENCH_URL"], Static())
for at in range(0, len(rows), 1000):
    client.records.create("account", rows[at:at + 1000])
"""


def rows_of(count):
    terms = ["30", "60", "PP"]
    return [(f"C-{n:08}", f"Sample Company {n} Limited", f"desk{n}@company.example", f"{n % 100000 / 4:.4f}", terms[n % 3], None,
             "2026-01-01T08:00:00Z") for n in range(count)]


def sdk():
    """A Python with the SDK in it."""
    folder = os.path.join(CACHE, "sdk")
    if not os.path.exists(os.path.join(folder, "ready")):
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([os.path.join(folder, "bin/pip"), "install", "-q", SDK], check=True)
        open(os.path.join(folder, "ready"), "w").close()
    return os.path.join(folder, "bin/python")


def with_sdk(rows, folder):
    as_choice = {"30": 1, "60": 4, "PP": 10}
    records = [{"accountnumber": no, "name": name, "emailaddress1": mail, "creditlimit": float(limit), "paymenttermscode": as_choice[terms]}
               for no, name, mail, limit, terms, _, _ in rows]
    path, program = os.path.join(folder, "rows.json"), os.path.join(folder, "send.py")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(records, file)
    with open(program, "w", encoding="utf-8") as file:
        file.write(SENDER)
    python = sdk()
    with Emulator() as dynamics:
        more = {"BENCH_TOKEN": TOKEN, "BENCH_URL": dynamics.https, "REQUESTS_CA_BUNDLE": dynamics.authority}
        return cost([python, program, path], env={**os.environ, **more})


def with_hub(rows, folder):
    with Emulator() as dynamics:
        folder = project(os.path.join(folder, "hub"), FINANCE, dynamics.https)
        path = os.path.join(folder, "data/finance.db")
        os.remove(path)
        with sqlite3.connect(path) as finance:
            finance.execute("CREATE TABLE customers (customer_no TEXT PRIMARY KEY, company_name TEXT, contact_email TEXT, credit_limit TEXT, "
                            "terms_code TEXT, parent_no TEXT, updated_at TEXT)")
            finance.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        finance.close()
        return cost([BINARY, "-C", folder, "run", "customers"], env={**os.environ, "SSL_CERT_FILE": dynamics.authority})


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = rows_of(count)
    with tempfile.TemporaryDirectory(prefix="ironbridge-bench-") as folder:
        theirs = with_sdk(rows, folder)
        print(f"SDK, {count:,} new rows in lists of 1,000   {theirs}   {count / theirs.wall:,.0f} rows/s", flush=True)
        ours = with_hub(rows, folder)
        print(f"ironbridge run, {count:,} new rows          {ours}   {count / ours.wall:,.0f} rows/s")
        print(f"{theirs.wall / ours.wall:.1f} times the SDK (goal: 5); with {theirs.cpu / ours.cpu:.1f} times less CPU of its own")


main()
