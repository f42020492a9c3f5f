# SPDX-License-Identifier: GPL-2.0
"""What a page costs in instructions, on the host that reads it and on the one that had it.

    host 1 (fetch read, fetch scan)  ====  host 2 (fetch write)

All that an emulated host executes is counted by its QEMU (insns.c): program, kernel,
interrupts, and the stack of the network on both. A command is run twice, once for more pages
than the other time; the difference is that of these pages. What an idle host does meanwhile is
taken off."""

import mmap
import os
import re
import statistics
import struct
import time

import hkbench
import hkdrive
import links
from hkdrive import need

FIGURES = ['instructions_per_page']
FEW, MANY = 16, 512
REPS = 5
ALLOC_REPS = 3
IDLE_S = 3
HOSTS = {1: 'reader', 2: 'owner'}
INSNS = os.path.join(hkdrive.TOP, 'out', 'selftests', 'bench', 'insns')


class Counters:
    """Instructions and rounds of string instructions of each host."""

    def __init__(self):
        self.maps = {}
        for n in HOSTS:
            with open('%s.%d' % (INSNS, n), 'rb') as f:
                self.maps[n] = mmap.mmap(f.fileno(), 4096, access=mmap.ACCESS_READ)
        self.idle = {n: (0, 0) for n in HOSTS}

    def now(self):
        return {n: struct.unpack_from('QQ', m) for n, m in self.maps.items()}

    def of(self, fn):
        """What fn() took of each, without what an idle host does in that time."""
        t, before = time.monotonic(), self.now()
        fn()
        t, after = time.monotonic() - t, self.now()
        return {n: tuple(after[n][i] - before[n][i] - self.idle[n][i] * t
                         for i in (0, 1)) for n in HOSTS}

    def rest(self):
        """Learn what an idle host does."""
        self.idle = {n: (0, 0) for n in HOSTS}
        took = self.of(lambda: time.sleep(IDLE_S))
        self.idle = {n: tuple(v / IDLE_S for v in took[n]) for n in HOSTS}

    def each(self, fn):
        """What one more costs: fn(MANY) has so many more than fn(FEW)."""
        few, many = self.of(lambda: fn(FEW)), self.of(lambda: fn(MANY))
        return {n: tuple((many[n][i] - few[n][i]) / (MANY - FEW) for i in (0, 1))
                for n in HOSTS}


def fetches(d, pages, count):
    before = d.json(1, 'stats show f')[0]['fetch-nr']
    pages.fetch(count)
    after = d.json(1, 'stats show f')[0]['fetch-nr']
    need(after - before >= count, '%d fetches for %d pages' % (after - before, count))


def echoes(d, count):
    d.json(1, 'link echo h2 count %d page' % count)


def scan_of(d, pages):
    """Reads all pages in order: the first time they are on host 2, then here."""
    pages.write()
    pages.next = links.PAGES
    cmd = 'fetch scan %s %d %d' % (links.device(1), links.PAGES, pages.seed)
    return lambda: d.host(1, cmd)


def scanned(d, c, pages):
    """A page that prefetch brings."""
    scan = scan_of(d, pages)
    far, near = c.of(scan), c.of(scan)
    return {n: tuple((far[n][i] - near[n][i]) / links.PAGES for i in (0, 1))
            for n in HOSTS}


def taken(d, fn):
    """Pages that fn() has each kernel take from its allocator, and all else meanwhile."""
    def now():
        return {n: sum(map(int, re.findall(r'^pgalloc_\w+ (\d+)', d.host(
            n, 'cat /proc/vmstat'), re.M))) for n in HOSTS}

    before = now()
    fn()
    after = now()
    return {n: after[n] - before[n] for n in HOSTS}


def allocations(d, pages):
    """Medians, of each host: of a page, an echo, a page that prefetch brings."""
    got = []
    for _ in range(ALLOC_REPS):
        pages.room(FEW + MANY + 4)
        row = []
        for fn in (fetches, lambda d, pages, count: echoes(d, count)):
            few = taken(d, lambda: fn(d, pages, FEW))
            many = taken(d, lambda: fn(d, pages, MANY))
            row.append({n: (many[n] - few[n]) / (MANY - FEW) for n in HOSTS})
        scan = scan_of(d, pages)
        far, near = taken(d, scan), taken(d, scan)
        row.append({n: (far[n] - near[n]) / links.PAGES for n in HOSTS})
        got.append(row)
    return {n: dict(zip(('fetch', 'echo', 'prefetched'), (
        round(statistics.median(row[i][n] for row in got), 2) for i in range(3))))
        for n in HOSTS}


def measure(b, d, c, kind, parts):
    links.join(d, kind)
    pages = links.Pages(d)
    fetched, echoed, bulk = [], [], []
    c.rest()
    fetches(d, pages, FEW)
    for _ in range(REPS):
        pages.room(FEW + MANY + 4)
        fetched.append(c.each(lambda count: fetches(d, pages, count)))
        echoed.append(c.each(lambda count: echoes(d, count)))
        bulk.append(scanned(d, c, pages))
    alloc = allocations(d, pages)
    links.leave(d)
    for n, side in HOSTS.items():
        def series(got):
            return [[r[n][0]] for r in got]

        fig = hkbench.ratio(
            series(fetched), series(echoed), 'instructions',
            'read of a page that host 2 owns, in a program',
            'echo in the kernel, 64 B out, 4 KiB back',
            'All that the host executes, for %d pages more; by turns.' % (MANY - FEW),
            rounds=round(statistics.median(r[n][1] for r in fetched)),
            pages_allocated=alloc[n],
            prefetched=hkbench.spread([r[n][0] for r in bulk], 'instructions',
                                      'page of %d that are read in order, with prefetch' %
                                      links.PAGES))
        parts['%s %s' % (kind, side)] = fig
        b.say('%s, %s: %.0f instructions a page, %.0f an echo, %.0f prefetched' % (
            kind, side, fig['over']['median'], fig['under']['median'],
            fig['prefetched']['median']))
        b.say('%s, %s: %.2f pages allocated a page, %.2f an echo, %.2f prefetched' % (
            kind, side, *(alloc[n][k] for k in ('fetch', 'echo', 'prefetched'))))


def run(b):
    b.drop()                                    # the machine to ourselves
    for n in HOSTS:
        if os.path.exists('%s.%d' % (INSNS, n)):
            os.unlink('%s.%d' % (INSNS, n))
    b.say('starting 2 emulated hosts, instructions counted')
    d = hkdrive.Drive('bench4', 2, up=[
        '--mtu', '5000', '--qemu', '-plugin file=%s.so,out=%s.{host}' % (INSNS, INSNS)])
    parts = {}
    try:
        d.up()
        d.load()
        c = Counters()
        for kind in links.LINKS:
            measure(b, d, c, kind, parts)
        bad = d.trouble()
        need(not bad, 'a host complained: ' + bad)
    finally:
        d.down()
    b.figures['instructions_per_page'] = {'parts': parts, 'how': 'See the parts.'}
