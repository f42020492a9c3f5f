// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a vCPU, out of KVM and into it
 *
 * Through KVM's user ABI, called on the original functions with a piece of the
 * process's own memory as buffer: stable over kernel versions, no private
 * structure. All of this runs in the runner, whose mm is the KVM VM's, with the
 * vCPU out of guest mode and no exit half done.
 */
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/kvm_para.h>
#include <asm/msr-index.h>
#include "../migrate/state.h"
#include "../uapi/hyperkernel.h"
#include "vcpu.h"

/*
 * MSRs that make up a vCPU, as far as KVM has no call of its own for them. Not
 * among them: TSC (by offset), APICBASE (in sregs), the TSC deadline (last), those
 * whose setting writes guest RAM, and DEBUGCTL, which only fills the log.
 */
static const u32 candidates[] = {
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_TSC_AUX, MSR_IA32_CR_PAT, MSR_IA32_TSC_ADJUST,
	MSR_IA32_MISC_ENABLE, MSR_IA32_SPEC_CTRL, MSR_AMD64_VIRT_SPEC_CTRL,
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207,
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
	MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_C8000, MSR_MTRRfix4K_D0000,
	MSR_MTRRfix4K_D8000, MSR_MTRRfix4K_E0000, MSR_MTRRfix4K_E8000,
	MSR_MTRRfix4K_F0000, MSR_MTRRfix4K_F8000, MSR_MTRRdefType,
	MSR_IA32_XSS, MSR_VM_HSAVE_PA, MSR_VM_CR,
	MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL, MSR_AMD64_TSC_RATIO, MSR_K7_HWCR,
	/* the vector before what may use it */
	MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_EN,
};

static void __user *scratch_ptr(struct hk_vcpu *hv)
{
	return (void __user *)hv->scratch;
}

static int scratch_ready(struct hk_vcpu *hv)
{
	unsigned long addr;

	if (hv->scratch)
		return 0;
	addr = vm_mmap(NULL, 0, HK_SCRATCH_MIN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(addr))
		return (long)addr;
	hv->scratch = addr;
	return 0;
}

/**
 * hk_scratch_get() - ask KVM with an ioctl that answers in user memory
 * @hv: vCPU; its runner is current
 * @file: its KVM file
 * @cmd: KVM_GET_*
 * @buf: out: the answer
 * @len: its bytes, up to HK_SCRATCH_MIN
 * Return: 0 or negative errno.
 */
long hk_scratch_get(struct hk_vcpu *hv, struct file *file, unsigned int cmd,
		    void *buf, size_t len)
{
	long ret = scratch_ready(hv);

	if (ret)
		return ret;
	ret = hk_kvm_vcpu_ioctl(file, cmd, hv->scratch);
	if (!ret && copy_from_user(buf, scratch_ptr(hv), len))
		ret = -EFAULT;
	return ret;
}

/**
 * hk_scratch_put_head() - write what a KVM_GET_* wants to find in front of its answer
 * @hv: vCPU; its runner is current
 * @buf: head
 * @len: its bytes, up to HK_SCRATCH_MIN
 * Return: 0 or negative errno.
 */
int hk_scratch_put_head(struct hk_vcpu *hv, const void *buf, size_t len)
{
	int err = scratch_ready(hv);

	if (err)
		return err;
	return copy_to_user(scratch_ptr(hv), buf, len) ? -EFAULT : 0;
}

/* a KVM_SET_* */
static long scratch_set(struct hk_vcpu *hv, struct file *file, unsigned int cmd,
			const void *buf, size_t len)
{
	long ret = scratch_ready(hv);

	if (ret)
		return ret;
	if (copy_to_user(scratch_ptr(hv), buf, len))
		return -EFAULT;
	return hk_kvm_vcpu_ioctl(file, cmd, hv->scratch);
}

/* Return: number of MSRs done, or errno */
static long msrs_get(struct hk_vcpu *hv, struct file *file,
		     struct kvm_msr_entry *e, u32 nr)
{
	struct kvm_msrs head = { .nmsrs = nr };
	void __user *tail;
	long ret = scratch_ready(hv);

	if (ret)
		return ret;
	tail = scratch_ptr(hv) + sizeof(head);
	if (copy_to_user(scratch_ptr(hv), &head, sizeof(head)) ||
	    copy_to_user(tail, e, nr * sizeof(*e)))
		return -EFAULT;
	ret = hk_kvm_vcpu_ioctl(file, KVM_GET_MSRS, hv->scratch);
	if (ret > 0 && copy_from_user(e, tail, nr * sizeof(*e)))
		return -EFAULT;
	return ret;
}

static long msrs_set(struct hk_vcpu *hv, struct file *file,
		     const struct kvm_msr_entry *e, u32 nr)
{
	struct kvm_msrs head = { .nmsrs = nr };
	long ret = scratch_ready(hv);

	if (ret)
		return ret;
	if (copy_to_user(scratch_ptr(hv), &head, sizeof(head)) ||
	    copy_to_user(scratch_ptr(hv) + sizeof(head), e, nr * sizeof(*e)))
		return -EFAULT;
	return hk_kvm_vcpu_ioctl(file, KVM_SET_MSRS, hv->scratch);
}

static long tsc_offset(struct hk_vcpu *hv, struct file *file, bool set, u64 *off)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
	};
	void __user *val;
	long ret = scratch_ready(hv);

	if (ret)
		return ret;
	val = scratch_ptr(hv) + 256;
	attr.addr = hv->scratch + 256;
	if (copy_to_user(scratch_ptr(hv), &attr, sizeof(attr)) ||
	    (set && copy_to_user(val, off, sizeof(*off))))
		return -EFAULT;
	ret = hk_kvm_vcpu_ioctl(file, set ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR,
				hv->scratch);
	if (!ret && !set && copy_from_user(off, val, sizeof(*off)))
		return -EFAULT;
	return ret;
}

/* find out once which of the candidates this KVM lets us read and write */
static void msrs_probe(struct hk_vcpu *hv, struct file *file)
{
	struct hk_vcpus *vs = hv->vm->vcpus;
	u32 found[ARRAY_SIZE(candidates)], nr = 0;
	int i;

	if (READ_ONCE(vs->nr_msrs))
		return;
	for (i = 0; i < ARRAY_SIZE(candidates); i++) {
		struct kvm_msr_entry e = { .index = candidates[i] };

		if (msrs_get(hv, file, &e, 1) != 1)
			continue;
		/* not set in passing: that wakes all who wait for a page in the guest */
		if (e.index == MSR_KVM_ASYNC_PF_EN || msrs_set(hv, file, &e, 1) == 1)
			found[nr++] = candidates[i];
	}
	mutex_lock(&vs->lock);
	if (!vs->nr_msrs) {
		memcpy(vs->msrs, found, sizeof(found));
		vs->nr_msrs = nr;
	}
	mutex_unlock(&vs->lock);
}

/**
 * hk_tsc_shift() - move the TSC of a vCPU
 * @hv: vCPU; its runner is current
 * @file: its KVM file
 * @by: ticks
 *
 * What the guest has written into its TSC stays in it.
 * Return: 0 or errno.
 */
int hk_tsc_shift(struct hk_vcpu *hv, struct file *file, s64 by)
{
	u64 offset;
	long ret;

	ret = tsc_offset(hv, file, false, &offset);
	offset += by;
	return ret ?: tsc_offset(hv, file, true, &offset);
}

static u32 *lapic_reg(struct kvm_lapic_state *l, u32 reg)
{
	return (u32 *)(l->regs + reg);
}

#define GET(_cmd, _field) do {						\
	what = #_cmd;							\
	ret = hk_scratch_get(hv, file, (_cmd), &(_field), sizeof(_field)); \
	if (ret)							\
		goto err;						\
} while (0)

#define SET(_cmd, _field) do {						\
	what = #_cmd;							\
	ret = scratch_set(hv, file, (_cmd), &(_field), sizeof(_field));	\
	if (ret)							\
		goto err;						\
} while (0)

/**
 * hk_capture() - read the whole state of a vCPU
 * @hv: vCPU
 * @file: its KVM file
 * @why: out, HK_REASON_MAX bytes
 *
 * Changes nothing, so a handoff that comes to nothing needs no undoing. MP_STATE
 * goes first: reading it makes KVM act on a pending INIT or SIPI, which changes
 * the registers.
 * Return: VCPU_STATE message without generation, or NULL.
 */
struct hk_msg *hk_capture(struct hk_vcpu *hv, struct file *file, char *why)
{
	struct hk_vcpus *vs = hv->vm->vcpus;
	struct kvm_vcpu *vcpu = hv->vcpu;
	struct kvm_msr_entry deadline = { .index = MSR_IA32_TSC_DEADLINE };
	struct hk_wire_state *s = NULL;
	struct kvm_msr_entry *msr;
	struct hk_msg *msg = NULL;
	const char *what = "";
	u64 offset;
	long ret;
	int i;

	if (vcpu->arch.guest_fpu.uabi_size > sizeof(struct kvm_xsave)) {
		what = "guest uses more XSAVE state than is carried";
		ret = -EOPNOTSUPP;
		goto err;
	}
	if (vcpu->arch.hflags & HF_GUEST_MASK) {
		what = "vCPU runs a nested guest";
		ret = -EBUSY;
		goto err;
	}
	if (vcpu->guest_debug) {
		what = "vCPU is being debugged";
		ret = -EBUSY;
		goto err;
	}
	msrs_probe(hv, file);
	what = "message";
	msg = hk_msg_alloc(HK_MSG_VCPU_STATE, hv->vm->id,
			   hk_state_size(vs->nr_msrs, sizeof(struct kvm_xsave)),
			   GFP_KERNEL);
	ret = -ENOMEM;
	if (!msg)
		goto err;
	s = (struct hk_wire_state *)msg->body;
	msr = (struct kvm_msr_entry *)(s + 1);
	s->vcpu = cpu_to_le32(hv->index);
	s->nr_msrs = cpu_to_le32(vs->nr_msrs);
	s->xsave_len = cpu_to_le32(sizeof(struct kvm_xsave));

	GET(KVM_GET_MP_STATE, s->mp_state);
	GET(KVM_GET_VCPU_EVENTS, s->events);
	if (s->events.smi.smm) {
		what = "vCPU is in system management mode";
		ret = -EBUSY;
		goto err;
	}
	GET(KVM_GET_REGS, s->regs);
	GET(KVM_GET_SREGS2, s->sregs);
	GET(KVM_GET_XSAVE, *(struct kvm_xsave *)(msr + vs->nr_msrs));
	GET(KVM_GET_XCRS, s->xcrs);
	GET(KVM_GET_DEBUGREGS, s->dbg);
	for (i = 0; i < vs->nr_msrs; i++)
		msr[i].index = vs->msrs[i];
	what = "KVM_GET_MSRS";
	ret = msrs_get(hv, file, msr, vs->nr_msrs);
	if (ret != vs->nr_msrs)
		goto err;
	what = "TSC offset";
	ret = tsc_offset(hv, file, false, &offset);
	if (ret)
		goto err;
	s->tsc_base = cpu_to_le64(offset - hv->tsc_delta);
	GET(KVM_GET_LAPIC, s->lapic);
	if (msrs_get(hv, file, &deadline, 1) == 1)
		s->tsc_deadline = cpu_to_le64(deadline.data);
	return msg;

err:
	snprintf(why, HK_REASON_MAX, "capture: %s (%ld)", what, ret);
	hk_msg_free(msg);
	return NULL;
}

/*
 * Asynchronous page faults: threads of the guest wait for pages, each by a token that the
 * other host has made up and will never call ready. Setting the MSR that enables them has
 * KVM tell the guest that all pages are ready, once it runs: whoever still needs one
 * faults again, here. KVM does not say when it had no memory to remember that.
 */
static bool async_pf_wakes(const struct kvm_vcpu *vcpu)
{
	/* one without the other was the way of guests before 5.9; KVM has no such any more */
	u64 on = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;

	return (vcpu->arch.apf.msr_en_val & on) != on ||
	       !list_empty_careful(&vcpu->async_pf.done);
}

/*
 * A ghost must write no token into the guest's memory and raise no interrupt for one. KVM
 * does both only when the vCPU is in KVM_RUN or acknowledges a token, and neither happens
 * between capture and here; what its workers have fetched by now is forgotten, and what they
 * still fetch waited for: as long as a fault may take, or the guest is dead.
 */
static void async_pf_silence(struct hk_vcpu *hv, struct file *file)
{
	struct kvm_vcpu *vcpu = hv->vcpu;
	/* in this order: acknowledged while enabled, the next token would be written */
	const struct kvm_msr_entry off[] = {
		{ .index = MSR_KVM_ASYNC_PF_EN, .data = 0 },
		{ .index = MSR_KVM_ASYNC_PF_ACK, .data = 1 },
	};

	if (!vcpu->arch.apf.msr_en_val)
		return;
	msrs_set(hv, file, off, ARRAY_SIZE(off));
	/* it stood still here for a page that it asks for elsewhere now */
	kvm_clear_request(KVM_REQ_APF_HALT, vcpu);
	vcpu->arch.apf.halted = false;
}

/**
 * hk_apply() - give a vCPU the state it had elsewhere
 * @hv: vCPU
 * @file: its KVM file here
 * @msg: VCPU_STATE, checked by hk_vcpu_msg_check()
 * @why: out, HK_REASON_MAX bytes
 *
 * SREGS before LAPIC (it holds APICBASE), EVENTS and MP_STATE last. While the
 * vCPU was away others shot down TLB entries of it there, not here, so all of its
 * TLB goes.
 * Return: 0 or errno; the ghost must be silenced then.
 */
int hk_apply(struct hk_vcpu *hv, struct file *file, const struct hk_msg *msg,
	     char *why)
{
	struct hk_wire_state *s = (struct hk_wire_state *)msg->body;
	const struct kvm_msr_entry *msr = (void *)(s + 1);
	u32 nr_msrs = le32_to_cpu(s->nr_msrs);
	struct kvm_msr_entry deadline = {
		.index = MSR_IA32_TSC_DEADLINE,
		.data = le64_to_cpu(s->tsc_deadline),
	};
	u32 tmr[HK_VECTORS / 32];
	const char *what;
	u64 offset;
	s64 delta;
	long ret;
	int i;

	what = "the guest's clock is not known here yet";
	ret = hk_clock_take(hv, &delta);
	if (ret)
		goto err;
	hv->tsc_delta = delta;
	/* a CPU without XSAVE has none, and KVM then takes none */
	if (s->xcrs.nr_xcrs)
		SET(KVM_SET_XCRS, s->xcrs);
	SET(KVM_SET_SREGS2, s->sregs);
	SET(KVM_SET_REGS, s->regs);
	SET(KVM_SET_XSAVE, *(struct kvm_xsave *)(msr + nr_msrs));
	SET(KVM_SET_DEBUGREGS, s->dbg);
	what = "KVM_SET_MSRS";
	ret = msrs_set(hv, file, msr, nr_msrs);
	if (ret != nr_msrs) {
		if (ret >= 0)
			snprintf(why, HK_REASON_MAX,
				 "this host's KVM refuses MSR 0x%x",
				 msr[ret].index);
		else
			snprintf(why, HK_REASON_MAX, "KVM_SET_MSRS (%ld)", ret);
		return -EOPNOTSUPP;
	}
	what = "asynchronous page faults, out of memory";
	ret = -ENOMEM;
	if (!async_pf_wakes(hv->vcpu))
		goto err;
	what = "TSC offset";
	offset = le64_to_cpu(s->tsc_base) + delta;
	ret = tsc_offset(hv, file, true, &offset);
	if (ret)
		goto err;
	SET(KVM_SET_LAPIC, s->lapic);
	for (i = 0; i < ARRAY_SIZE(tmr); i++)
		tmr[i] = *lapic_reg(&s->lapic, APIC_TMR + 16 * i);
	hk_irq_level_set(hv, tmr);
	if (deadline.data)
		msrs_set(hv, file, &deadline, 1);
	s->events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING |
			   KVM_VCPUEVENT_VALID_SHADOW;
	s->events.flags &= ~KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	SET(KVM_SET_VCPU_EVENTS, s->events);
	SET(KVM_SET_MP_STATE, s->mp_state);
	kvm_make_request(KVM_REQ_TLB_FLUSH_GUEST, hv->vcpu);
	return 0;

err:
	snprintf(why, HK_REASON_MAX, "apply: %s (%ld)", what, ret);
	return ret < 0 ? ret : -EIO;
}

/**
 * hk_silence() - make a ghost's LAPIC do nothing by itself
 * @hv: vCPU that does not live here
 * @file: its KVM file
 *
 * Identity stays, so that destinations resolve; timer, requests and services go.
 * Where the guest takes part in asynchronous page faults those under way are waited for.
 */
void hk_silence(struct hk_vcpu *hv, struct file *file)
{
	struct kvm_msr_entry deadline = { .index = MSR_IA32_TSC_DEADLINE };
	struct kvm_lapic_state *l = kmalloc(sizeof(*l), GFP_KERNEL);
	int i;

	async_pf_silence(hv, file);
	if (!l || hk_scratch_get(hv, file, KVM_GET_LAPIC, l, sizeof(*l)))
		goto err;
	for (i = 0; i < 8; i++) {
		*lapic_reg(l, APIC_IRR + 16 * i) = 0;
		*lapic_reg(l, APIC_ISR + 16 * i) = 0;
		*lapic_reg(l, APIC_TMR + 16 * i) = 0;
	}
	*lapic_reg(l, APIC_TMICT) = 0;
	*lapic_reg(l, APIC_TMCCT) = 0;
	*lapic_reg(l, APIC_LVTT) |= APIC_LVT_MASKED;
	msrs_set(hv, file, &deadline, 1);
	if (scratch_set(hv, file, KVM_SET_LAPIC, l, sizeof(*l)))
		goto err;
	kfree(l);
	return;

err:
	kfree(l);
	hk_vm_kill(hv->vm, true, "vCPU %u: its ghost cannot be silenced",
		   hv->index);
}

/**
 * hk_ident_read() - what others need to know of a LAPIC so that destinations resolve
 * @hv: vCPU; its runner is current
 * @file: its KVM file
 * @ident: out
 * Return: 0 or negative errno.
 */
int hk_ident_read(struct hk_vcpu *hv, struct file *file,
		  struct hk_wire_ident *ident)
{
	struct kvm_lapic_state *l = kmalloc(sizeof(*l), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!l)
		return ret;
	ret = hk_scratch_get(hv, file, KVM_GET_LAPIC, l, sizeof(*l));
	if (!ret)
		*ident = (struct hk_wire_ident){
			.vcpu = cpu_to_le32(hv->index),
			.apic_base = cpu_to_le64(hv->vcpu->arch.apic_base),
			.id = cpu_to_le32(*lapic_reg(l, APIC_ID)),
			.ldr = cpu_to_le32(*lapic_reg(l, APIC_LDR)),
			.dfr = cpu_to_le32(*lapic_reg(l, APIC_DFR)),
			.spiv = cpu_to_le32(*lapic_reg(l, APIC_SPIV)),
		};
	kfree(l);
	return ret;
}

/**
 * hk_ident_apply() - give a ghost's LAPIC an identity; its timer stays off
 * @hv: vCPU that lives elsewhere; its runner is current
 * @file: its KVM file
 * @ident: identity
 * Return: 0 or negative errno.
 */
int hk_ident_apply(struct hk_vcpu *hv, struct file *file,
		   const struct hk_wire_ident *ident)
{
	struct kvm_lapic_state *l = kmalloc(sizeof(*l), GFP_KERNEL);
	struct kvm_sregs2 *sregs = kmalloc(sizeof(*sregs), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!l || !sregs)
		goto out;
	ret = hk_scratch_get(hv, file, KVM_GET_SREGS2, sregs, sizeof(*sregs));
	if (ret)
		goto out;
	sregs->apic_base = le64_to_cpu(ident->apic_base);
	ret = scratch_set(hv, file, KVM_SET_SREGS2, sregs, sizeof(*sregs));
	if (ret)
		goto out;
	ret = hk_scratch_get(hv, file, KVM_GET_LAPIC, l, sizeof(*l));
	if (ret)
		goto out;
	*lapic_reg(l, APIC_ID) = le32_to_cpu(ident->id);
	*lapic_reg(l, APIC_LDR) = le32_to_cpu(ident->ldr);
	*lapic_reg(l, APIC_DFR) = le32_to_cpu(ident->dfr);
	*lapic_reg(l, APIC_SPIV) = le32_to_cpu(ident->spiv);
	*lapic_reg(l, APIC_LVTT) |= APIC_LVT_MASKED;
	*lapic_reg(l, APIC_TMICT) = 0;
	ret = scratch_set(hv, file, KVM_SET_LAPIC, l, sizeof(*l));
out:
	kfree(l);
	kfree(sregs);
	return ret;
}
