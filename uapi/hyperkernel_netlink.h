/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Generic netlink family "hyperkernel"
 *
 * Follows Documentation/netlink/specs/hyperkernel.yaml. All commands act on the
 * node object of the caller's network namespace. SET, ADD, DEL, KILL, MOVE and ECHO
 * need CAP_NET_ADMIN there and CAP_SYS_ADMIN in the initial user namespace.
 */
#ifndef _UAPI_HYPERKERNEL_NETLINK_H
#define _UAPI_HYPERKERNEL_NETLINK_H

#define HK_GENL_NAME		"hyperkernel"
#define HK_GENL_VERSION		1
#define HK_GENL_MCGRP_EVENTS	"events"

#define HK_NAME_MAX		32	/* names of nodes and VMs, with NUL */
#define HK_CLUSTER_ID_LEN	16
#define HK_REASON_LEN		192	/* with NUL */
#define HK_VCPUS_MAX		64

/**
 * enum hk_cmd - commands and notifications
 * @HK_CMD_UNSPEC: not used
 * @HK_CMD_NODE_GET: do: own node; dump: own node, then the peers as known here
 * @HK_CMD_NODE_SET: NODE_ID, NODE_NAME, CLUSTER_ID, EPOCH, BUDGET_PAGES, opt.
 *	HEARTBEAT_MS, DEAD_MS: gives the node its identity; refused while VMs or
 *	links exist, but for BUDGET_PAGES alone, which may grow at any time
 * @HK_CMD_NODE_RESET: forget identity, links and VMs; refused while a VM is in use
 * @HK_CMD_LINK_ADD: PEER_ID, PEER_NAME, FD [, TRANSPORT]: take over a socket; does
 *	not wait for the peer: LINK_NTF says when the link is up
 * @HK_CMD_LINK_DEL: PEER_ID [, REASON]: what both ends say of it from then on
 * @HK_CMD_LINK_GET: dump
 * @HK_CMD_VM_ADD: VM_ID, VM_NAME, RAM_PAGES, ORIGIN, MEMBERS, VCPU_PLACE
 * @HK_CMD_VM_DEL: VM_ID; refused while its device is open
 * @HK_CMD_VM_KILL: VM_ID, REASON: stop the guest, on all members
 * @HK_CMD_VM_GET: do by VM_ID; dump
 * @HK_CMD_VCPU_GET: dump, opt. VM_ID
 * @HK_CMD_VCPU_MOVE: VM_ID, VCPU, NODE_ID; answers when the vCPU runs there, or
 *	with the reason why not
 * @HK_CMD_STATS_GET: dump, opt. VM_ID: one message a VM
 * @HK_CMD_LINK_ECHO: PEER_ID, COUNT (1..4096), LEN (request), REPLY_PAGE: round
 *	trips in the kernel; the reply is as long as the request, or with REPLY_PAGE
 *	a page; answers with TIMES_NS, many of them in several messages
 * @HK_CMD_LINK_RENEW: PEER_ID, FD: the link that is up goes over to this connected
 *	socket, whose other end the peer is given likewise; does not wait for that
 * @HK_CMD_LINK_NTF: event: a link came up or went down (PEER_ID, LINK_STATE, REASON)
 * @HK_CMD_VM_NTF: event: state of a VM changed (VM_ID, VM_STATE, REASON)
 * @HK_CMD_VCPU_NTF: event: a vCPU is resident elsewhere (VM_ID, VCPU, NODE_ID)
 * @HK_CMD_PATH_ADD: PEER_ID, PATH_ID, FD, opt. TRANSPORT: the link that is up gets one
 *	connection more, whose other end the peer is given likewise; does not wait for that.
 *	It takes the place of the one that this path has, if any, when both ends would use it
 * @HK_CMD_PATH_DEL: PEER_ID, PATH_ID: the link does without this connection
 * @HK_CMD_PATH_GET: dump: the connections of all links
 * @HK_CMD_PATH_NTF: event: a path of a link can be used now, or no longer, or has another
 *	connection (PEER_ID, PATH_ID, PATH_STATE, REASON)
 * @__HK_CMD_MAX: not one of them: their number with 0
 */
enum hk_cmd {
	HK_CMD_UNSPEC = 0,
	HK_CMD_NODE_GET,
	HK_CMD_NODE_SET,
	HK_CMD_NODE_RESET,
	HK_CMD_LINK_ADD,
	HK_CMD_LINK_DEL,
	HK_CMD_LINK_GET,
	HK_CMD_VM_ADD,
	HK_CMD_VM_DEL,
	HK_CMD_VM_KILL,
	HK_CMD_VM_GET,
	HK_CMD_VCPU_GET,
	HK_CMD_VCPU_MOVE,
	HK_CMD_STATS_GET,
	HK_CMD_LINK_ECHO,
	HK_CMD_LINK_NTF,
	HK_CMD_VM_NTF,
	HK_CMD_VCPU_NTF,
	HK_CMD_LINK_RENEW,
	HK_CMD_PATH_ADD,
	HK_CMD_PATH_DEL,
	HK_CMD_PATH_GET,
	HK_CMD_PATH_NTF,
	__HK_CMD_MAX
};

#define HK_CMD_MAX (__HK_CMD_MAX - 1)

/**
 * enum hk_attr - attributes, one space for all commands
 * @HK_A_UNSPEC: not used
 * @HK_A_NODE_ID: u16, 1 to 63
 * @HK_A_NODE_NAME: string
 * @HK_A_CLUSTER_ID: binary, HK_CLUSTER_ID_LEN
 * @HK_A_EPOCH: u32, 1 or more: membership generation
 * @HK_A_BUDGET_PAGES: u64: 4 KiB pages of RAM this node contributes
 * @HK_A_USED_PAGES: u64
 * @HK_A_HEARTBEAT_MS: u32, 10 to 10000, default 200
 * @HK_A_DEAD_MS: u32, 100 to 60000, default 2000
 * @HK_A_PEER_ID: u16
 * @HK_A_PEER_NAME: string
 * @HK_A_FD: s32: connected TCP socket of the caller
 * @HK_A_LINK_STATE: u8, enum hk_link_state
 * @HK_A_REASON: string
 * @HK_A_RTT_NS: u64, smallest of late
 * @HK_A_TX_MSGS: u64
 * @HK_A_TX_BYTES: u64
 * @HK_A_RX_MSGS: u64
 * @HK_A_RX_BYTES: u64
 * @HK_A_RX_STALE: u64
 * @HK_A_TSC_OFFSET: s64, peer's TSC minus ours
 * @HK_A_TSC_ERROR: u64, ticks
 * @HK_A_VM_ID: u32, 1 or more, the same on all members
 * @HK_A_VM_NAME: string, letters, digits, '-', '_', '.'
 * @HK_A_VM_STATE: u8, enum hk_vm_state
 * @HK_A_RAM_PAGES: u64
 * @HK_A_ORIGIN: u16, node id
 * @HK_A_MEMBERS: binary: array of struct hk_member
 * @HK_A_VCPU_PLACE: binary: array of u16 node ids, one per vCPU: where it starts
 * @HK_A_VCPU: u32, index
 * @HK_A_VCPU_STATE: u8, enum hk_vcpu_state
 * @HK_A_MOVES: u64: handoffs of this vCPU seen here
 * @HK_A_DEVICE: string: path of the RAM device
 * @HK_A_STATS: nested, attribute type enum hk_stat, u64 each
 * @HK_A_COUNT: u32
 * @HK_A_LEN: u32
 * @HK_A_REPLY_PAGE: flag
 * @HK_A_TIMES_NS: binary: array of u64
 * @HK_A_PAD: padding
 * @HK_A_RX_UNKNOWN: u64: messages dropped as their VM is not known here
 * @HK_A_TRANSPORT: string, what carries a link or a path: "tcp" (default), "rdma"
 * @HK_A_LINK_STATS: nested, attribute type enum hk_link_stat, u64 each
 * @HK_A_MSG_TYPES: nested: a MSG_TYPE for each type that was sent or received
 * @HK_A_MSG_TYPE: nested: MSG_NAME, TX_MSGS, RX_MSGS
 * @HK_A_MSG_NAME: string
 * @HK_A_ENCRYPTION: string: how the link's bytes travel: "tls 1.3 aes-256-gcm",
 *	"plain"
 * @HK_A_MODULE_VERSION: string
 * @HK_A_WIRE_VERSION: u32: version of the messages between nodes
 * @HK_A_FEATURES: u32: bits that the module offers to its peers
 * @HK_A_RENEWALS: u32: times a link, or a path of it, has gone over to another connection
 * @HK_A_PATH_ID: u8, 0 to 3; 0: the one that the link was made with
 * @HK_A_PATH_STATE: u8, enum hk_path_state
 * @HK_A_LOCAL_ADDRESS: string, of this end of a connection, with the port
 * @HK_A_PEER_ADDRESS: string, of the other end
 * @HK_A_RETRANSMITS: u64: messages sent again on this path, as another one failed
 * @HK_A_DUPLICATES: u64: messages dropped that had come on another path before
 * @HK_A_FAILOVERS: u32: times sending has come to this path from one that failed
 * @__HK_A_MAX: not one of them: their number with 0
 */
enum hk_attr {
	HK_A_UNSPEC = 0,
	HK_A_NODE_ID,
	HK_A_NODE_NAME,
	HK_A_CLUSTER_ID,
	HK_A_EPOCH,
	HK_A_BUDGET_PAGES,
	HK_A_USED_PAGES,
	HK_A_HEARTBEAT_MS,
	HK_A_DEAD_MS,
	HK_A_PEER_ID,
	HK_A_PEER_NAME,
	HK_A_FD,
	HK_A_LINK_STATE,
	HK_A_REASON,
	HK_A_RTT_NS,
	HK_A_TX_MSGS,
	HK_A_TX_BYTES,
	HK_A_RX_MSGS,
	HK_A_RX_BYTES,
	HK_A_RX_STALE,
	HK_A_TSC_OFFSET,
	HK_A_TSC_ERROR,
	HK_A_VM_ID,
	HK_A_VM_NAME,
	HK_A_VM_STATE,
	HK_A_RAM_PAGES,
	HK_A_ORIGIN,
	HK_A_MEMBERS,
	HK_A_VCPU_PLACE,
	HK_A_VCPU,
	HK_A_VCPU_STATE,
	HK_A_MOVES,
	HK_A_DEVICE,
	HK_A_STATS,
	HK_A_COUNT,
	HK_A_LEN,
	HK_A_REPLY_PAGE,
	HK_A_TIMES_NS,
	HK_A_PAD,
	HK_A_RX_UNKNOWN,
	HK_A_TRANSPORT,
	HK_A_LINK_STATS,
	HK_A_MSG_TYPES,
	HK_A_MSG_TYPE,
	HK_A_MSG_NAME,
	HK_A_ENCRYPTION,
	HK_A_MODULE_VERSION,
	HK_A_WIRE_VERSION,
	HK_A_FEATURES,
	HK_A_RENEWALS,
	HK_A_PATH_ID,
	HK_A_PATH_STATE,
	HK_A_LOCAL_ADDRESS,
	HK_A_PEER_ADDRESS,
	HK_A_RETRANSMITS,
	HK_A_DUPLICATES,
	HK_A_FAILOVERS,
	__HK_A_MAX
};

#define HK_A_MAX (__HK_A_MAX - 1)

/**
 * struct hk_member - a node that takes part in a VM
 * @node: node id
 * @reserved: zero
 * @weight: share of the home directory, 1 or more
 */
struct hk_member {
	__u16 node;
	__u16 reserved;
	__u32 weight;
};

enum hk_link_state {
	HK_LINK_NONE = 0,	/* no HELLO since the last LINK_ADD, or none at all */
	HK_LINK_UP,
	HK_LINK_DOWN,		/* REASON says why */
};

enum hk_path_state {
	HK_PATH_NONE = 0,	/* there never was one */
	HK_PATH_JOINING,	/* the peer has not taken it up yet */
	HK_PATH_STANDBY,	/* would be used if the active one failed */
	HK_PATH_ACTIVE,		/* what this node sends goes here */
	HK_PATH_DOWN,		/* REASON says why */
};

enum hk_vm_state {
	HK_VM_CREATED = 0,	/* the guest has not run yet */
	HK_VM_RUNNING,
	HK_VM_DEAD,		/* REASON says why; waits to be deleted */
};

enum hk_vcpu_state {
	HK_VCPU_ABSENT = 0,	/* KVM object not there yet */
	HK_VCPU_HERE,		/* resident on this node */
	HK_VCPU_AWAY,		/* ghost; NODE_ID says where it is resident */
	HK_VCPU_LEAVING,	/* handoff under way */
};

/**
 * enum hk_stat - counters of one VM on this node
 * @HK_STAT_NONE: not used
 * @HK_STAT_FAULT_RD: read faults of the host mapping
 * @HK_STAT_FAULT_WR: write faults of the host mapping
 * @HK_STAT_FETCHED: pages that came in with data
 * @HK_STAT_ZERO: pages granted without data, first touch
 * @HK_STAT_UPGRADED: pages made writable without data
 * @HK_STAT_SENT: pages that went out with data
 * @HK_STAT_FILL_SENT: of those, travelled as one word
 * @HK_STAT_INVALIDATED: pages taken away from this node
 * @HK_STAT_DOWNGRADED: pages write-protected for a reader elsewhere
 * @HK_STAT_BUSY: recalls put off because somebody held the page
 * @HK_STAT_DROPPED: read copies given up for room
 * @HK_STAT_SPILLED: pages offered to a node with room
 * @HK_STAT_PRESENT: pages present now
 * @HK_STAT_DIRECTORY: directory entries here now
 * @HK_STAT_METADATA: bytes of metadata here now
 * @HK_STAT_FETCH_NS: sum of waiting time of faults that went over the network
 * @HK_STAT_FETCH_NR: number of these
 * @HK_STAT_FETCH_NS_MIN: smallest
 * @HK_STAT_FETCH_NS_MAX: largest
 * @HK_STAT_MOVES_OUT: vCPUs handed off from here
 * @HK_STAT_MOVES_IN: vCPUs taken in here
 * @HK_STAT_MOVES_REFUSED: handoffs that came to nothing
 * @HK_STAT_IRQ_SENT: interrupts sent to the node of residence
 * @HK_STAT_IRQ_RECV: interrupts received for a resident vCPU
 * @HK_STAT_IRQ_QUEUED: interrupts held back during a handoff
 * @HK_STAT_EXITS_SENT: VMM exits sent to the origin
 * @HK_STAT_EXITS_SERVED: VMM exits served here for other nodes
 * @HK_STAT_RECALLS: vCPUs called home for an ioctl of the VMM
 * @HK_STAT_HANDOFF_NS: sum of time from capture to running at the target, seen
 *	at the source
 * @HK_STAT_HANDOFF_NS_MIN: smallest
 * @HK_STAT_HANDOFF_NS_MAX: largest
 * @HK_STAT_HANDOFF_BYTES: sum of the states of vCPUs handed off from here, bytes
 * @HK_STAT_CLOCK_STEPS: steps forward of the guest's clock on this node
 * @HK_STAT_CLOCK_STEPPED_TICKS: sum of these, in ticks of the TSC
 * @HK_STAT_CLOCK_LATE: of these, steps that a message had to wait for
 * @HK_STAT_DOORBELLS: VMM exits served here for other nodes by KVM, without the VMM
 * @HK_STAT_READ_EXCLUSIVE: pages that came in with data and may be written, for a read
 * @HK_STAT_AGED: read copies unmapped to see whether they are used, before any is dropped
 * @HK_STAT_REFAULTED: of those, used again in time and so mapped again
 * @HK_STAT_REVALIDATE_ASKED: requests that named an old copy kept here
 * @HK_STAT_REVALIDATED: of those, the old copy was still good: nothing came with the answer
 * @HK_STAT_SAME_SENT: pages that a requester had, and that did not travel
 * @HK_STAT_STALE: old copies kept here now
 * @HK_STAT_LENT_TO: times that this node was lent the rule over a page that it writes
 * @HK_STAT_LENT_BACK: of those, has given it back, as another node wanted to write
 * @HK_STAT_ASTRAY: requests that went to a node which rules the page no more, and were made anew
 * @HK_STAT_ASYNC_FAULTS: faults that the guest did not wait for: it ran another of
 *	its threads
 * @__HK_STAT_MAX: not one of them: their number with 0
 */
enum hk_stat {
	HK_STAT_NONE = 0,
	HK_STAT_FAULT_RD,
	HK_STAT_FAULT_WR,
	HK_STAT_FETCHED,
	HK_STAT_ZERO,
	HK_STAT_UPGRADED,
	HK_STAT_SENT,
	HK_STAT_FILL_SENT,
	HK_STAT_INVALIDATED,
	HK_STAT_DOWNGRADED,
	HK_STAT_BUSY,
	HK_STAT_DROPPED,
	HK_STAT_SPILLED,
	HK_STAT_PRESENT,
	HK_STAT_DIRECTORY,
	HK_STAT_METADATA,
	HK_STAT_FETCH_NS,
	HK_STAT_FETCH_NR,
	HK_STAT_FETCH_NS_MIN,
	HK_STAT_FETCH_NS_MAX,
	HK_STAT_MOVES_OUT,
	HK_STAT_MOVES_IN,
	HK_STAT_MOVES_REFUSED,
	HK_STAT_IRQ_SENT,
	HK_STAT_IRQ_RECV,
	HK_STAT_IRQ_QUEUED,
	HK_STAT_EXITS_SENT,
	HK_STAT_EXITS_SERVED,
	HK_STAT_RECALLS,
	HK_STAT_HANDOFF_NS,
	HK_STAT_HANDOFF_NS_MIN,
	HK_STAT_HANDOFF_NS_MAX,
	HK_STAT_HANDOFF_BYTES,
	HK_STAT_CLOCK_STEPS,
	HK_STAT_CLOCK_STEPPED_TICKS,
	HK_STAT_CLOCK_LATE,
	HK_STAT_DOORBELLS,
	HK_STAT_READ_EXCLUSIVE,
	HK_STAT_AGED,
	HK_STAT_REFAULTED,
	HK_STAT_REVALIDATE_ASKED,
	HK_STAT_REVALIDATED,
	HK_STAT_SAME_SENT,
	HK_STAT_STALE,
	HK_STAT_LENT_TO,
	HK_STAT_LENT_BACK,
	HK_STAT_ASTRAY,
	HK_STAT_ASYNC_FAULTS,
	__HK_STAT_MAX
};

#define HK_STAT_MAX (__HK_STAT_MAX - 1)

/**
 * enum hk_link_stat - what a link says of itself
 * @HK_LINK_STAT_NONE: not used
 * @HK_LINK_STAT_QUEUED: messages that wait to be sent
 * @HK_LINK_STAT_QUEUED_MAX: most that ever did
 * @HK_LINK_STAT_RESENT: TCP segments sent again; not there where nobody counts them
 * @HK_LINK_STAT_RTT_NR: round trips of heartbeats measured
 * @HK_LINK_STAT_RTT_NS_P50: half of these took no longer; right to an eighth
 * @HK_LINK_STAT_RTT_NS_P90: likewise, 90 %
 * @HK_LINK_STAT_RTT_NS_P99: likewise, 99 %
 * @HK_LINK_STAT_RTT_NS_P999: likewise, 99.9 %
 * @HK_LINK_STAT_RTT_NS_MAX: the longest one
 * @__HK_LINK_STAT_MAX: not one of them: their number with 0
 */
enum hk_link_stat {
	HK_LINK_STAT_NONE = 0,
	HK_LINK_STAT_QUEUED,
	HK_LINK_STAT_QUEUED_MAX,
	HK_LINK_STAT_RESENT,
	HK_LINK_STAT_RTT_NR,
	HK_LINK_STAT_RTT_NS_P50,
	HK_LINK_STAT_RTT_NS_P90,
	HK_LINK_STAT_RTT_NS_P99,
	HK_LINK_STAT_RTT_NS_P999,
	HK_LINK_STAT_RTT_NS_MAX,
	__HK_LINK_STAT_MAX
};

#define HK_LINK_STAT_MAX (__HK_LINK_STAT_MAX - 1)

#endif /* _UAPI_HYPERKERNEL_NETLINK_H */
