// What a page of OpenUI5 does with a virtual table; openui5.cjs loads it and prints what it reports.
sap.ui.define([
  "sap/ui/model/odata/v4/ODataModel", "sap/ui/model/Filter", "sap/ui/model/FilterOperator", "sap/ui/model/Sorter",
], (ODataModel, Filter, FilterOperator, Sorter) => {
  const lines = [];
  const equal = (a, b) => { if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${JSON.stringify(a)} is not ${JSON.stringify(b)}`); };
  const check = async (name, body) => {
    try { await body(); lines.push(`pass  ${name}`); } catch (why) { lines.push(`FAIL  ${name}: ${why.message || why}`); }
  };
  const checks = async (group) => {
    const model = new ODataModel({ serviceUrl: "/odata/warehouse/", groupId: group, autoExpandSelect: true, operationMode: "Server" });
    const list = (parameters, filters, sorters) => model.bindList("/stock", null, sorters, filters, parameters);
    let key;
    await check(`${group}: metadata`, async () => {
      equal((await model.getMetaModel().requestObject("/stock/sku/$Type")), "Edm.String");
      equal((await model.getMetaModel().requestObject("/stock/")).$Key, ["stockid"]);
    });
    await check(`${group}: a filter, an order, a count`, async () => {
      const binding = list({ $count: true, $select: "stockid,sku,warehouse,quantity" },
        [new Filter({ filters: [new Filter("sku", FilterOperator.StartsWith, "SKU-0007"), new Filter("quantity", FilterOperator.BT, 100, 200)], and: true })],
        [new Sorter("quantity", true), new Sorter("sku")]);
      const rows = (await binding.requestContexts(0, 20)).map((context) => context.getObject());
      equal(rows.length, 20);
      equal(rows.every((row) => row.sku.startsWith("SKU-0007") && row.quantity >= 100 && row.quantity <= 200), true);
      equal(rows.map((row) => row.quantity), rows.map((row) => row.quantity).sort((a, b) => b - a));
      if (!(binding.getCount() > 20)) throw new Error(`count ${binding.getCount()}`);
      key = rows[0].stockid;
    });
    await check(`${group}: texts with quotes, percent signs and umlauts`, async () => {
      for (const [field, text] of [["warehouse", "O'Hare"], ["warehouse", "100% Hub"], ["warehouse", "Köln"], ["note", "50% off"]]) {
        const rows = await list({ $select: field }, [new Filter(field, FilterOperator.Contains, text)]).requestContexts(0, 5);
        equal(rows.map((context) => context.getProperty(field)), Array(5).fill(text));
      }
    });
    await check(`${group}: scrolling`, async () => {
      const binding = list({ $select: "sku" }, [], [new Sorter("sku")]);
      const first = await binding.requestContexts(0, 100);
      const later = await binding.requestContexts(4_900, 100);
      equal([first.length, later.length, later[0].getProperty("sku")], [100, 100, "SKU-000980"]);
    });
    await check(`${group}: one row by its key, with what it refers to`, async () => {
      const row = await model.bindContext(`/stock(${key})`, null, { $expand: { item: { $select: "name" } } }).requestObject();
      equal(row.stockid, key);
      if (!row.item.name.startsWith("Item ")) throw new Error(JSON.stringify(row));
    });
    await check(`${group}: one property`, async () => {
      const quantity = await model.bindProperty(`/stock(${key})/quantity`).requestValue();
      // It asks for IEEE754Compatible, in which a 64-bit number is a text.
      equal(typeof quantity, "string");
      equal(Number.isInteger(Number(quantity)), true);
    });
    await check(`${group}: none, not equal, and a date`, async () => {
      const rows = await list({ $select: "quantity" }, [new Filter("quantity", FilterOperator.EQ, null)]).requestContexts(0, 3);
      equal(rows.map((context) => context.getProperty("quantity")), [null, null, null]);
      const counted = await list({ $select: "counted" }, [new Filter("counted", FilterOperator.GE, "2026-12-01T00:00:00Z")]).requestContexts(0, 3);
      equal(counted.every((context) => context.getProperty("counted") >= "2026-12-01"), true);
    });
    await check(`${group}: a row that is not there`, async () => {
      const missing = model.bindContext("/stock(00000000-0000-0000-0000-000000000001)").requestObject();
      const why = await missing.then(() => { throw new Error("it was found"); }, (why) => why);
      equal(why.status, 404);
    });
  };
  // By itself it sends batches; told so, it asks directly.
  checks("$auto").then(() => checks("$direct")).catch((why) => lines.push(`FAIL  ${why}`))
    .finally(() => fetch("/report", { method: "POST", body: JSON.stringify(lines) }));
});
