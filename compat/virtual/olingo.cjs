// Puts Olingo's client of OData 4 for JavaScript, unmodified, to work against virtual tables: it reads what its parser of
// $metadata has made of ours. Environment: ODATA_URL, the root with its last slash; WAREHOUSE, its SQLite file.
const assert = require("node:assert");
const { oData } = require("ts-odatajs");
const sql = require("./sql.cjs");
const root = process.env.ODATA_URL;
let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${String(e.stack || e.message || e).slice(0, 600)}`); }
}
const read = (request, handler, metadata) => new Promise((done, failed) => oData.read(request, done, failed, handler, undefined, metadata));
const send = (request, handler, metadata) => new Promise((done, failed) => oData.request(request, done, failed, handler, undefined, metadata));
(async () => {
  let metadata;
  await check("the metadata", async () => {
    metadata = await read(`${root}$metadata`, oData.metadataHandler);
    const [schema] = metadata.dataServices.schema;
    assert.deepEqual(schema.entityType.map((type) => type.name).sort(), ["items", "stock"]);
    const stock = schema.entityType.find((type) => type.name === "stock");
    assert.equal(stock.key.propertyRef[0].name, "stockid");
    assert.equal(stock.navigationProperty[0].referentialConstraint[0].referencedProperty, "itemid");
  });
  await check("the service document", async () => {
    const { value } = await read(root);
    assert.deepEqual(value.map((set) => set.name).sort(), ["items", "stock"]);
  });
  for (const metadata of ["none", "minimal", "full"]) {
    await check(`rows with metadata=${metadata}`, async () => {
      const filter = encodeURIComponent("warehouse eq 'O''Hare' and quantity gt 450");
      const { value } = await read({ requestUri: `${root}stock?$filter=${filter}&$orderby=sku&$top=7`, headers: { Accept: `application/json;odata.metadata=${metadata}` } });
      const wanted = sql("select sku, quantity, price from stock where warehouse = 'O''Hare' and quantity > 450 order by sku limit 7");
      assert.deepEqual(value.map(({ sku, quantity, price }) => ({ sku, quantity, price: +price })), wanted);
    });
  }
  await check("rows whose types the metadata tells", async () => {
    const { value } = await read({ requestUri: `${root}stock?$filter=sku eq 'SKU-000100'&$orderby=warehouse`, recognizeDates: true }, oData.jsonHandler, metadata);
    assert.equal(value.length, 5);
    for (const row of value) {
      assert.ok(row.counted instanceof Date && row.due instanceof Date);
      assert.ok(row["@odata.id"].includes(row.stockid));
    }
  });
  await check("a batch", async () => {
    const __batchRequests = [
      { requestUri: "stock?$top=2&$filter=warehouse eq 'London'", method: "GET" },
      { requestUri: "items?$count=true&$top=0", method: "GET", headers: { Accept: "application/json" } },
    ];
    const { __batchResponses: [stock, items] } = await send({ requestUri: `${root}$batch`, method: "POST", data: { __batchRequests } }, oData.batch.batchHandler);
    assert.equal(stock.data.value.length, 2);
    assert.equal(items.data["@odata.count"], 200);
  });
  await check("a set of changes is refused as one", async () => {
    const __changeRequests = [{ requestUri: "items", method: "POST", data: { name: "x" } }, { requestUri: "items", method: "POST", data: { name: "y" } }];
    const { __batchResponses: [changes] } = await send({ requestUri: `${root}$batch`, method: "POST", data: { __batchRequests: [{ __changeRequests }] } }, oData.batch.batchHandler);
    const [answer] = changes.__changeResponses ?? [changes];
    assert.ok(JSON.stringify(answer).includes("405"), JSON.stringify(answer));
  });
  process.exit(failed ? 1 : 0);
})();
