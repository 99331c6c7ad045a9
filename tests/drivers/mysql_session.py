"""The session that the Python drivers of MySQL and MariaDB play, whatever their interface."""
import os
import tempfile
import threading
import time

from common import check, expect_refusals, finish, refused

HOST, PORT = os.environ["DB_HOST"], int(os.environ["DB_PORT"])
USER, PASSWORD, DATABASE = os.environ["DB_USER"], os.environ["DB_PASSWORD"], os.environ["DB_NAME"]
AUTHORITY = os.environ.get("DB_TLS_CA") or None
# Long enough to be killed, and never the only thing that a statement does.
ENDLESS = "SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0"
LARGE = 17 << 20


def play(driver):
    """`driver` has run(sql, arguments=None) -> (rows, affected), prepared(sql, list of arguments) ->
    list of rows, multi(sql) -> list of results, begin(), rollback(), id(), other() -> another such
    driver, fields(exception) -> (errno, sqlstate, message), close(); `lacks` names the checks that the
    driver itself can't pass on any server."""
    run, lacks = driver.run, getattr(driver, "lacks", ())

    def value(sql, arguments=None):
        return run(sql, arguments)[0][0][0]

    check("connect", 1, lambda: value("SELECT 1"))
    check("tls", AUTHORITY is not None, lambda: bool(run("SHOW STATUS LIKE 'Ssl_cipher'")[0][0][1]))
    check("query", [1, 2, 3], lambda: [r[0] for r in run("SELECT id FROM accounts WHERE id <= %s ORDER BY id", (3,))[0]])
    check("unicode", "größe 長い 🙂", lambda: value("SELECT %s", ("größe 長い 🙂",)))
    check("prepared", [2, 3, 4, 5], lambda: [int(r[0]) for r in driver.prepared("SELECT id + 1 FROM accounts WHERE id = %s", [(n,) for n in (1, 2, 3, 4)])])
    check("multi", [[1], [2], [3]], lambda: [[r[0] for r in rows] for rows in driver.multi("SELECT 1; SELECT 2; SELECT 3")])

    def transaction():
        driver.begin()
        affected = run("INSERT INTO notes(id, body) VALUES (%s, %s), (%s, %s)", (9101, "a", 9102, "b"))[1]
        driver.rollback()
        return affected, value("SELECT count(*) FROM notes WHERE id IN (9101, 9102)")

    check("transaction", (2, 0), transaction)

    def local_infile():
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.writelines(f"{9200 + n}\trow {n}\n" for n in range(1000))
            file.flush()
            driver.begin()
            affected = run(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE notes")[1]
            found = value("SELECT count(*) FROM notes WHERE id BETWEEN 9200 AND 10199")
            driver.rollback()
        return affected, found

    if "local-infile" not in lacks:
        check("local-infile", (1000, 1000), local_infile)
    if "large-up" not in lacks:
        check("large-up", LARGE, lambda: value("SELECT length(%s)", ("x" * LARGE,)))
    if "large-down" not in lacks:
        check("large-down", LARGE, lambda: len(value(f"SELECT repeat('y', {LARGE})")))

    def error():
        try:
            run("SELECT nonesuch")
        except Exception as e:
            return driver.fields(e)[:1] + (value("SELECT 7"),)

    check("error", (1054, 7), error)

    def cancel():
        number, other = driver.id(), driver.other()
        timer = threading.Timer(0.5, lambda: other.run(f"KILL QUERY {number}"))
        timer.start()
        started = time.monotonic()
        try:
            run(ENDLESS)
            return "not cancelled"
        except Exception as e:
            return driver.fields(e)[0], time.monotonic() - started < 15, value("SELECT 8")
        finally:
            timer.join()
            other.close()

    check("cancel", (1317, True, 8), cancel)

    if expect_refusals:

        def refusal(action):
            try:
                action()
            except Exception as e:
                errno, sqlstate, message = driver.fields(e)
                return sqlstate, message, errno, None

        def in_transaction():
            driver.begin()
            run("INSERT INTO notes(id, body) VALUES (9103, 'kept by the transaction')")
            report = refusal(lambda: run("DELETE FROM accounts"))
            # An error leaves a transaction of MySQL alone.
            seen = value("SELECT count(*) FROM notes WHERE id = 9103")
            driver.rollback()
            return report if seen == 1 else ("the transaction is gone",) * 4

        refused("refused", lambda: refusal(lambda: run("DELETE FROM accounts")))
        refused("refused-in-multi", lambda: refusal(lambda: driver.multi("SELECT 1; DELETE FROM accounts; SELECT 2")))
        refused("refused-prepared", lambda: refusal(lambda: driver.prepared("UPDATE accounts SET balance = %s", [(0,)])))
        refused("refused-in-transaction", in_transaction)
        check("kept", (100, 100000), lambda: tuple(map(int, run("SELECT count(*), sum(balance) FROM accounts")[0][0])))
        check("continues", 0, lambda: value("SELECT count(*) FROM notes WHERE id = 9103"))

    driver.close()
    finish()
