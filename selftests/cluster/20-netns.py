#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Three nodes in one kernel, each in a network namespace of its own.

    n1 --veth--+
    n2 --veth--+-- bridge          guest RAM of 12 MiB on budgets of 6 MiB
    n3 --veth--+

No guest runs: processes map the RAM devices. Memory stays coherent, a guest's end
is known everywhere at once with its reason, and nothing stays behind."""

import os
import re
import sys
import threading
import time

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

NODES = (1, 2, 3)
VM = 'm'
BUDGET_PAGES = 6 * 256
RAM_PAGES = 12 * 256
PRODUCED = 32
# for one node to read: what its own pages leave room for is a third of it
COLD, HOT, OWN = 800, 96, 960
DEAD_MS = 2000


def ctl(d, n, cmd, **kw):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/sock %s' % (n, n, cmd), **kw)


def show(d, n, what):
    return hkdrive.json.loads(ctl(d, n, '-j ' + what))


def device(n):
    return '/dev/hyperkernel/n%d-%s' % (n, VM)


def nodes_up(d):
    """Namespaces, a bridge between them, a daemon in each."""
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
               '--dead-ms %d' % (n, DEAD_MS))


def enrol(d, n):
    token = ctl(d, 1, 'cluster invite').strip()
    ctl(d, n, 'cluster join 10.9.0.1 %s ram %dK' % (token, BUDGET_PAGES * 4))


def join(d, n):
    ctl(d, n, 'node join 10.9.0.1 ram %dK' % (BUDGET_PAGES * 4))


def vm_create(d):
    ctl(d, 1, 'vm create %s ram %dM vcpus 3' % (VM, RAM_PAGES // 256))
    for n in NODES:
        vm = show(d, n, 'vm show ' + VM)[0]
        need(vm['vm-state'] == 'created' and vm['device'] == device(n), vm)


def stats(d, n):
    s = show(d, n, 'stats show ' + VM)[0]
    return s.get('stats', s)


def used(d):
    return [[x for x in show(d, n, 'node show') if x.get('self')][0]['used-pages']
            for n in NODES]


def reasons(d, pattern):
    """The VM is dead on all nodes; `vm wait` returns by the event."""
    for n in NODES:
        ctl(d, n, 'vm wait %s 20' % VM)
    for n in NODES:
        vm = show(d, n, 'vm show ' + VM)[0]
        need(vm['vm-state'] == 'dead' and re.search(pattern[n], vm['reason']),
             'n%d: %s, not "%s"' % (n, vm, pattern[n]))
        print('# n%d: %s' % (n, vm['reason']))


def vm_delete(d):
    # as deletion takes the device, whoever had it open must have ended
    ctl(d, 1, 'vm delete ' + VM)
    for n in NODES:
        need(not show(d, n, 'vm show'), 'n%d still has a VM' % n)
    need(used(d) == [0, 0, 0], 'pages in use: %s' % used(d))


def memtest(d, args, check=True):
    return d.host(1, 'memtest -p %d %s %s' % (
        RAM_PAGES - 64, args, ' '.join(device(n) for n in NODES)), check=check,
        timeout=200)


class Busy:
    """memtest in the background, until somebody ends it."""

    def __init__(self, d):
        self.d = d
        self.out = None
        self.start = d.host(1, 'rm -f /run/busy; mkfifo /run/busy')
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        # it has pages on every node
        end = time.monotonic() + 30
        while min(used(d)) < 64:
            need(time.monotonic() < end, 'memtest does not start')

    def run(self):
        self.out = memtest(self.d, '-s 120 -t words', check=False)

    def ended(self):
        self.thread.join(20)
        need(not self.thread.is_alive(), 'memtest still waits')
        status, text = self.out
        need(status == 1 and 'is gone' in text, 'status %d: %s' % (status, text))


def hot_fetches(d, lru):
    """n2 reads hot pages, which n3 has, again and again in a scan of cold ones, which n1
    has; its own pages leave room for a part. Return: hot pages fetched, and counters."""
    d.host(1, 'echo %s >/sys/module/hyperkernel/parameters/evict_lru' % lru)
    before = [stats(d, n) for n in NODES]
    d.host(1, 'levers skew 2 %d %d %d %s' % (COLD, HOT, OWN, ' '.join(
        device(n) for n in NODES)), timeout=200)
    delta = [{k: v - b[k] for k, v in stats(d, n).items() if isinstance(v, int)}
             for n, b in zip(NODES, before)]
    print('# evict_lru=%s: %d hot, %d fetched, %d dropped, %d aged, %d used again' % (
        lru, HOT, delta[2]['sent'], *(delta[1][k] for k in (
            'dropped', 'aged', 'refaulted'))))
    return delta[2]['sent'], delta[1]


def hot_stays(d):
    vm_delete(d)
    vm_create(d)
    fetched, s = hot_fetches(d, 'Y')
    need(s['dropped'] > COLD, 'hardly a copy was dropped: %s' % s)
    need(s['refaulted'] >= HOT and s['aged'] >= s['refaulted'] + s['dropped'] / 2, s)
    need(HOT <= fetched <= HOT * 1.25, '%d hot pages were fetched %d times' % (HOT, fetched))
    fetched, s = hot_fetches(d, 'N')
    d.host(1, 'echo Y >/sys/module/hyperkernel/parameters/evict_lru')
    # what was idle before may be used yet, and the last round's copies are aged no more
    need(s['dropped'] > COLD and not s['aged'], s)
    need(fetched >= HOT * 2, 'by number, too, hot pages stay: %d of %d' % (fetched, HOT))


def produce(d, rounds, writer):
    """Node WRITER writes pages whose home is the third node, and which memtest leaves alone;
    the other one of the first two reads them. A round takes turns with the next, so all that it reads must be new."""
    d.host(1, 'levers produce %d %d %d %s %s' % (
        rounds, RAM_PAGES - 64, PRODUCED, device(writer), device(3 - writer)))


def page_msgs(d):
    """Of the page protocol, so many has the third node sent and received."""
    return sum(t['tx'] + t['rx'] for x in show(d, 3, 'link show -s')
               for t in x['messages'] if t['type'].startswith('page'))


def lent(d):
    """Of pages that other tests have used some may be lent to anybody, so differences count."""
    parameter = '/sys/module/hyperkernel/parameters/lend'
    home = stats(d, 3)
    d.host(1, 'echo N >' + parameter)
    # writes by another node end what was lent
    produce(d, 1, 2)
    before = stats(d, 1)
    produce(d, 6, 1)
    need(stats(d, 1)['lent-to'] == before['lent-to'], 'lent with lend=N')
    d.host(1, 'echo Y >' + parameter)
    produce(d, 6, 1)
    after = stats(d, 1)
    loans = after['lent-to'] - before['lent-to']
    need(loans >= PRODUCED * 3 // 4, after)
    # now home is not asked any more, neither to read nor to write
    msgs = page_msgs(d)
    produce(d, 6, 1)
    msgs = page_msgs(d) - msgs
    # a page may have gone for room, or a hint been overwritten
    need(msgs < 6 * PRODUCED // 2, '%d messages to and from home' % msgs)
    print('# %d pages of %d lent, %d messages with home in 6 rounds' % (
        loans, PRODUCED, msgs))
    # another one writes: all goes back to where it was
    produce(d, 3, 2)
    now = stats(d, 1)
    need(now['lent-back'] - after['lent-back'] >= loans, now)
    need(stats(d, 3)['lent-to'] == home['lent-to'], 'home has been lent what is its own')


def links_tell(d):
    """link show -s of all nodes, while nothing but heartbeats is under way."""
    links = {(n, x['peer-id']): x for n in NODES for x in show(d, n, 'link show -s')}
    need(len(links) == 6, links)
    grouped = 0
    for (n, peer), x in links.items():
        types = {t['type']: t for t in x['messages']}
        # types are read after the sum, and counted before it
        need(sum(t['tx'] for t in types.values()) >= x['tx-msgs'] > 0 and
             sum(t['rx'] for t in types.values()) >= x['rx-msgs'] > 0, x)
        there = {t['type']: t for t in links[peer, n]['messages']}
        need(types['page']['tx'] == there['page']['rx'] > 0,
             'node %d to %d: %s, %s' % (n, peer, types, there))
        sent, got = (t.get('page-group', {}).get(k, 0)
                     for t, k in ((types, 'tx'), (there, 'rx')))
        need(sent == got, 'node %d to %d: %d groups, %d came' % (n, peer, sent, got))
        grouped += sent
        rtt = [x['rtt-ns-' + p] for p in ('p50', 'p90', 'p99', 'p999', 'max')]
        need(x['rtt-nr'] > 0 and 0 < rtt[0] and rtt == sorted(rtt), x)
        # the smallest is exact, percentiles are an eighth too large at most
        need(x['rtt-ns'] <= rtt[0] and x['queued-max'] >= max(1, x['queued']), x)
        print('# node %d to %d: %s' % (n, peer, ', '.join(
            '%s %d' % (k, x[k]) for k in x if k.startswith(('rtt', 'queued', 'resent')))))
        print('# messages: ' + ', '.join('%s %d' % (k, t['tx'])
                                         for k, t in types.items()))
    need(grouped, 'no run of faults has asked for several pages at once')


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('netns', 1, up=('--smp', '2'))
    try:
        with tap.test('three nodes in namespaces of one host, joined'):
            d.up()
            d.load()
            nodes_up(d)
            ctl(d, 1, 'cluster create netns ram %dK' % (BUDGET_PAGES * 4))
            enrol(d, 2)
            enrol(d, 3)
            for n in NODES:
                links = show(d, n, 'link show')
                need(len(links) == 2 and all(
                    x['link-state'] == 'up' and
                    x['encryption'] == 'tls 1.3 aes-256-gcm' for x in links), links)
        if tap.bad:
            raise hkdrive.Failed('no nodes, nothing more to test')
        with tap.test('the host itself is a node of its own, without identity'):
            need(d.json(1, 'node show')[0]['node-id'] == 0, 'it has an identity')
        with tap.test('VM on all nodes, larger than any budget'):
            vm_create(d)
        with tap.test('more RAM than all give is refused'):
            st, text = ctl(d, 1, 'vm create w ram 64M vcpus 1', check=False)
            need(st == 1 and 'contribute' in text, text)
        with tap.test('memory is coherent between the nodes'):
            text = memtest(d, '-s 3 -f /dev/vdc')
            for line in text.splitlines():
                print('# ' + line)
            need('not ok' not in text and len(re.findall('^ok', text, re.M)) == 8 and
                 'SKIP' not in text, text)
        with tap.test('links tell what they carried, both ends the same'):
            links_tell(d)
        with tap.test('every node fetched, gave and stayed within its budget'):
            for n in NODES:
                s = stats(d, n)
                for key in ('fetched', 'sent', 'invalidated'):
                    need(s[key] > 0, 'n%d: %s' % (n, s))
                need(used(d)[n - 1] <= BUDGET_PAGES * 1.02,
                     'n%d: %d pages' % (n, used(d)[n - 1]))
        with tap.test('pages that a node writes again and again are ruled by it'):
            lent(d)
        with tap.test('copies in use stay when others have to go'):
            hot_stays(d)
        with tap.test('module is not unloaded while a device is open'):
            d.host(1, 'sleep 100 <%s >/dev/null 2>&1 & echo $! >/run/sleep' % device(2))
            st, text = d.host(1, 'rmmod hyperkernel', check=False)
            need(st != 0 and 'in use' in text, text)
            st, text = ctl(d, 2, 'node leave', check=False)
            need(st == 1 and VM in text, text)
            d.host(1, 'kill $(cat /run/sleep)')
        with tap.test('VM killed on the third node, waits end everywhere'):
            busy = Busy(d)
            ctl(d, 3, 'vm kill %s "enough of it"' % VM)
            reasons(d, {n: '^enough of it$' for n in NODES})
            busy.ended()
            vm_delete(d)
        with tap.test('link cut: all nodes know within dead-ms, waits end'):
            vm_create(d)
            busy = Busy(d)
            waits = ['ip netns exec n%d hkctl vm wait %s 20' % (n, VM) for n in NODES]
            t0 = time.monotonic()
            d.host(1, 'ip link set v3 down; ' + ' & '.join(waits) + ' & wait')
            took = time.monotonic() - t0
            reasons(d, {1: r'node 3 \(n3\).*nothing heard|nothing heard from node 3',
                        2: r'node 3 \(n3\).*nothing heard|nothing heard from node 3',
                        3: r'node [12] \(n[12]\).*nothing heard'})
            print('# known everywhere %.1f s after the cut' % took)
            busy.ended()
        with tap.test('node that was cut off is reset and joins again'):
            d.host(1, 'ip link set v3 up')
            join(d, 3)
            ctl(d, 1, 'vm delete ' + VM)
            need(used(d) == [0, 0, 0], 'pages in use: %s' % used(d))
            vm_create(d)
            text = memtest(d, '-s 1 -t pattern,counter')
            need('not ok' not in text, text)
        with tap.test('namespace deleted under a node: the others know why'):
            ctl(d, 1, 'vm delete ' + VM)
            vm_create(d)
            d.host(1, 'kill $(ip netns pids n3); while ip netns pids n3 | grep -q .; '
                   'do usleep 20000; done; ip netns del n3')
            for n in (1, 2):
                ctl(d, n, 'vm wait %s 20' % VM)
                vm = show(d, n, 'vm show ' + VM)[0]
                need(re.search('^node 3 .n3.: its daemon was stopped', vm['reason']), vm)
                print('# n%d: %s' % (n, vm['reason']))
            ctl(d, 1, 'vm delete ' + VM)
        with tap.test('nodes leave, module unloads, no page stays'):
            for n in (2, 1):
                ctl(d, n, 'node leave')
                node = show(d, n, 'node show')
                need(len(node) == 1 and node[0]['node-id'] == 0 and
                     node[0]['used-pages'] == 0, node)
            d.host(1, 'rmmod hyperkernel')
            left = d.host(1, "ps | grep '\\[hk-' | grep -v grep || true")
            need(not left, 'threads left:\n' + left)
            d.host(1, 'insmod /hk/hyperkernel.ko && rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'for i in 1 2 3; do ip netns exec n$i hkctl vm show; '
                       'ip netns exec n$i hkctl link show; tail -5 /run/n$i/log; done; '
                       'dmesg | tail -15')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
