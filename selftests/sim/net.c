// SPDX-License-Identifier: GPL-2.0
/*
 * Links and the hosts' way of working on what comes over them
 *
 * A node sends its messages one after the other at the speed of its link; each takes
 * the latency and some jitter, and does not overtake the one before it between the
 * same two nodes. The receiver works on one message at a time, in a group on each
 * page's as if it were one. Sizes are those of the wire.
 */
#include "sim.h"
#include "../../dsm/group.h"

#include <stdlib.h>

#define SMALL	(sizeof(struct hk_wire_hdr) + sizeof(struct hk_wire_page_msg))

/**
 * struct sim_serial - INVs that go one by one, the parallel lever being off
 */
struct sim_serial {
	struct hk_dmsg m;
	u32 nr, next;
	u16 to[];
};

/* Requests that wait to go together, while @grouping */
static struct hk_page_group group;
static unsigned int grouping;
static u16 group_from;

static struct sim_msg *pool;
static u32 pool_nr = 1, pool_max, pool_free;
static u64 *last;	/* arrival of the last message of each pair */
static double ns_per_byte;

void net_init(void)
{
	ns_per_byte = cfg.gbit > 0 ? 8 / cfg.gbit : 0;
	if (cfg.jitter_ns)
		last = sim_alloc((size_t)cfg.nodes * cfg.nodes, sizeof(*last));
}

static u32 msg_get(void)
{
	u32 nr = pool_free;

	if (nr) {
		pool_free = pool[nr].next;
		return nr;
	}
	if (pool_nr >= pool_max) {
		pool_max = pool_max ? pool_max * 2 : 4096;
		pool = realloc(pool, pool_max * sizeof(*pool));
		if (!pool)
			abort();
	}
	return pool_nr++;
}

static void put(const struct sim_msg *msg, u32 bytes, u64 depart, bool queued)
{
	struct sim_node *n = &sim.node[msg->from];
	u64 sent, arrives;
	u32 nr = msg_get();

	pool[nr] = *msg;
	n->tx_msgs++;
	n->tx_bytes += bytes;
	sim.node[msg->to].rx_msgs++;
	sim.node[msg->to].rx_bytes += bytes;
	sim.bytes += bytes;

	sent = depart;
	if (queued && n->tx_free > sent)
		sent = n->tx_free;
	sent += (u64)(bytes * ns_per_byte);
	if (queued)
		n->tx_free = sent;
	arrives = sent + cfg.latency_ns;
	if (cfg.jitter_ns) {
		u64 *pair = &last[(u64)(msg->from - 1) * cfg.nodes +
				  msg->to - 1];

		arrives += sim_random() % (cfg.jitter_ns + 1);
		if (arrives < *pair)
			arrives = *pair;
		*pair = arrives;
	}
	/* by then these will have come from far, too */
	__builtin_prefetch(copy_of(msg->to, msg->page));
	__builtin_prefetch(&sim.dir[msg->page]);
	queue_add(arrives, EVENT_ARRIVE, msg->to, nr);
}

/* A property of the content */
bool net_is_filled(u32 page)
{
	u64 h = ((u64)page << 32 | sim.content[page]) * 0x9e3779b97f4a7c15ull;

	return (h >> 40) % 100 < cfg.fill_pct;
}

/* How a page travels. Only the last content does, as only an owner sends it */
static enum hk_wire_content content_of(const struct hk_dmsg *m)
{
	if (m->type != HK_DMSG_DATA_S && m->type != HK_DMSG_DATA_X)
		return HK_CONTENT_NONE;
	if (cfg.same_filled && net_is_filled(m->gfn)) {
		sim.count[CNT_FILL]++;
		return HK_CONTENT_FILL;
	}
	if (!m->check.salt)
		return HK_CONTENT_PAGE;
	sim.depart += cfg.hash_ns;
	if (m->check.hash != sim.content[m->gfn])
		return HK_CONTENT_PAGE;
	sim.count[CNT_SAME]++;
	return HK_CONTENT_SAME;
}

static u32 size_of(const struct hk_dmsg *m, u8 content)
{
	u32 size = SMALL;

	/* the set of those who will ACK is a word on the wire; it would be longer */
	if (hk_nodes_any(m->acks))
		size += cfg.nodes / 64 * sizeof(u64);
	if (m->type == HK_DMSG_DATA_S || m->type == HK_DMSG_DATA_X) {
		if (content == HK_CONTENT_PAGE)
			size += HK_WIRE_PAGE_SIZE;
	} else if (m->check.salt) {
		size += sizeof(struct hk_wire_page_check);
	} else if (m->type == HK_DMSG_GRANT_X && !(m->flags & HK_DMSG_F_HAVE)) {
		sim.count[CNT_ZERO]++;
		if (!cfg.zero)
			size += HK_WIRE_PAGE_SIZE;
	}
	return size;
}

static void send_at(const struct hk_dmsg *m, u16 to, u32 version, u8 content,
		    u64 depart, bool queued)
{
	struct sim_msg msg = {
		.acks = m->acks,
		.tokens = m->tokens,
		.check = m->check,
		.page = m->gfn,
		.version = version,
		.from = m->from,
		.to = to,
		.req = m->req,
		.type = m->type,
		.flags = m->flags,
		.content = content,
	};

	sim.msgs[m->type]++;
	put(&msg, size_of(m, content), depart, queued);
}

/* Nothing is wrong with what these nodes say */
const char *hk_dmsg_check(const struct hk_page_facts *facts,
			  const struct hk_dmsg *m)
{
	(void)facts;
	(void)m;
	return NULL;
}

/* What hk_group_flush() of the module does, a peer without the feature left out */
static void group_flush(void)
{
	u32 nr[HK_PAGE_GROUP_MAX], n = group.nr, i;
	u32 bytes = sizeof(struct hk_wire_hdr) + hk_page_group_size(&group);
	struct sim_msg msg[HK_PAGE_GROUP_MAX];
	u16 to = group.to;
	struct hk_dmsg m;

	for (i = 0; hk_page_group_take(&group, group_from, &m); i++) {
		if (n == 1)
			send_at(&m, to, 0, HK_CONTENT_NONE, sim.depart, true);
		msg[i] = (struct sim_msg){
			.tokens = m.tokens,
			.page = m.gfn,
			.from = group_from,
			.to = to,
			.req = m.req,
			.type = m.type,
		};
	}
	if (n < 2)
		return;
	/* the last first, so that each knows the one behind it */
	for (i = n - 1; i; i--) {
		nr[i] = msg_get();
		pool[nr[i]] = msg[i];
		pool[nr[i]].more = i + 1 < n ? nr[i + 1] : 0;
	}
	msg[0].more = nr[1];
	sim.msgs[msg[0].type]++;
	sim.count[CNT_GROUPED] += n;
	put(&msg[0], bytes, sim.depart, true);
}

/**
 * net_group() - requests wait for each other from here on
 */
void net_group(void)
{
	grouping += cfg.group;
}

/**
 * net_group_end() - and go
 */
void net_group_end(void)
{
	group_flush();
	grouping -= cfg.group;
}

void net_send(const struct hk_dmsg *m, u16 to, u32 version)
{
	u8 content;

	if (grouping) {
		if (group.nr && group_from != m->from)
			group_flush();
		group_from = m->from;
		if (hk_page_group_add(&group, m, to))
			return;
		if (group.to == to || hk_page_group_may(m))
			group_flush();
		if (hk_page_group_add(&group, m, to))
			return;
	}
	content = content_of(m);
	send_at(m, to, version, content, sim.depart, true);
}

void net_spill(u16 from, u16 to, u32 page)
{
	struct sim_msg msg = {
		.page = page,
		.from = from,
		.to = to,
		.spill = 1,
	};

	sim.msgs[HK_DMSG_NR]++;
	put(&msg, sizeof(struct hk_wire_hdr) + sizeof(struct hk_wire_spill) +
	    sizeof(u64), sim.depart, true);
}

/**
 * net_serial() - send the INVs of a transaction one by one
 * @busy: the requester's
 * @m: INV; the node itself is not among the receivers
 */
void net_serial(struct sim_busy *busy, const struct hk_dmsg *m)
{
	struct sim_serial *s;
	u16 i;

	s = sim_alloc(1, sizeof(*s) + cfg.nodes * sizeof(s->to[0]));
	s->m = *m;
	for (i = 1; i <= cfg.nodes; i++)
		if (hk_nodes_any(m->to & hk_node_bit(i)))
			s->to[s->nr++] = i;
	busy->serial = s;
	net_send(m, s->to[s->next++], 0);
}

/**
 * net_serial_next() - an ACK has come: home sends the next INV
 * @busy: the requester's
 *
 * Home would have to be told. That costs it the way to home here, but no message.
 */
void net_serial_next(struct sim_busy *busy)
{
	struct sim_serial *s = busy->serial;

	if (s->next < s->nr) {
		send_at(&s->m, s->to[s->next++], 0, HK_CONTENT_NONE,
			sim.depart + cfg.latency_ns + cfg.cpu_ns, false);
		return;
	}
	free(s);
	busy->serial = NULL;
}

static void work_on(u32 nr)
{
	struct sim_msg msg = pool[nr];
	struct sim_node *n = &sim.node[msg.to];
	bool several = msg.more;
	static struct hk_dmsg m;

	n->busy_until = sim.now;
	if (several)
		net_group();
	for (;;) {
		pool[nr].next = pool_free;
		pool_free = nr;
		n->busy_until += cfg.cpu_ns;
		sim.depart = n->busy_until;
		if (msg.spill) {
			node_spilled(msg.to, msg.page);
			return;
		}
		m.gfn = msg.page;
		m.from = msg.from;
		m.req = msg.req;
		m.acks = msg.acks;
		m.tokens = msg.tokens;
		m.check = msg.check;
		/* with the check that was asked for, what was answered */
		if (msg.content)
			m.check.hash = msg.content;
		m.type = msg.type;
		m.flags = msg.flags;
		nr = msg.more;
		node_msg(msg.to, &m, msg.version);
		/* hashes take their time */
		if (sim.depart > n->busy_until)
			n->busy_until = sim.depart;
		if (!nr)
			break;
		msg = pool[nr];
	}
	if (several)
		net_group_end();
}

void net_arrive(u32 nr)
{
	u16 to = pool[nr].to;
	struct sim_node *n = &sim.node[to];

	if (n->busy_until <= sim.now && !n->rx_head) {
		work_on(nr);
		return;
	}
	pool[nr].next = 0;
	if (n->rx_head)
		pool[n->rx_tail].next = nr;
	else
		n->rx_head = nr;
	n->rx_tail = nr;
	if (!n->rx_event) {
		n->rx_event = true;
		queue_add(n->busy_until, EVENT_NODE, to, 0);
	}
}

/* The node has worked on its last message and more have come meanwhile */
void net_node(u16 node)
{
	struct sim_node *n = &sim.node[node];
	u32 nr = n->rx_head;

	n->rx_head = pool[nr].next;
	work_on(nr);
	n->rx_event = n->rx_head;
	if (n->rx_event)
		queue_add(n->busy_until, EVENT_NODE, node, 0);
}
