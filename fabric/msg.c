// SPDX-License-Identifier: GPL-2.0
/*
 * The table of messages and the checks of what a peer sends
 *
 * Pure: compiled into the module and into the codec tests of user space. All that
 * comes in here is untrusted; nothing reads beyond the structure it is given.
 */
#include "msg.h"

#ifdef __KERNEL__
#include <asm/byteorder.h>
#include <linux/errno.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include "link.h"
#else
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#define le16_to_cpu	le16toh
#define le32_to_cpu	le32toh
const char *hk_msg_name(__u8 type);
#endif

/*
 * Bodies that the link does not know (configuration and vCPUs) are bounded by the
 * limit of the wire alone; their owners check them. ECHO goes where pages go, so
 * that it measures what a page pays.
 */
#define BODY(_name, _lane, _flags, _min, _max) {			\
	.name = (_name), .lane = HK_LANE_##_lane, .flags = (_flags),	\
	.min = (_min), .max = (_max) }

#define OPAQUE(_name)							\
	BODY(_name, CONTROL, HK_TYPE_F_VM, 0, HK_WIRE_BODY_MAX)
/* with one token for one page, and two for each of all */
#define GROUP_BYTES(_nr)						\
	(sizeof(struct hk_wire_page_group) + (_nr) * sizeof(__le32))
#define SPILL_BYTES(_nr)						\
	(sizeof(struct hk_wire_spill) + (_nr) * sizeof(__le64))

static const struct hk_wire_type types[HK_MSG_NR] = {
	[HK_MSG_HELLO] = BODY("hello", CONTROL, 0,
			      sizeof(struct hk_wire_hello),
			      sizeof(struct hk_wire_hello)),
	[HK_MSG_PING] = BODY("ping", CONTROL, 0,
			     sizeof(struct hk_wire_ping),
			     sizeof(struct hk_wire_ping)),
	[HK_MSG_PONG] = BODY("pong", CONTROL, 0,
			     sizeof(struct hk_wire_ping),
			     sizeof(struct hk_wire_ping)),
	[HK_MSG_ECHO] = BODY("echo", PAGE, 0, sizeof(struct hk_wire_echo),
			     HK_WIRE_BODY_MAX),
	[HK_MSG_ECHO_REPLY] = BODY("echo-reply", PAGE, HK_TYPE_F_PAGE,
				   sizeof(struct hk_wire_echo),
				   HK_WIRE_BODY_MAX),
	[HK_MSG_BYE] = BODY("bye", CONTROL, 0,
			    sizeof(struct hk_wire_text),
			    sizeof(struct hk_wire_text)),
	[HK_MSG_SWITCH] = BODY("switch", CONTROL, 0, 0, 0),
	[HK_MSG_PATH] = BODY("path", CONTROL, 0,
			     sizeof(struct hk_wire_path),
			     sizeof(struct hk_wire_path)),
	[HK_MSG_ACK] = BODY("ack", CONTROL, 0, sizeof(struct hk_wire_ack),
			    sizeof(struct hk_wire_ack)),
	[HK_MSG_PAGE] = {
		.name = "page",
		.lane = HK_LANE_PAGE,
		.flags = HK_TYPE_F_PAGE | HK_TYPE_F_VM,
		.min = sizeof(struct hk_wire_page_msg),
		.max = HK_PAGE_MSG_MAX,
		.longer = HK_WIRE_FEATURE_REVALIDATE,
	},
	[HK_MSG_SPILL] = BODY("spill", PAGE, HK_TYPE_F_VM, SPILL_BYTES(1),
			      SPILL_BYTES(HK_SPILL_MAX)),
	[HK_MSG_PAGE_GROUP] = {
		.name = "page-group",
		.lane = HK_LANE_PAGE,
		.flags = HK_TYPE_F_VM,
		.min = GROUP_BYTES(1),
		.max = GROUP_BYTES(2 * HK_PAGE_GROUP_MAX),
		.feature = HK_WIRE_FEATURE_PAGE_GROUP,
	},
	[HK_MSG_VM_DEAD] = BODY("vm-dead", CONTROL, HK_TYPE_F_VM,
				sizeof(struct hk_wire_text),
				sizeof(struct hk_wire_text)),
	[HK_MSG_VM_CONFIG] = OPAQUE("vm-config"),
	[HK_MSG_REPLICA_READY] = OPAQUE("replica-ready"),
	[HK_MSG_VM_CONFIG_ACK] = OPAQUE("vm-config-ack"),
	[HK_MSG_VM_CLOCK] = OPAQUE("vm-clock"),
	[HK_MSG_VCPU_STATE] = OPAQUE("vcpu-state"),
	[HK_MSG_VCPU_TAKEN] = OPAQUE("vcpu-taken"),
	[HK_MSG_VCPU_MOVE] = OPAQUE("vcpu-move"),
	[HK_MSG_VCPU_IRQ] = OPAQUE("vcpu-irq"),
	[HK_MSG_VCPU_EXIT] = OPAQUE("vcpu-exit"),
	[HK_MSG_VCPU_EXIT_DONE] = OPAQUE("vcpu-exit-done"),
	[HK_MSG_VCPU_IDENT] = OPAQUE("vcpu-ident"),
	[HK_MSG_VCPU_MOVED] = OPAQUE("vcpu-moved"),
};

/**
 * hk_wire_type() - row of the table
 * @type: enum hk_msg_type, or anything a peer sent
 * Return: the row, or NULL for a type that is not defined
 */
const struct hk_wire_type *hk_wire_type(__u8 type)
{
	if (type >= HK_MSG_NR || !types[type].name)
		return NULL;
	return &types[type];
}

/**
 * hk_msg_name() - name of a message type
 * @type: enum hk_msg_type, or anything a peer sent
 * Return: text, never NULL
 */
const char *hk_msg_name(__u8 type)
{
	const struct hk_wire_type *t = hk_wire_type(type);

	return t ? t->name : "unknown";
}

/**
 * hk_wire_hdr_check() - is this a header that @peer may send
 * @hdr: as received
 * @peer: node id of the other end of the link
 * @features: HK_WIRE_FEATURE_* that both ends have offered
 * @why: out, on refusal: constant text
 *
 * Epoch and sequence number are the link's to judge: they depend on its state.
 *
 * Return: 0 or -EPROTO
 */
int hk_wire_hdr_check(const struct hk_wire_hdr *hdr, __u16 peer,
		      __u32 features, const char **why)
{
	const struct hk_wire_type *t;
	__u32 len = le32_to_cpu(hdr->len);

	*why = "wrong magic";
	if (le16_to_cpu(hdr->magic) != HK_WIRE_MAGIC)
		return -EPROTO;
	*why = "wrong wire version";
	if (hdr->version != HK_WIRE_VERSION)
		return -EPROTO;
	*why = "unknown message type";
	t = hk_wire_type(hdr->type);
	if (!t)
		return -EPROTO;
	*why = "message type of a feature that was not agreed on";
	if (t->feature & ~features)
		return -EPROTO;
	*why = "sender is not the peer";
	if (le16_to_cpu(hdr->from) != peer)
		return -EPROTO;
	*why = "wrong lane for the type";
	if (hdr->lane != t->lane)
		return -EPROTO;
	*why = "unknown flag";
	if (hdr->flags & ~HK_WIRE_F_PAGE)
		return -EPROTO;
	*why = "page where none may be";
	if (hdr->flags & HK_WIRE_F_PAGE && !(t->flags & HK_TYPE_F_PAGE))
		return -EPROTO;
	*why = "body too short";
	if (len < t->min)
		return -EPROTO;
	*why = "body too long";
	if (len > t->max)
		return -EPROTO;
	*why = "body with a part of a feature that was not agreed on";
	if (len > t->min && t->longer & ~features)
		return -EPROTO;
	*why = "no VM given";
	if (t->flags & HK_TYPE_F_VM && !hdr->vm)
		return -EPROTO;
	*why = "VM given for a message of the link";
	if (!(t->flags & HK_TYPE_F_VM) && hdr->vm)
		return -EPROTO;
	*why = NULL;
	return 0;
}

/**
 * hk_wire_hello_check() - may this node join the conversation
 * @hello: body of HK_MSG_HELLO
 * @peer: node id that the other end should have
 * @cluster: own cluster identity, 16 bytes
 * @why: out, on refusal: constant text
 *
 * Feature bits are an offer and nothing to refuse: see hk_wire_hello_features().
 *
 * Return: 0 or -EPROTO
 */
int hk_wire_hello_check(const struct hk_wire_hello *hello, __u16 peer,
			const __u8 *cluster, const char **why)
{
	*why = "no common wire version";
	if (hello->version_min > HK_WIRE_VERSION ||
	    hello->version_max < HK_WIRE_VERSION)
		return -EPROTO;
	*why = "HELLO of another node";
	if (le16_to_cpu(hello->node) != peer)
		return -EPROTO;
	*why = "HELLO of another cluster";
	if (memcmp(hello->cluster, cluster, sizeof(hello->cluster)))
		return -EPROTO;
	*why = NULL;
	return 0;
}

/**
 * hk_wire_hello_features() - what may be used on the link
 * @hello: body of HK_MSG_HELLO
 * Return: HK_WIRE_FEATURE_* that both ends offer; bits not known here are left out
 */
__u32 hk_wire_hello_features(const struct hk_wire_hello *hello)
{
	return le32_to_cpu(hello->features) & HK_WIRE_FEATURES;
}

/**
 * hk_wire_path_check() - may this be another connection of the link
 * @path: body of HK_MSG_PATH
 * @peer: node id of the other end of the link
 * @cluster: own cluster identity, 16 bytes
 * @why: out, on refusal: constant text
 *
 * Which number and which cookie it must be is the link's to judge.
 *
 * Return: 0 or -EPROTO
 */
int hk_wire_path_check(const struct hk_wire_path *path, __u16 peer,
		       const __u8 *cluster, const char **why)
{
	static const __u8 zero[sizeof(path->reserved)];

	*why = "PATH of another node";
	if (le16_to_cpu(path->node) != peer)
		return -EPROTO;
	*why = "PATH of another cluster";
	if (memcmp(path->cluster, cluster, sizeof(path->cluster)))
		return -EPROTO;
	*why = "PATH with a number too high";
	if (path->path >= HK_PATH_MAX)
		return -EPROTO;
	*why = "PATH without a cookie";
	if (!path->cookie)
		return -EPROTO;
	*why = "PATH with a reserved field";
	if (memcmp(path->reserved, zero, sizeof(zero)))
		return -EPROTO;
	*why = NULL;
	return 0;
}

/**
 * hk_wire_echo_check() - may this be answered
 * @echo: head of the body of HK_MSG_ECHO
 * @why: out, on refusal: constant text
 * Return: 0 or -EPROTO
 */
int hk_wire_echo_check(const struct hk_wire_echo *echo, const char **why)
{
	__u32 len = le32_to_cpu(echo->reply_len);
	__u32 page = le32_to_cpu(echo->reply_page);

	*why = "ECHO asks for an unknown kind of reply";
	if (page > 1)
		return -EPROTO;
	*why = "ECHO asks for a reply too short or too long";
	if (!page && (len < sizeof(*echo) || len > HK_WIRE_BODY_MAX))
		return -EPROTO;
	*why = NULL;
	return 0;
}

/**
 * hk_wire_text_get() - a peer's text, fit for a log
 * @text: as received; need not be terminated
 * @out: HK_REASON_MAX bytes; terminated, with printable ASCII only
 */
void hk_wire_text_get(const struct hk_wire_text *text, char *out)
{
	size_t i;

	for (i = 0; i < HK_REASON_MAX - 1 && text->text[i]; i++) {
		char c = text->text[i];

		out[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	out[i] = '\0';
}
