# SPDX-License-Identifier: GPL-2.0
"""Work on pages that are here: a guest of ours against the same one on plain KVM.

Both are on host 1, with one vCPU; while one works the other waits for a key. The
guest of ours is one of a cluster of two hosts, which have the directory entries of
its RAM between them; its pages are all owned by host 1."""

import re
import statistics

import hkbench
from hkdrive import need

FIGURES = ['local_over_plain']
REPS = 6


def work(b, guest):
    text = guest.run('bench work', 300)
    got = {k: b.ns(int(v)) / 1e6 for k, v in
           re.findall(r'^BENCH (\w+) (\d+)$', text, re.M)}
    need('all' in got, text)
    return got


def run(b):
    ours = b.guest(1, '1')
    plain = hkbench.PlainGuest(b, 'q', b.guest_argv())
    plain.con.expect(r'^HK-GUEST-SHELL', 240)
    for g in ours, plain, ours, plain:
        work(b, g)
    before = b.stats()
    a, p = [], []
    for _ in range(REPS):
        a.append(work(b, ours))
        p.append(work(b, plain))
    after = b.stats()
    plain.end()
    b.figures['local_over_plain'] = hkbench.ratio(
        [[x['all']] for x in a], [[x['all']] for x in p], 'ms',
        'a mix of work in a guest of ours', 'the same in a guest on plain KVM',
        """Computing, memory in order and at random, page faults, system calls, forks,
        by the TSC; one vCPU each, the same command line but for the RAM, on the same
        host; by turns.""", 1.05,
        ratios_of_parts={k: round(statistics.median(x[k] for x in a) /
                                  statistics.median(x[k] for x in p), 3)
                         for k in a[0]},
        fetches_meanwhile=after['fetch-nr'] - before['fetch-nr'])
