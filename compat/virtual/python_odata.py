"""Puts python-odata, unmodified, to work against virtual tables. Environment: ODATA_URL, the root with its last slash."""

import datetime
import os
import sys

import requests
from odata import ODataService

root = os.environ["ODATA_URL"]
failed = 0


def check(name):
    def run(body):
        global failed
        try:
            body()
            print(f"pass  {name}")
        except Exception as why:  # whatever a client throws is a failed check
            failed += 1
            print(f"FAIL  {name}: {type(why).__name__}: {why}")

    return run


service = ODataService(root, session=requests.Session(), reflect_entities=True, quiet_progress=True)
Stock, Items = service.entities["stock"], service.entities["items"]


@check("a filter on two fields")
def _():
    query = service.query(Stock).filter(Stock.sku == "SKU-000777").filter(Stock.warehouse == "O'Hare")
    rows = query.all()
    assert [(row.sku, row.warehouse) for row in rows] == [("SKU-000777", "O'Hare")], rows


@check("an order, a limit, an offset")
def _():
    query = service.query(Stock).filter(Stock.quantity > 400).order_by(Stock.quantity.desc()).limit(10).offset(5)
    found = [row.quantity for row in query.all()]
    assert len(found) == 10 and found == sorted(found, reverse=True), found


@check("every page of many rows")
def _():
    rows = service.query(Stock).filter(Stock.quantity >= 250).select(Stock.sku).all()
    assert len(rows) > 1000, len(rows)


@check("texts: contains, begins, ends")
def _():
    for condition, good in [
        (Stock.warehouse.contains("% H"), lambda row: row.warehouse == "100% Hub"),
        (Stock.warehouse.startswith("Kö"), lambda row: row.warehouse == "Köln"),
        (Stock.note.endswith("4"), lambda row: row.note == "Größe 4"),
    ]:
        rows = service.query(Stock).filter(condition).limit(20).all()
        assert len(rows) == 20 and all(good(row) for row in rows), rows


@check("or, and not equal")
def _():
    either = service.query(Stock).filter((Stock.sku == "SKU-000001") | (Stock.sku == "SKU-000002")).all()
    assert len(either) == 10, len(either)


@check("a moment and a decimal")
def _():
    since = datetime.datetime(2026, 12, 1, tzinfo=datetime.timezone.utc)
    rows = service.query(Stock).filter(Stock.counted >= since).filter(Stock.price < 50).limit(5).all()
    assert len(rows) == 5 and all(row.counted >= since for row in rows), rows


@check("one row by its key")
def _():
    first = service.query(Items).first()
    again = service.query(Items).get(first.itemid)
    assert again.name == first.name


@check("a row and what it refers to")
def _():
    row = service.query(Stock).filter(Stock.sku == "SKU-000777").expand(Stock.item).first()
    assert row.item.name.startswith("Item "), row.item


@check("a write is refused")
def _():
    row = service.query(Items).first()
    row.name = "other"
    try:
        service.save(row)
    except Exception as why:
        assert "405" in str(why) or "read" in str(why).lower(), why
        return
    raise AssertionError("it was written")


sys.exit(1 if failed else 0)
