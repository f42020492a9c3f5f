// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of a vCPU that is between two nodes
 */
#include "pending.h"

bool hk_pending_add(struct hk_pending *p, const struct hk_irq *irq)
{
	switch (irq->mode) {
	case HK_DM_LOWEST:
	case HK_DM_FIXED:
		/* the deassertion of a level does nothing in a LAPIC */
		if (irq->trig && !irq->level)
			return true;
		if (irq->trig) {
			p->lvl[irq->vector / 64] |= (u64)1 << (irq->vector % 64);
			p->edge[irq->vector / 64] &= ~((u64)1 << (irq->vector % 64));
		} else {
			p->edge[irq->vector / 64] |= (u64)1 << (irq->vector % 64);
			p->lvl[irq->vector / 64] &= ~((u64)1 << (irq->vector % 64));
		}
		return true;
	case HK_DM_NMI:
		if (p->nmi < 2)
			p->nmi++;
		return true;
	case HK_DM_SMI:
		p->smi = 1;
		return true;
	case HK_DM_INIT:
		if (irq->trig && !irq->level)
			return true;
		p->init = 1;
		p->sipi = 0;
		/* a SIPI that is void is accepted when what made it so is */
		p->init_waiters |= p->sipi_waiters | irq->waiters;
		p->sipi_waiters = 0;
		return true;
	case HK_DM_STARTUP:
		p->sipi = 1;
		p->sipi_vector = irq->vector;
		p->sipi_waiters |= irq->waiters;
		return true;
	case HK_DM_ACCEPTED:
		p->accepted |= (u64)1 << (irq->vector % 64);
		return true;
	}
	return false;
}

static bool take_highest(u64 *set, u8 *vector)
{
	int i;

	for (i = 255; i >= 0; i--) {
		u64 bit = (u64)1 << (i % 64);

		if (!set[i / 64]) {
			i -= i % 64;
			continue;
		}
		if (set[i / 64] & bit) {
			set[i / 64] &= ~bit;
			*vector = i;
			return true;
		}
	}
	return false;
}

bool hk_pending_next(struct hk_pending *p, struct hk_irq *irq)
{
	*irq = (struct hk_irq){ .level = 1 };
	if (p->init) {
		p->init = 0;
		irq->mode = HK_DM_INIT;
		irq->waiters = p->init_waiters;
		p->init_waiters = 0;
		return true;
	}
	if (p->sipi) {
		p->sipi = 0;
		irq->mode = HK_DM_STARTUP;
		irq->vector = p->sipi_vector;
		irq->waiters = p->sipi_waiters;
		p->sipi_waiters = 0;
		return true;
	}
	if (p->nmi) {
		p->nmi--;
		irq->mode = HK_DM_NMI;
		return true;
	}
	if (p->smi) {
		p->smi = 0;
		irq->mode = HK_DM_SMI;
		return true;
	}
	if (p->accepted) {
		irq->vector = __builtin_ctzll(p->accepted);
		irq->mode = HK_DM_ACCEPTED;
		p->accepted &= p->accepted - 1;
		return true;
	}
	irq->mode = HK_DM_FIXED;
	if (take_highest(p->edge, &irq->vector))
		return true;
	irq->trig = 1;
	return take_highest(p->lvl, &irq->vector);
}
