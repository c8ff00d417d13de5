# The commands of Siaga. `make run` and `make test` are all that a newcomer needs.

.PHONY: run demo build test lint fmt bench bench-agent bench-forecast test-tools

build:
	cargo build --release --locked -p siaga-server -p siaga-agent -p siaga-tests

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

bench-agent: build
	tests/bench-agent.sh

bench-forecast:
	cargo run --release --locked -p siaga-forecast --example bench_forecast -- $(or $(DATA),../shared/data/m4_hourly_half)
