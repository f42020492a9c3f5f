# SPDX-License-Identifier: GPL-2.0
"""Handoff of a running vCPU, from its last instruction to its next.

    host 1, origin                            host 2
    moves, echo                      ====
    vCPU 1 <------------------ to and fro --> vCPU 1: bench spin

The mover is a program of its own that stays, as a hkctl for each move would take the
CPU of host 1 from the vCPU. The program on vCPU 1 does nothing but look at the TSC and notes when it jumps. The
longest jump while a move was under way is the handoff. The error of the hosts'
estimate of each other's TSC makes the way there longer by what it takes from the way
back, so what counts is the mean of a pair."""

import re

import hkbench
from hkdrive import need

FIGURES = ['handoff_over_echo']
MOVES = 4
REPS = 6
PAUSE_MS = 150
# what a move takes, and what it takes to begin
MOVE_MS = 100
START_MS = 6000
# the error of the clocks moves a gap by less than this
SLACK_MS = 3


def tsc_offset(b):
    """Guest's TSC minus that of host 1."""
    text = b.drive.host(1, 'cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset')
    need(len(text.split()) == 1, 'there is more than one guest on host 1')
    return int(text)


def pairs(b, guest, offset):
    """A few moves there and back: ns of each pair's mean, bytes of a state."""
    before = b.stats()
    guest.con.send('taskset 2 bench spin %d' % (
        ((PAUSE_MS + MOVE_MS) * 2 * MOVES + START_MS) * b.khz // 1000000))
    guest.con.expect(r'^BENCH spinning', 60)
    text = b.drive.host(1, 'sleep 2; moves %s 1 1 2 %d %d' % (hkbench.VM, 2 * MOVES,
                                                     PAUSE_MS))
    at = guest.con.pos
    m = guest.con.expect(r'^BENCH spun \d+\n', 120)
    # a jump backwards is a large number
    gaps = [(int(x), (int(y) + (1 << 63)) % (1 << 64) - (1 << 63))
            for x, y in re.findall(r'^BENCH gap (\d+) (\d+)$',
                                   guest.con.text[at:m.start()], re.M)]
    need(gaps, 'the program has seen no gap')
    slack = SLACK_MS * b.khz
    took = []
    for a, z in re.findall(r'^move \d+ (\d+) (\d+)$', text, re.M):
        inside = [g for t, g in gaps
                  if int(a) - slack <= t - offset <= int(z) + slack]
        # none: the error of the clocks hides what the way there shows twice
        took.append(b.ns(max(inside, key=abs)) if inside else 0)
    after = b.stats()
    n = after['moves-out'] - before['moves-out']
    need(n > 0, 'no vCPU has left host 1')
    size = (after['handoff-bytes'] - before['handoff-bytes']) / n
    both = [(x + y) / 2 for x, y in zip(took[::2], took[1::2])]
    need(min(both) > 0, 'moves without a gap: %s' % took)
    return both, size, (after['handoff-ns'] - before['handoff-ns']) / n


def run(b):
    guest = b.guest(2, '1,2')
    offset = tsc_offset(b)
    # the first ones bring the pages that the vCPU needs on either side
    pairs(b, guest, offset)
    took, echo, own = [], [], []
    for _ in range(REPS):
        ns, size, own_ns = pairs(b, guest, offset)
        own.append(own_ns / 1000)
        took.append([t / 1000 for t in ns])
        echo.append([t / 1000 for t in b.echo(32, length=int(size))])
    b.figures['handoff_over_echo'] = hkbench.ratio(
        took, echo, 'us', 'last instruction of the guest on one host to its next on '
        'the other, mean of there and back',
        'echo in the kernel, %d bytes each way' % size,
        """A program that spins on the vCPU notes the jumps of the TSC; the longest
        one within the time of the request to move it. Echo of as many bytes as the state
        in its message has; %d pairs of moves, 32 echoes, by turns.""" % MOVES,
        None, state_bytes=int(size), by_own_account=hkbench.spread(
            own, 'us', 'mean time on host 1 from the begin of the capture until it '
            'hears that the vCPU runs on host 2'))
