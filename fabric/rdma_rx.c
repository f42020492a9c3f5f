// SPDX-License-Identifier: GPL-2.0
/*
 * Transport over RDMA: receiving
 *
 * Each receive buffer is one page. A frame of just that size is a page of a message: it
 * is given to the link as it is, without a copy, and another page takes its place.
 * Every other frame is a chunk: its bytes are copied out and the buffer is posted again.
 * The device writes where a posted buffer is and nowhere else, and only what the peer
 * sends to this queue pair; no more than byte_len bytes of a buffer are ever looked at.
 *
 * A buffer that is posted again is a credit for the peer. Chunks tell of credits; the
 * completion takes note of them at once, so that the sender never waits for the
 * receiver, who may be busy with a message.
 */
#include "rdma.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>

/* How long the device may take to give back what came in before the end */
#define FLUSH_MS	1000

static int rx_post(struct hk_rdma *rc, struct hk_rdma_rx *rx)
{
	struct ib_sge sge = {
		.addr = rx->dma,
		.length = PAGE_SIZE,
		.lkey = rc->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe = &rx->cqe,
		.sg_list = &sge,
		.num_sge = 1,
	};

	return ib_post_recv(rc->qp, &wr, NULL);
}

/* A credit for the peer, who gets to know of it later. Context: any */
static void rx_again(struct hk_rdma *rc, struct hk_rdma_rx *rx)
{
	unsigned long irq;
	int err;

	if (hk_rdma_err(rc))
		return;
	err = rx_post(rc, rx);
	if (err) {
		hk_rdma_end(rc, err, false, "RDMA receive buffer: error %d", err);
		return;
	}
	spin_lock_irqsave(&rc->lock, irq);
	rc->grant++;
	spin_unlock_irqrestore(&rc->lock, irq);
	hk_rdma_tx_grant(rc);
}

/* Return: NULL, or what is wrong. Context: softirq */
static const char *rx_frame(struct hk_rdma *rc, struct hk_rdma_rx *rx)
{
	const struct hk_rdma_chunk *hdr = page_address(rx->page);
	const char *why = NULL;
	u32 credits;

	if (rx->len == HK_WIRE_PAGE_SIZE) {
		spin_lock(&rc->lock);
		if (rc->granted)
			rc->granted--;
		else
			why = "frame without a credit";
		if (!why)
			list_add_tail(&rx->list, &rc->rx_queue);
		spin_unlock(&rc->lock);
		return why;
	}
	ib_dma_sync_single_for_cpu(rc->pd->device, rx->dma, PAGE_SIZE,
				   DMA_FROM_DEVICE);
	if (rx->len < sizeof(*hdr) ||
	    le16_to_cpu(hdr->magic) != HK_RDMA_CHUNK_MAGIC || hdr->reserved)
		return "frame that is neither page nor chunk";
	credits = le16_to_cpu(hdr->credits);

	spin_lock(&rc->lock);
	if (!rc->granted)
		why = "frame without a credit";
	else if (credits > HK_RDMA_FRAMES_MAX - rc->credits)
		why = "too many credits";
	if (!why) {
		rc->granted--;
		rc->credits += credits;
		if (rx->len > sizeof(*hdr))
			list_add_tail(&rx->list, &rc->rx_queue);
	}
	spin_unlock(&rc->lock);
	if (why)
		return why;
	if (credits)
		wake_up(&rc->tx_wait);
	if (rx->len == sizeof(*hdr))
		rx_again(rc, rx);
	else
		hk_rdma_tx_grant(rc);
	return NULL;
}

static void rx_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct hk_rdma *rc = cq->cq_context;
	struct hk_rdma_rx *rx = container_of(wc->wr_cqe, struct hk_rdma_rx, cqe);
	const char *why;

	if (wc->status != IB_WC_SUCCESS) {
		hk_rdma_end(rc, -EIO, false, "RDMA receive from node %u: %s",
			    rc->peer, ib_wc_status_msg(wc->status));
		spin_lock(&rc->lock);
		WRITE_ONCE(rc->flushed, true);
		spin_unlock(&rc->lock);
	} else {
		rx->len = wc->byte_len;
		why = rx_frame(rc, rx);
		if (why)
			hk_rdma_end(rc, -EPROTO, false,
				    "node %u broke the RDMA protocol: %s",
				    rc->peer, why);
	}
	wake_up(&rc->rx_wait);
}

/* The receiver, from here on */

static bool rx_any(struct hk_rdma *rc)
{
	return !list_empty_careful(&rc->rx_queue) || READ_ONCE(rc->flushed);
}

/* Return: 1 with @rx, or what recv returns */
static int rx_next(struct hk_rdma *rc, struct hk_rdma_rx **rx)
{
	wait_event_idle(rc->rx_wait, rx_any(rc) || hk_rdma_err(rc));
	if (!rx_any(rc)) {
		/* What came in before the end is still to be read: a BYE */
		rdma_disconnect(rc->id);
		wait_event_idle_timeout(rc->rx_wait, rx_any(rc),
					msecs_to_jiffies(FLUSH_MS));
	}
	spin_lock_irq(&rc->lock);
	*rx = list_first_entry_or_null(&rc->rx_queue, struct hk_rdma_rx, list);
	if (*rx)
		list_del(&(*rx)->list);
	spin_unlock_irq(&rc->lock);
	if (*rx)
		return 1;
	return READ_ONCE(rc->closed) ? 0 : hk_rdma_err(rc);
}

static int rx_order(struct hk_rdma *rc, const char *what)
{
	hk_rdma_end(rc, -EPROTO, false, "node %u broke the RDMA protocol: %s",
		    rc->peer, what);
	return hk_rdma_err(rc);
}

static int rx_chunk(struct hk_rdma *rc)
{
	struct hk_rdma_rx *rx;
	int ret = rx_next(rc, &rx);

	if (ret <= 0)
		return ret;
	if (rx->len == HK_WIRE_PAGE_SIZE)
		return rx_order(rc, "page where none is due");
	rc->cur = rx;
	rc->cur_off = sizeof(struct hk_rdma_chunk);
	return 1;
}

int hk_rdma_recv(struct hk_conn *conn, struct kvec *vec, unsigned int nr,
		 size_t len)
{
	struct hk_rdma *rc = hk_to_rdma(conn);
	size_t done = 0, off = 0, n;
	struct hk_rdma_rx *rx;
	int ret;

	while (done < len) {
		if (!rc->cur) {
			ret = rx_chunk(rc);
			if (!ret && done)
				return -ECONNABORTED;
			if (ret <= 0)
				return ret;
		}
		rx = rc->cur;
		n = min3((size_t)(rx->len - rc->cur_off), vec->iov_len - off,
			 len - done);
		memcpy(vec->iov_base + off, page_address(rx->page) + rc->cur_off,
		       n);
		rc->cur_off += n;
		done += n;
		off += n;
		if (off == vec->iov_len) {
			vec++;
			off = 0;
		}
		if (rc->cur_off == rx->len) {
			rc->cur = NULL;
			ib_dma_sync_single_for_device(rc->pd->device, rx->dma,
						      PAGE_SIZE,
						      DMA_FROM_DEVICE);
			rx_again(rc, rx);
		}
	}
	return 1;
}

static int rx_fill(struct hk_rdma *rc, struct hk_rdma_rx *rx, struct page *page)
{
	struct ib_device *dev = rc->pd->device;
	u64 dma = ib_dma_map_page(dev, page, 0, PAGE_SIZE, DMA_FROM_DEVICE);

	if (ib_dma_mapping_error(dev, dma))
		return -ENOMEM;
	rx->page = page;
	rx->dma = dma;
	return 0;
}

int hk_rdma_recv_page(struct hk_conn *conn, struct page **page)
{
	struct hk_rdma *rc = hk_to_rdma(conn);
	struct page *fresh, *full;
	struct hk_rdma_rx *rx;
	int ret;

	ret = rx_next(rc, &rx);
	if (ret <= 0)
		return ret ?: -ECONNABORTED;
	if (rx->len != HK_WIRE_PAGE_SIZE)
		return rx_order(rc, "no page where one is due");
	fresh = alloc_page(GFP_NOIO);
	full = rx->page;
	ib_dma_unmap_page(rc->pd->device, rx->dma, PAGE_SIZE, DMA_FROM_DEVICE);
	rx->page = NULL;
	*page = full;
	if (!fresh || rx_fill(rc, rx, fresh)) {
		if (fresh)
			__free_page(fresh);
		hk_rdma_end(rc, -ENOMEM, false,
			    "out of memory for a receive buffer");
		return 1;
	}
	rx_again(rc, rx);
	return 1;
}

/* Life */

int hk_rdma_rx_init(struct hk_rdma *rc)
{
	struct page *page;
	unsigned int i;

	for (i = 0; i < HK_RDMA_RX_FRAMES; i++) {
		page = alloc_page(GFP_KERNEL);
		if (!page)
			return -ENOMEM;
		if (rx_fill(rc, &rc->rx[i], page)) {
			__free_page(page);
			return -ENOMEM;
		}
		rc->rx[i].cqe.done = rx_done;
	}
	return 0;
}

int hk_rdma_rx_post_all(struct hk_rdma *rc)
{
	unsigned int i;
	int err = 0;

	rc->granted = HK_RDMA_RX_FRAMES;
	for (i = 0; i < HK_RDMA_RX_FRAMES && !err; i++)
		err = rx_post(rc, &rc->rx[i]);
	return err;
}

void hk_rdma_rx_free(struct hk_rdma *rc)
{
	unsigned int i;

	for (i = 0; i < HK_RDMA_RX_FRAMES; i++) {
		struct hk_rdma_rx *rx = &rc->rx[i];

		if (!rx->page)
			continue;
		ib_dma_unmap_page(rc->pd->device, rx->dma, PAGE_SIZE,
				  DMA_FROM_DEVICE);
		__free_page(rx->page);
	}
}
