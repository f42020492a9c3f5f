// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes of a connection: what the receiver of a link makes of them
 *
 * As fabric/link_rx.c: header, checks, body, and so on until something is refused,
 * which ends the link. Bodies go to the checks of whoever gets them. What passes is
 * then used to the last byte the way its receiver uses it, in memory that is exactly
 * as long as the message, and must be within the bounds that the receiver counts on.
 */
#include <endian.h>
#include <linux/kvm.h>
#include "../../dsm/group.h"
#include "../../migrate/pending.h"
#include "../../migrate/state.h"
#include "../../uapi/hyperkernel.h"
#include "input.h"

#define le16_to_cpu	le16toh
#define le32_to_cpu	le32toh

#define SELF		1
#define PEER		2
#define NR_VCPUS	4
#define RAM_PAGES	1024

struct hk_msg {
	void *page;
	struct hk_wire_hdr hdr;
	u8 body[];
};

/* three nodes, and the highest that can be */
static const struct hk_homes homes = {
	.nr = 4,
	.range = {
		{ 0, SELF }, { 256, PEER }, { 512, 3 }, { 768, HK_MAX_NODES - 1 },
	},
};

static const struct hk_page_facts facts = {
	.ram_pages = RAM_PAGES,
	.members = 0xe | hk_node_bit(HK_MAX_NODES - 1),
	.homes = &homes,
	.self = SELF,
	.lend = true,
};

static const __u8 cluster[16] = "0123456789abcdef";

/* Every byte is there */
static void use(const void *p, size_t len)
{
	const volatile u8 *b = p;

	while (len--)
		(void)*b++;
}

static void use_text(const struct hk_wire_text *text)
{
	char out[HK_REASON_MAX];
	size_t i;

	memset(out, 'x', sizeof(out));
	hk_wire_text_get(text, out);
	i = strnlen(out, sizeof(out));
	must(i < sizeof(out), "text without an end");
	while (i--)
		must(out[i] >= ' ' && out[i] <= '~', "text not fit for a log");
}

/* What the engine gets */
static void use_dmsg(const struct hk_dmsg *msg)
{
	const struct hk_dmsg m = *msg;
	u16 home;

	must(m.gfn < RAM_PAGES && m.from == PEER &&
	     m.to == hk_node_bit(SELF), "page message in another's name");
	home = hk_home_of(&homes, m.gfn);
	must(m.req == HK_NODE_NONE || m.req < HK_MAX_NODES, "no such requester");
	must(!(m.acks & ~facts.members), "ACK of a node that is not a member");
	must(!(m.flags & ~(HK_DMSG_F_HAVE | HK_DMSG_F_NO_DONE | HK_DMSG_F_RULER |
			   HK_DMSG_F_STEADY)),
	     "flag");
	switch (m.type) {
	case HK_DMSG_GET_X:
	case HK_DMSG_BACK:
		must(home == SELF, "for home");
		break;
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_LOST:
	case HK_DMSG_LEND:
	case HK_DMSG_PASS_S:
	case HK_DMSG_UNLEND:
		must(home == PEER, "from home");
		break;
	case HK_DMSG_INV:
		must(home == PEER || m.req == PEER, "from home, or for itself");
		break;
	/* also for who is lent the page */
	case HK_DMSG_GET_S:
	case HK_DMSG_DONE:
	case HK_DMSG_MOVED:
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_ACK:
		break;
	default:
		must(0, "no such type");
	}
}

static void use_page(const struct hk_msg *msg)
{
	struct hk_dmsg m;

	if (hk_page_msg_check(&facts, PEER, (const void *)msg->body,
			      le32_to_cpu(msg->hdr.len), msg->page, &m))
		return;
	must(!m.check.salt || ((m.type == HK_DMSG_GET_S || m.type == HK_DMSG_GET_X ||
				m.type == HK_DMSG_FWD_S || m.type == HK_DMSG_FWD_X) &&
			       !m.flags), "a check that nobody takes");
	must(m.check.salt || !m.check.hash, "a hash without a salt");
	must(!msg->page || m.type == HK_DMSG_DATA_S || m.type == HK_DMSG_DATA_X,
	     "a page that nobody takes");
	use_dmsg(&m);
}

static void use_group(const struct hk_msg *msg)
{
	const struct hk_wire_page_group *body = (const void *)msg->body;
	u32 len = le32_to_cpu(msg->hdr.len), at = 0, nr = 0;
	u64 last = 0;
	struct hk_dmsg m;
	const char *why = hk_page_group_check(&facts, PEER, body, len, &m);

	if (why) {
		use(why, strlen(why));
		return;
	}
	must(!msg->page, "a page that nobody takes");
	while (hk_page_group_next(&facts, PEER, body, &at, &m)) {
		use_dmsg(&m);
		must(m.gfn >= le64toh(body->gfn) && (!nr || m.gfn > last),
		     "pages of a group in disorder");
		must(hk_page_group_may(&m), "a message that is not for a group");
		last = m.gfn;
		nr++;
	}
	must(nr >= 1 && nr <= HK_PAGE_GROUP_MAX, "so many pages in a group");
}

static void use_config(const struct hk_wire_config *c, u32 len)
{
	u32 tail = len - sizeof(*c), index = le32_to_cpu(c->index);
	const void *data = c + 1;

	switch (le32_to_cpu(c->kind)) {
	case HK_CONFIG_BASE:
		use(data, sizeof(struct hk_config_base));
		must(tail == sizeof(struct hk_config_base), "BASE");
		return;
	case HK_CONFIG_SLOTS:
		must(!(tail % sizeof(struct hk_config_slot)), "SLOTS");
		return;
	case HK_CONFIG_ROUTES: {
		const struct kvm_irq_routing *r = data;

		must(tail >= sizeof(*r), "ROUTES");
		use(r->entries, r->nr * sizeof(r->entries[0]));
		return;
	}
	case HK_CONFIG_CPUID: {
		const struct kvm_cpuid2 *r = data;

		must(tail >= sizeof(*r) && index < NR_VCPUS, "CPUID");
		use(r->entries, r->nent * sizeof(r->entries[0]));
		return;
	}
	}
	must(0, "no such kind of section");
}

static void use_state(const struct hk_wire_state *s, u32 len)
{
	u32 msrs = le32_to_cpu(s->nr_msrs), xsave = le32_to_cpu(s->xsave_len);
	const struct kvm_msr_entry *msr = (const void *)(s + 1);

	must(msrs <= HK_STATE_MSRS_MAX, "too many MSRs");
	must(xsave >= sizeof(struct kvm_xsave) && xsave <= HK_STATE_XSAVE_MAX,
	     "length of XSAVE");
	must(hk_state_size(msrs, xsave) == len, "length of the state");
	use(msr, msrs * sizeof(*msr));
	use(msr + msrs, xsave);
}

/* As the VMM goes by it: lengths in kvm_run say how much it reads and writes */
static void use_exit(const struct hk_wire_exit *e, bool done)
{
	u32 pio = le32_to_cpu(e->pio_len);
	s32 result = (s32)le32_to_cpu(e->result);
	struct kvm_run run;

	must(pio <= 4096, "port data beyond a page");
	use(e + 1, pio);
	/* KVM goes by what it has itself, only the origin's VMM by this */
	if (done)
		return;
	must(result <= 0 && result >= -4095, "result");
	memcpy(run.padding, e->u, sizeof(e->u));
	switch (le32_to_cpu(e->exit_reason)) {
	case KVM_EXIT_IO:
		must(run.io.size == 1 || run.io.size == 2 || run.io.size == 4,
		     "port of so many bytes");
		break;
	case KVM_EXIT_MMIO:
		must(run.mmio.len <= sizeof(run.mmio.data), "MMIO of too many bytes");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		must(run.internal.ndata <= 16, "internal error of too many words");
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		must(run.system_event.ndata <= 16, "event of too many words");
		break;
	}
}

static void use_vcpu_msg(u8 type, const void *body, u32 len)
{
	const char *why = "";
	int err = hk_vcpu_msg_check(type, body, len, NR_VCPUS, &why);

	must(err == 0 || err == -EPROTO, "neither good nor bad");
	must(!err == !why, "refused without a reason, or contrary");
	if (err) {
		use(why, strlen(why));
		return;
	}
	if (type == HK_MSG_VM_CONFIG) {
		use_config(body, len);
		return;
	}
	if (type == HK_MSG_VM_CONFIG_ACK) {
		use(body, sizeof(struct hk_wire_config_ack));
		return;
	}
	if (type == HK_MSG_VM_CLOCK) {
		const struct hk_wire_clock *c = body;

		must(len == sizeof(*c) && c->known < 2 && c->ask < 2, "clock");
		return;
	}
	must(le32_to_cpu(*(const __le32 *)body) < NR_VCPUS, "no such vCPU");
	switch (type) {
	case HK_MSG_VCPU_STATE:
		use_state(body, len);
		break;
	case HK_MSG_VCPU_EXIT:
	case HK_MSG_VCPU_EXIT_DONE:
		use_exit(body, type == HK_MSG_VCPU_EXIT_DONE);
		break;
	case HK_MSG_VCPU_IRQ: {
		const struct hk_wire_irq *w = body;
		struct hk_irq irq = {
			.mode = le16_to_cpu(w->mode), .vector = w->vector,
			.level = w->level, .trig = w->trig,
		};
		struct hk_pending p = { 0 };

		must(hk_pending_add(&p, &irq), "an interrupt that cannot be kept");
		break;
	}
	case HK_MSG_VCPU_IDENT:
		use(body, sizeof(struct hk_wire_ident));
		break;
	default: {
		const struct hk_wire_vcpu *v = body;
		size_t i = strlen(v->text);

		must(len == sizeof(*v) && i < HK_REASON_MAX && v->temporary < 2,
		     "message about a vCPU");
		while (i--)
			must(v->text[i] >= ' ' && v->text[i] <= '~',
			     "text not fit for a terminal");
	}
	}
}

/* What both ends have offered on this link */
static u32 features;

/* Return: the link goes on */
static bool dispatch(const struct hk_msg *msg, bool *hello)
{
	const void *body = msg->body;
	u8 type = msg->hdr.type;
	const char *why;

	if (!*hello != (type == HK_MSG_HELLO))
		return false;
	*hello = true;
	switch (type) {
	case HK_MSG_HELLO:
		features = hk_wire_hello_features(body);
		must(!(features & ~HK_WIRE_FEATURES), "feature that is not known");
		return !hk_wire_hello_check(body, PEER, cluster, &why);
	case HK_MSG_PING:
	case HK_MSG_PONG:
		use(body, sizeof(struct hk_wire_ping));
		break;
	case HK_MSG_ECHO:
		if (hk_wire_echo_check(body, &why))
			return false;
		must(((const struct hk_wire_echo *)body)->reply_page ||
		     le32_to_cpu(((const struct hk_wire_echo *)body)->reply_len) <=
		     HK_WIRE_BODY_MAX, "reply longer than a body");
		break;
	case HK_MSG_ECHO_REPLY:
		use(body, sizeof(struct hk_wire_echo));
		break;
	case HK_MSG_BYE:
	case HK_MSG_VM_DEAD:
		use_text(body);
		return type != HK_MSG_BYE;
	case HK_MSG_SWITCH:
		must(!msg->hdr.len, "SWITCH with a body");
		break;
	case HK_MSG_PATH:
		if (hk_wire_path_check(body, PEER, cluster, &why))
			return false;
		must(((const struct hk_wire_path *)body)->path < HK_PATH_MAX &&
		     ((const struct hk_wire_path *)body)->cookie,
		     "path that cannot be");
		break;
	case HK_MSG_ACK:
		use(body, sizeof(struct hk_wire_ack));
		break;
	case HK_MSG_PAGE:
		use_page(msg);
		break;
	case HK_MSG_PAGE_GROUP:
		use_group(msg);
		break;
	case HK_MSG_SPILL:
		use(body, sizeof(struct hk_wire_spill) + sizeof(__le64));
		break;
	default:
		use_vcpu_msg(type, body, le32_to_cpu(msg->hdr.len));
	}
	return true;
}

static void check_header(const struct hk_wire_hdr *hdr)
{
	const struct hk_wire_type *t = hk_wire_type(hdr->type);
	u32 len = le32_to_cpu(hdr->len);

	must(t, "unknown type");
	must(len >= t->min && len <= t->max && len <= HK_WIRE_BODY_MAX, "length");
	must(hdr->lane < HK_LANE_NR, "lane");
	must(!(hdr->flags & ~HK_WIRE_F_PAGE), "flag");
	must(!(hdr->flags & HK_WIRE_F_PAGE) || t->flags & HK_TYPE_F_PAGE, "page");
	must(!hdr->vm == !(t->flags & HK_TYPE_F_VM), "vm");
	must(!(t->feature & ~features), "feature that was not agreed on");
}

/*
 * Magic, version, sender and sequence number are filled in most of the time: nobody
 * learns anything from guessing them
 */
static void fill_header(struct hk_wire_hdr *hdr, u64 seq)
{
	const struct hk_wire_type *t = hk_wire_type(hdr->type);

	hdr->magic = htole16(HK_WIRE_MAGIC);
	hdr->version = HK_WIRE_VERSION;
	hdr->from = htole16(PEER);
	hdr->seq = htole64(seq);
	if (t)
		hdr->lane = t->lane;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static u8 page[HK_WIRE_PAGE_SIZE];
	struct hk_wire_hdr hdr;
	bool hello = false, go_on;
	struct hk_msg *msg;
	const char *why;
	u64 seq = 1;
	u8 how;
	u32 len;

	features = 0;
	for (;;) {
		how = input_u8(&in);
		if (how & 1)
			hello = true;
		if (how & 4)
			features = HK_WIRE_FEATURES;
		if (input_bytes(&in, &hdr, sizeof(hdr)) < sizeof(hdr))
			return 0;
		if (!(how & 2))
			fill_header(&hdr, seq);
		if (hk_wire_hdr_check(&hdr, PEER, features, &why)) {
			use(why, strlen(why));
			return 0;
		}
		check_header(&hdr);
		if (le64toh(hdr.seq) != seq++)
			return 0;
		len = le32_to_cpu(hdr.len);
		msg = malloc(sizeof(*msg) + len);
		must(msg, "no memory");
		msg->hdr = hdr;
		msg->page = hdr.flags & HK_WIRE_F_PAGE ? page : NULL;
		/* what is missing at the end of the input: zeroes */
		memset(msg->body, 0, len);
		input_bytes(&in, msg->body, len);
		go_on = dispatch(msg, &hello);
		free(msg);
		if (!go_on)
			return 0;
	}
}
