#!/usr/bin/env bash
# Installs what sqlward's build, demo, tests and benches need and this machine lacks.
#
#   tools/setup.sh [GROUP…]     groups: build server newer mysql clickhouse drivers bench conformance
#                               fuzz; without a group: build server newer mysql clickhouse drivers bench
#
# Everything comes from the Debian registry that the machine's own apt names, the Python and Node
# drivers from the registries that its pip and npm name; so does ClickHouse's engine. What is there already is left alone,
# no service is started and no database cluster is made. Drivers, sources, the engine and the MySQL and
# MariaDB servers go to build/.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p build

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- what each group needs: a probe, and the package that makes it succeed -----------------------

have_command() { command -v "$1" >/dev/null 2>&1; }
have_file() { compgen -G "$1" >/dev/null; }

have_python_headers() {
  python3 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null
}

needs=()
need() { # PACKAGE PROBE ARGUMENT
  "$2" "$3" || needs+=("$1")
}

need_build() {
  need build-essential have_command cc
  need make have_command make
  need pkg-config have_command pkg-config
  # Not libclang-cpp, which is another library.
  have_file '/usr/lib/llvm-*/lib/libclang[-.][s0-9]*' || have_file '/usr/lib/*/libclang[-.][s0-9]*' \
    || needs+=(libclang-dev)
}

need_server() {
  need postgresql-15 have_file /usr/lib/postgresql/15/bin/postgres
  need postgresql-client-15 have_file /usr/lib/postgresql/15/bin/psql
}

# MariaDB 10.11 and 11.8 and MySQL 9 run beside the system, whatever its own release has.
need_mysql() { need_beside; }

# PostgreSQL 18, for protocol 3.2 and direct TLS.
need_newer() { need_beside; }

need_beside() {
  need debian-archive-keyring have_file /usr/share/keyrings/debian-archive-keyring.gpg
  need perl have_command perl
  need_venv
}

need_venv() {
  need python3 have_command python3
  python3 -c 'import venv, ensurepip' 2>/dev/null || needs+=(python3-venv)
}

need_drivers() {
  need libpq-dev have_file '/usr/include/*/libpq-fe.h'
  need_venv
  # mysqlclient is built here.
  need libmariadb-dev have_file '/usr/include/mariadb/mysql.h'
  need python3-dev have_python_headers ''
  need build-essential have_command cc
  need pkg-config have_command pkg-config
  need nodejs have_command node
  need npm have_command npm
  need default-jdk-headless have_command javac
  need libpostgresql-jdbc-java have_file /usr/share/java/postgresql.jar
  need libmariadb-java have_file /usr/share/java/mariadb-java-client.jar
}

need_clickhouse() {
  need nodejs have_command node
  need npm have_command npm
  need openssl have_command openssl
}

need_bench() {
  need pgbouncer have_file /usr/sbin/pgbouncer
  need postgresql-15 have_file /usr/lib/postgresql/15/bin/pgbench
  need sysbench have_command sysbench
  need haproxy have_file /usr/sbin/haproxy
}

# Only when asked for: the fuzzer's own command, built from its crate.
need_fuzz() {
  need_build
  need build-essential have_command c++
}

need_conformance() {
  need build-essential have_command cc
  need dpkg-dev have_command dpkg-source
  need bison have_command bison
  need flex have_command flex
  need socat have_command socat
  need_mysql
}

# --- apt -----------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif have_command sudo; then sudo "$@"
  else fail "root or sudo is needed to run: $*"; fi
}

# Files that keep package scripts from starting services; removed again by `undo`.
guards=()
undo() {
  local path
  for path in "${guards[@]}"; do as_root rm -f "$path"; done
}
trap undo EXIT

guard() { # PATH CONTENT MODE
  [ -e "$1" ] && return
  as_root mkdir -p "$(dirname "$1")"
  printf '%s\n' "$2" | as_root tee "$1" >/dev/null
  as_root chmod "$3" "$1"
  guards+=("$1")
}

install_missing() {
  [ ${#needs[@]} -eq 0 ] && return
  local packages
  packages=$(printf '%s\n' "${needs[@]}" | sort -u | tr '\n' ' ')
  say "installing: $packages"
  guard /usr/sbin/policy-rc.d $'#!/bin/sh\nexit 101' 755
  guard /etc/postgresql-common/createcluster.d/sqlward.conf 'create_main_cluster = false' 644
  as_root apt-get -q -o DPkg::Lock::Timeout=300 update
  # shellcheck disable=SC2086 # one word per package
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $packages
}

# --- servers beside the system -----------------------------------------------------------------------

newer_postgres() {
  tools/beside.sh build/beside/postgresql-18 sid postgresql-18=18 postgresql-client-18
}

mysql_servers() {
  tools/beside.sh build/beside/mysql-9 sid mysql-server-core=9 mysql-client-core
  # Plugins of MariaDB (ed25519, PARSEC, server_audit) come in the package with the init scripts.
  local release
  for release in 10.11:bookworm 11.8:trixie; do
    tools/beside.sh "build/beside/mariadb-${release%:*}" "${release#*:}" \
      "mariadb-server-core=${release%:*}" mariadb-client-core libpam0g --alone mariadb-server
  done
}

# The servers' own test suites: MariaDB's runs, and the statements of both are asked of the servers.
mysql_suites() {
  tools/beside.sh build/beside/mtr-10.11 bookworm \
    mariadb-server-core=10.11 mariadb-client-core libpam0g libpcre2-posix3 \
    --alone mariadb-server mariadb-client mariadb-test mariadb-test-data
  tools/beside.sh build/beside/mysql-testsuite sid \
    mysql-server-core=9 mysql-client-core --alone mysql-testsuite
}

# ClickHouse's engine with its own HTTP and TCP handlers, as the npm package of chDB has it.
clickhouse_engine() {
  local package='@chdb/lib-linux-x64-gnu@26.7.3-stable.1' dir=build/clickhouse
  local pin='XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=='
  [ "$(cat "$dir/sqlward.stamp" 2>/dev/null)" = "$pin" ] && [ -f "$dir/libchdb.so" ] && return
  say "ClickHouse's engine ($package) into $dir"
  rm -rf "$dir"
  mkdir -p "$dir"
  (cd "$dir" && npm pack --silent "$package" >/dev/null)
  local archive
  archive=$(echo "$dir"/*.tgz)
  [ "$(openssl dgst -sha512 -binary "$archive" | openssl base64 -A)" = "$pin" ] \
    || fail "$archive is not the package that was pinned"
  tar -xzf "$archive" -C "$dir" --strip-components=1 package/libchdb.so
  rm "$archive"
  printf '%s\n' "$pin" >"$dir/sqlward.stamp"
}

# --- drivers -------------------------------------------------------------------------------------

# A stamp that holds the list it was made from says that a folder of drivers is complete.
fresh() { [ -f "$1" ] && cmp -s "$1" "$2"; }

python_drivers() {
  local list=tests/drivers/requirements.txt stamp=build/venv/sqlward.stamp
  fresh "$stamp" "$list" && return
  say "Python drivers into build/venv: $(grep -v '^#' "$list" | tr '\n' ' ')"
  python3 -m venv --clear build/venv
  build/venv/bin/pip install --quiet --requirement "$list"
  cp "$list" "$stamp"
}

node_drivers() {
  local list=tests/drivers/package.json stamp=build/node/sqlward.stamp
  fresh "$stamp" "$list" && return
  say "Node drivers into build/node"
  mkdir -p build/node
  cp "$list" build/node/package.json
  (cd build/node && npm install --silent --no-audit --no-fund --no-package-lock)
  cp "$list" "$stamp"
}

# --- the fuzzer -----------------------------------------------------------------------------------

cargo_fuzz() {
  cargo fuzz --version >/dev/null 2>&1 && return
  say "cargo-fuzz, built from its crate"
  cargo install --quiet --locked cargo-fuzz
}

# --- the server's own source, for its test suites ------------------------------------------------

# The source of exactly the installed version; where the registry no longer has that one, the newest
# it has, together with the server binaries of the same version, unpacked beside the system's.
postgres_source() {
  local installed dir=build/conformance/source lists=build/conformance/apt
  installed=$(dpkg-query -W -f '${Version}' postgresql-15)
  [ "$(cat "$dir/sqlward.stamp" 2>/dev/null)" = "$installed" ] && return
  rm -rf "$dir" "$lists" build/conformance/server
  mkdir -p "$dir" "$lists"/{lists/partial,cache/archives/partial,parts}
  apt_sources >"$lists/sources.list"
  local options=(
    -o "Dir::Etc::sourcelist=$root/$lists/sources.list" -o "Dir::Etc::sourceparts=$root/$lists/parts"
    -o "Dir::State::lists=$root/$lists/lists" -o "Dir::Cache=$root/$lists/cache"
    -o Acquire::Languages=none
  )
  [ "$(id -u)" -eq 0 ] && options+=(-o APT::Sandbox::User=root)
  apt-get -q "${options[@]}" update
  local version
  while read -r version; do
    say "source of postgresql-15 $version into $dir"
    if (cd "$dir" && apt-get -q "${options[@]}" source "postgresql-15=$version"); then
      [ "$version" = "$installed" ] || server_beside "$version"
      printf '%s\n' "$installed" >"$dir/sqlward.stamp"
      return
    fi
  done < <(echo "$installed"
    apt-cache "${options[@]}" showsrc postgresql-15 | sed -n 's/^Version: //p' | sort -rVu \
      | grep -Fxv "$installed")
  fail "no source of postgresql-15 can be fetched"
}

server_beside() { # VERSION
  say "server binaries of postgresql-15 $1 into build/conformance/server"
  mkdir -p build/conformance/server
  (cd build/conformance/server
    apt-get -q download "postgresql-15=$1" "postgresql-client-15=$1"
    for package in *.deb; do dpkg-deb -x "$package" .; done)
}

# The machine's own sources, as deb-src lines.
apt_sources() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] && sed -n 's/^deb /deb-src /p' "$file"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && perl -00 -ne '
      my %f; for (split /\n/) { $f{lc $1} = $2 if /^(\w[\w-]*):\s*(.*)/ }
      next if lc($f{enabled} // "yes") eq "no";
      my $o = $f{"signed-by"} ? " [signed-by=" . $f{"signed-by"} . "]" : "";
      for my $u (split " ", $f{uris} // "") { for my $s (split " ", $f{suites} // "") {
        print "deb-src$o $u $s " . ($f{components} // "") . "\n" } }' "$file"
  done
  true
}

# --- main ----------------------------------------------------------------------------------------

groups=("$@")
[ ${#groups[@]} -eq 0 ] && groups=(build server newer mysql clickhouse drivers bench)
for group in "${groups[@]}"; do
  case $group in
    build | server | newer | mysql | clickhouse | drivers | bench | conformance | fuzz) "need_$group" ;;
    *) fail "unknown group \`$group\`: build, server, newer, mysql, clickhouse, drivers, bench, conformance or fuzz" ;;
  esac
done
install_missing
for group in "${groups[@]}"; do
  case $group in
    drivers) python_drivers; node_drivers ;;
    newer) newer_postgres ;;
    fuzz) cargo_fuzz ;;
    mysql) mysql_servers ;;
    clickhouse) clickhouse_engine ;;
    conformance) postgres_source; mysql_suites ;;
  esac
done
have_command cargo || fail "no Rust toolchain: install one with rustup first"
say "complete: ${groups[*]}"
