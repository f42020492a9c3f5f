#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A guest on two nodes of one kernel: a part of what 10-guest.py does on two hosts.

    n1 (origin, QEMU) ==== e0 ==== n2       both in one emulated host with two CPUs
        vCPU 0        ==== e1 ====     vCPU 1

Two KVM VMs of one guest in one kernel, told apart by the hooks. The guest takes part in
asynchronous page faults, all the time and with all that it does. The link gets a second
path from the daemons, and then one network after the other is cut while a vCPU moves to and fro."""

import os
import re
import sys
import threading

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'scripts', 'lib'))
import hkdrive                                          # noqa: E402
from hkdrive import need                                # noqa: E402

NODES = (1, 2)
VM = 'g'
MOVES = int(os.environ.get('MOVES') or 40)
APF_MOVES = 20


def ctl(d, n, cmd, **kw):
    return d.host(1, 'ip netns exec n%d hkctl -s /run/n%d/sock %s' % (n, n, cmd), **kw)


def show(d, n, what):
    return hkdrive.json.loads(ctl(d, n, '-j ' + what))


def residence(d):
    return {v['vcpu']: v['node-id'] for v in show(d, 1, 'vcpu show ' + VM)}


def nodes_up(d):
    d.host(1, 'ip netns add n1; ip netns add n2; for p in 0 1; do '
           'ip link add e$p netns n1 type veth peer name e$p netns n2; done')
    for n in NODES:
        d.host(1, 'set -e; i=%d; ip -n n$i link set lo up; for p in 0 1; do '
               'ip -n n$i addr add 10.9.$p.$i/24 dev e$p; ip -n n$i link set e$p up; done; '
               'mkdir -p /run/n$i; ip netns exec n$i hkd --background --name n$i '
               '--listen 10.9.0.$i --listen 10.9.1.$i '
               '--socket /run/n$i/sock --state-dir /run/n$i/state --log /run/n$i/log '
               '--dead-ms 10000' % n)
    ctl(d, 1, 'cluster create two ram 160M plain')
    ctl(d, 2, 'cluster join 10.9.0.1 %s ram 160M' % ctl(d, 1, 'cluster invite').strip())


def boot(d):
    """The guest is larger than what either node gives."""
    ctl(d, 1, 'vm create %s ram 256M vcpus 2 place 1,2 kernel /hk/guest/vmlinux '
        'initrd /hk/guest/initrd serial-socket /run/%s.console async-pf on append "%s"' % (
            VM, VM, d.guest_args('hk.plain')))
    ctl(d, 1, 'vm start ' + VM, timeout=300)
    con = hkdrive.Console(d, VM)
    con.expect(r'HK-GUEST-UP cpus=2 ', 300)
    con.expect(r'^HK-GUEST-SHELL', 120)
    return con


def guest_test(con, cmd, want, timeout=600):
    rc, text = con.run(cmd, timeout)
    need(rc == 0 and re.search(want, text, re.M), '%s: status %d:\n%s' % (cmd, rc, text))


def paths_are(d, p, states, timeout=60):
    """Wait until both nodes call path P one of STATES."""
    for n in NODES:
        d.host(1, 'until ip netns exec n%d hkctl -s /run/n%d/sock path show | '
               'grep -q "path-id %d .*path-state \\(%s\\) "; do usleep 100000; done' % (
                   n, n, p, states), timeout=timeout)


def moves_under_cuts(d, con):
    """Each network is lost twice, the one in use each time."""
    con.run('rm -f /tmp/stop; load.sh /tmp/stop >/tmp/load.out 2>&1 &')
    d.host(1, 'rm -f /tmp/cuts-done')
    said = []
    mover = threading.Thread(target=lambda: said.append(d.host(
        1, 'i=0; while [ ! -e /tmp/cuts-done ]; do ip netns exec n1 hkctl -s /run/n1/sock '
        'vcpu move %s 1 $((1 + i %% 2)) || exit 1; i=$((i + 1)); done; echo moves $i' % VM,
        check=False, timeout=600)))
    mover.start()
    try:
        for p in (0, 1, 0, 1):
            for n in NODES:
                d.host(1, 'tc -n n%d qdisc add dev e%d root netem loss 100%%' % (n, p))
            paths_are(d, p, 'down')
            for n in NODES:
                d.host(1, 'tc -n n%d qdisc del dev e%d root' % (n, p))
            # made again by the daemon
            paths_are(d, p, 'active\\|standby')
    finally:
        d.host(1, 'touch /tmp/cuts-done')
        mover.join()
    need(said and not said[0][0], said)
    guest_test(con, 'touch /tmp/stop; wait; cat /tmp/load.out; '
               'grep -q "LOAD ok" /tmp/load.out', 'LOAD ok')
    for n in NODES:
        x = show(d, n, 'path show')
        need(sum(v['failovers'] for v in x) >= 2, x)
        print('# n%d: failovers %s, sent again %s' % (
            n, [v['failovers'] for v in x], [v['retransmits'] for v in x]))
    moves = int(re.search(r'moves (\d+)', said[0][1]).group(1))
    need(moves > 4, said)
    print('# %d moves meanwhile' % moves)


def asynchronous(d):
    return {n: show(d, n, 'stats show ' + VM)[0]['async-faults'] for n in NODES}


def runs_on(d, con):
    """Threads wait for pages by tokens of one host, and wake up on the other one."""
    before = asynchronous(d)
    guest_test(con, 'touch /tmp/stop; apf 0 1 /tmp/stop', '^APF ok .*slept=[1-9].*counted=[1-9]')
    after = asynchronous(d)
    need(after[2] > before[2], 'no fault was asynchronous: %s, %s' % (before, after))
    con.run('rm -f /tmp/stop; apf 0 1 /tmp/stop >/tmp/apf.out 2>&1 &')
    moves(d, APF_MOVES)
    need(residence(d)[1] == 2, residence(d))
    rc, text = con.run('touch /tmp/stop; wait; cat /tmp/apf.out', 300)
    need(re.search('^APF ok .*slept=[1-9]', text, re.M), text)
    print('# %s; by node before %s, then %s, after %d moves %s' % (
        text.strip(), before, after, APF_MOVES, asynchronous(d)))


def moves(d, n):
    d.host(1, 'i=0; while [ $i -lt %d ]; do ip netns exec n1 hkctl -s /run/n1/sock vcpu '
           'move %s 1 $((1 + i %% 2)) || { echo move $i; exit 1; }; i=$((i + 1)); done' % (
               n, VM), timeout=600)


def handoffs(d, con):
    # clocks, interrupts and memory order between the CPUs are part of the load
    con.run('rm -f /tmp/stop; load.sh /tmp/stop >/tmp/load.out 2>&1 &')
    moves(d, MOVES)
    guest_test(con, 'touch /tmp/stop; wait; cat /tmp/load.out; '
               'grep -q "LOAD ok" /tmp/load.out', 'LOAD ok')
    for n in NODES:
        s = show(d, n, 'stats show ' + VM)[0]
        need(s['moves-in'] >= MOVES // 2 - 1 and s['moves-out'] >= MOVES // 2 - 1 and
             s['moves-refused'] == 0, s)
        print('# n%d: %d vCPUs came, %d left, %d pages fetched' % (
            n, s['moves-in'], s['moves-out'], s['fetched']))


def main():
    tap = hkdrive.Tap()
    d = hkdrive.Drive('netguest', 1, up=('--smp', '2'))
    con = None
    try:
        with tap.test('two nodes in namespaces of one host, joined, two paths'):
            d.up()
            d.load()
            nodes_up(d)
            paths_are(d, 1, 'standby')
        with tap.test('guest boots, a vCPU on each node'):
            con = boot(d)
            need(residence(d) == {0: 1, 1: 2}, residence(d))
        if con is None:
            raise hkdrive.Failed('no guest, nothing more to test')
        with tap.test('a thread runs on while another one waits for pages, and the vCPU moves'):
            runs_on(d, con)
        with tap.test('%d handoffs in a row under load' % MOVES):
            handoffs(d, con)
        with tap.test('networks are lost and come back while a vCPU moves to and fro'):
            moves_under_cuts(d, con)
        with tap.test('boot CPU moves away and back'):
            for to in (2, 1):
                ctl(d, 1, 'vcpu move %s 0 %d' % (VM, to))
                need(residence(d)[0] == to, residence(d))
                guest_test(con, 'echo alive', 'alive')
        with tap.test('guest kernel has nothing to complain of'):
            guest_test(con, 'dmesg | grep -iE "lockup|stall|unstable|BUG:|WARNING: CPU|'
                       'unexpected|stuck|backwards|hung_task" || echo nothing', '^nothing$')
        with tap.test('guest powers off, no page stays behind, module unloads'):
            con.send('poweroff -f')
            ctl(d, 2, 'vm wait %s 30' % VM)
            ctl(d, 1, 'vm delete ' + VM)
            for n in NODES:
                node = [x for x in show(d, n, 'node show') if x.get('self')][0]
                need(node['used-pages'] == 0, node)
            for n in (2, 1):
                ctl(d, n, 'node leave')
            d.host(1, 'rmmod hyperkernel')
    except hkdrive.Failed as e:
        tap.result(False, 'run to the end', e)
    finally:
        hkdrive.finish(tap, d, 'for i in 1 2; do ip netns exec n$i hkctl vm show; '
                       'tail -8 /run/n$i/log; done; dmesg | tail -15', con)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
