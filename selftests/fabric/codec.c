// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of received messages and the clock, in user space
 *
 * Every malformed form of a header must be refused for its own reason, and what is
 * accepted must be what an independent description of the wire allows.
 */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gclock.h"
#include "msg.h"

const char *hk_msg_name(__u8 type);

#define PEER	7
#define FUZZ	2000000

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static unsigned int nr_tests, nr_failed;
static bool failed;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		printf("# %s:%d: %s\n", __func__, __LINE__, #cond);	\
		failed = true;						\
	}								\
} while (0)

static void run(const char *name, void (*fn)(void))
{
	failed = false;
	fn();
	nr_tests++;
	nr_failed += failed;
	printf("%sok %u - %s\n", failed ? "not " : "", nr_tests, name);
}

/* The wire, told a second time: not the table of msg.c */
struct kind {
	int type;
	int lane;
	bool vm;
	bool page;
	__u32 min;
	__u32 max;
};

static const struct kind kinds[] = {
	{ 1, 0, false, false, 24, 24 },		/* HELLO */
	{ 2, 0, false, false, 32, 32 },		/* PING */
	{ 3, 0, false, false, 32, 32 },		/* PONG */
	{ 4, 1, false, false, 16, 32768 },	/* ECHO */
	{ 5, 1, false, true, 16, 32768 },	/* ECHO_REPLY */
	{ 6, 0, false, false, 200, 200 },	/* BYE */
	{ 7, 0, false, false, 0, 0 },		/* SWITCH */
	{ 8, 0, false, false, 32, 32 },		/* PATH */
	{ 9, 0, false, false, 8, 8 },		/* ACK */
	{ 16, 1, true, true, 40, 56 },		/* PAGE */
	{ 17, 1, true, false, 16, 520 },	/* SPILL */
	{ 18, 1, true, false, 20, 272 },	/* PAGE_GROUP */
	{ 32, 0, true, false, 200, 200 },	/* VM_DEAD */
	{ 33, 0, true, false, 0, 32768 },	/* VM_CONFIG */
	{ 34, 0, true, false, 0, 32768 },	/* REPLICA_READY */
	{ 35, 0, true, false, 0, 32768 },	/* VM_CONFIG_ACK */
	{ 36, 0, true, false, 0, 32768 },	/* VM_CLOCK */
	{ 48, 0, true, false, 0, 32768 },	/* VCPU_STATE */
	{ 49, 0, true, false, 0, 32768 },	/* VCPU_TAKEN */
	{ 50, 0, true, false, 0, 32768 },	/* VCPU_MOVE */
	{ 51, 0, true, false, 0, 32768 },	/* VCPU_IRQ */
	{ 52, 0, true, false, 0, 32768 },	/* VCPU_EXIT */
	{ 53, 0, true, false, 0, 32768 },	/* VCPU_EXIT_DONE */
	{ 54, 0, true, false, 0, 32768 },	/* VCPU_IDENT */
	{ 55, 0, true, false, 0, 32768 },	/* VCPU_MOVED */
};

#define NR_KINDS	ARRAY_SIZE(kinds)

static const struct kind *kind_of(int type)
{
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

static struct hk_wire_hdr sound(const struct kind *k)
{
	struct hk_wire_hdr hdr = {
		.magic = htole16(HK_WIRE_MAGIC),
		.version = HK_WIRE_VERSION,
		.type = k->type,
		.len = htole32(k->min),
		.from = htole16(PEER),
		.lane = k->lane,
		.epoch = htole32(3),
		.vm = htole32(k->vm ? 9 : 0),
		.seq = htole64(1),
	};

	return hdr;
}

static bool accepted(const struct hk_wire_hdr *hdr)
{
	const char *why = "untouched";
	int ret = hk_wire_hdr_check(hdr, PEER, ~0u, &why);

	CHECK(ret == 0 || ret == -EPROTO);
	CHECK(ret ? why && *why && strcmp(why, "untouched") : !why);
	return !ret;
}

static bool refused(const struct hk_wire_hdr *hdr, const char *reason)
{
	const char *why = NULL;

	if (!hk_wire_hdr_check(hdr, PEER, ~0u, &why) || !why)
		return false;
	if (strcmp(why, reason))
		printf("# reason %s, expected %s\n", why, reason);
	return !strcmp(why, reason);
}

static bool model(const struct hk_wire_hdr *hdr)
{
	const struct kind *k = kind_of(hdr->type);
	__u32 len = le32toh(hdr->len);

	return k && le16toh(hdr->magic) == 0x4b48 && hdr->version == 1 &&
	       le16toh(hdr->from) == PEER &&
	       hdr->lane == k->lane && len >= k->min && len <= k->max &&
	       (hdr->flags == 0 || (hdr->flags == 1 && k->page)) &&
	       (hdr->vm != 0) == k->vm;
}

static void test_sound(void)
{
	struct hk_wire_hdr hdr;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		CHECK(accepted(&hdr));
		hdr.len = htole32(kinds[i].max);
		CHECK(accepted(&hdr));
		if (kinds[i].page) {
			hdr.flags = HK_WIRE_F_PAGE;
			CHECK(accepted(&hdr));
		}
		/* Of no concern here: any epoch, any number, any VM */
		hdr.epoch = ~0u;
		hdr.seq = 0;
		if (kinds[i].vm)
			hdr.vm = ~0u;
		CHECK(accepted(&hdr));
	}
}

static void test_length(void)
{
	struct hk_wire_hdr hdr;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		if (kinds[i].min) {
			hdr.len = htole32(kinds[i].min - 1);
			CHECK(refused(&hdr, "body too short"));
			hdr.len = 0;
			CHECK(refused(&hdr, "body too short"));
		}
		hdr.len = htole32(kinds[i].max + 1);
		CHECK(refused(&hdr, "body too long"));
		hdr.len = htole32(0x80000000u);
		CHECK(refused(&hdr, "body too long"));
		hdr.len = ~0u;
		CHECK(refused(&hdr, "body too long"));
	}
}

static void test_magic(void)
{
	struct hk_wire_hdr hdr = sound(&kinds[0]);
	int i;

	for (i = 0; i < 65536; i++) {
		if (i == HK_WIRE_MAGIC)
			continue;
		hdr.magic = htole16(i);
		CHECK(refused(&hdr, "wrong magic"));
	}
}

static void test_version(void)
{
	struct hk_wire_hdr hdr = sound(&kinds[0]);
	int i;

	for (i = 0; i < 256; i++) {
		if (i == HK_WIRE_VERSION)
			continue;
		hdr.version = i;
		CHECK(refused(&hdr, "wrong wire version"));
	}
}

static void test_type(void)
{
	struct hk_wire_hdr hdr = sound(&kinds[0]);
	int i;

	for (i = 0; i < 256; i++) {
		CHECK(!!hk_wire_type(i) == !!kind_of(i));
		CHECK(hk_msg_name(i));
		if (kind_of(i))
			continue;
		CHECK(!strcmp(hk_msg_name(i), "unknown"));
		hdr.type = i;
		CHECK(refused(&hdr, "unknown message type"));
	}
}

static void test_table(void)
{
	/* Every type that msg.h defines */
	static const int defined[] = {
#include "types.inc"
	};
	size_t i;

	CHECK(ARRAY_SIZE(defined) == NR_KINDS);
	for (i = 0; i < ARRAY_SIZE(defined); i++)
		CHECK(hk_wire_type(defined[i]) && kind_of(defined[i]));
}

/* What both ends must have offered for it */
static __u32 feature_of(const struct kind *k)
{
	return k->type == 18 ? 1 : 0;
}

/* A type of a feature that both ends have not offered is as good as unknown */
static void test_features(void)
{
	const char *why;
	struct hk_wire_hdr hdr;
	size_t i;
	int bit;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		for (bit = 0; bit < 32; bit++) {
			bool have = !(feature_of(&kinds[i]) & ~(1u << bit));

			CHECK(!hk_wire_hdr_check(&hdr, PEER, 1u << bit, &why) == have);
			CHECK(have ? !why : !strcmp(why,
			      "message type of a feature that was not agreed on"));
		}
		CHECK(!hk_wire_hdr_check(&hdr, PEER, 0, &why) ==
		      !feature_of(&kinds[i]));
	}
}

/* A page's message is longer only where both ends know what comes behind it */
static void test_longer(void)
{
	const char *why;
	struct hk_wire_hdr hdr;
	size_t i;
	int bit;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		for (bit = 0; bit < 32; bit++) {
			__u32 features = feature_of(&kinds[i]) | 1u << bit;
			bool may = kinds[i].type != 16 || bit == 3;

			hdr.len = htole32(kinds[i].max);
			CHECK(!hk_wire_hdr_check(&hdr, PEER, features, &why) == may);
			CHECK(may ? !why : !strcmp(why,
			      "body with a part of a feature that was not agreed on"));
			hdr.len = htole32(kinds[i].min);
			CHECK(!hk_wire_hdr_check(&hdr, PEER, features, &why));
		}
	}
}

static void test_from(void)
{
	struct hk_wire_hdr hdr = sound(&kinds[0]);
	int i;

	for (i = 0; i < 65536; i++) {
		if (i == PEER)
			continue;
		hdr.from = htole16(i);
		CHECK(refused(&hdr, "sender is not the peer"));
	}
}

static void test_lane(void)
{
	struct hk_wire_hdr hdr;
	size_t i;
	int lane;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		for (lane = 0; lane < 256; lane++) {
			if (lane == kinds[i].lane)
				continue;
			hdr.lane = lane;
			CHECK(refused(&hdr, "wrong lane for the type"));
		}
	}
}

static void test_flags(void)
{
	struct hk_wire_hdr hdr;
	size_t i;
	int flags;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		for (flags = 2; flags < 256; flags++) {
			hdr.flags = flags;
			CHECK(refused(&hdr, "unknown flag"));
		}
		if (kinds[i].page)
			continue;
		hdr.flags = HK_WIRE_F_PAGE;
		CHECK(refused(&hdr, "page where none may be"));
	}
}

/* The stamp is the clock's to judge: any is sound */
static void test_any_stamp(void)
{
	struct hk_wire_hdr hdr;
	size_t i;
	int bit;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		for (bit = 0; bit < 32; bit++) {
			hdr.stamp = htole32(1u << bit);
			CHECK(accepted(&hdr));
		}
	}
}

static void test_vm(void)
{
	struct hk_wire_hdr hdr;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		hdr = sound(&kinds[i]);
		hdr.vm = htole32(kinds[i].vm ? 0 : 1);
		CHECK(refused(&hdr, kinds[i].vm ? "no VM given" :
			      "VM given for a message of the link"));
	}
}

/* Sound headers with a few bytes changed, and plain noise */
static void test_fuzz(void)
{
	struct hk_wire_hdr hdr;
	unsigned int i, n, sane = 0;
	unsigned char *byte = (unsigned char *)&hdr;

	srandom(1);
	for (i = 0; i < FUZZ; i++) {
		hdr = sound(&kinds[random() % NR_KINDS]);
		n = random() % 4;
		while (n--)
			byte[random() % sizeof(hdr)] = random() & random();
		if (i % 16 == 0) {
			for (n = 0; n < sizeof(hdr); n++)
				byte[n] = random();
		}
		CHECK(accepted(&hdr) == model(&hdr));
		sane += model(&hdr);
		if (failed)
			return;
	}
	CHECK(sane > FUZZ / 10 && sane < FUZZ);
}

static void test_hello(void)
{
	static const __u8 cluster[16] = "0123456789abcde";
	struct hk_wire_hello hello = {
		.version_min = HK_WIRE_VERSION,
		.version_max = HK_WIRE_VERSION,
		.node = htole16(PEER),
	};
	const char *why;
	int i;

	memcpy(hello.cluster, cluster, sizeof(cluster));
	CHECK(!hk_wire_hello_check(&hello, PEER, cluster, &why) && !why);
	hello.version_min = 0;
	hello.version_max = 255;
	CHECK(!hk_wire_hello_features(&hello));
	hello.features = ~0u;
	CHECK(!hk_wire_hello_check(&hello, PEER, cluster, &why) && !why);
	CHECK(hk_wire_hello_features(&hello) == 0xf);
	hello.features = htole32(1);
	CHECK(hk_wire_hello_features(&hello) == 1);
	/* what is not known here is not used */
	hello.features = htole32(~0xfu);
	CHECK(!hk_wire_hello_check(&hello, PEER, cluster, &why) && !why);
	CHECK(!hk_wire_hello_features(&hello));

	hello.version_min = HK_WIRE_VERSION + 1;
	CHECK(hk_wire_hello_check(&hello, PEER, cluster, &why) == -EPROTO);
	CHECK(!strcmp(why, "no common wire version"));
	hello.version_min = 0;
	hello.version_max = HK_WIRE_VERSION - 1;
	CHECK(hk_wire_hello_check(&hello, PEER, cluster, &why) == -EPROTO);
	CHECK(!strcmp(why, "no common wire version"));
	hello.version_max = HK_WIRE_VERSION;

	hello.node = htole16(PEER + 1);
	CHECK(hk_wire_hello_check(&hello, PEER, cluster, &why) == -EPROTO);
	CHECK(!strcmp(why, "HELLO of another node"));
	hello.node = htole16(PEER);

	for (i = 0; i < 16; i++) {
		hello.cluster[i] ^= 0x10;
		CHECK(hk_wire_hello_check(&hello, PEER, cluster, &why));
		CHECK(!strcmp(why, "HELLO of another cluster"));
		hello.cluster[i] ^= 0x10;
	}
}

static void test_path(void)
{
	static const __u8 cluster[16] = "sixteen bytes..";
	struct hk_wire_path path = {
		.node = htole16(PEER),
		.path = HK_PATH_MAX - 1,
		.cookie = htole64(1ull << 63),
	};
	const char *why;
	unsigned int i;

	memcpy(path.cluster, cluster, sizeof(cluster));
	CHECK(!hk_wire_path_check(&path, PEER, cluster, &why) && !why);

	path.node = htole16(PEER + 1);
	CHECK(hk_wire_path_check(&path, PEER, cluster, &why) == -EPROTO);
	CHECK(!strcmp(why, "PATH of another node"));
	path.node = htole16(PEER);

	for (i = 0; i < 16; i++) {
		path.cluster[i] ^= 0x10;
		CHECK(hk_wire_path_check(&path, PEER, cluster, &why));
		CHECK(!strcmp(why, "PATH of another cluster"));
		path.cluster[i] ^= 0x10;
	}
	for (i = HK_PATH_MAX; i < 256; i++) {
		path.path = i;
		CHECK(hk_wire_path_check(&path, PEER, cluster, &why) == -EPROTO);
		CHECK(!strcmp(why, "PATH with a number too high"));
	}
	path.path = 0;
	for (i = 0; i < sizeof(path.reserved); i++) {
		path.reserved[i] = 1;
		CHECK(hk_wire_path_check(&path, PEER, cluster, &why) == -EPROTO);
		CHECK(!strcmp(why, "PATH with a reserved field"));
		path.reserved[i] = 0;
	}
	path.cookie = 0;
	CHECK(hk_wire_path_check(&path, PEER, cluster, &why) == -EPROTO);
	CHECK(!strcmp(why, "PATH without a cookie"));
}

static void test_echo(void)
{
	static const struct {
		__u32 len;
		__u32 page;
		int ret;
	} cases[] = {
		{ 16, 0, 0 }, { 32768, 0, 0 }, { 0, 1, 0 }, { ~0u, 1, 0 },
		{ 15, 0, -EPROTO }, { 0, 0, -EPROTO }, { 32769, 0, -EPROTO },
		{ ~0u, 0, -EPROTO }, { 16, 2, -EPROTO }, { 16, ~0u, -EPROTO },
	};
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hk_wire_echo echo = {
			.reply_len = htole32(cases[i].len),
			.reply_page = htole32(cases[i].page),
		};

		CHECK(hk_wire_echo_check(&echo, &why) == cases[i].ret);
		CHECK(!!why == !!cases[i].ret);
	}
}

static void test_text(void)
{
	struct hk_wire_text text;
	char out[HK_REASON_MAX];
	size_t i;

	memset(&text, 'x', sizeof(text));
	hk_wire_text_get(&text, out);
	CHECK(strlen(out) == HK_REASON_MAX - 1);

	memset(&text, 0, sizeof(text));
	hk_wire_text_get(&text, out);
	CHECK(!out[0]);

	for (i = 0; i < HK_REASON_MAX; i++)
		text.text[i] = i + 1;
	hk_wire_text_get(&text, out);
	for (i = 0; out[i]; i++)
		CHECK(out[i] >= ' ' && out[i] <= '~');
	CHECK(i == HK_REASON_MAX - 1 && out['A' - 1] == 'A');
}

static void test_clock(void)
{
	struct hk_clock clock = { 0 };
	const __s64 skew = -123456789;
	__u64 now = 1000000000ull, err, rtt, at;
	__s64 off;
	int i;

	CHECK(!hk_clock_offset(&clock, now, &err) && err == ~0ull);
	CHECK(!hk_clock_add(&clock, now, 5, now));
	CHECK(!hk_clock_add(&clock, now, 5, now - 1));
	CHECK(!clock.nr);

	/* Anywhere between the two, the error must stay within its bound */
	srandom(2);
	for (i = 0; i < 100000; i++) {
		now += 1000000 + random() % 1000000;
		rtt = 1 + random() % 200000;
		at = now + random() % (rtt + 1);
		CHECK(hk_clock_add(&clock, now, at + skew, now + rtt));
		now += rtt;
		off = hk_clock_offset(&clock, now, &err);
		CHECK((__u64)llabs(off - skew) <= err);
		CHECK(err <= 100000);
		CHECK(clock.nr <= HK_CLOCK_SAMPLES);
	}
}

/* The other crystal is 50 ppm faster: the estimate must follow */
static void test_clock_drift(void)
{
	struct hk_clock clock = { 0 };
	__u64 now = 1ull << 40, peer, err, rtt, worst = 0;
	__s64 off;
	int i;

	for (i = 0; i < 100000; i++) {
		now += 1000000000;
		rtt = i == 50 ? 1 : 100000 + random() % 100000;
		peer = now + rtt / 2;
		CHECK(hk_clock_add(&clock, now, peer + peer / 20000, now + rtt));
		now += rtt;
		off = hk_clock_offset(&clock, now, &err);
		CHECK((__u64)llabs(off - (__s64)(now / 20000)) <= err);
		if (err > worst)
			worst = err;
	}
	CHECK(worst <= 250000);
}

/* Whatever it is read by, a stamp is not before the TSC it was made of, nor far after */
static void test_stamp(void)
{
	struct hk_clock clock = { 0 };
	const __u64 reach = 1ull << (31 + HK_STAMP_SHIFT);
	__u64 peer, now, delay;
	__s64 lead, over;
	int i;

	CHECK(hk_clock_lead(&clock, 1, 1) == HK_LEAD_NONE);
	CHECK(hk_clock_stamp(0xffffffffull << HK_STAMP_SHIFT));
	srandom(3);
	for (i = 0; i < 1000000; i++) {
		peer = ((__u64)random() << 31 | random()) >> random() % 40;
		now = ((__u64)random() << 31 | random()) >> random() % 40;
		hk_clock_hear(&clock, peer, now);
		/* the message of whose stamp this is left up to two minutes apart */
		delay = ((__u64)random() << 10) % (reach * 9 / 10);
		if (i & 1)
			delay = -delay;
		lead = hk_clock_lead(&clock, hk_clock_stamp(peer + delay), now);
		over = lead - (__s64)(peer + delay - now);
		CHECK(over >= 0 && over <= 2 << HK_STAMP_SHIFT);
	}
	CHECK(hk_clock_lead(&clock, 0, now) == HK_LEAD_NONE);
}

static void test_gclock(void)
{
	struct hk_gclock origin = { 0 }, c = { 0 };
	__s64 by;

	hk_gclock_init(&origin, 1, 1);
	hk_gclock_init(&c, 2, 1);
	CHECK(origin.known && !origin.offset && !c.known);
	/* of node 3 nothing is known, nor from a message without a stamp */
	CHECK(!hk_gclock_behind(&c, 3, 1000, 400, &by));
	CHECK(!hk_gclock_behind(&c, 1, HK_LEAD_NONE, 400, &by));
	CHECK(!hk_gclock_behind(&origin, 2, 1000, 400, &by));
	/* the first offset may be anything */
	CHECK(hk_gclock_behind(&c, 1, -5000, 400, &by) && by == -4900);
	hk_gclock_step(&c, by);
	CHECK(c.known && c.offset == -4900);
	/* behind by no more than half of what it should be ahead: left alone */
	CHECK(!hk_gclock_behind(&c, 1, -4950, 400, &by));
	CHECK(hk_gclock_behind(&c, 1, -4949, 400, &by) && by == 51);
	CHECK(hk_gclock_gap(&c, 1, -4949) == -49 && hk_gclock_gap(&c, 1, -4899) == 1);
	/* without a round trip only what causality demands */
	CHECK(!hk_gclock_behind(&c, 1, -4901, 0, &by));
	CHECK(hk_gclock_behind(&c, 1, -4899, 0, &by) && by == 1);
	/* offsets of others grow, and count */
	CHECK(!hk_gclock_told(&c, 3, -77) && !hk_gclock_told(&c, 3, -77));
	CHECK(hk_gclock_told(&c, 3, -78) && hk_gclock_told(&c, 1, -1));
	CHECK(!hk_gclock_told(&c, 3, 500));
	CHECK(hk_gclock_behind(&c, 3, -5000, 0, &by) && by == 400);
	/* nonsense of a peer's: no trap, and too much to be believed */
	CHECK(!hk_gclock_told(&c, 4, 0));
	CHECK(hk_gclock_behind(&c, 4, 1ll << 61, 400, &by) && by > HK_GCLOCK_STEP_MAX);
	hk_gclock_behind(&c, 4, -(1ll << 62) - (1ll << 61), 400, &by);
	CHECK(!hk_gclock_told(&c, 4, 0x7fffffffffffffffll));
	hk_gclock_behind(&c, 4, 0x7fffffffffffffffll, 400, &by);
}

static void test_interval(void)
{
	/* 20 us of round trip: 10 ms; 1 ms: half a second; never more than 100 a second */
	CHECK(hk_clock_interval_ns(20000) == 10240000);
	CHECK(hk_clock_interval_ns(1000000) == 512000000);
	CHECK(hk_clock_interval_ns(0) == 10000000 && hk_clock_interval_ns(5000) == 10000000);
}

int main(void)
{
	printf("TAP version 13\n1..23\n");
	run("sound headers of every type are accepted", test_sound);
	run("short and long bodies are refused", test_length);
	run("wrong magic is refused", test_magic);
	run("wrong version is refused", test_version);
	run("unknown types are refused", test_type);
	run("every type of msg.h has its row", test_table);
	run("parts of features that were not agreed on are refused", test_longer);
	run("types of features that were not agreed on are refused", test_features);
	run("another sender is refused", test_from);
	run("wrong lane is refused", test_lane);
	run("unknown flags and misplaced pages are refused", test_flags);
	run("any stamp is accepted", test_any_stamp);
	run("VM must be given where it belongs, and only there", test_vm);
	run("noise is accepted exactly when it is sound", test_fuzz);
	run("HELLO", test_hello);
	run("PATH: node, cluster, number, cookie", test_path);
	run("ECHO", test_echo);
	run("text of a peer is fit for a log", test_text);
	run("clock error stays within its bound", test_clock);
	run("clock follows drift", test_clock_drift);
	run("stamps are read right over minutes", test_stamp);
	run("guest's clock: when to step, and how far", test_gclock);
	run("interval follows the round trip", test_interval);
	return nr_failed ? 1 : 0;
}
