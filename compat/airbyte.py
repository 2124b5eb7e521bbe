"""Puts airbyte's source connector to work against a running emulator.

The connector has the address of its login server written into it, so that one address is turned to the emulator's own
token endpoint here; everything else is the connector as published.

Environment: DATAVERSE_URL.
"""

import logging
import os
import uuid

import requests
from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode, Type
from source_microsoft_dataverse import SourceMicrosoftDataverse
from source_microsoft_dataverse.dataverse import MicrosoftOauth2Authenticator

from checks import check, equal, finish

url = os.environ["DATAVERSE_URL"]
MicrosoftOauth2Authenticator.get_token_refresh_endpoint = lambda self: f"{url}/tenant/oauth2/v2.0/token"

logger = logging.getLogger("airbyte")
logger.setLevel(logging.ERROR)
config = {"url": url, "tenant_id": "tenant", "client_id": "app", "client_secret_value": "secret", "odata_maxpagesize": 2}
run = uuid.uuid4().hex[:6]
api = f"{url}/api/data/v9.2"
headers = {"Authorization": "Bearer " + os.environ.get("DATAVERSE_TOKEN", "dev")}
seen = {}


def read(mode, state=None):
    stream = next(stream for stream in seen["catalog"].streams if stream.name == "account")
    wanted = ConfiguredAirbyteStream(
        stream=stream, sync_mode=mode, destination_sync_mode=DestinationSyncMode.append, cursor_field=["modifiedon"],
        primary_key=stream.source_defined_primary_key,
    )
    messages = list(SourceMicrosoftDataverse().read(logger, config, ConfiguredAirbyteCatalog(streams=[wanted]), state))
    rows = [message.record.data for message in messages if message.type == Type.RECORD]
    states = [message.state for message in messages if message.type == Type.STATE]
    return rows, states


def mine(rows):
    return sorted(row["name"] for row in rows if (row.get("name") or "").startswith(run))


@check("the connection is checked")
def _():
    equal(SourceMicrosoftDataverse().check_connection(logger, config), (True, None))


@check("tables are discovered with their types and date behaviours")
def _():
    seen["catalog"] = SourceMicrosoftDataverse().discover(logger, config)
    account = next(stream for stream in seen["catalog"].streams if stream.name == "account")
    equal(account.source_defined_primary_key, [["accountid"]])
    equal(SyncMode.incremental in account.supported_sync_modes, True)
    equal(account.json_schema["properties"]["creditlimit"]["type"], ["null", "number"])
    contact = next(stream for stream in seen["catalog"].streams if stream.name == "contact")
    equal(contact.json_schema["properties"]["birthdate"]["format"], "date")


@check("a full read reaches every page")
def _():
    for n in range(5):
        requests.post(f"{api}/accounts", json={"name": f"{run} {n}"}, headers=headers).raise_for_status()
    rows, _ = read(SyncMode.full_refresh)
    equal(mine(rows), [f"{run} {n}" for n in range(5)])


@check("an incremental read goes on from its delta token, deletions included")
def _():
    rows, states = read(SyncMode.incremental)
    equal(mine(rows), [f"{run} {n}" for n in range(5)])
    made = requests.post(f"{api}/accounts", json={"name": f"{run} new"}, headers=headers)
    gone = requests.get(f"{api}/accounts?$filter=name eq '{run} 0'&$select=name", headers=headers).json()["value"][0]["accountid"]
    requests.delete(f"{api}/accounts({gone})", headers=headers).raise_for_status()
    made.raise_for_status()
    rows, _ = read(SyncMode.incremental, [states[-1]])
    equal(mine(rows), [f"{run} new"])
    equal([row["accountid"] for row in rows if row.get("_ab_cdc_deleted_at")], [gone])


finish()
