"""Puts the official Python client, unmodified, to work against a running emulator.

Environment: DATAVERSE_HTTPS_URL, DATAVERSE_TOKEN; REQUESTS_CA_BUNDLE names the emulator's ca.pem.
"""

import os
import uuid

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from checks import check, finish, equal, refused


class Static:
    def get_token(self, *scopes, **kwargs):
        return AccessToken(os.environ.get("DATAVERSE_TOKEN", "dev"), 2**31)


client = DataverseClient(os.environ["DATAVERSE_HTTPS_URL"], Static())
run = uuid.uuid4().hex[:6]
table = f"new_Thing{run}"


@check("a row is created, read, changed and deleted")
def _():
    row = client.records.create("account", {"name": f"{run} one", "creditlimit": 12.5, "telephone1": "1"})
    equal(client.records.retrieve("account", row, select=["name", "creditlimit"])["creditlimit"], 12.5)
    client.records.update("account", row, {"name": f"{run} two"})
    equal(client.records.retrieve("account", row, select=["name"])["name"], f"{run} two")
    client.records.delete("account", row)
    equal(client.records.retrieve("account", row, select=["name"]), None)


@check("many rows are created, changed and deleted at once")
def _():
    ids = client.records.create("account", [{"name": f"{run} many {n}"} for n in range(5)])
    equal(len(set(ids)), 5)
    client.records.update("account", ids, {"telephone1": "77"})
    found = client.records.list("account", filter=f"startswith(name,'{run} many')", select=["telephone1"])
    equal([row["telephone1"] for row in found], ["77"] * 5)
    client.records.delete("account", ids, use_bulk_delete=False)
    equal(len(list(client.records.list("account", filter=f"startswith(name,'{run} many')"))), 0)


@check("a bulk delete job deletes")
def _():
    ids = client.records.create("account", [{"name": f"{run} job {n}"} for n in range(3)])
    client.records.delete("account", ids, use_bulk_delete=True)
    equal(len(list(client.records.list("account", filter=f"startswith(name,'{run} job')"))), 0)


@check("rows are upserted by alternate key, one and many")
def _():
    item = lambda n, name: {"alternate_key": {"accountnumber": f"{run}-{n}"}, "record": {"name": name}}
    client.records.upsert("account", [item(1, "a")])
    client.records.upsert("account", [item(1, "b"), item(2, "c"), item(3, "d")])
    found = client.records.list("account", filter=f"startswith(accountnumber,'{run}-')", orderby=["accountnumber"], select=["name"])
    equal([row["name"] for row in found], ["b", "c", "d"])


@check("pages, order, top, expand and annotations")
def _():
    pages = list(client.records.list_pages("account", filter=f"startswith(accountnumber,'{run}-')", page_size=2, select=["name"]))
    equal([len(list(page)) for page in pages], [2, 1])
    rows = list(client.records.list("account", filter=f"accountnumber eq '{run}-1'", top=1, expand=["primarycontactid"],
                                    include_annotations="*"))
    equal(rows[0]["primarycontactid"], None)
    equal(rows[0]["statecode@OData.Community.Display.V1.FormattedValue"], "Active")


@check("an error keeps status and code")
def _():
    error = refused(HttpError, lambda: client.records.create("account", {"name": "x" * 161}))
    equal((error.status_code, error.details["service_error_code"]), (400, "0x80044331"))


@check("a table with columns is defined, used and looked up")
def _():
    info = client.tables.create(table, {"new_Code": "string", "new_Amount": "decimal", "new_Count": "int", "new_Due": "datetime",
                                        "new_Open": "bool", "new_Note": "memo"})
    equal(info["table_logical_name"], table.lower())
    client.tables.add_columns(table, {"new_Extra": "string"})
    columns = {column["LogicalName"] for column in client.tables.list_columns(table)}
    equal({"new_code", "new_amount", "new_extra"} <= columns, True)
    row = client.records.create(table, {"new_code": "A", "new_amount": 1.25, "new_count": 3, "new_open": True})
    equal(client.records.retrieve(table, row, select=["new_amount"])["new_amount"], 1.25)
    equal(client.tables.get(table)["table_logical_name"], table.lower())
    equal(any(known["LogicalName"] == table.lower() for known in client.tables.list()), True)


@check("an alternate key is defined, listed and used")
def _():
    client.tables.create_alternate_key(table, f"new_key{run}", ["new_code"])
    keys = client.tables.get_alternate_keys(table)
    equal([(key.key_attributes, key.status) for key in keys], [(["new_code"], "Active")])
    client.records.upsert(table, [{"alternate_key": {"new_code": "A"}, "record": {"new_count": 9}}])
    rows = list(client.records.list(table, select=["new_count"]))
    equal([row["new_count"] for row in rows], [9])


@check("a lookup is defined, bound and read")
def _():
    client.tables.create_lookup_field(table.lower(), "new_AccountId", "account")
    account = client.records.create("account", {"name": f"{run} parent"})
    row = client.records.create(table, {"new_code": "B", "new_AccountId@odata.bind": f"/accounts({account})"})
    equal(client.records.retrieve(table, row, select=["_new_accountid_value"])["_new_accountid_value"], account)


@check("a batch with a change set, and one that goes on after an error")
def _():
    batch = client.batch.new()
    with batch.changeset() as changes:
        first = changes.records.create("account", {"name": f"{run} set"})
        changes.records.create("contact", {"lastname": run, "parentcustomerid_account@odata.bind": first})
    batch.records.list("account", filter=f"name eq '{run} set'", select=["name"])
    equal(batch.execute().has_errors, False)
    batch = client.batch.new()
    batch.records.create("account", {"name": "x" * 200})
    batch.records.create("account", {"name": f"{run} after"})
    result = batch.execute(continue_on_error=True)
    equal((len(result.failed), len(result.succeeded)), (1, 1))


@check("columns and tables are removed")
def _():
    client.tables.remove_columns(table, ["new_Extra"])
    client.tables.delete(table)
    equal(client.tables.get(table), None)


finish()
