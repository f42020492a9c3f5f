#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run the fuzz targets: each over its corpus, then for a time. TAP.

run.py --out DIR [--seconds N] [--jobs N] TARGET...
run.py --out DIR --merge TARGET...		corpus: add what --seconds found, minimise

What a target finds new is kept in DIR/found/TARGET for --merge. A crash is printed
as base64; `base64 -d > input; DIR/TARGET input` shows it again."""

import argparse
import base64
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
# longest input; a state of a vCPU is some 7 KB
MAX_LEN = {'wire': 12288, 'engine': 512, 'residency': 512, 'hkd': 4096}
# An input that takes so long has met a loop without an end, on any machine
TIMEOUT = 120


def corpus(target):
    return os.path.join(HERE, 'corpus', target)


class Run:
    """One target; ok() collects its TAP lines, which are printed by main()."""

    def __init__(self, target, args):
        self.target = target
        self.args = args
        self.lines = []
        self.failed = False

    def ok(self, good, what):
        self.failed |= not good
        self.lines.append(('ok' if good else 'not ok', what))

    def note(self, text):
        self.lines.append(('#', text))

    def binary(self, *opts, dirs=()):
        """Return (status, output); artifacts go to a directory of its own."""
        crash = os.path.join(self.args.out, 'crash', self.target, '')
        shutil.rmtree(crash, ignore_errors=True)
        os.makedirs(crash)
        cmd = [os.path.join(self.args.out, self.target),
               '-max_len=%d' % MAX_LEN[self.target], '-timeout=%d' % TIMEOUT,
               '-artifact_prefix=' + crash, '-print_final_stats=1', *opts, *dirs]
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           errors='replace')
        if p.returncode:
            self.note('status %d: %s' % (p.returncode, ' '.join(cmd)))
            for line in p.stdout.splitlines():
                if not re.match(r'#\d+\t|INFO:', line):
                    self.note(line)
            for name in sorted(os.listdir(crash)):
                with open(crash + name, 'rb') as f:
                    self.note('%s, base64: %s' % (
                        name, base64.b64encode(f.read()).decode()))
        return p.returncode, p.stdout

    def regress(self):
        seeds = os.listdir(corpus(self.target))
        status, out = self.binary('-runs=0', dirs=[corpus(self.target)])
        m = re.search(r'INITED.*cov: (\d+) ft: (\d+)', out)
        self.ok(not status and m is not None and len(seeds) > 0,
                '%s: corpus' % self.target)
        self.note('%s: %d inputs, coverage %s, features %s' % (
            self.target, len(seeds), *(m.groups() if m else ('?', '?'))))

    def fuzz(self):
        found = os.path.join(self.args.out, 'found', self.target)
        os.makedirs(found, exist_ok=True)
        status, out = self.binary('-max_total_time=%d' % self.args.seconds,
                                  dirs=[found, corpus(self.target)])
        runs = re.search(r'number_of_executed_units: (\d+)', out)
        cov = re.findall(r'cov: (\d+) ft: (\d+)', out) or [('?', '?')]
        runs = int(runs.group(1)) if runs else 0
        self.ok(not status and runs > 0, '%s: fuzzing' % self.target)
        self.note('%s: %d executions in %d s, coverage %s, features %s' % (
            self.target, runs, self.args.seconds, *cov[-1]))

    def check(self):
        self.regress()
        if self.args.seconds:
            self.fuzz()
        return self

    def merge(self):
        old = corpus(self.target)
        new = os.path.join(self.args.out, 'merged', self.target)
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(new)
        found = os.path.join(self.args.out, 'found', self.target)
        os.makedirs(found, exist_ok=True)
        os.makedirs(old, exist_ok=True)
        # by edges alone: how often one is taken fills hundreds of files, and is
        # found again within seconds
        status, _ = self.binary('-merge=1', '-use_counters=0',
                                dirs=[new, old, found])
        self.ok(not status, '%s: merge' % self.target)
        if not status:
            shutil.rmtree(old)
            shutil.copytree(new, old)
        size = sum(os.path.getsize(os.path.join(old, f)) for f in os.listdir(old))
        self.note('%s: %d inputs, %d bytes' % (self.target, len(os.listdir(old)),
                                               size))
        return self


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--out', required=True)
    ap.add_argument('--seconds', type=int, default=60)
    ap.add_argument('--jobs', type=int, default=2, help='targets at a time')
    ap.add_argument('--merge', action='store_true')
    ap.add_argument('target', nargs='+')
    args = ap.parse_args()
    args.out = os.path.abspath(args.out)

    nr = 0
    failed = False
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        todo = [pool.submit(Run.merge if args.merge else Run.check, Run(t, args))
                for t in args.target]
        for future in concurrent.futures.as_completed(todo):
            run = future.result()
            failed |= run.failed
            for word, text in run.lines:
                if word == '#':
                    print('# ' + text)
                else:
                    nr += 1
                    print('%s %d - %s' % (word, nr, text))
            sys.stdout.flush()
    print('1..%d' % nr)
    return failed


if __name__ == '__main__':
    sys.exit(main())
