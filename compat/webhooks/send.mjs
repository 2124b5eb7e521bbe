// Sends one event as its sender's own library makes it, and prints what was answered: [status, text].
//
// send.mjs SENDER URL JSON: what the sender takes.
import { Webhooks } from "@octokit/webhooks";
import { sign } from "@octokit/webhooks-methods";
import { AzureKeyCredential, EventGridPublisherClient } from "@azure/eventgrid";
import { CloudEvent, emitterFor, HTTP, Mode } from "cloudevents";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as Svix } from "svix";

const [, , sender, url, text] = process.argv;
const given = JSON.parse(text);
const json = { "content-type": "application/json" };

async function post(body, headers) {
    const answer = await fetch(url, { method: "POST", body, headers });
    return [answer.status, await answer.text()];
}

// A body of the right signature, or of one over something else.
const sent = (payload) => (given.forged ? payload.replace("}", ', "more": 1}') : payload);
const moment = new Date(Date.now() - 1000 * (given.ago ?? 0));

const senders = {
    async stripe() {
        const payload = JSON.stringify({ id: given.id, object: "event", type: "invoice.paid", data: { object: given.row } }, null, 2);
        const timestamp = Math.floor(moment / 1000);
        const header = new Stripe("sk_test_sample").webhooks.generateTestHeaderString({ payload, secret: given.secret, timestamp });
        return post(sent(payload), { ...json, "stripe-signature": header });
    },
    async github() {
        const payload = JSON.stringify(given.row);
        const signature = await (given.methods ? sign(given.secret, payload) : new Webhooks({ secret: given.secret }).sign(payload));
        const headers = { "x-hub-signature-256": signature, "x-github-event": "sample", "x-github-delivery": given.id };
        return post(sent(payload), { ...json, ...headers, ...given.headers });
    },
    async standard() {
        const payload = JSON.stringify(given.row);
        const signature = new Webhook(given.secret).sign(given.id, moment, payload);
        const also = given.and ? ` ${new Webhook(given.and).sign(given.id, moment, payload)}` : "";
        const headers = {
            "webhook-id": given.id,
            "webhook-timestamp": `${Math.floor(moment / 1000)}`,
            "webhook-signature": signature + also,
        };
        return post(sent(payload), { ...json, ...headers, ...given.headers });
    },
    async svix() {
        const payload = JSON.stringify(given.row);
        const signature = new Svix(given.secret).sign(given.id, moment, payload);
        const headers = { "svix-id": given.id, "svix-timestamp": `${Math.floor(moment / 1000)}`, "svix-signature": signature };
        return post(sent(payload), { ...json, ...headers });
    },
    // `mode`: binary, structured, batch; `as`: how the data is given to the SDK, an object, a text or bytes.
    async cloudevents() {
        const of = { object: (row) => row, text: (row) => JSON.stringify(row), bytes: (row) => new Uint8Array(Buffer.from(JSON.stringify(row))) };
        const event = ({ id, source, row }) =>
            new CloudEvent({ id, source, type: "sample.order", datacontenttype: "application/json", data: of[given.as ?? "object"](row) });
        const headers = { "aeg-sas-key": given.key };
        const transport = ({ body, headers: own }) => post(body, { ...own, ...headers });
        if (given.mode === "batch") {
            const body = JSON.stringify(given.events.map(event));
            return post(body, { "content-type": "application/cloudevents-batch+json; charset=utf-8", ...headers });
        }
        return emitterFor(transport, { binding: HTTP, mode: given.mode === "binary" ? Mode.BINARY : Mode.STRUCTURED })(event(given));
    },
    async eventgrid() {
        const credential = new AzureKeyCredential(given.key);
        const client = new EventGridPublisherClient(url, "CloudEvent", credential, { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } });
        const events = given.events.map(({ id, source, row }) => ({ id, source, type: "sample.order", data: row }));
        let answered;
        try {
            await client.send(events, { onResponse: (raw) => (answered = raw) });
        } catch (error) {
            return [error.statusCode ?? 0, `the client says: ${error.message}`];
        }
        return [answered.status, answered.bodyAsText ?? ""];
    },
};
console.log(JSON.stringify(await senders[sender]()));
