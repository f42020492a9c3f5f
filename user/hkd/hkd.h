/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/hkd.h - the daemon's state: one node of one cluster
 */
#ifndef HKD_HKD_H
#define HKD_HKD_H

#include <stdbool.h>
#include <stdint.h>
#include "auth.h"
#include "log.h"
#include "stream.h"
#include "task.h"
#include "trust.h"
#include "../lib/hk.h"

#define CONNECT_MS	5000	/* to connect and to authenticate */
#define RPC_MS		10000	/* a member's daemon answers */
#define LINK_UP_MS	5000	/* a link is up after it was handed over */
#define REASON_MS	500	/* a link ends, where a daemon has hung up with a reason */
#define COORDINATOR	1	/* the node that lets others join */
#define ADDRESS_LEN	96

enum member_state {
	MEMBER_NONE = 0,	/* no such node */
	MEMBER_JOINING,		/* has an id, connections are being made */
	MEMBER_UP,
	MEMBER_DOWN,		/* may join again under its name */
};

/**
 * struct member - a node of the cluster, by its id in hkd.member[]
 * @state: state
 * @name: name
 * @address: where its daemon listens
 * @also: where else it does, by number of the path; the first entry is not used
 * @reason: why it is down
 * @serial: of its certificate, when it has connected
 * @ctl: control connection, NULL for the own node
 * @link: the module has a link to it
 * @rdma: its links may be carried by RDMA
 * @rdma_paths: their further paths, too
 * @renewing: it is going over to a new connection
 * @renewed_at: bytes it had carried, either way, at the last renewal
 * @path: where else its daemon is reached, by number; empty: this node makes no such path
 * @path_rdma: it is to be carried by RDMA
 * @path_next: when a path that is down is made again
 * @path_wait: how long after the last attempt that is, 0: it was up
 * @hurries: counts the times that a network came back
 * @path_base: bytes that a path had carried, either way, when it was made
 * @pathing: a path is being made, or the control connection
 * @lost_at: when the control connection broke while the link has other paths, 0: it did not
 */
struct member {
	enum member_state state;
	char name[HK_NAME_MAX];
	char address[ADDRESS_LEN];
	char also[HK_PATHS_MAX][ADDRESS_LEN];
	char reason[HK_REASON_LEN];
	char serial[SERIAL_LEN];
	struct stream *ctl;
	bool link;
	bool rdma;
	bool rdma_paths;
	bool renewing;
	uint64_t renewed_at;
	char path[HK_PATHS_MAX][ADDRESS_LEN];
	bool path_rdma[HK_PATHS_MAX];
	uint64_t path_next[HK_PATHS_MAX];
	uint32_t path_wait[HK_PATHS_MAX];
	uint32_t hurries;
	uint64_t path_base[HK_PATHS_MAX];
	bool pathing;
	uint64_t lost_at;
};

/**
 * struct hkd - everything the daemon knows, but VMs (vm.c)
 * @name: of this node
 * @self: id of this node, 0: in no cluster
 * @cluster: id
 * @cluster_name: for humans, may be empty
 * @epoch: membership generation
 * @address: where others reach this daemon; empty until it is known
 * @also: where else, one for each further --listen; as in struct member
 * @listen: each --listen
 * @nr_listen: how many there are; 0: any address
 * @port: of the first
 * @socket_path: --socket
 * @run_dir: its directory
 * @qemu: --qemu
 * @heartbeat_ms: --heartbeat-ms, or the coordinator's; 0: the module's default
 * @dead_ms: likewise
 * @renew_bytes: --renew-mib: what a link may carry with one set of keys
 * @ram_pages: what this node contributes
 * @rdma: --rdma: links of this node may be carried by RDMA
 * @rdma_paths: --rdma-paths: their further paths, too
 * @rdma_allowed: the cluster was created so that they may
 * @busy: what changes the membership now, NULL: nothing
 */
struct hkd {
	char name[HK_NAME_MAX];
	uint16_t self;
	uint8_t cluster[HK_CLUSTER_ID_LEN];
	char cluster_name[HK_NAME_MAX];
	uint32_t epoch;
	char address[ADDRESS_LEN];
	char also[HK_PATHS_MAX][ADDRESS_LEN];
	const char *listen[HK_PATHS_MAX];
	unsigned int nr_listen;
	uint16_t port;
	const char *socket_path;
	char run_dir[256];
	const char *qemu;
	uint32_t heartbeat_ms;
	uint32_t dead_ms;
	uint64_t renew_bytes;
	uint64_t ram_pages;
	bool rdma;
	bool rdma_paths;
	bool rdma_allowed;
	const char *busy;
	struct hk_nl *nl;
	struct member member[HK_NODES_MAX];
};

extern struct hkd hkd;

void self_identity(struct identity *id);

/* a step of a long command, for the user who waits; @progress may be NULL */
void progress(struct stream *progress, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * cluster.c: membership, as this node drives it. Commands return a reply or
 * NULL with @err.
 */
struct json_object *cluster_create(struct json_object *req, char *err);
struct json_object *cluster_join(struct json_object *req, struct stream *out,
				 char *err);
struct json_object *cluster_leave(char *err);
struct json_object *cluster_show(void);
/* "tls 1.3 aes-256-gcm" or "plain" */
const char *cluster_encryption(void);
void member_up(uint16_t id);
void member_down(uint16_t id, const char *why);
/* @why: what both ends of its link say, if it has one */
void member_forget(uint16_t id, const char *why);
/*
 * "also", "rdma" and "rdma-paths" of an object that tells of a member: what can be reached
 * there, and how; written into @m, or -1 with @err
 */
int member_ways_read(struct member *m, struct json_object *obj, char *err);
void member_ways_write(struct json_object *obj, const struct member *m);
/* a name or number of a member; 0 with @err */
uint16_t member_find(const char *text, char *err);
int membership_lock(const char *what, uint64_t deadline, char *err);
void membership_unlock(void);
/* forget the cluster, in the module too */
int cluster_forget(char *err);

/* coordinator.c: lets nodes join; runs in the task of the connection */
void coordinator_join(struct stream *s, const struct identity *peer);
/* on the other members */
int coordinator_request(uint16_t from, const char *cmd,
			struct json_object *req, char *err);

/*
 * peer.c: connections between daemons
 */
void peer_incoming(void *fd_as_pointer);
/* connect to a member for one purpose; its certificate is the right one */
struct stream *peer_open(uint16_t id, enum purpose purpose, char *err);
/* the same at another address than where it says that it listens */
struct stream *peer_open_at(uint16_t id, const char *address, enum purpose purpose,
			    char *err);
/* connect, prove, hand over; both connections to one member */
int peer_connect(uint16_t id, char *err);
/* the control connection alone, by another address */
int peer_control(uint16_t id, const char *address, char *err);
/*
 * Ask a member's daemon. Consumes @req. 0, or -1 with @err: the text of the
 * refusal, or of why there was no answer. @reply may be NULL.
 */
int peer_call(uint16_t id, struct json_object *req,
	      struct json_object **reply, uint64_t timeout_ms, char *err);
/* no answer is expected */
void peer_tell(uint16_t id, struct json_object *req);
void peer_hang_up(uint16_t id);

/*
 * renew.c: new keys for links
 */
/* @asked: by the other node; it is not asked in turn */
int renew_link(uint16_t id, bool asked, char *err);
/* the other end's connection has come; frees @s */
int renew_accepted(uint16_t id, struct stream *s, char *err);
/* as a task: sees to it that no link carries too much with one set of keys */
void renew_watch(void *unused);
struct json_object *renew_command(struct json_object *req, char *err);

/*
 * path.c: further connections of links
 */
/*
 * the module gets @s as path @path of the link, or, -1, as the connection that its one path
 * goes over to; waits while a former one is just going; frees @s
 */
int hand_over(uint16_t id, int path, bool rdma, struct stream *s, char *err);
/* the other end's connection has come; frees @s */
int path_accepted(uint16_t id, uint8_t path, bool rdma, struct stream *s, char *err);
/* is RDMA to carry a path, where nobody has said otherwise; both ends come to the same */
bool path_rdma(uint16_t id, uint8_t path);
/* the module could do without the network that a connection went by */
bool path_several(uint16_t id);
/* this node is to make paths to where else the member listens, as many as both do */
void path_expect(uint16_t id);
/* new keys for all paths of a link, where this node makes them; 1: it does not */
int path_renew(uint16_t id, char *err);
/* the control connection broke: it may come back by another path */
void path_control_lost(uint16_t id, const char *why);
/* as a task: makes those again that went down */
void path_watch(void *unused);
/* a network of this host is back: paths are tried again at once, by whoever makes them */
void path_network(void);
/* a member says so of its host */
struct json_object *path_network_request(uint16_t from);
struct json_object *path_add_command(struct json_object *req, char *err);
struct json_object *path_del_command(struct json_object *req, char *err);

/* net.c: listen to what the kernel says of networks; then, as a task, watch them */
int net_open(char *err);
void net_watch(void *unused);

/* control.c: commands of hkctl */
int control_listen(const char *path, char *err);
void control_accept(void *fd_as_pointer);

#endif /* HKD_HKD_H */
