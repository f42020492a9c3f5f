#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Interrupts of every kind cross hosts, by name.

    host 1 (origin, QEMU)        host 2
    vCPU 0       ==== fabric ==== vCPU 1, 2

One guest after the other, each with another way to address LAPICs and to interrupt;
what selftests/guest/irq.c counts must arrive on every CPU, wherever it lives."""

import json
import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

VM = 'i'
VIOMMU = 'qemu-arg -device qemu-arg intel-iommu,intremap=on,eim=on'
# name, kernel command line, more for vm create, mode, tests
GUESTS = [
    ('x2APIC physical, shorthands, MSI', 'no_ipi_broadcast=0', '',
     r'physical x2apic, broadcast by shorthand',
     'nmi resched call timer msi'),
    ('xAPIC logical, level-triggered pins', 'nox2apic pci=nomsi', '',
     r'xAPIC flat, broadcast by shorthand', 'nmi call intx'),
    ('x2APIC logical, interrupt remapping', 'intel_iommu=off', VIOMMU,
     r'cluster x2apic', 'nmi call timer msi'),
]


def missing(d, n):
    """What hkctl doctor misses on a host."""
    st, text = d.host(n, 'hkctl -j doctor 2>/dev/null', check=False)
    lacks = [c['check'] for c in json.loads(text) if c['verdict'] == 'missing']
    need(st == bool(lacks), 'status %d: %s' % (st, text))
    return lacks


def crossed(d):
    """Interrupts that both hosts have sent and received for this VM."""
    s = [d.json(n, 'stats show ' + VM)[0] for n in d.all_hosts()]
    return [x[k] for x in s for k in ('irq-sent', 'irq-recv')]


def guest(d, tap, name, append, more, mode, tests):
    con = None
    with tap.test('%s: guest boots' % name):
        d.vm_create(VM, ram='256M', vcpus=3, append='hk.plain ' + append,
                    more='disk /dev/disk/by-id/virtio-hkscratch place 1,2,2 ' + more)
        con = d.vm_start(VM)
        con.expect(r'HK-GUEST-UP cpus=3', 300)
        con.expect(r'^HK-GUEST-SHELL', 120)
        where = {v['vcpu']: v['node-id'] for v in d.json(1, 'vcpu show ' + VM)}
        need(where == {0: 1, 1: 2, 2: 2}, where)
    if not con:
        return
    with tap.test('%s: that is what the guest uses' % name):
        rc, text = con.run('irq mode', 300)
        need(rc == 0 and re.search(mode, text), text)
    for t in tests.split():
        with tap.test('%s: %s' % (name, t)):
            before = crossed(d)
            rc, text = con.run('irq ' + t, 300)
            need(rc == 0 and 'IRQ %s ok' % t in text, text)
            after = crossed(d)
            print('# %s; host 1 sent %d took %d, host 2 sent %d took %d' % (
                (text.strip(),) + tuple(b - a for a, b in zip(before, after))))
            # a timer stays with its CPU; all others have to cross
            need(t == 'timer' or after[1] > before[1] and after[3] > before[3],
                 'no interrupt crossed: %s, then %s' % (before, after))
    with tap.test('%s: guest kernel has nothing to complain of' % name):
        rc, text = con.run('dmesg | grep -iE "lockup|stall|BUG:|WARNING: CPU|spurious|'
                           'nobody cared|stuck|no irq handler" || echo nothing', 300)
        need(text.strip() == 'nothing', text)
    with tap.test('%s: guest powers off' % name):
        con.send('poweroff -f')
        d.host(1, 'hkctl vm wait %s 30' % VM)
        d.host(1, 'hkctl vm delete ' + VM)
    con.close()


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('irq', 2)
    try:
        with tap.test('two hosts joined'):
            d.up()
            need(missing(d, 1) == ['module'], missing(d, 1))
            d.load()
            need(missing(d, 1) == missing(d, 2) == [], [missing(d, 1), missing(d, 2)])
            d.join_all(ram='256M', plain=True)
        if tap.bad:
            raise hkdrive.Failed('no hosts, nothing to test')
        for g in GUESTS:
            guest(d, tap, *g)
            if 'vm-name ' + VM in d.host(1, 'hkctl vm show', check=False)[1]:
                # left by a test that failed
                print(re.sub('^', '# ', d.host(1, 'hkctl vm show', check=False)[1],
                             flags=re.M))
                d.host(1, 'hkctl vm kill %s; hkctl vm delete %s' % (VM, VM),
                       check=False)
        with tap.test('module unloads everywhere'):
            for n in (2, 1):
                d.host(n, 'hkctl node leave; pkill hkd; rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
