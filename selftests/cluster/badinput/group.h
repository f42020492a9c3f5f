/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: requests for several pages in one message */

#define GROUP(f, v)	B(page_group, f, v)
#define GTYPE(t)	GROUP(dtype, HK_DMSG_##t)
#define GLEN(tokens)	((int)sizeof(struct hk_wire_page_group) + 4 * (tokens))
#define NO_FIRST	"group without its first page"
#define NOT_FOR_GROUP	"type that is not for a group"

/* The template asks for pages 0 to 2 with three tokens */
static const struct fcase several_cases[] = {
	{ "group shorter than one page", T_GROUP, ENDS, BROKE("body too short"),
	  P(H(len, 19)) },
	{ "group longer than all pages", T_GROUP, ENDS, BROKE("body too long"),
	  P(H(len, 273)) },
	{ "group without VM", T_GROUP, ENDS, BROKE("no VM given"), P(H(vm, 0)) },
	{ "group with a page", T_GROUP, ENDS, BROKE("page where none"), P(H(flags, 1)) },
	{ "group in the control lane", T_GROUP, ENDS, BROKE("wrong lane"), P(H(lane, 0)) },
	{ "group of nothing", T_GROUP, ENDS, NO_FIRST, P(GROUP(map, 0)) },
	{ "group without the first page", T_GROUP, ENDS, NO_FIRST, P(GROUP(map, 0xe)) },
	{ "group of the last page", T_GROUP, ENDS, NO_FIRST, P(GROUP(map, 1u << 31)),
	  .len = GLEN(1) },
	{ "a token too few", T_GROUP, ENDS, "wrong length", P(), .len = GLEN(2) },
	{ "a token too many", T_GROUP, ENDS, "wrong length", P(), .len = GLEN(4) },
	{ "a byte too many", T_GROUP, ENDS, "wrong length", P(), .len = GLEN(3) + 1 },
	{ "map of all ones", T_GROUP, ENDS, "wrong length", P(GROUP(map, ~0u)) },
	{ "GET_X with one token each", T_GROUP, ENDS, "wrong length", P(GTYPE(GET_X)) },
	{ "FWD_X with two tokens each", T_GROUP, ENDS, "wrong length",
	  P(GTYPE(FWD_X), GROUP(gfn, 256), GROUP(req, 2)), .len = GLEN(6) },
	{ "reserved byte", T_GROUP, ENDS, "reserved field", P(GROUP(reserved, 1)) },
	{ "group of dtype 0", T_GROUP, ENDS, NOT_FOR_GROUP, P(GROUP(dtype, 0)) },
	{ "group of dtype 255", T_GROUP, ENDS, NOT_FOR_GROUP, P(GROUP(dtype, 255)) },
	{ "group of INV", T_GROUP, ENDS, NOT_FOR_GROUP,
	  P(GTYPE(INV), GROUP(gfn, 256), GROUP(req, 2)) },
	{ "group of DATA_X", T_GROUP, ENDS, NOT_FOR_GROUP, P(GTYPE(DATA_X)) },
	{ "group of GRANT_X", T_GROUP, ENDS, NOT_FOR_GROUP,
	  P(GTYPE(GRANT_X), GROUP(gfn, 256)) },
	{ "group of ACK", T_GROUP, ENDS, NOT_FOR_GROUP, P(GTYPE(ACK)) },
	{ "group of DONE", T_GROUP, ENDS, NOT_FOR_GROUP, P(GTYPE(DONE), GROUP(req, 2)) },
	{ "all pages out of range", T_GROUP, ENDS, "page 0x200: no such page",
	  P(GROUP(gfn, 512)) },
	{ "last page out of range", T_GROUP, ENDS, "page 0x200: no such page",
	  P(GTYPE(FWD_S), GROUP(gfn, 510), GROUP(req, 2)) },
	{ "pages that wrap round", T_GROUP, ENDS, "no such page", P(GROUP(gfn, ~0ull)) },
	{ "last page has another home", T_GROUP, ENDS, "page 0x100: this node is not home",
	  P(GROUP(gfn, 254)) },
	{ "FWD_S in a group, not from home", T_GROUP, ENDS, "page 0x0: sender is not home",
	  P(GTYPE(FWD_S), GROUP(req, 2)) },
	{ "GET_S in a group, with req", T_GROUP, ENDS, "requester or acks",
	  P(GROUP(req, 2)) },
	{ "FWD_X in a group, for nobody", T_GROUP, ENDS, "no requester",
	  P(GTYPE(FWD_X), GROUP(gfn, 256)) },
	{ "FWD_X in a group, for no member", T_GROUP, ENDS, "requester is not a member",
	  P(GTYPE(FWD_X), GROUP(gfn, 256), GROUP(req, 3)) },
	{ "FWD_X in a group of what is not here", T_GROUP, ENDS_KILLS, "impossible",
	  P(GTYPE(FWD_X), GROUP(gfn, 256), GROUP(req, 2)) },
	{ "group by the owner", T_GROUP, ENDS_KILLS, "impossible", P(),
	  .times = 2 },
	{ "group", T_GROUP, LIVES, NULL, P(), .reply = HK_MSG_PAGE },
};

/* A link to a peer that offers @features */
static bool link_up_with(struct peer *p, uint32_t features)
{
	struct answer an = peer_add(p, PEER);

	if (an.err)
		return false;
	msg_hello(p, &scratch);
	((struct hk_wire_hello *)BODY(&scratch))->features = features;
	return msg_send(p, &scratch) &&
	       ev_wait(&ev_link[PEER].state, HK_LINK_UP, WAIT_MS);
}

/* Whoever has not offered groups may not send one */
static void try_not_offered(uint32_t features)
{
	struct answer an;
	struct peer p;

	check(link_up_with(&p, features), "not offered", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&p, &scratch, T_GROUP);
	msg_send(&p, &scratch);
	link_ended(&p, "not offered",
		   BROKE("message type of a feature that was not agreed on"));
	link_end(&p);
	check(vm_del(VM), "not offered", "VM not deleted");
}

/* Three pages by GET_X: each is granted with its own token, in order */
static void try_answers(void)
{
	struct hk_wire_page_group *g = BODY(&scratch);
	const struct hk_wire_page_msg *m = BODY(&scratch);
	struct answer an;
	struct peer p;
	uint32_t i;

	check(link_up_with(&p, HK_WIRE_FEATURES), "answers", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&p, &scratch, T_GROUP);
	scratch.h.len = GLEN(6);
	g->gfn = 200;
	g->map = 0x80000005;
	g->dtype = HK_DMSG_GET_X;
	for (i = 0; i < 6; i++)
		g->token[i] = 0xd0000000 + i;
	msg_send(&p, &scratch);
	for (i = 0; i < 3; i++) {
		static const uint64_t gfn[] = { 200, 202, 231 };

		if (!check(peer_expect(&p, HK_MSG_PAGE, &scratch), "answers",
			   "only %u answers", i))
			break;
		check(m->gfn == gfn[i] && m->dtype == HK_DMSG_GRANT_X &&
		      m->data_token == 0xd0000000 + 2 * i, "answers",
		      "page %llu, type %u, token %x", (unsigned long long)m->gfn,
		      m->dtype, m->data_token);
	}
	check(ping_answered(&p), "answers", "the link ended");
	link_end(&p);
	check(vm_del(VM), "answers", "VM not deleted");
}

/* Home says: take a page of zeros */
static void grant(struct peer *p, const struct hk_wire_page_msg *get)
{
	const struct hk_wire_page_msg asked = *get;
	struct hk_wire_page_msg *m = BODY(&scratch);

	tmpl_make(p, &scratch, T_PAGE);
	m->gfn = asked.gfn;
	m->dtype = HK_DMSG_GRANT_X;
	m->dflags = HK_DMSG_F_NO_DONE;
	m->data_token = asked.data_token;
	msg_send(p, &scratch);
}

static bool asks_for(struct peer *p, const char *name, uint64_t gfn)
{
	const struct hk_wire_page_msg *m = BODY(&scratch);

	return check(peer_expect(p, HK_MSG_PAGE, &scratch) && m->gfn == gfn &&
		     m->dtype == HK_DMSG_GET_S && m->data_token, name,
		     "page %llu is not asked for, but page %llu by message %u",
		     (unsigned long long)gfn, (unsigned long long)m->gfn,
		     scratch.h.type);
}

/*
 * A run of faults: the pages that follow are asked for by one message, or by one each
 * where the peer has not offered groups
 */
static void try_run(const char *name, uint32_t features)
{
	const struct hk_wire_page_group *g = BODY(&scratch);
	uint32_t i, k;
	struct answer an;
	struct peer p;
	int status;
	pid_t pid;

	check(link_up_with(&p, features), name, "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	pid = fork();
	if (!pid) {
		int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		volatile char *ram = mmap(NULL, RAM_PAGES * 4096ul, PROT_READ,
					  MAP_SHARED, fd, 0);

		_exit(ram == MAP_FAILED || ram[256 * 4096ul] || ram[257 * 4096ul]);
	}
	if (asks_for(&p, name, 256)) {
		grant(&p, BODY(&scratch));
		if (asks_for(&p, name, 257)) {
			struct hk_wire_page_msg last = *(struct hk_wire_page_msg *)g;

			/* of the page that is read; those of the run have no room for it */
			check(!last.ack_token == !(features & HK_WIRE_FEATURE_READ_X) &&
			      last.ack_token != last.data_token, name,
			      "second token %x", last.ack_token);
			if (!(features & HK_WIRE_FEATURE_PAGE_GROUP)) {
				for (i = 258; i < 262; i++)
					asks_for(&p, name, i);
			} else if (check(peer_expect(&p, HK_MSG_PAGE_GROUP, &scratch),
					 name, "no group")) {
				check(scratch.h.len == GLEN(4) && g->gfn == 258 &&
				      g->map == 0xf && !g->req && !g->reserved &&
				      g->dtype == HK_DMSG_GET_S, name,
				      "group of %u bytes, page %llu, map %x, type %u",
				      scratch.h.len, (unsigned long long)g->gfn,
				      g->map, g->dtype);
				for (i = 0; i < 4; i++)
					for (k = 0; k <= i; k++)
						check(g->token[i] && (k == i ||
						      g->token[i] != g->token[k]),
						      name, "tokens %x and %x",
						      g->token[i], g->token[k]);
			}
			grant(&p, &last);
		}
	}
	/* what still waits for a page ends with the link */
	if (!check(ping_answered(&p), name, "the link ended"))
		link_end(&p);
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status), name, "status %x", status);
	link_end(&p);
	check(vm_del(VM), name, "VM not deleted");
}

static void group_tests(void)
{
	try_messages(several_cases, ARRAY_SIZE(several_cases));
	try_not_offered(0);
	try_not_offered(~HK_WIRE_FEATURE_PAGE_GROUP);
	try_answers();
	try_run("run", HK_WIRE_FEATURES);
	try_run("run, unknown features, too", ~0u);
	try_run("run, nothing offered", 0);
	try_run("run, groups alone", HK_WIRE_FEATURE_PAGE_GROUP);
	group("requests for several pages");
}
