"""`mysql_dbapi.py pymysql|mysqlclient|connector-pure|connector-c`: the drivers with Python's DB-API."""
import sys

KIND = sys.argv[1]
if KIND == "connector-c":
    # It brings a newer OpenSSL than the system may have; what is loaded first serves both.
    import _mysql_connector  # noqa: F401
import mysql_session as session


def pymysql_connect():
    import pymysql
    from pymysql.constants import CLIENT

    tls = {"ssl": {"ca": session.AUTHORITY}} if session.AUTHORITY else {"ssl_disabled": True}
    return pymysql.connect(client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True, autocommit=True, charset="utf8mb4",
                           max_allowed_packet=1 << 27, **login("password", "database"), **tls)


def mysqlclient_connect():
    import MySQLdb
    from MySQLdb.constants import CLIENT

    tls = {"ssl": {"ca": session.AUTHORITY}} if session.AUTHORITY else {"ssl_mode": "DISABLED"}
    return MySQLdb.connect(client_flag=CLIENT.MULTI_STATEMENTS, local_infile=1, autocommit=True, charset="utf8mb4",
                           **login("password", "database"), **tls)


def connector_connect():
    import mysql.connector

    tls = {"ssl_ca": session.AUTHORITY, "ssl_verify_cert": True} if session.AUTHORITY else {"ssl_disabled": True}
    return mysql.connector.connect(use_pure=KIND == "connector-pure", allow_local_infile=True, autocommit=True,
                                   charset="utf8mb4", collation="utf8mb4_general_ci", **login("password", "database"), **tls)


def login(password, database):
    return {"host": session.HOST, "port": session.PORT, "user": session.USER, password: session.PASSWORD, database: session.DATABASE}


class Driver:
    def __init__(self):
        connector = KIND.startswith("connector")
        connect = {"pymysql": pymysql_connect, "mysqlclient": mysqlclient_connect}.get(KIND, connector_connect)
        self.connection = connect()
        self.connector = connector

    def run(self, sql, arguments=None):
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql, arguments)
            rows = cursor.fetchall() if cursor.description else []
            return [tuple(row) for row in rows], cursor.rowcount
        finally:
            cursor.close()

    def prepared(self, sql, list_of_arguments):
        if self.connector:  # the binary protocol
            cursor = self.connection.cursor(prepared=True)
            rows = []
            try:
                for arguments in list_of_arguments:
                    cursor.execute(sql, arguments)
                    rows += cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()
            return rows
        self.run("PREPARE s FROM %s", (sql.replace("%s", "?"),))
        rows = []
        for arguments in list_of_arguments:
            self.run("SET @a = %s", arguments)
            rows += self.run("EXECUTE s USING @a")[0]
        self.run("DEALLOCATE PREPARE s")
        return rows

    def multi(self, sql):
        cursor = self.connection.cursor()
        try:
            results = []
            cursor.execute(sql)
            while True:
                if cursor.description:
                    results.append(cursor.fetchall())
                if not cursor.nextset():
                    return results
        finally:
            cursor.close()

    def begin(self):
        self.run("START TRANSACTION")

    def rollback(self):
        self.connection.rollback()

    def id(self):
        return self.run("SELECT connection_id()")[0][0][0]

    def other(self):
        return Driver()

    def fields(self, e):
        if self.connector:
            return e.errno, e.sqlstate, e.msg
        # These two give no SQLSTATE; the protocol's own is told apart by `sqlstate` of the raw tests.
        return e.args[0], None, e.args[1]

    def close(self):
        self.connection.close()


session.play(Driver())
