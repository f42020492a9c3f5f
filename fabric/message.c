// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: memory for them
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "link_internal.h"

struct hk_msg *hk_msg_new(u32 len, gfp_t gfp)
{
	struct hk_msg *msg;

	/* Falls back to vmalloc only above a page and where it may sleep */
	msg = kvmalloc(struct_size(msg, body, len), gfp);
	if (msg)
		memset(msg, 0, sizeof(*msg));
	return msg;
}

struct hk_msg *hk_msg_alloc(u8 type, u32 vm, u32 len, gfp_t gfp)
{
	const struct hk_wire_type *t = hk_wire_type(type);
	struct hk_msg *msg;

	if (WARN_ON_ONCE(!t || len < t->min || len > t->max))
		return NULL;
	msg = hk_msg_new(len, gfp);
	if (!msg)
		return NULL;
	memset(msg->body, 0, len);
	msg->hdr.type = type;
	msg->hdr.len = cpu_to_le32(len);
	msg->hdr.lane = t->lane;
	msg->hdr.vm = cpu_to_le32(vm);
	return msg;
}

void hk_msg_free(struct hk_msg *msg)
{
	if (!msg)
		return;
	if (msg->page)
		put_page(msg->page);
	/* vfree() may sleep, the caller perhaps may not */
	if (is_vmalloc_addr(msg))
		kvfree_rcu(msg, rcu);
	else
		kfree(msg);
}
