#!/usr/bin/env python3
"""New rows into the local Dynamics, beside Microsoft's Python SDK making the same rows by bulk creates.

    cargo build --release && crates/bench/scripts/new_rows.py [ROWS [FLAG…]]

Needs powerplatform-dataverse-client from PyPI; it is installed where compat/run installs it. Both sides write the same
columns of the same rows over TLS into an empty Dynamics of their own. The SDK gets them in lists of 1,000 (`CreateMultiple`);
other lengths were not tried. The goal: at least 5 times the SDK. Then the same rows once more with another credit limit: by
the SDK as `UpsertMultiple` of whole rows by their alternate key, by the hub as what a run makes of it; and a run over rows
that are as they were.

FLAGs are for the local Dynamics: `10000 --row-time "3 milliseconds" --at-once 16` is one that takes three milliseconds for each
row and wants sixteen requests at a time, as one in the cloud may.
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
    some = rows[at:at + 1000]
    if sys.argv[2] == "create":
        client.records.create("account", some)
    else:
        by_key = lambda row: {"alternate_key": {"accountnumber": row.pop("accountnumber")}, "record": row}
        client.records.upsert("account", [by_key(row) for row in some])
"""


def rows_of(count):
    terms = ["30", "60", "PP"]
    return [(f"C-{n:08}", f"Sample Company {n} Limited", f"desk{n}@company.example", f"{n % 100000 / 4:.4f}", terms[n % 3], None,
             "2026-01-01T08:00:00Z") for n in range(count)]


def changed(rows):
    """The same rows with another limit, later."""
    return [(no, name, mail, f"{float(limit) + 1:.4f}", terms, parent, "2026-01-02T08:00:00Z")
            for no, name, mail, limit, terms, parent, _ in rows]


def sdk():
    """A Python with the SDK in it."""
    folder = os.path.join(CACHE, "sdk")
    if not os.path.exists(os.path.join(folder, "ready")):
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([os.path.join(folder, "bin/pip"), "install", "-q", SDK], check=True)
        open(os.path.join(folder, "ready"), "w").close()
    return os.path.join(folder, "bin/python")


def measured(dynamics, command, env):
    """What a command cost, and what it cost the local Dynamics."""
    before = dynamics.cpu()
    used = cost(command, env=env)
    return used, dynamics.cpu() - before


def with_sdk(rows, folder, flags):
    as_choice = {"30": 1, "60": 4, "PP": 10}
    record = lambda row: {"accountnumber": row[0], "name": row[1], "emailaddress1": row[2], "creditlimit": float(row[3]),
                          "paymenttermscode": as_choice[row[4]]}
    program = os.path.join(folder, "send.py")
    with open(program, "w", encoding="utf-8") as file:
        file.write(SENDER)
    python = sdk()
    with Emulator(flags) as dynamics:
        more = {"BENCH_TOKEN": TOKEN, "BENCH_URL": dynamics.https, "REQUESTS_CA_BUNDLE": dynamics.authority}
        answers = []
        for what, some in [("create", rows), ("upsert", changed(rows))]:
            path = os.path.join(folder, f"{what}.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump([record(row) for row in some], file)
            answers.append(measured(dynamics, [python, program, path, what], {**os.environ, **more}))
        return answers


def with_hub(rows, folder, flags):
    with Emulator(flags) as dynamics:
        folder = project(os.path.join(folder, "hub"), FINANCE, dynamics.https)
        path = os.path.join(folder, "data/finance.db")
        os.remove(path)
        env = {**os.environ, "SSL_CERT_FILE": dynamics.authority}
        answers = []
        for some in [rows, changed(rows), changed(rows)]:
            with sqlite3.connect(path) as finance:
                finance.execute("DROP TABLE IF EXISTS customers")
                finance.execute("CREATE TABLE customers (customer_no TEXT PRIMARY KEY, company_name TEXT, contact_email TEXT, "
                                "credit_limit TEXT, terms_code TEXT, parent_no TEXT, updated_at TEXT)")
                finance.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)", some)
            finance.close()
            answers.append(measured(dynamics, [BINARY, "-C", folder, "run", "customers"], env))
        return answers


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = rows_of(count)
    said = lambda who, used, served: print(f"{who:52} {used}   {count / used.wall:9,.0f} rows/s   the local Dynamics: cpu {served:5.2f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="ironbridge-bench-") as folder:
        flags = sys.argv[2:]
        theirs, ours = with_sdk(rows, folder, flags), with_hub(rows, folder, flags)
    whats = ["new", "changed", "unchanged"]
    for what, (used, served) in zip(whats, theirs):
        said(f"SDK, {count:,} {what} rows in lists of 1,000", used, served)
    for what, (used, served) in zip(whats, ours):
        said(f"ironbridge run, {count:,} {what} rows", used, served)
    for what, (them, _), (us, _) in zip(whats, theirs, ours):
        print(f"{what} rows: {them.wall / us.wall:.1f} times the SDK; with {them.cpu / us.cpu:.1f} times less CPU of its own")
    print("the goal is 5 times for new rows")


main()
