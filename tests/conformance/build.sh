#!/usr/bin/env bash
# Builds PostgreSQL's own regression, isolation and libpq_pipeline suites from the Debian source
# under build/conformance (see tools/setup.sh conformance). Does nothing when they are built.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/build/conformance
stamp=$work/built.stamp
cmp -s "$work/source/sqlward.stamp" "$stamp" && exit 0

tree=$(echo "$work"/source/postgresql-15-*/)
tree=${tree%/}
jobs=${JOBS:-2}
echo "conformance: building the suites of $(basename "$tree") (a few minutes)"
cd "$tree"
./configure --silent --without-readline --without-zlib --without-icu >"$work/build.log" 2>&1
{
  make -s -j"$jobs" -C src/backend generated-headers
  make -s -j"$jobs" -C src/port
  make -s -j"$jobs" -C src/common
  make -s -j"$jobs" -C src/interfaces/libpq
  make -s -j"$jobs" -C src/test/regress
  make -s -j"$jobs" -C src/test/isolation
  make -s -j"$jobs" -C contrib/spi
  make -s -j"$jobs" -C src/test/modules/libpq_pipeline
} >>"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
cp contrib/spi/*.so src/test/regress/
cp "$work/source/sqlward.stamp" "$stamp"
