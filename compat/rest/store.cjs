// A sample API of json-server behind express-rate-limit: `store.cjs PORT FILE`, and 200 requests a second.
const { rateLimit } = require("express-rate-limit");
const jsonServer = require("json-server");

const [port, file] = process.argv.slice(2);
const server = jsonServer.create();
server.use(rateLimit({ windowMs: 1000, limit: 200, standardHeaders: "draft-8", legacyHeaders: false }));
server.use(jsonServer.defaults({ logger: false }));
server.use(jsonServer.router(file));
server.listen(port, "127.0.0.1", () => console.log("listening"));
