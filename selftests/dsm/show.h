/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a step wants done, as one line of text to be compared
 */
#ifndef HK_TEST_SHOW_H
#define HK_TEST_SHOW_H

#include <stdio.h>

#include "../../dsm/page.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(_a) (sizeof(_a) / sizeof((_a)[0]))
#endif

/* 2+4-7: node 2 and nodes 4 to 7 */
static inline size_t show_set(hk_nodes set, char *buf, size_t size)
{
	size_t at = 0;
	unsigned int n;

	for (n = 0; n < HK_MAX_NODES; n++) {
		bool in = set >> n & 1;
		bool below = n && (set >> (n - 1) & 1);
		bool above = n + 1 < HK_MAX_NODES && (set >> (n + 1) & 1);

		if (in && !below)
			at += snprintf(buf + at, size - at, "%s%u",
				       set & (hk_node_bit(n) - 1) ? "+" : "", n);
		else if (in && !above)
			at += snprintf(buf + at, size - at, "-%u", n);
	}
	return at;
}

static inline const char *show_out(const struct hk_out *out, char *buf,
				   size_t size)
{
	static const char * const acts[] = {
		"TAKE", "DOWNGRADE", "INSTALL", "INSTALL_ZERO", "WAKE", "FREE",
		"LOST", "RULE",
	};
	size_t at = 0;
	unsigned int i;

#define show(...) (at += snprintf(buf + at, size - at, __VA_ARGS__))
	buf[0] = 0;
	for (i = 0; i < out->nr; i++) {
		const struct hk_dmsg *m = &out->msg[i];

		show("%s%s>", i ? ", " : "", hk_dmsg_name(m->type));
		at += show_set(m->to, buf + at, size - at);
		if (m->req)
			show(" req %u", m->req);
		if (m->acks) {
			show(" acks ");
			at += show_set(m->acks, buf + at, size - at);
		}
		if (m->flags & HK_DMSG_F_HAVE)
			show(" HAVE");
		if (m->flags & HK_DMSG_F_NO_DONE)
			show(" NO_DONE");
		if (m->flags & HK_DMSG_F_RULER)
			show(" RULER");
		if (m->flags & HK_DMSG_F_STEADY)
			show(" STEADY");
	}
	for (i = 0; i < ARRAY_SIZE(acts); i++)
		if (out->act & (1u << i))
			show("%s%s", at ? " | " : "| ", acts[i]);
#undef show
	return buf;
}

#endif /* HK_TEST_SHOW_H */
