# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Kernel pieces for the images: the uncompressed kernel and loose modules.
# Sourced by mkhost and mkguest, which set $top and $out.
: "${top:?}" "${out:?}"

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# kernel_tree SERIES: where bootstrap unpacked the kernel of that series.
kernel_tree() {
	local dir=$out/kernels/$1 ver

	ver=$("$top/scripts/kver" "$1") || exit 1
	if [ "$(cat "$dir/.done" 2>/dev/null)" != "$ver" ]; then
		"$top/scripts/bootstrap" >&2 || exit 1
	fi
	[ -e "$dir/.done" ] || die "no kernel for $1 in $dir"
	echo "$dir"
}

# extract_vmlinux BZIMAGE OUT: what PVH boot wants; saves the time that
# decompression takes under emulation.
extract_vmlinux() {
	/usr/bin/python3 - "$1" "$2" <<'PY' || die "cannot unpack $1"
import lzma, struct, subprocess, sys

data = open(sys.argv[1], 'rb').read()
setup = data[0x1f1] or 4
off, length = struct.unpack_from('<II', data, 0x248)
start = (setup + 1) * 512 + off
payload = data[start:start + length]
if payload[:6] == b'\xfd7zXZ\0':
    # The last four bytes are the size of the result, not part of the stream.
    elf = lzma.LZMADecompressor().decompress(payload)
elif payload[:4] == b'\x28\xb5\x2f\xfd':
    elf = subprocess.run(['zstd', '-dcq'], input=payload[:-4],
                         stdout=subprocess.PIPE, check=True).stdout
elif payload[:2] == b'\x1f\x8b':
    import zlib
    elf = zlib.decompressobj(31).decompress(payload)
else:
    sys.exit('unknown compression %r' % payload[:6])
if elf[:4] != b'\x7fELF':
    sys.exit('no ELF image inside')
open(sys.argv[2], 'wb').write(elf)
PY
}

# module_copy SRC DST: plain .ko whatever the distribution compressed it with.
module_copy() {
	case $1 in
	*.ko.xz)  xz -dc "$1" > "$2" ;;
	*.ko.zst) zstd -dcq "$1" > "$2" ;;
	*.ko)	  cp "$1" "$2" ;;
	*)	  die "odd module $1" ;;
	esac
}

# module_paths TREE VERSION NAME...: files of the modules and of what they
# need, in load order, each once. Names that are built in or absent give none.
module_paths() {
	local tree=$1 ver=$2 m

	shift 2
	for m; do
		modprobe -q -d "$tree" -S "$ver" --show-depends "$m" 2>/dev/null || :
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# modules_flat TREE VERSION DIR NAME...: DIR/*.ko and DIR/order.
modules_flat() {
	local tree=$1 ver=$2 dir=$3 p base

	shift 3
	mkdir -p "$dir"
	: > "$dir/order"
	module_paths "$tree" "$ver" "$@" | while read -r p; do
		base=${p##*/}
		base=${base%%.ko*}
		module_copy "$p" "$dir/$base.ko"
		echo "$base" >> "$dir/order"
	done
}

# stamp FILE...: a hash over contents and names of files.
stamp() {
	sha256sum "$@" | sha256sum | cut -c1-32
}
