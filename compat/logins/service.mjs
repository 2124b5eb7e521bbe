// A sign-in service (oidc-provider) and an API that takes its tokens: orders, in pages that need a while.
//
// service.mjs PORT SECONDS: how long a token holds. `POST /seen` says what was asked since the last time, and takes back
// every token where its body says so.
import http from "node:http";
import Provider from "oidc-provider";

const [, , port, seconds] = process.argv;
const root = `http://127.0.0.1:${port}`;
// Secrets with every letter that has to be escaped in a header.
const client = (client_id, token_endpoint_auth_method) => ({
    client_id,
    client_secret: process.env.CLIENT_SECRET,
    token_endpoint_auth_method,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    scope: "orders.read",
});
const provider = new Provider(root, {
    clients: [client("hub post", "client_secret_post"), client("hub:basic", "client_secret_basic")],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    scopes: ["orders.read", "orders.write"],
    ttl: { ClientCredentials: Number(seconds) },
});
let seen = { tokens: 0, refused: 0, denied: [], pages: 0, used: [] };
const given = new Set();
provider.on("client_credentials.saved", (token) => (seen.tokens++, given.add(token.jti)));
provider.on("grant.error", (_, error) => seen.denied.push(error.error));
const sign_in = provider.callback();

const json = (answer, status, body, headers = {}) => {
    answer.writeHead(status, { "content-type": "application/json", ...headers });
    answer.end(JSON.stringify(body));
};
const ROWS = Array.from({ length: 60 }, (_, at) => ({ number: `O-${at}`, name: "sample" }));

http.createServer(async (request, answer) => {
    const url = new URL(request.url, root);
    if (url.pathname === "/seen") {
        if (url.searchParams.has("take_back")) {
            for (const id of given) await (await provider.ClientCredentials.find(id))?.destroy();
        }
        json(answer, 200, seen);
        seen = { tokens: 0, refused: 0, denied: [], pages: 0, used: [] };
    } else if (url.pathname === "/orders") {
        const text = request.headers.authorization?.match(/^Bearer (.+)$/)?.[1];
        const token = text && (await provider.ClientCredentials.find(text));
        if (!token || token.scope !== "orders.read") {
            seen.refused++;
            return json(answer, 401, { error: "invalid_token" }, { "www-authenticate": 'Bearer error="invalid_token"' });
        }
        seen.pages++;
        if (!seen.used.includes(token.clientId)) seen.used.push(token.clientId);
        const from = Number(url.searchParams.get("from") ?? 0);
        setTimeout(() => json(answer, 200, { rows: ROWS.slice(from, from + 5), next: from + 5 < ROWS.length ? `${from + 5}` : null }), 500);
    } else {
        sign_in(request, answer);
    }
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
