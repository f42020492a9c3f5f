// SPDX-License-Identifier: GPL-2.0
/*
 * Wishes to move a vCPU: their way to where it lives, and the answers
 *
 * hv->want holds the next wish for a vCPU that is not away; a later one replaces
 * it, and whoever asked for the former is told. With the begin of a handoff it is
 * the runner's, and hv->want is free again. What came during a handoff follows the
 * vCPU. A wish may be refused: what has to happen is asked for again.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "vcpu.h"

/* tell whoever asked for the move under way how it ended */
static void mover_done(struct hk_vm *vm, u64 cookie, int result,
		       const char *text)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_mover *m;

	spin_lock(&vs->movers_lock);
	list_for_each_entry(m, &vs->movers, list) {
		if (m->cookie != cookie || m->done)
			continue;
		m->result = result;
		strscpy(m->text, text, sizeof(m->text));
		WRITE_ONCE(m->done, true);
	}
	spin_unlock(&vs->movers_lock);
	wake_up_all(&vs->wq);
}

static void send_moved(struct hk_vcpu *hv, u16 to, u64 cookie, int result,
		       const char *text)
{
	struct hk_vm *vm = hv->vm;
	struct hk_wire_vcpu *body;
	struct hk_msg *msg;

	if (to == vm->node->id) {
		mover_done(vm, cookie, result, text);
		return;
	}
	msg = hk_vcpu_msg(hv, HK_MSG_VCPU_MOVED, vm->node->id, GFP_KERNEL);
	if (!msg)
		return;
	body = (struct hk_wire_vcpu *)msg->body;
	body->cookie = cpu_to_le64(cookie);
	body->result = result;
	strscpy(body->text, text, sizeof(body->text));
	hk_node_send(vm->node, to, msg);
}

static void want_clear(struct hk_vcpu *hv)
{
	hv->asker = HK_NODE_NONE;
	hv->cookie = 0;
	hv->want = HK_NODE_NONE;
}

/**
 * hk_vcpu_want_take() - a move begins
 * @hv: vCPU
 * @to: target
 * @asker: out: whom to tell how it ended, HK_NODE_NONE: nobody
 * @cookie: out: the asker's
 *
 * From here on @want is free for the next wish, which must neither end with this
 * move nor be answered with its result.
 */
void hk_vcpu_want_take(struct hk_vcpu *hv, u16 to, u16 *asker, u64 *cookie)
{
	unsigned long flags;

	*asker = HK_NODE_NONE;
	*cookie = 0;
	raw_spin_lock_irqsave(&hv->lock, flags);
	if (hv->want == to) {
		*asker = hv->asker;
		*cookie = hv->cookie;
		want_clear(hv);
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
}

/**
 * hk_vcpu_want_check() - look after a wish that came while the vCPU was in between
 * @hv: vCPU; its runner is current
 *
 * It follows a vCPU that is away now, and is done when the vCPU is where it should
 * be. Else it is left for the run loop.
 */
void hk_vcpu_want_check(struct hk_vcpu *hv)
{
	u16 self = hv->vm->node->id, to, asker;
	bool gone, there;
	unsigned long flags;
	u64 cookie;

	raw_spin_lock_irqsave(&hv->lock, flags);
	to = hv->want;
	asker = hv->asker;
	cookie = hv->cookie;
	gone = to && hv->res.state == HK_RES_AWAY;
	there = to && ((gone && hv->res.node == to) ||
		       (hv->res.state == HK_RES_HERE && to == self));
	if (gone || there)
		want_clear(hv);
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (there && asker)
		send_moved(hv, asker, cookie, 0, "");
	else if (gone && !there)
		hk_vcpu_send_move(hv, to, true, asker, cookie);
}

/**
 * hk_vcpu_move_ended() - the resident is done with a move, one way or another
 * @hv: vCPU
 * @asker: from hk_vcpu_want_take()
 * @cookie: likewise
 * @result: 0 or a positive errno
 * @text: why not
 *
 * A move that failed also tells the origin, which would try again else.
 * Context: process.
 */
void hk_vcpu_move_ended(struct hk_vcpu *hv, u16 asker, u64 cookie, int result,
			const char *text)
{
	struct hk_vm *vm = hv->vm;
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	/* unless somebody has named a new place meanwhile */
	if (result && vm->origin == vm->node->id && !hv->want)
		hv->place = vm->node->id;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (asker)
		send_moved(hv, asker, cookie, result, text);
	if (result) {
		hk_vm_count(vm, MOVES_REFUSED);
		if (vm->origin != vm->node->id && asker != vm->origin)
			send_moved(hv, vm->origin, 0, result, text);
	}
}

/**
 * hk_vcpu_send_move() - pass a wish to move on towards the resident, or act on it
 * @hv: vCPU
 * @to: where to
 * @temporary: only for an ioctl of the VMM; its place stays what it is
 * @asker: whom to tell how it ended, HK_NODE_NONE: nobody
 * @cookie: the asker's
 * Context: process; the vCPU's lock not held.
 */
void hk_vcpu_send_move(struct hk_vcpu *hv, u16 to, bool temporary, u16 asker,
		       u64 cookie)
{
	struct hk_vm *vm = hv->vm;
	u16 self = vm->node->id, at, old_asker = HK_NODE_NONE;
	struct hk_wire_vcpu *body;
	struct hk_msg *msg;
	unsigned long flags;
	u64 old_cookie = 0;
	bool there = false;
	u8 state;

	raw_spin_lock_irqsave(&hv->lock, flags);
	if (self == vm->origin && !temporary)
		hv->place = to;
	state = hv->res.state;
	at = hv->res.node;
	if (state == HK_RES_HERE && to == self) {
		hv->want = HK_NODE_NONE;
		there = true;
	} else if (state != HK_RES_AWAY) {
		old_asker = hv->asker;
		old_cookie = hv->cookie;
		hv->want = to;
		hv->asker = asker;
		hv->cookie = cookie;
		hk_vcpu_kick_locked(hv);
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (old_asker)
		send_moved(hv, old_asker, old_cookie, ECANCELED,
			   "another move was asked for");
	if (there) {
		if (asker)
			send_moved(hv, asker, cookie, 0, "");
		return;
	}
	if (state != HK_RES_AWAY) {
		wake_up_all(&hv->wq);
		return;
	}
	/* also when @at is @to: it may be leaving there for somewhere else */
	msg = hk_vcpu_msg(hv, HK_MSG_VCPU_MOVE, to, GFP_KERNEL);
	if (!msg)
		return;
	body = (struct hk_wire_vcpu *)msg->body;
	body->asker = cpu_to_le16(asker);
	body->cookie = cpu_to_le64(cookie);
	body->temporary = temporary;
	hk_node_send(vm->node, at, msg);
}

/**
 * hk_vcpu_move() - move a vCPU for the user and wait for the end of it
 * @vm: VM
 * @vcpu: index
 * @to: target
 * @why: out, HK_REASON_LEN bytes: text for the user when it fails
 * Context: process, sleeps up to HK_MOVE_TIMEOUT_MS, killable; no lock held.
 * Return: 0 or negative errno.
 */
int hk_vcpu_move(struct hk_vm *vm, u32 vcpu, u16 to, char *why)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_mover mover = {};
	struct hk_wire_vcpu *body;
	struct hk_vcpu *hv;
	struct hk_msg *msg;
	long left;

	if (vcpu >= vs->nr) {
		snprintf(why, HK_REASON_LEN, "VM has vCPUs 0 to %u", vs->nr - 1);
		return -ENOENT;
	}
	hv = &vs->v[vcpu];
	if (hk_vm_dead(vm)) {
		snprintf(why, HK_REASON_LEN, "the guest has been stopped");
		return -ESHUTDOWN;
	}
	if (!(vm->members & hk_node_bit(to))) {
		snprintf(why, HK_REASON_LEN, "node %u is not a member of VM %u",
			 to, vm->id);
		return -EINVAL;
	}
	if (!(READ_ONCE(hv->ready) & hk_node_bit(to))) {
		snprintf(why, HK_REASON_LEN,
			 "node %u is not ready to run vCPU %u: has the VM been started?",
			 to, vcpu);
		return -EAGAIN;
	}
	mover.cookie = atomic64_inc_return(&vs->cookies);
	spin_lock(&vs->movers_lock);
	list_add_tail(&mover.list, &vs->movers);
	spin_unlock(&vs->movers_lock);

	/* by way of the origin, which remembers where the vCPU should be */
	if (vm->origin == vm->node->id) {
		hk_vcpu_send_move(hv, to, false, vm->node->id, mover.cookie);
	} else {
		msg = hk_vcpu_msg(hv, HK_MSG_VCPU_MOVE, to, GFP_KERNEL);
		if (msg) {
			body = (struct hk_wire_vcpu *)msg->body;
			body->asker = cpu_to_le16(vm->node->id);
			body->cookie = cpu_to_le64(mover.cookie);
			hk_node_send(vm->node, vm->origin, msg);
		}
	}
	left = wait_event_killable_timeout(vs->wq, READ_ONCE(mover.done) ||
					   hk_vm_dead(vm),
					   msecs_to_jiffies(HK_MOVE_TIMEOUT_MS));
	spin_lock(&vs->movers_lock);
	list_del(&mover.list);
	spin_unlock(&vs->movers_lock);
	if (mover.done) {
		strscpy(why, mover.text, HK_REASON_LEN);
		return -mover.result;
	}
	if (left < 0)
		return left;
	if (hk_vm_dead(vm)) {
		snprintf(why, HK_REASON_LEN, "the guest has been stopped");
		return -ESHUTDOWN;
	}
	snprintf(why, HK_REASON_LEN,
		 "vCPU %u did not move within %u ms; is the guest paused by its VMM?",
		 vcpu, HK_MOVE_TIMEOUT_MS);
	return -ETIMEDOUT;
}

/**
 * hk_vcpu_recv_moved() - VCPU_MOVED: a move has ended
 * @hv: vCPU
 * @w: body, checked by hk_vcpu_msg_check()
 *
 * At the origin the place of a vCPU that could not move is where it is.
 */
void hk_vcpu_recv_moved(struct hk_vcpu *hv, const struct hk_wire_vcpu *w)
{
	unsigned long flags;

	if (w->result && hv->vm->origin == hv->vm->node->id) {
		raw_spin_lock_irqsave(&hv->lock, flags);
		if (hv->res.state == HK_RES_AWAY)
			hv->place = hv->res.node;
		raw_spin_unlock_irqrestore(&hv->lock, flags);
	}
	mover_done(hv->vm, le64_to_cpu(w->cookie), w->result, w->text);
}

/**
 * hk_vcpu_recv_move() - VCPU_MOVE: somebody wishes a move
 * @hv: vCPU
 * @w: body, checked by hk_vcpu_msg_check()
 * Return: 0, or -EPROTO when a node is not a member.
 */
int hk_vcpu_recv_move(struct hk_vcpu *hv, const struct hk_wire_vcpu *w)
{
	u16 to = le16_to_cpu(w->node), asker = le16_to_cpu(w->asker);

	if (to >= HK_MAX_NODES || !(hv->vm->members & hk_node_bit(to)) ||
	    asker >= HK_MAX_NODES ||
	    (asker && !(hv->vm->members & hk_node_bit(asker))))
		return -EPROTO;
	hk_vcpu_send_move(hv, to, w->temporary, asker, le64_to_cpu(w->cookie));
	return 0;
}
