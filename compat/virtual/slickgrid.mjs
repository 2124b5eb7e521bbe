// Puts the OData service of the grid SlickGrid, unmodified, to work against virtual tables: what a user types above its
// columns, sorts and pages. Each answer is what SQL says. Environment: ODATA_URL, the root with its last slash; WAREHOUSE,
// its SQLite file; CLIENTS, the folder with the grid's packages.
import assert from "node:assert";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(`${process.env.CLIENTS}/`);
const sql = createRequire(import.meta.url)("./sql.cjs");
// The grid asks whether a name is an element of a page; here there is none.
globalThis.HTMLElement ??= class {};
globalThis.DocumentFragment ??= class {};
const { GridOdataService } = await import(pathToFileURL(require.resolve("@slickgrid-universal/odata")));

let failed = 0;
async function check(name, body) {
  try { await body(); console.log(`pass  ${name}`); } catch (e) { failed++; console.log(`FAIL  ${name}: ${String(e.stack || e).slice(0, 600)}`); }
}
const columns = [["sku", "string"], ["warehouse", "string"], ["quantity", "number"], ["price", "float"], ["note", "string"],
  ["active", "boolean"], ["counted", "dateUtc"], ["due", "dateIso"], ["class", "string"], ["item/name", "string"]]
  .map(([field, type]) => ({ id: field, field, name: field, type }));
const column = (id) => columns.find((one) => one.id === id);
const options = { enablePagination: true, datasetIdPropertyName: "stockid", backendServiceApi: {} };
const grid = { getOptions: () => options, getColumns: () => columns, setSortColumns() {} };

// A grid with what was typed: [column, operator, terms…].
function service(filters, more = {}) {
  const service = new GridOdataService();
  options.backendServiceApi.service = service;
  service.init({ version: 4, caseType: "camelCase", enableCount: true, enableSelect: true, enableExpand: true, ...more }, { pageSize: 50 }, grid);
  const columnFilters = Object.fromEntries(filters.map(([id, operator, ...terms]) =>
    [id, { columnId: id, columnDef: column(id), operator, searchTerms: terms }]));
  service.processOnFilterChanged(undefined, { columnFilters, grid });
  return service;
}
async function rows(service) {
  const response = await fetch(`${process.env.ODATA_URL}stock?${service.buildQuery()}`);
  const body = await response.json();
  assert.equal(response.status, 200, `${service.buildQuery()} ${JSON.stringify(body)}`);
  service.postProcess(body);
  return body;
}
const names = (rows) => rows.map((row) => `${row.sku} ${row.warehouse}`);
async function same(name, filters, where) {
  await check(name, async () => {
    const grid = service(filters);
    grid.updateSorters([{ columnId: "price", sortCol: column("price"), sortAsc: false }, { columnId: "sku", sortCol: column("sku"), sortAsc: true }]);
    const { value } = await rows(grid);
    const wanted = sql(`select sku, warehouse, i.name item from stock join items i using (item_no) where ${where} order by price desc, sku, warehouse`);
    assert.ok(wanted.length > 0, "no row is looked for");
    assert.equal(grid.pagination.totalItems, wanted.length, grid.buildQuery());
    assert.deepEqual(names(value), names(wanted.slice(0, 50)));
    assert.deepEqual(value.map((row) => row["item/name"]), wanted.slice(0, 50).map((row) => row.item));
  });
}
await same("contains", [["note", "Contains", "ff"]], "instr(note, 'ff')");
await same("contains not", [["note", "Not_Contains", "ff"]], "not instr(note, 'ff')");
await same("a quote", [["warehouse", "EQ", "O'Hare"]], "warehouse = 'O''Hare'");
await same("letters of other languages", [["warehouse", "", "São"]], "warehouse = 'São Paulo'");
await same("a star at the end, typed", [["sku", "", "SKU-0001*"]], "sku like 'SKU-0001%'");
await same("a star at the beginning, typed", [["note", "", "*4"]], "note like '%4'");
await same("a star in the middle, typed", [["sku", "", "SKU*77"]], "sku like 'SKU%77'");
await same("greater, typed", [["quantity", "", ">495"]], "quantity > 495");
await same("a range, typed", [["quantity", "", "10..12"]], "quantity between 10 and 12");
await same("a range of decimals", [["price", "RangeExclusive", "10.05", "10.5"]], "price > 10.05 and price < 10.5");
await same("not equal", [["quantity", "!=", "7"]], "quantity is not 7");
await same("one of", [["class", "IN", "slow", "dead"]], "class in ('S', 'D')");
await same("none of", [["warehouse", "NIN", "London", "O'Hare"]], "warehouse not in ('London', 'O''Hare')");
await same("yes and no", [["active", "EQ", true]], "active = 1");
await same("a day", [["due", "EQ", "2026-03-15"]], "due = '2026-03-15'");
await same("a range of days", [["due", "RangeInclusive", "2026-03-15", "2026-05-15"]], "due between '2026-03-15' and '2026-05-15'");
await same("a moment", [["counted", ">=", "2026-12-28T00:00:00Z"]], "counted_at >= '2026-12-28'");
await same("three columns", [["warehouse", "StartsWith", "L"], ["quantity", "<=", "50"], ["note", "EndsWith", "s"]], "warehouse like 'L%' and quantity <= 50 and note like '%s'");
await check("the third page", async () => {
  const grid = service([["quantity", ">", "100"]]);
  grid.updateSorters([{ columnId: "quantity", sortCol: column("quantity"), sortAsc: true }]);
  grid.updatePagination(3, 25);
  const wanted = sql("select sku, warehouse from stock where quantity > 100 order by quantity, sku, warehouse limit 25 offset 50");
  assert.deepEqual(names((await rows(grid)).value), names(wanted));
});
process.exit(failed ? 1 : 0);
