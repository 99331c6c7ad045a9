#!/usr/bin/env bash
# psql: simple protocol, COPY, cancel by SIGINT, refusals.
set -u
run() { "${PSQL:-psql}" -X -q -A -t -v VERBOSITY=verbose "$@" 2>&1; }
check() { # NAME EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1 expected \`$2\`, got \`${3//$'\n'/ ⏎ }\`"; fi
}
# The fields of a verbose error report, on one line.
refused() { # NAME OUTPUT
  local state message detail hint
  state=$(sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\): .*/\1/p' <<<"$2" | head -1)
  message=$(sed -n 's/.*ERROR:  [0-9A-Z]\{5\}: \(.*\)/\1/p' <<<"$2" | head -1)
  detail=$(sed -n 's/^DETAIL:  //p' <<<"$2" | head -1)
  hint=$(sed -n 's/^HINT:  //p' <<<"$2" | head -1)
  echo "refused $1 $state|$message|$detail|$hint"
}

check connect 1 "$(run -c 'SELECT 1')"
check query $'1\n2\n3' "$(run -c 'SELECT g FROM generate_series(1,3) g')"
check multi $'1\n2' "$(run -c 'SELECT 1; SELECT 2')"
check prepared $'5' "$(run -c 'PREPARE s(int) AS SELECT $1 + 2; EXECUTE s(3)')"
check transaction 0 "$(run <<'SQL'
BEGIN;
INSERT INTO notes(id, body) VALUES (9001, 'psql');
ROLLBACK;
SELECT count(*) FROM notes WHERE id = 9001;
SQL
)"
check copy-in 2 "$(run <<'SQL'
BEGIN;
COPY notes(id, body) FROM STDIN;
9002	one
9003	two
\.
SELECT count(*) FROM notes WHERE id IN (9002, 9003);
ROLLBACK;
SQL
)"
check copy-out $'1\n2' "$(run -c 'COPY (SELECT g FROM generate_series(1,2) g) TO STDOUT')"
check error 42703 "$(run -c 'SELECT nonesuch' | sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\): .*/\1/p')"
check continues-after-error 7 "$(run <<'SQL' 2>&1 | tail -1
SELECT nonesuch;
SELECT 7;
SQL
)"
# psql sends a CancelRequest on SIGINT; `timeout` sends that one.
started=$SECONDS
cancelled=$(timeout --foreground -s INT -k 20 1 "${PSQL:-psql}" -X -q -A -t -v VERBOSITY=verbose -c 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b' 2>&1)
check cancel '57014 soon' "$(sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\): .*/\1/p' <<<"$cancelled") $([ $((SECONDS - started)) -lt 15 ] && echo soon)"

if [ "${EXPECT_REFUSALS:-yes}" = yes ]; then
  refused refused "$(run -c 'DELETE FROM accounts')"
  output=$(run <<'SQL'
BEGIN;
INSERT INTO notes(id, body) VALUES (9004, 'kept out');
DELETE FROM accounts;
SELECT 1;
ROLLBACK;
SELECT count(*) FROM notes WHERE id = 9004;
SQL
)
  refused refused-in-transaction "$output"
  check failed-transaction yes "$(grep -q 25P02 <<<"$output" && echo yes)"
  check continues 0 "$(tail -1 <<<"$output")"
  check kept 100 "$(run -c 'SELECT count(*) FROM accounts')"
fi
echo done
