"""pg8000: pure Python, its own SCRAM and TLS."""
import io
import os
import ssl

import pg8000.native
from common import check, expect_refusals, finish, refused


def tls():
    if os.environ.get("PGSSLMODE", "disable") == "disable":
        return None
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    context.check_hostname = False
    return context


# pg8000 binds its SCRAM exchange to the TLS channel whenever the server offers that.
c = pg8000.native.Connection(
    os.environ["PGUSER"],
    host=os.environ["PGHOST"],
    port=int(os.environ["PGPORT"]),
    database=os.environ["PGDATABASE"],
    password=os.environ["PGPASSWORD"],
    ssl_context=tls(),
    application_name="pg8000",
)


def value(sql, **arguments):
    return c.run(sql, **arguments)[0][0]


check("connect", 1, lambda: value("SELECT 1"))
check("query", [[1], [2], [3]], lambda: c.run("SELECT g FROM generate_series(1, cast(:n as int)) g", n=3))


def prepared():
    statement = c.prepare("SELECT cast(:n as int) + 1")
    rows = [statement.run(n=n)[0][0] for n in range(5)]
    statement.close()
    return rows


check("prepared", [1, 2, 3, 4, 5], prepared)


def transaction():
    c.run("START TRANSACTION")
    c.run("INSERT INTO notes(id, body) VALUES (:id, :body)", id=9801, body="pg8000")
    c.run("ROLLBACK")
    return value("SELECT count(*) FROM notes WHERE id = 9801")


check("transaction", 0, transaction)


def copy_in():
    c.run("START TRANSACTION")
    c.run("COPY notes(id, body) FROM STDIN", stream=io.BytesIO(b"9802\tone\n9803\ttwo\n"))
    n = value("SELECT count(*) FROM notes WHERE id IN (9802, 9803)")
    c.run("ROLLBACK")
    return n


check("copy-in", 2, copy_in)


def copy_out():
    out = io.BytesIO()
    c.run("COPY (SELECT g FROM generate_series(1, 1000) g) TO STDOUT", stream=out)
    return out.getvalue().count(b"\n")


check("copy-out", 1000, copy_out)


def fields(e):
    report = e.args[0]
    return report.get("C"), report.get("M"), report.get("D"), report.get("H")


def error():
    try:
        c.run("SELECT nonesuch")
    except pg8000.native.DatabaseError as e:
        return fields(e)[0], value("SELECT 7")


check("error", ("42703", 7), error)

if expect_refusals:

    def refused_plain(sql, **arguments):
        try:
            c.run(sql, **arguments)
        except pg8000.native.DatabaseError as e:
            return fields(e)

    def refused_in_transaction():
        c.run("START TRANSACTION")
        c.run("INSERT INTO notes(id, body) VALUES (9804, 'kept out')")
        report = refused_plain("DELETE FROM accounts")
        try:
            c.run("SELECT 1")
            report = ("the transaction did not fail",) * 4
        except pg8000.native.DatabaseError as e:
            if fields(e)[0] != "25P02":
                report = fields(e)
        c.run("ROLLBACK")
        return report

    refused("refused", lambda: refused_plain("DELETE FROM accounts"))
    refused("refused-prepared", lambda: refused_plain("UPDATE accounts SET balance = :b", b=0))
    refused("refused-in-transaction", refused_in_transaction)
    check("kept", 100, lambda: value("SELECT count(*) FROM accounts"))
    check("continues", 0, lambda: value("SELECT count(*) FROM notes WHERE id = 9804"))

c.close()
finish()
