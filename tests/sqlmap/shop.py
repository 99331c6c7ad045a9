"""A small shop that puts what it is sent into its SQL, unescaped: what sqlmap is let loose on.

Usage: shop.py postgres|mysql DATABASE_PORT DATABASE_USER DATABASE LISTEN_PORT

Pages: /item?id=1 (a number), /user?name=ann (a string), /search?q=lamp (inside LIKE), /list?sort=id (ORDER BY),
/note?id=1&text=hello (UPDATE), /health. Rows come as lines; an error of the database comes as it is, with status 500.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ENGINE, DATABASE_PORT, USER, DATABASE, LISTEN_PORT = sys.argv[1:6]


def connect():
    """A connection that commits each statement, and takes several statements in one text."""
    if ENGINE == "postgres":
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=int(DATABASE_PORT), user=USER, dbname=DATABASE, autocommit=True
        )
    import pymysql
    from pymysql.constants import CLIENT

    return pymysql.connect(
        host="127.0.0.1", port=int(DATABASE_PORT), user=USER, database=DATABASE, autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
    )


LOCAL = threading.local()


def ask(sql):
    """Runs a text and returns the rows of its first result."""
    if getattr(LOCAL, "connection", None) is None:
        LOCAL.connection = connect()
    try:
        with LOCAL.connection.cursor() as cursor:
            if ENGINE == "postgres":
                cursor.execute(sql.encode())
            else:
                cursor.execute(sql)
            rows = list(cursor.fetchall()) if cursor.description else []
            while cursor.nextset():
                pass
            return rows
    except Exception:
        # After an error of a statement the session goes on; after one in the middle of several, or of the connection, it may not.
        gone = LOCAL.connection.closed if ENGINE == "postgres" else not LOCAL.connection.open
        if gone or ";" in sql:
            LOCAL.connection.close()
            LOCAL.connection = None
        raise


PAGES = {
    "/item": lambda q: f"SELECT id, name, price FROM goods WHERE id = {q['id']}",
    "/user": lambda q: f"SELECT id, name FROM people WHERE name = '{q['name']}' AND active = 1",
    "/search": lambda q: f"SELECT id, name FROM goods WHERE (name LIKE '%{q['q']}%') AND price > 0 ORDER BY id",
    "/list": lambda q: f"SELECT id, name FROM goods ORDER BY {q['sort']} LIMIT 5",
    "/note": lambda q: f"UPDATE goods SET note = '{q['text']}' WHERE id = {q['id']}",
    "/health": lambda q: "SELECT 1",
}


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        page = PAGES.get(url.path)
        try:
            status, lines = 200, ["\t".join(map(str, row)) for row in ask(page(query))] if page else ["no page"]
        except Exception as error:  # what the database says is shown
            status, lines = 500, [f"error: {error}"]
        body = "<html><body><pre>\n{}\n</pre></body></html>\n".format("\n".join(lines)).encode(errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.daemon_threads = True
print("ready", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(LISTEN_PORT)), Shop).serve_forever()
