"""Has a hub read and write files in S3 and in Azure Blob Storage, as servers have them that others wrote.

check.py IRONBRIDGE FOLDER S3 AZURE: the addresses of a moto server, which has seen no request yet, and of an Azurite.
Moto checks signatures and rights from the fourth request on; Azurite always does.
"""

import datetime
import pathlib
import sqlite3
import sys

import boto3
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

import project
from checks import check, equal, finish

ironbridge, work, s3_url, azure_url = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
# Azurite's own, from its documentation.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

RIGHTS = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:CreateBucket"], "Resource": "*"},
  {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": "*"}]}"""


def s3_client(key, secret):
    return boto3.client(
        "s3", endpoint_url=s3_url, region_name="eu-west-2", aws_access_key_id=key, aws_secret_access_key=secret
    )


iam = boto3.client(
    "iam", endpoint_url=s3_url, region_name="eu-west-2", aws_access_key_id="none", aws_secret_access_key="none"
)
iam.create_user(UserName="hub")
iam.put_user_policy(UserName="hub", PolicyName="files", PolicyDocument=RIGHTS)
made = iam.create_access_key(UserName="hub")["AccessKey"]
S3_KEY, S3_SECRET = made["AccessKeyId"], made["SecretAccessKey"]
s3 = s3_client(S3_KEY, S3_SECRET)
s3.create_bucket(Bucket="sample", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})

# The newest that this Azurite knows; the client is younger.
azure = BlobServiceClient(f"{azure_url}/{ACCOUNT}", credential=ACCOUNT_KEY, api_version="2025-11-05")
container = azure.create_container("sample")


def sas(rights):
    return generate_container_sas(
        ACCOUNT,
        "sample",
        account_key=ACCOUNT_KEY,
        permission=ContainerSasPermissions.from_string(rights),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
    )


class S3:
    def put(self, name, text):
        s3.put_object(Bucket="sample", Key=name, Body=text.encode())

    def get(self, name):
        return s3.get_object(Bucket="sample", Key=name)["Body"].read().decode()

    def names(self, folder):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="sample", Prefix=folder)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


class Azure:
    def put(self, name, text):
        container.upload_blob(name, text.encode(), overwrite=True)

    def get(self, name):
        return container.download_blob(name).readall().decode()

    def names(self, folder):
        return sorted(found.name for found in container.list_blobs(name_starts_with=folder))


# What has to be escaped in an address, in a signature, or in both.
ODD = ["a b", "a+b", "a&b=c", "a%20b", "ä-ö", "漢字", "a#b", "a'b", "a;b,c", "(a)", "a@b", "~a", "a:b", "a$b", "a!b"]
PLACES = {
    # More than a page of a list has.
    "s3": (S3(), 1100, f'url: "s3://sample/WAY/FOLDER", service: "{s3_url}", region: eu-west-2, access_key: "${{env:S3_KEY}}", secret_key: "${{env:S3_SECRET}}"'),
    "azure": (Azure(), 40, f'url: "azure://{ACCOUNT}/sample/WAY/FOLDER", service: "{azure_url}/{ACCOUNT}", secret_key: "${{env:AZURE_KEY}}"'),
    "sas": (Azure(), 5, f'url: "azure://{ACCOUNT}/sample/WAY/FOLDER", service: "{azure_url}/{ACCOUNT}", sas: "${{env:AZURE_SAS}}"'),
}
SECRETS = {"S3_KEY": S3_KEY, "S3_SECRET": S3_SECRET, "AZURE_KEY": ACCOUNT_KEY, "AZURE_SAS": sas("racwdl")}


def made(way, folder, connection):
    connection = connection.replace("WAY", way)
    files = {
        **project.basics(),
        "entities/price.yaml": "entity: price\nkey: product\nfields:\n"
        "  product: { type: text, max_length: 40 }\n  amount: { type: decimal, scale: 2 }\n",
        "systems/supplier.yaml": f"system: supplier\nkind: files\nowner: finance-it\nconnection: {{ {connection.replace('FOLDER', 'in')} }}\n"
        "entities:\n  price:\n    file: \"prices_*.csv\"\n    columns: { product: text, amount: decimal }\n    contains: changes\n"
        "    ready_when: unchanged for 0 seconds\n    afterwards: move to done/\n    read: { product: product, amount: amount }\n",
        "systems/shop.yaml": "system: shop\nkind: sqlite\nowner: finance-it\nconnection: { file: shop.db }\nentities:\n  price:\n"
        "    table: prices\n    alternate_key: product\n    read: { product: product, amount: amount }\n"
        "    write: { product: product, amount: amount }\n",
        "integrations/in.yaml": "integration: in\npattern: batch\nentity: price\nfrom: supplier\nto: shop\n"
        "schedule: every 15 minutes\nowner: finance-it\npurpose: Prices of the supplier.\n",
    }
    for name, file in {"whole": "prices.csv", "changes": "prices_*.csv"}.items():
        files[f"systems/{name}.yaml"] = (
            f"system: {name}\nkind: files\nowner: finance-it\nconnection: {{ {connection.replace('FOLDER', 'out-' + name)} }}\n"
            f"entities:\n  price:\n    file: \"{file}\"\n    alternate_key: product\n    write: {{ product: product, amount: amount }}\n"
        )
        files[f"integrations/to-{name}.yaml"] = (
            f"integration: to-{name}\npattern: batch\nentity: price\nfrom: shop\nto: {name}\n"
            "schedule: every 15 minutes\nowner: finance-it\npurpose: Prices for the partner.\ndeletes: ignore\n"
        )
    project.write(folder, files)
    shop = sqlite3.connect(folder / "shop.db")
    shop.execute("CREATE TABLE prices (product TEXT PRIMARY KEY, amount DECIMAL(12,2))")
    shop.commit()
    return shop


def ran(folder, *args, secrets=SECRETS, fails=False):
    return project.ran(ironbridge, folder, *args, secrets=secrets, fails=fails)


for way, (place, count, connection) in PLACES.items():
    folder = work / way
    shop = made(way, folder, connection)
    names = [f"prices_{name}.csv" for name in [*ODD, *map(str, range(count - len(ODD)))]]
    expected = {f"{way}-{at}": f"{at}.25" for at in range(len(names))}

    @check(f"{way}: `systems check` finds the place and how many files lie in it")
    def _():
        place.put(f"{way}/in/prices_first.csv", f"product,amount\n{way}-first,1.50\n")
        said = ran(folder, "systems", "check", "supplier")
        equal(["ready" in said, "1 file in it" in said], [True, True])

    @check(f"{way}: {len(names)} files, whatever they are called, are read once and put away")
    def _():
        for name, (product, amount) in zip(names, expected.items()):
            place.put(f"{way}/in/{name}", f"product,amount\n{product},{amount}\n")
        ran(folder, "run", "in")
        found = {product: f"{amount:.2f}" for product, amount in shop.execute("SELECT product, amount FROM prices")}
        equal(found, {**expected, f"{way}-first": "1.50"})
        all_names = sorted([*names, "prices_first.csv"])
        equal(place.names(f"{way}/in/prices_"), [])
        equal(place.names(f"{way}/in/done/"), sorted(f"{way}/in/done/{name}" for name in all_names))
        ran(folder, "run", "in")

    @check(f"{way}: one file with every row is put there, and replaced as a whole")
    def _():
        ran(folder, "run", "to-whole")
        lines = place.get(f"{way}/out-whole/prices.csv").splitlines()
        equal([lines[0], len(lines), lines[1:].count(f"{way}-3,3.25")], ["product,amount", len(expected) + 2, 1])
        shop.execute(f"UPDATE prices SET amount = 99.75 WHERE product = '{way}-3'")
        shop.commit()
        ran(folder, "run", "to-whole")
        lines = place.get(f"{way}/out-whole/prices.csv").splitlines()
        equal([len(lines), lines[1:].count(f"{way}-3,99.75")], [len(expected) + 2, 1])
        equal(place.names(f"{way}/out-whole/"), [f"{way}/out-whole/prices.csv"])

    @check(f"{way}: changes are new files, one for each chunk")
    def _():
        ran(folder, "run", "to-changes")
        first = place.names(f"{way}/out-changes/")
        texts = [place.get(name).splitlines() for name in first]
        equal({text[0] for text in texts}, {"product,amount"})
        equal(sum(len(text) - 1 for text in texts), len(expected) + 1)
        shop.execute(f"UPDATE prices SET amount = 11.5 WHERE product = '{way}-4'")
        shop.commit()
        ran(folder, "run", "to-changes")
        ran(folder, "run", "to-changes")
        second = [name for name in place.names(f"{way}/out-changes/") if name not in first]
        equal([place.get(name) for name in second], [f"product,amount\n{way}-4,11.5\n"])

    @check(f"{way}: a secret that is not right is told, and nothing is lost")
    def _():
        wrong = {**SECRETS, "S3_SECRET": "wrong", "AZURE_KEY": ACCOUNT_KEY[:-6] + "AAAA==", "AZURE_SAS": sas("rl")[:-8] + "AAAAAA%3D"}
        place.put(f"{way}/in/prices_last.csv", f"product,amount\n{way}-last,2\n")
        said = ran(folder, "run", "in", secrets=wrong, fails=True)
        equal(["IB0604" in said, "403" in said, "wrong" in said], [True, True, False])
        equal(place.names(f"{way}/in/prices_"), [f"{way}/in/prices_last.csv"])
        ran(folder, "run", "in")
        equal(shop.execute(f"SELECT amount FROM prices WHERE product = '{way}-last'").fetchone(), (2,))


@check("sas: a token that may only read is told when something is to be written")
def _():
    ran(work / "sas", "state", "reset", "to-whole")
    said = ran(work / "sas", "run", "to-whole", secrets={**SECRETS, "AZURE_SAS": sas("rl")}, fails=True)
    equal(["IB0503" in said, "403 AuthorizationPermissionMismatch" in said], [True, True])


finish()
