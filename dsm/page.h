/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page state machine of one node for one page
 *
 * (state, event) -> (state, messages, actions), a table in page.c. No locks,
 * no allocation, no sockets. The caller serialises all calls about one gfn.
 */
#ifndef HK_DSM_PAGE_H
#define HK_DSM_PAGE_H

#include "msg.h"

/**
 * enum hk_page_state - what this node may do with a page
 * @HK_PG_INVALID: nothing; no copy here
 * @HK_PG_SHARED: read; another node is the owner
 * @HK_PG_OWNED: read; this node is the owner, others may have read copies
 * @HK_PG_EXCLUSIVE: read and write; no other copy exists
 * @HK_PG_INVALID_RD: no copy, read copy asked for
 * @HK_PG_INVALID_WR: no copy, ownership asked for
 * @HK_PG_SHARED_WR: read copy here, ownership asked for
 * @HK_PG_OWNED_WR: owner with sharers, asked for the sharers to go
 * @HK_PG_SHARED_TAKE: read copy, being taken away (INV came)
 * @HK_PG_OWNED_TAKE: owner, page being taken away (FWD_X or INV came)
 * @HK_PG_EXCLUSIVE_DOWN: exclusive, being write-protected (FWD_S came)
 * @HK_PG_EXCLUSIVE_TAKE: exclusive, being taken away (FWD_X came)
 * @HK_PG_SHARED_WR_TAKE: SHARED_WR and an INV for an earlier writer came
 * @HK_PG_OWNED_WR_TAKE: OWNED_WR and an FWD_X or INV for an earlier writer came
 * @HK_PG_NR: number of states
 *
 * In the _TAKE and _DOWN states the page is still mapped as before until the
 * caller reports HK_EV_TAKEN or HK_EV_DOWNGRADED; a page that somebody holds
 * (get_user_pages()) simply stays in that state until the caller succeeds.
 */
enum hk_page_state {
	HK_PG_INVALID = 0,
	HK_PG_SHARED,
	HK_PG_OWNED,
	HK_PG_EXCLUSIVE,
	HK_PG_INVALID_RD,
	HK_PG_INVALID_WR,
	HK_PG_SHARED_WR,
	HK_PG_OWNED_WR,
	HK_PG_SHARED_TAKE,
	HK_PG_OWNED_TAKE,
	HK_PG_EXCLUSIVE_DOWN,
	HK_PG_EXCLUSIVE_TAKE,
	HK_PG_SHARED_WR_TAKE,
	HK_PG_OWNED_WR_TAKE,
	HK_PG_NR
};

/**
 * enum hk_page_event - what can happen to a page on a node
 * @HK_EV_READ: local read fault
 * @HK_EV_WRITE: local write fault
 * @HK_EV_DROP: the caller has already unmapped and freed a read copy that it
 *	wants to be rid of; legal in HK_PG_SHARED only
 * @HK_EV_FWD_S: message of that name; likewise the following
 * @HK_EV_FWD_X: see above
 * @HK_EV_INV: see above
 * @HK_EV_DATA_S: see above
 * @HK_EV_DATA_X: see above
 * @HK_EV_GRANT_X: see above
 * @HK_EV_ACK: see above
 * @HK_EV_LOST: see above
 * @HK_EV_LEND: see above
 * @HK_EV_MOVED: see above
 * @HK_EV_TAKEN: the page is unmapped here and nobody holds it (HK_ACT_TAKE done)
 * @HK_EV_DOWNGRADED: the page is write-protected here (HK_ACT_DOWNGRADE done)
 * @HK_EV_NR: number of events
 */
enum hk_page_event {
	HK_EV_READ = 0,
	HK_EV_WRITE,
	HK_EV_DROP,
	HK_EV_FWD_S,
	HK_EV_FWD_X,
	HK_EV_INV,
	HK_EV_DATA_S,
	HK_EV_DATA_X,
	HK_EV_GRANT_X,
	HK_EV_ACK,
	HK_EV_LOST,
	HK_EV_LEND,
	HK_EV_MOVED,
	HK_EV_TAKEN,
	HK_EV_DOWNGRADED,
	HK_EV_NR
};

/* Unmap the page and freeze its references, then report HK_EV_TAKEN */
#define HK_ACT_TAKE		0x01
/* Write-protect the page, then report HK_EV_DOWNGRADED */
#define HK_ACT_DOWNGRADE	0x02
/* Make the data that came with this message the page's content */
#define HK_ACT_INSTALL		0x04
/* Make an all-zero page the page's content */
#define HK_ACT_INSTALL_ZERO	0x08
/* The state changed: let faulting threads look again */
#define HK_ACT_WAKE		0x10
/* The page just taken is no longer needed here: free it after sending */
#define HK_ACT_FREE		0x20
/* The page is lost: faulting threads get an error, now and whenever they ask */
#define HK_ACT_LOST		0x40
/* This node is lent the rule over the page: make an entry, hk_dir_lent() */
#define HK_ACT_RULE		0x80

/**
 * struct hk_page_ctx - what a page needs to remember while it is not stable
 * @tokens: of the request under way
 * @recall_token: of the request that the recall is for, to be given back
 * @recall_req: requester of the recall being executed
 * @recall_type: enum hk_dmsg_type that caused the recall, 0 when none
 * @replied: DATA_X or GRANT_X came
 * @no_done: reply said that home has closed the transaction
 * @moot: the read may have been passed on to who rules no more: no answer but home's is to
 *	be used
 * @asked: node that the request went to, HK_NODE_NONE: home
 * @reserved: zero
 * @recall_check: of the request that the recall is for
 * @acks: nodes whose ACKs came for the request under way; once @replied: nodes whose
 *	ACKs are missing
 * @recall_acks: to be passed on with DATA_X
 *
 * All zero in the four stable states; the caller may free it then.
 */
struct hk_page_ctx {
	struct hk_tokens tokens;
	u32 recall_token;
	u16 recall_req;
	u8 recall_type;
	u8 replied;
	u8 no_done;
	u8 moot;
	u16 asked;
	u8 reserved[4];
	struct hk_check recall_check;
	hk_nodes acks;
	hk_nodes recall_acks;
};

/**
 * struct hk_page_where - the fixed facts of a step
 * @gfn: page
 * @self: this node
 * @home: home of @gfn in this epoch
 * @ruler: hk_out.ruler of the page's last step; HK_NODE_NONE at first, in a new epoch, and
 *	at any time where there is no copy and no request
 * @rules: there is an entry of hk_dir_lent() here
 * @gives: it has HK_DIR_F_GIVES
 * @tokens: of the request that this step may begin, by hk_page_draw_tokens(), new ones
 *	each time. HK_EV_READ, HK_EV_WRITE, HK_EV_MOVED and HK_EV_DATA_S may
 * @read_x: a read may be answered by the right to write, where home finds that the page
 *	migrates. Home must know of such requests. Likewise
 * @check: of an old copy here, goes with a request for the page. Home must know of such
 *	requests. Likewise
 */
struct hk_page_where {
	u64 gfn;
	u16 self;
	u16 home;
	u16 ruler;
	bool rules;
	bool gives;
	bool read_x;
	struct hk_tokens tokens;
	struct hk_check check;
};

static inline bool hk_page_may_read(u8 state)
{
	switch ((enum hk_page_state)state) {
	case HK_PG_SHARED:
	case HK_PG_OWNED:
	case HK_PG_EXCLUSIVE:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_EXCLUSIVE_DOWN:
		return true;
	case HK_PG_INVALID:
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	/* being taken: no new mapping, or the take never ends */
	case HK_PG_SHARED_TAKE:
	case HK_PG_OWNED_TAKE:
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_SHARED_WR_TAKE:
	case HK_PG_OWNED_WR_TAKE:
	case HK_PG_NR:
		break;
	}
	return false;
}

static inline bool hk_page_may_write(u8 state)
{
	return state == HK_PG_EXCLUSIVE;
}

static inline bool hk_page_stable(u8 state)
{
	return state <= HK_PG_EXCLUSIVE;
}

/**
 * hk_page_step() - advance a page on one node
 * @w: which page, where
 * @state: in and out: enum hk_page_state
 * @ctx: in and out, see struct hk_page_ctx
 * @ev: what happened
 * @msg: the message, for the events that are messages; NULL else
 * @out: messages and actions, appended
 *
 * HK_EV_READ and HK_EV_WRITE may come in any state: where the access is
 * allowed, or a request that will allow it is under way, or a recall must end
 * first, nothing is sent and the faulting thread waits for HK_ACT_WAKE.
 *
 * Context: any; caller serialises per gfn and does not sleep between the step
 * and queueing the messages.
 * Return: 0, or -EPROTO when the event is impossible in this state (a defect of
 * ours or a faulty peer); nothing is changed then.
 */
int hk_page_step(const struct hk_page_where *w, u8 *state,
		 struct hk_page_ctx *ctx, enum hk_page_event ev,
		 const struct hk_dmsg *msg, struct hk_out *out);

/**
 * hk_page_draw_tokens() - tokens for a request that may begin
 * @random: 64 bits that nobody else can guess, new ones each time
 *
 * Neither is zero, as a field is that nobody has filled in, and they differ: so a
 * message without its token, or with the other one, is never right by chance. The price:
 * whoever knows one may guess the other with six chances in 2^32 instead of one.
 *
 * Context: any.
 * Return: the tokens
 */
struct hk_tokens hk_page_draw_tokens(u64 random);

/**
 * hk_page_event_of() - event for a message that goes to the page side
 * @type: enum hk_dmsg_type
 * Return: the event, or -EINVAL when the message is for the home side (GET_S,
 * GET_X, DONE) or unknown.
 */
int hk_page_event_of(u8 type);

const char *hk_page_state_name(u8 state);
const char *hk_page_event_name(u8 ev);
const char *hk_dmsg_name(u8 type);

#endif /* HK_DSM_PAGE_H */
