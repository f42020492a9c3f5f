#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Exit status of hkctl and hkd: 2 for usage, 1 for a refusal, with a reason on
# standard error. Needs neither module nor daemon.
#
# usage: usage.sh BINDIR

bin=$1
nr=0
bad=0
echo "# usage"
if [ ! -x "$bin/hkctl" ]; then
	echo "1..0 # SKIP no hkctl in $bin: make -C user"
	exit 4
fi

# expect STATUS WORDS COMMAND...
expect() {
	want=$1 words=$2
	shift 2
	nr=$((nr + 1))
	out=$("$@" 2>&1)
	got=$?
	case $out in
	*"$words"*) ;;
	*) got="$got, says: $out" ;;
	esac
	if [ "$got" = "$want" ]; then
		echo "ok $nr - $(basename "$1") ${*:2}"
	else
		echo "not ok $nr - $(basename "$1") ${*:2}"
		echo "# wanted $want and \"$words\", got $got"
		bad=1
	fi
}

hkctl="$bin/hkctl"
HKD_SOCKET=/nonexistent/hkd.sock
export HKD_SOCKET
expect 0 "Usage: hkctl" "$hkctl" help
expect 2 "Usage: hkctl" "$hkctl"
expect 2 "unknown" "$hkctl" nodes
expect 2 "Usage" "$hkctl" -x
for object in cluster node link vm vcpu stats monitor doctor; do
	expect 0 "Usage: hkctl $object" "$hkctl" $object help
	expect 2 "" "$hkctl" $object bogus more
done
expect 2 "Usage" "$hkctl" cluster create
expect 2 "not a size" "$hkctl" cluster create ram 12Q
expect 2 "cannot be a name" "$hkctl" cluster create 77 ram 1G
expect 2 "Usage" "$hkctl" cluster create ram 1G ca-cert /x
expect 2 "Usage" "$hkctl" cluster create ram 1G plaintext
expect 2 "Usage" "$hkctl" cluster invite for
expect 2 "valid must be" "$hkctl" cluster invite valid 0
expect 2 "cannot be a name" "$hkctl" cluster invite for 77
expect 2 "Usage" "$hkctl" cluster join 10.0.0.1 ram 1G
expect 2 "Usage" "$hkctl" node join 10.0.0.1 sometoken ram 1G
expect 2 "Usage" "$hkctl" node ban
expect 2 "Usage" "$hkctl" link renew
expect 2 "Usage" "$hkctl" node join 10.0.0.1
expect 2 "Usage" "$hkctl" node join 10.0.0.1 ram
expect 2 "ram and vcpus" "$hkctl" vm create a ram 1G
expect 2 "vcpus must be" "$hkctl" vm create a ram 1G vcpus 65
expect 2 "wants a value" "$hkctl" vm create a ram 1G vcpus
expect 2 "unknown" "$hkctl" vm create a colour red
expect 2 "async-pf is" "$hkctl" vm create a ram 1G vcpus 1 async-pf maybe
expect 1 "kernel /nonexistent" "$hkctl" vm create a ram 1G vcpus 1 kernel /nonexistent
expect 2 "count must be" "$hkctl" link echo 2 count 0
expect 2 "count must be" "$hkctl" link echo 2 count 4097
expect 2 "len must be" "$hkctl" link echo 2 len 15
expect 2 "len must be" "$hkctl" link echo 2 len 32769
expect 2 "index of a vCPU" "$hkctl" vcpu move a x 1
expect 1 "cannot reach hkd" "$hkctl" cluster show
expect 1 "cannot reach hkd" "$hkctl" cluster create ram 1G
expect 1 "cannot reach hkd" "$hkctl" cluster invite
expect 1 "cannot reach hkd" "$hkctl" node ban b
expect 1 "cannot reach hkd" "$hkctl" vm start a
# whatever this machine lacks: there is no module here, and each lack has its cure
expect 1 "check module verdict missing" "$hkctl" doctor
nr=$((nr + 1))
cures=$("$hkctl" doctor 2> /dev/null | grep -v ' verdict ok ' | grep -vc ' todo ')
if [ "$cures" = 0 ]; then
	echo "ok $nr - doctor says what to do"
else
	echo "not ok $nr - doctor says what to do"
	"$hkctl" doctor 2>&1 | sed 's/^/# /'
	bad=1
fi
expect 2 "not a number from" "$bin/hkd" --heartbeat-ms 5
expect 2 "not an option" "$bin/hkd" now
l="--listen 127.0.0.1"
# shellcheck disable=SC2086 # five options
expect 2 "4 addresses at most" "$bin/hkd" $l $l $l $l $l
# shellcheck disable=SC2086 # two options
expect 1 "each must be an address" "$bin/hkd" --socket "$bin/s" --listen 0.0.0.0 $l
expect 2 "--name" "$bin/hkd" --name 1
expect 1 "/nonexistent" "$bin/hkd" --replica /nonexistent/device
echo "1..$nr"
exit $bad
