/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transport over RDMA: what its files share
 *
 *	rdma.c		the module, birth and end of a connection
 *	rdma_cm.c	how it is made: the TCP socket, then rdma_cm
 *	rdma_tx.c	sending: chunks, pages, credits spent
 *	rdma_rx.c	receiving: buffers, frames in order, credits granted
 *
 * See Documentation/fabric.rst for the protocol and what a peer can reach.
 */
#ifndef HK_FABRIC_RDMA_H
#define HK_FABRIC_RDMA_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include "link.h"
#include "transport.h"

struct sock;

/* The wire: little endian, reserved fields zero */

#define HK_RDMA_MAGIC		0x52444b48	/* "HKDR" */
#define HK_RDMA_VERSION		1
#define HK_RDMA_COOKIE		32

/**
 * struct hk_rdma_hello - both ways over the TCP socket, before RDMA
 * @magic: HK_RDMA_MAGIC
 * @version: HK_RDMA_VERSION
 * @reserved: zero
 * @from: node id of the sender
 * @port: where it listens; 0: it is the one that connects
 * @frames: receive buffers that it will have posted: the first credits
 * @reserved2: zero
 * @cookie: random; who brings it back by RDMA has read this socket
 */
struct hk_rdma_hello {
	__le32 magic;
	__u8 version;
	__u8 reserved;
	__le16 from;
	__le16 port;
	__le16 frames;
	__le32 reserved2;
	__u8 cookie[HK_RDMA_COOKIE];
};

/**
 * struct hk_rdma_private - private data of the connection manager's REQ and REP
 * @magic: HK_RDMA_MAGIC
 * @version: HK_RDMA_VERSION
 * @reserved: zero
 * @cookie: of the receiver's hello
 */
struct hk_rdma_private {
	__le32 magic;
	__u8 version;
	__u8 reserved[3];
	__u8 cookie[HK_RDMA_COOKIE];
};

/**
 * struct hk_rdma_chunk - opens every frame but pages
 * @magic: HK_RDMA_CHUNK_MAGIC
 * @credits: so many frames more may be sent to the sender of this one
 * @reserved: zero
 *
 * The next bytes of the link's stream follow, up to the end of the frame. A frame of
 * HK_WIRE_PAGE_SIZE bytes is a page and has no header.
 */
struct hk_rdma_chunk {
	__le16 magic;
	__le16 credits;
	__le32 reserved;
};

static_assert(sizeof(struct hk_rdma_hello) == 48);
static_assert(sizeof(struct hk_rdma_private) == 40);
static_assert(sizeof(struct hk_rdma_chunk) == 8);

#define HK_RDMA_CHUNK_MAGIC	0x4b43
#define HK_RDMA_CHUNK_MAX	(HK_WIRE_PAGE_SIZE - 8)

/*
 * Frames that the peer may have under way to us: as much as the TCP transport leaves
 * unread, the bandwidth-delay product of 40 Gbit/s over 100 us.
 */
#define HK_RDMA_RX_FRAMES	128
/* Bounds of what a peer may say of its own */
#define HK_RDMA_FRAMES_MIN	16
#define HK_RDMA_FRAMES_MAX	4096
/* Credits worth a frame of their own */
#define HK_RDMA_GRANT_MIN	(HK_RDMA_RX_FRAMES / 4)
/* Frames under way to the peer, a power of two */
#define HK_RDMA_TX_FRAMES	128
/* Of those, chunks, a power of two */
#define HK_RDMA_TX_CHUNKS	32
/* Work requests that are posted at once */
#define HK_RDMA_CHAIN		32
/* Ask for so many bytes inline: a header and two small messages */
#define HK_RDMA_INLINE		192

enum hk_rdma_step {
	HK_RDMA_BOUND,		/* to a device and an address */
	HK_RDMA_ADDR,		/* connecting side: peer's address is known */
	HK_RDMA_ROUTE,		/* connecting side: the way to it is known */
	HK_RDMA_REQUEST,	/* listening side: the peer has come */
	HK_RDMA_UP,
};

/**
 * struct hk_rdma_tx - one frame on its way out
 * @cqe: completion; signalled for the last one of a chain only
 * @page: page with a reference, NULL: a chunk, which has a buffer of &hk_rdma.chunk
 * @dma: its address for the device
 */
struct hk_rdma_tx {
	struct ib_cqe cqe;
	struct page *page;
	u64 dma;
};

/**
 * struct hk_rdma_rx - one receive buffer
 * @cqe: completion
 * @list: in &hk_rdma.rx_queue
 * @page: the buffer
 * @dma: its address for the device
 * @len: bytes that came
 */
struct hk_rdma_rx {
	struct ib_cqe cqe;
	struct list_head list;
	struct page *page;
	u64 dma;
	u32 len;
};

/**
 * struct hk_rdma - one connection
 * @conn: what the link sees; its reason is that for @err
 * @sock: authenticated TCP socket; its end is the end of the connection
 * @sock_changed: what @sock called before
 * @self: own node id
 * @peer: node id of the other end
 * @dead_ms: of the link
 * @passive: listens; the node with the lower id does
 * @local: own address, that of @sock
 * @remote: the peer's, likewise; its port is replaced by that of its hello
 * @cookie: own random number
 * @peer_cookie: the peer's
 * @listener: passive: until the connection is up
 * @id: the connection's; passive: set by the listener's handler under @lock
 * @pd: no memory is registered in it
 * @cq: completions of both directions, in softirq
 * @qp: queue pair, that of @id
 * @lock: leaf, irq-safe; protects @step to @credit_busy
 * @step: how far the making of the connection is
 * @err: 0, or negative errno: the connection is of no use any more; first one counts.
 *	Also read without @lock
 * @closed: @err because the peer closed it in good order
 * @closing: shutdown was called
 * @rx_queue: frames that came in
 * @flushed: the device returns receive buffers unused: @rx_queue does not grow any more
 * @credits: frames that we may send
 * @grant: frames that the peer may send but does not know of
 * @granted: frames that the peer may send, for all it knows
 * @tx_tail: frames of @tx that have left
 * @chunk_tail: buffers of @chunk that are free again
 * @credit_busy: the frame with nothing but credits is under way
 * @rx_wait: start and recv wait here
 * @tx_wait: send and shutdown wait here
 * @inline_max: bytes that the device takes inline
 * @rx: receive buffers
 * @cur: chunk that is being read (receiver only)
 * @cur_off: so far (receiver only)
 * @tx: frames on their way out, ring
 * @tx_head: frames ever put into it (sender only)
 * @chunk: buffers for chunks, ring
 * @chunk_dma: their addresses for the device
 * @chunk_head: buffers ever used (sender only)
 * @fill: bytes in the chunk that is being filled, 0: none is (sender only)
 * @pages: pages that follow this chunk (sender only)
 * @nr_pages: how many (sender only)
 * @wr: chain that is not posted yet (sender only)
 * @sge: of these
 * @nr_wr: how many
 * @credit_cqe: completion of the frame with nothing but credits
 * @credit: that frame
 * @credit_dma: its address for the device
 */
struct hk_rdma {
	struct hk_conn conn;
	struct socket *sock;
	void (*sock_changed)(struct sock *sk);
	u16 self;
	u16 peer;
	u32 dead_ms;
	bool passive;
	struct sockaddr_storage local;
	struct sockaddr_storage remote;
	u8 cookie[HK_RDMA_COOKIE];
	u8 peer_cookie[HK_RDMA_COOKIE];

	struct rdma_cm_id *listener;
	struct rdma_cm_id *id;
	struct ib_pd *pd;
	struct ib_cq *cq;
	struct ib_qp *qp;

	spinlock_t lock;	/* leaf, see above */
	enum hk_rdma_step step;
	int err;
	bool closed;
	bool closing;
	struct list_head rx_queue;
	bool flushed;
	u32 credits;
	u32 grant;
	u32 granted;
	u32 tx_tail;
	u32 chunk_tail;
	bool credit_busy;

	wait_queue_head_t rx_wait;
	wait_queue_head_t tx_wait;

	u32 inline_max;
	struct hk_rdma_rx rx[HK_RDMA_RX_FRAMES];
	struct hk_rdma_rx *cur;
	u32 cur_off;

	struct hk_rdma_tx tx[HK_RDMA_TX_FRAMES];
	u32 tx_head;
	struct page *chunk[HK_RDMA_TX_CHUNKS];
	u64 chunk_dma[HK_RDMA_TX_CHUNKS];
	u32 chunk_head;
	u32 fill;
	struct page *pages[HK_TX_BATCH];
	u32 nr_pages;
	struct ib_send_wr wr[HK_RDMA_CHAIN];
	struct ib_sge sge[HK_RDMA_CHAIN];
	u32 nr_wr;

	struct ib_cqe credit_cqe;
	struct hk_rdma_chunk *credit;
	u64 credit_dma;
};

static inline struct hk_rdma *hk_to_rdma(struct hk_conn *conn)
{
	return container_of(conn, struct hk_rdma, conn);
}

/* rdma.c */

/**
 * hk_rdma_end() - the connection is of no use any more
 * @rc: connection
 * @err: negative errno
 * @closed: the peer closed it in good order
 * @fmt: why, for humans; the first reason counts
 * Context: any.
 */
__printf(4, 5)
void hk_rdma_end(struct hk_rdma *rc, int err, bool closed, const char *fmt, ...);

/* 0, or the error to return to the link, whose reason can be read then */
static inline int hk_rdma_err(struct hk_rdma *rc)
{
	/* Pairs with hk_rdma_end() */
	return smp_load_acquire(&rc->err);
}

/* rdma_cm.c */
int hk_rdma_bind(struct hk_rdma *rc, char *why);
int hk_rdma_start(struct hk_conn *conn);

/* rdma_tx.c */
int hk_rdma_tx_init(struct hk_rdma *rc);
void hk_rdma_tx_free(struct hk_rdma *rc);
int hk_rdma_send(struct hk_conn *conn, struct hk_msg *const *msgs,
		 unsigned int nr, bool more);
/* let the peer know of its credits if that is worth a frame; any context */
void hk_rdma_tx_grant(struct hk_rdma *rc);
/* all that was posted has left; under lock or not */
bool hk_rdma_tx_idle(struct hk_rdma *rc);

/* rdma_rx.c */
int hk_rdma_rx_init(struct hk_rdma *rc);
/* give all buffers to the device, before the peer can send */
int hk_rdma_rx_post_all(struct hk_rdma *rc);
void hk_rdma_rx_free(struct hk_rdma *rc);
int hk_rdma_recv(struct hk_conn *conn, struct kvec *vec, unsigned int nr,
		 size_t len);
int hk_rdma_recv_page(struct hk_conn *conn, struct page **page);

#endif /* HK_FABRIC_RDMA_H */
