# `make demo` shows it at work, `make test` runs every test, `make fuzz` looks for what no test thought of. They install what is
# missing first and say so.

CARGO ?= cargo
# What every run of the tests needs, and what only root's does: an ordinary user's run skips those tests and says so. python3 is for
# rsync's rrsync, which snapgate's is compared with.
NEEDED = rsync ssh ssh-keygen sshd setfacl getfattr setfattr
NEEDED_BY_ROOT = newuidmap setcap dropbear strace unshare setpriv mount mkfs.ext4 mkfs.xfs mkfs.btrfs chattr python3 groff man mandoc zsh fish cryptsetup gocryptfs fusermount3
PACKAGES = rsync openssh-server openssh-client acl attr
PACKAGES_FOR_ROOT = uidmap libcap2-bin dropbear-bin strace util-linux mount e2fsprogs xfsprogs btrfs-progs python3 groff-base man-db mandoc zsh fish cryptsetup-bin gocryptfs fuse3
PATH := $(PATH):/usr/sbin:/sbin
export PATH

.PHONY: build build-needs demo quick test hostile owners prune older year fresh gnu-ld test-needs fuzz hostile-commands bench check fmt pages install deb dist dist-aarch64 dist-armv7 package-test machine clean-accounts

build: build-needs
	$(CARGO) build --release --locked

# A linker, and the archives of the C library and of the one that filters system calls: both are linked in.
build-needs:
	@if ! echo 'int main(void) { return 0; }' | cc -x c -static-pie -o /dev/null - -lseccomp 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "the build needs libseccomp: installing (apt-get): libseccomp-dev gcc libc6-dev"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libseccomp-dev gcc libc6-dev >/dev/null; \
		else \
			echo "the build needs a C linker and the archives (.a) of libseccomp and the C library: install them as root, for example:"; \
			echo "apt-get install libseccomp-dev gcc libc6-dev"; exit 1; \
		fi; \
	fi

demo: build-needs
	@packaging/demo

# The loop while you write: tests of decisions and of texts. They start no gate, and need no root, no sshd and no accounts.
QUICK = captures fuzz_replay options tidy windows
quick: build-needs
	$(CARGO) test --locked --no-fail-fast --lib -- decide:: terms::
	$(CARGO) test --locked --no-fail-fast $(QUICK:%=--test %)

# Tests that need root, or a tool that is missing, say `skipped:` and why. The suite waits more than
# it computes: more tests at once than there are processors. What fails is tried once more, alone,
# and named if it passes then.
test: build-needs test-needs
	@CARGO="$(CARGO)" tests/support/suite.sh

# Every attack on history in a table, how it is expected to end and how it ended; then thousands of changed sessions. The
# second time without the view that rsync is given of the file system: the rest of the jail has to hold alone. `make older` is
# as much with other rsyncs.
hostile: build-needs test-needs
	HOSTILE_MUTANTS=$${HOSTILE_MUTANTS:-5000} $(CARGO) test --locked --no-fail-fast --test attack -- --nocapture --test-threads $${TEST_THREADS:-8}
	HOSTILE_WITHOUT_VIEW=1 $(CARGO) test --locked --no-fail-fast --test attack -- --nocapture --test-threads $${TEST_THREADS:-8} --skip mutants

# As root: the attacks and the kills once more, on gates of an ordinary account that keeps its clients' owners. Some of the attacks are in
# the suite. OWNERS_KEPT=1 kills at every call, which takes long. None of them runs without a view. At last `remap` is killed at every call.
owners: build-needs test-needs
	OWNERS_KEPT=$${OWNERS_KEPT:-short} HOSTILE_MUTANTS=$${HOSTILE_MUTANTS:-500} $(CARGO) test --locked --no-fail-fast --test attack -- --nocapture \
		--test-threads $${TEST_THREADS:-8}
	OWNERS_KEPT=$${OWNERS_KEPT:-short} $(CARGO) test --locked --no-fail-fast --test gate -- --test-threads $${TEST_THREADS:-8} \
		attacks:: history:: owners:: taken_over:: crash:: --skip where_there_is_no_view --skip nor_does_it_for_an_ordinary_account
	REMAP_KILLS=all $(CARGO) test --locked --no-fail-fast --test sshd -- --test-threads $${TEST_THREADS:-8} remap_killed

# What removes snapshots, killed two hundred times at any moment beside pushes: here, on ext4 and on XFS. The suite does ten times.
prune: build-needs test-needs
	PRUNE_KILLS=$${PRUNE_KILLS:-200} $(CARGO) test --locked --no-fail-fast --test upkeep -- prune::disks::

# Servers and clients of other releases: every attack, and the stories of a push. 3.2.7 on either side has its short form in the suite.
# None of them runs without a view.
older: build-needs test-needs
	tests/support/older.sh all
	$(CARGO) test --locked --test gate older
	@for rsync in $(CURDIR)/target/rsync/*/usr/bin/rsync; do \
		[ -x $$rsync ] || continue; \
		echo "== the server's rsync is $$rsync"; \
		SERVER_RSYNC=$$rsync HOSTILE_MUTANTS=$${HOSTILE_MUTANTS:-500} $(CARGO) test --locked --no-fail-fast \
			--test attack -- --nocapture --test-threads $${TEST_THREADS:-8} || exit 1; \
		SERVER_RSYNC=$$rsync $(CARGO) test --locked --no-fail-fast --test gate --test sshd -- --test-threads $${TEST_THREADS:-8} \
			crash history jail neutral secluded push resume transaction || exit 1; \
		echo "== the client's is"; \
		CLIENT_RSYNC=$$rsync $(CARGO) test --locked --no-fail-fast --test gate --test attack --test sshd -- \
			--test-threads $${TEST_THREADS:-8} clients sources history neutral older a_real_client push resume transaction || exit 1; \
	done

# `make demo` and `make test` on a machine that has never seen them: a bare Debian, as root and as an ordinary user. RELEASE=trixie for
# another release than this machine's.
fresh:
	@tests/support/fresh.sh

# On this architecture rustc brings its own linker; on others it takes the machine's, which is GNU ld.
gnu-ld: build-needs
	RUSTFLAGS="-C target-feature=+crt-static -C linker-features=-lld" CARGO_TARGET_DIR=target/gnu-ld $(CARGO) build --release --locked --no-default-features --bin snapgate-shell
	@built=$$(find target/gnu-ld -path "*/release/snapgate-shell"); ! readelf -d $$built | grep NEEDED && { $$built; test $$? = 78; }

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
	@# Prometheus, for the tests of metrics, alerts and the dashboard: unpacked, since installed it would run.
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! [ -x target/prometheus/usr/bin/promtool ]; then \
		echo "unpacking Prometheus into target/prometheus (100 MB)"; mkdir -p target/prometheus; \
		{ (cd target/prometheus && apt-get download -qq prometheus 2>/dev/null && \
			dpkg --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool ./usr/bin/prometheus; rm -f prometheus_*.deb; test -x usr/bin/promtool); } || \
		echo "no Prometheus to be had: its tests are skipped"; \
	fi
	@# rsync 3.2.7, for the tests of servers and clients that have it.
	@tests/support/older.sh

# Each target for FUZZ_SECONDS, or until FUZZ_RUNS executions: make fuzz FUZZ_TARGETS=command FUZZ_SECONDS=0 FUZZ_RUNS=10000000
# What is found stays in target/fuzz/artifacts; what covers more, in target/fuzz/corpus.
FUZZ_TARGETS ?= command secluded policy auth ledger rrsync
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= -1
CARGO_FUZZ_VERSION = 0.13.2
CARGO_FUZZ = $(CURDIR)/target/tools/bin/cargo-fuzz
# The sanitizers' flags are unstable: with a nightly they may be used, and a stable compiler is told to take them.
FUZZ_WITH = $$(if rustup run nightly rustc --version >/dev/null 2>&1; then echo RUSTUP_TOOLCHAIN=nightly; else echo RUSTC_BOOTSTRAP=1; fi)

fuzz: build-needs
	@if [ "$$($(CARGO_FUZZ) --version 2>/dev/null)" != "cargo-fuzz $(CARGO_FUZZ_VERSION)" ]; then \
		echo "installing cargo-fuzz $(CARGO_FUZZ_VERSION) into target/tools (a minute or two)"; \
		$(CARGO) install --quiet --locked --root target/tools --target-dir target/tools/build \
			--version "=$(CARGO_FUZZ_VERSION)" cargo-fuzz || exit 1; \
	fi
	@mkdir -p target/fuzz
	@FUZZ_DICTIONARY=$(CURDIR)/target/fuzz/dictionary $(CARGO) test --quiet --locked --test fuzz_replay dictionary >/dev/null
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/artifacts/$$target; \
		env $(FUZZ_WITH) $(CARGO_FUZZ) run --sanitizer none --target-dir target/fuzz/build $$target \
			target/fuzz/corpus/$$target fuzz/corpus/$$target -- -dict=target/fuzz/dictionary -max_len=32768 \
			-artifact_prefix=target/fuzz/artifacts/$$target/ -max_total_time=$(FUZZ_SECONDS) -runs=$(FUZZ_RUNS) \
			-timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 || exit 1; \
	done

# A year of two clients, with four times as many pushes as in the suite.
year: build-needs test-needs
	YEAR=long $(CARGO) test --locked --test upkeep year

# A thousand of them are in the suite.
hostile-commands: test-needs
	HOSTILE_COMMANDS=$${HOSTILE_COMMANDS:-10000} $(CARGO) test --locked --test gate hostile_commands -- --nocapture

# Beside plain rsync and rrsync; with BASE_GATE=/path/to/an/older/build beside that one, too. `cargo bench -- --starts` is one part of it.
# It fails where a limit is not met.
bench: build-needs
	$(CARGO) bench --locked --no-fail-fast

check:
	@.ci/run

fmt:
	$(CARGO) fmt

# Manual pages and completions of shells, from the program's own tables, into target/pages.
pages: build-needs
	$(CARGO) run --release --locked --quiet --package snapgate-pages -- target/pages

DESTDIR ?=
PREFIX ?= /usr

# Where cargo puts the administrator's program, whatever variables or files of the user's say of that. The gate is beside it.
BUILT = $$($(CARGO) build --release --locked --quiet --bin snapgate --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

# Programs and texts, and what `make pages` has made; sshd's file and the policies are the administrator's to put in place (README).
install: build pages
	built=$(BUILT) && DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" packaging/install "$$(dirname "$$built")" target/pages

# A Debian package, in target/deb. VERSION is Cargo.toml's, unless you say another.
deb: build pages
	@built=$(BUILT) && packaging/deb "$$(dirname "$$built")" target/pages

# A tarball with static programs for machines that have no package, in target/dist. `packaging/dist MACHINE PROGRAMS` makes one of others.
dist: build pages
	@built=$(BUILT) && packaging/dist "$$(uname -m)" "$$(dirname "$$built")" target/pages

# The same for aarch64, built on x86_64 in a bare Debian with a cross compiler; as root.
dist-aarch64: pages
	@built=$$(packaging/cross aarch64) && packaging/dist aarch64 "$$built" target/pages

# And for armv7, which calls itself armv7l: routers, and small boards of 32 bits.
dist-armv7: pages
	@built=$$(packaging/cross armv7l) && packaging/dist armv7l "$$built" target/pages

# The package from `apt install` to purge, on a bare Debian; as root. RELEASE=trixie for another release than this machine's,
# UPGRADE_FROM=COMMIT to build that, upgrade from it and downgrade to it.
package-test: build-needs
	@tests/support/package.sh $(RELEASE)

# The package on a machine of its own, emulated, with systemd, a clock that is set, dm-crypt, AppArmor, and a kernel without Landlock; as
# root. It takes long, as the processor is emulated; ACCEL=kvm says not to, where the kernel can do without.
machine: build-needs
	@tests/support/machine.sh $(RELEASE)

# The accounts that root's test runs make (tests/support/accounts.rs) stay until this removes them.
clean-accounts:
	for number in 1 2 3 4 5 6 7 8 9; do userdel -r sgtest$$number 2>/dev/null || true; done
	rm -rf /var/lib/snapgate-test
