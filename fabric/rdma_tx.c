// SPDX-License-Identifier: GPL-2.0
/*
 * Transport over RDMA: sending
 *
 * The bytes of headers and bodies are copied into chunks, as messages are freed when
 * send returns. A page follows the chunk that the body of its message ends in, as a
 * frame of its own, straight from where it is: nobody writes a page that is in a
 * message, so a reference until it has left is enough. Work requests are collected into
 * a chain; only the last one of a chain asks for a completion, which gives back what
 * all of them held. A small chunk goes inline where the device can do that, which saves
 * it a trip to memory.
 *
 * Each frame takes a credit: a receive buffer of the peer. The last one is kept for a
 * frame with nothing but credits, else two nodes without credits could not tell each
 * other of new ones. Such a frame is sent when HK_RDMA_GRANT_MIN credits wait to be
 * told of, so whoever spends the last credit gives the peer some, who can then answer
 * in kind: there is no deadlock as long as both read. One such frame is under way at
 * a time; it has a place in the send queue of its own.
 */
#include "rdma.h"

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

static_assert(!(HK_RDMA_TX_FRAMES & (HK_RDMA_TX_FRAMES - 1)));
static_assert(!(HK_RDMA_TX_CHUNKS & (HK_RDMA_TX_CHUNKS - 1)));
static_assert(HK_RDMA_TX_CHUNKS < HK_RDMA_TX_FRAMES);

static struct hk_rdma_tx *tx_slot(struct hk_rdma *rc, u32 nr)
{
	return &rc->tx[nr % HK_RDMA_TX_FRAMES];
}

static void tx_let_go(struct hk_rdma *rc, struct hk_rdma_tx *tx)
{
	if (!tx->page)
		return;
	ib_dma_unmap_page(rc->pd->device, tx->dma, PAGE_SIZE, DMA_TO_DEVICE);
	put_page(tx->page);
	tx->page = NULL;
}

static void tx_failed(struct hk_rdma *rc, const struct ib_wc *wc)
{
	hk_rdma_end(rc, -EIO, false, "RDMA send to node %u: %s", rc->peer,
		    ib_wc_status_msg(wc->status));
}

/* Frames leave in order: with this one all before it have left. Context: softirq */
static void tx_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct hk_rdma *rc = cq->cq_context;
	struct hk_rdma_tx *tx = container_of(wc->wr_cqe, struct hk_rdma_tx, cqe);
	u32 nr = rc->tx_tail, chunks = rc->chunk_tail;
	struct hk_rdma_tx *one;

	if (wc->status != IB_WC_SUCCESS)
		tx_failed(rc, wc);
	do {
		one = tx_slot(rc, nr++);
		chunks += !one->page;
		tx_let_go(rc, one);
	} while (one != tx);
	spin_lock(&rc->lock);
	WRITE_ONCE(rc->tx_tail, nr);
	WRITE_ONCE(rc->chunk_tail, chunks);
	spin_unlock(&rc->lock);
	wake_up(&rc->tx_wait);
}

static void credit_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct hk_rdma *rc = cq->cq_context;

	if (wc->status != IB_WC_SUCCESS)
		tx_failed(rc, wc);
	spin_lock(&rc->lock);
	WRITE_ONCE(rc->credit_busy, false);
	spin_unlock(&rc->lock);
	wake_up(&rc->tx_wait);
	hk_rdma_tx_grant(rc);
}

/* Context: @lock. Credits that the next chunk tells of */
static __le16 grant_take(struct hk_rdma *rc)
{
	u32 grant = rc->grant;

	lockdep_assert_held(&rc->lock);
	rc->granted += grant;
	rc->grant = 0;
	return cpu_to_le16(grant);
}

void hk_rdma_tx_grant(struct hk_rdma *rc)
{
	struct ib_sge sge = {
		.addr = rc->credit_dma,
		.length = sizeof(*rc->credit),
		.lkey = rc->pd->local_dma_lkey,
	};
	struct ib_send_wr wr = {
		.wr_cqe = &rc->credit_cqe,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
		.send_flags = IB_SEND_SIGNALED,
	};
	unsigned long irq;
	bool send;
	int err;

	spin_lock_irqsave(&rc->lock, irq);
	send = rc->step == HK_RDMA_UP && !rc->err && !rc->credit_busy &&
	       rc->grant >= HK_RDMA_GRANT_MIN && rc->credits;
	if (send) {
		WRITE_ONCE(rc->credit_busy, true);
		rc->credits--;
		rc->credit->credits = grant_take(rc);
	}
	spin_unlock_irqrestore(&rc->lock, irq);
	if (!send)
		return;
	ib_dma_sync_single_for_device(rc->pd->device, rc->credit_dma,
				      sizeof(*rc->credit), DMA_TO_DEVICE);
	err = ib_post_send(rc->qp, &wr, NULL);
	if (err)
		hk_rdma_end(rc, err, false, "RDMA send to node %u: error %d",
			    rc->peer, err);
}

bool hk_rdma_tx_idle(struct hk_rdma *rc)
{
	return READ_ONCE(rc->tx_tail) == READ_ONCE(rc->tx_head) &&
	       !READ_ONCE(rc->credit_busy);
}

/* The sender, from here on */

static int tx_over(struct hk_rdma *rc)
{
	int err = hk_rdma_err(rc);

	return err ?: READ_ONCE(rc->closing) ? -EPIPE : 0;
}

static int tx_post(struct hk_rdma *rc)
{
	u32 n = rc->nr_wr;
	int err;

	if (!n)
		return 0;
	rc->nr_wr = 0;
	rc->wr[n - 1].send_flags |= IB_SEND_SIGNALED;
	rc->wr[n - 1].next = NULL;
	err = ib_post_send(rc->qp, rc->wr, NULL);
	/* What was not posted is let go of when the connection is freed */
	if (err)
		hk_rdma_end(rc, err, false, "RDMA send to node %u: error %d",
			    rc->peer, err);
	return err;
}

/* Take a credit and a place in the ring. Return: whether they were there */
static bool tx_take(struct hk_rdma *rc)
{
	bool ok;

	spin_lock_irq(&rc->lock);
	ok = rc->credits > 1 && rc->tx_head - rc->tx_tail < HK_RDMA_TX_FRAMES;
	if (ok) {
		rc->credits--;
		WRITE_ONCE(rc->tx_head, rc->tx_head + 1);
	}
	spin_unlock_irq(&rc->lock);
	return ok;
}

/*
 * Add a frame to the chain, a page or, with @page NULL, the chunk at @hdr. What is
 * waited for may depend on what is in the chain, so that goes first. For the same
 * reason the chunk takes the credits that it tells of only when it will surely go: else
 * two nodes could wait with each other's credits in their hands.
 */
static int tx_frame(struct hk_rdma *rc, struct page *page,
		    struct hk_rdma_chunk *hdr, u64 dma, u32 len)
{
	struct hk_rdma_tx *tx = tx_slot(rc, rc->tx_head);
	struct ib_send_wr *wr = &rc->wr[rc->nr_wr];
	struct ib_sge *sge = &rc->sge[rc->nr_wr];
	int err;

	err = tx_over(rc);
	if (!err && !tx_take(rc)) {
		err = tx_post(rc);
		if (!err)
			wait_event_idle(rc->tx_wait, tx_over(rc) || tx_take(rc));
		err = err ?: tx_over(rc);
		wr = &rc->wr[rc->nr_wr];
		sge = &rc->sge[rc->nr_wr];
	}
	if (err)
		return err;

	tx->cqe.done = tx_done;
	tx->page = page;
	tx->dma = dma;
	sge->addr = dma;
	sge->length = len;
	sge->lkey = rc->pd->local_dma_lkey;
	*wr = (struct ib_send_wr){
		.next = wr + 1,
		.wr_cqe = &tx->cqe,
		.sg_list = sge,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
	};
	if (page) {
		get_page(page);
	} else {
		spin_lock_irq(&rc->lock);
		hdr->credits = grant_take(rc);
		spin_unlock_irq(&rc->lock);
		if (len <= rc->inline_max) {
			/* The processor copies it, so by its own address */
			wr->send_flags = IB_SEND_INLINE;
			sge->addr = (uintptr_t)hdr;
		} else {
			ib_dma_sync_single_for_device(rc->pd->device, dma, len,
						      DMA_TO_DEVICE);
		}
	}
	if (++rc->nr_wr == HK_RDMA_CHAIN)
		return tx_post(rc);
	return 0;
}

static int tx_page(struct hk_rdma *rc, struct page *page)
{
	struct ib_device *dev = rc->pd->device;
	u64 dma;
	int err;

	dma = ib_dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	if (ib_dma_mapping_error(dev, dma)) {
		hk_rdma_end(rc, -ENOMEM, false, "cannot map a page for RDMA");
		return -ENOMEM;
	}
	err = tx_frame(rc, page, NULL, dma, PAGE_SIZE);
	/* With an error of the post it is in the ring and let go of from there */
	if (err && tx_slot(rc, rc->tx_head - 1)->page != page)
		ib_dma_unmap_page(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	return err;
}

/* The chunk that is being filled, and the pages that belong to it */
static int tx_flush(struct hk_rdma *rc)
{
	u32 i, len = rc->fill, nr = rc->chunk_head % HK_RDMA_TX_CHUNKS;
	int err;

	if (!len)
		return 0;
	rc->fill = 0;
	rc->chunk_head++;
	err = tx_frame(rc, NULL, page_address(rc->chunk[nr]), rc->chunk_dma[nr],
		       len);
	for (i = 0; i < rc->nr_pages && !err; i++)
		err = tx_page(rc, rc->pages[i]);
	rc->nr_pages = 0;
	return err;
}

static bool chunk_free(struct hk_rdma *rc)
{
	return rc->chunk_head - READ_ONCE(rc->chunk_tail) < HK_RDMA_TX_CHUNKS;
}

static int chunk_begin(struct hk_rdma *rc)
{
	struct hk_rdma_chunk *hdr;
	int err = 0;

	if (!chunk_free(rc)) {
		err = tx_post(rc);
		if (!err)
			wait_event_idle(rc->tx_wait, tx_over(rc) || chunk_free(rc));
		err = err ?: tx_over(rc);
		if (err)
			return err;
	}
	hdr = page_address(rc->chunk[rc->chunk_head % HK_RDMA_TX_CHUNKS]);
	hdr->magic = cpu_to_le16(HK_RDMA_CHUNK_MAGIC);
	hdr->reserved = 0;
	rc->fill = sizeof(*hdr);
	return 0;
}

static int tx_bytes(struct hk_rdma *rc, const void *data, u32 len)
{
	u8 *buf;
	int err;
	u32 n;

	while (len) {
		if (rc->fill == HK_RDMA_CHUNK_MAX) {
			err = tx_flush(rc);
			if (err)
				return err;
		}
		if (!rc->fill) {
			err = chunk_begin(rc);
			if (err)
				return err;
		}
		buf = page_address(rc->chunk[rc->chunk_head % HK_RDMA_TX_CHUNKS]);
		n = min_t(u32, len, HK_RDMA_CHUNK_MAX - rc->fill);
		memcpy(buf + rc->fill, data, n);
		rc->fill += n;
		data += n;
		len -= n;
	}
	return 0;
}

int hk_rdma_send(struct hk_conn *conn, struct hk_msg *const *msgs,
		 unsigned int nr, bool more)
{
	struct hk_rdma *rc = hk_to_rdma(conn);
	unsigned int i;
	int err;

	wait_event_idle(rc->tx_wait, READ_ONCE(rc->step) == HK_RDMA_UP ||
			tx_over(rc));
	err = tx_over(rc);
	for (i = 0; i < nr && !err; i++) {
		err = tx_bytes(rc, &msgs[i]->hdr, sizeof(msgs[i]->hdr));
		if (!err)
			err = tx_bytes(rc, msgs[i]->body,
				       le32_to_cpu(msgs[i]->hdr.len));
		if (!err && msgs[i]->page)
			rc->pages[rc->nr_pages++] = msgs[i]->page;
	}
	if (!err)
		err = tx_flush(rc);
	if (!err)
		err = tx_post(rc);
	return err;
}

/* Life */

static void *buffer(struct ib_device *dev, u32 len, u64 *dma)
{
	void *buf = kzalloc(len, GFP_KERNEL);

	if (!buf)
		return NULL;
	*dma = ib_dma_map_single(dev, buf, len, DMA_TO_DEVICE);
	if (!ib_dma_mapping_error(dev, *dma))
		return buf;
	kfree(buf);
	return NULL;
}

int hk_rdma_tx_init(struct hk_rdma *rc)
{
	struct ib_device *dev = rc->pd->device;
	unsigned int i;
	u64 dma;

	rc->credit = buffer(dev, sizeof(*rc->credit), &rc->credit_dma);
	if (!rc->credit)
		return -ENOMEM;
	rc->credit->magic = cpu_to_le16(HK_RDMA_CHUNK_MAGIC);
	rc->credit_cqe.done = credit_done;
	for (i = 0; i < HK_RDMA_TX_CHUNKS; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page)
			return -ENOMEM;
		dma = ib_dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
		if (ib_dma_mapping_error(dev, dma)) {
			__free_page(page);
			return -ENOMEM;
		}
		rc->chunk[i] = page;
		rc->chunk_dma[i] = dma;
	}
	return 0;
}

void hk_rdma_tx_free(struct hk_rdma *rc)
{
	struct ib_device *dev = rc->pd->device;
	unsigned int i;

	/* Frames that never were posted; those that were have left */
	for (i = 0; i < HK_RDMA_TX_FRAMES; i++)
		tx_let_go(rc, &rc->tx[i]);
	for (i = 0; i < HK_RDMA_TX_CHUNKS && rc->chunk[i]; i++) {
		ib_dma_unmap_page(dev, rc->chunk_dma[i], PAGE_SIZE,
				  DMA_TO_DEVICE);
		__free_page(rc->chunk[i]);
	}
	if (rc->credit) {
		ib_dma_unmap_single(dev, rc->credit_dma, sizeof(*rc->credit),
				    DMA_TO_DEVICE);
		kfree(rc->credit);
	}
}
