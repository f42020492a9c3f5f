# SPDX-License-Identifier: GPL-2.0
"""A page that is on the other host: fetched by the module, by a raw echo, by QEMU.

    host 1                                   host 2
    vCPU 0 of guest b, reads       ====      vCPU 1 of guest b, has written
    hkctl link echo, 64 B out      ====      4 KiB back
    source of guest p              ====      guest p, reads; migrated by postcopy

Reads are of the same program, from guests that have nothing else to do. First guest b
and the echo take turns, alone on the hosts; then guest b and guest p while p
is in its postcopy phase. QEMU sends pages in the background then, and can not be told
not to: limited by max-postcopy-bandwidth it serves requests once in 100 ms only, when
the limit starts anew. So that phase has a load on the link, for both alike, and the link
is made slower for it, that it may last. After
a request the background goes on behind the page that was asked for; so the file that
p reads from is most of its RAM, lest its next pages be there before it asks. p reads
last in each turn: if a read has to wait the phase has been on all the turn."""

import re

import hkbench
from hkdrive import Failed, need

FIGURES = ['fetch_over_echo', 'fetch_over_postcopy']
FILE = '/dev/shm/f'
PAGES = 1024
BATCH = 32
REPS = 12
POST_BATCH = 16
POST_REPS = 10
POST_MIN = 3
POST_MIB = 400
# the migrated guest's host sends no faster meanwhile, or the phase is over too soon; and
# its socket keeps no more, or requests wait behind that
POST_RATE = '200mbit'
POST_WMEM = 65536
# a kernel that moves pages about on one CPU takes them away from the other's host
QUIET = ('echo 0 >/proc/sys/vm/compaction_proactiveness; '
         'echo never >/sys/kernel/mm/transparent_hugepage/enabled')


def postcopy_source(b):
    """The guest to be migrated, its file written."""
    src = hkbench.PlainGuest(b, 'p', b.guest_argv(), **plain_args())
    src.con.expect(r'^HK-GUEST-SHELL', 240)
    src.run(QUIET)
    src.run('mount -o remount,size=90%% /dev/shm; bench fill %s %d' % (
        FILE, POST_MIB * 256), 300)
    src.touch_begin(FILE, POST_BATCH, 'r')
    return src


def plain_args():
    return dict(ram='%dM' % (POST_MIB + 140), vcpus=1, cpu_less='invtsc')


def migration(src):
    """Its status, without the line that the monitor edits."""
    return '\n'.join(line for line in src.monitor('info migrate').splitlines()
                     if not line.startswith(('(qemu)', 'QEMU')))


def slow_link(b, on):
    """What host 1 sends, all of it: the answers to one, the requests of the other."""
    b.drive.host(1, 'tc qdisc replace dev eth0 root netem rate %s limit 1000; echo 4096 '
                 '16384 %d >/proc/sys/net/ipv4/tcp_wmem' % (POST_RATE, POST_WMEM)
                 if on else 'tc qdisc del dev eth0 root; echo 4096 16384 4194304 '
                 '>/proc/sys/net/ipv4/tcp_wmem')


def postcopy(b, src):
    """Migrate it; return it as it is on host 2, its pages left on host 1."""
    dst = hkbench.PlainGuest(b, 'p', src.argv_like, host=2,
                             more='-incoming tcp:10.77.0.2:4444', **plain_args())
    for g in dst, src:
        text = g.monitor('migrate_set_capability postcopy-ram on')
        need('Error' not in text, text)
    src.monitor('migrate_set_parameter max-bandwidth 65536',
                'migrate -d tcp:10.77.0.2:4444', 'migrate_start_postcopy')
    for _ in range(100):
        text = migration(src)
        if 'postcopy-active' in text:
            break
        need('failed' not in text and 'completed' not in text, text)
    else:
        raise Failed('no switch to postcopy:\n' + text)
    return dst


def remote(rep, floor):
    """An access that took less than any echo found its page there: prefetched, or in
    the background."""
    return [t for t in rep if t >= floor]


def to_us(series):
    return [[t / 1000 for t in rep] for rep in series]


def against_echo(b, us):
    us.touch_begin(FILE, BATCH, 'r')
    # the first ones make warm what a touch needs besides its page
    us.touch()
    b.echo(BATCH, page=True)
    fetch, echo = [], []
    before = b.stats()
    for _ in range(REPS):
        fetch.append(us.touch())
        echo.append(b.echo(BATCH, page=True))
    after = b.stats()
    us.touch_end()
    floor = min(hkbench.flat(echo))
    left = [remote(rep, floor) for rep in fetch]
    rows = [row for row in zip(left, echo) if row[0]]
    need(len(rows) >= REPS / 2, 'pages were there before they were asked for')
    fetch, echo = zip(*rows)
    n = after['fetch-nr'] - before['fetch-nr']
    need(n >= len(hkbench.flat(fetch)), 'host 1 has fetched %d pages, the guest has '
         'waited for %d' % (n, len(hkbench.flat(fetch))))
    b.figures['fetch_over_echo'] = hkbench.ratio(
        to_us(fetch), to_us(echo), 'us',
        'read of a page that another host owns, in the guest',
        'echo in the kernel, 64 B out, 4 KiB back',
        """A program on vCPU 0 (host 1) reads the TSC before and after it reads a word
        of a page that vCPU 1 (host 2) has written, page after page in no order;
        then the same number of echoes on the same link; by turns.""",
        1.3, not_remote=REPS * BATCH - sum(len(rep) for rep in left))
    return floor


def against_postcopy(b, us, floor):
    src = postcopy_source(b)
    us.run('taskset 2 bench fill %s %d' % (FILE, PAGES))
    us.touch_begin(FILE, POST_BATCH, 'r')
    us.touch()
    slow_link(b, True)
    them = postcopy(b, src)
    them.touch()
    fetch, post = [], []
    # the phase lasts for seconds, and each turn takes its part of them
    for _ in range(POST_REPS):
        fetch.append(us.touch())
        post.append(them.touch())
        if not remote(post[-1], floor):
            break
    slow_link(b, False)
    us.touch_end()
    status = migration(src)
    them.end()
    # not before: it takes a part of a second, and the phase has few of them
    src.end()
    early = sum(t < floor for t in hkbench.flat(post))
    m = re.search(r'postcopy request count: (\d+)', status)
    need(m and int(m.group(1)) >= len(hkbench.flat(post)) - early, 'QEMU tells of '
         'fewer requests than reads that waited:\n' + status)
    rows = [row for row in zip([remote(rep, floor) for rep in fetch],
                               [remote(rep, floor) for rep in post])
            if row[0] and row[1]]
    need(len(rows) >= POST_MIN, '%d turns while postcopy went on, %d of %d reads found '
         'their page there already\n%s' % (len(rows), early, len(hkbench.flat(post)),
                                           status))
    fetch, post = zip(*rows)
    b.figures['fetch_over_postcopy'] = hkbench.ratio(
        to_us(fetch), to_us(post), 'us',
        'read of a page that another host owns, in the guest',
        'read of a page that is still on the source, in a guest under postcopy',
        """The same program in our guest and in the same guest on plain KVM, one vCPU,
        migrated by QEMU's own postcopy over the same link; by turns, while QEMU's
        background transfer loads the link for both.""",
        None, not_remote=early, qemu_requests=int(m.group(1)))


def run(b):
    us = b.guest(2, '1,2')
    us.run(QUIET)
    us.run('taskset 2 bench fill %s %d' % (FILE, PAGES))
    floor = against_echo(b, us)
    against_postcopy(b, us, floor)
