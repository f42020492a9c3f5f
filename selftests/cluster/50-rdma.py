#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Links carried by RDMA: refusals, traffic, ends, and nothing left behind.

    host 1 (memtest)  ==== RDMA over rxe0 on eth0 ==== host 2 (memtest)

Soft-RoCE of the stock kernel. First what must be refused: without the module, without
a device, in a cluster that is encrypted. Then a link: round trips of all sizes, coherence of RAM over both hosts; with
GUEST=1 a guest with a vCPU on each, too. Then its ends: cut, device removed, orderly.
After each, the device has as many queue pairs, protection domains and so on as before.
A node that does not offer RDMA gets TCP. Then a link with a path by RDMA and one by TCP on
another network: each is lost while RAM is used. Both modules unload."""

import os
import re
import sys
import threading

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

RAM = '160M'
# Silence that means death; far above what a loaded machine makes of a host
DEAD_MS = 6000
RXE = 'rdma link add rxe0 type rxe netdev eth0'
# the hosts' other network
OTHER = '10.78.0.%d'
UNTIL = 'i=0; until %s; do [ $((i=i+1)) -gt 600 ] && exit 9; sleep 0.1; done'


def start_hkd(d, n, rdma=True, more=''):
    d.hkd(n, '--dead-ms %d %s %s' % (DEAD_MS, '--rdma' if rdma else '', more))


def stop_hkd(d, n):
    d.host(n, 'kill $(pidof hkd); ' + UNTIL % '! pidof hkd')


def join(d, check=True):
    return d.host(2, 'hkctl node join 10.77.0.1 ram ' + RAM, check=check)


def link(d, n):
    links = d.json(n, 'link show')
    need(len(links) == 1, links)
    return links[0]


def link_up(d, transport):
    """Both ends say so."""
    for n in (1, 2):
        have = link(d, n)
        need(have['link-state'] == 'up' and have['transport'] == transport, have)
        need(have['encryption'] == 'plain', have)


def link_down(d, n, pattern):
    """The link of host n ends, for a reason that fits."""
    d.host(n, UNTIL % 'hkctl link show | grep -q "link-state down"')
    have = link(d, n)
    need(re.search(pattern, have['reason']), have)
    print('# host %d: %s' % (n, have['reason']))


def echo(d, n, what):
    """Round trips from host n. Times are to be compared within one run only."""
    r = d.json(n, 'link echo h%d count 100 %s' % (3 - n, what))
    need(r['count'] == 100, r)
    print('# from host %d, %s: median %d us' % (n, what, r['median-ns'] // 1000))


def resources(d, n):
    """What is there of each kind on the device; '' without one."""
    text = d.host(n, 'rdma resource show rxe0', check=False)[1]
    m = re.search(r'rxe0:(.*)', text)
    return dict(re.findall(r'(\w+) (\d+)', m.group(1))) if m else {}


def as_before(d, before):
    """Freed by a work of the link, a moment after it is said to be down."""
    for n in (1, 2):
        for _ in range(100):
            have = resources(d, n)
            if have == before[n]:
                break
            d.host(n, 'sleep 0.2')
        need(have == before[n], 'host %d has %s, had %s' % (n, have, before[n]))


def memtest(d, address='10.77.0.1'):
    """Coherence over both hosts; the RAM device of the VM is mapped on each."""
    d.host(1, 'hkctl vm create m ram 32M vcpus 2 nodes 1,2 place 1,2')
    device = {n: d.json(n, 'vm show m')[0]['device'] for n in (1, 2)}
    worker = [threading.Thread(target=d.host, args=(
        n, 'memtest -c %s:7999 %s' % (address, device[n]), False, 150))
        for n in (1, 2)]
    for w in worker:
        w.start()
    try:
        text = d.host(1, 'memtest -p 512 -s 2 -l 7999 -n 2 '
                      '-t fill,pattern,version,counter,words,sb,mp', timeout=150)
    finally:
        for w in worker:
            w.join()
    for line in text.splitlines():
        print('# ' + line)
    need(text.count('\nok ') == 7 and 'not ok' not in text, text)
    for n in (1, 2):
        stats = d.json(n, 'stats show m')[0]
        need(stats['sent'] > 1000, 'host %d sent %d pages' % (n, stats['sent']))
    d.host(1, 'hkctl vm delete m')


def guest(d):
    """Boots with a vCPU on each host, writes and verifies its RAM, powers off."""
    d.vm_create('g', ram='256M', vcpus=2, append='hk.plain', more='place 1,2')
    con = d.vm_start('g')
    try:
        con.expect(r'HK-GUEST-UP cpus=2', 150)
        con.expect(r'HK-GUEST-SHELL', 60)
        rc, text = con.run('fill 32')
        need(rc == 0, text)
        con.send('poweroff -f')
        for n in (1, 2):
            d.host(n, 'hkctl vm wait g 60')
            reason = d.json(n, 'vm show g')[0].get('reason', '')
            need('powered off' in reason, reason)
    finally:
        con.close()
    d.host(1, 'hkctl vm delete g')


def paths(d):
    """What both ends say: {(node, path): ...}"""
    return {(n, x['path-id']): x for n in (1, 2) for x in d.json(n, 'path show')}


def path_is(d, p, state):
    """Until both ends say that of path P."""
    for n in (1, 2):
        d.host(n, UNTIL % ('hkctl path show | grep -q "path-id %d path-state %s"' % (p, state)))


class Beside(threading.Thread):
    """Runs a function; what it raises, ended() does."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn
        self.error = None
        self.start()

    def run(self):
        try:
            self.fn()
        except Exception as e:                          # raised again by ended()
            self.error = e

    def ended(self):
        self.join()
        if self.error:
            raise self.error


def stranger(d):
    """Somebody finds where host 1 listens by RDMA, and has not been told the cookie."""
    # what comes by RDMA from host 2 is lost, so host 1 goes on listening
    d.host(1, 'tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress pref 50 '
           'protocol ip flower ip_proto udp dst_port 4791 action drop')
    beside = Beside(lambda: need(join(d, check=False)[0] == 1, 'host 2 has joined'))
    port = d.host(1, "until p=$(rdma resource show cm_id | sed -n 's/.*state LISTEN.*src-addr "
                  "10.77.0.1:\\([0-9]*\\).*/\\1/p') && [ -n \"$p\" ]; do usleep 50000; done; "
                  'echo $p', timeout=30).strip()
    st, text = d.host(1, 'ib_write_bw -R -p %s 10.77.0.1' % port, check=False, timeout=60)
    state = link(d, 1)['link-state']
    beside.ended()
    # RDMA_CM_EVENT_REJECTED
    need(st != 0 and re.search(r'CM event\D* 8\b', text), 'status %d: %s' % (st, text))
    need(state != 'up', state)
    d.host(1, 'tc qdisc del dev eth0 clsact')


def paths_up(d):
    """Both hosts listen on two networks; RDMA on the first."""
    for n in (2, 1):
        d.host(n, 'hkctl node leave')
        stop_hkd(d, n)
    for n in (1, 2):
        start_hkd(d, n, more='--listen ' + OTHER % n)
    d.host(1, 'hkctl cluster create ram %s plain rdma' % RAM)
    join(d)
    path_is(d, 1, 'standby')
    x = paths(d)
    need({k: (v['path-state'], v['transport']) for k, v in x.items()} == {
        (n, p): (('active', 'rdma'), ('standby', 'tcp'))[p] for n in (1, 2) for p in (0, 1)}, x)
    link_up(d, 'rdma')


def lose(d):
    """The network with RDMA is away until both ends know, and back until both use it."""
    d.vc('cut', 1, 2)
    path_is(d, 0, 'down')
    path_is(d, 1, 'active')
    d.vc('heal')
    path_is(d, 0, 'standby')


def under_loss(d):
    beside = Beside(lambda: lose(d))
    rounds = 0
    while not rounds or beside.is_alive():
        memtest(d, OTHER % 1)
        rounds += 1
    beside.ended()
    x = paths(d)
    need(all(x[n, 1]['failovers'] == 1 and x[n, 1]['path-state'] == 'active' and
             x[n, 0]['transport'] == 'rdma' for n in (1, 2)), x)
    link_up(d, 'rdma')


def without_tcp(d):
    """The path by TCP goes, so the other one carries; it is made again, by TCP alone."""
    # the node that made it does not make it again then
    d.host(2, 'hkctl path del h1 1')
    path_is(d, 0, 'active')
    before = paths(d)
    memtest(d, OTHER % 1)
    x = paths(d)
    need(all(x[n, 0]['tx-bytes'] > before[n, 0]['tx-bytes'] + (1 << 20) for n in (1, 2)), x)
    for transport, why in (('rdma', 'no RDMA device at address 10.78.0.2'),
                           ('pigeon', 'there are tcp and rdma')):
        st, text = d.host(2, 'hkctl path add h1 1 %s transport %s' % (OTHER % 1, transport),
                          check=False)
        need(st == 1 and why in text, text)
    d.host(2, 'hkctl path add h1 1 %s transport tcp' % (OTHER % 1))
    x = paths(d)
    need(all(x[n, 1]['path-state'] == 'standby' and x[n, 1]['transport'] == 'tcp'
             for n in (1, 2)), x)


def used(d, n):
    return d.json(n, 'node show %d' % n)[0]['used-pages']


def main():
    tap = hkdrive.Tap()
    # a page and its frame fit into one packet
    d = hkdrive.Drive('rdma', 2, up=['--mtu', '5000'])
    before = {}
    try:
        with tap.test('two hosts, one with RDMA'):
            d.up()
            d.load()
            d.each(lambda n: d.host(
                n, 'modprobe crc32_generic; modprobe rdma_rxe; modprobe rdma_cm'))
            d.host(1, RXE + '; insmod /hk/hyperkernel-rdma.ko')
            before[1] = resources(d, 1)
            d.each(lambda n: start_hkd(d, n))
            st, text = d.host(1, 'hkctl cluster create rdma ram %s rdma' % RAM,
                              check=False)
            need(st == 1 and 'nothing encrypts RDMA' in text, text)
            text = d.host(1, 'hkctl cluster create rdma ram %s plain rdma' % RAM)
            need('not be encrypted' in text, text)
        if tap.bad:
            raise hkdrive.Failed('no hosts')

        with tap.test('without the module a link by RDMA is refused'):
            token = d.host(1, 'hkctl cluster invite').strip()
            st, text = d.host(2, 'hkctl cluster join 10.77.0.1 %s ram %s' % (token, RAM),
                              check=False)
            need(st == 1 and 'hyperkernel-rdma.ko' in text, text)
        with tap.test('without a device likewise'):
            d.host(2, 'insmod /hk/hyperkernel-rdma.ko')
            st, text = join(d, check=False)
            need(st == 1 and 'no RDMA device at address 10.77.0.2' in text, text)
        with tap.test('link by RDMA'):
            d.host(2, RXE)
            before[2] = resources(d, 2)
            need(all('qp' in before[n] for n in (1, 2)), before)
            join(d)
            link_up(d, 'rdma')
            for n in (1, 2):
                now = resources(d, n)
                need(int(now['qp']) == int(before[n]['qp']) + 1, now)
        if tap.bad:
            raise hkdrive.Failed('no link')

        with tap.test('round trips of all sizes'):
            for n, what in ((1, 'len 16'), (2, 'len 300'), (1, 'len 4048'),
                            (2, 'len 4049'), (1, 'len 32768'), (1, 'page'),
                            (2, 'page')):
                echo(d, n, what)
        with tap.test('RAM is coherent over RDMA'):
            memtest(d)
        name = 'a guest runs over RDMA'
        if os.environ.get('GUEST') != '1':
            tap.skip(name, 'takes minutes over soft-RoCE; GUEST=1 runs it')
        else:
            with tap.test(name):
                guest(d)
        with tap.test('no memory is registered for it'):
            for n in (1, 2):
                now = resources(d, n)
                need(now['mr'] == before[n]['mr'], 'host %d: %s' % (n, now))
        with tap.test('modules in use cannot be unloaded'):
            for n in (1, 2):
                for module in ('hyperkernel-rdma', 'hyperkernel'):
                    st, text = d.host(n, 'rmmod ' + module, check=False)
                    need(st != 0 and 'in use' in text, text)

        with tap.test('cut: down on both, VM ends, all is given back'):
            d.host(1, 'hkctl vm create c ram 32M vcpus 2 nodes 1,2 place 1,2')
            d.vc('cut', 1, 2)
            for n in (1, 2):
                link_down(d, n, 'nothing heard|RDMA|closed')
                d.host(n, 'hkctl vm wait c 20')
            d.vc('heal')
            as_before(d, before)
            join(d)
            link_up(d, 'rdma')
            d.host(1, 'hkctl vm delete c')
            need(used(d, 1) == 0, used(d, 1))
        with tap.test('device removed: down on both'):
            d.host(2, 'rdma link delete rxe0')
            link_down(d, 2, 'device')
            link_down(d, 1, 'node 2|h2|RDMA')
            d.host(2, RXE)
            as_before(d, before)
            join(d)
            link_up(d, 'rdma')
        with tap.test('leaves in good order: the reason arrives'):
            d.host(2, 'hkctl node leave')
            link_down(d, 1, 'deleted|left|closed')
            as_before(d, before)
        with tap.test('who has not the cookie of the TCP connection is rejected'):
            stranger(d)
            as_before(d, before)
        with tap.test('TCP with a node that does not offer RDMA'):
            stop_hkd(d, 2)
            start_hkd(d, 2, rdma=False)
            join(d)
            link_up(d, 'tcp')
            echo(d, 1, 'page')
            as_before(d, before)
        if os.environ.get('PATHS') == '0':
            tap.skip('a path by RDMA and one by TCP',
                     'takes more than a minute; 50-rdma has it, PATHS=1 runs it here')
        elif d.host(1, 'ping -c 1 -w 5 ' + OTHER % 2, check=False)[0]:
            tap.skip('a path by RDMA and one by TCP', 'hosts have no second network here')
        else:
            with tap.test('a link with a path by RDMA and one by TCP'):
                paths_up(d)
            with tap.test('RAM is coherent while the network with RDMA is lost and comes back'):
                under_loss(d)
            with tap.test('and without the path by TCP'):
                without_tcp(d)
            with tap.test('its end gives all back'):
                d.host(2, 'hkctl node leave')
                link_down(d, 1, 'deleted|left|closed')
                as_before(d, before)
                join(d)
        with tap.test('both modules unload'):
            for n in (2, 1):
                d.host(n, 'hkctl node leave')
                stop_hkd(d, n)
                d.host(n, 'rmmod hyperkernel-rdma && rmmod hyperkernel && '
                       'rdma link delete rxe0')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'hkctl link show; rdma resource show; tail -12 /run/hkd.log; '
                       'dmesg | tail -12')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
