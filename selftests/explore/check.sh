#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Explore the page protocol in a few sizes; TAP
#
#   check.sh DIRECTORY_OF_PROGRAMS [long]
#
# -l: messages of a node to itself may be late; -w: no book about sleeping
# threads; -u: links lose the order, which must be noticed.

bin=$1
prog=explore
nr=0
rc=0

run()
{
	want=$1
	what=$2
	shift 2
	nr=$((nr + 1))
	out=$("$bin/$prog" "$@")
	got=$?
	if [ "$want" -eq 0 ] || [ "$got" -ne "$want" ]; then
		printf '%s\n' "$out"
	fi
	if [ "$got" -eq "$want" ]; then
		echo "ok $nr - $what"
	else
		echo "not ok $nr - $what"
		rc=1
	fi
}

run 0 "2 nodes" -n 2
run 0 "2 nodes, late local messages" -n 2 -l
run 0 "3 nodes" -n 3
run 0 "3 nodes, no symmetry reduction" -n 3 -N
run 0 "3 nodes, late local messages" -n 3 -l
run 0 "4 nodes" -n 4
run 0 "4 nodes, late local messages" -n 4 -l -w
run 0 "5 nodes" -n 5 -w
run 0 "2 nodes, 2 pages with different homes" -n 2 -p 2
run 1 "2 nodes, links without order: noticed" -n 2 -u
run 1 "3 nodes, links without order: noticed" -n 3 -u
prog=walk
run 0 "63 nodes at random" 300000 1
prog=explore
if [ "$2" = long ]; then
	run 0 "4 nodes, late local messages, sleepers" -n 4 -l
	run 0 "5 nodes, late local messages" -n 5 -l -w
	prog=walk
	run 0 "63 nodes at random, longer" 3000000 2
fi
echo "1..$nr"
exit $rc
