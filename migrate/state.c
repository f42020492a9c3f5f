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
#define le64_to_cpu(x) le64toh(x)
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

/* a set of vCPUs */
static bool beyond(u64 set, u32 nr_vcpus)
{
	return nr_vcpus < 64 && set >> nr_vcpus;
}

static const char *check_state(const struct hk_wire_state *s, u32 len,
			       u32 nr_vcpus)
{
	u32 msrs = le32_to_cpu(s->nr_msrs), xsave = le32_to_cpu(s->xsave_len);

	if (msrs > HK_STATE_MSRS_MAX || xsave > HK_STATE_XSAVE_MAX ||
	    xsave < sizeof(struct kvm_xsave) ||
	    hk_state_size(msrs, xsave) != len)
		return "state size";
	if (s->reserved)
		return "reserved";
	return beyond(le64_to_cpu(s->unaccepted), nr_vcpus) ? "waits for no such vCPU" :
							      NULL;
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

/* A field of kvm_run's union, as it lies in the message */
#define EXIT_U32(_e, _field)						\
	exit_u32(_e, offsetof(struct kvm_run, _field) -			\
		 offsetof(struct kvm_run, padding))

static u32 exit_u32(const struct hk_wire_exit *e, size_t at)
{
	u32 val;

	memcpy(&val, e->u + at, sizeof(val));
	return val;
}

/*
 * The VMM takes what is in kvm_run for KVM's word: it reads and writes as many bytes
 * of it as a length there says. So a length that KVM would never give is refused.
 */
static const char *check_exit_run(const struct hk_wire_exit *e)
{
	s32 result = le32_to_cpu(e->result);

	if (result > 0 || result < -4095)
		return "exit result";
	switch (le32_to_cpu(e->exit_reason)) {
	case KVM_EXIT_IO:
		switch (e->u[offsetof(struct kvm_run, io.size) -
			     offsetof(struct kvm_run, padding)]) {
		case 1:
		case 2:
		case 4:
			return NULL;
		}
		return "exit port size";
	case KVM_EXIT_MMIO:
		return EXIT_U32(e, mmio.len) > 8 ? "exit MMIO length" : NULL;
	case KVM_EXIT_INTERNAL_ERROR:
		return EXIT_U32(e, internal.ndata) > 16 ? "exit data" : NULL;
	case KVM_EXIT_SYSTEM_EVENT:
		return EXIT_U32(e, system_event.ndata) > 16 ? "exit data" : NULL;
	}
	return NULL;
}

static const char *check_irq(const struct hk_wire_irq *i, u32 nr_vcpus)
{
	const struct hk_irq irq = {
		.mode = le16_to_cpu(i->mode), .level = i->level, .trig = i->trig,
	};

	if (i->level > 1 || i->trig > 1 ||
	    !all_zero(i->reserved, sizeof(i->reserved)))
		return "irq flags";
	if (!hk_irq_carried(irq.mode))
		return "irq mode";
	if (irq.mode == HK_DM_ACCEPTED && i->vector >= nr_vcpus)
		return "irq accepted by no such vCPU";
	if (i->waiters && (!hk_irq_ordered(&irq) ||
			   beyond(le64_to_cpu(i->waiters), nr_vcpus)))
		return "irq waiters";
	return NULL;
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
	const char *c;

	if (v->temporary > 1 || !all_zero(v->reserved, sizeof(v->reserved)))
		return "reserved";
	if (v->text[HK_REASON_MAX - 1])
		return "text without end";
	/* it ends in logs and on terminals */
	for (c = v->text; *c; c++)
		if (*c < ' ' || *c > '~')
			return "text not printable";
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
		*why = check_state(body, len, nr_vcpus);
		break;
	case HK_MSG_VCPU_EXIT:
		*why = check_exit(body, len) ?: check_exit_run(body);
		break;
	case HK_MSG_VCPU_EXIT_DONE:
		*why = check_exit(body, len);
		break;
	default:
		if (len != least)
			*why = "too long";
		else if (type == HK_MSG_VCPU_IRQ)
			*why = check_irq(body, nr_vcpus);
		else if (type != HK_MSG_VCPU_IDENT)
			*why = check_vcpu(body);
	}
	return *why ? -EPROTO : 0;
}
