// SPDX-License-Identifier: GPL-2.0
/*
 * Module entry: each layer is brought up on those below it, and taken down in
 * the opposite order
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "kvm_hooks.h"
#include "node.h"
#include "vm.h"

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <net/genetlink.h>

static int __init hk_init(void)
{
	int err;

	err = hk_dev_init();
	if (err)
		return err;
	err = hk_hooks_init();
	if (err)
		goto err_dev;
	err = hk_node_init();
	if (err)
		goto err_hooks;
	err = hk_netlink_init();
	if (err)
		goto err_node;
	pr_info("version %s loaded\n", THIS_MODULE->version);
	return 0;

err_node:
	hk_node_exit();
err_hooks:
	hk_hooks_exit();
err_dev:
	hk_dev_exit();
	rcu_barrier();
	return err;
}

static void __exit hk_exit(void)
{
	/*
	 * No device file is open, as they hold the module: no guest runs. VMs go
	 * with their nodes and still take their keys out of the hooks.
	 */
	hk_netlink_exit();
	hk_node_exit();
	hk_hooks_exit();
	hk_dev_exit();
	rcu_barrier();
}

module_init(hk_init);
module_exit(hk_exit);

MODULE_DESCRIPTION("One KVM guest on many hosts");
MODULE_AUTHOR("The hyperkernel authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
MODULE_ALIAS_GENL_FAMILY(HK_GENL_NAME);
MODULE_SOFTDEP("pre: kvm");
