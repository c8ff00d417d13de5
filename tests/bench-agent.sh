#!/usr/bin/env bash
# `make bench-agent`: the agent's own cost. A running agent's memory is measured on a real process.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet -p siaga-agent --examples
target/release/examples/bench_agent 2000
ls -l target/release/siaga-agent | awk '{print "binary " $5 " bytes"}'
