/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of nodes for more than 63 of them
 *
 * Included by the compiler's command line ahead of dsm/types.h, whose own definition
 * it replaces: a vector of words, on which | & ~ work as on one. 2048, as id 0 is
 * nobody's and a vector has a power of two of bytes: 1024 nodes do not fit into 1024.
 */
#ifndef HK_SIM_NODES_H
#define HK_SIM_NODES_H

#define HK_MAX_NODES	2048

typedef unsigned long long hk_nodes
	__attribute__((vector_size(HK_MAX_NODES / 8), aligned(8)));

#define HK_NODES_NONE	((hk_nodes){ 0 })
#define hk_nodes_word(set, i) ((set)[i])

static inline hk_nodes hk_node_bit(unsigned int node)
{
	hk_nodes set = HK_NODES_NONE;

	set[node / 64] = 1ull << (node % 64);
	return set;
}

#endif /* HK_SIM_NODES_H */
