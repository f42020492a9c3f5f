# SPDX-License-Identifier: GPL-2.0
"""What the figures of `make bench` have in common: hosts and guests to measure on,
series of numbers, and how they become a figure."""

import os
import re
import shlex
import statistics
import subprocess

import hkdrive
from hkdrive import need

NAME = 'bench'
VM = 'b'
GUEST_RAM = '256M'


def machine():
    with open('/proc/cpuinfo') as f:
        model = re.search(r'model name\s*: (.*)', f.read())
    return {'cpus': os.cpu_count(), 'model': model.group(1) if model else '',
            'hosts': 'emulated (QEMU TCG, nested SVM), one CPU each',
            'load_at_start': os.getloadavg()[0]}


def spread(values, unit, what):
    """A raw series in short."""
    return {'what': what, 'unit': unit, 'n': len(values),
            'min': round(min(values), 3),
            'median': round(statistics.median(values), 3),
            'max': round(max(values), 3)}


def flat(series):
    return [v for rep in series for v in rep]


def ratio(a, b, unit, what_a, what_b, how, aim=None, **more):
    """A figure out of two series, each a list of repetitions, each of these a list
    of values: repetition by repetition the ratio of the medians, for the spread, and
    the ratio of the medians of all, for the value."""
    need(a and len(a) == len(b), 'the two series have %d and %d repetitions' % (
        len(a), len(b)))
    each = [statistics.median(x) / statistics.median(y) for x, y in zip(a, b)]
    fig = {'value': round(statistics.median(flat(a)) / statistics.median(flat(b)), 3),
           'aim': aim, 'n': len(each),
           'min': round(min(each), 3),
           'median': round(statistics.median(each), 3),
           'max': round(max(each), 3),
           'over': spread(flat(a), unit, what_a),
           'under': spread(flat(b), unit, what_b),
           'how': ' '.join(how.split())}
    fig.update(more)
    return fig


def first_line(text):
    return (text.splitlines() or [''])[0][:200]


def absolute(series, unit, aim, what, how, **more):
    """A figure that is no ratio, but says so. Of another machine it says nothing."""
    each = [statistics.median(rep) for rep in series]
    fig = {'value': round(statistics.median(flat(series)), 3), 'absolute': True,
           'unit': unit, 'aim': aim, 'n': len(each),
           'min': round(min(each), 3), 'median': round(statistics.median(each), 3),
           'max': round(max(each), 3), 'what': what, 'how': ' '.join(how.split())}
    fig.update(more)
    return fig


def table(figures):
    rows = [('figure', 'value', 'aim', 'min', 'median', 'max', 'n')]
    notes = []
    for name, fig in figures.items():
        parts = fig.get('parts') or {'': fig}
        for part, p in parts.items():
            label = name + (' ' + part if part else '')
            if p.get('value') is None:
                rows.append((label, 'null', '', '', '', '', ''))
                notes.append('%s: %s' % (label, first_line(fig['reason'])))
                continue
            rows.append((label, *('' if p.get(k) is None else str(p[k])
                                  for k in rows[0][1:])))
        if fig.get('failed_before'):
            notes.append('%s: the second try; the first: %s' % (
                name, first_line(fig['failed_before'])))
    width = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ['  '.join(c.ljust(width[i]) if not i else c.rjust(width[i])
                       for i, c in enumerate(r)) for r in rows]
    return '\n'.join(['', *lines, *notes, ''])


class Guest:
    """A guest of test programs and its console."""

    def __init__(self, bench, con):
        self.bench = bench
        self.con = con

    def run(self, cmd, timeout=180):
        rc, text = self.con.run(cmd, timeout)
        need(rc == 0, 'guest: %s: status %d:\n%s' % (cmd, rc, text))
        return text

    def touch_begin(self, file, count, how, cpu=0):
        """A program that touches so many pages for each touch()."""
        self.con.send('taskset %x bench touch %s %d %s </dev/console' % (
            1 << cpu, file, count, how))
        self.con.expect(r'^BENCH ready', 180)

    def touch(self, timeout=120):
        """Times in ns."""
        self.con.send('')
        # with the end of the line: the console gives it piece by piece
        m = self.con.expect(r'^BENCH (?:read|wrote)((?: \d+)+)\n', timeout)
        return [self.bench.ns(int(t)) for t in m.group(1).split()]

    def touch_end(self):
        self.con.send('q')
        self.con.expect(r'^BENCH touched', 60)


class PlainGuest(Guest):
    """The same guest on plain KVM: the VMM's own command line, as it is for a guest
    of ours, with anonymous RAM in place of the module's."""

    def __init__(self, bench, name, like, host=1, ram=None, vcpus=None, more='',
                 cpu_less=''):
        self.name = name
        self.host = host
        self.argv_like = like
        argv = list(like)
        for i, a in enumerate(argv):
            if a.startswith('memory-backend-file'):
                size = ram or re.search(r'size=(\w+)', a).group(1)
                argv[i] = 'memory-backend-ram,id=m0,size=' + size
            elif a == '-m' and ram:
                argv[i + 1] = ram
            elif a == '-smp' and vcpus:
                argv[i + 1] = str(vcpus)
            elif a == '-cpu':
                for flag in cpu_less.split():
                    argv[i + 1] = argv[i + 1].replace(',+' + flag, '')
            elif a.startswith('socket,id=qmp0'):
                argv[i] = 'socket,id=qmp0,path=/run/%s.qmp,server=on,wait=off' % name
            elif a == '-name':
                argv[i + 1] = name
            elif a.startswith('socket,id=serial0'):
                argv[i] = ('socket,id=serial0,path=/run/%s.console,server=on,'
                           'wait=off' % name)
        self.argv = argv + ['-monitor', 'unix:/run/%s.monitor,server=on,wait=off' %
                            name] + more.split()
        bench.drive.host(host, 'rm -f /run/%s.*; setsid %s >/run/%s.log 2>&1 '
                         '</dev/null & echo $! >/run/%s.pid; i=0; while [ ! -S '
                         '/run/%s.monitor ] && [ $i -lt 300 ]; do sleep 0.1; '
                         'i=$((i+1)); done; cat /run/%s.log' % (
                             name, shlex.join(self.argv), name, name, name, name))
        super().__init__(bench, hkdrive.Console(bench.drive, name, host))

    def monitor(self, *lines):
        """Commands of the human monitor; what it prints."""
        return self.bench.drive.host(
            self.host, "printf '%%s\\n' %s | socat -t 5 - UNIX-CONNECT:/run/%s.monitor"
            % (' '.join(shlex.quote(line) for line in lines), self.name))

    def end(self):
        self.con.close()
        self.bench.drive.host(self.host, 'kill -9 $(cat /run/%s.pid)' % self.name,
                              check=False)


class Bench:
    """Two hosts of one CPU, joined, and what runs on them, made when asked for."""

    def __init__(self, say):
        self.say = say
        self.figures = {}
        self.up = None
        self.vm = None
        self.shape = None
        self.khz = 0

    @property
    def drive(self):
        """The cluster."""
        if not self.up:
            d = hkdrive.Drive(NAME, 2)
            self.up = d
            self.say('starting 2 emulated hosts')
            d.up()
            d.load()
            # figures are of the module, not of what emulated CPUs make of AES
            d.join_all(plain=True)
            self.khz = int(d.host(1, "sed 's/.*tsc_early_khz=\\([0-9]*\\).*/\\1/' "
                                  '/proc/cmdline'))
        return self.up

    def ns(self, ticks):
        return ticks * 1e6 / self.khz

    def guest(self, vcpus, place, nodes='all'):
        """A guest of ours that is up, the one that runs when it is like that."""
        shape = (vcpus, place, nodes)
        if self.vm and self.shape == shape:
            return self.vm
        self.guest_end()
        self.guest_create(*shape)
        con = self.drive.vm_start(VM)
        self.vm = Guest(self, con)
        self.shape = shape
        con.expect(r'HK-GUEST-UP cpus=%d ' % vcpus, 240)
        con.expect(r'^HK-GUEST-SHELL', 60)
        return self.vm

    def guest_create(self, vcpus, place, nodes='all'):
        self.drive.vm_create(VM, ram=GUEST_RAM, vcpus=vcpus, append='hk.plain',
                             more='nodes %s place %s' % (nodes, place))

    def guest_end(self):
        if not self.vm:
            return
        vm, self.vm = self.vm, None
        vm.con.send('poweroff -f')
        self.drive.host(1, 'hkctl vm wait %s 60' % VM)
        vm.con.close()
        self.drive.host(1, 'hkctl vm delete ' + VM)

    def guest_argv(self):
        """Command line of the VMM of our guest."""
        text = self.drive.host(1, "for p in $(pidof qemu-system-x86_64); do grep -qz "
                               "-- '^%s$' /proc/$p/cmdline && tr '\\0' '\\n' "
                               '</proc/$p/cmdline; done' % VM)
        return text.split('\n')[:-1]

    def echo(self, count, page=False, length=64):
        """Raw round trips from host 1 to host 2, ns."""
        return self.drive.json(1, 'link echo h2 count %d len %d%s' % (
            count, length, ' page' if page else ''))['times-ns']

    def stats(self, host=1):
        return self.drive.json(host, 'stats show ' + VM)[0]

    def trouble(self):
        return self.up.trouble() if self.up else ''

    def logs(self):
        if self.up:
            for n in self.up.all_hosts():
                try:
                    print(self.up.host(n, 'hkctl vm show; tail -5 /run/hkd.log; dmesg '
                                       '| tail -8', check=False, timeout=20)[1])
                except subprocess.TimeoutExpired as e:
                    print(e)

    def drop(self):
        """End everything; the next one who asks gets it anew."""
        if self.vm:
            self.vm.con.close()
        self.vm = None
        if self.up:
            self.up.down()
        self.up = None
