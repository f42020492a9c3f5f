# SPDX-License-Identifier: GPL-2.0
"""A vCPU with something else to do while a page is on its way.

    host 1                             host 2
    vCPU 0, has written      ====      vCPU 1: a thread reads, a thread computes
                                       (of guest "off", and of guest "on")

Two guests that differ in async-pf only, on the same hosts, by turns. Without it the
vCPU stands still for each page, and the thread that computes with it. Between emulated
hosts a page's time is that of their CPUs, which leaves little to overlap; so the same
with a delay, in which nobody has anything to do. vCPU 1 is left out of the guest's load
balancing: vCPU 0, which is idle, would look again and again whether it could take one of
the two threads, and each time the run queue of vCPU 1 would go to host 1 and back."""

import statistics

import hkbench
from hkdrive import need

FIGURES = ['async_off_over_on']
FILE = '/dev/shm/f'
PAGES = 2048
BATCH = 40
REPS = 6
DELAY_MS = 2
ROUNDS = 500


def up(b, choice):
    """A guest of its own, its file written on host 1."""
    b.drive.vm_create(choice, ram=hkbench.GUEST_RAM, vcpus=2,
                      append='hk.plain isolcpus=1', more='place 1,2 async-pf ' + choice)
    g = hkbench.Guest(b, b.drive.vm_start(choice))
    # without CPUs that are left out, so it says 1
    g.con.expect(r'HK-GUEST-UP cpus=1 ', 240)
    g.con.expect(r'^HK-GUEST-SHELL', 60)
    # a kernel that moves pages about takes them away from the other's host
    g.run('echo 0 >/proc/sys/vm/compaction_proactiveness')
    g.run('taskset 1 bench fill %s %d' % (FILE, PAGES))
    g.con.send('taskset 2 bench overlap %s %d </dev/console' % (FILE, BATCH))
    g.con.expect(r'^BENCH ready', 180)
    return g


def down(b, choice, g):
    g.con.send('q')
    g.con.expect(r'^BENCH lapped', 60)
    g.con.send('poweroff -f')
    b.drive.host(1, 'hkctl vm wait %s 60' % choice)
    g.con.close()
    b.drive.host(1, 'hkctl vm delete ' + choice)


def lap(b, g, what, rounds=0):
    """ms, and how often the reader was put to sleep"""
    g.con.send('%s %d' % (what, rounds))
    m = g.con.expect(r'^BENCH lap (\d+) (\d+)\n', 120)
    return b.ns(int(m.group(1))) / 1e6, int(m.group(2))


def faults(b, choice):
    return b.drive.json(2, 'stats show ' + choice)[0]['async-faults']


def delay(b, on):
    for n in b.drive.all_hosts():
        b.drive.host(n, 'tc qdisc %s dev eth0 root%s' % (
            'replace' if on else 'del', ' netem delay %dms' % DELAY_MS if on else ''))


def series(b, guests):
    """Series by guest and thread: a reads, b computes, c is both."""
    off = guests['off']
    # the first ones make warm what the loops need
    pages = [lap(b, off, 'a')[0] for _ in range(4)][1:]
    alone = [lap(b, off, 'b', ROUNDS)[0] for _ in range(3)][1:]
    lap(b, guests['on'], 'a')
    rounds = int(ROUNDS * statistics.median(pages) / statistics.median(alone))
    took = {(choice, what): [] for choice in guests for what in 'abc'}
    for _ in range(REPS):
        for what in 'abc':
            for choice, g in guests.items():
                ms, slept = lap(b, g, what, rounds)
                took[choice, what].append([ms])
                need(choice == 'on' or not slept, 'put to sleep without async-pf')
    return took


def parts(took, link):
    def part(what, text):
        return hkbench.ratio(took['off', what], took['on', what], 'ms',
                             text + ', async-pf off', text + ', async-pf on',
                             'Two guests, one off and one on, by turns.')
    return {
        'both' + link: part('c', 'a thread reads %d pages, one by one, that the other '
                            'host has written; another one of the same vCPU computes'
                            % BATCH),
        'pages' + link: part('a', 'a thread reads %d such pages, nothing else to do'
                             % BATCH),
        'computing' + link: part('b', 'a thread computes')}


def run(b):
    b.guest_end()
    guests = {choice: up(b, choice) for choice in ('off', 'on')}
    before = {choice: faults(b, choice) for choice in guests}
    found = parts(series(b, guests), '')
    delay(b, True)
    found.update(parts(series(b, guests), ', delay'))
    delay(b, False)
    after = {choice: faults(b, choice) - before[choice] for choice in guests}
    need(after['on'] and not after['off'], after)
    for choice, g in guests.items():
        down(b, choice, g)
    b.figures['async_off_over_on'] = {
        'parts': found, 'asynchronous_faults': after['on'],
        'pages_read': 2 * (2 * REPS + 1) * BATCH, 'delay_ms': DELAY_MS,
        'how': 'Above 1 async-pf helps. Computing is so much that it takes about as long '
               'as the pages do. With delay: %d ms each way.' % DELAY_MS}
