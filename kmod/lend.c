// SPDX-License-Identifier: GPL-2.0
/*
 * Lent homes: pages whose home has lent this node the rule over them, and who is known to
 * rule those of others
 *
 * Documentation/protocol.rst, "Lent homes". A page that this node rules has an entry of its
 * own (struct hk_rule) in its bucket, beside what is busy there. Who rules the copy of a
 * page is in page->private, or in struct hk_busy while it is not stable. Of pages that are
 * not here it is in a small table of hints, where one takes the place of another: whoever
 * is asked in vain says so, and home is asked.
 */
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include "mem.h"

static bool lend = true;
module_param(lend, bool, 0644);
MODULE_PARM_DESC(lend, "Lend the rule over a page to the node that writes it again and again (default Y)");

/* A hint: gfn, and the node in the low byte */
#define HINT_NODE_BITS	8

static u64 *hint_of(struct hk_mem *mem, u64 gfn)
{
	return &mem->hint[hash_64(gfn, HK_LEND_HINT_BITS)];
}

/* Guesses, each read and written in one go: no lock */
static u16 hint_get(struct hk_mem *mem, u64 gfn)
{
	u64 hint = READ_ONCE(*hint_of(mem, gfn));

	return hint >> HINT_NODE_BITS == gfn ? hint & (BIT(HINT_NODE_BITS) - 1) :
					       HK_NODE_NONE;
}

static void hint_set(struct hk_mem *mem, u64 gfn, u16 ruler)
{
	u64 *hint = hint_of(mem, gfn);

	if (ruler != HK_NODE_NONE)
		WRITE_ONCE(*hint, gfn << HINT_NODE_BITS | ruler);
	else if (hint_get(mem, gfn) != HK_NODE_NONE)
		WRITE_ONCE(*hint, 0);
}

/**
 * hk_lend_look() - what is known of who rules the page
 * @v: visit; the bucket has just been locked, page and busy are looked up
 */
void hk_lend_look(struct hk_visit *v)
{
	struct hk_rule *rule;

	lockdep_assert_held(&v->b->lock);
	v->rule = NULL;
	hlist_for_each_entry(rule, &v->b->rules, node)
		if (rule->gfn == v->w.gfn)
			v->rule = rule;
	v->w.rules = v->rule;
	v->w.gives = v->rule && (v->rule->dir.flags & HK_DIR_F_GIVES);
	if (v->busy)
		v->w.ruler = v->busy->ruler;
	else if (v->page)
		v->w.ruler = (page_private(v->page) & HK_PP_RULER) >> HK_PP_RULER_SHIFT;
	else
		v->w.ruler = hint_get(v->mem, v->w.gfn);
}

/**
 * hk_lend_note() - keep who rules the page
 * @v: visit, locked, behind a step of the page's state
 * @ruler: what the step said
 */
void hk_lend_note(struct hk_visit *v, u16 ruler)
{
	lockdep_assert_held(&v->b->lock);
	v->w.ruler = ruler;
	if (v->busy)
		v->busy->ruler = ruler;
	if (v->page)
		set_page_private(v->page, (page_private(v->page) & ~HK_PP_RULER) |
				 (unsigned long)ruler << HK_PP_RULER_SHIFT);
	else
		hint_set(v->mem, v->w.gfn, ruler);
}

/**
 * hk_lend_rule() - this node is lent the page: make its entry
 * @v: visit, locked
 * Return: 0 or -ENOMEM
 */
int hk_lend_rule(struct hk_visit *v)
{
	struct hk_rule *rule = mempool_alloc(v->mem->rule_pool,
					     GFP_ATOMIC | __GFP_NOWARN);

	lockdep_assert_held(&v->b->lock);
	if (!rule)
		return -ENOMEM;
	rule->gfn = v->w.gfn;
	rule->dir = hk_dir_lent(v->w.self);
	hlist_add_head(&rule->node, &v->b->rules);
	atomic64_inc(&v->mem->nr_rules);
	v->rule = rule;
	v->w.rules = true;
	v->w.gives = false;
	return 0;
}

static void rule_free(struct hk_mem *mem, struct hk_rule *rule)
{
	hlist_del(&rule->node);
	mempool_free(rule, mem->rule_pool);
	atomic64_dec(&mem->nr_rules);
}

/**
 * hk_lend_stepped() - the entry that this node has as ruler was stepped
 * @v: visit, locked, with a rule
 */
void hk_lend_stepped(struct hk_visit *v)
{
	lockdep_assert_held(&v->b->lock);
	v->w.rules = v->rule->dir.flags & HK_DIR_F_RULES;
	v->w.gives = v->rule->dir.flags & HK_DIR_F_GIVES;
	if (v->w.rules)
		return;
	hk_vm_count(v->mem->vm, LENT_BACK);
	rule_free(v->mem, v->rule);
	v->rule = NULL;
}

/**
 * hk_lend_may() - may home lend a page now, should it want to?
 * @v: visit, locked, this node being home
 * @dir: entry
 * @msg: what has come
 *
 * A page may be read by any member, so all must have offered to know of such pages.
 * Looked at only where home may want to, as that takes a look at each link.
 * Return: true or false
 */
bool hk_lend_may(struct hk_visit *v, const struct hk_dir *dir, const struct hk_dmsg *msg)
{
	struct hk_vm *vm = v->mem->vm;
	u64 left = vm->members & ~hk_node_bit(v->w.self);

	if (msg->type != HK_DMSG_DONE || dir->steady < HK_DIR_STEADY_MIN ||
	    !READ_ONCE(lend))
		return false;
	for (; left; left &= left - 1)
		if (!hk_lend_known(vm, __ffs64(left)))
			return false;
	return true;
}

/**
 * hk_lend_destroy() - forget the pages that this node rules
 * @mem: guest RAM, which nobody uses any more
 * @b: of this bucket
 */
void hk_lend_destroy(struct hk_mem *mem, struct hk_bucket *b)
{
	struct hlist_node *next;
	struct hk_rule *rule;

	hlist_for_each_entry_safe(rule, next, &b->rules, node)
		rule_free(mem, rule);
}
