#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""TAP: small worlds in the simulator, and what must be true in each.

A run fails by itself when a copy that may be used has not the last value stored,
when the engine calls a message impossible, when a budget is exceeded, or when all is
quiet and somebody still waits or the directory is wrong. Here: that it does not, the
bound on messages, that a run can be repeated, that each lever does what it says and
nothing else, and that a broken engine is noticed. Nothing depends on how fast this
machine is; simulated time is the same everywhere."""

import json
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DSM = HERE.parent.parent / 'dsm'
OUT = pathlib.Path(sys.argv[1])
CC = os.environ.get('CC') or 'cc'
WORKLOADS = ('private', 'uniform', 'read-mostly', 'migratory',
             'producer-consumer', 'turns', 'ping-pong', 'false-sharing', 'scan',
             'skewed', 'hot-scan', 'lopsided')

nr = failed = 0


def result(why, name):
    """why: None or '' when all is well."""
    global nr, failed
    nr += 1
    print('%sok %d - %s' % ('not ' if why else '', nr, name), flush=True)
    if why:
        failed += 1
        print('\n'.join('# ' + l for l in str(why).splitlines()))


def run(prog, args, stdin=None):
    p = subprocess.run([str(prog), *args.split()], capture_output=True, text=True,
                       input=stdin, timeout=300)
    return p.returncode, p.stdout, p.stderr


def sim(args, prog='sim63', stdin=None):
    status, out, err = run(OUT / prog, args, stdin)
    if status:
        raise RuntimeError('%s %s: status %d: %s' % (prog, args, status, err))
    r = json.loads(out)
    del r['cpu']
    return r


def wrong(r):
    """What of a run is not as it must always be."""
    most = r['most']
    if not r['ok'] or r['unserved']:
        return 'ok %s, %d faults never served' % (r['ok'], r['unserved'])
    if most['over_bound'] or most['waited'] > 3 or most['with_done'] > 4:
        return 'messages of one request: %s' % most
    if r['faults'] != r['latency_ns']['nr']:
        return '%d faults, %d of them timed' % (r['faults'],
                                                r['latency_ns']['nr'])
    if not r['faults']:
        return 'no fault at all'
    sent = sum(r['types'].values())
    if sent != r['messages']:
        return '%d messages, by type %d' % (r['messages'], sent)
    return None


def tests():
    for w in WORKLOADS:
        why = None
        for nodes in (2, 4, 63):
            for more in ('', ' --hold 0', ' --threads 3 --jitter 20000',
                         ' --no-fresh --prefetch 32', ' --lend --home-hash',
                         ' --lend --home-hash --threads 3 --jitter 20000'):
                r = sim('--workload %s --nodes %d --faults 10000 --accesses '
                        '100000%s' % (w, nodes, more))
                why = why or wrong(r) or r['nodes'] != nodes
        result(why, '%s on 2, 4, 63 nodes' % w)

    for w in ('uniform', 'read-mostly', 'false-sharing'):
        why = None
        for nodes in (64, 65, 200, 1024):
            r = sim('--workload %s --nodes %d --pages 4 --faults 20000 '
                    '--accesses 100000 --jitter 3000' % (w, nodes), 'sim')
            why = why or wrong(r) or r['nodes'] != nodes
        result(why, '%s on 64, 65, 200, 1024 nodes' % w)

    base = '--workload uniform --nodes 63 --faults 20000 --jitter 8000'
    one = sim(base)
    result(one != sim(base, 'sim') and 'they differ',
           'sets of 64 and of 2048 bits: the same run')
    result(one != sim(base) and 'they differ', 'the same seed: the same run')
    result(one['digest'] == sim(base + ' --seed 2')['digest'] and 'no difference',
           'another seed: another run')
    base = ('--workload uniform --nodes 16 --faults 20000 --latency 1000 --gbit 0 '
            '--cpu 0 --take 0 --think 0')
    r, still = sim(base + ' --jitter 20000'), sim(base)
    result(wrong(r) or r['latency_ns']['p50'] < 5 * still['latency_ns']['p50'],
           'jitter of twenty times the latency')

    # what travels costs time only where links have a speed
    base = '--workload uniform --nodes 16 --faults 20000 --gbit 0 --fill 40'
    on = sim(base)
    off = sim(base + ' --no-zero')
    result(on['digest'] != off['digest'] or not on['zero_grants'] or
           off['bytes'] - on['bytes'] != 4096 * on['zero_grants'],
           'zero pages off the wire: that many pages less, nothing else')
    off = sim(base + ' --no-same-filled')
    result(on['digest'] != off['digest'] or not on['filled'] or
           off['bytes'] - on['bytes'] != 4096 * on['filled'],
           'same-filled pages off the wire: that many pages less, nothing else')

    base = '--workload private --nodes 16 --accesses 50000'
    on, off = sim(base), sim(base + ' --no-fresh')
    result(on['requests']['upgrade'] or not off['requests']['upgrade'] or
           on['messages'] >= off['messages'],
           'first touch is granted to write: no second request')
    base = '--workload migratory --nodes 16 --faults 10000 --no-migratory'
    on, off = sim(base), sim(base + ' --no-upgrade')
    result(wrong(off) or off['types']['DATA_S'] + off['types']['DATA_X'] <=
           on['types']['DATA_S'] + on['types']['DATA_X'],
           'an upgrade carries no data')
    def cost(base, what):
        on, off = sim(base), sim(base + ' --no-migratory')
        if wrong(on) or wrong(off) or off['read_exclusive']:
            raise RuntimeError('%s: %s' % (base, wrong(on) or wrong(off)))
        return (on[what] * off['accesses'] / on['accesses'] / off[what],
                on['read_exclusive'])

    base = '--workload migratory --pages 4 --nodes %d --faults 40000'
    why = None
    for nodes in (2, 4, 63):
        was, exclusive = cost(base % nodes, 'messages')
        if was > .8 or exclusive < 5000:
            why = '%d nodes: %.3f, %d reads' % (nodes, was, exclusive)
    result(why, 'pages that migrate: reads are granted exclusive, a fifth fewer messages')
    # with two nodes there is no third one to show that the page is read by many
    why = None
    for w in ('uniform', 'read-mostly', 'producer-consumer', 'false-sharing', 'skewed'):
        for nodes in (2, 3, 8):
            for more in ('', ' --pages 1', ' --write 5', ' --threads 3', ' --hold 0'):
                base = ('--workload %s --nodes %d --faults 40000 --accesses 600000%s' %
                        (w, nodes, more))
                for what, most in (('messages', 1.03), ('bytes', 1.05)):
                    was = cost(base, what)[0]
                    if was > most:
                        why = '%s: %s %.3f' % (base, what, was)
    result(why, 'pages that do not migrate: that costs next to nothing')
    # the page goes to its writer: a way less for each read, and for each write two
    why = None
    for nodes in (3, 4, 8, 63):
        base = ('--workload producer-consumer --home-hash --nodes %d --faults 40000' %
                nodes)
        off, blind, on = sim(base), sim(base + ' --lend --no-hints'), sim(base + ' --lend')
        per = [r['messages'] / r['accesses'] for r in (on, blind, off)]
        why = why or wrong(on) or wrong(blind) or wrong(off)
        if not (on['lent'] and per[0] < per[1] < per[2] and
                on['accesses_per_s'] > 1.1 * off['accesses_per_s'] and
                not off['lent'] and not blind['astray']):
            why = '%d nodes: %s messages an access, lent %d, astray %d' % (
                nodes, per, on['lent'], blind['astray'])
    result(why, 'homes lent to who writes steadily: fewer messages, more accesses')
    why = None
    for w in ('uniform', 'read-mostly', 'migratory', 'false-sharing', 'turns'):
        for nodes in (3, 4, 8):
            base = '--workload %s --home-hash --nodes %d --faults 40000' % (w, nodes)
            on, off = sim(base + ' --lend'), sim(base)
            was = on['messages'] * off['accesses'] / on['accesses'] / off['messages']
            why = why or wrong(on)
            if was > 1.05:
                why = '%s: %.3f' % (base, was)
    result(why, 'homes lent where nobody writes steadily: that costs next to nothing')
    on = sim('--workload turns --home-hash --nodes 16 --faults 40000 --lend --jitter 20000')
    result(wrong(on) or not on['asked_back'] or on['asked_back'] > on['lent'],
           'homes lent and asked back')
    base = '--workload read-mostly --nodes 63 --accesses 200000'
    on, off = sim(base), sim(base + ' --serial')
    result(wrong(off) or off['latency_upgrade_ns']['p50'] <
           5 * on['latency_upgrade_ns']['p50'],
           'invalidations one by one: a write waits for each')
    base = '--workload ping-pong --nodes 16 --accesses 50000'
    on, off = sim(base), sim(base + ' --hold 0')
    result(not on['held'] or off['held'] or on['messages'] * 5 > off['messages'],
           'hold time: fewer messages for the same accesses')
    base = '--workload false-sharing --nodes 16 --accesses 50000'
    on, off = sim(base), sim(base + ' --hold 0')
    result(on['most']['requests'] != 1 or off['most']['requests'] < 100 or
           on['fairness']['jain'] < .99,
           'hold time: whoever gets a page uses it, home included')
    base = '--workload scan --nodes 16 --no-fresh --accesses 16000'
    on, off = sim(base + ' --prefetch 32'), sim(base)
    result(wrong(on) or not on['prefetched'] or on['faults'] * 3 > off['faults'],
           'prefetch: fewer faults in a scan')
    base += ' --prefetch 32'
    off = sim(base + ' --no-group')
    result(wrong(off) or off['grouped'] or on['grouped'] < on['prefetched'] / 2 or
           on['messages'] * 5 > off['messages'] * 4 or on['faults'] > off['faults'] * 1.1,
           'groups: fewer messages for the same scan')
    base = ('--workload uniform --nodes 16 --faults 20000 --gbit 0 --hash 0 --fill 20 '
            '--silent %d')
    why = None
    for silent in (0, 50, 100):
        off = sim(base % silent)
        on = sim(base % silent + ' --revalidate 2')
        less = off['bytes'] - on['bytes'] - 4096 * on['same']
        why = why or wrong(on) or on['digest'] != off['digest'] or off['asked'] or \
            not on['asked'] or bool(on['same']) != bool(silent) or \
            not -32 * on['asked'] <= less < 0
    result(why, 'old copies that are the same: that many pages less, nothing else')
    # time: a link that is slow, or hashes that are
    base = '--workload producer-consumer --nodes 16 --faults 20000 --silent 100 '
    on, off = sim(base + '--gbit 1 --revalidate 1'), sim(base + '--gbit 1')
    result(wrong(on) or on['same'] < on['asked'] or
           on['accesses_per_s'] < 3 * off['accesses_per_s'],
           'old copies, nothing changes: soon asked about all, and faster on slow links')
    why = None
    for w in ('producer-consumer', 'ping-pong', 'uniform', 'migratory'):
        base = '--workload %s --nodes 16 --pages 1 --faults 100000 ' % w
        on, off = sim(base + '--revalidate 1'), sim(base)
        if wrong(on) or on['same'] or on['asked'] > on['transactions'] / 20:
            why = '%s: %d of %d' % (w, on['asked'], on['transactions'])
    result(why, 'old copies, all change: soon hardly ever asked about')
    base = '--workload skewed --nodes 16 --accesses 100000'
    off, on = sim(base + ' --budget 100'), sim(base + ' --budget 100 --lru')
    result(wrong(on) or wrong(off) or not off['dropped'] or
           on['dropped'] >= off['dropped'],
           'budget: read copies go, the oldest first is better than by number')
    why = None
    for w, most in (('skewed', .9), ('hot-scan', .98)):
        for nodes in (16, 63):
            base = '--workload %s --nodes %d --budget 100 --accesses 200000' % (w, nodes)
            off, on = sim(base), sim(base + ' --clock')
            why = why or wrong(on) or wrong(off)
            # each use of an idle copy is one drop less or none, never more work than that
            if (off['aged'] or on['dropped'] > off['dropped'] * most or
                    not 0 < on['refaulted'] < on['aged'] or
                    on['dropped'] > on['aged']):
                why = why or '%s: %s' % (base, [(r['dropped'], r['aged'], r['refaulted'])
                                                for r in (off, on)])
    result(why, 'budget: copies that were used since the hand passed stay')
    base = '--workload scan --nodes 16 --prefetch 32 --budget 100 --accesses 100000'
    r = sim(base + ' --clock')
    result(wrong(r) or not r['prefetched'] or not r['dropped'] and r,
           'budget: prefetched copies go, too')
    r = sim('--workload uniform --nodes 8 --faults 20000 --write 100 --budget 80')
    result(wrong(r) or not r['offered'] or not r['types']['SPILL'],
           'budget: owned pages go to who has room')
    base = '--workload lopsided --nodes 16 --accesses 100000 --budget 100'
    off, on = sim(base), sim(base + ' --lru')
    result(wrong(on) or wrong(off) or not on['offered'] or on['bytes'] > off['bytes'] * .9,
           'budget: owned pages, too, better the oldest first')

    text = '# t\n0 1 W ff0\n10 2 R ff0\n2000000 2 W ff1\n2000001 1 R ff1\n'
    r = sim('--trace -', stdin=text)
    result(wrong(r) or (r['accesses'], r['pages'], r['nodes']) != (4, 2, 2) and r,
           'a trace of four accesses')
    with lzma.open(HERE / 'traces' / 'guest.trace.xz', 'rt') as f:
        text = f.read()
    r = sim('--trace -', stdin=text)
    result(wrong(r) or r['accesses'] != 40000, 'the trace of a real guest')

    why = None
    for args, text, want in (
            ('--nodes 64', None, '64: a number up to 63'),
            ('--workload nothing', None, 'no workload is called nothing'),
            ('--nodes 0', None, 'at least 1'),
            ('--budget 20', None, 'budgets must hold'),
            ('--budget 200 --revalidate 1', None, 'is not modelled'),
            ('--trace -', '', 'no records'),
            ('--trace -', '1 2 X 3\n', '-:1: access is R or W'),
            ('--trace -', '0 1 R 3\n5 0 R 3\n', '-:2: no such node'),
            ('--trace -', '0 1 R 3\nnonsense\n', '-:2: not: time node')):
        status, _, err = run(OUT / 'sim63', args, text)
        if status != 2 or want not in err:
            why = '%s: status %d: %s' % (args, status, err)
    result(why, 'bad options and traces are refused with a reason')


# name, file, text, replaced by, run that must notice
BROKEN = (
    ('ACKs not waited for', 'page.c',
     'if (!ctx->replied || hk_nodes_any(ctx->acks))',
     'if (!ctx->replied)', '--workload read-mostly', 'ACK'),
    ('exclusive copy survives a read', 'page.c',
     '[HK_EV_DOWNGRADED] = EDGE(OWNED, ANSWER, WAKE)',
     '[HK_EV_DOWNGRADED] = EDGE(EXCLUSIVE, ANSWER, WAKE)',
     '--workload producer-consumer', 'is the last'),
    ('reader is not entered', 'directory.c',
     '	dir->sharers |= hk_node_bit(ask->req);\n	dir->busy', '	dir->busy',
     '--workload producer-consumer', 'is the last'),
    ('DONE starts nobody', 'directory.c',
     '	if (!hk_dir_wait_empty(wait))\n		start_next(w->self, dir, wait, '
     'msg->gfn, wait->rd | wait->wr,\n			   HK_NODES_NONE, out);\n	else if',
     '	(void)start_next;\n	(void)out;\n	(void)wait;\n	if',
     '--workload false-sharing', 'wait for ever'),
    ('one waits with the check of another', 'directory.c',
     '	if (wait->check_of == req) {\n', '	if (wait->check_of) {\n',
     '--workload false-sharing --revalidate 2 --silent 80', 'is not the same'),
    ('home closes nothing', 'page.c',
     '		page_send_done(w, out, w->home, req);\n', '',
     '--workload ping-pong --no-fresh', 'for ever'),
)


def broken():
    objs = [str(o) for o in OUT.glob('*.o')
            if o.name not in ('page.o', 'directory.o', 'engine-bench.o')]
    with tempfile.TemporaryDirectory() as tmp:
        for i, (name, file, old, new, args, want) in enumerate(BROKEN):
            d = pathlib.Path(tmp) / str(i)
            shutil.copytree(DSM, d)
            text = (d / file).read_text()
            if text.count(old) != 1:
                result('original text is not there just once', name)
                continue
            (d / file).write_text(text.replace(old, new))
            prog = d / 'sim'
            subprocess.run([CC, '-O1', '-std=gnu11', '-o', str(prog), *objs,
                            str(d / 'page.c'), str(d / 'directory.c')],
                           check=True)
            status, _, err = run(prog, args + ' --nodes 8 --faults 20000 '
                                 '--accesses 100000')
            result(status != 1 or want not in err,
                   'noticed: %s (%s)' % (name, err.strip().split('ns: ')[-1]))


def main():
    try:
        tests()
        broken()
    except RuntimeError as e:
        result(e, 'every run ends well')
    print('1..%d' % nr)
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
