"""Has a hub read from an API behind a sign-in service of somebody else's, whose tokens hold for four seconds.

check.py IRONBRIDGE FOLDER URL: the root of both. CLIENT_SECRET is what the clients have.
"""

import functools
import json
import os
import pathlib
import sqlite3
import sys
import threading
import time
import urllib.request

import project
from checks import check, equal, finish

ironbridge, work, url = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
SECRET = os.environ["CLIENT_SECRET"]
# Each with its client, where that stands in the request for a token, and what the token is for.
SYSTEMS = {
    "post": ("hub post", "body", "orders.read"),
    "basic": ("hub:basic", "header", "orders.read"),
    "beyond": ("hub post", "body", "orders.write"),
}


def system(name):
    client, place, scope = SYSTEMS[name]
    return f"""\
system: {name}
kind: rest
owner: finance-it
connection:
  url: "{url}"
  oauth: {{ token_url: "{url}/token", client_id: "{client}", client_secret: "${{env:CLIENT_SECRET}}", scope: {scope}, client_in: {place} }}
entities:
  order:
    columns: {{ number: text, name: text }}
    list: {{ request: GET /orders, rows: rows, cursor: {{ path: next, parameter: from }} }}
    read: {{ number: number, name: name }}
"""


project.write(
    work,
    {
        **project.basics(),
        "entities/order.yaml": "entity: order\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n"
        "  name: { type: text, max_length: 100 }\n",
        "systems/copy.yaml": "system: copy\nkind: sqlite\nowner: finance-it\nconnection: { file: copy.db }\nentities:\n"
        + "  order: { table: orders, alternate_key: number, write: { number: number, name: name } }\n",
        **{f"systems/{name}.yaml": system(name) for name in SYSTEMS},
        **{
            f"integrations/from-{name}.yaml": f"integration: from-{name}\npattern: batch\nentity: order\nfrom: {name}\nto: copy\n"
            "schedule: every 15 minutes\nowner: finance-it\npurpose: A copy for the reports.\n"
            for name in SYSTEMS
        },
    },
)
ran = functools.partial(project.ran, ironbridge, work)


def seen(**query):
    request = urllib.request.Request(f"{url}/seen" + ("?take_back" if query else ""), method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


with sqlite3.connect(work / "copy.db") as made:
    made.execute("CREATE TABLE orders (number TEXT PRIMARY KEY, name TEXT)")


for name, (client, place, _) in list(SYSTEMS.items())[:2]:

    @check(f"client_secret_{name}: a token is renewed before it ends, in the midst of the pages")
    def _():
        read = "60 read" in ran("run", f"from-{name}")
        told = seen()
        equal((read, told["used"], told["refused"], told["denied"]), (True, [client], 0, []))
        # Half of four seconds each; a page takes half a second.
        equal((told["pages"] >= 12, 3 <= told["tokens"] <= 8), (True, True))

    @check(f"client_secret_{name}: a wrong secret is told in the service's words, and stands nowhere")
    def _():
        wrong = "sample-wrong-secret"
        said = ran("systems", "check", name, secrets={"CLIENT_SECRET": wrong}, fails=True)
        said += ran("run", f"from-{name}", secrets={"CLIENT_SECRET": wrong}, fails=True)
        told = ["IB0502", "client_secret", "invalid_client", "client authentication failed", wrong]
        equal([word in said for word in told], [True, True, True, True, False])
        equal(set(seen()["denied"]), {"invalid_client"})


@check("tokens that are taken back are renewed once each, and the run goes on")
def _():
    said = []
    run = threading.Thread(target=lambda: said.append(ran("run", "from-basic")))
    run.start()
    while run.is_alive() and not seen()["pages"]:
        time.sleep(0.1)
    seen(take_back=True)
    run.join()
    told = seen()
    equal(("60 read" in "".join(said), told["refused"], told["denied"]), (True, 1, []))


@check("a scope that is not the client's is told in the service's words")
def _():
    said = ran("systems", "check", "beyond", fails=True)
    equal([word in said for word in ["IB0502", "invalid_scope", SECRET]], [True, True, False])


@check("no secret and no token is kept")
def _():
    kept = [path for path in work.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    equal(kept, [])


finish()
