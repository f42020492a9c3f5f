# SPDX-License-Identifier: GPL-2.0
"""How long a node that has gone is not noticed, over the time that it may be silent for.

One emulated host with two CPUs, no guest; two nodes in network namespaces:

    n1 ---- veth pair ---- n2

The network is cut, both ways or one, and each node's `hkctl monitor` says when its link
ended."""

import re

import hkbench
import hkdrive
from hkdrive import need

FIGURES = ['detection_over_dead_ms']
DEAD_MS = 2000
HEARTBEAT_MS = 200
REPEAT = 5
# which ends lose what they send
CUTS = {'both ways': (1, 2), 'one way': (1,), 'both ways, busy': (1, 2)}


def hkctl(d, n, cmd):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/hkd %s' % (n, n, cmd))


def up(d):
    d.up()
    d.load()
    d.host(1, 'ip netns add n1; ip netns add n2; '
           'ip link add v1 netns n1 type veth peer name v2 netns n2')
    for n in (1, 2):
        d.host(1, 'ip -n n{0} link set lo up && ip -n n{0} link set v{0} up && '
               'ip -n n{0} addr add 10.99.0.{0}/24 dev v{0} && mkdir -p /run/n{0} && '
               'ip netns exec n{0} hkd --background --name n{0} --listen 10.99.0.{0} '
               '--socket /run/n{0}/hkd --state-dir /run/n{0}/state --log /run/n{0}/log '
               '--heartbeat-ms {1} --dead-ms {2}'.format(n, HEARTBEAT_MS, DEAD_MS))
    hkctl(d, 1, 'cluster create two ram 64M plain')
    hkctl(d, 2, 'cluster join 10.99.0.1 %s ram 64M' % hkctl(
        d, 1, 'cluster invite').strip())
    for n in (1, 2):
        # by the host's clock, in hundredths of a second
        d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/hkd monitor </dev/null 2>&1 | '
               'while read -r l; do read -r t x </proc/uptime; echo "$t $l"; done '
               '>>/run/n%d/events 2>/dev/null &' % (n, n, n))


def cut_once(d, ends, busy):
    """Seconds until node 1 and node 2 knew."""
    if busy:
        d.host(1, 'for i in 1 2 3 4; do (while :; do :; done) </dev/null >/dev/null 2>&1 & '
               'echo $!; done >/run/busy')
    for n in (1, 2):
        d.host(1, ': >/run/n%d/events' % n)
    # a few heartbeats, and none of them missed where the CPUs have other work
    t0 = float(d.host(1, 'sleep 1; read -r t x </proc/uptime; ' + ''.join(
        'tc -n n%d qdisc add dev v%d root netem loss 100%%; ' % (n, n) for n in ends) +
        'echo $t'))
    took = []
    for n in (1, 2):
        d.host(1, 'until grep -q "link-state down" /run/n%d/events; '
               'do usleep 50000; done' % n, timeout=60)
        text = d.host(1, 'cat /run/n%d/events' % n)
        m = re.search(r'^([\d.]+) .*link-state down', text, re.M)
        need(m and float(m.group(1)) >= t0, text)
        took.append(float(m.group(1)) - t0)
    if busy:
        d.host(1, 'kill $(cat /run/busy)')
    for n in ends:
        d.host(1, 'tc -n n%d qdisc del dev v%d root' % (n, n))
    hkctl(d, 2, 'node join 10.99.0.1 ram 64M')
    return took


def run(b):
    b.drop()                                    # the machine to ourselves
    b.say('starting 1 emulated host, 2 CPUs, 2 nodes in it')
    d = hkdrive.Drive('bench2', 1, up=['--smp', '2'])
    try:
        up(d)
        parts = {}
        for name, ends in CUTS.items():
            first, last = [], []
            for _ in range(REPEAT):
                took = cut_once(d, ends, 'busy' in name)
                first.append([min(took) * 1000])
                last.append([max(took) * 1000])
            dead = [[DEAD_MS]] * REPEAT
            parts[name] = hkbench.ratio(
                last, dead, 'ms', 'until both ends of the link have ended it',
                'dead-ms', """The network between two nodes is cut %s; dead-ms %d, a
                heartbeat each %d ms. Until the later of the two has ended its link.""" % (
                    name, DEAD_MS, HEARTBEAT_MS),
                earlier_ms=hkbench.spread(hkbench.flat(first), 'ms',
                                          'until the earlier one has'))
            b.say('%s: %s' % (name, parts[name]['value']))
        need(not d.trouble(), d.trouble())
    finally:
        d.down()
    b.figures['detection_over_dead_ms'] = {'parts': parts, 'how': 'See the parts.'}
