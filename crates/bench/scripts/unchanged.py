#!/usr/bin/env python3
"""A run over rows that have not changed, beside PostgreSQL's own copy of them to nowhere.

    scripts/servers start DIR && . DIR/environment
    cargo build --release && crates/bench/scripts/unchanged.py [ROWS] [ROUNDS]

A table of seven columns is read whole, mapped to accounts of the local Dynamics and written there once; then each round
measures `\\copy customers to /dev/null` and `ironbridge run customers`, in turn. The goal: at most 2 times the copy, at most 150 MB.
"""

import os
import subprocess
import sys
import tempfile
import time

from common import BINARY, Emulator, cost, middle, project

FILL = """
DROP TABLE IF EXISTS bench_customers;
CREATE TABLE bench_customers (customer_no text PRIMARY KEY, company_name text NOT NULL, contact_email text, credit_limit numeric(18,4),
  terms_code varchar(4), parent_no text, updated_at timestamptz);
INSERT INTO bench_customers SELECT 'C-' || lpad(n::text, 8, '0'), 'Sample Company ' || n || ' Limited', 'desk' || n || '@company.example',
  (n % 100000) / 4.0, (array['30', '60', 'PP'])[1 + n % 3], NULL, timestamptz '2026-01-01 08:00:00+00' + n * interval '7 seconds'
  FROM generate_series(1, {rows}) n;
VACUUM (ANALYZE, FREEZE) bench_customers;
CHECKPOINT;
"""

FINANCE = """
system: finance
kind: postgres
owner: finance-it
connection: {{ url: "${{env:BENCH_URL}}" }}
entities:
  customer:
    table: bench_customers
    read:
      number: customer_no
      name: =Trim(company_name)
      email: =Lower(Trim(contact_email))
      credit_limit: credit_limit
      terms: {{ column: terms_code, choice: {{ net30: "30", net60: "60", prepaid: PP }} }}
      parent: parent_no
      changed_at: updated_at
"""


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    url = os.environ.get("IRONBRIDGE_TEST_POSTGRES") or sys.exit("start a server first: scripts/servers start DIR; . DIR/environment")
    os.environ["BENCH_URL"] = url
    psql = ["psql", "-X", "-q", url]
    subprocess.run(psql + ["-v", "ON_ERROR_STOP=1"], input=FILL.format(rows=rows).encode(), check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix="ironbridge-bench-") as folder:
        with Emulator() as dynamics:
            folder = project(os.path.join(folder, "hub"), FINANCE.format(), dynamics.url)
            run = [BINARY, "-C", folder, "run", "customers"]
            first = cost(run)
            print(f"first run, {rows:,} new rows          {first}   {rows / first.wall:,.0f} rows/s", flush=True)
            copies, runs = [], []
            for _ in range(rounds):
                copies.append(cost(psql + ["-c", r"\copy bench_customers to /dev/null"]))
                time.sleep(0.2)
                runs.append(cost(run))
                print(f"  copy {copies[-1].wall:5.2f} s   run {runs[-1].wall:5.2f} s, cpu {runs[-1].cpu:5.2f} s   {runs[-1].wall / copies[-1].wall:4.2f} times", flush=True)
            copy, ours = middle(copies), middle(runs)
            print(f"\\copy of {rows:,} rows             {copy}")
            print(f"run over them, nothing changed     {ours}")
            print(f"times the copy: {ours.wall / copy.wall:.2f} in the middle, {min(r.wall for r in runs) / min(c.wall for c in copies):.2f} at best (goal: 2); "
                  f"resident {ours.resident:.0f} MB (goal: 150)")


main()
