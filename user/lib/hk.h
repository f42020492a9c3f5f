/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/lib/hk.h - libhk: what hkd and hkctl share: the netlink client, one
 * group of calls a noun, and the parsing of sizes and names.
 *
 * Calls return 0 or a negative errno; the text for humans is hk_nl_error().
 */
#ifndef HK_LIB_HK_H
#define HK_LIB_HK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/types.h>
#include "hyperkernel_netlink.h"

#define HK_NODES_MAX		64	/* ids are 1 to 63 */
#define HK_PAGE_SIZE		4096ULL
#define HK_DEFAULT_PORT		7117
#define HK_DEFAULT_SOCKET	"/run/hyperkernel/hkd.sock"
#define HK_LINE_MAX		65536	/* one JSON message, with its newline */
#define HK_ERR_LEN		512
#define HK_DEVICE_LEN		128

struct hk_nl;

int hk_nl_open(struct hk_nl **nl);
void hk_nl_close(struct hk_nl *nl);
/* why the last call failed; @nl may be NULL after hk_nl_open() failed */
const char *hk_nl_error(const struct hk_nl *nl);
/* version of the kernel's family */
int hk_nl_version(const struct hk_nl *nl);

/*
 * Nodes
 */
struct hk_node_info {
	uint16_t id;
	bool self;
	char name[HK_NAME_MAX];
	bool has_cluster;
	uint8_t cluster[HK_CLUSTER_ID_LEN];
	uint32_t epoch;
	uint64_t budget_pages;
	uint64_t used_pages;
	uint32_t heartbeat_ms;
	uint32_t dead_ms;
	uint8_t link_state;
	char reason[HK_REASON_LEN];
	/* of the own node */
	char module[HK_NAME_MAX];	/* version of the module */
	uint32_t wire;			/* of its messages */
	uint32_t features;
};

/* zero heartbeat_ms and dead_ms mean the module's defaults */
struct hk_node_cfg {
	uint16_t id;
	const char *name;
	uint8_t cluster[HK_CLUSTER_ID_LEN];
	uint32_t epoch;
	uint64_t budget_pages;
	uint32_t heartbeat_ms;
	uint32_t dead_ms;
};

typedef void (*hk_node_fn)(const struct hk_node_info *node, void *arg);
int hk_node_self(struct hk_nl *nl, struct hk_node_info *node);
int hk_node_dump(struct hk_nl *nl, hk_node_fn fn, void *arg);
int hk_node_set(struct hk_nl *nl, const struct hk_node_cfg *cfg);
int hk_node_reset(struct hk_nl *nl);
/* name or number; fails with -ENOENT and a text */
int hk_node_find(struct hk_nl *nl, const char *text, uint16_t *id);

/*
 * Links
 */
#define HK_MSG_TYPES_MAX	64

/* messages of one type since the link was made */
struct hk_link_type {
	char name[24];
	uint64_t tx, rx;
};

struct hk_link_info {
	uint16_t peer;
	char name[HK_NAME_MAX];
	uint8_t state;
	char transport[16];
	char reason[HK_REASON_LEN];
	char encryption[HK_NAME_MAX];
	uint64_t rtt_ns;
	uint64_t tx_msgs, tx_bytes;
	uint64_t rx_msgs, rx_bytes;
	uint64_t rx_stale;
	uint32_t renewals;
	bool has_tsc;
	int64_t tsc_offset;
	uint64_t tsc_error;
	bool has[HK_LINK_STAT_MAX + 1];
	uint64_t value[HK_LINK_STAT_MAX + 1];
	unsigned int types;
	struct hk_link_type type[HK_MSG_TYPES_MAX];
};

typedef void (*hk_link_fn)(const struct hk_link_info *link, void *arg);
int hk_link_dump(struct hk_nl *nl, hk_link_fn fn, void *arg);
/* @transport: "tcp", "rdma" */
int hk_link_add(struct hk_nl *nl, uint16_t peer, const char *name, int fd,
		const char *transport);
/* @reason: what both ends say of it; -ENOENT: none, or it ended by itself */
int hk_link_del(struct hk_nl *nl, uint16_t peer, const char *reason);
/* go over to another connection; -EBUSY while it does so already */
int hk_link_renew(struct hk_nl *nl, uint16_t peer, int fd);
/*
 * Round trips; @times has room for @count, which is set to the number that came
 */
int hk_link_echo(struct hk_nl *nl, uint16_t peer, uint32_t *count,
		 uint32_t len, bool page, uint64_t *times);
const char *hk_link_state_name(uint8_t state);
/* "rtt-ns-p99"; NULL for a number without a name */
const char *hk_link_stat_name(unsigned int stat);

/*
 * Paths: the connections of a link
 */
#define HK_PATHS_MAX	4	/* ids are 0 to 3 */
#define HK_ENDPOINT_LEN	64	/* address:port, for humans */

struct hk_path_info {
	uint16_t peer;
	char name[HK_NAME_MAX];
	uint8_t path;
	uint8_t state;
	char reason[HK_REASON_LEN];
	char transport[16];
	char local[HK_ENDPOINT_LEN];
	char remote[HK_ENDPOINT_LEN];
	uint64_t rtt_ns;
	uint64_t tx_bytes, rx_bytes;
	uint64_t retransmits, duplicates;
	uint32_t failovers;
};

typedef void (*hk_path_fn)(const struct hk_path_info *path, void *arg);
int hk_path_dump(struct hk_nl *nl, hk_path_fn fn, void *arg);
/* the link to @peer gets the connected socket @fd as its path @path, carried by @transport */
int hk_path_add(struct hk_nl *nl, uint16_t peer, uint8_t path, int fd,
		const char *transport);
int hk_path_del(struct hk_nl *nl, uint16_t peer, uint8_t path);
const char *hk_path_state_name(uint8_t state);

/*
 * VMs
 */
struct hk_vm_info {
	uint32_t id;
	char name[HK_NAME_MAX];
	uint8_t state;
	char reason[HK_REASON_LEN];
	uint64_t ram_pages;
	uint16_t origin;
	uint32_t nr_members;
	struct hk_member member[HK_NODES_MAX];
	uint32_t nr_vcpus;
	uint16_t place[HK_VCPUS_MAX];
	char device[HK_DEVICE_LEN];
};

typedef void (*hk_vm_fn)(const struct hk_vm_info *vm, void *arg);
int hk_vm_dump(struct hk_nl *nl, hk_vm_fn fn, void *arg);
int hk_vm_get(struct hk_nl *nl, uint32_t id, struct hk_vm_info *vm);
int hk_vm_add(struct hk_nl *nl, const struct hk_vm_info *vm);
int hk_vm_del(struct hk_nl *nl, uint32_t id);
int hk_vm_kill(struct hk_nl *nl, uint32_t id, const char *reason);
int hk_vm_find(struct hk_nl *nl, const char *text, struct hk_vm_info *vm);
const char *hk_vm_state_name(uint8_t state);

/*
 * vCPUs
 */
struct hk_vcpu_info {
	uint32_t vm;
	uint32_t vcpu;
	uint8_t state;
	uint16_t node;
	uint64_t moves;
};

typedef void (*hk_vcpu_fn)(const struct hk_vcpu_info *vcpu, void *arg);
/* @vm 0: of all VMs */
int hk_vcpu_dump(struct hk_nl *nl, uint32_t vm, hk_vcpu_fn fn, void *arg);
int hk_vcpu_move(struct hk_nl *nl, uint32_t vm, uint32_t vcpu, uint16_t node);
const char *hk_vcpu_state_name(uint8_t state);

/*
 * Counters
 */
struct hk_stats_info {
	uint32_t vm;
	char name[HK_NAME_MAX];
	bool has[HK_STAT_MAX + 1];
	uint64_t value[HK_STAT_MAX + 1];
};

typedef void (*hk_stats_fn)(const struct hk_stats_info *stats, void *arg);
int hk_stats_dump(struct hk_nl *nl, uint32_t vm, hk_stats_fn fn, void *arg);
/* "fault-rd"; NULL for a number without a name */
const char *hk_stat_name(unsigned int stat);

/*
 * Multicast events
 */
struct hk_event {
	enum hk_cmd kind;	/* HK_CMD_{LINK,PATH,VM,VCPU}_NTF */
	struct hk_link_info link;
	struct hk_path_info path;
	struct hk_vm_info vm;
	struct hk_vcpu_info vcpu;
};

struct hk_events;
typedef void (*hk_event_fn)(const struct hk_event *event, void *arg);
int hk_events_open(struct hk_events **ev, hk_event_fn fn, void *arg);
void hk_events_close(struct hk_events *ev);
int hk_events_fd(const struct hk_events *ev);
/*
 * Read what is there; -ENOBUFS: events were lost, look at the state anew. With
 * a blocking socket waits for the first.
 */
int hk_events_read(struct hk_events *ev);
int hk_events_nonblock(struct hk_events *ev);

/*
 * Parsing
 */
/* "704M", "1G", "4096": 0, -EINVAL, -ERANGE */
int hk_parse_size(const char *text, uint64_t *bytes);
/* decimal or 0x; the whole text; -EINVAL, -ERANGE */
int hk_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *val);
/* letters, digits, '-', '_', '.'; not a bare number; 1 to 31 characters */
bool hk_name_ok(const char *name);
void hk_hex(char *out, const uint8_t *in, size_t len);
int hk_unhex(uint8_t *out, size_t len, const char *in);
/* "1.0 GiB" */
const char *hk_human_size(uint64_t bytes, char *buf, size_t len);

#endif /* HK_LIB_HK_H */
