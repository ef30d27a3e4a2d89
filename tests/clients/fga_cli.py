#!/usr/bin/env python3
"""Drives the `fga` command line tool against a running server.

    fga_cli.py URL [FGA]

FGA is the tool's path; without it the environment variable STONETOWN_FGA, then `fga` on the path. Every command that
speaks to a server is run, and what it prints is read as data. The stores are this run's own, so runs may share a
server. Exit code 0: every expectation held; 1: the ones that did not are printed. Needs only Python 3.10.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from pathlib import Path

from expectations import RUN, UNKNOWN_ID, expect, expect_that, failures, report

HERE = Path(__file__).resolve().parent


class Tool:
    """The fga binary, bound to one server, in a home directory of its own so that no user's settings leak in."""

    def __init__(self, path, url, home):
        self.path, self.url, self.home = path, url, Path(home)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FGA_")} | {"HOME": str(home)}
        if key := os.environ.get("STONETOWN_KEY"):
            self.environment["FGA_API_TOKEN"] = key

    def run(self, *arguments, stdin=""):
        return subprocess.run(
            [self.path, "--api-url", self.url, *map(str, arguments)],
            input=stdin, capture_output=True, text=True, timeout=60, env=self.environment, cwd=self.home,
        )

    def text(self, *arguments, stdin=""):
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"`fga {' '.join(map(str, arguments))}` ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def json(self, *arguments, stdin=""):
        out = self.text(*arguments, stdin=stdin)
        try:
            return json.loads(out)
        except ValueError:
            raise AssertionError(f"`fga {' '.join(map(str, arguments))}` printed no JSON: {out!r}") from None

    def refuses(self, code, *arguments):
        """The command fails, and its message carries the server's error code."""
        done = self.run(*arguments)
        label = f"`fga {' '.join(map(str, arguments))}`"
        expect_that(f"{label} fails", done.returncode != 0, done.stdout)
        expect(f"{label} names its error code", sorted(set(re.findall(r'"code":\s*"(\w+)"', done.stderr))), [code])
        expect_that(f"{label} tells the code apart", f"error code {code}" in done.stderr, done.stderr)

    def file(self, name, content):
        path = self.home / name
        path.write_text(content)
        return path

    def store(self, label, model=True):
        """A fresh store, with the shared model unless told otherwise: its id."""
        arguments = ["--model", HERE / "model.fga"] if model else []
        return self.json("store", "create", "--name", name(label), *arguments)["store"]["id"]


def name(label):
    return f"cli {label} {RUN}"


def key(user, relation, obj):
    return {"user": user, "relation": relation, "object": obj}


def triples(keys):
    return sorted((k["user"], k["relation"], k["object"]) for k in keys)


# --- stores --------------------------------------------------------------------------------------------------


def stores(fga):
    made = fga.json("store", "create", "--name", name("bare"))["store"]
    expect("store create: the name", made["name"], name("bare"))
    expect_that("store create: an id", re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", made["id"]), made["id"])
    expect("store get", fga.json("store", "get", "--store-id", made["id"]), made)

    both = fga.json("store", "create", "--name", name("with model"), "--model", HERE / "model.fga")
    latest = fga.json("model", "get", "--store-id", both["store"]["id"], "--format", "json", "--field", "id")
    expect("store create --model", latest["id"], both["model"]["authorization_model_id"])

    expect("store list --name", fga.json("store", "list", "--name", name("bare"))["stores"], [made])
    expect("store list --name, unknown", fga.json("store", "list", "--name", name("nobody"))["stores"], [])
    listed = fga.json("store", "list", "--custom-headers", "X-Stonetown-Test: yes")
    if listed["continuation_token"] == "":
        expect_that("store list", made in listed["stores"] and both["store"] in listed["stores"], listed)

    fga.text("store", "delete", "--store-id", made["id"], stdin="n\n")
    expect("store delete, not confirmed", fga.json("store", "get", "--store-id", made["id"]), made)
    expect("store delete", fga.json("store", "delete", "--store-id", made["id"], "--force"), {})
    fga.refuses("store_id_not_found", "store", "get", "--store-id", made["id"])
    expect("store list after delete", fga.json("store", "list", "--name", name("bare"))["stores"], [])
    expect("store delete, again", fga.json("store", "delete", "--store-id", made["id"], "--force"), {})
    fga.refuses("store_id_not_found", "store", "get", "--store-id", UNKNOWN_ID)
    fga.refuses("validation_error", "store", "create", "--name", "a<b>")


# --- import, export ------------------------------------------------------------------------------------------


def read_export(text):
    """What an exported store file says, order aside: name, model, tuples, assertions."""
    head, rest = text.split("\ntuples:", 1)
    tuples, tests = rest.split("\ntests:", 1)
    line = r"^\s+(?:- )?{}: (.*)$"
    columns = [re.findall(line.format(column), tuples, re.M) for column in ("user", "relation", "object")]
    assertions, user, obj = [], None, None
    for row in tests.splitlines():
        field, _, value = row.strip().removeprefix("- ").partition(": ")
        if field == "user":
            user = value
        elif field == "object":
            obj = value
        elif value in ("true", "false"):
            assertions.append((user, field, obj, value))
    return {
        "name": re.search("^name: (.*)$", head, re.M).group(1),
        "model": head.split("model:", 1)[1].strip(),
        "tuples": sorted(zip(*columns)),
        "assertions": sorted(assertions),
    }


def imported(fga, label):
    """A store made from store.fga.yaml, under a name of this run's: what the import says of it."""
    fga.file("model.fga", (HERE / "model.fga").read_text())
    store_file = (HERE / "store.fga.yaml").read_text().replace("name: stonetown clients", f"name: {name(label)}")
    return fga.json("store", "import", "--file", fga.file("store.fga.yaml", store_file))


def import_export(fga):
    first = imported(fga, "imported")
    store = first["store"]["id"]
    expect("store import: the name", first["store"]["name"], name("imported"))

    exported = fga.text("store", "export", "--store-id", store)
    said = read_export(exported)
    expect("store export: the name", said["name"], name("imported"))
    expect_that("store export: the model", "define allowed: viewer but not blocked" in said["model"], said["model"])
    expect("store export: the tuples", len(said["tuples"]), 9)
    expect_that("store export: a tuple", ("group:staff#member", "viewer", "doc:memo") in said["tuples"], said["tuples"])
    expect("store export: the assertions", said["assertions"], sorted([
        ("user:anne", "viewer", "doc:plan", "true"), ("user:anne", "editor", "doc:plan", "false"),
        ("user:anne", "allowed", "doc:plan", "true"), ("user:eve", "viewer", "doc:notice", "true"),
        ("user:eve", "allowed", "doc:notice", "false"), ("user:dora", "viewer", "doc:memo", "true"),
        ("group:night#member", "viewer", "doc:memo", "true"), ("user:fred", "both", "doc:plan", "true"),
    ]))

    fga.text("store", "export", "--store-id", store, "--output-file", "exported.fga.yaml")
    expect("store export --output-file", read_export((fga.home / "exported.fga.yaml").read_text()), said)
    for flags in ([], ["--max-tuples-per-write", "5", "--max-parallel-requests", "2"]):
        again = fga.json("store", "import", "--file", "exported.fga.yaml", *flags)["store"]["id"]
        expect_that("store import makes another store", again != store, again)
        round_trip = read_export(fga.text("store", "export", "--store-id", again))
        expect(f"import and export round trip {flags}", round_trip, said)

    # Into a store that is there already: a new model, the tuples that are already there are passed over.
    model = fga.json("store", "import", "--file", "exported.fga.yaml", "--store-id", store)["model"]
    latest = fga.json("model", "get", "--store-id", store, "--format", "json", "--field", "id")
    expect("store import into a store", model["authorization_model_id"], latest["id"])
    after = read_export(fga.text("store", "export", "--store-id", store))
    expect("store import into a store: the content", after, said)
    older = fga.text("store", "export", "--store-id", store, "--model-id", first["model"]["authorization_model_id"])
    expect("store export --model-id", read_export(older), said)
    few = read_export(fga.text("store", "export", "--store-id", store, "--max-tuples", "4"))
    expect("store export --max-tuples", len(few["tuples"]), 4)
    fga.refuses("store_id_not_found", "store", "export", "--store-id", UNKNOWN_ID)


# --- models --------------------------------------------------------------------------------------------------


def plain(model):
    """A model as JSON without the fields that carry nothing, so that what was sent and what came back compare."""
    if isinstance(model, dict):
        kept = {k: plain(v) for k, v in model.items()}
        return {k: v for k, v in kept.items() if k in ("this", "wildcard") or v not in ("", None, {}, [])}
    return [plain(m) for m in model] if isinstance(model, list) else model


def models(fga):
    store = fga.store("models", model=False)
    at = ("--store-id", store)
    expect("model list, none", fga.json("model", "list", *at)["authorization_models"] or [], [])
    sent = json.loads((HERE / "model.json").read_text())

    from_dsl = fga.json("model", "write", *at, "--file", HERE / "model.fga")["authorization_model_id"]
    from_json = fga.json("model", "write", *at, "--file", HERE / "model.json")["authorization_model_id"]
    small = {"schema_version": "1.1", "type_definitions": [{"type": "user"}]}
    inline = fga.json("model", "write", *at, json.dumps(small), "--format", "json")["authorization_model_id"]
    expect_that("model ids grow", from_dsl < from_json < inline, (from_dsl, from_json, inline))

    for label, model_id in (("from .fga", from_dsl), ("from JSON", from_json)):
        got = fga.json("model", "get", *at, "--model-id", model_id, "--format", "json")
        expect(f"model get, {label}", plain(got), plain(sent))
        text = fga.text("model", "get", *at, "--model-id", model_id)
        expect(f"model get as .fga, {label}", text.strip(), (HERE / "model.fga").read_text().strip())
    fields = ("--field", "id", "--field", "created_at", "--field", "model")
    latest = fga.json("model", "get", *at, "--format", "json", *fields)
    expect("model get: the latest", latest["id"], inline)
    expect("model get: the latest's types", [t["type"] for t in latest["type_definitions"]], ["user"])
    expect_that("model get: a time from the id", latest["created_at"] > "2020", latest["created_at"])

    listed = fga.json("model", "list", *at, *fields)
    found = listed["authorization_models"]
    expect("model list: newest first", [m["id"] for m in found], [inline, from_json, from_dsl])
    expect("model list: the model", plain(found[2]["type_definitions"]), plain(sent["type_definitions"]))

    expect("model validate", fga.json("model", "validate", "--file", HERE / "model.fga")["is_valid"], True)
    expect("model validate, JSON", fga.json("model", "validate", "--file", HERE / "model.json")["is_valid"], True)
    # What the tool itself finds wrong, the server refuses too.
    broken = fga.file("broken.fga", "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define a: b\n")
    judged = fga.run("model", "validate", "--file", broken)
    expect("model validate, broken", json.loads(judged.stdout)["is_valid"], False)
    expect_that("model validate, broken: exit code", judged.returncode != 0, judged.returncode)
    fga.refuses("invalid_authorization_model", "model", "write", *at, "--file", broken)
    no_types = '{"schema_version":"1.1","type_definitions":[]}'
    fga.refuses("type_definitions_too_few_items", "model", "write", *at, no_types, "--format", "json")
    fga.refuses("authorization_model_not_found", "model", "get", *at, "--model-id", UNKNOWN_ID)


def modules(fga):
    """Modular models: what the tool makes of an fga.mod is what we make of it, and a server keeps."""
    office = HERE.parent / "schema/modules/office"
    merged = fga.json("model", "transform", "--file", office / "fga.mod")
    expect("model transform, modular", plain(merged), plain(json.loads(office.with_suffix(".json").read_text())))
    shown = fga.text("model", "transform", "--file", office / "fga.mod", "--output-format", "fga")
    expect("model transform, modular, as .fga", shown.strip(), office.with_suffix(".shown.fga").read_text().strip())

    boards = HERE.parent / "cli/modules.in/fga.mod"
    at = ("--store-id", fga.store("modules", model=False))
    fga.json("model", "write", *at, "--file", boards)
    got = fga.json("model", "get", *at, "--format", "json")
    expect("model get, modular", plain(got), plain(fga.json("model", "transform", "--file", boards)))
    text = fga.text("model", "get", *at)
    expect_that("model get, modular: the comments", "# extended by: module: board, file: teams/board.fga" in text, text)


def model_test(fga):
    store = fga.store("model test")
    tests = HERE / "store.fga.yaml"
    said = fga.text("model", "test", "--tests", tests, "--store-id", store, "--verbose", "--suppress-summary")
    results = [(kind, one["test_result"]) for test in json.loads(said)
               for kind in ("check_results", "list_objects_results", "list_users_results") for one in test[kind]]
    expect("model test: every result", results, [(kind, True) for kind, _ in results])
    expect("model test: how many", len(results), 13)
    done = fga.run("model", "test", "--tests", tests, "--store-id", store)
    summary = done.stdout + done.stderr
    expect_that("model test: the summary", done.returncode == 0 and "Checks 8/8 passing" in summary, summary)

    fga.file("model.fga", (HERE / "model.fga").read_text())
    wrong = fga.file("wrong.fga.yaml", tests.read_text().replace("both: true", "both: false"))
    done = fga.run("model", "test", "--tests", wrong, "--store-id", store)
    summary = done.stdout + done.stderr
    expect_that("model test, a wrong one: exit code", done.returncode != 0, done.returncode)
    expect_that("model test, a wrong one: the summary", "Checks 7/8 passing" in summary, summary)


# --- tuples --------------------------------------------------------------------------------------------------

JSON_KEYS = [key("user:json", "viewer", "doc:a"), key("group:staff#member", "viewer", "doc:b")]
YAML_KEYS = [key("user:yaml", "member", "group:staff"), key("folder:files", "parent", "doc:c")]
CSV_KEYS = [key("user:csv", "viewer", "folder:files"), key("group:night#member", "member", "group:staff"),
            key("user:*", "viewer", "doc:d")]


def tuple_files(fga):
    rows = ["user_type,user_id,user_relation,relation,object_type,object_id",
            "user,csv,,viewer,folder,files", "group,night,member,member,group,staff", "user,*,,viewer,doc,d"]
    yaml = "".join(f"- user: {k['user']}\n  relation: {k['relation']}\n  object: {k['object']}\n" for k in YAML_KEYS)
    return [
        (fga.file("tuples.json", json.dumps(JSON_KEYS)), JSON_KEYS),
        (fga.file("tuples.yaml", yaml), YAML_KEYS),
        (fga.file("tuples.csv", "\n".join(rows) + "\n"), CSV_KEYS),
    ]


def tuples(fga):
    store = fga.store("tuples")
    at = ("--store-id", store)
    read = lambda *flags: [t["key"] for t in fga.json("tuple", "read", *at, *flags)["tuples"]]
    anne = ("user:anne", "viewer", "doc:plan")

    expect("tuple read, none", read(), [])
    expect("tuple write", fga.json("tuple", "write", *at, *anne), {"successful": [key(*anne)]})
    expect("tuple read", read(), [key(*anne)])
    fga.refuses("write_failed_due_to_invalid_input", "tuple", "write", *at, *anne)
    ignored = fga.json("tuple", "write", *at, *anne, "--on-duplicate", "ignore")
    expect("tuple write --on-duplicate ignore", ignored, {"successful": [key(*anne)]})
    expect("tuple write, nothing changed", len(read()), 1)

    fga.refuses("validation_error", "tuple", "write", *at, "user:anne", "viewer", "nothing:plan")
    fga.refuses("validation_error", "tuple", "write", *at, "user:anne", "nothing", "doc:plan")
    fga.refuses("validation_error", "tuple", "write", *at, "folder:files", "viewer", "doc:plan")
    fga.refuses("validation_error", "tuple", "write", *at, "anne", "viewer", "doc:plan")
    fga.refuses("authorization_model_not_found", "tuple", "write", *at, *anne, "--model-id", UNKNOWN_ID)
    fga.refuses("latest_authorization_model_not_found", "tuple", "write", "--store-id", UNKNOWN_ID, *anne)

    files = tuple_files(fga)
    for path, keys in files:
        done = fga.json("tuple", "write", *at, "--file", path)
        expect(f"tuple write --file {path.name}", triples(done["successful"]), triples(keys))
        expect(f"tuple write --file {path.name}: none failed", done["failed_count"], 0)
    everything = triples([key(*anne), *JSON_KEYS, *YAML_KEYS, *CSV_KEYS])
    expect("tuple read, after the files", triples(read()), everything)
    again = fga.json("tuple", "write", *at, "--file", files[2][0])
    expect("tuple write --file, a second time", (again["successful_count"], again["failed_count"]), (3, 0))
    strict = fga.json("tuple", "write", *at, "--file", files[2][0], "--on-duplicate", "error",
                      "--max-tuples-per-write", "10")
    expect("tuple write --file --on-duplicate error", (strict["successful_count"], strict["failed_count"]), (0, 3))
    reasons = [f["reason"] for f in strict["failed"]]
    expect_that("tuple write --file: the reason", all("already exists" in r for r in reasons), reasons)

    expect("tuple read --object", triples(read("--object", "doc:a")), triples(JSON_KEYS[:1]))
    expect("tuple read --object type: --user", read("--object", "doc:", "--user", "user:anne"), [key(*anne)])
    expect("tuple read, all three", read("--user", "user:*", "--relation", "viewer", "--object", "doc:d",
                                         "--consistency", "HIGHER_CONSISTENCY"), [CSV_KEYS[2]])
    expect("tuple read, no match", read("--object", "doc:plan", "--relation", "editor"), [])
    simple = fga.json("tuple", "read", *at, "--output-format", "simple-json")
    expect("tuple read --output-format simple-json", triples(simple), everything)
    csv = fga.text("tuple", "read", *at, "--object", "doc:a", "--output-format", "csv").splitlines()
    expect("tuple read --output-format csv", csv[1:], ["user,json,,viewer,doc,a,,"])
    yaml = fga.text("tuple", "read", *at, "--object", "doc:a", "--output-format", "yaml")
    expect_that("tuple read --output-format yaml", "user: user:json" in yaml, yaml)
    fga.refuses("validation_error", "tuple", "read", *at, "--user", "user:anne")

    expect("tuple delete", fga.json("tuple", "delete", *at, *anne), {})
    fga.refuses("write_failed_due_to_invalid_input", "tuple", "delete", *at, *anne)
    fga.json("tuple", "delete", *at, *anne, "--on-missing", "ignore")
    for path, keys in files:
        done = fga.json("tuple", "delete", *at, "--file", path)
        expect(f"tuple delete --file {path.name}", triples(done["successful"]), triples(keys))
    strict = fga.json("tuple", "delete", *at, "--file", files[0][0], "--on-missing", "error")
    expect("tuple delete --file --on-missing error", (strict["successful_count"], strict["failed_count"]), (0, 2))
    expect("tuple read, all deleted", read(), [])


def pages(fga):
    """More than a page (50) of tuples and of changes."""
    store = fga.store("pages")
    at = ("--store-id", store)
    header = "user_type,user_id,user_relation,relation,object_type,object_id\n"
    many = fga.file("many.csv", header + "".join(f"user,u{i:03},,viewer,doc,many\n" for i in range(120)))
    done = fga.json("tuple", "write", *at, "--file", many, "--max-tuples-per-write", "40", "--hide-imported-tuples")
    expect("tuple write, 120 in threes", (done["successful_count"], done["failed_count"]), (120, 0))
    wanted = [f"user:u{i:03}" for i in range(120)]
    users = lambda found: sorted(t["key"]["user"] for t in found["tuples"])
    expect("tuple read, 120", users(fga.json("tuple", "read", *at)), wanted)
    sevens = fga.json("tuple", "read", *at, "--page-size", "7", "--max-pages", "0")
    expect("tuple read, every page", users(sevens), wanted)
    four = fga.json("tuple", "read", *at, "--page-size", "2", "--max-pages", "2")
    expect("tuple read, two pages of two", len(set(users(four))), 4)

    changes = fga.json("tuple", "changes", *at)
    expect("tuple changes, 120", sorted(c["tuple_key"]["user"] for c in changes["changes"]), wanted)
    expect("tuple changes: the operation", {c["operation"] for c in changes["changes"]}, {"TUPLE_OPERATION_WRITE"})
    token = changes["continuation_token"]
    expect_that("tuple changes: a token to go on with", token, token)
    idle = fga.json("tuple", "changes", *at, "--continuation-token", token)
    expect("tuple changes, none new", (idle["changes"], idle["continuation_token"]), ([], token))
    fga.json("tuple", "delete", *at, "user:u000", "viewer", "doc:many")
    fga.json("tuple", "write", *at, "user:new", "viewer", "folder:files")
    news = fga.json("tuple", "changes", *at, "--continuation-token", token)["changes"]
    expect("tuple changes, from the token", [(c["operation"], c["tuple_key"]) for c in news],
           [("TUPLE_OPERATION_DELETE", key("user:u000", "viewer", "doc:many")),
            ("TUPLE_OPERATION_WRITE", key("user:new", "viewer", "folder:files"))])
    first = fga.json("tuple", "changes", *at, "--max-pages", "1")
    expect("tuple changes --max-pages 1", len(first["changes"]), 50)
    folders = fga.json("tuple", "changes", *at, "--type", "folder")
    expect("tuple changes --type", [c["tuple_key"]["user"] for c in folders["changes"]], ["user:new"])
    since = fga.json("tuple", "changes", *at, "--start-time", "2020-01-01T00:00:00Z")
    expect("tuple changes --start-time", len(since["changes"]), 122)
    fga.refuses("validation_error", "tuple", "changes", *at, "--start-time", "2200-01-01T00:00:00Z")
    fga.refuses("query_string_type_continuation_token_mismatch", "tuple", "changes", *at, "--type", "doc",
                "--continuation-token", folders["continuation_token"])
    fga.refuses("invalid_continuation_token", "tuple", "changes", *at, "--continuation-token", "abcd")


def mapping(fga):
    store = fga.store("mapping")
    fga.file("mapping.yaml", """version: "1"
rules:
  - name: member
    tuples:
      - { user: "user:{{ input.id }}", relation: member, object: "group:{{ input.team }}" }
""")
    fga.file("people.jsonl", '{"id":"anne","team":"staff"}\n{"id":"bob","team":"night"}\n')
    arguments = ("mapping", "sync", "mapping.yaml", "--store-id", store, "--input", "people.jsonl", "--quiet")
    read = lambda: triples(t["key"] for t in fga.json("tuple", "read", "--store-id", store)["tuples"])
    wanted = triples([key("user:anne", "member", "group:staff"), key("user:bob", "member", "group:night")])
    planned = [json.loads(line) for line in fga.text(*arguments, "--dry-run").splitlines()]
    expect("mapping sync --dry-run", triples(planned), wanted)
    expect("mapping sync --dry-run writes nothing", read(), [])
    for time in ("first", "second"):
        fga.text(*arguments)
        expect(f"mapping sync, the {time} time", read(), wanted)


# --- queries -------------------------------------------------------------------------------------------------


def queries(fga):
    store = imported(fga, "queries")["store"]["id"]
    at = ("--store-id", store)
    with_tuple = lambda *keys: [part for k in keys for part in ("--contextual-tuple", " ".join(k))]
    model = fga.json("model", "get", *at, "--format", "json", "--field", "id")["id"]
    newer = fga.json("model", "write", *at, '{"schema_version":"1.1","type_definitions":[{"type":"user"}]}',
                     "--format", "json")["authorization_model_id"]
    expect_that("a newer model", newer > model, (newer, model))
    fga.refuses("validation_error", "query", "check", *at, "user:anne", "viewer", "doc:plan")
    at = (*at, "--model-id", model)

    check = lambda *arguments: fga.json("query", "check", *at, *arguments)
    yes, no = {"allowed": True, "resolution": ""}, {"allowed": False, "resolution": ""}
    expect("query check, true", check("user:anne", "viewer", "doc:plan"), yes)
    expect("query check, false", check("user:anne", "editor", "doc:plan"), no)
    expect("query check, through groups", check("user:carl", "viewer", "doc:memo"), yes)
    expect("query check, a userset", check("group:night#member", "viewer", "doc:memo"), yes)
    expect("query check, public but blocked", check("user:eve", "allowed", "doc:notice"), no)
    for consistency in ("HIGHER_CONSISTENCY", "MINIMIZE_LATENCY"):
        expect(f"query check, {consistency}", check("user:anne", "viewer", "doc:plan", "--consistency", consistency,
                                                    "--context", '{"unused":[1]}'), yes)
    expect("query check, contextual", check("user:zoe", "viewer", "doc:plan", *with_tuple(
        ("user:zoe", "viewer", "folder:zoes"), ("folder:zoes", "parent", "doc:plan"))), yes)
    expect("query check, contextual and stored differ", check("user:anne", "allowed", "doc:plan", *with_tuple(
        ("user:anne", "blocked", "doc:plan"))), no)
    fga.refuses("authorization_model_not_found", "query", "check", "--store-id", store, "--model-id", UNKNOWN_ID,
                "user:anne", "viewer", "doc:plan")
    fga.refuses("validation_error", "query", "check", *at, "user:anne", "viewer", "nothing:plan")
    fga.refuses("validation_error", "query", "check", *at, "user:anne", "nothing", "doc:plan")
    fga.refuses("validation_error", "query", "check", *at, "anne", "viewer", "doc:plan")
    fga.refuses("invalid_tuple", "query", "check", *at, "user:anne", "viewer", "doc:plan",
                *with_tuple(("user:anne", "nothing", "doc:plan")))

    objects = lambda *arguments: sorted(fga.json("query", "list-objects", *at, *arguments)["objects"])
    expect("query list-objects", objects("user:carl", "viewer", "doc"), ["doc:memo", "doc:notice"])
    expect("query list-objects, none", objects("user:carl", "editor", "doc"), [])
    expect("query list-objects, but not", objects("user:eve", "allowed", "doc"), [])
    expect("query list-objects, contextual", objects("user:eve", "viewer", "doc", "--consistency", "HIGHER_CONSISTENCY",
           *with_tuple(("user:eve", "viewer", "doc:extra"))), ["doc:extra", "doc:notice"])
    fga.refuses("type_not_found", "query", "list-objects", *at, "user:anne", "viewer", "nothing")
    fga.refuses("relation_not_found", "query", "list-objects", *at, "user:anne", "nothing", "doc")
    fga.refuses("invalid_tuple", "query", "list-objects", *at, "user:anne", "viewer", "doc",
                *with_tuple(("user:anne", "nothing", "doc:plan")))

    relations = lambda *arguments: sorted(fga.json("query", "list-relations", *at, *arguments)["relations"])
    expect("query list-relations", relations("user:anne", "doc:plan"), ["allowed", "viewer"])
    expect("query list-relations, named and contextual", relations(
        "user:anne", "doc:plan", "--relation", "viewer", "--relation", "both", "--relation", "blocked",
        *with_tuple(("user:anne", "editor", "doc:plan"))), ["both", "viewer"])
    expect("query list-relations, none", relations("user:zoe", "doc:plan"), [])

    def users(obj, relation, wanted, *arguments):
        found = fga.json("query", "list-users", *at, "--object", obj, "--relation", relation, "--user-filter", wanted,
                         *arguments)["users"]
        return sorted(found, key=lambda user: json.dumps(user, sort_keys=True))

    user = lambda id: {"object": {"type": "user", "id": id}}
    expect("query list-users", users("doc:memo", "viewer", "user"), [user("bob"), user("carl"), user("dora")])
    expect("query list-users, public", users("doc:notice", "allowed", "user"), [{"wildcard": {"type": "user"}}])
    expect("query list-users, usersets", users("doc:memo", "viewer", "group#member"), [
        {"userset": {"type": "group", "id": id, "relation": "member"}} for id in ("night", "staff")])
    expect("query list-users, contextual", users("doc:plan", "viewer", "user", *with_tuple(
        ("user:zoe", "viewer", "doc:plan"))), [user("anne"), user("zoe")])
    expect("query list-users, none", users("doc:none", "viewer", "user"), [])
    fga.refuses("type_not_found", "query", "list-users", *at, "--object", "nothing:plan", "--relation", "viewer",
                "--user-filter", "user")
    fga.refuses("relation_not_found", "query", "list-users", *at, "--object", "doc:plan", "--relation", "nothing",
                "--user-filter", "user")

    expand = lambda *arguments: fga.json("query", "expand", *at, *arguments)["tree"]["root"]
    named = {"name": "doc:memo#viewer"}
    expect("query expand, union", expand("viewer", "doc:memo"), named | {"union": {"nodes": [
        named | {"leaf": {"users": {"users": ["group:staff#member"]}}},
        named | {"leaf": {"computed": {"userset": "doc:memo#editor"}}},
        named | {"leaf": {"tupleToUserset": {
            "tupleset": "doc:memo#parent", "computed": [{"userset": "folder:files#viewer"}]}}},
    ]}})
    leaf = lambda name, of: {"name": name, "leaf": {"computed": {"userset": of}}}
    expect("query expand, difference", expand("allowed", "doc:plan", "--consistency", "HIGHER_CONSISTENCY"), {
        "name": "doc:plan#allowed", "difference": {
            "base": leaf("doc:plan#allowed", "doc:plan#viewer"),
            "subtract": leaf("doc:plan#allowed", "doc:plan#blocked")}})
    expect("query expand, intersection", expand("both", "doc:plan"), {
        "name": "doc:plan#both", "intersection": {"nodes": [
            leaf("doc:plan#both", "doc:plan#editor"), leaf("doc:plan#both", "doc:plan#viewer")]}})
    expect("query expand, direct", expand("member", "group:staff"), {
        "name": "group:staff#member", "leaf": {"users": {"users": ["group:night#member", "user:bob"]}}})
    fga.refuses("validation_error", "query", "expand", *at, "nothing", "doc:plan")
    fga.refuses("validation_error", "query", "expand", *at, "viewer", "nothing:plan")


PARTS = [stores, import_export, models, modules, model_test, tuples, pages, mapping, queries]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    url = sys.argv[1].rstrip("/")
    path = sys.argv[2] if len(sys.argv) == 3 else os.environ.get("STONETOWN_FGA", "fga")
    try:  # the tool itself goes on trying for minutes
        urllib.request.urlopen(f"{url}/healthz", timeout=10).close()
    except OSError as error:
        sys.exit(f"FAILED: no server at {url}: {error}")
    for part in PARTS:
        with tempfile.TemporaryDirectory() as home:
            fga = Tool(path, url, home)
            try:
                part(fga)
            except Exception:
                failures.append(f"{part.__name__} broke off\n{traceback.format_exc()}")
    report("fga_cli.py")


if __name__ == "__main__":
    main()
