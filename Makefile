# Each target does all of its own set-up; .ci/run calls these and nothing else.
#
#   make demo           a real PostgreSQL, sqlward in front, a refused statement and its audit record
#                       (ENGINE=mysql or ENGINE=mariadb: those)
#   make test           every test of the workspace
#   make lint           formatting, clippy, the arrows between the crates
#   make conformance    PostgreSQL's and MariaDB's own test suites through sqlward (SHORT=1: a part of them)
#   make statements     what the MySQL and MariaDB servers say of the statements in their own suites, and
#                       how many of them sqlward reads
#   make differential   1,000,000 generated statements for each engine: what the servers lock for them against
#                       what sqlward reads in them (SHORT=1: 20,000)
#   make faults         every row of docs/audit-contract.md: kill -9 under load, disks without room, damage, clocks that
#                       step, and long mixed traffic, against the server's own record (SHORT=1: a few minutes)
#   make bench-audit    the audit at scale: 50 million statements (SHORT=1: one million)
#   make sqlmap         sqlmap against a vulnerable shop: every technique and page, and tamper scripts, with and
#                       without sqlward (SHORT=1: as in `make test`)
#   make corpora        what the packs say of the corpora in $SQLWARD_CORPORA
#   make bench          micro benches and the side-by-side bench (SHORT=1: a smoke run)
#   make fuzz           libFuzzer, three minutes a target, where cargo-fuzz is installed (`tools/setup.sh fuzz`
#                       builds it; libFuzzer's flags need RUSTC_BOOTSTRAP on stable); without: deterministic runs

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := test
.PHONY: setup setup-conformance demo test lint bench bench-audit fuzz conformance statements differential faults sqlmap corpora

CARGO ?= cargo
SHORT ?=
ENGINE ?=

setup:
	tools/setup.sh

setup-conformance:
	tools/setup.sh build server mysql conformance

demo:
	tools/setup.sh build $(if $(ENGINE),mysql,server)
	$(CARGO) run --release -p sqlward-cli -- demo $(if $(ENGINE),--engine $(ENGINE))

# nextest when it is there: each test in its own process, slow ones side by side.
test: setup
	$(CARGO) build --workspace --bins
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --workspace --no-fail-fast; \
	else \
	  $(CARGO) test --workspace --no-fail-fast; \
	fi

lint:
	tools/setup.sh build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test -p sqlward-tests --test layering

conformance: setup-conformance
	$(CARGO) build --release -p sqlward-cli -p sqlward-tests --bins
	SHORT=$(SHORT) tests/conformance/run.sh
	SHORT=$(SHORT) tests/conformance/run.sh mtr
	$(if $(SHORT),,tests/conformance/run.sh mtr-ps-protocol mtr-compress mtr-cursor-protocol)

statements: setup-conformance
	$(CARGO) build --release -p sqlward-cli -p sqlward-tests --bins
	for product in mysql-9 mariadb-10.11; do \
	  $${CARGO_TARGET_DIR:-target}/release/mysql-statements ask $$product; \
	  $${CARGO_TARGET_DIR:-target}/release/mysql-statements score $$product; \
	done

differential: setup
	SQLWARD_DIFFERENTIAL=$(if $(SHORT),20000,1000000) \
	  nice -n 19 $(CARGO) test --release -p sqlward-tests --test differential -- --nocapture

faults: setup
	$(CARGO) build --workspace --bins
	SQLWARD_KILLS=$(if $(SHORT),5,100) SQLWARD_STATEMENTS=$(if $(SHORT),5000,52000) \
	  $(CARGO) test -p sqlward-tests --test faults -- --nocapture

sqlmap: setup
	$(CARGO) build --workspace --bins
	SQLWARD_SQLMAP=$(if $(SHORT),short,long) $(CARGO) test -p sqlward-tests --test sqlmap -- --nocapture --test-threads 1

corpora:
	tools/setup.sh build
	$(CARGO) run --release -p sqlward-policy --example corpora -- $${SQLWARD_CORPORA:-../shared/corpora} \
	  rules/baseline rules/injection

bench: setup
	$(CARGO) build --release -p sqlward-cli -p sqlward-benches --bins
	$(CARGO) bench -p sqlward-benches --bench wire --bench policy --bench journal $(if $(SHORT),-- --test)
	SHORT=$(SHORT) $${CARGO_TARGET_DIR:-target}/release/side-by-side
	SHORT=$(SHORT) $${CARGO_TARGET_DIR:-target}/release/side-by-side mariadb-10.11

bench-audit:
	tools/setup.sh build
	$(CARGO) build --release -p sqlward-benches --bin audit-scale
	$${CARGO_TARGET_DIR:-target}/release/audit-scale $(if $(SHORT),1000000)

fuzz:
	tools/setup.sh build
	if $(CARGO) fuzz --version >/dev/null 2>&1; then \
	  for target in $$(cd fuzz && $(CARGO) fuzz list); do \
	    (cd fuzz && RUSTC_BOOTSTRAP=1 nice -n 19 $(CARGO) fuzz run "$$target" -- \
	      -max_total_time=$(if $(SHORT),20,180) -max_len=8192 -rss_limit_mb=4096); \
	  done; \
	else \
	  SQLWARD_FUZZ_ROUNDS=$(if $(SHORT),20000,500000) $(CARGO) test --workspace fuzz; \
	fi
