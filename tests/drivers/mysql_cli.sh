#!/usr/bin/env bash
# The command-line client of MySQL or MariaDB: text protocol, local files, KILL QUERY by SIGINT.
#
# DB_CLIENT is the program, DB_CLIENT_PLUGINS its folder of authentication plugins.
set -u
options=(--no-defaults --protocol=tcp --host="$DB_HOST" --port="$DB_PORT" --user="$DB_USER" --password="$DB_PASSWORD"
  --batch --skip-column-names --local-infile=1 --max-allowed-packet=128M --default-character-set=utf8mb4)
[ -n "${DB_CLIENT_PLUGINS:-}" ] && options+=(--plugin-dir="$DB_CLIENT_PLUGINS")
mariadb=
case $("$DB_CLIENT" --no-defaults --version) in *MariaDB*) mariadb=yes ;; esac
if [ -n "${DB_TLS_CA:-}" ]; then
  options+=(--ssl-ca="$DB_TLS_CA")
  if [ -n "$mariadb" ]; then options+=(--ssl-verify-server-cert); else options+=(--ssl-mode=VERIFY_CA); fi
elif [ -n "$mariadb" ]; then options+=(--skip-ssl)
else options+=(--ssl-mode=DISABLED --get-server-public-key)
fi
run() { "$DB_CLIENT" "${options[@]}" "$@" "$DB_NAME" 2>&1 | grep -v 'password on the command line'; }
check() { # NAME EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1 expected \`$2\`, got \`$(head -c 300 <<<"${3//$'\n'/ ⏎ }")\`"; fi
}
# ERROR 1227 (42000) at line 1: message
refused() { # NAME OUTPUT
  local errno state message
  errno=$(sed -n 's/^ERROR \([0-9]*\) (.*/\1/p' <<<"$2" | head -1)
  state=$(sed -n 's/^ERROR [0-9]* (\([0-9A-Z]*\)).*/\1/p' <<<"$2" | head -1)
  message=$(sed -n 's/^ERROR [0-9]* ([0-9A-Z]*)[^:]*: \(.*\)/\1/p' <<<"$2" | head -1)
  echo "refused $1 $state|$message|$errno|"
}

check connect 1 "$(run -e 'SELECT 1')"
check tls "${DB_TLS_CA:+yes}" "$(run -e "SHOW STATUS LIKE 'Ssl_cipher'" | awk 'NF > 1 { print "yes" }')"
check query $'1\n2\n3' "$(run -e 'SELECT id FROM accounts WHERE id <= 3 ORDER BY id')"
check unicode 'größe 長い 🙂' "$(run -e "SELECT 'größe 長い 🙂'")"
check prepared 5 "$(run -e "SET @a = 4; PREPARE s FROM 'SELECT id + 1 FROM accounts WHERE id = ?'; EXECUTE s USING @a")"
# With a delimiter of its own the client sends all of it as one COM_QUERY.
check multi $'1\n2\n3' "$(run --delimiter=// -e 'SELECT 1; SELECT 2; SELECT 3//')"
check transaction 0 "$(run <<'SQL'
START TRANSACTION;
INSERT INTO notes(id, body) VALUES (9001, 'a'), (9002, 'b');
ROLLBACK;
SELECT count(*) FROM notes WHERE id IN (9001, 9002);
SQL
)"
file=$(mktemp)
trap 'rm -f "$file"' EXIT
for n in $(seq 9200 10199); do printf '%s\trow\n' "$n"; done >"$file"
check local-infile 1000 "$(run <<SQL
START TRANSACTION;
LOAD DATA LOCAL INFILE '$file' INTO TABLE notes;
SELECT count(*) FROM notes WHERE id BETWEEN 9200 AND 10199;
ROLLBACK;
SQL
)"
large=17825792
check large-up $large "$({ printf "SELECT length('"; head -c $large /dev/zero | tr '\0' x; printf "');\n"; } | run)"
check large-down $((large + 1)) "$(run -e "SELECT repeat('y', $large)" | wc -c)"
check error 1054 "$(run -e 'SELECT nonesuch' | sed -n 's/^ERROR \([0-9]*\) .*/\1/p')"
check continues-after-error 7 "$(run --force <<'SQL' | tail -1
SELECT nonesuch;
SELECT 7;
SQL
)"
# The client sends KILL QUERY over a connection of its own on SIGINT; `timeout` sends that one.
endless='SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0'
started=$SECONDS
cancelled=$(timeout --foreground -s INT -k 20 1 "$DB_CLIENT" "${options[@]}" --sigint-ignore=0 -e "$endless" "$DB_NAME" 2>&1)
check cancel '1317 soon' "$(sed -n 's/^ERROR \([0-9]*\) .*/\1/p' <<<"$cancelled") $([ $((SECONDS - started)) -lt 15 ] && echo soon)"

if [ "${EXPECT_REFUSALS:-yes}" = yes ]; then
  refused refused "$(run -e 'DELETE FROM accounts')"
  refused refused-in-multi "$(run --delimiter=// -e 'SELECT 1; DELETE FROM accounts; SELECT 2//')"
  refused refused-prepared "$(run -e "PREPARE s FROM 'UPDATE accounts SET balance = ?'")"
  output=$(run --force <<'SQL'
START TRANSACTION;
INSERT INTO notes(id, body) VALUES (9003, 'kept by the transaction');
DELETE FROM accounts;
SELECT concat('inside ', count(*)) FROM notes WHERE id = 9003;
ROLLBACK;
SELECT count(*) FROM notes WHERE id = 9003;
SQL
)
  refused refused-in-transaction "$output"
  check transaction-open 'inside 1' "$(grep inside <<<"$output")"
  check continues 0 "$(tail -1 <<<"$output")"
  check kept $'100\t100000' "$(run -e 'SELECT count(*), sum(balance) FROM accounts')"
fi
echo done
