"""psycopg 3: extended protocol, pipeline mode, binary, COPY, server-side cursors."""
import logging
import threading
import time

import psycopg
from common import check, expect_refusals, refused, finish

# What it says of a pipeline that an error ended is no check's business.
logging.getLogger("psycopg").setLevel(logging.ERROR)
conninfo = "channel_binding=disable"


def connect(**options):
    return psycopg.connect(conninfo, autocommit=True, **options)


connection = connect()
cursor = connection.cursor()


def value(sql, arguments=None, **options):
    return cursor.execute(sql, arguments, **options).fetchone()[0]


check("connect", 1, lambda: value("SELECT 1"))
check("query", [1, 2, 3], lambda: [r[0] for r in cursor.execute("SELECT g FROM generate_series(1, %s) g", (3,))])
check("prepared", [2, 3, 4, 5, 6, 7, 8, 9], lambda: [value("SELECT %s::int + 1", (n,), prepare=True) for n in range(1, 9)])
check("binary", (2.5, b"\x00\xff"), lambda: connection.cursor(binary=True).execute("SELECT %b::float8, %b::bytea", (2.5, b"\x00\xff")).fetchone())


def transaction():
    with connection.transaction(force_rollback=True):
        value("INSERT INTO notes(id, body) VALUES (%s, %s) RETURNING id", (9101, "psycopg"))
    return value("SELECT count(*) FROM notes WHERE id = 9101")


check("transaction", 0, transaction)


def copy_in(binary):
    with connection.transaction(force_rollback=True):
        form = "COPY notes(id, body) FROM STDIN" + (" (FORMAT binary)" if binary else "")
        with cursor.copy(form) as copy:
            if binary:
                copy.set_types(["int4", "text"])
            for n in range(500):
                copy.write_row((9200 + n, "row %d" % n))
        return value("SELECT count(*) FROM notes WHERE id BETWEEN 9200 AND 9699")


check("copy-in", 500, lambda: copy_in(False))
check("copy-in-binary", 500, lambda: copy_in(True))


def copy_in_failed():
    """The client gives a COPY up half way: CopyFail, and the session goes on."""
    try:
        with cursor.copy("COPY notes(id, body) FROM STDIN") as copy:
            copy.write_row((9900, "x"))
            raise RuntimeError("given up")
    except RuntimeError:
        pass
    return value("SELECT count(*) FROM notes WHERE id = 9900")


check("copy-in-failed", 0, copy_in_failed)


def copy_out():
    with cursor.copy("COPY (SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g) TO STDOUT") as copy:
        return sum(1 for _ in copy.rows())


check("copy-out", 20000, copy_out)


def pipeline():
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(50)]
    return [c.fetchone()[0] for c in cursors]


check("pipeline", list(range(50)), pipeline)


def pipeline_error():
    """After an error everything up to the Sync is skipped; what follows the Sync runs."""
    outcomes = []
    try:
        with connection.pipeline():
            connection.execute("INSERT INTO notes(id, body) VALUES (9110, 'rolled back')")
            connection.execute("SELECT 1/0")
            connection.execute("INSERT INTO notes(id, body) VALUES (9111, 'skipped')")
    except psycopg.errors.DivisionByZero:
        outcomes.append("division")
    with connection.pipeline():
        after = connection.execute("SELECT count(*) FROM notes WHERE id IN (9110, 9111)")
    return outcomes + [after.fetchone()[0]]


check("pipeline-error", ["division", 0], pipeline_error)


def server_cursor():
    with connection.transaction():
        with connection.cursor(name="rows") as rows:
            rows.itersize = 100
            rows.execute("SELECT g FROM generate_series(1, 1000) g")
            return sum(r[0] for r in rows)


check("cursor", 500500, server_cursor)


def error():
    try:
        cursor.execute("SELECT nonesuch")
    except psycopg.Error as e:
        return e.sqlstate, value("SELECT 7")


check("error", ("42703", 7), error)


def cancel():
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    started = time.monotonic()
    try:
        cursor.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
        return "not cancelled"
    except psycopg.errors.QueryCanceled as e:
        return e.sqlstate, time.monotonic() - started < 15, value("SELECT 8")
    finally:
        timer.join()


check("cancel", ("57014", True, 8), cancel)


def notify():
    with connect() as listener:
        listener.execute("LISTEN drivers")
        connection.execute("NOTIFY drivers, 'hello'")
        return [n.payload for n in listener.notifies(timeout=10, stop_after=1)]


check("notify", ["hello"], notify)


def fields(e):
    return e.sqlstate, e.diag.message_primary, e.diag.message_detail, e.diag.message_hint


if expect_refusals:

    def refused_plain():
        try:
            cursor.execute("DELETE FROM accounts")
        except psycopg.Error as e:
            return fields(e)

    def refused_prepared():
        try:
            cursor.execute("DELETE FROM accounts WHERE %s = %s", (1, 1), prepare=True)
        except psycopg.Error as e:
            return fields(e)

    def refused_in_transaction():
        try:
            with connection.transaction():
                cursor.execute("INSERT INTO notes(id, body) VALUES (9102, 'kept out')")
                try:
                    cursor.execute("DELETE FROM accounts")
                except psycopg.Error as e:
                    report = fields(e)
                try:
                    cursor.execute("SELECT 1")
                except psycopg.errors.InFailedSqlTransaction:
                    raise psycopg.Rollback()
                report = ("the transaction did not fail",) * 4
        except psycopg.Error as e:
            return fields(e)
        return report

    def refused_in_pipeline():
        report = None
        try:
            with connection.pipeline():
                connection.execute("INSERT INTO notes(id, body) VALUES (9103, 'kept out')")
                connection.execute("DELETE FROM accounts")
                connection.execute("INSERT INTO notes(id, body) VALUES (9104, 'kept out')")
        except psycopg.Error as e:
            report = fields(e)
        with connection.pipeline():
            after = connection.execute("SELECT 5")
        if after.fetchone()[0] != 5:
            return ("the pipeline did not go on",) * 4
        return report

    refused("refused", refused_plain)
    refused("refused-in-transaction", refused_in_transaction)
    refused("refused-in-pipeline", refused_in_pipeline)
    check("kept", (100, 0), lambda: cursor.execute(
        "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM notes WHERE id BETWEEN 9101 AND 9104)").fetchone())
    check("continues", "idle", lambda: (value("SELECT 9"), connection.info.transaction_status.name.lower())[1])

connection.close()
finish()
