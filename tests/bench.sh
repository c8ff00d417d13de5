#!/usr/bin/env bash
# `make bench`: Siaga beside Debian's prometheus and victoria-metrics in one run, then PromQL and the agent alone.
# Each part is a program of the repository that can be run alone, with other sizes, as the printed command shows.
# Targets that are missed are marked; they do not fail the run.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release

part() {
    echo
    echo "== $1"
    shift
    echo "\$ $*"
    "$@"
}

for package in prometheus victoria-metrics; do
    command -v "$package" >/dev/null && continue
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus victoria-metrics >/dev/null
done

echo "machine: $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), kernel $(uname -r)"
cargo build --release --locked --quiet -p siaga-server -p siaga-tests --bins
cargo build --release --locked --quiet -p siaga-promql --examples
part "side by side: 200 hosts x 100 series, 15 s, 6 h" \
    "$target/siaga-bench" compare --siaga "$target/siaga-server"
part "side by side: 20 hosts" \
    "$target/siaga-bench" compare --siaga "$target/siaga-server" --hosts 20
part "side by side: 10 samples of a series in each request" \
    "$target/siaga-bench" compare --siaga "$target/siaga-server" --batch 10 --no-queries
part "memory at 20,000, 200,000 and 1,000,000 active series" \
    "$target/siaga-bench" scale --siaga "$target/siaga-server"
part "history: a year of one host, imported, settled and queried (make bench-history: of 50 hosts)" \
    "$target/siaga-bench" history --siaga "$target/siaga-server" --hosts 1 --days 365
part "PromQL: evaluation of range queries over samples in memory" \
    "$target/examples/range_speed"
part "agent beside node_exporter: memory, processor time a collection, size, spool (2000 collections)" \
    tests/bench-agent.sh 2000
