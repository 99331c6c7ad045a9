"""`mysql_async.py aiomysql|asyncmy`: the asynchronous drivers, each statement run to its end."""
import asyncio
import importlib
import ssl
import sys
import threading

import mysql_session as session

module = importlib.import_module(sys.argv[1])
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def wait(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(120)


async def connect():
    flags = importlib.import_module(f"{'pymysql' if sys.argv[1] == 'aiomysql' else 'asyncmy'}.constants.CLIENT")
    tls = ssl.create_default_context(cafile=session.AUTHORITY) if session.AUTHORITY else None
    return await module.connect(host=session.HOST, port=session.PORT, user=session.USER, password=session.PASSWORD,
                                db=session.DATABASE, autocommit=True, local_infile=True, charset="utf8mb4",
                                client_flag=flags.MULTI_STATEMENTS, ssl=tls)


class Driver:
    # asyncmy 0.2.18 opens local files by a name of bytes, and loses count in payloads of several packets.
    lacks = ("local-infile", "large-up", "large-down") if sys.argv[1] == "asyncmy" else ()

    def __init__(self):
        self.connection = wait(connect())

    async def _run(self, sql, arguments):
        async with self.connection.cursor() as cursor:
            await cursor.execute(sql, arguments)
            rows = await cursor.fetchall() if cursor.description else []
            return [tuple(row) for row in rows], cursor.rowcount

    def run(self, sql, arguments=None):
        return wait(self._run(sql, arguments))

    def prepared(self, sql, list_of_arguments):
        self.run("PREPARE s FROM %s", (sql.replace("%s", "?"),))
        rows = []
        for arguments in list_of_arguments:
            self.run("SET @a = %s", arguments)
            rows += self.run("EXECUTE s USING @a")[0]
        self.run("DEALLOCATE PREPARE s")
        return rows

    async def _multi(self, sql):
        results = []
        async with self.connection.cursor() as cursor:
            await cursor.execute(sql)
            while True:
                if cursor.description:
                    results.append(await cursor.fetchall())
                if not await cursor.nextset():
                    return results

    def multi(self, sql):
        return wait(self._multi(sql))

    def begin(self):
        wait(self.connection.begin())

    def rollback(self):
        wait(self.connection.rollback())

    def id(self):
        return self.run("SELECT connection_id()")[0][0][0]

    def other(self):
        return Driver()

    def fields(self, e):
        return e.args[0], None, e.args[1]

    def close(self):
        self.connection.close()


session.play(Driver())
