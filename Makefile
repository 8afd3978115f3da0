# What people type. Continuous integration runs `.ci/run`, which calls these.

CARGO  ?= cargo
PREFIX ?= /usr/local

.PHONY: all test tools check fmt bench install

all:
	$(CARGO) build --release --locked

# Everything, end to end included. Tests that need a tool which is not there say so and pass.
test: tools
	$(CARGO) test --locked --all-targets --no-fail-fast

# The servers that the tests speak to: Debian packages, installed without starting anything.
tools:
	@.ci/tools

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items

fmt:
	$(CARGO) fmt

# The figures, measured here and now.
bench: tools
	$(CARGO) bench --locked

install:
	$(CARGO) build --release --locked
	install -D -m 755 target/release/switchback $(DESTDIR)$(PREFIX)/bin/switchback
