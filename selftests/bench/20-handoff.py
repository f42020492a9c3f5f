# SPDX-License-Identifier: GPL-2.0
"""Handoff of a running vCPU, from its last instruction to its next.

    host 1, origin                            host 2
    moves, echo                      ====
    vCPU 1 <------------------ to and fro --> vCPU 1: bench spin

The mover is a program of its own that stays, as a hkctl for each move would take the
CPU of host 1 from the vCPU. The program on vCPU 1 does nothing but look at the TSC and
notes when it jumps. The longest jump while a move was under way is the handoff. Where
the guest's clock on one host is ahead of that on the other, this makes the way there
longer by what it takes from the way back, so what counts is the mean of a pair. A jump
backwards must not be, and fails the figure."""

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
# the guest's clocks of two hosts differ by less than this
SLACK_MS = 3


def tsc_offset(b):
    """Guest's TSC minus that of host 1."""
    text = b.drive.host(1, 'cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset')
    need(len(text.split()) == 1, 'there is more than one guest on host 1')
    return int(text)


def took_by(b, moves, gaps, offset):
    """The handoff in each move, ns; 0: no jump as long as the program notes; None: the
    guest did not run between this move and another one. It stands still at some time
    of the request, but where the mover has taken the CPU from it, from before that on."""
    slack = SLACK_MS * b.khz
    during = [max((g for g in gaps if g[0] - offset <= z + slack and
                   g[0] + g[1] - offset >= a - slack),
                  key=lambda g: g[1], default=None) for a, z in moves]
    return [0 if g is None else None if during.count(g) > 1 else b.ns(g[1])
            for g in during]


def told(b, moves, gaps, offset):
    """All that was seen, ms from the first request on."""
    def ms(ticks):
        return round(b.ns(ticks) / 1e6, 2)
    first = moves[0][0]
    return 'moves (from, to) %s\ngaps (at, long) %s' % (
        [(ms(a - first), ms(z - first)) for a, z in moves],
        [(ms(t - offset - first), ms(g)) for t, g in gaps])


def pairs(b, guest, warm=True):
    """A few moves to host 1 and back: ns of either way, bytes of a state, and what host
    1 says that a move from it takes. Cold: only to bring pages where they are needed."""
    before = b.stats()
    offset = tsc_offset(b)
    guest.con.send('taskset 2 bench spin %d' % (
        ((PAUSE_MS + MOVE_MS) * 2 * MOVES + START_MS) * b.khz // 1000000))
    guest.con.expect(r'^BENCH spinning', 60)
    at = guest.con.pos
    text = b.drive.host(1, 'sleep 2; moves %s 1 1 2 %d %d' % (hkbench.VM, 2 * MOVES,
                                                     PAUSE_MS))
    moves = [(int(a), int(z)) for a, z in
             re.findall(r'^move \d+ (\d+) (\d+)$', text, re.M)]
    m = guest.con.expect(r'^BENCH spun (\d+)\n|^bench: .*\n', 120)
    need(m.group(1), 'the program on the vCPU: ' + m.group(0))
    need(moves[-1][1] < int(m.group(1)) - offset,
         'the program on the vCPU ended before the last move')
    gaps = [(int(x), int(y)) for x, y in
            re.findall(r'^BENCH gap (\d+) (\d+)$', guest.con.text[at:m.start()], re.M)]
    back = [y - (1 << 64) for _, y in gaps if y >> 63]
    need(not back, "the guest's clock went back by %s ticks" % back)
    moved = abs(tsc_offset(b) - offset)
    need(moved < SLACK_MS * b.khz, "the guest's clock was stepped by %d ticks" % moved)
    took = took_by(b, moves, gaps, offset)
    after = b.stats()
    n = after['moves-out'] - before['moves-out']
    need(n == MOVES, '%d vCPUs have left host 1, not %d' % (n, MOVES))
    size = (after['handoff-bytes'] - before['handoff-bytes']) / n
    # to host 1 first, then to host 2
    both = [p for p in zip(took[::2], took[1::2]) if None not in p]
    if not warm:
        return both, size, 0
    seen = '%s\n%s' % (took, told(b, moves, gaps, offset))
    need(all(x or y for x, y in both), 'moves without a gap: ' + seen)
    need(len(both) >= MOVES / 2, 'the guest does not run between moves: ' + seen)
    return both, size, (after['handoff-ns'] - before['handoff-ns']) / n


def run(b):
    guest = b.guest(2, '1,2')
    for _ in range(2):
        pairs(b, guest, False)
    took, echo, own, left_out = [], [], [], 0
    ways = {'to host 1': [], 'to host 2': []}
    for _ in range(REPS):
        both, size, own_ns = pairs(b, guest)
        left_out += MOVES - len(both)
        own.append(own_ns / 1000)
        ways['to host 1'] += [x / 1000 for x, _ in both]
        ways['to host 2'] += [y / 1000 for _, y in both]
        took.append([(x + y) / 2000 for x, y in both])
        echo.append([t / 1000 for t in b.echo(32, length=int(size))])
    b.figures['handoff_over_echo'] = hkbench.ratio(
        took, echo, 'us', 'last instruction of the guest on one host to its next on '
        'the other, mean of there and back',
        'echo in the kernel, %d bytes each way' % size,
        """A program that spins on the vCPU notes the jumps of the TSC; the longest
        one within the time of the request to move it. Echo of as many bytes as the state
        in its message has; %d pairs of moves, 32 echoes, by turns.""" % MOVES,
        None, state_bytes=int(size), did_not_run_between=left_out,
        ways=[hkbench.spread(v, 'us', k) for k, v in ways.items()],
        by_own_account=hkbench.spread(
            own, 'us', 'mean time on host 1 from the begin of the capture until it '
            'hears that the vCPU runs on host 2'))
