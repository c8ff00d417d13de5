#!/usr/bin/env bash
# Starts the server, an agent of this machine and the drill laboratory from one folder, and ends all with Ctrl-C.
# Called by `make run` and `make demo`. The folder is kept: a second start goes on where the first one ended.
#
#   SIAGA_DATA     folder of all data            (default: data)
#   SIAGA_LISTEN   address of the console        (default: 127.0.0.1:8480)
#   SIAGA_LAB_PORT first of three laboratory ports (default: 8491)
#   SIAGA_BIN      folder of the programs        (default: target/release)
#   SIAGA_DEMO     1: also simulate an office, and mark every page as a simulation
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
data=${SIAGA_DATA:-$here/data}
bin=${SIAGA_BIN:-$here/target/release}
demo=${SIAGA_DEMO:-0}

umask 077
mkdir -p "$data/plans" "$data/log"
data=$(cd "$data" && pwd)
bin=$(cd "$bin" && pwd)

# One start at a time on these data; the programs themselves do not hold the lock.
exec 9>"$data/run.lock"
if ! flock -n 9; then
    echo "siaga: another run-local.sh uses $data already" >&2
    exit 1
fi

# Where the console and the laboratory stand is settled at the first start; a later one reads it from what was written then.
settled() { # name, what the files say, what is wished, what it is without both
    if [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]; then
        echo "siaga: $1 is $2 in $data and $3 is wished: change it in the files there, or take another SIAGA_DATA" >&2
        exit 1
    fi
    echo "${2:-${3:-$4}}"
}
first_match() { [ -e "$2" ] && sed -n "$1" "$2" | head -n 1; }
listen=$(first_match 's/^ *listen *= *"\([^"]*\)".*/\1/p' "$data/server.toml" || true)
listen=$(settled "the console's address" "$listen" "${SIAGA_LISTEN:-}" 127.0.0.1:8480)
lab_port=$(first_match 's/^\([0-9][0-9]*\)$/\1/p' "$data/lab/port" || true)
lab_port=$(settled "the laboratory's port" "$lab_port" "${SIAGA_LAB_PORT:-}" 8491)

# Looked at before anything is written: what is refused leaves nothing behind that the next start would obey.
listen_host=${listen%:*}
listen_host=${listen_host#[}
listen_host=${listen_host%]}
answers() { (exec 3<>"/dev/tcp/$listen_host/${listen##*:}") 2>/dev/null; }
if answers; then
    echo "siaga: something listens on $listen already; SIAGA_LISTEN names another address at the first start" >&2
    exit 1
fi

# A file that stands already is the user's.
keep() { [ -e "$1" ] || cat >"$1"; }

# A visitor of the simulated office does not wait three hours for a forecast to be confirmed three times.
demo_toml=""
[ "$demo" = 1 ] && demo_toml='[capacity]
signal_evaluations = 1
[console]
organisation = "LPSE Contoh"
simulation = true'

keep "$data/server.toml" <<TOML
# Made by the first start; every key with its default: deploy/server.toml
[http]
listen = "$listen"
[storage]
data_dir = "$data/server"
[continuity]
plans_dir = "$data/plans"
$demo_toml
TOML

keep "$data/agent.toml" <<TOML
# Made by the first start; every key with its default: deploy/agent.toml
state_dir = "$data/agent"

# What a drill may do on this machine: kill and start the two instances of the laboratory, and nothing else.
[actions.lab-kill-a]
description = "Mematikan instans a laboratorium (kills instance a)"
command = ["$bin/siaga-lab", "kill", "a", "--dir", "$data/lab"]
undo = ["$bin/siaga-lab", "start", "a", "--dir", "$data/lab"]
timeout_seconds = 10

[actions.lab-kill-b]
description = "Mematikan instans b laboratorium (kills instance b)"
command = ["$bin/siaga-lab", "kill", "b", "--dir", "$data/lab"]
undo = ["$bin/siaga-lab", "start", "b", "--dir", "$data/lab"]
timeout_seconds = 10
TOML

pids=()
finish() {
    trap - INT TERM EXIT
    echo
    echo "siaga: stopping"
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill -TERM "${pids[i]}" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    "$bin/siaga-lab" down --dir "$data/lab" >/dev/null 2>&1 || true
    echo "siaga: stopped, the data stay in $data"
}
# Ctrl-C reaches the whole process group; the programs end by themselves, and this waits for them.
trap 'exit 0' INT TERM
trap finish EXIT

"$bin/siaga-lab" up --dir "$data/lab" --port "$lab_port" 9>&-
"$bin/siaga-server" serve --config "$data/server.toml" 2>>"$data/log/server.log" 9>&- &
pids+=($!)
for _ in $(seq 150); do
    answers && break
    kill -0 "${pids[0]}" 2>/dev/null || { tail -n 20 "$data/log/server.log" >&2; exit 1; }
    sleep 0.2
done
if ! answers; then
    echo "siaga: the server does not answer on $listen, see $data/log/server.log" >&2
    exit 1
fi

if [ ! -e "$data/agent/credentials.json" ]; then
    # Not as an argument, which every user of the machine can read.
    "$bin/siaga-server" enrol-token --config "$data/server.toml" 2>>"$data/log/server.log" |
        "$bin/siaga-agent" enrol --config "$data/agent.toml" --server "http://$listen" --token-file - 2>>"$data/log/agent.log"
fi
# The plan is for this machine alone: it names the host, or any other that offers the action could stand in its way.
instance=$(sed -n 's/.*"instance": *"\([A-Za-z0-9._+:-]*\)".*/\1/p' "$data/agent/credentials.json")
if [ ! -e "$data/plans/lab.toml" ]; then
    sed "s/127\.0\.0\.1:8491/127.0.0.1:$lab_port/g; s/127\.0\.0\.1:8493/127.0.0.1:$((lab_port + 2))/g; ${instance:+s/^# host = .*/host = \"$instance\"/}" \
        "$here/deploy/plans/lab.toml" >"$data/plans/.lab.toml.new"
    mv "$data/plans/.lab.toml.new" "$data/plans/lab.toml"
fi
"$bin/siaga-agent" run --config "$data/agent.toml" 2>>"$data/log/agent.log" 9>&- &
pids+=($!)

first_start=$([ -e "$data/first-run.json" ] || echo 1)
cp -f "$data/server/first-run.json" "$data/first-run.json"
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$data/first-run.json"; }
echo "siaga: console   http://$listen"
if [ -n "$first_start" ]; then
    echo "siaga: user      $(field user)"
    echo "siaga: password  $(field password)"
else
    echo "siaga: user and password as before (the first ones: $data/first-run.json)"
fi
echo "siaga: logs in   $data/log       Ctrl-C ends everything"

if [ "$demo" = 1 ]; then
    # By the environment: arguments can be read by every user of the machine.
    SIAGA_TOKEN=$(field api_token) "$bin/siaga-sim" office --server "http://$listen" --state "$data/sim" 9>&- &
    pids+=($!)
fi

# What a program that was interrupted gives is no failure of this script: the trap above comes next.
wait -n "${pids[@]}" || true
echo "siaga: a program ended by itself, see $data/log" >&2
exit 1
