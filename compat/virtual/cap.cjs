// Puts @sap/cds to work: our $metadata imported, and queried as a remote service. Environment: ODATA_URL.
const assert = require("node:assert");
const cds = require("@sap/cds");
// The refusal of a write is wanted, and not to be told at length.
cds.env.log.levels.remote = "silent";
let failed = 0;
async function check(name, body) { try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${String(e.stack || e).slice(0,600)}`); } }
(async () => {
  const csn = await cds.load(process.cwd() + "/srv/external/stock.cds"); cds.model = cds.linked(csn);
  const name = Object.keys(cds.model.definitions).find((d) => cds.model.definitions[d].kind === "service");
  const srv = await cds.connect.to(name, { kind: "odata", model: process.cwd() + "/srv/external/stock.cds", credentials: { url: process.env.ODATA_URL.replace(/\/$/, "") } });
  const stock = cds.model.definitions[`${name}.stock`];
  await check("where", async () => { const r = await srv.run(SELECT.from(stock).columns("sku","warehouse","quantity").where({ sku: "SKU-000777" })); assert.equal(r.length, 5); });
  await check("like, order, limit", async () => { const r = await srv.run(SELECT.from(stock).columns("sku","note").where`contains(note,'off') and quantity > 400`.orderBy("quantity desc").limit(3, 1)); assert.equal(r.length, 3); });
  await check("in and null", async () => { const r = await srv.run(SELECT.from(stock).where({ sku: { in: ["SKU-000001", "SKU-000002"] }, note: null })); assert.ok(Array.isArray(r)); });
  await check("one by key", async () => { const [one] = await srv.run(SELECT.from(stock).limit(1)); const r = await srv.run(SELECT.one.from(stock).where({ stockid: one.stockid })); assert.equal(r.sku, one.sku); });
  await check("expand", async () => { const r = await srv.run(SELECT.from(stock).columns((s) => { s.sku, s.item((i) => i.name); }).limit(5)); assert.ok(r.some((x) => x.item)); });
  await check("a write is refused", async () => { await assert.rejects(srv.run(INSERT.into(stock).entries({ sku: "x" }))); });
  process.exit(failed ? 1 : 0);
})();
