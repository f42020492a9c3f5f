# SPDX-License-Identifier: GPL-2.0
"""Bytes that a host spends on a page of guest RAM besides the page itself.

No guest runs: a program on host 1 writes pages of the RAM device which nobody has
touched, half of them with their directory entry on host 1, half on host 2. What the
host has less of afterwards is measured, not computed: free pages, and those in lists
of each CPU, less what the page cache, processes and page tables have taken."""

import re
import statistics

import hkbench
from hkdrive import need

FIGURES = ['metadata_bytes_per_page']
STEP = 16384
REPS = 4
SMALL_MIB = 64
LARGE_MIB = 1280
DEVICE = '/dev/hyperkernel/h1-m'

HOW = """Free memory of host 1 before and after a program has written %d pages in a row
of a guest's RAM that no node had touched, less these pages, less page tables, page
cache and memory of processes; %d runs of pages for each.""" % (STEP, REPS)


def part(values, aim, what):
    return {'value': round(statistics.median(values), 2), 'aim': aim,
            'n': len(values), 'min': round(min(values), 2),
            'median': round(statistics.median(values), 2),
            'max': round(max(values), 2), 'unit': 'bytes per page', 'what': what}


def used(d):
    """Pages in use on host 1, its caches dropped."""
    text = d.host(1, 'sync; echo 3 >/proc/sys/vm/drop_caches; ramdev used')
    m = re.search(r'^used (-?\d+)$', text, re.M)
    need(m, text)
    return int(m.group(1))


def create(d, mib):
    d.host(1, 'hkctl vm create m ram %dM vcpus 1' % mib)


def untouched(b):
    """A large guest against a small one, nothing touched in either."""
    d = b.drive
    out = []
    for _ in range(REPS):
        left = []
        for mib in SMALL_MIB, LARGE_MIB:
            before = used(d)
            create(d, mib)
            left.append(used(d) - before)
            d.host(1, 'hkctl vm delete m')
        out.append((left[1] - left[0]) * 4096 / ((LARGE_MIB - SMALL_MIB) * 256))
    return out


def touched(b):
    d = b.drive
    create(d, LARGE_MIB)
    half = LARGE_MIB * 128
    out = {'home': [], 'elsewhere': []}
    for i in range(REPS):
        for base in 0, half:
            at = lambda: d.json(1, 'stats show m')[0]['directory']  # noqa: E731
            entries = at()
            text = d.host(1, 'ramdev metadata %s %d %d' % (
                DEVICE, base + i * STEP, STEP))
            m = re.search(r'^metadata (\d+) (-?\d+)$', text, re.M)
            need(m, text)
            entries = at() - entries
            need(entries in (0, STEP), 'of %d pages %d have their entry here' % (
                STEP, entries))
            out['home' if entries else 'elsewhere'].append(
                int(m.group(2)) / int(m.group(1)))
    said = d.json(1, 'stats show m')[0]
    d.host(1, 'hkctl vm delete m')
    return out, said


def run(b):
    b.guest_end()
    got, said = touched(b)
    need(got['home'] and got['elsewhere'], 'all pages have their home on one host')
    b.figures['metadata_bytes_per_page'] = {
        'absolute': True, 'unit': 'bytes',
        'value': round(statistics.median(got['home']), 2),
        'parts': {
            'at home': part(got['home'], 16, 'owned here, directory entry here'),
            'at non-home': part(got['elsewhere'], 8,
                                'owned here, directory entry on the other host'),
            'untouched': part(untouched(b), 0,
                              'no node has touched it: a guest of %d MiB against one '
                              'of %d MiB' % (LARGE_MIB, SMALL_MIB)),
        },
        'by_own_account': round(said['metadata-bytes'] / max(said['present'], 1), 2),
        'how': ' '.join(HOW.split())}
