// Puts a client that the SAP Cloud SDK generates from our $metadata to work against virtual tables; each answer is what
// SQL says. Environment: ODATA_URL, the root with its last slash; WAREHOUSE, its SQLite file; CLIENT, the generated client.
const assert = require("node:assert");
const { stock, batch } = require(process.env.CLIENT);
const { and, or, not, filterFunctions, asc, desc } = require("@sap-cloud-sdk/odata-v4");
const sql = require("./sql.cjs");
let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${String(e.rootCause?.message ?? "")} ${String(e.stack || e).slice(0, 600)}`); }
}
const there = { url: new URL(process.env.ODATA_URL).origin };
const { stockApi, itemsApi } = stock();
const of = stockApi.schema;
const names = (rows) => rows.map((row) => `${row.sku} ${row.warehouse}`);
async function same(name, filter, where) {
  await check(name, async () => {
    const rows = await stockApi.requestBuilder().getAll().filter(filter).orderBy(asc(of.SKU), asc(of.WAREHOUSE)).top(200).execute(there);
    const wanted = sql(`select sku, warehouse from stock where ${where} order by sku, warehouse limit 200`);
    assert.ok(wanted.length > 0, "no row is looked for");
    assert.deepEqual(names(rows), names(wanted));
    const count = await stockApi.requestBuilder().getAll().filter(filter).count().execute(there);
    assert.equal(count, sql(`select count(*) n from stock where ${where}`)[0].n);
  });
}
(async () => {
  const { contains, startsWith, endsWith, length, indexOf, substring, toLower, trim, concat, month, hour, round, floor, ceiling } = filterFunctions();
  await same("equal", of.SKU.equals("SKU-000777"), "sku = 'SKU-000777'");
  await same("a quote, an umlaut", and(of.WAREHOUSE.equals("O'Hare"), of.NOTE.equals("Größe 4")), "warehouse = 'O''Hare' and note = 'Größe 4'");
  await same("numbers", and(of.QUANTITY.greaterThan(400), of.PRICE.lessOrEqual(2.5)), "quantity > 400 and price <= 2.5");
  await same("null", and(of.ACTIVE.equals(null), of.ITEM_ID.notEquals(null)), "active is null and item_no is not null");
  await same("or, not", not(or(of.QUANTITY.greaterOrEqual(0), of.ACTIVE.equals(true))), "(quantity is null or quantity < 0) and active is not 1");
  await same("contains", contains(of.NOTE, "% o"), "instr(note, '% o')");
  await same("begins, ends", and(startsWith(of.SKU, "SKU-0007"), endsWith(of.NOTE, "s")), "sku like 'SKU-0007%' and note like '%s'");
  await same("length, indexof", and(length(of.NOTE).equals(4), indexOf(of.NOTE, "'").equals(2)), "length(note) = 4 and instr(note, '''') = 3");
  await same("substring, lower, trim, concat", and(substring(of.SKU, 4, 3).equals("000"), toLower(of.WAREHOUSE).equals("köln"), trim(of.TITLE).equals("Title 10"), concat(of.CLASS, "-x").equals("slow-x")),
    "substr(sku, 5, 3) = '000' and warehouse = 'Köln' and trim(title) = 'Title  10' and class = 'S'");
  await same("parts of a date", and(month(of.DUE).equals(3), hour(of.COUNTED).lessThan(4)), "strftime('%m', due) = '03' and strftime('%H', counted_at) < '04'");
  await same("round, floor, ceiling", and(round(of.PRICE).equals(50), floor(of.PRICE).equals(49), ceiling(of.PRICE).equals(50)), "price >= 49.5 and price < 50");
  const moment = (await stockApi.requestBuilder().getAll().top(1).skip(5).execute(there))[0].counted;
  await same("a moment", of.COUNTED.lessThan(moment), `counted_at < '${moment.toISOString().slice(0, 19).replace("T", " ")}'`);
  await check("one by its key", async () => {
    const [row] = await stockApi.requestBuilder().getAll().filter(of.SKU.equals("SKU-001234")).execute(there);
    const one = await stockApi.requestBuilder().getByKey(row.stockid).select(of.SKU, of.QUANTITY).execute(there);
    assert.equal(`${one.sku} ${one.quantity}`, `${row.sku} ${row.quantity}`);
    const same = await stockApi.requestBuilder().getAll().filter(of.STOCKID.equals(row.stockid)).execute(there);
    assert.deepEqual(names(same), names([row]));
  });
  await check("expand", async () => {
    const rows = await stockApi.requestBuilder().getAll().select(of.SKU).expand(of.ITEM.select(itemsApi.schema.NAME)).orderBy(desc(of.SKU), asc(of.WAREHOUSE)).skip(3).top(5).execute(there);
    const wanted = sql("select name from stock join items using (item_no) order by sku desc, warehouse limit 5 offset 3");
    assert.deepEqual(rows.map((row) => row.item.name), wanted.map((row) => row.name));
  });
  await check("a batch", async () => {
    const answers = await batch(
      stockApi.requestBuilder().getAll().filter(and(of.WAREHOUSE.equals("São Paulo"), of.NOTE.equals("50% off"))).top(4),
      itemsApi.requestBuilder().getAll().orderBy(desc(itemsApi.schema.NUMBER)).top(2),
      stockApi.requestBuilder().getByKey("00000000-0000-8000-8000-000000000000"),
    ).execute(there);
    assert.deepEqual(answers.map((one) => one.isSuccess()), [true, true, false]);
    assert.equal(answers[0].as(stockApi).length, 4);
    assert.deepEqual(answers[1].as(itemsApi).map((row) => `${row.number}`), ["199", "198"]);
    assert.equal(answers[2].httpCode, 404);
  });
  await check("a write is refused", async () => {
    const [row] = await itemsApi.requestBuilder().getAll().top(1).execute(there);
    row.name = "other";
    await assert.rejects(itemsApi.requestBuilder().update(row).execute(there));
    await assert.rejects(itemsApi.requestBuilder().delete(row.itemid).execute(there));
  });
  process.exit(failed ? 1 : 0);
})();
