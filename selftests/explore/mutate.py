#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Break the protocols on purpose and see that it is noticed; TAP.

Each mutation replaces exact text of dsm/*.c or migrate/*.c, which must be there
exactly once; those of model.res are of the driver in residency.c here.
"explore": the explorer must notice; "loss": that of lost nodes, whose driver is
model.loss; "litmus": the litmus tests; "lend", "lend-groups", "lend-loss": the first two,
with homes that are lent. "unit": no order of events among nodes that keep the protocol can show
it (checks against faulty peers, fairness), so the unit test must.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import mutations_lend
import mutations_migratory
import mutations_stale
import mutations_tokens

HERE = pathlib.Path(__file__).resolve().parent
DSM = HERE.parent.parent / "dsm"
MIGRATE = HERE.parent.parent / "migrate"
FABRIC = HERE.parent.parent / "fabric"
RUNS = (["-n", "2"], ["-n", "3"], ["-n", "3", "-l"], ["-n", "3", "-x"])
RES_RUNS = (["-n", "2", "-w", "2", "-i", "2", "-c", "63", "-r", "2"],
            ["-n", "3", "-w", "2", "-i", "2", "-f", "1"])
LOSS_RUNS = (["-n", "2", "-k"], ["-n", "3", "-M", "-w"],
             ["-n", "4", "-L", "2", "-f", "1", "-M", "-w"],
             ["-n", "3", "-L", "2", "-M", "-k", "-w"],
             ["-n", "3", "-M"], ["-n", "4", "-L", "2", "-f", "2", "-w"])
LITMUS_RUNS = (["-t", "MP", "-s", "-a"], ["-t", "SB+fences", "-s", "-a"],
               ["-t", "MP"])
# lent homes; the others' runs know nothing of them
LEND_RUNS = {
    "lend": (["-n", "2", "-e"], ["-n", "3", "-e", "-w", "-x"], ["-n", "3", "-e"]),
    "lend-groups": (["-n", "3", "-e", "-g", "-w"],),
    "lend-loss": (["-n", "2", "-k", "-e"], ["-n", "3", "-M", "-w", "-e"]),
}
RES_FILES = ("residency.c", "pending.c", "model.res")
LOSS_FILES = ("recover.c", "model.loss")


def edge(step, event, old, new):
    """One cell of the recovery's table, found by its step."""
    pre = "	[HK_REC_%s] = {\n" % step
    lines = {
        "EPOCH": "		[HK_REC_EV_EPOCH]	= ",
        "WORKED": "		[HK_REC_EV_WORKED]	= ",
        "MARK": "		[HK_REC_EV_MARK]	= ",
    }
    return (pre, lines[event] + old, lines[event] + new)


def row(state, event, old, new):
    """One cell of the table, found by its state."""
    return (state, event, old, new)


MUTATIONS = [
    # name, who notices, file, old, new
    ("INVALID ignores INV", "explore", "page.c",
     row("INVALID", "INV", "EDGE(INVALID, ACK, 0)", "EDGE(INVALID, NOTHING, 0)")),
    ("INVALID refuses INV", "explore", "page.c",
     row("INVALID", "INV", "EDGE(INVALID, ACK, 0)", "EDGE(INVALID, PROTO, 0)")),
    ("INVALID_RD refuses INV", "explore", "page.c",
     row("INVALID_RD", "INV", "EDGE(INVALID_RD, ACK, 0)", "EDGE(INVALID, PROTO, 0)")),
    ("INVALID_RD forgets its request at INV", "explore", "page.c",
     row("INVALID_RD", "INV", "EDGE(INVALID_RD, ACK, 0)", "EDGE(INVALID, ACK, 0)")),
    ("INVALID_WR refuses INV", "explore", "page.c",
     row("INVALID_WR", "INV", "EDGE(INVALID_WR, ACK, 0)", "EDGE(INVALID, PROTO, 0)")),
    ("SHARED writes without asking", "explore", "page.c",
     row("SHARED", "WRITE", "EDGE(SHARED_WR, GET_X_HAVE, 0)", "EDGE(EXCLUSIVE, NOTHING, 0)")),
    ("OWNED writes without asking", "explore", "page.c",
     row("OWNED", "WRITE", "EDGE(OWNED_WR, GET_X_HAVE, 0)", "EDGE(EXCLUSIVE, NOTHING, 0)")),
    ("SHARED asks for data that it has", "explore", "page.c",
     row("SHARED", "WRITE", "EDGE(SHARED_WR, GET_X_HAVE, 0)", "EDGE(SHARED_WR, GET_X, 0)")),
    ("OWNED asks for data that it has", "explore", "page.c",
     row("OWNED", "WRITE", "EDGE(OWNED_WR, GET_X_HAVE, 0)", "EDGE(OWNED_WR, GET_X, 0)")),
    ("SHARED answers INV before the page is taken", "explore", "page.c",
     row("SHARED", "INV", "EDGE(SHARED_TAKE, RECALL, TAKE)", "EDGE(INVALID, ACK, FREE | WAKE)")),
    ("SHARED never starts the take", "explore", "page.c",
     row("SHARED", "INV", "EDGE(SHARED_TAKE, RECALL, TAKE)", "EDGE(SHARED_TAKE, RECALL, 0)")),
    ("OWNED refuses INV of an upgrading sharer", "explore", "page.c",
     row("OWNED", "INV", "EDGE(OWNED_TAKE, RECALL, TAKE)", "EDGE(OWNED, PROTO, 0)")),
    ("OWNED sends DATA_S and becomes SHARED", "explore", "page.c",
     row("OWNED", "FWD_S", "EDGE(OWNED, DATA_S, 0)", "EDGE(SHARED, DATA_S, 0)")),
    ("EXCLUSIVE sends DATA_S and stays writable", "explore", "page.c",
     row("EXCLUSIVE", "FWD_S", "EDGE(EXCLUSIVE_DOWN, RECALL, DOWN)", "EDGE(EXCLUSIVE, DATA_S, 0)")),
    ("EXCLUSIVE sends DATA_S before it is write-protected", "explore", "page.c",
     row("EXCLUSIVE", "FWD_S", "EDGE(EXCLUSIVE_DOWN, RECALL, DOWN)", "EDGE(OWNED, DATA_S, 0)")),
    ("EXCLUSIVE takes a read for a write", "explore", "page.c",
     row("EXCLUSIVE", "FWD_S", "EDGE(EXCLUSIVE_DOWN, RECALL, DOWN)", "EDGE(EXCLUSIVE_TAKE, RECALL, TAKE)")),
    ("EXCLUSIVE again after the downgrade", "explore", "page.c",
     row("EXCLUSIVE_DOWN", "DOWNGRADED", "EDGE(OWNED, ANSWER, WAKE)", "EDGE(EXCLUSIVE, ANSWER, WAKE)")),
    ("SHARED after the downgrade", "explore", "page.c",
     row("EXCLUSIVE_DOWN", "DOWNGRADED", "EDGE(OWNED, ANSWER, WAKE)", "EDGE(SHARED, ANSWER, WAKE)")),
    ("downgrade wakes nobody", "explore", "page.c",
     row("EXCLUSIVE_DOWN", "DOWNGRADED", "EDGE(OWNED, ANSWER, WAKE)", "EDGE(OWNED, ANSWER, 0)")),
    ("take of a read copy wakes nobody", "explore", "page.c",
     row("SHARED_TAKE", "TAKEN", "EDGE(INVALID, ANSWER, FREE | WAKE)", "EDGE(INVALID, ANSWER, FREE)")),
    ("take of an owner wakes nobody", "explore", "page.c",
     row("OWNED_TAKE", "TAKEN", "EDGE(INVALID, ANSWER, FREE | WAKE)", "EDGE(INVALID, ANSWER, FREE)")),
    ("taken page is not freed", "explore", "page.c",
     row("EXCLUSIVE_TAKE", "TAKEN", "EDGE(INVALID, ANSWER, FREE | WAKE)", "EDGE(INVALID, ANSWER, WAKE)")),
    ("take of SHARED_WR forgets the request", "explore", "page.c",
     row("SHARED_WR_TAKE", "TAKEN", "EDGE(INVALID_WR, ANSWER, FREE | WAKE)", "EDGE(INVALID, ANSWER, FREE | WAKE)")),
    ("take of OWNED_WR forgets the request", "explore", "page.c",
     row("OWNED_WR_TAKE", "TAKEN", "EDGE(INVALID_WR, ANSWER, FREE | WAKE)", "EDGE(INVALID, ANSWER, FREE | WAKE)")),
    ("take of SHARED_WR keeps the copy", "explore", "page.c",
     row("SHARED_WR_TAKE", "TAKEN", "EDGE(INVALID_WR, ANSWER, FREE | WAKE)", "EDGE(SHARED_WR, ANSWER, WAKE)")),
    ("SHARED_WR refuses INV of an earlier writer", "explore", "page.c",
     row("SHARED_WR", "INV", "EDGE(SHARED_WR_TAKE, RECALL, TAKE)", "EDGE(SHARED_WR, PROTO, 0)")),
    ("OWNED_WR refuses INV of an earlier writer", "explore", "page.c",
     row("OWNED_WR", "INV", "EDGE(OWNED_WR_TAKE, RECALL, TAKE)", "EDGE(OWNED_WR, PROTO, 0)")),
    ("OWNED_WR refuses FWD_X of an earlier writer", "explore", "page.c",
     row("OWNED_WR", "FWD_X", "EDGE(OWNED_WR_TAKE, RECALL, TAKE)", "EDGE(OWNED_WR, PROTO, 0)")),
    ("OWNED_WR refuses FWD_S of an earlier reader", "explore", "page.c",
     row("OWNED_WR", "FWD_S", "EDGE(OWNED_WR, DATA_S, 0)", "EDGE(OWNED_WR, PROTO, 0)")),
    ("lone reader becomes SHARED", "explore", "page.c",
     row("INVALID_RD", "GRANT_X", "EDGE(EXCLUSIVE, READ_REPLY, ZERO | WAKE)", "EDGE(SHARED, READ_REPLY, ZERO | WAKE)")),
    ("lone reader gets no page", "explore", "page.c",
     row("INVALID_RD", "GRANT_X", "EDGE(EXCLUSIVE, READ_REPLY, ZERO | WAKE)", "EDGE(EXCLUSIVE, READ_REPLY, WAKE)")),
    ("reader becomes OWNED", "explore", "page.c",
     row("INVALID_RD", "DATA_S", "EDGE(SHARED, READ_REPLY, INSTALL | WAKE)", "EDGE(OWNED, READ_REPLY, INSTALL | WAKE)")),
    ("reader is not woken", "explore", "page.c",
     row("INVALID_RD", "DATA_S", "EDGE(SHARED, READ_REPLY, INSTALL | WAKE)", "EDGE(SHARED, READ_REPLY, INSTALL)")),
    ("data of a write installed as zero", "explore", "page.c",
     row("INVALID_WR", "DATA_X", "EDGE(EXCLUSIVE, WRITE_REPLY, INSTALL)", "EDGE(EXCLUSIVE, WRITE_REPLY, ZERO)")),
    ("ACKs not waited for", "explore", "page.c",
     "if (!ctx->replied || hk_nodes_any(ctx->acks))", "if (!ctx->replied)"),
    ("reply not waited for", "explore", "page.c",
     "if (!ctx->replied || hk_nodes_any(ctx->acks))", "if (ctx->replied && hk_nodes_any(ctx->acks))"),
    ("one ACK too few is enough", "explore", "page.c",
     "hk_nodes_any(ctx->acks))\n		return false;\n	if (!ctx->no_done)", "hk_nodes_any(ctx->acks & (ctx->acks - 1)))\n		return false;\n	if (!ctx->no_done)"),
    ("ACKs before the reply not noted", "explore", "page.c",
     "		ctx->acks ^= from;\n", "		ctx->acks ^= ctx->replied ? from : 0;\n"),
    ("ACKs before the reply forgotten", "explore", "page.c",
     "ctx->acks = msg->acks & ~ctx->acks;", "ctx->acks = msg->acks;"),
    ("owner does not pass on whose ACKs there will be", "explore", "page.c",
     "ctx->recall_acks = msg->acks;", ""),
    ("home closes a transaction with ACKs missing", "explore", "page.c",
     "if (w->self == w->home && !hk_nodes_any(acks)) {", "if (w->self == w->home) {"),
    ("any owner closes the transaction", "explore", "page.c",
     "if (w->self == w->home && !hk_nodes_any(acks)) {", "if (!hk_nodes_any(acks)) {"),
    ("home says NO_DONE and does not close", "explore", "page.c",
     "		page_send_done(w, out, w->home, req);\n", ""),
    ("home closes and does not say so", "explore", "page.c",
     "		m->flags = HK_DMSG_F_NO_DONE;\n", ""),
    ("writer says DONE although home has closed", "explore", "page.c",
     "	if (!ctx->no_done)\n", "	if (1)\n"),
    ("writer says no DONE", "explore", "page.c",
     "	if (!ctx->no_done)\n", "	if (0)\n"),
    ("reader says DONE although home has closed", "explore", "page.c",
     "		if (!(msg->flags & HK_DMSG_F_NO_DONE))\n			page_send_done", "		if (1)\n			page_send_done"),
    ("reader says no DONE", "explore", "page.c",
     "		if (!(msg->flags & HK_DMSG_F_NO_DONE))\n			page_send_done", "		if (0)\n			page_send_done"),
    ("writer's context left over", "explore", "page.c",
     "		page_send_done(w, out, ctx->asked ?: w->home, w->self);\n	*ctx = (struct hk_page_ctx){ 0 };\n", "		page_send_done(w, out, ctx->asked ?: w->home, w->self);\n"),
    ("recall's context left over", "explore", "page.c",
     "		page_answer(w, out, ctx);\n		page_recall_over(ctx);\n", "		page_answer(w, out, ctx);\n"),
    ("own request forgotten with the recall", "explore", "page.c",
     "		page_answer(w, out, ctx);\n		page_recall_over(ctx);\n", "		page_answer(w, out, ctx);\n		*ctx = (struct hk_page_ctx){ 0 };\n"),
    ("reader's context left over", "explore", "page.c",
     "		*ctx = (struct hk_page_ctx){ 0 };\n		break;\n	case DO_WRITE_REPLY", "		break;\n	case DO_WRITE_REPLY"),
    ("ACK goes to home", "explore", "page.c",
     "page_send_ack(w, out, ctx->recall_req", "page_send_ack(w, out, w->home"),
    ("ACK of nothing goes to home", "explore", "page.c",
     "page_send_ack(w, out, msg->req", "page_send_ack(w, out, w->home"),
    ("DATA_X goes to home", "explore", "page.c",
     "page_send_data(w, out, HK_DMSG_DATA_X, ctx->recall_req", "page_send_data(w, out, HK_DMSG_DATA_X, w->home"),
    ("INV answered with data", "explore", "page.c",
     "page_send_ack(w, out, ctx->recall_req, ctx->recall_token)", "page_send_data(w, out, HK_DMSG_DATA_S, ctx->recall_req, 0, ctx->recall_token, &ctx->recall_check)"),
    ("request without a token for data", "explore", "page.c",
     "	m->tokens.data = w->tokens.data;\n", ""),
    ("request without a token for ACKs", "explore", "page.c",
     "	if (type == HK_DMSG_GET_X || (w->read_x && to == w->home))\n		m->tokens.ack = w->tokens.ack;\n", ""),
    ("one token for all requests", "explore", "page.c",
     "	m->tokens.data = w->tokens.data;\n", "	m->tokens.data = 7;\n"),
    ("one token for data and ACKs", "explore", "page.c",
     "		m->tokens.ack = w->tokens.ack;\n", "		m->tokens.ack = w->tokens.data;\n"),
    ("tokens of the request before kept", "unit", "page.c",
     "	ctx->tokens = m->tokens;\n", "	static struct hk_tokens kept;\n	if (!kept.data)\n		kept = m->tokens;\n	m->tokens = kept;\n	ctx->tokens = m->tokens;\n"),
    ("data without the token", "explore", "page.c",
     "	m->tokens.data = token;\n", ""),
    ("ACK without the token", "explore", "page.c",
     "	page_send(w, out, HK_DMSG_ACK, req)->tokens.ack = token;\n", "	page_send(w, out, HK_DMSG_ACK, req);\n	(void)token;\n"),
    ("recall takes the wrong token", "explore", "page.c",
     "ev == HK_EV_INV ? msg->tokens.ack :", "ev != HK_EV_INV ? msg->tokens.ack :"),

    ("reader not entered as a sharer", "explore", "directory.c",
     "	dir->sharers |= hk_node_bit(ask->req);\n	dir->busy", "	dir->busy"),
    ("entry not busy during a read", "explore", "directory.c",
     "	dir->busy = ask->req;\n	dir_forward(ask, out, HK_DMSG_FWD_S", "	dir_forward(ask, out, HK_DMSG_FWD_S"),
    ("entry not busy during a write", "explore", "directory.c",
     "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n	dir->busy = ask->req;\n", "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n"),
    ("entry not busy during an upgrade", "explore", "directory.c",
     "	if (hk_nodes_any(others) || !hk_dir_wait_empty(wait))\n		dir->busy = ask->req;\n	else", "	if (!hk_nodes_any(others))"),
    ("upgrade closed with ACKs missing", "explore", "directory.c",
     "if (hk_nodes_any(others) || !hk_dir_wait_empty(wait))", "if (!hk_dir_wait_empty(wait))"),
    ("upgrade does not recall the owner", "explore", "directory.c",
     "hk_nodes others = (dir->sharers | hk_node_bit(dir->owner) | ask->told) &", "hk_nodes others = dir->sharers &"),
    ("upgrade recalls the owner only", "explore", "directory.c",
     "hk_nodes others = (dir->sharers | hk_node_bit(dir->owner) | ask->told) &", "hk_nodes others = hk_node_bit(dir->owner) &"),
    ("upgrade does not recall anybody", "explore", "directory.c",
     "	dir_invalidate(ask, out, others);\n	m =", "	m ="),
    ("upgrade keeps the sharers", "explore", "directory.c",
     "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n	/* somebody", "	dir->owner = ask->req;\n	/* somebody"),
    ("upgrade keeps the owner", "explore", "directory.c",
     "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n	/* somebody", "	dir->sharers = HK_NODES_NONE;\n	/* somebody"),
    ("HAVE believed after an earlier writer", "explore", "directory.c",
     "else if (ask->have && hk_nodes_any(copies & hk_node_bit(ask->req)))", "else if (ask->have)"),
    ("HAVE not believed", "explore", "directory.c",
     "else if (ask->have && hk_nodes_any(copies & hk_node_bit(ask->req)))", "else if (0)"),
    ("upgrade given to a sharer that dropped its copy", "explore", "directory.c",
     "else if (ask->have && hk_nodes_any(copies & hk_node_bit(ask->req)))", "else if (hk_nodes_any(copies & hk_node_bit(ask->req)))"),
    ("write does not recall the sharers", "explore", "directory.c",
     "	dir_invalidate(ask, out, others);\n	dir_forward(", "	dir_forward("),
    ("write does not name the sharers", "explore", "directory.c",
     "dir_forward(ask, out, HK_DMSG_FWD_X, owner, others);", "dir_forward(ask, out, HK_DMSG_FWD_X, owner, 0);"),
    ("write recalls the requester", "explore", "directory.c",
     "& ~hk_node_bit(ask->req) &\n			  ~owner;", "& ~owner;"),
    ("write keeps the sharers", "explore", "directory.c",
     "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n	dir->busy = ask->req;\n", "	dir->owner = ask->req;\n	dir->busy = ask->req;\n"),
    ("write keeps the owner", "explore", "directory.c",
     "	dir->sharers = HK_NODES_NONE;\n	dir->owner = ask->req;\n	dir->busy = ask->req;\n", "	dir->sharers = HK_NODES_NONE;\n	dir->busy = ask->req;\n"),
    ("first touch makes no owner", "explore", "directory.c",
     "	dir->owner = ask->req;\n	dir_reply(ask, out, HK_DMSG_GRANT_X", "	dir_reply(ask, out, HK_DMSG_GRANT_X"),
    ("first touch left open", "explore", "directory.c",
     "HK_NODES_NONE)->flags =\n		HK_DMSG_F_NO_DONE;", "HK_NODES_NONE)->flags = 0;"),
    ("DONE starts nobody", "explore", "directory.c",
     "	if (!hk_dir_wait_empty(wait))\n		start_next(w->self, dir, wait, msg->gfn, wait->rd | wait->wr,\n			   HK_NODES_NONE, out);\n	else if", "	(void)start_next;\n	(void)out;\n	(void)wait;\n	if"),
    ("DONE leaves the entry busy", "explore", "directory.c",
     "	dir->busy = HK_NODE_NONE;\n", ""),
    ("reader served and still waiting", "explore", "directory.c",
     "	wait->rd &= ~bit;\n", ""),
    ("writer served and still waiting", "explore", "directory.c",
     "	wait->wr &= ~bit;\n", ""),
    ("HAVE outlives its request", "explore", "directory.c",
     "	wait->have &= ~bit;\n", ""),
    ("waiting writer taken for a reader", "explore", "directory.c",
     "		wait->wr |= bit;\n", "		wait->rd |= bit;\n"),
    ("waiting request lost", "explore", "directory.c",
     "		wait->rd |= bit;\n", "		;\n"),
    ("HAVE of a waiting request lost", "explore", "directory.c",
     "		wait->have |= bit;\n", "		;\n"),
    ("tokens of a waiting request lost", "explore", "directory.c",
     "	wait->tokens[ask->req] = ask->tokens;\n", ""),
    ("tokens of a waiting request outlive it", "explore", "directory.c",
     "	wait->tokens[req] = (struct hk_tokens){ 0 };\n", ""),
    ("sharers told the token for data", "explore", "directory.c",
     "	m->tokens.ack = ask->tokens.ack;\n", "	m->tokens = ask->tokens;\n"),
    ("owner told the token for ACKs", "explore", "directory.c",
     "	m->req = ask->req;\n	m->tokens.data = ask->tokens.data;\n", "	m->req = ask->req;\n	m->tokens = ask->tokens;\n"),
    ("grant without the token", "explore", "directory.c",
     "	m->tokens.data = ask->tokens.data;\n	return m;\n", "	return m;\n"),
    ("request served while the entry is busy", "explore", "directory.c",
     "	if (dir->busy == HK_NODE_NONE)\n		start(", "	if (dir->busy == HK_NODE_NONE || !ask->write)\n		start("),
    ("requester refused until home's own DONE came", "explore", "directory.c",
     "	if (dir->busy == HK_NODE_NONE)\n		start(", "	if (dir->busy == ask->req)\n		return -EPROTO;\n	if (dir->busy == HK_NODE_NONE)\n		start("),

    # faulty peers and fairness: not to be seen among nodes that keep the rules
    ("recall taken from any node", "unit", "page.c",
     "		return from_home && node_valid(msg->req) &&", "		return node_valid(msg->req) &&"),
    ("recall for oneself taken", "unit", "page.c",
     "		       msg->req != w->self &&\n", ""),
    ("grant taken from any node", "unit", "page.c",
     "		return from_home && acks_valid(msg->acks, w->self) &&", "		return acks_valid(msg->acks, w->self) &&"),
    ("NO_DONE taken from any node", "unit", "page.c",
     "(from_home || !(msg->flags & HK_DMSG_F_NO_DONE))", "1"),
    ("NO_DONE taken with ACKs missing", "unit", "page.c",
     "if (hk_nodes_any(msg->acks) && (msg->flags & HK_DMSG_F_NO_DONE))", "if (0)"),
    ("any number of ACKs of a node taken", "unit", "page.c",
     "if (hk_nodes_any(ctx->acks & from) != !!ctx->replied)", "if (0)"),
    ("two ACKs of a node taken before the reply", "unit", "page.c",
     "if (hk_nodes_any(ctx->acks & from) != !!ctx->replied)", "if (ctx->replied && !hk_nodes_any(ctx->acks & from))"),
    ("ACK of any node taken behind the reply", "unit", "page.c",
     "if (hk_nodes_any(ctx->acks & from) != !!ctx->replied)", "if (!ctx->replied && hk_nodes_any(ctx->acks & from))"),
    ("reply that does not name who said ACK taken", "unit", "page.c",
     "if (ctx->replied || hk_nodes_any(ctx->acks & ~msg->acks))", "if (ctx->replied)"),
    ("second reply taken", "unit", "page.c",
     "if (ctx->replied || hk_nodes_any(ctx->acks & ~msg->acks))", "if (hk_nodes_any(ctx->acks & ~msg->acks))"),
    ("recall after our own reply taken", "unit", "page.c",
     "return ctx->replied || hk_nodes_any(ctx->acks);", "return 0;"),
    ("token of data not looked at", "unit", "page.c",
     "return data && msg->tokens.data == data;", "return true;"),
    ("token of ACKs not looked at", "unit", "page.c",
     "return msg->tokens.ack == ctx->tokens.ack;", "return true;"),
    ("ACK known by the token for data", "unit", "page.c",
     "return msg->tokens.ack == ctx->tokens.ack;", "return msg->tokens.ack == ctx->tokens.ack || msg->tokens.ack == ctx->tokens.data;"),
    ("data known by the token for ACKs", "unit", "page.c",
     "return data && msg->tokens.data == data;", "return data && (msg->tokens.data == data || msg->tokens.data == ctx->tokens.ack);"),
    ("grant taken without the token", "unit", "page.c",
     "	case HK_EV_GRANT_X:\n	case HK_EV_LOST:\n		return data", "	case HK_EV_GRANT_X:\n		return true;\n	case HK_EV_LOST:\n		return data"),
    ("requester waits for itself", "unit", "page.c",
     "(hk_node_bit(HK_NODE_NONE) | hk_node_bit(req)));", "hk_node_bit(HK_NODE_NONE));"),
    ("requester waits for nobody's ACK", "unit", "page.c",
     "(hk_node_bit(HK_NODE_NONE) | hk_node_bit(req)));", "hk_node_bit(req));"),
    ("read forwarded with ACKs to wait for", "unit", "page.c",
     "		       (ev == HK_EV_FWD_X || !hk_nodes_any(msg->acks));", "		       1;"),
    ("grant without a copy taken", "unit", "page.c",
     "if (!(msg->flags & HK_DMSG_F_HAVE) == !act)", "if (0)"),
    ("message for another page taken", "unit", "page.c",
     "msg->gfn != w->gfn || ", ""),
    ("lowest id always first", "unit", "directory.c",
     "hk_nodes_word(set, i) & ~(((u64)2 << last % 64) - 1)", "hk_nodes_word(set, i)"),
    ("same id again", "unit", "directory.c",
     "((u64)2 << last % 64) - 1", "((u64)1 << last % 64) - 1"),
    ("lower ids first", "unit", "directory.c",
     "hk_nodes_word(set, i) & ~(((u64)2 << last % 64) - 1)", "hk_nodes_word(set, i) & (((u64)1 << last % 64) - 1)"),
    ("DONE taken in another's name", "unit", "directory.c",
     "if (msg->from != msg->req && msg->from != w->self)", "if (0)"),
    ("DONE taken from a node that did not ask", "unit", "directory.c",
     " || dir->busy != msg->req)", ")"),
    ("second request of a waiting node taken", "unit", "directory.c",
     "if (hk_nodes_any((wait->rd | wait->wr) & hk_node_bit(ask->req)))", "if (0)"),
    ("request of an owner without a copy taken", "unit", "directory.c",
     "if (ask->req == dir->owner && !ask->have)", "if (0)"),
    ("NO_DONE while somebody waits", "unit", "directory.c",
     "if (hk_nodes_any(others) || !hk_dir_wait_empty(wait))", "if (hk_nodes_any(others))"),
    ("owner recalled twice", "unit", "directory.c",
     "~hk_node_bit(ask->req) &\n			  ~owner;", "~hk_node_bit(ask->req);"),

    # where a vCPU lives
    ("target is HERE before the state is applied", "explore", "residency.c",
     ("{ 1, HK_RES_ARRIVING, HK_RES_ACT_WAKE,", "{ 1, HK_RES_HERE, HK_RES_ACT_WAKE,")),
    ("target does not begin a generation", "explore", "residency.c",
     ("		res->seq++;\n", "")),
    ("target keeps its interrupts after APPLIED", "explore", "residency.c",
     ("					HK_RES_ACT_INJECT | HK_RES_ACT_TELL_TAKEN |", "					HK_RES_ACT_TELL_TAKEN |")),
    ("target tells nobody", "explore", "residency.c",
     ("HK_RES_ACT_INJECT | HK_RES_ACT_TELL_TAKEN |", "HK_RES_ACT_INJECT |")),
    ("target that cannot apply says nothing", "explore", "residency.c",
     ("					     HK_RES_ACT_TELL_REFUSED |\n", "")),
    ("target that cannot apply keeps the interrupts", "explore", "residency.c",
     ("					     HK_RES_ACT_FORWARD |\n", "")),
    ("target that cannot apply runs it all the same", "explore", "residency.c",
     ("{ 1, HK_RES_AWAY,\n					     HK_RES_ACT_FORWARD", "{ 1, HK_RES_HERE,\n					     HK_RES_ACT_FORWARD")),
    ("source goes on before the answer", "explore", "residency.c",
     ("{ 1, HK_RES_LEAVING, 0 }", "{ 1, SAME, 0 }")),
    ("source is AWAY at once", "explore", "residency.c",
     ("{ 1, HK_RES_LEAVING, 0 }", "{ 1, HK_RES_AWAY, 0 }")),
    ("source keeps the interrupts after TAKEN", "explore", "residency.c",
     ("				      HK_RES_ACT_FORWARD | HK_RES_ACT_WAKE,\n				      .newer", "				      HK_RES_ACT_WAKE,\n				      .newer")),
    ("source injects after TAKEN", "explore", "residency.c",
     ("				      HK_RES_ACT_FORWARD | HK_RES_ACT_WAKE,\n				      .newer", "				      HK_RES_ACT_INJECT | HK_RES_ACT_WAKE,\n				      .newer")),
    ("source goes on after TAKEN", "explore", "residency.c",
     ("{ 1, HK_RES_AWAY,\n				      HK_RES_ACT_FORWARD | HK_RES_ACT_WAKE,", "{ 1, HK_RES_HERE,\n				      HK_RES_ACT_FORWARD | HK_RES_ACT_WAKE,")),
    ("source takes old news for the answer", "explore", "residency.c",
     (".newer = 1, .heir = 1", ".heir = 1")),
    ("source hears its target only", "explore", "residency.c",
     (".newer = 1, .heir = 1", ".match = 1")),
    ("source gives up after a refusal", "explore", "residency.c",
     ("{ 1, HK_RES_HERE,\n					HK_RES_ACT_INJECT | HK_RES_ACT_WAKE,\n					.match", "{ 1, HK_RES_AWAY,\n					HK_RES_ACT_INJECT | HK_RES_ACT_WAKE,\n					.match")),
    ("source keeps the interrupts after a refusal", "explore", "residency.c",
     ("					HK_RES_ACT_INJECT | HK_RES_ACT_WAKE,\n					.match", "					HK_RES_ACT_WAKE,\n					.match")),
    ("source keeps the interrupts after a failed capture", "explore", "residency.c",
     ("				       HK_RES_ACT_INJECT | HK_RES_ACT_WAKE },\n		[HK_RES_EV_STATE]", "				       HK_RES_ACT_WAKE },\n		[HK_RES_EV_STATE]")),
    ("old news believed", "explore", "residency.c",
     ("{ 1, SAME, HK_RES_ACT_WAKE, .newer = 1 }", "{ 1, SAME, HK_RES_ACT_WAKE }")),
    ("news not believed", "explore", "residency.c",
     ("old == HK_RES_LEAVING || old == HK_RES_AWAY", "old == HK_RES_LEAVING")),
    ("generation of news forgotten", "explore", "residency.c",
     ("			res->seq = seq;\n", "")),
    ("old TAKEN is a protocol error", "explore", "residency.c",
     ("[HK_RES_EV_TAKEN] = { 1, SAME, 0 },\n		[HK_RES_EV_REFUSED] = { 1, SAME, 0 },\n	},\n	[HK_RES_LEAVING]", "[HK_RES_EV_REFUSED] = { 1, SAME, 0 },\n	},\n	[HK_RES_LEAVING]")),
    ("generations do not wrap", "explore", "residency.c",
     ("rule->newer && (s32)(seq - res->seq) <= 0", "rule->newer && seq <= res->seq")),
    ("refusal leaves the target's name", "explore", "residency.c",
     ("		if (res->state == HK_RES_HERE)\n			res->node = self;\n", "		(void)self;\n")),
    ("anybody's TAKEN of the next generation counts", "unit", "residency.c",
     ("rule->heir && seq == res->seq + 1 && peer != res->node", "0")),
    ("anybody's refusal counts", "unit", "residency.c",
     ("rule->match && (peer != res->node || seq != res->seq + 1)", "rule->match && seq != res->seq + 1")),
    ("refusal of any generation counts", "unit", "residency.c",
     ("rule->match && (peer != res->node || seq != res->seq + 1)", "rule->match && peer != res->node")),
    ("stale state is not answered", "unit", "residency.c",
     ("(*act = HK_RES_ACT_TELL_REFUSED, 0) : 0", "0 : 0")),
    ("edge is kept as level, too", "explore", "pending.c",
     ("			p->edge[irq->vector / 64] |= (u64)1 << (irq->vector % 64);\n", "			p->edge[irq->vector / 64] |= (u64)1 << (irq->vector % 64);\n			p->lvl[irq->vector / 64] |= (u64)1 << (irq->vector % 64);\n			if (0)\n")),
    ("vector comes out twice", "explore", "pending.c",
     ("			set[i / 64] &= ~bit;\n", "			if (i & 1)\n				set[i / 64] ^= bit >> 1;\n			else\n				set[i / 64] &= ~bit;\n")),
    ("lowest word is forgotten", "explore", "pending.c",
     ("for (i = 255; i >= 0; i--)", "for (i = 255; i >= 64; i--)")),
    ("level comes out as edge", "explore", "pending.c",
     ("	irq->trig = 1;\n", "")),
    ("one NMI only", "explore", "pending.c",
     ("if (p->nmi < 2)", "if (p->nmi < 1)")),
    ("all NMIs come out as one", "explore", "pending.c",
     ("		p->nmi--;\n", "		p->nmi = 0;\n")),
    ("SIPI comes out before INIT", "unit", "pending.c",
     ("	if (p->init) {", "	if (p->init && !p->sipi) {")),
    ("INIT does not void a SIPI", "unit", "pending.c",
     ("		p->init = 1;\n		p->sipi = 0;\n", "		p->init = 1;\n")),
    ("INIT lost", "explore", "pending.c",
     ("		p->init = 1;\n", "")),
    ("SIPI vector lost", "explore", "pending.c",
     ("		irq->vector = p->sipi_vector;\n", "")),
    ("trigger mode of the first one counts", "unit", "pending.c",
     ("			p->edge[irq->vector / 64] &= ~((u64)1 << (irq->vector % 64));\n", "")),
    ("nobody waits for a kept INIT", "explore", "pending.c",
     ("		p->init_waiters |= p->sipi_waiters | irq->waiters;\n", "		p->init_waiters |= p->sipi_waiters;\n")),
    ("nobody waits for a kept SIPI", "explore", "pending.c",
     ("		p->sipi_waiters |= irq->waiters;\n", "")),
    ("who waits for a void SIPI waits for ever", "explore", "pending.c",
     ("p->sipi_waiters | irq->waiters;", "irq->waiters;")),
    ("INIT is waited for by the last one only", "explore", "pending.c",
     ("p->init_waiters |= p->sipi_waiters | irq->waiters;", "p->init_waiters = p->sipi_waiters | irq->waiters;")),
    ("SIPI is waited for by the last one only", "explore", "pending.c",
     ("		p->sipi_waiters |= irq->waiters;\n", "		p->sipi_waiters = irq->waiters;\n")),
    ("ACCEPTED lost", "explore", "pending.c",
     ("		p->accepted |= (u64)1 << (irq->vector % 64);\n", "")),
    ("one ACCEPTED only", "unit", "pending.c",
     ("		p->accepted &= p->accepted - 1;\n", "		p->accepted = 0;\n")),
    # what kmod does around it
    ("raiser of INIT runs on before it was accepted", "explore", "model.res",
     ("	if (r->waits)\n		return false;\n", "")),
    ("refusal at once is not told", "explore", "model.res",
     ("			return put(w, self, from, no);\n", "			(void)no;\n			return NULL;\n")),
    ("LEAVING delivers to its LAPIC", "explore", "model.res",
     ("	if (hk_res_keeps(res))\n		return keep", "	if (res->state == HK_RES_ARRIVING)\n		return keep")),
    ("wish during a handoff is dropped with it", "explore", "model.res",
     ("	case DO_LEFT:\n		n->runner = RUN_IDLE;\n		return want_check(w, h->node);", "	case DO_LEFT:\n		n->runner = RUN_IDLE;\n		return NULL;")),
    ("the VMM calls once", "explore", "model.res",
     ("!c.recalls && !c.wishes)", "!c.recalls && !c.wishes && 0)")),

    # orders of accesses to two pages
    ("ACKs not waited for, in order of accesses", "litmus", "page.c",
     "if (!ctx->replied || hk_nodes_any(ctx->acks))", "if (!ctx->replied)"),
    ("SHARED writes without asking, in order of accesses", "litmus", "page.c",
     row("SHARED", "WRITE", "EDGE(SHARED_WR, GET_X_HAVE, 0)", "EDGE(EXCLUSIVE, NOTHING, 0)")),
    ("EXCLUSIVE stays writable, in order of accesses", "litmus", "page.c",
     row("EXCLUSIVE", "FWD_S", "EDGE(EXCLUSIVE_DOWN, RECALL, DOWN)", "EDGE(EXCLUSIVE, DATA_S, 0)")),
    ("write does not recall the sharers, in order of accesses", "litmus", "directory.c",
     "	dir_invalidate(ask, out, others);\n	dir_forward(", "	dir_forward("),
    # loss of a node: messages by their epoch
    ("old messages taken", "loss", "recover.c",
     "		return HK_REC_ABSORB;\n	return HK_REC_DROP;\n", "		return HK_REC_ABSORB;\n	return HK_REC_TAKE;\n"),
    ("old messages of the page protocol taken", "loss", "recover.c",
     "		return HK_REC_ABSORB;\n	return HK_REC_DROP;\n", "		return HK_REC_ABSORB;\n	return type < HK_DMSG_NR ? HK_REC_TAKE : HK_REC_DROP;\n"),
    ("old messages of a recovery taken", "loss", "recover.c",
     "		return HK_REC_ABSORB;\n	return HK_REC_DROP;\n", "		return HK_REC_ABSORB;\n	return type < HK_DMSG_NR ? HK_REC_DROP : HK_REC_TAKE;\n"),
    ("old recalls absorbed", "unit", "recover.c",
     "	       type == HK_DMSG_GRANT_X;\n", "	       type == HK_DMSG_GRANT_X || type == HK_DMSG_FWD_X;\n"),
    ("replies of the dead absorbed", "unit", "recover.c",
     "	if (!is_member(r, from))\n		return HK_REC_DROP;\n", ""),
    ("messages of the dead taken, whatever their epoch", "loss", "recover.c",
     "	if (!is_member(r, from))\n		return HK_REC_DROP;\n", "	if (!is_member(r, from))\n		return type < HK_DMSG_NR ? HK_REC_TAKE : HK_REC_DROP;\n"),
    ("later messages dropped", "loss", "recover.c",
     "		return HK_REC_LATER;\n", "		return HK_REC_DROP;\n"),
    ("later messages taken", "loss", "recover.c",
     "		return HK_REC_LATER;\n", "		return HK_REC_TAKE;\n"),
    ("replies under way dropped", "loss", "recover.c",
     "	if (r->step == HK_REC_FREEZE && epoch == r->ran && is_reply(type) &&", "	if (0 && is_reply(type) &&"),
    ("DATA_S under way dropped", "loss", "recover.c",
     "	return type == HK_DMSG_DATA_S || type == HK_DMSG_DATA_X ||", "	return type == HK_DMSG_DATA_X ||"),
    ("DATA_X under way dropped", "loss", "recover.c",
     "	return type == HK_DMSG_DATA_S || type == HK_DMSG_DATA_X ||", "	return type == HK_DMSG_DATA_S ||"),
    ("GRANT_X under way dropped", "loss", "recover.c",
     "	       type == HK_DMSG_GRANT_X;\n", "	       0;\n"),
    ("replies of the epoch before only", "loss", "recover.c",
     "epoch == r->ran && is_reply", "epoch + 1 == r->epoch && is_reply"),
    ("epoch in which it ran forgotten", "loss", "recover.c",
     "	if (r->step == HK_REC_RUN)\n		r->ran = r->epoch;\n", ""),
    ("nothing answered before the thaw", "loss", "recover.c",
     "	return r->step == HK_REC_RUN ||\n	       (r->step == HK_REC_PAGES &&\n		(r->marks & hk_node_bit(r->self)));", "	return r->step == HK_REC_RUN;"),
    # its steps
    ("only this node's own mark waited for", "loss", "recover.c",
     "	if (err || r->marks != r->members)", "	if (err || !(r->marks & hk_node_bit(r->self)))"),
    ("this node's own mark not waited for", "loss", "recover.c",
     "	if (err || r->marks != r->members)", "	if (err || (r->marks | hk_node_bit(r->self)) != r->members)"),
    ("one mark is enough", "loss", "recover.c",
     "	if (err || r->marks != r->members)", "	if (err || !r->marks)"),
    ("the dead waited for", "loss", "recover.c",
     "	r->members = in->members;\n", ""),
    ("new epoch not noted", "loss", "recover.c",
     "	r->epoch = in->epoch;\n", ""),
    ("marks of the epoch before count", "loss", "recover.c",
     "	r->epoch = in->epoch;\n	r->marks = 0;\n", "	r->epoch = in->epoch;\n	r->marks &= r->members;\n"),
    ("early marks of the epoch before count", "loss", "recover.c",
     "	r->marks = 0;\n	r->early = 0;\n	return 0;", "	r->marks = 0;\n	r->early &= r->members;\n	return 0;"),
    ("early marks forgotten", "loss", "recover.c",
     "	r->marks = r->early;\n", "	r->marks = 0;\n"),
    ("early marks count twice", "loss", "recover.c",
     "	r->marks = r->early;\n	r->early = 0;\n", "	r->marks = r->early;\n"),
    ("marks are not sent", "loss", "recover.c",
     "	out->mark_to = r->members & ~self;\n", ""),
    ("no barrier behind FREEZE", "loss", "recover.c",
     edge("RUN", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)", "EDGE(DIRECTORY, BEGIN, FREEZE | LEARN | REPORT)")),
    ("OWNERS left out", "loss", "recover.c",
     ("EDGE(OWNERS, OWN, DECIDE),\n		[HK_REC_EV_MARK]	= EDGE(OWNERS, PEER, DECIDE)", "EDGE(PAGES, OWN, DECIDE | FORGET),\n		[HK_REC_EV_MARK]	= EDGE(PAGES, PEER, DECIDE | FORGET)")),
    ("PAGES left out", "loss", "recover.c",
     ("EDGE(PAGES, OWN, FORGET),\n		[HK_REC_EV_MARK]	= EDGE(PAGES, PEER, FORGET)", "EDGE(RUN, OWN, FORGET | THAW),\n		[HK_REC_EV_MARK]	= EDGE(RUN, PEER, FORGET | THAW)")),
    ("nothing learned from the old directory", "loss", "recover.c",
     edge("RUN", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)", "EDGE(FREEZE, BEGIN, FREEZE)")),
    ("learned from a directory in FREEZE", "loss", "recover.c",
     edge("FREEZE", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE)", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)")),
    ("learned from a directory being built", "loss", "recover.c",
     edge("DIRECTORY", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE)", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)")),
    ("learned from a directory not decided", "loss", "recover.c",
     "		if (r->step == HK_REC_OWNERS && !decided)\n			out->act &= ~HK_REC_ACT_LEARN;\n", "		(void)decided;\n"),
    ("nothing learned in OWNERS", "loss", "recover.c",
     edge("OWNERS", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)", "EDGE(FREEZE, BEGIN, FREEZE)")),
    ("nothing learned in PAGES", "loss", "recover.c",
     edge("PAGES", "EPOCH", "EDGE(FREEZE, BEGIN, FREEZE | LEARN)", "EDGE(FREEZE, BEGIN, FREEZE)")),
    ("forgotten a step early", "loss", "recover.c",
     ("EDGE(OWNERS, OWN, DECIDE),\n		[HK_REC_EV_MARK]	= EDGE(OWNERS, PEER, DECIDE)", "EDGE(OWNERS, OWN, DECIDE | FORGET),\n		[HK_REC_EV_MARK]	= EDGE(OWNERS, PEER, DECIDE | FORGET)")),
    ("forgotten a step late", "loss", "recover.c",
     ("EDGE(PAGES, OWN, FORGET),\n		[HK_REC_EV_MARK]	= EDGE(PAGES, PEER, FORGET)", "EDGE(PAGES, OWN, 0x40),\n		[HK_REC_EV_MARK]	= EDGE(PAGES, PEER, 0x40)"),
     ("EDGE(RUN, OWN, THAW),\n		[HK_REC_EV_MARK]	= EDGE(RUN, PEER, THAW)", "EDGE(RUN, OWN, FORGET | THAW),\n		[HK_REC_EV_MARK]	= EDGE(RUN, PEER, FORGET | THAW)")),
    # its pages and entries
    ("data with ACKs missing given up", "loss", "recover.c",
     "	if (*state == HK_PG_INVALID_WR && ctx->replied) {", "	if (0) {"),
    ("data with ACKs missing taken for exclusive", "loss", "recover.c",
     "		next = HK_PG_OWNED;\n		report = HK_REPORT_OWNED;\n", "		next = HK_PG_EXCLUSIVE;\n		report = HK_REPORT_EXCLUSIVE;\n"),
    ("data with ACKs missing not reported", "loss", "recover.c",
     "		report = HK_REPORT_OWNED;\n", "		report = HK_REPORT_NOTHING;\n"),
    ("settled page keeps its context", "loss", "recover.c",
     "	*state = next;\n	*ctx = (struct hk_page_ctx){ 0 };\n	return report;", "	*state = next;\n	return report;"),
    ("request survives", "loss", "recover.c",
     "[HK_PG_INVALID_RD]	= { HK_PG_INVALID,", "[HK_PG_INVALID_RD]	= { HK_PG_INVALID_RD,"),
    ("recalled read copy given up", "loss", "recover.c",
     "[HK_PG_SHARED_TAKE]	= { HK_PG_SHARED, HK_REPORT_SHARED }", "[HK_PG_SHARED_TAKE]	= { HK_PG_INVALID, HK_REPORT_NOTHING }"),
    ("recalled page given up", "loss", "recover.c",
     "[HK_PG_EXCLUSIVE_TAKE]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE }", "[HK_PG_EXCLUSIVE_TAKE]	= { HK_PG_INVALID, HK_REPORT_NOTHING }"),
    ("read copy reported as owned", "loss", "recover.c",
     "[HK_PG_SHARED]		= { HK_PG_SHARED, HK_REPORT_SHARED }", "[HK_PG_SHARED]		= { HK_PG_OWNED, HK_REPORT_OWNED }"),
    ("read copy not reported", "loss", "recover.c",
     "[HK_PG_SHARED]		= { HK_PG_SHARED, HK_REPORT_SHARED }", "[HK_PG_SHARED]		= { HK_PG_SHARED, HK_REPORT_NOTHING }"),
    ("upgrading sharer not reported", "loss", "recover.c",
     "[HK_PG_SHARED_WR]	= { HK_PG_SHARED, HK_REPORT_SHARED }", "[HK_PG_SHARED_WR]	= { HK_PG_SHARED, HK_REPORT_NOTHING }"),
    ("upgrading sharer writes on", "loss", "recover.c",
     "[HK_PG_SHARED_WR]	= { HK_PG_SHARED, HK_REPORT_SHARED }", "[HK_PG_SHARED_WR]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE }"),
    ("upgrading owner writes on", "loss", "recover.c",
     "[HK_PG_OWNED_WR]	= { HK_PG_OWNED, HK_REPORT_OWNED }", "[HK_PG_OWNED_WR]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE }"),
    ("page being write-protected given up", "loss", "recover.c",
     "[HK_PG_EXCLUSIVE_DOWN]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE }", "[HK_PG_EXCLUSIVE_DOWN]	= { HK_PG_SHARED, HK_REPORT_NOTHING }"),
    ("wanted page taken for a read copy", "loss", "recover.c",
     "[HK_PG_INVALID_WR]	= { HK_PG_INVALID, HK_REPORT_NOTHING }", "[HK_PG_INVALID_WR]	= { HK_PG_SHARED, HK_REPORT_SHARED }"),
    ("report of a sharer forgotten", "loss", "recover.c",
     "	else if (copy)\n		rd->sharers |= bit;\n", ""),
    ("last report of a sharer counts", "loss", "recover.c",
     "		rd->sharers |= bit;\n", "		rd->sharers = bit;\n"),
    ("report of the owner forgotten", "loss", "recover.c",
     "		rd->owner = from;\n", "		;\n"),
    ("owner taken for a sharer", "loss", "recover.c",
     "	if (copy >= HK_REPORT_OWNED)\n		rd->owner = from;\n	else if (copy)", "	if (copy > HK_REPORT_OWNED)\n		rd->owner = from;\n	else if (copy)"),
    ("untouched page taken for lost", "loss", "recover.c",
     "		rd->untouched = 1;\n", "		;\n"),
    ("lost page taken for untouched", "loss", "recover.c",
     "	if (!rd->untouched)\n		dir->flags", "	if (0)\n		dir->flags"),
    ("lost page taken for untouched when nobody knows", "loss", "recover.c",
     "	if (!rd->untouched)\n		dir->flags", "	if (!rd->untouched && !rd->heard)\n		dir->flags"),
    ("every page without a copy lost", "loss", "recover.c",
     "	if (!rd->untouched)\n		dir->flags", "	if (1)\n		dir->flags"),
    ("sharers of an owner forgotten", "loss", "recover.c",
     "		dir->owner = rd->owner;\n		dir->sharers = rd->sharers;\n", "		dir->owner = rd->owner;\n"),
    ("pages of a lost owner lost", "loss", "recover.c",
     "	if (rd->sharers) {\n		/*", "	if (0) {\n		/*"),
    ("any member made owner", "loss", "recover.c",
     "		dir->owner = __builtin_ctzll(rd->sharers);", "		dir->owner = __builtin_ctzll(rd->heard);"),
    ("new owner not told", "loss", "recover.c",
     "		return dir->owner;\n", "		return HK_NODE_NONE;\n"),
    ("new owner stays among the sharers", "loss", "recover.c",
     "		dir->sharers = rd->sharers & (rd->sharers - 1);\n", "		dir->sharers = rd->sharers;\n"),
    ("other sharers forgotten", "loss", "recover.c",
     "		dir->sharers = rd->sharers & (rd->sharers - 1);\n", "		dir->sharers = 0;\n"),
    ("new owner does not become one", "loss", "recover.c",
     "	*state = HK_PG_OWNED;\n	return 0;", "	return 0;"),
    ("new owner may write", "loss", "recover.c",
     "	*state = HK_PG_OWNED;\n	return 0;", "	*state = HK_PG_EXCLUSIVE;\n	return 0;"),
    # lost pages
    ("lost page granted as zeros", "loss", "directory.c",
     "	if (dir->flags & HK_DIR_F_LOST)\n		start_lost", "	if (0)\n		start_lost"),
    ("lost page not answered", "loss", "directory.c",
     "	dir_reply(ask, out, HK_DMSG_LOST, HK_NODES_NONE);\n", "	(void)ask;\n	(void)out;\n"),
    ("reader of a lost page sleeps on", "loss", "page.c",
     row("INVALID_RD", "LOST", "EDGE(INVALID, LOST, LOST | WAKE)", "EDGE(INVALID, LOST, LOST)")),
    ("writer of a lost page sleeps on", "loss", "page.c",
     row("INVALID_WR", "LOST", "EDGE(INVALID, LOST, LOST | WAKE)", "EDGE(INVALID, LOST, LOST)")),
    ("reader of a lost page goes on asking", "loss", "page.c",
     row("INVALID_RD", "LOST", "EDGE(INVALID, LOST, LOST | WAKE)", "EDGE(INVALID_RD, LOST, LOST | WAKE)")),
    ("reader of a lost page gets zeros", "loss", "page.c",
     row("INVALID_RD", "LOST", "EDGE(INVALID, LOST, LOST | WAKE)", "EDGE(SHARED, LOST, ZERO | WAKE)")),
    # what the caller does
    ("recalls go on in a recovery", "loss", "model.loss",
     "	return running(n) || (n->rec.step == HK_REC_PAGES && !n->work);", "	return n->rec.step || 1;"),
    ("faults go on in a recovery", "loss", "model.loss",
     "	if (!running(n))\n		return NULL;\n	return page_event", "	return page_event"),
    ("read copies dropped in a recovery", "loss", "model.loss",
     "	if (n->state == HK_PG_SHARED && running(n)) {", "	if (n->state == HK_PG_SHARED) {"),
    ("what is being built is not thrown away", "loss", "model.loss",
     "	n->build = (struct hk_recover_dir){ 0 };\n}", "}"),
    ("waiting requests are kept", "loss", "model.loss",
     "	n->wait = (struct hk_dir_wait){ 0 };\n", ""),
    ("old directory is kept by who is home no more", "loss", "model.loss",
     "		n->known = hk_recover_untouched(&n->dir);\n	/*", "		n->known = 1;\n	/*"),
    ("nothing is forgotten", "loss", "model.loss",
     "	if (act & HK_REC_ACT_FORGET)\n		n->known = 0;\n", ""),
    ("reports go to the home of the first epoch", "loss", "model.loss",
     "	u8 home = w->home[n->rec.epoch];\n	struct cell cell = { .type = HK_RMSG_REPORT };", "	u8 home = w->home[1];\n	struct cell cell = { .type = HK_RMSG_REPORT };"),
    ("replies absorbed from the new home", "loss", "model.loss",
     "w->home[w->n[to].rec.ran]", "w->home[w->n[to].rec.epoch]"),
    ("what comes out of an old reply is sent", "loss", "model.loss",
     "			  cell->val, true);\n}\n\nstatic void freeze", "			  cell->val, false);\n}\n\nstatic void freeze"),
    ("thaw wakes nobody", "loss", "model.loss",
     "	if (out.act & HK_REC_ACT_THAW) {\n		n->asleep = 0;\n", "	if (out.act & HK_REC_ACT_THAW) {\n"),
    ("home does not tell the new owner", "loss", "model.loss",
     "	if (owner == HK_NODE_NONE)\n		return NULL;\n", "	if (owner != self)\n		return NULL;\n"),
    # faulty peers, and rules that other rules make good for
    ("an epoch used again", "unit", "recover.c",
     "in->epoch <= r->epoch ||", "in->epoch < r->epoch ||"),
    ("members become more", "unit", "recover.c",
     " || (in->members & ~r->members))", ")"),
    ("goes on without being a member", "unit", "recover.c",
     "	if (!(in->members & hk_node_bit(r->self)))", "	if (0)"),
    ("replies absorbed in any step", "unit", "recover.c",
     "	if (r->step == HK_REC_FREEZE && epoch == r->ran", "	if (epoch == r->ran"),
    ("replies of any epoch absorbed", "unit", "recover.c",
     "epoch == r->ran && is_reply", "is_reply"),
    ("replies behind a mark absorbed", "unit", "recover.c",
     " is_reply(type) &&\n	    !(r->marks & hk_node_bit(from)))", " is_reply(type))"),
    ("marks of other members counted", "unit", "recover.c",
     " ||\n	    in->members != r->members)", ")"),
    ("marks in any order", "unit", "recover.c",
     "	if (in->step != peer_step(r, in->from))", "	if (0)"),
    ("marks behind a barrier not reached", "unit", "recover.c",
     "		if (!(r->marks & self))\n			return -EPROTO;\n", "		(void)self;\n"),
    ("work of another step counts", "unit", "recover.c",
     "in->epoch != r->epoch || in->step != r->step ||", "in->epoch != r->epoch ||"),
    ("work of another epoch counts", "unit", "recover.c",
     "if (in->epoch != r->epoch || in->step", "if (in->step"),
    ("reports taken in any step", "unit", "recover.c",
     "		return peer_step(r, from) == HK_REC_DIRECTORY;", "		return true;"),
    ("owners named in any step", "unit", "recover.c",
     "		return peer_step(r, from) == HK_REC_OWNERS;", "		return true;"),
    ("requests taken in any step", "unit", "recover.c",
     "	return r->step == HK_REC_RUN ||\n	       (r->step", "	return true || (r->step"),
    ("two owners reported", "unit", "recover.c",
     "	if (copy >= HK_REPORT_OWNED && rd->owner)\n		return -EPROTO;\n", ""),
    ("exclusive and shared reported", "unit", "recover.c",
     "	if (copy == HK_REPORT_EXCLUSIVE && rd->sharers)\n		return -EPROTO;\n", ""),
    ("untouched and there reported", "unit", "recover.c",
     "	if (untouched && (rd->owner || rd->sharers))\n		return -EPROTO;\n", ""),
    ("one node reports twice", "unit", "recover.c",
     "	if (rd->heard & bit)\n		return -EPROTO;\n", ""),
    ("owner without a copy", "unit", "recover.c",
     "	if (*state != HK_PG_SHARED)\n		return -EPROTO;\n", ""),
    ("LOST taken from any node", "unit", "page.c",
     "		return from_home && !hk_nodes_any(msg->acks) && !msg->flags &&", "		return !hk_nodes_any(msg->acks) && !msg->flags &&"),
    ("LOST after data taken", "unit", "page.c",
     "	case DO_LOST:\n		if (page_served_now(ctx))\n			return -EPROTO;\n", "	case DO_LOST:\n"),
    ("copy of a lost page believed", "unit", "directory.c",
     "	if ((dir->flags & HK_DIR_F_LOST) && ask->have)\n		return -EPROTO;\n", ""),

    # what a peer says
    ("message of any length taken", "unit", "wire.c",
     "if (len != sizeof(*body))", "if (len > sizeof(*body))"),
    ("last reserved byte not looked at", "unit", "wire.c",
     " || body->reserved[2])", ")"),
    ("type behind the last one taken", "unit", "wire.c",
     "m->type >= HK_DMSG_NR", "m->type > HK_DMSG_NR"),
    ("type 0 taken", "unit", "wire.c",
     "m->type == HK_DMSG_NONE || ", ""),
    ("page behind the last one taken", "unit", "wire.c",
     "m->gfn >= facts->ram_pages", "m->gfn > facts->ram_pages"),
    ("gfn cut to 32 bits", "unit", "wire.c",
     "if (m->gfn >= ", "if ((u32)m->gfn >= "),
    ("message of a stranger taken", "unit", "wire.c",
     "	if (!is_member(facts, m->from))\n		return \"not a member\";\n", ""),
    ("node id cut to six bits", "unit", "wire.c",
     "node != HK_NODE_NONE && node < HK_MAX_NODES &&\n	       hk_nodes_any(facts->members & hk_node_bit(node))",
     "node != HK_NODE_NONE &&\n	       hk_nodes_any(facts->members & hk_node_bit(node % 64))"),
    ("requester need not be a member", "unit", "wire.c",
     "m->req != HK_NODE_NONE && !is_member(facts, m->req)", "0"),
    ("ACK of a stranger taken", "unit", "wire.c",
     "hk_nodes_any(m->acks & ~facts->members)", "0"),
    ("unknown flag taken for a known one", "unit", "wire.c",
     "m->flags & ~(HK_DMSG_F_HAVE | HK_DMSG_F_NO_DONE |\n			 (facts->lend ? HK_DMSG_F_RULER |\n					 HK_DMSG_F_STEADY : 0))", "0"),
    ("flag that the type has not", "unit", "wire.c",
     "m->flags & ~rule->flags", "0"),
    ("content not looked at", "unit", "wire.c",
     "if (!why && !content_valid(&rules[m->type], body, page))", "if (0)"),
    ("page need not have come", "unit", "wire.c",
     "return wanted && page && !body->fill;", "return wanted && !body->fill;"),
    ("word beside a page", "unit", "wire.c",
     "return wanted && page && !body->fill;", "return wanted && page;"),
    ("page beside a word", "unit", "wire.c",
     "return wanted && !page;", "return wanted;"),
    ("page that was not told of", "unit", "wire.c",
     "return !wanted && !page && !body->fill;", "return !wanted && !body->fill;"),
    ("data without content", "unit", "wire.c",
     "return !wanted && !page && !body->fill;", "return !page && !body->fill;"),
    ("any node taken for home", "unit", "wire.c",
     "if (home != facts->self)\n			return", "if (0)\n			return"),
    ("any sender taken for home", "unit", "wire.c",
     "if (home != peer)\n			return", "if (0)\n			return"),
    ("requester where there is none", "unit", "wire.c",
     "		if (m->req != HK_NODE_NONE)\n			return", "		if (0)\n			return"),
    ("DONE in another's name", "unit", "wire.c", "if (m->req != peer)", "if (0)"),
    ("recall for nobody", "unit", "wire.c",
     "		if (m->req == HK_NODE_NONE)\n			return", "		if (0)\n			return"),
    ("acks where there are none", "unit", "wire.c",
     "!(rule->has & HAS_ACKS) && hk_nodes_any(m->acks)", "0"),
    ("requester to wait for itself", "unit", "wire.c",
     "hk_nodes_any(m->acks & hk_node_bit(m->req))", "0"),
    ("token for data where there is none", "unit", "wire.c",
     "(!(rule->has & HAS_DATA_TOKEN) && m->tokens.data)", "0"),
    ("token for ACKs where there is none", "unit", "wire.c",
     "(!(rule->has & HAS_ACK_TOKEN) && m->tokens.ack)", "0"),
    ("GRANT_X must not name ACKs", "explore", "wire.c",
     "RULE(PEER, NONE, DATA | ACKS, HAVE | NO_DONE)",
     "RULE(PEER, NONE, DATA, HAVE | NO_DONE)"),
    ("DATA_S must not say NO_DONE", "explore", "wire.c",
     "RULE(NONE, NONE, DATA | CONTENT, NO_DONE | RULER)",
     "RULE(NONE, NONE, DATA | CONTENT, RULER)"),
    ("DONE must come from home", "explore", "wire.c",
     "RULE(SELF_LENT, PEER, 0, 0)", "RULE(PEER, PEER, 0, 0)"),
    ("last range of homes forgotten", "unit", "wire.c",
     "high = homes->nr;", "high = homes->nr - 1;"),
    ("first page of a range in the one before", "unit", "wire.c",
     "homes->range[mid].first <= gfn", "homes->range[mid].first < gfn"),
    ("FWD_S may name acks", "unit", "wire.c",
     "[HK_DMSG_FWD_S]	  = RULE(PEER, MEMBER, DATA | CHECK, 0)",
     "[HK_DMSG_FWD_S]	  = RULE(PEER, MEMBER, DATA | ACKS | CHECK, 0)"),
    ("INV from any node", "unit", "wire.c",
     "RULE(PEER_LENT, MEMBER, ACK, RULER)", "RULE(NONE, MEMBER, ACK, RULER)"),
    ("GRANT_X from any node", "unit", "wire.c",
     "RULE(PEER, NONE, DATA | ACKS, HAVE | NO_DONE)",
     "RULE(NONE, NONE, DATA | ACKS, HAVE | NO_DONE)"),
    ("DONE by anybody", "unit", "wire.c",
     "RULE(SELF_LENT, PEER, 0, 0)", "RULE(SELF_LENT, MEMBER, 0, 0)"),

    # groups
    ("request that says HAVE waits", "unit", "group.c",
     "return type_may(m->type) && !m->flags && ", "return type_may(m->type) && "),
    ("FWD_X with acks waits", "unit", "group.c",
     " && !hk_nodes_any(m->acks)", ""),
    ("any message waits", "unit", "group.c",
     "return type_may(m->type) && ", "return "),
    ("group for two receivers", "unit", "group.c", "g->to != to || ", ""),
    ("group for two requesters", "unit", "group.c", "g->req != m->req || ", ""),
    ("group of two types", "unit", "group.c", "g->type != m->type ||", "0 ||"),
    ("page far away in a group", "unit", "group.c",
     "at >= HK_PAGE_GROUP_MAX", "(u32)at >= HK_PAGE_GROUP_MAX"),
    ("page before the first in a group", "unit", "group.c",
     "m->gfn - g->gfn;", "m->gfn > g->gfn ? m->gfn - g->gfn : g->gfn - m->gfn;"),
    ("pages of a group in any order", "unit", "group.c",
     "g->map >> at)", "g->map >> at & 1)"),
    ("page twice in a group", "unit", "group.c",
     "g->map >> at)", "g->map >> at >> 1)"),
    ("tokens for ACKs left out", "unit", "group.c",
     "if (tokens_each(g->type) == 2)", "if (0)"),
    ("tokens stay behind when a page leaves", "unit", "group.c",
     "g->tokens[i] = g->tokens[i + 1];", ";"),
    ("gap not closed when a page leaves", "unit", "group.c",
     "	while (!(g->map & 1)) {", "	if (!(g->map & 1)) {"),
    ("group without its first page", "unit", "group.c",
     "if (!(map & 1))", "if (!map)"),
    ("empty group", "unit", "group.c", "if (!(map & 1))", "if (0)"),
    ("group of any type", "unit", "group.c", "if (!type_may(body->dtype))", "if (0)"),
    ("group longer than its map", "unit", "group.c",
     "if (len != sizeof(*body) +", "if (len < sizeof(*body) +"),
    ("group shorter than its map", "unit", "group.c",
     "if (len != sizeof(*body) +", "if (len > sizeof(*body) +"),
    ("reserved byte of a group", "unit", "group.c", "if (body->reserved)", "if (0)"),
    ("first page of a group checked only", "unit", "group.c",
     "	while (hk_page_group_next(facts, peer, body, &at, m)) {",
     "	if (hk_page_group_next(facts, peer, body, &at, m)) {"),
    ("pages of a group not checked", "unit", "group.c",
     "why = hk_dmsg_check(facts, m);", "why = NULL;"),
    ("last page of a group not looked at", "unit", "group.c",
     "	if (bit >= HK_PAGE_GROUP_MAX)\n", "	if (bit >= HK_PAGE_GROUP_MAX - 1)\n"),
    ("tokens of a group by page", "unit", "group.c",
     "map_weight(map & (((u32)1 << bit) - 1))", "bit"),
]
MUTATIONS += (mutations_migratory.MUTATIONS + mutations_lend.MUTATIONS +
              mutations_stale.MUTATIONS + mutations_tokens.MUTATIONS)


def substitute(text, change):
    """The mutated text, or None when the original is not there just once."""
    if isinstance(change[0], tuple):        # several in one
        for part in change:
            text = text and substitute(text, part)
        return text
    if len(change) == 2:
        old, new = change
        return text.replace(old, new) if text.count(old) == 1 else None
    if len(change) == 3:                    # the first @old behind @pre
        pre, old, new = change
        if text.count(pre) != 1 or old not in text[text.index(pre):]:
            return None
        start = text.index(old, text.index(pre))
        return text[:start] + new + text[start + len(old):]
    state, event, old, new = change
    start = text.find("[HK_PG_%s] = {" % state)
    end = text.find("\n\t},", start)
    if start < 0 or end < 0:
        return None
    lines = text[start:end].split("\n")
    hit = [i for i, l in enumerate(lines)
           if "[HK_EV_%s]" % event in l and old in l]
    if len(hit) != 1:
        return None
    lines[hit[0]] = lines[hit[0]].replace(old, new)
    return text[:start] + "\n".join(lines) + text[end:]


def notice(args, where, kind, by=None, file=None):
    """Who notices: (by the explorer, by the unit test, build failure)."""
    flags = ["-O1", "-std=gnu11", "-Wall", "-Wextra",
             "-Wno-unused-parameter", "-Wno-unused-variable",
             "-Wno-unused-function", "-Wno-unused-but-set-variable"]
    objs = []
    src = where / "src"
    for name in ("residency", "pending") if kind == "res" else (
            "page", "directory", "recover", "wire", "group", "stale"):
        # what is not broken is built once
        if file and file.endswith((".c", ".loss", ".res")) and file != name + ".c":
            objs.append(str(args.built / (name + ".o")))
            continue
        obj = str(where / (name + ".o"))
        run = subprocess.run([args.cc, *flags, "-c", "-o", obj,
                              str(src / (name + ".c"))],
                             capture_output=True, text=True)
        if run.returncode:
            return None, None, run.stderr
        objs.append(obj)
    explore = args.explorers[kind]
    unit = args.units[kind]
    for model, driver in (("model.res", args.res_model),
                          ("model.loss", args.loss_model)):
        if not (where / model).exists():
            continue
        obj = str(where / "model.o")
        subprocess.run([args.cc, "-O1", "-std=gnu11", "-I", str(HERE),
                        "-iquote", str(HERE), "-x", "c", "-c", "-o", obj,
                        str(where / model)], check=True)
        explore = [obj if o == driver else o for o in explore]
    for prog, parts in (("explore", explore), ("unit", unit)):
        subprocess.run([args.cc, "-o", str(where / prog), *parts, *objs],
                       check=True)
    by_explore = None
    runs = {"page": RUNS, "res": RES_RUNS, "loss": LOSS_RUNS,
            "litmus": LITMUS_RUNS}[kind]
    runs = LEND_RUNS.get(by, runs)
    # what the unit test is to notice needs no long search
    for opts in runs[:2] if by == "unit" else runs:
        try:
            run = subprocess.run([str(where / "explore"), *opts,
                                  "-m", "3000000"], capture_output=True,
                                 text=True, timeout=60)
        except subprocess.TimeoutExpired:
            continue
        if run.returncode == 1:
            fault = [l for l in run.stdout.split("\n") if "FAULT" in l]
            by_explore = "%s: %s" % (" ".join(opts),
                                     fault[0].split("FAULT: ")[1] if fault
                                     else "?")
            break
        if run.returncode not in (0, 1):
            return None, None, "explore ended with %d" % run.returncode
    run = subprocess.run([str(where / "unit")], capture_output=True)
    return by_explore, run.returncode != 0, None


def try_one(args, tmp, nr, mutation):
    name, by, file, *change = mutation
    if len(change) == 1 and isinstance(change[0], tuple):
        change = change[0]
    where = tmp / str(nr)
    kind = "page"
    if file in RES_FILES:
        kind = "res"
    elif by in ("loss", "lend-loss") or file in LOSS_FILES:
        kind = "loss"
    elif by == "litmus":
        kind = "litmus"
    # the sources find each other's headers by "../"
    shutil.copytree(MIGRATE if kind == "res" else DSM, where / "src")
    shutil.copytree(DSM, where / "dsm")
    shutil.copytree(FABRIC, where / "fabric")
    src = where / "src" / file
    if file.startswith("model."):
        src = where / file
        shutil.copy(HERE / {"model.res": "residency.c",
                            "model.loss": "loss.c"}[file], src)
    text = substitute(src.read_text(), change)
    if text is None:
        return False, "%s: original text not found just once" % name
    src.write_text(text)
    by_explore, by_unit, broken = notice(args, where, kind, by, file)
    shutil.rmtree(where)
    if broken:
        return False, "%s: %s" % (name, broken.strip())
    ok = by_unit if by == "unit" else bool(by_explore)
    who = [w for w, noticed in (("explorer (%s)" % by_explore, by_explore),
                                ("unit test", by_unit)) if noticed]
    return ok, "%s: %s" % (name, ", ".join(who) or "NOBODY NOTICES")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    parser.add_argument("--out", default="../../out/selftests/explore")
    parser.add_argument("-j", type=int, default=1)
    parser.add_argument("--mutate", type=int, metavar="K",
                        help="only the Kth mutation")
    parser.add_argument("--match", default="",
                        help="only mutations whose name has this in it")
    args = parser.parse_args()

    out = pathlib.Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(dir=out) as tmp:
        tmp = pathlib.Path(tmp)

        def build(src, name, *flags):
            obj = str(tmp / name)
            subprocess.run([args.cc, "-O2", "-std=gnu11", *flags, "-c", "-o",
                            obj, str(src)], check=True)
            return obj

        def build_all(prefix, where, *names):
            return [build(where / (n + ".c"), prefix + n + ".o") for n in names]

        args.res_model = build(HERE / "residency.c", "res_model.o")
        args.loss_model = build(HERE / "loss.c", "loss_model.o")
        args.explorers = {
            "page": build_all("e_", HERE, "explore", "engine", "model", "pack"),
            "res": [args.res_model,
                    build(HERE / "engine.c", "res_engine.o",
                          '-DMODEL_H="residency.h"')],
            "loss": [args.loss_model,
                     build(HERE / "engine.c", "loss_engine.o",
                           '-DMODEL_H="loss.h"'),
                     *build_all("e_", HERE, "loss_main", "loss_pack")],
        }
        args.explorers["litmus"] = [
            *build_all("e_", HERE, "litmus"),
            build(HERE / "engine.c", "lit_engine.o", '-DMODEL_H="litmus.h"')]
        dsm_unit = build_all("u_", HERE.parent / "dsm", "dsm_test", "page_test", "tokens_test",
                             "directory_test", "recover_test", "wire_test",
                             "group_test", "stale_test")
        args.units = {
            "page": dsm_unit,
            "loss": dsm_unit,
            "litmus": dsm_unit,
            "res": [*build_all("u_", HERE.parent / "migrate", "migrate_test",
                               "pending_test", "residency_test", "msg_test"),
                    build(MIGRATE / "state.c", "state.o")],
        }

        args.built = tmp / "built"
        args.built.mkdir()
        # the unbroken protocols must pass, or the rest means nothing
        sound = True
        for kind in ("page", "res", "loss", "litmus"):
            where = tmp / kind
            shutil.copytree(MIGRATE if kind == "res" else DSM, where / "src")
            shutil.copytree(DSM, where / "dsm")
            shutil.copytree(FABRIC, where / "fabric")
            sound = sound and not any(notice(args, where, kind))
            for obj in where.glob("*.o"):
                shutil.copy(obj, args.built)
        todo = [m for m in enumerate(MUTATIONS, 1) if args.match in m[1][0]]
        print("1..%d" % (1 if args.mutate else len(todo) + 1))
        if not args.mutate:
            print("%sok 1 - no mutation, no fault" % ("" if sound else "not "))
            failed += not sound

        if args.mutate:
            todo = [m for m in todo if m[0] == args.mutate]
        with ThreadPoolExecutor(args.j) as pool:
            results = pool.map(lambda m: try_one(args, tmp, *m), todo)
            for at, (ok, text) in enumerate(results, 2):
                print("%sok %d - %s" % ("" if ok else "not ",
                                        1 if args.mutate else at,
                                        text.replace("\n", " ").replace("#", "")))
                sys.stdout.flush()
                failed += not ok
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
