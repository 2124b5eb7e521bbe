// Puts the query builder odata-query and the client o.js, unmodified, to work against virtual tables; each answer is what
// SQL says. Environment: ODATA_URL, the root with its last slash; WAREHOUSE, its SQLite file.
const assert = require("node:assert");
const { o } = require("odata");
const buildQuery = require("odata-query").default;
const sql = require("./sql.cjs");
let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${String(e.stack || e).slice(0, 600)}`); }
}
const root = o(process.env.ODATA_URL);
const names = (rows) => rows.map((row) => `${row.sku} ${row.warehouse}`);
async function rows(query) {
  const response = await root.get("stock" + buildQuery(query)).fetch();
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}
// The first rows of a filter, in an order, and how many there are; `where` is the same in SQL.
async function same(name, filter, where) {
  await check(name, async () => {
    const answer = await rows({ filter, orderBy: ["sku", "warehouse"], select: ["sku", "warehouse"], top: 300, count: true });
    const wanted = sql(`select sku, warehouse from stock where ${where} order by sku, warehouse`);
    assert.equal(answer["@odata.count"], wanted.length);
    assert.ok(wanted.length > 0, "no row is looked for");
    assert.deepEqual(names(answer.value), names(wanted.slice(0, 300)));
  });
}
(async () => {
  await same("eq", { sku: "SKU-000777" }, "sku = 'SKU-000777'");
  await same("a quote", { warehouse: "O'Hare", quantity: { gt: 400 } }, "warehouse = 'O''Hare' and quantity > 400");
  await same("between", { quantity: { ge: 100, lt: 110 } }, "quantity >= 100 and quantity < 110");
  await same("null", { note: null, active: true }, "note is null and active = 1");
  await same("ne null", { active: { ne: null }, quantity: 0 }, "active is not null and quantity = 0");
  await same("ne is true of null", { quantity: { ne: 5 }, active: false }, "quantity is not 5 and active = 0");
  await same("in", { sku: { in: ["SKU-000001", "SKU-000002", "it's"] } }, "sku in ('SKU-000001', 'SKU-000002')");
  await same("in of numbers", { quantity: { in: [1, 2, 3] } }, "quantity in (1, 2, 3)");
  await same("or", { or: [{ quantity: { lt: 0 } }, { price: { gt: 99.5 } }] }, "quantity < 0 or price > 99.5");
  await same("not", { not: { or: [{ quantity: { gt: -3 } }, { note: "fragile" }] } }, "(quantity is null or quantity <= -3) and note is not 'fragile'");
  await same("contains", { note: { contains: "% o" } }, "instr(note, '% o') > 0");
  await same("startswith, endswith", { sku: { startswith: "SKU-0007" }, note: { endswith: "4" } }, "sku like 'SKU-0007%' and note like '%4'");
  await same("length", { "length(note)": { eq: 4 } }, "length(note) = 4");
  await same("tolower", { "tolower(warehouse)": "köln", quantity: 7 }, "warehouse = 'Köln' and quantity = 7");
  await same("indexof", { "indexof(note, 'off')": { gt: 0 }, quantity: { lt: 5 } }, "instr(note, 'off') > 1 and quantity < 5");
  await same("substring", { "substring(sku, 4)": { startswith: "0001" } }, "substr(sku, 5) like '0001%'");
  await same("month, day", { "month(due)": 3, "day(counted)": 7 }, "strftime('%m', due) = '03' and strftime('%d', counted_at) = '07'");
  await same("round", { "round(price)": 50 }, "price >= 49.5 and price < 50.5");
  await same("a moment", { counted: { ge: new Date("2026-12-04T11:00:00Z"), lt: new Date("2026-12-05T00:00:00Z") } }, "counted_at >= '2026-12-04 11:00:00' and counted_at < '2026-12-05'");
  await same("a decimal", { price: { type: "decimal", value: "12.5" } }, "price = 12.5");
  await same("a choice", { class: "slow", quantity: { le: 0 } }, "class = 'S' and quantity <= 0");
  await check("a guid, and the row of it", async () => {
    const { value: [row] } = await rows({ filter: { sku: "SKU-000042", warehouse: "London" } });
    const again = await rows({ filter: { stockid: { type: "guid", value: row.stockid } } });
    assert.deepEqual(again.value, [row]);
    const one = await root.get("stock" + buildQuery({ key: row.stockid })).query();
    assert.deepEqual({ ...one, "@odata.context": undefined }, { ...row, "@odata.context": undefined });
    const typed = await root.get("stock" + buildQuery({ key: { stockid: { type: "guid", value: row.stockid } }, select: ["sku"] })).query();
    assert.equal(typed.sku, "SKU-000042");
  });
  await check("order by two, skip", async () => {
    const { value } = await rows({ orderBy: ["quantity desc", "price"], skip: 40, top: 20 });
    const wanted = sql("select sku, warehouse from stock order by quantity desc, price, sku, warehouse limit 20 offset 40");
    assert.deepEqual(names(value), names(wanted));
  });
  await check("expand", async () => {
    const { value } = await rows({ filter: { sku: "SKU-000010" }, expand: { item: { select: ["name"] } }, orderBy: "warehouse" });
    const wanted = sql("select i.name from stock s join items i using (item_no) where sku = 'SKU-000010' order by warehouse");
    assert.deepEqual(value.map((row) => row.item.name), wanted.map((row) => row.name));
  });
  await check("count of a filter", async () => {
    const response = await root.get("stock" + buildQuery({ count: { quantity: { gt: 490 } } })).fetch();
    assert.equal(+(await response.text()), sql("select count(*) n from stock where quantity > 490")[0].n);
  });
  await check("options as o.js escapes them", async () => {
    const value = await root.get("stock").query({ $filter: "warehouse eq 'São Paulo' and note eq '50% off'", $orderby: "sku", $top: 5, $select: "sku,warehouse" });
    assert.deepEqual(names(value), names(sql("select sku, warehouse from stock where warehouse = 'São Paulo' and note = '50% off' order by sku limit 5")));
  });
  await check("a batch", async () => {
    const answers = await o(process.env.ODATA_URL)
      .get("stock").get(`stock${buildQuery({ filter: { warehouse: "O'Hare" }, top: 2 })}`).get("items/$count")
      .batch({ $top: 3 });
    assert.equal(answers.length, 3, JSON.stringify(answers).slice(0, 300));
    const body = answers.map((answer) => answer.body ?? answer);
    assert.equal(body[0].length ?? body[0].value.length, 3);
  });
  await check("what is not there is refused in words", async () => {
    await assert.rejects(root.get("stock").query({ $filter: "colour eq 1" }), (why) => why.status === 400);
    await assert.rejects(root.post("stock", { sku: "x" }).query(), (why) => why.status === 405);
  });
  process.exit(failed ? 1 : 0);
})();
