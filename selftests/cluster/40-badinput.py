#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Bad input meets a defined error and a host that goes on.

One host and no guest: badinput.c sends requests, ioctls and, as a peer in user space,
messages that are wrong, one by one, and knows what should come of each."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

FUZZ_SEED = int(os.environ.get('SEED') or 1)
FUZZ_NR = int(os.environ.get('FUZZ') or 300)


def run(d, tap, what):
    """Run a part of badinput; each group of its is a result of ours."""
    status, text = d.host(1, 'badinput ' + what, check=False, timeout=120)
    notes, groups = [], 0
    for line in text.splitlines():
        m = re.match(r'(not )?ok - (.*)', line)
        if m:
            groups += 1
            tap.result(not m.group(1), '%s: %s' % (what.split()[0], m.group(2)),
                       '\n'.join(notes))
            notes = []
        else:
            notes.append(re.sub(r'^# ', '', line))
    if status not in (0, 1) or not groups or notes:
        tap.result(False, 'badinput %s runs to its end' % what,
                   'status %d\n%s' % (status, '\n'.join(notes)))


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('badinput', 1)
    try:
        with tap.test('host up, module loaded'):
            d.up()
            d.load()
        if tap.bad:
            raise hkdrive.Failed('nothing to send bad input to')
        for what in ('netlink', 'device', 'fabric', 'paths',
                     'fuzz %d %d' % (FUZZ_SEED, FUZZ_NR)):
            run(d, tap, what)
        with tap.test('no identity, VM or page stays, module unloads'):
            node = d.json(1, 'node show')
            need(len(node) == 1 and node[0]['node-id'] == 0 and
                 node[0]['used-pages'] == 0, node)
            need(d.json(1, 'vm show') == [], d.json(1, 'vm show'))
            d.host(1, 'rmmod hyperkernel')
            left = d.host(1, "ps | grep '\\[hk-' | grep -v grep || true")
            need(not left, 'threads left:\n' + left)
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'hkctl vm show; dmesg | tail -20')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
