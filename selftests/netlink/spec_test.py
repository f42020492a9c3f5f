#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Hold together what describes the netlink family; TAP.

    Documentation/netlink/specs/hyperkernel.yaml    the specification
    uapi/hyperkernel_netlink.h                      numbers, types in its comments
    kmod/netlink.c                                  policies, commands, privilege
    user/lib                                        names that people see

The numbers of the header and the bounds of the policies come from the C compiler,
the rest from the text. No root needed."""

import os
import re
import subprocess
import sys
import tempfile

import yaml

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..')
# bounds that do not fit into a policy: the command compares with this name
BY_COMMAND = {'dead-ms': ('max', 'DEAD_MS_MAX'), 'len': ('max', 'HK_WIRE_BODY_MAX')}
# what a comment of the header calls a type of the specification
SPOKEN = {'nested': 'nest', 'padding': 'pad'}
# what people see under another name, see Documentation/abi.rst
SHOWN = {'metadata': 'metadata-bytes'}

test_nr = 0
failed = 0


def check(name, wrong):
    """One test: fails with a line for each thing that is wrong."""
    global test_nr, failed
    test_nr += 1
    failed += bool(wrong)
    print('%sok %d - %s' % ('not ' if wrong else '', test_nr, name))
    for line in wrong:
        print('# ' + line)


def text_of(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def c_name(prefix, name):
    return (prefix + name).upper().replace('-', '_')


def differ(what, spec, code):
    """Two dictionaries by name must be equal."""
    return ['%s %s: %s in the specification, %s in the code' % (
        what, k, spec.get(k, 'nothing'), code.get(k, 'nothing'))
        for k in sorted(set(spec) | set(code)) if spec.get(k) != code.get(k)]


def evaluate(exprs, defines=''):
    """Values of C expressions, as the compiler sees them."""
    body = ''.join('\tprintf("%%lld\\n", (long long)(%s));\n' % e for e in exprs)
    source = ('#include <stdio.h>\n#include <linux/types.h>\n'
              '#include "uapi/hyperkernel_netlink.h"\n#include "dsm/types.h"\n'
              '#include "fabric/msg.h"\n%s\n'
              'int main(void)\n{\n%s\treturn 0;\n}\n' % (defines, body))
    with tempfile.TemporaryDirectory() as d:
        with open(d + '/x.c', 'w') as f:
            f.write(source)
        subprocess.run([os.environ.get('CC', 'cc'), '-std=gnu11', '-I', TOP, '-o',
                        d + '/x', d + '/x.c'], check=True)
        out = subprocess.run([d + '/x'], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    return [int(x) for x in out.split()]


def enum_names(header, enum):
    """Names of an enum, in order, without the bound."""
    m = re.search(r'^enum %s \{\n(.*?)^\};' % enum, header, re.M | re.S)
    body = re.sub(r'/\*.*?\*/', '', m.group(1), flags=re.S) if m else ''
    return [n for n in re.findall(r'^\s*(\w+)', body, re.M)
            if not n.startswith('__')]


def numbered(entries):
    """Names of a list of the specification with their numbers."""
    value = 0
    out = {}
    for e in entries:
        value = e.get('value', value)
        out[e['name']] = value
        value += 1
    return out


def check_enum(header, enum, prefix, entries, skip=()):
    names = [n for n in enum_names(header, enum) if n not in skip]
    code = dict(zip(names, evaluate(names))) if names else {}
    spec = {c_name(prefix, n): v for n, v in numbered(entries).items()}
    check('enum %s: names and numbers' % enum.replace('_', '-'),
          differ('entry', spec, code) or ([] if code else ['no such enum']))


def comment_types(header):
    """What the comment of enum hk_attr says of each type."""
    m = re.search(r'/\*\*\n \* enum hk_attr.*?\*/', header, re.S)
    out = {}
    for name, said in re.findall(r'@(HK_A_\w+): (\w+)', m.group(0)):
        out[name] = SPOKEN.get(said, said)
    return out


def policies(source):
    """{policy: {attribute: text}} of kmod/netlink.c, its short names put in."""
    for name, meaning in re.findall(r'^#define (POL_\w+)\s+(.*)$', source, re.M):
        source = re.sub(r'\b%s\b(?!\s+(NLA|\{))' % name, lambda m: meaning, source)
    out = {}
    for name, size, body in re.findall(
            r'^static const struct nla_policy (\w+)\[(\w+) \+ 1\] = \{\n(.*?)^\};',
            source, re.M | re.S):
        flat = re.sub(r'\s+', ' ', body)
        # a comma ends an entry when the next one or nothing follows
        out[name] = dict(re.findall(r'\[(\w+)\] = (.*?), ?(?=\[HK|$)', flat))
        out[name]['size'] = size
    return out


def of_policy(text):
    """(type, {check: expression}) of one entry."""
    m = re.match(r'NLA_POLICY_RANGE\(NLA_(\w+), (.*)\)$', text)
    if m:
        low, high = split_args(m.group(2))
        if m.group(1) == 'BINARY':
            return 'binary', {'min-len': low, 'max-len': high}
        return m.group(1).lower(), {'min': low, 'max': high}
    m = re.match(r'NLA_POLICY_(MIN|MAX)\(NLA_(\w+), (.*)\)$', text)
    if m:
        return m.group(2).lower(), {m.group(1).lower(): m.group(3)}
    m = re.match(r'NLA_POLICY_EXACT_LEN\((.*)\)$', text)
    if m:
        return 'binary', {'exact-len': m.group(1)}
    m = re.match(r'\{ \.type = NLA_(\w+)(?:, \.len = (.*?))? \}$', text)
    if m:
        kind = {'NUL_STRING': 'string'}.get(m.group(1), m.group(1).lower())
        return kind, {'max-len': m.group(2)} if m.group(2) else {}
    return 'cannot read %r' % text, {}


def split_args(text):
    """Two arguments of a macro; commas may be in parentheses."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == '(') - (c == ')')
        if c == ',' and not depth:
            return text[:i].strip(), text[i + 1:].strip()
    raise ValueError(text)


def commands(source):
    """{command: {doit, dumpit, admin, policy}} of kmod/netlink.c"""
    m = re.search(r'nl_ops\[\] = \{\n(.*?)^\};', source, re.M | re.S)
    out = {}
    for entry in re.findall(r'\{ (\.cmd = .*?) \},', re.sub(r'\s+', ' ', m.group(1))):
        policy = re.search(r'POLICY\((\w+), (\w+)\)', entry)
        out[re.match(r'\.cmd = (\w+)', entry).group(1)] = {
            'do': '.doit' in entry, 'dump': '.dumpit' in entry,
            'admin': 'ADMIN' in entry, 'policy': policy.groups() if policy else None}
    return out


def check_policies(attrs, source):
    wrong = []
    used = {}
    exprs = []
    for policy, entries in policies(source).items():
        size = entries.pop('size')
        names = list(entries)
        numbers = evaluate(names + [size])
        if max(numbers[:-1]) != numbers[-1]:
            wrong.append('%s ends at %s, its last attribute is another one' % (
                policy, size))
        for name, text in entries.items():
            kind, checks = of_policy(text)
            used.setdefault(name, set()).add(kind)
            exprs += [(policy, name, c, e) for c, e in checks.items()]
    check('every policy ends with its last attribute', wrong)

    spec_types = {c_name('hk-a-', a['name']): {a['type']} for a in attrs
                  if c_name('hk-a-', a['name']) in used}
    check('types in policies', differ('attribute', spec_types, used))

    # a header that user space cannot include, but for this
    bounds = source + text_of('fabric/link.h')
    defines = '\n'.join(re.findall(
        r'^#define (?:ECHO|DEAD|HK_TRANSPORT_NAME)_\w+\s+\d+.*$', bounds, re.M))
    late = {n: e for n, (_, e) in BY_COMMAND.items()}
    wrong = ['%s is compared with nothing named %s' % (n, e)
             for n, e in late.items() if not re.search(r'> %s\b' % e, source)]
    values = evaluate([e for *_, e in exprs] + list(late.values()), defines)
    code = {}
    for (policy, name, what, _), value in zip(exprs, values):
        old = code.setdefault(name, {}).setdefault(what, value)
        if old != value:
            wrong.append('%s: %s %s differs between policies' % (policy, name, what))
    for (name, (what, _)), value in zip(BY_COMMAND.items(), values[len(exprs):]):
        code.setdefault(c_name('hk-a-', name), {})[what] = value
    spec = {c_name('hk-a-', a['name']): a['checks'] for a in attrs
            if a.get('checks')}
    check('bounds in policies', wrong + differ('attribute', spec, code))


def check_commands(spec, source):
    code = commands(source)
    table = policies(source)
    want, have = {}, {}
    wrong = []
    for op in spec['operations']['list']:
        name = c_name('hk-cmd-', op['name'])
        if 'event' in op:
            if name in code:
                wrong.append('%s is an event and a command' % name)
            continue
        want[name] = {'do': 'do' in op, 'dump': 'dump' in op,
                      'admin': 'uns-admin-perm' in op.get('flags', [])}
        takes = set()
        for how in ('do', 'dump'):
            takes |= set((op.get(how) or {}).get('request', {}).get('attributes', []))
        want[name]['takes'] = {c_name('hk-a-', a) for a in takes}
    for name, c in code.items():
        policy = c.pop('policy')
        have[name] = dict(c, takes=set())
        if policy:
            have[name]['takes'] = set(table[policy[0]]) - {'size'}
            if policy[1] != table[policy[0]]['size']:
                wrong.append('%s: %s is longer than %s' % (name, policy[0], policy[1]))
    check('commands: do, dump, privilege, attributes taken',
          wrong + differ('command', want, have))


def main():
    spec = yaml.safe_load(text_of('Documentation/netlink/specs/hyperkernel.yaml'))
    header = text_of('uapi/hyperkernel_netlink.h')
    source = text_of('kmod/netlink.c')
    sets = {s['name']: s for s in spec['attribute-sets']}
    attrs = sets['hyperkernel']['attributes']
    stats = sets['stats']['attributes']
    link_stats = sets['link-stats']['attributes']
    consts = {d['name']: d['value'] for d in spec['definitions']
              if d['type'] == 'const'}

    quoted = dict(re.findall(r'^#define (HK_GENL_\w+)\s+"?(\w+)"?', header, re.M))
    check('names of family and group, version', differ('macro', {
        'HK_GENL_NAME': spec['name'], 'HK_GENL_VERSION': str(spec['version']),
        'HK_GENL_MCGRP_EVENTS': spec['mcast-groups']['list'][0]['name']}, quoted))
    names = re.findall(r'^#define (HK_\w+)\s+\d+', header, re.M)
    names.remove('HK_GENL_VERSION')
    check('constants', differ('macro', {c_name('hk-', n): v for n, v in consts.items()},
                              dict(zip(names, evaluate(names)))))

    check_enum(header, 'hk_cmd', 'hk-cmd-', spec['operations']['list'],
               ('HK_CMD_UNSPEC',))
    check_enum(header, 'hk_attr', 'hk-a-', attrs, ('HK_A_UNSPEC',))
    check_enum(header, 'hk_stat', 'hk-stat-', stats, ('HK_STAT_NONE',))
    check_enum(header, 'hk_link_stat', 'hk-link-stat-', link_stats,
               ('HK_LINK_STAT_NONE',))
    for d in spec['definitions']:
        if d['type'] == 'enum':
            check_enum(header, 'hk_' + d['name'].replace('-', '_'), d['name-prefix'],
                       [e if isinstance(e, dict) else {'name': e}
                        for e in d['entries']])
    check('types of attributes in the header\'s comment', differ(
        'attribute', {c_name('hk-a-', a['name']): a['type'] for a in attrs},
        {k: v for k, v in comment_types(header).items() if k != 'HK_A_UNSPEC'}))

    member = next(d for d in spec['definitions'] if d['name'] == 'member')
    fields = re.search(r'^struct hk_member \{\n(.*?)^\};', header, re.M | re.S).group(1)
    check('struct member', differ(
        'field', {m['name']: m['type'] for m in member['members']},
        {n: t for t, n in re.findall(r'__(\w+) (\w+);', fields)}))

    known = {a['name'] for a in attrs}
    used = [(op['name'], a) for op in spec['operations']['list']
            for how in ('do', 'dump', 'event') for part in (op.get(how) or {}).items()
            for a in (part[1] if how == 'event' else part[1]['attributes'])]
    check('operations name attributes that there are', [
        '%s: %s' % u for u in used if u[1] not in known])
    never = known - {a for _, a in used} - {'pad'}
    check('every attribute is used by an operation', sorted(never))

    check_policies(attrs, source)
    check_commands(spec, source)

    shown = dict(re.findall(r'\[(HK_STAT_\w+)\]\s*= "([\w-]+)"',
                            text_of('user/lib/stats.c')))
    check('names of counters in hkctl', differ('counter', {
        c_name('hk-stat-', s['name']): SHOWN.get(s['name'], s['name'])
        for s in stats}, shown))
    shown = dict(re.findall(r'\[(HK_LINK_STAT_\w+)\]\s*= "([\w-]+)"',
                            text_of('user/lib/link.c')))
    check('names of what a link says of itself', differ('counter', {
        c_name('hk-link-stat-', s['name']): s['name'] for s in link_stats}, shown))
    print('1..%d' % test_nr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
