#!/usr/bin/env bash
# The servers' own suites through sqlward under a policy that allows and records everything, and
# the audit of those runs against the server's record. `make conformance` calls this.
#
#   tests/conformance/run.sh [--direct] [regress|isolation|libpq_pipeline]…       PostgreSQL's
#   tests/conformance/run.sh [--direct|--blind] mtr[-ps-protocol|-compress|-cursor-protocol]…  MariaDB's
#   SHORT=1 for a part of the suites; --direct runs them on the server itself, --blind through a
#   byte-blind forwarder.
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *\ mtr*) ;; *) tests/conformance/build.sh ;; esac

# The server that the suites were made for, where that is not the system's.
beside=$PWD/build/conformance/server/usr/lib/postgresql/15/bin
if [ -x "$beside/postgres" ]; then
  # The server runs as another user, who may not be able to read this folder.
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  chmod 755 "$copy"
  cp -a build/conformance/server/usr "$copy/"
  export SQLWARD_PG_BIN=$copy/usr/lib/postgresql/15/bin
fi
options=()
[ -n "${SHORT:-}" ] && options+=(--short)
"${CARGO_TARGET_DIR:-target}/${PROFILE:-release}/conformance" "${options[@]}" "$@"
