// SPDX-License-Identifier: GPL-2.0
/*
 * Kept interrupts: what merges, what comes out and in which order
 */
#include "../../migrate/pending.h"
#include "test.h"

#define IN_MAX	8

struct script {
	const char *name;
	struct hk_irq in[IN_MAX];
	struct hk_irq out[IN_MAX];	/* up to the first without @level */
};

#define EDGE(v)		{ HK_DM_FIXED, v, 1, 0, 0 }
#define LEVEL(v)	{ HK_DM_FIXED, v, 1, 1, 0 }
#define NMI		{ HK_DM_NMI, 0, 1, 0, 0 }
#define SMI		{ HK_DM_SMI, 0, 1, 0, 0 }
#define INIT_OF(w)	{ HK_DM_INIT, 0, 1, 0, w }
#define SIPI_OF(v, w)	{ HK_DM_STARTUP, v, 1, 0, w }
#define INIT		INIT_OF(0)
#define SIPI(v)		SIPI_OF(v, 0)
#define ACCEPTED(v)	{ HK_DM_ACCEPTED, v, 1, 0, 0 }

/* What goes in ends with the first entry that is all zero */
static const struct script scripts[] = {
	{ "nothing", { { 0 } }, { { 0 } } },
	{ "one edge", { EDGE(0x31) }, { EDGE(0x31) } },
	{ "one level", { LEVEL(0x31) }, { LEVEL(0x31) } },
	{ "lowest priority comes out as fixed",
	  { { HK_DM_LOWEST, 0x31, 1, 0, 0 } }, { EDGE(0x31) } },
	{ "same vector merges", { EDGE(0x31), EDGE(0x31) }, { EDGE(0x31) } },
	{ "same level vector merges", { LEVEL(0x31), LEVEL(0x31) }, { LEVEL(0x31) } },
	{ "trigger mode of the last one counts: level",
	  { EDGE(0x31), LEVEL(0x31) }, { LEVEL(0x31) } },
	{ "trigger mode of the last one counts: edge",
	  { LEVEL(0x31), EDGE(0x31) }, { EDGE(0x31) } },
	{ "deassertion of a level is nothing",
	  { LEVEL(0x31), { HK_DM_FIXED, 0x32, 0, 1, 0 } }, { LEVEL(0x31) } },
	{ "edge without the assert bit counts",
	  { { HK_DM_FIXED, 0x31, 0, 0, 0 } }, { EDGE(0x31) } },
	{ "highest vector first, across words",
	  { EDGE(0x3f), EDGE(0xff), EDGE(0x40), EDGE(0x10), EDGE(0x80) },
	  { EDGE(0xff), EDGE(0x80), EDGE(0x40), EDGE(0x3f), EDGE(0x10) } },
	{ "two NMIs", { NMI, NMI }, { NMI, NMI } },
	{ "three NMIs are two", { NMI, NMI, NMI }, { NMI, NMI } },
	{ "two SMIs are one", { SMI, SMI }, { SMI } },
	{ "SIPI alone", { SIPI(0x9a) }, { SIPI(0x9a) } },
	{ "SIPI with vector 0", { SIPI(0) }, { SIPI(0) } },
	{ "INIT, SIPI", { INIT, SIPI(0x9a) }, { INIT, SIPI(0x9a) } },
	{ "INIT voids a SIPI", { SIPI(0x9a), INIT }, { INIT } },
	{ "vector of the last SIPI counts",
	  { INIT, SIPI(0x9a), SIPI(0x9b) }, { INIT, SIPI(0x9b) } },
	{ "INIT, SIPI, INIT", { INIT, SIPI(0x9a), INIT }, { INIT } },
	{ "INIT, SIPI, INIT, SIPI", { INIT, SIPI(0x9a), INIT, SIPI(0x9b) },
	  { INIT, SIPI(0x9b) } },
	{ "deassertion of INIT is nothing",
	  { INIT, SIPI(0x9a), { HK_DM_INIT, 0, 0, 1, 0 } }, { INIT, SIPI(0x9a) } },
	{ "waiters of INIT and SIPI", { INIT_OF(1), SIPI_OF(7, 2) },
	  { INIT_OF(1), SIPI_OF(7, 2) } },
	{ "two wait for INIT", { INIT_OF(1), INIT_OF(1ULL << 63) },
	  { INIT_OF(1ULL << 63 | 1) } },
	{ "two wait for SIPI", { SIPI_OF(7, 4), SIPI_OF(8, 8) }, { SIPI_OF(8, 12) } },
	{ "who waits for a void SIPI waits for its INIT",
	  { SIPI_OF(7, 4), INIT_OF(1), SIPI_OF(9, 2) },
	  { INIT_OF(5), SIPI_OF(9, 2) } },
	{ "waiters leave with what they waited for",
	  { INIT_OF(1), INIT, SIPI(1) }, { INIT_OF(1), SIPI(1) } },
	{ "accepted by three, one of them twice",
	  { ACCEPTED(63), ACCEPTED(0), ACCEPTED(31), ACCEPTED(0) },
	  { ACCEPTED(0), ACCEPTED(31), ACCEPTED(63) } },
	{ "order of kinds",
	  { EDGE(0x31), LEVEL(0xe0), ACCEPTED(3), SMI, NMI, SIPI(1), EDGE(0x32) },
	  { SIPI(1), NMI, SMI, ACCEPTED(3), EDGE(0x32), EDGE(0x31), LEVEL(0xe0) } },
};

static bool same(const struct hk_irq *a, const struct hk_irq *b)
{
	return a->mode == b->mode && a->vector == b->vector &&
	       a->level == b->level && a->trig == b->trig &&
	       a->waiters == b->waiters;
}

static bool used(const struct hk_irq *i)
{
	return i->mode || i->vector || i->level || i->trig;
}

static bool run(const struct script *s)
{
	struct hk_pending p = { 0 };
	struct hk_irq irq;
	unsigned int i;

	for (i = 0; i < IN_MAX && used(&s->in[i]); i++)
		if (!hk_pending_add(&p, &s->in[i]))
			return false;
	for (i = 0; i < IN_MAX && s->out[i].level; i++)
		if (!hk_pending_next(&p, &irq) || !same(&irq, &s->out[i]))
			return false;
	return !hk_pending_next(&p, &irq) && !hk_pending_next(&p, &irq);
}

static bool every_vector(bool trig)
{
	struct hk_pending p = { 0 };
	struct hk_irq irq = { .level = 1, .trig = trig };
	int v;

	for (v = 0; v < 256; v++) {
		irq.vector = v;
		if (!hk_pending_add(&p, &irq))
			return false;
	}
	for (v = 255; v >= 0; v--)
		if (!hk_pending_next(&p, &irq) || irq.vector != v ||
		    irq.trig != trig || !irq.level || irq.mode != HK_DM_FIXED)
			return false;
	return !hk_pending_next(&p, &irq);
}

static bool every_mode(void)
{
	static const struct hk_pending none;
	unsigned int mode;

	for (mode = 0; mode < 0x10000; mode++) {
		struct hk_irq irq = { .mode = mode, .vector = 0x31, .level = 1 };
		struct hk_pending p = { 0 };
		bool want = mode == HK_DM_FIXED || mode == HK_DM_LOWEST ||
			    mode == HK_DM_SMI || mode == HK_DM_NMI ||
			    mode == HK_DM_INIT || mode == HK_DM_STARTUP ||
			    mode == HK_DM_ACCEPTED;

		if (hk_irq_carried(mode) != want ||
		    hk_pending_add(&p, &irq) != want ||
		    (!want && memcmp(&p, &none, sizeof(p))))
			return false;
	}
	return true;
}

void test_pending(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(scripts); i++)
		tap_ok(run(&scripts[i]), "pending: %s", scripts[i].name);
	tap_ok(every_vector(false), "pending: every vector, edge");
	tap_ok(every_vector(true), "pending: every vector, level");
	tap_ok(every_mode(), "pending: modes that are carried are those kept");
}
