#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hkd reaches a host that has just come back, though the kernel gives up looking for it.
#
#	namespace a 10.9.9.1 ---- veth ---- namespace b 10.9.9.2
#
# usage: reach.sh REACH	(needs root)
reach=$1
a=hk-reach-a.$$ b=hk-reach-b.$$
nr=0 bad=0

result() { # STATUS NAME TEXT
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		bad=$((bad + 1))
		echo "not ok $nr - $2"
		echo "# $3"
	fi
}

cleanup() {
	kill "$listener" 2>/dev/null
	wait 2>/dev/null
	ip netns del $a 2>/dev/null
	ip netns del $b 2>/dev/null
}

# A look for the neighbour is under way, and lost: it will last 2 s, with no more probes
looking() {
	ip -n $a neigh flush dev va
	ip -n $b link set vb arp off
	ip netns exec $a bash -c ': </dev/tcp/10.9.9.2/7117' 2>/dev/null &
	first=$!
	until ip -n $a neigh show 10.9.9.2 | grep -q INCOMPLETE; do
		kill -0 $first 2>/dev/null || return 1
		sleep 0.02
	done
}

if [ "$(id -u)" != 0 ]; then
	echo "ok 1 - a host that comes back is reached # SKIP needs root"
	echo "1..1"
	exit 0
fi
trap cleanup EXIT
{
	ip netns add $a && ip netns add $b &&
	ip -n $a link set lo up &&
	ip -n $a link add va type veth peer name vb netns $b &&
	ip -n $a addr add 10.9.9.1/24 dev va && ip -n $a link set va up &&
	ip -n $b addr add 10.9.9.2/24 dev vb && ip -n $b link set vb up &&
	ip netns exec $a sh -c 'cd /proc/sys/net/ipv4/neigh/va &&
		echo 1 >mcast_solicit && echo 2000 >retrans_time_ms'
} || { result 1 "namespaces" "not made"; echo "1..$nr"; exit 1; }
ip netns exec $b socat TCP-LISTEN:7117,fork,reuseaddr /dev/null &
listener=$!
until ip netns exec $b ss -Hltn 'sport = 7117' | grep -q .; do
	kill -0 $listener || exit 1
	sleep 0.02
done

looking && ip -n $b link set vb arp on
text=$(ip netns exec $a "$reach" 10.9.9.2:7117)
result $? "a host that comes back is reached" "$text"
wait $first

looking
text=$(ip netns exec $a "$reach" 10.9.9.2:7117)
[ "$text" = "cannot connect to 10.9.9.2:7117: No route to host" ]
result $? "one that does not is given up, in words" "$text"
wait $first
echo "1..$nr"
[ $bad = 0 ]
