#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# tshark reads a capture as it was written; TAP
#
#   check.sh DIRECTORY

out=$1
lua=$(cd ../../user/wireshark && pwd)/hyperkernel.lua
nr=0
rc=0

result()	# STATUS NAME
{
	nr=$((nr + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		rc=1
	fi
}

if ! command -v tshark >/dev/null; then
	echo "ok 1 - dissector # SKIP no tshark"
	echo 1..1
	exit 4
fi

shark()
{
	tshark -X lua_script:"$lua" -r "$out/link.pcap" "$@" 2>"$out/err"
}

"$out/mkpcap" "$out/link.pcap" >"$out/want" || exit 1

# Several messages end in one frame: their lines follow each other, split by commas
shark -T fields -e _ws.col.Info -Y hyperkernel >"$out/info"
tr ',' '\n' <"$out/info" | sed 's/^ //' >"$out/got"
cut -d ' ' -f 3- "$out/want" >"$out/want.info"
diff "$out/want.info" "$out/got" >"$out/diff"
result $? "every message is there, in order, by the module's own names"
[ -s "$out/diff" ] && sed 's/^/# /' "$out/diff" | head -20

shark -T fields -E occurrence=a -e hk.seq -e hk.from -Y hyperkernel |
	awk -F '\t' '{ n = split($1, s, ","); split($2, f, ",")
		for (i = 1; i <= n; i++) print f[i], s[i] }' >"$out/got"
cut -d ' ' -f 1,2 "$out/want" | diff - "$out/got" >"$out/diff"
result $? "senders and numbers are those of the headers"
[ -s "$out/diff" ] && sed 's/^/# /' "$out/diff" | head -20

# gfn: of each page message, and of each entry of SPILL and of groups
gfns=$(shark -T fields -e hk.gfn hk.gfn | tr ',' '\n' | sed 's/^0x0*//' | tr '\n' ' ')
[ "$gfns" = "1231 1232 1233 1234 1235 1236 1237 1238 1239 123a 123b 123c 123d 123e 123f 1240 7 8 2000 2001 201f 3000 3001 301f 4000  " ]
result $? "page numbers"

[ "$(shark -Y 'hk.acks == 0x8000000000000006 && hk.data_token == 0xd0001234 &&
	hk.ack_token == 0xa0001234 && hk.dtype == 4' -T fields -e hk.gfn | wc -l)" = 1 ]
result $? "nodes whose ACKs are to come, and tokens"

[ "$(shark -Y 'hk.gfn == 0x4000' -T fields -e hk.salt -e hk.hash | tr '\t' ' ')" = \
	"0x5a17000000000001 0xfedcba9876543210" ]
result $? "what an old copy is"

tokens=$(shark -Y 'hk.gfn == 0x2000' -T fields -e hk.data_token -e hk.ack_token |
	tr '\t' , | tr , '\n' | grep e0000 | tr '\n' ' ')
[ "$tokens" = "0xe0000200 0xe0000202 0xe0000204 0xe0000300 0xe0000301 0xe0000302 \
0xe0000201 0xe0000203 0xe0000205 " ]
result $? "tokens of each page of a group"

[ "$(shark -Y hk.page -T fields -e hk.page | tr ',' '\n' |
	awk '{ print length($0) }' | sort -u)" = 8192 ]
result $? "pages are whole"

bad=$(shark -Y '_ws.malformed || hk.short || _ws.lua.error' -T fields -e frame.number) &&
	[ -z "$bad" ]
result $? "nothing is malformed"

n=$(shark -Y 'tcp.payload contains "Client" && !hyperkernel' -T fields -e frame.number |
	wc -l)
[ "$n" = 2 ]
result $? "words of the daemons are left alone"
grep -iE 'lua|error' "$out/err" | sed 's/^/# /'
echo "1..$nr"
exit $rc
