import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** The JDBC driver: extended protocol with server-side prepared statements, fetch size, batches, COPY, cancel. */
public final class Jdbc {
    private static void line(String text) {
        System.out.println(text.replaceAll("\\s+", " "));
    }

    private static void check(String name, String expected, Callable<String> action) {
        try {
            String got = action.call();
            line(expected.equals(got) ? "ok " + name : "FAIL " + name + " expected " + expected + ", got " + got);
        } catch (Exception e) {
            line("FAIL " + name + " " + e);
        }
    }

    private static void refused(String name, Callable<SQLException> action) {
        try {
            SQLException e = action.call();
            if (!(e instanceof PSQLException) || ((PSQLException) e).getServerErrorMessage() == null) {
                line("FAIL " + name + " no server error: " + e);
                return;
            }
            ServerErrorMessage m = ((PSQLException) e).getServerErrorMessage();
            line("refused " + name + " " + m.getSQLState() + "|" + m.getMessage() + "|" + m.getDetail() + "|" + m.getHint());
        } catch (Exception e) {
            line("FAIL " + name + " " + e);
        }
    }

    private static String one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }

    private static SQLException failure(Connection c, String sql) {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
            return null;
        } catch (SQLException e) {
            return e;
        }
    }

    private static Connection connect() throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("ApplicationName", "jdbc");
        p.setProperty("prepareThreshold", "3");
        String mode = System.getenv("PGSSLMODE");
        if (mode == null || mode.equals("disable")) {
            p.setProperty("sslmode", "disable");
        } else {
            p.setProperty("sslmode", "verify-ca");
            p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, p);
    }

    public static void main(String[] arguments) throws Exception {
        Connection c = connect();
        check("connect", "1", () -> one(c, "SELECT 1"));
        check("query", "6", () -> {
            int sum = 0;
            try (PreparedStatement s = c.prepareStatement("SELECT g FROM generate_series(1, ?) g")) {
                s.setInt(1, 3);
                try (ResultSet r = s.executeQuery()) {
                    while (r.next()) sum += r.getInt(1);
                }
            }
            return Integer.toString(sum);
        });
        // Past prepareThreshold the driver names the statement on the server.
        check("prepared", "55", () -> {
            int sum = 0;
            try (PreparedStatement s = c.prepareStatement("SELECT ? + 1")) {
                for (int n = 0; n < 10; n++) {
                    s.setInt(1, n);
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        sum += r.getInt(1);
                    }
                }
            }
            return Integer.toString(sum);
        });
        check("transaction", "0", () -> {
            c.setAutoCommit(false);
            try (PreparedStatement s = c.prepareStatement("INSERT INTO notes(id, body) VALUES (?, ?)")) {
                s.setInt(1, 9601);
                s.setString(2, "jdbc");
                s.executeUpdate();
            }
            c.rollback();
            c.setAutoCommit(true);
            return one(c, "SELECT count(*) FROM notes WHERE id = 9601");
        });
        check("batch", "300", () -> {
            c.setAutoCommit(false);
            try (PreparedStatement s = c.prepareStatement("INSERT INTO notes(id, body) VALUES (?, ?)")) {
                for (int n = 0; n < 300; n++) {
                    s.setInt(1, 30000 + n);
                    s.setString(2, "batch");
                    s.addBatch();
                }
                s.executeBatch();
            }
            String n = one(c, "SELECT count(*) FROM notes WHERE id BETWEEN 30000 AND 30299");
            c.rollback();
            c.setAutoCommit(true);
            return n;
        });
        check("cursor", "500500", () -> {
            c.setAutoCommit(false);
            long sum = 0;
            try (Statement s = c.createStatement()) {
                s.setFetchSize(50); // a row-limited Execute of a named portal
                try (ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 1000) g")) {
                    while (r.next()) sum += r.getInt(1);
                }
            }
            c.commit();
            c.setAutoCommit(true);
            return Long.toString(sum);
        });
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        check("copy-in", "3 3", () -> {
            c.setAutoCommit(false);
            long rows = copy.copyIn("COPY notes(id, body) FROM STDIN", new StringReader("31000\ta\n31001\tb\n31002\tc\n"));
            String n = one(c, "SELECT count(*) FROM notes WHERE id BETWEEN 31000 AND 31002");
            c.rollback();
            c.setAutoCommit(true);
            return rows + " " + n;
        });
        check("copy-out", "2000", () -> {
            StringWriter out = new StringWriter();
            return Long.toString(copy.copyOut("COPY (SELECT g FROM generate_series(1, 2000) g) TO STDOUT", out));
        });
        check("error", "42703 7", () -> failure(c, "SELECT nonesuch").getSQLState() + " " + one(c, "SELECT 7"));
        check("cancel", "57014 8", () -> {
            try (Statement s = c.createStatement()) {
                Thread canceller = new Thread(() -> {
                    try {
                        Thread.sleep(500);
                        s.cancel();
                    } catch (Exception e) {
                        line("FAIL cancel " + e);
                    }
                });
                canceller.start();
                String state;
                try {
                    s.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b");
                    state = "not cancelled";
                } catch (SQLException e) {
                    state = e.getSQLState();
                }
                canceller.join();
                return state + " " + one(c, "SELECT 8");
            }
        });

        if (!"no".equals(System.getenv("EXPECT_REFUSALS"))) {
            refused("refused", () -> failure(c, "DELETE FROM accounts"));
            refused("refused-prepared", () -> {
                try (PreparedStatement s = c.prepareStatement("UPDATE accounts SET balance = ?")) {
                    s.setInt(1, 0);
                    s.executeUpdate();
                    return null;
                } catch (SQLException e) {
                    return e;
                }
            });
            refused("refused-in-transaction", () -> {
                c.setAutoCommit(false);
                SQLException before = failure(c, "INSERT INTO notes(id, body) VALUES (9602, 'kept out')");
                if (before != null) return before;
                SQLException refusal = failure(c, "DELETE FROM accounts");
                SQLException next = failure(c, "SELECT 1");
                c.rollback();
                c.setAutoCommit(true);
                return next != null && "25P02".equals(next.getSQLState()) ? refusal : next;
            });
            check("kept", "100", () -> one(c, "SELECT count(*) FROM accounts"));
            check("continues", "0", () -> one(c, "SELECT count(*) FROM notes WHERE id = 9602"));
        }
        c.close();
        line("done");
    }
}
