/* libpq itself: pipeline mode, single-row mode, COPY, PQcancel, PQfn, refusals in a pipeline. */
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *conn;

static void ok(const char *name) { printf("ok %s\n", name); fflush(stdout); }

static void failed(const char *name, const char *why)
{
    printf("FAIL %s %s", name, why);
    if (!strchr(why, '\n')) printf("\n");
    fflush(stdout);
}

static void check(const char *name, int condition)
{
    if (condition) ok(name);
    else failed(name, PQerrorMessage(conn)[0] ? PQerrorMessage(conn) : "unexpected result");
}

static const char *field(const PGresult *r, int code)
{
    const char *text = PQresultErrorField(r, code);
    return text ? text : "";
}

static void refused(const char *name, const PGresult *r)
{
    if (PQresultStatus(r) != PGRES_FATAL_ERROR) { failed(name, "the statement was not refused"); return; }
    printf("refused %s %s|%s|%s|%s\n", name, field(r, PG_DIAG_SQLSTATE), field(r, PG_DIAG_MESSAGE_PRIMARY),
           field(r, PG_DIAG_MESSAGE_DETAIL), field(r, PG_DIAG_MESSAGE_HINT));
    fflush(stdout);
}

static int value_is(PGresult *r, const char *expected)
{
    int same = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), expected) == 0;
    PQclear(r);
    return same;
}

/* The next result of a pipeline: NULL ends each statement. */
static PGresult *next(void)
{
    PGresult *r = PQgetResult(conn);
    return r ? r : PQgetResult(conn);
}

static int next_status(void)
{
    PGresult *r = next();
    int status = r ? (int) PQresultStatus(r) : -1;
    PQclear(r);
    return status;
}

static void pipeline(void)
{
    enum { N = 300 };
    char number[16];
    const char *values[1] = {number};
    int n, good = 0;
    PQenterPipelineMode(conn);
    PQsetnonblocking(conn, 1);
    for (n = 0; n < N; n++) {
        snprintf(number, sizeof number, "%d", n);
        PQsendQueryParams(conn, "SELECT $1::int + 1", 1, NULL, values, NULL, NULL, 0);
    }
    PQpipelineSync(conn);
    PQsetnonblocking(conn, 0);
    PQflush(conn);
    for (n = 0; n < N; n++) {
        PGresult *r = next();
        snprintf(number, sizeof number, "%d", n + 1);
        if (r && PQresultStatus(r) == PGRES_TUPLES_OK && strcmp(PQgetvalue(r, 0, 0), number) == 0) good++;
        PQclear(r);
    }
    check("pipeline", good == N && next_status() == PGRES_PIPELINE_SYNC);

    /* Several syncs in flight; an error ends only its own part. */
    PQsendQueryParams(conn, "SELECT 1", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    PQsendQueryParams(conn, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(conn, "SELECT 2", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    PQsendQueryParams(conn, "SELECT 3", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    {
        int expected[] = {PGRES_TUPLES_OK, PGRES_PIPELINE_SYNC, PGRES_FATAL_ERROR, PGRES_PIPELINE_ABORTED,
                          PGRES_PIPELINE_SYNC, PGRES_TUPLES_OK, PGRES_PIPELINE_SYNC};
        int same = 1;
        for (n = 0; n < 7; n++) if (next_status() != expected[n]) same = 0;
        check("pipeline-error", same);
    }

    /* A named statement prepared, described and executed in one go. */
    PQsendPrepare(conn, "named", "SELECT $1::text", 1, NULL);
    PQsendDescribePrepared(conn, "named");
    values[0] = "seven";
    PQsendQueryPrepared(conn, "named", 1, values, NULL, NULL, 1);
    PQpipelineSync(conn);
    {
        int prepare = next_status(), describe = next_status();
        PGresult *r = next();
        int same = r && PQresultStatus(r) == PGRES_TUPLES_OK && strcmp(PQgetvalue(r, 0, 0), "seven") == 0;
        PQclear(r);
        check("pipeline-prepared", prepare == PGRES_COMMAND_OK && describe == PGRES_COMMAND_OK && same
                                       && next_status() == PGRES_PIPELINE_SYNC);
    }
    PQexitPipelineMode(conn);
}

static void refusals(void)
{
    PGresult *r = PQexec(conn, "DELETE FROM accounts");
    refused("refused", r);
    PQclear(r);

    r = PQprepare(conn, "bad", "DELETE FROM accounts", 0, NULL);
    refused("refused-prepare", r);
    PQclear(r);
    r = PQexecPrepared(conn, "bad", 0, NULL, NULL, NULL, 0);
    check("refused-prepare-unknown", strcmp(field(r, PG_DIAG_SQLSTATE), "26000") == 0);
    PQclear(r);

    PQclear(PQexec(conn, "BEGIN"));
    PQclear(PQexec(conn, "INSERT INTO notes(id, body) VALUES (9701, 'kept out')"));
    r = PQexec(conn, "DELETE FROM accounts");
    refused("refused-in-transaction", r);
    PQclear(r);
    check("failed-transaction", PQtransactionStatus(conn) == PQTRANS_INERROR);
    PQclear(PQexec(conn, "ROLLBACK"));

    PQenterPipelineMode(conn);
    PQsendQueryParams(conn, "INSERT INTO notes(id, body) VALUES (9702, 'kept out')", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(conn, "DELETE FROM accounts", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(conn, "INSERT INTO notes(id, body) VALUES (9703, 'kept out')", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    PQsendQueryParams(conn, "SELECT 4", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    {
        int first = next_status(), same;
        r = next();
        refused("refused-in-pipeline", r);
        PQclear(r);
        same = first == PGRES_COMMAND_OK && next_status() == PGRES_PIPELINE_ABORTED && next_status() == PGRES_PIPELINE_SYNC;
        r = next();
        same = same && value_is(r, "4") && next_status() == PGRES_PIPELINE_SYNC;
        check("pipeline-goes-on", same);
    }
    PQexitPipelineMode(conn);
    check("kept", value_is(PQexec(conn, "SELECT count(*) FROM accounts"), "100"));
    check("continues", value_is(PQexec(conn, "SELECT count(*) FROM notes WHERE id BETWEEN 9701 AND 9703"), "0"));
}

int main(void)
{
    PGresult *r;
    conn = PQconnectdb("channel_binding=disable application_name=libpq");
    if (PQstatus(conn) != CONNECTION_OK) { failed("connect", PQerrorMessage(conn)); return 1; }
    check("connect", value_is(PQexec(conn, "SELECT 1"), "1"));
    r = PQexec(conn, "SELECT g FROM generate_series(1,3) g");
    check("query", PQntuples(r) == 3);
    PQclear(r);
    {
        const char *values[1] = {"41"};
        PQclear(PQprepare(conn, "plus", "SELECT $1::int + 1", 1, NULL));
        check("prepared", value_is(PQexecPrepared(conn, "plus", 1, values, NULL, NULL, 0), "42"));
    }
    PQclear(PQexec(conn, "BEGIN"));
    PQclear(PQexec(conn, "INSERT INTO notes(id, body) VALUES (9700, 'libpq')"));
    PQclear(PQexec(conn, "ROLLBACK"));
    check("transaction", value_is(PQexec(conn, "SELECT count(*) FROM notes WHERE id = 9700"), "0"));

    PQclear(PQexec(conn, "BEGIN"));
    r = PQexec(conn, "COPY notes(id, body) FROM STDIN");
    if (PQresultStatus(r) == PGRES_COPY_IN) {
        PQputCopyData(conn, "9710\ta\n9711\tb\n", 14);
        PQputCopyEnd(conn, NULL);
    }
    PQclear(r);
    r = PQgetResult(conn);
    check("copy-in", strcmp(PQcmdTuples(r), "2") == 0);
    PQclear(r);
    while ((r = PQgetResult(conn))) PQclear(r);
    PQclear(PQexec(conn, "ROLLBACK"));

    /* COPY FROM STDIN by the extended protocol: libpq sends Sync before it knows that a COPY begins. */
    PQclear(PQexec(conn, "BEGIN"));
    r = PQexecParams(conn, "COPY notes(id, body) FROM STDIN", 0, NULL, NULL, NULL, NULL, 0);
    if (PQresultStatus(r) == PGRES_COPY_IN) {
        PQputCopyData(conn, "9712\tc\n", 7);
        PQputCopyEnd(conn, NULL);
    }
    PQclear(r);
    r = PQgetResult(conn);
    check("copy-in-extended", strcmp(PQcmdTuples(r), "1") == 0);
    PQclear(r);
    while ((r = PQgetResult(conn))) PQclear(r);
    PQclear(PQexec(conn, "ROLLBACK"));

    {
        char *buffer;
        int rows = 0, length;
        PQclear(PQexec(conn, "COPY (SELECT g FROM generate_series(1,3000) g) TO STDOUT"));
        while ((length = PQgetCopyData(conn, &buffer, 0)) > 0) { rows++; PQfreemem(buffer); }
        while ((r = PQgetResult(conn))) PQclear(r);
        check("copy-out", rows == 3000);
    }
    {
        int rows = 0;
        PQsendQuery(conn, "SELECT g FROM generate_series(1,500) g");
        PQsetSingleRowMode(conn);
        while ((r = PQgetResult(conn))) { if (PQresultStatus(r) == PGRES_SINGLE_TUPLE) rows++; PQclear(r); }
        check("single-row", rows == 500);
    }
    r = PQexec(conn, "SELECT nonesuch");
    check("error", strcmp(field(r, PG_DIAG_SQLSTATE), "42703") == 0);
    PQclear(r);
    {
        PGcancel *cancel = PQgetCancel(conn);
        char why[256];
        struct pollfd none;
        PQsendQuery(conn, "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b");
        PQflush(conn);
        poll(&none, 0, 500);
        PQcancel(cancel, why, sizeof why);
        PQfreeCancel(cancel);
        r = PQgetResult(conn);
        check("cancel", strcmp(field(r, PG_DIAG_SQLSTATE), "57014") == 0);
        PQclear(r);
        while ((r = PQgetResult(conn))) PQclear(r);
    }
    pipeline();
    if (!getenv("EXPECT_REFUSALS") || strcmp(getenv("EXPECT_REFUSALS"), "no") != 0) refusals();
    PQfinish(conn);
    printf("done\n");
    return 0;
}
