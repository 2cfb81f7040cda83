#!/usr/bin/env bash
# A busy machine, to run the tests beside: a busy loop for each core, and two loops that write 16 MiB and
# sync it. Works until it is stopped; or, with a command, until that ends, whose exit status it passes on:
#
#     tests/noise.sh cargo test --no-fail-fast
set -u
# The loops look whether this script is still there, so that they end even when it is killed.
script=$$
folder=$(mktemp -d) || exit 1
loops=()

spin() {
    while kill -0 "$script" 2>/dev/null; do
        for ((i = 0; i < 100000; i++)); do :; done
    done
}

write() {
    # A `dd` that is under way comes to its end first, so that nothing writes to the folder afterwards.
    trap 'exit 0' TERM
    while kill -0 "$script" 2>/dev/null; do
        dd if=/dev/zero of="$folder/$1" bs=1M count=16 conv=fsync status=none
    done
}

clean_up() {
    trap '' INT TERM HUP
    kill "${loops[@]}" 2>/dev/null
    wait "${loops[@]}" 2>/dev/null
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

for ((core = 0; core < $(getconf _NPROCESSORS_ONLN); core++)); do
    spin &
    loops+=($!)
done
for file in one two; do
    write "$file" &
    loops+=($!)
done

if (($# > 0)); then
    "$@"
    exit
fi
wait
