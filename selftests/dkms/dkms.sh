#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DKMS builds the module where nothing but DKMS and kernel headers is installed; TAP
#
# A minimal Debian of this machine's own release is made under out/dkms/root, from the
# archives that this machine's apt uses, and kept: the next run takes a minute. What
# is tested is the tree as git knows it, changes that are not committed included.
# Mounts live in a mount namespace of their own and end with it.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/out/dkms
root=$out/root
mod=hyperkernel
packages=dkms,linux-headers-amd64,linux-headers-6.12-amd64
n=0 bad=0
log=''

skip() {
	echo "ok 1 - DKMS # SKIP $*"
	echo 1..1
	exit 0
}

result() {	# STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		tail -n 30 "$log" | sed 's/^/# /'
		bad=1
	fi
}

# The whole test in a mount namespace: what it mounts is gone when it ends
if [ -z "${HK_DKMS_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root"
	command -v mmdebstrap > /dev/null || skip "no mmdebstrap"
	unshare -m --propagation private true 2> /dev/null ||
		skip "no mount namespace may be made here"
	HK_DKMS_INSIDE=y exec unshare -m --propagation private "$0" "$@"
fi

mkdir -p "$out"
log=$out/log
exec 9> "$out/lock"
flock -w 600 9 || { echo "dkms.sh: another run does not end" >&2; exit 1; }

# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mapfile -t sources < <(grep -lsE "^[^#]*[[:space:]]$suite([-[:space:]]|\$)" \
	/etc/apt/sources.list /etc/apt/sources.list.d/*.list \
	/etc/apt/sources.list.d/*.sources)
if [ -z "$suite" ] || [ ${#sources[@]} = 0 ]; then
	skip "apt has no source of this machine's own release"
fi

stamp="$suite $packages $(cat "${sources[@]}" | sha256sum)"
if [ "$(cat "$out/stamp" 2> /dev/null)" != "$stamp" ]; then
	# shellcheck disable=SC2115
	rm -rf "$root" "$out/stamp"
	# the way to the archive that apt here was told of, no other of its options
	apt-config dump | grep -E '^Acquire::(https?|ftp)::' > "$out/apt.conf"
	mmdebstrap --mode=root --variant=essential --include="$packages" \
		--aptopt="$out/apt.conf" --aptopt='Acquire::Retries "3"' \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$root" "${sources[@]}" > "$log" 2>&1 ||
		skip "no minimal system can be made: $(grep -m 1 '^E:' "$log")"
	echo "$stamp" > "$out/stamp"
fi

mount -t proc proc "$root/proc" || skip "nothing can be mounted here"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
rm -rf "$root/var/lib/dkms/$mod" "$root/usr/src/$mod"-* \
	"$root"/lib/modules/*/updates/dkms "$root"/lib/modules/5.10.0-test
tree=$(git -C "$top" stash create) || tree=
git -C "$top" archive --prefix="$mod-$version/" "${tree:-HEAD}" |
	tar -x -C "$root/usr/src"

inside dkms add -m $mod -v "$version" > "$log" 2>&1
result $? "dkms add"
inside sh -c 'command -v git || command -v clang' > "$log" 2>&1
result $((! $?)) "root is bare: neither git nor clang"

for series in 6.1 6.12; do
	ver=$(cd "$root/lib/modules" && echo "$series".*-amd64)
	inside dkms install -m $mod -v "$version" -k "$ver" > "$log" 2>&1
	result $? "dkms install for $series"
	cat "$root/var/lib/dkms/$mod/$version/build/make.log" \
		"$root/var/lib/dkms/$mod/$version/$ver"/*/log/make.log \
		>> "$log" 2> /dev/null
	grep -E '(warning|error|WARNING|ERROR): ' "$log" > "$log.complaints"
	mv "$log.complaints" "$log"
	[ ! -s "$log" ]
	result $? "no warning of the compiler for $series"
	ko=$(find "$root/lib/modules/$ver/updates/dkms" -name "$mod.ko*" 2> /dev/null)
	magic=$(modinfo -F vermagic "$ko" 2>> "$log")
	[ "${magic%% *}" = "$ver" ] || { echo "vermagic: $magic" >> "$log"; false; }
	result $? "module is for $series"
	[ "$(modinfo -F version "$ko" 2>> "$log")" = "$version" ] &&
		[ "$(modinfo -F license "$ko")" = GPL ] &&
		[ -n "$(modinfo -F description "$ko")" ] &&
		modinfo -F depends "$ko" | tr , '\n' | grep -qx kvm
	result $? "modinfo for $series: version, licence, description, needs kvm"
	[ "$(inside modinfo -k "$ver" -F name $mod 2>> "$log")" = $mod ]
	result $? "modprobe would find it for $series"
done

# a kernel that was never tried is left alone, though its headers are there
mkdir -p "$root/lib/modules/5.10.0-test"
ln -s "$(readlink "$root/lib/modules/"6.1.*-amd64/build)" \
	"$root/lib/modules/5.10.0-test/build"
inside dkms build -m $mod -v "$version" -k 5.10.0-test > "$log" 2>&1
status=$?
[ $status != 0 ] && grep -q BUILD_EXCLUSIVE "$log"
result $? "no build for a kernel of another series"
rm -rf "$root/lib/modules/5.10.0-test"

inside dkms remove -m $mod -v "$version" --all > "$log" 2>&1
result $? "dkms remove"
find "$root/lib/modules" "$root/var/lib/dkms" -name "$mod*" > "$log"
[ ! -s "$log" ]
result $? "nothing stays behind"
echo "1..$n"
exit $bad
