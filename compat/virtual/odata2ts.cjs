// Puts a client that odata2ts generated from our $metadata to work. Environment: ODATA_URL; the generated files are in ./build.
const assert = require("node:assert");
const fs = require("node:fs");
const root = process.env.ODATA_URL;
const { FetchClient } = require("@odata2ts/http-client-fetch");
const file = fs.readdirSync("build").find((f) => f.endsWith("Service.js"));
const mod = require(process.cwd() + "/build/" + file);
const Service = Object.values(mod).find((x) => typeof x === "function" && /Service$/.test(x.name) && !/(Collection|stock|items)/i.test(x.name));
let failed = 0;
async function check(name, body) { try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${e.stack || e}`); } }
(async () => {
  const service = new Service(new FetchClient(), root.replace(/\/$/, ""));
  let row;
  await check("typed query", async () => {
    const r = await service.stock().query((b, q) => b.select("sku", "stockid", "warehouse", "quantity").filter(q.sku.eq("SKU-000777"), q.quantity.ne(null)).orderBy(q.warehouse.asc()).top(3).count());
    assert.ok(r.data.value.length > 0); row = r.data.value[0];
  });
  await check("by key", async () => { const r = await service.stock(row.stockid).query(); assert.equal(r.data.warehouse, row.warehouse); });
  await check("functions", async () => { const r = await service.stock().query((b, q) => b.filter(q.note.contains("%").and(q.warehouse.toLower().startsWith("k"))).top(2)); assert.equal(r.data.value.length, 2); });
  await check("not and in", async () => { const r = await service.stock().query((b, q) => b.filter(q.sku.in("SKU-000001","SKU-000002").and(q.active.isTrue().not())).count()); assert.ok(r.data["@odata.count"] >= 0); });
  await check("expand", async () => { const r = await service.stock().query((b, q) => b.expand("item").top(5)); assert.ok(r.data.value.some((x) => x.item && x.item.name)); });
  process.exit(failed ? 1 : 0);
})();
