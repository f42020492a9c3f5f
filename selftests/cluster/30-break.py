#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What breaks ends with a reason, everywhere, and leaves nothing behind.

    host 1 (origin, QEMU)  ==== fabric ==== host 2 (replica)
    vCPU 0                                  vCPU 1

For each thing that can break: a guest runs on both hosts, the thing breaks, the VM
is dead on every remaining host with a reason that says what happened, can be
deleted, no page stays, and the next guest starts on the same hosts."""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

VM = 'b'


def start(d, boot=False):
    """A guest with vCPU 1 on host 2; returns its console."""
    if 'vm-name ' + VM in d.host(1, 'hkctl vm show', check=False)[1]:
        # left by a test that failed
        d.host(1, 'hkctl vm kill %s; hkctl vm delete %s' % (VM, VM), check=False)
    d.vm_create(VM, ram='256M', vcpus=2, append='hk.plain', more='place 1,2')
    con = d.vm_start(VM)
    if boot:
        con.expect(r'HK-GUEST-UP cpus=2', 600)
        con.expect(r'HK-GUEST-SHELL', 120)
    else:
        con.expect(r'ROM|HK-GUEST-UP', 300)
    where = {v['vcpu']: v['node-id'] for v in d.json(1, 'vcpu show ' + VM)}
    need(where == {0: 1, 1: 2}, where)
    return con


def ended(d, hosts, pattern):
    """The VM is dead on these hosts, for a reason that fits."""
    t0 = time.monotonic()
    for n in hosts:
        d.host(n, 'hkctl vm wait %s 20' % VM)
        reason = d.json(n, 'vm show ' + VM)[0].get('reason', '')
        need(re.search(pattern, reason), 'host %d: reason is "%s"' % (n, reason))
        print('# host %d: %s' % (n, reason))
    print('# known everywhere %.1f s after the break' % (time.monotonic() - t0))


def clean(d, hosts):
    for n in hosts:
        used = d.json(n, 'node show')[0]['used-pages']
        need(used == 0, 'host %d still uses %d pages' % (n, used))


def link_cut(d, tap, name, cut, reasons):
    with tap.test(name):
        con = start(d)
        d.vc('cut', *cut)
        for n in reasons:
            ended(d, (n,), reasons[n])
        d.vc('heal')
        con.close()
        d.host(2, 'hkctl node join 10.77.0.1 ram 256M')
        d.host(1, 'hkctl vm delete ' + VM)
        clean(d, (1, 2))


def host_killed(d, tap):
    with tap.test('host killed'):
        con = start(d)
        d.vc('kill', 2)
        try:
            ended(d, (1,), 'nothing heard from node 2')
        except hkdrive.Failed:
            # seen twice, and never understood: what do the link's threads wait for?
            print(re.sub('^', '# ', d.host(
                1, 'for f in $(grep -l ^hk- /proc/[0-9]*/comm); do cat $f '
                '${f%comm}stack; done; hkctl link show', check=False)[1],
                flags=re.M))
            raise
        if con:
            con.close()
        d.host(1, 'hkctl vm delete ' + VM)
        clean(d, (1,))
        d.vc('start', 2)
        d.host(2, 'insmod /hk/hyperkernel.ko')
        d.hkd(2)
        # its key went with its files
        d.enrol(2, '256M')


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('break', 2)
    con = None
    try:
        with tap.test('two hosts joined'):
            d.up()
            d.load()
            d.join_all(ram='256M')
        if tap.bad:
            raise hkdrive.Failed('nothing to break')

        with tap.test('module cannot be unloaded under a guest'):
            con = start(d)
            for n in (1, 2):
                st, text = d.host(n, 'rmmod hyperkernel', check=False)
                need(st != 0 and 'in use' in text, 'host %d: %s' % (n, text))
        with tap.test('VMM killed'):
            d.host(1, 'kill -9 $(pidof qemu-system-x86_64)')
            ended(d, (1, 2), 'VMM')
            if con:
                con.close()
            d.host(1, 'hkctl vm delete ' + VM)
            clean(d, (1, 2))
        with tap.test('replica process killed'):
            con = start(d)
            d.host(2, "kill -9 $(grep -al '[-]-replica' /proc/[0-9]*/cmdline | "
                   'cut -d/ -f3)')
            ended(d, (1, 2), 'replica')
            if con:
                con.close()
            d.host(1, 'hkctl vm delete ' + VM)
            clean(d, (1, 2))
        link_cut(d, tap, 'link cut', (1, 2), {1: 'nothing heard from node 2',
                                              2: 'nothing heard from node 1'})
        # who hears nothing ends the link, and the other one still hears that
        link_cut(d, tap, 'link cut, host 2 is deaf', (1, 2, '--oneway'),
                 {2: 'nothing heard from node 1', 1: 'node 2 closed|nothing heard'})
        link_cut(d, tap, 'link cut, host 1 is deaf', (2, 1, '--oneway'),
                 {1: 'nothing heard from node 2', 2: 'node 1 closed|nothing heard'})
        with tap.test('daemon of a member killed'):
            con = start(d)
            d.host(2, 'kill -9 $(pidof hkd | tr " " "\\n" | sort -n | head -1)')
            ended(d, (1,), 'node 2|replica')
            if con:
                con.close()
            d.hkd(2)
            d.host(2, 'hkctl node join 10.77.0.1 ram 256M')
            d.host(1, 'hkctl vm delete ' + VM)
            clean(d, (1, 2))
        host_killed(d, tap)
        with tap.test('a new guest boots after all that, and powers off'):
            con = start(d, boot=True)
            rc, text = con.run('fill 32')
            need(rc == 0, text)
            con.send('poweroff -f')
            ended(d, (1, 2), 'powered off')
            d.host(1, 'hkctl vm delete ' + VM)
            clean(d, (1, 2))
        with tap.test('module unloads on both hosts'):
            for n in (2, 1):
                d.host(n, 'hkctl node leave; pkill hkd; rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, con=con)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
