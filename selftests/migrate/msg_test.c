// SPDX-License-Identifier: GPL-2.0
/*
 * hk_vcpu_msg_check(): every malformed form of every message
 *
 * Bodies are allocated to the byte, so that the sanitizer sees a look behind them.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "../../migrate/pending.h"
#include "../../migrate/state.h"
#include "../../uapi/hyperkernel.h"
#include "test.h"

#define VCPUS	4

struct msg {
	u8 type;
	u32 len;
	u8 *body;
};

static int check(const struct msg *m, u32 len)
{
	u8 *copy = malloc(len ? len : 1);
	const char *why = "?";
	int ret;

	if (len < m->len) {
		memcpy(copy, m->body, len);
	} else {
		memset(copy, 0, len);
		memcpy(copy, m->body, m->len);
	}
	ret = hk_vcpu_msg_check(m->type, copy, len, VCPUS, &why);
	free(copy);
	/* a reason with every refusal, and only then */
	return !ret != !why ? -EINVAL : ret;
}

static bool good(const struct msg *m)
{
	return !check(m, m->len);
}

static bool bad(const struct msg *m)
{
	return check(m, m->len) == -EPROTO;
}

static struct msg make(u8 type, u32 len)
{
	struct msg m = { type, len, calloc(1, len + 1) };

	if (!m.body)
		abort();
	return m;
}

/* All lengths but the right one, up to a little more than it */
static bool lengths(const struct msg *m, u32 step)
{
	u32 len;

	for (len = 0; len < m->len; len += step)
		if (check(m, len) != -EPROTO)
			return false;
	return good(m) && check(m, m->len - 1) == -EPROTO &&
	       check(m, m->len + 1) == -EPROTO && check(m, m->len + 8) == -EPROTO;
}

/* Set a byte, expect a refusal, set it back */
static bool refuses(const struct msg *m, size_t at, u8 value)
{
	u8 old = m->body[at];
	bool ok;

	m->body[at] = value;
	ok = bad(m);
	m->body[at] = old;
	return ok;
}

static bool refuses_all(const struct msg *m, size_t at, size_t n)
{
	bool ok = true;

	while (n--)
		ok &= refuses(m, at++, 1) && refuses(m, at - 1, 0x80);
	return ok;
}

static bool index_checked(const struct msg *m)
{
	unsigned int i;
	bool ok = true;

	for (i = 1; i < 4; i++)
		ok &= refuses(m, i, 1);
	ok &= refuses(m, 0, VCPUS) && refuses(m, 0, 255);
	m->body[0] = VCPUS - 1;
	ok &= good(m);
	m->body[0] = 0;
	return ok;
}

static void test_vcpu(u8 type, const char *name)
{
	struct msg m = make(type, sizeof(struct hk_wire_vcpu));
	struct hk_wire_vcpu *w = (void *)m.body;

	tap_ok(lengths(&m, 1), "msg: %s: length", name);
	tap_ok(index_checked(&m), "msg: %s: vCPU", name);
	tap_ok(refuses_all(&m, offsetof(struct hk_wire_vcpu, reserved), 2),
	       "msg: %s: reserved", name);
	w->temporary = 1;
	tap_ok(good(&m) && refuses(&m, offsetof(struct hk_wire_vcpu, temporary), 2),
	       "msg: %s: temporary", name);
	memset(w->text, 'x', sizeof(w->text) - 1);
	tap_ok(good(&m) && refuses(&m, m.len - 1, 'x'),
	       "msg: %s: text without end", name);
	tap_ok(refuses(&m, offsetof(struct hk_wire_vcpu, text), '\033') &&
	       refuses(&m, offsetof(struct hk_wire_vcpu, text) + 7, 0x80) &&
	       refuses(&m, m.len - 2, '\n'),
	       "msg: %s: text not printable", name);
	free(m.body);
}

static void test_irq(void)
{
	struct msg m = make(HK_MSG_VCPU_IRQ, sizeof(struct hk_wire_irq));
	struct hk_wire_irq *w = (void *)m.body;
	unsigned int mode;
	bool ok = true;

	tap_ok(lengths(&m, 1), "msg: IRQ: length");
	tap_ok(index_checked(&m), "msg: IRQ: vCPU");
	tap_ok(refuses_all(&m, offsetof(struct hk_wire_irq, reserved), 7),
	       "msg: IRQ: reserved");
	tap_ok(refuses(&m, offsetof(struct hk_wire_irq, level), 2) &&
	       refuses(&m, offsetof(struct hk_wire_irq, trig), 2),
	       "msg: IRQ: level and trigger mode");
	for (mode = 0; mode < 0x10000; mode++) {
		w->mode = htole16(mode);
		ok &= hk_irq_carried(mode) ? good(&m) : bad(&m);
	}
	tap_ok(ok, "msg: IRQ: every mode");
	w->level = 1;
	for (mode = 0; mode < 0x10000; mode++) {
		if (!hk_irq_carried(mode))
			continue;
		w->mode = htole16(mode);
		w->waiters = htole64(1ULL << (VCPUS - 1));
		ok &= (mode == HK_DM_INIT || mode == HK_DM_STARTUP) ? good(&m) : bad(&m);
		w->waiters = htole64(1ULL << VCPUS);
		ok &= bad(&m);
		w->waiters = htole64(1ULL << 63);
		ok &= bad(&m);
		w->waiters = 0;
		ok &= good(&m);
	}
	tap_ok(ok, "msg: IRQ: waiters of INIT and SIPI only");
	w->mode = htole16(HK_DM_INIT);
	w->waiters = htole64(1);
	w->trig = 1;
	ok = good(&m);
	w->level = 0;
	tap_ok(ok && bad(&m), "msg: IRQ: nobody waits for a deasserted INIT");
	w->trig = 0;
	w->waiters = 0;
	w->mode = htole16(HK_DM_ACCEPTED);
	w->vector = VCPUS - 1;
	ok = good(&m);
	w->vector = VCPUS;
	tap_ok(ok && bad(&m), "msg: IRQ: accepted by a vCPU that there is");
	free(m.body);
}

static void test_ident(void)
{
	struct msg m = make(HK_MSG_VCPU_IDENT, sizeof(struct hk_wire_ident));

	tap_ok(lengths(&m, 1), "msg: IDENT: length");
	tap_ok(index_checked(&m), "msg: IDENT: vCPU");
	free(m.body);
}

static void test_exit(u8 type, const char *name)
{
	static const u32 pios[] = { 0, 1, 4, 4095, 4096 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pios); i++) {
		struct msg m = make(type, sizeof(struct hk_wire_exit) + pios[i]);
		struct hk_wire_exit *w = (void *)m.body;

		w->pio_len = htole32(pios[i]);
		tap_ok(lengths(&m, 1) && index_checked(&m) &&
		       refuses_all(&m, offsetof(struct hk_wire_exit, reserved), 4),
		       "msg: %s with %u bytes: length, vCPU, reserved", name,
		       pios[i]);
		w->pio_len = htole32(pios[i] + 1);
		tap_ok(bad(&m), "msg: %s with %u bytes: one more promised", name,
		       pios[i]);
		w->pio_len = htole32(0x80000000u | pios[i]);
		tap_ok(bad(&m), "msg: %s with %u bytes: huge count", name, pios[i]);
		free(m.body);
	}
	{
		struct msg m = make(type, sizeof(struct hk_wire_exit) + 4097);

		((struct hk_wire_exit *)m.body)->pio_len = htole32(4097);
		tap_ok(bad(&m), "msg: %s: more data than a page", name);
		/* the sum must not wrap */
		m.len = sizeof(struct hk_wire_exit) - 1;
		((struct hk_wire_exit *)m.body)->pio_len = htole32(~0u);
		tap_ok(bad(&m), "msg: %s: count of -1", name);
		free(m.body);
	}
}

/* What the VMM would believe: lengths inside of kvm_run */
static void test_exit_run(void)
{
#define AT(_field)	(offsetof(struct hk_wire_exit, u) +		\
			 offsetof(struct kvm_run, _field) -		\
			 offsetof(struct kvm_run, padding))
	static const struct {
		const char *name;
		u32 reason;
		u32 at;
		u32 bytes;
		u32 good;
		u32 worse;
	} cases[] = {
		{ "MMIO", KVM_EXIT_MMIO, AT(mmio.len), 4, 8, 9 },
		{ "MMIO, huge", KVM_EXIT_MMIO, AT(mmio.len), 4, 1, ~0u },
		{ "port of 3 bytes", KVM_EXIT_IO, AT(io.size), 1, 4, 3 },
		{ "port of no bytes", KVM_EXIT_IO, AT(io.size), 1, 1, 0 },
		{ "port of many bytes", KVM_EXIT_IO, AT(io.size), 1, 2, 255 },
		{ "internal error", KVM_EXIT_INTERNAL_ERROR, AT(internal.ndata),
		  4, 16, 17 },
		{ "system event", KVM_EXIT_SYSTEM_EVENT, AT(system_event.ndata),
		  4, 16, ~0u },
		{ "result", KVM_EXIT_HLT, offsetof(struct hk_wire_exit, result),
		  4, -4095, -4096 },
		{ "result, positive", KVM_EXIT_HLT,
		  offsetof(struct hk_wire_exit, result), 4, 0, 1 },
	};
#undef AT
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg m = make(HK_MSG_VCPU_EXIT, sizeof(struct hk_wire_exit));
		struct hk_wire_exit *w = (void *)m.body;
		bool good;
		u32 val;

		w->exit_reason = htole32(cases[i].reason);
		val = htole32(cases[i].good);
		memcpy(m.body + cases[i].at, &val, cases[i].bytes);
		good = !bad(&m);
		val = htole32(cases[i].worse);
		memcpy(m.body + cases[i].at, &val, cases[i].bytes);
		tap_ok(good && bad(&m), "msg: EXIT: %s", cases[i].name);
		free(m.body);
	}
}

static struct msg make_state(u32 msrs, u32 xsave)
{
	struct msg m = make(HK_MSG_VCPU_STATE, hk_state_size(msrs, xsave));
	struct hk_wire_state *w = (void *)m.body;

	w->nr_msrs = htole32(msrs);
	w->xsave_len = htole32(xsave);
	return m;
}

static void test_state(void)
{
	static const u32 msrs[] = { 0, 1, HK_STATE_MSRS_MAX };
	static const u32 xsaves[] = { sizeof(struct kvm_xsave), HK_STATE_XSAVE_MAX };
	unsigned int i, j;
	struct msg m;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		for (j = 0; j < ARRAY_SIZE(xsaves); j++) {
			struct hk_wire_state *w;

			m = make_state(msrs[i], xsaves[j]);
			w = (void *)m.body;
			tap_ok(lengths(&m, 97) && index_checked(&m),
			       "msg: STATE, %u MSRs, %u bytes of XSAVE: length, vCPU",
			       msrs[i], xsaves[j]);
			tap_ok(refuses_all(&m, offsetof(struct hk_wire_state,
							reserved), 4),
			       "msg: STATE: reserved");
			tap_ok(refuses_all(&m, offsetof(struct hk_wire_state,
							unaccepted) + 1, 7) &&
			       refuses(&m, offsetof(struct hk_wire_state, unaccepted),
				       1 << VCPUS),
			       "msg: STATE: waits for a vCPU that there is not");
			w->unaccepted = htole64((1 << VCPUS) - 1);
			tap_ok(good(&m), "msg: STATE: waits for every vCPU");
			w->unaccepted = 0;
			w->nr_msrs = htole32(msrs[i] + 1);
			tap_ok(bad(&m), "msg: STATE: one MSR too many promised");
			w->nr_msrs = htole32(msrs[i]);
			w->xsave_len = htole32(xsaves[j] - 16);
			tap_ok(bad(&m), "msg: STATE: XSAVE too short");
			/* one MSR is 16 bytes: right in sum, wrong in parts */
			w->nr_msrs = htole32(msrs[i] + 1);
			if (msrs[i] == HK_STATE_MSRS_MAX ||
			    xsaves[j] == sizeof(struct kvm_xsave))
				tap_ok(bad(&m), "msg: STATE: right sum of wrong parts");
			/* 2^28 MSRs are 2^32 bytes */
			w->nr_msrs = htole32(msrs[i] + (1u << 28));
			w->xsave_len = htole32(xsaves[j]);
			tap_ok(bad(&m), "msg: STATE: count that wraps");
			free(m.body);
		}
	}
	m = make_state(HK_STATE_MSRS_MAX + 1, sizeof(struct kvm_xsave));
	tap_ok(bad(&m), "msg: STATE: too many MSRs");
	free(m.body);
	m = make_state(0, HK_STATE_XSAVE_MAX + 1);
	tap_ok(bad(&m), "msg: STATE: too much XSAVE");
	free(m.body);
	m = make_state(0, sizeof(struct kvm_xsave) - 1);
	tap_ok(bad(&m), "msg: STATE: too little XSAVE");
	free(m.body);
}

static struct msg make_config(u32 kind, u32 tail)
{
	struct msg m = make(HK_MSG_VM_CONFIG, sizeof(struct hk_wire_config) + tail);

	((struct hk_wire_config *)m.body)->kind = htole32(kind);
	return m;
}

static void test_config_lists(void)
{
	static const u32 counts[] = { 0, 1, 2, 80 };
	const size_t head = sizeof(struct hk_wire_config);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		u32 n = counts[i];
		struct msg m;

		m = make_config(HK_CONFIG_SLOTS, n * sizeof(struct hk_config_slot));
		tap_ok(good(&m) && check(&m, m.len + 1) == -EPROTO &&
		       check(&m, m.len - 1) == -EPROTO,
		       "msg: CONFIG: %u slots", n);
		free(m.body);

		m = make_config(HK_CONFIG_ROUTES, sizeof(struct kvm_irq_routing) +
				n * sizeof(struct kvm_irq_routing_entry));
		((struct kvm_irq_routing *)(m.body + head))->nr = n;
		tap_ok(lengths(&m, 1) &&
		       refuses(&m, head + offsetof(struct kvm_irq_routing, flags), 1) &&
		       refuses(&m, head, n + 1) && refuses(&m, head + 3, 0x80),
		       "msg: CONFIG: %u routes", n);
		free(m.body);

		m = make_config(HK_CONFIG_CPUID, sizeof(struct kvm_cpuid2) +
				n * sizeof(struct kvm_cpuid_entry2));
		((struct kvm_cpuid2 *)(m.body + head))->nent = n;
		tap_ok(lengths(&m, 1) && refuses(&m, head, n + 1) &&
		       refuses(&m, head + 3, 0x80) &&
		       refuses(&m, offsetof(struct hk_wire_config, index), VCPUS) &&
		       refuses(&m, offsetof(struct hk_wire_config, index) + 3, 1),
		       "msg: CONFIG: %u CPUID entries", n);
		free(m.body);
	}
}

static void test_config(void)
{
	struct msg m = make_config(HK_CONFIG_BASE, sizeof(struct hk_config_base));
	unsigned int kind;
	bool ok = true;

	tap_ok(lengths(&m, 1), "msg: CONFIG: base");
	for (kind = 0; kind < 256; kind++)
		if (kind < HK_CONFIG_BASE || kind > HK_CONFIG_CPUID)
			ok &= refuses(&m, 0, kind);
	tap_ok(ok && refuses(&m, 3, 1), "msg: CONFIG: unknown kind");
	tap_ok(refuses_all(&m, offsetof(struct hk_wire_config, index), 4),
	       "msg: CONFIG: index without a vCPU");
	free(m.body);
	test_config_lists();
	m = make(HK_MSG_VM_CONFIG_ACK, sizeof(struct hk_wire_config_ack));
	tap_ok(lengths(&m, 1), "msg: CONFIG_ACK: length");
	free(m.body);
}

static void test_clock(void)
{
	struct msg m = make(HK_MSG_VM_CLOCK, sizeof(struct hk_wire_clock));
	unsigned int reserved = offsetof(struct hk_wire_clock, reserved);
	unsigned int i;
	bool ok = true;

	tap_ok(lengths(&m, 1), "msg: CLOCK: length");
	for (i = 0; i < 6; i++)
		ok &= refuses(&m, reserved + i, 1);
	tap_ok(ok && refuses(&m, offsetof(struct hk_wire_clock, known), 2) &&
	       refuses(&m, offsetof(struct hk_wire_clock, ask), 2),
	       "msg: CLOCK: flags and reserved");
	ok = refuses(&m, 0, 1) && refuses(&m, 7, 0x80);
	m.body[offsetof(struct hk_wire_clock, known)] = 1;
	m.body[offsetof(struct hk_wire_clock, ask)] = 1;
	m.body[7] = 0x80;
	tap_ok(ok && !check(&m, m.len), "msg: CLOCK: offset only with known");
	free(m.body);
}

static void test_types(void)
{
	unsigned int type;
	bool ok = true;

	for (type = 0; type < 256; type++) {
		struct msg m = make(type, 64);

		if ((type >= HK_MSG_VM_CONFIG && type <= HK_MSG_VM_CLOCK) ||
		    (type >= HK_MSG_VCPU_STATE && type <= HK_MSG_VCPU_MOVED)) {
			free(m.body);
			continue;
		}
		ok &= bad(&m) && check(&m, 0) == -EPROTO;
		free(m.body);
	}
	tap_ok(ok, "msg: no type but those about vCPUs");
}

void test_msg(void)
{
	test_types();
	test_config();
	test_clock();
	test_vcpu(HK_MSG_REPLICA_READY, "READY");
	test_vcpu(HK_MSG_VCPU_TAKEN, "TAKEN");
	test_vcpu(HK_MSG_VCPU_MOVE, "MOVE");
	test_vcpu(HK_MSG_VCPU_MOVED, "MOVED");
	test_irq();
	test_ident();
	test_exit(HK_MSG_VCPU_EXIT, "EXIT");
	test_exit(HK_MSG_VCPU_EXIT_DONE, "EXIT_DONE");
	test_exit_run();
	test_state();
}
