# SPDX-License-Identifier: GPL-2.0
"""What it is worth that a page's home is lent to the node that writes it again and again.

One emulated host with two CPUs, no guest; three nodes in network namespaces:

    n1 writes   n2 reads   n3 is home      10.99.0.1 to 10.99.0.3
    +-----------+----------+               bridge hkb, veth pairs, DELAY_MS each way

A program maps the RAM devices of all. Off and on take turns."""

import json
import re
import statistics

import hkbench
import hkdrive
from hkdrive import need

FIGURES = ['lend_off_over_on']
NODES = 3
RAM_MIB = 12
FIRST = 2500                    # in the third third
PAGES = 64
DELAY_MS = 2
# writes in a row for which home lends a page, and some
LEARN = 6
ROUNDS = 5
REPEAT = 5
PARAMETER = '/sys/module/hyperkernel/parameters/lend'


def hkctl(d, n, cmd):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/hkd %s' % (n, n, cmd))


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
    hkctl(d, 1, 'cluster create three ram 32M plain')
    for n in range(2, NODES + 1):
        token = hkctl(d, 1, 'cluster invite').strip()
        hkctl(d, n, 'cluster join 10.99.0.1 %s ram 32M' % token)
    hkctl(d, 1, 'vm create l ram %dM vcpus 1' % RAM_MIB)
    for n in range(1, NODES + 1):
        d.host(1, 'tc -n n%d qdisc add dev eth0 root netem delay %dms' % (n, DELAY_MS))


def produce(d, rounds, readers=(2,), writer=1):
    text = d.host(1, 'levers produce %d %d %d %s' % (rounds, FIRST, PAGES, ' '.join(
        '/dev/hyperkernel/n%d-l' % n for n in (writer, *readers))), timeout=300)
    values = [int(v) / 1000 / PAGES for v in re.findall(r'^produce (\d+)$', text, re.M)]
    need(len(values) == rounds, text[-500:])
    return values


def home_messages(d):
    return sum(t['tx'] + t['rx'] for x in json.loads(hkctl(d, 3, '-j link show -s'))
               for t in x['messages'] if t['type'].startswith('page'))


def lent(d):
    s = json.loads(hkctl(d, 1, '-j stats show'))[0]
    return s.get('stats', s)['lent-to']


def run(b):
    b.drop()                                    # the machine to ourselves
    b.say('starting 1 emulated host, 2 CPUs, 3 nodes in it')
    d = hkdrive.Drive('bench2', 1, up=['--smp', '2'])
    times = {'N': [], 'Y': []}
    messages = {'N': [], 'Y': []}
    try:
        up(d)
        for _ in range(REPEAT):
            for value in times:
                d.host(1, 'echo %s >%s' % (value, PARAMETER))
                # a write by another node ends what was lent
                produce(d, 1, readers=(1,), writer=2)
                before = lent(d)
                produce(d, LEARN)
                need((lent(d) > before) == (value == 'Y'), 'lend=%s: %d pages lent' % (
                    value, lent(d) - before))
                before = home_messages(d)
                times[value].append(produce(d, ROUNDS))
                messages[value].append((home_messages(d) - before) / ROUNDS / PAGES)
        need(not d.trouble(), d.trouble())
    finally:
        d.down()
    b.figures['lend_off_over_on'] = hkbench.ratio(
        times['N'], times['Y'], 'us a page', 'a write by node 1 and a read by node 2, '
        'lend=N', 'the same, lend=Y', """Pages whose home is node 3; %d ms each way.""" %
        DELAY_MS, messages_of_home={'lend=' + k: round(statistics.median(v), 2)
                                    for k, v in messages.items()})
    b.say('lend: %s' % b.figures['lend_off_over_on']['value'])
