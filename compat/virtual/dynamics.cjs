// Puts dynamics-web-api, unmodified, to work on virtual tables of the local Dynamics: each answer comes from the hub.
// Environment: DATAVERSE_URL, without a slash at its end.
const assert = require("node:assert");
const { DynamicsWebApi } = require("dynamics-web-api");
let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${e.stack || JSON.stringify(e)}`); }
}
(async () => {
  const api = new DynamicsWebApi({
    serverUrl: process.env.DATAVERSE_URL, dataApi: { version: "9.2" },
    onTokenRefresh: async () => "dev",
  });
  let row;
  await check("a filter, an order, a limit", async () => {
    const found = await api.retrieveMultiple({
      collection: "new_stocks", select: ["new_sku", "new_warehouse", "new_quantity"],
      filter: "startswith(new_sku,'SKU-0007') and new_quantity gt 400", orderBy: ["new_quantity desc"], top: 10,
    });
    assert.equal(found.value.length, 10);
    const numbers = found.value.map((one) => one.new_quantity);
    assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
    row = found.value[0];
  });
  await check("one row by its id", async () => {
    const one = await api.retrieve({ collection: "new_stocks", key: row.new_stockid, select: ["new_warehouse"] });
    assert.equal(one.new_warehouse, row.new_warehouse);
  });
  await check("page after page", async () => {
    const seen = new Set();
    let page = await api.retrieveMultiple({ collection: "new_items", select: ["new_name"], maxPageSize: 64 });
    for (;;) {
      page.value.forEach((one) => seen.add(one.new_itemid));
      if (!page.oDataNextLink) break;
      page = await api.retrieveMultiple({ collection: "new_items", maxPageSize: 64 }, page.oDataNextLink);
    }
    assert.equal(seen.size, 200);
  });
  await check("texts with quotes, percent signs and umlauts", async () => {
    for (const text of ["O''Hare", "100% Hub", "Köln"]) {
      const found = await api.retrieveMultiple({ collection: "new_stocks", select: ["new_warehouse"], filter: `new_warehouse eq '${text}'`, top: 3 });
      assert.deepEqual(found.value.map((one) => one.new_warehouse), Array(3).fill(text.replace("''", "'")));
    }
  });
  await check("a lookup to another virtual table", async () => {
    const found = await api.retrieveMultiple({ collection: "new_stocks", select: ["_new_item_value"], filter: "new_sku eq 'SKU-000777'", top: 1 });
    const item = await api.retrieve({ collection: "new_items", key: found.value[0]._new_item_value, select: ["new_name"] });
    assert.ok(item.new_name.startsWith("Item "));
  });
  await check("the definition of a virtual table", async () => {
    const table = await api.retrieveEntity({ key: "LogicalName='new_stock'", select: ["TableType", "ExternalName"] });
    assert.deepEqual([table.TableType, table.ExternalName], ["Virtual", "stock"]);
  });
  await check("a write is refused", async () => {
    await assert.rejects(api.create({ collection: "new_stocks", data: { new_sku: "x" } }));
  });
  process.exit(failed ? 1 : 0);
})();
