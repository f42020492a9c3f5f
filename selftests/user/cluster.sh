#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Three daemons on the loopback device make a cluster, and what they must refuse.
#
#	a 127.0.0.1:17117 ---- b 127.0.0.1:17118 ---- c 127.0.0.1:17119
#	    \_____________________________________________/
#
# usage: cluster.sh HKD HKCTL
# HKD is built with fakehk.c in the module's place: nothing needs root here.

# shellcheck disable=SC2317 # cleanup is called by the trap
hkd=$1 hkctl=$2
dir=$(mktemp -d /tmp/hk-cluster.XXXXXX)
declare -A pid
nr=0 bad=0

cleanup() {
	for n in "${!pid[@]}"; do
		kill -9 "${pid[$n]}" 2>/dev/null
	done
	wait 2>/dev/null
	[ "$bad" = 0 ] && rm -rf "$dir"
}
trap cleanup EXIT

start() { # NAME PORT
	mkdir -p "$dir/$1"
	rm -f "$dir/$1/sock"
	"$hkd" --name "$1" --listen "127.0.0.1:$2" --socket "$dir/$1/sock" \
		--log "$dir/$1/log" --state-dir "$dir/$1/state" "${@:3}" &
	pid[$1]=$!
	for _ in $(seq 100); do
		[ -S "$dir/$1/sock" ] && return
		sleep 0.05
	done
	echo "# $1 does not start"
}

ctl() { # NAME ARGS
	HKD_SOCKET=$dir/$1/sock "$hkctl" "${@:2}" 2>&1
}

# expect STATUS WORDS NAME ARGS...
expect() {
	local want=$1 words=$2 out got name
	shift 2
	# a name that is the same each time
	name=$(sed -E 's/[a-z2-7]{72}/TOKEN/' <<< "$*")
	nr=$((nr + 1))
	out=$(ctl "$@")
	got=$?
	if [ "$got" = "$want" ] && [[ $out == *"$words"* ]]; then
		echo "ok $nr - $name${words:+ ($words)}"
	else
		echo "not ok $nr - $name"
		echo "# wanted $want \"$words\", got $got: ${out//$'\n'/ / }"
		bad=1
	fi
}

# eventually WORDS NAME ARGS...
eventually() {
	local words=$1 out
	shift
	nr=$((nr + 1))
	for _ in $(seq 100); do
		out=$(ctl "$@")
		[[ $out == *"$words"* ]] && break
		sleep 0.05
	done
	if [[ $out == *"$words"* ]]; then
		echo "ok $nr - $* says $words"
	else
		echo "not ok $nr - $* says $words"
		echo "# but: ${out//$'\n'/ / }"
		bad=1
	fi
}

linked() { # NAME PEER TRANSPORT
	logged "$1" "link to $2 over $3\$"
}

# the daemon may answer before it writes its log
logged() { # NAME WORDS
	nr=$((nr + 1))
	for _ in $(seq 200); do
		grep -q -- "$2" "$dir/$1/log" && break
		sleep 0.05
	done
	if grep -q -- "$2" "$dir/$1/log"; then
		echo "ok $nr - $1 logged: $2"
	else
		echo "not ok $nr - $1 logged: $2"
		bad=1
	fi
}

token() { # ARGS...: an invitation of a
	ctl a cluster invite "$@"
}

token_of() { # NAME
	ctl "$1" cluster invite
}

wreck() { # TOKEN: with one letter changed
	case $1 in
	a*) echo "b${1:1}" ;;
	*) echo "a${1:1}" ;;
	esac
}

start a 17117
# one more address each, for a second path between them
start b 17118 --listen 127.0.0.2:17118
start c 17119 --listen 127.0.0.3:17119
expect 1 "in no cluster" a cluster show
expect 1 "in no cluster" b node leave
expect 1 "in no cluster" a cluster invite
expect 1 "has no certificate" b node join 127.0.0.1:17117 ram 64M
expect 1 "not a token" b cluster join 127.0.0.1:17117 nonsense ram 64M
expect 1 "mistake in the token" b cluster join 127.0.0.1:17117 \
	"$(printf 'a%.0s' {1..72})" ram 64M
expect 0 "encryption \"tls 1.3 aes-256-gcm\" ca-made yes" a cluster create mine ram 128M
expect 1 "already" a cluster create mine ram 128M
t=$(token)
expect 1 "mistake in the token" b cluster join 127.0.0.1:17117 "$(wreck "$t")" ram 64M
expect 1 "cannot connect" b cluster join 127.0.0.1:17116 "$t" ram 64M
expect 0 "node-id 2" b cluster join 127.0.0.1:17117 "$t" ram 64M
logged a "enrolled node 2 (b)"
expect 1 "this token is not good" c cluster join 127.0.0.1:17117 "$t" ram 64M
expect 1 "at node 1 (a)" b cluster invite
expect 1 "only node 1 takes tokens" c cluster join 127.0.0.1:17118 "$(token)" ram 64M
expect 1 "for a node named x, not c" c cluster join 127.0.0.1:17117 "$(token for x)" ram 64M
expect 0 "node-id 3" c cluster join 127.0.0.1:17117 "$(token for c)" ram 64M
expect 0 "node-id 3" c node leave
expect 1 "join at node 1 (a), 127.0.0.1:17117" c node join 127.0.0.1:17118 ram 64M
expect 0 "node-id 3" c node join 127.0.0.1:17117 ram 64M
expect 1 "already" c node join 127.0.0.1:17117 ram 64M
for n in a b c; do
	expect 0 "node-id 3 node-name c address 127.0.0.1:17119 state up" $n cluster show
done
logged c "path 1 to node 2 (b) is there"

expect 0 "peer-id 3" a link renew c
expect 0 "peer-id 1" c link renew a
logged a "link to node 3 (c) has new keys"
expect 1 "has no node" a link renew d
expect 1 "is this node" a link renew a

expect 0 "" a path add c 1 127.0.0.1:17119
logged a "path 1 to node 3 (c) by 127.0.0.1:17119"
expect 1 "has a path 1" a path add c 1 127.0.0.1:17119
expect 1 "is node 2 (b), not node 3 (c)" a path add c 2 127.0.0.1:17118
expect 1 "is the one that the link was made with" a path add c 0 127.0.0.1:17119
expect 2 "is 0 to 3" a path add c 4 127.0.0.1:17119
expect 1 "has no node" a path add d 1 127.0.0.1:17119
expect 1 "no link to node 1 (a)" a path add a 1 127.0.0.1:17117
expect 1 "address" a path add c 2 here
# the other end lets it go: the one that was asked for it makes it again
expect 0 "" c path del a 1
logged a "path 1 to node 3 (c) is there again"
expect 0 "" a path del c 1
expect 1 "has no path 1" a path del c 1

expect 1 "the guest wants 512 MiB of RAM, the nodes contribute 256 MiB" \
	a vm create v ram 512M vcpus 2
expect 1 "(node 1: 128 MiB, node 3: 64 MiB)" a vm create v ram 256M vcpus 2 nodes 1,c
expect 1 "has no node \"d\"" a vm create v ram 64M vcpus 2 nodes a,d
expect 1 "must be one of the nodes" a vm create v ram 64M vcpus 2 nodes 2,3
expect 1 "named twice" a vm create v ram 64M vcpus 2 nodes 1,a
expect 1 "2 weights for 3 nodes" a vm create v ram 64M vcpus 2 weights 1,2
expect 1 "1 nodes for 2 vCPUs" a vm create v ram 64M vcpus 2 place 1
expect 1 "does not take part" a vm create v ram 64M vcpus 2 nodes 1,2 place 1,3
expect 1 "multiple of 1 MiB" a vm create v ram 65537 vcpus 2
expect 1 "node 3 (c): no room" a vm create refused-on-3 ram 64M vcpus 2
expect 0 "" b vm create refused-on-3 ram 64M vcpus 2 nodes 1,2
expect 0 "" b vm delete refused-on-3
expect 0 "place 1,1,2,3" a vm create v ram 192M vcpus 4
expect 1 "already" b vm create v ram 64M vcpus 1
expect 1 "VM v exists" b node leave
expect 1 "there is no VM" a vm start nosuch
expect 1 "" a vm start v
logged b "replica host .* exited with status 1: .*No such file"
expect 1 "does not run" a vm stop v
expect 1 "does not run" a vm pause v
expect 1 "does not run" b vm resume v

kill -9 "${pid[c]}"
wait "${pid[c]}" 2>/dev/null
unset "pid[c]"
eventually "node-name c address 127.0.0.1:17119 state down reason" a cluster show
eventually "node-name c address 127.0.0.1:17119 state down reason" b cluster show
start c 17119
expect 0 "" b vm delete v
expect 0 "" a vm create w ram 64M vcpus 1
expect 1 "VM w exists" c node join 127.0.0.1:17117 ram 64M
expect 0 "" b vm delete w
expect 0 "node-id 3" c node join 127.0.0.1:17117 ram 64M
eventually "node-name c address 127.0.0.1:17119 state up" b cluster show
expect 1 "leaves last" a node leave
expect 0 "node-id 2" b node leave
eventually "in no cluster" b cluster show
expect 0 "" a cluster show
expect 0 "node-id 2" b node join 127.0.0.1:17117 ram 64M

# node 1 starts again: the same cluster, for those who have its certificates
for n in c b; do
	expect 0 "" $n node leave
done
expect 0 "" a node leave
kill "${pid[a]}"
wait "${pid[a]}" 2>/dev/null
start a 17117
expect 1 "in no cluster" b node join 127.0.0.1:17117 ram 64M
expect 1 "holds the CA of cluster mine" a cluster create other ram 128M
expect 1 "with encryption, which it keeps" a cluster create mine ram 128M plain
expect 0 "ca-made no" a cluster create mine ram 128M
expect 0 "node-id 2" b node join 127.0.0.1:17117 ram 64M
expect 0 "node-id 3" c node join 127.0.0.1:17117 ram 64M

# RDMA only in a plain cluster that allows it, where both nodes offer it
start g 17123 --rdma
expect 0 "rdma has no effect" g cluster join 127.0.0.1:17117 "$(token)" ram 64M
expect 0 "rdma no" g cluster show
linked g a tcp
expect 1 "without \"rdma\"" g path add a 1 127.0.0.1:17117 transport rdma
expect 0 "node-id 4" g node leave
start d 17120 --rdma-paths --listen 127.0.0.2:17120
start e 17121 --rdma-paths --listen 127.0.0.3:17121
start f 17122
start h 17124 --rdma --listen 127.0.0.4:17124
expect 2 "Usage" d cluster create ram 64M rdmb
expect 1 "nothing encrypts RDMA" d cluster create ram 64M rdma
expect 1 "in no cluster" d cluster show
expect 0 "not be encrypted" d cluster create ram 64M plain rdma
expect 0 "" d node leave
expect 1 "holds the CA of cluster without a name" d cluster create other ram 64M plain rdma
expect 0 "ca-made no" d cluster create ram 64M plain rdma
expect 0 "node-id 2" e cluster join 127.0.0.1:17120 "$(token_of d)" ram 64M
expect 0 "node-id 3" f cluster join 127.0.0.1:17120 "$(token_of d)" ram 64M
expect 0 "rdma yes" f cluster show
expect 1 "no keys" d link renew e
linked d e rdma
linked e d rdma
linked d f tcp
linked e f tcp
linked f e tcp
# its further paths too, where both say so, or as the administrator has it
logged d "path 1 to e over rdma"
logged e "path 1 to d over rdma"
expect 0 "" d path add e 2 127.0.0.1:17121 transport tcp
logged e "path 2 to d over tcp"
expect 0 "" d path add e 3 127.0.0.1:17121
logged e "path 3 to d over rdma"
expect 1 "there are tcp and rdma" d path add f 1 127.0.0.1:17122 transport pigeon
expect 2 "Usage" d path add f 1 127.0.0.1:17122 by rdma
expect 1 "without --rdma" f path add d 1 127.0.0.1:17120 transport rdma
ctl d path add f 1 127.0.0.1:17122 transport rdma > "$dir/rdma"
logged f "a path to node 1 (d) by RDMA: hkd of this node runs without --rdma"
expect 0 "node-id 4" h cluster join 127.0.0.1:17120 "$(token_of d)" ram 64M
linked d h rdma
logged d "path 1 to h over tcp"

for n in a b c d e f g h; do
	kill "${pid[$n]}"
	wait "${pid[$n]}"
	got=$?
	unset "pid[$n]"
	nr=$((nr + 1))
	if [ $got = 0 ]; then
		echo "ok $nr - $n ends by SIGTERM"
	else
		echo "not ok $nr - $n ends by SIGTERM: $got"
		bad=1
	fi
done
[ "$bad" = 0 ] || echo "# logs are in $dir"
echo "1..$nr"
exit $bad
