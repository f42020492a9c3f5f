#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A link with two paths, of which one or the other is cut and restored at random.

    n1 ==== e0 10.9.0.0/24 ==== n2      two nodes in one kernel, each in a
       ==== e1 10.9.1.0/24 ====         network namespace; one link, two paths

Processes map the RAM devices of both nodes. While they write and check, a network is
taken away for a moment and given back, then the next one, as the seed has it. Data stays
right, the link stays up, and the paths tell. Without both the link ends with a reason.

SEED=N chooses the cuts, MINUTES=N how long they go on."""

import os
import random
import re
import sys
import threading
import time

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

NODES = (1, 2)
VM = 'm'
BUDGET_PAGES = 6 * 256
RAM_PAGES = 10 * 256
DEAD_MS = 4000
SEED = int(os.environ.get('SEED') or 1)
MINUTES = float(os.environ.get('MINUTES') or 1)
MORE_S = 240
TESTS = ('pattern', 'version', 'counter', 'words', 'sb', 'mp')


def ctl(d, n, cmd, **kw):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/sock %s' % (n, n, cmd), **kw)


def show(d, n, what):
    return hkdrive.json.loads(ctl(d, n, '-j ' + what))


def device(n):
    return '/dev/hyperkernel/n%d-%s' % (n, VM)


def nodes_up(d):
    """Two namespaces with two networks between them, a daemon in each."""
    for n in NODES:
        d.host(1, 'ip netns add n%d; ip -n n%d link set lo up; mkdir -p /run/n%d' % (n, n, n))
    for p in (0, 1):
        d.host(1, 'set -e; ip link add e%d netns n1 type veth peer name e%d netns n2; '
               'for i in 1 2; do ip -n n$i addr add 10.9.%d.$i/24 dev e%d; '
               'ip -n n$i link set e%d up; done' % ((p,) * 5))


def daemons_up(d, state, more=''):
    """A daemon in each namespace, which listens at all addresses."""
    for n in NODES:
        d.host(1, 'ip netns exec n%d hkd --background --name n%d --socket /run/n%d/sock '
               '--state-dir /run/n%d/%s --log /run/n%d/log --dead-ms %d %s' % (
                   n, n, n, n, state, n, DEAD_MS, more))


def daemons_down(d):
    d.host(1, 'for n in 1 2; do kill $(ip netns pids n$n); done; '
           'while ip netns pids n1 | grep -q . || ip netns pids n2 | grep -q .; do '
           'usleep 20000; done')


def cluster_up(d, plain):
    ctl(d, 1, 'cluster create paths ram %dK %s' % (BUDGET_PAGES * 4, plain))
    token = ctl(d, 1, 'cluster invite').strip()
    ctl(d, 2, 'cluster join 10.9.0.1 %s ram %dK' % (token, BUDGET_PAGES * 4))
    link_ups(d)
    ctl(d, 1, 'vm create %s ram %dM vcpus 2' % (VM, RAM_PAGES // 256))


def ensure(d, p):
    """Both ends can use path P, which is made where it is gone."""
    d.host(1, 'paths n1 1 10.9.%d.1 n2 2 10.9.%d.2 %d' % (p, p, p), timeout=60)


def paths(d):
    """What both ends say: {(node, path): ...}"""
    return {(n, x['path-id']): x for n in NODES for x in show(d, n, 'path show')}


def link_ups(d):
    for n in NODES:
        links = show(d, n, 'link show')
        need([x['link-state'] for x in links] == ['up'], links)


def notes(d):
    for (n, p), x in sorted(paths(d).items()):
        print('# node %d path %d: %s' % (n, p, ', '.join(
            '%s %s' % (k, x[k]) for k in x if k not in ('peer-id', 'path-id', 'peer-name'))),
            flush=True)


class Cutter:
    """Takes networks away and gives them back, as the seed has it, until stopped."""

    def __init__(self, d):
        self.d = d
        self.random = random.Random(SEED)
        self.stop = threading.Event()
        self.cuts = [0, 0]
        self.error = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def once(self):
        p = self.random.randrange(2)
        # long ones cost the path, short ones perhaps
        ms = self.random.choice((self.random.randrange(50, 1000),
                                 self.random.randrange(2500, 5000)))
        if not p:
            ms = min(ms, 3000)
        end = self.random.choice(NODES)
        cut, restore = self.random.choice((
            ('ip -n n%d link set e%d down', 'ip -n n%d link set e%d up'),
            # one way only: what this end sends is lost, what it hears is not
            ('tc -n n%d qdisc add dev e%d root netem loss 100%%',
             'tc -n n%d qdisc del dev e%d root')))
        self.d.host(1, '%s; usleep %d; %s' % (cut % (end, p), ms * 1000, restore % (end, p)))
        ensure(self.d, p)
        self.cuts[p] += 1
        # These daemons know one network. Each asks the other every 2 s and gives up after
        # 10, and TCP sends again after twice the time each time: it must get through
        if not p:
            self.stop.wait(5)

    def run(self):
        try:
            while not self.stop.is_set():
                self.once()
        except Exception as e:                          # raised again by ended()
            self.error = e

    def ended(self):
        self.stop.set()
        self.thread.join(120)
        need(not self.thread.is_alive(), 'the cuts do not end')
        if self.error:
            raise self.error


def addresses(d):
    """Both ends of each path: another connection has another port."""
    x = paths(d)
    return {p: {x[1, p]['local-address'], x[1, p]['peer-address']} for p in (0, 1)}


def all_usable(d):
    x = paths(d)
    need(len(x) == 4 and all(v['path-state'] in ('active', 'standby') for v in x.values()), x)
    link_ups(d)


def new_keys(d):
    """When a path has carried its MiB, and when either node is asked to."""
    # as often as memtest is run, the log is looked at
    for p in (0, 1):
        # what is sent stays on a path as long as that is there, whatever its connection
        if p:
            ctl(d, 1, 'path del n2 0')
        d.host(1, 'until grep -q "path %d to node 2 (n2) has new keys" /run/n1/log; do '
               'memtest -p %d -s 1 -t words %s || exit 1; done' % (
                   p, RAM_PAGES - 64, ' '.join(map(device, NODES))), timeout=120)
    for n in NODES:
        before = addresses(d)
        ctl(d, n, 'link renew n%d' % (3 - n))
        after = addresses(d)
        need(not before[0] & after[0] - {'10.9.0.1:7117', '10.9.0.2:7117'} and
             not before[1] & after[1] - {'10.9.1.1:7117', '10.9.1.2:7117'}, (before, after))
        all_usable(d)
    text = memtest(d, '-s 1 -t pattern,words')
    need('not ok' not in text, text)


def back(d, p):
    """A network is given back; until both ends can use its path."""
    d.host(1, 'ip -n n2 link set e%d up; for n in 1 2; do '
           'until ip netns exec n$n hkctl path show | '
           'grep -q "path-id %d path-state \\(active\\|standby\\)"; do '
           'usleep 100000; done; done' % (p, p), timeout=60)


def cut_renewed(d):
    """Path 1 is dead and nobody knows: path 0 gets new keys, path 1 cannot, and says so."""
    before = addresses(d)
    d.host(1, 'ip -n n2 link set e1 down')
    st, text = ctl(d, 1, 'link renew n2', check=False)
    need(st == 1 and '10.9.1.2' in text, text)
    after = addresses(d)
    need(not before[0] & after[0] - {'10.9.0.1:7117', '10.9.0.2:7117'}, (before, after))
    link_ups(d)
    text = memtest(d, '-s 1 -t pattern,words')
    need('not ok' not in text, text)
    back(d, 1)
    all_usable(d)


def memtest(d, args, check=True, timeout=600):
    return d.host(1, 'memtest -p %d %s %s' % (
        RAM_PAGES - 64, args, ' '.join(device(n) for n in NODES)), check=check,
        timeout=timeout)


def went_over(d):
    """Both ends have gone from path to path, and sent again what they had sent."""
    x = paths(d)
    return all(sum(x[n, p]['failovers'] for p in (0, 1)) > 1 for n in NODES) and \
        sum(v['retransmits'] for v in x.values()) > 0


def under_cuts(d):
    """As long as was asked for, and until the cuts have cost a path, as some do not."""
    cutter = Cutter(d)
    end = time.monotonic() + MINUTES * 60
    rounds = 0
    try:
        while not rounds or time.monotonic() < end or (
                not went_over(d) and time.monotonic() < end + MORE_S):
            text = memtest(d, '-s 4 -t ' + ','.join(TESTS))
            need('not ok' not in text and
                 len(re.findall('^ok', text, re.M)) == len(TESTS), text)
            rounds += 1
            need(not cutter.error, cutter.error)
    finally:
        cutter.ended()
    print('# %d rounds of memtest, path 0 cut %d times, path 1 %d times' % (
        rounds, *cutter.cuts))
    need(sum(cutter.cuts) > 0, 'nothing was cut')


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('paths', 1, up=('--smp', '2'))
    try:
        with tap.test('two nodes with two networks between them, joined'):
            d.up()
            d.load()
            nodes_up(d)
            daemons_up(d, 'plain')
            cluster_up(d, 'plain')
        if tap.bad:
            raise hkdrive.Failed('no nodes, nothing more to test')
        with tap.test('a link has one path, which it cannot do without'):
            x = paths(d)
            need(sorted(x) == [(1, 0), (2, 0)] and
                 all(v['path-state'] == 'active' and ':' in v['local-address']
                     for v in x.values()), x)
            need(x[1, 0]['local-address'] == x[2, 0]['peer-address'], x)
            st, text = ctl(d, 1, 'path del n2 0', check=False)
            need(st == 1 and 'no other path' in text, text)
        with tap.test('a second path stands by'):
            ensure(d, 1)
            x = paths(d)
            need({k: v['path-state'] for k, v in x.items()} == {
                (1, 0): 'active', (2, 0): 'active', (1, 1): 'standby', (2, 1): 'standby'}, x)
            need(x[1, 1]['local-address'].startswith('10.9.1.1:') and
                 x[1, 1]['peer-address'] == x[2, 1]['local-address'], x)
        with tap.test('a path is dropped while it is used, the link goes on by the other'):
            memtest(d, '-s 1 -t words')
            ctl(d, 1, 'path del n2 0')
            text = memtest(d, '-s 2 -t pattern,words')
            need('not ok' not in text, text)
            x = paths(d)
            need(x[1, 0]['path-state'] == x[2, 0]['path-state'] == 'down' and
                 x[1, 0]['reason'] == 'dropped by the administrator' and
                 x[2, 0]['reason'] == 'node 1 closed the connection', x)
            need(all(x[n, 1]['path-state'] == 'active' and x[n, 1]['failovers'] == 1
                     for n in NODES), x)
            link_ups(d)
            ensure(d, 0)
            x = paths(d)
            need(all(x[n, 0]['path-state'] == 'standby' for n in NODES), x)
        with tap.test('memory is coherent while paths are cut and come back, seed %d' % SEED):
            under_cuts(d)
        with tap.test('the link went over and sent again, and nothing was lost'):
            notes(d)
            link_ups(d)
            x = paths(d)
            need(went_over(d), x)
            for n in NODES:
                need(all(x[n, p]['path-state'] in ('active', 'standby') and
                         x[n, p]['rtt-ns'] > 0 for p in (0, 1)), x)
            for n in NODES:
                need(show(d, n, 'vm show ' + VM)[0]['vm-state'] == 'created', 'VM stopped')
        with tap.test('without both networks the link ends with a reason'):
            d.host(1, 'ip -n n1 link set e0 down; ip -n n1 link set e1 down')
            for n in NODES:
                ctl(d, n, 'vm wait %s 30' % VM)
                vm = show(d, n, 'vm show ' + VM)[0]
                need(re.search('node %d .*nothing heard|nothing heard from node %d' % (
                    3 - n, 3 - n), vm['reason']), vm)
                print('# n%d: %s' % (n, vm['reason']))
                need(not show(d, n, 'path show'), show(d, n, 'path show'))
            d.host(1, 'ip -n n1 link set e0 up; ip -n n1 link set e1 up')
            daemons_down(d)
        with tap.test('daemons make a path, encrypted'):
            daemons_up(d, 'tls', '--renew-mib 2')
            cluster_up(d, '')
            st, text = ctl(d, 1, 'path add n2 1 10.9.1.9', check=False)
            need(st == 1 and '10.9.1.9' in text, text)
            ctl(d, 1, 'path add n2 1 10.9.1.2')
            x = paths(d)
            need([x[n, 1]['path-state'] for n in NODES] == ['standby'] * 2 and
                 x[1, 1]['peer-address'] == '10.9.1.2:7117', x)
            need(all(show(d, n, 'link show')[0]['encryption'] == 'tls 1.3 aes-256-gcm'
                     for n in NODES), 'not encrypted')
        with tap.test('each path gets new keys while the other one carries'):
            new_keys(d)
        with tap.test('new keys for the one path that carries, the other network just cut'):
            cut_renewed(d)
        with tap.test('the first network is away for long: nodes, guest and daemons go on'):
            # what only n2 sees: n1 makes the paths, and is told
            d.host(1, 'ip -n n2 addr del 10.9.0.2/24 dev e0')
            d.host(1, 'until grep -q "control connection of node 2.*is there again" '
                   '/run/n1/log; do memtest -p %d -s 1 -t pattern %s || exit 1; done' % (
                       RAM_PAGES - 64, ' '.join(map(device, NODES))), timeout=90)
            link_ups(d)
            ctl(d, 1, 'vm create w ram 1M vcpus 1')
            ctl(d, 1, 'vm delete w')
            x = paths(d)
            need([x[n, 0]['path-state'] for n in NODES] == ['down'] * 2, x)
        with tap.test('it is back: its path is made again'):
            d.host(1, 'ip -n n2 addr add 10.9.0.2/24 dev e0; until grep -q "a network of node 2 '
                   '(n2) is back: trying paths to node 2 (n2) again" /run/n1/log; do '
                   'usleep 100000; done', timeout=30)
            back(d, 0)
            x = paths(d)
            need([x[n, 0]['path-state'] for n in NODES] == ['standby'] * 2, x)
            text = memtest(d, '-s 1 -t pattern,words')
            need('not ok' not in text, text)
        with tap.test('module unloads, no thread stays'):
            ctl(d, 1, 'vm delete ' + VM)
            for n in (2, 1):
                ctl(d, n, 'node leave')
            daemons_down(d)
            d.host(1, 'rmmod hyperkernel')
            left = d.host(1, "ps | grep '\\[hk-' | grep -v grep || true")
            need(not left, 'threads left:\n' + left)
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        bad = d.trouble()
        tap.result(not bad, 'kernel of the host has nothing to complain of', bad)
        if tap.bad:
            print(re.sub('^', '# ', d.host(
                1, 'for i in 1 2; do ip netns exec n$i hkctl vm show; '
                'ip netns exec n$i hkctl path show; tail -5 /run/n$i/log; done; '
                'dmesg | tail -40', check=False, timeout=20)[1], flags=re.M))
        d.down()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
