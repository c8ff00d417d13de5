#!/usr/bin/env bash
# `make bench`: ingest rate, bytes a sample, query latency, and the agent's memory and processor time a collection.
# Each part is a program of the repository that can be run alone, with other sizes, as the printed command shows.
set -euo pipefail
cd "$(dirname "$0")/.."

part() {
    echo
    echo "== $1"
    shift
    echo "\$ $*"
    "$@"
}

echo "machine: $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), kernel $(uname -r)"
cargo build --release --locked --quiet -p siaga-tsdb -p siaga-promql --examples
part "store: ingest rate, bytes a sample, select latency (200 hosts x 100 series, 15 s, 6 h)" \
    target/release/examples/bench_store 200 6
part "PromQL: evaluation of range queries over samples in memory" \
    target/release/examples/range_speed
part "agent beside node_exporter: memory, processor time a collection, size, spool (2000 collections)" \
    tests/bench-agent.sh 2000
part "server: remote write over HTTP, durable before the answer" \
    tests/bench-http.sh
