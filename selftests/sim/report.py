#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""make sim: run the simulator over sizes, workloads and levers; out/sim.json has all
figures, out/sim/ the plots, as SVG and PNG. A table goes to standard output. All but
"cpu" is the same on every machine."""

import json
import lzma
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BIN = pathlib.Path(sys.argv[1])
PLOTS = TOP / 'out' / 'sim'
SIZES = (4, 16, 64, 256, 1024)
WORKLOADS = ('private', 'uniform', 'read-mostly', 'migratory',
             'producer-consumer', 'ping-pong', 'false-sharing', 'scan')
US = 1000.0

# lever, workload and size it is looked at with, options on, options off, what it is
LEVERS = (
    ('zero pages off the wire', '--workload private --nodes 64 --accesses 500000',
     '', '--no-zero'),
    ('same-filled pages off the wire, 30 % of pages are',
     '--workload uniform --nodes 64 --fill 30', '', '--no-same-filled'),
    ('first touch granted to write',
     '--workload private --nodes 64 --accesses 500000', '', '--no-fresh'),
    ('upgrade without data', '--workload migratory --nodes 64 --no-migratory', '',
     '--no-upgrade'),
    ('reads of pages that migrate exclusive, migratory',
     '--workload migratory --nodes 64', '', '--no-migratory'),
    ('the same, two nodes', '--workload migratory --nodes 2', '', '--no-migratory'),
    ('the same, read-mostly', '--workload read-mostly --nodes 64 --accesses 3000000',
     '', '--no-migratory'),
    ('the same, two nodes', '--workload read-mostly --nodes 2 --accesses 3000000',
     '', '--no-migratory'),
    ('the same, uniform', '--workload uniform --nodes 64', '', '--no-migratory'),
    ('the same, two nodes', '--workload uniform --nodes 2', '', '--no-migratory'),
    ('the same, two nodes, one of 20 accesses writes',
     '--workload uniform --nodes 2 --write 5', '', '--no-migratory'),
    ('the same, producer-consumer', '--workload producer-consumer --nodes 64', '',
     '--no-migratory'),
    ('parallel invalidation',
     '--workload read-mostly --nodes 64 --accesses 3000000', '', '--serial'),
    ('hold time 20 us, two nodes at a page', '--workload ping-pong --nodes 64 '
     '--accesses 1000000', '', '--hold 0'),
    ('hold time 20 us, eight nodes at a page', '--workload false-sharing '
     '--nodes 64 --accesses 1000000', '', '--hold 0'),
    ('hold time 20 us, uniform', '--workload uniform --nodes 64', '', '--hold 0'),
    ('hold time 300 us as the module has it, uniform',
     '--workload uniform --nodes 64', '--hold 300000', '--hold 0'),
    ('the same for bounced pages only',
     '--workload uniform --nodes 64', '--hold 300000 --hold-bounced', '--hold 0'),
    ('prefetch, scan', '--workload scan --nodes 64 --no-fresh --accesses 500000',
     '--prefetch 32', '--prefetch 0'),
    ('prefetch in groups, scan', '--workload scan --nodes 64 --no-fresh '
     '--accesses 500000 --prefetch 32', '', '--no-group'),
    ('prefetch, uniform: a wrong guess', '--workload uniform --nodes 64',
     '--prefetch 32', '--prefetch 0'),
    ('old copies asked about where it pays, no write is silent',
     '--workload uniform --nodes 64', '--revalidate 1', ''),
    ('the same, half are, producer-consumer',
     '--workload producer-consumer --nodes 64 --silent 50', '--revalidate 1', ''),
    ('the same, 90 % are',
     '--workload producer-consumer --nodes 64 --silent 90', '--revalidate 1', ''),
    ('the same, 1 Gbit/s',
     '--workload producer-consumer --nodes 64 --silent 90 --gbit 1', '--revalidate 1',
     ''),
    ('the same, all are', '--workload producer-consumer --nodes 64 --silent 100',
     '--revalidate 1', ''),
    ('the same, 1 Gbit/s',
     '--workload producer-consumer --nodes 64 --silent 100 --gbit 1', '--revalidate 1',
     ''),
    ('the same, all are, uniform', '--workload uniform --nodes 64 --silent 100',
     '--revalidate 1', ''),
    ('old copies always asked about, no write is silent, producer-consumer',
     '--workload producer-consumer --nodes 64', '--revalidate 2', ''),
    ('oldest read copy dropped, not the next by number',
     '--workload skewed --nodes 64 --budget 100 --accesses 1000000', '--lru', ''),
    ('the same, not used lately as the module finds out',
     '--workload skewed --nodes 64 --budget 100 --accesses 1000000', '--clock', ''),
    ('the same, 63 nodes of 640 pages', '--workload skewed --nodes 63 --pages 640 '
     '--budget 1000 --accesses 1000000', '--clock', ''),
    ('the same, a scan with a hot tenth', '--workload hot-scan --nodes 63 --pages 640 '
     '--budget 1000 --accesses 1000000', '--clock', ''),
    ('oldest owned page offered, not the next by number',
     '--workload lopsided --nodes 64 --budget 100 --accesses 500000', '--lru', ''),
    ('homes lent, producer-consumer', '--workload producer-consumer --home-hash '
     '--nodes 64', '--lend', ''),
    ('homes lent, another one writes after six rounds', '--workload turns --home-hash '
     '--nodes 64', '--lend', ''),
    ('homes lent, read-mostly', '--workload read-mostly --home-hash --nodes 4 '
     '--accesses 3000000', '--lend', ''),
    ('homes dealt out one by one, not in ranges',
     '--workload producer-consumer --nodes 64', '--home-hash', ''),
)

HOLDS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 300)


def sim(args, stdin=None, prog='sim'):
    p = subprocess.run([str(BIN / prog), *args.split()], capture_output=True,
                       text=True, input=stdin)
    if p.returncode:
        sys.exit('sim %s: status %d\n%s' % (args, p.returncode, p.stderr))
    return json.loads(p.stdout)


def brief(r):
    return {
        'messages_per_request': r['messages_per_request'],
        'bytes_per_request': r['bytes_per_request'],
        'messages_per_access': r['messages'] / r['accesses'],
        'bytes_per_access': r['bytes'] / r['accesses'],
        'faults_per_access': r['faults'] / r['accesses'],
        'p50_us': r['latency_ns']['p50'] / US,
        'p99_us': r['latency_ns']['p99'] / US,
        'mean_us': r['latency_ns']['mean'] / US,
        'accesses_per_s': r['accesses_per_s'],
        'jain': r['fairness']['jain'],
        'busiest': r['busiest']['messages'],
    }


def sizes(all_runs):
    print('%-18s %5s %8s %8s %8s %8s %9s %7s %6s' % (
        'workload', 'nodes', 'msg/req', 'B/req', 'p50 us', 'p99 us', 'busiest',
        'Jain', 'cpu s'))
    for w in WORKLOADS:
        for n in SIZES:
            # enough of them for the busiest node to be more than chance
            faults = max(200000, 1000 * n)
            r = sim('--workload %s --nodes %d --pages %d --faults %d --accesses %d'
                    % (w, n, 64 if n < 1024 else 16, faults, 3 * faults))
            all_runs.append(r)
            print('%-18s %5d %8.2f %8.0f %8.1f %8.1f %9.2f %7.3f %6.1f' % (
                w, n, r['messages_per_request'], r['bytes_per_request'],
                r['latency_ns']['p50'] / US, r['latency_ns']['p99'] / US,
                r['busiest']['messages'], r['fairness']['jain'], r['cpu']['s']),
                flush=True)


def levers():
    found = []
    print('\n%-52s %10s %10s %9s %9s %12s' % (
        'lever (on / off)', 'msg/access', 'B/access', 'mean us', 'p99 us',
        'accesses/s'))
    for name, base, on, off in LEVERS:
        a, b = (brief(sim('--faults 200000 %s %s' % (base, o)))
                for o in (on, off))
        found.append({'lever': name, 'run': base, 'on': a, 'off': b,
                      'options_on': on, 'options_off': off})
        for label, r in (('%s: on' % name, a), ('off', b)):
            print('%52s %10.4f %10.1f %9.1f %9.1f %12.0f' % (
                label, r['messages_per_access'], r['bytes_per_access'],
                r['mean_us'], r['p99_us'], r['accesses_per_s']), flush=True)
    return found


def holds():
    found = []
    for w in ('ping-pong', 'false-sharing', 'migratory', 'uniform'):
        for us in HOLDS:
            for more in ('', ' --hold-bounced'):
                r = brief(sim('--workload %s --nodes 64 --faults 100000 --accesses '
                              '400000 --hold %d%s' % (w, us * 1000, more)))
                found.append({'workload': w, 'hold_us': us,
                              'bounced_only': bool(more), **r})
    return found


def traces():
    found = []
    for path in sorted((HERE / 'traces').glob('*.xz')):
        with lzma.open(path, 'rt') as f:
            text = f.read()
        for options in ('', '--prefetch 32', '--no-fresh'):
            r = sim('--trace - ' + options, text)
            found.append({'trace': path.name, 'options': options,
                          'accesses': r['accesses'], 'faults': r['faults'],
                          'pages': r['pages'], **brief(r)})
            print('# trace %s %s: %d accesses, %d waited, %.2f messages and %.0f '
                  'bytes a request' % (path.name, options, r['accesses'], r['faults'],
                                       r['messages_per_request'],
                                       r['bytes_per_request']))
    return found


def speed():
    """Simulated faults in a second of one CPU: the median of three."""
    found = []
    for n, pages in ((4, 64), (63, 64), (1024, 4)):
        rates = sorted(sim('--nodes %d --pages %d --faults 1000000' % (n, pages),
                           prog='sim63' if n < 64 else 'sim')
                       ['cpu']['faults_per_s'] for _ in range(3))
        found.append({'nodes': n, 'faults_per_s': rates[1], 'range':
                      [rates[0], rates[2]]})
        print('# speed, %d nodes: %.2f M faults/s of CPU' % (n, rates[1] / 1e6))
    return found


def data(name, rows):
    path = PLOTS / (name + '.dat')
    path.write_text('\n'.join(' '.join(map(str, r)) if r else '\n' for r in rows)
                    + '\n')
    return path


def plot(name, commands):
    """Once for each form of the picture."""
    for form, term in (('svg', 'svg size 800,500 dynamic font "sans,14"'),
                       ('png', 'pngcairo size 1000,625 font "sans,13"')):
        script = ('set terminal %s\nset output "%s"\nset key outside right\n'
                  'set grid\n%s\n' % (term, PLOTS / ('%s.%s' % (name, form)),
                                      commands))
        p = subprocess.run(['gnuplot'], input=script, text=True,
                           capture_output=True)
        if p.returncode:
            sys.exit('gnuplot, %s: %s' % (name, p.stderr))


def plots(runs, hold):
    by = {(r['workload'], r['nodes']): r for r in runs}

    def sizes_plot(name, title, value, log):
        rows = [[n] + [value(by[w, n]) for w in WORKLOADS] for n in SIZES]
        path = data(name, rows)
        lines = ', '.join('"%s" using 1:%d with linespoints title "%s"' % (
            path, i + 2, w) for i, w in enumerate(WORKLOADS))
        plot(name, 'set logscale x 2\n%sset xlabel "nodes"\nset ylabel "%s"\n'
             'plot %s' % ('set logscale y\n' if log else '', title, lines))

    sizes_plot('messages', 'messages per request',
               lambda r: r['messages_per_request'], True)
    sizes_plot('latency', '99 % of faults served within, us',
               lambda r: r['latency_ns']['p99'] / US, True)
    sizes_plot('busiest', 'messages of the busiest node against the mean',
               lambda r: r['busiest']['messages'], True)

    lines = []
    for w in WORKLOADS:
        h = by[w, 64]['latency_ns']
        rows, seen = [], 0
        for ns, nr in h['classes']:
            seen += nr
            rows.append([ns / US, seen / h['nr']])
        lines.append('"%s" with steps title "%s"' % (data('cdf-' + w, rows), w))
    plot('cdf', 'set logscale x\nset xlabel "fault latency, us (64 nodes)"\n'
         'set ylabel "part of the faults"\nplot ' + ', '.join(lines))

    lines = []
    for w in ('ping-pong', 'false-sharing', 'migratory', 'uniform'):
        for bounced in (False, True):
            rows = [[h['hold_us'], h['accesses_per_s'] / 1e6] for h in hold
                    if h['workload'] == w and h['bounced_only'] == bounced]
            name = w + (', bounced only' if bounced else '')
            lines.append('"%s" with linespoints %stitle "%s"' % (
                data('hold-' + w + '-b' * bounced, rows),
                'dashtype 2 ' if bounced else '', name))
    plot('hold', 'set xlabel "hold time, us (link of 5 us, 64 nodes)"\n'
         'set ylabel "million accesses a second"\nplot ' + ', '.join(lines))


def main():
    PLOTS.mkdir(parents=True, exist_ok=True)
    runs = []
    sizes(runs)
    found = {'levers': levers(), 'hold': holds(), 'traces': traces(),
             'speed': speed()}
    top = {r['workload']: r['busiest']['messages'] for r in runs
           if r['nodes'] == 1024}
    found['aims'] = {
        'most_messages_waited_for_besides_pairs':
            max(r['most']['waited'] for r in runs),
        'most_messages_with_done_besides_pairs':
            max(r['most']['with_done'] for r in runs),
        'requests_over_bound': sum(r['most']['over_bound'] for r in runs),
        'busiest_of_1024': top,
    }
    plots(runs, found['hold'])
    found['runs'] = runs
    (TOP / 'out' / 'sim.json').write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps(found['aims'], indent=1))
    print('out/sim.json, out/sim/*.svg, *.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
