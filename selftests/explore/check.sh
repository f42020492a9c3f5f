#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Explore the page protocol, the loss of nodes, and where a vCPU lives, in a few
# sizes; TAP
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
# -g requests that may go in a group are overtaken by everything
run 0 "2 nodes, groups, late local messages" -n 2 -g -l
run 0 "3 nodes, groups" -n 3 -g
run 0 "3 nodes, groups, late local messages" -n 3 -g -l
run 0 "4 nodes, groups" -n 4 -g -w
run 0 "2 nodes, 2 pages, groups" -n 2 -p 2 -g
# -x home may find the page to migrate at any time, and grant a read exclusive
run 0 "2 nodes, reads exclusive" -n 2 -x
run 0 "3 nodes, reads exclusive" -n 3 -x
run 0 "3 nodes, reads exclusive, late local messages" -n 3 -l -x
run 0 "3 nodes, reads exclusive, groups, late local messages" -n 3 -g -l -x
run 0 "4 nodes, reads exclusive" -n 4 -w -x
run 0 "2 nodes, 2 pages, reads exclusive" -n 2 -p 2 -x
# -e home may lend the page to its owner at any time
run 0 "2 nodes, homes lent" -n 2 -e
run 0 "3 nodes, homes lent" -n 3 -e
run 0 "3 nodes, homes lent, no symmetry reduction" -n 3 -e -w -N
run 0 "3 nodes, homes lent, reads exclusive, groups" -n 3 -e -g -x
run 0 "4 nodes, homes lent" -n 4 -e -w
run 0 "4 nodes, homes lent, reads exclusive" -n 4 -e -w -x
run 0 "2 nodes, 2 pages, homes lent" -n 2 -p 2 -e
run 1 "2 nodes, links without order: noticed" -n 2 -u
run 1 "3 nodes, links without order: noticed" -n 3 -u
prog=walk
run 0 "63 nodes at random" 300000 1
run 0 "63 nodes at random, homes lent" 300000 1 lend
# where a vCPU lives: -w moves wished for at once, -i interrupts under way, -c of
# which kinds, -f how far nodes may be behind, -r who raises INIT and SIPI
prog=residency
run 0 "vCPU: 2 nodes, all interrupts" -n 2 -w 2 -i 3 -c 63 -f 3
run 0 "vCPU: 3 nodes, all interrupts" -n 3 -w 2 -i 2 -c 63 -f 0
run 0 "vCPU: 3 nodes, late news" -n 3 -w 2 -i 2 -f 1
run 0 "vCPU: 3 nodes, late news, NMI" -n 3 -i 2 -c 4 -f 2
run 0 "vCPU: 4 nodes, two moves at once" -n 4 -w 2 -f 0
run 0 "vCPU: 4 nodes, late news" -n 4 -f 1
run 0 "vCPU: SIPI right behind its INIT" -n 3 -w 2 -i 2 -c 24 -f 1
run 0 "vCPU: 2 nodes, INIT and SIPI of two" -n 2 -w 2 -i 3 -c 24 -r 2 -f 3
run 0 "vCPU: 3 nodes, INIT and SIPI of two" -n 3 -i 2 -c 24 -r 2 -f 1
# nodes that die: -L how many, -M homes that live may move, -k the work of a step
# takes time, -r requests under way at once, -f faults at all, -z who is declared
# dead goes on all the same
prog=loss
run 0 "loss: 2 nodes" -n 2 -k
run 0 "loss: 3 nodes" -n 3
run 0 "loss: 3 nodes, homes move, slow work" -n 3 -M -k
run 0 "loss: 3 nodes, reads exclusive" -n 3 -x
run 0 "loss: 2 nodes, homes lent" -n 2 -k -e
run 0 "loss: 3 nodes, homes lent" -n 3 -e
run 0 "loss: two of 3 nodes, homes move, slow work, homes lent" -n 3 -L 2 -M -k -e -w
run 0 "loss: two of 3 nodes, homes move, slow work" -n 3 -L 2 -M -k
run 0 "loss: 3 nodes, no symmetry reduction" -n 3 -w -N
run 0 "loss: 3 nodes, the dead one goes on" -n 3 -z -w
run 0 "loss: 4 nodes, one request at a time" -n 4 -r 1 -w
run 0 "loss: two of 4 nodes, two faults, homes move, slow work" -n 4 -L 2 -f 2 -M -k -w
# orders of accesses to two pages: -s read copies everywhere at first, -a homes on
# a node of their own, -p no prefetch and no drops
prog=litmus
for shape in SB SB+fences MP LB 2+2W S R CoRR WRC; do
	run 0 "litmus: $shape" -t $shape
	run 0 "litmus: $shape, pages shared" -t $shape -s
done
for shape in SB+fences MP LB S CoRR; do
	run 0 "litmus: $shape, homes apart" -t $shape -s -a
done
for shape in SB+fences MP LB S CoRR; do
	run 0 "litmus: $shape, groups" -t $shape -g
	run 0 "litmus: $shape, pages shared, homes apart, groups" -t $shape -s -a -g
done
for shape in SB MP LB 2+2W S R CoRR; do
	run 0 "litmus: $shape, reads exclusive" -t $shape -x
	run 0 "litmus: $shape, pages shared, reads exclusive" -t $shape -s -x
done
for shape in MP CoRR; do
	run 0 "litmus: $shape, homes apart, reads exclusive" -t $shape -s -a -x
done
for shape in SB SB+fences MP LB 2+2W S R CoRR; do
	run 0 "litmus: $shape, homes lent" -t $shape -e
	run 0 "litmus: $shape, pages shared, homes lent" -t $shape -s -e
done
for shape in MP CoRR; do
	run 0 "litmus: $shape, homes apart, homes lent" -t $shape -s -a -e
done
run 0 "litmus: IRIW, homes lent" -t IRIW -s -p -e
run 0 "litmus: IRIW" -t IRIW -s -p
run 0 "litmus: IRIW, reads exclusive" -t IRIW -s -p -x
prog=explore
if [ "$2" = long ]; then
	run 0 "4 nodes, late local messages, sleepers" -n 4 -l
	run 0 "5 nodes, late local messages" -n 5 -l -w
	run 0 "4 nodes, reads exclusive, sleepers" -n 4 -x
	run 0 "5 nodes, reads exclusive" -n 5 -w -x
	run 0 "4 nodes, homes lent, sleepers" -n 4 -e
	prog=walk
	run 0 "63 nodes at random, longer" 3000000 2
	prog=residency
	run 0 "vCPU: 3 nodes, late news, all interrupts" -n 3 -i 2 -c 63 -f 1
	run 0 "vCPU: 3 nodes, late news, INIT and SIPI of two" -n 3 -w 2 -i 2 -c 24 -r 2 -f 1
	run 0 "vCPU: 4 nodes, later news" -n 4 -f 2
	run 0 "vCPU: 4 nodes, late news, two moves" -n 4 -w 2 -f 1
	prog=litmus
	for shape in SB MP LB 2+2W S R; do
		run 0 "litmus: $shape, homes apart, untouched" -t $shape -a
	done
	run 0 "litmus: 2+2W, homes apart" -t 2+2W -s -a
	run 0 "litmus: SB+fences, homes apart, reads exclusive" -t SB+fences -s -a -x
	run 0 "litmus: WRC, reads exclusive" -t WRC -x
	run 0 "litmus: R, homes apart" -t R -s -a
	run 0 "litmus: WRC, homes apart" -t WRC -s -a -p
	run 0 "litmus: SB+fences, homes apart, homes lent" -t SB+fences -s -a -e
	run 0 "litmus: WRC, homes lent" -t WRC -e -p
	prog=loss
	run 0 "loss: 3 nodes, the dead one goes on, homes lent" -n 3 -z -e -w
	run 0 "loss: two of 3 nodes, homes move, slow work, reads exclusive" -n 3 -L 2 -M -k -x
	run 0 "loss: 4 nodes, two requests at a time" -n 4 -r 2 -c -w
	run 0 "loss: 4 nodes, four faults, homes move, slow work" -n 4 -f 4 -M -k -w
	run 0 "loss: two of 4 nodes, three faults" -n 4 -L 2 -r 2 -f 3 -c -w
fi
echo "1..$nr"
exit $rc
