# SPDX-License-Identifier: GPL-2.0
"""A job of two threads that only compute, on two hosts of one CPU, and on one."""

import re
import statistics

import hkbench
from hkdrive import need

FIGURES = ['parallel_2_over_1']
REPS = 4
# so many that starting the threads, which costs pages, does not count
ROUNDS = 300


def par(b, guest):
    text = guest.run('bench par 2 %d' % ROUNDS)
    m = re.search(r'^BENCH par (\d+)$', text, re.M)
    need(m, text)
    return b.ns(int(m.group(1))) / 1e9


def run(b):
    guest = b.guest(2, '1,2')
    one, two = [], []
    for _ in range(REPS):
        b.drive.host(1, 'hkctl vcpu move %s 1 1' % hkbench.VM)
        one.append([par(b, guest)])
        b.drive.host(1, 'hkctl vcpu move %s 1 2' % hkbench.VM)
        two.append([par(b, guest)])
    b.figures['parallel_2_over_1'] = hkbench.ratio(
        two, one, 's', 'one thread on each of two vCPUs, the vCPUs on two hosts',
        'the same, both vCPUs on one host',
        """The same guest and program; vCPU 1 is moved between the runs; by turns. Time
        over time: 0.5 is twice as fast.""",
        None, speedup=round(statistics.median(hkbench.flat(one)) /
                            statistics.median(hkbench.flat(two)), 3))
