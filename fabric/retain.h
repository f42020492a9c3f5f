/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was sent and is not acknowledged yet, for a link with several paths
 *
 * Pure: compiled into the module and into a test of user space. Not locked: the
 * link's sender alone uses it.
 */
#ifndef HK_FABRIC_RETAIN_H
#define HK_FABRIC_RETAIN_H

#include <linux/types.h>
#include "link.h"

/*
 * Bounds of what is kept, which is outside of the budget of guest RAM: some times the
 * bandwidth-delay product of 40 Gbit/s over 100 us
 */
#define HK_RETAIN_NR_MAX	4096
#define HK_RETAIN_BYTES_MAX	(4 << 20)

/**
 * struct hk_retain - messages in the order of their numbers
 * @msgs: struct hk_msg.list
 * @next: first one to be sent again, or &@msgs
 * @nr: how many there are
 * @bytes: of the wire that they have
 */
struct hk_retain {
	struct list_head msgs;
	struct list_head *next;
	u32 nr;
	u64 bytes;
};

/* What a receiver does with a message of this number */
enum hk_retain_verdict {
	HK_RETAIN_TAKE,		/* the next one */
	HK_RETAIN_AGAIN,	/* has come before: drop it */
	HK_RETAIN_GAP,		/* something is missing before it */
};

u32 hk_msg_bytes(const struct hk_msg *msg);

void hk_retain_init(struct hk_retain *r);
void hk_retain_add(struct hk_retain *r, struct hk_msg *msg);
void hk_retain_rewind(struct hk_retain *r);
unsigned int hk_retain_take(struct hk_retain *r, struct hk_msg **batch,
			    unsigned int max, u64 bytes_max);
void hk_retain_drop(struct hk_retain *r, u64 acked);
void hk_retain_purge(struct hk_retain *r);
enum hk_retain_verdict hk_retain_judge(u64 seq, u64 last);

/* is there something to be sent again */
static inline bool hk_retain_pending(const struct hk_retain *r)
{
	return r->next != &r->msgs;
}

/* may another message be sent */
static inline bool hk_retain_room(const struct hk_retain *r)
{
	return r->nr < HK_RETAIN_NR_MAX && r->bytes < HK_RETAIN_BYTES_MAX;
}

#endif /* HK_FABRIC_RETAIN_H */
