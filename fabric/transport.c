// SPDX-License-Identifier: GPL-2.0
/*
 * The list of transports
 *
 * Global, as modules are: nodes of all namespaces find the same. TCP is always there
 * and in no list. A transport is found under the lock and its module is held before
 * the lock is let go, so hk_transport_unregister(), which a module calls when nobody
 * holds it any more, never waits for a link.
 */
#include "transport.h"

#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>

static DEFINE_MUTEX(transports_lock);	/* leaf but for the module loader's own */
static LIST_HEAD(transports);

static bool name_ok(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isascii(*c) || !isalnum(*c))
			return false;
	return c != name && c - name < HK_TRANSPORT_NAME_MAX;
}

static struct hk_transport *find(const char *name)
{
	struct hk_transport *transport;

	lockdep_assert_held(&transports_lock);
	list_for_each_entry(transport, &transports, list)
		if (!strcmp(transport->name, name))
			return transport;
	return NULL;
}

int hk_transport_register(struct hk_transport *transport)
{
	int err = 0;

	if (transport->api != HK_TRANSPORT_API || !name_ok(transport->name))
		return -EINVAL;
	mutex_lock(&transports_lock);
	if (find(transport->name) || !strcmp(transport->name, hk_tcp.name))
		err = -EEXIST;
	else
		list_add_tail(&transport->list, &transports);
	mutex_unlock(&transports_lock);
	return err;
}
EXPORT_SYMBOL_GPL(hk_transport_register);

void hk_transport_unregister(struct hk_transport *transport)
{
	mutex_lock(&transports_lock);
	list_del(&transport->list);
	mutex_unlock(&transports_lock);
}
EXPORT_SYMBOL_GPL(hk_transport_unregister);

static struct hk_transport *get(const char *name)
{
	struct hk_transport *transport;

	mutex_lock(&transports_lock);
	transport = find(name);
	if (transport && !try_module_get(transport->owner))
		transport = NULL;
	mutex_unlock(&transports_lock);
	return transport;
}

const struct hk_transport *hk_transport_get(const char *name)
{
	struct hk_transport *transport;

	/* Its links are ended by the exit of this very module: no reference */
	if (!strcmp(name, hk_tcp.name))
		return &hk_tcp;
	if (!name_ok(name))
		return NULL;
	transport = get(name);
	if (!transport && !request_module("hk-transport-%s", name))
		transport = get(name);
	return transport;
}

void hk_transport_put(const struct hk_transport *transport)
{
	if (transport && transport != &hk_tcp)
		module_put(transport->owner);
}
