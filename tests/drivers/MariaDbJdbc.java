import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.mariadb.jdbc.MariaDbStatement;

/** MariaDB Connector/J: text and binary protocol, batches, cursors, several results, local files, cancel. */
public final class MariaDbJdbc {
    private static final int LARGE = 17 << 20;
    private static final String ENDLESS = "SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0";

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
            line(e == null ? "FAIL " + name + " the statement was not refused"
                : "refused " + name + " " + e.getSQLState() + "|" + e.getMessage() + "|" + e.getErrorCode() + "|");
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
            boolean rows = s.execute(sql);
            while (rows || s.getUpdateCount() != -1) rows = s.getMoreResults();
            return null;
        } catch (SQLException e) {
            return e;
        }
    }

    private static Connection connect(boolean binary) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("DB_USER"));
        p.setProperty("password", System.getenv("DB_PASSWORD"));
        p.setProperty("allowMultiQueries", "true");
        p.setProperty("allowLocalInfile", "true");
        p.setProperty("allowPublicKeyRetrieval", "true");
        p.setProperty("maxAllowedPacket", "134217728");
        p.setProperty("useServerPrepStmts", Boolean.toString(binary));
        String authority = System.getenv("DB_TLS_CA");
        if (authority != null && !authority.isEmpty()) {
            p.setProperty("useSsl", "true");
            p.setProperty("serverSslCert", authority);
        }
        String url = "jdbc:mariadb://" + System.getenv("DB_HOST") + ":" + System.getenv("DB_PORT") + "/" + System.getenv("DB_NAME");
        return DriverManager.getConnection(url, p);
    }

    private static String sum(Connection c) throws SQLException {
        int sum = 0;
        try (PreparedStatement s = c.prepareStatement("SELECT id + 1 FROM accounts WHERE id = ?")) {
            for (int n = 1; n <= 10; n++) {
                s.setInt(1, n);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    sum += r.getInt(1);
                }
            }
        }
        return Integer.toString(sum);
    }

    private static String batch(Connection c) throws SQLException {
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
    }

    public static void main(String[] arguments) throws Exception {
        Connection c = connect(false);
        Connection b = connect(true);
        String encrypted = System.getenv("DB_TLS_CA") == null || System.getenv("DB_TLS_CA").isEmpty() ? "no" : "yes";
        check("connect", "1", () -> one(c, "SELECT 1"));
        check("tls", encrypted, () -> {
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SHOW STATUS LIKE 'Ssl_cipher'")) {
                r.next();
                return r.getString(2).isEmpty() ? "no" : "yes";
            }
        });
        check("query", "65", () -> sum(c));
        check("prepared", "65", () -> sum(b));
        check("unicode", "größe 長い 🙂", () -> one(c, "SELECT 'größe 長い 🙂'"));
        check("batch", "300", () -> batch(c));
        // Against MariaDB this is one COM_STMT_BULK_EXECUTE.
        check("batch-prepared", "300", () -> batch(b));
        check("multi", "1 2 3", () -> {
            StringBuilder out = new StringBuilder();
            try (Statement s = c.createStatement()) {
                boolean rows = s.execute("SELECT 1; SELECT 2; SELECT 3");
                while (rows) {
                    try (ResultSet r = s.getResultSet()) {
                        r.next();
                        out.append(r.getInt(1)).append(' ');
                    }
                    rows = s.getMoreResults();
                }
            }
            return out.toString().trim();
        });
        check("transaction", "0", () -> {
            c.setAutoCommit(false);
            failure(c, "INSERT INTO notes(id, body) VALUES (9601, 'jdbc')");
            c.rollback();
            c.setAutoCommit(true);
            return one(c, "SELECT count(*) FROM notes WHERE id = 9601");
        });
        check("cursor", "5050", () -> {
            long sum = 0;
            try (PreparedStatement s = b.prepareStatement("SELECT id FROM accounts ORDER BY id")) {
                s.setFetchSize(10);
                try (ResultSet r = s.executeQuery()) {
                    while (r.next()) sum += r.getInt(1);
                }
            }
            return Long.toString(sum);
        });
        check("local-infile", "3 3", () -> {
            c.setAutoCommit(false);
            int rows;
            try (Statement s = c.createStatement()) {
                s.unwrap(MariaDbStatement.class).setLocalInfileInputStream(
                    new ByteArrayInputStream("31000\ta\n31001\tb\n31002\tc\n".getBytes(StandardCharsets.UTF_8)));
                rows = s.executeUpdate("LOAD DATA LOCAL INFILE 'given' INTO TABLE notes");
            }
            String n = one(c, "SELECT count(*) FROM notes WHERE id BETWEEN 31000 AND 31002");
            c.rollback();
            c.setAutoCommit(true);
            return rows + " " + n;
        });
        check("large-up", Integer.toString(LARGE), () -> {
            try (PreparedStatement s = b.prepareStatement("SELECT length(?)")) {
                s.setString(1, "x".repeat(LARGE));
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    return r.getString(1);
                }
            }
        });
        check("large-down", Integer.toString(LARGE), () -> Integer.toString(one(c, "SELECT repeat('y', " + LARGE + ")").length()));
        check("error", "1054 7", () -> failure(c, "SELECT nonesuch").getErrorCode() + " " + one(c, "SELECT 7"));
        check("cancel", "1317 8", () -> {
            try (Statement s = c.createStatement()) {
                Thread canceller = new Thread(() -> {
                    try {
                        Thread.sleep(500);
                        s.cancel(); // KILL QUERY over a connection of its own
                    } catch (Exception e) {
                        line("FAIL cancel " + e);
                    }
                });
                canceller.start();
                String code;
                try {
                    s.execute(ENDLESS);
                    code = "not cancelled";
                } catch (SQLException e) {
                    code = Integer.toString(e.getErrorCode());
                }
                canceller.join();
                return code + " " + one(c, "SELECT 8");
            }
        });

        if (!"no".equals(System.getenv("EXPECT_REFUSALS"))) {
            refused("refused", () -> failure(c, "DELETE FROM accounts"));
            refused("refused-in-multi", () -> failure(c, "SELECT 1; DELETE FROM accounts; SELECT 2"));
            refused("refused-prepared", () -> {
                try (PreparedStatement s = b.prepareStatement("UPDATE accounts SET balance = ?")) {
                    s.setInt(1, 0);
                    s.executeUpdate();
                    return null;
                } catch (SQLException e) {
                    return e;
                }
            });
            refused("refused-in-transaction", () -> {
                c.setAutoCommit(false);
                SQLException before = failure(c, "INSERT INTO notes(id, body) VALUES (9602, 'kept by the transaction')");
                if (before != null) return before;
                SQLException refusal = failure(c, "DELETE FROM accounts");
                String seen = one(c, "SELECT count(*) FROM notes WHERE id = 9602");
                c.rollback();
                c.setAutoCommit(true);
                if (!"1".equals(seen)) throw new IllegalStateException("the transaction is gone");
                return refusal;
            });
            check("kept", "100", () -> one(c, "SELECT count(*) FROM accounts WHERE balance = 1000"));
            check("continues", "0", () -> one(c, "SELECT count(*) FROM notes WHERE id = 9602"));
        }
        b.close();
        c.close();
        line("done");
    }
}
