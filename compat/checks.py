"""Named checks with one line each, and an exit code."""

import sys
import traceback

_failed = []


def check(name):
    def run(body):
        try:
            body()
            print(f"pass  {name}", flush=True)
        except Exception as error:
            _failed.append(name)
            print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(limit=4, file=sys.stderr)
        return body

    return run


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def refused(kind, act):
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def finish():
    sys.exit(1 if _failed else 0)
