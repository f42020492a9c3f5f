# SPDX-License-Identifier: GPL-2.0
"""Parts of vcluster: a cluster's state, its network, images, processes.

Everything a cluster owns is under out/vcluster/NAME/, and the process works
with that directory as current one, so that socket paths stay short.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
OUT = os.path.join(TOP, 'out')
BOOT_TIMEOUT = float(os.environ.get('HKVC_BOOT_TIMEOUT', '180'))
SSH_TIMEOUT = float(os.environ.get('HKVC_SSH_TIMEOUT', '60'))
HOST_PATH = '/hk/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin'
MAX_HOSTS = 9

# The left-out features are those whose emulation a nested guest trips over
# (xsave and what builds on it), and those TCG has not, which only warn.
CPU = ('EPYC,+svm,+npt,-xsave,-avx,-avx2,-f16c,-fma,-rdseed,-sha-ni,'
       '-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,'
       '-xsavec')


class Error(Exception):
    """Something to tell the user and exit 1 for."""


def say(*args):
    print('vcluster:', *args, file=sys.stderr, flush=True)


def run(*cmd, check=True, quiet=False, **kw):
    """Run a command to its end; give its standard output."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, text=True, **kw)
    if p.returncode and check:
        raise Error('%s: %s' % (' '.join(cmd[:6]),
                                p.stderr.strip() or p.stdout.strip()
                                or 'exit %d' % p.returncode))
    if p.stderr and not quiet and not p.returncode:
        sys.stderr.write(p.stderr)
    return p.stdout


# --- processes, known by id and start time so that a reused id is no mix-up

def start_time(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in 'ZX' else int(fields[19])


def alive(proc):
    return bool(proc) and start_time(proc['pid']) == proc['start']


def end(proc, sig=signal.SIGKILL, timeout=10):
    """Send a signal to a recorded process and wait until it is gone."""
    if not alive(proc):
        return True
    try:
        fd = os.pidfd_open(proc['pid'])
    except ProcessLookupError:
        return True
    try:
        if not alive(proc):
            return True
        signal.pidfd_send_signal(fd, sig)
        p = select.poll()
        p.register(fd, select.POLLIN)
        return bool(p.poll(timeout * 1000))
    finally:
        os.close(fd)


# --- the clock all hosts share

TSC_C = r'''
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>
static double one(unsigned long long *tsc)
{
	unsigned long long best = ~0ULL, a, b;
	struct timespec ts;
	double t = 0;
	for (int i = 0; i < 200; i++) {
		a = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		b = __rdtsc();
		if (b - a < best) {
			best = b - a;
			*tsc = a + best / 2;
			t = ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
		}
	}
	return t;
}
int main(void)
{
	unsigned long long c0, c1;
	struct timespec d = { 0, 300000000 };
	double t0 = one(&c0), t1;
	nanosleep(&d, NULL);
	t1 = one(&c1);
	printf("%.0f\n", (c1 - c0) / (t1 - t0));
	return 0;
}
'''


def tsc_khz():
    """Rate of this machine's TSC, which TCG hands through to the hosts."""
    with open('/proc/sys/kernel/random/boot_id') as f:
        boot = f.read().strip()
    path = os.path.join(OUT, 'tsc_khz')
    try:
        with open(path) as f:
            khz, b = f.read().split()
        if b == boot:
            return int(khz)
    except (FileNotFoundError, ValueError):
        pass
    exe = os.path.join(OUT, '.tsc.%d' % os.getpid())
    try:
        subprocess.run(['gcc', '-O2', '-x', 'c', '-o', exe, '-'], input=TSC_C,
                       text=True, check=True)
        khz = int(run(exe))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(exe)
    with open(path + '.tmp', 'w') as f:
        f.write('%d %s\n' % (khz, boot))
    os.rename(path + '.tmp', path)
    return khz


# --- the files of /hk

def scan_tree(root):
    """Map of relative path to real file below root, links followed."""
    found = {}
    for d, dirs, files in os.walk(root, followlinks=True):
        dirs.sort()
        for name in files:
            p = os.path.join(d, name)
            if not os.path.exists(p):
                say('warning: dangling link %s' % os.path.relpath(p, TOP))
                continue
            found[os.path.relpath(p, root)] = os.path.realpath(p)
    return found


def is_dynamic_elf(path):
    with open(path, 'rb') as f:
        head = f.read(20)
    # An executable or a shared object, not a kernel module.
    return head[:4] == b'\x7fELF' and head[16] in (2, 3)


def add_libraries(files, series):
    """Libraries which the programs need and the root image lacks."""
    with open(os.path.join(OUT, 'host', series, 'libs')) as f:
        have = set(f.read().split())
    for rel, src in list(files.items()):
        if not rel.startswith('bin/') or not is_dynamic_elf(src):
            continue
        p = subprocess.run(['ldd', src], stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.DEVNULL)
        for line in p.stdout.splitlines():
            w = line.split()
            if len(w) >= 3 and w[1] == '=>' and w[2].startswith('/'):
                if w[0] not in have:
                    files.setdefault('lib/' + w[0], os.path.realpath(w[2]))


def host_files(series, guest_series):
    """What /hk is made of: see Documentation/vcluster.rst."""
    files = {}
    for root in ('host-files', 'host-files-' + series):
        files.update(scan_tree(os.path.join(OUT, root)))
    for f in ('vmlinux', 'initrd'):
        files['guest/' + f] = os.path.join(OUT, 'guest', guest_series, f)
    add_libraries(files, series)
    return files


def file_digest(path, st, cache):
    """Content hash, remembered by what changes along with content."""
    key = '%s:%d:%d:%d' % (path, st.st_ino, st.st_size, st.st_mtime_ns)
    if key not in cache:
        h = hashlib.blake2b(digest_size=16)
        with open(path, 'rb') as f:
            while True:
                block = f.read(1 << 20)
                if not block:
                    break
                h.update(block)
        cache[key] = h.hexdigest()
    return cache[key]


def manifest(files, cache):
    out = {}
    for rel, src in files.items():
        st = os.stat(src)
        x = 'x' if st.st_mode & stat.S_IXUSR or rel.startswith('bin/') else '-'
        out[rel] = x + file_digest(src, st, cache)
    return out


def stage(files, mani, root):
    """Lay files out below root, with the modes that the manifest says."""
    for rel, src in files.items():
        dst = os.path.join(root, rel)
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        shutil.copyfile(src, dst)
        os.chmod(dst, 0o755 if mani[rel][0] == 'x' else 0o644)


def make_image(root, image):
    size = count = 0
    for d, dirs, files in os.walk(root):
        count += len(dirs) + len(files)
        size += sum((os.path.getsize(os.path.join(d, f)) + 4095) & ~4095
                    for f in files)
    kib = size // 1024 * 105 // 100 + 4096 + count
    run('mkfs.ext4', '-q', '-F', '-O', '^has_journal,^resize_inode', '-m', '0',
        '-N', str(count + 200), '-E', 'root_owner=0:0,lazy_itable_init=1',
        '-d', root, image + '.tmp', '%dk' % kib, quiet=True)
    os.rename(image + '.tmp', image)


# --- network

def netns_works():
    """Whether this machine can do namespace, bridge and tap; else why not."""
    ns = 'hkvc-probe-%d' % os.getpid()
    try:
        run('ip', 'netns', 'add', ns)
        try:
            run('ip', '-n', ns, 'link', 'add', 'name', 'pb0', 'type', 'bridge')
            run('ip', 'netns', 'exec', ns, 'ip', 'tuntap', 'add', 'dev', 'pt0', 'mode',
                'tap')
            run('ip', '-n', ns, 'link', 'set', 'pt0', 'master', 'pb0')
        finally:
            run('ip', 'netns', 'del', ns, check=False)
    except (Error, OSError) as e:
        return str(e)
    return None


def free_ports(count):
    socks = [socket.socket() for _ in range(count)]
    try:
        for s in socks:
            s.bind(('127.0.0.1', 0))
        return [s.getsockname()[1] for s in socks]
    finally:
        for s in socks:
            s.close()


def mac(net, n):
    return '02:%02x:00:00:00:%02x' % (net, n)


# --- a cluster

class Cluster:
    def __init__(self, name):
        if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9_-]{0,23}', name):
            raise Error('bad cluster name %r' % name)
        self.name = name
        self.dir = os.path.join(OUT, 'vcluster', name)
        self.ns = 'hkvc-' + name
        self.state = None

    # state

    def enter(self):
        """Go into the cluster's directory and read its state, if any."""
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        os.chdir(self.dir)
        try:
            with open('state.json') as f:
                self.state = json.load(f)
        except FileNotFoundError:
            self.state = None
        except ValueError:
            say('warning: unreadable state.json, taken as none')
            self.state = None

    @contextlib.contextmanager
    def locked(self, timeout=300):
        """Hold the cluster against other commands that change it."""
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        fd = os.open(os.path.join(self.dir, 'lock'),
                     os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

        def expired(*_):
            raise Error('cluster %s: another command holds it for %d s'
                        % (self.name, timeout))
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                old = signal.signal(signal.SIGALRM, expired)
                signal.alarm(timeout)
                fcntl.flock(fd, fcntl.LOCK_EX)
                signal.alarm(0)
                signal.signal(signal.SIGALRM, old)
            self.enter()
            yield
        finally:
            os.close(fd)

    def save(self):
        with open('state.json.tmp', 'w') as f:
            json.dump(self.state, f, indent=1)
        os.rename('state.json.tmp', 'state.json')

    def need_up(self):
        if not self.state:
            raise Error('cluster %s is not up' % self.name)

    def numbers(self):
        return sorted(int(n) for n in self.state['hosts'])

    def host(self, n):
        self.need_up()
        try:
            return self.state['hosts'][str(int(n))]
        except (KeyError, ValueError):
            raise Error('no host %s in cluster %s (has %s)' % (
                n, self.name, ' '.join(map(str, self.numbers())))) from None

    def select(self, spec):
        """Hosts of '2', '1,3' or 'all' (those that run)."""
        self.need_up()
        if not self.state['ready']:
            raise Error('cluster %s is not up yet, or its start was broken off'
                        % self.name)
        if spec == 'all':
            return [n for n in self.numbers() if alive(self.host(n)['proc'])]
        out = []
        for w in spec.split(','):
            self.host(w)
            out.append(int(w))
        return out

    # network

    def net_up(self):
        mode = os.environ.get('HKVC_NET', 'auto')
        why = None
        if mode == 'auto':
            why = netns_works()
            mode = 'mcast' if why else 'bridge'
        if mode == 'bridge':
            self.net_up_bridge()
        elif mode == 'mcast':
            if why:
                say('no tap and bridge here (%s): multicast sockets instead'
                    % why)
            self.state['mcast_port'] = free_ports(1)[0]
        else:
            raise Error('HKVC_NET must be auto, bridge or mcast')
        self.state['net'] = mode

    def ns_clear(self):
        """Remove the namespace and what a crashed command left in it.

        Own processes are told by the directory they work in; gives the ids
        of others, which are left alone.
        """
        others = []
        if not os.path.exists('/run/netns/' + self.ns):
            return others
        for pid in map(int, run('ip', 'netns', 'pids', self.ns,
                                check=False).split()):
            start = start_time(pid)
            try:
                mine = os.readlink('/proc/%d/cwd' % pid) == self.dir
            except OSError:
                continue
            if start and not (mine and end({'pid': pid, 'start': start})):
                others.append(str(pid))
        if not others:
            run('ip', 'netns', 'del', self.ns)
        return others

    def net_up_bridge(self):
        ns = self.ns
        others = self.ns_clear()
        if others:
            raise Error('namespace %s is in use by process %s, not of this '
                        'directory: choose another --name'
                        % (ns, ' '.join(others)))
        run('ip', 'netns', 'add', ns)
        lines = ['link set lo up',
                 'link add br-fab type bridge stp_state 0 forward_delay 0 '
                 'mcast_snooping 0',
                 'link add br-mgmt type bridge stp_state 0 forward_delay 0 '
                 'mcast_snooping 0',
                 'link set br-fab mtu 9000 up',
                 'addr add 10.78.0.254/24 dev br-mgmt',
                 'link set br-mgmt up']
        self.ip_batch(lines)

    def ip_batch(self, lines):
        p = subprocess.run(['ip', 'netns', 'exec', self.ns, 'ip', '-batch',
                            '-'], input='\n'.join(lines) + '\n', text=True,
                           stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        if p.returncode:
            raise Error('network: ' + p.stderr.strip())

    def net_host(self, n):
        """Taps of one host; gives QEMU's arguments for both networks."""
        st = self.state
        if st['net'] == 'bridge':
            lines = []
            for tap, br in (('fab%d' % n, 'br-fab'), ('mgm%d' % n, 'br-mgmt')):
                run('ip', '-n', self.ns, 'link', 'del', tap, check=False)
                lines += ['tuntap add dev %s mode tap' % tap,
                          'link set %s master %s' % (tap, br)]
                if br == 'br-fab':
                    lines.append('link set %s mtu 9000' % tap)
                lines.append('link set %s up' % tap)
            # No resolving: one that a connection to the host before it was killed has
            # begun in vain, and that ends now, would fail the connection made now.
            lines.append('neigh replace 10.78.0.%d lladdr %s nud permanent '
                         'dev br-mgmt' % (n, mac(0x78, n)))
            self.ip_batch(lines)
            fab = 'tap,id=fab,ifname=fab%d,script=no,downscript=no' % n
            mgm = 'tap,id=mgm,ifname=mgm%d,script=no,downscript=no' % n
        else:
            self.host(n)['port'] = free_ports(1)[0]
            fab = ('socket,id=fab,mcast=239.77.0.1:%d,localaddr=127.0.0.1'
                   % st['mcast_port'])
            mgm = ('user,id=mgm,net=10.78.0.0/24,host=10.78.0.254,'
                   'dns=10.78.0.253,restrict=on,hostfwd=tcp:127.0.0.1:%d-'
                   '10.78.0.%d:22' % (self.host(n)['port'], n))
        mtu = st.get('mtu')
        return ['-netdev', fab, '-device',
                'virtio-net-pci,netdev=fab,romfile=,mac=' + mac(0x77, n)
                + (',host_mtu=%d' % mtu if mtu else ''),
                '-netdev', mgm, '-device',
                'virtio-net-pci,netdev=mgm,romfile=,mac=' + mac(0x78, n)]

    def net_down(self):
        others = self.ns_clear()
        if others:
            say('warning: namespace %s kept, process %s is in it'
                % (self.ns, ' '.join(others)))

    def in_ns(self):
        if self.state['net'] == 'bridge':
            return ['ip', 'netns', 'exec', self.ns]
        return []

    # faults, as hosts are to make them

    def netem_args(self):
        st = self.state
        args = []
        if st['delay']:
            args += ['delay', '%gms' % st['delay']]
            if st['jitter']:
                args += ['%gms' % st['jitter']]
        if st['loss']:
            args += ['loss', '%g%%' % st['loss']]
        return args

    def cuts_of(self, n):
        return sorted({a for a, b in self.state['cuts'] if b == n})

    # images

    def hk_image(self):
        """Build /hk's image unless the one there is right already."""
        st = self.state
        files = host_files(st['series'], st['guest_series'])
        cache = self.digests()
        mani = manifest(files, cache)
        self.save_digests(cache, files)
        try:
            with open('hk.json') as f:
                if json.load(f) == mani and os.path.exists('hk.img'):
                    return mani
        except (FileNotFoundError, ValueError):
            pass
        root = 'hk.tmp'
        shutil.rmtree(root, ignore_errors=True)
        try:
            os.makedirs(root + '/.vcluster', mode=0o700)
            os.makedirs(root + '/bin')
            stage(files, mani, root)
            shutil.copyfile('key.pub', root + '/.vcluster/authorized_keys')
            shutil.copyfile('hostkey', root + '/.vcluster/hostkey')
            make_image(root, 'hk.img')
        finally:
            shutil.rmtree(root, ignore_errors=True)
        with open('hk.json', 'w') as f:
            json.dump(mani, f)
        return mani

    def digests(self):
        try:
            with open('digests.json') as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            return {}

    def save_digests(self, cache, files):
        used = set(files.values())
        keep = {k: v for k, v in cache.items()
                if k.rsplit(':', 3)[0] in used}
        with open('digests.json.tmp', 'w') as f:
            json.dump(keep, f)
        os.rename('digests.json.tmp', 'digests.json')

    def keys(self):
        if not os.path.exists('key.pub') or not os.path.exists('hostkey'):
            for f in ('key', 'key.pub', 'hostkey', 'hk.json'):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f)
            run('dropbearkey', '-t', 'ed25519', '-f', 'hostkey', quiet=True)
            run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'vcluster',
                '-f', 'key')

    # hosts

    def launch(self, n):
        """Start host n; gives a stream of its console from the first byte."""
        st, h = self.state, self.host(n)
        base = 'host%d' % n
        for f in ('.con', '.qmp', '.ssh'):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(base + f)
        if not os.path.exists(base + '.scratch'):
            with open(base + '.scratch', 'wb') as f:
                f.truncate(st['scratch_mib'] << 20)
        img = os.path.join('..', '..', 'host', st['series'])

        # QEMU gets the socket listening already, and the connection below
        # waits in it: nothing the console says can be missed.
        lis = socket.socket(socket.AF_UNIX)
        lis.bind(base + '.con')
        lis.listen(1)
        con = socket.socket(socket.AF_UNIX)
        con.connect(base + '.con')

        append = ['console=ttyS0', 'quiet', 'nokaslr', 'mitigations=off',
                  'tsc=reliable', 'tsc_early_khz=%d' % st['tsc_khz'],
                  'hpet=disable', 'pmtmr=0', 'no_timer_check', 'panic=1',
                  'panic_on_warn=0', 'net.ifnames=0', 'hk.host=%d' % n]
        if self.netem_args():
            append.append('hk.netem=' + ','.join(self.netem_args()))
        if self.cuts_of(n):
            append.append('hk.cut=' + ','.join(map(str, self.cuts_of(n))))
        if st['append']:
            append.append(st['append'])
        cmd = self.in_ns() + [
            'qemu-system-x86_64', '-name', 'hk-%s-%d' % (self.name, n),
            '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot', '-M', 'q35,hpet=off',
            '-accel', 'tcg,thread=multi,tb-size=256',
            '-smp', str(st['smp']), '-cpu', CPU, '-m', str(st['mib']),
            '-rtc', 'base=utc',
            '-chardev', 'socket,id=con,fd=%d,server=on,wait=off,'
            'logfile=%s.log,logappend=on' % (lis.fileno(), base),
            '-serial', 'chardev:con',
            '-qmp', 'unix:%s.qmp,server=on,wait=off' % base,
            '-kernel', img + '/vmlinux', '-initrd', img + '/initrd',
            '-append', ' '.join(append),
            '-object', 'rng-random,id=rng,filename=/dev/urandom',
            '-device', 'virtio-rng-pci,rng=rng']
        for img_file, serial, ro in ((img + '/root.img', 'hkroot', True),
                                     ('hk.img', 'hkfiles', True),
                                     (base + '.scratch', 'hkscratch', False)):
            cmd += ['-drive', 'if=none,id=%s,format=raw,file=%s,%s' % (
                        serial, img_file, 'readonly=on,file.locking=off'
                        if ro else 'cache=unsafe,discard=unmap'),
                    '-device', 'virtio-blk-pci,drive=%s,serial=%s'
                    % (serial, serial)]
        cmd += self.net_host(n)
        if st['qemu']:
            cmd += shlex.split(st['qemu'].replace('{host}', str(n)))
        with open(base + '.log', 'a') as log:
            log.write('vcluster: host %d starts, %s\n'
                      % (n, time.strftime('%F %T')))
        with open(base + '.qemu.log', 'w') as err:
            p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=err,
                                 stderr=err, pass_fds=[lis.fileno()],
                                 start_new_session=True)
        lis.close()
        h['proc'] = {'pid': p.pid, 'start': start_time(p.pid)}
        h['paused'] = False
        self.save()
        return con

    def wait_consoles(self, cons, timeout):
        """Read consoles until all hosts are up; {n: socket}."""
        deadline = time.monotonic() + timeout
        buf = {n: b'' for n in cons}
        poll = select.poll()
        by_fd = {}
        for n, s in cons.items():
            poll.register(s, select.POLLIN)
            by_fd[s.fileno()] = n
        while by_fd:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Error('host %s did not come up within %d s; see %s' % (
                    ', '.join(map(str, by_fd.values())), timeout,
                    self.rel('host%d.log' % min(by_fd.values()))))
            for fd, _ in poll.poll(left * 1000):
                n = by_fd[fd]
                data = cons[n].recv(65536)
                buf[n] += data
                m = re.search(rb'HK-HOST-FAILED[^\r\n]*[\r\n]', buf[n])
                if m or not data:
                    raise Error('host %d: %s\n%s' % (
                        n, m.group().decode().strip() if m
                        else 'QEMU ended', self.last_words(n)))
                m = re.search(rb'HK-HOST-UP [^\r\n]*[\r\n]', buf[n])
                if m:
                    poll.unregister(fd)
                    del by_fd[fd]
                    cons[n].close()

    def last_words(self, n):
        out = []
        for f in ('host%d.qemu.log' % n, 'host%d.log' % n):
            with contextlib.suppress(FileNotFoundError):
                with open(f, errors='replace') as fh:
                    out += ['  | ' + line.rstrip()
                            for line in fh.readlines()[-12:]]
        return '\n'.join(out)

    def rel(self, f):
        return os.path.relpath(os.path.join(self.dir, f), TOP)

    # ssh

    def ssh_base(self, n):
        h = self.host(n)
        bridge = self.state['net'] == 'bridge'
        return ['ssh', '-F', 'none', '-S', 'host%d.ssh' % n,
                '-o', 'LogLevel=ERROR', '-o', 'StrictHostKeyChecking=no',
                '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes',
                '-o', 'IdentitiesOnly=yes', '-i', 'key', '-o',
                'ServerAliveInterval=20', '-o', 'ServerAliveCountMax=6',
                '-p', '22' if bridge else str(h['port']),
                'root@10.78.0.%d' % n if bridge else 'root@127.0.0.1']

    def ssh_check(self, n):
        base = self.ssh_base(n)
        return subprocess.run(base[:-1] + ['-O', 'check', base[-1]],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def ssh_live(self, n):
        """Whether somebody listens for commands to host n; costs nothing."""
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect('host%d.ssh' % n)
            return True
        except OSError:
            return False
        finally:
            s.close()

    def ssh_drop(self, n):
        if os.path.exists('host%d.ssh' % n):
            base = self.ssh_base(n)
            subprocess.run(base[:-1] + ['-O', 'exit', base[-1]],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            with contextlib.suppress(FileNotFoundError):
                os.unlink('host%d.ssh' % n)

    def ssh_master(self, n):
        """Have the shared connection to host n that commands travel on."""
        if not alive(self.host(n)['proc']):
            raise Error('host %d is not running' % n)
        if self.host(n).get('paused'):
            raise Error('host %d is paused' % n)
        fd = os.open('host%d.ssh.lock' % n,
                     os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.exists('host%d.ssh' % n):
                if self.ssh_check(n):
                    return
                with contextlib.suppress(FileNotFoundError):
                    os.unlink('host%d.ssh' % n)
            base = self.ssh_base(n)
            with open('host%d.ssh.log' % n, 'w') as log:
                p = subprocess.run(
                    self.in_ns() + base[:-1] + [
                        '-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes',
                        '-o', 'ConnectTimeout=%d' % SSH_TIMEOUT, '-fN',
                        base[-1]],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if p.returncode:
                with open('host%d.ssh.log' % n) as log:
                    raise Error('host %d: no ssh: %s'
                                % (n, log.read().strip()))
        finally:
            os.close(fd)

    def ssh_cmd(self, n, command, tty=False):
        """Arguments to run a shell command line on host n over the shared
        connection, never by a connection of its own."""
        base = self.ssh_base(n)
        wrapped = ('export PATH=%s LD_LIBRARY_PATH=/hk/lib; %s'
                   % (HOST_PATH, command))
        return (base[:-1] + ['-o', 'ControlMaster=no', '-o',
                             'ProxyCommand=false']
                + (['-tt'] if tty else ['-T']) + [base[-1], wrapped])

    @contextlib.contextmanager
    def watched(self, n):
        """While inside, the death of host n ends the commands on it: a dead
        host sends nothing by which ssh could tell."""
        h = self.host(n)
        if h.get('paused'):
            raise Error('host %d is paused' % n)
        try:
            fd = os.pidfd_open(h['proc']['pid'])
        except ProcessLookupError:
            raise Error('host %d is not running' % n) from None
        r, w = os.pipe()

        def watch():
            p = select.poll()
            p.register(fd, select.POLLIN)
            p.register(r, select.POLLHUP)
            if any(f == fd for f, _ in p.poll()):
                self.ssh_drop(n)
        t = threading.Thread(target=watch, daemon=True)
        t.start()
        try:
            yield
        finally:
            os.close(w)
            t.join()
            os.close(r)
            os.close(fd)

    def remote(self, n, command, **kw):
        """Run a command line on host n; gives the CompletedProcess.

        255 is ssh's own when the connection is gone, else the command's.
        """
        kw.setdefault('stdin', subprocess.DEVNULL)
        tty = kw.pop('tty', False)
        with self.watched(n):
            if not self.ssh_live(n):
                self.ssh_master(n)
            p = subprocess.run(self.ssh_cmd(n, command, tty), **kw)
        if p.returncode == 255 and not self.ssh_check(n):
            self.ssh_drop(n)
            raise Error('host %d: connection lost' % n)
        return p

    def remote_ok(self, n, command, **kw):
        p = self.remote(n, command, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, **kw)
        if p.returncode:
            raise Error('host %d: %s: %s' % (
                n, command, p.stdout.decode(errors='replace').strip()))
        return p.stdout.decode(errors='replace')
