// SPDX-License-Identifier: GPL-2.0
/*
 * The frames of the RDMA transport, in user space
 *
 *	sender A -> rdma_tx.c ->		-> rdma_rx.c -> receiver B
 *	receiver A <- rdma_rx.c <-  device	<- rdma_tx.c <- sender B
 *
 * The objects that ship, over a device made of two queues: it reads what is sent when it
 * is delivered, not when it is posted, so a buffer that is used again too early is seen;
 * it stops the test when a receive buffer is missing, which credits have to prevent. A
 * test that makes no progress for some seconds is stuck, and fails.
 */
#include <sched.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>
#include "../../fabric/rdma.h"

#define MESSAGES	4000
#define STUCK_S		60

static pthread_mutex_t machine = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t happened = PTHREAD_COND_INITIALIZER;
static __thread unsigned int seed;
static long pages_there;
static const char *broken;

static unsigned int rnd(unsigned int n)
{
	return rand_r(&seed) % n;
}

static void fail(const char *why)
{
	if (!broken)
		broken = why;
}

void machine_step(void)
{
	if (rnd(4))
		return;
	pthread_mutex_unlock(&machine);
	sched_yield();
	pthread_mutex_lock(&machine);
}

void machine_wait(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += STUCK_S;
	if (pthread_cond_timedwait(&happened, &machine, &ts)) {
		printf("not ok - stuck\nBail out! no progress\n");
		fflush(stdout);
		_exit(1);
	}
}

void machine_wake(void)
{
	pthread_cond_broadcast(&happened);
}

struct page *alloc_page(gfp_t gfp)
{
	struct page *page = malloc(sizeof(*page));

	(void)gfp;
	page->refs = 1;
	page->data = malloc(PAGE_SIZE);
	memset(page->data, 0xa5, PAGE_SIZE);
	pages_there++;
	return page;
}

void get_page(struct page *page)
{
	page->refs++;
}

void put_page(struct page *page)
{
	if (--page->refs)
		return;
	free(page->data);
	free(page);
	pages_there--;
}

/* The device */

#define DEPTH	512

struct send { struct ib_cqe *cqe; u8 *data; u32 len; bool signaled, copied; };
struct recv { struct ib_cqe *cqe; u8 *data; };

struct ib_qp {
	struct hk_rdma *rc;
	struct ib_qp *other;
	struct send send[DEPTH];
	unsigned int send_head, send_tail;
	struct recv recv[DEPTH];
	unsigned int recv_head, recv_tail;
	/* acknowledgements that the device has not reported yet */
	struct ib_cqe *done[DEPTH];
	unsigned int done_head, done_tail;
	bool error;
	unsigned int fail_post;		/* let so many more be posted; 0: no limit */
	unsigned long frames, inlined;
};

int ib_post_send(struct ib_qp *qp, struct ib_send_wr *wr, void *bad)
{
	struct send *send;

	(void)bad;
	for (; wr; wr = wr->next) {
		assert(wr->num_sge == 1 && wr->sg_list->lkey == 77);
		if (qp->fail_post && !--qp->fail_post) {
			qp->error = true;
			return -EIO;
		}
		if (qp->send_head - qp->send_tail + qp->done_head -
		    qp->done_tail >= HK_RDMA_TX_FRAMES + 2)
			fail("send queue overflow");
		send = &qp->send[qp->send_head % DEPTH];
		send->cqe = wr->wr_cqe;
		send->len = wr->sg_list->length;
		send->data = (u8 *)(uintptr_t)wr->sg_list->addr;
		send->signaled = wr->send_flags & IB_SEND_SIGNALED;
		send->copied = wr->send_flags & IB_SEND_INLINE;
		if (send->copied) {
			assert(send->len <= qp->rc->inline_max);
			send->data = memcpy(malloc(send->len), send->data,
					    send->len);
			qp->inlined++;
		}
		qp->send_head++;
	}
	machine_wake();
	return 0;
}

int ib_post_recv(struct ib_qp *qp, struct ib_recv_wr *wr, void *bad)
{
	struct recv *recv = &qp->recv[qp->recv_head % DEPTH];

	(void)bad;
	assert(wr->num_sge == 1 && wr->sg_list->lkey == 77);
	assert(wr->sg_list->length == PAGE_SIZE);
	if (qp->recv_head - qp->recv_tail > HK_RDMA_RX_FRAMES)
		fail("receive queue overflow");
	recv->cqe = wr->wr_cqe;
	recv->data = (u8 *)(uintptr_t)wr->sg_list->addr;
	qp->recv_head++;
	machine_wake();
	return 0;
}

int rdma_disconnect(struct rdma_cm_id *id)
{
	id->qp->error = true;
	machine_wake();
	return 0;
}

static void complete(struct ib_qp *qp, struct ib_cqe *cqe, bool ok, u32 len)
{
	struct ib_cq cq = { .cq_context = qp->rc };
	struct ib_wc wc = { .wr_cqe = cqe, .byte_len = len,
			    .status = ok ? IB_WC_SUCCESS : IB_WC_WR_FLUSH_ERR };

	cqe->done(&cq, &wc);
	machine_wake();
}

static void sent(struct send *send)
{
	if (send->copied)
		free(send->data);
}

/* a frame from nobody's send queue, too */
static bool deliver(struct ib_qp *qp, const void *data, u32 len)
{
	struct recv *recv = &qp->recv[qp->recv_tail % DEPTH];

	if (qp->recv_head == qp->recv_tail)
		return false;
	qp->recv_tail++;
	memcpy(recv->data, data, len);
	complete(qp, recv->cqe, true, len);
	return true;
}

/* Return: whether there was something to do */
static bool device_once(struct ib_qp *qp)
{
	struct send *send = &qp->send[qp->send_tail % DEPTH];

	/* the connection manager's event at the other end */
	if (qp->error && !qp->other->rc->err)
		hk_rdma_end(qp->other->rc, -EPIPE, true, "closed by the peer");
	if (qp->done_head != qp->done_tail && rnd(3)) {
		complete(qp, qp->done[qp->done_tail++ % DEPTH], true, 0);
		return true;
	}
	if (qp->send_head != qp->send_tail) {
		qp->send_tail++;
		if (qp->error) {
			/* what was acknowledged is told before */
			while (qp->done_head != qp->done_tail)
				complete(qp, qp->done[qp->done_tail++ % DEPTH],
					 true, 0);
			sent(send);
			complete(qp, send->cqe, false, 0);
			return true;
		}
		qp->frames++;
		if (!qp->other->error &&
		    !deliver(qp->other, send->data, send->len))
			fail("no receive buffer: RNR");
		sent(send);
		if (send->signaled)
			qp->done[qp->done_head++ % DEPTH] = send->cqe;
		return true;
	}
	if (qp->error && qp->recv_head != qp->recv_tail) {
		complete(qp, qp->recv[qp->recv_tail++ % DEPTH].cqe, false, 0);
		return true;
	}
	return qp->done_head != qp->done_tail;
}

static struct ib_qp qps[2];
static bool device_end;

static void *device(void *arg)
{
	bool some;

	(void)arg;
	seed = 1;
	pthread_mutex_lock(&machine);
	while (!device_end) {
		some = device_once(&qps[rnd(2)]);
		some |= device_once(&qps[0]) | device_once(&qps[1]);
		if (some)
			machine_step();
		else
			pthread_cond_wait(&happened, &machine);
	}
	/* nothing is left over: as ib_drain_qp() */
	qps[0].error = qps[1].error = true;
	while (device_once(&qps[0]) | device_once(&qps[1]))
		;
	pthread_mutex_unlock(&machine);
	return NULL;
}

/* The transport's ends; as rdma.c and rdma_cm.c do it */

void hk_rdma_end(struct hk_rdma *rc, int err, bool closed, const char *fmt, ...)
{
	va_list args;

	if (!rc->err) {
		va_start(args, fmt);
		vsnprintf(rc->conn.why, sizeof(rc->conn.why), fmt, args);
		va_end(args);
		rc->closed = closed;
		rc->err = err;
	}
	machine_wake();
}

static struct hk_rdma *ends[2];
static struct rdma_cm_id ids[2];
static struct ib_pd pds[2];
static struct ib_device devices[2];
static pthread_t device_thread;

static void begin(u32 inline_max)
{
	int i;

	memset(qps, 0, sizeof(qps));
	device_end = false;
	for (i = 0; i < 2; i++) {
		struct hk_rdma *rc = calloc(1, sizeof(*rc));

		ends[i] = rc;
		devices[i].mapped = 0;
		pds[i].device = &devices[i];
		pds[i].local_dma_lkey = 77;
		ids[i].qp = &qps[i];
		qps[i].rc = rc;
		qps[i].other = &qps[!i];
		rc->peer = 2 - i;
		INIT_LIST_HEAD(&rc->rx_queue);
		rc->pd = &pds[i];
		rc->id = &ids[i];
		rc->qp = &qps[i];
		rc->inline_max = inline_max;
		rc->credits = HK_RDMA_RX_FRAMES;
		assert(!hk_rdma_tx_init(rc) && !hk_rdma_rx_init(rc));
		assert(!hk_rdma_rx_post_all(rc));
		rc->step = HK_RDMA_UP;
	}
	pthread_create(&device_thread, NULL, device, NULL);
}

/* Whatever happened: nothing stays */
static void end(void)
{
	int i;

	hk_rdma_end(ends[0], -EPIPE, false, "closed");
	hk_rdma_end(ends[1], -EPIPE, false, "closed");
	device_end = true;
	machine_wake();
	pthread_mutex_unlock(&machine);
	pthread_join(device_thread, NULL);
	pthread_mutex_lock(&machine);
	for (i = 0; i < 2; i++) {
		hk_rdma_tx_free(ends[i]);
		hk_rdma_rx_free(ends[i]);
		if (devices[i].mapped)
			fail("memory is still mapped");
		free(ends[i]);
	}
	if (pages_there)
		fail("pages are left");
}

/* Messages whose content follows from their number */

static u32 msg_len(int dir, u32 nr)
{
	unsigned int s = nr * 2654435761u + dir;

	switch (rand_r(&s) % 16) {
	case 0:
		return HK_WIRE_BODY_MAX - rand_r(&s) % 64;
	case 1:
		return 4000 + rand_r(&s) % 200;
	case 2:
		return 0;
	default:
		return 24;
	}
}

static bool msg_page(int dir, u32 nr)
{
	return (nr * 2654435761u + dir) >> 16 & 1;
}

static struct hk_msg *msg_make(int dir, u32 nr)
{
	u32 len = msg_len(dir, nr);
	struct hk_msg *msg = calloc(1, sizeof(*msg) + len);

	msg->hdr.len = htole32(len);
	msg->hdr.seq = htole64(nr);
	memset(msg->body, nr + dir, len);
	if (msg_page(dir, nr)) {
		msg->page = alloc_page(0);
		memset(msg->page->data, nr + dir + 1, PAGE_SIZE);
	}
	return msg;
}

static void msg_free(struct hk_msg *msg)
{
	if (msg->page)
		put_page(msg->page);
	memset(msg, 0xdd, sizeof(*msg));
	free(msg);
}

static bool all(const u8 *p, size_t n, u8 c)
{
	while (n && *p == c)
		p++, n--;
	return !n;
}

static bool slow;

static void *sender(void *arg)
{
	int dir = (int)(intptr_t)arg, n, i;
	struct hk_msg *batch[HK_TX_BATCH];
	u32 nr = 0;
	int err = 0;

	seed = dir + 10;
	pthread_mutex_lock(&machine);
	while (nr < MESSAGES && !err) {
		n = 1 + rnd(rnd(4) ? 3 : HK_TX_BATCH);
		for (i = 0; i < n; i++)
			batch[i] = msg_make(dir, nr++);
		err = hk_rdma_send(&ends[dir]->conn, batch, n, false);
		for (i = 0; i < n; i++)
			msg_free(batch[i]);
	}
	if (!err) {
		/* as shutdown does */
		wait_event_idle(ends[dir]->tx_wait, hk_rdma_tx_idle(ends[dir]) ||
				ends[dir]->err);
	}
	pthread_mutex_unlock(&machine);
	return (void *)(intptr_t)err;
}

static int recv_one(int dir, u32 nr)
{
	struct hk_rdma *rc = ends[!dir];
	static u8 body[2][HK_WIRE_BODY_MAX];
	struct hk_wire_hdr hdr;
	struct kvec vec[2] = { { &hdr, 16 }, { (u8 *)&hdr + 16, 16 } };
	struct page *page;
	u32 len;
	int ret;

	ret = hk_rdma_recv(&rc->conn, vec, 2, sizeof(hdr));
	if (ret <= 0)
		return ret;
	len = le32toh(hdr.len);
	if (le64toh(hdr.seq) != nr || len != msg_len(dir, nr)) {
		fail("a message is not the next one");
		return -1;
	}
	vec[0].iov_base = body[dir];
	vec[0].iov_len = len;
	ret = len ? hk_rdma_recv(&rc->conn, vec, 1, len) : 1;
	if (ret <= 0)
		return ret;
	if (!all(body[dir], len, nr + dir))
		fail("wrong bytes in a body");
	if (!msg_page(dir, nr))
		return 1;
	ret = hk_rdma_recv_page(&rc->conn, &page);
	if (ret <= 0)
		return ret;
	if (!all(page->data, PAGE_SIZE, nr + dir + 1))
		fail("wrong bytes in a page");
	put_page(page);
	return 1;
}

static void *receiver(void *arg)
{
	int dir = (int)(intptr_t)arg, ret = 1;
	u32 nr = 0;

	seed = dir + 20;
	pthread_mutex_lock(&machine);
	while (nr < MESSAGES && ret > 0) {
		ret = recv_one(dir, nr++);
		if (slow && !rnd(20)) {
			pthread_mutex_unlock(&machine);
			usleep(rnd(2000));
			pthread_mutex_lock(&machine);
		}
	}
	pthread_mutex_unlock(&machine);
	return (void *)(intptr_t)(nr >= MESSAGES);
}

static bool talk(pthread_t t[4], void *ret[4])
{
	int i;

	for (i = 0; i < 2; i++) {
		pthread_create(&t[i], NULL, sender, (void *)(intptr_t)i);
		pthread_create(&t[2 + i], NULL, receiver, (void *)(intptr_t)i);
	}
	pthread_mutex_unlock(&machine);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], &ret[i]);
	pthread_mutex_lock(&machine);
	return !ret[0] && !ret[1] && ret[2] && ret[3];
}

static void test_both_ways(void)
{
	pthread_t t[4];
	void *ret[4];

	begin(192);
	if (!talk(t, ret))
		fail("not all messages came");
	if (!qps[0].inlined || qps[0].inlined == qps[0].frames)
		fail("not both, inline and not, were tried");
	end();
}

static void test_no_inline(void)
{
	pthread_t t[4];
	void *ret[4];

	begin(0);
	if (!talk(t, ret))
		fail("not all messages came");
	if (qps[0].inlined)
		fail("inline where the device has none");
	end();
}

static void test_slow(void)
{
	slow = true;
	test_both_ways();
	slow = false;
}

/* The queue pair breaks amid everything, at many places: all come back, none waits */
static void test_breaks(void)
{
	unsigned int at;
	pthread_t t[4];
	void *ret[4];

	for (at = 2; at < 2000 && !broken; at = at * 5 / 4 + 1) {
		begin(192);
		qps[0].fail_post = at;
		if (talk(t, ret))
			fail("the break was not noticed");
		end();
	}
}

/* One frame of a peer that lies: ends the connection, for its own reason */
static void lie(const void *data, u32 len, const char *why, int page)
{
	struct hk_rdma *rc;
	struct hk_wire_hdr hdr;
	struct kvec vec = { &hdr, sizeof(hdr) };
	struct page *got = NULL;
	int ret;

	begin(192);
	rc = ends[0];
	deliver(&qps[0], data, len);
	ret = page ? hk_rdma_recv_page(&rc->conn, &got) :
		     hk_rdma_recv(&rc->conn, &vec, 1, sizeof(hdr));
	if (ret != -EPROTO || !strstr(rc->conn.why, why)) {
		printf("# %s: %d \"%s\"\n", why, ret, rc->conn.why);
		fail("a lie was believed");
	}
	end();
}

static void test_lies(void)
{
	struct hk_rdma_chunk hdr = { .magic = htole16(HK_RDMA_CHUNK_MAGIC) };
	struct hk_rdma_chunk bad;
	u8 page[PAGE_SIZE] = { 0 };

	lie(page, PAGE_SIZE, "page where none is due", false);
	memcpy(page, &hdr, sizeof(hdr));
	lie(page, 64, "no page where one is due", true);
	lie(page, 7, "neither page nor chunk", false);
	lie(page, 0, "neither page nor chunk", false);
	bad = hdr;
	bad.magic++;
	lie(&bad, sizeof(bad), "neither page nor chunk", false);
	bad = hdr;
	bad.reserved = 1;
	lie(&bad, sizeof(bad), "neither page nor chunk", false);
	bad = hdr;
	bad.credits = htole16(HK_RDMA_FRAMES_MAX - HK_RDMA_RX_FRAMES + 1);
	lie(&bad, sizeof(bad), "too many credits", false);
}

/* Buffers are there again, but the peer was not told: it does not keep to its credits */
static void no_credit(const void *data, u32 len)
{
	struct page *got;
	struct hk_rdma *rc;
	u8 page[PAGE_SIZE] = { 0 };
	unsigned int i;

	begin(192);
	rc = ends[0];
	for (i = 0; i < HK_RDMA_RX_FRAMES; i++)
		deliver(&qps[0], page, PAGE_SIZE);
	if (rc->err)
		fail("a frame with a credit was refused");
	for (i = 0; i < HK_RDMA_GRANT_MIN - 1; i++) {
		if (hk_rdma_recv_page(&rc->conn, &got) != 1)
			fail("a page is missing");
		put_page(got);
	}
	deliver(&qps[0], data, len);
	if (rc->err != -EPROTO || !strstr(rc->conn.why, "without a credit"))
		fail("a frame without a credit was taken");
	end();
}

static void test_no_credit(void)
{
	u8 page[PAGE_SIZE] = { 0 };
	struct hk_rdma_chunk hdr = { .magic = htole16(HK_RDMA_CHUNK_MAGIC) };

	no_credit(page, PAGE_SIZE);
	memcpy(page, &hdr, sizeof(hdr));
	no_credit(page, 64);
	no_credit(page, sizeof(hdr));
}

/* What came in before the end is read: the last words of a peer */
static void test_last_words(void)
{
	struct hk_msg *msg;
	u32 nr = 2;

	begin(192);
	while (msg_page(1, nr))
		nr++;
	msg = msg_make(1, nr);
	if (hk_rdma_send(&ends[1]->conn, &msg, 1, false))
		fail("cannot send");
	msg_free(msg);
	wait_event_idle(ends[1]->tx_wait, hk_rdma_tx_idle(ends[1]));
	hk_rdma_end(ends[0], -EPIPE, true, "closed");
	if (recv_one(1, nr) != 1)
		fail("the last message was lost");
	if (recv_one(1, nr + 1) != 0)
		fail("no end after it");
	end();
}

static int nr_tests, nr_failed;

static void run(const char *name, void (*fn)(void))
{
	broken = NULL;
	fn();
	nr_tests++;
	nr_failed += !!broken;
	if (broken)
		printf("# %s\n", broken);
	printf("%sok %d - %s\n", broken ? "not " : "", nr_tests, name);
	fflush(stdout);
}

int main(void)
{
	seed = 7;
	pthread_mutex_lock(&machine);
	run("messages both ways, none lost, none early", test_both_ways);
	run("without inline", test_no_inline);
	run("slow receivers", test_slow);
	run("the queue pair breaks", test_breaks);
	run("frames that lie", test_lies);
	run("more frames than credits", test_no_credit);
	run("last words are read", test_last_words);
	printf("1..%d\n", nr_tests);
	return !!nr_failed;
}
