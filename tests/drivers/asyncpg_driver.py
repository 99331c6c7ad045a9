"""asyncpg: always the extended protocol, always binary."""
import asyncio
import os
import ssl
import time

import asyncpg
from common import check, expect_refusals, finish, line, refused


def tls():
    if os.environ.get("PGSSLMODE", "disable") == "disable":
        return False
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    context.check_hostname = False
    return context


async def acheck(name, expected, awaitable):
    try:
        got = await awaitable
    except Exception as e:
        line(f"FAIL {name} {type(e).__name__}: {e}")
        return
    check(name, expected, lambda: got)


async def arefused(name, awaitable):
    try:
        got = await awaitable
    except Exception as e:
        line(f"FAIL {name} {type(e).__name__}: {e}")
        return
    refused(name, lambda: got)


def fields(e):
    return e.sqlstate, e.message, e.detail, e.hint


async def main():
    c = await asyncpg.connect(ssl=tls())
    await acheck("connect", 1, c.fetchval("SELECT 1"))

    async def query():
        return [r[0] for r in await c.fetch("SELECT g FROM generate_series(1, $1::int) g", 3)]

    await acheck("query", [1, 2, 3], query())

    async def prepared():
        statement = await c.prepare("SELECT $1::int + 1")
        return [await statement.fetchval(n) for n in range(5)]

    await acheck("prepared", [1, 2, 3, 4, 5], prepared())

    async def transaction():
        t = c.transaction()
        await t.start()
        await c.execute("INSERT INTO notes(id, body) VALUES ($1, $2)", 9301, "asyncpg")
        await t.rollback()
        return await c.fetchval("SELECT count(*) FROM notes WHERE id = 9301")

    await acheck("transaction", 0, transaction())

    async def many():
        t = c.transaction()
        await t.start()
        await c.executemany("INSERT INTO notes(id, body) VALUES ($1, $2)", [(9400 + n, "x") for n in range(200)])
        n = await c.fetchval("SELECT count(*) FROM notes WHERE id BETWEEN 9400 AND 9599")
        await t.rollback()
        return n

    await acheck("execute-many", 200, many())

    async def copy_in():
        t = c.transaction()
        await t.start()
        await c.copy_records_to_table("notes", records=[(9700 + n, "y") for n in range(300)], columns=["id", "body"])
        n = await c.fetchval("SELECT count(*) FROM notes WHERE id BETWEEN 9700 AND 9999")
        await t.rollback()
        return n

    await acheck("copy-in", 300, copy_in())

    async def copy_out():
        chunks = []

        async def sink(data):
            chunks.append(data)

        status = await c.copy_from_query("SELECT g FROM generate_series(1, 5000) g", output=sink)
        return status, b"".join(chunks).count(b"\n")

    await acheck("copy-out", ("COPY 5000", 5000), copy_out())

    async def cursor():
        async with c.transaction():
            return sum([r[0] async for r in c.cursor("SELECT g FROM generate_series(1, 1000) g", prefetch=50)])

    await acheck("cursor", 500500, cursor())

    async def error():
        try:
            await c.fetch("SELECT nonesuch")
        except asyncpg.PostgresError as e:
            return e.sqlstate, await c.fetchval("SELECT 7")

    await acheck("error", ("42703", 7), error())

    async def cancel():
        started = time.monotonic()
        try:
            await asyncio.wait_for(c.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"), 0.5)
        except asyncio.TimeoutError:
            return time.monotonic() - started < 15, await c.fetchval("SELECT 8")

    await acheck("cancel", (True, 8), cancel())

    if expect_refusals:

        async def refused_plain(sql, *arguments):
            try:
                await c.execute(sql, *arguments)
            except asyncpg.PostgresError as e:
                return fields(e)

        async def refused_in_transaction():
            t = c.transaction()
            await t.start()
            await c.execute("INSERT INTO notes(id, body) VALUES (9302, 'kept out')")
            report = await refused_plain("DELETE FROM accounts")
            try:
                await c.fetchval("SELECT 1")
                report = ("the transaction did not fail",) * 4
            except asyncpg.InFailedSQLTransactionError:
                pass
            await t.rollback()
            return report

        await arefused("refused", refused_plain("DELETE FROM accounts"))
        await arefused("refused-prepared", refused_plain("UPDATE accounts SET balance = $1", 0))
        await arefused("refused-in-transaction", refused_in_transaction())
        await acheck("kept", 100, c.fetchval("SELECT count(*) FROM accounts"))
        await acheck("continues", False, c.fetchval("SELECT count(*) = 1 FROM notes WHERE id = 9302"))
    await c.close()
    finish()


asyncio.run(main())
