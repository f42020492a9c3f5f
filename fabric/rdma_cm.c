// SPDX-License-Identifier: GPL-2.0
/*
 * Transport over RDMA: how a connection is made
 *
 *	node with the lower id		node with the higher id
 *	(passive)			(active)
 *
 *	open: an identifier at the socket's	open: likewise
 *	own address; listen, any port
 *	hello: port, cookie P	  ==TCP==	hello: cookie A
 *						resolve address and route
 *	request			  <-REQ--	connect, private data: P
 *	is that P? if not, reject
 *	buffers; accept, data: A  --REP->	is that A?
 *	up			  <-RTU--	up
 *
 * The socket was authenticated by hkd. A cookie has 256 random bits, is used once, and
 * was said on that socket only: who brings it is the peer, or somebody who reads what
 * passes between the hosts, and against him RDMA has no protection later either. The
 * listener is there for this connection alone and goes when it is up.
 *
 * rdma_cm calls cm_event() for one identifier at a time. The steps are made by the
 * receiving thread, which waits for the events.
 */
#include "rdma.h"

#include <crypto/algapi.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/time64.h>
#include <net/sock.h>
#include <rdma/ib_cm.h>

static void cm_step(struct hk_rdma *rc, enum hk_rdma_step step)
{
	spin_lock_irq(&rc->lock);
	if (rc->step < step)
		WRITE_ONCE(rc->step, step);
	spin_unlock_irq(&rc->lock);
	wake_up_all(&rc->rx_wait);
	wake_up_all(&rc->tx_wait);
}

/* Events */

static bool private_ok(const struct hk_rdma *rc, const struct rdma_cm_event *ev)
{
	const struct hk_rdma_private *data = ev->param.conn.private_data;

	return data && ev->param.conn.private_data_len >= sizeof(*data) &&
	       le32_to_cpu(data->magic) == HK_RDMA_MAGIC &&
	       data->version == HK_RDMA_VERSION &&
	       !crypto_memneq(data->cookie, rc->cookie, sizeof(rc->cookie));
}

/* Anybody may come here. Return: not 0 to have @id destroyed */
static int cm_request(struct hk_rdma *rc, struct rdma_cm_id *id,
		      const struct rdma_cm_event *ev)
{
	bool taken = false;

	if (private_ok(rc, ev)) {
		spin_lock_irq(&rc->lock);
		if (!rc->id && !rc->err) {
			rc->id = id;
			taken = true;
		}
		spin_unlock_irq(&rc->lock);
	}
	if (!taken) {
		rdma_reject(id, NULL, 0, IB_CM_REJ_CONSUMER_DEFINED);
		return -EACCES;
	}
	cm_step(rc, HK_RDMA_REQUEST);
	return 0;
}

static void cm_established(struct hk_rdma *rc, const struct rdma_cm_event *ev)
{
	if (!rc->passive && !private_ok(rc, ev)) {
		hk_rdma_end(rc, -EACCES, false,
			    "who answers by RDMA is not node %u", rc->peer);
		return;
	}
	cm_step(rc, HK_RDMA_UP);
}

static int cm_event(struct rdma_cm_id *id, struct rdma_cm_event *ev)
{
	struct hk_rdma *rc = id->context;

	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		cm_step(rc, HK_RDMA_ADDR);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		cm_step(rc, HK_RDMA_ROUTE);
		break;
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		return cm_request(rc, id, ev);
	case RDMA_CM_EVENT_ESTABLISHED:
		cm_established(rc, ev);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		hk_rdma_end(rc, -EPIPE, true, "node %u closed the connection",
			    rc->peer);
		break;
	case RDMA_CM_EVENT_REJECTED:
		hk_rdma_end(rc, -ECONNREFUSED, false,
			    "node %u refused RDMA: %s", rc->peer,
			    rdma_reject_msg(id, ev->status));
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		/* rdma_cm waits until release has destroyed the identifier */
		hk_rdma_end(rc, -ENODEV, false, "the RDMA device was removed");
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	default:
		hk_rdma_end(rc, ev->status < 0 ? ev->status : -EIO, false,
			    "RDMA to node %u: %s, status %d", rc->peer,
			    rdma_event_msg(ev->event), ev->status);
		break;
	}
	return 0;
}

/* Context: any, perhaps the device's interrupt */
static void qp_event(struct ib_event *ev, void *data)
{
	struct hk_rdma *rc = data;

	switch (ev->event) {
	case IB_EVENT_COMM_EST:
		/* A frame came before the RTU, which may be lost */
		rdma_notify(rc->id, ev->event);
		break;
	case IB_EVENT_QP_LAST_WQE_REACHED:
	case IB_EVENT_SQ_DRAINED:
		break;
	default:
		hk_rdma_end(rc, -EIO, false, "RDMA to node %u: %s", rc->peer,
			    ib_event_msg(ev->event));
		break;
	}
}

/* Steps of the receiving thread */

/* An ACK may take so long that heartbeats, not the device, decide who is dead */
static u8 ack_timeout(u32 dead_ms)
{
	u8 exp = 14;

	/* The device tries eight times, each 4.096 us << exp at least */
	while (exp < 22 && ((4096ULL << exp) * 8) / NSEC_PER_MSEC < dead_ms)
		exp++;
	return exp;
}

int hk_rdma_bind(struct hk_rdma *rc, char *why)
{
	struct sockaddr_storage sa = rc->local;
	struct rdma_cm_id *id;
	int err;

	if (sa.ss_family == AF_INET)
		((struct sockaddr_in *)&sa)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&sa)->sin6_port = 0;
	id = rdma_create_id(sock_net(rc->sock->sk), cm_event, rc, RDMA_PS_TCP,
			    IB_QPT_RC);
	if (IS_ERR(id)) {
		snprintf(why, HK_REASON_MAX, "no RDMA identifier: error %ld",
			 PTR_ERR(id));
		return PTR_ERR(id);
	}
	if (rc->passive)
		rc->listener = id;
	else
		rc->id = id;
	err = rdma_bind_addr(id, (struct sockaddr *)&sa);
	if (err) {
		snprintf(why, HK_REASON_MAX,
			 "no RDMA device at address %pISc: error %d",
			 &rc->local, err);
		return err;
	}
	if (rc->passive)
		err = rdma_listen(id, 4);
	if (err)
		snprintf(why, HK_REASON_MAX, "RDMA cannot listen at %pISc: error %d",
			 &rc->local, err);
	return err;
}

static u16 listener_port(const struct hk_rdma *rc)
{
	const struct sockaddr_storage *sa;

	if (!rc->listener)
		return 0;
	sa = &rc->listener->route.addr.src_addr;
	return ntohs(sa->ss_family == AF_INET ?
		     ((const struct sockaddr_in *)sa)->sin_port :
		     ((const struct sockaddr_in6 *)sa)->sin6_port);
}

static int hello_send(struct hk_rdma *rc)
{
	struct hk_rdma_hello hello = {
		.magic = cpu_to_le32(HK_RDMA_MAGIC),
		.version = HK_RDMA_VERSION,
		.from = cpu_to_le16(rc->self),
		.port = cpu_to_le16(listener_port(rc)),
		.frames = cpu_to_le16(HK_RDMA_RX_FRAMES),
	};
	struct kvec vec = { .iov_base = &hello, .iov_len = sizeof(hello) };
	struct msghdr mh = { .msg_flags = MSG_NOSIGNAL };
	int ret;

	memcpy(hello.cookie, rc->cookie, sizeof(hello.cookie));
	ret = kernel_sendmsg(rc->sock, &mh, &vec, 1, sizeof(hello));
	memzero_explicit(&hello, sizeof(hello));
	if (ret == sizeof(hello))
		return 0;
	hk_rdma_end(rc, ret < 0 ? ret : -EPIPE, false,
		    "cannot tell node %u of RDMA: error %d", rc->peer, ret);
	return -EPIPE;
}

static int hello_check(struct hk_rdma *rc, const struct hk_rdma_hello *hello)
{
	u16 frames = le16_to_cpu(hello->frames);

	if (le32_to_cpu(hello->magic) != HK_RDMA_MAGIC) {
		hk_rdma_end(rc, -EPROTO, false,
			    "node %u does not use RDMA for this link", rc->peer);
		return -EPROTO;
	}
	if (hello->version != HK_RDMA_VERSION) {
		hk_rdma_end(rc, -EPROTO, false,
			    "node %u speaks version %u of the RDMA protocol, not %u",
			    rc->peer, hello->version, HK_RDMA_VERSION);
		return -EPROTO;
	}
	if (le16_to_cpu(hello->from) != rc->peer || hello->reserved ||
	    hello->reserved2 || frames < HK_RDMA_FRAMES_MIN ||
	    frames > HK_RDMA_FRAMES_MAX || !hello->port != rc->passive) {
		hk_rdma_end(rc, -EPROTO, false,
			    "malformed RDMA hello of node %u", rc->peer);
		return -EPROTO;
	}
	rc->credits = frames;
	memcpy(rc->peer_cookie, hello->cookie, sizeof(rc->peer_cookie));
	if (rc->remote.ss_family == AF_INET)
		((struct sockaddr_in *)&rc->remote)->sin_port =
			htons(le16_to_cpu(hello->port));
	else
		((struct sockaddr_in6 *)&rc->remote)->sin6_port =
			htons(le16_to_cpu(hello->port));
	return 0;
}

static int hello_recv(struct hk_rdma *rc)
{
	struct hk_rdma_hello hello;
	struct kvec vec = { .iov_base = &hello, .iov_len = sizeof(hello) };
	struct msghdr mh = {};
	int ret;

	/* Blocks until the peer has spoken or the socket is shut down */
	ret = kernel_recvmsg(rc->sock, &mh, &vec, 1, sizeof(hello), MSG_WAITALL);
	if (ret != sizeof(hello)) {
		hk_rdma_end(rc, ret < 0 ? ret : -EPIPE, false,
			    "node %u closed the connection before RDMA was up",
			    rc->peer);
		return -EPIPE;
	}
	ret = hello_check(rc, &hello);
	memzero_explicit(&hello, sizeof(hello));
	return ret;
}

static int wait_step(struct hk_rdma *rc, enum hk_rdma_step step)
{
	/* Ends by shutdown at the latest, dead_ms after the link was made */
	wait_event_idle(rc->rx_wait, READ_ONCE(rc->step) >= step ||
			hk_rdma_err(rc));
	return hk_rdma_err(rc);
}

static int step_failed(struct hk_rdma *rc, const char *what, int err)
{
	hk_rdma_end(rc, err, false, "RDMA to node %u: %s: error %d", rc->peer,
		    what, err);
	return err;
}

static int queue_pair(struct hk_rdma *rc)
{
	struct ib_qp_init_attr attr = {
		.event_handler = qp_event,
		.qp_context = rc,
		.cap = {
			/* and the frame with credits, and the drain's */
			.max_send_wr = HK_RDMA_TX_FRAMES + 2,
			.max_recv_wr = HK_RDMA_RX_FRAMES + 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = HK_RDMA_INLINE,
		},
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
	};
	struct ib_device *dev = rc->id->device;
	int err;

	/* No flags: no key to all memory; and none is registered in this domain */
	rc->pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(rc->pd)) {
		err = PTR_ERR(rc->pd);
		rc->pd = NULL;
		return step_failed(rc, "no protection domain", err);
	}
	err = hk_rdma_tx_init(rc);
	if (!err)
		err = hk_rdma_rx_init(rc);
	if (err)
		return step_failed(rc, "no buffers", err);
	rc->cq = ib_alloc_cq_any(dev, rc,
				 attr.cap.max_send_wr + attr.cap.max_recv_wr,
				 IB_POLL_SOFTIRQ);
	if (IS_ERR(rc->cq)) {
		err = PTR_ERR(rc->cq);
		rc->cq = NULL;
		return step_failed(rc, "no completion queue", err);
	}
	attr.send_cq = rc->cq;
	attr.recv_cq = rc->cq;
	err = rdma_create_qp(rc->id, rc->pd, &attr);
	if (err) {
		attr.cap.max_inline_data = 0;
		err = rdma_create_qp(rc->id, rc->pd, &attr);
	}
	if (err)
		return step_failed(rc, "no queue pair", err);
	rc->qp = rc->id->qp;
	rc->inline_max = attr.cap.max_inline_data;
	err = hk_rdma_rx_post_all(rc);
	return err ? step_failed(rc, "buffers not posted", err) : 0;
}

static int connect_or_accept(struct hk_rdma *rc)
{
	struct hk_rdma_private data = {
		.magic = cpu_to_le32(HK_RDMA_MAGIC),
		.version = HK_RDMA_VERSION,
	};
	/* No READ and no atomic operation is asked for or answered */
	struct rdma_conn_param param = {
		.private_data = &data,
		.private_data_len = sizeof(data),
		.retry_count = 7,
		/* Credits keep buffers posted; a short wait hides no mistake for long */
		.rnr_retry_count = 1,
	};
	int err;

	memcpy(data.cookie, rc->peer_cookie, sizeof(data.cookie));
	if (rc->passive) {
		rdma_lock_handler(rc->id);
		err = rdma_accept(rc->id, &param);
		rdma_unlock_handler(rc->id);
	} else {
		err = rdma_connect(rc->id, &param);
	}
	memzero_explicit(&data, sizeof(data));
	return err ? step_failed(rc, "cannot connect", err) : 0;
}

static int find_way(struct hk_rdma *rc)
{
	int err;

	err = rdma_resolve_addr(rc->id, NULL, (struct sockaddr *)&rc->remote,
				rc->dead_ms);
	if (err)
		return step_failed(rc, "address not resolved", err);
	err = wait_step(rc, HK_RDMA_ADDR);
	if (err)
		return err;
	rdma_set_ack_timeout(rc->id, ack_timeout(rc->dead_ms));
	err = rdma_resolve_route(rc->id, rc->dead_ms);
	if (err)
		return step_failed(rc, "route not resolved", err);
	return wait_step(rc, HK_RDMA_ROUTE);
}

static int make(struct hk_rdma *rc)
{
	int err;

	err = hello_send(rc);
	if (!err)
		err = hello_recv(rc);
	if (err)
		return err;
	if (rc->passive) {
		err = wait_step(rc, HK_RDMA_REQUEST);
		if (!err)
			rdma_set_ack_timeout(rc->id, ack_timeout(rc->dead_ms));
	} else {
		err = find_way(rc);
	}
	if (!err)
		err = queue_pair(rc);
	if (!err)
		err = connect_or_accept(rc);
	if (!err)
		err = wait_step(rc, HK_RDMA_UP);
	if (!err && rc->listener) {
		rdma_destroy_id(rc->listener);
		rc->listener = NULL;
	}
	return err;
}

int hk_rdma_start(struct hk_conn *conn)
{
	struct hk_rdma *rc = hk_to_rdma(conn);

	if (!make(rc))
		return 0;
	return hk_rdma_err(rc);
}
