/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of netlink.c (requests, events) and netlink_dump.c (what is shown)
 */
#ifndef HK_KMOD_NETLINK_H
#define HK_KMOD_NETLINK_H

#include <linux/types.h>

struct genl_family;
struct genl_info;
struct hk_link_path;
struct hk_node;
struct hk_vm;
struct netlink_callback;
struct sk_buff;

extern struct genl_family hk_netlink_family;

/* Replies: one whole message put into @msg; 0 or -EMSGSIZE */
int hk_netlink_put_node(struct sk_buff *msg, struct genl_info *info,
			struct hk_node *node);
int hk_netlink_put_vm(struct sk_buff *msg, struct genl_info *info,
		      struct hk_vm *vm);
int hk_netlink_put_echo(struct sk_buff *msg, struct genl_info *info, u16 peer,
			const u64 *times, u32 count);

/* Events, likewise */
int hk_netlink_put_link_ntf(struct sk_buff *msg, struct hk_node *node,
			    u16 peer);
int hk_netlink_put_path_ntf(struct sk_buff *msg, u16 peer, u8 path,
			    const struct hk_link_path *info);
int hk_netlink_put_vm_ntf(struct sk_buff *msg, struct hk_vm *vm);
int hk_netlink_put_vcpu_ntf(struct sk_buff *msg, struct hk_vm *vm, u32 vcpu,
			    u16 to);

int hk_netlink_dump_nodes(struct sk_buff *skb, struct netlink_callback *cb);
int hk_netlink_dump_links(struct sk_buff *skb, struct netlink_callback *cb);
int hk_netlink_dump_paths(struct sk_buff *skb, struct netlink_callback *cb);
int hk_netlink_dump_vms(struct sk_buff *skb, struct netlink_callback *cb);
int hk_netlink_dump_vcpus(struct sk_buff *skb, struct netlink_callback *cb);
int hk_netlink_dump_stats(struct sk_buff *skb, struct netlink_callback *cb);

#endif /* HK_KMOD_NETLINK_H */
