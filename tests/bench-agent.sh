#!/usr/bin/env bash
# What the agent costs, side by side with Debian's node_exporter in one run; the same as `make bench-agent`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make --no-print-directory bench-agent COLLECTIONS="${1:-10000}"
