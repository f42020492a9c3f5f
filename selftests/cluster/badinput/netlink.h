/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: requests */

/* What an attribute may be */
struct kind {
	uint16_t type;
	const char *name;	/* in "NAME is missing" */
	char what;		/* 'u' integer, 's' string, 'b' binary, 'f' flag */
	int64_t low;		/* smallest value or size, 0: no bound */
	int64_t high;		/* largest, 0: no bound */
};

static const struct kind kinds[] = {
	{ HK_A_NODE_ID, "node-id", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_NODE_NAME, "node-name", 's', 0, HK_NAME_MAX },
	{ HK_A_CLUSTER_ID, "cluster-id", 'b', HK_CLUSTER_ID_LEN, HK_CLUSTER_ID_LEN },
	{ HK_A_EPOCH, "epoch", 'u', 1, 0 },
	{ HK_A_BUDGET_PAGES, "budget-pages", 'u', 0, 0 },
	{ HK_A_HEARTBEAT_MS, NULL, 'u', 10, 10000 },
	{ HK_A_DEAD_MS, NULL, 'u', 100, 0 },
	{ HK_A_PEER_ID, "peer-id", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_PEER_NAME, "peer-name", 's', 0, HK_NAME_MAX },
	{ HK_A_FD, "fd", 'u', 0, 0x7fffffff },
	{ HK_A_REASON, "reason", 's', 0, HK_REASON_LEN },
	{ HK_A_VM_ID, "vm-id", 'u', 1, 0 },
	{ HK_A_VM_NAME, "vm-name", 's', 0, HK_NAME_MAX },
	{ HK_A_RAM_PAGES, "ram-pages", 'u', 0, 0 },
	{ HK_A_ORIGIN, "origin", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_MEMBERS, "members", 'b', 8, 8 * HK_MAX_NODES },
	{ HK_A_VCPU_PLACE, "vcpu-place", 'b', 2, 2 * HK_VCPUS_MAX },
	{ HK_A_VCPU, "vcpu", 'u', 0, HK_VCPUS_MAX - 1 },
	{ HK_A_COUNT, "count", 'u', 1, 4096 },
	{ HK_A_LEN, "len", 'u', 16, 0 },
	{ HK_A_REPLY_PAGE, NULL, 'f', 0, 0 },
	{ HK_A_PATH_ID, "path-id", 'u', 0, HK_PATH_MAX - 1 },
};

static const struct hk_member member_one = { 1, 0, 1 };
static const uint16_t place_one[2] = { 1, 1 };

/* Requests that are right as far as their attributes go */
#define AT_MAX	8
static const struct request {
	const char *name;
	int cmd;
	bool admin;
	bool dump;	/* dumps only */
	struct at at[AT_MAX];
} requests[] = {
	{ "NODE_GET", HK_CMD_NODE_GET, false, false, {} },
	{ "NODE_SET", HK_CMD_NODE_SET, true, false, {
		U16(NODE_ID, 1), STR(NODE_NAME, "one"), BIN(CLUSTER_ID, cluster, 16),
		U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(HEARTBEAT_MS, 100),
		U32(DEAD_MS, DEAD_MS) } },
	{ "NODE_RESET", HK_CMD_NODE_RESET, true, false, {} },
	{ "LINK_ADD", HK_CMD_LINK_ADD, true, false, {
		U16(PEER_ID, 2), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "LINK_RENEW", HK_CMD_LINK_RENEW, true, false, {
		U16(PEER_ID, 2), U32(FD, 0) } },
	{ "LINK_DEL", HK_CMD_LINK_DEL, true, false, { U16(PEER_ID, 2) } },
	{ "LINK_GET", HK_CMD_LINK_GET, false, true, {} },
	{ "VM_ADD", HK_CMD_VM_ADD, true, false, {
		U32(VM_ID, 1), STR(VM_NAME, "v"), U64(RAM_PAGES, 64), U16(ORIGIN, 1),
		BIN(MEMBERS, &member_one, 8), BIN(VCPU_PLACE, place_one, 4) } },
	{ "VM_DEL", HK_CMD_VM_DEL, true, false, { U32(VM_ID, 1) } },
	{ "VM_KILL", HK_CMD_VM_KILL, true, false, { U32(VM_ID, 1), STR(REASON, "r") } },
	{ "VM_GET", HK_CMD_VM_GET, false, false, { U32(VM_ID, 1) } },
	{ "VCPU_GET", HK_CMD_VCPU_GET, false, true, { U32(VM_ID, 1) } },
	{ "VCPU_MOVE", HK_CMD_VCPU_MOVE, true, false, {
		U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 1) } },
	{ "STATS_GET", HK_CMD_STATS_GET, false, true, { U32(VM_ID, 1) } },
	{ "LINK_ECHO", HK_CMD_LINK_ECHO, true, false, {
		U16(PEER_ID, 2), U32(COUNT, 1), U32(LEN, 64), FLAG(REPLY_PAGE) } },
	{ "PATH_ADD", HK_CMD_PATH_ADD, true, false, {
		U16(PEER_ID, 2), U8(PATH_ID, 1), U32(FD, 0) } },
	{ "PATH_DEL", HK_CMD_PATH_DEL, true, false, {
		U16(PEER_ID, 2), U8(PATH_ID, 1) } },
	{ "PATH_GET", HK_CMD_PATH_GET, false, true, {} },
};

static const struct kind *kind_of(int type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

static void expect(const struct answer *an, const char *name, int err, const char *text)
{
	check(an->err == err && (!text || strstr(an->text, text)), name,
	      "expected %s \"%s\", got %s \"%s\"", strerrorname_np(err) ?: "0",
	      text ?: "", an->err > 0 ? strerrorname_np(an->err) : an->err ? "?" : "0",
	      an->text);
}

/* A request with one attribute replaced by @a, left out with NULL, or one more */
static void try_attr(const struct request *r, int replace, const struct at *a, int tail,
		     const char *what, int err, const char *text)
{
	struct at at[AT_MAX + 1];
	struct answer an;
	char name[96];

	memcpy(at, r->at, sizeof(r->at));
	at[AT_MAX] = (struct at){};
	if (replace < 0)
		replace = AT_MAX;
	at[replace] = a ? *a : (struct at){};
	an = nl_do(ctl_fd, nl_family, r->cmd, r->dump ? NLM_F_DUMP : NLM_F_ACK, at,
		   AT_MAX + 1, tail, NULL, NULL);
	snprintf(name, sizeof(name), "%s %s", r->name, what);
	expect(&an, name, err, text);
}

static void try_kind(const struct request *r, int i, const struct kind *k)
{
	static const char policy[] = "ailed policy validation";
	static const char range[] = "integer out of range";
	static char big[1024];
	struct at a = r->at[i];
	int len = a.len;
	char what[64];

#define TRY(_what, _err, _text) do {					\
	snprintf(what, sizeof(what), "attribute %d %s", a.type, _what);	\
	try_attr(r, i, &a, 0, what, _err, _text); } while (0)

	switch (k->what) {
	case 'u':
		a.len = len - 1;
		TRY("too short", EINVAL, "invalid attribute length");
		a.len = len + 1;
		a.p = big;
		TRY("too long", EINVAL, "invalid attribute length");
		a.len = 0;
		TRY("empty", EINVAL, "invalid attribute length");
		a = r->at[i];
		if (k->low) {
			a.v = k->low - 1;
			TRY("too small", ERANGE, range);
		}
		if (k->high) {
			a.v = k->high + 1;
			TRY("too large", ERANGE, range);
			a.v = ~0ull;
			TRY("all ones", ERANGE, range);
		}
		break;
	case 's':
		memset(big, 'x', sizeof(big));
		a.p = big;
		a.len = k->high + 1;
		big[k->high] = 0;
		TRY("one too long", EINVAL, policy);
		memset(big, 'x', sizeof(big));
		a.len = 4;
		TRY("without end", EINVAL, policy);
		a.len = 0;
		TRY("empty", EINVAL, policy);
		memset(big, 0, sizeof(big));
		break;
	case 'b':
		a.p = big;
		a.len = k->low - 1;
		TRY("too short", ERANGE, "binary attribute size out of range");
		a.len = k->high + 1;
		TRY("too long", ERANGE, "binary attribute size out of range");
		break;
	case 'f':
		a.p = big;
		a.len = 1;
		TRY("with a value", ERANGE, policy);
		break;
	}
#undef TRY
}

static void netlink_attrs(void)
{
	static const struct at past = { HK_A_MAX + 1, 4, 1, NULL };
	static const struct at none = { 0, 4, 1, NULL };
	/* known, but not to any request */
	static const struct at other = { HK_A_RX_UNKNOWN, 8, 1, NULL };
	static const struct at inside = { HK_A_USED_PAGES, 8, 1, NULL };
	const struct request *r;
	const struct kind *k;
	char text[64];
	int i;

	for (r = requests; r < requests + ARRAY_SIZE(requests); r++) {
		/* missing */
		for (i = 0; i < AT_MAX && r->at[i].type; i++) {
			k = kind_of(r->at[i].type);
			if (!k->name || r->dump)
				continue;
			snprintf(text, sizeof(text), "%s is missing", k->name);
			try_attr(r, i, NULL, 0, text, EINVAL, text);
		}
		for (i = 0; i < AT_MAX && r->at[i].type; i++)
			try_kind(r, i, kind_of(r->at[i].type));
		snprintf(text, sizeof(text), "bad attributes of %s", r->name);
		try_attr(r, -1, &past, 0, "unknown attribute", EINVAL,
			 "Unknown attribute type");
		try_attr(r, -1, &none, 0, "attribute 0", EINVAL,
			 "Unknown attribute type");
		try_attr(r, -1, &other, 0, "attribute of others", EINVAL, "attribute");
		try_attr(r, -1, &inside, 0, "attribute out of place", EINVAL,
			 "attribute");
		try_attr(r, -1, NULL, 3, "left over bytes", EINVAL, "leftover");
		group(text);
	}
}

static void netlink_verbs(void)
{
	struct answer an;
	size_t i;
	int cmd;

	for (i = 0; i < 5; i++) {
		static const int none[] = { 0, HK_CMD_LINK_NTF, HK_CMD_VCPU_NTF,
					    HK_CMD_MAX + 1, 255 };

		cmd = none[i];
		an = ask(cmd, NULL, 0);
		expect(&an, "command that is none", EOPNOTSUPP, NULL);
	}
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *r = &requests[i];

		/* all GETs have a dump, and three of them nothing else */
		if (r->admin) {
			an = nl_do(ctl_fd, nl_family, r->cmd, NLM_F_DUMP, NULL, 0, 0, NULL,
				   NULL);
			expect(&an, r->name, EOPNOTSUPP, NULL);
		} else if (r->dump) {
			an = ask(r->cmd, NULL, 0);
			expect(&an, r->name, EOPNOTSUPP, NULL);
		}
	}
	group("commands that do not exist, dumps that do not");
}

/* Every request that changes something, as a process of less privilege */
static void try_denied(int fd, const char *who, const char *text)
{
	struct answer an;
	char name[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *r = &requests[i];

		if (!r->admin)
			continue;
		an = nl_do(fd, nl_family, r->cmd, NLM_F_ACK, r->at, AT_MAX, 0, NULL, NULL);
		snprintf(name, sizeof(name), "%s as %s", r->name, who);
		expect(&an, name, EPERM, text);
	}
}

static void drop_sys_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2];

	if (syscall(SYS_capget, &h, c))
		die("capget");
	c[0].effective &= ~(1u << CAP_SYS_ADMIN);
	c[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &h, c))
		die("capset");
}

static void as_nobody(void)
{
	static const char denied[] = "";
	struct answer an;
	int fd = nl_open();

	if (setgid(65534) || setuid(65534))
		die("setuid");
	try_denied(fd, "nobody with root's socket", denied);
	close(fd);
	fd = nl_open();
	try_denied(fd, "nobody", denied);
	/* looking is for everybody */
	an = nl_do(fd, nl_family, HK_CMD_NODE_GET, NLM_F_ACK, NULL, 0, 0, NULL, NULL);
	expect(&an, "NODE_GET as nobody", 0, NULL);
	an = nl_do(fd, nl_family, HK_CMD_VM_GET, NLM_F_ACK, requests[9].at, 1, 0, NULL,
		   NULL);
	expect(&an, "VM_GET as nobody", ENOENT, "there is no VM with this vm-id");
}

static void as_less(void)
{
	int fd;

	drop_sys_admin();
	fd = nl_open();
	try_denied(fd, "root without CAP_SYS_ADMIN", "needs CAP_SYS_ADMIN");
}

static void as_container(void)
{
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		printf("# user namespaces: %s: not tested\n", strerror(errno));
		return;
	}
	fd = nl_open();
	try_denied(fd, "root of a user namespace", "needs CAP_SYS_ADMIN");
}

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn();
		fflush(stdout);
		_exit(group_bad > 99 ? 99 : group_bad);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		check(false, "child", "ended by a signal");
	else
		check(!WEXITSTATUS(status), "child", "%d cases", WEXITSTATUS(status));
}

struct state_case {
	const char *name;
	int cmd;
	int err;
	const char *text;
	struct at at[AT_MAX];
};

static void try_states(const struct state_case *c, size_t nr)
{
	struct answer an;
	size_t i;

	for (i = 0; i < nr; i++) {
		an = ask(c[i].cmd, c[i].at, AT_MAX);
		expect(&an, c[i].name, c[i].err, c[i].text);
	}
}

#define VM_AT(id, name, pages, origin, members, mlen, place, plen)		\
	{ U32(VM_ID, id), STR(VM_NAME, name), U64(RAM_PAGES, pages),		\
	  U16(ORIGIN, origin), BIN(MEMBERS, members, mlen),			\
	  BIN(VCPU_PLACE, place, plen) }

static const struct hk_member members_bad[][2] = {
	{ { 0, 0, 1 }, { 1, 0, 1 } }, { { 64, 0, 1 }, { 1, 0, 1 } },
	{ { 1, 7, 1 } }, { { 1, 0, 0 } }, { { 1, 0, 1 }, { 1, 0, 1 } },
	{ { 5, 0, 1 } }, { { 1, 0, 1 }, { 5, 0, 1 } },
};
static const uint16_t place_bad[2] = { 1, 9 }, place_zero[2] = { 1, 0 },
	place_huge[2] = { 1, 0xffff };

/* Before the node has an identity */
static const struct state_case states_none[] = {
	{ "LINK_ADD without identity", HK_CMD_LINK_ADD, EINVAL, "no identity yet",
	  { U16(PEER_ID, 2), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "VM_ADD without identity", HK_CMD_VM_ADD, EINVAL, "no identity yet",
	  VM_AT(1, "v", 64, 1, &member_one, 8, place_one, 4) },
	{ "NODE_SET budget alone", HK_CMD_NODE_SET, EINVAL, "node-id is missing",
	  { U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name with a slash", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a/b"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name of nothing", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, ""), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name ..", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, ".."), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET dead-ms too large", HK_CMD_NODE_SET, ERANGE, "60001 is above 60000",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(DEAD_MS, 60001) } },
	{ "NODE_SET dead-ms not above heartbeat-ms", HK_CMD_NODE_SET, EINVAL,
	  "500 is not above heartbeat-ms 500",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(HEARTBEAT_MS, 500),
	    U32(DEAD_MS, 500) } },
};

/* Node 1 with a link to node 2 and VM 1 */
static const struct state_case states_full[] = {
	{ "NODE_SET with a VM", HK_CMD_NODE_SET, EBUSY, "identity is fixed",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET of a smaller budget", HK_CMD_NODE_SET, EBUSY, "less than 2048",
	  { U64(BUDGET_PAGES, 2047) } },
	{ "LINK_ADD to itself", HK_CMD_LINK_ADD, EINVAL, "node 1 cannot be a peer",
	  { U16(PEER_ID, 1), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "LINK_ADD name with a space", HK_CMD_LINK_ADD, EINVAL, "a name has letters",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a b"), U32(FD, 0) } },
	{ "LINK_ADD of no descriptor", HK_CMD_LINK_ADD, EBADF, "is not a socket",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, 999) } },
	{ "LINK_ADD of standard output", HK_CMD_LINK_ADD, ENOTSOCK, "is not a socket",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, 1) } },
	{ "PATH_ADD to none", HK_CMD_PATH_ADD, ENOENT, "no link to node 3",
	  { U16(PEER_ID, 3), U8(PATH_ID, 1), U32(FD, 0) } },
	{ "PATH_ADD of no descriptor", HK_CMD_PATH_ADD, EBADF, "is not a socket",
	  { U16(PEER_ID, 2), U8(PATH_ID, 1), U32(FD, 999) } },
	{ "PATH_ADD by what there is not", HK_CMD_PATH_ADD, EPROTONOSUPPORT,
	  "no transport nosuch: is hyperkernel-nosuch.ko loaded?",
	  { U16(PEER_ID, 2), U8(PATH_ID, 1), U32(FD, 0), STR(TRANSPORT, "nosuch") } },
	{ "PATH_DEL of none", HK_CMD_PATH_DEL, ENOENT, "has no path 1",
	  { U16(PEER_ID, 2), U8(PATH_ID, 1) } },
	{ "PATH_DEL of the only one", HK_CMD_PATH_DEL, EBUSY, "no other path",
	  { U16(PEER_ID, 2), U8(PATH_ID, 0) } },
	{ "PATH_DEL to none", HK_CMD_PATH_DEL, ENOENT, "no link to node 3",
	  { U16(PEER_ID, 3), U8(PATH_ID, 0) } },
	{ "LINK_DEL of none", HK_CMD_LINK_DEL, ENOENT, "no link to node 3",
	  { U16(PEER_ID, 3) } },
	{ "LINK_ECHO to none", HK_CMD_LINK_ECHO, ENOTCONN, "no link to node 3",
	  { U16(PEER_ID, 3), U32(COUNT, 1), U32(LEN, 64) } },
	{ "LINK_ECHO too long", HK_CMD_LINK_ECHO, ERANGE, "32769 is above 32768",
	  { U16(PEER_ID, 2), U32(COUNT, 1), U32(LEN, 32769) } },
	{ "VM_ADD id taken", HK_CMD_VM_ADD, EEXIST, "VM 1 exists",
	  VM_AT(1, "w", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD name taken", HK_CMD_VM_ADD, EEXIST, "VM 1 has the name v",
	  VM_AT(2, "v", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD name with a slash", HK_CMD_VM_ADD, EINVAL, "a name has letters",
	  VM_AT(2, "../x", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD without RAM", HK_CMD_VM_ADD, EINVAL, "0 pages of RAM",
	  VM_AT(2, "w", 0, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with too much RAM", HK_CMD_VM_ADD, EINVAL, "must be 1 to 2^36",
	  VM_AT(2, "w", (1ull << 36) + 1, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with all the RAM", HK_CMD_VM_ADD, EINVAL, "must be 1 to 2^36",
	  VM_AT(2, "w", ~0ull, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with a member and a half", HK_CMD_VM_ADD, EINVAL,
	  "12 bytes are not whole", VM_AT(2, "w", 64, 1, members_bad, 12, place_one, 4) },
	{ "VM_ADD with a place and a half", HK_CMD_VM_ADD, EINVAL, "3 bytes are not whole",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_one, 3) },
	{ "VM_ADD with member 0", HK_CMD_VM_ADD, EINVAL, "0 is not a node id",
	  VM_AT(2, "w", 64, 1, members_bad[0], 16, place_one, 4) },
	{ "VM_ADD with member 64", HK_CMD_VM_ADD, EINVAL, "64 is not a node id",
	  VM_AT(2, "w", 64, 1, members_bad[1], 16, place_one, 4) },
	{ "VM_ADD with a reserved field", HK_CMD_VM_ADD, EINVAL, "reserved field of member 1",
	  VM_AT(2, "w", 64, 1, members_bad[2], 8, place_one, 4) },
	{ "VM_ADD with weight 0", HK_CMD_VM_ADD, EINVAL, "weight of node 1 is 0",
	  VM_AT(2, "w", 64, 1, members_bad[3], 8, place_one, 4) },
	{ "VM_ADD with a member twice", HK_CMD_VM_ADD, EINVAL, "node 1 is a member twice",
	  VM_AT(2, "w", 64, 1, members_bad[4], 16, place_one, 4) },
	{ "VM_ADD without this node", HK_CMD_VM_ADD, EINVAL, "this node (1) is not a member",
	  VM_AT(2, "w", 64, 5, members_bad[5], 8, place_one, 4) },
	{ "VM_ADD with a stranger", HK_CMD_VM_ADD, ENOTCONN, "no link to node 5",
	  VM_AT(2, "w", 64, 1, members_bad[6], 16, place_one, 4) },
	{ "VM_ADD of a foreign origin", HK_CMD_VM_ADD, EINVAL, "origin, node 2, is not a member",
	  VM_AT(2, "w", 64, 2, &member_one, 8, place_one, 4) },
	{ "VM_ADD with a place outside", HK_CMD_VM_ADD, EINVAL,
	  "vCPU 1: node 9 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_bad, 4) },
	{ "VM_ADD with place 0", HK_CMD_VM_ADD, EINVAL, "vCPU 1: node 0 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_zero, 4) },
	{ "VM_ADD with place 65535", HK_CMD_VM_ADD, EINVAL,
	  "vCPU 1: node 65535 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_huge, 4) },
	{ "VM_DEL of none", HK_CMD_VM_DEL, ENOENT, "there is no VM 7", { U32(VM_ID, 7) } },
	{ "VM_KILL of none", HK_CMD_VM_KILL, ENOENT, "there is no VM 7",
	  { U32(VM_ID, 7), STR(REASON, "r") } },
	{ "VM_GET of none", HK_CMD_VM_GET, ENOENT, "there is no VM", { U32(VM_ID, 7) } },
	{ "VCPU_MOVE in none", HK_CMD_VCPU_MOVE, ENOENT, "there is no VM 7",
	  { U32(VM_ID, 7), U32(VCPU, 0), U16(NODE_ID, 1) } },
	{ "VCPU_MOVE of none", HK_CMD_VCPU_MOVE, EINVAL, "has only 2 vCPUs",
	  { U32(VM_ID, 1), U32(VCPU, 2), U16(NODE_ID, 1) } },
	{ "VCPU_MOVE to a stranger", HK_CMD_VCPU_MOVE, EINVAL, "node 3 is not a member",
	  { U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 3) } },
};

/* The same VM, dead */
static const struct state_case states_dead[] = {
	{ "VCPU_MOVE in a dead VM", HK_CMD_VCPU_MOVE, ESHUTDOWN, "stopped",
	  { U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 2) } },
	{ "VM_KILL of a dead VM", HK_CMD_VM_KILL, 0, NULL,
	  { U32(VM_ID, 1), STR(REASON, "second") } },
};

static struct answer link_add_fd(int fd)
{
	return ASK(LINK_ADD, U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, (uint32_t)fd));
}

/* Sockets that cannot carry a link */
static void try_sockets(struct peer *p)
{
	int fd[2], old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct answer an;

	fd[0] = socket(AF_INET, SOCK_DGRAM, 0);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of UDP", EPROTOTYPE, "not a TCP socket");
	close(fd[0]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a unix socket", EPROTOTYPE, "not a TCP socket");
	close(fd[0]);
	close(fd[1]);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of an unconnected socket", ENOTCONN, "not connected");
	listen(fd[0], 1);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a listening socket", ENOTCONN, "not connected");
	close(fd[0]);
	tcp_pair(fd);
	shutdown(fd[0], SHUT_RDWR);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a socket shut down", ENOTCONN, "not connected");
	close(fd[0]);
	close(fd[1]);
	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (setns(old, CLONE_NEWNET))
		die("setns");
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of another namespace's socket", EXDEV,
	       "another network namespace");
	close(fd[0]);
	close(old);
	tcp_pair(fd);
	an = ASK(LINK_ADD, U16(PEER_ID, PEER), STR(PEER_NAME, "a"),
		 U32(FD, (uint32_t)fd[0]));
	expect(&an, "LINK_ADD to a node with a link", EEXIST, "node 2 has a link");
	close(fd[0]);
	close(fd[1]);
	check(ping_answered(p), "first link", "does not answer any more");
}

static void netlink_tests(void)
{
	struct answer an;
	struct peer p;
	int fd;

	netlink_attrs();
	netlink_verbs();
	in_child(as_nobody);
	in_child(as_less);
	in_child(as_container);
	group("requests without privilege");

	try_states(states_none, ARRAY_SIZE(states_none));
	group("requests to a node without identity");

	node_set(DEAD_MS);
	check(link_up(&p, PEER), "link", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	try_states(states_full, ARRAY_SIZE(states_full));
	try_sockets(&p);
	group("requests that do not fit the state");

	fd = open("/dev/hyperkernel/one-v", O_RDWR | O_CLOEXEC);
	check(fd >= 0, "open", "%s", strerror(errno));
	an = ASK(VM_DEL, U32(VM_ID, VM));
	expect(&an, "VM_DEL of a VM in use", EBUSY, "VM 1 is in use");
	an = ask(HK_CMD_NODE_RESET, NULL, 0);
	expect(&an, "NODE_RESET with a VM in use", EBUSY, "VM 1 is in use");
	check(ping_answered(&p), "link", "gone after a refused NODE_RESET");
	an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "first\n\x1b[31m"));
	expect(&an, "VM_KILL", 0, NULL);
	check(ev_wait(&ev_vm[VM].state, HK_VM_DEAD, WAIT_MS) &&
	      !strcmp(ev_vm[VM].reason, "first??[31m"), "VM_KILL",
	      "reason is \"%s\"", ev_vm[VM].reason);
	try_states(states_dead, ARRAY_SIZE(states_dead));
	check(!strcmp(ev_vm[VM].reason, "first??[31m"), "first reason stays", "\"%s\"",
	      ev_vm[VM].reason);
	check(open("/dev/hyperkernel/one-v", O_RDWR) < 0 && errno == ESHUTDOWN,
	      "open of a dead VM's device", "%s", strerror(errno));
	close(fd);
	check(vm_del(VM), "VM_DEL", "refused");
	check(peer_expect(&p, HK_MSG_VM_DEAD, &scratch) &&
	      !strcmp(((struct hk_wire_text *)BODY(&scratch))->text, "first??[31m"),
	      "VM_DEAD to the peer", "not sent");
	an = ASK(LINK_DEL, U16(PEER_ID, PEER));
	expect(&an, "LINK_DEL", 0, NULL);
	check(ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, WAIT_MS) &&
	      strstr(ev_link[PEER].reason, "deleted by the administrator"),
	      "LINK_DEL", "reason is \"%s\"", ev_link[PEER].reason);
	an = ASK(LINK_DEL, U16(PEER_ID, PEER));
	expect(&an, "LINK_DEL again", ENOENT, "no link to node 2");
	link_end(&p);
	node_reset();
	group("VM in use, VM dead, link deleted");
}
