/* SPDX-License-Identifier: GPL-2.0 */
/*
 * page_msg_check() of kmod/mem.c, as it ships, with just as much around it as it
 * looks at. The Makefile cuts the function out; when it is called otherwise, or
 * looks at more, this does not compile.
 */
#ifndef HK_FUZZ_PAGE_MSG_H
#define HK_FUZZ_PAGE_MSG_H

#include <endian.h>
#include "../../dsm/page.h"
#include "../../fabric/msg.h"

#define le16_to_cpu	le16toh
#define le32_to_cpu	le32toh
#define le64_to_cpu	le64toh
#define cpu_to_le16	htole16
#define cpu_to_le32	htole32
#define cpu_to_le64	htole64

struct hk_node {
	u16 id;
};

struct hk_vm {
	struct hk_node *node;
	u64 ram_pages;
	u64 members;
};

struct hk_mem {
	struct hk_vm *vm;
};

struct hk_msg {
	void *page;
	struct hk_wire_hdr hdr;
	u8 body[];
};

/* given by the target */
static u16 hk_vm_home(const struct hk_vm *vm, u64 gfn);

#include "page_msg_check.inc"

#endif /* HK_FUZZ_PAGE_MSG_H */
