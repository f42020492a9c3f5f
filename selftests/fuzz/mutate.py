#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Do the fuzz targets bite? Take checks away, one at a time, and fuzz: TAP.

Each line: target, what is broken, edits of copies of the sources, options of the
compiler. Some checks are made twice, on receipt and by the engine; then both are
taken away."""

import argparse
import os
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

MUTATIONS = [
    ('wire', 'length of a body not bounded',
     [('fabric/msg.c', 'if (len > t->max)', 'if (0)')]),
    ('wire', 'length of a body may be too short',
     [('fabric/msg.c', 'if (len < t->min)', 'if (0)')]),
    ('wire', 'text of a peer has no end',
     [('fabric/msg.c', 'i < HK_REASON_MAX - 1 && text->text[i]', 'text->text[i]')]),
    ('wire', 'length of a vCPU state not compared',
     [('migrate/state.c', '''	    hk_state_size(msrs, xsave) != len)''', '	    0)')]),
    ('wire', 'number of routes not compared',
     [('migrate/state.c', '''		    (tail - sizeof(*r)) / sizeof(r->entries[0]) != r->nr)''',
       '		    0)')]),
    ('wire', 'number of a vCPU not checked',
     [('migrate/state.c', 'if (le32_to_cpu(*(const __le32 *)body) >= nr_vcpus)',
       'if (0)')]),
    ('wire', 'length of MMIO left to the peer',
     [('migrate/state.c', 'EXIT_U32(e, mmio.len) > 8', '0')]),
    ('wire', 'control characters in a reason',
     [('migrate/state.c', "if (*c < ' ' || *c > '~')", 'if (0)')]),
    ('wire', 'page beyond the end of RAM',
     [('dsm/wire.c', 'if (m->gfn >= facts->ram_pages)', 'if (0)')]),
    ('wire', 'length of a group not compared',
     [('dsm/group.c', 'if (len != sizeof(*body) +', 'if (0 && len != sizeof(*body) +')]),
    ('wire', 'first page of a group checked only',
     [('dsm/group.c', '	while (hk_page_group_next(facts, peer, body, &at, m)) {',
       '	if (hk_page_group_next(facts, peer, body, &at, m)) {')]),
    ('wire', 'group from a peer that has not offered it',
     [('fabric/msg.c', 'if (t->feature & ~features)', 'if (0)')]),

    ('engine', 'recalls in a group taken from any node',
     [('dsm/group.c', 'why = hk_dmsg_check(facts, m);',
       'why = m->gfn < facts->ram_pages && m->req < HK_MAX_NODES ? NULL : "no";'),
      ('dsm/page.c', 'return from_home && node_valid(msg->req) &&',
       'return node_valid(msg->req) &&')]),
    ('engine', 'recalls taken from any node',
     [('dsm/wire.c', 'RULE(PEER, MEMBER, DATA | ACKS, 0)',
       'RULE(NONE, MEMBER, DATA | ACKS, 0)'),
      ('dsm/wire.c', 'RULE(PEER_LENT, MEMBER, ACK, RULER)',
       'RULE(NONE, MEMBER, ACK, RULER)'),
      ('dsm/page.c', '''	if (msg->from == w->home)
		return true;
	if (msg->req''', '''	if (1)
		return true;
	if (msg->req'''),
      ('dsm/page.c', 'return from_home && node_valid(msg->req) &&',
       'return node_valid(msg->req) &&')]),
    ('engine', 'grants taken from any node',
     [('dsm/wire.c', 'RULE(PEER, NONE, DATA | ACKS, HAVE | NO_DONE)',
       'RULE(NONE, NONE, DATA | ACKS, HAVE | NO_DONE)'),
      ('dsm/page.c', 'return from_home && acks_valid(msg->acks, w->self) &&',
       'return acks_valid(msg->acks, w->self) &&'),
      ('dsm/page.c', '''	case HK_EV_GRANT_X:
	case HK_EV_LOST:
		return data &&''', '''	case HK_EV_GRANT_X:
		return true;
	case HK_EV_LOST:
		return data &&''')]),
    ('engine', 'DONE taken in the name of others',
     [('dsm/wire.c', 'if (m->req != peer)', 'if (0)'),
      ('dsm/directory.c', 'if (msg->from != msg->req && msg->from != w->self)',
       'if (0)')]),
    ('engine', 'DONE taken from a node that did not ask',
     [('dsm/directory.c', ' || dir->busy != msg->req)', ')')]),
    ('engine', 'second reply taken',
     [('dsm/page.c', 'if (ctx->replied || hk_nodes_any(ctx->acks & ~msg->acks))',
       'if (hk_nodes_any(ctx->acks & ~msg->acks))')]),
    ('engine', 'data taken from a node that was not asked',
     [('dsm/page.c', 'return data && msg->tokens.data == data;',
       'return true;')]),
    ('engine', 'ACK taken from a node that was not asked',
     [('dsm/page.c', 'return msg->tokens.ack == ctx->tokens.ack;',
       'return true;')]),
    ('engine', 'sharer known to have been asked, data taken from it',
     [('dsm/page.c', 'return data && msg->tokens.data == data;',
       'return msg->tokens.data == data ||\n'
       '		       msg->tokens.data == ctx->tokens.ack;')]),
    ('engine', 'one token for all requests of a node',
     [('dsm/page.c', '	m->tokens.data = w->tokens.data;',
       '	m->tokens.data = w->self;')]),
    ('engine', 'owner does not give the page up',
     [('dsm/page.c', '[HK_EV_FWD_X]	= EDGE(EXCLUSIVE_TAKE, RECALL, TAKE),',
       '[HK_EV_FWD_X]	= EDGE(EXCLUSIVE, DATA_S, 0),')]),

    ('engine', 'copy of another ruler taken away',
     [('dsm/page.c', 'return msg->from == w->ruler;', 'return true;')]),
    ('engine', 'copy taken away by a ruler for another node',
     [('dsm/page.c', 'if (msg->req != msg->from || msg->flags)', 'if (msg->flags)'),
      ('dsm/wire.c', 'if (facts->lend && m->req == peer)', 'if (facts->lend)')]),
    ('engine', 'home forgets who may ask a ruler',
     [('dsm/directory.c', '''		dir->sharers |= hk_node_bit(ask->req);
		dir_forward(ask, out, HK_DMSG_PASS_S''',
       '''		dir_forward(ask, out, HK_DMSG_PASS_S''')]),
    ('engine', 'former ruler asked for ever',
     [('dsm/page.c', '''		ruler = HK_NODE_NONE;
		ctx->moot = *state''', '''		ctx->moot = *state''')]),
    ('engine', 'former ruler believed that was asked before',
     [('dsm/page.c', 'ctx->moot = *state == HK_PG_INVALID_RD;', '')]),
    ('engine', 'former ruler believed that home had asked',
     [('dsm/page.c', 'ctx->moot = *state == HK_PG_INVALID_RD;',
       'ctx->moot = *state == HK_PG_INVALID_RD && ctx->asked;')]),
    ('engine', 'home asked with the tokens that a ruler was told',
     [('dsm/page.c', '	m->tokens.data = w->tokens.data;',
       '	m->tokens.data = ctx->tokens.data ?: w->tokens.data;')]),
    ('engine', 'page given away by a ruler that was asked for a copy',
     [('dsm/page.c', '(w->read_x && to == w->home)', 'w->read_x'),
      ('dsm/page.c', 'return ruler && msg->from == ctx->asked;', 'return true;')]),
    ('engine', 'MOVED taken from any node',
     [('dsm/page.c', '		return msg->from == ctx->asked;\n	case HK_EV_READ',
       '		return true;\n	case HK_EV_READ')]),
    ('engine', 'BACK taken from any node',
     [('dsm/directory.c', ' || msg->from != dir->owner ||\n	    hk_nodes_any(msg->acks',
       ' ||\n	    hk_nodes_any(msg->acks')]),
    ('engine', 'lent page asked back by any node',
     [('dsm/wire.c', '[HK_DMSG_UNLEND]  = RULE(PEER,', '[HK_DMSG_UNLEND]  = RULE(NONE,'),
      ('dsm/directory.c', 'w->self == w->home || msg->from != w->home)',
       'w->self == w->home)')]),
    ('engine', 'page lent by any node',
     [('dsm/wire.c', '[HK_DMSG_LEND]	  = RULE(PEER,', '[HK_DMSG_LEND]	  = RULE(NONE,'),
      ('dsm/page.c', 'return msg->from == w->home && w->home != w->self && !w->rules;',
       'return w->home != w->self && !w->rules;')]),
    ('engine', 'home blamed for a reader that asks twice',
     [('dsm/directory.c', '''	if (hk_nodes_any((wait->rd | wait->wr) & hk_node_bit(msg->req)))
		return 0;
''', '')]),

    ('residency', 'refusal taken from any node',
     [('migrate/residency.c', '.match = 1 }', '.match = 0 }')]),
    ('residency', 'state of an old generation taken',
     [('migrate/residency.c', '''HK_RES_ACT_WAKE,
				      .newer = 1 },
		[HK_RES_EV_TAKEN]''', '''HK_RES_ACT_WAKE },
		[HK_RES_EV_TAKEN]''')]),
    ('residency', 'NMIs counted without a bound',
     [('migrate/pending.c', 'if (p->nmi < 2)', 'if (1)')]),

    ('hkd', 'name that the certificate does not have',
     [('user/hkd/auth.c', 'if (strcmp(name, peer->name) ||', 'if (')]),
    ('hkd', 'cluster that the certificate does not have',
     [('user/hkd/auth.c', """js_int(obj, "id", 0) != peer->id ||
	    strcmp(cluster, peer->cluster))""", """js_int(obj, "id", 0) != peer->id)""")]),
    ('hkd', 'banned certificate',
     [('user/hkd/auth.c', 'if (trust_banned(peer->serial))', 'if (0)')]),
    ('hkd', 'other features',
     [('user/hkd/auth.c', 'if (features != release.features)', 'if (0)')]),
    ('hkd', 'answer for another purpose',
     [('user/hkd/auth.c', 'if (!r && use != purpose)', 'if (0)')]),
    ('hkd', 'any token will do',
     [('user/hkd/token.c', 'CRYPTO_memcmp(have, hash, strlen(hash))', '0')]),
    ('hkd', 'name that is taken',
     [('user/hkd/enrol.c', 'if (!bound[0] || *id == hkd.self)', 'if (0)')]),
    ('hkd', 'hidden zero in a string',
     [('user/hkd/json.c', 'if (!val || strlen(json_object_get_string(val)) !=',
       'if (!val || 0 * strlen(json_object_get_string(val)) != 0 *')]),
    ('hkd', 'more read than the line',
     [('user/hkd/stream.c', 'take = nl ? nl - (s->buf + s->len) + 1 : n;',
       'take = n;')]),
]


def copy_sources(to):
    shutil.rmtree(to, ignore_errors=True)
    for d in ('dsm', 'fabric', 'migrate', 'uapi', 'user'):
        shutil.copytree(os.path.join(TOP, d), os.path.join(to, d))


def run(mutation, out):
    """Return None when it was found, else why not."""
    target, _, edits = mutation[:3]
    src = os.path.join(out, 'mutant', 'src')
    copy_sources(src)
    for path, old, new in edits:
        name = os.path.join(src, path)
        with open(name, encoding='utf-8') as f:
            text = f.read()
        if text.count(old) != 1:
            return '%s has it %d times: %r' % (path, text.count(old), old)
        with open(name, 'w', encoding='utf-8') as f:
            f.write(text.replace(old, new))
    p = subprocess.run(['make', '-s', '-C', os.path.dirname(os.path.realpath(__file__)),
                        'SRC=' + src, 'OUT=' + os.path.join(out, 'mutant'),
                        'CFLAGS_EXTRA=' + ' '.join(['-w', *mutation[3:]]), target],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        return 'does not build: ' + p.stdout
    # what is found on the way goes into the first directory
    found = os.path.join(out, 'mutant', 'found')
    shutil.rmtree(found, ignore_errors=True)
    os.makedirs(found)
    p = subprocess.run([os.path.join(out, 'mutant', target), '-max_total_time=60',
                        '-max_len=4096',
                        '-artifact_prefix=' + os.path.join(out, 'mutant', ''), found,
                        os.path.join(TOP, 'selftests', 'fuzz', 'corpus', target)],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors='replace', cwd=os.path.join(out, 'mutant'))
    return None if p.returncode else 'not found within 60 s'


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--out', required=True)
    ap.add_argument('word', nargs='?', default='', help='only those with it')
    args = ap.parse_args()
    failed = 0
    todo = [m for m in MUTATIONS if args.word in '%s: %s' % m[:2]]
    print('1..%d' % len(todo))
    for nr, mutation in enumerate(todo, 1):
        why = run(mutation, os.path.abspath(args.out))
        failed += why is not None
        print('%s %d - %s: %s' % ('ok' if why is None else 'not ok', nr,
                                  mutation[0], mutation[1]), flush=True)
        if why:
            for line in why.splitlines():
                print('# ' + line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
