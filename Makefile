# The commands of Siaga. `make run` and `make test` are all that a newcomer needs.

.PHONY: run demo build agent test lint fmt bench bench-agent bench-forecast bench-anomaly test-tools

build: agent
	cargo build --release --locked -p siaga-server -p siaga-tests

# The agent as it is delivered: small, and without any shared library, so that it runs on old distributions too
AGENT_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
AGENT_BUILD := RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile agent --locked --target $(AGENT_TARGET)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
agent:
	$(AGENT_BUILD) -p siaga-agent
	install -D $(TARGET_DIR)/$(AGENT_TARGET)/agent/siaga-agent $(TARGET_DIR)/release/siaga-agent

# Server, an agent of this machine and the drill laboratory, with everything under ./data
run: build
	deploy/run-local.sh

# The same with a simulated office, under ./demo-data
demo: build
	SIAGA_DEMO=1 SIAGA_DATA=demo-data deploy/run-local.sh

# Everything that must be true before a change lands
test: lint test-tools
	cargo build --locked --workspace --bins
	cargo test --locked --workspace

lint:
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# What the tests need besides the Rust toolchain
test-tools:
	tests/install-tools.sh

bench: build
	tests/bench.sh

# 10,000 collections; COLLECTIONS=2000 is quicker
bench-agent: agent test-tools
	$(AGENT_BUILD) -p siaga-agent --example bench_agent
	$(TARGET_DIR)/$(AGENT_TARGET)/agent/examples/bench_agent $(TARGET_DIR)/release/siaga-agent $(or $(COLLECTIONS),10000)

# Beside statsforecast in the same run, from PyPI, in a virtual environment; then days until thresholds
PEER_VENV := $(TARGET_DIR)/bench-venv
$(PEER_VENV)/done:
	python3 -m venv $(PEER_VENV) && $(PEER_VENV)/bin/pip install --quiet statsforecast==2.1.1 && touch $@
bench-forecast:
	-$(MAKE) $(PEER_VENV)/done
	cargo run --release --locked -p siaga-forecast --example bench_forecast -- $(or $(DATA),../shared/data/m4_hourly_half) \
		--peer=$(PEER_VENV)/bin/python
	cargo run --release --locked -p siaga-forecast --example bench_until -- --seeds=30 $(if $(DATA),,--real=../shared/data)

bench-anomaly:
	cargo run --release --locked -p siaga-forecast --example bench_anomaly -- $(or $(DATA),../shared/data/nab)
