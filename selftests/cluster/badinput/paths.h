/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: further connections of a link */

#define COOKIE	77

/* Give the link of @p path @id; its other end is @q's */
static struct answer path_add(struct peer *p, struct peer *q, int id)
{
	struct answer an;
	int fd[2];

	memset(q, 0, sizeof(*q));
	q->id = p->id;
	tcp_pair(fd);
	q->fd = fd[0];
	ev_path[id].state = HK_PATH_NONE;
	an = ASK(PATH_ADD, U16(PEER_ID, p->id), U8(PATH_ID, id), U32(FD, (uint32_t)fd[1]));
	close(fd[1]);
	return an;
}

/* The same, until a former path has gone */
static bool path_again(struct peer *p, struct peer *q, int id)
{
	long end = now_ms() + WAIT_MS;
	struct answer an;

	do {
		an = path_add(p, q, id);
		if (an.err)
			close(q->fd);
	} while (an.err == EBUSY && now_ms() < end);
	return check(!an.err, "PATH_ADD", "%d %s", an.err, an.text);
}

/* Send one that has no number, or @seq */
static void send_seq(struct peer *q, int tmpl, uint64_t seq)
{
	tmpl_make(q, &scratch, tmpl);
	scratch.h.seq = seq;
	msg_send(q, &scratch);
}

static void send_path(struct peer *q, int id, uint64_t cookie, uint64_t seq)
{
	struct hk_wire_path *body = BODY(&scratch);

	tmpl_make(q, &scratch, T_PATH);
	body->path = id;
	body->cookie = cookie;
	scratch.h.seq = seq;
	msg_send(q, &scratch);
}

static void send_ack(struct peer *q, uint64_t acked)
{
	tmpl_make(q, &scratch, T_ACK);
	((struct hk_wire_ack *)BODY(&scratch))->seq = acked;
	scratch.h.seq = 0;
	msg_send(q, &scratch);
}

/* Say the cookie on the link and on the connection: from here on there are two paths */
static bool path_join(struct peer *p, struct peer *q, int id)
{
	send_path(p, id, COOKIE, p->seq + 1);
	send_path(q, id, COOKIE, 0);
	send_seq(q, T_PING, 0);
	/* with the ACK it keeps what it sends; what went before is acknowledged */
	if (!peer_expect(q, HK_MSG_ACK, &scratch))
		return false;
	send_ack(q, link_count(HK_A_TX_MSGS));
	return ev_wait(&ev_path[id].state, HK_PATH_STANDBY, WAIT_MS);
}

static bool both_up(struct peer *p, struct peer *q, const char *name)
{
	return check(link_up(p, PEER), name, "no link") && path_again(p, q, 1) &&
	       check(path_join(p, q, 1), name, "path does not join");
}

/* The path goes, the link does not */
static void path_ended(struct peer *p, struct peer *q, int id, const char *name,
		       const char *text)
{
	if (check(ev_wait(&ev_path[id].state, HK_PATH_DOWN, WAIT_MS), name, "path goes on"))
		check(strstr(ev_path[id].reason, text), name, "expected \"%s\", got \"%s\"",
		      text, ev_path[id].reason);
	check(ping_answered(p), name, "the link ended: \"%s\"", ev_link[PEER].reason);
	close(q->fd);
}

/* What is wrong with a connection before it is part of the link is its own affair */
static void try_joining(void)
{
	struct peer p, q, other;
	struct answer an;
	int fd[2];

	if (!check(link_up(&p, PEER), "link", "not up"))
		return;
	/* one that takes the place of what there is, but goes before */
	an = path_add(&p, &q, 0);
	expect(&an, "PATH_ADD of the first one", 0, "");
	close(q.fd);
	check(ping_answered(&p), "PATH_ADD of the first one", "the link ended: \"%s\"",
	      ev_link[PEER].reason);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	an = ASK(PATH_ADD, U16(PEER_ID, PEER), U8(PATH_ID, 1), U32(FD, (uint32_t)fd[0]));
	expect(&an, "PATH_ADD of a unix socket", EPROTOTYPE, "not a TCP socket");
	close(fd[0]);
	close(fd[1]);

	path_again(&p, &q, 1);
	check(peer_expect(&q, HK_MSG_PATH, &scratch) && !scratch.h.seq &&
	      ((struct hk_wire_path *)BODY(&scratch))->path == 1 &&
	      ((struct hk_wire_path *)BODY(&scratch))->cookie, "PATH", "is not sent");
	an = path_add(&p, &other, 1);
	expect(&an, "PATH_ADD twice", EBUSY, "path 1 is just being made");
	close(other.fd);
	send_seq(&q, T_PING, 0);
	path_ended(&p, &q, 1, "PING first", "message before PATH");

	path_again(&p, &q, 1);
	send_path(&q, 1, COOKIE, 1);
	path_ended(&p, &q, 1, "PATH with a number", "message before PATH");

	path_again(&p, &q, 1);
	send_path(&q, 2, COOKIE, 0);
	path_ended(&p, &q, 1, "PATH of another number", "PATH of another connection");

	path_again(&p, &q, 1);
	send_path(&q, 1, COOKIE, 0);
	send_path(&q, 1, COOKIE, 0);
	path_ended(&p, &q, 1, "second PATH", "second PATH");

	path_again(&p, &q, 1);
	tmpl_make(&q, &scratch, T_PATH);
	scratch.h.seq = 0;
	((struct hk_wire_path *)BODY(&scratch))->cluster[0] ^= 1;
	msg_send(&q, &scratch);
	path_ended(&p, &q, 1, "another cluster", "PATH of another cluster");

	path_again(&p, &q, 1);
	peer_send(&q, "GET / HTTP/1.0\r\n\r\n, and so on, and so on", 40);
	path_ended(&p, &q, 1, "noise", "wrong magic");

	path_again(&p, &q, 1);
	/* what lies unread would make a reset of a close */
	shutdown(q.fd, SHUT_WR);
	path_ended(&p, &q, 1, "closed at once", "node 2 closed the connection");

	/* a cookie that was not said on the link does not join, the right one then does */
	path_again(&p, &q, 1);
	send_path(&p, 1, COOKIE + 1, p.seq + 1);
	send_path(&q, 1, COOKIE, 0);
	send_seq(&q, T_PING, 0);
	check(ping_answered(&p) && !ev_wait(&ev_path[1].state, HK_PATH_STANDBY, 100) &&
	      ev_path[1].state == HK_PATH_NONE, "wrong cookie",
	      "path is in state %d", ev_path[1].state);
	send_path(&p, 1, COOKIE, p.seq + 1);
	check(peer_expect(&q, HK_MSG_ACK, &scratch), "right cookie", "no ACK");
	send_ack(&q, link_count(HK_A_TX_MSGS));
	check(ev_wait(&ev_path[1].state, HK_PATH_STANDBY, WAIT_MS), "right cookie",
	      "path does not join");
	/* with either one left the link would go on */
	close(q.fd);
	link_end(&p);
}

static void try_renew(void)
{
	struct answer an;
	int fd[2];

	tcp_pair(fd);
	an = ASK(LINK_RENEW, U16(PEER_ID, PEER), U32(FD, (uint32_t)fd[1]));
	expect(&an, "LINK_RENEW", EOPNOTSUPP, "several paths");
	close(fd[0]);
	close(fd[1]);
}

/* Then it is the link's */
static void try_joined(void)
{
	struct peer p, q;

	if (!both_up(&p, &q, "ACK of what was not sent"))
		return;
	send_ack(&q, 1ull << 40);
	link_ended(&p, "ACK of what was not sent", BROKE("ACK of what was not sent"));
	link_end(&p);
	close(q.fd);

	both_up(&p, &q, "LINK_RENEW");
	try_renew();
	check(ping_answered(&p), "LINK_RENEW", "the link ended");
	close(q.fd);
	link_end(&p);

	both_up(&p, &q, "gap");
	send_seq(&q, T_PING, p.seq + 2);
	link_ended(&p, "gap", BROKE("sequence number"));
	link_end(&p);
	close(q.fd);

	both_up(&p, &q, "PATH once more");
	send_path(&q, 1, COOKIE, 0);
	link_ended(&p, "PATH once more", BROKE("second PATH"));
	link_end(&p);
	close(q.fd);

	both_up(&p, &q, "SWITCH");
	tmpl_make(&p, &scratch, T_PING);
	scratch.h.type = HK_MSG_SWITCH;
	scratch.h.len = 0;
	msg_send(&p, &scratch);
	link_ended(&p, "SWITCH", BROKE("SWITCH on a link with several paths"));
	link_end(&p);
	close(q.fd);

	both_up(&p, &q, "ECHO without a number");
	send_seq(&q, T_ECHO, 0);
	link_ended(&p, "ECHO without a number", BROKE("sequence number"));
	link_end(&p);
	close(q.fd);

	/* what has come on one path comes again on the other: answered once */
	both_up(&p, &q, "again");
	send_seq(&p, T_ECHO, p.seq + 1);
	check(peer_expect(&p, HK_MSG_ECHO_REPLY, &scratch), "first", "no answer");
	send_seq(&q, T_ECHO, p.seq);
	send_seq(&q, T_ECHO, 1);
	send_seq(&q, T_PING, 0);
	check(peer_expect(&q, HK_MSG_PONG, &scratch) && !scratch.h.seq, "PING on a path",
	      "no PONG there");
	tmpl_make(&p, &scratch, T_PING);
	scratch.h.seq = 0;
	peer_send(&p, scratch.b, sizeof(scratch.h) + scratch.h.len);
	check(peer_expect(&p, HK_MSG_PONG, &scratch) && !scratch.h.seq, "PING on the first",
	      "no PONG there");
	check(ev_link[PEER].state == HK_LINK_UP, "again", "\"%s\"", ev_link[PEER].reason);
	/* all that was sent is acknowledged, then the first path goes */
	send_ack(&q, link_count(HK_A_TX_MSGS));
	send_seq(&q, T_PING, 0);
	check(peer_expect(&q, HK_MSG_PONG, &scratch), "ACK", "no PONG behind it");
	close(p.fd);
	check(ev_wait(&ev_path[0].state, HK_PATH_DOWN, WAIT_MS) &&
	      ev_link[PEER].state == HK_LINK_UP, "first path closed", "link: \"%s\"",
	      ev_link[PEER].reason);
	send_seq(&q, T_ECHO, p.seq + 1);
	check(peer_expect(&q, HK_MSG_ECHO_REPLY, &scratch), "first path closed",
	      "no answer on the second");
	shutdown(q.fd, SHUT_WR);
	link_ended(&p, "second path closed", "node 2 closed the connection");
	close(q.fd);
}

static bool path_answers(struct peer *q)
{
	send_seq(q, T_PING, 0);
	return peer_expect(q, HK_MSG_PONG, &scratch) && !scratch.h.seq;
}

/* Is there an end to what comes? */
static bool hung_up(struct peer *q)
{
	char c;

	return !peer_expect(q, HK_MSG_NR, &scratch) &&
	       (recv(q->fd, &c, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
}

/* A new connection takes the place of the former one, when both ends would use it */
static void try_renewed(void)
{
	struct peer p, q, r;

	if (!both_up(&p, &q, "new connection"))
		return;
	path_again(&p, &r, 1);
	peer_send(&r, "GET / HTTP/1.0\r\n\r\n, and so on, and so on", 40);
	check(hung_up(&r), "noise on a new connection", "it goes on");
	close(r.fd);
	check(path_answers(&q), "noise on a new connection", "the former one has gone");

	path_again(&p, &r, 1);
	send_path(&p, 1, COOKIE + 1, p.seq + 1);
	send_path(&r, 1, COOKIE + 1, 0);
	check(path_answers(&r), "new connection", "no PONG");
	check(path_answers(&q), "new connection",
	      "the former one has gone before the peer would use the new one");
	tmpl_make(&r, &scratch, T_PING);
	scratch.h.type = HK_MSG_PONG;
	scratch.h.seq = 0;
	msg_send(&r, &scratch);
	check(hung_up(&q), "new connection", "the former one stays");
	close(q.fd);
	check((uint32_t)link_count(HK_A_RENEWALS) == 1, "new connection", "%u renewals",
	      (uint32_t)link_count(HK_A_RENEWALS));

	/* it is as good as the former one was */
	send_ack(&r, link_count(HK_A_TX_MSGS));
	check(path_answers(&r), "ACK on the new connection", "no PONG behind it");
	ev_path[0].state = HK_PATH_NONE;
	close(p.fd);
	check(ev_wait(&ev_path[0].state, HK_PATH_DOWN, WAIT_MS) &&
	      ev_link[PEER].state == HK_LINK_UP, "first path closed", "link: \"%s\"",
	      ev_link[PEER].reason);
	send_seq(&r, T_ECHO, p.seq + 1);
	check(peer_expect(&r, HK_MSG_ECHO_REPLY, &scratch), "first path closed",
	      "no answer on the new connection");
	shutdown(r.fd, SHUT_WR);
	link_ended(&p, "new connection closed", "node 2 closed the connection");
	close(r.fd);
}

static void paths_tests(void)
{
	node_set(DEAD_MS);
	try_joining();
	group("connections that are not part of the link");
	try_renewed();
	group("connections that take the place of others");
	try_joined();
	group("connections that are");
	node_reset();
}
