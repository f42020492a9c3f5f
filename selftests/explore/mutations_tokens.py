# SPDX-License-Identifier: GPL-2.0
"""Tokens as they are drawn, broken on purpose: for mutate.py, in its form."""

MUTATIONS = [
    ("token for data may be zero", "unit", "page.c",
     "	if (!tokens.data)\n		tokens.data = 1;\n", ""),
    ("token for ACKs may be zero", "unit", "page.c",
     "if (!tokens.ack || tokens.ack == tokens.data)", "if (tokens.ack == tokens.data)"),
    ("both tokens may be the same", "unit", "page.c",
     "if (!tokens.ack || tokens.ack == tokens.data)", "if (!tokens.ack)"),
    ("one behind the last token is zero", "unit", "page.c",
     "tokens.data + 1 ?: 1", "tokens.data + 1"),
    ("token for ACKs of the wrong half", "unit", "page.c",
     ".ack = random >> 32,", ".ack = random >> 31,"),
]
