# SPDX-License-Identifier: GPL-2.0
"""Drive a virtual cluster from the outside: hosts up, module and hkd on each,
joined; a guest and its console. What `make demo`, `make check` and `make bench`
have in common. Hosts are numbered from 1 and so are nodes: host N is node N."""

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
VCLUSTER = os.path.join(TOP, 'scripts', 'vcluster')
DILATION = 10


class Failed(Exception):
    """Something that had to hold did not; the text says what."""


class Console:
    """The guest's console: a thread collects what it prints, expect() waits."""

    def __init__(self, drive, vm, host=1):
        self.text = ''
        self.pos = 0
        self.closed = False
        self.closing = False
        self.cond = threading.Condition()
        self.open = lambda: subprocess.Popen(
            drive.command('exec', '-i', host, 'i=0; while [ ! -S /run/%s.console ] '
                          '&& [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; '
                          'exec socat STDIO UNIX-CONNECT:/run/%s.console' % (vm, vm)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.proc = self.open()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        tries = 5
        while True:
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data and not self.text and tries:
                # not connected yet, and nothing said: the VMM is just starting
                tries -= 1
                self.proc.wait()
                with self.cond:
                    if not self.closing:
                        self.proc = self.open()
                        continue
            with self.cond:
                if not data:
                    self.closed = True
                self.text += data.decode(errors='replace').replace('\r', '')
                self.cond.notify_all()
            if not data:
                return

    def expect(self, pattern, timeout=120):
        """Wait for a match behind the last one; return the match object."""
        rx = re.compile(pattern, re.M)
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                m = rx.search(self.text, self.pos)
                if m:
                    self.pos = m.end()
                    return m
                left = end - time.monotonic()
                if self.closed or left <= 0:
                    raise Failed('guest console: no %r %s; last lines:\n%s' % (
                        pattern, 'before its end' if self.closed
                        else 'within %d s' % timeout,
                        '\n'.join(self.text[-1500:].splitlines()[-15:])))
                self.cond.wait(left)

    def send(self, line):
        self.proc.stdin.write((line + '\n').encode())
        self.proc.stdin.flush()

    def run(self, command, timeout=120):
        """Run a command in the guest's plain shell; return what it printed."""
        self.serial = getattr(self, 'serial', 0) + 1
        mark = 'hk%d' % self.serial
        with self.cond:
            start = self.pos = len(self.text)
        self.send(command)
        self.send('echo "%s" rc=$?' % mark)
        m = self.expect(r'^%s rc=(\d+)$' % mark, timeout)
        return int(m.group(1)), self.text[start:m.start()]

    def close(self):
        """Let go of the console: by an end of input, not by force. When a client
        breaks off a session that still runs, dropbear 2022.83 closes sessions that
        begin then as well, without their output and status (6 of 50 tried; none
        of 978 after an end of input)."""
        with self.cond:
            self.closing = True
        with contextlib.suppress(OSError):
            self.proc.stdin.close()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


class Drive:
    def __init__(self, name, hosts=2, series=None, up=()):
        self.name = name
        self.hosts = hosts
        self.series = series or os.environ.get('KERNEL') or '6.1'
        self.up_args = list(up)
        # of what was run on hosts
        self.serial = itertools.count(1)

    def command(self, verb, *args):
        return [VCLUSTER, verb, '--name', self.name, *map(str, args)]

    def vc(self, verb, *args, check=True, timeout=300):
        p = subprocess.run(self.command(verb, *args), text=True, timeout=timeout,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL)
        if check and p.returncode:
            raise Failed('vcluster %s %s: status %d\n%s' % (
                verb, ' '.join(map(str, args)), p.returncode, p.stdout))
        return p

    def host(self, n, cmd, check=True, timeout=120):
        """Run a line on host N; (status, output) or just output with check."""
        status, text = self.host_run(n, cmd, timeout)
        if not check:
            return status, text
        if status:
            raise Failed('host %s: %s: status %d\n%s' % (n, cmd, status, text))
        return text

    def host_run(self, n, cmd, timeout):
        """Output and status go into files on the host first, as dropbear 2022.83 loses
        sessions now and then (Console.close()): what a lost one should have said is asked
        for again, and a command that it never started is started then, and only then."""
        name = '/run/exec-%d' % next(self.serial)
        tell = 'cat {0}.out; echo; echo "{0} $(cat {0}.status)"'.format(name)
        first = '(%s\n) >%s.out 2>&1; echo $? >%s.status; %s' % (cmd, name, name, tell)
        again = 'if [ -e {0}.out ]; then while [ ! -e {0}.status ]; do usleep 50000; done; ' \
            '{1}; else {2}; fi'.format(name, tell, first)
        for line in (first, again, again):
            p = self.vc('exec', '-t', timeout, n, line, check=False, timeout=timeout + 30)
            m = re.search(r'\n%s (\d+)\n$' % name, p.stdout)
            if m:
                return int(m.group(1)), p.stdout[:m.start()]
            if p.returncode != 255:
                break
            print('# host %s: session lost: %s' % (n, cmd[:60]), flush=True)
        said = self.vc('exec', '-t', 10, n, 'cat %s.out' % name, check=False).stdout
        return p.returncode, said + p.stdout

    def json(self, n, cmd):
        text = self.host(n, 'hkctl -j ' + cmd)
        try:
            return json.loads(text)
        except ValueError:
            raise Failed('host %s: hkctl -j %s: not JSON:\n%s' % (n, cmd, text))

    def all_hosts(self):
        return range(1, self.hosts + 1)

    def each(self, fn):
        """fn(n) for all hosts at once."""
        errors = []

        def one(n):
            try:
                fn(n)
            except Exception as e:                  # raised again below
                errors.append(e)
        threads = [threading.Thread(target=one, args=(n,))
                   for n in self.all_hosts()]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise errors[0]

    def up(self):
        self.vc('up', '-n', self.hosts, '-k', self.series, '--force',
                *self.up_args, timeout=600)

    def down(self):
        self.vc('down', check=False)

    def load(self):
        self.each(lambda n: self.host(n, 'insmod /hk/hyperkernel.ko'))

    def hkd(self, n, args=''):
        """Start hkd; it returns when it serves."""
        self.host(n, 'hkd --background --name h%d --listen 10.77.0.%d '
                  '--log /run/hkd.log %s' % (n, n, args))

    def enrol(self, n, ram):
        """Host N joins with a new token, in the place of an earlier host N."""
        token = self.host(1, 'hkctl cluster invite for h%d' % n).strip()
        self.host(n, 'hkctl cluster join 10.77.0.1 %s ram %s' % (token, ram))

    def join_all(self, ram='704M', args='', plain=False):
        self.each(lambda n: self.hkd(n, args))
        self.host(1, 'hkctl cluster create %s ram %s %s' % (
            self.name, ram, 'plain' if plain else ''))
        for n in self.all_hosts():
            if n > 1:
                self.enrol(n, ram)

    def guest_args(self, extra=''):
        """Kernel command line of test guests.

        Time is dilated: the guest is told that its TSC ticks DILATION times faster
        than it does, so its second lasts DILATION seconds of the hosts. A link
        between emulated hosts takes milliseconds where a real one takes tens of
        microseconds, and a tick of 4 ms, which touches pages that all CPUs share,
        would be over before its pages have come."""
        khz = int(self.host(1, "sed 's/.*tsc_early_khz=\\([0-9]*\\).*/\\1/' "
                            '/proc/cmdline'))
        return ('console=ttyS0 quiet panic=1 nokaslr tsc=reliable hpet=disable '
                'pmtmr=0 tsc_early_khz=%d no_timer_check maxcpus=1 %s' % (
                    khz * DILATION, extra)).strip()

    def vm_create(self, name, ram='1280M', vcpus=4, append='', more=''):
        self.host(1, 'hkctl vm create %s ram %s vcpus %d %s '
                  'kernel /hk/guest/vmlinux initrd /hk/guest/initrd '
                  'serial-socket /run/%s.console append "%s"' % (
                      name, ram, vcpus, more, name, self.guest_args(append)))

    def vm_start(self, name):
        self.host(1, 'hkctl vm start %s' % name)
        return Console(self, name)

    def trouble(self):
        """What the kernels of the hosts complained about; '' when nothing."""
        p = self.vc('check', check=False)
        return p.stdout if p.returncode else ''


class Tap:
    """TAP from a script: `with tap.test('name'):`, ok unless it raises."""

    def __init__(self):
        self.n = 0
        self.bad = 0

    def result(self, ok, name, why=''):
        self.n += 1
        self.bad += not ok
        print('%sok %d - %s' % ('' if ok else 'not ', self.n, name), flush=True)
        for line in str(why).strip().splitlines():
            print('# ' + line, flush=True)

    def skip(self, name, why):
        self.n += 1
        print('ok %d - %s # SKIP %s' % (self.n, name, why), flush=True)

    def test(self, name):
        return _Test(self, name)

    def done(self):
        print('1..%d' % self.n, flush=True)
        return 1 if self.bad else 0


class _Test:
    def __init__(self, tap, name):
        self.tap = tap
        self.name = name

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, e, tb):
        took = ' (%.1f s)' % (time.monotonic() - self.start)
        if e is None:
            self.tap.result(True, self.name + took)
            return True
        if isinstance(e, (Failed, subprocess.TimeoutExpired)):
            self.tap.result(False, self.name + took, e)
            return True
        return False


def finish(tap, d, say='', con=None, what=''):
    """The end of a test: no kernel may have complained, and when anything failed the
    hosts say what they know; then they go."""
    bad = d.trouble()
    tap.result(not bad, what + 'kernels of the hosts have nothing to complain of', bad)
    if con:
        con.close()
    if tap.bad:
        for n in d.all_hosts():
            print(re.sub('^', '# ', d.host(
                n, say or 'hkctl vm show; hkctl link show; tail -8 /run/hkd.log; '
                'dmesg | tail -8', check=False, timeout=20)[1], flags=re.M))
    d.down()


def need(condition, text):
    if not condition:
        raise Failed(text)
