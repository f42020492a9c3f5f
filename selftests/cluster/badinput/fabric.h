/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: a peer that breaks the protocol */

enum {
	T_PING, T_ECHO, T_BYE, T_PAGE, T_GROUP, T_SPILL, T_VM_DEAD, T_CONFIG, T_CONFIG_ACK, T_CLOCK, T_READY,
	T_STATE, T_TAKEN, T_MOVE, T_MOVED, T_IRQ, T_EXIT, T_EXIT_DONE, T_IDENT, T_PATH, T_ACK,
	T_HELLO,
};

/* What becomes of it */
enum {
	ENDS,		/* the link ends, with it the VM */
	ENDS_KILLS,	/* the VM is stopped for a reason of its own, the link ends */
	KILLS,		/* the VM is stopped, the link goes on */
	STALE,		/* dropped and counted */
	UNKNOWN,	/* likewise */
	LIVES,		/* nothing, or an answer */
};

struct patch {
	uint16_t off;
	uint8_t size;
	uint64_t v;
};

struct fcase {
	const char *name;
	int tmpl;
	int what;
	const char *text;
	struct patch patch[4];
	int len;	/* of the body, 0: as it should be, -1: 0 */
	int replica;	/* the VM's origin is the peer */
	int times;	/* 0 or 1: once */
	int reply;	/* type of the answer */
};

#define H(field, v) { offsetof(struct hk_wire_hdr, field),			\
	sizeof(((struct hk_wire_hdr *)0)->field), (v) }
#define B(s, field, v) { sizeof(struct hk_wire_hdr) + offsetof(struct hk_wire_##s, field), \
	sizeof(((struct hk_wire_##s *)0)->field), (v) }
#define B1(s, field, i, v) { sizeof(struct hk_wire_hdr) +			\
	offsetof(struct hk_wire_##s, field) + (i), 1, (v) }
#define P(...)	.patch = { __VA_ARGS__ }

static void tmpl_make(struct peer *p, struct msg *m, int tmpl)
{
	static const struct {
		uint8_t type, lane, vm;
		uint32_t len;
	} t[] = {
		[T_PING] = { HK_MSG_PING, 0, 0, sizeof(struct hk_wire_ping) },
		[T_ECHO] = { HK_MSG_ECHO, 1, 0, sizeof(struct hk_wire_echo) },
		[T_BYE] = { HK_MSG_BYE, 0, 0, sizeof(struct hk_wire_text) },
		[T_PAGE] = { HK_MSG_PAGE, 1, 1, sizeof(struct hk_wire_page_msg) },
		[T_GROUP] = { HK_MSG_PAGE_GROUP, 1, 1,
			      sizeof(struct hk_wire_page_group) + 12 },
		[T_SPILL] = { HK_MSG_SPILL, 1, 1, sizeof(struct hk_wire_spill) + 8 },
		[T_VM_DEAD] = { HK_MSG_VM_DEAD, 0, 1, sizeof(struct hk_wire_text) },
		[T_CONFIG] = { HK_MSG_VM_CONFIG, 0, 1, sizeof(struct hk_wire_config) +
			       sizeof(struct hk_config_base) },
		[T_CONFIG_ACK] = { HK_MSG_VM_CONFIG_ACK, 0, 1, 8 },
		[T_CLOCK] = { HK_MSG_VM_CLOCK, 0, 1, sizeof(struct hk_wire_clock) },
		[T_READY] = { HK_MSG_REPLICA_READY, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_STATE] = { HK_MSG_VCPU_STATE, 0, 1, sizeof(struct hk_wire_state) + 4096 },
		[T_TAKEN] = { HK_MSG_VCPU_TAKEN, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_MOVE] = { HK_MSG_VCPU_MOVE, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_MOVED] = { HK_MSG_VCPU_MOVED, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_IRQ] = { HK_MSG_VCPU_IRQ, 0, 1, sizeof(struct hk_wire_irq) },
		[T_EXIT] = { HK_MSG_VCPU_EXIT, 0, 1, sizeof(struct hk_wire_exit) },
		[T_EXIT_DONE] = { HK_MSG_VCPU_EXIT_DONE, 0, 1, sizeof(struct hk_wire_exit) },
		[T_PATH] = { HK_MSG_PATH, 0, 0, sizeof(struct hk_wire_path) },
		[T_ACK] = { HK_MSG_ACK, 0, 0, sizeof(struct hk_wire_ack) },
		[T_IDENT] = { HK_MSG_VCPU_IDENT, 0, 1, sizeof(struct hk_wire_ident) },
	};

	if (tmpl == T_HELLO) {
		msg_hello(p, m);
		return;
	}
	msg_init(p, m, t[tmpl].type, t[tmpl].lane, t[tmpl].vm * VM, t[tmpl].len);
	switch (tmpl) {
	case T_PATH:
		((struct hk_wire_path *)BODY(m))->node = p->id;
		((struct hk_wire_path *)BODY(m))->path = 1;
		((struct hk_wire_path *)BODY(m))->cookie = 77;
		memcpy(((struct hk_wire_path *)BODY(m))->cluster, cluster, sizeof(cluster));
		break;
	case T_ECHO:
		((struct hk_wire_echo *)BODY(m))->reply_len = 16;
		break;
	case T_BYE:
	case T_VM_DEAD:
		strcpy(((struct hk_wire_text *)BODY(m))->text, "going\n now");
		break;
	case T_PAGE:
		((struct hk_wire_page_msg *)BODY(m))->dtype = HK_DMSG_GET_S;
		break;
	case T_GROUP:
		*(struct hk_wire_page_group *)BODY(m) = (struct hk_wire_page_group){
			.map = 7, .dtype = HK_DMSG_GET_S,
		};
		memset(((struct hk_wire_page_group *)BODY(m))->token, 0xd5, 12);
		break;
	case T_SPILL:
		((struct hk_wire_spill *)BODY(m))->nr = 1;
		break;
	case T_CONFIG:
		((struct hk_wire_config *)BODY(m))->kind = HK_CONFIG_BASE;
		((struct hk_wire_config *)BODY(m))->seq = 1;
		break;
	case T_MOVE:
		((struct hk_wire_vcpu *)BODY(m))->node = PEER;
		break;
	case T_STATE:
		((struct hk_wire_state *)BODY(m))->seq = 1;
		((struct hk_wire_state *)BODY(m))->xsave_len = 4096;
		break;
	}
}

#define BROKE(t)	"node 2 broke the protocol: " t
#define PG(n)		sizeof(struct hk_wire_page_msg) + (n)
#define FIELD(f, v)	B(page_msg, f, v)
#define DTYPE(t)	FIELD(dtype, HK_DMSG_##t)

static const struct fcase header_cases[] = {
	{ "magic", T_PING, ENDS, BROKE("wrong magic"), P(H(magic, 0x4b49)) },
	{ "version 0", T_PING, ENDS, BROKE("wrong wire version"), P(H(version, 0)) },
	{ "version 2", T_PING, ENDS, BROKE("wrong wire version"), P(H(version, 2)) },
	{ "type 0", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 0)) },
	{ "type 10", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 10)) },
	{ "type 63", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 63)) },
	{ "type 64", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 64)) },
	{ "type 255", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 255)) },
	{ "from nobody", T_PING, ENDS, BROKE("sender is not the peer"), P(H(from, 0)) },
	{ "from the receiver", T_PING, ENDS, BROKE("sender is not the peer"), P(H(from, 1)) },
	{ "from another", T_PAGE, ENDS, BROKE("sender is not the peer"), P(H(from, 3)) },
	{ "control in the page lane", T_PING, ENDS, BROKE("wrong lane"), P(H(lane, 1)) },
	{ "page in the control lane", T_PAGE, ENDS, BROKE("wrong lane"), P(H(lane, 0)) },
	{ "lane 255", T_PING, ENDS, BROKE("wrong lane"), P(H(lane, 255)) },
	{ "unknown flag", T_PAGE, ENDS, BROKE("unknown flag"), P(H(flags, 2)) },
	{ "page behind a PING", T_PING, ENDS, BROKE("page where none"), P(H(flags, 1)) },
	{ "page behind a SPILL", T_SPILL, ENDS, BROKE("page where none"), P(H(flags, 1)) },
	{ "PING short", T_PING, ENDS, BROKE("body too short"), P(H(len, 31)) },
	{ "PING long", T_PING, ENDS, BROKE("body too long"), P(H(len, 33)) },
	{ "PING empty", T_PING, ENDS, BROKE("body too short"), P(H(len, 0)) },
	{ "length of all ones", T_PING, ENDS, BROKE("body too long"), P(H(len, ~0u)) },
	{ "PAGE short", T_PAGE, ENDS, BROKE("body too short"), P(H(len, 39)) },
	{ "PAGE long", T_PAGE, ENDS, BROKE("body too long"), P(H(len, 57)) },
	{ "ECHO too long", T_ECHO, ENDS, BROKE("body too long"), P(H(len, 32769)) },
	{ "SPILL of nothing", T_SPILL, ENDS, BROKE("body too short"), P(H(len, 8)) },
	{ "SPILL of 65", T_SPILL, ENDS, BROKE("body too long"), P(H(len, 8 + 65 * 8)) },
	{ "CONFIG too long", T_CONFIG, ENDS, BROKE("body too long"), P(H(len, 32769)) },
	{ "VM_DEAD short", T_VM_DEAD, ENDS, BROKE("body too short"), P(H(len, 199)) },
	{ "PAGE without VM", T_PAGE, ENDS, BROKE("no VM given"), P(H(vm, 0)) },
	{ "PING with VM", T_PING, ENDS, BROKE("VM given"), P(H(vm, 1)) },
	{ "seq 0", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 0)) },
	{ "seq again", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 1)) },
	{ "seq skipped", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 3)) },
	{ "second HELLO", T_HELLO, ENDS, BROKE("second HELLO"), P() },
	{ "epoch before", T_PING, STALE, NULL, P(H(epoch, 0)) },
	{ "epoch after, bad gfn", T_PAGE, STALE, NULL, P(H(epoch, 2), FIELD(gfn, 512)) },
	{ "epoch of a BYE", T_BYE, STALE, NULL, P(H(epoch, 7)) },
	{ "unknown VM", T_PAGE, UNKNOWN, NULL, P(H(vm, 77)) },
	{ "unknown VM of all ones", T_VM_DEAD, UNKNOWN, NULL, P(H(vm, ~0u)) },
	{ "PING", T_PING, LIVES, NULL, P(), .reply = HK_MSG_PONG },
	{ "PONG not asked for", T_PING, LIVES, NULL, P(H(type, HK_MSG_PONG)) },
	{ "ECHO", T_ECHO, LIVES, NULL, P(), .reply = HK_MSG_ECHO_REPLY },
	{ "ECHO of an unknown kind", T_ECHO, ENDS, BROKE("ECHO asks for an unknown kind"),
	  P(B(echo, reply_page, 2)) },
	{ "ECHO with a short reply", T_ECHO, ENDS, BROKE("ECHO asks for a reply too"),
	  P(B(echo, reply_len, 15)) },
	{ "ECHO with a long reply", T_ECHO, ENDS, BROKE("ECHO asks for a reply too"),
	  P(B(echo, reply_len, 32769)) },
	{ "ECHO_REPLY not asked for", T_ECHO, LIVES, NULL, P(H(type, HK_MSG_ECHO_REPLY)) },
	{ "SWITCH with a body", T_PING, ENDS, BROKE("body too long"),
	  P(H(type, HK_MSG_SWITCH)) },
	{ "PATH", T_PATH, LIVES, NULL, P() },
	{ "PATH of another node", T_PATH, ENDS, BROKE("PATH of another node"),
	  P(B(path, node, 3)) },
	{ "PATH of another cluster", T_PATH, ENDS, BROKE("PATH of another cluster"),
	  P(B1(path, cluster, 15, 'x')) },
	{ "PATH 4", T_PATH, ENDS, BROKE("PATH with a number too high"), P(B(path, path, 4)) },
	{ "PATH 255", T_PATH, ENDS, BROKE("PATH with a number too high"),
	  P(B(path, path, 255)) },
	{ "PATH without a cookie", T_PATH, ENDS, BROKE("PATH without a cookie"),
	  P(B(path, cookie, 0)) },
	{ "PATH reserved", T_PATH, ENDS, BROKE("PATH with a reserved field"),
	  P(B1(path, reserved, 4, 1)) },
	{ "PATH without a number, one path", T_PATH, ENDS, BROKE("sequence number"),
	  P(H(seq, 0)) },
	{ "ACK with a number", T_ACK, ENDS, BROKE("ACK with a number"), P() },
	{ "ACK, one path", T_ACK, ENDS, BROKE("sequence number"), P(H(seq, 0)) },
	{ "ACK short", T_ACK, ENDS, BROKE("body too short"), P(H(len, 7)) },
	{ "BYE", T_BYE, ENDS, "node 2 left: going? now", P() },
	{ "VM_DEAD", T_VM_DEAD, KILLS, "going? now", P() },
	{ "VM_DEAD without end", T_VM_DEAD, KILLS, "going", P(B1(text, text, 191, 'x')) },
};

static const struct fcase page_cases[] = {
	{ "gfn out of range", T_PAGE, ENDS, "page 0x200: no such page", P(FIELD(gfn, 512)) },
	{ "gfn of all ones", T_PAGE, ENDS, "no such page", P(FIELD(gfn, ~0ull)) },
	{ "dtype 0", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, 0)) },
	{ "dtype of none", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, HK_DMSG_NR)) },
	{ "dtype 255", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, 255)) },
	{ "flag", T_PAGE, ENDS, "unknown flag", P(FIELD(dflags, 4)) },
	{ "reserved", T_PAGE, ENDS, "reserved field", P(B1(page_msg, reserved, 2, 1)) },
	{ "req no member", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 3)) },
	{ "req 64", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 64)) },
	{ "req 65535", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 0xffff)) },
	{ "acks of no member", T_PAGE, ENDS, "ACK of a node that is not a member",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256), FIELD(acks, 8)) },
	{ "acks of nobody", T_PAGE, ENDS, "ACK of a node that is not a member",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256), FIELD(acks, 1)) },
	{ "content 3", T_PAGE, ENDS, "content", P(FIELD(content, 3)) },
	{ "GET_S with a word", T_PAGE, ENDS, "content", P(FIELD(content, 2)) },
	{ "GET_S with a page", T_PAGE, ENDS, "content", P(FIELD(content, 1), H(flags, 1)) },
	{ "page but no content", T_PAGE, ENDS, "content", P(H(flags, 1)) },
	{ "word but no content", T_PAGE, ENDS, "content", P(FIELD(fill, 1)) },
	{ "DATA_S without", T_PAGE, ENDS, "content", P(DTYPE(DATA_S)) },
	{ "DATA_X without", T_PAGE, ENDS, "content", P(DTYPE(DATA_X)) },
	{ "DATA_X page missing", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_X), FIELD(content, 1)) },
	{ "DATA_S word and page", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_S), FIELD(content, 2), H(flags, 1)) },
	{ "DATA_S page and word", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_S), FIELD(content, 1), H(flags, 1), FIELD(fill, 9)) },
	{ "ACK with a word", T_PAGE, ENDS, "content", P(DTYPE(ACK), FIELD(content, 2)) },
	{ "GET_S not to home", T_PAGE, ENDS, "not home", P(FIELD(gfn, 256)) },
	{ "GET_X not to home", T_PAGE, ENDS, "not home", P(DTYPE(GET_X), FIELD(gfn, 511)) },
	{ "DONE not to home", T_PAGE, ENDS, "not home",
	  P(DTYPE(DONE), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "GET_S with req", T_PAGE, ENDS, "requester or acks", P(FIELD(req, 2)) },
	{ "GET_X with acks", T_PAGE, ENDS, "requester or acks",
	  P(DTYPE(GET_X), FIELD(acks, 4)) },
	{ "DONE with a token", T_PAGE, ENDS, "token",
	  P(DTYPE(DONE), FIELD(req, 2), FIELD(data_token, 1)) },
	{ "FWD_S with a token for ACKs", T_PAGE, ENDS, "token",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 2), FIELD(ack_token, 1)) },
	{ "INV with a token for data", T_PAGE, ENDS, "token",
	  P(DTYPE(INV), FIELD(gfn, 256), FIELD(req, 2), FIELD(data_token, 1)) },
	{ "GRANT_X with a token for ACKs", T_PAGE, ENDS, "token",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256), FIELD(ack_token, 1)) },
	{ "DATA_X with a token for ACKs", T_PAGE, ENDS, "token",
	  P(DTYPE(DATA_X), FIELD(content, 2), FIELD(ack_token, 1)) },
	{ "ACK with a token for data", T_PAGE, ENDS, "token",
	  P(DTYPE(ACK), FIELD(data_token, 1)) },
	{ "ACK with acks", T_PAGE, ENDS, "requester or acks",
	  P(DTYPE(ACK), FIELD(acks, 4)) },
	{ "DONE for another", T_PAGE, ENDS, "requester or acks",
	  P(DTYPE(DONE), FIELD(req, 1)) },
	{ "DONE for nobody", T_PAGE, ENDS, "requester or acks", P(DTYPE(DONE)) },
	{ "FWD_S not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(FWD_S), FIELD(req, 2)) },
	{ "FWD_X not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(FWD_X), FIELD(req, 2)) },
	{ "INV not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(INV), FIELD(req, 2)) },
	{ "GRANT_X not from home", T_PAGE, ENDS, "sender is not home", P(DTYPE(GRANT_X)) },
	{ "FWD_S for nobody", T_PAGE, ENDS, "no requester",
	  P(DTYPE(FWD_S), FIELD(gfn, 256)) },
	{ "INV for nobody", T_PAGE, ENDS, "no requester", P(DTYPE(INV), FIELD(gfn, 256)) },
	{ "FWD_S for the receiver", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 1)) },
	{ "FWD_S of what is not here", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "FWD_X of what is not here", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_X), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "INV with acks", T_PAGE, ENDS, "acks",
	  P(DTYPE(INV), FIELD(gfn, 256), FIELD(req, 2), FIELD(acks, 2)) },
	{ "FWD_S with acks", T_PAGE, ENDS, "acks",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 2), FIELD(acks, 2)) },
	{ "FWD_X with an ACK of the requester", T_PAGE, ENDS, "acks",
	  P(DTYPE(FWD_X), FIELD(gfn, 256), FIELD(req, 2), FIELD(acks, 4)) },
	{ "DONE of nothing", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(DONE), FIELD(req, 2)) },
	{ "DATA_S not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(DATA_S), FIELD(content, 1), H(flags, 1), FIELD(gfn, 256)) },
	{ "DATA_X not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(DATA_X), FIELD(content, 2), FIELD(gfn, 256)) },
	{ "GRANT_X not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256)) },
	{ "ACK not asked for", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(ACK)) },
	{ "GET_X by the owner", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(GET_X)),
	  .times = 2 },
	{ "GET_X", T_PAGE, LIVES, NULL,
	  P(DTYPE(GET_X), FIELD(data_token, 0xd0000001), FIELD(ack_token, 0xa0000001)),
	  .reply = HK_MSG_PAGE },
	{ "GET_S with a token for the page", T_PAGE, LIVES, NULL,
	  P(FIELD(data_token, 0xd0000003), FIELD(ack_token, 0xa0000003)),
	  .reply = HK_MSG_PAGE },
	{ "INV of what is not here", T_PAGE, LIVES, NULL,
	  P(DTYPE(INV), FIELD(gfn, 256), FIELD(req, 2), FIELD(ack_token, 0xa0000002)),
	  .reply = HK_MSG_PAGE },
	{ "SPILL of 0", T_SPILL, ENDS, "offer of pages: wrong count", P(B(spill, nr, 0)) },
	{ "SPILL of more than there are", T_SPILL, ENDS, "wrong count", P(B(spill, nr, 2)) },
	{ "SPILL of fewer than there are", T_SPILL, ENDS, "wrong count", P(), .len = 24 },
	{ "SPILL of 65", T_SPILL, ENDS, "wrong count", P(B(spill, nr, 65)) },
	{ "SPILL of all ones", T_SPILL, ENDS, "wrong count", P(B(spill, nr, ~0u)) },
	{ "SPILL with a broken page number", T_SPILL, ENDS, "wrong count", P(), .len = 20 },
	{ "SPILL reserved", T_SPILL, ENDS, "wrong count", P(B(spill, reserved, 1)) },
	{ "SPILL out of range", T_SPILL, ENDS, "offer of pages: no such page",
	  P({ sizeof(struct hk_wire_hdr) + 8, 8, 512 }) },
	{ "SPILL", T_SPILL, LIVES, NULL, P() },
};

#define VCPU_CASES(t, s, name, size)						\
	{ name " empty", t, ENDS, name ": too short", P(), .len = -1 },	\
	{ name " short", t, ENDS, name ": too short", P(), .len = (size) - 1 },	\
	{ name " of no such vCPU", t, ENDS, name ": no such vCPU",		\
	  P(B(s, vcpu, VCPUS)) },						\
	{ name " of vCPU -1", t, ENDS, name ": no such vCPU", P(B(s, vcpu, ~0u)) }
#define VCPU_LONG(t, name, size)						\
	{ name " long", t, ENDS, name ": too long", P(), .len = (size) + 1 }
#define VCPU_TEXT(t, name)							\
	{ name " reserved", t, ENDS, name ": reserved",				\
	  P(B1(vcpu, reserved, 1, 1)) },					\
	{ name " temporary", t, ENDS, name ": reserved", P(B(vcpu, temporary, 2)) }, \
	{ name " text without end", t, ENDS, name ": text without end",		\
	  P(B1(vcpu, text, HK_REASON_MAX - 1, 'x')) },				\
	{ name " text not printable", t, ENDS, name ": text not printable",	\
	  P(B1(vcpu, text, 0, 7)) }
#define WORD(off, v)	{ sizeof(struct hk_wire_hdr) + (off), 4, (v) }

static const struct fcase vcpu_cases[] = {
	VCPU_CASES(T_READY, vcpu, "replica-ready", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_READY, "replica-ready", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_READY, "replica-ready"),
	VCPU_CASES(T_TAKEN, vcpu, "vcpu-taken", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_TAKEN, "vcpu-taken", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_TAKEN, "vcpu-taken"),
	VCPU_CASES(T_MOVE, vcpu, "vcpu-move", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_MOVE, "vcpu-move", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_MOVE, "vcpu-move"),
	VCPU_CASES(T_MOVED, vcpu, "vcpu-moved", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_MOVED, "vcpu-moved", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_MOVED, "vcpu-moved"),
	VCPU_CASES(T_IRQ, irq, "vcpu-irq", sizeof(struct hk_wire_irq)),
	VCPU_LONG(T_IRQ, "vcpu-irq", sizeof(struct hk_wire_irq)),
	VCPU_CASES(T_IDENT, ident, "vcpu-ident", sizeof(struct hk_wire_ident)),
	VCPU_LONG(T_IDENT, "vcpu-ident", sizeof(struct hk_wire_ident)),
	VCPU_CASES(T_STATE, state, "vcpu-state", sizeof(struct hk_wire_state)),
	VCPU_CASES(T_EXIT, exit, "vcpu-exit", sizeof(struct hk_wire_exit)),
	VCPU_CASES(T_EXIT_DONE, exit, "vcpu-exit-done", sizeof(struct hk_wire_exit)),
	{ "irq level", T_IRQ, ENDS, "irq flags", P(B(irq, level, 2)) },
	{ "irq trig", T_IRQ, ENDS, "irq flags", P(B(irq, trig, 2)) },
	{ "irq reserved", T_IRQ, ENDS, "irq flags", P(B1(irq, reserved, 6, 1)) },
	{ "irq mode", T_IRQ, ENDS, "irq mode", P(B(irq, mode, 0x300)) },
	{ "irq mode of all ones", T_IRQ, ENDS, "irq mode", P(B(irq, mode, 0xffff)) },
	{ "irq", T_IRQ, LIVES, NULL, P(B(irq, vector, 0x40)) },
	{ "irq for a vCPU at the sender", T_IRQ, LIVES, NULL, P(B(irq, vector, 0x40)),
	  .replica = 1, .reply = HK_MSG_VCPU_IRQ },
	{ "move to a stranger", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 3)) },
	{ "move to nobody", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 0)) },
	{ "move to 64", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 64)) },
	{ "move for a stranger", T_MOVE, ENDS, "vcpu-move does not fit",
	  P(B(vcpu, asker, 3)) },
	{ "move for 65535", T_MOVE, ENDS, "vcpu-move does not fit",
	  P(B(vcpu, asker, 0xffff)) },
	{ "moved, nobody asked", T_MOVED, LIVES, NULL, P(B(vcpu, cookie, 99)) },
	{ "taken what is here", T_TAKEN, LIVES, NULL, P(B(vcpu, seq, 1)) },
	{ "state with MSRs it has not", T_STATE, ENDS, "state size", P(B(state, nr_msrs, 1)) },
	{ "state with too many MSRs", T_STATE, ENDS, "state size", P(B(state, nr_msrs, 97)) },
	{ "state with -1 MSRs", T_STATE, ENDS, "state size", P(B(state, nr_msrs, ~0u)) },
	{ "state without XSAVE", T_STATE, ENDS, "state size", P(B(state, xsave_len, 0)) },
	{ "state with much XSAVE", T_STATE, ENDS, "state size",
	  P(B(state, xsave_len, 20000)) },
	{ "state that wraps", T_STATE, ENDS, "state size",
	  P(B(state, nr_msrs, 0x10000000)) },
	{ "state reserved", T_STATE, ENDS, "vcpu-state: reserved", P(B(state, reserved, 1)) },
	{ "state of what is here", T_STATE, LIVES, NULL, P(), .reply = HK_MSG_VCPU_TAKEN },
	{ "state where no KVM is", T_STATE, LIVES, NULL, P(), .replica = 1,
	  .reply = HK_MSG_VCPU_TAKEN },
	{ "exit with data it has not", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, 1)) },
	{ "exit with much data", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, 4097)) },
	{ "exit with -1 data", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, ~0u)) },
	{ "exit reserved", T_EXIT, ENDS, "vcpu-exit: reserved", P(B(exit, reserved, 1)) },
	{ "exit with a positive result", T_EXIT, ENDS, "exit result", P(B(exit, result, 1)) },
	{ "exit of a port without a size", T_EXIT, ENDS, "exit port size",
	  P(B(exit, exit_reason, 2)) },
	{ "exit to a replica", T_EXIT, ENDS, "vcpu-exit does not fit", P(), .replica = 1 },
	{ "exit twice", T_EXIT, ENDS, "vcpu-exit does not fit", P(), .times = 2 },
	{ "exit-done to the origin", T_EXIT_DONE, ENDS, "vcpu-exit-done does not fit", P() },
	{ "exit-done of no exit", T_EXIT_DONE, ENDS, "vcpu-exit-done does not fit",
	  P(B(exit, cookie, 12345)), .replica = 1 },
	{ "config short", T_CONFIG, ENDS, "vm-config: too short", P(), .replica = 1,
	  .len = 15 },
	{ "config kind 0", T_CONFIG, ENDS, "config kind", P(B(config, kind, 0)),
	  .replica = 1 },
	{ "config kind 5", T_CONFIG, ENDS, "config kind", P(B(config, kind, 5)),
	  .replica = 1 },
	{ "config index", T_CONFIG, ENDS, "vm-config: index", P(B(config, index, 1)),
	  .replica = 1 },
	{ "config base short", T_CONFIG, ENDS, "BASE size", P(), .len = 24, .replica = 1 },
	{ "config base long", T_CONFIG, ENDS, "BASE size", P(), .len = 64, .replica = 1 },
	{ "config slots", T_CONFIG, ENDS, "SLOTS size", P(B(config, kind, HK_CONFIG_SLOTS)),
	  .len = 16 + 33, .replica = 1 },
	{ "config routes short", T_CONFIG, ENDS, "ROUTES size",
	  P(B(config, kind, HK_CONFIG_ROUTES)), .len = 16 + 4, .replica = 1 },
	{ "config routes without their entries", T_CONFIG, ENDS, "ROUTES size",
	  P(B(config, kind, HK_CONFIG_ROUTES), WORD(16, 4096)), .len = 16 + 8,
	  .replica = 1 },
	{ "config CPUID without its entries", T_CONFIG, ENDS, "CPUID size",
	  P(B(config, kind, HK_CONFIG_CPUID), WORD(16, 0x80000000)), .len = 16 + 8,
	  .replica = 1 },
	{ "config CPUID of no such vCPU", T_CONFIG, ENDS, "CPUID of no such vCPU",
	  P(B(config, kind, HK_CONFIG_CPUID), B(config, index, VCPUS)), .len = 16 + 8,
	  .replica = 1 },
	{ "config seq 0", T_CONFIG, ENDS, "vm-config does not fit", P(B(config, seq, 0)),
	  .replica = 1 },
	{ "config seq again", T_CONFIG, ENDS, "vm-config does not fit", P(), .replica = 1,
	  .times = 2 },
	{ "config to the origin", T_CONFIG, ENDS, "vm-config does not fit", P() },
	{ "config", T_CONFIG, LIVES, NULL, P(), .replica = 1 },
	{ "config-ack short", T_CONFIG_ACK, ENDS, "vm-config-ack: too short", P(), .len = 4 },
	{ "config-ack long", T_CONFIG_ACK, ENDS, "vm-config-ack: too long", P(), .len = 9 },
	{ "config-ack of all ones", T_CONFIG_ACK, LIVES, NULL,
	  P(B(config_ack, seq, ~0ull)) },
	{ "clock short", T_CLOCK, ENDS, "vm-clock: too short", P(), .len = 8 },
	{ "clock long", T_CLOCK, ENDS, "vm-clock: too long", P(), .len = 17 },
	{ "clock known 2", T_CLOCK, ENDS, "vm-clock: reserved", P(B(clock, known, 2)) },
	{ "clock ask 2", T_CLOCK, ENDS, "vm-clock: reserved", P(B(clock, ask, 2)) },
	{ "clock reserved", T_CLOCK, ENDS, "vm-clock: reserved", P(B1(clock, reserved, 5, 1)) },
	{ "clock that is not known", T_CLOCK, ENDS, "vm-clock: offset of nothing",
	  P(B(clock, offset, 1)) },
	{ "clock stepped back", T_CLOCK, ENDS, "vm-clock does not fit",
	  P(B(clock, known, 1), B(clock, offset, ~0ull)), .replica = 1 },
	{ "clock asks", T_CLOCK, LIVES, NULL, P(B(clock, ask, 1)), .reply = HK_MSG_VM_CLOCK },
	{ "clock of all ones", T_CLOCK, LIVES, NULL,
	  P(B(clock, known, 1), B(clock, offset, ~0ull)) },
};

static void msg_patch(struct msg *m, const struct fcase *c)
{
	size_t i;

	if (c->len) {
		size_t len = c->len < 0 ? 0 : c->len;

		if (len > m->h.len)
			memset(m->b + sizeof(m->h) + m->h.len, 0, len - m->h.len);
		m->h.len = len;
	}
	for (i = 0; i < ARRAY_SIZE(c->patch); i++)
		memcpy(m->b + c->patch[i].off, &c->patch[i].v, c->patch[i].size);
}

static bool link_ended(struct peer *p, const char *name, const char *text)
{
	if (!check(ev_wait(&ev_link[p->id].state, HK_LINK_DOWN, WAIT_MS), name,
		   "the link goes on, expected \"%s\"", text))
		return false;
	return check(strstr(ev_link[p->id].reason, text), name,
		     "expected link \"%s\", got \"%s\"", text, ev_link[p->id].reason);
}

static bool vm_ended(const char *name, const char *text)
{
	if (!check(ev_wait(&ev_vm[VM].state, HK_VM_DEAD, WAIT_MS), name, "the VM lives"))
		return false;
	return check(strstr(ev_vm[VM].reason, text), name,
		     "expected VM \"%s\", got \"%s\"", text, ev_vm[VM].reason);
}

static void try_message(struct peer *p, const struct fcase *c)
{
	uint64_t stale = link_count(HK_A_RX_STALE);
	uint64_t unknown = link_count(HK_A_RX_UNKNOWN);
	const struct hk_wire_page_msg *page = BODY(&scratch);
	struct hk_wire_page_msg sent;
	int i;

	for (i = 0; i < (c->times ?: 1); i++) {
		tmpl_make(p, &scratch, c->tmpl);
		msg_patch(&scratch, c);
		msg_send(p, &scratch);
	}
	sent = *page;
	if (c->what == ENDS || c->what == ENDS_KILLS) {
		/* the VM has a reason of its own, or that of the link */
		if (link_ended(p, c->name, c->text))
			vm_ended(c->name, c->what == ENDS ? ev_link[p->id].reason : c->text);
		/* whoever broke the protocol is told so */
		if (c->tmpl != T_BYE)
			check(peer_expect(p, HK_MSG_BYE, &scratch) && strstr(p->bye, c->text),
			      c->name, "BYE says \"%s\"", p->bye);
		return;
	}
	if (c->reply)
		check(peer_expect(p, c->reply, &scratch), c->name, "no answer of type %d",
		      c->reply);
	/* whoever is asked gives one token back and no other */
	if (c->reply == HK_MSG_PAGE && page->dtype == HK_DMSG_ACK)
		check(page->ack_token == sent.ack_token && !page->data_token, c->name,
		      "ACK with tokens %x %x", page->data_token, page->ack_token);
	else if (c->reply == HK_MSG_PAGE)
		check(page->data_token == sent.data_token && !page->ack_token, c->name,
		      "reply with tokens %x %x", page->data_token, page->ack_token);
	check(ping_answered(p), c->name, "the link ended: \"%s\"",
	      ev_wait(&ev_link[p->id].state, HK_LINK_DOWN, 100) ?
	      ev_link[p->id].reason : "");
	if (c->what == KILLS)
		vm_ended(c->name, c->text);
	else
		check(!ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0), c->name,
		      "the VM is dead: \"%s\"", ev_vm[VM].reason);
	stale += c->what == STALE;
	unknown += c->what == UNKNOWN;
	check(link_count(HK_A_RX_STALE) == stale, c->name, "rx-stale is wrong");
	check(link_count(HK_A_RX_UNKNOWN) == unknown, c->name, "rx-unknown is wrong");
}

static void try_messages(const struct fcase *c, size_t nr)
{
	struct answer an;
	struct peer p;
	bool up = false;

	for (; nr--; c++) {
		if (!up && !check(link_up(&p, PEER), c->name, "no new link"))
			return;
		an = vm_add_of(VM, "v", c->replica ? PEER : 1, true);
		expect(&an, c->name, 0, NULL);
		try_message(&p, c);
		up = !ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, 0);
		if (!up)
			link_end(&p);
		check(vm_del(VM), c->name, "VM not deleted");
	}
	if (up)
		link_end(&p);
}

static const struct fcase hello_cases[] = {
	{ "PING first", T_PING, ENDS, BROKE("message before HELLO"), P() },
	{ "VM_DEAD first", T_VM_DEAD, ENDS, BROKE("message before HELLO"), P() },
	{ "BYE first", T_BYE, ENDS, "message before HELLO", P() },
	{ "versions above", T_HELLO, ENDS, BROKE("no common wire version"),
	  P(B(hello, version_min, 2), B(hello, version_max, 9)) },
	{ "versions below", T_HELLO, ENDS, BROKE("no common wire version"),
	  P(B(hello, version_min, 0), B(hello, version_max, 0)) },
	{ "HELLO of another node", T_HELLO, ENDS, BROKE("HELLO of another node"),
	  P(B(hello, node, 3)) },
	{ "HELLO from another node", T_HELLO, ENDS, BROKE("sender is not the peer"),
	  P(H(from, 3)) },
	{ "HELLO of another cluster", T_HELLO, ENDS, BROKE("HELLO of another cluster"),
	  P(B1(hello, cluster, 15, 'x')) },
	{ "HELLO short", T_HELLO, ENDS, BROKE("body too short"), P(H(len, 23)) },
	{ "HELLO long", T_HELLO, ENDS, BROKE("body too long"), P(H(len, 25)) },
	{ "HELLO seq 2", T_HELLO, ENDS, BROKE("sequence number"), P(H(seq, 2)) },
	{ "HELLO of another epoch", T_HELLO, LIVES, NULL, P(H(epoch, 9)) },
	{ "HELLO with features", T_HELLO, LIVES, NULL, P(B(hello, features, ~0u)) },
};

static void try_hellos(void)
{
	struct peer p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hello_cases); i++) {
		const struct fcase *c = &hello_cases[i];
		struct answer an = peer_add(&p, PEER);

		expect(&an, c->name, 0, NULL);
		tmpl_make(&p, &scratch, c->tmpl);
		msg_patch(&scratch, c);
		msg_send(&p, &scratch);
		if (c->what == LIVES) {
			check(ev_wait(&ev_link[PEER].state, HK_LINK_UP, WAIT_MS) &&
			      ping_answered(&p), c->name, "not up");
		} else if (link_ended(&p, c->name, c->text)) {
			check(peer_expect(&p, HK_MSG_HELLO, &scratch) &&
			      scratch.h.seq == 1 && scratch.h.from == 1, c->name,
			      "no HELLO first");
			check(peer_expect(&p, HK_MSG_BYE, &scratch) &&
			      strstr(p.bye, c->text), c->name, "BYE says \"%s\"", p.bye);
		}
		link_end(&p);
	}
}

/* Connections that end */
static void try_ends(void)
{
	static const struct {
		const char *name;
		size_t bytes;
		bool hello, reset;
		const char *text;
	} ends[] = {
		{ "closed at once", 0, false, false, "node 2 closed the connection" },
		{ "closed amid HELLO", 40, false, false, "closed the connection amid" },
		{ "closed between messages", 0, true, false, "node 2 closed the connection" },
		{ "closed amid a header", 17, true, false, "closed the connection amid" },
		{ "closed behind a header", 32, true, false, "closed the connection amid" },
		{ "closed amid a body", 63, true, false, "closed the connection amid" },
		{ "reset", 32, true, true, "receive from node 2: error -104" },
	};
	struct linger linger = { .l_onoff = 1 };
	const char *text;
	struct answer an;
	struct peer p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i].hello) {
			check(link_up(&p, PEER), ends[i].name, "not up");
			an = vm_add_of(VM, "v", 1, true);
			tmpl_make(&p, &scratch, T_PING);
		} else {
			an = peer_add(&p, PEER);
			tmpl_make(&p, &scratch, T_HELLO);
		}
		expect(&an, ends[i].name, 0, NULL);
		peer_send(&p, scratch.b, ends[i].bytes);
		if (ends[i].reset)
			setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		else
			/* what lies unread would make a reset of the close */
			shutdown(p.fd, SHUT_WR);
		if (ends[i].reset)
			close(p.fd);
		text = ends[i].text;
		/* the socket's error is told once: the link's sender may have taken it */
		if (ends[i].reset &&
		    ev_wait(&ev_link[p.id].state, HK_LINK_DOWN, WAIT_MS) &&
		    strstr(ev_link[p.id].reason, "closed the connection amid"))
			text = "closed the connection amid";
		if (link_ended(&p, ends[i].name, text) && ends[i].hello)
			vm_ended(ends[i].name, text);
		if (!ends[i].reset)
			close(p.fd);
		if (ends[i].hello)
			check(vm_del(VM), ends[i].name, "VM not deleted");
	}
}

/* A TSC that jumps by years: the guest ends, the link does not */
static void try_jump(void)
{
	struct answer an;
	struct peer p;

	check(link_up(&p, PEER), "jump", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&p, &scratch, T_CLOCK);
	((struct hk_wire_clock *)BODY(&scratch))->known = 1;
	msg_send(&p, &scratch);
	check(ping_answered(&p) && !ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0), "jump",
	      "the VM is dead: \"%s\"", ev_vm[VM].reason);
	tmpl_make(&p, &scratch, T_PING);
	((struct hk_wire_ping *)BODY(&scratch))->t_sent = 1ull << 61;
	msg_send(&p, &scratch);
	vm_ended("jump", "the TSC of node 2 has jumped");
	check(ping_answered(&p), "jump", "the link has ended");
	check(vm_del(VM), "jump", "VM not deleted");
	link_end(&p);
}

/* A member of the cluster, but not of the VM */
static void try_stranger(void)
{
	struct peer p, other;
	struct answer an;

	check(link_up(&p, PEER) && link_up(&other, 3), "two links", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&other, &scratch, T_PAGE);
	msg_send(&other, &scratch);
	link_ended(&other, "stranger", "node 3 is not a member of VM 1, but sends page");
	check(ping_answered(&p) && !ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0), "stranger",
	      "the VM is dead: \"%s\"", ev_vm[VM].reason);
	link_end(&other);
	check(link_up(&other, 3), "stranger", "no new link");
	tmpl_make(&other, &scratch, T_VM_DEAD);
	msg_send(&other, &scratch);
	link_ended(&other, "stranger's VM_DEAD", "but sends vm-dead");
	check(ping_answered(&p) && !ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0),
	      "stranger's VM_DEAD", "the VM is dead: \"%s\"", ev_vm[VM].reason);
	link_end(&other);
	link_end(&p);
	vm_ended("peer gone", "node 2 closed the connection");
	check(vm_del(VM), "VM_DEL", "refused");
}

static void try_silence(unsigned int dead_ms)
{
	static const char text[] = "nothing heard from node 2 for ";
	struct answer an;
	struct peer p;
	long t0;

	an = peer_add(&p, PEER);
	expect(&an, "LINK_ADD", 0, NULL);
	t0 = now_ms();
	link_ended(&p, "silence before HELLO", text);
	check(now_ms() - t0 >= dead_ms - 100, "silence before HELLO", "after %ld ms",
	      now_ms() - t0);
	link_end(&p);
	check(link_up(&p, PEER), "link", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	/* the head of a message and nothing more is silence, too */
	tmpl_make(&p, &scratch, T_PING);
	peer_send(&p, scratch.b, 40);
	t0 = now_ms();
	if (link_ended(&p, "silence amid a message", text))
		vm_ended("silence amid a message", text);
	check(now_ms() - t0 >= dead_ms - 100, "silence amid a message", "after %ld ms",
	      now_ms() - t0);
	link_end(&p);
	check(vm_del(VM), "VM_DEL", "refused");
	/* what follows SWITCH comes on a connection that nobody has given */
	check(link_up(&p, PEER), "link", "not up");
	msg_init(&p, &scratch, HK_MSG_SWITCH, 0, 0, 0);
	msg_send(&p, &scratch);
	link_ended(&p, "SWITCH to nothing", text);
	link_end(&p);
}

#include "group.h"
#include "stale.h"
#include "lend.h"

static void fabric_tests(void)
{
	node_set(DEAD_MS);
	try_hellos();
	group("HELLO");
	try_messages(header_cases, ARRAY_SIZE(header_cases));
	group("headers and messages of the link");
	try_messages(page_cases, ARRAY_SIZE(page_cases));
	group("messages about pages");
	group_tests();
	stale_tests();
	lend_tests();
	try_messages(vcpu_cases, ARRAY_SIZE(vcpu_cases));
	group("messages about vCPUs");
	try_ends();
	group("connections that end");
	try_stranger();
	group("node that is not a member");
	try_jump();
	group("TSC that jumps");
	node_reset();
	node_set(500);
	try_silence(500);
	node_reset();
	group("silence");
}

/* Bodies of random bytes behind headers that are right */
static void fuzz_tests(uint64_t seed, int nr)
{
	struct answer an;
	struct peer p;
	bool up = false;
	uint32_t i, len;

	node_set(DEAD_MS);
	for (; nr--; seed++) {
		char name[48];
		uint64_t x = seed * 0x9e3779b97f4a7c15ull;
		int tmpl = T_PAGE + (x >> 40) % (T_IDENT - T_PAGE + 1);

		snprintf(name, sizeof(name), "seed %llu", (unsigned long long)seed);
		if (!up && !check(link_up(&p, PEER), name, "no new link"))
			break;
		an = vm_add_of(VM, "v", seed % 2 ? PEER : 1, true);
		expect(&an, name, 0, NULL);
		tmpl_make(&p, &scratch, tmpl);
		len = scratch.h.len;
		/* one to four bytes of what is right */
		for (i = 0; i < 1 + x % 4; i++) {
			x ^= x >> 29;
			x *= 0xbf58476d1ce4e5b9ull;
			scratch.b[sizeof(scratch.h) + (x >> 8) % (len < 64 ? len : 64)] =
				x >> 56;
		}
		msg_send(&p, &scratch);
		check(ping_answered(&p) ||
		      ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, WAIT_MS), name,
		      "neither answer nor end");
		up = !ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, 0);
		if (!up)
			link_end(&p);
		check(vm_del(VM), name, "VM not deleted");
	}
	if (up)
		link_end(&p);
	node_reset();
	group("random bytes");
}
