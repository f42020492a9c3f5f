# SPDX-License-Identifier: GPL-2.0
"""A page that is on the other host: fetched by the module, by a raw echo, by QEMU.

    host 1                                   host 2
    vCPU 0 of guest b, reads       ====      vCPU 1 of guest b, has written
    hkctl link echo, 64 B out      ====      4 KiB back
    source of guest p              ====      guest p, reads; migrated by postcopy

The three take turns, 32 pages each. All reads are of the same program, from a guest
that has nothing else to do. Guest p is the same guest on plain KVM; its background
transfer is slowed down, so that pages come because they are asked for."""

import statistics

import hkbench
from hkdrive import Console, Failed, need

FIGURES = ['fetch_over_echo', 'fetch_over_postcopy']
FILE = '/dev/shm/f'
PAGES = 1024
# a kernel that moves pages about on one CPU takes them away from the other's host
QUIET = ('echo 0 >/proc/sys/vm/compaction_proactiveness; '
         'echo never >/sys/kernel/mm/transparent_hugepage/enabled')
BATCH = 32
REPS = 16


def postcopy_guest(b):
    """A guest that has just arrived on host 2, with its pages left on host 1."""
    d = b.drive
    like = b.guest_argv()
    args = dict(ram='128M', vcpus=1, cpu_less='invtsc')
    src = hkbench.PlainGuest(b, 'p', like, **args)
    src.con.expect(r'^HK-GUEST-SHELL', 240)
    src.run(QUIET)
    src.run('bench fill %s %d' % (FILE, PAGES))
    src.touch_begin(FILE, BATCH, 'r')
    dst = hkbench.PlainGuest(b, 'p', like, host=2, more='-incoming tcp:10.77.0.2:4444',
                             **args)
    for g in dst, src:
        text = g.monitor('migrate_set_capability postcopy-ram on')
        need('Error' not in text, text)
    src.monitor('migrate_set_parameter max-postcopy-bandwidth 8192',
                'migrate_set_parameter max-bandwidth 65536',
                'migrate -d tcp:10.77.0.2:4444', 'migrate_start_postcopy')
    for _ in range(100):
        text = src.monitor('info migrate')
        if 'postcopy-active' in text:
            break
        need('failed' not in text and 'completed' not in text, text)
    else:
        raise Failed('no switch to postcopy:\n' + text)
    src.con.close()
    return dst


def run(b):
    us = b.guest(2, '1,2')
    us.run(QUIET)
    b.say('guest is up')
    us.run('taskset 2 bench fill %s %d' % (FILE, PAGES))
    b.say('filled')
    them = postcopy_guest(b)
    b.say('migrated')
    us.touch_begin(FILE, BATCH, 'r')
    b.say('ready')
    # the first ones make warm what a touch needs besides its page
    us.touch()
    them.touch()
    b.echo(BATCH, page=True)
    fetch, echo, post = [], [], []
    for _ in range(REPS):
        fetch.append(us.touch())
        echo.append(b.echo(BATCH, page=True))
        post.append(them.touch())
        b.say('batch: %s' % ' '.join('%.0f' % (statistics.median(x[-1]) / 1000)
                                     for x in (fetch, echo, post)))
    us.touch_end()
    status = them.monitor('info migrate')
    them.end()
    b.drive.host(1, 'kill -9 $(cat /run/p.pid)', check=False)
    # what came before it was asked for shows as an access that did not wait
    floor = min(hkbench.flat(echo)) / 2
    early = sum(t < floor for t in hkbench.flat(post))
    ours_early = sum(t < floor for t in hkbench.flat(fetch))
    fetch = [[t for t in rep if t >= floor] for rep in fetch]
    post = [[t for t in rep if t >= floor] for rep in post]
    rows = [row for row in zip(fetch, echo, post) if row[0] and row[2]]
    need(len(rows) >= REPS / 2, 'of %d and %d reads %d and %d found their page there '
         'already' % (REPS * BATCH, REPS * BATCH, ours_early, early))
    fetch, echo, post = zip(*rows)
    us_ns = lambda series: [[t / 1000 for t in rep] for rep in series]  # noqa: E731
    fetch, echo, post = us_ns(fetch), us_ns(echo), us_ns(post)
    b.figures['fetch_over_echo'] = hkbench.ratio(
        fetch, echo, 'us', 'read of a page that another host owns, in the guest',
        'echo in the kernel, 64 B out, 4 KiB back',
        """A program on vCPU 0 (host 1) reads the TSC before and after it reads a word
        of a page that vCPU 1 (host 2) has written, page after page in no order;
        then the same number of echoes on the same link; by turns.""",
        1.3, not_remote=ours_early)
    b.figures['fetch_over_postcopy'] = hkbench.ratio(
        fetch, post, 'us', 'read of a page that another host owns, in the guest',
        'read of a page that is still on the source, in a guest under postcopy',
        """The same program in the same guest on plain KVM, one vCPU, migrated by QEMU's
        own postcopy over the same link, background transfer slowed to 8 KiB/s; by
        turns with ours and with the echo.""",
        None, not_remote=early, info_migrate=' '.join(status.split())[-400:],
        postcopy_over_echo=round(statistics.median(hkbench.flat(post)) /
                                 statistics.median(hkbench.flat(echo)), 3))
