#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's clock on hosts whose crystals part.

    host 1 (origin, QEMU)            host 2
    vCPU 0    704 MiB  ==== fabric ==== vCPU 1    704 MiB

Emulated hosts share one clock, so one of them is told to gain time (tsc_drift_ppb):
1000 ppm, some ten times what bad crystals do, a millisecond each second. No CPU may
see time go back, wherever the two CPUs live and whichever host is the faster one."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

VM = 'c'
PPB = 1000000
MOVES = 20


def drift(d, host):
    """Let this host gain time, and no other one."""
    for n in d.all_hosts():
        d.host(n, 'echo %d >/sys/module/hyperkernel/parameters/tsc_drift_ppb' % (
            PPB if n == host else 0))


def stepped(d, host):
    """Ticks by which the guest's clock on a host has been stepped so far."""
    return d.json(host, 'stats show ' + VM)[0]['clock-stepped-ticks']


def clock(con, cmd='clock 1'):
    rc, text = con.run(cmd, 300)
    need(rc == 0 and re.search('CLOCK ok', text), '%s: status %d:\n%s' % (
        cmd, rc, text))


def follows(d, con, follower, leader):
    """With @leader's host fast: time is right, and it is the other one that steps."""
    drift(d, leader)
    before = stepped(d, follower), stepped(d, leader)
    # for ten seconds of the hosts' time. The new leader may have to catch up first
    clock(con)
    gain = stepped(d, follower) - before[0], stepped(d, leader) - before[1]
    print('# host %d stepped by %d ticks, host %d by %d' % (
        follower, gain[0], leader, gain[1]))
    need(gain[0] > 0, 'host %d has not followed' % follower)
    need(gain[1] < gain[0], 'host %d stepped, too: by %d and %d ticks' % (
        leader, gain[1], gain[0]))


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('clock', 2)
    con = None
    try:
        with tap.test('2 hosts up, joined, host 2 gains a millisecond a second'):
            d.up()
            d.load()
            d.join_all(plain=True)
            drift(d, 2)
        with tap.test('guest boots'):
            d.vm_create(VM, ram='256M', vcpus=2, append='hk.plain',
                        more='place 1,2')
            con = d.vm_start(VM)
            con.expect(r'HK-GUEST-UP cpus=2', 600)
            con.expect(r'^HK-GUEST-SHELL', 120)
        if con is None:
            raise hkdrive.Failed('no guest, nothing more to test')
        with tap.test('host 2 is fast: time never goes back, host 1 follows'):
            follows(d, con, 1, 2)
        with tap.test('both CPUs on the host that follows: they agree'):
            d.host(1, 'hkctl vcpu move %s 1 1' % VM)
            before = stepped(d, 1)
            clock(con)
            need(stepped(d, 1) > before, 'host 1 has not followed')
            d.host(1, 'hkctl vcpu move %s 1 2' % VM)
        with tap.test('host 1 is fast: time never goes back, host 2 follows'):
            follows(d, con, 2, 1)
        with tap.test('%d handoffs meanwhile: time never goes back' % MOVES):
            con.run('clock 2 >/tmp/out 2>&1 &')
            d.host(1, 'i=0; while [ $i -lt %d ]; do hkctl vcpu move %s 1 '
                   '$((1 + i %% 2)) || exit; i=$((i + 1)); done' % (MOVES, VM),
                   timeout=300)
            clock(con, 'wait; cat /tmp/out')
        with tap.test('guest kernel has nothing to complain of'):
            rc, text = con.run('dmesg | grep -iE "unstable|backwards|lockup|stall|'
                               'WARNING: CPU" || echo nothing')
            need(re.search('^nothing$', text, re.M), text)
        with tap.test('guest powers off, module unloads everywhere'):
            con.send('poweroff -f')
            d.host(1, 'hkctl vm wait %s 30' % VM)
            d.host(1, 'hkctl vm delete ' + VM)
            for n in d.all_hosts():
                d.host(n, 'hkctl node leave; pkill hkd; rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'hkctl vm show; hkctl stats show; tail -5 /run/hkd.log; '
                       'dmesg | tail -8', con=con)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
