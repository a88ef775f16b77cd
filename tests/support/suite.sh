#!/usr/bin/env bash
# suite.sh: the whole suite (`make test`).
#
# SUITE_LANES test programs (2) run at a time, those that take longest first: cargo by itself runs one after the other, and waits at the end of
# each for its slowest test, with nothing beside it. What a program says is shown when it has ended, in one piece, as cargo says it.
#
# Up to three tests that failed are tried a second time, each alone. A fault fails again, and so does the suite. One that passes
# alone met something that ran beside it: the last lines name it. That is a fault too, of the test or of what it tests, and is
# to be mended; it says nothing of the change that is just being tried.
set -uo pipefail
cargo=${CARGO:-cargo} most=3 lanes=${SUITE_LANES:-2}
# By what they took on a machine of two processors (289 s, 164 s and so on). One that is not here is tried too, after these.
longest="--test=gate --test=sshd --test=upkeep --test=attack --test=rrsync --test=readme --test=clients --lib --test=drill --test=tidy"
export CARGO_TERM_COLOR=never
mkdir -p target
said=$(mktemp -d target/suite-XXXXXX)
output=$said/all
trap 'trap - EXIT; rm -rf "$said"; kill $(jobs -p) 2>/dev/null' EXIT
trap 'exit 130' INT TERM

# What there is to run, from cargo itself: the flag of each. A line that is not understood must not become a program that is not run.
"$cargo" test --locked --no-run 2>&1 | tee "$output" || exit 1
found=$(sed -nE '
    s|^  Executable unittests src/lib\.rs .*|--lib|p; t
    s|^  Executable unittests src/bin/([^/ ]+)\.rs .*|--bin=\1|p; t
    s|^  Executable tests/([^/ ]+)(/main)?\.rs .*|--test=\1|p; t
    s|^  Executable |unknown: |p' "$output")
if [ -z "$found" ] || grep '^unknown: ' <<<"$found"; then
    echo "suite.sh does not know how to run what cargo has built"
    exit 1
fi
order=$(for flag in $longest; do grep --fixed-strings --line-regexp -e "$flag" <<<"$found"; done
    for flag in $found; do [[ " $longest " = *" $flag "* ]] || echo "$flag"; done)

# How each ended is in a file of its own: where there is none it did not end.
run() {
    "$cargo" test --locked --no-fail-fast "$1" -- --test-threads "${TEST_THREADS:-8}" </dev/null >"$said/$1" 2>&1
    echo $? >"$said/$1.ended"
    flock "$said" cat "$said/$1"
}
: >"$output"
for flag in $order; do
    while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do wait -n; done
    echo "== begun: $flag"
    run "$flag" &
done
wait
bad=0
for flag in $order; do
    cat "$said/$flag" >>"$output"
    [ "$(cat "$said/$flag.ended" 2>/dev/null)" = 0 ] || bad=$((bad + 1))
done
[ "$bad" = 0 ] && exit 0

# The flag that names the test program, a tab, and the test. A program that ended without its summary, or of which not every
# failed test is found, has no second try.
failed=$(awk -v expected="$bad" '
    /^     Running |^   Doc-tests / { found = 0; told = -1 }
    # The last list is the one that counts: a test may have shown the output of another run.
    /^failures:$/ { found = 0 }
    /^    [^ ]+$/ { names[++found] = $1 }
    /^test result: FAILED\./ { told = $6 }
    /^error: test failed, to rerun pass `.*`$/ {
        flag = $0; sub(/^[^`]*`/, "", flag); sub(/`$/, "", flag)
        if (found != told) exit 1
        for (i = 1; i <= found; i++) print flag "\t" names[i]
        programs++
    }
    END { if (programs != expected) exit 1 }
' "$output") || { printf '\n== %s of %s test programs failed\n' "$bad" "$(wc -l <<<"$order")"; exit 1; }
count=$(wc -l <<<"$failed")
if [ "$count" -gt "$most" ]; then
    printf '\n== these failed:\n%s\n' "$failed"
    exit 1
fi

printf '\n== a second try, each alone: %s failed\n' "$count"
while IFS=$'\t' read -r flag name; do
    # The flag may be two words.
    # shellcheck disable=SC2086
    "$cargo" test --locked $flag -- --exact "$name" </dev/null | tee "$output" || exit 1
    grep -q '^test result: ok\. 1 passed' "$output" || exit 1
done <<<"$failed"
printf '\n== UNSTEADY: failed beside others and passed alone, to be mended:\n%s\n' "$failed"
