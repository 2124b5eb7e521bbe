// What the warehouse itself says: each answer of a client is compared with it. Environment: WAREHOUSE, the SQLite file.
const { execFileSync } = require("node:child_process");
module.exports = (query) => JSON.parse(execFileSync("sqlite3", ["-json", process.env.WAREHOUSE, query], { maxBuffer: 1 << 28 }) + "" || "[]");
