// Puts dynamics-web-api, unmodified, to work against a running emulator.
// Environment: DATAVERSE_URL, DATAVERSE_TOKEN; over https also NODE_EXTRA_CA_CERTS.
const assert = require("node:assert");
const { DynamicsWebApi } = require("dynamics-web-api");

const serverUrl = process.env.DATAVERSE_URL;
const api = new DynamicsWebApi({
  serverUrl,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => process.env.DATAVERSE_TOKEN || "dev",
});
const run = Math.random().toString(16).slice(2, 8);
const table = `new_item${run}`;
let failed = 0;

async function check(name, body) {
  try {
    await body();
    console.log(`pass  ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message || JSON.stringify(error)}`);
  }
}

const label = (text) => ({ LocalizedLabels: [{ Label: text, LanguageCode: 1033 }] });

(async () => {
  let id;
  await check("create gives the id, retrieve the row", async () => {
    id = await api.create({ collection: "accounts", data: { name: `${run} a`, accountnumber: `${run}1`, creditlimit: 5 } });
    assert.match(id, /^[0-9a-f-]{36}$/);
    const row = await api.retrieve({ collection: "accounts", key: id, select: ["name", "creditlimit"] });
    assert.equal(row.creditlimit, 5);
  });
  await check("create returns the row when asked", async () => {
    const row = await api.create({ collection: "accounts", data: { name: `${run} b` }, returnRepresentation: true, select: ["name"] });
    assert.equal(row.name, `${run} b`);
  });
  await check("update only, and false for a row that has moved on", async () => {
    assert.equal(await api.update({ collection: "accounts", key: id, data: { name: `${run} c` } }), true);
    assert.equal(await api.update({ collection: "accounts", key: id, data: { name: "x" }, ifmatch: 'W/"1"' }), false);
  });
  await check("upsert by alternate key; create only and update only", async () => {
    await api.upsert({ collection: "accounts", key: `accountnumber='${run}2'`, data: { name: `${run} d` } });
    const row = await api.retrieve({ collection: "accounts", key: `accountnumber='${run}2'`, select: ["name"] });
    assert.equal(row.name, `${run} d`);
    assert.equal(await api.upsert({ collection: "accounts", key: id, data: { name: "x" }, ifnonematch: "*" }), null);
    const none = "00000000-0000-0000-0000-0000000000ff";
    assert.equal(await api.upsert({ collection: "accounts", key: none, data: { name: "x" }, ifmatch: "*" }), null);
  });
  await check("a single property is written, read and deleted", async () => {
    await api.updateSingleProperty({ collection: "accounts", key: id, fieldValuePair: { telephone1: "12" } });
    assert.equal((await api.retrieve({ collection: "accounts", key: id, select: ["telephone1"] })).telephone1, "12");
    await api.deleteRecord({ collection: "accounts", key: id, property: "telephone1" });
    assert.equal((await api.retrieve({ collection: "accounts", key: id, select: ["telephone1"] })).telephone1, null);
  });
  await check("filter, order, top, count, expand", async () => {
    const found = await api.retrieveMultiple({
      collection: "accounts", select: ["name"], filter: `startswith(name,'${run}')`, orderBy: ["name desc"], count: true,
      expand: [{ property: "contact_customer_accounts", select: ["fullname"] }],
    });
    assert.equal(found.oDataCount, 3);
    assert.deepEqual(found.value.map((row) => row.name.slice(-1)), ["d", "c", "b"]);
    const top = await api.retrieveMultiple({ collection: "accounts", filter: `startswith(name,'${run}')`, top: 2 });
    assert.equal(top.value.length, 2);
    assert.equal(await api.count({ collection: "accounts", filter: `startswith(name,'${run}')` }), 3);
  });
  await check("pages are followed to the end", async () => {
    const first = await api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: `startswith(name,'${run}')`, maxPageSize: 2 });
    assert.equal(first.value.length, 2);
    const second = await api.retrieveMultiple({ collection: "accounts", maxPageSize: 2 }, first.oDataNextLink);
    assert.equal(second.value.length, 1);
    const all = await api.retrieveAll({ collection: "accounts", select: ["name"], filter: `startswith(name,'${run}')` });
    assert.equal(all.value.length, 3);
  });
  await check("changes are tracked through the delta link", async () => {
    const first = await api.retrieveMultiple({ collection: "accounts", select: ["name"], trackChanges: true });
    assert.ok(first.oDataDeltaLink);
    const gone = await api.create({ collection: "accounts", data: { name: `${run} gone` } });
    await api.deleteRecord({ collection: "accounts", key: gone });
    const delta = await api.retrieveMultiple({ collection: "accounts" }, first.oDataDeltaLink);
    assert.deepEqual(delta.value.map((row) => row.reason), ["deleted"]);
  });
  await check("rows are associated and disassociated", async () => {
    const contact = await api.create({ collection: "contacts", data: { lastname: run } });
    const link = { collection: "accounts", primaryKey: id, relationshipName: "contact_customer_accounts", relatedCollection: "contacts", relatedKey: contact };
    await api.associate(link);
    const related = await api.retrieve({ collection: "accounts", key: id, navigationProperty: "contact_customer_accounts", select: ["lastname"] });
    assert.equal(related.value.length, 1);
    await api.disassociate(link);
    const single = { collection: "accounts", primaryKey: id, navigationProperty: "primarycontactid", relatedCollection: "contacts", relatedKey: contact };
    await api.associateSingleValued(single);
    await api.disassociateSingleValued(single);
  });
  await check("a function without parameters", async () => {
    assert.ok((await api.callFunction("WhoAmI")).UserId);
  });
  await check("a batch with a change set that refers to itself", async () => {
    api.startBatch();
    api.create({ collection: "accounts", data: { name: `${run} in batch` }, contentId: "1" });
    api.create({ collection: "contacts", data: { lastname: run, "parentcustomerid_account@odata.bind": "$1" } });
    const done = await api.executeBatch();
    assert.equal(done.length, 2);
    api.startBatch();
    api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: `name eq '${run} in batch'` });
    const [found] = await api.executeBatch();
    assert.equal(found.value.length, 1);
  });
  await check("an error carries status, code and message", async () => {
    await assert.rejects(api.create({ collection: "accounts", data: { name: "x".repeat(161) } }), (error) => {
      assert.equal(error.status, 400);
      assert.equal(error.code, "0x80044331");
      return true;
    });
  });
  await check("a table, a column, a key and a relationship are defined", async () => {
    const made = await api.createEntity({
      data: {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", SchemaName: table, DisplayName: label("Item"), DisplayCollectionName: label("Items"),
        OwnershipType: "UserOwned", HasActivities: false, HasNotes: false, IsActivity: false,
        Attributes: [{ "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", SchemaName: "new_name", IsPrimaryName: true, MaxLength: 100, DisplayName: label("Name") }],
      },
    });
    assert.match(made, /^[0-9a-f-]{36}$/);
    const column = await api.createAttribute({
      entityKey: made,
      data: { "@odata.type": "Microsoft.Dynamics.CRM.MoneyAttributeMetadata", SchemaName: "new_amount", Precision: 2, DisplayName: label("Amount") },
    });
    const read = await api.retrieveAttribute({ entityKey: made, attributeKey: column, castType: "Microsoft.Dynamics.CRM.MoneyAttributeMetadata" });
    assert.equal(read.Precision, 2);
    await api.createRelationship({
      data: {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata", SchemaName: `new_account_${table}`, ReferencedEntity: "account",
        ReferencingEntity: table, Lookup: { SchemaName: "new_AccountId", DisplayName: label("Account") },
      },
    });
    const row = await api.create({ collection: `${table}s`, data: { new_name: "x", new_amount: 1.5, "new_AccountId@odata.bind": `/accounts(${id})` } });
    assert.equal((await api.retrieve({ collection: `${table}s`, key: row, select: ["new_amount"] })).new_amount, 1.5);
  });
  await check("metadata is read by name, with filter and cast", async () => {
    const entity = await api.retrieveEntity({ key: "LogicalName='account'", select: ["EntitySetName"], expand: [{ property: "Keys", select: ["KeyAttributes"] }] });
    assert.equal(entity.EntitySetName, "accounts");
    const choices = await api.retrieveAttributes({
      entityKey: "LogicalName='account'", castType: "Microsoft.Dynamics.CRM.PicklistAttributeMetadata", select: ["LogicalName"],
      expand: [{ property: "OptionSet", select: ["Options"] }],
    });
    assert.ok(choices.value.find((choice) => choice.LogicalName === "paymenttermscode").OptionSet.Options.length > 3);
    const relations = await api.retrieveRelationships({ castType: "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata", select: ["SchemaName"] });
    assert.ok(relations.value.length > 10);
  });
  await check("deleteRecord deletes", async () => {
    await api.deleteRecord({ collection: "accounts", key: id });
    await assert.rejects(api.retrieve({ collection: "accounts", key: id }), (error) => error.status === 404);
  });
  process.exit(failed ? 1 : 0);
})();
