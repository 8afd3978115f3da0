-- A module of the test lab for both sides of a federation. It answers one question over XMPP,
-- "which edge are you?", and obeys one-line commands on a TCP port of its own:
--   deliver FROM TO   asks TO that question on behalf of the local host FROM; prints the answer
--   forget HOST       stops serving HOST: a stream to it is told host-unknown
--   reload            reads configuration and certificates again

local st = require "util.stanza";
local hostmanager = require "core.hostmanager";

local xmlns = "urn:switchback:lab";
local hosts = {};

module:set_global();

function module.add_host(host)
	hosts[host.host] = host;
	local name = host:get_option_string("lab_name", "?");
	host:hook("iq-get/host/" .. xmlns .. ":who", function (event)
		event.origin.send(st.reply(event.stanza):tag("who", { xmlns = xmlns }):text(name));
		return true;
	end);
end

local commands = {};
local count = 0;

function commands.deliver(answer, from, to)
	count = count + 1;
	local question = st.iq({ type = "get", from = from, to = to, id = "lab" .. count })
		:tag("who", { xmlns = xmlns });
	hosts[from]:send_iq(question, nil, 60):next(function (event)
		answer("delivered " .. event.stanza:get_child_text("who", xmlns));
	end, function (err)
		answer("failed " .. tostring(err));
	end);
end

function commands.forget(answer, host)
	hostmanager.deactivate(host);
	answer("done");
end

function commands.reload(answer)
	prosody.reload_config();
	answer("done");
end

module:provides("net", {
	name = "lab";
	default_port = 5999;
	default_interface = "*";
	listener = {
		onincoming = function (conn, data)
			local function answer(text)
				conn:write(text .. "\n");
			end
			local words = {};
			for word in data:gmatch("%S+") do words[#words + 1] = word; end
			local command = commands[words[1]];
			if not command then return answer("unknown command"); end
			local ok, err = pcall(command, answer, table.unpack(words, 2));
			if not ok then answer("failed " .. tostring(err)); end
		end;
		ondisconnect = function () end;
	};
});
