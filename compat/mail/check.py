"""Has a hub hand its mails to aiosmtpd, which asks for this and refuses that.

check.py IRONBRIDGE FOLDER
"""

import contextlib
import datetime
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

import project
from checks import check, equal, finish

ironbridge, work = sys.argv[1], pathlib.Path(sys.argv[2])
PORT = 8818
PASSWORD = "sample p@ss/w:rd%+é"
BOTH = ["ann@contoso.example", "bob@contoso.example"]
project.write(
    work,
    {
        **project.basics(),
        "ironbridge.yaml": "hub: contoso\ntime_zone: Europe/London\nmail: { server: \"${env:MAIL}\", from: hub@contoso.example }\n"
        "alerts:\n  - { to: finance-it, severity: [warning, critical] }\n",
        # Of this somebody is told as soon as the hub is up.
        "entities/customer.yaml": "entity: customer\nkey: code\nfields: { code: { type: text, max_length: 20 } }\n",
        "systems/shop.yaml": "system: shop\nkind: sqlite\nowner: finance-it\nconnection: { file: shop.db }\n"
        f"vendor: {{ name: Contoso Ledger, supported_until: {datetime.date.today() + datetime.timedelta(days=3)} }}\n"
        "entities: { customer: { table: customers, alternate_key: code, read: { code: code } } }\n",
        "people.yaml": "people:\n"
        + "".join(f"  {mail[:3]}: {{ name: (sample) {mail[:3]}, email: {mail} }}\n" for mail in BOTH)
        + "groups: { finance-it: { members: [ann, bob], channels: [email] } }\n",
    },
)
authority, other = trustme.CA(), trustme.CA()
authority.cert_pem.write_to_path(str(work / "ca.pem"))
other.cert_pem.write_to_path(str(work / "other.pem"))
secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(secure)


class Taken:
    """What the server was given; `refuses` says what it answers to a recipient, and `ends` to a mail."""

    def __init__(self, refuses=lambda _: None, ends=lambda: None):
        self.mails, self.logins, self.refuses, self.ends = [], [], refuses, ends

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.refuses(address)
        if not answer:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = self.ends()
        if answer == "closes":
            server.transport.abort()
            return "421 closing"
        if not answer:
            self.mails.append((sorted(envelope.rcpt_tos), session.ssl is not None, envelope.content.decode()))
        return answer or "250 OK"

    def login(self, server, session, envelope, mechanism, data):
        self.logins.append(mechanism)
        return AuthResult(success=(data.login, data.password) == (b"hub@contoso.example", PASSWORD.encode()), handled=False)

    def told(self):
        return [to for to, _, _ in self.mails]


@contextlib.contextmanager
def serving(taken, **settings):
    server = Controller(taken, hostname="localhost", port=PORT, **settings)
    server.start()
    try:
        yield taken
    finally:
        server.stop()


def address(scheme="smtp", user=True, password=PASSWORD, options=""):
    quoted = urllib.parse.quote
    who = f"{quoted('hub@contoso.example', safe='')}:{quoted(password, safe='')}@" if user else ""
    return f"{scheme}://{who}localhost:{PORT}{options}"


def tested(mail, ca="ca.pem", fails=False):
    """What `alerts test` says of its one way, without what it says of secrets."""
    secrets = {"MAIL": mail, "SSL_CERT_FILE": str(work / ca)}
    said = project.ran(ironbridge, work, "--format", "json", "alerts", "test", secrets=secrets, fails=fails)
    for secret in [PASSWORD, urllib.parse.quote(PASSWORD, safe=""), "sample-wrong"]:
        equal(secret in said, False)
    [way] = json.loads(said)
    return way


for mechanism, excluded in [("PLAIN", ["LOGIN"]), ("LOGIN", ["PLAIN"])]:

    @check(f"AUTH {mechanism} with a password of odd letters, after STARTTLS under an authority of our own")
    def _():
        taken = Taken()
        settings = {"authenticator": taken.login, "auth_required": True, "auth_exclude_mechanism": excluded}
        with serving(taken, tls_context=secure, require_starttls=True, **settings):
            tested(address(options="?tls=required"))
        equal((taken.told(), taken.mails[0][1], taken.logins), ([BOTH], True, [mechanism]))


@check("TLS from the first byte")
def _():
    taken = Taken()
    with serving(taken, ssl_context=secure, authenticator=taken.login, auth_required=True, auth_require_tls=False):
        tested(address("smtps"))
    equal((taken.told(), len(taken.logins)), ([BOTH], 1))


@check("a wrong password is told in the server's words, and tried once")
def _():
    taken = Taken()
    with serving(taken, authenticator=taken.login, auth_required=True, tls_context=secure, require_starttls=True):
        way = tested(address(password="sample-wrong", options="?tls=required"), fails=True)
    equal((taken.told(), len(taken.logins), "535" in json.dumps(way)), ([], 1, True))


@check("no password and no mail goes to a server without TLS, or one that somebody else vouches for")
def _():
    taken = Taken()
    with serving(taken, authenticator=taken.login, auth_require_tls=False):
        tested(address(options="?tls=required"), fails=True)
    with serving(taken, authenticator=taken.login, tls_context=secure, require_starttls=True):
        way = tested(address(options="?tls=required"), ca="other.pem", fails=True)
    equal((taken.mails, taken.logins, "certificate" in json.dumps(way).lower()), ([], [], True))


@check("a mailbox that is refused is told by its name, and the others have the mail, once")
def _():
    for gone, left in [BOTH, BOTH[::-1]]:
        taken = Taken(refuses=lambda to: "550 5.1.1 no such mailbox" if to == gone else None)
        with serving(taken):
            way = tested(address(user=False), fails=True)
        equal((taken.told(), gone in way["error"]["what"], "no such mailbox" in json.dumps(way)), ([[left]], True, True))


@check("all mailboxes refused, and the sender refused: told, and nobody has it")
def _():
    taken = Taken(refuses=lambda _: "550 5.7.1 not from you")
    with serving(taken):
        way = tested(address(user=False), fails=True)
    equal((taken.told(), "not from you" in json.dumps(way)), ([], True))


@check("a mailbox that is greylisted, a mail that is not taken yet, a line that is cut: nobody has it, all is tried again")
def _():
    for trouble in [
        Taken(refuses=lambda to: "451 4.7.1 greylisted" if to == BOTH[1] else None),
        Taken(ends=lambda: "452 4.3.1 no room"),
        Taken(ends=lambda: "closes"),
    ]:
        with serving(trouble):
            way = tested(address(user=False), fails=True)
        equal((trouble.told(), "tried again" in json.dumps(way)), ([], True))


@contextlib.contextmanager
def hub_up():
    with open(work / "up.log", "w") as log:
        command = [ironbridge, "-C", work, "up", "--listen", "127.0.0.1:0"]
        up = subprocess.Popen(command, env={**os.environ, "MAIL": address(user=False)}, stdout=log, stderr=log)
        try:
            yield
        finally:
            up.terminate()
            up.wait(30)


@check("a notice of the hub goes through all that, is told once, and is kept where one mailbox is refused for good")
def _():
    # Greylisted, then cut off in the midst, then taken from one of the two.
    answers = iter(["451 4.7.1 greylisted", None, "550 5.1.1 no such mailbox", "550 5.1.1 no such mailbox"])
    cut = iter(["closes"])
    taken = Taken(
        refuses=lambda to: next(answers, None) if to == BOTH[1] else None,
        ends=lambda: next(cut, None),
    )
    letters = []
    with serving(taken), hub_up():
        end = time.monotonic() + 90
        while not letters and time.monotonic() < end:
            time.sleep(1)
            said = project.ran(ironbridge, work, "--format", "json", "dead-letters", "list", secrets={"MAIL": address()})
            letters = json.loads(said)
        time.sleep(5)
    equal((taken.told(), len(letters), BOTH[1] in json.dumps(letters)), ([[BOTH[0]]], 1, True))


finish()
