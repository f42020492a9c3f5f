# SPDX-License-Identifier: GPL-2.0
"""A step of the page protocol's engine, over the objects that ship.

No host and no guest: selftests/sim/engine-bench.c on this machine, as nothing else of
this run is up yet. Its head says what a step is."""

import json
import os
import subprocess

import hkbench
import hkdrive
from hkdrive import need

FIGURES = ['engine_step_ns', 'engine_step_over_copy', 'engine_2_threads_over_1']
SIM = os.path.join(hkdrive.TOP, 'selftests', 'sim')
ON = 'this machine itself, user space, no emulated host'


def rows(values):
    return [[v] for v in values]


def bench():
    p = subprocess.run(['make', '-s', '-C', SIM, 'bench'], text=True, timeout=300,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    need(p.returncode == 0, 'make bench in selftests/sim: status %d\n%s%s' % (
        p.returncode, p.stdout[-500:], p.stderr))
    return json.loads(p.stdout)


def run(b):
    got = bench()
    runs = {(r['threads'], r['locks'], r['own_pages']): r for r in got['runs']}

    def series(threads, clock, own=False):
        return rows(runs[threads, True, own][clock + '_ns_per_step']['values'])

    def two_over_one(clock, own):
        return hkbench.ratio(
            series(2, clock, own), series(1, clock), 'ns',
            'two threads, time over steps of both', 'one thread', '')['median']

    step = series(1, 'cpu')
    b.figures['engine_step_ns'] = hkbench.absolute(
        step, 'ns', 100, 'CPU time of a step, one thread, its locks included',
        """Three nodes and their home in one address space read, write and upgrade
        pages at random, with all messages; a lock for each bucket of pages. CPU time
        over steps, %d repeats.""" % got['repeats'],
        measured_on=ON,
        without_locks=runs[1, False, False]['cpu_ns_per_step']['median'])
    b.figures['engine_step_over_copy'] = hkbench.ratio(
        step, rows(got['copy_4k_ns']['values']), 'ns',
        'CPU time of a step, one thread, its locks included',
        'copy of 4 KiB from cache to cache', 'CPU time of either, by turns.',
        measured_on=ON,
        over_locked_increment=hkbench.ratio(
            step, rows(got['locked_increment_ns']['values']), 'ns', '', '',
            '')['median'])
    b.figures['engine_2_threads_over_1'] = hkbench.ratio(
        series(2, 'cpu', True), series(1, 'cpu'), 'ns',
        'CPU time of a step, two threads, each on pages of its own',
        'the same, one thread',
        """Locks are those of buckets, which all threads share. 1: two threads do twice
        as much as one; 2: no more than one. CPU time, as other work on the machine
        would be in time by the clock: that is by_wall_clock, 0.5 for twice as much.""",
        measured_on=ON,
        all_pages_shared=two_over_one('cpu', False),
        by_wall_clock=two_over_one('wall', True),
        by_wall_clock_all_pages_shared=two_over_one('wall', False))
