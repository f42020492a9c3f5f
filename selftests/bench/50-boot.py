# SPDX-License-Identifier: GPL-2.0
"""Boot of a guest with two vCPUs to its shell: on two hosts, and on one of them."""

import time

import hkbench

FIGURES = ['boot_2_over_1']
REPS = 3


def boot(b, place, nodes):
    b.guest_end()
    t = time.monotonic()
    b.guest(2, place, nodes)
    return time.monotonic() - t


def run(b):
    b.drive                                     # hosts are up before the clock runs
    one, two = [], []
    for _ in range(REPS):
        one.append([boot(b, '1,1', 'h1')])
        two.append([boot(b, '1,2', 'all')])
    b.figures['boot_2_over_1'] = hkbench.ratio(
        two, one, 's', 'boot with one vCPU on each of two hosts',
        'boot with both vCPUs on one host, RAM as well',
        """From hkctl vm create to the prompt of the guest's shell, by the clock of the
        machine; the same kernel, initrd, RAM and vCPUs; by turns.""")
