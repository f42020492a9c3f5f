/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts of a vCPU that is between two nodes
 *
 * Pure C. Bounded: vectors merge as they do in an IRR, so nothing is allocated.
 */
#ifndef HK_MIGRATE_PENDING_H
#define HK_MIGRATE_PENDING_H

#include "../dsm/types.h"

/* delivery modes as in the ICR, shifted as KVM passes them */
#define HK_DM_FIXED	0x000
#define HK_DM_LOWEST	0x100
#define HK_DM_SMI	0x200
#define HK_DM_NMI	0x400
#define HK_DM_INIT	0x500
#define HK_DM_STARTUP	0x600
/*
 * Ours, no LAPIC knows it and no ICR can hold it: vCPU @vector has accepted an INIT
 * or SIPI that the receiver of this raised. It finds its receiver as interrupts do.
 */
#define HK_DM_ACCEPTED	0x800

/**
 * struct hk_irq - one interrupt as __apic_accept_irq() takes it
 * @mode: HK_DM_*
 * @vector: 0 to 255
 * @level: asserted
 * @trig: level-triggered
 * @waiters: vCPUs that raised it and do not run on before it has been accepted, a
 *	bit each; hk_irq_ordered() only
 */
struct hk_irq {
	u16 mode;
	u8 vector;
	u8 level;
	u8 trig;
	u64 waiters;
};

/**
 * struct hk_pending - what arrived while nobody could take it
 * @edge: edge-triggered vectors
 * @lvl: level-triggered vectors
 * @nmi: NMIs, two at most count (one in service, one latched)
 * @smi: an SMI
 * @init: an INIT; what came before it is void
 * @sipi: a SIPI
 * @sipi_vector: its vector
 * @init_waiters: who waits for @init, or for a SIPI that it made void
 * @sipi_waiters: who waits for @sipi
 * @accepted: vCPUs that have accepted an INIT or SIPI of this one, a bit each
 */
struct hk_pending {
	u64 edge[4];
	u64 lvl[4];
	u64 init_waiters;
	u64 sipi_waiters;
	u64 accepted;
	u8 nmi;
	u8 smi;
	u8 init;
	u8 sipi;
	u8 sipi_vector;
};

/**
 * hk_irq_carried() - does an interrupt of this mode go from node to node?
 * @mode: HK_DM_*
 *
 * The other modes that a guest can write to its ICR are reserved, or KVM's own
 * (remote read: a PV kick, which is off). A LAPIC has nothing to keep of them.
 */
static inline bool hk_irq_carried(u16 mode)
{
	switch (mode) {
	case HK_DM_FIXED:
	case HK_DM_LOWEST:
	case HK_DM_SMI:
	case HK_DM_NMI:
	case HK_DM_INIT:
	case HK_DM_STARTUP:
	case HK_DM_ACCEPTED:
		return true;
	}
	return false;
}

/**
 * hk_irq_ordered() - must it be accepted before whoever raised it goes on?
 * @irq: interrupt
 *
 * INIT and SIPI: in the wrong order the vCPU does not start, or starts too early. An
 * INIT that is deasserted is nothing.
 */
static inline bool hk_irq_ordered(const struct hk_irq *irq)
{
	return irq->mode == HK_DM_STARTUP ||
	       (irq->mode == HK_DM_INIT && (!irq->trig || irq->level));
}

/**
 * hk_pending_add() - keep an interrupt
 * @p: set
 * @irq: interrupt
 * Return: false when the mode cannot be kept (unknown delivery mode).
 */
bool hk_pending_add(struct hk_pending *p, const struct hk_irq *irq);

/**
 * hk_pending_next() - take one out, in an order that a LAPIC could have seen
 * @p: set
 * @irq: out
 *
 * INIT, then SIPI, NMI, SMI, ACCEPTED, then vectors from the highest down.
 * Return: false when there is none left.
 */
bool hk_pending_next(struct hk_pending *p, struct hk_irq *irq);

#endif /* HK_MIGRATE_PENDING_H */
