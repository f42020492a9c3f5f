// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of messages about vCPUs, before anything is used
 *
 * Pure but for the byte order helpers: user space gives its own.
 */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <endian.h>
#include <string.h>
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#endif
#include "../dsm/types.h"
#include "../uapi/hyperkernel.h"
#include "pending.h"
#include "state.h"

u32 hk_state_size(u32 nr_msrs, u32 xsave_len)
{
	return sizeof(struct hk_wire_state) +
	       nr_msrs * sizeof(struct kvm_msr_entry) + xsave_len;
}

static bool all_zero(const u8 *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static const char *check_config(const struct hk_wire_config *c, u32 len,
				u32 nr_vcpus)
{
	u32 tail = len - sizeof(*c);
	const void *data = c + 1;

	if (c->index && le32_to_cpu(c->kind) != HK_CONFIG_CPUID)
		return "index";
	switch (le32_to_cpu(c->kind)) {
	case HK_CONFIG_BASE:
		return tail == sizeof(struct hk_config_base) ? NULL : "BASE size";
	case HK_CONFIG_SLOTS:
		return tail % sizeof(struct hk_config_slot) ? "SLOTS size" : NULL;
	case HK_CONFIG_ROUTES: {
		const struct kvm_irq_routing *r = data;

		if (tail < sizeof(*r) || r->flags ||
		    (tail - sizeof(*r)) % sizeof(r->entries[0]) ||
		    (tail - sizeof(*r)) / sizeof(r->entries[0]) != r->nr)
			return "ROUTES size";
		return NULL;
	}
	case HK_CONFIG_CPUID: {
		const struct kvm_cpuid2 *r = data;

		if (le32_to_cpu(c->index) >= nr_vcpus)
			return "CPUID of no such vCPU";
		if (tail < sizeof(*r) ||
		    (tail - sizeof(*r)) % sizeof(r->entries[0]) ||
		    (tail - sizeof(*r)) / sizeof(r->entries[0]) != r->nent)
			return "CPUID size";
		return NULL;
	}
	}
	return "config kind";
}

static const char *check_state(const struct hk_wire_state *s, u32 len)
{
	u32 msrs = le32_to_cpu(s->nr_msrs), xsave = le32_to_cpu(s->xsave_len);

	if (msrs > HK_STATE_MSRS_MAX || xsave > HK_STATE_XSAVE_MAX ||
	    xsave < sizeof(struct kvm_xsave) ||
	    hk_state_size(msrs, xsave) != len)
		return "state size";
	if (s->reserved)
		return "reserved";
	return NULL;
}

static const char *check_exit(const struct hk_wire_exit *e, u32 len)
{
	u32 pio = le32_to_cpu(e->pio_len);

	if (pio > 4096 || len != sizeof(*e) + pio)
		return "exit size";
	if (e->reserved)
		return "reserved";
	return NULL;
}

static const char *check_irq(const struct hk_wire_irq *i)
{
	if (i->level > 1 || i->trig > 1 ||
	    !all_zero(i->reserved, sizeof(i->reserved)))
		return "irq flags";
	return hk_irq_carried(le16_to_cpu(i->mode)) ? NULL : "irq mode";
}

static const char *check_clock(const struct hk_wire_clock *c)
{
	if (c->known > 1 || c->ask > 1 ||
	    !all_zero(c->reserved, sizeof(c->reserved)))
		return "reserved";
	return !c->known && c->offset ? "offset of nothing" : NULL;
}

static const char *check_vcpu(const struct hk_wire_vcpu *v)
{
	if (v->temporary > 1 || !all_zero(v->reserved, sizeof(v->reserved)))
		return "reserved";
	if (v->text[HK_REASON_MAX - 1])
		return "text without end";
	return NULL;
}

static u32 min_len(u8 type)
{
	switch (type) {
	case HK_MSG_VM_CONFIG:
		return sizeof(struct hk_wire_config);
	case HK_MSG_VM_CONFIG_ACK:
		return sizeof(struct hk_wire_config_ack);
	case HK_MSG_VM_CLOCK:
		return sizeof(struct hk_wire_clock);
	case HK_MSG_VCPU_STATE:
		return sizeof(struct hk_wire_state);
	case HK_MSG_VCPU_IRQ:
		return sizeof(struct hk_wire_irq);
	case HK_MSG_VCPU_EXIT:
	case HK_MSG_VCPU_EXIT_DONE:
		return sizeof(struct hk_wire_exit);
	case HK_MSG_VCPU_IDENT:
		return sizeof(struct hk_wire_ident);
	case HK_MSG_REPLICA_READY:
	case HK_MSG_VCPU_TAKEN:
	case HK_MSG_VCPU_MOVE:
	case HK_MSG_VCPU_MOVED:
		return sizeof(struct hk_wire_vcpu);
	}
	return 0;
}

int hk_vcpu_msg_check(u8 type, const void *body, u32 len, u32 nr_vcpus,
		      const char **why)
{
	u32 least = min_len(type);

	*why = NULL;
	if (!least) {
		*why = "unknown type";
		return -EPROTO;
	}
	if (len < least) {
		*why = "too short";
		return -EPROTO;
	}
	if (type == HK_MSG_VM_CONFIG) {
		*why = check_config(body, len, nr_vcpus);
		return *why ? -EPROTO : 0;
	}
	if (type == HK_MSG_VM_CONFIG_ACK) {
		if (len != least)
			*why = "too long";
		return *why ? -EPROTO : 0;
	}
	if (type == HK_MSG_VM_CLOCK) {
		*why = len != least ? "too long" : check_clock(body);
		return *why ? -EPROTO : 0;
	}
	/* all others begin with the vCPU's index */
	if (le32_to_cpu(*(const __le32 *)body) >= nr_vcpus) {
		*why = "no such vCPU";
		return -EPROTO;
	}
	switch (type) {
	case HK_MSG_VCPU_STATE:
		*why = check_state(body, len);
		break;
	case HK_MSG_VCPU_EXIT:
	case HK_MSG_VCPU_EXIT_DONE:
		*why = check_exit(body, len);
		break;
	default:
		if (len != least)
			*why = "too long";
		else if (type == HK_MSG_VCPU_IRQ)
			*why = check_irq(body);
		else if (type != HK_MSG_VCPU_IDENT)
			*why = check_vcpu(body);
	}
	return *why ? -EPROTO : 0;
}
