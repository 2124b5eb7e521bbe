"""Has a hub send every kind of notice, and keeps what it sent: mails, and one JSON file for each request.

collect.py IRONBRIDGE PROJECT OUT: the clock of the hub stands on a Monday morning, two days after rows were rejected.
"""

import datetime
import http.server
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

ironbridge, project, out = sys.argv[1:]
out = pathlib.Path(out)
work = out / "project"
shutil.copytree(project, work)
taken = []


class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        way = self.path.strip("/").split("/")[0]
        taken.append((way, body))
        folder = out / way
        folder.mkdir(exist_ok=True)
        (folder / f"{len(taken):02}.json").write_text(json.dumps(body, indent=1, ensure_ascii=False))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_address[1]}"
now = datetime.datetime.now(datetime.timezone.utc)
monday = (now + datetime.timedelta(days=7 - now.weekday())).replace(hour=10, minute=30)
offset = int((monday - now).total_seconds())
environment = {**os.environ, "NOTICES": here, "PAGERDUTY": "sample-key", "IRONBRIDGE_PAGERDUTY": f"{here}/pagerduty"}


def ran(*args, days=0):
    env = {**environment, "IRONBRIDGE_CLOCK_OFFSET": str(offset - days * 86_400)}
    done = subprocess.run([ironbridge, "-C", work, *args], env=env, capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


def sql(file, text):
    with sqlite3.connect(work / file) as connection:
        connection.executescript(text)
    connection.close()


def mails():
    return [path.read_text() for path in sorted((work / "mails").glob("*.eml"))]


def until(what, is_there, seconds=60):
    end = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end:
            sys.exit(f"{what} did not come:\n{(work / 'up.log').read_text()[-3000:]}")
        time.sleep(0.2)


def told(word):
    """A mail of this subject has come."""
    return lambda: any(word in line for mail in mails() for line in mail.split("\n\n")[0].splitlines())


sql("finance.db", """
CREATE TABLE customers (number TEXT PRIMARY KEY, name TEXT, credit_limit TEXT, changed_at TEXT);
INSERT INTO customers VALUES ('C-1001', 'Bolt & Söhne <sample>', '5000.00', '2026-01-01T00:00:00Z'),
  ('C-1002', NULL, '10.00', '2026-01-01T00:00:00Z'), ('C-1003', NULL, '12.00', '2026-01-01T00:00:00Z');
CREATE TABLE partners (number TEXT PRIMARY KEY, name TEXT);
INSERT INTO partners VALUES ('P-1', 'Sample Carriers'), ('P-2', NULL);
""")
sql("sales.db", """
CREATE TABLE customers (number TEXT PRIMARY KEY, name TEXT, credit_limit DECIMAL(14,2));
CREATE TABLE partners (number TEXT PRIMARY KEY, name TEXT);
CREATE TABLE requests (number TEXT PRIMARY KEY, customer TEXT, requested DECIMAL(14,2), outcome TEXT, changed_at TEXT);
INSERT INTO requests VALUES ('R-17', 'C-1001', 25000, 'open', '2026-01-01T00:00:00Z');
""")
ran("run", "customers", days=2)
ran("run", "partners", days=2)
with open(work / "up.log", "w") as log:
    env = {**environment, "IRONBRIDGE_CLOCK_OFFSET": str(offset)}
    up = subprocess.Popen([ironbridge, "-C", work, "up", "--listen", "127.0.0.1:0"], env=env, stdout=log, stderr=log)
try:
    until("two matters in one notice", told("things need somebody"))
    until("the message of the week", told("this week"))
    ran("flow", "start", "credit-limit", "R-17")
    until("the question", told("please decide"))
    until("the reminder", told("reminder"))
    until("the escalation", told("nobody has decided yet"))
    ran("approvals", "approve", "1", "--by", "ann", "--comment", "pays on time")
    until("the news", lambda: any("The limit of" in json.dumps(body) for way, body in taken if way == "teams"))
    os.rename(work / "finance.db", work / "away.db")
    until("the alert of a late result", told("customers is late"))
    os.rename(work / "away.db", work / "finance.db")
    until("its end", told("[over] contoso: customers is late"))
    sql("finance.db", f"UPDATE customers SET name = 'Nail (sample)', changed_at = '{monday:%Y-%m-%dT%H:%M:%SZ}' WHERE name IS NULL")
    sql("finance.db", "UPDATE partners SET name = 'Sample Movers' WHERE name IS NULL")
    until("the end of several", told("began together"), 150)
    ran("alerts", "test")
finally:
    up.terminate()
    up.wait(30)
shutil.copytree(work / "mails", out / "mails")
print(", ".join(f"{sum(way == one for way, _ in taken)} for {one}" for one in sorted({way for way, _ in taken})),
      f"and {len(mails())} mails")
