#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load on all CPUs until a file appears: load STOPFILE [DIR]
# Checksums in a loop on each CPU, timers, pipes between CPUs, interrupts between
# CPUs, a clock watcher, memory order, and in DIR files written and read back. Prints
# a line for each and "LOAD ok" when all of them ran and none saw anything wrong.
stop=$1 dir=$2 t=$(mktemp -d) n=$(nproc)

dd if=/dev/urandom of="$t/a" bs=64k count=8 2>/dev/null
sum=$(md5sum < "$t/a")

loop() {	# NAME CMD...: repeat until told to stop; count results that are right
	name=$1 ok=0 bad=0
	shift
	# once at least, or a slow start would count as a loop that never ran
	while :; do
		if "$@"; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
		[ ! -e "$stop" ] || break
	done
	echo "$name ok=$ok bad=$bad" > "$t/r.$name"
}

check_md5() { [ "$(taskset -c "$1" md5sum < "$t/a")" = "$sum" ]; }
check_timer() { taskset -c "$1" usleep 20000; }
check_pipe() {
	[ "$(taskset -c 0 seq 1 300 | taskset -c $((n - 1)) sort -rn |
		taskset -c $((n / 2)) tail -n 1)" = 1 ]
}
check_disk() {
	cp "$t/a" "$dir/load" && sync && echo 1 > /proc/sys/vm/drop_caches &&
		[ "$(md5sum < "$dir/load")" = "$sum" ]
}
check_clock() { clock 2 | grep -q 'CLOCK ok'; }
check_ipi() { ipi 1 | grep -q 'IPI ok'; }
check_tso() { tso 1 | grep -q 'TSO ok'; }

i=1
while [ $i -lt "$n" ]; do
	loop "md5-$i" check_md5 $i &
	loop "timer-$i" check_timer $i &
	i=$((i + 1))
done
loop pipe check_pipe &
loop clock check_clock &
loop ipi check_ipi &
# with more CPUs one round under load takes minutes on emulated hosts
[ "$n" -gt 2 ] || loop tso check_tso &
[ -n "$dir" ] && loop disk check_disk &
wait
cat "$t"/r.*
if grep -qE 'bad=[1-9]|ok=0' "$t"/r.*; then echo LOAD bad; else echo LOAD ok; fi
rm -rf "$t"
