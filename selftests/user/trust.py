#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who is let in, and who is not: strangers at a daemon's port, token by token.

    a 127.0.0.1  node 1, the CA       this script: every kind of stranger,
    b 127.0.0.2, c 127.0.0.3          and an enrolled node, by Python's own TLS

usage: trust.py HKD HKCTL

HKD is built with fakehk.c and fakektls.c in the place of the module and of the
kernel's TLS: nothing needs root here. Python's TLS on one end and the daemon's keys
on the other show that the keys are derived as RFC 8446 says."""

import json
import os
import random
import re
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HKD, HKCTL = sys.argv[1:3]
DIR = tempfile.mkdtemp(prefix='hk-trust.')
PORT = 17137
HOSTS = {'a': '127.0.0.1', 'b': '127.0.0.2', 'c': '127.0.0.3', 'd': '127.0.0.4',
         'p': '127.0.0.5', 'q': '127.0.0.6', 'r': '127.0.0.7'}
TLS, PLAIN, ENROL = ('hyperkernel-tls/1', 'hyperkernel-plain/1',
                     'hyperkernel-enrol/1')
procs = {}
nr = bad = 0


def ok(cond, name, why=''):
    global nr, bad
    nr += 1
    bad += not cond
    print('%sok %d - %s' % ('' if cond else 'not ', nr, name), flush=True)
    if not cond:
        for line in str(why).strip().splitlines()[-12:]:
            print('# ' + line, flush=True)
    return cond


def path(node, *more):
    return os.path.join(DIR, node, *more)


def sockets(node):
    """All that have to do with its port, whatever their state."""
    return subprocess.run(['ss', '-Hantpeo', 'src', '%s:%d' % (HOSTS[node], PORT)],
                          stdout=subprocess.PIPE, text=True).stdout


def start(node, **env):
    os.makedirs(path(node), exist_ok=True)
    if os.path.exists(path(node, 'sock')):
        os.unlink(path(node, 'sock'))
    report = 'log_path=' + path(node, 'sanitizer')
    p = subprocess.run([HKD, '--background', '--name', node, '--listen',
                        '%s:%d' % (HOSTS[node], PORT), '--socket',
                        path(node, 'sock'), '--log', path(node, 'log'),
                        '--state-dir', path(node, 'state')],
                       env=dict(os.environ, ASAN_OPTIONS=report, UBSAN_OPTIONS=report,
                                **env), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60)
    if p.returncode:
        for line in log(node).splitlines()[-5:] + sockets(node).splitlines()[:20]:
            print('# %s does not start: %s' % (node, line))
        return
    # by the port, too: others may listen on this machine
    out = subprocess.run(['ss', '-Hltnp', 'src', '%s:%d' % (HOSTS[node], PORT)],
                         stdout=subprocess.PIPE, text=True).stdout
    for word in out.replace(',', ' ').split():
        if word.startswith('pid='):
            procs[node] = int(word[4:])


def stop(node):
    """SIGTERM, and wait until it has left its port: until its last thread has gone. The
    first one may be a zombie before, and those of fakehk.c have the sockets, too."""
    pid = procs.pop(node, 0)
    if not pid:
        return
    fd = os.pidfd_open(pid)
    os.kill(pid, 15)
    if not select.select([fd], [], [], 60)[0]:
        ok(False, '%s ends by SIGTERM' % node)
    os.close(fd)


def log(node):
    try:
        with open(path(node, 'log')) as f:
            return f.read()
    except FileNotFoundError:
        return ''


def ctl(node, *args):
    p = subprocess.run([HKCTL, '-s', path(node, 'sock'), *args], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60)
    return p.returncode, p.stdout.strip()


def expect(status, words, node, *args, name=None):
    got, out = ctl(node, *args)
    return ok(got == status and words in out, name or '%s: hkctl %s%s' % (
        node, ' '.join('TOKEN' if len(a) == 72 else os.path.basename(a)
                       for a in args), words and ' (%s)' % words),
        'status %d: %s' % (got, out))


def eventually(cond, name, why=lambda: ''):
    end = time.monotonic() + 20
    while not cond() and time.monotonic() < end:
        time.sleep(0.05)
    return ok(cond(), name, why())


def shows(node, words):
    return lambda: words in ctl(node, 'cluster', 'show')[1]


def token(*args):
    return ctl('a', 'cluster', 'invite', *args)[1]


def openssl(*args, cwd=DIR):
    p = subprocess.run(['openssl', *args], cwd=cwd, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60)
    if p.returncode:
        raise RuntimeError('openssl %s: %s' % (' '.join(args), p.stdout))
    return p.stdout


def unbase32(text):
    bits = 0
    for c in text:
        bits = bits << 5 | 'abcdefghijklmnopqrstuvwxyz234567'.index(c)
    return bits.to_bytes(45, 'big')


# --- certificates that the cluster did not hand out

def cert_conf(name, cluster, node):
    with open(os.path.join(DIR, name + '.ext'), 'w') as f:
        f.write('basicConstraints=critical,CA:FALSE\n'
                'keyUsage=critical,digitalSignature\n'
                'extendedKeyUsage=serverAuth,clientAuth\n'
                'subjectAltName=URI:hyperkernel://%s/%d/%s\n' % (
                    cluster, node, name.split('-')[0]))


def make_cert(name, cluster, node, ca, ca_key, expired=False):
    """DIR/NAME.crt and .key, signed by a CA of the caller's."""
    cert_conf(name, cluster, node)
    openssl('genpkey', '-algorithm', 'ED25519', '-out', name + '.key')
    openssl('req', '-new', '-key', name + '.key', '-subj', '/CN=' + name,
            '-out', name + '.csr')
    if not expired:
        openssl('x509', '-req', '-in', name + '.csr', '-CA', ca, '-CAkey', ca_key,
                '-set_serial', str(random.getrandbits(100)), '-days', '2',
                '-extfile', name + '.ext', '-out', name + '.crt')
        return
    db = os.path.join(DIR, 'db')
    os.makedirs(db, exist_ok=True)
    open(os.path.join(db, 'index.txt'), 'w').close()
    with open(os.path.join(db, 'ca.cnf'), 'w') as f:
        f.write('[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index.txt\nrand_serial=yes\n'
                'default_md=default\npolicy=p\nnew_certs_dir=%s\n'
                '[p]\ncommonName=supplied\n' % (db, db))
    openssl('ca', '-batch', '-config', db + '/ca.cnf', '-in', name + '.csr',
            '-cert', ca, '-keyfile', ca_key, '-startdate', '20200101000000Z',
            '-enddate', '20210101000000Z', '-extfile', name + '.ext', '-notext',
            '-out', name + '.crt')


# --- a client by Python's TLS

class Client:
    def __init__(self, alpn=TLS, cert=None, key=None, ca=None, host='127.0.0.1',
                 source='127.0.0.1', version=None, port=PORT):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = False
        if ca:
            ctx.load_verify_locations(ca)
        else:
            ctx.verify_mode = ssl.CERT_NONE
        if cert:
            ctx.load_cert_chain(cert, key)
        if alpn:
            ctx.set_alpn_protocols([alpn])
        if version:
            ctx.maximum_version = version
        self.raw = socket.create_connection((host, port), 20, (source, 0))
        self.tls = ctx.wrap_socket(self.raw, suppress_ragged_eofs=False)
        self.tls.settimeout(20)

    def say(self, obj):
        self.tls.sendall(json.dumps(obj).encode() + b'\n')

    def hear(self):
        text = b''
        while not text.endswith(b'\n'):
            more = self.tls.recv(65536)
            if not more:
                break
            text += more
        return json.loads(text) if text else None

    def ask(self, obj):
        self.say(obj)
        return self.hear()

    def close(self):
        self.tls.close()


def hello(name, node, cluster, purpose='join', **more):
    return dict({'hello': 2, 'purpose': purpose, 'name': name, 'id': node,
                 'cluster': cluster, 'member': False, 'program': 'x',
                 'module': 'x', 'wire': 1, 'features': 0}, **more)


def enrol_line(text, name, csr):
    raw = unbase32(text)
    return {'enrol': 1, 'token': raw[1:9].hex(), 'secret': raw[9:25].hex(),
            'name': name, 'csr': csr}


def make_csr(name):
    openssl('genpkey', '-algorithm', 'ED25519', '-out', name + '.key')
    return openssl('req', '-new', '-key', name + '.key', '-subj', '/CN=' + name)


def refused(fn):
    """Run fn(client or nothing); the bytes it was told, and the error."""
    try:
        return fn(), ''
    except (OSError, ssl.SSLError, ValueError) as e:
        return None, str(e)


def state():
    """What a stranger must not be able to change."""
    files = {}
    for name in ('nodes.json', 'banned.json', 'node.crt', 'ca.crt'):
        with open(path('a', 'state', name)) as f:
            files[name] = f.read()
    return ctl('a', '-j', 'cluster', 'show'), files


def fds(node):
    return len(os.listdir('/proc/%d/fd' % procs[node]))


def reports():
    text = ''
    for node in HOSTS:
        for f in os.listdir(path(node)) if os.path.isdir(path(node)) else ():
            if f.startswith('sanitizer'):
                with open(path(node, f)) as report:
                    text += report.read()
    return text if 'ERROR' in text or 'runtime error' in text else ''


# --- the tests

def test_enrol():
    cluster = json.loads(ctl('a', '-j', 'cluster', 'show')[1])['cluster-id']
    ca = path('a', 'state', 'ca.crt')

    mode = [oct(os.stat(path('a', 'state', f)).st_mode & 0o777) for f in
            ('', 'ca.key', 'node.key', 'nodes.json', 'cluster.json')]
    ok(mode == ['0o700'] + ['0o600'] * 4, 'state is for root alone', mode)

    text = token()
    csr = make_csr('x')
    c = Client(ENROL, ca=ca)
    reply = c.ask(enrol_line(text, 'x', csr))
    c.close()
    ok('cert' in reply, 'enrolled by another implementation of TLS', reply)
    with open(os.path.join(DIR, 'x.crt'), 'w') as f:
        f.write(reply.get('cert', ''))
    san = openssl('x509', '-in', 'x.crt', '-noout', '-ext', 'subjectAltName')
    ok('hyperkernel://%s/' % cluster in san and '/x' in san,
       'the certificate says who it is of', san)
    node = int(san.rsplit('/', 2)[1])

    reply = Client(ENROL, ca=ca).ask(enrol_line(text, 'y', make_csr('y')))
    ok('not good' in reply.get('error', ''), 'token played again', reply)

    text, wins = token(), []

    def race(name):
        csr = make_csr(name)
        c = Client(ENROL, ca=ca)
        wins.append('cert' in c.ask(enrol_line(text, name, csr)))
    threads = [threading.Thread(target=race, args=('race%d' % i,))
               for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ok(sorted(wins) == [False] * 5 + [True], 'one token, six at once: one gets in',
       wins)

    text = token('valid', '1')
    end = time.time() + 2
    while time.time() < end:
        time.sleep(0.05)
    reply = Client(ENROL, ca=ca).ask(enrol_line(text, 'y', make_csr('y')))
    ok('expired' in reply.get('error', ''), 'token that has expired', reply)
    text = token()
    line = enrol_line(text, 'y', make_csr('y'))
    reply = Client(ENROL, ca=ca).ask(dict(line, secret='00' * 16))
    ok('not good' in reply.get('error', ''), "token's id without its secret", reply)
    reply = Client(ENROL, ca=ca).ask(dict(line, name='a'))
    ok('already' in reply.get('error', ''), "another node's name", reply)
    reply = Client(ENROL, ca=ca).ask(dict(line, csr=line['csr'][:-60]))
    ok('malformed' in reply.get('error', ''), 'half a certificate request', reply)
    reply = Client(ENROL, ca=ca).ask(line)
    ok('cert' in reply, 'and the token is still good after that', reply)
    reply = Client(ENROL, ca=ca).ask({'cmd': 'join', 'name': 'x', 'address': 'x'})
    ok('error' in reply, 'no token, another request', reply)
    return cluster, node


def test_join_by_hand(cluster, node):
    """All of a join, with the daemon's end of TLS in the (false) kernel."""
    c = Client(TLS, os.path.join(DIR, 'x.crt'), os.path.join(DIR, 'x.key'),
               path('a', 'state', 'ca.crt'))
    reply = c.ask(hello('x', node, cluster))
    ok(reply and reply.get('name') == 'a' and reply.get('id') == 1,
       'hello of a node with a certificate', reply)
    reply = c.ask({'cmd': 'join', 'name': 'x', 'address': '127.0.0.1:1'})
    ok(reply and reply.get('ok') and reply.get('id') == node and
       reply['members'][0]['name'] == 'a',
       'keys handed over are those of TLS 1.3, both directions', reply)
    c.say({'cmd': 'failed', 'error': 'enough seen'})
    ok('enough seen' in (c.hear() or {}).get('error', ''),
       'it gives up in order')
    c.close()

    c = Client(TLS, os.path.join(DIR, 'x.crt'), os.path.join(DIR, 'x.key'),
               path('a', 'state', 'ca.crt'))
    c.ask(hello('x', node, cluster))
    os.write(c.tls.fileno(), b'\x17\x03\x03\x00\x40' + os.urandom(64))
    got, err = refused(c.hear)
    ok(not got or 'ok' not in got, 'a forged record ends the connection', got)
    return node


def test_strangers(cluster, node):
    ca, ca_key = path('a', 'state', 'ca.crt'), path('a', 'state', 'ca.key')
    before = state()
    x = (os.path.join(DIR, 'x.crt'), os.path.join(DIR, 'x.key'))

    got, err = refused(lambda: Client(TLS).ask(hello('x', node, cluster)))
    ok(not got and 'certificate required' in err, 'no certificate', (got, err))
    got, err = refused(lambda: Client(None).ask(hello('x', node, cluster)))
    ok(not got and err, 'no certificate, no protocol named', (got, err))
    got, err = refused(lambda: Client(None, *x).ask(hello('x', node, cluster)))
    ok(not got, 'no protocol named', (got, err))
    got, err = refused(lambda: Client(PLAIN, *x).ask(hello('x', node, cluster)))
    ok(not got and 'protocol' in err, 'asks for no encryption', (got, err))
    got, err = refused(lambda: Client(TLS, *x, version=ssl.TLSVersion.TLSv1_2))
    ok(not got and err, 'TLS 1.2', (got, err))

    openssl('genpkey', '-algorithm', 'ED25519', '-out', 'evil.key')
    openssl('req', '-x509', '-new', '-key', 'evil.key', '-subj',
            '/CN=hyperkernel mine', '-days', '2', '-out', 'evil.crt')
    make_cert('x-evil', cluster, node, 'evil.crt', 'evil.key')
    evil = [os.path.join(DIR, 'x-evil.' + e) for e in ('crt', 'key')]
    got, err = refused(lambda: Client(TLS, *evil).ask(hello('x', node, cluster)))
    ok(not got and 'unknown ca' in err, 'certificate of another CA', (got, err))

    make_cert('x-old', cluster, node, ca, ca_key, expired=True)
    old = [os.path.join(DIR, 'x-old.' + e) for e in ('crt', 'key')]
    got, err = refused(lambda: Client(TLS, *old).ask(hello('x', node, cluster)))
    ok(not got and 'expired' in err, 'certificate that has expired', (got, err))
    make_cert('x-other', '00' * 16, node, ca, ca_key)
    other = [os.path.join(DIR, 'x-other.' + e) for e in ('crt', 'key')]
    got, err = refused(lambda: Client(TLS, *other).ask(hello('x', node, cluster)))
    ok(got and 'error' in got and 'ok' not in got,
       "certificate for another cluster's node", (got, err))

    got = Client(TLS, *x, ca).ask(hello('x', 1, cluster))
    ok('its certificate is that of' in got.get('error', ''),
       "right certificate, another node's id", got)
    got = Client(TLS, *x, ca).ask(hello('b', node, cluster))
    ok('its certificate is that of' in got.get('error', ''),
       "right certificate, another node's name", got)
    make_cert('a-copy', cluster, 1, ca, ca_key)
    copy = [os.path.join(DIR, 'a-copy.' + e) for e in ('crt', 'key')]
    got = Client(TLS, *copy, ca).ask(hello('a', 1, cluster))
    ok('this very node' in got.get('error', ''), "node 1's own name and id", got)
    # signed by the CA, but never given out, or replaced since
    make_cert('x-again', cluster, node, ca, ca_key)
    again = [os.path.join(DIR, 'x-again.' + e) for e in ('crt', 'key')]
    c = Client(TLS, *again, ca)
    c.ask(hello('x', node, cluster))
    got = c.ask({'cmd': 'join', 'name': 'x', 'address': '127.0.0.1:1'})
    ok('given last' in got.get('error', ''), 'certificate that was not the last', got)
    for purpose in ('control', 'link'):
        c = Client(TLS, *x, ca)
        c.ask(hello('x', node, cluster, purpose))
        got, err = refused(lambda: c.ask({'cmd': 'no-vm', 'seq': 1}))
        ok(not got, 'enrolled, but no member: %s' % purpose, (got, err))
    got = Client(TLS, *x, ca).ask(hello('x', node, cluster, wire=2))
    ok('messages of version 2' in got.get('error', '') and 'same release' in
       got['error'], 'another version of messages', got)
    got = Client(TLS, *x, ca).ask(hello('x', node, cluster, features=4))
    ok('features 0x4' in got.get('error', ''), 'other features', got)
    for bad_hello in ({}, {'hello': 2}, {'hello': 1}, hello('x', node, 'x'),
                      hello('x', node, cluster, 'root'), [1]):
        got = Client(TLS, *x, ca).ask(bad_hello)
        ok('error' in got and 'ok' not in got, 'hello %s' % json.dumps(bad_hello)
           .replace(cluster, 'CLUSTER')[:60], got)
    ok(state() == before, 'none of them has changed anything', state())


def raw(data, source='127.0.0.1', read=True):
    s = socket.create_connection(('127.0.0.1', PORT), 20, (source, 0))
    s.settimeout(20)
    got = b''
    try:
        s.sendall(data)
        while read:
            more = s.recv(4096)
            if not more:
                break
            got += more
    except OSError:
        pass
    s.close()
    return got


def test_garbage(cluster):
    before = state()
    files = fds('a')
    told = b''
    rnd = random.Random(7)
    blobs = [b'GET / HTTP/1.0\r\n\r\n', b'{"hello":2}\n', b'\0' * 4096,
             b'\x16\x03\x01\xff\xff' + b'\x01' * 70000,
             b'\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff',
             b'\x17\x03\x03\x00\x20' + os.urandom(32)]
    blobs += [rnd.randbytes(rnd.randrange(1, 3000)) for _ in range(40)]
    # real handshakes, cut and bent
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    ctx.set_alpn_protocols([TLS])
    out = ssl.MemoryBIO()
    try:
        ctx.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    first = out.read()
    for _ in range(60):
        bent = bytearray(first)
        for _ in range(rnd.randrange(1, 4)):
            bent[rnd.randrange(len(bent))] = rnd.randrange(256)
        blobs.append(bytes(bent[:rnd.randrange(5, len(bent) + 1)]) + b'\xff' * 600)
    for blob in blobs:
        told += raw(blob)
    ok(cluster.encode() not in told and b'mine' not in told and b'{' != told[:1],
       '%d kinds of garbage are told nothing' % len(blobs))
    for _ in range(300):
        raw(b'', read=False)
    eventually(lambda: fds('a') <= files, '300 connections of a port scan leave nothing',
               lambda: '%d files, before: %d' % (fds('a'), files))
    ok(state() == before, 'and nothing has changed', state())


def test_flood(cluster, node):
    ca = path('a', 'state', 'ca.crt')
    x = (os.path.join(DIR, 'x.crt'), os.path.join(DIR, 'x.key'))
    files, most = fds('a'), 0
    held, errs = [], []
    stop_flood = threading.Event()

    def flood(sources):
        i = 0
        while not stop_flood.is_set():
            i += 1
            try:
                s = socket.socket()
                s.bind((sources[i % len(sources)], 0))
                s.settimeout(5)
                s.connect(('127.0.0.1', PORT))
                if i % 2:
                    s.send(b'\x16\x03\x01\x02\x00\x01')   # half a hello
                held.append(s)
            except OSError as e:
                errs.append(e)
            if len(held) > 400:
                held.pop(0).close()
            time.sleep(0.001)

    for what, sources in (
            ('its own address', ['127.0.0.1']),
            ('another address', ['127.0.1.1']),
            ('a hundred addresses', ['127.0.2.%d' % i for i in range(1, 101)])):
        held.clear()
        stop_flood.clear()
        t = threading.Thread(target=flood, args=(sources,))
        t.start()
        while len(held) < 200 and len(errs) < 1000:
            time.sleep(0.01)
        most = max(most, fds('a'))
        # who is pushed out tries again
        for _ in range(20):
            reply, err = refused(lambda: Client(TLS, *x, ca).ask(
                hello('x', node, cluster)))
            if reply:
                break
        ok(reply and reply.get('name') == 'a',
           'a node gets through a flood of half-open connections from ' + what,
           (reply, err))
        most = max(most, fds('a'))
        stop_flood.set()
        t.join()
    # 64 strangers, two descriptors each, and what has come but is not looked at
    ok(most < files + 2 * 64 + 100, 'files are bounded', '%d, before: %d' % (
        most, files))
    for s in held:
        s.close()
    held.clear()
    eventually(lambda: fds('a') <= files, 'and closed again',
               lambda: '%d files, before: %d' % (fds('a'), files))


def test_half_way(cluster, node):
    """A node that has sent its ClientHello is not pushed out by those who have not."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.load_verify_locations(path('a', 'state', 'ca.crt'))
    ctx.load_cert_chain(os.path.join(DIR, 'x.crt'), os.path.join(DIR, 'x.key'))
    ctx.set_alpn_protocols([TLS])

    def attempt():
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ctx.wrap_bio(into, out)
        s = socket.create_connection(('127.0.0.1', PORT), 20)
        s.settimeout(20)

        def step(fn):
            while True:
                try:
                    got = fn()
                    s.sendall(out.read())
                    return got
                except ssl.SSLWantReadError:
                    s.sendall(out.read())
                    more = s.recv(65536)
                    if not more:
                        raise OSError('closed')
                    into.write(more)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            s.sendall(out.read())
        into.write(s.recv(65536))       # the daemon has looked at it
        silent = [socket.create_connection(('127.0.0.1', PORT), 20)
                  for _ in range(80)]
        # more than there is room for: some of them have been pushed out
        end = time.monotonic() + 20
        while len(select.select(silent, [], [], 1)[0]) < 10 and \
                time.monotonic() < end:
            time.sleep(0.01)
        try:
            step(tls.do_handshake)
            line = json.dumps(hello('x', node, cluster)).encode() + b'\n'
            step(lambda: tls.write(line))
            return json.loads(step(lambda: tls.read(65536)))
        finally:
            for c in silent + [s]:
                c.close()

    # on a machine that is slow it may run into the daemon's 5 s
    for _ in range(5):
        reply, err = refused(attempt)
        if reply:
            break
    ok(reply and reply.get('name') == 'a',
       'silent connections push out each other, not a handshake', (reply, err))


def test_ban():
    for n in 'bc':
        start(n)
        expect(0, 'node-name %s' % n, n, 'cluster', 'join', '127.0.0.1:%d' % PORT,
               token('for', n), 'ram', '64M')
    eventually(shows('b', 'node-name c address 127.0.0.3:%d state up' % PORT),
               'b and c are members')
    expect(1, 'holds the CA', 'a', 'node', 'ban', 'a')
    expect(1, 'at node 1', 'c', 'node', 'ban', 'b')
    expect(1, 'no node "z"', 'a', 'node', 'ban', 'z')
    expect(0, 'members-told 1', 'a', 'node', 'ban', 'b')
    for n in 'ac':
        ok('state down reason "banned by the administrator"' in
           ctl(n, 'cluster', 'show')[1], '%s has cut b off when ban returns' % n,
           ctl(n, 'cluster', 'show')[1])
    eventually(lambda: 'node 1 (a) is down' in log('b'), 'b notices')
    # it comes by the link, later than the end of the daemons' connection
    ok(re.search(r'node 1 \(a\) is down: link: node 1 left: .*banned by the administrator',
                 log('b')), 'b is told the reason', log('b'))
    ctl('b', 'node', 'leave')
    expect(1, 'banned', 'b', 'node', 'join', '127.0.0.1:%d' % PORT, 'ram', '64M')
    cluster = json.loads(ctl('a', '-j', 'cluster', 'show')[1])['cluster-id']
    b = [path('b', 'state', 'node.' + e) for e in ('crt', 'key')]
    with open(path('a', 'state', 'banned.json')) as f:
        kept = json.load(f)
    serial = openssl('x509', '-in', b[0], '-noout', '-serial').strip()[7:]
    ok(serial in kept, 'kept on disk at a', kept)
    with open(path('c', 'state', 'banned.json')) as f:
        ok(serial in json.load(f), 'kept on disk at c')
    san = openssl('x509', '-in', b[0], '-noout', '-ext', 'subjectAltName')
    node = int(san.rsplit('/', 2)[1])
    for n in 'ac':
        reply, err = refused(lambda: Client(TLS, *b, host=HOSTS[n]).ask(
            hello('b', node, cluster, 'link')))
        ok(reply and 'is banned' in reply.get('error', ''),
           'a link with the banned certificate at ' + n, (reply, err))
    ctl('c', 'node', 'leave')
    for n in 'ac':
        stop(n)
        start(n)
    expect(0, 'ca-made no', 'a', 'cluster', 'create', 'ram', '128M')
    expect(0, '', 'c', 'node', 'join', '127.0.0.1:%d' % PORT, 'ram', '64M')
    expect(1, 'banned', 'b', 'node', 'join', '127.0.0.1:%d' % PORT, 'ram', '64M',
           name='still banned after all daemons have started anew')
    reply, err = refused(lambda: Client(TLS, *b, host=HOSTS['c']).ask(
        hello('b', node, cluster, 'link')))
    ok(reply and 'is banned' in reply.get('error', ''), 'at c, too', (reply, err))
    expect(0, 'node-name b', 'b', 'cluster', 'join', '127.0.0.1:%d' % PORT,
           token(), 'ram', '64M', name='a new token lets b in again')
    old = shutil.copy(path('c', 'state', 'node.crt'), path('c', 'old.crt'))
    old_key = shutil.copy(path('c', 'state', 'node.key'), path('c', 'old.key'))
    ctl('c', 'node', 'leave')
    expect(1, 'named c already', 'c', 'cluster', 'join', '127.0.0.1:%d' % PORT,
           token(), 'ram', '64M')
    expect(0, 'node-name c', 'c', 'cluster', 'join', '127.0.0.1:%d' % PORT,
           token('for', 'c'), 'ram', '64M', name='a token for c replaces its certificate')
    san = openssl('x509', '-in', old, '-noout', '-ext', 'subjectAltName')
    reply, err = refused(lambda: Client(TLS, old, old_key).ask(
        hello('c', int(san.rsplit('/', 2)[1]), cluster)))
    ok(reply and 'is banned' in reply.get('error', ''),
       'and the former one is banned', (reply, err))


def test_wrong_cluster():
    """A token of one cluster, the address of another."""
    start('d')
    expect(0, '', 'd', 'cluster', 'create', 'other', 'ram', '64M')
    start('r')
    expect(1, 'not the cluster that the token is of', 'r', 'cluster', 'join',
           '%s:%d' % (HOSTS['d'], PORT), token(), 'ram', '64M')
    ok(not os.path.exists(path('r', 'state', 'node.key')), 'nothing is kept of it')
    stop('r')
    stop('d')


def test_release():
    start('r', FAKEHK_WIRE='3')
    expect(1, 'messages of version 3', 'r', 'cluster', 'join',
           '127.0.0.1:%d' % PORT, token(), 'ram', '64M')
    stop('r')
    start('r', FAKEHK_FEATURES='8')
    expect(1, 'features 0x8', 'r', 'node', 'join', '127.0.0.1:%d' % PORT,
           'ram', '64M')
    stop('r')
    start('r', FAKEHK_NO_KTLS='1')
    expect(1, 'no kernel TLS', 'r', 'node', 'join', '127.0.0.1:%d' % PORT,
           'ram', '64M')
    stop('r')


def test_plain():
    start('p', FAKEHK_NO_KTLS='1')
    expect(1, 'no kernel TLS', 'p', 'cluster', 'create', 'open', 'ram', '64M')
    expect(0, 'encryption plain', 'p', 'cluster', 'create', 'open', 'ram', '64M',
           'plain')
    text = ctl('p', 'cluster', 'invite')[1]
    start('q', FAKEHK_NO_KTLS='1')
    where = '%s:%d' % (HOSTS['p'], PORT)
    expect(0, 'node-id 2', 'q', 'cluster', 'join', where, text, 'ram', '64M')
    ok('encryption plain' in ctl('q', 'cluster', 'show')[1], 'q knows that it is plain')
    expect(0, '', 'q', 'node', 'leave')
    cluster = json.loads(ctl('p', '-j', 'cluster', 'show')[1])['cluster-id']
    q = [path('q', 'state', 'node.' + e) for e in ('crt', 'key')]
    got, err = refused(lambda: Client(TLS, *q, host=HOSTS['p']).ask(
        hello('q', 2, cluster)))
    ok(not got and 'protocol' in err, 'asks for encryption', (got, err))
    got, err = refused(lambda: Client(PLAIN, host=HOSTS['p']).ask(
        hello('q', 2, cluster)))
    ok(not got and 'certificate required' in err, 'no certificate, plain', (got, err))
    c = Client(PLAIN, *q, host=HOSTS['p'])
    reply = c.ask(hello('q', 2, cluster))
    clear = socket.socket(fileno=c.tls.detach())
    clear.settimeout(20)
    clear.sendall(b'{"cmd":"join","name":"q","address":"127.0.0.6:1"}\n')
    text = clear.recv(65536)
    ok(reply['name'] == 'p' and b'"ok":true' in text,
       'authenticated by TLS, then in the clear', text)
    clear.close()
    for n in 'pq':
        stop(n)


def test_own_ca():
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'own.key')
    openssl('req', '-x509', '-new', '-key', 'own.key', '-subj', '/CN=own', '-days',
            '9', '-addext', 'keyUsage=critical,keyCertSign', '-out', 'own.crt')
    openssl('req', '-x509', '-new', '-key', 'own.key', '-subj', '/CN=no', '-days',
            '9', '-addext', 'basicConstraints=critical,CA:FALSE', '-out', 'no.crt')
    own = [os.path.join(DIR, f) for f in ('own.crt', 'own.key', 'no.crt', 'evil.key')]
    shutil.rmtree(path('p'), ignore_errors=True)
    start('p')
    expect(1, 'do not belong together', 'p', 'cluster', 'create', 'ram', '64M',
           'ca-cert', own[0], 'ca-key', own[3])
    expect(1, 'may not sign', 'p', 'cluster', 'create', 'ram', '64M',
           'ca-cert', own[2], 'ca-key', own[1])
    expect(0, 'ca-made yes', 'p', 'cluster', 'create', 'ram', '64M',
           'ca-cert', own[0], 'ca-key', own[1])
    shutil.rmtree(path('q'), ignore_errors=True)
    start('q')
    expect(0, 'node-id 2', 'q', 'cluster', 'join', '%s:%d' % (HOSTS['p'], PORT),
           ctl('p', 'cluster', 'invite')[1], 'ram', '64M',
           name='a P-256 CA of the administrator: join')
    for n in 'pq':
        stop(n)


def main():
    try:
        start('a', FAKEHK_BYE_MS='200')
        expect(0, 'ca-made yes', 'a', 'cluster', 'create', 'mine', 'ram', '128M')
        cluster, node = test_enrol()
        test_join_by_hand(cluster, node)
        test_strangers(cluster, node)
        test_garbage(cluster)
        test_flood(cluster, node)
        test_half_way(cluster, node)
        test_ban()
        test_wrong_cluster()
        test_release()
        test_plain()
        test_own_ca()
        for n in sorted(procs):
            ok(os.path.exists('/proc/%d' % procs[n]), n + ' is still alive', log(n))
        for n in list(procs):
            stop(n)
        said = reports()
        ok(not said, 'sanitizers have nothing to say', said)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError,
            subprocess.SubprocessError) as e:
        ok(False, 'run to the end', '%s: %s' % (type(e).__name__, e))
        raise
    finally:
        for n in list(procs):
            stop(n)
        if bad:
            print('# logs are in ' + DIR)
        else:
            shutil.rmtree(DIR, ignore_errors=True)
        print('1..%d' % nr, flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
