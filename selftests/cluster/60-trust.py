#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Links under the kernel's TLS: what is on the wire, new keys, a ban.

    host 1 (node 1, the CA)  ==== fabric ==== host 2

No guest: processes map guest RAM on both hosts. On kernel 6.1, then 6.12; KERNEL
chooses one. A plain cluster comes first, which shows that this test can see page
content on the wire where it is."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

MARK = 'MARK-hyperkernel-guest-page'
PAGES = 512
RAM = '128M'


def links(d, n):
    return d.json(n, 'link show')[0]


def encryption(d, want):
    for n in d.all_hosts():
        link = links(d, n)
        need(link['link-state'] == 'up' and link['encryption'] == want, link)


def vm(d):
    d.host(1, 'hkctl vm create v ram 64M vcpus 2 place 1,2')


def vm_delete(d):
    d.host(1, 'hkctl vm kill v; hkctl vm delete v')


def device(n):
    return '/dev/hyperkernel/h%d-v' % n


def listened(d):
    """Pages go from host 1 to host 2, and back; what was on the wire."""
    vm(d)
    d.host(2, 'rm -f /run/wire; wire listen eth0 7117 %s >/run/wire 2>&1 </dev/null & '
           'while ! grep -q listening /run/wire; do sleep 0.1; done' % MARK)
    d.host(1, 'wire write %s %s %d' % (device(1), MARK, PAGES))
    d.host(2, 'wire read %s %s %d' % (device(2), MARK, PAGES))
    d.host(2, 'wire write %s %s %d' % (device(2), MARK, PAGES))
    d.host(1, 'wire read %s %s %d' % (device(1), MARK, PAGES))
    text = d.host(2, 'kill $(pidof wire); while ! grep hits /run/wire; do sleep '
                  '0.1; done')
    vm_delete(d)
    m = re.search(r'frames (\d+) bytes (\d+) hits (\d+)', text)
    need(m, text)
    frames, size, hits = map(int, m.groups())
    print('# %d frames, %d bytes, mark seen %d times' % (frames, size, hits))
    need(size >= 2 * PAGES * 4096, 'the pages did not pass here: ' + text)
    return hits


def echo(d):
    for what in ('', 'page', 'len 32768 count 50'):
        r = d.json(1, 'link echo h2 ' + what)
        print('# echo %s: median %.2f ms' % (what or 'len 64',
                                             r['median-ns'] / 1e6))


def memtest(d, during):
    vm(d)
    d.host(1, 'rm -f /run/memtest; (memtest -p 512 -s 2 -l 7200 -n 2; '
           'echo "status $?") >/run/memtest 2>&1 </dev/null &')
    for n in (1, 2):
        d.host(n, 'memtest -c 10.77.0.1:7200 %s >/run/worker 2>&1 '
               '</dev/null &' % device(n))
    done = 0
    while True:
        text = d.host(1, 'cat /run/memtest')
        if 'status' in text:
            break
        during()
        done += 1
    vm_delete(d)
    need('status 0' in text and 'not ok' not in text, text)
    need(re.search(r'^ok \d', text, re.M), text)
    for line in text.splitlines():
        print('# ' + line)
    return done


def renew(d):
    """New keys, asked for by host 1 and by host 2 in turn."""
    n = 1 + links(d, 1)['renewals'] % 2
    d.host(n, 'hkctl link renew h%d' % (3 - n))


def leave(d):
    for n in (2, 1):
        d.host(n, 'hkctl node leave; pid=$(pidof hkd); kill $pid; '
               'while [ -e /proc/$pid ]; do sleep 0.1; done; '
               'rm -r /var/lib/hyperkernel')


def story(tap, d):
    k = d.series + ': '
    before = tap.bad
    with tap.test(k + 'two hosts, a plain cluster'):
        d.up()
        d.load()
        d.join_all(ram=RAM, plain=True)
        encryption(d, 'plain')
        echo(d)
    if tap.bad > before:
        raise hkdrive.Failed('nothing to listen to')
    with tap.test(k + 'plain: page content is seen on the wire'):
        need(listened(d) > 0, 'the mark was not seen: this test sees nothing')
    with tap.test(k + 'a cluster with TLS'):
        leave(d)
        d.join_all(ram=RAM)
        encryption(d, 'tls 1.3 aes-256-gcm')
        text = d.host(1, 'cat /proc/net/tls_stat')
        need(re.search(r'TlsCurrTxSw\s+[1-9]', text) and
             re.search(r'TlsCurrRxSw\s+[1-9]', text), text)
        echo(d)
    with tap.test(k + 'TLS: no page content on the wire'):
        hits = listened(d)
        need(hits == 0, 'the mark was seen %d times' % hits)
    with tap.test(k + 'guest RAM is coherent while links get new keys'):
        before = links(d, 1)['renewals']
        done = memtest(d, lambda: renew(d))
        after = links(d, 1)['renewals']
        print('# %d renewals under load' % (after - before))
        need(done and after == before + done, (before, after, done))
        need(links(d, 2)['renewals'] == after, links(d, 2))
        encryption(d, 'tls 1.3 aes-256-gcm')
    with tap.test(k + 'old connections are gone'):
        for n in (1, 2):
            # the link, and the daemons' own
            text = d.host(n, 'for i in 1 2 3 4 5 6 7 8 9 10; do '
                          'c=$(ss -Htn state established | grep -c ":7117"); '
                          '[ "$c" = 2 ] && break; sleep 0.3; done; echo $c; ss -tn')
            need(text.split()[0] == '2', text)
    with tap.test(k + 'a link renews itself when it has carried enough'):
        leave(d)
        d.join_all(ram=RAM, args='--renew-mib 1')
        d.host(1, 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); '
               'hkctl link echo h2 len 32768 count 50 >/dev/null; '
               'hkctl link show | grep -q "renewals [1-9]" && exit 0; '
               'done; hkctl link show; exit 1')
    with tap.test(k + 'a ban cuts the link at once, and holds'):
        vm(d)
        d.host(1, 'hkctl node ban h2')
        link = links(d, 1)
        need(link['link-state'] == 'down', link)
        d.host(2, 'hkctl vm wait v 20')
        reason = d.json(2, 'vm show v')[0]['reason']
        print('# host 2: ' + reason)
        need('banned' in reason, reason)
        d.host(1, 'hkctl vm delete v')
        # its VM is dead there, too, but has not been deleted
        d.host(2, 'hkctl vm delete v', check=False)
        d.host(2, 'hkctl node leave', check=False)
        st, text = d.host(2, 'hkctl node join 10.77.0.1 ram ' + RAM, check=False)
        need(st == 1 and 'banned' in text, text)
        d.enrol(2, RAM)
        encryption(d, 'tls 1.3 aes-256-gcm')
    with tap.test(k + 'module unloads on both hosts'):
        leave(d)
        for n in (2, 1):
            d.host(n, 'rmmod hyperkernel')


def main():
    tap = hkdrive.Tap()
    for series in (os.environ.get('KERNEL') or '6.1 6.12').split():
        d = hkdrive.Drive('trust', 2, series)
        try:
            story(tap, d)
        except hkdrive.Failed as e:
            tap.result(False, series + ': run to the end', e)
        finally:
            hkdrive.finish(tap, d, what=series + ': ')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
