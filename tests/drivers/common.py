"""What the Python driver programs share."""
import os

expect_refusals = os.environ.get("EXPECT_REFUSALS", "yes") == "yes"


def line(text):
    print(" ".join(str(text).split()), flush=True)


def check(name, expected, action):
    """Prints whether `action` gives `expected`."""
    try:
        got = action()
    except Exception as e:  # the line is the report
        line(f"FAIL {name} {type(e).__name__}: {e}")
        return
    line(f"ok {name}" if got == expected else f"FAIL {name} expected {expected!r}, got {got!r}")


def refused(name, action):
    """Prints the fields of the refusal that `action` returns."""
    try:
        report = action()
    except Exception as e:
        line(f"FAIL {name} {type(e).__name__}: {e}")
        return
    if report is None:
        line(f"FAIL {name} the statement was not refused")
    else:
        line(f"refused {name} " + "|".join("" if field is None else str(field) for field in report))


def finish():
    line("done")
