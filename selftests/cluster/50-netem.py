#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Guest RAM is coherent over a link that delays, reorders and loses packets.

    host 1  ==== 4 ms +- 3 ms, 1 % lost, each way ==== host 2
    memtest                                            memtest

No guest: processes on both hosts map the RAM device (memtest.c says what they do to
it). The same again when the link is well."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

VM = 'm'
DELAY_MS, JITTER_MS, LOSS_PCT = 4, 3, 1
PAGES = 64
TESTS = 'fill,pattern,version,counter,words,sb,mp'
MOVE_TOO = ('fault-wr', 'fetched', 'sent', 'upgraded', 'invalidated', 'downgraded')


def stats(d, n):
    return d.json(n, 'stats show ' + VM)[0]


def retransmitted(d, n):
    """Segments that TCP of a host has sent again."""
    return int(d.host(n, "awk '/^Tcp: [0-9]/ {print $13}' /proc/net/snmp"))


def memtest(d, tap, name, device):
    """All of memtest on both hosts; a TAP line of ours for each of its lines."""
    d.host(2, 'memtest -c 10.77.0.1:7200 %s >/run/memtest.log 2>&1 &' % device[2])
    d.host(1, 'memtest -c 10.77.0.1:7200 %s >/run/memtest.log 2>&1 &' % device[1])
    st, text = d.host(1, 'memtest -l 7200 -n 2 -p %d -s 1 -t %s' % (PAGES, TESTS),
                      check=False, timeout=300)
    lines = re.findall(r'^(not )?ok \d+ (.*)', text, re.M)
    for bad, what in lines:
        tap.result(not bad, '%s: memtest %s' % (name, what.replace('#', '-')))
    if st or len(lines) != len(TESTS.split(',')):
        tap.result(False, '%s: memtest runs to its end' % name,
                   'status %d\n%s' % (st, text[-1000:]))


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('netem', 2)
    try:
        with tap.test('two hosts joined, a VM without a VMM'):
            d.up()
            d.load()
            # a lost packet at a bad time costs TCP a second and more
            d.join_all(ram='128M', args='--dead-ms 30000', plain=True)
            d.host(1, 'hkctl vm create %s ram 64M vcpus 1' % VM)
            device = {n: d.json(n, 'vm show ' + VM)[0]['device']
                      for n in d.all_hosts()}
        if tap.bad:
            raise hkdrive.Failed('nothing to test')
        before = {n: (stats(d, n), retransmitted(d, n)) for n in d.all_hosts()}
        d.vc('delay', DELAY_MS, '--jitter', JITTER_MS, '--loss', LOSS_PCT)
        memtest(d, tap, 'bad link', device)
        with tap.test('the link was bad, and both hosts did their part'):
            for n in d.all_hosts():
                now = stats(d, n)
                same = [k for k in MOVE_TOO if now[k] <= before[n][0][k]]
                need(not same, 'host %d: %s did not grow' % (n, same))
                lost = retransmitted(d, n) - before[n][1]
                print('# host %d: %s, %d segments sent again' % (
                    n, ', '.join('%s %d' % (k, now[k]) for k in MOVE_TOO), lost))
                need(lost > 0, 'host %d: nothing was lost' % n)
        with tap.test('the link came through it'):
            for n in d.all_hosts():
                links = d.json(n, 'link show -s')
                need([x['link-state'] for x in links] == ['up'], links)
                need(links[0]['rx-stale'] == 0, links)
                need(links[0]['resent'] > 0, links)
        d.vc('delay', 0, '--loss', 0)
        memtest(d, tap, 'good link', device)
        with tap.test('VM goes, no page stays behind, module unloads'):
            d.host(1, 'hkctl vm delete ' + VM)
            for n in d.all_hosts():
                used = d.json(n, 'node show')[0]['used-pages']
                need(used == 0, 'host %d still uses %d pages' % (n, used))
            for n in (2, 1):
                d.host(n, 'hkctl node leave; pkill hkd; rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'hkctl vm show; hkctl link show; tail -5 /run/hkd.log; '
                       'cat /run/memtest.log; dmesg | tail -8')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
