/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/lib/netlink.h - inside of libhk: one request to the kernel
 */
#ifndef HK_LIB_NETLINK_H
#define HK_LIB_NETLINK_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include "hk.h"

/**
 * struct hk_nl - a connection to the module
 * @sk: socket
 * @family: number of the generic netlink family
 * @version: its version
 * @err: why the last request failed
 */
struct hk_nl {
	struct nl_sock *sk;
	int family;
	int version;
	char err[HK_ERR_LEN];
};

typedef void (*hk_nl_fn)(struct nlattr **tb, void *arg);

/* NULL with nl->err set when memory is short */
struct nl_msg *hk_nl_new(struct hk_nl *nl, uint8_t cmd, int flags);
/* send, wait for the end; @fn for each message that comes; frees @msg */
int hk_nl_do(struct hk_nl *nl, struct nl_msg *msg, hk_nl_fn fn, void *arg);
int hk_nl_fail(struct hk_nl *nl, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int hk_nl_connect(struct nl_sock **sk, int *family, int *version, int *group);
extern struct nla_policy hk_nl_policy[HK_A_MAX + 1];

uint8_t hk_nla_u8(struct nlattr **tb, int attr);
uint16_t hk_nla_u16(struct nlattr **tb, int attr);
uint32_t hk_nla_u32(struct nlattr **tb, int attr);
uint64_t hk_nla_u64(struct nlattr **tb, int attr);
void hk_nla_str(struct nlattr **tb, int attr, char *buf, size_t len);

void hk_link_parse(struct nlattr **tb, struct hk_link_info *link);
void hk_path_parse(struct nlattr **tb, struct hk_path_info *path);
void hk_vm_parse(struct nlattr **tb, struct hk_vm_info *vm);
void hk_vcpu_parse(struct nlattr **tb, struct hk_vcpu_info *vcpu);

#endif /* HK_LIB_NETLINK_H */
