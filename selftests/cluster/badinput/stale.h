/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: old copies of pages, and peers that say that these are still good */

#define STALE_GFN	300	/* the peer is its home */
#define STALE_WORD	5
#define STALE_VALUE	0x123456789abcull
#define UNASKED		"page message DATA_S of page 0x12c is impossible now"

/* SipHash-2-4 of a page, told a second time */
static uint64_t rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int nr)
{
	while (nr--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

static uint64_t sip_page(const uint8_t *page, uint64_t k0, uint64_t k1)
{
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull,
	};
	uint64_t word;
	int i;

	/* the last word has nothing but the low byte of the length, zero for a page */
	for (i = 0; i <= HK_WIRE_PAGE_SIZE / 8; i++) {
		word = 0;
		if (i < HK_WIRE_PAGE_SIZE / 8)
			memcpy(&word, page + 8 * i, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Writes the page, is told to go on, and reads it again */
static void stale_child(int fd[2])
{
	int dev = open(DEVICE, O_RDWR | O_CLOEXEC);
	volatile uint64_t *ram = mmap(NULL, RAM_PAGES * 4096ul, PROT_READ | PROT_WRITE,
				      MAP_SHARED, dev, 0);
	volatile uint64_t *word = &ram[STALE_GFN * 512 + STALE_WORD];
	char c = 0;

	if (ram == MAP_FAILED)
		_exit(2);
	*word = STALE_VALUE;
	if (write(fd[1], &c, 1) != 1 || read(fd[1], &c, 1) != 1)
		_exit(3);
	_exit(*word == STALE_VALUE ? 0 : 4);
}

/* Answer the request in scratch: the old copy is still good */
static void same(struct peer *p)
{
	const struct hk_wire_page_msg asked = *(struct hk_wire_page_msg *)BODY(&scratch);
	struct hk_wire_page_msg *m = BODY(&scratch);

	tmpl_make(p, &scratch, T_PAGE);
	m->gfn = asked.gfn;
	m->dtype = HK_DMSG_DATA_S;
	m->dflags = HK_DMSG_F_NO_DONE;
	m->data_token = asked.data_token;
	m->content = HK_CONTENT_SAME;
	msg_send(p, &scratch);
}

/* Home wants the page for itself; it comes with what the node has written */
static bool take_page(struct peer *p, const char *name)
{
	const struct hk_wire_page_msg *got = BODY(&scratch);
	struct hk_wire_page_msg *m = BODY(&scratch);

	tmpl_make(p, &scratch, T_PAGE);
	m->gfn = STALE_GFN;
	m->dtype = HK_DMSG_FWD_X;
	m->data_token = 77;
	m->req = PEER;
	msg_send(p, &scratch);
	return check(peer_expect(p, HK_MSG_PAGE, &scratch) &&
		     got->dtype == HK_DMSG_DATA_X && got->content == HK_CONTENT_PAGE,
		     name, "message %u, content %u", got->dtype, got->content);
}

/* A body of 56 bytes: the template's GET_S, and a check of zeros */
static const struct fcase stale_cases[] = {
	{ "PAGE longer by a byte", T_PAGE, ENDS, "wrong length", P(), .len = PG(1) },
	{ "PAGE with half a check", T_PAGE, ENDS, "wrong length", P(), .len = PG(8) },
	{ "check without a salt", T_PAGE, ENDS, "check without a salt", P(), .len = PG(16) },
};

static void try_check_not_offered(void)
{
	struct answer an;
	struct peer p;

	check(link_up_with(&p, ~HK_WIRE_FEATURE_REVALIDATE), "check not offered", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&p, &scratch, T_PAGE);
	scratch.h.len = PG(16);
	msg_send(&p, &scratch);
	link_ended(&p, "check not offered",
		   BROKE("body with a part of a feature that was not agreed on"));
	link_end(&p);
	check(vm_del(VM), "check not offered", "VM not deleted");
}

/*
 * A page is written here, taken away and read again. @features: of the peer. Where it
 * knows of old copies the request names one, and it may say that it is good; where it
 * does not, it may not.
 */
static void try_stale(const char *name, uint32_t features)
{
	const struct hk_wire_page_msg *get = BODY(&scratch);
	const struct hk_wire_page_check *check_of = (const void *)(get + 1);
	bool asks = features & HK_WIRE_FEATURE_REVALIDATE;
	struct answer an;
	struct peer p;
	int fd[2], status;
	char c = 0;
	pid_t pid;

	check(link_up_with(&p, features), name, "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd), name, "no socket");
	pid = fork();
	if (!pid)
		stale_child(fd);
	close(fd[1]);
	if (!check(peer_expect(&p, HK_MSG_PAGE, &scratch) && get->gfn == STALE_GFN &&
		   get->dtype == HK_DMSG_GET_X && scratch.h.len == PG(0), name,
		   "first touch: message %u of %u bytes", get->dtype, scratch.h.len))
		goto out;
	grant(&p, get);
	if (!check(read(fd[0], &c, 1) == 1, name, "not written") || !take_page(&p, name) ||
	    !check(write(fd[0], &c, 1) == 1, name, "has ended") ||
	    !check(peer_expect(&p, HK_MSG_PAGE, &scratch) && get->gfn == STALE_GFN &&
		   get->dtype == HK_DMSG_GET_S, name, "not asked for again"))
		goto out;
	if (asks)
		check(scratch.h.len == PG(sizeof(*check_of)) && check_of->salt &&
		      check_of->hash == sip_page(page_got, check_of->salt, STALE_GFN),
		      name, "%u bytes, salt %llx, hash %llx", scratch.h.len,
		      (unsigned long long)check_of->salt,
		      (unsigned long long)check_of->hash);
	else
		check(scratch.h.len == PG(0), name, "%u bytes", scratch.h.len);
	same(&p);
	if (asks) {
		check(ping_answered(&p), name, "the link ended");
	} else if (link_ended(&p, name, UNASKED)) {
		vm_ended(name, "says that an old copy is still good, and was not asked");
	}
out:
	/* what still waits for a page ends with the link */
	close(fd[0]);
	if (!asks)
		link_end(&p);
	waitpid(pid, &status, 0);
	if (asks)
		check(WIFEXITED(status) && !WEXITSTATUS(status), name, "status %x",
		      status);
	else
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, name,
		      "status %x", status);
	if (asks)
		link_end(&p);
	check(vm_del(VM), name, "VM not deleted");
}

/* Of this node: old copies are kept from now on, or no more */
static void revalidate(const char *how)
{
	int fd = open("/sys/module/hyperkernel/parameters/revalidate", O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && write(fd, how, 1) == 1, "parameter", "%s", strerror(errno));
	close(fd);
}

static void stale_tests(void)
{
	revalidate("2");
	try_messages(stale_cases, ARRAY_SIZE(stale_cases));
	try_check_not_offered();
	try_stale("old copy", HK_WIRE_FEATURES);
	try_stale("old copy, and the peer does not know of them",
		  HK_WIRE_FEATURES & ~HK_WIRE_FEATURE_REVALIDATE);
	revalidate("0");
	group("old copies");
}
