// Puts @odata/client, unmodified, to work against virtual tables. Environment: ODATA_URL, the root with its last slash.
const assert = require("node:assert");
const { OData } = require("@odata/client");
const root = process.env.ODATA_URL;
let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${e.stack || e}`); }
}
(async () => {
  const client = OData.New4({ metadataUri: `${root}$metadata`, serviceEndpoint: root });
  const stock = client.getEntitySet("stock");
  let row;
  await check("a query", async () => {
    const rows = await stock.query(client.newFilter().field("sku").eq("SKU-000777"));
    assert.equal(rows.length, 5); row = rows[0];
  });
  await check("retrieve", async () => {
    const one = await stock.retrieve(row.stockid);
    assert.equal(one.warehouse, row.warehouse);
  });
  await check("options", async () => {
    const p = client.newParam().top(3).skip(2).orderby("quantity", "desc").select(["sku","quantity"]).count(true);
    const r = await client.newRequest({ collection: "stock", params: p });
    assert.equal(r.value.length, 3); assert.equal(r["@odata.count"], 10000);
  });
  await check("count", async () => { assert.equal(await stock.count(client.newFilter().field("quantity").gt(490)), (await stock.query(client.newFilter().field("quantity").gt(490))).length); });
  await check("batch", async () => {
    const rs = await client.execBatchRequests([
      client.newBatchRequest({ collection: "stock", params: client.newParam().top(1) }),
      client.newBatchRequest({ collection: "items", params: client.newParam().top(2) }),
    ]);
    const a = await rs[0].json(); const b = await rs[1].json();
    assert.equal(a.value.length, 1); assert.equal(b.value.length, 2);
  });
  await check("write is refused", async () => { await assert.rejects(stock.create({ sku: "x" })); });
  process.exit(failed ? 1 : 0);
})();
