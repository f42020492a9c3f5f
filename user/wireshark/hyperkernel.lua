-- SPDX-License-Identifier: GPL-2.0
--
-- What the modules of two hosts say to each other, for Wireshark and tshark:
--
--	tshark -X lua_script:hyperkernel.lua -r some.pcap -d tcp.port==7117,hyperkernel
--
-- Plain links only: with TLS there is nothing to see. A connection begins with TLS
-- of the two daemons, in plain clusters too; messages follow from the first header on,
-- up to a switch, behind which that direction goes on in another connection; further
-- connections of a link begin with a path. Layouts are
-- those of fabric/msg.h and migrate/msg.h, the names those of the module.

local MAGIC, VERSION, HDR, PAGE = 0x4b48, 1, 32, 4096

local types = {
	[1] = "hello", [2] = "ping", [3] = "pong", [4] = "echo", [5] = "echo-reply",
	[6] = "bye", [7] = "switch", [8] = "path", [9] = "ack", [16] = "page",
	[17] = "spill", [18] = "page-group", [32] = "vm-dead", [33] = "vm-config",
	[34] = "replica-ready", [35] = "vm-config-ack", [36] = "vm-clock",
	[48] = "vcpu-state", [49] = "vcpu-taken", [50] = "vcpu-move",
	[51] = "vcpu-irq", [52] = "vcpu-exit", [53] = "vcpu-exit-done",
	[54] = "vcpu-ident", [55] = "vcpu-moved",
}
local lanes = { [0] = "control", [1] = "page" }
local dtypes = {
	[1] = "GET_S", [2] = "GET_X", [3] = "FWD_S", [4] = "FWD_X", [5] = "INV",
	[6] = "DATA_S", [7] = "DATA_X", [8] = "GRANT_X", [9] = "ACK", [10] = "DONE",
	[11] = "LOST", [12] = "LEND", [13] = "PASS_S", [14] = "UNLEND", [15] = "BACK",
	[16] = "MOVED",
}
local contents = { [0] = "none", [1] = "page", [2] = "fill", [3] = "same" }
local modes = {
	[0] = "fixed", [1] = "lowest-priority", [2] = "smi", [4] = "nmi",
	[5] = "init", [6] = "startup", [7] = "extint", [8] = "accepted",
}

local hk = Proto("hyperkernel", "Hyperkernel fabric")
local f = {}

local function field(name, make, label, ...)
	f[name] = make("hk." .. name, label, ...)
end

field("version", ProtoField.uint8, "Version")
field("type", ProtoField.uint8, "Type", base.DEC, types)
field("len", ProtoField.uint32, "Body length")
field("from", ProtoField.uint16, "From node")
field("lane", ProtoField.uint8, "Lane", base.DEC, lanes)
field("flags", ProtoField.uint8, "Flags", base.HEX)
field("epoch", ProtoField.uint32, "Epoch")
field("vm", ProtoField.uint32, "VM")
field("seq", ProtoField.uint64, "Sequence number")
field("stamp", ProtoField.uint32, "TSC when it left")
field("body", ProtoField.bytes, "Body")
field("page", ProtoField.bytes, "Page")
field("version_min", ProtoField.uint8, "Lowest version")
field("version_max", ProtoField.uint8, "Highest version")
field("node", ProtoField.uint16, "Node")
field("features", ProtoField.uint32, "Features", base.HEX)
field("cluster", ProtoField.bytes, "Cluster")
field("t_sent", ProtoField.uint64, "TSC when PING left")
field("t_peer", ProtoField.uint64, "TSC of the peer")
field("used", ProtoField.uint64, "Pages used")
field("budget", ProtoField.uint64, "Pages contributed")
field("cookie", ProtoField.uint64, "Cookie")
field("path", ProtoField.uint8, "Path")
field("acked", ProtoField.uint64, "Last message that has come")
field("reply_len", ProtoField.uint32, "Reply length")
field("reply_page", ProtoField.uint32, "Reply carries a page")
field("gfn", ProtoField.uint64, "gfn", base.HEX)
field("fill", ProtoField.uint64, "Fill", base.HEX)
field("salt", ProtoField.uint64, "Salt of an old copy's hash", base.HEX)
field("hash", ProtoField.uint64, "Hash of an old copy", base.HEX)
field("req", ProtoField.uint16, "Requester")
field("acks", ProtoField.uint64, "Nodes whose ACKs are to come", base.HEX)
field("data_token", ProtoField.uint32, "Token for data", base.HEX)
field("ack_token", ProtoField.uint32, "Token for ACKs", base.HEX)
field("dtype", ProtoField.uint8, "Page message", base.DEC, dtypes)
field("dflags", ProtoField.uint8, "Page flags", base.HEX)
field("have", ProtoField.bool, "Requester has a copy", 8, nil, 0x01)
field("no_done", ProtoField.bool, "Transaction is closed", 8, nil, 0x02)
field("content", ProtoField.uint8, "Content", base.DEC, contents)
field("map", ProtoField.uint32, "Pages from the first on", base.HEX)
field("nr", ProtoField.uint32, "Entries")
field("text", ProtoField.stringz, "Reason")
field("kind", ProtoField.uint32, "Section")
field("index", ProtoField.uint32, "Index")
field("config_seq", ProtoField.uint64, "Section number")
field("offset", ProtoField.int64, "Guest's clock minus TSC")
field("known", ProtoField.uint8, "Offset is known")
field("ask", ProtoField.uint8, "Asks for the receiver's")
field("vcpu", ProtoField.uint32, "vCPU")
field("residency", ProtoField.uint32, "Residency")
field("asker", ProtoField.uint16, "Asker")
field("result", ProtoField.uint32, "Result")
field("temporary", ProtoField.uint8, "Temporary")
field("mode", ProtoField.uint16, "Delivery mode", base.HEX)
field("vector", ProtoField.uint8, "Vector", base.HEX)
field("level", ProtoField.uint8, "Level")
field("trig", ProtoField.uint8, "Level-triggered")
field("exit_reason", ProtoField.uint32, "KVM exit")
field("pio_len", ProtoField.uint32, "Port I/O bytes")
field("apic_base", ProtoField.uint64, "APIC base", base.HEX)
field("apic_id", ProtoField.uint32, "APIC id", base.HEX)
field("tsc_base", ProtoField.int64, "TSC offset")
field("tsc_deadline", ProtoField.uint64, "TSC deadline")
field("nr_msrs", ProtoField.uint32, "MSRs")
field("xsave_len", ProtoField.uint32, "XSAVE bytes")
hk.fields = f

local short = ProtoExpert.new("hk.short", "Body is too short for its type",
			      expert.group.MALFORMED, expert.severity.ERROR)
hk.experts = { short }

-- Fields of a body: name, offset, length; a length of -1 is the rest
local function vcpu_msg(with)
	local l = { { "vcpu", 0, 4 }, { "residency", 4, 4 }, { "node", 8, 2 } }

	for _, v in ipairs(with) do
		l[#l + 1] = v
	end
	return l
end

local text = { { "node", 0, 2 }, { "text", 8, -1 } }
local ping = { { "t_sent", 0, 8 }, { "t_peer", 8, 8 }, { "used", 16, 8 },
	       { "budget", 24, 8 } }
local echo = { { "cookie", 0, 8 }, { "reply_len", 8, 4 }, { "reply_page", 12, 4 } }
local exit = { { "vcpu", 0, 4 }, { "result", 4, 4 }, { "cookie", 8, 8 },
	       { "exit_reason", 16, 4 }, { "pio_len", 24, 4 } }
local taken = vcpu_msg { { "result", 12, 1 }, { "text", 24, -1 } }

local bodies = {
	[1] = { { "version_min", 0, 1 }, { "version_max", 1, 1 }, { "node", 2, 2 },
		{ "features", 4, 4 }, { "cluster", 8, 16 } },
	[2] = ping, [3] = ping, [4] = echo, [5] = { { "cookie", 0, 8 } },
	[6] = text,
	[8] = { { "node", 0, 2 }, { "path", 2, 1 }, { "cookie", 8, 8 },
		{ "cluster", 16, 16 } },
	[9] = { { "acked", 0, 8 } },
	[16] = { { "gfn", 0, 8 }, { "fill", 8, 8 }, { "acks", 16, 8 },
		 { "data_token", 24, 4 }, { "ack_token", 28, 4 },
		 { "req", 32, 2 }, { "dtype", 34, 1 }, { "dflags", 35, 1 },
		 { "have", 35, 1 }, { "no_done", 35, 1 }, { "content", 36, 1 } },
	[17] = { { "nr", 0, 4 } },
	[18] = { { "map", 8, 4 }, { "req", 12, 2 }, { "dtype", 14, 1 } },
	[32] = text,
	[33] = { { "kind", 0, 4 }, { "index", 4, 4 }, { "config_seq", 8, 8 } },
	[34] = vcpu_msg {},
	[35] = { { "config_seq", 0, 8 } },
	[36] = { { "offset", 0, 8 }, { "known", 8, 1 }, { "ask", 9, 1 } },
	[48] = { { "vcpu", 0, 4 }, { "residency", 4, 4 }, { "tsc_base", 8, 8 },
		 { "tsc_deadline", 16, 8 }, { "nr_msrs", 24, 4 },
		 { "xsave_len", 28, 4 } },
	[49] = taken,
	[50] = vcpu_msg { { "asker", 10, 2 }, { "temporary", 13, 1 },
			  { "cookie", 16, 8 } },
	[51] = { { "vcpu", 0, 4 }, { "mode", 4, 2 }, { "vector", 6, 1 },
		 { "level", 7, 1 }, { "trig", 8, 1 } },
	[52] = exit, [53] = exit,
	[54] = { { "vcpu", 0, 4 }, { "apic_base", 8, 8 }, { "apic_id", 16, 4 } },
	[55] = vcpu_msg { { "asker", 10, 2 }, { "result", 12, 1 },
			  { "cookie", 16, 8 }, { "text", 24, -1 } },
}

-- Requests for several pages: number and tokens of each
local function group_dissect(body, tree)
	local first, map = body(0, 8):le_uint64(), body(8, 4):le_uint()
	local each = body(14, 1):uint() == 2 and 8 or 4
	local off = 16

	for i = 0, 31 do
		if bit.band(bit.rshift(map, i), 1) ~= 0 then
			tree:add(f.gfn, body(0, 8), first + i)
			if off + each > body:len() then
				tree:add_proto_expert_info(short)
				return
			end
			tree:add_le(f.data_token, body(off, 4))
			if each == 8 then
				tree:add_le(f.ack_token, body(off + 4, 4))
			end
			off = off + each
		end
	end
end

local function body_dissect(body, type, tree)
	for _, d in ipairs(bodies[type] or {}) do
		local name, off, len = d[1], d[2], d[3]

		if len < 0 then
			len = body:len() - off
		end
		if len <= 0 or off + len > body:len() then
			tree:add_proto_expert_info(short)
			return
		end
		tree:add_le(f[name], body(off, len))
	end
	-- what the requester's old copy is, where the message is so long
	if type == 16 and body:len() >= 56 then
		tree:add_le(f.salt, body(40, 8))
		tree:add_le(f.hash, body(48, 8))
	end
	if type == 18 then
		group_dissect(body, tree)
	elseif type == 17 then
		for off = 8, body:len() - 8, 8 do
			tree:add_le(f.gfn, body(off, 8))
		end
	end
end

-- One line: what it is, about which page or vCPU
local function summary(buf, type, len)
	local s = types[type] or "type " .. type

	if type == 16 and len >= 40 then
		local dtype = buf(HDR + 34, 1):uint()

		s = string.format("%s gfn %s", dtypes[dtype] or "page message " .. dtype,
				  buf(HDR, 8):le_uint64():tohex():gsub("^0+(%x)", "%1"))
		if buf(HDR + 32, 2):le_uint() ~= 0 then
			s = s .. " for node " .. buf(HDR + 32, 2):le_uint()
		end
	elseif type == 18 and len >= 16 then
		local dtype, map, nr = buf(HDR + 14, 1):uint(), buf(HDR + 8, 4):le_uint(), 0

		for i = 0, 31 do
			nr = nr + bit.band(bit.rshift(map, i), 1)
		end
		s = string.format("%s %d pages from gfn %s",
				  dtypes[dtype] or "page message " .. dtype, nr,
				  buf(HDR, 8):le_uint64():tohex():gsub("^0+(%x)", "%1"))
		if buf(HDR + 12, 2):le_uint() ~= 0 then
			s = s .. " for node " .. buf(HDR + 12, 2):le_uint()
		end
	elseif type >= 48 and len >= 4 then
		s = string.format("%s vCPU %d", s, buf(HDR, 4):le_uint())
		if type == 51 and len >= 8 then
			local mode = bit.rshift(buf(HDR + 4, 2):le_uint(), 8)

			s = string.format("%s %s vector %d", s, modes[mode] or "mode " .. mode,
					  buf(HDR + 6, 1):uint())
		end
	elseif (type == 6 or type == 32) and len > 8 then
		s = s .. ": " .. buf(HDR + 8, len - 8):stringz()
	end
	return s
end

local function is_header(buf)
	return buf:len() >= HDR and buf(0, 2):le_uint() == MAGIC and
	       buf(2, 1):uint() == VERSION and types[buf(3, 1):uint()] ~= nil
end

local function length(buf, _, offset)
	local len = HDR + buf(offset + 4, 4):le_uint()

	if bit.band(buf(offset + 11, 1):uint(), 1) ~= 0 then
		len = len + PAGE
	end
	return len
end

local function message(buf, pinfo, root)
	local type, len = buf(3, 1):uint(), buf(4, 4):le_uint()
	local what = summary(buf, type, len)
	local tree = root:add(hk, buf(), "Hyperkernel: " .. what)

	pinfo.cols.protocol = "HK"
	if pinfo.private.hk_started then
		pinfo.cols.info:append(", " .. what)
	else
		pinfo.cols.info = what
		pinfo.private.hk_started = "yes"
	end
	for _, d in ipairs {
		{ "version", 2, 1 }, { "type", 3, 1 }, { "len", 4, 4 }, { "from", 8, 2 },
		{ "lane", 10, 1 }, { "flags", 11, 1 }, { "epoch", 12, 4 },
		{ "vm", 16, 4 }, { "stamp", 20, 4 }, { "seq", 24, 8 } } do
		tree:add_le(f[d[1]], buf(d[2], d[3]))
	end
	if len > 0 then
		local body = buf(HDR, len)

		body_dissect(body:tvb(), type, tree:add(f.body, body))
	end
	if buf:len() > HDR + len then
		tree:add(f.page, buf(HDR + len))
	end
	return buf:len()
end

-- Connections whose messages have begun: what follows need not begin with a header
-- that is whole
local begun = {}

function hk.init()
	begun = {}
end

local stream = Field.new("tcp.stream")

-- Where records of TLS end that a segment begins with, 0: there are none
local function behind_tls(buf)
	local at = 0

	while at + 5 <= buf:len() and buf(at, 1):uint() >= 0x14 and
	      buf(at, 1):uint() <= 0x17 and buf(at + 1, 1):uint() == 3 do
		at = at + 5 + buf(at + 3, 2):uint()
	end
	return at
end

function hk.dissector(buf, pinfo, tree)
	local key, at = stream().value, 0

	-- also what has begun: a second pass sees the daemons' words again
	if not begun[key] or (buf:len() >= 2 and buf(0, 2):le_uint() ~= MAGIC) then
		at = behind_tls(buf)
		if at >= buf:len() or not is_header(buf(at):tvb()) then
			-- taken, lest Wireshark gives the whole connection to TLS
			return buf:len()
		end
		begun[key] = true
	end
	dissect_tcp_pdus(buf(at):tvb(), tree, HDR, length, message)
	return buf:len()
end

DissectorTable.get("tcp.port"):add(7117, hk)
