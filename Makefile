# `make demo` shows it at work, `make test` runs every test. Both install what is missing first and say so.

CARGO ?= cargo
# What every run of the tests needs, and what only root's does: an ordinary user's run skips those tests and says so. python3 is for
# rsync's rrsync, which snapgate's is compared with.
NEEDED = rsync ssh ssh-keygen sshd setfacl getfattr setfattr
NEEDED_BY_ROOT = dropbear strace unshare setpriv mount mkfs.ext4 chattr python3
PACKAGES = rsync openssh-server openssh-client acl attr
PACKAGES_FOR_ROOT = dropbear-bin strace util-linux mount e2fsprogs python3
PATH := $(PATH):/usr/sbin:/sbin
export PATH

.PHONY: build demo test test-needs bench check fmt install clean-accounts

build:
	$(CARGO) build --release --locked

demo:
	@packaging/demo

# Tests that need root, or a tool that is missing, say `skipped:` and why. The suite waits more than
# it computes: more tests at once than there are processors.
test: test-needs
	$(CARGO) test --locked --no-fail-fast -- --test-threads $${TEST_THREADS:-4}

# Root installs all of it. An ordinary user cannot, and is asked only for what the tests that will run need.
test-needs:
	@if [ "$$(id -u)" = 0 ]; then needed="$(NEEDED) $(NEEDED_BY_ROOT)"; packages="$(PACKAGES) $(PACKAGES_FOR_ROOT)"; \
	else needed="$(NEEDED)"; packages="$(PACKAGES)"; fi; \
	missing=; for program in $$needed; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		echo "the tests need:$$missing"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing (apt-get): $$packages"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null; \
		else \
			echo "install them as root, for example: apt-get install $$packages"; exit 1; \
		fi; \
	fi
	@# A mailer for the test of `sendmail`, unpacked and not installed: installing it would throw out the machine's own.
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! [ -x /usr/sbin/dma ] && ! [ -x target/dma/usr/sbin/dma ]; then \
		echo "unpacking dma, a small mailer, into target/dma"; mkdir -p target/dma; \
		{ (cd target/dma && apt-get download -qq dma 2>/dev/null && dpkg -x dma_*.deb .); } || echo "no dma to be had: its test is skipped"; \
	fi

bench:
	$(CARGO) bench --locked

check:
	@.ci/run

fmt:
	$(CARGO) fmt

DESTDIR ?=
PREFIX ?= /usr

# Files that name the program's place are written with the real one.
PLACED = sed 's|/usr/bin/snapgate|$(PREFIX)/bin/snapgate|g; s|/usr/share/doc/snapgate|$(PREFIX)/share/doc/snapgate|g'

# What a package would do; sshd's file and the policies are the administrator's to put in place (README).
install: build
	install -D -m 0755 target/release/snapgate $(DESTDIR)$(PREFIX)/bin/snapgate
	install -D -m 0644 packaging/tmpfiles.d/snapgate.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/snapgate.conf
	for unit in service timer path; do \
		$(PLACED) packaging/snapgate-watch.$$unit | \
			install -D -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/snapgate-watch.$$unit || exit 1; \
	done
	for text in README.md docs/codes.md docs/architecture.md docs/from-rrsync.md; do \
		install -D -m 0644 $$text $(DESTDIR)$(PREFIX)/share/doc/snapgate/$$text || exit 1; \
	done
	$(PLACED) sshd_config.d/50-snapgate.conf | \
		install -D -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/share/doc/snapgate/50-snapgate.conf
	for policy in policies/*; do \
		install -D -m 0644 $$policy $(DESTDIR)$(PREFIX)/share/doc/snapgate/$$policy || exit 1; \
	done

# The accounts that root's test runs make (tests/support/accounts.rs) stay until this removes them.
clean-accounts:
	for number in 1 2 3 4; do userdel -r sgtest$$number 2>/dev/null || true; done
	rm -rf /var/lib/snapgate-test
