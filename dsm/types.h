/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words shared by the page protocol and everything that binds it
 *
 * Pure C: compiled into the module and, with the same objects, into user space.
 */
#ifndef HK_DSM_TYPES_H
#define HK_DSM_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed short s16;
typedef signed int s32;
#endif

/**
 * HK_MAX_NODES - node ids run from 1 to HK_MAX_NODES - 1; 0 is "no node"
 *
 * A set of nodes is one u64, bit n for node n, so that a directory entry with
 * its sharers fits into 16 bytes. Sets are combined by | & ~; all else about
 * them is here. selftests/sim/nodes.h has another definition, for more nodes.
 */
#ifndef HK_MAX_NODES
#define HK_MAX_NODES	64

typedef u64 hk_nodes;

#define HK_NODES_NONE	((u64)0)
#define hk_node_bit(node) ((u64)1 << (node))
/* Bits 64 * i and up of a set */
#define hk_nodes_word(set, i) ((void)(i), (set))
#endif
#define HK_NODE_NONE	0
#define HK_NODES_WORDS	(HK_MAX_NODES / 64)

static inline bool hk_nodes_any(hk_nodes set)
{
	unsigned int i;
	u64 any = 0;

	for (i = 0; i < HK_NODES_WORDS; i++)
		any |= hk_nodes_word(set, i);
	return any;
}

#endif /* HK_DSM_TYPES_H */
