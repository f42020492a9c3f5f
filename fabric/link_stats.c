// SPDX-License-Identifier: GPL-2.0
/*
 * What a link tells of itself beyond the plain counters: percentiles, messages by type
 */
#include "link_internal.h"

static const u32 rtt_permille[HK_LINK_RTT_NR] = { 500, 900, 990, 999 };

/*
 * Connections are taken away under the lock before they are released. In a renewal, by TCP,
 * both have sent something. Return: false: no transport of the link's counts that
 */
static bool resent(struct hk_link *link, u64 *nr)
{
	struct hk_conn *conn;
	bool counts = false;
	unsigned int i;

	lockdep_assert_held(&link->lock);
	*nr = link->resent_past;
	for (i = 0; i < PATH_PLACES; i++) {
		conn = link->paths[i].conn;
		if (!conn || !conn->transport->resent)
			continue;
		counts = true;
		*nr += conn->transport->resent(conn);
	}
	if (link->next && link->tx_conn != link->paths[0].conn)
		*nr += link->tx_conn->transport->resent(link->tx_conn);
	return counts;
}

/**
 * hk_link_detail_get() - percentiles of the round trips, what waits and was sent again
 * @link: link
 * @d: out
 *
 * Round trips are those of all PINGs since the link was made.
 * Context: process.
 */
void hk_link_detail_get(struct hk_link *link, struct hk_link_detail *d)
{
	unsigned int i;

	raw_spin_lock_irq(&link->lock);
	d->tx_queued = link->queued;
	d->tx_queued_max = link->queued_max;
	d->has_resent = resent(link, &d->resent);
	d->rtt_nr = link->rtt.nr;
	d->rtt_ns_max = link->rtt.max;
	for (i = 0; i < HK_LINK_RTT_NR; i++)
		d->rtt_ns[i] = hk_hist_permille(&link->rtt, rtt_permille[i]);
	raw_spin_unlock_irq(&link->lock);
}

/**
 * hk_link_type_get() - messages of one type since the link was made
 * @link: link
 * @type: below HK_MSG_NR
 * @tx: out: given to the transport
 * @rx: out: received whole
 * Context: any.
 */
void hk_link_type_get(struct hk_link *link, unsigned int type, u64 *tx, u64 *rx)
{
	*tx = READ_ONCE(link->tx_types[type]);
	*rx = READ_ONCE(link->rx_types[type]);
}
