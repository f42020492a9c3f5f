// SPDX-License-Identifier: GPL-2.0
/*
 * What was sent and is not acknowledged yet: kept in order, sent again in order
 *
 * A page of a message is kept by its reference, not copied: nobody writes it any more
 * once it is in a message (kmod/visit.c: it was taken out of guest RAM, or is a copy).
 * So a retransmission carries the very bytes of the first time. It has to: the receiver
 * takes whichever comes first, and later bytes under the same number would be a state of
 * the page that the protocol never granted.
 */
#include "retain.h"

/**
 * hk_msg_bytes() - length of a message on the wire
 * @msg: message with its header
 * Return: bytes
 */
u32 hk_msg_bytes(const struct hk_msg *msg)
{
	return sizeof(msg->hdr) + le32_to_cpu(msg->hdr.len) +
	       (msg->page ? HK_WIRE_PAGE_SIZE : 0);
}

/**
 * hk_retain_init() - nothing is kept
 * @r: to be filled in
 */
void hk_retain_init(struct hk_retain *r)
{
	INIT_LIST_HEAD(&r->msgs);
	r->next = &r->msgs;
	r->nr = 0;
	r->bytes = 0;
}

/**
 * hk_retain_add() - keep a message that is being sent
 * @r: nothing in it waits to be sent again
 * @msg: numbered, one above the last; @r owns it from here on
 */
void hk_retain_add(struct hk_retain *r, struct hk_msg *msg)
{
	list_add_tail(&msg->list, &r->msgs);
	r->nr++;
	r->bytes += hk_msg_bytes(msg);
}

/**
 * hk_retain_rewind() - send all of it again
 * @r: what is kept
 */
void hk_retain_rewind(struct hk_retain *r)
{
	r->next = r->msgs.next;
}

/**
 * hk_retain_take() - what is to be sent again next
 * @r: what is kept, and stays there
 * @batch: out: messages, in order
 * @max: room in @batch
 * @bytes_max: no further message when they have so many bytes
 * Return: how many
 */
unsigned int hk_retain_take(struct hk_retain *r, struct hk_msg **batch,
			    unsigned int max, u64 bytes_max)
{
	unsigned int nr = 0;
	struct hk_msg *msg;
	u64 bytes = 0;

	while (r->next != &r->msgs && nr < max && bytes < bytes_max) {
		msg = container_of(r->next, struct hk_msg, list);
		batch[nr++] = msg;
		bytes += hk_msg_bytes(msg);
		r->next = msg->list.next;
	}
	return nr;
}

static void drop_first(struct hk_retain *r, struct hk_msg *msg)
{
	/* Acknowledged while it waits to be sent again: it need not be */
	if (r->next == &msg->list)
		r->next = msg->list.next;
	list_del(&msg->list);
	r->nr--;
	r->bytes -= hk_msg_bytes(msg);
	hk_msg_free(msg);
}

/**
 * hk_retain_drop() - free what the peer has
 * @r: what is kept; none of it is being sent
 * @acked: number of the last message that it has
 */
void hk_retain_drop(struct hk_retain *r, u64 acked)
{
	struct hk_msg *msg;

	while ((msg = list_first_entry_or_null(&r->msgs, struct hk_msg, list)) &&
	       le64_to_cpu(msg->hdr.seq) <= acked)
		drop_first(r, msg);
}

/**
 * hk_retain_purge() - free all of it
 * @r: what is kept; none of it is being sent
 */
void hk_retain_purge(struct hk_retain *r)
{
	hk_retain_drop(r, U64_MAX);
}

/**
 * hk_retain_judge() - what a receiver does with a message
 * @seq: its number
 * @last: number of the last message taken, on whichever path
 *
 * Each path brings numbers without a gap, and begins with one that the receiver has not
 * acknowledged. So what is missing before a message cannot come on another path: it
 * never was sent.
 *
 * Return: enum hk_retain_verdict
 */
enum hk_retain_verdict hk_retain_judge(u64 seq, u64 last)
{
	if (seq == last + 1)
		return HK_RETAIN_TAKE;
	return seq <= last ? HK_RETAIN_AGAIN : HK_RETAIN_GAP;
}
