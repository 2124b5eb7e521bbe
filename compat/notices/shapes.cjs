// Teams: Microsoft's schema of Adaptive Cards, and its own reader. Slack, PagerDuty: the types of their own clients, and
// the limits of their documents.

const fs = require("fs");
const path = require("path");
const { execFileSync } = require("child_process");
const Ajv = require("ajv");
const { adaptiveCardSchema } = require("adaptivecards-designer/lib/adaptive-card-schema.js");

const folder = process.argv[2];
const modules = process.env.NODE_PATH;
let failed = false;

function check(name, mistakes) {
  console.log(mistakes.length ? `FAIL ${name}: ${mistakes.join("; ")}` : `pass ${name}`);
  failed ||= mistakes.length > 0;
}

function bodies(way) {
  const names = fs.readdirSync(path.join(folder, way)).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => [name, JSON.parse(fs.readFileSync(path.join(folder, way, name), "utf8"))]);
}

// The types of a client, as its own compiler checks them.
function typed(way, module, type) {
  const source = path.join(folder, `${way}.ts`);
  const lines = bodies(way).map(([name, body], at) => `const _${at}: ${type} = ${JSON.stringify(body)}; // ${name}`);
  fs.writeFileSync(source, `import type { ${type.match(/KnownBlock|EventPayloadV2/)[0]} } from "${module}";\n${lines.join("\n")}\n`);
  const args = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2020", "--moduleResolution", "node", "--lib", "es2020,dom",
    "--baseUrl", modules, "--typeRoots", path.join(folder, "none"), source];
  try {
    execFileSync(path.join(modules, ".bin/tsc"), args, { encoding: "utf8", timeout: 120000 });
    return [];
  } catch (why) {
    return [String(why.stdout || why)];
  }
}

// Source: "Adaptive Cards in Teams" (a message of at most 28 KB; a card of version 1.5 at most).
const ajv = new Ajv({ strict: false, logger: false, validateSchema: false });
const { $schema, id, ...schema } = adaptiveCardSchema;
const valid = ajv.compile(schema);
for (const [name, message] of bodies("teams")) {
  const mistakes = [];
  for (const { contentType, content } of message.attachments) {
    if (contentType !== "application/vnd.microsoft.card.adaptive") mistakes.push(`it says it is ${contentType}`);
    if (!valid(content)) mistakes.push(ajv.errorsText(valid.errors));
    if (content.version > "1.5") mistakes.push(`Teams does not show version ${content.version}`);
  }
  if (Buffer.byteLength(JSON.stringify(message)) > 28000) mistakes.push("it is too large");
  check(`teams/${name}, the schema`, mistakes);
}

// Source: "Block Kit reference" and "Incoming webhooks".
for (const [name, message] of bodies("slack")) {
  const mistakes = [];
  const text = (what, text, most) => {
    if (text.length < 1 || text.length > most) mistakes.push(`${what} has ${text.length} characters, of 1 to ${most}`);
  };
  text("text", message.text, 40000);
  if (message.blocks.length > 50) mistakes.push(`${message.blocks.length} blocks of 50`);
  for (const block of message.blocks) {
    if (block.type === "header") {
      text("a header", block.text.text, 150);
      if (block.text.type !== "plain_text") mistakes.push("a header is plain text");
    } else if (block.type === "section") {
      if (!block.text && !block.fields) mistakes.push("a section says nothing");
      if (block.text) text("a section", block.text.text, 3000);
      if (block.fields && (block.fields.length < 1 || block.fields.length > 10)) mistakes.push(`${block.fields.length} fields of 10`);
      for (const field of block.fields || []) text("a field", field.text, 2000);
    } else mistakes.push(`a block ${block.type}`);
    const marked = [block.text, ...(block.fields || [])].filter((text) => text && text.type === "mrkdwn").map((text) => text.text);
    if (/<(?!https?:\/\/[^<>]*\|[^<>]*>)|&(?!amp;|lt;|gt;)/.test([message.text, ...marked].join("\n"))) mistakes.push("a < or & that is none of its marks");
  }
  check(`slack/${name}, the limits`, mistakes);
}
check("slack, the types of @slack/types", typed("slack", "@slack/types", "{ text: string; blocks: KnownBlock[] }"));

// Source: "PagerDuty Events API v2: send an alert event".
for (const [name, event] of bodies("pagerduty")) {
  const mistakes = [];
  const { summary, source, severity, timestamp } = event.payload;
  if (!/^[\w-]+$/.test(event.routing_key)) mistakes.push("no routing key");
  if (summary.length < 1 || summary.length > 1024) mistakes.push(`a summary of ${summary.length} characters`);
  if (event.dedup_key.length > 255) mistakes.push("a dedup_key of more than 255 characters");
  if (!source || !["critical", "error", "warning", "info"].includes(severity)) mistakes.push("no source or severity");
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(timestamp)) mistakes.push(`the time ${timestamp}`);
  if (Buffer.byteLength(JSON.stringify(event)) > 512 * 1024) mistakes.push("it is too large");
  check(`pagerduty/${name}, the limits`, mistakes);
}
check("pagerduty, the types of @pagerduty/pdjs", typed("pagerduty", "@pagerduty/pdjs/build/src/events", "EventPayloadV2"));
const keys = bodies("pagerduty").map(([, event]) => [event.event_action, event.dedup_key]);
const open = new Set();
for (const [action, key] of keys) action === "trigger" ? open.add(key) : open.delete(key);
check("pagerduty, each resolve has its trigger", keys.some(([a]) => a === "resolve") && [...open].every((key) => key.startsWith("test/")) ? [] : [JSON.stringify(keys)]);

for (const [name, body] of bodies("webhook")) {
  const mistakes = ["about", "kind", "severity", "title", "text", "at"].filter((member) => !body[member]).map((member) => `no ${member}`);
  // What .NET and Power Automate read: a time with at most seven digits behind the second.
  if (!/T\d\d:\d\d:\d\d(\.\d{1,7})?Z$/.test(body.at)) mistakes.push(`the time ${body.at}`);
  check(`webhook/${name}`, mistakes);
}
process.exit(failed ? 1 : 0);
