// SPDX-License-Identifier: GPL-2.0
/*
 * What must be true when all is quiet. What must be true at every access is checked
 * there (node.c): a copy that may be used has the last value stored.
 */
#include "sim.h"

static void check_copy(const struct hk_dir *dir, u16 node, u32 page)
{
	const struct sim_copy *c = copy_of(node, page);
	bool sharer = hk_nodes_any(dir->sharers & hk_node_bit(node));
	bool ok;

	switch ((enum hk_page_state)c->state) {
	case HK_PG_INVALID:
		ok = dir->owner != node;
		break;
	case HK_PG_SHARED:
		ok = sharer && dir->owner != node;
		break;
	case HK_PG_OWNED:
		ok = dir->owner == node;
		break;
	case HK_PG_EXCLUSIVE:
		ok = dir->owner == node && !hk_nodes_any(dir->sharers);
		break;
	default:
		ok = false;
	}
	if (ok && c->state != HK_PG_INVALID)
		ok = c->version == sim.version[page];
	if (!ok || c->busy)
		sim_fail("quiet: node %u, page %u: %s, version %u of %u, owner %u%s",
			 node, page, hk_page_state_name(c->state), c->version,
			 sim.version[page], dir->owner, sharer ? ", sharer" : "");
}

bool check_quiet(void)
{
	u32 page;
	u16 node;

	if (sim.sleeping)
		sim_fail("quiet: %llu threads wait for ever", sim.sleeping);
	for (page = 0; page < sim.pages && !sim.failed; page++) {
		const struct hk_dir *dir = &sim.dir[page];

		if (dir->busy || sim.dir_wait[page])
			sim_fail("quiet: page %u is busy for node %u", page,
				 dir->busy);
		/* who is lent the page knows it better */
		if (dir->flags & HK_DIR_F_LENT) {
			u16 owner = dir->owner;

			dir = &sim.rule[page];
			if (dir->owner != owner || dir->busy ||
			    sim.rule_wait[page] || (dir->flags & HK_DIR_F_GIVES))
				sim_fail("quiet: page %u is lent to node %u, which does not rule",
					 page, owner);
		} else if (sim.rule[page].owner) {
			sim_fail("quiet: node %u rules page %u, which is not lent",
				 sim.rule[page].owner, page);
		}
		for (node = 1; node <= cfg.nodes; node++)
			check_copy(dir, node, page);
	}
	return !sim.failed;
}
