// SPDX-License-Identifier: GPL-2.0
/*
 * Write a capture of a link between two nodes, as user/wireshark has to read it
 *
 *	mkpcap FILE
 *
 * Made with the structures and the names that the module uses. Standard output says
 * what is in it, a line for each message: sender, number, summary.
 */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../dsm/page.h"
#include "../../fabric/msg.h"
#include "../../migrate/msg.h"
#include "../../migrate/pending.h"

#define MSS		1448
#define PORT		7117
#define VM		65537
#define EPOCH		5
#define STREAM_MAX	(256 * 1024)

const char *hk_msg_name(__u8 type);

/* One direction of the connection: what is sent next */
struct side {
	uint8_t buf[STREAM_MAX];
	size_t len;
	uint32_t tcp_seq;
	uint64_t seq;
	uint16_t node;
};

static struct side sides[2] = {
	{ .tcp_seq = 1000, .node = 1 },
	{ .tcp_seq = 777000, .node = 2 },
};

static FILE *pcap;
static unsigned int connection;

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static void frame(int from, const void *data, size_t len)
{
	static uint32_t usec;
	uint8_t h[54] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45 };
	uint32_t rec[4] = { 1, usec += 10, sizeof(h) + len, sizeof(h) + len };

	put16(h + 16, 40 + len);		/* IPv4 */
	h[22] = 64;
	h[23] = 6;
	put32(h + 26, 0x0a090001 + from);
	put32(h + 30, 0x0a090002 - from);
	put16(h + 34, from ? PORT : 40000 + connection);	/* TCP */
	put16(h + 36, from ? 40000 + connection : PORT);
	put32(h + 38, sides[from].tcp_seq);
	put32(h + 42, sides[!from].tcp_seq);
	h[46] = 0x50;
	h[47] = 0x18;
	put16(h + 48, 65000);
	fwrite(rec, sizeof(rec), 1, pcap);
	fwrite(h, sizeof(h), 1, pcap);
	fwrite(data, len, 1, pcap);
	sides[from].tcp_seq += len;
}

/* What has gathered leaves in segments, which respect no message */
static void flush_side(int from)
{
	struct side *s = &sides[from];
	size_t off, n;

	for (off = 0; off < s->len; off += n) {
		n = s->len - off < MSS ? s->len - off : MSS;
		frame(from, s->buf + off, n);
	}
	s->len = 0;
}

static void add(struct side *s, const void *data, size_t len)
{
	if (s->len + len > STREAM_MAX)
		abort();
	memcpy(s->buf + s->len, data, len);
	s->len += len;
}

static void msg(int from, uint8_t type, const void *body, uint32_t len, bool page,
		const char *summary)
{
	static uint8_t content[HK_WIRE_PAGE_SIZE];
	const struct hk_wire_type *t = hk_wire_type(type);
	struct side *s = &sides[from];
	struct hk_wire_hdr h = {
		.magic = htole16(HK_WIRE_MAGIC),
		.version = HK_WIRE_VERSION,
		.type = type,
		.len = htole32(len),
		.from = htole16(s->node),
		.lane = t->lane,
		.flags = page ? HK_WIRE_F_PAGE : 0,
		.epoch = htole32(EPOCH),
		.vm = htole32(t->flags & HK_TYPE_F_VM ? VM : 0),
		.seq = htole64(++s->seq),
	};

	add(s, &h, sizeof(h));
	add(s, body, len);
	if (page) {
		/* half a header at each place where one might be looked for */
		memset(content, 'H', sizeof(content));
		add(s, content, sizeof(content));
	}
	printf("%u %llu %s\n", s->node, (unsigned long long)s->seq, summary);
}

static void plain_msg(int from, uint8_t type, uint32_t len)
{
	static const uint8_t zeros[512];

	msg(from, type, zeros, len, false, hk_msg_name(type));
}

static void vcpu_msg(int from, uint8_t type, uint32_t vcpu, uint32_t len)
{
	uint8_t body[2048] = {};
	char summary[80];

	memcpy(body, &vcpu, sizeof(vcpu));
	snprintf(summary, sizeof(summary), "%s vCPU %u", hk_msg_name(type), vcpu);
	msg(from, type, body, len, false, summary);
}

static void irq_msg(int from, uint16_t mode, const char *name)
{
	struct hk_wire_irq m = { .vcpu = htole32(3), .mode = htole16(mode), .vector = 236 };
	char summary[80];

	snprintf(summary, sizeof(summary), "vcpu-irq vCPU 3 %s vector 236", name);
	msg(from, HK_MSG_VCPU_IRQ, &m, sizeof(m), false, summary);
}

static void page_msg(int from, uint8_t dtype, uint64_t gfn, uint16_t req)
{
	bool page = dtype == HK_DMSG_DATA_S || dtype == HK_DMSG_DATA_X;
	struct hk_wire_page_msg m = {
		.gfn = htole64(gfn),
		.acks = htole64(dtype == HK_DMSG_FWD_X ? 0x8000000000000006ull : 0),
		.data_token = htole32(0xd0000000 + gfn),
		.ack_token = htole32(0xa0000000 + gfn),
		.req = htole16(req),
		.dtype = dtype,
		.content = page ? HK_CONTENT_PAGE : HK_CONTENT_NONE,
	};
	char summary[80];
	int n;

	n = snprintf(summary, sizeof(summary), "%s gfn %llx", hk_dmsg_name(dtype),
		     (unsigned long long)gfn);
	if (req)
		snprintf(summary + n, sizeof(summary) - n, " for node %u", req);
	msg(from, HK_MSG_PAGE, &m, sizeof(m), page, summary);
}

/* A request that names an old copy */
static void check_msg(int from, uint64_t gfn)
{
	struct {
		struct hk_wire_page_msg m;
		struct hk_wire_page_check check;
	} get = {
		.m.gfn = htole64(gfn), .m.data_token = htole32(1),
		.m.ack_token = htole32(2), .m.dtype = HK_DMSG_GET_X,
		.check.salt = htole64(0x5a17000000000001ull),
		.check.hash = htole64(0xfedcba9876543210ull),
	};
	char summary[80];

	snprintf(summary, sizeof(summary), "GET_X gfn %llx", (unsigned long long)gfn);
	msg(from, HK_MSG_PAGE, &get, sizeof(get), false, summary);
}

/* Three pages: the first, the one behind it, and the last that there can be */
static void group_msg(int from, uint8_t dtype, uint64_t gfn, uint16_t req)
{
	struct {
		struct hk_wire_page_group m;
		uint32_t token[6];
	} g = { .m = {
		.gfn = htole64(gfn), .map = htole32(0x80000003), .req = htole16(req),
		.dtype = dtype,
	} };
	unsigned int i, nr = dtype == HK_DMSG_GET_X ? 6 : 3;
	char summary[80];
	int n;

	for (i = 0; i < nr; i++)
		g.token[i] = htole32(0xe0000000 + 256 * dtype + i);
	n = snprintf(summary, sizeof(summary), "%s 3 pages from gfn %llx",
		     hk_dmsg_name(dtype), (unsigned long long)gfn);
	if (req)
		snprintf(summary + n, sizeof(summary) - n, " for node %u", req);
	msg(from, HK_MSG_PAGE_GROUP, &g, sizeof(g.m) + nr * 4, false, summary);
}

static void text_msg(int from, uint8_t type)
{
	struct hk_wire_text m = { .node = htole16(1), .text = "enough of it" };
	char summary[80];

	snprintf(summary, sizeof(summary), "%s: %s", hk_msg_name(type), m.text);
	msg(from, type, &m, sizeof(m), false, summary);
}

/*
 * The daemons make a TLS connection and say who they are, before the modules have the
 * socket. The last record and the first message may come in one segment.
 */
static void connect_nodes(void)
{
	static const uint8_t client[] = {
		0x16, 3, 1, 0, 45,			/* a record: */
		1, 0, 0, 41, 3, 3,			/* ClientHello, "TLS 1.2" */
		'C', 'l', 'i', 'e', 'n', 't', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 2, 0x13, 2, 1, 0,
	};
	static const uint8_t data[] = { 0x17, 3, 3, 0, 6, 'd', 'a', 'e', 'm', 'o', 'n' };

	frame(0, client, sizeof(client));
	frame(1, data, sizeof(data));
	frame(0, data, sizeof(data));
	add(&sides[1], data, sizeof(data));
}

/* Each type once at least, many in one segment, pages over several */
static void talk(void)
{
	struct {
		struct hk_wire_spill m;
		uint64_t gfn[2];
	} spill = { .m = { .nr = htole32(2) }, .gfn = { htole64(7), htole64(8) } };
	unsigned int i;

	plain_msg(0, HK_MSG_HELLO, sizeof(struct hk_wire_hello));
	flush_side(0);
	plain_msg(1, HK_MSG_HELLO, sizeof(struct hk_wire_hello));
	flush_side(1);
	plain_msg(0, HK_MSG_PING, sizeof(struct hk_wire_ping));
	plain_msg(0, HK_MSG_ECHO, 64);
	flush_side(0);
	plain_msg(1, HK_MSG_PONG, sizeof(struct hk_wire_ping));
	plain_msg(1, HK_MSG_ECHO_REPLY, 64);
	for (i = HK_DMSG_GET_S; i < HK_DMSG_NR; i++)
		page_msg(1, i, 0x1230 + i, i == HK_DMSG_INV ? 2 : 0);
	msg(1, HK_MSG_SPILL, &spill, sizeof(spill), false, "spill");
	group_msg(1, HK_DMSG_GET_X, 0x2000, 0);
	group_msg(1, HK_DMSG_FWD_S, 0x3000, 2);
	check_msg(1, 0x4000);
	flush_side(1);
	page_msg(0, HK_DMSG_DATA_X, 0, 0);
	plain_msg(0, HK_MSG_VM_CONFIG, sizeof(struct hk_wire_config));
	plain_msg(0, HK_MSG_REPLICA_READY, sizeof(struct hk_wire_vcpu));
	plain_msg(0, HK_MSG_VM_CONFIG_ACK, sizeof(struct hk_wire_config_ack));
	plain_msg(0, HK_MSG_VM_CLOCK, sizeof(struct hk_wire_clock));
	vcpu_msg(0, HK_MSG_VCPU_STATE, 1, 2048);
	vcpu_msg(0, HK_MSG_VCPU_TAKEN, 2, sizeof(struct hk_wire_vcpu));
	vcpu_msg(0, HK_MSG_VCPU_MOVE, 3, sizeof(struct hk_wire_vcpu));
	vcpu_msg(0, HK_MSG_VCPU_MOVED, 4, sizeof(struct hk_wire_vcpu));
	vcpu_msg(0, HK_MSG_VCPU_EXIT, 5, sizeof(struct hk_wire_exit));
	vcpu_msg(0, HK_MSG_VCPU_EXIT_DONE, 6, sizeof(struct hk_wire_exit));
	vcpu_msg(0, HK_MSG_VCPU_IDENT, 7, sizeof(struct hk_wire_ident));
	irq_msg(0, HK_DM_FIXED, "fixed");
	irq_msg(0, HK_DM_LOWEST, "lowest-priority");
	irq_msg(0, HK_DM_SMI, "smi");
	irq_msg(0, HK_DM_NMI, "nmi");
	irq_msg(0, HK_DM_INIT, "init");
	irq_msg(0, HK_DM_STARTUP, "startup");
	irq_msg(0, HK_DM_ACCEPTED, "accepted");
	flush_side(0);
	/* Each direction goes on in another connection, numbered on */
	plain_msg(0, HK_MSG_SWITCH, 0);
	flush_side(0);
	plain_msg(1, HK_MSG_PING, sizeof(struct hk_wire_ping));
	plain_msg(1, HK_MSG_SWITCH, 0);
	flush_side(1);
	connection = 1;
	connect_nodes();
	plain_msg(0, HK_MSG_PONG, sizeof(struct hk_wire_ping));
	plain_msg(0, HK_MSG_PATH, sizeof(struct hk_wire_path));
	plain_msg(0, HK_MSG_ACK, sizeof(struct hk_wire_ack));
	flush_side(0);
	text_msg(1, HK_MSG_VM_DEAD);
	text_msg(1, HK_MSG_BYE);
	flush_side(1);
}

int main(int argc, char **argv)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1 };

	if (argc != 2) {
		fprintf(stderr, "usage: mkpcap FILE\n");
		return 2;
	}
	pcap = fopen(argv[1], "wb");
	if (!pcap) {
		perror(argv[1]);
		return 1;
	}
	fwrite(head, sizeof(head), 1, pcap);
	connect_nodes();
	talk();
	return fclose(pcap) ? 1 : 0;
}
