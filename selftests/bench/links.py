# SPDX-License-Identifier: GPL-2.0
"""Two emulated hosts with a link of each kind, no guest: what figures of links share.

    host 1 (fetch read, fetch scan)  ====  host 2 (fetch write)

Programs map the RAM of a VM on both hosts."""

import re

from hkdrive import need

RAM = '64M'
VM_RAM = '48M'
PAGES = 4096
LINKS = {'tcp': ('plain', ''), 'tls': ('', ''), 'rdma': ('plain rdma', '--rdma')}


def join(d, kind):
    words, args = LINKS[kind]
    if kind == 'rdma':
        d.each(lambda n: d.host(
            n, 'modprobe crc32_generic; modprobe rdma_rxe; modprobe rdma_cm; rdma link add '
            'rxe0 type rxe netdev eth0; insmod /hk/hyperkernel-rdma.ko'))
    d.each(lambda n: d.hkd(n, '--state-dir /run/state-%s --dead-ms 10000 %s' % (
        kind, args)))
    d.host(1, 'hkctl cluster create %s ram %s %s' % (kind, RAM, words))
    d.enrol(2, RAM)
    link = d.json(1, 'link show')[0]
    need(link['transport'] == ('rdma' if kind == 'rdma' else 'tcp'), link)
    need(link['encryption'].startswith('tls') == (kind == 'tls'), link)
    d.host(1, 'hkctl vm create f ram %s vcpus 1' % VM_RAM)


def leave(d):
    d.host(1, 'hkctl vm delete f')
    for n in (2, 1):
        d.host(n, 'hkctl node leave; p=$(pidof hkd); kill $p; while kill -0 $p '
               '2>/dev/null; do usleep 20000; done')


def device(n):
    return '/dev/hyperkernel/h%d-f' % n


class Pages:
    """Written on host 2, with other words each time, then read on host 1."""

    def __init__(self, d):
        self.d = d
        self.seed = 0
        self.next = PAGES

    def write(self):
        self.seed += 1
        self.next = 0
        self.d.host(2, 'fetch write %s %d %d' % (device(2), PAGES, self.seed))

    def room(self, count):
        """So many pages are left to be fetched."""
        if self.next + count > PAGES:
            self.write()

    def fetch(self, count):
        """Times of COUNT single fetches in ns, behind two that warm the program up."""
        self.room(count + 2)
        text = self.d.host(1, 'fetch read %s %d %d %d %d' % (
            device(1), PAGES, self.seed, self.next, count + 2))
        self.next += count + 2
        return [int(t) for t in re.search(r'^fetch((?: \d+)+)$', text, re.M).group(
            1).split()][2:]

    def scan(self):
        """Bytes a second."""
        self.write()
        self.next = PAGES
        text = self.d.host(1, 'fetch scan %s %d %d' % (device(1), PAGES, self.seed))
        return PAGES * 4096e9 / int(re.search(r'^scan (\d+)$', text, re.M).group(1))
