# What each target promises: README.md, "Two commands", and CONTRIBUTING.md.
.PHONY: quickstart test soak bench fuzz check lint kryoptic clean

quickstart:
	@scripts/install.sh quickstart
	@scripts/quickstart.sh

test:
	@scripts/install.sh test
	@scripts/test.sh

soak:
	@scripts/install.sh test
	@TOUCHMARK_SOAK=1 scripts/test.sh -p hsm-tests -- --nocapture

bench:
	@scripts/install.sh bench
	@scripts/bench.sh

fuzz:
	@scripts/install.sh fuzz
	@scripts/fuzz.sh $(TARGETS)

check: lint
	cargo test --workspace --exclude hsm-tests --lib --quiet

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features hsm-tests/tables -- -D warnings
	cargo check --quiet -p touchmarkd --no-default-features && cargo check --quiet -p hsm-tests --no-default-features --bins
	cargo check --quiet -p hsm-tests --no-default-features --features cards,documents,tables --bench speed
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

kryoptic:
	@scripts/install.sh test && scripts/install.sh kryoptic
	cargo build -p touchmarkd -p touchmark --bins
	cargo build --manifest-path hsm-tests/kryoptic/Cargo.toml --target-dir target/kryoptic
	KRYOPTIC_MODULE=$(CURDIR)/target/kryoptic/debug/libkryoptic_pkcs11.so \
		cargo test -p hsm-tests --test provider -- --include-ignored kryoptic

clean:
	@scripts/clean.sh
