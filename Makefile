# `make demo` shows it at work, `make test` runs every test. Both install what is missing first and say so.

CARGO ?= cargo
NEEDED = rsync ssh-keygen sshd dropbear setfacl setfattr mkfs.ext4 setpriv
PACKAGES = rsync openssh-server openssh-client dropbear-bin acl attr e2fsprogs util-linux
PATH := $(PATH):/usr/sbin:/sbin
export PATH

.PHONY: build demo test test-needs bench check fmt install clean-accounts

build:
	$(CARGO) build --release --locked

demo:
	@packaging/demo

# The suite waits more than it computes: more tests at once than there are processors.
test: test-needs
	$(CARGO) test --locked --no-fail-fast -- --test-threads $${TEST_THREADS:-4}

# An ordinary user cannot install; the tests then say which of them they skip, or what is missing.
test-needs:
	@missing=; for program in $(NEEDED); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		echo "the tests need:$$missing"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing (apt-get): $(PACKAGES)"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
		else \
			echo "install them as root, for example: apt-get install $(PACKAGES)"; exit 1; \
		fi; \
	fi

bench:
	$(CARGO) bench --locked

check:
	@.ci/run

fmt:
	$(CARGO) fmt

DESTDIR ?=
PREFIX ?= /usr

# What a package would do; sshd's file and the policies are the administrator's to put in place (README, "Set-up").
install: build
	install -D -m 0755 target/release/snapgate $(DESTDIR)$(PREFIX)/bin/snapgate
	install -D -m 0644 packaging/tmpfiles.d/snapgate.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/snapgate.conf
	for unit in service timer path; do \
		install -D -m 0644 packaging/snapgate-watch.$$unit $(DESTDIR)$(PREFIX)/lib/systemd/system/snapgate-watch.$$unit || exit 1; \
	done
	install -D -m 0644 README.md $(DESTDIR)$(PREFIX)/share/doc/snapgate/README.md
	install -D -m 0644 sshd_config.d/50-snapgate.conf $(DESTDIR)$(PREFIX)/share/doc/snapgate/50-snapgate.conf
	for policy in policies/*; do \
		install -D -m 0644 $$policy $(DESTDIR)$(PREFIX)/share/doc/snapgate/$$policy || exit 1; \
	done

# The accounts that root's test runs make (tests/support/accounts.rs) stay until this removes them.
clean-accounts:
	for number in 1 2 3 4; do userdel -r sgtest$$number 2>/dev/null || true; done
	rm -rf /var/lib/snapgate-test
