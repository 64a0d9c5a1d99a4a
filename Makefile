# What each target promises: README.md, "Two commands", and CONTRIBUTING.md.
.PHONY: quickstart test check lint clean

quickstart:
	@scripts/install.sh quickstart
	@scripts/quickstart.sh

test:
	@scripts/install.sh test
	@scripts/test.sh

check: lint
	cargo test --workspace --exclude hsm-tests --lib --quiet

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

clean:
	@scripts/clean.sh
