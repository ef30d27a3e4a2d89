#!/usr/bin/env node
// Drives the JavaScript `@openfga/sdk` against a running server.
//
//     node sdk.mjs URL [FOLDER]
//
// FOLDER holds the node_modules with the SDK; without it the environment variable STONETOWN_NODE, then this folder. At
// the end the client is asked for its public methods: one that this file did not call is a failure, so a newer SDK
// cannot grow past it unseen. The stores are this run's own, so runs may share a server. Exit code 0: every
// expectation held; 1: the ones that did not are printed.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, isDeepStrictEqual } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const [url, folder = process.env.STONETOWN_NODE ?? HERE] = process.argv.slice(2);
if (!url) {
  console.error("usage: node sdk.mjs URL [FOLDER]");
  process.exit(2);
}
const sdk = createRequire(resolve(folder, "sdk.js"))("@openfga/sdk");
const { ClientWriteRequestOnDuplicateWrites: OnDuplicate, ClientWriteRequestOnMissingDeletes: OnMissing } = sdk;
const { ConsistencyPreference, FgaApiNotFoundError, FgaApiValidationError } = sdk;

const RUN = randomBytes(6).toString("hex");
const UNKNOWN_ID = "01ZZZZZZZZZZZZZZZZZZZZZZZZ";
const MODEL = JSON.parse(readFileSync(resolve(HERE, "model.json"), "utf8"));
const SMALL_MODEL = { schema_version: "1.1", type_definitions: [{ type: "user" }] };

let held = 0;
const failures = [];

function expect(what, got, wanted) {
  if (isDeepStrictEqual(got, wanted)) held += 1;
  else failures.push(`${what}\n    wanted ${inspect(wanted, { depth: 8 })}\n    got    ${inspect(got, { depth: 8 })}`);
}

// Every call passes through here, so that the last check knows which methods were used.
const called = new Set();
function client(settings = {}) {
  const token = process.env.STONETOWN_KEY;
  const credentials = token && { method: sdk.CredentialsMethod.ApiToken, config: { token } };
  return new Proxy(new sdk.OpenFgaClient({ apiUrl: url.replace(/\/$/, ""), credentials, ...settings }), {
    get(inner, name) {
      const member = inner[name];
      if (typeof member !== "function") return member;
      called.add(name);
      return member.bind(inner);
    },
  });
}

/** The call fails with that error class, status 4xx, and that code from the server. */
async function refuses(what, kind, code, call) {
  try {
    failures.push(`${what}\n    wanted ${kind.name} ${code}\n    got    ${inspect(await call())}`);
  } catch (error) {
    expect(`${what}: the error`, [error.constructor.name, error.apiErrorCode], [kind.name, code]);
    return error;
  }
}
const refusesInput = (what, code, call) => refuses(what, FgaApiValidationError, code, call);

const key = (user, relation, object) => ({ user, relation, object });
const triples = (keys) => keys.map((k) => `${k.user} ${k.relation} ${k.object}`).sort();
const sorted = (values) => [...values].sort();
async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const TUPLES = [
  key("user:anne", "viewer", "doc:plan"),
  key("group:staff#member", "viewer", "doc:memo"),
  key("user:bob", "member", "group:staff"),
  key("group:night#member", "member", "group:staff"),
  key("user:carl", "member", "group:night"),
  key("folder:files", "parent", "doc:memo"),
  key("user:dora", "viewer", "folder:files"),
  key("user:*", "viewer", "doc:notice"),
  key("user:eve", "blocked", "doc:notice"),
];

/** A client on a store of its own, with the model unless told otherwise. */
async function storeOf(label, withModel = true) {
  const made = await client().createStore({ name: `js ${label} ${RUN}` });
  const mine = client({ storeId: made.id });
  const model = withModel ? (await mine.writeAuthorizationModel(MODEL)).authorization_model_id : undefined;
  return { mine, made, model };
}

// --- the scenario -------------------------------------------------------------------------------------------

async function stores() {
  const { mine, made } = await storeOf("stores", false);
  expect("createStore: the name", made.name, `js stores ${RUN}`);
  const got = await mine.getStore();
  expect("getStore", [got.id, got.name, got.created_at], [made.id, made.name, made.created_at]);
  expect("getStore: not deleted", got.deleted_at ?? null, null);
  expect("getStoreId", mine.getStoreId(), made.id);

  const twins = [made.id, (await storeOf("stores", false)).made.id, (await storeOf("stores", false)).made.id];
  const listed = await mine.listStores({ name: made.name });
  expect("listStores by name", listed.stores.map((s) => s.id), sorted(twins));
  expect("listStores: the last page", listed.continuation_token, "");
  const seen = [];
  let continuationToken;
  for (let page = 0; page < 3; page += 1) {
    const found = await mine.listStores({ name: made.name, pageSize: 1, continuationToken });
    expect("listStores: a page of one", found.stores.length, 1);
    seen.push(found.stores[0].id);
    continuationToken = found.continuation_token;
  }
  expect("listStores, page by page", seen, sorted(twins));
  expect("listStores without a name", (await mine.listStores({ pageSize: 2 })).stores.length, 2);

  expect("getStore, a store by call", (await mine.getStore({ storeId: twins[1] })).id, twins[1]);
  await mine.deleteStore({ storeId: twins[1] });
  await mine.deleteStore({ storeId: twins[1] }); // again: no error
  const gone = await refuses("getStore, deleted", FgaApiNotFoundError, "store_id_not_found", () =>
    mine.getStore({ storeId: twins[1] }));
  expect("the error's status and text", [gone?.statusCode, gone?.apiErrorMessage], [404, "Store ID not found"]);
  expect("listStores, one deleted", (await mine.listStores({ name: made.name })).stores.length, 2);
  await refuses("getStore, unknown", FgaApiNotFoundError, "store_id_not_found", () =>
    mine.getStore({ storeId: UNKNOWN_ID }));
  await refusesInput("createStore, bad name", "validation_error", () => mine.createStore({ name: "a<b>" }));
}

async function models() {
  const { mine } = await storeOf("models", false);
  const empty = await mine.readAuthorizationModels();
  expect("readAuthorizationModels, none", [empty.authorization_models, empty.continuation_token], [[], ""]);
  const nothing = await mine.readLatestAuthorizationModel();
  expect("readLatestAuthorizationModel, none", nothing.authorization_model, undefined);
  const ids = [];
  for (let n = 0; n < 3; n += 1) ids.push((await mine.writeAuthorizationModel(MODEL)).authorization_model_id);
  expect("model ids grow", ids, sorted(new Set(ids)));
  const newestFirst = [...ids].reverse();
  const listed = await mine.readAuthorizationModels();
  expect("readAuthorizationModels", listed.authorization_models.map((m) => m.id), newestFirst);
  const seen = [];
  let continuationToken;
  for (let n = 0; n < 2; n += 1) {
    const page = await mine.readAuthorizationModels({ pageSize: 2, continuationToken });
    seen.push(...page.authorization_models.map((m) => m.id));
    continuationToken = page.continuation_token;
  }
  expect("readAuthorizationModels: the last page", continuationToken, "");
  expect("readAuthorizationModels, page by page", seen, newestFirst);
  expect("readLatestAuthorizationModel", (await mine.readLatestAuthorizationModel()).authorization_model.id, ids[2]);

  const got = (await mine.readAuthorizationModel({ authorizationModelId: ids[0] })).authorization_model;
  expect("readAuthorizationModel", [got.id, got.schema_version], [ids[0], "1.1"]);
  expect("readAuthorizationModel: types", got.type_definitions.map((t) => t.type), ["user", "group", "folder", "doc"]);
  const doc = got.type_definitions[3];
  const [, second, third] = doc.relations.viewer.union.child;
  expect("readAuthorizationModel: a union",
    [second.computedUserset.relation, third.tupleToUserset.tupleset.relation], ["editor", "parent"]);
  expect("readAuthorizationModel: a difference", doc.relations.allowed.difference.subtract.computedUserset.relation,
    "blocked");
  expect("readAuthorizationModel: the restrictions",
    doc.metadata.relations.viewer.directly_related_user_types.map((k) => [k.type, k.relation, Boolean(k.wildcard)]),
    [["user", undefined, false], ["user", undefined, true], ["group", "member", false]]);

  const older = client({ storeId: mine.getStoreId(), authorizationModelId: ids[1] });
  expect("getAuthorizationModelId", older.getAuthorizationModelId(), ids[1]);
  expect("the client's own model", (await older.readAuthorizationModel()).authorization_model.id, ids[1]);
  await older.checkValidApiConnection();
  await mine.checkValidApiConnection();
  await refusesInput("checkValidApiConnection, unknown model", "authorization_model_not_found", () =>
    mine.checkValidApiConnection({ authorizationModelId: UNKNOWN_ID }));
  await refusesInput("readAuthorizationModel, unknown", "authorization_model_not_found", () =>
    mine.readAuthorizationModel({ authorizationModelId: UNKNOWN_ID }));
  const twice = { ...SMALL_MODEL, type_definitions: [{ type: "user" }, { type: "user" }] };
  const refused = await refusesInput("writeAuthorizationModel, a type twice", "invalid_authorization_model", () =>
    mine.writeAuthorizationModel(twice));
  expect("the error's status and text", [refused?.statusCode, refused?.apiErrorMessage],
    [400, "an authorization model cannot contain duplicate types"]);
  await refusesInput("writeAuthorizationModel, no types", "type_definitions_too_few_items", () =>
    mine.writeAuthorizationModel({ ...SMALL_MODEL, type_definitions: [] }));
}

async function writes() {
  const { mine } = await storeOf("writes", false);
  const one = TUPLES[0];
  await refusesInput("write before there is a model", "latest_authorization_model_not_found", () =>
    mine.write({ writes: [one] }));
  const authorizationModelId = (await mine.writeAuthorizationModel(MODEL)).authorization_model_id;
  const stored = async () => triples((await mine.read()).tuples.map((t) => t.key));

  let done = await mine.write({ writes: TUPLES }, { authorizationModelId });
  expect("write, one transaction", done.writes.map((w) => w.status), TUPLES.map(() => "success"));
  expect("write: what is stored", await stored(), triples(TUPLES));
  const fresh = key("user:zoe", "editor", "doc:plan");
  done = await mine.write({ writes: [fresh], deletes: [one] });
  expect("write and delete in one", [...done.writes, ...done.deletes].map((w) => w.status), ["success", "success"]);
  expect("write and delete: what is stored", await stored(), triples([fresh, ...TUPLES.slice(1)]));

  // A transaction is all or nothing.
  const failed = "write_failed_due_to_invalid_input";
  await refusesInput("write, one is there", failed, () => mine.write({ writes: [one, fresh] }));
  await refusesInput("delete, one is not there", failed, () => mine.write({ deletes: [one, fresh] }));
  expect("after two refusals", await stored(), triples([fresh, ...TUPLES.slice(1)]));
  await refusesInput("write, twice the same", "cannot_allow_duplicate_tuples_in_one_request", () =>
    mine.write({ writes: [one, one] }));
  const many = Array.from({ length: 101 }, (_, n) => key(`user:u${n}`, "viewer", "doc:many"));
  await refusesInput("write, 101", "exceeded_entity_limit", () => mine.writeTuples(many));
  await refusesInput("write, unknown model", "authorization_model_not_found", () =>
    mine.write({ writes: [one] }, { authorizationModelId: UNKNOWN_ID }));
  for (const bad of [key("user:anne", "nothing", "doc:plan"), key("user:anne", "viewer", "nothing:plan"),
    key("folder:files", "viewer", "doc:plan"), key("anne", "viewer", "doc:plan")]) {
    await refusesInput(`write ${triples([bad])}`, "validation_error", () => mine.writeTuples([bad]));
  }

  const ignoring = { onDuplicateWrites: OnDuplicate.Ignore, onMissingDeletes: OnMissing.Ignore };
  await mine.write({ writes: [fresh], deletes: [one] }, { conflict: ignoring });
  expect("write, conflicts ignored", await stored(), triples([fresh, ...TUPLES.slice(1)]));
  await mine.writeTuples([one, fresh], { conflict: { onDuplicateWrites: OnDuplicate.Ignore } });
  expect("writeTuples, duplicates ignored", await stored(), triples([fresh, ...TUPLES]));
  const missing = [one, fresh, key("user:no", "viewer", "doc:plan")];
  await mine.deleteTuples(missing, { conflict: { onMissingDeletes: OnMissing.Ignore } });
  expect("deleteTuples, missing ignored", await stored(), triples(TUPLES.slice(1)));
  await refusesInput("writeTuples, duplicates are errors", failed, () =>
    mine.writeTuples([TUPLES[1]], { conflict: { onDuplicateWrites: OnDuplicate.Error } }));
  await mine.writeTuples([one]);
  await mine.deleteTuples([one]);
  expect("writeTuples and deleteTuples", await stored(), triples(TUPLES.slice(1)));

  // Without a transaction every chunk stands alone.
  const chunks = (maxPerChunk) => ({ transaction: { disable: true, maxPerChunk, maxParallelRequests: 4 } });
  const count = (responses) => responses.filter((r) => r.status === "success").length;
  done = await mine.writeTuples(many.slice(0, 60), chunks(7));
  expect("writeTuples in chunks", count(done.writes), 60);
  done = await mine.write({ writes: many.slice(59, 62), deletes: many.slice(0, 2) }, chunks(1));
  expect("write in chunks: one is there", sorted(done.writes.map((w) => `${w.tuple_key.user} ${w.status}`)),
    ["user:u59 failure", "user:u60 success", "user:u61 success"]);
  expect("write in chunks: its error", done.writes.find((w) => w.err)?.err.apiErrorCode, failed);
  expect("write in chunks: the deletes", count(done.deletes), 2);
  done = await mine.deleteTuples(many.slice(2, 62), chunks(20));
  expect("deleteTuples in chunks", count(done.deletes), 60);
  expect("in the end", await stored(), triples(TUPLES.slice(1)));
}

async function reads() {
  const { mine } = await storeOf("reads");
  await mine.writeTuples(TUPLES);
  const read = async (wanted) => triples((await mine.read(wanted)).tuples.map((t) => t.key));
  expect("read an object", await read({ object: "doc:memo" }), triples([TUPLES[1], TUPLES[5]]));
  expect("read an object's relation", await read({ object: "doc:memo", relation: "viewer" }), triples([TUPLES[1]]));
  expect("read a user's type", await read({ object: "doc:", user: "user:eve" }), triples([TUPLES[8]]));
  expect("read a userset", await read({ object: "group:staff", user: "group:night#member" }), triples([TUPLES[3]]));
  expect("read the public", await read(TUPLES[7]), triples([TUPLES[7]]));
  expect("read nothing", await read({ object: "doc:none" }), []);
  const everything = await mine.read({}, { consistency: ConsistencyPreference.HigherConsistency });
  expect("read everything", triples(everything.tuples.map((t) => t.key)), triples(TUPLES));
  expect("read: the last page", everything.continuation_token, "");
  expect("read: a time", Number.isNaN(Date.parse(everything.tuples[0].timestamp)), false);
  expect("read: no condition", everything.tuples[0].key.condition ?? null, null);
  const seen = [];
  let continuationToken;
  for (let n = 0; n < 3; n += 1) {
    const page = await mine.read({}, { pageSize: 4, continuationToken });
    seen.push(...page.tuples.map((t) => t.key));
    continuationToken = page.continuation_token;
  }
  expect("read, page by page", [triples(seen), continuationToken], [triples(TUPLES), ""]);
  await refusesInput("read, a user alone", "validation_error", () => mine.read({ user: "user:anne" }));
  await refusesInput("read, a page too large", "page_size_invalid", () => mine.read({}, { pageSize: 101 }));
  await refusesInput("read, a false token", "invalid_continuation_token", () =>
    mine.read({}, { continuationToken: "abcd" }));

  // Changes, with the delete of a tuple after them.
  await mine.deleteTuples([TUPLES[0]]);
  const changes = [];
  let token = "";
  for (let n = 0; n < 3; n += 1) {
    const page = await mine.readChanges(undefined, { pageSize: 4, continuationToken: token });
    changes.push(...page.changes);
    token = page.continuation_token;
  }
  const idle = await mine.readChanges(undefined, { continuationToken: token });
  expect("readChanges, none new: the same token", [idle.changes, idle.continuation_token], [[], token]);
  expect("readChanges", triples(changes.slice(0, -1).map((c) => c.tuple_key)), triples(TUPLES));
  const last = changes.at(-1);
  expect("readChanges: the delete", [triples([last.tuple_key]), last.operation],
    [triples([TUPLES[0]]), sdk.TupleOperation.Delete]);
  const times = changes.map((c) => c.timestamp);
  expect("readChanges: oldest first", times.map(Date.parse), times.map(Date.parse).sort((a, b) => a - b));
  const folders = await mine.readChanges({ type: "folder" });
  expect("readChanges of a type", triples(folders.changes.map((c) => c.tuple_key)), triples([TUPLES[6]]));
  const since = await mine.readChanges({ type: "", startTime: "2020-01-01T00:00:00Z" });
  expect("readChanges since", since.changes.length, 10);
  await mine.writeTuples([TUPLES[0]]);
  const news = await mine.readChanges({ type: "" }, { continuationToken: token });
  expect("readChanges from a kept token", triples(news.changes.map((c) => c.tuple_key)), triples([TUPLES[0]]));
  await refusesInput("readChanges, another type's token", "query_string_type_continuation_token_mismatch", () =>
    mine.readChanges({ type: "doc" }, { continuationToken: folders.continuation_token }));
  await refusesInput("readChanges, from the future", "validation_error", () =>
    mine.readChanges({ type: "", startTime: "2200-01-01T00:00:00Z" }));
}

const CASES = [
  [key("user:anne", "viewer", "doc:plan"), true], [key("user:anne", "editor", "doc:plan"), false],
  [key("user:carl", "viewer", "doc:memo"), true], [key("user:dora", "viewer", "doc:memo"), true],
  [key("group:night#member", "viewer", "doc:memo"), true], [key("user:eve", "viewer", "doc:notice"), true],
  [key("user:eve", "allowed", "doc:notice"), false], [key("user:fred", "allowed", "doc:notice"), true],
  [key("user:fred", "both", "doc:notice"), false],
];

async function checks() {
  const { mine, model } = await storeOf("checks");
  await mine.writeTuples(TUPLES);
  const authorizationModelId = model;
  for (const [ask, allowed] of CASES) expect(`check ${triples([ask])}`, (await mine.check(ask)).allowed, allowed);
  const contextualTuples = [key("user:zoe", "viewer", "folder:zoes"), key("folder:zoes", "parent", "doc:plan")];
  const zoe = key("user:zoe", "viewer", "doc:plan");
  const inContext = { ...zoe, contextualTuples, context: { unused: 1 } };
  for (const consistency of Object.values(ConsistencyPreference)) {
    const options = { consistency, authorizationModelId, headers: { "X-Stonetown": "test" } };
    expect(`check, contextual, ${consistency}`, (await mine.check(inContext, options)).allowed, true);
  }
  expect("check: contextual tuples leave nothing", (await mine.check(zoe)).allowed, false);
  const answer = await mine.check(zoe);
  expect("the headers", [answer.$response.headers["openfga-store-id"],
    answer.$response.headers["openfga-authorization-model-id"]], [mine.getStoreId(), model]);
  expect("the request's id", Boolean(answer.$response.headers["x-request-id"]), true);
  await refusesInput("check, unknown model", "authorization_model_not_found", () =>
    mine.check(zoe, { authorizationModelId: UNKNOWN_ID }));
  const wrong = key("user:anne", "nothing", "doc:plan");
  for (const bad of [wrong, key("user:anne", "viewer", "nothing:plan"), key("anne", "viewer", "doc:plan")]) {
    await refusesInput(`check ${triples([bad])}`, "validation_error", () => mine.check(bad));
  }
  await refusesInput("check, a bad contextual tuple", "invalid_tuple", () =>
    mine.check({ ...zoe, contextualTuples: [wrong] }));

  // An older model goes on answering under its id.
  await mine.writeAuthorizationModel(SMALL_MODEL);
  const anne = CASES[0][0];
  await refusesInput("check, the latest model has no such type", "validation_error", () => mine.check(anne));
  expect("check, a model by call", (await mine.check(anne, { authorizationModelId })).allowed, true);
  const older = client({ storeId: mine.getStoreId(), authorizationModelId });
  expect("check, a model by client", (await older.check(anne)).allowed, true);

  const several = [...CASES.map(([ask]) => ask), inContext, wrong];
  const consistency = ConsistencyPreference.HigherConsistency;
  const { result } = await older.clientBatchCheck(several, { maxParallelRequests: 3, consistency });
  const answerTo = (ask) => result.find((r) => isDeepStrictEqual(r._request, ask));
  for (const [ask, allowed] of CASES) expect(`clientBatchCheck ${triples([ask])}`, answerTo(ask).allowed, allowed);
  expect("clientBatchCheck, contextual", answerTo(inContext).allowed, true);
  expect("clientBatchCheck, an error", answerTo(wrong).error.apiErrorCode, "validation_error");

  // 60 checks: more than one request to the server's own batch check.
  const items = CASES.map(([ask], n) => ({ ...ask, correlationId: `case-${n}` }));
  items.push({ ...zoe, correlationId: "contextual", contextualTuples: { tuple_keys: contextualTuples }, context: {} });
  items.push({ ...wrong, correlationId: "wrong" });
  while (items.length < 60) items.push(key(`user:u${items.length}`, "viewer", "doc:plan"));
  const options = { authorizationModelId, maxParallelRequests: 2, consistency: ConsistencyPreference.MinimizeLatency };
  const answers = (await mine.batchCheck({ checks: items }, options)).result;
  const byId = Object.fromEntries(answers.map((a) => [a.correlationId, a]));
  expect("batchCheck: every answer", [answers.length, Object.keys(byId).length], [60, 60]);
  CASES.forEach(([ask, allowed], n) => expect(`batchCheck ${triples([ask])}`, byId[`case-${n}`].allowed, allowed));
  expect("batchCheck, contextual", byId.contextual.allowed, true);
  expect("batchCheck, an error in one", [byId.wrong.allowed, byId.wrong.error.input_error, byId.wrong.error.message],
    [false, "validation_error", "invalid relation: relation 'doc#nothing' not found"]);
  const rest = answers.filter((a) => a.request.user.startsWith("user:u"));
  expect("batchCheck, the rest", [rest.length, rest.some((a) => a.allowed)], [49, false]);
  await refusesInput("batchCheck, unknown model", "authorization_model_not_found", () =>
    mine.batchCheck({ checks: items.slice(0, 2) }, { authorizationModelId: UNKNOWN_ID }));
  await refusesInput("batchCheck, 60 in one request", "validation_error", () =>
    mine.batchCheck({ checks: items }, { authorizationModelId, maxBatchSize: 60 }));
}

async function lists() {
  const { mine, model } = await storeOf("lists");
  await mine.writeTuples(TUPLES);
  const options = { consistency: ConsistencyPreference.HigherConsistency, authorizationModelId: model };
  const objects = (user, relation, more = {}) => ({ user, relation, type: "doc", ...more });
  const extra = { contextualTuples: [key("user:eve", "viewer", "doc:extra")], context: { unused: 1 } };
  for (const [what, request, wanted] of [
    ["through groups", objects("user:carl", "viewer"), ["doc:memo", "doc:notice"]],
    ["none", objects("user:carl", "editor"), []],
    ["but not", objects("user:eve", "allowed"), []],
    ["a userset", objects("group:staff#member", "viewer"), ["doc:memo"]],
    ["contextual", objects("user:eve", "viewer", extra), ["doc:extra", "doc:notice"]],
  ]) {
    expect(`listObjects, ${what}`, sorted((await mine.listObjects(request, options)).objects), wanted);
    const streamed = await all(mine.streamedListObjects(request, options));
    expect(`streamedListObjects, ${what}`, sorted(streamed.map((o) => o.object)), wanted);
  }
  await refusesInput("listObjects, unknown type", "type_not_found", () =>
    mine.listObjects(objects("user:anne", "viewer", { type: "nothing" })));
  await refusesInput("listObjects, unknown relation", "relation_not_found", () =>
    mine.listObjects(objects("user:anne", "nothing")));
  await refusesInput("listObjects, unknown model", "authorization_model_not_found", () =>
    mine.listObjects(objects("user:anne", "viewer"), { authorizationModelId: UNKNOWN_ID }));
  try {
    const got = await all(mine.streamedListObjects(objects("user:anne", "viewer", { type: "nothing" })));
    failures.push(`streamedListObjects, unknown type\n    wanted an error\n    got    ${inspect(got)}`);
  } catch (error) {
    expect("streamedListObjects, unknown type", [error.constructor.name, error.statusCode],
      ["FgaApiValidationError", 400]);
  }

  const relations = ["viewer", "editor", "allowed", "both", "blocked"];
  const anne = { user: "user:anne", object: "doc:plan", relations };
  expect("listRelations", sorted((await mine.listRelations(anne, options)).relations), ["allowed", "viewer"]);
  const asEditor = { ...anne, contextualTuples: [key("user:anne", "editor", "doc:plan")] };
  expect("listRelations, contextual", sorted((await mine.listRelations(asEditor)).relations),
    ["allowed", "both", "editor", "viewer"]);
  expect("listRelations, none", (await mine.listRelations({ ...anne, user: "user:zoe" })).relations, []);
  await refusesInput("listRelations, unknown relation", "validation_error", () =>
    mine.listRelations({ ...anne, relations: ["nothing"] }));

  const users = (type, id, relation, filter, more = {}) =>
    ({ object: { type, id }, relation, user_filters: [filter], ...more });
  const said = ({ object, userset, wildcard }) => (object ? `${object.type}:${object.id}`
    : userset ? `${userset.type}:${userset.id}#${userset.relation}` : `${wildcard.type}:*`);
  const zoe = { contextualTuples: [key("user:zoe", "viewer", "doc:plan")], context: { unused: 1 } };
  for (const [what, request, wanted] of [
    ["through groups", users("doc", "memo", "viewer", { type: "user" }), ["user:bob", "user:carl", "user:dora"]],
    ["public", users("doc", "notice", "allowed", { type: "user" }), ["user:*"]],
    ["usersets", users("doc", "memo", "viewer", { type: "group", relation: "member" }),
      ["group:night#member", "group:staff#member"]],
    ["none", users("doc", "none", "viewer", { type: "user" }), []],
    ["contextual", users("doc", "plan", "viewer", { type: "user" }, zoe), ["user:anne", "user:zoe"]],
  ]) expect(`listUsers, ${what}`, sorted((await mine.listUsers(request, options)).users.map(said)), wanted);
  await refusesInput("listUsers, unknown type", "type_not_found", () =>
    mine.listUsers(users("nothing", "plan", "viewer", { type: "user" })));
  await refusesInput("listUsers, two filters", "validation_error", () =>
    mine.listUsers({ ...users("doc", "plan", "viewer"), user_filters: [{ type: "user" }, { type: "group" }] }));

  const expand = async (relation, object, more = {}) =>
    (await mine.expand({ relation, object, ...more }, options)).tree.root;
  const named = { name: "doc:memo#viewer" };
  expect("expand, union", await expand("viewer", "doc:memo"), { ...named, union: { nodes: [
    { ...named, leaf: { users: { users: ["group:staff#member"] } } },
    { ...named, leaf: { computed: { userset: "doc:memo#editor" } } },
    { ...named, leaf: { tupleToUserset: {
      tupleset: "doc:memo#parent", computed: [{ userset: "folder:files#viewer" }] } } },
  ] } });
  const leaf = (name, userset) => ({ name, leaf: { computed: { userset } } });
  expect("expand, difference", await expand("allowed", "doc:plan"), { name: "doc:plan#allowed", difference: {
    base: leaf("doc:plan#allowed", "doc:plan#viewer"), subtract: leaf("doc:plan#allowed", "doc:plan#blocked") } });
  expect("expand, contextual", await expand("member", "group:night", {
    contextualTuples: [key("user:zoe", "member", "group:night")],
  }), { name: "group:night#member", leaf: { users: { users: ["user:carl", "user:zoe"] } } });
  await refusesInput("expand, unknown relation", "validation_error", () => expand("nothing", "doc:plan"));
}

/** A list of objects longer than any page, both ways. */
async function longLists() {
  const { mine } = await storeOf("long lists");
  const names = Array.from({ length: 300 }, (_, n) => `doc:d${String(n).padStart(4, "0")}`);
  for (let start = 0; start < 300; start += 100) {
    await mine.writeTuples(names.slice(start, start + 100).map((name) => key("user:anne", "viewer", name)));
  }
  const request = { user: "user:anne", relation: "viewer", type: "doc" };
  expect("listObjects, 300", sorted((await mine.listObjects(request)).objects), names);
  const streamed = await all(mine.streamedListObjects(request));
  expect("streamedListObjects, 300", sorted(streamed.map((o) => o.object)), names);
}

async function assertions() {
  const { mine: plain, model } = await storeOf("assertions");
  const mine = client({ storeId: plain.getStoreId(), authorizationModelId: model });
  const none = await mine.readAssertions();
  expect("readAssertions, none", [none.authorization_model_id, none.assertions], [model, []]);
  const claims = [{ ...key("user:anne", "viewer", "doc:plan"), expectation: true },
    { ...key("user:anne", "editor", "doc:plan"), expectation: false }];
  const said = async (options) => (await mine.readAssertions(options)).assertions
    .map((a) => ({ ...key(a.tuple_key.user, a.tuple_key.relation, a.tuple_key.object), expectation: a.expectation }));
  await mine.writeAssertions(claims);
  expect("readAssertions", await said(), claims);
  await mine.writeAssertions(claims.slice(1), { authorizationModelId: model });
  expect("writeAssertions replaces", await said({ authorizationModelId: model }), claims.slice(1));
  await mine.writeAssertions([]);
  expect("writeAssertions, none", await said(), []);
  await refusesInput("writeAssertions, unknown model", "authorization_model_not_found", () =>
    mine.writeAssertions(claims, { authorizationModelId: UNKNOWN_ID }));
  await refusesInput("writeAssertions, unknown relation", "validation_error", () =>
    mine.writeAssertions([{ ...key("user:anne", "nothing", "doc:plan"), expectation: true }]));
  await refusesInput("writeAssertions, 101", "assertions_too_many_items", () =>
    mine.writeAssertions(Array(101).fill(claims[0])));
}

async function rawRequests() {
  const { mine, made, model } = await storeOf("raw requests");
  await mine.writeTuples(TUPLES);
  const at = { pathParams: { store_id: made.id } };
  const got = await mine.executeApiRequest({ ...at, operationName: "Check", method: "POST",
    path: "/stores/{store_id}/check", body: { tuple_key: TUPLES[0] }, headers: { "X-Stonetown": "test" } });
  expect("executeApiRequest", [got.$response.status, got.allowed, got.resolution], [200, true, ""]);
  const models = await mine.executeApiRequest({ ...at, operationName: "Models", method: "GET",
    path: "/stores/{store_id}/authorization-models", queryParams: { page_size: 1 } });
  expect("executeApiRequest with a query", models.authorization_models.map((m) => m.id), [model]);
  const stream = await mine.executeStreamedApiRequest({ ...at, operationName: "StreamedListObjects", method: "POST",
    path: "/stores/{store_id}/streamed-list-objects", body: { user: "user:anne", relation: "viewer", type: "doc" } });
  const lines = await all(sdk.parseNDJSONStream(stream?.$response?.data ?? stream));
  expect("executeStreamedApiRequest", sorted(lines.map((l) => l.result.object)), ["doc:notice", "doc:plan"]);
  const raw = (method, path) => mine.executeApiRequest({ ...at, operationName: "No", method, path });
  await refuses("a route that is not there", FgaApiNotFoundError, "undefined_endpoint", () =>
    raw("POST", "/stores/{store_id}/nothing"));
  await refuses("a method that is not there", FgaApiNotFoundError, "unimplemented", () =>
    raw("DELETE", "/stores/{store_id}/check"));
}

// A server that never answers is a failure, not a wait.
setTimeout(() => {
  console.log("FAILED: no end after 180 seconds");
  process.exit(1);
}, 180_000).unref();

for (const part of [stores, models, writes, reads, checks, lists, longLists, assertions, rawRequests]) {
  try {
    await part();
  } catch (error) {
    failures.push(`${part.name} broke off\n${error.stack}`);
  }
}

// `singleBatchCheck` is marked private in the SDK's types: batchCheck calls it.
const methods = Object.getOwnPropertyNames(sdk.OpenFgaClient.prototype)
  .filter((name) => !["constructor", "singleBatchCheck"].includes(name));
expect("methods this driver does not call", methods.filter((name) => !called.has(name)), []);

for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`sdk.mjs: ${held} expectations held, ${failures.length} did not`);
process.exit(failures.length === 0 ? 0 : 1);
