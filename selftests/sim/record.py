#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Record a trace for the simulator: record.py OUT.trace.xz [GUEST COMMAND]

    host 1 (origin, QEMU)            host 2
    vCPU 0            ==== fabric ==== vCPU 1

Boots a guest on two emulated hosts with the tracepoint hk_fault on, runs the
command in it (default: a short load on both CPUs), and writes what the hosts saw,
merged by the TSC, in the form that trace.c reads. RECORDS=N: the last N of them."""

import lzma
import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

T = '/sys/kernel/tracing'
VM = 'g'
RECORDS = int(os.environ.get('RECORDS') or 40000)
LOAD = ('rm -f /tmp/stop; (usleep 3000000; touch /tmp/stop) & '
        'load.sh /tmp/stop /tmp; fill 64 2')


def record(d, load):
    d.up()
    d.load()
    d.join_all(ram='448M', plain=True)
    d.each(lambda n: d.host(
        n, 'cd %s && echo x86-tsc >trace_clock && echo 16384 >buffer_size_kb && '
        'echo 1 >events/hyperkernel/hk_fault/enable && echo 1 >tracing_on' % T))
    # of two clocks that one machine has, the offset is all the difference
    link = d.json(2, 'link show')[0]
    need(link['peer-id'] == 1 if 'peer-id' in link else True, link)
    khz = int(d.host(1, "sed 's/.*tsc_early_khz=\\([0-9]*\\).*/\\1/' /proc/cmdline"))
    d.vm_create(VM, ram='512M', vcpus=2, append='hk.plain', more='place 1,2')
    con = d.vm_start(VM)
    con.expect(r'HK-GUEST-UP', 180)
    con.expect(r'^HK-GUEST-SHELL', 30)
    rc, text = con.run(load, 300)
    print(text)
    need(rc == 0, 'load: status %d' % rc)
    records = []
    for n in d.all_hosts():
        d.host(n, 'echo 0 >%s/tracing_on' % T)
        text = d.host(n, "sed -n 's/.* \\([0-9]*\\): hk_fault: node=\\([0-9]*\\) "
                      "vm=[0-9]* gfn=\\([0-9a-f]*\\) \\([RW]\\).*/\\1 \\2 \\4 \\3/p' "
                      '%s/trace' % T, timeout=300)
        print(n, d.host(n, 'head -4 %s/trace; cat %s/per_cpu/cpu0/stats' % (T, T)))
        off = link.get('tsc-offset', 0) if n == 2 else 0
        for line in text.splitlines():
            m = re.match(r'(\d+) (\d+) ([RW]) ([0-9a-f]+)$', line)
            if m:
                records.append((int(m.group(1)) + off, int(m.group(2)),
                                m.group(3), m.group(4)))
    print('link', link, 'khz', khz, 'records', len(records))
    if trouble := d.trouble():
        raise hkdrive.Failed(trouble)
    records.sort()
    return records[-RECORDS:], khz


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    d = hkdrive.Drive('record')
    try:
        records, khz = record(d, ' '.join(sys.argv[2:]) or LOAD)
    finally:
        d.down()
    need(records, 'no records')
    t0 = records[0][0]
    with lzma.open(sys.argv[1], 'wt', preset=9) as f:
        f.write('# time/us node access gfn; two hosts, guest of 512 MiB\n')
        for t, node, access, gfn in records:
            f.write('%d %d %s %s\n' % ((t - t0) * 1000 // khz, node, access, gfn))
    print('%d records, %d bytes' % (len(records), os.path.getsize(sys.argv[1])))
    return 0


if __name__ == '__main__':
    sys.exit(main())
