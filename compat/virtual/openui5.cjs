// Puts OpenUI5's OData V4 model, unmodified, to work against virtual tables, in a headless Chromium.
// Environment: ODATA_URL, the root with its last slash; UI5, the `src` folder of @openui5/sap.ui.core.
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const root = new URL(process.env.ODATA_URL);
const kinds = { ".js": "text/javascript", ".json": "application/json", ".css": "text/css", ".html": "text/html" };
const page = `<!DOCTYPE html><html><head><meta charset="utf-8"><script id="sap-ui-bootstrap" src="/resources/sap-ui-core.js"
  data-sap-ui-async="true" data-sap-ui-theme="base" data-sap-ui-compat-version="edge" data-sap-ui-language="en"
  data-sap-ui-resource-roots='{"checks":"/checks/"}' data-sap-ui-on-init="module:checks/openui5_page"></script></head><body></body></html>`;

// One origin for the page, the library and the service, as a reverse proxy would have it.
const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname.startsWith("/odata/")) {
    const passed = http.request(
      { host: root.hostname, port: root.port, path: request.url, method: request.method, headers: request.headers },
      (answer) => { response.writeHead(answer.statusCode, answer.headers); answer.pipe(response); });
    passed.on("error", (why) => { response.writeHead(502); response.end(String(why)); });
    return request.pipe(passed);
  }
  if (url.pathname === "/report") {
    let text = "";
    request.on("data", (part) => (text += part));
    return request.on("end", () => { response.end(); finish(JSON.parse(text)); });
  }
  if (url.pathname === "/") { response.writeHead(200, { "content-type": "text/html" }); return response.end(page); }
  const file = url.pathname.startsWith("/checks/")
    ? path.join(__dirname, path.basename(url.pathname))
    : path.join(process.env.UI5, url.pathname.replace(/^\/resources\//, ""));
  fs.readFile(file, (why, body) => {
    if (why) { response.writeHead(404); return response.end(); }
    response.writeHead(200, { "content-type": kinds[path.extname(file)] || "text/plain" });
    response.end(body);
  });
});

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "openui5-"));
let browser, timer;
function finish(lines) {
  for (const line of lines) console.log(line);
  clearTimeout(timer);
  browser.kill();
  server.close();
  server.closeAllConnections();
  browser.on("exit", () => {
    // Its children may write there for a while; a folder that stays says nothing of what was checked.
    try {
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    } catch (error) {
      console.error(`${profile} could not be removed: ${error.message}`);
    }
  });
  process.exitCode = lines.length > 0 && lines.every((line) => line.startsWith("pass")) ? 0 : 1;
}
server.listen(0, "127.0.0.1", () => {
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`];
  browser = spawn(process.env.CHROMIUM || "chromium", [...flags, `http://127.0.0.1:${server.address().port}/`], { stdio: "ignore" });
  browser.on("error", (why) => finish([`FAIL  no Chromium: ${why}`]));
  timer = setTimeout(() => finish(["FAIL  the page said nothing within ten minutes"]), 600_000);
});
