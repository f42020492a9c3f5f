# SPDX-License-Identifier: GPL-2.0
"""A write of a page that one other node reads, and of one that three others read.

One emulated host with two CPUs, no guest; four nodes in network namespaces:

    n1   n2   n3   n4      10.99.0.1 to 10.99.0.4
    +----+----+----+       bridge hkb, veth pairs

A program maps the RAM devices of all four. Pages are spread over guest RAM, so each
node is the home of a quarter; the writer owns the page and changes from page to
page. Taken twice: on the bare bridge, where the time is that of the host's CPUs, and
with a delay that lets the way of the messages outweigh them."""

import re
import statistics

import hkbench
import hkdrive
from hkdrive import need

FIGURES = ['upgrade_3_over_1']
NODES = 4
RAM_MIB = 64
PAGES = 32
ROUNDS = 8
DELAY_MS = 20


def up(d):
    d.up()
    d.load()
    d.host(1, 'ip link add hkb type bridge && ip link set hkb up')
    for n in range(1, NODES + 1):
        d.host(1, 'ip netns add n{0} && ip link add v{0} type veth peer name eth0 '
               'netns n{0} && ip link set v{0} master hkb up && '
               'ip -n n{0} link set lo up && ip -n n{0} link set eth0 up && '
               'ip -n n{0} addr add 10.99.0.{0}/24 dev eth0 && mkdir -p /run/n{0} && '
               'ip netns exec n{0} hkd '
               '--background --name n{0} --listen 10.99.0.{0} --socket /run/n{0}/hkd '
               '--state-dir /run/n{0}/state --log /run/n{0}/log --heartbeat-ms 1000 '
               '--dead-ms 20000'.format(n))
    # what the protocol costs, not what emulated CPUs make of AES
    hkctl(d, 1, 'cluster create four ram 128M plain')
    for n in range(2, NODES + 1):
        token = hkctl(d, 1, 'cluster invite').strip()
        hkctl(d, n, 'cluster join 10.99.0.1 %s ram 128M' % token)
    hkctl(d, 1, 'vm create u ram %dM vcpus 1' % RAM_MIB)


def hkctl(d, n, cmd):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/hkd %s' % (n, n, cmd))


def measure(d):
    """By round: times of writes, us, as {sharers: {writer is home: [...]}}."""
    text = d.host(1, 'ramdev upgrade %d %d %s' % (ROUNDS, PAGES, ' '.join(
        '/dev/hyperkernel/n%d-u' % n for n in range(1, NODES + 1))), timeout=300)
    rows = [tuple(int(x) for x in m) for m in re.findall(
        r'^upgrade (\d+) (\d+) (\d+) (\d+)$', text, re.M)]
    # two batches a round: each page once with each number of sharers
    need(len(rows) == ROUNDS * PAGES * 2, text[-500:])
    quarter = RAM_MIB * 256 // NODES
    out = []
    for r in range(ROUNDS):
        took = {}
        for gfn, writer, sharers, ns in rows[r * 2 * PAGES:(r + 1) * 2 * PAGES]:
            took.setdefault((sharers, gfn // quarter == writer), []).append(ns / 1000)
        out.append(took)
    return out


def column(rounds, sharers, home=None):
    return [[v for (s, h), vs in r.items() if s == sharers and home in (None, h)
             for v in vs] for r in rounds]


def medians(rounds, **kw):
    return round(statistics.median(hkbench.flat(column(rounds, NODES - 1, **kw))) /
                 statistics.median(hkbench.flat(column(rounds, 1, **kw))), 3)


def figure(rounds, aim, how):
    return hkbench.ratio(
        column(rounds, NODES - 1), column(rounds, 1), 'us',
        'write of a page by its owner, three others read it',
        'write of a page by its owner, one other reads it', how, aim,
        writer_is_home=medians(rounds, home=True),
        writer_is_not_home=medians(rounds, home=False))


def run(b):
    b.drop()                                    # the machine to ourselves
    b.say('starting 1 emulated host, 2 CPUs, 4 nodes in it')
    d = hkdrive.Drive('bench4', 1, up=['--smp', '2'])
    try:
        up(d)
        bare = measure(d)
        for n in range(1, NODES + 1):
            d.host(1, 'ip netns exec n%d tc qdisc add dev eth0 root netem delay %dms'
                   % (n, DELAY_MS))
        slow = measure(d)
        bad = d.trouble()
        need(not bad, 'the host complained: ' + bad)
    finally:
        d.down()
    how = """A program maps the RAM of four nodes of one kernel, one host of two
        emulated CPUs. The owner of a page writes it, others read it, the owner writes
        again and that is timed. %d pages, spread over the homes; both numbers of
        sharers for each page, by turns.""" % PAGES
    fig = figure(bare, 1.3, how)
    fig['with_delay_of_%d_ms' % DELAY_MS] = figure(
        slow, None, 'The same with that delay on each way of each link.')
    b.figures['upgrade_3_over_1'] = fig
