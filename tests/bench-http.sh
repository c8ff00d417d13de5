#!/usr/bin/env bash
# Remote write and queries over HTTP against a server of its own, on loopback, with data in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=target/release
folder=$(mktemp -d)
port=${SIAGA_BENCH_PORT:-18487}
cat >"$folder/server.toml" <<TOML
[http]
listen = "127.0.0.1:$port"
[storage]
data_dir = "$folder/data"
[rules]
defaults = false
TOML
"$bin/siaga-server" serve --config "$folder/server.toml" 2>"$folder/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
SIAGA_TOKEN=$(sed -n 's/.*"api_token": *"\([^"]*\)".*/\1/p' "$folder/data/first-run.json")
export SIAGA_TOKEN
"$bin/siaga-sim" load --server "http://127.0.0.1:$port" --as-agents --hosts 20 --series 500 --interval 0.1 --duration 20
echo "server: resident memory $(awk '/VmHWM/ {print $2 " kB at most"}' "/proc/$server/status"), processor time $(awk '{print ($14 + $15) / 100 " s"}' "/proc/$server/stat")"
