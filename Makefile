# The commands of Siaga. `make run` and `make test` are all that a newcomer needs.

.PHONY: run demo build agent test lint fmt bench bench-agent bench-forecast bench-anomaly test-tools

build: agent
	cargo build --release --locked -p siaga-server -p siaga-tests

# The agent as it is delivered: small, and without any shared library, so that it runs on old distributions too; one that
# asks for a shared library fails here
AGENT_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
comma := ,
# Relocations in their short form; the linker of this target also keeps only one of functions that are alike.
AGENT_LINK := -C link-arg=-Wl,-z,pack-relative-relocs \
	$(if $(filter x86_64-%,$(AGENT_TARGET)),-C link-arg=-Wl$(comma)--icf=all)
AGENT_BUILD := RUSTFLAGS="-C target-feature=+crt-static $(AGENT_LINK)" cargo build --profile agent --locked --target $(AGENT_TARGET)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
agent:
	$(AGENT_BUILD) -p siaga-agent
	! readelf -ldW $(TARGET_DIR)/$(AGENT_TARGET)/agent/siaga-agent | grep -E 'INTERP|NEEDED'
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

bench-forecast:
	cargo run --release --locked -p siaga-forecast --example bench_forecast -- $(or $(DATA),../shared/data/m4_hourly_half)

bench-anomaly:
	cargo run --release --locked -p siaga-forecast --example bench_anomaly -- $(or $(DATA),../shared/data/nab)
