#!/usr/bin/env python3
"""Drives the Python `openfga-sdk` against a running server.

    sdk.py URL

One scenario is run twice, with the asynchronous client and with the synchronous one. At the end each client is asked
for its public methods: one that the scenario did not call is a failure, so a newer SDK cannot grow past this file
unseen. The stores are this run's own, so runs may share a server. Exit code 0: every expectation held; 1: the ones
that did not are printed.
"""

import asyncio
import faulthandler
import inspect
import os
import sys
import traceback
from datetime import datetime

import openfga_sdk
from openfga_sdk import exceptions, sync
from openfga_sdk.client import models as m
from openfga_sdk.credentials import CredentialConfiguration, Credentials

from expectations import RUN, UNKNOWN_ID, expect, expect_that, failures, report


class Client:
    """Either client behind one face: every method is awaited, a stream comes back as a list. Notes what was called."""

    def __init__(self, kind, url, called, opened, **settings):
        self.kind, self.url, self.called, self.opened = kind, url, called, opened
        opened.append(self)
        key = os.environ.get("STONETOWN_KEY")
        if key:
            settings["credentials"] = Credentials("api_token", CredentialConfiguration(api_token=key))
        self.inner = kind(openfga_sdk.ClientConfiguration(api_url=url, **settings))

    def beside(self, **settings):
        """Another client of the same kind, for another store or model."""
        return Client(self.kind, self.url, self.called, self.opened, **settings)

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        async def call(*arguments, **named):
            self.called.add(name)
            result = method(*arguments, **named)
            if inspect.isasyncgen(result):
                return [item async for item in result]
            if inspect.isgenerator(result):
                return list(result)
            return await result if inspect.isawaitable(result) else result

        return call

    async def refuses(self, what, error, code, method, /, *arguments, **named):
        """The call raises that exception class, with that code from the server."""
        try:
            result = await getattr(self, method)(*arguments, **named)
        except exceptions.OpenApiException as raised:
            expect(f"{what}: the exception", (type(raised), getattr(raised, "code", None)), (error, code))
            return raised
        failures.append(f"{what}\n    wanted {error.__name__} {code}\n    got    {result!r}")


def key(user, relation, obj):
    return m.ClientTuple(user=user, relation=relation, object=obj)


def triple(k):
    return (k.user, k.relation, k.object)


def triples(keys):
    return sorted(map(triple, keys))


def check(user, relation, obj, **more):
    return m.ClientCheckRequest(user=user, relation=relation, object=obj, **more)


# --- the model -----------------------------------------------------------------------------------------------


def model():
    """The model of model.fga, built from the SDK's own types."""
    s = openfga_sdk
    this = s.Userset(this={})
    computed = lambda relation: s.Userset(computed_userset=s.ObjectRelation(relation=relation))
    reference = s.RelationReference
    user, member = reference(type="user"), reference(type="group", relation="member")
    direct = lambda **relations: s.Metadata(
        relations={n: s.RelationMetadata(directly_related_user_types=r) for n, r in relations.items()}
    )
    inherited = s.Userset(tuple_to_userset=s.TupleToUserset(
        tupleset=s.ObjectRelation(relation="parent"), computed_userset=s.ObjectRelation(relation="viewer")))
    return s.WriteAuthorizationModelRequest(schema_version="1.1", type_definitions=[
        s.TypeDefinition(type="user"),
        s.TypeDefinition(type="group", relations={"member": this}, metadata=direct(member=[user, member])),
        s.TypeDefinition(type="folder", relations={"viewer": this}, metadata=direct(viewer=[user])),
        s.TypeDefinition(
            type="doc",
            relations={
                "parent": this, "editor": this, "blocked": this,
                "viewer": s.Userset(union=s.Usersets(child=[this, computed("editor"), inherited])),
                "allowed": s.Userset(difference=s.Difference(base=computed("viewer"), subtract=computed("blocked"))),
                "both": s.Userset(intersection=s.Usersets(child=[computed("editor"), computed("viewer")])),
            },
            metadata=direct(
                parent=[reference(type="folder")], editor=[user], blocked=[user],
                viewer=[user, reference(type="user", wildcard={}), member],
            ),
        ),
    ])


TUPLES = [
    key("user:anne", "viewer", "doc:plan"),
    key("group:staff#member", "viewer", "doc:memo"),
    key("user:bob", "member", "group:staff"),
    key("group:night#member", "member", "group:staff"),
    key("user:carl", "member", "group:night"),
    key("folder:files", "parent", "doc:memo"),
    key("user:dora", "viewer", "folder:files"),
    key("user:*", "viewer", "doc:notice"),
    key("user:eve", "blocked", "doc:notice"),
]


# --- the scenario --------------------------------------------------------------------------------------------


async def new_store(client, label):
    made = await client.create_store(openfga_sdk.CreateStoreRequest(name=f"py {label} {RUN}"))
    return client.beside(store_id=made.id), made


async def stores(client):
    label = f"stores {client.kind.__module__.split('.')[1]}"  # the two runs share RUN, and look stores up by name
    mine, made = await new_store(client, label)
    expect("create_store: the name", made.name, f"py {label} {RUN}")
    expect("create_store: times", (type(made.created_at), type(made.updated_at)), (datetime, datetime))
    got = await mine.get_store()
    expect("get_store", (got.id, got.name, got.created_at), (made.id, made.name, made.created_at))
    expect("get_store: not deleted", got.deleted_at, None)
    expect("get_store_id", await mine.get_store_id(), made.id)

    twins = [made.id] + [(await new_store(client, label))[1].id for _ in range(2)]
    listed = await client.list_stores({"name": made.name})
    expect("list_stores by name", [s.id for s in listed.stores], sorted(twins))
    expect("list_stores: the last page", listed.continuation_token, "")
    seen, token = [], ""
    for _ in range(3):
        page = await client.list_stores({"name": made.name, "page_size": 1, "continuation_token": token})
        expect("list_stores: a page of one", len(page.stores), 1)
        seen += [s.id for s in page.stores]
        token = page.continuation_token
    expect("list_stores, page by page", seen, sorted(twins))
    expect_that("list_stores without a name", len((await client.list_stores({"page_size": 2})).stores) == 2)

    await mine.set_store_id(twins[1])
    expect("set_store_id", (await mine.get_store()).id, twins[1])
    await mine.delete_store()
    not_found = exceptions.NotFoundException
    gone = await mine.refuses("get_store, deleted", not_found, "store_id_not_found", "get_store")
    if gone:
        expect("the error's status and text", (gone.status, gone.error_message), (404, "Store ID not found"))
        expect("the error's kind", (gone.is_not_found_error(), gone.is_client_error()), (True, True))
    await mine.delete_store()  # again: no error
    expect("list_stores, one deleted", len((await client.list_stores({"name": made.name})).stores), 2)
    unknown = client.beside(store_id=UNKNOWN_ID)
    await unknown.refuses("get_store, unknown", not_found, "store_id_not_found", "get_store")
    bad_name = openfga_sdk.CreateStoreRequest(name="a<b>")
    await client.refuses("create_store, bad name", exceptions.ValidationException, "validation_error",
                         "create_store", bad_name)


async def authorization_models(client):
    mine, _ = await new_store(client, "models")
    empty = await mine.read_authorization_models()
    expect("read_authorization_models, none", (empty.authorization_models, empty.continuation_token), ([], ""))
    ids = [(await mine.write_authorization_model(model())).authorization_model_id for _ in range(3)]
    expect("model ids grow", ids, sorted(set(ids)))
    listed = await mine.read_authorization_models()
    expect("read_authorization_models", [x.id for x in listed.authorization_models], ids[::-1])
    seen, token = [], ""
    for _ in range(2):
        page = await mine.read_authorization_models({"page_size": 2, "continuation_token": token})
        seen += [x.id for x in page.authorization_models]
        token = page.continuation_token
    expect("read_authorization_models: the last page", token, "")
    expect("read_authorization_models, page by page", seen, ids[::-1])
    latest = (await mine.read_latest_authorization_model()).authorization_model
    expect("read_latest_authorization_model", latest.id, ids[2])

    got = (await mine.read_authorization_model({"authorization_model_id": ids[0]})).authorization_model
    expect("read_authorization_model", (got.id, got.schema_version), (ids[0], "1.1"))
    expect("read_authorization_model: types", [t.type for t in got.type_definitions],
           ["user", "group", "folder", "doc"])
    doc = got.type_definitions[3]
    viewer = doc.relations["viewer"].union.child
    expect("read_authorization_model: a union", (viewer[1].computed_userset.relation,
           viewer[2].tuple_to_userset.tupleset.relation), ("editor", "parent"))
    subtract = doc.relations["allowed"].difference.subtract
    expect("read_authorization_model: a difference", subtract.computed_userset.relation, "blocked")
    kinds = doc.metadata.relations["viewer"].directly_related_user_types
    expect("read_authorization_model: the restrictions", [(k.type, k.relation, k.wildcard is not None) for k in kinds],
           [("user", None, False), ("user", None, True), ("group", "member", False)])

    await mine.set_authorization_model_id(ids[1])
    expect("get_authorization_model_id", await mine.get_authorization_model_id(), ids[1])
    expect("the client's own model", (await mine.read_authorization_model()).authorization_model.id, ids[1])
    validation = exceptions.ValidationException
    await mine.refuses("read_authorization_model, unknown", validation, "authorization_model_not_found",
                       "read_authorization_model", {"authorization_model_id": UNKNOWN_ID})
    wrong = openfga_sdk.WriteAuthorizationModelRequest(schema_version="1.1", type_definitions=[
        openfga_sdk.TypeDefinition(type="user"), openfga_sdk.TypeDefinition(type="user")])
    refused = await mine.refuses("write_authorization_model, a type twice", validation, "invalid_authorization_model",
                                 "write_authorization_model", wrong)
    if refused:
        expect("the error's text", refused.error_message, "an authorization model cannot contain duplicate types")
        expect("the error's kind", (refused.is_validation_error(), refused.is_retryable()), (True, False))
    none = openfga_sdk.WriteAuthorizationModelRequest(schema_version="1.1", type_definitions=[])
    await mine.refuses("write_authorization_model, no types", validation, "type_definitions_too_few_items",
                       "write_authorization_model", none)


async def writes(client):
    mine, _ = await new_store(client, "writes")
    validation = exceptions.ValidationException
    one = key("user:anne", "viewer", "doc:plan")
    await mine.refuses("write before there is a model", validation, "latest_authorization_model_not_found", "write",
                       m.ClientWriteRequest(writes=[one]))
    model_id = (await mine.write_authorization_model(model())).authorization_model_id

    async def stored():
        return triples(t.key for t in (await mine.read(openfga_sdk.ReadRequestTupleKey())).tuples)

    done = await mine.write(m.ClientWriteRequest(writes=TUPLES), {"authorization_model_id": model_id})
    expect("write, one transaction", [(w.success, w.error) for w in done.writes], [(True, None)] * len(TUPLES))
    expect("write: what is stored", await stored(), triples(TUPLES))
    new = key("user:zoe", "editor", "doc:plan")
    done = await mine.write(m.ClientWriteRequest(writes=[new], deletes=[one]))
    expect("write and delete in one", [w.success for w in done.writes + done.deletes], [True, True])
    expect("write and delete: what is stored", await stored(), triples([new, *TUPLES[1:]]))

    # A transaction is all or nothing.
    two = [one, new]
    failed = "write_failed_due_to_invalid_input"
    await mine.refuses("write, one is there", validation, failed, "write", m.ClientWriteRequest(writes=two))
    await mine.refuses("delete, one is not there", validation, failed, "write", m.ClientWriteRequest(deletes=two))
    expect("after two refusals", await stored(), triples([new, *TUPLES[1:]]))
    again = "cannot_allow_duplicate_tuples_in_one_request"
    await mine.refuses("write, twice the same", validation, again, "write", m.ClientWriteRequest(writes=[one, one]))
    many = [key(f"user:u{i:03}", "viewer", "doc:many") for i in range(101)]
    await mine.refuses("write, 101", validation, "exceeded_entity_limit", "write_tuples", many)
    await mine.refuses("write, unknown model", validation, "authorization_model_not_found", "write",
                       m.ClientWriteRequest(writes=[one]), {"authorization_model_id": UNKNOWN_ID})
    for bad in (key("user:anne", "nothing", "doc:plan"), key("user:anne", "viewer", "nothing:plan"),
                key("folder:files", "viewer", "doc:plan"), key("anne", "viewer", "doc:plan")):
        await mine.refuses(f"write {triple(bad)}", validation, "validation_error", "write_tuples", [bad])

    conflict = m.ConflictOptions(
        on_duplicate_writes=m.ClientWriteRequestOnDuplicateWrites.IGNORE,
        on_missing_deletes=m.ClientWriteRequestOnMissingDeletes.IGNORE,
    )
    await mine.write(m.ClientWriteRequest(writes=[new], deletes=[one]), {"conflict": conflict})
    expect("write, conflicts ignored", await stored(), triples([new, *TUPLES[1:]]))
    await mine.write_tuples([one, new], {"conflict": conflict})
    expect("write_tuples, duplicates ignored", await stored(), triples([new, *TUPLES]))
    await mine.delete_tuples([one, new, key("user:no", "viewer", "doc:plan")], {"conflict": conflict})
    expect("delete_tuples, missing ignored", await stored(), triples(TUPLES[1:]))
    strict = m.ConflictOptions(on_duplicate_writes=m.ClientWriteRequestOnDuplicateWrites.ERROR)
    await mine.refuses("write_tuples, duplicates are errors", validation, failed, "write_tuples", TUPLES[1:2],
                       {"conflict": strict})
    await mine.write_tuples([one])
    await mine.delete_tuples([one])
    expect("write_tuples and delete_tuples", await stored(), triples(TUPLES[1:]))

    # Without a transaction every chunk stands alone.
    def chunks(size):
        return {"transaction": m.WriteTransactionOpts(disabled=True, max_per_chunk=size, max_parallel_requests=4)}

    done = await mine.write_tuples(many[:60], chunks(7))
    expect("write_tuples in chunks", [w.success for w in done.writes], [True] * 60)
    done = await mine.write(m.ClientWriteRequest(writes=many[59:62], deletes=many[:2]), chunks(1))
    expect("write in chunks: one is there", sorted((w.tuple_key.user, w.success) for w in done.writes),
           [("user:u059", False), ("user:u060", True), ("user:u061", True)])
    error = next(w.error for w in done.writes if not w.success)
    expect("write in chunks: its error", (type(error), error.code), (validation, failed))
    expect("write in chunks: the deletes", [d.success for d in done.deletes], [True, True])
    done = await mine.delete_tuples(many[2:62], chunks(20))
    expect("delete_tuples in chunks", [d.success for d in done.deletes], [True] * 60)
    expect("in the end", await stored(), triples(TUPLES[1:]))


async def reads(client):
    mine, _ = await new_store(client, "reads")
    await mine.write_authorization_model(model())
    await mine.write_tuples(TUPLES)
    wanted = openfga_sdk.ReadRequestTupleKey

    async def read(**fields):
        return triples(t.key for t in (await mine.read(wanted(**fields))).tuples)

    expect("read an object", await read(object="doc:memo"), triples([TUPLES[1], TUPLES[5]]))
    expect("read an object's relation", await read(object="doc:memo", relation="viewer"), triples([TUPLES[1]]))
    expect("read a user's type", await read(object="doc:", user="user:eve"), triples([TUPLES[8]]))
    expect("read a userset", await read(object="group:staff", user="group:night#member"), triples([TUPLES[3]]))
    expect("read the public", await read(object="doc:notice", relation="viewer", user="user:*"), triples([TUPLES[7]]))
    expect("read nothing", await read(object="doc:none"), [])
    everything = await mine.read(wanted(), {"consistency": openfga_sdk.ConsistencyPreference.HIGHER_CONSISTENCY})
    expect("read everything", triples(t.key for t in everything.tuples), triples(TUPLES))
    expect("read: the last page", everything.continuation_token, "")
    expect("read: a time", type(everything.tuples[0].timestamp), datetime)
    expect("read: no condition", everything.tuples[0].key.condition, None)
    seen, token = [], None
    for _ in range(3):
        page = await mine.read(wanted(), {"page_size": 4, "continuation_token": token})
        seen += [t.key for t in page.tuples]
        token = page.continuation_token
    expect("read, page by page", (triples(seen), token), (triples(TUPLES), ""))
    validation = exceptions.ValidationException
    await mine.refuses("read, a user alone", validation, "validation_error", "read", wanted(user="user:anne"))
    await mine.refuses("read, a page too large", validation, "page_size_invalid", "read", wanted(), {"page_size": 101})
    await mine.refuses("read, a false token", validation, "invalid_continuation_token", "read", wanted(),
                       {"continuation_token": "abcd"})

    # Changes, with the delete of a tuple after them.
    await mine.delete_tuples([TUPLES[0]])
    changes, token = [], ""
    for _ in range(3):
        page = await mine.read_changes(m.ClientReadChangesRequest(None), {"page_size": 4, "continuation_token": token})
        changes += page.changes
        token = page.continuation_token
    idle = await mine.read_changes(m.ClientReadChangesRequest(None), {"continuation_token": token})
    expect("read_changes, none new: the same token", (idle.changes, idle.continuation_token), ([], token))
    expect("read_changes", sorted(triple(c.tuple_key) for c in changes[:-1]), triples(TUPLES))
    last = changes[-1]
    expect("read_changes: the delete", (triple(last.tuple_key), str(last.operation).split(".")[-1]),
           (triple(TUPLES[0]), "TUPLE_OPERATION_DELETE"))
    times = [c.timestamp for c in changes]
    expect("read_changes: oldest first", times, sorted(times))
    folders = await mine.read_changes(m.ClientReadChangesRequest(type="folder"))
    expect("read_changes of a type", [triple(c.tuple_key) for c in folders.changes], triples([TUPLES[6]]))
    since = m.ClientReadChangesRequest(None, start_time="2020-01-01T00:00:00Z")
    expect("read_changes since", len((await mine.read_changes(since)).changes), 10)
    await mine.write_tuples([TUPLES[0]])
    news = (await mine.read_changes(m.ClientReadChangesRequest(None), {"continuation_token": token})).changes
    expect("read_changes from a kept token", [triple(c.tuple_key) for c in news], triples([TUPLES[0]]))
    mismatch = "query_string_type_continuation_token_mismatch"
    await mine.refuses("read_changes, another type's token", validation, mismatch, "read_changes",
                       m.ClientReadChangesRequest(type="doc"), {"continuation_token": folders.continuation_token})
    await mine.refuses("read_changes, from the future", validation, "validation_error", "read_changes",
                       m.ClientReadChangesRequest(None, start_time="2200-01-01T00:00:00Z"))


async def checks(client):
    mine, _ = await new_store(client, "checks")
    model_id = (await mine.write_authorization_model(model())).authorization_model_id
    await mine.write_tuples(TUPLES)
    validation = exceptions.ValidationException
    cases = [
        ("user:anne", "viewer", "doc:plan", True), ("user:anne", "editor", "doc:plan", False),
        ("user:carl", "viewer", "doc:memo", True), ("user:dora", "viewer", "doc:memo", True),
        ("group:night#member", "viewer", "doc:memo", True), ("user:eve", "viewer", "doc:notice", True),
        ("user:eve", "allowed", "doc:notice", False), ("user:fred", "allowed", "doc:notice", True),
        ("user:fred", "both", "doc:notice", False),
    ]
    for user, relation, obj, allowed in cases:
        expect(f"check {user} {relation} {obj}", (await mine.check(check(user, relation, obj))).allowed, allowed)
    contextual = [key("user:zoe", "viewer", "folder:zoes"), key("folder:zoes", "parent", "doc:plan")]
    ask = check("user:zoe", "viewer", "doc:plan", contextual_tuples=contextual, context={"unused": 1})
    for consistency in ("HIGHER_CONSISTENCY", "MINIMIZE_LATENCY", "UNSPECIFIED"):
        options = {"consistency": consistency, "authorization_model_id": model_id, "headers": {"X-Stonetown": "test"}}
        expect(f"check, contextual, {consistency}", (await mine.check(ask, options)).allowed, True)
    expect("check: contextual tuples leave nothing", (await mine.check(check(*triple(ask)))).allowed, False)
    await mine.refuses("check, unknown model", validation, "authorization_model_not_found", "check", ask,
                       {"authorization_model_id": UNKNOWN_ID})
    await mine.refuses("check, unknown type", validation, "validation_error", "check",
                       check("user:anne", "viewer", "nothing:plan"))
    await mine.refuses("check, unknown relation", validation, "validation_error", "check",
                       check("user:anne", "nothing", "doc:plan"))
    await mine.refuses("check, no user type", validation, "validation_error", "check",
                       check("anne", "viewer", "doc:plan"))
    bad = [key("user:anne", "nothing", "doc:plan")]
    await mine.refuses("check, a bad contextual tuple", validation, "invalid_tuple", "check",
                       check("user:anne", "viewer", "doc:plan", contextual_tuples=bad))

    # An older model goes on answering under its id.
    small = openfga_sdk.WriteAuthorizationModelRequest(
        schema_version="1.1", type_definitions=[openfga_sdk.TypeDefinition(type="user")])
    await mine.write_authorization_model(small)
    anne = check("user:anne", "viewer", "doc:plan")
    await mine.refuses("check, the latest model has no such type", validation, "validation_error", "check", anne)
    expect("check, a model by call", (await mine.check(anne, {"authorization_model_id": model_id})).allowed, True)
    await mine.set_authorization_model_id(model_id)
    expect("check, a model by client", (await mine.check(anne)).allowed, True)

    several = [check(u, r, o) for u, r, o, _ in cases] + [ask, check("user:anne", "nothing", "doc:plan")]
    answers = await mine.client_batch_check(several, {"max_parallel_requests": 3, "consistency": "HIGHER_CONSISTENCY"})
    by_request = {triple(a.request): a for a in answers}
    for user, relation, obj, allowed in cases:
        expect(f"client_batch_check {user} {relation} {obj}", by_request[user, relation, obj].allowed, allowed)
    expect("client_batch_check, contextual", by_request[triple(ask)].allowed, True)
    wrong = by_request["user:anne", "nothing", "doc:plan"]
    expect("client_batch_check, an error", (type(wrong.error), wrong.error.code), (validation, "validation_error"))

    # 60 checks: more than one request to the server's own batch check.
    item = m.ClientBatchCheckItem
    items = [item(user=u, relation=r, object=o, correlation_id=f"case-{n}") for n, (u, r, o, _) in enumerate(cases)]
    items.append(item(*triple(ask), correlation_id="contextual", contextual_tuples=contextual, context={"unused": 1}))
    items.append(item(user="user:anne", relation="nothing", object="doc:plan", correlation_id="wrong"))
    items += [item(user=f"user:u{n}", relation="viewer", object="doc:plan") for n in range(60 - len(items))]
    options = {"max_parallel_requests": 2, "consistency": "MINIMIZE_LATENCY", "authorization_model_id": model_id}
    answers = (await mine.batch_check(m.ClientBatchCheckRequest(checks=items), options)).result
    by_id = {a.correlation_id: a for a in answers}
    expect("batch_check: every answer", (len(answers), len(by_id)), (60, 60))
    for n, (user, relation, obj, allowed) in enumerate(cases):
        expect(f"batch_check {user} {relation} {obj}", by_id[f"case-{n}"].allowed, allowed)
    expect("batch_check, contextual", by_id["contextual"].allowed, True)
    wrong = by_id["wrong"]
    expect("batch_check, an error in one", (bool(wrong.allowed), str(wrong.error.input_error).split(".")[-1]),
           (False, "validation_error"))
    expect("batch_check, the error's text", wrong.error.message, "invalid relation: relation 'doc#nothing' not found")
    expect("batch_check, the rest", {a.allowed for a in answers if a.request.user.startswith("user:u")}, {False})
    await mine.refuses("batch_check, unknown model", validation, "authorization_model_not_found", "batch_check",
                       m.ClientBatchCheckRequest(checks=items[:2]), {"authorization_model_id": UNKNOWN_ID})
    await mine.refuses("batch_check, 51 in one request", validation, "validation_error", "batch_check",
                       m.ClientBatchCheckRequest(checks=items), {"max_batch_size": 60})


async def lists(client):
    mine, _ = await new_store(client, "lists")
    model_id = (await mine.write_authorization_model(model())).authorization_model_id
    await mine.write_tuples(TUPLES)
    validation = exceptions.ValidationException
    options = lambda: {"consistency": "HIGHER_CONSISTENCY", "authorization_model_id": model_id}

    def objects(user, relation, **more):
        return m.ClientListObjectsRequest(user=user, relation=relation, type=more.pop("type", "doc"), **more)

    extra = [key("user:eve", "viewer", "doc:extra")]
    for what, request, wanted in [
        ("through groups", objects("user:carl", "viewer"), ["doc:memo", "doc:notice"]),
        ("none", objects("user:carl", "editor"), []),
        ("but not", objects("user:eve", "allowed"), []),
        ("a userset", objects("group:staff#member", "viewer"), ["doc:memo"]),
        ("contextual", objects("user:eve", "viewer", contextual_tuples=extra, context={"unused": 1}),
         ["doc:extra", "doc:notice"]),
    ]:
        expect(f"list_objects, {what}", sorted((await mine.list_objects(request, options())).objects), wanted)
        streamed = await mine.streamed_list_objects(request, options())
        expect(f"streamed_list_objects, {what}", sorted(o.object for o in streamed), wanted)
    await mine.refuses("list_objects, unknown type", validation, "type_not_found", "list_objects",
                       objects("user:anne", "viewer", type="nothing"))
    await mine.refuses("list_objects, unknown relation", validation, "relation_not_found", "list_objects",
                       objects("user:anne", "nothing"))
    await mine.refuses("list_objects, unknown model", validation, "authorization_model_not_found", "list_objects",
                       objects("user:anne", "viewer"), {"authorization_model_id": UNKNOWN_ID})
    try:
        streamed = await mine.streamed_list_objects(objects("user:anne", "viewer", type="nothing"))
        failures.append(f"streamed_list_objects, unknown type\n    wanted an exception\n    got    {streamed!r}")
    except Exception as raised:
        # The asynchronous client has closed the connection by the time it wants to read the error, and raises that.
        wanted = validation if client.kind is sync.OpenFgaClient else Exception
        expect_that("streamed_list_objects, unknown type", isinstance(raised, wanted), raised)

    def relations(user, obj, names, **more):
        return m.ClientListRelationsRequest(user=user, object=obj, relations=names, **more)

    names = ["viewer", "editor", "allowed", "both", "blocked"]
    expect("list_relations", sorted(await mine.list_relations(relations("user:anne", "doc:plan", names), options())),
           ["allowed", "viewer"])
    with_editor = relations("user:anne", "doc:plan", names, contextual_tuples=[key("user:anne", "editor", "doc:plan")])
    expect("list_relations, contextual", sorted(await mine.list_relations(with_editor)),
           ["allowed", "both", "editor", "viewer"])
    expect("list_relations, none", await mine.list_relations(relations("user:zoe", "doc:plan", names)), [])
    await mine.refuses("list_relations, unknown relation", validation, "validation_error", "list_relations",
                       relations("user:anne", "doc:plan", ["nothing"]))

    def users(obj, relation, wanted, **more):
        kind, id = obj.split(":")
        return m.list_users_request.ClientListUsersRequest(
            object=openfga_sdk.FgaObject(type=kind, id=id), relation=relation,
            user_filters=[openfga_sdk.UserTypeFilter(*wanted)], **more)

    def said(user):
        if user.object:
            return f"{user.object.type}:{user.object.id}"
        if user.userset:
            return f"{user.userset.type}:{user.userset.id}#{user.userset.relation}"
        return f"{user.wildcard.type}:*"

    for what, request, wanted in [
        ("through groups", users("doc:memo", "viewer", ["user"]), ["user:bob", "user:carl", "user:dora"]),
        ("public", users("doc:notice", "allowed", ["user"]), ["user:*"]),
        ("usersets", users("doc:memo", "viewer", ["group", "member"]), ["group:night#member", "group:staff#member"]),
        ("none", users("doc:none", "viewer", ["user"]), []),
        ("contextual", users("doc:plan", "viewer", ["user"], contextual_tuples=[key("user:zoe", "viewer", "doc:plan")],
                             context={"unused": 1}), ["user:anne", "user:zoe"]),
    ]:
        expect(f"list_users, {what}", sorted(map(said, (await mine.list_users(request, options())).users)), wanted)
    await mine.refuses("list_users, unknown type", validation, "type_not_found", "list_users",
                       users("nothing:plan", "viewer", ["user"]))
    two = users("doc:plan", "viewer", ["user"])
    two.user_filters.append(openfga_sdk.UserTypeFilter("group"))
    await mine.refuses("list_users, two filters", validation, "validation_error", "list_users", two)

    root = (await mine.expand(m.ClientExpandRequest(relation="viewer", object="doc:memo"), options())).tree.root
    expect("expand: the root", root.name, "doc:memo#viewer")
    first, second, third = (node.leaf for node in root.union.nodes)
    expect("expand: the users", first.users.users, ["group:staff#member"])
    expect("expand: the computed", second.computed.userset, "doc:memo#editor")
    parents = third.tuple_to_userset
    expect("expand: the parents", (parents.tupleset, [c.userset for c in parents.computed]),
           ("doc:memo#parent", ["folder:files#viewer"]))
    request = m.ClientExpandRequest(relation="member", object="group:night",
                                    contextual_tuples=[key("user:zoe", "member", "group:night")])
    root = (await mine.expand(request)).tree.root
    expect("expand, contextual", root.leaf.users.users, ["user:carl", "user:zoe"])
    root = (await mine.expand(m.ClientExpandRequest(relation="allowed", object="doc:plan"))).tree.root
    sides = [side.leaf.computed.userset for side in (root.difference.base, root.difference.subtract)]
    expect("expand, difference", sides, ["doc:plan#viewer", "doc:plan#blocked"])
    await mine.refuses("expand, unknown relation", validation, "validation_error", "expand",
                       m.ClientExpandRequest(relation="nothing", object="doc:plan"))


async def long_lists(client):
    """A list of objects longer than any page, both ways."""
    mine, _ = await new_store(client, "long lists")
    await mine.write_authorization_model(model())
    names = [f"doc:d{n:04}" for n in range(300)]
    for start in range(0, 300, 100):
        await mine.write_tuples([key("user:anne", "viewer", name) for name in names[start:start + 100]])
    request = m.ClientListObjectsRequest(user="user:anne", relation="viewer", type="doc")
    expect("list_objects, 300", sorted((await mine.list_objects(request)).objects), names)
    streamed = await mine.streamed_list_objects(request)
    expect("streamed_list_objects, 300", sorted(o.object for o in streamed), names)


async def assertions(client):
    mine, _ = await new_store(client, "assertions")
    model_id = (await mine.write_authorization_model(model())).authorization_model_id
    await mine.set_authorization_model_id(model_id)
    none = await mine.read_assertions()
    expect("read_assertions, none", (none.authorization_model_id, none.assertions), (model_id, []))
    claims = [m.ClientAssertion("user:anne", "viewer", "doc:plan", True),
              m.ClientAssertion("user:anne", "editor", "doc:plan", False)]
    said = lambda read: [(*triple(a.tuple_key), a.expectation) for a in read.assertions]
    await mine.write_assertions(claims)
    expect("read_assertions", said(await mine.read_assertions()), [
        ("user:anne", "viewer", "doc:plan", True), ("user:anne", "editor", "doc:plan", False)])
    await mine.write_assertions(claims[1:], {"authorization_model_id": model_id})
    expect("write_assertions replaces", said(await mine.read_assertions({"authorization_model_id": model_id})),
           [("user:anne", "editor", "doc:plan", False)])
    await mine.write_assertions([])
    expect("write_assertions, none", said(await mine.read_assertions()), [])
    validation = exceptions.ValidationException
    await mine.refuses("write_assertions, unknown model", validation, "authorization_model_not_found",
                       "write_assertions", claims, {"authorization_model_id": UNKNOWN_ID})
    await mine.refuses("write_assertions, unknown relation", validation, "validation_error", "write_assertions",
                       [m.ClientAssertion("user:anne", "nothing", "doc:plan", True)])
    await mine.refuses("write_assertions, 101", validation, "assertions_too_many_items", "write_assertions",
                       claims[:1] * 101)


async def raw_requests(client):
    mine, made = await new_store(client, "raw requests")
    model_id = (await mine.write_authorization_model(model())).authorization_model_id
    await mine.write_tuples(TUPLES)
    at = {"path_params": {"store_id": made.id}}
    anne = {"user": "user:anne", "relation": "viewer", "object": "doc:plan"}
    got = await mine.execute_api_request(operation_name="Check", method="POST", path="/stores/{store_id}/check",
                                         body={"tuple_key": anne}, headers={"X-Stonetown": "test"}, **at)
    expect("execute_api_request", (got.status, got.json()), (200, {"allowed": True, "resolution": ""}))
    headers = {k.lower(): v for k, v in got.headers.items()}
    expect("the headers", (headers.get("openfga-store-id"), headers.get("openfga-authorization-model-id")),
           (made.id, model_id))
    expect_that("the request's id", headers.get("x-request-id"), headers)
    got = await mine.execute_api_request(operation_name="Read", method="GET", query_params={"page_size": 1},
                                         path="/stores/{store_id}/authorization-models", **at)
    expect("execute_api_request with a query", [x["id"] for x in got.json()["authorization_models"]], [model_id])
    chunks = await mine.execute_streamed_api_request(
        operation_name="StreamedListObjects", method="POST", path="/stores/{store_id}/streamed-list-objects",
        body={"user": "user:anne", "relation": "viewer", "type": "doc"}, **at)
    expect("execute_streamed_api_request", sorted(c["result"]["object"] for c in chunks), ["doc:notice", "doc:plan"])


PARTS = [stores, authorization_models, writes, reads, checks, lists, long_lists, assertions, raw_requests]


async def drive(kind, url):
    """The whole scenario with one kind of client, then the completeness check."""
    called = set()
    for part in PARTS:
        opened = []
        try:
            await part(Client(kind, url, called, opened))
        except Exception:
            failures.append(f"{part.__name__} broke off\n{traceback.format_exc()}")
        for client in opened:
            await client.close()
    methods = {n for n, method in inspect.getmembers(kind, callable) if not n.startswith("_")}
    expect(f"{kind.__module__}: methods this driver does not call", sorted(methods - called), [])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    url = sys.argv[1].rstrip("/")
    faulthandler.dump_traceback_later(180, exit=True)  # a server that never answers is a failure, not a wait
    for label, kind in (("async", openfga_sdk.OpenFgaClient), ("sync", sync.OpenFgaClient)):
        before = len(failures)
        asyncio.run(drive(kind, url))
        failures[before:] = [f"{label}: {failure}" for failure in failures[before:]]
    report("sdk.py")


if __name__ == "__main__":
    main()
