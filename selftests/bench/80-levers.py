# SPDX-License-Identifier: GPL-2.0
"""What each lever is worth that can be switched off: the same work without and with it.

One emulated host with two CPUs, no guest; two nodes in network namespaces, a veth pair
with a delay between them:

    n1 ---- DELAY_MS each way ---- n2

A lever is a parameter of the module (Documentation/abi.rst). Off and on take turns, so
that what else the machine does falls on both alike."""

import json
import re
import statistics

import hkbench
import hkdrive
from hkdrive import need

FIGURES = ['lever_off_over_on']
RAM_MIB = 16
PAGES = 512
PASS_PAGES = 64
AGAIN_PAGES = 256
DELAY_MS = 2
REPEAT = 5
SHARE_MS = 2000
# node 2 has room for a third of what it reads, with pages of its own beside it
RAM_2 = '8M'
COLD, HOT, OWN = 1184, 128, 1300
FEW = 32
SKEW_PAGES = COLD + COLD // FEW * HOT
PARAMETERS = '/sys/module/hyperkernel/parameters/'


def up(d):
    d.up()
    d.load()
    d.host(1, 'ip netns add n1; ip netns add n2; '
           'ip link add v1 netns n1 type veth peer name v2 netns n2')
    for n in (1, 2):
        d.host(1, 'ip -n n{0} link set lo up && ip -n n{0} link set v{0} up && '
               'ip -n n{0} addr add 10.99.0.{0}/24 dev v{0} && '
               'ip netns exec n{0} tc qdisc add dev v{0} root netem delay {1}ms && '
               'mkdir -p /run/n{0} && ip netns exec n{0} hkd --background '
               '--name n{0} --listen 10.99.0.{0} --socket /run/n{0}/hkd --state-dir '
               '/run/n{0}/state --log /run/n{0}/log --heartbeat-ms 1000 '
               '--dead-ms 20000'.format(n, DELAY_MS))
    # what the protocol costs, not what emulated CPUs make of AES
    hkctl(d, 1, 'cluster create two ram 64M plain')
    hkctl(d, 2, 'cluster join 10.99.0.1 %s ram %s' % (hkctl(
        d, 1, 'cluster invite').strip(), RAM_2))
    hkctl(d, 1, 'vm create l ram %dM vcpus 1' % RAM_MIB)


def hkctl(d, n, cmd):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/hkd %s' % (n, n, cmd))


def work(d, args, word):
    text = d.host(1, 'levers %s /dev/hyperkernel/n1-l /dev/hyperkernel/n2-l' % args,
                  timeout=300)
    values = [int(v) for v in re.findall(r'^%s (\d+)$' % word, text, re.M)]
    need(values, text[-500:])
    return values


def sent(d):
    """Bytes that node 1 has sent to node 2."""
    return int(re.search(r'tx-bytes (\d+)', hkctl(d, 1, 'link show')).group(1))


def stats(d, n):
    s = json.loads(hkctl(d, n, '-j stats show'))[0]
    return s.get('stats', s)


def lever(d, b, parameter, off, args, word, what, how, per_second=False, pages=PAGES,
          on=None):
    """Off over on of a time, or on over off of a rate: above 1 the lever helps."""
    default = d.host(1, 'cat ' + PARAMETERS + parameter).strip()
    on = on or default
    times = {off: [], on: []}
    wire = {off: [], on: []}
    fetched = {off: [], on: []}
    for _ in range(REPEAT):
        for value in (off, on):
            d.host(1, 'echo %s >%s%s' % (value, PARAMETERS, parameter))
            before, had = sent(d), stats(d, 2)['fetched']
            values = work(d, args, word)
            wire[value].append((sent(d) - before) / len(values) / pages)
            fetched[value].append((stats(d, 2)['fetched'] - had) / len(values) / pages)
            times[value].append(
                [v * 1000 / SHARE_MS for v in values] if per_second
                else [v / 1000 / pages for v in values])
    d.host(1, 'echo %s >%s%s' % (default, PARAMETERS, parameter))
    over, under = (on, off) if per_second else (off, on)
    unit = 'additions/s' if per_second else 'us a page'
    fig = hkbench.ratio(times[over], times[under], unit,
                        '%s, %s=%s' % (what, parameter, over),
                        '%s, %s=%s' % (what, parameter, under), how)
    if not per_second:
        fig['bytes_a_page'] = {parameter + '=' + v: round(statistics.median(w), 1)
                               for v, w in wire.items()}
        fig['fetches_a_page'] = {parameter + '=' + v: round(statistics.median(f), 4)
                                 for v, f in fetched.items()}
    b.say('%s: %s' % (parameter, fig['value']))
    return fig


def run(b):
    b.drop()                                    # the machine to ourselves
    b.say('starting 1 emulated host, 2 CPUs, 2 nodes in it')
    d = hkdrive.Drive('bench2', 1, up=['--smp', '2'])
    try:
        up(d)
        scan = 'scan 2 %d ' % PAGES
        parts = {
            'prefetch_max': lever(
                d, b, 'prefetch_max', '0', scan + 'random', 'scan',
                'read of a page in a sequential scan',
                """Node 2 reads %d pages in order that node 1 has written, %d ms away.
                """ % (PAGES, DELAY_MS)),
            'same_filled': lever(
                d, b, 'same_filled', 'N', scan + 'same', 'scan',
                'read of a page of equal words',
                """The same, all words of a page alike. The link has no bandwidth to
                save: the time is the two CPUs'; see bytes_a_page."""),
            'migratory': lever(
                d, b, 'migratory', 'N', 'pass 4 %d' % PASS_PAGES, 'pass',
                'two visits to a page, by one node after the other',
                """Node 2, then node 1, reads a word of each of %d pages and writes it;
                %d ms away.""" % (PASS_PAGES, DELAY_MS), pages=PASS_PAGES),
            'revalidate': lever(
                d, b, 'revalidate', '0', 'again 3 %d same' % AGAIN_PAGES, 'again',
                'read of a page that was written again as it was',
                """Node 1 writes what is there in %d pages, node 2 reads them in no order;
                %d ms away. The link has no bandwidth to save: the time is the two CPUs';
                see bytes_a_page.""" % (AGAIN_PAGES, DELAY_MS), pages=AGAIN_PAGES,
                on='1'),
            'revalidate, in vain': lever(
                d, b, 'revalidate', '0', 'again 3 %d changed' % AGAIN_PAGES, 'again',
                'read of a page that was written anew',
                """Node 1 writes something else each time. All are asked about: what the
                module leaves alone by itself after some.""", pages=AGAIN_PAGES, on='2'),
            'hold_us': lever(
                d, b, 'hold_us', '0', 'share 2 %d' % SHARE_MS, 'share',
                'additions to two words of one page by both nodes at once',
                """Two threads, one on each node, add to words of their own in the same
                page for %d ms.""" % SHARE_MS, per_second=True),
            # the last one: pages stay where it leaves them
            'evict_lru': lever(
                d, b, 'evict_lru', 'N', 'skew 3 %d %d %d' % (COLD, HOT, OWN), 'skew',
                'read of a page in a skewed set larger than the budget',
                """Node 2 scans %d pages of node 1, %d ms away, and reads %d more of them, in
                no order, after each %d. With its own %d pages it has room for %d of them.
                """ % (COLD, DELAY_MS, HOT, FEW, OWN, int(RAM_2[:-1]) * 256 * 7 / 8 - OWN),
                pages=SKEW_PAGES)}
        s = stats(d, 2)
        need(s['read-exclusive'], 'no read was granted exclusive: %s' % s)
        need(s['dropped'] and s['refaulted'], 'node 2 was not short of room: %s' % s)
        bad = d.trouble()
        need(not bad, 'the host complained: ' + bad)
    finally:
        d.down()
    b.figures['lever_off_over_on'] = {
        'parts': parts, 'how': 'Above 1 the lever is worth it. See the parts.'}
