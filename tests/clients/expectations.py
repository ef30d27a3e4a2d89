"""What the drivers hold a server to: counted, collected, and told at the end."""

import sys
import uuid

RUN = uuid.uuid4().hex[:12]
UNKNOWN_ID = "01ZZZZZZZZZZZZZZZZZZZZZZZZ"

held = 0
failures = []


def expect(what, got, wanted):
    global held
    if got == wanted:
        held += 1
    else:
        failures.append(f"{what}\n    wanted {wanted!r}\n    got    {got!r}")


def expect_that(what, holds, seen=""):
    expect(what if holds else f"{what} (seen: {seen!r})", bool(holds), True)


def report(driver):
    """Says what did not hold, and ends the driver."""
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{driver}: {held} expectations held, {len(failures)} did not")
    sys.exit(1 if failures else 0)
