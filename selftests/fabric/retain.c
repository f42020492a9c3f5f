// SPDX-License-Identifier: GPL-2.0
/*
 * What a link keeps until it is acknowledged, over paths that fail at any time; TAP
 *
 * A sender and a receiver, each with the code of fabric/retain.c, and up to four paths
 * between them. A path is a queue that loses nothing until it is cut; then what is in it
 * may still arrive, late, or not at all. Acknowledgements come late, too. Whatever the
 * order of all that: each message is taken once, in order, with the bytes it had at first.
 */
#include <stdarg.h>
#include "retain.h"

#define PATHS	4
#define MSGS	2000
#define PIPE	512
#define WALKS	400

static unsigned int nr_tests, nr_failed, live;
static bool failed;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		if (!failed)						\
			printf("# %s:%d: %s\n", __func__, __LINE__, #cond); \
		failed = true;						\
	}								\
} while (0)

static void run(const char *name, void (*fn)(void))
{
	failed = false;
	fn();
	CHECK(!live);
	nr_tests++;
	nr_failed += failed;
	printf("%sok %u - %s\n", failed ? "not " : "", nr_tests, name);
}

void hk_msg_free(struct hk_msg *msg)
{
	live--;
	free(msg);
}

static struct hk_msg *msg_new(u64 seq, u32 len)
{
	struct hk_msg *msg = calloc(1, sizeof(*msg) + 64);

	live++;
	msg->hdr.seq = htole64(seq);
	msg->hdr.len = htole32(len);
	memcpy(msg->body, &seq, sizeof(seq));
	return msg;
}

static void test_judge(void)
{
	CHECK(hk_retain_judge(1, 0) == HK_RETAIN_TAKE);
	CHECK(hk_retain_judge(2, 0) == HK_RETAIN_GAP);
	CHECK(hk_retain_judge(7, 7) == HK_RETAIN_AGAIN);
	CHECK(hk_retain_judge(1, 7) == HK_RETAIN_AGAIN);
	CHECK(hk_retain_judge(8, 7) == HK_RETAIN_TAKE);
	CHECK(hk_retain_judge(9, 7) == HK_RETAIN_GAP);
	CHECK(hk_retain_judge(~0ull, 7) == HK_RETAIN_GAP);
}

static void test_room(void)
{
	struct hk_retain r;
	u64 seq = 0;

	hk_retain_init(&r);
	while (hk_retain_room(&r) && seq <= HK_RETAIN_NR_MAX)
		hk_retain_add(&r, msg_new(++seq, 0));
	CHECK(seq == HK_RETAIN_NR_MAX);
	hk_retain_drop(&r, 1);
	CHECK(hk_retain_room(&r));
	hk_retain_purge(&r);
	CHECK(!r.nr && !r.bytes);

	seq = 0;
	while (hk_retain_room(&r) && seq <= HK_RETAIN_NR_MAX)
		hk_retain_add(&r, msg_new(++seq, HK_WIRE_BODY_MAX));
	CHECK(r.bytes >= HK_RETAIN_BYTES_MAX &&
	      r.bytes < HK_RETAIN_BYTES_MAX + 2 * HK_WIRE_BODY_MAX);
	hk_retain_purge(&r);
	CHECK(!r.nr && !r.bytes);
}

static void test_take(void)
{
	struct hk_msg *batch[8];
	struct hk_retain r;
	u64 seq;

	hk_retain_init(&r);
	for (seq = 1; seq <= 5; seq++)
		hk_retain_add(&r, msg_new(seq, 100));
	CHECK(!hk_retain_pending(&r) && !hk_retain_take(&r, batch, 8, 1 << 20));
	hk_retain_rewind(&r);
	CHECK(hk_retain_take(&r, batch, 2, 1 << 20) == 2 &&
	      le64toh(batch[1]->hdr.seq) == 2);
	/* Two that have been sent again, and the first of those that have not */
	hk_retain_drop(&r, 3);
	CHECK(r.nr == 2 && r.bytes == 2 * (sizeof(struct hk_wire_hdr) + 100));
	CHECK(hk_retain_pending(&r));
	/* One is enough to reach the bound of bytes */
	CHECK(hk_retain_take(&r, batch, 8, 1) == 1 && le64toh(batch[0]->hdr.seq) == 4);
	CHECK(hk_retain_take(&r, batch, 8, 1 << 20) == 1 &&
	      le64toh(batch[0]->hdr.seq) == 5);
	CHECK(!hk_retain_pending(&r));
	hk_retain_rewind(&r);
	hk_retain_drop(&r, 5);
	CHECK(!r.nr && !hk_retain_pending(&r));
	/* An acknowledgement that is late takes nothing away */
	hk_retain_add(&r, msg_new(6, 0));
	hk_retain_drop(&r, 2);
	CHECK(r.nr == 1);
	hk_retain_purge(&r);
}

/* A path: numbers that are under way */
struct pipe {
	u64 seq[PIPE];
	u64 word[PIPE];
	unsigned int nr;
	bool cut;
};

static u64 state;

static unsigned int rnd(unsigned int n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(state >> 33) % n;
}

static void pipe_put(struct pipe *p, const struct hk_msg *msg)
{
	p->seq[p->nr] = le64toh(msg->hdr.seq);
	memcpy(&p->word[p->nr++], msg->body, 8);
}

/* Other paths take over; what the old one holds is lost from some place on */
static unsigned int pipe_cut(struct pipe *pipes, unsigned int active)
{
	struct pipe *p = &pipes[active];

	p->cut = true;
	p->nr = rnd(p->nr + 1);
	do
		active = rnd(PATHS);
	while (pipes[active].cut);
	return active;
}

static void walk(u64 seed)
{
	struct pipe pipes[PATHS] = {};
	u64 sent = 0, taken = 0, acked = 0, seen = 0;
	unsigned int active = 0, i, nr;
	struct hk_msg *batch[8];
	struct hk_retain r;
	struct pipe *p;

	state = seed;
	hk_retain_init(&r);
	while (taken < MSGS && !failed) {
		p = &pipes[active];
		switch (rnd(8)) {
		case 0:		/* a batch, again or new */
		case 1:
		case 2:
			if (p->nr + 8 > PIPE)
				break;
			hk_retain_drop(&r, acked);
			nr = hk_retain_take(&r, batch, 1 + rnd(8), 400);
			for (i = 0; i < nr; i++)
				pipe_put(p, batch[i]);
			if (nr || sent == MSGS || !hk_retain_room(&r))
				break;
			batch[0] = msg_new(++sent, rnd(200));
			hk_retain_add(&r, batch[0]);
			pipe_put(p, batch[0]);
			break;
		case 3:		/* something arrives, on any path, also one that is cut */
		case 4:
		case 5:
			p = &pipes[rnd(PATHS)];
			if (!p->nr)
				break;
			switch (hk_retain_judge(p->seq[0], taken)) {
			case HK_RETAIN_TAKE:
				taken++;
				CHECK(p->seq[0] == taken && p->word[0] == taken);
				break;
			case HK_RETAIN_AGAIN:
				CHECK(p->seq[0] <= taken);
				break;
			case HK_RETAIN_GAP:
				CHECK(!"a gap");
				break;
			}
			p->nr--;
			memmove(p->seq, p->seq + 1, p->nr * sizeof(u64));
			memmove(p->word, p->word + 1, p->nr * sizeof(u64));
			break;
		case 6:		/* an acknowledgement of some time ago, or of now */
			seen = rnd(2) ? taken : seen;
			if (seen > acked)
				acked = seen;
			break;
		case 7:
			if (rnd(40))
				break;
			/* all but one may be cut; the others come back, empty */
			for (i = 0, nr = 0; i < PATHS; i++)
				nr += !pipes[i].cut;
			if (nr > 1) {
				active = pipe_cut(pipes, active);
				hk_retain_rewind(&r);
			}
			i = rnd(PATHS);
			if (pipes[i].cut) {
				pipes[i].cut = false;
				pipes[i].nr = 0;
			}
			break;
		}
	}
	hk_retain_purge(&r);
}

static void test_walks(void)
{
	u64 seed;

	for (seed = 1; seed <= WALKS && !failed; seed++) {
		walk(seed);
		if (failed)
			printf("# seed %llu\n", (unsigned long long)seed);
	}
}

int main(void)
{
	run("a receiver takes the next one, drops what came, refuses a gap", test_judge);
	run("what is kept is bounded, in messages and in bytes", test_room);
	run("sent again from the first one on, but for what has come meanwhile", test_take);
	run("paths cut at random: each message once, in order", test_walks);
	printf("1..%u\n", nr_tests);
	return nr_failed ? 1 : 0;
}
