// A round trip with the client that is generated from the OpenAPI document; prints what the test compares.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , site, token] = process.argv;
const client = createClient<paths>({ baseUrl: `${site}/api`, headers: { Authorization: `Token ${token}` } });

function there<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

const created = await client.POST("/sessions", { body: { title: "made", metadata: { lang: "en" } } });
const session: components["schemas"]["Session"] = there(created);
const path = { session_id: session.id };

const appended: number[] = [];
for (const type of ["begun", "node_executed", "ended"]) {
  const body = { type, payload: { node: [1.5, null] }, expected_seq: appended.length };
  appended.push(there(await client.POST("/sessions/{session_id}/events", { params: { path }, body })).seq_num);
}
const late = await client.POST("/sessions/{session_id}/events", { params: { path }, body: { type: "late", expected_seq: 1 } });

const listed: string[][] = [];
let cursor: string | undefined;
do {
  const query = cursor === undefined ? { page_size: 2 } : { page_size: 2, cursor };
  const page = there(await client.GET("/sessions/{session_id}/events", { params: { path, query } }));
  listed.push(page.results.map((event) => event.type));
  cursor = page.next === null ? undefined : new URL(page.next).searchParams.get("cursor") ?? undefined;
} while (cursor !== undefined);

const read = await client.GET("/sessions/{id}", { params: { path: { id: session.id } } });
const header = { "If-None-Match": read.response.headers.get("ETag") ?? "" };
const unchanged = await client.GET("/sessions/{id}", { params: { path: { id: session.id }, header } });

const stream = await client.GET("/sessions/{session_id}/events/stream", {
  params: { path, query: { after: "0", types: "ended" } },
  parseAs: "stream",
});
const reader = there(stream)!.pipeThrough(new TextDecoderStream()).getReader();
let streamed = "";
while (!/^data: .*\n\n/m.test(streamed)) streamed += (await reader.read()).value ?? "";
await reader.cancel();

const missing = await client.GET("/sessions/{id}", { params: { path: { id: "none" } } });
console.log(
  JSON.stringify({
    session,
    location: created.response.headers.get("Location"),
    appended,
    late: [late.error?.status, late.error?.expected, late.error?.actual],
    listed,
    unchanged: unchanged.response.status,
    streamed,
    missing: missing.error?.title,
  }),
);
