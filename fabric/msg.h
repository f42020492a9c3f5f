/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every structure and limit of the wire
 *
 * Little endian, naturally aligned, reserved fields sent as zero and checked to
 * be zero, variable tail last. Pure: included by user space (codec tests) too.
 */
#ifndef HK_FABRIC_MSG_H
#define HK_FABRIC_MSG_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

#define HK_WIRE_MAGIC		0x4b48	/* "HK" */
#define HK_WIRE_VERSION		1
/*
 * Features, bits in HELLO. Each end offers those it knows; what both have offered is
 * used on the link, a bit that is not known here is ignored. A bit once used keeps its
 * meaning.
 *
 * PAGE_GROUP: HK_MSG_PAGE_GROUP (v1)
 * READ_X: GET_S in HK_MSG_PAGE may have a second token, and is then answered by DATA_S
 *	with the first or by DATA_X with the second (v1)
 * LEND: LEND and the types behind it in HK_MSG_PAGE, RULER in DATA_S and INV; where all
 *	members offer it a page may be ruled by its owner (v1)
 * REVALIDATE: GET_S, GET_X, FWD_S, FWD_X and PASS_S in HK_MSG_PAGE may have a check behind them,
 *	struct hk_wire_page_check, and the answer may be HK_CONTENT_SAME then (v1)
 */
#define HK_WIRE_FEATURE_PAGE_GROUP	0x1
#define HK_WIRE_FEATURE_READ_X		0x2
#define HK_WIRE_FEATURE_LEND		0x4
#define HK_WIRE_FEATURE_REVALIDATE	0x8
#define HK_WIRE_FEATURES		(HK_WIRE_FEATURE_PAGE_GROUP | \
					 HK_WIRE_FEATURE_READ_X | \
					 HK_WIRE_FEATURE_LEND | \
					 HK_WIRE_FEATURE_REVALIDATE)

/* Longest body of any message, without the page that may follow it */
#define HK_WIRE_BODY_MAX	32768
#define HK_WIRE_PAGE_SIZE	4096

/**
 * enum hk_lane - messages of one lane stay in order; a lower lane goes first
 * @HK_LANE_CONTROL: heartbeats, interrupts, vCPU state, exits
 * @HK_LANE_PAGE: the page protocol, with and without data
 * @HK_LANE_NR: number of lanes
 */
enum hk_lane {
	HK_LANE_CONTROL = 0,
	HK_LANE_PAGE,
	HK_LANE_NR
};

/**
 * enum hk_msg_type - what a message is; a number once used keeps its meaning
 * @HK_MSG_NONE: never sent
 * @HK_MSG_HELLO: both ways, first on a link (v1)
 * @HK_MSG_PING: both ways, heartbeat and clock sample (v1)
 * @HK_MSG_PONG: answer to PING (v1)
 * @HK_MSG_ECHO: both ways, measures the link: asks for a reply of given size (v1)
 * @HK_MSG_ECHO_REPLY: answer to ECHO (v1)
 * @HK_MSG_BYE: both ways, orderly end of the link with a reason (v1)
 * @HK_MSG_SWITCH: both ways, last on a connection: all that follows comes on the
 *	next one (v1)
 * @HK_MSG_PATH: both ways: another connection of this link; on the link, numbered, and
 *	as the first message on that connection (v1)
 * @HK_MSG_ACK: both ways, not numbered: all messages up to this one have come (v1)
 * @HK_MSG_PAGE: page protocol, struct hk_wire_page_msg
 *	[+ struct hk_wire_page_check] [+ page] (v1)
 * @HK_MSG_SPILL: node over its budget -> node with room: take these pages (v1)
 * @HK_MSG_PAGE_GROUP: page protocol, requests for several pages, struct
 *	hk_wire_page_group (v1, feature PAGE_GROUP)
 * @HK_MSG_VM_DEAD: any -> all members: the guest is stopped, reason text (v1)
 * @HK_MSG_VM_CONFIG: origin -> replica: one section of what KVM was told (v1)
 * @HK_MSG_REPLICA_READY: replica -> all: may take this vCPU (v1)
 * @HK_MSG_VM_CONFIG_ACK: replica -> origin: applied up to here (v1)
 * @HK_MSG_VM_CLOCK: any -> all members: offset of the guest's clock here (v1)
 * @HK_MSG_VCPU_STATE: resident -> target: the state of a vCPU (v1)
 * @HK_MSG_VCPU_TAKEN: target -> source and all: it runs here now, or not (v1)
 * @HK_MSG_VCPU_MOVE: any -> resident: please move to this node (v1)
 * @HK_MSG_VCPU_IRQ: any -> resident: an interrupt for a vCPU (v1)
 * @HK_MSG_VCPU_EXIT: resident -> origin: exit that the VMM must serve (v1)
 * @HK_MSG_VCPU_EXIT_DONE: origin -> resident: its result (v1)
 * @HK_MSG_VCPU_IDENT: resident -> all: identity of its LAPIC changed (v1)
 * @HK_MSG_VCPU_MOVED: resident -> asker: result of VCPU_MOVE (v1)
 * @HK_MSG_NR: bound of the numbers
 */
enum hk_msg_type {
	HK_MSG_NONE = 0,
	HK_MSG_HELLO = 1,
	HK_MSG_PING = 2,
	HK_MSG_PONG = 3,
	HK_MSG_ECHO = 4,
	HK_MSG_ECHO_REPLY = 5,
	HK_MSG_BYE = 6,
	HK_MSG_SWITCH = 7,
	HK_MSG_PATH = 8,
	HK_MSG_ACK = 9,
	HK_MSG_PAGE = 16,
	HK_MSG_SPILL = 17,
	HK_MSG_PAGE_GROUP = 18,
	HK_MSG_VM_DEAD = 32,
	HK_MSG_VM_CONFIG = 33,
	HK_MSG_REPLICA_READY = 34,
	HK_MSG_VM_CONFIG_ACK = 35,
	HK_MSG_VM_CLOCK = 36,
	HK_MSG_VCPU_STATE = 48,
	HK_MSG_VCPU_TAKEN = 49,
	HK_MSG_VCPU_MOVE = 50,
	HK_MSG_VCPU_IRQ = 51,
	HK_MSG_VCPU_EXIT = 52,
	HK_MSG_VCPU_EXIT_DONE = 53,
	HK_MSG_VCPU_IDENT = 54,
	HK_MSG_VCPU_MOVED = 55,
	HK_MSG_NR = 64
};

/* The body is followed by one page of HK_WIRE_PAGE_SIZE bytes */
#define HK_WIRE_F_PAGE		0x01

/**
 * struct hk_wire_hdr - opens every message
 * @magic: HK_WIRE_MAGIC
 * @version: HK_WIRE_VERSION
 * @type: enum hk_msg_type
 * @len: bytes of body that follow, without the page
 * @from: node id of the sender
 * @lane: enum hk_lane
 * @flags: HK_WIRE_F_*
 * @epoch: membership generation of the sender
 * @vm: id of the VM this is about, 0 for the link itself
 * @seq: counts messages of this link and direction from 1; 0: about the connection it
 *	comes on, not numbered (PATH, ACK, and PING and PONG when there are several)
 * @stamp: sender's TSC when it left, see hk_clock_stamp(); 0: not said
 */
struct hk_wire_hdr {
	__le16 magic;
	__u8 version;
	__u8 type;
	__le32 len;
	__le16 from;
	__u8 lane;
	__u8 flags;
	__le32 epoch;
	__le32 vm;
	__le32 stamp;
	__le64 seq;
};

/**
 * struct hk_wire_hello - body of HK_MSG_HELLO
 * @version_min: lowest wire version the sender speaks
 * @version_max: highest
 * @node: sender
 * @features: HK_WIRE_FEATURE_* that the sender offers
 * @cluster: cluster identity, must be equal on both ends
 */
struct hk_wire_hello {
	__u8 version_min;
	__u8 version_max;
	__le16 node;
	__le32 features;
	__u8 cluster[16];
};

/**
 * struct hk_wire_ping - body of HK_MSG_PING and HK_MSG_PONG
 * @t_sent: TSC of the pinging host when PING left
 * @t_peer: in PONG: TSC of the answering host
 * @used: pages of RAM that the sender uses of its budget
 * @budget: pages that the sender contributes
 */
struct hk_wire_ping {
	__le64 t_sent;
	__le64 t_peer;
	__le64 used;
	__le64 budget;
};

#define HK_PATH_MAX	4	/* connections of one link, numbered from 0 */

/**
 * struct hk_wire_path - body of HK_MSG_PATH
 * @node: sender
 * @path: number of the connection, below HK_PATH_MAX
 * @reserved: zero
 * @cookie: not 0; the same on the link and on the connection, another one for each
 * @cluster: cluster identity, must be equal on both ends
 */
struct hk_wire_path {
	__le16 node;
	__u8 path;
	__u8 reserved[5];
	__le64 cookie;
	__u8 cluster[16];
};

/**
 * struct hk_wire_ack - body of HK_MSG_ACK
 * @seq: number of the last message that has come
 */
struct hk_wire_ack {
	__le64 seq;
};

/**
 * struct hk_wire_echo - body of HK_MSG_ECHO, padded to the size asked for, and
 * of HK_MSG_ECHO_REPLY
 * @cookie: given back
 * @reply_len: bytes of body wanted in the reply, or with @reply_page a page
 * @reply_page: 1: the reply carries a page
 */
struct hk_wire_echo {
	__le64 cookie;
	__le32 reply_len;
	__le32 reply_page;
};

/* How the content of a page travels */
enum hk_wire_content {
	HK_CONTENT_NONE = 0,	/* none */
	HK_CONTENT_PAGE = 1,	/* HK_WIRE_F_PAGE, 4096 bytes behind the body */
	HK_CONTENT_FILL = 2,	/* @fill repeated 512 times */
	HK_CONTENT_SAME = 3,	/* none: the receiver's old copy is the same */
};

/**
 * struct hk_wire_page_msg - body of HK_MSG_PAGE, see struct hk_dmsg
 * @gfn: page of guest RAM
 * @fill: for HK_CONTENT_FILL
 * @acks: set of nodes, bit n for node n
 * @data_token: of the request; as all below, zero where its type has none
 * @ack_token: likewise
 * @req: node
 * @dtype: enum hk_dmsg_type
 * @dflags: HK_DMSG_F_*
 * @content: enum hk_wire_content
 * @reserved: zero
 */
struct hk_wire_page_msg {
	__le64 gfn;
	__le64 fill;
	__le64 acks;
	__le32 data_token;
	__le32 ack_token;
	__le16 req;
	__u8 dtype;
	__u8 dflags;
	__u8 content;
	__u8 reserved[3];
};

/**
 * struct hk_wire_page_check - behind struct hk_wire_page_msg, see struct hk_check
 * @salt: not 0
 * @hash: SipHash-2-4 of the 4096 bytes of the old copy, under the key @salt, gfn
 */
struct hk_wire_page_check {
	__le64 salt;
	__le64 hash;
};

/* Longest body of HK_MSG_PAGE */
#define HK_PAGE_MSG_MAX	(sizeof(struct hk_wire_page_msg) + \
			 sizeof(struct hk_wire_page_check))

#define HK_PAGE_GROUP_MAX	32

/**
 * struct hk_wire_page_group - body of HK_MSG_PAGE_GROUP
 * @gfn: first page
 * @map: bit i: page @gfn + i is asked for; bit 0 is set
 * @req: as in each page's own message
 * @dtype: likewise: GET_S, GET_X, FWD_S or FWD_X, without acks and flags
 * @reserved: zero
 * @token: tokens of each page, by ascending number: that for data, and for GET_X that
 *	for ACKs behind it
 *
 * Means what struct hk_wire_page_msg would for each page, one after the other.
 */
struct hk_wire_page_group {
	__le64 gfn;
	__le32 map;
	__le16 req;
	__u8 dtype;
	__u8 reserved;
	__le32 token[];
};

#define HK_SPILL_MAX	64

/**
 * struct hk_wire_spill - body of HK_MSG_SPILL
 * @nr: entries in @gfn, 1 to HK_SPILL_MAX
 * @reserved: zero
 * @gfn: pages the receiver is asked to take over, if it has room
 */
struct hk_wire_spill {
	__le32 nr;
	__le32 reserved;
	__le64 gfn[];
};

#define HK_REASON_MAX	192	/* with the closing NUL */

/**
 * struct hk_wire_text - body of HK_MSG_VM_DEAD and HK_MSG_BYE
 * @node: node that noticed
 * @reserved: zero
 * @text: why, NUL-terminated
 */
struct hk_wire_text {
	__le16 node;
	__u8 reserved[6];
	char text[HK_REASON_MAX];
};

static_assert(sizeof(struct hk_wire_hdr) == 32);
static_assert(sizeof(struct hk_wire_hello) == 24);
static_assert(sizeof(struct hk_wire_ping) == 32);
static_assert(sizeof(struct hk_wire_path) == 32);
static_assert(sizeof(struct hk_wire_ack) == 8);
static_assert(sizeof(struct hk_wire_echo) == 16);
static_assert(sizeof(struct hk_wire_page_msg) == 40);
static_assert(sizeof(struct hk_wire_page_check) == 16);
static_assert(sizeof(struct hk_wire_page_group) == 16);
static_assert(sizeof(struct hk_wire_text) == 8 + HK_REASON_MAX);

/* A page may follow the body of this type */
#define HK_TYPE_F_PAGE	0x01
/* About one VM: the header's vm is not 0. Without: about the link, vm is 0 */
#define HK_TYPE_F_VM	0x02

/**
 * struct hk_wire_type - what the header of one message type may say
 * @name: for logs and traces
 * @lane: enum hk_lane
 * @flags: HK_TYPE_F_*
 * @min: shortest body
 * @max: longest body
 * @feature: HK_WIRE_FEATURE_* that both ends must have offered, 0: none
 * @longer: likewise, where the body is longer than @min
 */
struct hk_wire_type {
	const char *name;
	__u8 lane;
	__u8 flags;
	__u8 feature;
	__u8 longer;
	__u32 min;
	__u32 max;
};

const struct hk_wire_type *hk_wire_type(__u8 type);
int hk_wire_hdr_check(const struct hk_wire_hdr *hdr, __u16 peer,
		      __u32 features, const char **why);
int hk_wire_hello_check(const struct hk_wire_hello *hello, __u16 peer,
			const __u8 *cluster, const char **why);
__u32 hk_wire_hello_features(const struct hk_wire_hello *hello);
int hk_wire_path_check(const struct hk_wire_path *path, __u16 peer,
		       const __u8 *cluster, const char **why);
int hk_wire_echo_check(const struct hk_wire_echo *echo, const char **why);
void hk_wire_text_get(const struct hk_wire_text *text, char *out);

#endif /* HK_FABRIC_MSG_H */
