# SPDX-License-Identifier: GPL-2.0
"""What carries pages: a link by TCP, by TCP with TLS, by RDMA; and how near to the wire.

    host 1 (fetch read, fetch scan)  ====  host 2 (fetch write)

Two emulated hosts, jumbo frames, no guest: programs map the RAM of a VM on both. Three
clusters one after the other, one a kind of link. In each: single fetches of pages that
host 2 owns, and raw echoes, by turns. By TCP and RDMA besides: all pages read in order, with
prefetch, and what iperf3 and ib_write_bw reach on the same wire, by turns. That wire is
as fast as the emulated CPUs, so both say what work costs them. So the same again where the
wire is the limit: held back to SLOW_MBIT, or AWAY_MS longer each way."""

import json
import re
import statistics

import hkbench
import hkdrive
import links
from hkdrive import Failed, need

FIGURES = ['fetch_over_echo_by_link', 'fetch_tls_over_plain', 'bulk_over_wire']
BATCH = 32
REPS = 12
BULKS = 5
SECONDS = 3
SLOW_MBIT = 100
AWAY_MS = 1


def fetched(d):
    return d.json(1, 'stats show f')[0]['fetch-nr']


def singles(d, pages, kind):
    """Series of fetches and of echoes, us."""
    us, raw = [], []
    pages.fetch(BATCH)
    before = fetched(d)
    for _ in range(REPS):
        us.append([t / 1000 for t in pages.fetch(BATCH)])
        raw.append([t / 1000 for t in d.json(
            1, 'link echo h2 count %d page' % BATCH)['times-ns']])
    need(fetched(d) - before >= REPS * BATCH, 'not every read was a fetch')
    fig = hkbench.ratio(us, raw, 'us', 'read of a page that host 2 owns, in a program',
                        'echo in the kernel, 64 B out, 4 KiB back',
                        'Single pages in no order, and as many echoes, by turns.',
                        1.15)
    return us, fig


def iperf(d):
    """Bytes a second of one TCP connection, from host 2 to host 1 as pages go."""
    d.host(2, 'iperf3 -s -1 -D -I /run/iperf.pid; while ! ss -ltn | grep -q :5201; do '
           'usleep 20000; done')
    text = d.host(1, 'iperf3 -c 10.77.0.2 -R -t %d -J' % SECONDS)
    return json.loads(text)['end']['sum_received']['bits_per_second'] / 8


def write_bw(d):
    """Bytes a second of RDMA WRITE of 4 KiB, from host 2 to host 1."""
    args = 'ib_write_bw -d rxe0 -x 1 -s 4096 -D %d -F --report_gbits' % SECONDS
    d.host(1, '%s >/run/bw.log 2>&1 & while ! ss -ltn | grep -q :18515; do usleep 20000; '
           'kill -0 $! || exit 1; done' % args)
    text = d.host(2, args + ' 10.77.0.1')
    m = re.search(r'^\s*4096\s+\d+\s+[\d.]+\s+([\d.]+)', text, re.M)
    need(m, text)
    return float(m.group(1)) * 1e9 / 8


class Wire:
    """What these hosts send goes through a queue that makes the wire worse."""

    def __init__(self, d, hosts, qdisc):
        self.d, self.hosts, self.qdisc = d, hosts, qdisc

    def __enter__(self):
        for n in self.hosts:
            self.d.host(n, 'tc qdisc add dev eth0 root ' + self.qdisc)

    def __exit__(self, *_):
        for n in self.hosts:
            self.d.host(n, 'tc qdisc del dev eth0 root')


def bulk(d, pages, wire, what):
    got, had = [], []
    for _ in range(BULKS):
        got.append([pages.scan() / 1e6])
        had.append([wire(d) / 1e6])
    return hkbench.ratio(got, had, 'MB/s', 'pages read in order by a program',
                         what, 'All pages of a VM, owned by host 2, read by one thread of '
                         'host 1, with prefetch; then the other for %d s; by turns.' %
                         SECONDS, 0.9)


def measure(b, d, kind, singles_of, echoes, bulks):
    links.join(d, kind)
    pages = links.Pages(d)
    singles_of[kind], echoes[kind] = singles(d, pages, kind)
    b.say('%s: a fetch takes %.2f echoes' % (kind, echoes[kind]['value']))
    with Wire(d, (1, 2), 'netem delay %dms limit 4096' % AWAY_MS):
        away = '%s, %d ms away' % (kind, AWAY_MS)
        echoes[away] = singles(d, pages, kind)[1]
        b.say('%s: %.2f' % (away, echoes[away]['value']))
    wire = {'tcp': (iperf, 'iperf3, one TCP connection'),
            'rdma': (write_bw, 'ib_write_bw, 4 KiB')}.get(kind)
    # a tenth of a second in the queue: more than what is under way
    slow = 'tbf rate %dmbit burst 64k latency 100ms' % SLOW_MBIT
    for part, hosts in ((kind, ()), ('%s, %d Mbit/s' % (kind, SLOW_MBIT), (2,))):
        if not wire:
            break
        try:
            with Wire(d, hosts, slow):
                bulks[part] = bulk(d, pages, *wire)
            b.say('%s: pages in bulk at %.2f of the wire' % (part, bulks[part]['value']))
        except Failed as e:
            bulks[part] = {'value': None, 'reason': str(e)[-300:]}
    links.leave(d)


def run(b):
    b.drop()                                    # the machine to ourselves
    b.say('starting 2 emulated hosts, jumbo frames')
    d = hkdrive.Drive('bench3', 2, up=['--mtu', '5000'])
    singles_of, echoes, bulks = {}, {}, {}
    try:
        d.up()
        d.load()
        for kind in links.LINKS:
            measure(b, d, kind, singles_of, echoes, bulks)
        bad = d.trouble()
        need(not bad, 'a host complained: ' + bad)
    finally:
        d.down()
    b.figures['fetch_over_echo_by_link'] = {'parts': echoes, 'how': 'See the parts.'}
    b.figures['fetch_tls_over_plain'] = hkbench.ratio(
        singles_of['tls'], singles_of['tcp'], 'us',
        'read of a page that host 2 owns, the link encrypted', 'the same, plain',
        """Both on the same hosts, one cluster after the other. Emulated CPUs have no
        fast AES.""", 1.5, medians_us={k: round(statistics.median(hkbench.flat(v)), 1)
                                       for k, v in singles_of.items()})
    b.figures['bulk_over_wire'] = {'parts': bulks, 'how': 'See the parts.'}
