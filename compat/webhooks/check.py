"""Has the libraries of those who send webhooks post to a hub, and looks at what arrives at the destination.

check.py IRONBRIDGE FOLDER SEND: the folder of the hub, and the program that sends as the libraries of npm do.
"""

import datetime
import functools
import gzip
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

import cloudevents.core.bindings.http as http_binding
import cloudevents.v1.http as http_before
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

import project
from checks import check, equal, finish

ironbridge, work, send = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
PORT = 8815
KEYS = {
    "CLOUD_KEY": "sample-key-of-events",
    "STRIPE_OLD": "whsec_sample_old",
    "STRIPE_NEW": "whsec_sample_new",
    "GITHUB_KEY": "It's a sample secret, with ümlaut",
    "STANDARD_OLD": "whsec_c2FtcGxlIHNlY3JldCB0aGF0IGlzIG9sZA==",
    "STANDARD_NEW": "whsec_c2FtcGxlIHNlY3JldCB0aGF0IGlzIG5ldw==",
}
# What each sender has for its way to prove itself, and for where its row stands.
SENDERS = {
    "payments": ('{ signed: stripe, keys: ["${env:STRIPE_OLD}", "${env:STRIPE_NEW}"] }', "data.object."),
    "forge": ('{ signed: github, keys: ["${env:GITHUB_KEY}"] }', ""),
    "standard": ('{ signed: standard, keys: ["${env:STANDARD_OLD}", "${env:STANDARD_NEW}"] }', ""),
    "svix": ('{ signed: standard, header: svix-signature, keys: ["${env:STANDARD_NEW}"] }', ""),
    "cloud": ('{ header: aeg-sas-key, keys: ["${env:CLOUD_KEY}"] }', ""),
}


def system(name):
    webhooks, path = SENDERS[name]
    columns = f"'{path}number': text, '{path}name': text, '{path}total': decimal"
    return f"""\
system: {name}
kind: rest
owner: finance-it
connection: {{ url: "http://127.0.0.1:9" }}
webhooks: {webhooks}
entities:
  order: {{ columns: {{ {columns} }}, read: {{ number: {path}number, name: {path}name, total: {path}total }} }}
"""


def integration(name):
    return f"""\
integration: from-{name}
pattern: event
entity: order
from: {name}
to: [copy]
trigger: {{ rows: [created, updated] }}
payload: as_sent
because: The warehouse ships within the minute.
sweep: off
without_sweep_because: The sender sends every event again until it is acknowledged.
owner: finance-it
purpose: Orders of senders that others wrote.
"""


project.write(
    work,
    {
        **project.basics(),
        "entities/order.yaml": "entity: order\nkey: number\nfields:\n  number: { type: text, max_length: 40 }\n"
        "  name: { type: text, max_length: 100 }\n  total: { type: decimal, scale: 2 }\n",
        "systems/copy.yaml": "system: copy\nkind: sqlite\nowner: finance-it\nconnection: { file: copy.db }\nentities:\n"
        "  order: { table: orders, alternate_key: number, write: { number: number, name: name, total: total } }\n",
        **{f"systems/{name}.yaml": system(name) for name in SENDERS},
        **{f"integrations/from-{name}.yaml": integration(name) for name in SENDERS},
    },
)
with sqlite3.connect(work / "copy.db") as made:
    made.execute("CREATE TABLE orders (number TEXT PRIMARY KEY, name TEXT, total DECIMAL(14,2))")
ran = functools.partial(project.ran, ironbridge, work, secrets=KEYS)


def url(name):
    return f"http://127.0.0.1:{PORT}/webhooks/from-{name}"


def sent(library, to, **given):
    """What a library of npm was answered."""
    done = subprocess.run(
        ["node", send, library, url(to), json.dumps(given)], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise AssertionError(done.stderr[-500:])
    status, said = json.loads(done.stdout)
    return status, said


def posted(body, **headers):
    """What a body of our own was answered, sent with the key of `cloud`."""
    headers = {"aeg-sas-key": KEYS["CLOUD_KEY"], "content-type": "application/json", **headers}
    request = urllib.request.Request(url("cloud"), data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def row(number, name="sample", total=1.5):
    return {"number": number, "name": name, "total": total}


def copied():
    with sqlite3.connect(work / "copy.db", timeout=30) as there:
        return dict(there.execute("SELECT number, name FROM orders"))


def arrives(number, name="sample"):
    end = time.monotonic() + 30
    while copied().get(number) != name:
        if time.monotonic() > end:
            told = ran("dead-letters", "list")
            raise AssertionError(f"{number} {name!r} did not arrive, {copied().get(number)!r} is there: {told}")
        time.sleep(0.1)


def settled():
    """Everything that was accepted is dealt with: the answer is how many dead letters there are."""
    end = time.monotonic() + 30
    while any(waiting()):
        if time.monotonic() > end:
            raise AssertionError(f"it still waits: {waiting()}")
        time.sleep(0.1)
    return len(json.loads(ran("--format", "json", "dead-letters", "list")))


def waiting():
    listed = json.loads(ran("--format", "json", "queue", "list"))
    return [queue["ready"] + queue["locked"] + queue["delayed"] for queue in listed if "subscriptions" in queue["queue"]]


def taken(answer):
    equal(answer, (202, ""))


def refused(answer, status, word):
    equal((answer[0], word in answer[1]), (status, True))


STRIPE = {"id": "evt_1", "secret": KEYS["STRIPE_NEW"]}
GITHUB = {"id": "d-1", "secret": KEYS["GITHUB_KEY"]}
STANDARD = {"id": "msg_1", "secret": KEYS["STANDARD_NEW"]}
CLOUD = {"key": KEYS["CLOUD_KEY"], "source": "/sample/shop"}

log = open(work / "up.log", "w")
up = subprocess.Popen(
    [ironbridge, "-C", work, "up", "--listen", f"127.0.0.1:{PORT}"], env={**os.environ, **KEYS}, stdout=log, stderr=log
)
try:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5).close()
            break
        except OSError:
            if up.poll() is not None:
                sys.exit((work / "up.log").read_text())
            time.sleep(0.1)

    signing = [
        ("stripe", "payments", STRIPE),
        ("github", "forge", GITHUB),
        ("standard", "standard", STANDARD),
        ("svix", "svix", STANDARD),
    ]
    for library, to, given in signing:

        @check(f"{library}: what it signs is taken, what was sent again is taken once, what is forged is refused")
        def _():
            number = f"{library}-ä-1"
            taken(sent(library, to, **given, row=row(number)))
            arrives(number)
            taken(sent(library, to, **given, row=row(number, "a replay")))
            taken(sent(library, to, **{**given, "id": "next"}, row=row(f"{library}-2")))
            arrives(f"{library}-2")
            for forged in [{"forged": True}, {"secret": "whsec_c29tZWJvZHkgZWxzZQ=="}]:
                refused(sent(library, to, **{**given, "id": "forged", **forged}, row=row(f"{library}-3")), 401, "signature")
            equal(settled(), 0)
            equal((copied().get(number), copied().get(f"{library}-3")), ("sample", None))

    for library, to, given in [("stripe", "payments", STRIPE), ("standard", "standard", STANDARD)]:

        @check(f"{library}: the key before this one holds too, and a signature for five minutes")
        def _():
            old = KEYS["STRIPE_OLD" if library == "stripe" else "STANDARD_OLD"]
            taken(sent(library, to, **{**given, "id": "old-key", "secret": old}, row=row(f"{library}-4")))
            taken(sent(library, to, **{**given, "id": "late"}, ago=280, row=row(f"{library}-5")))
            for ago in [320, -320]:
                refused(sent(library, to, **{**given, "id": f"at{ago}"}, ago=ago, row=row(f"{library}-6")), 401, "five minutes")
            arrives(f"{library}-4")
            arrives(f"{library}-5")
            equal(settled(), 0)
            equal(copied().get(f"{library}-6"), None)

    @check("github: the small library signs alike")
    def _():
        taken(sent("github", "forge", **{**GITHUB, "id": "d-9"}, methods=True, row=row("github-9")))
        arrives("github-9")

    @check("standard: one of two signatures is enough, and only what is signed says that an event was sent before")
    def _():
        unknown = "whsec_c29tZWJvZHkgZWxzZQ=="
        taken(sent("standard", "standard", id="two", secret=unknown, **{"and": KEYS["STANDARD_NEW"]}, row=row("two-1")))
        arrives("two-1")
        # Who has overheard one sends it again, and adds what nobody has signed.
        names = {"ce-specversion": "1.0", "ce-source": "/another", "ce-id": "another", "ce-type": "sample"}
        taken(sent("standard", "standard", id="two", secret=KEYS["STANDARD_NEW"], row=row("two-1", "again"), headers=names))
        equal(settled(), 0)
        equal(copied()["two-1"], "sample")

    for mode, forms in [("binary", ["object", "text", "bytes"]), ("structured", ["object"])]:
        for form in forms:

            @check(f"cloudevents of npm, {mode}, its data given as {form}")
            def _():
                number = f"npm-{mode}-{form}"
                taken(sent("cloudevents", "cloud", **CLOUD, mode=mode, id=number, row=row(number), **{"as": form}))
                arrives(number)
                taken(sent("cloudevents", "cloud", **CLOUD, mode=mode, id=number, row=row(number, "a replay"), **{"as": form}))
                equal(settled(), 0)
                equal(copied()[number], "sample")

    @check("cloudevents of npm, structured: its data as a text or as bytes is refused at once")
    def _():
        for form in ["text", "bytes"]:
            answer = sent("cloudevents", "cloud", **CLOUD, mode="structured", id=form, row=row(form), **{"as": form})
            refused(answer, 400, "`data`")
        equal(settled(), 0)

    def batch(mark, name="sample"):
        return [{"id": f"{mark}-{at}", "source": "/sample/shop", "row": row(f"{mark}-{at}", name)} for at in range(40)]

    @check("cloudevents of npm: a batch, and again")
    def _():
        taken(sent("cloudevents", "cloud", **CLOUD, mode="batch", events=batch("batch")))
        arrives("batch-39")
        taken(sent("cloudevents", "cloud", **CLOUD, mode="batch", events=batch("batch", "a replay")))
        equal(settled(), 0)
        equal([copied()[f"batch-{at}"] for at in range(40)], ["sample"] * 40)

    @check("an id is its source's: the same one of another source is another event")
    def _():
        for source, name in [("/a", "first"), ("/b", "second"), ("/b", "a replay")]:
            given = {**CLOUD, "source": source}
            taken(sent("cloudevents", "cloud", **given, mode="structured", id="same", row=row("same-1", name)))
        arrives("same-1", "second")
        equal((settled(), copied()["same-1"]), (0, "second"))

    @check("cloudevents of PyPI: its new and its old way, the event taken once whichever mode it comes in")
    def _():
        attributes = {
            "type": "sample.order",
            "source": "/sample/läden/\"ä\" 100%",
            "id": "py ä-1",
            "datacontenttype": "application/json",
            "time": datetime.datetime.now(datetime.timezone.utc),
        }
        attributes["specversion"] = "1.0"
        for at, message in enumerate([http_binding.to_binary, http_binding.to_structured]):
            made = message(CloudEvent(attributes, row("py-1", "sample" if at == 0 else "a replay")), JSONFormat())
            body = made.body if isinstance(made.body, bytes) else made.body.encode()
            taken(posted(body, **made.headers))
        arrives("py-1")
        for at, message in enumerate([http_before.to_structured, http_before.to_binary]):
            old = http_before.CloudEvent({"type": "sample.order", "source": "/py", "id": f"old-{at}"}, row(f"py-old-{at}"))
            headers, body = message(old)
            taken(posted(body, **headers))
            arrives(f"py-old-{at}")
        equal((settled(), copied()["py-1"]), (0, "sample"))

    @check("@azure/eventgrid: one event and many, with its key in its own header; with a wrong key it says so")
    def _():
        # It knows no success but 200, which a topic of Event Grid answers.
        equal(sent("eventgrid", "cloud", **CLOUD, events=batch("grid"))[0], 202)
        arrives("grid-39")
        equal(sent("eventgrid", "cloud", **CLOUD, events=batch("grid", "a replay")[:1])[0], 202)
        refused(sent("eventgrid", "cloud", key="wrong", events=batch("wrong")), 401, "takes this key")
        equal((settled(), copied()["grid-0"], copied().get("wrong-0")), (0, "sample", None))

    @check("odd bodies: a byte order mark, a charset, chunks; what cannot be read is refused with its reason")
    def _():
        plain = json.dumps(row("odd-1", "Größe 🙂"), ensure_ascii=False)
        taken(posted(plain.encode("utf-8-sig"), **{"content-type": "application/json; charset=utf-8"}))
        arrives("odd-1", "Größe 🙂")
        taken(posted(iter([json.dumps(row("odd-2")).encode()[:9], json.dumps(row("odd-2")).encode()[9:]])))
        arrives("odd-2")
        for charset in ["iso-8859-1", "utf-16"]:
            body = json.dumps(row("odd-3", "Grö"), ensure_ascii=False).encode(charset)
            refused(posted(body, **{"content-type": f"application/json; charset={charset}"}), 400, "UTF-8")
        refused(posted(gzip.compress(plain.encode()), **{"content-encoding": "gzip"}), 415, "gzip")
        refused(posted(b"payload=%7B%7D", **{"content-type": "application/x-www-form-urlencoded"}), 400, "not JSON")
        refused(posted(b""), 400, "not JSON")
        equal((settled(), copied().get("odd-3")), (0, None))

    @check("the largest body is taken, one byte more is refused")
    def _():
        body = json.dumps({**row("large-1"), "more": ""}).encode()
        body = body.replace(b'"more": ""', b'"more": "' + b"x" * ((1 << 20) - len(body)) + b'"')
        taken(posted(body))
        arrives("large-1")
        refused(posted(body + b" "), 413, "limit")
        equal(settled(), 0)

    @check("no key and no signature stands in a log")
    def _():
        log.flush()
        said = (work / "up.log").read_text()
        equal([key for key in KEYS.values() if key in said], [])
finally:
    up.terminate()
    up.wait(30)
finish()
