#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Old copies that are asked about, in three nodes of one kernel.

    n1 --veth--+
    n2 --veth--+-- bridge          guest RAM of 12 MiB, in namespaces
    n3 --veth--+

No guest runs: processes map the RAM devices. What was written again as it was does not
travel again; what has changed, if by one bit, is never missed; and old copies are given
up for pages that are wanted."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

NODES = (1, 2, 3)
VM = 'm'
RAM_PAGES = 12 * 256
BUDGET_PAGES = 10 * 256
PAGES = 256
ROUNDS = 4
OFF, WORTH, ALWAYS = 0, 1, 2


def ctl(d, n, cmd, **kw):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/sock %s' % (n, n, cmd), **kw)


def show(d, n, what):
    return hkdrive.json.loads(ctl(d, n, '-j ' + what))


def device(n):
    return '/dev/hyperkernel/n%d-%s' % (n, VM)


def nodes_up(d):
    d.host(1, 'ip link add br0 type bridge && ip link set br0 up')
    for n in NODES:
        d.host(1, 'set -e; i=%d; ip netns add n$i; '
               'ip link add v$i type veth peer name e0 netns n$i; '
               'ip link set v$i master br0 up; '
               'ip -n n$i addr add 10.9.0.$i/24 dev e0; '
               'ip -n n$i link set lo up; ip -n n$i link set e0 up; '
               'mkdir -p /run/n$i; '
               'ip netns exec n$i hkd --background --name n$i --listen 10.9.0.$i '
               '--socket /run/n$i/sock --state-dir /run/n$i/state --log /run/n$i/log '
               '--dead-ms 20000' % n)
    ram = 'ram %dK' % (BUDGET_PAGES * 4)
    ctl(d, 1, 'cluster create netns %s plain' % ram)
    for n in NODES[1:]:
        token = ctl(d, 1, 'cluster invite').strip()
        ctl(d, n, 'cluster join 10.9.0.1 %s %s' % (token, ram))


def revalidate(d, how):
    d.host(1, 'echo %d >/sys/module/hyperkernel/parameters/revalidate' % how)


def stats(d, n):
    s = show(d, n, 'stats show ' + VM)[0]
    return s.get('stats', s)


def total(d, key):
    return sum(stats(d, n)[key] for n in NODES)


def sent(d):
    """Bytes that all nodes have sent."""
    return sum(x['tx-bytes'] for n in NODES for x in show(d, n, 'link show'))


def again(d, what, to):
    """Node 1 writes pages, node TO reads them: bytes, and pages that did not travel."""
    before = sent(d), total(d, 'same-sent'), total(d, 'revalidated')
    text = d.host(1, 'levers again %d %d %s %s %s' % (
        ROUNDS, PAGES, what, device(1), device(to)), timeout=120)
    need(len(re.findall('^again ', text, re.M)) == ROUNDS, text)
    after = sent(d), total(d, 'same-sent'), total(d, 'revalidated')
    size, told, found = (a - b for a, b in zip(after, before))
    need(told == found, '%d pages told to be the same, %d found' % (told, found))
    print('# %s to node %d: %d bytes, %d pages did not travel' % (what, to, size, told))
    return size, told


def used(d):
    return [[x for x in show(d, n, 'node show') if x.get('self')][0]['used-pages']
            for n in NODES]


def memtest(d):
    text = d.host(1, 'memtest -p %d -s 2 %s' % (
        RAM_PAGES - 64, ' '.join(device(n) for n in NODES)), timeout=200)
    for line in text.splitlines():
        print('# ' + line)
    need('not ok' not in text and len(re.findall('^ok', text, re.M)) == 8, text)


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('reval', 1, up=('--smp', '2'))
    try:
        with tap.test('three nodes in namespaces of one host, a VM on all'):
            d.up()
            d.load()
            nodes_up(d)
            ctl(d, 1, 'vm create %s ram %dM vcpus 3' % (VM, RAM_PAGES // 256))
        if tap.bad:
            raise hkdrive.Failed('no nodes, nothing more to test')
        with tap.test('never: what is written again as it was travels again'):
            revalidate(d, OFF)
            size, told = again(d, 'same', 2)
            need(not told and size > ROUNDS * PAGES * 4096, size)
            need(not total(d, 'revalidate-asked') and not total(d, 'stale'),
                 stats(d, 2))
        with tap.test('where it pays: found out by itself'):
            revalidate(d, WORTH)
            again(d, 'same', 2)
            size, told = again(d, 'same', 2)
            need(told >= ROUNDS * PAGES and size < told * 4096 / 4, size)
        for to in (2, 3):
            with tap.test('always: it does not, from node 1 to node %d' % to):
                revalidate(d, ALWAYS)
                again(d, 'same', to)                    # leaves an old copy of each
                size, told = again(d, 'same', to)
                need(told >= ROUNDS * PAGES and size < told * 4096 / 4, size)
        with tap.test('always: what has changed is asked about, and comes'):
            asked = total(d, 'revalidate-asked')
            size, told = again(d, 'changed', 2)
            # the last round of each run has words of its own
            need(total(d, 'revalidate-asked') - asked >= (ROUNDS - 1) * PAGES,
                 'nothing was asked about: %s' % stats(d, 2))
            need(size > (ROUNDS - 1) * PAGES * 4096, size)
        with tap.test('where it pays: given up where it does not'):
            revalidate(d, WORTH)
            for _ in range(2):
                again(d, 'changed', 2)
            asked = total(d, 'revalidate-asked')
            again(d, 'changed', 2)
            asked = total(d, 'revalidate-asked') - asked
            need(asked < ROUNDS * PAGES / 4, '%d of %d were asked about' % (
                asked, ROUNDS * PAGES))
        with tap.test('memory is coherent, old copies always asked about'):
            revalidate(d, ALWAYS)
            before = total(d, 'revalidated')
            memtest(d)
            need(total(d, 'revalidated') > before, 'none was found good')
        with tap.test('old copies count in the budget, and go first'):
            for n in NODES:
                s = stats(d, n)
                print('# n%d: %s' % (n, {k: s[k] for k in (
                    'stale', 'present', 'revalidate-asked', 'revalidated',
                    'same-sent', 'dropped', 'spilled')}))
                need(s['stale'] <= BUDGET_PAGES / 8, s)
                need(s['present'] + s['stale'] <= used(d)[n - 1] <= BUDGET_PAGES, s)
        with tap.test('nothing stays'):
            ctl(d, 1, 'vm delete ' + VM)
            need(used(d) == [0, 0, 0], 'pages in use: %s' % used(d))
            d.host(1, 'killall hkd; while pidof hkd >/dev/null; do usleep 20000; done; '
                   'rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'for i in 1 2 3; do ip netns exec n$i hkctl -s '
                       '/run/n$i/sock vm show; ip netns exec n$i hkctl -s /run/n$i/sock '
                       'link show; tail -5 /run/n$i/log; done; dmesg | tail -15')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
