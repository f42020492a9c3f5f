// SPDX-License-Identifier: GPL-2.0
/*
 * Every order in which a step of a guest's clock and runners of vCPUs can meet
 *
 * A model of what the head of kmod/clock.c argues, not the code itself: one stepper,
 * that steps twice, and a few runners with KVM_RUN as far as it matters. A vCPU in
 * guest mode may read its clock at any time and tell the others by memory. So none may
 * be there with an offset older than one that any has been there with. Steps of the
 * model are atomic and in order; where the code needs a barrier for that it has one.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNNERS	3
#define STEPS	2
#define TABLE	(1u << 21)

/* what a runner does next */
enum {
	R_LOOK,		/* is the own offset stale? */
	R_LOCK,		/* take the lock */
	R_TAKE,		/* not stale any more; see the offset; unlock */
	R_APPLY,	/* give it to KVM */
	R_MODE,		/* KVM_RUN: interrupts off, mode := in guest mode */
	R_FLAG,		/* look at the flag; enter or return */
	R_GUEST,	/* in the guest */
	R_AGAIN,	/* an exit that KVM has handled itself: look at the flag */
	R_CLEAR,	/* back from KVM_RUN: take the flag away */
};

/* what the stepper does next; the first three for one runner after the other */
enum { S_LOCK, S_STALE, S_SIGNAL, S_MODE, S_IPI, S_WAIT, S_STEP, S_DONE };

/* what is wrong on purpose */
enum broken { NOTHING, NO_WAIT, MODE_FIRST, STALE_LAST, NO_LOCK, STEP_FIRST, KVM_DEAF, NR };

static const char *const names[NR] = {
	[NO_WAIT] = "the IPI is not waited for",
	[MODE_FIRST] = "the mode is read before the flag is set",
	[STALE_LAST] = "the flag is set before the offset is called stale",
	[NO_LOCK] = "a runner catches up without the lock",
	[STEP_FIRST] = "the new offset may be taken before all are out",
	[KVM_DEAF] = "KVM sets the mode and does not look at the flag again",
};

struct runner {
	uint8_t pc, stale, flag, mode, ipi, masked, taken, applied;
};

struct state {
	struct runner r[RUNNERS];
	uint8_t pc, i, offset, seen, lock;	/* lock: 0 free, 1 stepper, 2.. runner */
	uint8_t pad[3];
};

static struct state *table;
static uint32_t *queue;
static size_t nr_states;
static enum broken broken;
static bool wrong, overflow, finished;

static void add(struct state s)
{
	const uint8_t *b = (const uint8_t *)&s;
	uint64_t h = 1469598103934665603ull;
	size_t i;
	uint32_t at;

	for (i = 0; i < RUNNERS; i++) {
		if (s.r[i].pc != R_GUEST)
			continue;
		if (s.r[i].applied < s.seen)
			wrong = true;
		else
			s.seen = s.r[i].applied;
	}
	s.pad[0] = 1;
	for (i = 0; i < sizeof(s); i++)
		h = (h ^ b[i]) * 1099511628211ull;
	for (at = h % TABLE; table[at].pad[0]; at = (at + 1) % TABLE)
		if (!memcmp(&table[at], &s, sizeof(s)))
			return;
	if (nr_states >= TABLE / 2) {
		overflow = true;
		return;
	}
	table[at] = s;
	queue[nr_states++] = at;
}

static void runner_step(struct state s, unsigned int i)
{
	struct runner *r = &s.r[i];

	/* an IPI comes where interrupts are on, in the guest by way of an exit */
	if (r->ipi && r->pc != R_FLAG) {
		struct state t = s;

		t.r[i].ipi = 0;
		if (r->pc == R_GUEST) {
			t.r[i].mode = 0;
			t.r[i].pc = R_AGAIN;
		}
		add(t);
	}
	switch (r->pc) {
	case R_LOOK:
		r->pc = r->stale ? broken == NO_LOCK ? R_TAKE : R_LOCK : R_MODE;
		break;
	case R_LOCK:
		if (s.lock)
			return;
		s.lock = 2 + i;
		r->pc = R_TAKE;
		break;
	case R_TAKE:
		r->stale = 0;
		r->taken = s.offset;
		if (broken != NO_LOCK)
			s.lock = 0;
		r->pc = R_APPLY;
		break;
	case R_APPLY:
		r->applied = r->taken;
		r->pc = R_MODE;
		break;
	case R_MODE:
		r->mode = 1;
		r->pc = R_FLAG;
		break;
	case R_FLAG:
		if (r->flag && broken != KVM_DEAF) {
			r->mode = 0;
			r->pc = R_CLEAR;
		} else {
			r->pc = R_GUEST;
		}
		break;
	case R_GUEST:
		/* an exit of its own: KVM's, or one that ends KVM_RUN */
		r->mode = 0;
		r->pc = R_AGAIN;
		add(s);
		r->pc = R_CLEAR;
		break;
	case R_AGAIN:
		r->pc = r->flag ? R_CLEAR : R_MODE;
		break;
	case R_CLEAR:
		r->flag = 0;
		r->pc = R_LOOK;
		break;
	}
	add(s);
}

static void set(struct state *s, struct runner *r, int what)
{
	switch (what) {
	case S_STALE:
		r->stale = 1;
		break;
	case S_SIGNAL:
		r->flag = 1;
		break;
	case S_MODE:
		r->masked = r->mode;
		s->i++;
		break;
	}
}

static void stepper_step(struct state s)
{
	static const uint8_t order[NR][3] = {
		[NOTHING] = { S_STALE, S_SIGNAL, S_MODE },
		[MODE_FIRST] = { S_STALE, S_MODE, S_SIGNAL },
		[STALE_LAST] = { S_SIGNAL, S_STALE, S_MODE },
	};
	const uint8_t *o = order[order[broken][0] ? broken : NOTHING];
	unsigned int i;

	switch (s.pc) {
	case S_LOCK:
		if (s.lock)
			return;
		s.lock = 1;
		s.i = 0;
		s.pc = S_STALE;
		if (broken == STEP_FIRST) {
			s.offset++;
			s.lock = 0;
		}
		break;
	case S_STALE:
	case S_SIGNAL:
	case S_MODE:
		i = s.i;
		set(&s, &s.r[i], o[s.pc - S_STALE]);
		/* whichever of the three comes last goes on to the next runner */
		s.i = i + (s.pc == S_MODE);
		s.pc = s.pc != S_MODE ? s.pc + 1 : s.i < RUNNERS ? S_STALE : S_IPI;
		break;
	case S_IPI:
		for (i = 0; i < RUNNERS; i++)
			s.r[i].ipi |= s.r[i].masked;
		s.pc = broken == NO_WAIT ? S_STEP : S_WAIT;
		break;
	case S_WAIT:
		for (i = 0; i < RUNNERS; i++)
			if (s.r[i].ipi)
				return;
		s.pc = S_STEP;
		break;
	case S_STEP:
		if (broken != STEP_FIRST) {
			s.offset++;
			s.lock = 0;
		}
		for (i = 0; i < RUNNERS; i++)
			s.r[i].masked = 0;
		s.pc = s.offset < STEPS ? S_LOCK : S_DONE;
		break;
	case S_DONE:
		for (i = 0; i < RUNNERS; i++)
			if (s.r[i].pc != R_GUEST || s.r[i].applied != STEPS)
				return;
		finished = true;
		return;
	}
	add(s);
}

static void explore(enum broken how)
{
	struct state s;
	unsigned int i;
	size_t next;

	broken = how;
	wrong = overflow = finished = false;
	nr_states = 0;
	memset(table, 0, TABLE * sizeof(*table));
	memset(&s, 0, sizeof(s));
	add(s);
	for (next = 0; next < nr_states && !wrong && !overflow; next++) {
		s = table[queue[next]];
		stepper_step(s);
		for (i = 0; i < RUNNERS; i++)
			runner_step(s, i);
	}
}

int main(void)
{
	unsigned int how, bad = 0;
	bool ok;

	table = malloc(TABLE * sizeof(*table));
	queue = malloc(TABLE / 2 * sizeof(*queue));
	if (!table || !queue)
		return 1;
	printf("TAP version 13\n1..%d\n", NR);
	for (how = 0; how < NR; how++) {
		explore(how);
		ok = !overflow && (how ? wrong : !wrong && finished);
		bad += !ok;
		printf("%sok %u - step of a clock: %s%s\n", ok ? "" : "not ", how + 1,
		       how ? "broken, noticed: " : "no vCPU sees it before another one is out",
		       how ? names[how] : "");
		printf("# %zu states\n", nr_states);
	}
	free(table);
	free(queue);
	return bad ? 1 : 0;
}
